/*
 * HTTP/1.1: a head that is taken means to http-parser, used alone and forgiving, what it means to
 * us; nothing of what is to be refused is in it; and written down from what was understood it is
 * understood the same again.
 */
#include <assert.h>
#include <http_parser.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bridge/http1_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX = 64 * 1024 };

/* What the other reader saw. */
typedef struct {
    size_t fields;
    bool in_value, complete;
} other;

static int on_name(http_parser *parser, const char *at, size_t len)
{
    other *o = parser->data;
    (void)at;
    (void)len;
    o->fields += o->in_value || o->fields == 0;
    o->in_value = false;
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    other *o = parser->data;
    (void)at;
    (void)len;
    o->in_value = true;
    return 0;
}

static int on_headers(http_parser *parser)
{
    ((other *)parser->data)->complete = true;
    return 1; /* the body is not looked at */
}

/* http-parser takes "Transfer-Encodingx" for the beginning of the real one, and forgets that the
 * real one said chunked. The bridge does not ask it. */
static bool misleads(const pang_request_head *head)
{
    for (size_t i = 0; i < head->n_headers; i++) {
        pang_str name = head->headers[i].name;
        if (pang_str_starts(name, PANG_STR("transfer-encoding")) && name.len > 17)
            return true;
    }
    return false;
}

static void compare(pang_str head, const pang_request_head *got, const pang_http1_facts *facts)
{
    static const http_parser_settings settings = {
        .on_header_field = on_name, .on_header_value = on_value, .on_headers_complete = on_headers};
    http_parser parser;
    other seen = {0};
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &seen;
    (void)http_parser_execute(&parser, &settings, head.ptr, head.len);
    assert(seen.complete && seen.fields == got->n_headers);
    assert(misleads(got) || ((parser.flags & F_CHUNKED) != 0) == facts->chunked);
    assert((parser.http_minor == 0) == facts->http10 && parser.http_major == 1);
    assert(pang_str_equal(pang_str_from(http_method_str(parser.method)), got->verb));
    if (facts->length > 0)
        assert(parser.content_length == facts->length && !facts->chunked);
    else
        assert(facts->chunked || parser.content_length == 0 || parser.content_length == UINT64_MAX);
}

static void check_text(pang_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        assert((c >= 0x20 || c == '\t') && c != 0x7f);
    }
}

static void check(const pang_request_head *head, const pang_http1_facts *facts)
{
    size_t hosts = 0, framing = 0;
    assert(head->target.len > 0 && head->target.ptr[0] == '/');
    check_text(head->target);
    for (size_t i = 0; i < head->n_headers; i++) {
        pang_str name = head->headers[i].name;
        assert(name.len > 0 && pang_str_find(name, ' ') == name.len);
        check_text(name);
        check_text(head->headers[i].value);
        for (size_t j = 0; j < name.len; j++)
            assert(name.ptr[j] < 'A' || name.ptr[j] > 'Z');
        hosts += pang_str_equal(name, PANG_STR("host"));
        framing += pang_str_equal(name, PANG_STR("content-length")) ||
                   pang_str_equal(name, PANG_STR("transfer-encoding"));
    }
    assert(hosts == 1 || (hosts == 0 && facts->http10));
    assert(framing <= 1 && !(facts->chunked && facts->http10));
}

/* What was understood, as plain as it can be said. */
static pang_str written(const pang_request_head *head, const pang_http1_facts *facts,
                        pang_arena *arena)
{
    pang_buf out = {.arena = arena};
    bool star = pang_str_equal(head->target, PANG_STR("/*"));
    pang_buf_add(&out, head->verb);
    pang_buf_add_char(&out, ' ');
    pang_buf_add(&out, star ? PANG_STR("*") : head->target);
    pang_buf_add(&out, facts->http10 ? PANG_STR(" HTTP/1.0\r\n") : PANG_STR(" HTTP/1.1\r\n"));
    for (size_t i = 0; i < head->n_headers; i++) {
        pang_buf_add(&out, head->headers[i].name);
        pang_buf_add(&out, PANG_STR(": "));
        pang_buf_add(&out, head->headers[i].value);
        pang_buf_add(&out, PANG_STR("\r\n"));
    }
    pang_buf_add(&out, PANG_STR("\r\n"));
    assert(!out.failed);
    return pang_buf_str(&out);
}

static void check_again(const pang_request_head *head, const pang_http1_facts *facts,
                        pang_arena *arena)
{
    static pang_request_head again;
    pang_http1_facts more;
    pang_str text = written(head, facts, arena);
    bool star = pang_str_equal(head->target, PANG_STR("/*"));
    if (star && !pang_str_equal(head->verb, PANG_STR("OPTIONS")))
        return; /* there the path is not the asterisk's */
    if (pang_http1_parse(text, arena, &again, &more, NULL) != PANG_OK) {
        assert(false);
        return;
    }
    assert(pang_str_equal(again.target, head->target) && again.n_headers == head->n_headers);
    assert(more.length == facts->length && more.chunked == facts->chunked);
    assert(more.keep_alive == facts->keep_alive);
    for (size_t i = 0; i < again.n_headers; i++)
        assert(pang_str_equal(again.headers[i].value, head->headers[i].value));
}

/* The input up to and with the first empty line is a head. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static pang_request_head head;
    pang_http1_facts facts;
    const uint8_t *end = size == 0 ? NULL : memmem(data, size, "\r\n\r\n", 4);
    pang_str text = {(const char *)data, end == NULL ? size : (size_t)(end - data) + 4};
    pang_arena *arena = pang_arena_new(1 << 22);
    if (arena == NULL || text.len > HEAD_MAX || end == NULL) {
        pang_arena_free(arena);
        return 0;
    }
    if (pang_http1_parse(text, arena, &head, &facts, NULL) == PANG_OK) {
        compare(text, &head, &facts);
        check(&head, &facts);
        check_again(&head, &facts, arena);
    }
    pang_arena_free(arena);
    return 0;
}
