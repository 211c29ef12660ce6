/*
 * HTTP/2: what works, what is refused, and what attacks cost. An attacked bridge goes on serving
 * others, and neither its memory nor its time follows the attacker's wishes.
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

#include "tests/bridge/h2_wire.h"

/* Sanitizers keep freed memory and take their time. */
#ifdef PANG_SANITIZED
enum { COSTS_COUNT = 0, ATTACK = 10 };
#else
enum { COSTS_COUNT = 1, ATTACK = 1 };
#endif
enum { RSS_GROWTH_MAX = 16 << 20 };
#define CPU_MAX 1.5 /* seconds; a quiet machine needs a third of it for the dearest */

static fixture f;
static size_t rss_before;
static double cpu_before;

static int setup(void **state)
{
    (void)state;
    fixture_start(&f, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_stop(&f);
    return 0;
}

static void attack_begin(void)
{
    http_canary(&f);
    rss_before = fixture_rss(&f);
    cpu_before = fixture_cpu(&f);
}

static void attack_end(const char *name)
{
    http_canary(&f);
    size_t rss = fixture_rss(&f);
    double cpu = fixture_cpu(&f) - cpu_before;
    if (COSTS_COUNT && rss > rss_before + RSS_GROWTH_MAX)
        fail_msg("%s: %zu bytes more", name, rss - rss_before);
    if (COSTS_COUNT && cpu > CPU_MAX)
        fail_msg("%s: %.2f s of CPU", name, cpu);
}

/* ---- what works ---- */

static void test_http2__requests_are_answered(void **state)
{
    static const struct {
        const char *path;
        int status;
    } cases[] = {
        {"/health/live", 200},
        {"/health/ready", 200},
        {"/metrics", 200},
        {"/v1/config?warehouse=plain", 200},
        {"/v1/config?warehouse=size-100000", 200},
        {"/v1/config?warehouse=status-5", 404},
        {"/v1/pages-30/namespaces", 200},
        {"/v1/same/namespaces/a/tables/t", 304},
        {"/nothing-here", 404},
    };
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        h2_reply reply;
        uint32_t stream = (uint32_t)(2 * i + 1);
        assert_true(h2_get(&c, stream, cases[i].path));
        h2_read(&c, stream, true, PATIENCE_MS, &reply);
        if (reply.status != cases[i].status || !reply.ended)
            fail_msg("%s: %d", cases[i].path, reply.status);
        assert_non_null(h2_field(&reply, "x-request-id"));
        assert_true(reply.status != 304 || reply.len == 0);
        h2_free(&reply);
    }
    h2_close(&c);
}

static void test_http2__bodies_and_heads(void **state)
{
    static const char body[] = "{\"namespace\":[\"a\"]}";
    h2_block block;
    h2_reply reply;
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    h2_begin(&block, "POST", "/v1/demo/namespaces");
    h2_add(&block, "content-type", "application/json");
    assert_true(h2_headers(&c, 1, &block, 0));
    assert_true(h2_send(&c, H2_DATA, 0, 1, body, 10));
    assert_true(h2_send(&c, H2_DATA, 0, 1, "", 0));
    assert_true(h2_send(&c, H2_DATA, H2_END_STREAM, 1, body + 10, sizeof body - 11));
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    assert_non_null(strstr(reply.body, "made"));
    h2_free(&reply);
    h2_begin(&block, "HEAD", "/v1/config?warehouse=size-3000");
    assert_true(h2_headers(&c, 3, &block, H2_END_STREAM));
    h2_read(&c, 3, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.len, 0);
    assert_true(reply.ended);
    h2_free(&reply);
    /* A length that lies. */
    h2_begin(&block, "POST", "/v1/demo/namespaces");
    h2_add(&block, "content-length", "5");
    assert_true(h2_headers(&c, 5, &block, 0));
    assert_true(h2_send(&c, H2_DATA, H2_END_STREAM, 5, body, sizeof body - 1));
    h2_read(&c, 5, true, PATIENCE_MS, &reply);
    assert_true(reply.reset || reply.status >= 400);
    h2_free(&reply);
    h2_close(&c);
}

