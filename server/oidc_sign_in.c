/*
 * A sign-in at a provider: the address that the browser is sent to, and what is made of the code
 * that it brings back. The code is redeemed with the verifier of PKCE (RFC 7636), which never left
 * this side; the ID token must carry the sign-in's nonce.
 */
#include <inttypes.h>
#include <string.h>

#include "api/base64.h"
#include "api/json.h"
#include "server/oidc_internal.h"

enum { CODE_MAX = 2048, TOKEN_MAX = 8192 };

static pang_code refuse(const pang_provider *provider, const char *why, pang_err *err)
{
    pang_code code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                               "the answer of the identity provider \"%s\" does not hold; sign in "
                               "again",
                               provider->name);
    pang_err_detail(err, "%s", why);
    return code;
}

static pang_code unavailable(const pang_provider *provider, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_UNAVAILABLE, NULL, "the identity provider \"%s\" %s", provider->name,
                     why);
}

/* ---- begin ---- */

static void add(pang_buf *buf, const char *name, pang_str value)
{
    pang_buf_printf(buf, "%s=", name);
    pang_http_escape(buf, value);
    pang_buf_add_char(buf, '&');
}

static pang_code write_url(const pang_provider *provider, pang_str base,
                           const pang_oidc_sign_in *sign_in, pang_arena *arena, pang_str *ret,
                           pang_err *err)
{
    pang_buf url = {.arena = arena};
    pang_str challenge = {0};
    if (!pang_foreign_challenge(sign_in->verifier, arena, &challenge))
        return pang_fail_memory(err);
    pang_buf_add(&url, base);
    pang_buf_add_char(&url, pang_str_find(base, '?') < base.len ? '&' : '?');
    add(&url, "response_type", PANG_STR("code"));
    add(&url, "client_id", provider->client_id);
    add(&url, "redirect_uri", provider->redirect_uri);
    add(&url, "scope", provider->scopes);
    add(&url, "state", sign_in->state);
    if (provider->is_oidc)
        add(&url, "nonce", sign_in->nonce);
    add(&url, "code_challenge", challenge);
    pang_buf_add(&url, PANG_STR("code_challenge_method=S256"));
    if (url.failed)
        return pang_fail_memory(err);
    *ret = pang_buf_str(&url);
    return PANG_OK;
}

pang_code pang_oidc_begin(pang_oidc *oidc, const pang_provider *provider,
                          const pang_oidc_sign_in *sign_in, pang_arena *arena, pang_str *ret_url,
                          pang_err *err)
{
    pang_facts *facts = NULL;
    if (!provider->is_oidc)
        return write_url(provider, provider->auth_url, sign_in, arena, ret_url, err);
    pang_code code = pang_facts_enter(oidc, provider, false, sign_in->deadline_ms, &facts, err);
    if (code != PANG_OK)
        return code;
    code = write_url(provider, facts->auth_url, sign_in, arena, ret_url, err);
    pang_facts_leave(provider, facts);
    return code;
}

/* ---- the code is redeemed ---- */

/* What the provider gave for the code. */
typedef struct {
    pang_str access_token, id_token;
} tokens;

/* HTTP Basic with both parts in the form of a form's (RFC 6749, 2.3.1). */
static pang_str basic(const pang_provider *provider, pang_arena *arena)
{
    pang_buf pair = {.arena = arena};
    pang_http_escape(&pair, provider->client_id);
    pang_buf_add_char(&pair, ':');
    pang_http_escape(&pair, provider->client_secret);
    pang_str text = pang_base64_encode(pang_buf_str(&pair), PANG_BASE64, arena);
    return pang_arena_printf(arena, "Basic %" PANG_STR_FMT, PANG_STR_ARG(text));
}

static pang_str write_form(const pang_provider *provider, const pang_oidc_sign_in *sign_in,
                           pang_str code, bool with_client, pang_arena *arena)
{
    pang_buf form = {.arena = arena};
    add(&form, "grant_type", PANG_STR("authorization_code"));
    add(&form, "code", code);
    add(&form, "redirect_uri", provider->redirect_uri);
    if (with_client)
        add(&form, "client_id", provider->client_id);
    if (with_client && provider->client_secret.len > 0)
        add(&form, "client_secret", provider->client_secret);
    add(&form, "code_verifier", sign_in->verifier);
    return form.failed ? (pang_str){0} : pang_str_slice(pang_buf_str(&form), 0, form.len - 1);
}

