/*
 * Users of identity providers. A call of a sign-in is of no tenant; what is done to a user is done
 * by a copy of the call that is of the user's, in the same transaction.
 */
#include "server/oidc_users.h"

#include <string.h>

#define RANK(name) PANGOLIN__STORE__V1__RANK__RANK_##name

typedef Pangolin__Store__V1__UserSubject rec_subject;
typedef Pangolin__Store__V1__LastUse rec_last_use;

/* One person on the way in. */
typedef struct {
    pang_call *call;
    pang_call in; /* the same in the user's tenant */
    const pang_provider *provider;
    const pang_somebody *who;
    pang_rec_user *user;
    bool is_changed;
} entry;

static pang_code deny(const entry *e, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                     "nobody here is the person that the identity provider \"%s\" names: %s",
                     e->provider->name, why);
}

/* ---- tenants ---- */

static pang_code enter_tenant(entry *e, pang_id tenant, pang_err *err)
{
    e->in = *e->call;
    e->in.tenant_key = pang_account_scope(PANG_PRINCIPAL_TENANT_USER, tenant, e->call->arena);
    if (e->in.tenant_key.ptr == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_identity_open(&e->in, err);
    return code == PANG_NOT_FOUND ? deny(e, "its tenant is not there", err) : code;
}

static pang_code enter_own_tenant(entry *e, pang_err *err)
{
    pang_keys keys = pang_identity_system(e->call);
    pang_id tenant;
    bool found = true;
    pang_code code = PANG_OK;
    if (!pang_id_parse(e->provider->users_tenant, &tenant))
        code = pang_name_find(e->call, pang_key_tenant_name(&keys, e->provider->users_tenant),
                              &found, &tenant, err);
    if (code == PANG_OK && !found)
        return deny(e, "the tenant of its users is not there", err);
    return code == PANG_OK ? enter_tenant(e, tenant, err) : code;
}

/* ---- who is known ---- */

static pang_str subject_key(entry *e, pang_keys *keys)
{
    *keys = pang_identity_system(e->call);
    return pang_key_user_subject(keys, pang_str_from(e->provider->name), e->who->subject);
}

static pang_code read_user(entry *e, pang_id id, pang_err *err)
{
    const char *text = pang_manage_id_text(id, e->call->arena);
    if (text == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_user_find(&e->in, text, &e->user, err);
    return code == PANG_NOT_FOUND ? deny(e, "the user is gone", err) : code;
}

static pang_code find_by_subject(entry *e, pang_err *err)
{
    pang_keys keys;
    pang_str key = subject_key(e, &keys);
    rec_subject *subject;
    pang_record record = {0};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(e->call->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__user_subject__descriptor, &record,
                              e->call->arena, &subject, err);
    if (code == PANG_OK)
        code = enter_tenant(e, pang_id_of(subject->tenant), err);
    return code == PANG_OK ? read_user(e, pang_id_of(subject->user), err) : code;
}

/* From now on the provider's subject leads to the user. */
static pang_code bind(entry *e, pang_err *err)
{
    rec_subject body = PANGOLIN__STORE__V1__USER_SUBJECT__INIT;
    pang_id tenant = pang_identity_tenant(&e->in);
    pang_keys keys;
    pang_str key = subject_key(e, &keys);
    body.tenant = pang_bytes_of_id(&tenant);
    body.user = e->user->id;
    e->user->provider = (char *)(uintptr_t)e->provider->name;
    e->user->subject = pang_arena_cstr(e->call->arena, e->who->subject);
    e->is_changed = true;
    pang_txn_put(e->call->txn, PANG_KIND_USER_SUBJECT, key,
                 pang_record_pack(&body.base, e->call->arena));
    return pang_manage_built(e->call->arena, err);
}

static pang_code find_by_email(entry *e, const pang_oidc *oidc, pang_err *err)
{
    pang_keys keys = pang_identity_keys(&e->in);
    pang_str email = {0};
    bool found = false;
    pang_id id;
    if (!e->who->email_verified || !pang_oidc_may_link(oidc, e->who->email))
        return PANG_OK;
    const char *text = pang_arena_cstr(e->call->arena, e->who->email);
    pang_code code = text == NULL ? pang_fail_memory(err)
                                  : pang_email_fold(text, e->call->arena, &email, err);
    if (code == PANG_OK)
        code = pang_name_find(&e->in, pang_key_user_email(&keys, email), &found, &id, err);
    if (code != PANG_OK || !found)
        return code;
    code = read_user(e, id, err);
    if (code == PANG_OK && e->user->email_is_claimed) {
        e->user =
            NULL; /* whoever took the address first would have the other's account and roles */
        return PANG_OK;
    }
    if (code == PANG_OK && e->user->provider[0] != '\0')
        return deny(e, "the user with its email address signs in otherwise", err);
    return code == PANG_OK ? bind(e, err) : code;
}

/* ---- who is new ---- */

/* What the operator names; else an address that somebody has verified. */
static pang_str new_name(entry *e)
{
    const pang_somebody *who = e->who;
    if (e->provider->name_claim.len > 0 && who->name.len > 0)
        return who->name;
    if (who->email_verified)
        return who->email;
    if (who->name.len > 0)
        return who->name;
    return pang_arena_printf(e->call->arena, "%s:%" PANG_STR_FMT, e->provider->name,
                             PANG_STR_ARG(who->subject));
}

/* An address that is somebody else's stays theirs. */
static pang_code take_email(entry *e, pang_id id, pang_err *err)
{
    pang_keys keys = pang_identity_keys(&e->in);
    char *text = pang_arena_cstr(e->call->arena, e->who->email);
    pang_str folded;
    if (text == NULL)
        return pang_fail_memory(err);
    if (!e->who->email_verified)
        return PANG_OK;
    pang_code code = pang_email_fold(text, e->call->arena, &folded, err);
    if (code == PANG_OK)
        code = pang_name_take(&e->in, PANG_KIND_USER_EMAIL, pang_key_user_email(&keys, folded),
                              "a user with the email", text, id, err);
    if (code == PANG_OK)
        e->user->email = text;
    return code == PANG_ALREADY_EXISTS ? PANG_OK : code;
}

static pang_code make_user(entry *e, pang_err *err)
{
    static const pang_rec_user empty = PANGOLIN__STORE__V1__USER__INIT;
    pang_keys keys = pang_identity_keys(&e->in);
    pang_id *id = pang_arena_alloc(e->call->arena, sizeof *id);
    char *name = pang_arena_cstr(e->call->arena, new_name(e));
    e->user = pang_arena_alloc(e->call->arena, sizeof *e->user);
    if (id == NULL || name == NULL || e->user == NULL)
        return pang_fail_memory(err);
    *id = pang_id_v7(e->call->server->env);
    *e->user = empty;
    e->user->id = pang_bytes_of_id(id);
    e->user->username = name;
    e->user->rank = RANK(TENANT_USER);
    e->user->created_ms = pang_env_wall_ms(e->call->server->env);
    if (pang_manage_name("username", name, NULL) != PANG_OK)
        return deny(e, "what it calls them is no user name", err);
    pang_code code = pang_name_take(&e->in, PANG_KIND_USER_NAME,
                                    pang_key_user_name(&keys, pang_str_from(name)), "user", name,
                                    *id, err);
    if (code == PANG_ALREADY_EXISTS)
        return deny(e, "another user has that name", err);
    if (code == PANG_OK)
        code = take_email(e, *id, err);
    if (code != PANG_OK)
        return code;
    pang_identity_count(&e->in, PANG_COUNT_USERS, 1);
    return bind(e, err);
}

static pang_code find_or_make(entry *e, const pang_oidc *oidc, pang_err *err)
{
    pang_code code = find_by_subject(e, err);
    if (code != PANG_OK || e->user != NULL)
        return code;
    code = enter_own_tenant(e, err);
    if (code == PANG_OK)
        code = find_by_email(e, oidc, err);
    if (code != PANG_OK || e->user != NULL)
        return code;
    return e->provider->creates_users ? make_user(e, err)
                                      : deny(e, "an administrator can make a user for them", err);
}

/* ---- roles that groups give ---- */

static bool has(const ProtobufCBinaryData *list, size_t n, pang_id id)
{
    for (size_t i = 0; i < n; i++)
        if (pang_id_equal(pang_id_of(list[i]), id))
            return true;
    return false;
}

static bool has_group(const pang_somebody *who, pang_str group)
{
    for (size_t i = 0; i < who->n_groups; i++)
        if (pang_str_equal(who->groups[i], group))
            return true;
    return false;
}

/* The roles of its groups, each once; a role that is not there gives nothing. */
static pang_code wanted_roles(entry *e, ProtobufCBinaryData **ret, size_t *ret_n, pang_err *err)
{
    const pang_provider *provider = e->provider;
    pang_keys keys = pang_identity_keys(&e->in);
    pang_code code = PANG_OK;
    *ret_n = 0;
    *ret = pang_arena_alloc_n(e->call->arena, provider->n_roles, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < provider->n_roles; i++) {
        pang_id *id = pang_arena_alloc(e->call->arena, sizeof *id);
        bool found = false;
        if (id == NULL)
            return pang_fail_memory(err);
        if (!has_group(e->who, provider->roles[i].group))
            continue;
        code = pang_name_find(&e->in, pang_key_role_name(&keys, provider->roles[i].role), &found,
                              id, err);
        if (code == PANG_OK && found && !has(*ret, *ret_n, *id))
            (*ret)[(*ret_n)++] = pang_bytes_of_id(id);
    }
    return code;
}

static pang_code is_assigned(entry *e, pang_id role, bool *ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(&e->in);
    pang_str key = pang_key_assignment(&keys, pang_id_of(e->user->id), role);
    pang_record record = {0};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(e->call->txn, key, &record, err);
    *ret = code == PANG_OK && record.version != 0;
    return code;
}

static pang_code take_role(entry *e, pang_id role, pang_err *err)
{
    pang_keys keys = pang_identity_keys(&e->in);
    pang_id user = pang_id_of(e->user->id);
    bool assigned;
    pang_code code = is_assigned(e, role, &assigned, err);
    if (code != PANG_OK || !assigned)
        return code;
    pang_txn_delete(e->call->txn, pang_key_assignment(&keys, user, role));
    pang_txn_delete(e->call->txn, pang_key_holder(&keys, role, user));
    pang_txn_add(e->call->txn, pang_key_role_use(&keys, role), -1);
    return pang_keys_status(&keys, err);
}

static pang_code give_role(entry *e, pang_id role, pang_err *err)
{
    pang_keys keys = pang_identity_keys(&e->in);
    pang_rec_assignment body = PANGOLIN__STORE__V1__ASSIGNMENT__INIT;
    pang_id user = pang_id_of(e->user->id), nobody = {{0}};
    const char *text = pang_manage_id_text(role, e->call->arena);
    pang_rec_role *checked; /* that it is not being deleted: it must be there at the commit */
    pang_code code = text == NULL ? pang_fail_memory(err)
                                  : pang_role_find(&e->in, text, &checked, err);
    if (code == PANG_NOT_FOUND)
        return PANG_OK;
    if (code != PANG_OK)
        return code;
    body.principal = pang_bytes_of_id(&user);
    body.role = pang_bytes_of_id(&role);
    body.assigned_by = pang_bytes_of_id(&nobody);
    body.assigned_ms = pang_env_wall_ms(e->call->server->env);
    pang_str packed = pang_record_pack(&body.base, e->call->arena);
    pang_txn_put(e->call->txn, PANG_KIND_ASSIGNMENT, pang_key_assignment(&keys, user, role),
                 packed);
    pang_txn_put(e->call->txn, PANG_KIND_HOLDER, pang_key_holder(&keys, role, user), packed);
    pang_txn_add(e->call->txn, pang_key_role_use(&keys, role), 1);
    pang_txn_add(e->call->txn, pang_key_gains(&keys, user), 1);
    return pang_manage_built(e->call->arena, err);
}

/* A principal has only as many roles as can be taken from it in one commit. */
static pang_code check_room(entry *e, size_t more, pang_err *err)
{
    pang_keys keys = pang_identity_keys(&e->in);
    pang_id user = pang_id_of(e->user->id);
    pang_record *rows;
    size_t n = 0;
    pang_code code = pang_counter_hold(&e->in, pang_key_gains(&keys, user), NULL, err);
    if (code == PANG_OK)
        code = pang_manage_all(&e->in, pang_key_assignments(&keys, user), PANG_PRINCIPAL_ROLES_MAX,
                               &rows, &n, err);
    if (code == PANG_OK && n + more > PANG_PRINCIPAL_ROLES_MAX)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "the user would have more than %d roles", PANG_PRINCIPAL_ROLES_MAX);
    return code;
}

/* Roles that were given by hand are nobody's business here: they are not in mapped_roles. */
static pang_code take_roles(entry *e, const ProtobufCBinaryData *wanted, size_t n, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < e->user->n_mapped_roles; i++) {
        pang_id role = pang_id_of(e->user->mapped_roles[i]);
        if (has(wanted, n, role))
            continue;
        code = take_role(e, role, err);
        e->is_changed = true;
    }
    return code;
}

