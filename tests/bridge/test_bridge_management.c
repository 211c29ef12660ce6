/*
 * The management API through a real bridge: bare arrays and JSON lines in parts, forms, and errors
 * in each dialect. After each the connection goes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/bridge/bridge_fixture.h"

static fixture f;

static int setup(void **state)
{
    static const char *const settings[] = {NULL};
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

/* Two requests on one connection: what is left over from the first would spoil the second. */
static void get_twice(const char *path, http_reply *ret)
{
    char text[300];
    http_reply again;
    int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    int fd = wire_connect(&f);
    wire_send(fd, text, (size_t)len);
    http_read(fd, false, ret);
    wire_send(fd, text, (size_t)len);
    http_read(fd, false, &again);
    assert_int_equal(again.status, ret->status);
    assert_int_equal(again.len, ret->len);
    http_free(&again);
    close(fd);
}

static void test_management__lists_are_bare_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *word, *from, *to; /* how the body begins and ends */
        unsigned entries;
    } cases[] = {
        {"pages-1", "[{\"id\":\"ns0\"", "}]", 1},
        {"pages-20", "[{\"id\":\"ns0\"", "}]", 20},
        {"gaps-1", "[]", "[]", 0},
        {"gaps-6", "[{\"id\":\"ns1\"", "}]", 3},
        {"gaps-7", "[{\"id\":\"ns1\"", "}]", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        http_reply reply;
        char path[100];
        (void)snprintf(path, sizeof path, "/api/v1/users/%s/tokens", cases[i].word);
        get_twice(path, &reply);
        assert_int_equal(reply.status, 200);
        assert_string_equal(http_header(&reply, "Content-Type"), "application/json");
        if (strncmp(reply.body, cases[i].from, strlen(cases[i].from)) != 0 ||
            strcmp(reply.body + reply.len - strlen(cases[i].to), cases[i].to) != 0)
            fail_msg("%s: %s", cases[i].word, reply.body);
        unsigned n = 0;
        for (const char *at = reply.body; (at = strstr(at, "{\"id\"")) != NULL; at++)
            n++;
        assert_int_equal(n, cases[i].entries);
        assert_null(strstr(reply.body, ",,"));
        assert_null(strstr(reply.body, "[,"));
        http_free(&reply);
    }
}

static void test_management__a_limit_asks_for_one_page(void **state)
{
    (void)state;
    http_reply reply;
    assert_int_equal(http_get(&f, "/api/v1/users/pages-3/tokens?limit=1", "", &reply), 200);
    assert_string_equal(http_header(&reply, "x-next-page-token"), "1");
    http_free(&reply);
}

static void test_management__exports_are_lines(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        unsigned lines;
    } cases[] = {{"pages-5", 5}, {"gaps-1", 0}, {"gaps-4", 2}, {"gaps-5", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        http_reply reply;
        char path[100];
        unsigned n = 0;
        (void)snprintf(path, sizeof path, "/api/v1/audit/export?user_id=%s", cases[i].word);
        get_twice(path, &reply);
        assert_int_equal(reply.status, 200);
        if (reply.len > 0)
            assert_string_equal(http_header(&reply, "Content-Type"), "application/x-ndjson");
        for (size_t j = 0; j < reply.len; j++)
            n += reply.body[j] == '\n';
        assert_int_equal(n, cases[i].lines);
        assert_true(reply.len == 0 || reply.body[reply.len - 1] == '\n');
        http_free(&reply);
    }
}

static int post(const char *path, const char *type, const char *body, http_reply *ret)
{
    char text[1000];
    int len = snprintf(text, sizeof text,
                       "POST %s HTTP/1.1\r\nHost: a\r\n%s%s%sContent-Length: %zu\r\n\r\n%s", path,
                       type[0] != 0 ? "Content-Type: " : "", type, type[0] != 0 ? "\r\n" : "",
                       strlen(body), body);
    int fd = wire_connect(&f);
    wire_send(fd, text, (size_t)len);
    http_read(fd, false, ret);
    close(fd);
    return ret->status;
}

static void test_management__forms_where_they_are_allowed(void **state)
{
    (void)state;
    static const char form[] = "application/x-www-form-urlencoded";
    static const struct {
        const char *path, *type, *body;
        int status;
        const char *want;
    } cases[] = {
        {"/v1/plain/oauth/tokens", form, "client_id=a", 200, "\"access_token\":"},
        {"/v1/oauth/tokens", "application/x-www-form-urlencoded; charset=UTF-8", "client_id=a", 200,
         "\"access_token\":"},
        {"/v1/oauth/tokens", "", "client_id=a", 200, "\"access_token\":"},
        {"/v1/oauth/tokens", "application/json", "{\"client_id\":\"a\"}", 200, "\"access_token\":"},
        {"/v1/oauth/tokens", "text/plain", "client_id=a", 415, "{\"error\":\"invalid_request\","},
        {"/v1/oauth/tokens", form, "client_id=a&client_id=b", 400,
         "{\"error\":\"invalid_request\",\"error_description\":\"client_id:"},
        {"/v1/status-16/oauth/tokens", form, "client_id=a", 401, "{\"error\":\"invalid_client\","},
        {"/api/v1/tenants", form, "name=a", 415, "{\"error\":\"the request body must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        http_reply reply;
        int status = post(cases[i].path, cases[i].type, cases[i].body, &reply);
        if (status != cases[i].status || strstr(reply.body, cases[i].want) == NULL)
            fail_msg("%s %s: %d %s", cases[i].path, cases[i].type, status, reply.body);
        http_free(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_management__lists_are_bare_arrays),
        cmocka_unit_test(test_management__a_limit_asks_for_one_page),
        cmocka_unit_test(test_management__exports_are_lines),
        cmocka_unit_test(test_management__forms_where_they_are_allowed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
