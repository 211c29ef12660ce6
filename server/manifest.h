/*
 * Manifests: lists of manifests and lists of files, as Iceberg keeps them in Avro, read into
 * structs and written from them. Format versions 1, 2 and 3; codecs null, deflate, snappy and
 * zstandard.
 * Called by merges, by differences and by the collector. Threads: any; nothing is shared.
 * Lifetime: results live in the arena. Source: the Iceberg specification, "Manifests" and
 * "Manifest Lists"; Avro 1.12 object container files.
 */
#ifndef PANG_SERVER_MANIFEST_H
#define PANG_SERVER_MANIFEST_H

#include "api/json.h"
#include "server/avro.h"

enum {
    PANG_MANIFESTS_MAX = 100000,     /* in one list */
    PANG_FILES_MAX = 4000000,        /* in one manifest */
    PANG_PARTITION_FIELDS_MAX = 256, /* as PANG_MODEL_FIELDS_MAX */
    PANG_MANIFEST_ASSIGNED = -1,     /* a number of a row that writing its list gives */
};

/* What a manifest list says of a partition field. */
typedef struct {
    bool contains_null, has_contains_nan, contains_nan;
    pang_str lower, upper; /* single-value serialisation; ptr NULL: none */
} pang_manifest_bounds;

typedef enum { PANG_MANIFEST_DATA = 0, PANG_MANIFEST_DELETES = 1 } pang_manifest_content;

/* One row of a manifest list. Numbers that a version 1 list lacks are as the specification says to
 * read them: 0, or -1 for counts that are not known. Rows of new manifests have
 * PANG_MANIFEST_ASSIGNED for the three that the list's own snapshot gives. */
typedef struct {
    pang_str path;
    int64_t length;
    int32_t spec_id;
    pang_manifest_content content;
    int64_t sequence, min_sequence; /* of the manifest; the least of its live entries' */
    int64_t snapshot_id;            /* that added it */
    int32_t added_files, existing_files, deleted_files;
    int64_t added_rows, existing_rows, deleted_rows;
    const pang_manifest_bounds *partitions; /* in the order of the spec; NULL: not said */
    size_t n_partitions;
    pang_str key_metadata; /* ptr NULL: none */
    bool has_first_row_id;
    int64_t first_row_id;
} pang_manifest;

typedef enum {
    PANG_ENTRY_EXISTING = 0,
    PANG_ENTRY_ADDED = 1,
    PANG_ENTRY_DELETED = 2,
} pang_entry_status;
typedef enum {
    PANG_FILE_DATA = 0,
    PANG_FILE_POSITION_DELETES = 1, /* deletion vectors too: they have content_offset */
    PANG_FILE_EQUALITY_DELETES = 2,
} pang_file_content;

/* Whether two partition values are one: a float is its double, all NaN are one, null is null. */
bool pang_value_equal(const pang_value *a, const pang_value *b);

/* By column id: sizes, counts. */
typedef struct {
    int32_t column;
    int64_t number;
} pang_column_number;
/* By column id: a bound in single-value serialisation. */
typedef struct {
    int32_t column;
    pang_str bound;
} pang_column_bound;

/* One entry of a manifest. Lists by column and others may be absent (NULL) or empty (not NULL). */
typedef struct {
    pang_entry_status status;
    bool has_snapshot_id, has_sequence, has_file_sequence; /* false: inherited from the list */
    int64_t snapshot_id, sequence, file_sequence;
    pang_file_content content;
    pang_str path, format;       /* "PARQUET", as spelt */
    const pang_value *partition; /* in the order of the manifest's spec */
    size_t n_partition;
    int64_t record_count, file_size;
    const pang_column_number *column_sizes, *value_counts, *null_counts, *nan_counts;
    size_t n_column_sizes, n_value_counts, n_null_counts, n_nan_counts;
    const pang_column_bound *lower, *upper;
    size_t n_lower, n_upper;
    pang_str key_metadata; /* ptr NULL: none */
    const int64_t *split_offsets;
    size_t n_split_offsets;
    const int32_t *equality_ids;
    size_t n_equality_ids;
    bool has_sort_order, has_first_row_id, has_content_range;
    int32_t sort_order;
    int64_t first_row_id;
    pang_str referenced_data_file; /* ptr NULL: none */
    int64_t content_offset, content_size;
} pang_manifest_entry;

