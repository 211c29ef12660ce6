/*
 * Tokens. Each claim is read by one row of a table; a claim of another type than the row's is a
 * forged token, and so is one that is missing where it must be there. Times are whole seconds
 * within the years that a calendar has.
 */
#include "server/token.h"

#include <string.h>

#include "api/json.h"

#define SECONDS_MAX INT64_C(253402300799) /* the end of the year 9999 */

static const struct {
    pang_principal_kind kind;
    const char *name;
} roles[] = {
    {PANG_PRINCIPAL_ROOT, "root"},
    {PANG_PRINCIPAL_TENANT_ADMIN, "tenant-admin"},
    {PANG_PRINCIPAL_TENANT_USER, "tenant-user"},
};

static const char *role_name(pang_principal_kind kind)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (roles[i].kind == kind)
            return roles[i].name;
    return "tenant-user";
}

static bool parse_role(pang_str name, pang_principal_kind *ret)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (pang_str_equal(name, pang_str_from(roles[i].name))) {
            *ret = roles[i].kind;
            return true;
        }
    }
    return false;
}

/* ---- making ---- */

static void add_text(pang_buf *out, const char *name, pang_str value)
{
    pang_buf_printf(out, "\"%s\":", name);
    pang_json_quote(out, value);
    pang_buf_add_char(out, ',');
}

static void add_id(pang_buf *out, const char *name, pang_id id)
{
    char text[PANG_ID_TEXT + 1];
    pang_id_text(id, text);
    add_text(out, name, pang_str_from(text));
}

static pang_str claims_text(const pang_token_rules *rules, const pang_claims *claims,
                            pang_arena *arena)
{
    pang_buf out = {.arena = arena};
    bool is_service = claims->kind == PANG_PRINCIPAL_SERVICE_USER;
    pang_principal_kind role = !is_service        ? claims->kind
                               : claims->is_admin ? PANG_PRINCIPAL_TENANT_ADMIN
                                                  : PANG_PRINCIPAL_TENANT_USER;
    pang_buf_add_char(&out, '{');
    add_text(&out, "iss", rules->issuer);
    add_text(&out, "aud", rules->audience);
    add_id(&out, "sub", claims->subject);
    add_id(&out, "jti", claims->jti);
    add_text(&out, "username", claims->username);
    if (claims->kind == PANG_PRINCIPAL_ROOT)
        pang_buf_add(&out, PANG_STR("\"tenant_id\":null,"));
    else
        add_id(&out, "tenant_id", claims->tenant);
    add_text(&out, "role", pang_str_from(role_name(role)));
    if (is_service)
        add_text(&out, "kind", PANG_STR("service-user"));
    pang_buf_printf(&out, "\"epoch\":%lld,\"iat\":%lld,\"exp\":%lld}", (long long)claims->epoch,
                    (long long)claims->issued_s, (long long)claims->expires_s);
    return out.failed ? (pang_str){0} : pang_buf_str(&out);
}

pang_code pang_token_make(const pang_token_rules *rules, const pang_jws_key *key,
                          const pang_claims *claims, pang_arena *arena, pang_str *ret,
                          pang_err *err)
{
    if (claims->username.len > PANG_TOKEN_NAME_MAX || !pang_str_is_utf8(claims->username))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "username cannot stand in a token: longer than %d bytes, or no UTF-8",
                         PANG_TOKEN_NAME_MAX);
    pang_str payload = claims_text(rules, claims, arena);
    if (payload.ptr == NULL)
        return pang_fail_memory(err);
    return pang_jws_sign(key, payload, arena, ret, err);
}

/* ---- reading ---- */

static bool read_id(const pang_json *claims, const char *name, pang_id *ret)
{
    pang_str text;
    return pang_json_to_str(pang_json_get(claims, name), &text) && text.len == PANG_ID_TEXT &&
           pang_id_parse(text, ret);
}

static bool read_seconds(const pang_json *claims, const char *name, int64_t *ret)
{
    return pang_json_to_int64(pang_json_get(claims, name), ret) && *ret >= 0 && *ret <= SECONDS_MAX;
}

static bool is_audience(const pang_json *value, pang_str audience)
{
    pang_str text;
    if (pang_json_to_str(value, &text))
        return pang_str_equal(text, audience);
    if (pang_json_type_of(value) != PANG_JSON_IS_ARRAY)
        return false;
    bool found = false;
    for (size_t i = 0; i < pang_json_size(value); i++) {
        if (!pang_json_to_str(pang_json_at(value, i), &text))
            return false;
        found = found || pang_str_equal(text, audience);
    }
    return found;
}

