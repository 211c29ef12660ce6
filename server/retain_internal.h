/*
 * The inside of retention: a run, and its steps. Called by retain*.c alone. Threads: one. Lifetime:
 * the run's.
 */
#ifndef PANG_SERVER_RETAIN_INTERNAL_H
#define PANG_SERVER_RETAIN_INTERNAL_H

#include "server/gc_internal.h"
#include "server/retain.h"

typedef struct {
    pang_state *state;
    pang_store *store;
    const pang_retain_plan *plan;
    pang_retain_fn *fn;
    void *arg;
    pang_retain_outcome *out;
    int64_t now_ms;
    pang_arena *points_arena;
    pang_gc_points *points;
    uint64_t floor, log; /* as in Floor */
    uint64_t stands;     /* where main stands at the floor: refs may be made of that */
    int64_t floor_ms;
    pang_arena *step;      /* of one piece of rows */
    pang_keys keys;        /* in it */
    pang_gc_set named;     /* documents */
    pang_gc_branch branch; /* whose rows are looked at */
    uint64_t rows_left;    /* of its */
    bool stopped;
    pang_code code;
    pang_err *err;
} pang_retaining;

/* ---- retain.c ---- */

/* A record that goes. */
typedef struct {
    pang_str key;
    uint64_t version;      /* it must still have; 0: it never changes */
    pang_retain_kind kind; /* PANG_RETAIN_KINDS: not counted */
    pang_str body;         /* not empty: it stays, a merge mark, and says this */
} pang_removal;

/* What was found of a piece of rows. */
typedef struct {
    pang_removal *list;
    size_t n, room;
    bool failed;                      /* no memory */
    uint64_t left[PANG_RETAIN_KINDS]; /* what stays */
} pang_removals;

void pang_removals_add(pang_retaining *r, pang_removals *to, pang_retain_kind kind, pang_str key,
                       uint64_t version);
/* Either that, or the row is counted as one that stays. */
void pang_removals_judge(pang_retaining *r, pang_removals *to, pang_retain_kind kind,
                         const pang_record *row, bool goes, uint64_t version);

/* Looks at a piece of rows and says what of them goes; asked again when refs moved meanwhile. False
 * to end the scan. Failures are noted in r->code. */
typedef bool pang_retain_piece_fn(pang_retaining *r, const pang_record *rows, size_t n,
                                  pang_removals *removals);
/* Over all rows of a range. */
PANG_MUST_CHECK pang_code pang_retain_scan(pang_retaining *r, const pang_gc_range *range,
                                           pang_retain_piece_fn *fn);
/* Reads what reaches the content anew. */
PANG_MUST_CHECK pang_code pang_retain_points(pang_retaining *r);
/* What the store has at these keys, in the step's arena. False: failed. */
bool pang_retain_get(pang_retaining *r, const pang_ref *refs, size_t n, pang_record *ret);
bool pang_retain_unpack(pang_retaining *r, const ProtobufCMessageDescriptor *type,
                        const pang_record *row, void *ret);

/* ---- retain_log.c ---- */

/* The newest commit that is as old as the horizon. */
PANG_MUST_CHECK pang_code pang_retain_find_floor(pang_retaining *r);
/* The commits of r->branch. */
PANG_MUST_CHECK pang_code pang_retain_commits(pang_retaining *r);

/* ---- retain_content.c: names and assets of r->branch ---- */

PANG_MUST_CHECK pang_code pang_retain_content(pang_retaining *r);

/* ---- retain_rest.c ---- */

/* Merges that ended. */
PANG_MUST_CHECK pang_code pang_retain_merges(pang_retaining *r);
/* r->branch itself, when it has no rows left and nothing needs it; else the marks of what was
 * merged into it. */
PANG_MUST_CHECK pang_code pang_retain_branch(pang_retaining *r);
/* Documents that no state of the catalog names. */
PANG_MUST_CHECK pang_code pang_retain_documents(pang_retaining *r);

#endif
