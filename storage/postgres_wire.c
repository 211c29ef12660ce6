/*
 * The PostgreSQL backend's wire: statements and their parameters, pipelines, the pool.
 *
 * Statements go through libpq's pipeline mode, so that what needs no answer in between costs one
 * round trip. The socket is polled here, with the caller's deadline; the server is told the same
 * deadline as statement_timeout, but only when it changes by much. A connection that misses a
 * deadline is closed rather than cancelled: a late cancel could hit the next statement.
 */
#include "storage/postgres_internal.h"

#include <assert.h>
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    GRACE_MS = 500,         /* what the answer to a statement that the server stopped may take */
    TIMEOUT_STEP_MS = 1000, /* the server's deadline is rounded up to this */
    BYTEA_OID = 17,
    INT8_OID = 20,
    BYTEA_ARRAY_OID = 1001,
    INT8_ARRAY_OID = 1016,
    TEXT_OID = 25,
};

#define HEADER "key,version,sequence,time_ms,expires_ms,value,kind"
#define CLOCK_MS(function) "(extract(epoch FROM " function "())*1000)::int8"
#define LIVE "(expires_ms=0 OR expires_ms>" CLOCK_MS("statement_timestamp") ")"
#define SCAN(body, order)                                                                          \
    "SELECT " HEADER "," body " FROM pangolin_records WHERE key>=$1 AND key<$2 AND " LIVE          \
    " ORDER BY key " order " LIMIT $3"

typedef struct {
    const char *text;
    int n;
    Oid types[PG_PARAMS_MAX];
} statement;

static const statement statements[PG_STATEMENTS] = {
    [PG_TIMEOUT] = {"SELECT set_config('statement_timeout',$1,false)", 1, {TEXT_OID}},
    [PG_GET] = {"SELECT r.at,x.* FROM unnest($1::bytea[],$2::bytea[]) "
                "WITH ORDINALITY AS r(low,high,at) CROSS JOIN LATERAL "
                "(SELECT " HEADER ",body FROM pangolin_records WHERE key>=r.low AND key<r.high "
                "AND " LIVE " ORDER BY key LIMIT 1) AS x",
                2,
                {BYTEA_ARRAY_OID, BYTEA_ARRAY_OID}},
    [PG_UP] = {SCAN("body", ""), 3, {BYTEA_OID, BYTEA_OID, INT8_OID}},
    [PG_DOWN] = {SCAN("body", "DESC"), 3, {BYTEA_OID, BYTEA_OID, INT8_OID}},
    [PG_UP_KEYS] = {SCAN("''::bytea", ""), 3, {BYTEA_OID, BYTEA_OID, INT8_OID}},
    [PG_DOWN_KEYS] = {SCAN("''::bytea", "DESC"), 3, {BYTEA_OID, BYTEA_OID, INT8_OID}},
    [PG_BEGIN] = {"BEGIN ISOLATION LEVEL READ COMMITTED", 0, {0}},
    [PG_LOCK] = {"SELECT scope FROM pangolin_scopes WHERE scope=ANY($1::bytea[]) "
                 "ORDER BY scope FOR UPDATE",
                 1,
                 {BYTEA_ARRAY_OID}},
    [PG_NOW] = {"SELECT " CLOCK_MS("clock_timestamp"), 0, {0}},
    [PG_HEADS] = {"SELECT r.at,x.version,x.value,x.time_ms,x.expires_ms "
                  "FROM unnest($1::bytea[]) WITH ORDINALITY AS r(key,at) "
                  "JOIN pangolin_records AS x ON x.key=r.key",
                  1,
                  {BYTEA_ARRAY_OID}},
    [PG_ADD_SCOPES] = {"INSERT INTO pangolin_scopes(scope) SELECT unnest($1::bytea[]) "
                       "ON CONFLICT DO NOTHING",
                       1,
                       {BYTEA_ARRAY_OID}},
    [PG_PUT] = {"INSERT INTO pangolin_records(" HEADER ",body) "
                "SELECT k,nextval('pangolin_versions'),s,t,e,v,n,b FROM unnest($1::bytea[],"
                "$2::int8[],$3::int8[],$4::int8[],$5::int8[],$6::int8[],$7::bytea[]) "
                "AS u(k,s,t,e,v,n,b) ON CONFLICT(key) DO UPDATE SET version=excluded.version,"
                "sequence=excluded.sequence,time_ms=excluded.time_ms,"
                "expires_ms=excluded.expires_ms,value=excluded.value,kind=excluded.kind,"
                "body=excluded.body",
                7,
                {BYTEA_ARRAY_OID, INT8_ARRAY_OID, INT8_ARRAY_OID, INT8_ARRAY_OID, INT8_ARRAY_OID,
                 INT8_ARRAY_OID, BYTEA_ARRAY_OID}},
    [PG_DELETE] = {"DELETE FROM pangolin_records WHERE key=ANY($1::bytea[])", 1, {BYTEA_ARRAY_OID}},
    /* A row that another transaction holds is left to later: nothing is waited for here. */
    [PG_SWEEP] = {"DELETE FROM pangolin_records WHERE key=ANY(ARRAY(SELECT key "
                  "FROM pangolin_records WHERE expires_ms>0 AND expires_ms<=$1 "
                  "ORDER BY expires_ms LIMIT $2 FOR UPDATE SKIP LOCKED))",
                  2,
                  {INT8_OID, INT8_OID}},
    [PG_COMMIT] = {"COMMIT", 0, {0}},
    [PG_ROLLBACK] = {"ROLLBACK", 0, {0}},
};

