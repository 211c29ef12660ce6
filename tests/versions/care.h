/*
 * Time passes, and what nothing needs any more is removed.
 * Called by steps.c. Threads: one. Lifetime: the world's.
 */
#ifndef PANG_TESTS_VERSIONS_CARE_H
#define PANG_TESTS_VERSIONS_CARE_H

#include "tests/versions/real.h"

void step_care(world *w);

#endif
