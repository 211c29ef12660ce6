/*
 * The merge services' inside: a merge on its way, from what a request names to its commit or to an
 * operation that waits. svc_merge_run.c is the way, svc_merge_modes.c looks for what keys of modes
 * name, svc_merge.c merges and completes, svc_merge_replay.c rebases, picks, reverts and restores,
 * svc_merge_ops.c shows and decides.
 * Called by those alone. Threads and lifetime: as the call's.
 */
#ifndef PANG_SERVER_SVC_MERGE_H
#define PANG_SERVER_SVC_MERGE_H

#include "server/merge_records.h"
#include "server/merge_replay.h"
#include "server/svc_manage.h"

/* The reason of errors that clients take for a conflict (409). */
#define PANG_MERGE_REASON "ConflictException"

/* What is done, as records of operations say it. */
#define PANG_WORK_MERGE PANGOLIN__STORE__V1__MERGE_OPERATION__WORK__WORK_UNSPECIFIED
#define PANG_WORK_REBASE PANGOLIN__STORE__V1__MERGE_OPERATION__WORK__WORK_REBASE
#define PANG_WORK_PICK PANGOLIN__STORE__V1__MERGE_OPERATION__WORK__WORK_CHERRY_PICK
#define PANG_WORK_REVERT PANGOLIN__STORE__V1__MERGE_OPERATION__WORK__WORK_REVERT
#define PANG_WORK_RESTORE PANGOLIN__STORE__V1__MERGE_OPERATION__WORK__WORK_RESTORE

typedef struct {
    pang_call *call;
    const char *catalog;
    pang_view source, target;
    /* Of a rebase: the branch as its name has it, and the new base; the target is the branch that
     * will have the name. */
    pang_view old, onto;
    pang_rec_merge_operation *op;
    pang_rec_merge_conflict **decided; /* of an operation that is completed: op->n_conflicts */
    bool is_new;                       /* the operation is not stored yet */
    pang_merge_base base;
    pang_merge_changes changes;
    pang_merge_task task;
    pang_merge_plan plan;
    pang_id commit; /* what apply made */
} pang_merge_run;

/* Whether it shows a branch as of now, and no point. */
bool pang_merge_is_branch(const pang_view *view);
/* Whether what `from` shows may come into a branch. ERRORS: FAILED_PRECONDITION. */
PANG_MUST_CHECK pang_code pang_merge_check_types(pang_view *from, const pang_view *into,
                                                 pang_err *err);

/* The same of what `from` was made from, as far as `into` has not the same: of a branch of `type`
 * that is to hold it. ERRORS: FAILED_PRECONDITION, naming the branch. */
PANG_MUST_CHECK pang_code pang_merge_check_passed(pang_view *from, pang_view *into,
                                                  const char *type, pang_err *err);

/* Opens the target, which is a branch, and the source, which shows a point from now on: of a branch
 * as of now, or as of the call's first attempt. ERRORS: INVALID_ARGUMENT, NOT_FOUND,
 * FAILED_PRECONDITION. */
PANG_MUST_CHECK pang_code pang_merge_run_open(pang_merge_run *m, const char *source,
                                              const char *target, pang_err *err);
/* A new operation of the two, which are opened by it. ERRORS: as open. */
PANG_MUST_CHECK pang_code pang_merge_run_begin(pang_merge_run *m, const char *source,
                                               const char *target, pang_err *err);
/* A new operation of a source at a point and the target that is open. */
PANG_MUST_CHECK pang_code pang_merge_run_new(pang_merge_run *m, const char *source,
                                             const char *target, pang_point at, pang_err *err);
/* Plans it: finds the base of what the operation does, then what changed since, then what becomes
 * of each. ERRORS: INVALID_ARGUMENT (a mode's key names nothing, of a new operation; or two things
 * that changed), FAILED_PRECONDITION, the store's. */
PANG_MUST_CHECK pang_code pang_merge_run_plan(pang_merge_run *m, pang_err *err);
/* Fails when a mode's key names nothing on either side. Keys that the plan does not know are read
 * together, from each side at most twice. ERRORS: INVALID_ARGUMENT, the store's. */
PANG_MUST_CHECK pang_code pang_merge_check_modes(pang_merge_run *m, pang_err *err);
/* Fails when something cannot come back, and names it; `instead` says what to do. ERRORS:
 * FAILED_PRECONDITION. */
PANG_MUST_CHECK pang_code pang_merge_check_lost(pang_merge_run *m, const char *instead,
                                                pang_err *err);
/* Without conflicts: the commit, and the operation is completed. */
PANG_MUST_CHECK pang_code pang_merge_run_apply(pang_merge_run *m, pang_err *err);
/* With conflicts: the operation waits. *ret says so. */
PANG_MUST_CHECK pang_code pang_merge_run_wait(pang_merge_run *m,
                                              Pangolin__V1__MergeConflicted **ret, pang_err *err);

/* What requests say of how to merge; all may be empty. */
typedef struct {
    Pangolin__V1__MergeKeyMode *const *modes;
    size_t n_modes;
    const char *default_mode, *isolation, *message, *expected_head;
} pang_merge_said;
/* Puts it into the operation; `branch` is the one whose head is expected. ERRORS: INVALID_ARGUMENT,
 * FAILED_PRECONDITION (it has another head). */
PANG_MUST_CHECK pang_code pang_merge_run_read(pang_merge_run *m, const pang_merge_said *said,
                                              pang_view *branch, pang_err *err);
/* The id of a commit that a request names in a field. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_merge_read_commit(const char *field, const char *text, pang_id *ret,
                                                 pang_err *err);
/* The operation with what was done, or (`dry`) would be, which nobody can ask for again. */
PANG_MUST_CHECK pang_code pang_merge_run_show(pang_merge_run *m, bool dry,
                                              Pangolin__V1__MergeOperation **ret, pang_err *err);

/* Opens what an operation that waits needs: of a rebase its three views, of all others the target
 * by its id, since it may have another name now. ERRORS: FAILED_PRECONDITION (something is gone),
 * PERMISSION_DENIED (the branch is protected by now). */
PANG_MUST_CHECK pang_code pang_merge_open_rebase(pang_merge_run *m, pang_err *err);
PANG_MUST_CHECK pang_code pang_merge_open_target(pang_merge_run *m, pang_err *err);
/* Of a rebase whose base is found: the new base has all that the branch is read through, and not
 * a selection of it, from which the rest would be missing afterwards. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_merge_check_onto(const pang_merge_run *m, pang_err *err);
/* "branch ... is not there any more: abort the operation". Returns FAILED_PRECONDITION. */
pang_code pang_merge_fail_gone(const char *name, pang_err *err);

/* Handlers of the other files. */
pang_handler pang_merge_list_operations, pang_merge_get_operation, pang_merge_list_conflicts,
    pang_merge_resolve, pang_merge_abort;
pang_handler pang_merge_rebase, pang_merge_cherry_pick, pang_merge_revert, pang_merge_restore;

#endif
