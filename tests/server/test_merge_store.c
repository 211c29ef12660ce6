/*
 * server/merge_files.c, server/merge_kept.c: the files of a merge in a warehouse: where they are
 * read from and written to, what becomes of them when the commit does not land, and what an attempt
 * leaves for the next one.
 */
#include "tests/server/catalog_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/metrics.h"
#include "tests/server/merge_world.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/merge.pb-c.h"

static world w;

/* A document of the world with its files in the warehouse, below `folder`. */
static const pang_json *move(fixture *fx, const pang_json *document, const char *folder)
{
    pang_str text;
    pang_json *moved;
    pang_buf to = {.arena = fx->arena};
    assert_int_equal(pang_json_print(document, fx->arena, &text, &fx->err), PANG_OK);
    for (size_t i = 0; i < text.len; i++) {
        pang_str rest = pang_str_after(text, i);
        if (pang_str_starts(rest, PANG_STR("\"m/"))) {
            pang_buf_printf(&to, "\"%s/%s/metadata/", fx->warehouse, folder);
            i += 2;
        } else if (pang_str_starts(rest, PANG_STR("s3://b/t"))) {
            pang_buf_printf(&to, "%s/t", fx->warehouse);
            i += 7;
        } else {
            pang_buf_add_char(&to, text.ptr[i]);
        }
    }
    assert_int_equal(pang_json_parse(pang_buf_str(&to), fx->arena, &moved, &fx->err), PANG_OK);
    return moved;
}

static void put(fixture *fx, const char *folder, pang_str name, pang_str bytes)
{
    pang_location at;
    const char *place = fx_text(fx, "%s/%s/metadata/%.*s", fx->warehouse, folder,
                                PANG_STR_ARG(name));
    assert_int_equal(pang_location_parse(pang_str_from(place), "x", fx->arena, &at, &fx->err),
                     PANG_OK);
    assert_int_equal(fx->objects[0]->ops->put(fx->objects[0], &at, bytes, PANG_DURABLE, &fx->err),
                     PANG_OK);
}

/* Lists name their manifests, so they are written again with the names that these have here. */
static void publish(fixture *fx, const pang_json *document, const char *folder)
{
    const pang_json *snapshots = pang_json_get(document, "snapshots");
    const pang_json *last = pang_json_at(snapshots, pang_json_size(snapshots) - 1);
    pang_manifest *rows;
    size_t n;
    pang_str list = {0}, bytes;
    pang_manifest_list_new made = {.format_version = 2, .parent_id = -1};
    (void)pang_json_to_str(pang_json_get(last, "manifest-list"), &list);
    (void)pang_json_to_int64(pang_json_get(last, "snapshot-id"), &made.snapshot_id);
    (void)pang_json_to_int64(pang_json_get(last, "sequence-number"), &made.sequence);
    assert_int_equal(w.from.list(&w, last, fx->arena, &rows, &n, &fx->err), PANG_OK);
    for (size_t i = 0; i < n; i++) {
        pang_str name = pang_str_after(rows[i].path, 2);
        pang_location at;
        int64_t size;
        const char *place = fx_text(fx, "%s/%s/metadata/%.*s", fx->warehouse, folder,
                                    PANG_STR_ARG(name));
        assert_int_equal(world_bytes(&w, rows[i].path, &bytes), PANG_OK);
        assert_int_equal(pang_location_parse(pang_str_from(place), "x", fx->arena, &at, &fx->err),
                         PANG_OK);
        if (fx->objects[0]->ops->stat(fx->objects[0], &at, &size, &fx->err) != PANG_OK)
            put(fx, folder, name, bytes);
        rows[i].path = pang_str_from(place);
    }
    made.manifests = rows;
    made.n = n;
    assert_int_equal(pang_manifest_list_write(&made, &w.env, fx->arena, &bytes, NULL, &fx->err),
                     PANG_OK);
    put(fx, folder, pang_str_after(list, 2), bytes);
}

typedef struct {
    pang_merge_table table;
    pang_merge_files files;
    pang_files_outcome outcome;
} trial;

static void run(fixture *fx, const char *folder, pang_txn *txn, trial *t)
{
    const pang_json *fork = world_run(&w, world_begin(&w, 2, true), "+ a1@1:1,2,3; + a2@1:4");
    const pang_json *source = world_run(&w, fork, "+ n1@1:11; - a2");
    const pang_json *target = world_run(&w, fork, "+ m1@1:13");
    const pang_json *all[] = {fork, source, target};
    for (size_t i = 0; i < 3; i++)
        publish(fx, all[i], folder);
    *t = (trial){.table = {.state = fx->state,
                           .env = &fx->env,
                           .txn = txn,
                           .arena = fx->arena,
                           .source_half = {.document = move(fx, fork, folder)},
                           .source = {.document = move(fx, source, folder)},
                           .target = {.document = move(fx, target, folder)},
                           .one_half = true}};
    t->table.target_half = t->table.source_half;
    t->files = (pang_merge_files){.merge = &t->table, .merged = t->table.target.document};
    assert_int_equal(pang_merge_files_run(&t->files, &t->outcome, &fx->err), PANG_OK);
    world_end(&w);
}

