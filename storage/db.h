/*
 * Inside of the catalog handle: what txn.c, group.c and cache.c share. Not for others; they use
 * api/txn.h.
 *
 * A pang_db is a store with two things in front: a cache that answers reads, and a gate through
 * which commits go down in groups. Both are used by any thread; a transaction belongs to one.
 * Lock order: none is ever held while another is taken, nor over a call of the store.
 */
#ifndef PANG_STORAGE_DB_H
#define PANG_STORAGE_DB_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/txn.h"

/* ---- cache.c ---- */

enum {
    PANG_CACHE_SHARDS = 16,
    PANG_CACHE_STRIPES = 4096, /* of change marks; a multiple of the shards */
};

typedef struct pang_cache_entry pang_cache_entry;

/* A mark for the keys whose hash ends alike. While `pending` changes of such keys are under way,
 * and when `generation` moved since a read began, what that read found may be old. */
typedef struct {
    uint32_t generation, pending;
} pang_cache_stripe;

typedef struct {
    pthread_mutex_t lock;        /* guards all of the shard, and its stripes */
    pang_cache_entry **buckets;  /* chains; NULL before the first entry */
    size_t n_buckets, n_entries; /* n_buckets: 0 or a power of two */
    size_t bytes, bytes_max;
    pang_cache_entry *hand; /* of the clock; NULL when empty */
    uint64_t hits, misses;
    pang_cache_stripe stripes[PANG_CACHE_STRIPES / PANG_CACHE_SHARDS];
} pang_cache_shard;

typedef struct {
    uint64_t seed; /* of the hash: keys hold names that strangers choose */
    /* How many changes began, counted when their keys are out and before the store hears of them:
     * a reader for whom it stood still saw no key of a commit that landed meanwhile. */
    atomic_uint_fast64_t changes;
    pang_cache_shard shards[PANG_CACHE_SHARDS];
} pang_cache;

/* The stripe's generation: when a read missed, which pang_cache_fill wants back, or right after a
 * change began, which pang_cache_end_put does. */
typedef uint32_t pang_cache_token;

typedef enum { PANG_CACHE_MISS, PANG_CACHE_HIT, PANG_CACHE_NO_MEMORY } pang_cache_answer;

void pang_cache_init(pang_cache *cache, size_t bytes, const pang_env *env);
void pang_cache_done(pang_cache *cache);
uint64_t pang_cache_hash(const pang_cache *cache, pang_str key);
/* HIT: *ret is filled in but for its key; the body is copied into the arena, or pinned until the
 * arena is reset when it is large. version 0: known to be absent. MISS: *token is. */
pang_cache_answer pang_cache_find(pang_cache *cache, uint64_t hash, pang_str key, pang_arena *arena,
                                  pang_record *ret, pang_cache_token *token);
/* The token of a key that is read past the cache. */
pang_cache_token pang_cache_watch(pang_cache *cache, uint64_t hash);
/* Keeps what the store answered for rec->key, unless the key changed since the token was given.
 * Without memory it does nothing. */
void pang_cache_fill(pang_cache *cache, uint64_t hash, pang_cache_token token,
                     const pang_record *rec);
/* Still holds the key at this version. */
bool pang_cache_holds(pang_cache *cache, uint64_t hash, pang_str key, uint64_t version);
void pang_cache_drop(pang_cache *cache, uint64_t hash, pang_str key);
/* The key is out of the cache, and stays out until its change has ended. Both return the token that
 * the stripe has then. */
pang_cache_token pang_cache_begin_change(pang_cache *cache, uint64_t hash, pang_str key);
pang_cache_token pang_cache_end_change(pang_cache *cache, uint64_t hash, pang_str key);
/* The change that got this token has put `rec`. It is kept, unless a change that may be of the same
 * key was under way at any time since: which of the two was last, nobody can say. */
void pang_cache_end_put(pang_cache *cache, uint64_t hash, pang_cache_token token,
                        const pang_record *rec);
void pang_cache_add_stats(pang_cache *cache, pang_db_stats *stats);

/* ---- group.c ---- */

typedef struct pang_waiter pang_waiter;

typedef struct {
    pang_store *store;    /* borrows */
    unsigned max;         /* commits of one apply */
    size_t bytes_max;     /* of one apply, 64 for each record included, unless it is one commit */
    pang_commit **batch;  /* `max` of them; the leader's */
    pthread_mutex_t lock; /* guards all below */
    pang_waiter *scopes;  /* ring of the first waiter of each scope; the next one to be served */
    size_t waiting;       /* commits in the ring; tests look at it */
    bool led;             /* a leader is on its way */
    atomic_uint_fast64_t groups;
} pang_group;

/* False without memory. */
bool pang_group_init(pang_group *group, pang_store *store, unsigned max, size_t bytes_max);
void pang_group_done(pang_group *group);
/* Applies the commit, together with those of other callers. Sets its outcome. */
void pang_group_commit(pang_group *group, pang_commit *commit);

/* ---- bell.c ---- */

enum { PANG_BELLS = 64 };

/* Rung by each commit that took a number of a sequence whose hash ends alike. */
typedef struct {
    pthread_mutex_t lock; /* guards rung */
    pthread_cond_t heard;
    uint32_t rung;
} pang_bell;

/* False without memory. */
bool pang_bells_init(pang_bell bells[PANG_BELLS]);
void pang_bells_done(pang_bell bells[PANG_BELLS]);
void pang_bells_ring(pang_bell bells[PANG_BELLS], const pang_str *sequences, size_t n);

/* ---- txn.c ---- */

struct pang_db {
    unsigned magic;    /* PANG_DB_MAGIC */
    pang_store *store; /* owns */
    bool exclusive;    /* what is cached is so, and needs no validation */
    pang_cache cache;
    pang_group group;
    pang_bell bells[PANG_BELLS];
    atomic_uint_fast64_t commits, aborted, failed, unknown, gets, scans;
};
#define PANG_DB_MAGIC 0x50444230u

#endif
