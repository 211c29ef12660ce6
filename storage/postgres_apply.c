/*
 * The PostgreSQL backend's writing side: a group of commits in one transaction and two round trips.
 *
 *  1. Lock, in order, a row for each scope that the group reads or writes: BEGIN, the locks, the
 *     clock, the heads of all records that outcomes depend on. Each statement takes a snapshot of
 * its own (READ COMMITTED), so the heads are those after the last holder of the locks.
 *  2. The plan says which commits land. What is to be written goes down with COMMIT behind it.
 *
 * Every commit takes the locks of all scopes it touches, so commits of one scope run one after the
 * other, and nothing that a commit checked, absence included, changes before it ends. A key's scope
 * is what stands before its first slash: a commit may check records of the system's scope besides
 * its own. The rows make the order the same for all, so there is no deadlock among us.
 *
 * A connection that dies before COMMIT was sent wrote nothing. One that dies after makes the group
 * UNKNOWN; a commit that voids one of them must take the same lock, and so waits until the server
 * has ended the lost transaction this way or that.
 */
#include "storage/postgres_internal.h"

#include <assert.h>
#include <string.h>

#include "storage/plan.h"

enum {
    APPLY_MS = 30000, /* how long the server may take for each of the two trips */
    TRIES = 5,        /* runs after conflicts with what is not ours, new scopes, lost peers */
    ARENA_BYTES = 512 << 20, /* of which the bodies of a group are the greater part */
    SWEPT_PER_COMMIT = 2,
    SWEPT_AT_LEAST = 8,
};

typedef struct {
    postgres_store *store;
    session *session;
    pang_arena *arena;
    pang_commit *const *commits;
    size_t n;
    pang_plan plan;
    int64_t deadline_ms, now_ms;
    size_t landed;
    pang_err err;
} work;

/* What one try led to. */
typedef enum { DONE, AGAIN, FAILED, UNKNOWN } step;

/* ---- scopes ---- */

static pang_str scope_of(pang_str key)
{
    return pang_str_slice(key, 0, pang_str_find(key, '/'));
}

/* Keeps `scopes` sorted and without doubles; there are few. */
static bool add_scope(pang_str *scopes, size_t *n, size_t room, pang_str key)
{
    pang_str scope = scope_of(key);
    size_t at = *n;
    while (at > 0 && pang_str_compare(scopes[at - 1], scope) > 0)
        at--;
    if (at > 0 && pang_str_equal(scopes[at - 1], scope))
        return true;
    if (*n == room)
        return false;
    memmove(scopes + at + 1, scopes + at, (*n - at) * sizeof *scopes);
    scopes[at] = scope;
    ++*n;
    return true;
}

enum { SCOPES_MAX = 1024 };

/* All scopes of a group. */
static bool find_scopes(const work *w, pang_str scopes[SCOPES_MAX], size_t *ret_n)
{
    size_t n = 0;
    bool fits = true;
    for (size_t i = 0; i < w->plan.n_read; i++)
        fits = fits && add_scope(scopes, &n, SCOPES_MAX, w->plan.entries[i].row.key);
    for (size_t i = 0; i < w->n; i++) {
        const pang_commit *c = w->commits[i];
        for (size_t j = 0; j < c->n_puts; j++)
            fits = fits && add_scope(scopes, &n, SCOPES_MAX, c->puts[j].key);
        for (size_t j = 0; j < c->n_deletes; j++)
            fits = fits && add_scope(scopes, &n, SCOPES_MAX, c->deletes[j]);
    }
    *ret_n = n;
    return fits;
}

/* Outside of the transaction, so that nobody waits for it. */
static step add_scopes(work *w, const pg_params *scopes)
{
    PGresult *results[2];
    step end = FAILED;
    if (!pang_pg_send_bare(w->session, PG_ROLLBACK) ||
        !pang_pg_send(w->session, PG_ADD_SCOPES, scopes)) {
        (void)pang_fail(&w->err, PANG_UNAVAILABLE, NULL,
                        "the PostgreSQL store closed the connection");
        return FAILED;
    }
    if (pang_pg_collect(w->store, w->session, results, 2, w->deadline_ms, &w->err) &&
        (pang_pg_check(results, 2, &w->err) == PANG_OK || pang_pg_is_conflict(results, 2)))
        end = AGAIN;
    pang_pg_clear(results, 2);
    return end;
}

/* ---- the first trip ---- */

static void take_heads(work *w, const PGresult *heads)
{
    for (int row = 0; row < PQntuples(heads); row++) {
        size_t i = (size_t)pang_pg_int8(heads, row, 0) - 1;
        pang_record found = {
            .version = (uint64_t)pang_pg_int8(heads, row, 1),
            .value = pang_pg_int8(heads, row, 2),
            .time_ms = pang_pg_int8(heads, row, 3),
            .expires_ms = pang_pg_int8(heads, row, 4),
        };
        if (i < w->plan.n_read)
            pang_plan_found(&w->plan, i, &found, w->now_ms);
    }
}

