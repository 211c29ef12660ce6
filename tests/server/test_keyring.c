/*
 * server/keyring.h on two servers of one store: one keyring for both, rotation without a refused
 * token, sealing keys that change, and what a wrong key says.
 */
#include "tests/storage/db_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/json.h"
#include "api/keys_secrets.h"
#include "server/keyring.h"

#define KEY_A "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_B "b://79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="
#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

typedef struct {
    rig r;
    pang_env_fixed clock_a, clock_b;
    pang_env env_a, env_b;
    pang_sealer *sealer;
    pang_keyring *a, *b;
    pang_err err;
} world;

static pang_sealer *open_sealer(const char *keys)
{
    pang_sealer *sealer = NULL;
    pang_err err;
    assert_int_equal(pang_sealer_open(pang_str_from(keys), "the test", &sealer, &err), PANG_OK);
    return sealer;
}

static pang_code open_on(world *w, pang_db *db, const pang_env *env, const pang_sealer *sealer,
                         pang_keyring **ret)
{
    pang_keyring_config config = {.env = env, .db = db, .sealer = sealer};
    return pang_keyring_open(&config, ret, &w->err);
}

static int setup(void **state)
{
    static world w;
    memset(&w, 0, sizeof w);
    int64_t mono = pang_env_mono_ms(&pang_env_system); /* deadlines are on the store's clock */
    rig_open(&w.r, NULL);
    w.clock_a = (pang_env_fixed){.wall_ms = INT64_C(1700000000000), .mono_ms = mono, .seed = 1};
    w.clock_b = (pang_env_fixed){.wall_ms = INT64_C(1700000000000), .mono_ms = mono, .seed = 2};
    w.env_a = pang_env_from_fixed(&w.clock_a);
    w.env_b = pang_env_from_fixed(&w.clock_b);
    w.sealer = open_sealer(KEY_A);
    assert_int_equal(open_on(&w, w.r.a, &w.env_a, w.sealer, &w.a), PANG_OK);
    assert_int_equal(open_on(&w, w.r.b, &w.env_b, w.sealer, &w.b), PANG_OK);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pang_keyring_close(w->a);
    pang_keyring_close(w->b);
    pang_sealer_close(w->sealer);
    rig_close(&w->r);
    return 0;
}

static void pass(world *w, int64_t ms)
{
    w->clock_a.wall_ms += ms;
    w->clock_b.wall_ms += ms;
    pang_arena_reset(w->r.arena);
}

static pang_str sign(world *w, pang_keyring *k, int64_t life_s)
{
    pang_claims claims = {.username = PANG_STR("ann"), .kind = PANG_PRINCIPAL_TENANT_USER};
    pang_str token = {0};
    claims.issued_s = w->clock_a.wall_ms / 1000;
    claims.expires_s = claims.issued_s + life_s;
    memset(claims.tenant.bytes, 7, sizeof claims.tenant.bytes);
    assert_int_equal(pang_keyring_sign(k, &claims, w->r.arena, &token, &w->err), PANG_OK);
    return token;
}

static pang_code read_token(world *w, pang_keyring *k, pang_str token)
{
    pang_claims claims;
    return pang_keyring_read(k, token, w->r.arena, &claims, &w->err);
}

static size_t count_public(world *w, pang_keyring *k)
{
    pang_str text;
    pang_json *json;
    assert_int_equal(pang_keyring_public(k, w->r.arena, &text, &w->err), PANG_OK);
    assert_int_equal(pang_json_parse(text, w->r.arena, &json, &w->err), PANG_OK);
    return pang_json_size(pang_json_get(json, "keys"));
}

/* The first part names the key. */
static pang_str header_of(pang_str token)
{
    return pang_str_slice(token, 0, pang_str_find(token, '.'));
}

