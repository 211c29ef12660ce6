/*
 * Call objects: where they come from and go back to, the bytes that come for them and the answer
 * that leaves. Everything here is of one call; what happens when is rpc.c's.
 */
#include "server/rpc_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FREE_MAX = 256 }; /* call objects that a queue keeps */

/* ---- call objects ---- */

void pang_rpc_call_free(call *c)
{
    if (c == NULL)
        return;
    pang_arena_free(c->request.attempt); /* first: its hooks reach into the other */
    pang_arena_free(c->request.arena);
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
    if (!pang_condition_open(&c->wake)) {
        free(c);
        return NULL;
    }
    for (unsigned i = 0; i < TAG_KINDS; i++)
        c->tags[i] = (tag){c, (tag_kind)i};
    grpc_metadata_array_init(&c->metadata);
    (void)pthread_mutex_init(&c->lock, NULL);
    c->request.transport = &c->transport;
    c->request.arena = pang_arena_new(q->rpc->config.call_memory);
    c->request.attempt = pang_arena_new(q->rpc->config.call_memory);
    if (c->request.arena == NULL || c->request.attempt == NULL) {
        pang_rpc_call_free(c);
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

void pang_rpc_drop_message(call *c)
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

void pang_rpc_request_calls(queue *q)
{
    while (q->n_requested < PANG_RPC_REQUESTS && !atomic_load(&q->rpc->stopping)) {
        if (!request_call(q))
            return;
    }
}

void pang_rpc_link(call *c)
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
    pang_rpc_drop_message(c);
    grpc_call_details_destroy(&c->details);
    c->metadata.count = 0;
    pang_arena_reset(c->request.attempt);
    pang_arena_reset(c->request.arena);
    if (q->n_free >= FREE_MAX) {
        pang_rpc_call_free(c);
        return;
    }
    c->next = q->free_calls;
    q->free_calls = c;
    q->n_free++;
}

void pang_rpc_wake_drain(pang_rpc *rpc, bool is_shut_down)
{
    (void)pthread_mutex_lock(&rpc->lock);
    rpc->is_shut_down = rpc->is_shut_down || is_shut_down;
    (void)pthread_cond_broadcast(&rpc->wake);
    (void)pthread_mutex_unlock(&rpc->lock);
}

void pang_rpc_count_out(pang_rpc *rpc)
{
    if (atomic_fetch_sub(&rpc->calls, 1) == 1 && atomic_load(&rpc->stopping))
        pang_rpc_wake_drain(rpc, false);
}

void pang_rpc_give_up(call *c)
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
    pang_rpc_count_out(rpc);
}

void pang_rpc_start_batch(call *c, const grpc_op *ops, size_t n, tag_kind kind)
{
    grpc_call_error failed = grpc_call_start_batch(c->grpc, ops, n, &c->tags[kind], NULL);
    assert(failed == GRPC_CALL_OK); /* anything else is a misuse of ours, never the peer's doing */
}

/* ---- what came ---- */

bool pang_rpc_hold_message(call *c)
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

pang_code pang_rpc_too_large(const call *c, pang_err *err)
{
    return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "the message is larger than %zu bytes",
                     pang_route_body_max(c->route));
}

/* ---- answering ---- */

grpc_byte_buffer *pang_rpc_pack(const ProtobufCMessage *message)
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

void pang_rpc_send_answer(call *c)
{
    grpc_op ops[3] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    size_t n = c->has_sent_metadata ? 0 : 1;
    bool failed = c->answer.code != PANG_OK;
    if (!failed && c->answer.out != NULL) {
        c->sent = pang_rpc_pack(c->answer.out);
        ops[n++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = c->sent};
    }
    c->status_details = failed ? grpc_slice_from_copied_string(c->answer.err.message)
                               : grpc_empty_slice();
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER,
                         .data.send_status_from_server = {fill_trailers(c), c->trailers,
                                                          (grpc_status_code)c->answer.code,
                                                          &c->status_details}};
    atomic_store_explicit(&c->is_answered, true, memory_order_release);
    pang_rpc_start_batch(c, ops, n, TAG_ANSWER);
}

void pang_rpc_drop_sent(call *c)
{
    if (c->sent != NULL)
        grpc_byte_buffer_destroy(c->sent);
    c->sent = NULL;
}

void pang_rpc_on_answered(call *c)
{
    bool is_answered = atomic_load_explicit(&c->is_answered, memory_order_acquire);
    assert(is_answered);
    pang_rpc_drop_sent(c);
    grpc_slice_unref(c->status_details);
    for (size_t i = 0; i < c->n_trailers; i++)
        grpc_slice_unref(c->trailers[i].value);
    pang_rpc_give_up(c);
}

void pang_rpc_answer_now(call *c, pang_code code, const char *message)
{
    c->answer.code = pang_fail(&c->answer.err, code, NULL, "%s", message);
    c->state = ANSWERED;
    c->pending++;
    pang_rpc_send_answer(c);
}
