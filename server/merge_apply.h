/*
 * Carrying a plan out: one commit on the target over all that changes, documents of merged tables
 * written before it, the marks of the merge in it.
 * Called by the merge services. Threads and lifetime: as the view's.
 */
#ifndef PANG_SERVER_MERGE_APPLY_H
#define PANG_SERVER_MERGE_APPLY_H

#include "server/merge_plan.h"

typedef struct {
    const pang_principal *who;
    pang_str message;
    pang_commit_row parent; /* the source's head: a further parent; without body: none */
    bool marks;             /* the source is a branch whose changes are in the target from now on */
} pang_merge_apply;

/* REQUIRES: a plan without conflicts; the target's view may be written (or `merging`). ERRORS:
 * those of edits and of metadata.h. */
PANG_MUST_CHECK pang_code pang_merge_apply_plan(const pang_merge_task *task,
                                                const pang_merge_plan *plan,
                                                const pang_merge_apply *how, pang_err *err);

/* merge_marks.c: what the target has from now on, in the edit's commit. */
PANG_MUST_CHECK pang_code pang_merge_marks_put(const pang_merge_task *task,
                                               const pang_merge_plan *plan, pang_edit *edit,
                                               pang_err *err);
/* What the source has up to the point that is merged must not lose its files: other refs reach it
 * from now on. */
PANG_MUST_CHECK pang_code pang_merge_keep_source(pang_view *target, pang_point source,
                                                 pang_err *err);

#endif
