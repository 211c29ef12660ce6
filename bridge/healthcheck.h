/*
 * Health check: `pangolin-bridge --healthcheck` asks the bridge that runs with the same settings
 * whether it and its core take requests. For images without a shell or curl.
 * Called by main.c. Threads: main's.
 */
#ifndef PANG_BRIDGE_HEALTHCHECK_H
#define PANG_BRIDGE_HEALTHCHECK_H

#include "api/config.h"

/* Removes the flag from the arguments; true when it was there. */
bool pang_healthcheck_asked(int *argc, char **argv);
/* The exit status: 0 when GET /health/ready answers 200. Behind TLS only that the port accepts
 * connections is checked: the certificate is for others, and has another name than loopback. */
int pang_healthcheck(const pang_config *config);

#endif
