/*
 * server/merge_modes.c and server/svc_merge_modes.c: which names the keys of a merge's modes stand
 * for, and what it costs to find out. What modes do is in test_merge.c.
 */
#include "tests/server/ref_fixture.h"

#include <stdio.h>
#include <string.h>

#define DEV FX_PREFIX "@dev"
#define SEP "\x1f"

typedef Pangolin__V1__MergeKeyMode mode;
typedef Pangolin__V1__MergeBranchesResponse merge_out;

/* ---- calls ---- */

/* Levels are parted by slashes, so that they may have dots. */
static char **levels_of(fixture *fx, const char *path, size_t *ret_n)
{
    char **levels = pang_arena_alloc_n(fx->arena, 8, sizeof *levels);
    pang_str rest = pang_str_from(path), one;
    *ret_n = 0;
    while (pang_str_next(&rest, '/', &one))
        levels[(*ret_n)++] = pang_arena_cstr(fx->arena, one);
    return levels;
}

static void make_space(fixture *fx, const char *prefix, const char *path)
{
    Pangolin__V1__CreateNamespaceRequest in = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__CreateNamespaceResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = levels_of(fx, path, &in.n_namespace_);
    fx_ok(fx, fx_call(fx, "CreateNamespace", &in, &out));
}

static void make_table(fixture *fx, const char *prefix, const char *path, const char *name)
{
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    Pangolin__V1__CreateTableResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = levels_of(fx, path, &in.n_namespace_);
    in.name = TEXT(name);
    in.schema = fx_bytes(FX_SCHEMA);
    fx_ok(fx, fx_call(fx, "CreateTable", &in, &out));
}

static int setup(void **state)
{
    fx_setup(state);
    fixture *fx = *state;
    make_space(fx, FX_PREFIX, "a");
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    return 0;
}

static pang_code merge(fixture *fx, const char *const *keys, size_t n, bool dry, merge_out *out)
{
    Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    mode *list = pang_arena_alloc_n(fx->arena, n, sizeof *list);
    in.modes = pang_arena_alloc_n(fx->arena, n, sizeof *in.modes);
    for (size_t i = 0; i < n; i++) {
        list[i] = (mode)PANGOLIN__V1__MERGE_KEY_MODE__INIT;
        list[i].key = TEXT(keys[i]);
        list[i].mode = TEXT("drop");
        in.modes[i] = &list[i];
    }
    in.n_modes = n;
    in.catalog = TEXT(FX_PREFIX);
    in.source_branch = TEXT("dev");
    in.target_branch = TEXT("main");
    in.dry_run = dry;
    return fx_call(fx, "MergeBranches", &in, out);
}

/* ---- what a key stands for ---- */

/* Merges, and says what then is not on main, "n": the namespace ["a.b"], "m": ["a", "b"]; and "t":
 * that a table was left out. */
static const char *left_out(fixture *fx, const char *const *keys, size_t n)
{
    merge_out out;
    bool found[3] = {false};
    fx_ok(fx, merge(fx, keys, n, false, &out));
    assert_non_null(out.operation);
    for (size_t i = 0; i < out.operation->n_changes; i++) {
        const Pangolin__V1__MergeChange *one = out.operation->changes[i];
        if (strcmp(one->outcome, "left_out") == 0)
            found[2] = found[2] || one->asset_id[0] != '\0';
    }
    pang_view view = rfx_view(fx, FX_PREFIX);
    pang_str level = PANG_STR("a.b"), two[] = {PANG_STR("a"), PANG_STR("b")};
    pang_content both[2] = {{.name = pang_name_of_namespace(&view.keys, (pang_levels){&level, 1})},
                            {.name = pang_name_of_namespace(&view.keys, (pang_levels){two, 2})}};
    fx_ok(fx, pang_content_get(&view, both, 2, &fx->err));
    found[0] = !pang_content_exists(&both[0]);
    found[1] = !pang_content_exists(&both[1]);
    return fx_text(fx, "%s%s%s", found[0] ? "n" : "", found[1] ? "m" : "", found[2] ? "t" : "");
}

static void refused(fixture *fx, const char *key, const char *one, const char *two)
{
    merge_out out;
    const char *keys[] = {key};
    assert_int_equal(merge(fx, keys, 1, false, &out), PANG_INVALID_ARGUMENT);
    if (strstr(fx->err.message, one) == NULL || strstr(fx->err.message, two) == NULL ||
        strstr(fx->err.message, "modes[0]") == NULL || strstr(fx->err.message, "0x1F") == NULL)
        fail_msg("%s", fx->err.message);
}

