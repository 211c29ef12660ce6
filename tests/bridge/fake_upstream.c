/*
 * One thread, poll, nghttp2. A stream gathers its request; when that is whole, its first text field
 * says what to answer and when. Replies are built in one piece and pulled by nghttp2.
 */
#include "tests/bridge/fake_upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS = 64,
    WINDOW = 8 << 20,
    WORD_MAX = 256,
    STATUS_NONE = -1,
};

typedef struct {
    uint8_t *ptr;
    size_t len, capacity;
} bytes;

typedef struct stream {
    struct stream *next;
    int32_t id;
    char path[128], token[64];
    bytes meta; /* map entries of the metadata that came */
    bytes in, out;
    size_t sent;
    bool echo, ended, answered;
    int64_t due_ms; /* 0: not waiting */
    int status;
    bool cut;
} stream;

typedef struct {
    int fd;
    nghttp2_session *session;
    stream *streams;
    bytes out;
    bool die;
} connection;

static struct {
    connection connections[CONNECTIONS];
    uint64_t streams, cancelled, accepted;
    bool refused;
    uint32_t max_streams;
} core;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "fake_upstream: %s: %s\n", what, strerror(errno));
    _exit(2);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- bytes ---- */

static uint8_t *room(bytes *b, size_t n)
{
    if (b->capacity - b->len < n) {
        b->capacity = (b->len + n) * 2;
        b->ptr = realloc(b->ptr, b->capacity);
        if (b->ptr == NULL)
            die("memory");
    }
    return b->ptr + b->len;
}

static void add(bytes *b, const void *from, size_t n)
{
    if (n > 0)
        memcpy(room(b, n), from, n);
    b->len += n;
}

static void add_varint(bytes *b, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        add(b, &byte, 1);
        value >>= 7;
    } while (value > 0);
}

static void add_field(bytes *b, unsigned number, const void *from, size_t n)
{
    add_varint(b, number << 3 | 2);
    add_varint(b, n);
    add(b, from, n);
}

/* An entry of a map<string, string> in field `number`. */
static void add_entry(bytes *b, unsigned number, const char *key, size_t key_len, const void *value,
                      size_t value_len)
{
    bytes entry = {0};
    add_field(&entry, 1, key, key_len);
    add_field(&entry, 2, value, value_len);
    add_field(b, number, entry.ptr, entry.len);
    free(entry.ptr);
}

static void add_number(bytes *b, unsigned number, const char *key, uint64_t value)
{
    char text[32];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    add_entry(b, number, key, strlen(key), text, (size_t)len);
}

/* The text of field `number`, cut to WORD_MAX; "" when there is none. */
static void find_text(const stream *s, unsigned number, char to[WORD_MAX])
{
    size_t at = 5, len;
    to[0] = '\0';
    while (at + 2 <= s->in.len) {
        unsigned tag = s->in.ptr[at++];
        uint64_t value = 0;
        for (unsigned shift = 0; at < s->in.len; shift += 7) {
            uint8_t byte = s->in.ptr[at++];
            value |= (uint64_t)(byte & 0x7f) << shift;
            if (byte < 0x80)
                break;
        }
        if ((tag & 7) != 2)
            continue;
        len = (size_t)value;
        if (len > s->in.len - at)
            return;
        if (tag >> 3 == number) {
            size_t n = len < WORD_MAX - 1 ? len : WORD_MAX - 1;
            memcpy(to, s->in.ptr + at, n);
            to[n] = '\0';
        }
        at += len;
    }
}

/* ---- replies ---- */

static bool is_method(const stream *s, const char *name)
{
    const char *last = strrchr(s->path, '/');
    return last != NULL && strcmp(last + 1, name) == 0;
}

/* "pages-3" with the prefix "pages" gives 3, otherwise -1. */
static long number_of(const char *word, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(word, prefix, len) != 0 || word[len] != '-')
        return -1;
    return strtol(word + len + 1, NULL, 10);
}

static void add_padding(bytes *to, size_t n)
{
    memset(room(to, n), 'x', n);
    to->len += n;
}

