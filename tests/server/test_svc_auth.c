/*
 * Signing in and out: one answer to whoever may not, what failures cost, and that what has ended
 * stays so.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "api/keys_secrets.h"
#include "server/api_key.h"
#include "server/password.h"
#include "server/sessions.h"
#include "server/throttle.h"

#include "pangolin/store/v1/secrets.pb-c.h"
#include "pangolin/v1/auth.pb-c.h"
#include "pangolin/v1/tenant.pb-c.h"
#include "pangolin/v1/user.pb-c.h"

#define TENANT "00000000-0000-0000-0000-000000000000"
#define FOREIGN "00000000-0000-0000-0000-000000000009"
#define PASSWORD "correct horse"
#define WRONG "wrong username or password"

static const pang_password_cost cheap = {64, 1, 1}, dear = {128, 1, 1};

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static void open_passwords(fixture *fx, const pang_password_cost *cost)
{
    pang_passwords_close(fx->server.passwords);
    assert_int_equal(pang_passwords_open(&fx->env, cost, &fx->server.passwords, &fx->err), PANG_OK);
}

static char *add_user(fixture *fx, const char *name, const char *role)
{
    Pangolin__V1__CreateUserRequest in = PANGOLIN__V1__CREATE_USER_REQUEST__INIT;
    Pangolin__V1__CreateUserResponse out;
    in.username = text(name);
    in.password = text(PASSWORD);
    in.role = text(role);
    assert_int_equal(fx_call(fx, "CreateUser", &in, &out), PANG_OK);
    return out.user->id;
}

static int setup(void **state)
{
    (void)fx_setup(state);
    fixture *fx = *state;
    pang_keyring_config keyring = {.env = &fx->env, .db = fx->db, .sealer = fx->sealer};
    pang_throttle_config throttle = {.env = &fx->env, .db = fx->db, .limit = 3};
    assert_int_equal(pang_keyring_open(&keyring, &fx->server.keyring, &fx->err), PANG_OK);
    assert_int_equal(pang_throttle_open(&throttle, &fx->server.throttle, &fx->err), PANG_OK);
    open_passwords(fx, &cheap);
    fx->address = PANG_STR("192.0.2.1");
    (void)add_user(fx, "ann", "tenant-user");
    (void)add_user(fx, "adam", "tenant-admin");
    return 0;
}

static int teardown(void **state)
{
    fixture *fx = *state;
    pang_passwords_close(fx->server.passwords);
    pang_throttle_close(fx->server.throttle);
    pang_keyring_close(fx->server.keyring);
    return fx_teardown(state);
}

/* ---- calls ---- */

static pang_code login(fixture *fx, const char *tenant, const char *name, const char *password,
                       Pangolin__V1__LoginResponse *ret)
{
    Pangolin__V1__LoginRequest in = PANGOLIN__V1__LOGIN_REQUEST__INIT;
    Pangolin__V1__LoginResponse out;
    in.tenant_id = text(tenant);
    in.username = text(name);
    in.password = text(password);
    return fx_call(fx, "Login", &in, ret != NULL ? ret : &out);
}

static pang_code refresh(fixture *fx, char *token, Pangolin__V1__RefreshResponse *ret)
{
    Pangolin__V1__RefreshRequest in = PANGOLIN__V1__REFRESH_REQUEST__INIT;
    in.refresh_token = token;
    return fx_call(fx, "Refresh", &in, ret);
}

static pang_claims claims_of(fixture *fx, const char *token)
{
    pang_claims claims;
    assert_int_equal(
        pang_keyring_read(fx->server.keyring, pang_str_from(token), fx->arena, &claims, &fx->err),
        PANG_OK);
    return claims;
}

/* The next calls carry this token. */
static void carry(fixture *fx, const char *token)
{
    pang_claims claims = claims_of(fx, token);
    fx->who = (pang_principal){
        .id = claims.subject,
        .tenant = claims.tenant,
        .name = claims.username,
        .is_known = true,
        .kind = claims.kind,
        .is_admin = claims.is_admin,
        .credential = PANG_CREDENTIAL_TOKEN,
        .jti = claims.jti,
        .token_epoch = claims.epoch,
        .expires_ms = claims.expires_s * 1000,
    };
}

static pang_record read_one(fixture *fx, pang_str key)
{
    pang_record record;
    assert_int_equal(pang_txn_get_one(fx_begin(fx), key, &record, &fx->err), PANG_OK);
    return record;
}

