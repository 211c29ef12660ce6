/*
 * bridge/route.c, percent.c: which path leads where, and what is said about the others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/route.h"
#include "bridge/status.h"

static pang_schema *schema;
static pang_router *router;
static pang_arena *arena;
static pang_err err;

static int setup(void **state)
{
    (void)state;
    arena = pang_arena_new(64 << 20);
    return pang_schema_load(pang_schema_linked(), &schema, &err) != PANG_OK ||
           pang_router_new(schema, &router, &err) != PANG_OK;
}

static int teardown(void **state)
{
    (void)state;
    pang_router_free(router);
    pang_router_free(NULL);
    pang_schema_free(schema);
    pang_arena_free(arena);
    return 0;
}

static void test_route__paths_lead_to_methods(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *path, *method; /* method NULL: no match */
    } cases[] = {
        {"GET", "/v1/config", "ConfigService/GetConfig"},
        {"GET", "/v1/demo/config", "ConfigService/GetConfig"},
        {"GET", "/v1/demo/v1/config", "ConfigService/GetConfig"},
        {"GET", "/v1/demo/namespaces", "NamespaceService/ListNamespaces"},
        {"GET", "/v1/demo/v1/namespaces", "NamespaceService/ListNamespaces"},
        {"GET", "/v1/demo/v1/demo/namespaces", "NamespaceService/ListNamespaces"},
        {"POST", "/v1/demo/v1/demo/namespaces/a/tables", "TableService/CreateTable"},
        {"GET", "/v1/demo/namespaces/namespaces", "NamespaceService/LoadNamespace"},
        {"HEAD", "/v1/demo/namespaces/a", "NamespaceService/NamespaceExists"},
        {"HEAD", "/v1/config", "ConfigService/GetConfig"},
        {"POST", "/v1/demo/tables/rename", "TableService/RenameTable"},
        {"POST", "/v1/demo/namespaces/a/tables/t", "TableService/CommitTable"},
        {"POST", "/v1/demo/namespaces/a/tables/metrics", "TableService/CommitTable"},
        {"GET", "/v1/demo/namespaces/a/tables/%2F", "TableService/LoadTable"},
        {"POST", "/v1/demo/transactions/commit", "TableService/CommitTransaction"},
        {"GET", "/v1", NULL},
        {"GET", "/", NULL},
        {"GET", "/v1/demo/namespaces/", NULL},
        {"GET", "/v1//namespaces", NULL},
        {"GET", "/v1/demo/nothing", NULL},
        {"GET", "/v2/demo/namespaces", NULL},
        {"GET", "/v1/a/v1/b/namespaces", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_route_match match;
        pang_str allow;
        pang_code code = pang_router_match(router, pang_str_from(cases[i].verb),
                                           pang_str_from(cases[i].path), arena, &match, &allow,
                                           &err);
        if ((code == PANG_OK) != (cases[i].method != NULL))
            fail_msg("%s %s: %d %s", cases[i].verb, cases[i].path, code, err.message);
        if (code == PANG_OK && !pang_str_ends(match.method->path, pang_str_from(cases[i].method)))
            fail_msg("%s went to %.*s", cases[i].path, PANG_STR_ARG(match.method->path));
    }
}

static void test_route__refusals_say_which(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *path;
        unsigned status;
        const char *message, *allow; /* allow NULL: none is sent */
    } cases[] = {
        {"GET", "/v1/demo/nope", 400, "No route for request: GET v1/demo/nope", NULL},
        {"GET", "/favicon.ico", 404, "No route", NULL},
        {"PUT", "/v1/demo/namespaces", 405, "PUT is not allowed", "GET, POST, HEAD"},
        {"GET", "/v1/demo/namespaces/%zz", 400, "bad percent escape", NULL},
        {"GET", "/v1/demo/namespaces/%4", 400, "bad percent escape", NULL},
        {"GET", "/v1/demo/namespaces/a%00b", 400, "a NUL", NULL},
        {"GET", "/v1/demo/namespaces/%c0%af", 400, "not UTF-8", NULL},
        {"GET", "/v1/demo/namespaces/%2e%2e", 400, "dots", NULL},
        {"GET", "/v1/demo/namespaces/.", 400, "dots", NULL},
        {"GET", "/v1/%2E%2E/namespaces", 400, "dots", NULL},
        {"HEAD", "/v1/demo/tables/rename", 405, "HEAD is not allowed", "POST"},
        {"DELETE", "/v1/demo/v1/demo/namespaces", 405, "not allowed", "GET, POST, HEAD"},
        {"get", "/v1/config", 405, "get is not allowed", "GET, HEAD"},
        {"", "/v1/config", 400, "No route", NULL},
        {"GET", "", 404, "No route", NULL},
        {"GET", "/v1/config/", 400, "No route", NULL},
        {"GET", "/v1/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4/5/6/7", 400,
         "No route", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_route_match match;
        pang_str allow = PANG_STR("");
        pang_code code = pang_router_match(router, pang_str_from(cases[i].verb),
                                           pang_str_from(cases[i].path), arena, &match, &allow,
                                           &err);
        assert_int_not_equal(code, PANG_OK);
        assert_int_equal(pang_status_of(PANG_DIALECT_ICEBERG, code, pang_str_from(err.reason)),
                         cases[i].status);
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].path, err.message);
        if (cases[i].allow == NULL)
            assert_int_equal(allow.len, 0);
        else if (!pang_str_equal(allow, pang_str_from(cases[i].allow)))
            fail_msg("%s: %.*s", cases[i].path, PANG_STR_ARG(allow));
    }
}

