/*
 * ID tokens. Claims are looked at in the order of the standard's list; what is of a wrong type
 * counts as absent where absence is refused, and is refused where it is not.
 */
#include "server/id_token.h"

#include <string.h>

#include "api/json.h"
#include "server/foreign_key.h"

enum { GROUP_MAX = 256, EMAIL_MAX = 254 };

static pang_code refuse(pang_err *err, const char *why)
{
    pang_code code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                               "the token is not valid");
    pang_err_detail(err, "%s", why);
    return code;
}

static pang_str text_of(const pang_json *claims, const char *name)
{
    pang_str text = {0};
    (void)pang_json_to_str(pang_json_get(claims, name), &text);
    return text;
}

/* Seconds since 1970; some issuers write fractions, whose whole part counts. */
static bool time_of(const pang_json *claims, const char *name, pang_arena *arena, int64_t *ret)
{
    const pang_json *value = pang_json_get(claims, name);
    pang_str spelling;
    if (pang_json_to_int64(value, ret))
        return *ret >= 0;
    if (pang_json_type_of(value) != PANG_JSON_IS_NUMBER ||
        !pang_json_to_spelling(value, arena, &spelling))
        return false;
    return pang_str_to_int64(pang_str_slice(spelling, 0, pang_str_find(spelling, '.')), ret) &&
           *ret >= 0;
}

/* ---- who it is for ---- */

/* aud is one text or a list of them. */
static bool has_audience(const pang_json *aud, pang_str wanted, size_t *ret_n)
{
    pang_str text;
    bool found = false;
    *ret_n = 1;
    if (pang_json_to_str(aud, &text))
        return pang_str_equal(text, wanted);
    *ret_n = pang_json_size(aud);
    if (pang_json_type_of(aud) != PANG_JSON_IS_ARRAY)
        return false;
    for (size_t i = 0; i < *ret_n; i++) {
        if (!pang_json_to_str(pang_json_at(aud, i), &text))
            return false;
        found = found || pang_str_equal(text, wanted);
    }
    return found;
}

static const char *audience_fault(const pang_id_token_rules *rules, const pang_json *claims)
{
    size_t n = 0;
    if (rules->audience.len == 0 ||
        !has_audience(pang_json_get(claims, "aud"), rules->audience, &n))
        return "it is for another audience";
    if (!rules->is_id_token)
        return NULL;
    const pang_json *azp = pang_json_get(claims, "azp");
    if (n > 1 && azp == NULL)
        return "it is for several and says not whose it is (azp)";
    if (azp != NULL && !pang_str_equal(text_of(claims, "azp"), rules->audience))
        return "azp is another client";
    return NULL;
}

/* ---- when ---- */

static const char *time_fault(const pang_id_token_rules *rules, const pang_json *claims,
                              pang_arena *arena, int64_t *ret_expires, bool *ret_expired)
{
    int64_t issued = 0, from = 0;
    bool has_issued = time_of(claims, "iat", arena, &issued);
    *ret_expired = false;
    if (!time_of(claims, "exp", arena, ret_expires))
        return "exp is missing or no time";
    if (pang_json_get(claims, "nbf") != NULL &&
        (!time_of(claims, "nbf", arena, &from) || from > rules->now_s + PANG_ID_TOKEN_LEEWAY_S))
        return "it is not yet valid";
    if (has_issued && issued > rules->now_s + PANG_ID_TOKEN_LEEWAY_S)
        return "it is of the future";
    if (rules->is_id_token &&
        (!has_issued || issued + PANG_ID_TOKEN_AGE_S + PANG_ID_TOKEN_LEEWAY_S < rules->now_s))
        return "it was not made for this sign-in (iat)";
    *ret_expired = *ret_expires + PANG_ID_TOKEN_LEEWAY_S <= rules->now_s;
    return *ret_expired ? "its time is over" : NULL;
}

/* ---- which sign-in ---- */

static const char *binding_fault(const pang_id_token_rules *rules, const pang_json *claims,
                                 pang_arena *arena)
{
    pang_str half;
    if (!rules->is_id_token)
        return NULL;
    if (rules->nonce.len == 0 || !pang_str_equal_secret(text_of(claims, "nonce"), rules->nonce))
        return "nonce is not that of this sign-in";
    if (pang_json_get(claims, "at_hash") == NULL || rules->access_token.len == 0)
        return NULL;
    if (!pang_foreign_half_hash(rules->alg, rules->access_token, arena, &half) ||
        !pang_str_equal_secret(text_of(claims, "at_hash"), half))
        return "at_hash is not that of the access token";
    return NULL;
}

/* ---- who ---- */

/* A claim by its name, which may itself hold dots ("https://example.org/groups"), else by the way
 * through objects that dots lead ("realm_access.roles"). */
