/*
 * Users: the people of a tenant. Name and email lead to the user by records of their own, so that
 * both are unique however many servers make users at once. When a user was last here stands in a
 * record of its own, too, which signing in writes and nothing here does.
 */
#include <string.h>

#include "server/identity.h"
#include "server/password.h"
#include "server/svc_identity.h"

#include "pangolin/v1/user.pb-c.h"

enum { EMAIL_MAX = 254 };

typedef Pangolin__V1__UserInfo info_out;
typedef Pangolin__Store__V1__LastUse last_use;

/* ---- between record and reply ---- */

static info_out *new_info(pang_call *call, pang_id id, const char *role)
{
    info_out *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return NULL;
    *out = (info_out)PANGOLIN__V1__USER_INFO__INIT;
    out->id = pang_manage_id_text(id, call->arena);
    out->role = (char *)(uintptr_t)role;
    if (!pang_str_equal(call->tenant_key, PANG_SYSTEM_SCOPE))
        out->tenant_id = pang_manage_id_text(pang_identity_tenant(call), call->arena);
    out->active = true;
    return out;
}

static pang_code show(pang_call *call, const pang_rec_user *body, int64_t used_ms, info_out **ret,
                      pang_err *err)
{
    info_out *out = new_info(call, pang_id_of(body->id), pang_rank_name(body->rank));
    if (out == NULL)
        return pang_fail_memory(err);
    out->username = body->username;
    out->email = body->email;
    out->oauth_provider = body->provider;
    out->created_at = pang_manage_time(body->created_ms, call->arena);
    if (used_ms > 0)
        out->last_login = pang_manage_time(used_ms, call->arena);
    out->active = !body->inactive;
    *ret = out;
    return pang_manage_built(call->arena, err);
}

static pang_code used_ms(pang_call *call, const pang_record *record, int64_t *ret, pang_err *err)
{
    last_use *body;
    *ret = 0;
    if (record->version == 0)
        return PANG_OK;
    pang_code code = pang_record_unpack(&pangolin__store__v1__last_use__descriptor, record,
                                        call->arena, &body, err);
    if (code == PANG_OK)
        *ret = body->used_ms;
    return code;
}

static pang_code show_one(pang_call *call, const pang_rec_user *body, info_out **ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_ref ref = {.key = pang_key_last_use(&keys, pang_id_of(body->id))};
    pang_record record;
    int64_t used = 0;
    /* Unchecked: that somebody signs in meanwhile is no race. */
    pang_code code = pang_txn_get(call->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code == PANG_OK)
        code = used_ms(call, &record, &used, err);
    return code == PANG_OK ? show(call, body, used, ret, err) : code;
}

static void put(pang_call *call, pang_rec_user *body)
{
    pang_keys keys = pang_identity_keys(call);
    body->updated_ms = pang_env_wall_ms(call->server->env);
    pang_txn_put(call->txn, PANG_KIND_USER, pang_key_user(&keys, pang_id_of(body->id)),
                 pang_record_pack(&body->base, call->arena));
    pang_identity_changed(call);
    pang_identity_note(call, pang_id_of(body->id), body->username);
}

/* ---- fields ---- */

static pang_code check_email(const char *email, pang_err *err)
{
    if (email[0] == '\0')
        return PANG_OK;
    pang_code code = pang_manage_name("email", email, err);
    if (code == PANG_OK && (strlen(email) > EMAIL_MAX || strchr(email, '@') == NULL))
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "email is no address of at most %d bytes", EMAIL_MAX);
    return code;
}

/* The address leads to the user from now on, and the one before to nobody. */
static pang_code take_email(pang_call *call, pang_rec_user *body, char *email, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_str before = {0}, after = {0};
    pang_code code = check_email(email, err);
    if (code == PANG_OK)
        code = pang_email_fold(body->email, call->arena, &before, err);
    if (code == PANG_OK)
        code = pang_email_fold(email, call->arena, &after, err);
    if (code == PANG_OK && after.len > 0 && !pang_str_equal(before, after))
        code = pang_name_take(call, PANG_KIND_USER_EMAIL, pang_key_user_email(&keys, after),
                              "a user with the email", email, pang_id_of(body->id), err);
    if (code != PANG_OK)
        return code;
    if (before.len > 0 && !pang_str_equal(before, after))
        pang_txn_delete(call->txn, pang_key_user_email(&keys, before));
    body->email = email;
    return pang_keys_status(&keys, err);
}

static pang_code set_password(pang_call *call, pang_rec_user *body, const char *password,
                              pang_err *err)
{
    pang_str given = pang_str_from(password), hash;
    if (call->server->passwords == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "this server takes no passwords");
    pang_code code = pang_password_check(given, pang_str_from(body->username), err);
    if (code == PANG_OK)
        code = pang_password_hash(call->server->passwords, given, call->deadline_ms, call->arena,
                                  &hash, err);
    if (code != PANG_OK)
        return code;
    body->password = pang_arena_cstr(call->arena, hash);
    return body->password == NULL ? pang_fail_memory(err) : PANG_OK;
}

/* ---- create ---- */

