/*
 * bridge/transcode_in.c, transcode_out.c over the management API of the real description: the
 * spellings that existing clients send and need back, which Iceberg's routes do not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <protobuf-c/protobuf-c.h>

#include "bridge/status.h"
#include "bridge/transcode.h"
#include "pangolin/v1/asset.pb-c.h"
#include "pangolin/v1/audit.pb-c.h"
#include "pangolin/v1/auth.pb-c.h"
#include "pangolin/v1/catalog.pb-c.h"
#include "pangolin/v1/oauth.pb-c.h"
#include "pangolin/v1/role.pb-c.h"
#include "pangolin/v1/service_user.pb-c.h"
#include "pangolin/v1/tenant.pb-c.h"
#include "pangolin/v1/user.pb-c.h"
#include "pangolin/v1/warehouse.pb-c.h"

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
    pang_schema_free(schema);
    pang_arena_free(arena);
    return 0;
}

/* `verb path?query`, and a body; a form when the method takes one. */
static pang_code in(const char *verb, const char *target, const char *body, pang_str *ret)
{
    pang_route_match match;
    pang_str allow, all = pang_str_from(target);
    size_t at = pang_str_find(all, '?');
    if (pang_router_match(router, pang_str_from(verb), pang_str_slice(all, 0, at), arena, &match,
                          &allow, &err) != PANG_OK)
        fail_msg("%s", err.message);
    pang_transcode_request request = {.query = pang_str_after(all, at + 1),
                                      .body = pang_str_from(body),
                                      .form = match.method->form};
    return pang_transcode_in(schema, &match, &request, arena, ret, &err);
}

/* Unpacked into the arena's memory, which a test never runs out of. */
static void *take(void *arg, size_t size)
{
    (void)arg;
    return pang_arena_alloc(arena, size);
}

static void leave(void *arg, void *memory)
{
    (void)arg;
    (void)memory;
}

static const void *must(const char *verb, const char *target, const char *body,
                        const ProtobufCMessageDescriptor *type)
{
    pang_str message;
    ProtobufCAllocator memory = {take, leave, NULL};
    if (in(verb, target, body, &message) != PANG_OK)
        fail_msg("%s %s: %s", verb, target, err.message);
    const void *m = protobuf_c_message_unpack(type, &memory, message.len,
                                              (const uint8_t *)message.ptr);
    assert_non_null(m);
    return m;
}

static pang_str pack(const void *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    char *to = pang_arena_alloc_text(arena, len + 1);
    assert_int_equal(protobuf_c_message_pack(message, (uint8_t *)to), len);
    return (pang_str){to, len};
}

static pang_transcode_reply out(const char *method, const void *message)
{
    pang_transcode_reply reply;
    const pang_schema_method *m = pang_schema_find(schema, pang_str_from(method));
    assert_non_null(m);
    if (pang_transcode_out(schema, m, pack(message), arena, &reply, &err) != PANG_OK)
        fail_msg("%s", err.message);
    return reply;
}

static void expect_text(pang_str got, const char *want)
{
    if (!pang_str_equal(got, pang_str_from(want)))
        fail_msg("got %.*s\nwanted %s", PANG_STR_ARG(got), want);
}

/* ---- requests ---- */

