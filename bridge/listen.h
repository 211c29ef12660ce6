/*
 * Listening: sockets of the bridge, and taking connections from them.
 * Called by main.c. Threads: opening before the workers run, accepting in each worker.
 */
#ifndef PANG_BRIDGE_LISTEN_H
#define PANG_BRIDGE_LISTEN_H

#include "bridge/bridge.h"

/* Binds one socket per worker to one address (SO_REUSEPORT); port 0 takes a free one, the same for
 * all. *ret_port is the port. Without authentication an address that is not loopback is refused:
 * it is the bound socket that is looked at. ERRORS: INVALID_ARGUMENT (no such address),
 * FAILED_PRECONDITION (not loopback), UNAVAILABLE (in use, not permitted). */
PANG_MUST_CHECK pang_code pang_listen(pang_bridge *bridge, const char *address, unsigned port,
                                      unsigned *ret_port, pang_err *err);
/* Binds "host:port" for /metrics and /health alone, plain, accepted by the first worker.
 * ERRORS: as pang_listen. */
PANG_MUST_CHECK pang_code pang_listen_metrics(pang_bridge *bridge, pang_str address, pang_err *err);
/* Begins to accept in a worker's loop. False when the kernel refuses. */
bool pang_listen_start(pang_worker *worker);
/* No new connections; what the kernel has queued is let go. */
void pang_listen_stop(pang_worker *worker);
/* Listens again after descriptors ran out. Part of the worker's sweep. */
void pang_listen_sweep(pang_worker *worker, int64_t now_ms);

#endif
