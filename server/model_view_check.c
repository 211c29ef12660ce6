/*
 * Model of views: the form of versions, and documents from files: members, the ids that must
 * resolve, and that no version has two queries of one dialect.
 */
#include <inttypes.h>

#include "server/model_build.h"
#include "server/model_view.h"

#define REQUIRED PANG_MODEL_REQUIRED
#define OPTIONAL PANG_MODEL_OPTIONAL
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, 0, 0, 0                                                                           \
    }

/* ---- versions ---- */

static bool is_sql(const pang_json *representation)
{
    return pang_str_equal_nocase(pang_model_text(representation, "type"), PANG_STR("sql"));
}

pang_str pang_model_view_sql_at(const pang_json *version, size_t i, pang_str *ret_dialect)
{
    const pang_json *one = pang_json_at(pang_json_get(version, "representations"), i);
    *ret_dialect = is_sql(one) ? pang_model_text(one, "dialect") : (pang_str){NULL, 0};
    return is_sql(one) ? pang_model_text(one, "sql") : (pang_str){NULL, 0};
}

/* A query may be longer than other texts. */
static pang_code sql_shape(const pang_json *representation, const pang_model_path *at,
                           pang_err *err)
{
    pang_str sql;
    const pang_json *value = pang_json_get(representation, "sql");
    if (pang_json_is_null(value))
        return pang_model_bad(err, at, "sql", "is missing");
    if (!pang_json_to_str(value, &sql))
        return pang_model_bad(err, at, "sql", "must be a string");
    if (sql.len == 0 || sql.len > PANG_VIEW_SQL_MAX)
        return pang_model_bad(err, at, "sql", "must have 1 to %d bytes", PANG_VIEW_SQL_MAX);
    return PANG_OK;
}

/* Kinds of representations that this program does not know are kept. */
static pang_code representation_shape(const pang_json *one, const pang_model_path *at,
                                      pang_err *err)
{
    static const pang_model_member any[] = {{"type", PANG_MODEL_TEXT, REQUIRED, 0, 0}, END};
    static const pang_model_member sql[] = {{"dialect", PANG_MODEL_TEXT, REQUIRED, 0, 0}, END};
    pang_code code = pang_model_shape(one, at, any, err);
    if (code != PANG_OK || !is_sql(one))
        return code;
    code = pang_model_shape(one, at, sql, err);
    return code == PANG_OK ? sql_shape(one, at, err) : code;
}

static pang_code check_dialects(const pang_json *version, pang_err *err)
{
    size_t n = pang_json_size(pang_json_get(version, "representations"));
    for (size_t i = 1; i < n; i++) {
        pang_str one, other;
        if (pang_model_view_sql_at(version, i, &one).len == 0)
            continue;
        for (size_t k = 0; k < i; k++)
            if (pang_model_view_sql_at(version, k, &other).len > 0 &&
                pang_str_equal_nocase(one, other))
                return pang_model_illegal(
                    err,
                    "Invalid view version: Cannot add multiple queries for dialect %" PANG_STR_FMT,
                    PANG_STR_ARG(other));
    }
    return PANG_OK;
}

pang_code pang_model_view_version_shape(const pang_json *version, const pang_model_path *at,
                                        pang_err *err)
{
    static const pang_model_member members[] = {
        {"version-id", PANG_MODEL_NUMBER, REQUIRED, 0, INT32_MAX},
        {"timestamp-ms", PANG_MODEL_NUMBER, REQUIRED, 0, INT64_MAX},
        {"schema-id", PANG_MODEL_NUMBER, REQUIRED, -1, INT32_MAX},
        {"summary", PANG_MODEL_TEXT_MAP, REQUIRED, 0, 0},
        {"default-catalog", PANG_MODEL_TEXT, OPTIONAL, 0, 0},
        {"default-namespace", PANG_MODEL_TEXTS, REQUIRED, 0, 0},
        {"representations", PANG_MODEL_ARRAY, REQUIRED, 0, 0},
        END,
    };
    pang_code code = pang_model_shape(version, at, members, err);
    const pang_json *list = pang_json_get(version, "representations");
    pang_model_path here = PANG_MODEL_IN(at, "representations");
    if (code == PANG_OK && pang_json_size(list) > PANG_VIEW_REPRESENTATIONS_MAX)
        return pang_model_bad(err, &here, NULL, "has more than %d elements",
                              PANG_VIEW_REPRESENTATIONS_MAX);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(list); i++)
        code = representation_shape(pang_json_at(list, i), &PANG_MODEL_AT(&here, i), err);
    return code == PANG_OK ? check_dialects(version, err) : code;
}

/* ---- documents ---- */

