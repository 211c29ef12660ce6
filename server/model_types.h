/*
 * Model, inside: types, schemas, and the fields of specs and orders, looked into and compared.
 * Called by the model_*.c files only. Threads and lifetime: as server/model.h.
 */
#ifndef PANG_SERVER_MODEL_TYPES_H
#define PANG_SERVER_MODEL_TYPES_H

#include "server/model_look.h"

/* ---- model_type.c: types, and values in single-value form ---- */

/* The order matters: transforms and tests of kinds ask for "below". */
typedef enum {
    PANG_TYPE_BOOLEAN,
    PANG_TYPE_INT,
    PANG_TYPE_LONG,
    PANG_TYPE_FLOAT,
    PANG_TYPE_DOUBLE,
    PANG_TYPE_DATE,
    PANG_TYPE_TIME,
    PANG_TYPE_TIMESTAMP,    /* without zone */
    PANG_TYPE_TIMESTAMPTZ,  /* UTC */
    PANG_TYPE_TIMESTAMP_NS, /* version 3, as the next */
    PANG_TYPE_TIMESTAMPTZ_NS,
    PANG_TYPE_STRING,
    PANG_TYPE_UUID,
    PANG_TYPE_BINARY,
    PANG_TYPE_FIXED,   /* [length] */
    PANG_TYPE_DECIMAL, /* (precision, scale); the last that transforms take */
    PANG_TYPE_UNKNOWN, /* version 3, as all up to struct: always null */
    PANG_TYPE_VARIANT,
    PANG_TYPE_GEOMETRY,  /* alone or (crs) */
    PANG_TYPE_GEOGRAPHY, /* alone, (crs) or (crs, algorithm) */
    PANG_TYPE_STRUCT,    /* the first that is no primitive */
    PANG_TYPE_LIST,
    PANG_TYPE_MAP,
} pang_type_kind;

typedef struct {
    pang_type_kind kind;
    int64_t a, b;      /* fixed: length; decimal: precision, scale */
    pang_str text;     /* as spelt; of nested types the word "struct", "list", "map" */
    pang_str argument; /* geometry, geography: what stands in parentheses, trimmed */
} pang_type;

/* The type that a "type" (or "element", "key", "value") node stands for. False when unknown. */
bool pang_type_parse(const pang_json *node, pang_type *ret);
/* Neither struct, list nor map. Partitions and orders do not take a variant all the same. */
bool pang_type_is_primitive(pang_type_kind kind);
/* The format version that first has it. */
int pang_type_since(pang_type_kind kind);
bool pang_type_equal(const pang_type *a, const pang_type *b); /* nested ones by kind alone */
/* Whether a default has the form that its type demands. */
bool pang_type_takes(const pang_json *type_node, const pang_json *value);

/* ---- model_schema.c: schemas, looked into ---- */

/* A field, element, key or value. */
typedef struct {
    int64_t id;
    pang_str name;         /* full: "s.list.element.x" */
    pang_str short_name;   /* as engines may write it: "s.list.x" */
    const pang_json *node; /* the field; of elements, keys and values the list or map */
    pang_type type;
    size_t parent; /* its column's index + 1; 0: the schema */
    bool required;
    bool in_structs;          /* no list or map above it */
    bool in_required_structs; /* moreover nothing optional above it */
} pang_model_column;

/* A schema's columns, those inside of others included. Lives in its arena. */
typedef struct {
    pang_model_column *columns; /* parents before children */
    size_t n, capacity;
    int64_t highest; /* id; 0 without columns */
    pang_model_ids by_id;
    pang_json *names;  /* full and short names to indices */
    size_t name_bytes; /* of all of them */
    pang_arena *arena;
} pang_model_schema;

/* Reads and validates. ERRORS: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_model_schema_read(const pang_json *schema, const pang_model_path *at,
                                                 pang_arena *arena, pang_model_schema **ret,
                                                 pang_err *err);
/* Whether the format version has its types and defaults. */
PANG_MUST_CHECK pang_code pang_model_schema_suits(const pang_model_schema *schema, int version,
                                                  pang_err *err);
/* NULL when there is none. Names are full or short. */
const pang_model_column *pang_model_column_by_id(const pang_model_schema *schema, int64_t id);
const pang_model_column *pang_model_column_by_name(const pang_model_schema *schema, pang_str name);
/* The same for schemas that pang_model_schema_same finds the same, and rarely for others. */
uint64_t pang_model_schema_hash(const pang_json *schema);
/* Fields and identifier fields are the same; schema ids are not looked at. */
bool pang_model_schema_same(const pang_json *a, const pang_json *b);

/* ---- model_spec.c, model_sort.c ---- */

/* Bucket and truncate have a width behind them, which no rule here asks for. */
typedef enum {
    PANG_TRANSFORM_IDENTITY,
    PANG_TRANSFORM_VOID,
    PANG_TRANSFORM_YEAR,
    PANG_TRANSFORM_MONTH,
    PANG_TRANSFORM_DAY,
    PANG_TRANSFORM_HOUR,
    PANG_TRANSFORM_BUCKET,
    PANG_TRANSFORM_TRUNCATE,
    PANG_TRANSFORM_OTHER, /* of a newer specification: kept, and taken to apply */
} pang_transform_kind;

/* ERRORS: INVALID_ARGUMENT (a width of 0). */
PANG_MUST_CHECK pang_code pang_transform_parse(pang_str text, pang_transform_kind *ret,
                                               pang_err *err);
/* The form of what specs and orders share: a field's source and transform. */
PANG_MUST_CHECK pang_code pang_model_source_shape(const pang_json *field, const pang_model_path *at,
                                                  pang_err *err);
/* The form of a spec's or an order's fields. */
PANG_MUST_CHECK pang_code pang_model_spec_shape(const pang_json *fields, const pang_model_path *at,
                                                pang_err *err);
PANG_MUST_CHECK pang_code pang_model_order_shape(const pang_json *fields, const pang_model_path *at,
                                                 pang_err *err);
/* Whether a column of that type can be its source. */
bool pang_transform_applies(pang_transform_kind transform, pang_type_kind type);
/* Whether the fields can be resolved in the schema. `strict` checks names too (a new spec). */
PANG_MUST_CHECK pang_code pang_model_spec_suits(const pang_json *fields,
                                                const pang_model_schema *schema, bool strict,
                                                pang_err *err);
PANG_MUST_CHECK pang_code pang_model_order_suits(const pang_json *fields,
                                                 const pang_model_schema *schema, pang_err *err);
/* The fields' source of a field that has one; false for several sources. */
bool pang_model_source(const pang_json *field, int64_t *ret);
/* Whether two fields have the same source and transform. */
bool pang_model_same_source(const pang_json *a, const pang_json *b);

#endif
