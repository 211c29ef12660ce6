/*
 * The read cache: records by key, bounded in bytes, in shards that have a lock each. What is used
 * least goes first, as a clock sees it: the hand passes over entries that were used since it last
 * came by, and takes the first that was not.
 *
 * Entries never change and are counted by reference, so a large body is lent to an arena instead
 * of copied, and outlives its eviction.
 *
 * The race that matters: a reader asks the store, a commit changes the record, the reader puts
 * what it got into the cache, and it is old for ever. So a change marks its key's stripe twice:
 * before the store hears of it (entry out, pending + 1) and after (pending - 1); each moves the
 * generation. A reader takes the generation along when it misses and may fill only while it
 * stands and nothing is pending.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/db.h"

enum {
    COPIED_BYTES_MAX = 4096, /* above it a body is pinned: two atomic counts beat the copy */
    BUCKETS_FIRST = 64,
};

struct pang_cache_entry {
    pang_cache_entry *chain;
    pang_cache_entry *older, *newer; /* the clock's ring */
    uint64_t hash;
    atomic_uint refs; /* the table's one, and one per arena it is pinned to */
    bool used;        /* since the hand came by */
    size_t bytes;
    pang_record rec; /* key and body lie behind the entry */
};

/* ---- entries ---- */

static pang_cache_entry *entry_new(uint64_t hash, const pang_record *rec)
{
    size_t bytes = sizeof(pang_cache_entry) + rec->key.len + rec->body.len;
    pang_cache_entry *e = malloc(bytes);
    if (e == NULL)
        return NULL;
    *e = (pang_cache_entry){.hash = hash, .bytes = bytes, .rec = *rec, .refs = 1};
    char *at = (char *)(e + 1);
    if (rec->key.len > 0)
        memcpy(at, rec->key.ptr, rec->key.len);
    if (rec->body.len > 0)
        memcpy(at + rec->key.len, rec->body.ptr, rec->body.len);
    e->rec.key.ptr = at;
    e->rec.body.ptr = at + rec->key.len;
    return e;
}

