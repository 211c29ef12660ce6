/*
 * Backend `postgres:`: any number of servers on one PostgreSQL database. This file opens, migrates
 * and reads; postgres_apply.c writes, postgres_wire.c keeps the connections.
 *
 * Records are the rows of one table. A get is one statement whatever it asks for: an exact ref is a
 * range that can hold one key, a ceiling ref is a range whose first row counts, so all refs go down
 * as two arrays of bounds, and one statement is one snapshot. A scan is one statement too.
 *
 * The clock of all servers is the database's.
 */
#include "storage/postgres_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/range.h"

enum {
    SCHEMA_VERSION = 1,
    SESSIONS_DEFAULT = 16,
    SESSIONS_MAX = 512,
    CONNECT_TIMEOUT_MS = 10000,
    MIGRATE_TRIES = 10,
};

static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS pangolin_meta(name text PRIMARY KEY, value int8 NOT NULL);"
    "CREATE TABLE IF NOT EXISTS pangolin_records(key bytea PRIMARY KEY, version int8 NOT NULL,"
    " sequence int8 NOT NULL, time_ms int8 NOT NULL, expires_ms int8 NOT NULL,"
    " value int8 NOT NULL, kind int8 NOT NULL, body bytea NOT NULL);"
    "ALTER TABLE pangolin_records ALTER COLUMN body SET STORAGE EXTERNAL;"
    "CREATE INDEX IF NOT EXISTS pangolin_records_expires ON pangolin_records(expires_ms)"
    " WHERE expires_ms>0;"
    "CREATE TABLE IF NOT EXISTS pangolin_scopes(scope bytea PRIMARY KEY);"
    "CREATE SEQUENCE IF NOT EXISTS pangolin_versions;"
    "INSERT INTO pangolin_meta(name,value) VALUES('schema',1) ON CONFLICT DO NOTHING";

static postgres_store *postgres_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC && store->ops == &pang_postgres_ops);
    return (postgres_store *)store;
}

/* ---- reading ---- */

/* HEADER and body, from column `at` on. */
static pang_record read_record(const PGresult *result, int row, int at)
{
    return (pang_record){
        .key = pang_pg_bytes(result, row, at),
        .version = (uint64_t)pang_pg_int8(result, row, at + 1),
        .sequence = (uint64_t)pang_pg_int8(result, row, at + 2),
        .time_ms = pang_pg_int8(result, row, at + 3),
        .expires_ms = pang_pg_int8(result, row, at + 4),
        .value = pang_pg_int8(result, row, at + 5),
        .kind = (uint32_t)pang_pg_int8(result, row, at + 6),
        .body = pang_pg_bytes(result, row, at + 7),
    };
}

static bool make_ranges(const pang_ref *refs, size_t n, pang_arena *arena, pang_str *low,
                        pang_str *high)
{
    static const char nothing[1];
    for (size_t i = 0; i < n; i++) {
        pang_range range;
        low[i] = refs[i].key;
        if (refs[i].mode == PANG_REF_EXACT) {
            char *next = pang_arena_alloc_text(arena, refs[i].key.len + 1);
            if (next == NULL)
                return false;
            memcpy(next, refs[i].key.ptr, refs[i].key.len);
            next[refs[i].key.len] = '\0';
            high[i] = (pang_str){next, refs[i].key.len + 1};
            continue;
        }
        pang_range_of_ceiling(&refs[i], &range);
        low[i] = high[i] = (pang_str){nothing, 0};
        if (!range.is_empty && (!pang_arena_copy(arena, range.lo, &low[i]) ||
                                !pang_arena_copy(arena, range.hi, &high[i])))
            return false;
    }
    return true;
}

