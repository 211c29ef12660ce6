/*
 * The head of a request. Two readers must agree about where a message ends, or one of them is
 * fooled: so whatever is ambiguous is refused before http-parser, which forgives much, sees it.
 */
#include "bridge/http1_head.h"

#include <http_parser.h>
#include <string.h>

typedef struct {
    pang_arena *arena;
    pang_request_head *head;
    bool failed, value_open, complete;
    pang_str url;
} reader;

static pang_code refuse(pang_err *err, const char *what)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException", "invalid request: %s",
                     what);
}

/* ---- the strict checks, on the bytes as they came ---- */

static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(pang_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_token_char((unsigned char)s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

static bool has_control(pang_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return true;
    }
    return false;
}

/* Cuts a line that ends with CR LF and holds neither elsewhere. */
static bool next_line(pang_str *rest, pang_str *ret)
{
    size_t at = pang_str_find(*rest, '\n');
    if (at == rest->len || at == 0 || rest->ptr[at - 1] != '\r')
        return false;
    *ret = pang_str_slice(*rest, 0, at - 1);
    *rest = pang_str_after(*rest, at + 1);
    return pang_str_find(*ret, '\r') == ret->len;
}

static pang_code check_request_line(pang_str line, pang_err *err)
{
    size_t first = pang_str_find(line, ' ');
    pang_str rest = pang_str_after(line, first + 1);
    size_t second = pang_str_find(rest, ' ');
    pang_str target = pang_str_slice(rest, 0, second);
    pang_str version = pang_str_after(rest, second + 1);
    if (!is_token(pang_str_slice(line, 0, first)) || target.len == 0)
        return refuse(err, "the request line");
    if (target.len > PANG_URL_MAX)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, "UriTooLong",
                         "the request target is longer than %d bytes", PANG_URL_MAX);
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];
        if (c <= 0x20 || c >= 0x7F || c == '#')
            return refuse(err, "a byte in the target that must be encoded");
    }
    if (!pang_str_equal(version, PANG_STR("HTTP/1.1")) &&
        !pang_str_equal(version, PANG_STR("HTTP/1.0")))
        return refuse(err, "the version of HTTP");
    return PANG_OK;
}

/* How often the fields came that decide about framing, or about who it is. */
typedef struct {
    unsigned host, length, coding, authorization;
    bool length_is_number, coding_is_chunked;
} framing;

static pang_code check_field(pang_str line, framing *seen, pang_err *err)
{
    uint64_t ignored;
    size_t colon = pang_str_find(line, ':');
    pang_str name = pang_str_slice(line, 0, colon);
    pang_str value = pang_str_trim(pang_str_after(line, colon + 1));
    if (colon == line.len || !is_token(name))
        return refuse(err, "a header field's name"); /* also a folded line, a blank before : */
    if (has_control(value))
        return refuse(err, "a control character in a header field");
    if (pang_str_equal_nocase(name, PANG_STR("host")))
        seen->host++;
    if (pang_str_equal_nocase(name, PANG_STR("authorization")))
        seen->authorization++;
    if (pang_str_equal_nocase(name, PANG_STR("content-length"))) {
        seen->length++;
        seen->length_is_number = value.len <= 18 && pang_str_to_uint64(value, &ignored);
    }
    if (pang_str_equal_nocase(name, PANG_STR("transfer-encoding"))) {
        seen->coding++;
        seen->coding_is_chunked = pang_str_equal_nocase(value, PANG_STR("chunked"));
    }
    return PANG_OK;
}

static pang_code check_framing(const framing *seen, bool http10, pang_err *err)
{
    if (seen->host > 1 || (seen->host == 0 && !http10))
        return refuse(err, "exactly one Host is needed");
    if (seen->authorization > 1)
        return refuse(err, "more than one Authorization");
    if (seen->length > 1 || (seen->length == 1 && !seen->length_is_number))
        return refuse(err, "Content-Length");
    if (seen->coding > 1 || (seen->coding == 1 && (!seen->coding_is_chunked || http10)))
        return refuse(err, "Transfer-Encoding");
    if (seen->coding == 1 && seen->length == 1)
        return refuse(err, "both Content-Length and Transfer-Encoding");
    return PANG_OK;
}

static pang_code check_head(pang_str head, pang_err *err)
{
    pang_str rest = head, line;
    framing seen = {0};
    size_t n = 0;
    if (!next_line(&rest, &line))
        return refuse(err, "a line that does not end with CR LF");
    pang_code code = check_request_line(line, err);
    bool http10 = pang_str_ends(line, PANG_STR("0"));
    while (code == PANG_OK) {
        if (!next_line(&rest, &line))
            return refuse(err, "a line that does not end with CR LF");
        if (line.len == 0)
            break;
        if (++n > PANG_HEADERS_MAX)
            return pang_fail(err, PANG_RESOURCE_EXHAUSTED, "RequestHeaderFieldsTooLarge",
                             "more than %d header fields", PANG_HEADERS_MAX);
        code = check_field(line, &seen, err);
    }
    return code == PANG_OK ? check_framing(&seen, http10, err) : code;
}

