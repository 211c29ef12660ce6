/*
 * What undrop can be about. An asset's own record says where it was last, and which commit dropped
 * it there; so a state of a name is a dropped table when that commit wrote it, whatever the name
 * has stood for since. Of a name alone the states are looked through, the newest first.
 *
 * One commit of a merge may drop a table and put another one under its name. Then the name has no
 * state that says so, and the one before that commit stands for the tombstone that a drop leaves.
 */
#include "server/undrop.h"

enum {
    STATES_AT_ONCE = PANG_NAMES_AT_ONCE_MAX, /* looked at in one go */
    STATES_MAX = 4096,                       /* of one name on one level */
};

/* The view as it was at a commit, on all its levels. */
static pang_view as_of(const pang_view *view, uint64_t sequence)
{
    pang_view past = *view;
    for (size_t i = 0; i < past.n_levels; i++)
        if (past.levels[i].at > sequence)
            past.levels[i].at = sequence;
    past.writable = false;
    return past;
}

static bool may_be(const pang_content *state)
{
    return state->body != NULL && state->body->dropped &&
           state->body->kind == PANGOLIN__STORE__V1__KIND__KIND_TABLE;
}

pang_code pang_undrop_which(pang_view *view, pang_content *states, size_t n, pang_err *err)
{
    pang_asset_at *places = pang_arena_alloc_n(view->arena, n + 1, sizeof *places);
    pang_id *assets = pang_arena_alloc_n(view->arena, n + 1, sizeof *assets);
    if (places == NULL || assets == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        assets[i] = pang_id_of(states[i].body->asset);
    pang_code code = n == 0 ? PANG_OK : pang_asset_find(view, assets, n, places, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (places[i].body == NULL || !places[i].body->dropped ||
            places[i].sequence != states[i].sequence)
            states[i].body = NULL;
    return code;
}

static bool is_table(const pang_content *state)
{
    return pang_content_exists(state) && state->body->kind == PANGOLIN__STORE__V1__KIND__KIND_TABLE;
}

static bool is_of(const pang_content *state, pang_id asset)
{
    return pang_id_equal(pang_id_of(state->body->asset), asset);
}

/* The table that stood there before a commit put something else (`by`) under its name. */
static pang_code read_replaced(pang_view *view, const pang_content *by, pang_content *ret,
                               pang_err *err)
{
    pang_view past = as_of(view, by->sequence - 1);
    pang_content was = {.name = by->name};
    pang_code code = pang_content_get(&past, &was, 1, err);
    if (code != PANG_OK || !is_table(&was) || is_of(by, pang_id_of(was.body->asset)))
        return code;
    pang_rec_content *body = pang_arena_alloc(view->arena, sizeof *body);
    if (body == NULL)
        return pang_fail_memory(err);
    *body = *was.body;
    body->dropped = true;
    body->shared = body->shared || (view->n_levels > 1 && was.sequence <= view->levels[1].at);
    *ret = was;
    ret->body = body;
    ret->sequence = by->sequence;
    ret->time_ms = by->time_ms;
    return PANG_OK;
}

pang_code pang_undrop_state(pang_view *view, pang_name name, pang_id asset, uint64_t sequence,
                            pang_content *ret, pang_err *err)
{
    pang_view past = as_of(view, sequence);
    pang_content now = {.name = name};
    *ret = (pang_content){.name = name};
    pang_code code = pang_content_get(&past, &now, 1, err);
    if (code != PANG_OK || now.body == NULL || now.sequence != sequence)
        return code;
    if (may_be(&now))
        *ret = now;
    else
        code = read_replaced(view, &now, ret, err);
    if (code == PANG_OK && ret->body != NULL && !is_of(ret, asset))
        ret->body = NULL;
    return code;
}

/* ---- by id ---- */

static pang_code find_asset(pang_view *view, pang_name name, pang_id asset, pang_content *ret,
                            pang_err *err)
{
    pang_asset_at place;
    pang_code code = pang_asset_find(view, &asset, 1, &place, err);
    if (code != PANG_OK || place.body == NULL || !place.body->dropped ||
        place.body->space != (uint32_t)name.space ||
        !pang_str_equal(pang_str_from(place.body->path), name.path) ||
        !pang_str_equal(pang_str_from(place.body->name), name.name))
        return code;
    return pang_undrop_state(view, name, asset, place.sequence, ret, err);
}

/* ---- by name ---- */

/* Dropped states of a name, of one piece of its history. */
typedef struct {
    pang_view *view;
    pang_content list[STATES_AT_ONCE + 1];
    size_t n, rows;
    uint64_t next;       /* the next piece begins below it */
    pang_content oldest; /* of those that were read, tombstones or not; its body may be NULL */
    pang_code code;
    pang_err *err;
} states;

static bool take_row(void *arg, const pang_record *row)
{
    states *s = arg;
    pang_content state = {.name = s->oldest.name};
    if (!pang_key_number(pang_str_after(row->key, pang_key_slot_at(row->key)), &s->next))
        return true;
    s->code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, s->view->arena,
                                 &state.body, s->err);
    if (s->code != PANG_OK)
        return false;
    state.sequence = state.body->written_at;
    state.time_ms = state.body->written_ms;
    bool replaced = is_table(&state) &&
                    (s->oldest.body == NULL || !is_of(&s->oldest, pang_id_of(state.body->asset)));
    s->oldest = state;
    s->rows++;
    if (replaced) {
        state.body->dropped = true;
        state.sequence = s->next;
        state.time_ms = row->time_ms;
    }
    if (may_be(&state))
        s->list[s->n++] = state;
    return true;
}

/* States that commits below s->next replaced. */
static pang_code read_piece(states *s, pang_id branch, pang_name name, pang_err *err)
{
    pang_keys *keys = &s->view->keys;
    pang_query query = {.limit = STATES_AT_ONCE, .descending = true};
    pang_str from = pang_key_history(keys, branch, name.space, name.path, name.name, 0);
    query.prefix = pang_str_slice(from, 0, pang_key_prefix_len(from));
    if (s->next < PANG_NOW)
        query.after = pang_key_history(keys, branch, name.space, name.path, name.name, s->next);
    s->n = s->rows = 0;
    pang_code code = pang_keys_status(keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(s->view->txn, &query, take_row, s, err);
    return code == PANG_OK ? s->code : code;
}

/* The newest of the piece that is a dropped table still. */
static pang_code pick(states *s, pang_name name, pang_content *ret, pang_err *err)
{
    pang_code code = pang_undrop_which(s->view, s->list, s->n, err);
    for (size_t i = 0; code == PANG_OK && ret->body == NULL && i < s->n; i++)
        if (s->list[i].body != NULL) {
            *ret = s->list[i];
            ret->name = name;
        }
    return code;
}

/* The first state on a branch may have replaced what was read through its base. */
static pang_code look_below(states *s, size_t level, pang_err *err)
{
    pang_view *view = s->view;
    const pang_content *first = &s->oldest;
    s->list[0].body = NULL;
    s->n = 0;
    if (level + 1 == view->n_levels || first->body == NULL ||
        first->sequence <= view->levels[level + 1].at)
        return PANG_OK;
    pang_code code = read_replaced(view, first, &s->list[0], err);
    s->n = code == PANG_OK && s->list[0].body != NULL;
    return code;
}

static pang_code find_on_level(states *s, size_t level, pang_name name, pang_content *ret,
                               pang_err *err)
{
    uint64_t at = s->view->levels[level].at;
    pang_view from = as_of(s->view, at);
    s->list[0] = (pang_content){.name = name};
    pang_code code = pang_content_get(&from, s->list, 1, err); /* what stands there by then */
    s->oldest = s->list[0];
    s->n = code == PANG_OK && may_be(&s->list[0]);
    s->next = at < PANG_NOW ? at + 1 : PANG_NOW;
    size_t left = STATES_MAX;
    while (code == PANG_OK) {
        code = pick(s, name, ret, err);
        if (code != PANG_OK || ret->body != NULL || left == 0)
            break;
        code = read_piece(s, s->view->levels[level].branch, name, err);
        left = s->rows < STATES_AT_ONCE ? 0 : left - STATES_AT_ONCE;
    }
    if (code == PANG_OK && ret->body == NULL)
        code = look_below(s, level, err);
    return code == PANG_OK && ret->body == NULL ? pick(s, name, ret, err) : code;
}

pang_code pang_undrop_find(pang_view *view, pang_name name, const pang_id *asset, pang_content *ret,
                           pang_err *err)
{
    *ret = (pang_content){.name = name};
    if (asset != NULL)
        return find_asset(view, name, *asset, ret, err);
    states *s = pang_arena_alloc(view->arena, sizeof *s);
    if (s == NULL)
        return pang_fail_memory(err);
    pang_code code = PANG_OK;
    for (size_t level = 0; code == PANG_OK && ret->body == NULL && level < view->n_levels;
         level++) {
        *s = (states){.view = view, .err = err};
        code = find_on_level(s, level, name, ret, err);
    }
    return code;
}
