/*
 * Differences between two states of a catalog: which names stand for something else. They come from
 * both sides' logs, down to where the two were the same, so they cost what was done since.
 * Called by svc_diff.c. Threads: as the transaction's. Lifetime: results live in the views' arena.
 */
#ifndef PANG_SERVER_DIFF_H
#define PANG_SERVER_DIFF_H

#include "server/common.h"

enum {
    PANG_DIFF_PAGE_MAX = 1000,   /* entries of one page */
    PANG_DIFF_LOOKED_MAX = 5000, /* changes looked at for one page */
    PANG_DIFF_NAMES_MAX = 100,   /* names that are asked about */
};

/* Both views read at points, not as of now, so that pages agree. */
typedef struct {
    pang_view from, to;
    bool from_partial, to_partial; /* of these only what they hold is compared */
    pang_common common;
} pang_diff;

/* ERRORS: FAILED_PRECONDITION (the two have nothing in common), the store's. */
PANG_MUST_CHECK pang_code pang_diff_open(const pang_view *from, const pang_view *to,
                                         uint64_t sequence, pang_diff *ret, pang_err *err);

typedef enum {
    PANG_DIFF_ADDED,
    PANG_DIFF_REMOVED,
    PANG_DIFF_CHANGED,
    PANG_DIFF_RENAMED, /* and perhaps changed, too */
} pang_diff_kind;

/* What differs: an asset, by its name where it is in `to`, else in `from`. The side on which it is
 * not has no body. */
typedef struct {
    pang_diff_kind kind;
    pang_content from, to;
} pang_diff_entry;

/* Where a page begins: at a change of a commit; number 0: at the first one, or behind the last. */
typedef struct {
    uint64_t number;
    size_t index;
} pang_diff_place;

/* A page: entries in the order of the newest commit that touched their names, newest first. `ret`
 * has room for `most` and one. */
PANG_MUST_CHECK pang_code pang_diff_read(pang_diff *diff, pang_diff_place *place,
                                         pang_diff_entry *ret, size_t most, size_t *ret_n,
                                         pang_err *err);
/* The same for given names, at most PANG_DIFF_NAMES_MAX; `ret` has room for twice as many. */
PANG_MUST_CHECK pang_code pang_diff_names(pang_diff *diff, const pang_name *names, size_t n,
                                          pang_diff_entry *ret, size_t *ret_n, pang_err *err);

#endif
