/*
 * Backend `sqlite:`: one file, one process. This file opens, migrates and reads; sqlite_apply.c
 * writes.
 *
 * Records are the rows of one table in key order. Reads take a connection from a pool; in WAL mode
 * neither readers nor the writer wait for the other. A lock on a file beside the database keeps
 * other processes out before SQLite opens anything, so the one process knows of every change.
 *
 * Nothing of SQLite's is trusted further than needed: the schema of a file may not call functions
 * with effects, cells are checked as pages are read, a file of another program or of a newer
 * version of this one is refused.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "storage/sqlite_internal.h"

enum {
    SCHEMA_VERSION = 1,
    READERS_DEFAULT = 32, /* connections; a thread that finds none free waits */
    READERS_MAX = 256,
    READER_CACHE_KIB = 4 << 10, /* each; the system's page cache stands behind it */
    WRITER_CACHE_KIB = 32 << 10,
    BUSY_MS = 5000,        /* only recovery and checkpoints of this process are in the way */
    STEPS_PER_LOOK = 5000, /* instructions of SQLite's machine between looks at the clock */
};

#define HEADER "key,version,sequence,time_ms,expires_ms,value,kind"
#define LIVE "(expires_ms=0 OR expires_ms>?1)"
#define IN_RANGE " FROM records WHERE key>=?2 AND key<?3 AND " LIVE

static const char *const sql_text[SQL_END] = {
    [SQL_BEGIN] = "BEGIN",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_GET] = "SELECT " HEADER ",body FROM records WHERE key=?2 AND " LIVE,
    [SQL_CEILING] = "SELECT " HEADER ",body" IN_RANGE " ORDER BY key LIMIT 1",
    [SQL_UP] = "SELECT " HEADER ",body" IN_RANGE " ORDER BY key LIMIT ?4",
    [SQL_DOWN] = "SELECT " HEADER ",body" IN_RANGE " ORDER BY key DESC LIMIT ?4",
    [SQL_UP_KEYS] = "SELECT " HEADER IN_RANGE " ORDER BY key LIMIT ?4",
    [SQL_DOWN_KEYS] = "SELECT " HEADER IN_RANGE " ORDER BY key DESC LIMIT ?4",
    [SQL_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SQL_HEAD] = "SELECT version,value,time_ms FROM records WHERE key=?2 AND " LIVE,
    [SQL_PUT] = "INSERT INTO records(" HEADER ",body) VALUES(?1,?2,?3,?4,?5,?6,?7,?8) "
                "ON CONFLICT(key) DO UPDATE SET version=?2,sequence=?3,time_ms=?4,expires_ms=?5,"
                "value=?6,kind=?7,body=?8",
    [SQL_DELETE] = "DELETE FROM records WHERE key=?1",
    [SQL_SWEEP] = "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records "
                  "WHERE expires_ms>0 AND expires_ms<=?1 ORDER BY expires_ms LIMIT ?2)",
    [SQL_SET_ASIDE] = "UPDATE meta SET value=?1 WHERE name='version'",
};

/* A table with rowids and the key as an index of it: with the records in the key's own tree
 * (WITHOUT ROWID) bodies fill its inner pages too, and reads and writes of 8 KiB took twice as
 * long. The body is last: a read of keys only does not follow its chain of pages. */
static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS meta("
    " name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE TABLE IF NOT EXISTS records("
    " key BLOB NOT NULL UNIQUE, version INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " time_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, value INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"
    "CREATE INDEX IF NOT EXISTS records_expires ON records(expires_ms) WHERE expires_ms>0;"
    "INSERT OR IGNORE INTO meta(name,value) VALUES('schema',1),('version',0);";

static sqlite_store *sqlite_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC && store->ops == &pang_sqlite_ops);
    return (sqlite_store *)store;
}

/* ---- errors ---- */

pang_code pang_sqlite_code(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        return PANG_RESOURCE_EXHAUSTED;
    case SQLITE_INTERRUPT:
        return PANG_DEADLINE_EXCEEDED;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return PANG_DATA_LOSS;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return PANG_FAILED_PRECONDITION;
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return PANG_UNAVAILABLE;
    default:
        return PANG_INTERNAL;
    }
}

