/*
 * Catalogs over the API. A catalog is its id: what is made, renamed and deleted is the name that
 * leads to it, which every other call checks in its own commit. So a catalog serves, or is gone,
 * from one commit on.
 */
#include <string.h>

#include "api/location.h"
#include "server/bootstrap.h"
#include "server/catalogs.h"
#include "server/ended.h"
#include "server/erase.h"
#include "server/identity.h"
#include "server/locations.h"
#include "server/svc_lake.h"
#include "server/svc_names.h"
#include "server/svc_tree.h"
#include "server/warehouses.h"

#include "pangolin/v1/catalog.pb-c.h"
#include "pangolin/v1/tenant.pb-c.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define LIFE_MAX_MS (3650 * DAY_MS) /* of what was replaced or purged */
#define DEFAULT_NAMESPACE PANG_STR("default")

enum { REFS_MAX = 2000 }; /* of a catalog that is deleted in one commit */

typedef Pangolin__V1__Catalog shown_catalog;
typedef Pangolin__V1__Catalog__PropertiesEntry shown_property;

/* ---- replies ---- */

static pang_code show_properties(const pang_rec_catalog *body, pang_arena *arena,
                                 shown_catalog *out, pang_err *err)
{
    shown_property *entries = pang_arena_alloc_n(arena, body->n_properties, sizeof *entries);
    out->properties = pang_arena_alloc_n(arena, body->n_properties, sizeof *out->properties);
    if (entries == NULL || out->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_properties; i++) {
        entries[i] = (shown_property)PANGOLIN__V1__CATALOG__PROPERTIES_ENTRY__INIT;
        entries[i].key = body->properties[i]->name;
        entries[i].value = body->properties[i]->value;
        out->properties[i] = &entries[i];
    }
    out->n_properties = body->n_properties;
    return PANG_OK;
}

/* The name that a warehouse has now. */
static pang_code warehouse_name(pang_call *call, const pang_record *row, char **ret, pang_err *err)
{
    pang_rec_warehouse *body;
    if (row->version == 0)
        return PANG_OK;
    pang_code code = pang_record_unpack(&pangolin__store__v1__warehouse__descriptor, row,
                                        call->arena, &body, err);
    if (code == PANG_OK)
        *ret = body->name;
    return code;
}

static pang_code show_one(pang_call *call, const pang_rec_catalog *body,
                          const pang_record *warehouse, shown_catalog **ret, pang_err *err)
{
    shown_catalog *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_catalog)PANGOLIN__V1__CATALOG__INIT;
    out->id = pang_manage_id_text(pang_id_of(body->id), call->arena);
    out->name = body->name;
    out->catalog_type = (char *)(uintptr_t)(body->federated ? "Federated" : "Local");
    out->storage_location = body->storage_location;
    out->retention_ms = body->retention_ms;
    out->undrop_ms = body->undrop_ms;
    pang_code code = warehouse_name(call, warehouse, &out->warehouse_name, err);
    if (code == PANG_OK)
        code = show_properties(body, call->arena, out, err);
    *ret = out;
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

static pang_code show_all(pang_call *call, pang_rec_catalog *const *list, size_t n,
                          shown_catalog **ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows = NULL;
    pang_str *wanted = pang_arena_alloc_n(call->arena, n, sizeof *wanted);
    if (wanted == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) /* nil where there is none: no record has that key */
        wanted[i] = pang_key_warehouse(&keys, pang_id_of(list[i]->warehouse_id));
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, n, &rows, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = show_one(call, list[i], &rows[i], &ret[i], err);
    return code;
}

/* ---- list, get ---- */

static pang_code list_catalogs(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListCatalogsRequest *in = request;
    Pangolin__V1__ListCatalogsResponse *out = reply;
    pang_rec_catalog **list = NULL;
    size_t n = 0;
    char *token = NULL;
    pang_catalogs_query query = {
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
    };
    pang_code code = pang_catalogs_list(call, &query, &list, &n, &token, err);
    if (code != PANG_OK)
        return code;
    out->catalogs = pang_arena_alloc_n(call->arena, n, sizeof *out->catalogs);
    if (out->catalogs == NULL)
        return pang_fail_memory(err);
    out->n_catalogs = n;
    if (token != NULL)
        out->next_page_token = token;
    return show_all(call, list, n, out->catalogs, err);
}

