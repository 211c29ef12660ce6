/*
 * Retention: what a catalog keeps of its past. Beyond its retention go states that nothing reads,
 * commits, tombstones that hide nothing, documents that no state names, branch ids that nothing
 * reads through, marks of such, and merges that ended. What a branch, tag, base, open merge or
 * merge mark reads stays, and reads as before. Called by later work, by the maintenance service and
 * by `pangolin gc`. Threads: runs of one catalog may go on at once, in any process. Lifetime:
 * nothing outlives a run.
 *
 * Rules:
 *  1. The floor (its record) is raised before anything below it goes. Who follows the catalog's
 *     commits, or names a time, asks the floor; so nothing that is missing is passed over in
 *     silence.
 *  2. A run may stop anywhere and be repeated. Each commit of it is small, and none lands over a
 * ref that was made meanwhile.
 *  3. The record of a table whose places are still held stays until the collector has freed them:
 *     from it the collector knows that the files may go.
 *  4. A dry run counts what would go, and changes nothing.
 */
#ifndef PANG_SERVER_RETAIN_H
#define PANG_SERVER_RETAIN_H

#include "server/state.h"

/* Kinds of records, as they are counted. */
typedef enum {
    PANG_RETAIN_CONTENT,       /* names' current records */
    PANG_RETAIN_HISTORY,       /* what names stood for before */
    PANG_RETAIN_ASSETS,        /* where assets are */
    PANG_RETAIN_ASSET_HISTORY, /* where they were */
    PANG_RETAIN_COMMITS,
    PANG_RETAIN_COMMIT_IDS, /* by which a commit can be named */
    PANG_RETAIN_DOCUMENTS,  /* metadata */
    PANG_RETAIN_BRANCHES,   /* ids, hidden ones too */
    PANG_RETAIN_MARKS,      /* of forks and merges */
    PANG_RETAIN_MERGES,     /* operations and their conflicts */
    PANG_RETAIN_KINDS
} pang_retain_kind;
/* "history", as metrics and reports say. */
const char *pang_retain_kind_name(pang_retain_kind kind);

typedef struct {
    pang_str scope; /* the tenant's */
    pang_id catalog;
    bool dry_run;
    size_t marks; /* documents remembered at once; 0: PANG_GC_MARKS */
} pang_retain_plan;

typedef struct {
    uint64_t left[PANG_RETAIN_KINDS], removed[PANG_RETAIN_KINDS];
    uint64_t floor; /* number */
} pang_retain_outcome;

/* Asked between steps; may be NULL. Return false to end the run. */
typedef bool pang_retain_fn(void *arg);

/* ERRORS: the store's, ABORTED (refs changed all the while: run it again), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_retain_run(pang_state *state, const pang_retain_plan *plan,
                                          pang_retain_fn *fn, void *arg, pang_retain_outcome *ret,
                                          pang_err *err);

#endif
