/*
 * Model: the document under construction. It begins as a copy of the base's top level, brought
 * into full form (what version 1 files may leave out, filled in), and shares all parts with the
 * base; a part is copied when an update first changes it. The end checks what must hold between
 * parts and writes the logs.
 */
#include <inttypes.h>
#include <string.h>

#include "api/id.h"
#include "server/model_build.h"

enum { METADATA_LOG_DEFAULT = 100 };

/* The containers of a document, a view's too: bits of pang_model_build.owned are places in here. */
static const struct {
    const char *name;
    bool is_object;
} parts[] = {
    {"schemas", false},
    {"partition-specs", false},
    {"sort-orders", false},
    {"properties", true},
    {"refs", true},
    {"snapshots", false},
    {"statistics", false},
    {"partition-statistics", false},
    {"snapshot-log", false},
    {"metadata-log", false},
    {"encryption-keys", false},
    {"versions", false},
    {"version-log", false},
};

void pang_model_put(pang_model_build *b, pang_json *object, const char *name, pang_json *value)
{
    if (!pang_json_set(object, name, value))
        b->failed = true;
}

void pang_model_put_int(pang_model_build *b, pang_json *object, const char *name, int64_t value)
{
    pang_model_put(b, object, name, pang_json_int(value, b->arena));
}

void pang_model_put_text(pang_model_build *b, pang_json *object, const char *name, pang_str text)
{
    pang_model_put(b, object, name, pang_json_str(text, b->arena));
}

void pang_model_add(pang_model_build *b, pang_json *array, pang_json *value)
{
    if (!pang_json_append(array, value))
        b->failed = true;
}

pang_json *pang_model_own(pang_model_build *b, const char *name)
{
    size_t i = 0;
    while (strcmp(parts[i].name, name) != 0)
        i++;
    pang_json *part = pang_json_get(b->doc, name);
    if ((b->owned & (1u << i)) != 0)
        return part;
    if (pang_json_is_null(part))
        part = parts[i].is_object ? pang_json_object(b->arena) : pang_json_array(b->arena);
    else
        part = pang_model_copy(part, b->arena);
    pang_model_put(b, b->doc, name, part);
    b->owned |= 1u << i;
    return part;
}

bool pang_model_spend(pang_model_build *b, size_t n)
{
    b->work += n;
    return b->work <= PANG_MODEL_WORK_MAX;
}

bool pang_model_drop(pang_model_build *b, const char *part, const char *name,
                     const pang_model_ids *ids)
{
    const pang_json *old = pang_json_get(b->doc, part);
    pang_json *kept = pang_json_array(b->arena);
    if (!pang_model_spend(b, pang_json_size(old)))
        return false;
    for (size_t i = 0; i < pang_json_size(old); i++) {
        pang_json *element = pang_json_at(old, i);
        int64_t id;
        if (!pang_model_has_int(element, name, &id) || pang_model_ids_get(ids, id) == NULL)
            pang_model_add(b, kept, element);
    }
    if (pang_json_size(kept) == pang_json_size(old))
        return false;
    (void)pang_model_own(b, part);
    pang_model_put(b, b->doc, part, kept);
    return true;
}

pang_code pang_model_current_schema(pang_model_build *b, const pang_model_schema **ret,
                                    pang_err *err)
{
    int64_t id = 0; /* as in Java's builder: DuckDB adds specs before it sets the schema */
    const pang_json *node = NULL;
    bool is_set = pang_model_has_int(b->doc, "current-schema-id", &id);
    if (is_set || b->base == NULL)
        node = pang_model_find(pang_json_get(b->doc, "schemas"), "schema-id", id);
    if (node == NULL)
        return pang_model_invalid(err, "Invalid table: no current schema has been set");
    if (node != b->schema_node) {
        pang_code code = pang_model_schema_read(node, &PANG_MODEL_IN(NULL, "schema"), b->arena,
                                                &b->current_schema, err);
        if (code != PANG_OK)
            return code;
        b->schema_node = node;
    }
    *ret = b->current_schema;
    return PANG_OK;
}

