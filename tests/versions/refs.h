/*
 * Steps about branches and tags.
 * Called by steps.c. Threads: one. Lifetime: the world's.
 */
#ifndef PANG_TESTS_VERSIONS_REFS_H
#define PANG_TESTS_VERSIONS_REFS_H

#include "tests/versions/real.h"

void step_ref(world *w);

#endif
