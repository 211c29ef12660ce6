/*
 * server/api_key.h: forms, right and wrong keys, two at a time, ends, and what a bogus one costs.
 */
#include "tests/storage/db_fixture.h"

#include <string.h>
#include <time.h>

#include "api/keys.h"
#include "server/api_key.h"
#include "server/records.h"

#define KEY_A "a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

typedef struct {
    rig r;
    pang_env_fixed clock;
    pang_env env;
    pang_sealer *sealer;
    pang_keyring *ring;
    Pangolin__Store__V1__ServiceUser owner;
    pang_api_key_owner whose;
    pang_err err;
} world;

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
    pangolin__store__v1__service_user__init(&w.owner);
    memset(w.whose.tenant.bytes, 1, 16);
    memset(w.whose.service_user.bytes, 2, 16);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pang_keyring_close(w->ring);
    pang_sealer_close(w->sealer);
    rig_close(&w->r);
    return 0;
}

static pang_str issue(world *w, unsigned keep)
{
    pang_str text = {0};
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    assert_int_equal(pang_api_key_issue(txn, w->ring, &w->env, &w->whose, keep, &w->owner,
                                        w->r.arena, &text, &w->err),
                     PANG_OK);
    assert_int_equal(rig_commit(txn), PANG_OK);
    return text;
}

static pang_code find(world *w, pang_str text)
{
    Pangolin__Store__V1__ApiKey *found = NULL;
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    pang_code code = pang_api_key_find(txn, w->ring, &w->env, text, w->r.arena, &found, &w->err);
    if (code != PANG_OK)
        return code;
    assert_true(pang_id_equal(pang_id_of(found->tenant), w->whose.tenant));
    assert_true(pang_id_equal(pang_id_of(found->service_user), w->whose.service_user));
    return PANG_OK;
}

static void test_key__is_found_by_its_whole_text(void **state)
{
    world *w = *state;
    pang_str text = issue(w, 1), id, secret;
    assert_int_equal(text.len, PANG_API_KEY_TEXT);
    assert_true(pang_api_key_parse(text, &id, &secret));
    assert_string_equal(w->owner.keys[0], pang_arena_cstr(w->r.arena, id));
    assert_int_equal(find(w, text), PANG_OK);
    char *changed = pang_arena_cstr(w->r.arena, text);
    for (size_t i = 0; i < text.len; i++) {
        char was = changed[i];
        changed[i] = was == 'x' ? 'y' : 'x';
        assert_int_equal(find(w, (pang_str){changed, text.len}), PANG_UNAUTHENTICATED);
        assert_string_equal(w->err.message, "the API key is not valid");
        changed[i] = was;
    }
    pang_str key = pang_arena_printf(w->r.arena, "~system/ak/%s", w->owner.keys[0]);
    pang_record record = rig_peek(&w->r, key.ptr);
    assert_true(record.body.len > PANG_HASH_BYTES);
    for (size_t i = 0; i + 4 <= secret.len; i++)
        assert_null(memmem(record.body.ptr, record.body.len, secret.ptr + i, 4));
}

