/*
 * Random steps, each done in both worlds and compared.
 * Called by test_versions.c. Threads: one. Lifetime: the world's.
 */
#ifndef PANG_TESTS_VERSIONS_STEPS_H
#define PANG_TESTS_VERSIONS_STEPS_H

#include "tests/versions/real.h"

/* One step of any kind, and a look at what it touched. */
void step_any(world *w);
/* The first steps: something to work on. */
void step_first(world *w);

/* ---- for the steps ---- */

/* Says what is done, for messages and PANG_TRACE. */
void step_tell(world *w, const char *text);
/* A branch that is there. */
branch *step_branch(world *w);
/* The call ended so; after OK, `next` is on the branch. */
void step_landed(world *w, branch *b, const content *next, pang_code code, pang_code expected);
void step_merge(world *w);

/* ---- comparing ---- */

void compare_branch(world *w, const branch *b);
/* The ref shows what a commit did. */
void compare_as(world *w, const char *ref, int at);
/* Lists, loads and logs of all refs, old points, differences. */
void compare_all(world *w);
void compare_text(world *w, const char *what, const char *is, const char *shall);

#endif
