/*
 * Growth: how many records of each kind the store holds, for metrics. All tenants are gone through,
 * by keys where their bytes are not asked for, in pieces that are rested from: so it costs a
 * twentieth of a thread while it counts and a hundredth over time, whatever there is, and whoever
 * changes something, another server or a job, need not tell.
 * Called by a thread of server/jobs.c. Threads: that one; the numbers are read by any. Lifetime:
 * nothing outlives a round.
 */
#ifndef PANG_SERVER_GROWTH_H
#define PANG_SERVER_GROWTH_H

#include "server/state.h"

enum { PANG_GROWTH_EVERY_MS = 15 * 1000 }; /* at the most often */

/* Counts, in minutes where there is much, and then shows what it found at once
 * (pang_state_get_records). Returns in how many milliseconds to count again. A failure is told in
 * *err (code PANG_OK: none) and leaves what was found before; so does the state's end. */
int64_t pang_growth_work(pang_state *state, pang_err *err);
/* Whether the bytes of a kind (server/retain.h) are counted. */
bool pang_growth_has_bytes(size_t kind);

#endif
