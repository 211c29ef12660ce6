/*
 * What a ref shows against what the model has: names and loads, logs, differences.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/versions/steps.h"

enum { LINES = ITEMS * 2, POINTS = 6, PAIRS = 4 };

void compare_text(world *w, const char *what, const char *is, const char *shall)
{
    if (strcmp(is, shall) != 0)
        fail_msg("seed %lu, after %s, %s is\n%s\nand not\n%s", (unsigned long)w->seed, w->step,
                 what, is, shall);
}

static const char *name_of(world *w, const item *it)
{
    if (it->kind == NAMESPACE)
        return space_names[it->title];
    return fx_text(w->fx, "%s.t%d", space_names[it->space], it->title);
}

/* What was shown just now of a view: it has the versions that it must have, and others only that
 * somebody made for it. */
static void compare_versions(world *w, const char *ref, const item *it)
{
    const file_set *has = &w->versions[it->made], *made = &w->m->queries[it->made];
    for (int i = 0; i < FILES; i++)
        if (has_file(has, i) ? !has_file(made, i) : has_file(&it->versions, i))
            fail_msg("seed %lu, after %s: %s on %s %s the version of query %d",
                     (unsigned long)w->seed, w->step, name_of(w, it), ref,
                     has_file(has, i) ? "should not have" : "lost", i);
}

static void compare_content(world *w, const char *ref, const content *c)
{
    char *text = model_text(c);
    compare_text(w, fx_text(w->fx, "%s", ref), real_text(w, ref), text);
    free(text);
    for (int i = SPACES; i < ITEMS; i++)
        if (c->items[i].exists && c->items[i].kind == VIEW)
            compare_versions(w, ref, &c->items[i]);
}

void compare_as(world *w, const char *ref, int at)
{
    compare_content(w, ref, model_at(w->m, at));
}

void compare_branch(world *w, const branch *b)
{
    compare_content(w, b->name, model_of(w->m, b));
}

/* ---- logs ---- */

static void compare_log(world *w, const char *ref, int head)
{
    commit *log = pang_arena_alloc_n(w->fx->arena, LOG_ROOM, sizeof *log);
    size_t n = real_log(w, ref, log, LOG_ROOM), i = 0;
    bool last = false; /* the log ends with the first that is below the floor */
    for (int at = head; at != 0 && !last; at = w->m->commits[at].parent, i++) {
        const commit *c = &w->m->commits[at];
        last = c->sequence <= w->floor;
        if (i == n || strcmp(log[i].id, c->id) != 0 || log[i].sequence != c->sequence ||
            log[i].time_ms != c->time_ms)
            fail_msg("seed %lu, after %s: commit %zu of the log of %s is %lu %s and not %lu %s",
                     (unsigned long)w->seed, w->step, i, ref,
                     (unsigned long)(i == n ? 0 : log[i].sequence), i == n ? "-" : log[i].id,
                     (unsigned long)c->sequence, c->id);
    }
    if (i != n)
        fail_msg("seed %lu, after %s: the log of %s goes on with %s", (unsigned long)w->seed,
                 w->step, ref, log[i].id);
}

/* ---- differences ---- */

typedef struct {
    char *list[LINES];
    size_t n;
} lines;

static void add_line(world *w, lines *l, const char *what, const item *it)
{
    l->list[l->n++] = fx_text(w->fx, "%s %s %s", what, kind_names[it->kind], name_of(w, it));
}

/* What must be told of one item, and what may be: a state that came back is another one. */
static void add_item(world *w, const item *from, const item *to, lines *must, lines *may)
{
    bool one = from->exists && to->exists && from->made == to->made;
    if (from->exists && !one)
        add_line(w, must, "removed", from);
    if (to->exists && !one)
        add_line(w, must, "added", to);
    if (!one || from->state == to->state)
        return;
    if (from->space != to->space || from->title != to->title)
        add_line(w, must,
                 fx_text(w->fx, "renamed %s %s >", kind_names[from->kind], name_of(w, from)), to);
    else
        add_line(w, same_value(from, to) ? may : must, "changed", to);
}

static bool take_line(lines *l, const char *line)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->list[i], line) == 0) {
            l->list[i] = l->list[--l->n];
            return true;
        }
    return false;
}

/* "renamed table a.t1 > table a.t2" says the kind once. */
static void shorten(lines *l)
{
    for (size_t i = 0; i < l->n; i++) {
        char *at = strstr(l->list[i], " > ");
        if (at != NULL)
            memmove(at + 3, strchr(at + 3, ' ') + 1, strlen(strchr(at + 3, ' ')));
    }
}

/* Whether they have a commit in common that may still be named. */
static bool meet_above_floor(const world *w, int a, int b)
{
    while (a != b && a != 0 && b != 0)
        if (a > b)
            a = w->m->commits[a].parent;
        else
            b = w->m->commits[b].parent;
    return a == b && w->m->commits[a].sequence > w->floor;
}

