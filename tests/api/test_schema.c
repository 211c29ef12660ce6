/*
 * api/schema.c: the linked description loads; one that forgets a rule does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/arena.h"
#include "api/schema.h"
#include "api/upb.h"
#include "api/wire.h"

static pang_schema *linked;
static pang_arena *arena;
static pang_err err;

static int setup(void **state)
{
    (void)state;
    arena = pang_arena_new(4 << 20);
    pang_code code = pang_schema_load(pang_schema_linked(), &linked, &err);
    if (code != PANG_OK)
        print_error("%s\n", err.message);
    return code != PANG_OK;
}

static int teardown(void **state)
{
    (void)state;
    pang_schema_free(linked);
    pang_schema_free(NULL);
    pang_arena_free(arena);
    return 0;
}

static void test_schema__methods_are_found_by_whole_paths(void **state)
{
    (void)state;
    const pang_schema_method *load = pang_schema_find(
        linked, PANG_STR("/pangolin.v1.TableService/LoadTable"));
    assert_non_null(load);
    assert_true(pang_str_equal(load->service, PANG_STR("pangolin.v1.TableService")));
    assert_ptr_equal(pang_schema_at(linked, load->index), load);
    assert_null(pang_schema_find(linked, PANG_STR("/pangolin.v1.TableService/LoadTabl")));
    assert_null(pang_schema_find(linked, PANG_STR("/pangolin.v1.TableService/LoadTable\0")));
    assert_null(pang_schema_find(linked, PANG_STR("")));
}

static void test_schema__rules_are_read(void **state)
{
    (void)state;
    const pang_schema_method *m = pang_schema_find(
        linked, PANG_STR("/pangolin.v1.TableService/RegisterTable"));
    assert_int_equal(m->tenant, PANG_TENANT_CALLER);
    assert_int_equal(m->effect, PANG_EFFECT_WRITE);
    assert_int_equal(m->dialect, PANG_DIALECT_ICEBERG);
    assert_true(m->waits && !m->is_public);
    assert_int_equal(m->success, 200);
    assert_int_equal(m->body_limit, PANG_BODY_DEFAULT);
    assert_int_equal(m->deadline_ms, PANG_DEADLINE_DEFAULT);
    assert_int_equal(m->n_checks, 2);
    assert_true(pang_str_equal(m->checks[1].when, PANG_STR("overwrite")));
    assert_true(pang_str_equal(m->checks[1].equals, PANG_STR("true")));
    assert_int_equal(m->checks[0].n_object, 3);
    assert_true(pang_str_equal(m->checks[0].object[2], PANG_STR("name")));
    assert_int_equal(m->n_http, 1);
    assert_true(pang_str_equal(m->http[0].verb, PANG_STR("POST")));
    assert_true(
        pang_str_equal(m->http[0].path, PANG_STR("/v1/{prefix}/namespaces/{namespace}/register")));
    assert_true(pang_str_equal(m->http[0].body, PANG_STR("*")));
    m = pang_schema_find(linked, PANG_STR("/pangolin.v1.ConfigService/GetConfig"));
    assert_int_equal(m->n_http, 2);
    m = pang_schema_find(linked, PANG_STR("/pangolin.v1.TableService/TableExists"));
    assert_true(pang_str_equal(m->http[0].verb, PANG_STR("HEAD")));
    assert_int_equal(m->success, 204);
    m = pang_schema_find(linked, PANG_STR("/pangolin.v1.TableService/ListTables"));
    assert_non_null(m->paging_items);
    m = pang_schema_find(linked, PANG_STR("/grpc.health.v1.Health/Watch"));
    assert_true(m->server_streaming && !m->client_streaming && m->is_public);
    assert_int_equal(m->n_http, 0);
}

/* The enum that a field of one of rule.proto's messages is of. */
static const upb_EnumDef *enum_of(const char *message, const char *field)
{
    const upb_FileDef *file = upb_DefPool_FindFileContainingSymbol(pang_schema_pool(linked),
                                                                   "pangolin.v1.Rule");
    assert_non_null(file);
    for (int i = 0; i < upb_FileDef_TopLevelMessageCount(file); i++) {
        const upb_MessageDef *type = upb_FileDef_TopLevelMessage(file, i);
        if (strcmp(upb_MessageDef_FullName(type), message) == 0)
            return upb_FieldDef_EnumSubDef(
                upb_MessageDef_FindFieldByNameWithSize(type, field, strlen(field)));
    }
    fail_msg("no message %s", message);
    return NULL;
}

