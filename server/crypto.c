/*
 * Crypto over OpenSSL's EVP. Contexts are made per call: keys are then const and any thread may
 * use them, and the hundred nanoseconds are nothing beside a signature.
 */
#include "server/crypto.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

enum {
    DER_MAX = 80,          /* of an ECDSA signature over P-256: at most 72 bytes */
    POINT_UNCOMPRESSED = 4 /* SEC 1, 2.3.3: x and y follow */
};

struct pang_asym {
    EVP_PKEY *key;
    bool is_p256;
    uint8_t x[PANG_POINT_BYTES], y[PANG_POINT_BYTES];
};

void pang_wipe(void *bytes, size_t size)
{
    if (size > 0)
        OPENSSL_cleanse(bytes, size);
}

/* The library's queue of errors is per thread; nothing of ours reads it. */
static pang_code fail_memory(pang_err *err)
{
    ERR_clear_error();
    return pang_fail_memory(err);
}

static const unsigned char *bytes_of(pang_str s)
{
    return (const unsigned char *)(s.ptr != NULL ? s.ptr : "");
}

/* ---- authenticated encryption ---- */

pang_code pang_aead_seal(const uint8_t key[PANG_AEAD_KEY_BYTES],
                         const uint8_t nonce[PANG_AEAD_NONCE_BYTES], pang_str aad, pang_str plain,
                         uint8_t *to, pang_err *err)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int len = 0, rest = 0;
    if (aad.len > INT_MAX || plain.len > INT_MAX - PANG_AEAD_TAG_BYTES) {
        EVP_CIPHER_CTX_free(context);
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "a secret is too long to be sealed");
    }
    bool good = context != NULL &&
                EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
                EVP_EncryptUpdate(context, NULL, &len, bytes_of(aad), (int)aad.len) == 1 &&
                EVP_EncryptUpdate(context, to, &len, bytes_of(plain), (int)plain.len) == 1 &&
                EVP_EncryptFinal_ex(context, to + len, &rest) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, PANG_AEAD_TAG_BYTES,
                                    to + plain.len) == 1;
    EVP_CIPHER_CTX_free(context);
    return good ? PANG_OK : fail_memory(err);
}

static bool open_with(EVP_CIPHER_CTX *context, const uint8_t *key, const uint8_t *nonce,
                      pang_str aad, pang_str text, uint8_t *to)
{
    int len = 0;
    return EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
           EVP_DecryptUpdate(context, NULL, &len, bytes_of(aad), (int)aad.len) == 1 &&
           EVP_DecryptUpdate(context, to, &len, bytes_of(text), (int)text.len) == 1;
}

pang_code pang_aead_open(const uint8_t key[PANG_AEAD_KEY_BYTES],
                         const uint8_t nonce[PANG_AEAD_NONCE_BYTES], pang_str aad, pang_str sealed,
                         uint8_t *to, pang_err *err)
{
    if (sealed.len < PANG_AEAD_TAG_BYTES || sealed.len > INT_MAX || aad.len > INT_MAX)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "what was sealed has a wrong length");
    pang_str text = pang_str_slice(sealed, 0, sealed.len - PANG_AEAD_TAG_BYTES);
    uint8_t tag[PANG_AEAD_TAG_BYTES];
    int rest = 0;
    memcpy(tag, sealed.ptr + text.len, sizeof tag);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL || !open_with(context, key, nonce, aad, text, to) ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) != 1) {
        EVP_CIPHER_CTX_free(context);
        return fail_memory(err);
    }
    bool authentic = EVP_DecryptFinal_ex(context, to + text.len, &rest) == 1;
    EVP_CIPHER_CTX_free(context);
    if (authentic)
        return PANG_OK;
    ERR_clear_error();
    pang_wipe(to, text.len);
    return pang_fail(err, PANG_DATA_LOSS, NULL, "what was sealed does not open with this key");
}

/* ---- keys ---- */

/* Takes the library's key, NULL included. NULL without memory. */
static pang_asym *wrap(EVP_PKEY *key, bool is_p256)
{
    pang_asym *made = key == NULL ? NULL : calloc(1, sizeof *made);
    if (made == NULL) {
        EVP_PKEY_free(key);
        return NULL;
    }
    made->key = key;
    made->is_p256 = is_p256;
    return made;
}

