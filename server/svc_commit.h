/*
 * The service of commits, for the list in server/services.c, and what its parts share: the log and
 * single commits (svc_commit.c), differences (svc_diff.c), watching (svc_watch.c).
 * Called by the dispatcher through the list. Threads: handlers run on any. Lifetime: tables are
 * const, results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_COMMIT_H
#define PANG_SERVER_SVC_COMMIT_H

#include "server/commits.h"

extern const pang_service pang_service_commit;

/* The view of a ref of a catalog; `ref` empty: main. ERRORS: NOT_FOUND, INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_commit_view(pang_call *call, const char *catalog, const char *ref,
                                           pang_view *ret, pang_err *err);
/* What a request asks for by author and name, which is one of the view's where its dots can be read
 * in several ways. ERRORS: INVALID_ARGUMENT, the store's. */
PANG_MUST_CHECK pang_code pang_commit_filter_read(pang_view *view, const char *author,
                                                  const char *table, pang_commit_filter *ret,
                                                  pang_err *err);
/* The number of commits of a page: bounded, defaulted. ERRORS: INVALID_ARGUMENT (negative). */
PANG_MUST_CHECK pang_code pang_commit_page_size(int32_t asked, size_t *ret, pang_err *err);

/* The handler of svc_diff.c. */
pang_handler pang_diff_refs;
/* Handlers of svc_watch.c. */
pang_handler pang_poll_commits;
pang_stream_handler pang_watch_commits;

#endif
