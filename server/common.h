/*
 * Where branches meet: a branch and what it was made from are a chain of points, and two chains
 * that meet have everything below the meeting point in common. What either side did since is in its
 * commit log, from its head down to that point.
 * Called by the differences between refs and by the merge planner, which knows of later meetings
 * too (merge marks). Threads: as the view's. Lifetime: results are values; what a walk shows, as
 * pang_commit_walk says.
 */
#ifndef PANG_SERVER_COMMON_H
#define PANG_SERVER_COMMON_H

#include "server/refs.h"

/* All that a branch was up to a number of the catalog's sequence. */
typedef struct {
    pang_id branch;
    uint64_t sequence; /* PANG_NOW: all that it is */
} pang_point;

/* A point and what it was made from, nearest first. */
typedef struct {
    pang_point points[PANG_LEVELS_MAX];
    size_t n;
    bool partial;   /* reads through less than it was made from: it holds copies of a selection */
    size_t n_whole; /* so many of the points are in it whole */
} pang_chain;

typedef struct {
    bool met;      /* false: the two have nothing in common; all else is then nothing */
    pang_point at; /* the newest point that is in both: each side's half of a base */
    /* Which of each chain's points lies on the meeting branch. Those before it are the side's
     * alone; that one is down to `at`. */
    size_t in_a, in_b;
} pang_common;

/* The chain of the point that the view shows. ERRORS: NOT_FOUND (no such branch), DATA_LOSS. */
PANG_MUST_CHECK pang_code pang_chain_of(pang_view *view, pang_chain *ret, pang_err *err);
pang_common pang_common_point(const pang_chain *a, const pang_chain *b);

/* Walks the commits of the view beyond the common point, newest first, or from below `before` when
 * that is not 0. Costs what it shows. */
PANG_MUST_CHECK pang_code pang_common_walk(pang_view *view, const pang_common *common,
                                           uint64_t before, pang_commit_fn *fn, void *arg,
                                           pang_err *err);

#endif
