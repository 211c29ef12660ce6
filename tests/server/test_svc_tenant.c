/*
 * Tenants: made, shown, changed, marked as going.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "server/bootstrap.h"
#include "server/identity.h"

#include "pangolin/v1/tenant.pb-c.h"
#include "pangolin/v1/user.pb-c.h"

typedef Pangolin__V1__ListTenantsResponse list_out;

static pang_code create(fixture *fx, const char *name, char **ret_id)
{
    Pangolin__V1__CreateTenantRequest in = PANGOLIN__V1__CREATE_TENANT_REQUEST__INIT;
    Pangolin__V1__CreateTenantResponse out;
    in.name = fx_text(fx, "%s", name);
    fx->scope = PANG_SYSTEM_SCOPE;
    pang_code code = fx_call(fx, "CreateTenant", &in, &out);
    if (code == PANG_OK && ret_id != NULL)
        *ret_id = out.tenant->id;
    return code;
}

static pang_code get(fixture *fx, char *id, Pangolin__V1__GetTenantResponse *out)
{
    Pangolin__V1__GetTenantRequest in = PANGOLIN__V1__GET_TENANT_REQUEST__INIT;
    in.id = id;
    return fx_call(fx, "GetTenant", &in, out);
}

static pang_code list(fixture *fx, int page_size, int offset, char *token, list_out *out)
{
    Pangolin__V1__ListTenantsRequest in = PANGOLIN__V1__LIST_TENANTS_REQUEST__INIT;
    in.page_size = page_size;
    in.offset = offset;
    if (token != NULL) {
        in._page_token_case = PANGOLIN__V1__LIST_TENANTS_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
        in.page_token = token;
    }
    return fx_call(fx, "ListTenants", &in, out);
}

static pang_code drop(fixture *fx, char *id, bool cascade)
{
    Pangolin__V1__DeleteTenantRequest in = PANGOLIN__V1__DELETE_TENANT_REQUEST__INIT;
    Pangolin__V1__DeleteTenantResponse out;
    in.id = id;
    in.cascade = cascade;
    return fx_call(fx, "DeleteTenant", &in, &out);
}

static void test_svc_tenant__names_are_unique_and_have_rules(void **state)
{
    fixture *fx = *state;
    char long_name[300] = {0};
    memset(long_name, 'x', sizeof long_name - 1);
    const char *const bad[] = {"", "a\nb", "\x7F", "a\xC2\x85", " a", "a ", long_name};
    assert_int_equal(create(fx, "acme", NULL), PANG_OK);
    assert_int_equal(create(fx, "acme", NULL), PANG_ALREADY_EXISTS);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(create(fx, bad[i], NULL), PANG_INVALID_ARGUMENT);
        assert_non_null(strstr(fx->err.message, "name"));
    }
}

static void test_svc_tenant__an_update_changes_what_it_names(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__UpdateTenantRequest in = PANGOLIN__V1__UPDATE_TENANT_REQUEST__INIT;
    Pangolin__V1__UpdateTenantResponse out;
    Pangolin__V1__GetTenantResponse got;
    Pangolin__V1__PropertyMap map = PANGOLIN__V1__PROPERTY_MAP__INIT;
    Pangolin__V1__PropertyMap__EntriesEntry entry = PANGOLIN__V1__PROPERTY_MAP__ENTRIES_ENTRY__INIT;
    Pangolin__V1__PropertyMap__EntriesEntry *entries[] = {&entry};
    char *other;
    assert_int_equal(create(fx, "acme", &in.id), PANG_OK);
    assert_int_equal(create(fx, "other", &other), PANG_OK);
    entry.key = fx_text(fx, "tier");
    entry.value = fx_text(fx, "gold");
    map.n_entries = 1;
    map.entries = entries;
    in.properties = &map;
    assert_int_equal(fx_call(fx, "UpdateTenant", &in, &out), PANG_OK);
    assert_string_equal(out.tenant->name, "acme");
    in.properties = NULL;
    in._name_case = PANGOLIN__V1__UPDATE_TENANT_REQUEST___NAME_NAME;
    in.name = fx_text(fx, "other");
    assert_int_equal(fx_call(fx, "UpdateTenant", &in, &out), PANG_ALREADY_EXISTS);
    in.name = fx_text(fx, "renamed");
    assert_int_equal(fx_call(fx, "UpdateTenant", &in, &out), PANG_OK);
    assert_int_equal(get(fx, in.id, &got), PANG_OK);
    assert_string_equal(got.tenant->name, "renamed");
    assert_int_equal(got.tenant->n_properties, 1);
    assert_string_equal(got.tenant->properties[0]->value, "gold");
    assert_int_equal(create(fx, "acme", NULL), PANG_OK);
}

static void test_svc_tenant__lists_are_by_name_in_pages(void **state)
{
    fixture *fx = *state;
    const char *const names[] = {"d", "b", "a", "e", "c"};
    list_out out;
    const char *seen = "";
    char *token = NULL;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(create(fx, names[i], NULL), PANG_OK);
    for (size_t pages = 1;; pages++) {
        assert_int_equal(list(fx, 2, 0, token, &out), PANG_OK);
        for (size_t i = 0; i < out.n_tenants; i++)
            seen = fx_text(fx, "%s%s", seen, out.tenants[i]->name);
        token = out.next_page_token;
        if (token[0] == '\0')
            break;
        assert_true(pages < 4);
    }
    assert_string_equal(seen, "abcde");
    assert_int_equal(list(fx, 2, 3, NULL, &out), PANG_OK);
    assert_int_equal(out.n_tenants, 2);
    assert_string_equal(out.tenants[0]->name, "d");
    assert_int_equal(list(fx, 0, 5, NULL, &out), PANG_OK);
    assert_int_equal(out.n_tenants, 0);
    assert_int_equal(list(fx, 0, -1, NULL, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(list(fx, -1, 0, NULL, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(list(fx, 0, 0, fx_text(fx, "bogus"), &out), PANG_INVALID_ARGUMENT);
}

static void count_user(fixture *fx, const char *id)
{
    pang_keys keys = {.arena = fx->arena};
    pang_id tenant;
    char *scope = fx_text(fx, "%33s", "");
    assert_true(pang_id_parse(pang_str_from(id), &tenant));
    pang_id_hex(tenant, scope);
    keys.scope = pang_str_slice(pang_str_from(scope), 0, PANG_ID_HEX);
    pang_txn *txn = fx_begin(fx);
    pang_txn_add(txn, pang_key_count(&keys, PANG_COUNT_USERS), 1);
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
}

static void test_svc_tenant__one_that_holds_something_goes_when_asked(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetTenantResponse got;
    list_out out;
    char *id;
    assert_int_equal(create(fx, "acme", &id), PANG_OK);
    count_user(fx, id);
    assert_int_equal(drop(fx, id, false), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(fx->err.message, "1 users"));
    assert_int_equal(get(fx, id, &got), PANG_OK);
    assert_int_equal(drop(fx, id, true), PANG_OK);
    assert_int_equal(get(fx, id, &got), PANG_NOT_FOUND);
    assert_int_equal(drop(fx, id, true), PANG_NOT_FOUND);
    assert_int_equal(list(fx, 0, 0, NULL, &out), PANG_OK);
    assert_int_equal(out.n_tenants, 0);
    assert_int_equal(create(fx, "acme", NULL), PANG_OK);
}

static void test_svc_tenant__absent_ones_are_absent(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetTenantResponse got;
    assert_int_equal(get(fx, fx_text(fx, "00000000-0000-0000-0000-000000000001"), &got),
                     PANG_NOT_FOUND);
    assert_int_equal(get(fx, fx_text(fx, "x"), &got), PANG_NOT_FOUND);
    assert_int_equal(get(fx, fx_text(fx, "00000000-0000-0000-0000-000000000000"), &got), PANG_OK);
    assert_string_equal(got.tenant->name, "default");
    assert_int_equal(drop(fx, got.tenant->id, true), PANG_FAILED_PRECONDITION);
}

/* ---- what is left is swept ---- */

