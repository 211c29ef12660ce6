/*
 * Bootstrap: what an empty store needs before it can serve.
 * Called by pang_state_start; making a catalog is also the catalogs' service's.
 * Threads: any; several servers may start on one store at once. Lifetime: nothing is kept.
 */
#ifndef PANG_SERVER_BOOTSTRAP_H
#define PANG_SERVER_BOOTSTRAP_H

#include "server/content.h"
#include "server/state.h"

#define PANG_RETENTION_MS (INT64_C(30) * 24 * 60 * 60 * 1000)
#define PANG_UNDROP_MS (INT64_C(7) * 24 * 60 * 60 * 1000)

/* Makes the demo catalog in the nil tenant unless it is there.
 * ERRORS: INVALID_ARGUMENT (the warehouse), the store's. */
PANG_MUST_CHECK pang_code pang_bootstrap_demo(pang_state *state, const pang_start_config *config,
                                              pang_err *err);

/* A new catalog with its branch main, in the transaction. *settings.id is set by this.
 * ERRORS: ALREADY_EXISTS, INVALID_ARGUMENT (name), the store's. */
PANG_MUST_CHECK pang_code pang_catalog_create(pang_txn *txn, pang_arena *arena, pang_str scope,
                                              const pang_env *env, pang_rec_catalog *settings,
                                              pang_err *err);

#endif