/* The names behind the prefix, 1 and on. */
static const struct {
    const char *message, *field, *prefix, *names[24];
} rule_enums[] = {
    {"pangolin.v1.Rule",
     "tenant",
     "TENANT_SOURCE_",
     {[PANG_TENANT_CALLER] = "CALLER",
      [PANG_TENANT_NONE] = "NONE",
      [PANG_TENANT_FIELD] = "FIELD",
      [PANG_TENANT_SYSTEM] = "SYSTEM"}},
    {"pangolin.v1.Rule",
     "effect",
     "EFFECT_",
     {[PANG_EFFECT_READ] = "READ", [PANG_EFFECT_WRITE] = "WRITE"}},
    {"pangolin.v1.Rule",
     "dialect",
     "DIALECT_",
     {[PANG_DIALECT_ICEBERG] = "ICEBERG",
      [PANG_DIALECT_MANAGEMENT] = "MANAGEMENT",
      [PANG_DIALECT_OAUTH] = "OAUTH"}},
    {"pangolin.v1.Rule",
     "audit_class",
     "AUDIT_CLASS_",
     {[PANG_AUDIT_NONE] = "NONE",
      [PANG_AUDIT_READ] = "READ",
      [PANG_AUDIT_CHANGE] = "CHANGE",
      [PANG_AUDIT_CREDENTIAL] = "CREDENTIAL"}},
    {"pangolin.v1.Check",
     "action",
     "ACTION_",
     {[PANG_ACT_READ] = "READ",
      [PANG_ACT_WRITE] = "WRITE",
      [PANG_ACT_DELETE] = "DELETE",
      [PANG_ACT_CREATE] = "CREATE",
      [PANG_ACT_UPDATE] = "UPDATE",
      [PANG_ACT_LIST] = "LIST",
      [PANG_ACT_ALL] = "ALL",
      [PANG_ACT_INGEST_BRANCHING] = "INGEST_BRANCHING",
      [PANG_ACT_EXPERIMENTAL_BRANCHING] = "EXPERIMENTAL_BRANCHING",
      [PANG_ACT_MANAGE_DISCOVERY] = "MANAGE_DISCOVERY"}},
    {"pangolin.v1.Check",
     "resource",
     "RESOURCE_",
     {[PANG_RESOURCE_TENANT] = "TENANT",
      [PANG_RESOURCE_CATALOG] = "CATALOG",
      [PANG_RESOURCE_NAMESPACE] = "NAMESPACE",
      [PANG_RESOURCE_TABLE] = "TABLE",
      [PANG_RESOURCE_VIEW] = "VIEW",
      [PANG_RESOURCE_WAREHOUSE] = "WAREHOUSE",
      [PANG_RESOURCE_USER] = "USER",
      [PANG_RESOURCE_ROLE] = "ROLE",
      [PANG_RESOURCE_SERVICE_USER] = "SERVICE_USER",
      [PANG_RESOURCE_PERMISSION] = "PERMISSION",
      [PANG_RESOURCE_TOKEN] = "TOKEN",
      [PANG_RESOURCE_SYSTEM] = "SYSTEM",
      [PANG_RESOURCE_ASSET] = "ASSET",
      [PANG_RESOURCE_AUDIT] = "AUDIT",
      [PANG_RESOURCE_BRANCH] = "BRANCH",
      [PANG_RESOURCE_TAG] = "TAG",
      [PANG_RESOURCE_COMMIT] = "COMMIT",
      [PANG_RESOURCE_MERGE_OPERATION] = "MERGE_OPERATION",
      [PANG_RESOURCE_CONFLICT] = "CONFLICT"}},
    {"pangolin.v1.Check",
     "caller",
     "CALLER_",
     {[PANG_CALLER_ROOT] = "ROOT",
      [PANG_CALLER_ROOT_IN_TENANT] = "ROOT_IN_TENANT",
      [PANG_CALLER_TENANT_ADMIN] = "TENANT_ADMIN",
      [PANG_CALLER_SELF] = "SELF",
      [PANG_CALLER_MEMBER] = "MEMBER",
      [PANG_CALLER_ANYONE] = "ANYONE",
      [PANG_CALLER_NOBODY] = "NOBODY"}},
};

/* What has a name has it on a ref: where a request may say that in a field, rights are asked there.
 */
