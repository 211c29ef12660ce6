/*
 * Seal: secret fields as they lie in the store: AES-256-GCM under a key that is not in the store,
 * bound to their place (tenant, kind, key, field), so that what is moved elsewhere does not open.
 *     version 1 | length of the key's id | id | nonce, 12 bytes | ciphertext | tag, 16 bytes
 * Several sealing keys may be known: the first seals, all open. So keys are changed online: add the
 * new one behind the old on every server, then put it first, then re-seal, then drop the old one.
 * Called by keyring and by services that store secrets. Threads: any; a sealer is const.
 * Lifetime: a sealer outlives its users. Keys are wiped when it is closed.
 */
#ifndef PANG_SERVER_SEAL_H
#define PANG_SERVER_SEAL_H

#include "api/arena.h"
#include "api/env.h"

enum {
    PANG_SEAL_KEYS_MAX = 16,
    PANG_SEAL_ID_MAX = 32,         /* bytes of a sealing key's id: letters, digits, - and _ */
    PANG_SEAL_PLAIN_MAX = 1 << 20, /* bytes of one secret */
};

typedef struct pang_sealer pang_sealer;

/* Where a secret belongs. All of it is authenticated, none of it is stored with the secret. */
typedef struct {
    pang_str scope; /* the tenant's, as in keys */
    uint32_t kind;  /* pang_catalog_kind of the record */
    pang_str key;   /* the record's */
    pang_str field;
} pang_seal_place;

/* Keys from text: one in base64 (its id is then the begin of its digest), or `id:base64,...`.
 * `source` names them in messages. ERRORS: INVALID_ARGUMENT naming source and fault (no 32 bytes,
 * a placeholder, an id twice), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_sealer_open(pang_str keys, const char *source, pang_sealer **ret,
                                           pang_err *err);
/* Keys from a file of such lines. ERRORS: NOT_FOUND (no file), FAILED_PRECONDITION (others may read
 * it, or it belongs to someone else), INVALID_ARGUMENT, UNAVAILABLE. */
PANG_MUST_CHECK pang_code pang_sealer_open_file(const char *path, pang_sealer **ret, pang_err *err);
/* Makes that file with one new key, mode 0400, durable. ERRORS: ALREADY_EXISTS, UNAVAILABLE. */
PANG_MUST_CHECK pang_code pang_sealer_make_file(const char *path, const pang_env *env,
                                                pang_err *err);
/* NULL is fine. */
void pang_sealer_close(pang_sealer *sealer);
/* Of the key that seals. */
pang_str pang_sealer_id(const pang_sealer *sealer);

/* *ret in arena. ERRORS: INVALID_ARGUMENT (PANG_SEAL_PLAIN_MAX), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_seal(const pang_sealer *sealer, const pang_env *env,
                                    const pang_seal_place *place, pang_str plain, pang_arena *arena,
                                    pang_str *ret, pang_err *err);
/* *ret in arena: mark it as secret where it lasts. ERRORS: FAILED_PRECONDITION (sealed with a key
 * that this sealer does not have; the message names its id), DATA_LOSS (changed, cut, or not of
 * this place; or the key of that id is another one), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_unseal(const pang_sealer *sealer, const pang_seal_place *place,
                                      pang_str sealed, pang_arena *arena, pang_str *ret,
                                      pang_err *err);
/* False when another key than the first sealed it: it is to be sealed again. */
bool pang_seal_is_current(const pang_sealer *sealer, pang_str sealed);

#endif
