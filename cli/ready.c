/*
 * One HTTP request to the bridge on this machine: whether it and the core behind it take requests.
 * Both must be those that were started: a port or a folder in use has somebody else who answers.
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/up.h"

static bool answers_200(int fd)
{
    static const char request[] = "GET /health/ready HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    static const char wanted[] = "HTTP/1.1 200";
    char reply[sizeof wanted - 1];
    size_t got = 0;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof request - 1))
        return false;
    while (got < sizeof reply) {
        ssize_t more = recv(fd, reply + got, sizeof reply - got, 0);
        if (more <= 0)
            return false;
        got += (size_t)more;
    }
    return memcmp(reply, wanted, sizeof reply) == 0;
}

/* Another server may hold the data folder already: then it is that one which answers, for a moment,
 * to a bridge that is about to end. */
static bool listens(const char *path, pid_t server)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    struct ucred who = {.pid = 0};
    socklen_t len = sizeof who;
    if (strlen(path) >= sizeof to.sun_path)
        return false;
    memcpy(to.sun_path, path, strlen(path));
    /* With room in the backlog it connects at once; without, nobody shall wait here. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool found = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
                 getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == server;
    close(fd);
    return found;
}

const char *pang_ready_host(const char *bound)
{
    if (strcmp(bound, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(bound, "::") == 0 ? "::1" : bound;
}

static int connect_to(const pang_ready_query *query)
{
    const struct timeval patience = {query->timeout_ms / 1000, (query->timeout_ms % 1000) * 1000};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *to;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", query->port);
    if (getaddrinfo(pang_ready_host(query->host), service, &hints, &to) != 0)
        return -1;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }
    if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(to);
    return fd;
}

bool pang_is_ready(const pang_ready_query *query)
{
    if (query->server <= 0 || !listens(query->socket, query->server))
        return false;
    int fd = connect_to(query);
    if (fd < 0)
        return false;
    bool ready = query->tls || answers_200(fd);
    close(fd);
    return ready;
}
