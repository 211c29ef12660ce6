/*
 * Pages of the bridge's own: whether it lives, whether the core behind it takes requests, metrics
 * of both, and the answer to another origin's preflight.
 */
#include <string.h>

#include "api/wire.h"
#include "bridge/request_internal.h"
#include "bridge/status.h"

enum {
    READY_TIMEOUT_MS = 2000,
    METRICS_TIMEOUT_MS = 2000,
    SERVING = 1, /* grpc.health.v1.HealthCheckResponse.ServingStatus */
};

static void answer_json(pang_request *request, unsigned status, pang_str body)
{
    reply r = {.status = status, .body = body};
    pang_request_reply(request, &r);
}

static bool draining(const pang_request *request)
{
    return atomic_load(&request->worker->bridge->draining);
}

static void ask_ready(pang_request *request)
{
    request->route = PANG_ROUTE_HEALTH;
    if (draining(request)) {
        answer_json(request, 503, PANG_STR("{\"status\":\"draining\"}"));
        return;
    }
    request->kind = ASKS_READY;
    pang_request_call(request, PANG_STR("/grpc.health.v1.Health/Check"), PANG_STR(""),
                      READY_TIMEOUT_MS);
}

static void ask_metrics(pang_request *request)
{
    request->route = PANG_ROUTE_METRICS;
    request->kind = ASKS_METRICS;
    pang_request_call(request, PANG_STR("/pangolin.v1.OperationsService/GetMetrics"), PANG_STR(""),
                      METRICS_TIMEOUT_MS);
}

/* The preflight of a page of another origin: answered here, and only where origins are set. */
static bool is_preflight(const pang_request *request)
{
    return request->worker->bridge->n_cors_origins > 0 &&
           pang_str_equal(request->head.verb, PANG_STR("OPTIONS")) &&
           pang_head_find(&request->head, PANG_STR("access-control-request-method")).len > 0;
}

bool pang_request_page(pang_request *request)
{
    bool get = request->only_head || pang_str_equal(request->head.verb, PANG_STR("GET"));
    if (is_preflight(request)) {
        answer_json(request, 204, PANG_STR(""));
        return true;
    }
    if (!get)
        return false;
    if (pang_str_equal(request->path, PANG_STR("/health/live"))) {
        request->route = PANG_ROUTE_HEALTH;
        answer_json(request, 200, PANG_STR("{\"status\":\"alive\"}"));
        return true;
    }
    if (pang_str_equal(request->path, PANG_STR("/health/ready")) ||
        pang_str_equal(request->path, PANG_STR("/health"))) {
        ask_ready(request);
        return true;
    }
    if (pang_str_equal(request->path, PANG_STR("/metrics")) &&
        request->worker->bridge->metrics_on &&
        request->apart == request->worker->bridge->metrics_apart) {
        ask_metrics(request);
        return true;
    }
    return false;
}

/* The first field of a message, when it is the one asked for. */
static pang_wire_field find_field(pang_str message, uint32_t number)
{
    pang_wire_field f;
    while (pang_wire_next(&message, &f)) {
        if (f.number == number)
            return f;
    }
    return (pang_wire_field){0};
}

static void answer_ready(pang_request *request, const pang_upstream_status *status)
{
    pang_str message = {request->reply, request->reply_len};
    int64_t now = pang_env_mono_ms(&pang_env_system);
    long long latency = (long long)(now - request->begun_us / 1000);
    pang_buf body = {.arena = request->arena};
    bool serving = status->code == PANG_OK && find_field(message, 1).value == SERVING;
    if (serving)
        atomic_store(&request->worker->bridge->was_ready, true);
    if (serving)
        pang_buf_printf(&body, "{\"status\":\"ready\",\"store\":\"ok\",\"store_latency_ms\":%lld}",
                        latency < 0 ? 0 : latency);
    else if (!atomic_load(&request->worker->bridge->was_ready))
        pang_buf_printf(&body, "{\"status\":\"starting\"}");
    else
        pang_buf_printf(
            &body, "{\"status\":\"unready\",\"store\":\"unreachable\",\"error\":\"%s\"}",
            status->code == PANG_OK ? "the core does not serve" : "the core does not answer");
    answer_json(request, serving ? 200 : 503, pang_buf_str(&body));
}

static void answer_metrics(pang_request *request, const pang_upstream_status *status)
{
    pang_bridge *bridge = request->worker->bridge;
    pang_buf body = {.arena = request->arena};
    pang_metrics **all = pang_arena_alloc_n(request->arena, bridge->n_workers, sizeof(void *));
    if (all == NULL) {
        pang_request_refuse(request, PANG_RESOURCE_EXHAUSTED, NULL, "out of memory");
        return;
    }
    for (size_t i = 0; i < bridge->n_workers; i++)
        all[i] = bridge->workers[i].metrics;
    pang_metrics_print(all, bridge->n_workers, atomic_load(&bridge->connections), &body);
    if (status->code == PANG_OK)
        pang_buf_add(&body, find_field((pang_str){request->reply, request->reply_len}, 1).bytes);
    pang_buf_printf(&body,
                    "# HELP pangolin_core_up Whether the bridge reaches the core.\n"
                    "# TYPE pangolin_core_up gauge\npangolin_core_up %d\n",
                    status->code == PANG_OK);
    reply r = {
        .status = 200,
        .content_type = PANG_STR("text/plain; version=0.0.4; charset=utf-8"),
        .body = pang_buf_str(&body),
    };
    pang_request_reply(request, &r);
}

void pang_request_page_done(pang_request *request, const pang_upstream_status *status)
{
    if (request->kind == ASKS_READY)
        answer_ready(request, status);
    else
        answer_metrics(request, status);
}
