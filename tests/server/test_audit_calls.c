/*
 * server/audit.h: what the dispatcher logs of each call, and that nothing is left out: every name
 * of the log comes from a rule or is told here where it comes from.
 */
#include "tests/server/dispatch_fixture.h"

#include "server/audit_chain.h"
#include "server/audit_log.h"
#include "server/audit_names.h"
#include "storage/faulty.h"

typedef struct {
    fixture f; /* first: handlers find it by its address */
    pang_audit *audit;
    pang_arena *arena;
    pang_err err;
} audited;

static int open_audited(void **state, bool with_evaluator)
{
    static audited a;
    memset(&a, 0, sizeof a);
    fixture_open(&a.f, with_evaluator);
    pang_audit_config config = {
        .env = &a.f.env, .db = a.f.db, .server = {.bytes = {1, 2, 3}}, .counters = a.f.counters};
    assert_int_equal(pang_audit_open(&config, &a.audit, &a.err), PANG_OK);
    a.f.shared.audit = a.audit;
    a.arena = pang_arena_new(8 << 20);
    *state = &a;
    return 0;
}

static int setup(void **state)
{
    return open_audited(state, false);
}

static int setup_evaluator(void **state)
{
    return open_audited(state, true);
}

static int teardown(void **state)
{
    audited *a = *state;
    pang_audit_close(a->audit);
    fixture_close(&a->f);
    pang_arena_free(a->arena);
    return 0;
}

static size_t count_rows(audited *a, pang_rec_audit_row **ret_last)
{
    pang_record record;
    size_t n = fixture_count(&a->f, PANG_KIND_AUDIT, a->arena, &record);
    if (n > 0)
        assert_int_equal(pang_record_unpack(&pangolin__store__v1__audit_row__descriptor, &record,
                                            a->arena, ret_last, &a->err),
                         PANG_OK);
    return n;
}

/* The only entry of the group that a flush writes. */
static const Pangolin__Store__V1__AuditGroup__Entry *
flush_one(audited *a, const Pangolin__Store__V1__AuditGroup__What **ret_what)
{
    pang_rec_audit_row *row = NULL;
    size_t before = count_rows(a, &row);
    assert_int_equal(pang_audit_flush(a->audit, &a->err), PANG_OK);
    assert_int_equal(count_rows(a, &row), before + 1);
    assert_non_null(row->group);
    assert_int_equal(row->group->n_entries, 1);
    *ret_what = row->group->whats[row->group->entries[0]->what];
    return row->group->entries[0];
}

static void test_read__is_logged_in_a_group(void **state)
{
    audited *a = *state;
    const Pangolin__Store__V1__AuditGroup__What *what;
    pang_rec_audit_row *row = NULL;
    fixture_other_sets(&a->f, "there", true);
    assert_int_equal(fixture_load(&a->f, "there").code, PANG_OK);
    assert_int_equal(count_rows(a, &row), 0);
    const Pangolin__Store__V1__AuditGroup__Entry *entry = flush_one(a, &what);
    assert_string_equal(what->action, "load_namespace");
    assert_string_equal(what->resource->name, "demo/there");
    assert_string_equal(what->resource->type, "namespace");
    assert_int_equal(entry->code, PANG_OK);
    assert_string_equal(entry->request_id, "request-1");
    /* So is one that fails. */
    assert_int_equal(fixture_load(&a->f, "nowhere").code, PANG_NOT_FOUND);
    entry = flush_one(a, &what);
    assert_int_equal(entry->code, PANG_NOT_FOUND);
    assert_string_equal(entry->message, "it does not exist");
}

static void test_change__a_failure_has_a_row_of_its_own(void **state)
{
    audited *a = *state;
    pang_rec_audit_row *row = NULL;
    pang_record record;
    a->f.fail = PANG_ALREADY_EXISTS;
    assert_int_equal(fixture_create(&a->f, "a", NULL).code, PANG_ALREADY_EXISTS);
    assert_int_equal(fixture_count(&a->f, PANG_KIND_SETTING, a->arena, &record), 0);
    assert_int_equal(count_rows(a, &row), 1);
    assert_string_equal(row->action, "create_namespace");
    assert_int_equal(row->code, PANG_ALREADY_EXISTS);
    assert_string_equal(row->message, "told to fail");
    assert_string_equal(row->resource->name, "demo/a");
    assert_string_equal(row->principal_name, "anonymous");
}

static void test_change__a_malformed_request_is_logged_too(void **state)
{
    audited *a = *state;
    pang_rec_audit_row *row = NULL;
    assert_int_equal(fixture_call(&a->f, "/pangolin.v1.NamespaceService/CreateNamespace",
                                  PANG_STR("\x0a\x05"
                                           "ab"),
                                  PANG_NO_DEADLINE)
                         .code,
                     PANG_INVALID_ARGUMENT);
    assert_int_equal(count_rows(a, &row), 1);
    assert_int_equal(row->code, PANG_INVALID_ARGUMENT);
    assert_int_equal(row->n_objects, 0);
}

