/*
 * Who has which role. An assignment is two records, one below the principal, where it is read when
 * that is compiled, and one below the role, where it is found when that is deleted; and it counts
 * as a use of the role. The role's own record is read by every assignment, so that one that is
 * being deleted meanwhile is assigned to nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "server/pages.h"
#include "server/roles.h"

typedef Pangolin__V1__RoleAssignment assignment_out;

/* ---- list ---- */

static int by_name(const void *a, const void *b)
{
    const pang_rec_role *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* The roles that assignments lead to, by name. */
static pang_code read_roles(pang_call *call, const pang_record *rows, size_t n,
                            pang_rec_role ***ret, size_t *ret_n, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_str *wanted = pang_arena_alloc_n(call->arena, n, sizeof *wanted);
    pang_rec_role **roles = pang_arena_alloc_n(call->arena, n, sizeof *roles);
    pang_record *records = NULL;
    pang_code code = PANG_OK;
    if (wanted == NULL || roles == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_assignment *body;
        code = pang_record_unpack(&pangolin__store__v1__assignment__descriptor, &rows[i],
                                  call->arena, &body, err);
        if (code == PANG_OK)
            wanted[i] = pang_key_role(&keys, pang_id_of(body->role));
    }
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, n, &records, err);
    *ret_n = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (records[i].version != 0)
            code = pang_record_unpack(&pangolin__store__v1__role__descriptor, &records[i],
                                      call->arena, &roles[(*ret_n)++], err);
    if (code == PANG_OK && *ret_n > 0)
        qsort(roles, *ret_n, sizeof *roles, by_name);
    *ret = roles;
    return code;
}

/* Where the page begins among the principal's roles, which are few. */
static pang_code first_of(pang_call *call, const Pangolin__V1__ListUserRolesRequest *in,
                          pang_rec_role *const *roles, size_t n, size_t *ret, pang_err *err)
{
    pang_page page;
    *ret = 0;
    if (in->_page_token_case == 0 || in->page_token[0] == '\0') {
        if (in->offset < 0)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                             "offset must not be negative");
        *ret = (size_t)in->offset < n ? (size_t)in->offset : n;
        return PANG_OK;
    }
    pang_code code = pang_page_read(call, pang_str_from(in->id), pang_str_from(in->page_token),
                                    &page, err);
    while (code == PANG_OK && *ret < n &&
           pang_str_compare(pang_str_from(roles[*ret]->name), page.after) <= 0)
        ++*ret;
    return code;
}

static pang_code show_page(pang_call *call, const Pangolin__V1__ListUserRolesRequest *in,
                           pang_rec_role *const *roles, size_t n,
                           Pangolin__V1__ListUserRolesResponse *out, pang_err *err)
{
    size_t first, size;
    pang_code code = pang_page_size(in->page_size, &size, err);
    if (code == PANG_OK)
        code = first_of(call, in, roles, n, &first, err);
    if (code != PANG_OK)
        return code;
    size = size < n - first ? size : n - first;
    out->roles = pang_arena_alloc_n(call->arena, size, sizeof *out->roles);
    if (out->roles == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < size; i++)
        code = pang_role_show(call, roles[first + i], &out->roles[out->n_roles++], err);
    if (code != PANG_OK || first + size == n)
        return code;
    pang_page next = {.after = pang_str_from(roles[first + size - 1]->name)};
    return pang_page_token(call, pang_str_from(in->id), next, &out->next_page_token, err);
}

pang_code pang_role_list_of_user(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListUserRolesRequest *in = request;
    pang_keys keys = pang_identity_keys(call);
    pang_account account;
    pang_rec_role **roles = NULL;
    pang_record *rows = NULL;
    size_t n = 0;
    pang_code code = pang_account_find(call, in->id, &account, err);
    if (code == PANG_OK)
        code = pang_manage_all(call, pang_key_assignments(&keys, account.id),
                               PANG_PRINCIPAL_ROLES_MAX, &rows, &n, err);
    if (code == PANG_OK)
        code = read_roles(call, rows, n, &roles, &n, err);
    return code == PANG_OK ? show_page(call, in, roles, n, reply, err) : code;
}

/* ---- assign, unassign ---- */

