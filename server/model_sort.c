/*
 * Model: sort orders: their form, whether a schema has their sources, and their updates.
 */
#include <inttypes.h>

#include "server/model_build.h"

static const pang_model_member order_members[6];

static bool is_one_of(pang_str text, const char *a, const char *b)
{
    return pang_str_equal_nocase(text, pang_str_from(a)) ||
           pang_str_equal_nocase(text, pang_str_from(b));
}

pang_code pang_model_order_shape(const pang_json *fields, const pang_model_path *at, pang_err *err)
{
    pang_code code = PANG_OK;
    if (pang_json_size(fields) > PANG_MODEL_FIELDS_MAX)
        return pang_model_bad(err, at, NULL, "has more than %d elements", PANG_MODEL_FIELDS_MAX);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(fields); i++) {
        const pang_json *field = pang_json_at(fields, i);
        pang_model_path here = PANG_MODEL_AT(at, i);
        code = pang_model_shape(field, &here, order_members, err);
        if (code != PANG_OK)
            return code;
        if (!is_one_of(pang_model_text(field, "direction"), "asc", "desc"))
            return pang_model_bad(err, &here, "direction", "must be \"asc\" or \"desc\"");
        if (!is_one_of(pang_model_text(field, "null-order"), "nulls-first", "nulls-last"))
            return pang_model_bad(err, &here, "null-order",
                                  "must be \"nulls-first\" or \"nulls-last\"");
        code = pang_model_source_shape(field, &here, err);
    }
    return code;
}

static pang_code field_suits(const pang_json *field, int64_t source,
                             const pang_model_schema *schema, pang_err *err)
{
    pang_str text = pang_model_text(field, "transform");
    pang_str direction = pang_model_text(field, "direction");
    pang_str nulls = pang_model_text(field, "null-order");
    const pang_model_column *column = pang_model_column_by_id(schema, source);
    pang_transform_kind transform;
    pang_code code = pang_transform_parse(text, &transform, err);
    if (code != PANG_OK)
        return code;
    if (column == NULL)
        return pang_model_invalid(err,
                                  "Cannot find source column for sort field: %" PANG_STR_FMT
                                  "(%" PRId64 ") %" PANG_STR_FMT " %" PANG_STR_FMT,
                                  PANG_STR_ARG(text), source, PANG_STR_ARG(direction),
                                  PANG_STR_ARG(nulls));
    if (!pang_type_is_primitive(column->type.kind) || column->type.kind == PANG_TYPE_VARIANT)
        return pang_model_invalid(err, "Cannot sort by non-primitive source field: %" PANG_STR_FMT,
                                  PANG_STR_ARG(column->type.text));
    if (!pang_transform_applies(transform, column->type.kind))
        return pang_model_invalid(
            err, "Invalid source type %" PANG_STR_FMT " for transform: %" PANG_STR_FMT,
            PANG_STR_ARG(column->type.text), PANG_STR_ARG(text));
    return PANG_OK;
}

pang_code pang_model_order_suits(const pang_json *fields, const pang_model_schema *schema,
                                 pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(fields); i++) {
        const pang_json *field = pang_json_at(fields, i);
        const pang_json *several = pang_json_get(field, "source-ids");
        int64_t source;
        if (pang_model_source(field, &source)) {
            code = field_suits(field, source, schema, err);
            continue;
        }
        for (size_t k = 0; code == PANG_OK && k < pang_json_size(several); k++) {
            source = -1;
            (void)pang_json_to_int64(pang_json_at(several, k), &source);
            code = field_suits(field, source, schema, err);
        }
    }
    return code;
}

/* The spellings that every reader knows. */
pang_json *pang_model_order_tidy(pang_model_build *b, const pang_json *fields)
{
    pang_json *list = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        pang_json *field = pang_model_copy(pang_json_at(fields, i), b->arena);
        bool asc = pang_str_equal_nocase(pang_model_text(field, "direction"), PANG_STR("asc"));
        bool first = pang_str_equal_nocase(pang_model_text(field, "null-order"),
                                           PANG_STR("nulls-first"));
        field = pang_model_without_nulls(field, b->arena);
        pang_model_put_text(b, field, "direction", asc ? PANG_STR("asc") : PANG_STR("desc"));
        pang_model_put_text(b, field, "null-order",
                            first ? PANG_STR("nulls-first") : PANG_STR("nulls-last"));
        pang_model_add(b, list, field);
    }
    return list;
}

