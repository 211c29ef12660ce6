/*
 * A backend that is another one with faults. Each slot asks `strike` what shall happen to this
 * call, and else only passes it on.
 */
#include "storage/faulty.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "storage/backends.h"

typedef struct {
    pang_store base;
    pang_store *inner;
    bool owns;
    pthread_mutex_t lock; /* guards all below */
    pang_fault_plan plan;
    unsigned calls, hits;
    bool running; /* a plan's `run`: its own calls pass */
} faulty_store;

static faulty_store *faulty_of(pang_store *store);

/* ---- the plan ---- */

static pang_fault_plan strike(faulty_store *f, unsigned call)
{
    pang_fault_plan hit = {.fault = PANG_FAULT_NONE};
    pthread_mutex_lock(&f->lock);
    unsigned mask = f->plan.calls == 0 ? PANG_CALL_ANY : f->plan.calls;
    if ((mask & call) != 0 && !f->running) {
        f->calls++;
        unsigned times = f->plan.times == 0 ? 1 : f->plan.times;
        if (f->plan.fault != PANG_FAULT_NONE && f->calls >= f->plan.at &&
            f->calls - f->plan.at < times) {
            f->hits++;
            hit = f->plan;
        }
    }
    pthread_mutex_unlock(&f->lock);
    return hit;
}

static void set_running(faulty_store *f, bool running)
{
    pthread_mutex_lock(&f->lock);
    f->running = running;
    pthread_mutex_unlock(&f->lock);
}

static void run_plan(faulty_store *f, const pang_fault_plan *hit)
{
    set_running(f, true);
    hit->run(hit->arg);
    set_running(f, false);
}

static void crash(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

static void do_before(faulty_store *f, const pang_fault_plan *hit)
{
    if (hit->fault == PANG_FAULT_CRASH_BEFORE)
        crash();
    if (hit->fault == PANG_FAULT_RUN_BEFORE)
        run_plan(f, hit);
    if (hit->fault == PANG_FAULT_DELAY)
        (void)nanosleep(
            &(struct timespec){hit->delay_ms / 1000, (long)(hit->delay_ms % 1000) * 1000000}, NULL);
}

static void do_after(faulty_store *f, const pang_fault_plan *hit)
{
    if (hit->fault == PANG_FAULT_CRASH_AFTER)
        crash();
    if (hit->fault == PANG_FAULT_RUN_AFTER)
        run_plan(f, hit);
}

static bool fails_read(const pang_fault_plan *hit)
{
    return hit->fault == PANG_FAULT_FAIL || hit->fault == PANG_FAULT_UNKNOWN_LANDED ||
           hit->fault == PANG_FAULT_UNKNOWN_LOST;
}

static pang_code fail(pang_err *err)
{
    return pang_fail(err, PANG_UNAVAILABLE, NULL, "injected fault");
}

/* ---- slots ---- */

static pang_store_close_fn faulty_close;
static void faulty_close(pang_store *store)
{
    if (store == NULL)
        return;
    faulty_store *f = faulty_of(store);
    if (f->owns)
        pang_store_close(f->inner);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static pang_store_open_fn faulty_open;
static pang_code faulty_open(const pang_store_config *config, pang_store **ret, pang_err *err)
{
    pang_store_config inner_config = *config;
    inner_config.url = pang_str_after(config->url, sizeof "faulty:" - 1);
    pang_store *inner = NULL;
    pang_code code = pang_store_open(&inner_config, &inner, err);
    if (code == PANG_OK)
        code = pang_faulty_wrap(inner, true, inner->ops->exclusive, ret, err);
    if (code != PANG_OK)
        pang_store_close(inner);
    return code;
}

static pang_store_migrate_fn faulty_migrate;
static pang_code faulty_migrate(pang_store *store, pang_err *err)
{
    return pang_store_migrate(faulty_of(store)->inner, err);
}

static pang_store_ping_fn faulty_ping;
static pang_code faulty_ping(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    faulty_store *f = faulty_of(store);
    pang_fault_plan hit = strike(f, PANG_CALL_PING);
    do_before(f, &hit);
    if (fails_read(&hit))
        return fail(err);
    pang_code code = pang_store_ping(f->inner, deadline_ms, err);
    do_after(f, &hit);
    return code;
}

static pang_store_get_fn faulty_get;
static pang_code faulty_get(pang_store *store, const pang_ref *refs, size_t n, int64_t deadline_ms,
                            pang_arena *arena, pang_record *records, pang_err *err)
{
    faulty_store *f = faulty_of(store);
    pang_fault_plan hit = strike(f, PANG_CALL_GET);
    do_before(f, &hit);
    if (fails_read(&hit))
        return fail(err);
    pang_code code = pang_store_get(f->inner, refs, n, deadline_ms, arena, records, err);
    do_after(f, &hit);
    return code;
}

static pang_store_scan_fn faulty_scan;
static pang_code faulty_scan(pang_store *store, const pang_query *query, int64_t deadline_ms,
                             pang_row_fn *row, void *arg, pang_err *err)
{
    faulty_store *f = faulty_of(store);
    pang_fault_plan hit = strike(f, PANG_CALL_SCAN);
    do_before(f, &hit);
    if (fails_read(&hit))
        return fail(err);
    pang_code code = pang_store_scan(f->inner, query, deadline_ms, row, arg, err);
    do_after(f, &hit);
    return code;
}

static void answer_all(pang_commit *const *commits, size_t n, pang_outcome outcome)
{
    for (size_t i = 0; i < n; i++) {
        commits[i]->outcome = outcome;
        (void)fail(&commits[i]->err);
    }
}

/* Nobody learns numbers or time from an answer that did not arrive. */
static void lose_answers(pang_commit *const *commits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < PANG_APPENDS_MAX; k++)
            commits[i]->numbers[k] = 0;
        commits[i]->time_ms = 0;
        commits[i]->first_version = 0;
        commits[i]->failed_check = commits[i]->n_checks;
        commits[i]->id_was_there = false;
    }
    answer_all(commits, n, PANG_COMMIT_UNKNOWN);
}

