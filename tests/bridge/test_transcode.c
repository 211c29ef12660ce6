/*
 * bridge/route.c, transcode_in.c, transcode_out.c, status.c: requests to messages and back, checked
 * with the generated structs as a second opinion on the bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bridge/status.h"
#include "bridge/transcode.h"
#include "pangolin/v1/namespace.pb-c.h"
#include "pangolin/v1/table.pb-c.h"

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

/* ---- routes ---- */

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
        const char *message;
    } cases[] = {
        {"GET", "/v1/demo/nope", 400, "No route for request: GET v1/demo/nope"},
        {"GET", "/favicon.ico", 404, "No route"},
        {"PUT", "/v1/demo/namespaces", 405, "PUT is not allowed"},
        {"GET", "/v1/demo/namespaces/%zz", 400, "bad percent escape"},
        {"GET", "/v1/demo/namespaces/%4", 400, "bad percent escape"},
        {"GET", "/v1/demo/namespaces/a%00b", 400, "a NUL"},
        {"GET", "/v1/demo/namespaces/%c0%af", 400, "not UTF-8"},
        {"GET", "/v1/demo/namespaces/%2e%2e", 400, "dots"},
        {"GET", "/v1/demo/namespaces/.", 400, "dots"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_route_match match;
        pang_str allow = PANG_STR("");
        pang_code code = pang_router_match(router, pang_str_from(cases[i].verb),
                                           pang_str_from(cases[i].path), arena, &match, &allow,
                                           &err);
        assert_int_not_equal(code, PANG_OK);
        assert_int_equal(pang_status_of(code, pang_str_from(err.reason)), cases[i].status);
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].path, err.message);
        if (cases[i].status == 405)
            assert_true(pang_str_equal(allow, PANG_STR("GET, POST")) ||
                        pang_str_equal(allow, PANG_STR("POST, GET")));
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
                       "c"), 3, {"a", "b", "c"}},
        {PANG_STR_INIT("a%251Fb"), 1, {"a%1Fb"}},
        {PANG_STR_INIT("a+b%2Bc%2Fd%1F%20"), 2, {"a b+c/d", " "}},
        {PANG_STR_INIT("a.b"), 1, {"a.b"}},
        {PANG_STR_INIT("a%1F"), 2, {"a", ""}},
        {PANG_STR_INIT(""), 0, {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str *levels;
        size_t n;
        assert_int_equal(pang_split_levels(cases[i].raw, "namespace", arena, &levels, &n, &err),
                         PANG_OK);
        assert_int_equal(n, cases[i].n);
        for (size_t j = 0; j < n; j++)
            assert_true(pang_str_equal(levels[j], pang_str_from(cases[i].levels[j])));
    }
}

/* ---- requests ---- */

static pang_code in(const char *verb, const char *path, const char *query, const char *body,
                    pang_str *ret)
{
    pang_route_match match;
    pang_str allow;
    static const pang_http_field headers[] = {
        {PANG_STR_INIT("idempotency-key"), PANG_STR_INIT("k-1")},
        {PANG_STR_INIT("if-none-match"), PANG_STR_INIT("\"e\"")},
    };
    pang_transcode_request request = {pang_str_from(query), headers, 2, pang_str_from(body)};
    pang_code code = pang_router_match(router, pang_str_from(verb), pang_str_from(path), arena,
                                       &match, &allow, &err);
    assert_int_equal(code, PANG_OK);
    return pang_transcode_in(schema, &match, &request, arena, ret, &err);
}

