/*
 * server/retain*.c: what goes, and what stays for whom; that histories read the same before and
 * after is held against a model in tests/versions. server/care.c and server/erase.c.
 */
#include "tests/server/merge_words.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api/keys_versions.h"
#include "server/care.h"
#include "server/gc.h"
#include "server/growth.h"
#include "server/retain.h"
#include "storage/faulty.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/catalog.pb-c.h"
#include "pangolin/v1/commit.pb-c.h"
#include "pangolin/v1/maintenance.pb-c.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

static int setup(void **state)
{
    fx_setup(state);
    fx_ok(*state, fx_create_namespace(*state, "ns"));
    return 0;
}

static void age(fixture *fx, int64_t days)
{
    atomic_fetch_add(&fx->ahead_ms, days * DAY_MS);
}

/* What is written after time passed has the time of the store's clock, which a test cannot move
 * where it is a server's: then there is nothing to be tested. */
static void need_clock(const fixture *fx)
{
    if (!pang_db_store(fx->db)->ops->exclusive)
        skip();
}

static pang_retain_outcome retain(fixture *fx, bool dry_run)
{
    pang_view view = rfx_view(fx, FX_PREFIX);
    pang_retain_outcome out;
    pang_retain_plan plan = {.scope = FX_SCOPE, .catalog = view.catalog, .dry_run = dry_run};
    fx_ok(fx, pang_retain_run(fx->state, &plan, NULL, NULL, &out, &fx->err));
    return out;
}

static uint64_t all_of(const uint64_t *counts)
{
    uint64_t n = 0;
    for (size_t i = 0; i < PANG_RETAIN_KINDS; i++)
        n += counts[i];
    return n;
}

static void make_tag(fixture *fx, const char *name, const char *from)
{
    Pangolin__V1__CreateTagRequest in = PANGOLIN__V1__CREATE_TAG_REQUEST__INIT;
    Pangolin__V1__CreateTagResponse out = PANGOLIN__V1__CREATE_TAG_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.name = fx_text(fx, "%s", name);
    in.from = fx_text(fx, "%s", from);
    fx_ok(fx, fx_call(fx, "CreateTag", &in, &out));
}

static size_t log_of(fixture *fx, const char *ref)
{
    Pangolin__V1__ListCommitsRequest in = PANGOLIN__V1__LIST_COMMITS_REQUEST__INIT;
    Pangolin__V1__ListCommitsResponse out = PANGOLIN__V1__LIST_COMMITS_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.name = fx_text(fx, "%s", ref);
    fx_ok(fx, fx_call(fx, "ListCommits", &in, &out));
    return out.n_commits;
}

static pang_code poll_after(fixture *fx, int64_t after, size_t *ret_n)
{
    Pangolin__V1__PollCommitsRequest in = PANGOLIN__V1__POLL_COMMITS_REQUEST__INIT;
    Pangolin__V1__PollCommitsResponse out = PANGOLIN__V1__POLL_COMMITS_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in._after_case = PANGOLIN__V1__POLL_COMMITS_REQUEST___AFTER_AFTER;
    in.after = after;
    pang_code code = fx_call(fx, "PollCommits", &in, &out);
    *ret_n = out.n_commits;
    return code;
}

static const char *location_at(fixture *fx, const char *name, uint64_t number)
{
    pang_view view = rfx_view(fx, FX_PREFIX);
    pang_view_set_at(&view, number);
    pang_content at = rfx_read(fx, &view, "ns", name);
    return pang_content_exists(&at) ? at.body->metadata_location : NULL;
}

/* ---- states ---- */

