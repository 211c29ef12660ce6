/*
 * HTTP/1.1 on a connection: one request at a time, in order. What comes while one is under way
 * stays in the queue, and past a bound in the kernel, so a client that pipelines is slowed by its
 * own replies.
 *
 * Phases: HEAD -> BODY (by length or in chunks) -> REPLY -> HEAD; after a refusal with a body still
 * on its way LINGER, in which that is read and thrown away for a moment, since closing at once
 * would reset the connection and take the reply with it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bridge/conn.h"
#include "bridge/http1_head.h"
#include "bridge/status.h"

enum { CHUNK_LINE_MAX = 20, LINGER_MAX = 4 << 20 };

typedef enum { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, REPLY, LINGER } phase;

typedef struct {
    pang_sink sink; /* first: the request knows this by it */
    pang_conn *conn;
    pang_request *request;
    phase phase;
    uint64_t left; /* of the body or chunk; in LINGER what was thrown away */
    pang_http1_facts facts;
    bool chunked_reply, sending, suffix_sent, last_part, replied, shut;
    bool chunk_open; /* the part that is being sent is not empty: its chunk needs an end */
} http1;

static const pang_sink sink_ops;

static http1 *state_of(pang_conn *conn)
{
    return conn->state;
}

static bool is_reading(const http1 *h)
{
    return h->phase != REPLY && h->phase != LINGER;
}

/* ---- the end of an exchange ---- */

static void next_request(http1 *h)
{
    pang_conn *conn = h->conn;
    pang_request_free(h->request);
    h->request = NULL;
    h->chunked_reply = h->sending = h->suffix_sent = h->last_part = h->replied = false;
    h->phase = HEAD;
    pang_conn_wait(conn, pang_queue_len(&conn->in) > 0 ? PANG_WAITS_HEAD : PANG_WAITS_NEXT);
    pang_conn_read(conn, true);
    pang_http1.readable(conn); /* what was pipelined */
}

static void exchange_done(http1 *h)
{
    if (is_reading(h)) {
        /* Refused in the middle of its body. */
        h->phase = LINGER;
        h->left = 0;
        pang_conn_wait(h->conn, PANG_WAITS_BODY);
        pang_conn_read(h->conn, true);
    } else if (!h->facts.keep_alive) {
        pang_conn_finish(h->conn);
    } else {
        next_request(h);
    }
}

/* ---- the sink ---- */

static void add_text(pang_conn *conn, pang_str text)
{
    if (!pang_queue_add(&conn->out, text))
        pang_conn_abort(conn);
}

static void PANG_PRINTF(2, 3) add_printf(pang_conn *conn, const char *fmt, ...)
{
    char line[96];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    add_text(conn, (pang_str){line, (size_t)len});
}

static void sink_head(pang_sink *sink, unsigned status, const pang_http_field *fields, size_t n,
                      int64_t length, bool last)
{
    http1 *h = (http1 *)sink;
    pang_conn *conn = h->conn;
    bool bodiless = status == 204 || status == 304;
    h->replied = true;
    if (is_reading(h) || conn->eof || atomic_load(&conn->worker->bridge->draining))
        h->facts.keep_alive = false;
    h->chunked_reply = length < 0 && !h->facts.http10;
    if (length < 0 && h->facts.http10)
        h->facts.keep_alive = false;
    add_printf(conn, "HTTP/1.1 %u %s\r\n", status, pang_status_phrase(status));
    for (size_t i = 0; i < n; i++) {
        add_text(conn, fields[i].name);
        add_text(conn, PANG_STR(": "));
        add_text(conn, fields[i].value);
        add_text(conn, PANG_STR("\r\n"));
    }
    if (h->chunked_reply)
        add_text(conn, PANG_STR("transfer-encoding: chunked\r\n"));
    else if (!bodiless && length >= 0)
        add_printf(conn, "content-length: %lld\r\n", (long long)length);
    if (!h->facts.keep_alive)
        add_text(conn, PANG_STR("connection: close\r\n"));
    else if (h->facts.http10)
        add_text(conn, PANG_STR("connection: keep-alive\r\n"));
    add_text(conn, PANG_STR("\r\n"));
    if (last) {
        h->chunked_reply = false;
        h->sending = h->last_part = true;
    }
    pang_conn_touch(conn);
}