static void test_in__a_create_request_from_all_places(void **state)
{
    (void)state;
    pang_str message;
    pang_code code =
        in("POST", "/v1/my%20cat/namespaces/a%1Fb/tables", "unknown=1",
           "{\"name\":\"t\\u00e9\",\"prefix\":\"other\",\"namespace\":[\"x\"],"
           "\"idempotency-key\":\"no\",\"schema\": {\"fields\":[ 9007199254740993 ]} ,"
           "\"partition-spec\":null,\"stage-create\":true,\"location\":\"\","
           "\"properties\":{\"k\":\"v\",\"\":\"\"},\"unknown\":{\"deep\":[1,{}]}}",
           &message);
    assert_int_equal(code, PANG_OK);
    Pangolin__V1__CreateTableRequest *m = pangolin__v1__create_table_request__unpack(
        NULL, message.len, (const uint8_t *)message.ptr);
    assert_non_null(m);
    assert_string_equal(m->prefix, "my cat");
    assert_int_equal(m->n_namespace_, 2);
    assert_string_equal(m->namespace_[1], "b");
    assert_string_equal(m->name, "t\xc3\xa9");
    assert_memory_equal(m->schema.data, "{\"fields\":[ 9007199254740993 ]}", m->schema.len);
    assert_int_equal(m->partition_spec.len, 0);
    assert_true(m->stage_create);
    assert_int_equal(m->_location_case, PANGOLIN__V1__CREATE_TABLE_REQUEST___LOCATION_LOCATION);
    assert_int_equal(m->n_properties, 2);
    assert_string_equal(m->properties[0]->key, "k");
    assert_string_equal(m->properties[0]->value, "v");
    assert_string_equal(m->idempotency_key, "k-1");
    pangolin__v1__create_table_request__free_unpacked(m, NULL);
}

static void test_in__queries_fill_typed_fields(void **state)
{
    (void)state;
    pang_str message;
    assert_int_equal(in("DELETE", "/v1/c/namespaces/a/tables/t", "purgeRequested=True", "",
                        &message), PANG_OK);
    Pangolin__V1__DropTableRequest *drop = pangolin__v1__drop_table_request__unpack(
        NULL, message.len, (const uint8_t *)message.ptr);
    assert_true(drop->purge_requested);
    pangolin__v1__drop_table_request__free_unpacked(drop, NULL);
    assert_int_equal(in("GET", "/v1/c/namespaces", "parent=a%1Fb&pageToken=&pageSize=7&&x", "",
                        &message), PANG_OK);
    Pangolin__V1__ListNamespacesRequest *list = pangolin__v1__list_namespaces_request__unpack(
        NULL, message.len, (const uint8_t *)message.ptr);
    assert_int_equal(list->n_parent, 2);
    assert_int_equal(list->page_size, 7);
    assert_int_equal(list->_page_token_case,
                     PANGOLIN__V1__LIST_NAMESPACES_REQUEST___PAGE_TOKEN_PAGE_TOKEN);
    pangolin__v1__list_namespaces_request__free_unpacked(list, NULL);
}

static void test_in__what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body, *message;
    } cases[] = {
        {"/v1/c/namespaces", "{\"namespace\":\"a\"}", "namespace: expected an array, found a string"},
        {"/v1/c/namespaces", "{\"namespace\":[\"a\",1]}",
         "namespace[1]: expected a string, found a number"},
        {"/v1/c/namespaces", "{\"namespace\":[\"a\",null]}",
         "namespace[1]: expected a string, found null"},
        {"/v1/c/namespaces", "{\"properties\":{\"k\":1}}",
         "properties.k: expected a string, found a number"},
        {"/v1/c/namespaces", "[]", "expected an object, found an array"},
        {"/v1/c/namespaces", "{", "invalid JSON at line 1, column 2"},
        {"/v1/c/namespaces", "{}{}", "bytes behind the end"},
        {"/v1/c/namespaces", "{\"namespace\":[],\"namespace\":[]}", "two members of one name"},
        {"/v1/c/transactions/commit",
         "{\"table-changes\":[{},{\"identifier\":{\"name\":{}}}]}",
         "table-changes[1].identifier.name: expected a string, found an object"},
        {"/v1/c/namespaces/a/tables", "{\"schema\":[]}", "schema: expected an object, found an array"},
        {"/v1/c/namespaces/a/tables", "{\"stage-create\":\"true\"}",
         "stage-create: expected a boolean, found a string"},
        {"/v1/c/namespaces/a/tables/t/metrics", "7", "expected an object, found a number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str message;
        pang_code code = in("POST", cases[i].path, "", cases[i].body, &message);
        if (code != PANG_INVALID_ARGUMENT)
            fail_msg("accepted: %s", cases[i].body);
        assert_string_equal(err.reason, "BadRequestException");
        if (strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].body, err.message);
    }
    pang_str message;
    assert_int_equal(in("GET", "/v1/c/namespaces", "pageSize=x", "", &message),
                     PANG_INVALID_ARGUMENT);
    assert_string_equal(err.message, "pageSize: expected a whole number of 32 bits");
    assert_int_equal(in("GET", "/v1/c/namespaces", "pageSize=4294967296", "", &message),
                     PANG_INVALID_ARGUMENT);
}

/* ---- replies ---- */

