/*
 * The life of the bridge: slow and many clients, a core that dies and comes back, start and end.
 * Each test has a bridge with settings of its own.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/bridge/h2_wire.h"

/* Sanitizers keep freed memory and take their time. LARGE is more than the kernel's buffers. */
#ifdef PANG_SANITIZED
enum { COSTS_COUNT = 0 };
#define LARGE "size-5000000"
#else
enum { COSTS_COUNT = 1 };
#define LARGE "size-20000000"
#endif

static fixture f;

/* Ends what a failed test left running. */
static int teardown(void **state)
{
    (void)state;
    if (f.folder[0] != '\0')
        fixture_stop(&f);
    return 0;
}

/* True when the peer closes within `ms`; what it says is put into `to`. */
static bool closes(int fd, char *to, size_t size, int ms)
{
    bool closed;
    size_t len = wire_read_all(fd, to, size - 1, ms, &closed);
    to[len] = '\0';
    return closed;
}

/* ---- slow clients ---- */

/* Sends the bytes one by one, a few a second, until the peer has had enough. */
static bool drips_until_closed(int fd, const char *bytes, int ms)
{
    char reply[4096];
    size_t i = 0, len = strlen(bytes);
    for (int64_t until = wire_now() + ms; wire_now() < until;) {
        if (!wire_try_send(fd, bytes + i, 1) || closes(fd, reply, sizeof reply, 150))
            return true;
        i = i + 1 < len ? i + 1 : i;
    }
    return false;
}

static void test_life__slow_clients_are_closed(void **state)
{
    static const char *const settings[] = {"PANGOLIN_HEADER_TIMEOUT_SECS=1",
                                           "PANGOLIN_BODY_TIMEOUT_SECS=1",
                                           "PANGOLIN_IDLE_TIMEOUT_SECS=1", NULL};
    static const char body[] = "POST /v1/demo/namespaces HTTP/1.1\r\nHost: a\r\n"
                               "Content-Length: 1000\r\n\r\n";
    static const char chunks[] = "POST /v1/demo/namespaces HTTP/1.1\r\nHost: a\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n";
    static const char whole[] = "GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n";
    char reply[4096];
    (void)state;
    fixture_start(&f, settings);
    /* Nothing at all, and a header that drips. */
    int fd = wire_connect(&f);
    assert_true(closes(fd, reply, sizeof reply, 3000));
    close(fd);
    fd = wire_connect(&f);
    assert_true(drips_until_closed(
        fd, "GET /health/live HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaa", 4000));
    close(fd);
    /* A body that stops, one that drips, and one in chunks of a byte. */
    fd = wire_connect(&f);
    wire_send(fd, body, sizeof body - 1);
    assert_true(closes(fd, reply, sizeof reply, 4000));
    close(fd);
    fd = wire_connect(&f);
    wire_send(fd, body, sizeof body - 1);
    assert_true(drips_until_closed(fd, "{                                         ", 4000));
    close(fd);
    fd = wire_connect(&f);
    wire_send(fd, chunks, sizeof chunks - 1);
    assert_true(drips_until_closed(
        fd, "1\r\n{\r\n1\r\n \r\n1\r\n \r\n1\r\n \r\n1\r\n \r\n1\r\n \r\n", 4000));
    close(fd);
    /* A kept connection that asks for nothing more. */
    fd = wire_connect(&f);
    wire_send(fd, whole, sizeof whole - 1);
    assert_true(closes(fd, reply, sizeof reply, 4000));
    assert_non_null(strstr(reply, "200 OK"));
    close(fd);
    h2_reply second;
    h2 c;
    h2_open(&c, &f, true);
    h2_read(&c, 1, true, 4000, &second);
    assert_true(second.goaway && second.closed && second.error == 0);
    h2_free(&second);
    h2_close(&c);
    http_canary(&f);
    fixture_stop(&f);
}

