/*
 * What manifests hold: one table for lists, one for entries. Reader, writer and the schemas that
 * are written all go by them. Ids are the Iceberg specification's; so are the versions, but that
 * version 1 keeps null what it may, as the Java library does.
 */
#include <stddef.h>
#include <string.h>

#include "server/manifest_internal.h"

enum { BLOCK_SIZE_V1 = 64 << 20 /* what version 1 demands and nobody reads */ };

#define N(table) (sizeof(table) / sizeof(table)[0])
#define IN_LIST(member) offsetof(pang_manifest, member)
#define IN_BOUNDS(member) offsetof(pang_manifest_bounds, member)
#define IN_ENTRY(member) offsetof(pang_manifest_entry, member)

/* A plain field: its kind, whether it is there, the version that has it first and the one from
 * which it may not be null. */
#define PLAIN(text, number, type, place, there, first, never_null)                                 \
    {                                                                                              \
        .name = PANG_STR_INIT(text), .id = (number), .kind = (type), .at = (place),                \
        .has = (there), .since = (first), .required = (never_null)                                 \
    }

/* ---- lists ---- */

static const pang_avro_field bounds_fields[] = {
    PLAIN("contains_null", 509, PANG_AVRO_BOOL, IN_BOUNDS(contains_null), PANG_AVRO_NO, 1, 1),
    PLAIN("contains_nan", 518, PANG_AVRO_BOOL, IN_BOUNDS(contains_nan), IN_BOUNDS(has_contains_nan),
          1, 0),
    PLAIN("lower_bound", 510, PANG_AVRO_BYTES, IN_BOUNDS(lower), PANG_AVRO_NO, 1, 0),
    PLAIN("upper_bound", 511, PANG_AVRO_BYTES, IN_BOUNDS(upper), PANG_AVRO_NO, 1, 0),
};

#define COUNT(text, number, type, member)                                                          \
    PLAIN(text, number, type, IN_LIST(member), PANG_AVRO_UNKNOWN, 1, 2)

const pang_avro_field manifest_list_fields[] = {
    {.name = PANG_STR_INIT("manifest_path"),
     .id = 500,
     .kind = PANG_AVRO_STRING,
     .at = IN_LIST(path),
     .has = PANG_AVRO_NO,
     .required = 1,
     .must = true},
    PLAIN("manifest_length", 501, PANG_AVRO_INT64, IN_LIST(length), PANG_AVRO_NO, 1, 1),
    PLAIN("partition_spec_id", 502, PANG_AVRO_INT32, IN_LIST(spec_id), PANG_AVRO_NO, 1, 1),
    PLAIN("content", 517, PANG_AVRO_INT32, IN_LIST(content), PANG_AVRO_NO, 2, 2),
    PLAIN("sequence_number", 515, PANG_AVRO_INT64, IN_LIST(sequence), PANG_AVRO_NO, 2, 2),
    PLAIN("min_sequence_number", 516, PANG_AVRO_INT64, IN_LIST(min_sequence), PANG_AVRO_NO, 2, 2),
    PLAIN("added_snapshot_id", 503, PANG_AVRO_INT64, IN_LIST(snapshot_id), PANG_AVRO_NO, 1, 2),
    COUNT("added_files_count", 504, PANG_AVRO_INT32, added_files),
    COUNT("existing_files_count", 505, PANG_AVRO_INT32, existing_files),
    COUNT("deleted_files_count", 506, PANG_AVRO_INT32, deleted_files),
    COUNT("added_rows_count", 512, PANG_AVRO_INT64, added_rows),
    COUNT("existing_rows_count", 513, PANG_AVRO_INT64, existing_rows),
    COUNT("deleted_rows_count", 514, PANG_AVRO_INT64, deleted_rows),
    {.name = PANG_STR_INIT("partitions"),
     .id = 507,
     .kind = PANG_AVRO_LIST,
     .at = IN_LIST(partitions),
     .has = IN_LIST(n_partitions),
     .inner = bounds_fields,
     .n = N(bounds_fields),
     .item_size = sizeof(pang_manifest_bounds),
     .record = "r508",
     .item_id = 508},
    PLAIN("key_metadata", 519, PANG_AVRO_BYTES, IN_LIST(key_metadata), PANG_AVRO_NO, 1, 0),
    PLAIN("first_row_id", 520, PANG_AVRO_INT64, IN_LIST(first_row_id), IN_LIST(has_first_row_id), 3,
          0),
};
const size_t manifest_list_n_fields = N(manifest_list_fields);

