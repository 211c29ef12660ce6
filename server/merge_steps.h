/*
 * The steps of merging files, without I/O of their own: read what both sides list, compare, judge,
 * write. Tests come in here.
 * Called by merge_files.c. Threads and lifetime: as merge_files.h.
 */
#ifndef PANG_SERVER_MERGE_STEPS_H
#define PANG_SERVER_MERGE_STEPS_H

#include "server/merge_write.h"

/* ERRORS: the source's and the sink's, RESOURCE_EXHAUSTED. What is a file's fault, and more files
 * than are compared at once, are conflicts of this table and no failure. */
PANG_MUST_CHECK pang_code pang_merge_steps(const pang_merge_files *files,
                                           const pang_manifest_source *from,
                                           const pang_manifest_sink *sink, pang_files_outcome *ret,
                                           pang_err *err);

#endif
