/*
 * Retention's run. First the floor is raised; then each branch's rows are gone through, then the
 * documents. What goes is decided for a piece of rows at a time, by what was read of the refs, and
 * goes in one commit that checks that the refs are still those.
 */
#include "server/retain_internal.h"

#include <string.h>

enum {
    POINTS_BYTES = 256 << 20,
    STEP_BYTES = 128 << 20,
    ATTEMPTS_MAX = 20, /* of one piece while refs come and go */
};

const char *pang_retain_kind_name(pang_retain_kind kind)
{
    static const char *const names[PANG_RETAIN_KINDS] = {
        [PANG_RETAIN_CONTENT] = "content",     [PANG_RETAIN_HISTORY] = "history",
        [PANG_RETAIN_ASSETS] = "assets",       [PANG_RETAIN_ASSET_HISTORY] = "asset_history",
        [PANG_RETAIN_COMMITS] = "commits",     [PANG_RETAIN_COMMIT_IDS] = "commit_ids",
        [PANG_RETAIN_DOCUMENTS] = "documents", [PANG_RETAIN_BRANCHES] = "branches",
        [PANG_RETAIN_MARKS] = "marks",         [PANG_RETAIN_MERGES] = "merges",
    };
    return names[kind];
}

/* ---- reading ---- */

bool pang_retain_get(pang_retaining *r, const pang_ref *refs, size_t n, pang_record *ret)
{
    if (r->code == PANG_OK)
        r->code = pang_keys_status(&r->keys, r->err);
    for (size_t i = 0; r->code == PANG_OK && i < n; i += PANG_GET_MAX)
        r->code = pang_store_get(r->store, refs + i, n - i < PANG_GET_MAX ? n - i : PANG_GET_MAX,
                                 PANG_NO_DEADLINE, r->step, ret + i, r->err);
    return r->code == PANG_OK;
}

bool pang_retain_unpack(pang_retaining *r, const ProtobufCMessageDescriptor *type,
                        const pang_record *row, void *ret)
{
    if (r->code == PANG_OK)
        r->code = pang_record_unpack(type, row, r->step, ret, r->err);
    return r->code == PANG_OK;
}

/* ---- points ---- */

static const pang_gc_branch *find_branch(const pang_gc_points *points, pang_id id)
{
    for (size_t i = 0; i < points->n_branches; i++)
        if (pang_id_equal(points->branches[i].id, id))
            return &points->branches[i];
    return NULL;
}

pang_code pang_retain_points(pang_retaining *r)
{
    pang_arena *fresh = pang_arena_new(POINTS_BYTES);
    pang_gc_points *points = NULL;
    pang_code code = fresh == NULL ? pang_fail_memory(r->err)
                                   : pang_gc_points_read(r->store, r->plan->scope, r->plan->catalog,
                                                         r->now_ms, fresh, &points, r->err);
    if (code != PANG_OK) {
        pang_arena_free(fresh);
        return code;
    }
    pang_arena_free(r->points_arena);
    r->points_arena = fresh;
    r->points = points;
    const pang_gc_branch *branch = find_branch(points, r->branch.id);
    r->branch = branch != NULL ? *branch : (pang_gc_branch){.id = r->branch.id, .old = true};
    return PANG_OK;
}

/* ---- removing ---- */

void pang_removals_add(pang_retaining *r, pang_removals *to, pang_retain_kind kind, pang_str key,
                       uint64_t version)
{
    if (to->n == to->room) {
        size_t room = to->room == 0 ? 64 : to->room * 2;
        pang_removal *list = pang_arena_alloc_n(r->step, room, sizeof *list);
        if (list == NULL) {
            to->failed = true;
            return;
        }
        if (to->n > 0)
            memcpy(list, to->list, to->n * sizeof *list);
        to->list = list;
        to->room = room;
    }
    to->list[to->n++] = (pang_removal){.key = key, .version = version, .kind = kind};
}

void pang_removals_judge(pang_retaining *r, pang_removals *to, pang_retain_kind kind,
                         const pang_record *row, bool goes, uint64_t version)
{
    if (goes) {
        pang_removals_add(r, to, kind, row->key, version);
        return;
    }
    to->left[kind]++;
}

/* Once a piece is done with. */
static void count_left(pang_retaining *r, const pang_removals *removals)
{
    for (size_t i = 0; i < PANG_RETAIN_KINDS; i++) {
        r->out->left[i] += removals->left[i];
        r->rows_left += removals->left[i];
    }
}

static void count_removed(pang_retaining *r, const pang_removal *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].kind != PANG_RETAIN_KINDS)
            r->out->removed[list[i].kind]++;
}

