/*
 * Tenants: records of the system scope. A tenant that is to go is first marked, so that nobody
 * signs in to it and nothing is made in it; its name is free at once, and all that is left of it
 * goes later, in bounded commits. Whether it is empty is told by its counts, which whatever is
 * made in it adds to.
 */
#include <string.h>

#include "server/identity.h"
#include "server/locations.h"
#include "server/svc_identity.h"

#include "pangolin/v1/tenant.pb-c.h"

enum { SWEEP_AFTER_MS = 2 * 60 * 1000 }; /* longer than any call that began before the mark */

typedef Pangolin__V1__Tenant tenant_out;
typedef Pangolin__V1__Tenant__PropertiesEntry entry_out;

/* ---- properties ---- */

static pang_code check_property(const char *name, const char *value, pang_err *err)
{
    pang_code code = pang_manage_name("a name in properties", name, err);
    return code == PANG_OK ? pang_manage_text("a value in properties", value, err) : code;
}

static pang_code set_property(pang_rec_tenant *body, const char *name, const char *value,
                              pang_arena *arena, pang_err *err)
{
    pang_rec_property *property = pang_arena_alloc(arena, sizeof *property);
    if (property == NULL)
        return pang_fail_memory(err);
    *property = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
    property->name = (char *)(uintptr_t)name;
    property->value = (char *)(uintptr_t)value;
    body->properties[body->n_properties++] = property;
    return check_property(name, value, err);
}

/* Makes room for n properties in place of those that were there. */
static pang_code clear_properties(pang_rec_tenant *body, size_t n, pang_arena *arena, pang_err *err)
{
    if (n > PANG_MANAGE_ENTRIES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "properties has %zu entries, at most %d", n, PANG_MANAGE_ENTRIES_MAX);
    body->n_properties = 0;
    body->properties = pang_arena_alloc_n(arena, n, sizeof *body->properties);
    return body->properties == NULL ? pang_fail_memory(err) : PANG_OK;
}

static pang_code created_properties(const Pangolin__V1__CreateTenantRequest *in,
                                    pang_rec_tenant *body, pang_arena *arena, pang_err *err)
{
    pang_code code = clear_properties(body, in->n_properties, arena, err);
    for (size_t i = 0; code == PANG_OK && i < in->n_properties; i++)
        code = set_property(body, in->properties[i]->key, in->properties[i]->value, arena, err);
    return code;
}

static pang_code updated_properties(const Pangolin__V1__PropertyMap *in, pang_rec_tenant *body,
                                    pang_arena *arena, pang_err *err)
{
    pang_code code = clear_properties(body, in->n_entries, arena, err);
    for (size_t i = 0; code == PANG_OK && i < in->n_entries; i++)
        code = set_property(body, in->entries[i]->key, in->entries[i]->value, arena, err);
    return code;
}

/* ---- between record and reply ---- */

static pang_code show(const pang_rec_tenant *body, pang_arena *arena, tenant_out **ret,
                      pang_err *err)
{
    tenant_out *out = pang_arena_alloc(arena, sizeof *out);
    entry_out *entries = pang_arena_alloc_n(arena, body->n_properties, sizeof *entries);
    if (out == NULL || entries == NULL)
        return pang_fail_memory(err);
    *out = (tenant_out)PANGOLIN__V1__TENANT__INIT;
    out->id = pang_manage_id_text(pang_id_of(body->id), arena);
    out->name = body->name;
    out->properties = pang_arena_alloc_n(arena, body->n_properties, sizeof *out->properties);
    if (out->id == NULL || out->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_properties; i++) {
        entries[i] = (entry_out)PANGOLIN__V1__TENANT__PROPERTIES_ENTRY__INIT;
        entries[i].key = body->properties[i]->name;
        entries[i].value = body->properties[i]->value;
        out->properties[out->n_properties++] = &entries[i];
    }
    *ret = out;
    return PANG_OK;
}

static void put(pang_call *call, pang_keys *keys, const pang_rec_tenant *body)
{
    pang_txn_put(call->txn, PANG_KIND_TENANT, pang_key_tenant(keys, pang_id_of(body->id)),
                 pang_record_pack(&body->base, call->arena));
    pang_txn_add(call->txn, pang_key_count(keys, PANG_COUNT_AUTH), 1);
    pang_identity_note(call, pang_id_of(body->id), body->name);
}

