/*
 * OpenID Connect: the identity providers that are configured, and what is asked of them: their
 * facts (discovery, keys), who somebody is that a code stands for, and whether a bearer token of
 * theirs holds. GitHub, which speaks OAuth alone, is asked for its user instead.
 * Facts are kept for an hour; a key that is not known is asked for again at most once a minute.
 * One call at a time asks a provider, the others wait for it. Issuers are the configured ones,
 * exactly: nothing in a token or an answer leads to another address than theirs.
 * Called by svc_oidc.c and, for bearer tokens, through authn.h. Threads: any that may wait.
 * Lifetime: outlives every call; results live in the arena.
 */
#ifndef PANG_SERVER_OIDC_H
#define PANG_SERVER_OIDC_H

#include "api/config.h"
#include "api/service.h"
#include "server/id_token.h"

enum {
    PANG_OIDC_FRESH_MS = 60 * 60 * 1000,     /* facts are used that long */
    PANG_OIDC_STALE_MS = 6 * 60 * 60 * 1000, /* and that long while the provider is away */
    PANG_OIDC_AGAIN_MS = 60 * 1000,          /* between two askings for an unknown key */
    PANG_OIDC_RETRY_MS = 5 * 1000,           /* after one that failed */
    PANG_OIDC_ROLES_MAX = 256,               /* rows of one provider's mapping */
};

typedef struct {
    pang_str group, role; /* names */
} pang_group_role;

/* A provider as configured; const. Views live as long as the providers. */
typedef struct pang_provider {
    const char *name;
    pang_str issuer;    /* empty: GitHub */
    pang_str client_id; /* empty: nobody signs in there */
    pang_str client_secret;
    pang_str redirect_uri;
    pang_str scopes;
    pang_str audience;     /* empty: no bearer tokens of it are taken */
    pang_str users_tenant; /* UUID or name */
    pang_str groups_claim, name_claim, service_claim;
    pang_str auth_url, token_url, userinfo_url; /* of GitHub */
    const pang_group_role *roles;
    size_t n_roles;
    bool creates_users, is_oidc;
    struct pang_provider_facts *facts; /* what was learnt of it; locks itself */
} pang_provider;

typedef struct pang_oidc pang_oidc;

typedef struct {
    const pang_env *env;
    pang_db *db;                           /* for bearer tokens */
    const pang_config_provider *providers; /* these and all below are copied */
    size_t n_providers;
    const pang_str *redirects; /* where browsers may be sent in the end; the first by default */
    size_t n_redirects;
    const pang_str *link_domains; /* of verified email addresses that lead to users */
    size_t n_link_domains;
    bool require; /* only OpenID Connect */
    pang_str ca_file;
} pang_oidc_config;

/* Asks nobody yet. ERRORS: INVALID_ARGUMENT (naming the option and its fault), UNAVAILABLE,
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_oidc_open(const pang_oidc_config *config, pang_oidc **ret,
                                         pang_err *err);
/* REQUIRES: no call in flight. NULL is fine, here and below. */
void pang_oidc_close(pang_oidc *oidc);

size_t pang_oidc_size(const pang_oidc *oidc);
const pang_provider *pang_oidc_at(const pang_oidc *oidc, size_t i);
/* One where people sign in. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_oidc_find(const pang_oidc *oidc, const char *name,
                                         const pang_provider **ret, pang_err *err);
/* True when some provider's tokens are taken as bearer tokens. */
bool pang_oidc_takes_bearer(const pang_oidc *oidc);

/* The allowed address that is exactly `given`, or the first for an empty one. ERRORS:
 * INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_oidc_redirect(const pang_oidc *oidc, pang_str given, pang_str *ret,
                                             pang_err *err);
/* Whether a verified address of that domain leads to a user. */
bool pang_oidc_may_link(const pang_oidc *oidc, pang_str email);

/* ---- a sign-in ---- */

typedef struct {
    pang_str state, nonce, verifier;
    int64_t deadline_ms;
} pang_oidc_sign_in;

/* Where the browser goes. ERRORS: UNAVAILABLE (the provider), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_oidc_begin(pang_oidc *oidc, const pang_provider *provider,
                                          const pang_oidc_sign_in *sign_in, pang_arena *arena,
                                          pang_str *ret_url, pang_err *err);
/* Who the code stands for. `iss`: of the answer (RFC 9207), empty when it has none. ERRORS:
 * UNAUTHENTICATED (the answer is another provider's, the code is refused, or what it gave does not
 * hold), UNAVAILABLE, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_oidc_end(pang_oidc *oidc, const pang_provider *provider,
                                        const pang_oidc_sign_in *sign_in, pang_str code,
                                        pang_str iss, pang_arena *arena, pang_somebody *ret,
                                        pang_err *err);

/* ---- bearer tokens ---- */

/* For authn.h: who a bearer token of a configured issuer stands for, as a principal of ours. `oidc`
 * is the pang_oidc. ERRORS: NOT_FOUND (none of these issuers), UNAUTHENTICATED, UNAVAILABLE,
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_oidc_foreign(void *oidc, pang_str token, pang_arena *arena,
                                            pang_principal *ret, pang_err *err);

#endif
