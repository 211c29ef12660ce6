/*
 * Sets of names, by their hashes: open addressing, doubled while there is room.
 */
#include <stdlib.h>
#include <string.h>

#include "server/gc_internal.h"

enum { FIRST_SIZE = 1024 }; /* slots, a power of two; at most three of four are taken */

void pang_gc_set_init(pang_gc_set *set, size_t most)
{
    *set = (pang_gc_set){.most = most, .parts = 1};
}

void pang_gc_set_free(pang_gc_set *set)
{
    free(set->slots);
    *set = (pang_gc_set){0};
}

void pang_gc_set_begin(pang_gc_set *set, unsigned part, unsigned parts)
{
    if (set->size > 0)
        memset(set->slots, 0, set->size * sizeof *set->slots);
    set->n = 0;
    set->full = false;
    set->part = part;
    set->parts = parts;
}

/* Mixed, since both ends of it are used. Never 0, which is an empty slot. */
static uint64_t hash_of(pang_str name)
{
    uint64_t hash = pang_str_hash(name);
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
    hash ^= hash >> 31;
    return hash == 0 ? 1 : hash;
}

bool pang_gc_set_takes(const pang_gc_set *set, pang_str name)
{
    return (hash_of(name) >> 32) % set->parts == set->part;
}

static uint64_t *find(const pang_gc_set *set, uint64_t hash)
{
    size_t at = hash & (set->size - 1);
    while (set->slots[at] != 0 && set->slots[at] != hash)
        at = (at + 1) & (set->size - 1);
    return &set->slots[at];
}

static bool grow(pang_gc_set *set)
{
    pang_gc_set next = *set;
    if (set->n * 4 < set->size * 3)
        return true;
    next.size = set->size == 0 ? FIRST_SIZE : set->size * 2;
    next.slots = calloc(next.size, sizeof *next.slots);
    if (next.slots == NULL)
        return false;
    for (size_t i = 0; i < set->size; i++)
        if (set->slots[i] != 0)
            *find(&next, set->slots[i]) = set->slots[i];
    free(set->slots);
    *set = next;
    return true;
}

bool pang_gc_set_add(pang_gc_set *set, pang_str name)
{
    if (!pang_gc_set_takes(set, name))
        return false;
    if (set->n >= set->most || !grow(set)) {
        set->full = true;
        return false;
    }
    uint64_t hash = hash_of(name), *slot = find(set, hash);
    if (*slot == hash)
        return false;
    *slot = hash;
    set->n++;
    return true;
}

bool pang_gc_set_has(const pang_gc_set *set, pang_str name)
{
    return set->size > 0 && *find(set, hash_of(name)) != 0;
}
