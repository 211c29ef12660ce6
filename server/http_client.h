/*
 * HTTP client: one request to a server that the operator named (an identity provider), with a
 * deadline and a bound on what comes back. Only https with a verified certificate, or http to
 * this machine itself; no redirect is followed, no proxy and no password file of the environment is
 * used, and addresses that lead to a cloud's own services (link-local) are never connected to.
 * Called by server/oidc_fetch.c. Threads: any that may wait. Lifetime: replies live in the arena.
 */
#ifndef PANG_SERVER_HTTP_CLIENT_H
#define PANG_SERVER_HTTP_CLIENT_H

#include "api/arena.h"
#include "api/env.h"

enum {
    PANG_HTTP_REPLY_MAX = 1 << 20, /* bytes of a body */
    PANG_HTTP_TIMEOUT_MS = 10000,  /* of one request, where the deadline allows more */
    PANG_HTTP_URL_MAX = 2048,      /* bytes */
};

typedef struct pang_http pang_http;

/* `ca_file` empty: the system's list of authorities; else a file (PEM) that takes its place.
 * ERRORS: RESOURCE_EXHAUSTED, UNAVAILABLE (the library cannot do TLS). */
PANG_MUST_CHECK pang_code pang_http_open(const pang_env *env, pang_str ca_file, pang_http **ret,
                                         pang_err *err);
/* REQUIRES: no request in flight. NULL is fine. */
void pang_http_close(pang_http *http);

typedef struct {
    pang_str url;
    pang_str form;          /* ptr not NULL: POST of application/x-www-form-urlencoded */
    pang_str authorization; /* the header's value; empty: none */
    int64_t deadline_ms;    /* on the mono clock */
} pang_http_request;

typedef struct {
    long status;
    pang_str body;
} pang_http_reply;

/* Any status but a redirect is a reply. ERRORS: INVALID_ARGUMENT (an address that may not be
 * asked), UNAVAILABLE (no connection, no trust, a redirect, a reply that is too large),
 * DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED. Messages name scheme and host, never path or query. */
PANG_MUST_CHECK pang_code pang_http_run(pang_http *http, const pang_http_request *request,
                                        pang_arena *arena, pang_http_reply *ret, pang_err *err);

/* Whether an address may be asked: "https://host...", or "http://" to loopback; without user
 * info and fragment. ERRORS: INVALID_ARGUMENT naming `what`. */
PANG_MUST_CHECK pang_code pang_http_check_url(pang_str url, const char *what, pang_err *err);

/* Whether a good address says itself that it is this machine's. */
bool pang_http_is_loopback(pang_str url);

/* Appends s as one value of a form or query (RFC 3986, unreserved letters as they are). */
void pang_http_escape(pang_buf *buf, pang_str s);

#endif
