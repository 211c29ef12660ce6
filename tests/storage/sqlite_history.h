/*
 * A history that tells afterwards what landed: commit number i, as the store's own sequence counts,
 * writes i into two records of a ring, adds one to a counter, and appends. Whatever happened to the
 * store, its records must be those after some number of whole commits.
 * Called by the tests of the SQLite backend. Threads: one per history.
 */
#ifndef PANG_TESTS_STORAGE_SQLITE_HISTORY_H
#define PANG_TESTS_STORAGE_SQLITE_HISTORY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/storage.h"

enum { HISTORY_GROUP_MAX = 8 };

typedef struct {
    pang_store *store;
    pang_arena *arena; /* reset by each call below */
    const pang_env *env;
    char path[512];
} history;

/* TEST_TMPDIR/name, and no such database yet. Asserts. */
void history_begin(history *h, const char *name);
/* Opens the file; migrates it when `migrate`. */
pang_code history_open(history *h, bool migrate, pang_err *err);
void history_close(history *h);
/* Closes and frees. NULL arena is fine. */
void history_end(history *h);

/* Applies a group of n commits whose numbers, if they land, follow `landed`. Returns the one
 * outcome they all have; anything else is asserted against. */
pang_outcome history_commit(history *h, uint64_t landed, size_t n, pang_err *ret_err);
/* The number of commits whose effects the store shows, whole and in order, or the test fails. */
uint64_t history_landed(history *h);
/* Removes the file and what belongs to it. */
void history_remove(const char *path);

#endif
