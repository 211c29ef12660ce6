/*
 * gRPC passed through. The client's messages are followed just enough to know their lengths, so
 * that one that is too large is refused here; their content is not looked at. The reply's header
 * and trailers are built anew from the call's status.
 */
#include "bridge/tunnel.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/log.h"
#include "bridge/status.h"

struct pang_tunnel {
    pang_conn *conn;
    nghttp2_session *session;
    int32_t stream;
    pang_arena *arena;
    pang_upstream_call *call;
    pang_queue queue; /* from the core to the client */
    bool answered, over, deferred, counted;
    bool lasts; /* a stream of replies */
    pang_code code;
    int route; /* for metrics, as is the next */
    pang_dialect dialect;
    int64_t begun_ms;
    size_t message_max;
    pang_str id;
    /* Where the client's stream stands: bytes of the prefix, then of the message. */
    uint8_t prefix[5];
    size_t n_prefix;
    uint64_t left;
    /* How the call ended. */
    char status[8], message[1024], reason[64], retry_after[16];
};

static nghttp2_nv field(const char *name, pang_str value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value.ptr,
        .namelen = strlen(name),
        .valuelen = value.len,
    };
}

static ssize_t read_reply(nghttp2_session *session, int32_t stream, uint8_t *to, size_t size,
                          uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)session;
    (void)stream;
    (void)arg;
    return pang_tunnel_read(source->ptr, to, size, flags);
}

/* Sends the header; the messages, and then the trailers, follow from the data source. */
static void answer(pang_tunnel *t)
{
    nghttp2_nv list[] = {
        field(":status", PANG_STR("200")),
        field("content-type", PANG_STR("application/grpc")),
        field("x-request-id", t->id),
    };
    nghttp2_data_provider body = {.source.ptr = t, .read_callback = read_reply};
    if (t->answered)
        return;
    t->answered = true;
    (void)nghttp2_submit_response(t->session, t->stream, list, 3, &body);
    pang_conn_touch(t->conn);
}

static void wake(pang_tunnel *t)
{
    if (t->deferred) {
        t->deferred = false;
        (void)nghttp2_session_resume_data(t->session, t->stream);
    }
    pang_conn_touch(t->conn);
}

static void add_trailers(pang_tunnel *t)
{
    nghttp2_nv list[4];
    size_t n = 0;
    list[n++] = field("grpc-status", pang_str_from(t->status));
    if (t->message[0] != '\0')
        list[n++] = field("grpc-message", pang_str_from(t->message));
    if (t->reason[0] != '\0')
        list[n++] = field("pangolin-reason", pang_str_from(t->reason));
    if (t->retry_after[0] != '\0')
        list[n++] = field("pangolin-retry-after", pang_str_from(t->retry_after));
    (void)nghttp2_submit_trailer(t->session, t->stream, list, n);
}

ssize_t pang_tunnel_read(pang_tunnel *t, uint8_t *to, size_t size, uint32_t *flags)
{
    pang_str bytes = pang_queue_bytes(&t->queue);
    size_t n = bytes.len < size ? bytes.len : size;
    if (n == 0 && !t->over) {
        t->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > 0) {
        memcpy(to, bytes.ptr, n);
        pang_queue_take(&t->queue, n);
        if (t->call != NULL)
            pang_upstream_consumed(t->call, n);
    }
    if (t->over && pang_queue_len(&t->queue) == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        add_trailers(t);
    }
    return (ssize_t)n;
}

/* ---- from the core ---- */

static void on_started(void *arg)
{
    answer(arg);
}

static void end(pang_tunnel *t, pang_code code, pang_str message, pang_str reason)
{
    size_t n = 0;
    t->code = code;
    (void)snprintf(t->status, sizeof t->status, "%d", (int)code);
    (void)snprintf(t->reason, sizeof t->reason, "%.*s", PANG_STR_ARG(reason));
    /* Percent-encoded, as gRPC wants it. */
    for (size_t i = 0; i < message.len && n + 4 < sizeof t->message; i++) {
        unsigned char c = (unsigned char)message.ptr[i];
        if (c >= 0x20 && c < 0x7F && c != '%')
            t->message[n++] = (char)c;
        else
            n += (size_t)snprintf(t->message + n, 4, "%%%02X", c);
    }
    t->message[n] = '\0';
    t->over = true;
    answer(t);
    wake(t);
}

