/*
 * api/json.h, the document: what is read is printed again, numbers and order untouched; trees
 * share parts and die with their arena.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/json.h"

enum { ARENA_BYTES = 1 << 20 };

static int setup(void **state)
{
    *state = pang_arena_new(ARENA_BYTES);
    return *state == NULL;
}

static int teardown(void **state)
{
    pang_arena_free(*state);
    return 0;
}

static pang_json *parse(pang_arena *arena, const char *text)
{
    pang_json *value = NULL;
    pang_err err;
    if (pang_json_parse(pang_str_from(text), arena, &value, &err) != PANG_OK)
        fail_msg("%s: %s", text, err.message);
    return value;
}

static const char *print(pang_arena *arena, const pang_json *value)
{
    pang_str text;
    pang_err err;
    assert_int_equal(pang_json_print(value, arena, &text, &err), PANG_OK);
    return pang_arena_cstr(arena, text);
}

static void test_json__what_is_read_is_printed(void **state)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "null",
        "true",
        "\"\"",
        "0",
        "-1",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "123456789012345678901234567890",
        "1.0",
        "1.50",
        "-0",
        "-0.0",
        "1e400",
        "1E+2",
        "{\"z\":1,\"a\":{\"y\":null,\"b\":[1,2.0,\"x\",[],{}]},\"m\":false}",
        "[null,null]",
        "\"\\\"\\\\ \xc3\xbc \xf0\x9f\x98\x80\"",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(print(*state, parse(*state, texts[i])), texts[i]);
    assert_string_equal(print(*state, parse(*state, " { \"a\" : [ 1 , 2 ] } ")), "{\"a\":[1,2]}");
}

static void test_json__what_is_no_json_is_refused(void **state)
{
    static const char *const texts[] = {"", "{", "[1,", "{\"a\":}", "1 2", "nul", "]"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pang_json *value;
        pang_err err;
        if (pang_json_parse(pang_str_from(texts[i]), *state, &value, &err) != PANG_INVALID_ARGUMENT)
            fail_msg("taken: %s", texts[i]);
    }
}

static void test_json__readers_tell_types_apart(void **state)
{
    pang_json *doc = parse(*state, "{\"i\":7,\"big\":9223372036854775808,\"f\":7.0,\"s\":\"7\","
                                   "\"t\":true,\"n\":null,\"o\":{},\"l\":[3]}");
    int64_t number = 0;
    bool truth = false;
    pang_str text;
    assert_true(pang_json_to_int64(pang_json_get(doc, "i"), &number));
    assert_int_equal(number, 7);
    static const char *const others[] = {"big", "f", "s", "t", "n", "o", "l", "absent"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(pang_json_to_int64(pang_json_get(doc, others[i]), &number));
    assert_true(pang_json_to_bool(pang_json_get(doc, "t"), &truth) && truth);
    assert_false(pang_json_to_bool(pang_json_get(doc, "i"), &truth));
    assert_true(pang_json_to_str(pang_json_get(doc, "s"), &text));
    assert_true(pang_str_equal(text, PANG_STR("7")));
    assert_true(pang_json_to_spelling(pang_json_get(doc, "f"), *state, &text));
    assert_true(pang_str_equal(text, PANG_STR("7.0")));
    assert_true(pang_json_to_spelling(pang_json_get(doc, "i"), *state, &text));
    assert_true(pang_str_equal(text, PANG_STR("7")));
    assert_false(pang_json_to_spelling(pang_json_get(doc, "s"), *state, &text));
    assert_int_equal(pang_json_type_of(pang_json_get(doc, "big")), PANG_JSON_IS_NUMBER);
    assert_int_equal(pang_json_size(pang_json_get(doc, "l")), 1);
    assert_null(pang_json_at(pang_json_get(doc, "l"), 1));
    assert_null(pang_json_at(doc, 0));
    assert_null(pang_json_get(pang_json_get(doc, "l"), "x"));
}

static void test_json__null_is_not_absent(void **state)
{
    pang_json *doc = parse(*state, "{\"n\":null,\"l\":[null]}");
    assert_null(pang_json_get(doc, "x"));
    assert_non_null(pang_json_get(doc, "n"));
    assert_true(pang_json_is_null(pang_json_get(doc, "n")));
    assert_true(pang_json_is_null(pang_json_get(doc, "x")));
    assert_true(pang_json_is_null(pang_json_at(pang_json_get(doc, "l"), 0)));
    assert_true(pang_json_set(doc, "m", pang_json_null(*state)));
    assert_false(pang_json_set(doc, "o", NULL));
    assert_string_equal(print(*state, doc), "{\"n\":null,\"l\":[null],\"m\":null}");
}

static void test_json__changes_keep_places(void **state)
{
    pang_arena *arena = *state;
    pang_json *doc = parse(arena, "{\"a\":1,\"b\":2,\"c\":3}");
    assert_true(pang_json_set(doc, "b", pang_json_str(PANG_STR("two"), arena)));
    assert_true(pang_json_set_str(doc, PANG_STR("d"), pang_json_bool(true, arena)));
    pang_json_remove(doc, "a");
    pang_json_remove(doc, "absent");
    assert_string_equal(print(arena, doc), "{\"b\":\"two\",\"c\":3,\"d\":true}");
    pang_json *list = pang_json_array(arena);
    for (int64_t i = 0; i < 4; i++)
        assert_true(pang_json_append(list, pang_json_int(i, arena)));
    assert_true(pang_json_replace(list, 0, pang_json_object(arena)));
    assert_false(pang_json_replace(list, 4, pang_json_object(arena)));
    pang_json_remove_at(list, 1);
    pang_json_remove_at(list, 9);
    assert_string_equal(print(arena, list), "[{},2,3]");
    assert_false(pang_json_append(doc, list));
    assert_false(pang_json_set(list, "x", doc));
}

static void test_json__long_names_are_found(void **state)
{
    pang_arena *arena = *state;
    pang_buf name = {.arena = arena};
    for (int i = 0; i < 600; i++)
        pang_buf_add_char(&name, 'n');
    pang_json *doc = pang_json_object(arena);
    assert_true(pang_json_set_str(doc, pang_buf_str(&name), pang_json_int(1, arena)));
    assert_non_null(pang_json_get_str(doc, pang_buf_str(&name)));
    assert_null(pang_json_get_str(doc, pang_str_after(pang_buf_str(&name), 1)));
    pang_str nul = PANG_STR("a\0b");
    assert_null(pang_json_get_str(doc, nul));
    assert_false(pang_json_set_str(doc, nul, doc));
}

static void test_json__members_come_in_order(void **state)
{
    pang_json *doc = parse(*state, "{\"z\":1,\"a\":2,\"m\":3}");
    pang_json_members it = {.object = doc};
    pang_str name;
    pang_json *value;
    char seen[4] = "";
    size_t n = 0;
    while (pang_json_next(&it, &name, &value))
        seen[n++] = name.ptr[0];
    assert_string_equal(seen, "zam");
    assert_false(pang_json_next(&it, &name, &value));
    pang_json_members none = {.object = pang_json_int(1, *state)};
    assert_false(pang_json_next(&none, &name, &value));
}

static void test_json__equal_goes_by_value(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"{\"a\":1,\"b\":[1,{}]}", "{\"b\":[1,{}],\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"{\"a\":null}", "{\"b\":null}", false},
        {"[1,2]", "[2,1]", false},
        {"1.0", "1.00", true},
        {"1", "1.0", false},
        {"18446744073709551616", "18446744073709551617", false},
        {"9007199254740993", "9007199254740992", false},
        {"\"a\"", "\"a\"", true},
        {"null", "null", true},
        {"null", "0", false},
        {"true", "false", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_json *a = parse(*state, cases[i].a), *b = parse(*state, cases[i].b);
        if (pang_json_equal(a, b) != cases[i].equal || pang_json_equal(b, a) != cases[i].equal)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static void test_json__a_copy_stands_alone_and_parts_may_be_shared(void **state)
{
    pang_arena *arena = *state;
    pang_json *doc = parse(arena, "{\"a\":{\"b\":[1,2.50,null,\"s\"]}}");
    pang_json *copy = pang_json_copy(doc, arena);
    assert_true(
        pang_json_append(pang_json_get(pang_json_get(doc, "a"), "b"), pang_json_int(3, arena)));
    assert_string_equal(print(arena, copy), "{\"a\":{\"b\":[1,2.50,null,\"s\"]}}");
    pang_json *other = pang_json_object(arena);
    assert_true(pang_json_set(other, "shared", pang_json_get(copy, "a")));
    assert_string_equal(print(arena, other), "{\"shared\":{\"b\":[1,2.50,null,\"s\"]}}");
    assert_true(pang_json_is_null(pang_json_copy(pang_json_null(arena), arena)));
}

/* Under AddressSanitizer a tree that outlived the reset would be a leak. */
static void test_json__trees_die_with_the_arena(void **state)
{
    pang_arena *arena = *state;
    for (int i = 0; i < 100; i++) {
        pang_json *doc = parse(arena, "{\"a\":[{\"b\":\"c\"},1.25]}");
        assert_true(pang_json_set(pang_json_object(arena), "x", doc));
        pang_arena_reset(arena);
    }
}