/* Two thousand of them, and others are served as before. */
/* Closing with bytes unread would reset the connection, and take the refusal with it. */
static void test_life__a_refusal_outlives_what_still_comes(void **state)
{
    enum { MORE = 512 * 1024 };
    static const char *const settings[] = {NULL};
    static char head[MORE];
    char reply[4096];
    ssize_t n;
    size_t len = 0;
    (void)state;
    memset(head, 'a', sizeof head);
    memcpy(head, "GET / HTTP/1.1\r\nX: ", 19);
    fixture_start(&f, settings);
    int fd = wire_connect(&f);
    wire_send(fd, head, sizeof head);
    while ((n = recv(fd, reply + len, sizeof reply - 1 - len, 0)) > 0)
        len += (size_t)n;
    reply[len] = '\0';
    assert_int_equal(n, 0);
    assert_non_null(strstr(reply, "HTTP/1.1 431 "));
    close(fd);
    fixture_stop(&f);
}

static void test_life__slowloris_holds_up_nobody(void **state)
{
    enum { SOCKETS = COSTS_COUNT ? 2000 : 300 };
    static const char *const settings[] = {"PANGOLIN_HEADER_TIMEOUT_SECS=2", NULL};
    static int sockets[SOCKETS];
    char reply[256];
    struct rlimit limit;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    fixture_start(&f, settings);
    for (size_t i = 0; i < SOCKETS; i++) {
        sockets[i] = wire_connect(&f);
        wire_send(sockets[i], "GET / HTTP/1.1\r\nX: ", 19);
    }
    for (size_t i = 0; i < 20; i++) {
        int64_t begin = wire_now();
        http_canary(&f);
        assert_true(wire_now() - begin < 2000);
    }
    usleep(2500000);
    for (size_t i = 0; i < SOCKETS; i++) {
        assert_true(closes(sockets[i], reply, sizeof reply, PATIENCE_MS));
        close(sockets[i]);
    }
    fixture_stop(&f);
}

/* Those of the bridge beside the one that asks. */
static long connections(void)
{
    static const char name[] = "\npangolin_http_connections ";
    http_reply reply;
    assert_int_equal(http_get(&f, "/metrics", "", &reply), 200);
    const char *at = strstr(reply.body, name);
    assert_non_null(at);
    long n = strtol(at + sizeof name - 1, NULL, 10);
    http_free(&reply);
    return n - 1;
}