static const pang_json *claim_at(const pang_json *claims, pang_str path)
{
    const pang_json *value = pang_json_get_str(claims, path);
    pang_str part;
    if (value != NULL)
        return value;
    value = claims;
    while (value != NULL && pang_str_next(&path, '.', &part))
        value = pang_json_get_str(value, part);
    return value;
}

static pang_code read_groups(const pang_json *list, pang_arena *arena, pang_somebody *ret,
                             pang_err *err)
{
    pang_str one;
    size_t n = pang_json_to_str(list, &one) ? 1 : pang_json_size(list);
    if (pang_json_type_of(list) == PANG_JSON_IS_OBJECT)
        return PANG_OK;
    if (n > PANG_GROUPS_MAX)
        return refuse(err, "it has too many groups");
    pang_str *groups = pang_arena_alloc_n(arena, n, sizeof *groups);
    if (groups == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        bool is_text = pang_json_type_of(list) == PANG_JSON_IS_STRING
                           ? pang_json_to_str(list, &one)
                           : pang_json_to_str(pang_json_at(list, i), &one);
        if (is_text && one.len > 0 && one.len <= GROUP_MAX)
            groups[ret->n_groups++] = one;
    }
    ret->groups = groups;
    return PANG_OK;
}

static pang_str name_of(const pang_id_token_rules *rules, const pang_json *claims)
{
    pang_str name = {0};
    if (rules->name_claim.len == 0)
        return text_of(claims, "preferred_username");
    (void)pang_json_to_str(claim_at(claims, rules->name_claim), &name);
    return name;
}

static pang_code read_somebody(const pang_id_token_rules *rules, const pang_json *claims,
                               pang_arena *arena, pang_somebody *ret, pang_err *err)
{
    bool verified = false;
    ret->subject = text_of(claims, "sub");
    if (ret->subject.len == 0 || ret->subject.len > PANG_SUBJECT_MAX)
        return refuse(err, "sub is missing or too long");
    ret->email = text_of(claims, "email");
    if (ret->email.len > EMAIL_MAX || pang_str_find(ret->email, '@') == ret->email.len)
        ret->email = (pang_str){0};
    /* Nothing but true counts: texts like "true" are no promise. */
    ret->email_verified = pang_json_to_bool(pang_json_get(claims, "email_verified"), &verified) &&
                          verified && ret->email.len > 0;
    ret->name = name_of(rules, claims);
    if (rules->service_claim.len > 0)
        (void)pang_json_to_str(claim_at(claims, rules->service_claim), &ret->service);
    if (rules->groups_claim.len == 0)
        return PANG_OK;
    return read_groups(claim_at(claims, rules->groups_claim), arena, ret, err);
}

/* ---- all of it ---- */

static pang_code parse(pang_str payload, pang_arena *arena, pang_json **ret, pang_err *err)
{
    pang_err inner;
    pang_code code = pang_json_parse(payload, arena, ret, &inner);
    if (code == PANG_RESOURCE_EXHAUSTED)
        return pang_fail_memory(err);
    if (code != PANG_OK || pang_json_type_of(*ret) != PANG_JSON_IS_OBJECT)
        return refuse(err, "the claims are no JSON object");
    return PANG_OK;
}

bool pang_id_token_issuer(pang_str payload, pang_arena *arena, pang_str *ret)
{
    pang_json *claims;
    if (parse(payload, arena, &claims, NULL) != PANG_OK)
        return false;
    *ret = text_of(claims, "iss");
    return ret->len > 0;
}

pang_code pang_id_token_read(const pang_id_token_rules *rules, pang_str payload, pang_arena *arena,
                             pang_somebody *ret, pang_err *err)
{
    pang_json *claims;
    pang_somebody made = {0};
    bool expired = false;
    pang_code code = parse(payload, arena, &claims, err);
    if (code != PANG_OK)
        return code;
    if (rules->issuer.len == 0 || !pang_str_equal(text_of(claims, "iss"), rules->issuer))
        return refuse(err, "it is of another issuer");
    const char *why = audience_fault(rules, claims);
    if (why == NULL)
        why = binding_fault(rules, claims, arena);
    if (why == NULL)
        why = time_fault(rules, claims, arena, &made.expires_s, &expired);
    if (why != NULL && pang_arena_failed(arena))
        return pang_fail_memory(err);
    if (expired) {
        code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                         "the token has expired");
        pang_err_detail(err, "%s", why);
        return code;
    }
    if (why != NULL)
        return refuse(err, why);
    code = read_somebody(rules, claims, arena, &made, err);
    if (code == PANG_OK)
        *ret = made;
    return code;
}
