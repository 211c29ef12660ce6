/*
 * Reseal: brings every secret in the store under the sealing key that seals now, one record and
 * commit at a time, while everything goes on. What somebody else changed meanwhile is looked at
 * again.
 * Called by svc_keys.c. Threads: any that may wait.
 */
#ifndef PANG_SERVER_RESEAL_H
#define PANG_SERVER_RESEAL_H

#include "api/txn.h"

struct pang_sealer;

/* *ret_n: how many records were sealed again; those before an error too. ERRORS:
 * FAILED_PRECONDITION (a key is not here; its id is named), DATA_LOSS, the store's,
 * DEADLINE_EXCEEDED. */
PANG_MUST_CHECK pang_code pang_reseal(pang_db *db, const pang_env *env,
                                      const struct pang_sealer *sealer, int64_t deadline_ms,
                                      uint64_t *ret_n, pang_err *err);

#endif
