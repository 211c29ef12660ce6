/*
 * Authentication: who calls, by the credential that came with the call. One is looked at, in this
 * order: X-API-Key, Authorization: Basic (root's from the configuration), Authorization: Bearer (a
 * token of ours, or of an issuer that is configured). Public methods look at none.
 * Without a pang_authn there is the evaluation mode: everybody is the same known caller of the nil
 * tenant, and what clients send anyway ("Bearer None") is ignored.
 * Called by server/dispatch.c before anything else happens. Threads: any. Lifetime: outlives calls.
 */
#ifndef PANG_SERVER_AUTHN_H
#define PANG_SERVER_AUTHN_H

#include "server/dispatch.h"

struct pang_keyring;

enum {
    PANG_AUTHN_KEY_LIFE_MS = 30 * 1000
}; /* how long a verified API key is remembered: as long
      as a service user's new rank may stay unseen */

/* Of another issuer's token. ERRORS: NOT_FOUND (none of its issuers': ours is then the answer),
 * UNAUTHENTICATED, UNAVAILABLE. */
typedef pang_code pang_authn_foreign_fn(void *arg, pang_str token, pang_arena *arena,
                                        pang_principal *ret, pang_err *err);

typedef struct {
    const pang_env *env;
    pang_db *db;
    struct pang_keyring *keyring;
    pang_str root_user, root_password; /* PANGOLIN_ROOT_...; both empty: no Basic. Borrowed */
    pang_authn_foreign_fn *foreign;    /* NULL: no other issuers */
    void *foreign_arg;
    size_t remembered; /* verified credentials; 0: PANG_REMEMBER_ENTRIES */
} pang_authn_config;

/* ERRORS: INVALID_ARGUMENT (a root password that is none, or a user without one),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_authn_open(const pang_authn_config *config, pang_authn **ret,
                                          pang_err *err);
/* REQUIRES: no call in flight. NULL is fine. */
void pang_authn_close(pang_authn *authn);

/* Whether telling a caller may have to wait for another issuer's keys. NULL: never. */
bool pang_authn_waits(const pang_authn *authn);

/* Whether callers can be told at all: at start. ERRORS: FAILED_PRECONDITION with what to do. */
PANG_MUST_CHECK pang_code pang_authn_check_mode(bool evaluation, const pang_authn *authn,
                                                pang_err *err);

/* By `authn`, NULL in evaluation mode. *ret lives in the arena or longer. ERRORS: UNAUTHENTICATED
 * (no credential, or none that is good), PERMISSION_DENIED (X-Pangolin-Tenant names another tenant
 * than the caller's), INVALID_ARGUMENT (it is no UUID), the store's. */
PANG_MUST_CHECK pang_code pang_authn_identify(pang_authn *authn, bool is_public,
                                              const pang_request *request, pang_arena *arena,
                                              const pang_principal **ret, pang_err *err);

/* Of root, in the call's transaction: that its account and token have not ended since, and that the
 * tenant it acts in is there. Of anybody else the evaluator finds it out. ERRORS: UNAUTHENTICATED,
 * NOT_FOUND (the tenant), the store's. */
PANG_MUST_CHECK pang_code pang_authn_confirm(const pang_authn *authn, pang_call *call,
                                             pang_err *err);

/* The user id of root from the configuration, once it has logged in. */
extern const pang_id pang_authn_root_id;

#endif
