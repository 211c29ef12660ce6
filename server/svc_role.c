/*
 * Roles: named sets of grants, which may include each other but not in a ring. Whether a ring
 * would come is seen by looking through all roles of the tenant; that none changes meanwhile is
 * seen by the auth epoch, which every change of a role adds to. How often a role is used (held by
 * a principal, included by a role) stands in a counter, so that a role in use is not deleted.
 */
#include <string.h>

#include "server/roles.h"
#include "server/svc_identity.h"

typedef Pangolin__V1__Role role_out;
typedef Pangolin__V1__RolePermission permission_out;
typedef Pangolin__Store__V1__Role__Given given;

/* ---- between record and reply ---- */

static pang_code show_given(pang_call *call, const given *from, permission_out **ret, pang_err *err)
{
    permission_out *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (permission_out)PANGOLIN__V1__ROLE_PERMISSION__INIT;
    pang_code code = pang_scope_show(call, from->scope, &out->scope, err);
    if (code == PANG_OK)
        code = pang_actions_show(from->actions, call->arena, &out->actions, &out->n_actions, err);
    *ret = out;
    return code;
}

pang_code pang_role_show(pang_call *call, const pang_rec_role *role, role_out **ret, pang_err *err)
{
    role_out *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (role_out)PANGOLIN__V1__ROLE__INIT;
    *ret = out;
    out->id = pang_manage_id_text(pang_id_of(role->id), call->arena);
    out->name = role->name;
    out->description = role->description;
    out->tenant_id = pang_manage_id_text(pang_identity_tenant(call), call->arena);
    out->created_by = pang_manage_id_text(pang_id_of(role->created_by), call->arena);
    out->created_at = pang_manage_time(role->created_ms, call->arena);
    out->updated_at = pang_manage_time(role->updated_ms, call->arena);
    out->permissions = pang_arena_alloc_n(call->arena, role->n_given, sizeof *out->permissions);
    out->included_roles = pang_arena_alloc_n(call->arena, role->n_includes, sizeof(char *));
    pang_code code = pang_manage_built(call->arena, err);
    for (size_t i = 0; code == PANG_OK && i < role->n_given; i++)
        code = show_given(call, role->given[i], &out->permissions[out->n_permissions++], err);
    for (size_t i = 0; code == PANG_OK && i < role->n_includes; i++)
        out->included_roles[out->n_included_roles++] = pang_manage_id_text(
            pang_id_of(role->includes[i]), call->arena);
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

static void store(pang_call *call, pang_rec_role *role)
{
    pang_keys keys = pang_identity_keys(call);
    role->updated_ms = pang_env_wall_ms(call->server->env);
    pang_txn_put(call->txn, PANG_KIND_ROLE, pang_key_role(&keys, pang_id_of(role->id)),
                 pang_record_pack(&role->base, call->arena));
}

static void put(pang_call *call, pang_rec_role *role)
{
    store(call, role);
    pang_identity_changed(call);
    pang_identity_note(call, pang_id_of(role->id), role->name);
}

/* ---- included roles ---- */

static bool holds(const ProtobufCBinaryData *ids, size_t n, ProtobufCBinaryData id)
{
    for (size_t i = 0; i < n; i++)
        if (pang_str_equal(pang_str_of(ids[i]), pang_str_of(id)))
            return true;
    return false;
}

static pang_code read_includes(pang_call *call, char *const *texts, size_t n,
                               ProtobufCBinaryData **ret, size_t *ret_n, pang_err *err)
{
    ProtobufCBinaryData *ids = pang_arena_alloc_n(call->arena, n, sizeof *ids);
    pang_code code = PANG_OK;
    if (ids == NULL)
        return pang_fail_memory(err);
    if (n > PANG_ROLE_INCLUDES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "included-roles has %zu entries, at most %d", n, PANG_ROLE_INCLUDES_MAX);
    *ret_n = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_role *role = NULL;
        code = pang_role_find(call, texts[i], &role, err);
        if (code == PANG_OK && !holds(ids, *ret_n, role->id))
            ids[(*ret_n)++] = role->id;
    }
    *ret = ids;
    return code;
}

