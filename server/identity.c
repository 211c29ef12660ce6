/*
 * Identity. A principal's id is looked for among users and service users in one read, since
 * callers do not say which they mean. What hangs on a principal is found by scans, and scans see
 * no phantom: its counter of gains is checked by the commit that scanned.
 */
#include "server/identity.h"

#include <string.h>

#define NAME_TYPE pangolin__store__v1__user_name__descriptor

/* ---- scopes and counters ---- */

pang_keys pang_identity_keys(const pang_call *call)
{
    return (pang_keys){.arena = call->arena, .scope = call->tenant_key};
}

pang_keys pang_identity_system(const pang_call *call)
{
    return (pang_keys){.arena = call->arena, .scope = PANG_SYSTEM_SCOPE};
}

pang_id pang_identity_tenant(const pang_call *call)
{
    pang_id id = {{0}};
    (void)pang_id_parse(call->tenant_key, &id);
    return id;
}

pang_code pang_identity_open(pang_call *call, pang_err *err)
{
    pang_keys keys = pang_identity_system(call);
    pang_id id = pang_identity_tenant(call);
    pang_rec_tenant *body;
    pang_record record;
    if (pang_str_equal(call->tenant_key, PANG_SYSTEM_SCOPE))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "a tenant is needed: name one in tenant_id or X-Pangolin-Tenant");
    pang_code code = pang_txn_get_one(call->txn, pang_key_tenant(&keys, id), &record, err);
    if (code != PANG_OK || (record.version == 0 && pang_id_is_nil(id)))
        return code;
    if (record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__tenant__descriptor, &record, call->arena,
                                  &body, err);
    if (code == PANG_OK && (record.version == 0 || body->deleting)) {
        char text[PANG_ID_TEXT + 1];
        pang_id_text(id, text);
        return pang_manage_absent("tenant", text, err);
    }
    return code;
}

void pang_identity_changed(pang_call *call)
{
    pang_identity_count(call, PANG_COUNT_AUTH, 1);
}

void pang_identity_count(pang_call *call, pang_str what, int64_t amount)
{
    pang_keys keys = pang_identity_keys(call);
    pang_txn_add(call->txn, pang_key_count(&keys, what), amount);
}

void pang_identity_note(pang_call *call, pang_id id, const char *name)
{
    pang_keys keys = pang_identity_keys(call);
    pang_str key = pang_key_user_name(&keys, pang_str_from(name));
    call->note.resource = id;
    call->note.name = pang_str_after(key, pang_key_prefix_len(key)); /* escaped, as in keys */
}

pang_code pang_counter_hold(pang_call *call, pang_str counter, int64_t *ret_value, pang_err *err)
{
    pang_ref ref = {.key = counter};
    pang_record record;
    pang_code code = pang_txn_get(call->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code != PANG_OK)
        return code;
    pang_txn_check_counter(call->txn, counter, record.value);
    if (ret_value != NULL)
        *ret_value = record.value;
    return PANG_OK;
}

pang_code pang_identity_hold(pang_call *call, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    return pang_counter_hold(call, pang_key_count(&keys, PANG_COUNT_AUTH), NULL, err);
}

/* ---- names ---- */

pang_code pang_name_take(pang_call *call, uint32_t kind, pang_str key, const char *what,
                         const char *name, pang_id id, pang_err *err)
{
    Pangolin__Store__V1__UserName body = PANGOLIN__STORE__V1__USER_NAME__INIT;
    pang_record record;
    pang_code code = pang_txn_get_one(call->txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version != 0)
        return pang_fail(err, PANG_ALREADY_EXISTS, "AlreadyExistsException",
                         "%s \"%s\" exists already", what, name);
    body.user = pang_bytes_of_id(&id);
    pang_txn_put(call->txn, kind, key, pang_record_pack(&body.base, call->arena));
    return pang_manage_built(call->arena, err);
}

