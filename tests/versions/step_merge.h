/*
 * Merges, and what works like them, as steps.
 * Called by steps.c. Threads: one. Lifetime: the world's.
 */
#ifndef PANG_TESTS_VERSIONS_STEP_MERGE_H
#define PANG_TESTS_VERSIONS_STEP_MERGE_H

#include "tests/versions/merges.h"
#include "tests/versions/real.h"

/* What the program calls conflicts is what the model does, or the test fails. */
void merge_compare(world *w, const merging *g, const merge_call *call);
/* It was done: the target's content is what the model says, by a commit on `parent`. */
void merge_landed(world *w, merging *g, branch *target, int parent);
/* Decides what conflicts, one way or another, and completes what waits; or gives it up: false. */
bool merge_resolve(world *w, merging *g, merge_call *call, branch *target, int parent);
/* What was tried out does not go where what counts is. */
bool merge_is_refused(const world *w, const commit *source, const branch *target);

/* Whether it is refused since something that the source was made from was tried out: the program
 * may say so where there was such a thing, unless the target has all of it. */
bool merge_is_passed_on(const world *w, uint32_t made_of, const branch *target, pang_code code);

/* A commit that is done again or taken back, a branch on another base, a branch as it was. */
void step_again(world *w);

#endif
