/*
 * Metadata: a table's document between its three places: the file in the warehouse that engines
 * may read, the immutable record in the store that loads come from, and the cache.
 * Called by the table service and files.c. Threads: any. Lifetime: results live in the view's
 * arena, or borrow from the cache until it is reset.
 *
 * The file is written lazily under a fresh name before the commit, and a record of it as pending
 * goes into the same commit: a power loss after the answer loses at most what recovery writes
 * again. If the commit surely did not land, the file is removed.
 */
#ifndef PANG_SERVER_METADATA_H
#define PANG_SERVER_METADATA_H

#include "api/vending.h"
#include "server/content.h"
#include "server/documents.h"
#include "server/model.h"
#include "server/shared.h"
#include "server/state.h"

/* A document's text, compressed. */
typedef struct {
    pang_str bytes;
    size_t size; /* expanded; 0: none */
} pang_folded;

/* The document that a table's content names. Hot: no parse, no decompression, no copy.
 * ERRORS: DATA_LOSS (there is no such record), the store's. */
PANG_MUST_CHECK pang_code pang_metadata_load(pang_view *view, pang_state *state,
                                             const pang_rec_content *body, pang_shape shape,
                                             pang_str *ret, pang_err *err);
/* The same with an overlay, as replies show it: as hot once it was shown so. */
PANG_MUST_CHECK pang_code pang_metadata_show(pang_view *view, pang_state *state,
                                             const pang_rec_content *body, pang_shape shape,
                                             pang_overlay overlay, pang_str *ret, pang_err *err);
/* Lays the overlay over the whole text of the document that `body` names, and keeps it for loads.
 */
PANG_MUST_CHECK pang_code pang_metadata_overlay(pang_view *view, pang_state *state,
                                                const pang_rec_content *body, pang_overlay overlay,
                                                pang_str text, pang_str *ret, pang_err *err);
/* Looks whether its file is still there, where that can be asked without a network.
 * ERRORS: NOT_FOUND "Failed to open input stream for file: ...". */
PANG_MUST_CHECK pang_code pang_metadata_stat(pang_view *view, pang_state *state,
                                             const pang_rec_content *body, pang_err *err);
/* Where metadata files of the view's branch go, when it has paths of its own; empty: beside the
 * table's others. The property write.metadata.path goes before it. */
PANG_MUST_CHECK pang_code pang_branch_metadata_folder(pang_view *view, const pang_json *document,
                                                      pang_str *ret, pang_err *err);
/* A file that belongs to a commit on its way. */
typedef struct {
    pang_objects *objects;
    pang_location at;
} pang_new_file;
/* Writes it; it is removed again when the commit surely did not land. REQUIRES: `file` lives as
 * long as the transaction. ERRORS: the object store's. */
PANG_MUST_CHECK pang_code pang_new_file_put(pang_txn *txn, pang_new_file *file, pang_str bytes,
                                            pang_durability durability, pang_err *err);
/* Writes file and records for a document; *ret_id is the document's, in the view's arena.
 * ERRORS: INVALID_ARGUMENT (not permitted, too large), the object store's, the store's. */
PANG_MUST_CHECK pang_code pang_metadata_write(pang_view *view, pang_state *state,
                                              const pang_env *env, const pang_model_file *file,
                                              pang_str text, pang_id **ret_id, pang_err *err);
/* The record alone, for a document whose file was there before. */
PANG_MUST_CHECK pang_code pang_metadata_adopt(pang_view *view, pang_state *state,
                                              const pang_env *env, pang_str location, bool gzip,
                                              pang_str text, pang_id **ret_id, pang_err *err);
/* A file's document, expanded where it is gzip. ERRORS: NOT_FOUND (as stat), INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_metadata_read_file(pang_state *state, const pang_location *at,
                                                  pang_arena *arena, pang_str *ret, pang_err *err);
/* A text made small while it waits to be written, and back; *ret is in the arena.
 * ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_metadata_fold(pang_state *state, pang_str text, pang_arena *arena,
                                             pang_folded *ret, pang_err *err);
PANG_MUST_CHECK pang_code pang_metadata_unfold(pang_state *state, const pang_folded *folded,
                                               pang_arena *arena, pang_str *ret, pang_err *err);
/* The text of a metadata record. ERRORS: DATA_LOSS, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_metadata_unpack(pang_state *state, const pang_record *record,
                                               pang_arena *arena, pang_rec_metadata **ret_body,
                                               pang_str *ret, pang_err *err);

#endif