static bool same_fields(const pang_json *a, const pang_json *b)
{
    if (pang_json_size(a) != pang_json_size(b))
        return false;
    for (size_t i = 0; i < pang_json_size(a); i++) {
        const pang_json *x = pang_json_at(a, i), *y = pang_json_at(b, i);
        if (!pang_model_same_source(x, y) ||
            !pang_str_equal_nocase(pang_model_text(x, "direction"),
                                   pang_model_text(y, "direction")) ||
            !pang_str_equal_nocase(pang_model_text(x, "null-order"),
                                   pang_model_text(y, "null-order")))
            return false;
    }
    return true;
}

/* The id of an equal order, or a new one: 0 is the order without fields, others count from 1. */
static int64_t id_of_order(pang_model_build *b, const pang_json *fields, bool *ret_is_new)
{
    const pang_json *orders = pang_json_get(b->doc, "sort-orders");
    int64_t last = 0;
    *ret_is_new = false;
    for (size_t i = 0; i < pang_json_size(orders); i++) {
        const pang_json *order = pang_json_at(orders, i);
        int64_t id = pang_model_int(order, "order-id", 0);
        if (!pang_model_spend(b, 1 + pang_json_size(pang_json_get(order, "fields"))))
            return id;
        if (same_fields(fields, pang_json_get(order, "fields")))
            return id;
        last = id > last ? id : last;
    }
    *ret_is_new = true;
    return pang_json_size(fields) == 0 ? 0 : last + 1;
}

pang_code pang_model_add_order(pang_model_build *b, const pang_json *update,
                               const pang_model_path *at, pang_err *err)
{
    static const pang_model_member members[] = {
        {"order-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 0, INT32_MAX},
        {"fields", PANG_MODEL_ARRAY, PANG_MODEL_REQUIRED, 0, 0},
        {NULL, 0, 0, 0, 0},
    };
    const pang_json *order = pang_json_get(update, "sort-order");
    const pang_json *fields = pang_json_get(order, "fields");
    pang_model_path here = PANG_MODEL_IN(at, "sort-order");
    pang_model_path list = PANG_MODEL_IN(&here, "fields");
    const pang_model_schema *schema;
    pang_code code = pang_model_shape(order, &here, members, err);
    if (code == PANG_OK)
        code = pang_model_order_shape(fields, &list, err);
    if (code != PANG_OK)
        return code;
    int64_t given = pang_model_int(order, "order-id", pang_json_size(fields) == 0 ? 0 : 1);
    if (pang_json_size(fields) == 0 && given != 0)
        return pang_model_illegal(err, "Unsorted order ID must be 0");
    if (pang_json_size(fields) > 0 && given == 0)
        return pang_model_illegal(err, "Sort order ID 0 is reserved for unsorted order");
    if ((code = pang_model_current_schema(b, &schema, err)) != PANG_OK ||
        (code = pang_model_order_suits(fields, schema, err)) != PANG_OK)
        return code;
    bool is_new;
    int64_t id = id_of_order(b, fields, &is_new);
    if (is_new) {
        pang_json *copy = pang_model_copy(order, b->arena);
        pang_model_put_int(b, copy, "order-id", id);
        pang_model_put(b, copy, "fields", pang_model_order_tidy(b, fields));
        pang_model_add(b, pang_model_own(b, "sort-orders"), copy);
        b->changed = true;
    }
    return pang_model_count_added(&b->order, id, "sort orders", err);
}

pang_code pang_model_set_default_order(pang_model_build *b, const pang_json *update,
                                       const pang_model_path *at, pang_err *err)
{
    int64_t id = pang_model_int(update, "sort-order-id", -1);
    (void)at;
    if (id == -1 && b->order.n == 0)
        return pang_model_invalid(err,
                                  "Cannot set last added sort order: no sort order has been added");
    if (id == -1)
        id = b->order.id;
    if (id == pang_model_int(b->doc, "default-sort-order-id", -1))
        return PANG_OK;
    (void)pang_model_spend(b, pang_json_size(pang_json_get(b->doc, "sort-orders")));
    if (pang_model_find(pang_json_get(b->doc, "sort-orders"), "order-id", id) == NULL)
        return pang_model_illegal(
            err, "Cannot set default sort order to unknown sort order: %" PRId64, id);
    pang_model_put_int(b, b->doc, "default-sort-order-id", id);
    b->changed = true;
    return PANG_OK;
}

static const pang_model_member order_members[6] = {
    {"source-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 0, INT32_MAX},
    {"source-ids", PANG_MODEL_NUMBERS, PANG_MODEL_OPTIONAL, 0, INT32_MAX},
    {"transform", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"direction", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"null-order", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {NULL, 0, 0, 0, 0},
};
