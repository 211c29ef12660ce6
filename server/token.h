/*
 * Tokens: what an access token of ours says, as the claims that Pangolin's clients know (sub, jti,
 * username, tenant_id, role, exp, iat), with issuer, audience, the account's epoch and the kind of
 * account besides. That a token is well signed and in time is found here; that it was not revoked
 * is the evaluator's to find, in the store.
 * Called by keyring and authn. Pure. Threads: any. Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_TOKEN_H
#define PANG_SERVER_TOKEN_H

#include "api/id.h"
#include "api/service.h"
#include "server/jws.h"

enum {
    PANG_TOKEN_LEEWAY_S = 60,
    PANG_TOKEN_NAME_MAX = 256,               /* bytes of a username */
    PANG_TOKEN_LIFE_MAX_S = 366 * 24 * 3600, /* longer ones are refused, whoever signed them */
};

typedef struct {
    pang_id subject, jti;
    pang_id tenant; /* nil for root */
    pang_str username;
    pang_principal_kind kind;
    bool is_admin;               /* of a service user: it has its tenant's administrator's role */
    uint64_t epoch;              /* token_epoch of the account when it was made */
    int64_t issued_s, expires_s; /* seconds since 1970 */
} pang_claims;

typedef struct {
    const pang_jws_key *keys;
    size_t n_keys;
    pang_str issuer, audience;
    int64_t now_ms; /* wall clock */
} pang_token_rules;

/* ERRORS: INVALID_ARGUMENT (a username that is too long or no UTF-8), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_token_make(const pang_token_rules *rules, const pang_jws_key *key,
                                          const pang_claims *claims, pang_arena *arena,
                                          pang_str *ret, pang_err *err);
/* Signature, form, issuer, audience, times. Of an HS256 key's tokens, which other programs make,
 * issuer and audience may be missing. ERRORS: UNAUTHENTICATED ("the token has expired" for a good
 * one whose time is over; one message for all else, why is in the detail), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_token_read(const pang_token_rules *rules, pang_str token,
                                          pang_arena *arena, pang_claims *ret, pang_err *err);

#endif
