/*
 * Location: the parser. The text is cut into scheme, authority and path once; every rule is
 * checked on the pieces, and the canonical form is put together from them, so that comparisons
 * are of bytes. Percent signs stay as they are: object stores and engines take them literally. A
 * reader that decodes them must not be led elsewhere, though, so what would decode to a dot
 * segment is refused as well.
 */
#include "api/location.h"

#include <string.h>

typedef struct {
    pang_str scheme, family;
} scheme_row;

enum { SCHEMES = 12 }; /* with the end mark */
static const scheme_row schemes[SCHEMES];

static pang_code refuse(pang_err *err, const char *what, const char *rule)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException", "%s: %s", what, rule);
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The byte at s.ptr[*at], decoded when it is a percent escape; *at moves behind it. */
static unsigned char decoded_at(pang_str s, size_t *at)
{
    if (s.ptr[*at] == '%' && s.len - *at >= 3) {
        int high = hex_of(s.ptr[*at + 1]), low = hex_of(s.ptr[*at + 2]);
        if (high >= 0 && low >= 0) {
            *at += 3;
            return (unsigned char)(high * 16 + low);
        }
    }
    return (unsigned char)s.ptr[(*at)++];
}

/* The rule that a segment breaks, or NULL. */
static const char *segment_fault(pang_str segment)
{
    size_t dots = 0, others = 0;
    if (segment.len == 0)
        return "holds an empty path segment";
    for (size_t i = 0; i < segment.len;) {
        unsigned char c = decoded_at(segment, &i);
        if (c < 0x20 || c == 0x7f)
            return "holds an encoded control character";
        bool parts = c == '/' || c == '\\';
        if (!parts && c == '.')
            dots++;
        else if (!parts)
            others++;
        if ((parts || i == segment.len) && others == 0 && (dots == 1 || dots == 2))
            return "holds a \".\" or \"..\" path segment";
        if (parts)
            dots = others = 0;
    }
    return NULL;
}

/* The rule that the text breaks before it is cut, or NULL. */
static const char *text_fault(pang_str text)
{
    if (text.len == 0)
        return "is empty";
    if (text.len > PANG_LOCATION_MAX)
        return "is longer than 1024 bytes";
    if (!pang_str_is_utf8(text))
        return "is not UTF-8";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7f)
            return "holds a control character";
        if (c == '\\')
            return "holds a backslash";
        if (c == '#')
            return "holds a fragment";
        if (c == '*' || c == '?')
            return "holds a query or a pattern (\"?\", \"*\")";
    }
    return NULL;
}

/* Cuts text into its pieces; path still has its slashes. The rule it breaks, or NULL. */
static const char *cut(pang_str text, pang_location *ret, pang_str *ret_path)
{
    if (text.ptr[0] == '/') {
        ret->scheme = PANG_STR("file");
        ret->authority = pang_str_slice(text, 0, 0);
        *ret_path = text;
        return NULL;
    }
    size_t colon = pang_str_find(text, ':');
    pang_str name = pang_str_slice(text, 0, colon), rest = pang_str_after(text, colon + 1);
    if (colon == text.len)
        return "has no scheme";
    ret->scheme = (pang_str){NULL, 0};
    for (const scheme_row *row = schemes; row->scheme.len > 0; row++) {
        if (pang_str_equal(row->scheme, name))
            ret->scheme = row->family;
    }
    if (ret->scheme.len == 0)
        return "has a scheme that is not known";
    ret->authority = pang_str_slice(rest, 0, 0);
    if (pang_str_starts(rest, PANG_STR("//"))) {
        rest = pang_str_after(rest, 2);
        ret->authority = pang_str_slice(rest, 0, pang_str_find(rest, '/'));
        rest = pang_str_after(rest, ret->authority.len);
    } else if (!pang_str_equal(ret->scheme, PANG_STR("file"))) {
        return "lacks \"//\" behind its scheme";
    }
    if (rest.len > 0 && rest.ptr[0] != '/')
        return "has a relative path";
    *ret_path = rest;
    return NULL;
}

static bool is_port(pang_str port)
{
    uint64_t number;
    return port.len <= 5 && pang_str_to_uint64(port, &number) && number >= 1 && number <= 65535;
}

/* The rule that the authority breaks, or NULL. */
static const char *authority_fault(pang_str scheme, pang_str authority)
{
    bool abfs = pang_str_equal(scheme, PANG_STR("abfs"));
    bool hdfs = pang_str_equal(scheme, PANG_STR("hdfs"));
    if (pang_str_equal(scheme, PANG_STR("file")))
        return authority.len == 0 ? NULL : "names a host";
    if (authority.len == 0)
        return hdfs ? NULL : "names no bucket or container";
    size_t colon = pang_str_find(authority, ':'), at = pang_str_find(authority, '@');
    if (at < authority.len && !abfs)
        return "holds user information";
    if (abfs && at < authority.len && (at == 0 || at + 1 == authority.len))
        return "names no container or no account";
    if (colon < authority.len && !(hdfs && is_port(pang_str_after(authority, colon + 1))))
        return "has a port";
    for (size_t i = 0; i < colon; i++) {
        char c = authority.ptr[i];
        if (!is_alnum(c) && c != '.' && c != '-' && c != '_' && !(abfs && i == at))
            return "holds a character that no bucket or host has";
    }
    if (authority.ptr[0] == '.' || colon == 0)
        return "names no bucket or host";
    return NULL;
}

