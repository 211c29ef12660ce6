/*
 * Model: schemas, looked into. One walk turns a schema's JSON into a flat list of columns with
 * their ids, full names, types and ancestors, and refuses what no format version allows; all
 * later questions (sources of partitions, identifier fields, versions) are asked of the list.
 */
#include <inttypes.h>
#include <string.h>

#include "server/model_types.h"

/* The ids above are Iceberg's own columns (file name, position, row id, ...). */
enum { COLUMN_ID_MAX = INT32_MAX - 201 };

static const pang_model_member schema_members[5], field_members[5], list_members[3];
static const pang_model_member map_members[4];

/* What a field, element, key or value inherits from where it stands. */
typedef struct {
    size_t parent;             /* index + 1 */
    pang_str name, short_name; /* of the parent */
    bool in_structs, in_required_structs;
} place;

typedef struct {
    pang_model_schema *schema;
    pang_err *err;
} walk;

static pang_code walk_type(walk *w, const pang_json *node, size_t column,
                           const pang_model_path *at);

static pang_str joined(pang_arena *arena, pang_str a, pang_str b)
{
    if (a.len == 0)
        return b;
    return pang_arena_printf(arena, "%" PANG_STR_FMT ".%" PANG_STR_FMT, PANG_STR_ARG(a),
                             PANG_STR_ARG(b));
}

static pang_code make_room(pang_model_schema *schema, pang_err *err)
{
    if (schema->n < schema->capacity)
        return PANG_OK;
    if (schema->n >= PANG_MODEL_COLUMNS_MAX)
        return pang_model_illegal(err, "Invalid schema: more than %d columns",
                                  PANG_MODEL_COLUMNS_MAX);
    size_t capacity = schema->capacity == 0 ? 32 : schema->capacity * 2;
    pang_model_column *columns = pang_arena_alloc_n(schema->arena, capacity, sizeof *columns);
    if (columns == NULL)
        return pang_fail_memory(err);
    if (schema->n > 0)
        memcpy(columns, schema->columns, schema->n * sizeof *columns);
    schema->columns = columns;
    schema->capacity = capacity;
    return PANG_OK;
}

/* The map's values are indices + 1 in the guise of pointers: columns move when the list grows. */
static const void *as_value(size_t index)
{
    return (const void *)(uintptr_t)(index + 1);
}

static pang_code name_column(pang_model_schema *schema, const pang_model_column *column,
                             pang_err *err)
{
    pang_json *index = pang_json_int((int64_t)schema->n, schema->arena);
    if (pang_model_column_by_name(schema, column->name) != NULL)
        return pang_model_invalid(err, "Invalid schema: multiple fields for name %" PANG_STR_FMT,
                                  PANG_STR_ARG(column->name));
    if (!pang_json_set_str(schema->names, column->name, index))
        return pang_fail_memory(err);
    if (!pang_str_equal(column->name, column->short_name) &&
        pang_json_get_str(schema->names, column->short_name) == NULL &&
        !pang_json_set_str(schema->names, column->short_name, index))
        return pang_fail_memory(err);
    return PANG_OK;
}

static pang_code no_type(const pang_json *node, const pang_model_path *at, pang_err *err)
{
    pang_str text;
    if (!pang_json_to_str(node, &text))
        return pang_model_bad(err, at, "type", "must be a string, or a struct, list or map");
    return pang_model_illegal(err, "Cannot parse type string to primitive: %" PANG_STR_FMT,
                              PANG_STR_ARG(text));
}

