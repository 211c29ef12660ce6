/*
 * The SQLite backend's writing side. One connection writes, under a mutex: store.c gathers commits
 * into groups above, so a writer thread would only add a hand-over. A group is one transaction:
 * each commit is checked, then written; what goes wrong in between takes the whole group back.
 *
 * What holds the promise of durability:
 *  - synchronous=FULL: COMMIT returns after the log is on the disk.
 *  - If COMMIT itself fails, the log may hold a whole commit that no reader sees and that the next
 *    start finds; so its members are UNKNOWN and the store takes no more writes until it is opened
 *    again. A disk that is full is the exception: the mark of the commit was not written.
 *  - After a failed fsync the kernel may call lost pages clean. It is never tried again: no more
 *    writes either.
 *
 * Checkpoints copy the log into the database in a thread of their own, without holding up anyone.
 * Under steady load that thread never quite catches up, so a log that has grown far is finished
 * off by the writer, between two groups: what came in while the thread was at it.
 *
 * What has expired is absent to every read; each group removes a few more expired rows than it can
 * have added, oldest first, by an index that holds nothing but rows that expire.
 */
#include <assert.h>

#include "storage/sqlite_internal.h"

enum {
    VERSION_BLOCK = 1 << 16, /* versions are set aside in blocks: one meta row per so many */
    SWEPT_PER_COMMIT = 2,    /* a commit adds at least one row that expires, its id */
    SWEPT_AT_LEAST = 8,
};

static bool is_failed_fsync(int rc)
{
    return rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
}

/* ---- writing ---- */

typedef struct {
    bool is_live;
    uint64_t version;
    int64_t value, time_ms;
} head;

static int read_head(sqlite_store *s, pang_str key, int64_t now, head *ret)
{
    *ret = (head){0};
    sqlite3_stmt *st = s->writer->statements[SQL_HEAD];
    (void)sqlite3_bind_int64(st, 1, now);
    pang_sqlite_bind(st, 2, key);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        *ret = (head){
            .is_live = true,
            .version = (uint64_t)sqlite3_column_int64(st, 0),
            .value = sqlite3_column_int64(st, 1),
            .time_ms = sqlite3_column_int64(st, 2),
        };
    int reset = sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}

/* Writes the record under a new version. */
static int put_row(sqlite_store *s, const pang_record *r)
{
    sqlite3_stmt *st = s->writer->statements[SQL_PUT];
    pang_sqlite_bind(st, 1, r->key);
    (void)sqlite3_bind_int64(st, 2, (int64_t)++s->version);
    (void)sqlite3_bind_int64(st, 3, (int64_t)r->sequence);
    (void)sqlite3_bind_int64(st, 4, r->time_ms);
    (void)sqlite3_bind_int64(st, 5, r->expires_ms);
    (void)sqlite3_bind_int64(st, 6, r->value);
    (void)sqlite3_bind_int64(st, 7, r->kind);
    pang_sqlite_bind(st, 8, r->body);
    return pang_sqlite_run(s->writer, SQL_PUT);
}

/* Sets the outcome to ABORTED when the id or a check says so, else to OK. */
static int check_commit(sqlite_store *s, pang_commit *c, int64_t now)
{
    head h;
    c->failed_check = c->n_checks;
    c->outcome = PANG_COMMIT_ABORTED;
    int rc = read_head(s, c->id_key, now, &h);
    c->id_was_there = h.is_live;
    if (rc != SQLITE_OK || h.is_live)
        return rc;
    for (size_t i = 0; i < c->n_checks; i++) {
        const pang_check *check = &c->checks[i];
        rc = read_head(s, check->key, now, &h);
        bool same = check->is_counter ? check->value == h.value : check->version == h.version;
        if (rc != SQLITE_OK || !same) {
            c->failed_check = i;
            return rc;
        }
    }
    c->outcome = PANG_COMMIT_OK;
    return SQLITE_OK;
}

