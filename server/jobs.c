/*
 * Threads that each do one thing, one round after the other, asleep in between. Asking the store
 * has a thread of its own, so that work that hangs on a silent database does not keep the health
 * from showing it.
 */
#include "server/jobs.h"

#include <stdlib.h>

#include "api/log.h"
#include "server/care.h"
#include "server/growth.h"
#include "server/maintenance.h"
#include "server/worker.h"

typedef enum { JOB_PING, JOB_WORK, JOB_CARE, JOB_AUDIT, JOB_GROWTH, JOB_KEYS, JOBS } job_id;

typedef struct {
    pang_jobs *jobs;
    int64_t (*round)(pang_jobs *jobs); /* returns the ms until its next one */
    pthread_t thread;
    pthread_cond_t wake;
    bool runs;
} job;

struct pang_jobs {
    pang_db *db;
    pang_state *state;
    pang_health *health;
    const pang_env *env;
    pang_audit *audit;
    pang_keyring *keyring; /* NULL: none */
    pthread_mutex_t lock;  /* of stopping */
    bool stopping;
    bool store_answers; /* the thread of JOB_PING alone */
    job list[JOBS];
};

static int64_t ping(pang_jobs *jobs)
{
    pang_err err;
    int64_t now = pang_env_mono_ms(jobs->env);
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
    return PANG_PING_EVERY_MS;
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
    return wait < PANG_PING_EVERY_MS ? wait : PANG_PING_EVERY_MS;
}

/* Apart from the other work, since going through a catalog's files takes long. */
static int64_t care(pang_jobs *jobs)
{
    pang_err err;
    int64_t wait = pang_maintenance_work(jobs->state, &err);
    tell(&err);
    int64_t own = pang_care_work(jobs->state, &err);
    tell(&err);
    return own < wait ? own : wait;
}

static int64_t audit(pang_jobs *jobs)
{
    pang_err err;
    int64_t wait = pang_audit_work(jobs->audit, &err);
    tell(&err);
    return wait;
}

/* Apart from care, which may be long at one catalog. */
static int64_t growth(pang_jobs *jobs)
{
    pang_err err;
    int64_t wait = pang_growth_work(jobs->state, &err);
    tell(&err);
    return wait;
}

static int64_t keys(pang_jobs *jobs)
{
    pang_err err = {.code = PANG_OK};
    if (pang_keyring_work(jobs->keyring, &err) != PANG_OK)
        tell(&err);
    return PANG_KEYRING_REFRESH_MS;
}

/* Sleeps; true when the thread shall end. */
static bool rest(job *j, int64_t ms)
{
    pang_jobs *jobs = j->jobs;
    (void)pthread_mutex_lock(&jobs->lock);
    if (!jobs->stopping && ms > 0)
        (void)pang_condition_wait(&j->wake, &jobs->lock, ms);
    bool stop = jobs->stopping;
    (void)pthread_mutex_unlock(&jobs->lock);
    return stop;
}

static void *run(void *arg)
{
    job *j = arg;
    int64_t wait;
    do {
        wait = j->round(j->jobs);
    } while (!rest(j, wait));
    return NULL;
}

static pang_code start(pang_jobs *jobs, job_id id, const char *name, int64_t (*round)(pang_jobs *),
                       pang_err *err)
{
    job *j = &jobs->list[id];
    *j = (job){.jobs = jobs, .round = round};
    if (!pang_condition_open(&j->wake))
        return pang_fail_memory(err);
    pang_code code = pang_thread_start(name, 0, run, j, &j->thread, err);
    j->runs = code == PANG_OK;
    if (code != PANG_OK)
        (void)pthread_cond_destroy(&j->wake);
    return code;
}

pang_code pang_jobs_start(const pang_server_env *shared, pang_jobs **ret, pang_err *err)
{
    pang_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return pang_fail_memory(err);
    *jobs = (pang_jobs){
        .db = shared->db,
        .state = shared->state,
        .health = shared->health,
        .env = shared->env,
        .audit = shared->audit,
        .keyring = shared->keyring,
    };
    jobs->store_answers = true;
    (void)pthread_mutex_init(&jobs->lock, NULL);
    pang_code code = start(jobs, JOB_PING, "ping", ping, err);
    if (code == PANG_OK)
        code = start(jobs, JOB_WORK, "jobs", work, err);
    if (code == PANG_OK)
        code = start(jobs, JOB_CARE, "care", care, err);
    if (code == PANG_OK)
        code = start(jobs, JOB_AUDIT, "audit", audit, err);
    if (code == PANG_OK)
        code = start(jobs, JOB_GROWTH, "growth", growth, err);
    if (code == PANG_OK && jobs->keyring != NULL)
        code = start(jobs, JOB_KEYS, "keys", keys, err);
    if (code != PANG_OK) {
        pang_jobs_stop(jobs);
        return code;
    }
    *ret = jobs;
    return PANG_OK;
}

void pang_jobs_stop(pang_jobs *jobs)
{
    if (jobs == NULL)
        return;
    pang_state_stop(jobs->state);
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    for (job_id id = 0; id < JOBS; id++) {
        if (jobs->list[id].runs)
            (void)pthread_cond_signal(&jobs->list[id].wake);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    for (job_id id = 0; id < JOBS; id++) {
        if (!jobs->list[id].runs)
            continue;
        (void)pthread_join(jobs->list[id].thread, NULL);
        (void)pthread_cond_destroy(&jobs->list[id].wake);
    }
    (void)pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}