/* Adds a column and walks into its type. `tail` is its own name. */
static pang_code add_column(walk *w, pang_model_column column, const place *where, pang_str tail,
                            bool skip_short, const pang_json *type_node, const pang_model_path *at)
{
    pang_model_schema *schema = w->schema;
    pang_code code = make_room(schema, w->err);
    if (code != PANG_OK)
        return code;
    column.parent = where->parent;
    column.in_structs = where->in_structs;
    column.in_required_structs = where->in_required_structs;
    column.name = joined(schema->arena, where->name, tail);
    column.short_name = skip_short ? where->short_name
                                   : joined(schema->arena, where->short_name, tail);
    schema->name_bytes += column.name.len + column.short_name.len;
    if (schema->name_bytes > PANG_MODEL_NAMES_MAX)
        return pang_model_illegal(w->err, "Invalid schema: the names of its columns are too long");
    if (pang_arena_failed(schema->arena))
        return pang_fail_memory(w->err);
    if (!pang_type_parse(type_node, &column.type))
        return no_type(type_node, at, w->err);
    if (column.type.kind == PANG_TYPE_UNKNOWN && column.required)
        return pang_model_illegal(w->err,
                                  "Cannot create required field with unknown type: %" PANG_STR_FMT,
                                  PANG_STR_ARG(column.name));
    if (pang_model_ids_get(&schema->by_id, column.id) != NULL)
        return pang_model_illegal(w->err, "Invalid schema: multiple fields for id %" PRId64,
                                  column.id);
    if (!pang_model_ids_put(&schema->by_id, column.id, as_value(schema->n)))
        return pang_fail_memory(w->err);
    /* A struct in a list or map has no short name of its own: its fields take the list's. */
    if (!skip_short && (code = name_column(schema, &column, w->err)) != PANG_OK)
        return code;
    if (skip_short && !pang_json_set_str(schema->names, column.name,
                                         pang_json_int((int64_t)schema->n, schema->arena)))
        return pang_fail_memory(w->err);
    if (column.id > schema->highest)
        schema->highest = column.id;
    schema->columns[schema->n++] = column;
    return walk_type(w, type_node, schema->n - 1, at);
}

/* Whether a default stands where it may, in the form that its type demands. */
static pang_code check_default(walk *w, const pang_json *field, const char *name,
                               const pang_model_path *at)
{
    const pang_json *value = pang_json_get(field, name);
    if (pang_json_is_null(value) || pang_type_takes(pang_json_get(field, "type"), value))
        return PANG_OK;
    pang_type type;
    if (!pang_type_parse(pang_json_get(field, "type"), &type))
        return PANG_OK; /* is said with more words when the type is walked */
    return pang_model_bad(w->err, at, name, "is no value of type %" PANG_STR_FMT,
                          PANG_STR_ARG(type.text));
}

static pang_code walk_fields(walk *w, const pang_json *fields, const place *where,
                             const pang_model_path *at)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(fields); i++) {
        const pang_json *field = pang_json_at(fields, i);
        pang_model_path list = PANG_MODEL_IN(at, "fields"), here = PANG_MODEL_AT(&list, i);
        if ((code = pang_model_shape(field, &here, field_members, w->err)) != PANG_OK ||
            (code = check_default(w, field, "initial-default", &here)) != PANG_OK ||
            (code = check_default(w, field, "write-default", &here)) != PANG_OK)
            return code;
        if (pang_model_text(field, "name").len == 0)
            return pang_model_bad(w->err, &here, "name", "is empty");
        if (pang_json_is_null(pang_json_get(field, "type")))
            return pang_model_bad(w->err, &here, "type", "is missing");
        pang_model_column column = {.id = pang_model_int(field, "id", 0),
                                    .node = field,
                                    .required = pang_model_flag(field, "required", false)};
        code = add_column(w, column, where, pang_model_text(field, "name"), false,
                          pang_json_get(field, "type"), &here);
    }
    return code;
}

/* An element, key or value of the list or map `node`. */
static pang_code walk_inner(walk *w, const pang_json *node, const place *where, const char *member,
                            const char *id, bool required, const pang_model_path *at)
{
    const pang_json *type_node = pang_json_get(node, member);
    pang_model_path here = PANG_MODEL_IN(at, member);
    if (pang_json_is_null(type_node))
        return pang_model_bad(w->err, at, member, "is missing");
    bool is_struct = pang_str_equal(pang_model_text(type_node, "type"), PANG_STR("struct"));
    pang_model_column column = {
        .id = pang_model_int(node, id, 0), .node = node, .required = required};
    return add_column(w, column, where, pang_str_from(member),
                      is_struct && strcmp(member, "key") != 0, type_node, &here);
}

