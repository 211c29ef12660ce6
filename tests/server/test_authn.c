/*
 * server/authn.h: which credential counts, what is refused, what is remembered and for how long,
 * and what ends root's calls at once.
 */
#include "tests/storage/db_fixture.h"

#include <string.h>

#include "api/base64.h"
#include "api/keys_identity.h"
#include "api/keys_secrets.h"
#include "server/api_key.h"
#include "server/authn.h"
#include "server/records.h"
#include "server/remember.h"

#define KEY_A "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define ROOT_PASSWORD "not a placeholder 7"
#define TENANT "01890a5d-ac96-774b-bcce-b302099a8059"
#define OTHER "01890a5d-ac96-774b-bcce-b302099a805a"
#define TENANT_HEX "01890a5dac96774bbcceb302099a8059"

typedef Pangolin__Store__V1__ServiceUser service_user;
typedef Pangolin__Store__V1__User user_record;
typedef Pangolin__Store__V1__Tenant tenant_record;

typedef struct {
    rig r;
    pang_env_fixed clock;
    pang_env env;
    pang_sealer *sealer;
    pang_keyring *ring;
    pang_authn *authn;
    service_user owner;
    const pang_principal *who; /* of the last call */
    pang_err err;
} world;

static pang_code open_authn(world *w, const char *user, const char *password,
                            pang_authn_foreign_fn *foreign, pang_authn **ret)
{
    pang_authn_config config = {.env = &w->env,
                                .db = w->r.own,
                                .keyring = w->ring,
                                .root_user = pang_str_from(user),
                                .root_password = pang_str_from(password),
                                .foreign = foreign,
                                .foreign_arg = w};
    return pang_authn_open(&config, ret, &w->err);
}

static int setup(void **state)
{
    static world w;
    memset(&w, 0, sizeof w);
    rig_open(&w.r, NULL);
    w.clock = (pang_env_fixed){.wall_ms = INT64_C(1700000000000),
                               .mono_ms = pang_env_mono_ms(&pang_env_system),
                               .seed = 1};
    w.env = pang_env_from_fixed(&w.clock);
    assert_int_equal(pang_sealer_open(PANG_STR(KEY_A), "the test", &w.sealer, &w.err), PANG_OK);
    pang_keyring_config config = {.env = &w.env, .db = w.r.own, .sealer = w.sealer};
    assert_int_equal(pang_keyring_open(&config, &w.ring, &w.err), PANG_OK);
    assert_int_equal(open_authn(&w, "root", ROOT_PASSWORD, NULL, &w.authn), PANG_OK);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pang_authn_close(w->authn);
    pang_keyring_close(w->ring);
    pang_sealer_close(w->sealer);
    rig_close(&w->r);
    return 0;
}

static pang_code identify(world *w, pang_str authorization, pang_str key, const char *tenant)
{
    pang_request request = {.authorization = authorization,
                            .api_key = key,
                            .tenant = pang_str_from(tenant),
                            .deadline_ms = PANG_NO_DEADLINE};
    w->who = NULL;
    return pang_authn_identify(w->authn, false, &request, w->r.arena, &w->who, &w->err);
}

static pang_code by_header(world *w, pang_str authorization)
{
    return identify(w, authorization, (pang_str){0}, NULL);
}

static pang_id id_of(const char *text)
{
    pang_id id;
    assert_true(pang_id_parse(pang_str_from(text), &id));
    return id;
}

static pang_str token_of(world *w, pang_principal_kind kind)
{
    pang_claims claims = {.username = PANG_STR("ann"),
                          .kind = kind,
                          .epoch = 3,
                          .issued_s = w->clock.wall_ms / 1000,
                          .expires_s = w->clock.wall_ms / 1000 + 3600};
    pang_str token = {0};
    memset(claims.subject.bytes, 0x11, 16);
    memset(claims.jti.bytes, 0x22, 16);
    if (kind != PANG_PRINCIPAL_ROOT)
        claims.tenant = id_of(TENANT);
    assert_int_equal(pang_keyring_sign(w->ring, &claims, w->r.arena, &token, &w->err), PANG_OK);
    return pang_arena_printf(w->r.arena, "Bearer %s", token.ptr);
}

static pang_str basic(world *w, const char *pair)
{
    return pang_arena_printf(w->r.arena, "Basic %s",
                             pang_base64_encode(pang_str_from(pair), PANG_BASE64, w->r.arena).ptr);
}

