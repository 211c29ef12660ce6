/*
 * Setup: what a start works out of its configuration before anything is opened.
 * Called by main.c at start, by one thread. Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_SETUP_H
#define PANG_SERVER_SETUP_H

#include <sys/types.h>

#include "api/arena.h"
#include "api/config.h"
#include "api/env.h"
#include "api/id.h"
#include "api/vending.h"

/* Where things are. All absolute; text is NUL-terminated. */
typedef struct {
    pang_str data;      /* the data folder, made (0710) when missing */
    pang_str lock;      /* <data>/run/server.lock */
    pang_str socket;    /* <data>/run/core.sock, or what was configured */
    pang_str warehouse; /* <data>/warehouse: of the demo catalog, and always permitted */
} pang_places;

/* ERRORS: INVALID_ARGUMENT (too long), UNAVAILABLE (the folder cannot be made or used),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_setup_places(const pang_config *config, pang_arena *arena,
                                            pang_places *ret, pang_err *err);

/* The store's url, in the spelling of api/storage.h: the configured one, made whole where it is
 * short for something ("catalog.db", "postgresql://"), or SQLite in the data folder.
 * ERRORS: INVALID_ARGUMENT (storage-type and url disagree, or a url is needed). */
PANG_MUST_CHECK pang_code pang_setup_store_url(const pang_config *config, pang_str data,
                                               pang_arena *arena, pang_str *ret, pang_err *err);

/* This server's id: <data>/server.id, made on the first start. Audit rows are numbered by it.
 * ERRORS: UNAVAILABLE, DATA_LOSS (the file is damaged). */
PANG_MUST_CHECK pang_code pang_setup_server_id(pang_str data, const pang_env *env, pang_id *ret,
                                               pang_err *err);

/* Opens every kind of object store, for what the configuration permits and the folder `warehouse`.
 * `list` has room for PANG_OBJECT_KINDS_MAX and NULL behind the last; what was opened the caller
 * closes, after a failure too. ERRORS: those of opening. */
enum { PANG_OBJECT_KINDS_MAX = 8 };
PANG_MUST_CHECK pang_code pang_setup_objects(const pang_config *config, pang_str warehouse,
                                             pang_objects *list[PANG_OBJECT_KINDS_MAX + 1],
                                             pang_err *err);

/* The numbers of allowed-uids. ERRORS: INVALID_ARGUMENT. */
PANG_MUST_CHECK pang_code pang_setup_uids(const pang_config *config, pang_arena *arena,
                                          const uid_t **ret, size_t *ret_n, pang_err *err);

/* Raises the bound on open files as far as it goes. */
void pang_setup_open_files(void);

/* Tells a service manager ("READY=1", "STOPPING=1"), when one listens. */
void pang_setup_notify(const char *state);

#endif
