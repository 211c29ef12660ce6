/*
 * Upstream: gRPC calls to the core over its unix socket, spoken with nghttp2 in the same loop. A
 * loop has a few connections, so that the death of one is not that of all.
 * Called by bridge/request.c and tunnel.c. Threads: the loop's. Lifetime: see each function.
 *
 * A call ends exactly once: with `done`, or with pang_upstream_cancel, after which nothing more is
 * called. Source: gRPC over HTTP/2 (PROTOCOL-HTTP2.md).
 */
#ifndef PANG_BRIDGE_UPSTREAM_H
#define PANG_BRIDGE_UPSTREAM_H

#include "bridge/loop.h"
#include "bridge/transcode.h"

typedef struct pang_upstream pang_upstream;
typedef struct pang_upstream_call pang_upstream_call;

enum {
    PANG_UPSTREAM_CALLS_MAX = 4096, /* calls of one loop, those that wait for a stream included */
    PANG_UPSTREAM_METADATA_MAX = 16,
};

/* How a call ended. Texts are borrowed until `done` returns. */
typedef struct {
    pang_code code;
    pang_str message;     /* decoded */
    pang_str reason;      /* pangolin-reason, may be empty */
    pang_str retry_after; /* seconds, may be empty */
} pang_upstream_status;

typedef struct {
    /* The reply's header came. May be NULL. */
    void (*started)(void *arg);
    /* Bytes of the reply, gRPC's five-byte prefixes included. The window opens again only as
     * pang_upstream_consumed says so. */
    void (*data)(void *arg, const uint8_t *bytes, size_t len);
    /* The call is over; the handle is gone when this returns. */
    void (*done)(void *arg, const pang_upstream_status *status);
    /* For streamed requests: n bytes of what was sent have left. May be NULL. */
    void (*sent)(void *arg, size_t n);
} pang_upstream_events;

typedef struct {
    /* All texts are borrowed until the call is over: what the core surely has not begun with (it
     * refused the stream, or died before) is said again on another connection, once. Of a request
     * that goes on (`more`), only until pang_upstream_start returns: it is never said again. */
    pang_str path; /* "/package.Service/Method" */
    const pang_http_field *metadata;
    size_t n_metadata;
    int64_t timeout_ms; /* sent as grpc-timeout; a little later the call is ended here */
    pang_str message;   /* prefix and message, borrowed until the call is over */
    bool more;          /* the request goes on: pang_upstream_send, then pang_upstream_close */
} pang_upstream_request;

/* ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_upstream_new(pang_loop *loop, const char *socket_path,
                                            unsigned connections, pang_upstream **ret,
                                            pang_err *err);
/* Ends all calls without telling. NULL is fine. */
void pang_upstream_free(pang_upstream *upstream);

/* Starts a call. ERRORS: UNAVAILABLE (the core is not there; nothing was sent),
 * RESOURCE_EXHAUSTED (too many calls). */
PANG_MUST_CHECK pang_code pang_upstream_start(pang_upstream *upstream,
                                              const pang_upstream_request *request,
                                              const pang_upstream_events *events, void *arg,
                                              pang_upstream_call **ret, pang_err *err);
/* More of a streamed request; copied. False without memory: the caller then cancels. */
bool pang_upstream_send(pang_upstream_call *call, pang_str bytes);
/* No more will come. */
void pang_upstream_close(pang_upstream_call *call);
/* n bytes that `data` gave are done with. NULL is fine. */
void pang_upstream_consumed(pang_upstream_call *call, size_t n);
/* Resets the stream. NULL is fine. */
void pang_upstream_cancel(pang_upstream_call *call);

/* Calls under way. */
size_t pang_upstream_size(const pang_upstream *upstream);

#endif