static void sink_body(pang_sink *sink, pang_str bytes, bool last)
{
    http1 *h = (http1 *)sink;
    h->sending = true;
    h->suffix_sent = false;
    h->last_part = last;
    h->chunk_open = h->chunked_reply && bytes.len > 0;
    if (h->chunk_open)
        add_printf(h->conn, "%zx\r\n", bytes.len);
    h->conn->tail = bytes;
    pang_conn_touch(h->conn);
}

static void sink_abort(pang_sink *sink)
{
    pang_conn_abort(((http1 *)sink)->conn);
}

static void http1_writable(pang_conn *conn)
{
    http1 *h = state_of(conn);
    if (!h->sending || !pang_conn_flushed(conn)) {
        if (h->phase == LINGER && pang_conn_flushed(conn) && !h->shut && conn->tls == NULL) {
            h->shut = true;
            (void)shutdown(conn->watch.fd, SHUT_WR);
        }
        return;
    }
    if (h->chunked_reply && !h->suffix_sent && (h->chunk_open || h->last_part)) {
        h->suffix_sent = true;
        add_text(conn, h->chunk_open ? PANG_STR("\r\n") : PANG_STR(""));
        add_text(conn, h->last_part ? PANG_STR("0\r\n\r\n") : PANG_STR(""));
        return;
    }
    h->sending = false;
    if (h->last_part)
        exchange_done(h);
    else
        pang_request_drained(h->request);
}

/* ---- bodies ---- */

static void body_done(http1 *h)
{
    h->phase = REPLY;
    pang_conn_wait(h->conn, PANG_WAITS_CORE);
    pang_request_end(h->request);
}

static void refuse(http1 *h, const char *what)
{
    pang_metrics_refused(h->conn->worker->metrics, PANG_REFUSED_PROTOCOL);
    h->facts.keep_alive = false;
    if (!h->replied)
        pang_request_refuse(h->request, PANG_INVALID_ARGUMENT, "BadRequestException", what);
    else
        pang_conn_abort(h->conn);
}

/* Gives up to `left` bytes to the request. False when it wants no more. */
static bool take_body(http1 *h)
{
    pang_str bytes = pang_str_slice(pang_queue_bytes(&h->conn->in), 0,
                                    h->left < SIZE_MAX ? (size_t)h->left : SIZE_MAX);
    bool wanted = pang_request_body(h->request, bytes);
    h->left -= bytes.len;
    pang_queue_take(&h->conn->in, bytes.len);
    pang_conn_came(h->conn, bytes.len);
    return wanted;
}

/* Cuts a line that ends with CR LF off the queue, without its end. False when it is not there yet,
 * or is none (then the request is refused). */
static bool take_line(http1 *h, size_t max, char *to, size_t *ret_len)
{
    pang_str bytes = pang_queue_bytes(&h->conn->in);
    size_t at = pang_str_find(pang_str_slice(bytes, 0, max + 2), '\n');
    if (at == bytes.len && bytes.len < max + 2)
        return false;
    if (at >= max + 2 || at == 0 || at == bytes.len || bytes.ptr[at - 1] != '\r') {
        refuse(h, "invalid request: a chunk");
        return false;
    }
    memcpy(to, bytes.ptr, at - 1);
    *ret_len = at - 1;
    pang_queue_take(&h->conn->in, at + 1);
    return true;
}

static bool read_hex(pang_str text, uint64_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        const char *at = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
        if (at == NULL || value >> 59 != 0)
            return false;
        value = value * 16 + (uint64_t)(at - digits);
    }
    *ret = value;
    return text.len > 0;
}

