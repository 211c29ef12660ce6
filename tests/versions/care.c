/*
 * The step in which time passes: what nothing needs any more is removed, files and records, as
 * servers do by themselves. To the model nothing happens but that commits below the floor are told
 * of no more, unless something stands there.
 */
#include "tests/versions/care.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/gc.h"
#include "server/refs.h"
#include "server/retain.h"
#include "tests/versions/steps.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define SAID "seed %lu, after %s: "
#define SAID_OF(w) (unsigned long)(w)->seed, (w)->step

static pang_id catalog_of(world *w, pang_view *view)
{
    pang_code code = pang_view_begin(fx_begin(w->fx), w->fx->arena, FX_SCOPE,
                                     pang_str_from(w->catalog), "x", view, &w->fx->err);
    if (code != PANG_OK)
        fail_msg(SAID "%s", SAID_OF(w), w->fx->err.message);
    return view->catalog;
}

static pang_retain_outcome retain(world *w, bool dry_run)
{
    pang_view view;
    pang_retain_outcome out;
    pang_retain_plan plan = {.scope = FX_SCOPE,
                             .catalog = catalog_of(w, &view),
                             .dry_run = dry_run,
                             .marks = model_roll(w->m, 2) == 0 ? 16 : 0};
    pang_code code = pang_retain_run(w->fx->state, &plan, NULL, NULL, &out, &w->fx->err);
    if (code != PANG_OK)
        fail_msg(SAID "retention: %s", SAID_OF(w), w->fx->err.message);
    return out;
}

static void collect(world *w)
{
    pang_view view;
    pang_gc_outcome out;
    pang_gc_plan plan = {.scope = FX_SCOPE, .catalog = catalog_of(w, &view), .grace_ms = DAY_MS};
    pang_code code = pang_gc_run(w->fx->state, &plan, NULL, NULL, &out, &w->fx->err);
    if (code != PANG_OK || out.skipped > 0)
        fail_msg(SAID "files: %s", SAID_OF(w), code != PANG_OK ? w->fx->err.message : out.reason);
    w->files_gone += out.removed;
}

static void same_count(world *w, const char *what, int i, const uint64_t *is, const uint64_t *shall)
{
    if (is[i] != shall[i])
        fail_msg(SAID "%s: %s: %lu and not %lu", SAID_OF(w), what,
                 pang_retain_kind_name((pang_retain_kind)i), (unsigned long)is[i],
                 (unsigned long)shall[i]);
}

/* A dry run says what a run does, but for what goes since something else went; and a run leaves
 * nothing to the next but that. */
static void retain_all(world *w)
{
    static const uint64_t none[PANG_RETAIN_KINDS];
    pang_retain_outcome dry = retain(w, true), once = retain(w, false), again = retain(w, false);
    same_count(w, "a dry run", PANG_RETAIN_COMMITS, dry.removed, once.removed);
    same_count(w, "a dry run", PANG_RETAIN_COMMIT_IDS, dry.removed, once.removed);
    same_count(w, "a dry run", PANG_RETAIN_MERGES, dry.removed, once.removed);
    for (int i = 0; i < PANG_RETAIN_KINDS; i++)
        w->records_gone += once.removed[i] + again.removed[i];
    again = retain(w, false);
    for (int i = 0; i < PANG_RETAIN_KINDS; i++)
        same_count(w, "a third run", i, again.removed, none);
}

static void read_floor(world *w)
{
    pang_view view;
    pang_floor floor;
    (void)catalog_of(w, &view);
    if (pang_floor_of(&view, &floor, &w->fx->err) != PANG_OK)
        fail_msg(SAID "%s", SAID_OF(w), w->fx->err.message);
    w->floor = floor.number;
    w->floor_ms = floor.time_ms;
}

void step_care(world *w)
{
    unsigned days = model_roll(w->m, 3) == 0 ? 45 : model_roll(w->m, 25);
    step_tell(w, fx_text(w->fx, "%u days", days));
    atomic_fetch_add(&w->fx->ahead_ms, days * DAY_MS);
    if (model_roll(w->m, 3) > 0)
        collect(w);
    retain_all(w);
    read_floor(w);
    compare_all(w);
}