static void make_config(const char *word, const stream *s, bytes *to)
{
    long size = number_of(word, "size");
    if (strcmp(word, "counts") == 0) {
        uint64_t open = 0;
        for (size_t i = 0; i < CONNECTIONS; i++)
            open += core.connections[i].session != NULL;
        add_number(to, 2, "streams", core.streams);
        add_number(to, 2, "cancelled", core.cancelled);
        add_number(to, 2, "accepted", core.accepted);
        add_number(to, 2, "connections", open);
    } else if (strcmp(word, "meta") == 0) {
        add(to, s->meta.ptr, s->meta.len);
    } else if (size >= 0) {
        bytes padding = {0};
        add_padding(&padding, (size_t)size);
        add_entry(to, 2, "padding", 7, padding.ptr, padding.len);
        free(padding.ptr);
    } else {
        add_entry(to, 2, "word", 4, word, strlen(word));
    }
}

static void make_table(const char *word, bytes *to)
{
    long size = number_of(word, "size");
    bytes metadata = {0};
    add_field(to, 5, "\"tag-1\"", 7);
    if (strcmp(word, "same") == 0) {
        add_varint(to, 6 << 3);
        add_varint(to, 1);
        return;
    }
    add(&metadata, "{\"padding\":\"", 12);
    add_padding(&metadata, size < 0 ? 10 : (size_t)size);
    add(&metadata, "\"}", 2);
    add_field(to, 1, "file:/m.json", 12);
    add_field(to, 2, metadata.ptr, metadata.len);
    free(metadata.ptr);
}

/* One entry "ns<page>"; the token is the number of the next page. */
/* `token_field` is the number of page_token in the method's request. */
static void make_list(const char *word, const stream *s, unsigned token_field, bytes *to)
{
    char token[WORD_MAX], text[32];
    long gaps = number_of(word, "gaps"), pages = gaps < 0 ? number_of(word, "pages") : gaps;
    find_text(s, token_field, token);
    long page = strtol(token, NULL, 10);
    bytes name = {0};
    int len = snprintf(text, sizeof text, "ns%ld", page);
    add_field(&name, 1, text, (size_t)len);
    if (gaps < 0 || page % 2 == 1)
        add_field(to, 1, name.ptr, name.len);
    free(name.ptr);
    if (page + 1 < pages) {
        len = snprintf(text, sizeof text, "%ld", page + 1);
        add_field(to, 2, text, (size_t)len);
    }
}

static void make_message(const char *word, const stream *s, bytes *to)
{
    if (is_method(s, "GetConfig")) {
        make_config(word, s, to);
    } else if (is_method(s, "LoadTable")) {
        make_table(word, to);
    } else if (is_method(s, "ListNamespaces")) {
        make_list(word, s, 3, to);
    } else if (is_method(s, "ListUserTokens")) {
        make_list(word, s, 4, to);
    } else if (is_method(s, "ExportAuditEvents")) {
        make_list(word, s, 10, to);
    } else if (is_method(s, "IssueOauthToken")) {
        add_number(to, 1, "bytes", s->in.len - 5);
    } else if (is_method(s, "CreateNamespace")) {
        add_number(to, 2, "bytes", s->in.len - 5);
        add_field(to, 1, "made", 4);
    } else if (is_method(s, "Check") || is_method(s, "Watch")) {
        add_varint(to, 1 << 3);
        add_varint(to, 1);
    } else if (is_method(s, "GetMetrics")) {
        static const char text[] = "# TYPE pangolin_fake counter\npangolin_fake 1\n";
        add_field(to, 1, text, sizeof text - 1);
    }
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NONE,
    };
}

static ssize_t read_reply(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                          uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)source;
    (void)arg;
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t left = s->out.len - s->sent, n = left < size ? left : size;
    if (n > 0)
        memcpy(to, s->out.ptr + s->sent, n);
    s->sent += n;
    if (s->echo && s->sent == s->out.len)
        s->sent = s->out.len = 0;
    if (s->cut && left == n)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
    if (left == n && s->echo && !s->ended)
        return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
    if (left == n) {
        nghttp2_nv trailers[] = {pair("grpc-status", "0")};
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        (void)nghttp2_submit_trailer(session, id, trailers, 1);
    }
    return (ssize_t)n;
}

