/*
 * Branches: how refs come and go. A branch is made by one commit that writes a name (rf), what
 * never changes of its id (bi) and, on what it is made from, how far that was forked at (fk);
 * nothing is copied, unless it is partial. It ends by its name: the id stays, hidden, for whatever
 * reads through it. Called by svc_branch.c, svc_tag.c, due.c and by merges, whose rebase gives a
 * name a new branch. Threads: as the transaction's. Lifetime: results live in the view's arena.
 *
 * Rules:
 *  1. Whoever makes a ref at a point goes through pang_branch_make or pang_tag_make: they leave the
 *     fork mark that keeps the files of what is there from then on.
 *  2. A commit that lets go of files of a table that is not shared calls pang_branch_let_go. It
 *     and the making of a ref on that branch exclude each other, so that no ref is made of a state
 *     whose files are about to go.
 *  3. What must see all commits of a branch (a rebase, which replaces it) calls pang_branch_hold
 *     before it reads: a commit to the branch that lands meanwhile makes this one ABORTED.
 */
#ifndef PANG_SERVER_BRANCHES_H
#define PANG_SERVER_BRANCHES_H

#include "server/refs.h"

/* A key that is copied to a partial branch: a name, or all that is directly in a namespace. */
typedef struct {
    pang_levels levels;
    pang_str name; /* empty: all of the namespace */
} pang_selected;

/* Whether an asset in the namespace of this path, or (NULL) the namespace itself, may be known to
 * whoever selects. */
typedef pang_code pang_selectable_fn(void *arg, pang_str path, const pang_rec_content *asset,
                                     bool *ret, pang_err *err);

/* What a new branch is. Strings are borrowed. */
typedef struct {
    pang_str name;
    bool ingest;
    bool is_protected, own_paths;
    int64_t deadline_ms; /* 0: never */
    pang_str description;
    const pang_selected *selected; /* n_selected 0: everything */
    size_t n_selected;
    char **selected_as;             /* as its maker named them */
    pang_selectable_fn *selectable; /* NULL: everything; what is not is as if it were not there */
    void *selectable_arg;
    bool unnamed;      /* no name leads to it yet: pang_branch_swing gives it one */
    const pang_id *id; /* what it will be; NULL: a fresh one */
} pang_branch_options;

/* What was made. */
typedef struct {
    pang_id branch;
    pang_rec_ref *ref;
    pang_id head; /* nil: there is no commit */
} pang_branch_made;

/* Makes a branch of what `source` shows: of a branch as of now, up to the catalog's last commit.
 * The name is checked by the rules of names, and is free or has expired; the limit of levels is
 * checked. `source` then shows the point. ERRORS: INVALID_ARGUMENT (name, selection, too deep a
 * chain), ALREADY_EXISTS, NOT_FOUND (something selected), the store's. */
PANG_MUST_CHECK pang_code pang_branch_make(pang_view *source, const pang_env *env,
                                           const pang_principal *who,
                                           const pang_branch_options *options,
                                           pang_branch_made *ret, pang_err *err);

/* From now on the view of a branch as of now shows one state, that of the catalog's last commit,
 * and what lets go of that state's files does not land before this commit. Others stay as they are.
 */
PANG_MUST_CHECK pang_code pang_branch_settle(pang_view *source, pang_err *err);

/* What a new tag is. */
typedef struct {
    pang_str name;
    bool is_protected;
    pang_str description;
} pang_tag_options;
/* Puts a tag on the newest commit that `source` shows. ERRORS: INVALID_ARGUMENT (name; no commit),
 * ALREADY_EXISTS, the store's. */
PANG_MUST_CHECK pang_code pang_tag_make(pang_view *source, const pang_env *env,
                                        const pang_principal *who, const pang_tag_options *options,
                                        pang_rec_ref **ret, pang_err *err);

/* The name, of branch `old` until now, leads to `next` from now on, which pang_branch_make made
 * unnamed in this transaction; all else of the ref stays. The old id is hidden, and says who came
 * after it. ERRORS: NOT_FOUND
 * (the name leads elsewhere), the store's. */
PANG_MUST_CHECK pang_code pang_branch_swing(pang_view *view, const pang_env *env, pang_str name,
                                            pang_id old, const pang_branch_made *next,
                                            pang_err *err);
/* Ends a ref: its name is free, a branch is hidden. Protection is the caller's to look at. */
PANG_MUST_CHECK pang_code pang_ref_end(pang_view *view, const pang_env *env, pang_str name,
                                       const pang_rec_ref *ref, pang_err *err);

/* The branch `ref`, named `from`, is named `to` and says what `ref` says. ERRORS: INVALID_ARGUMENT
 * (name), ALREADY_EXISTS, the store's. */
PANG_MUST_CHECK pang_code pang_branch_rename(pang_view *view, const pang_env *env, pang_str from,
                                             pang_str to, const pang_rec_ref *ref, pang_err *err);
/* The ref says from now on what `ref` says. */
PANG_MUST_CHECK pang_code pang_ref_change(pang_view *view, pang_str name, const pang_rec_ref *ref,
                                          pang_err *err);

/* There is work at the deadline, which ends the branch unless it has another one by then. */
PANG_MUST_CHECK pang_code pang_branch_expire_at(pang_view *view, const pang_env *env,
                                                pang_id branch, int64_t deadline_ms, pang_err *err);
/* That work. `view` need not show anything: its transaction, arena, keys and catalog are used. */
PANG_MUST_CHECK pang_code pang_branch_expire(pang_view *view, const pang_env *env, pang_id branch,
                                             pang_err *err);

/* No commit to the branch lands before this one. *ret_sequence is the catalog's last number, beyond
 * which there is nothing on the branch; may be NULL. */
PANG_MUST_CHECK pang_code pang_branch_hold(pang_view *view, pang_id branch, uint64_t *ret_sequence,
                                           pang_err *err);
/* See rule 2; `view` is of the branch that is written. */
void pang_branch_let_go(pang_view *view);

/* server/branch_copy.c: copies what is selected of `source`, which shows one state, to the branch
 * of that id, which is new; of pang_branch_make alone. */
PANG_MUST_CHECK pang_code pang_branch_copy(pang_view *source, const pang_env *env,
                                           const pang_principal *who,
                                           const pang_branch_options *options, pang_id branch,
                                           pang_id *ret_commit, pang_err *err);

#endif
