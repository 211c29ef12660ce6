/*
 * The gRPC client. A connection is made when a call needs one: on a unix socket that takes
 * microseconds and is refused at once, so a core that comes back is found by the next call. A call
 * goes to the live connection with the fewest calls; nghttp2 keeps what is past the core's stream
 * limit until a stream is free.
 */
#include "bridge/upstream.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bridge/queue.h"

enum {
    /* What one passed-through stream may leave here for a client that does not read. */
    STREAM_WINDOW = 256 * 1024,
    CONNECTION_WINDOW = 64 << 20, /* more than all streams together, so none can block others */
    FRAME_MAX = 1 << 20,
    READ_BYTES = 64 * 1024,
    OUT_MAX = 512 * 1024, /* bytes gathered for one write */
    LATE_MS = 500,        /* how long past its deadline a call may stay silent */
    /* Streams before the core has said how many it takes: what it refuses is said again only once,
     * and a burst on new connections could meet a refusal on each. */
    STREAMS_UNTOLD = 1,
    TEXT_MAX = 1024,
};

typedef struct core_link {
    pang_watch watch; /* fd -1: not connected */
    pang_job flush;
    pang_upstream *upstream;
    nghttp2_session *session;
    pang_queue out;
    size_t calls;
    bool leaving; /* the core said GOAWAY: no new calls */
} core_link;

struct pang_upstream {
    pang_loop *loop;
    pang_sweep sweep;
    nghttp2_session_callbacks *callbacks;
    pang_upstream_call *first; /* all calls */
    size_t calls;
    core_link *links; /* twice as many as may take calls: old ones end while new ones serve */
    unsigned n_links, n_wanted;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    uint8_t bytes[READ_BYTES]; /* what was just read; on the stack it would be zeroed every time */
};

struct pang_upstream_call {
    pang_upstream_call *prev, *next;
    core_link *link;
    int32_t stream;
    const pang_upstream_events *events;
    void *arg;
    pang_upstream_request request; /* to say it again: see say_again */
    pang_str message;              /* the rest of the first message */
    pang_queue queue;              /* of a streamed request */
    bool more, deferred;
    bool said;   /* its header has left */
    bool again;  /* it has been said again */
    bool orphan; /* its connection has just died */
    int64_t deadline_ms;
    int status; /* grpc-status, -1: none came */
    unsigned http;
    char text[TEXT_MAX], reason[64], retry_after[16];
};

/* ---- the set of calls ---- */

static void unlink_call(pang_upstream_call *call)
{
    pang_upstream *upstream = call->link->upstream;
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        upstream->first = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    upstream->calls--;
    call->link->calls--;
}

static void free_call(pang_upstream_call *call)
{
    if (call->link->session != NULL && call->stream > 0)
        (void)nghttp2_session_set_stream_user_data(call->link->session, call->stream, NULL);
    unlink_call(call);
    pang_queue_clear(&call->queue);
    free(call);
}

static core_link *choose(pang_upstream *upstream);
static int32_t submit(pang_upstream_call *call);

static void finish(pang_upstream_call *call, pang_code code, const char *message)
{
    pang_upstream_status status = {
        .code = code,
        .message = pang_str_from(message),
        .reason = pang_str_from(call->reason),
        .retry_after = pang_str_from(call->retry_after),
    };
    const pang_upstream_events *events = call->events;
    void *arg = call->arg;
    /* The texts live in the call: it goes after the owner has seen them. */
    events->done(arg, &status);
    free_call(call);
}

/* The core has surely not begun with this call: it goes to another connection, once. */
static bool say_again(pang_upstream_call *call)
{
    core_link *old = call->link;
    core_link *l = call->request.more || call->again ? NULL : choose(old->upstream);
    if (l == NULL)
        return false;
    old->calls--;
    l->calls++;
    call->link = l;
    call->again = true;
    call->said = call->orphan = call->deferred = false;
    call->status = -1;
    call->message = call->request.message;
    call->stream = submit(call);
    if (call->stream < 0)
        call->stream = 0;
    pang_loop_defer(l->upstream->loop, &l->flush);
    return call->stream > 0;
}

