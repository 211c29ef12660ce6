/*
 * The inside of pang_audit, for the files that share it: audit_row.c, audit_buffer.c,
 * audit_group.c, audit_seal.c, audit_work.c.
 * Called by nothing else. Threads: as said per member.
 */
#ifndef PANG_SERVER_AUDIT_INTERNAL_H
#define PANG_SERVER_AUDIT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/keys.h"
#include "server/audit_log.h"

enum {
    AUDIT_SHARDS = 8,
    AUDIT_CHUNK_BYTES = 64 << 10,
    AUDIT_SCOPE_BYTES = PANG_SCOPE_MAX + 1,
    AUDIT_GROUP_ENTRIES = 4096, /* of one row; fewer than 65536: see pang_audit_event_id */
    AUDIT_GROUP_KINDS = 1024,   /* callers, and things done, that one row tells apart */
    AUDIT_GROUP_TEXT = 1 << 20, /* bytes of entries in one row, about */
    AUDIT_ARENA_BYTES = 64 << 20,
    AUDIT_SEAL_LOCKS = 16,
    AUDIT_MINUTES = 1024, /* principals that pang_audit_is_due remembers, about */
};

/* The texts of an entry: three that say who, three that say what, then its own. */
enum {
    ENTRY_NAME,
    ENTRY_ADDRESS,
    ENTRY_AGENT,
    ENTRY_ACTION,
    ENTRY_METHOD,
    ENTRY_OBJECT,
    ENTRY_REQUEST,
    ENTRY_MESSAGE,
    ENTRY_METADATA,
    ENTRY_TEXTS,
};

/* One thing that happened, its texts behind it without NULs. */
typedef struct {
    uint32_t size; /* with the texts, rounded up */
    uint32_t code, kind;
    bool written;
    char scope[AUDIT_SCOPE_BYTES];
    pang_id principal, resource;
    const char *type;
    int64_t time_ms;
    uint64_t count;
    uint16_t lens[ENTRY_TEXTS];
    char texts[];
} audit_entry;

typedef struct audit_chunk {
    struct audit_chunk *next;
    size_t used;
    _Alignas(16) char bytes[AUDIT_CHUNK_BYTES];
} audit_chunk;

typedef struct {
    pthread_mutex_t lock; /* of chunks */
    audit_chunk *chunks;  /* the newest first */
    char apart[64];       /* from the next shard's lock */
} audit_shard;

/* An unknown caller's failures since they were last written. */
typedef struct {
    uint64_t count; /* 0: free */
    int64_t last_ms;
    const char *action;
    char scope[AUDIT_SCOPE_BYTES];
    char address[48];
} audit_stranger;

/* Tenants that have rows which are not sealed, as far as this server knows: a table of texts by
 * their hash. */
typedef struct {
    char (*slots)[AUDIT_SCOPE_BYTES]; /* empty: free */
    size_t n, room;                   /* room: a power of two, or 0 */
} audit_scopes;

struct pang_audit {
    pang_audit_config config; /* const after open */
    audit_shard shards[AUDIT_SHARDS];
    atomic_size_t buffered; /* bytes of all chunks */
    atomic_uint_fast64_t groups, entries, seals, n_strangers, failures;

    pthread_mutex_t flush_lock; /* of pending; held while a group is written */
    audit_chunk *pending;       /* taken from the shards, not yet written */

    /* Sealing is one at a time for a tenant (by a hash of it), and for the list of them: who comes
     * second waits, and finds sealed what he came for, instead of losing the race for the end.
     * The list's is taken first. */
    pthread_mutex_t seal_locks[AUDIT_SEAL_LOCKS], list_lock;

    pthread_mutex_t stranger_lock; /* of the four below */
    audit_stranger strangers[PANG_AUDIT_STRANGERS];
    size_t strangers_used;
    int64_t window_ms; /* mono: when the minute began */
    unsigned window_left;

    atomic_uint_fast64_t minutes[AUDIT_MINUTES]; /* who and when, mixed */

    pthread_mutex_t dirty_lock; /* of the two below */
    audit_scopes dirty;
    bool sweep_now; /* some could not be noted */

    int64_t sweep_at_ms; /* mono; of the thread that works, as is the next */
    int64_t retire_at_ms;
};

/* audit_group.c: packs as many of the entries, all of one scope and in order of time, as one row
 * may hold. */
PANG_MUST_CHECK pang_code pang_audit_group(audit_entry *const *entries, size_t n, pang_str scope,
                                           pang_id server, pang_arena *arena, pang_str *ret_body,
                                           size_t *ret_taken, pang_err *err);

/* audit_buffer.c. */
pang_str pang_audit_text(const audit_entry *entry, unsigned which);
/* Moves what is due of the unknown callers' failures to the buffer; all when `all`. */
void pang_audit_take_strangers(pang_audit *audit, bool all);

/* audit_retire.c: removes the oldest seal of a tenant, with its rows, if all that it tells of is
 * older than the retention. *ret_more: it did, and the next may be too. ERRORS: ABORTED (another
 * server wrote the end of the chain), the store's. */
PANG_MUST_CHECK pang_code pang_audit_retire(pang_audit *audit, pang_str scope, bool *ret_more,
                                            pang_err *err);

#endif
