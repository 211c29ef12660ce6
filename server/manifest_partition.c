/*
 * Partitions in manifests: a record with one field for each of the spec, of the type that the
 * transform gives. A source column that is not in the schema leaves the type to the values; where
 * these are all null it is Avro's null, as for columns of the type unknown.
 */
#include <inttypes.h>

#include "server/manifest_internal.h"
#include "server/model_types.h"

enum { FIRST_PARTITION_ID = 1000 /* what fields of version 1 without ids count from */ };

#define TYPE(wire, json)                                                                           \
    {                                                                                              \
        PANG_WIRE_##wire, 0, PANG_STR_INIT(json)                                                   \
    }
#define OF_LONG(logical) TYPE(LONG, "{\"type\":\"long\",\"logicalType\":\"" logical "\"}")
#define OF_TIME(logical, utc)                                                                      \
    TYPE(LONG, "{\"type\":\"long\",\"logicalType\":\"" logical "\",\"adjust-to-utc\":" utc "}")

static const pang_avro_type types[] = {
    [PANG_TYPE_BOOLEAN] = TYPE(BOOLEAN, "\"boolean\""),
    [PANG_TYPE_INT] = TYPE(INT, "\"int\""),
    [PANG_TYPE_LONG] = TYPE(LONG, "\"long\""),
    [PANG_TYPE_FLOAT] = TYPE(FLOAT, "\"float\""),
    [PANG_TYPE_DOUBLE] = TYPE(DOUBLE, "\"double\""),
    [PANG_TYPE_DATE] = TYPE(INT, "{\"type\":\"int\",\"logicalType\":\"date\"}"),
    [PANG_TYPE_TIME] = OF_LONG("time-micros"),
    [PANG_TYPE_TIMESTAMP] = OF_TIME("timestamp-micros", "false"),
    [PANG_TYPE_TIMESTAMPTZ] = OF_TIME("timestamp-micros", "true"),
    [PANG_TYPE_TIMESTAMP_NS] = OF_TIME("timestamp-nanos", "false"),
    [PANG_TYPE_TIMESTAMPTZ_NS] = OF_TIME("timestamp-nanos", "true"),
    [PANG_TYPE_STRING] = TYPE(BYTES, "\"string\""),
    [PANG_TYPE_BINARY] = TYPE(BYTES, "\"bytes\""),
};

typedef struct {
    const pang_manifest_new *manifest;
    const pang_model_schema *schema;
    pang_avro_field *fields;
    size_t n;        /* that are done */
    pang_str *named; /* the names of their types, where these have one */
    pang_arena *arena;
    pang_err *err;
} maker;

/* ---- types ---- */

/* A name may be defined once. Each use defines its own: not all readers know references. */
static pang_str define(maker *m, pang_str name, size_t size, const char *more)
{
    pang_str used = name;
    for (size_t i = 0; i < m->n; i++)
        if (pang_str_equal(m->named[i], name))
            used = pang_arena_printf(m->arena, "%" PANG_STR_FMT "_%zu", PANG_STR_ARG(name), m->n);
    m->named[m->n] = name;
    return pang_arena_printf(m->arena,
                             "{\"type\":\"fixed\",\"name\":\"%" PANG_STR_FMT "\",\"size\":%zu%s}",
                             PANG_STR_ARG(used), size, more);
}

static size_t decimal_bytes(int64_t precision)
{
    enum { LOG_2_OF_10 = 33219281, ONE = 10000000 };
    int64_t bits = precision * LOG_2_OF_10 / ONE + 1;
    return (size_t)(bits + 1 + 7) / 8; /* a sign besides, whole bytes */
}

static pang_avro_type decimal_type(maker *m, const pang_type *type)
{
    pang_str name = pang_arena_printf(m->arena, "decimal_%" PRId64 "_%" PRId64, type->a, type->b);
    pang_str more = pang_arena_printf(
        m->arena, ",\"logicalType\":\"decimal\",\"precision\":%" PRId64 ",\"scale\":%" PRId64,
        type->a, type->b);
    size_t size = decimal_bytes(type->a);
    return (pang_avro_type){PANG_WIRE_DECIMAL, size, define(m, name, size, more.ptr)};
}

