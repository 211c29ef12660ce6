/*
 * What the two files of the SQLite backend share: sqlite.c opens, migrates and reads, and
 * sqlite_apply.c writes and copies the log into the database. The ideas are told there.
 * Called by those two only. Threads: each field names the lock that guards it; a connection belongs
 * to the thread that took it.
 */
#ifndef PANG_STORAGE_SQLITE_INTERNAL_H
#define PANG_STORAGE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <sqlite3.h>

#include "storage/backends.h"
#include "storage/range.h"

enum {
    SQLITE_LOG_PAGES_SOFT = 2000, /* pages of log that wake the checkpoint thread */
    SQLITE_LOG_PAGES_HARD = 8000, /* and that make the writer finish it off itself */
};

typedef enum {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_GET,
    SQL_CEILING,
    SQL_UP,
    SQL_DOWN,
    SQL_UP_KEYS,
    SQL_DOWN_KEYS,
    SQL_READ_END, /* readers prepare what is before */
    SQL_BEGIN_WRITE = SQL_READ_END,
    SQL_HEAD,
    SQL_PUT,
    SQL_DELETE,
    SQL_SWEEP,
    SQL_SET_ASIDE,
    SQL_END,
} sql;

typedef struct connection {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_END];
    const pang_env *env;
    int64_t deadline_ms;     /* of the read under way */
    struct connection *next; /* in the pool */
} connection;

typedef struct {
    pang_store base;
    char *path; /* real: two names of one file must meet at one lock */
    int lock_fd;
    atomic_bool is_ready;     /* the tables are there and all connections may be used */
    atomic_bool is_read_only; /* until it is opened again */

    pthread_mutex_t write_lock; /* guards the next five; taken before checkpoint_lock */
    connection *writer;
    uint64_t version, version_set_aside; /* the last one given; the last one that may be given */
    int log_soft, log_last; /* pages of log at which the thread is woken; after the last commit */

    pthread_mutex_t pool_lock; /* guards the next four */
    pthread_cond_t pool_freed;
    connection *pool;
    unsigned n_readers, readers_max;

    pthread_mutex_t checkpoint_lock; /* held while either side copies the log */
    pthread_mutex_t wake_lock;       /* guards the next three */
    pthread_cond_t wake;
    bool wanted, stopping;
    atomic_int log_pages;         /* after the last commit */
    atomic_bool is_nearly_copied; /* and the log is long: the writer may finish it */
    connection *checkpointer;
    pthread_t thread;
    bool has_thread;
} sqlite_store;

/* Fills *err (may be NULL) from a result of SQLite and returns its code. What SQLite says in words
 * goes to the log only: it may quote what nobody should see. `db` may be NULL. */
pang_code pang_sqlite_fail(const sqlite_store *s, sqlite3 *db, int rc, pang_err *err);
pang_code pang_sqlite_code(int rc);
/* FAILED_PRECONDITION: there are no tables. */
pang_code pang_sqlite_fail_not_ready(const sqlite_store *s, pang_err *err);

/* Runs a statement that returns no rows. SQLITE_OK, or what went wrong. */
int pang_sqlite_run(connection *c, sql which);
/* Binds bytes, which must stay where they are until the statement is bound anew. */
void pang_sqlite_bind(sqlite3_stmt *st, int at, pang_str bytes);

/* sqlite_apply.c */
extern pang_store_apply_fn pang_sqlite_apply;
/* The checkpoint thread: runs until s->stopping. */
void *pang_sqlite_run_checkpoints(void *store);
/* The writer's hook on its own commits: how long the log is. */
int pang_sqlite_note_log(void *store, sqlite3 *db, const char *name, int pages);

#endif