/* The nil tenant is there before anybody made a record of it. */
static pang_code show_nil(pang_arena *arena, pang_rec_tenant **ret, pang_err *err)
{
    static const pang_id nil;
    pang_rec_tenant *body = pang_arena_alloc(arena, sizeof *body);
    if (body == NULL)
        return pang_fail_memory(err);
    *body = (pang_rec_tenant)PANGOLIN__STORE__V1__TENANT__INIT;
    body->id = pang_bytes_of_id(&nil);
    body->name = (char *)(uintptr_t) "default";
    *ret = body;
    return PANG_OK;
}

static pang_code find(pang_call *call, const char *text, pang_rec_tenant **ret, pang_err *err)
{
    pang_keys keys = pang_identity_system(call);
    pang_record record;
    pang_id id;
    if (!pang_id_parse(pang_str_from(text), &id))
        return pang_manage_absent("tenant", text, err);
    pang_code code = pang_txn_get_one(call->txn, pang_key_tenant(&keys, id), &record, err);
    if (code == PANG_OK && record.version == 0 && pang_id_is_nil(id))
        return show_nil(call->arena, ret, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__tenant__descriptor, &record, call->arena,
                                  ret, err);
    if (code == PANG_OK && (record.version == 0 || (*ret)->deleting))
        return pang_manage_absent("tenant", text, err);
    return code;
}

/* ---- calls ---- */

