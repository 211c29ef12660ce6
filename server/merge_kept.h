/*
 * What merges of tables leave for later attempts of their call. Where the target moves between a
 * plan and its commit, the handler runs again; tables whose documents are what they were need not
 * be merged again, and the files that were written for them are the ones that are wanted.
 * Called by merge_values.c, merge_files.c and the merge services. Threads: one, as the call.
 * Lifetime: the arena of the call, which lasts over its attempts.
 *
 * Files. Each is removed when the call ends, unless the last transaction that was told to use its
 * table has landed, or may have. That an attempt is lost removes none.
 */
#ifndef PANG_SERVER_MERGE_KEPT_H
#define PANG_SERVER_MERGE_KEPT_H

#include "server/merge_table.h"

typedef struct pang_merge_kept pang_merge_kept; /* all tables of a call */
typedef struct pang_kept_table pang_kept_table; /* one merge of one table */

/* None yet. NULL without memory. */
pang_merge_kept *pang_merge_kept_new(pang_arena *lasting);
/* Begins the merge of a table; `key` is all that its outcome follows from, and is copied. The
 * transaction uses it: it names the files if it lands. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_kept_table_begin(pang_merge_kept *kept, pang_str key, pang_txn *txn,
                                                pang_kept_table **ret, pang_err *err);
/* A file that will be written for it. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_kept_table_add_file(pang_kept_table *table, pang_objects *objects,
                                                   const pang_location *at, pang_err *err);
/* Keeps what came of it. What there is no room for is merged again when it is asked for. */
void pang_kept_table_end(pang_kept_table *table, pang_id commit, const pang_merge_outcome *outcome);

/* All of an outcome but its document, made in another arena. False without memory. */
bool pang_merge_outcome_copy(const pang_merge_outcome *from, pang_arena *arena,
                             pang_merge_outcome *to);

/* The outcome of an earlier attempt, made in the arena, which the transaction now uses; its
 * snapshot names `commit`. *ret_found is false when there is none. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_merge_kept_find(pang_merge_kept *kept, pang_str key, pang_id commit,
                                               pang_txn *txn, pang_arena *arena, bool *ret_found,
                                               pang_merge_outcome *ret, pang_err *err);

#endif
