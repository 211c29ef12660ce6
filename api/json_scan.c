/*
 * The strict JSON scanner: RFC 8259 and nothing more, plus the limits of api/json.h. A pull
 * scanner: each step gives one token, the nesting is a small stack inside `state`.
 *
 * Strings are looked at eight bytes a step while they are plain, so that a document of mostly text
 * costs little more than reading it. A string without escapes is given as a view into the source;
 * only others are decoded into the arena.
 *
 * Names of one object must differ. Small objects are compared pairwise by hash; once an object has
 * more than SMALL_OBJECT names, they go into an open-addressing set whose hash is seeded, so that a
 * stranger cannot choose names that collide. The seed is drawn only then: it is a system call.
 */
#include "api/json.h"

#include <string.h>

#include "api/env.h"

enum {
    SMALL_OBJECT = 16,
    SET_FIRST = 64, /* slots; a power of two */
};

typedef struct {
    uint64_t hash;
    pang_str name;
} seen_name;

/* One open object or array. */
typedef struct {
    bool is_object;
    bool wants_value; /* object: a name was given */
    bool had_any;     /* something stands in it already: a comma must come */
    size_t n_names;
    uint64_t seed;   /* of the hashes; drawn when the names become a hash set */
    uint64_t filter; /* a bit per hash; one that is not set is of no name yet */
    size_t capacity; /* of the names; > SMALL_OBJECT: it is a hash set */
    seen_name *names;
    seen_name *small; /* names of a small object: kept for the next one of this depth */
} level;

typedef struct {
    level levels[PANG_JSON_DEPTH_MAX];
    bool done; /* the outermost value is complete */
} scan_state;

/* ---- errors ---- */

