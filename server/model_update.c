/*
 * Model: the table of update actions. A row names the members that the action must bring and the
 * function that applies it. All updates are checked for their form before the first is applied,
 * so that a request with an unknown action is refused whatever stands before it.
 */
#include <inttypes.h>
#include <string.h>

#include "server/model_build.h"

enum { ACTIONS = 23 };
static const pang_model_action rows[ACTIONS + 1];

/* ---- updates that have no file of their own ---- */

static pang_code assign_uuid(pang_model_build *b, const pang_json *update,
                             const pang_model_path *at, pang_err *err)
{
    pang_str given = pang_model_text(update, "uuid"), old = pang_model_text(b->base, "table-uuid");
    if (given.len == 0 || given.len > 128)
        return pang_model_bad(err, at, "uuid", "must have 1 to 128 bytes");
    if (pang_str_equal_nocase(given, pang_model_text(b->doc, "table-uuid")))
        return PANG_OK;
    if (old.len > 0)
        return pang_model_illegal(err, "Cannot reassign uuid: the table has one");
    pang_model_put_text(b, b->doc, "table-uuid", given);
    b->changed = true;
    return PANG_OK;
}

/* Version 2 demands a number of every snapshot; those of version 1 have 0. */
static void number_snapshots(pang_model_build *b)
{
    pang_model_keyed_end(b, &b->snapshots);
    pang_json *list = pang_model_own(b, "snapshots");
    for (size_t i = 0; i < pang_json_size(list); i++) {
        pang_json *snapshot = pang_model_copy(pang_json_at(list, i), b->arena);
        pang_model_put_int(b, snapshot, "sequence-number", 0);
        if (!pang_json_replace(list, i, snapshot))
            b->failed = true;
    }
    b->snapshots.known = false; /* the map goes by the nodes that were replaced */
    pang_model_put_int(b, b->doc, "last-sequence-number", 0);
}

static pang_code upgrade(pang_model_build *b, const pang_json *update, const pang_model_path *at,
                         pang_err *err)
{
    int version = (int)pang_model_int(update, "format-version", 0);
    int64_t current;
    (void)at;
    if (version > PANG_MODEL_VERSION_MAX)
        return pang_model_illegal(
            err, "Cannot upgrade table to unsupported format version: v%d (supported: v%d)",
            version, PANG_MODEL_VERSION_MAX);
    if (version < b->version)
        return pang_model_illegal(err, "Cannot downgrade v%d table to v%d", b->version, version);
    if (version == b->version)
        return PANG_OK;
    if (b->version == 1)
        number_snapshots(b);
    if (version == 3)
        pang_model_put_int(b, b->doc, "next-row-id", 0);
    bool has_current = pang_model_current_snapshot(b->doc, &current);
    b->version = version;
    pang_model_put_int(b, b->doc, "format-version", version);
    if (!has_current)
        pang_model_set_current_snapshot(b, NULL);
    b->changed = true;
    return PANG_OK;
}

pang_code pang_model_set_location(pang_model_build *b, const pang_json *update,
                                  const pang_model_path *at, pang_err *err)
{
    pang_str location = pang_model_text(update, "location");
    while (location.len > 1 && location.ptr[location.len - 1] == '/')
        location.len--;
    if (location.len == 0)
        return pang_model_bad(err, at, "location", "is empty");
    if (pang_str_equal(location, pang_model_text(b->doc, "location")))
        return PANG_OK;
    pang_model_put_text(b, b->doc, "location", location);
    b->changed = true;
    return PANG_OK;
}

pang_code pang_model_property_check(pang_str name, pang_str value, pang_err *err)
{
    int64_t number;
    if (pang_str_equal(name, PANG_STR("write.metadata.previous-versions-max")) &&
        !pang_str_to_int64(value, &number))
        return pang_model_illegal(err, "Table property %" PANG_STR_FMT " must have integer value",
                                  PANG_STR_ARG(name));
    return PANG_OK;
}

/* Old clients said "updated" and "removed". */
static const pang_json *either(const pang_json *update, const char *name, const char *old_name)
{
    const pang_json *value = pang_json_get(update, name);
    return pang_json_is_null(value) ? pang_json_get(update, old_name) : value;
}

