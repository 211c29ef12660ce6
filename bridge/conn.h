/*
 * Connection: a client's socket, plain or TLS, whatever protocol is spoken on it. It reads into one
 * queue and writes from another; a protocol consumes the first and fills the second.
 * Called by main.c (accept), http1.c, http2.c. Threads: the worker's. Lifetime: from pang_conn_open
 * until it closes itself; a protocol's state ends with `closed`.
 *
 * States: HANDSHAKE -> DETECT -> (HTTP/1.1 or HTTP/2) -> CLOSING. pang_conn_finish moves to
 * CLOSING, in which only what is queued is still written.
 */
#ifndef PANG_BRIDGE_CONN_H
#define PANG_BRIDGE_CONN_H

#include "bridge/bridge.h"
#include "bridge/queue.h"

typedef struct pang_conn pang_conn;

typedef struct {
    /* Bytes came: consume what can be consumed of conn->in. */
    void (*readable)(pang_conn *conn);
    /* Once per turn, and whenever the socket takes more: fill conn->out (or the tail). */
    void (*writable)(pang_conn *conn);
    /* The bridge is going away: finish what is under way, take nothing new. */
    void (*drain)(pang_conn *conn);
    /* Now and then: end what is too slow. May be NULL. */
    void (*sweep)(pang_conn *conn, int64_t now_ms);
    /* The connection is gone: free what is yours. */
    void (*closed)(pang_conn *conn);
} pang_protocol;

/* What the connection waits for: each has its limit of time. */
typedef enum {
    PANG_WAITS_HANDSHAKE, /* for TLS or the first bytes; from its beginning */
    PANG_WAITS_HEAD,      /* for the rest of a header; from its first byte */
    PANG_WAITS_BODY,      /* for more of a body; from the last PANG_PROGRESS_BYTES */
    PANG_WAITS_CORE,      /* for the core: the call has its own deadline */
    PANG_WAITS_NEXT,      /* idle */
} pang_waits;

struct pang_conn {
    pang_watch watch;
    pang_job flush;
    pang_worker *worker;
    pang_conn *prev, *next;
    pang_tls_session *tls;
    bool handshaken, tls_read_wants_write, closing, eof, want_read;
    bool apart;                    /* came to the listener of /metrics */
    const pang_protocol *protocol; /* NULL until it is known */
    void *state;                   /* the protocol's */
    pang_queue in, out;
    pang_str tail; /* goes out behind `out`; borrowed by the protocol, which is told by
                      `writable` once it is gone */
    pang_waits waits;
    int64_t since_ms;  /* when this wait began */
    int64_t wrote_ms;  /* when PANG_PROGRESS_BYTES had last left, or there was nothing to send */
    size_t came, left; /* bytes since then */
    char peer[48];
};

enum {
    PANG_CONN_IN_MAX = 64 * 1024,   /* bytes read ahead of the protocol */
    PANG_CONN_OUT_MAX = 256 * 1024, /* bytes a protocol should queue at once */
    PANG_PROGRESS_BYTES = 1024,     /* fewer, in all the time that is allowed, are a drip */
};

/* Takes the descriptor. False when it was refused (and closed). */
bool pang_conn_open(pang_worker *worker, int fd, bool apart);
/* Writes at the end of this turn. */
void pang_conn_touch(pang_conn *conn);
/* Sets what it waits for; the clock of the wait starts anew. */
void pang_conn_wait(pang_conn *conn, pang_waits waits);
/* n bytes of a body came: the wait goes on, from now if they were enough to be called progress. */
void pang_conn_came(pang_conn *conn, size_t n);
/* More, or no more, is read from the socket. */
void pang_conn_read(pang_conn *conn, bool on);
/* Closes once all that is queued has left. */
void pang_conn_finish(pang_conn *conn);
/* Closes at the end of this turn, whatever is queued. */
void pang_conn_abort(pang_conn *conn);
/* True when nothing is left to be written. */
bool pang_conn_flushed(const pang_conn *conn);
/* The worker's sweep: ends what is too slow. */
void pang_conn_sweep(pang_worker *worker, int64_t now_ms);
/* Tells all connections that the bridge drains. */
void pang_conn_drain_all(pang_worker *worker);

extern const pang_protocol pang_http1, pang_http2;
/* Starts a protocol on a connection; false without memory. http1.c, http2.c. */
bool pang_http1_start(pang_conn *conn);
bool pang_http2_start(pang_conn *conn);

#endif
