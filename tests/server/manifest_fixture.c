/*
 * Entries are made of their number, so that each differs from the next in every member, and every
 * third has null where a version takes it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/manifest_fixture.h"

pang_json *fixture_json(const char *text, pang_arena *arena)
{
    pang_str copy;
    pang_json *json;
    pang_err err;
    if (!pang_arena_copy(arena, pang_str_from(text), &copy))
        return NULL;
    for (char *c = (char *)(uintptr_t)copy.ptr; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    return pang_json_parse(copy, arena, &json, &err) == PANG_OK ? json : NULL;
}

static const char *const types[] = {"boolean", "int",           "long",          "float",
                                    "double",  "date",          "time",          "timestamp",
                                    "string",  "timestamptz",   "uuid",          "fixed[3]",
                                    "binary",  "decimal(9, 2)", "decimal(38, 0)"};

pang_json *fixture_schema(pang_arena *arena)
{
    pang_buf text = {.arena = arena};
    pang_buf_printf(&text, "{'type':'struct','schema-id':7,'fields':[");
    for (int i = 0; i < 15; i++)
        pang_buf_printf(&text, "%s{'id':%d,'name':'c%d','required':false,'type':'%s'}",
                        i > 0 ? "," : "", i + 1, i + 1, types[i]);
    pang_buf_printf(&text, "]}%c", '\0');
    return text.failed ? NULL : fixture_json(text.ptr, arena);
}

static const struct {
    int source;
    const char *transform;
} parts[FIXTURE_FIELDS] = {
    {1, "identity"},  {2, "identity"},   {3, "truncate[10]"}, {4, "identity"},  {5, "identity"},
    {6, "identity"},  {7, "identity"},   {8, "identity"},     {10, "hour"},     {9, "identity"},
    {11, "identity"}, {12, "identity"},  {13, "identity"},    {14, "identity"}, {15, "identity"},
    {10, "day"},      {11, "bucket[8]"}, {14, "void"},        {99, "identity"}, {6, "year"},
};

pang_json *fixture_spec(pang_arena *arena)
{
    pang_buf text = {.arena = arena};
    pang_buf_printf(&text, "{'spec-id':4,'fields':[");
    for (int i = 0; i < FIXTURE_FIELDS; i++)
        pang_buf_printf(&text, "%s{'source-id':%d,'field-id':%d,'name':'p %02d','transform':'%s'}",
                        i > 0 ? "," : "", parts[i].source, 1000 + i, i, parts[i].transform);
    pang_buf_printf(&text, "]}%c", '\0');
    return text.failed ? NULL : fixture_json(text.ptr, arena);
}

static pang_value number(int64_t n)
{
    return (pang_value){.type = PANG_VALUE_INT, .number = n};
}

static pang_value bytes(pang_str text)
{
    return (pang_value){.type = PANG_VALUE_BYTES, .text = text};
}

static void fill_partition(pang_value *to, int64_t i, pang_arena *arena)
{
    pang_str text = pang_arena_printf(arena, "text-%04d-0123456789", (int)i);
    to[0] = (pang_value){.type = PANG_VALUE_BOOLEAN, .number = i & 1};
    to[1] = number(-i);
    to[2] = number(i * 10000000000);
    to[3] = (pang_value){.type = PANG_VALUE_FLOAT, .real = (double)i / 4};
    to[4] = (pang_value){.type = PANG_VALUE_DOUBLE, .real = (double)i / 3};
    for (size_t k = 5; k < 9; k++)
        to[k] = number(i + (int64_t)k);
    to[9] = bytes(text);
    to[10] = bytes(pang_str_slice(text, 0, 16));
    to[11] = bytes(pang_str_slice(text, 6, 3));
    to[12] = bytes(pang_str_slice(text, 0, (size_t)i % 5));
    to[13] = bytes(i % 2 == 0 ? PANG_STR("\xFE\x0C") : PANG_STR("\x01\x00"));
    to[14] = bytes(i % 2 == 0 ? PANG_STR("\x80") : PANG_STR("\x00\xFF"));
    to[15] = to[16] = number(i);
    to[18] = bytes(text);
    to[19] = number(i);
}

static void *items(size_t n, size_t size, const void *from, pang_arena *arena)
{
    void *to = pang_arena_alloc_n(arena, n, size);
    if (to != NULL && n > 0)
        memcpy(to, from, n * size);
    return to;
}

static void fill_lists(pang_manifest_entry *e, int64_t i, pang_arena *arena)
{
    pang_column_number sizes[] = {{1, i}, {INT32_MAX, INT64_MAX - i}, {3, -1}};
    pang_column_bound bounds[] = {{1, PANG_STR("low")}, {2, PANG_STR("")}};
    int64_t offsets[] = {4, i + 1000};
    e->n_column_sizes = e->n_value_counts = 3;
    e->column_sizes = e->value_counts = items(3, sizeof sizes[0], sizes, arena);
    e->n_nan_counts = 0;
    e->nan_counts = items(0, sizeof sizes[0], sizes, arena); /* there, but empty */
    e->n_lower = 2;
    e->lower = items(2, sizeof bounds[0], bounds, arena);
    e->n_split_offsets = 2;
    e->split_offsets = items(2, sizeof offsets[0], offsets, arena);
    e->key_metadata = PANG_STR("key");
}

static void fill_deletes(pang_manifest_entry *e, int64_t i, int version, pang_arena *arena)
{
    static const int32_t ids[] = {1, 3};
    e->content = i % 2 == 0 ? PANG_FILE_POSITION_DELETES : PANG_FILE_EQUALITY_DELETES;
    if (e->content == PANG_FILE_EQUALITY_DELETES) {
        e->n_equality_ids = 2;
        e->equality_ids = items(2, sizeof ids[0], ids, arena);
        return;
    }
    e->referenced_data_file = PANG_STR("s3://b/t/data/d");
    e->has_content_range = version >= 3;
    e->content_offset = version >= 3 ? 4 * i : 0;
    e->content_size = version >= 3 ? 40 : 0;
}

