/*
 * Reach: opens the configured store, and waits for a remote database that is not up yet.
 * Called by main.c at start, by the thread that takes the signals.
 */
#ifndef PANG_SERVER_REACH_H
#define PANG_SERVER_REACH_H

#include "api/arena.h"
#include "api/config.h"
#include "api/storage.h"

/* Opens and migrates. While a remote store is UNAVAILABLE it is tried again, for
 * database-connect-timeout in all; SIGINT, SIGTERM or SIGQUIT (blocked by the caller, left pending)
 * end that. What lasts for as long as the store lies in the arena. `data` is the data folder.
 * ERRORS: as pang_setup_store_url, pang_store_open and pang_store_migrate. */
PANG_MUST_CHECK pang_code pang_reach_store(const pang_config *config, pang_str data,
                                           const pang_env *env, pang_arena *arena, pang_store **ret,
                                           pang_err *err);

#endif
