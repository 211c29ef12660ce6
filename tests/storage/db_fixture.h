/*
 * What the tests of transactions, cache and group commit share: one memory store, and handles on
 * it, each behind a fault injector of its own. Called by tests/storage/test_*.c and tests/fault/.
 * Threads: the first one only, unless a function says otherwise. Lifetime: from rig_open to
 * rig_close.
 *
 * `own` is as if this process alone had the store; `a` and `b` are as two servers on one store.
 * Never use `own` together with the other two, except to set up before it has cached anything.
 */
#ifndef PANG_TESTS_STORAGE_DB_FIXTURE_H
#define PANG_TESTS_STORAGE_DB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/txn.h"
#include "storage/faulty.h"

typedef struct {
    pang_store *memory;
    pang_store *faults_own, *faults_a, *faults_b;
    pang_db *own, *a, *b;
    pang_arena *arena;
} rig;

/* NULL config: the defaults. Asserts. */
void rig_open(rig *r, const pang_db_config *config);
void rig_close(rig *r);

#define SCOPE PANG_STR("tenant")

/* Begins in r->arena without a deadline. */
pang_txn *rig_begin(rig *r, pang_db *db);
/* Puts one record in a transaction of its own. */
void rig_put(rig *r, pang_db *db, const char *key, const char *body);
void rig_delete(rig *r, pang_db *db, const char *key);
void rig_add(rig *r, pang_db *db, const char *counter, int64_t amount);
/* The body read in a transaction of its own, run until it is not stale; NULL: absent. */
const char *rig_read(rig *r, pang_db *db, const char *key);
/* One exact read in `txn`: the body, NULL when absent, and *ret_code if it is not NULL. */
const char *rig_get(rig *r, pang_txn *txn, const char *key, pang_read_mode mode,
                    pang_code *ret_code);
pang_code rig_commit(pang_txn *txn);
/* Straight from the store, past every handle. */
pang_record rig_peek(rig *r, const char *key);
pang_db_stats rig_stats(pang_db *db);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