static pang_code show(pang_call *call, const pang_rec_assignment *body, assignment_out **ret,
                      pang_err *err)
{
    assignment_out *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (assignment_out)PANGOLIN__V1__ROLE_ASSIGNMENT__INIT;
    out->user_id = pang_manage_id_text(pang_id_of(body->principal), call->arena);
    out->role_id = pang_manage_id_text(pang_id_of(body->role), call->arena);
    out->assigned_by = pang_manage_id_text(pang_id_of(body->assigned_by), call->arena);
    out->assigned_at = pang_manage_time(body->assigned_ms, call->arena);
    *ret = out;
    return pang_manage_built(call->arena, err);
}

static pang_code check_room(pang_call *call, pang_id principal, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows;
    size_t n = 0;
    pang_code code = pang_counter_hold(call, pang_key_gains(&keys, principal), NULL, err);
    if (code == PANG_OK)
        code = pang_manage_all(call, pang_key_assignments(&keys, principal),
                               PANG_PRINCIPAL_ROLES_MAX, &rows, &n, err);
    if (code == PANG_OK && n == PANG_PRINCIPAL_ROLES_MAX)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "it has %zu roles already, at most %d", n, PANG_PRINCIPAL_ROLES_MAX);
    return code;
}

static pang_code assign(pang_call *call, pang_id principal, pang_id role, assignment_out **ret,
                        pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_rec_assignment body = PANGOLIN__STORE__V1__ASSIGNMENT__INIT;
    pang_code code = check_room(call, principal, err);
    if (code != PANG_OK)
        return code;
    body.principal = pang_bytes_of_id(&principal);
    body.role = pang_bytes_of_id(&role);
    body.assigned_by = pang_bytes_of_id(&call->who->id);
    body.assigned_ms = pang_env_wall_ms(call->server->env);
    pang_str packed = pang_record_pack(&body.base, call->arena);
    pang_txn_put(call->txn, PANG_KIND_ASSIGNMENT, pang_key_assignment(&keys, principal, role),
                 packed);
    pang_txn_put(call->txn, PANG_KIND_HOLDER, pang_key_holder(&keys, role, principal), packed);
    pang_txn_add(call->txn, pang_key_role_use(&keys, role), 1);
    pang_txn_add(call->txn, pang_key_gains(&keys, principal), 1);
    pang_identity_changed(call);
    return show(call, &body, ret, err);
}

/* *ret_body is NULL when the principal has not the role. */
static pang_code find(pang_call *call, const char *user, const char *role, pang_id *ret_principal,
                      pang_rec_role **ret_role, pang_rec_assignment **ret_body, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_account account;
    pang_record record;
    *ret_body = NULL;
    pang_code code = pang_account_find(call, user, &account, err);
    if (code == PANG_OK)
        code = pang_role_find(call, role, ret_role, err);
    if (code != PANG_OK)
        return code;
    *ret_principal = account.id;
    call->note.resource = pang_id_of((*ret_role)->id);
    pang_str key = pang_key_assignment(&keys, account.id, pang_id_of((*ret_role)->id));
    code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__assignment__descriptor, &record,
                                  call->arena, ret_body, err);
    return code;
}

pang_code pang_role_assign(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__AssignRoleRequest *in = request;
    Pangolin__V1__AssignRoleResponse *out = reply;
    pang_rec_assignment *body;
    pang_rec_role *role;
    pang_id principal;
    pang_code code = find(call, in->id, in->role_id, &principal, &role, &body, err);
    if (code != PANG_OK)
        return code;
    return body != NULL ? show(call, body, &out->assignment, err)
                        : assign(call, principal, pang_id_of(role->id), &out->assignment, err);
}

pang_code pang_role_unassign(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UnassignRoleRequest *in = request;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_assignment *body;
    pang_rec_role *role;
    pang_id principal;
    (void)reply;
    pang_code code = find(call, in->id, in->role_id, &principal, &role, &body, err);
    if (code != PANG_OK)
        return code;
    if (body == NULL)
        return pang_manage_absent("assignment of role", in->role_id, err);
    pang_id id = pang_id_of(role->id);
    pang_txn_delete(call->txn, pang_key_assignment(&keys, principal, id));
    pang_txn_delete(call->txn, pang_key_holder(&keys, id, principal));
    pang_txn_add(call->txn, pang_key_role_use(&keys, id), -1);
    pang_identity_changed(call);
    return pang_keys_status(&keys, err);
}