static void lost(pang_upstream_call *call, bool begun)
{
    call->stream = 0;
    if (begun)
        finish(call, PANG_UNKNOWN, "the connection to the server was lost during the request");
    else if (!say_again(call))
        finish(call, PANG_UNAVAILABLE, "the server did not take the request; try again");
}

/* ---- nghttp2's callbacks ---- */

static pang_upstream_call *call_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

/* grpc-message is percent-encoded UTF-8. */
static void decode_message(const uint8_t *value, size_t len, char to[TEXT_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < TEXT_MAX; i++) {
        unsigned c = value[i];
        char hex[3] = {0};
        if (c == '%' && i + 2 < len) {
            hex[0] = (char)value[i + 1];
            hex[1] = (char)value[i + 2];
            c = (unsigned)strtoul(hex, NULL, 16);
            i += 2;
        }
        to[n++] = (char)c;
    }
    to[n] = '\0';
}

static void copy_text(const uint8_t *value, size_t len, char *to, size_t size)
{
    size_t n = len < size - 1 ? len : size - 1;
    memcpy(to, value, n);
    to[n] = '\0';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    pang_upstream_call *call = call_of(session, frame->hd.stream_id);
    pang_str n = {(const char *)name, name_len}, v = {(const char *)value, value_len};
    uint64_t number;
    (void)flags;
    (void)arg;
    if (call == NULL)
        return 0;
    if (pang_str_equal(n, PANG_STR("grpc-status")) && pang_str_to_uint64(v, &number))
        call->status = number <= PANG_UNAUTHENTICATED ? (int)number : PANG_UNKNOWN;
    else if (pang_str_equal(n, PANG_STR("grpc-message")))
        decode_message(value, value_len, call->text);
    else if (pang_str_equal(n, PANG_STR("pangolin-reason")))
        copy_text(value, value_len, call->reason, sizeof call->reason);
    else if (pang_str_equal(n, PANG_STR("pangolin-retry-after")))
        copy_text(value, value_len, call->retry_after, sizeof call->retry_after);
    else if (pang_str_equal(n, PANG_STR(":status")) && pang_str_to_uint64(v, &number))
        call->http = (unsigned)number;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    core_link *l = arg;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        l->leaving = true;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    pang_upstream_call *call = call_of(session, frame->hd.stream_id);
    bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (call != NULL && !last && call->events->started != NULL)
        call->events->started(call->arg);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t len, void *arg)
{
    pang_upstream_call *call = call_of(session, stream);
    (void)flags;
    (void)arg;
    if (call == NULL)
        (void)nghttp2_session_consume(session, stream, len);
    else
        call->events->data(call->arg, bytes, len);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *arg)
{
    pang_upstream_call *call = call_of(session, stream);
    (void)arg;
    if (call == NULL)
        return 0;
    if (call->status >= 0) {
        call->stream = 0;
        finish(call, (pang_code)call->status, call->text);
    } else {
        lost(call, call->said && error != NGHTTP2_REFUSED_STREAM);
    }
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    pang_upstream_call *call = frame->hd.type == NGHTTP2_HEADERS
                                   ? call_of(session, frame->hd.stream_id)
                                   : NULL;
    (void)arg;
    if (call != NULL)
        call->said = true;
    return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream, uint8_t *to, size_t size,
                            uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    pang_upstream_call *call = call_of(session, stream);
    (void)source;
    (void)arg;
    if (call == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* cancelled */
    pang_str queued = pang_queue_bytes(&call->queue);
    pang_str from = call->message.len > 0 ? call->message : queued;
    size_t n = from.len < size ? from.len : size;
    if (n > 0)
        memcpy(to, from.ptr, n);
    if (call->message.len > 0)
        call->message = pang_str_after(call->message, n);
    else if (n > 0)
        pang_queue_take(&call->queue, n);
    if (n > 0 && call->events->sent != NULL)
        call->events->sent(call->arg, n);
    if (call->message.len == 0 && pang_queue_len(&call->queue) == 0) {
        if (!call->more) {
            *flags |= NGHTTP2_DATA_FLAG_EOF;
        } else if (n == 0) {
            call->deferred = true;
            return NGHTTP2_ERR_DEFERRED;
        }
    }
    return (ssize_t)n;
}

/* ---- connections ---- */

static void drop_link(core_link *l)
{
    if (l->watch.fd < 0)
        return;
    pang_loop_remove(l->upstream->loop, &l->watch);
    pang_loop_cancel(l->upstream->loop, &l->flush);
    close(l->watch.fd);
    l->watch.fd = -1;
    nghttp2_session_del(l->session);
    l->session = NULL;
    l->leaving = false;
    pang_queue_clear(&l->out);
    /* Each `done` may start or cancel other calls, on a new connection in this place too: so the
     * dead one's are marked first, and the list is read anew every time. */
    for (pang_upstream_call *call = l->upstream->first; call != NULL; call = call->next)
        call->orphan = call->orphan || call->link == l;
    for (pang_upstream_call *call = l->upstream->first; call != NULL;) {
        if (!call->orphan) {
            call = call->next;
            continue;
        }
        call->orphan = false;
        lost(call, call->said);
        call = l->upstream->first;
    }
}

/* Gathers what nghttp2 wants to send. False when the session is broken. */
static bool fill(core_link *l)
{
    while (pang_queue_len(&l->out) < OUT_MAX) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(l->session, &bytes);
        if (n < 0)
            return false;
        if (n == 0)
            return true;
        if (!pang_queue_add(&l->out, (pang_str){(const char *)bytes, (size_t)n}))
            return false;
    }
    return true;
}