/* ---- begin ---- */

/* A version 1 spec: its fields alone, which may lack ids. */
static pang_json *spec_of_fields(pang_model_build *b, const pang_json *fields)
{
    pang_json *spec = pang_json_object(b->arena), *list = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        pang_json *field = pang_json_at(fields, i);
        if (!pang_model_has(field, "field-id")) {
            field = pang_model_copy(field, b->arena);
            pang_model_put_int(b, field, "field-id", 1000 + (int64_t)i);
        }
        pang_model_add(b, list, field);
    }
    pang_model_put_int(b, spec, "spec-id", 0);
    pang_model_put(b, spec, "fields", list);
    return spec;
}

static void fill_schemas(pang_model_build *b)
{
    pang_json *schema = pang_json_get(b->doc, "schema");
    if (pang_model_has(b->doc, "schemas"))
        return;
    pang_json *list = pang_json_array(b->arena), *copy = pang_model_copy(schema, b->arena);
    int64_t id = pang_model_int(schema, "schema-id", 0);
    pang_model_put_int(b, copy, "schema-id", id);
    pang_model_add(b, list, copy);
    pang_model_put(b, b->doc, "schemas", list);
    pang_model_put_int(b, b->doc, "current-schema-id", id);
}

static void fill_specs(pang_model_build *b)
{
    int64_t last = 999;
    if (!pang_model_has(b->doc, "partition-specs")) {
        pang_json *list = pang_json_array(b->arena);
        pang_model_add(b, list, spec_of_fields(b, pang_json_get(b->doc, "partition-spec")));
        pang_model_put(b, b->doc, "partition-specs", list);
        pang_model_put_int(b, b->doc, "default-spec-id", 0);
    }
    if (pang_model_has(b->doc, "last-partition-id"))
        return;
    const pang_json *specs = pang_json_get(b->doc, "partition-specs");
    for (size_t i = 0; i < pang_json_size(specs); i++) {
        const pang_json *fields = pang_json_get(pang_json_at(specs, i), "fields");
        for (size_t k = 0; k < pang_json_size(fields); k++) {
            int64_t id = pang_model_int(pang_json_at(fields, k), "field-id", 0);
            last = id > last ? id : last;
        }
    }
    pang_model_put_int(b, b->doc, "last-partition-id", last);
}

static void fill_orders(pang_model_build *b)
{
    if (pang_model_has(b->doc, "sort-orders"))
        return;
    pang_json *list = pang_json_array(b->arena), *order = pang_json_object(b->arena);
    pang_model_put_int(b, order, "order-id", 0);
    pang_model_put(b, order, "fields", pang_json_array(b->arena));
    pang_model_add(b, list, order);
    pang_model_put(b, b->doc, "sort-orders", list);
    pang_model_put_int(b, b->doc, "default-sort-order-id", 0);
}

static void fill_refs(pang_model_build *b)
{
    int64_t current;
    if (pang_model_has(b->doc, "refs") || !pang_model_current_snapshot(b->doc, &current))
        return;
    pang_json *refs = pang_json_object(b->arena), *branch = pang_json_object(b->arena);
    pang_model_put_int(b, branch, "snapshot-id", current);
    pang_model_put_text(b, branch, "type", PANG_STR("branch"));
    pang_model_put(b, refs, "main", branch);
    pang_model_put(b, b->doc, "refs", refs);
}

static void fill_uuid(pang_model_build *b)
{
    char uuid[PANG_ID_TEXT + 1];
    if (pang_model_text(b->doc, "table-uuid").len > 0)
        return;
    pang_id_text(pang_id_v4(b->env), uuid);
    pang_model_put_text(b, b->doc, "table-uuid", pang_str_from(uuid));
}

