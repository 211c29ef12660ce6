/*
 * Model: what makes one document of a table differ from another: columns, partition spec, sort
 * order, snapshots, properties. No I/O.
 * Called by svc_diff.c and merge_sides.c. Threads and lifetime: as model.h; results share parts
 * with the documents.
 */
#ifndef PANG_SERVER_MODEL_DIFF_H
#define PANG_SERVER_MODEL_DIFF_H

#include "server/model.h"

/* A column of the current schemas, by its id. */
typedef struct {
    int32_t id;
    bool in_from, in_to;
    pang_str from_name, to_name;          /* full */
    const pang_json *from_type, *to_type; /* NULL: a list or map, told by its elements */
    bool from_required, to_required;
} pang_column_diff;

typedef struct {
    const pang_column_diff *columns; /* in the order of `from`, then what is new */
    size_t n_columns;
    bool partitioning, sort_order;  /* the current ones differ */
    const int64_t *added, *removed; /* ids of snapshots */
    size_t n_added, n_removed;
} pang_model_diff;

/* REQUIRES: documents of tables, as model.h gives or passes them. ERRORS: INVALID_ARGUMENT (a
 * schema that cannot be read), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_model_compare(const pang_json *from, const pang_json *to,
                                             pang_arena *arena, pang_model_diff *ret,
                                             pang_err *err);

/* Properties that differ, of documents of tables or views: in the order of `from`, then what is
 * new. An absent value has ptr NULL. */
typedef struct {
    pang_str name, from, to;
} pang_property_diff;
PANG_MUST_CHECK pang_code pang_model_compare_properties(const pang_json *from, const pang_json *to,
                                                        pang_arena *arena, pang_property_diff **ret,
                                                        size_t *ret_n, pang_err *err);

#endif