pang_code pang_model_set_properties(pang_model_build *b, const pang_json *update,
                                    const pang_model_path *at, pang_err *err)
{
    pang_json_members it = {.object = either(update, "updates", "updated")};
    pang_str name, text = {NULL, 0};
    pang_json *value;
    if (it.object == NULL)
        return pang_model_bad(err, at, "updates", "is missing");
    if (pang_json_size(it.object) == 0)
        return PANG_OK;
    pang_json *properties = pang_model_own(b, "properties");
    while (pang_json_next(&it, &name, &value)) {
        (void)pang_json_to_str(value, &text);
        pang_code code = pang_model_property_check(name, text, err);
        if (code != PANG_OK)
            return code;
        if (!pang_json_set_str(properties, name, value))
            b->failed = true;
    }
    if (pang_json_size(properties) > PANG_MODEL_PROPERTIES_MAX)
        return pang_model_illegal(err, "Cannot set more than %d properties",
                                  PANG_MODEL_PROPERTIES_MAX);
    b->changed = true;
    return PANG_OK;
}

pang_code pang_model_remove_properties(pang_model_build *b, const pang_json *update,
                                       const pang_model_path *at, pang_err *err)
{
    const pang_json *removals = either(update, "removals", "removed");
    if (removals == NULL)
        return pang_model_bad(err, at, "removals", "is missing");
    if (pang_json_size(removals) == 0)
        return PANG_OK;
    pang_json *properties = pang_model_own(b, "properties");
    for (size_t i = 0; i < pang_json_size(removals); i++) {
        pang_str name = {NULL, 0};
        (void)pang_json_to_str(pang_json_at(removals, i), &name);
        char *cstr = pang_arena_cstr(b->arena, name);
        if (cstr == NULL)
            return pang_fail_memory(err);
        pang_json_remove(properties, cstr);
    }
    b->changed = true;
    return PANG_OK;
}

/* ---- the walk ---- */

/* The row of an update's action, in any case as the Java library takes it; NULL when unknown. */
static const pang_model_action *row_of(const pang_model_action *actions, const pang_json *update)
{
    pang_str action = pang_model_text(update, "action");
    for (const pang_model_action *r = actions; r->name != NULL; r++) {
        if (pang_str_equal_nocase(action, pang_str_from(r->name)))
            return r;
    }
    return NULL;
}

pang_code pang_model_actions_shape(const pang_model_action *actions, const pang_json *updates,
                                   pang_err *err)
{
    static const pang_model_member members[] = {
        {"action", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
        {NULL, 0, 0, 0, 0},
    };
    pang_model_path list = PANG_MODEL_IN(NULL, "updates");
    pang_code code = PANG_OK;
    if (pang_json_is_null(updates))
        return PANG_OK;
    if (pang_json_type_of(updates) != PANG_JSON_IS_ARRAY)
        return pang_model_bad(err, &list, NULL, "must be an array");
    if (pang_json_size(updates) > PANG_MODEL_UPDATES_MAX)
        return pang_model_bad(err, &list, NULL, "has more than %d elements",
                              PANG_MODEL_UPDATES_MAX);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(updates); i++) {
        const pang_json *update = pang_json_at(updates, i);
        pang_model_path at = PANG_MODEL_AT(&list, i);
        if ((code = pang_model_shape(update, &at, members, err)) != PANG_OK)
            return code;
        const pang_model_action *r = row_of(actions, update);
        pang_str action = pang_model_text(update, "action");
        if (r == NULL)
            return pang_model_bad(err, &at, "action",
                                  "cannot convert metadata update action \"%" PANG_STR_FMT "\"",
                                  PANG_STR_ARG(action));
        code = pang_model_shape(update, &at, r->members, err);
    }
    return code;
}

pang_code pang_model_actions_apply(const pang_model_action *actions, pang_model_build *b,
                                   const pang_json *updates, pang_err *err)
{
    pang_model_path list = PANG_MODEL_IN(NULL, "updates");
    for (size_t i = 0; i < pang_json_size(updates); i++) {
        const pang_json *update = pang_json_at(updates, i);
        pang_model_path at = PANG_MODEL_AT(&list, i);
        pang_code code = row_of(actions, update)->apply(b, update, &at, err);
        if (code != PANG_OK)
            return code;
        if (b->failed)
            return pang_fail_memory(err);
        if (!pang_model_spend(b, 0))
            return pang_model_illegal(err, "Cannot apply so many updates to so long lists in one "
                                           "commit");
    }
    return PANG_OK;
}

pang_code pang_model_updates_shape(const pang_json *updates, pang_err *err)
{
    return pang_model_actions_shape(rows, updates, err);
}

pang_code pang_model_updates_apply(pang_model_build *b, const pang_json *updates, pang_err *err)
{
    return pang_model_actions_apply(rows, b, updates, err);
}

#define NEED PANG_MODEL_REQUIRED
#define MAY PANG_MODEL_OPTIONAL
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, 0, 0, 0                                                                           \
    }