static void on_data(void *arg, const uint8_t *bytes, size_t len)
{
    pang_tunnel *t = arg;
    answer(t);
    if (!pang_queue_add(&t->queue, (pang_str){(const char *)bytes, len})) {
        pang_upstream_cancel(t->call);
        t->call = NULL;
        end(t, PANG_RESOURCE_EXHAUSTED, PANG_STR("out of memory"), PANG_STR(""));
        return;
    }
    wake(t);
}

static void on_done(void *arg, const pang_upstream_status *status)
{
    pang_tunnel *t = arg;
    t->call = NULL;
    (void)snprintf(t->retry_after, sizeof t->retry_after, "%.*s",
                   PANG_STR_ARG(status->retry_after));
    end(t, status->code, status->message, status->reason);
}

static void on_sent(void *arg, size_t n)
{
    pang_tunnel *t = arg;
    (void)nghttp2_session_consume(t->session, t->stream, n);
    pang_conn_touch(t->conn);
}

static const pang_upstream_events events = {
    .started = on_started, .data = on_data, .done = on_done, .sent = on_sent};

/* ---- from the client ---- */

/* grpc-timeout: up to eight digits and a unit. */
static int64_t read_timeout(pang_str text, int64_t fallback)
{
    static const struct {
        char unit;
        int64_t ms_num, ms_den;
    } units[] = {{'H', 3600000, 1}, {'M', 60000, 1}, {'S', 1000, 1},
                 {'m', 1, 1},       {'u', 1, 1000},  {'n', 1, 1000000}};
    uint64_t number;
    if (text.len < 2 || text.len > 9 ||
        !pang_str_to_uint64(pang_str_slice(text, 0, text.len - 1), &number))
        return fallback;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text.ptr[text.len - 1] == units[i].unit)
            return (int64_t)number * units[i].ms_num / units[i].ms_den;
    }
    return fallback;
}

static void refuse(pang_tunnel *t, pang_code code, pang_str why)
{
    pang_upstream_cancel(t->call);
    t->call = NULL;
    if (!t->over)
        end(t, code, why, PANG_STR(""));
}

/* The five bytes before a message are there. False when the message is refused. */
static bool check_prefix(pang_tunnel *t)
{
    t->n_prefix = 0;
    t->left = (uint64_t)t->prefix[1] << 24 | (uint64_t)t->prefix[2] << 16 |
              (uint64_t)t->prefix[3] << 8 | t->prefix[4];
    if (t->prefix[0] != 0)
        refuse(t, PANG_UNIMPLEMENTED, PANG_STR("compressed messages are not supported"));
    else if (t->left > t->message_max)
        refuse(t, PANG_RESOURCE_EXHAUSTED, PANG_STR("the message is too large"));
    return t->call != NULL;
}

bool pang_tunnel_send(pang_tunnel *t, pang_str bytes)
{
    pang_str rest = bytes;
    if (t->call == NULL) { /* over: what still comes is thrown away */
        (void)nghttp2_session_consume(t->session, t->stream, bytes.len);
        return true;
    }
    while (rest.len > 0) {
        if (t->left > 0) {
            size_t n = t->left < rest.len ? (size_t)t->left : rest.len;
            t->left -= n;
            rest = pang_str_after(rest, n);
            continue;
        }
        t->prefix[t->n_prefix++] = (uint8_t)rest.ptr[0];
        rest = pang_str_after(rest, 1);
        if (t->n_prefix < sizeof t->prefix)
            continue;
        if (!check_prefix(t))
            return true;
    }
    return pang_upstream_send(t->call, bytes);
}

void pang_tunnel_close(pang_tunnel *t)
{
    if (t->call != NULL)
        pang_upstream_close(t->call);
}

void pang_tunnel_drain(pang_tunnel *t)
{
    if (t->lasts && !t->over)
        refuse(t, PANG_UNAVAILABLE, PANG_STR("the server stops"));
}

bool pang_tunnel_sends(const pang_tunnel *t)
{
    return t->over || pang_queue_len(&t->queue) > 0;
}

/* Compression is not passed on: messages are small, and the core takes identity only. */
static bool is_plain(const pang_request_head *head)
{
    pang_str encoding = pang_head_find(head, PANG_STR("grpc-encoding"));
    return encoding.len == 0 || pang_str_equal(encoding, PANG_STR("identity"));
}

/* What is not shown on this port by REST either: metrics that have a listener of their own, or
 * none. */