static const char *read_origin(const pang_json *claims, const pang_token_rules *rules,
                               bool is_foreign)
{
    const pang_json *issuer = pang_json_get(claims, "iss"),
                    *audience = pang_json_get(claims, "aud");
    pang_str text;
    if (!(is_foreign && issuer == NULL) &&
        !(pang_json_to_str(issuer, &text) && pang_str_equal(text, rules->issuer)))
        return "iss is not ours";
    if (!(is_foreign && audience == NULL) && !is_audience(audience, rules->audience))
        return "aud is not ours";
    return NULL;
}

static const char *read_account(const pang_json *claims, pang_claims *ret)
{
    const pang_json *tenant = pang_json_get(claims, "tenant_id"), *kind;
    pang_str text;
    if (!read_id(claims, "sub", &ret->subject) || !read_id(claims, "jti", &ret->jti))
        return "sub or jti is no id";
    if (!pang_json_to_str(pang_json_get(claims, "username"), &ret->username) ||
        ret->username.len == 0 || ret->username.len > PANG_TOKEN_NAME_MAX)
        return "username is missing or too long";
    if (!pang_json_to_str(pang_json_get(claims, "role"), &text) || !parse_role(text, &ret->kind))
        return "role is none of ours";
    ret->is_admin = ret->kind == PANG_PRINCIPAL_TENANT_ADMIN;
    if (ret->kind == PANG_PRINCIPAL_ROOT ? !pang_json_is_null(tenant)
                                         : !read_id(claims, "tenant_id", &ret->tenant))
        return "tenant_id does not belong to the role";
    kind = pang_json_get(claims, "kind");
    if (kind == NULL)
        return NULL;
    if (!pang_json_to_str(kind, &text) || !pang_str_equal(text, PANG_STR("service-user")) ||
        ret->kind == PANG_PRINCIPAL_ROOT)
        return "kind is none of ours";
    ret->kind = PANG_PRINCIPAL_SERVICE_USER;
    return NULL;
}

static const char *read_times(const pang_json *claims, int64_t now_s, bool is_foreign,
                              pang_claims *ret)
{
    int64_t begins = 0, epoch = 0;
    if (!read_seconds(claims, "exp", &ret->expires_s) ||
        !read_seconds(claims, "iat", &ret->issued_s))
        return "exp or iat is no time";
    if (pang_json_get(claims, "nbf") != NULL && !read_seconds(claims, "nbf", &begins))
        return "nbf is no time";
    if (ret->issued_s > now_s + PANG_TOKEN_LEEWAY_S || begins > now_s + PANG_TOKEN_LEEWAY_S)
        return "it is from the future";
    if (ret->expires_s <= ret->issued_s || ret->expires_s - ret->issued_s > PANG_TOKEN_LIFE_MAX_S)
        return "its life is too long, or none";
    bool has_epoch = pang_json_to_int64(pang_json_get(claims, "epoch"), &epoch);
    if ((!has_epoch && !(is_foreign && pang_json_get(claims, "epoch") == NULL)) || epoch < 0)
        return "epoch is no number";
    ret->epoch = (uint64_t)epoch;
    return NULL;
}

pang_code pang_token_read(const pang_token_rules *rules, pang_str token, pang_arena *arena,
                          pang_claims *ret, pang_err *err)
{
    const pang_jws_key *key = NULL;
    pang_claims claims = {0};
    pang_str payload = {0};
    pang_json *json = NULL;
    pang_err inner;
    int64_t now_s = rules->now_ms / 1000;
    pang_code code = pang_jws_verify(rules->keys, rules->n_keys, token, arena, &payload, &key, err);
    if (code != PANG_OK)
        return code;
    code = pang_json_parse(payload, arena, &json, &inner);
    if (code == PANG_RESOURCE_EXHAUSTED)
        return pang_fail_memory(err);
    if (code != PANG_OK || pang_json_type_of(json) != PANG_JSON_IS_OBJECT)
        return pang_token_bad(err, "the payload is no JSON object");
    bool is_foreign = key->alg == PANG_ALG_HS256;
    const char *why = read_origin(json, rules, is_foreign);
    if (why == NULL)
        why = read_account(json, &claims);
    if (why == NULL)
        why = read_times(json, now_s, is_foreign, &claims);
    if (why != NULL)
        return pang_token_bad(err, why);
    if (claims.expires_s + PANG_TOKEN_LEEWAY_S <= now_s)
        return pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                         "the token has expired");
    *ret = claims;
    return PANG_OK;
}
