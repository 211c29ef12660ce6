/*
 * server/merge_replay.c: commits that are picked and reverted, branches that are restored and
 * rebased. Scenes are rows: the content, what is done, and what must be there then.
 */
#include "tests/server/merge_words.h"

#include <stdio.h>
#include <string.h>

#define MAIN "demo"
#define DEV "demo@dev"
#define KID "demo@kid"

static uint64_t number_of(fixture *fx, const char *prefix)
{
    pang_view view = rfx_view(fx, prefix);
    pang_commit_row head = {0};
    if (pang_commit_head(&view, &head, &fx->err) != PANG_OK)
        fail_msg("head of %s: %s", prefix, fx->err.message);
    return head.sequence;
}

static bool is_as(fixture *fx, const char *name, const mfx_merge *m, const char *conflicts,
                  const char *prefix, const char *expected)
{
    const char *is = mfx_show(fx, prefix);
    if (m->code != PANG_OK)
        fail_msg("%s: %d %s", name, m->code, fx->err.message);
    bool ok = strcmp(m->conflicts, conflicts) == 0 && strcmp(is, expected) == 0;
    if (!ok)
        print_error("%s: conflicts \"%s\" and not \"%s\", \"%s\" and not \"%s\"\n", name,
                    m->conflicts, conflicts, is, expected);
    return ok;
}

/* ---- reverts ---- */

typedef struct {
    const char *name, *before, *commit, *later, *conflicts;
    const char *after; /* NULL: as it was */
    const char *modes, *choices;
} revert;

static const revert reverts[] = {
    {"a change", "mk:a put:a.t=1", "put:a.t=2", "", "", "a a.t=1", NULL, NULL},
    {"a creation", "mk:a", "put:a.t=1", "", "", "a", NULL, NULL},
    {"a drop", "mk:a put:a.t=1", "drop:a.t", "", "", "a a.t=1", NULL, NULL},
    {"a rename", "mk:a put:a.t=1", "mv:a.t>a.u", "", "", "a a.t=1", NULL, NULL},
    {"a namespace made", "", "mk:a", "", "", "", NULL, NULL},
    {"a namespace gone", "mk:a set:a.x=1", "rm:a", "", "", "a a.x=1", NULL, NULL},
    {"a property", "mk:a set:a.x=1", "set:a.x=2", "set:a.y=1", "", "a a.x=1 a.y=1", NULL, NULL},
    {"a property taken away", "mk:a set:a.x=1", "set:a.x=", "", "", "a a.x=1", NULL, NULL},
    {"a view", "mk:a view:a.v=1", "view:a.v=2", "", "", "a a.v=1", NULL, NULL},
    {"a change, renamed since", "mk:a put:a.t=1", "put:a.t=2", "mv:a.t>a.u", "", "a a.u=1", NULL,
     NULL},
    {"a rename, changed since", "mk:a put:a.t=1", "mv:a.t>a.u", "put:a.u=2", "", "a a.t=2", NULL,
     NULL},
    {"of another table", "mk:a put:a.t=1", "put:a.t=2", "put:a.u=1", "", "a a.t=1 a.u=1", NULL,
     NULL},
    {"what is reverted already", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=1", "", "a a.t=1", NULL,
     NULL},
    {"what was changed since", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "data:a.t", NULL, NULL,
     NULL},
    {"a creation, changed since", "mk:a", "put:a.t=1", "put:a.t=2", "deletion:a.t", NULL, NULL,
     NULL},
    {"a drop, its name is taken", "mk:a put:a.t=1", "drop:a.t", "put:a.t=2", "metadata:a.t", NULL,
     NULL, NULL},
    {"a rename, its name is taken", "mk:a put:a.t=1", "mv:a.t>a.u", "put:a.t=2", "metadata:a.u",
     NULL, NULL, NULL},
    {"a drop, its namespace is gone", "mk:a put:a.t=1", "drop:a.t", "rm:a", "deletion:a", NULL,
     NULL, NULL},
    {"a namespace that is used", "", "mk:a", "put:a.t=1", "deletion:a", NULL, NULL, NULL},
    {"a property that was set since", "mk:a set:a.x=1", "set:a.x=2", "set:a.x=3", "metadata:a",
     NULL, NULL, NULL},
    {"what was changed since, by force", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "", "a a.t=1",
     "*=source", NULL},
    {"what was changed since, chosen", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "", "a a.t=3",
     NULL, "a.t=target"},
};

