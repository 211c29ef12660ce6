/*
 * Avro schemas: JSON in, a tree out. A named type may be used by its name after it was defined,
 * also inside itself; the tree then has a cycle, which readers bound by depth.
 */
#include "server/avro_schema.h"

#include "api/json.h"

enum { NAMED_MAX = 1024, DEPTH_MAX = 32, CHILDREN_MAX = 4096 };

typedef struct {
    pang_arena *arena;
    pang_err *err;
    struct {
        pang_str name;
        avro_node *node;
    } named[NAMED_MAX];
    size_t n_named;
} parser;

static pang_code parse(parser *p, const pang_json *json, unsigned depth, avro_node **ret);

static pang_code bad(parser *p, const char *why)
{
    return pang_fail(p->err, PANG_INVALID_ARGUMENT, NULL, "avro schema: %s", why);
}

static const struct {
    const char *name;
    avro_type type;
} primitives[] = {
    {"null", AVRO_NULL},   {"boolean", AVRO_BOOLEAN}, {"int", AVRO_INT},     {"long", AVRO_INT},
    {"float", AVRO_FLOAT}, {"double", AVRO_DOUBLE},   {"bytes", AVRO_BYTES}, {"string", AVRO_BYTES},
};

/* Of bytes that a value takes at least. A record that is not yet parsed takes some: one that holds
 * itself and nothing else has no value at all. */
static uint64_t least_of(avro_type type)
{
    return type == AVRO_NULL ? 0 : type == AVRO_FLOAT ? 4 : type == AVRO_DOUBLE ? 8 : 1;
}

static avro_node *new_node(parser *p, avro_type type, size_t n)
{
    avro_node *node = pang_arena_alloc(p->arena, sizeof *node);
    if (node == NULL)
        return NULL;
    node->type = type;
    node->least = least_of(type);
    node->n = n;
    node->children = pang_arena_alloc_n(p->arena, n, sizeof(avro_node *));
    return node->children == NULL ? NULL : node;
}

/* A name without its namespace: of two namespaces no file here has ever had a need. */
static pang_str short_name(pang_str name)
{
    for (size_t dot; (dot = pang_str_find(name, '.')) < name.len;)
        name = pang_str_after(name, dot + 1);
    return name;
}

static pang_code parse_name(parser *p, pang_str name, avro_node **ret)
{
    for (size_t i = 0; i < sizeof primitives / sizeof primitives[0]; i++)
        if (pang_str_equal(name, pang_str_from(primitives[i].name))) {
            *ret = new_node(p, primitives[i].type, 0);
            return *ret == NULL ? pang_fail_memory(p->err) : PANG_OK;
        }
    for (size_t i = p->n_named; i-- > 0;)
        if (pang_str_equal(short_name(name), p->named[i].name)) {
            *ret = p->named[i].node;
            return PANG_OK;
        }
    return bad(p, "unknown type");
}

static pang_code remember(parser *p, const pang_json *json, avro_node *node)
{
    pang_str name;
    if (!pang_json_to_str(pang_json_get(json, "name"), &name))
        return PANG_OK;
    if (p->n_named == NAMED_MAX)
        return bad(p, "too many named types");
    p->named[p->n_named].name = short_name(name);
    p->named[p->n_named++].node = node;
    return PANG_OK;
}

static pang_code parse_field(parser *p, const pang_json *field, unsigned depth, avro_node *record,
                             size_t i)
{
    int64_t id;
    if (!pang_json_to_str(pang_json_get(field, "name"), &record->names[i]))
        return bad(p, "a field without a name");
    record->ids[i] = -1;
    if (pang_json_to_int64(pang_json_get(field, "field-id"), &id) && id >= 0 && id <= INT32_MAX)
        record->ids[i] = (int32_t)id;
    return parse(p, pang_json_get(field, "type"), depth + 1, &record->children[i]);
}

static pang_code parse_record(parser *p, const pang_json *json, unsigned depth, avro_node **ret)
{
    const pang_json *fields = pang_json_get(json, "fields");
    size_t n = pang_json_size(fields);
    if (pang_json_type_of(fields) != PANG_JSON_IS_ARRAY || n > CHILDREN_MAX)
        return bad(p, "a record's fields");
    avro_node *node = new_node(p, AVRO_RECORD, n);
    if (node == NULL)
        return pang_fail_memory(p->err);
    node->names = pang_arena_alloc_n(p->arena, n, sizeof *node->names);
    node->ids = pang_arena_alloc_n(p->arena, n, sizeof *node->ids);
    if (node->names == NULL || node->ids == NULL)
        return pang_fail_memory(p->err);
    pang_code code = remember(p, json, node);
    uint64_t least = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        code = parse_field(p, pang_json_at(fields, i), depth, node, i);
        if (code == PANG_OK && __builtin_add_overflow(least, node->children[i]->least, &least))
            least = UINT64_MAX;
    }
    node->least = least;
    *ret = node;
    return code;
}

