/*
 * Merging contents: see the header.
 */
#include "tests/versions/merges.h"

#include <string.h>

#include "tests/server/must.h"

enum { BASES = 12 };

/* ---- bases ---- */

typedef struct {
    int list[BASES];
    int n;
} bases;

static const state_set *values_of(const item *it)
{
    return &it->values;
}

static const state_set *names_of(const item *it)
{
    return &it->names;
}

static const state_set *all_of(const item *it)
{
    return &it->all;
}

typedef const state_set *sets_of(const item *it);

/* The newest states that both come from; none: 0, which is nothing at all. */
static bases find_bases(const model *m, const item *source, const item *target, sets_of *of)
{
    bases found = {.n = 0};
    for (int i = m->n_states - 1; i > 0; i--) {
        bool newest = has_state(of(source), i) && has_state(of(target), i);
        for (int k = 0; newest && k < found.n; k++)
            newest = !has_state(of(&m->states[found.list[k]]), i);
        if (newest && found.n < BASES)
            found.list[found.n++] = i;
    }
    if (found.n == 0)
        found.list[found.n++] = 0;
    return found;
}

/* ---- values ---- */

/* Columns that a value has and another has not, in snapshots that it has and the other has not. */
static bool wrote_with(const model *m, const item *source, const item *half, int column)
{
    for (int i = 0; i < m->n_files; i++)
        if (has_file(&source->snapshots, i) && !has_file(&half->snapshots, i) &&
            (m->written[i][column / 64] >> (column % 64)) & 1)
            return true;
    return false;
}

static int column_at(const item *it, int number)
{
    for (int i = 0; i < it->n_columns; i++)
        if (it->columns[i].number == number)
            return i;
    return -1;
}

/* An id that was given out when both were last the same, and came to nothing: no rows have it. */
static bool is_free_again(const item *half, const item *after, int id)
{
    for (int i = 0; i < after->n_columns; i++)
        if (after->columns[i].id == id)
            return false;
    return id <= half->last_column;
}

/* Adds the source's new columns; false: they conflict. */
static bool merge_columns(const model *m, const item *source, const item *half, item *after)
{
    int last = source->last_column > after->last_column ? source->last_column : after->last_column;
    int given = after->last_column;
    for (int i = 0; i < source->n_columns; i++) {
        int number = source->columns[i].number, id = source->columns[i].id;
        if (column_at(half, number) >= 0 || column_at(after, number) >= 0)
            continue;
        if (id <= given && !is_free_again(half, after, id)) {
            if (wrote_with(m, source, half, number))
                return false;
            id = ++last;
            after->renumbered = true;
        }
        MUST(after->n_columns < COLUMNS);
        after->columns[after->n_columns].number = number;
        after->columns[after->n_columns++].id = id;
        after->last_column = after->last_column > id ? after->last_column : id;
    }
    return true;
}

/* A column has one id on one side and another on the other. */
static bool is_renumbered(const item *a, const item *b)
{
    for (int i = 0; i < a->n_columns; i++) {
        int at = column_at(b, a->columns[i].number);
        if (at >= 0 && a->columns[i].id != b->columns[at].id)
            return true;
    }
    return false;
}

static bool merge_properties(const item *source, const item *source_half, const item *target_half,
                             item *after)
{
    for (int i = 0; i < PROPERTIES; i++) {
        int s = source->properties[i], t = after->properties[i];
        if (s == source_half->properties[i] || s == t)
            continue;
        if (t != target_half->properties[i])
            return false;
        after->properties[i] = s;
    }
    return true;
}

static void merge_files(const model *m, const item *source, const item *half, item *after)
{
    for (int i = 0; i < m->n_files; i++)
        if (has_file(&source->files, i) && !has_file(&half->files, i))
            add_file(&after->files, i);
}

/* What was decided for one side and then goes the other way takes back: files and columns that the
 * half has and the source has not. */