pang_manifest_entry *fixture_entry(size_t index, int version, pang_manifest_content content,
                                   pang_arena *arena)
{
    int64_t i = (int64_t)index;
    bool sparse = index % 3 == 2;
    pang_value *partition = pang_arena_alloc_n(arena, FIXTURE_FIELDS, sizeof *partition);
    pang_manifest_entry *e = pang_arena_alloc(arena, sizeof *e);
    if (e == NULL || partition == NULL)
        return NULL;
    *e = (pang_manifest_entry){
        .status = (pang_entry_status)(i % 3),
        .has_snapshot_id = !sparse,
        .snapshot_id = sparse ? 0 : 3051729675574597004 + i,
        .path = pang_arena_printf(arena, "s3://b/t/data/%05d.parquet", (int)i),
        .format = PANG_STR("PARQUET"),
        .partition = partition,
        .n_partition = FIXTURE_FIELDS,
        .record_count = i * 10,
        .file_size = i * 1000};
    if (version >= 2 && !sparse) {
        e->has_sequence = e->has_file_sequence = true;
        e->sequence = i + 1;
        e->file_sequence = i + 2;
    }
    if (!sparse) {
        fill_partition(partition, i, arena);
        fill_lists(e, i, arena);
        e->has_sort_order = true;
        e->sort_order = 1;
    }
    if (content == PANG_MANIFEST_DELETES)
        fill_deletes(e, i, version, arena);
    else if (version >= 3 && !sparse) {
        e->has_first_row_id = true;
        e->first_row_id = i * 100;
    }
    return pang_arena_failed(arena) ? NULL : e;
}

bool fixture_manifest(size_t n, int version, pang_manifest_content content, pang_codec codec,
                      pang_arena *arena, pang_manifest_new *ret)
{
    const pang_manifest_entry **entries = pang_arena_alloc_n(arena, n, sizeof(*entries));
    for (size_t i = 0; entries != NULL && i < n; i++)
        entries[i] = fixture_entry(i, version, content, arena);
    *ret = (pang_manifest_new){.format_version = version,
                               .content = content,
                               .schema = fixture_schema(arena),
                               .spec = fixture_spec(arena),
                               .codec = codec,
                               .entries = entries,
                               .n = n};
    return ret->schema != NULL && ret->spec != NULL && !pang_arena_failed(arena);
}

/* ---- comparing ---- */

static void same_text(pang_str a, pang_str b)
{
    assert_int_equal(a.ptr == NULL, b.ptr == NULL);
    assert_true(pang_str_equal(a, b));
}

static void same_numbers(const pang_column_number *a, size_t n_a, const pang_column_number *b,
                         size_t n_b)
{
    assert_int_equal(a == NULL, b == NULL);
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        assert_int_equal(a[i].column, b[i].column);
        assert_true(a[i].number == b[i].number);
    }
}

static void same_bounds(const pang_column_bound *a, size_t n_a, const pang_column_bound *b,
                        size_t n_b)
{
    assert_int_equal(a == NULL, b == NULL);
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        assert_int_equal(a[i].column, b[i].column);
        same_text(a[i].bound, b[i].bound);
    }
}

static void same_bytes(const void *a, size_t n_a, const void *b, size_t n_b, size_t size)
{
    assert_int_equal(a == NULL, b == NULL);
    assert_int_equal(n_a, n_b);
    if (n_a > 0)
        assert_memory_equal(a, b, n_a * size);
}

static void same_plain(const pang_manifest_entry *a, const pang_manifest_entry *b)
{
#define SAME(member) assert_true(a->member == b->member)
    SAME(status);
    SAME(has_snapshot_id);
    SAME(has_sequence);
    SAME(has_file_sequence);
    SAME(snapshot_id);
    SAME(sequence);
    SAME(file_sequence);
    SAME(content);
    SAME(record_count);
    SAME(file_size);
    SAME(has_sort_order);
    SAME(sort_order);
    SAME(has_first_row_id);
    SAME(first_row_id);
    SAME(has_content_range);
    SAME(content_offset);
    SAME(content_size);
#undef SAME
}

void fixture_assert_same(const pang_manifest_entry *a, const pang_manifest_entry *b)
{
    same_plain(a, b);
    same_text(a->path, b->path);
    same_text(a->format, b->format);
    same_text(a->key_metadata, b->key_metadata);
    same_text(a->referenced_data_file, b->referenced_data_file);
    assert_int_equal(a->n_partition, b->n_partition);
    for (size_t i = 0; i < a->n_partition; i++)
        if (!pang_value_equal(&a->partition[i], &b->partition[i]))
            fail_msg("partition value %zu differs", i);
    same_numbers(a->column_sizes, a->n_column_sizes, b->column_sizes, b->n_column_sizes);
    same_numbers(a->value_counts, a->n_value_counts, b->value_counts, b->n_value_counts);
    same_numbers(a->null_counts, a->n_null_counts, b->null_counts, b->n_null_counts);
    same_numbers(a->nan_counts, a->n_nan_counts, b->nan_counts, b->n_nan_counts);
    same_bounds(a->lower, a->n_lower, b->lower, b->n_lower);
    same_bounds(a->upper, a->n_upper, b->upper, b->n_upper);
    same_bytes(a->split_offsets, a->n_split_offsets, b->split_offsets, b->n_split_offsets,
               sizeof(int64_t));
    same_bytes(a->equality_ids, a->n_equality_ids, b->equality_ids, b->n_equality_ids,
               sizeof(int32_t));
}
