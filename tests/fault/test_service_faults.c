/*
 * The Iceberg services under faults: whatever fails, a table is as it was or as it should be, the
 * answer says which, its file is there, and no file is left of what did not land.
 */
#include "tests/server/catalog_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fault/sweep.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"

typedef Pangolin__V1__LoadTableResponse load_out;

static void *begin_empty(void)
{
    fixture *fx = fx_open("faulty:memory:");
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    pang_arena_reset(fx->arena);
    return fx;
}

static void *begin_table(void)
{
    fixture *fx = begin_empty();
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
    pang_arena_reset(fx->arena);
    return fx;
}

/* Without the table's document in memory. */
static void *begin_started_anew(void)
{
    fixture *fx = begin_table();
    fx_restart(fx);
    return fx;
}

static pang_store *store_of(void *world)
{
    fixture *fx = world;
    return pang_db_store(fx->db);
}

static void end(void *world)
{
    fx_close(world);
}

/* What the table's folder holds; hidden files too. */
static size_t metadata_files(fixture *fx, const char *table)
{
    char path[256];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/warehouse/ns/%s/metadata", fx->folder, table);
    DIR *folder = opendir(path);
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (folder != NULL)
        closedir(folder);
    return n;
}

/* Whether the table is there; then its file is, and holds what the store says. */
static bool has_table(fixture *fx, const char *name, const char *holds)
{
    load_out out;
    pang_code code = fx_load_table(fx, "ns", name, &out);
    if (code == PANG_NOT_FOUND && strcmp(fx->err.reason, "NoSuchTableException") == 0)
        return false;
    if (code != PANG_OK)
        fail_msg("%s: %s", pang_code_name(code), fx->err.message);
    return holds == NULL ||
           memmem(out.metadata.data, out.metadata.len, holds, strlen(holds)) != NULL;
}

static pang_code finish(fixture *fx, pang_code code, pang_err *err)
{
    *err = fx->err;
    pang_arena_reset(fx->arena);
    return code;
}

/* Asserts that what was asked for is there when the code says so, and absent when it says that. */
static void judge(pang_code code, bool done)
{
    if (code == PANG_OK)
        assert_true(done);
    else if (code != PANG_UNKNOWN)
        assert_false(done);
}

/* ---- create ---- */

static pang_code run_create(void *world, pang_err *err)
{
    fixture *fx = world;
    return finish(fx, fx_create_table(fx, "ns", "t", NULL), err);
}

static void check_create(void *world, pang_code code)
{
    fixture *fx = world;
    bool done = has_table(fx, "t", NULL);
    judge(code, done);
    assert_int_equal(metadata_files(fx, "t"), done || code == PANG_UNKNOWN ? 1 : 0);
    /* What failed has not taken the name or the place. */
    if (!done && code != PANG_UNKNOWN) {
        assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
        assert_int_equal(metadata_files(fx, "t"), 1);
    }
}

/* ---- commit ---- */

#define SET_MARK "[{\"action\":\"set-properties\",\"updates\":{\"mark\":\"made-it\"}}]"

static pang_code run_commit(void *world, pang_err *err)
{
    fixture *fx = world;
    return finish(fx, fx_commit(fx, "ns", "t", "[]", SET_MARK, NULL), err);
}

static void check_commit(void *world, pang_code code)
{
    fixture *fx = world;
    assert_true(has_table(fx, "t", NULL));
    bool done = has_table(fx, "t", "made-it");
    judge(code, done);
    if (code != PANG_UNKNOWN)
        assert_int_equal(metadata_files(fx, "t"), done ? 2 : 1);
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", SET_MARK, NULL), PANG_OK);
    assert_true(has_table(fx, "t", "made-it"));
}

/* ---- drop, rename, load ---- */

static pang_code run_drop(void *world, pang_err *err)
{
    fixture *fx = world;
    return finish(fx, fx_drop_table(fx, "ns", "t", true), err);
}

static void check_drop(void *world, pang_code code)
{
    fixture *fx = world;
    judge(code, !has_table(fx, "t", NULL));
    assert_int_equal(metadata_files(fx, "t"), 1);
}

static pang_code run_rename(void *world, pang_err *err)
{
    fixture *fx = world;
    Pangolin__V1__RenameTableRequest in = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    Pangolin__V1__RenameTableResponse out;
    Pangolin__V1__TableIdentifier from = PANGOLIN__V1__TABLE_IDENTIFIER__INIT, to = from;
    char *level = (char *)(uintptr_t) "ns";
    from.namespace_ = to.namespace_ = &level;
    from.n_namespace_ = to.n_namespace_ = 1;
    from.name = (char *)(uintptr_t) "t";
    to.name = (char *)(uintptr_t) "u";
    in.prefix = (char *)(uintptr_t)FX_PREFIX;
    in.source = &from;
    in.destination = &to;
    return finish(fx, fx_call(fx, "RenameTable", &in, &out), err);
}

static void check_rename(void *world, pang_code code)
{
    fixture *fx = world;
    bool done = has_table(fx, "u", NULL);
    judge(code, done);
    assert_true(has_table(fx, "t", NULL) != done);
}

