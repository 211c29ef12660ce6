/*
 * Counters and one histogram per route. Names are those that dashboards of Pangolin know.
 */
#include "bridge/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    STATUSES = 24,
    BUCKETS = 11,
    EXTRA_ROUTES = 3, /* of pang_route_id, behind the methods */
};

static const unsigned statuses[STATUSES - 1] = {
    200, 204, 304, 400, 401, 403, 404, 405, 406, 408, 409, 413,
    414, 415, 417, 419, 422, 429, 431, 500, 503, 504, 507,
}; /* the last slot counts all others */

static const int64_t bounds_us[BUCKETS] = {
    5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
};

static const char *const bound_names[BUCKETS] = {
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
};

typedef struct {
    atomic_uint_fast64_t by_status[STATUSES];
    atomic_uint_fast64_t buckets[BUCKETS + 1];
    atomic_uint_fast64_t sum_us;
} route_counts;

struct pang_metrics {
    const pang_schema *schema;
    size_t n_routes;
    atomic_uint_fast64_t refused[PANG_REFUSED_COUNT];
    route_counts routes[];
};

pang_code pang_metrics_new(const pang_schema *schema, pang_metrics **ret, pang_err *err)
{
    size_t n = pang_schema_size(schema) + EXTRA_ROUTES;
    pang_metrics *metrics = calloc(1, sizeof *metrics + n * sizeof metrics->routes[0]);
    if (metrics == NULL)
        return pang_fail_memory(err);
    metrics->schema = schema;
    metrics->n_routes = n;
    *ret = metrics;
    return PANG_OK;
}

void pang_metrics_free(pang_metrics *metrics)
{
    free(metrics);
}

int64_t pang_metrics_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static size_t slot_of(const pang_metrics *metrics, int method)
{
    return method >= 0 ? (size_t)method : metrics->n_routes - EXTRA_ROUTES + (size_t)(-method - 1);
}

static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t value(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void pang_metrics_count(pang_metrics *metrics, int method, unsigned status, int64_t micros)
{
    route_counts *route = &metrics->routes[slot_of(metrics, method)];
    size_t s = 0, b = 0;
    while (s < STATUSES - 1 && statuses[s] != status)
        s++;
    while (b < BUCKETS && micros > bounds_us[b])
        b++;
    add(&route->by_status[s], 1);
    add(&route->buckets[b], 1);
    add(&route->sum_us, micros > 0 ? (uint64_t)micros : 0);
}

void pang_metrics_refused(pang_metrics *metrics, pang_refusal why)
{
    add(&metrics->refused[why], 1);
}

/* ---- printing ---- */

typedef struct {
    pang_str verb, path;
} route_name;

static route_name name_of(const pang_metrics *metrics, size_t route)
{
    static const route_name extra[EXTRA_ROUTES] = {
        {PANG_STR_INIT("*"), PANG_STR_INIT("(none)")},
        {PANG_STR_INIT("GET"), PANG_STR_INIT("/health")},
        {PANG_STR_INIT("GET"), PANG_STR_INIT("/metrics")},
    };
    size_t methods = pang_schema_size(metrics->schema);
    if (route >= methods)
        return extra[route - methods];
    const pang_schema_method *m = pang_schema_at(metrics->schema, route);
    if (m->n_http == 0)
        return (route_name){PANG_STR("POST"), m->path}; /* reached as gRPC only */
    return (route_name){m->http[0].verb, m->http[0].path};
}

static uint64_t total_of(pang_metrics *const *all, size_t n, size_t route, size_t status)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += value(&all[i]->routes[route].by_status[status]);
    return sum;
}

static void print_requests(pang_metrics *const *all, size_t n, pang_buf *out)
{
    pang_buf_add(out, PANG_STR("# HELP pangolin_http_requests_total Requests answered.\n"
                               "# TYPE pangolin_http_requests_total counter\n"));
    for (size_t route = 0; route < all[0]->n_routes; route++) {
        route_name name = name_of(all[0], route);
        for (size_t s = 0; s < STATUSES; s++) {
            uint64_t sum = total_of(all, n, route, s);
            if (sum == 0)
                continue;
            pang_buf_printf(out,
                            "pangolin_http_requests_total{method=\"%.*s\",route=\"%.*s\","
                            "status=\"%u\"} %llu\n",
                            PANG_STR_ARG(name.verb), PANG_STR_ARG(name.path),
                            s < STATUSES - 1 ? statuses[s] : 0, (unsigned long long)sum);
        }
    }
}

static void print_duration(pang_metrics *const *all, size_t n, size_t route, pang_buf *out)
{
    route_name name = name_of(all[0], route);
    uint64_t buckets[BUCKETS + 1] = {0}, sum = 0, below = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t b = 0; b <= BUCKETS; b++)
            buckets[b] += value(&all[i]->routes[route].buckets[b]);
        sum += value(&all[i]->routes[route].sum_us);
    }
    for (size_t b = 0; b <= BUCKETS; b++)
        below += buckets[b];
    if (below == 0)
        return;
    uint64_t count = below;
    below = 0;
    for (size_t b = 0; b <= BUCKETS; b++) {
        below += buckets[b];
        pang_buf_printf(out,
                        "pangolin_http_request_duration_seconds_bucket{method=\"%.*s\","
                        "route=\"%.*s\",le=\"%s\"} %llu\n",
                        PANG_STR_ARG(name.verb), PANG_STR_ARG(name.path),
                        b < BUCKETS ? bound_names[b] : "+Inf", (unsigned long long)below);
    }
    pang_buf_printf(out,
                    "pangolin_http_request_duration_seconds_sum{method=\"%.*s\",route=\"%.*s\"} "
                    "%llu.%06llu\n",
                    PANG_STR_ARG(name.verb), PANG_STR_ARG(name.path),
                    (unsigned long long)(sum / 1000000), (unsigned long long)(sum % 1000000));
    pang_buf_printf(out,
                    "pangolin_http_request_duration_seconds_count{method=\"%.*s\","
                    "route=\"%.*s\"} %llu\n",
                    PANG_STR_ARG(name.verb), PANG_STR_ARG(name.path), (unsigned long long)count);
}

static void print_connections(pang_metrics *const *all, size_t n, int64_t connections,
                              pang_buf *out)
{
    static const char *const why[PANG_REFUSED_COUNT] = {"limit", "peer", "protocol", "timeout"};
    pang_buf_printf(out,
                    "# HELP pangolin_http_connections Client connections now.\n"
                    "# TYPE pangolin_http_connections gauge\n"
                    "pangolin_http_connections %lld\n"
                    "# HELP pangolin_http_refused_total Connections refused or ended early.\n"
                    "# TYPE pangolin_http_refused_total counter\n",
                    (long long)connections);
    for (size_t w = 0; w < PANG_REFUSED_COUNT; w++) {
        uint64_t sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += value(&all[i]->refused[w]);
        pang_buf_printf(out, "pangolin_http_refused_total{why=\"%s\"} %llu\n", why[w],
                        (unsigned long long)sum);
    }
}

void pang_metrics_print(pang_metrics *const *all, size_t n, int64_t connections, pang_buf *out)
{
    print_requests(all, n, out);
    pang_buf_add(out, PANG_STR("# HELP pangolin_http_request_duration_seconds Time from the "
                               "request's header to the reply's end.\n"
                               "# TYPE pangolin_http_request_duration_seconds histogram\n"));
    for (size_t route = 0; route < all[0]->n_routes; route++)
        print_duration(all, n, route, out);
    print_connections(all, n, connections, out);
}