/* Addresses end in logs: what a body holds is not taken from there. */
static void test_management__bodies_are_not_in_the_query(void **state)
{
    static const struct {
        const char *verb, *target, *body, *message; /* message NULL: accepted */
    } cases[] = {
        {"POST", "/api/v1/users/login?password=p", "{\"username\":\"u\"}", "not from the query"},
        {"POST", "/api/v1/auth/refresh?refresh-token=t", "{}", "not from the query"},
        {"PUT", "/api/v1/users/u?password=p", "{}", "not from the query"},
        {"POST", "/api/v1/users?x", "{}", "not from the query"},
        {"POST", "/api/v1/users/login?", "{\"username\":\"u\"}", NULL},
        {"DELETE", "/api/v1/catalogs/c?cascade=true", "", NULL},
        {"GET", "/api/v1/users?limit=1", "", NULL},
        {"POST", "/v1/oauth/tokens?client_secret=s", "grant_type=client_credentials", NULL},
        {"POST", "/v1/p/namespaces/ns/tables?branch=dev", "{\"name\":\"t\"}", NULL},
        {"POST", "/v1/p/namespaces/ns/tables?name=a", "{\"name\":\"t\"}",
         "name: the field is given twice"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str message;
        pang_code code = in(cases[i].verb, cases[i].target, cases[i].body, &message);
        if ((code == PANG_OK) != (cases[i].message == NULL))
            fail_msg("%s: %s", cases[i].target, pang_code_name(code));
        if (code != PANG_OK && strstr(err.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].target, err.message);
    }
}

static void test_management__both_spellings_are_read(void **state)
{
    (void)state;
    static const char *const logins[] = {"{\"tenant-id\":\"t\"}", "{\"tenant_id\":\"t\"}"};
    for (size_t i = 0; i < 2; i++) {
        const Pangolin__V1__LoginRequest *login = must("POST", "/api/v1/users/login", logins[i],
                                                       &pangolin__v1__login_request__descriptor);
        assert_string_equal(login->tenant_id, "t");
        const Pangolin__V1__CreateRoleRequest *role = must(
            "POST", "/api/v1/roles", logins[i], &pangolin__v1__create_role_request__descriptor);
        assert_string_equal(role->tenant_id, "t");
    }
    static const char *const roles[] = {"{\"role-id\":\"r\"}", "{\"role_id\":\"r\"}"};
    for (size_t i = 0; i < 2; i++) {
        const Pangolin__V1__AssignRoleRequest *m = must(
            "POST", "/api/v1/users/u/roles", roles[i],
            &pangolin__v1__assign_role_request__descriptor);
        assert_string_equal(m->role_id, "r");
        assert_string_equal(m->id, "u");
    }
    pang_str message;
    assert_int_equal(
        in("POST", "/api/v1/users/login", "{\"tenant-id\":\"a\",\"tenant_id\":\"b\"}", &message),
        PANG_INVALID_ARGUMENT);
}

static void test_management__members_of_real_clients_are_tolerated(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *target, *body;
        const char *error; /* NULL: fine */
    } cases[] = {
        {"POST", "/api/v1/tenants",
         "{\"name\":\"a\",\"properties\":{},\"admin_username\":\"x\",\"admin_password\":\"y\"}",
         NULL},
        {"POST", "/api/v1/tenants", "{\"name\":\"a\",\"description\":\"d\"}", NULL},
        {"POST", "/api/v1/tenants", "{\"nmae\":\"a\"}", "nmae: an unknown member"},
        {"PUT", "/api/v1/users/u", "{\"email\":\"e\",\"role\":\"tenant-user\"}", NULL},
        {"PUT", "/api/v1/users/u", "{\"rank\":\"x\"}", "rank: an unknown member"},
        {"PUT", "/api/v1/catalogs/c", "{\"name\":\"d\"}", NULL},
        {"PUT", "/api/v1/config/settings", "{\"theme\":{\"any\":[1]}}", NULL},
        {"PUT", "/api/v1/config/settings", "{\"smtp_port\":\"x\"}",
         "smtp_port: expected a whole number, found a string"},
        {"GET", "/api/v1/audit?tenant_id=t&limit=5", "", NULL},
        {"GET", "/api/v1/catalogs?cache=no", "", NULL},
        {"DELETE", "/api/v1/catalogs/c?casacde=true", "", "casacde: an unknown parameter"},
        {"POST", "/api/v1/auth/revoke", "", NULL},
        {"POST", "/api/v1/auth/revoke", "{}", NULL},
        {"POST", "/api/v1/auth/revoke/t", "", NULL},
        {"POST", "/api/v1/tokens/rotate", "{\"token_id\":\"t\"}", NULL},
        {"POST", "/api/v1/service-users/s/rotate", "", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str message;
        pang_code code = in(cases[i].verb, cases[i].target, cases[i].body, &message);
        if (cases[i].error == NULL && code != PANG_OK)
            fail_msg("%s %s: %s", cases[i].target, cases[i].body, err.message);
        if (cases[i].error == NULL)
            continue;
        assert_int_equal(code, PANG_INVALID_ARGUMENT);
        assert_string_equal(err.message, cases[i].error);
        assert_int_equal(pang_status_of(PANG_DIALECT_MANAGEMENT, code, pang_str_from(err.reason)),
                         422);
    }
}

static void test_management__a_branch_that_would_not_be_obeyed_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "/api/v1/catalogs/c/summary?branch=b",
        "/api/v1/search?q=a&branch=b",
        "/api/v1/search/assets?q=a&branch=b",
        "/api/v1/dashboard/stats?branch=b",
        "/api/v1/branches/n/commits?catalog=c&branch=b",
        "/api/v1/catalogs/c/diff?from=a&to=b&branch=b",
    };
    static const char *const obeyed[] = {
        "/api/v1/catalogs/c/namespaces/n/assets?branch=b",
        "/api/v1/catalogs/c/namespaces/n/assets/a?branch=b",
        "/api/v1/catalogs/c/namespaces/tree?branch=b",
        "/api/v1/explorer/tree?catalog=c&branch=b",
        "/api/v1/permissions/explain?user=u&branch=b",
        "/api/v1/catalogs?branch=b", /* of no meaning: ignored */
    };
    pang_str message;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(in("GET", refused[i], "", &message), PANG_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "branch: "));
        assert_int_equal(pang_status_of(PANG_DIALECT_MANAGEMENT, PANG_INVALID_ARGUMENT,
                                        pang_str_from(err.reason)),
                         400);
    }
    for (size_t i = 0; i < sizeof obeyed / sizeof obeyed[0]; i++)
        assert_int_equal(in("GET", obeyed[i], "", &message), PANG_OK);
    const Pangolin__V1__ListAssetsRequest *m = must("GET", obeyed[0], "",
                                                    &pangolin__v1__list_assets_request__descriptor);
    assert_string_equal(m->branch, "b");
}

