#include "tests/bridge/h2_wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME_HEAD = 9 };

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

bool h2_send(h2 *c, unsigned type, unsigned flags, uint32_t stream, const void *payload, size_t len)
{
    uint8_t frame[FRAME_HEAD + H2_PAYLOAD_MAX];
    assert_true(len <= H2_PAYLOAD_MAX);
    frame[0] = (uint8_t)(len >> 16);
    frame[1] = (uint8_t)(len >> 8);
    frame[2] = (uint8_t)len;
    frame[3] = (uint8_t)type;
    frame[4] = (uint8_t)flags;
    frame[5] = (uint8_t)(stream >> 24);
    frame[6] = (uint8_t)(stream >> 16);
    frame[7] = (uint8_t)(stream >> 8);
    frame[8] = (uint8_t)stream;
    if (len > 0)
        memcpy(frame + FRAME_HEAD, payload, len);
    return wire_try_send(c->fd, frame, FRAME_HEAD + len);
}

void h2_close(h2 *c)
{
    nghttp2_hd_inflate_del(c->inflater);
    close(c->fd);
}

/* ---- header blocks ---- */

static void add_length(h2_block *b, size_t len)
{
    if (len < 127) {
        b->bytes[b->len++] = (uint8_t)len;
        return;
    }
    b->bytes[b->len++] = 127;
    for (len -= 127; len >= 128; len >>= 7)
        b->bytes[b->len++] = (uint8_t)(len | 0x80);
    b->bytes[b->len++] = (uint8_t)len;
}

void h2_add_bytes(h2_block *b, const void *name, size_t name_len, const void *value,
                  size_t value_len)
{
    assert_true(b->len + name_len + value_len + 16 < H2_BLOCK_MAX);
    b->bytes[b->len++] = 0; /* a literal that is not indexed, with a new name */
    add_length(b, name_len);
    memcpy(b->bytes + b->len, name, name_len);
    b->len += name_len;
    add_length(b, value_len);
    memcpy(b->bytes + b->len, value, value_len);
    b->len += value_len;
}

void h2_add(h2_block *b, const char *name, const char *value)
{
    h2_add_bytes(b, name, strlen(name), value, strlen(value));
}

void h2_begin(h2_block *b, const char *verb, const char *path)
{
    b->len = 0;
    h2_add(b, ":method", verb);
    h2_add(b, ":scheme", "http");
    h2_add(b, ":authority", "localhost");
    h2_add(b, ":path", path);
}

bool h2_headers(h2 *c, uint32_t stream, const h2_block *b, unsigned flags)
{
    return h2_send(c, H2_HEADERS, flags | H2_END_HEADERS, stream, b->bytes, b->len);
}

bool h2_get(h2 *c, uint32_t stream, const char *path)
{
    h2_block block;
    h2_begin(&block, "GET", path);
    return h2_headers(c, stream, &block, H2_END_STREAM);
}

/* ---- replies ---- */

typedef struct {
    unsigned type, flags;
    uint32_t stream;
    uint8_t payload[H2_PAYLOAD_MAX];
    size_t len;
} frame;