static void compare_diff(world *w, const char *from, int at_from, const char *to, int at_to)
{
    lines must = {.n = 0}, may = {.n = 0};
    const content *a = model_at(w->m, at_from), *b = model_at(w->m, at_to);
    char *text = fx_text(w->fx, "%s", "");
    for (int i = 0; i < ITEMS; i++)
        add_item(w, &a->items[i], &b->items[i], &must, &may);
    shorten(&must);
    const char *told = real_diff(w, from, to);
    if (told == NULL && meet_above_floor(w, at_from, at_to))
        fail_msg("seed %lu, after %s: the difference from %s to %s is refused",
                 (unsigned long)w->seed, w->step, from, to);
    if (told == NULL)
        return;
    pang_str rest = pang_str_from(told), one;
    while (pang_str_next(&rest, '\n', &one)) {
        text = pang_arena_cstr(w->fx->arena, one);
        if (text[0] != '\0' && !take_line(&must, text) && !take_line(&may, text))
            fail_msg("seed %lu, after %s: the difference from %s to %s has \"%s\"",
                     (unsigned long)w->seed, w->step, from, to, text);
    }
    if (must.n > 0)
        fail_msg("seed %lu, after %s: the difference from %s to %s lacks \"%s\"; it is\n%s",
                 (unsigned long)w->seed, w->step, from, to, must.list[0], told);
}

/* ---- all ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *joined(world *w, char **list, size_t n)
{
    pang_buf out = {.arena = w->fx->arena};
    qsort(list, n, sizeof list[0], by_text);
    for (size_t i = 0; i < n; i++)
        pang_buf_printf(&out, "%s\n", list[i]);
    pang_buf_add_char(&out, '\0');
    return pang_buf_str(&out).ptr;
}

static const char *id_of(const world *w, int at)
{
    return at == 0 ? "" : w->m->commits[at].id;
}

static void compare_names(world *w)
{
    char *list[BRANCHES];
    size_t n = 0;
    for (int i = 0; i < w->m->n_branches; i++)
        if (w->m->branches[i].alive)
            list[n++] = fx_text(w->fx, "%s %s", w->m->branches[i].name,
                                id_of(w, w->m->branches[i].head));
    compare_text(w, "the list of branches", real_refs(w, false), joined(w, list, n));
    n = 0;
    for (int i = 0; i < w->m->n_tags; i++)
        if (w->m->tags[i].alive)
            list[n++] = fx_text(w->fx, "%s %s", w->m->tags[i].name, id_of(w, w->m->tags[i].commit));
    compare_text(w, "the list of tags", real_refs(w, true), joined(w, list, n));
}

/* The newest of main at that time. */
static int at_time(const world *w, int64_t time_ms)
{
    int at = w->m->branches[0].head;
    while (at != 0 && w->m->commits[at].time_ms > time_ms)
        at = w->m->commits[at].parent;
    return at;
}

static void compare_points(world *w)
{
    for (int i = 0; i < POINTS && w->m->n_commits > 1; i++) {
        int at = 1 + (int)model_roll(w->m, (unsigned)w->m->n_commits - 1);
        if (w->m->commits[at].sequence > w->floor) {
            compare_content(w, w->m->commits[at].id, model_at(w->m, at));
            if (i % 2 == 0)
                compare_log(w, w->m->commits[at].id, at);
        }
        int64_t time_ms = w->m->commits[at].time_ms;
        if (w->m->commits[at].sequence <= w->floor || time_ms < w->floor_ms)
            continue;
        if (at_time(w, time_ms) != 0)
            compare_content(w, fx_text(w->fx, "%lld", (long long)time_ms),
                            model_at(w->m, at_time(w, time_ms)));
    }
}

static int any_ref(world *w, const char **ret)
{
    int n_branches = w->m->n_branches;
    for (;;) {
        int i = (int)model_roll(w->m, (unsigned)(n_branches + w->m->n_tags));
        if (i < n_branches && w->m->branches[i].alive) {
            *ret = w->m->branches[i].name;
            return w->m->branches[i].head;
        }
        if (i >= n_branches && w->m->tags[i - n_branches].alive) {
            *ret = w->m->tags[i - n_branches].name;
            return w->m->tags[i - n_branches].commit;
        }
    }
}

static void compare_diffs(world *w)
{
    for (int i = 0; i < PAIRS; i++) {
        const char *from, *to;
        int a = any_ref(w, &from), b = any_ref(w, &to);
        int point = w->m->n_commits < 2 ? 0
                                        : 1 + (int)model_roll(w->m, (unsigned)w->m->n_commits - 1);
        if (i % 2 == 1 && b != 0 && w->m->commits[point].sequence > w->floor)
            to = w->m->commits[b = point].id;
        if (!w->m->commits[a].partial && !w->m->commits[b].partial)
            compare_diff(w, from, a, to, b);
    }
}

void compare_all(world *w)
{
    compare_names(w);
    for (int i = 0; i < w->m->n_branches; i++)
        if (w->m->branches[i].alive) {
            compare_branch(w, &w->m->branches[i]);
            compare_log(w, w->m->branches[i].name, w->m->branches[i].head);
        }
    for (int i = 0; i < w->m->n_tags; i++)
        if (w->m->tags[i].alive) {
            compare_content(w, w->m->tags[i].name, model_at(w->m, w->m->tags[i].commit));
            compare_content(w, id_of(w, w->m->tags[i].commit),
                            model_at(w->m, w->m->tags[i].commit));
            compare_log(w, w->m->tags[i].name, w->m->tags[i].commit);
        }
    compare_points(w);
    compare_diffs(w);
}
