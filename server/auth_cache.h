/*
 * The cache of compiled grants: what a principal may do, by the state of its tenant's auth epoch.
 * Every change to users, roles, grants and tags adds one to that counter in its own commit; a call
 * reads the counter in the round trip that it makes anyway, and what was compiled under another
 * value is compiled anew. So a change holds from the next request on, on every server.
 * Called by server/evaluate.c. Threads: any. Lifetime: outlives every call; a permit lives as long
 * as it is referred to, whatever the cache has dropped.
 */
#ifndef PANG_SERVER_AUTH_CACHE_H
#define PANG_SERVER_AUTH_CACHE_H

#include "api/keys_identity.h"
#include "api/service.h"
#include "server/grants.h"

enum {
    PANG_AUTH_CACHE_BYTES = 64 << 20, /* of all permits that are kept */
    PANG_AUTH_KEYS_MAX = 4,           /* API keys of one service user */
    PANG_AUTH_LOADS_MAX = 4,          /* tries to read an account between two changes */
};

/* An account as the store has it. All borrowed from the arena it was loaded in. */
typedef struct {
    pang_grants_source source; /* rank NOBODY: it is not there, or not active */
    uint64_t token_epoch;      /* tokens with a lower one have ended */
    const pang_str *keys;      /* ids of the API keys that it has */
    size_t n_keys;
} pang_standing;

/* Reads an account in a transaction of its own; whatever it reads may be of two states, which is
 * found out afterwards. ERRORS: the store's, DATA_LOSS, RESOURCE_EXHAUSTED. */
typedef pang_code pang_grants_load_fn(void *arg, pang_txn *txn, pang_str scope,
                                      const pang_principal *who, pang_arena *arena,
                                      pang_standing *ret, pang_err *err);

/* What one principal may do, at one epoch of its tenant. Const. */
typedef struct pang_permit {
    pang_grants *grants;
    int64_t epoch;
    uint64_t token_epoch;
    pang_str keys[PANG_AUTH_KEYS_MAX];
    size_t n_keys;
} pang_permit;

typedef struct pang_auth_cache pang_auth_cache;

/* `bytes` 0: PANG_AUTH_CACHE_BYTES. NULL without memory. */
pang_auth_cache *pang_auth_cache_new(size_t bytes, pang_grants_load_fn *load, void *load_arg);
/* REQUIRES: no call in flight. NULL is fine. */
void pang_auth_cache_free(pang_auth_cache *cache);

/* The caller's permit, as of `epoch` or later; it lives until the call's arena is reset. ERRORS:
 * the loader's, UNAVAILABLE (the tenant's accounts change faster than they can be read). */
PANG_MUST_CHECK pang_code pang_auth_cache_get(pang_auth_cache *cache, pang_call *call,
                                              int64_t epoch, const pang_permit **ret,
                                              pang_err *err);

/* Root's, which is in no tenant and in no store. */
const pang_permit *pang_auth_cache_root(const pang_auth_cache *cache);

/* For metrics. */
typedef struct {
    uint64_t hits, loads, entries, bytes;
} pang_auth_cache_stats;
void pang_auth_cache_get_stats(pang_auth_cache *cache, pang_auth_cache_stats *ret);

/* Reads the epoch in a transaction, with other refs in the same round trip: records[0] is the
 * epoch's, and refs[0] is filled in. */
PANG_MUST_CHECK pang_code pang_auth_epoch_get(pang_txn *txn, pang_keys *keys, pang_ref *refs,
                                              size_t n, pang_record *records, pang_err *err);

#endif
