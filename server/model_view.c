/*
 * Model of views: creating, committing, and what a document says. A commit ends with the history:
 * a dialect that got lost is refused, versions beyond those to be kept go, and with them what the
 * log says of them and the schemas that nothing names any more.
 */
#include "server/model_view.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/id.h"
#include "server/model_build.h"

#define HISTORY "version.history.num-entries"
#define MAY_DROP "replace.drop-dialect.allowed"

static const pang_json *current_version(const pang_json *document)
{
    return pang_model_find(pang_json_get(document, "versions"), "version-id",
                           pang_model_int(document, "current-version-id", -1));
}

/* ---- dialects ---- */

static bool speaks(const pang_json *version, pang_str wanted)
{
    size_t n = pang_json_size(pang_json_get(version, "representations"));
    for (size_t i = 0; i < n; i++) {
        pang_str dialect;
        if (pang_model_view_sql_at(version, i, &dialect).len > 0 &&
            pang_str_equal_nocase(dialect, wanted))
            return true;
    }
    return false;
}

/* "[spark, trino]" */
static pang_str spell_dialects(const pang_json *version, pang_arena *arena)
{
    pang_buf buf = {.arena = arena};
    size_t n = pang_json_size(pang_json_get(version, "representations"));
    pang_buf_add_char(&buf, '[');
    for (size_t i = 0; i < n; i++) {
        pang_str dialect;
        if (pang_model_view_sql_at(version, i, &dialect).len > 0) {
            pang_buf_add(&buf, buf.len > 1 ? PANG_STR(", ") : PANG_STR(""));
            pang_buf_add(&buf, dialect);
        }
    }
    pang_buf_add_char(&buf, ']');
    return pang_buf_str(&buf);
}

/* Whoever replaces a view for one engine does not take it away from another by mistake. */
static pang_code check_dialects(const pang_model_build *b, pang_err *err)
{
    const pang_json *before = current_version(b->base), *after = current_version(b->doc);
    size_t n = pang_json_size(pang_json_get(before, "representations"));
    pang_str allowed;
    (void)pang_model_property(b->doc, PANG_STR(MAY_DROP), &allowed);
    if (before == after || pang_str_equal_nocase(allowed, PANG_STR("true")))
        return PANG_OK;
    for (size_t i = 0; i < n; i++) {
        pang_str dialect;
        if (pang_model_view_sql_at(before, i, &dialect).len == 0 || speaks(after, dialect))
            continue;
        return pang_model_illegal(err,
                                  "Cannot replace view due to loss of view dialects "
                                  "(" MAY_DROP "=false):\nPrevious dialects: %" PANG_STR_FMT
                                  "\nNew dialects: %" PANG_STR_FMT,
                                  PANG_STR_ARG(spell_dialects(before, b->arena)),
                                  PANG_STR_ARG(spell_dialects(after, b->arena)));
    }
    return PANG_OK;
}

/* ---- history ---- */

static pang_code history_size(const pang_json *document, size_t *ret, pang_err *err)
{
    pang_str text;
    int64_t number = PANG_VIEW_HISTORY_DEFAULT;
    bool is_set = pang_model_property(document, PANG_STR(HISTORY), &text);
    if (is_set && (!pang_str_to_int64(text, &number) || number < 1))
        return pang_model_illegal(err, HISTORY " must be positive but was %" PANG_STR_FMT,
                                  PANG_STR_ARG(text));
    *ret = (size_t)number;
    return PANG_OK;
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The current version and those of the greatest ids, `n` in all. */
static void choose_kept(pang_model_build *b, size_t n, pang_model_ids *kept)
{
    const pang_json *versions = pang_json_get(b->doc, "versions");
    int64_t current = pang_model_int(b->doc, "current-version-id", -1);
    size_t have = 1, all = pang_json_size(versions);
    int64_t *ids = pang_arena_alloc_n(b->arena, all, sizeof *ids);
    *kept = (pang_model_ids){.arena = b->arena};
    b->failed = b->failed || ids == NULL || !pang_model_ids_put(kept, current, versions);
    for (size_t i = 0; ids != NULL && i < all; i++)
        ids[i] = pang_model_int(pang_json_at(versions, i), "version-id", -1);
    if (ids != NULL)
        qsort(ids, all, sizeof *ids, descending);
    for (size_t i = 0; !b->failed && have < n && i < all; i++) {
        have += ids[i] != current;
        b->failed = !pang_model_ids_put(kept, ids[i], versions);
    }
}

static pang_json *keep_versions(pang_model_build *b, const pang_model_ids *kept,
                                pang_model_ids *schemas)
{
    const pang_json *old = pang_json_get(b->doc, "versions");
    pang_json *list = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(old); i++) {
        pang_json *version = pang_json_at(old, i);
        if (pang_model_ids_get(kept, pang_model_int(version, "version-id", -1)) == NULL)
            continue;
        pang_model_add(b, list, version);
        if (!pang_model_ids_put(schemas, pang_model_int(version, "schema-id", -1), old))
            b->failed = true;
    }
    return list;
}