static pang_code fill_new(pang_call *call, const Pangolin__V1__CreateUserRequest *in,
                          pang_rec_user *body, pang_err *err)
{
    pang_code code = pang_manage_name("username", in->username, err);
    if (code == PANG_OK)
        code = pang_rank_parse(in->role, &body->rank, err);
    if (code == PANG_OK)
        code = check_email(in->email, err);
    body->username = in->username;
    body->created_ms = pang_env_wall_ms(call->server->env);
    body->created_by = pang_bytes_of_id(&call->who->id);
    return code;
}

static pang_code create_user(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateUserRequest *in = request;
    Pangolin__V1__CreateUserResponse *out = reply;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_user body = PANGOLIN__STORE__V1__USER__INIT;
    pang_id id = pang_id_v7(call->server->env);
    body.id = pang_bytes_of_id(&id);
    pang_code code = fill_new(call, in, &body, err);
    if (code == PANG_OK)
        code = pang_identity_open(call, err);
    if (code == PANG_OK)
        code = pang_name_take(call, PANG_KIND_USER_NAME,
                              pang_key_user_name(&keys, pang_str_from(in->username)), "user",
                              in->username, id, err);
    if (code == PANG_OK)
        code = take_email(call, &body, in->email, err);
    if (code == PANG_OK && in->password[0] != '\0')
        code = set_password(call, &body, in->password, err);
    if (code == PANG_OK)
        code = show(call, &body, 0, &out->user, err);
    if (code != PANG_OK)
        return code;
    put(call, &body);
    pang_identity_count(call, PANG_COUNT_USERS, 1);
    return pang_manage_built(call->arena, err);
}

/* ---- list, get ---- */