static pang_str list_of(const trial *t)
{
    pang_str list = {0};
    (void)pang_json_to_str(pang_json_get(t->outcome.snapshot, "manifest-list"), &list);
    return list;
}

static void test_merge_store__files_go_below_the_metadata_and_stay_with_the_commit(void **state)
{
    fixture *fx = *state;
    trial t;
    pang_txn *txn = fx_begin(fx);
    run(fx, "t", txn, &t);
    assert_int_equal(t.outcome.n_conflicts, 0);
    const char *list = pang_arena_cstr(fx->arena, list_of(&t));
    assert_non_null(strstr(list, fx_text(fx, "%s/t/metadata/snap-", fx->warehouse)));
    pang_txn_put(txn, PANG_KIND_METADATA, PANG_STR("x"), PANG_STR("y"));
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
    assert_int_equal(access(fx_path(list), F_OK), 0);
}

static void test_merge_store__files_of_a_lost_commit_are_removed(void **state)
{
    fixture *fx = *state;
    trial t;
    pang_arena *arena = pang_arena_new(64 << 20);
    pang_txn *txn = pang_txn_begin(fx->db, FX_SCOPE, PANG_NO_DEADLINE, arena);
    run(fx, "t", txn, &t);
    const char *list = fx_path(pang_arena_cstr(fx->arena, list_of(&t)));
    assert_int_equal(access(list, F_OK), 0);
    pang_arena_free(arena);
    assert_int_equal(access(list, F_OK), -1);
}

/* A document can name any file; what is not the table's own is not read. */
static void test_merge_store__others_manifests_are_not_read(void **state)
{
    fixture *fx = *state;
    trial t;
    run(fx, "other", fx_begin(fx), &t);
    assert_null(t.outcome.snapshot);
    assert_int_equal(t.outcome.n_conflicts, 1);
    assert_non_null(strstr(pang_arena_cstr(fx->arena, t.outcome.conflicts[0].description),
                           "does not lie below the table's location"));
}

static void test_merge_store__tells_whether_files_changed(void **state)
{
    fixture *fx = *state;
    trial t;
    bool changed;
    run(fx, "t", fx_begin(fx), &t);
    assert_int_equal(pang_merge_files_changed(&t.table, &changed, &fx->err), PANG_OK);
    assert_true(changed);
    t.table.source = t.table.source_half;
    assert_int_equal(pang_merge_files_changed(&t.table, &changed, &fx->err), PANG_OK);
    assert_false(changed);
}

/* ---- a target that moves ---- */

#define SET(name, value)                                                                           \
    "[{\"action\":\"set-properties\",\"updates\":{\"" name "\":\"" value "\"}}]"

static pang_code commit(fixture *fx, pang_arena *arena, const char *prefix, const char *table,
                        const char *updates)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out;
    char level[] = "ns", *levels[] = {level};
    unsigned runs;
    pang_str keep;
    pang_err err;
    in.prefix = (char *)(uintptr_t)prefix;
    in.namespace_ = levels;
    in.n_namespace_ = 1;
    in.table = (char *)(uintptr_t)table;
    in.requirements = pang_bytes_of(PANG_STR("[]"));
    in.updates = pang_bytes_of(pang_str_from(updates));
    pang_code code = fx_call_in(fx, arena, "CommitTable", &in, &out, &runs, &keep, &err);
    if (code != PANG_OK)
        print_error("%s: %s\n", table, err.message);
    return code;
}

static void must_commit(fixture *fx, const char *prefix, const char *table, const char *updates)
{
    assert_int_equal(commit(fx, fx->arena, prefix, table, updates), PANG_OK);
}