static void test_keyring__is_one_for_all_servers(void **state)
{
    world *w = *state;
    uint8_t one[PANG_HASH_BYTES], two[PANG_HASH_BYTES];
    pang_str id = {0}, part = PANG_STR("secret");
    assert_int_equal(read_token(w, w->b, sign(w, w->a, 3600)), PANG_OK);
    assert_int_equal(read_token(w, w->a, sign(w, w->b, 3600)), PANG_OK);
    assert_int_equal(count_public(w, w->a), 1);
    assert_int_equal(pang_keyring_mac(w->a, (pang_str){0}, PANG_STR("p"), &part, 1, w->r.arena, &id,
                                      one, &w->err),
                     PANG_OK);
    assert_int_equal(
        pang_keyring_mac(w->b, id, PANG_STR("p"), &part, 1, w->r.arena, NULL, two, &w->err),
        PANG_OK);
    assert_memory_equal(one, two, sizeof one);
    assert_int_equal(
        pang_keyring_mac(w->b, id, PANG_STR("q"), &part, 1, w->r.arena, NULL, two, &w->err),
        PANG_OK);
    assert_memory_not_equal(one, two, sizeof one);
    assert_int_equal(pang_keyring_mac(w->b, PANG_STR("none"), PANG_STR("p"), &part, 1, w->r.arena,
                                      NULL, two, &w->err),
                     PANG_FAILED_PRECONDITION);
}

static void test_rotate__refuses_no_token(void **state)
{
    world *w = *state;
    pang_str old = sign(w, w->a, 3600), fresh;
    assert_int_equal(pang_keyring_rotate(w->a, false, &w->err), PANG_OK);
    assert_int_equal(count_public(w, w->a), 2);
    /* The other server does not know it yet, so it does not sign yet. */
    fresh = sign(w, w->a, 3600);
    assert_true(pang_str_equal(header_of(fresh), header_of(old)));
    assert_int_equal(read_token(w, w->b, fresh), PANG_OK);
    char *kept = strdup(fresh.ptr), *kept_old = strdup(old.ptr);
    pass(w, PANG_KEYRING_DELAY_MS);
    assert_int_equal(pang_keyring_work(w->b, &w->err), PANG_OK);
    fresh = sign(w, w->a, 3600);
    assert_false(pang_str_equal(header_of(fresh), header_of(pang_str_from(kept))));
    assert_int_equal(read_token(w, w->b, fresh), PANG_OK);
    assert_int_equal(read_token(w, w->b, pang_str_from(kept)), PANG_OK);
    assert_int_equal(read_token(w, w->a, pang_str_from(kept_old)), PANG_OK);
    free(kept);
    free(kept_old);
}

static void test_rotate__the_old_key_lasts_as_long_as_its_tokens(void **state)
{
    world *w = *state;
    assert_int_equal(pang_keyring_rotate(w->a, false, &w->err), PANG_OK);
    pass(w, PANG_KEYRING_DELAY_MS - 1000);
    char *last = strdup(sign(w, w->a, PANG_TOKEN_LIFE_MAX_S).ptr); /* the old one's last */
    pass(w, (int64_t)PANG_TOKEN_LIFE_MAX_S * 1000);
    assert_int_equal(read_token(w, w->a, pang_str_from(last)), PANG_OK);
    assert_int_equal(count_public(w, w->a), 2);
    pass(w, 62 * 1000);
    assert_int_equal(read_token(w, w->a, pang_str_from(last)), PANG_UNAUTHENTICATED);
    assert_int_equal(count_public(w, w->a), 1);
    assert_int_equal(pang_keyring_rotate(w->a, false, &w->err), PANG_OK);
    assert_int_equal(count_public(w, w->a), 2); /* the ended one is gone from the record, too */
    free(last);
}

static void test_rotate__at_once_ends_all_tokens(void **state)
{
    world *w = *state;
    pang_str old = sign(w, w->a, 3600);
    uint64_t before = pang_keyring_generation(w->b);
    assert_int_equal(pang_keyring_rotate(w->a, false, &w->err), PANG_OK);
    assert_int_equal(pang_keyring_refresh(w->b, &w->err), PANG_OK);
    assert_int_equal(pang_keyring_generation(w->b), before); /* a key more takes none away */
    assert_int_equal(pang_keyring_rotate(w->a, true, &w->err), PANG_OK);
    assert_int_equal(read_token(w, w->a, old), PANG_UNAUTHENTICATED);
    assert_int_equal(read_token(w, w->b, old), PANG_OK); /* until it looks */
    assert_int_equal(pang_keyring_refresh(w->b, &w->err), PANG_OK);
    assert_int_equal(read_token(w, w->b, old), PANG_UNAUTHENTICATED);
    assert_int_not_equal(pang_keyring_generation(w->b), before);
    assert_int_equal(read_token(w, w->b, sign(w, w->a, 3600)), PANG_OK);
}

