/*
 * Documents: a table of chains and one list in the order of use, under one lock that is held for
 * a few pointer moves. An entry is counted: the cache holds one reference, each reader one until
 * its arena is reset, so that eviction never waits for a reader.
 */
#include "server/documents.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHAINS = 4096,    /* a power of two */
    LARGEST_PART = 8, /* of max_bytes */
};

typedef struct entry {
    struct entry *chain;         /* next in its chain */
    struct entry *newer, *older; /* in the order of use */
    pang_documents *owner;
    pang_id id;
    pang_shape shape;
    pang_overlay overlay;
    unsigned references;
    bool cached;
    size_t len;
    char text[];
} entry;

struct pang_documents {
    pthread_mutex_t lock; /* guards all below and every entry's links and counts */
    entry *chains[CHAINS];
    entry *newest, *oldest;
    size_t max_bytes;
    pang_documents_stats stats;
};

pang_documents *pang_documents_new(size_t max_bytes)
{
    pang_documents *made = calloc(1, sizeof *made);
    if (made == NULL)
        return NULL;
    if (pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        return NULL;
    }
    made->max_bytes = max_bytes;
    return made;
}

static entry **chain_of(pang_documents *documents, pang_id id)
{
    /* Ids are of chance in their last bytes. */
    size_t at = (size_t)id.bytes[14] << 8 | id.bytes[15];
    return &documents->chains[at & (CHAINS - 1)];
}

static bool same_overlay(pang_overlay a, pang_overlay b)
{
    return a.shared == b.shared && a.paths.mark == b.paths.mark &&
           pang_id_equal(a.paths.branch, b.paths.branch);
}

static entry *find(pang_documents *documents, pang_id id, pang_shape shape, pang_overlay overlay)
{
    entry *e = *chain_of(documents, id);
    while (e != NULL &&
           (e->shape != shape || !pang_id_equal(e->id, id) || !same_overlay(e->overlay, overlay)))
        e = e->chain;
    return e;
}

static void unlink_use(pang_documents *documents, entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &documents->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &documents->oldest) = e->newer;
    e->newer = e->older = NULL;
}

static void link_newest(pang_documents *documents, entry *e)
{
    e->older = documents->newest;
    *(e->older != NULL ? &e->older->newer : &documents->oldest) = e;
    documents->newest = e;
}

/* Takes one reference away. Returns whether it was the last: then the caller frees the entry, once
 * it has let go of the lock. */
static bool release_locked(entry *e)
{
    assert(e->references > 0);
    bool last = --e->references == 0;
    assert(!last || !e->cached);
    return last;
}

static size_t size_of(const entry *e)
{
    return sizeof *e + e->len;
}

/* The entry is out of the cache. Returns it when nobody reads it, to be freed; else NULL. */
static entry *drop(pang_documents *documents, entry *e)
{
    entry **at = chain_of(documents, e->id);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlink_use(documents, e);
    e->cached = false;
    documents->stats.documents--;
    documents->stats.bytes -= size_of(e);
    return release_locked(e) ? e : NULL;
}

static void free_chain(entry *e)
{
    for (entry *next; e != NULL; e = next) {
        next = e->chain;
        free(e);
    }
}

void pang_documents_free(pang_documents *documents)
{
    if (documents == NULL)
        return;
    while (documents->oldest != NULL)
        free(drop(documents, documents->oldest));
    pthread_mutex_destroy(&documents->lock);
    free(documents);
}

static void release(void *arg)
{
    entry *e = arg;
    pang_documents *owner = e->owner;
    pthread_mutex_lock(&owner->lock);
    bool last = release_locked(e);
    pthread_mutex_unlock(&owner->lock);
    if (last)
        free(e);
}

/* Returns what had to go for it, chained, to be freed. */
static entry *add(pang_documents *documents, entry *e)
{
    entry **chain = chain_of(documents, e->id), *freed = NULL;
    e->chain = *chain;
    *chain = e;
    link_newest(documents, e);
    documents->stats.documents++;
    documents->stats.bytes += size_of(e);
    while (documents->stats.bytes > documents->max_bytes) {
        entry *gone = drop(documents, documents->oldest);
        if (gone != NULL) {
            gone->chain = freed;
            freed = gone;
        }
    }
    return freed;
}

bool pang_documents_find(pang_documents *documents, pang_id id, pang_shape shape,
                         pang_overlay overlay, pang_arena *arena, pang_str *ret)
{
    pthread_mutex_lock(&documents->lock);
    entry *e = find(documents, id, shape, overlay);
    if (e != NULL) {
        e->references++;
        documents->stats.hits++;
        if (documents->newest != e) {
            unlink_use(documents, e);
            link_newest(documents, e);
        }
    } else {
        documents->stats.misses++;
    }
    pthread_mutex_unlock(&documents->lock);
    if (e == NULL || !pang_arena_on_reset(arena, release, e))
        return false;
    *ret = (pang_str){e->text, e->len};
    return true;
}

void pang_documents_keep(pang_documents *documents, pang_id id, pang_shape shape,
                         pang_overlay overlay, pang_str text)
{
    if (text.len > documents->max_bytes / LARGEST_PART)
        return;
    entry *e = malloc(sizeof *e + text.len);
    if (e == NULL)
        return;
    *e = (entry){.owner = documents,
                 .id = id,
                 .shape = shape,
                 .overlay = overlay,
                 .references = 1,
                 .cached = true,
                 .len = text.len};
    if (text.len > 0)
        memcpy(e->text, text.ptr, text.len);
    pthread_mutex_lock(&documents->lock);
    entry *freed = find(documents, id, shape, overlay) == NULL ? add(documents, e) : e;
    pthread_mutex_unlock(&documents->lock);
    free_chain(freed);
}

void pang_documents_get_stats(pang_documents *documents, pang_documents_stats *ret)
{
    pthread_mutex_lock(&documents->lock);
    *ret = documents->stats;
    pthread_mutex_unlock(&documents->lock);
}
