/*
 * Steps on one branch: what writers do. Each makes up what shall become of the branch, does it in
 * the program, and looks. What must be refused is tried, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/versions/care.h"
#include "tests/versions/step_merge.h"
#include "tests/versions/steps.h"
#include "tests/versions/refs.h"

enum { TRIES = 12, TOGETHER = 3, ALL_EVERY = 12 };

void step_tell(world *w, const char *text)
{
    w->step = text;
    /* No two commits at one time, or times would not name the same ones again. */
    atomic_fetch_add(&w->fx->ahead_ms, 2);
    if (getenv("PANG_TRACE") != NULL)
        print_message("  after %lu: %s\n", (unsigned long)w->m->sequence, text);
}

branch *step_branch(world *w)
{
    for (;;) {
        branch *b = &w->m->branches[model_roll(w->m, (unsigned)w->m->n_branches)];
        if (b->alive)
            return b;
    }
}

void step_landed(world *w, branch *b, const content *next, pang_code code, pang_code expected)
{
    commit newest;
    if (expected == PANG_OK && b->is_protected)
        expected = PANG_PERMISSION_DENIED;
    if (code != expected)
        fail_msg("seed %lu: %s: %s (%s) and not %s", (unsigned long)w->seed, w->step,
                 pang_code_name(code), w->fx->err.message, pang_code_name(expected));
    if (code == PANG_OK) {
        assert_int_equal(real_log(w, b->name, &newest, 1), 1);
        if (newest.sequence <= w->m->sequence)
            fail_msg("seed %lu: %s: its number is %lu, after %lu", (unsigned long)w->seed, w->step,
                     (unsigned long)newest.sequence, (unsigned long)w->m->sequence);
        model_commit(w->m, b, next, newest.id, newest.sequence, newest.time_ms);
    }
    compare_branch(w, b);
}

/* ---- choosing ---- */

static int value(world *w)
{
    return model_roll(w->m, 5) == 0 ? 0 : ++w->m->n_values;
}

static int space_of(world *w, const content *c)
{
    for (int i = 0; i < TRIES; i++) {
        int space = (int)model_roll(w->m, SPACES);
        if (c->items[space].exists)
            return space;
    }
    return -1;
}

static item *any_asset(world *w, content *c)
{
    return &c->items[SPACES + (int)model_roll(w->m, (unsigned)(w->m->n_items - SPACES))];
}

static item *asset_of(world *w, content *c, item_kind kind)
{
    for (int i = 0; i < TRIES && w->m->n_items > SPACES; i++) {
        item *it = any_asset(w, c);
        if (it->exists && it->kind == kind)
            return it;
    }
    return NULL;
}

/* A table or view. */
static item *entity_of(world *w, content *c)
{
    for (int i = 0; i < TRIES && w->m->n_items > SPACES; i++) {
        item *it = any_asset(w, c);
        if (it->exists && it->kind != GENERIC)
            return it;
    }
    return NULL;
}

static const char *name_of(world *w, int space, int title)
{
    return fx_text(w->fx, "%s.t%d", space_names[space], title);
}

/* ---- namespaces ---- */

static void make_space(world *w, branch *b)
{
    content next = *model_of(w->m, b);
    int space = (int)model_roll(w->m, SPACES), parent = space_parents[space];
    int property = (int)model_roll(w->m, PROPERTIES);
    item *it = &next.items[space];
    pang_code expected = it->exists                                  ? PANG_ALREADY_EXISTS
                         : parent >= 0 && !next.items[parent].exists ? PANG_NOT_FOUND
                                                                     : PANG_OK;
    if (b->is_protected && expected != PANG_OK)
        return;
    step_tell(w, fx_text(w->fx, "%s: make space %s", b->name, space_names[space]));
    it->exists = true;
    memset(it->properties, 0, sizeof it->properties);
    it->properties[property] = ++w->m->n_values;
    it->made = ++w->m->n_made;
    model_change(w->m, it, CHANGES_ALL);
    step_landed(w, b, &next,
                real_create_space(w, b->name, space, property, it->properties[property]), expected);
}