#define LEFT_OUT(fx, expected, ...)                                                                \
    do {                                                                                           \
        const char *keys[] = {__VA_ARGS__};                                                        \
        assert_string_equal(left_out(fx, keys, sizeof keys / sizeof keys[0]), expected);           \
    } while (0)

/* Nothing is merged then; a separator at the end says a namespace of one level. */
static void test_merge_modes__dots_that_part_and_dots_in_names(void **state)
{
    fixture *fx = *state;
    make_space(fx, DEV, "a.b");
    make_space(fx, DEV, "a/b");
    refused(fx, "a.b", "the namespace [\"a.b\"]", "the namespace [\"a\", \"b\"]");
    LEFT_OUT(fx, "nm", "a.b" SEP, "a" SEP "b");
    LEFT_OUT(fx, "n", "a.b" SEP);
    LEFT_OUT(fx, "", "a" SEP "b"); /* which is not changed any more, as the other is */
}

static void test_merge_modes__the_namespace_of_two_levels(void **state)
{
    fixture *fx = *state;
    make_space(fx, DEV, "a.b");
    make_space(fx, DEV, "a/b");
    LEFT_OUT(fx, "m", "a" SEP "b");
    LEFT_OUT(fx, "m", "a.b"); /* there is one thing to decide now */
    LEFT_OUT(fx, "m", "a" SEP "b" SEP);
}

/* A table and a namespace may have one name. */
static void test_merge_modes__a_table_and_a_namespace(void **state)
{
    fixture *fx = *state;
    make_space(fx, DEV, "a/b");
    make_table(fx, DEV, "a", "b");
    refused(fx, "a.b", "[\"a\", \"b\"]", "the namespace [\"a\", \"b\"]");
    LEFT_OUT(fx, "nmt", "a" SEP "b", "a" SEP "b" SEP);
    LEFT_OUT(fx, "nt", "a" SEP "b");
    LEFT_OUT(fx, "nt", "a.b");
    LEFT_OUT(fx, "n", "a" SEP "b" SEP);
}

static void test_merge_modes__tables_whose_names_have_dots(void **state)
{
    fixture *fx = *state;
    make_space(fx, FX_PREFIX, "a/b");
    make_space(fx, DEV, "a/b");
    make_table(fx, DEV, "a", "b.c");
    make_table(fx, DEV, "a/b", "c");
    refused(fx, "a.b.c", "[\"a\", \"b.c\"]", "[\"a\", \"b\", \"c\"]");
    LEFT_OUT(fx, "nt", "a" SEP "b.c", "a" SEP "b" SEP "c");
    LEFT_OUT(fx, "nt", "a" SEP "b.c");
    LEFT_OUT(fx, "nt", "a.b.c");
    LEFT_OUT(fx, "n", "a" SEP "b" SEP "c");
}

/* A table that came in another's place has its name: the key is about both. */
static void test_merge_modes__one_name_of_two_tables(void **state)
{
    fixture *fx = *state;
    merge_out out;
    const char *keys[] = {"a.t"};
    make_table(fx, DEV, "a", "t");
    fx_ok(fx, merge(fx, NULL, 0, false, &out));
    fx_ok(fx, fx_replace_table_on(fx, DEV, "a", "t", false));
    fx_ok(fx, merge(fx, keys, 1, false, &out));
    assert_int_equal(out.operation->n_changes, 2);
    assert_string_equal(out.operation->changes[0]->outcome, "left_out");
    assert_string_equal(out.operation->changes[1]->outcome, "left_out");
}

static void set(fixture *fx, const char *prefix, const char *path, const char *value)
{
    size_t n;
    char **levels = levels_of(fx, path, &n);
    fx_set_property(fx, prefix, levels, n, "k", value);
}

