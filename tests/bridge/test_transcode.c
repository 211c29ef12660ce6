/*
 * bridge/transcode_in.c, transcode_out.c over the real description: requests to messages and back,
 * checked with the generated structs as a second opinion on the bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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
    pang_transcode_request request = {pang_str_from(query), headers, 2, pang_str_from(body), false};
    pang_code code = pang_router_match(router, pang_str_from(verb), pang_str_from(path), arena,
                                       &match, &allow, &err);
    assert_int_equal(code, PANG_OK);
    return pang_transcode_in(schema, &match, &request, arena, ret, &err);
}

static void test_in__a_create_request_from_all_places(void **state)
{
    (void)state;
    pang_str message;
    pang_code code = in("POST", "/v1/my%20cat/namespaces/a%1Fb/tables", "unknown=1",
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
    assert_int_equal(
        in("DELETE", "/v1/c/namespaces/a/tables/t", "purgeRequested=True", "", &message), PANG_OK);
    Pangolin__V1__DropTableRequest *drop = pangolin__v1__drop_table_request__unpack(
        NULL, message.len, (const uint8_t *)message.ptr);
    assert_true(drop->purge_requested);
    pangolin__v1__drop_table_request__free_unpacked(drop, NULL);
    assert_int_equal(
        in("GET", "/v1/c/namespaces", "parent=a%1Fb&pageToken=&pageSize=7&&x", "", &message),
        PANG_OK);
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
        {"/v1/c/namespaces", "{\"namespace\":\"a\"}",
         "namespace: expected an array, found a string"},
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
        {"/v1/c/transactions/commit", "{\"table-changes\":[{},{\"identifier\":{\"name\":{}}}]}",
         "table-changes[1].identifier.name: expected a string, found an object"},
        {"/v1/c/namespaces/a/tables", "{\"schema\":[]}",
         "schema: expected an object, found an array"},
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

static void test_in__page_sizes_are_at_least_one(void **state)
{
    (void)state;
    static const struct {
        const char *query, *message; /* message NULL: accepted */
    } cases[] = {
        {"pageSize=1", NULL},
        {"pageSize=2147483647&pageToken=", NULL},
        {"pageSize=0", "pageSize: expected a number of at least 1"},
        {"pageToken=&pageSize=0", "pageSize: expected a number of at least 1"},
        {"pageSize=-1", "pageSize: expected a number of at least 1"},
        {"pageSize=-2147483648", "pageSize: expected a number of at least 1"},
        {"pageSize=", "pageSize: expected a whole number of 32 bits"},
        {"pageSize=1.5", "pageSize: expected a whole number of 32 bits"},
        {"pageSize=+1", "pageSize: expected a whole number of 32 bits"},
        {"pageSize=2147483648", "pageSize: expected a whole number of 32 bits"},
        {"pageSize=99999999999999999999", "pageSize: expected a whole number of 32 bits"},
        {"pageSize=5&pageSize=5", "pageSize: the parameter is given twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str message;
        pang_code code = in("GET", "/v1/c/namespaces/a/tables", cases[i].query, "", &message);
        if ((code == PANG_OK) != (cases[i].message == NULL))
            fail_msg("%s: %s", cases[i].query, code == PANG_OK ? "accepted" : err.message);
        if (cases[i].message != NULL)
            assert_string_equal(err.message, cases[i].message);
    }
}

static const char *prefix_of(const char *path, const char *query)
{
    pang_str message;
    assert_int_equal(in("GET", path, query, "", &message), PANG_OK);
    Pangolin__V1__ListNamespacesRequest *m = pangolin__v1__list_namespaces_request__unpack(
        NULL, message.len, (const uint8_t *)message.ptr);
    assert_non_null(m);
    const char *prefix = pang_arena_cstr(arena, pang_str_from(m->prefix));
    pangolin__v1__list_namespaces_request__free_unpacked(m, NULL);
    return prefix;
}

static void test_in__a_branch_parameter_is_the_ref_of_the_prefix(void **state)
{
    (void)state;
    pang_str message;
    assert_string_equal(prefix_of("/v1/c/namespaces", "branch=d%C3%A9v&branch=d%C3%A9v"),
                        "c@d\xc3\xa9v");
    assert_string_equal(prefix_of("/v1/c@dev/namespaces", "branch=dev"), "c@dev");
    assert_string_equal(prefix_of("/v1/c@dev/namespaces", "branch="), "c@dev");
    assert_int_equal(in("GET", "/v1/c@dev/namespaces", "branch=main", "", &message),
                     PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "two refs"));
    assert_int_equal(in("GET", "/v1/c/namespaces", "branch=a&branch=b", "", &message),
                     PANG_INVALID_ARGUMENT);
}

static void test_in__a_strict_request_has_no_unknown_members(void **state)
{
    (void)state;
    pang_str message;
    const char *path = "/v1/c/namespaces/n/tables/t/maintenance";
    assert_int_equal(in("POST", path, "", "{\"branch\":\"b\"}", &message), PANG_OK);
    assert_int_equal(in("POST", path, "", "{\"foo\":1}", &message), PANG_INVALID_ARGUMENT);
    assert_string_equal(err.reason, "BadRequestException");
    assert_int_equal(in("POST", path, "foo=1", "{}", &message), PANG_INVALID_ARGUMENT);
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
    entry.key = (char *)(uintptr_t) "a\"b";
    entry.value = (char *)(uintptr_t) "";
    m.metadata_location = (char *)(uintptr_t) "file:/x";
    m.metadata.data = (uint8_t *)(uintptr_t)metadata;
    m.metadata.len = strlen(metadata);
    m.config = entries;
    m.n_config = 1;
    m.etag = (char *)(uintptr_t) "\"abc\"";
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
    m.etag = (char *)(uintptr_t) "\"abc\"";
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
        assert_int_equal(
            pang_transcode_out(schema, method_of(cases[i].path), PANG_STR(""), arena, &reply, &err),
            PANG_OK);
        assert_int_equal(reply.status, cases[i].status);
        assert_true(pang_str_equal(reply.body, pang_str_from(cases[i].body)));
    }
    pang_transcode_reply reply;
    assert_int_equal(pang_transcode_out(schema, method_of(cases[0].path), PANG_STR("\x0a\x7f"),
                                        arena, &reply, &err),
                     PANG_INTERNAL);
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
    assert_true(
        pang_str_equal(pang_transcode_list_begin(schema, m, arena), PANG_STR("{\"namespaces\":[")));
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
                                              &text, &token, &err),
                     PANG_OK);
    assert_true(pang_str_equal(text, PANG_STR(",[\"a\"]")));
    assert_int_equal(token.len, 0);
    assert_true(pang_str_equal(pang_transcode_list_end(schema, m), PANG_STR("]}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in__a_create_request_from_all_places),
        cmocka_unit_test(test_in__queries_fill_typed_fields),
        cmocka_unit_test(test_in__what_is_wrong_is_named),
        cmocka_unit_test(test_in__page_sizes_are_at_least_one),
        cmocka_unit_test(test_in__a_branch_parameter_is_the_ref_of_the_prefix),
        cmocka_unit_test(test_in__a_strict_request_has_no_unknown_members),
        cmocka_unit_test(test_out__a_load_reply_is_spliced),
        cmocka_unit_test(test_out__empty_lists_and_maps_are_written_where_clients_need_them),
        cmocka_unit_test(test_out__lists_come_in_parts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
