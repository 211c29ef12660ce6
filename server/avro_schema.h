/*
 * The schema of an Avro file as a tree, for avro.c alone.
 * Called by nothing else. Threads: immutable once parsed. Lifetime: the arena's.
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
    int64_t size;    /* fixed: bytes */
    pang_str *names; /* record: of the children */
    struct avro_node **children;
    size_t n;
} avro_node;

/* ERRORS: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code avro_schema_parse(pang_str json, pang_arena *arena, avro_node **ret,
                                            pang_err *err);

#endif
