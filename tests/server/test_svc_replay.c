/*
 * server/svc_merge_replay.c through the small dispatcher: what branches are put on, how one that
 * holds a selection is renewed, and what cannot come back, table by table. What rebases, picks,
 * reverts and restores make of content is in test_merge_replay.c.
 */
#include "tests/server/avro_fixture.h"

#include <string.h>
#include <unistd.h>

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"

#define MAIN FX_PREFIX

typedef Pangolin__V1__RebaseBranchRequest rebase_in;
typedef Pangolin__V1__RebaseBranchResponse rebase_out;
typedef Pangolin__V1__RestoreBranchRequest restore_in;
typedef Pangolin__V1__RestoreBranchResponse restore_out;

/* ---- calls ---- */

static void set(fixture *fx, const char *prefix, const char *ns, const char *value)
{
    size_t n;
    char **levels = fx_levels(fx, ns, &n);
    fx_set_property(fx, prefix, levels, n, "k", value);
}

/* The property that `set` sets; "none", or "absent" without the namespace. */
static const char *get(fixture *fx, const char *prefix, const char *ns)
{
    Pangolin__V1__LoadNamespaceRequest in = PANGOLIN__V1__LOAD_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__LoadNamespaceResponse out;
    in.prefix = TEXT(prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    if (fx_call(fx, "LoadNamespace", &in, &out) != PANG_OK)
        return "absent";
    for (size_t i = 0; i < out.n_properties; i++)
        if (strcmp(out.properties[i]->key, "k") == 0)
            return out.properties[i]->value;
    return "none";
}

static void branch(fixture *fx, const char *name, char **assets, size_t n)
{
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT(name);
    in.branch_type = TEXT("ingest");
    in.assets = assets;
    in.n_assets = n;
    fx_ok(fx, fx_call(fx, "CreateBranch", &in, &out));
}

static void tag(fixture *fx, const char *name)
{
    Pangolin__V1__CreateTagRequest in = PANGOLIN__V1__CREATE_TAG_REQUEST__INIT;
    Pangolin__V1__CreateTagResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT(name);
    in.from = TEXT("main");
    fx_ok(fx, fx_call(fx, "CreateTag", &in, &out));
}

static pang_code rebase(fixture *fx, const char *name, const char *onto)
{
    rebase_in in = PANGOLIN__V1__REBASE_BRANCH_REQUEST__INIT;
    rebase_out out;
    in.name = TEXT(name);
    in.catalog = TEXT(FX_PREFIX);
    in.onto = TEXT(onto);
    pang_code code = fx_call(fx, "RebaseBranch", &in, &out);
    if (code == PANG_OK)
        assert_true(out.done);
    return code;
}

/* The id of the last commit. */
static const char *last(fixture *fx)
{
    char id[PANG_ID_TEXT + 1];
    pang_id_text(fx_commit_of_thread(), id);
    return fx_text(fx, "%s", id);
}

static const char *now(fixture *fx)
{
    return fx_text(fx, "%lld", (long long)pang_env_wall_ms(&fx->env));
}

/* ---- rebases ---- */

static int setup(void **state)
{
    fx_setup(state);
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    fx_ok(fx, fx_create_namespace(fx, "own"));
    return 0;
}

static void test_rebase__goes_onto_tags_commits_and_times(void **state)
{
    fixture *fx = *state;
    const char *onto[3];
    static const char *const names[] = {"d0", "d1", "d2"}, *const shown[] = {"1", "2", "3"};
    for (size_t i = 0; i < 3; i++)
        branch(fx, names[i], NULL, 0);
    for (size_t i = 0; i < 4; i++) {
        set(fx, MAIN, "ns", fx_text(fx, "%zu", i + 1));
        if (i == 0)
            tag(fx, onto[0] = "v1");
        else if (i == 1)
            onto[1] = last(fx);
        else if (i == 2)
            onto[2] = now(fx);
        fx->ahead_ms += 1000;
    }
    for (size_t i = 0; i < 3; i++) {
        const char *prefix = fx_text(fx, FX_PREFIX "@%s", names[i]);
        set(fx, prefix, "own", "mine");
        fx_ok(fx, rebase(fx, names[i], onto[i]));
        assert_string_equal(get(fx, prefix, "ns"), shown[i]);
        assert_string_equal(get(fx, prefix, "own"), "mine");
        fx_ok(fx, rebase(fx, names[i], "")); /* and on, to what main is now */
        assert_string_equal(get(fx, prefix, "ns"), "4");
        assert_string_equal(get(fx, prefix, "own"), "mine");
    }
}

static void test_rebase__of_before_the_first_commit_there_is_nothing_to_stand_on(void **state)
{
    fixture *fx = *state;
    branch(fx, "dev", NULL, 0);
    set(fx, FX_PREFIX "@dev", "ns", "1");
    assert_int_equal(rebase(fx, "dev", "1"), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "\"main\" has no commit of that time"));
    assert_int_equal(rebase(fx, "dev", "none"), PANG_NOT_FOUND);
    assert_int_equal(rebase(fx, "dev", "dev"), PANG_INVALID_ARGUMENT);
    assert_string_equal(get(fx, FX_PREFIX "@dev", "ns"), "1");
}

