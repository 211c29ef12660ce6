/*
 * The only file that knows gRPC. Each queue thread owns a completion queue and all call objects
 * that came from it; no other thread touches their lists. A call is generic (nothing is registered
 * with gRPC), so that an unknown method has an answer too, and its method is found by comparing
 * whole views of the path.
 *
 * A unary call's life: requested (tag NEW) - RECV_CLOSE_ON_SERVER posted first, so that we learn
 * of a cancellation whenever it comes - admitted or refused - RECV_MESSAGE (tag MESSAGE) - run
 * here or on the pool - one batch with everything (tag ANSWER). The object goes back to the free
 * list once no tag is outstanding; while a handler runs it holds one `pending` itself, so that
 * this always happens on the queue's thread. A stream's handler runs on the pool, posts its own
 * batches (tag STREAM) and sleeps until the queue's thread wakes it.
 */
#include "server/rpc.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <protobuf-c/protobuf-c.h>

#include "api/log.h"

enum {
    FREE_MAX = 256,        /* call objects that a queue keeps */
    EVENTS_PER_CLOCK = 64, /* events between two looks at the clock */
    TRAILERS_MAX = 2,
    VALUE_MAX = 1024, /* bytes of a metadata value that is used in logs and audit rows */
    SECOND = 1000,
};

typedef enum { TAG_NEW, TAG_CLOSED, TAG_MESSAGE, TAG_ANSWER, TAG_STREAM, TAG_KINDS } tag_kind;

typedef struct {
    struct call *call;
    tag_kind kind;
} tag;

typedef enum { REQUESTED, RECEIVING, RUNNING, ANSWERED } call_state;

typedef struct call {
    pang_transport transport; /* first: pang_call.rpc points here */
    pang_job job;
    struct queue *queue;
    struct call *next, *before; /* in flight, or in the free list (next) */
    tag tags[TAG_KINDS];
    unsigned pending; /* tags outstanding, and 1 while a handler has it; the queue's thread only,
                         see give_up */
    call_state state;
    int was_cancelled;

    grpc_call *grpc;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *received;
    grpc_slice message; /* the bytes of `received` in one piece */
    bool has_message;

    grpc_byte_buffer *sent;
    grpc_slice status_details;
    grpc_metadata trailers[TRAILERS_MAX];
    size_t n_trailers;
    atomic_bool is_answered; /* set behind all of the handler's writes: the queue's thread may read
                                them. gRPC orders the two as well, where no tool can see it */

    const pang_route *route;
    pang_request request;
    pang_answer answer;
    bool admitted;
    bool has_sent_metadata; /* a stream's first message took the initial metadata along */

    /* Streams: what the handler's thread waits for. */
    pthread_mutex_t lock; /* of done and ok */
    pthread_cond_t wake;
    bool done, ok;
} call;

typedef struct queue {
    pang_rpc *rpc;
    grpc_completion_queue *cq;
    pthread_t thread;
    call *in_flight, *free_calls;
    unsigned n_free, n_requested; /* calls asked for of gRPC, and not come yet */
} queue;

struct pang_rpc {
    pang_rpc_config config;
    grpc_server *server;
    grpc_server_credentials *insecure;
    queue *queues;
    unsigned n_started;
    atomic_bool stopping; /* no further call is asked for: asking again after a shutdown would
                             complete at once, for ever */
    atomic_uint calls;    /* asked for and not yet given back: a handler may outlive its connection,
                             and gRPC's shutdown waits for connections only */
    pthread_mutex_t lock; /* of is_shut_down */
    pthread_cond_t wake;  /* it is, or a call ended after `stopping` */
    bool is_shut_down;
    tag shutdown;
};

static int64_t now_ms(const pang_rpc *rpc)
{
    return pang_env_mono_ms(rpc->config.env);
}

/* ---- call objects ---- */

static void call_free(call *c)
{
    if (c == NULL)
        return;
    pang_arena_free(c->request.arena);
    pang_arena_free(c->request.attempt);
    grpc_metadata_array_destroy(&c->metadata);
    (void)pthread_mutex_destroy(&c->lock);
    (void)pthread_cond_destroy(&c->wake);
    free(c);
}

static call *call_new(queue *q)
{
    call *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->queue = q;
    for (unsigned i = 0; i < TAG_KINDS; i++)
        c->tags[i] = (tag){c, (tag_kind)i};
    grpc_metadata_array_init(&c->metadata);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->wake, NULL);
    c->request.transport = &c->transport;
    c->request.arena = pang_arena_new(q->rpc->config.call_memory);
    c->request.attempt = pang_arena_new(q->rpc->config.call_memory);
    if (c->request.arena == NULL || c->request.attempt == NULL) {
        call_free(c);
        return NULL;
    }
    return c;
}