static const pang_schema_method *method_of(const char *path)
{
    const pang_schema_method *m = pang_schema_find(schema, pang_str_from(path));
    assert_non_null(m);
    return m;
}

static void test_out__a_load_reply_is_spliced(void **state)
{
    (void)state;
    uint8_t packed[1024];
    Pangolin__V1__LoadTableResponse m = PANGOLIN__V1__LOAD_TABLE_RESPONSE__INIT;
    Pangolin__V1__LoadTableResponse__ConfigEntry entry =
        PANGOLIN__V1__LOAD_TABLE_RESPONSE__CONFIG_ENTRY__INIT;
    Pangolin__V1__LoadTableResponse__ConfigEntry *entries[] = {&entry};
    static const char metadata[] = "{\"snapshot-id\":9007199254740993}";
    pang_transcode_reply reply;
    entry.key = (char *)(uintptr_t)"a\"b";
    entry.value = (char *)(uintptr_t)"";
    m.metadata_location = (char *)(uintptr_t)"file:/x";
    m.metadata.data = (uint8_t *)(uintptr_t)metadata;
    m.metadata.len = strlen(metadata);
    m.config = entries;
    m.n_config = 1;
    m.etag = (char *)(uintptr_t)"\"abc\"";
    size_t len = pangolin__v1__load_table_response__pack(&m, packed);
    pang_code code = pang_transcode_out(schema, method_of("/pangolin.v1.TableService/LoadTable"),
                                        (pang_str){(char *)packed, len}, arena, &reply, &err);
    assert_int_equal(code, PANG_OK);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.n_headers, 1);
    assert_true(pang_str_equal(reply.headers[0].name, PANG_STR("ETag")));
    assert_true(pang_str_equal(reply.headers[0].value, PANG_STR("\"abc\"")));
    assert_true(pang_str_equal(
        reply.body, PANG_STR("{\"metadata-location\":\"file:/x\",\"metadata\":{\"snapshot-id\":"
                             "9007199254740993},\"config\":{\"a\\\"b\":\"\"}}")));
    m = (Pangolin__V1__LoadTableResponse)PANGOLIN__V1__LOAD_TABLE_RESPONSE__INIT;
    m.not_modified = 1;
    m.etag = (char *)(uintptr_t)"\"abc\"";
    len = pangolin__v1__load_table_response__pack(&m, packed);
    code = pang_transcode_out(schema, method_of("/pangolin.v1.TableService/LoadTable"),
                              (pang_str){(char *)packed, len}, arena, &reply, &err);
    assert_int_equal(code, PANG_OK);
    assert_int_equal(reply.status, 304);
    assert_int_equal(reply.body.len, 0);
    assert_int_equal(reply.n_headers, 1);
}

static void test_out__empty_lists_and_maps_are_written_where_clients_need_them(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        unsigned status;
        const char *body;
    } cases[] = {
        {"/pangolin.v1.NamespaceService/ListNamespaces", 200, "{\"namespaces\":[]}"},
        {"/pangolin.v1.ConfigService/GetConfig", 200,
         "{\"defaults\":{},\"overrides\":{},\"endpoints\":[]}"},
        {"/pangolin.v1.NamespaceService/UpdateNamespaceProperties", 200,
         "{\"updated\":[],\"removed\":[],\"missing\":[]}"},
        {"/pangolin.v1.TableService/DropTable", 204, ""},
        {"/pangolin.v1.TableService/LoadCredentials", 200, "{\"storage-credentials\":[]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_transcode_reply reply;
        assert_int_equal(pang_transcode_out(schema, method_of(cases[i].path), PANG_STR(""), arena,
                                            &reply, &err), PANG_OK);
        assert_int_equal(reply.status, cases[i].status);
        assert_true(pang_str_equal(reply.body, pang_str_from(cases[i].body)));
    }
    pang_transcode_reply reply;
    assert_int_equal(pang_transcode_out(schema, method_of(cases[0].path), PANG_STR("\x0a\x7f"),
                                        arena, &reply, &err), PANG_INTERNAL);
}

