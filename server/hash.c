/*
 * SHA-256 and HMAC by OpenSSL.
 */
#include "server/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *fetched; /* for the life of the process; NULL: without memory */

static void fetch(void)
{
    fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
}

/* Looking the algorithm up in the library costs half of hashing a token, so it is done once. */
static const EVP_MD *sha256(void)
{
    (void)pthread_once(&once, fetch);
    return fetched != NULL ? fetched : EVP_sha256();
}

static bool add_part(EVP_MD_CTX *context, pang_str part)
{
    uint8_t len[8];
    for (size_t i = 0; i < sizeof len; i++)
        len[i] = (uint8_t)((uint64_t)part.len >> (56 - 8 * i));
    return EVP_DigestUpdate(context, len, sizeof len) == 1 &&
           EVP_DigestUpdate(context, part.ptr, part.len) == 1;
}

pang_code pang_hash(const pang_str *parts, size_t n, uint8_t ret[PANG_HASH_BYTES], pang_err *err)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestInit_ex(context, sha256(), NULL) == 1;
    for (size_t i = 0; good && i < n; i++)
        good = add_part(context, parts[i]);
    good = good && EVP_DigestFinal_ex(context, ret, NULL) == 1;
    EVP_MD_CTX_free(context);
    return good ? PANG_OK : pang_fail_memory(err);
}

pang_code pang_hash_mac(pang_str key, pang_str text, uint8_t ret[PANG_HASH_BYTES], pang_err *err)
{
    unsigned len = PANG_HASH_BYTES;
    bool good = HMAC(sha256(), key.ptr, (int)key.len, (const uint8_t *)text.ptr, text.len, ret,
                     &len) != NULL;
    return good ? PANG_OK : pang_fail_memory(err);
}
