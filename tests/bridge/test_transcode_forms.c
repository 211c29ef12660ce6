/*
 * bridge/transcode_in.c, transcode_out.c over sample.proto: every form that a field can have, in
 * the management dialect. The sample's methods echo, so a row is what goes in and what comes out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/json.h"
#include "api/wire.h"
#include "bridge/status.h"
#include "bridge/transcode.h"

static const char *set_path;
static pang_schema *schema;
static pang_router *router;
static pang_arena *arena;
static pang_err err;

static int setup(void **state)
{
    (void)state;
    static char bytes[1 << 18];
    FILE *file = fopen(set_path, "rb");
    if (file == NULL)
        return 1;
    pang_str set = {bytes, fread(bytes, 1, sizeof bytes, file)};
    (void)fclose(file);
    arena = pang_arena_new(64 << 20);
    pang_code code = pang_schema_load(set, &schema, &err);
    if (code == PANG_OK)
        code = pang_router_new(schema, &router, &err);
    if (code != PANG_OK)
        print_error("%s\n", err.message);
    return code != PANG_OK;
}

static int teardown(void **state)
{
    (void)state;
    pang_router_free(router);
    pang_schema_free(schema);
    pang_arena_free(arena);
    return 0;
}

typedef struct {
    const char *verb, *path, *query, *body;
    const pang_http_field *headers;
    size_t n_headers;
} call;

static pang_code in(const call *c, pang_route_match *match, pang_str *ret)
{
    pang_str allow;
    pang_transcode_request request = {pang_str_from(c->query), c->headers, c->n_headers,
                                      pang_str_from(c->body), false};
    pang_code code = pang_router_match(router, pang_str_from(c->verb), pang_str_from(c->path),
                                       arena, match, &allow, &err);
    assert_int_equal(code, PANG_OK);
    return pang_transcode_in(schema, match, &request, arena, ret, &err);
}

/* Through both directions; what was made must be well-formed in between. */
static pang_str echo(const call *c)
{
    pang_route_match match;
    pang_str message;
    pang_transcode_reply reply;
    if (in(c, &match, &message) != PANG_OK)
        fail_msg("%s: %s", c->body, err.message);
    assert_int_equal(pang_schema_validate(schema, match.method->in, message, &err), PANG_OK);
    assert_int_equal(pang_transcode_out(schema, match.method, message, arena, &reply, &err),
                     PANG_OK);
    return reply.body;
}

static void test_forms__what_goes_in_comes_out(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* members beside pathName; out NULL: as in */
    } cases[] = {
        {"", NULL},
        {"\"small\":-2147483648", NULL},
        {"\"large\":-9223372036854775808", NULL},
        {"\"large\":9007199254740993", NULL},
        {"\"smallUnsigned\":4294967295", NULL},
        {"\"largeUnsigned\":18446744073709551615", NULL},
        {"\"flag\":true", NULL},
        {"\"flag\":false", NULL},
        {"\"kind\":\"INGEST\"", NULL},
        {"\"maybe\":\"\"", NULL},
        {"\"maybe\":null", ""},
        {"\"kinds\":[\"INGEST\",\"EXPERIMENTAL\"]", NULL},
        {"\"counts\":{\"a\":1,\"\":-2}", NULL},
        {"\"children\":{\"c\":{\"small\":1,\"children\":{\"d\":{}}}}", NULL},
        {"\"rows\":[[1,2],[],[3]]", NULL},
        {"\"nested\":{\"nested\":{\"pathName\":\"inner\"}}", NULL},
        {"\"byName\":\"n\"", NULL},
        {"\"byId\":7", NULL},
        {"\"byId\":7,\"byName\":null", "\"byId\":7"},
        {"\"tenant-id\":\"t\"", NULL},
        {"\"tenant_id\":\"t\"", "\"tenant-id\":\"t\""},
        {"\"tenant\":\"t\"", "\"tenant-id\":\"t\""},
        {"\"org\":\"t\"", "\"tenant-id\":\"t\""},
        {"\"large_unsigned\":1", "\"largeUnsigned\":1"},
        {"\"secret\":\"s\"", ""},
        {"\"header\":\"from the body\"", ""},
        {"\"path_name\":\"from the body\"", ""},
        {"\"document\": [1, {\"a\" :2.50}] ", "\"document\":[1, {\"a\" :2.50}]"},
        {"\"document\":\"\\u00e9\"", NULL},
        {"\"document\":null", ""},
        {"\"words\":[\"\\u00e9\\n\",\"\"]", "\"words\":[\"\xc3\xa9\\n\",\"\"]"},
        {"\"nested\":{\"secret\":{\"any\":[]}}", "\"nested\":{}"},
        {"\"tenant-id\":\"a\",\"small\":1,\"tenant_id\":\"a\",\"tenant\":\"a\"",
         "\"small\":1,\"tenant-id\":\"a\""},
        {"\"nested\":{\"tenant_id\":\"a\",\"tenant-id\":\"a\"}",
         "\"nested\":{\"tenant-id\":\"a\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *out = cases[i].out == NULL ? cases[i].in : cases[i].out;
        call c = {.verb = "POST", .path = "/api/v1/echo/p+q%2F", .query = ""};
        char body[256], want[256];
        (void)snprintf(body, sizeof body, "{%s}", cases[i].in);
        (void)snprintf(want, sizeof want, "{\"pathName\":\"p+q/\"%s%s}", out[0] == '\0' ? "" : ",",
                       out);
        c.body = body;
        pang_str got = echo(&c);
        if (!pang_str_equal(got, pang_str_from(want)))
            fail_msg("%s: %.*s", body, PANG_STR_ARG(got));
        assert_int_equal(pang_json_check(got, arena, &err), PANG_OK);
    }
}