static pang_code get_catalog(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetCatalogRequest *in = request;
    Pangolin__V1__GetCatalogResponse *out = reply;
    pang_rec_catalog *body;
    pang_code code = pang_catalog_find(call, in->name, &body, err);
    return code == PANG_OK ? show_all(call, &body, 1, &out->catalog, err) : code;
}

/* ---- what is given ---- */

/* A name stands in paths, and "@" in it would name a ref. */
static pang_code check_name(const char *name, pang_err *err)
{
    pang_code code = pang_manage_name("name", name, err);
    return code == PANG_OK ? pang_name_check("catalog", pang_str_from(name), err) : code;
}

typedef struct {
    const char *name, *value;
} property;

static pang_code set_properties(const property *given, size_t n, pang_arena *arena,
                                pang_rec_catalog *body, pang_err *err)
{
    pang_rec_property *made = pang_arena_alloc_n(arena, n, sizeof *made);
    pang_code code = PANG_OK;
    body->properties = pang_arena_alloc_n(arena, n, sizeof *body->properties);
    if (made == NULL || body->properties == NULL)
        return pang_fail_memory(err);
    if (n > PANG_MANAGE_ENTRIES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "properties has %zu entries, at most %d", n, PANG_MANAGE_ENTRIES_MAX);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        code = pang_manage_name("a name in properties", given[i].name, err);
        if (code == PANG_OK)
            code = pang_manage_text("a value in properties", given[i].value, err);
        made[i] = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
        made[i].name = (char *)(uintptr_t)given[i].name;
        made[i].value = (char *)(uintptr_t)given[i].value;
        body->properties[i] = &made[i];
    }
    body->n_properties = n;
    return code;
}

#define TAKE_PROPERTIES(from, n, arena, to)                                                        \
    do {                                                                                           \
        (to) = pang_arena_alloc_n(arena, n, sizeof *(to));                                         \
        for (size_t i = 0; (to) != NULL && i < (n); i++)                                           \
            (to)[i] = (property){(from)[i]->key, (from)[i]->value};                                \
    } while (0)

/* ---- where tables lie ---- */

/* Below the warehouse, and nowhere else. */
static pang_code check_below(const char *location, const pang_rec_warehouse *warehouse,
                             pang_arena *arena, pang_err *err)
{
    pang_location inner, outer;
    pang_code code = pang_location_parse(pang_str_from(location), "storage_location", arena, &inner,
                                         err);
    if (code == PANG_OK)
        code = pang_location_parse(pang_str_from(warehouse->location), "warehouse", arena, &outer,
                                   err);
    if (code == PANG_OK && !pang_location_covers(&outer, &inner))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "storage_location: \"%.200s\" is not below the warehouse's \"%.200s\"",
                         location, warehouse->location);
    return code;
}

static pang_code own_folder(const pang_rec_warehouse *warehouse, const char *name,
                            pang_arena *arena, char **ret, pang_err *err)
{
    pang_location outer, inner;
    pang_code code = pang_location_parse(pang_str_from(warehouse->location), "warehouse", arena,
                                         &outer, err);
    if (code == PANG_OK)
        code = pang_location_child(&outer, pang_str_from(name), arena, &inner, err);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_cstr(arena, inner.text);
    return *ret == NULL ? pang_fail_memory(err) : PANG_OK;
}

static bool allows(const pang_rec_catalog *body, const char *location)
{
    for (size_t i = 0; i < body->n_allowed_locations; i++)
        if (strcmp(body->allowed_locations[i], location) == 0)
            return true;
    return false;
}

