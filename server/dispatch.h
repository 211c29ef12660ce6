/*
 * Dispatch: what happens around every handler, out of its rule. Finds the method, admits the call,
 * validates and unpacks the request, learns who calls, resolves and evaluates the rule's checks,
 * begins the transaction, runs the handler, audits, commits, and runs it again after a lost race.
 * Called by server/rpc.c; knows no gRPC. Threads: any, one per request.
 * Lifetime: a dispatcher outlives its requests; answers live in the request's arenas.
 */
#ifndef PANG_SERVER_DISPATCH_H
#define PANG_SERVER_DISPATCH_H

#include <stdatomic.h>

#include "api/service.h"
#include "server/authz.h"
#include "server/metrics.h"

struct ProtobufCMessage;

enum {
    PANG_RETRY_AFTER_S = 1,                    /* said to callers that were refused for load */
    PANG_IDEMPOTENCY_LIFE_MS = 30 * 60 * 1000, /* PT30M, as /v1/config advertises */
    PANG_PAUSE_MAX_MS = 64,                    /* longest pause before a lost race is run again */
};

/* ---- what the transport lends ---- */

typedef struct pang_transport pang_transport;

typedef struct {
    /* Streams. Send blocks until the message was taken. ERRORS: CANCELLED. */
    pang_code (*send)(pang_transport *transport, const struct ProtobufCMessage *out, pang_err *err);
    /* Waits for the next message; *ret_end instead of one at the stream's end. What it gave lives
     * until the next receive. ERRORS: CANCELLED. */
    pang_code (*receive)(pang_transport *transport, pang_str *ret, bool *ret_end, pang_err *err);
} pang_transport_ops;

/* The head of every transport's own struct; pang_call.rpc points to it. */
struct pang_transport {
    const pang_transport_ops *ops; /* NULL for unary calls */
    atomic_bool cancelled;         /* set by the transport once the caller has gone */
};

/* ---- a request ---- */

typedef struct {
    pang_str message; /* unary: the request, packed. All views borrow from the transport */
    pang_str authorization, api_key, tenant; /* as the client sent them */
    pang_str request_id, traceparent, client_address, user_agent;
    int64_t deadline_ms; /* mono clock; what the client asked for, or PANG_NO_DEADLINE */
    pang_arena *arena;   /* the request message's */
    pang_arena *attempt; /* of one run of the handler: reset when it runs again */
    pang_transport *transport;
} pang_request;

/* `out` is set when code is PANG_OK and the call is unary; it lives in the request's arenas. */
typedef struct {
    pang_code code;
    pang_err err; /* when code is not PANG_OK */
    const struct ProtobufCMessage *out;
    unsigned retry_after_s; /* 0: not said */
} pang_answer;

/* ---- the dispatcher ---- */

typedef struct pang_authn pang_authn; /* server/authn.h */
typedef struct pang_dispatcher pang_dispatcher;
typedef struct pang_route pang_route; /* a method with its rule, handler and compiled checks */

typedef struct {
    const pang_server_env *server;
    const pang_service *const *services; /* NULL at its end; production: pang_services */
    pang_authn *authn;                   /* who calls; not looked at with server->evaluation */
    pang_evaluate_fn *evaluate;          /* NULL: allow, which needs that too */
    pang_stand_fn *stand;                /* asked before `evaluate`; may be NULL */
    void *evaluate_arg;                  /* of both */
    pang_id server_id;                   /* numbers audit rows; stable over restarts */
    struct pang_quota *quota;            /* of each tenant; NULL: no bound */
    unsigned in_flight_max;              /* calls admitted at once */
    unsigned streams_max; /* streaming and waiting calls among them, each of which holds a
                              thread; a tenant has half of them at most */
    int64_t timeout_ms;   /* of one call, where its rule allows more */
    size_t body_max;      /* of one request message, where its rule allows more */
} pang_dispatch_config;

/* Joins rules and handlers. ERRORS: FAILED_PRECONDITION naming the method (a handler without a
 * rule, or whose messages are not the rule's; a check on what is no field; no way to learn who
 * calls: neither server->evaluation nor authentication), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_dispatch_open(const pang_dispatch_config *config,
                                             pang_dispatcher **ret, pang_err *err);
/* REQUIRES: no request in flight. NULL is fine. */
void pang_dispatch_close(pang_dispatcher *dispatcher);

/* By "/package.Service/Method", whole views compared. NULL: there is no such method. */
const pang_route *pang_dispatch_find(const pang_dispatcher *dispatcher, pang_str path);

/* Counts a call in. When it returns PANG_OK the call must end with pang_dispatch_leave; else
 * *answer is complete. ERRORS: RESOURCE_EXHAUSTED (too many in flight; with retry_after_s),
 * UNIMPLEMENTED (described, but not handled by this server). */
PANG_MUST_CHECK pang_code pang_dispatch_admit(pang_dispatcher *dispatcher, const pang_route *route,
                                              pang_answer *answer);
void pang_dispatch_leave(pang_dispatcher *dispatcher, const pang_route *route);
unsigned pang_dispatch_in_flight(const pang_dispatcher *dispatcher);

/* True when running it may block: then not on a queue's thread. */
bool pang_route_waits(const pang_route *route);
bool pang_route_is_stream(const pang_route *route);
size_t pang_route_body_max(const pang_route *route);
/* The call's deadline: the client's, the rule's and the configured one, whichever is first.
 * Streams have the client's alone. */
int64_t pang_route_deadline(const pang_dispatcher *dispatcher, const pang_route *route,
                            int64_t now_ms, int64_t client_deadline_ms);

/* Runs an admitted call to its answer. Failures are logged here, once. */
void pang_dispatch_run(pang_dispatcher *dispatcher, const pang_route *route,
                       const pang_request *request, pang_answer *answer);

#endif
