/*
 * The OAuth 2.0 token endpoint: who gets a token, for how long, and what the others are told.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "api/base64.h"
#include "server/first_start.h"
#include "server/keyring.h"
#include "server/password.h"
#include "server/sessions.h"

#include "pangolin/v1/oauth.pb-c.h"
#include "pangolin/v1/service_user.pb-c.h"
#include "pangolin/v1/user.pb-c.h"

#define TENANT "00000000-0000-0000-0000-000000000000"
#define PASSWORD "correct horse"
#define ACCESS "urn:ietf:params:oauth:token-type:access_token"
#define EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"

typedef Pangolin__V1__IssueOauthTokenRequest request;
typedef Pangolin__V1__IssueOauthTokenResponse response;

static const pang_password_cost cheap = {64, 1, 1};

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static int setup(void **state)
{
    (void)fx_setup(state);
    fixture *fx = *state;
    pang_keyring_config keyring = {.env = &fx->env, .db = fx->db, .sealer = fx->sealer};
    assert_int_equal(pang_keyring_open(&keyring, &fx->server.keyring, &fx->err), PANG_OK);
    assert_int_equal(pang_passwords_open(&fx->env, &cheap, &fx->server.passwords, &fx->err),
                     PANG_OK);
    return 0;
}

static int teardown(void **state)
{
    fixture *fx = *state;
    pang_passwords_close(fx->server.passwords);
    pang_keyring_close(fx->server.keyring);
    return fx_teardown(state);
}

static Pangolin__V1__CreatedApiKey *add_service(fixture *fx, const char *name, const char *role)
{
    Pangolin__V1__CreateServiceUserRequest in = PANGOLIN__V1__CREATE_SERVICE_USER_REQUEST__INIT;
    Pangolin__V1__CreateServiceUserResponse out;
    in.name = text(name);
    in.role = text(role);
    fx->scope = FX_SCOPE;
    assert_int_equal(fx_call(fx, "CreateServiceUser", &in, &out), PANG_OK);
    return out.key;
}

static void add_user(fixture *fx, const char *name)
{
    Pangolin__V1__CreateUserRequest in = PANGOLIN__V1__CREATE_USER_REQUEST__INIT;
    Pangolin__V1__CreateUserResponse out;
    in.username = text(name);
    in.password = text(PASSWORD);
    in.role = text("tenant-user");
    fx->scope = FX_SCOPE;
    assert_int_equal(fx_call(fx, "CreateUser", &in, &out), PANG_OK);
}

static pang_code issue(fixture *fx, const request *in, response *ret)
{
    response out;
    fx->scope = PANG_SYSTEM_SCOPE;
    return fx_call(fx, "IssueOauthToken", in, ret != NULL ? ret : &out);
}

static pang_claims claims_of(fixture *fx, const char *token)
{
    pang_claims claims;
    assert_int_equal(
        pang_keyring_read(fx->server.keyring, pang_str_from(token), fx->arena, &claims, &fx->err),
        PANG_OK);
    return claims;
}

static request with_client(const char *id, const char *secret)
{
    request in = PANGOLIN__V1__ISSUE_OAUTH_TOKEN_REQUEST__INIT;
    in.grant_type = text("client_credentials");
    in.client_id = text(id);
    in.client_secret = text(secret);
    return in;
}

static char *basic(fixture *fx, const char *id, const char *secret)
{
    char *pair = fx_text(fx, "%s:%s", id, secret);
    return fx_text(fx, "Basic %s",
                   pang_base64_encode(pang_str_from(pair), PANG_BASE64, fx->arena).ptr);
}

/* The id between the underscores. */
static char *key_id(fixture *fx, const char *key)
{
    return fx_text(fx, "%.12s", key + 4);
}

static void expect(fixture *fx, const request *in, pang_code code, const char *reason)
{
    response out;
    pang_code got = issue(fx, in, &out);
    if (got != code || strcmp(fx->err.reason, reason) != 0)
        fail_msg("%d %s (%s) instead of %s", got, fx->err.reason, fx->err.message, reason);
}

