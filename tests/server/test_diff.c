/*
 * server/diff.c, model_diff.c, svc_diff.c: what makes two refs differ.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/server/ref_fixture.h"

#include "pangolin/v1/commit.pb-c.h"

typedef Pangolin__V1__DiffRequest diff_in;
typedef Pangolin__V1__DiffResponse diff_out;
typedef Pangolin__V1__DiffEntry entry;

static diff_in asking(const char *from, const char *to)
{
    diff_in in = PANGOLIN__V1__DIFF_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.from = TEXT(from);
    in.to = TEXT(to);
    return in;
}

/* Entries of all pages: "changed t, renamed t>u". */
static const char *diff_of(fixture *fx, diff_in in)
{
    char text[4096] = "";
    for (;;) {
        diff_out out;
        if (fx_call(fx, "Diff", &in, &out) != PANG_OK)
            fail_msg("%s", fx->err.message);
        for (size_t i = 0; i < out.n_entries; i++) {
            entry *e = out.entries[i];
            size_t at = strlen(text);
            (void)snprintf(text + at, sizeof text - at, "%s%s %s%s%s", at > 0 ? ", " : "",
                           e->change, e->from_name, e->from_name[0] != '\0' ? ">" : "", e->name);
        }
        if (out.next_page_token == NULL || out.next_page_token[0] == '\0')
            return fx_text(fx, "%s", text);
        in.page_token = out.next_page_token;
    }
}

static void rename_table(fixture *fx, const char *prefix, const char *from, const char *to)
{
    pang_edit *edit;
    pang_view view = rfx_view(fx, prefix);
    pang_content old = rfx_read(fx, &view, "ns", from), new = rfx_read(fx, &view, "ns", to);
    assert_int_equal(pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err), PANG_OK);
    assert_int_equal(pang_edit_move(edit, &old, &new, &fx->err), PANG_OK);
    rfx_land(fx, edit, "rename");
}

static void test_diff__added_removed_changed(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "same", "s");
    rfx_put(fx, "demo", "t", "m1");
    rfx_put(fx, "demo", "gone", "g");
    rfx_put(fx, "demo", "again", "1");
    rfx_branch(fx, "dev", "demo", 0);
    rfx_put(fx, "demo@dev", "t", "d1");
    rfx_drop(fx, "demo@dev", "gone");
    rfx_put(fx, "demo@dev", "new", "n");
    rfx_put(fx, "demo@dev", "brief", "b");
    rfx_drop(fx, "demo@dev", "brief");
    rfx_drop(fx, "demo@dev", "again");
    rfx_put(fx, "demo@dev", "again", "2"); /* another table of that name */
    const char *forth = "removed again, added again, added new, removed gone, changed t";
    const char *back = "removed again, added again, removed new, added gone, changed t";
    for (int32_t size = 1; size < 6; size++) {
        diff_in in = asking("main", "dev");
        in.page_size = size;
        assert_string_equal(diff_of(fx, in), forth);
        in = asking("dev", "main");
        in.page_size = size;
        assert_string_equal(diff_of(fx, in), back);
    }
    assert_string_equal(diff_of(fx, asking("dev", "dev")), "");
}

static void test_diff__both_sides_are_looked_at(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "m1");
    rfx_put(fx, "demo", "u", "u1");
    rfx_tag(fx, "v1", "demo", 0);
    rfx_branch(fx, "a", "demo", 0);
    rfx_branch(fx, "b", "demo", 0);
    rfx_put(fx, "demo@a", "t", "a1");
    rfx_put(fx, "demo@b", "u", "b1");
    rfx_put(fx, "demo@a", "t", "a2");
    assert_string_equal(diff_of(fx, asking("a", "b")), "changed t, changed u");
    assert_string_equal(diff_of(fx, asking("v1", "b")), "changed u");
    assert_string_equal(diff_of(fx, asking("main", "v1")), "");
    rfx_put(fx, "demo", "t", "m2");
    assert_string_equal(diff_of(fx, asking("v1", "main")), "changed t");
    diff_out out;
    diff_in in = asking("a", "b");
    assert_int_equal(fx_call(fx, "Diff", &in, &out), PANG_OK);
    assert_string_equal(out.from->branch, "a");
    assert_string_equal(out.to->branch, "b");
    assert_string_equal(out.common->branch, "main");
    assert_int_equal(out.common->sequence, 2);
    assert_string_equal(out.entries[0]->from->metadata_location, "a2");
    assert_string_equal(out.entries[0]->to->metadata_location, "m1");
}