static void test_denial__tells_what_was_tried(void **state)
{
    audited *a = *state;
    static const struct {
        pang_verdict verdict;
        pang_code code;
    } cases[] = {{PANG_DENIED, PANG_PERMISSION_DENIED}, {PANG_HIDDEN, PANG_NOT_FOUND}};
    for (size_t i = 0; i < 2; i++) {
        pang_rec_audit_row *row = NULL;
        const Pangolin__Store__V1__AuditGroup__What *what;
        a->f.verdict = cases[i].verdict;
        a->f.n_seen = 0;
        size_t before = count_rows(a, &row);
        assert_int_equal(fixture_create(&a->f, "a", NULL).code, cases[i].code);
        assert_int_equal(count_rows(a, &row), before + 1);
        assert_string_equal(row->action, "permission_denied");
        assert_string_equal(row->metadata, "{\"attempted\":\"create_namespace\"}");
        assert_string_equal(row->resource->type, "namespace");
        assert_int_equal(fixture_load(&a->f, "a").code, cases[i].code);
        const Pangolin__Store__V1__AuditGroup__Entry *entry = flush_one(a, &what);
        assert_string_equal(what->action, "permission_denied");
        assert_string_equal(entry->metadata, "{\"attempted\":\"load_namespace\"}");
    }
    assert_int_equal(a->f.runs, 0);
}

/* What cannot be logged is not answered. */
static void test_read__fails_when_the_log_is_full(void **state)
{
    audited *a = *state;
    pang_audit_config config = {.env = &a->f.env, .db = a->f.db, .buffer_bytes = 200 << 10};
    pang_audit *small = NULL;
    const pang_fault_plan down = {
        .fault = PANG_FAULT_FAIL, .calls = PANG_CALL_APPLY, .at = 1, .times = 1000000};
    fixture_other_sets(&a->f, "there", true);
    assert_int_equal(pang_audit_open(&config, &small, &a->err), PANG_OK);
    a->f.shared.audit = small;
    pang_faulty_arm(pang_db_store(a->f.db), &down);
    outcome got = {.code = PANG_OK};
    for (unsigned i = 0; i < 5000 && got.code == PANG_OK; i++)
        got = fixture_load(&a->f, "there");
    assert_int_equal(got.code, PANG_UNAVAILABLE);
    pang_faulty_arm(pang_db_store(a->f.db), NULL);
    assert_int_equal(fixture_load(&a->f, "there").code, PANG_OK);
    pang_audit_close(small);
    a->f.shared.audit = a->audit;
}

static void test_unaudited__pings_leave_no_trace(void **state)
{
    audited *a = *state;
    pang_rec_audit_row *row = NULL;
    assert_int_equal(
        fixture_call(&a->f, "/pangolin.v1.OperationsService/Ping", PANG_STR(""), PANG_NO_DEADLINE)
            .code,
        PANG_OK);
    assert_int_equal(pang_audit_flush(a->audit, &a->err), PANG_OK);
    assert_int_equal(count_rows(a, &row), 0);
}

/* ---- names ---- */

/* By hand: names that no rule has, and where they come from. */
static const struct {
    const char *name;
    enum { BY_CODE, LATER } from;
} without_rule[] = {
    {"update_table", BY_CODE},          /* CommitTable without data */
    {"add_metadata", BY_CODE},          /* the first metadata of an asset */
    {"login_failed", BY_CODE},          /* unknown callers */
    {"api_key_authenticated", BY_CODE}, /* a key in use */
    {"api_key_rejected", BY_CODE},      /* unknown callers */
    {"token_rejected", BY_CODE},        /* unknown callers */
    {"permission_denied", BY_CODE},     /* any rule with a check */
    {"tenant_impersonation", BY_CODE},  /* root in a tenant */
    {"create_commit", LATER},
    {"initiate_merge", LATER},
    {"create_federated_catalog", LATER},
    {"update_federated_catalog", LATER},
    {"delete_federated_catalog", LATER},
    {"test_federated_connection", LATER},
    {"request_access", LATER},
    {"approve_access", LATER},
    {"deny_access", LATER},
    {"update_access_request", LATER},
};

