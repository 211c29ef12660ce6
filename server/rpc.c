/*
 * Calls on the wire, from gRPC's asking to the answer. Each queue thread owns a completion queue
 * and all call objects that came from it; no other thread touches their lists. A call is generic
 * (nothing is registered with gRPC), so that an unknown method has an answer too, and its method is
 * found by comparing whole views of the path. This file and the other two of rpc_internal.h are all
 * that knows gRPC.
 *
 * A unary call's life: requested (tag NEW) - RECV_CLOSE_ON_SERVER posted first, so that we learn
 * of a cancellation whenever it comes - admitted or refused - RECV_MESSAGE (tag MESSAGE) - run
 * here or on the pool - one batch with everything (tag ANSWER). The object goes back to the free
 * list once no tag is outstanding; while a handler runs it holds one `pending` itself, so that
 * this always happens on the queue's thread. A stream's handler runs on the pool, posts its own
 * batches (tag STREAM) and sleeps until the queue's thread wakes it.
 */
#include "server/rpc_internal.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

enum {
    EVENTS_PER_CLOCK = 64, /* events between two looks at the clock */
    VALUE_MAX = 1024,      /* bytes of a metadata value that is used in logs and audit rows */
    SECOND = 1000,
};

/* ---- running ---- */

static void run_call(pang_job *job)
{
    call *c = (call *)((char *)job - offsetof(call, job));
    pang_dispatch_run(c->queue->rpc->config.dispatcher, c->route, &c->request, &c->answer);
    pang_rpc_send_answer(c);
}

/* REQUIRES: one `pending` is held for the handler. */
static void start_handler(call *c)
{
    c->state = RUNNING;
    c->job.run = run_call;
    if (!pang_route_waits(c->route)) {
        run_call(&c->job);
        return;
    }
    if (!pang_pool_run(c->queue->rpc->config.pool, &c->job)) {
        c->answer.code = pang_fail(&c->answer.err, PANG_RESOURCE_EXHAUSTED, NULL,
                                   "no thread can be started");
        c->answer.retry_after_s = PANG_RETRY_AFTER_S;
        pang_rpc_send_answer(c);
    }
}

static void on_message(call *c)
{
    if (c->state == ANSWERED) { /* it came too late */
        pang_rpc_give_up(c);
        return;
    }
    bool there = c->received != NULL && !atomic_load(&c->transport.cancelled);
    if (there && pang_rpc_hold_message(c)) {
        c->request.message = pang_rpc_view(&c->message);
        if (c->request.message.len <= pang_route_body_max(c->route)) {
            start_handler(c);
            return;
        }
        c->answer.code = pang_rpc_too_large(c, &c->answer.err);
    } else {
        c->answer.code = pang_fail(&c->answer.err, PANG_INVALID_ARGUMENT, NULL,
                                   "the call has no message");
    }
    c->state = ANSWERED;
    pang_rpc_send_answer(c);
}

/* ---- a call begins ---- */

static const struct {
    const char *name;
    size_t offset; /* of the view in pang_request */
    size_t max;    /* bytes; the rest is cut off */
} metadata_names[] = {
    {"authorization", offsetof(pang_request, authorization), SIZE_MAX},
    {"pangolin-authorization", offsetof(pang_request, authorization), SIZE_MAX}, /* bridge */
    {"x-api-key", offsetof(pang_request, api_key), VALUE_MAX},
    {"x-pangolin-tenant", offsetof(pang_request, tenant), SIZE_MAX},
    {"x-request-id", offsetof(pang_request, request_id), VALUE_MAX},
    {"traceparent", offsetof(pang_request, traceparent), VALUE_MAX},
    {"pangolin-client-address", offsetof(pang_request, client_address), VALUE_MAX},
    {"pangolin-user-agent", offsetof(pang_request, user_agent), VALUE_MAX},
};

/* Of a key that is there twice the first counts. */
static void read_metadata(call *c)
{
    for (size_t n = 0; n < sizeof metadata_names / sizeof metadata_names[0]; n++) {
        pang_str *to = (pang_str *)((char *)&c->request + metadata_names[n].offset);
        pang_str name = pang_str_from(metadata_names[n].name);
        *to = (pang_str){0};
        for (size_t i = 0; i < c->metadata.count && to->ptr == NULL; i++) {
            if (pang_str_equal(pang_rpc_view(&c->metadata.metadata[i].key), name))
                *to = pang_str_slice(pang_rpc_view(&c->metadata.metadata[i].value), 0,
                                     metadata_names[n].max);
        }
    }
}

static int64_t client_deadline(const call *c, int64_t now)
{
    gpr_timespec at = c->details.deadline;
    if (gpr_time_cmp(at, gpr_inf_future(at.clock_type)) >= 0)
        return PANG_NO_DEADLINE;
    return now + gpr_time_to_millis(gpr_convert_clock_type(at, GPR_TIMESPAN));
}