static pang_code fail_at(const pang_json_scanner *s, size_t at, pang_err *err, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < s->source.len; i++) {
        column++;
        if (s->source.ptr[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "invalid JSON at line %zu, column %zu: %s", line, column, what);
}

/* ---- names of one object ---- */

/* Less than eight bytes as one number. Two loads that overlap instead of a call of memcpy. */
static uint64_t read_tail(pang_str s)
{
    uint32_t first = 0, last = 0;
    if (s.len >= 4) {
        memcpy(&first, s.ptr, 4);
        memcpy(&last, s.ptr + s.len - 4, 4);
    } else {
        for (size_t i = 0; i < s.len; i++)
            first = first << 8 | (unsigned char)s.ptr[i];
    }
    return (uint64_t)first << 32 | last;
}

static uint64_t hash_name(uint64_t seed, pang_str name)
{
    uint64_t hash = seed ^ (name.len * 0x9E3779B97F4A7C15u);
    while (name.len >= 8) {
        uint64_t eight;
        memcpy(&eight, name.ptr, 8);
        hash = (hash ^ eight) * 0xBF58476D1CE4E5B9u;
        hash ^= hash >> 29;
        name = pang_str_after(name, 8);
    }
    hash = (hash ^ read_tail(name)) * 0x94D049BB133111EBu;
    return hash ^ (hash >> 32);
}

static bool same_name(const seen_name *a, uint64_t hash, pang_str name)
{
    return a->hash == hash && pang_str_equal(a->name, name);
}

/* Puts a name into a hash set that has room. False when it is there. */
static bool set_insert(seen_name *set, size_t capacity, uint64_t hash, pang_str name)
{
    size_t at = hash & (capacity - 1);
    while (set[at].name.ptr != NULL) {
        if (same_name(&set[at], hash, name))
            return false;
        at = (at + 1) & (capacity - 1);
    }
    set[at] = (seen_name){hash, name};
    return true;
}

static bool grow_names(pang_json_scanner *s, level *l)
{
    size_t capacity = l->capacity == 0              ? SMALL_OBJECT
                      : l->capacity == SMALL_OBJECT ? SET_FIRST
                                                    : l->capacity * 4;
    seen_name *names = capacity == SMALL_OBJECT ? l->small : NULL;
    if (names == NULL)
        names = pang_arena_alloc_n(s->arena, capacity, sizeof *names);
    if (names == NULL)
        return false;
    if (capacity == SMALL_OBJECT)
        l->small = names;
    if (capacity > SMALL_OBJECT && l->seed == 0)
        pang_env_random(&pang_env_system, &l->seed, sizeof l->seed);
    for (size_t i = 0; i < l->capacity; i++) {
        pang_str name = l->names[i].name;
        if (name.ptr != NULL)
            (void)set_insert(names, capacity, hash_name(l->seed, name), name);
    }
    l->names = names;
    l->capacity = capacity;
    return true;
}

/* The name is a stranger's: quoted as JSON is, and cut at a character when it is long. */
static pang_code fail_double(const pang_json_scanner *s, pang_str name, size_t at, pang_err *err)
{
    enum { SHOWN_MAX = 64 };
    pang_buf text = {.arena = s->arena};
    size_t len = name.len < SHOWN_MAX ? name.len : SHOWN_MAX;
    while (len < name.len && ((unsigned char)name.ptr[len] & 0xC0) == 0x80)
        len--;
    pang_buf_add(&text, PANG_STR("an object has two members of one name, "));
    pang_json_quote(&text, pang_str_slice(name, 0, len));
    pang_buf_add(&text, len < name.len ? PANG_STR("...") : PANG_STR(""));
    pang_buf_add(&text, (pang_str){"", 1});
    return text.failed ? pang_fail_memory(err) : fail_at(s, at, err, text.ptr);
}

static pang_code remember_name(pang_json_scanner *s, level *l, pang_str name, size_t at,
                               pang_err *err)
{
    bool is_new = true;
    if (name.ptr == NULL)
        name.ptr = "";
    if (l->n_names >= PANG_JSON_OBJECT_MEMBERS_MAX)
        return fail_at(s, at, err, "an object has too many members");
    bool full = l->capacity <= SMALL_OBJECT ? l->n_names == l->capacity
                                            : l->n_names * 2 >= l->capacity;
    if (full && !grow_names(s, l))
        return pang_fail_memory(err);
    uint64_t hash = hash_name(l->seed, name);
    if (l->capacity > SMALL_OBJECT) {
        is_new = set_insert(l->names, l->capacity, hash, name);
    } else {
        bool maybe = (l->filter >> (hash & 63) & 1) != 0;
        for (size_t i = 0; maybe && i < l->n_names && is_new; i++)
            is_new = !same_name(&l->names[i], hash, name);
        l->filter |= (uint64_t)1 << (hash & 63);
        l->names[l->n_names] = (seen_name){hash, name};
    }
    l->n_names++;
    return is_new ? PANG_OK : fail_double(s, name, at, err);
}

/* ---- strings ---- */

/* How many of eight bytes are plain before the first that is a quote, a backslash, a control
 * character or no ASCII; 8: all. A borrow can only mark bytes behind a marked one, and the lowest
 * mark is what counts (bytes lie in memory lowest first). */
static unsigned count_plain(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = eight ^ (ones * '"'), slash = eight ^ (ones * '\\');
    uint64_t control = (eight - ones * 0x20) & ~eight;
    uint64_t marks = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | control | eight) &
                     high;
    return marks == 0 ? 8 : (unsigned)__builtin_ctzll(marks) / 8;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The four digits at `at` as a number, or -1. */
static int32_t read_hex4(pang_str source, size_t at)
{
    int32_t value = 0;
    if (source.len < 4 || at > source.len - 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(source.ptr[at + i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_utf8(uint32_t c, char to[4])
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xC0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | ((c >> 6) & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | c >> 18);
    to[1] = (char)(0x80 | ((c >> 12) & 0x3F));
    to[2] = (char)(0x80 | ((c >> 6) & 0x3F));
    to[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Decodes \uXXXX, and the second half of a pair, behind "\u" at `at`. Returns how many bytes of
 * the source it took, 0 when it is none. */
static size_t read_unicode(pang_str source, size_t at, uint32_t *ret)
{
    int32_t first = read_hex4(source, at);
    if (first <= 0 || (first >= 0xDC00 && first <= 0xDFFF))
        return 0; /* also NUL: strings of ours hold none */
    if (first < 0xD800 || first > 0xDBFF) {
        *ret = (uint32_t)first;
        return 4;
    }
    if (source.len - at < 10 || source.ptr[at + 4] != '\\' || source.ptr[at + 5] != 'u')
        return 0;
    int32_t second = read_hex4(source, at + 6);
    if (second < 0xDC00 || second > 0xDFFF)
        return 0;
    *ret = 0x10000u + ((uint32_t)(first - 0xD800) << 10) + (uint32_t)(second - 0xDC00);
    return 10;
}

/* Decodes the escape behind the backslash at `at`; returns how many bytes it took, 0: none. */
static size_t read_escape(pang_str source, size_t at, char to[4], size_t *ret_len)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint32_t c;
    if (at >= source.len)
        return 0;
    if (source.ptr[at] == 'u') {
        size_t took = read_unicode(source, at + 1, &c);
        *ret_len = took == 0 ? 0 : put_utf8(c, to);
        return took == 0 ? 0 : took + 1;
    }
    const char *name = source.ptr[at] == '\0' ? NULL : strchr(names, source.ptr[at]);
    if (name == NULL)
        return 0;
    to[0] = values[name - names];
    *ret_len = 1;
    return 1;
}

/* Finds the end of the string that begins at s->at (on its quote): checks escapes and control
 * characters on the way. */
static pang_code find_string_end(pang_json_scanner *s, size_t *ret_end, bool *ret_escapes,
                                 pang_err *err)
{
    pang_str source = s->source;
    size_t at = s->at + 1;
    bool ascii = true;
    *ret_escapes = false;
    while (at < source.len) {
        if (source.len - at >= 8) {
            uint64_t eight;
            memcpy(&eight, source.ptr + at, 8);
            unsigned plain = count_plain(eight);
            at += plain;
            if (plain == 8)
                continue;
        }
        unsigned char c = (unsigned char)source.ptr[at];
        if (c == '"') {
            if (!ascii && !pang_str_is_utf8(pang_str_slice(source, s->at, at - s->at)))
                return fail_at(s, s->at, err, "a string is not UTF-8");
            *ret_end = at;
            return PANG_OK;
        }
        if (c < 0x20)
            return fail_at(s, at, err, "a control character in a string");
        ascii = ascii && c < 0x80;
        size_t took = 0;
        if (c == '\\') {
            char ignored[4];
            size_t len;
            took = read_escape(source, at + 1, ignored, &len);
            if (took == 0)
                return fail_at(s, at, err, "an escape that does not exist");
            *ret_escapes = true;
        }
        at += 1 + took;
    }
    return fail_at(s, s->at, err, "a string does not end");
}

static pang_code decode_string(pang_json_scanner *s, pang_str inside, pang_str *ret, pang_err *err)
{
    char *to = pang_arena_alloc_text(s->arena, inside.len + 1);
    size_t len = 0;
    if (to == NULL)
        return pang_fail_memory(err);
    for (size_t at = 0; at < inside.len;) {
        if (inside.ptr[at] != '\\') {
            to[len++] = inside.ptr[at++];
            continue;
        }
        size_t n = 0;
        at += 1 + read_escape(inside, at + 1, to + len, &n);
        len += n;
    }
    to[len] = '\0';
    *ret = (pang_str){to, len};
    return PANG_OK;
}

static pang_code scan_string(pang_json_scanner *s, pang_err *err)
{
    size_t end = 0;
    bool escapes = false;
    pang_code code = find_string_end(s, &end, &escapes, err);
    if (code != PANG_OK)
        return code;
    const char *begin = s->source.ptr + s->at;
    s->raw = (pang_str){begin, end + 1 - s->at};
    s->text = (pang_str){begin + 1, end - s->at - 1};
    s->token = PANG_JSON_STRING;
    s->at = end + 1;
    return escapes ? decode_string(s, s->text, &s->text, err) : PANG_OK;
}

/* ---- numbers and words ---- */

static size_t count_digits(pang_str source, size_t at)
{
    size_t n = 0;
    while (at + n < source.len && source.ptr[at + n] >= '0' && source.ptr[at + n] <= '9')
        n++;
    return n;
}

static pang_code scan_number(pang_json_scanner *s, pang_err *err)
{
    pang_str source = s->source;
    size_t at = s->at + (source.ptr[s->at] == '-' ? 1 : 0);
    size_t whole = count_digits(source, at);
    if (whole == 0 || (whole > 1 && source.ptr[at] == '0'))
        return fail_at(s, s->at, err, "a number that is none");
    at += whole;
    if (at < source.len && source.ptr[at] == '.') {
        size_t fraction = count_digits(source, at + 1);
        if (fraction == 0)
            return fail_at(s, s->at, err, "a number that is none");
        at += 1 + fraction;
    }
    if (at < source.len && (source.ptr[at] == 'e' || source.ptr[at] == 'E')) {
        at++;
        if (at < source.len && (source.ptr[at] == '+' || source.ptr[at] == '-'))
            at++;
        size_t exponent = count_digits(source, at);
        if (exponent == 0)
            return fail_at(s, s->at, err, "a number that is none");
        at += exponent;
    }
    s->token = PANG_JSON_NUMBER;
    s->raw = s->text = (pang_str){source.ptr + s->at, at - s->at};
    s->at = at;
    return PANG_OK;
}

static pang_code scan_word(pang_json_scanner *s, pang_err *err)
{
    static const struct {
        pang_str word;
        pang_json_token token;
    } words[] = {
        {PANG_STR_INIT("true"), PANG_JSON_TRUE},
        {PANG_STR_INIT("false"), PANG_JSON_FALSE},
        {PANG_STR_INIT("null"), PANG_JSON_NULL},
    };
    pang_str rest = pang_str_after(s->source, s->at);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!pang_str_starts(rest, words[i].word))
            continue;
        s->token = words[i].token;
        s->raw = s->text = pang_str_slice(rest, 0, words[i].word.len);
        s->at += words[i].word.len;
        return PANG_OK;
    }
    return fail_at(s, s->at, err, "a value is expected");
}

/* ---- the grammar ---- */

static void skip_space(pang_json_scanner *s)
{
    while (s->at < s->source.len) {
        char c = s->source.ptr[s->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        s->at++;
    }
}

static char peek(const pang_json_scanner *s)
{
    return s->at < s->source.len ? s->source.ptr[s->at] : '\0';
}

static void single(pang_json_scanner *s, pang_json_token token)
{
    s->token = token;
    s->raw = s->text = (pang_str){s->source.ptr + s->at, 1};
    s->at++;
}

/* A value stands complete: what it stands in has one more. */
static void complete(pang_json_scanner *s)
{
    scan_state *state = s->state;
    if (s->depth == 0) {
        state->done = true;
        return;
    }
    state->levels[s->depth - 1].had_any = true;
    state->levels[s->depth - 1].wants_value = false;
}

static pang_code open_level(pang_json_scanner *s, bool is_object, pang_err *err)
{
    scan_state *state = s->state;
    if (s->depth >= PANG_JSON_DEPTH_MAX)
        return fail_at(s, s->at, err, "nested too deep");
    single(s, is_object ? PANG_JSON_OBJECT_BEGIN : PANG_JSON_ARRAY_BEGIN);
    level *l = &state->levels[s->depth++];
    *l = (level){.is_object = is_object, .small = l->small};
    return PANG_OK;
}

static void close_level(pang_json_scanner *s, bool is_object)
{
    single(s, is_object ? PANG_JSON_OBJECT_END : PANG_JSON_ARRAY_END);
    s->depth--;
    complete(s);
}

static pang_code scan_value(pang_json_scanner *s, pang_err *err)
{
    char c = peek(s);
    pang_code code;
    if (++s->nodes > PANG_JSON_NODES_MAX)
        return fail_at(s, s->at, err, "too many values");
    if (c == '{' || c == '[')
        return open_level(s, c == '{', err);
    if (c == '"')
        code = scan_string(s, err);
    else if (c == '-' || (c >= '0' && c <= '9'))
        code = scan_number(s, err);
    else
        code = scan_word(s, err);
    if (code == PANG_OK)
        complete(s);
    return code;
}

static pang_code scan_name(pang_json_scanner *s, level *l, pang_err *err)
{
    size_t begin = s->at;
    if (peek(s) != '"')
        return fail_at(s, s->at, err, "a member's name is expected");
    pang_code code = scan_string(s, err);
    if (code != PANG_OK)
        return code;
    code = remember_name(s, l, s->text, begin, err);
    if (code != PANG_OK)
        return code;
    s->token = PANG_JSON_NAME;
    skip_space(s);
    if (peek(s) != ':' || s->at >= s->source.len)
        return fail_at(s, s->at, err, "a colon is expected");
    s->at++;
    l->wants_value = true;
    return PANG_OK;
}

/* Inside an object or array, where no member's value is due. */
static pang_code scan_member(pang_json_scanner *s, level *l, pang_err *err)
{
    char end = l->is_object ? '}' : ']';
    if (peek(s) == end) {
        close_level(s, l->is_object);
        return PANG_OK;
    }
    if (l->had_any) {
        if (peek(s) != ',')
            return fail_at(s, s->at, err,
                           l->is_object ? "a comma or } is expected" : "a comma or ] is expected");
        s->at++;
        skip_space(s);
    }
    return l->is_object ? scan_name(s, l, err) : scan_value(s, err);
}

void pang_json_scan_begin(pang_json_scanner *scanner, pang_str source, pang_arena *arena)
{
    *scanner = (pang_json_scanner){.token = PANG_JSON_END, .source = source, .arena = arena};
}

pang_code pang_json_scan_next(pang_json_scanner *s, pang_err *err)
{
    scan_state *state = s->state;
    if (state == NULL) {
        s->state = state = pang_arena_alloc(s->arena, sizeof *state);
        if (state == NULL)
            return pang_fail_memory(err);
    }
    skip_space(s);
    if (state->done) {
        if (s->at < s->source.len)
            return fail_at(s, s->at, err, "bytes behind the end of the document");
        s->token = PANG_JSON_END;
        s->raw = s->text = (pang_str){NULL, 0};
        return PANG_OK;
    }
    if (s->at >= s->source.len)
        return fail_at(s, s->at, err, "the document ends too early");
    if (s->depth == 0)
        return scan_value(s, err);
    level *l = &state->levels[s->depth - 1];
    return l->wants_value ? scan_value(s, err) : scan_member(s, l, err);
}

pang_code pang_json_scan_skip(pang_json_scanner *s, pang_str *ret_raw, pang_err *err)
{
    const char *begin = s->raw.ptr;
    bool opens = s->token == PANG_JSON_OBJECT_BEGIN || s->token == PANG_JSON_ARRAY_BEGIN;
    unsigned until = s->depth - 1;
    while (opens && s->depth > until) {
        pang_code code = pang_json_scan_next(s, err);
        if (code != PANG_OK)
            return code;
    }
    *ret_raw = (pang_str){begin, (size_t)(s->raw.ptr + s->raw.len - begin)};
    return PANG_OK;
}

pang_code pang_json_check(pang_str source, pang_arena *arena, pang_err *err)
{
    pang_json_scanner s;
    pang_json_scan_begin(&s, source, arena);
    do {
        pang_code code = pang_json_scan_next(&s, err);
        if (code != PANG_OK)
            return code;
    } while (s.token != PANG_JSON_END);
    return PANG_OK;
}

void pang_json_quote(pang_buf *buf, pang_str s)
{
    static const char digits[] = "0123456789abcdef";
    size_t plain = 0;
    pang_buf_add_char(buf, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        char escape[6] = {'\\', (char)c};
        size_t len = 2;
        if (c != '"' && c != '\\' && c >= 0x20)
            continue;
        if (c < 0x20) {
            static const char names[] = "btn\0fr"; /* of 8, 9, 10, 12, 13 */
            char name = c >= 8 && c <= 13 ? names[c - 8] : '\0';
            escape[1] = name == '\0' ? 'u' : name;
            if (name == '\0') {
                memcpy(escape + 2, "00", 2);
                escape[4] = digits[c >> 4];
                escape[5] = digits[c & 15];
                len = 6;
            }
        }
        pang_buf_add(buf, pang_str_slice(s, plain, i - plain));
        pang_buf_add(buf, (pang_str){escape, len});
        plain = i + 1;
    }
    pang_buf_add(buf, pang_str_after(s, plain));
    pang_buf_add_char(buf, '"');
}
