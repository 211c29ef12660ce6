/*
 * Transaction: what a handler sees of the store. Reads are remembered with their versions, writes
 * are buffered, reads see own writes, and the commit sends checks + writes as one pang_commit.
 * A lost race is ABORTED; the caller (the dispatcher, or pang_txn_run) runs the work again.
 * Called by the server's handlers and jobs. Threads: a transaction belongs to one; the catalog
 * handle (pang_db) may be used by any. Lifetime: a transaction and all it returns live in the
 * arena it was begun with.
 *
 * pang_db wraps a store with the read cache and the group commit. Cached records are used
 * speculatively: where the store is not exclusive, the next get that goes out anyway validates
 * their versions in the same round trip, and pang_txn_finish validates what is left; a stale one
 * is ABORTED, like any lost race. So a handler never sees a mixture, only work that is thrown away.
 */
#ifndef PANG_API_TXN_H
#define PANG_API_TXN_H

#include "api/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pang_db pang_db;
typedef struct pang_txn pang_txn;

typedef struct {
    size_t cache_bytes;     /* of the read cache; 0: PANG_DB_CACHE_BYTES */
    unsigned group_max;     /* commits in one apply; 0: PANG_DB_GROUP_MAX */
    size_t group_bytes_max; /* in one apply, 64 more for each record; 0: PANG_DB_GROUP_BYTES */
} pang_db_config;

enum {
    PANG_DB_CACHE_BYTES = 64 << 20,
    PANG_DB_GROUP_MAX = 64,
    PANG_DB_GROUP_BYTES = 16 << 20,
    PANG_TXN_TRIES = 10, /* runs of one piece of work before a lost race is answered */
};

/* The version of a record that this very transaction has put; its sequence and time are 0. */
#define PANG_VERSION_OWN UINT64_MAX

/* Takes the store. Starts no thread: commits that arrive while an apply runs are gathered, and
 * one of the waiting callers carries the next group down (fair between scopes: round robin).
 * ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_db_open(pang_store *store, const pang_db_config *config,
                                       pang_db **ret, pang_err *err);
/* Closes the store too. REQUIRES: no call in flight. NULL is fine. */
void pang_db_close(pang_db *db);
/* For reading past the cache (backup, readiness). Whoever writes through it on an exclusive store
 * leaves the cache wrong. */
pang_store *pang_db_store(pang_db *db);

/* What happened since the start, for metrics. */
typedef struct {
    uint64_t commits, aborted, failed, unknown, groups, cache_hits, cache_misses, gets, scans;
    uint64_t cache_bytes;
} pang_db_stats;
void pang_db_get_stats(pang_db *db, pang_db_stats *ret);

/* Waiting for commits that take a number of a sequence. Take a mark, look, and wait if there was
 * nothing: a commit of this handle that landed after the mark was taken ends the wait at once.
 * Those of other servers do not; nor is what ends a wait always of this very sequence. */
uint32_t pang_db_mark(pang_db *db, pang_str sequence);
void pang_db_wait(pang_db *db, pang_str sequence, uint32_t mark, int64_t most_ms);

/* Begins. `scope` is borrowed from the arena's lifetime on. NULL without memory. */
pang_txn *pang_txn_begin(pang_db *db, pang_str scope, int64_t deadline_ms, pang_arena *arena);

/* Reads n records; own writes of this transaction win, and a key that was read before reads the
 * same again. What was read is remembered: if the transaction commits, each must still have its
 * version (absent ones must still be absent), but for immutable refs and those under
 * `PANG_READ_UNCHECKED`. Refs that only the store can answer are read from one snapshot, in one
 * round trip. A ceiling remembers the record it found, not that nothing came in between; it sees
 * own puts but for those with a slot in their key.
 * Counters and sequences are read as the store has them (the cache answers only where this handle
 * alone writes the store) and not remembered: see pang_txn_check_counter. One that may be absent is
 * read under PANG_READ_UNCHECKED, since its absence would be remembered as a record's. ERRORS:
 * ABORTED (a cached record was stale: end the transaction and run again), UNAVAILABLE,
 * DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INVALID_ARGUMENT (length of a key). */
typedef enum { PANG_READ_CHECKED, PANG_READ_UNCHECKED } pang_read_mode;
PANG_MUST_CHECK pang_code pang_txn_get(pang_txn *txn, const pang_ref *refs, size_t n,
                                       pang_read_mode mode, pang_record *records, pang_err *err);
