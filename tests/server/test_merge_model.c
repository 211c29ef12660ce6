/*
 * server/merge_*.c against a model that copies everything: branches, old points of them, and for
 * each asset the set of all writes that its state comes from. A state that has all writes of
 * another is newer than it; of two that have writes of their own, one is a conflict. So the model
 * knows no bases and no marks, and whatever they say must come out as it says. Tables only, in one
 * namespace; a merge with a conflict changes nothing. Random steps, from a seed that is printed.
 */
#include "tests/server/merge_words.h"

#include "server/branches.h"
#include "server/retain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BRANCHES = 7,
    ASSETS = 48,
    EVENTS = 512,
    POINTS = 160,
    POOL = 5, /* names that are made again and again */
    STEPS = 90,
    RUNS = 60,
};

/* ---- the model ---- */

typedef struct {
    uint64_t bits[EVENTS / 64];
} events;

typedef struct {
    events all, doc, name; /* writes of it, of its document, of its name */
    bool exists;
    unsigned document, title; /* numbers that make them up */
    bool from_pool;
} asset;

typedef struct {
    asset assets[ASSETS];
} content;

typedef struct {
    int branch;
    uint64_t number;
    content content;
} point;

typedef struct {
    fixture *fx;
    uint64_t chance;
    content branches[BRANCHES];
    int n_branches;
    point points[POINTS];
    int n_points;
    unsigned n_events, n_documents, n_titles;
    int n_assets;
    size_t merged, refused, forked;
    bool gone[BRANCHES];
    size_t removed; /* records, by retention */
} world;

/* With PANG_TRACE set each step is told. */
static void tell(world *w, const char *what)
{
    if (getenv("PANG_TRACE") != NULL)
        print_message("  %s\n", what);
    (void)w;
}

static unsigned roll(world *w, unsigned n)
{
    w->chance = w->chance * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(w->chance >> 33) % n;
}

static void add(events *e, unsigned event)
{
    e->bits[event / 64] |= 1ULL << (event % 64);
}

static bool within(const events *a, const events *b)
{
    for (int i = 0; i < EVENTS / 64; i++)
        if ((a->bits[i] & ~b->bits[i]) != 0)
            return false;
    return true;
}

static void unite(events *a, const events *b)
{
    for (int i = 0; i < EVENTS / 64; i++)
        a->bits[i] |= b->bits[i];
}

static bool same_title(const asset *a, const asset *b)
{
    return a->title == b->title && a->from_pool == b->from_pool;
}

/* What the target's asset becomes; false: a conflict. */
static bool merge_asset(const asset *source, asset *target)
{
    if (within(&source->all, &target->all))
        return true;
    if (within(&target->all, &source->all)) {
        *target = *source;
        return true;
    }
    if (source->exists != target->exists)
        return false;
    if (source->exists) {
        if (!within(&source->doc, &target->doc)) {
            if (!within(&target->doc, &source->doc))
                return false;
            target->document = source->document;
        }
        if (!within(&source->name, &target->name) && !same_title(source, target)) {
            if (!within(&target->name, &source->name))
                return false;
            target->title = source->title;
            target->from_pool = source->from_pool;
        }
    }
    unite(&target->all, &source->all);
    unite(&target->doc, &source->doc);
    unite(&target->name, &source->name);
    return true;
}

static bool names_are_one_each(const world *w, const content *c)
{
    for (int i = 0; i < w->n_assets; i++)
        for (int k = 0; k < i; k++)
            if (c->assets[i].exists && c->assets[k].exists &&
                same_title(&c->assets[i], &c->assets[k]))
                return false;
    return true;
}

static bool merge_content(const world *w, const content *source, content *target,
                          const bool *left_out)
{
    content next = *target;
    for (int i = 0; i < w->n_assets; i++)
        if (!left_out[i] && !merge_asset(&source->assets[i], &next.assets[i]))
            return false;
    if (!names_are_one_each(w, &next))
        return false;
    *target = next;
    return true;
}

/* ---- both worlds ---- */

static const char *prefix(world *w, int branch)
{
    return branch == 0 ? "demo" : fx_text(w->fx, "demo@b%d", branch);
}

static const char *title(world *w, const asset *a)
{
    return fx_text(w->fx, "ns.%s%u", a->from_pool ? "p" : "n", a->title);
}