static pang_code ids_of(const ProtobufCBinaryData *ids, size_t n, pang_arena *arena,
                        const pang_id **ret, pang_err *err)
{
    pang_id *to = pang_arena_alloc_n(arena, n, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        to[i] = pang_id_of(ids[i]);
    *ret = to;
    return PANG_OK;
}

/* All roles of the tenant; they are these until the commit. */
static pang_code all_roles(pang_call *call, pang_rec_role ***ret, size_t *ret_n, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows;
    pang_code code = pang_identity_hold(call, err);
    if (code == PANG_OK)
        code = pang_manage_all(call, pang_key_roles(&keys), PANG_TENANT_ROLES_MAX, &rows, ret_n,
                               err);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_alloc_n(call->arena, *ret_n, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < *ret_n; i++)
        code = pang_record_unpack(&pangolin__store__v1__role__descriptor, &rows[i], call->arena,
                                  &(*ret)[i], err);
    return code;
}

static pang_code check_ring(pang_call *call, pang_id role, const ProtobufCBinaryData *includes,
                            size_t n_includes, pang_err *err)
{
    pang_rec_role **roles = NULL;
    const pang_id *wanted = NULL;
    size_t n = 0;
    if (n_includes == 0)
        return PANG_OK;
    pang_code code = all_roles(call, &roles, &n, err);
    if (code != PANG_OK)
        return code;
    pang_role *graph = pang_arena_alloc_n(call->arena, n, sizeof *graph);
    if (graph == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        graph[i].id = pang_id_of(roles[i]->id);
        graph[i].name = pang_str_from(roles[i]->name);
        graph[i].n_includes = roles[i]->n_includes;
        code = ids_of(roles[i]->includes, roles[i]->n_includes, call->arena, &graph[i].includes,
                      err);
    }
    if (code == PANG_OK)
        code = ids_of(includes, n_includes, call->arena, &wanted, err);
    return code == PANG_OK ? pang_roles_check(graph, n, role, wanted, n_includes, call->arena, err)
                           : code;
}

/* Counts the uses of those that came and those that went. */
static void count_uses(pang_call *call, const ProtobufCBinaryData *before, size_t n_before,
                       const ProtobufCBinaryData *after, size_t n_after)
{
    pang_keys keys = pang_identity_keys(call);
    for (size_t i = 0; i < n_before; i++)
        if (!holds(after, n_after, before[i]))
            pang_txn_add(call->txn, pang_key_role_use(&keys, pang_id_of(before[i])), -1);
    for (size_t i = 0; i < n_after; i++)
        if (!holds(before, n_before, after[i]))
            pang_txn_add(call->txn, pang_key_role_use(&keys, pang_id_of(after[i])), 1);
}

static pang_code set_includes(pang_call *call, pang_rec_role *role, char *const *texts, size_t n,
                              pang_err *err)
{
    ProtobufCBinaryData *ids = NULL;
    size_t n_ids = 0;
    pang_code code = read_includes(call, texts, n, &ids, &n_ids, err);
    if (code == PANG_OK)
        code = check_ring(call, pang_id_of(role->id), ids, n_ids, err);
    if (code != PANG_OK)
        return code;
    count_uses(call, role->includes, role->n_includes, ids, n_ids);
    role->includes = ids;
    role->n_includes = n_ids;
    return PANG_OK;
}

/* ---- the grants of a role ---- */

/* One that a client sends back as it was shown needs not be there any more: so a whole role can be
 * put although a table that it speaks of has gone. */
static pang_code known_given(pang_call *call, const pang_rec_role *role,
                             const permission_out *wanted, given *to, pang_err *err)
{
    for (size_t i = 0; wanted->scope != NULL && i < role->n_given; i++) {
        pang_scope_text *shown;
        pang_code code = pang_scope_show(call, role->given[i]->scope, &shown, err);
        if (code != PANG_OK)
            return code;
        if (pang_scope_text_same(shown, wanted->scope)) {
            to->scope = role->given[i]->scope;
            to->id = role->given[i]->id;
            return PANG_OK;
        }
    }
    return PANG_OK;
}

static pang_code read_given(pang_call *call, const pang_rec_role *role,
                            const permission_out *wanted, given **ret, pang_err *err)
{
    given *to = pang_arena_alloc(call->arena, sizeof *to);
    pang_id *id = pang_arena_alloc(call->arena, sizeof *id);
    if (to == NULL || id == NULL)
        return pang_fail_memory(err);
    *to = (given)PANGOLIN__STORE__V1__ROLE__GIVEN__INIT;
    *id = pang_id_v7(call->server->env);
    *ret = to;
    pang_code code = pang_actions_read(wanted->actions, wanted->n_actions, &to->actions, err);
    if (code == PANG_OK)
        code = known_given(call, role, wanted, to, err);
    if (code != PANG_OK || to->scope != NULL)
        return code;
    to->id = pang_bytes_of_id(id);
    return pang_scope_resolve(call, wanted->scope, &to->scope, err);
}

static pang_code set_given(pang_call *call, pang_rec_role *role,
                           const Pangolin__V1__RolePermissions *wanted, pang_err *err)
{
    given **list = pang_arena_alloc_n(call->arena, wanted->n_items, sizeof *list);
    pang_code code = PANG_OK;
    size_t n = 0;
    if (list == NULL)
        return pang_fail_memory(err);
    if (wanted->n_items > PANG_ROLE_GRANTS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "permissions has %zu entries, at most %d", wanted->n_items,
                         PANG_ROLE_GRANTS_MAX);
    for (size_t i = 0; code == PANG_OK && i < wanted->n_items; i++)
        code = read_given(call, role, wanted->items[i], &list[n++], err);
    role->given = list;
    role->n_given = n;
    return code;
}

/* ---- calls ---- */

static pang_code list_roles(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListRolesRequest *in = request;
    Pangolin__V1__ListRolesResponse *out = reply;
    pang_named_query query = {
        .keys = pang_identity_keys(call),
        .query = {.page_size = in->page_size, .offset = in->offset},
        .key_of = pang_key_role,
        .type = &pangolin__store__v1__role__descriptor,
    };
    void **bodies = NULL;
    size_t n = 0;
    query.query.prefix = pang_key_role_names(&query.keys);
    query.query.token = in->_page_token_case != 0 ? in->page_token : NULL;
    pang_code code = pang_named_list(call, &query, &bodies, &n, &out->next_page_token, err);
    if (code != PANG_OK)
        return code;
    out->roles = pang_arena_alloc_n(call->arena, n, sizeof *out->roles);
    if (out->roles == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = pang_role_show(call, bodies[i], &out->roles[out->n_roles++], err);
    return code;
}

static pang_code take_name(pang_call *call, pang_rec_role *role, char *name, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_code code = pang_manage_name("name", name, err);
    if (code != PANG_OK || strcmp(role->name, name) == 0)
        return code;
    code = pang_name_take(call, PANG_KIND_ROLE_NAME, pang_key_role_name(&keys, pang_str_from(name)),
                          "role", name, pang_id_of(role->id), err);
    if (role->name[0] != '\0')
        pang_txn_delete(call->txn, pang_key_role_name(&keys, pang_str_from(role->name)));
    role->name = name;
    return code;
}

static pang_code create_role(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateRoleRequest *in = request;
    Pangolin__V1__CreateRoleResponse *out = reply;
    pang_rec_role role = PANGOLIN__STORE__V1__ROLE__INIT;
    pang_id id = pang_id_v7(call->server->env);
    role.id = pang_bytes_of_id(&id);
    role.description = in->description;
    role.created_by = pang_bytes_of_id(&call->who->id);
    role.created_ms = role.updated_ms = pang_env_wall_ms(call->server->env);
    pang_code code = pang_manage_text("description", in->description, err);
    if (code == PANG_OK)
        code = pang_identity_open(call, err);
    if (code == PANG_OK)
        code = take_name(call, &role, in->name, err);
    if (code == PANG_OK)
        code = set_includes(call, &role, in->included_roles, in->n_included_roles, err);
    if (code == PANG_OK)
        code = pang_role_show(call, &role, &out->role, err);
    if (code != PANG_OK)
        return code;
    put(call, &role);
    pang_identity_count(call, PANG_COUNT_ROLES, 1);
    return pang_manage_built(call->arena, err);
}

static pang_code get_role(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetRoleRequest *in = request;
    Pangolin__V1__GetRoleResponse *out = reply;
    pang_rec_role *role = NULL;
    pang_code code = pang_role_find(call, in->id, &role, err);
    return code == PANG_OK ? pang_role_show(call, role, &out->role, err) : code;
}

static pang_code update_role(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateRoleRequest *in = request;
    Pangolin__V1__UpdateRoleResponse *out = reply;
    pang_rec_role *role = NULL;
    pang_code code = pang_role_find(call, in->id, &role, err);
    if (code == PANG_OK && in->_name_case != 0)
        code = take_name(call, role, in->name, err);
    if (code == PANG_OK && in->_description_case != 0) {
        code = pang_manage_text("description", in->description, err);
        role->description = in->description;
    }
    if (code == PANG_OK && in->permissions != NULL)
        code = set_given(call, role, in->permissions, err);
    if (code == PANG_OK && in->included_roles != NULL)
        code = set_includes(call, role, in->included_roles->items, in->included_roles->n_items,
                            err);
    if (code != PANG_OK)
        return code;
    put(call, role);
    code = pang_role_show(call, role, &out->role, err);
    return code;
}

/* ---- delete ---- */

static pang_code take_from_holders(pang_call *call, pang_id role, size_t *ret_n, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows;
    pang_code code = pang_manage_all(call, pang_key_holders(&keys, role), PANG_ROLE_HOLDERS_MAX,
                                     &rows, ret_n, err);
    for (size_t i = 0; code == PANG_OK && i < *ret_n; i++) {
        pang_rec_assignment *body;
        code = pang_record_unpack(&pangolin__store__v1__assignment__descriptor, &rows[i],
                                  call->arena, &body, err);
        if (code != PANG_OK)
            break;
        pang_txn_delete(call->txn, rows[i].key);
        pang_txn_delete(call->txn, pang_key_assignment(&keys, pang_id_of(body->principal), role));
    }
    return code;
}

static pang_code take_from_roles(pang_call *call, ProtobufCBinaryData gone, size_t *ret_n,
                                 pang_err *err)
{
    pang_rec_role **roles = NULL;
    size_t n = 0;
    pang_code code = all_roles(call, &roles, &n, err);
    *ret_n = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        size_t kept = 0;
        for (size_t j = 0; j < roles[i]->n_includes; j++)
            if (!pang_str_equal(pang_str_of(roles[i]->includes[j]), pang_str_of(gone)))
                roles[i]->includes[kept++] = roles[i]->includes[j];
        if (kept == roles[i]->n_includes)
            continue;
        roles[i]->n_includes = kept;
        store(call, roles[i]);
        if (++*ret_n > PANG_ROLE_HOLDERS_MAX)
            return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                             "more than %d roles include it", PANG_ROLE_HOLDERS_MAX);
    }
    return code;
}

