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

static void must_conflict(world *w, const char *source, const char *target)
{
    merge_call call = {.source = source, .target = target};
    real_merge(w, &call);
    if (call.code != PANG_OK || call.n_conflicts != 1)
        fail_msg("%s into %s: %s%s", source, target, w->fx->err.message, call.told);
}

static void shows(world *w, const char *ref, const char *text)
{
    assert_string_equal(real_text(w, ref), text);
}

/* Branches of main. */
static void make_branches(world *w, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(real_create_branch(w, names[i], "main", true, NULL, 0), PANG_OK);
}

/* A selection of one table, or of all that is in a namespace. */
static void make_partial(world *w, const char *name, const char *from, const char *selected)
{
    char *list[] = {(char *)(uintptr_t)selected};
    assert_int_equal(real_create_branch(w, name, from, true, list, 1), PANG_OK);
}

static void set(world *w, const char *ref, int title, int property, int value)
{
    change c = {.title = title, .property = property, .value = value, .file = -1};
    assert_int_equal(real_change_table(w, ref, &c), PANG_OK);
}

static void add_rows(world *w, const char *ref, int title, int file)
{
    change c = {.title = title, .property = -1, .file = file};
    assert_int_equal(real_change_table(w, ref, &c), PANG_OK);
}

static void merge_by(world *w, const char *source, const char *target, const char *key,
                     const char *mode)
{
    merge_call call = {.source = source, .target = target, .n_modes = 1};
    call.modes[0].key = key;
    call.modes[0].mode = mode;
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

/* ---- columns that have other ids in the target: rows of the source must not be read by them ----
 */

static const char *const three[] = {"x", "s", "t"};

/* Column 3 of x is column 4 of s. */
static void renumber(world *w)
{
    item x = {0}, s = {0};
    make_branches(w, three, 3);
    add_column(w, "s", &s, 1, 3);
    add_column(w, "x", &x, 2, 3);
    must_merge(w, "x", "s");
}

static void test_found__a_rename_keeps_the_map_of_columns(void **state)
{
    world *w = open_world();
    item from = {.title = 1};
    (void)state;
    renumber(w);
    assert_int_equal(real_rename(w, "x", &from, 0, 3), PANG_OK);
    must_merge(w, "x", "s");
    add_rows(w, "x", 3, 1);
    must_conflict(w, "x", "s");
    close_world(w);
}

static void test_found__what_is_left_out_keeps_the_map_of_columns(void **state)
{
    world *w = open_world();
    (void)state;
    renumber(w);
    set(w, "x", 1, 1, 7);
    merge_by(w, "x", "s", "default.t1", "drop");
    add_rows(w, "x", 1, 1);
    must_conflict(w, "x", "s");
    close_world(w);
}

static void test_found__the_map_of_columns_is_passed_on(void **state)
{
    world *w = open_world();
    (void)state;
    renumber(w);
    must_merge(w, "s", "t");
    set(w, "x", 1, 1, 7);
    must_merge(w, "x", "t");
    shows(w, "t", "space default\ntable default.t1 #1 p1=v7 c1 c2\n");
    add_rows(w, "x", 1, 1);
    must_conflict(w, "x", "t");
    close_world(w);
}

/* As the last, with another table in between. */
static void test_found__the_map_of_columns_outlives_other_merges(void **state)
{
    world *w = open_world();
    (void)state;
    assert_int_equal(real_create_table(w, "main", 0, 2, 2), PANG_OK);
    renumber(w);
    assert_int_equal(real_create_branch(w, "u", "s", true, NULL, 0), PANG_OK);
    must_merge(w, "s", "t");
    set(w, "x", 2, 1, 7);
    must_merge(w, "x", "s");
    must_merge(w, "s", "t");
    must_merge(w, "s", "u");
    add_rows(w, "x", 1, 1);
    must_conflict(w, "x", "t");
    must_conflict(w, "x", "u");
    close_world(w);
}

/* What somebody decided against has ids that mean something else in the target. */
static void test_found__columns_that_were_decided_against(void **state)
{
    world *w = open_world();
    item x = {0}, s = {0};
    (void)state;
    make_branches(w, three, 2);
    add_column(w, "s", &s, 1, 3);
    add_column(w, "x", &x, 2, 3);
    assert_int_equal(real_create_branch(w, "t", "x", true, NULL, 0), PANG_OK);
    set(w, "t", 1, 2, 8);
    merge_by(w, "x", "s", "default.t1", "take_target");
    set(w, "x", 1, 1, 7);
    must_merge(w, "x", "s");
    shows(w, "s", "space default\ntable default.t1 #1 p1=v7 c1\n");
    must_merge(w, "s", "t");
    shows(w, "t", "space default\ntable default.t1 #1 p1=v7 p2=v8 c1\n");
    add_rows(w, "x", 1, 1);
    must_conflict(w, "x", "s");
    add_rows(w, "s", 1, 2);
    must_conflict(w, "s", "t");
    close_world(w);
}

/* ---- one id for two columns: who takes a table whole takes its columns by their ids ---- */

/* Both gave 3 out: to c1 on t, to c2 on s. t takes the table of s; u is t as it was before. */
static void take_whole(world *w)
{
    static const char *const names[] = {"s", "t"};
    item s = {0}, t = {0};
    make_branches(w, names, 2);
    add_column(w, "t", &t, 1, 3);
    add_column(w, "s", &s, 2, 3);
    assert_int_equal(real_create_branch(w, "u", "t", true, NULL, 0), PANG_OK);
    merge_by(w, "s", "t", "default.t1", "take_source");
}

static void test_found__rows_from_before_a_table_was_taken_whole(void **state)
{
    world *w = open_world();
    (void)state;
    take_whole(w);
    shows(w, "t", "space default\ntable default.t1 #1 c2\n");
    add_rows(w, "u", 1, 1);
    must_conflict(w, "u", "t");
    must_conflict(w, "t", "u");
    add_rows(w, "s", 1, 2);
    must_merge(w, "s", "t");
    shows(w, "t", "space default\ntable default.t1 #1 c2 f2\n");
    close_world(w);
}

/* What was merged in between makes no base of columns that are not the same. */
static void test_found__rows_after_a_merge_of_something_else(void **state)
{
    world *w = open_world();
    (void)state;
    assert_int_equal(real_create_table(w, "main", 0, 2, 2), PANG_OK);
    take_whole(w);
    set(w, "u", 2, 1, 7);
    must_merge(w, "u", "t");
    set(w, "u", 1, 2, 8);
    must_merge(w, "u", "t");
    shows(w, "t", "space default\ntable default.t1 #1 p2=v8 c2\ntable default.t2 #2 p1=v7\n");
    add_rows(w, "u", 1, 1);
    must_conflict(w, "u", "t");
    merge_by(w, "u", "t", "default.t1", "take_target");
    add_rows(w, "u", 1, 2);
    must_conflict(w, "u", "t");
    merge_by(w, "t", "u", "default.t1", "take_target");
    add_rows(w, "t", 1, 3);
    must_conflict(w, "t", "u");
    close_world(w);
}

/* Rows that came by a merge and went by a revert are in no snapshot that the table has: a column
 * that there was meanwhile is written with none. */
static void test_found__a_column_that_a_reverted_merge_did_not_write(void **state)
{
    static const char *const names[] = {"dev", "extra"};
    world *w = open_world();
    item main = {0}, dev = {0};
    commit merge;
    merge_call back = {.target = "dev"};
    (void)state;
    make_branches(w, names, 2);
    add_column(w, "dev", &dev, 1, 3);
    add_column(w, "main", &main, 2, 3);
    add_rows(w, "extra", 1, 1);
    must_merge(w, "extra", "dev");
    assert_int_equal(real_log(w, "dev", &merge, 1), 1);
    must_conflict(w, "dev", "main");
    real_again(w, REVERT, merge.id, &back);
    assert_int_equal(back.code, PANG_OK);
    must_merge(w, "dev", "main");
    shows(w, "main", "space default\ntable default.t1 #1 c1 c2\n");
    close_world(w);
}

/* ---- selections ---- */

/* The target was made before the table that a selection dropped. */
static void test_found__a_drop_on_a_selection(void **state)
{
    static const char *const old[] = {"old"};
    world *w = open_world();
    (void)state;
    make_branches(w, old, 1);
    assert_int_equal(real_create_table(w, "main", 0, 2, 2), PANG_OK);
    make_partial(w, "part", "main", "default.t2");
    assert_int_equal(real_drop(w, "part", &(item){.kind = TABLE, .title = 2}), PANG_OK);
    must_merge(w, "part", "old");
    must_merge(w, "main", "old");
    shows(w, "old", "space default\ntable default.t1 #1\n");
    close_world(w);
}

/* A namespace that was not selected is made anew on the selection. */
static void test_found__a_namespace_of_a_selection_of_its_own(void **state)
{
    world *w = open_world();
    change q = {.space = 2, .property = 3, .value = 3, .file = -1};
    (void)state;
    assert_int_equal(real_create_space(w, "main", 2, 1, 1), PANG_OK);
    make_partial(w, "part", "main", "default.t1");
    assert_int_equal(real_create_space(w, "part", 2, 2, 2), PANG_OK);
    must_merge(w, "part", "main");
    shows(w, "main", "space b p1=v1 p2=v2\nspace default\ntable default.t1 #1\n");
    assert_int_equal(real_change_space(w, "main", &q), PANG_OK);
    must_merge(w, "main", "part");
    shows(w, "part", "space b p1=v1 p2=v2 p3=v3\nspace default\ntable default.t1 #1\n");
    close_world(w);
}

/* What was merged into a selection is in what that is merged into, as far as it held it. */
static void test_found__marks_of_a_selection_are_passed_on(void **state)
{
    static const char *const names[] = {"x"};
    world *w = open_world();
    change space = {.property = 2, .value = 5, .file = -1};
    (void)state;
    assert_int_equal(real_create_table(w, "main", 0, 2, 2), PANG_OK);
    make_branches(w, names, 1);
    make_partial(w, "part", "main", "default.t1");
    set(w, "x", 1, 1, 1);
    set(w, "x", 2, 1, 2);
    assert_int_equal(real_change_space(w, "x", &space), PANG_OK);
    must_merge(w, "x", "part");
    set(w, "part", 1, 1, 3);
    space.value = 6;
    assert_int_equal(real_change_space(w, "part", &space), PANG_OK);
    must_merge(w, "part", "main");
    shows(w, "main", "space default p2=v6\ntable default.t1 #1 p1=v3\ntable default.t2 #2\n");
    must_merge(w, "x", "main");
    shows(w, "main", "space default p2=v6\ntable default.t1 #1 p1=v3\ntable default.t2 #2 p1=v2\n");
    close_world(w);
}

/* A namespace that is left out comes with the next merge, as tables do. */
static void test_found__a_namespace_that_was_left_out(void **state)
{
    static const char *const names[] = {"dev"};
    world *w = open_world();
    change space = {.property = 2, .value = 5, .file = -1};
    (void)state;
    make_branches(w, names, 1);
    assert_int_equal(real_change_space(w, "dev", &space), PANG_OK);
    merge_by(w, "dev", "main", "default", "drop");
    shows(w, "main", "space default\ntable default.t1 #1\n");
    must_merge(w, "dev", "main");
    shows(w, "main", "space default p2=v5\ntable default.t1 #1\n");
    close_world(w);
}

/* Gone when both were last the same, and made anew by both: what it was before counts for nothing.
 */
static void test_found__a_namespace_made_anew_by_both(void **state)
{
    static const char *const names[] = {"dev"};
    world *w = open_world();
    (void)state;
    assert_int_equal(real_create_space(w, "main", 2, 1, 1), PANG_OK);
    make_branches(w, names, 1);
    assert_int_equal(real_drop_space(w, "main", 2), PANG_OK);
    must_merge(w, "main", "dev");
    assert_int_equal(real_create_space(w, "main", 2, 1, 2), PANG_OK);
    assert_int_equal(real_create_space(w, "dev", 2, 2, 3), PANG_OK);
    must_merge(w, "main", "dev");
    shows(w, "dev", "space b p1=v2 p2=v3\nspace default\ntable default.t1 #1\n");
    close_world(w);
}

/* The target's drop was kept, and then the table was taken after all: what the target has of third
 * branches it has since then. */
static void test_found__taken_after_all(void **state)
{
    static const char *const names[] = {"dev", "old"};
    world *w = open_world();
    (void)state;
    make_branches(w, names, 2);
    set(w, "dev", 1, 1, 1);
    must_merge(w, "dev", "main");
    assert_int_equal(real_drop(w, "old", &(item){.kind = TABLE, .title = 1}), PANG_OK);
    merge_by(w, "main", "old", "default.t1", "take_target");
    set(w, "main", 1, 2, 2);
    merge_by(w, "main", "old", "default.t1", "take_source");
    set(w, "old", 1, 3, 3);
    set(w, "dev", 1, 4, 4);
    must_merge(w, "dev", "old");
    shows(w, "old", "space default\ntable default.t1 #1 p1=v1 p2=v2 p3=v3 p4=v4\n");
    close_world(w);
}

/* A drop that both sides took back: they have what it was before in common. */
static void test_found__a_drop_that_both_took_back(void **state)
{
    static const char *const names[] = {"dev"};
    world *w = open_world();
    commit drop;
    merge_call main = {.target = "main"}, dev = {.target = "dev"};
    (void)state;
    set(w, "main", 1, 1, 1);
    assert_int_equal(real_drop(w, "main", &(item){.kind = TABLE, .title = 1}), PANG_OK);
    assert_int_equal(real_log(w, "main", &drop, 1), 1);
    make_branches(w, names, 1);
    real_again(w, REVERT, drop.id, &main);
    real_again(w, REVERT, drop.id, &dev);
    assert_int_equal(main.code, PANG_OK);
    assert_int_equal(dev.code, PANG_OK);
    set(w, "main", 1, 2, 2);
    set(w, "dev", 1, 3, 3);
    must_merge(w, "dev", "main");
    shows(w, "main", "space default\ntable default.t1 #1 p1=v1 p2=v2 p3=v3\n");
    close_world(w);
}

/* A table that a selection kept came back where it was dropped; then the selection drops it, and
 * has all that there is. */
static void test_found__dropped_after_it_came_back(void **state)
{
    static const char *const names[] = {"dev"};
    const item table = {.kind = TABLE, .title = 1};
    world *w = open_world();
    (void)state;
    make_partial(w, "part", "main", "default.t1");
    set(w, "part", 1, 1, 1);
    assert_int_equal(real_drop(w, "main", &table), PANG_OK);
    make_branches(w, names, 1);
    merge_by(w, "main", "part", "default.t1", "take_target");
    must_merge(w, "part", "dev");
    shows(w, "dev", "space default\ntable default.t1 #1 p1=v1\n");
    assert_int_equal(real_drop(w, "part", &table), PANG_OK);
    must_merge(w, "dev", "part");
    shows(w, "part", "space default\n");
    close_world(w);
}

/* The same, and the selection is a third branch that came to both. */
static void test_found__dropped_after_it_came_back_to_both(void **state)
{
    static const char *const names[] = {"dev", "new"};
    const item table = {.kind = TABLE, .title = 1};
    world *w = open_world();
    (void)state;
    make_partial(w, "part", "main", "default.t1");
    set(w, "part", 1, 1, 1);
    assert_int_equal(real_drop(w, "main", &table), PANG_OK);
    make_branches(w, names, 2);
    merge_by(w, "main", "part", "default.t1", "take_target");
    must_merge(w, "part", "dev");
    must_merge(w, "part", "new");
    assert_int_equal(real_drop(w, "new", &table), PANG_OK);
    must_merge(w, "dev", "new");
    shows(w, "new", "space default\n");
    close_world(w);
}

/* A namespace was made and dropped on main before the target merged that: it has the drop. */
static void test_found__a_namespace_that_came_and_went(void **state)
{
    world *w = open_world();
    const item table = {.kind = TABLE, .space = 2, .title = 2};
    merge_call call = {.source = "dev", .target = "old"};
    (void)state;
    assert_int_equal(real_create_branch(w, "old", "main", true, NULL, 0), PANG_OK);
    assert_int_equal(real_create_space(w, "main", 2, 1, 1), PANG_OK);
    assert_int_equal(real_create_table(w, "main", 2, 2, 2), PANG_OK);
    assert_int_equal(real_create_branch(w, "dev", "main", true, NULL, 0), PANG_OK);
    assert_int_equal(real_drop(w, "main", &table), PANG_OK);
    assert_int_equal(real_drop_space(w, "main", 2), PANG_OK);
    must_merge(w, "main", "old");
    assert_int_equal(real_create_table(w, "dev", 2, 3, 3), PANG_OK);
    real_merge(w, &call);
    assert_int_equal(call.n_conflicts, 1);
    assert_string_equal(call.conflicts[0], "b");
    shows(w, "old", "space default\ntable default.t1 #1\n");
    assert_int_equal(real_resolve(w, &call, "b", &(real_choice){"TakeSource", NULL}), PANG_OK);
    real_complete(w, &call);
    assert_int_equal(call.code, PANG_OK);
    shows(w, "old", "space b p1=v1\nspace default\ntable b.t3 #3\ntable default.t1 #1\n");
    close_world(w);
}

static void set_space(world *w, const char *ref, int space, int property, int value)
{
    change c = {.space = space, .property = property, .value = value, .file = -1};
    assert_int_equal(real_change_space(w, ref, &c), PANG_OK);
}

/* What a merge made of a namespace's properties is newer than either side's: of two bases, the one
 * that has it counts, and what was removed since does not come back by the other. */
static void test_found__merged_properties_are_newer_than_both(void **state)
{
    static const char *const names[] = {"a", "b", "s", "t"};
    world *w = open_world();
    (void)state;
    make_branches(w, names, 4);
    set_space(w, "b", 0, 2, 2);
    set_space(w, "a", 0, 1, 1);
    must_merge(w, "a", "b");
    set(w, "a", 1, 0, 5); /* a is not in b any more: both are bases */
    for (size_t i = 2; i < 4; i++) {
        must_merge(w, "b", names[i]);
        must_merge(w, "a", names[i]);
    }
    shows(w, "t", "space default p1=v1 p2=v2\ntable default.t1 #1 p0=v5\n");
    set_space(w, "s", 0, 1, 9);
    set_space(w, "t", 0, 2, 0);
    must_merge(w, "s", "t");
    shows(w, "t", "space default p1=v9\ntable default.t1 #1 p0=v5\n");
    close_world(w);
}

/* The target took the source's drop of what it had changed, and two branches took that back: what
 * the table was before is what it was there, and not on the source. */
static void test_found__what_it_was_before_a_drop_was_taken(void **state)
{
    static const char *const names[] = {"dev"};
    world *w = open_world();
    commit taken;
    merge_call dev = {.target = "dev"}, other = {.target = "other"};
    (void)state;
    make_branches(w, names, 1);
    set(w, "main", 1, 1, 5);
    set(w, "dev", 1, 2, 6);
    assert_int_equal(real_drop(w, "main", &(item){.kind = TABLE, .title = 1}), PANG_OK);
    merge_by(w, "main", "dev", "default.t1", "take_source");
    assert_int_equal(real_log(w, "dev", &taken, 1), 1);
    assert_int_equal(real_create_branch(w, "other", "dev", true, NULL, 0), PANG_OK);
    real_again(w, REVERT, taken.id, &dev);
    real_again(w, REVERT, taken.id, &other);
    shows(w, "other", "space default\ntable default.t1 #1 p2=v6\n");
    set(w, "dev", 1, 1, 7);
    set(w, "other", 1, 2, 8);
    must_merge(w, "other", "dev");
    shows(w, "dev", "space default\ntable default.t1 #1 p1=v7 p2=v8\n");
    close_world(w);
}

/* A selection that has a namespace of its own took in that another of that name was dropped: that
 * is not about its own, so the drop is still to be met by who merged the selection. */
static void test_found__a_drop_that_a_selection_did_not_meet(void **state)
{
    static const char *const names[] = {"dev"};
    world *w = open_world();
    (void)state;
    assert_int_equal(real_create_space(w, "main", 2, 1, 1), PANG_OK);
    make_branches(w, names, 1);
    make_partial(w, "part", "dev", "default.t1");
    assert_int_equal(real_drop_space(w, "dev", 2), PANG_OK);
    assert_int_equal(real_create_space(w, "part", 2, 2, 2), PANG_OK);
    must_merge(w, "dev", "part");
    shows(w, "part", "space b p2=v2\nspace default\ntable default.t1 #1\n");
    must_merge(w, "part", "main");
    must_conflict(w, "dev", "main");
    shows(w, "main", "space b p1=v1 p2=v2\nspace default\ntable default.t1 #1\n");
    close_world(w);
}

/* Main set something and back before it was merged: nothing of that shows in who merged it, nor in
 * who merged that, until it comes to a branch that has what was set. */
static void test_found__set_back_and_merged_twice(void **state)
{
    static const char *const names[] = {"x", "y"};
    world *w = open_world();
    (void)state;
    make_branches(w, names, 2);
    set_space(w, "main", 0, 1, 1);
    assert_int_equal(real_create_branch(w, "old", "main", true, NULL, 0), PANG_OK);
    set_space(w, "main", 0, 1, 0);
    set(w, "main", 1, 1, 2);
    must_merge(w, "main", "x");
    must_merge(w, "x", "y");
    must_merge(w, "y", "old");
    shows(w, "old", "space default\ntable default.t1 #1 p1=v2\n");
    close_world(w);
}

/* What somebody decided for is newer than what was decided against, though it was written before:
 * of two bases it counts. */
static void test_found__decided_for_the_older(void **state)
{
    static const char *const names[] = {"b", "s", "t"};
    world *w = open_world();
    (void)state;
    assert_int_equal(real_create_table(w, "main", 0, 2, 2), PANG_OK);
    make_branches(w, names, 3);
    set(w, "main", 1, 1, 1);
    set(w, "b", 1, 1, 2);
    merge_by(w, "b", "main", "default.t1", "take_target");
    set(w, "b", 2, 1, 3); /* b is not in main any more: both are bases */
    for (size_t i = 1; i < 3; i++) {
        must_merge(w, "main", names[i]);
        must_merge(w, "b", names[i]);
    }
    shows(w, "t", "space default\ntable default.t1 #1 p1=v1\ntable default.t2 #2 p1=v3\n");
    set(w, "s", 1, 2, 9);
    set(w, "t", 1, 1, 2);
    must_merge(w, "s", "t");
    shows(w, "t", "space default\ntable default.t1 #1 p1=v2 p2=v9\ntable default.t2 #2 p1=v3\n");
    close_world(w);
}

/* What was set back came to main from a branch that never had what was set: it is newer than that.
 */
static void test_found__set_back_by_what_is_older(void **state)
{
    static const char *const names[] = {"old", "x"}, *const later[] = {"dev", "z"};
    world *w = open_world();
    (void)state;
    make_branches(w, names, 2);
    set_space(w, "main", 0, 1, 1);
    make_branches(w, later, 2);
    set_space(w, "dev", 0, 1, 0);
    set(w, "dev", 1, 1, 2);
    must_merge(w, "dev", "x");
    must_merge(w, "x", "main");
    shows(w, "main", "space default\ntable default.t1 #1 p1=v2\n");
    must_merge(w, "main", "old");
    must_merge(w, "old", "z");
    shows(w, "z", "space default\ntable default.t1 #1 p1=v2\n");
    close_world(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found__a_map_of_columns_that_came_later),
        cmocka_unit_test(test_found__rows_of_a_branch_without_the_column),
        cmocka_unit_test(test_found__a_history_that_begins_with_a_merge),
        cmocka_unit_test(test_found__a_selection_is_no_base_of_what_it_lacks),
        cmocka_unit_test(test_found__a_rename_keeps_the_map_of_columns),
        cmocka_unit_test(test_found__what_is_left_out_keeps_the_map_of_columns),
        cmocka_unit_test(test_found__the_map_of_columns_is_passed_on),
        cmocka_unit_test(test_found__the_map_of_columns_outlives_other_merges),
        cmocka_unit_test(test_found__columns_that_were_decided_against),
        cmocka_unit_test(test_found__rows_from_before_a_table_was_taken_whole),
        cmocka_unit_test(test_found__rows_after_a_merge_of_something_else),
        cmocka_unit_test(test_found__a_column_that_a_reverted_merge_did_not_write),
        cmocka_unit_test(test_found__a_drop_on_a_selection),
        cmocka_unit_test(test_found__a_namespace_of_a_selection_of_its_own),
        cmocka_unit_test(test_found__marks_of_a_selection_are_passed_on),
        cmocka_unit_test(test_found__a_namespace_that_was_left_out),
        cmocka_unit_test(test_found__a_namespace_made_anew_by_both),
        cmocka_unit_test(test_found__taken_after_all),
        cmocka_unit_test(test_found__a_drop_that_both_took_back),
        cmocka_unit_test(test_found__dropped_after_it_came_back),
        cmocka_unit_test(test_found__dropped_after_it_came_back_to_both),
        cmocka_unit_test(test_found__a_namespace_that_came_and_went),
        cmocka_unit_test(test_found__merged_properties_are_newer_than_both),
        cmocka_unit_test(test_found__what_it_was_before_a_drop_was_taken),
        cmocka_unit_test(test_found__a_drop_that_a_selection_did_not_meet),
        cmocka_unit_test(test_found__set_back_and_merged_twice),
        cmocka_unit_test(test_found__decided_for_the_older),
        cmocka_unit_test(test_found__set_back_by_what_is_older),
    };
    the_url = test_url(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