static void test_work__one_server_rotates_in_time(void **state)
{
    world *w = *state;
    assert_int_equal(pang_keyring_work(w->a, &w->err), PANG_OK);
    assert_int_equal(count_public(w, w->a), 1);
    pass(w, PANG_KEYRING_LIFE_MS + 1);
    assert_int_equal(pang_keyring_work(w->a, &w->err), PANG_OK);
    assert_int_equal(pang_keyring_work(w->b, &w->err), PANG_OK);
    assert_int_equal(pang_keyring_refresh(w->a, &w->err), PANG_OK);
    assert_int_equal(count_public(w, w->a), 2);
    assert_int_equal(count_public(w, w->b), 2);
}

static void test_rotate__is_bounded(void **state)
{
    world *w = *state;
    pang_code code = PANG_OK;
    for (int i = 0; code == PANG_OK && i < 2 * PANG_KEYRING_KEYS_MAX; i++)
        code = pang_keyring_rotate(w->a, false, &w->err);
    assert_int_equal(code, PANG_RESOURCE_EXHAUSTED);
    assert_int_equal(count_public(w, w->a), PANG_KEYRING_KEYS_MAX);
    assert_int_equal(read_token(w, w->a, sign(w, w->a, 3600)), PANG_OK);
    /* Years later there is room again: 13 keys have tokens at any time. */
    pass(w, 400 * DAY_MS);
    for (int month = 0; month < 40; month++) {
        assert_int_equal(pang_keyring_work(w->a, &w->err), PANG_OK);
        pass(w, PANG_KEYRING_LIFE_MS + 1);
    }
    assert_true(count_public(w, w->a) < 16);
}

static void test_sealer__changes_online(void **state)
{
    world *w = *state;
    pang_sealer *both = open_sealer(KEY_B "," KEY_A), *fresh = open_sealer(KEY_B);
    pang_keyring *k = NULL, *late = NULL;
    pang_str token = sign(w, w->a, 3600);
    assert_int_equal(open_on(w, w->r.a, &w->env_a, fresh, &late), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(w->err.message, "\"a\""));
    assert_int_equal(open_on(w, w->r.a, &w->env_a, both, &k), PANG_OK);
    assert_int_equal(pang_keyring_reseal(k, &w->err), PANG_OK);
    assert_int_equal(read_token(w, k, token), PANG_OK);
    assert_int_equal(open_on(w, w->r.b, &w->env_b, fresh, &late), PANG_OK);
    assert_int_equal(read_token(w, late, token), PANG_OK);
    /* The first server has the old key only: it goes on with what it knows, and says so. */
    assert_int_equal(pang_keyring_refresh(w->a, &w->err), PANG_FAILED_PRECONDITION);
    assert_int_equal(read_token(w, w->a, token), PANG_OK);
    pang_keyring_close(k);
    pang_keyring_close(late);
    pang_sealer_close(both);
    pang_sealer_close(fresh);
}

static void test_open__wrong_key_and_damage(void **state)
{
    world *w = *state;
    pang_sealer *wrong = open_sealer("a://79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=");
    pang_keyring *k = NULL;
    assert_int_equal(open_on(w, w->r.a, &w->env_a, wrong, &k), PANG_DATA_LOSS);
    assert_non_null(strstr(w->err.message, "does not open"));
    pang_sealer_close(wrong);
    rig_put(&w->r, w->r.a, "~system/sy/keyring", "");
    assert_int_equal(open_on(w, w->r.a, &w->env_a, w->sealer, &k), PANG_DATA_LOSS);
    rig_put(&w->r, w->r.a, "~system/sy/keyring", "\x0a\x7f");
    assert_int_equal(open_on(w, w->r.a, &w->env_a, w->sealer, &k), PANG_DATA_LOSS);
    assert_int_equal(pang_keyring_refresh(w->a, &w->err), PANG_DATA_LOSS);
    assert_int_equal(read_token(w, w->a, sign(w, w->a, 60)), PANG_OK);
    assert_null(k);
}

