/*
 * The collector's run: place by place. The places are the reservations of the catalog's assets;
 * what the asset, and those that held the place before it, name there is marked, and what lies
 * there unmarked goes. A place that nothing reaches any more is given up.
 */
#include "server/gc.h"

#include <stdio.h>
#include <string.h>

#include "server/gc_internal.h"
#include "server/locations.h"

#define LIVE PANGOLIN__STORE__V1__RESERVATION__STATE__STATE_LIVE

enum {
    POINTS_BYTES = 256 << 20, /* of the arena for a catalog's refs */
    UNIT_BYTES = 512 << 20,   /* for the states of one asset */
    ONE_BYTES = 64 << 10,
    SEEN_MAX = 1000000, /* manifests remembered as read */
    PARTS_MAX = 4096,   /* passes over one place */
    LOOK_EVERY = 256,   /* files removed before refs are looked at again */
};

typedef struct {
    pang_gc gc;
    const pang_gc_plan *plan;
    pang_gc_fn *fn;
    void *arg;
    pang_gc_outcome *out;
    pang_arena *unit, *one;
    pang_gc_set marks, seen;
    /* The place that is looked at. */
    pang_location at;
    const pang_rec_reservation *held;
    pang_gc_asset *assets; /* its owner, then who held it before */
    size_t n_assets;
    pang_objects *objects;
    bool left; /* something lies there still */
    bool stop; /* the caller said so */
    pang_code code;
    pang_err *err;
} run;

/* ---- sweeping ---- */

/* A ref that is made of an old state may reach what was marked as reached by nothing. */
static bool refs_moved(run *r)
{
    bool moved = false;
    pang_arena_reset(r->one);
    pang_code code = pang_gc_refs_moved(r->gc.store, r->gc.scope, r->gc.catalog, r->gc.points,
                                        r->one, &moved, r->err);
    if (code != PANG_OK)
        r->code = code;
    else if (moved)
        r->code = pang_fail(r->err, PANG_ABORTED, NULL,
                            "branches or tags changed meanwhile: run it again");
    return r->code != PANG_OK;
}

/* Whether nothing reaches a file and it is old; what stays for good is noted, once it is its
 * part's turn. */
static bool is_garbage(run *r, const pang_listed *file, pang_location *ret)
{
    pang_err ignored;
    pang_arena_reset(r->one);
    bool known = pang_location_parse(file->location, "file", r->one, ret, &ignored) == PANG_OK;
    if (known && !pang_gc_set_takes(&r->marks, ret->canonical))
        return false;
    bool garbage = known && file->modified_ms <= r->gc.now_ms - r->plan->grace_ms &&
                   !pang_gc_set_has(&r->marks, ret->canonical);
    r->left = r->left || !garbage;
    return garbage;
}

static void remove_one(run *r, const pang_location *at, int64_t bytes)
{
    pang_code code = r->plan->dry_run ? PANG_OK : r->objects->ops->remove(r->objects, at, r->err);
    if (code != PANG_OK) {
        r->code = code;
        return;
    }
    r->out->removed++;
    r->out->bytes += bytes > 0 ? (uint64_t)bytes : 0;
}

static bool sweep_file(void *arg, const pang_listed *file)
{
    run *r = arg;
    pang_location at;
    if (r->marks.part == 0)
        r->out->files++;
    if (!is_garbage(r, file, &at))
        return true;
    if (r->fn != NULL && !r->fn(r->arg, file->location, file->bytes)) {
        r->stop = true;
        return false;
    }
    remove_one(r, &at, file->bytes);
    return r->code == PANG_OK && (r->out->removed % LOOK_EVERY != 0 || !refs_moved(r));
}

/* ---- one place ---- */

static pang_code mark_all(run *r, unsigned part, unsigned parts)
{
    pang_code code = PANG_OK;
    pang_gc_set_begin(&r->marks, part, parts);
    pang_gc_set_begin(&r->seen, 0, 1);
    r->stop = r->stop || atomic_load(&r->gc.state->stopping);
    if (r->stop)
        return pang_fail(r->err, PANG_ABORTED, NULL, "the server stops: run it again");
    for (size_t a = 0; code == PANG_OK && a < r->n_assets; a++)
        for (size_t i = 0; code == PANG_OK && !r->marks.full && i < r->assets[a].n; i++)
            code = pang_gc_mark(&r->gc, &r->assets[a].documents[i], r->at.canonical, &r->marks,
                                &r->seen, r->err);
    return code;
}