static bool send_get(const postgres_store *s, session *c, const pang_ref *refs, size_t n,
                     int64_t deadline_ms, int *ret_results, pang_err *err)
{
    pang_arena *arena = pang_arena_new((size_t)PANG_GET_MAX * 4 * (PANG_KEY_MAX + 64));
    pang_str *low = arena == NULL ? NULL : pang_arena_alloc_n(arena, n, sizeof *low);
    pang_str *high = arena == NULL ? NULL : pang_arena_alloc_n(arena, n, sizeof *high);
    pg_params p = {.failed = low == NULL || high == NULL ||
                             !make_ranges(refs, n, arena, low, high)};
    if (!p.failed) {
        pang_pg_add_bytes_array(&p, arena, low, n);
        pang_pg_add_bytes_array(&p, arena, high, n);
    }
    int before = p.failed ? 0 : pang_pg_send_deadline(s, c, deadline_ms);
    bool sent = !p.failed && before >= 0 && pang_pg_send(c, PG_GET, &p);
    if (p.failed)
        (void)pang_fail_memory(err);
    else if (!sent)
        (void)pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", err);
    pang_arena_free(arena);
    *ret_results = before + 1;
    return sent;
}

static pang_code take_records(const PGresult *result, const pang_ref *refs, size_t n,
                              pang_arena *arena, pang_record *records, pang_err *err)
{
    for (size_t i = 0; i < n; i++)
        records[i] = (pang_record){.key = refs[i].key};
    for (int row = 0; row < PQntuples(result); row++) {
        size_t i = (size_t)pang_pg_int8(result, row, 0) - 1;
        if (i >= n)
            return pang_fail(err, PANG_INTERNAL, NULL, "the PostgreSQL store answers unasked");
        records[i] = read_record(result, row, 1);
        if (!pang_arena_copy(arena, records[i].key, &records[i].key) ||
            !pang_arena_copy(arena, records[i].body, &records[i].body))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

static pang_store_get_fn postgres_get;
static pang_code postgres_get(pang_store *store, const pang_ref *refs, size_t n,
                              int64_t deadline_ms, pang_arena *arena, pang_record *records,
                              pang_err *err)
{
    postgres_store *s = postgres_of(store);
    session *c = NULL;
    pang_err why = {0};
    pang_err *e = err != NULL ? err : &why;
    pang_code code = pang_pg_take(s, deadline_ms, &c, e);
    if (code != PANG_OK)
        return code;
    PGresult *results[2] = {NULL, NULL};
    int n_results = 0;
    if (!send_get(s, c, refs, n, deadline_ms, &n_results, e) ||
        !pang_pg_collect(s, c, results, n_results, deadline_ms, e))
        code = e->code;
    else if ((code = pang_pg_check(results, n_results, e)) == PANG_OK)
        code = take_records(results[n_results - 1], refs, n, arena, records, e);
    pang_pg_clear(results, 2);
    pang_pg_give(s, c);
    return code;
}

/* Hands rows on as they come; after `row` has said stop the rest is read and dropped. */
static pang_code pass_rows(const postgres_store *s, session *c, int64_t deadline_ms,
                           pang_row_fn *row, void *arg, pang_err *err)
{
    pang_code code = PANG_OK;
    bool more = true;
    (void)PQsetSingleRowMode(c->pq);
    for (;;) {
        PGresult *result = NULL;
        if (!pang_pg_next(s, c, deadline_ms, &result, err))
            return err->code;
        if (result == NULL)
            return code;
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE && more) {
            pang_record shown = read_record(result, 0, 0);
            more = row(arg, &shown);
        } else if (PQresultStatus(result) != PGRES_SINGLE_TUPLE &&
                   PQresultStatus(result) != PGRES_TUPLES_OK) {
            code = pang_pg_fail_result(result, err);
        }
        PQclear(result);
        if (more && deadline_ms != PANG_NO_DEADLINE &&
            pang_env_mono_ms(s->base.env) >= deadline_ms) {
            code = pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL,
                             "deadline passed while the store was read");
            more = false;
        }
    }
}

