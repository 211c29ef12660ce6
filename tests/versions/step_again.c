/*
 * Steps that work like merges: one commit is done again on another branch, or taken back; a branch
 * goes onto another base; a branch becomes what it was.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/versions/step_merge.h"
#include "tests/versions/steps.h"

static void expect(world *w, pang_code code, pang_code expected)
{
    if (code != expected)
        fail_msg("seed %lu: %s: %s (%s) and not %s", (unsigned long)w->seed, w->step,
                 pang_code_name(code), w->fx->err.message, pang_code_name(expected));
}

static bool is_known(const world *w, int at)
{
    return at != 0 && w->m->commits[at].sequence > w->floor && !w->m->commits[at].partial;
}

/* Runs what was asked for; of conflicts, somebody decides. */
static void run(world *w, again_kind kind, const char *source, merging *g, merge_call *call,
                branch *target, int parent, pang_code expected)
{
    const branch *onto = kind == REBASE ? model_branch(w->m, source) : target;
    uint32_t made_of = target->made_of | onto->made_of;
    if (target->is_protected)
        expected = PANG_PERMISSION_DENIED;
    model_merge(g);
    real_again(w, kind, source, call);
    if (kind == REBASE && merge_is_passed_on(w, made_of, target, call->code))
        expected = call->code;
    expect(w, call->code, expected);
    if (expected == PANG_OK) {
        merge_compare(w, g, call);
        w->merged += call->n_conflicts == 0;
        w->refused += call->n_conflicts > 0;
    }
    if (expected == PANG_OK && call->n_conflicts == 0)
        merge_landed(w, g, target, parent);
    else
        compare_branch(w, target);
    if (call->operation[0] != '\0' && merge_resolve(w, g, call, target, parent))
        w->again++;
}

static merging *new_merging(world *w, const content *source, const content *target)
{
    merging *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->m = w->m;
    g->source = source;
    g->target = target;
    g->is_below = g->is_above = true;
    return g;
}

/* ---- one commit ---- */

static void pick(world *w)
{
    branch *target = step_branch(w);
    int at = 1 + (int)model_roll(w->m, (unsigned)w->m->n_commits - 1);
    const commit *c = &w->m->commits[at];
    merge_call call = {.target = target->name};
    if (!is_known(w, at) || !is_known(w, c->parent) || target->partial)
        return;
    step_tell(w, fx_text(w->fx, "pick %s onto %s", c->id, target->name));
    merging *g = new_merging(w, c->after, model_of(w->m, target));
    g->half = model_at(w->m, c->parent);
    run(w, PICK, c->id, g, &call, target, target->head,
        merge_is_refused(w, c, target) ? PANG_FAILED_PRECONDITION : PANG_OK);
    free(g);
}

/* One of the newest commits of a branch; 0: none that will do. */
static int own_commit(world *w, const branch *b, unsigned back)
{
    int at = b->head;
    for (unsigned i = model_roll(w->m, back); i > 0 && at != 0; i--)
        at = w->m->commits[at].parent;
    return is_known(w, at) ? at : 0;
}

static void revert(world *w)
{
    branch *target = step_branch(w);
    int at = own_commit(w, target, 6);
    const commit *c = &w->m->commits[at];
    merge_call call = {.target = target->name};
    if (at == 0 || !is_known(w, c->parent) || target->partial)
        return;
    step_tell(w, fx_text(w->fx, "revert %s on %s", c->id, target->name));
    merging *g = new_merging(w, model_at(w->m, c->parent), model_of(w->m, target));
    g->half = c->after;
    run(w, REVERT, c->id, g, &call, target, target->head, PANG_OK);
    free(g);
}

/* ---- whole branches ---- */

static void rebase(world *w)
{
    branch *b = step_branch(w), *onto = step_branch(w);
    merge_call call = {.target = b->name};
    if (b == w->m->branches || b == onto || b->partial || onto->partial || onto->head == 0 ||
        !onto->ingest || !b->ingest || onto->depth > 10)
        return;
    step_tell(w, fx_text(w->fx, "rebase %s onto %s", b->name, onto->name));
    merging *g = new_merging(w, model_of(w->m, b), model_of(w->m, onto));
    int before = b->head, depth = b->depth;
    b->depth = onto->depth + 1;
    run(w, REBASE, onto->name, g, &call, b, onto->head, PANG_OK);
    if (b->head == before) {
        b->depth = depth;
    } else {
        b->since = w->m->n_commits - 2;
        b->made_of |= onto->made_of;
    }
    free(g);
}

/* What an item was, as the next thing that happens to it. */
static void give_back(world *w, const item *was, item *it)
{
    item next = *was;
    if (it->state == was->state)
        return;
    if (was->state == 0) {
        it->exists = false;
        model_change(w->m, it, 0);
        return;
    }
    next.all = it->all;
    next.values = it->values;
    next.names = it->names;
    next.seen = it->seen;
    if (it->kind == NAMESPACE && it->exists)
        next.made = it->made;
    if (it->exists && it->last_column > next.last_column)
        next.last_column = it->last_column;
    *it = next;
    model_change(w->m, it, CHANGES_ALL);
}

static void restore(world *w)
{
    branch *b = step_branch(w);
    int at = own_commit(w, b, 8);
    if (at <= b->since || b->partial)
        return;
    content next = *model_of(w->m, b);
    step_tell(w, fx_text(w->fx, "restore %s to %s", b->name, w->m->commits[at].id));
    for (int i = 0; i < ITEMS; i++)
        give_back(w, &w->m->commits[at].after->items[i], &next.items[i]);
    pang_code code = real_restore(w, b->name, w->m->commits[at].id);
    commit newest;
    assert_int_equal(real_log(w, b->name, &newest, 1), 1);
    if (code == PANG_OK && strcmp(newest.id, w->m->commits[b->head].id) == 0)
        compare_branch(w, b); /* there was nothing to do, or it shows */
    else
        step_landed(w, b, &next, code, PANG_OK);
    if (code == PANG_OK)
        compare_as(w, b->name, at);
}

void step_again(world *w)
{
    static void (*const steps[])(world *) = {pick, revert, revert, rebase, rebase, restore};
    steps[model_roll(w->m, 6)](w);
}
