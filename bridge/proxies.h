/*
 * Proxies: who a request comes from when it has passed through others. Each proxy appends the
 * address it was called from to X-Forwarded-For, so the header is read from its end: as long as
 * the one who speaks is trusted, the one before it is believed. What an untrusted client wrote
 * into the header itself is never reached.
 * Called by request.c. Threads: const after start.
 */
#ifndef PANG_BRIDGE_PROXIES_H
#define PANG_BRIDGE_PROXIES_H

#include <netinet/in.h>

#include "api/err.h"
#include "api/str.h"

enum { PANG_PROXIES_MAX = 64 };

typedef struct {
    struct in6_addr networks[PANG_PROXIES_MAX]; /* IPv4 as mapped */
    unsigned bits[PANG_PROXIES_MAX];
    size_t n;
    bool all; /* everybody is believed */
} pang_proxies;

/* Adds an address or a network ("10.0.0.0/8", "2001:db8::/32"). ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_proxies_add(pang_proxies *proxies, pang_str text, pang_err *err);

/* The client's address: `peer`, which made the connection, or an entry of the header, borrowed. An
 * entry that is no address ends the search: the one that passed it on is answered. */
pang_str pang_proxies_client(const pang_proxies *proxies, pang_str peer, pang_str forwarded);

#endif
