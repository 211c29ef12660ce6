/*
 * What random steps once found, as scenes of a few steps that say what it was.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/versions/real.h"
#include "tests/versions/url.h"

static const char *the_url;

/* The table "default.t1", which a ref gives one more column. */
static void add_column(world *w, const char *ref, item *now, int number, int id)
{
    change c = {.title = 1, .property = -1, .file = -1, .column = number, .id = id, .before = now};
    assert_int_equal(real_change_table(w, ref, &c), PANG_OK);
    now->columns[now->n_columns].number = number;
    now->columns[now->n_columns++].id = id;
}

static void must_merge(world *w, const char *source, const char *target)
{
    merge_call call = {.source = source, .target = target};
    real_merge(w, &call);
    if (call.code != PANG_OK || call.n_conflicts > 0)
        fail_msg("%s into %s: %s%s", source, target, w->fx->err.message, call.told);
}

static world *open_world(void)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    fixture *fx = fx_open(the_url);
    real_open(w, fx, model_open(1), 1);
    w->step = "a scene";
    assert_int_equal(real_create_table(w, "main", 0, 1, 1), PANG_OK);
    return w;
}

static void close_world(world *w)
{
    model_close(w->m);
    fx_close(w->fx);
    free(w);
}

/* A merge gave a column another id; a branch from before that column has one of its own with the
 * first id. It is another column. */
static void test_found__a_map_of_columns_that_came_later(void **state)
{
    world *w = open_world();
    item main = {0}, old = {0}, into = {0};
    (void)state;
    assert_int_equal(real_create_branch(w, "old", "main", true, NULL, 0), PANG_OK);
    assert_int_equal(real_create_branch(w, "into", "main", true, NULL, 0), PANG_OK);
    add_column(w, "into", &into, 1, 3);
    add_column(w, "main", &main, 2, 3);
    must_merge(w, "main", "into"); /* column 3 of main is 4 there */
    add_column(w, "old", &old, 9, 3);
    must_merge(w, "old", "into");
    assert_string_equal(real_text(w, "into"), "space default\ntable default.t1 #1 c1 c2 c9\n");
    close_world(w);
}

/* The same with rows: what does not have the column is not held back by it. */
static void test_found__rows_of_a_branch_without_the_column(void **state)
{
    world *w = open_world();
    item main = {0}, into = {0};
    change rows = {.title = 1, .property = -1, .file = 7};
    (void)state;
    assert_int_equal(real_create_branch(w, "old", "main", true, NULL, 0), PANG_OK);
    assert_int_equal(real_create_branch(w, "into", "main", true, NULL, 0), PANG_OK);
    add_column(w, "into", &into, 1, 3);
    add_column(w, "main", &main, 2, 3);
    must_merge(w, "main", "into");
    assert_int_equal(real_change_table(w, "old", &rows), PANG_OK);
    must_merge(w, "old", "into");
    assert_string_equal(real_text(w, "into"), "space default\ntable default.t1 #1 c1 c2 f7\n");
    close_world(w);
}

/* A table that was empty on the target takes rows by a merge, and goes back by another. */
static void test_found__a_history_that_begins_with_a_merge(void **state)
{
    world *w = open_world();
    change property = {.title = 1, .property = 1, .value = 5, .file = -1};
    change rows = {.title = 1, .property = -1, .file = 3};
    (void)state;
    assert_int_equal(real_create_branch(w, "dev", "main", true, NULL, 0), PANG_OK);
    assert_int_equal(real_change_table(w, "dev", &rows), PANG_OK);
    assert_int_equal(real_change_table(w, "main", &property), PANG_OK);
    must_merge(w, "dev", "main");
    rows.file = 4;
    assert_int_equal(real_change_table(w, "dev", &rows), PANG_OK);
    must_merge(w, "main", "dev");
    assert_string_equal(real_text(w, "dev"), "space default\ntable default.t1 #1 p1=v5 f3 f4\n");
    close_world(w);
}

/* A selection was merged into two branches, which then merge: a table that it did not hold has its
 * base where they were made. */
static void test_found__a_selection_is_no_base_of_what_it_lacks(void **state)
{
    world *w = open_world();
    change a = {.title = 1, .property = 1, .value = 1, .file = -1};
    change b = {.title = 1, .property = 2, .value = 2, .file = -1};
    change other = {.title = 2, .property = 1, .value = 3, .file = -1};
    char *selected[] = {(char *)(uintptr_t) "default.t2"};
    (void)state;
    assert_int_equal(real_create_table(w, "main", 0, 2, 2), PANG_OK);
    assert_int_equal(real_create_branch(w, "dev", "main", true, NULL, 0), PANG_OK);
    assert_int_equal(real_create_branch(w, "part", "main", true, selected, 1), PANG_OK);
    assert_int_equal(real_change_table(w, "part", &other), PANG_OK);
    must_merge(w, "part", "main");
    must_merge(w, "part", "dev");
    assert_int_equal(real_change_table(w, "main", &a), PANG_OK);
    assert_int_equal(real_change_table(w, "dev", &b), PANG_OK);
    must_merge(w, "main", "dev");
    assert_string_equal(real_text(w, "dev"), "space default\ntable default.t1 #1 p1=v1 p2=v2\n"
                                             "table default.t2 #2 p1=v3\n");
    close_world(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found__a_map_of_columns_that_came_later),
        cmocka_unit_test(test_found__rows_of_a_branch_without_the_column),
        cmocka_unit_test(test_found__a_history_that_begins_with_a_merge),
        cmocka_unit_test(test_found__a_selection_is_no_base_of_what_it_lacks),
    };
    the_url = test_url(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
