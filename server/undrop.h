/*
 * Undrop: a dropped or purged table comes back under its name, as it was, while its time runs. All
 * that is needed is in its tombstone; that its files are there still is looked at. Called by the
 * maintenance service. Threads: as the transaction's. Lifetime: results live in the view's arena.
 */
#ifndef PANG_SERVER_UNDROP_H
#define PANG_SERVER_UNDROP_H

#include "server/metadata.h"

/* What is known of a name that stands for nothing. */
typedef struct {
    bool was_dropped; /* a table of this name was dropped here, and is nowhere else */
    int64_t until_ms; /* it can come back until then */
    pang_str reason;  /* why it cannot; empty: it can */
} pang_undrop;

/* `at` is as pang_content_get filled it in. ERRORS: the store's; an object store that does not
 * answer is a reason. */
PANG_MUST_CHECK pang_code pang_undrop_judge(pang_view *view, pang_state *state,
                                            const pang_content *at, pang_undrop *ret,
                                            pang_err *err);
/* Whether a table or view can be what `body` says once more: its document is kept, and the manifest
 * lists of its snapshots are there. Where it stands for nothing now (`now` is NULL), its metadata
 * file must be, too; else its snapshots that the document `now` has are not looked at. *ret: why it
 * cannot; empty: it can. ERRORS: as above. */
PANG_MUST_CHECK pang_code pang_undrop_files(pang_view *view, pang_state *state,
                                            const pang_rec_content *body, const pang_json *now,
                                            pang_str *ret, pang_err *err);
/* Whether the places that it reserved are the asset's own still. */
PANG_MUST_CHECK pang_code pang_undrop_places(pang_view *view, const pang_rec_content *body,
                                             bool *ret, pang_err *err);
/* Puts it into a commit of its own. REQUIRES: it was judged in this transaction, and can.
 * ERRORS: those of commits. */
PANG_MUST_CHECK pang_code pang_undrop_put(pang_view *view, pang_state *state,
                                          const pang_principal *who, const pang_content *at,
                                          pang_str shown, pang_err *err);

#endif