static void test_out__lists_come_in_parts(void **state)
{
    (void)state;
    const pang_schema_method *m = method_of("/pangolin.v1.NamespaceService/ListNamespaces");
    pang_str message, text, token;
    assert_int_equal(in("GET", "/v1/c/namespaces", "", "", &message), PANG_OK);
    assert_true(pang_transcode_wants_all(m, message));
    assert_int_equal(pang_transcode_page(m, message, PANG_STR("tok"), 50, arena, &message, &err),
                     PANG_OK);
    assert_false(pang_transcode_wants_all(m, message));
    Pangolin__V1__ListNamespacesRequest *list = pangolin__v1__list_namespaces_request__unpack(
        NULL, message.len, (const uint8_t *)message.ptr);
    assert_string_equal(list->page_token, "tok");
    assert_int_equal(list->page_size, 50);
    assert_string_equal(list->prefix, "c");
    pangolin__v1__list_namespaces_request__free_unpacked(list, NULL);
    assert_true(pang_str_equal(pang_transcode_list_begin(m, arena), PANG_STR("{\"namespaces\":[")));
    /* two names, [a] and [b, c], and a token */
    pang_str page = PANG_STR("\x0a\x03\x0a\x01"
                             "a\x0a\x06\x0a\x01"
                             "b\x0a\x01"
                             "c\x12\x01t");
    assert_int_equal(pang_transcode_list_part(schema, m, page, true, arena, &text, &token, &err),
                     PANG_OK);
    assert_true(pang_str_equal(text, PANG_STR("[\"a\"],[\"b\",\"c\"]")));
    assert_true(pang_str_equal(token, PANG_STR("t")));
    assert_int_equal(pang_transcode_list_part(schema, m, pang_str_slice(page, 0, 5), false, arena,
                                              &text, &token, &err), PANG_OK);
    assert_true(pang_str_equal(text, PANG_STR(",[\"a\"]")));
    assert_int_equal(token.len, 0);
    assert_true(pang_str_equal(pang_transcode_list_end(), PANG_STR("]}")));
}

/* ---- status ---- */

static void test_status__codes_reasons_and_dialects(void **state)
{
    (void)state;
    static const struct {
        pang_code code;
        const char *reason;
        unsigned status;
        const char *type;
    } cases[] = {
        {PANG_NOT_FOUND, "NoSuchTableException", 404, "NoSuchTableException"},
        {PANG_FAILED_PRECONDITION, "", 409, "CommitFailedException"},
        {PANG_FAILED_PRECONDITION, "NamespaceNotEmptyException", 409, "NamespaceNotEmptyException"},
        {PANG_INVALID_ARGUMENT, "UnprocessableEntityException", 422, "UnprocessableEntityException"},
        {PANG_UNKNOWN, "", 500, "CommitStateUnknownException"},
        {PANG_UNIMPLEMENTED, "", 406, "UnsupportedOperationException"},
        {PANG_RESOURCE_EXHAUSTED, "TooManyRequests", 429, "TooManyRequests"},
        {(pang_code)77, "", 500, "InternalServerError"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str reason = pang_str_from(cases[i].reason);
        assert_int_equal(pang_status_of(cases[i].code, reason), cases[i].status);
        assert_true(pang_str_equal(pang_status_type(cases[i].code, reason),
                                   pang_str_from(cases[i].type)));
        assert_string_not_equal(pang_status_phrase(cases[i].status), "Unknown");
    }
    assert_true(pang_str_equal(
        pang_status_body(PANG_DIALECT_ICEBERG, 404, PANG_STR("T"), PANG_STR("a\"b"), arena),
        PANG_STR("{\"error\":{\"message\":\"a\\\"b\",\"type\":\"T\",\"code\":404}}")));
    assert_true(pang_str_equal(
        pang_status_body(PANG_DIALECT_MANAGEMENT, 404, PANG_STR("T"), PANG_STR("m"), arena),
        PANG_STR("{\"error\":\"m\",\"type\":\"T\",\"code\":404}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route__paths_lead_to_methods),
        cmocka_unit_test(test_route__refusals_say_which),
        cmocka_unit_test(test_route__levels_are_cut_before_they_are_decoded),
        cmocka_unit_test(test_in__a_create_request_from_all_places),
        cmocka_unit_test(test_in__queries_fill_typed_fields),
        cmocka_unit_test(test_in__what_is_wrong_is_named),
        cmocka_unit_test(test_out__a_load_reply_is_spliced),
        cmocka_unit_test(test_out__empty_lists_and_maps_are_written_where_clients_need_them),
        cmocka_unit_test(test_out__lists_come_in_parts),
        cmocka_unit_test(test_status__codes_reasons_and_dialects),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
