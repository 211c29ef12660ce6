/*
 * A walk has a cursor for each tenant, and goes on with the seal that is first among theirs, by
 * (newest, tenant): `newest` never falls along a chain, so that a place in one tenant's chain is a
 * place in all of them, and a token that names it finds the others' by bisection.
 *
 * A filter by caller or resource takes its seals from the index, and of each only the rows that
 * the index names. Any other reads seal after seal, many in one round trip, and rows only of those
 * that say themselves that they may hold what is looked for.
 */
#include "server/audit_query.h"

#include <stdlib.h>
#include <string.h>

#include "api/keys.h"
#include "server/audit_expand.h"

enum {
    WINDOW = 32,             /* seals of one round trip, when one tenant is read */
    CURSOR_MEMORY = 8 << 20, /* seals of a window */
    SEAL_MEMORY = 256 << 20, /* rows of a seal, expanded */
};

typedef struct {
    pang_str scope;
    pang_rec_audit_head *head;
    uint64_t after;   /* seals behind it, in the walk's direction, are candidates */
    uint32_t skip;    /* entries of the first one that were given before */
    uint64_t skip_in; /* that one */
    bool ended;
    pang_arena *arena; /* of the window */
    uint64_t numbers[WINDOW];
    pang_rec_audit_seal *seals[WINDOW]; /* NULL: gone meanwhile */
    size_t at, n;
} cursor;

typedef struct {
    pang_audit_walk *walk;
    pang_arena *lasting, *arena; /* of the walk; of the seal that is read */
    cursor *cursors;
    pang_err *err;
    pang_code code;
    /* The seal that is read. */
    pang_str scope;
    pang_id server;
    pang_audit_found *found;
    size_t n_found, room;
} walker;

static pang_keys keys_in(pang_arena *arena, pang_str scope)
{
    return (pang_keys){.arena = arena, .scope = scope};
}

static bool is_filtered_by_index(const pang_audit_filter *filter)
{
    return !pang_id_is_nil(filter->user) || !pang_id_is_nil(filter->resource);
}

static pang_str index_key(const pang_audit_filter *filter, pang_keys *keys, uint64_t seal)
{
    return !pang_id_is_nil(filter->user) ? pang_key_audit_principal(keys, filter->user, seal)
                                         : pang_key_audit_resource(keys, filter->resource, seal);
}

static pang_str index_prefix(const pang_audit_filter *filter, pang_keys *keys)
{
    return !pang_id_is_nil(filter->user) ? pang_key_audit_principals(keys, filter->user)
                                         : pang_key_audit_resources(keys, filter->resource);
}

/* ---- seals ---- */

static pang_code get(const walker *w, const pang_ref *refs, size_t n, pang_arena *arena,
                     pang_record *records, pang_err *err)
{
    if (pang_arena_failed(arena))
        return pang_fail_memory(err);
    return pang_store_get(w->walk->store, refs, n, w->walk->deadline_ms, arena, records, err);
}

static pang_code get_seals(const walker *w, pang_str scope, const uint64_t *numbers, size_t n,
                           pang_arena *arena, pang_rec_audit_seal **seals, pang_err *err)
{
    pang_ref refs[WINDOW] = {0};
    pang_record records[WINDOW] = {0};
    pang_keys keys = keys_in(arena, scope);
    for (size_t i = 0; i < n; i++)
        refs[i] = (pang_ref){.key = pang_key_audit_seal(&keys, numbers[i])};
    pang_code code = get(w, refs, n, arena, records, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        seals[i] = NULL;
        if (records[i].version != 0)
            code = pang_record_unpack(&pangolin__store__v1__audit_seal__descriptor, &records[i],
                                      arena, &seals[i], err);
    }
    return code;
}