static pang_code run_load(void *world, pang_err *err)
{
    fixture *fx = world;
    return finish(fx, fx_load_table(fx, "ns", "t", NULL), err);
}

static void check_load(void *world, pang_code code)
{
    (void)code;
    assert_true(has_table(world, "t", NULL));
}

/* ---- branches ---- */

static pang_code run_work(void *world, pang_err *err)
{
    fixture *fx = world;
    pang_state_work(fx->state, err);
    return err->code;
}

/* A partial one, so that the ref and the copies are seen to land together. */
static pang_code run_branch(void *world, pang_err *err)
{
    fixture *fx = world;
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out;
    char *asset = (char *)(uintptr_t) "ns.t";
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t) "dev";
    in.assets = &asset;
    in.n_assets = 1;
    return finish(fx, fx_call(fx, "CreateBranch", &in, &out), err);
}

static pang_code load_on_branch(fixture *fx)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    load_out out;
    in.prefix = (char *)(uintptr_t)FX_PREFIX "@dev";
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = (char *)(uintptr_t) "t";
    return fx_call(fx, "LoadTable", &in, &out);
}

static bool has_branch(fixture *fx)
{
    Pangolin__V1__GetBranchRequest in = PANGOLIN__V1__GET_BRANCH_REQUEST__INIT;
    Pangolin__V1__GetBranchResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t) "dev";
    pang_code code = fx_call(fx, "GetBranch", &in, &out);
    assert_true(code == PANG_OK || code == PANG_NOT_FOUND);
    return code == PANG_OK;
}

static void check_branch(void *world, pang_code code)
{
    fixture *fx = world;
    pang_err err;
    bool done = has_branch(fx);
    judge(code, done);
    assert_int_equal(load_on_branch(fx), done ? PANG_OK : PANG_NOT_FOUND);
    assert_true(has_table(fx, "t", NULL));
    if (!done)
        assert_int_equal(run_branch(fx, &err), PANG_OK);
}

static pang_code change_branch(fixture *fx, int64_t ttl)
{
    Pangolin__V1__UpdateBranchRequest in = PANGOLIN__V1__UPDATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__UpdateBranchResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.branch = (char *)(uintptr_t) "dev";
    in._ttl_case = PANGOLIN__V1__UPDATE_BRANCH_REQUEST___TTL_TTL;
    in.ttl = ttl;
    return fx_call(fx, "UpdateBranch", &in, &out);
}

/* A branch that is due. */
static void *begin_expired(void)
{
    fixture *fx = begin_table();
    assert_int_equal(run_branch(fx, &fx->err), PANG_OK);
    assert_int_equal(change_branch(fx, 60), PANG_OK);
    fx->ahead_ms = 2 * 60 * 1000;
    pang_arena_reset(fx->arena);
    return fx;
}

static void check_expired(void *world, pang_code code)
{
    fixture *fx = world;
    (void)code;
    assert_false(has_branch(fx));
    for (int i = 0; i < 4; i++) {
        fx->ahead_ms += 2 * 60 * 1000;
        pang_state_work(fx->state, &fx->err);
    }
    assert_int_equal(fx->err.code, PANG_OK);
    pang_record record;
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_str key = pang_key_ref(&view.keys, view.catalog, PANG_STR("dev"));
    assert_int_equal(pang_txn_get_one(view.txn, key, &record, &fx->err), PANG_OK);
    assert_true(record.version == 0);
}

/* ---- merges and rebases ---- */

static pang_code commit_on_branch(fixture *fx, const char *updates)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    in.prefix = (char *)(uintptr_t)FX_PREFIX "@dev";
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = (char *)(uintptr_t) "t";
    in.requirements = pang_bytes_of(PANG_STR("[]"));
    in.updates = pang_bytes_of(pang_str_from(updates));
    return fx_call(fx, "CommitTable", &in, &out);
}

#define SET_OTHER "[{\"action\":\"set-properties\",\"updates\":{\"other\":\"of-main\"}}]"

/* A table that main and a branch changed, each its own property: four documents. */
static void *begin_apart(void)
{
    fixture *fx = begin_table();
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t) "dev";
    in.branch_type = (char *)(uintptr_t) "ingest";
    assert_int_equal(fx_call(fx, "CreateBranch", &in, &out), PANG_OK);
    assert_int_equal(commit_on_branch(fx, SET_MARK), PANG_OK);
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", SET_OTHER, NULL), PANG_OK);
    assert_int_equal(metadata_files(fx, "t"), 3);
    pang_arena_reset(fx->arena);
    return fx;
}

static pang_code run_merge(void *world, pang_err *err)
{
    fixture *fx = world;
    Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    Pangolin__V1__MergeBranchesResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.source_branch = (char *)(uintptr_t) "dev";
    in.target_branch = (char *)(uintptr_t) "main";
    return finish(fx, fx_call(fx, "MergeBranches", &in, &out), err);
}

