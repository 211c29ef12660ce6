/*
 * Index: open addresses, at most half full, so that a walk ends soon. Hashes are kept, and elements
 * are asked for nothing when it grows; they go over in the order of their slots, from a free one
 * on, which keeps those of one hash in theirs.
 */
#include "server/index.h"

enum { SIZE_MIN = 16 };

struct pang_index_slot {
    uint64_t hash;
    void *element; /* NULL: free */
};

static void put(pang_index *index, uint64_t hash, void *element)
{
    size_t at = (size_t)hash & (index->size - 1);
    while (index->slots[at].element != NULL)
        at = (at + 1) & (index->size - 1);
    index->slots[at] = (struct pang_index_slot){hash, element};
}

static bool grow(pang_index *index)
{
    pang_index old = *index;
    size_t size = old.size == 0 ? SIZE_MIN : old.size * 2, first = 0;
    struct pang_index_slot *slots = pang_arena_alloc_n(index->arena, size, sizeof *slots);
    if (slots == NULL)
        return false;
    index->slots = slots;
    index->size = size;
    while (first < old.size && old.slots[first].element != NULL)
        first++;
    for (size_t i = 0; i < old.size; i++) {
        const struct pang_index_slot *slot = &old.slots[(first + i) & (old.size - 1)];
        if (slot->element != NULL)
            put(index, slot->hash, slot->element);
    }
    return true;
}

bool pang_index_add(pang_index *index, uint64_t hash, void *element)
{
    if ((index->n + 1) * 2 > index->size && !grow(index))
        return false;
    put(index, hash, element);
    index->n++;
    return true;
}

pang_index_walk pang_index_of(const pang_index *index, uint64_t hash)
{
    return (pang_index_walk){index, hash, (size_t)hash};
}

void *pang_index_next(pang_index_walk *walk)
{
    const pang_index *index = walk->index;
    if (index->size == 0)
        return NULL;
    for (;;) {
        const struct pang_index_slot *slot = &index->slots[walk->at & (index->size - 1)];
        if (slot->element == NULL)
            return NULL;
        walk->at++;
        if (slot->hash == walk->hash)
            return slot->element;
    }
}
