/*
 * Model, inside: what the files of the metadata engine share. One section per file.
 *
 * Two rules keep the code short. A document's form is checked once against a table of its members
 * (pang_model_shape); after that the plain readers cannot fail and give a default for what is
 * absent. And while a document is built, running out of memory is remembered (build->failed) and
 * reported when the update ends, since all pang_json functions take the NULL that results.
 */
#ifndef PANG_SERVER_MODEL_INTERNAL_H
#define PANG_SERVER_MODEL_INTERNAL_H

#include "server/model.h"

/* ---- model_read.c: members, and their place in messages ---- */

/* Where a value stands in the request or document, for messages only; lives on the stack. NULL is
 * the whole. */
typedef struct pang_model_path {
    const struct pang_model_path *up;
    const char *name; /* NULL: an element */
    size_t index;
} pang_model_path;

#define PANG_MODEL_IN(up, name) ((pang_model_path){(up), (name), 0})
#define PANG_MODEL_AT(up, i) ((pang_model_path){(up), NULL, (i)})

/* Reasons, as the Java library names them. */
#define PANG_MODEL_BAD "BadRequestException"
#define PANG_MODEL_ILLEGAL "IllegalArgumentException"
#define PANG_MODEL_INVALID "ValidationException"
#define PANG_MODEL_CONFLICT "CommitFailedException"

/* "updates[2].snapshot.snapshot-id: <what>"; name may be NULL. */
pang_code pang_model_bad(pang_err *err, const pang_model_path *at, const char *name,
                         const char *fmt, ...) PANG_PRINTF(4, 5);
/* INVALID_ARGUMENT with a message of the rules' own. */
#define pang_model_illegal(err, ...) \
    pang_fail((err), PANG_INVALID_ARGUMENT, PANG_MODEL_ILLEGAL, __VA_ARGS__)
#define pang_model_invalid(err, ...) \
    pang_fail((err), PANG_INVALID_ARGUMENT, PANG_MODEL_INVALID, __VA_ARGS__)

typedef enum {
    PANG_MODEL_NUMBER, /* an integer in [low, high] */
    PANG_MODEL_TEXT,   /* a string of at most PANG_MODEL_TEXT_MAX bytes */
    PANG_MODEL_FLAG,
    PANG_MODEL_OBJECT,
    PANG_MODEL_ARRAY,
    PANG_MODEL_NUMBERS, /* an array of integers in [low, high] */
    PANG_MODEL_TEXTS,   /* an array of strings */
    PANG_MODEL_TEXT_MAP, /* an object of strings */
} pang_model_kind;

typedef enum { PANG_MODEL_OPTIONAL, PANG_MODEL_REQUIRED } pang_model_need;

/* One member of an object. An optional one may be null. A table ends with a NULL name. */
typedef struct {
    const char *name;
    pang_model_kind kind;
    pang_model_need need;
    int64_t low, high; /* NUMBER, NUMBERS */
} pang_model_member;

/* ERRORS: INVALID_ARGUMENT naming the member. Members that the table does not know pass. */
PANG_MUST_CHECK pang_code pang_model_shape(const pang_json *object, const pang_model_path *at,
                                           const pang_model_member *members, pang_err *err);
/* The same for one value, which is neither absent nor null; `at` is its own path. */
PANG_MUST_CHECK pang_code pang_model_shape_one(const pang_json *value, const pang_model_path *at,
                                               const pang_model_member *member, pang_err *err);
/* Readers: the default when the member is absent, null or of another type. */
int64_t pang_model_int(const pang_json *object, const char *name, int64_t otherwise);
bool pang_model_has_int(const pang_json *object, const char *name, int64_t *ret);
pang_str pang_model_text(const pang_json *object, const char *name); /* else the empty view */
bool pang_model_flag(const pang_json *object, const char *name, bool otherwise);
bool pang_model_has(const pang_json *object, const char *name); /* there, and not null */
/* An object or array with the same members; NULL without memory. */
pang_json *pang_model_copy(const pang_json *container, pang_arena *arena);
/* The same without null members; the object itself when it has none. */
pang_json *pang_model_without_nulls(pang_json *object, pang_arena *arena);
/* The element whose member `name` is the integer id; NULL when there is none. */
pang_json *pang_model_find(const pang_json *array, const char *name, int64_t id);

/* A map from int64 to pointers, in an arena. Zero it but for `arena`. */
typedef struct {
    pang_arena *arena;
    struct pang_model_node *root;
} pang_model_ids;

/* Sets; value may not be NULL. False without memory. */
bool pang_model_ids_put(pang_model_ids *ids, int64_t id, const void *value);
const void *pang_model_ids_get(const pang_model_ids *ids, int64_t id); /* NULL: none */
void pang_model_ids_remove(pang_model_ids *ids, int64_t id);

/* ---- model_type.c: types, and values in single-value form ---- */

