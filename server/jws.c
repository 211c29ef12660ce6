/*
 * JWS. The header is only believed as far as it takes to find the key: everything in it that would
 * lead elsewhere (jku, jwk, x5u, x5c), that asks for more than we do (crit, b64, zip, enc), or that
 * we do not know, refuses the token before a signature is computed.
 */
#include "server/jws.h"

#include <string.h>

#include "api/base64.h"
#include "api/json.h"
#include "server/hash.h"

static const char *const alg_names[] = {
    [PANG_ALG_EDDSA] = "EdDSA",
    [PANG_ALG_ES256] = "ES256",
    [PANG_ALG_HS256] = "HS256",
};

pang_code pang_token_bad(pang_err *err, const char *why)
{
    pang_code code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                               "the token is not valid");
    pang_err_detail(err, "%s", why);
    return code;
}

/* ---- the parts ---- */

typedef struct {
    pang_str header, payload, signature; /* as they stand */
    pang_str text;                       /* header and payload with the dot between: is signed */
} parts;

static bool split(pang_str token, parts *ret)
{
    pang_str rest = token;
    bool good = pang_str_next(&rest, '.', &ret->header) &&
                pang_str_next(&rest, '.', &ret->payload) &&
                pang_str_next(&rest, '.', &ret->signature) && rest.ptr == NULL;
    if (!good || ret->header.len == 0 || ret->payload.len == 0 || ret->signature.len == 0)
        return false;
    ret->text = pang_str_slice(token, 0, ret->header.len + 1 + ret->payload.len);
    return true;
}

/* ---- the header ---- */

/* A header's member may be one of these, a string, and nothing else. */
static const char *const members[] = {"alg", "kid", "typ", "x5t", "x5t#S256"};

static const char *header_fault(const pang_json *header)
{
    pang_json_members it = {.object = header};
    pang_json *value;
    pang_str name, text;
    if (pang_json_type_of(header) != PANG_JSON_IS_OBJECT)
        return "the header is no object";
    while (pang_json_next(&it, &name, &value)) {
        size_t i = 0;
        while (i < sizeof members / sizeof members[0] &&
               !pang_str_equal(name, pang_str_from(members[i])))
            i++;
        if (i == sizeof members / sizeof members[0])
            return "the header has a member that is not taken";
        if (!pang_json_to_str(value, &text))
            return "a member of the header is no string";
    }
    if (pang_json_to_str(pang_json_get(header, "typ"), &text) &&
        !pang_str_equal_nocase(text, PANG_STR("JWT")))
        return "typ is not JWT";
    return NULL;
}

static const pang_jws_key *find(const pang_jws_key *keys, size_t n, pang_str kid)
{
    for (size_t i = 0; i < n; i++)
        if (pang_str_equal(keys[i].kid, kid))
            return &keys[i];
    return NULL;
}

/* The key that the header names; NULL and *ret_why when there is none. */
static const pang_jws_key *key_of(const pang_json *header, const pang_jws_key *keys, size_t n,
                                  const char **ret_why)
{
    pang_str alg = {0}, kid = {0};
    *ret_why = header_fault(header);
    if (*ret_why != NULL)
        return NULL;
    (void)pang_json_to_str(pang_json_get(header, "alg"), &alg);
    bool has_kid = pang_json_to_str(pang_json_get(header, "kid"), &kid);
    if (kid.len > PANG_KID_MAX || (has_kid && kid.len == 0)) {
        *ret_why = "kid has a wrong length";
        return NULL;
    }
    const pang_jws_key *key = find(keys, n, kid);
    if (key == NULL)
        *ret_why = "no key has this kid";
    else if (!pang_str_equal(alg, pang_str_from(alg_names[key->alg])))
        *ret_why = "alg is not the key's";
    return *ret_why == NULL ? key : NULL;
}

/* ---- verifying ---- */

static bool is_signed(const pang_jws_key *key, pang_str text, pang_str signature)
{
    uint8_t mac[PANG_HASH_BYTES];
    if (key->alg != PANG_ALG_HS256)
        return pang_asym_verify(key->key, text, signature);
    if (pang_hash_mac(key->secret, text, mac, NULL) != PANG_OK)
        return false;
    return pang_str_equal_secret((pang_str){(const char *)mac, sizeof mac}, signature);
}

static pang_code refuse(const pang_arena *arena, const char *why, pang_err *err)
{
    return pang_arena_failed(arena) ? pang_fail_memory(err) : pang_token_bad(err, why);
}

