/*
 * api/json_scan.c: what is JSON, what is not, and where it says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/json.h"

static const pang_str good[] = {
    PANG_STR_INIT("0"),
    PANG_STR_INIT("-0"),
    PANG_STR_INIT("-1.5e+10"),
    PANG_STR_INIT("1E5"),
    PANG_STR_INIT(" true "),
    PANG_STR_INIT("null"),
    PANG_STR_INIT("\"\""),
    PANG_STR_INIT("\"\\u00e4\\ud83e\\udd86\\n\\/\""),
    PANG_STR_INIT("[]"),
    PANG_STR_INIT("{}"),
    PANG_STR_INIT("[1,[2,{\"a\":[]}],3]"),
    PANG_STR_INIT("{\"a\":1,\"b\":{\"a\":1}}"),
    PANG_STR_INIT("\r\n\t[ 1 , 2 ]\n"),
    PANG_STR_INIT("\"\xc3\xa4\xf0\x9f\xa6\x86 plain and long\""),
    PANG_STR_INIT("{\"\":1}"),
    PANG_STR_INIT("9223372036854775807000"),
};

static const pang_str bad[] = {
    PANG_STR_INIT(""),
    PANG_STR_INIT(" "),
    PANG_STR_INIT("01"),
    PANG_STR_INIT("-"),
    PANG_STR_INIT("+1"),
    PANG_STR_INIT("1."),
    PANG_STR_INIT(".5"),
    PANG_STR_INIT("1e"),
    PANG_STR_INIT("0x1"),
    PANG_STR_INIT("NaN"),
    PANG_STR_INIT("Infinity"),
    PANG_STR_INIT("True"),
    PANG_STR_INIT("nul"),
    PANG_STR_INIT("truex"),
    PANG_STR_INIT("'a'"),
    PANG_STR_INIT("\"a"),
    PANG_STR_INIT("\"\\x\""),
    PANG_STR_INIT("\"\\u12\""),
    PANG_STR_INIT("\"\\u0000\""),
    PANG_STR_INIT("\"a\0b\""),
    PANG_STR_INIT("\"\\ud83e\""),
    PANG_STR_INIT("\"\\udd86\""),
    PANG_STR_INIT("\"\\ud83e\\u0041\""),
    PANG_STR_INIT("\"a\nb\""),
    PANG_STR_INIT("\"\xff\""),
    PANG_STR_INIT("\"12345678\xc0\x80\""),
    PANG_STR_INIT("\"\xed\xa0\x80\""),
    PANG_STR_INIT("[1,]"),
    PANG_STR_INIT("[,1]"),
    PANG_STR_INIT("[1 2]"),
    PANG_STR_INIT("["),
    PANG_STR_INIT("[1"),
    PANG_STR_INIT("]"),
    PANG_STR_INIT("[}"),
    PANG_STR_INIT("{]"),
    PANG_STR_INIT("{\"a\"}"),
    PANG_STR_INIT("{\"a\":}"),
    PANG_STR_INIT("{\"a\":1,}"),
    PANG_STR_INIT("{a:1}"),
    PANG_STR_INIT("{1:1}"),
    PANG_STR_INIT("{\"a\":1 \"b\":2}"),
    PANG_STR_INIT("{\"a\":1,\"a\":2}"),
    PANG_STR_INIT("{\"a\":1,\"\\u0061\":2}"),
    PANG_STR_INIT("{\"\":1,\"\":2}"),
    PANG_STR_INIT("1 2"),
    PANG_STR_INIT("{} x"),
    PANG_STR_INIT("\xef\xbb\xbf{}"),
    PANG_STR_INIT("/**/1"),
    PANG_STR_INIT("1\0"),
};

static void test_scan__accepts_what_is_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        pang_arena *arena = pang_arena_new(1 << 20);
        pang_err err;
        if (pang_json_check(good[i], arena, &err) != PANG_OK)
            fail_msg("%s: %s", good[i].ptr, err.message);
        pang_arena_free(arena);
    }
}

static void test_scan__refuses_what_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pang_arena *arena = pang_arena_new(1 << 20);
        pang_err err;
        if (pang_json_check(bad[i], arena, &err) != PANG_INVALID_ARGUMENT)
            fail_msg("accepted: %s", bad[i].ptr);
        assert_non_null(strstr(err.message, "line "));
        pang_arena_free(arena);
    }
}

static void test_scan__names_the_position(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_err err;
    (void)!pang_json_check(PANG_STR("{\n  \"a\": 1,\n  \"b\": x\n}"), arena, &err);
    assert_string_equal(err.message, "invalid JSON at line 3, column 8: a value is expected");
    pang_arena_free(arena);
}

