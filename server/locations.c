/*
 * Locations: reservations in the system scope, one record per reserved place, one counter per
 * ancestor of one. A canonical text is split at its slashes, so that both the makers of a
 * reservation and those who end it see the same ancestors.
 */
#include "server/locations.h"

#include <assert.h>
#include <string.h>

#include "server/shared.h"

#define LIVE PANGOLIN__STORE__V1__RESERVATION__STATE__STATE_LIVE
#define DROPPED PANGOLIN__STORE__V1__RESERVATION__STATE__STATE_DROPPED
#define STAGED PANGOLIN__STORE__V1__RESERVATION__STATE__STATE_STAGED
#define PURGING PANGOLIN__STORE__V1__RESERVATION__STATE__STATE_PURGING

enum { SEGMENTS_MAX = PANG_LOCATION_MAX / 2 + 2 };

/* ---- what a catalog may use ---- */

static pang_code is_below(pang_str base, const pang_location *at, pang_arena *arena, bool *ret,
                          pang_err *err)
{
    pang_location outer;
    pang_code code = pang_location_parse(base, "location", arena, &outer, err);
    if (code == PANG_OK)
        *ret = pang_location_covers(&outer, at);
    return code;
}

static pang_code is_allowed(pang_view *view, const pang_location *at, bool *ret, pang_err *err)
{
    pang_rec_catalog *settings;
    pang_code code = pang_view_settings(view, &settings, err);
    if (code != PANG_OK)
        return code;
    *ret = settings->allow_permitted;
    if (!*ret)
        code = is_below(pang_str_from(settings->warehouse), at, view->arena, ret, err);
    for (size_t i = 0; code == PANG_OK && !*ret && i < settings->n_allowed_locations; i++)
        code = is_below(pang_str_from(settings->allowed_locations[i]), at, view->arena, ret, err);
    return code;
}

pang_code pang_location_check(pang_view *view, pang_objects *const *objects,
                              const pang_location *at, const char *what, pang_err *err)
{
    bool allowed = false;
    pang_code code = is_allowed(view, at, &allowed, err);
    if (code != PANG_OK)
        return code;
    pang_objects *store = pang_objects_find(objects, at->scheme);
    if (!allowed || store == NULL || !store->ops->permits(store, at))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "%s: location is not below one that this catalog may use: %" PANG_STR_FMT,
                         what, PANG_STR_ARG(at->text));
    return PANG_OK;
}

/* The namespace's own property, if it has one that is a location that may be used: people set it
 * to other things too. */
static bool own_location(pang_view *view, pang_objects *const *objects,
                         const pang_rec_content *body, pang_location *ret)
{
    pang_err ignored;
    for (size_t i = 0; body != NULL && i < body->n_properties; i++) {
        if (strcmp(body->properties[i]->name, "location") != 0)
            continue;
        pang_str text = pang_str_from(body->properties[i]->value);
        return pang_location_parse(text, "location", view->arena, ret, &ignored) == PANG_OK &&
               pang_location_check(view, objects, ret, "location", &ignored) == PANG_OK;
    }
    return false;
}

static pang_code warehouse_of(pang_view *view, pang_location *ret, pang_err *err)
{
    pang_rec_catalog *settings;
    pang_code code = pang_view_settings(view, &settings, err);
    if (code != PANG_OK)
        return code;
    if (settings->warehouse[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "the catalog has no warehouse: name a location, or give it one");
    return pang_location_parse(pang_str_from(settings->warehouse), "warehouse", view->arena, ret,
                               err);
}

pang_code pang_namespace_location(pang_view *view, pang_objects *const *objects, pang_levels levels,
                                  const pang_rec_content *body, pang_location *ret, pang_err *err)
{
    pang_location at;
    if (own_location(view, objects, body, ret))
        return PANG_OK;
    pang_code code = warehouse_of(view, &at, err);
    for (size_t i = 0; code == PANG_OK && i < levels.n; i++)
        code = pang_location_child(&at, levels.names[i], view->arena, &at, err);
    if (code == PANG_OK)
        *ret = at;
    return code;
}

pang_code pang_namespace_location_beside(pang_view *view, pang_levels levels,
                                         const pang_rec_content *body, pang_location *ret,
                                         pang_err *err)
{
    enum { DIGITS = 8 };
    char hex[PANG_ID_HEX + 1];
    pang_location warehouse;
    pang_str last = levels.names[levels.n - 1];
    pang_id_hex(pang_id_of(body->asset), hex); /* its end is by chance, its begin is the time */
    pang_str name = pang_arena_printf(view->arena, "%" PANG_STR_FMT "-%s", PANG_STR_ARG(last),
                                      hex + PANG_ID_HEX - DIGITS);
    if (name.len == 0)
        return pang_fail_memory(err);
    pang_code code = warehouse_of(view, &warehouse, err);
    return code == PANG_OK ? pang_location_child(&warehouse, name, view->arena, ret, err) : code;
}

/* ---- canonical texts ---- */

/* The ancestors of a canonical text, outermost ("s3://bucket") first; returns their number. */
static size_t ancestors_of(pang_str canonical, pang_str ret[SEGMENTS_MAX])
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i + 2 < canonical.len; i++)
        if (memcmp(canonical.ptr + i, "://", 3) == 0) {
            from = i + 3;
            break;
        }
    for (size_t i = from; i < canonical.len && n < SEGMENTS_MAX; i++)
        if (canonical.ptr[i] == '/')
            ret[n++] = pang_str_slice(canonical, 0, i);
    return n;
}