/* The first seal whose newest is at least `ms`; one more than there are when none is. */
static pang_code bisect(const walker *w, const cursor *c, int64_t ms, uint64_t *ret, pang_err *err)
{
    uint64_t low = c->head->removed_seals + 1, high = c->head->seals + 1;
    if (c->head->newest_ms < ms)
        low = high;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        pang_rec_audit_seal *seal = NULL;
        pang_arena_reset(w->arena);
        pang_code code = get_seals(w, c->scope, &middle, 1, w->arena, &seal, err);
        if (code != PANG_OK)
            return code;
        if (seal == NULL || seal->newest_ms < ms) /* gone: it was the oldest */
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return PANG_OK;
}

typedef struct {
    cursor *c;
    size_t max;
} index_reading;

static bool take_index(void *arg, const pang_record *row)
{
    index_reading *r = arg;
    pang_key_parts parts;
    uint64_t number;
    if (pang_key_parse(row->key, &parts) && pang_key_number(parts.parts[1], &number))
        r->c->numbers[r->c->n++] = number;
    return r->c->n < r->max;
}

static pang_code list_by_index(const walker *w, cursor *c, size_t max, pang_err *err)
{
    const pang_audit_filter *filter = &w->walk->filter;
    index_reading r = {c, max};
    pang_keys keys = keys_in(c->arena, c->scope);
    pang_query query = {
        .prefix = index_prefix(filter, &keys),
        .after = index_key(filter, &keys, c->after),
        .limit = (uint32_t)max,
        .descending = !w->walk->ascending,
        .keys_only = true,
    };
    pang_code code = pang_keys_status(&keys, err);
    return code != PANG_OK
               ? code
               : pang_store_scan(w->walk->store, &query, w->walk->deadline_ms, take_index, &r, err);
}

static void list_by_number(const walker *w, cursor *c, size_t max)
{
    const pang_rec_audit_head *head = c->head;
    uint64_t number = c->after;
    while (c->n < max) {
        number = w->walk->ascending ? number + 1 : number - 1;
        if (number <= head->removed_seals || number > head->seals)
            return;
        c->numbers[c->n++] = number;
    }
}

static bool names_action(const pang_rec_audit_seal *seal, pang_str action)
{
    for (size_t i = 0; i < seal->n_actions; i++)
        if (pang_str_equal(action, pang_str_from(seal->actions[i])))
            return true;
    return action.len == 0 || seal->n_actions == 0;
}

static bool may_hold(const walker *w, const pang_rec_audit_seal *seal)
{
    const pang_audit_filter *filter = &w->walk->filter;
    return seal->newest_ms >= filter->from_ms && seal->oldest_ms < filter->to_ms &&
           !(filter->only_success && !seal->has_success) &&
           !(filter->only_failure && !seal->has_failure) && names_action(seal, filter->action);
}

/* Whether no later seal of the walk can hold what is looked for, this one seen. */
static bool is_past(const walker *w, const cursor *c, const pang_rec_audit_seal *seal)
{
    const pang_audit_filter *filter = &w->walk->filter;
    if (!w->walk->ascending)
        return seal->newest_ms < filter->from_ms;
    return seal->newest_ms - c->head->lag_ms >= filter->to_ms;
}

static pang_code refill(const walker *w, cursor *c, pang_err *err)
{
    size_t max = w->walk->n_scopes == 1 ? WINDOW : 1;
    pang_code code = PANG_OK;
    c->at = c->n = 0;
    pang_arena_reset(c->arena);
    if (is_filtered_by_index(&w->walk->filter))
        code = list_by_index(w, c, max, err);
    else
        list_by_number(w, c, max);
    if (code == PANG_OK && c->n > 0)
        code = get_seals(w, c->scope, c->numbers, c->n, c->arena, c->seals, err);
    c->ended = c->n == 0;
    return code;
}