static bool takes_back(const model *m, const item *source, const item *half)
{
    for (int i = 0; i < m->n_files; i++)
        if (has_file(&half->files, i) && !has_file(&source->files, i))
            return true;
    for (int i = 0; i < half->n_columns; i++)
        if (column_at(source, half->columns[i].number) < 0)
            return true;
    return false;
}

static void take_back(const model *m, const item *source, const item *half, item *after)
{
    for (int i = 0; i < m->n_files; i++)
        if (has_file(&half->files, i) && !has_file(&source->files, i))
            after->files.bits[i / 64] &= ~(1ULL << (i % 64));
    for (int i = 0; i < half->n_columns; i++) {
        int number = half->columns[i].number, at = column_at(after, number);
        if (column_at(source, number) < 0 && at >= 0)
            after->columns[at] = after->columns[--after->n_columns];
    }
}

static void add_all(file_set *to, const file_set *from, const file_set *but)
{
    for (int i = 0; i < FILES; i++)
        if (has_file(from, i) && !has_file(but, i))
            add_file(to, i);
}

/* The current version of a view is one value; those that the source made come along. */
static bool merge_query(const item *source, const item *source_half, const item *target_half,
                        item *after)
{
    add_all(&after->versions, &source->versions, &source_half->versions);
    /* Decided against by the source, which has come from them. */
    for (int i = 0; i < FILES; i++)
        if (has_file(&source_half->versions, i) && !has_file(&source->versions, i))
            after->versions.bits[i / 64] &= ~(1ULL << (i % 64));
    if (source->query == source_half->query || source->query == after->query)
        return true;
    if (after->query != target_half->query)
        return false;
    after->query = source->query;
    add_file(&after->versions, after->query);
    return true;
}

/* `after` has the target's; false: a conflict. */
static bool merge_value(const model *m, const item *source, const item *source_half,
                        const item *target_half, item *after)
{
    if (!merge_properties(source, source_half, target_half, after) ||
        !merge_query(source, source_half, target_half, after) ||
        !merge_columns(m, source, source_half, after))
        return false;
    merge_files(m, source, source_half, after);
    take_back(m, source, source_half, after);
    return true;
}

/* A column came to both sides, to one of them by a pick: they may not be one. */
static bool came_twice(const item *source, const item *half, const item *target)
{
    for (int i = 0; i < source->n_columns; i++) {
        int number = source->columns[i].number;
        if (column_at(half, number) < 0 && column_at(target, number) >= 0)
            return true;
    }
    return false;
}

static bool has_new_files(const model *m, const item *source, const item *half)
{
    for (int i = 0; i < m->n_files; i++)
        if (has_file(&source->files, i) && !has_file(&half->files, i))
            return true;
    return false;
}

/* ---- outcomes ---- */

static bool same_text(const item *a, const item *b)
{
    return a->exists == b->exists && a->space == b->space && a->title == b->title &&
           same_value(a, b);
}

static void add_outcome(outcomes *to, fate became, const item *after)
{
    for (int i = 0; i < to->n; i++)
        if ((to->list[i].fate == CONFLICT) == (became == CONFLICT) &&
            (became == CONFLICT || same_text(&to->list[i].after, after)))
            return;
    MUST(to->n < OUTCOMES);
    to->list[to->n].fate = became;
    to->list[to->n++].after = *after;
}

/* The name by one base. False: two new ones. */
static bool merge_name(const item *source, const item *base, item *after)
{
    bool same = source->space == after->space && source->title == after->title;
    bool old_source = base->state != 0 && source->space == base->space &&
                      source->title == base->title;
    bool old_target = base->state != 0 && after->space == base->space &&
                      after->title == base->title;
    if (same || old_source)
        return true;
    after->space = source->space;
    after->title = source->title;
    after->name = source->name;
    return old_target;
}

static void copy_value(item *to, const item *from)
{
    memcpy(to->properties, from->properties, sizeof to->properties);
    memcpy(to->columns, from->columns, sizeof to->columns);
    to->n_columns = from->n_columns;
    to->last_column = from->last_column;
    to->files = from->files;
    to->snapshots = from->snapshots;
    to->query = from->query;
    to->versions = from->versions;
    to->value = from->value;
}

