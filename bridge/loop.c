/*
 * The event loop. A turn: wait, deliver readiness, run the jobs that this caused, sweep if it is
 * time. Jobs may defer further jobs; they run in the same turn.
 */
#include "bridge/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 128 };

struct pang_loop {
    int epoll;
    pang_watch wake;
    void (*on_wake)(void *arg);
    void *on_wake_arg;
    int64_t now_ms, sweep_ms;
    pang_job *jobs, **last_job;
    pang_sweep *sweeps;
    struct epoll_event events[EVENTS_PER_TURN];
    int n_events;
    bool stop;
};

static void ready_wake(pang_watch *watch, uint32_t events)
{
    pang_loop *loop = (pang_loop *)((char *)watch - offsetof(pang_loop, wake));
    uint64_t count;
    (void)events;
    if (read(watch->fd, &count, sizeof count) == (ssize_t)sizeof count && loop->on_wake != NULL)
        loop->on_wake(loop->on_wake_arg);
}

pang_code pang_loop_new(pang_loop **ret, pang_err *err)
{
    pang_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return pang_fail_memory(err);
    loop->last_job = &loop->jobs;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = (pang_watch){
        .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        .events = EPOLLIN,
        .ready = ready_wake,
    };
    if (loop->epoll < 0 || loop->wake.fd < 0 || !pang_loop_add(loop, &loop->wake)) {
        pang_loop_free(loop);
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not make an event loop");
    }
    loop->now_ms = pang_env_mono_ms(&pang_env_system);
    *ret = loop;
    return PANG_OK;
}

void pang_loop_free(pang_loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->epoll >= 0)
        close(loop->epoll);
    if (loop->wake.fd >= 0)
        close(loop->wake.fd);
    free(loop);
}

void pang_loop_on_wake(pang_loop *loop, void (*fn)(void *arg), void *arg)
{
    loop->on_wake = fn;
    loop->on_wake_arg = arg;
}

void pang_loop_wake(pang_loop *loop)
{
    uint64_t one = 1;
    ssize_t wrote = write(loop->wake.fd, &one, sizeof one);
    (void)wrote; /* full: it is awake already */
}

int64_t pang_loop_now(const pang_loop *loop)
{
    return loop->now_ms;
}

void pang_loop_stop(pang_loop *loop)
{
    loop->stop = true;
}

bool pang_loop_add(pang_loop *loop, pang_watch *watch)
{
    struct epoll_event event = {.events = watch->events, .data.ptr = watch};
    return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

void pang_loop_change(pang_loop *loop, pang_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (events == watch->events)
        return;
    watch->events = events;
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void pang_loop_remove(pang_loop *loop, pang_watch *watch)
{
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = 0; i < loop->n_events; i++) {
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
    }
}

void pang_loop_defer(pang_loop *loop, pang_job *job)
{
    if (job->queued)
        return;
    job->queued = true;
    job->next = NULL;
    *loop->last_job = job;
    loop->last_job = &job->next;
}

void pang_loop_cancel(pang_loop *loop, pang_job *job)
{
    if (!job->queued)
        return;
    for (pang_job **at = &loop->jobs; *at != NULL; at = &(*at)->next) {
        if (*at != job)
            continue;
        *at = job->next;
        if (loop->last_job == &job->next)
            loop->last_job = at;
        break;
    }
    job->queued = false;
}

void pang_loop_sweep(pang_loop *loop, pang_sweep *sweep)
{
    sweep->next = loop->sweeps;
    loop->sweeps = sweep;
}

static void run_jobs(pang_loop *loop)
{
    while (loop->jobs != NULL) {
        pang_job *job = loop->jobs;
        loop->jobs = job->next;
        if (loop->jobs == NULL)
            loop->last_job = &loop->jobs;
        job->queued = false;
        job->run(job);
    }
}

static void run_sweeps(pang_loop *loop)
{
    if (loop->now_ms < loop->sweep_ms)
        return;
    loop->sweep_ms = loop->now_ms + PANG_SWEEP_MS;
    for (pang_sweep *sweep = loop->sweeps; sweep != NULL; sweep = sweep->next)
        sweep->run(sweep, loop->now_ms);
    run_jobs(loop);
}

static void turn(pang_loop *loop)
{
    int n = epoll_wait(loop->epoll, loop->events, EVENTS_PER_TURN, PANG_SWEEP_MS);
    loop->now_ms = pang_env_mono_ms(&pang_env_system);
    loop->n_events = n < 0 ? 0 : n;
    for (int i = 0; i < loop->n_events; i++) {
        pang_watch *watch = loop->events[i].data.ptr;
        if (watch != NULL)
            watch->ready(watch, loop->events[i].events);
    }
    loop->n_events = 0;
    run_jobs(loop);
    run_sweeps(loop);
}

void pang_loop_run(pang_loop *loop)
{
    while (!loop->stop)
        turn(loop);
}
