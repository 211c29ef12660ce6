/*
 * A real bridge on a loopback port with a fake core behind it, and plain sockets in front of it.
 * Every function fails the running test when something is not as it must be.
 */
#ifndef PANG_TESTS_BRIDGE_FIXTURE_H
#define PANG_TESTS_BRIDGE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    PATIENCE_MS = 10000, /* for anything that should happen at once */
    HEAD_MAX = 16 * 1024,
    CORE_STREAMS = 100,
};

typedef struct {
    char folder[64];    /* removed by stop */
    pid_t bridge, core; /* 0: not running */
    unsigned port;
    uint32_t core_streams; /* 0: CORE_STREAMS */
} fixture;

/* Starts both. `settings` are "NAME=value", the last NULL; they win over the fixture's own. */
void fixture_start(fixture *f, const char *const *settings);
/* Ends both; the bridge must drain and exit with 0. */
void fixture_stop(fixture *f);
void fixture_start_core(fixture *f);
void fixture_kill_core(fixture *f);
/* What `pangolin-bridge --healthcheck` with the fixture's settings exits with. */
int fixture_healthcheck(const fixture *f);
/* Starts a bridge that must not start: its exit status; what it wrote is in `said`. */
int fixture_refused(const char *const *settings, char *said, size_t size);
/* A file of the fixture's folder. */
void fixture_path(const fixture *f, const char *name, char *to, size_t size);
/* Bytes resident and descriptors open in the bridge; CPU seconds it has used. */
size_t fixture_rss(const fixture *f);
size_t fixture_descriptors(const fixture *f);
double fixture_cpu(const fixture *f);

int64_t wire_now(void);
/* A connected socket. */
int wire_connect(const fixture *f);
/* -1 when it is refused or closed at once. */
int wire_try_connect(unsigned port);
void wire_send(int fd, const void *bytes, size_t len);
/* False when the peer does not take it any more. */
bool wire_try_send(int fd, const void *bytes, size_t len);
/* What comes until the end, at most `size` bytes; *ret_closed tells whether the end came within
 * `ms`. */
size_t wire_read_all(int fd, char *to, size_t size, int ms, bool *ret_closed);

typedef struct {
    int status; /* 0: there was no reply */
    char head[HEAD_MAX];
    char *body; /* owned: http_free */
    size_t len;
    bool closed; /* the peer closed behind it */
} http_reply;

/* Reads one reply of HTTP/1.1. `no_body` for HEAD. */
void http_read(int fd, bool no_body, http_reply *ret);
/* The same, which may take `ms` and may end without a reply (status 0). */
void http_try_read(int fd, bool no_body, int ms, http_reply *ret);
/* The value of a header, NUL-terminated in a static buffer; NULL when there is none. */
const char *http_header(const http_reply *reply, const char *name);
void http_free(http_reply *reply);
/* "GET path" with further header lines on a connection of its own; returns the status. */
int http_get(const fixture *f, const char *path, const char *headers, http_reply *ret);
/* Fails unless the bridge answers a request now. */
void http_canary(const fixture *f);
/* A number that the fake core counts: "streams", "cancelled", "accepted", "connections". */
long core_count(const fixture *f, const char *name);

#endif
