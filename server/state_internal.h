/*
 * The inside of pang_state, for the files that share it: state.c, files.c, due.c, metadata.c.
 * Called by nothing else. Threads: as said per member.
 */
#ifndef PANG_SERVER_STATE_INTERNAL_H
#define PANG_SERVER_STATE_INTERNAL_H

#include <stdatomic.h>

#include "server/documents.h"
#include "server/retain.h"
#include "server/state.h"
#include "server/trees.h"
#include "server/zip.h"

struct pang_state {
    pang_state_config config;  /* const after open */
    pang_documents *documents; /* locks itself */
    pang_zip *zip;             /* locks itself */
    pang_trees *trees;         /* locks itself */
    atomic_bool wrote_file;    /* since the last round */
    atomic_bool stopping;      /* long work ends */
    atomic_uint_fast64_t gc_runs, gc_skipped, gc_removed, gc_bytes;
    atomic_int_fast64_t gc_last_ms;
    atomic_uint_fast64_t retain_removed[PANG_RETAIN_KINDS];
    atomic_uint_fast64_t records[PANG_RETAIN_KINDS], record_bytes[PANG_RETAIN_KINDS];
    struct pang_care *care; /* of the thread that cares; NULL: not begun */
    atomic_uint_fast64_t files_synced, files_restored, files_purged, rounds_failed;
    int64_t files_at_ms, due_at_ms; /* mono: the next rounds; of the thread that works */
};

/* server/files.c: the pending files. Recover writes again what is missing or differs, before
 * anything is served; sync makes durable what is there. Both then forget them. */
PANG_MUST_CHECK pang_code pang_files_recover(pang_state *state, pang_err *err);
PANG_MUST_CHECK pang_code pang_files_sync(pang_state *state, bool *ret_more, pang_err *err);

/* server/due.c: does what is due; *ret_more: there is more of it. */
PANG_MUST_CHECK pang_code pang_due_run(pang_state *state, bool *ret_more, pang_err *err);

/* server/purge.c: removes the files that a document names, those below `reserved` only. What
 * cannot be removed or read is passed over. *ret_removed: how many. */
PANG_MUST_CHECK pang_code pang_purge_files(pang_state *state, pang_str metadata_location,
                                           pang_str document, char *const *reserved,
                                           size_t n_reserved, pang_arena *arena,
                                           uint64_t *ret_removed, pang_err *err);

#endif