static void test_scan__tokens_in_order_with_raw_and_decoded_text(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_json_scanner s;
    pang_err err;
    pang_json_scan_begin(&s, PANG_STR("{\"a\\n\":[1.50,\"\\u00e9\"], \"z\":{\"q\":[{}]}}"), arena);
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_int_equal(s.token, PANG_JSON_OBJECT_BEGIN);
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_int_equal(s.token, PANG_JSON_NAME);
    assert_true(pang_str_equal(s.text, PANG_STR("a\n")));
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_int_equal(s.token, PANG_JSON_ARRAY_BEGIN);
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_true(pang_str_equal(s.text, PANG_STR("1.50")));
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_true(pang_str_equal(s.text, PANG_STR("\xc3\xa9")));
    assert_true(pang_str_equal(s.raw, PANG_STR("\"\\u00e9\"")));
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_int_equal(s.token, PANG_JSON_ARRAY_END);
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    pang_str raw;
    assert_int_equal(pang_json_scan_skip(&s, &raw, &err), PANG_OK);
    assert_true(pang_str_equal(raw, PANG_STR("{\"q\":[{}]}")));
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_int_equal(s.token, PANG_JSON_OBJECT_END);
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_int_equal(s.token, PANG_JSON_END);
    pang_arena_free(arena);
}

/* [[[...]]] of a depth; {"0":0,"1":0,...} of a size, the last name doubled if asked. */
static pang_str nested(pang_arena *arena, size_t depth)
{
    pang_buf buf = {.arena = arena};
    for (size_t i = 0; i < depth; i++)
        pang_buf_add_char(&buf, '[');
    for (size_t i = 0; i < depth; i++)
        pang_buf_add_char(&buf, ']');
    return pang_buf_str(&buf);
}

static pang_str wide(pang_arena *arena, size_t n, bool doubled)
{
    pang_buf buf = {.arena = arena};
    for (size_t i = 0; i < n; i++)
        pang_buf_printf(&buf, "%c\"k%zu\":0", i == 0 ? '{' : ',', doubled && i + 1 == n ? 0 : i);
    pang_buf_add_char(&buf, '}');
    return pang_buf_str(&buf);
}

static void test_scan__limits_of_depth_and_members(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(256 << 20);
    pang_err err;
    assert_int_equal(pang_json_check(nested(arena, PANG_JSON_DEPTH_MAX), arena, &err), PANG_OK);
    assert_int_equal(pang_json_check(nested(arena, PANG_JSON_DEPTH_MAX + 1), arena, &err),
                     PANG_INVALID_ARGUMENT);
    static const size_t sizes[] = {1, 2, 15, 16, 17, 18, 31, 32, 33, 34, 1000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(pang_json_check(wide(arena, sizes[i], false), arena, &err), PANG_OK);
        if (sizes[i] > 1)
            assert_int_equal(pang_json_check(wide(arena, sizes[i], true), arena, &err),
                             PANG_INVALID_ARGUMENT);
    }
    assert_int_equal(pang_json_check(wide(arena, 100001, false), arena, &err),
                     PANG_INVALID_ARGUMENT);
    pang_arena_free(arena);
}

/* Memory of names is reused from object to object: what stood in the last one must not count. */
static void test_scan__names_are_of_one_object(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(64 << 20);
    pang_err err;
    static const size_t sizes[] = {3, 16, 17, 200, 1, 16, 40};
    for (int doubled = -1; doubled < 7; doubled++) {
        pang_buf buf = {.arena = arena};
        for (int i = 0; i < 7; i++) {
            pang_buf_add_char(&buf, i == 0 ? '[' : ',');
            pang_buf_add(&buf, wide(arena, sizes[i], i == doubled));
        }
        pang_buf_add_char(&buf, ']');
        bool fails = doubled >= 0 && sizes[doubled] > 1;
        assert_int_equal(pang_json_check(pang_buf_str(&buf), arena, &err),
                         fails ? PANG_INVALID_ARGUMENT : PANG_OK);
    }
    pang_arena_free(arena);
}

/* Every pair of positions, with names of every length around the steps of the hash. */
static void test_scan__a_double_is_found_wherever_it_stands(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(64 << 20);
    pang_err err;
    for (size_t n = 2; n <= 20; n++) {
        for (size_t first = 0; first < n; first++) {
            for (size_t second = first + 1; second < n; second++) {
                pang_buf buf = {.arena = arena};
                for (size_t i = 0; i < n; i++) {
                    size_t as = i == second ? first : i;
                    pang_buf_printf(&buf, "%c\"%.*s%c\":0", i == 0 ? '{' : ',', (int)as,
                                    "abcdefghijklmnopqrstuvwxyz", (char)('A' + as));
                }
                pang_buf_add_char(&buf, '}');
                if (pang_json_check(pang_buf_str(&buf), arena, &err) != PANG_INVALID_ARGUMENT)
                    fail_msg("%zu names: %zu and %zu are one", n, first, second);
                pang_arena_reset(arena);
            }
        }
    }
    pang_arena_free(arena);
}

