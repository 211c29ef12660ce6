/*
 * `pangolin up`: one command that runs a whole catalog on one machine.
 * Called by cli/pangolin.c. Threads: one; it owns the process's signals while it runs.
 */
#ifndef PANG_CLI_UP_H
#define PANG_CLI_UP_H

#include <stdbool.h>

/* Starts pangolin-server and pangolin-bridge from the folder of this program (or, in a build tree,
 * from its neighbours), waits until they answer, prints how to use them, restarts one that dies,
 * and stops the bridge, then the server, on SIGINT or SIGTERM. SIGHUP is passed on to both.
 * Returns the process's exit status: 0 after a clean stop, 2 when they could not be started. */
int pang_up(int argc, char **argv);

/* cli/ready.c: asks GET /health/ready of the bridge on loopback, at most timeout_ms long.
 * True when it answers 200. */
bool pang_is_ready(unsigned port, int timeout_ms);

#endif