/* AGAIN also for a connection that broke: nothing has been written. */
static step read_and_lock(work *w)
{
    enum { BEGIN, LOCK, NOW, HEADS, N };
    pang_str scopes[SCOPES_MAX];
    size_t n_scopes = 0;
    pang_str *keys = pang_arena_alloc_n(w->arena, w->plan.n_read, sizeof *keys);
    if (keys == NULL || !find_scopes(w, scopes, &n_scopes)) {
        (void)pang_fail_memory(&w->err);
        return FAILED;
    }
    for (size_t i = 0; i < w->plan.n_read; i++)
        keys[i] = w->plan.entries[i].row.key;
    pg_params lock = {0}, heads = {0};
    pang_pg_add_bytes_array(&lock, w->arena, scopes, n_scopes);
    pang_pg_add_bytes_array(&heads, w->arena, keys, w->plan.n_read);
    if (lock.failed || heads.failed) {
        (void)pang_fail_memory(&w->err);
        return FAILED;
    }
    session *c = w->session;
    PGresult *all[N + 1] = {NULL};
    step end = AGAIN;
    int before = pang_pg_send_deadline(w->store, c, w->deadline_ms);
    PGresult **results = all + (before > 0);
    if (before < 0 || !pang_pg_send_bare(c, PG_BEGIN) || !pang_pg_send(c, PG_LOCK, &lock) ||
        !pang_pg_send_bare(c, PG_NOW) || !pang_pg_send(c, PG_HEADS, &heads)) {
        (void)pang_fail(&w->err, PANG_UNAVAILABLE, NULL,
                        "the PostgreSQL store closed the connection");
        return AGAIN;
    }
    if (!pang_pg_collect(w->store, c, all, N + before, w->deadline_ms, &w->err)) {
        end = w->err.code == PANG_DEADLINE_EXCEEDED ? FAILED : AGAIN;
    } else if (pang_pg_check(results, N, &w->err) != PANG_OK) {
        end = pang_pg_is_conflict(results, N) ? AGAIN : FAILED;
    } else if ((size_t)PQntuples(results[LOCK]) < n_scopes) {
        end = add_scopes(w, &lock);
    } else {
        w->now_ms = pang_pg_int8(results[NOW], 0, 0);
        take_heads(w, results[HEADS]);
        end = DONE;
    }
    pang_pg_clear(all, N + 1);
    return end;
}

/* ---- the second trip ---- */

/* The entries that are put, as columns. */
static void add_columns(work *w, pg_params *p, size_t n)
{
    enum { SEQUENCE, TIME, EXPIRES, VALUE, KIND, N };
    pang_str *keys = pang_arena_alloc_n(w->arena, n, sizeof *keys);
    pang_str *bodies = pang_arena_alloc_n(w->arena, n, sizeof *bodies);
    int64_t *columns = pang_arena_alloc_n(w->arena, n * N, sizeof *columns);
    p->failed |= keys == NULL || bodies == NULL || columns == NULL;
    if (p->failed)
        return;
    size_t at = 0;
    for (size_t i = 0; i < w->plan.n; i++) {
        const pang_plan_entry *e = &w->plan.entries[i];
        if (e->change != PANG_PLAN_PUT)
            continue;
        keys[at] = e->row.key;
        bodies[at] = e->row.body;
        columns[SEQUENCE * n + at] = (int64_t)e->row.sequence;
        columns[TIME * n + at] = e->row.time_ms;
        columns[EXPIRES * n + at] = e->row.expires_ms;
        columns[VALUE * n + at] = e->row.value;
        columns[KIND * n + at++] = e->row.kind;
    }
    assert(at == n);
    pang_pg_add_bytes_array(p, w->arena, keys, n);
    for (int column = 0; column < N; column++)
        pang_pg_add_int8_array(p, w->arena, columns + (size_t)column * n, n);
    pang_pg_add_bytes_array(p, w->arena, bodies, n);
}

static void add_deleted(work *w, pg_params *p, size_t n)
{
    pang_str *keys = pang_arena_alloc_n(w->arena, n, sizeof *keys);
    p->failed |= keys == NULL;
    if (p->failed)
        return;
    size_t at = 0;
    for (size_t i = 0; i < w->plan.n; i++)
        if (w->plan.entries[i].change == PANG_PLAN_DELETED)
            keys[at++] = w->plan.entries[i].row.key;
    pang_pg_add_bytes_array(p, w->arena, keys, n);
}

/* Puts the writes into the pipeline, all but COMMIT. Returns how many statements that makes; 0: the
 * connection broke, or there is no memory. */