/* Plans that were made while the tables were small must hold when they are big. A server that dies
 * in the middle of a transaction must not keep its locks. */
static const char session_sql[] =
    "SET enable_seqscan=off; SET enable_bitmapscan=off;"
    "SET enable_hashjoin=off; SET enable_mergejoin=off; SET plan_cache_mode=force_generic_plan;"
    "SET idle_in_transaction_session_timeout='20s'; SET lock_timeout='15s';"
    "SET client_min_messages=warning; SET jit=off;"
    "SELECT set_config('synchronous_commit','on',false) "
    "WHERE current_setting('synchronous_commit')='off'";

/* ---- errors ---- */

static pang_code code_of_state(const char *state)
{
    static const struct {
        const char *prefix;
        pang_code code;
    } known[] = {
        {"40", PANG_ABORTED},                /* serialization, deadlock */
        {"57014", PANG_DEADLINE_EXCEEDED},   /* statement_timeout */
        {"42P01", PANG_FAILED_PRECONDITION}, /* no such table */
        {"53300", PANG_UNAVAILABLE},         /* too many connections */
        {"53", PANG_RESOURCE_EXHAUSTED},     /* disk full, out of memory */
        {"54", PANG_RESOURCE_EXHAUSTED},     /* a limit of the program */
        {"XX001", PANG_DATA_LOSS},           /* data corrupted */
        {"XX002", PANG_DATA_LOSS},           /* index corrupted */
        {"28", PANG_FAILED_PRECONDITION},    /* authorization */
        {"3D", PANG_FAILED_PRECONDITION},    /* no such database */
        {"42501", PANG_FAILED_PRECONDITION}, /* privilege */
        {"08", PANG_UNAVAILABLE},            /* connection */
        {"57", PANG_UNAVAILABLE},            /* shutting down */
        {"55", PANG_UNAVAILABLE},            /* lock_timeout */
        {"25006", PANG_UNAVAILABLE},         /* a standby */
        {"25P03", PANG_UNAVAILABLE},         /* idle in transaction */
    };
    if (state == NULL)
        return PANG_UNAVAILABLE;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(state, known[i].prefix, strlen(known[i].prefix)) == 0)
            return known[i].code;
    return PANG_INTERNAL;
}

pang_code pang_pg_fail_result(const PGresult *result, pang_err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    pang_code code = code_of_state(state);
    const char *what = code == PANG_FAILED_PRECONDITION ? "refused, or has no tables yet"
                       : code == PANG_DEADLINE_EXCEEDED ? "did not answer by the deadline"
                                                        : "failed";
    (void)pang_fail(err, code, NULL, "the PostgreSQL store %s (%s)", what,
                    state == NULL ? "no state" : state);
    pang_err_detail(err, "%s", PQresultErrorMessage(result));
    return code;
}

