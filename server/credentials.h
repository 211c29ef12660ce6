/*
 * Credentials: everything that a server needs to know callers and keep secrets, opened in order out
 * of the configuration: the sealing keys, the keyring, the gate of password hashes, authentication,
 * the cache of permits, what callers may try and take.
 * Called by main.c at start and end, by one thread. Lifetime: outlives every call.
 */
#ifndef PANG_SERVER_CREDENTIALS_H
#define PANG_SERVER_CREDENTIALS_H

#include "api/config.h"
#include "server/auth_cache.h"
#include "server/authn.h"
#include "server/keyring.h"
#include "server/oidc.h"
#include "server/password.h"
#include "server/quota.h"
#include "server/throttle.h"

/* What is NULL is not open. In evaluation mode there is neither authn nor permits: secrets are
 * sealed there, too. */
typedef struct {
    pang_sealer *sealer;
    pang_keyring *keyring;
    pang_passwords *passwords;
    pang_oidc *oidc; /* NULL also where no identity provider is configured */
    pang_authn *authn;
    pang_auth_cache *permits;
    pang_throttle *throttle;
    pang_quota *quota;
} pang_credentials;

/* `data` is the data folder, in which the file of the sealing key is made when there is none. *ret
 * is to be closed whatever the code. ERRORS: those of keyring.h and authn.h. */
PANG_MUST_CHECK pang_code pang_credentials_open(const pang_config *config, pang_db *db,
                                                const pang_env *env, pang_str data,
                                                pang_arena *arena, pang_credentials *ret,
                                                pang_err *err);
/* REQUIRES: no call in flight. */
void pang_credentials_close(pang_credentials *credentials);

#endif
