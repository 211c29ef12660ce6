/*
 * Signing in and out: logins, refreshes, tokens made by request, their lists and their end. Who may
 * is the dispatcher's; that no token is worth more than who makes it is found here, since that
 * depends on whose it shall be.
 */
#include <string.h>

#include "api/keys_secrets.h"
#include "server/sessions.h"
#include "server/svc_identity.h"
#include "server/token.h"

#include "pangolin/store/v1/secrets.pb-c.h"
#include "pangolin/v1/auth.pb-c.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define API_USER "api-user"
#define API_ADMIN "api-admin"

enum { HOURS_DEFAULT = 24 };

typedef Pangolin__Store__V1__IssuedToken rec_issued;
typedef Pangolin__V1__TokenInfo info_out;

static char *no_text(void)
{
    return (char *)(uintptr_t)protobuf_c_empty_string;
}

static char *text_of(pang_call *call, pang_str text)
{
    return pang_arena_cstr(call->arena, text);
}

static pang_code get_app_config(pang_call *call, const void *request, void *reply, pang_err *err)
{
    Pangolin__V1__GetAppConfigResponse *out = reply;
    (void)request;
    (void)err;
    out->auth_enabled = !call->server->evaluation;
    return PANG_OK;
}

/* ---- login, refresh ---- */

static pang_code login(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__LoginRequest *in = request;
    Pangolin__V1__LoginResponse *out = reply;
    pang_session_wish wish = {
        .life_ms = pang_session_life(call), .refreshes = true, .is_listed = true};
    pang_signin who;
    pang_session session;
    pang_id tenant;
    bool is_root = in->tenant_id[0] == '\0';
    if (!is_root && !pang_id_parse(pang_str_from(in->tenant_id), &tenant))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON, "tenant-id is no UUID");
    pang_code code = pang_signin_password(call, is_root ? NULL : &tenant,
                                          pang_str_from(in->username), pang_str_from(in->password),
                                          pang_str_from(in->new_password), &who, err);
    if (code == PANG_OK)
        code = pang_session_open(call, &who.who, &wish, &session, err);
    if (code == PANG_OK)
        code = pang_signin_show(call, &who, &out->user, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = who.who.id; /* the log has a login by its user, not by its token */
    out->token = text_of(call, session.access);
    out->refresh_token = text_of(call, session.refresh);
    out->expires_at = pang_manage_time(session.expires_ms, call->arena);
    return pang_manage_built(call->arena, err);
}

static pang_code refresh(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RefreshRequest *in = request;
    Pangolin__V1__RefreshResponse *out = reply;
    pang_session_wish wish = {
        .life_ms = pang_session_life(call), .refreshes = true, .is_listed = true};
    pang_signin who;
    pang_session session;
    pang_code code = pang_session_refresh(call, pang_str_from(in->refresh_token), &wish, &who,
                                          &session, err);
    if (code == PANG_OK)
        code = pang_signin_show(call, &who, &out->user, err);
    if (code != PANG_OK)
        return code;
    out->token = text_of(call, session.access);
    out->refresh_token = text_of(call, session.refresh);
    out->expires_at = pang_manage_time(session.expires_ms, call->arena);
    return pang_manage_built(call->arena, err);
}

/* ---- the call's own token ---- */

static bool has_token(const pang_call *call)
{
    return call->who->credential == PANG_CREDENTIAL_TOKEN;
}

static pang_code end_own(pang_call *call, const char *reason, pang_err *err)
{
    pang_code code = pang_manage_text("reason", reason, err);
    if (code != PANG_OK)
        return code;
    return pang_session_end(call, call->who, call->who->jti, call->who->expires_ms, reason, err);
}

/* There is nothing to end for a key, or where nobody is told apart: that is done then, too. */
static pang_code logout(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__LogoutRequest *in = request;
    (void)reply;
    return has_token(call) ? end_own(call, in->reason, err) : PANG_OK;
}

static pang_code revoke_current(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RevokeCurrentTokenRequest *in = request;
    Pangolin__V1__RevokeCurrentTokenResponse *out = reply;
    if (!has_token(call))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "the call carries no token that could be revoked");
    out->message = (char *)(uintptr_t) "Token revoked";
    return end_own(call, in->reason, err);
}

/* As long as the old one lived, where it was made to be listed. Others (of the token endpoint, of
 * other issuers) are short for a reason: what is left of them. */