/* A client that does not read its reply. */
static void test_life__replies_nobody_reads(void **state)
{
    static const char *const settings[] = {"PANGOLIN_BODY_TIMEOUT_SECS=1", NULL};
    static const char request[] = "GET /v1/config?warehouse=" LARGE " HTTP/1.1\r\nHost: a\r\n\r\n";
    enum { SOCKETS = COSTS_COUNT ? 8 : 2 };
    int sockets[SOCKETS], small = 4096;
    (void)state;
    fixture_start(&f, settings);
    for (size_t i = 0; i < SOCKETS; i++) {
        sockets[i] = wire_connect(&f);
        (void)setsockopt(sockets[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        wire_send(sockets[i], request, sizeof request - 1);
    }
    usleep(500000);
    assert_true(connections() >= SOCKETS);
    long left = 1; /* one that asked just before may still be counted */
    for (int64_t until = wire_now() + 60000; left > 0 && wire_now() < until; left = connections())
        usleep(100000);
    assert_int_equal(left, 0);
    for (size_t i = 0; i < SOCKETS; i++)
        close(sockets[i]);
    fixture_stop(&f);
}

/* ---- many clients ---- */

static void test_life__connections_are_limited(void **state)
{
    static const char *const settings[] = {"PANGOLIN_MAX_CONNECTIONS=20", NULL};
    int sockets[20];
    char reply[1024];
    (void)state;
    fixture_start(&f, settings);
    usleep(200000); /* the fixture's own first connection goes */
    for (size_t i = 0; i < 20; i++)
        sockets[i] = wire_connect(&f);
    usleep(100000);
    for (size_t i = 0; i < 5; i++) {
        int fd = wire_try_connect(f.port);
        if (fd < 0)
            continue;
        assert_true(closes(fd, reply, sizeof reply, PATIENCE_MS));
        assert_non_null(strstr(reply, "HTTP/1.1 503 "));
        assert_non_null(strstr(reply, "etry-"));
        close(fd);
    }
    for (size_t i = 0; i < 20; i++)
        close(sockets[i]);
    usleep(300000);
    for (size_t i = 0; i < 20; i++)
        http_canary(&f);
    fixture_stop(&f);
}

static void test_life__requests_are_limited(void **state)
{
    static const char *const settings[] = {"PANGOLIN_MAX_CONCURRENT_REQUESTS=4", NULL};
    static const char never[] = "GET /v1/config?warehouse=never HTTP/1.1\r\nHost: a\r\n\r\n";
    int sockets[4];
    http_reply reply;
    (void)state;
    fixture_start(&f, settings);
    for (size_t i = 0; i < 4; i++) {
        sockets[i] = wire_connect(&f);
        wire_send(sockets[i], never, sizeof never - 1);
    }
    usleep(200000);
    int64_t begin = wire_now();
    assert_int_equal(http_get(&f, "/v1/config?warehouse=plain", "", &reply), 429);
    assert_true(wire_now() - begin < 500);
    assert_non_null(http_header(&reply, "Retry-After"));
    http_free(&reply);
    http_canary(&f);
    for (size_t i = 0; i < 4; i++)
        close(sockets[i]);
    for (int64_t until = wire_now() + PATIENCE_MS; wire_now() < until;) {
        if (http_get(&f, "/v1/config?warehouse=plain", "", &reply) == 200)
            break;
        http_free(&reply);
        usleep(20000);
    }
    assert_int_equal(reply.status, 200);
    http_free(&reply);
    /* Clients that went took their calls with them. */
    assert_true(core_count(&f, "cancelled") >= 4);
    fixture_stop(&f);
}

/* Descriptors run out; when clients go, all is as before. */
static void test_life__descriptors_run_out(void **state)
{
    enum { SOCKETS = 300 };
    static int sockets[SOCKETS];
    struct rlimit old, few = {64, 64};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few.rlim_max = 64;
    fixture_start(&f, NULL);
    assert_int_equal(prlimit(f.bridge, RLIMIT_NOFILE, &few, NULL), 0);
    http_canary(&f);
    for (size_t i = 0; i < SOCKETS; i++)
        sockets[i] = wire_try_connect(f.port);
    double before = fixture_cpu(&f);
    usleep(1000000);
    assert_true(!COSTS_COUNT || fixture_cpu(&f) - before < 0.5); /* no loop spins */
    for (size_t i = 0; i < SOCKETS; i++) {
        if (sockets[i] >= 0)
            close(sockets[i]);
    }
    usleep(600000);
    for (size_t i = 0; i < 20; i++)
        http_canary(&f);
    fixture_stop(&f);
}

static void test_life__idle_connections_are_cheap(void **state)
{
    enum { SOCKETS = 1000 };
    static const char request[] = "GET /v1/config?warehouse=size-3000 HTTP/1.1\r\nHost: a\r\n\r\n";
    static int sockets[SOCKETS];
    (void)state;
    fixture_start(&f, NULL);
    http_canary(&f);
    size_t idle = fixture_rss(&f);
    for (size_t i = 0; i < SOCKETS; i++) {
        http_reply reply;
        sockets[i] = wire_connect(&f);
        wire_send(sockets[i], request, sizeof request - 1);
        http_read(sockets[i], false, &reply);
        assert_int_equal(reply.status, 200);
        http_free(&reply);
    }
    size_t full = fixture_rss(&f);
    print_message("resident: %zu KiB idle, %zu KiB with %d connections\n", idle >> 10, full >> 10,
                  SOCKETS);
    assert_true(!COSTS_COUNT || idle < 24 << 20);
    assert_true(!COSTS_COUNT || full < idle + (8 << 20));
    for (size_t i = 0; i < SOCKETS; i++)
        close(sockets[i]);
    fixture_stop(&f);
}

/* ---- the core ---- */

static void test_life__the_core_dies_and_comes_back(void **state)
{
    static const char never[] = "GET /v1/config?warehouse=never HTTP/1.1\r\nHost: a\r\n\r\n";
    static const char write[] = "POST /v1/never/namespaces HTTP/1.1\r\nHost: a\r\n"
                                "Content-Length: 19\r\n\r\n{\"namespace\":[\"a\"]}";
    http_reply reply;
    (void)state;
    fixture_start(&f, NULL);
    assert_int_equal(http_get(&f, "/health/ready", "", &reply), 200);
    assert_non_null(strstr(reply.body, "\"status\":\"ready\""));
    http_free(&reply);
    int reading = wire_connect(&f), writing = wire_connect(&f);
    wire_send(reading, never, sizeof never - 1);
    wire_send(writing, write, sizeof write - 1);
    usleep(200000);
    fixture_kill_core(&f);
    /* A read did nothing; of a write nobody knows. */
    http_read(reading, false, &reply);
    assert_int_equal(reply.status, 503);
    assert_non_null(http_header(&reply, "Retry-After"));
    http_free(&reply);
    http_read(writing, false, &reply);
    assert_int_equal(reply.status, 500);
    assert_non_null(strstr(reply.body, "CommitStateUnknownException"));
    http_free(&reply);
    close(reading);
    close(writing);
    assert_int_equal(http_get(&f, "/v1/config?warehouse=plain", "", &reply), 503);
    http_free(&reply);
    assert_int_equal(http_get(&f, "/health/ready", "", &reply), 503);
    assert_non_null(strstr(reply.body, "\"status\":\"unready\""));
    http_free(&reply);
    assert_int_equal(fixture_healthcheck(&f), 1);
    assert_int_equal(http_get(&f, "/metrics", "", &reply), 200);
    assert_null(strstr(reply.body, "pangolin_fake"));
    http_free(&reply);
    http_canary(&f);
    fixture_start_core(&f);
    int64_t begin = wire_now();
    while (http_get(&f, "/health/ready", "", &reply) != 200) {
        http_free(&reply);
        assert_true(wire_now() - begin < 2000);
        usleep(5000);
    }
    http_free(&reply);
    assert_int_equal(fixture_healthcheck(&f), 0);
    assert_int_equal(http_get(&f, "/metrics", "", &reply), 200);
    assert_non_null(strstr(reply.body, "pangolin_fake"));
    assert_non_null(strstr(reply.body, "pangolin_http_requests_total{"));
    assert_non_null(strstr(reply.body, "pangolin_http_request_duration_seconds_bucket{"));
    http_free(&reply);
    fixture_stop(&f);
}

static void test_life__what_the_core_does_not_take_is_said_again(void **state)
{
    http_reply reply;
    (void)state;
    fixture_start(&f, NULL);
    /* A refused stream is tried again. */
    assert_int_equal(http_get(&f, "/v1/config?warehouse=refuse", "", &reply), 200);
    http_free(&reply);
    /* After a GOAWAY calls go elsewhere. */
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(http_get(&f, "/v1/config?warehouse=goaway", "", &reply), 200);
        http_free(&reply);
    }
    /* A reply that is cut, and a core that says nothing. */
    assert_int_equal(http_get(&f, "/v1/config?warehouse=cut", "", &reply), 503);
    http_free(&reply);
    assert_int_equal(http_get(&f, "/v1/config?warehouse=die", "", &reply), 503);
    http_free(&reply);
    assert_int_equal(http_get(&f, "/v1/config?warehouse=plain", "", &reply), 200);
    http_free(&reply);
    fixture_stop(&f);
}

/* More calls than the core takes at once wait for their turn. */
static void test_life__calls_wait_for_streams(void **state)
{
    enum { REQUESTS = 60 };
    static const char request[] = "GET /v1/config?warehouse=slow-50 HTTP/1.1\r\nHost: a\r\n\r\n";
    int sockets[REQUESTS];
    (void)state;
    f.core_streams = 4;
    fixture_start(&f, NULL);
    for (size_t i = 0; i < REQUESTS; i++) {
        sockets[i] = wire_connect(&f);
        wire_send(sockets[i], request, sizeof request - 1);
    }
    for (size_t i = 0; i < REQUESTS; i++) {
        http_reply reply;
        http_read(sockets[i], false, &reply);
        assert_int_equal(reply.status, 200);
        http_free(&reply);
        close(sockets[i]);
    }
    fixture_stop(&f);
}

static void test_life__requests_have_a_deadline(void **state)
{
    static const char *const settings[] = {"PANGOLIN_REQUEST_TIMEOUT_SECS=300ms", NULL};
    http_reply reply;
    (void)state;
    fixture_start(&f, settings);
    int64_t begin = wire_now();
    assert_int_equal(http_get(&f, "/v1/config?warehouse=never", "", &reply), 504);
    assert_in_range(wire_now() - begin, 250, 2500);
    http_free(&reply);
    assert_true(core_count(&f, "cancelled") >= 1);
    fixture_stop(&f);
}

/* ---- other origins ---- */

static void test_life__other_origins(void **state)
{
    static const char *const settings[] = {
        "PANGOLIN_CORS_ALLOWED_ORIGINS=https://ui.example, https://b.example", NULL};
    static const char preflight[] = "OPTIONS /v1/config HTTP/1.1\r\nHost: a\r\n"
                                    "Origin: https://ui.example\r\n"
                                    "Access-Control-Request-Method: POST\r\n\r\n";
    http_reply reply;
    (void)state;
    fixture_start(&f, settings);
    assert_int_equal(
        http_get(&f, "/v1/config?warehouse=plain", "Origin: https://ui.example\r\n", &reply), 200);
    assert_string_equal(http_header(&reply, "Access-Control-Allow-Origin"), "https://ui.example");
    http_free(&reply);
    static const char *const others[] = {"", "Origin: https://evil.example\r\n",
                                         "Origin: https://ui.example.evil\r\n", "Origin: null\r\n",
                                         "Origin: http://ui.example\r\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(http_get(&f, "/v1/config?warehouse=plain", others[i], &reply), 200);
        assert_null(http_header(&reply, "Access-Control-Allow-Origin"));
        http_free(&reply);
    }
    int fd = wire_connect(&f);
    wire_send(fd, preflight, sizeof preflight - 1);
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 204);
    assert_string_equal(http_header(&reply, "Access-Control-Allow-Origin"), "https://ui.example");
    assert_non_null(strstr(http_header(&reply, "Access-Control-Allow-Methods"), "POST"));
    assert_non_null(strstr(http_header(&reply, "Access-Control-Allow-Headers"), "authorization"));
    http_free(&reply);
    close(fd);
    fixture_stop(&f);
}