/* What an engine would send for the snapshots that a document of the world has since another. */
static const char *updates_of(fixture *fx, const pang_json *half, const pang_json *document)
{
    const pang_json *all = pang_json_get(document, "snapshots");
    pang_buf to = {.arena = fx->arena};
    int64_t id = 0;
    pang_buf_add_char(&to, '[');
    for (size_t i = pang_json_size(pang_json_get(half, "snapshots")); i < pang_json_size(all);
         i++) {
        pang_str text;
        assert_int_equal(pang_json_print(pang_json_at(all, i), fx->arena, &text, &fx->err),
                         PANG_OK);
        pang_buf_printf(&to, "{\"action\":\"add-snapshot\",\"snapshot\":%.*s},",
                        PANG_STR_ARG(text));
        (void)pang_json_to_int64(pang_json_get(pang_json_at(all, i), "snapshot-id"), &id);
    }
    pang_buf_printf(&to,
                    "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
                    "\"snapshot-id\":%lld}]",
                    (long long)id);
    return pang_arena_cstr(fx->arena, pang_buf_str(&to));
}

static void register_table(fixture *fx, const pang_json *document)
{
    Pangolin__V1__RegisterTableRequest in = PANGOLIN__V1__REGISTER_TABLE_REQUEST__INIT;
    Pangolin__V1__RegisterTableResponse out;
    pang_str text;
    assert_int_equal(pang_json_print(document, fx->arena, &text, &fx->err), PANG_OK);
    put(fx, "t", PANG_STR("first.metadata.json"), text);
    in.prefix = TEXT(FX_PREFIX);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.name = TEXT("t");
    in.metadata_location = fx_text(fx, "%s/t/metadata/first.metadata.json", fx->warehouse);
    if (fx_call(fx, "RegisterTable", &in, &out) != PANG_OK)
        fail_msg("%s", fx->err.message);
}

/* Tables t, of data, and u, without: changed on both sides. */
static void begin_apart(fixture *fx)
{
    const pang_json *fork = world_run(&w, world_begin(&w, 2, true), "+ a1@1:1,2,3; + a2@1:4");
    const pang_json *source = world_run(&w, fork, "+ n1@1:11");
    const pang_json *target = world_run(&w, fork, "+ m1@1:13");
    const pang_json *all[] = {fork, source, target};
    for (size_t i = 0; i < 3; i++) {
        publish(fx, all[i], "t");
        all[i] = move(fx, all[i], "t");
    }
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    register_table(fx, all[0]);
    assert_int_equal(fx_create_table(fx, "ns", "u", NULL), PANG_OK);
    assert_int_equal(fx_create_branch(fx, "dev", "main"), PANG_OK);
    must_commit(fx, FX_PREFIX "@dev", "t", updates_of(fx, all[0], all[1]));
    must_commit(fx, FX_PREFIX "@dev", "u", SET("a", "1"));
    must_commit(fx, FX_PREFIX, "t", updates_of(fx, all[0], all[2]));
    must_commit(fx, FX_PREFIX, "u", SET("b", "1"));
    world_end(&w);
}

/* Manifests and lists in the table's folder. */
static size_t count_files(fixture *fx)
{
    size_t n = 0;
    DIR *folder = opendir(fx_text(fx, "%s/warehouse/t/metadata", fx->folder));
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder)) != NULL;)
        n += strstr(e->d_name, ".avro") != NULL;
    closedir(folder);
    return n;
}

/* What somebody else does between a plan and its commit. */
typedef struct {
    fixture *fx;
    const char *table, *updates; /* a commit on main; NULL: none */
    bool ends_source;            /* the branch is deleted, so that the next attempt fails */
} other;

static void do_other(void *arg)
{
    const other *o = arg;
    Pangolin__V1__DeleteBranchRequest in = PANGOLIN__V1__DELETE_BRANCH_REQUEST__INIT;
    Pangolin__V1__DeleteBranchResponse out;
    pang_arena *arena = pang_arena_new(64 << 20);
    unsigned runs;
    pang_str keep;
    pang_err err;
    assert_non_null(arena);
    if (o->table != NULL)
        assert_int_equal(commit(o->fx, arena, FX_PREFIX, o->table, o->updates), PANG_OK);
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT("dev");
    if (o->ends_source)
        assert_int_equal(fx_call_in(o->fx, arena, "DeleteBranch", &in, &out, &runs, &keep, &err),
                         PANG_OK);
    pang_arena_free(arena);
}

typedef struct {
    pang_code code;
    unsigned runs;
    uint64_t tables; /* that went through the merger */
    size_t files;    /* that there are more than before */
    bool names;      /* the snapshot names the merge's commit, and its list is there */
} ended;

