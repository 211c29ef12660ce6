/*
 * The step that merges: of branches, or of a point of one, with what conflicts decided by somebody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/versions/step_merge.h"
#include "tests/versions/steps.h"

static const char *key_of(world *w, const merging *g, int i)
{
    const item *it = g->target->items[i].exists ? &g->target->items[i] : &g->source->items[i];
    if (i < SPACES)
        return space_names[i];
    return fx_text(w->fx, "%s.t%d", space_names[it->space], it->title);
}

static void differ(world *w, const merging *g, const merge_call *call, const char *why)
{
    pang_buf shall = {.arena = w->fx->arena};
    for (int i = 0; i < ITEMS; i++)
        if (g->may_conflict[i])
            pang_buf_printf(&shall, " %s%s", g->conflicts[i] ? "" : "perhaps ", key_of(w, g, i));
    fail_msg("seed %lu: %s: %s: conflicts: %s, and not%.*s%s", (unsigned long)w->seed, w->step, why,
             call->told, (int)shall.len, pang_buf_str(&shall).ptr,
             g->is_entangled ? " (and names)" : "");
}

static bool is_told(const merge_call *call, const char *key)
{
    for (size_t i = 0; i < call->n_conflicts; i++)
        if (strcmp(call->conflicts[i], key) == 0)
            return true;
    return false;
}

void merge_compare(world *w, const merging *g, const merge_call *call)
{
    bool certain = g->is_entangled && g->is_certain, possible = g->is_entangled;
    size_t explained = 0;
    for (int i = 0; i < ITEMS; i++) {
        certain = certain || g->conflicts[i];
        possible = possible || g->may_conflict[i];
        explained += g->may_conflict[i] && is_told(call, key_of(w, g, i));
        if (call->n_conflicts > 0 && g->conflicts[i] && !is_told(call, key_of(w, g, i)))
            differ(w, g, call, "one is missing");
    }
    if (certain && call->n_conflicts == 0)
        differ(w, g, call, "it was merged");
    if (!possible && call->n_conflicts > 0)
        differ(w, g, call, "it must merge");
    if (!g->is_entangled && explained < call->n_conflicts)
        differ(w, g, call, "there are others");
}

/* Whether the text has the item so; one that is not there is in every text. */
static bool is_shown(const world *w, const char *text, int i, const item *it)
{
    content alone = w->m->nothing;
    alone.items[i] = *it;
    char *line = model_text(&alone);
    bool shown = strstr(text, line) != NULL;
    free(line);
    return shown;
}

/* Of what may have come of an item, what did. */
static void choose_outcomes(world *w, merging *g, const char *text)
{
    for (int i = 0; i < ITEMS; i++) {
        item *after = &g->after.items[i];
        int made = after->made;
        bool chosen = g->items[i].n == 1;
        for (int k = 0; k < g->items[i].n && !chosen; k++)
            if (g->items[i].list[k].fate != CONFLICT &&
                is_shown(w, text, i, &g->items[i].list[k].after)) {
                *after = g->items[i].list[k].after;
                chosen = after->exists;
            }
        after->made = made;
    }
}

void merge_landed(world *w, merging *g, branch *target, int parent)
{
    commit newest;
    choose_outcomes(w, g, real_text(w, target->name));
    model_merge_land(g);
    assert_int_equal(real_log(w, target->name, &newest, 1), 1);
    if (strcmp(newest.id, w->m->commits[target->head].id) != 0) {
        target->head = parent;
        if (strcmp(newest.id, w->m->commits[parent].id) != 0)
            model_commit(w->m, target, &g->after, newest.id, newest.sequence, newest.time_ms);
    }
    compare_branch(w, target);
}

/* ---- decided by somebody ---- */

/* Two assets of one name, one on each side, are told apart by their ids only. */
static bool share_a_key(world *w, const merging *g, const merge_call *call)
{
    for (int i = 0; i < ITEMS; i++)
        for (int k = 0; k < i; k++)
            if (g->may_conflict[i] && g->may_conflict[k] && is_told(call, key_of(w, g, i)) &&
                strcmp(key_of(w, g, i), key_of(w, g, k)) == 0)
                return true;
    return false;
}