/* The members of a table that has nothing yet, in the order in which they are written. */
static void fill_new(pang_model_build *b)
{
    pang_model_put_int(b, b->doc, "format-version", b->version);
    pang_model_put_text(b, b->doc, "table-uuid", PANG_STR(""));
    pang_model_put_text(b, b->doc, "location", PANG_STR(""));
    if (b->version > 1)
        pang_model_put_int(b, b->doc, "last-sequence-number", 0);
    pang_model_put_int(b, b->doc, "last-updated-ms", 0);
    pang_model_put_int(b, b->doc, "last-column-id", 0);
    pang_model_put(b, b->doc, "current-schema-id", pang_json_null(b->arena));
    (void)pang_model_own(b, "schemas");
    pang_model_put(b, b->doc, "default-spec-id", pang_json_null(b->arena));
    (void)pang_model_own(b, "partition-specs");
    pang_model_put_int(b, b->doc, "last-partition-id", 999);
    pang_model_put(b, b->doc, "default-sort-order-id", pang_json_null(b->arena));
    (void)pang_model_own(b, "sort-orders");
    (void)pang_model_own(b, "properties");
    pang_model_set_current_snapshot(b, NULL);
    if (b->version > 2)
        pang_model_put_int(b, b->doc, "next-row-id", 0);
    (void)pang_model_own(b, "refs");
    (void)pang_model_own(b, "snapshots");
    (void)pang_model_own(b, "statistics");
    (void)pang_model_own(b, "partition-statistics");
    (void)pang_model_own(b, "snapshot-log");
    (void)pang_model_own(b, "metadata-log");
}

static pang_model_keyed keyed(pang_model_build *b, const char *part)
{
    return (pang_model_keyed){.part = part, .by_id = {.arena = b->arena}};
}

pang_code pang_model_begin(pang_model_build *b, pang_err *err)
{
    b->now_ms = pang_env_wall_ms(b->env);
    b->fresh_snapshots.arena = b->was_main.arena = b->ref_names.arena = b->arena;
    b->schema_hashes.arena = b->arena;
    b->snapshots = keyed(b, "snapshots");
    b->statistics = keyed(b, "statistics");
    b->partition_statistics = keyed(b, "partition-statistics");
    if (b->base == NULL) {
        b->doc = pang_json_object(b->arena);
        fill_new(b);
        b->changed = true;
    } else {
        b->version = (int)pang_model_int(b->base, "format-version", 1);
        b->doc = pang_model_copy(b->base, b->arena);
        fill_schemas(b);
        fill_specs(b);
        fill_orders(b);
        fill_refs(b);
        fill_uuid(b);
    }
    return b->failed || b->doc == NULL ? pang_fail_memory(err) : PANG_OK;
}

/* ---- end ---- */

/* Whether the document has its schemas, specs, orders and choices from the base, untouched. */
static bool has_old_defaults(const pang_model_build *b)
{
    static const char *const lists[] = {"schemas", "partition-specs", "sort-orders"};
    static const char *const choices[] = {"format-version", "current-schema-id", "default-spec-id",
                                          "default-sort-order-id"};
    if (b->base == NULL)
        return false;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (pang_json_get(b->doc, lists[i]) != pang_json_get(b->base, lists[i]))
            return false;
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++)
        if (!pang_json_equal(pang_json_get(b->doc, choices[i]), pang_json_get(b->base, choices[i])))
            return false;
    return true;
}

/* Reading the schema is most of what a small commit's model would do; who changed none of it has
 * nothing to check. */
static pang_code check_defaults(pang_model_build *b, pang_err *err)
{
    if (has_old_defaults(b))
        return PANG_OK;
    const pang_model_schema *schema = NULL;
    pang_code code = pang_model_current_schema(b, &schema, err);
    if (code != PANG_OK)
        return code;
    const pang_json *spec = pang_model_find(pang_json_get(b->doc, "partition-specs"), "spec-id",
                                            pang_model_int(b->doc, "default-spec-id", -1));
    if (spec == NULL)
        return pang_model_invalid(err, "Invalid table: no default partition spec has been set");
    const pang_json *order = pang_model_find(pang_json_get(b->doc, "sort-orders"), "order-id",
                                             pang_model_int(b->doc, "default-sort-order-id", -1));
    if (order == NULL)
        return pang_model_invalid(err, "Invalid table: no default sort order has been set");
    code = pang_model_schema_suits(schema, b->version, err);
    if (code == PANG_OK)
        code = pang_model_spec_suits(pang_json_get(spec, "fields"), schema, false, err);
    if (code == PANG_OK)
        code = pang_model_order_suits(pang_json_get(order, "fields"), schema, err);
    return code;
}