/* Numbers and time come first: keys and headers of the puts need them. */
static int write_appends(sqlite_store *s, pang_commit *c, int64_t now)
{
    c->time_ms = now;
    for (size_t i = 0; i < c->n_appends; i++) {
        head h;
        int rc = read_head(s, c->appends[i], now, &h);
        if (rc != SQLITE_OK)
            return rc;
        c->numbers[i] = (uint64_t)h.value + 1;
        if (h.time_ms > c->time_ms)
            c->time_ms = h.time_ms;
    }
    for (size_t i = 0; i < c->n_appends; i++) {
        pang_record row = {
            .key = c->appends[i],
            .kind = PANG_KIND_SEQUENCE,
            .value = (int64_t)c->numbers[i],
            .time_ms = c->time_ms,
        };
        int rc = put_row(s, &row);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int write_puts(sqlite_store *s, pang_commit *c, int64_t now)
{
    char bytes[PANG_KEY_MAX];
    c->first_version = s->version + 1;
    for (size_t i = 0; i < c->n_puts; i++) {
        const pang_put *put = &c->puts[i];
        bool slotted = put->slot != PANG_NO_SLOT;
        pang_record row = {
            .key = pang_put_key(c, put, bytes),
            .body = put->body,
            .kind = put->kind,
            .expires_ms = put->expires_ms,
            .sequence = slotted ? c->numbers[put->slot] : 0,
            .time_ms = slotted ? c->time_ms : now,
        };
        int rc = put_row(s, &row);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

/* The sum is taken here: SQLite's own would turn into a float where it leaves 64 bits. */
static int write_adds(sqlite_store *s, const pang_commit *c, int64_t now)
{
    for (size_t i = 0; i < c->n_adds; i++) {
        head h;
        int rc = read_head(s, c->adds[i].counter, now, &h);
        pang_record row = {
            .key = c->adds[i].counter,
            .kind = PANG_KIND_COUNTER,
            .value = (int64_t)((uint64_t)h.value + (uint64_t)c->adds[i].amount),
            .time_ms = now,
        };
        if (rc == SQLITE_OK)
            rc = put_row(s, &row);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int write_deletes(sqlite_store *s, const pang_commit *c)
{
    for (size_t i = 0; i < c->n_deletes; i++) {
        pang_sqlite_bind(s->writer->statements[SQL_DELETE], 1, c->deletes[i]);
        int rc = pang_sqlite_run(s->writer, SQL_DELETE);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int write_id(sqlite_store *s, const pang_commit *c, int64_t now)
{
    pang_record row = {
        .key = c->id_key,
        .body = c->is_void ? (pang_str){0} : c->id_body,
        .kind = PANG_KIND_COMMIT_ID,
        .value = c->is_void ? PANG_ID_VOID : 0,
        .sequence = c->n_appends > 0 ? c->numbers[0] : 0,
        .time_ms = c->time_ms,
        .expires_ms = c->id_kept ? 0 : now + PANG_COMMIT_ID_LIFE_MS,
    };
    return put_row(s, &row);
}

/* Checks, then writes, so that an aborted commit has nothing to take back. What goes wrong in the
 * middle takes the whole group back. */
static int apply_one(sqlite_store *s, pang_commit *c, int64_t now)
{
    int rc = check_commit(s, c, now);
    if (rc != SQLITE_OK || c->outcome == PANG_COMMIT_ABORTED)
        return rc;
    rc = write_appends(s, c, now);
    if (rc == SQLITE_OK)
        rc = write_puts(s, c, now);
    if (rc == SQLITE_OK)
        rc = write_adds(s, c, now);
    if (rc == SQLITE_OK)
        rc = write_deletes(s, c);
    return rc == SQLITE_OK ? write_id(s, c, now) : rc;
}

static int sweep(sqlite_store *s, size_t landed, int64_t now)
{
    size_t most = landed * SWEPT_PER_COMMIT;
    sqlite3_stmt *st = s->writer->statements[SQL_SWEEP];
    (void)sqlite3_bind_int64(st, 1, now);
    (void)sqlite3_bind_int64(st, 2, most > SWEPT_AT_LEAST ? (int64_t)most : SWEPT_AT_LEAST);
    return pang_sqlite_run(s->writer, SQL_SWEEP);
}

/* Versions given out are written down before any of them is: after a crash counting goes on above
 * the block, so none comes twice. */
static int set_versions_aside(sqlite_store *s, uint64_t *ret)
{
    *ret = s->version_set_aside;
    if (s->version <= s->version_set_aside)
        return SQLITE_OK;
    *ret = s->version + VERSION_BLOCK;
    (void)sqlite3_bind_int64(s->writer->statements[SQL_SET_ASIDE], 1, (int64_t)*ret);
    return pang_sqlite_run(s->writer, SQL_SET_ASIDE);
}

static void end_all(pang_commit *const *commits, size_t n, pang_outcome outcome,
                    const pang_err *err)
{
    for (size_t i = 0; i < n; i++) {
        commits[i]->outcome = outcome;
        commits[i]->err = *err;
        commits[i]->id_was_there = false;
        commits[i]->first_version = 0;
        commits[i]->failed_check = commits[i]->n_checks;
    }
}

/* Takes the transaction back after something before COMMIT went wrong. */
static void take_back(sqlite_store *s, int rc)
{
    if (!sqlite3_get_autocommit(s->writer->db))
        (void)pang_sqlite_run(s->writer, SQL_ROLLBACK);
    if (!sqlite3_get_autocommit(s->writer->db) || is_failed_fsync(rc) ||
        pang_sqlite_code(rc) == PANG_DATA_LOSS)
        atomic_store(&s->is_read_only, true);
}

/* Everything but COMMIT. */
static int write_group(sqlite_store *s, pang_commit *const *commits, size_t n, size_t *ret_landed,
                       uint64_t *ret_set_aside)
{
    int64_t now = pang_env_wall_ms(s->base.env);
    size_t landed = 0;
    int rc = pang_sqlite_run(s->writer, SQL_BEGIN_WRITE);
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        rc = apply_one(s, commits[i], now);
        landed += commits[i]->outcome == PANG_COMMIT_OK;
    }
    if (rc == SQLITE_OK && landed > 0)
        rc = sweep(s, landed, now);
    if (rc == SQLITE_OK && landed > 0)
        rc = set_versions_aside(s, ret_set_aside);
    *ret_landed = landed;
    return rc;
}

static void apply_group(sqlite_store *s, pang_commit *const *commits, size_t n)
{
    size_t landed = 0;
    uint64_t set_aside = 0;
    pang_err err = {0};
    int rc = write_group(s, commits, n, &landed, &set_aside);
    if (rc != SQLITE_OK) {
        (void)pang_sqlite_fail(s, s->writer->db, rc, &err);
        take_back(s, rc);
        end_all(commits, n, PANG_COMMIT_FAILED, &err);
        return;
    }
    if (landed == 0) {
        take_back(s, SQLITE_OK);
        return;
    }
    rc = pang_sqlite_run(s->writer, SQL_COMMIT);
    if (rc == SQLITE_OK) {
        s->version_set_aside = set_aside;
        return;
    }
    (void)pang_sqlite_fail(s, s->writer->db, rc, &err);
    bool is_full = (rc & 0xff) == SQLITE_FULL;
    if (!is_full)
        atomic_store(&s->is_read_only, true);
    take_back(s, rc);
    end_all(commits, n, is_full ? PANG_COMMIT_FAILED : PANG_COMMIT_UNKNOWN, &err);
}

/* ---- checkpoints ---- */

/* Copies what it can without waiting for anyone. REQUIRES: the connection is the caller's. */
static void copy_log(sqlite_store *s, connection *c)
{
    (void)pthread_mutex_lock(&s->checkpoint_lock);
    int rc = sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (is_failed_fsync(rc) || pang_sqlite_code(rc) == PANG_DATA_LOSS)
        atomic_store(&s->is_read_only, true);
    (void)pthread_mutex_unlock(&s->checkpoint_lock);
}

void *pang_sqlite_run_checkpoints(void *arg)
{
    sqlite_store *s = arg;
    (void)pthread_mutex_lock(&s->wake_lock);
    while (!s->stopping) {
        if (!s->wanted) {
            (void)pthread_cond_wait(&s->wake, &s->wake_lock);
            continue;
        }
        s->wanted = false;
        (void)pthread_mutex_unlock(&s->wake_lock);
        copy_log(s, s->checkpointer);
        if (atomic_load(&s->log_pages) >= SQLITE_LOG_PAGES_HARD)
            atomic_store(&s->is_nearly_copied, true);
        (void)pthread_mutex_lock(&s->wake_lock);
    }
    (void)pthread_mutex_unlock(&s->wake_lock);
    return NULL;
}

/* SQLite calls it after each commit, inside of it. */
int pang_sqlite_note_log(void *arg, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    sqlite_store *s = arg;
    atomic_store(&s->log_pages, pages);
    return SQLITE_OK;
}

/* The thread copies once in so many pages, not after each commit: its sync of the file and the
 * writer's of the log are in each other's way. A long log is finished off right after the thread
 * has been at it, when little is left. One that a reader keeps from it grows on, and is tried
 * again. */
static void care_for_log(sqlite_store *s)
{
    int pages = atomic_load(&s->log_pages);
    if (pages < s->log_last) /* it began anew */
        s->log_soft = SQLITE_LOG_PAGES_SOFT;
    s->log_last = pages;
    if (atomic_exchange(&s->is_nearly_copied, false)) {
        copy_log(s, s->writer);
    } else if (pages >= s->log_soft) {
        s->log_soft = pages + SQLITE_LOG_PAGES_SOFT;
        (void)pthread_mutex_lock(&s->wake_lock);
        s->wanted = true;
        (void)pthread_cond_signal(&s->wake);
        (void)pthread_mutex_unlock(&s->wake_lock);
    }
}

void pang_sqlite_apply(pang_store *store, pang_commit *const *commits, size_t n)
{
    assert(store->magic == PANG_STORE_MAGIC && store->ops == &pang_sqlite_ops);
    sqlite_store *s = (sqlite_store *)store;
    pang_err err = {0};
    (void)pthread_mutex_lock(&s->write_lock);
    if (!atomic_load(&s->is_ready)) {
        (void)pang_sqlite_fail_not_ready(s, &err);
        end_all(commits, n, PANG_COMMIT_FAILED, &err);
    } else if (atomic_load(&s->is_read_only)) {
        (void)pang_fail(&err, PANG_UNAVAILABLE, NULL,
                        "store \"%s\" takes no writes until it is opened again: it could not "
                        "make an earlier one durable",
                        s->path);
        end_all(commits, n, PANG_COMMIT_FAILED, &err);
    } else {
        apply_group(s, commits, n);
        care_for_log(s);
    }
    (void)pthread_mutex_unlock(&s->write_lock);
}