/* Values of its own for all that conflicts, where that is properties alone. */
static bool choose_values(world *w, merging *g, merge_call *call, int i)
{
    unsigned bits = model_roll(w->m, 2) == 0 ? 0 : real_conflicting(w, call, key_of(w, g, i));
    for (int k = 0; k < PROPERTIES; k++) {
        bool none = model_roll(w->m, 4) == 0;
        g->chosen[i][k] = !(bits >> k & 1) ? -1 : none ? 0 : ++w->m->n_values;
    }
    return bits != 0;
}

/* Decides every conflict. False: the model does not know what will come of it. Where it did not
 * know what conflicts, it knows now. */
static bool decide(world *w, merging *g, merge_call *call)
{
    if (g->is_entangled || share_a_key(w, g, call))
        return false;
    for (int i = 0; i < ITEMS; i++) {
        bool told = is_told(call, key_of(w, g, i));
        g->merges[i] = g->may_conflict[i] && !told;
        if (g->may_conflict[i] && told)
            g->decided[i] = choose_values(w, g, call, i) ? BY_VALUES
                            : model_roll(w->m, 2) == 0   ? BY_SOURCE
                                                         : BY_TARGET;
    }
    model_merge(g);
    for (int i = 0; i < ITEMS; i++)
        if (g->decided[i] == BY_VALUES && g->conflicts[i])
            differ(w, g, call, "more than properties conflicts");
    return !g->is_entangled && g->is_certain;
}

static void expect(world *w, pang_code code, pang_code expected)
{
    if (code != expected)
        fail_msg("seed %lu: %s: %s (%s) and not %s", (unsigned long)w->seed, w->step,
                 pang_code_name(code), w->fx->err.message, pang_code_name(expected));
}

static void give_up(world *w, merge_call *call, const branch *target)
{
    expect(w, real_abort(w, call), PANG_OK);
    real_complete(w, call);
    expect(w, call->code, PANG_FAILED_PRECONDITION);
    compare_branch(w, target);
}

static void say(world *w, const merging *g, merge_call *call, int i, const char *key)
{
    static const char *const words[] = {
        [BY_SOURCE] = "TakeSource", [BY_TARGET] = "TakeTarget", [BY_VALUES] = "Manual"};
    real_choice choice = {words[g->decided[i]], g->decided[i] == BY_VALUES ? g->chosen[i] : NULL};
    step_tell(w, fx_text(w->fx, "%s, %s by %s", w->step, key, choice.strategy));
    expect(w, real_resolve(w, call, key, &choice), PANG_OK);
}

bool merge_resolve(world *w, merging *g, merge_call *call, branch *target, int parent)
{
    merging *asked = calloc(1, sizeof *asked);
    assert_non_null(asked);
    *asked = *g;
    bool goes_on = decide(w, g, call) && model_roll(w->m, 4) > 0;
    if (goes_on) {
        real_complete(w, call); /* too early */
        expect(w, call->code, PANG_FAILED_PRECONDITION);
        for (int i = 0; i < ITEMS; i++)
            if (asked->may_conflict[i] && !g->merges[i])
                say(w, g, call, i, key_of(w, asked, i));
        real_complete(w, call);
        if (call->code != PANG_OK || call->n_conflicts > 0)
            differ(w, g, call, w->fx->err.message);
        merge_landed(w, g, target, parent);
        w->merged++;
        w->decided++;
    } else {
        give_up(w, call, target);
    }
    free(asked);
    return goes_on;
}

/* ---- the step ---- */

/* A key means whatever has the name on a side: only those that mean one are used. */
static bool is_clear(const world *w, const merging *g, int i)
{
    const item *it = &g->source->items[i];
    for (int k = SPACES; k < w->m->n_items; k++)
        for (int side = 0; side < 2 && k != i; side++) {
            const item *other = side == 0 ? &g->source->items[k] : &g->target->items[k];
            /* Names of before count, too. */
            if (other->state != 0 && other->space == it->space && other->title == it->title)
                return false;
        }
    return true;
}

