/*
 * The merge services' inside: a merge on its way, from what a request names to its commit or to an
 * operation that waits. svc_merge.c merges and completes, svc_merge_ops.c shows and decides.
 * Called by those alone. Threads and lifetime: as the call's.
 */
#ifndef PANG_SERVER_SVC_MERGE_H
#define PANG_SERVER_SVC_MERGE_H

#include "server/merge_apply.h"
#include "server/merge_records.h"
#include "server/svc_manage.h"

#define PANG_MERGE_REASON "ConflictException"

typedef struct {
    pang_call *call;
    const char *catalog;
    pang_view source, target;
    pang_rec_merge_operation *op;
    pang_rec_merge_conflict **decided; /* of an operation that is completed: op->n_conflicts */
    bool is_new;                       /* the operation is not stored yet */
    pang_merge_base base;
    pang_merge_changes changes;
    pang_merge_task task;
    pang_merge_plan plan;
    pang_id commit;
} pang_merge_run;

/* Opens the target, which is a branch, and the source, which shows a point from now on: of a branch
 * as of now, or as of the call's first attempt. ERRORS: INVALID_ARGUMENT, NOT_FOUND,
 * FAILED_PRECONDITION. */
PANG_MUST_CHECK pang_code pang_merge_run_open(pang_merge_run *m, const char *source,
                                              const char *target, pang_err *err);
/* A new operation of the two. */
PANG_MUST_CHECK pang_code pang_merge_run_begin(pang_merge_run *m, const char *source,
                                               const char *target, pang_err *err);
/* Plans it: of what the operation says. */
PANG_MUST_CHECK pang_code pang_merge_run_plan(pang_merge_run *m, pang_err *err);
/* Without conflicts: the commit, and the operation is completed. */
PANG_MUST_CHECK pang_code pang_merge_run_apply(pang_merge_run *m, pang_err *err);
/* With conflicts: the operation waits. *ret says so. */
PANG_MUST_CHECK pang_code pang_merge_run_wait(pang_merge_run *m,
                                              Pangolin__V1__MergeConflicted **ret, pang_err *err);

pang_handler pang_merge_list_operations, pang_merge_get_operation, pang_merge_list_conflicts,
    pang_merge_resolve, pang_merge_abort;

#endif
