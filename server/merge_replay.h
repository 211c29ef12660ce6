/*
 * What works like a merge without being one of two branches: a commit's changes once more
 * (cherry-pick) or taken back (revert), a branch as it was (restore), and a branch's changes on
 * another base (rebase). Each fills in what the planner needs; merge_apply.h carries its plan out.
 * Called by the merge services. Threads and lifetime: as the views'.
 *
 * Rules:
 *  1. Of a pick the source is what the commit left and both halves are what it found; of a revert
 *     the source is what it found and both halves are what it left. What a merge's commit did is
 *     its difference to its first parent, so it is picked and reverted like any other.
 *  2. None of them leaves a mark: later merges know nothing of them. Like a commit that was made by
 *     hand, what was reverted after a merge does not come with the next one.
 *  3. A restore sets back what the branch's commits named since the point. What others change
 *     meanwhile and it does not name is nobody's to set back.
 *  4. What comes back must have its files: of a table that a collector or an engine took some from
 *     it is said so (`lost`), and it stays as it is.
 *  5. A rebase is a merge of the branch into a branch that is made of the new base in the same
 *     commit, and then has the name. It leaves the merge's marks, so what was made from the old
 *     branch still merges with the new one; nobody writes the old one any more, so no map of
 *     column ids is ever met again.
 */
#ifndef PANG_SERVER_MERGE_REPLAY_H
#define PANG_SERVER_MERGE_REPLAY_H

#include "server/branches.h"
#include "server/merge_apply.h"

/* Fills in pair, changes and source of a task whose target is set, of the commit at a point.
 * `source` and `changes` are storage for them. `back`: a revert. ERRORS: NOT_FOUND (the branch),
 * FAILED_PRECONDITION (the commit is not kept any more), the store's. */
PANG_MUST_CHECK pang_code pang_again_commit(pang_merge_task *task, pang_point commit, bool back,
                                            pang_view *source, pang_merge_changes *changes,
                                            pang_err *err);
/* The same of a restore to a point of what the target was. ERRORS: INVALID_ARGUMENT (it
 * changes too much), NOT_FOUND, the store's. */
PANG_MUST_CHECK pang_code pang_again_restore(pang_merge_task *task, pang_point to,
                                             pang_view *source, pang_merge_changes *changes,
                                             pang_err *err);
/* Of merge_plan.c: says in item->lost why the source's state cannot come back; empty: it can. */
PANG_MUST_CHECK pang_code pang_again_judge(const pang_merge_task *task, pang_merge_item *item,
                                           pang_err *err);

/* The branch that has the name of this one now, which may be hidden; its own record where it is
 * not. *ret nil: it is gone. ERRORS: NOT_FOUND (no such branch), the store's. */
PANG_MUST_CHECK pang_code pang_again_successor(pang_view *view, pang_id branch, pang_id *ret,
                                               pang_rec_branch **ret_body, pang_err *err);
/* A view of the branch `id`, which pang_again_rebased will make of what `onto` shows, in place of
 * what `old` shows. REQUIRES: `onto` shows a point. ERRORS: INVALID_ARGUMENT (too deep). */
PANG_MUST_CHECK pang_code pang_again_view(const pang_view *old, const pang_view *onto, pang_id id,
                                          pang_view *ret, pang_err *err);
/* Makes it, and gives it the name. ERRORS: those of pang_branch_make and pang_branch_swing. */
PANG_MUST_CHECK pang_code pang_again_swing(pang_view *old, pang_view *onto, pang_id id,
                                           const pang_env *env, const pang_principal *who,
                                           pang_branch_made *ret, pang_err *err);

#endif
