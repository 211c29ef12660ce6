/*
 * The collector as a command uses it: on the store and the warehouses themselves, without a server,
 * or beside one where the store lets both. Implemented in server/collect.c.
 * Called by cli/. Threads: one. Lifetime: as said.
 */
#ifndef PANG_API_COLLECT_H
#define PANG_API_COLLECT_H

#include "api/config.h"
#include "api/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PANG_COLLECT_GRACE_MIN_MS = 60 * 60 * 1000 };

/* What is to be done; see server/gc.h. */
typedef struct {
    const char *tenant;  /* its id; NULL: every tenant */
    const char *catalog; /* its name; NULL: every catalog */
    int64_t grace_ms;    /* how long a file was not touched */
    bool dry_run;
} pang_collect_plan;

/* Records of a kind. */
typedef struct {
    const char *kind;
    uint64_t removed, left;
} pang_collect_records;

/* One catalog's outcome. */
typedef struct {
    pang_str tenant, catalog; /* id as in keys, name */
    uint64_t places, skipped, files, removed, bytes, released;
    const pang_collect_records *records;
    size_t n_records;
    const char *reason; /* why the last place was skipped, or the catalog; empty: nothing was */
} pang_collect_report;

typedef struct {
    /* Each file that goes, or would; may be NULL. */
    void (*file)(void *arg, pang_str location, int64_t bytes);
    /* Each catalog, once it is done. */
    void (*catalog)(void *arg, const pang_collect_report *report);
    void *arg;
} pang_collect_listener;

/* Takes the store, which it closes. *ret_catalogs: how many there were.
 * ERRORS: those of the store and of opening the object stores. */
PANG_MUST_CHECK pang_code pang_collect_run(pang_store *store, const pang_config *config,
                                           const pang_env *env, const pang_collect_plan *plan,
                                           const pang_collect_listener *listener,
                                           size_t *ret_catalogs, pang_err *err);

#ifdef __cplusplus
}
#endif
#endif
