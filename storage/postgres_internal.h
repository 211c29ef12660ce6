/*
 * What the three files of the PostgreSQL backend share: postgres.c opens, migrates and reads,
 * postgres_apply.c writes, postgres_wire.c keeps the connections. The ideas are told there.
 * Called by those three only. Threads: a session belongs to the thread that took it.
 */
#ifndef PANG_STORAGE_POSTGRES_INTERNAL_H
#define PANG_STORAGE_POSTGRES_INTERNAL_H

#include <pthread.h>

#include <libpq-fe.h>

#include "storage/backends.h"

/* Statements, prepared on every connection. */
typedef enum {
    PG_TIMEOUT, /* milliseconds as text */
    PG_GET,     /* lows[], highs[] */
    PG_UP,      /* low, high, limit */
    PG_DOWN,
    PG_UP_KEYS,
    PG_DOWN_KEYS,
    PG_BEGIN,
    PG_LOCK, /* scopes[] */
    PG_NOW,
    PG_HEADS, /* keys[] */
    PG_ADD_SCOPES,
    PG_PUT,
    PG_DELETE, /* keys[] */
    PG_SWEEP,  /* now, most */
    PG_COMMIT,
    PG_ROLLBACK,
    PG_STATEMENTS,
} pg_statement;

typedef struct session {
    PGconn *pq;
    struct session *next; /* in the pool */
    bool is_prepared;
    int64_t timeout_ms; /* the statement_timeout that the server was last told */
} session;

typedef struct {
    pang_store base;
    char *url;
    int64_t connect_timeout_ms;
    unsigned sessions_max, sessions_min;
    pthread_mutex_t lock; /* guards the next three */
    pthread_cond_t freed;
    session *pool;
    unsigned n_sessions;
} postgres_store;

/* Parameters of one statement, all binary. */
enum { PG_PARAMS_MAX = 8 };
typedef struct {
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX];
    int formats[PG_PARAMS_MAX];
    int n;
    bool failed; /* no memory, or above what the protocol can hold */
} pg_params;

/* Adders of parameters. What is given must last until the statement is sent; arrays are built in
 * the arena. */
void pang_pg_add_bytes(pg_params *p, pang_str bytes);
void pang_pg_add_int8(pg_params *p, char room[8], int64_t value);
void pang_pg_add_bytes_array(pg_params *p, pang_arena *arena, const pang_str *items, size_t n);
void pang_pg_add_int8_array(pg_params *p, pang_arena *arena, const int64_t *items, size_t n);
/* Column of a row, borrowed from the result. */
int64_t pang_pg_int8(const PGresult *result, int row, int column);
pang_str pang_pg_bytes(const PGresult *result, int row, int column);

/* A session whose connection works as far as is known, connected and prepared. Waits until one is
 * free or `deadline_ms`. ERRORS: UNAVAILABLE, DEADLINE_EXCEEDED, FAILED_PRECONDITION (no tables),
 * RESOURCE_EXHAUSTED. */
pang_code pang_pg_take(postgres_store *s, int64_t deadline_ms, session **ret, pang_err *err);
/* Back into the pool; closed when it is broken or in the middle of something. */
void pang_pg_give(postgres_store *s, session *c);
/* Puts n connected sessions into the pool. ERRORS: as take. */
pang_code pang_pg_fill(postgres_store *s, unsigned n, int64_t deadline_ms, pang_err *err);

/* A new connection in pipeline mode, without statements. `*c` is zeroed before; it is closed by the
 * caller, also after a failure. ERRORS: UNAVAILABLE, RESOURCE_EXHAUSTED. */
pang_code pang_pg_connect(const postgres_store *s, session *c, int64_t deadline_ms, pang_err *err);
/* Of a session from the heap. NULL is fine. */
void pang_pg_close(session *c);

/* Fill *err and return its code. */
pang_code pang_pg_fail_result(const PGresult *result, pang_err *err);
pang_code pang_pg_fail_connection(const session *c, pang_code code, const char *what,
                                  pang_err *err);

/* Puts into the pipeline what tells the server the deadline, unless it knows it about. Returns how
 * many results that makes: 0 or 1; -1: the connection is broken. */
int pang_pg_send_deadline(const postgres_store *s, session *c, int64_t deadline_ms);
/* Puts a statement into the pipeline. False: the connection is broken. */
bool pang_pg_send(session *c, pg_statement which, const pg_params *params);
/* The same for one that takes nothing. */
bool pang_pg_send_bare(session *c, pg_statement which);
/* The next result: NULL at the end of a statement's. False as pang_pg_collect. */
bool pang_pg_next(const postgres_store *s, session *c, int64_t deadline_ms, PGresult **ret,
                  pang_err *err);
/* Reads on to the end of the pipeline. */
bool pang_pg_finish(const postgres_store *s, session *c, int64_t deadline_ms, pang_err *err);
/* Ends the pipeline and collects the results of its n statements; results[i] is NULL where nothing
 * came. A statement that failed makes the rest fail. The caller clears them with pang_pg_clear.
 * False when the connection broke or the deadline passed: it is then not usable any more, and
 * *err is filled. A failed statement is no such case: see pang_pg_check. */
bool pang_pg_collect(postgres_store *s, session *c, PGresult **results, int n, int64_t deadline_ms,
                     pang_err *err);
void pang_pg_clear(PGresult **results, int n);
/* PANG_OK if all went well, else the first failure's code. */
pang_code pang_pg_check(PGresult *const *results, int n, pang_err *err);
/* True when the statement failed since others got in the way: to be tried again. */
bool pang_pg_is_conflict(PGresult *const *results, int n);

/* postgres_apply.c */
extern pang_store_apply_fn pang_postgres_apply;

#endif
