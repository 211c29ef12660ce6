/*
 * Branches and tags: made from anything that names a state, renamed, protected, deleted; and what
 * cannot be written or is not there.
 */
#include "tests/versions/refs.h"

#include <stdio.h>
#include <string.h>

#include "tests/versions/steps.h"

enum { NAMES = 9, DEPTH = 12, SELECTED = 4 };

static void expect(world *w, pang_code code, pang_code expected)
{
    if (code != expected)
        fail_msg("seed %lu: %s: %s (%s) and not %s", (unsigned long)w->seed, w->step,
                 pang_code_name(code), w->fx->err.message, pang_code_name(expected));
}

static bool is_taken(const world *w, const char *name)
{
    for (int i = 0; i < w->m->n_branches; i++)
        if (w->m->branches[i].alive && strcmp(w->m->branches[i].name, name) == 0)
            return true;
    for (int i = 0; i < w->m->n_tags; i++)
        if (w->m->tags[i].alive && strcmp(w->m->tags[i].name, name) == 0)
            return true;
    return false;
}

/* Names come again, on purpose. */
static const char *any_name(world *w)
{
    return fx_text(w->fx, "r%u", model_roll(w->m, NAMES));
}

/* Something that names a state: the text, and the commit. */
typedef struct {
    const char *text;
    int commit, depth, family;
    uint32_t made_of;
    bool partial, moves;
} origin;

static origin of_commit(world *w, const char *text, int at)
{
    const commit *c = &w->m->commits[at];
    (void)w;
    return (origin){text, at, c->depth, c->family, c->made_of, c->partial, false};
}

static int at_time(const world *w, int64_t time_ms)
{
    int at = w->m->branches[0].head;
    while (at != 0 && w->m->commits[at].time_ms > time_ms)
        at = w->m->commits[at].parent;
    return at;
}

static origin any_origin(world *w)
{
    unsigned what = model_roll(w->m, 10);
    int at = w->m->n_commits < 2 ? 0 : 1 + (int)model_roll(w->m, (unsigned)w->m->n_commits - 1);
    if (at != 0 &&
        (w->m->commits[at].sequence <= w->floor || w->m->commits[at].time_ms < w->floor_ms))
        at = 0;
    if (what < 2 && at != 0)
        return of_commit(w, w->m->commits[at].id, at);
    if (what == 2 && at != 0 && at_time(w, w->m->commits[at].time_ms) != 0)
        return of_commit(w, fx_text(w->fx, "%lld", (long long)w->m->commits[at].time_ms),
                         at_time(w, w->m->commits[at].time_ms));
    if (what < 5 && w->m->n_tags > 0) {
        const tag *t = &w->m->tags[model_roll(w->m, (unsigned)w->m->n_tags)];
        if (t->alive)
            return of_commit(w, t->name, t->commit);
    }
    const branch *b = step_branch(w);
    return (origin){b->name, b->head, b->depth, b->family, b->made_of, b->partial, true};
}

/* ---- branches ---- */

static branch *add_branch(world *w, const char *name, const origin *from)
{
    branch *b = &w->m->branches[w->m->n_branches++];
    *b = (branch){.alive = true, .partial = from->partial, .head = from->commit};
    b->depth = from->depth + 1;
    b->family = from->family;
    b->made_of = from->made_of | 1U << (b - w->m->branches);
    b->since = w->m->n_commits - 1;
    (void)snprintf(b->name, sizeof b->name, "%s", name);
    return b;
}

static void make_branch(world *w)
{
    const char *name = any_name(w);
    origin from = any_origin(w);
    bool ingest = model_roll(w->m, 4) > 0, taken = is_taken(w, name);
    if (w->m->n_branches == BRANCHES || from.depth >= DEPTH || from.commit == 0)
        return;
    step_tell(w, fx_text(w->fx, "branch %s from %s", name, from.text));
    expect(w, real_create_branch(w, name, from.text, ingest, NULL, 0),
           taken ? PANG_ALREADY_EXISTS : PANG_OK);
    if (taken)
        return;
    branch *b = add_branch(w, name, &from);
    b->ingest = ingest;
    compare_branch(w, b);
}

/* With what an item is in. */
static void select_item(content *to, const content *from, int i)
{
    to->items[i] = from->items[i];
    for (int space = from->items[i].space; space >= 0; space = space_parents[space])
        to->items[space] = from->items[space];
}

/* What was selected, and nothing else; what is not there was never there, but is known. */
static size_t select_some(world *w, const content *from, content *to, char **list)
{
    size_t n = 0;
    *to = w->m->nothing;
    for (int tries = 0; tries < SELECTED * 4 && n < SELECTED; tries++) {
        int i = (int)model_roll(w->m, (unsigned)w->m->n_items);
        const item *it = &from->items[i];
        if (!it->exists || to->items[i].exists)
            continue;
        if (i < SPACES && model_roll(w->m, 3) > 0)
            continue;
        if (i >= SPACES) {
            select_item(to, from, i);
            list[n++] = fx_text(w->fx, "%s.t%d", space_names[it->space], it->title);
            continue;
        }
        select_item(to, from, i);
        list[n++] = fx_text(w->fx, "%s.*", space_names[i]);
        for (int k = SPACES; k < w->m->n_items; k++)
            if (from->items[k].exists && from->items[k].space == i)
                select_item(to, from, k);
    }
    for (int i = 0; i < ITEMS; i++)
        if (to->items[i].state == 0) {
            to->items[i].seen = from->items[i].seen;
            unite_states(&to->items[i].seen, &from->items[i].all);
        }
    return n;
}