/* ---- http-parser ---- */

static bool append(reader *r, pang_str *to, const char *at, size_t len, bool lower)
{
    pang_buf joined = {.arena = r->arena};
    pang_buf_add(&joined, *to);
    pang_buf_add(&joined, (pang_str){at, len});
    for (size_t i = to->len; lower && i < joined.len; i++) {
        if (joined.ptr[i] >= 'A' && joined.ptr[i] <= 'Z')
            joined.ptr[i] = (char)(joined.ptr[i] + ('a' - 'A'));
    }
    *to = pang_buf_str(&joined);
    r->failed = r->failed || joined.failed;
    return !joined.failed;
}

static int on_url(http_parser *parser, const char *at, size_t len)
{
    reader *r = parser->data;
    return append(r, &r->url, at, len, false) ? 0 : 1;
}

static int on_name(http_parser *parser, const char *at, size_t len)
{
    reader *r = parser->data;
    if (r->value_open || r->head->n_headers == 0) {
        if (r->head->n_headers == PANG_HEADERS_MAX)
            return 1;
        r->head->headers[r->head->n_headers++] = (pang_http_field){{NULL, 0}, PANG_STR("")};
        r->value_open = false;
    }
    return append(r, &r->head->headers[r->head->n_headers - 1].name, at, len, true) ? 0 : 1;
}

static int on_value(http_parser *parser, const char *at, size_t len)
{
    reader *r = parser->data;
    r->value_open = true;
    return append(r, &r->head->headers[r->head->n_headers - 1].value, at, len, false) ? 0 : 1;
}

static int on_headers(http_parser *parser)
{
    reader *r = parser->data;
    r->complete = true;
    return 1; /* the body is read by http1.c */
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
};

/* ---- what it means ---- */

/* "http://host/path" becomes "/path", if the host is Host's. */
static pang_code read_target(const reader *r, pang_request_head *head, pang_err *err)
{
    pang_str url = r->url;
    static const pang_str schemes[] = {PANG_STR_INIT("http://"), PANG_STR_INIT("https://")};
    for (size_t i = 0; i < 2; i++) {
        if (!pang_str_starts(url, schemes[i]))
            continue;
        pang_str rest = pang_str_after(url, schemes[i].len);
        pang_str host = pang_str_slice(rest, 0, pang_str_find(rest, '/'));
        if (!pang_str_equal_nocase(host, pang_head_find(head, PANG_STR("host"))))
            return refuse(err, "the target names another host than Host");
        url = pang_str_after(rest, host.len);
        if (url.len == 0)
            url = PANG_STR("/");
    }
    bool options = pang_str_equal(url, PANG_STR("*")) &&
                   pang_str_equal(head->verb, PANG_STR("OPTIONS"));
    if (!options && !pang_str_starts(url, PANG_STR("/")))
        return refuse(err, "the target");
    head->target = options ? PANG_STR("/*") : url;
    return PANG_OK;
}

static pang_code read_facts(const http_parser *parser, const pang_request_head *head,
                            pang_http1_facts *ret, pang_err *err)
{
    pang_str expect = pang_head_find(head, PANG_STR("expect"));
    pang_str length = pang_head_find(head, PANG_STR("content-length"));
    *ret = (pang_http1_facts){
        .keep_alive = http_should_keep_alive(parser) != 0,
        .http10 = parser->http_minor == 0,
        .chunked = pang_head_find(head, PANG_STR("transfer-encoding")).len > 0,
    };
    if (length.len > 0 && !pang_str_to_uint64(length, &ret->length))
        return refuse(err, "Content-Length");
    ret->expects_continue = pang_str_equal_nocase(expect, PANG_STR("100-continue"));
    if (expect.len > 0 && !ret->expects_continue)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, "ExpectationFailed",
                         "the only expectation that is met is 100-continue");
    return PANG_OK;
}

pang_code pang_http1_parse(pang_str head, pang_arena *arena, pang_request_head *ret,
                           pang_http1_facts *ret_facts, pang_err *err)
{
    http_parser parser;
    reader r = {.arena = arena, .head = ret, .url = PANG_STR("")};
    pang_code code = check_head(head, err);
    if (code != PANG_OK)
        return code;
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &r;
    ret->n_headers = 0;
    (void)http_parser_execute(&parser, &settings, head.ptr, head.len);
    if (r.failed)
        return pang_fail_memory(err);
    if (!r.complete)
        return refuse(err, http_errno_description(HTTP_PARSER_ERRNO(&parser)));
    for (size_t i = 0; i < ret->n_headers; i++) /* http-parser leaves the blanks at the end */
        ret->headers[i].value = pang_str_trim(ret->headers[i].value);
    ret->verb = pang_str_from(http_method_str((enum http_method)parser.method));
    code = read_target(&r, ret, err);
    return code == PANG_OK ? read_facts(&parser, ret, ret_facts, err) : code;
}