static pang_code life_of_own(pang_call *call, int64_t *ret, pang_err *err)
{
    pang_keys keys = {.arena = call->arena,
                      .scope = pang_account_scope(call->who->kind, call->who->tenant, call->arena)};
    pang_str key = pang_key_issued_token(&keys, call->who->id, call->who->jti);
    rec_issued *body;
    pang_record record = {0};
    int64_t left_ms = call->who->expires_ms - (int64_t)PANG_TOKEN_LEEWAY_S * 1000 -
                      pang_env_wall_ms(call->server->env);
    *ret = left_ms > 1000 ? left_ms : 1000;
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__issued_token__descriptor, &record, call->arena,
                              &body, err);
    if (code == PANG_OK && body->expires_ms > body->created_ms)
        *ret = body->expires_ms - body->created_ms;
    return code;
}

static char *tenant_text(pang_call *call, const pang_principal *who)
{
    return who->kind == PANG_PRINCIPAL_ROOT ? no_text()
                                            : pang_manage_id_text(who->tenant, call->arena);
}

static pang_code rotate(pang_call *call, const void *request, void *reply, pang_err *err)
{
    Pangolin__V1__RotateTokenResponse *out = reply;
    pang_session_wish wish = {.is_listed = true};
    pang_signin who;
    pang_session session;
    (void)request;
    if (!has_token(call))
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "the call carries no token that could be rotated");
    pang_code code = life_of_own(call, &wish.life_ms, err);
    if (code == PANG_OK)
        code = pang_signin_again(call, call->who, call->who->token_epoch, &who, err);
    if (code == PANG_OK)
        code = end_own(call, "rotated", err);
    if (code == PANG_OK)
        code = pang_session_open(call, &who.who, &wish, &session, err);
    if (code != PANG_OK)
        return code;
    out->token = text_of(call, session.access);
    out->expires_at = pang_manage_time(session.expires_ms, call->arena);
    out->tenant_id = tenant_text(call, &who.who);
    return pang_manage_built(call->arena, err);
}

/* ---- tokens by request ---- */

static bool is_root_scope(const pang_call *call)
{
    return call->who->kind == PANG_PRINCIPAL_ROOT && !call->who->acts_for_root;
}

/* Clients spell roles in several ways. False for what is none. */
static bool parse_role(const char *text, pang_principal_kind *ret)
{
    static const struct {
        const char *name;
        pang_principal_kind kind;
    } names[] = {
        {"root", PANG_PRINCIPAL_ROOT},
        {"admin", PANG_PRINCIPAL_TENANT_ADMIN},
        {"tenantadmin", PANG_PRINCIPAL_TENANT_ADMIN},
        {"tenant-admin", PANG_PRINCIPAL_TENANT_ADMIN},
        {"tenant_admin", PANG_PRINCIPAL_TENANT_ADMIN},
        {"user", PANG_PRINCIPAL_TENANT_USER},
        {"tenantuser", PANG_PRINCIPAL_TENANT_USER},
        {"tenant-user", PANG_PRINCIPAL_TENANT_USER},
        {"tenant_user", PANG_PRINCIPAL_TENANT_USER},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (pang_str_equal_nocase(pang_str_from(text), pang_str_from(names[i].name))) {
            *ret = names[i].kind;
            return true;
        }
    }
    return false;
}

/* NONE: the user's own. */
static pang_code wanted_role(pang_call *call, const Pangolin__V1__GenerateTokenRequest *in,
                             pang_principal_kind *ret, pang_err *err)
{
    *ret = PANG_PRINCIPAL_NONE;
    if (in->n_roles == 0)
        return PANG_OK;
    if (!parse_role(in->roles[0], ret))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "role \"%.100s\" is none of root, tenant-admin, tenant-user",
                         in->roles[0]);
    if (*ret == PANG_PRINCIPAL_ROOT && call->who->kind != PANG_PRINCIPAL_ROOT)
        return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                         "a token's role cannot be above that of who makes it");
    return PANG_OK;
}

