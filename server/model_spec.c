/*
 * Model: partition specs, and what they have in common with sort orders: fields with a source
 * column and a transform.
 */
#include <inttypes.h>
#include <string.h>

#include "server/model_build.h"

enum {
    SOURCES_MAX = 16,    /* columns of one field */
    TRANSFORM_MAX = 128, /* bytes of a transform's name */
};

static const pang_model_member spec_members[6];

static const struct {
    pang_str word;
    pang_transform_kind kind;
} words[] = {
    {PANG_STR_INIT("identity"), PANG_TRANSFORM_IDENTITY},
    {PANG_STR_INIT("void"), PANG_TRANSFORM_VOID},
    {PANG_STR_INIT("year"), PANG_TRANSFORM_YEAR},
    {PANG_STR_INIT("month"), PANG_TRANSFORM_MONTH},
    {PANG_STR_INIT("day"), PANG_TRANSFORM_DAY},
    {PANG_STR_INIT("hour"), PANG_TRANSFORM_HOUR},
};

/* "bucket[16]": the number; false when text is no such thing. */
static bool has_width(pang_str text, pang_str word, uint64_t *ret)
{
    pang_str rest = pang_str_after(text, word.len);
    return pang_str_equal_nocase(pang_str_slice(text, 0, word.len), word) && rest.len > 2 &&
           rest.ptr[0] == '[' && rest.ptr[rest.len - 1] == ']' &&
           pang_str_to_uint64(pang_str_slice(rest, 1, rest.len - 2), ret);
}

pang_code pang_transform_parse(pang_str text, pang_transform_kind *ret, pang_err *err)
{
    uint64_t width;
    *ret = PANG_TRANSFORM_OTHER;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (pang_str_equal_nocase(text, words[i].word))
            *ret = words[i].kind;
    }
    if (has_width(text, PANG_STR("bucket"), &width))
        *ret = PANG_TRANSFORM_BUCKET;
    else if (has_width(text, PANG_STR("truncate"), &width))
        *ret = PANG_TRANSFORM_TRUNCATE;
    else
        return PANG_OK;
    if (width < 1 || width > INT32_MAX)
        return pang_model_illegal(err,
                                  "Invalid transform: %" PANG_STR_FMT " (width must be positive)",
                                  PANG_STR_ARG(text));
    return PANG_OK;
}

static bool is_timestamp(pang_type_kind type)
{
    return type == PANG_TYPE_TIMESTAMP || type == PANG_TYPE_TIMESTAMPTZ ||
           type == PANG_TYPE_TIMESTAMP_NS || type == PANG_TYPE_TIMESTAMPTZ_NS;
}

static bool bucket_applies(pang_type_kind type)
{
    switch (type) {
    case PANG_TYPE_BOOLEAN:
    case PANG_TYPE_FLOAT:
    case PANG_TYPE_DOUBLE:
        return false;
    default:
        return type < PANG_TYPE_UNKNOWN;
    }
}

bool pang_transform_applies(pang_transform_kind transform, pang_type_kind type)
{
    switch (transform) {
    case PANG_TRANSFORM_IDENTITY:
        return type < PANG_TYPE_UNKNOWN;
    case PANG_TRANSFORM_YEAR:
    case PANG_TRANSFORM_MONTH:
    case PANG_TRANSFORM_DAY:
        return type == PANG_TYPE_DATE || is_timestamp(type);
    case PANG_TRANSFORM_HOUR:
        return is_timestamp(type);
    case PANG_TRANSFORM_BUCKET:
        return bucket_applies(type);
    case PANG_TRANSFORM_TRUNCATE:
        return type == PANG_TYPE_INT || type == PANG_TYPE_LONG || type == PANG_TYPE_DECIMAL ||
               type == PANG_TYPE_STRING || type == PANG_TYPE_BINARY;
    case PANG_TRANSFORM_VOID:
    case PANG_TRANSFORM_OTHER:
        return true;
    }
    return true;
}

bool pang_model_source(const pang_json *field, int64_t *ret)
{
    const pang_json *several = pang_json_get(field, "source-ids");
    if (pang_model_has_int(field, "source-id", ret))
        return true;
    return pang_json_size(several) == 1 && pang_json_to_int64(pang_json_at(several, 0), ret);
}

