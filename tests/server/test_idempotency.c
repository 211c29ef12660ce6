/*
 * server/idempotency.h, through the dispatcher: one outcome per key.
 */
#include "storage/faulty.h"
#include "tests/server/dispatch_fixture.h"

static const char key[] = "01890a5d-ac96-774b-bcce-b302099a8057";
static const char other_key[] = "01890a5d-ac96-774b-bcce-b302099a8058";

static int setup(void **state)
{
    static fixture f;
    fixture_open(&f, false);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void test_key__a_repeat_gets_the_first_outcome(void **state)
{
    fixture *f = *state;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_record record;
    assert_string_equal(fixture_create(f, "a", key).location, "run-0");
    outcome again = fixture_create(f, "a", key);
    assert_int_equal(again.code, PANG_OK);
    assert_true(again.has_out);
    assert_string_equal(again.location, "run-0");
    assert_int_equal(f->runs, 1);
    assert_int_equal(fixture_count(f, PANG_KIND_AUDIT, arena, &record), 1);
    assert_int_equal(pang_counter_value(f->counters, PANG_COUNT_REPLAYS), 1);
    assert_int_equal(fixture_create(f, "a", other_key).code, PANG_ALREADY_EXISTS);
    assert_int_equal(fixture_create(f, "a", NULL).code, PANG_ALREADY_EXISTS);
    pang_arena_free(arena);
}

static void test_key__what_a_handler_keeps_is_given_to_its_replay(void **state)
{
    fixture *f = *state;
    f->keeps = true;
    assert_string_equal(fixture_create(f, "a", key).location, "run-0");
    assert_string_equal(fixture_create(f, "a", key).location, "kept-0");
    assert_int_equal(f->replays, 1);
    assert_int_equal(f->runs, 1);
}

static void test_key__another_request_with_it_is_refused(void **state)
{
    fixture *f = *state;
    assert_int_equal(fixture_create(f, "a", key).code, PANG_OK);
    outcome got = fixture_create(f, "b", key);
    assert_int_equal(got.code, PANG_INVALID_ARGUMENT);
    assert_string_equal(got.reason, "UnprocessableEntityException");
    assert_int_equal(f->runs, 1);
    assert_string_equal(fixture_create(f, "a", key).location, "run-0"); /* it is still there */
}

static void test_key__must_be_a_uuid(void **state)
{
    fixture *f = *state;
    static const char *const keys[] = {
        "x", "01890a5d-ac96-774b-bcce-b302099a805", "01890a5dac96774bbcceb302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a805g", "01890a5d-ac96-774b-bcce-b302099a80577"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        outcome got = fixture_create(f, "a", keys[i]);
        assert_int_equal(got.code, PANG_INVALID_ARGUMENT);
        assert_string_equal(got.reason, "BadRequestException");
    }
    assert_int_equal(f->runs, 0);
}

static void test_key__terminal_errors_are_remembered(void **state)
{
    fixture *f = *state;
    static const pang_code codes[] = {PANG_INVALID_ARGUMENT, PANG_NOT_FOUND, PANG_ALREADY_EXISTS,
                                      PANG_FAILED_PRECONDITION};
    char text[] = "01890a5d-ac96-774b-bcce-b302099a8050";
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        text[35] = (char)('0' + i);
        f->runs = 0;
        f->fail = codes[i];
        f->reason = "SomeException";
        assert_int_equal(fixture_create(f, "a", text).code, codes[i]);
        f->fail = PANG_OK;
        outcome again = fixture_create(f, "a", text);
        assert_int_equal(again.code, codes[i]);
        assert_string_equal(again.reason, "SomeException");
        assert_string_equal(again.message, "told to fail");
        assert_int_equal(f->runs, 1);
    }
}

static void test_key__transient_errors_are_not(void **state)
{
    fixture *f = *state;
    static const pang_code codes[] = {
        PANG_UNAVAILABLE,       PANG_RESOURCE_EXHAUSTED, PANG_INTERNAL,       PANG_UNKNOWN,
        PANG_DEADLINE_EXCEEDED, PANG_PERMISSION_DENIED,  PANG_UNAUTHENTICATED};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        f->fail = codes[i];
        assert_int_equal(fixture_create(f, "a", key).code, codes[i]);
    }
    f->fail = PANG_OK;
    assert_int_equal(fixture_create(f, "a", key).code, PANG_OK);
}