pang_code pang_pg_fail_connection(const session *c, pang_code code, const char *what, pang_err *err)
{
    (void)pang_fail(err, code, NULL, "the PostgreSQL store %s", what);
    pang_err_detail(err, "%s", c->pq == NULL ? "" : PQerrorMessage(c->pq));
    return code;
}

/* ---- parameters and columns ---- */

static void add_param(pg_params *p, const char *value, size_t len, bool is_text)
{
    assert(p->n < PG_PARAMS_MAX);
    p->failed |= value == NULL || len > INT32_MAX;
    p->values[p->n] = value;
    p->lengths[p->n] = (int)len;
    p->formats[p->n++] = !is_text;
}

void pang_pg_add_bytes(pg_params *p, pang_str bytes)
{
    add_param(p, bytes.ptr == NULL ? "" : bytes.ptr, bytes.len, false);
}

static char *put32(char *to, size_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    memcpy(to, &big, sizeof big);
    return to + sizeof big;
}

static char *put64(char *to, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    memcpy(to, &big, sizeof big);
    return to + sizeof big;
}

void pang_pg_add_int8(pg_params *p, char room[8], int64_t value)
{
    (void)put64(room, value);
    add_param(p, room, 8, false);
}

enum { ARRAY_HEAD = 20 };

/* Dimensions, no NULLs, type of elements, length, first index. */
static char *put_array_head(char *to, Oid type, size_t n)
{
    to = put32(to, 1);
    to = put32(to, 0);
    to = put32(to, type);
    to = put32(to, n);
    return put32(to, 1);
}

void pang_pg_add_bytes_array(pg_params *p, pang_arena *arena, const pang_str *items, size_t n)
{
    size_t size = ARRAY_HEAD;
    for (size_t i = 0; i < n; i++)
        size += 4 + items[i].len;
    char *bytes = pang_arena_alloc_text(arena, size);
    add_param(p, bytes, size, false);
    if (bytes == NULL)
        return;
    char *at = put_array_head(bytes, BYTEA_OID, n);
    for (size_t i = 0; i < n; i++) {
        at = put32(at, items[i].len);
        if (items[i].len > 0)
            memcpy(at, items[i].ptr, items[i].len);
        at += items[i].len;
    }
}

void pang_pg_add_int8_array(pg_params *p, pang_arena *arena, const int64_t *items, size_t n)
{
    size_t size = ARRAY_HEAD + n * 12;
    char *bytes = pang_arena_alloc_text(arena, size);
    add_param(p, bytes, size, false);
    if (bytes == NULL)
        return;
    char *at = put_array_head(bytes, INT8_OID, n);
    for (size_t i = 0; i < n; i++)
        at = put64(put32(at, 8), items[i]);
}

int64_t pang_pg_int8(const PGresult *result, int row, int column)
{
    uint64_t big = 0;
    if (PQgetlength(result, row, column) == sizeof big)
        memcpy(&big, PQgetvalue(result, row, column), sizeof big);
    return (int64_t)be64toh(big);
}

pang_str pang_pg_bytes(const PGresult *result, int row, int column)
{
    return (pang_str){PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column)};
}

/* ---- the pipeline ---- */

static void name_statement(pg_statement which, char name[16])
{
    (void)snprintf(name, 16, "s%d", (int)which);
}

bool pang_pg_send(session *c, pg_statement which, const pg_params *p)
{
    char name[16];
    name_statement(which, name);
    return PQsendQueryPrepared(c->pq, name, p->n, p->values, p->lengths, p->formats, 1) == 1;
}

bool pang_pg_send_bare(session *c, pg_statement which)
{
    pg_params none = {.n = 0};
    return pang_pg_send(c, which, &none);
}

