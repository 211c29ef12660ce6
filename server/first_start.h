/*
 * First start: what a store needs before anybody can sign in. Root's account, with the password of
 * the configuration or a one-time code to set one with; and a record of the nil tenant, in which a
 * catalog that was begun without authentication keeps its data: it is called "default".
 * Called by main.c at every start with authentication, by one thread; of several servers that start
 * at once one does it. Lifetime: nothing is kept.
 */
#ifndef PANG_SERVER_FIRST_START_H
#define PANG_SERVER_FIRST_START_H

#include "api/txn.h"

struct pang_passwords;

#define PANG_DEFAULT_TENANT "default"

typedef struct {
    const pang_env *env;
    pang_db *db;
    struct pang_passwords *passwords;
    pang_str root_name;     /* empty: "root" */
    pang_str root_password; /* the configuration's: root's from now on; empty: none is said */
} pang_first_start;

/* *ret_code, in arena: the setup code, which is shown this once; empty: none was made. *ret_waits:
 * root has no password yet, and the code of an earlier start was not used. ERRORS:
 * INVALID_ARGUMENT (the password is none), the store's. */
PANG_MUST_CHECK pang_code pang_first_start_run(const pang_first_start *first, pang_arena *arena,
                                               pang_str *ret_code, bool *ret_waits, pang_err *err);

#endif