/* What lies in an earlier warehouse stays allowed: dropped tables may come back. */
static pang_code allow(pang_rec_catalog *body, char *location, pang_arena *arena, pang_err *err)
{
    size_t n = body->n_allowed_locations;
    char **list = pang_arena_alloc_n(arena, n + 1, sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    if (allows(body, location))
        return PANG_OK;
    for (size_t i = 0; i < n; i++)
        list[i] = body->allowed_locations[i];
    list[n] = location;
    body->allowed_locations = list;
    body->n_allowed_locations = n + 1;
    return PANG_OK;
}

/* Places the catalog in a warehouse (NULL: none), at a location or in a folder of its name. */
static pang_code place(pang_call *call, const pang_rec_warehouse *warehouse, const char *location,
                       pang_rec_catalog *body, pang_err *err)
{
    if (warehouse == NULL && location[0] != '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "storage_location: there must be a warehouse that it is in");
    body->storage_location = body->warehouse = (char *)(uintptr_t)location;
    if (warehouse == NULL)
        return PANG_OK;
    pang_code code = location[0] != '\0'
                         ? check_below(location, warehouse, call->arena, err)
                         : own_folder(warehouse, body->name, call->arena, &body->warehouse, err);
    return code == PANG_OK ? allow(body, warehouse->location, call->arena, err) : code;
}

/* *ret: NULL for the empty name. */
static pang_code find_warehouse(pang_call *call, const char *name, pang_rec_warehouse **ret,
                                pang_err *err)
{
    *ret = NULL;
    if (name[0] == '\0')
        return PANG_OK;
    pang_code code = pang_warehouse_find(call, name, ret, err);
    if (code == PANG_NOT_FOUND)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "warehouse_name: there is no warehouse \"%.200s\"", name);
    return code;
}

static void use_warehouse(pang_call *call, ProtobufCBinaryData id, int64_t amount)
{
    pang_keys keys = pang_identity_keys(call);
    if (id.len > 0)
        pang_txn_add(call->txn, pang_key_warehouse_use(&keys, pang_id_of(id)), amount);
}

/* ---- create ---- */

static pang_code check_type(const Pangolin__V1__CreateCatalogRequest *in, pang_err *err)
{
    pang_str type = pang_str_from(in->catalog_type);
    if (pang_str_equal_nocase(type, PANG_STR("Federated"))) {
        if (in->federated_config.len == 0)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "federated_config is missing");
        return pang_fail(err, PANG_UNIMPLEMENTED, NULL, "federated catalogs are not served yet");
    }
    if (type.len > 0 && !pang_str_equal_nocase(type, PANG_STR("Local")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "catalog_type \"%.64s\" is neither Local nor Federated", in->catalog_type);
    return PANG_OK;
}

static pang_code tenant_retention(pang_call *call, int64_t *ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    Pangolin__Store__V1__Settings *settings;
    pang_record record;
    *ret = PANG_RETENTION_MS;
    pang_code code = pang_txn_get_one(call->txn, pang_key_setting(&keys, PANG_STR("settings")),
                                      &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__settings__descriptor, &record, call->arena,
                              &settings, err);
    if (code == PANG_OK && settings->default_retention_days > 0)
        *ret = settings->default_retention_days * DAY_MS;
    return code;
}

static pang_code make_default_namespace(pang_call *call, const pang_rec_catalog *body,
                                        pang_err *err)
{
    pang_view view;
    pang_edit *edit;
    pang_str name = DEFAULT_NAMESPACE;
    pang_content at = {0};
    pang_rec_content content = PANGOLIN__STORE__V1__CONTENT__INIT;
    pang_id asset = pang_id_v7(call->server->env);
    content.asset = pang_bytes_of_id(&asset);
    content.kind = PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE;
    pang_code code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(body->id),
                                  pang_str_from(body->name), &view, err);
    if (code != PANG_OK)
        return code;
    at.name = pang_name_of_namespace(&view.keys, (pang_levels){&name, 1});
    code = pang_content_get(&view, &at, 1, err);
    if (code == PANG_OK)
        code = pang_edit_begin(&view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_create(edit, &at, &content, err);
    return code == PANG_OK ? pang_edit_end(edit, PANG_STR("create catalog"), err) : code;
}

static pang_code read_life(const char *field, bool given, int64_t ms, int64_t *ret, pang_err *err)
{
    if (!given)
        return PANG_OK;
    if (ms < 0 || ms > LIFE_MAX_MS)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "%s must be 0 to %lld, not %lld", field, (long long)LIFE_MAX_MS,
                         (long long)ms);
    *ret = ms;
    return PANG_OK;
}

/* All that must hold before anything is written. */
static pang_code prepare(pang_call *call, const Pangolin__V1__CreateCatalogRequest *in,
                         pang_rec_catalog *body, pang_err *err)
{
    property *given;
    pang_rec_warehouse *warehouse;
    TAKE_PROPERTIES(in->properties, in->n_properties, call->arena, given);
    if (given == NULL)
        return pang_fail_memory(err);
    body->name = in->name;
    body->undrop_ms = PANG_UNDROP_MS;
    body->created_ms = pang_env_wall_ms(call->server->env);
    body->created_by = pang_bytes_of_id(&call->who->id);
    pang_code code = pang_identity_open(call, err);
    if (code == PANG_OK)
        code = check_name(in->name, err);
    if (code == PANG_OK)
        code = check_type(in, err);
    if (code == PANG_OK)
        code = set_properties(given, in->n_properties, call->arena, body, err);
    if (code == PANG_OK)
        code = tenant_retention(call, &body->retention_ms, err);
    if (code == PANG_OK)
        code = read_life("retention_ms", in->_retention_ms_case != 0, in->retention_ms,
                         &body->retention_ms, err);
    if (code == PANG_OK)
        code = read_life("undrop_ms", in->_undrop_ms_case != 0, in->undrop_ms, &body->undrop_ms,
                         err);
    if (code == PANG_OK)
        code = find_warehouse(call, in->warehouse_name, &warehouse, err);
    if (code == PANG_OK)
        code = place(call, warehouse, in->storage_location, body, err);
    if (code == PANG_OK && warehouse != NULL)
        body->warehouse_id = warehouse->id;
    return code;
}

