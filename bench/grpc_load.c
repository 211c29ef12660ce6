/*
 * grpc_load: unary gRPC calls on a unix socket, from one thread, over nghttp2.
 *
 *     grpc_load --socket PATH --method /package.Service/Method --connections N --streams M
 *               --seconds S [--rate R] MESSAGE-FILE...
 *
 * Closed loop: each connection keeps M calls on their way. With --rate the loop is open, as in
 * http_load. The files hold packed requests; calls take them in turn. Prints one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench/histogram.h"

#define CONNECTIONS_MAX 64
#define STREAMS_MAX 1024
#define MESSAGES_MAX 1024
#define MESSAGE_MAX 65536
#define OUT_MAX (1 << 20)
#define WINDOW (16 << 20)

typedef struct {
    uint8_t *bytes; /* five bytes of gRPC framing, then the message */
    size_t len;
} message;

struct load;

typedef struct {
    struct load *load;
    const message *what;
    size_t sent;
    uint64_t due_us;
    int status; /* grpc-status, -1 until it came */
    bool busy;
} call;

typedef struct {
    struct load *load;
    nghttp2_session *session;
    int fd;
    call calls[STREAMS_MAX];
    uint8_t out[OUT_MAX]; /* what nghttp2 wants sent */
    size_t out_len;
} connection;

typedef struct load {
    const char *socket, *method;
    unsigned connections, streams, seconds;
    double rate;
    message messages[MESSAGES_MAX];
    size_t n_messages, next_message;
    connection *all;
    histogram latency;
    uint64_t errors, end_us;
} load;