/* One step of a chunked body; false when more bytes are needed or it is over. */
static bool chunk_step(http1 *h)
{
    char line[CHUNK_LINE_MAX];
    size_t len;
    if (h->phase == CHUNK_DATA) {
        if (pang_queue_len(&h->conn->in) == 0 || !take_body(h))
            return false;
        h->phase = h->left == 0 ? CHUNK_END : CHUNK_DATA;
        return true;
    }
    if (!take_line(h, CHUNK_LINE_MAX - 2, line, &len))
        return false;
    if (h->phase == CHUNK_SIZE) {
        if (!read_hex((pang_str){line, len}, &h->left)) { /* extensions too are refused */
            refuse(h, "invalid request: a chunk's size");
            return false;
        }
        h->phase = h->left == 0 ? TRAILER : CHUNK_DATA;
        return true;
    }
    if (len > 0) { /* data behind a chunk, or a trailer field */
        refuse(h, h->phase == TRAILER ? "invalid request: a trailer field"
                                      : "invalid request: a chunk's end");
        return false;
    }
    if (h->phase == TRAILER) {
        body_done(h);
        return false;
    }
    h->phase = CHUNK_SIZE;
    return true;
}

/* ---- heads ---- */

/* Where the head ends, empty line included; 0: not yet. */
static size_t find_head_end(pang_str bytes)
{
    const char *at = bytes.len == 0 ? NULL : memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
    return at == NULL ? 0 : (size_t)(at - bytes.ptr) + 4;
}

/* True when a line ends with a bare LF: the head's end will never come as it should. */
static bool has_bare_lf(pang_str bytes)
{
    for (size_t i = pang_str_find(bytes, '\n'); i < bytes.len; i++) {
        if (bytes.ptr[i] == '\n' && (i == 0 || bytes.ptr[i - 1] != '\r'))
            return true;
    }
    return false;
}

/* Whether it is the target that is too long, as far as the request's line has come. */
static bool has_long_target(pang_str bytes)
{
    pang_str line = pang_str_slice(bytes, 0, pang_str_find(bytes, '\n'));
    pang_str target = pang_str_after(line, pang_str_find(line, ' ') + 1);
    return pang_str_find(target, ' ') > PANG_URL_MAX;
}

static bool open_request(http1 *h)
{
    h->request = pang_request_new(h->conn->worker, &h->sink, pang_str_from(h->conn->peer));
    if (h->request == NULL)
        pang_conn_abort(h->conn);
    else if (h->conn->apart)
        pang_request_set_apart(h->request);
    h->facts = (pang_http1_facts){.keep_alive = false};
    return h->request != NULL;
}

static void refuse_head(http1 *h, pang_code code, const char *reason, const char *message)
{
    pang_metrics_refused(h->conn->worker->metrics, PANG_REFUSED_PROTOCOL);
    /* The phase stays HEAD, so that the connection ends by LINGER: where the next request begins is
     * not known, and more of this one may be on its way. */
    pang_conn_wait(h->conn, PANG_WAITS_CORE);
    pang_request_refuse(h->request, code, reason, message);
}

