/*
 * Catalogs as the management services see them: found by name, listed as far as the caller may see
 * them, and what becomes of one that is deleted.
 * Called by svc_catalog.c, svc_tree.c and svc_system.c, and by due.c. Threads: as the
 * transaction's. Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_CATALOGS_H
#define PANG_SERVER_CATALOGS_H

#include "server/content.h"

/* By name. The commit checks that it is as it was read. ERRORS: NOT_FOUND, the store's. */
PANG_MUST_CHECK pang_code pang_catalog_find(pang_call *call, const char *name,
                                            pang_rec_catalog **ret, pang_err *err);

/* A page of those that the caller may see, by name. */
typedef struct {
    int32_t page_size, offset;
    const char *token; /* NULL or empty: from the start */
} pang_catalogs_query;
/* *ret_token: NULL on the last page. ERRORS: INVALID_ARGUMENT, the store's. */
PANG_MUST_CHECK pang_code pang_catalogs_list(pang_call *call, const pang_catalogs_query *query,
                                             pang_rec_catalog ***ret, size_t *ret_n,
                                             char **ret_token, pang_err *err);

#endif
