/*
 * grpc.health.v1. One state for the whole server; a service that is not served is NOT_FOUND to
 * Check and SERVICE_UNKNOWN to Watch. A watcher holds a thread of the pool while it sleeps, which
 * is why streams are bounded; it looks up now and then, since its caller may just go.
 */
#include "server/health.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "grpc/health/v1/health.pb-c.h"
#include "server/ops.h"
#include "server/worker.h"

typedef Grpc__Health__V1__HealthCheckRequest check_request;
typedef Grpc__Health__V1__HealthCheckResponse check_response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

enum { LOOK_EVERY_MS = 200 };

struct pang_health {
    atomic_int state;
    pthread_mutex_t lock; /* for sleepers only */
    pthread_cond_t changed;
};

pang_health *pang_health_new(void)
{
    pang_health *health = calloc(1, sizeof *health);
    if (health == NULL)
        return NULL;
    atomic_init(&health->state, PANG_STARTING);
    if (!pang_condition_open(&health->changed)) {
        free(health);
        return NULL;
    }
    (void)pthread_mutex_init(&health->lock, NULL);
    return health;
}

void pang_health_free(pang_health *health)
{
    if (health == NULL)
        return;
    (void)pthread_mutex_destroy(&health->lock);
    (void)pthread_cond_destroy(&health->changed);
    free(health);
}

pang_health_state pang_health_get(const pang_health *health)
{
    return (pang_health_state)atomic_load(&((pang_health *)(uintptr_t)health)->state);
}

void pang_health_set(pang_health *health, pang_health_state state)
{
    (void)pthread_mutex_lock(&health->lock);
    if (atomic_load(&health->state) != PANG_DRAINING)
        atomic_store(&health->state, (int)state);
    (void)pthread_cond_broadcast(&health->changed);
    (void)pthread_mutex_unlock(&health->lock);
}

/* Sleeps until the state is another one, a while at most. */
static void wait_for_change(pang_health *health, pang_health_state seen)
{
    (void)pthread_mutex_lock(&health->lock);
    if (pang_health_get(health) == seen)
        (void)pang_condition_wait(&health->changed, &health->lock, LOOK_EVERY_MS);
    (void)pthread_mutex_unlock(&health->lock);
}

/* ---- the service ---- */

static bool is_served(const char *name)
{
    pang_str wanted = pang_str_from(name);
    if (wanted.len == 0)
        return true; /* the server itself */
    for (const pang_service *const *s = pang_services; *s != NULL; s++) {
        if (pang_str_equal(pang_str_from((*s)->name), wanted))
            return true;
    }
    return false;
}

static serving_status status_of(pang_health_state state)
{
    return state == PANG_SERVING ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

static pang_code check(pang_call *call, const void *in, void *out, pang_err *err)
{
    const check_request *request = in;
    check_response *response = out;
    if (!is_served(request->service))
        return pang_fail(err, PANG_NOT_FOUND, NULL, "service \"%.128s\" is not served here",
                         request->service);
    response->status = status_of(pang_health_get(call->server->health));
    return PANG_OK;
}

static pang_code watch(pang_call *call, pang_stream *stream, pang_err *err)
{
    const check_request *request;
    check_response response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    bool sent = false;
    pang_code code = pang_stream_receive(stream, (const void **)&request, err);
    if (code == PANG_OK && request == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "the call has no message");
    bool served = code == PANG_OK && is_served(request->service);
    while (code == PANG_OK) {
        pang_health_state state = pang_health_get(call->server->health);
        serving_status now = served ? status_of(state) : STATUS(SERVICE_UNKNOWN);
        if (!sent || now != response.status) {
            response.status = now;
            code = pang_stream_send(stream, &response, err);
            sent = true;
        }
        if (code == PANG_OK && state == PANG_DRAINING)
            code = pang_fail(err, PANG_UNAVAILABLE, NULL, "the server stops");
        else if (code == PANG_OK && pang_call_cancelled(call))
            code = pang_fail(err, PANG_CANCELLED, NULL, "the caller has gone");
        else if (code == PANG_OK)
            wait_for_change(call->server->health, state);
    }
    return code;
}

static const pang_method methods[] = {
    {
        .path = "/grpc.health.v1.Health/Check",
        .in = &grpc__health__v1__health_check_request__descriptor,
        .out = &grpc__health__v1__health_check_response__descriptor,
        .handle = check,
    },
    {
        .path = "/grpc.health.v1.Health/Watch",
        .in = &grpc__health__v1__health_check_request__descriptor,
        .out = &grpc__health__v1__health_check_response__descriptor,
        .stream = watch,
    },
};

const pang_service pang_service_health = {
    .name = "grpc.health.v1.Health",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