static bool text_covers(pang_str outer, pang_str inner)
{
    return pang_str_starts(inner, outer) && (inner.len == outer.len || inner.ptr[outer.len] == '/');
}

static pang_keys system_keys(pang_arena *arena)
{
    return (pang_keys){.arena = arena, .scope = PANG_SYSTEM_SCOPE};
}

/* Adds to the counters of all places above one. */
static void count_above(pang_txn *txn, pang_keys *keys, pang_str canonical, int64_t amount)
{
    pang_str above[SEGMENTS_MAX];
    size_t n = ancestors_of(canonical, above);
    for (size_t i = 0; i < n; i++)
        pang_txn_add(txn, pang_key_reserved_below(keys, above[i]), amount);
}

/* ---- reserving ---- */

static bool holds(const pang_claim *claim, pang_str canonical)
{
    for (size_t i = 0; i < claim->n_held; i++)
        if (text_covers(claim->held[i], canonical))
            return true;
    return false;
}

static int64_t held_below(const pang_claim *claim, pang_str canonical)
{
    int64_t n = 0;
    for (size_t i = 0; i < claim->n_held; i++)
        n += claim->held[i].len > canonical.len && text_covers(canonical, claim->held[i]);
    return n;
}

static bool same_id(ProtobufCBinaryData bytes, pang_id id)
{
    return pang_id_equal(pang_id_of(bytes), id);
}

/* Whether the claim may take the very place that `old` reserves. */
static bool may_take(const pang_claim *claim, const pang_rec_reservation *old, bool *ret_asks)
{
    const pang_view *view = claim->view;
    int64_t now = pang_env_wall_ms(claim->env);
    bool ours = same_id(old->catalog, view->catalog) &&
                pang_str_equal(pang_str_from(old->scope), view->keys.scope);
    *ret_asks = old->state == DROPPED && old->deadline_ms > now && claim->may_take_over != NULL;
    switch (old->state) {
    case DROPPED:
        return old->deadline_ms <= now || (ours && claim->takes_over);
    case STAGED:
        return old->deadline_ms <= now || (ours && same_id(old->branch, view->levels[0].branch) &&
                                           same_id(old->principal, claim->who->id));
    default:
        return false;
    }
}

enum { FORMER_MAX = 64 }; /* assets that one place is known to have held before */

/* Who held the place before goes with it, oldest first. */
static pang_code fill_former(pang_claim *claim, const pang_rec_reservation *old,
                             pang_rec_reservation *body, pang_err *err)
{
    if (old == NULL || old->state == STAGED || same_id(old->asset, claim->asset))
        return PANG_OK;
    size_t skip = old->n_former >= FORMER_MAX ? old->n_former - FORMER_MAX + 1 : 0;
    body->former = pang_arena_alloc_n(claim->view->arena, old->n_former + 1, sizeof *body->former);
    if (body->former == NULL)
        return pang_fail_memory(err);
    for (size_t i = skip; i < old->n_former; i++)
        body->former[body->n_former++] = old->former[i];
    body->former[body->n_former++] = old->asset;
    return PANG_OK;
}