static void test_forms__queries_headers_and_bodies_of_one_field(void **state)
{
    (void)state;
    static const pang_http_field once[] = {{PANG_STR_INIT("x-sample"), PANG_STR_INIT("h")}};
    static const pang_http_field twice[] = {
        {PANG_STR_INIT("x-sample"), PANG_STR_INIT("\"a\"")},
        {PANG_STR_INIT("other"), PANG_STR_INIT("no")},
        {PANG_STR_INIT("x-sample"), PANG_STR_INIT("\"b\"")},
        {PANG_STR_INIT("x-sample"), PANG_STR_INIT("\"c\"")},
    };
    static const struct {
        call c;
        const char *out, *header;
    } cases[] = {
        {{"GET", "/api/v1/echo/p", "small=-3&flag=TRUE&kind=INGEST&maybe=&words=a+b&words=c%2B", "",
          NULL, 0},
         "{\"pathName\":\"p\",\"small\":-3,\"flag\":true,\"kind\":\"INGEST\",\"maybe\":\"\","
         "\"words\":[\"a b\",\"c+\"]}",
         NULL},
        {{"GET", "/api/v1/echo/p", "secret=x&pathName=other&header=no&document=%7B%7D", "", NULL,
          0},
         "{\"pathName\":\"p\"}",
         NULL},
        {{"GET", "/api/v1/echo/p", "", "this body is not read", once, 1},
         "{\"pathName\":\"p\"}",
         "h"},
        {{"GET", "/api/v1/echo/p", "", "", twice, 4},
         "{\"pathName\":\"p\"}",
         "\"a\", \"b\", \"c\""},
        {{"PUT", "/api/v1/nested/p", "large=1", "{\"small\":2}", NULL, 0},
         "{\"pathName\":\"p\",\"large\":1,\"nested\":{\"small\":2}}",
         NULL},
        {{"PUT", "/api/v1/rows/p", "", "[[1],[2,3]]", NULL, 0},
         "{\"pathName\":\"p\",\"rows\":[[1],[2,3]]}",
         NULL},
        {{"POST", "/api/v1/echo/merge", "", "{\"small\":1}", NULL, 0}, "{\"small\":1}", NULL},
        {{"POST", "/api/v1/echo/p", "", " \t", NULL, 0}, "{\"pathName\":\"p\"}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_route_match match;
        pang_str message;
        pang_transcode_reply reply;
        if (in(&cases[i].c, &match, &message) != PANG_OK)
            fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(pang_transcode_out(schema, match.method, message, arena, &reply, &err),
                         PANG_OK);
        if (!pang_str_equal(reply.body, pang_str_from(cases[i].out)))
            fail_msg("case %zu: %.*s", i, PANG_STR_ARG(reply.body));
        assert_int_equal(reply.n_headers, cases[i].header != NULL);
        if (cases[i].header != NULL)
            assert_true(pang_str_equal(reply.headers[0].value, pang_str_from(cases[i].header)));
    }
}

static void test_forms__what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *query, *body;
        unsigned status;
        const char *message;
    } cases[] = {
        {"", "{\"what\":1}", 422, "what: an unknown member"},
        {"", "{\"nested\":{\"nested\":{\"what\":1}}}", 422,
         "nested.nested.what: an unknown member"},
        {"", "{\"PathName\":1}", 422, "PathName: an unknown member"},
        {"small=1&small=2", "{}", 422, "small: the parameter is given twice"},
        {"small=1", "{\"small\":2}", 422, "fields from the body, not from the query"},
        {"", "{\"tenant\":\"a\",\"tenant-id\":\"b\"}", 422,
         "tenant-id: the field is given twice, and not the same"},
        {"", "{\"byId\":1,\"byName\":\"b\"}", 422, "byName: the field is given twice"},
        {"", "{\"nested\":{\"org\":\"a\",\"tenant_id\":\"b\"}}", 422,
         "nested.tenant_id: the field is given twice"},
        {"", "{\"small\":2147483648}", 422, "small: expected a whole number of 32 bits"},
        {"", "{\"small\":1.0}", 422, "small: expected a whole number of 32 bits"},
        {"", "{\"small\":\"1\"}", 422, "small: expected a whole number, found a string"},
        {"", "{\"large\":9223372036854775808}", 422, "large: expected a whole number of 64 bits"},
        {"", "{\"largeUnsigned\":-1}", 422, "largeUnsigned: expected a whole number of 64 bits"},
        {"", "{\"kind\":\"ingest\"}", 422, "kind: an unknown value"},
        {"", "{\"kind\":1}", 422, "kind: expected a string, found a number"},
        {"kind=NONE", "{}", 422, "kind: an unknown value"},
        {"flag=yes", "{}", 422, "flag: expected true or false"},
        {"counts=1", "{}", 422, "counts: this field cannot be set here"},
        {"", "{\"kinds\":[\"INGEST\",\"X\"]}", 422, "kinds[1]: an unknown value"},
        {"", "{\"counts\":{\"a\":{}}}", 422, "counts.a: expected a whole number, found an object"},
        {"", "{\"counts\":[]}", 422, "counts: expected an object, found an array"},
        {"", "{\"rows\":[[1],[2,\"x\"]]}", 422,
         "rows[1][1]: expected a whole number, found a string"},
        {"", "{\"rows\":[{}]}", 422, "rows[0]: expected an array, found an object"},
        {"", "{\"children\":{\"k\":{\"nested\":7}}}", 422,
         "children.k.nested: expected an object, found a number"},
        {"", "{\"ratio\":1.5}", 422, "ratio: this field cannot be set over HTTP"},
        {"", "\"text\"", 422, "expected an object, found a string"},
        {"", "null", 422, "expected an object, found null"},
        {"", "{\"small\":01}", 400, "invalid JSON at line 1, column 10"},
        {"", "{} {}", 400, "bytes behind the end"},
        {"", "{\"words\":[\"\\u0000\"]}", 400, "an escape that does not exist"},
        {"%zz=1", "{}", 400, "invalid query parameter: a bad percent escape"},
        {"maybe=%00", "{}", 400, "invalid maybe: a NUL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* What the query alone says goes by GET, which has no body. */
        bool by_query = cases[i].query[0] != '\0' && strcmp(cases[i].body, "{}") == 0;
        call c = {.verb = by_query ? "GET" : "POST",
                  .path = "/api/v1/echo/p",
                  .query = cases[i].query,
                  .body = by_query ? "" : cases[i].body};
        pang_route_match match;
        pang_str message;
        pang_code code = in(&c, &match, &message);
        if (code != PANG_INVALID_ARGUMENT)
            fail_msg("accepted: %s %s", cases[i].query, cases[i].body);
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s %s: %s", cases[i].query, cases[i].body, err.message);
        assert_int_equal(pang_status_of(PANG_DIALECT_ICEBERG, code, pang_str_from(err.reason)),
                         cases[i].status);
    }
}

