/*
 * RPC: the transport. Takes calls from gRPC's C core, hands their bytes to the dispatcher and sends
 * what it answers.
 * Called by main.c. Threads: queue threads of its own (one completion queue each); calls that may
 * wait run on the pool it is given. Lifetime: from open until close.
 */
#ifndef PANG_SERVER_RPC_H
#define PANG_SERVER_RPC_H

#include "server/dispatch.h"
#include "server/worker.h"

enum {
    PANG_RPC_STREAMS_MAX = 100,        /* calls at once on one connection */
    PANG_RPC_METADATA_MAX = 16 * 1024, /* bytes of a call's metadata, announced to the peer */
    PANG_RPC_REQUESTS = 64,            /* calls that a queue is ready to take at any time */
    PANG_RPC_SWEEP_MS = 250,           /* how often calls that never became whole are looked for */
    PANG_RPC_SEND_MS = 2 * PANG_TAKE_MS, /* for a message of a stream to be taken: more than the
                                            bridge gives its client */
};

typedef struct pang_rpc pang_rpc;

typedef struct {
    pang_dispatcher *dispatcher;
    pang_pool *pool;
    const pang_env *env;
    pang_counters *counters; /* may be NULL */
    unsigned queues;         /* completion queues, each with a thread */
    size_t message_max;      /* bytes of any message */
    size_t call_memory;      /* bytes of one call's arena */
    int64_t send_ms;         /* for a message of a stream to be taken, else the call ends with
                                DEADLINE_EXCEEDED: PANG_RPC_SEND_MS, but in tests */
} pang_rpc_config;

/* Starts the queue threads. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_rpc_open(const pang_rpc_config *config, pang_rpc **ret,
                                        pang_err *err);
/* Serves a connected stream socket; takes the descriptor. Any thread. */
void pang_rpc_add(void *rpc, int fd);
/* Takes no further calls, lets those in flight end for grace_ms, then cancels them and waits
 * another hard_ms. True when none is left: only then pang_rpc_close may be called. */
bool pang_rpc_drain(pang_rpc *rpc, int64_t grace_ms, int64_t hard_ms);
/* NULL is fine. REQUIRES: drained. */
void pang_rpc_close(pang_rpc *rpc);

#endif
