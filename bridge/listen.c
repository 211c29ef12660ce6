/*
 * Listening sockets. When descriptors run out, accept fails while the kernel goes on reporting
 * readiness: so one descriptor is kept in reserve, given up to take and close the connection that
 * waits, and the listener rests for a moment.
 */
#include "bridge/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/log.h"
#include "bridge/conn.h"

enum { BACKLOG = 1024, ACCEPTS_PER_TURN = 64, REST_MS = 250 };

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

static bool is_loopback(const address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
    if (a->any.sa_family != AF_INET6)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        return a->v6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static unsigned port_of(const address *a)
{
    return ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

/* Looks at the bound socket, not at what was asked for. */
static pang_code check_bound(int fd, bool no_auth, unsigned *ret_port, pang_err *err)
{
    address bound = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t len = sizeof bound;
    if (getsockname(fd, &bound.any, &len) != 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not look at the bound socket");
    if (no_auth && !is_loopback(&bound))
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "without authentication only loopback addresses are allowed; "
                         "set PANGOLIN_NO_AUTH=false, or listen on 127.0.0.1");
    *ret_port = port_of(&bound);
    return PANG_OK;
}

static pang_code bind_one(const struct addrinfo *to, bool no_auth, int *ret_fd, unsigned *ret_port,
                          pang_err *err)
{
    int one = 1;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not make a socket: %s",
                         strerror(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    pang_code code = PANG_OK;
    if (bind(fd, to->ai_addr, to->ai_addrlen) != 0)
        code = pang_fail(err, PANG_UNAVAILABLE, NULL, "could not bind: %s", strerror(errno));
    if (code == PANG_OK)
        code = check_bound(fd, no_auth, ret_port, err);
    if (code == PANG_OK && listen(fd, BACKLOG) != 0)
        code = pang_fail(err, PANG_UNAVAILABLE, NULL, "could not listen: %s", strerror(errno));
    if (code != PANG_OK) {
        close(fd);
        return code;
    }
    *ret_fd = fd;
    return PANG_OK;
}

static pang_code resolve(const char *host, unsigned port, struct addrinfo **ret, pang_err *err)
{
    char service[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    (void)snprintf(service, sizeof service, "%u", port);
    int failed = getaddrinfo(host, service, &hints, ret);
    if (failed != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "no such address \"%s\": %s", host,
                         gai_strerror(failed));
    return PANG_OK;
}

/* Another process on the same port would share it silently: SO_REUSEPORT lets any socket of the
 * same user in. A first try without it finds that out. */
static pang_code check_free(const struct addrinfo *to, const char *host, unsigned port,
                            pang_err *err)
{
    int one = 1;
    if (port == 0)
        return PANG_OK;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return PANG_OK; /* bind_one will say */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool is_free = bind(fd, to->ai_addr, to->ai_addrlen) == 0;
    int why = errno;
    close(fd);
    return is_free ? PANG_OK
                   : pang_fail(err, PANG_UNAVAILABLE, NULL, "could not listen on %s port %u: %s%s",
                               host, port, strerror(why),
                               why == EADDRINUSE ? " (PORT=... names another)" : "");
}

pang_code pang_listen(pang_bridge *bridge, const char *host, unsigned port, unsigned *ret_port,
                      pang_err *err)
{
    struct addrinfo *to;
    pang_code code = resolve(host, port, &to, err);
    if (code != PANG_OK)
        return code;
    code = check_free(to, host, port, err);
    for (size_t i = 0; code == PANG_OK && i < bridge->n_workers; i++) {
        pang_worker *worker = &bridge->workers[i];
        code = bind_one(to, bridge->no_auth, &worker->listener.fd, &port, err);
        if (to->ai_family == AF_INET6)
            ((struct sockaddr_in6 *)to->ai_addr)->sin6_port = htons((uint16_t)port);
        else
            ((struct sockaddr_in *)to->ai_addr)->sin_port = htons((uint16_t)port);
    }
    freeaddrinfo(to);
    *ret_port = port;
    return code;
}

pang_code pang_listen_metrics(pang_bridge *bridge, pang_str text, pang_err *err)
{
    char host[256];
    uint64_t port;
    struct addrinfo *to;
    unsigned bound;
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon < 2 || colon > sizeof host ||
        !pang_str_to_uint64(pang_str_after(text, colon), &port) || port > UINT16_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "metrics-address: expected host:port, found \"%" PANG_STR_FMT "\"",
                         PANG_STR_ARG(text));
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - 1), text.ptr);
    pang_code code = resolve(host, (unsigned)port, &to, err);
    if (code != PANG_OK)
        return code;
    code = check_free(to, host, (unsigned)port, err);
    if (code == PANG_OK)
        code = bind_one(to, bridge->no_auth, &bridge->workers[0].metrics_listener.fd, &bound, err);
    freeaddrinfo(to);
    bridge->metrics_apart = true;
    return code;
}

/* ---- accepting ---- */

static void run_out(pang_worker *worker, pang_watch *listener)
{
    PANG_LOG(WARN, "out of descriptors", PANG_LOG_NUMBER("connections", worker->n_conns));
    if (worker->reserve_fd >= 0) {
        close(worker->reserve_fd);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        worker->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    pang_metrics_refused(worker->metrics, PANG_REFUSED_LIMIT);
    worker->accept_again_ms = pang_loop_now(worker->loop) + REST_MS;
    pang_loop_change(worker->loop, listener, 0);
}

static void accept_some(pang_worker *worker, pang_watch *listener, bool apart)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            (void)pang_conn_open(worker, fd, apart);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            run_out(worker, listener);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void ready_listener(pang_watch *watch, uint32_t events)
{
    (void)events;
    accept_some((pang_worker *)((char *)watch - offsetof(pang_worker, listener)), watch, false);
}

static void ready_metrics(pang_watch *watch, uint32_t events)
{
    (void)events;
    accept_some((pang_worker *)((char *)watch - offsetof(pang_worker, metrics_listener)), watch,
                true);
}

bool pang_listen_start(pang_worker *worker)
{
    worker->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    worker->listener.events = worker->metrics_listener.events = EPOLLIN;
    worker->listener.ready = ready_listener;
    worker->metrics_listener.ready = ready_metrics;
    return pang_loop_add(worker->loop, &worker->listener) &&
           (worker->metrics_listener.fd < 0 ||
            pang_loop_add(worker->loop, &worker->metrics_listener));
}

static void stop_one(pang_worker *worker, pang_watch *listener)
{
    if (listener->fd < 0)
        return;
    if (worker->loop != NULL)
        pang_loop_remove(worker->loop, listener);
    close(listener->fd);
    listener->fd = -1;
}

void pang_listen_stop(pang_worker *worker)
{
    stop_one(worker, &worker->listener);
    stop_one(worker, &worker->metrics_listener);
    if (worker->reserve_fd >= 0)
        close(worker->reserve_fd);
    worker->reserve_fd = -1;
}

void pang_listen_sweep(pang_worker *worker, int64_t now_ms)
{
    if (worker->accept_again_ms == 0 || now_ms < worker->accept_again_ms || worker->listener.fd < 0)
        return;
    worker->accept_again_ms = 0;
    pang_loop_change(worker->loop, &worker->listener, EPOLLIN);
    if (worker->metrics_listener.fd >= 0)
        pang_loop_change(worker->loop, &worker->metrics_listener, EPOLLIN);
}
