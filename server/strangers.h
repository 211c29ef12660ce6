/*
 * Strangers: callers whose credential is none. They are counted by address and kind of credential,
 * in the audit log and in the throttle; who fails too often is told to wait (429). Good keys and
 * tokens pass all the same, since a neighbour behind the same address may be the one who fails;
 * only passwords, which can be guessed, are not even tried then.
 * Called by dispatch.c. Threads: any.
 */
#ifndef PANG_SERVER_STRANGERS_H
#define PANG_SERVER_STRANGERS_H

#include "server/dispatch.h"

/* Before the credential is looked at. ERRORS: RESOURCE_EXHAUSTED (*ret_wait_s). */
PANG_MUST_CHECK pang_code pang_stranger_may_try(const pang_server_env *server,
                                                const pang_request *request, unsigned *ret_wait_s,
                                                pang_err *err);
/* It was none: `err` says why. `waits`: this thread may wait for the store; else the store is this
 * server's alone, and nobody needs to be told. Returns what is answered: UNAUTHENTICATED, or
 * RESOURCE_EXHAUSTED. */
pang_code pang_stranger_failed(const pang_server_env *server, const pang_request *request,
                               bool waits, unsigned *ret_wait_s, pang_err *err);

#endif