static pang_code create_catalog(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateCatalogRequest *in = request;
    Pangolin__V1__CreateCatalogResponse *out = reply;
    pang_rec_catalog body = PANGOLIN__STORE__V1__CATALOG__INIT, *one = &body;
    pang_code code = prepare(call, in, &body, err);
    if (code == PANG_OK)
        code = pang_catalog_create(call->txn, call->arena, call->tenant_key, call->server->env,
                                   &body, err);
    if (code == PANG_OK)
        code = make_default_namespace(call, &body, err);
    if (code != PANG_OK)
        return code;
    use_warehouse(call, body.warehouse_id, 1);
    call->note.resource = pang_id_of(body.id);
    return show_all(call, &one, 1, &out->catalog, err);
}

/* ---- update ---- */

static pang_code rename_to(pang_call *call, const char *name, pang_rec_catalog *body, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_rec_catalog_name named = PANGOLIN__STORE__V1__CATALOG_NAME__INIT;
    pang_record record;
    pang_str key = pang_key_catalog_name(&keys, pang_str_from(name));
    if (strcmp(name, body->name) == 0)
        return PANG_OK;
    pang_code code = check_name(name, err);
    if (code == PANG_OK)
        code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_fail(err, PANG_ALREADY_EXISTS, PANG_EXISTS, "Catalog already exists: %s", name);
    if (code != PANG_OK)
        return code;
    named.catalog = body->id;
    pang_txn_delete(call->txn, pang_key_catalog_name(&keys, pang_str_from(body->name)));
    pang_txn_put(call->txn, PANG_KIND_CATALOG_NAME, key,
                 pang_record_pack(&named.base, call->arena));
    body->name = (char *)(uintptr_t)name;
    return pang_keys_status(&keys, err);
}

/* What the catalog holds on its branch main; it stays so until the commit. */
static pang_code hold_counts(pang_call *call, pang_id branch, const char *letters,
                             int64_t *ret_counts, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && letters[i] != '\0'; i++)
        code = pang_counter_hold(call, pang_key_content_count(&keys, branch, letters[i]),
                                 &ret_counts[i], err);
    return code == PANG_OK ? pang_keys_status(&keys, err) : code;
}

/* Tables stay where they are, and credentials for them are the warehouse's. */
static pang_code change_warehouse(pang_call *call, const pang_rec_warehouse *next,
                                  pang_rec_catalog *body, pang_err *err)
{
    pang_view view;
    int64_t tables = 0;
    if (pang_id_equal(pang_id_of(next->id), pang_id_of(body->warehouse_id)))
        return PANG_OK;
    pang_code code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(body->id),
                                  pang_str_from(body->name), &view, err);
    if (code == PANG_OK)
        code = hold_counts(call, view.levels[0].branch, "t", &tables, err);
    if (code == PANG_OK && tables != 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "catalog \"%.200s\" holds %lld tables in its warehouse", body->name,
                         (long long)tables);
    if (code != PANG_OK)
        return code;
    use_warehouse(call, body->warehouse_id, -1);
    use_warehouse(call, next->id, 1);
    body->warehouse_id = next->id;
    return PANG_OK;
}

