/*
 * Offline: what the commands on the host need of the server's own ways, to work on the store while
 * no server runs. Implemented in server/offline.c, so that both read the same settings alike.
 * Called by cli/. Threads: one. Lifetime: as said.
 */
#ifndef PANG_API_OFFLINE_H
#define PANG_API_OFFLINE_H

#include "api/config.h"
#include "api/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opens the store that a server with this configuration would use; a folder or file that is not
 * there is an error, and none is made. The caller closes it, before the arena goes.
 * ERRORS: NOT_FOUND (there is no such store), FAILED_PRECONDITION (a server holds it; a store in
 * memory), those of pang_store_open. */
PANG_MUST_CHECK pang_code pang_offline_open(const pang_config *config, const pang_env *env,
                                            pang_arena *arena, pang_store **ret, pang_err *err);

#ifdef __cplusplus
}
#endif
#endif
