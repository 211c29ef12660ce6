/*
 * Plan of a group: what backends share that cannot decide a commit where its records are. They read
 * what the group depends on, under whatever keeps it from changing, and the plan says which commits
 * land and what is then written. Members see those before them.
 * Called by postgres.c and mongodb.c only. Threads: one. Lifetime: everything lives in the arena
 * given, keys and bodies are borrowed from the commits.
 *
 *     pang_plan_begin        plan->entries[0 .. n_read): keys to be read
 *     pang_plan_found        for each that is there
 *     pang_plan_decide       sets the outcomes; entries say what to write
 */
#ifndef PANG_STORAGE_PLAN_H
#define PANG_STORAGE_PLAN_H

#include "api/storage.h"

typedef enum { PANG_PLAN_KEPT, PANG_PLAN_PUT, PANG_PLAN_DELETED } pang_plan_change;

typedef struct {
    pang_record row; /* key, and what it is now: as read, then as the group leaves it. The version
                        of what the group puts is the backend's to give. */
    bool is_live;    /* there, and not expired */
    pang_plan_change change;
} pang_plan_entry;

typedef struct {
    pang_plan_entry *entries;
    size_t n, n_read, room;
    pang_arena *arena;
    uint32_t *table; /* entry + 1 by hash of key; 0: none */
    size_t mask;
} pang_plan;

/* Finds the keys that the group's outcomes depend on. False without memory. */
bool pang_plan_begin(pang_plan *plan, pang_commit *const *commits, size_t n, pang_arena *arena);
/* Entry i was read: version, value, time_ms and expires_ms count. Call for what exists only. */
void pang_plan_found(pang_plan *plan, size_t i, const pang_record *row, int64_t now_ms);
/* Sets outcome, numbers, time_ms, failed_check and id_was_there of each commit, as if they had run
 * one after the other at `now_ms` (the store's clock), and changes the entries. Returns how many
 * landed. False without memory: nothing may be written then. */
bool pang_plan_decide(pang_plan *plan, pang_commit *const *commits, size_t n, int64_t now_ms,
                      size_t *ret_landed);
/* Gives every commit one outcome and error, and clears what else was set. */
void pang_plan_end_all(pang_commit *const *commits, size_t n, pang_outcome outcome,
                       const pang_err *err);

#endif
