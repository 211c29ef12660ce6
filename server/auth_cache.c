/*
 * Permits are kept in shards, each a table of chains and a list in the order of use; what a shard
 * has room for is a part of the whole bound. A permit that a call holds is only referred to: a
 * change drops it from the cache and the call ends with what it began with.
 *
 * An account is read by several scans and gets, so two states may be mixed. The epoch is read
 * before and after: when it has not moved, neither has what was read in between.
 */
#include "server/auth_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16, BUCKETS = 1024, ROOT_MEMORY = 64 << 10 };

typedef struct entry {
    pang_permit permit;
    atomic_uint refs;
    pang_id tenant, principal;
    size_t bytes;
    struct entry *chain;
    struct entry *newer, *older; /* in the order of use */
    char text[];                 /* of the permit's keys */
} entry;

typedef struct {
    pthread_mutex_t lock; /* all of the shard */
    entry *buckets[BUCKETS];
    entry *newest, *oldest;
    size_t bytes, n;
    uint64_t hits, loads;
} shard;

struct pang_auth_cache {
    pang_grants_load_fn *load;
    void *load_arg;
    size_t shard_bytes;
    pang_permit root;
    shard shards[SHARDS];
};

static bool make_root(pang_permit *ret)
{
    pang_grants_source source = {.rank = PANG_RANK_ROOT};
    pang_arena *scratch = pang_arena_new(ROOT_MEMORY);
    bool made = scratch != NULL &&
                pang_grants_compile(&source, scratch, &ret->grants, NULL) == PANG_OK;
    pang_arena_free(scratch);
    return made;
}

pang_auth_cache *pang_auth_cache_new(size_t bytes, pang_grants_load_fn *load, void *load_arg)
{
    pang_auth_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return NULL;
    cache->load = load;
    cache->load_arg = load_arg;
    cache->shard_bytes = (bytes == 0 ? PANG_AUTH_CACHE_BYTES : bytes) / SHARDS;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&cache->shards[i].lock, NULL);
    if (!make_root(&cache->root)) {
        pang_auth_cache_free(cache);
        return NULL;
    }
    return cache;
}

const pang_permit *pang_auth_cache_root(const pang_auth_cache *cache)
{
    return &cache->root;
}

static void unref(void *arg)
{
    entry *e = arg;
    if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    pang_grants_unref(e->permit.grants);
    free(e);
}

void pang_auth_cache_free(pang_auth_cache *cache)
{
    for (size_t i = 0; cache != NULL && i < SHARDS; i++) {
        for (entry *e = cache->shards[i].newest, *next; e != NULL; e = next) {
            next = e->older;
            unref(e);
        }
        pthread_mutex_destroy(&cache->shards[i].lock);
    }
    if (cache != NULL)
        pang_grants_unref(cache->root.grants);
    free(cache);
}

/* ---- one shard, under its lock ---- */

/* Ids are ours, half of them chance: no stranger chooses where they fall. */
static uint64_t hash_of(pang_id tenant, pang_id principal)
{
    uint64_t a, b;
    memcpy(&a, tenant.bytes + 8, sizeof a);
    memcpy(&b, principal.bytes + 8, sizeof b);
    return (a * 31 + b) * 0x9E3779B97F4A7C15u;
}

static shard *shard_of(pang_auth_cache *cache, uint64_t hash)
{
    return &cache->shards[hash >> 60];
}

static entry **bucket_of(shard *s, uint64_t hash)
{
    return &s->buckets[(hash >> 48) % BUCKETS];
}

static void unlink_use(shard *s, entry *e)
{
    *(e->newer == NULL ? &s->newest : &e->newer->older) = e->older;
    *(e->older == NULL ? &s->oldest : &e->older->newer) = e->newer;
    e->newer = e->older = NULL;
}

static void link_use(shard *s, entry *e)
{
    e->older = s->newest;
    *(s->newest == NULL ? &s->oldest : &s->newest->newer) = e;
    s->newest = e;
}

static void drop(shard *s, entry *e)
{
    entry **at = bucket_of(s, hash_of(e->tenant, e->principal));
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlink_use(s, e);
    s->bytes -= e->bytes;
    s->n--;
    unref(e);
}

static entry *find(shard *s, uint64_t hash, pang_id tenant, pang_id principal)
{
    entry *e = *bucket_of(s, hash);
    while (e != NULL &&
           !(pang_id_equal(e->principal, principal) && pang_id_equal(e->tenant, tenant)))
        e = e->chain;
    return e;
}

/* ---- finding and keeping ---- */

/* With a reference for the caller; NULL: none of this epoch or a later one. */
static entry *take(pang_auth_cache *cache, const pang_principal *who, int64_t epoch)
{
    uint64_t hash = hash_of(who->tenant, who->id);
    shard *s = shard_of(cache, hash);
    pthread_mutex_lock(&s->lock);
    entry *e = find(s, hash, who->tenant, who->id);
    if (e != NULL && e->permit.epoch < epoch)
        e = NULL;
    if (e != NULL) {
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        unlink_use(s, e);
        link_use(s, e);
        s->hits++;
    }
    pthread_mutex_unlock(&s->lock);
    return e;
}

/* The newer of two that were loaded at once stays. */
static void keep(pang_auth_cache *cache, entry *e)
{
    uint64_t hash = hash_of(e->tenant, e->principal);
    shard *s = shard_of(cache, hash);
    pthread_mutex_lock(&s->lock);
    entry *old = find(s, hash, e->tenant, e->principal);
    s->loads++;
    if (e->bytes <= cache->shard_bytes && (old == NULL || old->permit.epoch <= e->permit.epoch)) {
        entry **bucket = bucket_of(s, hash);
        if (old != NULL)
            drop(s, old);
        while (s->bytes + e->bytes > cache->shard_bytes)
            drop(s, s->oldest);
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        e->chain = *bucket;
        *bucket = e;
        link_use(s, e);
        s->bytes += e->bytes;
        s->n++;
    }
    pthread_mutex_unlock(&s->lock);
}