/* Makes the cursor stand on a seal that may hold something, or end. */
static pang_code settle(const walker *w, cursor *c, pang_err *err)
{
    while (!c->ended) {
        if (c->at == c->n) {
            pang_code code = refill(w, c, err);
            if (code != PANG_OK)
                return code;
            continue;
        }
        const pang_rec_audit_seal *seal = c->seals[c->at];
        if (seal != NULL && may_hold(w, seal))
            return PANG_OK;
        if (seal != NULL && is_past(w, c, seal))
            c->ended = true;
        c->after = c->numbers[c->at++];
    }
    return PANG_OK;
}

/* ---- the start ---- */

/* Behind all that is out of the filter's time already. */
static pang_code start_by_time(const walker *w, cursor *c, pang_err *err)
{
    const pang_audit_filter *filter = &w->walk->filter;
    uint64_t first;
    pang_code code = PANG_OK;
    c->after = w->walk->ascending ? c->head->removed_seals : c->head->seals + 1;
    if (w->walk->ascending && filter->from_ms > 0) {
        code = bisect(w, c, filter->from_ms, &first, err);
        if (code == PANG_OK)
            c->after = first - 1;
    } else if (!w->walk->ascending && filter->to_ms <= c->head->newest_ms - c->head->lag_ms) {
        /* What is before `to` is in no seal behind the first that is newer by the lag. */
        code = bisect(w, c, filter->to_ms + c->head->lag_ms, &first, err);
        if (code == PANG_OK)
            c->after = first + 1;
    }
    return code;
}

/* Where the walk's place is in this chain. */
static pang_code start_at_place(const walker *w, cursor *c, pang_err *err)
{
    const pang_audit_place *place = &w->walk->place;
    uint64_t first;
    int order = pang_str_compare(c->scope, place->scope);
    if (order == 0) {
        c->skip = place->skip;
        c->skip_in = place->seal;
        c->after = w->walk->ascending ? place->seal - 1 : place->seal + 1;
        return PANG_OK;
    }
    /* Of seals as new as the place's, those of tenants before it come before it. */
    pang_code code = bisect(w, c, place->newest_ms + (order < 0 ? 1 : 0), &first, err);
    if (code == PANG_OK)
        c->after = w->walk->ascending ? first - 1 : first;
    return code;
}

static pang_code start(walker *w, pang_err *err)
{
    pang_audit_walk *walk = w->walk;
    pang_rec_audit_head **heads = NULL;
    if (walk->n_scopes > PANG_AUDIT_TENANTS_MAX)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "there are more than %d tenants: X-Pangolin-Tenant must name one",
                         PANG_AUDIT_TENANTS_MAX);
    pang_code code = pang_audit_heads(walk->store, walk->scopes, walk->n_scopes, walk->deadline_ms,
                                      w->lasting, &heads, err);
    if (code != PANG_OK)
        return code;
    w->cursors = pang_arena_alloc_n(w->lasting, walk->n_scopes, sizeof *w->cursors);
    if (w->cursors == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < walk->n_scopes; i++) {
        cursor *c = &w->cursors[i];
        c->scope = walk->scopes[i];
        c->head = heads[i];
        c->ended = heads[i]->seals == heads[i]->removed_seals;
        if (c->ended)
            continue;
        c->arena = pang_arena_new(CURSOR_MEMORY);
        if (c->arena == NULL)
            return pang_fail_memory(err);
        code = walk->place.scope.len == 0 ? start_by_time(w, c, err) : start_at_place(w, c, err);
    }
    return code;
}

/* ---- the next seal ---- */

static int64_t newest_of(const cursor *c)
{
    return c->seals[c->at]->newest_ms;
}

/* Whether a comes before b. */
static bool is_before(const walker *w, const cursor *a, const cursor *b)
{
    int order = newest_of(a) != newest_of(b) ? (newest_of(a) < newest_of(b) ? -1 : 1)
                                             : pang_str_compare(a->scope, b->scope);
    return w->walk->ascending ? order < 0 : order > 0;
}

