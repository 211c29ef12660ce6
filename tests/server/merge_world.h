/*
 * A small world of tables for tests of merging files: real manifests in memory, files whose rows
 * are known, engines that write as the specification says, and a reader that applies deletes by
 * its rules.
 * Called by test_merge_*.c. Threads: one. Lifetime: the world's arena.
 *
 * What an engine does is a text of steps, one commit each, separated by ';':
 *   + n1@1:11,12       appends file n1 to partition 1 with these rows (the row is its own value)
 *   - a1,a2            deletes files
 *   ~ a1>c1@1:1,13     overwrites a1 by c1 with these rows
 *   ^ a1,a2>k1         compaction into k1 (partition of the first); ^s keeps the sequence number
 *   v a1:0,2           deletion vector on rows at positions of a1 (joins what there is); version 3
 *   x a1:0             the same as a position delete file that says whom it is about
 *   y a1:0,a2:1        position deletes on several files, told by bounds of file_path
 *   e @1:1,2           equality deletes in partition 1; @* everywhere; E: without bounds
 *   d @1>n9:21         dynamic overwrite of partition 1
 *   r                  takes the last commit back (the head is its parent again)
 */
#ifndef PANG_TESTS_MERGE_WORLD_H
#define PANG_TESTS_MERGE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/merge_steps.h"

enum { WORLD_GLOBAL = -1 }; /* the partition of the spec without fields */

typedef struct {
    pang_arena *arena;
    pang_env_fixed clock;
    pang_env env;
    pang_err err;
    int version;
    bool partitioned;
    struct world_file *files; /* bytes by path */
    struct world_rows *rows;  /* rows, positions or values by path and offset */
    unsigned names;
    pang_manifest_source from;
    pang_manifest_sink sink;
    bool serializable;
    const char *broken; /* a path that cannot be read; NULL: none */
} world;

/* A table of a format version without snapshots: column 1 (id, long), column 2 (p, int); spec 0 by
 * p (or by nothing), spec 1 by nothing. */
const pang_json *world_begin(world *w, int version, bool partitioned);
void world_end(world *w);
/* The document after the steps. */
const pang_json *world_run(world *w, const pang_json *document, const char *steps);
/* Rows that a reader sees, sorted, as text: "1 2 3". */
const char *world_scan(world *w, const pang_json *document);
/* The same with those that deletes hide. */
const char *world_scan_all(world *w, const pang_json *document);
/* Rows that a reader sees of one file; *ret_partition is its. */
size_t world_rows_in(world *w, const pang_json *document, const char *path, int64_t *to,
                     int64_t *ret_partition);
/* Live files as text, sorted: "a1:1:0 ..." is name, data sequence number, first row id. */
const char *world_files(world *w, const pang_json *document);

/* The bytes of a file. */
pang_code world_bytes(world *w, pang_str path, pang_str *ret);

/* Four documents merged; the new document, NULL when there are conflicts (in ret) or nothing. */
typedef struct {
    const pang_json *source_half, *source, *target_half, *target;
    bool one_half;
} world_merge;
const pang_json *world_merged(world *w, const world_merge *merge, pang_files_outcome *ret);
/* A document with the snapshot that a merge gave. */
const pang_json *world_with(world *w, const pang_json *document, const pang_files_outcome *files);

/* Calls for each live entry of a document. */
typedef void world_entry_fn(void *arg, const pang_manifest *row, const pang_manifest_entry *entry);
void world_each(world *w, const pang_json *document, world_entry_fn *fn, void *arg);
/* The numbers that belong to a file: rows, positions or values; ids of data files for `y` are in
 * `of`. NULL: none. */
typedef struct world_rows {
    struct world_rows *next;
    const char *path;
    int64_t offset;
    const char *of; /* whom positions are about; NULL: rows or values */
    int64_t numbers[64];
    size_t n;
} world_rows;

#endif
