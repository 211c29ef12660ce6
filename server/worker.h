/*
 * Worker: the server's threads. Queue threads live as long as the server; the pool runs what may
 * wait (commits, remote stores, files), one thread per call that waits, started when needed and
 * ended when idle.
 * Called by server/rpc.c, listen.c and main.c; nothing else in the server starts a thread.
 * Threads: a pool may be used by any.
 */
#ifndef PANG_SERVER_WORKER_H
#define PANG_SERVER_WORKER_H

#include <pthread.h>

#include "api/err.h"

enum {
    PANG_POOL_STACK_BYTES = 256 * 1024, /* of a thread that runs handlers */
    PANG_POOL_IDLE_MS = 10000,          /* a parked thread ends after this */
    PANG_POOL_KEEP = 2,                 /* parked threads that never end */
};

/* Starts a thread with every signal blocked (main alone takes signals). `name` is at most 15
 * bytes. stack_bytes 0: the system's default. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_thread_start(const char *name, size_t stack_bytes,
                                            void *(*fn)(void *arg), void *arg, pthread_t *ret,
                                            pang_err *err);

/* A condition whose waits are timed by the monotonic clock. False without memory. */
bool pang_condition_open(pthread_cond_t *condition);
/* REQUIRES: lock is held. Waits at most ms milliseconds; false when they are over. May wake for
 * nothing, like any condition. */
bool pang_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t ms);

/* A piece of work; lives in the caller's struct, which may be gone once `run` returned. */
typedef struct pang_job {
    struct pang_job *next;
    void (*run)(struct pang_job *job);
} pang_job;

typedef struct pang_pool pang_pool;

/* Starts no thread yet. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_pool_open(unsigned threads_max, pang_pool **ret, pang_err *err);
/* Runs the job on a parked thread, on a new one, or, when threads_max are busy (or no thread
 * can be had while others work), after those before it. False when no thread is there at all and
 * none can be started: the job was not taken. */
bool pang_pool_run(pang_pool *pool, pang_job *job);
/* Waits for every job. NULL is fine. REQUIRES: no pang_pool_run any more. */
void pang_pool_close(pang_pool *pool);

typedef struct {
    unsigned threads, parked, waiting; /* alive; without a job; jobs without a thread */
} pang_pool_stats;
void pang_pool_get_stats(pang_pool *pool, pang_pool_stats *ret);

#endif