static int send_writes(work *w)
{
    size_t puts = 0, deletes = 0;
    for (size_t i = 0; i < w->plan.n; i++) {
        puts += w->plan.entries[i].change == PANG_PLAN_PUT;
        deletes += w->plan.entries[i].change == PANG_PLAN_DELETED;
    }
    size_t most = w->landed * SWEPT_PER_COMMIT;
    pg_params put = {0}, gone = {0}, swept = {0};
    add_columns(w, &put, puts);
    if (deletes > 0)
        add_deleted(w, &gone, deletes);
    char now[8], limit[8];
    pang_pg_add_int8(&swept, now, w->now_ms);
    pang_pg_add_int8(&swept, limit, most > SWEPT_AT_LEAST ? (int64_t)most : SWEPT_AT_LEAST);
    if (put.failed || gone.failed || swept.failed) {
        (void)pang_fail_memory(&w->err);
        return 0;
    }
    session *c = w->session;
    bool sent = pang_pg_send(c, PG_PUT, &put) &&
                (deletes == 0 || pang_pg_send(c, PG_DELETE, &gone)) &&
                pang_pg_send(c, PG_SWEEP, &swept);
    if (!sent)
        (void)pang_fail(&w->err, PANG_UNAVAILABLE, NULL,
                        "the PostgreSQL store closed the connection");
    return !sent ? 0 : deletes > 0 ? 3 : 2;
}

static void roll_back(work *w)
{
    PGresult *result = NULL;
    pang_err late = {0};
    if (pang_pg_send_bare(w->session, PG_ROLLBACK))
        (void)pang_pg_collect(w->store, w->session, &result, 1, w->deadline_ms, &late);
    pang_pg_clear(&result, 1);
}

static step write_and_commit(work *w)
{
    PGresult *results[4] = {NULL};
    int n = send_writes(w);
    if (n == 0)
        return FAILED; /* giving back a connection that is in a transaction ends it */
    /* From here on the server may have it all. */
    step end = UNKNOWN;
    if (!pang_pg_send_bare(w->session, PG_COMMIT)) {
        (void)pang_fail(&w->err, PANG_UNAVAILABLE, NULL,
                        "the PostgreSQL store closed the connection");
        return UNKNOWN;
    }
    if (pang_pg_collect(w->store, w->session, results, n + 1, w->deadline_ms, &w->err)) {
        if (pang_pg_check(results, n + 1, &w->err) == PANG_OK)
            end = DONE;
        else
            end = pang_pg_is_conflict(results, n + 1) ? AGAIN : FAILED;
        if (end != DONE)
            roll_back(w);
    }
    pang_pg_clear(results, n + 1);
    return end;
}

/* ---- the group ---- */

static step try_group(work *w)
{
    pang_arena_reset(w->arena);
    w->deadline_ms = pang_env_mono_ms(w->store->base.env) + APPLY_MS;
    if (!pang_plan_begin(&w->plan, w->commits, w->n, w->arena)) {
        (void)pang_fail_memory(&w->err);
        return FAILED;
    }
    step end = read_and_lock(w);
    if (end != DONE)
        return end;
    if (!pang_plan_decide(&w->plan, w->commits, w->n, w->now_ms, &w->landed)) {
        (void)pang_fail_memory(&w->err);
        return FAILED;
    }
    if (w->landed > 0)
        return write_and_commit(w);
    roll_back(w);
    return DONE;
}

static step run_group(work *w)
{
    step end = AGAIN;
    for (int i = 0; i < TRIES && end == AGAIN; i++) {
        int64_t deadline_ms = pang_env_mono_ms(w->store->base.env) + APPLY_MS;
        if (pang_pg_take(w->store, deadline_ms, &w->session, &w->err) != PANG_OK)
            return FAILED;
        end = try_group(w);
        pang_pg_give(w->store, w->session);
    }
    return end;
}

void pang_postgres_apply(pang_store *store, pang_commit *const *commits, size_t n)
{
    assert(store->magic == PANG_STORE_MAGIC && store->ops == &pang_postgres_ops);
    work w = {.store = (postgres_store *)store, .commits = commits, .n = n};
    w.arena = pang_arena_new(ARENA_BYTES);
    step end = FAILED;
    if (w.arena != NULL)
        end = run_group(&w);
    else
        (void)pang_fail_memory(&w.err);
    if (end == AGAIN && w.err.code == PANG_ABORTED) /* others were in the way each time */
        pang_plan_end_all(commits, n, PANG_COMMIT_ABORTED, &w.err);
    else if (end != DONE)
        pang_plan_end_all(commits, n, end == UNKNOWN ? PANG_COMMIT_UNKNOWN : PANG_COMMIT_FAILED,
                          &w.err);
    pang_arena_free(w.arena);
}
