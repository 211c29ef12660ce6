/*
 * Due: work that commits have put off, in the order of its time. Each piece runs in steps that may
 * run twice: first nobody may take a purged table's places any more, then its files go, then the
 * reservations end and the piece of work with them. Before all that it is asked how long a dropped
 * table can come back by the settings of now: they may have been raised since it was dropped.
 */
#include "server/state_internal.h"

#include "server/branches.h"
#include "server/ended.h"
#include "server/erase.h"
#include "server/locations.h"
#include "server/metadata.h"
#include "server/shared.h"
#include "server/sweep.h"

enum {
    ROUND_MAX = 64,          /* pieces of one round */
    ROUND_BYTES = 4 << 20,   /* of the arena that lists them */
    PIECE_BYTES = 256 << 20, /* of the arena of one piece: a document and what it names */
    ATTEMPTS_MAX = 8,        /* then a purge that cannot read its document is given up */
    RETRY_MS = 60 * 1000,
};

typedef struct {
    pang_state *state;
    pang_arena *arena;
    pang_str keys[ROUND_MAX];
    pang_rec_due *pieces[ROUND_MAX];
    size_t n;
    pang_code code;
    pang_err *err;
} round;

static bool take_row(void *arg, const pang_record *row)
{
    round *r = arg;
    pang_record kept;
    if (!pang_record_copy(row, r->arena, &kept))
        r->code = pang_fail_memory(r->err);
    else
        r->code = pang_record_unpack(&pangolin__store__v1__due__descriptor, &kept, r->arena,
                                     &r->pieces[r->n], r->err);
    if (r->code != PANG_OK)
        return false;
    r->keys[r->n++] = kept.key;
    return r->n < ROUND_MAX;
}

static pang_code read_round(round *r, pang_err *err)
{
    pang_keys keys = {.arena = r->arena, .scope = PANG_SYSTEM_SCOPE};
    int64_t now = pang_env_wall_ms(r->state->config.env);
    pang_query query = {
        .prefix = pang_key_dues(&keys),
        .until = pang_key_due_until(&keys, now + 1),
        .limit = ROUND_MAX,
    };
    r->err = err;
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_store_scan(pang_db_store(r->state->config.db), &query, PANG_NO_DEADLINE,
                               take_row, r, err);
    return code == PANG_OK ? r->code : code;
}

/* One piece of work, by its record. */
typedef struct {
    pang_state *state;
    pang_arena *arena;
    pang_str key;
    pang_rec_due *due;
    pang_str *release; /* canonical */
    bool owned;
    bool retry; /* put it off instead of ending it */
    bool waits; /* it was put off: the table can come back still */
} piece;

/* The catalog's settings; *ret is NULL when it is there no more. */
static pang_code read_settings(piece *p, pang_txn *txn, pang_rec_catalog **ret, pang_err *err)
{
    pang_keys keys = {.arena = p->arena, .scope = pang_str_from(p->due->scope)};
    pang_record record = {0};
    pang_str key = pang_key_catalog(&keys, pang_id_of(p->due->catalog));
    pang_code code = pang_keys_status(&keys, err);
    *ret = NULL;
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record, p->arena, ret,
                              err);
}

static pang_code put_off(pang_txn *txn, void *arg, pang_err *err)
{
    piece *p = arg;
    const pang_env *env = p->state->config.env;
    pang_rec_catalog *settings;
    p->waits = false;
    pang_code code = read_settings(p, txn, &settings, err);
    if (code != PANG_OK || settings == NULL)
        return code;
    int64_t until = p->due->dropped_ms + pang_undrop_life(settings, p->due->purge != NULL);
    if (until <= pang_env_wall_ms(env))
        return PANG_OK;
    code = pang_locations_prolong(txn, p->arena, pang_id_of(p->due->asset), until, p->release,
                                  p->due->n_release, &p->waits, err);
    if (code != PANG_OK || !p->waits)
        return code;
    pang_txn_delete(txn, p->key);
    return pang_due_put(txn, p->arena, env, until, p->due, err);
}

/* A ref that was made since may read the dropped table: then its places are its own again, and what
 * becomes of its files is the collector's to say. */
static pang_code keep_what_is_read(piece *p, pang_txn *txn, bool *ret, pang_err *err)
{
    pang_keys keys = {.arena = p->arena, .scope = pang_str_from(p->due->scope)};
    pang_code code = pang_forked_since(txn, &keys, pang_id_of(p->due->branch), p->due->since,
                                       PANG_READ_CHECKED, ret, err);
    if (code != PANG_OK || !*ret)
        return code;
    return pang_locations_keep(txn, p->arena, pang_id_of(p->due->asset), p->release,
                               p->due->n_release, err);
}

static pang_code seize(pang_txn *txn, void *arg, pang_err *err)
{
    piece *p = arg;
    bool kept = false;
    pang_code code = keep_what_is_read(p, txn, &kept, err);
    p->owned = false;
    if (code != PANG_OK || kept)
        return code;
    return pang_locations_seize(txn, p->arena, pang_id_of(p->due->asset),
                                pang_env_wall_ms(p->state->config.env), p->release,
                                p->due->n_release, &p->owned, err);
}

