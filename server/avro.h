/*
 * Avro: object container files, read into structs and written from them by one table of fields.
 * Called by manifest_*.c. Threads: any; nothing is shared. Lifetime: see each.
 *
 * A file of any writer is read through the schema that it brings: fields are found by their
 * `field-id`, and by name where the schema has none; int is read where long is asked for; what is
 * not asked for is passed over. What is written has one schema for each version of the table.
 * Source: Avro 1.12, "Object Container Files"; the Iceberg specification, appendix A, "Avro".
 */
#ifndef PANG_SERVER_AVRO_H
#define PANG_SERVER_AVRO_H

#include "api/arena.h"
#include "api/env.h"

/* ---- values ---- */

/* A value of a type that only the file knows. */
typedef enum {
    PANG_VALUE_NULL,
    PANG_VALUE_BOOLEAN, /* number: 0 or 1 */
    PANG_VALUE_INT,     /* int, long, date, time, timestamps: number */
    PANG_VALUE_FLOAT,   /* real, as below */
    PANG_VALUE_DOUBLE,
    PANG_VALUE_BYTES, /* string, binary, fixed, uuid, decimal (unscaled, big-endian two's
                         complement, as few bytes as hold it): text */
} pang_value_type;
typedef struct {
    pang_value_type type;
    int64_t number;
    double real;
    pang_str text;
} pang_value;
/* A decimal's bytes without those that say nothing. */
pang_str pang_avro_decimal(pang_str bytes);

/* ---- fields ---- */

typedef enum {
    PANG_AVRO_INT32,     /* int32_t, "int" */
    PANG_AVRO_INT64,     /* int64_t, "long" */
    PANG_AVRO_BOOL,      /* bool, "boolean" */
    PANG_AVRO_STRING,    /* pang_str, "string"; ptr NULL: null */
    PANG_AVRO_BYTES,     /* pang_str, "bytes"; the same */
    PANG_AVRO_VALUE,     /* pang_value, `type` */
    PANG_AVRO_RECORD,    /* `inner`, members of the same struct */
    PANG_AVRO_RECORD_AT, /* `inner`, members of an array of n items that a pointer points to */
    PANG_AVRO_LIST,      /* a pointer to items of `inner` (one of none but id: the item itself) */
    PANG_AVRO_MAP,       /* the same of keys and values */
    PANG_AVRO_CONSTANT,  /* "long": `at` itself; passed over by the reader */
} pang_avro_kind;

/* How a pang_value is written. */
typedef enum {
    PANG_WIRE_NULL,
    PANG_WIRE_BOOLEAN,
    PANG_WIRE_INT,
    PANG_WIRE_LONG,
    PANG_WIRE_FLOAT,
    PANG_WIRE_DOUBLE,
    PANG_WIRE_BYTES,
    PANG_WIRE_FIXED,   /* of `size` */
    PANG_WIRE_DECIMAL, /* the same, sign-extended */
} pang_avro_wire;
typedef struct {
    pang_avro_wire wire;
    size_t size;
    pang_str json; /* the type in a schema */
} pang_avro_type;

#define PANG_AVRO_NO SIZE_MAX            /* no such member: it is there always */
#define PANG_AVRO_UNKNOWN (SIZE_MAX - 1) /* none either: a number is there when it is not -1 */

typedef struct pang_avro_field {
    pang_str name;
    int32_t id; /* -1: by name alone */
    pang_avro_kind kind;
    size_t at;    /* the member's offset */
    size_t has;   /* a bool that says whether it is there; of lists and maps: the count */
    int since;    /* the version that first has it; 0: every one */
    int until;    /* the last one; 0: none is */
    int required; /* the version from which it may not be null; 0: none */
    bool must;    /* the reader refuses a record without it */
    const pang_avro_type *type; /* VALUE */
    const struct pang_avro_field *inner;
    size_t n, item_size;
    const char *record; /* RECORD, LIST of records: the record's name */
    int32_t item_id;    /* LIST */
} pang_avro_field;

/* ---- reading ---- */

typedef struct pang_avro pang_avro;
struct avro_node;

/* Reads head and schema. Borrows from the file; lives in the arena. ERRORS: INVALID_ARGUMENT (no
 * Avro file, damaged, not of records), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_avro_open(pang_str file, pang_arena *arena, pang_avro **ret,
                                         pang_err *err);
/* What the head says beside the schema; ptr NULL: nothing. Borrows from the file. */
pang_str pang_avro_meta(const pang_avro *avro, const char *key);
/* The schema, for what no table can say (avro_schema.h). */
const struct avro_node *pang_avro_schema(const pang_avro *avro);

typedef struct {
    const pang_avro_field *fields;
    size_t n;
    const void *blank; /* the struct as it is before a record is read into it */
    size_t size;       /* its bytes */
} pang_avro_want;
/* One record: what it points to lives until the callback returns. Whatever is not PANG_OK ends
 * the reading and is returned; *stop set true ends it too. */
typedef pang_code pang_avro_fn(void *arg, void *item, bool *stop, pang_err *err);
/* Records in the order of the file, into one struct. The arena holds the plan. ERRORS:
 * INVALID_ARGUMENT (damaged, a codec that is not known, a field of another type or missing),
 * RESOURCE_EXHAUSTED, the callback's. */
PANG_MUST_CHECK pang_code pang_avro_read(pang_avro *avro, const pang_avro_want *want,
                                         pang_arena *arena, pang_avro_fn *fn, void *arg,
                                         pang_err *err);

/* ---- writing ---- */

typedef enum {
    PANG_CODEC_NULL,
    PANG_CODEC_DEFLATE,
    PANG_CODEC_SNAPPY,
    PANG_CODEC_ZSTANDARD,
} pang_codec;

typedef struct {
    const char *key;
    pang_str value;
} pang_avro_meta_entry;

typedef struct {
    const char *record; /* the record's name */
    const pang_avro_field *fields;
    size_t n_fields;
    int version; /* which fields, and which of them may be null */
    pang_codec codec;
    const pang_avro_meta_entry *meta;
    size_t n_meta;
    const void *(*item)(const void *items, size_t i);
    const void *items;
    size_t n;
} pang_avro_new;
/* A file's bytes, in the arena. ERRORS: INVALID_ARGUMENT (a value that its field does not take),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_avro_write(const pang_avro_new *file, const pang_env *env,
                                          pang_arena *arena, pang_str *ret, pang_err *err);

#endif
