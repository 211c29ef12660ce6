/*
 * Commits. Above the floor all stay. Below, a commit can be named only where a ref stands, or the
 * floor does: there it is the newest of its branch, and all that it shows is there. Its record
 * stays beyond that, down to where the lowest ref stands, since merges and differences read logs
 * from one ref down to another.
 */
#include "server/refs.h"
#include "server/retain_internal.h"

enum { BRANCHES_AT_ONCE = 256 };

/* ---- the floor ---- */

/* The newest commit of a branch that is not younger than the horizon, if that is above the floor.
 */
static void raise_by(pang_retaining *r, pang_id branch)
{
    pang_commit_row row = {0};
    pang_view view = {.arena = r->step, .keys = r->keys, .catalog = r->plan->catalog};
    view.txn = pang_txn_begin(r->state->config.db, r->plan->scope, PANG_NO_DEADLINE, r->step);
    view.levels[0].branch = branch;
    view.levels[0].at = PANG_NOW;
    view.n_levels = 1;
    r->code = view.txn == NULL ? pang_fail_memory(r->err)
                               : pang_commit_at_time(&view, r->points->horizon_ms, &row, r->err);
    if (r->code != PANG_OK || row.body == NULL || row.sequence <= r->floor)
        return;
    r->floor = row.sequence;
    r->floor_ms = row.time_ms;
}

/* Main's newest commit at or below the floor: it can be named, however old it is. Other branches
 * have no commits of before the number that they were made at. */
static void find_main(pang_retaining *r)
{
    const pang_gc_points *points = r->points;
    pang_commit_row row = {0};
    pang_view view = {.arena = r->step, .keys = r->keys, .catalog = r->plan->catalog};
    size_t i = 0;
    while (i < points->n_branches && points->branches[i].n_forks + points->branches[i].n_bases > 0)
        i++;
    r->stands = r->floor;
    if (i == points->n_branches || r->code != PANG_OK)
        return;
    view.txn = pang_txn_begin(r->state->config.db, r->plan->scope, PANG_NO_DEADLINE, r->step);
    view.levels[0].branch = points->branches[i].id;
    view.levels[0].at = r->floor;
    view.n_levels = 1;
    r->code = view.txn == NULL ? pang_fail_memory(r->err) : pang_commit_head(&view, &row, r->err);
    r->stands = row.sequence;
}

pang_code pang_retain_find_floor(pang_retaining *r)
{
    const pang_gc_points *points = r->points;
    pang_ref refs[BRANCHES_AT_ONCE];
    pang_record above[BRANCHES_AT_ONCE];
    /* Main may be the last of them, and has most of what there is. */
    for (size_t left = points->n_branches; left > 0 && r->code == PANG_OK;) {
        size_t n = left < BRANCHES_AT_ONCE ? left : BRANCHES_AT_ONCE;
        left -= n;
        for (size_t i = 0; i < n; i++) {
            pang_str key = pang_key_commit(&r->keys, points->branches[left + i].id, r->floor);
            refs[i] = (pang_ref){
                .key = key, .prefix_len = pang_key_prefix_len(key), .mode = PANG_REF_CEILING};
        }
        if (!pang_retain_get(r, refs, n, above))
            return r->code;
        for (size_t i = n; i > 0 && r->code == PANG_OK; i--)
            if (above[i - 1].version != 0 && above[i - 1].time_ms <= points->horizon_ms)
                raise_by(r, points->branches[left + i - 1].id);
    }
    find_main(r);
    return r->code;
}

/* ---- what goes ---- */

/* The number behind a piece's last row; PANG_NOW: there is none. */
static uint64_t number_behind(pang_retaining *r, const pang_record *last)
{
    pang_record next = {0};
    pang_ref ref = {
        .key = last->key, .prefix_len = pang_key_prefix_len(last->key), .mode = PANG_REF_CEILING};
    return pang_retain_get(r, &ref, 1, &next) && next.version != 0 ? next.sequence : PANG_NOW;
}

/* Whether a commit is the newest of its branch where something stands. */
static bool is_head(const pang_retaining *r, uint64_t number, uint64_t next)
{
    bool at_floor = !r->branch.old && number <= r->floor && r->floor < next;
    return at_floor || pang_gc_made_at(r->points, r->branch.id, number, next);
}

/* Of the rows at or below the floor: which go, and the records by whose ids they can be named. */
static bool judge_below(pang_retaining *r, const pang_record *rows, size_t n, size_t n_below,
                        pang_ref *ids, bool *gone)
{
    for (size_t i = 0; i < n_below; i++) {
        pang_rec_commit *body;
        uint64_t next = i + 1 < n ? rows[i + 1].sequence : number_behind(r, &rows[i]);
        gone[i] = !is_head(r, rows[i].sequence, next);
        if (!pang_retain_unpack(r, &pangolin__store__v1__commit__descriptor, &rows[i], &body))
            return false;
        ids[i] = (pang_ref){.key = pang_key_commit_id(&r->keys, pang_id_of(body->id))};
    }
    return true;
}

static bool look_at_below(pang_retaining *r, const pang_record *rows, size_t n,
                          pang_removals *removals)
{
    size_t n_below = 0;
    pang_ref *ids = pang_arena_alloc_n(r->step, n, sizeof *ids);
    pang_record *found = pang_arena_alloc_n(r->step, n, sizeof *found);
    bool *gone = pang_arena_alloc_n(r->step, n, sizeof *gone);
    if (ids == NULL || found == NULL || gone == NULL) {
        r->code = pang_fail_memory(r->err);
        return false;
    }
    while (n_below < n && rows[n_below].sequence <= r->floor)
        n_below++;
    if (!judge_below(r, rows, n, n_below, ids, gone) || !pang_retain_get(r, ids, n_below, found))
        return false;
    for (size_t i = 0; i < n_below; i++) {
        if (found[i].version != 0)
            pang_removals_judge(r, removals, PANG_RETAIN_COMMIT_IDS, &found[i], gone[i], 0);
        pang_removals_judge(r, removals, PANG_RETAIN_COMMITS, &rows[i],
                            gone[i] && rows[i].sequence <= r->log, 0);
    }
    return n_below == n;
}

static bool count_above(pang_retaining *r, const pang_record *rows, size_t n,
                        pang_removals *removals)
{
    (void)r;
    (void)rows;
    removals->left[PANG_RETAIN_COMMITS] += n;
    removals->left[PANG_RETAIN_COMMIT_IDS] += n;
    return true;
}

pang_code pang_retain_commits(pang_retaining *r)
{
    pang_gc_range all = {.prefix = pang_key_commits(&r->keys, r->branch.id)};
    pang_code code = pang_retain_scan(r, &all, look_at_below);
    if (code != PANG_OK)
        return code;
    pang_gc_range above = {.prefix = pang_key_commits(&r->keys, r->branch.id),
                           .after = pang_key_commit(&r->keys, r->branch.id, r->floor),
                           .keys_only = true};
    return pang_retain_scan(r, &above, count_above);
}
