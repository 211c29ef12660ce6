/*
 * server/worker.h: every job runs once, on as many threads as needed and no more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "server/worker.h"

enum { JOBS = 2000, THREADS = 8 };

typedef struct {
    pang_job job; /* first */
    atomic_uint runs;
} counted;

static atomic_uint running, most, done;
static atomic_bool open_gate;

static void sleep_ms(int ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void count(pang_job *job)
{
    unsigned now = atomic_fetch_add(&running, 1) + 1;
    for (unsigned seen = atomic_load(&most); now > seen;)
        if (atomic_compare_exchange_weak(&most, &seen, now))
            break;
    atomic_fetch_add(&((counted *)job)->runs, 1);
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&done, 1);
}

static void wait_at_gate(pang_job *job)
{
    (void)job;
    atomic_fetch_add(&running, 1);
    while (!atomic_load(&open_gate))
        sleep_ms(1);
    atomic_fetch_sub(&running, 1);
    atomic_fetch_add(&done, 1);
}

static int reset(void **state)
{
    (void)state;
    atomic_store(&running, 0);
    atomic_store(&most, 0);
    atomic_store(&done, 0);
    atomic_store(&open_gate, false);
    return 0;
}

static void test_pool__runs_every_job_once_within_its_bound(void **state)
{
    static counted jobs[JOBS];
    pang_pool *pool;
    (void)state;
    assert_int_equal(pang_pool_open(THREADS, &pool, NULL), PANG_OK);
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i].job.run = count;
        assert_true(pang_pool_run(pool, &jobs[i].job));
    }
    pang_pool_close(pool);
    assert_int_equal(atomic_load(&done), JOBS);
    assert_true(atomic_load(&most) <= THREADS);
    for (size_t i = 0; i < JOBS; i++)
        assert_int_equal(atomic_load(&jobs[i].runs), 1);
}

static void test_pool__a_job_that_waits_holds_up_no_other(void **state)
{
    static pang_job waiting[THREADS + 3];
    pang_pool *pool;
    pang_pool_stats stats;
    (void)state;
    assert_int_equal(pang_pool_open(THREADS, &pool, NULL), PANG_OK);
    for (size_t i = 0; i < THREADS + 3; i++) {
        waiting[i].run = wait_at_gate;
        assert_true(pang_pool_run(pool, &waiting[i]));
    }
    for (int ms = 0; atomic_load(&running) < THREADS && ms < 5000; ms++)
        sleep_ms(1);
    assert_int_equal(atomic_load(&running), THREADS);
    pang_pool_get_stats(pool, &stats);
    assert_int_equal(stats.threads, THREADS);
    assert_int_equal(stats.parked, 0);
    assert_int_equal(stats.waiting, 3);
    atomic_store(&open_gate, true);
    for (int ms = 0; atomic_load(&done) < THREADS + 3 && ms < 5000; ms++)
        sleep_ms(1);
    for (int ms = 0; ms < 5000; ms++) {
        pang_pool_get_stats(pool, &stats);
        if (stats.parked == THREADS)
            break;
        sleep_ms(1);
    }
    assert_int_equal(stats.parked, THREADS);
    assert_int_equal(stats.waiting, 0);
    pang_pool_close(pool);
    assert_int_equal(atomic_load(&done), THREADS + 3);
}

static void test_pool__nothing_is_started_before_it_is_needed(void **state)
{
    pang_pool *pool;
    pang_pool_stats stats;
    (void)state;
    assert_int_equal(pang_pool_open(THREADS, &pool, NULL), PANG_OK);
    pang_pool_get_stats(pool, &stats);
    assert_int_equal(stats.threads, 0);
    pang_pool_close(pool);
    pang_pool_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_pool__runs_every_job_once_within_its_bound, reset),
        cmocka_unit_test_setup(test_pool__a_job_that_waits_holds_up_no_other, reset),
        cmocka_unit_test_setup(test_pool__nothing_is_started_before_it_is_needed, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