static void change_space(world *w, branch *b)
{
    content next = *model_of(w->m, b);
    change c = {.space = space_of(w, &next), .file = -1};
    if (c.space < 0)
        return;
    c.property = (int)model_roll(w->m, PROPERTIES);
    c.value = value(w);
    if (next.items[c.space].properties[c.property] == c.value)
        return; /* nothing there to take away */
    step_tell(w, fx_text(w->fx, "%s: space %s p%d=v%d", b->name, space_names[c.space], c.property,
                         c.value));
    next.items[c.space].properties[c.property] = c.value;
    model_change(w->m, &next.items[c.space], CHANGES_VALUE);
    step_landed(w, b, &next, real_change_space(w, b->name, &c), PANG_OK);
}

static void drop_space(world *w, branch *b)
{
    content next = *model_of(w->m, b);
    int space = (int)model_roll(w->m, SPACES);
    pang_code expected = !next.items[space].exists ? PANG_NOT_FOUND
                         : is_used(&next, space)   ? PANG_FAILED_PRECONDITION
                                                   : PANG_OK;
    if (b->is_protected && expected != PANG_OK)
        return;
    step_tell(w, fx_text(w->fx, "%s: drop space %s", b->name, space_names[space]));
    next.items[space].exists = false;
    model_change(w->m, &next.items[space], 0);
    step_landed(w, b, &next, real_drop_space(w, b->name, space), expected);
}

/* ---- assets ---- */

static pang_code make_one(world *w, const branch *b, item_kind kind, const change *c, int made)
{
    if (kind == TABLE)
        return real_create_table(w, b->name, c->space, c->title, made);
    return kind == VIEW ? real_create_view(w, b->name, c, made)
                        : real_create_asset(w, b->name, c, made);
}

static void keep_query(world *w, item *it, int query)
{
    it->query = query;
    add_file(&it->versions, query);
    add_file(&w->m->queries[it->made], query);
}

static void make_asset(world *w, branch *b)
{
    static const item_kind kinds[] = {TABLE, TABLE, TABLE, VIEW, VIEW, GENERIC};
    content next = *model_of(w->m, b);
    change c = {.space = (int)model_roll(w->m, SPACES), .title = (int)model_roll(w->m, TITLES)};
    item_kind kind = kinds[model_roll(w->m, 6)];
    pang_code expected = !next.items[c.space].exists ? PANG_NOT_FOUND : PANG_OK;
    if (expected == PANG_OK && find_item(&next, c.space, c.title) != NULL)
        expected = PANG_ALREADY_EXISTS;
    if ((b->is_protected && expected != PANG_OK) || w->m->n_items == ITEMS)
        return;
    step_tell(w, fx_text(w->fx, "%s: make %s %s", b->name, kind_names[kind],
                         name_of(w, c.space, c.title)));
    int made = 0;
    c.property = 1;
    c.value = ++w->m->n_values;
    c.query = kind == VIEW ? ++w->m->n_queries : 0;
    if (expected == PANG_OK && !b->is_protected) {
        item *it = model_new_item(w->m, &next, kind, c.space, c.title);
        it->properties[1] = kind == GENERIC ? c.value : 0;
        if (kind == VIEW)
            keep_query(w, it, c.query);
        model_change(w->m, it, CHANGES_ALL);
        made = it->made;
    }
    step_landed(w, b, &next, make_one(w, b, kind, &c, made), expected);
}