/* Hosts know no case, and one Azure account is reached as .blob. and as .dfs. */
static void add_canonical_authority(pang_buf *buf, const pang_location *location)
{
    pang_str authority = location->authority, blob = PANG_STR(".blob.core.windows.net");
    bool abfs = pang_str_equal(location->scheme, PANG_STR("abfs"));
    bool host = abfs || pang_str_equal(location->scheme, PANG_STR("hdfs"));
    bool is_blob = abfs && authority.len > blob.len &&
                   pang_str_equal_nocase(pang_str_after(authority, authority.len - blob.len), blob);
    if (is_blob)
        authority.len -= blob.len;
    for (size_t i = 0; i < authority.len; i++) {
        char c = authority.ptr[i];
        pang_buf_add_char(buf, host && c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c);
    }
    if (is_blob)
        pang_buf_add(buf, PANG_STR(".dfs.core.windows.net"));
}

pang_code pang_location_parse(pang_str text, const char *what, pang_arena *arena,
                              pang_location *ret, pang_err *err)
{
    pang_location location = {0};
    pang_str path, segment, rest;
    const char *fault = text_fault(text);
    if (fault != NULL)
        return refuse(err, what, fault);
    if ((fault = cut(text, &location, &path)) != NULL ||
        (fault = authority_fault(location.scheme, location.authority)) != NULL)
        return refuse(err, what, fault);
    size_t end = path.len;
    while (end > 0 && path.ptr[end - 1] == '/')
        end--;
    location.text = pang_str_slice(text, 0, text.len - (path.len - end));
    location.path = pang_str_slice(path, 1, end > 0 ? end - 1 : 0);
    if (location.path.len == 0 && location.authority.len == 0)
        return refuse(err, what, "has no path");
    rest = location.path;
    while (location.path.len > 0 && pang_str_next(&rest, '/', &segment)) {
        if ((fault = segment_fault(segment)) != NULL)
            return refuse(err, what, fault);
        location.segments++;
    }
    pang_buf buf = {.arena = arena};
    pang_buf_add(&buf, location.scheme);
    pang_buf_add(&buf, PANG_STR("://"));
    add_canonical_authority(&buf, &location);
    if (location.path.len > 0)
        pang_buf_add_char(&buf, '/');
    pang_buf_add(&buf, location.path);
    if (buf.failed)
        return pang_fail_memory(err);
    location.canonical = pang_buf_str(&buf);
    *ret = location;
    return PANG_OK;
}

bool pang_location_covers(const pang_location *outer, const pang_location *inner)
{
    pang_str rest = pang_str_after(inner->canonical, outer->canonical.len);
    return pang_str_starts(inner->canonical, outer->canonical) &&
           (rest.len == 0 || rest.ptr[0] == '/');
}

pang_str pang_location_ancestor(const pang_location *location, size_t n, pang_arena *arena)
{
    pang_str canonical = location->canonical, copy = {NULL, 0};
    size_t end = canonical.len;
    if (n < location->segments) {
        end -= location->path.len + 1;
        for (size_t i = 0; i < n; i++)
            end += 1 + pang_str_find(pang_str_after(canonical, end + 1), '/');
    }
    (void)pang_arena_copy(arena, pang_str_slice(canonical, 0, end), &copy);
    return copy;
}

/* A name may be anything; what the parser would refuse is escaped, and a dot part gets a "_"
 * since no escape of a dot is safe. Two names may so become one, which costs a suffix. */
static void add_segment(pang_buf *buf, pang_str segment)
{
    size_t part = 0;
    for (size_t i = 0; i <= segment.len; i++) {
        char c = i < segment.len ? segment.ptr[i] : '/';
        pang_str before = pang_str_slice(segment, part, i - part);
        bool parts = c == '/' || c == '\\';
        if (parts &&
            (pang_str_equal(before, PANG_STR(".")) || pang_str_equal(before, PANG_STR(".."))))
            pang_buf_add_char(buf, '_');
        if (parts)
            part = i + 1;
        if (i == segment.len)
            return;
        if (parts || c == '*' || c == '?' || c == '#' || c == '%')
            pang_buf_printf(buf, "%%%02X", (unsigned)(unsigned char)c);
        else
            pang_buf_add_char(buf, c);
    }
}

pang_code pang_location_child(const pang_location *location, pang_str segment, pang_arena *arena,
                              pang_location *ret, pang_err *err)
{
    pang_buf buf = {.arena = arena};
    pang_buf_add(&buf, location->text);
    pang_buf_add_char(&buf, '/');
    add_segment(&buf, segment);
    if (segment.len == 0)
        return refuse(err, "location", "a name in it is empty");
    if (buf.failed)
        return pang_fail_memory(err);
    return pang_location_parse(pang_buf_str(&buf), "location", arena, ret, err);
}

static const scheme_row schemes[SCHEMES] = {
    {PANG_STR_INIT("s3"), PANG_STR_INIT("s3")},      {PANG_STR_INIT("s3a"), PANG_STR_INIT("s3")},
    {PANG_STR_INIT("s3n"), PANG_STR_INIT("s3")},     {PANG_STR_INIT("gs"), PANG_STR_INIT("gs")},
    {PANG_STR_INIT("gcs"), PANG_STR_INIT("gs")},     {PANG_STR_INIT("abfs"), PANG_STR_INIT("abfs")},
    {PANG_STR_INIT("abfss"), PANG_STR_INIT("abfs")}, {PANG_STR_INIT("wasb"), PANG_STR_INIT("abfs")},
    {PANG_STR_INIT("wasbs"), PANG_STR_INIT("abfs")}, {PANG_STR_INIT("hdfs"), PANG_STR_INIT("hdfs")},
    {PANG_STR_INIT("file"), PANG_STR_INIT("file")},  {{NULL, 0}, {NULL, 0}},
};
