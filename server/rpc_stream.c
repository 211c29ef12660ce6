/*
 * Streams, as their handlers see them: send and receive post a batch and sleep until the queue's
 * thread has seen it through. So a handler is a plain loop, and holds a thread for its life. Who
 * takes nothing of what is sent holds it no longer than a bound: the call is then ended from here.
 */
#include "server/rpc_internal.h"

static void post_batch(call *c, const grpc_op *ops, size_t n)
{
    (void)pthread_mutex_lock(&c->lock);
    c->done = false;
    (void)pthread_mutex_unlock(&c->lock);
    pang_rpc_start_batch(c, ops, n, TAG_STREAM);
}

/* Sleeps until the queue's thread has seen the batch through; *ret_ok: it went well. */
static void wait_batch(call *c, bool *ret_ok)
{
    (void)pthread_mutex_lock(&c->lock);
    while (!c->done)
        (void)pthread_cond_wait(&c->wake, &c->lock);
    *ret_ok = c->ok;
    (void)pthread_mutex_unlock(&c->lock);
}

/* The same for `ms` at most: false when the time is over first. */
static bool wait_batch_for(call *c, int64_t ms)
{
    int64_t until_ms = pang_rpc_now_ms(c->queue->rpc) + ms;
    (void)pthread_mutex_lock(&c->lock);
    for (int64_t left = ms; !c->done && left > 0; left = until_ms - pang_rpc_now_ms(c->queue->rpc))
        (void)pang_condition_wait(&c->wake, &c->lock, left);
    bool done = c->done;
    (void)pthread_mutex_unlock(&c->lock);
    return done;
}

void pang_rpc_on_stream(call *c, bool ok)
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

/* Ends the call for a caller that takes nothing, which also ends the batch. */
static pang_code end_stalled(call *c, pang_err *err)
{
    bool ignored;
    pang_code code = pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL,
                               "nothing of the stream was taken for %lld ms",
                               (long long)c->queue->rpc->config.send_ms);
    (void)grpc_call_cancel_with_status(c->grpc, GRPC_STATUS_DEADLINE_EXCEEDED, err->message, NULL);
    wait_batch(c, &ignored);
    return code;
}

static pang_code stream_send(pang_transport *transport, const ProtobufCMessage *out, pang_err *err)
{
    call *c = (call *)transport;
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    size_t n = c->has_sent_metadata ? 0 : 1;
    c->has_sent_metadata = true;
    c->sent = pang_rpc_pack(out);
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = c->sent};
    bool ok = true;
    post_batch(c, ops, n);
    bool stalled = !wait_batch_for(c, c->queue->rpc->config.send_ms);
    pang_code code = stalled ? end_stalled(c, err) : PANG_OK;
    if (!stalled)
        wait_batch(c, &ok);
    pang_rpc_drop_sent(c);
    return ok ? code : gone(err);
}

static pang_code stream_receive(pang_transport *transport, pang_str *ret, bool *ret_end,
                                pang_err *err)
{
    call *c = (call *)transport;
    grpc_op receive[] = {
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->received}};
    pang_rpc_drop_message(c);
    bool ok;
    post_batch(c, receive, 1);
    wait_batch(c, &ok);
    if (!ok || atomic_load(&c->transport.cancelled))
        return gone(err);
    *ret_end = c->received == NULL;
    if (*ret_end)
        return PANG_OK;
    if (!pang_rpc_hold_message(c))
        return pang_fail_memory(err);
    *ret = pang_rpc_view(&c->message);
    return ret->len > pang_route_body_max(c->route) ? pang_rpc_too_large(c, err) : PANG_OK;
}

const pang_transport_ops pang_rpc_stream_ops = {.send = stream_send, .receive = stream_receive};