/* With the name decided: all that may become of the value. */
static void value_outcomes(model *m, const item *source, const item *target, bases found,
                           const item *named, bool name_fits, outcomes *to)
{
    item after = *named;
    fate good = name_fits ? MERGED : CONFLICT;
    if (within_states(&source->values, &target->values)) {
        add_outcome(to, good, &after);
        return;
    }
    if (within_states(&target->values, &source->values)) {
        copy_value(&after, source);
        add_outcome(to, good, &after);
        return;
    }
    if (same_value(source, target)) {
        add_outcome(to, good, &after);
        /* By a pick, and changed and set back since: documents of which no base is known. */
        if (source->kind >= TABLE && source->kind <= VIEW && found.list[0] == 0)
            add_outcome(to, CONFLICT, &after);
        /* Files that both took away may have been others' to read. Of several bases one is asked: a
         * column that another has came twice, then. */
        for (int i = 0; i < found.n; i++)
            if (takes_back(m, source, &m->states[found.list[i]]) ||
                (found.n > 1 && came_twice(source, &m->states[found.list[i]], target)))
                add_outcome(to, CONFLICT, &after);
        return;
    }
    for (int i = 0; i < found.n; i++) {
        const item *half = &m->states[found.list[i]];
        after = *named;
        add_outcome(to, merge_value(m, source, half, half, &after) ? good : CONFLICT, &after);
        /* It may be the half's document, which the source's follows. */
        if (same_value(target, half)) {
            after = *named;
            copy_value(&after, source);
            add_outcome(to, good, &after);
        }
        /* What the target was after a merge of something with this value is its half. */
        for (int k = 0; k < m->n_joins; k++)
            if (has_state(&m->states[m->joins[k].from].values, found.list[i]) &&
                has_state(&target->values, m->joins[k].into)) {
                const item *other = &m->states[m->joins[k].into];
                after = *named;
                add_outcome(to, merge_value(m, source, half, other, &after) ? good : CONFLICT,
                            &after);
                /* All rows gone, it looks as if it had been replaced. */
                if (takes_back(m, target, other))
                    add_outcome(to, CONFLICT, target);
            }
        if ((is_renumbered(source, target) && has_new_files(m, source, half)) ||
            takes_back(m, source, half) || takes_back(m, target, half) || found.n > 1 ||
            came_twice(source, half, target) ||
            (source->kind >= TABLE && source->kind <= VIEW && found.list[0] == 0)) /* by a pick */
            add_outcome(to, CONFLICT, target);
    }
}

/* Its value is a base's, and its name one's, be it another's. */
static bool is_of_bases(const model *m, const item *it, const bases *found)
{
    bool value = false, name = false;
    for (int i = 0; i < found->n; i++) {
        const item *base = &m->states[found->list[i]];
        value = value || (base->exists && same_value(it, base));
        name = name || (base->exists && it->space == base->space && it->title == base->title);
    }
    return value && name;
}

/* Both had dropped it. */
static bool is_dropped(const model *m, const bases *found)
{
    for (int i = 0; i < found->n; i++)
        if (found->list[i] != 0 && !m->states[found->list[i]].exists)
            return true;
    return false;
}

/* Existence by the item's own bases. False: decided. */
static bool both_stand(model *m, const item *source, const item *target, outcomes *to)
{
    bases found = find_bases(m, source, target, all_of);
    if (source->exists && target->exists) {
        /* What they were before may not be looked for. */
        if (is_dropped(m, &found))
            add_outcome(to, CONFLICT, target);
        return true;
    }
    for (int i = 0; i < found.n; i++) {
        const item *base = &m->states[found.list[i]];
        if (source->exists == target->exists)
            add_outcome(to, KEPT, target);
        else if (base->exists) {
            const item *left = source->exists ? source : target;
            add_outcome(to, CONFLICT, target);
            /* What was given back what it was may be another document, or the same. */
            if (is_of_bases(m, left, &found))
                add_outcome(to, source->exists ? KEPT : TAKEN, source->exists ? target : source);
        } else {
            add_outcome(to, source->exists ? TAKEN : KEPT, source->exists ? source : target);
            /* It may have been kept against that drop, and be dropped since. */
            if (source->exists ? !has_state(&source->all, target->state)
                               : !has_state(&target->all, source->state))
                add_outcome(to, CONFLICT, target);
        }
    }
    return false;
}