/* What SQLite says about its own failure goes to the log: it may quote a path. */
pang_code pang_sqlite_fail(const sqlite_store *s, sqlite3 *db, int rc, pang_err *err)
{
    pang_code code = pang_sqlite_code(rc);
    if (code == PANG_DEADLINE_EXCEEDED)
        (void)pang_fail(err, code, NULL, "deadline passed while the store was read");
    else
        (void)pang_fail(err, code, (rc & 0xff) == SQLITE_FULL ? "InsufficientStorage" : NULL,
                        "the store failed: %s", sqlite3_errstr(rc));
    pang_err_detail(err, "store \"%s\": sqlite %d: %s", s->path, rc,
                    db != NULL ? sqlite3_errmsg(db) : "");
    return code;
}

pang_code pang_sqlite_fail_not_ready(const sqlite_store *s, pang_err *err)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                     "store \"%s\" has no tables yet: it was not migrated", s->path);
}

/* ---- connections ---- */

static int look_at_deadline(void *arg)
{
    const connection *c = arg;
    return c->deadline_ms != PANG_NO_DEADLINE && pang_env_mono_ms(c->env) >= c->deadline_ms;
}

static int set_up(connection *c, int cache_kib)
{
    char text[320];
    (void)snprintf(text, sizeof text,
                   "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA synchronous=FULL;"
                   "PRAGMA secure_delete=FAST; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
                   "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-%d",
                   cache_kib);
    (void)sqlite3_extended_result_codes(c->db, 1);
    (void)sqlite3_busy_timeout(c->db, BUSY_MS);
    (void)sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return sqlite3_exec(c->db, text, NULL, NULL, NULL);
}

static void connection_close(connection *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < SQL_END; i++)
        (void)sqlite3_finalize(c->statements[i]);
    (void)sqlite3_close(c->db);
    free(c);
}

