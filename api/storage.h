/*
 * Storage: a store of versioned records with optimistic transactions. Seven functions, all
 * required; the catalog is written once above them (api/txn.h, server/).
 * Called by storage/store.c (through pang_store_get and its kin below), never by handlers.
 * Threads: a store is safe to call from any thread; each backend keeps its own connections.
 * Lifetime: results live in the caller's arena.
 *
 * Data. A record is a key, a header and a body. Keys are ordered bytes that begin with their
 * scope (a tenant's id, or the system's); built only by storage/keys.c (api/keys.h). Two kinds
 * are kept by the backend itself: counters and sequences, whose content is the header's `value`.
 *
 * Guarantees of every backend (tests/storage/conformance.c runs on each):
 *  1. get reads all its refs from one snapshot; scan reads one snapshot per call.
 *  2. Each commit of an apply is atomic, and isolated as if commits ran one after the other.
 *  3. OK means durable: it survives kill -9 and, where the backend has a disk, power loss.
 *  4. ABORTED and FAILED mean that nothing of the commit was written, ever.
 *  5. UNKNOWN means that it may have landed or may still land; pang_store_resolve settles it.
 *  6. Versions of one key never repeat, also over deletion and creation anew.
 *  7. What has expired (expires_ms), by the store's clock, is absent to reads, checks and puts.
 *  8. An apply after a get or scan that returned sees at least what they saw; a get or scan
 *     after an OK sees that commit (one server or many).
 *  9. Reads stop at the deadline with DEADLINE_EXCEEDED.
 */
#ifndef PANG_API_STORAGE_H
#define PANG_API_STORAGE_H

#include "api/arena.h"
#include "api/env.h"
#include "api/id.h"
#include "api/record.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    PANG_KEY_MAX = 2560,              /* bytes; PostgreSQL's index rows hold 2,704 */
    PANG_BODY_MAX = 12 << 20,         /* bytes of one record's body */
    PANG_GET_MAX = 1024,              /* refs in one get */
    PANG_SCAN_MAX = 10000,            /* rows of one scan call; more are read by resuming */
    PANG_COMMIT_OPS_MAX = 1 << 18,    /* checks + puts + deletes + appends + adds of one commit */
    PANG_COMMIT_BYTES_MAX = 64 << 20, /* keys and bodies of one commit */
    PANG_APPENDS_MAX = 4,             /* sequences one commit appends to */
    PANG_COMMIT_ID_LIFE_MS = 24 * 60 * 60 * 1000, /* how long an id that is not kept is known */
};

typedef enum {
    PANG_KIND_COUNTER = 1,   /* value: a signed sum; absent reads as 0 */
    PANG_KIND_SEQUENCE = 2,  /* value: the last number given; absent reads as 0 */
    PANG_KIND_COMMIT_ID = 3, /* the id of a commit, see pang_commit.id */
    PANG_KIND_FIRST = 16,    /* the catalog's from here on: api/keys.h */
} pang_kind;
enum { PANG_ID_VOID = 1 }; /* value of the id record that a void commit inserted; body empty */

/* ---- reading ---- */

typedef enum {
    PANG_REF_EXACT,   /* the record with this key */
    PANG_REF_CEILING, /* the record with the least key > this one whose first prefix_len bytes
                         equal this one's: the next in its range */
} pang_ref_mode;

typedef struct {
    pang_str key;
    size_t prefix_len; /* for CEILING */
    pang_ref_mode mode;
    bool immutable; /* written once, and final: a cache may answer, a CEILING under the ref's key */
    bool unchecked; /* in a transaction: no condition of its commit, whatever the others are */
} pang_ref;

typedef struct {
    pang_str prefix; /* rows whose key begins with this */
    pang_str after;  /* exclusive start in the direction of the scan; empty: from the end */
    pang_str until;  /* exclusive stop in the direction of the scan; empty: no stop */
    uint32_t limit;  /* 1 .. PANG_SCAN_MAX rows */
    bool descending, keys_only; /* keys_only: bodies are left empty */
} pang_query;

/* Called per row in key order; the row is borrowed until it returns. Return false to stop. It must
 * not call the store: a lock or a connection may be held while it runs. */