static bool take_token(const pang_json *reply, const char *name, size_t max, pang_str *ret)
{
    *ret = (pang_str){0};
    return pang_json_to_str(pang_json_get(reply, name), ret) && ret->len > 0 && ret->len <= max;
}

static pang_code read_tokens(const pang_provider *provider, const pang_http_reply *reply,
                             pang_arena *arena, tokens *ret, pang_err *err)
{
    pang_json *json;
    if (reply->status >= 500 || reply->status == 429)
        return unavailable(provider, "does not redeem codes now", err);
    if (reply->status != 200)
        return refuse(provider, "it refuses the code", err);
    pang_code code = pang_json_parse(reply->body, arena, &json, err);
    if (code == PANG_INVALID_ARGUMENT)
        return unavailable(provider, "answers with no JSON", err);
    if (code != PANG_OK)
        return code;
    bool has_access = take_token(json, "access_token", TOKEN_MAX, &ret->access_token);
    bool has_id = take_token(json, "id_token", PANG_FOREIGN_TOKEN_MAX, &ret->id_token);
    if (provider->is_oidc && !has_id)
        return refuse(provider, "it gives no ID token", err);
    if (!provider->is_oidc && !has_access)
        return refuse(provider, "it gives no access token", err);
    return PANG_OK;
}

static pang_code redeem(pang_oidc *oidc, const pang_provider *provider, pang_str url,
                        bool posts_secret, const pang_oidc_sign_in *sign_in, pang_str code_text,
                        pang_arena *arena, tokens *ret, pang_err *err)
{
    bool in_form = posts_secret || provider->client_secret.len == 0;
    pang_http_request request = {
        .url = url,
        .form = write_form(provider, sign_in, code_text, in_form, arena),
        .deadline_ms = sign_in->deadline_ms,
    };
    pang_http_reply reply;
    if (!in_form)
        request.authorization = basic(provider, arena);
    if (request.form.ptr == NULL || pang_arena_failed(arena))
        return pang_fail_memory(err);
    pang_code code = pang_http_run(oidc->http, &request, arena, &reply, err);
    return code == PANG_OK ? read_tokens(provider, &reply, arena, ret, err) : code;
}

/* ---- who it is ---- */

static pang_code read_id_token(pang_oidc *oidc, const pang_provider *provider,
                               const pang_oidc_sign_in *sign_in, const tokens *got,
                               pang_arena *arena, pang_somebody *ret, pang_err *err)
{
    pang_foreign_token token;
    pang_id_token_rules rules = {
        .issuer = provider->issuer,
        .audience = provider->client_id,
        .is_id_token = true,
        .nonce = sign_in->nonce,
        .access_token = got->access_token,
        .groups_claim = provider->groups_claim,
        .name_claim = provider->name_claim,
        .now_s = pang_env_wall_ms(oidc->env) / 1000,
    };
    pang_err inner = {0};
    pang_code code = pang_foreign_split(got->id_token, arena, &token, &inner);
    if (code == PANG_OK)
        code = pang_oidc_verify(oidc, provider, &token, sign_in->deadline_ms, &inner);
    rules.alg = token.alg;
    if (code == PANG_OK)
        code = pang_id_token_read(&rules, token.payload, arena, ret, &inner);
    if (code == PANG_UNAUTHENTICATED)
        return refuse(provider, inner.detail, err);
    if (code != PANG_OK)
        *err = inner;
    return code;
}

/* Which provider answers must be the one that was asked (RFC 9207): two that are mixed up would
 * give one's code to the other. */
static pang_code check_issuer(const pang_provider *provider, bool says_issuer, pang_str iss,
                              pang_err *err)
{
    if (iss.len == 0 && !says_issuer)
        return PANG_OK;
    if (pang_str_equal(iss, provider->issuer))
        return PANG_OK;
    return refuse(provider, "the answer names another issuer, or none where it must", err);
}

static pang_code end_oidc(pang_oidc *oidc, const pang_provider *provider,
                          const pang_oidc_sign_in *sign_in, pang_str code_text, pang_str iss,
                          pang_arena *arena, tokens *got, pang_err *err)
{
    pang_facts *facts = NULL;
    pang_code code = pang_facts_enter(oidc, provider, false, sign_in->deadline_ms, &facts, err);
    if (code != PANG_OK)
        return code;
    code = check_issuer(provider, facts->says_issuer, iss, err);
    if (code == PANG_OK)
        code = redeem(oidc, provider, facts->token_url, facts->posts_secret, sign_in, code_text,
                      arena, got, err);
    pang_facts_leave(provider, facts);
    return code;
}

