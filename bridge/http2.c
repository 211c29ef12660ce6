/*
 * HTTP/2 on a connection, by nghttp2. A stream is a request (request.c) or, when its content type
 * is gRPC's, a tunnel (tunnel.c).
 *
 * What a peer may do is bounded here and does not depend on its acknowledging our settings: streams
 * at once, bytes of a header block, streams that it opens and resets, frames that mean nothing,
 * time without progress of each stream. nghttp2 itself bounds continuation frames and what waits to
 * be acknowledged.
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/conn.h"
#include "bridge/request.h"
#include "bridge/tunnel.h"

enum {
    STREAM_WINDOW = 256 * 1024,
    CONNECTION_WINDOW = 1 << 20,
    RESET_BUDGET = 1000,    /* streams ended early by the client, then */
    RESETS_PER_SECOND = 33, /* the budget grows again */
    FRAME_BUDGET = 1000,    /* frames that carry nothing: pings, settings, priorities, ... */
    FRAMES_PER_SECOND = 100,
    ACK_TIMEOUT_MS = 10000, /* for the client to acknowledge our settings */
    OVERHEAD = 32,          /* RFC 9113, 6.5.2: a field counts 32 bytes more than it has */
};

typedef struct stream {
    pang_sink sink; /* first */
    struct http2 *session;
    struct stream *prev, *next;
    int32_t id;
    pang_request *request; /* one of the two */
    pang_tunnel *tunnel;
    size_t header_bytes;
    pang_str body; /* what of the reply is still to go */
    bool body_last, deferred, refused, head_over, body_over;
    bool part_out;      /* a part was given that the request has not been told has left */
    int64_t moved_ms;   /* when it last got on */
    size_t moved_bytes; /* since then */
} stream;

/* What a client may do for nothing, and gets back as time passes. */
typedef struct {
    int64_t left, since_ms;
} budget;

typedef struct http2 {
    pang_conn *conn;
    nghttp2_session *session;
    stream *streams;
    size_t n_streams;
    budget resets, frames;
    int64_t opened_ms;
    bool acknowledged, draining, broken;
} http2;

static const pang_sink sink_ops;

static http2 *state_of(pang_conn *conn)
{
    return conn->state;
}

static stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* While there are streams, each has its own clock. */
static void set_wait(http2 *h)
{
    pang_conn_wait(h->conn, h->n_streams == 0 ? PANG_WAITS_NEXT : PANG_WAITS_CORE);
}

/* ---- streams ---- */

static stream *open_stream(http2 *h, int32_t id)
{
    stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    s->sink = sink_ops;
    s->session = h;
    s->id = id;
    s->moved_ms = pang_loop_now(h->conn->worker->loop);
    s->request = pang_request_new(h->conn->worker, &s->sink, pang_str_from(h->conn->peer));
    if (s->request == NULL || nghttp2_session_set_stream_user_data(h->session, id, s) != 0) {
        pang_request_free(s->request);
        free(s);
        return NULL;
    }
    if (h->conn->apart)
        pang_request_set_apart(s->request);
    s->next = h->streams;
    if (s->next != NULL)
        s->next->prev = s;
    h->streams = s;
    h->n_streams++;
    return s;
}

static void close_stream(stream *s)
{
    http2 *h = s->session;
    pang_request_free(s->request);
    pang_tunnel_free(s->tunnel);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        h->streams = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    h->n_streams--;
    free(s);
}

/* It got on. A drip does not count: PANG_PROGRESS_BYTES do, together. */
static void moved(stream *s, size_t n)
{
    s->moved_bytes += n;
    if (s->moved_bytes < PANG_PROGRESS_BYTES)
        return;
    s->moved_bytes = 0;
    s->moved_ms = pang_loop_now(s->session->conn->worker->loop);
}

static void reset(stream *s, uint32_t why)
{
    (void)nghttp2_submit_rst_stream(s->session->session, NGHTTP2_FLAG_NONE, s->id, why);
    pang_conn_touch(s->session->conn);
}

/* ---- replies ---- */

