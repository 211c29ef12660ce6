/*
 * Tunnel: a gRPC stream of a client passed through to the core, both ways, with flow control from
 * end to end. No header of the client is copied but by name.
 * Called by http2.c. Threads: the worker's. Lifetime: from new to free; it holds an upstream call.
 */
#ifndef PANG_BRIDGE_TUNNEL_H
#define PANG_BRIDGE_TUNNEL_H

#include <sys/types.h>

#include "bridge/conn.h"
#include "bridge/request.h"

struct nghttp2_session;
typedef struct pang_tunnel pang_tunnel;

/* Starts; answers by itself when the core is not there. `head` is borrowed until this returns.
 * NULL without memory. */
pang_tunnel *pang_tunnel_new(pang_conn *conn, struct nghttp2_session *session, int32_t stream,
                             const pang_request_head *head);
/* Bytes from the client; the window opens as the core takes them. False when they break a limit. */
bool pang_tunnel_send(pang_tunnel *tunnel, pang_str bytes);
/* The client has sent all. */
void pang_tunnel_close(pang_tunnel *tunnel);
/* nghttp2's data source: what came from the core. */
ssize_t pang_tunnel_read(pang_tunnel *tunnel, uint8_t *to, size_t size, uint32_t *flags);
/* True while there is something that the client does not take. */
bool pang_tunnel_sends(const pang_tunnel *tunnel);
/* The bridge drains: a stream of replies, which would not end by itself, ends as unavailable. */
void pang_tunnel_drain(pang_tunnel *tunnel);
/* Cancels the call. NULL is fine. */
void pang_tunnel_free(pang_tunnel *tunnel);

#endif
