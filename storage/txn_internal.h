/*
 * Inside of a transaction: what txn.c (writes, commit) and txn_read.c (reads) share.
 * Threads: a transaction belongs to one. Lifetime: all of it lives in its arena.
 *
 * A `touch` is all that a transaction knows of one key: what it read, and what it will write. The
 * touches are found by key in a table and kept in the order in which they came.
 */
#ifndef PANG_STORAGE_TXN_INTERNAL_H
#define PANG_STORAGE_TXN_INTERNAL_H

#include "storage/db.h"

typedef struct pang_touch {
    struct pang_touch *next;       /* in order of first use */
    struct pang_touch *next_guess; /* in pang_txn.guesses */
    pang_str key;                  /* in the arena */
    uint64_t hash;
    pang_record read;    /* when has_read */
    const pang_put *put; /* own write, or NULL */
    int64_t added;       /* to a counter, when `adds` */
    bool has_read;
    bool checked; /* the commit checks the version that was read */
    bool guess;   /* a cache answered, and nothing has validated it yet */
    bool deleted; /* own delete; then put is NULL */
    bool adds;
} pang_touch;

/* What is only handed on: kept in lists, in the arena, until commit makes arrays of them. */
typedef struct pang_list_put {
    struct pang_list_put *next;
    pang_put put;
} pang_list_put;

typedef struct pang_list_check {
    struct pang_list_check *next;
    pang_check check;
} pang_list_check;

/* Run once, newest first, when it is certain that nothing landed. */
typedef struct pang_lost_hook {
    struct pang_lost_hook *older;
    void (*fn)(void *arg);
    void *arg;
} pang_lost_hook;

/* Reading and writing are for the time until `ended`; after it only numbers and time are. */
struct pang_txn {
    unsigned magic; /* PANG_TXN_MAGIC */
    pang_db *db;
    pang_arena *arena;
    pang_str scope;
    int64_t deadline_ms;

    pang_touch **table; /* open addressing, a power of two */
    size_t table_size, n_touches;
    pang_touch *first, **last;
    pang_touch *guesses;
    size_t n_guesses, n_puts, n_deletes, n_adds, n_checked; /* among the touches */

    /* Puts whose key holds a number to come: nothing can be read or replaced under it. */
    pang_list_put *slotted, **slotted_last;
    pang_list_check *checks; /* those asked for by name; what was read is in the touches */
    size_t n_slotted, n_checks;
    pang_str appends[PANG_APPENDS_MAX];
    size_t n_appends;

    bool has_id, id_kept; /* else commit takes a fresh id and lets it be forgotten */
    pang_id id;
    pang_str id_key, id_body;

    pang_lost_hook *lost;
    bool hooked; /* the arena's reset will run `lost` */
    bool ended;
    pang_code failure; /* of a write; reported by commit */
    uint64_t numbers[PANG_APPENDS_MAX];
    int64_t time_ms;
};
#define PANG_TXN_MAGIC 0x5054584Eu

/* The touch of this key; made when `make`, else NULL when there is none. NULL without memory. */
pang_touch *pang_touch_of(pang_txn *txn, pang_str key, uint64_t hash, bool make);
/* Asks the store for what only the cache answered, until nothing is left open. ERRORS: ABORTED (it
 * was stale), and those of get. */
PANG_MUST_CHECK pang_code pang_txn_validate(pang_txn *txn, pang_err *err);

#endif