static void test_schema__assets_are_judged_at_the_requests_branch(void **state)
{
    enum { PARTS = 3 }; /* catalog, namespace, name */
    size_t found = 0;
    (void)state;
    for (size_t i = 0; i < pang_schema_size(linked); i++) {
        const pang_schema_method *m = pang_schema_at(linked, i);
        if (upb_MessageDef_FindFieldByNameWithSize(m->in, "branch", strlen("branch")) == NULL)
            continue;
        for (size_t k = 0; k < m->n_checks; k++) {
            if (m->checks[k].n_object < PARTS)
                continue;
            if (!pang_str_equal(m->checks[k].ref, PANG_STR("branch")))
                fail_msg("%.*s does not say ref", (int)m->path.len, m->path.ptr);
            found++;
        }
    }
    assert_true(found > 0);
}

static void test_schema__enums_have_the_numbers_of_the_description(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rule_enums / sizeof rule_enums[0]; i++) {
        const upb_EnumDef *type = enum_of(rule_enums[i].message, rule_enums[i].field);
        assert_non_null(type);
        for (int32_t number = 1; number < 24; number++) {
            const upb_EnumValueDef *value = upb_EnumDef_FindValueByNumber(type, number);
            const char *name = rule_enums[i].names[number];
            char whole[64];
            if (value == NULL && name == NULL)
                continue;
            if (value == NULL || name == NULL)
                fail_msg("%s%d is in one of the two only", rule_enums[i].prefix, (int)number);
            (void)snprintf(whole, sizeof whole, "%s%s", rule_enums[i].prefix, name);
            assert_string_equal(upb_EnumValueDef_Name(value), whole);
        }
        assert_null(upb_EnumDef_FindValueByNumber(type, 24));
    }
}

static void test_schema__files_answer_reflection(void **state)
{
    (void)state;
    pang_str table = pang_schema_file(linked, PANG_STR("pangolin/v1/table.proto"));
    assert_true(table.len > 1000);
    pang_str same = pang_schema_file_of_symbol(linked, PANG_STR("pangolin.v1.LoadTableRequest"));
    assert_ptr_equal(same.ptr, table.ptr);
    assert_int_equal(pang_schema_file_of_symbol(linked, PANG_STR("pangolin.v1.Nothing")).len, 0);
    assert_int_equal(pang_schema_file(linked, PANG_STR("nothing.proto")).len, 0);
    assert_true(pang_schema_import(linked, PANG_STR("pangolin/v1/table.proto"), 0).len > 0);
    assert_int_equal(pang_schema_import(linked, PANG_STR("pangolin/v1/table.proto"), 99).len, 0);
}

