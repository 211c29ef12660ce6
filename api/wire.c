/*
 * Protobuf's encoding, one field at a time.
 */
#include "api/wire.h"

#include <string.h>

bool pang_wire_varint(pang_str *rest, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 10 && i < rest->len; i++) {
        unsigned char b = (unsigned char)rest->ptr[i];
        if (i == 9 && b > 1)
            return false;
        value |= (uint64_t)(b & 0x7F) << (7 * i);
        if ((b & 0x80) == 0) {
            *rest = pang_str_after(*rest, i + 1);
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool cut(pang_str *rest, uint64_t len, pang_str *ret)
{
    if (len > rest->len)
        return false;
    *ret = pang_str_slice(*rest, 0, (size_t)len);
    *rest = pang_str_after(*rest, (size_t)len);
    return true;
}

/* Tags and lengths are 32-bit numbers: five bytes at most, of which padding is part. protobuf-c and
 * most other readers refuse more. */
static bool cut_short(pang_str *rest, uint64_t *ret)
{
    size_t before = rest->len;
    return pang_wire_varint(rest, ret) && before - rest->len <= 5 && *ret >> 32 == 0;
}

bool pang_wire_next(pang_str *rest, pang_wire_field *ret)
{
    uint64_t tag, len;
    pang_str fixed;
    if (rest->len == 0 || !cut_short(rest, &tag) || tag >> 3 == 0)
        return false;
    *ret = (pang_wire_field){.number = (uint32_t)(tag >> 3), .wire = tag & 7};
    switch (ret->wire) {
    case PANG_WIRE_VARINT:
        return pang_wire_varint(rest, &ret->value);
    case PANG_WIRE_BYTES:
        return cut_short(rest, &len) && cut(rest, len, &ret->bytes);
    case PANG_WIRE_64:
    case PANG_WIRE_32:
        if (!cut(rest, ret->wire == PANG_WIRE_64 ? 8 : 4, &fixed))
            return false;
        memcpy(&ret->value, fixed.ptr, fixed.len); /* little-endian on the wire and here */
        return true;
    default:
        return false;
    }
}

void pang_wire_add_varint(pang_buf *buf, uint64_t value)
{
    char *to = pang_buf_room(buf, 10);
    if (to == NULL)
        return;
    size_t n = 0;
    while (value > 0x7F) {
        to[n++] = (char)(value | 0x80);
        value >>= 7;
    }
    to[n++] = (char)value;
    buf->len += n;
}

void pang_wire_add_tag(pang_buf *buf, uint32_t number, unsigned wire)
{
    pang_wire_add_varint(buf, (uint64_t)number << 3 | wire);
}

void pang_wire_add_bytes(pang_buf *buf, uint32_t number, pang_str bytes)
{
    pang_wire_add_tag(buf, number, PANG_WIRE_BYTES);
    pang_wire_add_varint(buf, bytes.len);
    pang_buf_add(buf, bytes);
}