/* Walks into the type of a column; its children see the column's names. */
static pang_code walk_type(walk *w, const pang_json *node, size_t index, const pang_model_path *at)
{
    pang_model_column column = w->schema->columns[index];
    bool is_struct = column.type.kind == PANG_TYPE_STRUCT;
    place where = {.parent = index + 1,
                   .name = column.name,
                   .short_name = column.short_name,
                   .in_structs = column.in_structs && is_struct,
                   .in_required_structs = column.in_required_structs && is_struct &&
                                          column.required};
    pang_code code;
    switch (column.type.kind) {
    case PANG_TYPE_STRUCT:
        if (pang_json_type_of(pang_json_get(node, "fields")) != PANG_JSON_IS_ARRAY)
            return pang_model_bad(w->err, at, "fields", "must be an array");
        return walk_fields(w, pang_json_get(node, "fields"), &where, at);
    case PANG_TYPE_LIST:
        code = pang_model_shape(node, at, list_members, w->err);
        return code != PANG_OK ? code
                               : walk_inner(w, node, &where, "element", "element-id",
                                            pang_model_flag(node, "element-required", false), at);
    case PANG_TYPE_MAP:
        code = pang_model_shape(node, at, map_members, w->err);
        if (code == PANG_OK)
            code = walk_inner(w, node, &where, "key", "key-id", true, at);
        return code != PANG_OK ? code
                               : walk_inner(w, node, &where, "value", "value-id",
                                            pang_model_flag(node, "value-required", false), at);
    default:
        return PANG_OK;
    }
}

static pang_code check_identifiers(const pang_model_schema *schema, const pang_json *ids,
                                   pang_err *err)
{
    if (pang_json_size(ids) > PANG_MODEL_IDENTIFIERS_MAX)
        return pang_model_illegal(err, "Invalid schema: more than %d identifier fields",
                                  PANG_MODEL_IDENTIFIERS_MAX);
    for (size_t i = 0; i < pang_json_size(ids); i++) {
        int64_t id = -1;
        (void)pang_json_to_int64(pang_json_at(ids, i), &id);
        const pang_model_column *column = pang_model_column_by_id(schema, id);
        if (column == NULL)
            return pang_model_illegal(
                err, "Cannot add fieldId %" PRId64 " as an identifier field: field does not exist",
                id);
        const char *fault = NULL;
        if (!pang_type_is_primitive(column->type.kind))
            fault = "not a primitive type field";
        else if (!column->required)
            fault = "not a required field";
        else if (column->type.kind == PANG_TYPE_FLOAT || column->type.kind == PANG_TYPE_DOUBLE)
            fault = "must not be float or double field";
        else if (!column->in_required_structs)
            fault = "must not be nested in a list, a map or an optional struct";
        if (fault != NULL)
            return pang_model_illegal(
                err, "Cannot add field %" PANG_STR_FMT " as an identifier field: %s",
                PANG_STR_ARG(column->name), fault);
    }
    return PANG_OK;
}

pang_code pang_model_schema_read(const pang_json *schema, const pang_model_path *at,
                                 pang_arena *arena, pang_model_schema **ret, pang_err *err)
{
    pang_code code = pang_model_shape(schema, at, schema_members, err);
    if (code != PANG_OK)
        return code;
    if (!pang_str_equal(pang_model_text(schema, "type"), PANG_STR("struct")))
        return pang_model_bad(err, at, "type", "must be \"struct\"");
    pang_model_schema *index = pang_arena_alloc(arena, sizeof *index);
    if (index == NULL)
        return pang_fail_memory(err);
    index->arena = arena;
    index->by_id.arena = arena;
    index->names = pang_json_object(arena);
    walk w = {.schema = index, .err = err};
    place top = {.in_structs = true, .in_required_structs = true};
    if (index->names == NULL)
        return pang_fail_memory(err);
    code = walk_fields(&w, pang_json_get(schema, "fields"), &top, at);
    if (code == PANG_OK)
        code = check_identifiers(index, pang_json_get(schema, "identifier-field-ids"), err);
    if (code == PANG_OK)
        *ret = index;
    return code;
}

