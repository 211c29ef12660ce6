/*
 * fixed_core: stands where the core stands and answers every call with the same bytes, so that what
 * is measured in front of it is the bridge alone.
 *
 *     fixed_core SOCKET MESSAGE-FILE
 *
 * One thread, poll, nghttp2. It reads nothing of a request but its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define MESSAGE_MAX (4 << 20)
#define OUT_MAX (8 << 20)
#define WINDOW (16 << 20)
#define STREAMS_MAX 1000

typedef struct {
    int fd;
    nghttp2_session *session;
    uint8_t *out;
    size_t out_len;
} connection;

static uint8_t reply[MESSAGE_MAX + 5];
static size_t reply_len;
static connection connections[CONNECTIONS_MAX];

static void die(const char *what)
{
    fprintf(stderr, "fixed_core: %s: %s\n", what, strerror(errno));
    exit(2);
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

/* How much of the reply a stream has had is kept as the stream's user data. */
static ssize_t read_reply(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)source, (void)user;
    nghttp2_nv trailers[] = {pair("grpc-status", "0")};
    size_t sent = (size_t)nghttp2_session_get_stream_user_data(session, stream);
    size_t left = reply_len - sent, n = left < room ? left : room;
    memcpy(to, reply + sent, n);
    nghttp2_session_set_stream_user_data(session, stream, (void *)(sent + n));
    if (sent + n == reply_len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, stream, trailers, 1);
    }
    return (ssize_t)n;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    nghttp2_nv headers[] = {pair(":status", "200"), pair("content-type", "application/grpc")};
    bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) && ends) {
        nghttp2_data_provider body = {.read_callback = read_reply};
        nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &body);
    }
    return 0;
}

static void open_connection(connection *c, int fd)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    c->fd = fd;
    c->out_len = 0;
    c->out = c->out ? c->out : malloc(OUT_MAX);
    if (!c->out || nghttp2_session_server_new(&c->session, callbacks, c) != 0)
        die("session");
    nghttp2_session_callbacks_del(callbacks);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
}

static void close_connection(connection *c)
{
    nghttp2_session_del(c->session);
    close(c->fd);
    c->session = NULL;
    c->fd = -1;
}

static void send_all(connection *c)
{
    const uint8_t *bytes;
    ssize_t n;
    while (c->out_len < OUT_MAX / 2 && (n = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
        memcpy(c->out + c->out_len, bytes, (size_t)n);
        c->out_len += (size_t)n;
    }
    ssize_t written = c->out_len ? write(c->fd, c->out, c->out_len) : 0;
    if (written > 0) {
        memmove(c->out, c->out + written, c->out_len - (size_t)written);
        c->out_len -= (size_t)written;
    }
}

static void receive(connection *c)
{
    static uint8_t buffer[256 * 1024];
    ssize_t n = read(c->fd, buffer, sizeof buffer);
    if (n > 0 && nghttp2_session_mem_recv(c->session, buffer, (size_t)n) >= 0)
        return;
    if (n >= 0 || errno != EAGAIN)
        close_connection(c);
}

static int listen_on(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path)
        die(path);
    memcpy(at.sun_path, path, strlen(path));
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 64) < 0)
        die(path);
    return fd;
}

static void serve(int listener)
{
    struct pollfd fds[CONNECTIONS_MAX + 1];
    for (;;) {
        fds[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < CONNECTIONS_MAX; i++) {
            if (connections[i].session)
                send_all(&connections[i]);
            short more = connections[i].out_len ? POLLOUT : 0;
            fds[i + 1] = (struct pollfd){.fd = connections[i].session ? connections[i].fd : -1,
                                         .events = (short)(POLLIN | more)};
        }
        if (poll(fds, CONNECTIONS_MAX + 1, -1) < 0)
            die("poll");
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (connections[i].session && fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
                receive(&connections[i]);
        int fd = fds[0].revents & POLLIN ? accept(listener, NULL, NULL) : -1;
        for (int i = 0; fd >= 0 && i < CONNECTIONS_MAX; i++) {
            if (!connections[i].session) {
                open_connection(&connections[i], fd);
                fd = -1;
            }
        }
        if (fd >= 0)
            close(fd);
    }
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!file)
        die("usage: fixed_core SOCKET MESSAGE-FILE");
    size_t len = fread(reply + 5, 1, MESSAGE_MAX, file);
    fclose(file);
    for (int i = 0; i < 4; i++)
        reply[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    reply_len = len + 5;
    serve(listen_on(argv[1]));
    return 0;
}
