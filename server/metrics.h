/*
 * Metrics: what the server counts, in Prometheus' text format. Calls by method and code, their
 * durations, a few named counters, and gauges that are read when asked for.
 * Called by the dispatcher, by services (through pang_server_env.counters) and by ops.c.
 * Threads: any; every number is one relaxed atomic. Lifetime: as long as the server.
 */
#ifndef PANG_SERVER_METRICS_H
#define PANG_SERVER_METRICS_H

#include "api/schema.h"
#include "api/arena.h"

typedef struct pang_counters pang_counters;

/* One per row of the table in metrics.c. */
typedef enum {
    PANG_COUNT_TABLE_COMMITS,
    PANG_COUNT_TABLE_COMMITS_SUCCEEDED,
    PANG_COUNT_TABLE_COMMITS_CONFLICTED,
    PANG_COUNT_RERUNS,  /* handlers run again after a lost race */
    PANG_COUNT_REFUSED, /* calls that were not admitted */
    PANG_COUNT_REPLAYS, /* answers given again for an Idempotency-Key */
    PANG_COUNT_AUDIT_ROWS,
    PANG_COUNT_METRICS_REPORTS, /* of engines */
    PANG_COUNT_MERGED_TABLES,   /* runs of the merger of tables, for plans of any kind */
    PANG_COUNT_CONNECTIONS,     /* accepted on the socket */
    PANG_COUNT_CONNECTIONS_REFUSED,
    PANG_COUNT_MAX
} pang_counter;

/* ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_counters_open(const pang_schema *schema, pang_counters **ret,
                                             pang_err *err);
void pang_counters_close(pang_counters *counters); /* NULL is fine */

/* counters may be NULL in all three: nothing is counted. */
void pang_count(pang_counters *counters, pang_counter which);
/* A call has ended. `index` is the method's in the schema. */
void pang_count_call(pang_counters *counters, size_t index, pang_code code, int64_t microseconds);
uint64_t pang_counter_value(const pang_counters *counters, pang_counter which);

/* The clock of durations: microseconds from an arbitrary point. Only for metrics. */
int64_t pang_metrics_clock(void);

/* A gauge or counter that somebody else keeps: reads `value` when the text is made. */
typedef struct {
    /* "pangolin_pool_threads", "gauge" or "counter". A name may have labels: "a{kind=\"b\"}"; those
     * of one name follow each other. */
    const char *name, *type, *help;
    double value;
} pang_sample;
/* Fills up to `max` samples; returns how many. */
typedef size_t pang_sample_fn(void *arg, pang_sample *samples, size_t max);
enum { PANG_SOURCES_MAX = 8, PANG_SAMPLES_MAX = 32 };
/* At start only. REQUIRES: fewer than PANG_SOURCES_MAX so far. */
void pang_counters_add_source(pang_counters *counters, pang_sample_fn *fn, void *arg);

/* Appends all as text; methods that were never called are left out. */
void pang_counters_print(const pang_counters *counters, pang_buf *to);

#endif