static uint64_t number(world *w)
{
    uint64_t n;
    pang_view view = rfx_view(w->fx, "demo");
    assert_int_equal(pang_view_sequence(&view, &n, &w->fx->err), PANG_OK);
    return n;
}

static void keep_point(world *w, int branch)
{
    int at = w->n_points < POINTS ? w->n_points++ : (int)roll(w, POINTS);
    w->points[at] = (point){branch, number(w), w->branches[branch]};
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void compare(world *w, int branch, const char *step)
{
    const char *lines[ASSETS + 1];
    size_t n = 0;
    pang_buf out = {.arena = w->fx->arena};
    lines[n++] = "ns";
    for (int i = 0; i < w->n_assets; i++) {
        const asset *a = &w->branches[branch].assets[i];
        if (a->exists)
            lines[n++] = fx_text(w->fx, "%s=d%u", title(w, a), a->document);
    }
    qsort(lines, n, sizeof lines[0], by_text);
    for (size_t i = 0; i < n; i++)
        pang_buf_printf(&out, "%s%s", i == 0 ? "" : " ", lines[i]);
    pang_buf_add_char(&out, '\0');
    const char *is = mfx_show(w->fx, prefix(w, branch));
    if (strcmp(is, pang_buf_str(&out).ptr) != 0)
        fail_msg("after %s, branch %d is\n%s\nand not\n%s", step, branch, is,
                 pang_buf_str(&out).ptr);
}

/* One that is there on the branch, or NULL. */
static asset *any_asset(world *w, int branch)
{
    for (int tries = 0; tries < 8 && w->n_assets > 0; tries++) {
        asset *a = &w->branches[branch].assets[roll(w, (unsigned)w->n_assets)];
        if (a->exists)
            return a;
    }
    return NULL;
}

static int any_branch(world *w)
{
    for (;;) {
        int branch = (int)roll(w, (unsigned)w->n_branches);
        if (!w->gone[branch])
            return branch;
    }
}

static void write(world *w, int branch, const char *words)
{
    tell(w, fx_text(w->fx, "%s: %s", prefix(w, branch), words));
    mfx_do(w->fx, prefix(w, branch), words);
}

static void make(world *w, int branch)
{
    asset made = {.exists = true, .from_pool = true};
    made.title = roll(w, POOL);
    if (w->n_assets == ASSETS)
        return;
    for (int i = 0; i < w->n_assets; i++)
        if (w->branches[branch].assets[i].exists &&
            same_title(&w->branches[branch].assets[i], &made))
            return;
    made.document = w->n_documents++;
    add(&made.all, w->n_events);
    add(&made.doc, w->n_events);
    add(&made.name, w->n_events++);
    w->branches[branch].assets[w->n_assets++] = made;
    write(w, branch, fx_text(w->fx, "put:%s=d%u", title(w, &made), made.document));
}

static void change(world *w, int branch)
{
    asset *a = any_asset(w, branch);
    if (a == NULL)
        return;
    a->document = w->n_documents++;
    add(&a->all, w->n_events);
    add(&a->doc, w->n_events++);
    write(w, branch, fx_text(w->fx, "put:%s=d%u", title(w, a), a->document));
}

static void give_name(world *w, int branch)
{
    asset *a = any_asset(w, branch);
    if (a == NULL)
        return;
    const char *old = title(w, a);
    a->title = w->n_titles++;
    a->from_pool = false;
    add(&a->all, w->n_events);
    add(&a->name, w->n_events++);
    write(w, branch, fx_text(w->fx, "mv:%s>%s", old, title(w, a)));
}

static void drop(world *w, int branch)
{
    asset *a = any_asset(w, branch);
    if (a == NULL)
        return;
    a->exists = false;
    add(&a->all, w->n_events++);
    write(w, branch, fx_text(w->fx, "drop:%s", title(w, a)));
}

/* Of a branch as of now, or of an old point of one. */
static void fork_branch(world *w)
{
    if (w->n_branches == BRANCHES)
        return;
    int next = w->n_branches;
    const point *from = &w->points[roll(w, (unsigned)w->n_points)];
    if (roll(w, 3) > 0 || w->gone[from->branch]) {
        int branch = any_branch(w);
        w->branches[next] = w->branches[branch];
        tell(w, fx_text(w->fx, "b%d from %s", next, prefix(w, branch)));
        rfx_branch(w->fx, fx_text(w->fx, "b%d", next), prefix(w, branch), 0);
    } else {
        w->branches[next] = from->content;
        tell(w, fx_text(w->fx, "b%d from %s at %lu", next, prefix(w, from->branch),
                        (unsigned long)from->number));
        rfx_branch(w->fx, fx_text(w->fx, "b%d", next), prefix(w, from->branch), from->number);
    }
    w->n_branches++;
    w->forked++;
    keep_point(w, next);
}

/* Some are left out, by the names that the source has. */
static const char *choose_left_out(world *w, const content *source, bool *left_out)
{
    pang_buf out = {.arena = w->fx->arena};
    memset(left_out, 0, ASSETS * sizeof *left_out);
    for (int i = 0; i < w->n_assets && roll(w, 3) == 0; i++) {
        int at = (int)roll(w, (unsigned)w->n_assets);
        if (!source->assets[at].exists || left_out[at])
            continue;
        left_out[at] = true;
        pang_buf_printf(&out, "%s%s=drop", out.len == 0 ? "" : " ", title(w, &source->assets[at]));
    }
    pang_buf_add_char(&out, '\0');
    return out.len == 1 ? NULL : pang_buf_str(&out).ptr;
}

/* A key names whatever has the name on a side: an asset that the source does not call so would be
 * left out, too. */
static bool is_clear(const world *w, const content *source, const content *target,
                     const bool *left_out)
{
    for (int i = 0; i < w->n_assets; i++)
        for (int k = 0; left_out[i] && k < w->n_assets; k++)
            if (k != i && (same_title(&target->assets[k], &source->assets[i]) ||
                           same_title(&source->assets[k], &source->assets[i])))
                return false;
    return true;
}

static void merge(world *w, bool leaves_out)
{
    bool left_out[ASSETS] = {0};
    int target = any_branch(w);
    int source = any_branch(w);
    const content *from = &w->branches[source];
    mfx_merge m = {.target = prefix(w, target)};
    if (roll(w, 4) == 0) {
        const point *at = &w->points[roll(w, (unsigned)w->n_points)];
        if (w->gone[at->branch])
            return;
        source = at->branch;
        m.at = at->number;
        from = &at->content;
    }
    if (source == target)
        return;
    m.source = prefix(w, source);
    if (leaves_out && roll(w, 3) == 0) {
        m.modes = choose_left_out(w, from, left_out);
        if (!is_clear(w, from, &w->branches[target], left_out))
            return;
    }
    content before = w->branches[target];
    bool expected = merge_content(w, from, &w->branches[target], left_out);
    bool done = mfx_run(w->fx, &m);
    tell(w, fx_text(w->fx, "%s (at %lu) into %s, %s: %s", m.source, (unsigned long)m.at, m.target,
                    m.modes == NULL ? "" : m.modes, done ? "done" : m.conflicts));
    if (m.code != PANG_OK)
        fail_msg("merge %d into %d: %d %s", source, target, m.code, w->fx->err.message);
    if (done != expected)
        fail_msg("merge %d (at %lu) into %d (%s): %s, and not %s", source, (unsigned long)m.at,
                 target, m.modes == NULL ? "" : m.modes, done ? "done" : m.conflicts,
                 expected ? "done" : "a conflict");
    if (!expected)
        w->branches[target] = before;
    w->merged += expected;
    w->refused += !expected;
    compare(w, target, fx_text(w->fx, "merge of %d at %lu", source, (unsigned long)m.at));
}

static void step(world *w, bool leaves_out)
{
    int branch = any_branch(w);
    unsigned what = roll(w, 100);
    if (what < 12)
        make(w, branch);
    else if (what < 40)
        change(w, branch);
    else if (what < 48)
        give_name(w, branch);
    else if (what < 54)
        drop(w, branch);
    else if (what < 62)
        fork_branch(w);
    else
        merge(w, leaves_out);
    if (what < 54) {
        compare(w, branch, "a write");
        keep_point(w, branch);
    }
}

/* ---- time ---- */

static void forget_points(world *w, uint64_t floor)
{
    int n = 0;
    for (int i = 0; i < w->n_points; i++)
        if (w->points[i].number > floor)
            w->points[n++] = w->points[i];
    w->n_points = n;
}

/* All that nothing needs any more is removed. What merges need stays, however old it is. */
static void pass_time(world *w)
{
    pang_retain_outcome out;
    pang_retain_plan plan = {.scope = FX_SCOPE, .catalog = rfx_view(w->fx, "demo").catalog};
    atomic_fetch_add(&w->fx->ahead_ms, INT64_C(45) * 24 * 60 * 60 * 1000);
    if (pang_retain_run(w->fx->state, &plan, NULL, NULL, &out, &w->fx->err) != PANG_OK)
        fail_msg("retention: %s", w->fx->err.message);
    tell(w, fx_text(w->fx, "45 days, floor %lu", (unsigned long)out.floor));
    for (int i = 0; i < PANG_RETAIN_KINDS; i++)
        w->removed += out.removed[i];
    forget_points(w, out.floor);
    for (int i = 0; i < w->n_branches; i++)
        if (!w->gone[i])
            compare(w, i, "45 days");
    if (w->n_points == 0)
        change(w, 0);
    if (w->n_points == 0)
        keep_point(w, 0);
}

static void end_branch(world *w)
{
    int branch = any_branch(w);
    pang_rec_ref *ref;
    pang_view view = rfx_view(w->fx, "demo");
    if (branch == 0)
        return;
    pang_str name = pang_str_from(prefix(w, branch) + strlen("demo@"));
    tell(w, fx_text(w->fx, "b%d ends", branch));
    if (pang_ref_find(&view, name, &ref, &w->fx->err) != PANG_OK || ref == NULL ||
        pang_ref_end(&view, &w->fx->env, name, ref, &w->fx->err) != PANG_OK ||
        pang_txn_commit(view.txn, &w->fx->err) != PANG_OK)
        fail_msg("b%d does not end: %s", branch, w->fx->err.message);
    w->gone[branch] = true;
}

static void run_aging(uint64_t seed, size_t *removed)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->fx = fx_open("memory:");
    w->chance = seed * 2654435761u + 12345;
    w->n_branches = 1;
    print_message("seed %lu\n", (unsigned long)seed);
    mfx_do(w->fx, "demo", "mk:ns");
    keep_point(w, 0);
    for (int i = 0; i < STEPS && w->n_events < EVENTS - 1; i++) {
        if (roll(w, 12) == 0)
            pass_time(w);
        if (roll(w, 30) == 0)
            end_branch(w);
        step(w, seed % 2 == 0);
    }
    *removed += w->removed;
    fx_close(w->fx);
    free(w);
}