static void test_retain__states_that_were_replaced_go_after_the_retention(void **state)
{
    fixture *fx = *state;
    need_clock(fx);
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    uint64_t second = rfx_put(fx, FX_PREFIX, "t", "2");
    age(fx, 20);
    assert_int_equal(all_of(retain(fx, false).removed), 0);
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    age(fx, 20);
    pang_retain_outcome dry = retain(fx, true), out = retain(fx, false);
    assert_int_equal(out.floor, second);
    assert_int_equal(out.removed[PANG_RETAIN_HISTORY], 1); /* "1" */
    assert_int_equal(out.left[PANG_RETAIN_HISTORY], 1);
    assert_int_equal(out.removed[PANG_RETAIN_COMMITS], 2); /* of the namespace, and of "1" */
    assert_memory_equal(dry.removed, out.removed, sizeof out.removed);
    assert_string_equal(location_at(fx, "t", second), "2");
    assert_string_equal(rfx_location(fx, FX_PREFIX, "t"), "3");
    assert_int_equal(all_of(retain(fx, false).removed), 0);
}

static void test_retain__what_a_branch_a_tag_and_a_base_read_stays(void **state)
{
    fixture *fx = *state;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    (void)rfx_put(fx, FX_PREFIX, "t", "2");
    make_tag(fx, "v1", "main");
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    (void)rfx_drop(fx, FX_PREFIX, "t");
    age(fx, 100);
    pang_retain_outcome out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_HISTORY], 1); /* "3" */
    assert_string_equal(rfx_location(fx, FX_PREFIX "@dev", "t"), "1");
    assert_string_equal(rfx_location(fx, FX_PREFIX "@v1", "t"), "2");
    assert_null(rfx_location(fx, FX_PREFIX, "t"));
    fx_ok(fx, fx_delete_branch(fx, "dev"));
    out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_BRANCHES], 0); /* it can be named for a while */
    age(fx, 100);
    out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_BRANCHES], 1);
    assert_int_equal(out.removed[PANG_RETAIN_HISTORY], 1);
    assert_string_equal(rfx_location(fx, FX_PREFIX "@v1", "t"), "2");
}

/* The tombstone hides what the base shows; on main it hides nothing once its history has gone. */
static void test_retain__a_tombstone_goes_when_it_hides_nothing(void **state)
{
    fixture *fx = *state;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    (void)rfx_put(fx, FX_PREFIX, "u", "1");
    (void)rfx_drop(fx, FX_PREFIX, "u");
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    (void)rfx_drop(fx, FX_PREFIX "@dev", "t");
    age(fx, 100);
    (void)rfx_put(fx, FX_PREFIX, "w", "1");
    pang_retain_outcome out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_CONTENT], 1); /* u on main */
    assert_int_equal(out.removed[PANG_RETAIN_ASSETS], 1);
    assert_null(rfx_location(fx, FX_PREFIX "@dev", "t"));
    assert_string_equal(rfx_location(fx, FX_PREFIX, "t"), "1");
    /* Anew under its name, as if it had never been. */
    (void)rfx_put(fx, FX_PREFIX, "u", "2");
    assert_string_equal(rfx_location(fx, FX_PREFIX, "u"), "2");
    assert_null(rfx_location(fx, FX_PREFIX "@dev", "u"));
}

/* A table's tombstone says to the collector that the files may go. */
static void test_retain__a_tombstone_waits_for_its_places(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    make_tag(fx, "v1", "main");
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    Pangolin__V1__DeleteTagRequest in = PANGOLIN__V1__DELETE_TAG_REQUEST__INIT;
    Pangolin__V1__DeleteTagResponse gone = PANGOLIN__V1__DELETE_TAG_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.name = fx_text(fx, "v1");
    fx_ok(fx, fx_call(fx, "DeleteTag", &in, &gone));
    age(fx, 100);
    pang_retain_outcome out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_HISTORY], 1);
    assert_int_equal(out.removed[PANG_RETAIN_CONTENT], 0);
    assert_int_equal(out.removed[PANG_RETAIN_DOCUMENTS], 0);
    pang_gc_outcome files;
    pang_gc_plan plan = {
        .scope = FX_SCOPE, .catalog = rfx_view(fx, FX_PREFIX).catalog, .grace_ms = DAY_MS};
    fx_ok(fx, pang_gc_run(fx->state, &plan, NULL, NULL, &files, &fx->err));
    assert_int_equal(files.released, 1);
    assert_true(files.removed > 0);
    out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_CONTENT], 1);
    assert_int_equal(out.removed[PANG_RETAIN_ASSETS], 1);
    assert_int_equal(out.removed[PANG_RETAIN_DOCUMENTS], 1);
    assert_int_equal(out.left[PANG_RETAIN_DOCUMENTS], 0);
}

