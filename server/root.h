/*
 * Root's account and its one-time setup code: random, shown once, kept as a digest. With it as
 * password a login sets root's password (server/signin.h), and the code is gone.
 * Called by first_start.c and, through api/root.h, by the host's commands. Threads: any.
 */
#ifndef PANG_SERVER_ROOT_H
#define PANG_SERVER_ROOT_H

#include "api/txn.h"

#include "pangolin/store/v1/identity.pb-c.h"

enum { PANG_SETUP_CODE = 29 }; /* characters: 125 bits in five groups */

/* A new code, which takes the place of an older one, in a transaction of the system scope; *ret in
 * arena. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_setup_code_put(pang_txn *txn, const pang_env *env, pang_arena *arena,
                                              pang_str *ret, pang_err *err);
/* NULL where there is none. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_root_get(pang_txn *txn, pang_arena *arena,
                                        Pangolin__Store__V1__User **ret, pang_err *err);
/* Whoever is signed in as root is not any more when `ends`. */
void pang_root_put(pang_txn *txn, const pang_env *env, pang_arena *arena,
                   Pangolin__Store__V1__User *root, bool ends);

#endif