/* ---- start and end ---- */

static void test_life__what_is_under_way_is_finished(void **state)
{
    static const char slow[] = "GET /v1/config?warehouse=slow-600 HTTP/1.1\r\nHost: a\r\n\r\n";
    char text[256];
    http_reply reply;
    h2_reply second;
    h2 c;
    int status;
    (void)state;
    fixture_start(&f, NULL);
    int fd = wire_connect(&f), idle = wire_connect(&f);
    wire_send(fd, slow, sizeof slow - 1);
    h2_open(&c, &f, true);
    assert_true(h2_get(&c, 1, "/v1/config?warehouse=slow-600"));
    usleep(200000);
    assert_int_equal(kill(f.bridge, SIGTERM), 0);
    usleep(50000);
    assert_int_equal(wire_try_connect(f.port), -1);
    assert_true(closes(idle, text, sizeof text, PATIENCE_MS));
    http_read(fd, false, &reply);
    assert_int_equal(reply.status, 200);
    assert_string_equal(http_header(&reply, "Connection"), "close");
    http_free(&reply);
    assert_true(closes(fd, text, sizeof text, PATIENCE_MS));
    h2_read(&c, 1, true, PATIENCE_MS, &second);
    assert_int_equal(second.status, 200);
    assert_true(second.goaway);
    h2_free(&second);
    int64_t begin = wire_now();
    assert_int_equal(waitpid(f.bridge, &status, 0), f.bridge);
    assert_true(wire_now() - begin < 2000);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    f.bridge = 0;
    close(fd);
    close(idle);
    h2_close(&c);
    fixture_stop(&f);
}

