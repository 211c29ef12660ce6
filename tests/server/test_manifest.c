/*
 * server/manifest*.c: what is written is read again as the same, in every version and codec; what
 * entries inherit; rows of lists; what is refused. That other programs read the files is the
 * matter of tests/e2e/spark_manifests.py.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/server/manifest_fixture.h"

static pang_arena *arena;
static pang_err err;
static pang_env_fixed clock_state = {.seed = 7};
static pang_env env;

static int setup(void **state)
{
    (void)state;
    env = pang_env_from_fixed(&clock_state);
    arena = pang_arena_new((size_t)1 << 30);
    return arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pang_arena_free(arena);
    return 0;
}

static void must(pang_code code)
{
    if (code != PANG_OK)
        fail_msg("%s", err.message);
}

/* ---- what is written is read again ---- */

typedef struct {
    const pang_manifest_new *made;
    size_t n;
} comparison;

static bool compare(void *arg, const pang_manifest_entry *entry)
{
    comparison *c = arg;
    pang_manifest_entry *copy;
    assert_true(c->n < c->made->n);
    must(pang_manifest_entry_copy(entry, arena, &copy, &err));
    fixture_assert_same(copy, c->made->entries[c->n++]);
    return true;
}

static void round_trip(int version, pang_manifest_content content, pang_codec codec, size_t n)
{
    pang_manifest_new made;
    pang_manifest row;
    pang_manifest_head head;
    pang_str file;
    assert_true(fixture_manifest(n, version, content, codec, arena, &made));
    must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
    comparison c = {.made = &made};
    must(pang_manifest_read(file, NULL, arena, &head, compare, &c, &err));
    assert_int_equal(c.n, n);
    assert_int_equal(head.format_version, version);
    assert_int_equal(head.content, content);
    assert_int_equal(head.spec_id, 4);
    assert_int_equal(head.schema_id, 7);
    assert_int_equal(head.n_partition, FIXTURE_FIELDS);
    assert_int_equal(head.partition[3], 1003);
    assert_int_equal(row.length, file.len);
    assert_int_equal(row.spec_id, 4);
    assert_int_equal(row.content, content);
}

static void test_manifest__what_is_written_is_read_again(void **state)
{
    (void)state;
    for (int version = 1; version <= 3; version++)
        for (int codec = PANG_CODEC_NULL; codec <= PANG_CODEC_ZSTANDARD; codec++)
            for (size_t n = 0; n < 500; n = n * 3 + 1) {
                round_trip(version, PANG_MANIFEST_DATA, (pang_codec)codec, n);
                if (version > 1)
                    round_trip(version, PANG_MANIFEST_DELETES, (pang_codec)codec, n);
            }
}

static void test_manifest__other_chance_other_sync_marker(void **state)
{
    (void)state;
    pang_manifest_new made;
    pang_manifest row;
    pang_str a, b;
    assert_true(fixture_manifest(1, 2, PANG_MANIFEST_DATA, PANG_CODEC_NULL, arena, &made));
    must(pang_manifest_write(&made, &env, arena, &a, &row, &err));
    must(pang_manifest_write(&made, &env, arena, &b, &row, &err));
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(a.ptr + a.len - 16, b.ptr + b.len - 16, 16);
}

