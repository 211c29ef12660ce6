/*
 * What the three files of the transport share: rpc.c has the life of calls and queues, rpc_call.c
 * the call objects, rpc_stream.c streams as their handlers see them. The only header with gRPC's.
 * Included by those three only. Threads: a call's fields are the queue's thread's, but for those
 * that a handler was lent (request, answer, sent, route) until its answer leaves.
 */
#ifndef PANG_SERVER_RPC_INTERNAL_H
#define PANG_SERVER_RPC_INTERNAL_H

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <protobuf-c/protobuf-c.h>

#include "server/rpc.h"

enum { PANG_RPC_TRAILERS_MAX = 2 }; /* pangolin-reason, pangolin-retry-after */

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
    grpc_metadata trailers[PANG_RPC_TRAILERS_MAX];
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

static inline int64_t pang_rpc_now_ms(const pang_rpc *rpc)
{
    return pang_env_mono_ms(rpc->config.env);
}

static inline pang_str pang_rpc_view(const grpc_slice *slice)
{
    return (pang_str){(const char *)GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)};
}

/* ---- rpc_call.c: on the queue's thread, where nothing else is said ---- */

/* Of a call that is in no list. NULL is fine. */
void pang_rpc_call_free(call *c);
/* Asks gRPC for calls until PANG_RPC_REQUESTS are asked for. Without memory for fewer: the sweep
 * asks again. */
void pang_rpc_request_calls(queue *q);
/* The call is in flight from now on. */
void pang_rpc_link(call *c);
/* A tag came back, and one `pending` with it. With the last the object goes back to its queue. */
void pang_rpc_give_up(call *c);
/* A call that was asked for is no more. */
void pang_rpc_count_out(pang_rpc *rpc);
/* Wakes who drains; `is_shut_down`: gRPC has said that it is. */
void pang_rpc_wake_drain(pang_rpc *rpc, bool is_shut_down);
/* Posts a batch; its tag comes to the queue's thread. Any thread. */
void pang_rpc_start_batch(call *c, const grpc_op *ops, size_t n, tag_kind kind);

/* The message that was received, in one piece, without a copy where it came in one; held until it
 * is dropped. False when it cannot be read. Both on the thread that has the call. */
bool pang_rpc_hold_message(call *c);
void pang_rpc_drop_message(call *c);
/* RESOURCE_EXHAUSTED, and how much it may be. */
pang_code pang_rpc_too_large(const call *c, pang_err *err);

/* The packed message, in gRPC's own memory: what is packed is what is sent. Any thread. */
grpc_byte_buffer *pang_rpc_pack(const ProtobufCMessage *message);
/* Gives c->sent back. */
void pang_rpc_drop_sent(call *c);
/* Sends c->answer: initial metadata, the message if there is one, the status. The ANSWER tag takes
 * over the `pending` that the caller holds. Any thread. */
void pang_rpc_send_answer(call *c);
/* An answer without a handler. */
void pang_rpc_answer_now(call *c, pang_code code, const char *message);
/* The ANSWER tag came back. */
void pang_rpc_on_answered(call *c);

/* ---- rpc_stream.c ---- */

/* What a stream's handler calls, on its own thread. */
extern const pang_transport_ops pang_rpc_stream_ops;
/* The STREAM tag came back: wakes the handler. On the queue's thread. */
void pang_rpc_on_stream(call *c, bool ok);

#endif