static call *call_take(queue *q)
{
    call *c = q->free_calls;
    if (c == NULL)
        return call_new(q);
    q->free_calls = c->next;
    q->n_free--;
    return c;
}

static void drop_message(call *c)
{
    if (c->has_message)
        grpc_slice_unref(c->message);
    c->has_message = false;
    if (c->received != NULL)
        grpc_byte_buffer_destroy(c->received);
    c->received = NULL;
}

/* Asks for the next call of this queue. False without memory: the sweep tries again. */
static bool request_call(queue *q)
{
    call *c = call_take(q);
    if (c == NULL)
        return false;
    grpc_call_details_init(&c->details);
    c->state = REQUESTED;
    q->n_requested++;
    atomic_fetch_add(&q->rpc->calls, 1);
    grpc_call_error failed = grpc_server_request_call(
        q->rpc->server, &c->grpc, &c->details, &c->metadata, q->cq, q->cq, &c->tags[TAG_NEW]);
    assert(failed == GRPC_CALL_OK);
    return true;
}

static void request_calls(queue *q)
{
    while (q->n_requested < PANG_RPC_REQUESTS && !atomic_load(&q->rpc->stopping)) {
        if (!request_call(q))
            return;
    }
}

static void link_call(call *c)
{
    queue *q = c->queue;
    c->before = NULL;
    c->next = q->in_flight;
    if (c->next != NULL)
        c->next->before = c;
    q->in_flight = c;
}

static void unlink_call(call *c)
{
    if (c->before != NULL)
        c->before->next = c->next;
    else
        c->queue->in_flight = c->next;
    if (c->next != NULL)
        c->next->before = c->before;
}

/* The object is of no call any more. */
static void recycle(call *c)
{
    queue *q = c->queue;
    drop_message(c);
    grpc_call_details_destroy(&c->details);
    c->metadata.count = 0;
    pang_arena_reset(c->request.attempt);
    pang_arena_reset(c->request.arena);
    if (q->n_free >= FREE_MAX) {
        call_free(c);
        return;
    }
    c->next = q->free_calls;
    q->free_calls = c;
    q->n_free++;
}

static void wake_drain(pang_rpc *rpc, bool is_shut_down)
{
    (void)pthread_mutex_lock(&rpc->lock);
    rpc->is_shut_down = rpc->is_shut_down || is_shut_down;
    (void)pthread_cond_broadcast(&rpc->wake);
    (void)pthread_mutex_unlock(&rpc->lock);
}

static void count_out(pang_rpc *rpc)
{
    if (atomic_fetch_sub(&rpc->calls, 1) == 1 && atomic_load(&rpc->stopping))
        wake_drain(rpc, false);
}

/* A tag came back. */
static void give_up(call *c)
{
    assert(c->pending > 0);
    if (--c->pending > 0)
        return;
    unlink_call(c);
    if (c->admitted)
        pang_dispatch_leave(c->queue->rpc->config.dispatcher, c->route);
    c->admitted = false;
    grpc_call_unref(c->grpc);
    pang_rpc *rpc = c->queue->rpc;
    recycle(c);
    count_out(rpc);
}

static void start_batch(call *c, const grpc_op *ops, size_t n, tag_kind kind)
{
    grpc_call_error failed = grpc_call_start_batch(c->grpc, ops, n, &c->tags[kind], NULL);
    assert(failed == GRPC_CALL_OK); /* anything else is a misuse of ours, never the peer's doing */
}

/* ---- answering ---- */

/* The packed message, in gRPC's own memory: what is packed is what is sent. */
static grpc_byte_buffer *pack(const ProtobufCMessage *message)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));
    (void)protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return buffer;
}

static size_t fill_trailers(call *c)
{
    size_t n = 0;
    if (c->answer.code != PANG_OK && c->answer.err.reason != NULL)
        c->trailers[n++] = (grpc_metadata){
            .key = grpc_slice_from_static_string("pangolin-reason"),
            .value = grpc_slice_from_copied_string(c->answer.err.reason)};
    if (c->answer.retry_after_s > 0) {
        char seconds[16];
        (void)snprintf(seconds, sizeof seconds, "%u", c->answer.retry_after_s);
        c->trailers[n++] = (grpc_metadata){
            .key = grpc_slice_from_static_string("pangolin-retry-after"),
            .value = grpc_slice_from_copied_string(seconds)};
    }
    c->n_trailers = n;
    return n;
}