static void test_forms__depth_and_number_of_parameters_are_bounded(void **state)
{
    (void)state;
    pang_route_match match;
    pang_str message;
    for (size_t depth = 60; depth < 70; depth++) {
        pang_buf body = {.arena = arena};
        for (size_t i = 0; i < depth; i++)
            pang_buf_add(&body, PANG_STR("{\"nested\":"));
        pang_buf_add(&body, PANG_STR("{}"));
        for (size_t i = 0; i < depth; i++)
            pang_buf_add_char(&body, '}');
        pang_buf_add_char(&body, '\0');
        call c = {.verb = "POST", .path = "/api/v1/echo/p", .query = "", .body = body.ptr};
        assert_int_equal(in(&c, &match, &message),
                         depth < PANG_JSON_DEPTH_MAX ? PANG_OK : PANG_INVALID_ARGUMENT);
    }
    pang_buf query = {.arena = arena};
    for (size_t i = 0; i <= PANG_QUERY_PARAMETERS_MAX; i++)
        pang_buf_add(&query, PANG_STR("words=a&"));
    pang_buf_add_char(&query, '\0');
    call c = {.verb = "GET", .path = "/api/v1/echo/p", .query = query.ptr, .body = ""};
    assert_int_equal(in(&c, &match, &message), PANG_INVALID_ARGUMENT);
    assert_string_equal(err.message, "too many query parameters");
}