static bool contains(pang_str text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static void test_manifest__the_schema_says_ids_and_logical_types(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "\"name\":\"p_x2000\",\"type\":[\"null\",\"boolean\"],\"default\":null,\"field-id\":1000",
        "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":false}",
        "{\"type\":\"fixed\",\"name\":\"uuid_fixed\",\"size\":16,\"logicalType\":\"uuid\"}",
        "{\"type\":\"fixed\",\"name\":\"decimal_9_2\",\"size\":4,\"logicalType\":\"decimal\","
        "\"precision\":9,\"scale\":2}",
        "\"name\":\"decimal_38_0\",\"size\":16",
        "{\"type\":\"fixed\",\"name\":\"decimal_9_2_17\",\"size\":4,", /* the second use */
        "{\"type\":\"int\",\"logicalType\":\"date\"}",
        "{\"name\":\"key\",\"type\":\"int\",\"field-id\":117}",
        "],\"default\":null,\"field-id\":108",
        "\"logicalType\":\"map\"",
        "{\"type\":\"array\",\"items\":\"long\",\"element-id\":133}",
        "\"name\":\"p_x2018\",\"type\":[\"null\",\"bytes\"]", /* by its values */
    };
    pang_manifest_new made;
    pang_manifest row;
    pang_str file;
    assert_true(fixture_manifest(2, 2, PANG_MANIFEST_DATA, PANG_CODEC_NULL, arena, &made));
    must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!contains(file, parts[i]))
            fail_msg("%s", parts[i]);
    assert_false(contains(file, "block_size_in_bytes"));
}

