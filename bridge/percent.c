/*
 * Percent-encoding, decoded once. Source: RFC 3986, 2.1; "+" as a blank is what Java's and
 * PyIceberg's encoders write, in paths as in queries.
 */
#include <string.h>

#include "bridge/route.h"

enum { LEVELS_MAX = 64 };

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

static pang_code refuse(pang_err *err, const char *what, const char *why)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException", "invalid %s: %s", what,
                     why);
}

static bool is_encoded(pang_str raw, pang_plus plus)
{
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '%' || c == '\0' || (c == '+' && plus == PANG_PLUS_IS_BLANK))
            return true;
    }
    return false;
}

pang_code pang_percent_decode(pang_str raw, pang_plus plus, const char *what, pang_arena *arena,
                              pang_str *ret, pang_err *err)
{
    if (!is_encoded(raw, plus)) {
        *ret = raw;
        return pang_str_is_utf8(raw) ? PANG_OK : refuse(err, what, "not UTF-8");
    }
    char *to = pang_arena_alloc_text(arena, raw.len + 1);
    size_t len = 0;
    if (to == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '%') {
            int high = i + 2 < raw.len ? digit(raw.ptr[i + 1]) : -1;
            int low = i + 2 < raw.len ? digit(raw.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return refuse(err, what, "a bad percent escape");
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus == PANG_PLUS_IS_BLANK) {
            c = ' ';
        }
        if (c == '\0')
            return refuse(err, what, "a NUL");
        to[len++] = c;
    }
    to[len] = '\0';
    *ret = (pang_str){to, len};
    return pang_str_is_utf8(*ret) ? PANG_OK : refuse(err, what, "not UTF-8");
}

/* Position and length of the first separator in raw; at the end when there is none. */
static size_t find_separator(pang_str raw, bool dots, size_t *ret_len)
{
    if (dots) {
        size_t at = pang_str_find(raw, '.');
        *ret_len = at < raw.len;
        return at;
    }
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] == '\x1f') {
            *ret_len = 1;
            return i;
        }
        if (pang_str_equal_nocase(pang_str_slice(raw, i, 3), PANG_STR("%1f"))) {
            *ret_len = 3;
            return i;
        }
    }
    *ret_len = 0;
    return raw.len;
}

pang_code pang_split_levels(pang_str raw, pang_separator separator, const char *what,
                            pang_arena *arena, pang_str **ret, size_t *ret_n, pang_err *err)
{
    pang_str *levels = pang_arena_alloc_n(arena, LEVELS_MAX, sizeof *levels);
    size_t n = 0, len = 1;
    bool dots = separator == PANG_SEPARATOR_OR_DOT && find_separator(raw, false, &len) == raw.len;
    len = 1;
    if (levels == NULL)
        return pang_fail_memory(err);
    while (raw.len > 0 || (n > 0 && len > 0)) {
        if (n == LEVELS_MAX)
            return refuse(err, what, "too many levels");
        size_t at = find_separator(raw, dots, &len);
        pang_code code = pang_percent_decode(pang_str_slice(raw, 0, at), PANG_PLUS_IS_BLANK, what,
                                             arena, &levels[n++], err);
        if (code != PANG_OK)
            return code;
        raw = pang_str_after(raw, at + len);
        if (len == 0)
            break;
    }
    *ret = levels;
    *ret_n = n;
    return PANG_OK;
}
