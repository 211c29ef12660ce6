/*
 * The collector: removes files that nothing reaches any more. It marks, for each place that a
 * catalog's tables hold, what every branch, tag, retained commit, open merge and merge mark names
 * there, and removes what lies there unmarked for longer than a grace period, which is longer than
 * any credential or commit lives. Places of staged creates, and of tables whose time to come back
 * runs, are left alone.
 * Called by the maintenance service, by later work and by `pangolin gc`. Threads: runs of one
 * catalog may go on at once, in any process; they do the same. Lifetime: nothing outlives a run.
 *
 * Rules:
 *  1. When anything of a table cannot be read (a record, a document, a manifest), nothing of that
 *     table is removed; the run says why and goes on with the next.
 *  2. A run may stop anywhere and be repeated. Its memory is bounded: where a table has more files
 *     than fit, they are marked and swept in several passes, each for a part of the names.
 *  3. A dry run does all that a run does but the removing.
 */
#ifndef PANG_SERVER_GC_H
#define PANG_SERVER_GC_H

#include "server/state.h"

enum {
    PANG_GC_GRACE_MS = 24 * 60 * 60 * 1000, /* unless said otherwise */
    PANG_GC_GRACE_MIN_MS = 60 * 60 * 1000,  /* what may be said */
    PANG_GC_MARKS = 6000000,                /* names in memory at once */
};

/* What a run is about. */
typedef struct {
    pang_str scope; /* the tenant's */
    pang_id catalog;
    const pang_str *places; /* canonical; n_places 0: all that the catalog's tables hold */
    size_t n_places;
    int64_t grace_ms; /* below PANG_GC_GRACE_MIN_MS: that */
    bool dry_run;
    size_t marks; /* 0: PANG_GC_MARKS */
} pang_gc_plan;

/* What it did, or would have done. */
typedef struct {
    uint64_t places, skipped; /* looked at; of these left alone since something could not be read */
    uint64_t files, removed, bytes;    /* seen; of these removed, and their bytes */
    uint64_t released;                 /* places that are free now */
    char reason[PANG_ERR_MESSAGE_MAX]; /* of the last that was skipped; empty: none was */
} pang_gc_outcome;

/* Told of each file that goes, before it does; may be NULL. Return false to end the run. */
typedef bool pang_gc_fn(void *arg, pang_str location, int64_t bytes);

/* ERRORS: those of the store when the catalog's refs or places cannot be read. */
PANG_MUST_CHECK pang_code pang_gc_run(pang_state *state, const pang_gc_plan *plan, pang_gc_fn *fn,
                                      void *arg, pang_gc_outcome *ret, pang_err *err);

#endif
