/*
 * Inside of server/oidc*.c: what is kept of the configuration, and what was learnt of a provider.
 * Included by: server/oidc*.c only. Threads: as server/oidc.h.
 */
#ifndef PANG_SERVER_OIDC_INTERNAL_H
#define PANG_SERVER_OIDC_INTERNAL_H

#include "server/foreign_key.h"
#include "server/http_client.h"
#include "server/oidc.h"

/* Const after open but for the providers' facts, which have locks of their own; http keeps nothing
 * between requests. */
struct pang_oidc {
    const pang_env *env;
    pang_db *db; /* of accounts, for bearer tokens; borrowed */
    pang_http *http;
    pang_arena *arena; /* of all that is copied; const after open */
    pang_provider *providers;
    size_t n_providers;
    pang_str *redirects, *link_domains; /* as in pang_oidc_config */
    size_t n_redirects, n_link_domains;
};

/* What a provider says of itself, at one time. Const; counted by who uses it. */
typedef struct pang_facts pang_facts;
struct pang_facts {
    unsigned users; /* under the lock of its provider's facts */
    pang_arena *arena;
    pang_str auth_url, token_url; /* checked: may be asked */
    bool says_issuer;             /* answers carry iss (RFC 9207) */
    bool posts_secret;            /* the secret goes into the form; else into the header */
    pang_jwks *keys;
};

/* NULL without memory. */
struct pang_provider_facts *pang_facts_new(void);
/* REQUIRES: nobody uses them any more. NULL is fine. */
void pang_facts_free(struct pang_provider_facts *facts);

/* The provider's facts, to be given back by pang_facts_leave. `again`: a key was not found, so that
 * they are asked for anew if that is due. ERRORS: UNAVAILABLE, DEADLINE_EXCEEDED,
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_facts_enter(pang_oidc *oidc, const pang_provider *provider,
                                           bool again, int64_t deadline_ms, pang_facts **ret,
                                           pang_err *err);
/* REQUIRES: of enter, once. */
void pang_facts_leave(const pang_provider *provider, pang_facts *facts);

/* A token of the provider, verified by its keys. ERRORS: UNAUTHENTICATED, those of enter. */
PANG_MUST_CHECK pang_code pang_oidc_verify(pang_oidc *oidc, const pang_provider *provider,
                                           const pang_foreign_token *token, int64_t deadline_ms,
                                           pang_err *err);

/* GitHub's user behind an access token. ERRORS: UNAUTHENTICATED, UNAVAILABLE. */
PANG_MUST_CHECK pang_code pang_oidc_ask_github(pang_oidc *oidc, const pang_provider *provider,
                                               pang_str access_token, int64_t deadline_ms,
                                               pang_arena *arena, pang_somebody *ret,
                                               pang_err *err);

#endif