static void entry_unref(void *arg)
{
    pang_cache_entry *e = arg;
    if (atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        free(e);
}

/* ---- a shard; its lock is held ---- */

static pang_cache_shard *shard_of(pang_cache *cache, uint64_t hash)
{
    return &cache->shards[hash % PANG_CACHE_SHARDS];
}

static pang_cache_stripe *stripe_of(pang_cache_shard *shard, uint64_t hash)
{
    return &shard->stripes[hash / PANG_CACHE_SHARDS % (PANG_CACHE_STRIPES / PANG_CACHE_SHARDS)];
}

static pang_cache_entry **bucket_of(pang_cache_shard *shard, uint64_t hash)
{
    return &shard->buckets[(hash >> 32) & (shard->n_buckets - 1)];
}

/* Where the key's entry hangs; NULL when there is none. */
static pang_cache_entry **find_link(pang_cache_shard *shard, uint64_t hash, pang_str key)
{
    if (shard->n_buckets == 0)
        return NULL;
    for (pang_cache_entry **at = bucket_of(shard, hash); *at != NULL; at = &(*at)->chain)
        if ((*at)->hash == hash && pang_str_equal((*at)->rec.key, key))
            return at;
    return NULL;
}

static void remove_at(pang_cache_shard *shard, pang_cache_entry **link)
{
    pang_cache_entry *e = *link;
    *link = e->chain;
    if (e->newer == e) {
        shard->hand = NULL;
    } else {
        e->older->newer = e->newer;
        e->newer->older = e->older;
        if (shard->hand == e)
            shard->hand = e->newer;
    }
    shard->bytes -= e->bytes;
    shard->n_entries--;
    entry_unref(e);
}

static void remove_key(pang_cache_shard *shard, uint64_t hash, pang_str key)
{
    pang_cache_entry **link = find_link(shard, hash, key);
    if (link != NULL)
        remove_at(shard, link);
}

static void make_room(pang_cache_shard *shard, size_t bytes)
{
    while (shard->hand != NULL && shard->bytes + bytes > shard->bytes_max) {
        pang_cache_entry *e = shard->hand;
        if (e->used) {
            e->used = false;
            shard->hand = e->newer;
            continue;
        }
        remove_at(shard, find_link(shard, e->hash, e->rec.key));
    }
}

/* Doubles the table when chains get long. Without memory they get longer. */
static bool grow(pang_cache_shard *shard)
{
    if (shard->n_entries < shard->n_buckets)
        return true;
    size_t n = shard->n_buckets == 0 ? BUCKETS_FIRST : shard->n_buckets * 2;
    pang_cache_entry **fresh = calloc(n, sizeof(pang_cache_entry *));
    if (fresh == NULL)
        return shard->n_buckets > 0;
    pang_cache_entry **old = shard->buckets;
    size_t n_old = shard->n_buckets;
    shard->buckets = fresh;
    shard->n_buckets = n;
    for (size_t i = 0; i < n_old; i++)
        for (pang_cache_entry *e = old[i], *next; e != NULL; e = next) {
            next = e->chain;
            pang_cache_entry **bucket = bucket_of(shard, e->hash);
            e->chain = *bucket;
            *bucket = e;
        }
    free(old);
    return true;
}

static void link_entry(pang_cache_shard *shard, pang_cache_entry *e)
{
    pang_cache_entry **bucket = bucket_of(shard, e->hash);
    e->chain = *bucket;
    *bucket = e;
    if (shard->hand == NULL) {
        e->older = e->newer = shard->hand = e;
    } else { /* just behind the hand: the last it will come to */
        e->newer = shard->hand;
        e->older = shard->hand->older;
        e->older->newer = e;
        e->newer->older = e;
    }
    shard->bytes += e->bytes;
    shard->n_entries++;
}

/* ---- for the rest ---- */

void pang_cache_init(pang_cache *cache, size_t bytes, const pang_env *env)
{
    pang_env_random(env, &cache->seed, sizeof cache->seed);
    for (size_t i = 0; i < PANG_CACHE_SHARDS; i++) {
        pthread_mutex_init(&cache->shards[i].lock, NULL);
        cache->shards[i].bytes_max = bytes / PANG_CACHE_SHARDS;
    }
}

void pang_cache_done(pang_cache *cache)
{
    for (size_t i = 0; i < PANG_CACHE_SHARDS; i++) {
        pang_cache_shard *shard = &cache->shards[i];
        while (shard->hand != NULL)
            remove_at(shard, find_link(shard, shard->hand->hash, shard->hand->rec.key));
        free(shard->buckets);
        pthread_mutex_destroy(&shard->lock);
    }
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t pang_cache_hash(const pang_cache *cache, pang_str key)
{
    const uint64_t odd = 0x9E3779B97F4A7C15u;
    uint64_t hash = cache->seed ^ key.len, word;
    const char *at = key.ptr;
    size_t left = key.len;
    for (; left >= sizeof word; left -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = mix(hash ^ word, odd ^ cache->seed);
    }
    word = 0;
    if (left > 0)
        memcpy(&word, at, left);
    return mix(hash ^ word ^ ((uint64_t)left << 56), odd);
}

/* The body for the arena: by copy, or pinned. Takes over the reference to e. */
static bool lend_body(pang_cache_entry *e, pang_arena *arena, pang_record *ret)
{
    *ret = e->rec;
    if (e->rec.body.len > COPIED_BYTES_MAX)
        return pang_arena_on_reset(arena, entry_unref, e);
    char *copy = pang_arena_alloc_text(arena, e->rec.body.len);
    if (copy != NULL && e->rec.body.len > 0)
        memcpy(copy, e->rec.body.ptr, e->rec.body.len);
    ret->body.ptr = copy;
    entry_unref(e);
    return copy != NULL;
}

pang_cache_answer pang_cache_find(pang_cache *cache, uint64_t hash, pang_str key, pang_arena *arena,
                                  pang_record *ret, pang_cache_token *token)
{
    pang_cache_shard *shard = shard_of(cache, hash);
    pang_cache_entry *e = NULL;
    pthread_mutex_lock(&shard->lock);
    pang_cache_entry **link = find_link(shard, hash, key);
    if (link != NULL) {
        e = *link;
        e->used = true;
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        shard->hits++;
    } else {
        *token = stripe_of(shard, hash)->generation;
        shard->misses++;
    }
    pthread_mutex_unlock(&shard->lock);
    if (e == NULL)
        return PANG_CACHE_MISS;
    return lend_body(e, arena, ret) ? PANG_CACHE_HIT : PANG_CACHE_NO_MEMORY;
}

pang_cache_token pang_cache_watch(pang_cache *cache, uint64_t hash)
{
    pang_cache_shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->lock);
    pang_cache_token token = stripe_of(shard, hash)->generation;
    pthread_mutex_unlock(&shard->lock);
    return token;
}

static pang_cache_entry *entry_for(const pang_cache_shard *shard, uint64_t hash,
                                   const pang_record *rec)
{
    size_t bytes = sizeof(pang_cache_entry) + rec->key.len + rec->body.len;
    return bytes > shard->bytes_max / 2 ? NULL : entry_new(hash, rec);
}

/* Keeps the entry if nothing changed since the token was given. Takes it over; the lock is held. */
static void keep_entry(pang_cache_shard *shard, pang_cache_token token, pang_cache_entry *e)
{
    const pang_cache_stripe *stripe = stripe_of(shard, e->hash);
    bool fits = stripe->pending == 0 && stripe->generation == token;
    if (fits) {
        remove_key(shard, e->hash, e->rec.key);
        make_room(shard, e->bytes);
        fits = grow(shard);
    }
    if (fits)
        link_entry(shard, e);
    else
        entry_unref(e);
}

void pang_cache_fill(pang_cache *cache, uint64_t hash, pang_cache_token token,
                     const pang_record *rec)
{
    pang_cache_shard *shard = shard_of(cache, hash);
    pang_cache_entry *e = entry_for(shard, hash, rec);
    if (e == NULL)
        return;
    pthread_mutex_lock(&shard->lock);
    keep_entry(shard, token, e);
    pthread_mutex_unlock(&shard->lock);
}

bool pang_cache_holds(pang_cache *cache, uint64_t hash, pang_str key, uint64_t version)
{
    pang_cache_shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->lock);
    pang_cache_entry **link = find_link(shard, hash, key);
    bool holds = link != NULL && (*link)->rec.version == version;
    pthread_mutex_unlock(&shard->lock);
    return holds;
}

