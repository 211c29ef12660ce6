/*
 * The step that merges: of branches, or of a point of one, with what conflicts decided by somebody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/versions/merges.h"
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

/* Whether what the program calls conflicts is what the model does. */
static void compare_conflicts(world *w, const merging *g, const merge_call *call)
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

/* Of what may have come of an item, what did. */
static void choose_outcomes(world *w, merging *g, const char *text)
{
    for (int i = 0; i < ITEMS; i++)
        for (int k = 0; k < g->items[i].n && g->items[i].n > 1; k++) {
            content alone = w->m->nothing;
            if (g->items[i].list[k].fate == CONFLICT)
                continue;
            alone.items[i] = g->items[i].list[k].after;
            char *line = model_text(&alone);
            if (strstr(text, line) != NULL) {
                int made = g->after.items[i].made;
                g->after.items[i] = alone.items[i];
                g->after.items[i].made = made;
            }
            free(line);
        }
}

static void landed(world *w, merging *g, branch *target)
{
    commit newest;
    choose_outcomes(w, g, real_text(w, target->name));
    model_merge_land(g);
    assert_int_equal(real_log(w, target->name, &newest, 1), 1);
    if (strcmp(newest.id, w->m->commits[target->head].id) != 0)
        model_commit(w->m, target, &g->after, newest.id, newest.sequence, newest.time_ms);
    compare_branch(w, target);
}

/* ---- decided by somebody ---- */

/* Decides every conflict; NULL: the model does not know what will come of it. */
static const char *decide(world *w, merging *g)
{
    pang_buf out = {.arena = w->fx->arena};
    if (g->is_entangled || !g->is_certain)
        return NULL;
    for (int i = 0; i < ITEMS; i++) {
        if (!g->conflicts[i])
            continue;
        g->decided[i] = model_roll(w->m, 2) == 0 ? BY_SOURCE : BY_TARGET;
        pang_buf_printf(&out, "%s%s=%s", out.len == 0 ? "" : " ", key_of(w, g, i),
                        g->decided[i] == BY_SOURCE ? "source" : "target");
    }
    pang_buf_add_char(&out, '\0');
    model_merge(g);
    return g->is_entangled || !g->is_certain ? NULL : pang_buf_str(&out).ptr;
}

static void resolve(world *w, merging *g, merge_call *call, branch *target)
{
    call->choices = decide(w, g);
    if (call->choices == NULL || model_roll(w->m, 4) == 0)
        return;
    step_tell(w, fx_text(w->fx, "%s, %s", w->step, call->choices));
    real_merge(w, call);
    if (call->code != PANG_OK || call->n_conflicts > 0)
        differ(w, g, call, w->fx->err.message);
    landed(w, g, target);
    w->merged++;
}

/* ---- the step ---- */

static void merge(world *w, const commit *source, merge_call *call, branch *target)
{
    merging *g = calloc(1, sizeof *g);
    assert_non_null(g);
    g->m = w->m;
    g->source = source->after;
    g->target = model_of(w->m, target);
    g->target_partial = w->m->branches[target->family].partial;
    g->source_partial = w->m->branches[source->family].partial;
    g->one_family = source->family == target->family;
    model_merge(g);
    call->dry = model_roll(w->m, 5) == 0;
    step_tell(w, fx_text(w->fx, "%s %s (at %lu) into %s", call->dry ? "try" : "merge", call->source,
                         (unsigned long)call->at, call->target));
    real_merge(w, call);
    if (call->code != PANG_OK)
        differ(w, g, call, w->fx->err.message);
    compare_conflicts(w, g, call);
    if (call->n_conflicts == 0 && !call->dry)
        landed(w, g, target);
    else
        compare_branch(w, target);
    w->merged += call->n_conflicts == 0 && !call->dry;
    w->refused += call->n_conflicts > 0;
    if (call->n_conflicts > 0 && !call->dry)
        resolve(w, g, call, target);
    free(g);
}

void step_merge(world *w)
{
    branch *target = step_branch(w), *from = step_branch(w);
    merge_call call = {.source = from->name, .target = target->name};
    int at = from->head;
    if (model_roll(w->m, 5) == 0) {
        at = 1 + (int)model_roll(w->m, (unsigned)w->m->n_commits - 1);
        call.source = w->m->commits[at].id;
        call.at = w->m->commits[at].sequence;
    } else if (from == target || at == 0) {
        return;
    }
    merge(w, &w->m->commits[at], &call, target);
}