static bool is_ended(fixture *fx, const char *token)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    return read_one(fx, pang_key_revoked_token(&keys, claims_of(fx, token).jti)).version != 0;
}

static int64_t epoch_of(fixture *fx)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_ref ref = {.key = pang_key_count(&keys, PANG_COUNT_AUTH)};
    pang_record record;
    assert_int_equal(pang_txn_get(fx_begin(fx), &ref, 1, PANG_READ_UNCHECKED, &record, &fx->err),
                     PANG_OK);
    return record.value;
}

/* ---- logins ---- */

static void test_svc_auth__a_login_gives_tokens_that_say_who_it_is(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoginResponse out;
    int64_t epoch = epoch_of(fx);
    assert_int_equal(login(fx, TENANT, "adam", PASSWORD, &out), PANG_OK);
    pang_claims claims = claims_of(fx, out.token);
    assert_true(pang_str_equal(claims.username, PANG_STR("adam")));
    assert_int_equal(claims.kind, PANG_PRINCIPAL_TENANT_ADMIN);
    assert_int_equal(claims.expires_s - claims.issued_s, 24 * 3600);
    assert_string_equal(out.user->role, "tenant-admin");
    assert_string_equal(out.user->tenant_id, TENANT);
    assert_string_equal(out.user->last_login, "");
    assert_int_equal(epoch_of(fx), epoch); /* nobody's permits are looked up again for it */
    assert_int_equal(login(fx, TENANT, "adam", PASSWORD, &out), PANG_OK);
    assert_string_not_equal(out.user->last_login, "");
}

static void set_active(fixture *fx, char *id, bool active)
{
    Pangolin__V1__UpdateUserRequest in = PANGOLIN__V1__UPDATE_USER_REQUEST__INIT;
    Pangolin__V1__UpdateUserResponse out;
    in.id = id;
    in._active_case = PANGOLIN__V1__UPDATE_USER_REQUEST___ACTIVE_ACTIVE;
    in.active = active;
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &out), PANG_OK);
}

static void test_svc_auth__there_is_one_answer_to_who_may_not(void **state)
{
    fixture *fx = *state;
    set_active(fx, add_user(fx, "gone", "tenant-user"), false);
    char long_text[1100] = {0};
    memset(long_text, 'x', sizeof long_text - 1);
    const struct {
        const char *tenant, *name, *password;
    } cases[] = {
        {TENANT, "ann", "wrong horse"}, {TENANT, "nobody", PASSWORD}, {TENANT, "gone", PASSWORD},
        {FOREIGN, "ann", PASSWORD},     {"", "ann", PASSWORD},        {"", "root", PASSWORD},
        {TENANT, "", PASSWORD},         {TENANT, "ann", ""},          {TENANT, "ann", long_text},
        {TENANT, long_text, PASSWORD},  {TENANT, "Ann", PASSWORD},    {TENANT, "root", PASSWORD},
    };
    fx->address = (pang_str){0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fx->ahead_ms += 120 * 1000; /* the window of the last one is over */
        pang_code code = login(fx, cases[i].tenant, cases[i].name, cases[i].password, NULL);
        if (code != PANG_UNAUTHENTICATED || strcmp(fx->err.message, WRONG) != 0)
            fail_msg("case %zu: %d %s", i, code, fx->err.message);
    }
    assert_int_equal(login(fx, "nonsense", "ann", PASSWORD, NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, NULL), PANG_OK);
}

static void test_svc_auth__an_unknown_name_takes_as_long(void **state)
{
    fixture *fx = *state;
    const pang_password_cost slow = {32 << 10, 2, 1};
    int64_t times[2];
    open_passwords(fx, &slow);
    (void)add_user(fx, "slow", "tenant-user");
    for (int i = 0; i < 2; i++) {
        int64_t begun = pang_env_mono_ms(&pang_env_system);
        assert_int_equal(login(fx, TENANT, i == 0 ? "slow" : "nobody", "wrong horse", NULL),
                         PANG_UNAUTHENTICATED);
        times[i] = pang_env_mono_ms(&pang_env_system) - begun;
    }
    if (times[1] * 3 < times[0])
        fail_msg("a known name takes %d ms, an unknown one %d ms", (int)times[0], (int)times[1]);
}

