/*
 * Sweep: after a tenant was marked as going, all that is left of it goes, in bounded commits: its
 * records, what leads to its principals from outside, the places of its tables. Data files stay
 * where they are, as those of any table that is not purged; the audit log stays for its retention.
 * Called by due.c. Threads: as later work. Lifetime: nothing is kept.
 */
#ifndef PANG_SERVER_SWEEP_H
#define PANG_SERVER_SWEEP_H

#include "server/records.h"
#include "server/state.h"

/* Does a bounded part of it, and removes the record of the work (`key`, `due`) with the tenant's
 * own when nothing is left. May run twice, also at once. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_sweep_run(pang_state *state, pang_str key, pang_rec_due *due,
                                         pang_arena *arena, pang_err *err);

#endif