static void put_service_user(world *w, Pangolin__Store__V1__Rank rank)
{
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    pang_id id = id_of(OTHER);
    pang_keys keys = {.arena = w->r.arena, .scope = PANG_STR(TENANT_HEX)};
    w->owner.id = pang_bytes_of_id(&id);
    w->owner.name = (char *)(uintptr_t) "loader";
    w->owner.rank = rank;
    pang_txn_put(txn, PANG_KIND_SERVICE_USER, pang_key_service_user(&keys, id),
                 pang_record_pack(&w->owner.base, w->r.arena));
    assert_int_equal(rig_commit(txn), PANG_OK);
}

static pang_str issue_key(world *w)
{
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    pang_api_key_owner whose = {.tenant = id_of(TENANT), .service_user = id_of(OTHER)};
    pang_str text = {0};
    pangolin__store__v1__service_user__init(&w->owner);
    assert_int_equal(
        pang_api_key_issue(txn, w->ring, &w->env, &whose, 0, &w->owner, w->r.arena, &text, &w->err),
        PANG_OK);
    assert_int_equal(rig_commit(txn), PANG_OK);
    put_service_user(w, PANGOLIN__STORE__V1__RANK__RANK_TENANT_USER);
    return text;
}

/* ---- which credential ---- */

static void test_identify__what_is_none(void **state)
{
    world *w = *state;
    const pang_str bad[] = {
        PANG_STR(""),
        PANG_STR(" "),
        PANG_STR("Bearer"),
        PANG_STR("Bearer "),
        PANG_STR("Bearer None"),
        PANG_STR("Bearer null"),
        PANG_STR("Bearer a.b.c"),
        PANG_STR("Token x"),
        PANG_STR("Bearerx y"),
        PANG_STR("Digest username=\"root\""),
        PANG_STR("Basic"),
        PANG_STR("Basic !"),
        PANG_STR("Basic cm9vdA=="),
        basic(w, ":"),
        basic(w, "root:"),
        basic(w, "root"),
        basic(w, ":" ROOT_PASSWORD),
        basic(w, "Root:" ROOT_PASSWORD),
        basic(w, "root:" ROOT_PASSWORD "x"),
        basic(w, "root:x" ROOT_PASSWORD),
        basic(w, "root: " ROOT_PASSWORD),
        pang_str_after(token_of(w, PANG_PRINCIPAL_TENANT_USER), 7), /* without its scheme */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(by_header(w, bad[i]), PANG_UNAUTHENTICATED);
        assert_string_equal(w->err.reason, "NotAuthorizedException");
        assert_null(w->who);
    }
}

static void test_identify__the_modes(void **state)
{
    world *w = *state;
    pang_request request = {.authorization = PANG_STR("Bearer None")};
    assert_int_equal(pang_authn_identify(NULL, false, &request, w->r.arena, &w->who, &w->err),
                     PANG_OK);
    assert_true(w->who->is_known && pang_id_is_nil(w->who->tenant));
    assert_int_equal(pang_authn_identify(w->authn, true, &request, w->r.arena, &w->who, &w->err),
                     PANG_OK);
    assert_false(w->who->is_known);
    assert_int_equal(w->who->kind, PANG_PRINCIPAL_NONE);
    assert_int_equal(pang_authn_check_mode(false, NULL, &w->err), PANG_FAILED_PRECONDITION);
    assert_int_equal(pang_authn_check_mode(false, w->authn, &w->err), PANG_OK);
    assert_int_equal(pang_authn_check_mode(true, NULL, &w->err), PANG_OK);
}

static void test_identify__root_by_basic(void **state)
{
    world *w = *state;
    pang_authn *none = NULL;
    assert_int_equal(by_header(w, basic(w, "root:" ROOT_PASSWORD)), PANG_OK);
    assert_int_equal(w->who->kind, PANG_PRINCIPAL_ROOT);
    assert_int_equal(w->who->credential, PANG_CREDENTIAL_BASIC);
    assert_true(pang_id_is_nil(w->who->id) && pang_id_is_nil(w->who->tenant));
    assert_int_equal(by_header(w, pang_arena_printf(w->r.arena, "bASIC   %s ",
                                                    basic(w, "root:" ROOT_PASSWORD).ptr + 6)),
                     PANG_OK);
    /* Where none is configured, nothing is taken: not even nothing. */
    assert_int_equal(open_authn(w, "", "", NULL, &none), PANG_OK);
    pang_authn_close(w->authn);
    w->authn = none;
    assert_int_equal(by_header(w, basic(w, ":")), PANG_UNAUTHENTICATED);
    assert_int_equal(by_header(w, basic(w, "root:" ROOT_PASSWORD)), PANG_UNAUTHENTICATED);
}

