/*
 * server/trees.c: a taken tree is nobody else's, what a call keeps comes in when the call is over,
 * and the bounds hold. The sanitizers see to it that every count is given back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/trees.h"

enum { BOUND = 1000, ARENA = 1 << 20 };

static pang_trees *trees;
static pang_arena *arena;

static int setup(void **state)
{
    (void)state;
    trees = pang_trees_new(BOUND);
    arena = pang_arena_new(ARENA);
    return trees == NULL || arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pang_arena_free(arena);
    pang_trees_free(trees);
    return 0;
}

static pang_id id_of(unsigned n)
{
    pang_id id = {{0}};
    id.bytes[15] = (uint8_t)n;
    return id;
}

static pang_json *parse(pang_arena *in, const char *text)
{
    pang_json *tree = NULL;
    pang_err err;
    assert_int_equal(pang_json_parse(pang_str_from(text), in, &tree, &err), PANG_OK);
    return tree;
}

/* One call that makes a document. */
static void make(unsigned n, const char *text, size_t len)
{
    pang_tree_loan *loan = pang_trees_lend(trees, arena);
    assert_non_null(loan);
    pang_trees_keep(loan, id_of(n), parse(arena, text), len);
    pang_arena_reset(arena);
}

static bool is_kept(unsigned n)
{
    bool kept = pang_trees_take(pang_trees_lend(trees, arena), id_of(n)) != NULL;
    pang_arena_reset(arena);
    return kept;
}

static void take__gives_what_was_kept_once(void **state)
{
    int64_t number;
    (void)state;
    make(1, "{\"a\":{\"b\":7}}", 13);
    pang_tree_loan *loan = pang_trees_lend(trees, arena);
    assert_null(pang_trees_take(loan, id_of(2)));
    const pang_json *tree = pang_trees_take(loan, id_of(1));
    assert_true(pang_json_to_int64(pang_json_get(pang_json_get(tree, "a"), "b"), &number));
    assert_int_equal(number, 7);
    assert_null(pang_trees_take(loan, id_of(1)));
    pang_arena_reset(arena);
    assert_false(is_kept(1));
}

static void keep__waits_for_the_end_of_the_call(void **state)
{
    pang_arena *other = pang_arena_new(ARENA);
    (void)state;
    pang_tree_loan *loan = pang_trees_lend(trees, other);
    pang_trees_keep(loan, id_of(1), parse(other, "[1]"), 3);
    assert_false(is_kept(1));
    pang_arena_free(other);
    assert_true(is_kept(1));
}

/* The next document shares nodes with the one it follows, names included. */
static void keep__outlives_what_it_was_made_of(void **state)
{
    pang_err err;
    pang_str text;
    (void)state;
    make(1, "{\"shared\":[\"x\",1.50],\"n\":1}", 27);
    pang_tree_loan *loan = pang_trees_lend(trees, arena);
    const pang_json *base = pang_trees_take(loan, id_of(1));
    pang_json *update = parse(arena, "{\"added\":{\"c\":null}}");
    pang_json *next = pang_json_object(arena);
    assert_true(pang_json_set(next, "shared", pang_json_get(base, "shared")));
    assert_true(pang_json_set_str(next, PANG_STR("added"), pang_json_get(update, "added")));
    pang_trees_keep(loan, id_of(2), next, 30);
    pang_arena_reset(arena);

    const pang_json *tree = pang_trees_take(pang_trees_lend(trees, arena), id_of(2));
    assert_int_equal(pang_json_print(tree, arena, &text, &err), PANG_OK);
    assert_true(pang_str_equal(text, PANG_STR("{\"shared\":[\"x\",1.50],\"added\":{\"c\":null}}")));
    pang_arena_reset(arena);
}

static void keep__lets_the_oldest_go(void **state)
{
    (void)state;
    make(1, "[1]", 400);
    make(2, "[2]", 400);
    make(3, "[3]", 400);
    assert_false(is_kept(1));
    assert_true(is_kept(2));
    assert_true(is_kept(3));
    make(4, "[4]", BOUND / 2 + 1);
    assert_false(is_kept(4));
}

static void keep__has_room_for_a_number_of_trees(void **state)
{
    unsigned kept = 0;
    (void)state;
    for (unsigned i = 0; i < 256; i++)
        make(i, "[]", 1);
    make(255, "[]", 1);
    for (unsigned i = 0; i < 256; i++)
        kept += is_kept(i);
    assert_int_equal(kept, 255);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(take__gives_what_was_kept_once, setup, teardown),
        cmocka_unit_test_setup_teardown(keep__waits_for_the_end_of_the_call, setup, teardown),
        cmocka_unit_test_setup_teardown(keep__outlives_what_it_was_made_of, setup, teardown),
        cmocka_unit_test_setup_teardown(keep__lets_the_oldest_go, setup, teardown),
        cmocka_unit_test_setup_teardown(keep__has_room_for_a_number_of_trees, setup, teardown),
    };
    return cmocka_run_group_tests_name("trees", tests, NULL, NULL);
}
