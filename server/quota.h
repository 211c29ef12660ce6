/*
 * Quota: how much of this server one tenant may use: requests a second (a bucket that fills
 * steadily and holds two seconds' worth) and requests at once. So one tenant's storm is its own.
 * Called by the dispatcher around every call of a known caller. Threads: any.
 *
 * Each server keeps to it by itself: nothing is shared, nothing is written.
 */
#ifndef PANG_SERVER_QUOTA_H
#define PANG_SERVER_QUOTA_H

#include "api/env.h"
#include "api/err.h"
#include "api/id.h"

enum { PANG_QUOTA_TENANTS = 4096 /* remembered at once; of more the longest idle is forgotten */ };

typedef struct pang_quota pang_quota;

typedef struct {
    const pang_env *env;
    unsigned per_second; /* 0: no bound */
    unsigned at_once;    /* 0: no bound */
} pang_quota_config;

/* *ret is NULL when nothing is bounded. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_quota_open(const pang_quota_config *config, pang_quota **ret,
                                          pang_err *err);
void pang_quota_close(pang_quota *quota); /* NULL is fine */

/* Counts a call in. After PANG_OK it must end with pang_quota_leave. A NULL quota lets all in.
 * ERRORS: RESOURCE_EXHAUSTED (reason "TooManyRequests"; *ret_wait_s: when to try again). */
PANG_MUST_CHECK pang_code pang_quota_enter(pang_quota *quota, pang_id tenant, unsigned *ret_wait_s,
                                           pang_err *err);
void pang_quota_leave(pang_quota *quota, pang_id tenant);

#endif