typedef struct {
    size_t kept, others; /* counters and sequences; all else */
} counted;

static bool count_row(void *arg, const pang_record *row)
{
    counted *c = arg;
    if (row->kind == PANG_KIND_COUNTER || row->kind == PANG_KIND_SEQUENCE)
        c->kept++;
    else
        c->others++;
    return true;
}

static size_t others_below(fixture *fx, pang_str prefix)
{
    counted c = {0};
    pang_query query = {.prefix = prefix, .limit = PANG_SCAN_MAX};
    assert_int_equal(
        pang_store_scan(pang_db_store(fx->db), &query, PANG_NO_DEADLINE, count_row, &c, &fx->err),
        PANG_OK);
    return c.others;
}

static pang_str scope_of(fixture *fx, const char *id)
{
    char *scope = fx_text(fx, "%33s", "");
    pang_id tenant;
    assert_true(pang_id_parse(pang_str_from(id), &tenant));
    pang_id_hex(tenant, scope);
    return pang_str_slice(pang_str_from(scope), 0, PANG_ID_HEX);
}

static void fill(fixture *fx, pang_str scope)
{
    pang_rec_catalog settings = PANGOLIN__STORE__V1__CATALOG__INIT;
    fx->scope = scope;
    settings.name = (char *)(uintptr_t)FX_PREFIX;
    settings.warehouse = fx_text(fx, "file://%s/of-the-tenant", fx->folder);
    settings.allow_permitted = true;
    settings.undrop_ms = settings.retention_ms = 1000;
    pang_txn *txn = fx_begin(fx);
    assert_int_equal(pang_catalog_create(txn, fx->arena, scope, &fx->env, &settings, &fx->err),
                     PANG_OK);
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "sales"), PANG_OK);
    for (int i = 0; i < 40; i++)
        assert_int_equal(fx_create_table(fx, "sales", fx_text(fx, "t%d", i), NULL), PANG_OK);
    for (int i = 0; i < 300; i++) {
        Pangolin__V1__CreateUserRequest in = PANGOLIN__V1__CREATE_USER_REQUEST__INIT;
        Pangolin__V1__CreateUserResponse out;
        in.username = fx_text(fx, "user%d", i);
        in.role = (char *)(uintptr_t) "tenant-user";
        assert_int_equal(fx_call(fx, "CreateUser", &in, &out), PANG_OK);
    }
}