static void test_forms__a_literal_wins_only_with_its_verb(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *path, *method; /* NULL: 405 */
    } cases[] = {
        {"POST", "/api/v1/echo/merge", "/Merge"}, {"GET", "/api/v1/echo/merge", "/Echo"},
        {"HEAD", "/api/v1/echo/merge", "/Echo"},  {"POST", "/api/v1/echo/x", "/Echo"},
        {"PUT", "/api/v1/echo/merge", NULL},      {"PUT", "/api/v1/echo/x", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_route_match match;
        pang_str allow = PANG_STR("");
        pang_code code = pang_router_match(router, pang_str_from(cases[i].verb),
                                           pang_str_from(cases[i].path), arena, &match, &allow,
                                           &err);
        assert_int_equal(code, cases[i].method == NULL ? PANG_UNIMPLEMENTED : PANG_OK);
        assert_int_equal(allow.len > 0, cases[i].method == NULL);
        if (code == PANG_OK)
            assert_true(pang_str_ends(match.method->path, pang_str_from(cases[i].method)));
        if (code == PANG_OK)
            assert_int_equal(match.head, strcmp(cases[i].verb, "HEAD") == 0);
    }
}

static void test_forms__packed_and_split_lists_are_one(void **state)
{
    (void)state;
    static const pang_str messages[] = {
        PANG_STR_INIT("\x4a\x02\x01\x02"),             /* packed */
        PANG_STR_INIT("\x48\x01\x48\x02"),             /* one by one */
        PANG_STR_INIT("\x4a\x01\x01\x10\x00\x48\x02"), /* both, with another field between */
    };
    for (size_t i = 0; i < 3; i++) {
        pang_transcode_reply reply;
        assert_int_equal(
            pang_transcode_out(schema, pang_schema_at(schema, 0), messages[i], arena, &reply, &err),
            PANG_OK);
        assert_non_null(strstr(reply.body.ptr, "\"kinds\":[\"INGEST\",\"EXPERIMENTAL\"]"));
    }
}

