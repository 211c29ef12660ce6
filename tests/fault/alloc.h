/*
 * Allocations that fail on command, in any test that links this: malloc, calloc, realloc, strdup,
 * strndup, aligned_alloc and posix_memalign of the code under test are wrapped by the linker. What
 * shared libraries allocate for themselves is not.
 * Threads: arming and counting are of the calling thread, the number of live blocks of all.
 */
#ifndef PANG_TESTS_FAULT_ALLOC_H
#define PANG_TESTS_FAULT_ALLOC_H

#include <stdbool.h>

/* The n-th allocation from now on (1, 2, ...) fails; the ones after it too when `persistent`.
 * n 0: none fails, but they are counted. */
void fault_alloc_arm(unsigned n, bool persistent);
/* Ends it; how many failed. */
unsigned fault_alloc_disarm(void);
/* Allocations since the last arming. */
unsigned fault_alloc_calls(void);
/* Blocks allocated and not freed, by wrapped calls: the same before and after means no leak. */
long fault_alloc_live(void);

#endif