static bool write_out(core_link *l)
{
    while (pang_queue_len(&l->out) > 0) {
        pang_str bytes = pang_queue_bytes(&l->out);
        ssize_t n = send(l->watch.fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        pang_queue_take(&l->out, (size_t)n);
    }
    return true;
}

static void run_flush(pang_job *job)
{
    core_link *l = (core_link *)((char *)job - offsetof(core_link, flush));
    bool alive = true;
    if (l->watch.fd < 0)
        return;
    do {
        alive = fill(l) && write_out(l);
    } while (alive && pang_queue_len(&l->out) == 0 && nghttp2_session_want_write(l->session));
    if (!alive || (!nghttp2_session_want_read(l->session) &&
                   !nghttp2_session_want_write(l->session) && pang_queue_len(&l->out) == 0)) {
        drop_link(l);
        return;
    }
    bool waits = pang_queue_len(&l->out) > 0;
    pang_loop_change(l->upstream->loop, &l->watch, EPOLLIN | (waits ? EPOLLOUT : 0u));
}

static void ready_link(pang_watch *watch, uint32_t events)
{
    core_link *l = (core_link *)((char *)watch - offsetof(core_link, watch));
    uint8_t *bytes = l->upstream->bytes;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        ssize_t n = recv(watch->fd, bytes, READ_BYTES, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            drop_link(l);
            return;
        }
        if (n > 0 && nghttp2_session_mem_recv(l->session, bytes, (size_t)n) < 0) {
            drop_link(l);
            return;
        }
    }
    pang_loop_defer(l->upstream->loop, &l->flush);
}

static bool start_session(core_link *l)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_MAX},
    };
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0)
        return false;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, STREAMS_UNTOLD);
    /* A message of an error may end with a blank, which gRPC does not encode. */
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
    int failed = nghttp2_session_client_new2(&l->session, l->upstream->callbacks, l, option);
    nghttp2_option_del(option);
    if (failed != 0)
        return false;
    return nghttp2_submit_settings(l->session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof settings[0]) == 0 &&
           nghttp2_session_set_local_window_size(l->session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_WINDOW) == 0;
}

static void abandon_connect(core_link *l)
{
    close(l->watch.fd);
    l->watch.fd = -1;
    nghttp2_session_del(l->session);
    l->session = NULL;
}

