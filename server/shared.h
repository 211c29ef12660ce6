/*
 * Shared tables: those that more than one ref has ever been able to reach. Branches of a table
 * share its files, and every engine's clean-up knows one branch only, so only the catalog removes
 * files of a shared table, and its replies say so to engines. Called by the table service, by drops
 * and by the collector. Threads: as the transaction's.
 *
 * A table is shared, for good, when its record says so (it came here by a merge or a copy), when it
 * is read through a base or at a point of the past, or when the branch had it already when another
 * ref was made at a point of the branch: the branch's ForkMark. Whoever makes a ref at a point, or
 * lets another branch have what a branch holds at a point, raises the mark.
 */
#ifndef PANG_SERVER_SHARED_H
#define PANG_SERVER_SHARED_H

#include "server/content.h"
#include "server/documents.h"

/* Whether a table (or what it was, of a tombstone) is shared. Costs a read of the ForkMark, which
 * the cache has, and only where the record does not say. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_shared_look(pang_view *view, const pang_content *content, bool *ret,
                                           pang_err *err);

/* Whether another ref was made at a point of the branch at or after `since`, the number of the
 * commit that made a table there. Checked by the commit when `mode` says so. */
PANG_MUST_CHECK pang_code pang_forked_since(pang_txn *txn, pang_keys *keys, pang_id branch,
                                            uint64_t since, pang_read_mode mode, bool *ret,
                                            pang_err *err);
/* The number of the commit that made what `content` shows. */
uint64_t pang_since(const pang_rec_content *body, uint64_t sequence);

/* From the commit on, what the branch holds at `sequence` is shared. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_fork_mark_raise(pang_txn *txn, pang_keys *keys, pang_id branch,
                                               uint64_t sequence, pang_err *err);
/* For a commit after which an engine removes files of a table that is not shared: it does not land
 * if the mark is raised meanwhile, and who raises it meanwhile runs again. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_fork_mark_renew(pang_view *view, pang_err *err);

/* How long a dropped table can come back: one that was not purged for as long as history names it.
 */
int64_t pang_undrop_life(const pang_rec_catalog *settings, bool purged);

/* What replies about a table say over its document. */
PANG_MUST_CHECK pang_code pang_overlay_of(pang_view *view, const pang_content *content,
                                          pang_overlay *ret, pang_err *err);
bool pang_overlay_is_none(pang_overlay overlay);
/* The document with the overlay's properties in place of its own; its other bytes stay as they are.
 * REQUIRES: the document passed the strict scanner. ERRORS: INVALID_ARGUMENT (it did not),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_overlay_splice(pang_overlay overlay, pang_str document,
                                              pang_arena *arena, pang_str *ret, pang_err *err);

/* The folder below a table's location that a branch with paths of its own writes to, without a
 * slash at its end; empty without memory. */
pang_str pang_branch_folder(pang_str location, pang_own_paths paths, pang_arena *arena);
/* The paths that writers on the view use: what is made of the branch later does not wait for them,
 * and takes over what they write where they began. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_view_paths_of(pang_view *view, pang_own_paths *ret, pang_err *err);

#endif
