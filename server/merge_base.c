/*
 * Bases. What one side has is asked per branch: the greatest number of it that is in the side, by
 * its chain of forks or by a mark of a merge that the side holds. A branch that both have some of
 * gives a candidate, the lower of the two numbers; a candidate that is in another one is none.
 * All is read in two rounds: the lists of what was merged, then the marks by their keys.
 */
#include "server/merge_base.h"

#include <assert.h>
#include <string.h>

enum {
    BRANCHES_MAX = 2 * PANG_LEVELS_MAX + 2 * PANG_MERGE_THIRDS_MAX,
    CANDIDATES_MAX = BRANCHES_MAX,
};

/* ---- marks ---- */

const Pangolin__Store__V1__MergeMark__Exception *
pang_merge_exception(const pang_rec_merge_mark *mark, pang_id asset)
{
    for (size_t i = 0; mark != NULL && i < mark->n_exceptions; i++)
        if (pang_id_equal(pang_id_of(mark->exceptions[i]->asset), asset))
            return mark->exceptions[i];
    return NULL;
}

typedef struct {
    pang_id *list;
    size_t n;
    bool failed;
} id_list;

static bool take_third(void *arg, const pang_record *row)
{
    id_list *l = arg;
    pang_key_parts parts;
    l->failed = !pang_key_parse(row->key, &parts) || parts.n != 2 ||
                !pang_id_parse(parts.parts[1], &l->list[l->n]);
    l->n += !l->failed;
    return !l->failed && l->n < PANG_MERGE_THIRDS_MAX;
}

pang_code pang_merge_thirds(pang_view *view, pang_id into, pang_id *ret, size_t *ret_n,
                            pang_err *err)
{
    id_list l = {.list = ret};
    pang_query query = {
        .prefix = pang_key_merge_marks(&view->keys, into),
        .limit = PANG_MERGE_THIRDS_MAX,
        .descending = true,
        .keys_only = true,
    };
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(view->txn, &query, take_third, &l, err);
    if (code == PANG_OK && l.failed)
        code = pang_fail(err, PANG_DATA_LOSS, NULL, "a merge mark has no key of one");
    *ret_n = l.n;
    return code;
}

typedef struct {
    pang_merge_mark *list;
    size_t n, room;
} mark_list;

static bool add_mark(mark_list *l, const pang_merge_mark *mark, pang_arena *arena)
{
    if (l->n == l->room) {
        size_t room = l->room == 0 ? 16 : l->room * 2;
        pang_merge_mark *list = pang_arena_alloc_n(arena, room, sizeof *list);
        if (list == NULL)
            return false;
        if (l->n > 0)
            memcpy(list, l->list, l->n * sizeof *list);
        l->list = list;
        l->room = room;
    }
    l->list[l->n++] = *mark;
    return true;
}