static void test_revert__takes_back_and_leaves_what_came_later(void **state)
{
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof reverts / sizeof reverts[0]; i++) {
        const revert *s = &reverts[i];
        fixture *fx = fx_open("memory:");
        mfx_do(fx, MAIN, s->before);
        mfx_do(fx, MAIN, s->commit);
        mfx_merge m = {.source = MAIN,
                       .target = MAIN,
                       .at = number_of(fx, MAIN),
                       .modes = s->modes,
                       .choices = s->choices};
        mfx_do(fx, MAIN, s->later);
        const char *was = mfx_show(fx, MAIN);
        (void)mfx_again(fx, MFX_REVERT, &m);
        wrong += !is_as(fx, s->name, &m, s->conflicts, MAIN, s->after == NULL ? was : s->after);
        fx_close(fx);
    }
    assert_int_equal(wrong, 0);
}

static void test_revert__of_itself_brings_all_back(void **state)
{
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof reverts / sizeof reverts[0]; i++) {
        const revert *s = &reverts[i];
        fixture *fx = fx_open("memory:");
        mfx_do(fx, MAIN, s->before);
        const char *before = mfx_show(fx, MAIN);
        mfx_do(fx, MAIN, s->commit);
        const char *was = mfx_show(fx, MAIN);
        mfx_merge once = {.source = MAIN, .target = MAIN};
        (void)mfx_again(fx, MFX_REVERT, &once);
        wrong += !is_as(fx, s->name, &once, "", MAIN, before);
        mfx_merge twice = {.source = MAIN, .target = MAIN};
        (void)mfx_again(fx, MFX_REVERT, &twice);
        wrong += !is_as(fx, s->name, &twice, "", MAIN, was);
        fx_close(fx);
    }
    assert_int_equal(wrong, 0);
}

/* A view's versions stay in its history, whatever becomes of them. */
static void test_again__views_by_what_is_in_their_documents(void **state)
{
    fixture *fx = fx_open("memory:");
    (void)state;
    mfx_do(fx, MAIN, "mk:a vw:a.v.sql=x");
    uint64_t first = number_of(fx, MAIN);
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, "vw:a.v.q=1");
    mfx_do(fx, MAIN, "vw:a.v.sql=y");
    mfx_merge m = {.source = MAIN, .target = MAIN, .at = number_of(fx, MAIN), .documents = true};
    mfx_do(fx, MAIN, "vw:a.v.p=1");
    mfx_merge pick = m;
    pick.target = DEV;
    assert_true(mfx_again(fx, MFX_PICK, &pick));
    assert_true(is_as(fx, "pick", &pick, "", DEV, "a a.v.q=1 a.v=y#2"));
    assert_true(mfx_again(fx, MFX_REVERT, &m));
    assert_true(is_as(fx, "revert", &m, "", MAIN, "a a.v.p=1 a.v=x#2"));
    mfx_do(fx, MAIN, "vw:a.v.sql=z");
    mfx_merge back = {.source = MAIN, .target = MAIN, .at = first, .documents = true};
    assert_true(mfx_again(fx, MFX_RESTORE, &back));
    assert_true(is_as(fx, "restore", &back, "", MAIN, "a a.v=x#3"));
    mfx_do(fx, MAIN, "vw:a.v.p=2");
    mfx_merge onto = {.source = DEV, .target = MAIN, .documents = true};
    assert_true(mfx_rebase(fx, &onto));
    assert_true(is_as(fx, "rebase", &onto, "", DEV, "a a.v.p=2 a.v.q=1 a.v=y#3"));
    fx_close(fx);
}