static void test_retain__documents_go_with_the_last_state_that_names_them(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__LoadTableResponse loaded;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    for (int i = 0; i < 3; i++)
        fx_ok(fx,
              fx_commit(
                  fx, "ns", "t", "[]",
                  fx_text(fx, "[{\"action\":\"set-properties\",\"updates\":{\"p\":\"%d\"}}]", i),
                  NULL));
    age(fx, 100);
    pang_retain_outcome out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_DOCUMENTS], 2);
    assert_int_equal(out.left[PANG_RETAIN_DOCUMENTS], 2);
    fx_ok(fx, fx_load_table(fx, "ns", "t", &loaded));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]",
                        "[{\"action\":\"set-properties\",\"updates\":{\"p\":\"9\"}}]", NULL));
}

/* ---- merges ---- */

/* What a server that comes to the store now would read: the fixture's remembers states of the past.
 * *ret is given back to `return_to`. */
static void read_as_another(fixture *fx, pang_db **ret)
{
    pang_store *store;
    *ret = fx->db;
    fx_ok(fx, pang_faulty_wrap(pang_db_store(fx->db), false, false, &store, &fx->err));
    fx_ok(fx, pang_db_open(store, &(pang_db_config){0}, &fx->db, &fx->err));
}

static void return_to(fixture *fx, pang_db *own)
{
    pang_arena_reset(fx->arena); /* transactions of the other */
    pang_db_close(fx->db);
    fx->db = own;
}

/* Who stands between two merges merges by the first of them: its mark stays, and with it what both
 * sides were there. */
static void test_retain__marks_of_before_stay_for_who_stands_there(void **state)
{
    fixture *fx = *state;
    mfx_do(fx, FX_PREFIX, "put:ns.t=0 put:ns.u=0 gen:ns.g.k=0");
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    mfx_do(fx, FX_PREFIX "@dev", "put:ns.t=1 gen:ns.g.k=1");
    mfx_do(fx, FX_PREFIX, "gen:ns.g.z=1"); /* so that both sides' states differ after a merge */
    assert_string_equal(mfx_conflicts(fx, FX_PREFIX "@dev", FX_PREFIX), "");
    make_tag(fx, "between", "main");
    mfx_do(fx, FX_PREFIX "@dev", "put:ns.t=2 gen:ns.g.m=2");
    assert_string_equal(mfx_conflicts(fx, FX_PREFIX "@dev", FX_PREFIX), "");
    mfx_do(fx, FX_PREFIX "@dev", "put:ns.u=1");
    age(fx, 100);
    mfx_do(fx, FX_PREFIX, "put:ns.w=1");
    assert_true(all_of(retain(fx, false).removed) > 0);
    pang_db *own;
    read_as_another(fx, &own);
    /* There t and g.k had come from dev, as 1: dev alone changed t since, and did not change g.k.
     */
    fx_ok(fx, fx_create_branch(fx, "two", "between"));
    mfx_do(fx, FX_PREFIX "@two", "gen:ns.g.k=9 drop:ns.u put:ns.x=1");
    assert_string_equal(mfx_conflicts(fx, FX_PREFIX "@dev", FX_PREFIX "@two"), "deletion:ns.u");
    mfx_merge m = {.source = FX_PREFIX "@dev", .target = FX_PREFIX "@two", .modes = "ns.u=target"};
    assert_true(mfx_run(fx, &m));
    assert_string_equal(mfx_show(fx, FX_PREFIX "@two"),
                        "ns ns.g ns.g.k=9 ns.g.m=2 ns.g.z=1 ns.t=2 ns.x=1");
    return_to(fx, own);
}

