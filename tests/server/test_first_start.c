/*
 * First start: root and the nil tenant are made once, a setup code works once, and the host can
 * take root's password.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "api/root.h"
#include "server/first_start.h"
#include "server/identity.h"
#include "server/keyring.h"
#include "server/password.h"
#include "server/root.h"

#include "pangolin/v1/auth.pb-c.h"
#include "pangolin/v1/tenant.pb-c.h"

#define PASSWORD "correct horse"

static const pang_password_cost cheap = {64, 1, 1};

static int setup(void **state)
{
    (void)fx_setup(state);
    fixture *fx = *state;
    pang_keyring_config keyring = {.env = &fx->env, .db = fx->db, .sealer = fx->sealer};
    assert_int_equal(pang_keyring_open(&keyring, &fx->server.keyring, &fx->err), PANG_OK);
    assert_int_equal(pang_passwords_open(&fx->env, &cheap, &fx->server.passwords, &fx->err),
                     PANG_OK);
    fx->scope = PANG_SYSTEM_SCOPE;
    return 0;
}

static int teardown(void **state)
{
    fixture *fx = *state;
    pang_passwords_close(fx->server.passwords);
    pang_keyring_close(fx->server.keyring);
    return fx_teardown(state);
}

static pang_code start(fixture *fx, const char *name, const char *password, pang_str *ret_code,
                       bool *ret_waits)
{
    pang_first_start first = {
        .env = &fx->env,
        .db = fx->db,
        .passwords = fx->server.passwords,
        .root_name = pang_str_from(name),
        .root_password = pang_str_from(password),
    };
    return pang_first_start_run(&first, fx->arena, ret_code, ret_waits, &fx->err);
}

static pang_code login(fixture *fx, const char *name, const char *password, const char *new_one,
                       Pangolin__V1__LoginResponse *ret)
{
    Pangolin__V1__LoginRequest in = PANGOLIN__V1__LOGIN_REQUEST__INIT;
    Pangolin__V1__LoginResponse out;
    in.username = (char *)(uintptr_t)name;
    in.password = (char *)(uintptr_t)password;
    in.new_password = (char *)(uintptr_t)new_one;
    return fx_call(fx, "Login", &in, ret != NULL ? ret : &out);
}

static uint64_t token_epoch(fixture *fx)
{
    pang_rec_user *root;
    assert_int_equal(pang_root_get(fx_begin(fx), fx->arena, &root, &fx->err), PANG_OK);
    assert_non_null(root);
    return root->token_epoch;
}

static void test_first_start__a_code_sets_a_password_once(void **state)
{
    fixture *fx = *state;
    pang_str code, again;
    bool waits;
    Pangolin__V1__LoginResponse out;
    assert_int_equal(login(fx, "root", PASSWORD, "", NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(start(fx, "", "", &code, &waits), PANG_OK);
    assert_int_equal(code.len, PANG_SETUP_CODE);
    assert_false(waits);
    assert_int_equal(start(fx, "", "", &again, &waits), PANG_OK);
    assert_true(again.len == 0 && waits);
    assert_int_equal(login(fx, "root", "", PASSWORD, NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(login(fx, "admin", code.ptr, PASSWORD, NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(login(fx, "root", code.ptr, "", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(login(fx, "root", code.ptr, "short", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(login(fx, "root", code.ptr, "password123", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(login(fx, "root", code.ptr, PASSWORD, &out), PANG_OK);
    assert_string_equal(out.user->role, "root");
    assert_string_equal(out.user->tenant_id, "");
    assert_int_equal(login(fx, "root", code.ptr, "another horse", NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(login(fx, "root", PASSWORD, "", NULL), PANG_OK);
    assert_int_equal(start(fx, "", "", &again, &waits), PANG_OK);
    assert_true(again.len == 0 && !waits);
}

static void test_first_start__root_changes_its_password_and_its_tokens_end(void **state)
{
    fixture *fx = *state;
    pang_str code;
    bool waits;
    assert_int_equal(start(fx, "boss", PASSWORD, &code, &waits), PANG_OK);
    assert_true(code.len == 0 && !waits);
    assert_int_equal(login(fx, "root", PASSWORD, "", NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(login(fx, "boss", PASSWORD, "", NULL), PANG_OK);
    uint64_t epoch = token_epoch(fx);
    assert_int_equal(login(fx, "boss", PASSWORD, "another horse", NULL), PANG_OK);
    assert_int_equal(token_epoch(fx), epoch + 1);
    assert_int_equal(login(fx, "boss", PASSWORD, "", NULL), PANG_UNAUTHENTICATED);
}

static void test_first_start__what_the_configuration_says_holds(void **state)
{
    fixture *fx = *state;
    pang_str code;
    bool waits;
    assert_int_equal(start(fx, "", "", &code, &waits), PANG_OK);
    assert_int_equal(start(fx, "root", PASSWORD, &code, &waits), PANG_OK);
    uint64_t epoch = token_epoch(fx);
    assert_int_equal(login(fx, "root", PASSWORD, "", NULL), PANG_OK);
    assert_int_equal(start(fx, "root", PASSWORD, &code, &waits), PANG_OK);
    assert_int_equal(token_epoch(fx), epoch); /* the same one again changes nothing */
    assert_int_equal(start(fx, "root", "another horse", &code, &waits), PANG_OK);
    assert_int_equal(token_epoch(fx), epoch + 1);
    assert_int_equal(login(fx, "root", PASSWORD, "", NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(start(fx, "root", "short", &code, &waits), PANG_INVALID_ARGUMENT);
    assert_int_equal(start(fx, "root", "changeme", &code, &waits), PANG_INVALID_ARGUMENT);
}

static void test_first_start__the_nil_tenant_is_called_default(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListTenantsRequest in = PANGOLIN__V1__LIST_TENANTS_REQUEST__INIT;
    Pangolin__V1__ListTenantsResponse out;
    pang_str code;
    bool waits;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(start(fx, "", "", &code, &waits), PANG_OK);
        assert_int_equal(fx_call(fx, "ListTenants", &in, &out), PANG_OK);
        assert_int_equal(out.n_tenants, 1);
        assert_string_equal(out.tenants[0]->name, "default");
        assert_string_equal(out.tenants[0]->id, "00000000-0000-0000-0000-000000000000");
    }
}

static void test_first_start__the_host_resets_no_root_that_is_not_there(void **state)
{
    fixture *fx = *state;
    pang_store *store;
    pang_str code;
    bool waits;
    /* Memory stores are no files: another catalog handle over the same store would close it. */
    pang_store_config config = {.url = PANG_STR("memory:"), .env = &fx->env};
    assert_int_equal(pang_store_open(&config, &store, &fx->err), PANG_OK);
    assert_int_equal(pang_store_migrate(store, &fx->err), PANG_OK);
    assert_int_equal(pang_root_reset(store, &fx->env, fx->arena, &code, &fx->err), PANG_NOT_FOUND);
    assert_int_equal(start(fx, "root", PASSWORD, &code, &waits), PANG_OK);
    assert_int_equal(login(fx, "root", PASSWORD, "", NULL), PANG_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_start__a_code_sets_a_password_once),
        TEST(test_first_start__root_changes_its_password_and_its_tokens_end),
        TEST(test_first_start__what_the_configuration_says_holds),
        TEST(test_first_start__the_nil_tenant_is_called_default),
        TEST(test_first_start__the_host_resets_no_root_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