static pang_code next_seal(walker *w, cursor **ret, pang_err *err)
{
    cursor *first = NULL;
    for (size_t i = 0; i < w->walk->n_scopes; i++) {
        cursor *c = &w->cursors[i];
        pang_code code = settle(w, c, err);
        if (code != PANG_OK)
            return code;
        if (!c->ended && (first == NULL || is_before(w, c, first)))
            first = c;
    }
    *ret = first;
    return PANG_OK;
}

/* ---- rows ---- */

static bool keep(walker *w, const pang_audit_found *found)
{
    if (w->n_found == w->room) {
        size_t room = w->room == 0 ? 256 : 2 * w->room;
        pang_audit_found *larger = pang_arena_alloc_n(w->arena, room, sizeof *larger);
        if (larger == NULL)
            return false;
        if (w->n_found > 0)
            memcpy(larger, w->found, w->n_found * sizeof *larger);
        w->found = larger;
        w->room = room;
    }
    w->found[w->n_found++] = *found;
    return true;
}

static pang_code add_row(walker *w, const pang_record *record, pang_err *err)
{
    pang_record kept = *record;
    pang_key_parts parts;
    uint64_t number;
    pang_rec_audit_row *row = NULL;
    if (!pang_arena_copy(w->arena, record->body, &kept.body) ||
        !pang_arena_copy(w->arena, record->key, &kept.key))
        return pang_fail_memory(err);
    if (!pang_key_parse(kept.key, &parts) || !pang_key_number(parts.parts[1], &number) ||
        !pang_id_parse(parts.parts[0], &w->server))
        return pang_fail(err, PANG_DATA_LOSS, NULL, "the audit log has a row with a strange key");
    pang_code code = pang_record_unpack(&pangolin__store__v1__audit_row__descriptor, &kept,
                                        w->arena, &row, err);
    for (size_t i = 0; code == PANG_OK && i < pang_audit_expanded(row); i++) {
        pang_audit_found found;
        if (pang_audit_expand(row, i, w->scope, w->server, number, kept.time_ms, w->arena,
                              &found) &&
            pang_audit_matches(&w->walk->filter, &found) && !keep(w, &found))
            code = pang_fail_memory(err);
    }
    return code == PANG_OK && pang_arena_failed(w->arena) ? pang_fail_memory(err) : code;
}

static bool take_row(void *arg, const pang_record *row)
{
    walker *w = arg;
    w->code = add_row(w, row, w->err);
    return w->code == PANG_OK;
}

static pang_code read_spans(walker *w, const pang_rec_audit_seal *seal, pang_err *err)
{
    pang_keys keys = keys_in(w->arena, w->scope);
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < seal->n_spans; i++) {
        const pang_rec_audit_span *span = seal->spans[i];
        pang_id server = pang_id_of(span->server);
        pang_query query = {
            .prefix = pang_key_audits(&keys, server),
            .after = pang_key_audit(&keys, server, span->first - 1),
            .until = pang_key_audit(&keys, server, span->last + 1),
            .limit = PANG_SCAN_MAX,
        };
        code = pang_keys_status(&keys, err);
        if (code == PANG_OK)
            code = pang_store_scan(w->walk->store, &query, w->walk->deadline_ms, take_row, w, err);
        if (code == PANG_OK)
            code = w->code;
    }
    return code;
}

/* The key of the row at a position of the seal. */
static pang_str key_at(pang_keys *keys, const pang_rec_audit_seal *seal, uint64_t position)
{
    for (size_t i = 0; i < seal->n_spans; i++) {
        const pang_rec_audit_span *span = seal->spans[i];
        uint64_t n = span->last - span->first + 1;
        if (position < n)
            return pang_key_audit(keys, pang_id_of(span->server), span->first + position);
        position -= n;
    }
    return (pang_str){0};
}

