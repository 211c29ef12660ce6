/*
 * Care: what servers do by themselves for each catalog, once in an interval: the collector removes
 * files that nothing reaches, then retention removes what is kept of the past and needed no more.
 * One server does it at a time: a lease in the catalog's record of care says which.
 * Called by a thread of server/jobs.c. Threads: that one. Lifetime: pang_care_free ends it.
 */
#ifndef PANG_SERVER_CARE_H
#define PANG_SERVER_CARE_H

#include "server/state.h"

typedef struct pang_care pang_care;

/* Cares for at most one catalog. Returns in how many milliseconds to look again; a failure is told
 * in *err (code PANG_OK: none) and tried again later. */
int64_t pang_care_work(pang_state *state, pang_err *err);
/* NULL is fine. */
void pang_care_free(pang_care *care);

#endif