static pang_code take_id(pang_model_ids *ids, const pang_json *element, const char *name,
                         const pang_model_path *at, pang_err *err)
{
    int64_t id = pang_model_int(element, name, 0);
    if (pang_model_ids_get(ids, id) != NULL)
        return pang_model_bad(err, at, name, "is there twice: %" PRId64, id);
    return pang_model_ids_put(ids, id, element) ? PANG_OK : pang_fail_memory(err);
}

static pang_code check_schemas(const pang_json *document, pang_arena *arena, pang_model_ids *ids,
                               pang_err *err)
{
    static const pang_model_member members[] = {
        {"schema-id", PANG_MODEL_NUMBER, REQUIRED, 0, INT32_MAX}, END};
    const pang_json *list = pang_json_get(document, "schemas");
    pang_model_path all = PANG_MODEL_IN(NULL, "schemas");
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(list); i++) {
        const pang_json *schema = pang_json_at(list, i);
        pang_model_path at = PANG_MODEL_AT(&all, i);
        pang_model_schema *read;
        code = pang_model_shape(schema, &at, members, err);
        if (code == PANG_OK)
            code = take_id(ids, schema, "schema-id", &at, err);
        if (code == PANG_OK)
            code = pang_model_schema_read(schema, &at, arena, &read, err);
    }
    return code;
}

static pang_code check_versions(const pang_json *document, const pang_model_ids *schemas,
                                pang_model_ids *ids, pang_err *err)
{
    const pang_json *list = pang_json_get(document, "versions");
    pang_model_path all = PANG_MODEL_IN(NULL, "versions");
    int64_t current = pang_model_int(document, "current-version-id", 0);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *version = pang_json_at(list, i);
        pang_model_path at = PANG_MODEL_AT(&all, i);
        pang_code code = pang_model_view_version_shape(version, &at, err);
        if (code == PANG_OK)
            code = take_id(ids, version, "version-id", &at, err);
        if (code != PANG_OK)
            return code;
        int64_t schema = pang_model_int(version, "schema-id", -1);
        if (pang_model_ids_get(schemas, schema) == NULL)
            return pang_model_bad(err, &at, "schema-id",
                                  "Cannot add version with unknown schema: %" PRId64, schema);
    }
    if (pang_model_ids_get(ids, current) == NULL)
        return pang_model_bad(err, NULL, "current-version-id",
                              "Cannot find current version %" PRId64 " in view versions", current);
    return PANG_OK;
}

static pang_code check_log(const pang_json *document, pang_err *err)
{
    static const pang_model_member members[] = {
        {"timestamp-ms", PANG_MODEL_NUMBER, REQUIRED, 0, INT64_MAX},
        {"version-id", PANG_MODEL_NUMBER, REQUIRED, 0, INT32_MAX},
        END,
    };
    const pang_json *log = pang_json_get(document, "version-log");
    pang_model_path all = PANG_MODEL_IN(NULL, "version-log");
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(log); i++)
        code = pang_model_shape(pang_json_at(log, i), &PANG_MODEL_AT(&all, i), members, err);
    return code;
}

static pang_code check(const pang_json *document, pang_arena *arena, pang_err *err)
{
    static const pang_model_member members[] = {
        {"view-uuid", PANG_MODEL_TEXT, REQUIRED, 0, 0},
        {"format-version", PANG_MODEL_NUMBER, REQUIRED, 1, INT32_MAX},
        {"location", PANG_MODEL_TEXT, REQUIRED, 0, 0},
        {"schemas", PANG_MODEL_ARRAY, REQUIRED, 0, 0},
        {"current-version-id", PANG_MODEL_NUMBER, REQUIRED, 0, INT32_MAX},
        {"versions", PANG_MODEL_ARRAY, REQUIRED, 0, 0},
        {"version-log", PANG_MODEL_ARRAY, REQUIRED, 0, 0},
        {"properties", PANG_MODEL_TEXT_MAP, OPTIONAL, 0, 0},
        END,
    };
    pang_model_ids schemas = {.arena = arena}, versions = {.arena = arena};
    pang_code code = pang_model_shape(document, NULL, members, err);
    if (code != PANG_OK)
        return code;
    int64_t version = pang_model_int(document, "format-version", 0);
    if (version > PANG_VIEW_FORMAT_VERSION)
        return pang_model_illegal(err, "Cannot read unsupported version %" PRId64, version);
    if (pang_model_text(document, "location").len == 0)
        return pang_model_bad(err, NULL, "location", "is empty");
    code = check_schemas(document, arena, &schemas, err);
    if (code == PANG_OK)
        code = check_versions(document, &schemas, &versions, err);
    return code == PANG_OK ? check_log(document, err) : code;
}

pang_code pang_model_view_check(const pang_json *document, pang_arena *arena, pang_err *err)
{
    pang_code code = check(document, arena, err);
    if (code == PANG_INVALID_ARGUMENT && err != NULL)
        err->reason = PANG_MODEL_ILLEGAL;
    return code;
}
