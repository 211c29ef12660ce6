/*
 * Model: documents from files. What a document must hold is a table of members with the versions
 * that demand them; then come the ids that must resolve. Columns of old specs and orders may be
 * gone, so those are only looked at for their form.
 */
#include <inttypes.h>

#include "server/model_types.h"

enum { LOG_SKEW_MS = 60 * 1000 };

/* A top-level member: from which version on it is demanded; 0: never. */
typedef struct {
    pang_model_member member;
    int since;
} row;

enum { ROWS = 25 };
static const row rows[ROWS];

static pang_code check_members(const pang_json *document, int version, pang_err *err)
{
    for (const row *r = rows; r->member.name != NULL; r++) {
        pang_model_member one[2] = {r->member, {NULL, 0, 0, 0, 0}};
        bool demanded = r->since > 0 && version >= r->since;
        one[0].need = demanded ? PANG_MODEL_REQUIRED : PANG_MODEL_OPTIONAL;
        pang_code code = pang_model_shape(document, NULL, one, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* Checks every element of a list against a table; ids[name], when given, collects them. */
static pang_code check_list(const pang_json *document, const char *part,
                            const pang_model_member *members, const char *id_name,
                            pang_model_ids *ids, pang_err *err)
{
    const pang_json *list = pang_json_get(document, part);
    pang_model_path at = PANG_MODEL_IN(NULL, part);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *element = pang_json_at(list, i);
        pang_code code = pang_model_shape(element, &PANG_MODEL_AT(&at, i), members, err);
        if (code != PANG_OK)
            return code;
        if (ids == NULL)
            continue;
        int64_t id = pang_model_int(element, id_name, 0);
        if (pang_model_ids_get(ids, id) != NULL)
            return pang_model_bad(err, &PANG_MODEL_AT(&at, i), id_name, "is there twice: %" PRId64,
                                  id);
        if (!pang_model_ids_put(ids, id, element))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

/* The current schema of either form; NULL when it does not resolve. */
static const pang_json *current_schema(const pang_json *document)
{
    int64_t id;
    if (!pang_model_has(document, "schemas"))
        return pang_json_get(document, "schema");
    if (!pang_model_has_int(document, "current-schema-id", &id))
        return NULL;
    return pang_model_find(pang_json_get(document, "schemas"), "schema-id", id);
}

static pang_code check_schemas(const pang_json *document, int version, pang_arena *arena,
                               pang_err *err)
{
    static const pang_model_member members[] = {
        {"schema-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT32_MIN, INT32_MAX},
        {NULL, 0, 0, 0, 0},
    };
    const pang_json *schemas = pang_json_get(document, "schemas");
    const pang_json *current = current_schema(document);
    pang_model_path at = PANG_MODEL_IN(NULL, "schemas"), legacy = PANG_MODEL_IN(NULL, "schema");
    pang_model_ids ids = {.arena = arena};
    pang_model_schema *read = NULL;
    if (pang_json_is_null(current))
        return pang_model_bad(err, NULL, "current-schema-id",
                              "Cannot find schema with current-schema-id=%" PRId64 " from schemas",
                              pang_model_int(document, "current-schema-id", 0));
    pang_code code = check_list(document, "schemas", members, "schema-id", &ids, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(schemas); i++)
        code = pang_model_schema_read(pang_json_at(schemas, i), &PANG_MODEL_AT(&at, i), arena,
                                      &read, err);
    if (code == PANG_OK)
        code = pang_model_schema_read(current, &legacy, arena, &read, err);
    if (code == PANG_OK)
        code = pang_model_schema_suits(read, version, err);
    if (code == PANG_OK && read->highest > pang_model_int(document, "last-column-id", 0))
        return pang_model_bad(err, NULL, "last-column-id", "is below column id %" PRId64,
                              read->highest);
    return code;
}

typedef pang_code fields_shape(const pang_json *fields, const pang_model_path *at, pang_err *err);

/* Specs and orders alike: ids, the form of the fields, and that the default is there. */
static pang_code check_fielded(const pang_json *document, const char *part, const char *id_name,
                               const char *default_name, fields_shape *shape, pang_arena *arena,
                               pang_err *err)
{
    pang_model_member members[] = {
        {id_name, PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT32_MIN, INT32_MAX},
        {"fields", PANG_MODEL_ARRAY, PANG_MODEL_REQUIRED, 0, 0},
        {NULL, 0, 0, 0, 0},
    };
    const pang_json *list = pang_json_get(document, part);
    pang_model_path at = PANG_MODEL_IN(NULL, part);
    pang_model_ids ids = {.arena = arena};
    pang_code code = check_list(document, part, members, id_name, &ids, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(list); i++) {
        pang_model_path here = PANG_MODEL_AT(&at, i), fields = PANG_MODEL_IN(&here, "fields");
        code = shape(pang_json_get(pang_json_at(list, i), "fields"), &fields, err);
    }
    int64_t id = pang_model_int(document, default_name, 0);
    if (code == PANG_OK && pang_model_has(document, part) && pang_model_ids_get(&ids, id) == NULL)
        return pang_model_bad(err, NULL, default_name, "%" PRId64 " is not in %s", id, part);
    return code;
}

static pang_code check_snapshot(const pang_json *document, const pang_json *snapshot, int version,
                                const pang_model_path *at, pang_err *err)
{
    int64_t number = pang_model_int(snapshot, "sequence-number", 0);
    int64_t last = pang_model_int(document, "last-sequence-number", 0);
    if (!pang_model_has(snapshot, "manifest-list") && !pang_model_has(snapshot, "manifests"))
        return pang_model_bad(err, at, "manifest-list", "is missing");
    if (version > 1 && number > last)
        return pang_model_bad(err, at, "sequence-number",
                              "%" PRId64 " is greater than the last sequence number %" PRId64,
                              number, last);
    return PANG_OK;
}

static pang_code check_refs(const pang_json *document, const pang_model_ids *snapshots,
                            pang_err *err)
{
    pang_json_members it = {.object = pang_json_get(document, "refs")};
    pang_model_path list = PANG_MODEL_IN(NULL, "refs");
    pang_str name;
    pang_json *ref;
    int64_t current = -1;
    bool has_current = pang_model_current_snapshot(document, &current);
    while (pang_json_next(&it, &name, &ref)) {
        pang_model_path at = PANG_MODEL_IN(&list, name.ptr);
        pang_code code = pang_model_shape(ref, &at, pang_model_ref_members, err);
        if (code != PANG_OK)
            return code;
        int64_t id = pang_model_int(ref, "snapshot-id", -1);
        if (pang_model_ids_get(snapshots, id) == NULL)
            return pang_model_bad(err, &at, "snapshot-id", "%" PRId64 " is not in snapshots", id);
        if (pang_str_equal(name, PANG_STR("main")) && (!has_current || id != current))
            return pang_model_bad(err, &at, "snapshot-id",
                                  "current snapshot id does not match main branch (%" PRId64
                                  " != %" PRId64 ")",
                                  current, id);
    }
    if (has_current && pang_model_ids_get(snapshots, current) == NULL)
        return pang_model_bad(err, NULL, "current-snapshot-id", "%" PRId64 " is not in snapshots",
                              current);
    return PANG_OK;
}

/* Entries in order, and none later than the document, but for what clocks may differ. */
static pang_code check_log(const pang_json *document, const char *part,
                           const pang_model_member *members, pang_err *err)
{
    const pang_json *log = pang_json_get(document, part);
    pang_model_path at = PANG_MODEL_IN(NULL, part);
    int64_t before = INT64_MIN + LOG_SKEW_MS;
    pang_code code = check_list(document, part, members, NULL, NULL, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(log); i++) {
        int64_t ms = pang_model_int(pang_json_at(log, i), "timestamp-ms", 0);
        if (ms < before - LOG_SKEW_MS)
            return pang_model_bad(err, &PANG_MODEL_AT(&at, i), "timestamp-ms",
                                  "is before the entry before it");
        before = ms;
    }
    if (code == PANG_OK && pang_model_int(document, "last-updated-ms", 0) < before - LOG_SKEW_MS)
        return pang_model_bad(err, NULL, "last-updated-ms", "is before the last entry of %s", part);
    return code;
}

static pang_code check_history(const pang_json *document, int version, pang_arena *arena,
                               pang_err *err)
{
    static const pang_model_member snapshot_log[] = {
        {"timestamp-ms", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, INT64_MAX},
        {"snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT64_MIN, INT64_MAX},
        {NULL, 0, 0, 0, 0},
    };
    static const pang_model_member metadata_log[] = {
        {"timestamp-ms", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, INT64_MAX},
        {"metadata-file", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
        {NULL, 0, 0, 0, 0},
    };
    const pang_json *list = pang_json_get(document, "snapshots");
    pang_model_path at = PANG_MODEL_IN(NULL, "snapshots");
    pang_model_ids ids = {.arena = arena};
    pang_code code = check_list(document, "snapshots", pang_model_snapshot_members, "snapshot-id",
                                &ids, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(list); i++)
        code = check_snapshot(document, pang_json_at(list, i), version, &PANG_MODEL_AT(&at, i),
                              err);
    if (code == PANG_OK)
        code = check_refs(document, &ids, err);
    if (code == PANG_OK)
        code = check_log(document, "snapshot-log", snapshot_log, err);
    if (code == PANG_OK)
        code = check_log(document, "metadata-log", metadata_log, err);
    if (code == PANG_OK)
        code = check_list(document, "statistics", pang_model_statistics_members, NULL, NULL, err);
    if (code == PANG_OK)
        code = check_list(document, "partition-statistics", pang_model_partition_statistics_members,
                          NULL, NULL, err);
    if (code == PANG_OK)
        code = check_list(document, "encryption-keys", pang_model_key_members, NULL, NULL, err);
    return code;
}

/* Version 1: either the lists or the single schema and spec of old. */
static pang_code check_legacy(const pang_json *document, pang_err *err)
{
    pang_model_path spec = PANG_MODEL_IN(NULL, "partition-spec");
    if (!pang_model_has(document, "schemas") && !pang_model_has(document, "schema"))
        return pang_model_bad(err, NULL, "schema", "is missing");
    if (!pang_model_has(document, "partition-specs") && !pang_model_has(document, "partition-spec"))
        return pang_model_bad(err, NULL, "partition-spec", "is missing");
    return pang_model_has(document, "partition-specs")
               ? PANG_OK
               : pang_model_spec_shape(pang_json_get(document, "partition-spec"), &spec, err);
}

static pang_code check(const pang_json *document, pang_arena *arena, pang_err *err)
{
    static const pang_model_member first[] = {
        {"format-version", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 1, INT32_MAX},
        {NULL, 0, 0, 0, 0},
    };
    pang_code code = pang_model_shape(document, NULL, first, err);
    if (code != PANG_OK)
        return code;
    int version = (int)pang_model_int(document, "format-version", 0);
    if (version > PANG_MODEL_VERSION_MAX)
        return pang_model_illegal(err, "Cannot read unsupported version %d", version);
    if ((code = check_members(document, version, err)) != PANG_OK ||
        (code = check_legacy(document, err)) != PANG_OK ||
        (code = check_schemas(document, version, arena, err)) != PANG_OK ||
        (code = check_fielded(document, "partition-specs", "spec-id", "default-spec-id",
                              pang_model_spec_shape, arena, err)) != PANG_OK ||
        (code = check_fielded(document, "sort-orders", "order-id", "default-sort-order-id",
                              pang_model_order_shape, arena, err)) != PANG_OK)
        return code;
    if (pang_model_text(document, "location").len == 0)
        return pang_model_bad(err, NULL, "location", "is empty");
    return check_history(document, version, arena, err);
}

pang_code pang_model_check(const pang_json *document, pang_arena *arena, pang_err *err)
{
    pang_code code = check(document, arena, err);
    if (code == PANG_INVALID_ARGUMENT && err != NULL)
        err->reason = PANG_MODEL_ILLEGAL;
    return code;
}

static const row rows[ROWS] = {
    {{"table-uuid", PANG_MODEL_TEXT, 0, 0, 0}, 2},
    {{"location", PANG_MODEL_TEXT, 0, 0, 0}, 1},
    {{"last-sequence-number", PANG_MODEL_NUMBER, 0, 0, INT64_MAX}, 2},
    {{"last-updated-ms", PANG_MODEL_NUMBER, 0, 0, INT64_MAX}, 1},
    {{"last-column-id", PANG_MODEL_NUMBER, 0, 0, INT32_MAX}, 1},
    {{"schema", PANG_MODEL_OBJECT, 0, 0, 0}, 0},
    {{"schemas", PANG_MODEL_ARRAY, 0, 0, 0}, 2},
    {{"current-schema-id", PANG_MODEL_NUMBER, 0, INT32_MIN, INT32_MAX}, 2},
    {{"partition-spec", PANG_MODEL_ARRAY, 0, 0, 0}, 0},
    {{"partition-specs", PANG_MODEL_ARRAY, 0, 0, 0}, 2},
    {{"default-spec-id", PANG_MODEL_NUMBER, 0, INT32_MIN, INT32_MAX}, 2},
    {{"last-partition-id", PANG_MODEL_NUMBER, 0, 0, INT32_MAX}, 2},
    {{"sort-orders", PANG_MODEL_ARRAY, 0, 0, 0}, 2},
    {{"default-sort-order-id", PANG_MODEL_NUMBER, 0, INT32_MIN, INT32_MAX}, 2},
    {{"properties", PANG_MODEL_TEXT_MAP, 0, 0, 0}, 0},
    {{"current-snapshot-id", PANG_MODEL_NUMBER, 0, INT64_MIN, INT64_MAX}, 0},
    {{"snapshots", PANG_MODEL_ARRAY, 0, 0, 0}, 0},
    {{"snapshot-log", PANG_MODEL_ARRAY, 0, 0, 0}, 0},
    {{"metadata-log", PANG_MODEL_ARRAY, 0, 0, 0}, 0},
    {{"refs", PANG_MODEL_OBJECT, 0, 0, 0}, 0},
    {{"statistics", PANG_MODEL_ARRAY, 0, 0, 0}, 0},
    {{"partition-statistics", PANG_MODEL_ARRAY, 0, 0, 0}, 0},
    {{"encryption-keys", PANG_MODEL_ARRAY, 0, 0, 0}, 0},
    {{"next-row-id", PANG_MODEL_NUMBER, 0, 0, INT64_MAX}, 3},
    {{NULL, 0, 0, 0, 0}, 0},
};