/* It takes in what is new of what it holds, and nothing else. */
static void test_rebase__of_a_selection_renews_it(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse loaded;
    char *assets[] = {TEXT("ns.t")};
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    branch(fx, "part", assets, 1);
    fx_ok(fx, fx_create_table(fx, "ns", "beside", NULL));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]",
                        "[{\"action\":\"set-properties\",\"updates\":{\"new\":\"yes\"}}]", NULL));
    tag(fx, "v1");
    set(fx, MAIN, "ns", "2");
    set(fx, MAIN, "own", "2");
    fx_ok(fx, rebase(fx, "part", "v1"));
    assert_string_equal(get(fx, FX_PREFIX "@part", "ns"), "none");
    fx_ok(fx, rebase(fx, "part", ""));
    assert_string_equal(get(fx, FX_PREFIX "@part", "ns"), "2");
    assert_string_equal(get(fx, FX_PREFIX "@part", "own"), "absent");
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    in.prefix = TEXT(FX_PREFIX "@part");
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = TEXT("t");
    fx_ok(fx, fx_call(fx, "LoadTable", &in, &loaded));
    assert_non_null(
        strstr(pang_arena_cstr(fx->arena, pang_str_of(loaded.metadata)), "\"new\":\"yes\""));
    in.table = TEXT("beside");
    assert_int_equal(fx_call(fx, "LoadTable", &in, &loaded), PANG_NOT_FOUND);
}

/* ---- what cannot come back ---- */

static const char *place(fixture *fx, const char *name)
{
    return fx_text(fx, "%s/ns/%s", fx->warehouse, name);
}

static void append(fixture *fx, const char *name, int64_t id)
{
    const char *file = fx_text(fx, "f%d", (int)id);
    fx_ok(fx, fx_append(fx, MAIN, name, place(fx, name), id, &file, 1));
}

/* As an engine does it to a table that nobody shares. */
static void expire(fixture *fx, const char *name, int64_t id)
{
    fx_ok(fx, fx_commit(
                  fx, "ns", name, "[]",
                  fx_text(fx, "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[%d]}]", (int)id),
                  NULL));
    assert_int_equal(
        unlink(fx_path(fx_text(fx, "%s/metadata/snap-%d.avro", place(fx, name), (int)id))), 0);
}

static const Pangolin__V1__MergeChange *change_of(const Pangolin__V1__MergeOperation *op,
                                                  const char *key)
{
    for (size_t i = 0; i < op->n_changes; i++)
        if (strcmp(op->changes[i]->key, key) == 0)
            return op->changes[i];
    fail_msg("nothing is said of %s", key);
    return NULL;
}

static void is_lost(fixture *fx, const Pangolin__V1__MergeOperation *op, const char *name)
{
    const Pangolin__V1__MergeChange *change = change_of(op, fx_text(fx, "ns.%s", name));
    assert_string_equal(change->outcome, "lost");
    assert_string_equal(change->reason,
                        fx_text(fx, "file is gone: %s/metadata/snap-1.avro", place(fx, name)));
}

