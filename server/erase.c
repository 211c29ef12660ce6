/*
 * Range after range, each from its beginning, since what was looked at is gone. A branch's ranges
 * come before the record of its id, by which it is found. Nothing is written any more: the
 * catalog's name is gone, which every commit checks.
 */
#include "server/erase.h"

#include "api/keys_versions.h"
#include "server/locations.h"
#include "server/state_internal.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

enum {
    KEYS_MAX = 200,  /* of one commit */
    BODIES_MAX = 32, /* of rows that lead to something else */
    STEPS_MAX = 256, /* commits of one run: the rest is for the next */
    STEP_BYTES = 64 << 20,
};

pang_code pang_erase_put(pang_call *call, pang_id catalog, pang_id main_branch, int64_t keep_ms,
                         pang_err *err)
{
    const pang_env *env = call->server->env;
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    due.scope = pang_arena_cstr(call->arena, call->tenant_key);
    if (due.scope == NULL)
        return pang_fail_memory(err);
    due.catalog = pang_bytes_of_id(&catalog);
    due.branch = pang_bytes_of_id(&main_branch);
    due.erases = true;
    /* Purged tables' documents are read until then. */
    return pang_due_put(call->txn, call->arena, env, pang_env_wall_ms(env) + keep_ms + DAY_MS, &due,
                        err);
}

typedef struct {
    pang_state *state;
    pang_arena *arena; /* of one step */
    pang_str key;
    const pang_rec_due *due;
    pang_keys keys;
    pang_record rows[KEYS_MAX];
    size_t n, most;
    bool bodies, failed;
    bool done; /* with all of it */
} erasing;

/* ---- rows ---- */

static bool take(void *arg, const pang_record *row)
{
    erasing *e = arg;
    pang_record *to = &e->rows[e->n];
    *to = (pang_record){.kind = row->kind, .version = row->version};
    e->failed = !pang_arena_copy(e->arena, row->key, &to->key) ||
                (e->bodies && !pang_arena_copy(e->arena, row->body, &to->body));
    return !e->failed && ++e->n < e->most;
}

/* The first rows of a range. */
static pang_code look(erasing *e, pang_txn *txn, pang_str prefix, bool bodies, pang_err *err)
{
    e->n = 0;
    e->bodies = bodies;
    e->most = bodies ? BODIES_MAX : KEYS_MAX;
    pang_query query = {.prefix = prefix, .limit = (uint32_t)e->most, .keys_only = !bodies};
    pang_code code = pang_keys_status(&e->keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(txn, &query, take, e, err);
    return code == PANG_OK && e->failed ? pang_fail_memory(err) : code;
}

static pang_id id_at_end(pang_str key)
{
    pang_id id = {{0}};
    (void)pang_id_parse(pang_str_after(key, pang_key_prefix_len(key)), &id);
    return id;
}

/* ---- what rows lead to ---- */

/* Its places are free: there is nothing left to bring the table back from. */
static pang_code end_table(erasing *e, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_view view = {.txn = txn, .arena = e->arena};
    pang_rec_content *body;
    pang_code code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, e->arena,
                                        &body, err);
    if (code != PANG_OK || body->n_reserved == 0)
        return code;
    pang_str *places = pang_arena_alloc_n(e->arena, body->n_reserved, sizeof *places);
    if (places == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_reserved; i++)
        places[i] = pang_str_from(body->reserved[i]);
    code = pang_locations_drop(&view, body, UINT64_MAX, 0, err);
    return code == PANG_OK ? pang_locations_release(txn, e->arena, pang_id_of(body->asset), 1,
                                                    places, body->n_reserved, err)
                           : code;
}

static pang_code end_commit(erasing *e, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_rec_commit *body;
    pang_code code = pang_record_unpack(&pangolin__store__v1__commit__descriptor, row, e->arena,
                                        &body, err);
    if (code == PANG_OK)
        pang_txn_delete(txn, pang_key_commit_id(&e->keys, pang_id_of(body->id)));
    return code;
}

static pang_code end_merge(erasing *e, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_record record;
    pang_rec_merge_operation *merge;
    pang_str key = pang_key_merge_operation(&e->keys, id_at_end(row->key));
    pang_code code = pang_txn_get_one(txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__merge_operation__descriptor, &record, e->arena,
                              &merge, err);
    for (size_t i = 0; code == PANG_OK && i < merge->n_conflicts; i++)
        pang_txn_delete(txn, pang_key_merge_conflict(&e->keys, pang_id_of(merge->conflicts[i])));
    pang_txn_delete(txn, key);
    return code;
}