/* On a branch that is hidden, but a base of two others: it had renamed what it dropped. The name of
 * then hides nothing and goes, but the asset, which its base shows under another one, stays
 * dropped.
 */
static void test_retain__an_asset_that_the_base_shows_stays_dropped(void **state)
{
    fixture *fx = *state;
    pang_asset_at at = {0};
    mfx_do(fx, FX_PREFIX, "put:ns.t=1 put:ns.u=1");
    pang_id asset = mfx_asset(fx, FX_PREFIX, "ns.t");
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    mfx_do(fx, FX_PREFIX "@dev", "mv:ns.t>ns.w drop:ns.w");
    pang_view view = rfx_view(fx, FX_PREFIX "@dev");
    pang_id dev = view.levels[0].branch;
    uint64_t dropped = 0;
    fx_ok(fx, pang_view_sequence(&view, &dropped, &fx->err));
    mfx_do(fx, FX_PREFIX, "put:ns.u=2"); /* all refs that stay stand above what dev did */
    fx_ok(fx, fx_create_branch(fx, "two", "main"));
    assert_string_equal(mfx_conflicts(fx, FX_PREFIX "@dev", FX_PREFIX), "");
    assert_string_equal(mfx_conflicts(fx, FX_PREFIX "@dev", FX_PREFIX "@two"), "");
    fx_ok(fx, fx_delete_branch(fx, "dev"));
    age(fx, 100);
    mfx_do(fx, FX_PREFIX, "put:ns.x=1");
    pang_retain_outcome out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_BRANCHES], 0);
    assert_int_equal(out.removed[PANG_RETAIN_CONTENT], 1); /* ns.w */
    view = rfx_view(fx, FX_PREFIX);
    fx_ok(fx, pang_view_at_point(&view, dev, dropped, &fx->err));
    fx_ok(fx, pang_asset_find(&view, &asset, 1, &at, &fx->err));
    assert_true(at.body != NULL && at.body->dropped);
}

/* ---- commits ---- */

static void test_retain__who_follows_from_too_far_back_is_told(void **state)
{
    fixture *fx = *state;
    need_clock(fx);
    size_t n;
    uint64_t first = rfx_put(fx, FX_PREFIX, "t", "1");
    uint64_t second = rfx_put(fx, FX_PREFIX, "t", "2");
    age(fx, 40);
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    fx_ok(fx, poll_after(fx, (int64_t)first, &n));
    assert_int_equal(n, 2);
    (void)retain(fx, false);
    assert_int_equal(poll_after(fx, (int64_t)first, &n), PANG_OUT_OF_RANGE);
    assert_non_null(strstr(fx->err.message, fx_text(fx, "begin after %d", (int)second)));
    assert_int_equal(poll_after(fx, 0, &n), PANG_OUT_OF_RANGE);
    fx_ok(fx, poll_after(fx, (int64_t)second, &n));
    assert_int_equal(n, 1);
}

static pang_code diff(fixture *fx, const char *from, const char *to, size_t *ret_n)
{
    Pangolin__V1__DiffRequest in = PANGOLIN__V1__DIFF_REQUEST__INIT;
    Pangolin__V1__DiffResponse out = PANGOLIN__V1__DIFF_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.from = fx_text(fx, "%s", from);
    in.to = fx_text(fx, "%s", to);
    pang_code code = fx_call(fx, "Diff", &in, &out);
    *ret_n = out.n_entries;
    return code;
}