static void test_open__root_passwords_that_are_none(void **state)
{
    static const char *bad[][2] = {
        {"root", ""},          {"", ROOT_PASSWORD},     {"root", "short"},
        {"root", "changeme"},  {"root", "Password123"}, {"administrator", "Administrator"},
        {"a:b", ROOT_PASSWORD}};
    world *w = *state;
    pang_authn *made = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(open_authn(w, bad[i][0], bad[i][1], NULL, &made), PANG_INVALID_ARGUMENT);
        assert_non_null(strstr(w->err.message, "PANGOLIN_ROOT_"));
    }
    assert_null(made);
}

static void test_identify__tokens(void **state)
{
    world *w = *state;
    pang_str token = token_of(w, PANG_PRINCIPAL_TENANT_ADMIN);
    for (int i = 0; i < 2; i++) { /* anew, and by memory */
        assert_int_equal(by_header(w, token), PANG_OK);
        assert_int_equal(w->who->kind, PANG_PRINCIPAL_TENANT_ADMIN);
        assert_true(w->who->is_admin && w->who->is_known && !w->who->acts_for_root);
        assert_true(pang_id_equal(w->who->tenant, id_of(TENANT)));
        assert_true(pang_str_equal(w->who->name, PANG_STR("ann")));
        assert_int_equal(w->who->token_epoch, 3);
        assert_int_equal(w->who->jti.bytes[0], 0x22);
        assert_int_equal(w->who->expires_ms, w->clock.wall_ms + (3600 + 60) * 1000);
    }
    w->clock.wall_ms += (3600 + 59) * 1000;
    assert_int_equal(by_header(w, token), PANG_OK);
    w->clock.wall_ms += 1000;
    assert_int_equal(by_header(w, token), PANG_UNAUTHENTICATED);
    assert_string_equal(w->err.message, "the token has expired");
}

static void test_identify__a_key_that_got_out_ends_what_is_remembered(void **state)
{
    world *w = *state;
    pang_str token = token_of(w, PANG_PRINCIPAL_TENANT_USER);
    assert_int_equal(by_header(w, token), PANG_OK);
    assert_int_equal(pang_keyring_rotate(w->ring, false, &w->err), PANG_OK);
    assert_int_equal(by_header(w, token), PANG_OK);
    assert_int_equal(pang_keyring_rotate(w->ring, true, &w->err), PANG_OK);
    assert_int_equal(by_header(w, token), PANG_UNAUTHENTICATED);
}

static void test_identify__api_keys(void **state)
{
    world *w = *state;
    pang_str key = issue_key(w), token = token_of(w, PANG_PRINCIPAL_TENANT_USER);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(identify(w, token, key, NULL), PANG_OK); /* the key comes first */
        assert_int_equal(w->who->kind, PANG_PRINCIPAL_SERVICE_USER);
        assert_int_equal(w->who->credential, PANG_CREDENTIAL_API_KEY);
        assert_true(pang_id_equal(w->who->id, id_of(OTHER)));
        assert_true(pang_id_equal(w->who->tenant, id_of(TENANT)));
        assert_string_equal(pang_arena_cstr(w->r.arena, w->who->name), "loader");
        assert_string_equal(pang_arena_cstr(w->r.arena, w->who->key_id), w->owner.keys[0]);
        assert_false(w->who->is_admin);
    }
    /* A bad key is not made good by a token beside it. */
    assert_int_equal(identify(w, token, PANG_STR("pgl_x"), NULL), PANG_UNAUTHENTICATED);
    put_service_user(w, PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN);
    w->clock.wall_ms += PANG_AUTHN_KEY_LIFE_MS;
    assert_int_equal(identify(w, token, key, NULL), PANG_OK);
    assert_true(w->who->is_admin);
    rig_delete(&w->r, w->r.own, TENANT_HEX "/su/01890a5dac96774bbcceb302099a805a");
    w->clock.wall_ms += PANG_AUTHN_KEY_LIFE_MS;
    assert_int_equal(identify(w, token, key, NULL), PANG_UNAUTHENTICATED);
}