void pang_auth_cache_get_stats(pang_auth_cache *cache, pang_auth_cache_stats *ret)
{
    *ret = (pang_auth_cache_stats){0};
    for (size_t i = 0; i < SHARDS; i++) {
        shard *s = &cache->shards[i];
        pthread_mutex_lock(&s->lock);
        ret->hits += s->hits;
        ret->loads += s->loads;
        ret->entries += s->n;
        ret->bytes += s->bytes;
        pthread_mutex_unlock(&s->lock);
    }
}

/* ---- loading ---- */

pang_code pang_auth_epoch_get(pang_txn *txn, pang_keys *keys, pang_ref *refs, size_t n,
                              pang_record *records, pang_err *err)
{
    refs[0] = (pang_ref){.key = pang_key_count(keys, PANG_COUNT_AUTH)};
    pang_code code = pang_keys_status(keys, err);
    return code == PANG_OK ? pang_txn_get(txn, refs, n, PANG_READ_UNCHECKED, records, err) : code;
}

static pang_code read_epoch(pang_txn *txn, pang_keys *keys, int64_t *ret, pang_err *err)
{
    pang_ref ref;
    pang_record record;
    pang_code code = pang_auth_epoch_get(txn, keys, &ref, 1, &record, err);
    if (code == PANG_OK)
        *ret = record.value;
    return code;
}

static pang_code make_entry(const pang_principal *who, const pang_standing *account, int64_t epoch,
                            pang_arena *scratch, entry **ret, pang_err *err)
{
    size_t text = 0,
           n = account->n_keys < PANG_AUTH_KEYS_MAX ? account->n_keys : PANG_AUTH_KEYS_MAX;
    pang_grants *grants = NULL;
    for (size_t i = 0; i < n; i++)
        text += account->keys[i].len;
    pang_code code = pang_grants_compile(&account->source, scratch, &grants, err);
    if (code != PANG_OK)
        return code;
    entry *e = calloc(1, sizeof *e + text);
    if (e == NULL) {
        pang_grants_unref(grants);
        return pang_fail_memory(err);
    }
    e->permit = (pang_permit){grants, epoch, account->token_epoch, .n_keys = n};
    char *at = e->text;
    for (size_t i = 0; i < n; i++) {
        e->permit.keys[i] = (pang_str){at, account->keys[i].len};
        if (account->keys[i].len > 0)
            memcpy(at, account->keys[i].ptr, account->keys[i].len);
        at += account->keys[i].len;
    }
    atomic_init(&e->refs, 1);
    e->tenant = who->tenant;
    e->principal = who->id;
    e->bytes = sizeof *e + text + pang_grants_bytes(grants);
    *ret = e;
    return PANG_OK;
}

/* One reading of the account. The second look at the epoch takes along what a cache answered, and
 * finds out when that was stale. ERRORS: ABORTED (it changed meanwhile), the loader's. */
static pang_code load_once(pang_auth_cache *cache, pang_call *call, pang_str scope, entry **ret,
                           pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = scope};
    pang_standing account = {.token_epoch = 0};
    int64_t before = 0, after = 0;
    pang_txn *txn = pang_txn_begin(call->server->db, scope, call->deadline_ms, call->arena);
    if (txn == NULL)
        return pang_fail_memory(err);
    pang_code code = read_epoch(txn, &keys, &before, err);
    if (code == PANG_OK)
        code = cache->load(cache->load_arg, txn, scope, call->who, call->arena, &account, err);
    if (code == PANG_OK)
        code = read_epoch(txn, &keys, &after, err);
    if (code == PANG_OK)
        code = pang_txn_finish(txn, err);
    if (code != PANG_OK)
        return code;
    if (before != after)
        return pang_fail(err, PANG_ABORTED, NULL, "the account changed while it was read");
    return make_entry(call->who, &account, after, call->arena, ret, err);
}

static pang_code load(pang_auth_cache *cache, pang_call *call, entry **ret, pang_err *err)
{
    pang_code code = PANG_ABORTED;
    char *scope = pang_arena_alloc_text(call->arena, PANG_ID_HEX + 1);
    *ret = NULL;
    if (scope == NULL)
        return pang_fail_memory(err);
    pang_id_hex(call->who->tenant, scope);
    for (int i = 0; code == PANG_ABORTED && i < PANG_AUTH_LOADS_MAX; i++)
        code = load_once(cache, call, (pang_str){scope, PANG_ID_HEX}, ret, err);
    if (code == PANG_ABORTED)
        return pang_fail(err, PANG_UNAVAILABLE, NULL,
                         "the tenant's accounts change too fast; try again");
    if (*ret != NULL)
        keep(cache, *ret);
    return code;
}

pang_code pang_auth_cache_get(pang_auth_cache *cache, pang_call *call, int64_t epoch,
                              const pang_permit **ret, pang_err *err)
{
    entry *e = take(cache, call->who, epoch);
    if (e == NULL) {
        pang_code code = load(cache, call, &e, err);
        if (code != PANG_OK)
            return code;
    }
    if (!pang_arena_on_reset(call->arena, unref, e))
        return pang_fail_memory(err);
    *ret = &e->permit;
    return PANG_OK;
}
