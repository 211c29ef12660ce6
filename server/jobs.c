/*
 * Two threads, each one round after the other, asleep in between.
 */
#include "server/jobs.h"

#include <stdlib.h>

#include "api/log.h"
#include "server/worker.h"

struct pang_jobs {
    pang_db *db;
    pang_state *state;
    pang_health *health;
    const pang_env *env;
    pang_audit *audit;
    pthread_t thread, audit_thread;
    pthread_mutex_t lock; /* of stopping */
    pthread_cond_t wake, wake_audit;
    bool stopping;
    int64_t ping_at_ms;
    bool store_answers;
};

static void ping(pang_jobs *jobs)
{
    pang_err err;
    int64_t now = pang_env_mono_ms(jobs->env);
    if (now < jobs->ping_at_ms)
        return;
    bool answers = pang_store_ping(pang_db_store(jobs->db), now + PANG_PING_TIMEOUT_MS, &err) ==
                   PANG_OK;
    if (answers != jobs->store_answers && answers)
        PANG_LOG(INFO, "the store answers", PANG_LOG_NUMBER("after_ms", now));
    if (answers != jobs->store_answers && !answers)
        PANG_LOG(ERROR, "the store does not answer",
                 PANG_LOG_TEXT("why", pang_str_from(err.message)),
                 PANG_LOG_TEXT("detail", pang_str_from(err.detail)));
    jobs->store_answers = answers;
    pang_health_set(jobs->health, answers ? PANG_SERVING : PANG_WITHOUT_STORE);
    jobs->ping_at_ms = now + PANG_PING_EVERY_MS;
}

static void tell(const pang_err *err)
{
    if (err->code != PANG_OK)
        PANG_LOG(WARN, "later work failed; it is tried again",
                 PANG_LOG_TEXT("code", pang_str_from(pang_code_name(err->code))),
                 PANG_LOG_TEXT("message", pang_str_from(err->message)),
                 PANG_LOG_TEXT("detail", pang_str_from(err->detail)));
}

static int64_t work(pang_jobs *jobs)
{
    pang_err err;
    int64_t wait = pang_state_work(jobs->state, &err);
    tell(&err);
    return wait;
}

/* Sleeps; true when the thread shall end. */
static bool rest(pang_jobs *jobs, pthread_cond_t *wake, int64_t ms)
{
    (void)pthread_mutex_lock(&jobs->lock);
    if (!jobs->stopping && ms > 0)
        (void)pang_condition_wait(wake, &jobs->lock, ms);
    bool stop = jobs->stopping;
    (void)pthread_mutex_unlock(&jobs->lock);
    return stop;
}

static void *run_jobs(void *arg)
{
    pang_jobs *jobs = arg;
    int64_t wait = 0;
    do {
        ping(jobs);
        wait = work(jobs);
    } while (!rest(jobs, &jobs->wake, wait < PANG_PING_EVERY_MS ? wait : PANG_PING_EVERY_MS));
    return NULL;
}

static void *run_audit(void *arg)
{
    pang_jobs *jobs = arg;
    int64_t wait = 0;
    do {
        pang_err err;
        wait = pang_audit_work(jobs->audit, &err);
        tell(&err);
    } while (!rest(jobs, &jobs->wake_audit, wait));
    return NULL;
}

/* The second thread; when it cannot be had the first is stopped again. */
static pang_code start_audit(pang_jobs *jobs, pang_err *err)
{
    pang_code code = pang_thread_start("audit", 0, run_audit, jobs, &jobs->audit_thread, err);
    if (code == PANG_OK)
        return code;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    (void)pthread_cond_signal(&jobs->wake);
    (void)pthread_mutex_unlock(&jobs->lock);
    (void)pthread_join(jobs->thread, NULL);
    return code;
}

pang_code pang_jobs_start(pang_db *db, pang_state *state, pang_audit *audit, pang_health *health,
                          const pang_env *env, pang_jobs **ret, pang_err *err)
{
    pang_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return pang_fail_memory(err);
    *jobs = (pang_jobs){.db = db, .state = state, .audit = audit, .health = health, .env = env};
    jobs->store_answers = true;
    (void)pthread_mutex_init(&jobs->lock, NULL);
    bool good = pang_condition_open(&jobs->wake) && pang_condition_open(&jobs->wake_audit);
    pang_code code = good ? PANG_OK : pang_fail_memory(err);
    if (code == PANG_OK)
        code = pang_thread_start("jobs", 0, run_jobs, jobs, &jobs->thread, err);
    if (code == PANG_OK)
        code = start_audit(jobs, err);
    if (code != PANG_OK) {
        free(jobs);
        return code;
    }
    *ret = jobs;
    return PANG_OK;
}

void pang_jobs_stop(pang_jobs *jobs)
{
    if (jobs == NULL)
        return;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    (void)pthread_cond_signal(&jobs->wake);
    (void)pthread_cond_signal(&jobs->wake_audit);
    (void)pthread_mutex_unlock(&jobs->lock);
    (void)pthread_join(jobs->thread, NULL);
    (void)pthread_join(jobs->audit_thread, NULL);
    (void)pthread_mutex_destroy(&jobs->lock);
    (void)pthread_cond_destroy(&jobs->wake);
    (void)pthread_cond_destroy(&jobs->wake_audit);
    free(jobs);
}
