/*
 * Metrics. Counters of calls lie in one array by method and code, so that counting is an index and
 * an add. Buckets of the histogram are kept apart, not cumulated: the text adds them up.
 */
#include "server/metrics.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CODES = 17, BUCKETS = 14 };

/* Upper bounds in microseconds. */
static const int64_t bounds[BUCKETS - 1] = {100,   250,   500,    1000,   2500,    5000,   10000,
                                            25000, 50000, 100000, 500000, 1000000, 5000000};

typedef struct {
    atomic_uint_fast64_t codes[CODES], buckets[BUCKETS], microseconds;
} method_numbers;

struct pang_counters {
    const pang_schema *schema;
    atomic_uint_fast64_t named[PANG_COUNT_MAX];
    struct {
        pang_sample_fn *fn;
        void *arg;
    } sources[PANG_SOURCES_MAX];
    size_t n_sources, n_methods;
    method_numbers methods[];
};

static const struct {
    const char *name, *help;
} named[PANG_COUNT_MAX] = {
    [PANG_COUNT_TABLE_COMMITS] = {"pangolin_table_commits_total", "Table commits asked for"},
    [PANG_COUNT_TABLE_COMMITS_SUCCEEDED] = {"pangolin_table_commits_succeeded_total",
                                            "Table commits that landed"},
    [PANG_COUNT_TABLE_COMMITS_CONFLICTED] = {"pangolin_table_commits_conflicted_total",
                                             "Table commits refused for a conflict"},
    [PANG_COUNT_RERUNS] = {"pangolin_table_commit_cas_retries_total",
                           "Handlers run again after a lost race"},
    [PANG_COUNT_REFUSED] = {"pangolin_rpc_refused_total", "Calls refused for load"},
    [PANG_COUNT_REPLAYS] = {"pangolin_idempotent_replays_total",
                            "Answers given again for an Idempotency-Key"},
    [PANG_COUNT_AUDIT_ROWS] = {"pangolin_audit_rows_total", "Audit rows written"},
    [PANG_COUNT_METRICS_REPORTS] = {"pangolin_metrics_reports_total",
                                    "Metrics reports taken from engines"},
    [PANG_COUNT_MERGED_TABLES] = {"pangolin_merge_tables_planned_total",
                                  "Tables changed on both sides that were merged for a plan"},
    [PANG_COUNT_CONNECTIONS] = {"pangolin_core_connections_total",
                                "Connections accepted on the socket"},
    [PANG_COUNT_CONNECTIONS_REFUSED] = {"pangolin_core_connections_refused_total",
                                        "Connections refused on the socket"},
};

pang_code pang_counters_open(const pang_schema *schema, pang_counters **ret, pang_err *err)
{
    size_t n = pang_schema_size(schema);
    pang_counters *counters = calloc(1, sizeof *counters + n * sizeof counters->methods[0]);
    if (counters == NULL)
        return pang_fail_memory(err);
    counters->schema = schema;
    counters->n_methods = n;
    *ret = counters;
    return PANG_OK;
}

void pang_counters_close(pang_counters *counters)
{
    free(counters);
}

static void add(atomic_uint_fast64_t *to, uint64_t n)
{
    (void)atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}

static uint64_t read_number(const atomic_uint_fast64_t *from)
{
    return atomic_load_explicit(from, memory_order_relaxed);
}

void pang_count(pang_counters *counters, pang_counter which)
{
    assert(which < PANG_COUNT_MAX);
    if (counters != NULL)
        add(&counters->named[which], 1);
}

uint64_t pang_counter_value(const pang_counters *counters, pang_counter which)
{
    return read_number(&counters->named[which]);
}

void pang_count_call(pang_counters *counters, size_t index, pang_code code, int64_t microseconds)
{
    size_t bucket = 0;
    if (counters == NULL)
        return;
    assert(index < counters->n_methods);
    method_numbers *method = &counters->methods[index];
    while (bucket < BUCKETS - 1 && microseconds > bounds[bucket])
        bucket++;
    add(&method->codes[(unsigned)code < CODES ? code : PANG_UNKNOWN], 1);
    add(&method->buckets[bucket], 1);
    add(&method->microseconds, microseconds > 0 ? (uint64_t)microseconds : 0);
}

/* Durations are observations, not behaviour: the one place beside api/env.c that asks the clock,
 * since env's has milliseconds. */
