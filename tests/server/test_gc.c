/*
 * server/gc*.c: what is reached by anything stays, all else goes once it is old; what cannot be
 * read keeps everything.
 */
#include "tests/server/avro_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/keys_versions.h"
#include "server/gc.h"
#include "server/shared.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define MAIN FX_PREFIX

static bool is_there(const char *location)
{
    return access(fx_path(location), F_OK) == 0;
}

static const char *table_of(fixture *fx)
{
    return fx_text(fx, "%s/ns/t", fx->warehouse);
}

static const char *data(fixture *fx, const char *name)
{
    return fx_text(fx, "%s/data/%s", table_of(fx), name);
}

/* A table with one snapshot, of file "a". */
static int setup(void **state)
{
    static const char *const files[] = {"a"};
    fx_setup(state);
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_append(fx, MAIN, "t", table_of(fx), 1, files, 1));
    return 0;
}

static void make_tag(fixture *fx, const char *name)
{
    Pangolin__V1__CreateTagRequest in = PANGOLIN__V1__CREATE_TAG_REQUEST__INIT;
    Pangolin__V1__CreateTagResponse out = PANGOLIN__V1__CREATE_TAG_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.name = fx_text(fx, "%s", name);
    in.from = fx_text(fx, "main");
    fx_ok(fx, fx_call(fx, "CreateTag", &in, &out));
}

static pang_id catalog_of(fixture *fx)
{
    pang_txn *txn = fx_begin(fx);
    return fx_view(fx, txn).catalog;
}

static pang_gc_outcome collect(fixture *fx, bool dry_run, size_t marks)
{
    pang_gc_plan plan = {.scope = FX_SCOPE,
                         .catalog = catalog_of(fx),
                         .grace_ms = DAY_MS,
                         .dry_run = dry_run,
                         .marks = marks};
    pang_gc_outcome out;
    fx_ok(fx, pang_gc_run(fx->state, &plan, NULL, NULL, &out, &fx->err));
    return out;
}

static pang_code commit(fixture *fx, const char *prefix, const char *updates)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out = PANGOLIN__V1__COMMIT_TABLE_RESPONSE__INIT;
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    in.requirements = fx_bytes("[]");
    in.updates = fx_bytes(updates);
    return fx_call(fx, "CommitTable", &in, &out);
}

#define REPLACE                                                                                    \
    "[{\"action\":\"remove-snapshot-ref\",\"ref-name\":\"main\"},"                                 \
    "{\"action\":\"remove-snapshots\",\"snapshot-ids\":[1]}]"

/* The table has a later state, which names nothing of the first: as after an expiry. */
static void expire(fixture *fx)
{
    fx_ok(fx, commit(fx, MAIN, REPLACE));
}

static void age(fixture *fx, int64_t days)
{
    fx->ahead_ms += days * DAY_MS;
}

static void test_gc__what_no_engine_committed_goes_once_it_is_old(void **state)
{
    fixture *fx = *state;
    fx_write_over(data(fx, "orphan"), "of an engine that died");
    pang_gc_outcome young = collect(fx, false, 0);
    assert_int_equal(young.removed, 0);
    assert_true(young.files >= 5);
    age(fx, 2);
    fx_write_over(data(fx, "new"), "of an engine that writes");
    pang_gc_outcome dry = collect(fx, true, 0);
    assert_int_equal(dry.removed, 2); /* the clock is ahead of the files */
    assert_true(is_there(data(fx, "orphan")));
    pang_gc_outcome old = collect(fx, false, 0);
    assert_int_equal(old.removed, dry.removed);
    assert_int_equal(old.bytes, dry.bytes);
    assert_false(is_there(data(fx, "orphan")));
    assert_true(is_there(data(fx, "a")));
    fx_ok(fx, fx_load_table(fx, "ns", "t", NULL));
    assert_int_equal(collect(fx, false, 0).removed, 0);
}

