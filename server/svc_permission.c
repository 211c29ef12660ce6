/*
 * Grants made to principals. A grant lies under its principal, where it is read when that is
 * compiled, and is found by its id through a record that says whose it is. The same grant again
 * is found by looking through the principal's; its counter of gains keeps two equal ones from
 * coming at once.
 */
#include <string.h>

#include "server/scopes.h"
#include "server/svc_identity.h"
#include "server/svc_permission.h"

typedef Pangolin__V1__Permission permission_out;

/* ---- between record and reply ---- */

pang_code pang_permission_show(pang_call *call, const pang_rec_grant *grant, permission_out **ret,
                               pang_err *err)
{
    permission_out *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (permission_out)PANGOLIN__V1__PERMISSION__INIT;
    out->id = pang_manage_id_text(pang_id_of(grant->id), call->arena);
    out->user_id = pang_manage_id_text(pang_id_of(grant->principal), call->arena);
    out->tenant_id = pang_manage_id_text(pang_identity_tenant(call), call->arena);
    out->granted_by = pang_manage_id_text(pang_id_of(grant->granted_by), call->arena);
    out->granted_at = pang_manage_time(grant->granted_ms, call->arena);
    pang_code code = pang_scope_show(call, grant->scope, &out->scope, err);
    if (code == PANG_OK)
        code = pang_actions_show(grant->actions, call->arena, &out->actions, &out->n_actions, err);
    *ret = out;
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

/* ---- grant ---- */

/* The principal's grant of these actions on this scope; NULL: there is none. */
static pang_code find_same(pang_call *call, pang_id principal, const pang_rec_grant *wanted,
                           pang_rec_grant **ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows;
    size_t n = 0;
    *ret = NULL;
    pang_code code = pang_counter_hold(call, pang_key_gains(&keys, principal), NULL, err);
    if (code == PANG_OK)
        code = pang_manage_all(call, pang_key_grants(&keys, principal), PANG_PRINCIPAL_GRANTS_MAX,
                               &rows, &n, err);
    for (size_t i = 0; code == PANG_OK && *ret == NULL && i < n; i++) {
        pang_rec_grant *grant;
        code = pang_record_unpack(&pangolin__store__v1__grant__descriptor, &rows[i], call->arena,
                                  &grant, err);
        if (code == PANG_OK && grant->actions == wanted->actions &&
            pang_scope_same(grant->scope, wanted->scope))
            *ret = grant;
    }
    if (code == PANG_OK && *ret == NULL && n == PANG_PRINCIPAL_GRANTS_MAX)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "it has %zu grants already, at most %d: use roles", n,
                         PANG_PRINCIPAL_GRANTS_MAX);
    return code;
}

static void put_grant(pang_call *call, const pang_rec_grant *grant)
{
    Pangolin__Store__V1__GrantPlace place = PANGOLIN__STORE__V1__GRANT_PLACE__INIT;
    pang_keys keys = pang_identity_keys(call);
    pang_id principal = pang_id_of(grant->principal), id = pang_id_of(grant->id);
    place.principal = grant->principal;
    pang_txn_put(call->txn, PANG_KIND_GRANT, pang_key_grant(&keys, principal, id),
                 pang_record_pack(&grant->base, call->arena));
    pang_txn_put(call->txn, PANG_KIND_GRANT_PLACE, pang_key_grant_place(&keys, id),
                 pang_record_pack(&place.base, call->arena));
    pang_txn_add(call->txn, pang_key_gains(&keys, principal), 1);
    pang_identity_changed(call);
}