static bool is_named(const merge_call *call, const char *key)
{
    for (size_t i = 0; i < call->n_modes; i++)
        if (strcmp(call->modes[i].key, key) == 0)
            return true;
    return false;
}

static void choose_modes(world *w, merging *g, merge_call *call)
{
    static const char *const words[] = {"normal", "take_source", "take_target", "drop"};
    for (int tries = 0; tries < 3; tries++) {
        int i = (int)model_roll(w->m, ITEMS);
        int how = (int)model_roll(w->m, 4);
        if (i < SPACES || !g->source->items[i].exists || !is_clear(w, g, i))
            continue;
        const char *key = fx_text(w->fx, "%s.t%d", space_names[g->source->items[i].space],
                                  g->source->items[i].title);
        if (is_named(call, key))
            continue;
        g->decided[i] = (decision)how;
        call->modes[call->n_modes].key = key;
        call->modes[call->n_modes].mode = words[how];
        step_tell(w, fx_text(w->fx, "%s, %s: %s", w->step, key, words[how]));
        call->n_modes++;
    }
}

/* What was tried out does not go where what counts is; nor what is left of it. */
bool merge_is_refused(const world *w, const commit *source, const branch *target)
{
    const branch *from = &w->m->branches[source->branch];
    return !from->ingest && target->ingest;
}

bool merge_is_passed_on(const world *w, uint32_t made_of, const branch *target, pang_code code)
{
    if (!target->ingest || code != PANG_FAILED_PRECONDITION)
        return false;
    for (int i = 0; i < w->m->n_branches; i++)
        if ((made_of >> i & 1) && !w->m->branches[i].ingest)
            return true;
    return false;
}

/* By selections of selections. */
static bool is_made_of(const model *m, int family, int of)
{
    while (family != of && m->branches[family].partial)
        family = m->branches[family].above;
    return family == of;
}

static void merge(world *w, const commit *source, bool refused, merge_call *call, branch *target)
{
    merging *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->m = w->m;
    g->source = source->after;
    g->target = model_of(w->m, target);
    g->target_partial = w->m->branches[target->family].partial;
    g->is_below = is_made_of(w->m, source->family, target->family);
    g->is_above = is_made_of(w->m, target->family, source->family);
    call->dry = model_roll(w->m, 5) == 0;
    step_tell(w, fx_text(w->fx, "%s %s into %s", call->dry ? "try" : "merge", call->source,
                         call->target));
    if (model_roll(w->m, 3) == 0)
        choose_modes(w, g, call);
    model_merge(g);
    real_merge(w, call);
    refused = refused || merge_is_passed_on(w, source->made_of, target, call->code);
    expect(w, call->code, refused ? PANG_FAILED_PRECONDITION : PANG_OK);
    if (!refused)
        merge_compare(w, g, call);
    bool done = !refused && call->n_conflicts == 0 && !call->dry;
    if (done)
        merge_landed(w, g, target, target->head);
    else
        compare_branch(w, target);
    w->merged += done;
    w->refused += !done;
    if (call->operation[0] != '\0')
        (void)merge_resolve(w, g, call, target, target->head);
    free(g);
}

void step_merge(world *w)
{
    branch *target = step_branch(w), *from = step_branch(w);
    merge_call call = {.source = from->name, .target = target->name};
    int at = from->head;
    if (model_roll(w->m, 5) == 0) {
        at = 1 + (int)model_roll(w->m, (unsigned)w->m->n_commits - 1);
        if (w->m->commits[at].sequence <= w->floor)
            return;
        call.source = w->m->commits[at].id;
        merge(w, &w->m->commits[at], merge_is_refused(w, &w->m->commits[at], target), &call,
              target);
        return;
    }
    if (from == target || at == 0)
        return;
    commit of_branch = w->m->commits[at];
    of_branch.branch = (int)(from - w->m->branches);
    of_branch.family = from->family;
    of_branch.made_of = from->made_of;
    merge(w, &of_branch, merge_is_refused(w, &of_branch, target), &call, target);
}