/* In how many parts the names are taken: as few as leave room for each. */
static pang_code choose_parts(run *r, unsigned *ret)
{
    pang_code code = mark_all(r, 0, 1);
    *ret = 1;
    for (unsigned part = 0; code == PANG_OK && part < *ret && (*ret > 1 || r->marks.full);) {
        if (!r->marks.full && part + 1 == *ret)
            return PANG_OK;
        if (r->marks.full && *ret == PARTS_MAX)
            return pang_fail(r->err, PANG_RESOURCE_EXHAUSTED, NULL, "too many files");
        part = r->marks.full ? 0 : part + 1;
        *ret *= r->marks.full ? 2 : 1;
        code = mark_all(r, part, *ret);
    }
    return code;
}

static pang_code sweep_part(run *r)
{
    if (r->marks.full)
        return pang_fail(r->err, PANG_RESOURCE_EXHAUSTED, NULL, "too many files");
    if (refs_moved(r))
        return r->code;
    pang_code code = r->objects->ops->list(r->objects, &r->at, sweep_file, r, r->err);
    return code == PANG_OK ? r->code : code;
}

/* In as many passes as the marks need. */
static pang_code mark_and_sweep(run *r)
{
    unsigned parts;
    pang_code code = choose_parts(r, &parts);
    for (unsigned part = 0; code == PANG_OK && part < parts && !r->stop; part++) {
        if (parts > 1) /* else it is marked already */
            code = mark_all(r, part, parts);
        if (code == PANG_OK)
            code = sweep_part(r);
    }
    return code;
}

static pang_code find_assets(run *r)
{
    size_t n = r->held->n_former + 1;
    r->assets = pang_arena_alloc_n(r->unit, n, sizeof *r->assets);
    if (r->assets == NULL)
        return pang_fail_memory(r->err);
    r->n_assets = n;
    pang_code code = pang_gc_find(&r->gc, pang_id_of(r->held->asset), r->unit, &r->assets[0],
                                  r->err);
    for (size_t i = 1; code == PANG_OK && i < n; i++)
        code = pang_gc_find(&r->gc, pang_id_of(r->held->former[i - 1]), r->unit, &r->assets[i],
                            r->err);
    return code;
}

static bool is_reached(const run *r)
{
    for (size_t i = 0; i < r->n_assets; i++)
        if (r->assets[i].n > 0)
            return true;
    return false;
}

/* The place of an asset that nothing reaches is free from now on, unless a ref was made. */
static pang_code release(pang_txn *txn, void *arg, pang_err *err)
{
    run *r = arg;
    char *reserved[1] = {pang_arena_cstr(r->unit, r->at.canonical)};
    pang_rec_content body = PANGOLIN__STORE__V1__CONTENT__INIT;
    pang_view view = {.txn = txn, .arena = r->unit};
    pang_keys keys = {.arena = r->unit, .scope = r->gc.scope};
    if (reserved[0] == NULL)
        return pang_fail_memory(err);
    body.asset = r->held->asset;
    body.reserved = reserved;
    body.n_reserved = 1;
    pang_txn_check_counter(txn, pang_key_epoch(&keys, r->gc.catalog, (pang_str){0}),
                           r->gc.points->refs_epoch);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_locations_drop(&view, &body, UINT64_MAX, 0, err);
    if (code == PANG_OK)
        code = pang_locations_release(txn, r->unit, pang_id_of(body.asset), 1, &r->at.canonical, 1,
                                      err);
    return code;
}

static pang_code end_place(run *r)
{
    r->out->released++;
    if (r->plan->dry_run)
        return PANG_OK;
    return pang_txn_run(r->gc.state->config.db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, r->unit,
                        release, r, r->err);
}

static pang_code collect(run *r)
{
    pang_code code = find_assets(r);
    if (code != PANG_OK)
        return code;
    /* Dropped without purge: its files are its owner's. So are those of what left no record. */
    bool keeps = !is_reached(r) && (!r->assets[0].found || r->assets[0].keeps_files);
    r->objects = pang_objects_find(r->gc.state->config.objects, r->at.scheme);
    if (r->objects == NULL && !keeps)
        return pang_fail(r->err, PANG_FAILED_PRECONDITION, NULL,
                         "no object store serves %" PANG_STR_FMT, PANG_STR_ARG(r->at.text));
    if (!keeps)
        code = mark_and_sweep(r);
    if (code != PANG_OK || r->stop || is_reached(r))
        return code;
    return keeps || !r->left ? end_place(r) : PANG_OK;
}

/* Notes why a place was left alone; the run goes on. */
static void skip(run *r)
{
    r->out->skipped++;
    (void)snprintf(r->out->reason, sizeof r->out->reason, "%.120s: %.380s",
                   pang_arena_cstr(r->unit, r->at.text), r->err->message);
}

static bool is_ours(const run *r, const pang_rec_reservation *held)
{
    if (!pang_id_equal(pang_id_of(held->catalog), r->gc.catalog) ||
        !pang_str_equal(pang_str_from(held->scope), r->gc.scope))
        return false;
    return held->state == LIVE;
}

