/*
 * server/address.c: the forms in which requests name things at refs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/address.h"

static pang_arena *arena;

static pang_address parse(const char *prefix, const char *levels, const char *name)
{
    pang_err err;
    pang_address address;
    pang_str names[8], rest = pang_str_from(levels), one;
    size_t n = 0;
    while (pang_str_next(&rest, '.', &one))
        names[n++] = one;
    assert_int_equal(pang_address_parse(pang_str_from(prefix), (pang_levels){names, n},
                                        pang_str_from(name), arena, &address, &err),
                     PANG_OK);
    return address;
}

static void expect(pang_str text, const char *wanted)
{
    if (!pang_str_equal(text, pang_str_from(wanted)))
        fail_msg("\"%.*s\" instead of \"%s\"", PANG_STR_ARG(text), wanted);
}

static void test_address__forms(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *levels, *name, *catalog, *ref, *last, *plain, *other;
    } cases[] = {
        {"demo", "a.b", "t", "demo", "main", "b", "t", ""},
        {"demo", "", "", "demo", "main", "", "", ""},
        {"demo@dev", "a.b", "t", "demo", "dev", "b", "t", ""},
        {"demo", "a.b@dev", "t", "demo", "dev", "b", "t", ""},
        {"demo", "a.b", "t@dev", "demo", "dev", "b", "t", ""},
        {"demo@dev", "a.b@dev", "t@dev", "demo", "dev", "b", "t", ""},
        {"demo@dev", "a.b@x", "t", "demo", "dev", "b", "t", "x"},
        {"demo@main", "a", "t@dev", "demo", "main", "a", "t", "dev"},
        {"demo", "a", "t@", "demo", "", "a", "t", ""},
        {"demo@dev", "a", "t@", "demo", "dev", "a", "t", "(empty)"},
        {"demo", "a", "t@x@y", "demo", "x@y", "a", "t", ""},
        {"demo", "a", "@x", "demo", "x", "a", "", ""},
        {"demo", "a@x.b", "t", "demo", "main", "b", "t", ""}, /* a level that cannot exist */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_address a = parse(cases[i].prefix, cases[i].levels, cases[i].name);
        expect(a.catalog, cases[i].catalog);
        expect(a.ref, cases[i].ref);
        expect(a.name, cases[i].plain);
        expect(a.other_ref, cases[i].other);
        expect(a.levels.n == 0 ? (pang_str){0} : a.levels.names[a.levels.n - 1], cases[i].last);
    }
}

static void test_address__agreement(void **state)
{
    (void)state;
    static const struct {
        const char *first, *further;
        pang_code code;
    } cases[] = {
        {"t", "u", PANG_OK},
        {"t@dev", "u", PANG_OK},
        {"t@dev", "u@dev", PANG_OK},
        {"t", "u@main", PANG_OK},
        {"t", "u@dev", PANG_INVALID_ARGUMENT},
        {"t@dev", "u@main", PANG_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_err err;
        pang_address first = parse("demo", "a", cases[i].first);
        pang_address further = parse("demo", "a", cases[i].further);
        assert_int_equal(pang_address_agree(&first, &further, &err), cases[i].code);
    }
}

static void test_address__children(void **state)
{
    (void)state;
    pang_address a = parse("demo", "a@dev", "");
    assert_string_equal(pang_address_child(&a, PANG_STR("b"), arena), "b@dev");
    a = parse("demo@dev", "a@dev", "");
    assert_string_equal(pang_address_child(&a, PANG_STR("b"), arena), "b");
    a = parse("demo", "a", "");
    assert_string_equal(pang_address_child(&a, PANG_STR("b"), arena), "b");
    pang_address_add(&a, PANG_STR("dev"));
    expect(a.ref, "dev");
    pang_address_add(&a, PANG_STR(""));
    expect(a.other_ref, "");
    pang_address_add(&a, PANG_STR("x"));
    expect(a.other_ref, "x");
}

static int set_up(void **state)
{
    (void)state;
    arena = pang_arena_new(1 << 20);
    return arena == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    pang_arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_address__forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_address__agreement, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_address__children, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
