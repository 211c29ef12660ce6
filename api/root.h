/*
 * Root, reset on the host: for who has lost its password, and the machine. Implemented in
 * server/root.c. Called by cli/. Threads: one.
 */
#ifndef PANG_API_ROOT_H
#define PANG_API_ROOT_H

#include "api/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Takes root's password and ends its tokens; *ret, in arena, is a one-time code to set another
 * with. Told in the audit log. Takes the store, and closes it in any case. ERRORS: NOT_FOUND (no
 * server has been started on it with authentication), the store's. */
PANG_MUST_CHECK pang_code pang_root_reset(pang_store *store, const pang_env *env, pang_arena *arena,
                                          pang_str *ret, pang_err *err);

#ifdef __cplusplus
}
#endif
#endif