static void test_http2__slow_streams_hold_up_nobody(void **state)
{
    h2_reply reply;
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    assert_true(h2_get(&c, 1, "/v1/config?warehouse=slow-400"));
    assert_true(h2_get(&c, 3, "/v1/config?warehouse=plain"));
    int64_t begin = wire_now();
    h2_read(&c, 3, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    assert_true(wire_now() - begin < 390);
    h2_free(&reply);
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    h2_free(&reply);
    h2_close(&c);
}

/* A client that does not want data now gets none, and all of it once it does. */
static void test_http2__windows_are_kept(void **state)
{
    static const uint8_t closed[6] = {0, 4, 0, 0, 0, 0}, opened[6] = {0, 4, 0, 1, 0, 0};
    h2_reply reply;
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    assert_true(h2_send(&c, H2_SETTINGS, 0, 0, closed, sizeof closed));
    assert_true(h2_get(&c, 1, "/v1/config?warehouse=size-300000"));
    h2_read(&c, 1, true, 300, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.len, 0);
    h2_free(&reply);
    assert_true(h2_send(&c, H2_SETTINGS, 0, 0, opened, sizeof opened));
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_true(reply.ended);
    assert_true(reply.len > 300000);
    h2_free(&reply);
    h2_close(&c);
}

/* ---- what is refused ---- */

static void check_malformed(const char *name, const h2_block *block)
{
    h2_reply reply;
    h2 c;
    h2_open(&c, &f, true);
    assert_true(h2_headers(&c, 1, block, H2_END_STREAM));
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    if (!(reply.reset || reply.goaway || reply.closed || reply.status >= 400))
        fail_msg("%s: %d", name, reply.status);
    h2_free(&reply);
    h2_close(&c);
    http_canary(&f);
}

static void test_http2__malformed_requests_are_refused(void **state)
{
    static const struct {
        const char *name, *value;
    } added[] = {
        {"X-Upper", "a"},
        {"connection", "close"},
        {"transfer-encoding", "chunked"},
        {"upgrade", "h2c"},
        {"keep-alive", "timeout=5"},
        {"te", "gzip"},
        {":path", "/health/live"},
        {":unknown", "a"},
        {":status", "200"},
        {"host", "other"},
        {"content-length", "x"},
        {"bad name", "a"},
        {"", "a"},
        {"x", "a\rb"},
        {"x", "a\nb"},
        {"x", "a\r\ny: b"},
        {"proxy-connection", "x"},
        {"content-length", "-1"},
    };
    static const char *const paths[] = {
        "health/live",      "",     "*",     "http://other/health/live",
        "/health/\x7flive", "/a b", "/\xff", "/a\tb"};
    h2_block block;
    (void)state;
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++) {
        h2_begin(&block, "GET", "/health/live");
        h2_add(&block, added[i].name, added[i].value);
        check_malformed(added[i].name, &block);
    }
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        h2_begin(&block, "GET", paths[i]);
        check_malformed(paths[i], &block);
    }
    h2_begin(&block, "GET", "/health/live");
    h2_add_bytes(&block, "x", 1, "a\0b", 3);
    check_malformed("NUL in a value", &block);
    h2_begin(&block, "GET", "/health/live");
    h2_add_bytes(&block, "x\0y", 3, "b", 1);
    check_malformed("NUL in a name", &block);
    h2_begin(&block, "GET", "/health/live");
    h2_add(&block, "authorization", "Bearer a");
    h2_add(&block, "authorization", "Bearer b");
    check_malformed("two credentials", &block);
    h2_begin(&block, "GET", "/health/live#a");
    check_malformed("a fragment", &block);
    static const char *const needed[] = {":method", ":scheme", ":path"};
    for (size_t i = 0; i < 3; i++) {
        block.len = 0;
        for (size_t j = 0; j < 3; j++) {
            if (j != i)
                h2_add(&block, needed[j], j == 2 ? "/health/live" : j == 1 ? "http" : "GET");
        }
        check_malformed(needed[i], &block);
    }
}

