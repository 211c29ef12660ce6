/*
 * State: what the catalog's services share in one process besides the store: the cache of
 * metadata documents, and the work that is done later (making files durable, removing files of
 * purged tables, ending reservations).
 * Called by main (open, start, work, close); services reach it through pang_server_env.
 * Threads: any for what services call; work belongs to one thread at a time, main's choice.
 * Lifetime: outlives every call.
 */
#ifndef PANG_SERVER_STATE_H
#define PANG_SERVER_STATE_H

#include "api/txn.h"
#include "api/vending.h"

typedef struct pang_state pang_state;
struct pang_trees;

enum {
    PANG_DOCUMENTS_BYTES = 64 << 20, /* of decompressed documents kept in memory */
    PANG_TREES_BYTES = 6 << 20,      /* of text whose trees are kept for the next commit */
};

typedef struct {
    const pang_env *env;
    pang_db *db;
    pang_objects *const *objects; /* NULL at the end; borrowed */
    size_t documents_bytes;       /* 0: PANG_DOCUMENTS_BYTES */
    int64_t care_interval_ms;     /* between two cares for a catalog (server/care.h); 0: never */
} pang_state_config;

/* Touches nothing yet. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_state_open(const pang_state_config *config, pang_state **ret,
                                          pang_err *err);
/* REQUIRES: no call and no work in flight. NULL is fine. */
void pang_state_close(pang_state *state);

/* What the first start of an empty store makes for trying things out. */
typedef struct {
    pang_str demo_catalog;   /* its name; empty: none is made */
    pang_str demo_warehouse; /* its location: "file:///srv/pangolin/warehouse" */
} pang_start_config;

/* Before anything is served: makes the demo catalog in the nil tenant where there is none, and
 * writes every file again that a power loss took (the document is in the store). Several servers
 * may do so at once. ERRORS: the store's, INVALID_ARGUMENT (the warehouse is no location or not
 * permitted), DATA_LOSS. */
PANG_MUST_CHECK pang_code pang_state_start(pang_state *state, const pang_start_config *config,
                                           pang_err *err);

/* One round of later work. Returns in how many milliseconds the next is due; a failure is only
 * told in *err (code PANG_OK: none), since the next round tries again. */
int64_t pang_state_work(pang_state *state, pang_err *err);

/* Long work ends soon, and goes on when it is begun anew: before its thread is waited for. */
void pang_state_stop(pang_state *state);

struct pang_trees *pang_state_trees(pang_state *state);
pang_objects *const *pang_state_objects(const pang_state *state);
/* A service tells that it wrote a lazy file, so that the next round looks for it. */
void pang_state_wrote_file(pang_state *state);

/* For metrics. */
typedef struct {
    uint64_t documents, document_bytes, document_hits, document_misses;
    uint64_t files_synced, files_restored, files_purged, rounds_failed;
    uint64_t gc_runs, gc_skipped, gc_removed, gc_bytes; /* of the collector, without dry runs */
    int64_t gc_last_ms;                                 /* when a run ended last; 0: none has */
} pang_state_stats;
void pang_state_get_stats(pang_state *state, pang_state_stats *ret);

/* Records of one kind in the store as counted last (server/growth.h), and what retention removed in
 * this process. */
typedef struct {
    const char *kind;
    bool has_bytes; /* they are counted, of keys and bodies */
    uint64_t records, bytes, removed;
} pang_record_stats;
/* REQUIRES: kind < PANG_RETAIN_KINDS (server/retain.h). */
void pang_state_get_records(pang_state *state, size_t kind, pang_record_stats *ret);

#endif