/* The log ends; what lies between refs stays known however old it is. */
static void test_retain__logs_end_and_differences_stay(void **state)
{
    fixture *fx = *state;
    need_clock(fx);
    size_t n;
    for (int i = 0; i < 5; i++)
        (void)rfx_put(fx, FX_PREFIX, fx_text(fx, "a%d", i), "1");
    make_tag(fx, "v1", "main");
    for (int i = 0; i < 5; i++)
        (void)rfx_put(fx, FX_PREFIX, fx_text(fx, "b%d", i), "1");
    age(fx, 40);
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    assert_int_equal(log_of(fx, "main"), 12);
    pang_retain_outcome out = retain(fx, false);
    assert_int_equal(out.removed[PANG_RETAIN_COMMITS], 5);
    assert_int_equal(out.removed[PANG_RETAIN_COMMIT_IDS], 9);
    assert_int_equal(log_of(fx, "main"), 2);
    assert_int_equal(log_of(fx, "v1"), 1);
    fx_ok(fx, diff(fx, "v1", "main", &n));
    assert_int_equal(n, 6);
    fx_ok(fx, fx_create_branch(fx, "old", "v1"));
    (void)rfx_put(fx, FX_PREFIX "@old", "t", "4");
    fx_ok(fx, diff(fx, "old", "main", &n));
    assert_int_equal(n, 7);
}

/* Others went on for longer than main, and are gone: what is made of where main stands merges. */
static void test_retain__main_stood_still(void **state)
{
    fixture *fx = *state;
    size_t n;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    uint64_t last = rfx_put(fx, FX_PREFIX "@dev", "t", "2");
    fx_ok(fx, fx_delete_branch(fx, "dev"));
    age(fx, 40);
    assert_int_equal(retain(fx, false).floor, last);
    make_tag(fx, "v1", "main");
    fx_ok(fx, fx_create_branch(fx, "late", "v1"));
    fx_ok(fx, diff(fx, "main", "late", &n));
    assert_int_equal(n, 0);
    (void)rfx_put(fx, FX_PREFIX "@late", "t", "3");
    fx_ok(fx, diff(fx, "main", "late", &n));
    assert_int_equal(n, 1);
    (void)retain(fx, false);
    fx_ok(fx, diff(fx, "main", "late", &n));
    assert_int_equal(n, 1);
}

static void test_retain__a_time_or_commit_of_before_is_unknown(void **state)
{
    fixture *fx = *state;
    pang_view view;
    pang_commit_row row;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    view = rfx_view(fx, FX_PREFIX);
    fx_ok(fx, pang_commit_head(&view, &row, &fx->err));
    char id[PANG_ID_TEXT + 1];
    pang_id_text(pang_id_of(row.body->id), id);
    atomic_fetch_add(&fx->ahead_ms, 1000);
    /* A database has its own clock, by which two commits may fall into one millisecond. */
    (void)nanosleep(&(struct timespec){.tv_nsec = 5 * 1000 * 1000}, NULL);
    (void)rfx_put(fx, FX_PREFIX, "t", "2");
    age(fx, 40);
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    fx_ok(fx, fx_create_branch(fx, "a", id));
    fx_ok(fx, fx_delete_branch(fx, "a"));
    age(fx, 40);
    (void)retain(fx, false);
    assert_int_equal(fx_create_branch(fx, "b", id), PANG_NOT_FOUND);
    assert_int_equal(fx_create_branch(fx, "b", fx_text(fx, "%lld", (long long)row.time_ms)),
                     PANG_NOT_FOUND);
    assert_non_null(strstr(fx->err.message, "kept from"));
    fx_ok(fx,
          fx_create_branch(
              fx, "b", fx_text(fx, "%lld", (long long)pang_env_wall_ms(&fx->env) - 39 * DAY_MS)));
    assert_string_equal(rfx_location(fx, FX_PREFIX "@b", "t"), "3");
}

/* ---- races ---- */

typedef struct {
    fixture *fx;
    int calls;
    uint64_t at;
} meddling;

static bool meddle(void *arg)
{
    meddling *m = arg;
    fixture *fx = m->fx;
    if (m->calls++ == 1)
        fx_ok(fx, fx_create_branch(fx, "late", "v1"));
    return true;
}