static void test_schema__messages_are_validated(void **state)
{
    (void)state;
    const pang_schema_method *m = pang_schema_find(linked,
                                                   PANG_STR("/pangolin.v1.TableService/LoadTable"));
    static const struct {
        const char *name;
        pang_str bytes;
        bool ok;
    } cases[] = {
        {"empty", PANG_STR_INIT(""), true},
        {"prefix",
         PANG_STR_INIT("\x0a\x03"
                       "abc"),
         true},
        {"unknown field", PANG_STR_INIT("\xf8\x3f\x01"), true},
        {"cut short",
         PANG_STR_INIT("\x0a\x09"
                       "abc"),
         false},
        {"not UTF-8", PANG_STR_INIT("\x0a\x02\xc3\x28"), false},
        {"a NUL",
         PANG_STR_INIT("\x0a\x03"
                       "a\0b"),
         false},
        {"wrong wire type", PANG_STR_INIT("\x08\x01"), false},
        {"field number 0", PANG_STR_INIT("\x02\x00"), false},
        {"a group", PANG_STR_INIT("\x0b\x0c"), false},
        {"long varint", PANG_STR_INIT("\xf8\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = pang_schema_validate(linked, m->in, cases[i].bytes, &err);
        if ((code == PANG_OK) != cases[i].ok)
            fail_msg("%s", cases[i].name);
    }
}

/* ---- descriptor sets made by hand: package t, service S, one method M per rule ---- */

static pang_str text_field(uint32_t number, const char *text)
{
    pang_buf buf = {.arena = arena};
    pang_wire_add_bytes(&buf, number, pang_str_from(text));
    return pang_buf_str(&buf);
}

static pang_str wrap(uint32_t number, pang_str bytes)
{
    pang_buf buf = {.arena = arena};
    pang_wire_add_bytes(&buf, number, bytes);
    return pang_buf_str(&buf);
}

static pang_str join(pang_str a, pang_str b)
{
    pang_buf buf = {.arena = arena};
    pang_buf_add(&buf, a);
    pang_buf_add(&buf, b);
    return pang_buf_str(&buf);
}

/* Rule and http: serialized options, empty for none. */
static pang_str method_proto(const char *name, pang_str options)
{
    pang_str m = join(text_field(1, name), join(text_field(2, ".t.In"), text_field(3, ".t.In")));
    return wrap(2, options.len == 0 ? m : join(m, wrap(4, options)));
}

/* A FieldDescriptorProto as a member of a message; label 1: one, 3: repeated. */
static pang_str field_proto(const char *name, uint32_t number, uint32_t label, uint32_t type,
                            pang_str rest)
{
    pang_buf buf = {.arena = arena};
    const uint32_t values[] = {number, label, type};
    pang_buf_add(&buf, text_field(1, name));
    for (uint32_t i = 0; i < 3; i++) {
        pang_wire_add_tag(&buf, 3 + i, PANG_WIRE_VARINT);
        pang_wire_add_varint(&buf, values[i]);
    }
    pang_buf_add(&buf, rest);
    return wrap(2, pang_buf_str(&buf));
}

/* message In { string name = 1; repeated string names = 2; and what `more` says } */
static pang_code load_with(pang_str more, pang_str methods)
{
    pang_schema *schema = NULL;
    pang_str in = join(text_field(1, "In"), field_proto("name", 1, 1, 9, PANG_STR("")));
    in = join(in, join(field_proto("names", 2, 3, 9, PANG_STR("")), more));
    pang_str file = join(text_field(1, "t.proto"), text_field(2, "t"));
    file = join(file, join(wrap(4, in), wrap(6, join(text_field(1, "S"), methods))));
    file = join(file, text_field(12, "proto3"));
    pang_code code = pang_schema_load(wrap(1, file), &schema, &err);
    pang_schema_free(schema);
    return code;
}

static pang_code load(pang_str methods)
{
    return load_with(PANG_STR(""), methods);
}

static pang_str rule(const char *bytes, size_t len)
{
    return wrap(51234, (pang_str){bytes, len});
}

#define RULE(lit) rule(lit, sizeof(lit) - 1)
#define PUBLIC_READ "\x08\x02\x10\x01\x18\x02\x20\x01\x30\x01"

static pang_str http_get(const char *path)
{
    return wrap(72295728, text_field(2, path));
}

static void test_schema__what_forgets_something_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *want;
        pang_str options;
    } cases[] = {
        {NULL, RULE(PUBLIC_READ)},
        {"has no rule", PANG_STR("")},
        {"lacks \"tenant\"", RULE("\x10\x01\x18\x02\x20\x01\x30\x01")},
        {"lacks \"effect\"", RULE("\x08\x02\x18\x02\x20\x01\x30\x01")},
        {"lacks \"dialect\"", RULE("\x08\x02\x10\x01\x20\x01\x30\x01")},
        {"lacks \"audit\"", RULE("\x08\x02\x10\x01\x18\x02\x20\x01")},
        {"lacks \"audit\"", RULE("\x08\x02\x10\x01\x18\x02\x20\x01\x30\x02")},
        {"lacks \"check\"", RULE("\x08\x02\x10\x01\x18\x02\x30\x01")},
        {"a write is not audited", RULE("\x08\x01\x10\x02\x18\x02\x20\x01\x30\x01")},
        {"a check has no action", RULE("\x08\x01\x10\x01\x18\x02\x30\x01\x52\x00")},
        {"object is no field", RULE("\x08\x01\x10\x01\x18\x02\x30\x01\x52\x08\x08\x01\x10\x02"
                                    "\x1a\x02no")},
        {"success", RULE(PUBLIC_READ "\x38\xc8\x02")},
        {"paging", RULE(PUBLIC_READ "\x62\x04\x0a\x02no")},
        {"no field of the request", join(RULE(PUBLIC_READ), http_get("/a/{no}"))},
        {"no single value", join(RULE(PUBLIC_READ), http_get("/a/{names}"))},
        {NULL, join(RULE(PUBLIC_READ), http_get("/a/{name}"))},
        {"no verb or path", join(RULE(PUBLIC_READ), http_get("a/{name}"))},
        {"no verb or path", join(RULE(PUBLIC_READ), wrap(72295728, PANG_STR("")))},
        {"the body is no field",
         join(RULE(PUBLIC_READ), wrap(72295728, join(text_field(4, "/a"), text_field(7, "no"))))},
        {"when is no field", RULE("\x08\x01\x10\x01\x18\x02\x30\x01\x52\x08\x08\x01\x10\x02"
                                  "\x2a\x02no")},
        {"each is no repeated message",
         RULE("\x08\x01\x10\x01\x18\x02\x30\x01\x52\x0f\x08\x01\x10\x02\x1a\x02.x\x22\x05names")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = load(method_proto("M", cases[i].options));
        if (cases[i].want == NULL) {
            if (code != PANG_OK)
                fail_msg("case %zu: %s", i, err.message);
            continue;
        }
        assert_int_equal(code, PANG_FAILED_PRECONDITION);
        if (strstr(err.message, cases[i].want) == NULL || strstr(err.message, "/t.S/M") == NULL)
            fail_msg("case %zu: wanted %s, got: %s", i, cases[i].want, err.message);
    }
}

/* A rule of a read with one check: read of a catalog, and what `more` says. */
static pang_str check_rule(char tenant, const char *more, size_t len)
{
    const char head[] = {0x08, tenant, 0x10, 0x01, 0x18, 0x02, 0x30, 0x01};
    pang_str check = join(PANG_STR("\x08\x01\x10\x02"), (pang_str){more, len});
    pang_str all = join((pang_str){head, sizeof head}, wrap(10, check));
    return wrap(51234, all);
}

#define CHECK(tenant, lit) check_rule(tenant, lit, sizeof(lit) - 1)

static void test_schema__callers_must_be_able_to_pass(void **state)
{
    (void)state;
    const struct {
        const char *want;
        pang_str options;
    } cases[] = {
        {NULL, CHECK(1, "\x42\x02\x03\x05")},
        {NULL, CHECK(1, "\x40\x03\x40\x05")},
        {"unknown \"caller\"", CHECK(1, "\x42\x01\x08")},
        {"unknown \"caller\"", CHECK(1, "\x42\x02\x03\x00")},
        {"need each other", CHECK(1, "\x42\x01\x04")},
        {"need each other", CHECK(1, "\x4a\x04name")},
        {"self is no text", CHECK(1, "\x42\x01\x04\x4a\x05names")},
        {"self is no text", CHECK(1, "\x42\x01\x04\x4a\x02no")},
        {NULL, CHECK(1, "\x42\x01\x04\x4a\x04name")},
        {"need a \"tenant\"", CHECK(2, "\x42\x01\x05")},
        {"need a \"tenant\"", CHECK(4, "\x42\x02\x01\x03")},
        {"need a \"tenant\"", CHECK(4, "\x42\x01\x02")},
        {NULL, CHECK(4, "\x42\x02\x01\x06")},
        {"stands alone", CHECK(1, "\x42\x01\x07")},
        {"stands alone", CHECK(1, "\x42\x02\x01\x07\x2a\x04name")},
        {NULL, CHECK(1, "\x42\x01\x07\x2a\x04name")},
        {"tenant_field", CHECK(3, "\x42\x01\x01")},
        {"tenant_field", RULE("\x08\x03\x10\x01\x18\x02\x20\x01\x30\x01\x72\x05names")},
        {"tenant_field", RULE(PUBLIC_READ "\x72\x04name")},
        {NULL, RULE("\x08\x03\x10\x01\x18\x02\x20\x01\x30\x01\x72\x04name")},
        {"lacks \"tenant\"", RULE("\x08\x05\x10\x01\x18\x02\x20\x01\x30\x01")},
        {NULL, RULE("\x08\x04\x10\x02\x18\x03\x20\x01\x30\x01")},
        {NULL, RULE(PUBLIC_READ "\x38\xaf\x02")},
        {"a form needs the body", RULE(PUBLIC_READ "\x80\x01\x01")},
        {"a form needs the body", join(RULE(PUBLIC_READ "\x80\x01\x01"), http_get("/a/{name}"))},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = load(method_proto("M", cases[i].options));
        if (cases[i].want == NULL && code != PANG_OK)
            fail_msg("case %zu: %s", i, err.message);
        if (cases[i].want == NULL)
            continue;
        assert_int_equal(code, PANG_FAILED_PRECONDITION);
        if (strstr(err.message, cases[i].want) == NULL || strstr(err.message, "/t.S/M") == NULL)
            fail_msg("case %zu: wanted %s, got: %s", i, cases[i].want, err.message);
    }
}

static void test_schema__who_passes_is_read(void **state)
{
    (void)state;
    const pang_schema_method *m = pang_schema_find(linked,
                                                   PANG_STR("/pangolin.v1.UserService/GetUser"));
    assert_int_equal(m->n_checks, 1);
    assert_int_equal(m->checks[0].callers, 1u << PANG_CALLER_SELF | 1u << PANG_CALLER_TENANT_ADMIN |
                                               1u << PANG_CALLER_ROOT);
    assert_true(pang_str_equal(m->checks[0].self, PANG_STR("id")));
    m = pang_schema_find(linked, PANG_STR("/pangolin.v1.TenantService/GetTenant"));
    assert_int_equal(m->tenant, PANG_TENANT_FIELD);
    assert_true(pang_str_equal(m->tenant_field, PANG_STR("id")));
    m = pang_schema_find(linked, PANG_STR("/pangolin.v1.TenantService/CreateTenant"));
    assert_int_equal(m->n_tolerate, 3);
    m = pang_schema_find(linked, PANG_STR("/pangolin.v1.OauthService/IssueOauthToken"));
    assert_true(m->form && m->dialect == PANG_DIALECT_OAUTH);
    m = pang_schema_find(linked, PANG_STR("/pangolin.v1.AuditService/ExportAuditEvents"));
    assert_true(m->paging_lines && m->paging_items != NULL);
}

static void test_schema__two_methods_cannot_share_a_route(void **state)
{
    (void)state;
    pang_str one = method_proto("M", join(RULE(PUBLIC_READ), http_get("/a/{name}/x")));
    pang_str two = method_proto("N", join(RULE(PUBLIC_READ), http_get("/a/{name}/x")));
    assert_int_equal(load(join(one, two)), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "/t.S/N: the route is taken"));
    two = method_proto("N", join(RULE(PUBLIC_READ), http_get("/a/{name}/y")));
    assert_int_equal(load(join(one, two)), PANG_OK);
}

