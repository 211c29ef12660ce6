/*
 * The fault sweep: a scene is run again and again, with the first, the second, the third ... call
 * of a kind failing, until a run has no such call left. So every error path there is gets walked.
 * Called by tests of whatever stands on a store. Threads: one; a scene may start its own.
 */
#ifndef PANG_TESTS_FAULT_SWEEP_H
#define PANG_TESTS_FAULT_SWEEP_H

#include "storage/faulty.h"

typedef struct {
    const char *name;
    /* Makes a fresh world, without faults. */
    void *(*begin)(void);
    /* The store of the world whose calls shall fail; NULL: only allocations do. */
    pang_store *(*faults)(void *world);
    /* What is tested. Its allocations and store calls fail. */
    pang_code (*run)(void *world, pang_err *err);
    /* Without faults again: asserts that the world is as `code` says, wholly. */
    void (*check)(void *world, pang_code code);
    void (*end)(void *world);
    bool tells_memory; /* an allocation that fails is told as RESOURCE_EXHAUSTED and nothing else */
} fault_scene;

/* Sweeps the scene with every kind of fault; a failing run is named. Asserts besides what the
 * scene's `check` does: without faults the code is PANG_OK; an error is filled in and is one that
 * faults explain; no memory is lost. */
void fault_sweep(const fault_scene *scene);

#endif
