/*
 * Live files: what a merge remembers of the files that a snapshot has. Keys of files, maps by key,
 * partitions that both sides share, and the few members of an entry that conflicts are judged by.
 * Called by the merge_*.c files. Threads: one per merge. Lifetime: everything lives in the table's
 * arena; nothing borrows from the manifests that were read.
 *
 * A file is its path; a deletion vector is (path, offset, file it refers to), since many share one
 * Puffin file. Keys are digests of that, so that a million files are a map of some dozens of MiB.
 */
#ifndef PANG_SERVER_LIVE_FILES_H
#define PANG_SERVER_LIVE_FILES_H

#include "server/manifest.h"

typedef struct {
    uint64_t a, b;
} pang_file_key;

/* A map from keys to pointers. Zero it but for `arena`. */
typedef struct {
    pang_arena *arena;
    struct pang_file_slot *slots;
    size_t n, capacity;
} pang_file_map;
/* The place of a key's value, made (NULL) when absent; valid until the next call of put. NULL
 * without memory. */
const void **pang_file_map_put(pang_file_map *map, pang_file_key key);
/* NULL: none. */
const void **pang_file_map_find(const pang_file_map *map, pang_file_key key);

/* Of a path alone. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_file_key_path(pang_str path, pang_file_key *ret, pang_err *err);
/* Of the file of an entry. */
PANG_MUST_CHECK pang_code pang_file_key_of(const pang_manifest_entry *entry, pang_file_key *ret,
                                           pang_err *err);

/* Which set a file is in. */
typedef enum {
    PANG_SOURCE_ADDED,
    PANG_SOURCE_REMOVED,
    PANG_TARGET_ADDED, /* what the target has and the source's half had not */
    PANG_TARGET_REMOVED,
    PANG_FILE_SETS,
} pang_file_set;

/* A partition: one per (spec of the merged document, values), so that equal ones are one pointer.
 */
typedef struct {
    int32_t spec;
    bool global; /* the spec has no fields, or only void ones: equality deletes hold everywhere */
    const pang_value *values; /* in the order of the spec's fields */
    size_t n;
    struct pang_live_file *files[PANG_FILE_SETS]; /* those in it, linked by `next` */
    bool replaced;                                /* by a dynamic overwrite of the source */
} pang_partition;

/* What a file says of a column; numbers are -1 when it does not say. */
typedef struct {
    int32_t column;
    pang_str lower, upper; /* ptr NULL: none */
    int64_t nulls, values;
} pang_column_facts;

/* How a file came into its set. */
typedef enum {
    PANG_FILE_NEW,       /* by an append */
    PANG_FILE_WRITTEN,   /* by an overwrite or delete */
    PANG_FILE_DYNAMIC,   /* by a dynamic partition overwrite */
    PANG_FILE_REWRITTEN, /* by a compaction */
    PANG_FILE_BACK,      /* it was there before: a rollback, a revert */
    PANG_FILE_UNKNOWN,   /* its snapshot is expired */
} pang_file_origin;

typedef struct pang_live_file {
    pang_file_key key;
    pang_str path;
    pang_file_content content;
    bool vector;   /* a deletion vector */
    bool shared;   /* in the other side's set of added files too */
    bool in_story; /* its snapshot is one of those between half and head */
    bool orders;   /* version 2 and above: its number counts */
    pang_file_origin origin;
    pang_partition *in;
    int64_t snapshot_id, sequence, file_sequence;
    int64_t records, bytes, first_row_id; /* -1: none */
    int64_t number;  /* the sequence number it is to have; -1: its new snapshot's */
    int64_t most;    /* moved: the greatest it could have */
    bool moved;      /* that is neither its own nor above all that the target has */
    pang_str refers; /* deletes: the only file they are about; ptr NULL: bounds tell */
    pang_file_key refers_key;
    pang_str path_low, path_high; /* position deletes without: least and greatest path; ptr NULL */
    const pang_column_facts *columns;
    size_t n_columns;
    const int32_t *equality_ids;
    size_t n_equality_ids;
    struct pang_live_file *next; /* in its partition and set */
} pang_live_file;

/* A spec of one side's document as the merged document has it. */
typedef struct {
    int32_t from, to;
    bool global;
    const int32_t *fields; /* the side's field ids, in the order of the merged spec's fields */
    size_t n_fields;
} pang_spec_view;

/* Partitions and files of one merge. Zero it but for `arena`. */
typedef struct {
    pang_arena *arena;
    pang_file_map partitions;
    const int32_t *keep; /* columns whose facts are kept of data files */
    size_t n_keep;
    pang_partition **all;
    size_t n_all, capacity;
} pang_live_table;

/* The partition values of an entry in the order of the spec's fields; `head` says which they are.
 * NULL without memory. */
const pang_value *pang_spec_values(const pang_spec_view *spec, const pang_manifest_head *head,
                                   const pang_manifest_entry *entry, pang_arena *arena);
/* A file from its entry, not yet in a partition's list. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_live_file_new(pang_live_table *table, const pang_spec_view *spec,
                                             const pang_manifest_head *head,
                                             const pang_manifest_entry *entry, pang_file_key key,
                                             pang_live_file **ret, pang_err *err);
/* Puts it into its partition's list. */
void pang_live_file_join(pang_live_file *file, pang_file_set set);

#endif