/* A connection without statements. */
static pang_code connection_open(const sqlite_store *s, int cache_kib, connection **ret,
                                 pang_err *err)
{
    connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return pang_fail_memory(err);
    c->env = s->base.env;
    c->deadline_ms = PANG_NO_DEADLINE;
    /* One thread at a time uses it, and our own mutexes hand it over. */
    int rc = sqlite3_open_v2(s->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = set_up(c, cache_kib);
    if (rc != SQLITE_OK) {
        (void)pang_sqlite_fail(s, c->db, rc, err);
        connection_close(c);
        return pang_sqlite_code(rc);
    }
    *ret = c;
    return PANG_OK;
}

static pang_code prepare(const sqlite_store *s, connection *c, int from, int to, pang_err *err)
{
    for (int i = from; i < to; i++) {
        int rc = sqlite3_prepare_v3(c->db, sql_text[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &c->statements[i], NULL);
        if (rc != SQLITE_OK)
            return pang_sqlite_fail(s, c->db, rc, err);
    }
    return PANG_OK;
}

static pang_code reader_open(const sqlite_store *s, connection **ret, pang_err *err)
{
    connection *c = NULL;
    pang_code code = connection_open(s, READER_CACHE_KIB, &c, err);
    if (code == PANG_OK)
        code = prepare(s, c, 0, SQL_READ_END, err);
    if (code != PANG_OK) {
        connection_close(c);
        return code;
    }
    sqlite3_progress_handler(c->db, STEPS_PER_LOOK, look_at_deadline, c);
    *ret = c;
    return PANG_OK;
}

/* Waits until a reader is free; false at the deadline. REQUIRES: pool_lock. */
static bool wait_for_reader(sqlite_store *s, int64_t deadline_ms)
{
    if (deadline_ms == PANG_NO_DEADLINE)
        return pthread_cond_wait(&s->pool_freed, &s->pool_lock) == 0;
    int64_t left = deadline_ms - pang_env_mono_ms(s->base.env);
    if (left <= 0)
        return false;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(left / 1000);
    until.tv_nsec += (long)(left % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    return pthread_cond_timedwait(&s->pool_freed, &s->pool_lock, &until) == 0;
}

static pang_code reader_take(sqlite_store *s, int64_t deadline_ms, connection **ret, pang_err *err)
{
    if (!atomic_load(&s->is_ready))
        return pang_sqlite_fail_not_ready(s, err);
    (void)pthread_mutex_lock(&s->pool_lock);
    bool waited = true;
    while (s->pool == NULL && s->n_readers >= s->readers_max && waited)
        waited = wait_for_reader(s, deadline_ms);
    connection *c = s->pool;
    bool is_new = c == NULL && waited;
    if (c != NULL)
        s->pool = c->next;
    s->n_readers += is_new;
    (void)pthread_mutex_unlock(&s->pool_lock);
    if (!waited && c == NULL)
        return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL,
                         "deadline passed while waiting for a connection to the store");
    if (is_new && reader_open(s, &c, err) != PANG_OK) {
        (void)pthread_mutex_lock(&s->pool_lock);
        s->n_readers--;
        (void)pthread_cond_signal(&s->pool_freed);
        (void)pthread_mutex_unlock(&s->pool_lock);
        return err->code;
    }
    c->deadline_ms = deadline_ms;
    *ret = c;
    return PANG_OK;
}

static void reader_give(sqlite_store *s, connection *c)
{
    (void)pthread_mutex_lock(&s->pool_lock);
    c->next = s->pool;
    s->pool = c;
    (void)pthread_cond_signal(&s->pool_freed);
    (void)pthread_mutex_unlock(&s->pool_lock);
}

/* ---- statements ---- */

int pang_sqlite_run(connection *c, sql which)
{
    sqlite3_stmt *st = c->statements[which];
    int rc = sqlite3_step(st);
    int reset = sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset != SQLITE_OK ? reset : rc;
}

/* The bytes must stay until the statement is bound anew. A NULL pointer would bind NULL. */
void pang_sqlite_bind(sqlite3_stmt *st, int at, pang_str bytes)
{
    (void)sqlite3_bind_blob64(st, at, bytes.ptr != NULL ? bytes.ptr : "", bytes.len, SQLITE_STATIC);
}

static pang_str column_bytes(sqlite3_stmt *st, int at)
{
    const char *ptr = sqlite3_column_blob(st, at); /* before the length, as SQLite wants it */
    return (pang_str){ptr, (size_t)sqlite3_column_bytes(st, at)};
}

/* The row the statement stands on; borrowed from it. */
static pang_record read_row(sqlite3_stmt *st, bool with_body)
{
    return (pang_record){
        .key = column_bytes(st, 0),
        .version = (uint64_t)sqlite3_column_int64(st, 1),
        .sequence = (uint64_t)sqlite3_column_int64(st, 2),
        .time_ms = sqlite3_column_int64(st, 3),
        .expires_ms = sqlite3_column_int64(st, 4),
        .value = sqlite3_column_int64(st, 5),
        .kind = (uint32_t)sqlite3_column_int64(st, 6),
        .body = with_body ? column_bytes(st, 7) : (pang_str){0},
    };
}

/* ---- reading ---- */

/* SQLITE_OK, or what went wrong; memory that the arena lacks is SQLITE_NOMEM. */
static int get_one(connection *c, const pang_ref *ref, int64_t now, pang_range *range,
                   pang_arena *arena, pang_record *ret)
{
    *ret = (pang_record){.key = ref->key};
    sqlite3_stmt *st = c->statements[SQL_GET];
    if (ref->mode == PANG_REF_CEILING) {
        pang_range_of_ceiling(ref, range);
        if (range->is_empty)
            return SQLITE_OK;
        st = c->statements[SQL_CEILING];
        pang_sqlite_bind(st, 2, range->lo);
        pang_sqlite_bind(st, 3, range->hi);
    } else {
        pang_sqlite_bind(st, 2, ref->key);
    }
    (void)sqlite3_bind_int64(st, 1, now);
    int rc = sqlite3_step(st);
    bool fits = true;
    if (rc == SQLITE_ROW) {
        pang_record row = read_row(st, true);
        /* A blob that SQLite had no memory for reads as NULL. */
        fits = (row.body.ptr != NULL || sqlite3_errcode(c->db) != SQLITE_NOMEM) &&
               pang_record_copy(&row, arena, ret);
    }
    int reset = sqlite3_reset(st);
    return !fits ? SQLITE_NOMEM : rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}

static pang_store_get_fn sqlite_get;
static pang_code sqlite_get(pang_store *store, const pang_ref *refs, size_t n, int64_t deadline_ms,
                            pang_arena *arena, pang_record *records, pang_err *err)
{
    sqlite_store *s = sqlite_of(store);
    connection *c = NULL;
    pang_err why = {0};
    pang_code code = reader_take(s, deadline_ms, &c, err != NULL ? err : &why);
    if (code != PANG_OK)
        return code;
    int64_t now = pang_env_wall_ms(store->env);
    pang_range range;
    /* One statement is one snapshot by itself. */
    int rc = n > 1 ? pang_sqlite_run(c, SQL_BEGIN) : SQLITE_OK;
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
        rc = look_at_deadline(c) ? SQLITE_INTERRUPT
                                 : get_one(c, &refs[i], now, &range, arena, &records[i]);
    if (rc != SQLITE_OK)
        code = pang_sqlite_fail(s, c->db, rc, err);
    if (!sqlite3_get_autocommit(c->db))
        (void)pang_sqlite_run(c, SQL_COMMIT);
    reader_give(s, c);
    return code;
}

static pang_store_scan_fn sqlite_scan;
static pang_code sqlite_scan(pang_store *store, const pang_query *query, int64_t deadline_ms,
                             pang_row_fn *row, void *arg, pang_err *err)
{
    sqlite_store *s = sqlite_of(store);
    connection *c = NULL;
    pang_range range;
    pang_range_of_query(query, &range);
    pang_err why = {0};
    pang_code code = reader_take(s, deadline_ms, &c, err != NULL ? err : &why);
    if (code != PANG_OK)
        return code;
    sql which = query->keys_only ? (query->descending ? SQL_DOWN_KEYS : SQL_UP_KEYS)
                                 : (query->descending ? SQL_DOWN : SQL_UP);
    sqlite3_stmt *st = c->statements[which];
    (void)sqlite3_bind_int64(st, 1, pang_env_wall_ms(store->env));
    pang_sqlite_bind(st, 2, range.lo);
    pang_sqlite_bind(st, 3, range.hi);
    (void)sqlite3_bind_int64(st, 4, query->limit);
    int rc = range.is_empty ? SQLITE_DONE : SQLITE_ROW;
    while (rc == SQLITE_ROW && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        pang_record shown = read_row(st, !query->keys_only);
        if (look_at_deadline(c))
            rc = SQLITE_INTERRUPT;
        else if (!row(arg, &shown))
            rc = SQLITE_DONE;
    }
    if (rc != SQLITE_DONE)
        code = pang_sqlite_fail(s, c->db, rc, err);
    (void)sqlite3_reset(st);
    reader_give(s, c);
    return code;
}

static pang_store_ping_fn sqlite_ping;
static pang_code sqlite_ping(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    pang_ref ref = {.key = PANG_STR("~"), .mode = PANG_REF_EXACT};
    pang_arena *arena = pang_arena_new(PANG_BODY_MAX);
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_record record;
    pang_code code = sqlite_get(store, &ref, 1, deadline_ms, arena, &record, err);
    pang_arena_free(arena);
    return code;
}

/* ---- open, migrate, close ---- */

/* The path of a url: "sqlite:PATH", "sqlite://PATH", or a bare path that ends in ".db". */
static pang_str path_of_url(pang_str url)
{
    pang_str scheme = PANG_STR("sqlite:");
    if (!pang_str_starts(url, scheme))
        return pang_str_ends(url, PANG_STR(".db")) ? url : (pang_str){0};
    pang_str path = pang_str_after(url, scheme.len);
    return pang_str_starts(path, PANG_STR("//")) ? pang_str_after(path, 2) : path;
}

/* The file's real path, also when only its folder exists yet. Heap; NULL with errno. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    if (real != NULL || errno != ENOENT)
        return real;
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    char *real_folder = folder == NULL ? NULL : realpath(folder, NULL);
    free(folder);
    if (real_folder == NULL)
        return NULL;
    size_t size = strlen(real_folder) + strlen(name) + 2;
    char *joined = malloc(size);
    if (joined != NULL)
        (void)snprintf(joined, size, "%s/%s", real_folder, name);
    free(real_folder);
    return joined;
}

static pang_code find_path(sqlite_store *s, pang_str url, pang_err *err)
{
    pang_str path = path_of_url(url);
    if (path.len == 0 || memchr(path.ptr, '\0', path.len) != NULL || path.ptr[path.len - 1] == '/')
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "store url \"%" PANG_STR_FMT "\" names no file", PANG_STR_ARG(url));
    char *text = strndup(path.ptr, path.len);
    if (text == NULL)
        return pang_fail_memory(err);
    s->path = real_path(text);
    pang_code code = PANG_OK;
    if (s->path == NULL)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "could not find the folder of store \"%s\": %s", text, strerror(errno));
    free(text);
    return code;
}

static pang_code take_lock(sqlite_store *s, pang_err *err)
{
    size_t size = strlen(s->path) + sizeof ".lock";
    char *name = malloc(size);
    if (name == NULL)
        return pang_fail_memory(err);
    (void)snprintf(name, size, "%s.lock", s->path);
    s->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(name);
    if (s->lock_fd < 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "could not make the lock file of store \"%s\": %s", s->path,
                         strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return PANG_OK;
    if (errno != EWOULDBLOCK)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "could not lock store \"%s\": %s", s->path,
                         strerror(errno));
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                     "store \"%s\" is held by another server: only one process may use it",
                     s->path);
}

/* One number; `ret` stays when there is no row. */
static int read_number(sqlite3 *db, const char *text, int64_t *ret)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *ret = sqlite3_column_int64(st, 0);
    int ended = sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : ended != SQLITE_OK ? ended : rc;
}

/* *ret: 0 when the file is empty, else the version of its tables, which this program knows. */
static pang_code read_schema(const sqlite_store *s, sqlite3 *db, int64_t *ret, pang_err *err)
{
    int64_t tables = 0, ours = 0;
    int rc = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc == SQLITE_OK)
        rc = read_number(db,
                         "SELECT count(*) FROM sqlite_schema WHERE type='table' AND "
                         "name IN ('meta','records')",
                         &ours);
    *ret = 0;
    if (rc == SQLITE_OK && ours == 2)
        rc = read_number(db, "SELECT value FROM meta WHERE name='schema'", ret);
    if (rc != SQLITE_OK)
        return pang_sqlite_fail(s, db, rc, err);
    if (tables > 0 && *ret <= 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "file \"%s\" is another program's database", s->path);
    if (*ret > SCHEMA_VERSION)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "store \"%s\" has schema version %lld, this program knows up to %d: it "
                         "was written by a newer one",
                         s->path, (long long)*ret, SCHEMA_VERSION);
    return PANG_OK;
}