static const pang_model_action rows[ACTIONS + 1] = {
    {"assign-uuid", assign_uuid, {{"uuid", PANG_MODEL_TEXT, NEED, 0, 0}, END}},
    {"upgrade-format-version",
     upgrade,
     {{"format-version", PANG_MODEL_NUMBER, NEED, 1, INT32_MAX}, END}},
    {"add-schema",
     pang_model_add_schema,
     {{"schema", PANG_MODEL_OBJECT, NEED, 0, 0},
      {"last-column-id", PANG_MODEL_NUMBER, MAY, INT32_MIN, INT32_MAX},
      END}},
    {"set-current-schema",
     pang_model_set_current_schema,
     {{"schema-id", PANG_MODEL_NUMBER, NEED, -1, INT32_MAX}, END}},
    {"add-spec", pang_model_add_spec, {{"spec", PANG_MODEL_OBJECT, NEED, 0, 0}, END}},
    {"set-default-spec",
     pang_model_set_default_spec,
     {{"spec-id", PANG_MODEL_NUMBER, NEED, -1, INT32_MAX}, END}},
    {"add-sort-order", pang_model_add_order, {{"sort-order", PANG_MODEL_OBJECT, NEED, 0, 0}, END}},
    {"set-default-sort-order",
     pang_model_set_default_order,
     {{"sort-order-id", PANG_MODEL_NUMBER, NEED, -1, INT32_MAX}, END}},
    {"add-snapshot", pang_model_add_snapshot, {{"snapshot", PANG_MODEL_OBJECT, NEED, 0, 0}, END}},
    {"set-snapshot-ref",
     pang_model_set_ref,
     {{"ref-name", PANG_MODEL_TEXT, NEED, 0, 0},
      {"type", PANG_MODEL_TEXT, NEED, 0, 0},
      {"snapshot-id", PANG_MODEL_NUMBER, NEED, INT64_MIN, INT64_MAX},
      {"min-snapshots-to-keep", PANG_MODEL_NUMBER, MAY, 1, INT32_MAX},
      {"max-snapshot-age-ms", PANG_MODEL_NUMBER, MAY, 1, INT64_MAX},
      {"max-ref-age-ms", PANG_MODEL_NUMBER, MAY, 1, INT64_MAX},
      END}},
    {"remove-snapshot-ref",
     pang_model_remove_ref,
     {{"ref-name", PANG_MODEL_TEXT, NEED, 0, 0}, END}},
    {"remove-snapshots",
     pang_model_remove_snapshots,
     {{"snapshot-ids", PANG_MODEL_NUMBERS, NEED, INT64_MIN, INT64_MAX}, END}},
    {"set-location", pang_model_set_location, {{"location", PANG_MODEL_TEXT, NEED, 0, 0}, END}},
    {"set-properties",
     pang_model_set_properties,
     {{"updates", PANG_MODEL_TEXT_MAP, MAY, 0, 0},
      {"updated", PANG_MODEL_TEXT_MAP, MAY, 0, 0},
      END}},
    {"remove-properties",
     pang_model_remove_properties,
     {{"removals", PANG_MODEL_TEXTS, MAY, 0, 0}, {"removed", PANG_MODEL_TEXTS, MAY, 0, 0}, END}},
    {"set-statistics",
     pang_model_set_statistics,
     {{"statistics", PANG_MODEL_OBJECT, NEED, 0, 0},
      {"snapshot-id", PANG_MODEL_NUMBER, MAY, INT64_MIN, INT64_MAX},
      END}},
    {"remove-statistics",
     pang_model_remove_statistics,
     {{"snapshot-id", PANG_MODEL_NUMBER, NEED, INT64_MIN, INT64_MAX}, END}},
    {"set-partition-statistics",
     pang_model_set_partition_statistics,
     {{"partition-statistics", PANG_MODEL_OBJECT, NEED, 0, 0}, END}},
    {"remove-partition-statistics",
     pang_model_remove_partition_statistics,
     {{"snapshot-id", PANG_MODEL_NUMBER, NEED, INT64_MIN, INT64_MAX}, END}},
    {"remove-partition-specs",
     pang_model_remove_specs,
     {{"spec-ids", PANG_MODEL_NUMBERS, NEED, INT32_MIN, INT32_MAX}, END}},
    {"remove-schemas",
     pang_model_remove_schemas,
     {{"schema-ids", PANG_MODEL_NUMBERS, NEED, INT32_MIN, INT32_MAX}, END}},
    {"add-encryption-key",
     pang_model_add_key,
     {{"encryption-key", PANG_MODEL_OBJECT, NEED, 0, 0}, END}},
    {"remove-encryption-key",
     pang_model_remove_key,
     {{"key-id", PANG_MODEL_TEXT, NEED, 0, 0}, END}},
    {NULL, NULL, {END}},
};
