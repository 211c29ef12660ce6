/*
 * Foreign keys by OpenSSL's EVP. What a key may do is a row of `algs`, found by its type and
 * curve; the token's `alg` must name such a row, so that a public key never becomes the secret of
 * an HMAC, and an RSA key never verifies what claims to be another algorithm's.
 */
#include "server/foreign_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "api/base64.h"
#include "api/json.h"

enum {
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192,
    RSA_EXPONENT_MAX = 8,     /* bytes */
    COORDINATE_MAX = 66,      /* bytes, of P-521 */
    ECDSA_DER_MAX = 160,      /* bytes, of P-521 */
    POINT_UNCOMPRESSED = 0x04 /* SEC 1, 2.3.3: x and y follow */
};

typedef enum { KEY_RSA, KEY_P256, KEY_P384, KEY_P521 } key_type;

static const struct {
    const char *name;
    key_type type;
    bool is_pss;
    const EVP_MD *(*digest)(void);
} algs[] = {
    {"RS256", KEY_RSA, false, EVP_sha256},  {"RS384", KEY_RSA, false, EVP_sha384},
    {"RS512", KEY_RSA, false, EVP_sha512},  {"PS256", KEY_RSA, true, EVP_sha256},
    {"PS384", KEY_RSA, true, EVP_sha384},   {"PS512", KEY_RSA, true, EVP_sha512},
    {"ES256", KEY_P256, false, EVP_sha256}, {"ES384", KEY_P384, false, EVP_sha384},
    {"ES512", KEY_P521, false, EVP_sha512},
};
enum { ALGS = sizeof algs / sizeof algs[0] };

static const struct {
    const char *crv, *group;
    size_t coordinate; /* bytes */
} curves[] = {
    [KEY_P256] = {"P-256", "P-256", 32},
    [KEY_P384] = {"P-384", "P-384", 48},
    [KEY_P521] = {"P-521", "P-521", 66},
};

typedef struct {
    char *kid; /* owned; NULL: it has none */
    key_type type;
    size_t alg; /* row of algs that alone is its; ALGS: any of its type */
    EVP_PKEY *key;
} foreign_key;

struct pang_jwks {
    foreign_key keys[PANG_JWKS_KEYS_MAX];
    size_t n;
};

static size_t find_alg(pang_str name)
{
    size_t i = 0;
    while (i < ALGS && !pang_str_equal(name, pang_str_from(algs[i].name)))
        i++;
    return i;
}

static const unsigned char *bytes_of(pang_str s)
{
    return (const unsigned char *)(s.ptr != NULL ? s.ptr : "");
}

/* ---- keys ---- */

static bool member(const pang_json *key, const char *name, pang_str *ret)
{
    *ret = (pang_str){0};
    return pang_json_to_str(pang_json_get(key, name), ret);
}

static bool bytes_member(const pang_json *key, const char *name, pang_arena *arena, pang_str *ret)
{
    pang_str text;
    return member(key, name, &text) && pang_base64_decode(text, PANG_BASE64_URL, arena, ret);
}

/* NULL where the parameters are no key. */
static EVP_PKEY *key_from(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        ERR_clear_error();
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    return key;
}

static OSSL_PARAM *rsa_params(const BIGNUM *n, const BIGNUM *e)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    if (build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    OSSL_PARAM_BLD_free(build);
    return params;
}

static EVP_PKEY *read_rsa(const pang_json *json, pang_arena *arena)
{
    pang_str n, e;
    EVP_PKEY *key = NULL;
    if (!bytes_member(json, "n", arena, &n) || !bytes_member(json, "e", arena, &e) ||
        n.len > RSA_BITS_MAX / 8 + 1 || e.len > RSA_EXPONENT_MAX)
        return NULL;
    BIGNUM *modulus = BN_bin2bn(bytes_of(n), (int)n.len, NULL);
    BIGNUM *exponent = BN_bin2bn(bytes_of(e), (int)e.len, NULL);
    if (modulus != NULL && exponent != NULL && BN_num_bits(modulus) >= RSA_BITS_MIN &&
        BN_num_bits(modulus) <= RSA_BITS_MAX && BN_is_odd(exponent) && BN_num_bits(exponent) > 1) {
        OSSL_PARAM *params = rsa_params(modulus, exponent);
        key = params == NULL ? NULL : key_from("RSA", params);
        OSSL_PARAM_free(params);
    }
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

static EVP_PKEY *read_point(key_type type, pang_str x, pang_str y)
{
    unsigned char point[1 + 2 * COORDINATE_MAX] = {POINT_UNCOMPRESSED};
    char group[8];
    size_t size = curves[type].coordinate;
    if (x.len != size || y.len != size)
        return NULL;
    memcpy(group, curves[type].group, strlen(curves[type].group) + 1);
    memcpy(point + 1, x.ptr, size);
    memcpy(point + 1 + size, y.ptr, size);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size),
        OSSL_PARAM_construct_end(),
    };
    return key_from("EC", params);
}