static void test_svc_auth__who_fails_too_often_waits(void **state)
{
    fixture *fx = *state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(login(fx, TENANT, "ann", "wrong horse", NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, NULL), PANG_RESOURCE_EXHAUSTED);
    assert_true(fx->retry_after_s >= 1 && fx->retry_after_s <= 60);
    fx->address = PANG_STR("192.0.2.2");
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, NULL), PANG_RESOURCE_EXHAUSTED);
    assert_int_equal(login(fx, TENANT, "adam", PASSWORD, NULL), PANG_OK);
    fx->ahead_ms += 60 * 1000;
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, NULL), PANG_OK);
}

static void test_svc_auth__a_success_forgives_the_account_not_the_address(void **state)
{
    fixture *fx = *state;
    const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
    for (int i = 0; i < 4; i++) {
        fx->address = pang_str_from(addresses[i]);
        for (int j = 0; j < 2; j++)
            assert_int_equal(login(fx, TENANT, "ann", "wrong horse", NULL), PANG_UNAUTHENTICATED);
        assert_int_equal(login(fx, TENANT, "ann", PASSWORD, NULL), PANG_OK);
    }
    assert_int_equal(login(fx, TENANT, "adam", "wrong horse", NULL), PANG_UNAUTHENTICATED);
    assert_int_equal(login(fx, TENANT, "adam", PASSWORD, NULL), PANG_RESOURCE_EXHAUSTED);
}

static void test_svc_auth__a_password_of_a_lower_cost_is_hashed_again(void **state)
{
    fixture *fx = *state;
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    Pangolin__V1__LoginResponse out;
    pang_rec_user *user;
    open_passwords(fx, &dear);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(login(fx, TENANT, "ann", PASSWORD, &out), PANG_OK);
        pang_record record = read_one(fx, pang_key_user(&keys, claims_of(fx, out.token).subject));
        assert_int_equal(pang_record_unpack(&pangolin__store__v1__user__descriptor, &record,
                                            fx->arena, &user, &fx->err),
                         PANG_OK);
        assert_non_null(strstr(user->password, "m=128,t=1,p=1"));
    }
}

/* ---- refreshing ---- */

static void test_svc_auth__a_refresh_token_works_once(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoginResponse first;
    Pangolin__V1__RefreshResponse second, third;
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, &first), PANG_OK);
    assert_int_equal(refresh(fx, first.refresh_token, &second), PANG_OK);
    assert_string_equal(second.user->username, "ann");
    assert_string_not_equal(second.refresh_token, first.refresh_token);
    assert_int_equal(refresh(fx, second.refresh_token, &third), PANG_OK);
    int64_t epoch = epoch_of(fx);
    assert_int_equal(refresh(fx, first.refresh_token, &second), PANG_UNAUTHENTICATED);
    /* The one who stole it may have the newest: everything of the family ends. */
    assert_int_equal(epoch_of(fx), epoch + 1);
    assert_true(is_ended(fx, first.token) && is_ended(fx, third.token));
    assert_int_equal(refresh(fx, third.refresh_token, &second), PANG_UNAUTHENTICATED);
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, NULL), PANG_OK);
}

static void test_svc_auth__a_forged_refresh_token_ends_nothing(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoginResponse first;
    Pangolin__V1__RefreshResponse out;
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, &first), PANG_OK);
    assert_int_equal(refresh(fx, first.refresh_token, &out), PANG_OK);
    char *last = out.refresh_token;
    size_t len = strlen(last);
    for (size_t i = 0; i < len; i += 7) {
        char *forged = fx_text(fx, "%s", first.refresh_token);
        forged[i] = forged[i] == 'A' ? 'B' : 'A';
        fx->ahead_ms += 30 * 1000;
        assert_int_equal(refresh(fx, forged, &out), PANG_UNAUTHENTICATED);
    }
    const char *const bad[] = {"", "pgr_", "pgr_AAAA", "x", first.token};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fx->ahead_ms += 30 * 1000;
        assert_int_equal(refresh(fx, text(bad[i]), &out), PANG_UNAUTHENTICATED);
    }
    fx->ahead_ms += 120 * 1000;
    assert_int_equal(refresh(fx, last, &out), PANG_OK);
}

static void test_svc_auth__who_is_disabled_or_changes_the_password_refreshes_no_more(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoginResponse out;
    Pangolin__V1__RefreshResponse next;
    char *id = add_user(fx, "bob", "tenant-user");
    assert_int_equal(login(fx, TENANT, "bob", PASSWORD, &out), PANG_OK);
    set_active(fx, id, false);
    assert_int_equal(refresh(fx, out.refresh_token, &next), PANG_UNAUTHENTICATED);
    set_active(fx, id, true);
    assert_int_equal(refresh(fx, out.refresh_token, &next), PANG_UNAUTHENTICATED);
}

