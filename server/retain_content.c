/*
 * Names and assets of a branch. A state lasted from the commit that wrote it to the one that
 * replaced it, and goes when it was replaced at or below the floor and nothing reads the branch at
 * a number in between. Reads look at history only where there is a current record, so that one goes
 * last: a tombstone, once nothing of the name is left above it in time, and no base shows what it
 * hides; and of a hidden branch any that nothing reads.
 */
#include <string.h>

#include "server/refs.h"
#include "server/retain_internal.h"

enum { BRANCHES_AT_ONCE = 64, ROWS_AT_ONCE = 256 };

/* A name's row. */
typedef struct {
    const pang_record *row;
    pang_rec_content *body;
    pang_name name;
} content_row;

static bool fail_key(pang_retaining *r, const pang_record *row)
{
    r->code = pang_fail(r->err, PANG_DATA_LOSS, NULL, "key \"%" PANG_STR_FMT "\" is damaged",
                        PANG_STR_ARG(row->key));
    return false;
}

static bool read_content(pang_retaining *r, const pang_record *row, content_row *ret)
{
    pang_key_parts parts;
    *ret = (content_row){.row = row};
    if (!pang_retain_unpack(r, &pangolin__store__v1__content__descriptor, row, &ret->body))
        return false;
    if (!pang_key_parse(row->key, &parts) || parts.n < 4)
        return fail_key(r, row);
    ret->name.space = (pang_space)parts.parts[1].ptr[0];
    if (!pang_arena_copy(r->step, parts.parts[2], &ret->name.path) ||
        !pang_key_unescape(parts.parts[3], r->step, &ret->name.name)) {
        r->code = pang_fail_memory(r->err);
        return false;
    }
    return true;
}

static bool get_one(pang_retaining *r, pang_str key, pang_record *ret)
{
    pang_ref ref = {.key = key};
    return pang_retain_get(r, &ref, 1, ret);
}

/* Whether what was written by a commit and replaced by another is read by anything. */
static bool is_read(const pang_retaining *r, uint64_t from, uint64_t until)
{
    return until > r->floor || pang_gc_reaches(r->points, r->branch.id, from, until);
}

/* ---- what the collector has to see first ---- */

static bool is_held(pang_retaining *r, const pang_rec_content *body)
{
    pang_keys system = {.arena = r->step, .scope = PANG_SYSTEM_SCOPE};
    for (size_t i = 0; i < body->n_reserved; i++) {
        pang_record record;
        pang_rec_reservation *held;
        if (!get_one(r, pang_key_reservation(&system, pang_str_from(body->reserved[i])), &record))
            return true;
        if (record.version == 0)
            continue;
        if (!pang_retain_unpack(r, &pangolin__store__v1__reservation__descriptor, &record, &held))
            return true;
        if (pang_id_equal(pang_id_of(held->asset), pang_id_of(body->asset)))
            return true;
    }
    return false;
}

/* Whether the branch has the asset under another name. */
static bool is_elsewhere_here(pang_retaining *r, pang_id asset, pang_name name)
{
    pang_record record;
    pang_rec_asset *at;
    if (!get_one(r, pang_key_asset(&r->keys, r->branch.id, asset), &record) ||
        record.version == 0 ||
        !pang_retain_unpack(r, &pangolin__store__v1__asset__descriptor, &record, &at))
        return false;
    return !at->dropped && (at->space != (uint32_t)name.space ||
                            !pang_str_equal(pang_str_from(at->path), name.path) ||
                            !pang_str_equal(pang_str_from(at->name), name.name));
}

static bool is_on_others(pang_retaining *r, pang_id asset)
{
    pang_ref refs[BRANCHES_AT_ONCE];
    pang_record found[BRANCHES_AT_ONCE];
    const pang_gc_points *points = r->points;
    for (size_t left = points->n_branches; left > 0;) {
        size_t n = 0;
        for (; left > 0 && n < BRANCHES_AT_ONCE; left--)
            if (!pang_id_equal(points->branches[left - 1].id, r->branch.id))
                refs[n++] = (pang_ref){
                    .key = pang_key_asset(&r->keys, points->branches[left - 1].id, asset)};
        if (!pang_retain_get(r, refs, n, found))
            return false;
        for (size_t i = 0; i < n; i++)
            if (found[i].version != 0)
                return true;
    }
    return false;
}

/* Whether the last that tells the collector of an asset is here, and its places are not free. */
static bool waits(pang_retaining *r, const content_row *c)
{
    pang_id asset = pang_id_of(c->body->asset);
    if (c->body->n_reserved == 0 || !is_held(r, c->body))
        return false;
    return !is_elsewhere_here(r, asset, c->name) && !is_on_others(r, asset);
}

/* ---- history ---- */

/* `current`: the asset that the name's current record is of. */
static bool history_goes(pang_retaining *r, const content_row *c, pang_id current)
{
    if (is_read(r, c->body->written_at, c->row->sequence))
        return false;
    return pang_id_equal(pang_id_of(c->body->asset), current) || !waits(r, c);
}