/* A unix socket connects at once or not at all. */
static bool connect_link(core_link *l)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, l->upstream->path, sizeof to.sun_path);
    l->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->watch.fd < 0)
        return false;
    l->watch.events = EPOLLIN;
    l->watch.ready = ready_link;
    if (connect(l->watch.fd, (struct sockaddr *)&to, sizeof to) != 0 || !start_session(l) ||
        !pang_loop_add(l->upstream->loop, &l->watch)) {
        abandon_connect(l);
        return false;
    }
    return true;
}

/* The live connection with the fewest calls; connects one more while there are idle slots. */
static core_link *choose(pang_upstream *upstream)
{
    core_link *best = NULL;
    core_link *vacant = NULL;
    unsigned n = 0;
    for (unsigned i = 0; i < upstream->n_links; i++) {
        core_link *l = &upstream->links[i];
        if (l->watch.fd < 0)
            vacant = l;
        if (l->watch.fd < 0 || l->leaving)
            continue;
        n++;
        if (best == NULL || l->calls < best->calls)
            best = l;
    }
    bool another = n < upstream->n_wanted && (best == NULL || best->calls > 0);
    return another && vacant != NULL && connect_link(vacant) ? vacant : best;
}

/* ---- calls ---- */

static void ms_text(int64_t ms, char to[24])
{
    /* grpc-timeout has at most eight digits. */
    if (ms < 0)
        ms = 0;
    if (ms < 100000000)
        (void)snprintf(to, 24, "%lldm", (long long)ms);
    else
        (void)snprintf(to, 24, "%lldS", (long long)(ms / 1000));
}

/* What is another one in every request would only push out of the connection's table what is not:
 * names of hosts, tokens, user agents. */
static bool is_unique(pang_str name)
{
    return pang_str_equal(name, PANG_STR("x-request-id")) ||
           pang_str_equal(name, PANG_STR("traceparent"));
}

static nghttp2_nv header(pang_str name, pang_str value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.ptr,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = name.len,
        .valuelen = value.len,
        .flags = is_unique(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
}

static int32_t submit(pang_upstream_call *call)
{
    const pang_upstream_request *request = &call->request;
    nghttp2_nv list[PANG_UPSTREAM_METADATA_MAX + 8];
    nghttp2_data_provider body = {.read_callback = read_request};
    char timeout[24];
    size_t n = 0;
    ms_text(request->timeout_ms, timeout);
    list[n++] = header(PANG_STR(":method"), PANG_STR("POST"));
    list[n++] = header(PANG_STR(":scheme"), PANG_STR("http"));
    list[n++] = header(PANG_STR(":path"), request->path);
    list[n++] = header(PANG_STR(":authority"), PANG_STR("core"));
    list[n++] = header(PANG_STR("te"), PANG_STR("trailers"));
    list[n++] = header(PANG_STR("content-type"), PANG_STR("application/grpc"));
    list[n++] = header(PANG_STR("grpc-timeout"), pang_str_from(timeout));
    for (size_t i = 0; i < request->n_metadata && i < PANG_UPSTREAM_METADATA_MAX; i++)
        list[n++] = header(request->metadata[i].name, request->metadata[i].value);
    return nghttp2_submit_request(call->link->session, NULL, list, n, &body, call);
}

pang_code pang_upstream_start(pang_upstream *upstream, const pang_upstream_request *request,
                              const pang_upstream_events *events, void *arg,
                              pang_upstream_call **ret, pang_err *err)
{
    if (upstream->calls >= PANG_UPSTREAM_CALLS_MAX)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, "TooManyRequests",
                         "too many requests are waiting for the server");
    core_link *l = choose(upstream);
    if (l == NULL)
        return pang_fail(err, PANG_UNAVAILABLE, "ServiceUnavailableException",
                         "the server is not running or is starting");
    pang_upstream_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return pang_fail_memory(err);
    call->link = l;
    call->events = events;
    call->arg = arg;
    call->request = *request;
    call->message = request->message;
    call->more = request->more;
    call->status = -1;
    call->deadline_ms = pang_loop_now(upstream->loop) + request->timeout_ms + LATE_MS;
    call->next = upstream->first;
    if (call->next != NULL)
        call->next->prev = call;
    upstream->first = call;
    upstream->calls++;
    l->calls++;
    call->stream = submit(call);
    if (call->stream < 0) {
        call->stream = 0;
        free_call(call);
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not send the request to the server");
    }
    pang_loop_defer(upstream->loop, &l->flush);
    *ret = call;
    return PANG_OK;
}