typedef bool pang_row_fn(void *arg, const pang_record *row);

/* ---- writing ---- */

/* Exactly one of the two: `key` has `version` (0: is absent), or counter `key` has `value`.
 * A version check on a counter or sequence is a bug. */
typedef struct {
    pang_str key;
    uint64_t version;
    int64_t value;
    bool is_counter;
} pang_check;

enum { PANG_NO_SLOT = -1, PANG_SLOT_DIGITS = 16 };
typedef struct {
    pang_str key, body;
    int64_t expires_ms; /* 0: never; must be > 0 only for what nothing hangs on */
    uint32_t kind;      /* >= PANG_KIND_FIRST */
    int slot; /* which of the commit's appends gives sequence and time_ms; PANG_NO_SLOT: 0 */
    /* With key_slot != PANG_NO_SLOT the 16 bytes at key_slot_at in the key are replaced by that
     * append's number as 16 lower-case hex digits. */
    int key_slot;
    size_t key_slot_at;
} pang_put;

typedef struct {
    pang_str counter;
    int64_t amount;
} pang_add;
typedef enum {
    PANG_COMMIT_OK,      /* landed, durable */
    PANG_COMMIT_ABORTED, /* a check failed, or the id was there; nothing was written */
    PANG_COMMIT_FAILED,  /* could not (disk full, no memory, no connection); nothing was written */
    PANG_COMMIT_UNKNOWN, /* the connection died in between */
} pang_outcome;

typedef struct {
    /* In. All borrowed until apply returns. */
    pang_str scope;   /* the tenant's or system's prefix: fairness, and locks for absence checks */
    pang_id id;       /* unique per commit. Inserted at id_key in the same transaction; if it is
                         there, the commit is ABORTED and `id_was_there` set, whatever the
                         checks would say */
    pang_str id_key;  /* built by keys.c */
    pang_str id_body; /* kept with the id; the id record's sequence is that of append 0 */
    bool id_kept;     /* false: the id record expires after PANG_COMMIT_ID_LIFE_MS */
    bool is_void;     /* insert the id, marked void, and nothing else: see pang_store_resolve */
    const pang_check *checks;
    size_t n_checks;
    const pang_put *puts; /* upserts; the last put to a key wins; put and delete of one key: bug */
    size_t n_puts;
    const pang_str *deletes; /* absent is fine */
    size_t n_deletes;
    const pang_str *appends; /* sequences, each at most once: takes its next number */
    size_t n_appends;
    const pang_add *adds; /* commute: they never make a commit fail */
    size_t n_adds;

    /* Out, all set by apply. */
    pang_outcome outcome;
    /* Per append; OK only. Numbers of landed commits are gapless and in landing order. After a
     * resolve only that of append 0 is known, the others are 0. */
    uint64_t numbers[PANG_APPENDS_MAX];
    int64_t time_ms; /* OK: max(last time of every sequence appended to, store's clock) */
    /* OK: the version of puts[0], those behind it follow one by one; 0: the store does not say,
     * nor does a resolve. */
    uint64_t first_version;
    size_t failed_check; /* ABORTED: index of a check that failed; n_checks when none is known */
    bool id_was_there;   /* ABORTED: because of the id */
    pang_err err;        /* FAILED and UNKNOWN: why */
} pang_commit;

/* ---- the seam ---- */

typedef struct pang_store pang_store;
typedef struct {
    pang_str url;         /* "memory:", "sqlite:/path/file.db", "postgres://...", "mongodb://..." */
    const pang_env *env;  /* const after start; outlives the store */
    unsigned connections; /* how many a remote backend may open; 0: its default */
    unsigned connections_min;   /* how many of them open makes at once; at most `connections` */
    int64_t connect_timeout_ms; /* of one attempt; 0: the backend's default */
    pang_str database;          /* MongoDB: in place of the url's; empty: that */
} pang_store_config;

/* Connects, and creates nothing. ERRORS: INVALID_ARGUMENT (url), UNAVAILABLE, FAILED_PRECONDITION
 * (another server holds it, or it was written by a newer version). */
typedef pang_code pang_store_open_fn(const pang_store_config *config, pang_store **ret,
                                     pang_err *err);
