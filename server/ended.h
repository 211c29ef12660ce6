/*
 * Ended catalogs: when a catalog is deleted its names go at once, in one commit, and nothing can be
 * read or written through it any more. What its tables held of the world outside goes later: their
 * places are kept for as long as those of dropped tables are, and are free then.
 * Called by svc_catalog.c and due.c. Threads: as the transaction's.
 */
#ifndef PANG_SERVER_ENDED_H
#define PANG_SERVER_ENDED_H

#include "server/content.h"
#include "server/state.h"

/* Puts the later work for one branch of a catalog that is deleted in the same commit. */
PANG_MUST_CHECK pang_code pang_ended_put(pang_call *call, pang_id catalog, pang_id branch,
                                         int64_t keep_ms, pang_err *err);
/* Does it, in bounded commits, and removes the record of it (`key`, `due`). May run twice, also
 * at once. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_ended_run(pang_state *state, pang_str key, pang_rec_due *due,
                                         pang_arena *arena, pang_err *err);

#endif
