/*
 * server/throttle.c and server/quota.c: who is refused, for how long, at which server, and what a
 * stranger can make the store write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/quota.h"
#include "server/throttle.h"
#include "tests/server/catalog_fixture.h"

enum { LIMIT = 3, WINDOW_MS = 60000 };

/* Two servers on one store, with a clock of their own. */
typedef struct {
    fixture *fx;
    pang_env_fixed clock;
    pang_env env;
    pang_throttle *here, *there;
} rig;

static pang_throttle *open_throttle(rig *r, unsigned limit)
{
    pang_throttle *made = NULL;
    pang_err err;
    const pang_throttle_config config = {
        .env = &r->env, .db = r->fx->db, .limit = limit, .window_ms = WINDOW_MS};
    assert_int_equal(pang_throttle_open(&config, &made, &err), PANG_OK);
    return made;
}

static int setup(void **state)
{
    static rig r;
    r = (rig){.fx = fx_open("memory:")};
    /* The store goes by the system's clocks: windows and deadlines must not have passed there. */
    int64_t now = pang_env_wall_ms(&pang_env_system);
    r.clock = (pang_env_fixed){.wall_ms = (now / WINDOW_MS + 1) * WINDOW_MS,
                               .mono_ms = pang_env_mono_ms(&pang_env_system) + 3600000,
                               .seed = 1};
    r.env = pang_env_from_fixed(&r.clock);
    r.here = open_throttle(&r, LIMIT);
    r.there = open_throttle(&r, LIMIT);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    rig *r = *state;
    pang_throttle_close(r->here);
    pang_throttle_close(r->there);
    fx_close(r->fx);
    return 0;
}

static pang_throttle_subject address(const char *text)
{
    return (pang_throttle_subject){"address", pang_str_from(text), 1};
}

/* For how many seconds it is refused; 0: it is not. */
static unsigned refused_s(rig *r, pang_throttle *at, pang_throttle_subject subject, bool look)
{
    unsigned wait_s = 0;
    pang_err err;
    pang_code code = pang_throttle_check(at, &subject, 1, look, r->fx->arena, &wait_s, &err);
    if (code == PANG_OK) {
        assert_int_equal(wait_s, 0);
        return 0;
    }
    assert_int_equal(code, PANG_RESOURCE_EXHAUSTED);
    assert_string_equal(err.reason, "TooManyRequests");
    return wait_s;
}

static void fail_times(rig *r, pang_throttle *at, pang_throttle_subject subject, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        pang_throttle_failed(at, &subject, 1, r->fx->arena);
}

static void throttle__refuses_until_the_window_ends(void **state)
{
    rig *r = *state;
    pang_throttle_subject who = address("192.0.2.1");
    fail_times(r, r->here, who, LIMIT - 1);
    assert_int_equal(refused_s(r, r->here, who, false), 0);
    fail_times(r, r->here, who, 1);
    assert_int_equal(refused_s(r, r->here, who, false), 60);
    assert_int_equal(refused_s(r, r->here, address("192.0.2.2"), false), 0);
    r->clock.wall_ms += 30500;
    assert_int_equal(refused_s(r, r->here, who, false), 30);
    r->clock.wall_ms += 29500;
    assert_int_equal(refused_s(r, r->here, who, false), 0);
}

static void throttle__servers_count_together(void **state)
{
    rig *r = *state;
    pang_throttle_subject who = address("192.0.2.1");
    fail_times(r, r->here, who, LIMIT - 1);
    fail_times(r, r->there, who, 1);
    assert_true(refused_s(r, r->there, who, false) > 0); /* learnt by its own failure */
    assert_int_equal(refused_s(r, r->here, who, false), 0);
    assert_true(refused_s(r, r->here, who, true) > 0); /* by looking */
    assert_true(refused_s(r, r->here, who, false) > 0);
}

static void throttle__forgives(void **state)
{
    rig *r = *state;
    pang_throttle_subject who = {"account", PANG_STR("t/alice"), 1};
    fail_times(r, r->here, who, LIMIT);
    assert_true(refused_s(r, r->here, who, true) > 0);
    pang_throttle_forgive(r->here, &who, r->fx->arena);
    assert_int_equal(refused_s(r, r->here, who, true), 0);
    assert_int_equal(refused_s(r, r->there, who, true), 0);
}

static void throttle__a_network_is_one_subject(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } table[] = {
        {"2001:db8::1", "2001:db8::ffff:1", true}, {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
        {"192.0.2.7", "::ffff:192.0.2.7", true},   {"192.0.2.8", "192.0.2.9", false},
        {"no address", "no address", true},
    };
    rig *r = *state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fail_times(r, r->here, address(table[i].a), LIMIT);
        if ((refused_s(r, r->here, address(table[i].b), false) > 0) != table[i].same)
            fail_msg("%s and %s", table[i].a, table[i].b);
    }
}

static void throttle__a_network_is_one_caller_too(void **state)
{
    rig *r = *state;
    pang_throttle_subject one = {"caller", PANG_STR("2001:db8::1"), 1},
                          other = {"caller", PANG_STR("2001:db8::2"), 1},
                          begun = {"sign-in", PANG_STR("2001:db8::1"), 2};
    fail_times(r, r->here, one, LIMIT);
    assert_true(refused_s(r, r->here, other, false) > 0);
    fail_times(r, r->here, begun, 2 * LIMIT - 1);
    assert_int_equal(refused_s(r, r->here, begun, false), 0);
    fail_times(r, r->here, begun, 1);
    assert_true(refused_s(r, r->here, begun, false) > 0);
}