/* ---- clients ---- */

static void test_svc_oauth__a_service_user_signs_in_with_its_key(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreatedApiKey *made = add_service(fx, "etl", "tenant-admin");
    const char *const ids[] = {made->id, key_id(fx, made->api_key), ""};
    response out;
    for (size_t i = 0; i < 3; i++) {
        request in = with_client(ids[i], made->api_key);
        in.scope = text("catalog");
        assert_int_equal(issue(fx, &in, &out), PANG_OK);
        pang_claims claims = claims_of(fx, out.access_token);
        assert_int_equal(claims.kind, PANG_PRINCIPAL_SERVICE_USER);
        assert_true(claims.is_admin);
        assert_in_range(out.expires_in, 3598, 3600);
        assert_string_equal(out.token_type, "bearer");
        assert_string_equal(out.issued_token_type, ACCESS);
        assert_string_equal(out.refresh_token, "");
        assert_string_equal(out.scope, "");
        assert_string_equal(out.cache_control, "no-store");
    }
    request in = with_client(made->id, made->api_key);
    in.scope = text("PRINCIPAL_ROLE:ALL");
    assert_int_equal(issue(fx, &in, &out), PANG_OK);
    assert_string_equal(out.scope, "catalog");
    in = with_client("", "");
    in.client_authorization = basic(fx, made->id, made->api_key);
    assert_int_equal(issue(fx, &in, &out), PANG_OK);
}

static void test_svc_oauth__a_user_signs_in_as_a_client(void **state)
{
    fixture *fx = *state;
    response out;
    add_user(fx, "ann");
    add_user(fx, "o%2Fb");
    request in = with_client(TENANT "/ann", PASSWORD);
    assert_int_equal(issue(fx, &in, &out), PANG_OK);
    assert_true(pang_str_equal(claims_of(fx, out.access_token).username, PANG_STR("ann")));
    in = with_client("", "");
    in.client_authorization = basic(fx, TENANT "%2Fann", "correct%20horse");
    assert_int_equal(issue(fx, &in, &out), PANG_OK);
}

static void test_svc_oauth__who_is_no_client_gets_nothing(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreatedApiKey *made = add_service(fx, "etl", "tenant-user");
    Pangolin__V1__CreatedApiKey *other = add_service(fx, "other", "tenant-user");
    add_user(fx, "ann");
    char *forged = fx_text(fx, "%s", made->api_key);
    forged[30] = forged[30] == 'a' ? 'b' : 'a';
    const struct {
        const char *id, *secret;
    } cases[] = {
        {other->id, made->api_key},
        {made->id, forged},
        {key_id(fx, other->api_key), made->api_key},
        {"00000000-0000-0000-0000-000000000009", made->api_key},
        {made->id, "pgl_"},
        {made->id, PASSWORD},
        {"nonsense", "nonsense"},
        {TENANT "/ann", "wrong horse"},
        {TENANT "/nobody", PASSWORD},
        {"00000000-0000-0000-0000-000000000009/ann", PASSWORD},
        {"x/ann", PASSWORD},
        {"/ann", PASSWORD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request in = with_client(cases[i].id, cases[i].secret);
        expect(fx, &in, PANG_UNAUTHENTICATED, "invalid_client");
    }
    request in = with_client("", "");
    expect(fx, &in, PANG_UNAUTHENTICATED, "invalid_client");
    in.client_authorization = text("Basic ???");
    expect(fx, &in, PANG_UNAUTHENTICATED, "invalid_client");
}

static void test_svc_oauth__an_ended_key_or_service_user_gets_nothing(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreatedApiKey *made = add_service(fx, "etl", "tenant-user");
    Pangolin__V1__UpdateServiceUserRequest off = PANGOLIN__V1__UPDATE_SERVICE_USER_REQUEST__INIT;
    Pangolin__V1__UpdateServiceUserResponse done;
    request in = with_client(made->id, made->api_key);
    assert_int_equal(issue(fx, &in, NULL), PANG_OK);
    off.id = made->id;
    off._active_case = PANGOLIN__V1__UPDATE_SERVICE_USER_REQUEST___ACTIVE_ACTIVE;
    off.active = false;
    fx->scope = FX_SCOPE;
    assert_int_equal(fx_call(fx, "UpdateServiceUser", &off, &done), PANG_OK);
    expect(fx, &in, PANG_UNAUTHENTICATED, "invalid_client");
}

static void test_svc_oauth__a_request_that_is_none_is_told_by_the_rfc(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreatedApiKey *made = add_service(fx, "etl", "tenant-user");
    request in = with_client(made->id, made->api_key);
    in.client_authorization = basic(fx, made->id, made->api_key);
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_request");
    in = with_client(made->id, made->api_key);
    in.grant_type = text("");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_request");
    in.grant_type = text("implicit");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "unsupported_grant_type");
    in.grant_type = text("refresh_token");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
}