static void test_management__what_a_change_names_is_told_from_what_it_leaves(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *type = &pangolin__v1__update_role_request__descriptor;
    const Pangolin__V1__UpdateRoleRequest *role = must(
        "PUT", "/api/v1/roles/r", "{\"name\":\"n\",\"tenant-id\":\"t\",\"created-at\":\"x\"}",
        type);
    assert_null(role->permissions);
    assert_null(role->included_roles);
    assert_int_equal(role->_description_case, 0);
    role = must("PUT", "/api/v1/roles/r", "{\"permissions\":[],\"included-roles\":[\"a\"]}", type);
    assert_non_null(role->permissions);
    assert_int_equal(role->permissions->n_items, 0);
    assert_int_equal(role->included_roles->n_items, 1);
    const Pangolin__V1__UpdateTenantRequest *tenant = must(
        "PUT", "/api/v1/tenants/t", "{\"properties\":{\"a\":\"b\"}}",
        &pangolin__v1__update_tenant_request__descriptor);
    assert_int_equal(tenant->properties->n_entries, 1);
    const Pangolin__V1__UpdateUserRequest *user = must(
        "PUT", "/api/v1/users/u", "{}", &pangolin__v1__update_user_request__descriptor);
    assert_int_equal(user->_active_case, 0);
    user = must("PUT", "/api/v1/users/u", "{\"active\":false}",
                &pangolin__v1__update_user_request__descriptor);
    assert_int_not_equal(user->_active_case, 0);
}