/* A ref that is made while a run goes on: at what is there still, and then it stays. */
static void test_retain__a_ref_that_is_made_meanwhile_reads_all(void **state)
{
    fixture *fx = *state;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    make_tag(fx, "v1", "main");
    (void)rfx_put(fx, FX_PREFIX, "t", "2");
    age(fx, 40);
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    meddling m = {.fx = fx};
    pang_retain_outcome out;
    pang_retain_plan plan = {.scope = FX_SCOPE, .catalog = rfx_view(fx, FX_PREFIX).catalog};
    fx_ok(fx, pang_retain_run(fx->state, &plan, meddle, &m, &out, &fx->err));
    assert_true(m.calls > 2);
    assert_string_equal(rfx_location(fx, FX_PREFIX "@late", "t"), "1");
}

static bool tag_first(void *arg)
{
    meddling *m = arg;
    fixture *fx = m->fx;
    if (m->calls++ != 0)
        return true;
    rfx_tag(fx, "late", FX_PREFIX, m->at);
    pang_view view = rfx_view(fx, FX_PREFIX);
    pang_txn_add(view.txn, pang_key_epoch(&view.keys, view.catalog, (pang_str){0}), 1);
    fx_ok(fx, pang_txn_commit(view.txn, &fx->err));
    return true;
}

/* A ref that came after the refs were read is seen, wherever it stands: nothing is removed by what
 * was read before. */
static void test_retain__refs_are_those_of_the_removal(void **state)
{
    fixture *fx = *state;
    meddling m = {.fx = fx, .at = rfx_put(fx, FX_PREFIX, "t", "1")};
    (void)rfx_put(fx, FX_PREFIX, "t", "2");
    age(fx, 40);
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    pang_retain_outcome out;
    pang_retain_plan plan = {.scope = FX_SCOPE, .catalog = rfx_view(fx, FX_PREFIX).catalog};
    fx_ok(fx, pang_retain_run(fx->state, &plan, tag_first, &m, &out, &fx->err));
    assert_string_equal(rfx_location(fx, FX_PREFIX "@late", "t"), "1");
}

static bool stop_at(void *arg)
{
    return --*(int *)arg > 0;
}

/* Wherever a run is stopped, all reads, and the next one finishes. */
static void test_retain__a_run_that_is_cut_short_is_done_again(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    (void)rfx_put(fx, FX_PREFIX "@dev", "t", "1");
    for (int i = 0; i < 4; i++)
        (void)rfx_put(fx, FX_PREFIX, "t", "1");
    make_tag(fx, "v1", "main");
    for (int i = 0; i < 4; i++)
        (void)rfx_put(fx, FX_PREFIX, "t", fx_text(fx, "%d", i));
    (void)rfx_drop(fx, FX_PREFIX, "t");
    fx_ok(fx, fx_delete_branch(fx, "dev"));
    age(fx, 40);
    (void)rfx_put(fx, FX_PREFIX, "u", "1");
    uint64_t expected = all_of(retain(fx, true).removed), sum = 0;
    pang_retain_plan plan = {.scope = FX_SCOPE, .catalog = rfx_view(fx, FX_PREFIX).catalog};
    for (int at = 1;; at++) {
        int left = at;
        pang_retain_outcome out;
        pang_code code = pang_retain_run(fx->state, &plan, stop_at, &left, &out, &fx->err);
        sum += all_of(out.removed);
        assert_string_equal(rfx_location(fx, FX_PREFIX "@v1", "t"), "1");
        assert_null(rfx_location(fx, FX_PREFIX, "t"));
        if (code == PANG_OK)
            break;
        assert_int_equal(code, PANG_ABORTED);
    }
    assert_int_equal(sum, expected);
    assert_int_equal(all_of(retain(fx, false).removed), 0);
}

/* ---- by itself ---- */

static void care(fixture *fx)
{
    for (int64_t wait = 0; wait < 60 * 1000;) {
        wait = pang_care_work(fx->state, &fx->err);
        assert_int_equal(fx->err.code, PANG_OK);
        if (wait > 0 && wait <= 60 * 1000) { /* its first look */
            atomic_fetch_add(&fx->ahead_ms, wait);
            wait = 0;
        }
    }
}

