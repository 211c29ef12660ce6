/*
 * Signing in: by a password or an API key, for the login and the OAuth 2.0 token endpoint alike.
 * Failures are counted by address and account and told to the audit log; too many are refused for
 * a while, with call->retry_after_s. Unknown accounts, wrong passwords, accounts that are not
 * active and tenants that are not there get one answer, after the same time.
 * Called by svc_auth.c and svc_oauth.c. Threads: as the call's; a password takes a good part of a
 * second. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_SIGNIN_H
#define PANG_SERVER_SIGNIN_H

#include "server/identity.h"

/* Root's user id. */
extern const pang_id pang_root_id;

/* The scope of an account's records: its tenant's, or the system's of root. Empty without memory
 * (the arena is then marked). */
pang_str pang_account_scope(pang_principal_kind kind, pang_id tenant, pang_arena *arena);

/* Who signed in. One of the two records is set. */
typedef struct {
    pang_principal who; /* as a token of it will say */
    pang_rec_user *user;
    pang_rec_service_user *service;
    int64_t last_ms; /* when it was here before; 0: never, or not looked up */
} pang_signin;

/* `tenant` NULL: root. With a `new_password`, which only root may give, that becomes its password;
 * root's one-time setup code is a password for nothing else. A password that was hashed at a lower
 * cost is hashed again. ERRORS: UNAUTHENTICATED, RESOURCE_EXHAUSTED (reason "TooManyRequests"),
 * INVALID_ARGUMENT (new_password), the store's. */
PANG_MUST_CHECK pang_code pang_signin_password(pang_call *call, const pang_id *tenant,
                                               pang_str username, pang_str password,
                                               pang_str new_password, pang_signin *ret,
                                               pang_err *err);

/* An API key, and what its owner calls itself: its UUID, the key's own id, or nothing.
 * ERRORS: UNAUTHENTICATED, RESOURCE_EXHAUSTED, the store's. */
PANG_MUST_CHECK pang_code pang_signin_key(pang_call *call, pang_str client, pang_str key,
                                          pang_signin *ret, pang_err *err);

/* An account as it is now, for a token that speaks of it: its kind and tenant are known.
 * ERRORS: UNAUTHENTICATED (gone, not active, or its tokens of before `epoch` have ended). */
PANG_MUST_CHECK pang_code pang_signin_again(pang_call *call, const pang_principal *as,
                                            uint64_t epoch, pang_signin *ret, pang_err *err);

/* A refresh token or token to exchange was none: counted as a failure to sign in is.
 * Returns UNAUTHENTICATED. */
pang_code pang_signin_bad_token(pang_call *call, const char *message, pang_err *err);
/* Whether the caller's address may try at all. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_signin_may_try(pang_call *call, pang_err *err);
/* The same of a sign-in at an identity provider, which is a record for a while whoever asks for it:
 * counted, and of one address bounded. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_signin_may_begin(pang_call *call, pang_err *err);

/* What clients are shown of it; *ret in the call's arena. ERRORS: RESOURCE_EXHAUSTED. */
struct Pangolin__V1__UserInfo;
PANG_MUST_CHECK pang_code pang_signin_show(pang_call *call, const pang_signin *who,
                                           struct Pangolin__V1__UserInfo **ret, pang_err *err);

#endif