static pang_code scan_with(postgres_store *s, session *c, const pang_query *query,
                           const pang_range *range, int64_t deadline_ms, pang_row_fn *row,
                           void *arg, pang_err *err)
{
    pg_statement which = query->keys_only ? (query->descending ? PG_DOWN_KEYS : PG_UP_KEYS)
                                          : (query->descending ? PG_DOWN : PG_UP);
    char limit[8];
    pg_params p = {0};
    pang_pg_add_bytes(&p, range->lo);
    pang_pg_add_bytes(&p, range->hi);
    pang_pg_add_int8(&p, limit, query->limit);
    int before = pang_pg_send_deadline(s, c, deadline_ms);
    if (before < 0 || !pang_pg_send(c, which, &p) || PQpipelineSync(c->pq) != 1)
        return pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", err);
    for (int i = 0; i < 2 * before; i++) { /* the answer and its end */
        PGresult *result = NULL;
        if (!pang_pg_next(s, c, deadline_ms, &result, err))
            return err->code;
        PQclear(result);
    }
    pang_code code = pass_rows(s, c, deadline_ms, row, arg, err);
    pang_err late = {0};
    if (PQstatus(c->pq) == CONNECTION_OK)
        (void)pang_pg_finish(s, c, deadline_ms, &late); /* if not, giving it back closes it */
    return code;
}

static pang_store_scan_fn postgres_scan;
static pang_code postgres_scan(pang_store *store, const pang_query *query, int64_t deadline_ms,
                               pang_row_fn *row, void *arg, pang_err *err)
{
    postgres_store *s = postgres_of(store);
    pang_range range;
    pang_range_of_query(query, &range);
    if (range.is_empty)
        return PANG_OK;
    session *c = NULL;
    pang_err why = {0};
    pang_err *e = err != NULL ? err : &why;
    pang_code code = pang_pg_take(s, deadline_ms, &c, e);
    if (code != PANG_OK)
        return code;
    code = scan_with(s, c, query, &range, deadline_ms, row, arg, e);
    pang_pg_give(s, c);
    return code;
}

static pang_store_ping_fn postgres_ping;
static pang_code postgres_ping(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    postgres_store *s = postgres_of(store);
    session *c = NULL;
    pang_err why = {0};
    pang_err *e = err != NULL ? err : &why;
    pang_code code = pang_pg_take(s, deadline_ms, &c, e);
    if (code != PANG_OK)
        return code;
    PGresult *result = NULL;
    if (!pang_pg_send_bare(c, PG_NOW))
        code = pang_pg_fail_connection(c, PANG_UNAVAILABLE, "closed the connection", e);
    else if (!pang_pg_collect(s, c, &result, 1, deadline_ms, e))
        code = e->code;
    else
        code = pang_pg_check(&result, 1, e);
    PQclear(result);
    pang_pg_give(s, c);
    return code;
}

/* ---- open, migrate, close ---- */

static pang_store_close_fn postgres_close;
static void postgres_close(pang_store *store)
{
    if (store == NULL)
        return;
    postgres_store *s = postgres_of(store);
    for (session *c = s->pool, *next; c != NULL; c = next) {
        next = c->next;
        pang_pg_close(c);
    }
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->freed);
    free(s->url);
    free(s);
}

/* *ret: 0 when there are no tables. */
static pang_code read_schema(PGconn *pq, int64_t *ret, pang_err *err)
{
    PGresult *result = PQexecParams(pq, "SELECT to_regclass('pangolin_meta') IS NOT NULL", 0, NULL,
                                    NULL, NULL, NULL, 1);
    pang_code code = pang_pg_check(&result, 1, err);
    bool is_there = code == PANG_OK && *PQgetvalue(result, 0, 0) != 0;
    PQclear(result);
    *ret = 0;
    if (!is_there)
        return code;
    result = PQexecParams(pq, "SELECT value FROM pangolin_meta WHERE name='schema'", 0, NULL, NULL,
                          NULL, NULL, 1);
    code = pang_pg_check(&result, 1, err);
    if (code == PANG_OK && PQntuples(result) == 1)
        *ret = pang_pg_int8(result, 0, 0);
    PQclear(result);
    if (code == PANG_OK && *ret > SCHEMA_VERSION)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "the PostgreSQL store has schema version %lld, this program knows up to "
                         "%d: it was written by a newer one",
                         (long long)*ret, SCHEMA_VERSION);
    return code;
}