static bool is_apart(const pang_tunnel *t, const pang_request_head *head)
{
    const pang_bridge *bridge = t->conn->worker->bridge;
    return (bridge->metrics_apart || !bridge->metrics_on) &&
           pang_str_equal(head->target, PANG_STR("/pangolin.v1.OperationsService/GetMetrics"));
}

/* Its place in the metrics, and how large its messages may be. */
static void find_method(pang_tunnel *t, const pang_request_head *head)
{
    const pang_bridge *bridge = t->conn->worker->bridge;
    const pang_schema_method *method = pang_schema_find(bridge->schema, head->target);
    t->route = method == NULL ? PANG_ROUTE_NONE : (int)method->index;
    t->lasts = method != NULL && method->server_streaming;
    t->dialect = method == NULL ? PANG_DIALECT_ICEBERG : method->dialect;
    t->message_max = method == NULL ? PANG_PASS_MESSAGE_MAX : method->body_limit;
    if (t->message_max > bridge->max_body)
        t->message_max = bridge->max_body;
}

pang_tunnel *pang_tunnel_new(pang_conn *conn, nghttp2_session *session, int32_t stream,
                             const pang_request_head *head)
{
    pang_http_field metadata[PANG_UPSTREAM_METADATA_MAX];
    pang_err err;
    pang_worker *worker = conn->worker;
    pang_tunnel *t = calloc(1, sizeof *t);
    pang_arena *arena = pang_arena_new(PANG_URL_MAX * 4);
    if (t == NULL || arena == NULL) {
        pang_arena_free(arena);
        free(t);
        return NULL;
    }
    t->conn = conn;
    t->session = session;
    t->stream = stream;
    t->arena = arena;
    t->begun_ms = pang_loop_now(worker->loop);
    if (!pang_arena_copy(arena, pang_request_id(worker, head, arena), &t->id))
        t->id = PANG_STR("-");
    find_method(t, head);
    pang_upstream_request call = {
        .path = head->target,
        .metadata = metadata,
        .n_metadata = pang_request_metadata(worker, head, pang_str_from(conn->peer), t->id,
                                            metadata),
        .timeout_ms = read_timeout(pang_head_find(head, PANG_STR("grpc-timeout")),
                                   INT32_MAX), /* streams may last; the core has its limits */
        .more = true,
    };
    t->counted = true;
    if (atomic_fetch_add(&worker->bridge->in_flight, 1) >= worker->bridge->max_in_flight)
        end(t, PANG_RESOURCE_EXHAUSTED, PANG_STR("too many requests are under way"),
            PANG_STR("TooManyRequests"));
    else if (is_apart(t, head))
        end(t, PANG_UNIMPLEMENTED, PANG_STR("unknown method"), PANG_STR(""));
    else if (!is_plain(head))
        end(t, PANG_UNIMPLEMENTED, PANG_STR("compressed messages are not supported"), PANG_STR(""));
    else if (pang_upstream_start(worker->upstream, &call, &events, t, &t->call, &err) != PANG_OK)
        end(t, err.code, pang_str_from(err.message), pang_str_from(err.reason));
    return t;
}

/* What the outcome would be over REST, so that both ways count alike. */
static unsigned http_status(const pang_tunnel *t)
{
    if (!t->over)
        return pang_status_of(t->dialect, PANG_CANCELLED, PANG_STR(""));
    return t->code == PANG_OK ? 200 : pang_status_of(t->dialect, t->code, pang_str_from(t->reason));
}

void pang_tunnel_free(pang_tunnel *t)
{
    if (t == NULL)
        return;
    pang_upstream_cancel(t->call);
    if (t->counted)
        atomic_fetch_sub(&t->conn->worker->bridge->in_flight, 1);
    if (pang_log_enabled(PANG_LOG_DEBUG))
        PANG_LOG(DEBUG, "call", PANG_LOG_TEXT("request_id", t->id),
                 PANG_LOG_TEXT("peer", pang_str_from(t->conn->peer)),
                 PANG_LOG_NUMBER("route", t->route), PANG_LOG_NUMBER("code", t->code));
    pang_metrics_count(t->conn->worker->metrics, t->route, http_status(t),
                       (pang_loop_now(t->conn->worker->loop) - t->begun_ms) * 1000);
    pang_queue_clear(&t->queue);
    pang_arena_free(t->arena);
    free(t);
}
