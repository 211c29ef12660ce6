/*
 * Columns are compared by id over the flat lists of the two current schemas, so a rename is one
 * column that changed. Specs and orders are compared by their fields: their ids are numbers of the
 * branch that made them.
 */
#include "server/model_diff.h"

#include "server/model_types.h"

/* ---- current parts ---- */

/* Of an array the element with the id that the document names as current; version 1 documents may
 * have one alone. */
static const pang_json *current_of(const pang_json *document, const char *list, const char *id_name,
                                   const char *current, const char *alone)
{
    const pang_json *found = pang_model_find(pang_json_get(document, list), id_name,
                                             pang_model_int(document, current, -1));
    return found != NULL ? found : pang_json_get(document, alone);
}

/* Fields of a spec or order: a version 1 document has a bare array. */
static const pang_json *fields_of(const pang_json *part)
{
    return pang_json_type_of(part) == PANG_JSON_IS_ARRAY ? part : pang_json_get(part, "fields");
}

/* Whether two lists of fields say the same by these members. */
static bool same_fields(const pang_json *from, const pang_json *to, const char *const *members)
{
    from = fields_of(from);
    to = fields_of(to);
    if (pang_json_size(from) != pang_json_size(to))
        return false;
    for (size_t i = 0; i < pang_json_size(from); i++)
        for (const char *const *m = members; *m != NULL; m++)
            if (!pang_json_equal(pang_json_get(pang_json_at(from, i), *m),
                                 pang_json_get(pang_json_at(to, i), *m)))
                return false;
    return true;
}

/* ---- columns ---- */

static const pang_json *type_of(const pang_model_column *column)
{
    return pang_type_is_primitive(column->type.kind) ? pang_json_get(column->node, "type") : NULL;
}

static bool same_column(const pang_model_column *from, const pang_model_column *to)
{
    return pang_str_equal(from->name, to->name) && from->required == to->required &&
           pang_type_equal(&from->type, &to->type);
}

static pang_column_diff column_diff(const pang_model_column *from, const pang_model_column *to)
{
    pang_column_diff ret = {.in_from = from != NULL, .in_to = to != NULL};
    if (from != NULL) {
        ret.id = (int32_t)from->id;
        ret.from_name = from->name;
        ret.from_type = type_of(from);
        ret.from_required = from->required;
    }
    if (to != NULL) {
        ret.id = (int32_t)to->id;
        ret.to_name = to->name;
        ret.to_type = type_of(to);
        ret.to_required = to->required;
    }
    return ret;
}

static pang_code read_schema(const pang_json *document, pang_arena *arena, pang_model_schema **ret,
                             pang_err *err)
{
    return pang_model_schema_read(
        current_of(document, "schemas", "schema-id", "current-schema-id", "schema"), NULL, arena,
        ret, err);
}

static pang_code compare_columns(const pang_json *from, const pang_json *to, pang_arena *arena,
                                 pang_model_diff *ret, pang_err *err)
{
    pang_model_schema *a, *b;
    pang_code code = read_schema(from, arena, &a, err);
    if (code == PANG_OK)
        code = read_schema(to, arena, &b, err);
    if (code != PANG_OK)
        return code;
    pang_column_diff *columns = pang_arena_alloc_n(arena, a->n + b->n, sizeof *columns);
    if (columns == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < a->n; i++) {
        const pang_model_column *other = pang_model_column_by_id(b, a->columns[i].id);
        if (other == NULL || !same_column(&a->columns[i], other))
            columns[ret->n_columns++] = column_diff(&a->columns[i], other);
    }
    for (size_t i = 0; i < b->n; i++)
        if (pang_model_column_by_id(a, b->columns[i].id) == NULL)
            columns[ret->n_columns++] = column_diff(NULL, &b->columns[i]);
    ret->columns = columns;
    return PANG_OK;
}

/* ---- snapshots ---- */

/* Ids of the snapshots of one document that the other has not. */
static pang_code missing(const pang_json *of, const pang_json *from, pang_arena *arena,
                         const int64_t **ret, size_t *ret_n, pang_err *err)
{
    const pang_json *mine = pang_json_get(of, "snapshots"),
                    *others = pang_json_get(from, "snapshots");
    pang_model_ids known = {.arena = arena};
    int64_t *ids = pang_arena_alloc_n(arena, pang_json_size(mine), sizeof *ids), id;
    if (ids == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < pang_json_size(others); i++)
        if (pang_model_has_int(pang_json_at(others, i), "snapshot-id", &id) &&
            !pang_model_ids_put(&known, id, others))
            return pang_fail_memory(err);
    for (size_t i = 0; i < pang_json_size(mine); i++)
        if (pang_model_has_int(pang_json_at(mine, i), "snapshot-id", &id) &&
            pang_model_ids_get(&known, id) == NULL)
            ids[(*ret_n)++] = id;
    *ret = ids;
    return PANG_OK;
}

/* ---- all of it ---- */

pang_code pang_model_compare(const pang_json *from, const pang_json *to, pang_arena *arena,
                             pang_model_diff *ret, pang_err *err)
{
    static const char *const partition_members[] = {"source-id", "transform", "name", "field-id",
                                                    NULL};
    static const char *const order_members[] = {"source-id", "transform", "direction", "null-order",
                                                NULL};
    *ret = (pang_model_diff){.partitioning = false};
    ret->partitioning = !same_fields(
        current_of(from, "partition-specs", "spec-id", "default-spec-id", "partition-spec"),
        current_of(to, "partition-specs", "spec-id", "default-spec-id", "partition-spec"),
        partition_members);
    ret->sort_order = !same_fields(
        current_of(from, "sort-orders", "order-id", "default-sort-order-id", "sort-order"),
        current_of(to, "sort-orders", "order-id", "default-sort-order-id", "sort-order"),
        order_members);
    pang_code code = compare_columns(from, to, arena, ret, err);
    if (code == PANG_OK)
        code = missing(to, from, arena, &ret->added, &ret->n_added, err);
    return code == PANG_OK ? missing(from, to, arena, &ret->removed, &ret->n_removed, err) : code;
}

/* ---- properties ---- */

static pang_str value_of(const pang_json *properties, pang_str name)
{
    pang_str text = {0};
    (void)pang_json_to_str(pang_json_get_str(properties, name), &text);
    return text;
}

static bool same_value(pang_str a, pang_str b)
{
    return (a.ptr == NULL) == (b.ptr == NULL) && pang_str_equal(a, b);
}

pang_code pang_model_compare_properties(const pang_json *from, const pang_json *to,
                                        pang_arena *arena, pang_property_diff **ret, size_t *ret_n,
                                        pang_err *err)
{
    const pang_json *a = pang_json_get(from, "properties"), *b = pang_json_get(to, "properties");
    pang_json_members it = {.object = a};
    pang_str name;
    pang_json *value;
    *ret_n = 0;
    *ret = pang_arena_alloc_n(arena, pang_json_size(a) + pang_json_size(b), sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    while (pang_json_next(&it, &name, &value)) {
        pang_str before = value_of(a, name), after = value_of(b, name);
        if (!same_value(before, after))
            (*ret)[(*ret_n)++] = (pang_property_diff){name, before, after};
    }
    it = (pang_json_members){.object = b};
    while (pang_json_next(&it, &name, &value))
        if (pang_json_get_str(a, name) == NULL)
            (*ret)[(*ret_n)++] = (pang_property_diff){name, {0}, value_of(b, name)};
    return PANG_OK;
}