static void test_revert__of_a_merge_leaves_its_first_parent(void **state)
{
    fixture *fx = fx_open("memory:");
    (void)state;
    mfx_do(fx, MAIN, "mk:a put:a.t=1 put:a.u=1");
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, "put:a.t=2 mv:a.u>a.w put:a.v=1");
    mfx_do(fx, MAIN, "put:a.x=1");
    const char *was = mfx_show(fx, MAIN);
    assert_string_equal(mfx_conflicts(fx, DEV, MAIN), "");
    mfx_do(fx, MAIN, "put:a.y=1");
    mfx_merge m = {.source = MAIN, .target = MAIN, .at = number_of(fx, MAIN) - 1};
    assert_true(mfx_again(fx, MFX_REVERT, &m));
    assert_string_equal(mfx_show(fx, MAIN), fx_text(fx, "%s a.y=1", was));
    /* The branch's changes were in main once: they do not come again. */
    mfx_do(fx, DEV, "put:a.z=1");
    assert_string_equal(mfx_conflicts(fx, DEV, MAIN), "");
    assert_string_equal(mfx_show(fx, MAIN), fx_text(fx, "%s a.y=1 a.z=1", was));
    fx_close(fx);
}

static void test_revert__keeps_ids(void **state)
{
    fixture *fx = fx_open("memory:");
    (void)state;
    mfx_do(fx, MAIN, "mk:a put:a.t=1");
    pang_id id = mfx_asset(fx, MAIN, "a.t");
    mfx_do(fx, MAIN, "drop:a.t");
    mfx_merge m = {.source = MAIN, .target = MAIN};
    assert_true(mfx_again(fx, MFX_REVERT, &m));
    assert_true(pang_id_equal(mfx_asset(fx, MAIN, "a.t"), id));
    fx_close(fx);
}

/* ---- picks ---- */

typedef struct {
    const char *name, *before, *earlier, *commit, *target, *conflicts;
    const char *after; /* NULL: as it was */
} pick;

static const pick picks[] = {
    {"a change", "mk:a put:a.t=1", "", "put:a.t=2", "", "", "a a.t=2"},
    {"one of two", "mk:a put:a.t=1 put:a.u=1", "put:a.u=2", "put:a.t=2", "", "", "a a.t=2 a.u=1"},
    {"a creation", "mk:a", "put:a.u=1", "put:a.t=2", "", "", "a a.t=2"},
    {"a creation with its namespace", "", "mk:a", "put:a.t=2", "", "", "a a.t=2"},
    {"a drop", "mk:a put:a.t=1", "", "drop:a.t", "", "", "a"},
    {"a rename, changed there", "mk:a put:a.t=1", "", "mv:a.t>a.u", "put:a.t=3", "", "a a.u=3"},
    {"a property", "mk:a set:a.x=1", "set:a.y=1", "set:a.x=2", "set:a.z=1", "", "a a.x=2 a.z=1"},
    {"what is there already", "mk:a put:a.t=1", "", "put:a.t=2", "put:a.t=2", "", NULL},
    {"what was changed there", "mk:a put:a.t=1", "", "put:a.t=2", "put:a.t=3", "data:a.t", NULL},
    {"on what is not there", "mk:a", "put:a.t=1", "put:a.t=2", "", "deletion:a.t", NULL},
    {"a name that is taken there", "mk:a", "", "put:a.t=1", "put:a.t=2", "metadata:a.t", NULL},
};