static pang_code move(pang_call *call, const Pangolin__V1__UpdateCatalogRequest *in,
                      pang_rec_catalog *body, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_rec_warehouse *warehouse = NULL;
    pang_record record;
    bool names = in->_warehouse_name_case != 0;
    pang_code code = PANG_OK;
    if (names && in->warehouse_name[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "warehouse_name is empty");
    if (names) {
        code = find_warehouse(call, in->warehouse_name, &warehouse, err);
    } else if (body->warehouse_id.len > 0) {
        code = pang_txn_get_one(
            call->txn, pang_key_warehouse(&keys, pang_id_of(body->warehouse_id)), &record, err);
        if (code == PANG_OK && record.version != 0)
            code = pang_record_unpack(&pangolin__store__v1__warehouse__descriptor, &record,
                                      call->arena, &warehouse, err);
    }
    if (code == PANG_OK && names)
        code = change_warehouse(call, warehouse, body, err);
    return code == PANG_OK
               ? place(call, warehouse, in->_storage_location_case != 0 ? in->storage_location : "",
                       body, err)
               : code;
}

static pang_code change(pang_call *call, const Pangolin__V1__UpdateCatalogRequest *in,
                        pang_rec_catalog *body, pang_err *err)
{
    property *given;
    pang_code code = PANG_OK;
    if (in->federated_config.len > 0 &&
        !pang_str_equal(pang_str_of(in->federated_config), PANG_STR("null")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "federated_config: catalog \"%.200s\" is local", body->name);
    if (in->_name_case != 0)
        code = rename_to(call, in->name, body, err);
    if (code == PANG_OK && (in->_warehouse_name_case != 0 || in->_storage_location_case != 0))
        code = move(call, in, body, err);
    if (code == PANG_OK)
        code = read_life("retention_ms", in->_retention_ms_case != 0, in->retention_ms,
                         &body->retention_ms, err);
    if (code == PANG_OK)
        code = read_life("undrop_ms", in->_undrop_ms_case != 0, in->undrop_ms, &body->undrop_ms,
                         err);
    if (code != PANG_OK || in->properties == NULL)
        return code;
    TAKE_PROPERTIES(in->properties->entries, in->properties->n_entries, call->arena, given);
    if (given == NULL)
        return pang_fail_memory(err);
    return set_properties(given, in->properties->n_entries, call->arena, body, err);
}

static pang_code update_catalog(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateCatalogRequest *in = request;
    Pangolin__V1__UpdateCatalogResponse *out = reply;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_catalog *body;
    pang_code code = pang_catalog_find(call, in->catalog, &body, err);
    if (code == PANG_OK)
        code = change(call, in, body, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = pang_id_of(body->id);
    pang_txn_put(call->txn, PANG_KIND_CATALOG, pang_key_catalog(&keys, pang_id_of(body->id)),
                 pang_record_pack(&body->base, call->arena));
    return show_all(call, &body, 1, &out->catalog, err);
}

/* ---- delete ---- */

/* How long dropped tables' places are kept. */
static int64_t keep_of(const pang_rec_catalog *body)
{
    return body->retention_ms > body->undrop_ms ? body->retention_ms : body->undrop_ms;
}

/* Ends what one branch holds: main's counts are taken off the tenant's, its tables' places later.
 */
static pang_code end_branch(pang_call *call, const pang_rec_catalog *body, const pang_rec_ref *ref,
                            bool cascade, pang_err *err)
{
    int64_t counts[4];
    pang_id branch = pang_id_of(ref->branch);
    pang_code code = hold_counts(call, branch, "tvgn", counts, err);
    int64_t assets = counts[0] + counts[1] + counts[2];
    /* Less than none: what a branch was made with was dropped there. */
    if (code == PANG_OK && !cascade && assets > 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "catalog \"%.200s\" holds %lld tables, views and other assets: delete "
                         "them first, or ask for cascade",
                         body->name, (long long)assets);
    if (code != PANG_OK)
        return code;
    if (ref->n_bases + ref->n_forks == 0) { /* main: what is on others is not counted again */
        pang_identity_count(call, PANG_COUNT_TABLES, -counts[0]);
        pang_identity_count(call, PANG_COUNT_NAMESPACES, -counts[3]);
    }
    return counts[0] != 0 || ref->n_bases > 0
               ? pang_ended_put(call, pang_id_of(body->id), branch, keep_of(body), err)
               : PANG_OK;
}

static pang_code end_refs(pang_call *call, const pang_rec_catalog *body, bool cascade,
                          pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows = NULL;
    size_t n = 0;
    int64_t branches = 0;
    pang_id id = pang_id_of(body->id);
    pang_code code = pang_counter_hold(call, pang_key_epoch(&keys, id, (pang_str){0}), NULL, err);
    if (code == PANG_OK)
        code = pang_manage_all(call, pang_key_refs(&keys, id), REFS_MAX, &rows, &n, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_ref *ref;
        code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &rows[i], call->arena,
                                  &ref, err);
        pang_txn_delete(call->txn, rows[i].key);
        if (code != PANG_OK || ref->kind != PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH)
            continue;
        branches++;
        code = end_branch(call, body, ref, cascade, err);
        if (code == PANG_OK && ref->n_bases + ref->n_forks == 0)
            code = pang_erase_put(call, id, pang_id_of(ref->branch), keep_of(body), err);
    }
    pang_identity_count(call, PANG_COUNT_BRANCHES, -branches);
    return code;
}

static pang_code delete_catalog(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteCatalogRequest *in = request;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_catalog *body;
    (void)reply;
    pang_code code = pang_catalog_find(call, in->name, &body, err);
    if (code == PANG_OK)
        code = end_refs(call, body, in->_cascade_case != 0 && in->cascade, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = pang_id_of(body->id);
    pang_txn_delete(call->txn, pang_key_catalog_name(&keys, pang_str_from(body->name)));
    pang_txn_delete(call->txn, pang_key_catalog(&keys, pang_id_of(body->id)));
    pang_identity_count(call, PANG_COUNT_CATALOGS, -1);
    use_warehouse(call, body->warehouse_id, -1);
    return pang_keys_status(&keys, err);
}

/* ---- summary ---- */

static pang_code get_summary(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetCatalogSummaryRequest *in = request;
    Pangolin__V1__GetCatalogSummaryResponse *out = reply;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_catalog *body;
    pang_view view;
    pang_record counts[3];
    pang_code code = pang_catalog_find(call, in->name, &body, err);
    if (code == PANG_OK)
        code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(body->id),
                            pang_str_from(body->name), &view, err);
    if (code != PANG_OK)
        return code;
    pang_ref refs[3] = {
        {.key = pang_key_content_count(&keys, view.levels[0].branch, 't')},
        {.key = pang_key_content_count(&keys, view.levels[0].branch, 'n')},
        {.key = pang_key_content_count(&keys, pang_id_of(body->id), 'b')},
    };
    code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(call->txn, refs, 3, PANG_READ_UNCHECKED, counts, err);
    if (code != PANG_OK)
        return code;
    out->name = body->name;
    out->table_count = counts[0].value;
    out->namespace_count = counts[1].value;
    out->branch_count = counts[2].value;
    out->storage_location = body->warehouse;
    return PANG_OK;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.CatalogService/ListCatalogs",
        .in = &pangolin__v1__list_catalogs_request__descriptor,
        .out = &pangolin__v1__list_catalogs_response__descriptor,
        .handle = list_catalogs,
    },
    {
        .path = "/pangolin.v1.CatalogService/CreateCatalog",
        .in = &pangolin__v1__create_catalog_request__descriptor,
        .out = &pangolin__v1__create_catalog_response__descriptor,
        .handle = create_catalog,
    },
    {
        .path = "/pangolin.v1.CatalogService/GetCatalog",
        .in = &pangolin__v1__get_catalog_request__descriptor,
        .out = &pangolin__v1__get_catalog_response__descriptor,
        .handle = get_catalog,
    },
    {
        .path = "/pangolin.v1.CatalogService/UpdateCatalog",
        .in = &pangolin__v1__update_catalog_request__descriptor,
        .out = &pangolin__v1__update_catalog_response__descriptor,
        .handle = update_catalog,
    },
    {
        .path = "/pangolin.v1.CatalogService/DeleteCatalog",
        .in = &pangolin__v1__delete_catalog_request__descriptor,
        .out = &pangolin__v1__delete_catalog_response__descriptor,
        .handle = delete_catalog,
    },
    {
        .path = "/pangolin.v1.CatalogService/GetCatalogSummary",
        .in = &pangolin__v1__get_catalog_summary_request__descriptor,
        .out = &pangolin__v1__get_catalog_summary_response__descriptor,
        .handle = get_summary,
    },
    {
        .path = "/pangolin.v1.CatalogService/GetNamespaceTree",
        .in = &pangolin__v1__get_namespace_tree_request__descriptor,
        .out = &pangolin__v1__get_namespace_tree_response__descriptor,
        .handle = pang_namespace_tree,
    },
    {
        .path = "/pangolin.v1.CatalogService/GetExplorerTree",
        .in = &pangolin__v1__get_explorer_tree_request__descriptor,
        .out = &pangolin__v1__get_explorer_tree_response__descriptor,
        .handle = pang_explorer_tree,
    },
};

const pang_service pang_service_catalog = {
    .name = "pangolin.v1.CatalogService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
