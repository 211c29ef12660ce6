/*
 * A record of a store, as reads give it out: what is seen in a scan, or in memory that will be
 * reset, is copied by who keeps it.
 * Threads: none of its own. Lifetime: key and body are borrowed.
 */
#ifndef PANG_API_RECORD_H
#define PANG_API_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "api/arena.h"

typedef struct {
    pang_str key, body;
    uint64_t version;   /* 0: there is no such record, all else is then zero but for key */
    uint64_t sequence;  /* the number its commit got, where it was put with a slot; else 0 */
    int64_t time_ms;    /* the time of that number; without a slot the store's clock at apply */
    int64_t expires_ms; /* 0: never */
    int64_t value;      /* counters and sequences; of a COMMIT_ID: PANG_ID_VOID or 0 */
    uint32_t kind;
} pang_record;

/* A record that outlives what lent it: key and body in the arena. False without memory. */
static inline bool pang_record_copy(const pang_record *from, pang_arena *arena, pang_record *ret)
{
    *ret = *from;
    return pang_arena_copy(arena, from->key, &ret->key) &&
           pang_arena_copy(arena, from->body, &ret->body);
}

#endif
