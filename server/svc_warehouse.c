/*
 * Warehouses over the API. Secrets go in sealed and come out as masks. A warehouse that catalogs
 * use keeps its place: its counter of users is checked by the commit that would move or delete it.
 */
#include <string.h>

#include "server/identity.h"
#include "server/svc_lake.h"
#include "server/warehouses.h"

#include "pangolin/v1/warehouse.pb-c.h"

typedef Pangolin__V1__Warehouse shown_warehouse;

/* ---- replies ---- */

static pang_code show_config(const pang_rec_warehouse *body, pang_arena *arena,
                             shown_warehouse *out, pang_err *err)
{
    typedef Pangolin__V1__Warehouse__StorageConfigEntry entry;
    entry *entries = pang_arena_alloc_n(arena, body->n_config, sizeof *entries);
    out->storage_config = pang_arena_alloc_n(arena, body->n_config, sizeof *out->storage_config);
    if (entries == NULL || out->storage_config == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_config; i++) {
        entries[i] = (entry)PANGOLIN__V1__WAREHOUSE__STORAGE_CONFIG_ENTRY__INIT;
        entries[i].key = body->config[i]->name;
        entries[i].value = (char *)(uintptr_t)pang_field_shown(body->config[i]);
        out->storage_config[i] = &entries[i];
    }
    out->n_storage_config = body->n_config;
    return PANG_OK;
}

static pang_code show(pang_call *call, const pang_rec_warehouse *body, shown_warehouse **ret,
                      pang_err *err)
{
    pang_str strategy;
    pang_id tenant = {{0}};
    shown_warehouse *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_warehouse)PANGOLIN__V1__WAREHOUSE__INIT;
    (void)pang_id_parse(call->tenant_key, &tenant);
    out->id = pang_manage_id_text(pang_id_of(body->id), call->arena);
    out->tenant_id = pang_manage_id_text(tenant, call->arena);
    out->name = body->name;
    out->use_sts = body->use_sts;
    out->storage_type = body->type;
    pang_code code = show_config(body, call->arena, out, err);
    if (code == PANG_OK)
        code = pang_strategy_show(body, call->arena, &strategy, err);
    if (code == PANG_OK)
        code = pang_manage_built(call->arena, err);
    if (code != PANG_OK)
        return code;
    out->vending_strategy = pang_bytes_of(strategy);
    *ret = out;
    return PANG_OK;
}

/* ---- list, get ---- */

static pang_code unpack_name(pang_call *call, const pang_record *row, pang_keys *keys,
                             pang_str *ret_key, pang_err *err)
{
    pang_rec_warehouse_name *named;
    pang_code code = pang_record_unpack(&pangolin__store__v1__warehouse_name__descriptor, row,
                                        call->arena, &named, err);
    if (code == PANG_OK)
        *ret_key = pang_key_warehouse(keys, pang_id_of(named->warehouse));
    return code;
}

static pang_code list_rows(pang_call *call, const pang_manage_page *page, pang_keys *keys,
                           Pangolin__V1__ListWarehousesResponse *out, pang_err *err)
{
    pang_record *rows;
    pang_rec_warehouse *body;
    pang_str *wanted = pang_arena_alloc_n(call->arena, page->n, sizeof *wanted);
    out->warehouses = pang_arena_alloc_n(call->arena, page->n, sizeof *out->warehouses);
    pang_code code = wanted == NULL || out->warehouses == NULL ? pang_fail_memory(err) : PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < page->n; i++)
        code = unpack_name(call, &page->rows[i], keys, &wanted[i], err);
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, page->n, &rows, err);
    for (size_t i = 0; code == PANG_OK && i < page->n; i++) {
        if (rows[i].version == 0)
            continue;
        code = pang_record_unpack(&pangolin__store__v1__warehouse__descriptor, &rows[i],
                                  call->arena, &body, err);
        if (code == PANG_OK)
            code = show(call, body, &out->warehouses[out->n_warehouses], err);
        out->n_warehouses += code == PANG_OK;
    }
    return code;
}

static pang_code list_warehouses(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListWarehousesRequest *in = request;
    Pangolin__V1__ListWarehousesResponse *out = reply;
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_manage_page page = {0};
    pang_manage_query query = {
        .prefix = pang_key_warehouse_names(&keys),
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
    };
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_manage_list(call, &query, &page, err);
    if (code == PANG_OK)
        code = list_rows(call, &page, &keys, out, err);
    if (code == PANG_OK && page.next_token != NULL)
        out->next_page_token = page.next_token;
    return code;
}

static pang_code get_warehouse(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetWarehouseRequest *in = request;
    Pangolin__V1__GetWarehouseResponse *out = reply;
    pang_rec_warehouse *body;
    pang_code code = pang_warehouse_find(call, in->name, &body, err);
    return code == PANG_OK ? show(call, body, &out->warehouse, err) : code;
}

/* ---- what changing ones share ---- */

