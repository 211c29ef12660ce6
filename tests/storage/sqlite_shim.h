/*
 * A layer between SQLite and the file system for tests: it fails the n-th call of a kind, and it
 * knows what of each file would be left if the power went now.
 * Called by the tests of the SQLite backend. Threads: any; one lock inside. Installed once per
 * process, for all that opens a database afterwards.
 */
#ifndef PANG_TESTS_STORAGE_SQLITE_SHIM_H
#define PANG_TESTS_STORAGE_SQLITE_SHIM_H

#include <stdbool.h>
#include <stdint.h>

typedef enum { SHIM_WRITE, SHIM_SYNC, SHIM_TRUNCATE, SHIM_OPS } shim_op;

/* Makes the layer the default one of SQLite. May be called again. */
void shim_install(void);
/* From now on the n-th call of `op` (1 is the next one) answers the result `rc` of SQLite without
 * doing anything; all later ones too when `for_ever`. n = 0: none. */
void shim_fail(shim_op op, int n, int rc, bool for_ever);
/* How many calls were failed since. */
int shim_failed(void);

/* Called after each write, sync and truncation, under the lock: `shim_crash` may be called. */
typedef void shim_watch_fn(void *arg);
void shim_watch(shim_watch_fn *fn, void *arg);
/* Writes into `folder` (which exists) what the disk would hold after a loss of power now: for each
 * open file what was synced, and of every later write all, nothing, or some of its sectors.
 * Only inside of a shim_watch_fn. */
bool shim_crash(const char *folder, uint64_t *dice);

#endif
