/*
 * Inside of bridge/request*.c and bridge/status pages: one request as they share it.
 */
#ifndef PANG_BRIDGE_REQUEST_INTERNAL_H
#define PANG_BRIDGE_REQUEST_INTERNAL_H

#include "bridge/request.h"

/* What the request turned out to ask for. */
typedef enum {
    ASKS_NOTHING, /* refused, or not looked at yet */
    ASKS_METHOD,  /* a method of the schema */
    ASKS_LIST,    /* the whole of a paged list */
    ASKS_READY,   /* GET /health/ready */
    ASKS_METRICS, /* GET /metrics */
} request_kind;

struct pang_request {
    pang_worker *worker;
    pang_sink *sink;
    pang_arena *arena;
    pang_request_head head;
    pang_str peer, id, path, query;
    pang_route_match match;
    request_kind kind;
    pang_buf body;
    size_t body_limit;
    int64_t held;   /* bytes counted in the bridge's body_bytes */
    bool apart;     /* see pang_request_set_apart */
    bool counted;   /* among the requests in flight */
    bool answered;  /* the head of the reply has left */
    bool only_head; /* HEAD: no body in the reply */
    int route;      /* for metrics */
    unsigned status;
    int64_t begun_us;
    pang_upstream_call *call;
    pang_str message; /* of the request, without prefix */
    /* The reply message as it comes: five bytes of prefix, then `want` bytes. */
    uint8_t prefix[5];
    size_t n_prefix;
    char *reply;
    size_t reply_len, reply_want;
    bool too_large;
    /* A streamed list. */
    pang_arena *page_arena;
    pang_str next_token;
    bool list_open, list_done;
    bool list_begun; /* an entry was written: pages of a filtered list may have none */
};

/* The reply to a request, before the transport's own fields. */
typedef struct {
    unsigned status;
    pang_str content_type; /* empty: JSON */
    pang_str body;
    const pang_http_field *fields;
    size_t n_fields;
    pang_str retry_after, allow; /* empty: none */
    bool streamed;               /* the body follows in parts */
} reply;

/* request_reply.c: sends the head and, unless streamed, the body. Once per request. */
void pang_request_reply(pang_request *request, const reply *r);
/* That of the route, or of its path where there is none. */
pang_dialect pang_request_dialect(const pang_request *request);
/* Sends an error in that dialect. */
void pang_request_fail(pang_request *request, pang_code code, pang_str reason, pang_str message,
                       pang_str retry_after);
/* request_pages.c: /health, /health/live, /health/ready, /metrics. True when it is one of them;
 * it then is answered or under way. */
bool pang_request_page(pang_request *request);
/* The reply message of READY and METRICS came (or the status says why not). */
void pang_request_page_done(pang_request *request, const pang_upstream_status *status);
/* request.c: calls a method of the core with a message. */
void pang_request_call(pang_request *request, pang_str path, pang_str message, int64_t timeout_ms);

#endif
