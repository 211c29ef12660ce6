/*
 * Keys: one function appends a component, the makers below are lists of components. What a
 * component may hold is decided here and nowhere else, so that no name that a client invents can
 * leave its place in the key space.
 */
#include "api/keys.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "storage/keys_internal.h"

enum { DIGITS = PANG_SLOT_DIGITS };

static const char hex[] = "0123456789abcdef";

typedef struct {
    pang_keys *keys;
    pang_buf buf;
} builder;

static builder begin(pang_keys *keys, const char *kind)
{
    builder b = {.keys = keys, .buf = {.arena = keys->arena}};
    pang_buf_add(&b.buf, keys->scope);
    pang_buf_add_char(&b.buf, '/');
    pang_buf_add(&b.buf, pang_str_from(kind));
    return b;
}

static pang_str end(builder *b)
{
    if (b->buf.len > PANG_KEY_MAX)
        b->keys->too_long = true;
    if (b->buf.failed || b->buf.len > PANG_KEY_MAX)
        return (pang_str){0};
    return pang_buf_str(&b->buf);
}

static bool needs_escape(char c, bool dots)
{
    unsigned char byte = (unsigned char)c;
    return byte < 0x20 || byte == 0x7F || c == '%' || c == '/' || (dots && c == '.');
}

static void add_escaped(pang_buf *buf, pang_str s, bool dots)
{
    for (size_t i = 0; i < s.len && buf->len <= PANG_KEY_MAX; i++) {
        unsigned char byte = (unsigned char)s.ptr[i];
        if (!needs_escape(s.ptr[i], dots)) {
            pang_buf_add_char(buf, s.ptr[i]);
            continue;
        }
        pang_buf_add_char(buf, '%');
        pang_buf_add_char(buf, hex[byte >> 4]);
        pang_buf_add_char(buf, hex[byte & 15]);
    }
}

static void add_text(builder *b, pang_str s)
{
    pang_buf_add_char(&b->buf, '/');
    add_escaped(&b->buf, s, false);
}

/* For what is escaped already, or is the last component. */
static void add_raw(builder *b, pang_str s)
{
    pang_buf_add_char(&b->buf, '/');
    pang_buf_add(&b->buf, s);
}

static void add_id(builder *b, pang_id id)
{
    char text[PANG_ID_HEX + 1];
    pang_id_hex(id, text);
    add_raw(b, (pang_str){text, PANG_ID_HEX});
}

static void add_number(builder *b, uint64_t number)
{
    char text[DIGITS];
    for (size_t i = DIGITS; i-- > 0; number >>= 4)
        text[i] = hex[number & 15];
    add_raw(b, (pang_str){text, DIGITS});
}

pang_code pang_keys_status(const pang_keys *keys, pang_err *err)
{
    if (keys->too_long)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "identifier is too long");
    if (pang_arena_failed(keys->arena))
        return pang_fail_memory(err);
    return PANG_OK;
}

pang_str pang_key_path(pang_keys *keys, const pang_str *levels, size_t n)
{
    pang_buf buf = {.arena = keys->arena};
    for (size_t i = 0; i < n && buf.len <= PANG_KEY_MAX; i++) {
        if (i > 0)
            pang_buf_add_char(&buf, '.');
        add_escaped(&buf, levels[i], true);
    }
    if (buf.len > PANG_KEY_MAX)
        keys->too_long = true;
    return buf.failed || keys->too_long ? (pang_str){0} : pang_buf_str(&buf);
}

static pang_str with_id(pang_keys *keys, const char *kind, pang_id id)
{
    builder b = begin(keys, kind);
    add_id(&b, id);
    return end(&b);
}

static pang_str with_text(pang_keys *keys, const char *kind, pang_str text)
{
    builder b = begin(keys, kind);
    add_text(&b, text);
    return end(&b);
}

/* Everything of one kind, or of one id within it. */
static pang_str prefix_of(pang_keys *keys, const char *kind, const pang_id *id)
{
    builder b = begin(keys, kind);
    if (id != NULL)
        add_id(&b, *id);
    pang_buf_add_char(&b.buf, '/');
    return end(&b);
}

static pang_str with_id_number(pang_keys *keys, const char *kind, pang_id id, uint64_t number)
{
    builder b = begin(keys, kind);
    add_id(&b, id);
    add_number(&b, number);
    return end(&b);
}

pang_str pang_key_make(pang_keys *keys, const char *kind, const char *layout, ...)
{
    builder b = begin(keys, kind);
    va_list args;
    va_start(args, layout);
    for (; *layout != 0; layout++) {
        assert(strchr("it/", *layout) != NULL);
        if (*layout == 'i')
            add_id(&b, va_arg(args, pang_id));
        else if (*layout == 't')
            add_text(&b, va_arg(args, pang_str));
        else
            pang_buf_add_char(&b.buf, '/');
    }
    va_end(args);
    return end(&b);
}

