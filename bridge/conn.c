/*
 * Connections. Readiness is level-triggered; a turn reads once, lets the protocol work, and writes
 * once at its end. A connection is freed only at the end of a turn, so that no callback of the same
 * turn finds it gone.
 */
#include "bridge/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { READ_BYTES = 32 * 1024 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void destroy(pang_conn *conn)
{
    pang_worker *worker = conn->worker;
    if (conn->protocol != NULL)
        conn->protocol->closed(conn);
    pang_loop_remove(worker->loop, &conn->watch);
    pang_loop_cancel(worker->loop, &conn->flush);
    pang_tls_close(conn->tls);
    close(conn->watch.fd);
    pang_queue_clear(&conn->in);
    pang_queue_clear(&conn->out);
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        worker->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    worker->n_conns--;
    atomic_fetch_sub(&worker->bridge->connections, 1);
    free(conn);
}

void pang_conn_touch(pang_conn *conn)
{
    pang_loop_defer(conn->worker->loop, &conn->flush);
}

void pang_conn_wait(pang_conn *conn, pang_waits waits)
{
    conn->waits = waits;
    conn->since_ms = pang_loop_now(conn->worker->loop);
    conn->came = 0;
}

void pang_conn_came(pang_conn *conn, size_t n)
{
    conn->came += n;
    if (conn->came < PANG_PROGRESS_BYTES)
        return;
    conn->came = 0;
    conn->since_ms = pang_loop_now(conn->worker->loop);
}

bool pang_conn_flushed(const pang_conn *conn)
{
    return pang_queue_len(&conn->out) == 0 && conn->tail.len == 0;
}

/* Asks the kernel for what is wanted now. */
static void ask(pang_conn *conn)
{
    uint32_t events = 0;
    /* A client that takes no replies is not listened to: what it says might need more of them. */
    bool room = pang_queue_len(&conn->in) < PANG_CONN_IN_MAX &&
                pang_queue_len(&conn->out) < PANG_CONN_OUT_MAX;
    if (conn->want_read && room && !conn->eof && !conn->closing)
        events |= EPOLLIN;
    if (!pang_conn_flushed(conn) || conn->tls_read_wants_write)
        events |= EPOLLOUT;
    pang_loop_change(conn->worker->loop, &conn->watch, events);
}

void pang_conn_read(pang_conn *conn, bool on)
{
    conn->want_read = on;
    pang_conn_touch(conn);
}

void pang_conn_finish(pang_conn *conn)
{
    conn->closing = true;
    pang_conn_touch(conn);
}

void pang_conn_abort(pang_conn *conn)
{
    pang_queue_clear(&conn->out);
    conn->tail = (pang_str){NULL, 0};
    pang_conn_finish(conn);
}

/* ---- writing ---- */