static void run(uint64_t seed, bool leaves_out, size_t *merged, size_t *refused)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->fx = fx_open("memory:");
    w->chance = seed * 2654435761u + 12345;
    w->n_branches = 1;
    print_message("seed %lu\n", (unsigned long)seed);
    mfx_do(w->fx, "demo", "mk:ns");
    keep_point(w, 0);
    for (int i = 0; i < STEPS && w->n_events < EVENTS - 1; i++)
        step(w, leaves_out);
    for (int i = 0; i < w->n_branches; i++)
        compare(w, i, "all");
    *merged += w->merged;
    *refused += w->refused;
    fx_close(w->fx);
    free(w);
}

static uint64_t first_seed(void)
{
    const char *text = getenv("PANG_SEED");
    return text == NULL ? 1 : strtoull(text, NULL, 10);
}

static void test_merge_model__branches_and_merges(void **state)
{
    size_t merged = 0, refused = 0;
    (void)state;
    for (uint64_t i = 0; i < RUNS; i++)
        run(first_seed() + i, false, &merged, &refused);
    print_message("%zu merged, %zu refused\n", merged, refused);
    assert_true(merged > RUNS && refused > RUNS);
}

static void test_merge_model__some_are_left_out(void **state)
{
    size_t merged = 0, refused = 0;
    (void)state;
    for (uint64_t i = 0; i < RUNS; i++)
        run(first_seed() + 1000000 + i, true, &merged, &refused);
    assert_true(merged > RUNS && refused > RUNS);
}

/* As the first two, while what is old and not needed goes. */
static void test_merge_model__as_time_passes(void **state)
{
    /* What two branches have of a third that has ended; a drop of what a branch never showed. */
    static const uint64_t telling[] = {3000049, 3010302};
    size_t removed = 0;
    (void)state;
    for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++)
        run_aging(telling[i], &removed);
    for (uint64_t i = 0; i < RUNS / 2; i++)
        run_aging(first_seed() + 2000000 + i, &removed);
    print_message("%zu records went\n", removed);
    assert_true(removed > RUNS * 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_model__branches_and_merges),
        cmocka_unit_test(test_merge_model__some_are_left_out),
        cmocka_unit_test(test_merge_model__as_time_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