/* The file has tables: makes the connections of the writer and of checkpoints and starts. */
static pang_code start(sqlite_store *s, pang_err *err)
{
    int64_t version = 0;
    int rc = sqlite3_exec(s->writer->db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = read_number(s->writer->db, "SELECT value FROM meta WHERE name='version'", &version);
    if (rc != SQLITE_OK)
        return pang_sqlite_fail(s, s->writer->db, rc, err);
    s->version = s->version_set_aside = (uint64_t)version;
    pang_code code = prepare(s, s->writer, 0, SQL_END, err);
    if (code == PANG_OK)
        code = connection_open(s, READER_CACHE_KIB, &s->checkpointer, err);
    if (code != PANG_OK)
        return code;
    (void)sqlite3_wal_hook(s->writer->db, pang_sqlite_note_log, s);
    if (pthread_create(&s->thread, NULL, pang_sqlite_run_checkpoints, s) != 0)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "could not start a thread");
    s->has_thread = true;
    atomic_store(&s->is_ready, true);
    return PANG_OK;
}

static pang_code open_file(sqlite_store *s, pang_err *err)
{
    struct stat info;
    if (stat(s->path, &info) != 0 && errno == ENOENT)
        return PANG_OK; /* migrate makes it */
    pang_code code = connection_open(s, WRITER_CACHE_KIB, &s->writer, err);
    int64_t schema = 0;
    if (code == PANG_OK)
        code = read_schema(s, s->writer->db, &schema, err);
    if (code == PANG_OK && schema == SCHEMA_VERSION)
        code = start(s, err);
    return code;
}