static void test_manifest__names_are_made_fit_for_avro(void **state)
{
    (void)state;
    static const struct {
        const char *name, *clean;
    } cases[] = {
        {"plain_9", "\"plain_9\""},
        {"9a", "\"_9a\""},
        {"a.b", "\"a_x2Eb\""},
        {"\xC3\xA9", "\"_xE9\""},
        {"\xF0\x9F\x98\x80", "\"_xD83D_xDE00\""},
        {"_", "\"_\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_manifest_new made;
        pang_manifest row;
        pang_str file;
        assert_true(fixture_manifest(0, 2, PANG_MANIFEST_DATA, PANG_CODEC_NULL, arena, &made));
        pang_str spec = pang_arena_printf(
            arena,
            "{'spec-id':1,'fields':[{'source-id':2,'field-id':1000,'name':'%s','transform':"
            "'identity'},{'source-id':2,'field-id':1001,'name':'_xE9','transform':'void'}]}",
            cases[i].name);
        made.spec = fixture_json(spec.ptr, arena);
        must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
        if (!contains(file, cases[i].clean))
            fail_msg("%s", cases[i].clean);
        assert_int_equal(contains(file, "\"_xE9_1001\""), i == 3);
    }
}

/* ---- rows ---- */

static void test_manifest__a_row_counts_and_bounds(void **state)
{
    (void)state;
    pang_manifest_new made;
    pang_manifest row;
    pang_str file;
    assert_true(fixture_manifest(9, 2, PANG_MANIFEST_DATA, PANG_CODEC_DEFLATE, arena, &made));
    /* What was deleted has no part in the least sequence number. */
    ((pang_manifest_entry *)(uintptr_t)made.entries[2])->has_sequence = true;
    must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
    assert_int_equal(row.existing_files, 3);
    assert_int_equal(row.added_files, 3);
    assert_int_equal(row.deleted_files, 3);
    assert_int_equal(row.existing_rows, 0 + 30 + 60);
    assert_int_equal(row.added_rows, 10 + 40 + 70);
    assert_int_equal(row.deleted_rows, 20 + 50 + 80);
    assert_int_equal(row.min_sequence, 1);
    assert_int_equal(row.sequence, PANG_MANIFEST_ASSIGNED);
    assert_int_equal(row.n_partitions, FIXTURE_FIELDS);
    const pang_manifest_bounds *b = row.partitions;
    assert_true(b[0].contains_null && b[0].has_contains_nan && !b[0].contains_nan);
    assert_memory_equal(b[1].lower.ptr, "\xF9\xFF\xFF\xFF", 4); /* -7 */
    assert_memory_equal(b[1].upper.ptr, "\0\0\0\0", 4);
    assert_int_equal(b[2].upper.len, 8);
    assert_true(pang_str_equal(b[9].lower, PANG_STR("text-0000-0123456789")));
    assert_true(pang_str_equal(b[13].lower, PANG_STR("\xFE\x0C")));
    assert_true(pang_str_equal(b[14].lower, PANG_STR("\x80")));
    assert_true(pang_str_equal(b[14].upper, PANG_STR("\x00\xFF")));
    assert_null(b[17].lower.ptr); /* void */
    assert_true(b[17].contains_null);
}

static void test_manifest__nan_is_a_flag_and_no_bound(void **state)
{
    (void)state;
    static const struct {
        double values[3];
        bool nan;
        const char *lower, *upper;
    } cases[] = {
        {{NAN, 1, -1}, true, "\0\0\x80\xBF", "\0\0\x80\x3F"},
        {{NAN, NAN, NAN}, true, NULL, NULL},
        {{0.0, -0.0, -0.0}, false, "\0\0\0\x80", "\0\0\0\0"},
        {{-INFINITY, 2, 2}, false, "\0\0\x80\xFF", "\0\0\0\x40"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_manifest_new made;
        pang_manifest row;
        pang_str file;
        pang_value values[3];
        assert_true(fixture_manifest(3, 2, PANG_MANIFEST_DATA, PANG_CODEC_NULL, arena, &made));
        made.spec = fixture_json("{'spec-id':1,'fields':[{'source-id':4,'field-id':1000,'name':'f',"
                                 "'transform':'identity'}]}",
                                 arena);
        for (size_t k = 0; k < 3; k++) {
            pang_manifest_entry *e = fixture_entry(k, 2, PANG_MANIFEST_DATA, arena);
            values[k] = (pang_value){.type = PANG_VALUE_FLOAT, .real = cases[i].values[k]};
            e->partition = &values[k];
            e->n_partition = 1;
            ((const pang_manifest_entry **)(uintptr_t)made.entries)[k] = e;
        }
        must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
        assert_int_equal(row.partitions[0].contains_nan, cases[i].nan);
        assert_int_equal(row.partitions[0].lower.ptr == NULL, cases[i].lower == NULL);
        if (cases[i].lower != NULL) {
            assert_memory_equal(row.partitions[0].lower.ptr, cases[i].lower, 4);
            assert_memory_equal(row.partitions[0].upper.ptr, cases[i].upper, 4);
        }
    }
}

/* ---- lists ---- */

static pang_manifest sample_row(int i)
{
    static const pang_manifest_bounds bounds[] = {
        {true, true, false, PANG_STR_INIT("a"), PANG_STR_INIT("b")}, {.contains_null = false}};
    return (pang_manifest){.path = pang_arena_printf(arena, "s3://b/t/metadata/m%d.avro", i),
                           .length = 1000 + i,
                           .spec_id = i,
                           .content = i % 2 == 0 ? PANG_MANIFEST_DATA : PANG_MANIFEST_DELETES,
                           .sequence = 5 + i,
                           .min_sequence = 2,
                           .snapshot_id = 9000 + i,
                           .added_files = 1,
                           .existing_files = 2,
                           .deleted_files = 3,
                           .added_rows = 10,
                           .existing_rows = 20,
                           .deleted_rows = 30,
                           .partitions = bounds,
                           .n_partitions = 2};
}

static void test_manifest__a_list_is_read_again_and_gives_numbers(void **state)
{
    (void)state;
    for (int version = 1; version <= 3; version++) {
        pang_manifest rows[4], *read;
        for (int i = 0; i < 4; i++)
            rows[i] = sample_row(version == 1 ? 2 * i : i);
        rows[2].sequence = rows[2].min_sequence = rows[2].snapshot_id = PANG_MANIFEST_ASSIGNED;
        rows[3].partitions = NULL;
        rows[3].n_partitions = 0;
        rows[3].key_metadata = PANG_STR("k");
        pang_manifest_list_new list = {.format_version = version,
                                       .codec = PANG_CODEC_SNAPPY,
                                       .snapshot_id = 77,
                                       .parent_id = -1,
                                       .sequence = 11,
                                       .first_row_id = 100,
                                       .manifests = rows,
                                       .n = 4};
        pang_str file;
        int64_t next;
        size_t n;
        must(pang_manifest_list_write(&list, &env, arena, &file, &next, &err));
        must(pang_manifest_list_read(file, arena, &read, &n, &err));
        assert_int_equal(n, 4);
        assert_int_equal(next, version == 3 ? 160 : 100);
        assert_int_equal(read[2].snapshot_id, 77);
        assert_int_equal(read[2].sequence, version == 1 ? 0 : 11);
        assert_int_equal(read[2].min_sequence, version == 1 ? 0 : 11);
        assert_int_equal(read[2].has_first_row_id, version == 3);
        assert_int_equal(read[2].first_row_id, version == 3 ? 130 : 0);
        assert_int_equal(read[1].has_first_row_id, false);
        assert_true(pang_str_equal(read[1].path, rows[1].path));
        assert_int_equal(read[1].deleted_rows, 30);
        assert_int_equal(read[1].n_partitions, 2);
        assert_true(pang_str_equal(read[1].partitions[0].upper, PANG_STR("b")));
        assert_false(read[1].partitions[1].has_contains_nan);
        assert_null(read[1].partitions[1].lower.ptr);
        assert_null(read[3].partitions);
        assert_true(pang_str_equal(read[3].key_metadata, PANG_STR("k")));
    }
}

static void test_manifest__unknown_counts_are_for_version_1(void **state)
{
    (void)state;
    for (int version = 1; version <= 2; version++) {
        pang_manifest row = sample_row(0), *read;
        pang_str file;
        size_t n;
        row.added_files = -1;
        pang_manifest_list_new list = {.format_version = version, .manifests = &row, .n = 1};
        pang_code code = pang_manifest_list_write(&list, &env, arena, &file, NULL, &err);
        assert_int_equal(code, version == 1 ? PANG_OK : PANG_INVALID_ARGUMENT);
        if (code != PANG_OK)
            continue;
        must(pang_manifest_list_read(file, arena, &read, &n, &err));
        assert_int_equal(read->added_files, -1);
    }
}

/* ---- inheritance ---- */

typedef struct {
    pang_manifest_entry entries[4];
    size_t n;
} seen;

static bool look(void *arg, const pang_manifest_entry *entry)
{
    seen *s = arg;
    s->entries[s->n++] = *entry;
    return s->n < 4;
}

static void test_manifest__entries_inherit_from_the_list(void **state)
{
    (void)state;
    pang_manifest_new made;
    pang_manifest row;
    pang_manifest_head head;
    pang_str file;
    assert_true(fixture_manifest(3, 3, PANG_MANIFEST_DATA, PANG_CODEC_NULL, arena, &made));
    for (size_t i = 0; i < 3; i++) {
        pang_manifest_entry *e = (pang_manifest_entry *)(uintptr_t)made.entries[i];
        e->status = i == 2 ? PANG_ENTRY_DELETED : PANG_ENTRY_ADDED;
        e->has_snapshot_id = e->has_sequence = e->has_file_sequence = e->has_first_row_id = false;
        e->record_count = 50;
    }
    must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
    assert_int_equal(row.min_sequence, PANG_MANIFEST_ASSIGNED);
    row.sequence = 8;
    row.snapshot_id = 12;
    row.has_first_row_id = true;
    row.first_row_id = 1000;
    seen s = {.n = 0};
    must(pang_manifest_read(file, &row, arena, &head, look, &s, &err));
    assert_int_equal(s.n, 3);
    assert_int_equal(s.entries[0].snapshot_id, 12);
    assert_int_equal(s.entries[1].sequence, 8);
    assert_int_equal(s.entries[1].file_sequence, 8);
    assert_int_equal(s.entries[0].first_row_id, 1000);
    assert_int_equal(s.entries[1].first_row_id, 1050);
    assert_false(s.entries[2].has_sequence); /* only what was added inherits it */
    assert_false(s.entries[2].has_first_row_id);
    row.has_first_row_id = false;
    row.sequence = 0; /* of version 1 */
    s.n = 0;
    must(pang_manifest_read(file, &row, arena, &head, look, &s, &err));
    assert_true(s.entries[2].has_sequence && s.entries[2].sequence == 0);
    assert_false(s.entries[0].has_first_row_id);
}

/* ---- what is refused ---- */

static void spoil_content(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    e->content = PANG_FILE_EQUALITY_DELETES;
}
static void spoil_count(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    e->record_count = -1;
}
static void spoil_path(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    e->path = (pang_str){0};
}
static void spoil_partition(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    ((pang_value *)(uintptr_t)e->partition)[1].number = INT64_MAX;
}
static void spoil_type(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    ((pang_value *)(uintptr_t)e->partition)[9].type = PANG_VALUE_INT;
}
static void spoil_fixed(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    ((pang_value *)(uintptr_t)e->partition)[10].text.len = 15;
}
static void spoil_decimal(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    ((pang_value *)(uintptr_t)e->partition)[13].text = PANG_STR("12345");
}
static void spoil_width(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    e->n_partition = 3;
}
static void spoil_version(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)e;
    m->format_version = 4;
}
static void spoil_spec(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)e;
    m->spec = fixture_json("{'fields':[]}", arena);
}
static void spoil_sum(pang_manifest_new *m, pang_manifest_entry *e)
{
    e->status = PANG_ENTRY_ADDED;
    e->record_count = INT64_MAX;
    ((pang_manifest_entry *)(uintptr_t)m->entries[0])->record_count = 1;
    ((pang_manifest_entry *)(uintptr_t)m->entries[0])->status = PANG_ENTRY_ADDED;
}
static void spoil_vector(pang_manifest_new *m, pang_manifest_entry *e)
{
    (void)m;
    e->has_content_range = true;
}