/* ABORTED: refs moved, or one of the records changed. */
static pang_code remove_some(pang_retaining *r, const pang_removal *list, size_t n)
{
    pang_txn *txn = pang_txn_begin(r->state->config.db, r->plan->scope, PANG_NO_DEADLINE, r->step);
    if (txn == NULL)
        return pang_fail_memory(r->err);
    pang_txn_check_counter(txn, pang_key_epoch(&r->keys, r->plan->catalog, (pang_str){0}),
                           r->points->refs_epoch);
    for (size_t i = 0; i < n; i++) {
        if (list[i].version != 0)
            pang_txn_check(txn, list[i].key, list[i].version);
        if (list[i].body.len > 0)
            pang_txn_put(txn, PANG_KIND_MERGE_MARK, list[i].key, list[i].body);
        else
            pang_txn_delete(txn, list[i].key);
    }
    pang_code code = pang_keys_status(&r->keys, r->err);
    if (code == PANG_OK)
        code = pang_txn_commit(txn, r->err);
    if (code == PANG_OK)
        count_removed(r, list, n);
    return code;
}

/* Some record changed: the others go alone. */
static pang_code remove_each(pang_retaining *r, const pang_removals *removals)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < removals->n; i++) {
        code = remove_some(r, &removals->list[i], 1);
        if (code == PANG_ABORTED)
            code = PANG_OK;
    }
    return code;
}

static pang_code remove_all(pang_retaining *r, const pang_removals *removals, bool *ret_again)
{
    *ret_again = false;
    if (removals->failed)
        return pang_fail_memory(r->err);
    if (removals->n == 0)
        return PANG_OK;
    if (r->plan->dry_run) {
        count_removed(r, removals->list, removals->n);
        return PANG_OK;
    }
    pang_code code = remove_some(r, removals->list, removals->n);
    if (code != PANG_ABORTED)
        return code;
    code = pang_gc_refs_moved(r->store, r->plan->scope, r->plan->catalog, r->points, r->step,
                              ret_again, r->err);
    if (code == PANG_OK && *ret_again)
        code = pang_retain_points(r);
    else if (code == PANG_OK)
        code = remove_each(r, removals);
    return code;
}

/* ---- pieces ---- */

typedef struct {
    pang_retaining *r;
    pang_retain_piece_fn *fn;
} scanning;

static bool show_piece(void *arg, const pang_record *rows, size_t n, pang_arena *arena)
{
    scanning *s = arg;
    pang_retaining *r = s->r;
    bool again = true, more = true;
    (void)arena;
    r->stopped = r->stopped || atomic_load(&r->state->stopping) ||
                 (r->fn != NULL && !r->fn(r->arg));
    for (int i = 0; again && r->code == PANG_OK && !r->stopped; i++) {
        pang_removals removals = {0};
        pang_arena_reset(r->step);
        more = s->fn(r, rows, n, &removals);
        if (r->code == PANG_OK)
            r->code = remove_all(r, &removals, &again);
        if (r->code == PANG_OK && !again)
            count_left(r, &removals);
        if (r->code == PANG_OK && again && i == ATTEMPTS_MAX)
            r->code = pang_fail(r->err, PANG_ABORTED, NULL,
                                "branches or tags change all the while: run it again");
    }
    return more && r->code == PANG_OK && !r->stopped;
}

pang_code pang_retain_scan(pang_retaining *r, const pang_gc_range *range, pang_retain_piece_fn *fn)
{
    char prefix[PANG_KEY_MAX], after[PANG_KEY_MAX];
    scanning s = {r, fn};
    pang_code code = pang_keys_status(&r->keys, r->err);
    if (code != PANG_OK || r->stopped)
        return code;
    /* The range's keys are of the step before. */
    memcpy(prefix, range->prefix.ptr, range->prefix.len);
    if (range->after.len > 0)
        memcpy(after, range->after.ptr, range->after.len);
    pang_gc_range own = {.prefix = {prefix, range->prefix.len},
                         .after = {after, range->after.len},
                         .keys_only = range->keys_only};
    code = pang_gc_scan_pieces(r->store, &own, show_piece, &s, r->err);
    return r->code == PANG_OK ? code : r->code;
}

/* ---- the floor ---- */

typedef struct {
    pang_retaining *r;
    pang_arena *arena;
} raising;