static void test_management__dots_separate_levels_in_paths_of_assets(void **state)
{
    (void)state;
    static const struct {
        const char *segment;
        size_t n;
        const char *last;
    } cases[] = {
        {"a", 1, "a"},         {"a.b", 2, "b"},         {"a%2Eb", 1, "a.b"},
        {"a.b%2Ec", 2, "b.c"}, {"a.x%1Fb.c", 2, "b.c"}, {"a..b", 3, "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[100];
        (void)snprintf(path, sizeof path, "/api/v1/catalogs/c/namespaces/%s/assets",
                       cases[i].segment);
        const Pangolin__V1__ListAssetsRequest *m = must(
            "GET", path, "", &pangolin__v1__list_assets_request__descriptor);
        assert_int_equal(m->n_namespace_, cases[i].n);
        assert_string_equal(m->namespace_[cases[i].n - 1], cases[i].last);
    }
}

static void test_management__strategies_in_any_form(void **state)
{
    (void)state;
    static const char *const forms[] = {"{\"AwsSts\":{\"role_arn\":\"r\"}}",
                                        "{\"type\":\"AwsSts\",\"role_arn\":\"r\"}", "\"AwsStatic\"",
                                        "{\"AwsStatic\":{}}"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char body[200];
        (void)snprintf(body, sizeof body,
                       "{\"name\":\"w\",\"use_sts\":false,\"storage_config\":{\"s3.bucket\":\"b\"},"
                       "\"vending_strategy\":%s}",
                       forms[i]);
        const Pangolin__V1__CreateWarehouseRequest *m = must(
            "POST", "/api/v1/warehouses", body,
            &pangolin__v1__create_warehouse_request__descriptor);
        expect_text((pang_str){(const char *)m->vending_strategy.data, m->vending_strategy.len},
                    forms[i]);
        assert_string_equal(m->storage_config[0]->value, "b");
    }
}

/* ---- the token endpoint ---- */

static void test_management__forms_are_read(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/v1/oauth/tokens",
        "/v1/c/oauth/tokens",
        "/v1/c/v1/oauth/tokens",
        "/v1/c/v1/c/oauth/tokens",
        "/api/v1/iceberg/c/oauth/tokens",
        "/api/v1/iceberg/c/v1/oauth/tokens",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const Pangolin__V1__IssueOauthTokenRequest *m = must(
            "POST", paths[i],
            "grant_type=client_credentials&client_id=a&client_secret=b%2Bc+d&scope=catalog&x=1\n",
            &pangolin__v1__issue_oauth_token_request__descriptor);
        assert_string_equal(m->grant_type, "client_credentials");
        assert_string_equal(m->client_secret, "b+c d");
        assert_string_equal(m->scope, "catalog");
    }
    const Pangolin__V1__IssueOauthTokenRequest *m = must(
        "POST", "/v1/oauth/tokens?client_secret=leaked", "client_id=a",
        &pangolin__v1__issue_oauth_token_request__descriptor);
    assert_string_equal(m->client_secret, "");
    pang_str message;
    static const char *const bad[] = {"client_id=a&client_id=b", "client_id=%zz", "client_id=%00",
                                      "client_id=%ff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(in("POST", "/v1/oauth/tokens", bad[i], &message), PANG_INVALID_ARGUMENT);
}

static void test_management__errors_of_the_token_endpoint(void **state)
{
    (void)state;
    static const struct {
        pang_code code;
        const char *reason, *body;
        unsigned status;
    } cases[] = {
        {PANG_UNAUTHENTICATED, "", "{\"error\":\"invalid_client\",\"error_description\":\"m\"}",
         401},
        {PANG_INVALID_ARGUMENT, "unsupported_grant_type",
         "{\"error\":\"unsupported_grant_type\",\"error_description\":\"m\"}", 400},
        {PANG_INVALID_ARGUMENT, "BadRequestException",
         "{\"error\":\"invalid_request\",\"error_description\":\"m\"}", 400},
        {PANG_RESOURCE_EXHAUSTED, "",
         "{\"error\":\"temporarily_unavailable\",\"error_description\":\"m\"}", 429},
        {PANG_INTERNAL, "", "{\"error\":\"server_error\",\"error_description\":\"m\"}", 500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_str reason = pang_str_from(cases[i].reason);
        unsigned status = pang_status_of(PANG_DIALECT_OAUTH, cases[i].code, reason);
        assert_int_equal(status, cases[i].status);
        expect_text(pang_status_body(PANG_DIALECT_OAUTH, status,
                                     pang_status_type(PANG_DIALECT_OAUTH, cases[i].code, reason),
                                     PANG_STR("m"), arena),
                    cases[i].body);
    }
}

/* ---- replies ---- */

static void test_management__twins_and_nulls(void **state)
{
    (void)state;
    Pangolin__V1__Role role = PANGOLIN__V1__ROLE__INIT;
    Pangolin__V1__GetRoleResponse reply = PANGOLIN__V1__GET_ROLE_RESPONSE__INIT;
    role.id = role.tenant_id = role.created_by = (char *)(uintptr_t) "u";
    role.name = (char *)(uintptr_t) "n";
    role.created_at = role.updated_at = (char *)(uintptr_t) "t";
    reply.role = &role;
    expect_text(
        out("/pangolin.v1.RoleService/GetRole", &reply).body,
        "{\"id\":\"u\",\"name\":\"n\",\"description\":null,"
        "\"tenant-id\":\"u\",\"tenant_id\":\"u\",\"permissions\":[],"
        "\"included-roles\":[],\"included_roles\":[],"
        "\"created-by\":\"u\",\"created_by\":\"u\",\"created-at\":\"t\",\"created_at\":\"t\","
        "\"updated-at\":\"t\",\"updated_at\":\"t\"}");
    Pangolin__V1__Catalog catalog = PANGOLIN__V1__CATALOG__INIT;
    Pangolin__V1__CreateCatalogResponse created = PANGOLIN__V1__CREATE_CATALOG_RESPONSE__INIT;
    catalog.id = catalog.name = (char *)(uintptr_t) "c";
    catalog.catalog_type = (char *)(uintptr_t) "Local";
    created.catalog = &catalog;
    pang_transcode_reply r = out("/pangolin.v1.CatalogService/CreateCatalog", &created);
    assert_int_equal(r.status, 201);
    expect_text(r.body,
                "{\"id\":\"c\",\"name\":\"c\",\"catalog_type\":\"Local\",\"type\":\"Local\","
                "\"warehouse_name\":null,\"storage_location\":null,"
                "\"federated_config\":null,\"properties\":{},"
                "\"retention_ms\":0,\"undrop_ms\":0}");
}

static void test_management__a_service_users_end_is_one_name_only(void **state)
{
    (void)state;
    Pangolin__V1__ServiceUser user = PANGOLIN__V1__SERVICE_USER__INIT;
    Pangolin__V1__GetServiceUserResponse reply = PANGOLIN__V1__GET_SERVICE_USER_RESPONSE__INIT;
    user.expires_at = (char *)(uintptr_t) "2030-01-01T00:00:00Z";
    user.id = (char *)(uintptr_t) "s";
    reply.service_user = &user;
    pang_str body = out("/pangolin.v1.ServiceUserService/GetServiceUser", &reply).body;
    assert_non_null(strstr(body.ptr, "\"id\":\"s\",\"service_user_id\":\"s\""));
    assert_non_null(strstr(body.ptr, "\"expires-at\":\"2030"));
    assert_null(strstr(body.ptr, "\"expires_at\""));
    assert_non_null(strstr(body.ptr, "\"last-used\":null,\"last_used\":null"));
}

static void test_management__redirects_have_no_body(void **state)
{
    (void)state;
    Pangolin__V1__AuthorizeResponse reply = PANGOLIN__V1__AUTHORIZE_RESPONSE__INIT;
    reply.location = (char *)(uintptr_t) "https://idp/?a=b";
    pang_transcode_reply r = out("/pangolin.v1.OauthService/Authorize", &reply);
    assert_int_equal(r.status, 303);
    assert_int_equal(r.body.len, 0);
    assert_int_equal(r.n_headers, 1);
    expect_text(r.headers[0].name, "location");
    expect_text(r.headers[0].value, "https://idp/?a=b");
}

/* ---- lists ---- */

static void test_management__a_page_is_a_bare_array(void **state)
{
    (void)state;
    Pangolin__V1__ListTenantsResponse reply = PANGOLIN__V1__LIST_TENANTS_RESPONSE__INIT;
    const char *method = "/pangolin.v1.TenantService/ListTenants";
    expect_text(out(method, &reply).body, "[]");
    Pangolin__V1__Tenant one = PANGOLIN__V1__TENANT__INIT, *both[] = {&one, &one};
    one.id = one.name = (char *)(uintptr_t) "a";
    reply.n_tenants = 2;
    reply.tenants = both;
    reply.next_page_token = (char *)(uintptr_t) "more";
    pang_transcode_reply r = out(method, &reply);
    expect_text(r.body, "[{\"id\":\"a\",\"name\":\"a\",\"properties\":{}},"
                        "{\"id\":\"a\",\"name\":\"a\",\"properties\":{}}]");
    expect_text(r.headers[0].name, "x-next-page-token");
    expect_text(r.headers[0].value, "more");
}

static void test_management__without_a_limit_the_list_is_whole(void **state)
{
    (void)state;
    const pang_schema_method *m = pang_schema_find(
        schema, PANG_STR("/pangolin.v1.TenantService/ListTenants"));
    pang_str message;
    static const struct {
        const char *target;
        bool whole;
    } cases[] = {
        {"/api/v1/tenants", true},
        {"/api/v1/tenants?offset=3", true},
        {"/api/v1/tenants?limit=3", false},
        {"/api/v1/tenants?limit=3&offset=6", false},
        {"/api/v1/tenants?pageToken=x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(in("GET", cases[i].target, "", &message), PANG_OK);
        assert_int_equal(pang_transcode_wants_all(m, message), cases[i].whole);
    }
    expect_text(pang_transcode_list_begin(schema, m, arena), "[");
    expect_text(pang_transcode_list_end(schema, m), "]");
    m = pang_schema_find(schema, PANG_STR("/pangolin.v1.AuditService/ListAuditEvents"));
    assert_int_equal(in("GET", "/api/v1/audit", "", &message), PANG_OK);
    assert_false(pang_transcode_wants_all(m, message));
}

static void test_management__exports_are_lines(void **state)
{
    (void)state;
    const pang_schema_method *m = pang_schema_find(
        schema, PANG_STR("/pangolin.v1.AuditService/ExportAuditEvents"));
    Pangolin__V1__AuditEvent one = PANGOLIN__V1__AUDIT_EVENT__INIT, *both[] = {&one, &one};
    Pangolin__V1__ExportAuditEventsResponse reply =
        PANGOLIN__V1__EXPORT_AUDIT_EVENTS_RESPONSE__INIT;
    static char raw[] = "{\"a\":\n1}";
    pang_str text, token;
    one.id = (char *)(uintptr_t) "i\n";
    one.metadata = (ProtobufCBinaryData){sizeof raw - 1, (uint8_t *)raw};
    reply.n_events = 2;
    reply.events = both;
    reply.next_page_token = (char *)(uintptr_t) "more";
    assert_int_equal(
        pang_transcode_list_part(schema, m, pack(&reply), false, arena, &text, &token, &err),
        PANG_OK);
    expect_text(token, "more");
    assert_true(pang_str_starts(text, PANG_STR("{\"id\":\"i\\n\"")));
    assert_true(pang_str_ends(text, PANG_STR("}\n")));
    size_t at = pang_str_find(text, '\n');
    assert_int_equal(2 * (at + 1), text.len);
    assert_non_null(strstr(text.ptr, "\"metadata\":{\"a\": 1},\"details\":{\"a\": 1}"));
    assert_int_equal(pang_transcode_list_begin(schema, m, arena).len, 0);
    assert_int_equal(pang_transcode_list_end(schema, m).len, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test(test_management__##name)
    const struct CMUnitTest tests[] = {
        TEST(bodies_are_not_in_the_query),
        TEST(both_spellings_are_read),
        TEST(members_of_real_clients_are_tolerated),
        TEST(a_branch_that_would_not_be_obeyed_is_refused),
        TEST(what_a_change_names_is_told_from_what_it_leaves),
        TEST(dots_separate_levels_in_paths_of_assets),
        TEST(strategies_in_any_form),
        TEST(forms_are_read),
        TEST(errors_of_the_token_endpoint),
        TEST(twins_and_nulls),
        TEST(a_service_users_end_is_one_name_only),
        TEST(redirects_have_no_body),
        TEST(a_page_is_a_bare_array),
        TEST(without_a_limit_the_list_is_whole),
        TEST(exports_are_lines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