static nghttp2_nv field(pang_str name, pang_str value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name.ptr,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = name.len,
        .valuelen = value.len,
    };
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    stream *s = stream_of(session, id);
    (void)source;
    (void)arg;
    if (s == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    moved(s, size);
    if (s->tunnel != NULL)
        return pang_tunnel_read(s->tunnel, to, size, flags);
    size_t n = s->body.len < size ? s->body.len : size;
    if (n > 0)
        memcpy(to, s->body.ptr, n);
    s->body = pang_str_after(s->body, n);
    if (s->body.len == 0 && s->body_last)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (n > 0 || s->body_last)
        return (ssize_t)n;
    s->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
}

static void add_lower(char *to, size_t size, pang_str name)
{
    for (size_t i = 0; i < name.len && i + 1 < size; i++)
        to[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] + 32) : name.ptr[i];
}

static void sink_head(pang_sink *sink, unsigned status, const pang_http_field *fields, size_t n,
                      int64_t length, bool last)
{
    enum { FIELDS_MAX = 32, NAME_MAX_BYTES = 48 };
    stream *s = (stream *)sink;
    nghttp2_nv list[FIELDS_MAX];
    char names[FIELDS_MAX][NAME_MAX_BYTES] = {{0}}, code[8], size[24];
    nghttp2_data_provider body = {.read_callback = read_body};
    size_t at = 0;
    int code_len = snprintf(code, sizeof code, "%u", status);
    list[at++] = field(PANG_STR(":status"), (pang_str){code, (size_t)code_len});
    for (size_t i = 0; i < n && at < FIELDS_MAX - 1; i++) {
        add_lower(names[at], NAME_MAX_BYTES, fields[i].name);
        list[at] = field(pang_str_from(names[at]), fields[i].value);
        at++;
    }
    if (length >= 0 && status != 204 && status != 304) {
        int len = snprintf(size, sizeof size, "%lld", (long long)length);
        list[at++] = field(PANG_STR("content-length"), (pang_str){size, (size_t)len});
    }
    if (nghttp2_submit_response(s->session->session, s->id, list, at, last ? NULL : &body) != 0)
        reset(s, NGHTTP2_INTERNAL_ERROR);
    pang_conn_touch(s->session->conn);
}

static void sink_body(pang_sink *sink, pang_str bytes, bool last)
{
    stream *s = (stream *)sink;
    s->body = bytes;
    s->body_last = last;
    s->part_out = !last;
    if (s->deferred) {
        s->deferred = false;
        (void)nghttp2_session_resume_data(s->session->session, s->id);
    }
    pang_conn_touch(s->session->conn);
}

static void sink_abort(pang_sink *sink)
{
    reset((stream *)sink, NGHTTP2_INTERNAL_ERROR);
}

/* ---- what comes ---- */

static bool pay(const http2 *h, budget *b, int64_t most, int64_t per_second)
{
    int64_t now = pang_loop_now(h->conn->worker->loop);
    int64_t grown = (now - b->since_ms) * per_second / 1000;
    if (grown > 0) {
        b->since_ms = now;
        b->left = b->left + grown > most ? most : b->left + grown;
    }
    return --b->left >= 0;
}

static void calm_down(http2 *h)
{
    if (h->broken)
        return;
    pang_metrics_refused(h->conn->worker->metrics, PANG_REFUSED_PROTOCOL);
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
    h->broken = true;
    pang_conn_touch(h->conn);
}