/* Whether the table's head is the merge's. */
static bool names_merge(fixture *fx, const char *id)
{
    Pangolin__V1__LoadTableResponse out;
    pang_json *document;
    assert_int_equal(fx_load_table(fx, "ns", "t", &out), PANG_OK);
    assert_int_equal(pang_json_parse(pang_str_of(out.metadata), fx->arena, &document, &fx->err),
                     PANG_OK);
    const pang_json *all = pang_json_get(document, "snapshots");
    const pang_json *last = pang_json_at(all, pang_json_size(all) - 1);
    pang_str commit = {0}, list = {0};
    (void)pang_json_to_str(
        pang_json_get(pang_json_get(last, "summary"), PANG_MERGE_COMMIT_PROPERTY), &commit);
    (void)pang_json_to_str(pang_json_get(last, "manifest-list"), &list);
    return pang_str_equal(commit, pang_str_from(id)) &&
           access(fx_path(pang_arena_cstr(fx->arena, list)), F_OK) == 0;
}

static ended merge_while(other *o, bool dry)
{
    Pangolin__V1__MergeBranchesRequest in = PANGOLIN__V1__MERGE_BRANCHES_REQUEST__INIT;
    Pangolin__V1__MergeBranchesResponse out;
    fixture *fx = o->fx = fx_open("memory:");
    pang_counters *counters;
    ended ret = {0};
    assert_int_equal(pang_counters_open(fx->schema, &counters, &fx->err), PANG_OK);
    begin_apart(fx);
    fx->server.counters = counters;
    size_t before = count_files(fx);
    if (o->table != NULL || o->ends_source)
        fx->between = do_other;
    fx->between_arg = o;
    in.catalog = TEXT(FX_PREFIX);
    in.source_branch = TEXT("dev");
    in.target_branch = TEXT("main");
    in.dry_run = dry;
    ret.code = fx_call(fx, "MergeBranches", &in, &out);
    ret.runs = fx->runs;
    ret.tables = pang_counter_value(counters, PANG_COUNT_MERGED_TABLES);
    ret.names = ret.code == PANG_OK && out.operation != NULL &&
                names_merge(fx, out.operation->result_commit_id);
    pang_arena_reset(fx->arena); /* the end of the call */
    ret.files = count_files(fx) - before;
    fx->server.counters = NULL;
    fx_close(fx);
    pang_counters_close(counters);
    return ret;
}

static void test_merge_store__tables_that_did_not_move_are_merged_once(void **state)
{
    (void)state;
    ended calm = merge_while(&(other){0}, false);
    assert_int_equal(calm.code, PANG_OK);
    assert_int_equal(calm.runs, 1);
    assert_int_equal(calm.tables, 2);
    assert_true(calm.names);
    assert_true(calm.files > 0);

    ended moved = merge_while(&(other){.table = "u", .updates = SET("c", "1")}, false);
    assert_int_equal(moved.code, PANG_OK);
    assert_int_equal(moved.runs, 2);
    assert_int_equal(moved.tables, 3); /* t once, u twice */
    assert_true(moved.names);
    assert_int_equal(moved.files, calm.files);
}

static void test_merge_store__files_of_a_table_that_moved_are_removed(void **state)
{
    (void)state;
    ended calm = merge_while(&(other){0}, false);
    ended moved = merge_while(&(other){.table = "t", .updates = SET("c", "1")}, false);
    assert_int_equal(moved.code, PANG_OK);
    assert_int_equal(moved.runs, 2);
    assert_int_equal(moved.tables, 3);
    assert_true(moved.names);
    assert_int_equal(moved.files, calm.files);
}

/* The second attempt waits for people, is only shown, or fails: what the first wrote goes. */
static void test_merge_store__files_that_nobody_names_end_with_the_call(void **state)
{
    (void)state;
    ended waits = merge_while(&(other){.table = "u", .updates = SET("a", "2")}, false);
    assert_int_equal(waits.code, PANG_OK);
    assert_int_equal(waits.runs, 2);
    assert_int_equal(waits.tables, 3);
    assert_int_equal(waits.files, 0);

    ended shown = merge_while(&(other){0}, true);
    assert_int_equal(shown.code, PANG_OK);
    assert_int_equal(shown.tables, 2);
    assert_int_equal(shown.files, 0);

    ended failed = merge_while(&(other){.ends_source = true}, false);
    assert_int_equal(failed.code, PANG_NOT_FOUND);
    assert_int_equal(failed.runs, 2);
    assert_int_equal(failed.files, 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_merge_store__files_go_below_the_metadata_and_stay_with_the_commit),
        TEST(test_merge_store__files_of_a_lost_commit_are_removed),
        TEST(test_merge_store__others_manifests_are_not_read),
        TEST(test_merge_store__tells_whether_files_changed),
        cmocka_unit_test(test_merge_store__tables_that_did_not_move_are_merged_once),
        cmocka_unit_test(test_merge_store__files_of_a_table_that_moved_are_removed),
        cmocka_unit_test(test_merge_store__files_that_nobody_names_end_with_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