/* The options of a field: a FieldRule. */
static pang_str field_rule(const char *bytes, size_t len)
{
    return wrap(8, wrap(51235, (pang_str){bytes, len}));
}

#define FIELD_RULE(lit) field_rule(lit, sizeof(lit) - 1)

static void test_schema__field_rules_must_fit_their_fields(void **state)
{
    (void)state;
    const struct {
        const char *want;
        pang_str field;
    } cases[] = {
        {NULL, field_proto("f", 3, 1, 12, FIELD_RULE("\x08\x01\x12\x06object"))},
        {"needs single bytes: \"raw_json\"", field_proto("f", 3, 1, 9, FIELD_RULE("\x08\x01"))},
        {"needs single bytes: \"raw_json\"", field_proto("f", 3, 3, 12, FIELD_RULE("\x08\x01"))},
        {"raw_type is object or array",
         field_proto("f", 3, 1, 12, FIELD_RULE("\x08\x01\x12\x06number"))},
        {"needs a single string: \"request_header\"",
         field_proto("f", 3, 1, 3, FIELD_RULE("\x1a\x01X"))},
        {"needs a single string: \"response_header\"",
         field_proto("f", 3, 3, 9, FIELD_RULE("\x22\x01X"))},
        {"needs repeated string: \"namespace_levels\"",
         field_proto("f", 3, 1, 9, FIELD_RULE("\x28\x01"))},
        {"needs the first field of its message: \"unwrap\"",
         field_proto("f", 3, 3, 9, FIELD_RULE("\x30\x01"))},
        {"needs namespace_levels: \"dotted\"", field_proto("f", 3, 3, 9, FIELD_RULE("\x68\x01"))},
        {"needs always: \"nullable\"", field_proto("f", 3, 1, 9, FIELD_RULE("\x60\x01"))},
        {"the name of another field: \"names\"",
         field_proto("f", 3, 1, 9, FIELD_RULE("\x5a\x05names"))},
        {"needs a single bool: \"status_when_true\"",
         field_proto("f", 3, 1, 5, FIELD_RULE("\x48\xb0\x02"))},
        {"needs a single message: \"status_when_set\"",
         field_proto("f", 3, 1, 5, FIELD_RULE("\x70\x99\x03"))},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = load_with(cases[i].field, method_proto("M", RULE(PUBLIC_READ)));
        if (cases[i].want == NULL) {
            assert_int_equal(code, PANG_OK);
            continue;
        }
        assert_int_equal(code, PANG_FAILED_PRECONDITION);
        if (strstr(err.message, cases[i].want) == NULL || strstr(err.message, "t.In.f") == NULL)
            fail_msg("case %zu: wanted %s, got: %s", i, cases[i].want, err.message);
    }
}

