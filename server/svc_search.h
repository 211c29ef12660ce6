/*
 * Search by a part of a name, over what the caller may see. Handlers of the system service.
 * Called through its table. Threads: any. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_SEARCH_H
#define PANG_SERVER_SVC_SEARCH_H

#include "api/service.h"

enum {
    PANG_SEARCH_ROWS_MAX = 50000, /* names looked at by one search */
    PANG_SEARCH_HITS_MAX = 1000,  /* returned by one */
    PANG_SEARCH_TEXT_MAX = 256,   /* bytes of what is searched for */
};

pang_handler pang_search, pang_search_assets;

#endif