static void test_gc__commits_of_the_retention_keep_their_files(void **state)
{
    fixture *fx = *state;
    expire(fx);
    age(fx, 20);
    assert_int_equal(collect(fx, false, 0).removed, 0);
    age(fx, 20);
    assert_true(collect(fx, false, 0).removed >= 3); /* data, manifest, list */
    assert_false(is_there(data(fx, "a")));
    fx_ok(fx, fx_load_table(fx, "ns", "t", NULL));
}

static void test_gc__a_branch_of_a_later_state_keeps_nothing_of_before(void **state)
{
    fixture *fx = *state;
    expire(fx);
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    age(fx, 40);
    (void)collect(fx, false, 0);
    assert_false(is_there(data(fx, "a")));
}

/* As the maintenance does, which may expire what others read. */
static void expire_shared(fixture *fx)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_txn *txn = fx_begin(fx);
    pang_view view = fx_view(fx, txn);
    pang_str key = pang_key_fork_mark(&keys, view.levels[0].branch);
    pang_txn_delete(txn, key);
    fx_ok(fx, pang_txn_commit(txn, &fx->err));
    expire(fx);
}

static void test_gc__what_branches_and_tags_read_stays(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_create_branch(fx, "deep", "dev"));
    expire_shared(fx);
    age(fx, 40);
    assert_int_equal(collect(fx, false, 0).removed, 0);
    assert_true(is_there(data(fx, "a")));
}

static void test_gc__what_a_tag_reads_stays(void **state)
{
    fixture *fx = *state;
    make_tag(fx, "v1");
    expire_shared(fx);
    age(fx, 40);
    assert_int_equal(collect(fx, false, 0).removed, 0);
    assert_true(is_there(data(fx, "a")));
}

/* What a branch wrote itself is read by it alone. */
static void test_gc__what_a_branch_wrote_stays_and_is_collected_by_the_same_rules(void **state)
{
    static const char *const files[] = {"b"};
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_append(fx, FX_PREFIX "@dev", "t", table_of(fx), 2, files, 1));
    fx_write_over(data(fx, "orphan"), "x");
    age(fx, 40);
    assert_int_equal(collect(fx, false, 0).removed, 1);
    assert_true(is_there(data(fx, "a")));
    assert_true(is_there(data(fx, "b")));
}

/* The id of a merge of dev into main that waits for people. */
static const char *conflicted_merge(fixture *fx)
{
    Pangolin__V1__MergeBranchesResponse out;
    fx_ok(fx, fx_merge(fx, "dev", "main", &out));
    assert_non_null(out.conflicted);
    return out.conflicted->operation_id;
}

static void abort_merge(fixture *fx, const char *id)
{
    Pangolin__V1__AbortMergeRequest in = PANGOLIN__V1__ABORT_MERGE_REQUEST__INIT;
    Pangolin__V1__AbortMergeResponse out = PANGOLIN__V1__ABORT_MERGE_RESPONSE__INIT;
    in.id = fx_text(fx, "%s", id);
    fx_ok(fx, fx_call(fx, "AbortMerge", &in, &out));
}

#define SET_X(value) "[{\"action\":\"set-properties\",\"updates\":{\"x\":\"" value "\"}}]"

/* A merge that waits names what its source had, also when the source has ended. */
static void test_gc__what_an_open_merge_would_bring_stays_until_it_is_given_up(void **state)
{
    static const char *const files[] = {"b"};
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_append(fx, FX_PREFIX "@dev", "t", table_of(fx), 2, files, 1));
    fx_ok(fx, commit(fx, FX_PREFIX "@dev", SET_X("1")));
    fx_ok(fx, commit(fx, MAIN, SET_X("2")));
    const char *operation = conflicted_merge(fx);
    fx_ok(fx, fx_delete_branch(fx, "dev"));
    age(fx, 40);
    (void)collect(fx, false, 0);
    assert_true(is_there(data(fx, "b")));
    abort_merge(fx, operation);
    age(fx, 40);
    (void)collect(fx, false, 0);
    assert_false(is_there(data(fx, "b")));
    assert_true(is_there(data(fx, "a")));
}