bool pang_model_same_source(const pang_json *a, const pang_json *b)
{
    int64_t x, y;
    bool one = pang_model_source(a, &x), other = pang_model_source(b, &y);
    if (one != other || (one && x != y))
        return false;
    if (!one && !pang_json_equal(pang_json_get(a, "source-ids"), pang_json_get(b, "source-ids")))
        return false;
    return pang_str_equal_nocase(pang_model_text(a, "transform"), pang_model_text(b, "transform"));
}

pang_code pang_model_source_shape(const pang_json *field, const pang_model_path *at, pang_err *err)
{
    pang_transform_kind transform;
    pang_str text = pang_model_text(field, "transform");
    size_t several = pang_json_size(pang_json_get(field, "source-ids"));
    if (!pang_model_has(field, "source-id") && several == 0)
        return pang_model_bad(err, at, "source-id", "is missing");
    if (several > SOURCES_MAX)
        return pang_model_bad(err, at, "source-ids", "has more than %d elements", SOURCES_MAX);
    if (text.len == 0 || text.len > TRANSFORM_MAX)
        return pang_model_bad(err, at, "transform", "must have 1 to %d bytes", TRANSFORM_MAX);
    return pang_transform_parse(text, &transform, err);
}

static pang_code fields_shape(const pang_json *fields, const pang_model_path *at,
                              const pang_model_member *members, pang_err *err)
{
    pang_code code = PANG_OK;
    if (pang_json_size(fields) > PANG_MODEL_FIELDS_MAX)
        return pang_model_bad(err, at, NULL, "has more than %d elements", PANG_MODEL_FIELDS_MAX);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(fields); i++) {
        pang_model_path here = PANG_MODEL_AT(at, i);
        code = pang_model_shape(pang_json_at(fields, i), &here, members, err);
        if (code == PANG_OK)
            code = pang_model_source_shape(pang_json_at(fields, i), &here, err);
    }
    return code;
}

pang_code pang_model_spec_shape(const pang_json *fields, const pang_model_path *at, pang_err *err)
{
    pang_code code = fields_shape(fields, at, spec_members, err);
    size_t n = pang_json_size(fields), with_id = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        int64_t id, other;
        if (!pang_model_has_int(pang_json_at(fields, i), "field-id", &id))
            continue;
        with_id++;
        for (size_t k = 0; k < i; k++) {
            if (pang_model_has_int(pang_json_at(fields, k), "field-id", &other) && other == id)
                return pang_model_illegal(
                    err, "Cannot use partition field id more than once: %" PRId64, id);
        }
    }
    if (code == PANG_OK && with_id > 0 && with_id < n)
        return pang_model_illegal(
            err, "Cannot parse partition spec: some fields have ids and some have none");
    return code;
}

/* ---- resolving ---- */

/* "1000: id_bucket: bucket[4](1)", as the Java library prints a partition field. */
static pang_code no_source(const pang_json *field, int64_t source, pang_err *err)
{
    pang_str name = pang_model_text(field, "name"), transform = pang_model_text(field, "transform");
    return pang_model_invalid(err,
                              "Cannot find source column for partition field: %" PRId64
                              ": %" PANG_STR_FMT ": %" PANG_STR_FMT "(%" PRId64 ")",
                              pang_model_int(field, "field-id", -1), PANG_STR_ARG(name),
                              PANG_STR_ARG(transform), source);
}