/* Frames that cost the sender nothing and us some work. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
    http2 *h = arg;
    bool idle = false;
    (void)session;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_GOAWAY:
    case NGHTTP2_WINDOW_UPDATE:
        break;
    case NGHTTP2_DATA:
        idle = hd->length == 0 && (hd->flags & NGHTTP2_FLAG_END_STREAM) == 0;
        break;
    default:
        idle = true;
        break;
    }
    if (idle && !pay(h, &h->frames, FRAME_BUDGET, FRAMES_PER_SECOND))
        calm_down(h);
    return 0;
}

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    http2 *h = arg;
    (void)session;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    if (h->n_streams >= h->conn->worker->bridge->max_streams || h->draining) {
        (void)nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    return open_stream(h, frame->hd.stream_id) == NULL ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void add_field(stream *s, pang_request_head *head, pang_str name, pang_str value)
{
    pang_arena *arena = pang_request_arena(s->request);
    pang_str n, v;
    if (!pang_arena_copy(arena, name, &n) || !pang_arena_copy(arena, value, &v)) {
        s->refused = true;
        return;
    }
    if (pang_str_equal(n, PANG_STR(":method")))
        head->verb = v;
    else if (pang_str_equal(n, PANG_STR(":path")))
        head->target = v;
    else if (pang_str_equal(n, PANG_STR(":authority")))
        head->headers[head->n_headers++] = (pang_http_field){PANG_STR("host"), v};
    else if (!pang_str_starts(n, PANG_STR(":")))
        head->headers[head->n_headers++] = (pang_http_field){n, v};
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    http2 *h = arg;
    stream *s = stream_of(session, frame->hd.stream_id);
    (void)flags;
    if (s == NULL || s->request == NULL || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers of a request mean nothing here */
    pang_request_head *head = pang_request_head_of(s->request);
    bool path = name_len == 5 && memcmp(name, ":path", 5) == 0; /* has a limit of its own */
    s->header_bytes += name_len + (path ? 0 : value_len) + OVERHEAD;
    if (s->header_bytes > h->conn->worker->bridge->max_header || value_len > UINT16_MAX ||
        head->n_headers >= PANG_HEADERS_MAX - 1)
        s->refused = true;
    if (!s->refused)
        add_field(s, head, (pang_str){(const char *)name, name_len},
                  (pang_str){(const char *)value, value_len});
    return 0;
}

/* "application/grpc", "application/grpc+proto", but not "application/grpc-web". */
static bool is_grpc(const pang_request_head *head)
{
    static const pang_str name = PANG_STR_INIT("application/grpc");
    pang_str type = pang_head_find(head, PANG_STR("content-type"));
    pang_str rest = pang_str_after(type, name.len);
    return pang_str_starts(type, name) && pang_str_equal(head->verb, PANG_STR("POST")) &&
           (rest.len == 0 || rest.ptr[0] == '+' || rest.ptr[0] == ';');
}

/* True unless a field comes again with another value. */
static bool is_single(const pang_request_head *head, pang_str name)
{
    pang_str first = pang_head_find(head, name);
    for (size_t i = 0; i < head->n_headers; i++) {
        if (pang_str_equal(head->headers[i].name, name) &&
            !pang_str_equal(head->headers[i].value, first))
            return false;
    }
    return true;
}

/* NULL, or why the head is refused. */
static const char *fault_of(const pang_request_head *head)
{
    if (head->target.len == 0 || head->target.ptr[0] != '/' ||
        pang_str_find(head->target, '#') < head->target.len)
        return "invalid request: the target";
    if (pang_head_find(head, PANG_STR("host")).len == 0 || !is_single(head, PANG_STR("host")))
        return "invalid request: exactly one host is needed";
    if (!is_single(head, PANG_STR("authorization")))
        return "invalid request: more than one Authorization";
    return NULL;
}

/* A body too large is refused before it comes. nghttp2 has checked that the length is a number. */
static void expect_body(stream *s, const pang_request_head *head)
{
    uint64_t length;
    if (pang_str_to_uint64(pang_head_find(head, PANG_STR("content-length")), &length))
        (void)pang_request_expect(s->request, length);
}

/* The tunnel takes the stream over; the request gives its arena with it. */
static void start_tunnel(stream *s)
{
    s->tunnel = pang_tunnel_new(s->session->conn, s->session->session, s->id,
                                pang_request_head_of(s->request));
    pang_request_free(s->request);
    s->request = NULL;
    if (s->tunnel == NULL)
        reset(s, NGHTTP2_INTERNAL_ERROR);
}