/* Properties only, of a table that has all that the half has: that must merge; and what merges of a
 * view. */
static bool is_plain(const model *m, const item *source, const item *half, const item *target)
{
    if (source->kind == VIEW)
        return true;
    return same_columns(source, half) && same_files(&source->files, &half->files) &&
           !takes_back(m, target, half);
}

/* What a commit did, or its contrary, to a target that is not what the commit was made on. */
static void half_outcomes(model *m, const item *source, const item *half, const item *target,
                          outcomes *to)
{
    item after = *target;
    if (source->state == half->state || (!source->exists && (!half->exists || !target->exists))) {
        add_outcome(to, KEPT, target);
        return;
    }
    bool same = same_text(target, half) || (!target->exists && !half->exists);
    if (same)
        add_outcome(to, TAKEN, source);
    if (same_text(source, half) || same_text(source, target))
        add_outcome(to, KEPT, target);
    if (same && target->state == half->state)
        return;
    /* Another document may say the same. */
    add_outcome(to, CONFLICT, target);
    if (!source->exists || !target->exists)
        return;
    if (!half->exists) { /* made on both sides */
        if (merge_value(m, source, &m->states[0], &m->states[0], &after))
            add_outcome(to, MERGED, &after);
        after = *target; /* by what it was before it was dropped */
        if (merge_value(m, source, half, half, &after))
            add_outcome(to, MERGED, &after);
        return;
    }
    bool fits = merge_name(source, half, &after);
    if (merge_value(m, source, half, half, &after) && fits)
        add_outcome(to, MERGED, &after);
    if (to->n > 1 && to->list[0].fate == CONFLICT && is_plain(m, source, half, target)) {
        to->list[0] = to->list[1]; /* nothing is in the way */
        to->n = 1;
    }
}

/* A namespace that was gone when both were last the same is made anew: its values come from
 * nothing.
 */
static void anew_outcomes(model *m, const item *source, const item *target, const item *named,
                          bool name_fits, outcomes *to)
{
    static const bases nothing = {.n = 1};
    bases found = find_bases(m, source, target, all_of);
    bool gone = false;
    for (int i = 0; i < found.n; i++)
        gone = gone || !m->states[found.list[i]].exists;
    if (gone && source->kind == NAMESPACE)
        value_outcomes(m, source, target, nothing, named, name_fits, to);
    /* An older base may have had it. */
    value_outcomes(m, source, target, find_bases(m, source, target, values_of), named, name_fits,
                   to);
}

/* It came back on both sides from what it was before both dropped it, or from what another branch
 * had it as still: any such state may be the base. */
static void older_outcomes(model *m, const item *source, const item *target, outcomes *to)
{
    for (int i = m->n_states - 1; i > 0 && to->n < OUTCOMES / 2; i--) {
        bases one = {{i}, 1};
        item named = *target;
        if (!has_state(&source->all, i) || !has_state(&target->all, i) || !m->states[i].exists)
            continue;
        bool fits = merge_name(source, &m->states[i], &named);
        value_outcomes(m, source, target, one, &named, fits, to);
    }
}

