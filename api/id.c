/*
 * UUIDs, RFC 9562: sections 5.4 (version 4) and 5.7 (version 7).
 */
#include "api/id.h"

#include <string.h>

static void stamp(pang_id *id, unsigned version)
{
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0F) | (version << 4));
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3F) | 0x80);
}

pang_id pang_id_v7(const pang_env *env)
{
    pang_id id;
    uint64_t ms = (uint64_t)pang_env_wall_ms(env);
    pang_env_random(env, id.bytes, sizeof id.bytes);
    for (size_t i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    stamp(&id, 7);
    return id;
}

pang_id pang_id_v4(const pang_env *env)
{
    pang_id id;
    pang_env_random(env, id.bytes, sizeof id.bytes);
    stamp(&id, 4);
    return id;
}

static const char digits[] = "0123456789abcdef";

void pang_id_hex(pang_id id, char to[PANG_ID_HEX + 1])
{
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        to[2 * i] = digits[id.bytes[i] >> 4];
        to[2 * i + 1] = digits[id.bytes[i] & 15];
    }
    to[PANG_ID_HEX] = '\0';
}

void pang_id_text(pang_id id, char to[PANG_ID_TEXT + 1])
{
    char *at = to;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[id.bytes[i] >> 4];
        *at++ = digits[id.bytes[i] & 15];
    }
    *at = '\0';
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool pang_id_parse(pang_str text, pang_id *ret)
{
    bool hyphens = text.len == PANG_ID_TEXT;
    pang_id id;
    size_t at = 0;
    if (!hyphens && text.len != PANG_ID_HEX)
        return false;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        if (hyphens && (i == 4 || i == 6 || i == 8 || i == 10) && text.ptr[at++] != '-')
            return false;
        int high = digit(text.ptr[at]), low = digit(text.ptr[at + 1]);
        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high * 16 + low);
        at += 2;
    }
    *ret = id;
    return true;
}

bool pang_id_equal(pang_id a, pang_id b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

bool pang_id_is_nil(pang_id id)
{
    return pang_id_equal(id, (pang_id){{0}});
}
