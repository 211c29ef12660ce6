/*
 * server/files.c, metadata.c, due.c: what a power loss may take is written again, what lost its
 * commit is removed, what is purged goes and nothing else.
 */
#include "tests/server/avro_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/metadata.h"

typedef Pangolin__V1__CreateTableResponse create_out;
typedef Pangolin__V1__CommitTableResponse commit_out;

static int setup(void **state)
{
    fx_setup(state);
    fx_ok(*state, fx_create_namespace(*state, "ns"));
    return 0;
}

static const char *read_file(fixture *fx, const char *location)
{
    pang_location at;
    pang_str text;
    fx_ok(fx, pang_location_parse(pang_str_from(location), "x", fx->arena, &at, &fx->err));
    return pang_metadata_read_file(fx->state, &at, fx->arena, &text, &fx->err) == PANG_OK
               ? pang_arena_cstr(fx->arena, text)
               : NULL;
}

static bool count_row(void *arg, const pang_record *row)
{
    (void)row;
    ++*(size_t *)arg;
    return true;
}

static size_t pending(fixture *fx)
{
    pang_keys keys = {.arena = fx->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_query query = {.prefix = pang_key_pending_files(&keys), .limit = 1000};
    size_t n = 0;
    fx_ok(fx, pang_store_scan(pang_db_store(fx->db), &query, PANG_NO_DEADLINE, count_row, &n,
                              &fx->err));
    return n;
}

/* ---- recovery ---- */

static void test_files__what_power_took_is_written_again(void **state)
{
    fixture *fx = *state;
    create_out made[3];
    commit_out gzipped;
    char locations[4][512];
    const char *texts[4];
    char kept[4][8192];
    for (int i = 0; i < 3; i++)
        fx_ok(fx, fx_create_table(fx, "ns", fx_text(fx, "t%d", i), &made[i]));
    fx_ok(fx, fx_commit(fx, "ns", "t2", "[]",
                        "[{\"action\":\"set-properties\",\"updates\":{"
                        "\"write.metadata.compression-codec\":\"gzip\"}}]",
                        &gzipped));
    for (int i = 0; i < 4; i++) {
        const char *location = i < 3 ? made[i].metadata_location : gzipped.metadata_location;
        (void)snprintf(locations[i], sizeof locations[i], "%s", location);
        texts[i] = read_file(fx, location);
        assert_non_null(texts[i]);
        (void)snprintf(kept[i], sizeof kept[i], "%s", texts[i]);
    }
    assert_int_equal(pending(fx), 4);
    assert_int_equal(unlink(fx_path(locations[0])), 0);
    fx_write_over(locations[1], "");
    fx_write_over(locations[3], "torn");
    fx_restart(fx);
    pang_state_stats stats;
    pang_state_get_stats(fx->state, &stats);
    assert_int_equal(stats.files_restored, 3);
    assert_int_equal(pending(fx), 0);
    for (int i = 0; i < 4; i++)
        assert_string_equal(read_file(fx, locations[i]), kept[i]);
    fx_ok(fx, fx_load_table(fx, "ns", "t0", NULL));
    fx_ok(fx, fx_load_table(fx, "ns", "t2", NULL));
}

static void test_files__whole_folders_come_back(void **state)
{
    fixture *fx = *state;
    create_out made;
    char location[512], command[256];
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    (void)snprintf(location, sizeof location, "%s", made.metadata_location);
    (void)snprintf(command, sizeof command, "rm -rf %s/warehouse", fx->folder);
    assert_int_equal(system(command), 0);
    fx_restart(fx);
    assert_non_null(read_file(fx, location));
}

static void test_files__more_than_a_batch_is_recovered(void **state)
{
    fixture *fx = *state;
    char command[256];
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    for (int i = 0; i < 520; i++)
        fx_ok(fx,
              fx_commit(
                  fx, "ns", "t", "[]",
                  fx_text(fx, "[{\"action\":\"set-properties\",\"updates\":{\"a\":\"%d\"}}]", i),
                  NULL));
    (void)snprintf(command, sizeof command, "rm -rf %s/warehouse/ns", fx->folder);
    assert_int_equal(system(command), 0);
    fx_restart(fx);
    pang_state_stats stats;
    pang_state_get_stats(fx->state, &stats);
    assert_int_equal(stats.files_restored, 521);
    fx_ok(fx, fx_load_table(fx, "ns", "t", NULL));
}

static void test_files__what_is_durable_is_forgotten(void **state)
{
    fixture *fx = *state;
    create_out made;
    pang_state_stats stats;
    for (int i = 0; i < 12; i++)
        fx_ok(fx, fx_create_table(fx, "ns", fx_text(fx, "t%d", i), &made));
    assert_int_equal(pending(fx), 12);
    int64_t wait = pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    assert_true(wait >= 0 && wait <= 1000);
    assert_int_equal(pending(fx), 0);
    pang_state_get_stats(fx->state, &stats);
    assert_int_equal(stats.files_synced, 12);
    /* What somebody removes later is not brought back: that is not a power loss. */
    assert_int_equal(unlink(fx_path(made.metadata_location)), 0);
    fx_restart(fx);
    assert_int_equal(fx_load_table(fx, "ns", "t11", NULL), PANG_NOT_FOUND);
}

/* ---- files of commits that did not land ---- */

static size_t metadata_files(fixture *fx, const char *table)
{
    DIR *folder = opendir(fx_text(fx, "%s/warehouse/ns/%s/metadata", fx->folder, table));
    size_t n = 0;
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(folder);
    return n;
}

/* A handler's work without its commit. */
static pang_txn *half_a_commit(fixture *fx, pang_arena *arena)
{
    Pangolin__V1__CommitTableRequest in = PANGOLIN__V1__COMMIT_TABLE_REQUEST__INIT;
    Pangolin__V1__CommitTableResponse out = PANGOLIN__V1__COMMIT_TABLE_RESPONSE__INIT;
    pang_call call = {
        .server = &fx->server,
        .who = &fx->who,
        .txn = pang_txn_begin(fx->db, FX_SCOPE, PANG_NO_DEADLINE, arena),
        .arena = arena,
        .deadline_ms = PANG_NO_DEADLINE,
        .tenant_key = FX_SCOPE,
    };
    in.prefix = (char *)(uintptr_t)FX_PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    in.updates = fx_bytes("[{\"action\":\"set-properties\",\"updates\":{\"x\":\"y\"}}]");
    for (size_t i = 0; i < pang_service_table.n; i++)
        if (strstr(pang_service_table.methods[i].path, "/CommitTable") != NULL)
            fx_ok(fx, pang_service_table.methods[i].handle(&call, &in, &out, &fx->err));
    return call.txn;
}

static void test_files__a_lost_race_leaves_no_file(void **state)
{
    fixture *fx = *state;
    pang_arena *arena = pang_arena_new(1 << 24);
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    pang_txn *txn = half_a_commit(fx, arena);
    assert_int_equal(metadata_files(fx, "t"), 2);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]",
                        "[{\"action\":\"set-properties\",\"updates\":{\"a\":\"b\"}}]", NULL));
    assert_int_equal(metadata_files(fx, "t"), 3);
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_ABORTED);
    pang_arena_free(arena);
    assert_int_equal(metadata_files(fx, "t"), 2);
    assert_int_equal(pending(fx), 2);
}

