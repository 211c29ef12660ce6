/*
 * One request to the bridge's own address, with a limit of time. An address that means "all" is
 * asked by way of loopback.
 */
#include "bridge/healthcheck.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { TIMEOUT_S = 3, SICK = 1 };

bool pang_healthcheck_asked(int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--healthcheck") != 0)
            continue;
        memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof argv[0]);
        --*argc;
        return true;
    }
    return false;
}

static int connect_to(const char *host, int64_t port)
{
    static const struct timeval patience = {.tv_sec = TIMEOUT_S};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *to;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    if (strcmp(host, "::") == 0)
        host = "::1";
    if (getaddrinfo(host, service, &hints, &to) != 0)
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

static bool answers_200(int fd)
{
    static const char request[] = "GET /health/ready HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    static const char wanted[] = "HTTP/1.1 200 ";
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

int pang_healthcheck(const pang_config *config)
{
    bool tls = pang_config_text(config, PANG_OPT_TLS_CERT).len > 0;
    int fd = connect_to(pang_config_text(config, PANG_OPT_BIND_ADDRESS).ptr,
                        pang_config_int(config, PANG_OPT_PORT));
    if (fd < 0) {
        fprintf(stderr, "pangolin-bridge: does not listen\n");
        return SICK;
    }
    bool healthy = tls || answers_200(fd);
    close(fd);
    if (!healthy)
        fprintf(stderr, "pangolin-bridge: is not ready\n");
    return healthy ? 0 : SICK;
}