static void test_care__comes_daily_and_says_what_it_did(void **state)
{
    fixture *fx = *state;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    (void)rfx_put(fx, FX_PREFIX, "t", "2");
    age(fx, 40);
    care(fx); /* it is switched off */
    pang_record_stats stats;
    pang_state_get_records(fx->state, PANG_RETAIN_HISTORY, &stats);
    assert_int_equal(stats.removed, 0);
    fx->care_interval_ms = DAY_MS;
    fx_restart(fx);
    care(fx);
    pang_state_get_records(fx->state, PANG_RETAIN_HISTORY, &stats);
    assert_int_equal(stats.removed, 1);
    Pangolin__V1__ListMaintenanceRequest in = PANGOLIN__V1__LIST_MAINTENANCE_REQUEST__INIT;
    Pangolin__V1__ListMaintenanceResponse out = PANGOLIN__V1__LIST_MAINTENANCE_RESPONSE__INIT;
    in.name = fx_text(fx, FX_PREFIX);
    fx_ok(fx, fx_call(fx, "ListMaintenance", &in, &out));
    assert_int_equal(out.n_runs, 1);
    assert_string_equal(out.runs[0]->job_type, "care");
    assert_true(out.runs[0]->outcome->records_removed > 0);
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    care(fx); /* not again on one day */
    age(fx, 2);
    care(fx);
}

static pang_record_stats grown(fixture *fx, pang_retain_kind kind)
{
    pang_record_stats stats;
    pang_state_get_records(fx->state, kind, &stats);
    return stats;
}

/* Without any care or removal: what commits add is there with the next count, as is what went. */
static void test_growth__is_counted_whoever_changed_something(void **state)
{
    fixture *fx = *state;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    assert_true(pang_growth_work(fx->state, &fx->err) >= PANG_GROWTH_EVERY_MS);
    assert_int_equal(fx->err.code, PANG_OK);
    pang_record_stats content = grown(fx, PANG_RETAIN_CONTENT);
    pang_record_stats commits = grown(fx, PANG_RETAIN_COMMITS);
    assert_string_equal(content.kind, "content");
    assert_int_equal(content.records, 2); /* the namespace, t */
    assert_true(content.has_bytes && content.bytes > 0);
    assert_false(commits.has_bytes);
    (void)rfx_put(fx, FX_PREFIX, "t", "2");
    (void)rfx_put(fx, FX_PREFIX, "t", "3");
    (void)pang_growth_work(fx->state, &fx->err);
    assert_int_equal(grown(fx, PANG_RETAIN_COMMITS).records, commits.records + 2);
    assert_int_equal(grown(fx, PANG_RETAIN_CONTENT).records, 2);
    uint64_t history = grown(fx, PANG_RETAIN_HISTORY).records;
    assert_int_equal(history, 2);
    age(fx, 40);
    fx->care_interval_ms = DAY_MS;
    fx_restart(fx);
    care(fx);
    (void)pang_growth_work(fx->state, &fx->err);
    assert_true(grown(fx, PANG_RETAIN_HISTORY).records < history);
}

enum { PIECES = 5, PIECE_MS = 5 };

/* Each look at the clock takes a while. */
static int64_t slow_ms(void *arg)
{
    fixture *fx = arg;
    return pang_env_mono_ms(&pang_env_system) + atomic_fetch_add(&fx->ahead_ms, PIECE_MS);
}

/* There are records of that many kinds at least, each of which is a piece: it is rested from twenty
 * times as long as it took. */