static pang_avro_type fixed_type(maker *m, const pang_type *type)
{
    enum { UUID_BYTES = 16 };
    if (type->kind == PANG_TYPE_UUID)
        return (pang_avro_type){
            PANG_WIRE_FIXED, UUID_BYTES,
            define(m, PANG_STR("uuid_fixed"), UUID_BYTES, ",\"logicalType\":\"uuid\"")};
    pang_str name = pang_arena_printf(m->arena, "fixed_%" PRId64, type->a);
    return (pang_avro_type){PANG_WIRE_FIXED, (size_t)type->a, define(m, name, (size_t)type->a, "")};
}

static pang_avro_type type_of_values(const maker *m)
{
    static const pang_avro_type by_value[] = {
        [PANG_VALUE_NULL] = TYPE(NULL, "\"null\""),
        [PANG_VALUE_BOOLEAN] = TYPE(BOOLEAN, "\"boolean\""),
        [PANG_VALUE_INT] = TYPE(LONG, "\"long\""),
        [PANG_VALUE_FLOAT] = TYPE(DOUBLE, "\"double\""),
        [PANG_VALUE_DOUBLE] = TYPE(DOUBLE, "\"double\""),
        [PANG_VALUE_BYTES] = TYPE(BYTES, "\"bytes\""),
    };
    pang_value_type type = PANG_VALUE_NULL;
    for (size_t i = 0; type == PANG_VALUE_NULL && i < m->manifest->n; i++)
        type = m->manifest->entries[i]->partition[m->n].type;
    return by_value[type];
}

static pang_avro_type type_of_source(maker *m, const pang_json *field)
{
    int64_t source;
    const pang_model_column *column = pang_model_source(field, &source)
                                          ? pang_model_column_by_id(m->schema, source)
                                          : NULL;
    if (column == NULL)
        return type_of_values(m);
    if (column->type.kind == PANG_TYPE_DECIMAL)
        return decimal_type(m, &column->type);
    if (column->type.kind == PANG_TYPE_FIXED || column->type.kind == PANG_TYPE_UUID)
        return fixed_type(m, &column->type);
    return column->type.kind <= PANG_TYPE_BINARY ? types[column->type.kind] : type_of_values(m);
}

static pang_code find_type(maker *m, const pang_json *field, pang_avro_type *ret)
{
    pang_transform_kind transform;
    pang_str text;
    if (!pang_json_to_str(pang_json_get(field, "transform"), &text))
        return pang_fail(m->err, PANG_INVALID_ARGUMENT, NULL, "a partition field has no transform");
    pang_code code = pang_transform_parse(text, &transform, m->err);
    if (code != PANG_OK)
        return code;
    switch (transform) {
    case PANG_TRANSFORM_IDENTITY:
    case PANG_TRANSFORM_TRUNCATE:
    case PANG_TRANSFORM_VOID:
        *ret = type_of_source(m, field);
        break;
    case PANG_TRANSFORM_DAY:
        *ret = types[PANG_TYPE_DATE];
        break;
    case PANG_TRANSFORM_YEAR:
    case PANG_TRANSFORM_MONTH:
    case PANG_TRANSFORM_HOUR:
    case PANG_TRANSFORM_BUCKET:
        *ret = types[PANG_TYPE_INT];
        break;
    case PANG_TRANSFORM_OTHER:
        *ret = type_of_values(m);
        break;
    }
    return PANG_OK;
}

/* ---- names ---- */

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static uint32_t next_character(pang_str *rest)
{
    const unsigned char *at = (const unsigned char *)rest->ptr;
    size_t more = at[0] < 0x80 ? 0 : at[0] < 0xE0 ? 1 : at[0] < 0xF0 ? 2 : 3;
    uint32_t c = more == 0 ? at[0] : at[0] & (0x3FU >> more);
    for (size_t i = 1; i <= more && i < rest->len; i++)
        c = c << 6 | (at[i] & 0x3F);
    *rest = pang_str_after(*rest, more + 1);
    return c;
}

/* What Avro does not take in a name stands as "_x" and its UTF-16 in hexadecimal, a digit in front
 * behind "_", as the Java library has it; but letters beyond ASCII too, which not all readers
 * take. */