/* Nothing has the role once this commit has landed. */
static pang_code end_uses(pang_call *call, const pang_rec_role *role, bool cascade, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_id id = pang_id_of(role->id);
    pang_str counter = pang_key_role_use(&keys, id);
    size_t holders = 0, roles = 0;
    int64_t uses = 0;
    pang_code code = pang_counter_hold(call, counter, &uses, err);
    if (code != PANG_OK || uses == 0)
        return code;
    if (!cascade)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "role \"%.200s\" is in use %lld times: take it from users and roles "
                         "first, or ask for cascade",
                         role->name, (long long)uses);
    code = take_from_holders(call, id, &holders, err);
    if (code == PANG_OK)
        code = take_from_roles(call, role->id, &roles, err);
    if (code == PANG_OK)
        pang_txn_add(call->txn, counter, -(int64_t)(holders + roles));
    return code;
}

static pang_code delete_role(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteRoleRequest *in = request;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_role *role = NULL;
    (void)reply;
    pang_code code = pang_role_find(call, in->id, &role, err);
    if (code == PANG_OK)
        code = end_uses(call, role, in->cascade, err);
    if (code != PANG_OK)
        return code;
    count_uses(call, role->includes, role->n_includes, NULL, 0);
    pang_txn_delete(call->txn, pang_key_role_name(&keys, pang_str_from(role->name)));
    pang_txn_delete(call->txn, pang_key_role(&keys, pang_id_of(role->id)));
    pang_identity_count(call, PANG_COUNT_ROLES, -1);
    pang_identity_changed(call);
    pang_identity_note(call, pang_id_of(role->id), role->name);
    return pang_manage_built(call->arena, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.RoleService/ListRoles",
        .in = &pangolin__v1__list_roles_request__descriptor,
        .out = &pangolin__v1__list_roles_response__descriptor,
        .handle = list_roles,
    },
    {
        .path = "/pangolin.v1.RoleService/CreateRole",
        .in = &pangolin__v1__create_role_request__descriptor,
        .out = &pangolin__v1__create_role_response__descriptor,
        .handle = create_role,
    },
    {
        .path = "/pangolin.v1.RoleService/GetRole",
        .in = &pangolin__v1__get_role_request__descriptor,
        .out = &pangolin__v1__get_role_response__descriptor,
        .handle = get_role,
    },
    {
        .path = "/pangolin.v1.RoleService/UpdateRole",
        .in = &pangolin__v1__update_role_request__descriptor,
        .out = &pangolin__v1__update_role_response__descriptor,
        .handle = update_role,
    },
    {
        .path = "/pangolin.v1.RoleService/DeleteRole",
        .in = &pangolin__v1__delete_role_request__descriptor,
        .out = &pangolin__v1__delete_role_response__descriptor,
        .handle = delete_role,
    },
    {
        .path = "/pangolin.v1.RoleService/ListUserRoles",
        .in = &pangolin__v1__list_user_roles_request__descriptor,
        .out = &pangolin__v1__list_user_roles_response__descriptor,
        .handle = pang_role_list_of_user,
    },
    {
        .path = "/pangolin.v1.RoleService/AssignRole",
        .in = &pangolin__v1__assign_role_request__descriptor,
        .out = &pangolin__v1__assign_role_response__descriptor,
        .handle = pang_role_assign,
    },
    {
        .path = "/pangolin.v1.RoleService/UnassignRole",
        .in = &pangolin__v1__unassign_role_request__descriptor,
        .out = &pangolin__v1__unassign_role_response__descriptor,
        .handle = pang_role_unassign,
    },
};

const pang_service pang_service_role = {
    .name = "pangolin.v1.RoleService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
