/*
 * Loop: one epoll per thread. Readiness goes to a watch, work that shall happen once at the end of
 * a turn is a job (so that a connection is written to once per turn), and sweeps look after time.
 * Called by everything in the bridge that waits. Threads: a loop belongs to the one that runs it;
 * only pang_loop_wake may be called from others. Lifetime: watches and jobs are their owner's.
 */
#ifndef PANG_BRIDGE_LOOP_H
#define PANG_BRIDGE_LOOP_H

#include "api/env.h"

typedef struct pang_loop pang_loop;

/* A descriptor and what to call when it is ready. Events are EPOLLIN and so on, level-triggered. */
typedef struct pang_watch {
    int fd;
    uint32_t events; /* what is asked for now */
    void (*ready)(struct pang_watch *watch, uint32_t events);
} pang_watch;

/* Something to do at the end of the turn. Zero but for `run`. */
typedef struct pang_job {
    void (*run)(struct pang_job *job);
    struct pang_job *next;
    bool queued;
} pang_job;

/* Called about every PANG_SWEEP_MS. */
typedef struct pang_sweep {
    void (*run)(struct pang_sweep *sweep, int64_t now_ms);
    struct pang_sweep *next;
} pang_sweep;

enum { PANG_SWEEP_MS = 250 };

/* ERRORS: UNAVAILABLE (no descriptor), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_loop_new(pang_loop **ret, pang_err *err);
void pang_loop_free(pang_loop *loop); /* NULL is fine */
/* Turns until pang_loop_stop. */
void pang_loop_run(pang_loop *loop);
/* From a job, watch or sweep of this loop: the turn is finished, then run returns. */
void pang_loop_stop(pang_loop *loop);
/* From any thread, also from a signal handler: fn(arg) runs in the loop soon, at least once. Set
 * before the loop runs. */
void pang_loop_on_wake(pang_loop *loop, void (*fn)(void *arg), void *arg);
void pang_loop_wake(pang_loop *loop);
/* The mono clock as of this turn's begin. */
int64_t pang_loop_now(const pang_loop *loop);

/* False when the kernel refuses. */
bool pang_loop_add(pang_loop *loop, pang_watch *watch);
/* Asks for other events; does nothing when they are the same. */
void pang_loop_change(pang_loop *loop, pang_watch *watch, uint32_t events);
/* Events of this turn that were not delivered yet are dropped. Does not close the descriptor. */
void pang_loop_remove(pang_loop *loop, pang_watch *watch);
/* Does nothing when the job waits already. */
void pang_loop_defer(pang_loop *loop, pang_job *job);
/* Takes a waiting job back. */
void pang_loop_cancel(pang_loop *loop, pang_job *job);
void pang_loop_sweep(pang_loop *loop, pang_sweep *sweep);

#endif