pang_code pang_oidc_end(pang_oidc *oidc, const pang_provider *provider,
                        const pang_oidc_sign_in *sign_in, pang_str code_text, pang_str iss,
                        pang_arena *arena, pang_somebody *ret, pang_err *err)
{
    tokens got = {0};
    if (code_text.len == 0 || code_text.len > CODE_MAX)
        return refuse(provider, "there is no code, or a very long one", err);
    if (provider->is_oidc) {
        pang_code code = end_oidc(oidc, provider, sign_in, code_text, iss, arena, &got, err);
        return code == PANG_OK ? read_id_token(oidc, provider, sign_in, &got, arena, ret, err)
                               : code;
    }
    pang_code code = redeem(oidc, provider, provider->token_url, true, sign_in, code_text, arena,
                            &got, err);
    return code == PANG_OK ? pang_oidc_ask_github(oidc, provider, got.access_token,
                                                  sign_in->deadline_ms, arena, ret, err)
                           : code;
}

/* ---- GitHub ---- */

static pang_code ask(pang_oidc *oidc, const pang_provider *provider, pang_str url, pang_str token,
                     int64_t deadline_ms, pang_arena *arena, pang_json **ret, pang_err *err)
{
    pang_http_request request = {
        .url = url,
        .authorization = pang_arena_printf(arena, "Bearer %" PANG_STR_FMT, PANG_STR_ARG(token)),
        .deadline_ms = deadline_ms,
    };
    pang_http_reply reply;
    pang_code code = pang_http_run(oidc->http, &request, arena, &reply, err);
    if (code != PANG_OK)
        return code;
    if (reply.status != 200)
        return reply.status >= 500 ? unavailable(provider, "does not tell its users now", err)
                                   : refuse(provider, "it does not tell its user", err);
    code = pang_json_parse(reply.body, arena, ret, err);
    return code == PANG_INVALID_ARGUMENT ? unavailable(provider, "answers with no JSON", err)
                                         : code;
}

static void take_email(const pang_json *list, pang_somebody *ret)
{
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *row = pang_json_at(list, i);
        bool primary = false, verified = false;
        pang_str email = {0};
        (void)pang_json_to_bool(pang_json_get(row, "primary"), &primary);
        (void)pang_json_to_bool(pang_json_get(row, "verified"), &verified);
        (void)pang_json_to_str(pang_json_get(row, "email"), &email);
        if (primary && verified && pang_str_find(email, '@') < email.len) {
            ret->email = email;
            ret->email_verified = true;
        }
    }
}

/* A token goes into a header: no byte of it may end the line. */
static bool is_header_safe(pang_str token)
{
    for (size_t i = 0; i < token.len; i++)
        if (token.ptr[i] <= ' ' || token.ptr[i] >= 0x7f)
            return false;
    return true;
}

pang_code pang_oidc_ask_github(pang_oidc *oidc, const pang_provider *provider,
                               pang_str access_token, int64_t deadline_ms, pang_arena *arena,
                               pang_somebody *ret, pang_err *err)
{
    pang_json *user = NULL, *emails = NULL;
    pang_somebody made = {0};
    int64_t id = 0;
    if (!is_header_safe(access_token))
        return refuse(provider, "its access token holds what no token holds", err);
    pang_str emails_url = pang_arena_printf(arena, "%" PANG_STR_FMT "/emails",
                                            PANG_STR_ARG(provider->userinfo_url));
    pang_code code = ask(oidc, provider, provider->userinfo_url, access_token, deadline_ms, arena,
                         &user, err);
    if (code == PANG_OK && (!pang_json_to_int64(pang_json_get(user, "id"), &id) || id <= 0))
        return refuse(provider, "its user has no id", err);
    if (code == PANG_OK)
        code = ask(oidc, provider, emails_url, access_token, deadline_ms, arena, &emails, err);
    if (code != PANG_OK)
        return code;
    made.subject = pang_arena_printf(arena, "%" PRId64, id);
    (void)pang_json_to_str(pang_json_get(user, "login"), &made.name);
    take_email(emails, &made);
    *ret = made;
    return pang_arena_failed(arena) ? pang_fail_memory(err) : PANG_OK;
}