pang_code pang_asym_ed25519(const uint8_t seed[PANG_SEED_BYTES], pang_asym **ret, pang_err *err)
{
    size_t len = PANG_POINT_BYTES;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, PANG_SEED_BYTES);
    pang_asym *made = wrap(key, false);
    if (made == NULL)
        return fail_memory(err);
    if (EVP_PKEY_get_raw_public_key(made->key, made->x, &len) != 1) {
        pang_asym_free(made);
        return fail_memory(err);
    }
    *ret = made;
    return PANG_OK;
}

/* NULL: no point of the curve, or no memory (*ret_bad is then false). */
static EVP_PKEY *p256_of(const uint8_t *x, const uint8_t *y, bool *ret_bad)
{
    unsigned char point[1 + 2 * PANG_POINT_BYTES] = {POINT_UNCOMPRESSED};
    char curve[] = "P-256";
    EVP_PKEY *key = NULL;
    memcpy(point + 1, x, PANG_POINT_BYTES);
    memcpy(point + 1 + PANG_POINT_BYTES, y, PANG_POINT_BYTES);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    bool ready = context != NULL && EVP_PKEY_fromdata_init(context) == 1;
    /* The library refuses what does not lie on the curve. */
    *ret_bad = ready && EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1;
    EVP_PKEY_CTX_free(context);
    return key;
}

pang_code pang_asym_public(const uint8_t x[PANG_POINT_BYTES], const uint8_t *y, pang_asym **ret,
                           pang_err *err)
{
    bool is_bad = false;
    EVP_PKEY *key = y != NULL
                        ? p256_of(x, y, &is_bad)
                        : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, PANG_POINT_BYTES);
    if (is_bad) {
        ERR_clear_error();
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "the key is no point of its curve");
    }
    pang_asym *made = wrap(key, y != NULL);
    if (made == NULL)
        return fail_memory(err);
    memcpy(made->x, x, PANG_POINT_BYTES);
    if (y != NULL)
        memcpy(made->y, y, PANG_POINT_BYTES);
    *ret = made;
    return PANG_OK;
}

void pang_asym_free(pang_asym *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->key); /* wipes the private half */
    free(key);
}

void pang_asym_get_public(const pang_asym *key, uint8_t ret_x[PANG_POINT_BYTES],
                          uint8_t ret_y[PANG_POINT_BYTES])
{
    memcpy(ret_x, key->x, PANG_POINT_BYTES);
    memcpy(ret_y, key->y, PANG_POINT_BYTES);
}

/* ---- signatures ---- */

pang_code pang_asym_sign(const pang_asym *key, pang_str text, uint8_t ret[PANG_SIGNATURE_BYTES],
                         pang_err *err)
{
    size_t len = PANG_SIGNATURE_BYTES;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key->key) == 1 &&
                EVP_DigestSign(context, ret, &len, bytes_of(text), text.len) == 1;
    EVP_MD_CTX_free(context);
    return good ? PANG_OK : fail_memory(err);
}

/* r and s, 32 bytes each, as the library wants them; the length, 0 without memory. */
static size_t to_der(pang_str signature, unsigned char der[DER_MAX])
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes_of(signature), PANG_POINT_BYTES, NULL);
    BIGNUM *s = BN_bin2bn(bytes_of(signature) + PANG_POINT_BYTES, PANG_POINT_BYTES, NULL);
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

bool pang_asym_verify(const pang_asym *key, pang_str text, pang_str signature)
{
    unsigned char der[DER_MAX];
    const unsigned char *given = bytes_of(signature);
    size_t len = signature.len;
    if (signature.len != PANG_SIGNATURE_BYTES)
        return false;
    if (key->is_p256) {
        given = der;
        len = to_der(signature, der);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = key->is_p256 ? EVP_sha256() : NULL;
    bool good = context != NULL && len > 0 &&
                EVP_DigestVerifyInit(context, NULL, digest, NULL, key->key) == 1 &&
                EVP_DigestVerify(context, given, len, bytes_of(text), text.len) == 1;
    EVP_MD_CTX_free(context);
    if (!good)
        ERR_clear_error();
    return good;
}