/* Tables t, u and w with one snapshot; then another one, after which t and u lost the files of the
 * first. *ret: the commit of before. */
static const char *expired(fixture *fx)
{
    static const char *const names[] = {"t", "u", "w"};
    for (size_t i = 0; i < 3; i++) {
        fx_ok(fx, fx_create_table(fx, "ns", names[i], NULL));
        append(fx, names[i], 1);
    }
    const char *before = last(fx);
    for (size_t i = 0; i < 3; i++)
        append(fx, names[i], 2);
    set(fx, MAIN, "ns", "after");
    expire(fx, "t", 1);
    expire(fx, "u", 1);
    return before;
}

static void test_restore__names_each_table_that_lost_files(void **state)
{
    fixture *fx = *state;
    restore_in in = PANGOLIN__V1__RESTORE_BRANCH_REQUEST__INIT;
    restore_out out;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT("main");
    in.to = TEXT(expired(fx));
    assert_int_equal(fx_call(fx, "RestoreBranch", &in, &out), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(fx->err.message, "cannot come back: ns.t (file is gone: "));
    assert_non_null(strstr(fx->err.message, ", ns.u (")); /* or cut off: it is a long message */
    assert_string_equal(get(fx, MAIN, "ns"), "after");
    in.dry_run = true;
    fx_ok(fx, fx_call(fx, "RestoreBranch", &in, &out));
    is_lost(fx, out.operation, "t");
    is_lost(fx, out.operation, "u");
    assert_string_equal(change_of(out.operation, "ns.w")->outcome, "taken");
    in.dry_run = false;
    in.skip_lost = true;
    fx_ok(fx, fx_call(fx, "RestoreBranch", &in, &out));
    is_lost(fx, out.operation, "t");
    is_lost(fx, out.operation, "u");
    assert_string_equal(get(fx, MAIN, "ns"), "none");
    Pangolin__V1__LoadTableResponse loaded;
    fx_ok(fx, fx_load_table(fx, "ns", "t", &loaded));
    assert_non_null(strstr(pang_arena_cstr(fx->arena, pang_str_of(loaded.metadata)),
                           "\"current-snapshot-id\":2"));
    fx_ok(fx, fx_load_table(fx, "ns", "w", &loaded));
    assert_non_null(strstr(pang_arena_cstr(fx->arena, pang_str_of(loaded.metadata)),
                           "\"current-snapshot-id\":1"));
}

static void test_revert__names_the_table_that_lost_files(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__RevertRequest in = PANGOLIN__V1__REVERT_REQUEST__INIT;
    Pangolin__V1__RevertResponse out;
    Pangolin__V1__MergeKeyMode mode = PANGOLIN__V1__MERGE_KEY_MODE__INIT, *modes[] = {&mode};
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    append(fx, "t", 1);
    append(fx, "t", 2);
    expire(fx, "t", 1);
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT("main");
    in.commit = TEXT(last(fx));
    assert_int_equal(fx_call(fx, "Revert", &in, &out), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(fx->err.message, "cannot come back: ns.t (file is gone: "));
    in.dry_run = true;
    fx_ok(fx, fx_call(fx, "Revert", &in, &out));
    is_lost(fx, out.operation, "t");
    in.dry_run = false;
    mode.key = TEXT("ns.t");
    mode.mode = TEXT("take_target");
    in.modes = modes;
    in.n_modes = 1;
    fx_ok(fx, fx_call(fx, "Revert", &in, &out));
    assert_string_equal(out.operation->status, "Completed");
    in.n_modes = 0;
    in.commit = TEXT("none");
    assert_int_equal(fx_call(fx, "Revert", &in, &out), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "is no commit's id"));
    in.commit = TEXT("0190f3c5-0000-7000-8000-000000000000");
    assert_int_equal(fx_call(fx, "Revert", &in, &out), PANG_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, fx_teardown)
        TEST(rebase__goes_onto_tags_commits_and_times),
        TEST(rebase__of_before_the_first_commit_there_is_nothing_to_stand_on),
        TEST(rebase__of_a_selection_renews_it),
        TEST(restore__names_each_table_that_lost_files),
        TEST(revert__names_the_table_that_lost_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
