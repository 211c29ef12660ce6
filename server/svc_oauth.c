/*
 * The OAuth 2.0 token endpoint of Iceberg's clients (RFC 6749, 8693), and the keys that tokens are
 * verified with. A client is a service user with its key, or a user with its password; it names
 * itself in the form or by HTTP Basic, not both. Errors carry the reasons of the RFC.
 */
#include <string.h>

#include "api/base64.h"
#include "server/api_key.h"
#include "server/keyring.h"
#include "server/sessions.h"
#include "server/svc_identity.h"
#include "server/svc_oidc.h"

#include "pangolin/v1/oauth.pb-c.h"

#define ACCESS_TOKEN "urn:ietf:params:oauth:token-type:access_token"
#define JWT "urn:ietf:params:oauth:token-type:jwt"
#define SCOPE "catalog"
#define TOKEN_EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"

enum { CREDENTIAL_MAX = 8 << 10 /* bytes of an Authorization header */ };

typedef Pangolin__V1__IssueOauthTokenRequest token_request;
typedef Pangolin__V1__IssueOauthTokenResponse token_response;

/* What a client calls itself, and its secret. */
typedef struct {
    pang_str id, secret;
    bool is_given;
} client;

static pang_code bad_request(const char *reason, const char *message, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, reason, "%s", message);
}

/* ---- the client ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Both halves are form-encoded within Basic (RFC 6749, 2.3.1). Clients that do not know it send
 * them as they are: what is no escape stands for itself. */
static pang_str unescape(pang_str text, pang_arena *arena)
{
    char *to = pang_arena_alloc_text(arena, text.len + 1);
    size_t n = 0;
    for (size_t i = 0; to != NULL && i < text.len; i++) {
        bool escapes = text.ptr[i] == '%' && i + 2 < text.len && hex_value(text.ptr[i + 1]) >= 0 &&
                       hex_value(text.ptr[i + 2]) >= 0;
        to[n++] = escapes ? (char)(hex_value(text.ptr[i + 1]) * 16 + hex_value(text.ptr[i + 2]))
                          : text.ptr[i];
        if (escapes)
            i += 2;
    }
    return (pang_str){to, n};
}

static pang_code read_basic(pang_str header, pang_arena *arena, client *ret, pang_err *err)
{
    pang_str bytes;
    size_t blank = pang_str_find(header, ' '), colon;
    if (!pang_str_equal_nocase(pang_str_slice(header, 0, blank), PANG_STR("Basic")))
        return PANG_OK; /* a bearer token says nothing about the client */
    if (header.len > CREDENTIAL_MAX ||
        !pang_base64_decode(pang_str_trim(pang_str_after(header, blank)), PANG_BASE64, arena,
                            &bytes))
        return pang_fail(err, PANG_UNAUTHENTICATED, "invalid_client",
                         "the Basic credential is malformed");
    colon = pang_str_find(bytes, ':');
    ret->id = unescape(pang_str_slice(bytes, 0, colon), arena);
    if (colon < bytes.len)
        ret->secret = unescape(pang_str_after(bytes, colon + 1), arena);
    ret->is_given = true;
    return pang_manage_built(arena, err);
}

static pang_code read_client(pang_call *call, const token_request *in, client *ret, pang_err *err)
{
    *ret = (client){.id = {0}};
    pang_code code = read_basic(pang_str_trim(pang_str_from(in->client_authorization)), call->arena,
                                ret, err);
    if (code != PANG_OK)
        return code;
    if (in->client_secret[0] == '\0')
        return PANG_OK;
    if (ret->is_given)
        return bad_request("invalid_request", "the client's secret is given twice", err);
    *ret = (client){pang_str_from(in->client_id), pang_str_from(in->client_secret), true};
    return PANG_OK;
}

/* "<tenant UUID>/<user name>"; root's has no tenant. */
static pang_code by_name(pang_call *call, pang_str name, pang_str password, pang_signin *ret,
                         pang_err *err)
{
    size_t slash = pang_str_find(name, '/');
    pang_id tenant;
    if (slash == name.len)
        return pang_signin_password(call, NULL, name, password, (pang_str){0}, ret, err);
    if (!pang_id_parse(pang_str_slice(name, 0, slash), &tenant))
        tenant = pang_root_id; /* no tenant has it: answered like one that is not there */
    return pang_signin_password(call, &tenant, pang_str_after(name, slash + 1), password,
                                (pang_str){0}, ret, err);
}

static pang_code by_client(pang_call *call, const client *c, pang_signin *ret, pang_err *err)
{
    pang_str key_id, secret;
    bool is_key = pang_api_key_parse(c->secret, &key_id, &secret);
    bool is_user = pang_str_find(c->id, '/') < c->id.len;
    pang_code code = is_key || !is_user ? pang_signin_key(call, c->id, c->secret, ret, err)
                                        : by_name(call, c->id, c->secret, ret, err);
    if (code == PANG_UNAUTHENTICATED)
        return pang_fail(err, code, "invalid_client", "unknown client, or its secret is wrong");
    return code;
}