pang_str pang_key_catalog_name(pang_keys *keys, pang_str name)
{
    return with_text(keys, "cn", name);
}

pang_str pang_key_catalogs(pang_keys *keys)
{
    return prefix_of(keys, "cn", NULL);
}

pang_str pang_key_catalog(pang_keys *keys, pang_id catalog)
{
    return with_id(keys, "ca", catalog);
}

pang_str pang_key_warehouse(pang_keys *keys, pang_id warehouse)
{
    return with_id(keys, "wh", warehouse);
}

pang_str pang_key_ref(pang_keys *keys, pang_id catalog, pang_str name)
{
    builder b = begin(keys, "rf");
    add_id(&b, catalog);
    add_text(&b, name);
    return end(&b);
}

pang_str pang_key_refs(pang_keys *keys, pang_id catalog)
{
    return prefix_of(keys, "rf", &catalog);
}

pang_str pang_key_sequence(pang_keys *keys, pang_id catalog)
{
    return with_id(keys, "sq", catalog);
}

pang_str pang_key_commit(pang_keys *keys, pang_id branch, uint64_t number)
{
    return with_id_number(keys, "cm", branch, number);
}

pang_str pang_key_commits(pang_keys *keys, pang_id branch)
{
    return prefix_of(keys, "cm", &branch);
}

pang_str pang_key_commit_id(pang_keys *keys, pang_id id)
{
    return with_id(keys, "id", id);
}

static builder begin_content(pang_keys *keys, const char *kind, pang_id branch, pang_space space,
                             pang_str path)
{
    builder b = begin(keys, kind);
    char letter = (char)space;
    add_id(&b, branch);
    add_raw(&b, (pang_str){&letter, 1});
    add_raw(&b, path);
    return b;
}

pang_str pang_key_content(pang_keys *keys, pang_id branch, pang_space space, pang_str path,
                          pang_str name)
{
    builder b = begin_content(keys, "cu", branch, space, path);
    add_text(&b, name);
    return end(&b);
}

pang_str pang_key_contents(pang_keys *keys, pang_id branch, pang_space space, pang_str path)
{
    builder b = begin_content(keys, "cu", branch, space, path);
    pang_buf_add_char(&b.buf, '/');
    return end(&b);
}

pang_str pang_key_contents_all(pang_keys *keys, pang_id branch, pang_space space)
{
    builder b = begin(keys, "cu");
    char letter = (char)space;
    add_id(&b, branch);
    add_raw(&b, (pang_str){&letter, 1});
    pang_buf_add_char(&b.buf, '/');
    return end(&b);
}

pang_str pang_key_history(pang_keys *keys, pang_id branch, pang_space space, pang_str path,
                          pang_str name, uint64_t until)
{
    builder b = begin_content(keys, "hi", branch, space, path);
    add_text(&b, name);
    add_number(&b, until);
    return end(&b);
}

pang_str pang_key_asset(pang_keys *keys, pang_id branch, pang_id asset)
{
    builder b = begin(keys, "as");
    add_id(&b, branch);
    add_id(&b, asset);
    return end(&b);
}

pang_str pang_key_asset_history(pang_keys *keys, pang_id branch, pang_id asset, uint64_t until)
{
    builder b = begin(keys, "ah");
    add_id(&b, branch);
    add_id(&b, asset);
    add_number(&b, until);
    return end(&b);
}

pang_str pang_key_metadata(pang_keys *keys, pang_id catalog, pang_id document)
{
    builder b = begin(keys, "md");
    add_id(&b, catalog);
    add_id(&b, document);
    return end(&b);
}

pang_str pang_key_content_count(pang_keys *keys, pang_id owner, char what)
{
    builder b = begin(keys, "ct");
    add_id(&b, owner);
    add_raw(&b, (pang_str){&what, 1});
    return end(&b);
}

pang_str pang_key_epoch(pang_keys *keys, pang_id branch, pang_str path)
{
    builder b = begin(keys, "ep");
    add_id(&b, branch);
    add_raw(&b, path);
    return end(&b);
}

static pang_str with_canonical(pang_keys *keys, const char *kind, pang_str canonical)
{
    builder b = begin(keys, kind);
    add_raw(&b, canonical);
    return end(&b);
}

pang_str pang_key_reservation(pang_keys *keys, pang_str canonical)
{
    return with_canonical(keys, "lr", canonical);
}