static pang_code put_reservation(pang_claim *claim, pang_str key, pang_str canonical,
                                 const pang_rec_reservation *old, pang_err *err)
{
    pang_view *view = claim->view;
    pang_rec_reservation body = PANGOLIN__STORE__V1__RESERVATION__INIT;
    char *release[1] = {pang_arena_cstr(view->arena, canonical)};
    body.state = claim->staged ? STAGED : LIVE;
    body.catalog = pang_bytes_of_id(&view->catalog);
    body.branch = pang_bytes_of_id(&view->levels[0].branch);
    body.asset = pang_bytes_of_id(&claim->asset);
    body.principal = pang_bytes_of_id(&claim->who->id);
    body.scope = pang_arena_cstr(view->arena, view->keys.scope);
    if (body.scope == NULL || release[0] == NULL)
        return pang_fail_memory(err);
    pang_code code = fill_former(claim, old, &body, err);
    if (code != PANG_OK)
        return code;
    if (claim->staged)
        body.deadline_ms = pang_env_wall_ms(claim->env) + PANG_STAGED_LIFE_MS;
    pang_txn_put(view->txn, PANG_KIND_RESERVATION, key, pang_record_pack(&body.base, view->arena));
    if (!claim->staged)
        return PANG_OK;
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    due.scope = body.scope;
    due.catalog = body.catalog;
    due.branch = body.branch;
    due.asset = body.asset;
    due.release = release;
    due.n_release = 1;
    return pang_due_put(view->txn, view->arena, claim->env, body.deadline_ms, &due, err);
}

/* Reads the place, its ancestors and its counter: refs[0] the place, then the ancestors. */
static pang_code read_around(pang_claim *claim, pang_str canonical, pang_record **ret,
                             size_t *ret_n, int64_t *ret_below, pang_err *err)
{
    pang_view *view = claim->view;
    pang_keys keys = system_keys(view->arena);
    pang_str above[SEGMENTS_MAX];
    size_t n = ancestors_of(canonical, above);
    pang_ref *refs = pang_arena_alloc_n(view->arena, n + 1, sizeof *refs);
    pang_record *records = pang_arena_alloc_n(view->arena, n + 1, sizeof *records), counter;
    if (refs == NULL || records == NULL)
        return pang_fail_memory(err);
    refs[0].key = pang_key_reservation(&keys, canonical);
    for (size_t i = 0; i < n; i++)
        refs[i + 1].key = pang_key_reservation(&keys, above[i]);
    pang_ref below = {.key = pang_key_reserved_below(&keys, canonical)};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(view->txn, &below, 1, PANG_READ_UNCHECKED, &counter, err);
    if (code == PANG_OK)
        code = pang_txn_get(view->txn, refs, n + 1, PANG_READ_CHECKED, records, err);
    if (code != PANG_OK)
        return code;
    *ret = records;
    *ret_n = n + 1;
    *ret_below = counter.value;
    return PANG_OK;
}

/* A dropped table's place is not free while a ref that was made since may read the table. */
static pang_code check_unread(pang_claim *claim, const pang_rec_reservation *old, bool *may,
                              pang_err *err)
{
    bool forked = false;
    pang_keys keys = {.arena = claim->view->arena, .scope = pang_str_from(old->scope)};
    if (old->state != DROPPED || !*may)
        return PANG_OK;
    pang_code code = pang_forked_since(claim->view->txn, &keys, pang_id_of(old->branch), old->since,
                                       PANG_READ_CHECKED, &forked, err);
    *may = !forked;
    return code;
}

/* Whether the claim may have the place, by what is recorded there and above. */
static pang_code judge(pang_claim *claim, const pang_record *records, size_t n, pang_placing *ret,
                       pang_rec_reservation **ret_old, pang_err *err)
{
    *ret = PANG_PLACE_OURS;
    *ret_old = NULL;
    for (size_t i = 0; i < n; i++) {
        pang_rec_reservation *old;
        if (records[i].version == 0)
            continue;
        pang_code code = pang_record_unpack(&pangolin__store__v1__reservation__descriptor,
                                            &records[i], claim->view->arena, &old, err);
        if (code != PANG_OK)
            return code;
        if (i > 0) {
            *ret = PANG_PLACE_COVERED;
            return PANG_OK;
        }
        *ret_old = old;
        bool asks = false, may = may_take(claim, old, &asks);
        code = check_unread(claim, old, &may, err);
        if (code == PANG_OK && may && asks)
            code = claim->may_take_over(claim->may_arg, old, &may, err);
        if (code != PANG_OK)
            return code;
        if (!may)
            *ret = PANG_PLACE_TAKEN;
    }
    return PANG_OK;
}