/* ---- grants ---- */

static pang_code give(pang_call *call, const pang_signin *who, int64_t life_ms, bool refreshes,
                      pang_session *ret, pang_err *err)
{
    pang_session_wish wish = {.life_ms = life_ms, .refreshes = refreshes};
    return pang_session_open(call, &who->who, &wish, ret, err);
}

static pang_code client_credentials(pang_call *call, const client *c, pang_session *ret,
                                    pang_err *err)
{
    pang_signin who;
    if (!c->is_given)
        return pang_fail(err, PANG_UNAUTHENTICATED, "invalid_client",
                         "client_id and client_secret are missing");
    pang_code code = by_client(call, c, &who, err);
    return code == PANG_OK ? give(call, &who, PANG_SESSION_SHORT_MS, false, ret, err) : code;
}

static pang_code password_grant(pang_call *call, const token_request *in, pang_session *ret,
                                pang_err *err)
{
    pang_signin who;
    pang_code code = by_name(call, pang_str_from(in->username), pang_str_from(in->password), &who,
                             err);
    if (code == PANG_UNAUTHENTICATED)
        return bad_request("invalid_grant", "wrong username or password", err);
    return code == PANG_OK ? give(call, &who, PANG_SESSION_SHORT_MS, true, ret, err) : code;
}

static pang_code refresh_grant(pang_call *call, const token_request *in, pang_session *ret,
                               pang_err *err)
{
    pang_session_wish wish = {.life_ms = PANG_SESSION_SHORT_MS};
    pang_signin who;
    pang_code code = pang_session_refresh(call, pang_str_from(in->refresh_token), &wish, &who, ret,
                                          err);
    if (code == PANG_UNAUTHENTICATED)
        return bad_request("invalid_grant", "the refresh token is not valid", err);
    return code;
}

/* ---- token exchange ---- */

static pang_code check_exchange(const token_request *in, pang_err *err)
{
    bool is_ours = strcmp(in->subject_token_type, ACCESS_TOKEN) == 0 ||
                   strcmp(in->subject_token_type, JWT) == 0;
    if (in->subject_token[0] == '\0')
        return bad_request("invalid_request", "subject_token is missing", err);
    if (!is_ours)
        return bad_request("invalid_request",
                           "subject_token_type is neither an access token's nor a JWT's", err);
    if (in->actor_token[0] != '\0' || in->actor_token_type[0] != '\0')
        return bad_request("invalid_request", "actor_token is not supported", err);
    if (in->requested_token_type[0] != '\0' && strcmp(in->requested_token_type, ACCESS_TOKEN) != 0)
        return bad_request("invalid_request", "only access tokens are given out", err);
    return PANG_OK;
}

/* The account that the token speaks of, while both stand. */
static pang_code read_subject(pang_call *call, pang_str token, pang_signin *ret,
                              pang_session_wish *ret_wish, pang_err *err)
{
    pang_claims claims;
    bool is_ended = false;
    pang_code code = pang_keyring_read(call->server->keyring, token, call->arena, &claims, err);
    if (code != PANG_OK)
        return code;
    pang_principal as = {.id = claims.subject, .tenant = claims.tenant, .kind = claims.kind};
    int64_t left_ms = claims.expires_s * 1000 - pang_env_wall_ms(call->server->env);
    ret_wish->life_ms = left_ms < PANG_SESSION_SHORT_MS ? left_ms : PANG_SESSION_SHORT_MS;
    ret_wish->jti = claims.jti;
    code = pang_session_is_ended(call, &as, claims.jti, &is_ended, err);
    if (code == PANG_OK && (is_ended || left_ms < 1000))
        return pang_fail(err, PANG_UNAUTHENTICATED, NULL, "the token has ended");
    if (code == PANG_OK)
        code = pang_signin_again(call, &as, claims.epoch, ret, err);
    /* A rank that was lost does not come back, and one that was gained is not in the token. */
    if (code == PANG_OK && claims.is_admin != ret->who.is_admin)
        return pang_fail(err, PANG_UNAUTHENTICATED, NULL, "the account's role has changed");
    return code;
}

/* A token of ours for another of the same account that lives no longer and ends with it: whoever
 * stole one could keep copies otherwise. A client that proves who it
 * is gets a whole one: that is how clients come by a new one once theirs has expired. */
static pang_code exchange(pang_call *call, const token_request *in, const client *c,
                          pang_session *ret, pang_err *err)
{
    pang_signin who;
    pang_session_wish wish = {.life_ms = 0};
    pang_code code = check_exchange(in, err);
    if (code == PANG_OK && c->is_given)
        return client_credentials(call, c, ret, err);
    if (code == PANG_OK)
        code = pang_signin_may_try(call, err);
    if (code == PANG_OK)
        code = read_subject(call, pang_str_from(in->subject_token), &who, &wish, err);
    if (code == PANG_UNAUTHENTICATED) {
        (void)pang_signin_bad_token(call, "the subject token is not valid", err);
        return bad_request("invalid_grant", "the subject token is not valid", err);
    }
    if (code != PANG_OK)
        return code;
    return pang_session_open(call, &who.who, &wish, ret, err);
}

