/*
 * Metrics of the bridge: requests and their durations by route. Each worker counts for itself with
 * relaxed atomics; whoever is asked adds them up.
 * Called by request.c. Threads: pang_metrics_count by the owner, pang_metrics_print by any.
 */
#ifndef PANG_BRIDGE_METRICS_H
#define PANG_BRIDGE_METRICS_H

#include "api/arena.h"
#include "api/schema.h"

typedef struct pang_metrics pang_metrics;

/* For what is no method of the schema. */
typedef enum {
    PANG_ROUTE_NONE = -1,
    PANG_ROUTE_HEALTH = -2,
    PANG_ROUTE_METRICS = -3
} pang_route_id;

PANG_MUST_CHECK pang_code pang_metrics_new(const pang_schema *schema, pang_metrics **ret,
                                           pang_err *err);
void pang_metrics_free(pang_metrics *metrics); /* NULL is fine */
/* The clock of durations: microseconds from an arbitrary point. */
int64_t pang_metrics_clock(void);
/* One finished request. `method`: the schema's index, or one of pang_route_id. */
void pang_metrics_count(pang_metrics *metrics, int method, unsigned status, int64_t micros);
/* Connections that were refused, by why; a static text. */
typedef enum {
    PANG_REFUSED_LIMIT,    /* too many connections */
    PANG_REFUSED_PEER,     /* too many from one address */
    PANG_REFUSED_PROTOCOL, /* what came was no HTTP, or broke its rules */
    PANG_REFUSED_TIMEOUT,  /* too slow */
    PANG_REFUSED_COUNT
} pang_refusal;
void pang_metrics_refused(pang_metrics *metrics, pang_refusal why);
/* Prometheus text 0.0.4 of all workers together. `connections` as of now. */
void pang_metrics_print(pang_metrics *const *all, size_t n, int64_t connections, pang_buf *out);

#endif
