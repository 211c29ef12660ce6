/*
 * The content of an ended branch is frozen: no commit to it can land any more, since the catalog's
 * name is gone, which every commit checks. So plain scans see all of it. How far they came is in
 * the record of the work, so that a stop in between costs nothing.
 */
#include "server/ended.h"

#include "server/locations.h"
#include "server/state_internal.h"

enum {
    AT_ONCE = 32,   /* tables of one commit */
    STEPS_MAX = 256 /* commits of one run: the rest is for the next */
};

typedef Pangolin__Store__V1__Due__Ended rec_ended;

pang_code pang_ended_put(pang_call *call, pang_id catalog, pang_id branch, int64_t keep_ms,
                         pang_err *err)
{
    const pang_env *env = call->server->env;
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    rec_ended ended = PANGOLIN__STORE__V1__DUE__ENDED__INIT;
    due.scope = pang_arena_cstr(call->arena, call->tenant_key);
    if (due.scope == NULL)
        return pang_fail_memory(err);
    due.catalog = pang_bytes_of_id(&catalog);
    due.branch = pang_bytes_of_id(&branch);
    ended.keep_ms = keep_ms;
    due.ended = &ended;
    return pang_due_put(call->txn, call->arena, env, pang_env_wall_ms(env), &due, err);
}

typedef struct {
    pang_state *state;
    pang_arena *arena;
    pang_str key;
    pang_rec_due *due;
    pang_rec_content *tables[AT_ONCE];
    pang_str last; /* key of the last row */
    size_t n, rows;
    pang_code code;
    pang_err *err;
} ending;

static bool take(void *arg, const pang_record *row)
{
    ending *e = arg;
    pang_record kept = *row;
    pang_rec_content *body = NULL;
    if (!pang_arena_copy(e->arena, row->key, &kept.key))
        e->code = pang_fail_memory(e->err);
    else
        e->code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, e->arena,
                                     &body, e->err);
    if (e->code != PANG_OK || body == NULL)
        return false;
    if (!body->dropped && body->n_reserved > 0)
        e->tables[e->n++] = body;
    e->last = kept.key;
    return ++e->rows < AT_ONCE;
}

static pang_code read_some(ending *e, pang_txn *txn, pang_err *err)
{
    pang_keys keys = {.arena = e->arena, .scope = pang_str_from(e->due->scope)};
    pang_query query = {
        .prefix = pang_key_contents_all(&keys, pang_id_of(e->due->branch), PANG_SPACE_ASSET),
        .after = pang_str_from(e->due->ended->after),
        .limit = AT_ONCE,
    };
    e->n = e->rows = 0;
    e->err = err;
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(txn, &query, take, e, err);
    return code == PANG_OK ? e->code : code;
}

/* As for a table that is dropped and not purged. */
static pang_code end_table(ending *e, pang_txn *txn, const pang_rec_content *body, pang_err *err)
{
    const pang_env *env = e->state->config.env;
    pang_view view = {.txn = txn, .arena = e->arena};
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    int64_t until = pang_env_wall_ms(env) + e->due->ended->keep_ms;
    due.scope = e->due->scope;
    due.catalog = e->due->catalog;
    due.branch = e->due->branch;
    due.asset = body->asset;
    due.release = body->reserved;
    due.n_release = body->n_reserved;
    due.since = UINT64_MAX; /* no ref of the catalog is left */
    pang_code code = pang_locations_drop(&view, body, UINT64_MAX, until, err);
    return code == PANG_OK ? pang_due_put(txn, e->arena, env, until, &due, err) : code;
}

static pang_code step(pang_txn *txn, void *arg, pang_err *err)
{
    ending *e = arg;
    rec_ended next = *e->due->ended;
    pang_rec_due rest = *e->due;
    pang_record own;
    /* Another server may do the same: the record's version tells who was first. */
    pang_code code = pang_txn_get_one(txn, e->key, &own, err);
    if (code == PANG_OK && own.version != 0)
        code = read_some(e, txn, err);
    else
        e->n = e->rows = 0;
    for (size_t i = 0; code == PANG_OK && i < e->n; i++)
        code = end_table(e, txn, e->tables[i], err);
    if (code != PANG_OK || own.version == 0)
        return code;
    if (e->rows < AT_ONCE) {
        pang_txn_delete(txn, e->key);
        return PANG_OK;
    }
    next.after = pang_arena_cstr(e->arena, e->last);
    rest.ended = &next;
    if (next.after == NULL)
        return pang_fail_memory(err);
    pang_txn_put(txn, PANG_KIND_DUE, e->key, pang_record_pack(&rest.base, e->arena));
    return PANG_OK;
}

pang_code pang_ended_run(pang_state *state, pang_str key, pang_rec_due *due, pang_arena *arena,
                         pang_err *err)
{
    ending *e = pang_arena_alloc(arena, sizeof *e);
    pang_code code = PANG_OK;
    if (e == NULL)
        return pang_fail_memory(err);
    *e = (ending){.state = state, .arena = arena, .key = key, .due = due, .rows = AT_ONCE};
    for (int i = 0; code == PANG_OK && e->rows == AT_ONCE && i < STEPS_MAX; i++) {
        code = pang_txn_run(state->config.db, pang_str_from(due->scope), PANG_NO_DEADLINE, arena,
                            step, e, err);
        if (code == PANG_OK && e->rows == AT_ONCE)
            due->ended->after = pang_arena_cstr(arena, e->last);
        if (due->ended->after == NULL)
            code = pang_fail_memory(err);
    }
    return code;
}
