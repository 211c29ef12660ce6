/*
 * Pages: token = base64url(sequence, 8 bytes big-endian | after | the first half of an
 * HMAC-SHA256 over both, the tenant, the principal, the method and the query).
 */
#include "server/pages.h"

#include <string.h>

#include "server/hash.h"

enum {
    SEQUENCE_BYTES = 8,
    MAC_BYTES = 16,
    TOKEN_MAX = 8192, /* bytes of a token that is looked at */
};

static void add_part(pang_buf *buf, pang_str part)
{
    pang_buf_printf(buf, "%zu:", part.len);
    pang_buf_add(buf, part);
}

static bool authenticate(const pang_call *call, pang_str query, pang_str payload,
                         uint8_t ret_mac[MAC_BYTES])
{
    pang_buf text = {.arena = call->arena};
    uint8_t whole[PANG_HASH_BYTES];
    add_part(&text, PANG_STR("pangolin page 1"));
    add_part(&text, call->tenant_key);
    add_part(&text, (pang_str){(const char *)call->who->id.bytes, sizeof call->who->id.bytes});
    add_part(&text, call->method != NULL ? call->method->path : (pang_str){0});
    add_part(&text, query);
    add_part(&text, payload);
    if (text.failed ||
        pang_hash_mac(call->server->page_key, pang_buf_str(&text), whole, NULL) != PANG_OK)
        return false;
    memcpy(ret_mac, whole, MAC_BYTES);
    return true;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *to_base64url(pang_str in, pang_arena *arena)
{
    char *out = pang_arena_alloc_text(arena, in.len / 3 * 4 + 5);
    size_t len = 0;
    if (out == NULL)
        return NULL;
    for (size_t i = 0; i < in.len; i += 3) {
        size_t left = in.len - i < 3 ? in.len - i : 3;
        uint32_t word = 0;
        for (size_t j = 0; j < 3; j++)
            word = word << 8 | (j < left ? (uint8_t)in.ptr[i + j] : 0);
        for (size_t j = 0; j <= left; j++)
            out[len++] = alphabet[word >> (18 - 6 * j) & 63];
    }
    out[len] = '\0';
    return out;
}

static bool from_base64url(pang_str in, pang_arena *arena, pang_str *ret)
{
    char *out = pang_arena_alloc_text(arena, in.len / 4 * 3 + 3);
    size_t len = 0;
    uint32_t word = 0;
    if (out == NULL || in.len % 4 == 1)
        return false;
    for (size_t i = 0; i < in.len; i++) {
        const char *found = memchr(alphabet, in.ptr[i], 64);
        if (found == NULL)
            return false;
        word = word << 6 | (uint32_t)(found - alphabet);
        if (i % 4 != 0)
            out[len++] = (char)(uint8_t)(word >> (6 - 2 * (i % 4)));
    }
    *ret = (pang_str){out, len};
    return true;
}

pang_code pang_page_token(const pang_call *call, pang_str query, pang_page page, char **ret,
                          pang_err *err)
{
    pang_buf token = {.arena = call->arena};
    uint8_t mac[MAC_BYTES];
    for (int shift = 56; shift >= 0; shift -= 8)
        pang_buf_add_char(&token, (char)(uint8_t)(page.sequence >> shift));
    pang_buf_add(&token, page.after);
    if (token.failed || !authenticate(call, query, pang_buf_str(&token), mac))
        return pang_fail_memory(err);
    pang_buf_add(&token, (pang_str){(const char *)mac, MAC_BYTES});
    char *text = token.failed ? NULL : to_base64url(pang_buf_str(&token), call->arena);
    if (text == NULL)
        return pang_fail_memory(err);
    *ret = text;
    return PANG_OK;
}

pang_code pang_page_read(const pang_call *call, pang_str query, pang_str token, pang_page *ret,
                         pang_err *err)
{
    uint8_t mac[MAC_BYTES];
    pang_str bytes = {0}, given, payload;
    bool ok = token.len <= TOKEN_MAX && from_base64url(token, call->arena, &bytes) &&
              bytes.len >= SEQUENCE_BYTES + MAC_BYTES;
    if (ok) {
        payload = pang_str_slice(bytes, 0, bytes.len - MAC_BYTES);
        given = pang_str_after(bytes, payload.len);
        ok = authenticate(call, query, payload, mac) &&
             pang_str_equal_secret(given, (pang_str){(const char *)mac, MAC_BYTES});
    }
    if (!ok)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "page token is not valid for this request");
    ret->sequence = 0;
    for (size_t i = 0; i < SEQUENCE_BYTES; i++)
        ret->sequence = ret->sequence << 8 | (uint8_t)bytes.ptr[i];
    ret->after = pang_str_after(payload, SEQUENCE_BYTES);
    return PANG_OK;
}

pang_code pang_page_size(int64_t asked, size_t *ret, pang_err *err)
{
    if (asked < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "page size must not be negative");
    *ret = asked == 0 ? PANG_PAGE_DEFAULT : (size_t)asked;
    if (*ret > PANG_PAGE_MAX)
        *ret = PANG_PAGE_MAX;
    return PANG_OK;
}
