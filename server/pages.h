/*
 * Pages: tokens that lead from one page of a list to the next. A token carries the sequence that
 * the list is read at and the name behind which the next page begins, and is authenticated
 * together with who asks and what is asked, so that it opens no other list and cannot be made up.
 * Called by services with lists. Threads: any. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_PAGES_H
#define PANG_SERVER_PAGES_H

#include "api/service.h"

enum {
    PANG_PAGE_DEFAULT = 1000, /* entries where the client does not say */
    PANG_PAGE_MAX = 10000,    /* entries of one page, whatever the client says */
};

typedef struct {
    uint64_t sequence;
    pang_str after; /* escaped */
} pang_page;

/* `query` is all that makes the list what it is: catalog, namespace and so on, one text. */
PANG_MUST_CHECK pang_code pang_page_token(const pang_call *call, pang_str query, pang_page page,
                                          char **ret, pang_err *err);
/* ERRORS: INVALID_ARGUMENT (not our token, or not for this list and caller). */
PANG_MUST_CHECK pang_code pang_page_read(const pang_call *call, pang_str query, pang_str token,
                                         pang_page *ret, pang_err *err);
/* The number of entries of a page: bounded, defaulted. ERRORS: INVALID_ARGUMENT (negative). */
PANG_MUST_CHECK pang_code pang_page_size(int64_t asked, size_t *ret, pang_err *err);

#endif