/* ---- entries ---- */

#define KEY(number, pair)                                                                          \
    PLAIN("key", number, PANG_AVRO_INT32, offsetof(pair, column), PANG_AVRO_NO, 1, 1)
#define NUMBERS(table, key, value)                                                                 \
    static const pang_avro_field table[] = {                                                       \
        KEY(key, pang_column_number),                                                              \
        PLAIN("value", value, PANG_AVRO_INT64, offsetof(pang_column_number, number), PANG_AVRO_NO, \
              1, 1),                                                                               \
    }
#define BOUNDS(table, key, value)                                                                  \
    static const pang_avro_field table[] = {                                                       \
        KEY(key, pang_column_bound),                                                               \
        PLAIN("value", value, PANG_AVRO_BYTES, offsetof(pang_column_bound, bound), PANG_AVRO_NO,   \
              1, 1),                                                                               \
    }

NUMBERS(column_size, 117, 118);
NUMBERS(value_count, 119, 120);
NUMBERS(null_count, 121, 122);
NUMBERS(nan_count, 138, 139);
BOUNDS(lower_bound, 126, 127);
BOUNDS(upper_bound, 129, 130);
static const pang_avro_field split_offset[] = {
    PLAIN("element", 133, PANG_AVRO_INT64, 0, PANG_AVRO_NO, 1, 1)};
static const pang_avro_field equality_id[] = {
    PLAIN("element", 136, PANG_AVRO_INT32, 0, PANG_AVRO_NO, 1, 1)};

