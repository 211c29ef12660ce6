/*
 * `pangolin up`: one command that runs a whole catalog on one machine.
 * Called by cli/pangolin.c. Threads: one; it owns the process's signals while it runs.
 */
#ifndef PANG_CLI_UP_H
#define PANG_CLI_UP_H

#include <stdbool.h>
#include <sys/types.h>

/* Starts pangolin-server and pangolin-bridge from the folder of this program (or, in a build tree,
 * from its neighbours), waits until they answer, prints how to use them, restarts one that dies,
 * and stops the bridge, then the server, on SIGINT or SIGTERM. SIGHUP is passed on to both.
 * Returns the process's exit status: 0 after a clean stop, 2 when they could not be started. */
int pang_up(int argc, char **argv);

/* ---- cli/ready.c ---- */

typedef struct {
    const char *socket; /* the core's */
    pid_t server;       /* that has to be the one who listens there */
    const char *host;   /* what the bridge was told to listen on */
    unsigned port;
    bool tls; /* then only that the port accepts connections: the certificate is for others */
    int timeout_ms;
} pang_ready_query;

/* True when `server` listens on the core's socket, and the bridge answers GET /health/ready with
 * 200. */
bool pang_is_ready(const pang_ready_query *query);
/* The address by which this machine reaches a listener on `bound`: that of "all" is loopback. */
const char *pang_ready_host(const char *bound);

#endif