/* What does not end in time is cut. */
static void test_life__the_grace_has_an_end(void **state)
{
    static const char *const settings[] = {"PANGOLIN_SHUTDOWN_GRACE_SECS=500ms", NULL};
    static const char never[] = "GET /v1/config?warehouse=never HTTP/1.1\r\nHost: a\r\n\r\n";
    (void)state;
    fixture_start(&f, settings);
    int fd = wire_connect(&f);
    wire_send(fd, never, sizeof never - 1);
    usleep(100000);
    int64_t begin = wire_now();
    fixture_stop(&f);
    assert_true(wire_now() - begin < 3000);
    close(fd);
}

static void test_life__what_cannot_start_says_why(void **state)
{
    static const struct {
        const char *setting, *says;
    } cases[] = {
        {"PANGOLIN_BIND_ADDRESS=0.0.0.0", "loopback"},
        {"PANGOLIN_BIND_ADDRESS=::", "loopback"},
        {"PANGOLIN_METRICS_ADDRESS=0.0.0.0:0", "loopback"},
        {"PANGOLIN_BIND_ADDRESS=no.such.host.invalid", "no.such.host.invalid"},
        {"PANGOLIN_TLS_CERT=/nowhere/crt", "tls-"},
        {"PANGOLIN_NO_SUCH_OPTION=1", "PANGOLIN_NO_SUCH_OPTION"},
        {"PANGOLIN_MAX_STREAMS=many", "PANGOLIN_MAX_STREAMS"},
    };
    char said[4096];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *settings[] = {cases[i].setting, NULL};
        int status = fixture_refused(settings, said, sizeof said);
        if (status != 2 || strstr(said, cases[i].says) == NULL ||
            strchr(said, '\n') != strrchr(said, '\n'))
            fail_msg("%s: %d: %s", cases[i].setting, status, said);
    }
    /* With authentication any address will do; a port that is taken will not. */
    fixture_start(&f, NULL);
    char port[32];
    (void)snprintf(port, sizeof port, "PORT=%u", f.port);
    const char *taken[] = {port, NULL};
    assert_int_equal(fixture_refused(taken, said, sizeof said), 2);
    fixture_stop(&f);
    static const char *const open[] = {"PANGOLIN_BIND_ADDRESS=0.0.0.0", "PANGOLIN_NO_AUTH=false",
                                       NULL};
    fixture_start(&f, open);
    http_canary(&f);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_life__slow_clients_are_closed, teardown),
        cmocka_unit_test_teardown(test_life__a_refusal_outlives_what_still_comes, teardown),
        cmocka_unit_test_teardown(test_life__slowloris_holds_up_nobody, teardown),
        cmocka_unit_test_teardown(test_life__replies_nobody_reads, teardown),
        cmocka_unit_test_teardown(test_life__connections_are_limited, teardown),
        cmocka_unit_test_teardown(test_life__requests_are_limited, teardown),
        cmocka_unit_test_teardown(test_life__descriptors_run_out, teardown),
        cmocka_unit_test_teardown(test_life__idle_connections_are_cheap, teardown),
        cmocka_unit_test_teardown(test_life__the_core_dies_and_comes_back, teardown),
        cmocka_unit_test_teardown(test_life__what_the_core_does_not_take_is_said_again, teardown),
        cmocka_unit_test_teardown(test_life__calls_wait_for_streams, teardown),
        cmocka_unit_test_teardown(test_life__requests_have_a_deadline, teardown),
        cmocka_unit_test_teardown(test_life__other_origins, teardown),
        cmocka_unit_test_teardown(test_life__what_is_under_way_is_finished, teardown),
        cmocka_unit_test_teardown(test_life__the_grace_has_an_end, teardown),
        cmocka_unit_test_teardown(test_life__what_cannot_start_says_why, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
