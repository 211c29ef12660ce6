/*
 * Listen: the server's only door, a unix socket. Takes connections itself, instead of leaving that
 * to gRPC, whose own listener never accepts again once descriptors have run out: checks the
 * peer's user, bounds connections, backs off when descriptors are short, and hands on what is
 * left.
 * Called by main.c. Threads: one of its own, inside; `taken` runs on it.
 * Lifetime: the socket's file is removed by stop.
 */
#ifndef PANG_SERVER_LISTEN_H
#define PANG_SERVER_LISTEN_H

#include <sys/types.h>

#include "server/metrics.h"

typedef struct pang_listener pang_listener;

typedef struct {
    const char *path;  /* of the socket; its folder is made, mode 0710, when missing */
    const uid_t *uids; /* users who may connect besides the server's own */
    size_t n_uids;
    unsigned connections_max;
    unsigned per_process_max;         /* connections of one peer process; 0: connections_max */
    void (*taken)(void *arg, int fd); /* gets the connection; the descriptor is its own */
    void *arg;
    pang_counters *counters; /* may be NULL */
} pang_listen_config;

/* Binds, listens, starts. REQUIRES: nobody else serves this path (pang_lock_take): a socket file
 * that is there is taken for a dead server's. ERRORS: INVALID_ARGUMENT (the path is too long),
 * UNAVAILABLE (cannot bind). */
PANG_MUST_CHECK pang_code pang_listen_open(const pang_listen_config *config, pang_listener **ret,
                                           pang_err *err);
/* No connection is taken any more, those that are there live on. Idempotent. */
void pang_listen_stop(pang_listener *listener);
/* Stops and frees. NULL is fine. */
void pang_listen_close(pang_listener *listener);
unsigned pang_listen_connections(const pang_listener *listener);

/* Locks a file against other processes until *ret_fd is closed; makes its folder (0710).
 * ERRORS: FAILED_PRECONDITION (another process holds it), UNAVAILABLE. */
PANG_MUST_CHECK pang_code pang_lock_take(const char *path, int *ret_fd, pang_err *err);

#endif