/* By hand: names of rules that existing clients do not know. */
static const char *const beside[] = {
    "assign_role",
    "cherry_pick",
    "cleanup_tokens",
    "create_asset",
    "create_role",
    "delete_role",
    "diff_refs",
    "explain_permission",
    "list_assets",
    "list_branches",
    "list_catalogs",
    "list_dropped",
    "list_maintenance",
    "list_merge_operations",
    "read_merge_operation",
    "list_namespaces",
    "list_permissions",
    "list_roles",
    "list_service_users",
    "list_tables",
    "list_tags",
    "list_tenants",
    "list_tokens",
    "list_users",
    "list_views",
    "list_warehouses",
    "load_credentials",
    "load_namespace",
    "maintain_catalog",
    "maintain_table",
    "read_asset",
    "read_audit",
    "read_branch",
    "read_catalog",
    "read_commit",
    "read_metadata",
    "read_role",
    "read_service_user",
    "read_settings",
    "read_stats",
    "read_tag",
    "read_tenant",
    "read_user",
    "read_warehouse",
    "rebase_branch",
    "refresh_token",
    "report_metrics",
    "restore_branch",
    "revert",
    "revoke_api_key",
    "revoke_role",
    "rotate_keys",
    "undrop_table",
    "update_branch",
    "update_role",
    "update_settings",
    "update_tag",
    "validate_names",
    "watch_commits",
};

static bool is_known_name(pang_str name)
{
    for (size_t i = 0; i < PANG_AUDIT_ACTIONS; i++)
        if (pang_str_equal(name, pang_str_from(pang_audit_actions[i].name)))
            return true;
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++)
        if (pang_str_equal(name, pang_str_from(beside[i])))
            return true;
    return false;
}

static bool has_rule(const pang_schema *schema, const char *name)
{
    for (size_t i = 0; i < pang_schema_size(schema); i++)
        if (pang_str_equal(pang_schema_at(schema, i)->audit, pang_str_from(name)))
            return true;
    return false;
}

static void test_names__every_rule_has_one_that_is_written_here(void **state)
{
    audited *a = *state;
    for (size_t i = 0; i < pang_schema_size(a->f.schema); i++) {
        const pang_schema_method *rule = pang_schema_at(a->f.schema, i);
        bool is_audited = rule->audit_class != PANG_AUDIT_NONE && rule->audit_class != 0;
        if (is_audited && !is_known_name(rule->audit))
            fail_msg("%" PANG_STR_FMT " logs \"%" PANG_STR_FMT "\", which is not in this list",
                     PANG_STR_ARG(rule->path), PANG_STR_ARG(rule->audit));
        if (rule->audit.len > 0)
            assert_true(pang_audit_is_action(a->f.schema, rule->audit));
    }
}

static void test_names__every_one_comes_from_somewhere(void **state)
{
    audited *a = *state;
    size_t named = 0;
    for (size_t i = 0; i < PANG_AUDIT_ACTIONS; i++) {
        const char *name = pang_audit_actions[i].name;
        bool is_listed = false;
        for (size_t j = 0; j < sizeof without_rule / sizeof without_rule[0]; j++)
            is_listed |= strcmp(without_rule[j].name, name) == 0;
        if (is_listed && has_rule(a->f.schema, name))
            fail_msg("\"%s\" has a rule now: take it off the list", name);
        if (!is_listed && !has_rule(a->f.schema, name))
            fail_msg("nothing logs \"%s\"", name);
        named += is_listed;
        assert_true(pang_audit_actions[i].type == NULL ||
                    pang_audit_is_type(pang_str_from(pang_audit_actions[i].type)));
    }
    assert_int_equal(named, sizeof without_rule / sizeof without_rule[0]);
}

static void test_names__what_a_name_is_about(void **state)
{
    (void)state;
    static const struct {
        const char *action;
        uint32_t resource;
        const char *type;
    } cases[] = {
        {"create_table", 3, "table"},
        {"list_namespaces", 2, "namespace"},
        {"create_role", 0, "role"},
        {"load_credentials", 4, "table"},
        {"rotate_api_key", 7, "service_user"},
        {"permission_denied", 5, "view"},
        {"read_settings", 12, "tenant"},
        {"read_audit", 14, "tenant"},
        {"validate_names", 0, ""},
        {"x", 99, ""},
        {"revoke_api_key", 9, "service_user"},
        {"list_service_users", 1, "service_user"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(pang_audit_type_of(pang_str_from(cases[i].action), cases[i].resource),
                            cases[i].type);
}

int main(void)
{
#define CASE(name, begin) cmocka_unit_test_setup_teardown(name, begin, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_read__is_logged_in_a_group, setup),
        CASE(test_change__a_failure_has_a_row_of_its_own, setup),
        CASE(test_change__a_malformed_request_is_logged_too, setup),
        CASE(test_denial__tells_what_was_tried, setup_evaluator),
        CASE(test_read__fails_when_the_log_is_full, setup),
        CASE(test_unaudited__pings_leave_no_trace, setup),
        CASE(test_names__every_rule_has_one_that_is_written_here, setup),
        CASE(test_names__every_one_comes_from_somewhere, setup),
        CASE(test_names__what_a_name_is_about, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
