/*
 * Model, inside: looking at documents. Members and their place in messages; tables of members that
 * an object must have; a map from ids to nodes.
 * Called by the model_*.c files only. Threads and lifetime: as server/model.h.
 *
 * A document's form is checked once against a table of its members (pang_model_shape); after that
 * the plain readers cannot fail, and give a default for what is absent.
 */
#ifndef PANG_SERVER_MODEL_LOOK_H
#define PANG_SERVER_MODEL_LOOK_H

#include "server/model.h"

/* Where a value stands in the request or document, for messages only; lives on the stack. NULL is
 * the whole. */
typedef struct pang_model_path {
    const struct pang_model_path *up;
    const char *name; /* NULL: an element */
    size_t index;
} pang_model_path;

/* The member of that name below `up`; the i-th element of it. The result is a value of the stack:
 * its address lives as long as the block. */
#define PANG_MODEL_IN(up, name) ((pang_model_path){(up), (name), 0})
#define PANG_MODEL_AT(up, i) ((pang_model_path){(up), NULL, (i)})

/* Reasons, as the Java library names them. */
#define PANG_MODEL_BAD "BadRequestException"          /* of the wrong form */
#define PANG_MODEL_ILLEGAL "IllegalArgumentException" /* an argument that cannot be */
#define PANG_MODEL_INVALID "ValidationException"      /* does not fit the table */
#define PANG_MODEL_CONFLICT "CommitFailedException"   /* fitted a table that was; 409 */

/* "updates[2].snapshot.snapshot-id: <what>"; name may be NULL. */
pang_code pang_model_bad(pang_err *err, const pang_model_path *at, const char *name,
                         const char *fmt, ...) PANG_PRINTF(4, 5);
/* INVALID_ARGUMENT with a message of the rules' own. */
#define pang_model_illegal(err, ...)                                                               \
    pang_fail((err), PANG_INVALID_ARGUMENT, PANG_MODEL_ILLEGAL, __VA_ARGS__)
#define pang_model_invalid(err, ...)                                                               \
    pang_fail((err), PANG_INVALID_ARGUMENT, PANG_MODEL_INVALID, __VA_ARGS__)

typedef enum {
    PANG_MODEL_NUMBER, /* an integer in [low, high] */
    PANG_MODEL_TEXT,   /* a string of at most PANG_MODEL_TEXT_MAX bytes */
    PANG_MODEL_FLAG,
    PANG_MODEL_OBJECT,
    PANG_MODEL_ARRAY,
    PANG_MODEL_NUMBERS,  /* an array of integers in [low, high] */
    PANG_MODEL_TEXTS,    /* an array of strings */
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

/* ---- members of the objects that requests and files share ---- */

/* One table each; where the versions differ, the update or the check says more. */
extern const pang_model_member pang_model_snapshot_members[];
extern const pang_model_member pang_model_ref_members[];
extern const pang_model_member pang_model_statistics_members[];
extern const pang_model_member pang_model_blob_members[]; /* in statistics */
extern const pang_model_member pang_model_partition_statistics_members[];
extern const pang_model_member pang_model_key_members[]; /* encryption keys */

/* The current snapshot of a document; false without one, however that is spelt. */
bool pang_model_current_snapshot(const pang_json *document, int64_t *ret);

#endif