static void test_open__shared_secret(void **state)
{
    world *w = *state;
    pang_keyring_config config = {
        .env = &w->env_a, .db = w->r.a, .sealer = w->sealer, .shared_secret = PANG_STR("secret")};
    pang_keyring *k = NULL;
    assert_int_equal(pang_keyring_open(&config, &k, &w->err), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(w->err.message, "PANGOLIN_JWT_SECRET"));
    config.shared_secret = PANG_STR("an honest secret of 32 bytes: 01");
    assert_int_equal(pang_keyring_open(&config, &k, &w->err), PANG_OK);
    pang_jws_key key = {.alg = PANG_ALG_HS256, .secret = config.shared_secret};
    pang_str token;
    pang_str payload = pang_arena_printf(
        w->r.arena,
        "{\"sub\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
        "\"jti\":\"01890a5d-ac96-774b-bcce-b302099a8058\",\"username\":\"u\",\"role\":\"root\","
        "\"tenant_id\":null,\"iat\":1700000000,\"exp\":1700000060}");
    assert_int_equal(pang_jws_sign(&key, payload, w->r.arena, &token, &w->err), PANG_OK);
    assert_int_equal(read_token(w, k, token), PANG_OK);
    assert_int_equal(read_token(w, w->a, token), PANG_UNAUTHENTICATED);
    assert_int_equal(count_public(w, k), 1);
    pang_keyring_close(k);
}

/* Nothing of the secrets lies in the store as it is. */
static void test_store__holds_no_plain_seed(void **state)
{
    world *w = *state;
    pang_record record = rig_peek(&w->r, "~system/sy/keyring");
    assert_int_equal(record.kind, PANG_KIND_KEYRING);
    pang_env_fixed again = {.seed = 1}; /* as the first server drew its ids and secrets */
    pang_env env = pang_env_from_fixed(&again);
    uint8_t drawn[512];
    size_t found = 0;
    pang_env_random(&env, drawn, sizeof drawn);
    for (size_t i = 0; i + 12 <= sizeof drawn; i++)
        found += memmem(record.body.ptr, record.body.len, &drawn[i], 12) != NULL;
    assert_int_equal(found,
                     2); /* the nonces of the two secrets, and nothing else of what was drawn */
    assert_true(record.body.len > 2 * 32 + 4 * 16);
}

static void test_file__is_not_made_again_over_sealed_secrets(void **state)
{
    world *w = *state;
    char folder[] = "/tmp/pang-keyring-XXXXXX", path[64];
    pang_sealer *sealer = NULL;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/encryption.key", folder);
    assert_int_equal(
        pang_keyring_sealer(w->r.a, &w->env_a, (pang_str){0}, path, true, &sealer, &w->err),
        PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(w->err.message, path));
    rig_delete(&w->r, w->r.a, "~system/sy/keyring");
    assert_int_equal(
        pang_keyring_sealer(w->r.a, &w->env_a, (pang_str){0}, path, false, &sealer, &w->err),
        PANG_NOT_FOUND);
    assert_int_equal(
        pang_keyring_sealer(w->r.a, &w->env_a, (pang_str){0}, path, true, &sealer, &w->err),
        PANG_OK);
    pang_sealer_close(sealer);
    assert_int_equal(
        pang_keyring_sealer(w->r.a, &w->env_a, PANG_STR(KEY_A), path, true, &sealer, &w->err),
        PANG_OK);
    assert_true(pang_str_equal(pang_sealer_id(sealer), PANG_STR("a")));
    pang_sealer_close(sealer);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keyring__is_one_for_all_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__refuses_no_token, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__the_old_key_lasts_as_long_as_its_tokens, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_rotate__at_once_ends_all_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(test_work__one_server_rotates_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rotate__is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sealer__changes_online, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open__wrong_key_and_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_open__shared_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store__holds_no_plain_seed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_file__is_not_made_again_over_sealed_secrets, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