/* Makes up a change of a table, and does it to the model. */
static change make_change(world *w, item *it)
{
    change c = {.space = it->space, .title = it->title, .property = -1, .file = -1};
    unsigned what = model_roll(w->m, 10);
    if (what < 4) {
        c.file = w->m->n_files++;
        add_file(&it->files, c.file);
        model_snapshot(w->m, it, c.file);
    } else if (what < 6 && it->n_columns < COLUMNS) {
        c.column = ++w->m->n_columns;
        c.id = ++it->last_column;
        it->columns[it->n_columns].number = c.column;
        it->columns[it->n_columns++].id = c.id;
    } else {
        c.property = (int)model_roll(w->m, PROPERTIES);
        c.value = it->properties[c.property] == 0 ? ++w->m->n_values : value(w);
        it->properties[c.property] = c.value;
    }
    model_change(w->m, it, CHANGES_VALUE);
    return c;
}

static const char *change_text(world *w, const change *c)
{
    if (c->file >= 0)
        return fx_text(w->fx, "%s f%d", name_of(w, c->space, c->title), c->file);
    if (c->column != 0)
        return fx_text(w->fx, "%s c%d", name_of(w, c->space, c->title), c->column);
    return fx_text(w->fx, "%s p%d=v%d", name_of(w, c->space, c->title), c->property, c->value);
}

static void change_table(world *w, branch *b)
{
    content next = *model_of(w->m, b);
    item *it = asset_of(w, &next, TABLE);
    if (it == NULL)
        return;
    item before = *it;
    change c = make_change(w, it);
    c.before = &before;
    step_tell(w, fx_text(w->fx, "%s: %s", b->name, change_text(w, &c)));
    step_landed(w, b, &next, real_change_table(w, b->name, &c), PANG_OK);
}

/* Several in one commit; sometimes one of them is not there, and nothing may happen. */
static void change_tables(world *w, branch *b)
{
    content next = *model_of(w->m, b);
    item *chosen[TOGETHER], before[TOGETHER];
    change list[TOGETHER + 1];
    size_t n = 0;
    for (int i = 0; i < TOGETHER; i++) {
        item *it = asset_of(w, &next, TABLE);
        bool known = it == NULL;
        for (size_t k = 0; k < n; k++)
            known = known || chosen[k] == it;
        if (!known)
            chosen[n++] = it;
    }
    if (n == 0)
        return;
    pang_buf text = {.arena = w->fx->arena};
    for (size_t i = 0; i < n; i++) {
        before[i] = *chosen[i];
        list[i] = make_change(w, chosen[i]);
        list[i].before = &before[i];
        pang_buf_printf(&text, " %s,", change_text(w, &list[i]));
    }
    bool breaks = !b->is_protected && model_roll(w->m, 4) == 0;
    if (breaks)
        list[n++] = (change){.space = 0, .title = TITLES, .value = 1, .file = -1};
    step_tell(w, fx_text(w->fx, "%s: together%.*s%s", b->name, (int)text.len,
                         pang_buf_str(&text).ptr, breaks ? " and one that is not there" : ""));
    step_landed(w, b, &next, real_change_tables(w, b->name, list, n),
                breaks ? PANG_NOT_FOUND : PANG_OK);
}

/* A version that the view has, and that is not its current one; 0: there is none. */
static int other_query(world *w, const item *it)
{
    int list[FILES], n = 0;
    for (int i = 1; i <= w->m->n_queries; i++)
        if (i != it->query && has_file(&it->versions, i))
            list[n++] = i;
    return n == 0 ? 0 : list[model_roll(w->m, (unsigned)n)];
}

/* A new version, one of before, or a property. */
static void change_one(world *w, branch *b, ptrdiff_t at)
{
    content next = *model_of(w->m, b);
    item *it = &next.items[at];
    change c = {.space = it->space, .title = it->title, .property = -1, .file = -1};
    unsigned what = model_roll(w->m, 10);
    int old = other_query(w, it);
    if (what < 5 || (what < 7 && old != 0)) {
        c.again = what >= 5;
        c.query = c.again ? old : ++w->m->n_queries;
        keep_query(w, it, c.query);
    } else {
        c.property = (int)model_roll(w->m, PROPERTIES);
        c.value = it->properties[c.property] == 0 ? ++w->m->n_values : value(w);
        it->properties[c.property] = c.value;
    }
    model_change(w->m, it, CHANGES_VALUE);
    const char *name = name_of(w, c.space, c.title);
    step_tell(w,
              c.query != 0
                  ? fx_text(w->fx, "%s: %s q%d%s", b->name, name, c.query, c.again ? " again" : "")
                  : fx_text(w->fx, "%s: %s p%d=v%d", b->name, name, c.property, c.value));
    step_landed(w, b, &next, real_change_view(w, b->name, &c), PANG_OK);
}

