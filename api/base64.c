/*
 * Base64: three bytes are four letters. What is left over at the end is checked bit by bit, since
 * a decoder that lets it pass takes many spellings for one value.
 */
#include "api/base64.h"

#include <string.h>

static const char alphabets[2][65] = {
    [PANG_BASE64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [PANG_BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

pang_str pang_base64_encode(pang_str bytes, pang_base64_form form, pang_arena *arena)
{
    const char *alphabet = alphabets[form];
    char *out = pang_arena_alloc_text(arena, bytes.len / 3 * 4 + 5);
    size_t len = 0;
    if (out == NULL)
        return (pang_str){0};
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t word = 0;
        for (size_t j = 0; j < 3; j++)
            word = word << 8 | (j < left ? (uint8_t)bytes.ptr[i + j] : 0);
        for (size_t j = 0; j <= left; j++)
            out[len++] = alphabet[word >> (18 - 6 * j) & 63];
        for (size_t j = left; j < 3 && form == PANG_BASE64; j++)
            out[len++] = '=';
    }
    out[len] = '\0';
    return (pang_str){out, len};
}

/* The text without its padding; false where there is too much or too little of it. */
static bool strip_padding(pang_str *text)
{
    if (text->len % 4 != 0)
        return false;
    for (size_t i = 0; i < 2 && text->len > 0 && text->ptr[text->len - 1] == '='; i++)
        text->len--;
    return true;
}

/* Letters to bytes. The letters' values are or-ed together so that a bad one shows at the end:
 * secrets are decoded here, and nothing is decided on the way. */
static bool decode_letters(pang_str text, const uint8_t table[256], char *out, size_t *ret_len)
{
    uint32_t word = 0, seen = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t value = table[(uint8_t)text.ptr[i]];
        seen |= value;
        word = word << 6 | (value & 63);
        if (i % 4 != 0)
            out[len++] = (char)(uint8_t)(word >> (6 - 2 * (i % 4)));
    }
    size_t over = text.len % 4 == 2 ? 4 : text.len % 4 == 3 ? 2 : 0;
    *ret_len = len;
    return (seen & 64) == 0 && (word & ((1u << over) - 1)) == 0;
}

bool pang_base64_decode(pang_str text, pang_base64_form form, pang_arena *arena, pang_str *ret)
{
    uint8_t table[256];
    size_t len = 0;
    memset(table, 64, sizeof table);
    for (uint8_t i = 0; i < 64; i++)
        table[(uint8_t)alphabets[form][i]] = i;
    if ((form == PANG_BASE64 && !strip_padding(&text)) || text.len % 4 == 1)
        return false;
    char *out = pang_arena_alloc_text(arena, text.len / 4 * 3 + 3);
    if (out == NULL || !decode_letters(text, table, out, &len))
        return false;
    *ret = (pang_str){out, len};
    return true;
}
