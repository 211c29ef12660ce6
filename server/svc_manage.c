/*
 * Lists are one scan of an index by name: the token holds the last key's end, so that a page
 * begins behind it whatever came or went before. Texts are looked at before they are stored, so
 * that nothing stored needs escaping when it is shown.
 */
#include "server/svc_manage.h"

#include <string.h>
#include <time.h>

#include "server/pages.h"

/* ---- fields ---- */

static pang_code refuse(const char *field, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON, "%s %s", field, why);
}

/* C0 (but for what `breaks` allows), DEL, and C1 as UTF-8 spells them. */
static bool has_control(const char *text, bool breaks)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text, next = (unsigned char)text[1];
        if (breaks && (byte == '\n' || byte == '\r' || byte == '\t'))
            continue;
        if (byte < 0x20 || byte == 0x7F || (byte == 0xC2 && next >= 0x80 && next < 0xA0))
            return true;
    }
    return false;
}

/* What is not seen, or turns around how a line is read: two names would look like one. Joiners
 * (U+200C, U+200D) are not among them, since some scripts need them. */
static bool has_unseen(const char *text)
{
    for (; *text != '\0'; text++) {
        if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) /* U+FEFF */
            return true;
        unsigned char third = text[0] == '\xE2' && text[1] != '\0' ? (unsigned char)text[2] : 0;
        if (third != 0 && text[1] == '\x80' && /* U+200B, U+200E to U+200F, U+2028 to U+202E */
            (third == 0x8B || third == 0x8E || third == 0x8F || (third >= 0xA8 && third <= 0xAE)))
            return true;
        if (third >= 0xA0 && third <= 0xAF && text[1] == '\x81') /* U+2060 to U+206F */
            return true;
    }
    return false;
}

pang_code pang_manage_name(const char *field, const char *value, pang_err *err)
{
    size_t len = strlen(value);
    if (len == 0)
        return refuse(field, "is empty", err);
    if (len > PANG_MANAGE_NAME_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "%s is too long: %zu bytes, at most %d", field, len, PANG_MANAGE_NAME_MAX);
    if (has_control(value, false))
        return refuse(field, "holds a control character", err);
    if (has_unseen(value))
        return refuse(field, "holds a character that is not seen", err);
    return value[0] == ' ' || value[len - 1] == ' ' ? refuse(field, "begins or ends blank", err)
                                                    : PANG_OK;
}

pang_code pang_manage_text(const char *field, const char *value, pang_err *err)
{
    size_t len = strlen(value);
    if (len > PANG_MANAGE_TEXT_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "%s is too long: %zu bytes, at most %d", field, len, PANG_MANAGE_TEXT_MAX);
    return has_control(value, true) ? refuse(field, "holds a control character", err) : PANG_OK;
}

pang_code pang_manage_id(const char *field, const char *value, pang_id *ret, pang_err *err)
{
    return pang_id_parse(pang_str_from(value), ret) ? PANG_OK : refuse(field, "is not a UUID", err);
}

pang_code pang_manage_absent(const char *kind, const char *id, pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, PANG_NOT_FOUND_REASON, "%s \"%s\" does not exist", kind,
                     id);
}

/* ---- texts ---- */

char *pang_manage_id_text(pang_id id, pang_arena *arena)
{
    char *text = pang_arena_alloc_text(arena, PANG_ID_TEXT + 1);
    if (text != NULL)
        pang_id_text(id, text);
    return text;
}

char *pang_manage_time(int64_t ms, pang_arena *arena)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char day[32];
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &utc) == 0)
        day[0] = '\0';
    pang_str text = pang_arena_printf(arena, "%s.%03dZ", day, (int)(ms % 1000));
    return (char *)(uintptr_t)text.ptr;
}

/* REQUIRES: n digits. */
static int number_at(const char *text, size_t n)
{
    int number = 0;
    for (size_t i = 0; i < n; i++)
        number = 10 * number + (text[i] - '0');
    return number;
}

