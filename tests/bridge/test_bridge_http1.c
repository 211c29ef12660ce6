/*
 * HTTP/1.1 as strangers speak it: requests that two readers might read differently get one refusal
 * and no second chance on that connection; what is merely unusual works. After each a canary is
 * sent on another connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/bridge/bridge_fixture.h"

#define RAW(text)                                                                                  \
    {                                                                                              \
        "" text, sizeof(text) - 1                                                                  \
    }

typedef struct {
    const char *ptr;
    size_t len;
} raw;

static fixture f;

static int setup(void **state)
{
    static const char *const settings[] = {"PANGOLIN_HEADER_TIMEOUT_SECS=1", NULL};
    (void)state;
    fixture_start(&f, settings);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&f);
    return 0;
}

/* How many status lines of class `first` ("2", "4") stand in text. */
static unsigned replies_of(const char *text, size_t len, char first)
{
    unsigned n = 0;
    for (size_t i = 0; i + 10 <= len; i++) {
        if (memcmp(text + i, "HTTP/1.", 7) == 0 && text[i + 8] == ' ' && text[i + 9] == first)
            n++;
    }
    return n;
}

/* Every one of these is followed by a request that must not be answered: it would be the smuggled
 * one. */
static const char smuggled[] = "GET /health/live HTTP/1.1\r\nHost: smuggled\r\n\r\n";

static void check_refused(const char *name, raw request)
{
    char reply[65536];
    bool closed;
    int fd = wire_connect(&f);
    (void)wire_try_send(fd, request.ptr, request.len);
    (void)wire_try_send(fd, smuggled, sizeof smuggled - 1);
    size_t len = wire_read_all(fd, reply, sizeof reply - 1, PATIENCE_MS, &closed);
    close(fd);
    reply[len] = '\0';
    if (strncmp(reply, "HTTP/1.1 400", 12) == 0 && strstr(reply, "\"invalid request: ") == NULL)
        fail_msg("%s: not said to be invalid: %s", name, reply);
    unsigned good = replies_of(reply, len, '2');
    unsigned bad = replies_of(reply, len, '4') + replies_of(reply, len, '5');
    if (good != 0 || bad > 1 || !closed)
        fail_msg("%s: %u accepted, %u refused, %s: %.*s", name, good, bad,
                 closed ? "closed" : "open", (int)len, reply);
    http_canary(&f);
}

static void check_taken(const char *name, raw request, unsigned replies)
{
    char reply[65536];
    bool closed;
    int fd = wire_connect(&f);
    static const char last[] =
        "GET /health/live HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n";
    wire_send(fd, request.ptr, request.len);
    (void)wire_try_send(fd, last, sizeof last - 1);
    size_t len = wire_read_all(fd, reply, sizeof reply, PATIENCE_MS, &closed);
    close(fd);
    if (replies_of(reply, len, '2') != replies || !closed)
        fail_msg("%s: %u accepted, not %u: %.*s", name, replies_of(reply, len, '2'), replies,
                 (int)len, reply);
    http_canary(&f);
}

#define GET "GET /health/live HTTP/1.1\r\n"
#define HOST "Host: localhost\r\n"
#define MAKE "POST /v1/demo/namespaces HTTP/1.1\r\n"
#define POST MAKE HOST "Content-Type: application/json\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNK "13\r\n" BODY "\r\n"
#define LAST "0\r\n\r\n"
#define BODY "{\"namespace\":[\"a\"]}" /* 19 bytes */

