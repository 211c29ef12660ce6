/*
 * Authentication: who calls. The evaluation mode is all there is so far: everybody is the same
 * known caller of the nil tenant, and an Authorization header, which clients send anyway ("Bearer
 * None"), is ignored.
 * Called by server/dispatch.c before anything else happens. Threads: any.
 */
#ifndef PANG_SERVER_AUTHN_H
#define PANG_SERVER_AUTHN_H

#include "server/dispatch.h"

/* Whether callers can be told at all: at start. ERRORS: FAILED_PRECONDITION with what to do. */
PANG_MUST_CHECK pang_code pang_authn_check_mode(bool evaluation, pang_err *err);

/* *ret lives in the arena or longer. ERRORS: UNAUTHENTICATED. */
PANG_MUST_CHECK pang_code pang_authn_identify(bool evaluation, const pang_request *request,
                                              pang_arena *arena, const pang_principal **ret,
                                              pang_err *err);

#endif