static pang_json *keep_schemas(pang_model_build *b, const pang_model_ids *named)
{
    const pang_json *old = pang_json_get(b->doc, "schemas");
    pang_json *list = pang_json_array(b->arena);
    for (size_t i = 0; i < pang_json_size(old); i++) {
        pang_json *schema = pang_json_at(old, i);
        if (pang_model_ids_get(named, pang_model_int(schema, "schema-id", -1)) != NULL)
            pang_model_add(b, list, schema);
    }
    return list;
}

/* What is logged before an entry of a version that is gone cannot be followed any more. */
static pang_json *keep_log(pang_model_build *b, const pang_model_ids *kept)
{
    const pang_json *old = pang_json_get(b->doc, "version-log");
    pang_json *list = pang_json_array(b->arena);
    size_t n = pang_json_size(old), first = n;
    while (first > 0 && pang_model_ids_get(kept, pang_model_int(pang_json_at(old, first - 1),
                                                                "version-id", -1)) != NULL)
        first--;
    for (size_t i = first; i < n; i++)
        pang_model_add(b, list, pang_json_at(old, i));
    return list;
}

static void expire(pang_model_build *b, size_t n)
{
    pang_model_ids kept, schemas = {.arena = b->arena};
    choose_kept(b, n, &kept);
    pang_model_put(b, b->doc, "versions", keep_versions(b, &kept, &schemas));
    pang_model_put(b, b->doc, "schemas", keep_schemas(b, &schemas));
    pang_model_put(b, b->doc, "version-log", keep_log(b, &kept));
}

static void log_version(pang_model_build *b)
{
    pang_json *log = pang_model_own(b, "version-log");
    size_t n = pang_json_size(log);
    if (b->log_entry == NULL)
        return;
    pang_model_add(b, log, b->log_entry);
    if (n < PANG_VIEW_LOG_MAX)
        return;
    pang_json *list = pang_json_array(b->arena);
    for (size_t i = n + 1 - PANG_VIEW_LOG_MAX; i <= n; i++)
        pang_model_add(b, list, pang_json_at(log, i));
    pang_model_put(b, b->doc, "version-log", list);
}

static pang_code end(pang_model_build *b, pang_err *err)
{
    size_t keep = 0, added = b->view_version.n;
    if (b->failed)
        return pang_fail_memory(err);
    if (pang_model_text(b->doc, "location").len == 0)
        return pang_model_invalid(err, "Invalid view: no location has been set");
    pang_code code = history_size(b->doc, &keep, err);
    if (code == PANG_OK && b->base != NULL)
        code = check_dialects(b, err);
    if (code != PANG_OK)
        return code;
    log_version(b);
    if (pang_model_ids_get(&b->fresh_versions, pang_model_int(b->doc, "current-version-id", -1)) ==
        NULL)
        added++;
    keep = added > keep ? added : keep;
    if (pang_json_size(pang_json_get(b->doc, "versions")) > keep)
        expire(b, keep);
    return b->failed ? pang_fail_memory(err) : PANG_OK;
}

/* ---- create ---- */

static void begin(pang_model_build *b)
{
    b->now_ms = pang_env_wall_ms(b->env);
    b->version = PANG_VIEW_FORMAT_VERSION;
    b->fresh_versions.arena = b->arena;
    b->doc = b->base == NULL ? pang_json_object(b->arena) : pang_model_copy(b->base, b->arena);
    if (b->doc == NULL)
        b->failed = true;
}

/* The members of a view that has nothing yet, in the order in which they are written. */
static void fill_new(pang_model_build *b, pang_str location)
{
    char uuid[PANG_ID_TEXT + 1];
    pang_id_text(pang_id_v4(b->env), uuid);
    while (location.len > 1 && location.ptr[location.len - 1] == '/')
        location.len--;
    pang_model_put_text(b, b->doc, "view-uuid", pang_str_from(uuid));
    pang_model_put_int(b, b->doc, "format-version", b->version);
    pang_model_put_text(b, b->doc, "location", location);
    (void)pang_model_own(b, "schemas");
    pang_model_put(b, b->doc, "current-version-id", pang_json_null(b->arena));
    (void)pang_model_own(b, "versions");
    (void)pang_model_own(b, "version-log");
    (void)pang_model_own(b, "properties");
}

static pang_code put_properties(pang_model_build *b, const pang_json *given, pang_err *err)
{
    pang_json_members it = {.object = given};
    pang_json *properties = pang_json_get(b->doc, "properties"), *value;
    pang_str name, text = {NULL, 0};
    if (pang_json_size(given) > PANG_MODEL_PROPERTIES_MAX)
        return pang_model_illegal(err, "Cannot set more than %d properties",
                                  PANG_MODEL_PROPERTIES_MAX);
    while (pang_json_next(&it, &name, &value)) {
        (void)pang_json_to_str(value, &text);
        pang_code code = pang_model_property_check(name, text, err);
        if (code != PANG_OK)
            return code;
        if (!pang_json_set_str(properties, name, value))
            b->failed = true;
    }
    return PANG_OK;
}

