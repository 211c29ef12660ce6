/*
 * Standing: what the store says about a principal: whether it is there and active, and its tenant
 * not about to go, its rank, its grants, its roles with all that they include.
 * Called through the cache of compiled grants. Threads: any. Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_STANDING_H
#define PANG_SERVER_STANDING_H

#include "server/auth_cache.h"

/* A pang_grants_load_fn; `arg` is not used. Root is never looked for: it has no account in a
 * tenant. ERRORS: also RESOURCE_EXHAUSTED (more grants or roles than a principal may have). */
pang_grants_load_fn pang_standing_load;

#endif