/* A principal for programs that was not made before; it signs in with tokens only. */
static pang_code make_user(pang_call *call, const char *name, pang_principal_kind kind,
                           pang_rec_user **ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_rec_user *body = pang_arena_alloc(call->arena, sizeof *body);
    pang_id *id = pang_arena_alloc(call->arena, sizeof *id);
    if (body == NULL || id == NULL)
        return pang_fail_memory(err);
    *id = pang_id_v7(call->server->env);
    *body = (pang_rec_user)PANGOLIN__STORE__V1__USER__INIT;
    body->id = pang_bytes_of_id(id);
    body->username = (char *)(uintptr_t)name;
    body->rank = kind == PANG_PRINCIPAL_TENANT_ADMIN ? PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN
                                                     : PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER;
    body->created_ms = body->updated_ms = pang_env_wall_ms(call->server->env);
    body->created_by = pang_bytes_of_id(&call->who->id);
    pang_code code = pang_name_take(call, PANG_KIND_USER_NAME,
                                    pang_key_user_name(&keys, pang_str_from(name)), "user", name,
                                    *id, err);
    if (code != PANG_OK)
        return code;
    pang_txn_put(call->txn, PANG_KIND_USER, pang_key_user(&keys, *id),
                 pang_record_pack(&body->base, call->arena));
    pang_identity_changed(call);
    pang_identity_count(call, PANG_COUNT_USERS, 1);
    *ret = body;
    return pang_keys_status(&keys, err);
}

static pang_code find_user(pang_call *call, const char *name, pang_principal_kind role,
                           pang_rec_user **ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    bool is_own = name[0] == '\0', found;
    pang_id id;
    if (is_own)
        name = role == PANG_PRINCIPAL_TENANT_ADMIN ? API_ADMIN : API_USER;
    pang_code code = pang_manage_name("username", name, err);
    if (code == PANG_OK)
        code = pang_name_find(call, pang_key_user_name(&keys, pang_str_from(name)), &found, &id,
                              err);
    if (code == PANG_OK && found)
        return pang_user_find(call, pang_manage_id_text(id, call->arena), ret, err);
    if (code == PANG_OK && (is_own || strcmp(name, API_USER) == 0))
        return make_user(call, name, role, ret, err);
    return code == PANG_OK ? pang_manage_absent("user", name, err) : code;
}

static pang_code be_user(const pang_rec_user *user, pang_id tenant, pang_principal_kind role,
                         pang_principal *ret, pang_err *err)
{
    bool is_admin = user->rank == PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN;
    pang_principal_kind own = is_admin ? PANG_PRINCIPAL_TENANT_ADMIN : PANG_PRINCIPAL_TENANT_USER;
    if (user->inactive)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "user \"%.200s\" is not active", user->username);
    if (role == PANG_PRINCIPAL_TENANT_ADMIN && !is_admin)
        return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                         "a token's role cannot be above that of its user");
    if (role == PANG_PRINCIPAL_TENANT_USER && is_admin)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "user \"%.200s\" is a tenant-admin, and so is a token of it: make one for "
                         "a user who may less",
                         user->username);
    *ret = (pang_principal){
        .id = pang_id_of(user->id),
        .tenant = tenant,
        .name = pang_str_from(user->username),
        .is_known = true,
        .kind = own,
        .is_admin = is_admin,
        .token_epoch = user->token_epoch,
    };
    return PANG_OK;
}

static pang_code token_owner(pang_call *call, const Pangolin__V1__GenerateTokenRequest *in,
                             pang_principal *ret, pang_err *err)
{
    pang_principal_kind role;
    pang_rec_user *user;
    pang_signin root;
    pang_principal as = {.id = pang_root_id, .kind = PANG_PRINCIPAL_ROOT};
    pang_code code = wanted_role(call, in, &role, err);
    if (code == PANG_OK && role == PANG_PRINCIPAL_ROOT) {
        code = pang_signin_again(call, &as, UINT64_MAX, &root, err);
        *ret = root.who;
        return code;
    }
    if (code == PANG_OK)
        code = pang_identity_open(call, err);
    if (code == PANG_OK)
        code = find_user(call, in->username, role, &user, err);
    return code == PANG_OK ? be_user(user, pang_identity_tenant(call), role, ret, err) : code;
}

static pang_code generate(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GenerateTokenRequest *in = request;
    Pangolin__V1__GenerateTokenResponse *out = reply;
    int64_t hours = in->expires_in_hours == 0 ? HOURS_DEFAULT : in->expires_in_hours;
    pang_session_wish wish = {.is_listed = true};
    pang_principal who;
    pang_session session;
    if (hours < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "expires_in_hours is negative");
    wish.life_ms = hours * HOUR_MS < PANG_TOKEN_LIFE_MAX_MS ? hours * HOUR_MS
                                                            : PANG_TOKEN_LIFE_MAX_MS;
    pang_code code = token_owner(call, in, &who, err);
    if (code == PANG_OK)
        code = pang_session_open(call, &who, &wish, &session, err);
    if (code != PANG_OK)
        return code;
    call->note.name = who.name;
    out->token = text_of(call, session.access);
    out->expires_at = pang_manage_time(session.expires_ms, call->arena);
    out->tenant_id = tenant_text(call, &who);
    return pang_manage_built(call->arena, err);
}

