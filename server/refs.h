/*
 * Refs: what branches, tags, commits and times name. A name of a ref is text that is none of the
 * others: no UUID, not all digits, none of "@ . / \ % # ? |".
 * Called by content.c and by all services about branches. Threads: as the transaction's.
 * Lifetime: results live in the arena.
 *
 * A point is a branch id and a number of the catalog's sequence; it is read through a chain of
 * levels: the branch up to that number, then what it was made from. What a branch id was made from
 * never changes. A branch's head is its newest commit; a branch without commits of its own has the
 * head of the point it was made at.
 */
#ifndef PANG_SERVER_REFS_H
#define PANG_SERVER_REFS_H

#include "api/keys_versions.h"
#include "server/content.h"

enum { PANG_REF_NAME_MAX = 255 /* bytes */ };
#define PANG_MAIN_REF PANG_STR("main")

/* What a text names by its form. */
typedef enum { PANG_REF_NAME, PANG_REF_COMMIT, PANG_REF_TIME } pang_ref_form;
pang_ref_form pang_ref_form_of(pang_str text);
/* Rules for the name of a new branch or tag. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_ref_name_check(const char *what, pang_str name, pang_err *err);

/* The ref of a name, checked by the commit; *ret is NULL when there is none. A branch or tag whose
 * deadline has passed is none, though its record is there still. */
PANG_MUST_CHECK pang_code pang_ref_find(pang_view *view, pang_str name, pang_rec_ref **ret,
                                        pang_err *err);
/* What never changes of a branch id, hidden ones too. Main has a record made up here. ERRORS:
 * NOT_FOUND (no such branch). */
PANG_MUST_CHECK pang_code pang_branch_find(pang_view *view, pang_id branch, pang_rec_branch **ret,
                                           pang_err *err);

/* Points `view` (of a catalog that is open already) at what `text` names: a branch, a tag, a
 * commit's id, or a time in milliseconds since 1970 (of the branch main). All but branches are
 * read-only. `reason` is for a ref that is not there. ERRORS: NOT_FOUND (reason), the store's. */
PANG_MUST_CHECK pang_code pang_view_switch(pang_view *view, pang_str text, const char *reason,
                                           pang_err *err);
/* The same for a point. ERRORS: NOT_FOUND (no such branch). */
PANG_MUST_CHECK pang_code pang_view_at_point(pang_view *view, pang_id branch, uint64_t sequence,
                                             pang_err *err);

/* How far back a catalog's history is whole: states of commit `number`, of time `time_ms`, and of
 * later ones are there on every branch, and all later commits; below, what refs and their merges
 * need. The records of commits above `log` are all there. Zeroes: everything is. */
typedef struct {
    uint64_t number;
    int64_t time_ms;
    uint64_t log;
} pang_floor;
/* Read once in a transaction, and checked by the commit: who passes on what was read asks after
 * reading. */
PANG_MUST_CHECK pang_code pang_floor_of(pang_view *view, pang_floor *ret, pang_err *err);
/* Whether states of a time are kept, which `text` named. ERRORS: NOT_FOUND (reason). */
PANG_MUST_CHECK pang_code pang_floor_check_time(pang_view *view, int64_t time_ms, pang_str text,
                                                const char *reason, pang_err *err);
/* Whether what a commit found is kept: for who takes it back, or does it again. ERRORS:
 * FAILED_PRECONDITION. */
PANG_MUST_CHECK pang_code pang_floor_check_before(pang_view *view, uint64_t sequence,
                                                  pang_err *err);

/* A commit and where it stands. */
typedef struct {
    pang_rec_commit *body; /* NULL: none */
    uint64_t sequence;
    int64_t time_ms;
} pang_commit_row;

/* By id. *ret.body is NULL when the catalog has none of it. */
PANG_MUST_CHECK pang_code pang_commit_by_id(pang_view *view, pang_id id, pang_commit_row *ret,
                                            pang_err *err);
/* The newest commit that the view shows, on its first level or on those it reads through; none in
 * an empty catalog. */
PANG_MUST_CHECK pang_code pang_commit_head(pang_view *view, pang_commit_row *ret, pang_err *err);
/* The newest one at or before a time. */
PANG_MUST_CHECK pang_code pang_commit_at_time(pang_view *view, int64_t time_ms,
                                              pang_commit_row *ret, pang_err *err);
/* Walks the commits that the view shows from the newest one down, or from below `before` when that
 * is not 0, over all its levels. Return false to stop. Bodies live until the callback returns.
 * Scans in bounded pieces; `fn` may read from the store. */
typedef bool pang_commit_fn(void *arg, const pang_commit_row *row);
PANG_MUST_CHECK pang_code pang_commit_walk(pang_view *view, uint64_t before, pang_commit_fn *fn,
                                           void *arg, pang_err *err);

#endif