const pang_model_column *pang_model_column_by_id(const pang_model_schema *schema, int64_t id)
{
    uintptr_t index = (uintptr_t)pang_model_ids_get(&schema->by_id, id);
    return index == 0 ? NULL : &schema->columns[index - 1];
}

const pang_model_column *pang_model_column_by_name(const pang_model_schema *schema, pang_str name)
{
    int64_t index;
    if (!pang_json_to_int64(pang_json_get_str(schema->names, name), &index))
        return NULL;
    return &schema->columns[index];
}

/* ---- versions ---- */

pang_code pang_model_schema_suits(const pang_model_schema *schema, int version, pang_err *err)
{
    pang_buf problems = {.arena = schema->arena};
    for (size_t i = 0; i < schema->n && problems.len < PANG_ERR_MESSAGE_MAX; i++) {
        const pang_model_column *column = &schema->columns[i];
        int since = pang_type_since(column->type.kind);
        if (since > version)
            pang_buf_printf(&problems,
                            "\n- Invalid type for %" PANG_STR_FMT ": %" PANG_STR_FMT
                            " is not supported until v%d",
                            PANG_STR_ARG(column->name), PANG_STR_ARG(column->type.text), since);
        if (version < 3 && pang_model_has(column->node, "initial-default"))
            pang_buf_printf(&problems,
                            "\n- Invalid initial default for %" PANG_STR_FMT
                            ": non-null default is not supported until v3",
                            PANG_STR_ARG(column->name));
    }
    if (problems.failed)
        return pang_fail_memory(err);
    if (problems.len == 0)
        return PANG_OK;
    pang_str text = pang_buf_str(&problems);
    return pang_model_illegal(err, "Invalid schema for v%d:%" PANG_STR_FMT, version,
                              PANG_STR_ARG(text));
}

/* ---- comparing ---- */

static bool same_type(const pang_json *a, const pang_json *b);

static bool same_member(const pang_json *a, const pang_json *b, const char *name)
{
    const pang_json *x = pang_json_get(a, name), *y = pang_json_get(b, name);
    if (pang_json_is_null(x) || pang_json_is_null(y))
        return pang_json_is_null(x) && pang_json_is_null(y);
    return pang_json_equal(x, y);
}

static bool same_fields(const pang_json *a, const pang_json *b)
{
    static const char *const members[] = {"id", "name", "doc", "initial-default", "write-default"};
    if (pang_json_size(a) != pang_json_size(b))
        return false;
    for (size_t i = 0; i < pang_json_size(a); i++) {
        const pang_json *x = pang_json_at(a, i), *y = pang_json_at(b, i);
        for (size_t m = 0; m < sizeof members / sizeof members[0]; m++) {
            if (!same_member(x, y, members[m]))
                return false;
        }
        if (pang_model_flag(x, "required", false) != pang_model_flag(y, "required", false) ||
            !same_type(pang_json_get(x, "type"), pang_json_get(y, "type")))
            return false;
    }
    return true;
}

static bool same_type(const pang_json *a, const pang_json *b)
{
    pang_type x, y;
    if (!pang_type_parse(a, &x) || !pang_type_parse(b, &y) || !pang_type_equal(&x, &y))
        return false;
    switch (x.kind) {
    case PANG_TYPE_STRUCT:
        return same_fields(pang_json_get(a, "fields"), pang_json_get(b, "fields"));
    case PANG_TYPE_LIST:
        return same_member(a, b, "element-id") &&
               pang_model_flag(a, "element-required", false) ==
                   pang_model_flag(b, "element-required", false) &&
               same_type(pang_json_get(a, "element"), pang_json_get(b, "element"));
    case PANG_TYPE_MAP:
        return same_member(a, b, "key-id") && same_member(a, b, "value-id") &&
               pang_model_flag(a, "value-required", false) ==
                   pang_model_flag(b, "value-required", false) &&
               same_type(pang_json_get(a, "key"), pang_json_get(b, "key")) &&
               same_type(pang_json_get(a, "value"), pang_json_get(b, "value"));
    default:
        return true;
    }
}

/* ---- hashes ---- */

static uint64_t mixed(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0xbf58476d1ce4e5b9u;
    return hash ^ (hash >> 31);
}