int64_t pang_metrics_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void pang_counters_add_source(pang_counters *counters, pang_sample_fn *fn, void *arg)
{
    assert(counters->n_sources < PANG_SOURCES_MAX);
    counters->sources[counters->n_sources].fn = fn;
    counters->sources[counters->n_sources++].arg = arg;
}

/* ---- the text ---- */

static void print_head(pang_buf *to, pang_str name, const char *type, const char *help)
{
    pang_buf_printf(to, "# HELP %" PANG_STR_FMT " %s.\n# TYPE %" PANG_STR_FMT " %s\n",
                    PANG_STR_ARG(name), help, PANG_STR_ARG(name), type);
}

static pang_str path_of(const pang_counters *counters, size_t i)
{
    return pang_schema_at(counters->schema, i)->path;
}

static uint64_t calls_of(const method_numbers *method)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < BUCKETS; i++)
        sum += read_number(&method->buckets[i]);
    return sum;
}

static void print_calls(const pang_counters *counters, pang_buf *to)
{
    print_head(to, PANG_STR("pangolin_rpc_total"), "counter", "Calls by method and code");
    for (size_t i = 0; i < counters->n_methods; i++) {
        for (unsigned code = 0; code < CODES; code++) {
            uint64_t n = read_number(&counters->methods[i].codes[code]);
            if (n > 0)
                pang_buf_printf(to,
                                "pangolin_rpc_total{method=\"%" PANG_STR_FMT "\",code=\"%s\"} "
                                "%llu\n",
                                PANG_STR_ARG(path_of(counters, i)), pang_code_name((pang_code)code),
                                (unsigned long long)n);
        }
    }
}

static void print_durations(const pang_counters *counters, size_t i, pang_buf *to)
{
    const method_numbers *method = &counters->methods[i];
    pang_str path = path_of(counters, i);
    uint64_t sum = 0;
    for (size_t b = 0; b < BUCKETS; b++) {
        char bound[32] = "+Inf";
        sum += read_number(&method->buckets[b]);
        if (b < BUCKETS - 1)
            (void)snprintf(bound, sizeof bound, "%g", (double)bounds[b] / 1e6);
        pang_buf_printf(to,
                        "pangolin_rpc_duration_seconds_bucket{method=\"%" PANG_STR_FMT
                        "\",le=\"%s\"} %llu\n",
                        PANG_STR_ARG(path), bound, (unsigned long long)sum);
    }
    pang_buf_printf(to,
                    "pangolin_rpc_duration_seconds_sum{method=\"%" PANG_STR_FMT "\"} %.6f\n"
                    "pangolin_rpc_duration_seconds_count{method=\"%" PANG_STR_FMT "\"} %llu\n",
                    PANG_STR_ARG(path), (double)read_number(&method->microseconds) / 1e6,
                    PANG_STR_ARG(path), (unsigned long long)sum);
}

/* The name without labels. */
static pang_str family_of(const pang_sample *sample)
{
    pang_str name = pang_str_from(sample->name);
    return pang_str_slice(name, 0, pang_str_find(name, '{'));
}

static void print_sources(const pang_counters *counters, pang_buf *to)
{
    for (size_t i = 0; i < counters->n_sources; i++) {
        pang_sample samples[PANG_SAMPLES_MAX];
        size_t n = counters->sources[i].fn(counters->sources[i].arg, samples, PANG_SAMPLES_MAX);
        for (size_t s = 0; s < n; s++) {
            pang_str family = family_of(&samples[s]);
            if (s == 0 || !pang_str_equal(family, family_of(&samples[s - 1])))
                print_head(to, family, samples[s].type, samples[s].help);
            pang_buf_printf(to, "%s %.15g\n", samples[s].name, samples[s].value);
        }
    }
}

void pang_counters_print(const pang_counters *counters, pang_buf *to)
{
    print_calls(counters, to);
    print_head(to, PANG_STR("pangolin_rpc_duration_seconds"), "histogram",
               "Time from request to answer");
    for (size_t i = 0; i < counters->n_methods; i++) {
        if (calls_of(&counters->methods[i]) > 0)
            print_durations(counters, i, to);
    }
    for (size_t i = 0; i < PANG_COUNT_MAX; i++) {
        print_head(to, pang_str_from(named[i].name), "counter", named[i].help);
        pang_buf_printf(to, "%s %llu\n", named[i].name,
                        (unsigned long long)read_number(&counters->named[i]));
    }
    print_sources(counters, to);
}
