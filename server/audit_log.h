/*
 * Audit log: what happened, written so that it can be asked and cannot be changed unseen. A row of
 * a tenant and server is written in the commit of the change it tells of, in a commit of its own
 * (failures), or with many others a moment later (reads, failures of unknown callers). A sealer
 * then chains the rows (server/audit_chain.h).
 * Called by the dispatcher (server/audit.h), by authentication and by jobs. Threads: any, where
 * nothing else is said. Lifetime: outlives every call.
 *
 * Guarantees:
 *  1. Rows of a tenant and server are numbered without gaps, in the order in which they landed.
 *  2. What is buffered is on disk at most a second after it was added, while the store answers;
 *     a crash loses what was not. Nothing is dropped: a full buffer makes its callers wait, and
 *     when it cannot be written they fail.
 *  3. Unknown callers: at most PANG_AUDIT_STRANGERS_A_MINUTE entries of the log a minute and
 *     server, each with a count.
 */
#ifndef PANG_SERVER_AUDIT_LOG_H
#define PANG_SERVER_AUDIT_LOG_H

#include "api/service.h"

struct pang_counters;

enum {
    PANG_AUDIT_BUFFER_BYTES = 16 << 20, /* of what is not written yet */
    PANG_AUDIT_EVERY_MS = 500,          /* between rounds of work */
    PANG_AUDIT_TEXT_MAX = 4096,         /* bytes of one text in an entry; more are cut */
    PANG_AUDIT_STRANGERS = 256,         /* addresses and reasons told apart at a time */
    PANG_AUDIT_STRANGERS_A_MINUTE = 64,
    PANG_AUDIT_LEASE_MS = 3000, /* how long others leave a chain to the server that sealed last */
};

typedef struct pang_audit pang_audit;

typedef struct {
    const pang_env *env;
    pang_db *db;
    pang_id server; /* numbers the rows; stable over restarts */
    struct pang_counters *counters;
    size_t buffer_bytes;  /* 0: PANG_AUDIT_BUFFER_BYTES */
    int64_t retention_ms; /* 0: rows are kept for ever */
} pang_audit_config;

/* Touches no store. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_audit_open(const pang_audit_config *config, pang_audit **ret,
                                          pang_err *err);
/* Writes and seals what is left, as far as the store lets it. REQUIRES: no call in flight. NULL
 * is fine. */
void pang_audit_close(pang_audit *audit);

/* ---- what happened ---- */

/* An object that a rule's check named. */
typedef struct {
    uint32_t action, resource; /* pang_action, pang_resource */
    pang_str name;             /* parts escaped as in keys, joined by slashes */
} pang_audit_object;

/* Everything is borrowed for the call only. */
typedef struct {
    pang_str scope;  /* the tenant's, as in keys */
    pang_str action; /* "load_table" */
    pang_str method; /* "/pangolin.v1.TableService/LoadTable"; empty: none */
    pang_id principal;
    uint32_t principal_kind;
    pang_str principal_name, request_id, client_address, user_agent;
    const char *type; /* static; NULL: found from the action and the first object */
    pang_id resource; /* nil: none is known */
    pang_str name;    /* of what it is about; empty: the first object's */
    const pang_audit_object *objects;
    size_t n_objects;
    pang_code code;
    pang_str message;  /* of a failure */
    pang_str metadata; /* JSON */
    int64_t time_ms;   /* wall clock; only of what is buffered. 0: now */
    uint64_t count;    /* only of what is buffered; 0: once */
} pang_audit_event;

/* The body of a row for one event, in arena, with its digest. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_audit_row(const pang_audit_event *event, pang_id server,
                                         pang_arena *arena, pang_str *ret, pang_err *err);
/* Puts a packed row into a transaction of the scope, under its next number. */
PANG_MUST_CHECK pang_code pang_audit_put(pang_txn *txn, pang_str scope, pang_id server,
                                         pang_str body, pang_arena *arena, pang_err *err);
/* One row in a commit of its own. It waits for the store. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_audit_write(pang_audit *audit, const pang_audit_event *event,
                                           pang_arena *arena, pang_err *err);
/* Buffers it. Costs a copy, as long as there is room. ERRORS: UNAVAILABLE (the buffer is full
 * and cannot be written: what is not audited must not happen), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_audit_add(pang_audit *audit, const pang_audit_event *event,
                                         pang_err *err);
/* A caller whom nobody knows failed: `action` is "login_failed", "token_rejected" or
 * "api_key_rejected" (static). Counted by scope, action and address (IPv6: its /64), whatever else
 * was sent. An empty scope is the system's. NULL audit: nothing happens. */
void pang_audit_stranger(pang_audit *audit, pang_str scope, const char *action,
                         pang_str client_address);
/* Something could not be logged, and its caller has failed anyway: it is counted. */
void pang_audit_lost(pang_audit *audit);
/* True once a minute for each: for what is told now and then, such as the use of a key. */
bool pang_audit_is_due(pang_audit *audit, pang_id principal);
/* A commit with an audit row of this scope has landed: the sealer will look. */
void pang_audit_landed(pang_audit *audit, pang_str scope);

/* ---- later work: of one thread, but flush and seal, which any may call ---- */

/* Writes all that is buffered. ERRORS: the store's; what was not written stays. */
PANG_MUST_CHECK pang_code pang_audit_flush(pang_audit *audit, pang_err *err);
/* Chains the rows of one tenant, of all servers, that are not yet; waits for another thread of this
 * server that is at it. *ret_all: none is left; false when another server is at it. ERRORS: ABORTED
 * (another server, or the removal of old seals, was faster), the store's. */
PANG_MUST_CHECK pang_code pang_audit_seal(pang_audit *audit, pang_str scope, bool *ret_all,
                                          pang_err *err);
/* Makes what this server knows of visible to who asks now: flushes, and seals the tenant's rows, or
 * with an empty scope those of all that it wrote for. What fails is done later. */
void pang_audit_catch_up(pang_audit *audit, pang_str scope);
/* One round: flushes, seals the tenants that this server wrote for and, now and then, all others,
 * and removes what is too old. Returns in how many milliseconds the next is due; a failure is
 * told in *err (code PANG_OK: none), and tried again by the next. */
int64_t pang_audit_work(pang_audit *audit, pang_err *err);

/* For metrics. */
typedef struct {
    uint64_t buffered_bytes, groups, entries, seals, strangers, failures;
} pang_audit_stats;
void pang_audit_get_stats(pang_audit *audit, pang_audit_stats *ret);

#endif