static int64_t previous_versions_max(const pang_json *document)
{
    pang_str text;
    int64_t number;
    if (!pang_model_property(document, PANG_STR("write.metadata.previous-versions-max"), &text) ||
        !pang_str_to_int64(text, &number))
        return METADATA_LOG_DEFAULT;
    return number < 1 ? 1 : number;
}

/* The base's file joins the log, and the new properties say how long the log may be. */
static void log_metadata(pang_model_build *b)
{
    const pang_json *old = pang_json_get(b->doc, "metadata-log");
    size_t n = pang_json_size(old), max = (size_t)previous_versions_max(b->doc);
    pang_json *log = pang_json_array(b->arena), *entry = pang_json_object(b->arena);
    for (size_t i = n >= max ? n - max + 1 : 0; i < n; i++)
        pang_model_add(b, log, pang_json_at(old, i));
    pang_model_put_int(b, entry, "timestamp-ms", pang_model_int(b->base, "last-updated-ms", 0));
    pang_model_put_text(b, entry, "metadata-file", b->base_location);
    pang_model_add(b, log, entry);
    pang_model_put(b, b->doc, "metadata-log", log);
}

/* Time does not go back: neither behind the base nor behind the newest log entry, which readers
 * take for a damaged file. */
static void stamp(pang_model_build *b)
{
    const pang_json *log = pang_json_get(b->doc, "snapshot-log");
    int64_t ms = b->now_ms, base_ms = pang_model_int(b->base, "last-updated-ms", 0);
    int64_t logged_ms = 0;
    if (pang_json_size(log) > 0)
        logged_ms = pang_model_int(pang_json_at(log, pang_json_size(log) - 1), "timestamp-ms", 0);
    ms = base_ms > ms ? base_ms : ms;
    ms = logged_ms > ms ? logged_ms : ms;
    pang_model_put_int(b, b->doc, "last-updated-ms", ms);
}

/* Readers of version 1 look for the current schema and spec by themselves. */
static void write_legacy(pang_model_build *b)
{
    if (b->version > 1) {
        pang_json_remove(b->doc, "schema");
        pang_json_remove(b->doc, "partition-spec");
        return;
    }
    const pang_json *spec = pang_model_find(pang_json_get(b->doc, "partition-specs"), "spec-id",
                                            pang_model_int(b->doc, "default-spec-id", -1));
    pang_model_put(b, b->doc, "schema",
                   pang_model_find(pang_json_get(b->doc, "schemas"), "schema-id",
                                   pang_model_int(b->doc, "current-schema-id", -1)));
    pang_model_put(b, b->doc, "partition-spec", pang_json_get(spec, "fields"));
}

/* What a create did not choose is the first of its kind, whose id is 0, as in Java's builder. */
static void choose_first(pang_model_build *b)
{
    static const char *const names[] = {"current-schema-id", "default-spec-id",
                                        "default-sort-order-id"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!pang_model_has(b->doc, names[i]))
            pang_model_put_int(b, b->doc, names[i], 0);
    }
}

pang_code pang_model_end(pang_model_build *b, pang_err *err)
{
    if (b->base == NULL)
        choose_first(b);
    pang_code code = b->failed ? pang_fail_memory(err) : check_defaults(b, err);
    if (code == PANG_OK && pang_model_text(b->doc, "location").len == 0)
        return pang_model_invalid(err, "Invalid table: no location has been set");
    if (code == PANG_OK)
        code = pang_model_end_snapshots(b, err);
    if (code != PANG_OK)
        return code;
    fill_uuid(b);
    if (b->base != NULL)
        log_metadata(b);
    stamp(b);
    write_legacy(b);
    return b->failed ? pang_fail_memory(err) : PANG_OK;
}