static void test_pick__does_what_the_commit_did(void **state)
{
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof picks / sizeof picks[0]; i++) {
        const pick *s = &picks[i];
        fixture *fx = fx_open("memory:");
        mfx_do(fx, MAIN, s->before);
        rfx_branch(fx, "dev", MAIN, 0);
        mfx_do(fx, DEV, s->earlier);
        mfx_do(fx, DEV, s->commit);
        mfx_do(fx, MAIN, s->target);
        const char *was = mfx_show(fx, MAIN);
        mfx_merge m = {.source = DEV, .target = MAIN};
        (void)mfx_again(fx, MFX_PICK, &m);
        wrong += !is_as(fx, s->name, &m, s->conflicts, MAIN, s->after == NULL ? was : s->after);
        if (m.conflicts[0] == '\0') { /* and a merge of all of it meets no conflict */
            mfx_merge all = {.source = DEV, .target = MAIN};
            (void)mfx_run(fx, &all);
            wrong += !is_as(fx, s->name, &all, "", MAIN, mfx_show(fx, MAIN));
        }
        fx_close(fx);
    }
    assert_int_equal(wrong, 0);
}

/* ---- restores ---- */

static const char *const steps[] = {
    "mk:a",        "put:a.t=1",   "put:a.u=1",     "put:a.t=2", "mv:a.t>a.w", "put:a.t=9",
    "mk:b",        "mv:a.w>b.w",  "drop:a.u",      "set:b.x=1", "drop:a.t",   "rm:a",
    "gen:b.g.k=1", "view:b.v=1",  "mv:b.w>b.w2",   "mk:a",      "put:a.t=3",  "mk:a.c",
    "put:a.c.t=4", "gen:b.g.k=2", "mv:a.c.t>a.c2", "rm:a.c",    "set:b.x=",   "view:b.v=2",
};

enum { STEPS = sizeof steps / sizeof steps[0] };

static void test_restore__to_any_point_is_as_it_was_there(void **state)
{
    (void)state;
    for (size_t to = 0; to < STEPS; to++) {
        fixture *fx = fx_open("memory:");
        const char *was = "";
        mfx_merge m = {.source = MAIN, .target = MAIN};
        for (size_t i = 0; i < STEPS; i++) {
            mfx_do(fx, MAIN, steps[i]);
            if (i == to) {
                was = mfx_show(fx, MAIN);
                m.at = number_of(fx, MAIN);
            }
        }
        const char *last = mfx_show(fx, MAIN);
        (void)mfx_again(fx, MFX_RESTORE, &m);
        assert_true(is_as(fx, steps[to], &m, "", MAIN, was));
        if (m.n_changes > 0) { /* a restore is reverted like any commit */
            mfx_merge back = {.source = MAIN, .target = MAIN};
            (void)mfx_again(fx, MFX_REVERT, &back);
            assert_true(is_as(fx, steps[to], &back, "", MAIN, last));
        }
        fx_close(fx);
    }
}

static void test_restore__of_a_branch_goes_below_its_making(void **state)
{
    fixture *fx = fx_open("memory:");
    (void)state;
    mfx_do(fx, MAIN, "mk:a put:a.t=1");
    const char *was = mfx_show(fx, MAIN);
    mfx_merge m = {.source = MAIN, .target = DEV, .at = number_of(fx, MAIN)};
    mfx_do(fx, MAIN, "put:a.t=2 put:a.u=1");
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, "put:a.v=1 mv:a.t>a.x");
    const char *of_main = mfx_show(fx, MAIN);
    assert_true(mfx_again(fx, MFX_RESTORE, &m));
    assert_string_equal(mfx_show(fx, DEV), was);
    assert_string_equal(mfx_show(fx, MAIN), of_main);
    fx_close(fx);
}

/* ---- rebases ---- */

typedef struct {
    const char *name, *before, *branch, *base, *conflicts, *after;
} rebased;