static void test_diff__renames_are_paired_by_asset(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "t1");
    rfx_put(fx, "demo", "x", "x1");
    rfx_put(fx, "demo", "y", "y1");
    rfx_branch(fx, "dev", "demo", 0);
    rename_table(fx, "demo@dev", "t", "t2");
    rename_table(fx, "demo@dev", "t2", "t3");
    rename_table(fx, "demo@dev", "x", "z"); /* x and y change names */
    rename_table(fx, "demo@dev", "y", "x");
    rename_table(fx, "demo@dev", "z", "y");
    assert_string_equal(diff_of(fx, asking("main", "dev")),
                        "renamed x>y, renamed y>x, renamed t>t3");
    assert_string_equal(diff_of(fx, asking("dev", "main")),
                        "renamed x>y, renamed y>x, renamed t3>t");
    rename_table(fx, "demo", "t", "tt");
    assert_string_equal(diff_of(fx, asking("main", "dev")),
                        "renamed x>y, renamed y>x, renamed tt>t3");
}

static void test_diff__given_names_alone(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "t1");
    rfx_put(fx, "demo", "u", "u1");
    rfx_branch(fx, "dev", "demo", 0);
    rename_table(fx, "demo@dev", "t", "t2");
    rfx_put(fx, "demo@dev", "u", "u2");
    rfx_put(fx, "demo@dev", "v", "v1");
    diff_in in = asking("main", "dev");
    char *names[] = {TEXT("ns.u,ns.none"), TEXT("ns.t")};
    in.tables = names;
    in.n_tables = 2;
    assert_string_equal(diff_of(fx, in), "changed u, renamed t>t2");
    names[0] = TEXT("u");
    diff_out out;
    assert_int_equal(fx_call(fx, "Diff", &in, &out), PANG_INVALID_ARGUMENT);
}

static void test_diff__bad_input(void **state)
{
    fixture *fx = *state;
    diff_out out;
    rfx_put(fx, "demo", "t", "t1");
    diff_in in = asking("main", "");
    assert_int_equal(fx_call(fx, "Diff", &in, &out), PANG_INVALID_ARGUMENT);
    in = asking("main", "none");
    assert_int_equal(fx_call(fx, "Diff", &in, &out), PANG_NOT_FOUND);
    in = asking("main", "main");
    in.page_token = TEXT("x");
    assert_int_equal(fx_call(fx, "Diff", &in, &out), PANG_INVALID_ARGUMENT);
}

static void test_diff__costs_what_was_done_since(void **state)
{
    fixture *fx = *state;
    pang_db_stats before, after;
    for (int i = 0; i < 400; i++)
        rfx_put(fx, "demo", fx_text(fx, "t%d", i), "m");
    rfx_branch(fx, "dev", "demo", 0);
    rfx_put(fx, "demo@dev", "t7", "d");
    pang_db_get_stats(fx->db, &before);
    assert_string_equal(diff_of(fx, asking("main", "dev")), "changed t7");
    pang_db_get_stats(fx->db, &after);
    assert_true(after.scans - before.scans < 16);
    assert_true(after.gets - before.gets < 24);
}

/* ---- many operations against states that are listed and compared ---- */

enum { NAMES = 12 };

static const char *asset_of(fixture *fx, const char *prefix, const char *name,
                            const char **location)
{
    char text[PANG_ID_TEXT + 1];
    pang_view view = rfx_view(fx, prefix);
    pang_content c = rfx_read(fx, &view, "ns", name);
    if (!pang_content_exists(&c))
        return NULL;
    pang_id_text(pang_id_of(c.body->asset), text);
    *location = fx_text(fx, "%s", c.body->metadata_location);
    return fx_text(fx, "%s", text);
}

/* The number of entries that the two states make, by brute force. */
static size_t expected(fixture *fx, const char *from, const char *to)
{
    const char *ids[2][NAMES], *places[2][NAMES];
    const char *prefixes[2] = {fx_text(fx, "demo@%s", from), fx_text(fx, "demo@%s", to)};
    size_t n = 0;
    for (size_t side = 0; side < 2; side++)
        for (int i = 0; i < NAMES; i++)
            ids[side][i] = asset_of(fx, prefixes[side], fx_text(fx, "n%d", i), &places[side][i]);
    for (int i = 0; i < NAMES; i++) { /* what is in `to`: added, renamed or changed */
        int found = -1;
        for (int k = 0; k < NAMES && ids[1][i] != NULL; k++)
            if (ids[0][k] != NULL && strcmp(ids[0][k], ids[1][i]) == 0)
                found = k;
        if (ids[1][i] != NULL)
            n += found != i || strcmp(places[0][found], places[1][i]) != 0;
    }
    for (int i = 0; i < NAMES; i++) { /* and what is in `from` alone */
        bool found = false;
        for (int k = 0; k < NAMES && ids[0][i] != NULL; k++)
            found |= ids[1][k] != NULL && strcmp(ids[1][k], ids[0][i]) == 0;
        n += ids[0][i] != NULL && !found;
    }
    return n;
}