static void test_key__forms_that_are_none(void **state)
{
    static const char *bad[] = {
        "",
        "pgl_",
        "pgl__",
        "pgl_abcdefghijkl",
        "pgl_abcdefghijkl_",
        "pgl_abcdefghijkl_0123456789012345678901234567890123456789012345",    /* 46 */
        "pgl_abcdefghijkl_012345678901234567890123456789012345678901234567x", /* 49 */
        "PGL_abcdefghijkl_012345678901234567890123456789012345678901234567",
        "pgl_abcdefghijk_0123456789012345678901234567890123456789012345678",
        "pgl_abcdefghij/l_012345678901234567890123456789012345678901234567",
        "pgl_abcdefghij%l_012345678901234567890123456789012345678901234567",
        "pgl_abcdefghijkl_01234567890123456789012345678901234567890123456\xff",
        "pgl_abcdefghijkl_01234567890123456789012345678901234567890123456 ",
        "pgl_0123456789012345678901234567890123456789012345678901234567890123", /* of old */
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(find(w, pang_str_from(bad[i])), PANG_UNAUTHENTICATED);
    assert_int_equal(find(w, (pang_str){"pgl_abcdefghijkl_01234567890123456789012345678901234567890"
                                        "123456\0",
                                        PANG_API_KEY_TEXT}),
                     PANG_UNAUTHENTICATED);
}

static void test_key__two_at_a_time(void **state)
{
    world *w = *state;
    pang_str one = issue(w, 1), two = issue(w, 1), three, four;
    assert_int_equal(w->owner.n_keys, 2);
    assert_int_equal(find(w, one), PANG_OK);
    assert_int_equal(find(w, two), PANG_OK);
    three = issue(w, 1);
    assert_int_equal(w->owner.n_keys, 2);
    assert_int_equal(find(w, one), PANG_UNAUTHENTICATED);
    assert_int_equal(find(w, two), PANG_OK);
    four = issue(w, 0);
    assert_int_equal(w->owner.n_keys, 1);
    assert_int_equal(find(w, two), PANG_UNAUTHENTICATED);
    assert_int_equal(find(w, three), PANG_UNAUTHENTICATED);
    assert_int_equal(find(w, four), PANG_OK);
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    assert_int_equal(pang_api_key_end_all(txn, &w->owner, w->r.arena, &w->err), PANG_OK);
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_int_equal(w->owner.n_keys, 0);
    assert_int_equal(find(w, four), PANG_UNAUTHENTICATED);
}

static void test_key__ends(void **state)
{
    world *w = *state;
    pang_str text, nothing;
    w->whose.expires_ms = w->clock.wall_ms + 1000;
    text = issue(w, 0);
    w->clock.wall_ms += 999;
    assert_int_equal(find(w, text), PANG_OK);
    w->clock.wall_ms += 1;
    assert_int_equal(find(w, text), PANG_UNAUTHENTICATED);
    pang_txn *txn = rig_begin(&w->r, w->r.own);
    assert_int_equal(pang_api_key_issue(txn, w->ring, &w->env, &w->whose, 0, &w->owner, w->r.arena,
                                        &nothing, &w->err),
                     PANG_INVALID_ARGUMENT);
    w->whose.expires_ms = 0;
    assert_int_equal(pang_api_key_issue(txn, w->ring, &w->env, &w->whose, 2, &w->owner, w->r.arena,
                                        &nothing, &w->err),
                     PANG_INVALID_ARGUMENT);
}

static int64_t cpu_ns(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* Of an unknown id, and of a known one with a wrong secret: cheap, and the same within reason. */
static void test_key__a_bogus_one_is_cheap(void **state)
{
    enum { ROUNDS = 2000 };
    world *w = *state;
    pang_str text = issue(w, 0);
    char *wrong = pang_arena_cstr(w->r.arena, text), *unknown = pang_arena_cstr(w->r.arena, text);
    int64_t took[2];
    wrong[text.len - 1] = wrong[text.len - 1] == 'x' ? 'y' : 'x';
    unknown[4] = unknown[4] == 'x' ? 'y' : 'x';
    for (int kind = 0; kind < 2; kind++) {
        pang_arena *arena = pang_arena_new(1 << 16);
        Pangolin__Store__V1__ApiKey *found;
        int64_t begun = cpu_ns();
        for (int i = 0; i < ROUNDS; i++) {
            pang_txn *txn = pang_txn_begin(w->r.own, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, arena);
            assert_int_equal(pang_api_key_find(txn, w->ring, &w->env,
                                               (pang_str){kind == 0 ? unknown : wrong, text.len},
                                               arena, &found, &w->err),
                             PANG_UNAUTHENTICATED);
            pang_arena_reset(arena);
        }
        took[kind] = (cpu_ns() - begun) / ROUNDS;
        pang_arena_free(arena);
    }
    print_message("a bogus key costs %lld ns, a wrong secret %lld ns\n", (long long)took[0],
                  (long long)took[1]);
#ifndef PANG_SANITIZED
    assert_true(took[0] < 100000 && took[1] < 100000);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key__is_found_by_its_whole_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key__forms_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key__two_at_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key__ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key__a_bogus_one_is_cheap, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