static void resume(pang_upstream_call *call)
{
    if (call->deferred) {
        call->deferred = false;
        (void)nghttp2_session_resume_data(call->link->session, call->stream);
    }
    pang_loop_defer(call->link->upstream->loop, &call->link->flush);
}

bool pang_upstream_send(pang_upstream_call *call, pang_str bytes)
{
    if (!pang_queue_add(&call->queue, bytes))
        return false;
    resume(call);
    return true;
}

void pang_upstream_close(pang_upstream_call *call)
{
    call->more = false;
    resume(call);
}

void pang_upstream_consumed(pang_upstream_call *call, size_t n)
{
    if (call == NULL || call->link->session == NULL || call->stream <= 0)
        return;
    (void)nghttp2_session_consume(call->link->session, call->stream, n);
    pang_loop_defer(call->link->upstream->loop, &call->link->flush);
}

void pang_upstream_cancel(pang_upstream_call *call)
{
    if (call == NULL)
        return;
    core_link *l = call->link;
    if (l->session != NULL && call->stream > 0) {
        (void)nghttp2_submit_rst_stream(l->session, NGHTTP2_FLAG_NONE, call->stream,
                                        NGHTTP2_CANCEL);
        pang_loop_defer(l->upstream->loop, &l->flush);
    }
    free_call(call);
}

size_t pang_upstream_size(const pang_upstream *upstream)
{
    return upstream->calls;
}

/* ---- the whole ---- */

static void run_sweep(pang_sweep *sweep, int64_t now_ms)
{
    pang_upstream *upstream = (pang_upstream *)((char *)sweep - offsetof(pang_upstream, sweep));
    for (pang_upstream_call *call = upstream->first; call != NULL;) {
        if (now_ms <= call->deadline_ms) {
            call = call->next;
            continue;
        }
        core_link *l = call->link;
        if (call->stream > 0)
            (void)nghttp2_submit_rst_stream(l->session, NGHTTP2_FLAG_NONE, call->stream,
                                            NGHTTP2_CANCEL);
        pang_loop_defer(upstream->loop, &l->flush);
        finish(call, PANG_DEADLINE_EXCEEDED, "the request took too long");
        call = upstream->first; /* `done` may have changed the list */
    }
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    return callbacks;
}

pang_code pang_upstream_new(pang_loop *loop, const char *socket_path, unsigned connections,
                            pang_upstream **ret, pang_err *err)
{
    pang_upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL)
        return pang_fail_memory(err);
    if (strlen(socket_path) >= sizeof upstream->path) {
        free(upstream);
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "socket path is too long: %s",
                         socket_path);
    }
    (void)snprintf(upstream->path, sizeof upstream->path, "%s", socket_path);
    upstream->loop = loop;
    upstream->n_wanted = connections;
    upstream->n_links = 2 * connections;
    upstream->links = calloc(upstream->n_links, sizeof *upstream->links);
    upstream->callbacks = make_callbacks();
    if (upstream->links == NULL || upstream->callbacks == NULL) {
        upstream->n_links = 0;
        pang_upstream_free(upstream);
        return pang_fail_memory(err);
    }
    for (unsigned i = 0; i < upstream->n_links; i++) {
        upstream->links[i].watch.fd = -1;
        upstream->links[i].flush.run = run_flush;
        upstream->links[i].upstream = upstream;
    }
    upstream->sweep.run = run_sweep;
    pang_loop_sweep(loop, &upstream->sweep);
    *ret = upstream;
    return PANG_OK;
}

void pang_upstream_free(pang_upstream *upstream)
{
    if (upstream == NULL)
        return;
    while (upstream->first != NULL)
        free_call(upstream->first);
    for (unsigned i = 0; i < upstream->n_links; i++)
        drop_link(&upstream->links[i]);
    nghttp2_session_callbacks_del(upstream->callbacks);
    free(upstream->links);
    free(upstream);
}