static void test_route__levels_are_cut_before_they_are_decoded(void **state)
{
    (void)state;
    static const struct {
        pang_str raw;
        size_t n;
        const char *levels[3];
    } cases[] = {
        {PANG_STR_INIT("a"), 1, {"a"}},
        {PANG_STR_INIT("a%1Fb"), 2, {"a", "b"}},
        {PANG_STR_INIT("a%1fb\x1f"
                       "c"),
         3,
         {"a", "b", "c"}},
        {PANG_STR_INIT("a%251Fb"), 1, {"a%1Fb"}},
        {PANG_STR_INIT("a+b%2Bc%2Fd%1F%20"), 2, {"a b+c/d", " "}},
        {PANG_STR_INIT("a.b"), 1, {"a.b"}},
        {PANG_STR_INIT("a%1F"), 2, {"a", ""}},
        {PANG_STR_INIT(""), 0, {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str *levels;
        size_t n;
        assert_int_equal(pang_split_levels(cases[i].raw, PANG_SEPARATOR_UNIT, "namespace", arena,
                                           &levels, &n, &err),
                         PANG_OK);
        assert_int_equal(n, cases[i].n);
        for (size_t j = 0; j < n; j++)
            assert_true(pang_str_equal(levels[j], pang_str_from(cases[i].levels[j])));
    }
}

static void test_route__too_many_levels_are_refused(void **state)
{
    (void)state;
    pang_buf raw = {.arena = arena};
    pang_str *levels;
    size_t n;
    for (int i = 0; i < 63; i++)
        pang_buf_add(&raw, PANG_STR("a%1F"));
    assert_int_equal(pang_split_levels(pang_buf_str(&raw), PANG_SEPARATOR_UNIT, "namespace", arena,
                                       &levels, &n, &err),
                     PANG_OK);
    assert_int_equal(n, 64);
    pang_buf_add(&raw, PANG_STR("b%1F"));
    assert_int_equal(pang_split_levels(pang_buf_str(&raw), PANG_SEPARATOR_UNIT, "namespace", arena,
                                       &levels, &n, &err),
                     PANG_INVALID_ARGUMENT);
    assert_string_equal(err.message, "invalid namespace: too many levels");
}

static void test_route__texts_are_decoded_once(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        pang_plus plus;
        const char *text; /* NULL: refused */
    } cases[] = {
        {"plain", PANG_PLUS_IS_BLANK, "plain"},
        {"a%2525", PANG_PLUS_IS_BLANK, "a%25"},
        {"a+b%2b", PANG_PLUS_IS_BLANK, "a b+"},
        {"a+b%2b", PANG_PLUS_STAYS, "a+b+"},
        {"%F0%9F%a6%86", PANG_PLUS_STAYS, "\xf0\x9f\xa6\x86"},
        {"%", PANG_PLUS_STAYS, NULL},
        {"%a", PANG_PLUS_STAYS, NULL},
        {"%-1", PANG_PLUS_STAYS, NULL},
        {"%00", PANG_PLUS_STAYS, NULL},
        {"%ed%a0%80", PANG_PLUS_STAYS, NULL},
        {"%c1%81", PANG_PLUS_STAYS, NULL},
        {"\xff", PANG_PLUS_STAYS, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str text;
        pang_code code = pang_percent_decode(pang_str_from(cases[i].raw), cases[i].plus, "x", arena,
                                             &text, &err);
        bool same = cases[i].text != NULL && code == PANG_OK &&
                    pang_str_equal(text, pang_str_from(cases[i].text));
        if (!same && (cases[i].text != NULL || code != PANG_INVALID_ARGUMENT))
            fail_msg("%s: %d", cases[i].raw, code);
    }
}

/* Each route of the description leads to its own method, also with its literals as values. */
static void test_route__every_binding_leads_home(void **state)
{
    (void)state;
    static const char *const values[] = {"x", "tables", "namespaces", "v1", "rename"};
    for (size_t i = 0; i < pang_schema_size(schema); i++) {
        const pang_schema_method *method = pang_schema_at(schema, i);
        for (size_t j = 0; j < method->n_http * 5; j++) {
            const pang_http_binding *binding = &method->http[j / 5];
            pang_buf path = {.arena = arena};
            pang_route_match match;
            pang_str rest = binding->path, allow;
            for (size_t at = pang_str_find(rest, '{'); at < rest.len;
                 at = pang_str_find(rest, '{')) {
                pang_buf_add(&path, pang_str_slice(rest, 0, at));
                pang_buf_add(&path, pang_str_from(values[j % 5]));
                rest = pang_str_after(rest, pang_str_find(rest, '}') + 1);
            }
            pang_buf_add(&path, rest);
            assert_int_equal(pang_router_match(router, binding->verb, pang_buf_str(&path), arena,
                                               &match, &allow, &err),
                             PANG_OK);
            if (match.method != method)
                fail_msg("%.*s", PANG_STR_ARG(pang_buf_str(&path)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route__paths_lead_to_methods),
        cmocka_unit_test(test_route__refusals_say_which),
        cmocka_unit_test(test_route__levels_are_cut_before_they_are_decoded),
        cmocka_unit_test(test_route__too_many_levels_are_refused),
        cmocka_unit_test(test_route__texts_are_decoded_once),
        cmocka_unit_test(test_route__every_binding_leads_home),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
