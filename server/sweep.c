/*
 * Nothing is made any more in a tenant that was marked longer ago than any call lasts, so one way
 * through its keys finds all. What has something outside of the scope (users of identity
 * providers, service users, tables) is unpacked, and that goes in the same commit. Counters and
 * sequences stay: they are few, hold no names, and are no records.
 */
#include "server/sweep.h"

#include "api/keys_identity.h"
#include "server/locations.h"
#include "server/state_internal.h"

#include "pangolin/store/v1/identity.pb-c.h"

enum {
    ROWS_MAX = 200,  /* looked at by one commit */
    BODIES_MAX = 16, /* of those that have something outside */
    STEPS_MAX = 256, /* commits of one run: the rest is for the next */
    STEP_BYTES = 64 << 20,
};

typedef struct {
    pang_state *state;
    pang_arena *arena; /* of one step */
    pang_str key, after;
    const pang_rec_due *due;
    pang_record rows[ROWS_MAX];
    size_t n, n_bodies;
    bool found; /* the record of the work; another server may have ended it */
    bool failed;
} sweeping;

/* ---- one look ---- */

static bool is_audit(uint32_t kind)
{
    return kind == PANG_KIND_AUDIT ||
           (kind >= PANG_KIND_AUDIT_SEAL && kind <= PANG_KIND_AUDIT_RESOURCE);
}

static bool is_kept(uint32_t kind)
{
    return kind == PANG_KIND_COUNTER || kind == PANG_KIND_SEQUENCE || is_audit(kind);
}

static bool has_outside(uint32_t kind)
{
    return kind == PANG_KIND_USER || kind == PANG_KIND_SERVICE_USER || kind == PANG_KIND_CONTENT;
}

static bool take(void *arg, const pang_record *row)
{
    sweeping *s = arg;
    pang_record *to = &s->rows[s->n];
    *to = (pang_record){.kind = row->kind, .version = row->version};
    s->failed = !pang_arena_copy(s->arena, row->key, &to->key);
    if (!s->failed && has_outside(row->kind)) {
        s->failed = !pang_arena_copy(s->arena, row->body, &to->body);
        s->n_bodies++;
    }
    return !s->failed && ++s->n < ROWS_MAX && s->n_bodies < BODIES_MAX;
}

static pang_code look(sweeping *s, pang_txn *txn, pang_err *err)
{
    pang_str prefix = pang_arena_printf(s->arena, "%s/", s->due->scope);
    pang_query query = {.prefix = prefix, .after = s->after, .limit = ROWS_MAX};
    s->n = s->n_bodies = 0;
    s->failed = prefix.len == 0;
    pang_code code = s->failed ? PANG_OK : pang_txn_scan(txn, &query, take, s, err);
    return code == PANG_OK && s->failed ? pang_fail_memory(err) : code;
}

/* ---- what is outside of the scope ---- */

static pang_code end_user(sweeping *s, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_keys keys = {.arena = s->arena, .scope = PANG_SYSTEM_SCOPE};
    Pangolin__Store__V1__User *user;
    pang_code code = pang_record_unpack(&pangolin__store__v1__user__descriptor, row, s->arena,
                                        &user, err);
    if (code == PANG_OK && user->provider[0] != '\0')
        pang_txn_delete(txn, pang_key_user_subject(&keys, pang_str_from(user->provider),
                                                   pang_str_from(user->subject)));
    return code == PANG_OK ? pang_keys_status(&keys, err) : code;
}

static pang_code end_service_user(sweeping *s, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_keys keys = {.arena = s->arena, .scope = PANG_SYSTEM_SCOPE};
    Pangolin__Store__V1__ServiceUser *user;
    pang_code code = pang_record_unpack(&pangolin__store__v1__service_user__descriptor, row,
                                        s->arena, &user, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(txn, pang_key_service_user_place(&keys, pang_id_of(user->id)));
    for (size_t i = 0; i < user->n_keys; i++)
        pang_txn_delete(txn, pang_key_api_key(&keys, pang_str_from(user->keys[i])));
    return pang_keys_status(&keys, err);
}

/* Its places are free at once: there is nobody left to bring the table back. */
static pang_code end_table(sweeping *s, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_view view = {.txn = txn, .arena = s->arena};
    pang_rec_content *body;
    pang_code code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, s->arena,
                                        &body, err);
    if (code != PANG_OK || body->n_reserved == 0)
        return code;
    pang_str *places = pang_arena_alloc_n(s->arena, body->n_reserved, sizeof *places);
    if (places == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_reserved; i++)
        places[i] = pang_str_from(body->reserved[i]);
    code = pang_locations_drop(&view, body, UINT64_MAX, 0, err);
    if (code == PANG_OK)
        code = pang_locations_release(txn, s->arena, pang_id_of(body->asset), 1, places,
                                      body->n_reserved, err);
    return code;
}

