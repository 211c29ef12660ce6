/*
 * server/password.h: right and wrong passwords, what a damaged hash does, and the gate: two at
 * once, a bounded line, a deadline.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "server/password.h"

/* The least that the library takes: the tests are about ours. */
static const pang_password_cost cheap = {64, 1, 1}, dear = {32 * 1024, 4, 1};

static pang_passwords *open_cost(const pang_password_cost *cost)
{
    pang_passwords *p = NULL;
    pang_err err;
    assert_int_equal(pang_passwords_open(&pang_env_system, cost, &p, &err), PANG_OK);
    return p;
}

static pang_str hash_of(pang_passwords *p, pang_str password, pang_arena *arena)
{
    pang_str hash;
    pang_err err;
    assert_int_equal(pang_password_hash(p, password, PANG_NO_DEADLINE, arena, &hash, &err),
                     PANG_OK);
    return hash;
}

static pang_code verify(pang_passwords *p, pang_str password, pang_str hash, bool *ret_weaker)
{
    pang_err err;
    *ret_weaker = false;
    return pang_password_verify(p, password, hash, PANG_NO_DEADLINE, ret_weaker, &err);
}

static void test_verify__right_and_wrong(void **state)
{
    pang_passwords *p = open_cost(&cheap);
    pang_arena *arena = pang_arena_new(1 << 16);
    pang_str right = PANG_STR("correct horse\0battery"), hash = hash_of(p, right, arena);
    bool weaker;
    (void)state;
    assert_true(pang_str_starts(hash, PANG_STR("$argon2id$v=19$m=64,t=1,p=1$")));
    assert_false(pang_str_equal(hash, hash_of(p, right, arena))); /* a salt each */
    assert_int_equal(verify(p, right, hash, &weaker), PANG_OK);
    assert_false(weaker);
    assert_int_equal(verify(p, PANG_STR("correct horse"), hash, &weaker), PANG_UNAUTHENTICATED);
    assert_int_equal(verify(p, PANG_STR("correct horse\0batterz"), hash, &weaker),
                     PANG_UNAUTHENTICATED);
    assert_int_equal(verify(p, PANG_STR(""), hash, &weaker), PANG_UNAUTHENTICATED);
    assert_int_equal(verify(p, right, PANG_STR(""), &weaker), PANG_UNAUTHENTICATED);
    pang_arena_free(arena);
    pang_passwords_close(p);
}

static void test_verify__says_when_today_costs_more(void **state)
{
    static const pang_password_cost costs[] = {{128, 1, 1}, {64, 2, 1}, {64, 1, 2}};
    pang_passwords *p = open_cost(&cheap);
    pang_arena *arena = pang_arena_new(1 << 16);
    pang_str hash = hash_of(p, PANG_STR("password of mine"), arena);
    bool weaker;
    (void)state;
    for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
        pang_passwords *now = open_cost(&costs[i]);
        assert_int_equal(verify(now, PANG_STR("password of mine"), hash, &weaker), PANG_OK);
        assert_true(weaker);
        assert_int_equal(verify(now, PANG_STR("password of me"), hash, &weaker),
                         PANG_UNAUTHENTICATED);
        assert_int_equal(verify(p, PANG_STR("password of mine"),
                                hash_of(now, PANG_STR("password of mine"), arena), &weaker),
                         PANG_OK);
        assert_false(weaker); /* dearer than needed is fine */
        pang_passwords_close(now);
    }
    pang_arena_free(arena);
    pang_passwords_close(p);
}

static void test_verify__damaged_hashes(void **state)
{
    static const char *bad[] = {
        "x",
        "$",
        "$2b$12$abcdefghijklmnopqrstuuWQjYd3bFv1Vb0X5l9N7pQ1r2s3t4u5v",
        "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$",
        "$argon2id$v=19$m=64,t=1,p=1$!$AAAA",
        "$argon2id$v=19$m=64,t=1,p=1$",
        "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=999999999,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=64,t=999999999,p=1$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=64,t=1,p=1000$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=-64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    pang_passwords *p = open_cost(&cheap);
    char large[4096];
    bool weaker;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (verify(p, PANG_STR("whatever"), pang_str_from(bad[i]), &weaker) != PANG_DATA_LOSS)
            fail_msg("%s", bad[i]);
    memset(large, '$', sizeof large);
    assert_int_equal(verify(p, PANG_STR("whatever"), (pang_str){large, sizeof large}, &weaker),
                     PANG_DATA_LOSS);
    pang_passwords_close(p);
}

static void test_check__what_may_become_one(void **state)
{
    static const struct {
        const char *password, *username;
        pang_code code;
    } cases[] = {
        {"", "", PANG_INVALID_ARGUMENT},
        {"1234567", "", PANG_INVALID_ARGUMENT},
        {"Password123", "", PANG_INVALID_ARGUMENT},
        {"changeme", "", PANG_INVALID_ARGUMENT},
        {"admin123", "", PANG_INVALID_ARGUMENT},
        {"Alexandra", "alexandra", PANG_INVALID_ARGUMENT},
        {"alexandra2", "alexandra", PANG_OK},
        {"\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", "", PANG_OK},
    };
    char large[PANG_PASSWORD_MAX + 1];
    pang_passwords *p = open_cost(&cheap);
    pang_arena *arena = pang_arena_new(1 << 16);
    pang_str hash;
    bool weaker;
    pang_err err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pang_password_check(pang_str_from(cases[i].password),
                                             pang_str_from(cases[i].username), &err),
                         cases[i].code);
    memset(large, 'a', sizeof large);
    pang_str over = {large, sizeof large}, most = {large, sizeof large - 1};
    assert_int_equal(pang_password_check(most, PANG_STR("u"), &err), PANG_OK);
    assert_int_equal(pang_password_check(over, PANG_STR("u"), &err), PANG_INVALID_ARGUMENT);
    assert_int_equal(pang_password_hash(p, over, PANG_NO_DEADLINE, arena, &hash, &err),
                     PANG_INVALID_ARGUMENT);
    assert_int_equal(verify(p, most, hash_of(p, most, arena), &weaker), PANG_OK);
    pang_arena_free(arena);
    pang_passwords_close(p);
}

