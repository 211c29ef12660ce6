/*
 * The fault injector: a store that wraps another and at the n-th call fails, waits, dies, or
 * answers UNKNOWN. For tests; in no program's list of stores.
 * Called by tests/. Threads: any. Lifetime: a wrapped store that is owned is closed with it.
 *
 * Opened as "faulty:<url>" it is as exclusive and as local as the store of that url. Calls are
 * counted from the last arming on, those of the kinds in the plan's mask only.
 */
#ifndef PANG_STORAGE_FAULTY_H
#define PANG_STORAGE_FAULTY_H

#include "api/storage.h"

typedef enum {
    PANG_FAULT_NONE,
    PANG_FAULT_FAIL,           /* UNAVAILABLE; of an apply: FAILED; nothing is passed on */
    PANG_FAULT_DELAY,          /* waits, then passes it on */
    PANG_FAULT_UNKNOWN_LANDED, /* passed on, and what landed is reported as UNKNOWN */
    PANG_FAULT_UNKNOWN_LOST,   /* not passed on, reported as UNKNOWN */
    PANG_FAULT_CRASH_BEFORE,   /* the process kills itself, as kill -9 does */
    PANG_FAULT_CRASH_AFTER,    /* passed on, then as before */
    PANG_FAULT_RUN_BEFORE,     /* calls `run`, then passes it on */
    PANG_FAULT_RUN_AFTER,      /* passed on, then calls `run` before the answer is given */
} pang_fault;

enum {
    PANG_CALL_PING = 1,
    PANG_CALL_GET = 2,
    PANG_CALL_SCAN = 4,
    PANG_CALL_APPLY = 8,
    PANG_CALL_ANY = 15,
};

typedef struct {
    pang_fault fault; /* UNKNOWN of what is no apply: FAIL */
    unsigned calls;   /* mask of PANG_CALL_*; 0: ANY */
    unsigned at;      /* the first call that is hit: 1, 2, ... */
    unsigned times;   /* how many in a row; 0: one */
    int64_t delay_ms;
    /* Runs in the caller's thread and may use the store; such calls are neither hit nor counted. */
    void (*run)(void *arg);
    void *arg;
} pang_fault_plan;

/* Wraps an open store. `exclusive` is what it shall say of itself: false, to see two handles on
 * one store in one process. ERRORS: RESOURCE_EXHAUSTED; then `inner` is still the caller's. */
PANG_MUST_CHECK pang_code pang_faulty_wrap(pang_store *inner, bool owns, bool exclusive,
                                           pang_store **ret, pang_err *err);
/* Replaces the plan and counts anew. NULL: no fault. */
void pang_faulty_arm(pang_store *store, const pang_fault_plan *plan);
/* Calls since the last arming, of the kinds in its mask; and how many of them were hit. */
unsigned pang_faulty_calls(pang_store *store);
unsigned pang_faulty_hits(pang_store *store);

#endif