static void test_manifest__what_cannot_be_is_refused(void **state)
{
    (void)state;
    static void (*const spoil[])(pang_manifest_new *, pang_manifest_entry *) = {
        spoil_content, spoil_count, spoil_path,    spoil_partition, spoil_type, spoil_fixed,
        spoil_decimal, spoil_width, spoil_version, spoil_spec,      spoil_sum,  spoil_vector,
    };
    for (size_t i = 0; i < sizeof spoil / sizeof spoil[0]; i++) {
        pang_manifest_new made;
        pang_manifest row;
        pang_str file;
        assert_true(fixture_manifest(2, 2, PANG_MANIFEST_DATA, PANG_CODEC_NULL, arena, &made));
        spoil[i](&made, (pang_manifest_entry *)(uintptr_t)made.entries[1]);
        pang_code code = pang_manifest_write(&made, &env, arena, &file, &row, &err);
        if (code != PANG_INVALID_ARGUMENT || err.message[0] == '\0')
            fail_msg("case %zu: %d", i, (int)code);
    }
}

static bool go_on(void *arg, const pang_manifest_entry *entry)
{
    (void)arg;
    (void)entry;
    return true;
}

/* Bytes wrong, one at a time, and the file cut. */
static void test_manifest__damage_is_an_error_and_no_more(void **state)
{
    (void)state;
    pang_arena *once = pang_arena_new(64 << 20);
    for (int codec = PANG_CODEC_NULL; codec <= PANG_CODEC_ZSTANDARD; codec++) {
        pang_manifest_new made;
        pang_manifest row, *rows;
        pang_manifest_head head;
        pang_str file;
        size_t n;
        assert_true(fixture_manifest(2, 3, PANG_MANIFEST_DATA, (pang_codec)codec, arena, &made));
        must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
        char *bytes = (char *)(uintptr_t)file.ptr;
        for (size_t i = 0; i < file.len; i += 1 + (size_t)codec * 3) {
            pang_arena_reset(once);
            bytes[i] ^= 0x21;
            (void)!pang_manifest_read(file, &row, once, &head, go_on, NULL, &err);
            (void)!pang_manifest_list_read(file, once, &rows, &n, &err);
            bytes[i] ^= 0x21;
            pang_str cut = pang_str_slice(file, 0, i);
            (void)!pang_manifest_read(cut, &row, once, &head, go_on, NULL, &err);
        }
    }
    pang_arena_free(once);
}

