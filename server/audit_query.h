/*
 * Audit query: what the log says, seal by seal. Only what is chained is shown, so that places in
 * the log never move: a page token names one. The order is that of time, to within what one seal
 * holds (a second's worth).
 * Called by server/svc_audit.c. Threads: any. Lifetime: what is found lives until the walk goes
 * on to the next seal; copy what stays.
 */
#ifndef PANG_SERVER_AUDIT_QUERY_H
#define PANG_SERVER_AUDIT_QUERY_H

#include "server/audit_chain.h"
#include "server/audit_log.h"

enum { PANG_AUDIT_TENANTS_MAX = 1000 }; /* read in one walk */

/* What is looked for: everything that is set must hold. */
typedef struct {
    pang_id user, resource; /* nil: any */
    pang_str action, type;  /* empty: any */
    int64_t from_ms, to_ms; /* [from, to); 0 and INT64_MAX: any */
    bool only_success, only_failure;
} pang_audit_filter;

/* One thing that happened. */
typedef struct {
    pang_id id; /* leads back to it: pang_audit_find */
    pang_str scope;
    pang_id principal, resource;
    uint32_t principal_kind, code;
    int64_t time_ms;
    uint64_t count; /* 0: once */
    const char *principal_name, *action, *method, *type, *name, *address, *agent, *message,
        *metadata;
    pang_str request_id;
    const pang_rec_audit_row *row; /* with further objects; NULL: of a group */
} pang_audit_found;

/* Where a walk stands: behind the `skip` entries that it gave of this seal. */
typedef struct {
    pang_str scope; /* empty: at the start */
    uint64_t seal;
    int64_t newest_ms; /* the seal's: its place among other tenants' seals */
    uint32_t skip;
} pang_audit_place;

typedef struct {
    pang_store *store;
    const pang_str *scopes; /* at most PANG_AUDIT_TENANTS_MAX */
    size_t n_scopes;
    pang_audit_filter filter;
    bool ascending;
    pang_audit_place place; /* in: where to begin; out, when stopped: at the entry not taken */
    int64_t deadline_ms;
} pang_audit_walk;

/* Called for each entry in order; false: it is not taken, and the walk stops before it. */
typedef bool pang_audit_found_fn(void *arg, const pang_audit_found *found);

/* *ret_end: there is nothing more. ERRORS: DATA_LOSS (a seal or row cannot be read), the store's,
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_audit_walk_run(pang_audit_walk *walk, pang_audit_found_fn *fn,
                                              void *arg, bool *ret_end, pang_err *err);

/* The ends of the chains, one per scope (seals 0: none), in arena. */
PANG_MUST_CHECK pang_code pang_audit_heads(pang_store *store, const pang_str *scopes, size_t n,
                                           int64_t deadline_ms, pang_arena *arena,
                                           pang_rec_audit_head ***ret, pang_err *err);

/* The entry of an id, chained or not; calls fn when it is there. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_audit_find(pang_store *store, pang_str scope, pang_id id,
                                          int64_t deadline_ms, pang_audit_found_fn *fn, void *arg,
                                          pang_err *err);

#endif
