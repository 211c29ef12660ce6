/*
 * Quota: a table of tenants found by their ids' last bytes, which are of chance, in sets of eight.
 */
#include "server/quota.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    SET = 8,
    SETS = PANG_QUOTA_TENANTS / SET,
    BURST_S = 2, /* how many seconds' worth a bucket holds */
    MILLI = 1000,
};

typedef struct {
    pang_id tenant;
    bool is_used;
    unsigned at_once;
    int64_t tokens; /* thousandths of a request that it may still make */
    int64_t at_ms;  /* mono: when they were counted */
} bucket;

struct pang_quota {
    pang_quota_config config;
    pthread_mutex_t lock; /* guards sets */
    bucket sets[SETS][SET];
};

pang_code pang_quota_open(const pang_quota_config *config, pang_quota **ret, pang_err *err)
{
    *ret = NULL;
    if (config->per_second == 0 && config->at_once == 0)
        return PANG_OK;
    pang_quota *quota = calloc(1, sizeof *quota);
    if (quota == NULL)
        return pang_fail_memory(err);
    quota->config = *config;
    if (pthread_mutex_init(&quota->lock, NULL) != 0) {
        free(quota);
        return pang_fail_memory(err);
    }
    *ret = quota;
    return PANG_OK;
}

void pang_quota_close(pang_quota *quota)
{
    if (quota == NULL)
        return;
    (void)pthread_mutex_destroy(&quota->lock);
    free(quota);
}

static bucket *set_of(pang_quota *quota, pang_id tenant)
{
    return quota->sets[((size_t)tenant.bytes[14] << 8 | tenant.bytes[15]) % SETS];
}

static bucket *find(pang_quota *quota, pang_id tenant)
{
    bucket *set = set_of(quota, tenant);
    for (size_t i = 0; i < SET; i++)
        if (set[i].is_used && pang_id_equal(set[i].tenant, tenant))
            return &set[i];
    return NULL;
}

/* The place of the tenant that has been idle longest; NULL when all of them have calls. */
static bucket *make(pang_quota *quota, pang_id tenant, int64_t now)
{
    bucket *set = set_of(quota, tenant), *idle = NULL;
    for (size_t i = 0; i < SET; i++)
        if (set[i].at_once == 0 && (idle == NULL || !set[i].is_used || set[i].at_ms < idle->at_ms))
            idle = &set[i];
    if (idle != NULL)
        *idle = (bucket){.tenant = tenant,
                         .is_used = true,
                         .tokens = (int64_t)quota->config.per_second * BURST_S * MILLI,
                         .at_ms = now};
    return idle;
}

static void fill(const pang_quota *quota, bucket *b, int64_t now)
{
    int64_t most = (int64_t)quota->config.per_second * BURST_S * MILLI;
    int64_t elapsed = now - b->at_ms;
    if (elapsed > BURST_S * 1000)
        elapsed = BURST_S * 1000;
    if (elapsed > 0) {
        b->tokens += elapsed * (int64_t)quota->config.per_second; /* a request is MILLI of them */
        b->tokens = b->tokens < most ? b->tokens : most;
        b->at_ms = now;
    }
}

static const char *take(const pang_quota *quota, bucket *b)
{
    if (quota->config.at_once > 0 && b->at_once >= quota->config.at_once)
        return "too many requests of this tenant at once; try again";
    if (quota->config.per_second > 0 && b->tokens < MILLI)
        return "too many requests of this tenant; try again";
    b->tokens -= quota->config.per_second > 0 ? MILLI : 0;
    b->at_once++;
    return NULL;
}

pang_code pang_quota_enter(pang_quota *quota, pang_id tenant, unsigned *ret_wait_s, pang_err *err)
{
    const char *refusal = NULL;
    *ret_wait_s = 0;
    if (quota == NULL)
        return PANG_OK;
    int64_t now = pang_env_mono_ms(quota->config.env);
    (void)pthread_mutex_lock(&quota->lock);
    bucket *b = find(quota, tenant);
    if (b == NULL)
        b = make(quota, tenant, now);
    if (b != NULL) {
        fill(quota, b, now);
        refusal = take(quota, b);
    } else {
        refusal = "too many tenants at once; try again";
    }
    (void)pthread_mutex_unlock(&quota->lock);
    if (refusal == NULL)
        return PANG_OK;
    *ret_wait_s = 1;
    return pang_fail(err, PANG_RESOURCE_EXHAUSTED, "TooManyRequests", "%s", refusal);
}

void pang_quota_leave(pang_quota *quota, pang_id tenant)
{
    if (quota == NULL)
        return;
    (void)pthread_mutex_lock(&quota->lock);
    bucket *b = find(quota, tenant);
    if (b != NULL && b->at_once > 0)
        b->at_once--;
    (void)pthread_mutex_unlock(&quota->lock);
}
