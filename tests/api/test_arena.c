/*
 * api/arena.h: limits, hooks, wiping, buffers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/arena.h"

static void test_arena__memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 20);
    for (size_t size = 1; size < 300; size += 7) {
        unsigned char *p = pang_arena_alloc(arena, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xAA, size);
        assert_non_null(pang_arena_alloc_text(arena, 3));
    }
    pang_arena_reset(arena);
    unsigned char *again = pang_arena_alloc(arena, 64);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(again[i], 0);
    pang_arena_free(arena);
}

static void test_arena__the_limit_holds_and_is_forgotten_at_reset(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(64 * 1024);
    assert_null(pang_arena_alloc(arena, 64 * 1024 + 1));
    assert_true(pang_arena_failed(arena));
    assert_null(pang_arena_alloc_n(arena, SIZE_MAX / 2, 4));
    pang_arena_reset(arena);
    assert_false(pang_arena_failed(arena));
    size_t got = 0;
    while (pang_arena_alloc(arena, 1000) != NULL)
        got += 1000;
    assert_in_range(got, 40 * 1000, 64 * 1024);
    assert_int_equal(pang_arena_used(arena), got);
    pang_arena_reset(arena);
    assert_non_null(pang_arena_alloc(arena, 60 * 1024 - 8192));
    pang_arena_free(arena);
}

static void note(void *arg)
{
    char **at = arg;
    *(*at)++ = 'x';
}

static void test_arena__hooks_run_once_also_when_there_is_no_room(void **state)
{
    (void)state;
    char seen[8] = {0}, *at = seen;
    pang_arena *arena = pang_arena_new(1 << 16);
    assert_true(pang_arena_on_reset(arena, note, &at));
    assert_true(pang_arena_on_reset(arena, note, &at));
    pang_arena_reset(arena);
    assert_string_equal(seen, "xx");
    pang_arena_reset(arena);
    assert_string_equal(seen, "xx");
    pang_arena_free(arena);

    arena = pang_arena_new(0);
    assert_false(pang_arena_on_reset(arena, note, &at));
    assert_string_equal(seen, "xxx");
    pang_arena_free(arena);
    pang_arena_free(NULL);
}

static void test_arena__secrets_are_wiped_at_reset(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 16);
    char *secret = pang_arena_cstr(arena, PANG_STR("hunter2 hunter2"));
    pang_arena_mark_secret(arena);
    pang_arena_reset(arena); /* the first block stays: look at it through a new allocation */
    char *same = pang_arena_alloc_text(arena, 16);
    assert_ptr_equal(same, secret);
    assert_int_equal(same[0], 0);
    pang_arena_free(arena);
}

static void test_arena__buffers_grow_and_remember_failure(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_buf buf = {.arena = arena};
    for (int i = 0; i < 1000; i++)
        pang_buf_printf(&buf, "%d,", i);
    pang_buf_add_char(&buf, '!');
    assert_false(buf.failed);
    assert_int_equal(pang_buf_str(&buf).len, 10 * 2 + 90 * 3 + 900 * 4 + 1);
    assert_true(pang_str_ends(pang_buf_str(&buf), PANG_STR("999,!")));
    assert_true(pang_str_equal(pang_arena_printf(arena, "%s-%d", "a", 7), PANG_STR("a-7")));
    pang_arena_free(arena);

    arena = pang_arena_new(256);
    buf = (pang_buf){.arena = arena};
    for (int i = 0; i < 100; i++)
        pang_buf_add(&buf, PANG_STR("0123456789"));
    assert_true(buf.failed);
    pang_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__memory_is_zeroed_and_aligned),
        cmocka_unit_test(test_arena__the_limit_holds_and_is_forgotten_at_reset),
        cmocka_unit_test(test_arena__hooks_run_once_also_when_there_is_no_room),
        cmocka_unit_test(test_arena__secrets_are_wiped_at_reset),
        cmocka_unit_test(test_arena__buffers_grow_and_remember_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
