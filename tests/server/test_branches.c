/*
 * server/branches.c: what lands and what loses when refs are made and ended while others commit.
 */
#include "server/branches.h"
#include "tests/server/ref_fixture.h"

static void same(const char *location, const char *expected)
{
    assert_non_null(location);
    assert_string_equal(location, expected);
}

static void end(fixture *fx, const char *name)
{
    pang_view view = rfx_view(fx, fx_text(fx, "demo@%s", name));
    fx_ok(fx, pang_ref_end(&view, &fx->env, pang_str_from(name), view.ref, &fx->err));
    fx_ok(fx, pang_txn_commit(view.txn, &fx->err));
}

/* Makes a branch by hand up to its commit. */
static pang_view begin_branch(fixture *fx, const char *name)
{
    pang_view view = rfx_view(fx, "demo");
    pang_branch_options options = {.name = pang_str_from(name)};
    pang_branch_made made;
    fx_ok(fx, pang_branch_make(&view, &fx->env, &fx->who, &options, &made, &fx->err));
    return view;
}

static void test_branches__a_commit_to_a_deleted_branch_fails(void **state)
{
    fixture *fx = *state;
    rfx_branch(fx, "dev", "demo", 0);
    pang_view view = rfx_view(fx, "demo@dev");
    pang_content at = rfx_read(fx, &view, "ns", "t");
    pang_rec_content body = PANGOLIN__STORE__V1__CONTENT__INIT;
    pang_id asset = pang_id_v7(&fx->env);
    pang_edit *edit;
    body.asset = pang_bytes_of_id(&asset);
    body.kind = PANGOLIN__STORE__V1__KIND__KIND_TABLE;
    fx_ok(fx, pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err));
    fx_ok(fx, pang_edit_create(edit, &at, &body, &fx->err));
    fx_ok(fx, pang_edit_end(edit, PANG_STR("x"), &fx->err));
    end(fx, "dev");
    assert_int_equal(pang_txn_commit(view.txn, &fx->err), PANG_ABORTED);
}

static void test_branches__of_two_who_make_one_name_one_loses(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    pang_view first = begin_branch(fx, "dev"), second = begin_branch(fx, "dev");
    fx_ok(fx, pang_txn_commit(first.txn, &fx->err));
    assert_int_equal(pang_txn_commit(second.txn, &fx->err), PANG_ABORTED);
    pang_view third = rfx_view(fx, "demo");
    pang_branch_options options = {.name = PANG_STR("dev")};
    pang_branch_made made;
    assert_int_equal(pang_branch_make(&third, &fx->env, &fx->who, &options, &made, &fx->err),
                     PANG_ALREADY_EXISTS);
}

static void test_branches__files_are_not_let_go_while_a_branch_is_made(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    pang_view making = begin_branch(fx, "dev");
    pang_view other = rfx_view(fx, "demo");
    pang_branch_let_go(&other);
    fx_ok(fx, pang_txn_commit(other.txn, &fx->err));
    assert_int_equal(pang_txn_commit(making.txn, &fx->err), PANG_ABORTED);
    /* What does not let go of files is in nobody's way. */
    making = begin_branch(fx, "dev");
    rfx_put(fx, "demo", "u", "two");
    fx_ok(fx, pang_txn_commit(making.txn, &fx->err));
}

static void test_branches__who_holds_a_branch_sees_all_its_commits(void **state)
{
    fixture *fx = *state;
    uint64_t sequence;
    uint64_t last = rfx_put(fx, "demo", "t", "one");
    rfx_branch(fx, "dev", "demo", 0);
    for (int commit = 0; commit < 2; commit++) {
        pang_view view = rfx_view(fx, "demo@dev");
        fx_ok(fx, pang_branch_hold(&view, view.levels[0].branch, &sequence, &fx->err));
        assert_int_equal(sequence, last);
        last = rfx_put(fx, commit == 0 ? "demo" : "demo@dev", "u", "two");
        fx_ok(fx, pang_ref_change(&view, PANG_STR("dev"), view.ref, &fx->err));
        assert_int_equal(pang_txn_commit(view.txn, &fx->err), commit == 0 ? PANG_OK : PANG_ABORTED);
    }
}

static void test_branches__a_name_swings_to_another_branch(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    rfx_branch(fx, "dev", "demo", 0);
    pang_id old_id = rfx_view(fx, "demo@dev").levels[0].branch;
    rfx_tag(fx, "v1", "demo@dev", 0);
    rfx_put(fx, "demo", "t", "two");
    pang_view source = rfx_view(fx, "demo");
    pang_branch_options options = {.name = PANG_STR("dev"), .unnamed = true};
    pang_branch_made made;
    fx_ok(fx, pang_branch_make(&source, &fx->env, &fx->who, &options, &made, &fx->err));
    fx_ok(fx, pang_branch_swing(&source, &fx->env, PANG_STR("dev"), old_id, &made, &fx->err));
    fx_ok(fx, pang_txn_commit(source.txn, &fx->err));
    same(rfx_location(fx, "demo@dev", "t"), "two");
    same(rfx_location(fx, "demo@v1", "t"), "one");
    pang_view view = rfx_view(fx, "demo");
    pang_rec_branch *hidden;
    fx_ok(fx, pang_branch_find(&view, old_id, &hidden, &fx->err));
    assert_true(hidden->hidden);
    fx_ok(fx, pang_branch_make(&view, &fx->env, &fx->who, &options, &made, &fx->err));
    assert_int_equal(pang_branch_swing(&view, &fx->env, PANG_STR("dev"), old_id, &made, &fx->err),
                     PANG_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_branches__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_commit_to_a_deleted_branch_fails),
        TEST(of_two_who_make_one_name_one_loses),
        TEST(files_are_not_let_go_while_a_branch_is_made),
        TEST(who_holds_a_branch_sees_all_its_commits),
        TEST(a_name_swings_to_another_branch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
