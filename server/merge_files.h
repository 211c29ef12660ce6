/*
 * Merging live files: what the source added and removed since its half becomes one new snapshot on
 * top of the target's. The unit is the net difference of live sets, never snapshot by snapshot.
 * Called by merge_table.c. Threads and lifetime: as merge_table.h.
 */
#ifndef PANG_SERVER_MERGE_FILES_H
#define PANG_SERVER_MERGE_FILES_H

#include "server/merge_table.h"

/* How ids of the source read in the merged document. */
typedef struct {
    int32_t from, to;
} pang_id_pair;

typedef struct {
    const pang_merge_table *merge;
    const pang_json *merged;   /* the document as merged but for its snapshots: schemas, specs and
                                  orders of both sides, the format version */
    const pang_id_pair *specs; /* spec ids of the source that are others in `merged` */
    size_t n_specs;
    const pang_id_pair *orders;
    size_t n_orders;
    bool only_look; /* for conflicts alone: nothing is written */
} pang_merge_files;

/* What becomes of the files. */
typedef struct {
    pang_json *snapshot; /* to be added, with its manifest list written; NULL: nothing to bring */
    int64_t next_row_id; /* version 3: the document's from now on; -1: as it is */
    const pang_conflict *conflicts; /* data conflicts; then nothing was written */
    size_t n_conflicts;
} pang_files_outcome;

PANG_MUST_CHECK pang_code pang_merge_files_run(const pang_merge_files *files,
                                               pang_files_outcome *ret, pang_err *err);

/* Whether the source's files changed since its half at all, by the manifests' names: cheap, and
 * true when it cannot be told. */
PANG_MUST_CHECK pang_code pang_merge_files_changed(const pang_merge_table *merge, bool *ret,
                                                   pang_err *err);

#endif
