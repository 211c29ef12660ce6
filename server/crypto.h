/*
 * Crypto: what the server's secrets need of the library, in our words: authenticated encryption,
 * signatures, and memory that is wiped for sure. Pure: no store, no clock, no chance of its own.
 * Called by seal, jws, keyring and api_key. Threads: any; keys are const once made.
 */
#ifndef PANG_SERVER_CRYPTO_H
#define PANG_SERVER_CRYPTO_H

#include "api/err.h"

enum {
    PANG_AEAD_KEY_BYTES = 32,
    PANG_AEAD_NONCE_BYTES = 12,
    PANG_AEAD_TAG_BYTES = 16,
    PANG_SEED_BYTES = 32,      /* of an Ed25519 private key */
    PANG_POINT_BYTES = 32,     /* of an Ed25519 public key, of a P-256 coordinate */
    PANG_SIGNATURE_BYTES = 64, /* of both */
};

/* Zeroes, and the compiler cannot leave it out. NULL with size 0 is fine. */
void pang_wipe(void *bytes, size_t size);

/* AES-256-GCM. `to` gets plain.len + PANG_AEAD_TAG_BYTES bytes. A nonce serves once per key.
 * ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_aead_seal(const uint8_t key[PANG_AEAD_KEY_BYTES],
                                         const uint8_t nonce[PANG_AEAD_NONCE_BYTES], pang_str aad,
                                         pang_str plain, uint8_t *to, pang_err *err);
/* `to` gets sealed.len - PANG_AEAD_TAG_BYTES bytes, which are wiped again when they are not
 * authentic. ERRORS: DATA_LOSS (other key, nonce, aad or bytes than those that were sealed),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_aead_open(const uint8_t key[PANG_AEAD_KEY_BYTES],
                                         const uint8_t nonce[PANG_AEAD_NONCE_BYTES], pang_str aad,
                                         pang_str sealed, uint8_t *to, pang_err *err);

/* ---- signatures ---- */

/* A key that signs or verifies one algorithm. */
typedef struct pang_asym pang_asym;

/* Ed25519 from its seed: signs and verifies. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_asym_ed25519(const uint8_t seed[PANG_SEED_BYTES], pang_asym **ret,
                                            pang_err *err);
/* Ed25519 or, with y, ECDSA on P-256: verifies only. ERRORS: INVALID_ARGUMENT (no point of the
 * curve), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_asym_public(const uint8_t x[PANG_POINT_BYTES],
                                           const uint8_t *y /* PANG_POINT_BYTES, or NULL */,
                                           pang_asym **ret, pang_err *err);
/* NULL is fine. */
void pang_asym_free(pang_asym *key);
void pang_asym_get_public(const pang_asym *key, uint8_t ret_x[PANG_POINT_BYTES],
                          uint8_t ret_y[PANG_POINT_BYTES]); /* y: zero for Ed25519 */

/* REQUIRES: made by pang_asym_ed25519. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_asym_sign(const pang_asym *key, pang_str text,
                                         uint8_t ret[PANG_SIGNATURE_BYTES], pang_err *err);
/* Ed25519's 64 bytes, or r and s of ECDSA with SHA-256. False for any other length, a signature of
 * something else, or without memory. */
bool pang_asym_verify(const pang_asym *key, pang_str text, pang_str signature);

#endif
