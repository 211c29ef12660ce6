/*
 * Foreign keys: the public keys of other issuers, as JWK sets (RFC 7517), and tokens signed with
 * them. A key is good for the algorithms of its type and curve alone, and where it names one, for
 * that alone; a token chooses nothing but which key. HMAC and "none" are no algorithms here.
 * Called by server/oidc.c. Pure. Threads: a set is const once made, any may verify with it.
 */
#ifndef PANG_SERVER_FOREIGN_KEY_H
#define PANG_SERVER_FOREIGN_KEY_H

#include "api/arena.h"

enum {
    PANG_JWKS_KEYS_MAX = 64,
    PANG_FOREIGN_TOKEN_MAX = 16 << 10, /* bytes: providers put many claims in */
    PANG_FOREIGN_KID_MAX = 256,
};

typedef struct pang_jwks pang_jwks;

/* Keys of kinds that are not known are left out: RSA of 2048 to 8192 bits, EC on P-256, P-384 and
 * P-521, for signatures. ERRORS: INVALID_ARGUMENT (no JWK set, or no usable key in it),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_jwks_parse(pang_str json, pang_arena *arena, pang_jwks **ret,
                                          pang_err *err);
/* NULL is fine. */
void pang_jwks_free(pang_jwks *set);

/* The parts of a compact JWS. `payload` is decoded and, until it was verified, anybody's. */
typedef struct {
    pang_str text;      /* header and payload as they stand: is signed */
    pang_str signature; /* decoded */
    pang_str payload, alg, kid;
    bool has_kid;
} pang_foreign_token;

/* Takes a token apart; nothing is verified. ERRORS: UNAUTHENTICATED (one message; why is in the
 * detail), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_foreign_split(pang_str token, pang_arena *arena,
                                             pang_foreign_token *ret, pang_err *err);
/* Whether the set has a key that the token may mean: the one of its kid, or of its algorithm where
 * neither names one. */
bool pang_jwks_has(const pang_jwks *set, const pang_foreign_token *token);
/* ERRORS: UNAUTHENTICATED, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_jwks_verify(const pang_jwks *set, const pang_foreign_token *token,
                                           pang_err *err);

/* The left half of a digest, as at_hash has it, in base64url: by the algorithm of the token that
 * says it. False for an algorithm that is not known, or without memory. */
bool pang_foreign_half_hash(pang_str alg, pang_str text, pang_arena *arena, pang_str *ret);
/* SHA-256 in base64url: the challenge of PKCE (RFC 7636). False without memory. */
bool pang_foreign_challenge(pang_str verifier, pang_arena *arena, pang_str *ret);

#endif