/* ---- the gate ---- */

enum { CALLERS = 40 };

typedef struct {
    pang_passwords *p;
    int64_t deadline_ms;
    atomic_uint right, refused, other;
    atomic_uint started;
} crowd;

static void *one_caller(void *arg)
{
    crowd *c = arg;
    bool weaker;
    pang_err err;
    atomic_fetch_add(&c->started, 1);
    pang_code code = pang_password_verify(c->p, PANG_STR("whatever"), PANG_STR(""), c->deadline_ms,
                                          &weaker, &err);
    if (code == PANG_UNAUTHENTICATED)
        atomic_fetch_add(&c->right, 1);
    else if (code == PANG_RESOURCE_EXHAUSTED && strcmp(err.reason, "TooManyRequests") == 0)
        atomic_fetch_add(&c->refused, 1);
    else
        atomic_fetch_add(&c->other, 1);
    return NULL;
}

static void run_crowd(crowd *c, size_t n)
{
    pthread_t threads[CALLERS];
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_caller, c), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&c->other), 0);
    assert_int_equal(atomic_load(&c->right) + atomic_load(&c->refused), n);
}

static void test_gate__the_line_is_bounded(void **state)
{
    crowd c = {.p = open_cost(&dear), .deadline_ms = PANG_NO_DEADLINE};
    (void)state;
    run_crowd(&c, CALLERS);
    /* Those that could run or wait at once, and a few that came when one had left. */
    assert_true(atomic_load(&c.right) >= PANG_PASSWORDS_AT_ONCE + PANG_PASSWORDS_WAITING);
    assert_true(atomic_load(&c.refused) > 0);
    pang_passwords_close(c.p);
}

static void test_gate__nobody_waits_past_the_deadline(void **state)
{
    crowd c = {.p = open_cost(&dear)};
    (void)state;
    c.deadline_ms = pang_env_mono_ms(&pang_env_system) + 5;
    run_crowd(&c, 8);
    assert_true(atomic_load(&c.right) >= 1);
    assert_true(atomic_load(&c.refused) >= 1);
    pang_passwords_close(c.p);
}

static void test_gate__all_come_through_in_time(void **state)
{
    crowd c = {.p = open_cost(&cheap), .deadline_ms = PANG_NO_DEADLINE};
    (void)state;
    run_crowd(&c, PANG_PASSWORDS_WAITING);
    assert_int_equal(atomic_load(&c.right), PANG_PASSWORDS_WAITING);
    pang_passwords_close(c.p);
}

/* An account that does not exist must not answer sooner. */
static void test_verify__nobody_costs_as_much(void **state)
{
    pang_passwords *p = open_cost(&dear);
    pang_arena *arena = pang_arena_new(1 << 16);
    pang_str hash = hash_of(p, PANG_STR("whatever"), arena);
    int64_t took[2] = {INT64_MAX, INT64_MAX};
    bool weaker;
    (void)state;
    for (int i = 0; i < 6; i++) {
        int64_t begun = pang_env_mono_ms(&pang_env_system);
        assert_int_equal(
            verify(p, PANG_STR("wrong one"), i % 2 == 0 ? hash : PANG_STR(""), &weaker),
            PANG_UNAUTHENTICATED);
        int64_t now = pang_env_mono_ms(&pang_env_system) - begun;
        if (now < took[i % 2])
            took[i % 2] = now;
    }
    assert_true(took[1] * 2 > took[0] && took[0] * 2 > took[1]);
    pang_arena_free(arena);
    pang_passwords_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify__right_and_wrong),
        cmocka_unit_test(test_verify__says_when_today_costs_more),
        cmocka_unit_test(test_verify__damaged_hashes),
        cmocka_unit_test(test_check__what_may_become_one),
        cmocka_unit_test(test_gate__the_line_is_bounded),
        cmocka_unit_test(test_gate__nobody_waits_past_the_deadline),
        cmocka_unit_test(test_gate__all_come_through_in_time),
        cmocka_unit_test(test_verify__nobody_costs_as_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