pang_code pang_name_id(pang_call *call, const pang_record *record, pang_id *ret, pang_err *err)
{
    Pangolin__Store__V1__UserName *body;
    pang_code code = pang_record_unpack(&NAME_TYPE, record, call->arena, &body, err);
    if (code == PANG_OK)
        *ret = pang_id_of(body->user);
    return code;
}

pang_code pang_name_find(pang_call *call, pang_str key, bool *ret_found, pang_id *ret,
                         pang_err *err)
{
    pang_record record;
    pang_code code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_name_id(call, &record, ret, err);
    *ret_found = code == PANG_OK && record.version != 0;
    return code;
}

pang_code pang_email_fold(const char *email, pang_arena *arena, pang_str *ret, pang_err *err)
{
    char *text = pang_arena_cstr(arena, pang_str_from(email));
    if (text == NULL)
        return pang_fail_memory(err);
    for (char *c = text; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    *ret = pang_str_from(text);
    return PANG_OK;
}

/* The bodies that exist among n records. */
static pang_code unpack_all(pang_call *call, const ProtobufCMessageDescriptor *type,
                            const pang_record *records, size_t n, void **to, size_t *ret_n,
                            pang_err *err)
{
    pang_code code = PANG_OK;
    *ret_n = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (records[i].version != 0)
            code = pang_record_unpack(type, &records[i], call->arena, &to[(*ret_n)++], err);
    return code;
}

pang_code pang_named_list(pang_call *call, pang_named_query *query, void ***ret, size_t *ret_n,
                          char **ret_token, pang_err *err)
{
    pang_manage_page page;
    pang_record *records;
    pang_id id;
    pang_code code = pang_manage_list(call, &query->query, &page, err);
    if (code != PANG_OK)
        return code;
    pang_str *keys = pang_arena_alloc_n(call->arena, page.n, sizeof *keys);
    *ret = pang_arena_alloc_n(call->arena, page.n, sizeof **ret);
    if (keys == NULL || *ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < page.n; i++) {
        code = pang_name_id(call, &page.rows[i], &id, err);
        keys[i] = query->key_of(&query->keys, id);
    }
    if (code == PANG_OK)
        code = pang_manage_get(call, keys, page.n, &records, err);
    if (code == PANG_OK)
        code = unpack_all(call, query->type, records, page.n, *ret, ret_n, err);
    if (code == PANG_OK && page.next_token != NULL)
        *ret_token = page.next_token;
    return code;
}

/* ---- principals ---- */

static pang_code read_account(pang_call *call, pang_account *account, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_ref refs[] = {{.key = pang_key_user(&keys, account->id)},
                       {.key = pang_key_service_user(&keys, account->id)}};
    pang_record records[2];
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(call->txn, refs, 2, PANG_READ_CHECKED, records, err);
    if (code == PANG_OK && records[0].version != 0)
        return pang_record_unpack(&pangolin__store__v1__user__descriptor, &records[0], call->arena,
                                  &account->user, err);
    if (code == PANG_OK && records[1].version != 0)
        return pang_record_unpack(&pangolin__store__v1__service_user__descriptor, &records[1],
                                  call->arena, &account->service, err);
    return code;
}

pang_code pang_account_find(pang_call *call, const char *id, pang_account *ret, pang_err *err)
{
    *ret = (pang_account){0};
    if (!pang_id_parse(pang_str_from(id), &ret->id))
        return pang_manage_absent("user", id, err);
    pang_code code = read_account(call, ret, err);
    if (code == PANG_OK && ret->user == NULL && ret->service == NULL)
        return pang_manage_absent("user", id, err);
    return code;
}

/* A record that is found by its id, or is not there. */
static pang_code find(pang_call *call, const char *kind, pang_str key_of(pang_keys *, pang_id),
                      const ProtobufCMessageDescriptor *type, const char *id, void *ret,
                      pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record record;
    pang_id parsed;
    if (!pang_id_parse(pang_str_from(id), &parsed))
        return pang_manage_absent(kind, id, err);
    pang_code code = pang_txn_get_one(call->txn, key_of(&keys, parsed), &record, err);
    if (code == PANG_OK && record.version == 0)
        return pang_manage_absent(kind, id, err);
    return code == PANG_OK ? pang_record_unpack(type, &record, call->arena, ret, err) : code;
}

pang_code pang_user_find(pang_call *call, const char *id, pang_rec_user **ret, pang_err *err)
{
    return find(call, "user", pang_key_user, &pangolin__store__v1__user__descriptor, id, ret, err);
}

pang_code pang_service_user_find(pang_call *call, const char *id, pang_rec_service_user **ret,
                                 pang_err *err)
{
    return find(call, "service user", pang_key_service_user,
                &pangolin__store__v1__service_user__descriptor, id, ret, err);
}

pang_code pang_role_find(pang_call *call, const char *id, pang_rec_role **ret, pang_err *err)
{
    return find(call, "role", pang_key_role, &pangolin__store__v1__role__descriptor, id, ret, err);
}

/* ---- what hangs on a principal ---- */

static pang_code strip_grants(pang_call *call, pang_id principal, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows;
    size_t n;
    pang_code code = pang_manage_all(call, pang_key_grants(&keys, principal),
                                     PANG_PRINCIPAL_GRANTS_MAX, &rows, &n, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_grant *grant;
        code = pang_record_unpack(&pangolin__store__v1__grant__descriptor, &rows[i], call->arena,
                                  &grant, err);
        if (code != PANG_OK)
            break;
        pang_txn_delete(call->txn, rows[i].key);
        pang_txn_delete(call->txn, pang_key_grant_place(&keys, pang_id_of(grant->id)));
    }
    return code;
}

static pang_code strip_roles(pang_call *call, pang_id principal, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_record *rows;
    size_t n;
    pang_code code = pang_manage_all(call, pang_key_assignments(&keys, principal),
                                     PANG_PRINCIPAL_ROLES_MAX, &rows, &n, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_assignment *body;
        code = pang_record_unpack(&pangolin__store__v1__assignment__descriptor, &rows[i],
                                  call->arena, &body, err);
        if (code != PANG_OK)
            break;
        pang_id role = pang_id_of(body->role);
        pang_txn_delete(call->txn, rows[i].key);
        pang_txn_delete(call->txn, pang_key_holder(&keys, role, principal));
        pang_txn_add(call->txn, pang_key_role_use(&keys, role), -1);
    }
    return code;
}

pang_code pang_account_strip(pang_call *call, pang_id principal, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_code code = pang_counter_hold(call, pang_key_gains(&keys, principal), NULL, err);
    if (code == PANG_OK)
        code = strip_grants(call, principal, err);
    if (code == PANG_OK)
        code = strip_roles(call, principal, err);
    pang_txn_delete(call->txn, pang_key_last_use(&keys, principal));
    return code == PANG_OK ? pang_keys_status(&keys, err) : code;
}

const char *pang_rank_name(Pangolin__Store__V1__Rank rank)
{
    switch (rank) {
    case PANGOLIN__STORE__V1__RANK__RANK_ROOT:
        return "root";
    case PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN:
        return "tenant-admin";
    default:
        return "tenant-user";
    }
}

pang_code pang_rank_parse(const char *role, Pangolin__Store__V1__Rank *ret, pang_err *err)
{
    if (strcmp(role, "tenant-admin") == 0 || strcmp(role, "TenantAdmin") == 0)
        *ret = PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN;
    else if (strcmp(role, "tenant-user") == 0 || strcmp(role, "TenantUser") == 0)
        *ret = PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER;
    else
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "role \"%.100s\" is neither \"tenant-admin\" nor \"tenant-user\"", role);
    return PANG_OK;
}
