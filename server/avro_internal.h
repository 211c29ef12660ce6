/*
 * Avro, inside: bytes that are read from, and the plan by which records are.
 * Called by avro*.c only. Threads and lifetime: as server/avro.h.
 */
#ifndef PANG_SERVER_AVRO_INTERNAL_H
#define PANG_SERVER_AVRO_INTERNAL_H

#include "server/avro.h"
#include "server/avro_schema.h"

enum { AVRO_SYNC_BYTES = 16, AVRO_BLOCK_MAX = 256 << 20 /* bytes of one block, expanded */ };

/* ---- bytes: false past the end ---- */

typedef struct {
    const char *at, *end;
} avro_bytes;

static inline size_t avro_left(const avro_bytes *r)
{
    return (size_t)(r->end - r->at);
}

static inline bool avro_long(avro_bytes *r, int64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end)
            return false;
        unsigned char byte = (unsigned char)*r->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return false;
}

static inline bool avro_exact(avro_bytes *r, int64_t size, pang_str *ret)
{
    if (size < 0 || (uint64_t)size > avro_left(r))
        return false;
    *ret = (pang_str){r->at, (size_t)size};
    r->at += size;
    return true;
}

static inline bool avro_text(avro_bytes *r, pang_str *ret)
{
    int64_t size;
    return avro_long(r, &size) && avro_exact(r, size, ret);
}

/* ---- avro_decode.c ---- */

/* A type of the writer's schema, and where its values go. */
typedef struct avro_step {
    const avro_node *node;
    const pang_avro_field *to; /* NULL: nowhere */
    struct avro_step *inner;   /* record: the fields; array: the item; union: the branches */
    size_t n;
} avro_step;

/* ERRORS: INVALID_ARGUMENT (another type, a missing field), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code avro_plan(const avro_node *record, const pang_avro_field *fields,
                                    size_t n, pang_arena *arena, avro_step *ret, pang_err *err);
typedef enum { AVRO_FINE, AVRO_DAMAGED, AVRO_NO_MEMORY } avro_outcome;
/* One record from the bytes into the struct at `base`; lists go into the arena. */
avro_outcome avro_decode(avro_bytes *bytes, const avro_step *record, pang_arena *arena, char *base);

/* ---- avro_encode.c ---- */

/* The schema of the file as JSON. */
void avro_print_schema(const pang_avro_new *file, pang_buf *to);
void avro_put_long(pang_buf *to, int64_t value);
void avro_put_text(pang_buf *to, pang_str text);
/* One record. ERRORS: INVALID_ARGUMENT; memory is told by the buffer. */
PANG_MUST_CHECK pang_code avro_encode(const pang_avro_new *file, const void *item, pang_buf *to,
                                      pang_err *err);

#endif