static pang_code raise_in(pang_txn *txn, void *arg, pang_err *err)
{
    raising *f = arg;
    pang_retaining *r = f->r;
    pang_record record;
    pang_keys keys = {.arena = f->arena, .scope = r->plan->scope};
    pang_rec_floor next = PANGOLIN__STORE__V1__FLOOR__INIT, *old = NULL;
    pang_str key = pang_key_floor(&keys, r->plan->catalog);
    pang_str epoch = pang_key_epoch(&keys, r->plan->catalog, (pang_str){0});
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, key, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__floor__descriptor, &record, f->arena, &old,
                                  err);
    if (code != PANG_OK)
        return code;
    if (old != NULL && old->number > r->floor) {
        r->floor = old->number;
        r->floor_ms = old->time_ms;
    }
    uint64_t log = r->points->lowest < r->stands ? r->points->lowest : r->stands;
    r->log = old != NULL && old->log > log ? old->log : log;
    if (r->plan->dry_run || r->floor == 0 ||
        (old != NULL && old->number == r->floor && old->log == r->log))
        return PANG_OK;
    next.number = r->floor;
    next.time_ms = r->floor_ms;
    next.log = r->log;
    pang_txn_check_counter(txn, epoch, r->points->refs_epoch);
    pang_txn_put(txn, PANG_KIND_FLOOR, key, pang_record_pack(&next.base, f->arena));
    return PANG_OK;
}

/* Nothing is below it that a ref reads by its age alone. */
static pang_code raise_floor(pang_retaining *r)
{
    pang_code code = PANG_ABORTED;
    for (int i = 0; code == PANG_ABORTED && i < ATTEMPTS_MAX; i++) {
        pang_arena_reset(r->step);
        raising f = {r, r->step};
        code = pang_retain_points(r);
        if (code == PANG_OK)
            code = pang_retain_find_floor(r);
        if (code == PANG_OK)
            code = pang_txn_run(r->state->config.db, r->plan->scope, PANG_NO_DEADLINE, r->step,
                                raise_in, &f, r->err);
    }
    r->out->floor = r->floor;
    return code;
}

/* ---- the run ---- */

/* Branches as they were at the beginning: what refs do meanwhile leaves their ids. */
static pang_code each_branch(pang_retaining *r, pang_arena *arena)
{
    size_t n = r->points->n_branches;
    pang_id *ids = pang_arena_alloc_n(arena, n + 1, sizeof *ids);
    pang_code code = PANG_OK;
    if (ids == NULL)
        return pang_fail_memory(r->err);
    for (size_t i = 0; i < n; i++)
        ids[i] = r->points->branches[i].id;
    for (size_t i = 0; code == PANG_OK && !r->stopped && i < n; i++) {
        const pang_gc_branch *branch = find_branch(r->points, ids[i]);
        if (branch == NULL)
            continue;
        r->branch = *branch;
        r->rows_left = 0;
        code = pang_retain_commits(r);
        if (code == PANG_OK)
            code = pang_retain_content(r);
        if (code == PANG_OK && !r->stopped)
            code = pang_retain_branch(r);
    }
    return code;
}

static pang_code run_in(pang_retaining *r, pang_arena *arena)
{
    pang_code code = raise_floor(r);
    if (code == PANG_OK)
        code = pang_retain_merges(r);
    if (code == PANG_OK)
        code = each_branch(r, arena);
    if (code == PANG_OK && !r->stopped)
        code = pang_retain_documents(r);
    return code;
}

static void count(pang_state *state, const pang_retain_outcome *out)
{
    for (size_t i = 0; i < PANG_RETAIN_KINDS; i++)
        atomic_fetch_add(&state->retain_removed[i], out->removed[i]);
}

pang_code pang_retain_run(pang_state *state, const pang_retain_plan *plan, pang_retain_fn *fn,
                          void *arg, pang_retain_outcome *ret, pang_err *err)
{
    *ret = (pang_retain_outcome){0};
    pang_retaining r = {.state = state,
                        .store = pang_db_store(state->config.db),
                        .plan = plan,
                        .fn = fn,
                        .arg = arg,
                        .out = ret,
                        .now_ms = pang_env_wall_ms(state->config.env),
                        .step = pang_arena_new(STEP_BYTES),
                        .err = err};
    pang_arena *arena = pang_arena_new(POINTS_BYTES);
    r.keys = (pang_keys){.arena = r.step, .scope = plan->scope};
    pang_code code = r.step == NULL || arena == NULL ? pang_fail_memory(err) : run_in(&r, arena);
    if (code == PANG_OK && r.stopped)
        code = pang_fail(err, PANG_ABORTED, NULL, "the run was stopped: run it again");
    if (!plan->dry_run)
        count(state, ret);
    pang_arena_free(r.points_arena);
    pang_arena_free(r.step);
    pang_arena_free(arena);
    return code;
}
