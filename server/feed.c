/*
 * Commits are stored by branch. So each branch is asked for the first of its commits above the
 * number, many branches in one get; those that have one are scanned, keys alone, and the least
 * numbers of all are the next ones. With nothing new nobody gets here: whoever follows looks at the
 * catalog's sequence first.
 */
#include "server/feed.h"

#include <stdlib.h>

enum { BRANCHES_AT_ONCE = 1000 };

typedef struct {
    pang_view *view;
    pang_point *found; /* in any order until they are sorted */
    size_t n, room;
    uint64_t after, upto;
    size_t most; /* of one branch: more are of no use */
    pang_id branch;
    bool failed;
} feed;

static bool add(feed *f, pang_point point)
{
    if (f->n == f->room) {
        size_t room = f->room == 0 ? 64 : f->room * 2;
        pang_point *more = pang_arena_alloc_n(f->view->arena, room, sizeof *more);
        if (more == NULL)
            return false;
        for (size_t i = 0; i < f->n; i++)
            more[i] = f->found[i];
        f->found = more;
        f->room = room;
    }
    f->found[f->n++] = point;
    return true;
}

/* ---- one branch ---- */

static bool take_row(void *arg, const pang_record *row)
{
    feed *f = arg;
    uint64_t number;
    if (!pang_key_number(pang_str_after(row->key, pang_key_slot_at(row->key)), &number))
        return true;
    if (number > f->upto)
        return false;
    f->failed = !add(f, (pang_point){f->branch, number});
    return !f->failed;
}

static pang_code read_branch(feed *f, pang_id branch, pang_err *err)
{
    pang_query query = {.prefix = pang_key_commits(&f->view->keys, branch),
                        .limit = (uint32_t)f->most,
                        .keys_only = true};
    if (f->after > 0)
        query.after = pang_key_commit(&f->view->keys, branch, f->after);
    f->branch = branch;
    pang_code code = pang_keys_status(&f->view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(f->view->txn, &query, take_row, f, err);
    return code == PANG_OK && f->failed ? pang_fail_memory(err) : code;
}

/* ---- all branches ---- */

typedef struct {
    pang_arena *arena;
    pang_id *ids;
    size_t n;
    pang_str last;
    bool failed;
} branches;

static bool take_branch(void *arg, const pang_record *row)
{
    branches *b = arg;
    b->failed = !pang_arena_copy(b->arena, row->key, &b->last);
    if (b->failed || b->n == PANG_FEED_BRANCHES_MAX)
        return false;
    b->n += pang_id_parse(pang_str_after(row->key, pang_key_prefix_len(row->key)), &b->ids[b->n]);
    return true;
}

/* Main, which may have no record of its id, and all that have one. A branch has its record before
 * it has a commit. */
static pang_code list_branches(pang_view *view, branches *ret, pang_err *err)
{
    pang_rec_ref *ref = NULL;
    pang_query query = {.prefix = pang_key_branches(&view->keys, view->catalog),
                        .limit = PANG_SCAN_MAX,
                        .keys_only = true};
    *ret = (branches){.arena = view->arena};
    ret->ids = pang_arena_alloc_n(view->arena, PANG_FEED_BRANCHES_MAX + 1, sizeof *ret->ids);
    if (ret->ids == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_ref_find(view, PANG_MAIN_REF, &ref, err);
    if (code == PANG_OK && ref != NULL)
        ret->ids[ret->n++] = pang_id_of(ref->branch);
    for (bool more = true; code == PANG_OK && more;) {
        size_t before = ret->n;
        code = pang_keys_status(&view->keys, err);
        if (code == PANG_OK)
            code = pang_txn_scan(view->txn, &query, take_branch, ret, err);
        if (code == PANG_OK && ret->failed)
            code = pang_fail_memory(err);
        if (code == PANG_OK && ret->n == PANG_FEED_BRANCHES_MAX)
            code = pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL,
                             "the catalog has more than %d branches", PANG_FEED_BRANCHES_MAX);
        more = ret->n - before >= PANG_SCAN_MAX;
        query.after = ret->last;
    }
    return code;
}

/* Reads those of n branches that have a commit above the number. */
static pang_code read_some(feed *f, const pang_id *ids, size_t n, pang_err *err)
{
    pang_ref *refs = pang_arena_alloc_n(f->view->arena, n, sizeof *refs);
    pang_record *first = pang_arena_alloc_n(f->view->arena, n, sizeof *first);
    if (refs == NULL || first == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        pang_str key = pang_key_commit(&f->view->keys, ids[i], f->after);
        refs[i] = (pang_ref){
            .key = key, .prefix_len = pang_key_prefix_len(key), .mode = PANG_REF_CEILING};
    }
    pang_code code = pang_keys_status(&f->view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(f->view->txn, refs, n, PANG_READ_UNCHECKED, first, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (first[i].version != 0 && first[i].sequence <= f->upto)
            code = read_branch(f, ids[i], err);
    return code;
}

static int compare_points(const void *a, const void *b)
{
    uint64_t left = ((const pang_point *)a)->sequence, right = ((const pang_point *)b)->sequence;
    return left < right ? -1 : left > right;
}

static pang_code read_all(feed *f, pang_err *err)
{
    branches b;
    pang_code code = list_branches(f->view, &b, err);
    for (size_t i = 0; code == PANG_OK && i < b.n; i += BRANCHES_AT_ONCE) {
        size_t left = b.n - i;
        code = read_some(f, b.ids + i, left < BRANCHES_AT_ONCE ? left : BRANCHES_AT_ONCE, err);
    }
    return code;
}

static pang_code read_levels(feed *f, pang_err *err)
{
    pang_code code = PANG_OK;
    uint64_t upto = f->upto;
    for (size_t i = 0; code == PANG_OK && i < f->view->n_levels; i++) {
        uint64_t at = f->view->levels[i].at;
        f->upto = at < upto ? at : upto;
        if (f->upto > f->after)
            code = read_branch(f, f->view->levels[i].branch, err);
    }
    return code;
}

pang_code pang_feed_read(pang_view *view, bool all, uint64_t after, uint64_t upto, pang_point *ret,
                         size_t n, size_t *ret_n, pang_err *err)
{
    feed f = {.view = view, .after = after, .upto = upto, .most = n};
    pang_code code = all ? read_all(&f, err) : read_levels(&f, err);
    if (code != PANG_OK)
        return code;
    if (f.n > 0)
        qsort(f.found, f.n, sizeof *f.found, compare_points);
    *ret_n = 0;
    for (size_t i = 0; i < f.n && *ret_n < n; i++) /* main may be there twice */
        if (*ret_n == 0 || ret[*ret_n - 1].sequence != f.found[i].sequence)
            ret[(*ret_n)++] = f.found[i];
    return PANG_OK;
}
