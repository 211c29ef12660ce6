/*
 * Undrop: a dropped or purged table comes back under its name, as it was, while its time runs. All
 * that is needed is in its tombstone; that its files are there still is looked at. Called by the
 * maintenance service. Threads: as the transaction's. Lifetime: results live in the view's arena.
 */
#ifndef PANG_SERVER_UNDROP_H
#define PANG_SERVER_UNDROP_H

#include "server/metadata.h"

/* What is known of a dropped table. */
typedef struct {
    int64_t until_ms; /* it can come back until then */
    pang_str reason;  /* why it cannot; empty: it can */
} pang_undrop;

/* server/undrop_find.c. The dropped table that the name stood for: of this asset, or (NULL) the
 * newest one within the name's last 4,096 states. ret->body is its tombstone, NULL where there is
 * none; a table that came back, or was renamed before it was dropped, is none of this name. What
 * was found holds until the commit. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_undrop_find(pang_view *view, pang_name name, const pang_id *asset,
                                           pang_content *ret, pang_err *err);
/* The asset's tombstone under the name that this commit dropped it from, made up where the commit
 * put something else there at once; its body is NULL where that commit dropped no such table. */
PANG_MUST_CHECK pang_code pang_undrop_state(pang_view *view, pang_name name, pang_id asset,
                                            uint64_t sequence, pang_content *ret, pang_err *err);
/* Takes the body from those states that are no tombstones of what is dropped by now: the asset came
 * back, or was dropped by another commit. Each has a body with its asset, and its sequence.
 * REQUIRES: n <= PANG_NAMES_AT_ONCE_MAX. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_undrop_which(pang_view *view, pang_content *states, size_t n,
                                            pang_err *err);
/* `gone` is as pang_undrop_find or _state filled it in, with a body. ERRORS: the store's; an object
 * store that does not answer is a reason. */
PANG_MUST_CHECK pang_code pang_undrop_judge(pang_view *view, pang_state *state,
                                            const pang_content *gone, pang_undrop *ret,
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
/* Puts it into a commit of its own: `at`, which stands for nothing now, is what `gone` was once
 * more. REQUIRES: it was judged in this transaction, and can. ERRORS: those of commits. */
PANG_MUST_CHECK pang_code pang_undrop_put(pang_view *view, pang_state *state,
                                          const pang_principal *who, const pang_content *at,
                                          const pang_content *gone, pang_str shown, pang_err *err);

#endif