static void test_growth__rests_from_each_piece(void **state)
{
    fixture *fx = *state;
    (void)rfx_put(fx, FX_PREFIX, "t", "1");
    (void)rfx_put(fx, FX_PREFIX, "t", "2");
    fx->env.mono_ms = slow_ms;
    int64_t begin = pang_env_mono_ms(&pang_env_system);
    (void)pang_growth_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    int64_t took = pang_env_mono_ms(&pang_env_system) - begin;
    assert_true(took >= PIECES * PIECE_MS * 20);
    assert_int_equal(grown(fx, PANG_RETAIN_CONTENT).records, 2);
}

/* ---- deleted catalogs ---- */

typedef struct {
    size_t n;
    uint32_t kinds[64];
    bool found;
} counting;

static bool count_row(void *arg, const pang_record *row)
{
    counting *c = arg;
    bool ours = (row->kind >= PANG_KIND_REF && row->kind <= PANG_KIND_METADATA) ||
                (row->kind >= PANG_KIND_BRANCH && row->kind <= PANG_KIND_MERGE_CONFLICT) ||
                row->kind == PANG_KIND_FLOOR || row->kind == PANG_KIND_CARE ||
                (row->kind == PANG_KIND_COMMIT_ID && row->body.len > 0);
    c->n += ours;
    return true;
}

static size_t records_in(fixture *fx)
{
    counting c = {0};
    pang_query query = {.prefix = FX_SCOPE, .limit = PANG_SCAN_MAX};
    fx_ok(fx, pang_store_scan(pang_db_store(fx->db), &query, PANG_NO_DEADLINE, count_row, &c,
                              &fx->err));
    return c.n;
}

static void test_erase__nothing_is_left_of_a_deleted_catalog(void **state)
{
    fixture *fx = *state;
    pang_err err;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    (void)rfx_put(fx, FX_PREFIX "@dev", "u", "1");
    (void)rfx_put(fx, FX_PREFIX "@dev", "u", "2");
    make_tag(fx, "v1", "dev");
    fx_ok(fx, fx_create_branch(fx, "gone", "dev"));
    fx_ok(fx, fx_delete_branch(fx, "gone"));
    Pangolin__V1__DeleteCatalogRequest in = PANGOLIN__V1__DELETE_CATALOG_REQUEST__INIT;
    Pangolin__V1__DeleteCatalogResponse out = PANGOLIN__V1__DELETE_CATALOG_RESPONSE__INIT;
    in.name = fx_text(fx, FX_PREFIX);
    in._cascade_case = PANGOLIN__V1__DELETE_CATALOG_REQUEST___CASCADE_CASCADE;
    in.cascade = true;
    fx_ok(fx, fx_call(fx, "DeleteCatalog", &in, &out));
    (void)pang_state_work(fx->state, &err);
    assert_true(records_in(fx) > 10);
    age(fx, 40);
    (void)pang_state_work(fx->state, &err);
    assert_int_equal(err.code, PANG_OK);
    assert_int_equal(records_in(fx), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, fx_teardown)
        TEST(retain__states_that_were_replaced_go_after_the_retention),
        TEST(retain__what_a_branch_a_tag_and_a_base_read_stays),
        TEST(retain__a_tombstone_goes_when_it_hides_nothing),
        TEST(retain__a_tombstone_waits_for_its_places),
        TEST(retain__documents_go_with_the_last_state_that_names_them),
        TEST(retain__marks_of_before_stay_for_who_stands_there),
        TEST(retain__an_asset_that_the_base_shows_stays_dropped),
        TEST(retain__who_follows_from_too_far_back_is_told),
        TEST(retain__logs_end_and_differences_stay),
        TEST(retain__main_stood_still),
        TEST(retain__a_time_or_commit_of_before_is_unknown),
        TEST(retain__a_ref_that_is_made_meanwhile_reads_all),
        TEST(retain__refs_are_those_of_the_removal),
        TEST(retain__a_run_that_is_cut_short_is_done_again),
        TEST(growth__is_counted_whoever_changed_something),
        TEST(growth__rests_from_each_piece),
        TEST(care__comes_daily_and_says_what_it_did),
        TEST(erase__nothing_is_left_of_a_deleted_catalog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