/* Bytes written, PANG_TLS_AGAIN, or PANG_TLS_FAILED. */
static long write_some(pang_conn *conn)
{
    pang_str first = pang_queue_bytes(&conn->out);
    bool wants_write;
    if (conn->tls != NULL) {
        pang_str from = first.len > 0 ? first : conn->tail;
        return pang_tls_write(conn->tls, from.ptr, from.len, &wants_write);
    }
    struct iovec parts[2] = {
        {(void *)(uintptr_t)first.ptr, first.len},
        {(void *)(uintptr_t)conn->tail.ptr, conn->tail.len},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n;
    do {
        n = sendmsg(conn->watch.fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? PANG_TLS_AGAIN : PANG_TLS_FAILED;
    return n;
}

static void took(pang_conn *conn, size_t n)
{
    size_t first = pang_queue_len(&conn->out);
    if (first > n)
        first = n;
    if (first > 0)
        pang_queue_take(&conn->out, first);
    conn->tail = pang_str_after(conn->tail, n - first);
    conn->left += n;
    if (conn->left < PANG_PROGRESS_BYTES && !pang_conn_flushed(conn))
        return;
    conn->left = 0;
    conn->wrote_ms = pang_loop_now(conn->worker->loop);
}

/* False when the connection is broken. */
static bool write_all(pang_conn *conn)
{
    while (!pang_conn_flushed(conn)) {
        long n = write_some(conn);
        if (n == PANG_TLS_AGAIN)
            return true;
        if (n < 0)
            return false;
        took(conn, (size_t)n);
    }
    return true;
}

static void run_flush(pang_job *job)
{
    pang_conn *conn = (pang_conn *)((char *)job - offsetof(pang_conn, flush));
    bool alive = true;
    if (pang_conn_flushed(conn))
        conn->wrote_ms = pang_loop_now(conn->worker->loop);
    /* When all has left, the protocol is told, and may have more. */
    bool had;
    do {
        if (conn->protocol != NULL && !conn->closing)
            conn->protocol->writable(conn);
        had = !pang_conn_flushed(conn);
        alive = write_all(conn);
    } while (alive && had && pang_conn_flushed(conn) && !conn->closing);
    if (!alive || (conn->closing && pang_conn_flushed(conn))) {
        destroy(conn);
        return;
    }
    ask(conn);
}

/* ---- reading ---- */

static void choose_protocol(pang_conn *conn)
{
    pang_str bytes = pang_queue_bytes(&conn->in);
    bool http2;
    if (conn->tls != NULL) {
        http2 = pang_tls_chose_h2(conn->tls);
    } else {
        size_t n = bytes.len < sizeof preface - 1 ? bytes.len : sizeof preface - 1;
        bool maybe = n > 0 && memcmp(bytes.ptr, preface, n) == 0;
        if (n == 0 || (maybe && n < sizeof preface - 1))
            return;
        http2 = maybe;
    }
    if (!(http2 ? pang_http2_start(conn) : pang_http1_start(conn)))
        pang_conn_abort(conn);
}

static void feed(pang_conn *conn)
{
    if (conn->protocol == NULL)
        choose_protocol(conn);
    if (conn->protocol != NULL && !conn->closing)
        conn->protocol->readable(conn);
    else if (conn->eof)
        pang_conn_abort(conn); /* it came to say nothing */
    pang_conn_touch(conn);
}

static long read_some(pang_conn *conn, char *to, size_t size)
{
    if (conn->tls != NULL)
        return pang_tls_read(conn->tls, to, size, &conn->tls_read_wants_write);
    ssize_t n = recv(conn->watch.fd, to, size, 0);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? PANG_TLS_AGAIN
                                                                     : PANG_TLS_FAILED;
}

static void read_all(pang_conn *conn)
{
    while (conn->want_read && !conn->eof && pang_queue_len(&conn->in) < PANG_CONN_IN_MAX) {
        char *to = pang_queue_room(&conn->in, READ_BYTES);
        long n = to == NULL ? PANG_TLS_FAILED : read_some(conn, to, READ_BYTES);
        if (pang_queue_len(&conn->in) == 0 && n <= 0)
            pang_queue_clear(&conn->in);
        if (n == PANG_TLS_AGAIN)
            break;
        if (n == PANG_TLS_FAILED) {
            pang_conn_abort(conn);
            return;
        }
        if (n == 0)
            conn->eof = true;
        else
            pang_queue_wrote(&conn->in, (size_t)n);
        feed(conn);
        if (conn->closing || conn->tls == NULL)
            return; /* TLS may hold bytes that epoll does not know of */
    }
    pang_conn_touch(conn);
}

static void handshake(pang_conn *conn)
{
    bool wants_write = false;
    int result = pang_tls_handshake(conn->tls, &wants_write);
    if (result == PANG_TLS_FAILED) {
        pang_metrics_refused(conn->worker->metrics, PANG_REFUSED_PROTOCOL);
        pang_conn_abort(conn);
        return;
    }
    if (result == PANG_TLS_AGAIN) {
        pang_loop_change(conn->worker->loop, &conn->watch, wants_write ? EPOLLOUT : EPOLLIN);
        return;
    }
    conn->handshaken = true;
    choose_protocol(conn);
    read_all(conn);
}

static void ready_conn(pang_watch *watch, uint32_t events)
{
    pang_conn *conn = (pang_conn *)((char *)watch - offsetof(pang_conn, watch));
    if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && (events & EPOLLIN) == 0)) {
        pang_conn_abort(conn);
        return;
    }
    if (conn->tls != NULL && !conn->handshaken) {
        handshake(conn);
        return;
    }
    if ((events & EPOLLIN) != 0 || conn->tls_read_wants_write)
        read_all(conn);
    pang_conn_touch(conn);
}

/* ---- opening ---- */

/* The client's address as text; "unix" for others. */
static void name_peer(int fd, char to[48])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } from = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof from;
    (void)snprintf(to, 48, "unix");
    if (getpeername(fd, &from.any, &len) != 0)
        return;
    if (from.any.sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &from.v4.sin_addr, to, 48);
    else if (from.any.sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &from.v6.sin6_addr, to, 48);
}

static bool is_this_machine(const char *peer)
{
    return strncmp(peer, "127.", 4) == 0 || strcmp(peer, "::1") == 0 ||
           strncmp(peer, "::ffff:127.", 11) == 0;
}