static EVP_PKEY *read_ec(const pang_json *json, pang_arena *arena, key_type *ret_type)
{
    pang_str crv, x, y;
    if (!member(json, "crv", &crv) || !bytes_member(json, "x", arena, &x) ||
        !bytes_member(json, "y", arena, &y))
        return NULL;
    for (key_type type = KEY_P256; type <= KEY_P521; type++) {
        if (!pang_str_equal(crv, pang_str_from(curves[type].crv)))
            continue;
        *ret_type = type;
        return read_point(type, x, y);
    }
    return NULL;
}

/* False when the key is not for us; without memory the arena or *ret_good says so. */
static bool read_key(const pang_json *json, pang_arena *arena, foreign_key *ret)
{
    pang_str kty, use, alg, kid;
    *ret = (foreign_key){.alg = ALGS};
    if (!member(json, "kty", &kty) ||
        (member(json, "use", &use) && !pang_str_equal(use, PANG_STR("sig"))))
        return false;
    if (member(json, "alg", &alg) && (ret->alg = find_alg(alg)) == ALGS)
        return false;
    if (pang_str_equal(kty, PANG_STR("RSA")))
        ret->key = read_rsa(json, arena);
    else if (pang_str_equal(kty, PANG_STR("EC")))
        ret->key = read_ec(json, arena, &ret->type);
    if (ret->key == NULL)
        return false;
    bool fits = ret->alg == ALGS || algs[ret->alg].type == ret->type;
    if (fits && member(json, "kid", &kid)) {
        ret->kid = kid.len <= PANG_FOREIGN_KID_MAX ? strndup(kid.ptr, kid.len) : NULL;
        fits = ret->kid != NULL;
    }
    if (!fits)
        EVP_PKEY_free(ret->key);
    return fits;
}

void pang_jwks_free(pang_jwks *set)
{
    if (set == NULL)
        return;
    for (size_t i = 0; i < set->n; i++) {
        EVP_PKEY_free(set->keys[i].key);
        free(set->keys[i].kid);
    }
    free(set);
}

pang_code pang_jwks_parse(pang_str json, pang_arena *arena, pang_jwks **ret, pang_err *err)
{
    pang_json *root;
    pang_code code = pang_json_parse(json, arena, &root, err);
    if (code != PANG_OK)
        return code;
    const pang_json *list = pang_json_get(root, "keys");
    pang_jwks *set = calloc(1, sizeof *set);
    if (set == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < pang_json_size(list) && set->n < PANG_JWKS_KEYS_MAX; i++)
        if (read_key(pang_json_at(list, i), arena, &set->keys[set->n]))
            set->n++;
    if (set->n == 0 || pang_arena_failed(arena)) {
        pang_jwks_free(set);
        return pang_arena_failed(arena) ? pang_fail_memory(err)
                                        : pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                                                    "the JWK set has no key for signatures");
    }
    *ret = set;
    return PANG_OK;
}

/* ---- tokens ---- */

static pang_code refuse(pang_err *err, const char *why)
{
    pang_code code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                               "the token is not valid");
    pang_err_detail(err, "%s", why);
    return code;
}

/* What asks for more than we do, or brings a key of its own, is refused. */
static const char *header_fault(const pang_json *header)
{
    static const char *const bad[] = {"crit", "b64", "zip", "enc", "jwk", "jku", "x5u"};
    if (pang_json_type_of(header) != PANG_JSON_IS_OBJECT)
        return "the header is no object";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pang_json_get(header, bad[i]) != NULL)
            return "the header has a member that is not taken";
    return NULL;
}

static pang_code read_header(pang_str text, pang_arena *arena, pang_foreign_token *ret,
                             pang_err *err)
{
    pang_json *header;
    pang_err inner;
    pang_code code = pang_json_parse(text, arena, &header, &inner);
    if (code == PANG_RESOURCE_EXHAUSTED)
        return pang_fail_memory(err);
    if (code != PANG_OK)
        return refuse(err, "the header is no JSON");
    const char *why = header_fault(header);
    if (why != NULL)
        return refuse(err, why);
    if (!member(header, "alg", &ret->alg))
        return refuse(err, "the header names no algorithm");
    ret->has_kid = pang_json_get(header, "kid") != NULL;
    if (ret->has_kid && !member(header, "kid", &ret->kid))
        return refuse(err, "kid is no string");
    return PANG_OK;
}