static void item_outcomes(model *m, const item *source, const item *target, outcomes *to)
{
    bases found;
    if (within_states(&target->all, &source->all)) {
        add_outcome(to, TAKEN, source);
        return;
    }
    if (!both_stand(m, source, target, to))
        return;
    found = find_bases(m, source, target, names_of);
    for (int i = 0; i < found.n; i++) {
        item named = *target;
        bool fits = merge_name(source, &m->states[found.list[i]], &named);
        anew_outcomes(m, source, target, &named, fits, to);
    }
    found = find_bases(m, source, target, all_of);
    if (is_dropped(m, &found))
        older_outcomes(m, source, target, to);
}

/* ---- what items want of each other ---- */

/* A namespace that something comes to is brought, if the target never had it. */
static void bring_spaces(merging *g, int space)
{
    for (; space >= 0 && !g->after.items[space].exists; space = space_parents[space]) {
        item *it = &g->after.items[space];
        if (it->state != 0 || !g->source->items[space].exists)
            g->is_entangled = true;
        *it = g->source->items[space];
    }
}

/* What may come of an item, if it does, wants a name that is another's, or a namespace that is
 * gone.
 */
static bool is_in_the_way(const merging *g, int i, const item *it)
{
    const content *c = &g->after;
    for (int space = it->space; space >= 0; space = space_parents[space])
        if (!c->items[space].exists && c->items[space].state != 0)
            return true;
    for (int k = SPACES; k < ITEMS; k++)
        if (k != i && c->items[k].exists && c->items[k].space == it->space &&
            c->items[k].title == it->title)
            return true;
    return false;
}

static void settle_others(merging *g)
{
    for (int i = SPACES; i < ITEMS; i++)
        for (int k = 0; k < g->items[i].n; k++)
            if (g->items[i].n > 1 && g->items[i].list[k].fate != CONFLICT &&
                g->items[i].list[k].after.exists && is_in_the_way(g, i, &g->items[i].list[k].after))
                g->is_entangled = true;
}

static void settle(merging *g)
{
    content *c = &g->after;
    for (int i = 0; i < ITEMS; i++)
        if (c->items[i].exists && c->items[i].space >= 0)
            bring_spaces(g, c->items[i].space);
    for (int i = SPACES; i < ITEMS; i++)
        for (int k = SPACES; k < i; k++)
            if (c->items[i].exists && c->items[k].exists &&
                c->items[i].space == c->items[k].space && c->items[i].title == c->items[k].title)
                g->is_entangled = true;
    settle_others(g);
}

/* ---- all ---- */

/* The source did nothing that did not come before, be it that the target did not hold it then. */
static bool is_known(const item *source, const item *target)
{
    state_set known = target->all;
    unite_states(&known, &target->seen);
    return within_states(&source->all, &known);
}

static bool is_merged(const merging *g, int i)
{
    return g->decided[i] == BY_MERGING || g->decided[i] == BY_VALUES;
}

/* A selection's own namespace: it has nothing to do with the source's. */
static bool is_foreign(const merging *g, int i)
{
    const item *source = &g->source->items[i], *target = &g->target->items[i];
    return g->target_partial && i < SPACES && target->state != 0 &&
           find_bases(g->m, source, target, all_of).list[0] == 0;
}

/* The source has it as it was when that was last merged, or not any more. */
static bool is_as_seen(const merging *g, int i)
{
    const item *source = &g->source->items[i], *target = &g->target->items[i];
    int last = g->m->n_states - 1;
    while (last > 0 && !(has_state(&source->all, last) && has_state(&target->seen, last)))
        last--;
    return !source->exists || (last > 0 && same_text(source, &g->m->states[last]));
}

/* What one commit did with it, where that is done again or taken back. */
static bool decide_half(merging *g, int i, const item *source, const item *target, outcomes *to)
{
    if (g->half == NULL)
        return false;
    if (g->decided[i] == BY_SOURCE)
        add_outcome(to, TAKEN, source);
    else if (g->decided[i] == BY_TARGET)
        add_outcome(to, KEPT, target);
    else
        half_outcomes(g->m, source, &g->half->items[i], target, to);
    return true;
}

