/*
 * Index: finds elements of a list that is searched often, by hashes that its user makes. Two
 * elements may have one hash, so whoever asks looks at each that is found.
 *
 *     pang_index_walk it = pang_index_of(&index, hash);
 *     while ((element = pang_index_next(&it)) != NULL)
 *         if (is_the_one(element)) ...
 *
 * Who chooses the names may choose such as have one hash. Then each is looked at for each, which
 * the number of names in one commit bounds: 16,384 times 16,384 comparisons of numbers, a second.
 *
 * Called by merges and by what copies or shows many names. Threads: one. Lifetime: its arena's;
 * elements are borrowed, and must not move.
 */
#ifndef PANG_SERVER_INDEX_H
#define PANG_SERVER_INDEX_H

#include "api/arena.h"

struct pang_index_slot;
/* Zero it but for the arena. */
typedef struct {
    pang_arena *arena;
    struct pang_index_slot *slots;
    size_t n, size;
} pang_index;

typedef struct {
    const pang_index *index;
    uint64_t hash;
    size_t at;
} pang_index_walk;

/* `element` is not NULL. False without memory. */
bool pang_index_add(pang_index *index, uint64_t hash, void *element);
pang_index_walk pang_index_of(const pang_index *index, uint64_t hash);
/* The next element of that hash, in the order in which they were added; NULL: no more. */
void *pang_index_next(pang_index_walk *walk);

#endif