pang_code pang_location_reserve(pang_claim *claim, const pang_location *at, pang_placing *ret,
                                pang_err *err)
{
    pang_view *view = claim->view;
    pang_keys keys = system_keys(view->arena);
    pang_record *records = NULL;
    pang_rec_reservation *old = NULL;
    int64_t below = 0, own_below = held_below(claim, at->canonical);
    size_t n = 0;
    *ret = PANG_PLACE_OURS;
    if (holds(claim, at->canonical))
        return PANG_OK;
    if (claim->n_held == PANG_RESERVED_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "too many locations for one table, at most %d", PANG_RESERVED_MAX);
    pang_code code = read_around(claim, at->canonical, &records, &n, &below, err);
    if (code == PANG_OK)
        code = judge(claim, records, n, ret, &old, err);
    if (code == PANG_OK && *ret == PANG_PLACE_OURS && below != own_below)
        *ret = PANG_PLACE_TAKEN;
    if (code != PANG_OK || *ret != PANG_PLACE_OURS)
        return code;
    pang_txn_check_counter(view->txn, pang_key_reserved_below(&keys, at->canonical), below);
    if (records[0].version == 0)
        count_above(view->txn, &keys, at->canonical, 1);
    code = put_reservation(claim, records[0].key, at->canonical, old, err);
    claim->held[claim->n_held++] = at->canonical;
    return code == PANG_OK ? pang_keys_status(&keys, err) : code;
}

/* ---- ending ---- */

static pang_code read_reservation(pang_txn *txn, pang_arena *arena, pang_str canonical,
                                  pang_str *ret_key, pang_rec_reservation **ret, pang_err *err)
{
    pang_keys keys = system_keys(arena);
    pang_record record = {0};
    *ret = NULL;
    *ret_key = pang_key_reservation(&keys, canonical);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, *ret_key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(&pangolin__store__v1__reservation__descriptor, &record, arena, ret,
                              err);
}

pang_code pang_locations_drop(pang_view *view, const pang_rec_content *body, uint64_t since,
                              int64_t deadline_ms, pang_err *err)
{
    for (size_t i = 0; i < body->n_reserved; i++) {
        pang_rec_reservation *held;
        pang_str key;
        pang_code code = read_reservation(view->txn, view->arena, pang_str_from(body->reserved[i]),
                                          &key, &held, err);
        if (code != PANG_OK)
            return code;
        if (held == NULL || !same_id(held->asset, pang_id_of(body->asset)))
            continue;
        held->state = DROPPED;
        held->since = since;
        held->deadline_ms = deadline_ms;
        pang_txn_put(view->txn, PANG_KIND_RESERVATION, key,
                     pang_record_pack(&held->base, view->arena));
    }
    return PANG_OK;
}

static bool is_over(const pang_rec_reservation *held, pang_id asset, int64_t now_ms)
{
    return held != NULL && same_id(held->asset, asset) &&
           ((held->state == DROPPED && held->deadline_ms <= now_ms) || held->state == PURGING);
}

pang_code pang_locations_prolong(pang_txn *txn, pang_arena *arena, pang_id asset,
                                 int64_t deadline_ms, const pang_str *canonicals, size_t n,
                                 bool *ret, pang_err *err)
{
    pang_rec_reservation *held[PANG_RESERVED_MAX];
    pang_str keys[PANG_RESERVED_MAX];
    size_t n_held = 0;
    *ret = false;
    for (size_t i = 0; i < n && i < PANG_RESERVED_MAX; i++) {
        pang_rec_reservation *one;
        pang_code code = read_reservation(txn, arena, canonicals[i], &keys[n_held], &one, err);
        if (code != PANG_OK)
            return code;
        if (one == NULL || !same_id(one->asset, asset))
            continue;
        if (one->state == PURGING)
            return PANG_OK;
        held[n_held] = one;
        n_held += one->state == DROPPED && one->deadline_ms < deadline_ms;
    }
    for (size_t i = 0; i < n_held; i++) {
        held[i]->deadline_ms = deadline_ms;
        pang_txn_put(txn, PANG_KIND_RESERVATION, keys[i], pang_record_pack(&held[i]->base, arena));
    }
    *ret = n_held > 0;
    return PANG_OK;
}

pang_code pang_locations_seize(pang_txn *txn, pang_arena *arena, pang_id asset, int64_t now_ms,
                               const pang_str *canonicals, size_t n, bool *ret_owned, pang_err *err)
{
    pang_rec_reservation *held[PANG_RESERVED_MAX];
    pang_str keys[PANG_RESERVED_MAX];
    *ret_owned = n > 0 && n <= PANG_RESERVED_MAX;
    for (size_t i = 0; *ret_owned && i < n; i++) {
        pang_code code = read_reservation(txn, arena, canonicals[i], &keys[i], &held[i], err);
        if (code != PANG_OK)
            return code;
        *ret_owned = is_over(held[i], asset, now_ms);
    }
    for (size_t i = 0; *ret_owned && i < n; i++) {
        if (held[i]->state == PURGING)
            continue;
        held[i]->state = PURGING;
        pang_txn_put(txn, PANG_KIND_RESERVATION, keys[i], pang_record_pack(&held[i]->base, arena));
    }
    return PANG_OK;
}