static pang_code last_uses(pang_call *call, void **bodies, size_t n, pang_record **ret,
                           pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_str *wanted = pang_arena_alloc_n(call->arena, n, sizeof *wanted);
    if (wanted == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        wanted[i] = pang_key_last_use(&keys, pang_id_of(((pang_rec_user *)bodies[i])->id));
    return pang_manage_get(call, wanted, n, ret, err);
}

static pang_code list_users(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListUsersRequest *in = request;
    Pangolin__V1__ListUsersResponse *out = reply;
    pang_named_query query = {
        .keys = pang_identity_keys(call),
        .query = {.page_size = in->page_size, .offset = in->offset},
        .key_of = pang_key_user,
        .type = &pangolin__store__v1__user__descriptor,
    };
    pang_record *uses = NULL;
    void **bodies = NULL;
    size_t n = 0;
    query.query.prefix = pang_key_user_names(&query.keys);
    query.query.token = in->_page_token_case != 0 ? in->page_token : NULL;
    pang_code code = pang_named_list(call, &query, &bodies, &n, &out->next_page_token, err);
    if (code == PANG_OK)
        code = last_uses(call, bodies, n, &uses, err);
    if (code != PANG_OK)
        return code;
    out->users = pang_arena_alloc_n(call->arena, n, sizeof *out->users);
    if (out->users == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        int64_t used;
        code = used_ms(call, &uses[i], &used, err);
        if (code == PANG_OK)
            code = show(call, bodies[i], used, &out->users[out->n_users++], err);
    }
    return code;
}

static pang_code get_user(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetUserRequest *in = request;
    Pangolin__V1__GetUserResponse *out = reply;
    pang_rec_user *body = NULL;
    pang_code code = pang_user_find(call, in->id, &body, err);
    return code == PANG_OK ? show_one(call, body, &out->user, err) : code;
}

/* ---- who calls ---- */

/* Root without a record, and everybody where nobody is told apart. */
static pang_code show_caller(pang_call *call, info_out **ret, pang_err *err)
{
    bool is_root = call->who->kind == PANG_PRINCIPAL_ROOT;
    info_out *out = new_info(call, call->who->id, is_root ? "root" : "tenant-admin");
    if (out == NULL)
        return pang_fail_memory(err);
    out->username = pang_arena_cstr(call->arena, call->who->name);
    out->email = (char *)(uintptr_t)(is_root ? "root@pangolin.local" : "");
    out->created_at = pang_manage_time(0, call->arena);
    if (is_root)
        out->tenant_id = (char *)protobuf_c_empty_string;
    *ret = out;
    return pang_manage_built(call->arena, err);
}

static pang_code show_service(pang_call *call, const pang_rec_service_user *body, info_out **ret,
                              pang_err *err)
{
    info_out *out = new_info(call, pang_id_of(body->id), pang_rank_name(body->rank));
    if (out == NULL)
        return pang_fail_memory(err);
    out->username = body->name;
    out->created_at = pang_manage_time(body->created_ms, call->arena);
    out->active = !body->inactive;
    *ret = out;
    return pang_manage_built(call->arena, err);
}

static pang_code get_me(pang_call *call, const void *request, void *reply, pang_err *err)
{
    Pangolin__V1__GetMeResponse *out = reply;
    pang_account account;
    (void)request;
    if (call->who->kind == PANG_PRINCIPAL_ROOT || pang_id_is_nil(call->who->id))
        return show_caller(call, &out->user, err);
    const char *id = pang_manage_id_text(call->who->id, call->arena);
    if (id == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_account_find(call, id, &account, err);
    if (code == PANG_OK && account.service != NULL)
        return show_service(call, account.service, &out->user, err);
    return code == PANG_OK ? show_one(call, account.user, &out->user, err) : code;
}

/* ---- update, delete ---- */

static pang_code check_not_self(pang_call *call, const pang_rec_user *body, const char *what,
                                pang_err *err)
{
    if (!pang_id_equal(pang_id_of(body->id), call->who->id))
        return PANG_OK;
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                     "nobody can %s itself: another administrator can", what);
}

/* What an administrator gives is vouched for; what users give themselves is only said. */
static pang_code change_email(pang_call *call, pang_rec_user *body, char *email, pang_err *err)
{
    bool by_itself = pang_id_equal(pang_id_of(body->id), call->who->id) && !call->who->is_admin;
    if (!by_itself || strcmp(email, body->email) != 0)
        body->email_is_claimed = by_itself;
    return take_email(call, body, email, err);
}

static pang_code set_active(pang_call *call, pang_rec_user *body, bool active, pang_err *err)
{
    pang_code code = active ? PANG_OK : check_not_self(call, body, "disable", err);
    if (code == PANG_OK && !active && !body->inactive)
        body->token_epoch++;
    if (code == PANG_OK)
        body->inactive = !active;
    return code;
}

static pang_code update_user(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateUserRequest *in = request;
    Pangolin__V1__UpdateUserResponse *out = reply;
    pang_rec_user *body = NULL;
    pang_code code = pang_user_find(call, in->id, &body, err);
    if (code == PANG_OK && in->_email_case != 0)
        code = change_email(call, body, in->email, err);
    if (code == PANG_OK && in->_active_case != 0)
        code = set_active(call, body, in->active, err);
    if (code == PANG_OK && in->_password_case != 0) {
        code = set_password(call, body, in->password, err);
        body->token_epoch++;
    }
    if (code == PANG_OK)
        code = show_one(call, body, &out->user, err);
    if (code != PANG_OK)
        return code;
    put(call, body);
    return pang_manage_built(call->arena, err);
}

static pang_code remove_names(pang_call *call, const pang_rec_user *body, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call), shared = pang_identity_system(call);
    pang_str email = {0};
    pang_code code = pang_email_fold(body->email, call->arena, &email, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(call->txn, pang_key_user_name(&keys, pang_str_from(body->username)));
    if (email.len > 0)
        pang_txn_delete(call->txn, pang_key_user_email(&keys, email));
    if (body->provider[0] != '\0')
        pang_txn_delete(call->txn, pang_key_user_subject(&shared, pang_str_from(body->provider),
                                                         pang_str_from(body->subject)));
    return PANG_OK;
}

static pang_code delete_user(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteUserRequest *in = request;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_user *body = NULL;
    (void)reply;
    pang_code code = pang_user_find(call, in->id, &body, err);
    if (code == PANG_OK)
        code = check_not_self(call, body, "delete", err);
    /* Two administrators who delete each other: the second is looked at again, and is gone. */
    if (code == PANG_OK)
        code = pang_identity_hold(call, err);
    if (code == PANG_OK)
        code = remove_names(call, body, err);
    if (code == PANG_OK)
        code = pang_account_strip(call, pang_id_of(body->id), err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(call->txn, pang_key_user(&keys, pang_id_of(body->id)));
    pang_identity_count(call, PANG_COUNT_USERS, -1);
    pang_identity_changed(call);
    pang_identity_note(call, pang_id_of(body->id), body->username);
    return pang_manage_built(call->arena, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.UserService/CreateUser",
        .in = &pangolin__v1__create_user_request__descriptor,
        .out = &pangolin__v1__create_user_response__descriptor,
        .handle = create_user,
    },
    {
        .path = "/pangolin.v1.UserService/ListUsers",
        .in = &pangolin__v1__list_users_request__descriptor,
        .out = &pangolin__v1__list_users_response__descriptor,
        .handle = list_users,
    },
    {
        .path = "/pangolin.v1.UserService/GetMe",
        .in = &pangolin__v1__get_me_request__descriptor,
        .out = &pangolin__v1__get_me_response__descriptor,
        .handle = get_me,
    },
    {
        .path = "/pangolin.v1.UserService/GetUser",
        .in = &pangolin__v1__get_user_request__descriptor,
        .out = &pangolin__v1__get_user_response__descriptor,
        .handle = get_user,
    },
    {
        .path = "/pangolin.v1.UserService/UpdateUser",
        .in = &pangolin__v1__update_user_request__descriptor,
        .out = &pangolin__v1__update_user_response__descriptor,
        .handle = update_user,
    },
    {
        .path = "/pangolin.v1.UserService/DeleteUser",
        .in = &pangolin__v1__delete_user_request__descriptor,
        .out = &pangolin__v1__delete_user_response__descriptor,
        .handle = delete_user,
    },
};

const pang_service pang_service_user = {
    .name = "pangolin.v1.UserService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