static void test_scan__a_double_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\"a\":1,\"b\":2,\"a\":3}",
         "line 1, column 14: an object has two members of one name, \"a\""},
        {"{\"a\":{\"x\":1,\"\":2,\"\":3}}", "two members of one name, \"\""},
        {"{\"a\\n\\\"\":1,\"\\u0061\\n\\\"\":2}", "two members of one name, \"a\\n\\\"\""},
        {"{\"0123456789012345678901234567890123456789012345678901234567890123\":1,"
         "\"0123456789012345678901234567890123456789012345678901234567890123\":1}",
         ", \"0123456789012345678901234567890123456789012345678901234567890123\""},
        {"{\"01234567890123456789012345678901234567890123456789012345678901\u20ac\":1,"
         "\"01234567890123456789012345678901234567890123456789012345678901\u20ac\":1}",
         ", \"01234567890123456789012345678901234567890123456789012345678901\"..."},
    };
    pang_arena *arena = pang_arena_new(1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_err err;
        pang_code code = pang_json_check(pang_str_from(cases[i].text), arena, &err);
        assert_int_equal(code, PANG_INVALID_ARGUMENT);
        if (!pang_str_ends(pang_str_from(err.message), pang_str_from(cases[i].message)))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
    pang_arena_free(arena);
}

/* The eight-byte step and the single one must agree at every offset. */
static void test_scan__strings_end_where_they_end(void **state)
{
    (void)state;
    static const struct {
        pang_str special;
        bool ok;
    } cases[] = {
        {PANG_STR_INIT("\x1f"), false},    {PANG_STR_INIT("\x20"), true},
        {PANG_STR_INIT("\\\""), true},     {PANG_STR_INIT("!#[]"), true},
        {PANG_STR_INIT("\x7f"), true},     {PANG_STR_INIT("\x80"), false},
        {PANG_STR_INIT("\xc3\xa4"), true}, {PANG_STR_INIT("\xff"), false},
        {PANG_STR_INIT("\""), false},      {PANG_STR_INIT("\\"), true},
    };
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_err err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 1; after < 20; after++) {
                pang_buf buf = {.arena = arena};
                pang_buf_printf(&buf, "\"%.*s", (int)before, "xxxxxxxxxxxxxxxxxxxx");
                pang_buf_add(&buf, cases[i].special);
                pang_buf_printf(&buf, "%.*s\"", (int)after, "nnnnnnnnnnnnnnnnnnnn");
                pang_code code = pang_json_check(pang_buf_str(&buf), arena, &err);
                if ((code == PANG_OK) != cases[i].ok)
                    fail_msg("case %zu, %zu before, %zu after", i, before, after);
                pang_arena_reset(arena);
            }
        }
    }
    pang_arena_free(arena);
}

static void test_scan__no_memory_is_an_error(void **state)
{
    (void)state;
    pang_err err;
    for (size_t limit = 0; limit < 12000; limit += 512) {
        pang_arena *arena = pang_arena_new(limit);
        pang_code code = pang_json_check(PANG_STR("{\"a\\n\":{\"b\":\"\\u00e9\"}}"), arena, &err);
        assert_true(code == PANG_OK || code == PANG_RESOURCE_EXHAUSTED);
        pang_arena_free(arena);
    }
}

static void test_quote__what_it_writes_scans_back(void **state)
{
    (void)state;
    pang_arena *arena = pang_arena_new(1 << 20);
    char all[256];
    pang_buf buf = {.arena = arena};
    pang_json_scanner s;
    pang_err err;
    size_t n = 0;
    for (int c = 1; c < 128; c++)
        all[n++] = (char)c;
    pang_json_quote(&buf, (pang_str){all, n});
    pang_json_scan_begin(&s, pang_buf_str(&buf), arena);
    assert_int_equal(pang_json_scan_next(&s, &err), PANG_OK);
    assert_true(pang_str_equal(s.text, (pang_str){all, n}));
    buf = (pang_buf){.arena = arena};
    pang_json_quote(&buf, PANG_STR("a\"\\\n\x01\x0b\xc3\xa4"));
    assert_true(
        pang_str_equal(pang_buf_str(&buf), PANG_STR("\"a\\\"\\\\\\n\\u0001\\u000b\xc3\xa4\"")));
    pang_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan__accepts_what_is_json),
        cmocka_unit_test(test_scan__refuses_what_is_not),
        cmocka_unit_test(test_scan__names_the_position),
        cmocka_unit_test(test_scan__tokens_in_order_with_raw_and_decoded_text),
        cmocka_unit_test(test_scan__limits_of_depth_and_members),
        cmocka_unit_test(test_scan__names_are_of_one_object),
        cmocka_unit_test(test_scan__a_double_is_found_wherever_it_stands),
        cmocka_unit_test(test_scan__a_double_is_named),
        cmocka_unit_test(test_scan__strings_end_where_they_end),
        cmocka_unit_test(test_scan__no_memory_is_an_error),
        cmocka_unit_test(test_quote__what_it_writes_scans_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
