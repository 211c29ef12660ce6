/*
 * Request: the life of one HTTP request, whichever version brought it: head, body, route,
 * transcode, call, reply. HTTP/1.1 and HTTP/2 feed it and take its reply through a sink.
 * Called by http1.c and http2.c. Threads: the worker's. Lifetime: from pang_request_new to
 * pang_request_free; everything of it is in its arena.
 */
#ifndef PANG_BRIDGE_REQUEST_H
#define PANG_BRIDGE_REQUEST_H

#include "bridge/bridge.h"

typedef struct pang_request pang_request;
typedef struct pang_sink pang_sink;

/* Where a reply goes. Bytes are borrowed until pang_request_drained: the sink says that once it
 * has sent all that it was given. One `body` call is out at a time. */
struct pang_sink {
    /* The head. length -1: not known, `body` comes in parts. Without a body, `last` is true. */
    void (*head)(pang_sink *sink, unsigned status, const pang_http_field *fields, size_t n,
                 int64_t length, bool last);
    void (*body)(pang_sink *sink, pang_str bytes, bool last);
    /* The reply cannot be completed: the client must see that it was cut. */
    void (*abort)(pang_sink *sink);
};

/* What the head of a request says. Texts are borrowed from the request's arena. */
typedef struct {
    pang_str verb, target;                     /* target begins with "/" */
    pang_http_field headers[PANG_HEADERS_MAX]; /* names in lower case */
    size_t n_headers;
} pang_request_head;

/* A request from `peer` (its address as text, copied). NULL without memory. */
pang_request *pang_request_new(pang_worker *worker, pang_sink *sink, pang_str peer);
/* The request came to the listener of /metrics: it may ask for that and health, nothing else. */
void pang_request_set_apart(pang_request *request);
pang_arena *pang_request_arena(pang_request *request);
/* To be filled before pang_request_begin. */
pang_request_head *pang_request_head_of(pang_request *request);
/* The head is complete. May answer at once (and then wants no body: false). */
bool pang_request_begin(pang_request *request);
/* A part of the body; copied. False when it was refused (and answered): feed no more. */
bool pang_request_body(pang_request *request, pang_str bytes);
/* Length that the head announced, so that a body too large is refused before it comes. */
bool pang_request_expect(pang_request *request, uint64_t length);
/* The body is complete: the request runs, unless it was answered already. */
void pang_request_end(pang_request *request);
/* What the sink was given has left. */
void pang_request_drained(pang_request *request);
/* Answers with an error that the transport found. Does nothing when there is an answer already. */
void pang_request_refuse(pang_request *request, pang_code code, const char *reason,
                         const char *message);
/* True once the head of the reply went to the sink. */
bool pang_request_answered(const pang_request *request);
/* The bridge drains: a call that waits for something to happen is answered as unavailable. All
 * others go on. */
void pang_request_drain(pang_request *request);
/* Ends it wherever it is; a call under way is cancelled. NULL is fine. */
void pang_request_free(pang_request *request);

/* The first value of a header, empty when there is none. */
pang_str pang_head_find(const pang_request_head *head, pang_str name);
/* x-request-id when it is fit to be used, else a new one; in arena. */
pang_str pang_request_id(pang_worker *worker, const pang_request_head *head, pang_arena *arena);
/* The metadata of a call to the core: built here, by name, never copied as a whole. */
size_t pang_request_metadata(const pang_worker *worker, const pang_request_head *head,
                             pang_str peer, pang_str id,
                             pang_http_field list[PANG_UPSTREAM_METADATA_MAX]);

#endif
