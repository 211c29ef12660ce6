/*
 * Merge operations and their conflicts as records, and as replies show them.
 * Called by the merge services. Threads: as the transaction's. Lifetime: results live in the call's
 * arena.
 */
#ifndef PANG_SERVER_MERGE_RECORDS_H
#define PANG_SERVER_MERGE_RECORDS_H

#include "api/service.h"
#include "server/merge_plan.h"

#include "pangolin/v1/merge.pb-c.h"

/* What an operation is at, shortly: proto/pangolin/store/v1/versions.proto says what each means. */
#define PANG_MERGE_PENDING PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_PENDING
#define PANG_MERGE_CONFLICTED PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_CONFLICTED
#define PANG_MERGE_RESOLVING PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_RESOLVING
#define PANG_MERGE_READY PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_READY
#define PANG_MERGE_COMPLETED PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_COMPLETED
#define PANG_MERGE_ABORTED PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_ABORTED

/* By the text of its id; the record is a condition of the commit. What is no id names nothing, and
 * is not found either; so are another tenant's.
 * ERRORS: NOT_FOUND, the store's. */
PANG_MUST_CHECK pang_code pang_merge_op_find(pang_call *call, const char *id,
                                             pang_rec_merge_operation **ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_merge_conflict_find(pang_call *call, const char *id,
                                                   pang_rec_merge_conflict **ret, pang_err *err);
/* All conflicts of an operation, in their order. */
PANG_MUST_CHECK pang_code pang_merge_conflicts_of(pang_call *call,
                                                  const pang_rec_merge_operation *op,
                                                  pang_rec_merge_conflict ***ret, pang_err *err);
/* Puts it; the commit writes it. `is_new`: it is put into its catalog's list, too, which has the
 * newest first. */
PANG_MUST_CHECK pang_code pang_merge_op_put(pang_call *call, const pang_rec_merge_operation *op,
                                            bool is_new, pang_err *err);
PANG_MUST_CHECK pang_code pang_merge_conflict_put(pang_call *call,
                                                  const pang_rec_merge_conflict *conflict,
                                                  pang_err *err);
/* Completed or aborted: nothing of it changes any more. */
bool pang_merge_has_ended(const pang_rec_merge_operation *op);

/* The plan's conflicts as records, which are not put. Those of an operation that has no id, of a
 * dry run, have none either. */
PANG_MUST_CHECK pang_code pang_merge_conflicts_made(pang_call *call,
                                                    const pang_rec_merge_operation *op,
                                                    const pang_merge_plan *plan,
                                                    pang_rec_merge_conflict ***ret, pang_err *err);
/* The plan's conflicts become the operation's, beside decided ones of other assets; what was
 * decided of an asset that conflicts again is forgotten. */
PANG_MUST_CHECK pang_code pang_merge_conflicts_keep(pang_call *call, pang_rec_merge_operation *op,
                                                    pang_rec_merge_conflict *const *decided,
                                                    const pang_merge_plan *plan, pang_err *err);
/* What people decided, for a plan: one choice for an asset, however many conflicts it had, and what
 * takes a side is stronger than a value. ERRORS: INVALID_ARGUMENT (a value that is no JSON). */
PANG_MUST_CHECK pang_code pang_merge_choices_of(pang_call *call,
                                                pang_rec_merge_conflict *const *conflicts, size_t n,
                                                pang_merge_choice **ret, size_t *ret_n,
                                                pang_err *err);

/* ---- replies: what the API's messages say of records; texts are shared or in the arena ---- */

/* Without its conflicts, which lists leave out. `catalog` is the name that it is shown under.
 * ERRORS: RESOURCE_EXHAUSTED, as of the two below. */
PANG_MUST_CHECK pang_code pang_merge_op_show(pang_call *call, const pang_rec_merge_operation *op,
                                             const char *catalog,
                                             Pangolin__V1__MergeOperation **ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_merge_conflicts_show(pang_call *call,
                                                    pang_rec_merge_conflict *const *conflicts,
                                                    size_t n, Pangolin__V1__MergeConflict ***ret,
                                                    pang_err *err);
/* What was done or would be, but for what is not touched: assets with what became of each, and how
 * many of them there are. */
PANG_MUST_CHECK pang_code pang_merge_plan_show(pang_call *call, const pang_merge_plan *plan,
                                               Pangolin__V1__MergeOperation *out, pang_err *err);
/* "TakeSource" and so on. */
const char *pang_strategy_name(pang_strategy strategy); /* a constant */

#endif