static pang_code create_tables(sqlite_store *s, pang_err *err)
{
    sqlite3 *db = s->writer->db;
    int rc = sqlite3_exec(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE",
                          NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, create_sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return PANG_OK;
    (void)pang_sqlite_fail(s, db, rc, err);
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return pang_sqlite_code(rc);
}

/* SQLite would make the file readable to all; its log and index take their mode from it. */
static pang_code create_file(const sqlite_store *s, pang_err *err)
{
    int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "could not create store \"%s\": %s",
                         s->path, strerror(errno));
    (void)close(fd);
    return PANG_OK;
}

static pang_store_migrate_fn sqlite_migrate;
static pang_code sqlite_migrate(pang_store *store, pang_err *err)
{
    sqlite_store *s = sqlite_of(store);
    pang_code code = PANG_OK;
    (void)pthread_mutex_lock(&s->write_lock);
    if (!atomic_load(&s->is_ready)) {
        if (s->writer == NULL)
            code = create_file(s, err);
        if (code == PANG_OK && s->writer == NULL)
            code = connection_open(s, WRITER_CACHE_KIB, &s->writer, err);
        if (code == PANG_OK)
            code = create_tables(s, err);
        if (code == PANG_OK)
            code = start(s, err);
    }
    (void)pthread_mutex_unlock(&s->write_lock);
    return code;
}