static void test_key__is_forgotten_after_its_life(void **state)
{
    fixture *f = *state;
    assert_int_equal(fixture_create(f, "a", key).code, PANG_OK);
    f->clock.wall_ms += PANG_IDEMPOTENCY_LIFE_MS - 1;
    assert_int_equal(fixture_create(f, "a", key).code, PANG_OK);
    f->clock.wall_ms += 2;
    assert_int_equal(fixture_create(f, "a", key).code, PANG_ALREADY_EXISTS);
    assert_int_equal(f->runs, 2);
}

static outcome inner;

static void same_request_inside(fixture *f)
{
    inner = fixture_create(f, "a", key);
}

static void test_key__of_two_at_once_the_second_gets_the_firsts_outcome(void **state)
{
    fixture *f = *state;
    f->inside = same_request_inside;
    outcome outer = fixture_create(f, "a", key);
    assert_int_equal(inner.code, PANG_OK);
    assert_string_equal(inner.location, "run-1");
    assert_int_equal(outer.code, PANG_OK);
    assert_string_equal(outer.location, "run-1");
    assert_int_equal(f->runs, 2);
}

static void failing_request_inside(fixture *f)
{
    f->fail = PANG_NOT_FOUND;
    f->reason = "NoSuchNamespaceException";
    inner = fixture_create(f, "a", key);
    f->fail = PANG_FAILED_PRECONDITION; /* what the outer run itself would say */
}

static void test_key__of_two_failures_at_once_the_first_is_remembered(void **state)
{
    fixture *f = *state;
    f->inside = failing_request_inside;
    outcome outer = fixture_create(f, "a", key);
    assert_int_equal(inner.code, PANG_NOT_FOUND);
    assert_int_equal(outer.code, PANG_NOT_FOUND);
}

/* Every store call of a request fails in turn, in every way: whatever the client was told, a
 * repeat ends with exactly one change. */
static void test_key__one_change_whatever_fails(void **state)
{
    static const pang_fault faults[] = {PANG_FAULT_FAIL, PANG_FAULT_UNKNOWN_LANDED,
                                        PANG_FAULT_UNKNOWN_LOST};
    (void)state;
    for (size_t kind = 0; kind < sizeof faults / sizeof faults[0]; kind++) {
        bool hit = true;
        for (unsigned at = 1; hit; at++) {
            fixture f;
            pang_record record;
            pang_arena *arena = pang_arena_new(1 << 20);
            fixture_open(&f, false);
            pang_store *store = pang_db_store(f.db);
            pang_faulty_arm(store, &(pang_fault_plan){.fault = faults[kind], .at = at, .times = 2});
            outcome first = fixture_create(&f, "a", key);
            hit = pang_faulty_hits(store) > 0;
            assert_true(hit || first.code == PANG_OK);
            assert_true(first.code == PANG_OK || first.code == PANG_UNAVAILABLE ||
                        first.code == PANG_UNKNOWN);
            pang_faulty_arm(store, NULL);
            outcome again = fixture_create(&f, "a", key);
            if (again.code != PANG_OK)
                fail_msg("fault %zu at %u: %s then %s: %s", kind, at, pang_code_name(first.code),
                         pang_code_name(again.code), again.message);
            assert_true(first.code != PANG_OK || strcmp(first.location, again.location) == 0);
            assert_int_equal(fixture_count(&f, PANG_KIND_SETTING, arena, &record), 1);
            assert_int_equal(fixture_count(&f, PANG_KIND_AUDIT, arena, &record), 1);
            assert_int_equal(fixture_count(&f, PANG_KIND_IDEMPOTENCY, arena, &record), 1);
            pang_arena_free(arena);
            fixture_close(&f);
        }
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_key__a_repeat_gets_the_first_outcome),
        CASE(test_key__what_a_handler_keeps_is_given_to_its_replay),
        CASE(test_key__another_request_with_it_is_refused),
        CASE(test_key__must_be_a_uuid),
        CASE(test_key__terminal_errors_are_remembered),
        CASE(test_key__transient_errors_are_not),
        CASE(test_key__is_forgotten_after_its_life),
        CASE(test_key__of_two_at_once_the_second_gets_the_firsts_outcome),
        CASE(test_key__of_two_failures_at_once_the_first_is_remembered),
        cmocka_unit_test(test_key__one_change_whatever_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