/* Waits until the next result is there or the connection is broken; false at the deadline. */
static bool wait_for_result(const postgres_store *s, session *c, int64_t deadline_ms)
{
    while (PQisBusy(c->pq)) {
        int unsent = PQflush(c->pq);
        if (unsent < 0)
            return true; /* PQgetResult says what is wrong */
        int64_t left = INT32_MAX;
        if (deadline_ms != PANG_NO_DEADLINE)
            left = deadline_ms + GRACE_MS - pang_env_mono_ms(s->base.env);
        if (left <= 0)
            return false;
        struct pollfd fd = {.fd = PQsocket(c->pq),
                            .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0))};
        (void)poll(&fd, 1, left > INT32_MAX ? INT32_MAX : (int)left);
        if ((fd.revents & (POLLIN | POLLERR | POLLHUP)) != 0 && PQconsumeInput(c->pq) == 0)
            return true;
    }
    return true;
}

/* The next result, or NULL at the end of one statement's. */
bool pang_pg_next(const postgres_store *s, session *c, int64_t deadline_ms, PGresult **ret,
                  pang_err *err)
{
    *ret = NULL;
    if (!wait_for_result(s, c, deadline_ms)) {
        (void)pang_pg_fail_connection(c, PANG_DEADLINE_EXCEEDED, "did not answer by the deadline",
                                      err);
        return false;
    }
    *ret = PQgetResult(c->pq);
    if (PQstatus(c->pq) == CONNECTION_OK)
        return true;
    (void)pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", err);
    PQclear(*ret);
    *ret = NULL;
    return false;
}

/* Up to the end of the pipeline. */
bool pang_pg_finish(const postgres_store *s, session *c, int64_t deadline_ms, pang_err *err)
{
    for (;;) {
        PGresult *result = NULL;
        if (!pang_pg_next(s, c, deadline_ms, &result, err))
            return false;
        bool is_end = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
        if (is_end)
            return true;
    }
}

bool pang_pg_collect(postgres_store *s, session *c, PGresult **results, int n, int64_t deadline_ms,
                     pang_err *err)
{
    for (int i = 0; i < n; i++)
        results[i] = NULL;
    if (PQpipelineSync(c->pq) != 1) {
        (void)pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", err);
        return false;
    }
    for (int i = 0; i < n; i++) {
        PGresult *end = NULL;
        if (!pang_pg_next(s, c, deadline_ms, &results[i], err) ||
            !pang_pg_next(s, c, deadline_ms, &end, err))
            return false;
        if (end != NULL) { /* the server says good-bye */
            PQclear(end);
            (void)pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", err);
            return false;
        }
    }
    return pang_pg_finish(s, c, deadline_ms, err);
}

void pang_pg_clear(PGresult **results, int n)
{
    for (int i = 0; i < n; i++) {
        PQclear(results[i]);
        results[i] = NULL;
    }
}