static void stop_thread(sqlite_store *s)
{
    if (!s->has_thread)
        return;
    (void)pthread_mutex_lock(&s->wake_lock);
    s->stopping = true;
    (void)pthread_cond_signal(&s->wake);
    (void)pthread_mutex_unlock(&s->wake_lock);
    (void)pthread_join(s->thread, NULL);
}

static pang_store_close_fn sqlite_close;
static void sqlite_close(pang_store *store)
{
    if (store == NULL)
        return;
    sqlite_store *s = sqlite_of(store);
    stop_thread(s);
    connection_close(s->checkpointer);
    for (connection *c = s->pool, *next; c != NULL; c = next) {
        next = c->next;
        connection_close(c);
    }
    connection_close(s->writer); /* last: it folds the log into the file */
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd);
    (void)pthread_mutex_destroy(&s->write_lock);
    (void)pthread_mutex_destroy(&s->pool_lock);
    (void)pthread_mutex_destroy(&s->checkpoint_lock);
    (void)pthread_mutex_destroy(&s->wake_lock);
    (void)pthread_cond_destroy(&s->pool_freed);
    (void)pthread_cond_destroy(&s->wake);
    free(s->path);
    free(s);
}

/* Default mutexes cannot fail to be made on Linux. */
static void init_locks(sqlite_store *s)
{
    (void)pthread_mutex_init(&s->write_lock, NULL);
    (void)pthread_mutex_init(&s->pool_lock, NULL);
    (void)pthread_mutex_init(&s->checkpoint_lock, NULL);
    (void)pthread_mutex_init(&s->wake_lock, NULL);
    (void)pthread_cond_init(&s->wake, NULL);
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->pool_freed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* SQLite counts the bytes of the whole process under one lock; nobody here asks for the count. In a
 * process that has used SQLite before, it goes on counting. */
static void stop_counting(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static pang_store_open_fn sqlite_open;
static pang_code sqlite_open(const pang_store_config *config, pang_store **ret, pang_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, stop_counting);
    sqlite_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pang_fail_memory(err);
    s->base = (pang_store){PANG_STORE_MAGIC, &pang_sqlite_ops, config->env};
    s->lock_fd = -1;
    s->log_soft = SQLITE_LOG_PAGES_SOFT;
    s->readers_max = config->connections == 0            ? READERS_DEFAULT
                     : config->connections > READERS_MAX ? READERS_MAX
                                                         : config->connections;
    init_locks(s);
    pang_code code = find_path(s, config->url, err);
    if (code == PANG_OK)
        code = take_lock(s, err);
    if (code == PANG_OK)
        code = open_file(s, err);
    if (code != PANG_OK) {
        sqlite_close(&s->base);
        return code;
    }
    *ret = &s->base;
    return PANG_OK;
}

const pang_store_ops pang_sqlite_ops = {
    .scheme = "sqlite",
    .exclusive = true,
    .local = true,
    .open = sqlite_open,
    .close = sqlite_close,
    .migrate = sqlite_migrate,
    .ping = sqlite_ping,
    .get = sqlite_get,
    .scan = sqlite_scan,
    .apply = pang_sqlite_apply,
};
