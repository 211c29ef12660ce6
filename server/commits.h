/*
 * Commits as clients see them: the log of a view, read backwards through filters, and a commit's
 * record with what each of its names stood for.
 * Called by svc_commit.c and svc_watch.c. Threads: as the transaction's. Lifetime: results live in
 * the view's arena.
 */
#ifndef PANG_SERVER_COMMITS_H
#define PANG_SERVER_COMMITS_H

#include "server/common.h"

#include "pangolin/v1/commit.pb-c.h"

enum {
    PANG_LOG_PAGE_MAX = 1000,     /* commits of one page */
    PANG_LOG_LOOKED_MAX = 20000,  /* commits looked at for one page, and passed over before it */
    PANG_LOG_CHANGES_MAX = 100,   /* changes shown of one commit in a list */
    PANG_LOG_DETAILS_MAX = 10000, /* changes shown on one page */
    PANG_LOG_LISTED_MAX = 100000, /* changes that its commits list: a page ends once it has these */
};

/* ---- the log ---- */

#define PANG_NO_END INT64_MAX

/* Which commits are meant. What is empty or nil asks nothing. */
typedef struct {
    pang_str author; /* a name */
    pang_id author_id;
    int64_t from_ms, until_ms; /* of then or later, and before; PANG_NO_END: no end */
    bool by_name;
    pang_name name; /* only those that changed it */
} pang_commit_filter;

/* Whether a commit is meant, as far as its record tells. */
bool pang_commit_matches(const pang_commit_filter *filter, const pang_commit_row *row);

/* Where a page ended: below which number it goes on, and what name is followed there. */
typedef struct {
    uint64_t before; /* 0: at the newest; of a next place: there is none */
    pang_name name;
} pang_log_place;

/* Reads a page of the log, newest first: at most n points into `ret`, after `skip` were passed
 * over. ERRORS: INVALID_ARGUMENT (to pass over so many, more than PANG_LOG_LOOKED_MAX had to be
 * looked at), the store's. A name is followed over renames, and costs the changes of the name
 * alone. *place says where the page begins, and then where the next does. */
PANG_MUST_CHECK pang_code pang_log_read(pang_view *view, const pang_commit_filter *filter,
                                        size_t skip, pang_log_place *place, pang_point *ret,
                                        size_t n, size_t *ret_n, pang_err *err);

/* The view shows its chain from now on: what a partial branch was made from, too. */
PANG_MUST_CHECK pang_code pang_log_view(pang_view *view, pang_err *err);

/* The levels of a key's path, as strings of a message. */
PANG_MUST_CHECK pang_code pang_path_levels(pang_str path, pang_arena *arena, char ***ret,
                                           size_t *ret_n, pang_err *err);

/* ---- showing ---- */

typedef struct {
    size_t changes_max; /* shown of one commit */
    size_t details_left;
    bool before; /* also what names stood for before */
} pang_commit_shape;

/* The commit at a point. *ret is NULL when there is none (any more). */
PANG_MUST_CHECK pang_code pang_commit_at(pang_view *view, pang_point point, pang_commit_row *ret,
                                         pang_err *err);
PANG_MUST_CHECK pang_code pang_commit_show(pang_view *view, const pang_commit_row *row,
                                           pang_commit_shape *shape, Pangolin__V1__Commit **ret,
                                           pang_err *err);
/* A name's state as a message; NULL in *ret where it stands for nothing. */
PANG_MUST_CHECK pang_code pang_state_show(const pang_content *content, pang_arena *arena,
                                          Pangolin__V1__CommitState **ret, pang_err *err);
/* "namespace", "table", "view" or "asset". */
char *pang_kind_text(Pangolin__Store__V1__Kind kind);
/* The branch's name, or the last that it had. */
PANG_MUST_CHECK pang_code pang_branch_text(pang_view *view, pang_id branch, char **ret,
                                           pang_err *err);

#endif