static pang_code grant_permission(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GrantPermissionRequest *in = request;
    Pangolin__V1__GrantPermissionResponse *out = reply;
    pang_rec_grant grant = PANGOLIN__STORE__V1__GRANT__INIT, *same;
    pang_account account;
    pang_id id = pang_id_v7(call->server->env);
    pang_code code = pang_account_find(call, in->user_id, &account, err);
    if (code == PANG_OK)
        code = pang_actions_read(in->actions, in->n_actions, &grant.actions, err);
    if (code == PANG_OK)
        code = pang_scope_resolve(call, in->scope, &grant.scope, err);
    if (code == PANG_OK)
        code = find_same(call, account.id, &grant, &same, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = same != NULL ? pang_id_of(same->id) : id;
    if (same != NULL)
        return pang_permission_show(call, same, &out->permission, err);
    grant.id = pang_bytes_of_id(&id);
    grant.principal = pang_bytes_of_id(&account.id);
    grant.granted_by = pang_bytes_of_id(&call->who->id);
    grant.granted_ms = pang_env_wall_ms(call->server->env);
    put_grant(call, &grant);
    return pang_permission_show(call, &grant, &out->permission, err);
}

/* ---- list ---- */

static pang_code show_all(pang_call *call, const pang_record *rows, size_t n,
                          Pangolin__V1__ListPermissionsResponse *out, pang_err *err)
{
    pang_code code = PANG_OK;
    out->permissions = pang_arena_alloc_n(call->arena, n, sizeof *out->permissions);
    if (out->permissions == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_grant *grant;
        if (rows[i].version == 0)
            continue; /* revoked between the two reads */
        code = pang_record_unpack(&pangolin__store__v1__grant__descriptor, &rows[i], call->arena,
                                  &grant, err);
        if (code == PANG_OK)
            code = pang_permission_show(call, grant, &out->permissions[out->n_permissions++], err);
    }
    return code;
}

static pang_manage_query query_of(const Pangolin__V1__ListPermissionsRequest *in, pang_str prefix)
{
    return (pang_manage_query){
        .prefix = prefix,
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
    };
}

static pang_code list_of_one(pang_call *call, const Pangolin__V1__ListPermissionsRequest *in,
                             Pangolin__V1__ListPermissionsResponse *out, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_manage_page page;
    pang_account account;
    pang_code code = pang_account_find(call, in->user, &account, err);
    if (code != PANG_OK)
        return code;
    pang_manage_query query = query_of(in, pang_key_grants(&keys, account.id));
    code = pang_manage_list(call, &query, &page, err);
    if (code == PANG_OK && page.next_token != NULL)
        out->next_page_token = page.next_token;
    return code == PANG_OK ? show_all(call, page.rows, page.n, out, err) : code;
}

/* The key of the grant that a place leads to. */
static pang_code grant_key(pang_call *call, pang_keys *keys, const pang_record *place,
                           pang_str *ret, pang_err *err)
{
    pang_id principal, grant;
    pang_str id = pang_str_after(place->key, pang_key_prefix_len(place->key));
    pang_code code = pang_name_id(call, place, &principal, err);
    if (code == PANG_OK && !pang_id_parse(id, &grant))
        code = pang_fail(err, PANG_DATA_LOSS, NULL, "a grant's key is damaged");
    if (code == PANG_OK)
        *ret = pang_key_grant(keys, principal, grant);
    return code;
}

static pang_code list_of_all(pang_call *call, const Pangolin__V1__ListPermissionsRequest *in,
                             Pangolin__V1__ListPermissionsResponse *out, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_manage_query query = query_of(in, pang_key_grant_places(&keys));
    pang_manage_page page;
    pang_record *rows;
    pang_code code = pang_manage_list(call, &query, &page, err);
    if (code != PANG_OK)
        return code;
    pang_str *wanted = pang_arena_alloc_n(call->arena, page.n, sizeof *wanted);
    if (wanted == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < page.n; i++)
        code = grant_key(call, &keys, &page.rows[i], &wanted[i], err);
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, page.n, &rows, err);
    if (code == PANG_OK && page.next_token != NULL)
        out->next_page_token = page.next_token;
    return code == PANG_OK ? show_all(call, rows, page.n, out, err) : code;
}

/* A role's grants are few and of one record: they are one page, whatever its size. */
static pang_code list_of_role(pang_call *call, const char *id,
                              Pangolin__V1__ListPermissionsResponse *out, pang_err *err)
{
    pang_rec_role *role;
    pang_code code = pang_role_find(call, id, &role, err);
    if (code != PANG_OK)
        return code;
    out->permissions = pang_arena_alloc_n(call->arena, role->n_given, sizeof *out->permissions);
    if (out->permissions == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < role->n_given; i++) {
        pang_rec_grant grant = PANGOLIN__STORE__V1__GRANT__INIT;
        grant.id = role->given[i]->id;
        grant.scope = role->given[i]->scope;
        grant.actions = role->given[i]->actions;
        grant.principal = role->id;
        grant.granted_by = role->created_by;
        grant.granted_ms = role->updated_ms;
        code = pang_permission_show(call, &grant, &out->permissions[out->n_permissions++], err);
    }
    return code;
}

static pang_code list_permissions(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListPermissionsRequest *in = request;
    if (in->user[0] != '\0')
        return list_of_one(call, in, reply, err);
    return in->role[0] != '\0' ? list_of_role(call, in->role, reply, err)
                               : list_of_all(call, in, reply, err);
}

/* ---- revoke ---- */

static pang_code revoke_permission(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RevokePermissionRequest *in = request;
    pang_keys keys = pang_identity_keys(call);
    bool found = false;
    pang_id id, principal;
    (void)reply;
    if (!pang_id_parse(pang_str_from(in->id), &id))
        return pang_manage_absent("permission", in->id, err);
    pang_code code = pang_name_find(call, pang_key_grant_place(&keys, id), &found, &principal, err);
    if (code == PANG_OK && !found)
        return pang_manage_absent("permission", in->id, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(call->txn, pang_key_grant_place(&keys, id));
    pang_txn_delete(call->txn, pang_key_grant(&keys, principal, id));
    pang_identity_changed(call);
    call->note.resource = id;
    return pang_keys_status(&keys, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.PermissionService/GrantPermission",
        .in = &pangolin__v1__grant_permission_request__descriptor,
        .out = &pangolin__v1__grant_permission_response__descriptor,
        .handle = grant_permission,
    },
    {
        .path = "/pangolin.v1.PermissionService/ListPermissions",
        .in = &pangolin__v1__list_permissions_request__descriptor,
        .out = &pangolin__v1__list_permissions_response__descriptor,
        .handle = list_permissions,
    },
    {
        .path = "/pangolin.v1.PermissionService/RevokePermission",
        .in = &pangolin__v1__revoke_permission_request__descriptor,
        .out = &pangolin__v1__revoke_permission_response__descriptor,
        .handle = revoke_permission,
    },
    {
        .path = "/pangolin.v1.PermissionService/ExplainPermission",
        .in = &pangolin__v1__explain_permission_request__descriptor,
        .out = &pangolin__v1__explain_permission_response__descriptor,
        .handle = pang_permission_explain,
    },
};

const pang_service pang_service_permission = {
    .name = "pangolin.v1.PermissionService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