static pang_code parse_union(parser *p, const pang_json *json, unsigned depth, avro_node **ret)
{
    size_t n = pang_json_size(json);
    if (n > CHILDREN_MAX)
        return bad(p, "a union is too large");
    avro_node *node = new_node(p, AVRO_UNION, n);
    pang_code code = PANG_OK;
    if (node == NULL)
        return pang_fail_memory(p->err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = parse(p, pang_json_at(json, i), depth + 1, &node->children[i]);
    *ret = node;
    return code;
}

static pang_code parse_holder(parser *p, avro_type type, const pang_json *inner, unsigned depth,
                              avro_node **ret)
{
    avro_node *node = new_node(p, type, 1);
    if (node == NULL)
        return pang_fail_memory(p->err);
    *ret = node;
    return parse(p, inner, depth + 1, &node->children[0]);
}

static bool is_decimal(const pang_json *json)
{
    pang_str logical;
    return pang_json_to_str(pang_json_get(json, "logicalType"), &logical) &&
           pang_str_equal(logical, PANG_STR("decimal"));
}

static pang_code parse_leaf(parser *p, const pang_json *json, avro_type type, avro_node **ret)
{
    avro_node *node = new_node(p, type, 0);
    if (node == NULL)
        return pang_fail_memory(p->err);
    if (type == AVRO_FIXED) {
        if (!pang_json_to_int64(pang_json_get(json, "size"), &node->size) || node->size < 0)
            return bad(p, "a fixed type's size");
        node->least = (uint64_t)node->size;
        node->decimal = is_decimal(json);
    }
    *ret = node;
    return remember(p, json, node);
}

/* {"type": "bytes", "logicalType": ...}, or the name of another type. */
static pang_code parse_annotated(parser *p, const pang_json *json, pang_str name, avro_node **ret)
{
    if (!pang_str_equal(name, PANG_STR("bytes")) || !is_decimal(json))
        return parse_name(p, name, ret);
    *ret = new_node(p, AVRO_BYTES, 0);
    if (*ret == NULL)
        return pang_fail_memory(p->err);
    (*ret)->decimal = true;
    return PANG_OK;
}

static pang_code parse_object(parser *p, const pang_json *json, unsigned depth, avro_node **ret)
{
    const pang_json *type = pang_json_get(json, "type");
    pang_str name;
    if (!pang_json_to_str(type, &name))
        return parse(p, type, depth + 1, ret);
    if (pang_str_equal(name, PANG_STR("record")))
        return parse_record(p, json, depth, ret);
    if (pang_str_equal(name, PANG_STR("array")))
        return parse_holder(p, AVRO_ARRAY, pang_json_get(json, "items"), depth, ret);
    if (pang_str_equal(name, PANG_STR("map")))
        return parse_holder(p, AVRO_MAP, pang_json_get(json, "values"), depth, ret);
    if (pang_str_equal(name, PANG_STR("fixed")))
        return parse_leaf(p, json, AVRO_FIXED, ret);
    if (pang_str_equal(name, PANG_STR("enum")))
        return parse_leaf(p, json, AVRO_ENUM, ret);
    return parse_annotated(p, json, name, ret);
}

static pang_code parse(parser *p, const pang_json *json, unsigned depth, avro_node **ret)
{
    pang_str name;
    if (depth > DEPTH_MAX)
        return bad(p, "too deep");
    if (pang_json_to_str(json, &name))
        return parse_name(p, name, ret);
    if (pang_json_type_of(json) == PANG_JSON_IS_ARRAY)
        return parse_union(p, json, depth, ret);
    if (pang_json_type_of(json) == PANG_JSON_IS_OBJECT)
        return parse_object(p, json, depth, ret);
    return bad(p, "a type is missing");
}

pang_code avro_schema_parse(pang_str text, pang_arena *arena, avro_node **ret, pang_err *err)
{
    parser *p = pang_arena_alloc(arena, sizeof *p);
    pang_json *json;
    if (p == NULL)
        return pang_fail_memory(err);
    p->arena = arena;
    p->err = err;
    pang_code code = pang_json_parse(text, arena, &json, err);
    return code == PANG_OK ? parse(p, json, 0, ret) : code;
}

bool avro_field_is(const avro_node *record, size_t i, int32_t id, pang_str name)
{
    if (record->ids[i] >= 0 && id >= 0)
        return record->ids[i] == id;
    return pang_str_equal(record->names[i], name);
}

const avro_node *avro_field_type(const avro_node *record, int32_t id, pang_str name)
{
    const avro_node *found = NULL;
    for (size_t i = 0; record != NULL && record->type == AVRO_RECORD && i < record->n; i++)
        if (avro_field_is(record, i, id, name))
            found = record->children[i];
    if (found == NULL || found->type != AVRO_UNION)
        return found;
    for (size_t i = 0; i < found->n; i++)
        if (found->children[i]->type != AVRO_NULL)
            return found->children[i];
    return NULL;
}
