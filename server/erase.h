/*
 * Erasing: after a deleted catalog's tables could have come back all records of it go: branches,
 * names, history, commits, documents, merges. Counters and sequences stay: they are few, and no
 * records. Data files stay where they are.
 * Called by svc_catalog.c and due.c. Threads: as the transaction's.
 */
#ifndef PANG_SERVER_ERASE_H
#define PANG_SERVER_ERASE_H

#include "server/content.h"
#include "server/state.h"

/* Puts the later work for a catalog that is deleted in the same commit; `main_branch` may have no
 * record of its own, by which the others are found. `keep_ms`: how long its tables' places are
 * kept. */
PANG_MUST_CHECK pang_code pang_erase_put(pang_call *call, pang_id catalog, pang_id main_branch,
                                         int64_t keep_ms, pang_err *err);
/* Does a bounded part of it, and removes the record of the work (`key`, `due`) when nothing is
 * left. May run twice, also at once. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_erase_run(pang_state *state, pang_str key, pang_rec_due *due,
                                         pang_arena *arena, pang_err *err);

#endif