static void submit_reply(connection *c, stream *s)
{
    nghttp2_nv head[] = {pair(":status", "200"), pair("content-type", "application/grpc"),
                         pair("x-secret-of-the-core", "hidden")};
    nghttp2_data_provider body = {.read_callback = read_reply};
    s->answered = true;
    (void)nghttp2_submit_response(c->session, s->id, head, 3, &body);
}

static void submit_status(connection *c, stream *s, int status)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", status);
    nghttp2_nv head[] = {
        pair(":status", "200"),
        pair("content-type", "application/grpc"),
        pair("grpc-status", text),
        pair("grpc-message", "it %22failed%22 %C3%BC"),
        pair("pangolin-reason", "TestReason"),
        pair("pangolin-retry-after", "7"),
    };
    s->answered = true;
    (void)nghttp2_submit_response(c->session, s->id, head, 6, NULL);
}

static void frame_message(stream *s, const bytes *message, size_t announced)
{
    uint8_t prefix[5] = {0, (uint8_t)(announced >> 24), (uint8_t)(announced >> 16),
                         (uint8_t)(announced >> 8), (uint8_t)announced};
    add(&s->out, prefix, sizeof prefix);
    add(&s->out, message->ptr, message->len);
}

static void answer(connection *c, stream *s, const char *word)
{
    bytes message = {0};
    make_message(word, s, &message);
    s->cut = strcmp(word, "cut") == 0;
    frame_message(s, &message, message.len + (s->cut ? 100 : 0));
    free(message.ptr);
    if (strcmp(word, "goaway") == 0)
        (void)nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR, NULL,
                                    0);
    submit_reply(c, s);
}

/* The request is whole. */
static void decide(connection *c, stream *s)
{
    char word[WORD_MAX];
    find_text(s, 1, word);
    if (word[0] == '\0')
        find_text(s, 2, word);
    if (strcmp(word, "never") == 0)
        return;
    if (strcmp(word, "die") == 0)
        c->die = true;
    else if (number_of(word, "slow") >= 0)
        s->due_ms = now_ms() + number_of(word, "slow") + 1;
    else if (number_of(word, "status") >= 0)
        submit_status(c, s, (int)number_of(word, "status"));
    else if (strncmp(s->path, "/test.", 6) != 0 && strncmp(s->path, "/pangolin.v1.", 13) != 0 &&
             strncmp(s->path, "/grpc.health.v1.", 16) != 0)
        submit_status(c, s, 12);
    else
        answer(c, s, word);
}

/* ---- nghttp2's callbacks ---- */

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    connection *c = arg;
    stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        die("memory");
    s->id = frame->hd.stream_id;
    s->status = STATUS_NONE;
    s->next = c->streams;
    c->streams = s;
    core.streams++;
    (void)nghttp2_session_set_stream_user_data(session, s->id, s);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags;
    (void)arg;
    if (s == NULL)
        return 0;
    if (name_len == 5 && memcmp(name, ":path", 5) == 0 && value_len < sizeof s->path) {
        memcpy(s->path, value, value_len);
        s->path[value_len] = '\0';
    }
    add_entry(&s->meta, 2, (const char *)name, name_len, value, value_len);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *arg)
{
    stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)flags;
    (void)arg;
    if (s == NULL)
        return 0;
    add(s->echo ? &s->out : &s->in, data, len);
    if (s->echo)
        (void)nghttp2_session_resume_data(session, id);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    connection *c = arg;
    bool headers = frame->hd.type == NGHTTP2_HEADERS;
    if (!headers && frame->hd.type != NGHTTP2_DATA)
        return 0;
    stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s == NULL)
        return 0;
    if (headers && strcmp(s->path, "/test.Echo/Stream") == 0) {
        s->echo = true;
        submit_reply(c, s);
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    s->ended = true;
    char word[WORD_MAX];
    find_text(s, 1, word);
    if (s->echo) {
        (void)nghttp2_session_resume_data(session, s->id);
    } else if (strcmp(word, "refuse") == 0 && !core.refused) {
        core.refused = true;
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_REFUSED_STREAM);
    } else {
        core.refused = core.refused && strcmp(word, "refuse") != 0;
        decide(c, s);
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    connection *c = arg;
    (void)session;
    core.cancelled += error == NGHTTP2_CANCEL;
    for (stream **at = &c->streams; *at != NULL; at = &(*at)->next) {
        stream *s = *at;
        if (s->id != id)
            continue;
        *at = s->next;
        free(s->in.ptr);
        free(s->out.ptr);
        free(s->meta.ptr);
        free(s);
        break;
    }
    return 0;
}