/* A name's record: absent, or ALREADY_EXISTS. */
static pang_code check_free(pang_call *call, pang_str key, const char *name, pang_err *err)
{
    pang_record record;
    pang_code code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version != 0)
        return pang_fail(err, PANG_ALREADY_EXISTS, PANG_CONFLICT_REASON,
                         "warehouse \"%s\" exists already", name);
    return code;
}

static pang_code put_name(pang_call *call, const char *name, const pang_rec_warehouse *body,
                          pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_rec_warehouse_name named = PANGOLIN__STORE__V1__WAREHOUSE_NAME__INIT;
    pang_str key = pang_key_warehouse_name(&keys, pang_str_from(name));
    pang_code code = pang_manage_name("name", name, err);
    if (code == PANG_OK)
        code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = check_free(call, key, name, err);
    if (code != PANG_OK)
        return code;
    named.warehouse = body->id;
    pang_txn_put(call->txn, PANG_KIND_WAREHOUSE_NAME, key,
                 pang_record_pack(&named.base, call->arena));
    return pang_manage_built(call->arena, err);
}

static pang_code put(pang_call *call, pang_rec_warehouse *body, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_id id = pang_id_of(body->id);
    body->updated_ms = pang_env_wall_ms(call->server->env);
    call->note.resource = id;
    pang_txn_put(call->txn, PANG_KIND_WAREHOUSE, pang_key_warehouse(&keys, id),
                 pang_record_pack(&body->base, call->arena));
    return pang_keys_status(&keys, err);
}

static pang_code change_config(pang_call *call, const pang_field_given *given, size_t n,
                               pang_rec_warehouse *body, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_fields_place place = {PANG_KIND_WAREHOUSE,
                               pang_key_warehouse(&keys, pang_id_of(body->id))};
    pang_fields old = {body->config, body->n_config}, made;
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_fields_change(call, &place, "storage_config", &old, &old, given, n, &made, err);
    if (code != PANG_OK)
        return code;
    body->config = made.list;
    body->n_config = made.n;
    return PANG_OK;
}

/* The tenant's own bucket for warehouses that name none. */
static pang_code default_bucket(pang_call *call, const char **ret, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    Pangolin__Store__V1__Settings *settings;
    pang_record record;
    pang_str key = pang_key_setting(&keys, PANG_STR("settings"));
    pang_code code = pang_keys_status(&keys, err);
    *ret = "";
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__settings__descriptor, &record, call->arena,
                              &settings, err);
    if (code == PANG_OK)
        *ret = settings->default_warehouse_bucket;
    return code;
}

static pang_code settle(pang_call *call, pang_rec_warehouse *body, pang_err *err)
{
    const char *bucket;
    pang_code code = default_bucket(call, &bucket, err);
    return code == PANG_OK ? pang_warehouse_settle(call, bucket, body, err) : code;
}

/* FAILED_PRECONDITION while catalogs use it; it stays unused until the commit. */
static pang_code check_unused(pang_call *call, const pang_rec_warehouse *body, const char *what,
                              pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_record users;
    pang_ref ref = {.key = pang_key_warehouse_use(&keys, pang_id_of(body->id))};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(call->txn, &ref, 1, PANG_READ_UNCHECKED, &users, err);
    if (code != PANG_OK)
        return code;
    if (users.value != 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "warehouse \"%s\" is used by %lld catalogs: %s", body->name,
                         (long long)users.value, what);
    pang_txn_check_counter(call->txn, ref.key, 0);
    return PANG_OK;
}

static void count(pang_call *call, int64_t amount)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_txn_add(call->txn, pang_key_count(&keys, PANG_COUNT_WAREHOUSES), amount);
}

/* ---- create, update, delete ---- */

#define GIVE(from, n, arena, to)                                                                   \
    do {                                                                                           \
        (to) = pang_arena_alloc_n(arena, n, sizeof *(to));                                         \
        for (size_t i = 0; (to) != NULL && i < (n); i++)                                           \
            (to)[i] = (pang_field_given){(from)[i]->key, (from)[i]->value};                        \
    } while (0)

static pang_code create_warehouse(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateWarehouseRequest *in = request;
    Pangolin__V1__CreateWarehouseResponse *out = reply;
    pang_rec_warehouse body = PANGOLIN__STORE__V1__WAREHOUSE__INIT;
    pang_field_given *given;
    pang_id id = pang_id_v7(call->server->env);
    GIVE(in->storage_config, in->n_storage_config, call->arena, given);
    if (given == NULL)
        return pang_fail_memory(err);
    body.id = pang_bytes_of_id(&id);
    body.name = in->name;
    body.use_sts = in->use_sts;
    body.created_ms = pang_env_wall_ms(call->server->env);
    body.created_by = pang_bytes_of_id(&call->who->id);
    pang_code code = pang_identity_open(call, err);
    if (code == PANG_OK)
        code = put_name(call, in->name, &body, err);
    if (code == PANG_OK)
        code = change_config(call, given, in->n_storage_config, &body, err);
    if (code == PANG_OK)
        code = settle(call, &body, err);
    if (code == PANG_OK)
        code = pang_strategy_set(call, pang_str_of(in->vending_strategy), &body, err);
    if (code == PANG_OK)
        code = put(call, &body, err);
    count(call, 1);
    return code == PANG_OK ? show(call, &body, &out->warehouse, err) : code;
}