/* message N { repeated string a = 1 [unwrap]; string b = 2 [what `rule` says]; } */
static pang_str unwrapped_message(pang_str rule)
{
    pang_str n = join(text_field(1, "N"), field_proto("a", 1, 3, 9, FIELD_RULE("\x30\x01")));
    return wrap(3, join(n, field_proto("b", 2, 1, 9, rule)));
}

static void test_schema__what_is_unwrapped_stands_alone_in_the_body(void **state)
{
    (void)state;
    pang_str method = method_proto("M", RULE(PUBLIC_READ));
    assert_int_equal(load_with(unwrapped_message(PANG_STR("")), method), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "t.In.N.b: stands in a body"));
    assert_int_equal(load_with(unwrapped_message(FIELD_RULE("\x22\x01X")), method), PANG_OK);
}

static void test_schema__messages_are_bounded(void **state)
{
    (void)state;
    pang_str method = method_proto("M", RULE(PUBLIC_READ));
    pang_buf fields = {.arena = arena};
    for (uint32_t i = 3; i <= 64; i++)
        pang_buf_add(&fields,
                     field_proto(pang_arena_printf(arena, "f%u", i).ptr, i, 1, 9, PANG_STR("")));
    assert_int_equal(load_with(pang_buf_str(&fields), method), PANG_OK);
    pang_buf_add(&fields, field_proto("f65", 65, 1, 9, PANG_STR("")));
    assert_int_equal(load_with(pang_buf_str(&fields), method), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "t.In: has too many"));
}