/* What somebody chose is as if both sides had done it. */
static const item *with_chosen(const merging *g, int i, const item *of, item *ret)
{
    *ret = *of;
    for (int k = 0; k < PROPERTIES; k++)
        if (g->chosen[i][k] >= 0)
            ret->properties[k] = g->chosen[i][k];
    return ret;
}

/* It merges, however. */
static void leave_conflicts_out(outcomes *o)
{
    int n = 0;
    for (int k = 0; k < o->n; k++)
        if (o->list[k].fate != CONFLICT)
            o->list[n++] = o->list[k];
    o->n = n > 0 ? n : o->n;
}

/* A mode is about what the source changed: not where it is what a base was. */
static void take_outcomes(const model *m, const item *source, const item *target, outcomes *to)
{
    add_outcome(to, TAKEN, source);
    for (int i = 1; i < m->n_states; i++)
        if (has_state(&source->all, i) && has_state(&target->all, i) &&
            same_text(source, &m->states[i]))
            add_outcome(to, KEPT, target);
}

static void decide(merging *g, int i)
{
    item with[2];
    const item *source = &g->source->items[i], *target = &g->target->items[i];
    outcomes *to = &g->items[i];
    if (g->decided[i] == BY_VALUES) {
        source = with_chosen(g, i, source, &with[0]);
        target = with_chosen(g, i, target, &with[1]);
    }
    *to = (outcomes){.n = 0};
    to->held = !g->target_partial || target->state != 0 || g->is_below || g->half != NULL;
    if (decide_half(g, i, source, target, to))
        return;
    if (!to->held || source->state == 0 || is_known(source, target))
        add_outcome(to, KEPT, target);
    else if (g->decided[i] == BY_SOURCE)
        take_outcomes(g->m, source, target, to);
    else if (g->decided[i] == BY_TARGET || g->decided[i] == LEFT_OUT)
        add_outcome(to, KEPT, target);
    else
        item_outcomes(g->m, source, target, to);
    if (is_foreign(g, i) && is_as_seen(g, i) && is_merged(g, i))
        add_outcome(to, KEPT, target);
    /* Which columns are which is said of the branch that was merged, not of those that it had. */
    if (to->held && !same_text(source, target) &&
        (is_renumbered(source, target) || source->renumbered || target->renumbered) &&
        is_merged(g, i))
        add_outcome(to, CONFLICT, target);
}

static void finish(merging *g, int i)
{
    outcomes *o = &g->items[i];
    item *after = &g->after.items[i];
    if (g->merges[i])
        leave_conflicts_out(o);
    *after = o->list[0].after;
    /* Namespaces are known by their names: one that stays keeps its id. */
    if (i < SPACES && after->exists && g->target->items[i].exists)
        after->made = g->target->items[i].made;
    for (int k = 0; k < o->n; k++)
        g->may_conflict[i] = g->may_conflict[i] || o->list[k].fate == CONFLICT;
    g->conflicts[i] = g->may_conflict[i] && o->n == 1;
    g->is_certain = g->is_certain && o->n == 1;
}

void model_merge(merging *g)
{
    g->is_certain = true;
    g->is_entangled = false;
    memset(g->conflicts, 0, sizeof g->conflicts);
    memset(g->may_conflict, 0, sizeof g->may_conflict);
    for (int i = 0; i < ITEMS; i++) {
        decide(g, i);
        finish(g, i);
    }
    settle(g);
}

/* ---- what comes of it ---- */

/* Whether what was made of both is a state of its own: neither side's, or one's that somebody chose
 * though the other had something that it had not. */
static bool is_new(const state_set *source, const state_set *target, decision decided)
{
    if (decided == BY_SOURCE)
        return !within_states(target, source);
    if (decided == BY_TARGET)
        return !within_states(source, target);
    return !within_states(source, target) && !within_states(target, source);
}

/* A document that takes the place of the target's goes on from that, with one version more. */
static void keep_versions(const item *target, item *after)
{
    if (after->kind != VIEW || !after->exists || !target->exists)
        return;
    after->versions = target->versions;
    add_file(&after->versions, after->query);
}

