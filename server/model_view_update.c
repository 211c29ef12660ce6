/*
 * Model of views: the table of update actions. What is added is compared with what is there and
 * takes the id of its equal; a version gets the id that it was sent with where that is above all
 * others, else the next one, so that of two that replace a view at once both land.
 */
#include <inttypes.h>

#include "server/model_build.h"
#include "server/model_view.h"

static pang_code assign_uuid(pang_model_build *b, const pang_json *update,
                             const pang_model_path *at, pang_err *err)
{
    (void)at;
    if (pang_str_equal_nocase(pang_model_text(update, "uuid"),
                              pang_model_text(b->doc, "view-uuid")))
        return PANG_OK;
    return pang_model_illegal(err, "Cannot reassign uuid: the view has one");
}

static pang_code upgrade(pang_model_build *b, const pang_json *update, const pang_model_path *at,
                         pang_err *err)
{
    int64_t version = pang_model_int(update, "format-version", 0);
    (void)at;
    (void)b;
    if (version == PANG_VIEW_FORMAT_VERSION)
        return PANG_OK;
    return pang_model_illegal(
        err, "Cannot upgrade view to unsupported format version: v%" PRId64 " (supported: v%d)",
        version, PANG_VIEW_FORMAT_VERSION);
}

/* ---- schemas ---- */

static const pang_json *find_same(pang_model_build *b, const pang_json *schema)
{
    const pang_json *schemas = pang_json_get(b->doc, "schemas");
    size_t cost = 1 + pang_json_size(pang_json_get(schema, "fields"));
    for (size_t i = 0; i < pang_json_size(schemas) && pang_model_spend(b, cost); i++) {
        if (pang_model_schema_same(schema, pang_json_at(schemas, i)))
            return pang_json_at(schemas, i);
    }
    return NULL;
}

static int64_t next_schema_id(const pang_json *schemas)
{
    int64_t last = -1;
    for (size_t i = 0; i < pang_json_size(schemas); i++) {
        int64_t id = pang_model_int(pang_json_at(schemas, i), "schema-id", 0);
        last = id > last ? id : last;
    }
    return last + 1;
}

pang_code pang_model_add_view_schema(pang_model_build *b, const pang_json *schema,
                                     const pang_model_path *at, pang_err *err)
{
    pang_model_schema *read;
    pang_code code = pang_model_schema_read(schema, at, b->arena, &read, err);
    if (code == PANG_OK)
        code = pang_model_schema_suits(read, PANG_MODEL_VERSION_MAX, err);
    if (code != PANG_OK)
        return code;
    pang_json *tidy = pang_model_schema_rewrite(b, schema, 0, NULL);
    const pang_json *same = find_same(b, tidy);
    int64_t id = same != NULL ? pang_model_int(same, "schema-id", 0)
                              : next_schema_id(pang_json_get(b->doc, "schemas"));
    if (id > INT32_MAX)
        return pang_model_illegal(err, "Cannot add schema: the view's schema ids are used up");
    if (same == NULL) {
        pang_model_put_int(b, tidy, "schema-id", id);
        pang_model_add(b, pang_model_own(b, "schemas"), tidy);
        b->changed = true;
    }
    return pang_model_count_added(&b->schema, id, "schemas", err);
}

static pang_code add_schema(pang_model_build *b, const pang_json *update, const pang_model_path *at,
                            pang_err *err)
{
    pang_model_path here = PANG_MODEL_IN(at, "schema");
    return pang_model_add_view_schema(b, pang_json_get(update, "schema"), &here, err);
}

/* ---- versions ---- */

/* Whether they are one but for id and time. An absent member is like null. */
static bool same_version(const pang_json *a, const pang_json *b)
{
    static const char *const members[] = {"summary", "representations", "default-catalog",
                                          "default-namespace", "schema-id"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const pang_json *x = pang_json_get(a, members[i]), *y = pang_json_get(b, members[i]);
        if (pang_json_is_null(x) != pang_json_is_null(y) ||
            (!pang_json_is_null(x) && !pang_json_equal(x, y)))
            return false;
    }
    return true;
}

/* The equal version, or NULL and a free id. */
static const pang_json *place_version(pang_model_build *b, const pang_json *version,
                                      int64_t *ret_id)
{
    const pang_json *versions = pang_json_get(b->doc, "versions");
    *ret_id = pang_model_int(version, "version-id", 1);
    (void)pang_model_spend(b, pang_json_size(versions));
    for (size_t i = 0; i < pang_json_size(versions); i++) {
        const pang_json *other = pang_json_at(versions, i);
        int64_t id = pang_model_int(other, "version-id", 0);
        if (same_version(version, other)) {
            *ret_id = id;
            return other;
        }
        *ret_id = id >= *ret_id ? id + 1 : *ret_id;
    }
    return NULL;
}

/* -1 is the schema that was added last. */
static pang_code resolve_schema(pang_model_build *b, pang_json *version, pang_err *err)
{
    int64_t id = pang_model_int(version, "schema-id", -1);
    if (id == -1 && b->schema.n == 0)
        return pang_model_invalid(err, "Cannot set last added schema: no schema has been added");
    if (id == -1)
        pang_model_put_int(b, version, "schema-id", id = b->schema.id);
    (void)pang_model_spend(b, pang_json_size(pang_json_get(b->doc, "schemas")));
    if (pang_model_find(pang_json_get(b->doc, "schemas"), "schema-id", id) == NULL)
        return pang_model_illegal(err, "Cannot add version with unknown schema: %" PRId64, id);
    return PANG_OK;
}