static pang_id asset_of(pang_retaining *r, const pang_record *row)
{
    pang_rec_content *body;
    if (row->version == 0 ||
        !pang_retain_unpack(r, &pangolin__store__v1__content__descriptor, row, &body))
        return (pang_id){{0}};
    return pang_id_of(body->asset);
}

/* What is read stays, whatever the name stands for now: most of it, so only of the others that is
 * asked. */
static bool look_at_history(pang_retaining *r, const pang_record *rows, size_t n,
                            pang_removals *removals)
{
    content_row *list = pang_arena_alloc_n(r->step, n, sizeof *list);
    pang_ref *refs = pang_arena_alloc_n(r->step, n, sizeof *refs);
    pang_record *current = pang_arena_alloc_n(r->step, n, sizeof *current);
    size_t n_asked = 0;
    if (list == NULL || refs == NULL || current == NULL) {
        r->code = pang_fail_memory(r->err);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        content_row *c = &list[n_asked];
        if (!read_content(r, &rows[i], c))
            return false;
        pang_name name = c->name;
        if (is_read(r, c->body->written_at, rows[i].sequence))
            pang_removals_judge(r, removals, PANG_RETAIN_HISTORY, &rows[i], false, 0);
        else
            refs[n_asked++] = (pang_ref){
                .key = pang_key_content(&r->keys, r->branch.id, name.space, name.path, name.name)};
    }
    if (!pang_retain_get(r, refs, n_asked, current))
        return false;
    for (size_t i = 0; i < n_asked; i++)
        pang_removals_judge(r, removals, PANG_RETAIN_HISTORY, list[i].row,
                            history_goes(r, &list[i], asset_of(r, &current[i])), 0);
    return true;
}

/* Rows of one name, or of one asset, of which some may stay. */
typedef struct {
    pang_retaining *r;
    pang_id current;
    pang_id of; /* only states of this asset count; nil: all */
    bool assets;
    bool stays;
} remaining;

/* A scan of its own within a step: rows are unpacked in the step's arena. */
static bool look_at_one(void *arg, const pang_record *row, pang_arena *arena)
{
    remaining *left = arg;
    pang_retaining *r = left->r;
    content_row c;
    pang_rec_asset *at;
    (void)arena;
    if (left->assets) {
        left->stays = !pang_retain_unpack(r, &pangolin__store__v1__asset__descriptor, row, &at) ||
                      is_read(r, at->written_at, row->sequence);
    } else if (!read_content(r, row, &c)) {
        left->stays = true;
    } else if (pang_id_is_nil(left->of) || pang_id_equal(left->of, pang_id_of(c.body->asset))) {
        left->stays = !history_goes(r, &c, left->current);
    }
    return !left->stays;
}

static bool any_stays(remaining *left, pang_str row_key)
{
    pang_retaining *r = left->r;
    pang_str prefix = pang_str_slice(row_key, 0, pang_key_prefix_len(row_key));
    pang_code code = pang_keys_status(&r->keys, r->err);
    if (code == PANG_OK && r->code == PANG_OK)
        code = pang_gc_scan(r->store, prefix, (pang_str){0}, look_at_one, left, r->err);
    if (r->code == PANG_OK)
        r->code = code;
    return left->stays || r->code != PANG_OK;
}

static bool history_left(pang_retaining *r, pang_name name, pang_id current, pang_id of)
{
    remaining left = {.r = r, .current = current, .of = of};
    return any_stays(&left,
                     pang_key_history(&r->keys, r->branch.id, name.space, name.path, name.name, 0));
}

/* ---- current records ---- */

/* What the branch reads where it has nothing itself. */
static bool base_view(pang_retaining *r, pang_view *ret)
{
    *ret = (pang_view){.arena = r->step, .keys = r->keys, .catalog = r->plan->catalog};
    ret->txn = pang_txn_begin(r->state->config.db, r->plan->scope, PANG_NO_DEADLINE, r->step);
    if (ret->txn == NULL)
        r->code = pang_fail_memory(r->err);
    for (size_t i = 0; i < r->branch.n_bases && i < PANG_LEVELS_MAX; i++) {
        ret->levels[i].branch = pang_id_of(r->branch.bases[i]->branch);
        ret->levels[i].at = r->branch.bases[i]->sequence;
        ret->n_levels = i + 1;
    }
    return ret->txn != NULL;
}

static bool base_shows_name(pang_retaining *r, pang_name name)
{
    pang_view view;
    pang_content at = {.name = name};
    if (r->branch.n_bases == 0)
        return false;
    if (base_view(r, &view) && r->code == PANG_OK)
        r->code = pang_content_get(&view, &at, 1, r->err);
    return r->code != PANG_OK || pang_content_exists(&at);
}

static bool base_shows_asset(pang_retaining *r, pang_id asset)
{
    pang_view view;
    pang_asset_at at = {0};
    if (r->branch.n_bases == 0)
        return false;
    if (base_view(r, &view) && r->code == PANG_OK)
        r->code = pang_asset_find(&view, &asset, 1, &at, r->err);
    return r->code != PANG_OK || (at.body != NULL && !at.body->dropped);
}

