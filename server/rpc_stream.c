/*
 * Streams, as their handlers see them: send and receive post a batch and sleep until the queue's
 * thread has seen it through. So a handler is a plain loop, and holds a thread for its life.
 */
#include "server/rpc_internal.h"

/* Posts a batch and sleeps until the queue's thread has seen it through. */
static bool run_batch(call *c, const grpc_op *ops, size_t n)
{
    (void)pthread_mutex_lock(&c->lock);
    c->done = false;
    (void)pthread_mutex_unlock(&c->lock);
    pang_rpc_start_batch(c, ops, n, TAG_STREAM);
    (void)pthread_mutex_lock(&c->lock);
    while (!c->done)
        (void)pthread_cond_wait(&c->wake, &c->lock);
    bool ok = c->ok;
    (void)pthread_mutex_unlock(&c->lock);
    return ok;
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

static pang_code stream_send(pang_transport *transport, const ProtobufCMessage *out, pang_err *err)
{
    call *c = (call *)transport;
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_INITIAL_METADATA}};
    size_t n = c->has_sent_metadata ? 0 : 1;
    c->has_sent_metadata = true;
    c->sent = pang_rpc_pack(out);
    ops[n++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = c->sent};
    bool ok = run_batch(c, ops, n);
    pang_rpc_drop_sent(c);
    return ok ? PANG_OK : gone(err);
}

static pang_code stream_receive(pang_transport *transport, pang_str *ret, bool *ret_end,
                                pang_err *err)
{
    call *c = (call *)transport;
    grpc_op receive[] = {
        {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &c->received}};
    pang_rpc_drop_message(c);
    bool ok = run_batch(c, receive, 1);
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
