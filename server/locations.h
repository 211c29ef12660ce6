/*
 * Locations: which places a catalog may use, and to whom each belongs. A location belongs to one
 * asset; no two overlap, in any catalog of any tenant, since tenants may share a bucket.
 * Called by the table service and by later work. Threads: as the transaction's.
 *
 * Reserving inserts the location's record and adds one to a counter of each of its ancestors; it
 * demands that no ancestor is reserved and that its own counter (what lies below) is zero, but
 * for what the asset itself holds. All of it is checked by the commit.
 * A dropped table keeps its reservation until it cannot come back, and a staged one until its
 * deadline; then later work ends them. Until then the same catalog may take such a place over
 * when it names it, since a person who names a location means it.
 */
#ifndef PANG_SERVER_LOCATIONS_H
#define PANG_SERVER_LOCATIONS_H

#include "api/vending.h"
#include "server/content.h"

enum {
    PANG_RESERVED_MAX = 16,                    /* places that one asset holds */
    PANG_STAGED_LIFE_MS = 24 * 60 * 60 * 1000, /* from a staged create to its commit */
};

/* Whether the catalog may place anything at `at`: below its warehouse or another allowed
 * location, and where the server's object stores permit it.
 * ERRORS: INVALID_ARGUMENT (it may not), the store's. */
PANG_MUST_CHECK pang_code pang_location_check(pang_view *view, pang_objects *const *objects,
                                              const pang_location *at, const char *what,
                                              pang_err *err);

/* Where a namespace's tables go by default: its own property "location" (of `body`, which may be
 * NULL) where the catalog may use that, else the warehouse and the levels.
 * ERRORS: INVALID_ARGUMENT (too long), the store's. */
PANG_MUST_CHECK pang_code pang_namespace_location(pang_view *view, pang_objects *const *objects,
                                                  pang_levels levels, const pang_rec_content *body,
                                                  pang_location *ret, pang_err *err);
/* Where they go when that place lies in another table's: a folder directly below the warehouse,
 * named by the last level and by `body`'s asset, so that all of the namespace's tables meet there.
 * REQUIRES: levels.n > 0, body. ERRORS: as above. */
PANG_MUST_CHECK pang_code pang_namespace_location_beside(pang_view *view, pang_levels levels,
                                                         const pang_rec_content *body,
                                                         pang_location *ret, pang_err *err);

/* Whether the client may have the place of a table that was dropped. */
typedef pang_code pang_take_over_fn(void *arg, const pang_rec_reservation *old, bool *ret,
                                    pang_err *err);

/* What one asset holds and is about to hold. */
typedef struct {
    pang_view *view;
    const pang_env *env;
    const pang_principal *who;
    pang_id asset;
    bool staged;     /* a reservation that ends by itself */
    bool takes_over; /* may take a dropped table's place: the client named the location */
    pang_take_over_fn *may_take_over; /* asked then; NULL: it may */
    void *may_arg;
    pang_str held[PANG_RESERVED_MAX]; /* canonical */
    size_t n_held;
} pang_claim;

typedef enum {
    PANG_PLACE_OURS,    /* reserved now, or before */
    PANG_PLACE_TAKEN,   /* somebody else holds it, or something below */
    PANG_PLACE_COVERED, /* somebody else holds a place above: no name beside it would do */
} pang_placing;

/* Reserves `at`, unless the claim holds it or a place above it already. Nothing was reserved when
 * *ret is not OURS. ERRORS: INVALID_ARGUMENT (too many), the store's. */
PANG_MUST_CHECK pang_code pang_location_reserve(pang_claim *claim, const pang_location *at,
                                                pang_placing *ret, pang_err *err);

/* The asset, made by commit `since` of its branch, was dropped: its reservations last until
 * `deadline_ms`, and for as long as a ref that was made meanwhile may read it. */
PANG_MUST_CHECK pang_code pang_locations_drop(pang_view *view, const pang_rec_content *body,
                                              uint64_t since, int64_t deadline_ms, pang_err *err);
/* The dropped asset can come back for longer than was thought: its reservations that would end
 * before last until `deadline_ms`. *ret false: there are none, or its files are being removed, and
 * nothing was changed. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_locations_prolong(pang_txn *txn, pang_arena *arena, pang_id asset,
                                                 int64_t deadline_ms, const pang_str *canonicals,
                                                 size_t n, bool *ret, pang_err *err);
/* Before a purged table's files go: nobody takes its places any more. *ret_owned: they are all
 * still of the dropped asset, and not for longer than `now_ms`; if not, nothing was changed and its
 * files may be somebody's, or the table came back. */
PANG_MUST_CHECK pang_code pang_locations_seize(pang_txn *txn, pang_arena *arena, pang_id asset,
                                               int64_t now_ms, const pang_str *canonicals, size_t n,
                                               bool *ret_owned, pang_err *err);
/* Whether all places are the asset's: of a table that is there, or was dropped and can come back.
 */
PANG_MUST_CHECK pang_code pang_locations_are(pang_txn *txn, pang_arena *arena, pang_id asset,
                                             const pang_str *canonicals, size_t n, bool *ret,
                                             pang_err *err);
/* The dropped asset is there, on its branch or for a ref that reads it: its places are its own. */
PANG_MUST_CHECK pang_code pang_locations_keep(pang_txn *txn, pang_arena *arena, pang_id asset,
                                              const pang_str *canonicals, size_t n, pang_err *err);
/* An asset comes (back) to the view's branch with the places that its record names: those that it
 * has are live again, those that ended are reserved anew. *ret false: somebody else has one, or its
 * files are being removed; then the transaction must not land. ERRORS: the store's. */
PANG_MUST_CHECK pang_code pang_locations_bring(pang_view *view, const pang_env *env,
                                               const pang_principal *who,
                                               const pang_rec_content *body, bool *ret,
                                               pang_err *err);
/* Ends what is still of this asset and is being purged, or is dropped or staged and past its
 * deadline. */
PANG_MUST_CHECK pang_code pang_locations_release(pang_txn *txn, pang_arena *arena, pang_id asset,
                                                 int64_t now_ms, const pang_str *canonicals,
                                                 size_t n, pang_err *err);

/* Puts work that is due later into the transaction. */
PANG_MUST_CHECK pang_code pang_due_put(pang_txn *txn, pang_arena *arena, const pang_env *env,
                                       int64_t due_ms, const pang_rec_due *due, pang_err *err);

#endif