static bool take_place(void *arg, const pang_record *row, pang_arena *arena)
{
    run *r = arg;
    pang_rec_reservation *held;
    pang_key_parts parts;
    pang_err mine;
    r->code = pang_record_unpack(&pangolin__store__v1__reservation__descriptor, row, arena, &held,
                                 r->err);
    if (r->code != PANG_OK || !is_ours(r, held))
        return r->code == PANG_OK;
    pang_arena_reset(r->unit);
    r->held = held;
    r->left = false;
    r->out->places++;
    pang_err *outer = r->err;
    r->err = &mine;
    pang_code code = PANG_OK;
    if (!pang_key_parse(row->key, &parts) || parts.n != 1)
        code = pang_fail(r->err, PANG_DATA_LOSS, NULL, "a reservation's key is damaged");
    if (code == PANG_OK)
        code = pang_location_parse(parts.parts[0], "location", r->unit, &r->at, r->err);
    if (code == PANG_OK)
        code = collect(r);
    if (code != PANG_OK)
        skip(r);
    r->err = outer;
    r->code = PANG_OK;
    return !r->stop && code != PANG_ABORTED;
}

/* ---- the run ---- */

/* The places that were named, as if they had been scanned. */
static pang_code take_named(run *r, pang_arena *arena)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    for (size_t i = 0; i < r->plan->n_places; i++) {
        pang_record record;
        pang_ref ref = {.key = pang_key_reservation(&keys, r->plan->places[i])};
        pang_code code = pang_keys_status(&keys, r->err);
        if (code == PANG_OK)
            code = pang_store_get(r->gc.store, &ref, 1, PANG_NO_DEADLINE, arena, &record, r->err);
        if (code != PANG_OK)
            return code;
        if (record.version != 0 && !take_place(r, &record, arena))
            return r->code;
    }
    return PANG_OK;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static pang_code run_in(run *r, pang_arena *arena)
{
    pang_gc_points *points;
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_code code = pang_gc_points_read(r->gc.store, r->gc.scope, r->gc.catalog, r->gc.now_ms,
                                         arena, &points, r->err);
    if (code != PANG_OK)
        return code;
    r->gc.points = points;
    r->gc.keep_ms = most(points->keep_ms, r->plan->grace_ms);
    if (r->plan->n_places > 0)
        return take_named(r, arena);
    pang_str prefix = pang_key_reservation(&keys, (pang_str){0});
    code = pang_keys_status(&keys, r->err);
    if (code == PANG_OK)
        code = pang_gc_scan(r->gc.store, prefix, (pang_str){0}, take_place, r, r->err);
    return code == PANG_OK ? r->code : code;
}

/* For metrics. */
static void count(pang_state *state, const pang_gc_outcome *outcome)
{
    atomic_fetch_add(&state->gc_runs, 1);
    atomic_fetch_add(&state->gc_skipped, outcome->skipped);
    atomic_fetch_add(&state->gc_removed, outcome->removed);
    atomic_fetch_add(&state->gc_bytes, outcome->bytes);
    atomic_store(&state->gc_last_ms, pang_env_wall_ms(state->config.env));
}

pang_code pang_gc_run(pang_state *state, const pang_gc_plan *plan, pang_gc_fn *fn, void *arg,
                      pang_gc_outcome *ret, pang_err *err)
{
    pang_gc_plan bounded = *plan;
    *ret = (pang_gc_outcome){0};
    bounded.grace_ms = most(plan->grace_ms, PANG_GC_GRACE_MIN_MS);
    run r = {.plan = &bounded, .fn = fn, .arg = arg, .out = ret, .err = err};
    r.gc = (pang_gc){.state = state,
                     .store = pang_db_store(state->config.db),
                     .scope = plan->scope,
                     .catalog = plan->catalog,
                     .now_ms = pang_env_wall_ms(state->config.env)};
    pang_arena *arena = pang_arena_new(POINTS_BYTES);
    r.unit = pang_arena_new(UNIT_BYTES);
    r.one = pang_arena_new(ONE_BYTES);
    pang_gc_set_init(&r.marks, plan->marks != 0 ? plan->marks : PANG_GC_MARKS);
    pang_gc_set_init(&r.seen, SEEN_MAX);
    pang_code code = arena == NULL || r.unit == NULL || r.one == NULL ? pang_fail_memory(err)
                                                                      : run_in(&r, arena);
    if (!plan->dry_run)
        count(state, ret);
    pang_gc_set_free(&r.marks);
    pang_gc_set_free(&r.seen);
    pang_arena_free(arena);
    pang_arena_free(r.unit);
    pang_arena_free(r.one);
    return code;
}