/* Tombstones stay as long as commits do: merges ask what was dropped, of assets too that the branch
 * itself never showed. */
static bool is_candidate(const pang_retaining *r, bool dropped, uint64_t number)
{
    bool unread = r->branch.old && !pang_gc_reaches(r->points, r->branch.id, number, PANG_NOW);
    return unread || (dropped && number <= r->log && number <= r->floor);
}

static bool content_goes(pang_retaining *r, const content_row *c)
{
    pang_id asset = pang_id_of(c->body->asset), any = {{0}};
    if (!is_candidate(r, c->body->dropped, c->row->sequence) ||
        history_left(r, c->name, asset, any) || waits(r, c))
        return false;
    bool unread = r->branch.old &&
                  !pang_gc_reaches(r->points, r->branch.id, c->row->sequence, PANG_NOW);
    return unread || !base_shows_name(r, c->name);
}

static bool look_at_content(pang_retaining *r, const pang_record *rows, size_t n,
                            pang_removals *removals)
{
    for (size_t i = 0; i < n && r->code == PANG_OK; i++) {
        content_row c;
        if (read_content(r, &rows[i], &c))
            pang_removals_judge(r, removals, PANG_RETAIN_CONTENT, &rows[i], content_goes(r, &c),
                                rows[i].version);
    }
    return true;
}

/* ---- assets ---- */

static bool look_at_asset_history(pang_retaining *r, const pang_record *rows, size_t n,
                                  pang_removals *removals)
{
    for (size_t i = 0; i < n && r->code == PANG_OK; i++) {
        pang_rec_asset *at;
        if (pang_retain_unpack(r, &pangolin__store__v1__asset__descriptor, &rows[i], &at))
            pang_removals_judge(r, removals, PANG_RETAIN_ASSET_HISTORY, &rows[i],
                                !is_read(r, at->written_at, rows[i].sequence), 0);
    }
    return true;
}

/* Whether any state of the asset is left where it was last: who looks for its states begins here.
 */
static bool states_left(pang_retaining *r, pang_id asset, const pang_rec_asset *at)
{
    content_row c;
    pang_record record;
    pang_name name = {(pang_space)at->space, pang_str_from(at->path), pang_str_from(at->name)};
    pang_str key = pang_key_content(&r->keys, r->branch.id, name.space, name.path, name.name);
    if (!get_one(r, key, &record) || (record.version != 0 && !read_content(r, &record, &c)))
        return true;
    pang_id current = record.version == 0 ? (pang_id){{0}} : pang_id_of(c.body->asset);
    if (record.version != 0 && pang_id_equal(current, asset) && !content_goes(r, &c))
        return true;
    return history_left(r, name, current, asset);
}

static bool asset_goes(pang_retaining *r, const pang_record *row, pang_id asset,
                       const pang_rec_asset *at)
{
    remaining left = {.r = r, .assets = true};
    if (!is_candidate(r, at->dropped, row->sequence) ||
        any_stays(&left, pang_key_asset_history(&r->keys, r->branch.id, asset, 0)) ||
        states_left(r, asset, at))
        return false;
    bool unread = r->branch.old &&
                  !pang_gc_reaches(r->points, r->branch.id, row->sequence, PANG_NOW);
    return unread || !base_shows_asset(r, asset);
}

static bool look_at_assets(pang_retaining *r, const pang_record *rows, size_t n,
                           pang_removals *removals)
{
    for (size_t i = 0; i < n && r->code == PANG_OK; i++) {
        pang_rec_asset *at;
        pang_id asset;
        if (!pang_retain_unpack(r, &pangolin__store__v1__asset__descriptor, &rows[i], &at))
            break;
        if (!pang_id_parse(pang_str_after(rows[i].key, pang_key_prefix_len(rows[i].key)), &asset))
            return fail_key(r, &rows[i]);
        pang_removals_judge(r, removals, PANG_RETAIN_ASSETS, &rows[i],
                            asset_goes(r, &rows[i], asset, at), rows[i].version);
    }
    return true;
}

/* ---- all of a branch ---- */

pang_code pang_retain_content(pang_retaining *r)
{
    static const pang_space spaces[] = {PANG_SPACE_NAMESPACE, PANG_SPACE_ASSET};
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < 2; i++) {
        pang_gc_range history = {
            .prefix = pang_key_histories_all(&r->keys, r->branch.id, spaces[i])};
        code = pang_retain_scan(r, &history, look_at_history);
        pang_gc_range current = {
            .prefix = pang_key_contents_all(&r->keys, r->branch.id, spaces[i])};
        if (code == PANG_OK)
            code = pang_retain_scan(r, &current, look_at_content);
    }
    pang_gc_range were = {.prefix = pang_key_asset_histories_all(&r->keys, r->branch.id)};
    if (code == PANG_OK)
        code = pang_retain_scan(r, &were, look_at_asset_history);
    pang_gc_range are = {.prefix = pang_key_assets_all(&r->keys, r->branch.id)};
    if (code == PANG_OK)
        code = pang_retain_scan(r, &are, look_at_assets);
    return code;
}
