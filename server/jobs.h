/*
 * Jobs: the threads that do what no call waits for: the services' later work (pang_state_work),
 * asking the store now and then whether it still answers, for health; and the audit log's writing
 * and chaining, which must not wait for the others (pang_audit_work); and the keyring's reading
 * again and rotation (pang_keyring_work); and counting what the store holds (pang_growth_work).
 * Called by main.c. Threads: six of its own.
 */
#ifndef PANG_SERVER_JOBS_H
#define PANG_SERVER_JOBS_H

#include "api/txn.h"
#include "server/audit_log.h"
#include "server/health.h"
#include "server/keyring.h"
#include "server/state.h"

typedef struct pang_jobs pang_jobs;

enum {
    PANG_PING_EVERY_MS = 2000,
    PANG_PING_TIMEOUT_MS = 2000,
};

/* On what the process lends to calls, which outlives them; a keyring may be missing.
 * Sets health to PANG_SERVING or PANG_WITHOUT_STORE from its first round on. */
PANG_MUST_CHECK pang_code pang_jobs_start(const pang_server_env *shared, pang_jobs **ret,
                                          pang_err *err);
/* Waits for the rounds that are running. NULL is fine. */
void pang_jobs_stop(pang_jobs *jobs);

#endif