/* ---- connections ---- */

static void drop(connection *c)
{
    nghttp2_session_del(c->session);
    while (c->streams != NULL) {
        stream *s = c->streams;
        c->streams = s->next;
        free(s->in.ptr);
        free(s->out.ptr);
        free(s->meta.ptr);
        free(s);
    }
    free(c->out.ptr);
    close(c->fd);
    *c = (connection){.fd = -1};
}

static void open_session(connection *c)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, core.max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
    };
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        die("memory");
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_server_new(&c->session, callbacks, c) != 0)
        die("memory");
    nghttp2_session_callbacks_del(callbacks);
    (void)nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, 2);
    (void)nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
}

static void accept_one(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (core.connections[i].fd >= 0)
            continue;
        core.connections[i].fd = fd;
        core.accepted++;
        open_session(&core.connections[i]);
        return;
    }
    close(fd);
}

static bool read_some(connection *c)
{
    uint8_t buffer[65536];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && nghttp2_session_mem_recv(c->session, buffer, (size_t)n) >= 0;
}

static bool write_some(connection *c)
{
    const uint8_t *from;
    for (;;) {
        while (c->out.len > 0) {
            ssize_t n = send(c->fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);
            if (n < 0)
                return errno == EAGAIN || errno == EINTR;
            c->out.len -= (size_t)n;
            memmove(c->out.ptr, c->out.ptr + n, c->out.len);
        }
        ssize_t n = nghttp2_session_mem_send(c->session, &from);
        if (n <= 0)
            return n == 0;
        add(&c->out, from, (size_t)n);
    }
}

static void run_due(connection *c)
{
    for (stream *s = c->streams; s != NULL; s = s->next) {
        if (s->due_ms == 0 || now_ms() < s->due_ms)
            continue;
        s->due_ms = 0;
        answer(c, s, "slow");
    }
}

static void serve(connection *c, short events)
{
    bool alive = (events & (POLLIN | POLLHUP | POLLERR)) == 0 || read_some(c);
    if (alive && !c->die) {
        run_due(c);
        alive = write_some(c);
    }
    if (!alive || c->die)
        drop(c);
}

static int listen_on(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path)
        die(path);
    memcpy(at.sun_path, path, strlen(path));
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 128) != 0)
        die(path);
    return fd;
}

_Noreturn void fake_upstream_run(const char *path, uint32_t max_streams)
{
    int listener = listen_on(path);
    core.max_streams = max_streams;
    for (size_t i = 0; i < CONNECTIONS; i++)
        core.connections[i].fd = -1;
    for (;;) {
        struct pollfd polled[CONNECTIONS + 1];
        size_t of[CONNECTIONS + 1], n = 1;
        polled[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (size_t i = 0; i < CONNECTIONS; i++) {
            connection *c = &core.connections[i];
            if (c->fd < 0)
                continue;
            of[n] = i;
            polled[n++] = (struct pollfd){
                .fd = c->fd,
                .events = (short)(POLLIN | (c->out.len > 0 ? POLLOUT : 0)),
            };
        }
        if (poll(polled, n, 10) < 0 && errno != EINTR)
            die("poll");
        for (size_t i = 1; i < n; i++)
            serve(&core.connections[of[i]], polled[i].revents);
        if ((polled[0].revents & POLLIN) != 0)
            accept_one(listener);
    }
}
