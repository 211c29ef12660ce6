/*
 * Log lines. Built in a fixed buffer on the stack and written with one write(2), so that logging
 * needs no memory and lines of two threads or processes do not mix.
 */
#include "api/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *process;
    pang_log_level level;
    bool json;
} setup = {"pangolin", PANG_LOG_INFO, false}; /* const after start */

typedef struct {
    char text[PANG_LOG_LINE_MAX];
    size_t len;
} line;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void pang_log_setup(const char *process, pang_log_level level, bool json)
{
    setup.process = process;
    setup.level = level;
    setup.json = json;
}

bool pang_log_level_parse(pang_str text, pang_log_level *ret)
{
    for (unsigned i = 0; i < 4; i++) {
        if (pang_str_equal_nocase(text, pang_str_from(level_names[i]))) {
            *ret = (pang_log_level)i;
            return true;
        }
    }
    return false;
}

bool pang_log_enabled(pang_log_level level)
{
    return level >= setup.level;
}

/* All or nothing, and always room for the closing quote, brace and newline. */
static void add(line *l, const char *text, size_t len)
{
    if (l->len + len + 4 > sizeof l->text)
        return;
    memcpy(l->text + l->len, text, len);
    l->len += len;
}

static void add_cstr(line *l, const char *text)
{
    add(l, text, strlen(text));
}

static void add_escaped(line *l, pang_str s)
{
    bool valid = pang_str_is_utf8(s);
    if (s.len > PANG_LOG_VALUE_MAX) {
        s.len = PANG_LOG_VALUE_MAX;
        while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xC0) == 0x80)
            s.len--;
    }
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            escaped[0] = '\\';
            escaped[1] = (char)c;
            add(l, escaped, 2);
        } else if (c < 0x20 || c == 0x7F || (c >= 0x80 && !valid)) {
            (void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
            add(l, escaped, 6);
        } else {
            add(l, s.ptr + i, 1);
        }
    }
}

static void add_time(line *l)
{
    int64_t now = pang_env_wall_ms(&pang_env_system);
    time_t seconds = (time_t)(now / 1000);
    struct tm utc;
    char text[40];
    gmtime_r(&seconds, &utc);
    size_t len = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    len += (size_t)snprintf(text + len, sizeof text - len, ".%03dZ", (int)(now % 1000));
    add(l, text, len);
}

static void add_field_json(line *l, const pang_log_field *f)
{
    char number[24];
    add_cstr(l, ",\"");
    add_cstr(l, f->name);
    add_cstr(l, "\":");
    if (f->is_number) {
        (void)snprintf(number, sizeof number, "%lld", (long long)f->number);
        add_cstr(l, number);
        return;
    }
    add_cstr(l, "\"");
    add_escaped(l, f->text);
    l->text[l->len++] = '"';
}

static void add_field_pretty(line *l, const pang_log_field *f)
{
    char number[24];
    add_cstr(l, " ");
    add_cstr(l, f->name);
    add_cstr(l, "=");
    if (f->is_number) {
        (void)snprintf(number, sizeof number, "%lld", (long long)f->number);
        add_cstr(l, number);
    } else {
        add_escaped(l, f->text);
    }
}

void pang_log(pang_log_level level, const char *event, const pang_log_field *fields, size_t n)
{
    line l = {.len = 0};
    if (!pang_log_enabled(level))
        return;
    add_cstr(&l, setup.json ? "{\"time\":\"" : "");
    add_time(&l);
    add_cstr(&l, setup.json ? "\",\"level\":\"" : " ");
    add_cstr(&l, level_names[level]);
    add_cstr(&l, setup.json ? "\",\"process\":\"" : " ");
    add_cstr(&l, setup.process);
    add_cstr(&l, setup.json ? "\",\"event\":\"" : ": ");
    add_cstr(&l, event);
    add_cstr(&l, setup.json ? "\"" : "");
    for (size_t i = 0; i < n; i++) {
        size_t before = l.len;
        if (setup.json)
            add_field_json(&l, &fields[i]);
        else
            add_field_pretty(&l, &fields[i]);
        if (l.len + 8 > sizeof l.text) {
            l.len = before; /* a field that does not fit is left out whole */
            break;
        }
    }
    if (setup.json)
        l.text[l.len++] = '}';
    l.text[l.len++] = '\n';
    ssize_t written = write(STDERR_FILENO, l.text, l.len);
    (void)written; /* a log that cannot be written has nowhere to say so */
}