/* Sends c->answer: initial metadata, the message if there is one, the status; from any thread. The
 * ANSWER tag takes over the `pending` that the caller holds. */
static void send_answer(call *c)
{
    grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    size_t n = c->has_sent_metadata ? 0 : 1;
    bool failed = c->answer.code != PANG_OK;
    if (!failed && c->answer.out != NULL) {
        c->sent = pack(c->answer.out);
        ops[n++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = c->sent};
    }
    c->status_details = failed ? grpc_slice_from_copied_string(c->answer.err.message)
                               : grpc_empty_slice();
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                         .data.send_status_from_server = {fill_trailers(c), c->trailers,
                                                          (grpc_status_code)c->answer.code,
                                                          &c->status_details}};
    atomic_store_explicit(&c->is_answered, true, memory_order_release);
    start_batch(c, ops, n, TAG_ANSWER);
}

static void drop_sent(call *c)
{
    if (c->sent != NULL)
        grpc_byte_buffer_destroy(c->sent);
    c->sent = NULL;
}

static void on_answered(call *c)
{
    bool is_answered = atomic_load_explicit(&c->is_answered, memory_order_acquire);
    assert(is_answered);
    drop_sent(c);
    grpc_slice_unref(c->status_details);
    for (size_t i = 0; i < c->n_trailers; i++)
        grpc_slice_unref(c->trailers[i].value);
    give_up(c);
}

/* On the queue's thread: an answer without a handler. */
static void answer_now(call *c, pang_code code, const char *message)
{
    c->answer.code = pang_fail(&c->answer.err, code, NULL, "%s", message);
    c->state = ANSWERED;
    c->pending++;
    send_answer(c);
}

/* ---- streams: on the handler's thread ---- */

/* Posts a batch and sleeps until the queue's thread has seen it through. */
static bool run_batch(call *c, const grpc_op *ops, size_t n)
{
    (void)pthread_mutex_lock(&c->lock);
    c->done = false;
    (void)pthread_mutex_unlock(&c->lock);
    start_batch(c, ops, n, TAG_STREAM);
    (void)pthread_mutex_lock(&c->lock);
    while (!c->done)
        (void)pthread_cond_wait(&c->wake, &c->lock);
    bool ok = c->ok;
    (void)pthread_mutex_unlock(&c->lock);
    return ok;
}

static void on_stream(call *c, bool ok)
{
    (void)pthread_mutex_lock(&c->lock);
    c->done = true;
    c->ok = ok;
    (void)pthread_cond_signal(&c->wake);
    (void)pthread_mutex_unlock(&c->lock);
}

static pang_code gone(pang_err *err)
{
    return pang_fail(err, PANG_CANCELLED, NULL, "the caller has gone");
}

static pang_code stream_send(pang_transport *transport, const ProtobufCMessage *out, pang_err *err)
{
    call *c = (call *)transport;
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    size_t n = c->has_sent_metadata ? 0 : 1;
    c->has_sent_metadata = true;
    c->sent = pack(out);
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = c->sent};
    bool ok = run_batch(c, ops, n);
    drop_sent(c);
    return ok ? PANG_OK : gone(err);
}

/* The message in one piece, without a copy where it came in one. */
static bool hold_message(call *c)
{
    grpc_slice_buffer *raw = &c->received->data.raw.slice_buffer;
    if (raw->count == 1) {
        c->message = grpc_slice_ref(raw->slices[0]);
    } else {
        grpc_byte_buffer_reader reader;
        if (!grpc_byte_buffer_reader_init(&reader, c->received))
            return false;
        c->message = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
    }
    c->has_message = true;
    return true;
}

static pang_str view(const grpc_slice *slice)
{
    return (pang_str){(const char *)GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)};
}

static pang_code too_large(const call *c, pang_err *err)
{
    return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "the message is larger than %zu bytes",
                     pang_route_body_max(c->route));
}

static pang_code stream_receive(pang_transport *transport, pang_str *ret, bool *ret_end,
                                pang_err *err)
{
    call *c = (call *)transport;
    grpc_op receive[] = {
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->received}};
    drop_message(c);
    bool ok = run_batch(c, receive, 1);
    if (!ok || atomic_load(&c->transport.cancelled))
        return gone(err);
    *ret_end = c->received == NULL;
    if (*ret_end)
        return PANG_OK;
    if (!hold_message(c))
        return pang_fail_memory(err);
    *ret = view(&c->message);
    return ret->len > pang_route_body_max(c->route) ? too_large(c, err) : PANG_OK;
}