/* Who stages a table writes its files before it is there. */
static void test_gc__what_a_staged_table_has_stays_while_it_may_be_committed(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    Pangolin__V1__CreateTableResponse out = PANGOLIN__V1__CREATE_TABLE_RESPONSE__INIT;
    in.prefix = fx_text(fx, MAIN);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.name = fx_text(fx, "staged");
    in.schema = fx_bytes("{\"type\":\"struct\",\"fields\":[]}");
    in.stage_create = true;
    fx_ok(fx, fx_call(fx, "CreateTable", &in, &out));
    const char *written = fx_text(fx, "%s/ns/staged/data/x", fx->warehouse);
    fx_write_over(written, "rows");
    fx->ahead_ms += DAY_MS / 2;
    pang_gc_plan plan = {.scope = FX_SCOPE, .catalog = catalog_of(fx), .grace_ms = DAY_MS / 24};
    pang_gc_outcome outcome;
    fx_ok(fx, pang_gc_run(fx->state, &plan, NULL, NULL, &outcome, &fx->err));
    assert_true(is_there(written));
}

static void test_gc__a_purged_shared_table_goes_when_no_ref_reads_it(void **state)
{
    fixture *fx = *state;
    make_tag(fx, "v1");
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    age(fx, 40);
    assert_int_equal(collect(fx, false, 0).removed, 0);
    Pangolin__V1__DeleteTagRequest in = PANGOLIN__V1__DELETE_TAG_REQUEST__INIT;
    Pangolin__V1__DeleteTagResponse out = PANGOLIN__V1__DELETE_TAG_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.name = fx_text(fx, "v1");
    fx_ok(fx, fx_call(fx, "DeleteTag", &in, &out));
    pang_gc_outcome outcome = collect(fx, false, 0);
    assert_true(outcome.removed >= 5);
    assert_int_equal(outcome.released, 1);
    assert_false(is_there(data(fx, "a")));
    assert_int_equal(collect(fx, false, 0).places, 0);
}

static void test_gc__a_purged_table_can_come_back_in_its_time(void **state)
{
    fixture *fx = *state;
    make_tag(fx, "v1");
    Pangolin__V1__DeleteTagRequest in = PANGOLIN__V1__DELETE_TAG_REQUEST__INIT;
    Pangolin__V1__DeleteTagResponse out = PANGOLIN__V1__DELETE_TAG_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.name = fx_text(fx, "v1");
    fx_ok(fx, fx_call(fx, "DeleteTag", &in, &out));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    age(fx, 5);
    assert_int_equal(collect(fx, false, 0).removed, 0);
    age(fx, 5);
    assert_true(collect(fx, false, 0).removed >= 5);
}

static void test_gc__a_table_dropped_without_purge_keeps_its_files(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    fx_ok(fx, fx_delete_branch(fx, "dev"));
    age(fx, 80);
    pang_gc_outcome outcome = collect(fx, false, 0);
    assert_int_equal(outcome.removed, 0);
    assert_true(is_there(data(fx, "a")));
}

/* A merge that gives its name to another table ends it as a drop does, whoever purged it before. */
static void test_gc__a_table_that_a_merge_replaced_keeps_its_files(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__MergeBranchesResponse merged;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_replace_table_on(fx, FX_PREFIX "@dev", "ns", "t", true));
    fx_ok(fx, fx_merge(fx, "dev", "main", &merged));
    assert_null(merged.conflicted);
    fx_ok(fx, fx_delete_branch(fx, "dev"));
    age(fx, 80);
    assert_int_equal(collect(fx, false, 0).removed, 0);
    assert_true(is_there(data(fx, "a")));
}