static pang_code rename_to(pang_call *call, const char *name, pang_rec_warehouse *body,
                           pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    if (strcmp(name, body->name) == 0)
        return PANG_OK;
    pang_code code = put_name(call, name, body, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(call->txn, pang_key_warehouse_name(&keys, pang_str_from(body->name)));
    body->name = (char *)(uintptr_t)name;
    return pang_keys_status(&keys, err);
}

static pang_code reconfigure(pang_call *call, const Pangolin__V1__UpdateWarehouseRequest *in,
                             pang_rec_warehouse *body, pang_err *err)
{
    pang_field_given *given;
    const char *was = body->location;
    GIVE(in->storage_config, in->n_storage_config, call->arena, given);
    if (given == NULL)
        return pang_fail_memory(err);
    pang_code code = change_config(call, given, in->n_storage_config, body, err);
    if (code == PANG_OK)
        code = settle(call, body, err);
    if (code == PANG_OK && strcmp(was, body->location) != 0)
        code = check_unused(call, body, "its location cannot change", err);
    return code;
}

static pang_code update_warehouse(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateWarehouseRequest *in = request;
    Pangolin__V1__UpdateWarehouseResponse *out = reply;
    pang_rec_warehouse *body;
    pang_str strategy = pang_str_trim(pang_str_of(in->vending_strategy));
    pang_code code = pang_warehouse_find(call, in->warehouse, &body, err);
    if (code == PANG_OK && in->_name_case != 0)
        code = rename_to(call, in->name, body, err);
    if (code == PANG_OK && in->n_storage_config > 0)
        code = reconfigure(call, in, body, err);
    if (code != PANG_OK)
        return code;
    if (in->_use_sts_case != 0)
        body->use_sts = in->use_sts;
    /* null says nothing: what takes the strategy away is "None". */
    if (strategy.len > 0 && !pang_str_equal(strategy, PANG_STR("null")))
        code = pang_strategy_set(call, strategy, body, err);
    if (code == PANG_OK)
        code = put(call, body, err);
    return code == PANG_OK ? show(call, body, &out->warehouse, err) : code;
}

static pang_code delete_warehouse(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteWarehouseRequest *in = request;
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_rec_warehouse *body;
    (void)reply;
    pang_code code = pang_warehouse_find(call, in->name, &body, err);
    if (code == PANG_OK)
        code = check_unused(call, body, "it cannot be deleted", err);
    if (code != PANG_OK)
        return code;
    call->note.resource = pang_id_of(body->id);
    pang_txn_delete(call->txn, pang_key_warehouse_name(&keys, pang_str_from(body->name)));
    pang_txn_delete(call->txn, pang_key_warehouse(&keys, pang_id_of(body->id)));
    count(call, -1);
    return pang_keys_status(&keys, err);
}

/* ---- credentials ---- */

static pang_code get_credentials(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetWarehouseCredentialsRequest *in = request;
    pang_rec_warehouse *body;
    (void)reply;
    pang_code code = pang_warehouse_find(call, in->name, &body, err);
    if (code != PANG_OK)
        return code;
    return pang_fail(err, PANG_UNIMPLEMENTED, NULL,
                     "credentials for warehouses of type \"%s\" are not made yet", body->type);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.WarehouseService/ListWarehouses",
        .in = &pangolin__v1__list_warehouses_request__descriptor,
        .out = &pangolin__v1__list_warehouses_response__descriptor,
        .handle = list_warehouses,
    },
    {
        .path = "/pangolin.v1.WarehouseService/CreateWarehouse",
        .in = &pangolin__v1__create_warehouse_request__descriptor,
        .out = &pangolin__v1__create_warehouse_response__descriptor,
        .handle = create_warehouse,
    },
    {
        .path = "/pangolin.v1.WarehouseService/GetWarehouse",
        .in = &pangolin__v1__get_warehouse_request__descriptor,
        .out = &pangolin__v1__get_warehouse_response__descriptor,
        .handle = get_warehouse,
    },
    {
        .path = "/pangolin.v1.WarehouseService/UpdateWarehouse",
        .in = &pangolin__v1__update_warehouse_request__descriptor,
        .out = &pangolin__v1__update_warehouse_response__descriptor,
        .handle = update_warehouse,
    },
    {
        .path = "/pangolin.v1.WarehouseService/DeleteWarehouse",
        .in = &pangolin__v1__delete_warehouse_request__descriptor,
        .out = &pangolin__v1__delete_warehouse_response__descriptor,
        .handle = delete_warehouse,
    },
    {
        .path = "/pangolin.v1.WarehouseService/GetWarehouseCredentials",
        .in = &pangolin__v1__get_warehouse_credentials_request__descriptor,
        .out = &pangolin__v1__get_warehouse_credentials_response__descriptor,
        .handle = get_credentials,
    },
};

const pang_service pang_service_warehouse = {
    .name = "pangolin.v1.WarehouseService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