static bool is_fine(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

pang_code pang_pg_check(PGresult *const *results, int n, pang_err *err)
{
    for (int i = 0; i < n; i++)
        if (!is_fine(results[i]))
            return pang_pg_fail_result(results[i], err);
    return PANG_OK;
}

bool pang_pg_is_conflict(PGresult *const *results, int n)
{
    for (int i = 0; i < n; i++)
        if (!is_fine(results[i])) {
            const char *state = PQresultErrorField(results[i], PG_DIAG_SQLSTATE);
            return state != NULL && strncmp(state, "40", 2) == 0;
        }
    return false;
}

/* ---- connections ---- */

void pang_pg_close(session *c)
{
    if (c == NULL)
        return;
    PQfinish(c->pq);
    free(c);
}

/* The SQLSTATE in what a refused connection said ("FATAL:  28P01: ..."), or NULL. */
static const char *find_state(const char *message, char state[6])
{
    for (const char *at = strstr(message, ":  "); at != NULL; at = strstr(at + 1, ":  ")) {
        if (strspn(at + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[8] == ':') {
            memcpy(state, at + 3, 5);
            state[5] = '\0';
            return state;
        }
    }
    return NULL;
}

static int64_t connect_deadline(const postgres_store *s, int64_t deadline_ms)
{
    int64_t own = pang_env_mono_ms(s->base.env) + s->connect_timeout_ms;
    return deadline_ms == PANG_NO_DEADLINE || own < deadline_ms ? own : deadline_ms;
}

/* libpq's own waiting knows no deadline but whole seconds. */
static bool finish_connecting(const postgres_store *s, session *c, int64_t deadline_ms)
{
    PostgresPollingStatusType turn = PGRES_POLLING_WRITING;
    while (turn == PGRES_POLLING_READING || turn == PGRES_POLLING_WRITING) {
        int64_t left = deadline_ms - pang_env_mono_ms(s->base.env);
        struct pollfd fd = {.fd = PQsocket(c->pq),
                            .events = turn == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (left <= 0 || fd.fd < 0)
            return false;
        if (poll(&fd, 1, left > INT32_MAX ? INT32_MAX : (int)left) > 0)
            turn = PQconnectPoll(c->pq);
    }
    return turn == PGRES_POLLING_OK;
}

static pang_code set_session(const postgres_store *s, session *c, int64_t deadline_ms,
                             pang_err *err)
{
    if (PQsetnonblocking(c->pq, 1) != 0 || PQsendQuery(c->pq, session_sql) != 1)
        return pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", err);
    pang_code code = PANG_OK;
    PGresult *result = NULL;
    do {
        PQclear(result);
        if (!pang_pg_next(s, c, deadline_ms, &result, err))
            return err->code;
        if (result != NULL && code == PANG_OK)
            code = pang_pg_check(&result, 1, err);
    } while (result != NULL);
    if (code == PANG_OK && PQenterPipelineMode(c->pq) != 1)
        code = pang_pg_fail_connection(c, PANG_INTERNAL, "does not do pipelines", err);
    return code;
}

pang_code pang_pg_connect(const postgres_store *s, session *c, int64_t deadline_ms, pang_err *err)
{
    /* What the url says comes later and wins, but for the last. */
    const char *const names[] = {"application_name", "keepalives_idle", "dbname", "client_encoding",
                                 NULL};
    const char *const values[] = {"pangolin", "10", s->url, "UTF8", NULL};
    char state[6];
    deadline_ms = connect_deadline(s, deadline_ms);
    c->pq = PQconnectStartParams(names, values, 1);
    if (c->pq == NULL)
        return pang_fail_memory(err);
    (void)PQsetErrorVerbosity(c->pq, PQERRORS_VERBOSE); /* the only way to hear the SQLSTATE */
    if (!finish_connecting(s, c, deadline_ms)) {
        const char *found = find_state(PQerrorMessage(c->pq), state);
        pang_code code = found == NULL ? PANG_UNAVAILABLE : code_of_state(found);
        return pang_pg_fail_connection(c, code,
                                       code == PANG_FAILED_PRECONDITION ? "refused the connection"
                                                                        : "could not be reached",
                                       err);
    }
    (void)PQsetErrorVerbosity(c->pq, PQERRORS_DEFAULT);
    return set_session(s, c, deadline_ms, err);
}

static pang_code prepare_session(postgres_store *s, session *c, int64_t deadline_ms, pang_err *err)
{
    if (c->is_prepared)
        return PANG_OK;
    PGresult *results[PG_STATEMENTS];
    for (int i = 0; i < PG_STATEMENTS; i++) {
        char name[16];
        name_statement((pg_statement)i, name);
        if (PQsendPrepare(c->pq, name, statements[i].text, statements[i].n, statements[i].types) !=
            1)
            return pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", err);
    }
    pang_code code = PANG_OK;
    if (!pang_pg_collect(s, c, results, PG_STATEMENTS, deadline_ms, err))
        code = err->code;
    else
        code = pang_pg_check(results, PG_STATEMENTS, err);
    pang_pg_clear(results, PG_STATEMENTS);
    c->is_prepared = code == PANG_OK;
    return code;
}

static bool wait_for_session(postgres_store *s, int64_t deadline_ms)
{
    if (deadline_ms == PANG_NO_DEADLINE)
        return pthread_cond_wait(&s->freed, &s->lock) == 0;
    int64_t left = deadline_ms - pang_env_mono_ms(s->base.env);
    if (left <= 0)
        return false;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + left % 1000 * 1000000;
    until.tv_sec += (time_t)(left / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    return pthread_cond_timedwait(&s->freed, &s->lock, &until) == 0;
}

/* A session, connected or not. */
static pang_code take_any(postgres_store *s, int64_t deadline_ms, session **ret, pang_err *err)
{
    (void)pthread_mutex_lock(&s->lock);
    bool waited = true;
    while (s->pool == NULL && s->n_sessions >= s->sessions_max && waited)
        waited = wait_for_session(s, deadline_ms);
    session *c = s->pool;
    bool is_new = c == NULL && waited;
    if (c != NULL)
        s->pool = c->next;
    s->n_sessions += is_new;
    (void)pthread_mutex_unlock(&s->lock);
    if (is_new)
        c = calloc(1, sizeof *c);
    if (c != NULL) {
        *ret = c;
        return PANG_OK;
    }
    if (!is_new)
        return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL,
                         "deadline passed while waiting for a connection to the store");
    pang_pg_give(s, NULL);
    return pang_fail_memory(err);
}

/* Whether a connection that was idle has been closed by the other side, without asking it. */
static bool was_closed(session *c)
{
    struct pollfd fd = {.fd = PQsocket(c->pq), .events = POLLIN};
    if (poll(&fd, 1, 0) > 0)
        (void)PQconsumeInput(c->pq);
    return PQstatus(c->pq) != CONNECTION_OK;
}

pang_code pang_pg_take(postgres_store *s, int64_t deadline_ms, session **ret, pang_err *err)
{
    session *c = NULL;
    pang_code code = take_any(s, deadline_ms, &c, err);
    if (code != PANG_OK)
        return code;
    if (c->pq != NULL && was_closed(c)) {
        PQfinish(c->pq);
        *c = (session){0};
    }
    if (c->pq == NULL)
        code = pang_pg_connect(s, c, deadline_ms, err);
    if (code == PANG_OK)
        code = prepare_session(s, c, deadline_ms, err);
    if (code != PANG_OK) {
        pang_pg_give(s, c);
        return code;
    }
    *ret = c;
    return PANG_OK;
}

void pang_pg_give(postgres_store *s, session *c)
{
    /* What is left in a pipeline would be taken for the answer to the next statement. */
    if (c != NULL && (c->pq == NULL || PQstatus(c->pq) != CONNECTION_OK ||
                      PQtransactionStatus(c->pq) != PQTRANS_IDLE)) {
        pang_pg_close(c);
        c = NULL;
    }
    (void)pthread_mutex_lock(&s->lock);
    if (c != NULL) {
        c->next = s->pool;
        s->pool = c;
    } else {
        s->n_sessions--;
    }
    (void)pthread_cond_signal(&s->freed);
    (void)pthread_mutex_unlock(&s->lock);
}

/* Connects as many sessions as shall wait in the pool from the start. */
pang_code pang_pg_fill(postgres_store *s, unsigned n, int64_t deadline_ms, pang_err *err)
{
    session *taken = NULL;
    pang_code code = PANG_OK;
    for (unsigned i = 0; i < n && code == PANG_OK; i++) {
        session *c = NULL;
        code = pang_pg_take(s, deadline_ms, &c, err);
        if (code == PANG_OK) {
            c->next = taken;
            taken = c;
        }
    }
    for (session *next; taken != NULL; taken = next) {
        next = taken->next;
        pang_pg_give(s, taken);
    }
    return code;
}

/* Tells the server the deadline, if it does not know it about. Returns how many results that makes
 * in the pipeline: 0, 1, or -1 when the connection is broken. */
int pang_pg_send_deadline(const postgres_store *s, session *c, int64_t deadline_ms)
{
    int64_t left = 0;
    if (deadline_ms != PANG_NO_DEADLINE) {
        left = deadline_ms - pang_env_mono_ms(s->base.env);
        left = left < 1 ? TIMEOUT_STEP_MS : (left / TIMEOUT_STEP_MS + 1) * TIMEOUT_STEP_MS;
        left = left > INT32_MAX ? INT32_MAX : left;
    }
    if (left == c->timeout_ms)
        return 0;
    char text[24];
    (void)snprintf(text, sizeof text, "%lld", (long long)left);
    pg_params p = {0};
    add_param(&p, text, strlen(text), true);
    c->timeout_ms = left;
    return pang_pg_send(c, PG_TIMEOUT, &p) ? 1 : -1;
}