/* A connection outside of pipelines, for what runs once. */
static pang_code connect_plain(const postgres_store *s, session *c, pang_err *err)
{
    *c = (session){0};
    pang_code code = pang_pg_connect(s, c, PANG_NO_DEADLINE, err);
    if (code == PANG_OK && (PQexitPipelineMode(c->pq) != 1 || PQsetnonblocking(c->pq, 0) != 0))
        code = pang_pg_fail_connection(c, PANG_INTERNAL, "does not leave pipelines", err);
    return code;
}

static pang_store_migrate_fn postgres_migrate;
static pang_code postgres_migrate(pang_store *store, pang_err *err)
{
    postgres_store *s = postgres_of(store);
    session c;
    int64_t schema = 0;
    pang_err why = {0};
    pang_err *e = err != NULL ? err : &why;
    pang_code code = connect_plain(s, &c, e);
    if (code == PANG_OK)
        code = read_schema(c.pq, &schema, e);
    /* Two servers that create the same at once: one hears that it is there, and looks again. */
    for (int i = 0; i < MIGRATE_TRIES && code == PANG_OK && schema == 0; i++) {
        PGresult *result = PQexec(c.pq, create_sql); /* one transaction */
        pang_code made = pang_pg_check(&result, 1, e);
        PQclear(result);
        if (made != PANG_OK && i == MIGRATE_TRIES - 1)
            code = made;
        else
            code = read_schema(c.pq, &schema, e);
    }
    PQfinish(c.pq);
    /* Not before: a session's statements name the tables. */
    if (code == PANG_OK)
        code = pang_pg_fill(s, s->sessions_min, PANG_NO_DEADLINE, e);
    return code;
}

static pang_store_open_fn postgres_open;
static pang_code postgres_open(const pang_store_config *config, pang_store **ret, pang_err *err)
{
    postgres_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pang_fail_memory(err);
    s->base = (pang_store){PANG_STORE_MAGIC, &pang_postgres_ops, config->env};
    s->url = strndup(config->url.ptr, config->url.len);
    s->connect_timeout_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms
                                                           : CONNECT_TIMEOUT_MS;
    s->sessions_max = config->connections == 0 ? SESSIONS_DEFAULT : config->connections;
    if (s->sessions_max > SESSIONS_MAX)
        s->sessions_max = SESSIONS_MAX;
    s->sessions_min = config->connections_min < s->sessions_max ? config->connections_min
                                                                : s->sessions_max;
    (void)pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->freed, &attr);
    (void)pthread_condattr_destroy(&attr);

    pang_err why = {0};
    pang_err *e = err != NULL ? err : &why;
    PQconninfoOption *options = s->url == NULL ? NULL : PQconninfoParse(s->url, NULL);
    session c = {0};
    int64_t schema = 0;
    pang_code code = PANG_OK;
    if (options == NULL)
        code = pang_fail(e, PANG_INVALID_ARGUMENT, NULL,
                         "the url of the PostgreSQL store is wrong");
    PQconninfoFree(options);
    if (code == PANG_OK)
        code = connect_plain(s, &c, e);
    if (code == PANG_OK)
        code = read_schema(c.pq, &schema, e);
    PQfinish(c.pq);
    if (code != PANG_OK) {
        postgres_close(&s->base);
        return code;
    }
    *ret = &s->base;
    return PANG_OK;
}

const pang_store_ops pang_postgres_ops = {
    .scheme = "postgres",
    .exclusive = false,
    .local = false,
    .open = postgres_open,
    .close = postgres_close,
    .migrate = postgres_migrate,
    .ping = postgres_ping,
    .get = postgres_get,
    .scan = postgres_scan,
    .apply = pang_postgres_apply,
};
