/*
 * server/merge_files.c: the files of a merge in a warehouse: where they are read from and written
 * to, and what becomes of them when the commit does not land.
 */
#include "tests/server/catalog_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/server/merge_world.h"

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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_merge_store__files_go_below_the_metadata_and_stay_with_the_commit),
        TEST(test_merge_store__files_of_a_lost_commit_are_removed),
        TEST(test_merge_store__others_manifests_are_not_read),
        TEST(test_merge_store__tells_whether_files_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
