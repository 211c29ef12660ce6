/*
 * API keys of service users: `pgl_<id>_<secret>`, 12 and 48 letters and digits. A key is found by
 * its id; its secret, some 285 bits, is kept as a keyed hash, so that neither the store nor a
 * backup of it can be used to sign in, and checking one costs two hashes, for a bogus key too.
 * Called by authn and by the services of service users. Threads: any. Lifetime: results live in
 * the arena.
 */
#ifndef PANG_SERVER_API_KEY_H
#define PANG_SERVER_API_KEY_H

#include "pangolin/store/v1/identity.pb-c.h"
#include "server/keyring.h"

enum {
    PANG_API_KEY_ID = 12,
    PANG_API_KEY_SECRET = 48,
    PANG_API_KEY_TEXT = 4 + PANG_API_KEY_ID + 1 + PANG_API_KEY_SECRET,
    PANG_API_KEYS_ACTIVE = 2, /* of one service user, so that a key can be changed at leisure */
};

/* Takes a key apart; borrows. False when it is none by its form. */
bool pang_api_key_parse(pang_str text, pang_str *ret_id, pang_str *ret_secret);

typedef struct {
    pang_id tenant, service_user, created_by;
    int64_t expires_ms; /* 0: never */
} pang_api_key_owner;

/* A new key: its record is put in the transaction (system scope), its text is given out this once.
 * `owner->keys` gets its id in front and keeps at most `keep` of the others (0: none, the old ones
 * end at once; 1: for a change at leisure), whose records are deleted. The caller puts the service
 * user and adds to the auth epoch. ERRORS: INVALID_ARGUMENT (`keep`, an end in the past),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_api_key_issue(pang_txn *txn, pang_keyring *keyring,
                                             const pang_env *env, const pang_api_key_owner *whose,
                                             unsigned keep, Pangolin__Store__V1__ServiceUser *owner,
                                             pang_arena *arena, pang_str *ret_text, pang_err *err);
/* Deletes the records of all keys of the service user and empties its list. */
PANG_MUST_CHECK pang_code pang_api_key_end_all(pang_txn *txn,
                                               Pangolin__Store__V1__ServiceUser *owner,
                                               pang_arena *arena, pang_err *err);

/* The record of this key, when the secret is right and its time is not over. What takes time is
 * done for an unknown id, too. The read is remembered by the transaction. ERRORS: UNAUTHENTICATED
 * (one message), the store's. */
PANG_MUST_CHECK pang_code pang_api_key_find(pang_txn *txn, pang_keyring *keyring,
                                            const pang_env *env, pang_str text, pang_arena *arena,
                                            Pangolin__Store__V1__ApiKey **ret, pang_err *err);

#endif