static uint64_t hash_text(uint64_t hash, const pang_json *object, const char *name)
{
    return mixed(hash, pang_str_hash(pang_model_text(object, name)));
}

static uint64_t hash_type(uint64_t hash, const pang_json *node);

static uint64_t hash_fields(uint64_t hash, const pang_json *fields)
{
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        const pang_json *field = pang_json_at(fields, i);
        hash = mixed(hash, (uint64_t)pang_model_int(field, "id", 0));
        hash = hash_text(hash, field, "name");
        hash = hash_text(hash, field, "doc");
        hash = mixed(hash, pang_model_flag(field, "required", false));
        hash = hash_type(hash, pang_json_get(field, "type"));
    }
    return mixed(hash, pang_json_size(fields));
}

/* Of primitives the kind alone, since one may be spelt in several ways. */
static uint64_t hash_type(uint64_t hash, const pang_json *node)
{
    pang_type type = {0};
    if (!pang_type_parse(node, &type))
        return hash;
    hash = mixed(hash, (uint64_t)type.kind);
    switch (type.kind) {
    case PANG_TYPE_STRUCT:
        return hash_fields(hash, pang_json_get(node, "fields"));
    case PANG_TYPE_LIST:
        hash = mixed(hash, (uint64_t)pang_model_int(node, "element-id", 0));
        return hash_type(hash, pang_json_get(node, "element"));
    case PANG_TYPE_MAP:
        hash = mixed(hash, (uint64_t)pang_model_int(node, "value-id", 0));
        hash = hash_type(hash, pang_json_get(node, "key"));
        return hash_type(hash, pang_json_get(node, "value"));
    default:
        return hash;
    }
}

uint64_t pang_model_schema_hash(const pang_json *schema)
{
    return hash_fields(pang_json_size(pang_json_get(schema, "identifier-field-ids")),
                       pang_json_get(schema, "fields"));
}

/* ---- the same ---- */

/* As sets; both lists are short. */
static bool same_ids(const pang_json *a, const pang_json *b)
{
    for (size_t i = 0; i < pang_json_size(a); i++) {
        bool found = false;
        for (size_t k = 0; !found && k < pang_json_size(b); k++)
            found = pang_json_equal(pang_json_at(a, i), pang_json_at(b, k));
        if (!found)
            return false;
    }
    return true;
}

bool pang_model_schema_same(const pang_json *a, const pang_json *b)
{
    const pang_json *x = pang_json_get(a, "identifier-field-ids");
    const pang_json *y = pang_json_get(b, "identifier-field-ids");
    return same_fields(pang_json_get(a, "fields"), pang_json_get(b, "fields")) && same_ids(x, y) &&
           same_ids(y, x);
}

static const pang_model_member schema_members[5] = {
    {"type", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"schema-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, INT32_MIN, INT32_MAX},
    {"identifier-field-ids", PANG_MODEL_NUMBERS, PANG_MODEL_OPTIONAL, INT32_MIN, INT32_MAX},
    {"fields", PANG_MODEL_ARRAY, PANG_MODEL_REQUIRED, 0, 0},
    {NULL, 0, 0, 0, 0},
};

static const pang_model_member field_members[5] = {
    {"id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, COLUMN_ID_MAX},
    {"name", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"required", PANG_MODEL_FLAG, PANG_MODEL_REQUIRED, 0, 0},
    {"doc", PANG_MODEL_TEXT, PANG_MODEL_OPTIONAL, 0, 0},
    {NULL, 0, 0, 0, 0},
};

static const pang_model_member list_members[3] = {
    {"element-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, COLUMN_ID_MAX},
    {"element-required", PANG_MODEL_FLAG, PANG_MODEL_REQUIRED, 0, 0},
    {NULL, 0, 0, 0, 0},
};

static const pang_model_member map_members[4] = {
    {"key-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, COLUMN_ID_MAX},
    {"value-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, COLUMN_ID_MAX},
    {"value-required", PANG_MODEL_FLAG, PANG_MODEL_REQUIRED, 0, 0},
    {NULL, 0, 0, 0, 0},
};