static void do_something(fixture *fx, const char *prefix, unsigned *seed)
{
    const char *name = fx_text(fx, "n%d", rand_r(seed) % NAMES);
    const char *other = fx_text(fx, "n%d", rand_r(seed) % NAMES), *location = NULL;
    bool is_there = asset_of(fx, prefix, name, &location) != NULL;
    bool other_is = asset_of(fx, prefix, other, &location) != NULL;
    switch (rand_r(seed) % 4) {
    case 0:
        if (is_there)
            rfx_drop(fx, prefix, name);
        break;
    case 1:
        if (is_there && !other_is)
            rename_table(fx, prefix, name, other);
        break;
    default:
        rfx_put(fx, prefix, name, fx_text(fx, "%d", rand_r(seed)));
    }
    pang_arena_reset(fx->arena);
}

static size_t count_entries(fixture *fx, const char *from, const char *to, int32_t size)
{
    size_t n = 0;
    diff_in in = asking(from, to);
    in.page_size = size;
    for (;;) {
        diff_out out;
        if (fx_call(fx, "Diff", &in, &out) != PANG_OK)
            fail_msg("%s", fx->err.message);
        n += out.n_entries;
        if (out.next_page_token == NULL || out.next_page_token[0] == '\0')
            return n;
        in.page_token = out.next_page_token;
    }
}

static void test_diff__agrees_with_the_states(void **state)
{
    fixture *fx = *state;
    static const char *const refs[] = {"main", "a", "b", "c"};
    static const char *const prefixes[] = {"demo", "demo@a", "demo@b", "demo@c"};
    unsigned seed = 20261128;
    for (int i = 0; i < 30; i++)
        do_something(fx, "demo", &seed);
    rfx_branch(fx, "a", "demo", 0);
    rfx_branch(fx, "b", "demo", 0);
    for (int i = 0; i < 30; i++)
        do_something(fx, prefixes[rand_r(&seed) % 3], &seed);
    rfx_branch(fx, "c", "demo@a", 0);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 5; i++)
            do_something(fx, prefixes[rand_r(&seed) % 4], &seed);
        for (size_t i = 0; i < 4; i++)
            for (size_t k = 0; k < 4; k++) {
                size_t want = expected(fx, refs[i], refs[k]);
                if (count_entries(fx, refs[i], refs[k], 1 + rand_r(&seed) % 7) != want)
                    fail_msg("round %d: %s to %s: %s, but %zu entries", round, refs[i], refs[k],
                             diff_of(fx, asking(refs[i], refs[k])), want);
                pang_arena_reset(fx->arena);
            }
    }
}

/* ---- tables ---- */

static void commit_on(fixture *fx, const char *prefix, const char *updates)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = TEXT("t");
    in.requirements = fx_bytes("[]");
    in.updates = fx_bytes(updates);
    if (fx_call(fx, "CommitTable", &in, &out) != PANG_OK)
        fail_msg("%s", fx->err.message);
}

static void test_diff__what_changed_about_a_table(void **state)
{
    fixture *fx = *state;
    diff_out out;
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
    rfx_branch(fx, "dev", "demo", 0);
    commit_on(fx, "demo@dev",
              "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":1,"
              "\"fields\":[{\"id\":1,\"name\":\"key\",\"required\":true,\"type\":\"long\"},"
              "{\"id\":3,\"name\":\"extra\",\"required\":false,\"type\":\"int\"}]}},"
              "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
              "{\"action\":\"set-properties\",\"updates\":{\"a\":\"1\"}},"
              "{\"action\":\"add-spec\",\"spec\":{\"spec-id\":1,\"fields\":[{\"source-id\":1,"
              "\"field-id\":1000,\"name\":\"b\",\"transform\":\"bucket[4]\"}]}},"
              "{\"action\":\"set-default-spec\",\"spec-id\":-1}]");
    diff_in in = asking("main", "dev");
    assert_int_equal(fx_call(fx, "Diff", &in, &out), PANG_OK);
    assert_int_equal(out.n_entries, 1);
    entry *e = out.entries[0];
    assert_string_equal(e->change, "changed");
    assert_non_null(e->table);
    assert_true(e->table->partitioning);
    assert_false(e->table->sort_order);
    assert_int_equal(e->table->n_columns, 3);
    assert_string_equal(e->table->columns[0]->change, "changed");
    assert_string_equal(e->table->columns[0]->from_name, "id");
    assert_string_equal(e->table->columns[0]->to_name, "key");
    assert_string_equal(e->table->columns[1]->change, "removed");
    assert_string_equal(e->table->columns[1]->from_type, "\"string\"");
    assert_string_equal(e->table->columns[2]->change, "added");
    assert_int_equal(e->table->columns[2]->id, 3);
    assert_int_equal(e->n_properties, 1);
    assert_string_equal(e->properties[0]->name, "a");
    assert_string_equal(e->properties[0]->to, "1");
    assert_null(e->properties[0]->from);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_diff__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(added_removed_changed),
        TEST(both_sides_are_looked_at),
        TEST(renames_are_paired_by_asset),
        TEST(given_names_alone),
        TEST(bad_input),
        TEST(costs_what_was_done_since),
        TEST(agrees_with_the_states),
        TEST(what_changed_about_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