static void test_files__work_that_is_dropped_leaves_no_file(void **state)
{
    fixture *fx = *state;
    pang_arena *arena = pang_arena_new(1 << 24);
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    (void)half_a_commit(fx, arena);
    assert_int_equal(metadata_files(fx, "t"), 2);
    pang_arena_free(arena);
    assert_int_equal(metadata_files(fx, "t"), 1);
}

/* ---- purge ---- */

/* A table with a snapshot of one manifest that names a file of the table and one of a stranger. */
static void add_snapshot(fixture *fx, const char *table)
{
    const char *list = fx_text(fx, "%s/metadata/snap.avro", table);
    const char *manifest = fx_text(fx, "%s/metadata/manifest.avro", table);
    const char *data = fx_text(fx, "%s/data/a.parquet", table);
    const char *stranger = fx_text(fx, "%s/stranger.parquet", fx->warehouse);
    const char *gone = fx_text(fx, "%s/data/never-was.parquet", table);
    const char *files[] = {data, stranger, gone};
    fx_write_over(data, "rows");
    fx_write_over(stranger, "rows");
    fx_write_manifest(manifest, files, 3);
    fx_write_manifest_list(list, &manifest, 1);
    fx_ok(fx,
          fx_commit(fx, "ns", "t", "[]",
                    fx_text(fx,
                            "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":1,"
                            "\"sequence-number\":1,\"timestamp-ms\":%lld,\"manifest-list\":\"%s\","
                            "\"summary\":{\"operation\":\"append\"},\"schema-id\":0}},"
                            "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\","
                            "\"type\":\"branch\",\"snapshot-id\":1}]",
                            (long long)pang_env_wall_ms(&fx->env), list),
                    NULL));
}