/* Often several times: versions that are not current come along in merges, too. */
static void change_view(world *w, branch *b)
{
    content now = *model_of(w->m, b);
    const item *it = asset_of(w, &now, VIEW);
    if (it == NULL)
        return;
    do
        change_one(w, b, it - now.items);
    while (model_roll(w->m, 2) == 0 && !model_is_full(w->m));
}

static void rename_entity(world *w, branch *b)
{
    content next = *model_of(w->m, b);
    item *it = entity_of(w, &next);
    int space = (int)model_roll(w->m, SPACES), title = (int)model_roll(w->m, TITLES);
    if (it == NULL || (it->space == space && it->title == title))
        return;
    item before = *it;
    pang_code expected = !next.items[space].exists                ? PANG_NOT_FOUND
                         : find_item(&next, space, title) != NULL ? PANG_ALREADY_EXISTS
                                                                  : PANG_OK;
    if (b->is_protected && expected != PANG_OK)
        return;
    step_tell(w, fx_text(w->fx, "%s: rename %s to %s", b->name, name_of(w, it->space, it->title),
                         name_of(w, space, title)));
    it->space = space;
    it->title = title;
    model_change(w->m, it, CHANGES_NAME);
    step_landed(w, b, &next, real_rename(w, b->name, &before, space, title), expected);
}

static void drop_entity(world *w, branch *b)
{
    content next = *model_of(w->m, b);
    item *it = entity_of(w, &next);
    if (it == NULL)
        return;
    step_tell(w, fx_text(w->fx, "%s: drop %s", b->name, name_of(w, it->space, it->title)));
    it->exists = false;
    model_change(w->m, it, 0);
    step_landed(w, b, &next, real_drop(w, b->name, it), PANG_OK);
}

/* ---- any ---- */

static void step_write(world *w, branch *b)
{
    unsigned what = model_roll(w->m, 100);
    w->by_name = model_roll(w->m, 3) == 0;
    if (what < 8)
        make_space(w, b);
    else if (what < 14)
        change_space(w, b);
    else if (what < 17)
        drop_space(w, b);
    else if (what < 32)
        make_asset(w, b);
    else if (what < 60)
        change_table(w, b);
    else if (what < 72)
        change_view(w, b);
    else if (what < 80)
        change_tables(w, b);
    else if (what < 92)
        rename_entity(w, b);
    else
        drop_entity(w, b);
}

/* A new catalog has a namespace. */
static void find_first(world *w, branch *b)
{
    content next = w->m->nothing;
    next.items[0].exists = true;
    next.items[0].made = ++w->m->n_made;
    model_change(w->m, &next.items[0], CHANGES_ALL);
    step_tell(w, "the catalog was made");
    step_landed(w, b, &next, PANG_OK, PANG_OK);
}

void step_first(world *w)
{
    branch *b = &w->m->branches[0];
    find_first(w, b);
    for (int i = 0; i < 6; i++)
        make_space(w, b);
    for (int i = 0; i < 8; i++)
        make_asset(w, b);
}

void step_any(world *w)
{
    unsigned what = model_roll(w->m, 100);
    if (what < 2)
        step_care(w);
    else if (what < 60)
        step_write(w, step_branch(w));
    else if (what < 80)
        step_ref(w);
    else if (what < 94)
        step_merge(w);
    else
        step_again(w);
    if (model_roll(w->m, ALL_EVERY) == 0)
        compare_all(w);
    pang_arena_reset(w->fx->arena);
}