/* Counts this worker's connections of one address; the limit is per worker times workers. */
static bool too_many_of(const pang_worker *worker, const char *peer)
{
    int64_t limit = worker->bridge->max_connections_per_peer, n = 0;
    if (limit == 0 || is_this_machine(peer))
        return false;
    for (const pang_conn *conn = worker->conns; conn != NULL; conn = conn->next)
        n += strcmp(conn->peer, peer) == 0;
    return n >=
           (limit + (int64_t)worker->bridge->n_workers - 1) / (int64_t)worker->bridge->n_workers;
}

static void insert(pang_conn *conn)
{
    pang_worker *worker = conn->worker;
    conn->next = worker->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    worker->conns = conn;
    worker->n_conns++;
}

/* Says so, where that is cheap: before TLS there is no way to. */
static bool refuse(pang_worker *worker, int fd, pang_refusal why)
{
    static const char full[] = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n"
                               "content-length: 0\r\nconnection: close\r\n\r\n";
    pang_metrics_refused(worker->metrics, why);
    if (worker->bridge->tls == NULL) {
        (void)send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)shutdown(fd, SHUT_WR);
    }
    close(fd);
    return false;
}

bool pang_conn_open(pang_worker *worker, int fd, bool apart)
{
    pang_bridge *bridge = worker->bridge;
    char peer[48];
    int one = 1;
    name_peer(fd, peer);
    if (too_many_of(worker, peer))
        return refuse(worker, fd, PANG_REFUSED_PEER);
    if (atomic_fetch_add(&bridge->connections, 1) >= bridge->max_connections) {
        atomic_fetch_sub(&bridge->connections, 1);
        return refuse(worker, fd, PANG_REFUSED_LIMIT);
    }
    pang_conn *conn = calloc(1, sizeof *conn);
    bool ready = conn != NULL;
    if (ready && bridge->tls != NULL && !apart)
        ready = (conn->tls = pang_tls_accept(bridge->tls, fd)) != NULL;
    if (ready) {
        memcpy(conn->peer, peer, sizeof peer);
        conn->watch = (pang_watch){.fd = fd, .events = EPOLLIN, .ready = ready_conn};
        conn->flush.run = run_flush;
        conn->worker = worker;
        conn->want_read = true;
        conn->apart = apart;
        conn->wrote_ms = pang_loop_now(worker->loop);
        pang_conn_wait(conn, PANG_WAITS_HANDSHAKE);
        ready = pang_loop_add(worker->loop, &conn->watch);
    }
    if (!ready) {
        if (conn != NULL)
            pang_tls_close(conn->tls);
        free(conn);
        atomic_fetch_sub(&bridge->connections, 1);
        return refuse(worker, fd, PANG_REFUSED_LIMIT);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    insert(conn);
    return true;
}

/* ---- time ---- */

static int64_t limit_of(const pang_conn *conn)
{
    const pang_bridge *bridge = conn->worker->bridge;
    switch (conn->waits) {
    case PANG_WAITS_HANDSHAKE:
    case PANG_WAITS_HEAD:
        return bridge->header_ms;
    case PANG_WAITS_BODY:
        return bridge->body_ms;
    case PANG_WAITS_NEXT:
        return bridge->idle_ms;
    case PANG_WAITS_CORE:
        break;
    }
    return INT64_MAX / 2;
}

void pang_conn_sweep(pang_worker *worker, int64_t now_ms)
{
    for (pang_conn *conn = worker->conns; conn != NULL; conn = conn->next) {
        bool slow_write = !pang_conn_flushed(conn) &&
                          now_ms - conn->wrote_ms > PANG_WRITE_TIMEOUT_MS;
        bool slow_read = now_ms - conn->since_ms > limit_of(conn);
        if (conn->protocol != NULL && conn->protocol->sweep != NULL && !conn->closing)
            conn->protocol->sweep(conn, now_ms);
        if (!slow_write && !slow_read)
            continue;
        if (!slow_write && conn->waits == PANG_WAITS_NEXT && conn->protocol != NULL) {
            conn->since_ms = now_ms;
            conn->protocol->drain(conn); /* idle: it goes as its protocol says goodbye */
            continue;
        }
        if (conn->waits != PANG_WAITS_NEXT || slow_write)
            pang_metrics_refused(worker->metrics, PANG_REFUSED_TIMEOUT);
        pang_conn_abort(conn);
    }
}

void pang_conn_drain_all(pang_worker *worker)
{
    for (pang_conn *conn = worker->conns; conn != NULL; conn = conn->next) {
        if (conn->protocol == NULL)
            pang_conn_abort(conn);
        else
            conn->protocol->drain(conn);
    }
}