pang_code pang_locations_are(pang_txn *txn, pang_arena *arena, pang_id asset,
                             const pang_str *canonicals, size_t n, bool *ret, pang_err *err)
{
    *ret = true;
    for (size_t i = 0; *ret && i < n; i++) {
        pang_rec_reservation *held;
        pang_str key;
        pang_code code = read_reservation(txn, arena, canonicals[i], &key, &held, err);
        if (code != PANG_OK)
            return code;
        *ret = held != NULL && same_id(held->asset, asset) &&
               (held->state == LIVE || held->state == DROPPED);
    }
    return PANG_OK;
}

pang_code pang_locations_keep(pang_txn *txn, pang_arena *arena, pang_id asset,
                              const pang_str *canonicals, size_t n, pang_err *err)
{
    for (size_t i = 0; i < n; i++) {
        pang_rec_reservation *held;
        pang_str key;
        pang_code code = read_reservation(txn, arena, canonicals[i], &key, &held, err);
        if (code != PANG_OK)
            return code;
        if (held == NULL || !same_id(held->asset, asset) ||
            (held->state != DROPPED && held->state != PURGING))
            continue;
        held->state = LIVE;
        held->deadline_ms = 0;
        pang_txn_put(txn, PANG_KIND_RESERVATION, key, pang_record_pack(&held->base, arena));
    }
    return PANG_OK;
}

/* Nobody has the place any more: it is reserved again, as for a new asset. */
static pang_code bring_place(pang_claim *claim, pang_str canonical, bool *ret, pang_err *err)
{
    pang_location at;
    pang_placing place = PANG_PLACE_OURS;
    pang_code code = pang_location_parse(canonical, "location", claim->view->arena, &at, err);
    if (code == PANG_OK)
        code = pang_location_reserve(claim, &at, &place, err);
    *ret = place == PANG_PLACE_OURS;
    return code;
}

pang_code pang_locations_bring(pang_view *view, const pang_env *env, const pang_principal *who,
                               const pang_rec_content *body, bool *ret, pang_err *err)
{
    pang_claim claim = {.view = view, .env = env, .who = who, .asset = pang_id_of(body->asset)};
    pang_code code = PANG_OK;
    *ret = body->n_reserved <= PANG_RESERVED_MAX;
    for (size_t i = 0; code == PANG_OK && *ret && i < body->n_reserved; i++) {
        pang_rec_reservation *held;
        pang_str key, canonical = pang_str_from(body->reserved[i]);
        code = read_reservation(view->txn, view->arena, canonical, &key, &held, err);
        if (code == PANG_OK && held == NULL) {
            code = bring_place(&claim, canonical, ret, err);
            continue;
        }
        *ret = code == PANG_OK && same_id(held->asset, claim.asset) && held->state != PURGING;
        if (*ret)
            claim.held[claim.n_held++] = canonical;
    }
    if (code != PANG_OK || !*ret)
        return code;
    return pang_locations_keep(view->txn, view->arena, claim.asset, claim.held, claim.n_held, err);
}

pang_code pang_locations_release(pang_txn *txn, pang_arena *arena, pang_id asset, int64_t now_ms,
                                 const pang_str *canonicals, size_t n, pang_err *err)
{
    pang_keys keys = system_keys(arena);
    for (size_t i = 0; i < n; i++) {
        pang_rec_reservation *held;
        pang_str key;
        pang_code code = read_reservation(txn, arena, canonicals[i], &key, &held, err);
        if (code != PANG_OK)
            return code;
        if (held == NULL || !same_id(held->asset, asset) || held->state == LIVE ||
            (held->state != PURGING && held->deadline_ms > now_ms))
            continue;
        pang_txn_delete(txn, key);
        count_above(txn, &keys, canonicals[i], -1);
    }
    return pang_keys_status(&keys, err);
}

pang_code pang_due_put(pang_txn *txn, pang_arena *arena, const pang_env *env, int64_t due_ms,
                       const pang_rec_due *due, pang_err *err)
{
    pang_keys keys = system_keys(arena);
    pang_str key = pang_key_due(&keys, due_ms < 0 ? 0 : due_ms, pang_id_v7(env));
    pang_txn_put(txn, PANG_KIND_DUE, key, pang_record_pack(&due->base, arena));
    return pang_keys_status(&keys, err);
}
