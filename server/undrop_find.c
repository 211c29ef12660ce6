/*
 * What undrop can be about. An asset's own record says where it was last, and which commit dropped
 * it there; so a state of a name is a dropped table when that commit wrote it, whatever the name
 * has stood for since. Of a name alone the states are looked through, the newest first.
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

pang_code pang_undrop_state(pang_view *view, pang_name name, uint64_t sequence, pang_content *ret,
                            pang_err *err)
{
    pang_view past = as_of(view, sequence);
    *ret = (pang_content){.name = name};
    pang_code code = pang_content_get(&past, ret, 1, err);
    if (code == PANG_OK && (!may_be(ret) || ret->sequence != sequence))
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
    code = pang_undrop_state(view, name, place.sequence, ret, err);
    if (code == PANG_OK && ret->body != NULL && !pang_id_equal(pang_id_of(ret->body->asset), asset))
        ret->body = NULL;
    return code;
}

/* ---- by name ---- */

/* Dropped states of a name, of one piece of its history. */
typedef struct {
    pang_view *view;
    pang_content list[STATES_AT_ONCE + 1];
    size_t n, rows;
    uint64_t next; /* the next piece begins below it */
    pang_code code;
    pang_err *err;
} states;

static bool take_row(void *arg, const pang_record *row)
{
    states *s = arg;
    pang_content *state = &s->list[s->n];
    if (!pang_key_number(pang_str_after(row->key, pang_key_slot_at(row->key)), &s->next))
        return true;
    s->code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, s->view->arena,
                                 &state->body, s->err);
    if (s->code != PANG_OK)
        return false;
    state->sequence = state->body->written_at;
    state->time_ms = state->body->written_ms;
    s->rows++;
    s->n += may_be(state);
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

static pang_code find_on_level(states *s, size_t level, pang_name name, pang_content *ret,
                               pang_err *err)
{
    uint64_t at = s->view->levels[level].at;
    pang_view from = as_of(s->view, at);
    s->list[0] = (pang_content){.name = name};
    pang_code code = pang_content_get(&from, s->list, 1, err); /* what stands there by then */
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
    return code;
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
