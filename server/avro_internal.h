/*
 * Avro, inside: bytes that are read from, and the plan by which records are.
 * Called by avro*.c only. Threads and lifetime: as server/avro.h.
 */
#ifndef PANG_SERVER_AVRO_INTERNAL_H
#define PANG_SERVER_AVRO_INTERNAL_H

#include "server/avro.h"
#include "server/avro_schema.h"

enum { AVRO_SYNC_BYTES = 16, AVRO_BLOCK_MAX = 256 << 20 /* bytes of one block, expanded */ };

/* ---- avro_decode.c: bytes; false past the end ---- */

typedef struct {
    const char *at, *end;
} avro_bytes;

/* A number of one to ten bytes, zigzag. */
bool avro_long(avro_bytes *r, int64_t *ret);
/* That many bytes, as they stand; false for a negative size too. */
bool avro_exact(avro_bytes *r, int64_t size, pang_str *ret);
/* A length and as many bytes. */
bool avro_text(avro_bytes *r, pang_str *ret);

/* ---- avro_decode.c: records ---- */

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
/* A number of one to ten bytes, zigzag. */
void avro_put_long(pang_buf *to, int64_t value);
/* A length and the bytes. */
void avro_put_text(pang_buf *to, pang_str text);
/* One record. ERRORS: INVALID_ARGUMENT; memory is told by the buffer. */
PANG_MUST_CHECK pang_code avro_encode(const pang_avro_new *file, const void *item, pang_buf *to,
                                      pang_err *err);

#endif
