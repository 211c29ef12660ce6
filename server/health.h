/*
 * Health: whether this server takes calls, as gRPC's health protocol says it.
 * Called by main.c (sets), the health service (reads, waits). Threads: any.
 * Lifetime: outlives every call.
 */
#ifndef PANG_SERVER_HEALTH_H
#define PANG_SERVER_HEALTH_H

#include "api/service.h"

typedef struct pang_health pang_health;

typedef enum {
    PANG_STARTING,
    PANG_SERVING,
    PANG_WITHOUT_STORE, /* it lives, but its store does not answer */
    PANG_DRAINING,      /* the last state: watchers are told, and their streams end */
} pang_health_state;

/* PANG_STARTING. NULL without memory. */
pang_health *pang_health_new(void);
void pang_health_free(pang_health *health); /* NULL is fine */
/* Wakes watchers when it changes something. Nothing follows PANG_DRAINING. */
void pang_health_set(pang_health *health, pang_health_state state);
pang_health_state pang_health_get(const pang_health *health);

#endif