typedef enum {
    PANG_TYPE_BOOLEAN,
    PANG_TYPE_INT,
    PANG_TYPE_LONG,
    PANG_TYPE_FLOAT,
    PANG_TYPE_DOUBLE,
    PANG_TYPE_DATE,
    PANG_TYPE_TIME,
    PANG_TYPE_TIMESTAMP,
    PANG_TYPE_TIMESTAMPTZ,
    PANG_TYPE_TIMESTAMP_NS,
    PANG_TYPE_TIMESTAMPTZ_NS,
    PANG_TYPE_STRING,
    PANG_TYPE_UUID,
    PANG_TYPE_BINARY,
    PANG_TYPE_FIXED,
    PANG_TYPE_DECIMAL,
    PANG_TYPE_UNKNOWN,
    PANG_TYPE_VARIANT,
    PANG_TYPE_GEOMETRY,
    PANG_TYPE_GEOGRAPHY,
    PANG_TYPE_STRUCT,
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
bool pang_type_is_primitive(pang_type_kind kind);
/* The format version that first has it. */
int pang_type_since(pang_type_kind kind);
bool pang_type_equal(const pang_type *a, const pang_type *b); /* nested ones by kind alone */
/* Whether a default has the form that its type demands. */
bool pang_type_takes(const pang_json *type_node, const pang_json *value);

/* ---- model_schema.c: schemas, looked into ---- */

typedef struct {
    int64_t id;
    pang_str name;         /* full: "s.list.element.x" */
    pang_str short_name;   /* as engines may write it: "s.list.x" */
    const pang_json *node; /* the field; of elements, keys and values the list or map */
    pang_type type;
    size_t parent;         /* its column's index + 1; 0: the schema */
    bool required;
    bool in_structs;          /* no list or map above it */
    bool in_required_structs; /* moreover nothing optional above it */
} pang_model_column;

typedef struct {
    pang_model_column *columns; /* parents before children */
    size_t n, capacity;
    int64_t highest; /* id; 0 without columns */
    pang_model_ids by_id;
    pang_json *names; /* full and short names to indices */
    pang_arena *arena;
} pang_model_schema;

/* Reads and validates. ERRORS: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_model_schema_read(const pang_json *schema,
                                                 const pang_model_path *at, pang_arena *arena,
                                                 pang_model_schema **ret, pang_err *err);
/* Whether the format version has its types and defaults. */
PANG_MUST_CHECK pang_code pang_model_schema_suits(const pang_model_schema *schema, int version,
                                                  pang_err *err);
const pang_model_column *pang_model_column_by_id(const pang_model_schema *schema, int64_t id);
const pang_model_column *pang_model_column_by_name(const pang_model_schema *schema, pang_str name);
/* Fields and identifier fields are the same; schema ids are not looked at. */
bool pang_model_schema_same(const pang_json *a, const pang_json *b);

/* ---- the document under construction ---- */

typedef struct {
    int64_t id; /* of the last one added in this request */
    unsigned n; /* how many were added; 0: none */
} pang_model_added;

typedef struct {
    pang_arena *arena;
    const pang_env *env;
    const pang_json *base; /* as given; NULL: none */
    pang_str base_location;
    pang_json *doc;       /* a copy of base's top level, in full form */
    unsigned owned;       /* which containers of doc are this build's own: see model_build.c */
    int version;
    int64_t now_ms;
    bool changed;
    bool failed; /* out of memory */
    pang_model_added schema, spec, order;
    pang_model_ids snapshots;       /* live ones by id; see pang_model_snapshot */
    bool knows_snapshots;
    pang_model_ids fresh_snapshots; /* added in this request */
    pang_model_ids was_main;        /* fresh ones that main named at some time */
    bool removed_snapshots;
    int64_t head;                   /* the last of was_main, when has_head */
    bool has_head, passed_heads;    /* passed: was_main holds more than what main ends at */
    pang_json *field_ids;           /* of partition fields by source and transform; NULL: not yet */
    const pang_json *schema_node;   /* what current_schema was read from */
    pang_model_schema *current_schema;
} pang_model_build;

/* ---- model_build.c: begin, parts, end ---- */

PANG_MUST_CHECK pang_code pang_model_begin(pang_model_build *b, pang_err *err);
/* Sets a member of a part of the document, remembering failure. */
void pang_model_put(pang_model_build *b, pang_json *object, const char *name, pang_json *value);
void pang_model_put_int(pang_model_build *b, pang_json *object, const char *name, int64_t value);
void pang_model_put_text(pang_model_build *b, pang_json *object, const char *name, pang_str text);
void pang_model_add(pang_model_build *b, pang_json *array, pang_json *value);
/* A container of the document that may be changed; made when absent. */
pang_json *pang_model_own(pang_model_build *b, const char *name);
/* Takes the elements whose member `name` is in ids out of an array of the document. */
bool pang_model_drop(pang_model_build *b, const char *part, const char *name,
                     const pang_model_ids *ids);
/* The current schema, read; fails when there is none. */
PANG_MUST_CHECK pang_code pang_model_current_schema(pang_model_build *b,
                                                    const pang_model_schema **ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_model_end(pang_model_build *b, pang_err *err);

/* ---- model_fresh.c: rewriting schemas ---- */

/* A tidy copy: no nulls, defaults in their form. With `renumber` (zeroed but for arena) all ids
 * are fresh, from 1, and it maps the old ones to them. */
typedef struct {
    pang_model_ids old_to_new; /* int64_t * */
    int64_t last;
} pang_model_renumber;
pang_json *pang_model_schema_rewrite(pang_model_build *b, const pang_json *schema, int64_t schema_id,
                                     pang_model_renumber *renumber);
/* The new id of an old one; -1 when unknown. */
int64_t pang_model_renumbered(const pang_model_renumber *renumber, int64_t old);

/* ---- model_spec.c, model_sort.c ---- */

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
bool pang_transform_applies(pang_transform_kind transform, pang_type_kind type);
/* The form of what specs and orders share: a field's source and transform. */
PANG_MUST_CHECK pang_code pang_model_source_shape(const pang_json *field,
                                                  const pang_model_path *at, pang_err *err);
/* The form of a spec's or an order's fields. */
PANG_MUST_CHECK pang_code pang_model_spec_shape(const pang_json *fields, const pang_model_path *at,
                                                pang_err *err);
PANG_MUST_CHECK pang_code pang_model_order_shape(const pang_json *fields,
                                                 const pang_model_path *at, pang_err *err);
/* Whether the fields can be resolved in the schema. `strict` checks names too (a new spec). */
PANG_MUST_CHECK pang_code pang_model_spec_suits(const pang_json *fields,
                                                const pang_model_schema *schema, bool strict,
                                                pang_err *err);
PANG_MUST_CHECK pang_code pang_model_order_suits(const pang_json *fields,
                                                 const pang_model_schema *schema, pang_err *err);
/* Copies of an order's fields in the spelling that all readers know. */
pang_json *pang_model_order_tidy(pang_model_build *b, const pang_json *fields);
/* Copies of fields with their sources mapped; one that is not in the map is refused. */
PANG_MUST_CHECK pang_code pang_model_fields_renumber(pang_model_build *b, const pang_json *fields,
                                                     const pang_model_renumber *renumber,
                                                     pang_json **ret, pang_err *err);
/* The fields' source of a field that has one; false for several sources. */
bool pang_model_source(const pang_json *field, int64_t *ret);
/* Whether two fields have the same source and transform. */
bool pang_model_same_source(const pang_json *a, const pang_json *b);

/* ---- updates: each applies one action; `at` is "updates[i]" ---- */

typedef pang_code pang_model_update(pang_model_build *b, const pang_json *update,
                                    const pang_model_path *at, pang_err *err);
/* model_update.c */
PANG_MUST_CHECK pang_code pang_model_updates_shape(const pang_json *updates, pang_err *err);
PANG_MUST_CHECK pang_code pang_model_updates_apply(pang_model_build *b, const pang_json *updates,
                                                   pang_err *err);
/* What set-properties refuses; also for create. */
PANG_MUST_CHECK pang_code pang_model_property_check(pang_str name, pang_str value, pang_err *err);
/* model_evolve.c */
pang_model_update pang_model_add_schema, pang_model_set_current_schema, pang_model_remove_schemas;
pang_model_update pang_model_add_spec, pang_model_set_default_spec, pang_model_remove_specs;
/* Remembers what -1 means; refuses more than PANG_MODEL_ADDED_MAX. */
PANG_MUST_CHECK pang_code pang_model_count_added(pang_model_added *added, int64_t id,
                                                 const char *what, pang_err *err);
/* model_sort.c */
pang_model_update pang_model_add_order, pang_model_set_default_order;
/* model_snapshot.c */
pang_model_update pang_model_add_snapshot, pang_model_remove_snapshots;
pang_model_update pang_model_set_ref, pang_model_remove_ref;
extern const pang_model_member pang_model_snapshot_members[], pang_model_ref_members[];
/* The live snapshot of an id; NULL when there is none. */
const pang_json *pang_model_snapshot(pang_model_build *b, int64_t id);
/* Rebuilds snapshots and snapshot-log after removals and passing heads of main. */
PANG_MUST_CHECK pang_code pang_model_end_snapshots(pang_model_build *b, pang_err *err);
void pang_model_set_current_snapshot(pang_model_build *b, const int64_t *id); /* NULL: none */
/* The current snapshot of a document; false without one. */
bool pang_model_current_snapshot(const pang_json *document, int64_t *ret);
/* model_stats.c */
pang_model_update pang_model_set_statistics, pang_model_remove_statistics;
pang_model_update pang_model_set_partition_statistics, pang_model_remove_partition_statistics;
pang_model_update pang_model_add_key, pang_model_remove_key;
extern const pang_model_member pang_model_statistics_members[];
extern const pang_model_member pang_model_partition_statistics_members[];
extern const pang_model_member pang_model_blob_members[], pang_model_key_members[];

/* ---- model_require.c ---- */

PANG_MUST_CHECK pang_code pang_model_requirements_shape(const pang_json *requirements,
                                                        pang_err *err);

#endif