static void test_http2__large_headers_are_refused_alone(void **state)
{
    static char value[10000];
    h2_block block;
    h2_reply reply;
    h2 c;
    (void)state;
    memset(value, 'a', sizeof value);
    h2_open(&c, &f, true);
    assert_true(h2_get(&c, 1, "/v1/config?warehouse=slow-300"));
    h2_begin(&block, "GET", "/health/live");
    h2_add_bytes(&block, "x", 1, value, sizeof value);
    h2_add_bytes(&block, "y", 1, value, sizeof value);
    /* Two frames: one may have 16 KiB. */
    assert_true(h2_send(&c, H2_HEADERS, H2_END_STREAM, 3, block.bytes, 16000));
    assert_true(
        h2_send(&c, H2_CONTINUATION, H2_END_HEADERS, 3, block.bytes + 16000, block.len - 16000));
    h2_read(&c, 3, true, PATIENCE_MS, &reply);
    assert_true(reply.status == 431 || reply.reset);
    h2_free(&reply);
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    h2_free(&reply);
    h2_close(&c);
}

static void test_http2__a_long_target_is_refused_by_its_name(void **state)
{
    static char path[9000];
    h2_block block;
    h2_reply reply;
    h2 c;
    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    h2_open(&c, &f, true);
    h2_begin(&block, "GET", path);
    assert_true(h2_headers(&c, 1, &block, H2_END_STREAM));
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 414);
    h2_free(&reply);
    h2_close(&c);
}

static void test_http2__a_large_body_is_refused(void **state)
{
    static uint8_t spaces[16384];
    h2_block block;
    h2_reply reply;
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    h2_begin(&block, "POST", "/v1/demo/namespaces");
    h2_add(&block, "content-length", "100000000");
    assert_true(h2_headers(&c, 1, &block, 0));
    assert_true(h2_send(&c, H2_DATA, 0, 1, spaces, sizeof spaces));
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 413);
    h2_free(&reply);
    assert_true(h2_get(&c, 3, "/health/live"));
    h2_read(&c, 3, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    h2_free(&reply);
    h2_close(&c);
}

/* ---- attacks ---- */

/* Reads until the connection is gone; false when it still lives after `ms`. */
static bool is_gone(h2 *c, int ms)
{
    h2_reply reply;
    h2_read(c, 0x7ffffffe, false, ms, &reply);
    bool gone = reply.closed;
    h2_free(&reply);
    return gone;
}

static void test_http2__rapid_resets(void **state)
{
    static const uint8_t cancel[4] = {0, 0, 0, 8};
    h2 c;
    uint32_t stream = 1;
    (void)state;
    long before = core_count(&f, "streams");
    attack_begin();
    h2_open(&c, &f, true);
    for (size_t i = 0; i < 50000 / ATTACK; i++, stream += 2) {
        if (!h2_get(&c, stream, "/v1/config?warehouse=never") ||
            !h2_send(&c, H2_RST_STREAM, 0, stream, cancel, sizeof cancel))
            break;
    }
    assert_true(is_gone(&c, PATIENCE_MS));
    h2_close(&c);
    attack_end("rapid resets");
    assert_true(core_count(&f, "streams") - before < 3000);
}

/* As rapid resets, but it is we who reset: the window of each stream is opened too far. */
static void test_http2__resets_that_are_made_ours(void **state)
{
    static const uint8_t most[4] = {0x7F, 0xFF, 0xFF, 0xFF};
    h2 c;
    uint32_t stream = 1;
    (void)state;
    long before = core_count(&f, "streams");
    attack_begin();
    h2_open(&c, &f, true);
    for (size_t i = 0; i < 20000 / ATTACK; i++, stream += 2) {
        if (!h2_get(&c, stream, "/v1/config?warehouse=never") ||
            !h2_send(&c, H2_WINDOW_UPDATE, 0, stream, most, sizeof most))
            break;
    }
    assert_true(is_gone(&c, PATIENCE_MS));
    h2_close(&c);
    attack_end("resets that are made ours");
    assert_true(core_count(&f, "streams") - before < 3000);
}