pang_str pang_key_reserved_below(pang_keys *keys, pang_str canonical)
{
    return with_canonical(keys, "lc", canonical);
}

pang_str pang_key_pending_file(pang_keys *keys, pang_id id)
{
    return with_id(keys, "pf", id);
}

pang_str pang_key_pending_files(pang_keys *keys)
{
    return prefix_of(keys, "pf", NULL);
}

pang_str pang_key_due(pang_keys *keys, int64_t due_ms, pang_id id)
{
    assert(due_ms >= 0);
    builder b = begin(keys, "du");
    add_number(&b, (uint64_t)due_ms);
    add_id(&b, id);
    return end(&b);
}

pang_str pang_key_dues(pang_keys *keys)
{
    return prefix_of(keys, "du", NULL);
}

pang_str pang_key_due_until(pang_keys *keys, int64_t until_ms)
{
    assert(until_ms >= 0);
    builder b = begin(keys, "du");
    add_number(&b, (uint64_t)until_ms);
    return end(&b);
}

pang_str pang_key_setting(pang_keys *keys, pang_str name)
{
    return with_text(keys, "sy", name);
}

pang_str pang_key_failure_window(pang_keys *keys, pang_id subject, uint64_t window)
{
    builder b = begin(keys, "tw");
    add_id(&b, subject);
    add_number(&b, window);
    return end(&b);
}

pang_str pang_key_idempotency(pang_keys *keys, pang_id principal, pang_str operation, pang_id key)
{
    builder b = begin(keys, "ik");
    add_id(&b, principal);
    add_text(&b, operation);
    add_id(&b, key);
    return end(&b);
}

pang_str pang_key_audit_sequence(pang_keys *keys, pang_id server)
{
    return with_id(keys, "aq", server);
}

pang_str pang_key_audit(pang_keys *keys, pang_id server, uint64_t number)
{
    return with_id_number(keys, "au", server, number);
}

pang_str pang_key_audits(pang_keys *keys, pang_id server)
{
    return prefix_of(keys, "au", &server);
}

pang_str pang_key_audit_sequences(pang_keys *keys)
{
    return prefix_of(keys, "aq", NULL);
}

pang_str pang_key_audit_head(pang_keys *keys)
{
    builder b = begin(keys, "an");
    return end(&b);
}

pang_str pang_key_audit_seal(pang_keys *keys, uint64_t number)
{
    builder b = begin(keys, "ac");
    add_number(&b, number);
    return end(&b);
}

pang_str pang_key_audit_seals(pang_keys *keys)
{
    return prefix_of(keys, "ac", NULL);
}

pang_str pang_key_audit_principal(pang_keys *keys, pang_id principal, uint64_t seal)
{
    return with_id_number(keys, "ap", principal, seal);
}

pang_str pang_key_audit_principals(pang_keys *keys, pang_id principal)
{
    return prefix_of(keys, "ap", &principal);
}

pang_str pang_key_audit_resource(pang_keys *keys, pang_id resource, uint64_t seal)
{
    return with_id_number(keys, "ar", resource, seal);
}

pang_str pang_key_audit_resources(pang_keys *keys, pang_id resource)
{
    return prefix_of(keys, "ar", &resource);
}

size_t pang_key_slot_at(pang_str key)
{
    assert(key.len == 0 || key.len > DIGITS);
    return key.len == 0 ? 0 : key.len - DIGITS;
}

size_t pang_key_prefix_len(pang_str key)
{
    size_t len = key.len;
    while (len > 0 && key.ptr[len - 1] != '/')
        len--;
    return len;
}

/* ---- reading ---- */

static bool is_hex(pang_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (memchr(hex, s.ptr[i], 16) == NULL)
            return false;
    return true;
}

static bool scope_ok(pang_str scope)
{
    return pang_str_equal(scope, PANG_SYSTEM_SCOPE) || (scope.len == PANG_ID_HEX && is_hex(scope));
}

/* What a kind's components are, one letter each: i an id, d a number, t text, p a namespace path,
 * s the letter of a space, r the rest of the key. */