static bool receive(int fd, uint8_t *to, size_t n, int64_t until)
{
    while (n > 0) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int64_t left = until - wire_now();
        if (poll(&ready, 1, (int)(left < 0 ? 0 : left)) <= 0)
            return false;
        ssize_t got = recv(fd, to, n, MSG_DONTWAIT);
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

static bool read_frame(h2 *c, frame *ret, int64_t until, bool *ret_closed)
{
    uint8_t head[FRAME_HEAD];
    *ret_closed = false;
    if (!receive(c->fd, head, sizeof head, until)) {
        *ret_closed = wire_now() < until;
        return false;
    }
    ret->len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    ret->type = head[3];
    ret->flags = head[4];
    ret->stream = ((uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 |
                   head[8]) &
                  0x7fffffff;
    assert_true(ret->len <= sizeof ret->payload);
    return receive(c->fd, ret->payload, ret->len, until);
}

/* The bridge's SETTINGS come first: an acknowledgement of what has not come is an error. */
static void acknowledge(h2 *c)
{
    static frame fr;
    bool closed;
    do {
        assert_true(read_frame(c, &fr, wire_now() + PATIENCE_MS, &closed));
    } while (fr.type != H2_SETTINGS || (fr.flags & H2_ACK) != 0);
    assert_true(h2_send(c, H2_SETTINGS, H2_ACK, 0, NULL, 0));
}

void h2_open(h2 *c, const fixture *f, bool ack)
{
    c->fd = wire_connect(f);
    assert_int_equal(nghttp2_hd_inflate_new(&c->inflater), 0);
    wire_send(c->fd, preface, sizeof preface - 1);
    assert_true(h2_send(c, H2_SETTINGS, 0, 0, NULL, 0));
    if (ack)
        acknowledge(c);
}

static uint32_t number_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Every block is decoded, so that the decoder's table stays in step. */
static void take_headers(h2 *c, const frame *fr, uint32_t stream, h2_reply *ret)
{
    const uint8_t *at = fr->payload;
    size_t left = fr->len;
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(c->inflater, &field, &flags, at, left, 1);
        assert_true(n >= 0);
        at += n;
        left -= (size_t)n;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 && fr->stream == stream) {
            size_t used = strlen(ret->fields);
            (void)snprintf(ret->fields + used, sizeof ret->fields - used, "%.*s: %.*s\n",
                           (int)field.namelen, (const char *)field.name, (int)field.valuelen,
                           (const char *)field.value);
        }
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0)
            break;
    }
    (void)nghttp2_hd_inflate_end_headers(c->inflater);
}

static void take_data(const frame *fr, h2_reply *ret)
{
    char *grown = realloc(ret->body, ret->len + fr->len + 1);
    assert_non_null(grown);
    ret->body = grown;
    memcpy(ret->body + ret->len, fr->payload, fr->len);
    ret->len += fr->len;
    ret->body[ret->len] = '\0';
}

static void give_window(h2 *c, uint32_t stream, size_t n)
{
    uint8_t more[4] = {0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    if (n == 0)
        return;
    (void)h2_send(c, H2_WINDOW_UPDATE, 0, 0, more, sizeof more);
    (void)h2_send(c, H2_WINDOW_UPDATE, 0, stream, more, sizeof more);
}

static void take(h2 *c, const frame *fr, uint32_t stream, bool polite, h2_reply *ret)
{
    bool ours = fr->stream == stream;
    switch (fr->type) {
    case H2_HEADERS:
        take_headers(c, fr, stream, ret);
        break;
    case H2_DATA:
        if (ours)
            take_data(fr, ret);
        if (polite)
            give_window(c, fr->stream, fr->len);
        break;
    case H2_RST_STREAM:
        ret->reset = ret->reset || ours;
        ret->error = ours ? number_at(fr->payload) : ret->error;
        break;
    case H2_GOAWAY:
        ret->goaway = true;
        ret->error = number_at(fr->payload + 4);
        break;
    case H2_PING:
        if (polite && (fr->flags & H2_ACK) == 0)
            (void)h2_send(c, H2_PING, H2_ACK, 0, fr->payload, fr->len);
        break;
    default:
        break;
    }
    bool has_end = fr->type == H2_HEADERS || fr->type == H2_DATA;
    ret->ended = ret->ended || (ours && has_end && (fr->flags & H2_END_STREAM) != 0);
}

void h2_read(h2 *c, uint32_t stream, bool polite, int ms, h2_reply *ret)
{
    static frame fr;
    int64_t until = wire_now() + ms;
    *ret = (h2_reply){.grpc = -1};
    while (!ret->ended && !ret->reset && read_frame(c, &fr, until, &ret->closed))
        take(c, &fr, stream, polite, ret);
    const char *status = h2_field(ret, ":status");
    ret->status = status == NULL ? 0 : (int)strtol(status, NULL, 10);
    status = h2_field(ret, "grpc-status");
    ret->grpc = status == NULL ? -1 : (int)strtol(status, NULL, 10);
}

void h2_free(h2_reply *reply)
{
    free(reply->body);
    *reply = (h2_reply){.grpc = -1};
}

const char *h2_field(const h2_reply *reply, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);
    for (const char *at = reply->fields; *at != '\0'; at = strchr(at, '\n') + 1) {
        if (strncmp(at, name, len) != 0 || at[len] != ':' || at[len + 1] != ' ')
            continue;
        size_t n = strcspn(at + len + 2, "\n");
        assert_true(n < sizeof value);
        memcpy(value, at + len + 2, n);
        value[n] = '\0';
        return value;
    }
    return NULL;
}