static void test_identify__the_tenant_header(void **state)
{
    world *w = *state;
    pang_str token = token_of(w, PANG_PRINCIPAL_TENANT_ADMIN),
             root = token_of(w, PANG_PRINCIPAL_ROOT), none = {0};
    assert_int_equal(identify(w, token, none, TENANT), PANG_OK);
    assert_int_equal(identify(w, token, none, TENANT_HEX), PANG_OK);
    assert_int_equal(identify(w, token, none, OTHER), PANG_PERMISSION_DENIED);
    assert_int_equal(identify(w, token, none, "00000000-0000-0000-0000-000000000000"),
                     PANG_PERMISSION_DENIED);
    assert_int_equal(identify(w, token, none, "acme"), PANG_INVALID_ARGUMENT);
    assert_int_equal(identify(w, root, none, OTHER), PANG_OK);
    assert_true(w->who->acts_for_root && pang_id_equal(w->who->tenant, id_of(OTHER)));
    assert_int_equal(identify(w, root, none, NULL), PANG_OK);
    assert_true(!w->who->acts_for_root && pang_id_is_nil(w->who->tenant)); /* nothing sticks */
    assert_int_equal(identify(w, basic(w, "root:" ROOT_PASSWORD), none, OTHER), PANG_OK);
    assert_true(w->who->acts_for_root);
    assert_int_equal(identify(w, PANG_STR("Bearer x"), none, OTHER), PANG_UNAUTHENTICATED);
}

/* ---- other issuers ---- */

static pang_code foreign(void *arg, pang_str token, pang_arena *arena, pang_principal *ret,
                         pang_err *err)
{
    (void)arg;
    (void)arena;
    if (pang_str_equal(token, PANG_STR("theirs"))) {
        *ret = (pang_principal){.name = PANG_STR("bob"),
                                .is_known = true,
                                .kind = PANG_PRINCIPAL_TENANT_USER,
                                .credential = PANG_CREDENTIAL_TOKEN};
        return PANG_OK;
    }
    if (pang_str_equal(token, PANG_STR("later")))
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "the issuer does not answer");
    return pang_fail(err, PANG_NOT_FOUND, NULL, "not one of theirs");
}

static void test_identify__other_issuers(void **state)
{
    world *w = *state;
    pang_authn_close(w->authn);
    w->authn = NULL;
    assert_int_equal(open_authn(w, "", "", foreign, &w->authn), PANG_OK);
    assert_int_equal(by_header(w, PANG_STR("Bearer theirs")), PANG_OK);
    assert_true(pang_str_equal(w->who->name, PANG_STR("bob")));
    assert_int_equal(by_header(w, PANG_STR("Bearer later")), PANG_UNAVAILABLE);
    assert_int_equal(by_header(w, PANG_STR("Bearer none")), PANG_UNAUTHENTICATED);
    assert_int_equal(by_header(w, token_of(w, PANG_PRINCIPAL_ROOT)), PANG_OK);
}

/* ---- root, confirmed ---- */

static pang_code confirm(world *w)
{
    pang_call call = {.who = w->who, .arena = w->r.arena, .txn = rig_begin(&w->r, w->r.own)};
    return pang_authn_confirm(w->authn, &call, &w->err);
}

static void put_root(world *w, uint64_t epoch, bool inactive)
{
    user_record body = PANGOLIN__STORE__V1__USER__INIT;
    pang_keys keys = {.arena = w->r.arena, .scope = PANG_SYSTEM_SCOPE};
    pang_id id;
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    memset(id.bytes, 0x11, 16);
    body.rank = PANGOLIN__STORE__V1__RANK__RANK_ROOT;
    body.token_epoch = epoch;
    body.inactive = inactive;
    pang_txn_put(txn, PANG_KIND_USER, pang_key_user(&keys, id),
                 pang_record_pack(&body.base, w->r.arena));
    assert_int_equal(rig_commit(txn), PANG_OK);
}