/* A record's mark and those that it remembers. */
static pang_code take_marks(pang_view *view, pang_id into, pang_id from, const pang_record *record,
                            mark_list *l, pang_err *err)
{
    pang_rec_merge_mark *body;
    if (record->version == 0)
        return PANG_OK;
    pang_code code = pang_record_unpack(&pangolin__store__v1__merge_mark__descriptor, record,
                                        view->arena, &body, err);
    if (code != PANG_OK)
        return code;
    if (body->into_sequence == 0)
        body->into_sequence = record->sequence;
    for (size_t i = 0; i <= body->n_older; i++) {
        const pang_rec_merge_mark *one = i == 0 ? body : body->older[i - 1];
        pang_merge_mark mark = {into, from, one->from_sequence, one->into_sequence, one};
        if (!add_mark(l, &mark, view->arena))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

pang_code pang_merge_marks_read(pang_view *view, const pang_chain *into, const pang_id *from,
                                size_t n_from, pang_merge_mark **ret, size_t *ret_n, pang_err *err)
{
    mark_list l = {0};
    size_t n = into->n * n_from;
    pang_ref *refs = pang_arena_alloc_n(view->arena, n, sizeof *refs);
    pang_record *records = pang_arena_alloc_n(view->arena, n, sizeof *records);
    if (refs == NULL || records == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        refs[i].key = pang_key_merge_mark(&view->keys, into->points[i / n_from].branch,
                                          from[i % n_from]);
    pang_code code = pang_keys_status(&view->keys, err);
    for (size_t i = 0; code == PANG_OK && i < n; i += PANG_GET_MAX)
        code = pang_txn_get(view->txn, refs + i, n - i < PANG_GET_MAX ? n - i : PANG_GET_MAX,
                            PANG_READ_UNCHECKED, records + i, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = take_marks(view, into->points[i / n_from].branch, from[i % n_from], &records[i], &l,
                          err);
    *ret = l.list;
    *ret_n = l.n;
    return code;
}

/* ---- what a side has ---- */

uint64_t pang_merge_contained(const pang_chain *chain, const pang_merge_mark *marks, size_t n_marks,
                              pang_id branch, const pang_merge_mark **ret)
{
    uint64_t most = 0;
    *ret = NULL;
    for (size_t i = 0; i < chain->n; i++) {
        pang_point at = chain->points[i];
        if (pang_id_equal(at.branch, branch) && at.sequence > most) {
            most = at.sequence;
            *ret = NULL;
        }
        for (size_t k = 0; k < n_marks; k++)
            if (pang_id_equal(marks[k].into, at.branch) && pang_id_equal(marks[k].from, branch) &&
                marks[k].into_sequence <= at.sequence && marks[k].from_sequence > most) {
                most = marks[k].from_sequence;
                *ret = &marks[k];
            }
    }
    return most;
}

/* What lies below a point of a chain, with the point itself; empty where it is on none of its
 * branches. */
static pang_chain below(const pang_chain *chain, pang_point at)
{
    pang_chain ret = {0};
    for (size_t i = 0; i < chain->n; i++) {
        if (ret.n == 0 && !pang_id_equal(chain->points[i].branch, at.branch))
            continue;
        ret.points[ret.n++] = chain->points[i];
    }
    if (ret.n > 0)
        ret.points[0].sequence = at.sequence;
    return ret;
}

/* ---- candidates ---- */

typedef struct {
    pang_point at;
    pang_merge_pair pair;
} candidate;

typedef struct {
    pang_merge_base *base;
    pang_id branches[BRANCHES_MAX];
    size_t n_branches;
    pang_merge_mark *of_source, *of_target; /* marks that they hold */
    size_t n_of_source, n_of_target;
    candidate found[CANDIDATES_MAX];
    size_t n_found;
} search;

static void add_branch(search *s, pang_id branch)
{
    for (size_t i = 0; i < s->n_branches; i++)
        if (pang_id_equal(s->branches[i], branch))
            return;
    assert(s->n_branches < BRANCHES_MAX);
    s->branches[s->n_branches++] = branch;
}

/* What was merged into either side: of the one whose list is whole, since what both merged is in
 * it; of both where neither is. */
static pang_code add_thirds(search *s, pang_view *view, pang_err *err)
{
    pang_id a[PANG_MERGE_THIRDS_MAX], b[PANG_MERGE_THIRDS_MAX];
    size_t n_a = 0, n_b = 0;
    const pang_merge_base *base = s->base;
    pang_code code = pang_merge_thirds(view, base->source.points[0].branch, a, &n_a, err);
    bool whole = n_a < PANG_MERGE_THIRDS_MAX && base->fork.in_a <= 1;
    if (code == PANG_OK && !whole)
        code = pang_merge_thirds(view, base->target.points[0].branch, b, &n_b, err);
    if (!whole && n_b < PANG_MERGE_THIRDS_MAX && base->fork.in_b <= 1)
        n_a = 0;
    for (size_t i = 0; code == PANG_OK && i < n_a; i++)
        add_branch(s, a[i]);
    for (size_t i = 0; code == PANG_OK && i < n_b; i++)
        add_branch(s, b[i]);
    return code;
}

static pang_code read_all(search *s, pang_view *view, pang_err *err)
{
    pang_merge_base *base = s->base;
    for (size_t i = 0; i < base->source.n; i++)
        add_branch(s, base->source.points[i].branch);
    for (size_t i = 0; i < base->target.n; i++)
        add_branch(s, base->target.points[i].branch);
    pang_code code = add_thirds(s, view, err);
    if (code == PANG_OK)
        code = pang_merge_marks_read(view, &base->source, s->branches, s->n_branches, &s->of_source,
                                     &s->n_of_source, err);
    if (code == PANG_OK)
        code = pang_merge_marks_read(view, &base->target, s->branches, s->n_branches, &s->of_target,
                                     &s->n_of_target, err);
    return code;
}

/* The number at which the source's own chain has the branch; 0: it is not on it. */
static uint64_t stands_at(const pang_chain *chain, pang_id branch)
{
    for (size_t i = 0; i < chain->n; i++)
        if (pang_id_equal(chain->points[i].branch, branch))
            return chain->points[i].sequence;
    return 0;
}

static void try_branch(search *s, pang_id branch)
{
    const pang_merge_mark *by_source, *by_target;
    const pang_merge_base *base = s->base;
    uint64_t x = pang_merge_contained(&base->source, s->of_source, s->n_of_source, branch,
                                      &by_source);
    uint64_t y = pang_merge_contained(&base->target, s->of_target, s->n_of_target, branch,
                                      &by_target);
    if (x == 0 || y == 0)
        return;
    candidate *c = &s->found[s->n_found++];
    c->at = (pang_point){branch, x < y ? x : y};
    c->pair = (pang_merge_pair){c->at, c->at, true, {by_source, by_target}};
    if (by_target != NULL && y <= stands_at(&base->source, branch)) {
        c->pair.one = false;
        c->pair.target = (pang_point){by_target->into, by_target->into_sequence};
        c->pair.marks[0] = NULL;
    }
}

/* Whether all of `in` is in what `c` stands for, as far as that is known. */
static bool is_in(const search *s, const candidate *in, const candidate *c)
{
    const pang_merge_mark *ignored;
    pang_chain a = below(&s->base->source, c->at), b = below(&s->base->target, c->at);
    return pang_merge_contained(&a, s->of_source, s->n_of_source, in->at.branch, &ignored) >=
               in->at.sequence ||
           pang_merge_contained(&b, s->of_target, s->n_of_target, in->at.branch, &ignored) >=
               in->at.sequence;
}

static bool is_covered(const search *s, size_t i)
{
    for (size_t k = 0; k < s->n_found; k++)
        if (k != i && is_in(s, &s->found[i], &s->found[k]) &&
            !(is_in(s, &s->found[k], &s->found[i]) && k > i))
            return true;
    return false;
}

static void keep_newest(search *s)
{
    pang_merge_base *base = s->base;
    uint64_t numbers[PANG_MERGE_PAIRS_MAX + 1];
    for (size_t i = 0; i < s->n_found; i++) {
        if (is_covered(s, i))
            continue;
        size_t at = base->n_pairs;
        for (; at > 0 && numbers[at - 1] < s->found[i].at.sequence; at--)
            if (at < PANG_MERGE_PAIRS_MAX) {
                base->pairs[at] = base->pairs[at - 1];
                numbers[at] = numbers[at - 1];
            }
        if (at == PANG_MERGE_PAIRS_MAX)
            continue;
        base->pairs[at] = s->found[i].pair;
        numbers[at] = s->found[i].at.sequence;
        base->n_pairs += base->n_pairs < PANG_MERGE_PAIRS_MAX;
    }
}

/* ---- the source's log ---- */

static void find_since(search *s)
{
    pang_merge_base *base = s->base;
    for (size_t i = 0; i < base->source.n; i++) {
        const pang_merge_mark *mark;
        pang_point at = base->source.points[i];
        uint64_t has = pang_merge_contained(&base->target, s->of_target, s->n_of_target, at.branch,
                                            &mark);
        if (has < at.sequence)
            at.sequence = has;
        if (at.sequence <= base->since.sequence)
            continue;
        base->since = at;
        base->since_mark = mark;
    }
}

static pang_merge_pair fork_pair(const pang_merge_base *base)
{
    return (pang_merge_pair){base->fork.at, base->fork.at, true, {NULL, NULL}};
}

pang_code pang_merge_base_find(pang_view *source, pang_view *target, pang_merge_base *ret,
                               pang_err *err)
{
    search *s = pang_arena_alloc(source->arena, sizeof *s);
    if (s == NULL)
        return pang_fail_memory(err);
    memset(ret, 0, sizeof *ret);
    s->base = ret;
    pang_code code = pang_chain_of(source, &ret->source, err);
    if (code == PANG_OK)
        code = pang_chain_of(target, &ret->target, err);
    if (code != PANG_OK)
        return code;
    ret->fork = pang_common_point(&ret->source, &ret->target);
    code = read_all(s, source, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < s->n_branches; i++)
        try_branch(s, s->branches[i]);
    keep_newest(s);
    find_since(s);
    if (!ret->fork.met && ret->n_pairs == 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, "BadRequestException",
                         "the two branches have nothing in common");
    if (ret->n_pairs == 0) { /* they met before the catalog's first commit */
        ret->pairs[ret->n_pairs++] = fork_pair(ret);
        ret->since = ret->fork.at;
    }
    return PANG_OK;
}

/* ---- per asset ---- */

size_t pang_merge_base_of(const pang_merge_base *base, pang_id asset,
                          pang_merge_pair ret[PANG_MERGE_PAIRS_MAX])
{
    for (size_t i = 0; i < base->n_pairs; i++) {
        ret[i] = base->pairs[i];
        for (size_t k = 0; k < 2; k++) {
            const pang_merge_mark *mark = ret[i].marks[k];
            const Pangolin__Store__V1__MergeMark__Exception *e = mark == NULL
                                                                     ? NULL
                                                                     : pang_merge_exception(
                                                                           mark->body, asset);
            if (e == NULL || !e->left_out)
                continue;
            ret[i] = fork_pair(base);
            if (e->from_sequence != 0 && !base->pairs[i].one) {
                ret[i].source = (pang_point){mark->from, e->from_sequence};
                ret[i].target = (pang_point){mark->into, e->into_sequence};
                ret[i].one = false;
            }
            break;
        }
    }
    return base->n_pairs;
}
