/*
 * The Iceberg services, for the list in server/services.c, and what they share beside names.
 * Called by the dispatcher through the list, and by svc_*.c among each other.
 * Threads: handlers run on any. Lifetime: tables are const, results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_SERVICES_H
#define PANG_SERVER_SVC_SERVICES_H

#include "api/service.h"
#include "server/content.h"

extern const pang_service pang_service_config;
extern const pang_service pang_service_namespace;
extern const pang_service pang_service_table;
extern const pang_service pang_service_view;
extern const pang_service pang_service_maintenance;

/* ---- lists: svc_list.c ---- */

/* One page of a list. */
typedef struct {
    pang_view *view;
    pang_content_query query;
    pang_str what;     /* all that the page token is bound to */
    uint64_t sequence; /* what the whole list is read at */
} pang_list;

/* Decides the state and the place that the page begins at; the view reads at that state from now
 * on. `token` NULL or empty: the list's first page. ERRORS: INVALID_ARGUMENT, the store's. */
PANG_MUST_CHECK pang_code pang_list_begin(pang_call *call, pang_view *view, pang_levels levels,
                                          pang_space space, const char *token, int32_t page_size,
                                          pang_list *ret, pang_err *err);
/* Rows of the page; *ret_token is set when another follows, and never to the empty string. */
PANG_MUST_CHECK pang_code pang_list_run(pang_call *call, pang_list *list, pang_content_row_fn *row,
                                        void *arg, char **ret_token, pang_err *err);

#endif