static pang_store_apply_fn faulty_apply;
static void faulty_apply(pang_store *store, pang_commit *const *commits, size_t n)
{
    faulty_store *f = faulty_of(store);
    pang_fault_plan hit = strike(f, PANG_CALL_APPLY);
    do_before(f, &hit);
    if (hit.fault == PANG_FAULT_FAIL) {
        answer_all(commits, n, PANG_COMMIT_FAILED);
        return;
    }
    if (hit.fault == PANG_FAULT_UNKNOWN_LOST) {
        answer_all(commits, n, PANG_COMMIT_UNKNOWN);
        return;
    }
    pang_store_apply(f->inner, commits, n);
    do_after(f, &hit);
    if (hit.fault == PANG_FAULT_UNKNOWN_LANDED)
        lose_answers(commits, n);
}

/* ---- tables: one for each thing that a store may be ---- */

#define FAULTY_OPS(is_exclusive, is_local)                                                         \
    {                                                                                              \
        .scheme = "faulty", .exclusive = (is_exclusive), .local = (is_local), .open = faulty_open, \
        .close = faulty_close, .migrate = faulty_migrate, .ping = faulty_ping, .get = faulty_get,  \
        .scan = faulty_scan, .apply = faulty_apply,                                                \
    }

const pang_store_ops pang_faulty_ops = FAULTY_OPS(false, false);
static const pang_store_ops variants[2][2] = {
    {FAULTY_OPS(false, false), FAULTY_OPS(false, true)},
    {FAULTY_OPS(true, false), FAULTY_OPS(true, true)},
};

static faulty_store *faulty_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC && store->ops->get == faulty_get);
    return (faulty_store *)store;
}

/* ---- for tests ---- */

pang_code pang_faulty_wrap(pang_store *inner, bool owns, bool exclusive, pang_store **ret,
                           pang_err *err)
{
    faulty_store *f = calloc(1, sizeof *f);
    if (f == NULL)
        return pang_fail_memory(err);
    f->base = (pang_store){PANG_STORE_MAGIC, &variants[exclusive][inner->ops->local], inner->env};
    f->inner = inner;
    f->owns = owns;
    pthread_mutex_init(&f->lock, NULL);
    *ret = &f->base;
    return PANG_OK;
}

void pang_faulty_arm(pang_store *store, const pang_fault_plan *plan)
{
    static const pang_fault_plan none = {.fault = PANG_FAULT_NONE};
    faulty_store *f = faulty_of(store);
    pthread_mutex_lock(&f->lock);
    f->plan = plan == NULL ? none : *plan;
    f->calls = f->hits = 0;
    pthread_mutex_unlock(&f->lock);
}

unsigned pang_faulty_calls(pang_store *store)
{
    faulty_store *f = faulty_of(store);
    pthread_mutex_lock(&f->lock);
    unsigned calls = f->calls;
    pthread_mutex_unlock(&f->lock);
    return calls;
}

unsigned pang_faulty_hits(pang_store *store)
{
    faulty_store *f = faulty_of(store);
    pthread_mutex_lock(&f->lock);
    unsigned hits = f->hits;
    pthread_mutex_unlock(&f->lock);
    return hits;
}