static pang_code read_places(walker *w, const pang_rec_audit_seal *seal, uint64_t number,
                             pang_err *err)
{
    pang_keys keys = keys_in(w->arena, w->scope);
    pang_ref ref = {.key = index_key(&w->walk->filter, &keys, number)};
    pang_record record;
    pang_rec_audit_places *places = NULL;
    pang_code code = get(w, &ref, 1, w->arena, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__audit_places__descriptor, &record, w->arena,
                              &places, err);
    for (size_t at = 0; code == PANG_OK && at < places->n_rows; at += WINDOW) {
        size_t n = 0;
        pang_ref refs[WINDOW] = {0};
        pang_record rows[WINDOW] = {0};
        for (size_t i = at; i < places->n_rows && i < at + WINDOW; i++) {
            refs[n] = (pang_ref){.key = key_at(&keys, seal, places->rows[i])};
            n += refs[n].key.len > 0;
        }
        code = get(w, refs, n, w->arena, rows, err);
        for (size_t i = 0; code == PANG_OK && i < n; i++)
            if (rows[i].version != 0)
                code = add_row(w, &rows[i], err);
    }
    return code;
}

static int by_time(const void *left, const void *right)
{
    const pang_audit_found *a = left, *b = right;
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    return memcmp(a->id.bytes, b->id.bytes, sizeof a->id.bytes);
}

static pang_code read_seal(walker *w, const cursor *c, pang_err *err)
{
    const pang_rec_audit_seal *seal = c->seals[c->at];
    pang_arena_reset(w->arena);
    w->scope = c->scope;
    w->found = NULL;
    w->n_found = w->room = 0;
    w->code = PANG_OK;
    pang_code code = is_filtered_by_index(&w->walk->filter)
                         ? read_places(w, seal, c->numbers[c->at], err)
                         : read_spans(w, seal, err);
    if (code == PANG_OK && w->n_found > 0)
        qsort(w->found, w->n_found, sizeof *w->found, by_time);
    return code;
}

/* Gives the seal's entries; false when the walk stops. */
static bool give_seal(walker *w, cursor *c, pang_audit_found_fn *fn, void *arg)
{
    uint64_t number = c->numbers[c->at];
    size_t from = c->skip_in == number ? c->skip : 0;
    for (size_t i = from; i < w->n_found; i++) {
        if (fn(arg, &w->found[w->walk->ascending ? i : w->n_found - 1 - i]))
            continue;
        w->walk->place = (pang_audit_place){c->scope, number, newest_of(c), (uint32_t)i};
        return false;
    }
    c->after = number;
    c->at++;
    return true;
}

static pang_code run(walker *w, pang_audit_found_fn *fn, void *arg, bool *ret_end, pang_err *err)
{
    pang_code code = start(w, err);
    while (code == PANG_OK) {
        cursor *c;
        code = next_seal(w, &c, err);
        if (code != PANG_OK || c == NULL) {
            *ret_end = true;
            return code;
        }
        code = read_seal(w, c, err);
        if (code == PANG_OK && !give_seal(w, c, fn, arg)) {
            *ret_end = false;
            return PANG_OK;
        }
    }
    return code;
}

pang_code pang_audit_walk_run(pang_audit_walk *walk, pang_audit_found_fn *fn, void *arg,
                              bool *ret_end, pang_err *err)
{
    walker w = {.walk = walk, .err = err};
    w.lasting = pang_arena_new(SEAL_MEMORY);
    w.arena = pang_arena_new(SEAL_MEMORY);
    pang_code code = w.lasting == NULL || w.arena == NULL ? pang_fail_memory(err)
                                                          : run(&w, fn, arg, ret_end, err);
    for (size_t i = 0; w.cursors != NULL && i < walk->n_scopes; i++)
        pang_arena_free(w.cursors[i].arena);
    pang_arena_free(w.arena);
    pang_arena_free(w.lasting);
    return code;
}

/* ---- heads ---- */

