/*
 * Wire: protobuf's encoding, read one field at a time. For code that walks messages by their
 * descriptors instead of generated structs. Source: protobuf.dev, "Encoding".
 * Called by api/schema*.c and bridge/transcode*.c. Threads: values. Lifetime: borrows the bytes.
 */
#ifndef PANG_API_WIRE_H
#define PANG_API_WIRE_H

#include "api/arena.h"

enum { PANG_WIRE_VARINT = 0, PANG_WIRE_64 = 1, PANG_WIRE_BYTES = 2, PANG_WIRE_32 = 5 };

typedef struct {
    uint32_t number;
    unsigned wire;
    uint64_t value; /* VARINT, 64, 32 */
    pang_str bytes; /* BYTES */
} pang_wire_field;

/* Cuts a varint off *rest. False when it is cut short or longer than ten bytes. */
bool pang_wire_varint(pang_str *rest, uint64_t *ret);
/* Cuts the next field off *rest. False at the end and on bad bytes: the end is rest->len == 0.
 * Groups, numbers outside 1 .. 2^29-1, and tags and lengths of more than five bytes are bad. */
bool pang_wire_next(pang_str *rest, pang_wire_field *ret);

/* Appends. */
void pang_wire_add_varint(pang_buf *buf, uint64_t value);
void pang_wire_add_tag(pang_buf *buf, uint32_t number, unsigned wire);
void pang_wire_add_bytes(pang_buf *buf, uint32_t number, pang_str bytes);

#endif