/* A header block that never ends. */
static void test_http2__endless_continuation(void **state)
{
    static uint8_t field[16000];
    h2_block block;
    h2 c;
    size_t sent = 0;
    (void)state;
    attack_begin();
    memset(field, 'a', sizeof field);
    field[0] = 0;
    field[1] = 1;
    field[3] = 127;
    field[4] = 0x80; /* a value of 127 + 15744 = 15871 bytes and something */
    field[5] = 0x7b;
    h2_open(&c, &f, true);
    h2_begin(&block, "GET", "/health/live");
    (void)h2_send(&c, H2_HEADERS, H2_END_STREAM, 1, block.bytes, block.len);
    while (sent < 50 << 20 && h2_send(&c, H2_CONTINUATION, 0, 1, field, 15877))
        sent += 15877;
    assert_true(is_gone(&c, PATIENCE_MS));
    assert_true(sent < 20 << 20);
    h2_close(&c);
    attack_end("endless continuation");
}

/* The same in frames that carry nothing. */
static void test_http2__empty_continuations(void **state)
{
    h2_block block;
    h2 c;
    (void)state;
    attack_begin();
    h2_open(&c, &f, true);
    h2_begin(&block, "GET", "/health/live");
    (void)h2_send(&c, H2_HEADERS, H2_END_STREAM, 1, block.bytes, block.len);
    for (size_t i = 0; i < 200000 / ATTACK; i++) {
        if (!h2_send(&c, H2_CONTINUATION, 0, 1, NULL, 0))
            break;
    }
    assert_true(is_gone(&c, PATIENCE_MS));
    h2_close(&c);
    attack_end("empty continuations");
}

/* One string of 400 MB, in pieces. */
static void test_http2__an_announced_giant(void **state)
{
    static uint8_t piece[16000];
    static const uint8_t name[] = {0x00, 0x01, 'x', 0x7f, 0x81, 0x87, 0xde, 0xbe, 0x01};
    h2_block block;
    h2 c;
    (void)state;
    attack_begin();
    memset(piece, 'a', sizeof piece);
    h2_open(&c, &f, true);
    h2_begin(&block, "GET", "/health/live");
    memcpy(block.bytes + block.len, name, sizeof name);
    block.len += sizeof name;
    (void)h2_send(&c, H2_HEADERS, H2_END_STREAM, 1, block.bytes, block.len);
    for (size_t i = 0; i < 4000; i++) {
        if (!h2_send(&c, H2_CONTINUATION, 0, 1, piece, sizeof piece))
            break;
    }
    assert_true(is_gone(&c, PATIENCE_MS));
    h2_close(&c);
    attack_end("an announced giant");
}