pang_code pang_foreign_split(pang_str token, pang_arena *arena, pang_foreign_token *ret,
                             pang_err *err)
{
    pang_str rest = token, header, payload, signature;
    pang_foreign_token made = {0};
    if (token.len > PANG_FOREIGN_TOKEN_MAX)
        return refuse(err, "it is too long");
    if (!pang_str_next(&rest, '.', &header) || !pang_str_next(&rest, '.', &payload) ||
        !pang_str_next(&rest, '.', &signature) || rest.ptr != NULL || header.len == 0 ||
        payload.len == 0 || signature.len == 0)
        return refuse(err, "it has not three parts");
    made.text = pang_str_slice(token, 0, header.len + 1 + payload.len);
    if (!pang_base64_decode(header, PANG_BASE64_URL, arena, &header) ||
        !pang_base64_decode(payload, PANG_BASE64_URL, arena, &made.payload) ||
        !pang_base64_decode(signature, PANG_BASE64_URL, arena, &made.signature))
        return pang_arena_failed(arena) ? pang_fail_memory(err)
                                        : refuse(err, "a part is no base64url");
    pang_code code = read_header(header, arena, &made, err);
    if (code == PANG_OK)
        *ret = made;
    return code;
}

/* ---- verifying ---- */

static bool may_use(const foreign_key *key, size_t alg)
{
    return alg < ALGS && algs[alg].type == key->type && (key->alg == ALGS || key->alg == alg);
}

/* By kid where the token has one, else the only key that could be meant. */
static const foreign_key *find_key(const pang_jwks *set, const pang_foreign_token *token)
{
    const foreign_key *found = NULL;
    size_t alg = find_alg(token->alg);
    for (size_t i = 0; i < set->n; i++) {
        const foreign_key *key = &set->keys[i];
        if (!may_use(key, alg))
            continue;
        if (token->has_kid && key->kid != NULL &&
            pang_str_equal(pang_str_from(key->kid), token->kid))
            return key;
        if (!token->has_kid) {
            if (found != NULL)
                return NULL;
            found = key;
        }
    }
    return found;
}

bool pang_jwks_has(const pang_jwks *set, const pang_foreign_token *token)
{
    return find_key(set, token) != NULL;
}

/* r and s as the library wants them; the length, 0 where they are none. */
static size_t to_der(pang_str signature, size_t size, unsigned char *der)
{
    if (signature.len != 2 * size)
        return 0;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes_of(signature), (int)size, NULL);
    BIGNUM *s = BN_bin2bn(bytes_of(signature) + size, (int)size, NULL);
    int len = 0;
    if (pair == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        len = i2d_ECDSA_SIG(pair, &der);
    }
    ECDSA_SIG_free(pair);
    return len > 0 ? (size_t)len : 0;
}

static bool set_padding(EVP_PKEY_CTX *context, size_t alg)
{
    if (!algs[alg].is_pss)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool is_signed(const foreign_key *key, size_t alg, const pang_foreign_token *token)
{
    unsigned char der[ECDSA_DER_MAX];
    const unsigned char *given = bytes_of(token->signature);
    size_t len = token->signature.len;
    EVP_PKEY_CTX *padding = NULL;
    if (key->type != KEY_RSA) {
        len = to_der(token->signature, curves[key->type].coordinate, der);
        given = der;
    }
    EVP_MD_CTX *context = len > 0 ? EVP_MD_CTX_new() : NULL;
    bool good = context != NULL &&
                EVP_DigestVerifyInit(context, &padding, algs[alg].digest(), NULL, key->key) == 1 &&
                set_padding(padding, alg) &&
                EVP_DigestVerify(context, given, len, bytes_of(token->text), token->text.len) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        ERR_clear_error();
    return good;
}

pang_code pang_jwks_verify(const pang_jwks *set, const pang_foreign_token *token, pang_err *err)
{
    size_t alg = find_alg(token->alg);
    if (alg == ALGS)
        return refuse(err, "its algorithm is none that is taken");
    const foreign_key *key = find_key(set, token);
    if (key == NULL)
        return refuse(err, "the issuer has no such key for its algorithm");
    return is_signed(key, alg, token) ? PANG_OK : refuse(err, "the signature is not the key's");
}

/* ---- digests ---- */

static bool digest_of(const EVP_MD *digest, pang_str text, size_t part, pang_arena *arena,
                      pang_str *ret)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(bytes_of(text), text.len, bytes, &len, digest, NULL) != 1)
        return false;
    *ret = pang_base64_encode((pang_str){(const char *)bytes, len / part}, PANG_BASE64_URL, arena);
    return ret->ptr != NULL;
}

bool pang_foreign_half_hash(pang_str alg, pang_str text, pang_arena *arena, pang_str *ret)
{
    size_t row = find_alg(alg);
    return row < ALGS && digest_of(algs[row].digest(), text, 2, arena, ret);
}

bool pang_foreign_challenge(pang_str verifier, pang_arena *arena, pang_str *ret)
{
    return digest_of(EVP_sha256(), verifier, 1, arena, ret);
}