static void test_gc__what_cannot_be_read_keeps_everything(void **state)
{
    fixture *fx = *state;
    fx_write_over(data(fx, "orphan"), "x");
    age(fx, 2);
    fx_write_over(fx_text(fx, "%s/metadata/1-m0.avro", table_of(fx)), "Obj\x01 and no more");
    pang_gc_outcome damaged = collect(fx, false, 0);
    assert_int_equal(damaged.removed, 0);
    assert_int_equal(damaged.skipped, 1);
    assert_int_equal(unlink(fx_path(fx_text(fx, "%s/metadata/snap-1.avro", table_of(fx)))), 0);
    pang_gc_outcome gone = collect(fx, false, 0);
    assert_int_equal(gone.removed, 0);
    assert_int_equal(gone.skipped, 1);
    assert_non_null(strstr(gone.reason, "snap-1.avro"));
    assert_true(is_there(data(fx, "orphan")));
}

/* More files than there is room to remember: several passes, the same end. */
static void test_gc__little_memory_takes_more_passes(void **state)
{
    enum { FILES = 60 };
    const char *files[FILES];
    fixture *fx = *state;
    for (size_t i = 0; i < FILES; i++)
        files[i] = fx_text(fx, "f%zu", i);
    fx_ok(fx, fx_append(fx, MAIN, "t", table_of(fx), 2, files, FILES));
    for (size_t i = 0; i < FILES; i++)
        fx_write_over(data(fx, fx_text(fx, "orphan-%zu", i)), "x");
    age(fx, 2);
    for (size_t marks = 9; marks < 40;
         marks++) /* names differ in each run, and so do their parts */
        assert_int_equal(collect(fx, true, marks).removed, FILES);
    assert_int_equal(collect(fx, false, 16).removed, FILES);
    for (size_t i = 0; i < FILES; i++)
        assert_true(is_there(data(fx, files[i])));
    assert_true(is_there(data(fx, "a")));
}

static bool stop_soon(void *arg, pang_str location, int64_t bytes)
{
    (void)location;
    (void)bytes;
    return --*(int *)arg > 0;
}

static void test_gc__a_run_that_is_cut_short_is_done_again(void **state)
{
    fixture *fx = *state;
    int allowed = 3;
    for (size_t i = 0; i < 10; i++)
        fx_write_over(data(fx, fx_text(fx, "orphan-%zu", i)), "x");
    age(fx, 2);
    pang_gc_plan plan = {.scope = FX_SCOPE, .catalog = catalog_of(fx), .grace_ms = DAY_MS};
    pang_gc_outcome out;
    fx_ok(fx, pang_gc_run(fx->state, &plan, stop_soon, &allowed, &out, &fx->err));
    assert_int_equal(out.removed, 2);
    assert_int_equal(collect(fx, false, 0).removed, 8);
    assert_true(is_there(data(fx, "a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_gc__##name, setup, fx_teardown)
        TEST(what_no_engine_committed_goes_once_it_is_old),
        TEST(commits_of_the_retention_keep_their_files),
        TEST(a_branch_of_a_later_state_keeps_nothing_of_before),
        TEST(what_branches_and_tags_read_stays),
        TEST(what_a_tag_reads_stays),
        TEST(what_a_branch_wrote_stays_and_is_collected_by_the_same_rules),
        TEST(what_an_open_merge_would_bring_stays_until_it_is_given_up),
        TEST(what_a_staged_table_has_stays_while_it_may_be_committed),
        TEST(a_purged_shared_table_goes_when_no_ref_reads_it),
        TEST(a_purged_table_can_come_back_in_its_time),
        TEST(a_table_dropped_without_purge_keeps_its_files),
        TEST(a_table_that_a_merge_replaced_keeps_its_files),
        TEST(what_cannot_be_read_keeps_everything),
        TEST(little_memory_takes_more_passes),
        TEST(a_run_that_is_cut_short_is_done_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
