/*
 * Model of views: merging two documents of a view that both sides changed, without I/O. Members of
 * pang_merge_table that are about files and columns are not looked at.
 * Called by merge_values.c. Threads, lifetime and messages: as server/model.h.
 *
 * Rules:
 *  1. Properties merge one by one, as a table's.
 *  2. Versions that the source made since its half get the target's next numbers, unless the target
 *     has one that says the same; their schemas come along. What is beyond the target's history is
 *     forgotten, as by any commit.
 *  3. The current version is the one that a side changed. Both, to versions that say different
 *     things, is a conflict that shows all three with queries and schemas.
 *  4. The log goes on from the target's; uuid and location are the target's.
 */
#ifndef PANG_SERVER_MODEL_VIEW_MERGE_H
#define PANG_SERVER_MODEL_VIEW_MERGE_H

#include "server/merge_table.h"

/* The merged document, none when the target's stays as it is, or conflicts. What a commit would
 * refuse of it is a conflict with the commit's message. ERRORS: RESOURCE_EXHAUSTED,
 * INVALID_ARGUMENT (a document is no view's). */
PANG_MUST_CHECK pang_code pang_model_view_merge(const pang_merge_table *merge,
                                                pang_merge_outcome *ret, pang_err *err);
/* The source's properties, location and current version in a document that goes on from the
 * target's, whose versions and log stay: a resolution. Whether a dialect gets lost is not asked.
 * ERRORS: as above. */
PANG_MUST_CHECK pang_code pang_model_view_take_source(const pang_merge_table *merge,
                                                      pang_json **ret, pang_err *err);

#endif