static void test_svc_tenant__a_deleted_one_is_swept(void **state)
{
    fixture *fx = *state;
    char *id, *other;
    assert_int_equal(create(fx, "acme", &id), PANG_OK);
    assert_int_equal(create(fx, "other", &other), PANG_OK);
    size_t before = others_below(fx, PANG_STR("~system/lr/"));
    fill(fx, scope_of(fx, id));
    fx->scope = PANG_SYSTEM_SCOPE;
    assert_int_equal(others_below(fx, PANG_STR("~system/lr/")), before + 40);
    assert_int_equal(drop(fx, id, false), PANG_FAILED_PRECONDITION);
    assert_int_equal(drop(fx, id, true), PANG_OK);
    (void)pang_state_work(fx->state, &fx->err);
    assert_true(others_below(fx, scope_of(fx, id)) > 600);
    fx->ahead_ms = 10 * 60 * 1000;
    (void)pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    assert_int_equal(others_below(fx, scope_of(fx, id)), 0);
    assert_int_equal(others_below(fx, PANG_STR("~system/lr/")), before);
    assert_int_equal(others_below(fx, PANG_STR("~system/te/")), 1);
    assert_int_equal(others_below(fx, PANG_STR("~system/du/")), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_svc_tenant__names_are_unique_and_have_rules),
        TEST(test_svc_tenant__an_update_changes_what_it_names),
        TEST(test_svc_tenant__lists_are_by_name_in_pages),
        TEST(test_svc_tenant__one_that_holds_something_goes_when_asked),
        TEST(test_svc_tenant__absent_ones_are_absent),
        TEST(test_svc_tenant__a_deleted_one_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
