/*
 * Pages: token = base64url(sequence, 8 bytes big-endian | after | the first half of an
 * HMAC-SHA256 over both, the tenant, the principal, the method and the query).
 */
#include "server/pages.h"

#include <string.h>

#include "api/base64.h"
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
    pang_str text = {0};
    if (!token.failed)
        text = pang_base64_encode(pang_buf_str(&token), PANG_BASE64_URL, call->arena);
    if (text.ptr == NULL)
        return pang_fail_memory(err);
    *ret = (char *)(uintptr_t)text.ptr;
    return PANG_OK;
}

pang_code pang_page_read(const pang_call *call, pang_str query, pang_str token, pang_page *ret,
                         pang_err *err)
{
    uint8_t mac[MAC_BYTES];
    pang_str bytes = {0}, given, payload;
    bool ok = token.len <= TOKEN_MAX &&
              pang_base64_decode(token, PANG_BASE64_URL, call->arena, &bytes) &&
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
                         "page_size must not be negative");
    *ret = asked == 0 ? PANG_PAGE_DEFAULT : (size_t)asked;
    if (*ret > PANG_PAGE_MAX)
        *ret = PANG_PAGE_MAX;
    return PANG_OK;
}