static const char *print_again(pang_arena *arena, const pang_json *value)
{
    pang_str text;
    pang_err err;
    assert_int_equal(pang_json_print_again(value, arena, &text, &err), PANG_OK);
    return text.ptr;
}

/* A later state shares elements with the one before, which keep their text; one that is written to
 * all the same prints as it is. */
static void test_json__what_was_printed_is_printed_again(void **state)
{
    pang_arena *arena = *state;
    static const char first[] =
        "{\"v\":2,\"list\":[{\"a\":1},{\"b\":[2]}],\"m\":{\"x\":{\"y\":0}}}";
    pang_json *one = parse(arena, first);
    for (int i = 0; i < 3; i++)
        assert_string_equal(print_again(arena, one), first);
    pang_json *two = pang_json_object(arena), *list = pang_json_array(arena);
    pang_json *element = pang_json_get(one, "list");
    assert_true(pang_json_append(list, pang_json_at(element, 1)));
    assert_true(pang_json_append(list, pang_json_at(element, 0)));
    assert_true(pang_json_set(two, "list", list));
    assert_string_equal(print_again(arena, two), "{\"list\":[{\"b\":[2]},{\"a\":1}]}");
    assert_true(pang_json_set(pang_json_at(list, 1), "a", pang_json_int(7, arena)));
    pang_json_remove(pang_json_at(list, 0), "b");
    assert_string_equal(print_again(arena, two), "{\"list\":[{},{\"a\":7}]}");
    assert_string_equal(print(arena, two), "{\"list\":[{},{\"a\":7}]}");
}

static void test_json__depth_is_bounded_when_printing(void **state)
{
    pang_json *inner = pang_json_array(*state);
    pang_str text;
    for (int i = 0; i < PANG_JSON_DEPTH_MAX * 2; i++) {
        pang_json *outer = pang_json_array(*state);
        assert_true(pang_json_append(outer, inner));
        inner = outer;
    }
    assert_int_equal(pang_json_print(inner, *state, &text, NULL), PANG_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_json__what_is_read_is_printed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__what_is_no_json_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__readers_tell_types_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__null_is_not_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__changes_keep_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__long_names_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__members_come_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__equal_goes_by_value, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__a_copy_stands_alone_and_parts_may_be_shared,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__trees_die_with_the_arena, setup, teardown),
        cmocka_unit_test_setup_teardown(test_json__what_was_printed_is_printed_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_json__depth_is_bounded_when_printing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
