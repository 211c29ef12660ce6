/*
 * Bases. What one side has is asked per branch: the greatest number of it that is in the side, by
 * its chain of forks or by a mark of a merge that the side holds. A branch that both have some of
 * gives a candidate, the lower of the two numbers; a candidate that is in another one is none.
 * All is read in two rounds: the lists of what was merged, then the marks by their keys.
 */
#include "server/merge_base.h"

#include <stdlib.h>
#include <string.h>

enum {
    BRANCHES_MAX = 2 * PANG_LEVELS_MAX + 2 * PANG_MERGE_THIRDS_MAX,
    CANDIDATES_MAX = BRANCHES_MAX,
    TRIED_MAX = 24,     /* candidates that are compared with each other: the newest */
    PAIRS_OF_WHOLE = 2, /* that selections leave */
};

typedef Pangolin__Store__V1__MergeMark__Exception exception;

/* ---- marks ---- */

pang_merge_thing pang_merge_excepted(const exception *e)
{
    return (pang_merge_thing){
        pang_id_of(e->asset),
        {PANG_SPACE_NAMESPACE, pang_str_from(e->path), pang_str_from(e->name)}};
}

bool pang_merge_same_thing(const pang_merge_thing *a, const pang_merge_thing *b)
{
    if (!pang_id_is_nil(a->asset) || !pang_id_is_nil(b->asset))
        return pang_id_equal(a->asset, b->asset);
    return pang_name_equal(a->name, b->name);
}

uint64_t pang_merge_hash_thing(const pang_merge_thing *thing)
{
    if (pang_id_is_nil(thing->asset))
        return pang_name_hash(thing->name);
    return pang_str_hash((pang_str){(const char *)thing->asset.bytes, sizeof thing->asset.bytes});
}

bool pang_merge_index_exceptions(const pang_rec_merge_mark *mark, pang_index *exceptions)
{
    for (size_t i = 0; i < mark->n_exceptions; i++) {
        pang_merge_thing thing = pang_merge_excepted(mark->exceptions[i]);
        if (!pang_index_add(exceptions, pang_merge_hash_thing(&thing), mark->exceptions[i]))
            return false;
    }
    return true;
}