/* ---- passwords, refreshes ---- */

static void test_svc_oauth__a_password_gives_a_token_that_refreshes(void **state)
{
    fixture *fx = *state;
    response first, second;
    request in = PANGOLIN__V1__ISSUE_OAUTH_TOKEN_REQUEST__INIT;
    add_user(fx, "ann");
    in.grant_type = text("password");
    in.username = text(TENANT "/ann");
    in.password = text("wrong horse");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
    in.password = text(PASSWORD);
    assert_int_equal(issue(fx, &in, &first), PANG_OK);
    in = (request)PANGOLIN__V1__ISSUE_OAUTH_TOKEN_REQUEST__INIT;
    in.grant_type = text("refresh_token");
    in.refresh_token = first.refresh_token;
    assert_int_equal(issue(fx, &in, &second), PANG_OK);
    assert_string_not_equal(second.refresh_token, first.refresh_token);
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
    in.refresh_token = second.refresh_token;
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
}

/* ---- exchange ---- */

static request exchange_of(const char *token)
{
    request in = PANGOLIN__V1__ISSUE_OAUTH_TOKEN_REQUEST__INIT;
    in.grant_type = text(EXCHANGE);
    in.subject_token = text(token);
    in.subject_token_type = text(ACCESS);
    return in;
}

static void test_svc_oauth__an_exchanged_token_lives_no_longer(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreatedApiKey *made = add_service(fx, "etl", "tenant-user");
    response first, second;
    request in = with_client(made->id, made->api_key);
    assert_int_equal(issue(fx, &in, &first), PANG_OK);
    fx->ahead_ms += 30 * 60 * 1000;
    in = exchange_of(first.access_token);
    in.client_authorization = fx_text(fx, "Bearer %s", first.access_token);
    assert_int_equal(issue(fx, &in, &second), PANG_OK);
    assert_true(claims_of(fx, second.access_token).expires_s <=
                claims_of(fx, first.access_token).expires_s);
    /* A client that proves itself gets a whole one, also once the old one has expired. */
    fx->ahead_ms += 60 * 60 * 1000;
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
    in.client_authorization = basic(fx, made->id, made->api_key);
    assert_int_equal(issue(fx, &in, &second), PANG_OK);
    assert_in_range(second.expires_in, 3598, 3600);
}

static pang_code end_token(fixture *fx, const pang_principal *whose, const pang_claims *claims)
{
    pang_txn *txn = fx_begin(fx);
    pang_call call = {.server = &fx->server, .who = &fx->who, .txn = txn, .arena = fx->arena};
    pang_code code = pang_session_end(&call, whose, claims->jti, claims->expires_s * 1000, "",
                                      &fx->err);
    return code == PANG_OK ? pang_txn_commit(txn, &fx->err) : code;
}

