/*
 * Keyring: what all servers on one store sign and hash with: the keys of access tokens and the
 * pepper of API keys, sealed in one record that whoever starts first makes. Keys never leave this
 * module: it signs, reads and hashes itself.
 * A new signing key is published at once and signs only after PANG_KEYRING_DELAY_MS, when every
 * server has read it; an old one is taken until its last token has expired.
 * Called by authn, by the services that make tokens and keys, and by main. Threads: any; work and
 * rotate from one that may wait. Lifetime: a keyring outlives its users; secrets are wiped.
 */
#ifndef PANG_SERVER_KEYRING_H
#define PANG_SERVER_KEYRING_H

#include "api/txn.h"
#include "server/hash.h"
#include "server/seal.h"
#include "server/token.h"

enum {
    PANG_KEYRING_KEYS_MAX = 32,
    PANG_KEYRING_PEPPERS_MAX = 8,
    PANG_KEYRING_REFRESH_MS = 60 * 1000,
    PANG_KEYRING_DELAY_MS = 10 * 60 * 1000, /* well above the refresh */
};
#define PANG_KEYRING_LIFE_MS (INT64_C(30) * 24 * 60 * 60 * 1000) /* a key signs that long */

#define PANG_ISSUER PANG_STR("pangolin")
#define PANG_AUDIENCE PANG_STR("pangolin-api")

typedef struct pang_keyring pang_keyring;

typedef struct {
    const pang_env *env;
    pang_db *db;
    const pang_sealer *sealer;
    pang_str shared_secret; /* PANGOLIN_JWT_SECRET: HS256 tokens of it are taken; empty: none.
                               Borrowed */
} pang_keyring_config;

/* The sealing keys of this server: from `keys` (PANGOLIN_ENCRYPTION_KEY) when it is not empty, else
 * from the file at `path`. Without such a file one is made when `may_make` and nothing in the store
 * is sealed yet. ERRORS: FAILED_PRECONDITION (something is sealed, and the file is missing), those
 * of seal.h, the store's. */
PANG_MUST_CHECK pang_code pang_keyring_sealer(pang_db *db, const pang_env *env, pang_str keys,
                                              const char *path, bool may_make, pang_sealer **ret,
                                              pang_err *err);

/* Reads the keyring, makes it where there is none. ERRORS: FAILED_PRECONDITION (sealed with a key
 * that is not here), DATA_LOSS (does not open), INVALID_ARGUMENT (the shared secret), the store's.
 */
PANG_MUST_CHECK pang_code pang_keyring_open(const pang_keyring_config *config, pang_keyring **ret,
                                            pang_err *err);
/* NULL is fine. */
void pang_keyring_close(pang_keyring *keyring);

/* Reads again what other servers may have changed; on an error what was known stays. */
PANG_MUST_CHECK pang_code pang_keyring_refresh(pang_keyring *keyring, pang_err *err);
/* Refreshes, and rotates when the newest key has signed for long enough. To be called once in
 * PANG_KEYRING_REFRESH_MS. */
PANG_MUST_CHECK pang_code pang_keyring_work(pang_keyring *keyring, pang_err *err);
/* A new signing key. `at_once`: it signs now and all others end, with every token that they signed:
 * for a key that got out. ERRORS: RESOURCE_EXHAUSTED (PANG_KEYRING_KEYS_MAX), the store's. */
PANG_MUST_CHECK pang_code pang_keyring_rotate(pang_keyring *keyring, bool at_once, pang_err *err);
/* Another number once a key has gone whose tokens were taken: what is remembered of a token that
 * was read under another one is to be read again. */
uint64_t pang_keyring_generation(const pang_keyring *keyring);
/* Seals everything in it with the first sealing key. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_keyring_reseal(pang_keyring *keyring, pang_err *err);

/* As pang_token_make and pang_token_read, with the keyring's keys and clock. */
PANG_MUST_CHECK pang_code pang_keyring_sign(pang_keyring *keyring, const pang_claims *claims,
                                            pang_arena *arena, pang_str *ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_keyring_read(pang_keyring *keyring, pang_str token,
                                            pang_arena *arena, pang_claims *ret, pang_err *err);
/* The JWK set. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_keyring_public(pang_keyring *keyring, pang_arena *arena,
                                              pang_str *ret, pang_err *err);

/* Keyed hash of n parts for one purpose: two purposes never give one hash for the same parts.
 * `pepper_id` empty: the newest, whose id is then *ret_pepper_id (in arena; may be NULL).
 * ERRORS: FAILED_PRECONDITION (no such pepper), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_keyring_mac(pang_keyring *keyring, pang_str pepper_id,
                                           pang_str purpose, const pang_str *parts, size_t n,
                                           pang_arena *arena, pang_str *ret_pepper_id,
                                           uint8_t ret[PANG_HASH_BYTES], pang_err *err);

#endif
