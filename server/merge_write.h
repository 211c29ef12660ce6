/*
 * What a merge of files writes: new manifests of what the source added, the target's manifests
 * without what it removed, the list of all, the snapshot.
 * Called by merge_files.c. Threads and lifetime: as live_files.h; the snapshot lives in the
 * caller's arena.
 */
#ifndef PANG_SERVER_MERGE_WRITE_H
#define PANG_SERVER_MERGE_WRITE_H

#include "server/merge_matrix.h"

enum { PANG_MANIFEST_TARGET_BYTES = 8 << 20 }; /* of entries in one new manifest, about */

/* Where new files go. */
typedef struct {
    void *arg;
    /* Writes a file of that name below the table's metadata; its location, in arena. */
    PANG_MUST_CHECK pang_code (*write)(void *arg, pang_str name, pang_str bytes, pang_arena *arena,
                                       pang_str *ret_location, pang_err *err);
} pang_manifest_sink;

/* Finds the target's manifests that hold what the source removed, and what speaks against writing
 * them again (noted as conflicts): *ret says so per row of the target. ERRORS: as
 * pang_matrix_judge. */
PANG_MUST_CHECK pang_code pang_write_find(pang_file_merge *merge, bool **ret, pang_err *err);
/* Writes. REQUIRES: no conflict. *ret_next_row_id: as pang_files_outcome. ERRORS: the sink's, the
 * source's, INVALID_ARGUMENT (values that no manifest takes), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_write_merged(pang_file_merge *merge, const bool *rewritten,
                                            const pang_manifest_sink *sink, pang_arena *arena,
                                            pang_json **ret_snapshot, int64_t *ret_next_row_id,
                                            pang_err *err);

/* merge_summary.c: the snapshot as its document has it: first all that is known before anything is
 * written, then where it is. ERRORS: RESOURCE_EXHAUSTED. */
typedef struct {
    int64_t id;
    pang_str list;
    int64_t first_row_id, next_row_id; /* version 3 */
} pang_new_snapshot;
PANG_MUST_CHECK pang_code pang_write_snapshot(const pang_file_merge *merge,
                                              const pang_new_snapshot *snapshot, pang_arena *arena,
                                              pang_json **ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_write_place(const pang_file_merge *merge,
                                           const pang_new_snapshot *snapshot, pang_arena *arena,
                                           pang_json *made, pang_err *err);

#endif