/* There is nothing wrong with the request that completes it. */
static void test_merge_modes__two_names_by_the_time_of_completion(void **state)
{
    fixture *fx = *state;
    merge_out out;
    Pangolin__V1__ListMergeConflictsRequest in = PANGOLIN__V1__LIST_MERGE_CONFLICTS_REQUEST__INIT;
    Pangolin__V1__ListMergeConflictsResponse conflicts;
    Pangolin__V1__ResolveConflictRequest how = PANGOLIN__V1__RESOLVE_CONFLICT_REQUEST__INIT;
    Pangolin__V1__ResolveConflictResponse resolved;
    Pangolin__V1__CompleteMergeRequest again = PANGOLIN__V1__COMPLETE_MERGE_REQUEST__INIT;
    Pangolin__V1__CompleteMergeResponse completed;
    const char *keys[] = {"a.b"};
    make_space(fx, DEV, "a.b");
    make_space(fx, DEV, "a/b");
    make_space(fx, FX_PREFIX, "a/b"); /* the same: nothing to decide */
    set(fx, DEV, "a", "source");
    set(fx, FX_PREFIX, "a", "target");
    fx_ok(fx, merge(fx, keys, 1, false, &out));
    assert_non_null(out.conflicted);
    in.id = again.id = out.conflicted->operation_id;
    fx_ok(fx, fx_call(fx, "ListMergeConflicts", &in, &conflicts));
    how.id = conflicts.conflicts[0]->id;
    how.strategy = TEXT("TakeTarget");
    fx_ok(fx, fx_call(fx, "ResolveConflict", &how, &resolved));
    set(fx, FX_PREFIX, "a/b", "target");
    assert_int_equal(fx_call(fx, "CompleteMerge", &again, &completed), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(fx->err.message, "the namespace [\"a.b\"]: abort the operation"));
}

/* ---- keys that the merge is not about ---- */

enum { KEYS = 1000, DOTTED = 20, GETS_MAX = 60 };

/* How often the store is asked for records. */
static uint64_t gets_of(fixture *fx, const char *const *keys, size_t n, pang_code expected)
{
    pang_db_stats before, after;
    merge_out out;
    fx_restart(fx); /* so that nothing is in the cache */
    pang_db_get_stats(fx->db, &before);
    assert_int_equal(merge(fx, keys, n, true, &out), expected);
    pang_db_get_stats(fx->db, &after);
    return after.gets - before.gets;
}

/* On the source alone, on the target alone; some with dots of their own. */
static void test_merge_modes__unknown_keys_are_read_together(void **state)
{
    fixture *fx = *state;
    static char texts[KEYS][8];
    const char *keys[KEYS];
    make_space(fx, FX_PREFIX, "b");
    for (size_t i = 0; i < KEYS; i++) {
        char separator = i < DOTTED ? '.' : '/';
        const char *path = fx_text(fx, "%c%c%03zu", i % 2 == 0 ? 'a' : 'b', separator, i);
        make_space(fx, FX_PREFIX, path);
        (void)snprintf(texts[i], sizeof texts[i], "%c.%s", path[0], path + 2);
        keys[i] = texts[i];
    }
    uint64_t gets = gets_of(fx, keys, KEYS, PANG_OK);
    if (gets > GETS_MAX)
        fail_msg("%llu gets", (unsigned long long)gets);
    keys[KEYS / 2] = "a.none";
    gets = gets_of(fx, keys, KEYS, PANG_INVALID_ARGUMENT);
    assert_in_range(gets, 1, GETS_MAX);
    assert_non_null(strstr(fx->err.message, "modes[500]: there is no \"a.none\""));
}

static void test_merge_modes__unknown_keys_of_all_forms(void **state)
{
    static const struct {
        const char *key;
        pang_code code;
    } rows[] = {
        {"a", PANG_OK},
        {"a.b", PANG_OK},
        {"a.b" SEP, PANG_OK},
        {"a.t.u", PANG_OK},
        {"a" SEP "t.u", PANG_OK},
        {"a" SEP, PANG_OK},
        {"a" SEP "b", PANG_INVALID_ARGUMENT},
        {"a" SEP "t.u" SEP, PANG_INVALID_ARGUMENT},
        {"a" SEP "t" SEP "u", PANG_INVALID_ARGUMENT},
        {"a%2Eb", PANG_INVALID_ARGUMENT},
        {"a.*", PANG_INVALID_ARGUMENT},
        {SEP, PANG_INVALID_ARGUMENT},
        {"a.t..u", PANG_INVALID_ARGUMENT},
    };
    fixture *fx = *state;
    make_space(fx, FX_PREFIX, "a.b");
    make_table(fx, FX_PREFIX, "a", "t.u");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        merge_out out;
        pang_code code = merge(fx, &rows[i].key, 1, true, &out);
        if (code != rows[i].code)
            fail_msg("\"%s\": %s: %s", rows[i].key, pang_code_name(code), fx->err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_merge_modes__##name, setup, fx_teardown)
        TEST(dots_that_part_and_dots_in_names), TEST(the_namespace_of_two_levels),
        TEST(a_table_and_a_namespace),          TEST(tables_whose_names_have_dots),
        TEST(one_name_of_two_tables),           TEST(two_names_by_the_time_of_completion),
        TEST(unknown_keys_are_read_together),   TEST(unknown_keys_of_all_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
