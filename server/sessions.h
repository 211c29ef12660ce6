/*
 * Sessions: access tokens and refresh tokens as they are given out, listed and ended. A token that
 * ends before its time has a record by its id; who ends one adds to the auth epoch of its tenant,
 * so that every server knows at its next request.
 * A refresh token works once and gives the next of its family. One that comes again was copied:
 * the family ends, with every access token that came of it.
 * Called by svc_auth.c and svc_oauth.c. Threads: as the call's. Lifetime: results live in the
 * call's arena.
 */
#ifndef PANG_SERVER_SESSIONS_H
#define PANG_SERVER_SESSIONS_H

#include "server/signin.h"

#define PANG_SESSION_MS (INT64_C(24) * 60 * 60 * 1000)       /* a login's token, by default */
#define PANG_SESSION_SHORT_MS (INT64_C(60) * 60 * 1000)      /* OAuth 2.0's */
#define PANG_REFRESH_MS (INT64_C(7) * 24 * 60 * 60 * 1000)   /* a family, from its login on */
#define PANG_TOKEN_LIFE_MAX_MS (INT64_C(8760) * 3600 * 1000) /* of a token made by request */

enum { PANG_FAMILY_TOKENS_MAX = 32 }; /* access tokens of one family that may be alive at once */

/* A login's life, as configured. */
int64_t pang_session_life(const pang_call *call);

typedef struct {
    int64_t life_ms;
    bool refreshes; /* with a refresh token */
    bool is_listed; /* in the account's list of tokens */
    pang_id jti;    /* of the token that it continues: what ends one ends both; nil: of its own */
} pang_session_wish;

typedef struct {
    pang_str access, refresh; /* refresh: empty unless wished for */
    pang_id jti;
    int64_t expires_ms; /* of the access token; wall clock */
} pang_session;

/* Tokens for an account. Its audit row is of that account from now on.
 * ERRORS: FAILED_PRECONDITION (this server makes no tokens), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_session_open(pang_call *call, const pang_principal *who,
                                            const pang_session_wish *wish, pang_session *ret,
                                            pang_err *err);
/* The next tokens for a refresh token, which ends. ERRORS: UNAUTHENTICATED, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_session_refresh(pang_call *call, pang_str token,
                                               const pang_session_wish *wish, pang_signin *ret_who,
                                               pang_session *ret, pang_err *err);

/* Ends a token in the call's transaction, and with it the refresh token that came with it.
 * `expires_ms`: of the token, as far as it is known; 0: it is not. `reason` may be empty.
 * ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_session_end(pang_call *call, const pang_principal *whose,
                                           pang_id jti, int64_t expires_ms, const char *reason,
                                           pang_err *err);
/* The same for a listed token of the scope. ERRORS: NOT_FOUND. */
PANG_MUST_CHECK pang_code pang_session_end_listed(pang_call *call, pang_str scope, const char *id,
                                                  const char *reason, pang_err *err);
/* Whether a token was ended. */
PANG_MUST_CHECK pang_code pang_session_is_ended(pang_call *call, const pang_principal *whose,
                                                pang_id jti, bool *ret, pang_err *err);

#endif