static void make_partial(world *w)
{
    const char *name = any_name(w);
    origin from = any_origin(w);
    content chosen;
    char *list[SELECTED];
    if (w->seed % 3 != 0 || w->m->n_branches == BRANCHES || from.commit == 0 || is_taken(w, name))
        return;
    size_t n = select_some(w, model_at(w->m, from.commit), &chosen, list);
    if (n == 0)
        return;
    step_tell(w, fx_text(w->fx, "partial branch %s from %s of %s and %zu more", name, from.text,
                         list[0], n - 1));
    expect(w, real_create_branch(w, name, from.text, true, list, n), PANG_OK);
    branch *b = add_branch(w, name, &from);
    b->partial = b->ingest = true;
    b->depth = 1;
    b->above = b->family;
    b->family = w->m->n_branches - 1;
    step_landed(w, b, &chosen, PANG_OK, PANG_OK);
}

static void rename_branch(world *w)
{
    branch *b = step_branch(w);
    const char *name = any_name(w);
    pang_code expected = b == w->m->branches ? PANG_INVALID_ARGUMENT
                         : is_taken(w, name) ? PANG_ALREADY_EXISTS
                                             : PANG_OK;
    if (strcmp(b->name, name) == 0)
        return;
    step_tell(w, fx_text(w->fx, "branch %s becomes %s", b->name, name));
    expect(w, real_rename_branch(w, b->name, name), expected);
    if (expected == PANG_OK)
        (void)snprintf(b->name, sizeof b->name, "%s", name);
    compare_branch(w, b);
}

static void protect_branch(world *w)
{
    branch *b = step_branch(w);
    bool on = !b->is_protected && model_roll(w->m, 3) == 0;
    if (on == b->is_protected)
        return;
    step_tell(w, fx_text(w->fx, "branch %s is protected: %d", b->name, on));
    expect(w, real_protect_branch(w, b->name, on), PANG_OK);
    b->is_protected = on;
}

static void delete_branch(world *w)
{
    branch *b = step_branch(w);
    pang_code expected = b == w->m->branches ? PANG_INVALID_ARGUMENT
                         : b->is_protected   ? PANG_FAILED_PRECONDITION
                                             : PANG_OK;
    step_tell(w, fx_text(w->fx, "delete branch %s", b->name));
    expect(w, real_delete_branch(w, b->name), expected);
    b->alive = expected != PANG_OK;
    if (!b->alive && !is_taken(w, b->name))
        expect(w, real_look(w, b->name), PANG_NOT_FOUND);
}

/* ---- tags ---- */

static void make_tag(world *w)
{
    const char *name = any_name(w);
    origin from = any_origin(w);
    bool taken = is_taken(w, name);
    if (w->m->n_tags == TAGS || from.commit == 0)
        return;
    step_tell(w, fx_text(w->fx, "tag %s on %s", name, from.text));
    expect(w, real_create_tag(w, name, from.text), taken ? PANG_ALREADY_EXISTS : PANG_OK);
    if (taken)
        return;
    tag *t = &w->m->tags[w->m->n_tags++];
    *t = (tag){.alive = true, .commit = from.commit};
    (void)snprintf(t->name, sizeof t->name, "%s", name);
}

static void delete_tag(world *w)
{
    if (w->m->n_tags == 0)
        return;
    tag *t = &w->m->tags[model_roll(w->m, (unsigned)w->m->n_tags)];
    step_tell(w, fx_text(w->fx, "delete tag %s", t->name));
    if (!t->alive && is_taken(w, t->name))
        return;
    expect(w, real_delete_tag(w, t->name), PANG_OK);
    t->alive = false;
    expect(w, real_look(w, t->name), PANG_NOT_FOUND);
}

/* Nothing but a branch can be written. */
static void write_elsewhere(world *w)
{
    origin from = any_origin(w);
    content c = *model_at(w->m, from.commit);
    change what = {.property = 0, .value = 1, .file = -1};
    while (what.space < SPACES && !c.items[what.space].exists)
        what.space++;
    if (from.moves || what.space == SPACES)
        return;
    step_tell(w, fx_text(w->fx, "a write on %s", from.text));
    expect(w, real_change_space(w, from.text, &what), PANG_INVALID_ARGUMENT);
}

void step_ref(world *w)
{
    unsigned what = model_roll(w->m, 100);
    if (what < 35)
        make_branch(w);
    else if (what < 45)
        make_partial(w);
    else if (what < 55)
        rename_branch(w);
    else if (what < 68)
        protect_branch(w);
    else if (what < 76)
        delete_branch(w);
    else if (what < 88)
        make_tag(w);
    else if (what < 93)
        delete_tag(w);
    else
        write_elsewhere(w);
}