static const struct {
    const char *name;
    raw request;
} ambiguous[] = {
    /* Framing of the body. */
    {"length and coding",
     RAW(POST "Content-Length: 19\r\nTransfer-Encoding: chunked\r\n\r\n" LAST)},
    {"coding and length", RAW(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" LAST)},
    {"two lengths", RAW(POST "Content-Length: 19\r\nContent-Length: 20\r\n\r\n" BODY)},
    {"two equal lengths", RAW(POST "Content-Length: 19\r\nContent-Length: 19\r\n\r\n" BODY)},
    {"list of lengths", RAW(POST "Content-Length: 19, 19\r\n\r\n" BODY)},
    {"length with a sign", RAW(POST "Content-Length: +19\r\n\r\n" BODY)},
    {"negative length", RAW(POST "Content-Length: -1\r\n\r\n" BODY)},
    {"length in hex", RAW(POST "Content-Length: 0x13\r\n\r\n" BODY)},
    {"length with a blank", RAW(POST "Content-Length: 1 9\r\n\r\n" BODY)},
    {"length with text", RAW(POST "Content-Length: 19a\r\n\r\n" BODY)},
    {"empty length", RAW(POST "Content-Length: \r\n\r\n" BODY)},
    {"length past 64 bits", RAW(POST "Content-Length: 18446744073709551617\r\n\r\n" BODY)},
    {"length that wraps", RAW(POST "Content-Length: 99999999999999999999999\r\n\r\n" BODY)},
    {"length as a fraction", RAW(POST "Content-Length: 19.0\r\n\r\n" BODY)},
    {"length with an underscore", RAW(POST "Content-Length: 1_9\r\n\r\n" BODY)},
    {"coding: identity", RAW(POST "Transfer-Encoding: identity\r\n\r\n" BODY)},
    {"coding: gzip, chunked", RAW(POST "Transfer-Encoding: gzip, chunked\r\n\r\n" LAST)},
    {"coding: chunked, gzip", RAW(POST "Transfer-Encoding: chunked, gzip\r\n\r\n" LAST)},
    {"coding: chunked twice", RAW(POST "Transfer-Encoding: chunked, chunked\r\n\r\n" LAST)},
    {"two codings",
     RAW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" LAST)},
    {"two codings, one other",
     RAW(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" LAST)},
    {"coding: xchunked", RAW(POST "Transfer-Encoding: xchunked\r\n\r\n" LAST)},
    {"coding: chunked with a parameter", RAW(POST "Transfer-Encoding: chunked;q=1\r\n\r\n" LAST)},
    {"coding: quoted", RAW(POST "Transfer-Encoding: \"chunked\"\r\n\r\n" LAST)},
    {"coding: vertical tab", RAW(POST "Transfer-Encoding: \x0b"
                                      "chunked\r\n\r\n" LAST)},
    {"coding: empty", RAW(POST "Transfer-Encoding:\r\n\r\n" LAST)},
    {"coding: cut name", RAW(POST "Transfer-Encoding : chunked\r\n\r\n" LAST)},
    {"coding in HTTP/1.0", RAW("POST /v1/demo/namespaces HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: "
                               "chunked\r\n\r\n" LAST)},
    /* Chunks. */
    {"chunk size: no hex", RAW(POST CHUNKED "xyz\r\n")},
    {"chunk size: empty", RAW(POST CHUNKED "\r\n")},
    {"chunk size: 0x", RAW(POST CHUNKED "0x" CHUNK LAST)},
    {"chunk size: sign", RAW(POST CHUNKED "+" CHUNK LAST)},
    {"chunk size: minus", RAW(POST CHUNKED "-1\r\n\r\n" LAST)},
    {"chunk size: blank before", RAW(POST CHUNKED " " CHUNK LAST)},
    {"chunk size: past 64 bits", RAW(POST CHUNKED "100000000000000" CHUNK LAST)},
    {"chunk size: all ones", RAW(POST CHUNKED "ffffffffffffffff\r\n" BODY "\r\n" LAST)},
    {"chunk size: bare LF", RAW(POST CHUNKED "13\n" BODY "\r\n" LAST)},
    {"chunk size: bare CR", RAW(POST CHUNKED "13\r" BODY "\r\n" LAST)},
    {"chunk: longer than said", RAW(POST CHUNKED "12\r\n" BODY "\r\n" LAST)},
    {"chunk: LF behind the data", RAW(POST CHUNKED "13\r\n" BODY "\n0\r\n\r\n")},
    {"chunk: extension with NUL", RAW(POST CHUNKED "13;a=\0\r\n" BODY "\r\n" LAST)},
    {"chunk: extension with LF", RAW(POST CHUNKED "13;a=b\n" BODY "\r\n" LAST)},
    {"last chunk: LF", RAW(POST CHUNKED "13\r\n" BODY "\r\n0\n\r\n")},
    {"last chunk: LF at the end", RAW(POST CHUNKED "13\r\n" BODY "\r\n0\r\n\n")},
    /* Lines. */
    {"bare LF in the request line", RAW("GET /health/live HTTP/1.1\nHost: a\r\n\r\n")},
    {"bare LF behind a field", RAW(GET "Host: a\n\r\n")},
    {"bare LF at the end", RAW(GET "Host: a\r\n\n")},
    {"bare LF everywhere", RAW("GET /health/live HTTP/1.1\nHost: a\n\n")},
    {"bare CR in a value", RAW(GET HOST "X: a\rb\r\n\r\n")},
    {"bare CR in a name", RAW(GET HOST "X\r: a\r\n\r\n")},
    {"CR CR LF", RAW(GET HOST "X: a\r\r\n\r\n")},
    {"CR behind the version", RAW("GET /health/live HTTP/1.1\r\r\nHost: a\r\n\r\n")},
    {"folded line", RAW(GET HOST "X: a\r\n b\r\n\r\n")},
    {"folded line, tab", RAW(GET HOST "X: a\r\n\tb\r\n\r\n")},
    {"folded first line", RAW(GET " Host: a\r\n\r\n")},
    {"folded coding", RAW(POST "Transfer-Encoding:\r\n chunked\r\n\r\n" LAST)},
    {"line of blanks", RAW(GET HOST "   \r\n\r\n")},
    /* Names. */
    {"blank before the colon", RAW(GET HOST "X : a\r\n\r\n")},
    {"tab before the colon", RAW(GET HOST "X\t: a\r\n\r\n")},
    {"blank before the length's colon", RAW(POST "Content-Length : 19\r\n\r\n" BODY)},
    {"no colon", RAW(GET HOST "X\r\n\r\n")},
    {"no name", RAW(GET HOST ": a\r\n\r\n")},
    {"blank in a name", RAW(GET HOST "X Y: a\r\n\r\n")},
    {"NUL in a name", RAW(GET HOST "X\0Y: a\r\n\r\n")},
    {"NUL in a value", RAW(GET HOST "X: a\0b\r\n\r\n")},
    {"NUL in Host", RAW(GET "Host: loc\0alhost\r\n\r\n")},
    {"DEL in a value", RAW(GET HOST "X: a\x7f\r\n\r\n")},
    {"escape in a value", RAW(GET HOST "X: a\x1b[0m\r\n\r\n")},
    {"bell in a value", RAW(GET HOST "X: \a\r\n\r\n")},
    {"name in parentheses", RAW(GET HOST "(X): a\r\n\r\n")},
    {"name with a byte above 127", RAW(GET HOST "X\xc3\xa4: a\r\n\r\n")},
    {"name in quotes", RAW(GET HOST "\"X\": a\r\n\r\n")},
    {"name with a slash", RAW(GET HOST "X/Y: a\r\n\r\n")},
    /* The request line. */
    {"two blanks before the target", RAW("GET  /health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"two blanks behind the target", RAW("GET /health/live  HTTP/1.1\r\n" HOST "\r\n")},
    {"tab between", RAW("GET\t/health/live\tHTTP/1.1\r\n" HOST "\r\n")},
    {"blank at the end", RAW("GET /health/live HTTP/1.1 \r\n" HOST "\r\n")},
    {"blank before the method", RAW(" GET /health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"no version", RAW("GET /health/live\r\n" HOST "\r\n")},
    {"HTTP/0.9", RAW("GET /health/live HTTP/0.9\r\n" HOST "\r\n")},
    {"HTTP/1.2", RAW("GET /health/live HTTP/1.2\r\n" HOST "\r\n")},
    {"HTTP/2.0", RAW("GET /health/live HTTP/2.0\r\n" HOST "\r\n")},
    {"HTTP/1.10", RAW("GET /health/live HTTP/1.10\r\n" HOST "\r\n")},
    {"HTTP/11", RAW("GET /health/live HTTP/11\r\n" HOST "\r\n")},
    {"http/1.1", RAW("GET /health/live http/1.1\r\n" HOST "\r\n")},
    {"HTTPS/1.1", RAW("GET /health/live HTTPS/1.1\r\n" HOST "\r\n")},
    {"HTTP/1,1", RAW("GET /health/live HTTP/1,1\r\n" HOST "\r\n")},
    {"lower-case method", RAW("get /health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"method with a colon", RAW("G:T /health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"method with NUL", RAW("GET\0 /health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"no method", RAW("/health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"target without a slash", RAW("GET health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"target with NUL", RAW("GET /health/live\0 HTTP/1.1\r\n" HOST "\r\n")},
    {"target with a tab", RAW("GET /health\t/live HTTP/1.1\r\n" HOST "\r\n")},
    {"target with a bare byte", RAW("GET /health/live?\xff HTTP/1.1\r\n" HOST "\r\n")},
    {"target with DEL", RAW("GET /health/live?\x7f HTTP/1.1\r\n" HOST "\r\n")},
    {"CONNECT", RAW("CONNECT localhost:1 HTTP/1.1\r\n" HOST "\r\n")},
    {"asterisk for GET", RAW("GET * HTTP/1.1\r\n" HOST "\r\n")},
    {"preface, cut", RAW("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")},
    {"preface with a body", RAW("PRI * HTTP/2.0\r\nHost: a\r\n\r\n")},
    /* Host. */
    {"no Host", RAW(GET "\r\n")},
    {"two Hosts", RAW(GET "Host: a\r\nHost: b\r\n\r\n")},
    {"two equal Hosts", RAW(GET "Host: a\r\nHost: a\r\n\r\n")},
    {"two Hosts, other case", RAW(GET "Host: a\r\nhOsT: b\r\n\r\n")},
    {"another host in the target", RAW("GET http://other/health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"user in the target", RAW("GET http://u@localhost/health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"another scheme", RAW("GET file:///etc/passwd HTTP/1.1\r\n" HOST "\r\n")},
    {"no host in the target", RAW("GET http:///health/live HTTP/1.1\r\n" HOST "\r\n")},
    {"another port in the target",
     RAW("GET http://localhost:1/health/live HTTP/1.1\r\n" HOST "\r\n")},
    /* Who it is, and what is wanted of whom. */
    {"two credentials", RAW(GET HOST "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n")},
    {"a fragment", RAW("GET /health/live#a HTTP/1.1\r\n" HOST "\r\n")},
    /* Expectations, and what is no HTTP. */
    {"unknown expectation", RAW(MAKE HOST "Expect: magic\r\n\r\n")},
    {"TLS hello", RAW("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
    {"SSH", RAW("SSH-2.0-OpenSSH_9.2\r\n\r\n")},
    {"zeros", RAW("\0\0\0\0\0\0\0\0\r\n\r\n")},
    {"SMTP", RAW("EHLO example\r\n\r\n")},
    {"PROXY protocol", RAW("PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" GET HOST "\r\n")},
};

static void test_http1__ambiguous_requests_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ambiguous / sizeof ambiguous[0]; i++)
        check_refused(ambiguous[i].name, ambiguous[i].request);
}

/* Every byte that may not stand in a name, a value, a method or a target. */
static void test_http1__every_control_byte_is_refused(void **state)
{
    static const struct {
        const char *name, *before, *after;
    } places[] = {
        {"value", GET HOST "X: a", "b\r\n\r\n"},
        {"name", GET HOST "X", "Y: b\r\n\r\n"},
        {"target", "GET /health/live?a", "b HTTP/1.1\r\n" HOST "\r\n"},
        {"method", "G", "T /health/live HTTP/1.1\r\n" HOST "\r\n"},
    };
    (void)state;
    for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
        for (unsigned c = 0; c < 0x21; c++) {
            char request[256], name[64];
            if (c == '\n' || c == '\r' || (p == 0 && (c == '\t' || c == ' ')))
                continue;
            size_t len = strlen(places[p].before);
            memcpy(request, places[p].before, len);
            request[len++] = (char)(c == 0x20 && p < 1 ? 0x7f : c);
            memcpy(request + len, places[p].after, strlen(places[p].after));
            len += strlen(places[p].after);
            (void)snprintf(name, sizeof name, "%s with %#x", places[p].name, c);
            check_refused(name, (raw){request, len});
        }
    }
}

static const struct {
    const char *name;
    raw request;
    unsigned replies; /* that of the last request included */
} unusual[] = {
    {"plain", RAW(GET HOST "\r\n"), 2},
    {"names in any case", RAW(GET "hOST: localhost\r\n\r\n"), 2},
    {"no blank behind the colon", RAW(GET "Host:localhost\r\n\r\n"), 2},
    {"blanks around a value", RAW(GET "Host: \t localhost \t \r\n\r\n"), 2},
    {"empty value", RAW(GET HOST "X:\r\n\r\n"), 2},
    {"tab in a value", RAW(GET HOST "X: a\tb\r\n\r\n"), 2},
    {"bytes above 127 in a value", RAW(GET HOST "X: \xc3\xa4\xff\r\n\r\n"), 2},
    {"all characters of a name", RAW(GET HOST "!#$%&'*+-.^_`|~0aZ: a\r\n\r\n"), 2},
    {"the host in the target", RAW("GET http://localhost/health/live HTTP/1.1\r\n" HOST "\r\n"), 2},
    {"the host in the target, other case",
     RAW("GET http://LOCALHOST/health/live HTTP/1.1\r\n" HOST "\r\n"), 2},
    {"query", RAW("GET /health/live?a=b&c=%20 HTTP/1.1\r\n" HOST "\r\n"), 2},
    {"HEAD", RAW("HEAD /health/live HTTP/1.1\r\n" HOST "\r\n"), 2},
    {"length 0 in a GET", RAW(GET HOST "Content-Length: 0\r\n\r\n"), 2},
    {"length with blanks around", RAW(POST "Content-Length:   19  \r\n\r\n" BODY), 2},
    {"coding with blanks around", RAW(POST "Transfer-Encoding:  chunked \t\r\n\r\n" CHUNK LAST), 2},
    {"length with zeros before", RAW(POST "Content-Length: 0019\r\n\r\n" BODY), 2},
    {"body by length", RAW(POST "Content-Length: 19\r\n\r\n" BODY), 2},
    {"body in a chunk", RAW(POST CHUNKED CHUNK LAST), 2},
    {"coding in any case", RAW(POST "tRANSFER-eNCODING: CHUNKED\r\n\r\n" CHUNK LAST), 2},
    {"chunk size with zeros before", RAW(POST CHUNKED "00013\r\n" BODY "\r\n000\r\n\r\n"), 2},
    {"body in three chunks",
     RAW(POST CHUNKED "1\r\n{\r\n10\r\n\"namespace\":[\"a\"\r\n2\r\n]}\r\n" LAST), 2},
    {"three at once", RAW(GET HOST "\r\n" GET HOST "\r\n" GET HOST "\r\n"), 4},
    {"a body and then a request", RAW(POST "Content-Length: 19\r\n\r\n" BODY GET HOST "\r\n"), 3},
    {"HTTP/1.0, kept", RAW("GET /health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 2},
    {"HTTP/1.0", RAW("GET /health/live HTTP/1.0\r\n\r\n"), 1},
    {"close", RAW(GET HOST "Connection: close\r\n\r\n"), 1},
    {"close among others", RAW(GET HOST "Connection: x, CLOSE\r\n\r\n"), 1},
};

static void test_http1__unusual_requests_work(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof unusual / sizeof unusual[0]; i++)
        check_taken(unusual[i].name, unusual[i].request, unusual[i].replies);
}

/* An Upgrade is never followed. */
static void test_http1__nobody_is_upgraded(void **state)
{
    static const char request[] = GET HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                           "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    char reply[4096];
    bool closed;
    (void)state;
    int fd = wire_connect(&f);
    wire_send(fd, request, sizeof request - 1);
    size_t len = wire_read_all(fd, reply, sizeof reply, 300, &closed);
    close(fd);
    assert_true(len > 12);
    assert_memory_equal(reply, "HTTP/1.1 ", 9);
    assert_memory_not_equal(reply + 9, "101", 3);
    http_canary(&f);
}

/* ---- limits ---- */

static int status_of(const char *request, size_t len)
{
    http_reply reply;
    int fd = wire_connect(&f);
    (void)wire_try_send(fd, request, len);
    http_read(fd, false, &reply);
    int status = reply.status;
    const char *connection = http_header(&reply, "Connection");
    assert_true(status < 400 || (connection != NULL && strcmp(connection, "close") == 0));
    http_free(&reply);
    close(fd);
    http_canary(&f);
    return status;
}

/* Head + `n` times `fill` + tail. */
static int status_of_filled(const char *head, char fill, size_t n, const char *tail)
{
    size_t len = strlen(head) + n + strlen(tail);
    char *request = malloc(len);
    assert_non_null(request);
    memcpy(request, head, strlen(head));
    memset(request + strlen(head), fill, n);
    memcpy(request + strlen(head) + n, tail, strlen(tail));
    int status = status_of(request, len);
    free(request);
    return status;
}

static void test_http1__limits_have_their_status(void **state)
{
    char many[16384] = GET HOST;
    (void)state;
    assert_int_equal(status_of_filled("GET /", 'a', 9000, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    assert_int_equal(status_of_filled("GET /", 'a', 40000, " HTTP/1.1\r\n" HOST "\r\n"), 414);
    assert_int_equal(status_of_filled("GET /", 'a', 40000, ""), 414); /* no end of it has come */
    assert_int_equal(status_of_filled("", 'G', 40000, " / HTTP/1.1\r\n" HOST "\r\n"), 431);
    assert_int_equal(status_of_filled(GET HOST "X: ", 'a', 17000, "\r\n\r\n"), 431);
    assert_int_equal(status_of_filled(GET HOST, 'a', 17000, ": a\r\n\r\n"), 431);
    assert_int_equal(status_of_filled(GET HOST "X: ", 'a', 12000, "\r\n\r\n"), 200);
    for (size_t i = 0; i < 150; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), "X-%zu: a\r\n", i);
    memcpy(many + strlen(many), "\r\n", 3);
    assert_int_equal(status_of(many, strlen(many)), 431);
    static const char large[] = POST "Content-Length: 100000000\r\n\r\n{";
    assert_int_equal(status_of(large, sizeof large - 1), 413);
    static const char huge[] = POST "Content-Length: 999999999999999999\r\n\r\n{";
    assert_int_equal(status_of(huge, sizeof huge - 1), 413);
    static const char packed[] = POST "Content-Encoding: gzip\r\nContent-Length: 19\r\n\r\n" BODY;
    assert_int_equal(status_of(packed, sizeof packed - 1), 415);
    static const char strange[] = MAKE HOST
        "Content-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>";
    assert_int_equal(status_of(strange, sizeof strange - 1), 415);
    static const char lone[] = MAKE HOST "Expect: magic\r\n\r\n";
    assert_int_equal(status_of(lone, sizeof lone - 1), 417);
}

/* A body that grows past the limit, in chunks, so that no length tells. */
static void test_http1__chunks_past_the_limit_are_refused(void **state)
{
    static const char head[] = POST CHUNKED;
    http_reply reply;
    char chunk[65536 + 16];
    (void)state;
    int fd = wire_connect(&f);
    int len = snprintf(chunk, sizeof chunk, "10000\r\n");
    memset(chunk + len, ' ', 65536);
    memcpy(chunk + len + 65536, "\r\n", 2);
    wire_send(fd, head, sizeof head - 1);
    for (size_t i = 0; i < 320; i++) {
        if (!wire_try_send(fd, chunk, (size_t)len + 65538))
            break;
    }
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 413);
    http_free(&reply);
    close(fd);
    http_canary(&f);
}

/* ---- replies ---- */

static void test_http1__replies_without_bodies_have_none(void **state)
{
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {"HEAD /v1/demo/namespaces/a/tables/t HTTP/1.1\r\n" HOST "\r\n", 204},
        {"HEAD /v1/config?warehouse=size-5000 HTTP/1.1\r\n" HOST "\r\n", 200},
        {"HEAD /health/live HTTP/1.1\r\n" HOST "\r\n", 200},
        {"HEAD /nothing-here HTTP/1.1\r\n" HOST "\r\n", 404},
        {"DELETE /v1/demo/namespaces/a HTTP/1.1\r\n" HOST "\r\n", 204},
        {"GET /v1/same/namespaces/a/tables/t HTTP/1.1\r\n" HOST "If-None-Match: \"tag-1\"\r\n\r\n",
         304},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        http_reply reply;
        int fd = wire_connect(&f);
        wire_send(fd, cases[i].request, strlen(cases[i].request));
        http_read(fd, true, &reply);
        assert_int_equal(reply.status, cases[i].status);
        assert_null(http_header(&reply, "Transfer-Encoding"));
        if (reply.status == 204)
            assert_null(http_header(&reply, "Content-Length"));
        http_free(&reply);
        /* Were there a body, it would stand before this reply. */
        wire_send(fd, smuggled, sizeof smuggled - 1);
        http_read(fd, false, &reply);
        assert_int_equal(reply.status, 200);
        assert_non_null(strstr(reply.body, "alive"));
        http_free(&reply);
        close(fd);
    }
}

static void test_http1__pipelined_replies_come_in_order(void **state)
{
    static const char *const words[] = {"slow-80", "first", "slow-20", "size-100000", "last"};
    char requests[2048] = "";
    (void)state;
    for (size_t i = 0; i < 5; i++)
        (void)snprintf(requests + strlen(requests), sizeof requests - strlen(requests),
                       "GET /v1/config?warehouse=%s HTTP/1.1\r\n" HOST "X-Request-Id: n%zu\r\n\r\n",
                       words[i], i);
    int fd = wire_connect(&f);
    wire_send(fd, requests, strlen(requests));
    for (size_t i = 0; i < 5; i++) {
        char id[8];
        http_reply reply;
        http_read(fd, false, &reply);
        assert_int_equal(reply.status, 200);
        (void)snprintf(id, sizeof id, "n%zu", i);
        assert_string_equal(http_header(&reply, "X-Request-Id"), id);
        http_free(&reply);
    }
    close(fd);
}

/* A request cut into single bytes, with a pause here and there. */
static void test_http1__bytes_may_come_one_by_one(void **state)
{
    static const char request[] = POST CHUNKED "5\r\n{\"nam\r\ne\r\n"
                                               "espace\":[\"a\"]}\r\n0\r\n\r\n" GET HOST "\r\n";
    http_reply reply;
    (void)state;
    int fd = wire_connect(&f);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        wire_send(fd, request + i, 1);
        if (i % 16 == 0)
            usleep(1000);
    }
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "made"));
    http_free(&reply);
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 200);
    http_free(&reply);
    close(fd);
}

static void test_http1__continue_is_said_when_waited_for(void **state)
{
    static const char head[] = POST "Content-Length: 19\r\nExpect: 100-continue\r\n\r\n";
    static const char refused[] = POST "Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n";
    char line[64];
    bool closed;
    http_reply reply;
    (void)state;
    int fd = wire_connect(&f);
    wire_send(fd, head, sizeof head - 1);
    size_t len = wire_read_all(fd, line, 25, PATIENCE_MS, &closed);
    assert_int_equal(len, 25);
    assert_memory_equal(line, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    wire_send(fd, BODY, 19);
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 200);
    http_free(&reply);
    close(fd);
    fd = wire_connect(&f);
    wire_send(fd, refused, sizeof refused - 1);
    len = wire_read_all(fd, line, 12, PATIENCE_MS, &closed);
    assert_int_equal(len, 12);
    assert_memory_equal(line, "HTTP/1.1 413", 12);
    close(fd);
}

static void test_http1__a_whole_list_is_streamed(void **state)
{
    http_reply reply;
    (void)state;
    assert_int_equal(http_get(&f, "/v1/pages-300/namespaces", "", &reply), 200);
    assert_non_null(http_header(&reply, "Transfer-Encoding"));
    assert_memory_equal(reply.body, "{\"namespaces\":[[\"ns0\"],[\"ns1\"],", 31);
    assert_non_null(strstr(reply.body, "[\"ns299\"]]}"));
    http_free(&reply);
    /* To HTTP/1.0 the end of the connection is the end of the list. */
    static const char old[] = "GET /v1/pages-20/namespaces HTTP/1.0\r\n\r\n";
    int fd = wire_connect(&f);
    wire_send(fd, old, sizeof old - 1);
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 200);
    assert_null(http_header(&reply, "Transfer-Encoding"));
    assert_true(reply.closed);
    assert_non_null(strstr(reply.body, "[\"ns19\"]]}"));
    http_free(&reply);
    close(fd);
}

/* ---- what is passed on and what comes back ---- */

static void test_http1__metadata_is_built_not_copied(void **state)
{
    static const char headers[] =
        "Authorization: Bearer abc\r\nX-Request-Id: my-id_1.2\r\nX-Pangolin-Tenant: t1\r\n"
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        "User-Agent: tester/1\r\nX-Other: secret\r\nCookie: c=secret\r\n"
        "grpc-status: 3\r\ngrpc-timeout: 1n\r\nx-user-bin: AAAA\r\nTE: trailers\r\n"
        "pangolin-client-address: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n"
        "pangolin-authorization: Bearer secret\r\n";
    static const char *const wanted[] = {"\"pangolin-authorization\":\"Bearer abc\"",
                                         "\"x-request-id\":\"my-id_1.2\"",
                                         "\"x-pangolin-tenant\":\"t1\"",
                                         "\"pangolin-client-address\":\"127.0.0.1\"",
                                         "\"pangolin-user-agent\":\"tester/1\"",
                                         "\"traceparent\":\"00-0af7651916cd43dd",
                                         "\"te\":\"trailers\"",
                                         "\"content-type\":\"application/grpc\"",
                                         "\"grpc-timeout\":\""};
    static const char *const unwanted[] = {
        "secret",  "6.6.6.6", "x-user-bin", "grpc-status", "\"grpc-timeout\":\"1n\"",
        "x-other", "cookie"};
    http_reply reply;
    (void)state;
    assert_int_equal(http_get(&f, "/v1/config?warehouse=meta", headers, &reply), 200);
    assert_string_equal(http_header(&reply, "X-Request-Id"), "my-id_1.2");
    assert_null(http_header(&reply, "X-Secret-Of-The-Core"));
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strstr(reply.body, wanted[i]) == NULL)
            fail_msg("no %s in %s", wanted[i], reply.body);
    }
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++) {
        if (strstr(reply.body, unwanted[i]) != NULL)
            fail_msg("%s in %s", unwanted[i], reply.body);
    }
    http_free(&reply);
}

static void test_http1__request_ids_are_checked(void **state)
{
    static const struct {
        const char *sent;
        bool kept;
    } cases[] = {
        {"a", true},     {"A-Z_0.9", true}, {"a b", false}, {"a/b", false},
        {"a\"b", false}, {"", false},       {"{}", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[64];
        http_reply reply;
        (void)snprintf(header, sizeof header, "X-Request-Id: %s\r\n", cases[i].sent);
        assert_int_equal(http_get(&f, "/health/live", header, &reply), 200);
        const char *id = http_header(&reply, "X-Request-Id");
        assert_non_null(id);
        assert_int_equal(strcmp(id, cases[i].sent) == 0, cases[i].kept);
        if (!cases[i].kept)
            assert_int_equal(strlen(id), 36);
        http_free(&reply);
    }
    char longest[256] = "X-Request-Id: ";
    memset(longest + strlen(longest), 'a', 129);
    memcpy(longest + 14 + 129, "\r\n", 3);
    http_reply reply;
    assert_int_equal(http_get(&f, "/health/live", longest, &reply), 200);
    assert_int_equal(strlen(http_header(&reply, "X-Request-Id")), 36);
    http_free(&reply);
}

static void test_http1__failures_become_errors(void **state)
{
    static const struct {
        int code, status;
    } cases[] = {{3, 400}, {5, 404}, {6, 409}, {7, 403}, {10, 409}, {14, 503}, {16, 401}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[64], code[32];
        http_reply reply;
        (void)snprintf(path, sizeof path, "/v1/config?warehouse=status-%d", cases[i].code);
        assert_int_equal(http_get(&f, path, "", &reply), cases[i].status);
        (void)snprintf(code, sizeof code, "\"code\":%d", cases[i].status);
        assert_non_null(strstr(reply.body, code));
        assert_non_null(strstr(reply.body, "\"type\":\"TestReason\""));
        assert_non_null(strstr(reply.body, "it \\\"failed\\\" \xc3\xbc"));
        assert_string_equal(http_header(&reply, "Retry-After"), "7");
        http_free(&reply);
    }
}

static void test_http1__what_is_not_authenticated_names_a_scheme(void **state)
{
    static const struct {
        const char *sent, *named;
    } cases[] = {
        {"", "Bearer realm=\"pangolin\""},
        {"Authorization: Bearer a.b.c\r\n", "Bearer realm=\"pangolin\""},
        {"Authorization: Basic\r\n", "Bearer realm=\"pangolin\""},
        {"Authorization: bASIC cm9vdDpy\r\n", "Basic realm=\"pangolin\""},
    };
    http_reply reply;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(http_get(&f, "/v1/config?warehouse=status-16", cases[i].sent, &reply),
                         401);
        assert_string_equal(http_header(&reply, "WWW-Authenticate"), cases[i].named);
        http_free(&reply);
    }
    assert_int_equal(http_get(&f, "/v1/config?warehouse=status-7", "", &reply), 403);
    assert_null(http_header(&reply, "WWW-Authenticate"));
    http_free(&reply);
}

static void test_http1__large_replies_are_packed_when_asked(void **state)
{
    http_reply reply;
    (void)state;
    assert_int_equal(
        http_get(&f, "/v1/config?warehouse=size-5000", "Accept-Encoding: gzip\r\n", &reply), 200);
    assert_string_equal(http_header(&reply, "Content-Encoding"), "gzip");
    assert_true(reply.len < 1000);
    assert_memory_equal(reply.body, "\x1f\x8b", 2);
    http_free(&reply);
    static const char *const plain[] = {"", "Accept-Encoding: identity\r\n",
                                        "Accept-Encoding: gzip;q=0\r\n",
                                        "Accept-Encoding: br, *;q=0\r\n"};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        assert_int_equal(http_get(&f, "/v1/config?warehouse=size-5000", plain[i], &reply), 200);
        assert_null(http_header(&reply, "Content-Encoding"));
        assert_true(reply.len > 5000);
        http_free(&reply);
    }
    /* A strong tag would claim that packed and plain are the same bytes. */
    assert_int_equal(
        http_get(&f, "/v1/size-5000/namespaces/a/tables/t", "Accept-Encoding: gzip\r\n", &reply),
        200);
    assert_string_equal(http_header(&reply, "ETag"), "W/\"tag-1\"");
    http_free(&reply);
    assert_int_equal(http_get(&f, "/v1/size-5000/namespaces/a/tables/t", "", &reply), 200);
    assert_string_equal(http_header(&reply, "ETag"), "\"tag-1\"");
    http_free(&reply);
}

static void test_http1__large_bodies_go_both_ways(void **state)
{
    enum { SIZE = 900 * 1024, REPLY = 12 << 20 };
    static const char first[] = "{\"namespace\":[\"a\"],\"properties\":{\"k\":\"", last[] = "\"}}";
    char head[256], path[64];
    http_reply reply;
    (void)state;
    char *body = malloc(SIZE);
    assert_non_null(body);
    memset(body, 'y', SIZE);
    memcpy(body, first, sizeof first - 1);
    memcpy(body + SIZE - (sizeof last - 1), last, sizeof last - 1);
    int len = snprintf(head, sizeof head, POST "Content-Length: %d\r\n\r\n", SIZE);
    int fd = wire_connect(&f);
    wire_send(fd, head, (size_t)len);
    wire_send(fd, body, SIZE);
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 200);
    free(body);
    http_free(&reply);
    close(fd);
    (void)snprintf(path, sizeof path, "/v1/config?warehouse=size-%d", REPLY);
    assert_int_equal(http_get(&f, path, "", &reply), 200);
    assert_true(reply.len > REPLY);
    assert_memory_equal(reply.body + REPLY, "xxx", 3);
    http_free(&reply);
}

static void test_http1__nothing_leaks_over_many_connections(void **state)
{
    (void)state;
    http_canary(&f);
    usleep(300000);
    size_t before = fixture_descriptors(&f);
    for (size_t i = 0; i < 200; i++)
        http_canary(&f);
    for (int64_t until = wire_now() + PATIENCE_MS;
         fixture_descriptors(&f) > before && wire_now() < until;)
        usleep(10000);
    assert_true(fixture_descriptors(&f) <= before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1__ambiguous_requests_are_refused),
        cmocka_unit_test(test_http1__every_control_byte_is_refused),
        cmocka_unit_test(test_http1__unusual_requests_work),
        cmocka_unit_test(test_http1__nobody_is_upgraded),
        cmocka_unit_test(test_http1__limits_have_their_status),
        cmocka_unit_test(test_http1__chunks_past_the_limit_are_refused),
        cmocka_unit_test(test_http1__replies_without_bodies_have_none),
        cmocka_unit_test(test_http1__pipelined_replies_come_in_order),
        cmocka_unit_test(test_http1__bytes_may_come_one_by_one),
        cmocka_unit_test(test_http1__continue_is_said_when_waited_for),
        cmocka_unit_test(test_http1__a_whole_list_is_streamed),
        cmocka_unit_test(test_http1__metadata_is_built_not_copied),
        cmocka_unit_test(test_http1__request_ids_are_checked),
        cmocka_unit_test(test_http1__failures_become_errors),
        cmocka_unit_test(test_http1__what_is_not_authenticated_names_a_scheme),
        cmocka_unit_test(test_http1__large_replies_are_packed_when_asked),
        cmocka_unit_test(test_http1__large_bodies_go_both_ways),
        cmocka_unit_test(test_http1__nothing_leaks_over_many_connections),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