static pang_code end_row(sweeping *s, pang_txn *txn, const pang_record *row, pang_err *err)
{
    pang_code code = PANG_OK;
    if (is_kept(row->kind))
        return PANG_OK;
    if (row->kind == PANG_KIND_USER)
        code = end_user(s, txn, row, err);
    else if (row->kind == PANG_KIND_SERVICE_USER)
        code = end_service_user(s, txn, row, err);
    else if (row->kind == PANG_KIND_CONTENT)
        code = end_table(s, txn, row, err);
    pang_txn_delete(txn, row->key);
    return code;
}

/* ---- steps ---- */

static void end_all(sweeping *s, pang_txn *txn)
{
    pang_keys keys = {.arena = s->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_id tenant;
    if (pang_id_parse(pang_str_from(s->due->scope), &tenant))
        pang_txn_delete(txn, pang_key_tenant(&keys, tenant));
    pang_txn_delete(txn, s->key);
}

static pang_code step(pang_txn *txn, void *arg, pang_err *err)
{
    sweeping *s = arg;
    pang_record own;
    pang_code code = pang_txn_get_one(txn, s->key, &own, err);
    s->found = code == PANG_OK && own.version != 0;
    s->n = 0;
    if (s->found)
        code = look(s, txn, err);
    for (size_t i = 0; code == PANG_OK && i < s->n; i++)
        code = end_row(s, txn, &s->rows[i], err);
    if (code == PANG_OK && s->found && s->n == 0)
        end_all(s, txn);
    return code;
}

/* How far it came outlives the step's arena, and the process when more is left for another run. */
static pang_code keep_place(sweeping *s, pang_arena *arena, pang_err *err)
{
    if (s->n > 0 && !pang_arena_copy(arena, s->rows[s->n - 1].key, &s->after))
        return pang_fail_memory(err);
    return PANG_OK;
}

static pang_code one_step(sweeping *s, pang_arena *arena, pang_err *err)
{
    s->arena = pang_arena_new(STEP_BYTES);
    if (s->arena == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_run(s->state->config.db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE,
                                  s->arena, step, s, err);
    if (code == PANG_OK)
        code = keep_place(s, arena, err);
    pang_arena_free(s->arena);
    return code;
}

static pang_code note_place(pang_txn *txn, void *arg, pang_err *err)
{
    sweeping *s = arg;
    pang_rec_due rest = *s->due;
    pang_record own;
    pang_code code = pang_txn_get_one(txn, s->key, &own, err);
    if (code != PANG_OK || own.version == 0)
        return code;
    rest.swept = pang_arena_cstr(s->arena, s->after);
    if (rest.swept == NULL)
        return pang_fail_memory(err);
    pang_txn_put(txn, PANG_KIND_DUE, s->key, pang_record_pack(&rest.base, s->arena));
    return PANG_OK;
}

pang_code pang_sweep_run(pang_state *state, pang_str key, pang_rec_due *due, pang_arena *arena,
                         pang_err *err)
{
    sweeping *s = pang_arena_alloc(arena, sizeof *s);
    pang_code code = PANG_OK;
    if (s == NULL)
        return pang_fail_memory(err);
    *s = (sweeping){.state = state, .key = key, .due = due, .after = pang_str_from(due->swept)};
    for (int i = 0; i < STEPS_MAX; i++) {
        code = one_step(s, arena, err);
        if (code != PANG_OK || !s->found || s->n == 0)
            return code;
    }
    s->arena = arena;
    return pang_txn_run(state->config.db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, arena, note_place, s,
                        err);
}