/* What it was before it was dropped is what it was on the target. */
static void keep_before(const item *target, item *after)
{
    bool renumbered = after->renumbered;
    if (after->exists || !target->exists)
        return;
    *after = *target;
    after->exists = false;
    after->renumbered = renumbered;
}

/* The item comes from both from now on: by a state of its own, unless one side's has it all. */
static void join_states(merging *g, int i)
{
    const item *source = &g->source->items[i], *target = &g->target->items[i];
    item *after = &g->after.items[i];
    int what = 0;
    after->renumbered = after->renumbered || source->renumbered || target->renumbered ||
                        (g->decided[i] == BY_TARGET && source->n_columns > 0);
    if (source->state == 0 || is_known(source, target) || g->decided[i] == LEFT_OUT ||
        (!g->items[i].held && after->state == 0))
        return;
    if (within_states(&target->all, &source->all) && g->decided[i] == BY_MERGING)
        return;
    /* Ids that the target gave out are not given out again. */
    if (g->decided[i] == BY_SOURCE && target->last_column > after->last_column)
        after->last_column = target->last_column;
    /* With nothing in common the source's document is taken as it is. */
    if (g->decided[i] == BY_SOURCE &&
        g->m->states[find_bases(g->m, source, target, values_of).list[0]].exists)
        keep_versions(target, after);
    keep_before(target, after);
    if (is_new(&source->values, &target->values, g->decided[i]))
        what |= CHANGES_VALUE;
    if (is_new(&source->names, &target->names, g->decided[i]))
        what |= CHANGES_NAME;
    after->all = target->all;
    after->values = target->values;
    after->names = target->names;
    unite_states(&after->all, &source->all);
    unite_states(&after->values, &source->values);
    unite_states(&after->names, &source->names);
    if (!same_files(&after->files, &target->files) && is_merged(g, i) && (what & CHANGES_VALUE))
        model_snapshot(g->m, after, g->m->n_files++);
    model_change(g->m, after, what);
}

static void join(merging *g, int i)
{
    const item *source = &g->source->items[i];
    item *after = &g->after.items[i];
    state_set seen = g->target->items[i].seen;
    if (g->is_above)
        unite_states(&seen, &source->seen);
    bool stays = is_foreign(g, i) && is_as_seen(g, i) && same_text(after, &g->target->items[i]);
    if (stays || (!g->items[i].held && after->state == 0))
        unite_states(&seen, &source->all);
    if (!stays)
        join_states(g, i);
    after->seen = seen;
}

/* What became of it is a write of the target's own. */
static void own(merging *g, int i)
{
    const item *target = &g->target->items[i];
    item *after = &g->after.items[i];
    int what = 0;
    after->seen = target->seen;
    if (after->state == target->state && same_text(after, target))
        return;
    if (!same_value(after, target) || after->exists != target->exists)
        what |= CHANGES_VALUE;
    if (after->space != target->space || after->title != target->title || !target->exists)
        what |= CHANGES_NAME;
    if (target->exists && target->last_column > after->last_column)
        after->last_column = target->last_column;
    if (g->half->items[i].exists)
        keep_versions(target, after);
    after->all = target->all;
    after->values = target->values;
    after->names = target->names;
    /* The document that was there before is taken, with the snapshots that it has. */
    if (target->value == g->half->items[i].value)
        after->snapshots = g->source->items[i].snapshots;
    else if (!same_files(&after->files, &target->files))
        model_snapshot(g->m, after, g->m->n_files++);
    model_change(g->m, after, what);
}

void model_merge_land(merging *g)
{
    for (int i = 0; i < ITEMS && g->half != NULL; i++)
        own(g, i);
    if (g->half != NULL)
        return;
    for (int i = 0; i < ITEMS; i++) {
        join(g, i);
        if (g->source->items[i].state != 0 && g->after.items[i].exists)
            model_join(g->m, g->source->items[i].value, g->after.items[i].value);
    }
}