static void head_done(stream *s, bool last)
{
    pang_request_head *head = pang_request_head_of(s->request);
    s->head_over = true;
    s->body_over = last;
    if (s->refused) {
        pang_request_refuse(s->request, PANG_RESOURCE_EXHAUSTED, "RequestHeaderFieldsTooLarge",
                            "the request's header is too large");
        return;
    }
    if (head->target.len > PANG_URL_MAX) {
        pang_request_refuse(s->request, PANG_RESOURCE_EXHAUSTED, "UriTooLong",
                            "the request's target is too long");
        return;
    }
    const char *fault = fault_of(head);
    if (fault != NULL) {
        pang_request_refuse(s->request, PANG_INVALID_ARGUMENT, "BadRequestException", fault);
        return;
    }
    if (is_grpc(head) && !s->session->conn->apart) {
        start_tunnel(s);
        if (last && s->tunnel != NULL)
            pang_tunnel_close(s->tunnel);
        return;
    }
    if (!pang_request_begin(s->request))
        return;
    if (last)
        pang_request_end(s->request);
    else
        expect_body(s, head);
}

static void stream_ends(stream *s)
{
    s->body_over = true;
    if (s->tunnel != NULL)
        pang_tunnel_close(s->tunnel);
    else if (s->request != NULL)
        pang_request_end(s->request);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    http2 *h = arg;
    stream *s = stream_of(session, frame->hd.stream_id);
    bool last = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        h->acknowledged = true;
    /* CVE-2023-44487: streams that are opened only to be reset. */
    if (frame->hd.type == NGHTTP2_RST_STREAM && s != NULL &&
        !pay(h, &h->resets, RESET_BUDGET, RESETS_PER_SECOND))
        calm_down(h);
    if (s == NULL)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        head_done(s, last);
    else if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) && last)
        stream_ends(s);
    set_wait(h);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *arg)
{
    stream *s = stream_of(session, id);
    pang_str part = {(const char *)bytes, len};
    (void)flags;
    (void)arg;
    if (s != NULL)
        moved(s, len);
    if (s != NULL && s->tunnel != NULL) {
        if (!pang_tunnel_send(s->tunnel, part))
            reset(s, NGHTTP2_INTERNAL_ERROR);
        return 0; /* the window opens as the core takes it */
    }
    (void)nghttp2_session_consume(session, id, len);
    /* Refused: the reply is on its way, what still comes is thrown away. */
    if (s != NULL && s->request != NULL && !pang_request_answered(s->request))
        (void)pang_request_body(s->request, part);
    return 0;
}

static bool is_clients_fault(uint32_t code)
{
    return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
           code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR;
}

/* A reply that ends before its request: what still would come is not wanted (RFC 9113, 8.1). */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    http2 *h = arg;
    stream *s = stream_of(session, frame->hd.stream_id);
    bool ends = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    /* CVE-2025-8671: streams that the client makes us reset, by frames that break the rules. */
    if (frame->hd.type == NGHTTP2_RST_STREAM && is_clients_fault(frame->rst_stream.error_code) &&
        !pay(h, &h->resets, RESET_BUDGET, RESETS_PER_SECOND))
        calm_down(h);
    if (s != NULL && ends && !s->body_over)
        reset(s, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg)
{
    stream *s = stream_of(session, id);
    (void)error;
    if (s != NULL)
        close_stream(s);
    set_wait(arg);
    return 0;
}

/* ---- the protocol ---- */

static void http2_readable(pang_conn *conn)
{
    http2 *h = state_of(conn);
    pang_str bytes = pang_queue_bytes(&conn->in);
    if (bytes.len > 0 && !h->broken) {
        ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.ptr, bytes.len);
        if (n < 0) {
            pang_metrics_refused(conn->worker->metrics, PANG_REFUSED_PROTOCOL);
            pang_conn_finish(conn);
            return;
        }
    }
    pang_queue_clear(&conn->in);
    if (conn->eof)
        pang_conn_abort(conn);
}

/* Parts of streamed lists that have left: each is told once. */
static void tell_drained(http2 *h)
{
    for (stream *s = h->streams, *next; s != NULL; s = next) {
        next = s->next;
        if (!s->part_out || s->body.len > 0)
            continue;
        s->part_out = false;
        pang_request_drained(s->request);
    }
}

static void http2_writable(pang_conn *conn)
{
    http2 *h = state_of(conn);
    while (pang_queue_len(&conn->out) < PANG_CONN_OUT_MAX) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(h->session, &bytes);
        if (n < 0 ||
            (n > 0 && !pang_queue_add(&conn->out, (pang_str){(const char *)bytes, (size_t)n}))) {
            pang_conn_abort(conn);
            return;
        }
        if (n == 0)
            break;
    }
    tell_drained(h);
    if (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session))
        pang_conn_finish(conn);
}