/* True when text begins as the form: d is a digit, T is T or a blank, all else itself. */
static bool has_form(const char *text, const char *form)
{
    for (size_t i = 0; form[i] != '\0'; i++) {
        bool good = form[i] == 'd'   ? text[i] >= '0' && text[i] <= '9'
                    : form[i] == 'T' ? text[i] == 'T' || text[i] == 't' || text[i] == ' '
                                     : text[i] == form[i];
        if (!good)
            return false;
    }
    return true;
}

static bool parse_zone(const char *text, int *ret_minutes)
{
    static const char form[] = "dd:dd";
    *ret_minutes = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if ((text[0] != '+' && text[0] != '-') || !has_form(text + 1, form) ||
        text[sizeof form] != '\0')
        return false;
    int hours = number_at(text + 1, 2), minutes = number_at(text + 4, 2);
    *ret_minutes = (text[0] == '-' ? -1 : 1) * (60 * hours + minutes);
    return hours <= 23 && minutes <= 59;
}

bool pang_manage_parse_time(const char *text, int64_t *ret_ms)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    int zone, ms = 0, scale = 100;
    if (!has_form(text, form))
        return false;
    struct tm utc = {
        .tm_year = number_at(text, 4) - 1900,
        .tm_mon = number_at(text + 5, 2) - 1,
        .tm_mday = number_at(text + 8, 2),
        .tm_hour = number_at(text + 11, 2),
        .tm_min = number_at(text + 14, 2),
        .tm_sec = number_at(text + 17, 2),
    };
    if (utc.tm_year < 70 || utc.tm_mon < 0 || utc.tm_mon > 11 || utc.tm_mday < 1 ||
        utc.tm_mday > 31 || utc.tm_hour > 23 || utc.tm_min > 59 || utc.tm_sec > 60)
        return false;
    text += sizeof form - 1;
    if (*text == '.') {
        if (text[1] < '0' || text[1] > '9')
            return false;
        for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10)
            ms += (*text - '0') * scale;
    }
    if (!parse_zone(text, &zone))
        return false;
    *ret_ms = ((int64_t)timegm(&utc) - 60 * (int64_t)zone) * 1000 + ms;
    return true;
}

pang_code pang_manage_built(const pang_arena *arena, pang_err *err)
{
    return pang_arena_failed(arena) ? pang_fail_memory(err) : PANG_OK;
}

/* ---- lists ---- */

typedef struct {
    pang_arena *arena;
    pang_record *rows;
    size_t n, most;
    pang_str last;
    bool failed;
} gathering;

static bool gather(void *arg, const pang_record *row)
{
    gathering *g = arg;
    g->failed = !pang_record_copy(row, g->arena, &g->rows[g->n]);
    return !g->failed && ++g->n < g->most;
}

static bool pass_over(void *arg, const pang_record *row)
{
    gathering *g = arg;
    g->n++;
    g->failed = !pang_arena_copy(g->arena, row->key, &g->last);
    return !g->failed;
}

/* The key of the last row that `offset` leaves out; *ret_end when it leaves all out. */
static pang_code skip(pang_call *call, const pang_manage_query *list, pang_str *ret_after,
                      bool *ret_end, pang_err *err)
{
    size_t offset = (size_t)list->offset;
    *ret_end = false;
    while (offset > 0 && !*ret_end) {
        size_t chunk = offset < PANG_SCAN_MAX ? offset : PANG_SCAN_MAX;
        pang_query query = {
            .prefix = list->prefix,
            .after = *ret_after,
            .limit = (uint32_t)chunk,
            .descending = list->descending,
            .keys_only = true,
        };
        gathering g = {.arena = call->arena, .last = *ret_after};
        pang_code code = pang_txn_scan(call->txn, &query, pass_over, &g, err);
        if (code == PANG_OK && g.failed)
            code = pang_fail_memory(err);
        if (code != PANG_OK)
            return code;
        *ret_end = g.n < chunk;
        *ret_after = g.last;
        offset -= g.n;
    }
    return PANG_OK;
}

