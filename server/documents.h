/*
 * Documents: the cache of decompressed metadata documents, so that a load of a hot table is
 * neither a decompression nor a copy: the reply borrows the cached bytes until it was packed.
 * Called by server/metadata.c. Threads: any. Lifetime: a reader's bytes stay until its arena is
 * reset, also when the cache has dropped them meanwhile.
 *
 * Documents are immutable and named by ids that are never used again, so nothing is ever stale.
 */
#ifndef PANG_SERVER_DOCUMENTS_H
#define PANG_SERVER_DOCUMENTS_H

#include "api/arena.h"
#include "api/id.h"

typedef struct pang_documents pang_documents;

/* What is kept of a document. */
typedef enum {
    PANG_WHOLE,     /* as it is */
    PANG_REFS_ONLY, /* of its snapshots only those that a ref names */
} pang_shape;

/* Where a branch's own files go: to a folder of its own until something is made of the branch, a
 * merge, a branch or a tag, which reads that folder from then on; then to another one. */
typedef struct {
    pang_id branch; /* nil: none are named */
    uint64_t mark;  /* up to which number something was made of the branch; 0: nothing was */
} pang_own_paths;

/* What the catalog says over a stored document in its replies: server/shared.h. */
typedef struct {
    bool shared;          /* the properties that stop engines from cleaning up */
    pang_own_paths paths; /* that are named */
} pang_overlay;
#define PANG_NO_OVERLAY ((pang_overlay){0})

/* Keeps at most max_bytes, the least recently used go first. NULL without memory. */
pang_documents *pang_documents_new(size_t max_bytes);
void pang_documents_free(pang_documents *documents); /* NULL is fine */

/* On a hit *ret borrows until the arena is reset. */
bool pang_documents_find(pang_documents *documents, pang_id id, pang_shape shape,
                         pang_overlay overlay, pang_arena *arena, pang_str *ret);
/* Keeps a copy. What is larger than an eighth of the cache, or finds no memory, is not kept. */
void pang_documents_keep(pang_documents *documents, pang_id id, pang_shape shape,
                         pang_overlay overlay, pang_str text);

typedef struct {
    uint64_t documents, bytes, hits, misses;
} pang_documents_stats;
void pang_documents_get_stats(pang_documents *documents, pang_documents_stats *ret);

#endif