static const pang_transport_ops stream_ops = {.send = stream_send, .receive = stream_receive};

/* ---- running ---- */

static void run_call(pang_job *job)
{
    call *c = (call *)((char *)job - offsetof(call, job));
    pang_dispatch_run(c->queue->rpc->config.dispatcher, c->route, &c->request, &c->answer);
    send_answer(c);
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
        send_answer(c);
    }
}

static void on_message(call *c)
{
    if (c->state == ANSWERED) { /* it came too late */
        give_up(c);
        return;
    }
    bool there = c->received != NULL && !atomic_load(&c->transport.cancelled);
    if (there && hold_message(c)) {
        c->request.message = view(&c->message);
        if (c->request.message.len <= pang_route_body_max(c->route)) {
            start_handler(c);
            return;
        }
        c->answer.code = too_large(c, &c->answer.err);
    } else {
        c->answer.code = pang_fail(&c->answer.err, PANG_INVALID_ARGUMENT, NULL,
                                   "the call has no message");
    }
    c->state = ANSWERED;
    send_answer(c);
}

/* ---- a call begins ---- */

static const struct {
    const char *name;
    size_t offset; /* of the view in pang_request */
    size_t max;    /* bytes; the rest is cut off */
} metadata_names[] = {
    {"authorization", offsetof(pang_request, authorization), SIZE_MAX},
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
            if (pang_str_equal(view(&c->metadata.metadata[i].key), name))
                *to = pang_str_slice(view(&c->metadata.metadata[i].value), 0,
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
    int64_t now = now_ms(rpc);
    grpc_op closed = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                      .data.recv_close_on_server.cancelled = &c->was_cancelled};
    link_call(c);
    c->pending = 1;
    c->has_sent_metadata = false;
    c->answer.out = NULL;
    c->answer.retry_after_s = 0;
    c->transport.ops = &stream_ops;
    atomic_store(&c->transport.cancelled, false);
    atomic_store_explicit(&c->is_answered, false, memory_order_relaxed);
    start_batch(c, &closed, 1, TAG_CLOSED);
    c->route = pang_dispatch_find(rpc->config.dispatcher, view(&c->details.method));
    if (c->route == NULL) {
        answer_now(c, PANG_UNIMPLEMENTED, "unknown method");
        return;
    }
    c->admitted = pang_dispatch_admit(rpc->config.dispatcher, c->route, &c->answer) == PANG_OK;
    if (!c->admitted) {
        c->state = ANSWERED;
        c->pending++;
        send_answer(c);
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
    start_batch(c, &message, 1, TAG_MESSAGE);
}

static void on_new(call *c, bool ok)
{
    queue *q = c->queue;
    q->n_requested--;
    if (!ok) { /* the server stops */
        grpc_call_details_destroy(&c->details);
        call_free(c);
        count_out(q->rpc);
        return;
    }
    request_calls(q);
    begin_call(c);
}

static void on_closed(call *c)
{
    if (c->was_cancelled)
        atomic_store(&c->transport.cancelled, true);
    give_up(c);
}

/* ---- the queue's thread ---- */

/* Ends calls whose request never became whole: a deadline of the client's own ends them in gRPC,
 * but one that has none would hold its place for ever. */
static void sweep(queue *q)
{
    int64_t now = now_ms(q->rpc);
    for (call *c = q->in_flight; c != NULL; c = c->next) {
        if (c->state == RECEIVING && now >= c->request.deadline_ms)
            answer_now(c, PANG_DEADLINE_EXCEEDED, "the request did not arrive in time");
    }
}

static void on_event(pang_rpc *rpc, const grpc_event *event)
{
    tag *t = event->tag;
    if (t == &rpc->shutdown) {
        wake_drain(rpc, true);
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
        on_answered(t->call);
        break;
    default:
        on_stream(t->call, event->success != 0);
        break;
    }
}

static void *run_queue(void *arg)
{
    queue *q = arg;
    unsigned events = 0;
    int64_t sweep_at = 0;
    request_calls(q);
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
        int64_t now = now_ms(q->rpc);
        if (now >= sweep_at) {
            sweep_at = now + PANG_RPC_SWEEP_MS;
            sweep(q);
            request_calls(q);
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
    int64_t until = now_ms(rpc) + ms;
    (void)pthread_mutex_lock(&rpc->lock);
    for (int64_t left = ms; left > 0 && !(rpc->is_shut_down && atomic_load(&rpc->calls) == 0);
         left = until - now_ms(rpc))
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
        call_free(c);
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