/* map<KEY, string> m = 3; */
static pang_str map_field(uint32_t key)
{
    pang_str entry = join(text_field(1, "MEntry"), field_proto("key", 1, 1, key, PANG_STR("")));
    entry = join(entry, field_proto("value", 2, 1, 9, PANG_STR("")));
    entry = join(entry, wrap(7, PANG_STR("\x38\x01")));
    return join(wrap(3, entry), field_proto("m", 3, 3, 11, text_field(6, ".t.In.MEntry")));
}

static void test_schema__maps_have_names_for_keys(void **state)
{
    (void)state;
    pang_str method = method_proto("M", RULE(PUBLIC_READ));
    assert_int_equal(load_with(map_field(9), method), PANG_OK);
    assert_int_equal(load_with(map_field(5), method), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "a map's keys are no strings: \"m\""));
}

static void test_schema__a_broken_set_is_refused(void **state)
{
    (void)state;
    pang_schema *schema = NULL;
    assert_int_equal(pang_schema_load(PANG_STR("\x0a\x05xx"), &schema, &err),
                     PANG_FAILED_PRECONDITION);
    assert_int_equal(pang_schema_load(PANG_STR("\x12\x00"), &schema, &err),
                     PANG_FAILED_PRECONDITION);
    assert_null(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema__methods_are_found_by_whole_paths),
        cmocka_unit_test(test_schema__rules_are_read),
        cmocka_unit_test(test_schema__assets_are_judged_at_the_requests_branch),
        cmocka_unit_test(test_schema__enums_have_the_numbers_of_the_description),
        cmocka_unit_test(test_schema__files_answer_reflection),
        cmocka_unit_test(test_schema__messages_are_validated),
        cmocka_unit_test(test_schema__what_forgets_something_is_refused),
        cmocka_unit_test(test_schema__callers_must_be_able_to_pass),
        cmocka_unit_test(test_schema__who_passes_is_read),
        cmocka_unit_test(test_schema__two_methods_cannot_share_a_route),
        cmocka_unit_test(test_schema__field_rules_must_fit_their_fields),
        cmocka_unit_test(test_schema__what_is_unwrapped_stands_alone_in_the_body),
        cmocka_unit_test(test_schema__messages_are_bounded),
        cmocka_unit_test(test_schema__maps_have_names_for_keys),
        cmocka_unit_test(test_schema__a_broken_set_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