static void die(const char *what)
{
    fprintf(stderr, "grpc_load: %s: %s\n", what, strerror(errno));
    exit(2);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void read_message(load *l, const char *path)
{
    static uint8_t bytes[MESSAGE_MAX];
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (!file || l->n_messages == MESSAGES_MAX)
        die(path);
    fclose(file);
    message *m = &l->messages[l->n_messages++];
    m->len = len + 5;
    m->bytes = malloc(m->len);
    if (!m->bytes)
        die(path);
    m->bytes[0] = 0;
    for (int i = 0; i < 4; i++)
        m->bytes[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    memcpy(m->bytes + 5, bytes, len);
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)stream, (void)user;
    call *c = source->ptr;
    size_t left = c->what->len - c->sent, n = left < room ? left : room;
    memcpy(to, c->what->bytes + c->sent, n);
    c->sent += n;
    if (c->sent == c->what->len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void start_call(connection *c, call *slot, uint64_t due_us)
{
    load *l = c->load;
    nghttp2_nv headers[] = {
        pair(":method", "POST"),
        pair(":scheme", "http"),
        pair(":path", l->method),
        pair(":authority", "core"),
        pair("content-type", "application/grpc"),
        pair("te", "trailers"),
        pair("grpc-timeout", "30S"),
    };
    *slot = (call){.load = l,
                   .what = &l->messages[l->next_message++ % l->n_messages],
                   .due_us = due_us,
                   .status = -1,
                   .busy = true};
    nghttp2_data_provider body = {.source.ptr = slot, .read_callback = read_body};
    if (nghttp2_submit_request(c->session, NULL, headers, sizeof headers / sizeof headers[0], &body,
                               slot) < 0)
        die("submit");
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    (void)flags, (void)user;
    call *c = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (c && name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
        c->status = value_len == 1 ? value[0] - '0' : 99;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *user)
{
    (void)code;
    connection *on = user;
    call *c = nghttp2_session_get_stream_user_data(session, stream);
    if (!c)
        return 0;
    uint64_t now = now_us();
    histogram_add(&c->load->latency, now > c->due_us ? now - c->due_us : 0);
    c->load->errors += c->status != 0;
    c->busy = false;
    if (c->load->rate <= 0 && now < c->load->end_us)
        start_call(on, c, now);
    return 0;
}

static void connect_one(load *l, connection *c)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (strlen(l->socket) >= sizeof to.sun_path)
        die("--socket");
    memcpy(to.sun_path, l->socket, strlen(l->socket));
    c->load = l;
    c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die(l->socket);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
}

/* Gathers what nghttp2 wants sent, so that a turn costs one write. */
static void send_all(connection *c)
{
    const uint8_t *bytes;
    ssize_t n;
    while (c->out_len < OUT_MAX / 2 && (n = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
        if ((size_t)n > OUT_MAX - c->out_len)
            die("a frame is too long");
        memcpy(c->out + c->out_len, bytes, (size_t)n);
        c->out_len += (size_t)n;
    }
    ssize_t written = c->out_len ? write(c->fd, c->out, c->out_len) : 0;
    if (written < 0 && errno != EAGAIN)
        die("write");
    if (written > 0) {
        memmove(c->out, c->out + written, c->out_len - (size_t)written);
        c->out_len -= (size_t)written;
    }
}

static void receive(connection *c)
{
    static uint8_t buffer[256 * 1024];
    ssize_t n = read(c->fd, buffer, sizeof buffer);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        die("the server closed the connection");
    if (n > 0 && nghttp2_session_mem_recv(c->session, buffer, (size_t)n) < 0)
        die("the server broke the protocol");
}

static void turn(load *l, int timeout_ms)
{
    struct pollfd fds[CONNECTIONS_MAX];
    for (unsigned i = 0; i < l->connections; i++) {
        send_all(&l->all[i]);
        short more = l->all[i].out_len ? POLLOUT : 0;
        fds[i] = (struct pollfd){.fd = l->all[i].fd, .events = (short)(POLLIN | more)};
    }
    if (poll(fds, l->connections, timeout_ms) < 0)
        die("poll");
    for (unsigned i = 0; i < l->connections; i++)
        if (fds[i].revents & (POLLIN | POLLHUP))
            receive(&l->all[i]);
}

static call *free_slot(load *l, unsigned *next, connection **on)
{
    for (unsigned tried = 0; tried < l->connections * l->streams; tried++, ++*next) {
        connection *c = &l->all[*next % l->connections];
        call *slot = &c->calls[*next / l->connections % l->streams];
        if (!slot->busy) {
            *on = c;
            return slot;
        }
    }
    return NULL;
}

static void run_open(load *l, uint64_t begin)
{
    double step = 1e6 / l->rate;
    uint64_t sent = 0;
    unsigned next = 0;
    for (uint64_t now = begin; now < l->end_us; now = now_us()) {
        uint64_t due = (uint64_t)((double)(now - begin) / step);
        connection *on;
        for (call *slot; sent < due && (slot = free_slot(l, &next, &on)); sent++)
            start_call(on, slot, begin + (uint64_t)((double)sent * step));
        turn(l, 0);
    }
}

static void run_closed(load *l)
{
    for (unsigned i = 0; i < l->connections; i++)
        for (unsigned s = 0; s < l->streams; s++)
            start_call(&l->all[i], &l->all[i].calls[s], now_us());
    while (now_us() < l->end_us)
        turn(l, 100);
}

static void parse(load *l, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            read_message(l, argv[i]);
            continue;
        }
        const char *name = argv[i], *value = i + 1 < argc ? argv[++i] : "";
        if (strcmp(name, "--socket") == 0)
            l->socket = value;
        else if (strcmp(name, "--method") == 0)
            l->method = value;
        else if (strcmp(name, "--connections") == 0)
            l->connections = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--streams") == 0)
            l->streams = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--seconds") == 0)
            l->seconds = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(name, "--rate") == 0)
            l->rate = strtod(value, NULL);
        else
            die(name);
    }
    if (!l->socket || !l->method || !l->n_messages || !l->connections || !l->streams ||
        l->connections > CONNECTIONS_MAX || l->streams > STREAMS_MAX)
        die("--socket, --method and a message are needed");
}

int main(int argc, char **argv)
{
    static load l = {.connections = 2, .streams = 32, .seconds = 5};
    parse(&l, argc, argv);
    l.all = calloc(l.connections, sizeof *l.all);
    for (unsigned i = 0; l.all && i < l.connections; i++)
        connect_one(&l, &l.all[i]);
    uint64_t begin = now_us();
    l.end_us = begin + (uint64_t)l.seconds * 1000000;
    if (l.rate > 0)
        run_open(&l, begin);
    else
        run_closed(&l);
    double seconds = (double)(now_us() - begin) / 1e6;
    printf("{\"seconds\":%.3f,\"rate\":%.1f,\"reads\":", seconds,
           (double)l.latency.count / seconds);
    histogram_print(&l.latency);
    printf(",\"errors\":%llu}\n", (unsigned long long)l.errors);
    return 0;
}