#define MAP(text, number, member, table, pair, name_of_pair)                                       \
    {                                                                                              \
        .name = PANG_STR_INIT(text), .id = (number), .kind = PANG_AVRO_MAP,                        \
        .at = IN_ENTRY(member), .has = IN_ENTRY(n_##member), .inner = (table), .n = N(table),      \
        .item_size = sizeof(pair), .record = (name_of_pair)                                        \
    }
#define LIST(text, number, member, table, item, item_number, first)                                \
    {                                                                                              \
        .name = PANG_STR_INIT(text), .id = (number), .kind = PANG_AVRO_LIST,                       \
        .at = IN_ENTRY(member), .has = IN_ENTRY(n_##member), .since = (first), .inner = (table),   \
        .n = N(table), .item_size = sizeof(item), .item_id = (item_number)                         \
    }

enum { PARTITION_AT = 3 }; /* in the table below */
static const pang_avro_field file_fields[] = {
    PLAIN("content", 134, PANG_AVRO_INT32, IN_ENTRY(content), PANG_AVRO_NO, 2, 2),
    {.name = PANG_STR_INIT("file_path"),
     .id = 100,
     .kind = PANG_AVRO_STRING,
     .at = IN_ENTRY(path),
     .has = PANG_AVRO_NO,
     .required = 1,
     .must = true},
    PLAIN("file_format", 101, PANG_AVRO_STRING, IN_ENTRY(format), PANG_AVRO_NO, 1, 1),
    [PARTITION_AT] = {.name = PANG_STR_INIT("partition"),
                      .id = 102,
                      .kind = PANG_AVRO_RECORD_AT,
                      .at = IN_ENTRY(partition),
                      .has = PANG_AVRO_NO,
                      .required = 1,
                      .item_size = sizeof(pang_value),
                      .record = "r102"},
    PLAIN("record_count", 103, PANG_AVRO_INT64, IN_ENTRY(record_count), PANG_AVRO_NO, 1, 1),
    PLAIN("file_size_in_bytes", 104, PANG_AVRO_INT64, IN_ENTRY(file_size), PANG_AVRO_NO, 1, 1),
    {.name = PANG_STR_INIT("block_size_in_bytes"),
     .id = 105,
     .kind = PANG_AVRO_CONSTANT,
     .at = BLOCK_SIZE_V1,
     .required = 1,
     .until = 1},
    MAP("column_sizes", 108, column_sizes, column_size, pang_column_number, "k117_v118"),
    MAP("value_counts", 109, value_counts, value_count, pang_column_number, "k119_v120"),
    MAP("null_value_counts", 110, null_counts, null_count, pang_column_number, "k121_v122"),
    MAP("nan_value_counts", 137, nan_counts, nan_count, pang_column_number, "k138_v139"),
    MAP("lower_bounds", 125, lower, lower_bound, pang_column_bound, "k126_v127"),
    MAP("upper_bounds", 128, upper, upper_bound, pang_column_bound, "k129_v130"),
    PLAIN("key_metadata", 131, PANG_AVRO_BYTES, IN_ENTRY(key_metadata), PANG_AVRO_NO, 1, 0),
    LIST("split_offsets", 132, split_offsets, split_offset, int64_t, 133, 1),
    LIST("equality_ids", 135, equality_ids, equality_id, int32_t, 136, 2),
    PLAIN("sort_order_id", 140, PANG_AVRO_INT32, IN_ENTRY(sort_order), IN_ENTRY(has_sort_order), 1,
          0),
    PLAIN("first_row_id", 142, PANG_AVRO_INT64, IN_ENTRY(first_row_id), IN_ENTRY(has_first_row_id),
          3, 0),
    PLAIN("referenced_data_file", 143, PANG_AVRO_STRING, IN_ENTRY(referenced_data_file),
          PANG_AVRO_NO, 2, 0),
    PLAIN("content_offset", 144, PANG_AVRO_INT64, IN_ENTRY(content_offset),
          IN_ENTRY(has_content_range), 3, 0),
    PLAIN("content_size_in_bytes", 145, PANG_AVRO_INT64, IN_ENTRY(content_size),
          IN_ENTRY(has_content_range), 3, 0),
};

enum { FILE_AT = 4 };
static const pang_avro_field entry_fields[MANIFEST_ENTRY_FIELDS] = {
    {.name = PANG_STR_INIT("status"),
     .id = 0,
     .kind = PANG_AVRO_INT32,
     .at = IN_ENTRY(status),
     .has = PANG_AVRO_NO,
     .required = 1,
     .must = true},
    PLAIN("snapshot_id", 1, PANG_AVRO_INT64, IN_ENTRY(snapshot_id), IN_ENTRY(has_snapshot_id), 1,
          0),
    PLAIN("sequence_number", 3, PANG_AVRO_INT64, IN_ENTRY(sequence), IN_ENTRY(has_sequence), 2, 0),
    PLAIN("file_sequence_number", 4, PANG_AVRO_INT64, IN_ENTRY(file_sequence),
          IN_ENTRY(has_file_sequence), 2, 0),
    [FILE_AT] = {.name = PANG_STR_INIT("data_file"),
                 .id = 2,
                 .kind = PANG_AVRO_RECORD,
                 .has = PANG_AVRO_NO,
                 .required = 1,
                 .must = true,
                 .record = "r2"},
};

const pang_avro_field *manifest_entry_fields(const pang_avro_field *partition, size_t n,
                                             pang_arena *arena)
{
    pang_avro_field *entry = pang_arena_alloc(arena, sizeof entry_fields);
    pang_avro_field *file = pang_arena_alloc(arena, sizeof file_fields);
    if (entry == NULL || file == NULL)
        return NULL;
    memcpy(entry, entry_fields, sizeof entry_fields);
    memcpy(file, file_fields, sizeof file_fields);
    file[PARTITION_AT].inner = partition;
    file[PARTITION_AT].n = n;
    entry[FILE_AT].inner = file;
    entry[FILE_AT].n = N(file_fields);
    return entry;
}