pang_code pang_jws_verify(const pang_jws_key *keys, size_t n, pang_str token, pang_arena *arena,
                          pang_str *ret_payload, const pang_jws_key **ret_key, pang_err *err)
{
    parts p;
    pang_str header, payload, signature;
    pang_json *json;
    pang_err inner;
    const char *why;
    if (token.len > PANG_TOKEN_MAX)
        return pang_token_bad(err, "it is too long");
    if (!split(token, &p))
        return pang_token_bad(err, "it has not three parts");
    if (p.header.len > PANG_JWS_HEADER_MAX ||
        !pang_base64_decode(p.header, PANG_BASE64_URL, arena, &header) ||
        !pang_base64_decode(p.payload, PANG_BASE64_URL, arena, &payload) ||
        !pang_base64_decode(p.signature, PANG_BASE64_URL, arena, &signature))
        return refuse(arena, "a part is too long or no base64url", err);
    pang_code code = pang_json_parse(header, arena, &json, &inner);
    if (code == PANG_RESOURCE_EXHAUSTED)
        return pang_fail_memory(err);
    if (code != PANG_OK)
        return refuse(arena, "the header is no JSON", err);
    const pang_jws_key *key = key_of(json, keys, n, &why);
    if (key == NULL)
        return refuse(arena, why, err);
    if (!is_signed(key, p.text, signature))
        return refuse(arena, "the signature is not the key's", err);
    *ret_payload = payload;
    *ret_key = key;
    return PANG_OK;
}

/* ---- signing ---- */

/* What was built, with a NUL behind it: replies hold C strings. */
static pang_code finish(pang_buf *built, pang_str *ret, pang_err *err)
{
    pang_buf_add_char(built, '\0');
    if (built->failed)
        return pang_fail_memory(err);
    *ret = (pang_str){built->ptr, built->len - 1};
    return PANG_OK;
}

static void add_encoded(pang_buf *buf, pang_str bytes)
{
    pang_str text = pang_base64_encode(bytes, PANG_BASE64_URL, buf->arena);
    if (text.ptr == NULL)
        buf->failed = true;
    pang_buf_add(buf, text);
}

static pang_str header_of(const pang_jws_key *key, pang_arena *arena)
{
    if (key->kid.len == 0)
        return pang_arena_printf(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", alg_names[key->alg]);
    return pang_arena_printf(arena,
                             "{\"alg\":\"%s\",\"kid\":\"%" PANG_STR_FMT "\",\"typ\":\"JWT\"}",
                             alg_names[key->alg], PANG_STR_ARG(key->kid));
}

pang_code pang_jws_sign(const pang_jws_key *key, pang_str payload, pang_arena *arena, pang_str *ret,
                        pang_err *err)
{
    uint8_t signature[PANG_SIGNATURE_BYTES];
    size_t len = key->alg == PANG_ALG_HS256 ? PANG_HASH_BYTES : PANG_SIGNATURE_BYTES;
    pang_buf token = {.arena = arena};
    pang_str header = header_of(key, arena);
    if (header.ptr == NULL)
        return pang_fail_memory(err);
    add_encoded(&token, header);
    pang_buf_add_char(&token, '.');
    add_encoded(&token, payload);
    if (token.failed)
        return pang_fail_memory(err);
    pang_code code = key->alg == PANG_ALG_HS256
                         ? pang_hash_mac(key->secret, pang_buf_str(&token), signature, err)
                         : pang_asym_sign(key->key, pang_buf_str(&token), signature, err);
    if (code != PANG_OK)
        return code;
    pang_buf_add_char(&token, '.');
    add_encoded(&token, (pang_str){(const char *)signature, len});
    return finish(&token, ret, err);
}

/* ---- the public keys ---- */

static void add_public(pang_buf *out, const pang_jws_key *key)
{
    uint8_t x[PANG_POINT_BYTES], y[PANG_POINT_BYTES];
    bool is_p256 = key->alg == PANG_ALG_ES256;
    pang_asym_get_public(key->key, x, y);
    pang_buf_printf(out, "{\"kty\":\"%s\",\"crv\":\"%s\",\"use\":\"sig\",\"alg\":\"%s\",\"kid\":",
                    is_p256 ? "EC" : "OKP", is_p256 ? "P-256" : "Ed25519", alg_names[key->alg]);
    pang_json_quote(out, key->kid);
    pang_buf_add(out, PANG_STR(",\"x\":\""));
    add_encoded(out, (pang_str){(const char *)x, sizeof x});
    if (is_p256) {
        pang_buf_add(out, PANG_STR("\",\"y\":\""));
        add_encoded(out, (pang_str){(const char *)y, sizeof y});
    }
    pang_buf_add(out, PANG_STR("\"}"));
}

pang_code pang_jws_public(const pang_jws_key *keys, size_t n, pang_arena *arena, pang_str *ret,
                          pang_err *err)
{
    pang_buf out = {.arena = arena};
    bool any = false;
    pang_buf_add(&out, PANG_STR("{\"keys\":["));
    for (size_t i = 0; i < n; i++) {
        if (keys[i].alg == PANG_ALG_HS256)
            continue;
        if (any)
            pang_buf_add_char(&out, ',');
        any = true;
        add_public(&out, &keys[i]);
    }
    pang_buf_add(&out, PANG_STR("]}"));
    return finish(&out, ret, err);
}