/* Moves the generation and returns it; the lock is held. */
static pang_cache_token change(pang_cache_shard *shard, uint64_t hash, pang_str key, int pending)
{
    pang_cache_stripe *stripe = stripe_of(shard, hash);
    stripe->pending += (uint32_t)pending;
    remove_key(shard, hash, key);
    return ++stripe->generation;
}

static pang_cache_token change_locked(pang_cache *cache, uint64_t hash, pang_str key, int pending)
{
    pang_cache_shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->lock);
    pang_cache_token token = change(shard, hash, key, pending);
    pthread_mutex_unlock(&shard->lock);
    return token;
}

void pang_cache_drop(pang_cache *cache, uint64_t hash, pang_str key)
{
    (void)change_locked(cache, hash, key, 0);
}

pang_cache_token pang_cache_begin_change(pang_cache *cache, uint64_t hash, pang_str key)
{
    return change_locked(cache, hash, key, 1);
}

pang_cache_token pang_cache_end_change(pang_cache *cache, uint64_t hash, pang_str key)
{
    return change_locked(cache, hash, key, -1);
}

void pang_cache_end_put(pang_cache *cache, uint64_t hash, pang_cache_token token,
                        const pang_record *rec)
{
    pang_cache_shard *shard = shard_of(cache, hash);
    pang_cache_entry *e = entry_for(shard, hash, rec);
    pthread_mutex_lock(&shard->lock);
    pang_cache_token ended = change(shard, hash, rec->key, -1);
    if (e != NULL && ended == token + 1)
        keep_entry(shard, ended, e);
    else if (e != NULL)
        entry_unref(e);
    pthread_mutex_unlock(&shard->lock);
}

void pang_cache_add_stats(pang_cache *cache, pang_db_stats *stats)
{
    for (size_t i = 0; i < PANG_CACHE_SHARDS; i++) {
        pang_cache_shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->lock);
        stats->cache_hits += shard->hits;
        stats->cache_misses += shard->misses;
        stats->cache_bytes += shard->bytes;
        pthread_mutex_unlock(&shard->lock);
    }
}