/* What would last longer than a drain should. */
static void drain_streams(http2 *h)
{
    for (stream *s = h->streams, *next; s != NULL; s = next) {
        next = s->next;
        if (s->tunnel != NULL)
            pang_tunnel_drain(s->tunnel);
        else if (s->request != NULL)
            pang_request_drain(s->request);
    }
}

static void http2_drain(pang_conn *conn)
{
    http2 *h = state_of(conn);
    h->draining = true;
    int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);
    (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
    if (atomic_load(&conn->worker->bridge->draining))
        drain_streams(h);
    pang_conn_touch(conn);
}

/* A stream that waits for its client, too long. */
static void sweep_stream(stream *s, int64_t now)
{
    const pang_bridge *bridge = s->session->conn->worker->bridge;
    int64_t still = now - s->moved_ms;
    bool sending = s->tunnel != NULL ? pang_tunnel_sends(s->tunnel) : s->body.len > 0;
    bool receiving = s->tunnel == NULL && !s->body_over;
    if (sending ? still <= PANG_WRITE_TIMEOUT_MS : !receiving || still <= bridge->body_ms)
        return;
    pang_metrics_refused(s->session->conn->worker->metrics, PANG_REFUSED_TIMEOUT);
    if (receiving && !sending && !pang_request_answered(s->request))
        pang_request_refuse(s->request, PANG_DEADLINE_EXCEEDED, "RequestTimeoutException",
                            "the request's body did not come in time");
    else
        reset(s, NGHTTP2_CANCEL);
    s->moved_ms = now;
}

static void http2_sweep(pang_conn *conn, int64_t now)
{
    http2 *h = state_of(conn);
    bool late = !h->acknowledged && now - h->opened_ms > ACK_TIMEOUT_MS;
    for (stream *s = h->streams, *next; s != NULL; s = next) {
        next = s->next;
        late = late || (!s->head_over && now - s->moved_ms > conn->worker->bridge->header_ms);
        if (s->head_over)
            sweep_stream(s, now);
    }
    if (!late || h->broken)
        return;
    pang_metrics_refused(conn->worker->metrics, PANG_REFUSED_TIMEOUT);
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_SETTINGS_TIMEOUT);
    h->broken = true;
    pang_conn_touch(conn);
}

static void http2_closed(pang_conn *conn)
{
    http2 *h = state_of(conn);
    while (h->streams != NULL)
        close_stream(h->streams);
    nghttp2_session_del(h->session);
    free(h);
}

static nghttp2_session *new_session(http2 *h)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)h->conn->worker->bridge->max_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h->conn->worker->bridge->max_header},
    };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_session *session = NULL;
    nghttp2_option *option = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) {
        nghttp2_session_callbacks_del(callbacks);
        return NULL;
    }
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
    if (nghttp2_session_server_new2(&session, callbacks, h, option) == 0 &&
        (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings,
                                 sizeof settings / sizeof settings[0]) != 0 ||
         nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) !=
             0)) {
        nghttp2_session_del(session);
        session = NULL;
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return session;
}

bool pang_http2_start(pang_conn *conn)
{
    http2 *h = calloc(1, sizeof *h);
    if (h == NULL)
        return false;
    h->conn = conn;
    h->opened_ms = pang_loop_now(conn->worker->loop);
    h->resets = (budget){RESET_BUDGET, h->opened_ms};
    h->frames = (budget){FRAME_BUDGET, h->opened_ms};
    h->session = new_session(h);
    if (h->session == NULL) {
        free(h);
        return false;
    }
    conn->state = h;
    conn->protocol = &pang_http2;
    set_wait(h);
    return true;
}

static const pang_sink sink_ops = {.head = sink_head, .body = sink_body, .abort = sink_abort};

const pang_protocol pang_http2 = {
    .readable = http2_readable,
    .writable = http2_writable,
    .drain = http2_drain,
    .sweep = http2_sweep,
    .closed = http2_closed,
};