static void start_body(http1 *h)
{
    bool has_body = h->facts.chunked || h->facts.length > 0;
    h->phase = !has_body ? REPLY : h->facts.chunked ? CHUNK_SIZE : BODY;
    h->left = h->facts.length;
    if (!pang_request_begin(h->request) && !h->replied)
        return;
    if (!has_body) {
        body_done(h);
        return;
    }
    pang_conn_wait(h->conn, PANG_WAITS_BODY);
    if (h->replied || !pang_request_expect(h->request, h->facts.length))
        return;
    if (h->facts.expects_continue && pang_queue_len(&h->conn->in) == 0)
        add_text(h->conn, PANG_STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

/* False when the head is not complete. */
static bool take_head(http1 *h)
{
    pang_conn *conn = h->conn;
    pang_str bytes = pang_queue_bytes(&conn->in);
    pang_err err;
    if (pang_str_starts(bytes, PANG_STR("\r\n"))) { /* RFC 9112, 2.2: one empty line is let pass */
        pang_queue_take(&conn->in, 2);
        bytes = pang_queue_bytes(&conn->in);
    }
    size_t end = find_head_end(bytes), max = conn->worker->bridge->max_header + PANG_URL_MAX;
    if (bytes.len == 0)
        return false;
    if (conn->waits == PANG_WAITS_NEXT || conn->waits == PANG_WAITS_HANDSHAKE)
        pang_conn_wait(conn, PANG_WAITS_HEAD);
    if (end == 0 && bytes.len <= max && !has_bare_lf(bytes))
        return false;
    if (!open_request(h))
        return false;
    size_t line = pang_str_find(bytes, '\n'), whole = end == 0 ? bytes.len : end;
    if (whole > max && has_long_target(bytes)) {
        refuse_head(h, PANG_RESOURCE_EXHAUSTED, "UriTooLong", "the request's target is too long");
        return false;
    }
    if (whole > max || (end > 0 && end - line > conn->worker->bridge->max_header)) {
        refuse_head(h, PANG_RESOURCE_EXHAUSTED, "RequestHeaderFieldsTooLarge",
                    "the request's header is too large");
        return false;
    }
    pang_code code = pang_http1_parse(pang_str_slice(bytes, 0, end == 0 ? bytes.len : end),
                                      pang_request_arena(h->request),
                                      pang_request_head_of(h->request), &h->facts, &err);
    pang_queue_take(&conn->in, end == 0 ? bytes.len : end);
    if (code != PANG_OK) {
        h->facts.keep_alive = false;
        refuse_head(h, code, err.reason, err.message);
        return false;
    }
    start_body(h);
    return true;
}

/* ---- the protocol ---- */

static void discard(http1 *h)
{
    size_t n = pang_queue_len(&h->conn->in);
    h->left += n;
    if (n > 0)
        pang_queue_take(&h->conn->in, n);
    if (h->conn->eof || h->left > LINGER_MAX)
        pang_conn_finish(h->conn);
}

static bool body_step(http1 *h)
{
    if (pang_queue_len(&h->conn->in) == 0)
        return false;
    bool wanted = take_body(h);
    if (wanted && h->left == 0)
        body_done(h);
    return false;
}

static void http1_readable(pang_conn *conn)
{
    http1 *h = state_of(conn);
    bool more = true;
    while (more && !conn->closing) {
        if (h->phase != LINGER && h->replied && is_reading(h))
            break; /* refused: the rest is read once the reply has left */
        switch (h->phase) {
        case HEAD:
            more = take_head(h);
            break;
        case BODY:
            more = body_step(h);
            break;
        case REPLY:
            more = false;
            break;
        case LINGER:
            discard(h);
            more = false;
            break;
        default:
            more = chunk_step(h);
            break;
        }
    }
    if (conn->eof && h->phase != LINGER && !h->replied)
        pang_conn_abort(conn); /* the client has gone; a call under way is cancelled */
}

static void http1_drain(pang_conn *conn)
{
    http1 *h = state_of(conn);
    h->facts.keep_alive = false;
    if (h->phase == HEAD && pang_queue_len(&conn->in) == 0 && pang_conn_flushed(conn))
        pang_conn_finish(conn);
    else if (h->request != NULL && atomic_load(&conn->worker->bridge->draining))
        pang_request_drain(h->request);
}

static void http1_closed(pang_conn *conn)
{
    http1 *h = state_of(conn);
    pang_request_free(h->request);
    free(h);
}

bool pang_http1_start(pang_conn *conn)
{
    http1 *h = calloc(1, sizeof *h);
    if (h == NULL)
        return false;
    h->sink = sink_ops;
    h->conn = conn;
    conn->state = h;
    conn->protocol = &pang_http1;
    return true;
}

static const pang_sink sink_ops = {.head = sink_head, .body = sink_body, .abort = sink_abort};

const pang_protocol pang_http1 = {
    .readable = http1_readable,
    .writable = http1_writable,
    .drain = http1_drain,
    .closed = http1_closed,
};
