/*
 * ID tokens: what an OpenID provider says about somebody, and the checks of OpenID Connect Core
 * 3.1.3.7 on it; the same for access tokens of another issuer that come as bearer. That the token
 * is signed is found before (foreign_key.h).
 * Called by server/oidc.c. Pure. Threads: any. Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_ID_TOKEN_H
#define PANG_SERVER_ID_TOKEN_H

#include "api/arena.h"

enum {
    PANG_ID_TOKEN_LEEWAY_S = 60,
    PANG_SUBJECT_MAX = 255,    /* bytes: OpenID Connect Core 2 */
    PANG_GROUPS_MAX = 1000,    /* of one person */
    PANG_ID_TOKEN_AGE_S = 600, /* an ID token that was made longer ago is another sign-in's */
};

typedef struct {
    pang_str issuer;        /* exactly */
    pang_str audience;      /* must be in aud; for ID tokens the client id */
    bool is_id_token;       /* nonce, azp, at_hash and age are looked at */
    pang_str nonce;         /* of the sign-in */
    pang_str access_token;  /* that came with it; empty: none */
    pang_str alg;           /* of the header: at_hash goes by it */
    pang_str groups_claim;  /* empty: no groups are read; dots lead into objects */
    pang_str name_claim;    /* empty: preferred_username */
    pang_str service_claim; /* names a service user; empty: none */
    int64_t now_s;
} pang_id_token_rules;

/* Somebody, as a provider knows them. */
typedef struct {
    pang_str subject;
    pang_str email; /* empty: none */
    bool email_verified;
    pang_str name;    /* a user name to propose; empty: none */
    pang_str service; /* of service_claim; empty: none */
    const pang_str *groups;
    size_t n_groups;
    int64_t expires_s;
} pang_somebody;

/* `payload` is the verified token's. ERRORS: UNAUTHENTICATED (one message, "the token has expired"
 * for a good one; why is in the detail), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_id_token_read(const pang_id_token_rules *rules, pang_str payload,
                                             pang_arena *arena, pang_somebody *ret, pang_err *err);
/* The issuer that an unverified payload claims: to find out who is to verify it. False when it
 * claims none. */
bool pang_id_token_issuer(pang_str payload, pang_arena *arena, pang_str *ret);

#endif