static void begin_call(call *c)
{
    pang_rpc *rpc = c->queue->rpc;
    int64_t now = pang_rpc_now_ms(rpc);
    grpc_op closed = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                      .data.recv_close_on_server.cancelled = &c->was_cancelled};
    pang_rpc_link(c);
    c->pending = 1;
    c->has_sent_metadata = false;
    c->answer.out = NULL;
    c->answer.retry_after_s = 0;
    c->transport.ops = &pang_rpc_stream_ops;
    atomic_store(&c->transport.cancelled, false);
    atomic_store_explicit(&c->is_answered, false, memory_order_relaxed);
    pang_rpc_start_batch(c, &closed, 1, TAG_CLOSED);
    c->route = pang_dispatch_find(rpc->config.dispatcher, pang_rpc_view(&c->details.method));
    if (c->route == NULL) {
        pang_rpc_answer_now(c, PANG_UNIMPLEMENTED, "unknown method");
        return;
    }
    c->admitted = pang_dispatch_admit(rpc->config.dispatcher, c->route, &c->answer) == PANG_OK;
    if (!c->admitted) {
        c->state = ANSWERED;
        c->pending++;
        pang_rpc_send_answer(c);
        return;
    }
    read_metadata(c);
    c->request.deadline_ms = pang_route_deadline(rpc->config.dispatcher, c->route, now,
                                                 client_deadline(c, now));
    c->pending++;
    if (pang_route_is_stream(c->route)) {
        start_handler(c);
        return;
    }
    grpc_op message = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->received};
    c->state = RECEIVING;
    pang_rpc_start_batch(c, &message, 1, TAG_MESSAGE);
}

static void on_new(call *c, bool ok)
{
    queue *q = c->queue;
    q->n_requested--;
    if (!ok) { /* the server stops */
        grpc_call_details_destroy(&c->details);
        pang_rpc_call_free(c);
        pang_rpc_count_out(q->rpc);
        return;
    }
    pang_rpc_request_calls(q);
    begin_call(c);
}

static void on_closed(call *c)
{
    if (c->was_cancelled)
        atomic_store(&c->transport.cancelled, true);
    pang_rpc_give_up(c);
}

/* ---- the queue's thread ---- */

/* Ends calls whose request never became whole: a deadline of the client's own ends them in gRPC,
 * but one that has none would hold its place for ever. */
static void sweep(queue *q)
{
    int64_t now = pang_rpc_now_ms(q->rpc);
    for (call *c = q->in_flight; c != NULL; c = c->next) {
        if (c->state == RECEIVING && now >= c->request.deadline_ms)
            pang_rpc_answer_now(c, PANG_DEADLINE_EXCEEDED, "the request did not arrive in time");
    }
}

static void on_event(pang_rpc *rpc, const grpc_event *event)
{
    tag *t = event->tag;
    if (t == &rpc->shutdown) {
        pang_rpc_wake_drain(rpc, true);
        return;
    }
    switch (t->kind) {
    case TAG_NEW:
        on_new(t->call, event->success != 0);
        break;
    case TAG_CLOSED:
        on_closed(t->call);
        break;
    case TAG_MESSAGE:
        on_message(t->call);
        break;
    case TAG_ANSWER:
        pang_rpc_on_answered(t->call);
        break;
    default:
        pang_rpc_on_stream(t->call, event->success != 0);
        break;
    }
}

static void *run_queue(void *arg)
{
    queue *q = arg;
    unsigned events = 0;
    int64_t sweep_at = 0;
    pang_rpc_request_calls(q);
    for (;;) {
        gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                          gpr_time_from_millis(PANG_RPC_SWEEP_MS, GPR_TIMESPAN));
        grpc_event event = grpc_completion_queue_next(q->cq, until, NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type == GRPC_OP_COMPLETE)
            on_event(q->rpc, &event);
        if (event.type == GRPC_OP_COMPLETE && ++events % EVENTS_PER_CLOCK != 0)
            continue;
        int64_t now = pang_rpc_now_ms(q->rpc);
        if (now >= sweep_at) {
            sweep_at = now + PANG_RPC_SWEEP_MS;
            sweep(q);
            pang_rpc_request_calls(q);
        }
    }
}

/* ---- open, drain, close ---- */