static const rebased rebases[] = {
    {"nothing", "mk:a put:a.t=1", "", "put:a.t=2", "", "a a.t=2"},
    {"one change each", "mk:a put:a.t=1 put:a.u=1", "put:a.t=2", "put:a.u=2", "", "a a.t=2 a.u=2"},
    {"onto what did not move", "mk:a put:a.t=1", "put:a.t=2 put:a.v=1", "", "", "a a.t=2 a.v=1"},
    {"made and dropped", "mk:a put:a.t=1", "put:a.u=1 drop:a.t", "put:a.v=1", "", "a a.u=1 a.v=1"},
    {"renamed here, changed there", "mk:a put:a.t=1", "mv:a.t>a.u", "put:a.t=2", "", "a a.u=2"},
    {"a namespace each", "", "mk:a put:a.t=1", "mk:b put:b.t=1", "", "a a.t=1 b b.t=1"},
    {"a namespace dropped there that is used here", "mk:a mk:b", "put:a.t=1", "rm:a", "deletion:a",
     NULL},
    {"changed on both sides", "mk:a put:a.t=1", "put:a.t=2", "put:a.t=3", "data:a.t", NULL},
    {"one name for two", "mk:a", "put:a.t=1", "put:a.t=2", "metadata:a.t", NULL},
};

static void rebase_scene(fixture *fx, const rebased *s, size_t *wrong)
{
    mfx_do(fx, MAIN, s->before);
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, s->branch);
    mfx_do(fx, MAIN, s->base);
    const char *main = mfx_show(fx, MAIN), *was = mfx_show(fx, DEV);
    mfx_merge m = {.source = DEV, .target = MAIN};
    (void)mfx_rebase(fx, &m);
    *wrong += !is_as(fx, s->name, &m, s->conflicts, DEV, s->after == NULL ? was : s->after);
    *wrong += strcmp(mfx_show(fx, MAIN), main) != 0;
    if (m.conflicts[0] != '\0')
        return;
    mfx_merge merge = {.source = DEV, .target = MAIN};
    (void)mfx_run(fx, &merge);
    *wrong += !is_as(fx, s->name, &merge, "", MAIN, s->after) || !merge.fast_forward;
}

static void test_rebase__stands_on_its_base_and_merges_fast_forward(void **state)
{
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < sizeof rebases / sizeof rebases[0]; i++) {
        fixture *fx = fx_open("memory:");
        rebase_scene(fx, &rebases[i], &wrong);
        fx_close(fx);
    }
    assert_int_equal(wrong, 0);
}

static void test_rebase__leaves_what_was_made_from_it(void **state)
{
    fixture *fx = fx_open("memory:");
    (void)state;
    mfx_do(fx, MAIN, "mk:a put:a.t=1 put:a.u=1");
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, "put:a.t=2");
    rfx_branch(fx, "kid", DEV, 0);
    rfx_tag(fx, "v1", DEV, 0);
    mfx_do(fx, KID, "put:a.k=1");
    mfx_do(fx, DEV, "put:a.v=1");
    mfx_do(fx, MAIN, "put:a.u=2");
    mfx_merge m = {.source = DEV, .target = MAIN};
    assert_true(mfx_rebase(fx, &m));
    assert_string_equal(mfx_show(fx, DEV), "a a.t=2 a.u=2 a.v=1");
    assert_string_equal(mfx_show(fx, KID), "a a.k=1 a.t=2 a.u=1");
    assert_string_equal(mfx_show(fx, "demo@v1"), "a a.t=2 a.u=1");
    /* The child's own change alone meets the rebased branch. */
    assert_string_equal(mfx_conflicts(fx, KID, DEV), "");
    assert_string_equal(mfx_show(fx, DEV), "a a.k=1 a.t=2 a.u=2 a.v=1");
    /* And the child goes onto it in turn. */
    mfx_do(fx, KID, "put:a.t=3");
    mfx_merge next = {.source = KID, .target = DEV};
    assert_true(mfx_rebase(fx, &next));
    assert_string_equal(mfx_show(fx, KID), "a a.k=1 a.t=3 a.u=2 a.v=1");
    fx_close(fx);
}