static pang_code list_tenants(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListTenantsRequest *in = request;
    Pangolin__V1__ListTenantsResponse *out = reply;
    pang_named_query query = {
        .keys = pang_identity_system(call),
        .query = {.page_size = in->page_size, .offset = in->offset},
        .key_of = pang_key_tenant,
        .type = &pangolin__store__v1__tenant__descriptor,
    };
    void **bodies = NULL;
    size_t n = 0;
    query.query.prefix = pang_key_tenant_names(&query.keys);
    query.query.token = in->_page_token_case != 0 ? in->page_token : NULL;
    pang_code code = pang_named_list(call, &query, &bodies, &n, &out->next_page_token, err);
    if (code != PANG_OK)
        return code;
    out->tenants = pang_arena_alloc_n(call->arena, n, sizeof *out->tenants);
    if (out->tenants == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = show(bodies[i], call->arena, &out->tenants[out->n_tenants++], err);
    return code;
}

static pang_code create_tenant(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateTenantRequest *in = request;
    Pangolin__V1__CreateTenantResponse *out = reply;
    pang_keys keys = pang_identity_system(call);
    pang_rec_tenant body = PANGOLIN__STORE__V1__TENANT__INIT;
    pang_id id = pang_id_v7(call->server->env);
    pang_code code = pang_manage_name("name", in->name, err);
    body.id = pang_bytes_of_id(&id);
    body.name = in->name;
    body.created_ms = pang_env_wall_ms(call->server->env);
    if (code == PANG_OK)
        code = created_properties(in, &body, call->arena, err);
    if (code == PANG_OK)
        code = pang_name_take(call, PANG_KIND_TENANT_NAME,
                              pang_key_tenant_name(&keys, pang_str_from(in->name)), "tenant",
                              in->name, id, err);
    if (code == PANG_OK)
        code = show(&body, call->arena, &out->tenant, err);
    if (code != PANG_OK)
        return code;
    put(call, &keys, &body);
    pang_txn_add(call->txn, pang_key_count(&keys, PANG_COUNT_TENANTS), 1);
    return pang_manage_built(call->arena, err);
}

static pang_code get_tenant(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetTenantRequest *in = request;
    Pangolin__V1__GetTenantResponse *out = reply;
    pang_rec_tenant *body = NULL;
    pang_code code = find(call, in->id, &body, err);
    return code == PANG_OK ? show(body, call->arena, &out->tenant, err) : code;
}

static pang_code rename_tenant(pang_call *call, pang_keys *keys, pang_rec_tenant *body, char *name,
                               pang_err *err)
{
    pang_code code = pang_manage_name("name", name, err);
    if (code != PANG_OK || strcmp(name, body->name) == 0)
        return code;
    code = pang_name_take(call, PANG_KIND_TENANT_NAME,
                          pang_key_tenant_name(keys, pang_str_from(name)), "tenant", name,
                          pang_id_of(body->id), err);
    pang_txn_delete(call->txn, pang_key_tenant_name(keys, pang_str_from(body->name)));
    body->name = name;
    return code;
}

static pang_code update_tenant(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateTenantRequest *in = request;
    Pangolin__V1__UpdateTenantResponse *out = reply;
    pang_keys keys = pang_identity_system(call);
    pang_rec_tenant *body = NULL;
    pang_code code = find(call, in->id, &body, err);
    if (code == PANG_OK && in->_name_case != 0)
        code = rename_tenant(call, &keys, body, in->name, err);
    if (code == PANG_OK && in->properties != NULL)
        code = updated_properties(in->properties, body, call->arena, err);
    if (code == PANG_OK)
        code = show(body, call->arena, &out->tenant, err);
    if (code != PANG_OK)
        return code;
    put(call, &keys, body);
    return pang_manage_built(call->arena, err);
}

/* ---- delete ---- */

/* What it holds must be nothing when the commit lands. */
static pang_code check_empty(pang_call *call, pang_str scope, const char *name, pang_err *err)
{
    const pang_str kinds[] = {PANG_COUNT_CATALOGS, PANG_COUNT_WAREHOUSES, PANG_COUNT_USERS,
                              PANG_COUNT_SERVICE_USERS, PANG_COUNT_ROLES};
    pang_keys keys = {.arena = call->arena, .scope = scope};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int64_t count;
        pang_code code = pang_counter_hold(call, pang_key_count(&keys, kinds[i]), &count, err);
        if (code == PANG_OK && count != 0)
            code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                             "tenant \"%.200s\" holds %lld %" PANG_STR_FMT
                             ": delete them first, or ask for cascade",
                             name, (long long)count, PANG_STR_ARG(kinds[i]));
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static pang_code sweep_later(pang_call *call, char *scope, pang_err *err)
{
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    const pang_env *env = call->server->env;
    due.scope = scope;
    due.whole_scope = true;
    return pang_due_put(call->txn, call->arena, env, pang_env_wall_ms(env) + SWEEP_AFTER_MS, &due,
                        err);
}

static pang_code delete_tenant(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteTenantRequest *in = request;
    pang_keys keys = pang_identity_system(call);
    char scope[PANG_ID_HEX + 1];
    pang_rec_tenant *body = NULL;
    (void)reply;
    pang_code code = find(call, in->id, &body, err);
    if (code != PANG_OK)
        return code;
    if (pang_id_is_nil(pang_id_of(body->id)))
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "the default tenant cannot be deleted");
    pang_id_hex(pang_id_of(body->id), scope);
    pang_str kept = pang_arena_printf(call->arena, "%s", scope);
    if (!in->cascade)
        code = check_empty(call, kept, body->name, err);
    if (code == PANG_OK)
        code = sweep_later(call, scope, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(call->txn, pang_key_tenant_name(&keys, pang_str_from(body->name)));
    pang_txn_add(call->txn, pang_key_count(&keys, PANG_COUNT_TENANTS), -1);
    pang_keys own = {.arena = call->arena, .scope = kept};
    pang_txn_add(call->txn, pang_key_count(&own, PANG_COUNT_AUTH), 1);
    body->deleting = true;
    put(call, &keys, body);
    return pang_manage_built(call->arena, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.TenantService/ListTenants",
        .in = &pangolin__v1__list_tenants_request__descriptor,
        .out = &pangolin__v1__list_tenants_response__descriptor,
        .handle = list_tenants,
    },
    {
        .path = "/pangolin.v1.TenantService/CreateTenant",
        .in = &pangolin__v1__create_tenant_request__descriptor,
        .out = &pangolin__v1__create_tenant_response__descriptor,
        .handle = create_tenant,
    },
    {
        .path = "/pangolin.v1.TenantService/GetTenant",
        .in = &pangolin__v1__get_tenant_request__descriptor,
        .out = &pangolin__v1__get_tenant_response__descriptor,
        .handle = get_tenant,
    },
    {
        .path = "/pangolin.v1.TenantService/UpdateTenant",
        .in = &pangolin__v1__update_tenant_request__descriptor,
        .out = &pangolin__v1__update_tenant_response__descriptor,
        .handle = update_tenant,
    },
    {
        .path = "/pangolin.v1.TenantService/DeleteTenant",
        .in = &pangolin__v1__delete_tenant_request__descriptor,
        .out = &pangolin__v1__delete_tenant_response__descriptor,
        .handle = delete_tenant,
    },
};

const pang_service pang_service_tenant = {
    .name = "pangolin.v1.TenantService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