/* Ends after every call in flight has returned. NULL is fine. */
typedef void pang_store_close_fn(pang_store *store);
/* Creates or upgrades what the store needs; may run twice, and from two servers at once.
 * ERRORS: FAILED_PRECONDITION (newer than this program), UNAVAILABLE. */
typedef pang_code pang_store_migrate_fn(pang_store *store, pang_err *err);
/* One round trip; says that the store answers. */
typedef pang_code pang_store_ping_fn(pang_store *store, int64_t deadline_ms, pang_err *err);
/* records[i] answers refs[i]; what is not there has version 0. n <= PANG_GET_MAX.
 * ERRORS: UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (arena). */
typedef pang_code pang_store_get_fn(pang_store *store, const pang_ref *refs, size_t n,
                                    int64_t deadline_ms, pang_arena *arena, pang_record *records,
                                    pang_err *err);
/* Rows in key order until limit, the end, or `row` says stop. To resume, pass the last row's key
 * as `after`. ERRORS: as get. */
typedef pang_code pang_store_scan_fn(pang_store *store, const pang_query *query,
                                     int64_t deadline_ms, pang_row_fn *row, void *arg,
                                     pang_err *err);
/* Applies n commits in order, each for itself; later ones see what earlier ones wrote. Sets every
 * commit's outcome and never returns before it has. Durability is paid once per call. If the group
 * as a whole cannot be made durable every member is FAILED or UNKNOWN: the caller (store.c) then
 * sends them singly. */
typedef void pang_store_apply_fn(pang_store *store, pang_commit *const *commits, size_t n);

typedef struct {
    const char *scheme; /* "sqlite" */
    /* True when this process alone can write the store while it is open, so that what its own
     * applies changed is all that can have changed. */
    bool exclusive;
    /* True when get and scan never wait for the network: handlers may run on a queue thread. */
    bool local;
    pang_store_open_fn *open;
    pang_store_close_fn *close;
    pang_store_migrate_fn *migrate;
    pang_store_ping_fn *ping;
    pang_store_get_fn *get;
    pang_store_scan_fn *scan;
    pang_store_apply_fn *apply;
} pang_store_ops;

/* Every backend's own struct begins with this. */
struct pang_store {
    unsigned magic; /* PANG_STORE_MAGIC */
    const pang_store_ops *ops;
    const pang_env *env;
};
#define PANG_STORE_MAGIC 0x53544F52u

/* storage/stores.c: the one list, NULL at its end. */
extern const pang_store_ops *const pang_stores[];

/* ---- storage/store.c: how the seam is called ---- */

/* The backend by the url's scheme ("mongodb+srv" is mongodb's), or NULL. */
const pang_store_ops *pang_store_find(pang_str url);
/* Finds the backend by the url's scheme, asserts that no slot is empty, opens. */
PANG_MUST_CHECK pang_code pang_store_open(const pang_store_config *config, pang_store **ret,
                                          pang_err *err);
void pang_store_close(pang_store *store);
PANG_MUST_CHECK pang_code pang_store_migrate(pang_store *store, pang_err *err);
PANG_MUST_CHECK pang_code pang_store_ping(pang_store *store, int64_t deadline_ms, pang_err *err);
PANG_MUST_CHECK pang_code pang_store_get(pang_store *store, const pang_ref *refs, size_t n,
                                         int64_t deadline_ms, pang_arena *arena,
                                         pang_record *records, pang_err *err);
PANG_MUST_CHECK pang_code pang_store_scan(pang_store *store, const pang_query *query,
                                          int64_t deadline_ms, pang_row_fn *row, void *arg,
                                          pang_err *err);
/* Checks the bounds above (a breach is FAILED), then applies. */
void pang_store_apply(pang_store *store, pang_commit *const *commits, size_t n);
/* Settles an UNKNOWN commit: inserts its id marked void. Afterwards commit->outcome is OK (it had
 * landed; numbers and time_ms are filled in from the id record), ABORTED (it can never land any
 * more), or still UNKNOWN when the store did not answer by the deadline. */
void pang_store_resolve(pang_store *store, pang_commit *commit, int64_t deadline_ms);

#ifdef __cplusplus
}
#endif
#endif