static void test_forms__a_broken_reply_is_no_text(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        pang_str bytes;
        pang_code code;
    } cases[] = {
        {"text cut short",
         PANG_STR_INIT("\x0a\x05"
                       "ab"),
         PANG_INTERNAL},
        {"text is a number", PANG_STR_INIT("\x08\x01"), PANG_INTERNAL},
        {"text is no UTF-8", PANG_STR_INIT("\x0a\x01\xff"), PANG_INTERNAL},
        {"text has a NUL", PANG_STR_INIT("\x0a\x01\0"), PANG_INTERNAL},
        {"number is text",
         PANG_STR_INIT("\x12\x01"
                       "a"),
         PANG_INTERNAL},
        {"a map's entry is broken", PANG_STR_INIT("\x52\x02\x0a\x05"), PANG_INTERNAL},
        {"a map's key is no UTF-8", PANG_STR_INIT("\x52\x03\x0a\x01\xff"), PANG_INTERNAL},
        {"a packed number is cut short", PANG_STR_INIT("\x4a\x01\x80"), PANG_INTERNAL},
        {"a header ends its line",
         PANG_STR_INIT("\x9a\x01\x03"
                       "a\r\n"),
         PANG_INTERNAL},
        {"a form that is not in JSON",
         PANG_STR_INIT("\xa9\x01"
                       "12345678"),
         PANG_INTERNAL},
        {"a field of a newer core", PANG_STR_INIT("\xc0\x3e\x01"), PANG_OK},
        {"an enum of a newer core", PANG_STR_INIT("\x38\x63"), PANG_OK},
        {"the last value counts", PANG_STR_INIT("\x10\x01\x10\x02"), PANG_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_transcode_reply reply;
        pang_code code = pang_transcode_out(schema, pang_schema_at(schema, 0), cases[i].bytes,
                                            arena, &reply, &err);
        if (code != cases[i].code)
            fail_msg("%s: %d", cases[i].name, code);
        if (code == PANG_OK)
            assert_int_equal(pang_json_check(reply.body, arena, &err), PANG_OK);
    }
    pang_str deep = PANG_STR("");
    for (int i = 0; i < 40; i++) {
        pang_buf outer = {.arena = arena};
        pang_wire_add_bytes(&outer, 13, deep);
        deep = pang_buf_str(&outer);
    }
    assert_int_equal(pang_schema_validate(schema, pang_schema_at(schema, 0)->in, deep, &err),
                     PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "nested too deep"));
    pang_transcode_reply reply;
    assert_int_equal(
        pang_transcode_out(schema, pang_schema_at(schema, 0), deep, arena, &reply, &err),
        PANG_INTERNAL);
}

/* With too little memory at any point: an error, never a shorter message or body. */
static void test_forms__no_memory_is_an_error(void **state)
{
    (void)state;
    call c = {.verb = "PUT",
              .path = "/api/v1/nested/p%20q",
              .query = "words=a%20b",
              .headers = NULL,
              .body = "{\"counts\":{\"a\":1},\"rows\":[[1],[2]],\"maybe\":\"\\u00e9\"}"};
    pang_str whole = echo(&c);
    pang_arena *kept = arena;
    size_t passed = 0, failed = 0;
    for (size_t limit = 0; limit < 64 << 10; limit += 256) {
        pang_route_match match;
        pang_transcode_reply reply;
        pang_str allow, message;
        pang_transcode_request request = {pang_str_from(c.query), NULL, 0, pang_str_from(c.body),
                                          false};
        arena = pang_arena_new(limit);
        pang_code code = pang_router_match(router, pang_str_from(c.verb), pang_str_from(c.path),
                                           arena, &match, &allow, &err);
        if (code == PANG_OK)
            code = pang_transcode_in(schema, &match, &request, arena, &message, &err);
        if (code == PANG_OK)
            code = pang_transcode_out(schema, match.method, message, arena, &reply, &err);
        if (code == PANG_OK)
            assert_true(pang_str_equal(reply.body, whole));
        else
            assert_int_equal(code, PANG_RESOURCE_EXHAUSTED);
        passed += code == PANG_OK;
        failed += code != PANG_OK;
        pang_arena_free(arena);
    }
    arena = kept;
    assert_true(passed > 0 && failed > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms__what_goes_in_comes_out),
        cmocka_unit_test(test_forms__queries_headers_and_bodies_of_one_field),
        cmocka_unit_test(test_forms__what_is_wrong_is_named),
        cmocka_unit_test(test_forms__depth_and_number_of_parameters_are_bounded),
        cmocka_unit_test(test_forms__a_literal_wins_only_with_its_verb),
        cmocka_unit_test(test_forms__packed_and_split_lists_are_one),
        cmocka_unit_test(test_forms__a_broken_reply_is_no_text),
        cmocka_unit_test(test_forms__no_memory_is_an_error),
    };
    if (argc != 2)
        return 2;
    set_path = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