pang_code pang_model_add_view_version(pang_model_build *b, const pang_json *version, pang_err *err)
{
    int64_t id;
    pang_json *copy = pang_model_copy(version, b->arena);
    pang_json *made = pang_model_without_nulls(copy, b->arena);
    if (made == NULL)
        return pang_fail_memory(err);
    if (place_version(b, made, &id) != NULL)
        return pang_model_count_added(&b->view_version, id, "versions", err);
    if (id > INT32_MAX)
        return pang_model_illegal(err, "Cannot add version: the view's version ids are used up");
    pang_code code = resolve_schema(b, made, err);
    if (code != PANG_OK)
        return code;
    pang_model_put_int(b, made, "version-id", id);
    pang_model_add(b, pang_model_own(b, "versions"), made);
    if (!pang_model_ids_put(&b->fresh_versions, id, made))
        return pang_fail_memory(err);
    b->changed = true;
    return pang_model_count_added(&b->view_version, id, "versions", err);
}

static pang_code add_version(pang_model_build *b, const pang_json *update,
                             const pang_model_path *at, pang_err *err)
{
    pang_model_path here = PANG_MODEL_IN(at, "view-version");
    const pang_json *version = pang_json_get(update, "view-version");
    pang_code code = pang_model_view_version_shape(version, &here, err);
    return code == PANG_OK ? pang_model_add_view_version(b, version, err) : code;
}

/* A version that was added just now has its own time, one that comes back has the time of that. */
static pang_json *log_entry(pang_model_build *b, const pang_json *version, int64_t id)
{
    pang_json *entry = pang_json_object(b->arena);
    bool fresh = pang_model_ids_get(&b->fresh_versions, id) != NULL;
    pang_model_put_int(b, entry, "timestamp-ms",
                       fresh ? pang_model_int(version, "timestamp-ms", b->now_ms) : b->now_ms);
    pang_model_put_int(b, entry, "version-id", id);
    return entry;
}

pang_code pang_model_set_view_version(pang_model_build *b, int64_t id, pang_err *err)
{
    const pang_json *versions = pang_json_get(b->doc, "versions");
    int64_t old;
    if (id == -1 && b->view_version.n == 0)
        return pang_model_invalid(err, "Cannot set last version id: no version has been added");
    if (id == -1)
        id = b->view_version.id;
    if (pang_model_has_int(b->doc, "current-version-id", &old) && old == id)
        return PANG_OK;
    (void)pang_model_spend(b, pang_json_size(versions));
    const pang_json *version = pang_model_find(versions, "version-id", id);
    if (version == NULL)
        return pang_model_illegal(err, "Cannot set current version to unknown version: %" PRId64,
                                  id);
    pang_model_put_int(b, b->doc, "current-version-id", id);
    b->log_entry = log_entry(b, version, id);
    b->changed = true;
    return PANG_OK;
}

static pang_code set_version(pang_model_build *b, const pang_json *update,
                             const pang_model_path *at, pang_err *err)
{
    (void)at;
    return pang_model_set_view_version(b, pang_model_int(update, "view-version-id", -1), err);
}

#define NEED PANG_MODEL_REQUIRED
#define MAY PANG_MODEL_OPTIONAL
#define END                                                                                        \
    {                                                                                              \
        NULL, 0, 0, 0, 0                                                                           \
    }

const pang_model_action pang_model_view_actions[] = {
    {"assign-uuid", assign_uuid, {{"uuid", PANG_MODEL_TEXT, NEED, 0, 0}, END}},
    {"upgrade-format-version",
     upgrade,
     {{"format-version", PANG_MODEL_NUMBER, NEED, 1, INT32_MAX}, END}},
    {"add-schema",
     add_schema,
     {{"schema", PANG_MODEL_OBJECT, NEED, 0, 0},
      {"last-column-id", PANG_MODEL_NUMBER, MAY, INT32_MIN, INT32_MAX},
      END}},
    {"set-location", pang_model_set_location, {{"location", PANG_MODEL_TEXT, NEED, 0, 0}, END}},
    {"set-properties",
     pang_model_set_properties,
     {{"updates", PANG_MODEL_TEXT_MAP, MAY, 0, 0},
      {"updated", PANG_MODEL_TEXT_MAP, MAY, 0, 0},
      END}},
    {"remove-properties",
     pang_model_remove_properties,
     {{"removals", PANG_MODEL_TEXTS, MAY, 0, 0}, {"removed", PANG_MODEL_TEXTS, MAY, 0, 0}, END}},
    {"add-view-version", add_version, {{"view-version", PANG_MODEL_OBJECT, NEED, 0, 0}, END}},
    {"set-current-view-version",
     set_version,
     {{"view-version-id", PANG_MODEL_NUMBER, NEED, -1, INT32_MAX}, END}},
    {NULL, NULL, {END}},
};