static pang_code request_shape(const pang_model_new_view *request, pang_err *err)
{
    static const pang_model_member properties = {"properties", PANG_MODEL_TEXT_MAP,
                                                 PANG_MODEL_OPTIONAL, 0, 0};
    pang_model_path at = PANG_MODEL_IN(NULL, "properties");
    pang_model_path version = PANG_MODEL_IN(NULL, "view-version");
    if (pang_json_is_null(request->schema))
        return pang_model_bad(err, NULL, "schema", "is missing");
    if (pang_json_is_null(request->version))
        return pang_model_bad(err, NULL, "view-version", "is missing");
    pang_code code = pang_model_view_version_shape(request->version, &version, err);
    if (code == PANG_OK && !pang_json_is_null(request->properties))
        code = pang_model_shape_one(request->properties, &at, &properties, err);
    return code;
}

/* The client's version under the id that a first one has, of the schema that comes with it. */
static pang_json *first_version(pang_model_build *b, const pang_json *given)
{
    pang_json *version = pang_model_copy(given, b->arena);
    pang_model_put_int(b, version, "version-id", 1);
    pang_model_put_int(b, version, "schema-id", -1);
    return version;
}

pang_code pang_model_view_create(const pang_model_new_view *request, const pang_env *env,
                                 pang_arena *arena, pang_json **ret, pang_err *err)
{
    pang_model_build b = {.arena = arena, .env = env};
    pang_model_path schema = PANG_MODEL_IN(NULL, "schema");
    pang_model_view_short says;
    pang_code code = request_shape(request, err);
    if (code != PANG_OK)
        return code;
    begin(&b);
    fill_new(&b, request->location);
    if ((code = put_properties(&b, request->properties, err)) != PANG_OK ||
        (code = pang_model_add_view_schema(&b, request->schema, &schema, err)) != PANG_OK ||
        (code = pang_model_add_view_version(&b, first_version(&b, request->version), err)) !=
            PANG_OK ||
        (code = pang_model_set_view_version(&b, 1, err)) != PANG_OK ||
        (code = end(&b, err)) != PANG_OK)
        return b.failed ? pang_fail_memory(err) : code;
    pang_model_view_shorten(b.doc, &says);
    if (says.sql.len == 0)
        return pang_model_illegal(err, "Cannot create view without specifying a query");
    *ret = b.doc;
    return PANG_OK;
}

/* ---- commit ---- */

pang_code pang_model_view_commit(const pang_model_change *change, const pang_env *env,
                                 pang_arena *arena, pang_model_outcome *ret, pang_err *err)
{
    pang_model_build b = {.arena = arena, .env = env, .base = change->base};
    pang_code code = pang_model_actions_shape(pang_model_view_actions, change->updates, err);
    if (code == PANG_OK)
        code = pang_model_view_require(change->base, change->requirements, err);
    if (code != PANG_OK)
        return code;
    begin(&b);
    code = b.failed ? pang_fail_memory(err)
                    : pang_model_actions_apply(pang_model_view_actions, &b, change->updates, err);
    if (code != PANG_OK)
        return code;
    if (!b.changed) {
        *ret = (pang_model_outcome){(pang_json *)(uintptr_t)change->base, false};
        return PANG_OK;
    }
    code = end(&b, err);
    if (code == PANG_OK)
        *ret = (pang_model_outcome){b.doc, true};
    return code;
}

/* ---- what a document says ---- */

void pang_model_view_facts_of(const pang_json *document, pang_model_facts *ret)
{
    *ret = (pang_model_facts){
        .table_uuid = pang_model_text(document, "view-uuid"),
        .location = pang_model_text(document, "location"),
        .format_version = (int)pang_model_int(document, "format-version", 0),
        .schema_id = pang_model_int(current_version(document), "schema-id", 0),
        .last_updated_ms = pang_model_int(current_version(document), "timestamp-ms", 0),
    };
    if (pang_model_has(document, "properties"))
        ret->properties = pang_json_get(document, "properties");
}

void pang_model_view_shorten(const pang_json *document, pang_model_view_short *ret)
{
    const pang_json *version = current_version(document);
    size_t n = pang_json_size(pang_json_get(version, "representations"));
    *ret = (pang_model_view_short){{NULL, 0}, {NULL, 0}, NULL, NULL};
    for (size_t i = 0; ret->sql.len == 0 && i < n; i++)
        ret->sql = pang_model_view_sql_at(version, i, &ret->dialect);
    const pang_json *schema = pang_model_find(pang_json_get(document, "schemas"), "schema-id",
                                              pang_model_int(version, "schema-id", -1));
    if (pang_json_size(pang_json_get(schema, "fields")) > 0)
        ret->schema = schema;
    if (pang_model_has(document, "properties"))
        ret->properties = pang_json_get(document, "properties");
}
