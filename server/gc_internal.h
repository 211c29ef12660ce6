/*
 * The inside of the collector and of retention: what reaches a catalog's content, names that were
 * marked, and marking. Called by gc*.c and retain.c alone. Threads: one. Lifetime: in the arena
 * given.
 */
#ifndef PANG_SERVER_GC_INTERNAL_H
#define PANG_SERVER_GC_INTERNAL_H

#include "api/keys_versions.h"
#include "server/content.h"
#include "server/gc.h"
#include "server/state_internal.h"

/* ---- gc_points.c: what reaches a catalog's content ---- */

enum {
    PANG_POINTS_MAX = 1000000,                /* of one catalog */
    PANG_GC_KEPT_MIN_MS = 2 * 60 * 60 * 1000, /* any state: pages of a list, work under way */
};

/* A number of a branch at which something reads it; PANG_NOW: its head. */
typedef struct {
    pang_id branch;
    uint64_t at;
} pang_gc_point;

/* A branch id that there is, hidden ones included. */
typedef struct {
    pang_id id;
    bool hidden;
    bool old;  /* hidden, longer ago than states are kept by their age */
    bool kept; /* something needs it; else it goes, once it is old */
    int64_t hidden_ms;
    pang_rec_point **bases, **forks;
    size_t n_bases, n_forks;
    pang_id next; /* that has its name now; nil: none */
} pang_gc_branch;

/* A merge mark; numbers that its record leaves out are filled in. */
typedef struct {
    pang_id into, from;
    uint64_t version;
    pang_rec_merge_mark *body;
    bool kept; /* there is a branch of `from` that counts */
} pang_gc_mark_record;

typedef struct {
    pang_gc_point *points; /* by branch, then number */
    size_t n;
    pang_gc_point *chain; /* of these: where refs, young hidden branches and open merges stand, and
                             what they were made from */
    size_t n_chain;
    uint64_t lowest; /* number of any of the chain: logs are read down to it; PANG_NOW: none */
    pang_gc_branch *branches;
    size_t n_branches;
    pang_gc_mark_record *marks; /* of branches that are kept, by `from`, then `into` */
    size_t n_marks;
    int64_t undrop_ms;
    int64_t keep_ms, horizon_ms; /* states stay for so long after they were replaced: until now,
                                    those replaced after the horizon */
    int64_t refs_epoch;          /* of the catalog's refs, before anything was read */
} pang_gc_points;

/* Bases, forks, tags, heads, marks and open merges. Read before content is: what a ref shows that
 * is made later is young, or was reached before. ERRORS: NOT_FOUND (there is no such catalog), the
 * store's, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_gc_points_read(pang_store *store, pang_str scope, pang_id catalog,
                                              int64_t now_ms, pang_arena *arena,
                                              pang_gc_points **ret, pang_err *err);
/* Whether something reads what a branch held from commit `from` to before commit `until`; PANG_NOW:
 * it holds it still. */
bool pang_gc_reaches(const pang_gc_points *points, pang_id branch, uint64_t from, uint64_t until);
/* The same of the chain alone. */
bool pang_gc_made_at(const pang_gc_points *points, pang_id branch, uint64_t from, uint64_t until);
/* Whether any ref was made or ended since. */
PANG_MUST_CHECK pang_code pang_gc_refs_moved(pang_store *store, pang_str scope, pang_id catalog,
                                             const pang_gc_points *points, pang_arena *arena,
                                             bool *ret, pang_err *err);
/* Whether a merge is neither completed nor given up; and the branch without which it can only be
 * given up. */
bool pang_gc_is_open(const pang_rec_merge_operation *merge);
pang_id pang_gc_merge_into(const pang_rec_merge_operation *merge);

/* ---- gc_scan.c: over all rows of a range ---- */

typedef struct {
    pang_str prefix;
    pang_str after; /* the key behind which to begin; empty: all */
    bool keys_only;
} pang_gc_range;

/* Rows in pieces, copied into the arena of each piece so that `fn` may ask the store. Return false
 * to stop. */
typedef bool pang_gc_piece_fn(void *arg, const pang_record *rows, size_t n, pang_arena *arena);
PANG_MUST_CHECK pang_code pang_gc_scan_pieces(pang_store *store, const pang_gc_range *range,
                                              pang_gc_piece_fn *fn, void *arg, pang_err *err);
/* The same row by row. */
typedef bool pang_gc_row_fn(void *arg, const pang_record *row, pang_arena *arena);
PANG_MUST_CHECK pang_code pang_gc_scan(pang_store *store, pang_str prefix, pang_str after,
                                       pang_gc_row_fn *fn, void *arg, pang_err *err);

/* ---- gc_set.c: names that were marked ---- */

/* Names of one part of `parts`: others are not taken. Kept as hashes: two that collide are kept
 * both, never one too few. */
typedef struct {
    uint64_t *slots;
    size_t n, size, most;
    unsigned part, parts;
    bool full; /* a name found no room */
} pang_gc_set;

void pang_gc_set_init(pang_gc_set *set, size_t most);
void pang_gc_set_free(pang_gc_set *set);
/* Empties it, for the names of a part. */
void pang_gc_set_begin(pang_gc_set *set, unsigned part, unsigned parts);
bool pang_gc_set_takes(const pang_gc_set *set, pang_str name);
/* False when it was there. Without room `full` is set. */
bool pang_gc_set_add(pang_gc_set *set, pang_str name);
bool pang_gc_set_has(const pang_gc_set *set, pang_str name);

/* ---- gc_mark.c: what names files of a place ---- */

typedef struct {
    pang_state *state;
    pang_store *store;
    pang_str scope;
    pang_id catalog;
    const pang_gc_points *points;
    int64_t now_ms, keep_ms; /* what was replaced later than keep_ms ago is reached */
} pang_gc;

/* A document that something names. */
typedef struct {
    pang_id document;
    char *location; /* of its file */
    bool reached;   /* by a ref: not by age alone */
} pang_gc_document;

typedef struct {
    pang_gc_document *documents;
    size_t n;
    bool found;       /* there are records of it at all */
    bool keeps_files; /* nothing reaches it, and its last name was dropped, not purged */
} pang_gc_asset;

/* All documents of an asset that are reached. ERRORS: the store's, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_gc_find(const pang_gc *gc, pang_id asset, pang_arena *arena,
                                       pang_gc_asset *ret, pang_err *err);
/* Marks the canonical names of all files below `place` that a document names. `seen` has the
 * manifests that were read before in this pass. ERRORS: what kept a file from being read. */
PANG_MUST_CHECK pang_code pang_gc_mark(const pang_gc *gc, const pang_gc_document *document,
                                       pang_str place, pang_gc_set *marks, pang_gc_set *seen,
                                       pang_err *err);

#endif