/* What each of these answers is in README.md. */
static grpc_server *create_server(const pang_rpc_config *config)
{
    const struct {
        const char *name;
        int value;
    } rows[] = {
        {GRPC_ARG_MAX_CONCURRENT_STREAMS, PANG_RPC_STREAMS_MAX},
        {GRPC_ARG_MAX_METADATA_SIZE, PANG_RPC_METADATA_MAX},
        {GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)config->message_max},
        {GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1},
        {GRPC_ARG_KEEPALIVE_TIME_MS, 60 * SECOND},
        {GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20 * SECOND},
        {GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 60 * SECOND},
        {GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2},
        {GRPC_ARG_HTTP2_BDP_PROBE, 0},
        {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20},
        {GRPC_ARG_ENABLE_CHANNELZ, 0},
    };
    grpc_arg args[sizeof rows / sizeof rows[0]];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        args[i] = (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)(uintptr_t)rows[i].name};
        args[i].value.integer = rows[i].value;
    }
    return grpc_server_create(&(grpc_channel_args){sizeof rows / sizeof rows[0], args}, NULL);
}

static pang_code start_queues(pang_rpc *rpc, pang_err *err)
{
    for (unsigned i = 0; i < rpc->config.queues; i++) {
        queue *q = &rpc->queues[i];
        q->rpc = rpc;
        q->cq = grpc_completion_queue_create_for_next(NULL);
        grpc_server_register_completion_queue(rpc->server, q->cq, NULL);
    }
    grpc_server_start(rpc->server);
    for (unsigned i = 0; i < rpc->config.queues; i++) {
        pang_code code = pang_thread_start("queue", 0, run_queue, &rpc->queues[i],
                                           &rpc->queues[i].thread, err);
        if (code != PANG_OK)
            return code;
        rpc->n_started++;
    }
    return PANG_OK;
}

pang_code pang_rpc_open(const pang_rpc_config *config, pang_rpc **ret, pang_err *err)
{
    assert(config->queues > 0);
    pang_rpc *rpc = calloc(1, sizeof *rpc);
    queue *queues = calloc(config->queues, sizeof *queues);
    if (rpc == NULL || queues == NULL || !pang_condition_open(&rpc->wake)) {
        free(rpc);
        free(queues);
        return pang_fail_memory(err);
    }
    grpc_init();
    rpc->config = *config;
    rpc->queues = queues;
    (void)pthread_mutex_init(&rpc->lock, NULL);
    rpc->server = create_server(config);
    rpc->insecure = grpc_insecure_server_credentials_create();
    pang_code code = start_queues(rpc, err);
    if (code != PANG_OK) {
        (void)pang_rpc_drain(rpc, 0, SECOND);
        pang_rpc_close(rpc);
        return code;
    }
    *ret = rpc;
    return PANG_OK;
}

void pang_rpc_add(void *rpc, int fd)
{
    grpc_server_add_channel_from_fd(((pang_rpc *)rpc)->server, fd, ((pang_rpc *)rpc)->insecure);
}

static bool wait_drained(pang_rpc *rpc, int64_t ms)
{
    int64_t until = pang_rpc_now_ms(rpc) + ms;
    (void)pthread_mutex_lock(&rpc->lock);
    for (int64_t left = ms; left > 0 && !(rpc->is_shut_down && atomic_load(&rpc->calls) == 0);
         left = until - pang_rpc_now_ms(rpc))
        (void)pang_condition_wait(&rpc->wake, &rpc->lock, left);
    bool drained = rpc->is_shut_down && atomic_load(&rpc->calls) == 0;
    (void)pthread_mutex_unlock(&rpc->lock);
    return drained;
}

bool pang_rpc_drain(pang_rpc *rpc, int64_t grace_ms, int64_t hard_ms)
{
    atomic_store(&rpc->stopping, true);
    grpc_server_shutdown_and_notify(rpc->server, rpc->queues[0].cq, &rpc->shutdown);
    if (wait_drained(rpc, grace_ms))
        return true;
    grpc_server_cancel_all_calls(rpc->server);
    return wait_drained(rpc, hard_ms);
}

static void close_queue(queue *q, bool started)
{
    grpc_completion_queue_shutdown(q->cq);
    if (started) {
        (void)pthread_join(q->thread, NULL);
    } else {
        while (grpc_completion_queue_next(q->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
               GRPC_QUEUE_SHUTDOWN)
            continue;
    }
    grpc_completion_queue_destroy(q->cq);
    while (q->free_calls != NULL) {
        call *c = q->free_calls;
        q->free_calls = c->next;
        pang_rpc_call_free(c);
    }
}

void pang_rpc_close(pang_rpc *rpc)
{
    if (rpc == NULL)
        return;
    grpc_server_destroy(rpc->server);
    grpc_server_credentials_release(rpc->insecure);
    for (unsigned i = 0; i < rpc->config.queues; i++)
        close_queue(&rpc->queues[i], i < rpc->n_started);
    (void)pthread_mutex_destroy(&rpc->lock);
    (void)pthread_cond_destroy(&rpc->wake);
    free(rpc->queues);
    free(rpc);
    grpc_shutdown_blocking();
}