static void test_manifest__a_list_is_no_manifest_and_the_other_way_round(void **state)
{
    (void)state;
    pang_manifest_new made;
    pang_manifest row, *rows;
    pang_manifest_head head;
    pang_str file;
    size_t n;
    assert_true(fixture_manifest(1, 2, PANG_MANIFEST_DATA, PANG_CODEC_NULL, arena, &made));
    must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
    assert_int_equal(pang_manifest_list_read(file, arena, &rows, &n, &err), PANG_INVALID_ARGUMENT);
    row.path = PANG_STR("s3://b/m");
    pang_manifest_list_new list = {.format_version = 2, .manifests = &row, .n = 1};
    must(pang_manifest_list_write(&list, &env, arena, &file, NULL, &err));
    assert_int_equal(pang_manifest_read(file, NULL, arena, &head, go_on, NULL, &err),
                     PANG_INVALID_ARGUMENT);
}

static void test_manifest__values_are_equal_by_what_they_say(void **state)
{
    (void)state;
    static const pang_value values[] = {
        {.type = PANG_VALUE_NULL},
        {.type = PANG_VALUE_INT, .number = 1},
        {.type = PANG_VALUE_INT, .number = 2},
        {.type = PANG_VALUE_BOOLEAN, .number = 1},
        {.type = PANG_VALUE_DOUBLE, .real = 1},
        {.type = PANG_VALUE_DOUBLE, .real = 0.0},
        {.type = PANG_VALUE_DOUBLE, .real = -0.0},
        {.type = PANG_VALUE_FLOAT, .real = NAN},
        {.type = PANG_VALUE_BYTES, .text = PANG_STR_INIT("a")},
        {.type = PANG_VALUE_BYTES, .text = PANG_STR_INIT("b")},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
            assert_int_equal(pang_value_equal(&values[i], &values[k]), i == k);
    pang_value one = {.type = PANG_VALUE_FLOAT, .real = 1};
    assert_true(pang_value_equal(&one, &values[4]));
}

/* ---- speed ---- */

static bool tally(void *arg, const pang_manifest_entry *entry)
{
    *(int64_t *)arg += entry->record_count;
    return true;
}

/* A hundred thousand files; how long it takes is printed, and nothing asserted of it. */
static void test_manifest__a_large_one_is_read(void **state)
{
    (void)state;
    enum { FILES = 100000 };
    pang_manifest_new made;
    pang_manifest row;
    pang_manifest_head head;
    pang_str file;
    int64_t sum = 0;
    assert_true(fixture_manifest(FILES, 2, PANG_MANIFEST_DATA, PANG_CODEC_ZSTANDARD, arena, &made));
    int64_t begin = pang_env_mono_ms(&pang_env_system);
    must(pang_manifest_write(&made, &env, arena, &file, &row, &err));
    int64_t middle = pang_env_mono_ms(&pang_env_system);
    must(pang_manifest_read(file, NULL, arena, &head, tally, &sum, &err));
    int64_t end = pang_env_mono_ms(&pang_env_system);
    assert_int_equal(sum, row.added_rows + row.existing_rows + row.deleted_rows);
    printf("%d files, %zu bytes: written in %d ms, read in %d ms\n", FILES, file.len,
           (int)(middle - begin), (int)(end - middle));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_manifest__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_again),
        TEST(other_chance_other_sync_marker),
        TEST(the_schema_says_ids_and_logical_types),
        TEST(names_are_made_fit_for_avro),
        TEST(a_row_counts_and_bounds),
        TEST(nan_is_a_flag_and_no_bound),
        TEST(a_list_is_read_again_and_gives_numbers),
        TEST(unknown_counts_are_for_version_1),
        TEST(entries_inherit_from_the_list),
        TEST(what_cannot_be_is_refused),
        TEST(damage_is_an_error_and_no_more),
        TEST(a_list_is_no_manifest_and_the_other_way_round),
        TEST(values_are_equal_by_what_they_say),
        TEST(a_large_one_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
