/*
 * Places: where assets of known ids are found, as a view shows them; read through like content,
 * since an asset keeps its id under every name.
 * Called by merges. Threads and lifetime: as the view's.
 */
#ifndef PANG_SERVER_PLACES_H
#define PANG_SERVER_PLACES_H

#include "server/content.h"

/* What each asset is on the view: ret[i].body is NULL, or dropped, where it is nowhere; its name is
 * then empty, unless the view once had it, and its sequence that of the commit that dropped it. On
 * a branch that can be written, it stays so until the commit, or that is ABORTED. ERRORS: the
 * store's. */
PANG_MUST_CHECK pang_code pang_places_get(pang_view *view, const pang_id *assets, size_t n,
                                          pang_content *ret, pang_err *err);
/* The same for any number of names. */
PANG_MUST_CHECK pang_code pang_places_names(pang_view *view, pang_content *contents, size_t n,
                                            pang_err *err);

#endif
