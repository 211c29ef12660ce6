/*
 * JWS: signed tokens in compact form (RFC 7515), strictly: exactly three parts, one spelling of
 * each, an algorithm that the key names and the token may only repeat, no key or address of a key
 * inside the token. What the payload says is the caller's to check (token.h). Called by token.c,
 * and by whoever takes tokens of other issuers. Threads: any, no state.
 */
#ifndef PANG_SERVER_JWS_H
#define PANG_SERVER_JWS_H

#include "api/arena.h"
#include "server/crypto.h"

enum {
    PANG_TOKEN_MAX = 8 << 10,      /* bytes of a token; more is not looked at */
    PANG_JWS_HEADER_MAX = 1 << 10, /* bytes of its first part */
    PANG_KID_MAX = 128,
};

typedef enum {
    PANG_ALG_EDDSA, /* Ed25519 */
    PANG_ALG_ES256,
    PANG_ALG_HS256, /* for compatibility only */
} pang_jws_alg;

typedef struct {
    pang_str kid; /* empty: for tokens that name no key */
    pang_jws_alg alg;
    const pang_asym *key; /* of EDDSA and ES256; borrowed */
    pang_str secret;      /* of HS256 */
} pang_jws_key;

/* The signed token, in arena, NUL-terminated. REQUIRES: the key signs (EDDSA from its seed, HS256);
 * its kid needs no escape in JSON. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_jws_sign(const pang_jws_key *key, pang_str payload,
                                        pang_arena *arena, pang_str *ret, pang_err *err);
/* Verifies with the one key that the token names; *ret_payload in arena, not yet looked at, and
 * *ret_key the key that it was. ERRORS: UNAUTHENTICATED (one message; why is in the detail),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_jws_verify(const pang_jws_key *keys, size_t n, pang_str token,
                                          pang_arena *arena, pang_str *ret_payload,
                                          const pang_jws_key **ret_key, pang_err *err);
/* The public keys as a JWK set (RFC 7517), in arena, NUL-terminated; secrets are left out.
 * ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_jws_public(const pang_jws_key *keys, size_t n, pang_arena *arena,
                                          pang_str *ret, pang_err *err);

/* The one answer to a token that is none: the client learns nothing of why, the log does. */
pang_code pang_token_bad(pang_err *err, const char *why);

#endif
