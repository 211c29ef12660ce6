/*
 * Model: new tables, and the commit. A plain create and a staged one take a schema, a spec, an
 * order and properties and give all of them fresh ids; a commit with assert-create runs its
 * updates over nothing; any other commit runs them over the base.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "server/model_build.h"

/* ---- properties of a new table ---- */

/* What Java's clients send as properties although it is not: dropped. */
static const char *const reserved[] = {
    "format-version",      "uuid",
    "snapshot-count",      "current-snapshot-summary",
    "current-snapshot-id", "current-snapshot-timestamp-ms",
    "current-schema",      "default-partition-spec",
    "default-sort-order",
};

/* Commit settings that Java's clients read as numbers, and fail on when they are none. */
static const char *const numbers[] = {
    "commit.retry.num-retries",
    "commit.retry.min-wait-ms",
    "commit.retry.max-wait-ms",
    "commit.retry.total-timeout-ms",
};

static bool is_reserved(pang_str name)
{
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (pang_str_equal(name, pang_str_from(reserved[i])))
            return true;
    }
    return false;
}

static pang_code check_number(pang_str name, pang_str value, pang_err *err)
{
    int64_t number;
    bool is_number = pang_str_to_int64(value, &number);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!pang_str_equal(name, pang_str_from(numbers[i])))
            continue;
        if (!is_number)
            return pang_model_invalid(err, "Table property %s must have integer value", numbers[i]);
        if (number < 0)
            return pang_model_invalid(err, "Table property %s must have non negative integer value",
                                      numbers[i]);
    }
    return PANG_OK;
}

static pang_code check_property(pang_str name, pang_str value, int version,
                                const pang_model_schema *schema, pang_err *err)
{
    pang_str metrics = PANG_STR("write.metadata.metrics.column.");
    pang_str column = pang_str_after(name, metrics.len);
    pang_code code = check_number(name, value, err);
    if (code == PANG_OK)
        code = pang_model_property_check(name, value, err);
    if (code != PANG_OK)
        return code;
    if (pang_str_starts(name, metrics) && pang_model_column_by_name(schema, column) == NULL)
        return pang_model_invalid(err,
                                  "Invalid metrics config, could not find column %" PANG_STR_FMT
                                  " from table prop %" PANG_STR_FMT " in schema",
                                  PANG_STR_ARG(column), PANG_STR_ARG(name));
    if (version < 3 && pang_str_starts(name, PANG_STR("encryption.")))
        return pang_model_invalid(err, "Table property %" PANG_STR_FMT " is not supported until v3",
                                  PANG_STR_ARG(name));
    return PANG_OK;
}