/* A long token, a short copy that is ended, and the long one when the copy would have expired. */
static void test_svc_oauth__what_a_copy_ends_stays_ended(void **state)
{
    const int64_t day_ms = 24 * 60 * 60 * 1000;
    fixture *fx = *state;
    Pangolin__V1__CreatedApiKey *made = add_service(fx, "etl", "tenant-user");
    pang_session_wish wish = {.life_ms = 300 * day_ms, .is_listed = true};
    pang_principal whose = {.name = PANG_STR("etl"), .kind = PANG_PRINCIPAL_SERVICE_USER};
    pang_session session;
    response copy;
    assert_true(pang_id_parse(pang_str_from(made->id), &whose.id));
    pang_txn *txn = fx_begin(fx);
    pang_call call = {.server = &fx->server, .who = &fx->who, .txn = txn, .arena = fx->arena};
    assert_int_equal(pang_session_open(&call, &whose, &wish, &session, &fx->err), PANG_OK);
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
    request in = exchange_of(fx_text(fx, "%.*s", (int)session.access.len, session.access.ptr));
    assert_int_equal(issue(fx, &in, &copy), PANG_OK);
    pang_claims claims = claims_of(fx, copy.access_token);
    assert_true(pang_id_equal(claims.jti, session.jti));
    assert_int_equal(end_token(fx, &whose, &claims), PANG_OK);
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
    fx->ahead_ms += 10 * day_ms;
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
}

static void test_svc_oauth__what_is_no_token_of_ours_is_not_exchanged(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreatedApiKey *made = add_service(fx, "etl", "tenant-user");
    response first;
    request in = with_client(made->id, made->api_key);
    assert_int_equal(issue(fx, &in, &first), PANG_OK);
    in = exchange_of("");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_request");
    in = exchange_of("a.b.c");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
    in = exchange_of(first.access_token);
    in.actor_token = text("x");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_request");
    in = exchange_of(first.access_token);
    in.subject_token_type = text("urn:ietf:params:oauth:token-type:saml2");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_request");
    in = exchange_of(first.access_token);
    in.requested_token_type = text("urn:ietf:params:oauth:token-type:id_token");
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_request");
    pang_claims claims = claims_of(fx, first.access_token);
    pang_principal whose = {.id = claims.subject, .kind = PANG_PRINCIPAL_SERVICE_USER};
    pang_txn *txn = fx_begin(fx);
    pang_call call = {.server = &fx->server, .who = &fx->who, .txn = txn, .arena = fx->arena};
    assert_int_equal(pang_session_end(&call, &whose, claims.jti, 0, "", &fx->err), PANG_OK);
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
    in = exchange_of(first.access_token);
    expect(fx, &in, PANG_INVALID_ARGUMENT, "invalid_grant");
}

static void test_svc_oauth__keys_are_published(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetJwksRequest in = PANGOLIN__V1__GET_JWKS_REQUEST__INIT;
    Pangolin__V1__GetJwksResponse out;
    assert_int_equal(fx_call(fx, "GetJwks", &in, &out), PANG_OK);
    pang_str keys = pang_str_of(out.keys);
    assert_true(pang_str_starts(keys, PANG_STR("[{")) && pang_str_ends(keys, PANG_STR("}]")));
    assert_non_null(memmem(keys.ptr, keys.len, "\"kid\"", 5));
    assert_null(memmem(keys.ptr, keys.len, "\"d\"", 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_svc_oauth__a_service_user_signs_in_with_its_key),
        TEST(test_svc_oauth__a_user_signs_in_as_a_client),
        TEST(test_svc_oauth__who_is_no_client_gets_nothing),
        TEST(test_svc_oauth__an_ended_key_or_service_user_gets_nothing),
        TEST(test_svc_oauth__a_request_that_is_none_is_told_by_the_rfc),
        TEST(test_svc_oauth__a_password_gives_a_token_that_refreshes),
        TEST(test_svc_oauth__an_exchanged_token_lives_no_longer),
        TEST(test_svc_oauth__what_a_copy_ends_stays_ended),
        TEST(test_svc_oauth__what_is_no_token_of_ours_is_not_exchanged),
        TEST(test_svc_oauth__keys_are_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
