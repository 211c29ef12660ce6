/*
 * What the four files of the MongoDB backend share: mongodb.c opens, mongodb_read.c reads,
 * mongodb_apply.c writes, mongodb_log.c knows documents and the tail of the log. The ideas are told
 * there. Called by those four only. Threads: the tail has a lock of its own; an entry of it never
 * changes and is counted, so that readers keep what they began with.
 */
#ifndef PANG_STORAGE_MONGODB_INTERNAL_H
#define PANG_STORAGE_MONGODB_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <mongoc/mongoc.h>

#include "storage/backends.h"
#include "storage/range.h"

enum {
    MONGO_TAIL_MAX = 1024,                /* entries of log in memory; derived long before */
    MONGO_DERIVE_AT = 32,                 /* entries that make a writer derive records */
    MONGO_DERIVE_CHANGES = 8192,          /* changes in fewer entries that do */
    MONGO_INDEX_BITS = 20,                /* of a version: the place within its group */
    MONGO_ID_MAX = 2 * PANG_KEY_MAX + 64, /* bytes of an _id */
    MONGO_BODY_INLINE = 64 << 10,         /* longer bodies are documents of their own */
    MONGO_PART_BYTES = 6 << 20,           /* of changes in one document; MongoDB takes 16 MiB */
};

/* A record as a document has it. Borrows from the document. */
typedef struct {
    pang_record row; /* the body is empty where `body_id` is not NULL */
    uint64_t at;     /* the number of the log entry that wrote it */
    const char *body_id;
    bool is_deleted;
} mongo_version;

/* What one group of commits changed. */
typedef struct {
    atomic_uint refs;
    uint64_t at;
    size_t n, room;
    bson_t **documents;      /* owned; each is the record's document */
    mongo_version *versions; /* of the documents, sorted by key */
} mongo_entry;

typedef struct {
    pang_store base;
    mongoc_client_pool_t *pool;
    mongoc_uri_t *uri;
    char *database;
    unsigned clients_min;
    mongoc_client_t *pinger;    /* made by the first ping, with time limits of its own */
    pthread_mutex_t ping_lock;  /* guards that */
    pthread_mutex_t apply_lock; /* one group at a time: they would race for one number */
    pthread_mutex_t lock;       /* guards the rest */
    mongo_entry *tail[MONGO_TAIL_MAX];
    size_t n_tail;
    uint64_t derived;                       /* entries up to here are records in the collection */
    int64_t clock_ahead_ms, clock_asked_ms; /* the database's clock less ours; when it was asked */
} mongodb_store;

/* The state that a read is of: everything up to the entry `at`. */
typedef struct {
    mongo_entry *entries[MONGO_TAIL_MAX]; /* held; in order */
    size_t n;
    uint64_t at;
} mongo_snapshot;

/* A client of the pool and its collection. */
typedef struct {
    mongoc_client_t *client;
    mongoc_collection_t *records;
} mongo_session;

pang_code pang_mongo_take(mongodb_store *s, mongo_session *ret, pang_err *err);
void pang_mongo_give(mongodb_store *s, mongo_session *c);
pang_code pang_mongo_fail(const bson_error_t *error, pang_err *err);
/* The database's clock, asked again at times. ERRORS: UNAVAILABLE. */
pang_code pang_mongo_now(mongodb_store *s, mongo_session *c, int64_t *ret_ms, pang_err *err);

/* mongodb_log.c: documents. The _id of a key's versions, newest first, is prefix + number. */
size_t pang_mongo_key_id(pang_str key, char to[MONGO_ID_MAX]); /* without the number; no NUL */
void pang_mongo_record_id(pang_str key, uint64_t at, char to[MONGO_ID_MAX]);
void pang_mongo_log_id(uint64_t at, char to[32]);
uint64_t pang_mongo_version(uint64_t at, size_t index);
/* The document of a record; body_id NULL: the body is in it. */
bson_t *pang_mongo_encode(const pang_record *row, uint64_t at, bool is_deleted,
                          const char *body_id);
bool pang_mongo_decode(const bson_t *document, mongo_version *ret);

/* The _id of a document; "" when it is no string. */
const char *pang_mongo_id_of(const bson_t *document);

/* Entries. */
mongo_entry *pang_mongo_entry_new(uint64_t at);
void pang_mongo_entry_add(mongo_entry *e, bson_t *document); /* takes it */
/* Call once, when all documents are in. False when one of them is no record. */
bool pang_mongo_entry_seal(mongo_entry *e);
void pang_mongo_entry_drop(mongo_entry *e); /* NULL is fine */
/* From a document of the log. DATA_LOSS when it makes no sense. */
pang_code pang_mongo_entry_read(mongo_session *c, const bson_t *document, mongo_entry **ret,
                                pang_err *err);

/* The tail. */
void pang_mongo_snapshot(mongodb_store *s, mongo_snapshot *ret);
void pang_mongo_snapshot_end(mongo_snapshot *snapshot);
/* Adds an entry that a find has shown, to the snapshot and to the store; takes one reference.
 * False when it does not follow: then the snapshot ends before it. */
bool pang_mongo_follow(mongodb_store *s, mongo_snapshot *snapshot, mongo_entry *e);
/* The newest version of a key that the snapshot's entries hold, or NULL. */
const mongo_version *pang_mongo_in_tail(const mongo_snapshot *snapshot, pang_str key);
/* Entries up to here are among the records: what of the tail is older is dropped. */
void pang_mongo_forget(mongodb_store *s, uint64_t derived);
/* Writes the tail's records into the collection and shortens it. Errors only delay it. */
void pang_mongo_derive(mongodb_store *s, mongo_session *c);

/* mongodb_read.c: what one read is about. */
typedef struct {
    mongodb_store *store;
    mongo_session session;
    pang_arena *arena;
    int64_t deadline_ms, now_ms;
    mongo_snapshot snapshot;
    pang_err err;
} mongo_read;

/* Takes a client, and the state as far as this process knows it. *r is zeroed, but for the store,
 * the arena and the deadline. */
pang_code pang_mongo_read_begin(mongo_read *r);
void pang_mongo_read_end(mongo_read *r);
/* Follows the log to its end, and reads the newest version of each key as of there: *rows[i] has
 * version 0 when there is none. Further calls read as of the same state. n <= PANG_GET_MAX. */
pang_code pang_mongo_read_keys(mongo_read *r, const pang_str *keys, size_t n, bool follow,
                               bool with_bodies, pang_record *rows);

extern pang_store_get_fn pang_mongodb_get;
extern pang_store_scan_fn pang_mongodb_scan;

/* mongodb_apply.c */
extern pang_store_apply_fn pang_mongodb_apply;

#endif