/* ---- ends ---- */

static void test_svc_auth__logging_out_ends_token_and_refresh_token(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoginResponse first;
    Pangolin__V1__RefreshResponse next;
    Pangolin__V1__LogoutRequest in = PANGOLIN__V1__LOGOUT_REQUEST__INIT;
    Pangolin__V1__LogoutResponse out;
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, &first), PANG_OK);
    carry(fx, first.token);
    int64_t epoch = epoch_of(fx);
    assert_int_equal(fx_call(fx, "Logout", &in, &out), PANG_OK);
    assert_int_equal(epoch_of(fx), epoch + 1);
    assert_true(is_ended(fx, first.token));
    assert_int_equal(refresh(fx, first.refresh_token, &next), PANG_UNAUTHENTICATED);
    fx->who.credential = PANG_CREDENTIAL_API_KEY;
    assert_int_equal(fx_call(fx, "Logout", &in, &out), PANG_OK);
}

static pang_code list_mine(fixture *fx, Pangolin__V1__ListMyTokensResponse *ret)
{
    Pangolin__V1__ListMyTokensRequest in = PANGOLIN__V1__LIST_MY_TOKENS_REQUEST__INIT;
    return fx_call(fx, "ListMyTokens", &in, ret);
}

static pang_code drop(fixture *fx, char *id)
{
    Pangolin__V1__DeleteTokenRequest in = PANGOLIN__V1__DELETE_TOKEN_REQUEST__INIT;
    Pangolin__V1__DeleteTokenResponse out;
    in.token_id = id;
    return fx_call(fx, "DeleteToken", &in, &out);
}

static void test_svc_auth__tokens_are_listed_newest_first_until_they_end(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoginResponse first, second;
    Pangolin__V1__ListMyTokensResponse list;
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, &first), PANG_OK);
    fx->ahead_ms += 5;
    assert_int_equal(login(fx, TENANT, "ann", PASSWORD, &second), PANG_OK);
    carry(fx, first.token);
    assert_int_equal(list_mine(fx, &list), PANG_OK);
    assert_int_equal(list.n_tokens, 2);
    char newest[PANG_ID_TEXT + 1];
    pang_id_text(claims_of(fx, second.token).jti, newest);
    assert_string_equal(list.tokens[0]->id, newest);
    assert_true(list.tokens[0]->is_valid);
    fx->scope = PANG_STR("00000000000000000000000000000009");
    assert_int_equal(drop(fx, newest), PANG_NOT_FOUND);
    fx->scope = FX_SCOPE;
    assert_int_equal(drop(fx, newest), PANG_OK);
    assert_true(is_ended(fx, second.token));
    assert_int_equal(drop(fx, newest), PANG_NOT_FOUND);
    assert_int_equal(drop(fx, text("nonsense")), PANG_NOT_FOUND);
    assert_int_equal(list_mine(fx, &list), PANG_OK);
    assert_int_equal(list.n_tokens, 1);
}

static void test_svc_auth__a_list_tells_which_have_ended_with_a_password(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListUserTokensRequest in = PANGOLIN__V1__LIST_USER_TOKENS_REQUEST__INIT;
    Pangolin__V1__ListUserTokensResponse out;
    in.user_id = add_user(fx, "bob", "tenant-user");
    assert_int_equal(login(fx, TENANT, "bob", PASSWORD, NULL), PANG_OK);
    set_active(fx, in.user_id, false);
    set_active(fx, in.user_id, true);
    fx->ahead_ms += 5;
    assert_int_equal(login(fx, TENANT, "bob", PASSWORD, NULL), PANG_OK);
    assert_int_equal(fx_call(fx, "ListUserTokens", &in, &out), PANG_OK);
    assert_int_equal(out.n_tokens, 2);
    assert_true(out.tokens[0]->is_valid && !out.tokens[1]->is_valid);
}