exception *pang_merge_exception(const pang_index *exceptions, const pang_merge_thing *thing)
{
    pang_index_walk it = pang_index_of(exceptions, pang_merge_hash_thing(thing));
    exception *e;
    while ((e = pang_index_next(&it)) != NULL) {
        pang_merge_thing one = pang_merge_excepted(e);
        if (pang_merge_same_thing(&one, thing))
            return e;
    }
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
    for (size_t i = 0; i < body->n_exceptions; i++)
        if (body->exceptions[i]->from_sequence != 0 && body->exceptions[i]->into_sequence == 0)
            body->exceptions[i]->into_sequence = record->sequence;
    for (size_t i = 0; i <= body->n_older; i++) {
        const pang_rec_merge_mark *one = i == 0 ? body : body->older[i - 1];
        pang_merge_mark mark = {
            into, from, one->from_sequence, one->into_sequence, one, {.arena = view->arena}};
        if (!pang_merge_index_exceptions(one, &mark.exceptions) || !add_mark(l, &mark, view->arena))
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

/* What a mark says, of a thing that may be an exception. */
static pang_merge_has said_by(const pang_merge_mark *mark, const pang_merge_thing *thing)
{
    pang_merge_has ret = {mark->from_sequence, mark, {mark->into, mark->into_sequence}};
    const exception *e = thing == NULL ? NULL : pang_merge_exception(&mark->exceptions, thing);
    if (e != NULL && e->left_out) {
        ret.sequence = e->from_sequence;
        ret.since.sequence = e->into_sequence;
    }
    return ret;
}

pang_merge_has pang_merge_contained(const pang_chain *chain, const pang_merge_mark *marks,
                                    size_t n_marks, pang_id branch, const pang_merge_thing *thing)
{
    pang_merge_has most = {0};
    for (size_t i = 0; i < chain->n; i++) {
        pang_point at = chain->points[i];
        if (pang_id_equal(at.branch, branch) && at.sequence > most.sequence)
            most = (pang_merge_has){.sequence = at.sequence};
        for (size_t k = 0; k < n_marks; k++) {
            if (!pang_id_equal(marks[k].into, at.branch) || !pang_id_equal(marks[k].from, branch))
                continue;
            pang_merge_has one = said_by(&marks[k], thing);
            if (one.since.sequence <= at.sequence && one.sequence > most.sequence)
                most = one;
        }
    }
    return most;
}

/* What lies below a point of a chain, with the point itself; empty where it is on none of its
 * branches. `whole`: none of those of which the chain has a selection only. */
static pang_chain below(const pang_chain *chain, pang_point at, bool whole)
{
    pang_chain ret = {.partial = chain->partial};
    for (size_t i = 0; i < (whole ? chain->n_whole : chain->n); i++) {
        if (ret.n == 0 && !pang_id_equal(chain->points[i].branch, at.branch))
            continue;
        ret.points[ret.n++] = chain->points[i];
    }
    if (ret.n > 0)
        ret.points[0].sequence = at.sequence;
    ret.n_whole = ret.n;
    return ret;
}

/* ---- candidates ---- */

typedef struct {
    pang_point at;
    pang_merge_pair pair;
    pang_chain chain; /* of the point: what is in it */
    pang_merge_mark *marks;
    size_t n_marks;
} candidate;

typedef struct {
    pang_merge_base *base;
    pang_id branches[BRANCHES_MAX];
    size_t n_branches;
    candidate found[CANDIDATES_MAX];
    size_t n_found;
    bool one_selection; /* both sides show the same selection, and what came to it */
} search;

static void add_branch(search *s, pang_id branch)
{
    for (size_t i = 0; i < s->n_branches; i++)
        if (pang_id_equal(s->branches[i], branch))
            return;
    s->branches[s->n_branches++] = branch;
}

/* What was merged into one side beyond the meeting. *ret_whole: the list lacks nothing. */
typedef struct {
    pang_id list[PANG_LEVELS_MAX * PANG_MERGE_THIRDS_MAX];
    size_t n;
    bool whole;
} thirds;

static pang_code list_thirds(pang_view *view, const pang_chain *chain, size_t meets,
                             pang_point meeting, thirds *ret, pang_err *err)
{
    pang_code code = PANG_OK;
    ret->n = 0;
    ret->whole = true;
    for (size_t i = 0; code == PANG_OK && i <= meets && i < chain->n; i++) {
        size_t n = 0;
        if (i == meets && chain->points[i].sequence <= meeting.sequence)
            break;
        code = pang_merge_thirds(view, chain->points[i].branch, ret->list + ret->n, &n, err);
        ret->whole = ret->whole && n < PANG_MERGE_THIRDS_MAX;
        ret->n += n;
    }
    return code;
}

static void add_list(search *s, const thirds *from)
{
    for (size_t i = 0; i < from->n; i++)
        if (s->n_branches < BRANCHES_MAX)
            add_branch(s, from->list[i]);
}

/* What both sides merged is in each side's list: a whole one is enough. */
static pang_code add_thirds(search *s, pang_view *view, pang_err *err)
{
    const pang_merge_base *base = s->base;
    pang_point meeting = base->fork.at;
    thirds *a = pang_arena_alloc_n(view->arena, 2, sizeof *a);
    if (a == NULL)
        return pang_fail_memory(err);
    thirds *b = a + 1;
    pang_code code = list_thirds(view, &base->source, base->fork.in_a, meeting, a, err);
    if (code != PANG_OK || (a->whole && a->n == 0))
        return code;
    code = list_thirds(view, &base->target, base->fork.in_b, meeting, b, err);
    if (!b->whole || (a->whole && a->n <= b->n))
        add_list(s, a);
    if (!a->whole || (b->whole && b->n < a->n))
        add_list(s, b);
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
        code = pang_merge_marks_read(view, &base->source, s->branches, s->n_branches,
                                     &s->base->of_source, &s->base->n_of_source, err);
    if (code == PANG_OK)
        code = pang_merge_marks_read(view, &base->target, s->branches, s->n_branches,
                                     &s->base->of_target, &s->base->n_of_target, err);
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

static bool is_whole(const pang_chain *chain, pang_id branch)
{
    for (size_t i = 0; i < chain->n_whole; i++)
        if (pang_id_equal(chain->points[i].branch, branch))
            return true;
    return false;
}

pang_point pang_merge_made(const pang_chain *chain, const pang_merge_mark *marks, size_t n)
{
    pang_point made = {.sequence = 0};
    for (size_t i = 0; chain->partial && i < n; i++)
        if (pang_id_equal(marks[i].from, chain->points[chain->n_whole].branch) &&
            is_whole(chain, marks[i].into) &&
            (made.sequence == 0 || marks[i].into_sequence < made.sequence))
            made = (pang_point){marks[i].into, marks[i].into_sequence};
    return made;
}

bool pang_merge_is_joined(const pang_merge_has *has, const pang_merge_thing *thing)
{
    const exception *e = has->mark == NULL ? NULL
                                           : pang_merge_exception(&has->mark->exceptions, thing);
    return e != NULL && e->left_out;
}

/* Where a side, if it is a selection, has to have held a namespace for the base to speak of it. */
static pang_point held_at(const pang_chain *chain, const pang_merge_mark *marks, size_t n,
                          pang_id branch, const pang_merge_has *has, const pang_merge_thing *thing)
{
    if ((has->mark == NULL && is_whole(chain, branch)) ||
        (thing != NULL && pang_merge_is_joined(has, thing)))
        return (pang_point){.sequence = 0};
    return pang_merge_made(chain, marks, n);
}

/* The base that a branch gives which both have some of: for one thing, or for all. */
static bool make_pair(const pang_merge_base *base, pang_id branch, const pang_merge_thing *thing,
                      pang_merge_pair *ret)
{
    pang_merge_has x = pang_merge_contained(&base->source, base->of_source, base->n_of_source,
                                            branch, thing);
    pang_merge_has y = pang_merge_contained(&base->target, base->of_target, base->n_of_target,
                                            branch, thing);
    pang_point at = {branch, x.sequence < y.sequence ? x.sequence : y.sequence};
    *ret = (pang_merge_pair){.source = at, .target = at, .one = true, .marks = {x.mark, y.mark}};
    ret->held[0] = held_at(&base->source, base->of_source, base->n_of_source, branch, &x, thing);
    ret->held[1] = held_at(&base->target, base->of_target, base->n_of_target, branch, &y, thing);
    if (at.sequence > 0 && y.mark != NULL && y.sequence <= stands_at(&base->source, branch)) {
        ret->one = false;
        ret->target = y.since;
        ret->marks[0] = NULL;
    }
    return at.sequence > 0;
}

static void try_branch(search *s, pang_id branch)
{
    candidate *c = &s->found[s->n_found];
    if (!make_pair(s->base, branch, NULL, &c->pair))
        return;
    c->at = c->pair.source;
    s->n_found++;
}

/* The chain of a candidate's point, and the marks of merges into it. */
static pang_code read_candidate(search *s, pang_view *view, candidate *c, const pang_id *branches,
                                pang_err *err)
{
    pang_view at = *view;
    pang_code code = PANG_OK;
    c->chain = below(&s->base->source, c->at, !s->one_selection);
    c->marks = s->base->of_source;
    c->n_marks = s->base->n_of_source;
    if (c->chain.n > 0)
        return PANG_OK;
    c->chain = below(&s->base->target, c->at, !s->one_selection);
    c->marks = s->base->of_target;
    c->n_marks = s->base->n_of_target;
    if (c->chain.n > 0)
        return PANG_OK;
    code = pang_view_at_point(&at, c->at.branch, c->at.sequence, err);
    if (code == PANG_OK)
        code = pang_chain_of(&at, &c->chain, err);
    return code == PANG_OK ? pang_merge_marks_read(view, &c->chain, branches, s->n_found, &c->marks,
                                                   &c->n_marks, err)
                           : code;
}

static void keep_selection(pang_merge_base *base, const candidate *c)
{
    if (c->chain.partial)
        base->selections[base->n_selections++] = (pang_merge_selection){c->at, c->chain, c->marks,
                                                                        c->n_marks};
}

/* What a candidate's point has of the others' branches. One that holds a selection has neither all
 * of what that was made from nor all of what was merged there: of an asset that it does not hold it
 * says nothing, and another candidate must. */
static pang_code fill_candidate(search *s, pang_view *view, candidate *c, const pang_id *branches,
                                pang_err *err)
{
    pang_code code = read_candidate(s, view, c, branches, err);
    if (s->one_selection || code != PANG_OK)
        return code;
    keep_selection(s->base, c);
    c->chain.n = c->chain.n < c->chain.n_whole ? c->chain.n : c->chain.n_whole;
    if (c->chain.partial)
        c->n_marks = 0;
    return code;
}

static int newest_first(const void *a, const void *b)
{
    uint64_t x = ((const candidate *)a)->at.sequence, y = ((const candidate *)b)->at.sequence;
    return (x < y) - (x > y);
}

static pang_code fill_candidates(search *s, pang_view *view, pang_err *err)
{
    pang_id branches[CANDIDATES_MAX];
    pang_code code = PANG_OK;
    if (s->n_found < 2)
        return PANG_OK;
    qsort(s->found, s->n_found, sizeof s->found[0], newest_first);
    if (s->n_found > TRIED_MAX)
        s->n_found = TRIED_MAX;
    for (size_t i = 0; i < s->n_found; i++)
        branches[i] = s->found[i].at.branch;
    s->base->selections = pang_arena_alloc_n(view->arena, s->n_found, sizeof(pang_merge_selection));
    if (s->base->selections == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < s->n_found; i++)
        code = fill_candidate(s, view, &s->found[i], branches, err);
    return code;
}

static bool is_in(const candidate *in, const candidate *c)
{
    return pang_merge_contained(&c->chain, c->marks, c->n_marks, in->at.branch, NULL).sequence >=
           in->at.sequence;
}

static bool is_covered(const search *s, size_t i)
{
    for (size_t k = 0; k < s->n_found; k++)
        if (k != i && is_in(&s->found[i], &s->found[k]) &&
            (k < i || !is_in(&s->found[k], &s->found[i])))
            return true;
    return false;
}

/* They are sorted. Selections leave room for those that say something of every asset. */
static void keep_newest(search *s)
{
    pang_merge_base *base = s->base;
    for (size_t i = 0; i < s->n_found && base->n_pairs < PANG_MERGE_PAIRS_MAX; i++) {
        size_t room = PANG_MERGE_PAIRS_MAX - (s->found[i].chain.partial ? PAIRS_OF_WHOLE : 0);
        if (base->n_pairs < room && !is_covered(s, i))
            base->pairs[base->n_pairs++] = s->found[i].pair;
    }
}

/* ---- the source's log ---- */

static void find_since(search *s)
{
    pang_merge_base *base = s->base;
    for (size_t i = 0; i < base->source.n; i++) {
        pang_point at = base->source.points[i];
        pang_merge_has has = pang_merge_contained(&base->target, base->of_target, base->n_of_target,
                                                  at.branch, NULL);
        if (has.sequence < at.sequence)
            at.sequence = has.sequence;
        if (at.sequence <= base->since.sequence)
            continue;
        base->since = at;
        base->since_mark = has.mark;
    }
}

static pang_merge_pair fork_pair(const pang_merge_base *base)
{
    return (pang_merge_pair){.source = base->fork.at, .target = base->fork.at, .one = true};
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
    s->one_selection = ret->fork.met && ret->fork.in_a < ret->source.n_whole &&
                       ret->fork.in_b < ret->target.n_whole && ret->source.partial;
    code = read_all(s, source, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < s->n_branches; i++)
        try_branch(s, s->branches[i]);
    code = fill_candidates(s, source, err);
    if (code != PANG_OK)
        return code;
    keep_newest(s);
    find_since(s);
    ret->branches = s->branches;
    ret->n_branches = s->n_branches;
    if (!ret->fork.met && ret->n_pairs == 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, "BadRequestException",
                         "the two branches have nothing in common");
    if (ret->n_pairs == 0) { /* they met before the catalog's first commit */
        ret->pairs[ret->n_pairs++] = fork_pair(ret);
        ret->since = ret->fork.at;
    }
    return PANG_OK;
}

/* ---- per thing ---- */

static bool is_exception(const pang_merge_mark *marks, size_t n, const pang_merge_thing *thing)
{
    for (size_t i = 0; i < n; i++) {
        const exception *e = pang_merge_exception(&marks[i].exceptions, thing);
        if (e != NULL && e->left_out)
            return true;
    }
    return false;
}

/* Among the newest, in their order. */
static size_t insert_pair(pang_merge_pair *list, size_t n, const pang_merge_pair *pair)
{
    size_t at = n;
    while (at > 0 && list[at - 1].source.sequence < pair->source.sequence)
        at--;
    if (at == PANG_MERGE_PAIRS_MAX)
        return n;
    size_t kept = n < PANG_MERGE_PAIRS_MAX ? n : n - 1;
    memmove(&list[at + 1], &list[at], (kept - at) * sizeof *list);
    list[at] = *pair;
    return kept + 1;
}

/* A third branch's, as it was at the point. */
static void third_at(const pang_merge_base *base, pang_point at, pang_merge_selection *ret)
{
    for (size_t i = 0; i < base->n_selections; i++) {
        const pang_merge_selection *one = &base->selections[i];
        if (!pang_id_equal(one->at.branch, at.branch) || one->at.sequence < at.sequence)
            continue;
        *ret = *one;
        ret->chain.points[0].sequence = at.sequence;
        return;
    }
}

/* What a pair's point has, if that is of a selection; of none the chain is empty. */
static void selection_at(const pang_merge_base *base, pang_point at, pang_merge_selection *ret)
{
    ret->chain = below(&base->source, at, false);
    ret->marks = base->of_source;
    ret->n_marks = base->n_of_source;
    if (ret->chain.n == 0) {
        ret->chain = below(&base->target, at, false);
        ret->marks = base->of_target;
        ret->n_marks = base->n_of_target;
    }
    if (ret->chain.n == 0)
        third_at(base, at, ret);
    if (!ret->chain.partial)
        ret->chain.n = 0;
}

/* Two that are in each other: the first stands. */
static void find_within(const pang_merge_base *base, const pang_merge_thing *thing,
                        pang_merge_pair *pairs, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        pang_merge_selection in;
        selection_at(base, pairs[k].source, &in);
        for (size_t i = 0; i < n && in.chain.n > 0; i++)
            if (i != k && (pairs[k].within >> i & 1) == 0 &&
                pang_merge_contained(&in.chain, in.marks, in.n_marks, pairs[i].source.branch, thing)
                        .sequence >= pairs[i].source.sequence)
                pairs[i].within |= 1U << k;
    }
}

size_t pang_merge_base_of(const pang_merge_base *base, const pang_merge_thing *thing,
                          pang_merge_pair ret[PANG_MERGE_PAIRS_MAX])
{
    size_t n = 0;
    pang_merge_pair pair;
    if (!is_exception(base->of_source, base->n_of_source, thing) &&
        !is_exception(base->of_target, base->n_of_target, thing)) {
        memcpy(ret, base->pairs, base->n_pairs * sizeof *ret);
        n = base->n_pairs;
    } else {
        for (size_t i = 0; i < base->n_branches; i++)
            if (make_pair(base, base->branches[i], thing, &pair))
                n = insert_pair(ret, n, &pair);
    }
    if (n == 0)
        ret[n++] = fork_pair(base);
    if (n > 1 && (base->source.partial || base->target.partial || base->n_selections > 0))
        find_within(base, thing, ret, n);
    return n;
}