static bool is_there(const char *location)
{
    return access(fx_path(location), F_OK) == 0;
}

static void purge_now(fixture *fx)
{
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx->ahead_ms = INT64_C(8) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
}

static void test_files__a_purge_takes_the_tables_files_and_no_others(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    const char *table = fx_text(fx, "%s/ns/t", fx->warehouse);
    add_snapshot(fx, table);
    fx_write_over(fx_text(fx, "%s/data/unknown.parquet", table), "an engine's, not committed");
    purge_now(fx);
    assert_false(is_there(fx_text(fx, "%s/data/a.parquet", table)));
    assert_false(is_there(fx_text(fx, "%s/metadata/manifest.avro", table)));
    assert_false(is_there(fx_text(fx, "%s/metadata/snap.avro", table)));
    assert_int_equal(metadata_files(fx, "t"), 0);
    assert_true(is_there(fx_text(fx, "%s/stranger.parquet", fx->warehouse)));
    assert_true(is_there(fx_text(fx, "%s/data/unknown.parquet", table)));
}

static void test_files__a_purge_keeps_data_where_gc_is_off(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    const char *table = fx_text(fx, "%s/ns/t", fx->warehouse);
    add_snapshot(fx, table);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]",
                        "[{\"action\":\"set-properties\",\"updates\":{\"gc.enabled\":\"false\"}}]",
                        NULL));
    purge_now(fx);
    assert_true(is_there(fx_text(fx, "%s/data/a.parquet", table)));
    assert_int_equal(metadata_files(fx, "t"), 0);
}

static void test_files__a_purge_of_damaged_manifests_takes_what_it_can(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    const char *table = fx_text(fx, "%s/ns/t", fx->warehouse);
    add_snapshot(fx, table);
    fx_write_over(fx_text(fx, "%s/metadata/manifest.avro", table), "Obj\x01 and no more");
    purge_now(fx);
    assert_true(is_there(fx_text(fx, "%s/data/a.parquet", table)));
    assert_int_equal(metadata_files(fx, "t"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_files__##name, setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_power_took_is_written_again),
        TEST(whole_folders_come_back),
        TEST(more_than_a_batch_is_recovered),
        TEST(what_is_durable_is_forgotten),
        TEST(a_lost_race_leaves_no_file),
        TEST(work_that_is_dropped_leaves_no_file),
        TEST(a_purge_takes_the_tables_files_and_no_others),
        TEST(a_purge_keeps_data_where_gc_is_off),
        TEST(a_purge_of_damaged_manifests_takes_what_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
