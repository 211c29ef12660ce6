/*
 * The schema of an Avro file as a tree.
 * Called by avro*.c, and by manifest_read.c for partitions, whose fields no table knows.
 * Threads: immutable once parsed. Lifetime: the arena's; names borrow from it.
 */
#ifndef PANG_SERVER_AVRO_SCHEMA_H
#define PANG_SERVER_AVRO_SCHEMA_H

#include "api/arena.h"

typedef enum {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT, /* and long: the same on the wire */
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES, /* and string */
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_ARRAY, /* children[0]: the items */
    AVRO_MAP,   /* children[0]: the values */
    AVRO_UNION,
    AVRO_RECORD,
} avro_type;

typedef struct avro_node {
    avro_type type;
    bool decimal;    /* bytes, fixed: a number */
    int64_t size;    /* fixed: bytes */
    uint64_t least;  /* bytes that every value takes; 0: no value takes any */
    pang_str *names; /* record: of the children */
    int32_t *ids;    /* record: their field ids; -1: none */
    struct avro_node **children;
    size_t n;
} avro_node;

/* ERRORS: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code avro_schema_parse(pang_str json, pang_arena *arena, avro_node **ret,
                                            pang_err *err);
/* Whether the record's field i is the one of this id, or of this name where it has no id or none
 * is asked for (-1). */
bool avro_field_is(const avro_node *record, size_t i, int32_t id, pang_str name);
/* The type of that field, a union with null taken off; NULL when there is none. */
const avro_node *avro_field_type(const avro_node *record, int32_t id, pang_str name);

#endif