static pang_code get_heads(pang_store *store, const pang_str *scopes, size_t n, int64_t deadline_ms,
                           pang_arena *arena, pang_rec_audit_head **heads, pang_err *err)
{
    pang_ref *refs = pang_arena_alloc_n(arena, n, sizeof *refs);
    pang_record *records = pang_arena_alloc_n(arena, n, sizeof *records);
    pang_rec_audit_head *empty = pang_arena_alloc_n(arena, n, sizeof *empty);
    if (refs == NULL || records == NULL || empty == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        pang_keys keys = keys_in(arena, scopes[i]);
        refs[i].key = pang_key_audit_head(&keys);
    }
    pang_code code = pang_arena_failed(arena)
                         ? pang_fail_memory(err)
                         : pang_store_get(store, refs, n, deadline_ms, arena, records, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pangolin__store__v1__audit_head__init(&empty[i]);
        heads[i] = &empty[i];
        if (records[i].version != 0)
            code = pang_record_unpack(&pangolin__store__v1__audit_head__descriptor, &records[i],
                                      arena, &heads[i], err);
    }
    return code;
}

pang_code pang_audit_heads(pang_store *store, const pang_str *scopes, size_t n, int64_t deadline_ms,
                           pang_arena *arena, pang_rec_audit_head ***ret, pang_err *err)
{
    pang_code code = PANG_OK;
    pang_rec_audit_head **heads = pang_arena_alloc_n(arena, n, sizeof(void *));
    if (heads == NULL)
        return pang_fail_memory(err);
    for (size_t at = 0; code == PANG_OK && at < n; at += PANG_GET_MAX) {
        size_t some = n - at < PANG_GET_MAX ? n - at : PANG_GET_MAX;
        code = get_heads(store, scopes + at, some, deadline_ms, arena, heads + at, err);
    }
    if (code == PANG_OK)
        *ret = heads;
    return code;
}

/* ---- one entry ---- */

typedef struct {
    uint64_t hash;
    pang_str scope;
    pang_id server;
    bool found;
} looking;

static bool take_server(void *arg, const pang_record *row)
{
    looking *l = arg;
    pang_key_parts parts;
    l->found = pang_key_parse(row->key, &parts) && pang_id_parse(parts.parts[0], &l->server) &&
               pang_audit_place_hash(l->scope, l->server) == l->hash;
    return !l->found;
}

static pang_code find_in(pang_store *store, pang_str scope, pang_id id, int64_t deadline_ms,
                         pang_arena *arena, pang_audit_found *ret, bool *ret_found, pang_err *err)
{
    looking l = {.scope = scope};
    uint64_t number;
    size_t place;
    pang_record record = {0};
    pang_rec_audit_row *row = NULL;
    pang_keys keys = keys_in(arena, scope);
    pang_query query = {
        .prefix = pang_key_audit_sequences(&keys), .limit = PANG_SCAN_MAX, .keys_only = true};
    *ret_found = false;
    if (!pang_audit_id_parse(id, &l.hash, &number, &place))
        return PANG_OK;
    pang_code code = pang_store_scan(store, &query, deadline_ms, take_server, &l, err);
    if (code != PANG_OK || !l.found)
        return code;
    pang_ref ref = {.key = pang_key_audit(&keys, l.server, number)};
    code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_store_get(store, &ref, 1, deadline_ms, arena, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__audit_row__descriptor, &record, arena, &row,
                              err);
    if (code == PANG_OK)
        *ret_found = pang_audit_expand(row, place, scope, l.server, number, record.time_ms, arena,
                                       ret);
    return code;
}

pang_code pang_audit_find(pang_store *store, pang_str scope, pang_id id, int64_t deadline_ms,
                          pang_audit_found_fn *fn, void *arg, pang_err *err)
{
    bool is_there = false;
    pang_audit_found found;
    pang_arena *arena = pang_arena_new(SEAL_MEMORY);
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_code code = find_in(store, scope, id, deadline_ms, arena, &found, &is_there, err);
    if (code == PANG_OK && is_there)
        (void)fn(arg, &found);
    pang_arena_free(arena);
    return code;
}