/* ---- the endpoint ---- */

static pang_code grant(pang_call *call, const token_request *in, pang_session *ret, pang_err *err)
{
    client c;
    pang_code code = read_client(call, in, &c, err);
    if (code != PANG_OK)
        return code;
    if (strcmp(in->grant_type, "client_credentials") == 0)
        return client_credentials(call, &c, ret, err);
    if (strcmp(in->grant_type, "password") == 0)
        return password_grant(call, in, ret, err);
    if (strcmp(in->grant_type, "refresh_token") == 0)
        return refresh_grant(call, in, ret, err);
    if (strcmp(in->grant_type, TOKEN_EXCHANGE) == 0)
        return exchange(call, in, &c, ret, err);
    if (in->grant_type[0] == '\0')
        return bad_request("invalid_request", "grant_type is missing", err);
    return bad_request("unsupported_grant_type",
                       "grant_type is none of client_credentials, "
                       "password, refresh_token and token-exchange",
                       err);
}

static pang_code issue(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const token_request *in = request;
    token_response *out = reply;
    pang_session session;
    if (call->server->keyring == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "this server gives out no tokens");
    pang_code code = grant(call, in, &session, err);
    if (code != PANG_OK)
        return code;
    int64_t left_ms = session.expires_ms - pang_env_wall_ms(call->server->env);
    out->access_token = pang_arena_cstr(call->arena, session.access);
    out->token_type = (char *)(uintptr_t) "bearer";
    out->expires_in = left_ms > 0 ? (int32_t)((left_ms + 999) / 1000) : 0;
    out->issued_token_type = (char *)(uintptr_t)ACCESS_TOKEN;
    if (session.refresh.len > 0)
        out->refresh_token = pang_arena_cstr(call->arena, session.refresh);
    /* Clients ask for what other catalogs know: it is not looked at, and they are told (RFC 6749,
     * 3.3). A token is worth what its principal is. */
    if (in->scope[0] != '\0' && strcmp(in->scope, SCOPE) != 0)
        out->scope = (char *)(uintptr_t)SCOPE;
    out->cache_control = (char *)(uintptr_t) "no-store";
    return pang_manage_built(call->arena, err);
}

/* The reply is the set's members: what stands around them is the transcoder's. */
static pang_code get_jwks(pang_call *call, const void *request, void *reply, pang_err *err)
{
    Pangolin__V1__GetJwksResponse *out = reply;
    const pang_str head = PANG_STR("{\"keys\":");
    pang_str set;
    (void)request;
    out->keys = pang_bytes_of(PANG_STR("[]"));
    out->cache_control = (char *)(uintptr_t) "public, max-age=300";
    if (call->server->keyring == NULL)
        return PANG_OK;
    pang_code code = pang_keyring_public(call->server->keyring, call->arena, &set, err);
    if (code != PANG_OK)
        return code;
    if (!pang_str_starts(set, head) || set.len < head.len + 1)
        return pang_fail(err, PANG_INTERNAL, NULL, "the key set is malformed");
    out->keys = pang_bytes_of(pang_str_slice(set, head.len, set.len - head.len - 1));
    return PANG_OK;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.OauthService/IssueOauthToken",
        .in = &pangolin__v1__issue_oauth_token_request__descriptor,
        .out = &pangolin__v1__issue_oauth_token_response__descriptor,
        .handle = issue,
    },
    {
        .path = "/pangolin.v1.OauthService/GetJwks",
        .in = &pangolin__v1__get_jwks_request__descriptor,
        .out = &pangolin__v1__get_jwks_response__descriptor,
        .handle = get_jwks,
    },
    {
        .path = "/pangolin.v1.OauthService/ListOauthProviders",
        .in = &pangolin__v1__list_oauth_providers_request__descriptor,
        .out = &pangolin__v1__list_oauth_providers_response__descriptor,
        .handle = pang_oidc_list_providers,
    },
    {
        .path = "/pangolin.v1.OauthService/Authorize",
        .in = &pangolin__v1__authorize_request__descriptor,
        .out = &pangolin__v1__authorize_response__descriptor,
        .handle = pang_oidc_authorize,
    },
    {
        .path = "/pangolin.v1.OauthService/OauthCallback",
        .in = &pangolin__v1__oauth_callback_request__descriptor,
        .out = &pangolin__v1__oauth_callback_response__descriptor,
        .handle = pang_oidc_callback,
    },
    {
        .path = "/pangolin.v1.OauthService/Exchange",
        .in = &pangolin__v1__exchange_request__descriptor,
        .out = &pangolin__v1__exchange_response__descriptor,
        .handle = pang_oidc_exchange,
    },
};

const pang_service pang_service_oauth = {
    .name = "pangolin.v1.OauthService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