static pang_code field_suits(const pang_json *field, int64_t source,
                             const pang_model_schema *schema, pang_err *err)
{
    pang_str text = pang_model_text(field, "transform");
    pang_transform_kind transform;
    pang_code code = pang_transform_parse(text, &transform, err);
    if (code != PANG_OK || transform == PANG_TRANSFORM_VOID)
        return code;
    const pang_model_column *column = pang_model_column_by_id(schema, source);
    if (column == NULL)
        return no_source(field, source, err);
    if (!pang_type_is_primitive(column->type.kind) || column->type.kind == PANG_TYPE_VARIANT)
        return pang_model_invalid(err,
                                  "Cannot partition by non-primitive source field: %" PANG_STR_FMT,
                                  PANG_STR_ARG(column->type.text));
    if (!pang_transform_applies(transform, column->type.kind))
        return pang_model_invalid(
            err, "Invalid source type %" PANG_STR_FMT " for transform: %" PANG_STR_FMT,
            PANG_STR_ARG(column->type.text), PANG_STR_ARG(text));
    if (!column->in_structs)
        return pang_model_invalid(
            err, "Invalid partition field parent: %" PANG_STR_FMT " lies in a list or map",
            PANG_STR_ARG(column->name));
    return PANG_OK;
}

static pang_code name_suits(const pang_json *fields, size_t i, const pang_model_schema *schema,
                            pang_err *err)
{
    const pang_json *field = pang_json_at(fields, i);
    pang_str name = pang_model_text(field, "name");
    const pang_model_column *column = pang_model_column_by_name(schema, name);
    int64_t source;
    if (name.len == 0)
        return pang_model_illegal(err, "Cannot use empty partition name: %" PANG_STR_FMT,
                                  PANG_STR_ARG(name));
    if (column != NULL && pang_str_equal(column->name, name) &&
        !(pang_model_source(field, &source) && source == column->id))
        return pang_model_illegal(
            err, "Cannot create partition from name that exists in schema: %" PANG_STR_FMT,
            PANG_STR_ARG(name));
    for (size_t k = 0; k < i; k++) {
        if (pang_str_equal(name, pang_model_text(pang_json_at(fields, k), "name")))
            return pang_model_illegal(err,
                                      "Cannot use partition name more than once: %" PANG_STR_FMT,
                                      PANG_STR_ARG(name));
    }
    return PANG_OK;
}

pang_code pang_model_spec_suits(const pang_json *fields, const pang_model_schema *schema,
                                bool strict, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(fields); i++) {
        const pang_json *field = pang_json_at(fields, i);
        const pang_json *several = pang_json_get(field, "source-ids");
        int64_t source;
        if (strict && (code = name_suits(fields, i, schema, err)) != PANG_OK)
            return code;
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

/* ---- new ids for the sources ---- */

static pang_code renumber_several(pang_model_build *b, pang_json *field,
                                  const pang_model_renumber *renumber, pang_err *err)
{
    const pang_json *several = pang_json_get(field, "source-ids");
    pang_json *list = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(several); i++) {
        int64_t old = -1;
        (void)pang_json_to_int64(pang_json_at(several, i), &old);
        int64_t id = pang_model_renumbered(renumber, old);
        if (id < 0)
            return no_source(field, old, err);
        pang_model_add(b, list, pang_json_int(id, b->arena));
    }
    pang_model_put(b, field, "source-ids", list);
    return PANG_OK;
}

pang_code pang_model_fields_renumber(pang_model_build *b, const pang_json *fields,
                                     const pang_model_renumber *renumber, pang_json **ret,
                                     pang_err *err)
{
    pang_json *list = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        pang_json *field = pang_model_copy(pang_json_at(fields, i), b->arena);
        field = pang_model_without_nulls(field, b->arena);
        int64_t old;
        if (pang_model_has(field, "source-ids")) {
            pang_code code = renumber_several(b, field, renumber, err);
            if (code != PANG_OK)
                return code;
        }
        if (pang_model_has_int(field, "source-id", &old)) {
            int64_t id = pang_model_renumbered(renumber, old);
            if (id < 0)
                return no_source(field, old, err);
            pang_model_put_int(b, field, "source-id", id);
        }
        pang_model_add(b, list, field);
    }
    *ret = list;
    return PANG_OK;
}

static const pang_model_member spec_members[6] = {
    {"source-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 0, INT32_MAX},
    {"source-ids", PANG_MODEL_NUMBERS, PANG_MODEL_OPTIONAL, 0, INT32_MAX},
    {"field-id", PANG_MODEL_NUMBER, PANG_MODEL_OPTIONAL, 0, INT32_MAX},
    {"name", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"transform", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {NULL, 0, 0, 0, 0},
};
