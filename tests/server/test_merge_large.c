/*
 * server/merge_*.c with many files: a source whose manifests were all written anew, so that nothing
 * can be skipped by name. A million files on each side with PANG_TEST_LONG.
 */
#include "merge_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_MANIFEST = 5000 };

static world w;
static int64_t manifests;

/* The half's manifests are old-<i>; the source's are new-<i>, with the same files and one more. */
static pang_code list_rows(void *arg, const pang_json *snapshot, pang_arena *arena,
                           pang_manifest **ret, size_t *ret_n, pang_err *err)
{
    pang_str name = {0};
    (void)arg;
    (void)pang_json_to_str(pang_json_get(snapshot, "manifest-list"), &name);
    pang_manifest *rows = pang_arena_alloc_n(arena, (size_t)manifests, sizeof *rows);
    if (rows == NULL)
        return pang_fail_memory(err);
    for (int64_t i = 0; i < manifests; i++)
        rows[i] = (pang_manifest){
            .path = pang_arena_printf(arena, "%.*s-%lld", PANG_STR_ARG(name), (long long)i),
            .sequence = 1,
            .snapshot_id = 1,
            .existing_files = IN_MANIFEST};
    *ret = rows;
    *ret_n = (size_t)manifests;
    return PANG_OK;
}

static void one_file(const pang_manifest *row, size_t i, char path[192], pang_manifest_entry *ret)
{
    static const pang_value partition = {.type = PANG_VALUE_INT, .number = 1};
    *ret = (pang_manifest_entry){.status = PANG_ENTRY_EXISTING,
                                 .has_snapshot_id = true,
                                 .has_sequence = true,
                                 .has_file_sequence = true,
                                 .snapshot_id = 1,
                                 .sequence = 1,
                                 .file_sequence = 1,
                                 .format = PANG_STR("PARQUET"),
                                 .partition = &partition,
                                 .n_partition = 1,
                                 .record_count = 1,
                                 .file_size = 1};
    (void)snprintf(path, 192, "s3://bucket/warehouse/db/table/data/p=1/00000-%s-%zu.parquet",
                   strchr(row->path.ptr, '-'), i);
    ret->path = pang_str_from(path);
}

static pang_code read_entries(void *arg, const pang_manifest *row, pang_arena *arena,
                              pang_manifest_head *head, pang_manifest_entry_fn *fn, void *fn_arg,
                              pang_err *err)
{
    bool more = pang_str_equal(row->path, PANG_STR("new-0"));
    (void)arg;
    (void)arena;
    (void)err;
    *head = (pang_manifest_head){.format_version = 2};
    for (size_t i = 0; i < IN_MANIFEST + (more ? 1 : 0); i++) {
        char path[192];
        pang_manifest_entry entry;
        one_file(row, i, path, &entry);
        if (i == IN_MANIFEST)
            entry.status = PANG_ENTRY_ADDED;
        if (!fn(fn_arg, &entry))
            break;
    }
    return PANG_OK;
}

static const pang_json *document(const char *list, int64_t id)
{
    char text[1024];
    pang_json *made;
    pang_str spelt;
    int n = snprintf(
        text, sizeof text,
        "{\"format-version\":2,\"last-sequence-number\":1,\"current-snapshot-id\":%lld,"
        "\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,"
        "\"name\":\"p\",\"required\":false,\"type\":\"int\"}]}],\"partition-specs\":[{"
        "\"spec-id\":0,\"fields\":[{\"source-id\":1,\"field-id\":1000,\"name\":\"p\","
        "\"transform\":\"identity\"}]}],\"snapshots\":[{\"snapshot-id\":%lld,"
        "\"sequence-number\":1,\"manifest-list\":\"%s\","
        "\"summary\":{\"operation\":\"append\"}}]}",
        (long long)id, (long long)id, list);
    assert_true(n > 0 && pang_arena_copy(w.arena, (pang_str){text, (size_t)n}, &spelt));
    assert_int_equal(pang_json_parse(spelt, w.arena, &made, &w.err), PANG_OK);
    return made;
}

static void test_merge_large__finds_one_file_among_many(void **state)
{
    pang_files_outcome files;
    pang_str text;
    (void)state;
    manifests = getenv("PANG_TEST_LONG") != NULL ? 200 : 10;
    (void)world_begin(&w, 2, true);
    w.from = (pang_manifest_source){.list = list_rows, .read = read_entries};
    const pang_json *half = document("old", 1);
    pang_merge_table table = {.env = &w.env,
                              .arena = w.arena,
                              .source_half = {.document = half},
                              .source = {.document = document("new", 2)},
                              .target_half = {.document = half},
                              .target = {.document = half},
                              .one_half = true};
    pang_merge_files merge = {.merge = &table, .merged = half};
    assert_int_equal(pang_merge_steps(&merge, &w.from, &w.sink, &files, &w.err), PANG_OK);
    assert_int_equal(files.n_conflicts, 0);
    assert_int_equal(pang_json_print(files.snapshot, w.arena, &text, &w.err), PANG_OK);
    assert_non_null(strstr(pang_arena_cstr(w.arena, text), "\"added-data-files\":\"1\""));
    assert_null(strstr(pang_arena_cstr(w.arena, text), "deleted-data-files"));
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_large__finds_one_file_among_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