/* "2017-11-16T22:31:08.123Z". */
static void put_created_at(pang_model_build *b, pang_json *properties)
{
    char text[64];
    time_t seconds = (time_t)(b->now_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        return;
    pang_str stamp = pang_arena_printf(b->arena, "%s.%03dZ", text, (int)(b->now_ms % 1000));
    pang_model_put_text(b, properties, "created-at", stamp);
}

static pang_code put_properties(pang_model_build *b, const pang_model_new *request,
                                const pang_model_schema *schema, pang_err *err)
{
    pang_json *properties = pang_model_own(b, "properties");
    pang_json_members it = {.object = request->properties};
    pang_str name, text = {NULL, 0};
    pang_json *value;
    if (pang_json_size(request->properties) > PANG_MODEL_PROPERTIES_MAX)
        return pang_model_illegal(err, "Cannot set more than %d properties",
                                  PANG_MODEL_PROPERTIES_MAX);
    pang_model_put_text(b, properties, "write.parquet.compression-codec", PANG_STR("zstd"));
    if (request->staged)
        put_created_at(b, properties);
    while (pang_json_next(&it, &name, &value)) {
        (void)pang_json_to_str(value, &text);
        if (is_reserved(name))
            continue;
        pang_code code = check_property(name, text, b->version, schema, err);
        if (code != PANG_OK)
            return code;
        if (!pang_json_set_str(properties, name, value))
            b->failed = true;
    }
    return PANG_OK;
}

static pang_code choose_version(const pang_json *properties, int *ret, pang_err *err)
{
    pang_str text = pang_model_text(properties, "format-version");
    int64_t version = PANG_MODEL_VERSION_DEFAULT;
    if (pang_model_has(properties, "format-version") && !pang_str_to_int64(text, &version))
        return pang_model_illegal(err, "Invalid format version: %" PANG_STR_FMT,
                                  PANG_STR_ARG(text));
    if (version < 1 || version > PANG_MODEL_VERSION_MAX)
        return pang_model_illegal(err, "Unsupported format version: v%" PRId64 " (supported: v%d)",
                                  version, PANG_MODEL_VERSION_MAX);
    *ret = (int)version;
    return PANG_OK;
}

/* ---- create ---- */

static pang_code request_shape(const pang_model_new *request, pang_err *err)
{
    static const pang_model_member list[] = {
        {"fields", PANG_MODEL_ARRAY, PANG_MODEL_REQUIRED, 0, 0},
        {NULL, 0, 0, 0, 0},
    };
    pang_model_path spec = PANG_MODEL_IN(NULL, "partition-spec");
    pang_model_path spec_fields = PANG_MODEL_IN(&spec, "fields");
    pang_model_path order = PANG_MODEL_IN(NULL, "write-order");
    pang_model_path order_fields = PANG_MODEL_IN(&order, "fields");
    pang_code code = PANG_OK;
    if (pang_json_is_null(request->schema))
        return pang_model_bad(err, NULL, "schema", "is missing");
    if (!pang_json_is_null(request->partition_spec)) {
        code = pang_model_shape(request->partition_spec, &spec, list, err);
        if (code == PANG_OK)
            code = pang_model_spec_shape(pang_json_get(request->partition_spec, "fields"),
                                         &spec_fields, err);
    }
    if (code == PANG_OK && !pang_json_is_null(request->write_order)) {
        code = pang_model_shape(request->write_order, &order, list, err);
        if (code == PANG_OK)
            code = pang_model_order_shape(pang_json_get(request->write_order, "fields"),
                                          &order_fields, err);
    }
    return code;
}

static pang_code properties_shape(const pang_json *properties, pang_err *err)
{
    static const pang_model_member member = {"properties", PANG_MODEL_TEXT_MAP, PANG_MODEL_OPTIONAL,
                                             0, 0};
    pang_model_path at = PANG_MODEL_IN(NULL, member.name);
    return pang_json_is_null(properties) ? PANG_OK
                                         : pang_model_shape_one(properties, &at, &member, err);
}

static pang_code put_spec(pang_model_build *b, const pang_json *spec,
                          const pang_model_renumber *ids, pang_err *err)
{
    pang_json *made = pang_json_object(b->arena), *fields = NULL;
    pang_code code = pang_model_fields_renumber(b, pang_json_get(spec, "fields"), ids, &fields,
                                                err);
    if (code != PANG_OK)
        return code;
    size_t n = pang_json_size(fields);
    for (size_t i = 0; i < n; i++)
        pang_model_put_int(b, pang_json_at(fields, i), "field-id", 1000 + (int64_t)i);
    pang_model_put_int(b, made, "spec-id", 0);
    pang_model_put(b, made, "fields", fields);
    pang_model_add(b, pang_model_own(b, "partition-specs"), made);
    pang_model_put_int(b, b->doc, "default-spec-id", 0);
    pang_model_put_int(b, b->doc, "last-partition-id", 999 + (int64_t)n);
    return PANG_OK;
}

static pang_code put_order(pang_model_build *b, const pang_json *order,
                           const pang_model_renumber *ids, pang_err *err)
{
    pang_json *made = pang_json_object(b->arena), *fields = NULL;
    pang_json *tidy = pang_model_order_tidy(b, pang_json_get(order, "fields"));
    pang_code code = pang_model_fields_renumber(b, tidy, ids, &fields, err);
    if (code != PANG_OK)
        return code;
    int64_t id = pang_json_size(fields) == 0 ? 0 : 1;
    pang_model_put_int(b, made, "order-id", id);
    pang_model_put(b, made, "fields", fields);
    pang_model_add(b, pang_model_own(b, "sort-orders"), made);
    pang_model_put_int(b, b->doc, "default-sort-order-id", id);
    return PANG_OK;
}

static pang_code fill(pang_model_build *b, const pang_model_new *request, pang_err *err)
{
    pang_model_path at = PANG_MODEL_IN(NULL, "schema");
    pang_model_renumber ids = {.old_to_new = {.arena = b->arena}};
    pang_model_schema *given;
    const pang_model_schema *fresh;
    pang_code code = pang_model_schema_read(request->schema, &at, b->arena, &given, err);
    if (code != PANG_OK)
        return code;
    pang_model_add(b, pang_model_own(b, "schemas"),
                   pang_model_schema_rewrite(b, request->schema, 0, &ids));
    pang_model_put_int(b, b->doc, "current-schema-id", 0);
    pang_model_put_int(b, b->doc, "last-column-id", ids.last);
    if (b->failed)
        return pang_fail_memory(err);
    if ((code = pang_model_current_schema(b, &fresh, err)) != PANG_OK ||
        (code = put_spec(b, request->partition_spec, &ids, err)) != PANG_OK ||
        (code = put_order(b, request->write_order, &ids, err)) != PANG_OK)
        return code;
    if (b->failed)
        return pang_fail_memory(err);
    const pang_json *spec = pang_json_at(pang_json_get(b->doc, "partition-specs"), 0);
    code = pang_model_spec_suits(pang_json_get(spec, "fields"), fresh, true, err);
    return code != PANG_OK ? code : put_properties(b, request, fresh, err);
}

pang_code pang_model_create(const pang_model_new *request, const pang_env *env, pang_arena *arena,
                            pang_json **ret, pang_err *err)
{
    pang_model_build b = {.arena = arena, .env = env};
    pang_str location = request->location;
    pang_code code = properties_shape(request->properties, err);
    if (code == PANG_OK)
        code = request_shape(request, err);
    if (code == PANG_OK)
        code = choose_version(request->properties, &b.version, err);
    if (code == PANG_OK)
        code = pang_model_begin(&b, err);
    if (code == PANG_OK)
        code = fill(&b, request, err);
    if (code != PANG_OK)
        return code;
    while (location.len > 1 && location.ptr[location.len - 1] == '/')
        location.len--;
    pang_model_put_text(&b, b.doc, "location", location);
    code = pang_model_end(&b, err);
    if (code == PANG_OK)
        *ret = b.doc;
    return code;
}

/* ---- commit ---- */

/* The version that a new table begins with: the first that its updates ask for. */
static pang_code first_version(const pang_json *updates, int *ret, pang_err *err)
{
    int64_t version = PANG_MODEL_VERSION_DEFAULT;
    for (size_t i = 0; i < pang_json_size(updates); i++) {
        const pang_json *update = pang_json_at(updates, i);
        if (pang_str_equal_nocase(pang_model_text(update, "action"),
                                  PANG_STR("upgrade-format-version"))) {
            version = pang_model_int(update, "format-version", version);
            break;
        }
    }
    if (version < 1 || version > PANG_MODEL_VERSION_MAX)
        return pang_model_illegal(err, "Unsupported format version: v%" PRId64 " (supported: v%d)",
                                  version, PANG_MODEL_VERSION_MAX);
    *ret = (int)version;
    return PANG_OK;
}

pang_code pang_model_commit(const pang_model_change *change, const pang_env *env, pang_arena *arena,
                            pang_model_outcome *ret, pang_err *err)
{
    pang_model_build b = {
        .arena = arena, .env = env, .base = change->base, .base_location = change->base_location};
    pang_code code = pang_model_updates_shape(change->updates, err);
    if (code == PANG_OK)
        code = pang_model_require(change->base, change->requirements, err);
    if (code != PANG_OK)
        return code;
    if (change->base == NULL && !pang_model_is_create(change->requirements))
        return pang_model_illegal(err, "Cannot commit to a table that does not exist");
    if (change->base == NULL)
        code = first_version(change->updates, &b.version, err);
    if (code == PANG_OK)
        code = pang_model_begin(&b, err);
    if (code == PANG_OK)
        code = pang_model_updates_apply(&b, change->updates, err);
    if (code != PANG_OK)
        return code;
    if (!b.changed) {
        *ret = (pang_model_outcome){(pang_json *)(uintptr_t)change->base, false};
        return PANG_OK;
    }
    if (pang_model_text(b.doc, "location").len == 0 && change->default_location.len > 0)
        pang_model_put_text(&b, b.doc, "location", change->default_location);
    code = pang_model_end(&b, err);
    if (code == PANG_OK)
        *ret = (pang_model_outcome){b.doc, true};
    return code;
}