static pang_code end_row(erasing *e, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_code code = PANG_OK;
    if (row->kind == PANG_KIND_CONTENT)
        code = end_table(e, txn, row, err);
    else if (row->kind == PANG_KIND_COMMIT)
        code = end_commit(e, txn, row, err);
    else if (row->kind == PANG_KIND_MERGE_LISTED)
        code = end_merge(e, txn, row, err);
    pang_txn_delete(txn, row->key);
    return code;
}

/* ---- steps ---- */

/* A range and whether its rows' bodies lead to something else. Looks at one after the other until
 * one has rows. */
typedef struct {
    pang_str prefix;
    bool bodies;
} range;

static pang_code look_at(erasing *e, pang_txn *txn, const range *ranges, size_t n, pang_err *err)
{
    pang_code code = PANG_OK;
    e->n = 0;
    for (size_t i = 0; code == PANG_OK && e->n == 0 && i < n; i++)
        code = look(e, txn, ranges[i].prefix, ranges[i].bodies, err);
    return code;
}

static pang_code look_at_branch(erasing *e, pang_txn *txn, pang_id branch, pang_err *err)
{
    const range ranges[] = {
        {pang_key_contents_all(&e->keys, branch, PANG_SPACE_ASSET), true},
        {pang_key_contents_all(&e->keys, branch, PANG_SPACE_NAMESPACE), false},
        {pang_key_histories_all(&e->keys, branch, PANG_SPACE_ASSET), false},
        {pang_key_histories_all(&e->keys, branch, PANG_SPACE_NAMESPACE), false},
        {pang_key_assets_all(&e->keys, branch), false},
        {pang_key_asset_histories_all(&e->keys, branch), false},
        {pang_key_commits(&e->keys, branch), true},
        {pang_key_merge_marks(&e->keys, branch), false},
        {pang_key_fork_mark(&e->keys, branch), false},
    };
    return look_at(e, txn, ranges, sizeof ranges / sizeof ranges[0], err);
}

/* The next branch that has anything left: main, then those that have records. */
static pang_code look_at_branches(erasing *e, pang_txn *txn, pang_err *err)
{
    pang_str listed = pang_key_branches(&e->keys, pang_id_of(e->due->catalog));
    pang_code code = look_at_branch(e, txn, pang_id_of(e->due->branch), err);
    if (code != PANG_OK || e->n > 0)
        return code;
    code = look(e, txn, listed, false, err);
    if (code != PANG_OK || e->n == 0)
        return code;
    pang_record own = e->rows[0];
    code = look_at_branch(e, txn, id_at_end(own.key), err);
    if (code == PANG_OK && e->n == 0)
        e->rows[e->n++] = own;
    return code;
}

static pang_code look_at_catalog(erasing *e, pang_txn *txn, pang_err *err)
{
    pang_id catalog = pang_id_of(e->due->catalog);
    const range ranges[] = {
        {pang_key_metadatas(&e->keys, catalog), false},
        {pang_key_merges_listed(&e->keys, catalog), true},
        {pang_key_maintenances(&e->keys, catalog), false},
        {pang_key_floor(&e->keys, catalog), false},
        {pang_key_care(&e->keys, catalog), false},
    };
    return look_at(e, txn, ranges, sizeof ranges / sizeof ranges[0], err);
}

static pang_code step(pang_txn *txn, void *arg, pang_err *err)
{
    erasing *e = arg;
    pang_record own;
    pang_code code = pang_txn_get_one(txn, e->key, &own, err);
    e->done = code == PANG_OK && own.version == 0; /* another server has ended it */
    if (code != PANG_OK || e->done)
        return code;
    code = look_at_branches(e, txn, err);
    if (code == PANG_OK && e->n == 0)
        code = look_at_catalog(e, txn, err);
    for (size_t i = 0; code == PANG_OK && i < e->n; i++)
        code = end_row(e, txn, &e->rows[i], err);
    e->done = code == PANG_OK && e->n == 0;
    if (e->done)
        pang_txn_delete(txn, e->key);
    return code;
}

pang_code pang_erase_run(pang_state *state, pang_str key, pang_rec_due *due, pang_arena *arena,
                         pang_err *err)
{
    erasing *e = pang_arena_alloc(arena, sizeof *e);
    pang_arena *own = pang_arena_new(STEP_BYTES);
    pang_code code = PANG_OK;
    if (e == NULL || own == NULL) {
        pang_arena_free(own);
        return pang_fail_memory(err);
    }
    *e = (erasing){.state = state, .arena = own, .key = key, .due = due};
    for (int i = 0; code == PANG_OK && !e->done && i < STEPS_MAX; i++) {
        pang_arena_reset(own);
        e->keys = (pang_keys){.arena = own, .scope = pang_str_from(due->scope)};
        code = pang_txn_run(state->config.db, pang_str_from(due->scope), PANG_NO_DEADLINE, own,
                            step, e, err);
    }
    pang_arena_free(own);
    return code;
}