static void test_rebase__after_a_merge_brings_only_what_is_new(void **state)
{
    fixture *fx = fx_open("memory:");
    (void)state;
    mfx_do(fx, MAIN, "mk:a put:a.t=1 put:a.u=1");
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, "put:a.t=2");
    assert_string_equal(mfx_conflicts(fx, DEV, MAIN), "");
    mfx_do(fx, MAIN, "put:a.t=3");
    mfx_do(fx, DEV, "put:a.u=2");
    mfx_merge m = {.source = DEV, .target = MAIN};
    assert_true(mfx_rebase(fx, &m));
    assert_string_equal(mfx_show(fx, DEV), "a a.t=3 a.u=2");
    fx_close(fx);
}

static void test_rebase__repeated_never_grows_the_chain(void **state)
{
    fixture *fx = fx_open("memory:");
    (void)state;
    mfx_do(fx, MAIN, "mk:a put:a.t=0");
    rfx_branch(fx, "dev", MAIN, 0);
    for (unsigned i = 1; i <= 40; i++) {
        mfx_do(fx, DEV, fx_text(fx, "put:a.t=%u", i));
        mfx_do(fx, MAIN, fx_text(fx, "put:a.u=%u", i));
        mfx_merge m = {.source = DEV, .target = MAIN};
        assert_true(mfx_rebase(fx, &m));
        pang_view view = rfx_view(fx, DEV);
        assert_int_equal(view.n_levels, 2);
        assert_string_equal(mfx_show(fx, DEV), fx_text(fx, "a a.t=%u a.u=%u", i, i));
    }
    fx_close(fx);
}

/* What lands on the branch after its changes were read must not be lost. */
static void test_rebase__loses_no_commit_that_lands_meanwhile(void **state)
{
    fixture *fx = fx_open("memory:");
    uint64_t now;
    (void)state;
    mfx_do(fx, MAIN, "mk:a");
    rfx_branch(fx, "dev", MAIN, 0);
    mfx_do(fx, DEV, "put:a.t=1");
    pang_view old = rfx_view(fx, DEV), onto = old;
    pang_branch_made made;
    assert_int_equal(pang_branch_hold(&old, old.levels[0].branch, &now, &fx->err), PANG_OK);
    assert_int_equal(pang_view_switch(&onto, PANG_MAIN_REF, "x", &fx->err), PANG_OK);
    assert_int_equal(pang_branch_settle(&onto, &fx->err), PANG_OK);
    mfx_do(fx, DEV, "put:a.u=1");
    assert_int_equal(
        pang_again_swing(&old, &onto, pang_id_v7(&fx->env), &fx->env, &fx->who, &made, &fx->err),
        PANG_OK);
    assert_int_equal(pang_txn_commit(old.txn, &fx->err), PANG_ABORTED);
    assert_string_equal(mfx_show(fx, DEV), "a a.t=1 a.u=1");
    fx_close(fx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_revert__takes_back_and_leaves_what_came_later),
        cmocka_unit_test(test_revert__of_itself_brings_all_back),
        cmocka_unit_test(test_again__views_by_what_is_in_their_documents),
        cmocka_unit_test(test_revert__of_a_merge_leaves_its_first_parent),
        cmocka_unit_test(test_revert__keeps_ids),
        cmocka_unit_test(test_pick__does_what_the_commit_did),
        cmocka_unit_test(test_restore__to_any_point_is_as_it_was_there),
        cmocka_unit_test(test_restore__of_a_branch_goes_below_its_making),
        cmocka_unit_test(test_rebase__stands_on_its_base_and_merges_fast_forward),
        cmocka_unit_test(test_rebase__leaves_what_was_made_from_it),
        cmocka_unit_test(test_rebase__after_a_merge_brings_only_what_is_new),
        cmocka_unit_test(test_rebase__repeated_never_grows_the_chain),
        cmocka_unit_test(test_rebase__loses_no_commit_that_lands_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
