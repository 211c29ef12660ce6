/*
 * Runs of maintenance: records of what was asked for, how far it is and what it did; and the work
 * of those for whole catalogs, done by one server at a time, in steps that go on where one stopped.
 * Called by the maintenance service and by a thread of server/jobs.c. Threads: the work belongs to
 * one at a time; several servers share it by a lease in the run's record.
 */
#ifndef PANG_SERVER_MAINTENANCE_H
#define PANG_SERVER_MAINTENANCE_H

#include "server/expire.h"
#include "server/gc.h"
#include "server/retain.h"

#define PANG_JOB_EXPIRE "expire_snapshots"
#define PANG_JOB_ORPHANS "remove_orphan_files"
#define PANG_JOB_HISTORY "remove_history" /* of catalogs */
#define PANG_JOB_CARE "care"              /* of the server's own: orphans and history */

enum {
    PANG_MAINTENANCE_DAY_MS = 24 * 60 * 60 * 1000, /* the age that is meant where none is said */
    PANG_MAINTENANCE_WAITING_MAX = 16,             /* of one catalog */
};

/* Fills in what a request asks for. Absent ages are negative. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_maintenance_ask(const pang_env *env, const pang_principal *who,
                                               const char *job_type, const int64_t *retention_ms,
                                               const int64_t *older_than_ms, int64_t retain_last,
                                               bool dry_run, pang_rec_maintenance *ret,
                                               pang_err *err);
/* Puts the run's record; `waits`: and into the line. ERRORS: RESOURCE_EXHAUSTED (memory). */
PANG_MUST_CHECK pang_code pang_maintenance_put(pang_txn *txn, pang_arena *arena, pang_str scope,
                                               const pang_env *env, pang_rec_maintenance *run,
                                               bool waits, pang_err *err);

/* What retention did joins what the record says. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_maintenance_note_records(pang_rec_maintenance *run,
                                                        const pang_retain_outcome *outcome,
                                                        pang_arena *arena, pang_err *err);

/* What a collector's run did joins what the record says. NULL without memory in `reason`. */
void pang_maintenance_note(pang_rec_maintenance *run, const pang_gc_outcome *outcome,
                           pang_arena *arena);

/* One round of waiting runs. Returns in how many milliseconds to look again. */
int64_t pang_maintenance_work(pang_state *state, pang_err *err);

#endif