/* Rows of a list. ERRORS: INVALID_ARGUMENT (damaged, not a manifest list, a bound),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_manifest_list_read(pang_str file, pang_arena *arena,
                                                  pang_manifest **ret, size_t *ret_n,
                                                  pang_err *err);

/* What the header of a manifest says. */
typedef struct {
    int format_version;
    int32_t spec_id, schema_id;
    pang_manifest_content content;
    pang_str schema, spec;    /* JSON: the schema; the spec's fields, an array. Empty: not said */
    const int32_t *partition; /* field ids of the entries' partition values, in their order */
    size_t n_partition;
} pang_manifest_head;

/* Entries in the order of the file; return false to stop. The entry and what it points to live
 * until the callback returns. `list` is the manifest's row: what entries inherit (snapshot id,
 * sequence numbers, first row ids) is filled in from it; NULL: nothing is. The head is there before
 * the first entry; it borrows from the file and the arena. ERRORS: as pang_manifest_list_read. */
typedef bool pang_manifest_entry_fn(void *arg, const pang_manifest_entry *entry);
PANG_MUST_CHECK pang_code pang_manifest_read(pang_str file, const pang_manifest *list,
                                             pang_arena *arena, pang_manifest_head *ret_head,
                                             pang_manifest_entry_fn *fn, void *arg, pang_err *err);
/* A copy that lives in the arena. */
PANG_MUST_CHECK pang_code pang_manifest_entry_copy(const pang_manifest_entry *entry,
                                                   pang_arena *arena, pang_manifest_entry **ret,
                                                   pang_err *err);

/* A manifest to be written. `schema` is a table's schema (for the partition's types and the head)
 * that has the spec's source columns: when a manifest is written again, the one in its head is the
 * safe choice. Where it lacks one, the type is told by transform and values. `spec` is the
 * partition spec ({"spec-id","fields"}). Entries are written as they stand, absent numbers as null.
 */
typedef struct {
    int format_version;
    pang_manifest_content content;
    const pang_json *schema, *spec;
    pang_codec codec;
    const pang_manifest_entry *const *entries; /* partition: in the order of the spec's fields */
    size_t n;
} pang_manifest_new;
/* Its bytes. ret_row: the row for the list, all but `path`: length, counts, bounds; the snapshot
 * id, the sequence number, and the least one where no live entry has its own, are
 * PANG_MANIFEST_ASSIGNED. ERRORS: INVALID_ARGUMENT (a value or number that schema, spec or version
 * do not take), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_manifest_write(const pang_manifest_new *manifest,
                                              const pang_env *env, pang_arena *arena, pang_str *ret,
                                              pang_manifest *ret_row, pang_err *err);

/* A manifest list to be written. */
typedef struct {
    int format_version;
    pang_codec codec;
    int64_t snapshot_id, parent_id; /* parent -1: none */
    int64_t sequence;
    int64_t first_row_id; /* version 3 */
    const pang_manifest *manifests;
    size_t n;
} pang_manifest_list_new;
/* Its bytes. Gives the numbers that are PANG_MANIFEST_ASSIGNED, and in version 3 first row ids to
 * data manifests without: *ret_next_row_id (may be NULL) is the first one that is left.
 * ERRORS: as pang_manifest_write; also counts that are not known, which only version 1 takes. */
PANG_MUST_CHECK pang_code pang_manifest_list_write(const pang_manifest_list_new *list,
                                                   const pang_env *env, pang_arena *arena,
                                                   pang_str *ret, int64_t *ret_next_row_id,
                                                   pang_err *err);

#endif
