/*
 * Who somebody is here that an identity provider vouches for: the user of that provider and
 * subject; on the first time a user of the provider's tenant with the same verified email address,
 * where its domain may be trusted with that, or a new one, where that is configured. Nobody gets a
 * rank by it: who is new is a tenant's user without permissions but for those of mapped roles.
 * Called by svc_oidc.c. Threads: as the call's. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_OIDC_USERS_H
#define PANG_SERVER_OIDC_USERS_H

#include "server/oidc.h"
#include "server/signin.h"

/* In the call's transaction, whose scope is the system's. Roles that the provider's groups give
 * are given and taken. ERRORS: PERMISSION_DENIED (nobody we let in), FAILED_PRECONDITION (too many
 * roles), the store's. */
PANG_MUST_CHECK pang_code pang_oidc_enter_user(pang_call *call, const pang_provider *provider,
                                               const pang_somebody *who, pang_principal *ret,
                                               pang_err *err);

#endif