/* ---- lists ---- */

typedef struct {
    pang_call *call;
    pang_str scope;
    pang_id user;
    int32_t page_size, offset;
    const char *token; /* NULL: the first page */
    uint64_t epoch;    /* tokens of before have ended */
} listing;

static pang_code show(const listing *l, const pang_record *record, info_out **ret, pang_err *err)
{
    pang_arena *arena = l->call->arena;
    info_out *out = pang_arena_alloc(arena, sizeof *out);
    rec_issued *body;
    pang_id jti, tenant;
    if (out == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_record_unpack(&pangolin__store__v1__issued_token__descriptor, record,
                                        arena, &body, err);
    if (code != PANG_OK)
        return code;
    *out = (info_out)PANGOLIN__V1__TOKEN_INFO__INIT;
    if (pang_id_parse(pang_str_after(record->key, record->key.len - PANG_ID_HEX), &jti))
        out->id = pang_manage_id_text(jti, arena);
    if (pang_id_parse(l->scope, &tenant))
        out->tenant_id = pang_manage_id_text(tenant, arena);
    out->user_id = pang_manage_id_text(l->user, arena);
    out->username = body->username;
    out->created_at = pang_manage_time(body->created_ms, arena);
    out->expires_at = pang_manage_time(body->expires_ms, arena);
    out->is_valid = body->token_epoch >= l->epoch &&
                    body->expires_ms > pang_env_wall_ms(l->call->server->env);
    *ret = out;
    return pang_manage_built(arena, err);
}

/* Newest first: ids are in the order of time, so it is the range read backwards. */
static pang_code list_tokens(const listing *l, info_out ***ret, size_t *ret_n, char **ret_token,
                             pang_err *err)
{
    pang_keys keys = {.arena = l->call->arena, .scope = l->scope};
    pang_manage_query query = {
        .prefix = pang_key_issued_tokens(&keys, l->user),
        .page_size = l->page_size,
        .offset = l->offset,
        .token = l->token,
        .descending = true,
    };
    pang_manage_page page;
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_manage_list(l->call, &query, &page, err);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_alloc_n(l->call->arena, page.n, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < page.n; i++)
        code = show(l, &page.rows[i], &(*ret)[(*ret_n)++], err);
    if (code == PANG_OK && page.next_token != NULL)
        *ret_token = page.next_token;
    return code;
}

/* 0 where there is no account: nobody's tokens are listed then. */
static pang_code epoch_of(pang_call *call, const pang_principal *who, uint64_t *ret, pang_err *err)
{
    pang_signin now;
    *ret = 0;
    if (pang_id_is_nil(who->id))
        return PANG_OK;
    pang_code code = pang_signin_again(call, who, UINT64_MAX, &now, err);
    *ret = now.who.token_epoch;
    return code == PANG_UNAUTHENTICATED ? PANG_OK : code;
}

static pang_code list_mine(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListMyTokensRequest *in = request;
    Pangolin__V1__ListMyTokensResponse *out = reply;
    listing l = {
        .call = call,
        .scope = call->who->kind == PANG_PRINCIPAL_ROOT ? PANG_SYSTEM_SCOPE : call->tenant_key,
        .user = call->who->id,
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
    };
    pang_code code = epoch_of(call, call->who, &l.epoch, err);
    return code == PANG_OK
               ? list_tokens(&l, &out->tokens, &out->n_tokens, &out->next_page_token, err)
               : code;
}

static pang_code list_of_user(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListUserTokensRequest *in = request;
    Pangolin__V1__ListUserTokensResponse *out = reply;
    listing l = {
        .call = call,
        .scope = call->tenant_key,
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
    };
    pang_account account;
    pang_code code;
    if (is_root_scope(call) && pang_id_parse(pang_str_from(in->user_id), &l.user) &&
        pang_id_equal(l.user, pang_root_id)) {
        const pang_principal root = {.id = pang_root_id, .kind = PANG_PRINCIPAL_ROOT};
        l.scope = PANG_SYSTEM_SCOPE;
        code = epoch_of(call, &root, &l.epoch, err);
    } else {
        code = pang_account_find(call, in->user_id, &account, err);
        l.user = account.id;
        if (code == PANG_OK)
            l.epoch = account.user != NULL ? account.user->token_epoch
                                           : account.service->token_epoch;
    }
    return code == PANG_OK
               ? list_tokens(&l, &out->tokens, &out->n_tokens, &out->next_page_token, err)
               : code;
}

/* ---- ends ---- */

static pang_code end_by_id(pang_call *call, const char *id, const char *reason, pang_err *err)
{
    pang_code code = pang_manage_text("reason", reason, err);
    if (code == PANG_OK)
        code = pang_session_end_listed(call, call->tenant_key, id, reason, err);
    if (code == PANG_NOT_FOUND && is_root_scope(call))
        code = pang_session_end_listed(call, PANG_SYSTEM_SCOPE, id, reason, err);
    return code;
}

static pang_code delete_token(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteTokenRequest *in = request;
    (void)reply;
    return end_by_id(call, in->token_id, "", err);
}

static pang_code revoke_token(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RevokeTokenRequest *in = request;
    Pangolin__V1__RevokeTokenResponse *out = reply;
    out->message = (char *)(uintptr_t) "Token revoked";
    return end_by_id(call, in->token_id, in->reason, err);
}

/* What has expired is not there any more to whoever reads: nothing is left to count. */
static pang_code cleanup(pang_call *call, const void *request, void *reply, pang_err *err)
{
    Pangolin__V1__CleanupTokensResponse *out = reply;
    (void)call;
    (void)request;
    (void)err;
    out->message = (char *)(uintptr_t) "Expired tokens are removed as they expire";
    return PANG_OK;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.AuthService/GetAppConfig",
        .in = &pangolin__v1__get_app_config_request__descriptor,
        .out = &pangolin__v1__get_app_config_response__descriptor,
        .handle = get_app_config,
    },
    {
        .path = "/pangolin.v1.AuthService/Login",
        .in = &pangolin__v1__login_request__descriptor,
        .out = &pangolin__v1__login_response__descriptor,
        .handle = login,
    },
    {
        .path = "/pangolin.v1.AuthService/Logout",
        .in = &pangolin__v1__logout_request__descriptor,
        .out = &pangolin__v1__logout_response__descriptor,
        .handle = logout,
    },
    {
        .path = "/pangolin.v1.AuthService/Refresh",
        .in = &pangolin__v1__refresh_request__descriptor,
        .out = &pangolin__v1__refresh_response__descriptor,
        .handle = refresh,
    },
    {
        .path = "/pangolin.v1.AuthService/GenerateToken",
        .in = &pangolin__v1__generate_token_request__descriptor,
        .out = &pangolin__v1__generate_token_response__descriptor,
        .handle = generate,
    },
    {
        .path = "/pangolin.v1.AuthService/RotateToken",
        .in = &pangolin__v1__rotate_token_request__descriptor,
        .out = &pangolin__v1__rotate_token_response__descriptor,
        .handle = rotate,
    },
    {
        .path = "/pangolin.v1.AuthService/ListMyTokens",
        .in = &pangolin__v1__list_my_tokens_request__descriptor,
        .out = &pangolin__v1__list_my_tokens_response__descriptor,
        .handle = list_mine,
    },
    {
        .path = "/pangolin.v1.AuthService/ListUserTokens",
        .in = &pangolin__v1__list_user_tokens_request__descriptor,
        .out = &pangolin__v1__list_user_tokens_response__descriptor,
        .handle = list_of_user,
    },
    {
        .path = "/pangolin.v1.AuthService/DeleteToken",
        .in = &pangolin__v1__delete_token_request__descriptor,
        .out = &pangolin__v1__delete_token_response__descriptor,
        .handle = delete_token,
    },
    {
        .path = "/pangolin.v1.AuthService/RevokeCurrentToken",
        .in = &pangolin__v1__revoke_current_token_request__descriptor,
        .out = &pangolin__v1__revoke_current_token_response__descriptor,
        .handle = revoke_current,
    },
    {
        .path = "/pangolin.v1.AuthService/RevokeToken",
        .in = &pangolin__v1__revoke_token_request__descriptor,
        .out = &pangolin__v1__revoke_token_response__descriptor,
        .handle = revoke_token,
    },
    {
        .path = "/pangolin.v1.AuthService/CleanupTokens",
        .in = &pangolin__v1__cleanup_tokens_request__descriptor,
        .out = &pangolin__v1__cleanup_tokens_response__descriptor,
        .handle = cleanup,
    },
};

const pang_service pang_service_auth = {
    .name = "pangolin.v1.AuthService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
