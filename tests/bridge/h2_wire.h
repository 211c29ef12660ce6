/*
 * HTTP/2, frame by frame, so that a test can send what no library would. Header blocks are literals
 * without Huffman; replies are read with nghttp2's decoder.
 */
#ifndef PANG_TESTS_BRIDGE_H2_WIRE_H
#define PANG_TESTS_BRIDGE_H2_WIRE_H

#include "tests/bridge/bridge_fixture.h"

enum { H2_PAYLOAD_MAX = 64 * 1024, H2_BLOCK_MAX = 64 * 1024 };
enum {
    H2_DATA = 0,
    H2_HEADERS = 1,
    H2_PRIORITY = 2,
    H2_RST_STREAM = 3,
    H2_SETTINGS = 4,
    H2_PING = 6,
    H2_GOAWAY = 7,
    H2_WINDOW_UPDATE = 8,
    H2_CONTINUATION = 9,
};
enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4 };

typedef struct {
    int fd;
    struct nghttp2_hd_inflater *inflater;
} h2;

/* Preface and an empty SETTINGS; `ack`: waits for the bridge's and acknowledges them. */
void h2_open(h2 *c, const fixture *f, bool ack);
void h2_close(h2 *c);
/* False when the peer takes no more. */
bool h2_send(h2 *c, unsigned type, unsigned flags, uint32_t stream, const void *payload,
             size_t len);

/* A header block. */
typedef struct {
    uint8_t bytes[H2_BLOCK_MAX];
    size_t len;
} h2_block;

void h2_add(h2_block *b, const char *name, const char *value);
void h2_add_bytes(h2_block *b, const void *name, size_t name_len, const void *value,
                  size_t value_len);
/* :method, :scheme, :authority, :path. */
void h2_begin(h2_block *b, const char *verb, const char *path);
/* One HEADERS frame; `flags` beside END_HEADERS. */
bool h2_headers(h2 *c, uint32_t stream, const h2_block *b, unsigned flags);
bool h2_get(h2 *c, uint32_t stream, const char *path);

/* What came for one stream. */
typedef struct {
    int status; /* 0: none */
    int grpc;   /* grpc-status, -1: none */
    char *body; /* owned: h2_free */
    size_t len;
    char fields[8192]; /* "name: value\n" of all header blocks */
    bool ended, reset;
    uint32_t error;      /* of RST_STREAM or GOAWAY */
    bool goaway, closed; /* of the connection */
} h2_reply;

/* Reads frames until `stream` has ended, the connection is gone or `ms` are over. Frames of other
 * streams are dropped. PINGs are answered and windows opened when `polite`. */
void h2_read(h2 *c, uint32_t stream, bool polite, int ms, h2_reply *ret);
void h2_free(h2_reply *reply);
/* The value of a field, in a static buffer; NULL when there is none. */
const char *h2_field(const h2_reply *reply, const char *name);

#endif
