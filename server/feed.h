/*
 * The feed: commits of a catalog, or of what one branch is made of, in the order of their numbers.
 * Called by svc_watch.c. Threads: as the transaction's. Lifetime: results are values.
 */
#ifndef PANG_SERVER_FEED_H
#define PANG_SERVER_FEED_H

#include "server/common.h"

enum { PANG_FEED_BRANCHES_MAX = 100000 }; /* of a catalog, hidden ones too */

/* Reads the commits with numbers above `after` and up to `upto`, at most n, the least first; of all
 * branches of the view's catalog, or only those that the view shows. REQUIRES: the catalog's
 * sequence was read as `upto` or more before. ERRORS: RESOURCE_EXHAUSTED (too many branches), the
 * store's. */
PANG_MUST_CHECK pang_code pang_feed_read(pang_view *view, bool all, uint64_t after, uint64_t upto,
                                         pang_point *ret, size_t n, size_t *ret_n, pang_err *err);

#endif