static void throttle__kinds_are_apart_and_nobody_is_nobody(void **state)
{
    rig *r = *state;
    pang_throttle_subject who = {"account", PANG_STR("192.0.2.1"), 1}, nobody = address("");
    fail_times(r, r->here, who, LIMIT);
    assert_int_equal(refused_s(r, r->here, address("192.0.2.1"), true), 0);
    fail_times(r, r->here, nobody, LIMIT + 1);
    assert_int_equal(refused_s(r, r->here, nobody, true), 0);
}

static void throttle__off_by_limit_or_absence(void **state)
{
    rig *r = *state;
    pang_throttle *off = open_throttle(r, 0);
    fail_times(r, off, address("192.0.2.1"), 100);
    assert_int_equal(refused_s(r, off, address("192.0.2.1"), true), 0);
    assert_int_equal(refused_s(r, NULL, address("192.0.2.1"), true), 0);
    pang_throttle_close(off);
}

/* What another server sees is what was written. */
static void throttle__writes_are_bounded(void **state)
{
    rig *r = *state;
    unsigned written = 0;
    for (unsigned i = 0; i < 3 * PANG_THROTTLE_WRITES; i++)
        fail_times(r, r->here, address(fx_text(r->fx, "10.0.%u.%u", i / 250, i % 250)), 1);
    for (unsigned i = 0; i < 3 * PANG_THROTTLE_WRITES; i++) {
        pang_throttle_subject who = address(fx_text(r->fx, "10.0.%u.%u", i / 250, i % 250));
        fail_times(r, r->here, who, LIMIT - 1);
        assert_true(refused_s(r, r->here, who, false) > 0); /* this server knows all the same */
        written += refused_s(r, r->there, who, true) > 0;
    }
    assert_true(written <= PANG_THROTTLE_WRITES);
}

/* More subjects than there is room for: nothing breaks, the newest are known. */
static void throttle__memory_is_bounded(void **state)
{
    rig *r = *state;
    for (unsigned i = 0; i < 2 * PANG_THROTTLE_ENTRIES; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "u%u", i);
        fail_times(r, r->here, (pang_throttle_subject){"account", pang_str_from(name), 1}, 1);
        if (i % 1000 == 0)
            pang_arena_reset(r->fx->arena);
    }
    fail_times(r, r->here, address("192.0.2.1"), LIMIT);
    assert_true(refused_s(r, r->here, address("192.0.2.1"), false) > 0);
}

/* ---- quota ---- */

static pang_quota *open_quota(rig *r, unsigned per_second, unsigned at_once)
{
    pang_quota *made = NULL;
    pang_err err;
    const pang_quota_config config = {&r->env, per_second, at_once};
    assert_int_equal(pang_quota_open(&config, &made, &err), PANG_OK);
    return made;
}

static bool enters(pang_quota *quota, unsigned tenant)
{
    unsigned wait_s;
    pang_err err;
    pang_id id = {{0}};
    id.bytes[15] = (uint8_t)tenant;
    id.bytes[0] = (uint8_t)(tenant >> 8);
    return pang_quota_enter(quota, id, &wait_s, &err) == PANG_OK;
}

static void leave(pang_quota *quota, unsigned tenant)
{
    pang_id id = {{0}};
    id.bytes[15] = (uint8_t)tenant;
    id.bytes[0] = (uint8_t)(tenant >> 8);
    pang_quota_leave(quota, id);
}

static unsigned pass(pang_quota *quota, unsigned tenant, unsigned tries)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < tries; i++)
        if (enters(quota, tenant)) {
            leave(quota, tenant);
            passed++;
        }
    return passed;
}

static void quota__a_bucket_fills_steadily(void **state)
{
    rig *r = *state;
    pang_quota *quota = open_quota(r, 10, 0);
    assert_int_equal(pass(quota, 1, 50), 20);
    assert_int_equal(pass(quota, 2, 50), 20); /* another tenant has its own */
    for (unsigned i = 0; i < 10; i++)         /* small steps lose nothing */
        r->clock.mono_ms += 50;
    assert_int_equal(pass(quota, 1, 50), 5);
    r->clock.mono_ms += 1000000;
    assert_int_equal(pass(quota, 1, 50), 20);
    pang_quota_close(quota);
}

static void quota__at_once(void **state)
{
    rig *r = *state;
    pang_quota *quota = open_quota(r, 0, 2);
    assert_true(enters(quota, 1));
    assert_true(enters(quota, 1));
    assert_false(enters(quota, 1));
    assert_true(enters(quota, 2));
    leave(quota, 1);
    assert_true(enters(quota, 1));
    pang_quota_close(quota);
}

/* All of these ids meet in one set of eight. */
static void quota__only_idle_tenants_are_forgotten(void **state)
{
    rig *r = *state;
    pang_quota *quota = open_quota(r, 0, 1);
    for (unsigned i = 0; i < 8; i++)
        assert_true(enters(quota, i << 8));
    assert_false(enters(quota, 8 << 8));
    leave(quota, 3 << 8);
    assert_true(enters(quota, 8 << 8));
    assert_false(enters(quota, 3 << 8));
    pang_quota_close(quota);
}

static void quota__off(void **state)
{
    assert_null(open_quota(*state, 0, 0));
    assert_true(enters(NULL, 1));
    leave(NULL, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(throttle__refuses_until_the_window_ends),
        CASE(throttle__servers_count_together),
        CASE(throttle__forgives),
        CASE(throttle__a_network_is_one_subject),
        CASE(throttle__a_network_is_one_caller_too),
        CASE(throttle__kinds_are_apart_and_nobody_is_nobody),
        CASE(throttle__off_by_limit_or_absence),
        CASE(throttle__writes_are_bounded),
        CASE(throttle__memory_is_bounded),
        CASE(quota__a_bucket_fills_steadily),
        CASE(quota__at_once),
        CASE(quota__only_idle_tenants_are_forgotten),
        CASE(quota__off),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