/* Frames that cost the sender nothing and ask for an answer, or for nothing at all. */
static void test_http2__floods(void **state)
{
    static const uint8_t eight[8], five[5] = {0, 0, 0, 0, 16}, setting[6] = {0, 4, 0, 1, 0, 0};
    static const struct {
        const char *name;
        unsigned type;
        uint32_t stream;
        const uint8_t *payload;
        size_t len;
        bool ends; /* the connection; what must be ignored (RFC 9113, 4.1) only has to be cheap */
    } cases[] = {
        {"pings", H2_PING, 0, eight, 8, true},
        {"settings", H2_SETTINGS, 0, setting, 6, true},
        {"empty settings", H2_SETTINGS, 0, NULL, 0, true},
        {"priorities", H2_PRIORITY, 7, five, 5, true},
        {"empty data", H2_DATA, 1, NULL, 0, true},
        {"unknown frames", 0xf0, 0, NULL, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        h2_block block;
        h2 c;
        attack_begin();
        h2_open(&c, &f, true);
        h2_begin(&block, "POST", "/v1/demo/namespaces");
        (void)h2_headers(&c, 1, &block, 0);
        for (size_t n = 0; n < 200000 / ATTACK; n++) {
            if (!h2_send(&c, cases[i].type, 0, cases[i].stream, cases[i].payload, cases[i].len))
                break;
        }
        if (cases[i].ends && !is_gone(&c, PATIENCE_MS))
            fail_msg("%s go on", cases[i].name);
        h2_close(&c);
        attack_end(cases[i].name);
    }
}

/* A client that never acknowledges the limits is bound by them all the same. */
static void test_http2__limits_need_no_acknowledgement(void **state)
{
    h2 c;
    (void)state;
    long before = core_count(&f, "streams");
    attack_begin();
    h2_open(&c, &f, false);
    for (uint32_t stream = 1; stream < 10001; stream += 2) {
        if (!h2_get(&c, stream, "/v1/config?warehouse=never"))
            break;
    }
    usleep(300000);
    attack_end("streams without limit");
    /* The two askers and the canary's neighbours are among them. */
    assert_true(core_count(&f, "streams") - before < 110);
    h2_close(&c);
    for (int64_t until = wire_now() + PATIENCE_MS;
         core_count(&f, "cancelled") < 100 && wire_now() < until;)
        usleep(20000);
    assert_true(core_count(&f, "cancelled") >= 100);
}

/* Streams of others live on while one connection is thrown out. */
static void test_http2__others_are_not_killed(void **state)
{
    h2 victim, attacker;
    h2_reply reply;
    (void)state;
    h2_open(&victim, &f, true);
    assert_true(h2_get(&victim, 1, "/v1/config?warehouse=slow-500"));
    h2_open(&attacker, &f, true);
    for (size_t n = 0; n < 20000; n++) {
        if (!h2_send(&attacker, H2_PING, 0, 0, "12345678", 8))
            break;
    }
    h2_read(&victim, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    h2_free(&reply);
    h2_close(&attacker);
    h2_close(&victim);
}

static void test_http2__broken_frames_end_the_connection(void **state)
{
    static const uint8_t zero[4], huge[4] = {0x7f, 0xff, 0xff, 0xff};
    static const struct {
        const char *name;
        unsigned type, flags;
        uint32_t stream;
        const void *payload;
        size_t len;
    } cases[] = {
        {"data on no stream", H2_DATA, 0, 0, "a", 1},
        {"headers on an even stream", H2_HEADERS, H2_END_HEADERS, 2, "\x82", 1},
        {"continuation of nothing", H2_CONTINUATION, 0, 1, "a", 1},
        {"ping of a wrong size", H2_PING, 0, 0, "123", 3},
        {"settings of a wrong size", H2_SETTINGS, 0, 0, "12345", 5},
        {"window of zero", H2_WINDOW_UPDATE, 0, 0, zero, 4},
        {"window past the end", H2_WINDOW_UPDATE, 0, 0, huge, 4},
        {"push", 5, H2_END_HEADERS, 1, "\0\0\0\2\x82", 5},
        {"bad header block", H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, "\xff\xff\xff\xff", 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        h2 c;
        h2_open(&c, &f, true);
        (void)h2_send(&c, cases[i].type, cases[i].flags, cases[i].stream, cases[i].payload,
                      cases[i].len);
        if (!is_gone(&c, PATIENCE_MS))
            fail_msg("%s is forgiven", cases[i].name);
        h2_close(&c);
        http_canary(&f);
    }
}

/* ---- gRPC, passed through ---- */

static void begin_grpc(h2 *c, uint32_t stream, const char *path, const char *timeout)
{
    h2_block block;
    h2_begin(&block, "POST", path);
    h2_add(&block, "content-type", "application/grpc");
    h2_add(&block, "te", "trailers");
    h2_add(&block, "authorization", "Bearer abc");
    h2_add(&block, "x-other", "secret");
    h2_add(&block, "x-user-bin", "AAAA");
    h2_add(&block, "x-pangolin-tenant", "t1");
    h2_add(&block, "pangolin-client-address", "6.6.6.6");
    if (timeout != NULL)
        h2_add(&block, "grpc-timeout", timeout);
    assert_true(h2_headers(c, stream, &block, 0));
}

/* GetConfig with a warehouse. */
static void send_config(h2 *c, uint32_t stream, const char *word)
{
    uint8_t message[128];
    size_t len = strlen(word);
    uint8_t head[] = {0, 0, 0, 0, (uint8_t)(len + 2), 0x0a, (uint8_t)len};
    memcpy(message, head, sizeof head);
    memcpy(message + sizeof head, word, len);
    assert_true(h2_send(c, H2_DATA, H2_END_STREAM, stream, message, sizeof head + len));
}

static void test_grpc__calls_pass(void **state)
{
    h2_reply reply;
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    begin_grpc(&c, 1, "/pangolin.v1.ConfigService/GetConfig", "5S");
    send_config(&c, 1, "meta");
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.grpc, 0);
    assert_string_equal(h2_field(&reply, "content-type"), "application/grpc");
    assert_null(h2_field(&reply, "x-secret-of-the-core"));
    static const char *const wanted[] = {"Bearer abc", "grpc-timeout", "127.0.0.1", "t1"};
    static const char *const unwanted[] = {"secret", "x-user-bin", "6.6.6.6"};
    for (size_t i = 0; i < 4; i++)
        assert_non_null(memmem(reply.body, reply.len, wanted[i], strlen(wanted[i])));
    for (size_t i = 0; i < 3; i++)
        assert_null(memmem(reply.body, reply.len, unwanted[i], strlen(unwanted[i])));
    h2_free(&reply);
    begin_grpc(&c, 3, "/pangolin.v1.ConfigService/GetConfig", NULL);
    send_config(&c, 3, "status-5");
    h2_read(&c, 3, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.grpc, 5);
    assert_string_equal(h2_field(&reply, "pangolin-reason"), "TestReason");
    assert_non_null(strstr(h2_field(&reply, "grpc-message"), "failed"));
    h2_free(&reply);
    begin_grpc(&c, 5, "/no.Such/Method", NULL);
    send_config(&c, 5, "x");
    h2_read(&c, 5, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.grpc, 12);
    h2_free(&reply);
    h2_close(&c);
}

static void test_grpc__streams_pass_both_ways(void **state)
{
    static const uint8_t message[] = {0, 0, 0, 0, 3, 'a', 'b', 'c'};
    h2_reply reply;
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    begin_grpc(&c, 1, "/test.Echo/Stream", NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_true(h2_send(&c, H2_DATA, 0, 1, message, sizeof message));
        h2_read(&c, 1, true, 200, &reply);
        assert_int_equal(reply.len, sizeof message);
        assert_memory_equal(reply.body, message, sizeof message);
        h2_free(&reply);
    }
    assert_true(h2_send(&c, H2_DATA, H2_END_STREAM, 1, NULL, 0));
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_true(reply.ended);
    assert_int_equal(reply.grpc, 0);
    h2_free(&reply);
    h2_close(&c);
}

static void test_grpc__limits_of_messages(void **state)
{
    static const struct {
        const char *name;
        uint8_t prefix[5];
        int grpc;
    } cases[] = {
        {"too large", {0, 0x7f, 0xff, 0xff, 0xff}, 8},
        {"compressed", {1, 0, 0, 0, 2}, 12},
        {"flags that do not exist", {0x80, 0, 0, 0, 2}, -2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t data[7];
        h2_reply reply;
        h2 c;
        h2_open(&c, &f, true);
        begin_grpc(&c, 1, "/pangolin.v1.ConfigService/GetConfig", NULL);
        memcpy(data, cases[i].prefix, 5);
        data[5] = 0x0a;
        data[6] = 0;
        assert_true(h2_send(&c, H2_DATA, H2_END_STREAM, 1, data, sizeof data));
        h2_read(&c, 1, true, PATIENCE_MS, &reply);
        if (cases[i].grpc == -2 ? reply.grpc == 0 : reply.grpc != cases[i].grpc)
            fail_msg("%s: %d", cases[i].name, reply.grpc);
        h2_free(&reply);
        h2_close(&c);
    }
}

static void test_grpc__deadlines_and_cancellation(void **state)
{
    static const uint8_t cancel[4] = {0, 0, 0, 8};
    h2_reply reply;
    h2 c;
    (void)state;
    h2_open(&c, &f, true);
    begin_grpc(&c, 1, "/pangolin.v1.ConfigService/GetConfig", "200m");
    send_config(&c, 1, "never");
    int64_t begin = wire_now();
    h2_read(&c, 1, true, PATIENCE_MS, &reply);
    assert_int_equal(reply.grpc, 4);
    assert_in_range(wire_now() - begin, 150, 2000);
    h2_free(&reply);
    begin_grpc(&c, 3, "/pangolin.v1.ConfigService/GetConfig", "60S");
    send_config(&c, 3, "never");
    usleep(100000);
    long before = core_count(&f, "cancelled");
    assert_true(h2_send(&c, H2_RST_STREAM, 0, 3, cancel, sizeof cancel));
    for (int64_t until = wire_now() + PATIENCE_MS;
         core_count(&f, "cancelled") == before && wire_now() < until;)
        usleep(10000);
    assert_true(core_count(&f, "cancelled") > before);
    h2_close(&c);
}

/* A reader that takes nothing must not make the bridge hold what the core sends. */
static void test_grpc__a_slow_reader_fills_no_memory(void **state)
{
    static const uint8_t closed[6] = {0, 4, 0, 0, 0, 0};
    h2 c;
    (void)state;
    http_canary(&f);
    rss_before = fixture_rss(&f);
    h2_open(&c, &f, true);
    assert_true(h2_send(&c, H2_SETTINGS, 0, 0, closed, sizeof closed));
    for (uint32_t stream = 1; stream < 41; stream += 2) {
        begin_grpc(&c, stream, "/pangolin.v1.ConfigService/GetConfig", NULL);
        send_config(&c, stream, "size-8000000");
    }
    usleep(1500000);
    http_canary(&f);
    if (COSTS_COUNT)
        assert_true(fixture_rss(&f) < rss_before + (100 << 20));
    h2_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http2__requests_are_answered),
        cmocka_unit_test(test_http2__bodies_and_heads),
        cmocka_unit_test(test_http2__slow_streams_hold_up_nobody),
        cmocka_unit_test(test_http2__windows_are_kept),
        cmocka_unit_test(test_http2__malformed_requests_are_refused),
        cmocka_unit_test(test_http2__large_headers_are_refused_alone),
        cmocka_unit_test(test_http2__a_long_target_is_refused_by_its_name),
        cmocka_unit_test(test_http2__a_large_body_is_refused),
        cmocka_unit_test(test_http2__rapid_resets),
        cmocka_unit_test(test_http2__resets_that_are_made_ours),
        cmocka_unit_test(test_http2__endless_continuation),
        cmocka_unit_test(test_http2__empty_continuations),
        cmocka_unit_test(test_http2__an_announced_giant),
        cmocka_unit_test(test_http2__floods),
        cmocka_unit_test(test_http2__limits_need_no_acknowledgement),
        cmocka_unit_test(test_http2__others_are_not_killed),
        cmocka_unit_test(test_http2__broken_frames_end_the_connection),
        cmocka_unit_test(test_grpc__calls_pass),
        cmocka_unit_test(test_grpc__streams_pass_both_ways),
        cmocka_unit_test(test_grpc__limits_of_messages),
        cmocka_unit_test(test_grpc__deadlines_and_cancellation),
        cmocka_unit_test(test_grpc__a_slow_reader_fills_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
