/*
 * api/str.h: every function over a table of inputs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/str.h"

static void test_str__order_puts_a_prefix_first(void **state)
{
    (void)state;
    static const struct {
        pang_str a, b;
        int sign;
    } cases[] = {
        {{NULL, 0}, {NULL, 0}, 0},
        {PANG_STR_INIT("a"), PANG_STR_INIT("ab"), -1},
        {PANG_STR_INIT("b"), PANG_STR_INIT("ab"), 1},
        {PANG_STR_INIT("\xff"), PANG_STR_INIT("a"), 1},
        {PANG_STR_INIT("a\0b"), PANG_STR_INIT("a\0c"), -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int order = pang_str_compare(cases[i].a, cases[i].b);
        assert_int_equal((order > 0) - (order < 0), cases[i].sign);
        assert_int_equal(pang_str_equal(cases[i].a, cases[i].b), cases[i].sign == 0);
        assert_int_equal(pang_str_equal_secret(cases[i].a, cases[i].b), cases[i].sign == 0);
    }
}

static void test_str__slices_are_clipped(void **state)
{
    (void)state;
    pang_str s = PANG_STR("abcdef");
    assert_true(pang_str_equal(pang_str_after(s, 4), PANG_STR("ef")));
    assert_int_equal(pang_str_after(s, 9).len, 0);
    assert_true(pang_str_equal(pang_str_slice(s, 4, 9), PANG_STR("ef")));
    assert_true(pang_str_equal(pang_str_trim(PANG_STR(" \tab ")), PANG_STR("ab")));
    assert_int_equal(pang_str_trim(PANG_STR("  ")).len, 0);
    assert_true(pang_str_starts(s, PANG_STR("abc")));
    assert_true(pang_str_ends(s, PANG_STR("ef")));
    assert_false(pang_str_ends(PANG_STR("f"), PANG_STR("ef")));
    assert_int_equal(pang_str_find(s, 'c'), 2);
    assert_int_equal(pang_str_find(s, 'x'), 6);
}

static void test_str__next_gives_every_part_once(void **state)
{
    (void)state;
    pang_str rest = PANG_STR("a,,b,"), part;
    static const char *const want[] = {"a", "", "b", ""};
    size_t n = 0;
    while (pang_str_next(&rest, ',', &part)) {
        assert_true(n < 4);
        assert_true(pang_str_equal(part, pang_str_from(want[n++])));
    }
    assert_int_equal(n, 4);
}

static void test_str__numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1x", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = -7;
        bool ok = pang_str_to_int64(pang_str_from(cases[i].text), &value);
        assert_int_equal(ok, cases[i].ok);
        assert_true(value == (ok ? cases[i].value : -7));
    }
}

static void test_str__utf8_is_strict(void **state)
{
    (void)state;
    static const struct {
        pang_str text;
        bool ok;
    } cases[] = {
        {PANG_STR_INIT(""), true},
        {PANG_STR_INIT("plain ascii, longer than eight"), true},
        {PANG_STR_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\xa6\x86"), true},
        {PANG_STR_INIT("\xef\xbf\xbf\xf4\x8f\xbf\xbf"), true},
        {PANG_STR_INIT("\xc0\x80"), false},     /* overlong NUL */
        {PANG_STR_INIT("\xe0\x80\xaf"), false}, /* overlong slash */
        {PANG_STR_INIT("\xf0\x80\x80\xaf"), false},
        {PANG_STR_INIT("\xed\xa0\x80"), false},     /* surrogate */
        {PANG_STR_INIT("\xf4\x90\x80\x80"), false}, /* past U+10FFFF */
        {PANG_STR_INIT("\xc3"), false},             /* cut short */
        {PANG_STR_INIT("12345678\xe2\x82"), false},
        {PANG_STR_INIT("\x80"), false},
        {PANG_STR_INIT("\xfe"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(pang_str_is_utf8(cases[i].text), cases[i].ok);
}

static void test_str__case_folds_ascii_only(void **state)
{
    (void)state;
    assert_true(pang_str_equal_nocase(PANG_STR("TrUe"), PANG_STR("true")));
    assert_false(pang_str_equal_nocase(PANG_STR("\xc3\x84"), PANG_STR("\xc3\xa4")));
    assert_true(pang_str_hash(PANG_STR("a")) != pang_str_hash(PANG_STR("b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str__order_puts_a_prefix_first),
        cmocka_unit_test(test_str__slices_are_clipped),
        cmocka_unit_test(test_str__next_gives_every_part_once),
        cmocka_unit_test(test_str__numbers_are_whole_and_in_range),
        cmocka_unit_test(test_str__utf8_is_strict),
        cmocka_unit_test(test_str__case_folds_ascii_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