static void check_merge(void *world, pang_code code)
{
    fixture *fx = world;
    pang_err err;
    assert_true(has_table(fx, "t", "of-main"));
    bool done = has_table(fx, "t", "made-it");
    judge(code, done);
    if (code != PANG_UNKNOWN)
        assert_int_equal(metadata_files(fx, "t"), done ? 4 : 3);
    assert_int_equal(run_merge(fx, &err), PANG_OK);
    assert_true(has_table(fx, "t", "made-it") && has_table(fx, "t", "of-main"));
}

static pang_code run_rebase(void *world, pang_err *err)
{
    fixture *fx = world;
    Pangolin__V1__RebaseBranchRequest in = PANGOLIN__V1__REBASE_BRANCH_REQUEST__INIT;
    Pangolin__V1__RebaseBranchResponse out;
    in.catalog = (char *)(uintptr_t)FX_PREFIX;
    in.name = (char *)(uintptr_t) "dev";
    return finish(fx, fx_call(fx, "RebaseBranch", &in, &out), err);
}

/* Whether the branch shows what main did; it shows its own change in any case. */
static bool branch_has_both(fixture *fx)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    load_out out;
    in.prefix = (char *)(uintptr_t)FX_PREFIX "@dev";
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = (char *)(uintptr_t) "t";
    assert_int_equal(fx_call(fx, "LoadTable", &in, &out), PANG_OK);
    assert_non_null(memmem(out.metadata.data, out.metadata.len, "made-it", 7));
    return memmem(out.metadata.data, out.metadata.len, "of-main", 7) != NULL;
}

static void check_rebase(void *world, pang_code code)
{
    fixture *fx = world;
    pang_err err;
    bool done = branch_has_both(fx);
    judge(code, done);
    if (code != PANG_UNKNOWN)
        assert_int_equal(metadata_files(fx, "t"), done ? 4 : 3);
    assert_false(has_table(fx, "t", "made-it"));
    assert_int_equal(run_rebase(fx, &err), PANG_OK);
    assert_true(branch_has_both(fx));
}

/* ---- later work ---- */

/* A table whose files are due. */
static void *begin_purged(void)
{
    fixture *fx = begin_table();
    assert_int_equal(fx_drop_table(fx, "ns", "t", true), PANG_OK);
    fx->ahead_ms = INT64_C(8) * 24 * 60 * 60 * 1000;
    pang_arena_reset(fx->arena);
    return fx;
}

static void check_work(void *world, pang_code code)
{
    fixture *fx = world;
    (void)code;
    /* Whatever failed is done by a later round, and the place is free then. */
    for (int i = 0; i < 4; i++) {
        fx->ahead_ms += 2 * 60 * 1000;
        pang_state_work(fx->state, &fx->err);
    }
    assert_int_equal(fx->err.code, PANG_OK);
    assert_int_equal(metadata_files(fx, "t"), 0);
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
    assert_int_equal(metadata_files(fx, "t"), 1);
}

static const fault_scene scenes[] = {
    {"create", begin_empty, store_of, run_create, check_create, end, true},
    {"commit", begin_table, store_of, run_commit, check_commit, end, true},
    {"drop", begin_table, store_of, run_drop, check_drop, end, true},
    {"rename", begin_table, store_of, run_rename, check_rename, end, true},
    {"load", begin_started_anew, store_of, run_load, check_load, end, true},
    {"later work", begin_purged, store_of, run_work, check_work, end, false},
    {"branch", begin_table, store_of, run_branch, check_branch, end, true},
    {"expiry", begin_expired, store_of, run_work, check_expired, end, false},
    {"merge", begin_apart, store_of, run_merge, check_merge, end, true},
    {"rebase", begin_apart, store_of, run_rebase, check_rebase, end, true},
};

static void test_service_faults__create(void **state)
{
    (void)state;
    fault_sweep(&scenes[0]);
}

static void test_service_faults__commit(void **state)
{
    (void)state;
    fault_sweep(&scenes[1]);
}

static void test_service_faults__drop(void **state)
{
    (void)state;
    fault_sweep(&scenes[2]);
}

static void test_service_faults__rename(void **state)
{
    (void)state;
    fault_sweep(&scenes[3]);
}

static void test_service_faults__load(void **state)
{
    (void)state;
    fault_sweep(&scenes[4]);
}

static void test_service_faults__later_work(void **state)
{
    (void)state;
    fault_sweep(&scenes[5]);
}

static void test_service_faults__branch(void **state)
{
    (void)state;
    fault_sweep(&scenes[6]);
}

static void test_service_faults__expiry(void **state)
{
    (void)state;
    fault_sweep(&scenes[7]);
}

static void test_service_faults__merge(void **state)
{
    (void)state;
    fault_sweep(&scenes[8]);
}

static void test_service_faults__rebase(void **state)
{
    (void)state;
    fault_sweep(&scenes[9]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_service_faults__create),
        cmocka_unit_test(test_service_faults__commit),
        cmocka_unit_test(test_service_faults__drop),
        cmocka_unit_test(test_service_faults__rename),
        cmocka_unit_test(test_service_faults__load),
        cmocka_unit_test(test_service_faults__later_work),
        cmocka_unit_test(test_service_faults__branch),
        cmocka_unit_test(test_service_faults__expiry),
        cmocka_unit_test(test_service_faults__merge),
        cmocka_unit_test(test_service_faults__rebase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