static void put_tenant(world *w, bool deleting)
{
    tenant_record body = PANGOLIN__STORE__V1__TENANT__INIT;
    pang_keys keys = {.arena = w->r.arena, .scope = PANG_SYSTEM_SCOPE};
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    body.deleting = deleting;
    pang_txn_put(txn, PANG_KIND_TENANT, pang_key_tenant(&keys, id_of(OTHER)),
                 pang_record_pack(&body.base, w->r.arena));
    assert_int_equal(rig_commit(txn), PANG_OK);
}

static void test_confirm__roots_account_and_token(void **state)
{
    world *w = *state;
    assert_int_equal(by_header(w, token_of(w, PANG_PRINCIPAL_ROOT)), PANG_OK);
    assert_int_equal(confirm(w), PANG_UNAUTHENTICATED); /* no such account */
    put_root(w, 3, false);
    assert_int_equal(confirm(w), PANG_OK);
    put_root(w, 4, false);
    assert_int_equal(confirm(w), PANG_UNAUTHENTICATED);
    put_root(w, 3, true);
    assert_int_equal(confirm(w), PANG_UNAUTHENTICATED);
    put_root(w, 3, false);
    rig_put(&w->r, w->r.own, "~system/rt/22222222222222222222222222222222", "");
    assert_int_equal(confirm(w), PANG_UNAUTHENTICATED);
    assert_int_equal(by_header(w, basic(w, "root:" ROOT_PASSWORD)), PANG_OK);
    assert_int_equal(confirm(w), PANG_OK);
}

static void test_confirm__the_tenant_that_root_acts_in(void **state)
{
    world *w = *state;
    assert_int_equal(identify(w, basic(w, "root:" ROOT_PASSWORD), (pang_str){0}, OTHER), PANG_OK);
    assert_int_equal(confirm(w), PANG_NOT_FOUND);
    put_tenant(w, false);
    assert_int_equal(confirm(w), PANG_OK);
    put_tenant(w, true);
    assert_int_equal(confirm(w), PANG_NOT_FOUND);
    put_tenant(w, false);
    put_root(w, 3, false);
    assert_int_equal(identify(w, token_of(w, PANG_PRINCIPAL_ROOT), (pang_str){0}, OTHER), PANG_OK);
    assert_int_equal(confirm(w), PANG_OK);
}

/* ---- what is remembered ---- */

static void test_remember__is_bounded_and_ends(void **state)
{
    enum { MANY = 5000 };
    world *w = *state;
    pang_remember *r = pang_remember_new(64);
    pang_principal who = {.name = PANG_STR("ann"), .key_id = PANG_STR("abcdefghijkl")}, got;
    uint8_t digest[PANG_HASH_BYTES];
    size_t found = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        pang_str part = {(const char *)&i, sizeof i};
        assert_int_equal(pang_hash(&part, 1, digest, &w->err), PANG_OK);
        pang_remember_keep(r, digest, 1, 1000, &who);
        assert_true(pang_remember_find(r, digest, 1, 999, w->r.arena, &got));
        assert_true(pang_str_equal(got.name, who.name) && pang_str_equal(got.key_id, who.key_id));
        assert_false(pang_remember_find(r, digest, 1, 1000, w->r.arena, &got));
        assert_false(pang_remember_find(r, digest, 2, 999, w->r.arena, &got));
    }
    for (uint64_t i = 0; i < MANY; i++) {
        pang_str part = {(const char *)&i, sizeof i};
        assert_int_equal(pang_hash(&part, 1, digest, &w->err), PANG_OK);
        found += pang_remember_find(r, digest, 1, 999, w->r.arena, &got);
    }
    assert_int_equal(found, 64);
    char large[PANG_REMEMBER_NAME_MAX + 1];
    memset(large, 'n', sizeof large);
    who.name = (pang_str){large, sizeof large};
    memset(digest, 1, sizeof digest);
    pang_remember_keep(r, digest, 1, 1000, &who);
    assert_false(pang_remember_find(r, digest, 1, 999, w->r.arena, &got));
    pang_remember_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_identify__what_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identify__the_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identify__root_by_basic, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open__root_passwords_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identify__tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identify__a_key_that_got_out_ends_what_is_remembered,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_identify__api_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identify__the_tenant_header, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identify__other_issuers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_confirm__roots_account_and_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_confirm__the_tenant_that_root_acts_in, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_remember__is_bounded_and_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