static void test_svc_auth__rotating_gives_another_token_that_lives_as_long(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoginResponse first;
    Pangolin__V1__RotateTokenRequest in = PANGOLIN__V1__ROTATE_TOKEN_REQUEST__INIT;
    Pangolin__V1__RotateTokenResponse out;
    assert_int_equal(login(fx, TENANT, "adam", PASSWORD, &first), PANG_OK);
    carry(fx, first.token);
    assert_int_equal(fx_call(fx, "RotateToken", &in, &out), PANG_OK);
    assert_true(is_ended(fx, first.token));
    assert_false(is_ended(fx, out.token));
    pang_claims claims = claims_of(fx, out.token);
    assert_int_equal(claims.kind, PANG_PRINCIPAL_TENANT_ADMIN);
    assert_in_range(claims.expires_s - claims.issued_s, 24 * 3600 - 2, 24 * 3600 + 2);
    fx->who.credential = PANG_CREDENTIAL_API_KEY;
    assert_int_equal(fx_call(fx, "RotateToken", &in, &out), PANG_FAILED_PRECONDITION);
}

/* ---- tokens by request ---- */

static pang_code generate(fixture *fx, const char *name, const char *role, int hours,
                          pang_claims *ret)
{
    Pangolin__V1__GenerateTokenRequest in = PANGOLIN__V1__GENERATE_TOKEN_REQUEST__INIT;
    Pangolin__V1__GenerateTokenResponse out;
    char *roles[] = {text(role)};
    in.tenant_id = text(TENANT);
    in.username = text(name);
    in.roles = roles;
    in.n_roles = role != NULL;
    in.expires_in_hours = hours;
    pang_code code = fx_call(fx, "GenerateToken", &in, &out);
    if (code == PANG_OK && ret != NULL)
        *ret = claims_of(fx, out.token);
    return code;
}

static void test_svc_auth__a_token_is_worth_no_more_than_its_user_and_its_maker(void **state)
{
    fixture *fx = *state;
    pang_claims claims, again;
    fx->who.kind = PANG_PRINCIPAL_TENANT_ADMIN;
    assert_int_equal(generate(fx, "ann", NULL, 0, &claims), PANG_OK);
    assert_int_equal(claims.kind, PANG_PRINCIPAL_TENANT_USER);
    assert_int_equal(claims.expires_s - claims.issued_s, 24 * 3600);
    assert_int_equal(generate(fx, "adam", "TenantAdmin", 20000, &claims), PANG_OK);
    assert_int_equal(claims.kind, PANG_PRINCIPAL_TENANT_ADMIN);
    assert_int_equal(claims.expires_s - claims.issued_s, INT64_C(8760) * 3600);
    assert_int_equal(generate(fx, "ann", "Admin", 0, NULL), PANG_PERMISSION_DENIED);
    assert_int_equal(generate(fx, "ann", "Root", 0, NULL), PANG_PERMISSION_DENIED);
    assert_int_equal(generate(fx, "adam", "user", 0, NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(generate(fx, "ann", "king", 0, NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(generate(fx, "ann", NULL, -1, NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(generate(fx, "nobody", NULL, 0, NULL), PANG_NOT_FOUND);
    assert_int_equal(generate(fx, "", NULL, 1, &claims), PANG_OK);
    assert_true(pang_str_equal(claims.username, PANG_STR("api-user")));
    assert_int_equal(generate(fx, "", "tenant-user", 1, &again), PANG_OK);
    assert_true(pang_id_equal(claims.subject, again.subject));
    assert_int_equal(generate(fx, "", "tenant-admin", 1, &again), PANG_OK);
    assert_true(pang_str_equal(again.username, PANG_STR("api-admin")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_svc_auth__a_login_gives_tokens_that_say_who_it_is),
        TEST(test_svc_auth__there_is_one_answer_to_who_may_not),
        TEST(test_svc_auth__an_unknown_name_takes_as_long),
        TEST(test_svc_auth__who_fails_too_often_waits),
        TEST(test_svc_auth__a_success_forgives_the_account_not_the_address),
        TEST(test_svc_auth__a_password_of_a_lower_cost_is_hashed_again),
        TEST(test_svc_auth__a_refresh_token_works_once),
        TEST(test_svc_auth__a_forged_refresh_token_ends_nothing),
        TEST(test_svc_auth__who_is_disabled_or_changes_the_password_refreshes_no_more),
        TEST(test_svc_auth__logging_out_ends_token_and_refresh_token),
        TEST(test_svc_auth__tokens_are_listed_newest_first_until_they_end),
        TEST(test_svc_auth__a_list_tells_which_have_ended_with_a_password),
        TEST(test_svc_auth__rotating_gives_another_token_that_lives_as_long),
        TEST(test_svc_auth__a_token_is_worth_no_more_than_its_user_and_its_maker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