static pang_code end(pang_txn *txn, void *arg, pang_err *err)
{
    piece *p = arg;
    const pang_env *env = p->state->config.env;
    bool kept = false;
    pang_code code = keep_what_is_read(p, txn, &kept, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(txn, p->key);
    if (p->retry) {
        p->due->attempts++;
        return pang_due_put(txn, p->arena, env, pang_env_wall_ms(env) + RETRY_MS, p->due, err);
    }
    return pang_locations_release(txn, p->arena, pang_id_of(p->due->asset), pang_env_wall_ms(env),
                                  p->release, p->due->n_release, err);
}

static pang_code read_document(piece *p, pang_str *ret, pang_err *err)
{
    pang_record record;
    pang_rec_metadata *body;
    pang_ref ref = {.key = pang_str_from(p->due->purge->metadata_key)};
    pang_code code = pang_store_get(pang_db_store(p->state->config.db), &ref, 1, PANG_NO_DEADLINE,
                                    p->arena, &record, err);
    if (code == PANG_OK && record.version == 0)
        code = pang_fail(err, PANG_DATA_LOSS, NULL, "there is no record \"%" PANG_STR_FMT "\"",
                         PANG_STR_ARG(ref.key));
    return code == PANG_OK ? pang_metadata_unpack(p->state, &record, p->arena, &body, ret, err)
                           : code;
}

static pang_code purge(piece *p, pang_err *err)
{
    pang_str document;
    uint64_t removed = 0;
    pang_db *db = p->state->config.db;
    pang_code code = pang_txn_run(db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, p->arena, seize, p, err);
    if (code != PANG_OK || !p->owned)
        return code;
    code = read_document(p, &document, err);
    if (code == PANG_OK)
        code = pang_purge_files(p->state, pang_str_from(p->due->purge->location), document,
                                p->due->release, p->due->n_release, p->arena, &removed, err);
    atomic_fetch_add(&p->state->files_purged, removed);
    if (code != PANG_OK && p->due->attempts < ATTEMPTS_MAX)
        p->retry = true;
    return PANG_OK;
}

/* A deadline that was put off has a piece of work of its own. */
static pang_code expire(pang_txn *txn, void *arg, pang_err *err)
{
    piece *p = arg;
    pang_view view = {.txn = txn, .arena = p->arena, .catalog = pang_id_of(p->due->catalog)};
    view.keys = (pang_keys){.arena = p->arena, .scope = pang_str_from(p->due->scope)};
    pang_txn_delete(txn, p->key);
    return pang_branch_expire(&view, p->state->config.env, pang_id_of(p->due->branch), err);
}

static pang_code run_in(piece *p, pang_err *err)
{
    pang_code code = PANG_OK;
    if (p->due->whole_scope)
        return pang_sweep_run(p->state, p->key, p->due, p->arena, err);
    if (p->due->ended != NULL)
        return pang_ended_run(p->state, p->key, p->due, p->arena, err);
    if (p->due->erases)
        return pang_erase_run(p->state, p->key, p->due, p->arena, err);
    if (p->due->branch_expires)
        return pang_txn_run(p->state->config.db, pang_str_from(p->due->scope), PANG_NO_DEADLINE,
                            p->arena, expire, p, err);
    p->release = pang_arena_alloc_n(p->arena, p->due->n_release, sizeof *p->release);
    if (p->release == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < p->due->n_release; i++)
        p->release[i] = pang_str_from(p->due->release[i]);
    if (p->due->dropped_ms != 0)
        code = pang_txn_run(p->state->config.db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, p->arena,
                            put_off, p, err);
    if (code == PANG_OK && !p->waits && p->due->purge != NULL)
        code = purge(p, err);
    if (code != PANG_OK || p->waits)
        return code;
    return pang_txn_run(p->state->config.db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, p->arena, end, p,
                        err);
}

static pang_code run_piece(pang_state *state, pang_str key, pang_rec_due *due, pang_err *err)
{
    pang_arena *arena = pang_arena_new(PIECE_BYTES);
    piece p = {.state = state, .arena = arena, .key = key, .due = due};
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_code code = run_in(&p, err);
    pang_arena_free(arena);
    return code;
}

static pang_code run_round(pang_state *state, pang_arena *arena, bool *ret_more, pang_err *err)
{
    round *r = pang_arena_alloc(arena, sizeof *r);
    if (r == NULL)
        return pang_fail_memory(err);
    r->state = state;
    r->arena = arena;
    pang_code code = read_round(r, err);
    if (code == PANG_OK)
        *ret_more = r->n == ROUND_MAX;
    /* One piece that fails does not keep the others waiting; the last failure is told. */
    for (size_t i = 0; code != PANG_RESOURCE_EXHAUSTED && i < r->n; i++) {
        pang_code one = run_piece(state, r->keys[i], r->pieces[i], err);
        code = one != PANG_OK ? one : code;
    }
    return code;
}

pang_code pang_due_run(pang_state *state, bool *ret_more, pang_err *err)
{
    pang_arena *arena = pang_arena_new(ROUND_BYTES);
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_code code = run_round(state, arena, ret_more, err);
    pang_arena_free(arena);
    return code;
}