static pang_str sanitize(maker *m, pang_str name)
{
    pang_buf to = {.arena = m->arena};
    while (name.len > 0) {
        uint32_t c = next_character(&name);
        bool digit = c >= '0' && c <= '9';
        if (c < 0x80 && (is_letter((unsigned char)c) || (digit && to.len > 0)))
            pang_buf_add_char(&to, (char)c);
        else if (digit)
            pang_buf_printf(&to, "_%c", (char)c);
        else if (c < 0x10000)
            pang_buf_printf(&to, "_x%" PRIX32, c);
        else
            pang_buf_printf(&to, "_x%" PRIX32 "_x%" PRIX32, 0xD800 + ((c - 0x10000) >> 10),
                            0xDC00 + (c & 0x3FF));
    }
    return pang_buf_str(&to);
}

static pang_str name_of(maker *m, pang_str name, int32_t id)
{
    pang_str clean = sanitize(m, name);
    for (size_t i = 0; i < m->n; i++)
        if (pang_str_equal(m->fields[i].name, clean))
            return pang_arena_printf(m->arena, "%" PANG_STR_FMT "_%" PRId32, PANG_STR_ARG(clean),
                                     id);
    return clean;
}

/* ---- fields ---- */

static pang_code make_field(maker *m, const pang_json *field)
{
    pang_avro_type *type = pang_arena_alloc(m->arena, sizeof *type);
    int64_t id = FIRST_PARTITION_ID + (int64_t)m->n;
    pang_str name;
    if (type == NULL)
        return pang_fail_memory(m->err);
    if (pang_json_get(field, "field-id") != NULL &&
        (!pang_json_to_int64(pang_json_get(field, "field-id"), &id) || id < 0 || id > INT32_MAX))
        return pang_fail(m->err, PANG_INVALID_ARGUMENT, NULL, "a partition field has a bad id");
    for (size_t i = 0; i < m->n; i++)
        if (m->fields[i].id == (int32_t)id)
            return pang_fail(m->err, PANG_INVALID_ARGUMENT, NULL,
                             "two partition fields have the id %" PRId64, id);
    if (!pang_json_to_str(pang_json_get(field, "name"), &name) || name.len == 0)
        return pang_fail(m->err, PANG_INVALID_ARGUMENT, NULL, "a partition field has no name");
    pang_code code = find_type(m, field, type);
    if (code != PANG_OK)
        return code;
    m->fields[m->n] = (pang_avro_field){.name = name_of(m, name, (int32_t)id),
                                        .id = (int32_t)id,
                                        .kind = PANG_AVRO_VALUE,
                                        .at = m->n * sizeof(pang_value),
                                        .has = PANG_AVRO_NO,
                                        .type = type};
    m->n++;
    return pang_arena_failed(m->arena) ? pang_fail_memory(m->err) : PANG_OK;
}

static pang_code check_entries(const pang_manifest_new *manifest, size_t n, pang_err *err)
{
    if (n > PANG_PARTITION_FIELDS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "a partition spec has more than %d fields", PANG_PARTITION_FIELDS_MAX);
    for (size_t i = 0; i < manifest->n; i++)
        if (manifest->entries[i]->n_partition != n)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                             "a file has %zu partition values where its spec has %zu fields",
                             manifest->entries[i]->n_partition, n);
    return PANG_OK;
}

pang_code manifest_partition_fields(const pang_manifest_new *manifest, pang_arena *arena,
                                    pang_avro_field **ret, size_t *ret_n, pang_err *err)
{
    const pang_json *fields = pang_json_get(manifest->spec, "fields");
    size_t n = pang_json_size(fields);
    maker m = {.manifest = manifest, .arena = arena, .err = err};
    pang_model_schema *schema;
    pang_code code = check_entries(manifest, n, err);
    if (code == PANG_OK)
        code = pang_model_schema_read(manifest->schema, &PANG_MODEL_IN(NULL, "schema"), arena,
                                      &schema, err);
    if (code != PANG_OK)
        return code;
    m.schema = schema;
    m.fields = pang_arena_alloc_n(arena, n, sizeof *m.fields);
    m.named = pang_arena_alloc_n(arena, n, sizeof *m.named);
    if (m.fields == NULL || m.named == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = make_field(&m, pang_json_at(fields, i));
    *ret = m.fields;
    *ret_n = n;
    return code;
}
