/*
 * Bridge: what the parts of the process share. One `pang_bridge`, const after start but for the
 * fields marked atomic; one `pang_worker` per thread, touched by that thread alone.
 * Included by: everything in bridge/ that deals with connections.
 */
#ifndef PANG_BRIDGE_BRIDGE_H
#define PANG_BRIDGE_BRIDGE_H

#include <stdatomic.h>

#include "bridge/loop.h"
#include "bridge/metrics.h"
#include "bridge/proxies.h"
#include "bridge/tls.h"
#include "bridge/upstream.h"

enum {
    PANG_HEADERS_MAX = 100,  /* header fields of a request */
    PANG_URL_MAX = 8 * 1024, /* bytes of a request target */
    PANG_WRITE_TIMEOUT_MS = PANG_TAKE_MS,
    PANG_REQUEST_ARENA_MAX = 256 << 20, /* bytes of one request in the bridge, reply included */
    PANG_BODIES_MAX = 256 << 20,        /* bytes of the bodies of all requests together */
    PANG_REPLY_MAX = 128 << 20,         /* bytes of one reply message of the core */
    PANG_GZIP_MIN = 1024,               /* smaller bodies are not worth it */
    PANG_GZIP_MAX = 8 << 20,            /* larger ones would hold the loop up */
    PANG_LIST_PAGE = 1000,              /* entries per page of a streamed list */
    PANG_PASS_MESSAGE_MAX = 16 << 20,   /* bytes of one message of a passed-through gRPC stream */
};

typedef struct {
    const pang_schema *schema;
    const pang_router *router;
    pang_tls *tls; /* NULL: plain */
    const char *socket_path;
    unsigned upstream_connections;
    int64_t max_connections, max_connections_per_peer, max_in_flight;
    size_t max_streams, max_header, max_body;
    int64_t header_ms, body_ms, idle_ms, request_ms, grace_ms;
    bool gzip, metrics_on, no_auth;
    pang_proxies proxies; /* whose word on the client's address is believed */
    bool metrics_apart;   /* /metrics has a listener of its own, and is nowhere else */
    const pang_str *cors_origins;
    size_t n_cors_origins;
    struct pang_worker *workers;
    size_t n_workers;
    atomic_int_fast64_t connections; /* of all workers */
    atomic_int_fast64_t in_flight;   /* requests of all workers */
    atomic_int_fast64_t body_bytes;  /* of their bodies, together */
    atomic_bool draining;
    atomic_bool was_ready; /* the core has been there once */
} pang_bridge;

struct pang_conn;

typedef struct pang_worker {
    pang_bridge *bridge;
    pang_loop *loop;
    pang_upstream *upstream;
    pang_metrics *metrics;
    pang_watch listener;         /* fd -1: not listening any more */
    pang_watch metrics_listener; /* the same, for metrics-address; fd -1: none */
    int reserve_fd;              /* given up for a moment when descriptors run out */
    pang_sweep sweep;
    struct pang_conn *conns; /* all of this worker */
    size_t n_conns;
    int64_t accept_again_ms; /* after descriptors ran out */
    int64_t drain_until_ms;  /* 0: not draining */
    char date[32];           /* the `date` of replies, for the second date_s */
    int64_t date_s;
    uint8_t chance[512]; /* random bytes for request ids, fetched many at a time */
    size_t n_chance;
} pang_worker;

#endif