static pang_code where_to_begin(pang_call *call, const pang_manage_query *query,
                                pang_str *ret_after, bool *ret_end, pang_err *err)
{
    pang_page page = {0};
    *ret_after = (pang_str){0};
    *ret_end = false;
    if (query->token == NULL || query->token[0] == '\0') {
        if (query->offset < 0)
            return refuse("offset", "must not be negative", err);
        return skip(call, query, ret_after, ret_end, err);
    }
    pang_code code = pang_page_read(call, query->prefix, pang_str_from(query->token), &page, err);
    if (code != PANG_OK)
        return code;
    *ret_after = pang_arena_printf(call->arena, "%" PANG_STR_FMT "%" PANG_STR_FMT,
                                   PANG_STR_ARG(query->prefix), PANG_STR_ARG(page.after));
    return pang_manage_built(call->arena, err);
}

/* Rows behind `after`, in chunks, since one scan has its bound. */
static pang_code gather_rows(pang_call *call, const pang_manage_query *list, pang_str after,
                             size_t most, pang_record **ret, size_t *ret_n, pang_err *err)
{
    gathering g = {.arena = call->arena};
    g.rows = pang_arena_alloc_n(call->arena, most, sizeof *g.rows);
    if (g.rows == NULL)
        return pang_fail_memory(err);
    for (size_t want = 0, before = 0; g.n < most; before = g.n) {
        want = most - g.n < PANG_SCAN_MAX ? most - g.n : PANG_SCAN_MAX;
        g.most = g.n + want;
        pang_query query = {.prefix = list->prefix,
                            .after = after,
                            .limit = (uint32_t)want,
                            .descending = list->descending};
        pang_code code = pang_txn_scan(call->txn, &query, gather, &g, err);
        if (code == PANG_OK && g.failed)
            code = pang_fail_memory(err);
        if (code != PANG_OK)
            return code;
        if (g.n - before < want)
            break;
        after = g.rows[g.n - 1].key;
    }
    *ret = g.rows;
    *ret_n = g.n;
    return PANG_OK;
}

pang_code pang_manage_list(pang_call *call, const pang_manage_query *query, pang_manage_page *ret,
                           pang_err *err)
{
    pang_str after;
    bool end;
    size_t size;
    *ret = (pang_manage_page){0};
    pang_code code = pang_page_size(query->page_size, &size, err);
    if (code == PANG_OK)
        code = where_to_begin(call, query, &after, &end, err);
    if (code != PANG_OK || end)
        return code;
    code = gather_rows(call, query, after, size + 1, &ret->rows, &ret->n, err);
    if (code != PANG_OK || ret->n <= size)
        return code;
    ret->n = size;
    pang_page next = {.after = pang_str_after(ret->rows[size - 1].key, query->prefix.len)};
    return pang_page_token(call, query->prefix, next, &ret->next_token, err);
}

pang_code pang_manage_all(pang_call *call, pang_str prefix, size_t most, pang_record **ret,
                          size_t *ret_n, pang_err *err)
{
    pang_manage_query query = {.prefix = prefix};
    pang_code code = gather_rows(call, &query, (pang_str){0}, most + 1, ret, ret_n, err);
    if (code == PANG_OK && *ret_n > most)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "more than %zu entries hang on it: delete some of them first", most);
    return code;
}

pang_code pang_manage_get(pang_call *call, const pang_str *keys, size_t n, pang_record **ret,
                          pang_err *err)
{
    pang_ref *refs = pang_arena_alloc_n(call->arena, n, sizeof *refs);
    pang_record *rows = pang_arena_alloc_n(call->arena, n, sizeof *rows);
    pang_code code = PANG_OK;
    if (refs == NULL || rows == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        refs[i].key = keys[i];
    for (size_t i = 0, some; code == PANG_OK && i < n; i += some) {
        some = n - i < PANG_GET_MAX ? n - i : PANG_GET_MAX;
        code = pang_txn_get(call->txn, refs + i, some, PANG_READ_CHECKED, rows + i, err);
    }
    *ret = rows;
    return code;
}
