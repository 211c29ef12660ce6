/*
 * The head of an HTTP/1.1 request: parsed by http-parser, with the strict checks on top.
 * Called by http1.c and the fuzz target. Threads: pure. Lifetime: results are in the arena.
 */
#ifndef PANG_BRIDGE_HTTP1_HEAD_H
#define PANG_BRIDGE_HTTP1_HEAD_H

#include "bridge/request.h"

/* What the head says about the message around it. */
typedef struct {
    bool keep_alive, http10, chunked, expects_continue;
    uint64_t length; /* of the body, when not chunked */
} pang_http1_facts;

/* `head` ends with the empty line. Refused, in the manner of RFC 9112 where it leaves a choice:
 * bare LF or CR, folded lines, blanks before a colon, control characters, no or several Host, both
 * or several of Content-Length and Transfer-Encoding, another coding than "chunked", chunked in
 * HTTP/1.0, an absolute target of another host, several Authorization, too many fields. An
 * Upgrade is ignored, as RFC 9110 (7.8) allows: clients that offer h2c in passing are served.
 * ERRORS: INVALID_ARGUMENT (400), RESOURCE_EXHAUSTED with the reason of the HTTP status, among
 * them "ExpectationFailed" and "UriTooLong"; UNIMPLEMENTED for what is no HTTP/1.x. */
PANG_MUST_CHECK pang_code pang_http1_parse(pang_str head, pang_arena *arena, pang_request_head *ret,
                                           pang_http1_facts *ret_facts, pang_err *err);

#endif
