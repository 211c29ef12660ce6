/*
 * Threads. The pool parks its idle threads on a stack, each with a condition of its own: the one
 * that parked last wakes first, since its stack is still in the caches, and those at the bottom
 * grow old and end. A job that finds no parked thread starts one, up to the bound; past it jobs
 * wait in a line.
 */
#include "server/worker.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct parked {
    struct parked *below;
    pthread_cond_t wake;
    pang_job *job; /* what it shall run; NULL: it was not woken for one */
} parked;

struct pang_pool {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t ended; /* a thread has ended */
    parked *top;
    pang_job *first, **last; /* jobs without a thread */
    unsigned threads, threads_max, n_parked, n_waiting;
    bool closing;
};

/* Sanitizers need more room for the same frames. */
#ifdef PANG_SANITIZED
#define STACK_FACTOR 8
#else
#define STACK_FACTOR 1
#endif

static int set_stack(pthread_attr_t *attributes, size_t bytes)
{
    if (bytes == 0)
        return 0;
    if (bytes < (size_t)PTHREAD_STACK_MIN)
        bytes = (size_t)PTHREAD_STACK_MIN;
    return pthread_attr_setstacksize(attributes, bytes * STACK_FACTOR);
}

pang_code pang_thread_start(const char *name, size_t stack_bytes, void *(*fn)(void *arg), void *arg,
                            pthread_t *ret, pang_err *err)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return pang_fail_memory(err);
    int failed = set_stack(&attributes, stack_bytes);
    /* A thread inherits the mask; blocking here leaves no moment in which it could take one. */
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    if (failed == 0)
        failed = pthread_create(ret, &attributes, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (failed != 0)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "could not start a thread: %s",
                         strerror(failed));
    (void)pthread_setname_np(*ret, name);
    return PANG_OK;
}

/* ---- conditions ---- */

bool pang_condition_open(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(condition, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return good;
}

bool pang_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return pthread_cond_timedwait(condition, lock, &until) != ETIMEDOUT;
}

/* ---- the pool ---- */

static void leave(pang_pool *pool, parked *self)
{
    for (parked **at = &pool->top; *at != NULL; at = &(*at)->below) {
        if (*at == self) {
            *at = self->below;
            pool->n_parked--;
            return;
        }
    }
}

/* Waits for a job with the lock held. NULL: the thread shall end. */
static pang_job *park(pang_pool *pool, parked *self)
{
    self->job = NULL;
    self->below = pool->top;
    pool->top = self;
    pool->n_parked++;
    while (self->job == NULL && !pool->closing) {
        bool woken = pang_condition_wait(&self->wake, &pool->lock, PANG_POOL_IDLE_MS);
        if (!woken && self->job == NULL && pool->threads > PANG_POOL_KEEP)
            break;
    }
    if (self->job == NULL)
        leave(pool, self);
    return self->job;
}

static pang_job *next_waiting(pang_pool *pool)
{
    pang_job *job = pool->first;
    if (job == NULL)
        return NULL;
    pool->first = job->next;
    if (pool->first == NULL)
        pool->last = &pool->first;
    pool->n_waiting--;
    return job;
}

static void *run_thread(void *arg)
{
    pang_pool *pool = arg;
    parked self = {0};
    bool can_park = pang_condition_open(&self.wake);
    (void)pthread_mutex_lock(&pool->lock);
    for (;;) {
        pang_job *job = next_waiting(pool);
        if (job == NULL && can_park)
            job = park(pool, &self);
        if (job == NULL)
            break;
        (void)pthread_mutex_unlock(&pool->lock);
        job->run(job);
        (void)pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    (void)pthread_cond_broadcast(&pool->ended);
    (void)pthread_mutex_unlock(&pool->lock);
    if (can_park)
        (void)pthread_cond_destroy(&self.wake);
    return NULL;
}

pang_code pang_pool_open(unsigned threads_max, pang_pool **ret, pang_err *err)
{
    assert(threads_max > 0);
    pang_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL || pthread_mutex_init(&pool->lock, NULL) != 0) {
        free(pool);
        return pang_fail_memory(err);
    }
    (void)pthread_cond_init(&pool->ended, NULL);
    pool->last = &pool->first;
    pool->threads_max = threads_max;
    *ret = pool;
    return PANG_OK;
}

static bool start_one(pang_pool *pool)
{
    pthread_t thread = 0;
    if (pool->threads == pool->threads_max ||
        pang_thread_start("handler", PANG_POOL_STACK_BYTES, run_thread, pool, &thread, NULL) !=
            PANG_OK)
        return false;
    (void)pthread_detach(thread);
    pool->threads++;
    return true;
}

bool pang_pool_run(pang_pool *pool, pang_job *job)
{
    bool taken = true;
    (void)pthread_mutex_lock(&pool->lock);
    parked *idle = pool->top;
    if (idle != NULL) {
        pool->top = idle->below;
        pool->n_parked--;
        idle->job = job;
        (void)pthread_cond_signal(&idle->wake);
    } else if (start_one(pool) || pool->threads > 0) {
        job->next = NULL;
        *pool->last = job;
        pool->last = &job->next;
        pool->n_waiting++;
    } else {
        taken = false;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return taken;
}

void pang_pool_close(pang_pool *pool)
{
    if (pool == NULL)
        return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    for (parked *idle = pool->top; idle != NULL; idle = idle->below)
        (void)pthread_cond_signal(&idle->wake);
    while (pool->threads > 0)
        (void)pthread_cond_wait(&pool->ended, &pool->lock);
    (void)pthread_mutex_unlock(&pool->lock);
    (void)pthread_cond_destroy(&pool->ended);
    (void)pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void pang_pool_get_stats(pang_pool *pool, pang_pool_stats *ret)
{
    (void)pthread_mutex_lock(&pool->lock);
    *ret = (pang_pool_stats){pool->threads, pool->n_parked, pool->n_waiting};
    (void)pthread_mutex_unlock(&pool->lock);
}