static pang_code map_roles(entry *e, pang_err *err)
{
    pang_rec_user *user = e->user;
    ProtobufCBinaryData *wanted, *mapped;
    size_t n = 0, n_mapped = 0, n_given = 0;
    pang_code code = wanted_roles(e, &wanted, &n, err);
    if (code == PANG_OK)
        code = take_roles(e, wanted, n, err);
    mapped = pang_arena_alloc_n(e->call->arena, n, sizeof *mapped);
    if (code == PANG_OK && mapped == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_id role = pang_id_of(wanted[i]);
        bool assigned;
        code = is_assigned(e, role, &assigned, err);
        if (code == PANG_OK && !assigned) {
            code = give_role(e, role, err);
            n_given++;
        }
        if (!assigned || has(user->mapped_roles, user->n_mapped_roles, role))
            mapped[n_mapped++] = wanted[i];
    }
    if (code == PANG_OK && n_given > 0) {
        e->is_changed = true;
        code = check_room(e, n_given, err);
    }
    user->mapped_roles = mapped;
    user->n_mapped_roles = n_mapped;
    return code;
}

/* ---- all of it ---- */

static void store(entry *e)
{
    pang_keys keys = pang_identity_keys(&e->in);
    pang_id id = pang_id_of(e->user->id);
    rec_last_use use = PANGOLIN__STORE__V1__LAST_USE__INIT;
    use.used_ms = pang_env_wall_ms(e->call->server->env);
    pang_txn_put(e->call->txn, PANG_KIND_LAST_USE, pang_key_last_use(&keys, id),
                 pang_record_pack(&use.base, e->call->arena));
    if (!e->is_changed)
        return;
    e->user->updated_ms = use.used_ms;
    pang_txn_put(e->call->txn, PANG_KIND_USER, pang_key_user(&keys, id),
                 pang_record_pack(&e->user->base, e->call->arena));
    pang_identity_changed(&e->in);
}

pang_code pang_oidc_enter_user(pang_call *call, const pang_provider *provider,
                               const pang_somebody *who, pang_principal *ret, pang_err *err)
{
    entry e = {.call = call, .provider = provider, .who = who};
    pang_code code = find_or_make(&e, call->server->oidc, err);
    if (code == PANG_OK && (e.user->inactive || e.user->rank == RANK(ROOT)))
        return deny(&e, "the user is not active", err);
    if (code == PANG_OK)
        code = map_roles(&e, err);
    if (code != PANG_OK)
        return code;
    store(&e);
    bool is_admin = e.user->rank == RANK(TENANT_ADMIN);
    *ret = (pang_principal){
        .id = pang_id_of(e.user->id),
        .tenant = pang_identity_tenant(&e.in),
        .name = pang_str_from(e.user->username),
        .is_known = true,
        .kind = is_admin ? PANG_PRINCIPAL_TENANT_ADMIN : PANG_PRINCIPAL_TENANT_USER,
        .is_admin = is_admin,
        .token_epoch = e.user->token_epoch,
    };
    return pang_manage_built(call->arena, err);
}
