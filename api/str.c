/*
 * String views. Small, total functions: none can fail, none allocates.
 */
#include "api/str.h"

#include <string.h>

pang_str pang_str_from(const char *cstr)
{
    return (pang_str){cstr, cstr ? strlen(cstr) : 0};
}

bool pang_str_equal(pang_str a, pang_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool pang_str_equal_secret(pang_str a, pang_str b)
{
    if (a.len != b.len)
        return false;
    volatile unsigned char diff = 0;
    for (size_t i = 0; i < a.len; i++)
        diff = (unsigned char)(diff | ((unsigned char)a.ptr[i] ^ (unsigned char)b.ptr[i]));
    return diff == 0;
}

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool pang_str_equal_nocase(pang_str a, pang_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return false;
    }
    return true;
}

int pang_str_compare(pang_str a, pang_str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

bool pang_str_starts(pang_str s, pang_str prefix)
{
    return s.len >= prefix.len && pang_str_equal(pang_str_slice(s, 0, prefix.len), prefix);
}

bool pang_str_ends(pang_str s, pang_str suffix)
{
    return s.len >= suffix.len && pang_str_equal(pang_str_after(s, s.len - suffix.len), suffix);
}

size_t pang_str_find(pang_str s, char c)
{
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);
    return at ? (size_t)(at - s.ptr) : s.len;
}

pang_str pang_str_after(pang_str s, size_t from)
{
    if (from >= s.len)
        return (pang_str){s.ptr ? s.ptr + s.len : NULL, 0};
    return (pang_str){s.ptr + from, s.len - from};
}

pang_str pang_str_slice(pang_str s, size_t from, size_t len)
{
    pang_str rest = pang_str_after(s, from);
    if (rest.len > len)
        rest.len = len;
    return rest;
}

pang_str pang_str_trim(pang_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = pang_str_after(s, 1);
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool pang_str_next(pang_str *rest, char sep, pang_str *ret_part)
{
    if (rest->ptr == NULL)
        return false;
    size_t at = pang_str_find(*rest, sep);
    *ret_part = pang_str_slice(*rest, 0, at);
    *rest = at == rest->len ? (pang_str){NULL, 0} : pang_str_after(*rest, at + 1);
    return true;
}

bool pang_str_to_uint64(pang_str s, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        unsigned digit = (unsigned)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

bool pang_str_to_int64(pang_str s, int64_t *ret)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    if (!pang_str_to_uint64(negative ? pang_str_after(s, 1) : s, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

/* Length of the well-formed sequence at s, or 0. Ranges: Unicode 15, table 3-7. */
static size_t utf8_step(pang_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t len;
    unsigned char low = 0x80, high = 0xBF;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        len = 2;
    else if (p[0] >= 0xE0 && p[0] <= 0xEF)
        len = 3;
    else if (p[0] >= 0xF0 && p[0] <= 0xF4)
        len = 4;
    else
        return 0;
    if (p[0] == 0xE0)
        low = 0xA0;
    else if (p[0] == 0xED)
        high = 0x9F;
    else if (p[0] == 0xF0)
        low = 0x90;
    else if (p[0] == 0xF4)
        high = 0x8F;
    if (s.len < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    }
    return len;
}

bool pang_str_is_utf8(pang_str s)
{
    while (s.len > 0) {
        uint64_t eight;
        if (s.len >= 8) {
            memcpy(&eight, s.ptr, 8);
            if ((eight & 0x8080808080808080u) == 0) {
                s = pang_str_after(s, 8);
                continue;
            }
        }
        size_t step = utf8_step(s);
        if (step == 0)
            return false;
        s = pang_str_after(s, step);
    }
    return true;
}

uint64_t pang_str_hash(pang_str s)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (unsigned char)s.ptr[i]) * 1099511628211u;
    return hash;
}
