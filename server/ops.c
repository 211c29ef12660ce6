/*
 * What operators and the bridge ask the process itself.
 */
#include "server/ops.h"

#include "pangolin/v1/operations.pb-c.h"
#include "server/metrics.h"

enum { TEXT_MAX = 8 << 20 }; /* bytes of the metrics' text: the arena's limit is another's */

static pang_code ping(pang_call *call, const void *in, void *out, pang_err *err)
{
    (void)in;
    (void)err;
    ((Pangolin__V1__PingResponse *)out)->time_ms = pang_env_wall_ms(call->server->env);
    return PANG_OK;
}

static pang_code get_metrics(pang_call *call, const void *in, void *out, pang_err *err)
{
    Pangolin__V1__GetMetricsResponse *response = out;
    pang_buf text = {.arena = call->arena};
    (void)in;
    if (call->server->counters != NULL)
        pang_counters_print(call->server->counters, &text);
    if (text.failed || text.len > TEXT_MAX)
        return pang_fail_memory(err);
    response->text = pang_arena_cstr(call->arena, pang_buf_str(&text));
    return response->text == NULL ? pang_fail_memory(err) : PANG_OK;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.OperationsService/Ping",
        .in = &pangolin__v1__ping_request__descriptor,
        .out = &pangolin__v1__ping_response__descriptor,
        .handle = ping,
    },
    {
        .path = "/pangolin.v1.OperationsService/GetMetrics",
        .in = &pangolin__v1__get_metrics_request__descriptor,
        .out = &pangolin__v1__get_metrics_response__descriptor,
        .handle = get_metrics,
    },
};

const pang_service pang_service_operations = {
    .name = "pangolin.v1.OperationsService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