/* One exact record, checked. *ret has version 0 when there is none. */
PANG_MUST_CHECK pang_code pang_txn_get_one(pang_txn *txn, pang_str key, pang_record *ret,
                                           pang_err *err);
/* Scans the store. Own writes are NOT seen and nothing is remembered: work that must see an empty
 * or unchanged range checks the range's epoch counter. Always a round trip. ERRORS: as get. */
PANG_MUST_CHECK pang_code pang_txn_scan(pang_txn *txn, const pang_query *query, pang_row_fn *row,
                                        void *arg, pang_err *err);

/* Writes. Keys and bodies are borrowed: they must live in the transaction's arena or longer.
 * Failure (memory, bounds) is remembered and reported by commit. */
void pang_txn_put(pang_txn *txn, uint32_t kind, pang_str key, pang_str body);
/* As put, with the header's fields: see pang_put. The put's key and body are borrowed. */
void pang_txn_put_full(pang_txn *txn, const pang_put *put);
void pang_txn_delete(pang_txn *txn, pang_str key);
/* Names a sequence of which this commit takes the next number; returns its slot (the same one for
 * the same sequence). */
int pang_txn_append(pang_txn *txn, pang_str sequence);
void pang_txn_add(pang_txn *txn, pang_str counter, int64_t amount);
/* Further conditions of the commit. */
void pang_txn_check(pang_txn *txn, pang_str key, uint64_t version);
void pang_txn_check_counter(pang_txn *txn, pang_str counter, int64_t value);
/* The commit's id and what is kept with it: see pang_commit. Without a call a fresh id is used and
 * forgotten after PANG_COMMIT_ID_LIFE_MS. An id is for one attempt: that of a lost commit may have
 * been made void, and then never lands. What shall be unique over attempts (an Idempotency-Key) is
 * an ordinary record that is read as absent and put. */
void pang_txn_set_id(pang_txn *txn, pang_id id, pang_str id_key, pang_str id_body, bool kept);

/* fn(arg) runs if it is certain that this transaction did not land (lost race, failure, dropped
 * without commit), and never when it landed or its outcome stayed unknown: for files written in
 * advance. Runs in commit, or when the arena is reset. False without memory (fn has then run). */
bool pang_txn_on_lost(pang_txn *txn, void (*fn)(void *arg), void *arg);
/* What was written in advance up to here will not be named by this transaction, whether it lands or
 * not: its hooks run now. */
void pang_txn_take_back(pang_txn *txn);

/* The wall clock of the store's environment, for deadlines that bodies hold. */
int64_t pang_txn_wall_ms(const pang_txn *txn);

/* True when there is anything to commit. */
bool pang_txn_writes(const pang_txn *txn);
/* Ends a transaction that wrote nothing: validates what only a cache answered for. Also to be
 * called before an error is answered that follows from what was read: the error may be stale too.
 * Writes, if any, are dropped. ERRORS: ABORTED, and those of get. */
PANG_MUST_CHECK pang_code pang_txn_finish(pang_txn *txn, pang_err *err);
/* Commits. An outcome that is unknown is resolved before this returns; when that is not possible
 * either, the code is UNKNOWN (reason "CommitStateUnknownException").
 * ERRORS: ABORTED (lost a race; run again), UNKNOWN, UNAVAILABLE, RESOURCE_EXHAUSTED,
 * INVALID_ARGUMENT (a bound of api/storage.h), DEADLINE_EXCEEDED (nothing was written). */
PANG_MUST_CHECK pang_code pang_txn_commit(pang_txn *txn, pang_err *err);
/* After a commit: the number of a slot, and the commit's time. When the outcome had to be learnt
 * afterwards only slot 0 is known, the others are 0. */
uint64_t pang_txn_number(const pang_txn *txn, int slot);
int64_t pang_txn_time_ms(const pang_txn *txn);

/* Runs fn in a transaction and commits (or finishes) it, again from the start after a lost race,
 * PANG_TXN_TRIES times at most with growing pauses. The arena is NOT reset in between. fn must
 * have no other effects than through the transaction (files: pang_txn_on_lost). */
typedef pang_code pang_txn_fn(pang_txn *txn, void *arg, pang_err *err);
PANG_MUST_CHECK pang_code pang_txn_run(pang_db *db, pang_str scope, int64_t deadline_ms,
                                       pang_arena *arena, pang_txn_fn *fn, void *arg,
                                       pang_err *err);

#ifdef __cplusplus
}
#endif
#endif