static const struct {
    char kind[3], parts[6];
} layouts[] = {
    {"ac", "d"},  {"ah", "iid"}, {"ak", "t"},  {"an", ""},   {"ap", "id"},    {"aq", "i"},
    {"ar", "id"}, {"as", "ii"},  {"at", "i"},  {"au", "id"}, {"bi", "ii"},    {"ca", "i"},
    {"cm", "id"}, {"cn", "t"},   {"co", "t"},  {"ct", "i"},  {"cu", "ispt"},  {"du", "di"},
    {"ep", "ip"}, {"fk", "i"},   {"gi", "i"},  {"gr", "ii"}, {"hi", "isptd"}, {"id", "i"},
    {"ij", "i"},  {"ik", "iti"}, {"it", "ii"}, {"kf", "i"},  {"lc", "r"},     {"lr", "r"},
    {"lu", "i"},  {"mc", "i"},   {"md", "ii"}, {"ml", "ii"}, {"mm", "ii"},    {"mo", "i"},
    {"mq", "i"},  {"mt", "ii"},  {"oc", "i"},  {"os", "i"},  {"pf", "i"},     {"pg", "i"},
    {"ra", "ii"}, {"rb", "ii"},  {"rc", "i"},  {"rf", "it"}, {"rn", "t"},     {"ro", "i"},
    {"rs", "i"},  {"rt", "i"},   {"sn", "t"},  {"sp", "i"},  {"sq", "i"},     {"su", "i"},
    {"sy", "t"},  {"te", "i"},   {"tg", "ti"}, {"tn", "t"},  {"tw", "id"},    {"ue", "t"},
    {"ug", "tt"}, {"un", "t"},   {"us", "i"},  {"wc", "i"},  {"wh", "i"},     {"wn", "t"}};

static const char *layout_of(pang_str kind)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++)
        if (kind.len == 2 && memcmp(layouts[i].kind, kind.ptr, 2) == 0)
            return layouts[i].parts;
    return NULL;
}

/* True when s is what add_escaped writes: each escape is of a byte that needs one. */
static bool escaped_ok(pang_str s, bool dots)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c != '%') {
            if (needs_escape(c, false))
                return false;
            continue;
        }
        if (s.len - i < 3 || !is_hex(pang_str_slice(s, i + 1, 2)))
            return false;
        unsigned high = (unsigned)((const char *)memchr(hex, s.ptr[i + 1], 16) - hex);
        unsigned low = (unsigned)((const char *)memchr(hex, s.ptr[i + 2], 16) - hex);
        if (!needs_escape((char)(high << 4 | low), dots))
            return false;
        i += 2;
    }
    return true;
}

static bool part_ok(pang_str part, char type)
{
    switch (type) {
    case 'i':
        return part.len == PANG_ID_HEX && is_hex(part);
    case 'd':
        return part.len == DIGITS && is_hex(part);
    case 's':
        return part.len == 1 &&
               (part.ptr[0] == PANG_SPACE_NAMESPACE || part.ptr[0] == PANG_SPACE_ASSET);
    case 'p':
        return escaped_ok(part, true);
    case 't':
        return escaped_ok(part, false);
    default:
        return true;
    }
}

bool pang_key_parse(pang_str key, pang_key_parts *ret)
{
    pang_key_parts parts = {0};
    pang_str rest = key;
    if (key.len > PANG_KEY_MAX || !pang_str_next(&rest, '/', &parts.scope) ||
        !scope_ok(parts.scope) || !pang_str_next(&rest, '/', &parts.kind))
        return false;
    const char *layout = layout_of(parts.kind);
    if (layout == NULL)
        return false;
    for (; layout[parts.n] != 0; parts.n++) {
        pang_str part = rest;
        if (layout[parts.n] == 'r' ? rest.ptr == NULL : !pang_str_next(&rest, '/', &part))
            return false;
        if (!part_ok(part, layout[parts.n]))
            return false;
        if (layout[parts.n] == 'r')
            rest = (pang_str){0};
        parts.parts[parts.n] = part;
    }
    if (rest.ptr != NULL)
        return false;
    *ret = parts;
    return true;
}

bool pang_key_unescape(pang_str part, pang_arena *arena, pang_str *ret)
{
    char *to = pang_arena_alloc_text(arena, part.len + 1);
    if (to == NULL)
        return false;
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        if (part.ptr[i] != '%') {
            to[len++] = part.ptr[i];
            continue;
        }
        if (part.len - i < 3 || !is_hex(pang_str_slice(part, i + 1, 2)))
            return false;
        size_t high = (size_t)((const char *)memchr(hex, part.ptr[i + 1], 16) - hex);
        size_t low = (size_t)((const char *)memchr(hex, part.ptr[i + 2], 16) - hex);
        to[len++] = (char)(unsigned char)(high << 4 | low);
        i += 2;
    }
    to[len] = 0;
    *ret = (pang_str){to, len};
    return true;
}

bool pang_key_number(pang_str part, uint64_t *ret)
{
    if (part.len != DIGITS || !is_hex(part))
        return false;
    uint64_t number = 0;
    for (size_t i = 0; i < DIGITS; i++)
        number = number << 4 | (uint64_t)((const char *)memchr(hex, part.ptr[i], 16) - hex);
    *ret = number;
    return true;
}
