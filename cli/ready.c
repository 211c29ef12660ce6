/*
 * One HTTP request to the bridge on loopback: whether it and the core behind it take requests.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
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

bool pang_is_ready(unsigned port, int timeout_ms)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    bool ready = connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && answers_200(fd);
    close(fd);
    return ready;
}
