/*
 * What a side of a conflict did to an asset, so that a person can judge who is asked to take one:
 * the difference to what it was when both were last the same, as differences of refs tell it.
 * Called by the merge planner. Threads and lifetime: as the views'.
 */
#ifndef PANG_SERVER_MERGE_SIDES_H
#define PANG_SERVER_MERGE_SIDES_H

#include "server/merge_plan.h"

enum { PANG_SIDE_SHOWN_MAX = 100 }; /* entries of each list */

typedef struct {
    /* An object: "properties" [{"name","from","to"}], where the name is another one "renamed"
     * {"from","to"}; of tables "columns", "partitioning", "sort_order", "snapshots_added",
     * "snapshots_removed" and "files" with six counts; "unreadable": why there is no more. NULL:
     * what it was is not known. */
    pang_json *changes;
    pang_str data; /* of a table whose files changed: "added 2 files (10 rows)"; else empty */
} pang_side_told;

/* `half`: what `side` was. ERRORS: RESOURCE_EXHAUSTED, the stores' (a file that is missing or
 * damaged is told, and no error). */
PANG_MUST_CHECK pang_code pang_merge_tell_side(const pang_merge_task *task,
                                               const pang_content *half, const pang_content *side,
                                               pang_side_told *ret, pang_err *err);
/* Adds {"changes":{"source":...,"target":...}} to all conflicts of a table or view that both sides
 * have; where a side changed files, the sentence says that taking one takes its data. */
PANG_MUST_CHECK pang_code pang_merge_tell_sides(const pang_merge_task *task, pang_merge_item *item,
                                                pang_err *err);

#endif
