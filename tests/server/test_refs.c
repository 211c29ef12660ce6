/*
 * server/refs.c and commit_walk.c: what texts name, what they show, and the commits behind them.
 */
#include "tests/server/ref_fixture.h"

#include <stdio.h>
#include <string.h>

static void test_refs__the_form_of_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        pang_ref_form form;
    } cases[] = {
        {"main", PANG_REF_NAME},
        {"feature-1", PANG_REF_NAME},
        {"", PANG_REF_NAME},
        {"1", PANG_REF_TIME},
        {"1764342000000", PANG_REF_TIME},
        {"1764342000000a", PANG_REF_NAME},
        {"01890a5d-ac96-774b-bcce-b302099a8057", PANG_REF_COMMIT},
        {"01890A5DAC96774BBCCEB302099A8057", PANG_REF_COMMIT},
        {"01890a5d-ac96-774b-bcce-b302099a805", PANG_REF_NAME},
        {"00000000000000000000000000000001", PANG_REF_COMMIT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (pang_ref_form_of(pang_str_from(cases[i].text)) != cases[i].form)
            fail_msg("%s", cases[i].text);
}

static void test_refs__a_name_is_none_of_the_other_forms(void **state)
{
    fixture *fx = *state;
    static const char *const bad[] = {
        "",    "a@b", "a.b", "a/b",  "a\\b",    "a%b",
        "a#b", "a?b", "a|b", "a\nb", "a\x7F b", "01890a5d-ac96-774b-bcce-b302099a8057",
        "17",
    };
    static const char *const good[] = {"main", "dev_1", "17a", "späße", "a b", "-"};
    char text[PANG_REF_NAME_MAX + 2];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pang_ref_name_check("branch", pang_str_from(bad[i]), &fx->err) != PANG_INVALID_ARGUMENT)
            fail_msg("%s", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (pang_ref_name_check("branch", pang_str_from(good[i]), &fx->err) != PANG_OK)
            fail_msg("%s", good[i]);
    memset(text, 'a', sizeof text);
    assert_int_equal(pang_ref_name_check("tag", (pang_str){text, PANG_REF_NAME_MAX}, &fx->err),
                     PANG_OK);
    assert_int_equal(pang_ref_name_check("tag", (pang_str){text, PANG_REF_NAME_MAX + 1}, &fx->err),
                     PANG_INVALID_ARGUMENT);
}

/* ---- what refs show ---- */

static void test_refs__a_tag_stays_where_it_was_put(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    rfx_tag(fx, "v1", "demo", 0);
    rfx_put(fx, "demo", "t", "two");
    assert_string_equal(rfx_location(fx, "demo@v1", "t"), "one");
    assert_string_equal(rfx_location(fx, "demo", "t"), "two");
    rfx_branch(fx, "dev", "demo", 0);
    rfx_put(fx, "demo@dev", "t", "dev");
    rfx_put(fx, "demo", "u", "u");
    rfx_tag(fx, "v2", "demo@dev", 0);
    rfx_put(fx, "demo@dev", "t", "dev 2");
    assert_string_equal(rfx_location(fx, "demo@v2", "t"), "dev");
    assert_null(rfx_location(fx, "demo@v2", "u"));
}

static void test_refs__only_branches_are_written(void **state)
{
    fixture *fx = *state;
    pang_edit *edit;
    pang_commit_row head;
    char id[PANG_ID_TEXT + 1];
    rfx_put(fx, "demo", "t", "one");
    rfx_tag(fx, "v1", "demo", 0);
    pang_view view = rfx_view(fx, "demo");
    assert_int_equal(pang_commit_head(&view, &head, &fx->err), PANG_OK);
    pang_id_text(pang_id_of(head.body->id), id);
    const char *refs[] = {"v1", id, fx_text(fx, "%lld", (long long)head.time_ms)};
    for (size_t i = 0; i < 3; i++) {
        const char *prefix = fx_text(fx, "demo@%s", refs[i]);
        assert_string_equal(rfx_location(fx, prefix, "t"), "one");
        view = rfx_view(fx, prefix);
        assert_int_equal(pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err),
                         PANG_INVALID_ARGUMENT);
    }
}

static void protect(pang_rec_ref *ref)
{
    ref->is_protected = true;
}

static void test_refs__a_protected_branch_is_merged_into_only(void **state)
{
    fixture *fx = *state;
    pang_edit *edit;
    rfx_branch(fx, "safe", "demo", 0);
    rfx_change(fx, "safe", protect);
    pang_view view = rfx_view(fx, "demo@safe");
    assert_int_equal(pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err),
                     PANG_PERMISSION_DENIED);
    assert_string_equal(fx->err.reason, "ForbiddenException");
    assert_non_null(strstr(fx->err.message, "\"safe\""));
    view.merging = true;
    assert_int_equal(pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err), PANG_OK);
}

static void end_in_a_second(pang_rec_ref *ref)
{
    ref->deadline_ms = pang_env_wall_ms(&pang_env_system) + 1000;
}

static void test_refs__a_branch_ends_at_its_deadline(void **state)
{
    fixture *fx = *state;
    pang_view view;
    rfx_branch(fx, "brief", "demo", 0);
    rfx_change(fx, "brief", end_in_a_second);
    (void)rfx_view(fx, "demo@brief");
    atomic_fetch_add(&fx->ahead_ms, 2000);
    assert_int_equal(pang_view_begin(fx_begin(fx), fx->arena, FX_SCOPE, PANG_STR("demo@brief"), "x",
                                     &view, &fx->err),
                     PANG_NOT_FOUND);
}

static void test_refs__a_branch_is_found_by_its_id(void **state)
{
    fixture *fx = *state;
    pang_rec_branch *branch;
    rfx_branch(fx, "dev", "demo", 0);
    pang_view view = rfx_view(fx, "demo@dev");
    assert_int_equal(pang_branch_find(&view, view.levels[0].branch, &branch, &fx->err), PANG_OK);
    assert_string_equal(branch->name, "dev");
    assert_int_equal(branch->n_bases, 1);
    assert_int_equal(pang_branch_find(&view, view.levels[1].branch, &branch, &fx->err), PANG_OK);
    assert_string_equal(branch->name, "main");
    assert_int_equal(branch->n_bases, 0);
    assert_int_equal(pang_branch_find(&view, pang_id_v7(&fx->env), &branch, &fx->err),
                     PANG_NOT_FOUND);
}

static void test_refs__a_commit_of_another_catalog_is_none(void **state)
{
    fixture *fx = *state;
    pang_commit_row row;
    rfx_put(fx, "demo", "t", "one");
    pang_view view = rfx_view(fx, "demo");
    assert_int_equal(pang_commit_head(&view, &row, &fx->err), PANG_OK);
    pang_id id = pang_id_of(row.body->id);
    assert_int_equal(pang_commit_by_id(&view, id, &row, &fx->err), PANG_OK);
    assert_non_null(row.body);
    view.catalog = pang_id_v7(&fx->env);
    assert_int_equal(pang_commit_by_id(&view, id, &row, &fx->err), PANG_OK);
    assert_null(row.body);
    assert_int_equal(pang_commit_by_id(&view, pang_id_v7(&fx->env), &row, &fx->err), PANG_OK);
    assert_null(row.body);
}

/* ---- commits ---- */

typedef struct {
    char text[8192];
    size_t n, stop_after;
    uint64_t last;
} log_text;

static bool add_commit(void *arg, const pang_commit_row *row)
{
    log_text *log = arg;
    size_t len = strlen(log->text);
    (void)snprintf(log->text + len, sizeof log->text - len, "%s ", row->body->message);
    assert_true(row->sequence < log->last);
    assert_int_equal(row->body->n_changes, 1);
    log->last = row->sequence;
    return ++log->n != log->stop_after;
}

static const char *log_of(fixture *fx, const char *prefix, uint64_t before, size_t n, log_text *log)
{
    pang_view view = rfx_view(fx, prefix);
    *log = (log_text){.stop_after = n, .last = UINT64_MAX};
    assert_int_equal(pang_commit_walk(&view, before, add_commit, log, &fx->err), PANG_OK);
    return log->text;
}

static void test_refs__a_log_goes_on_below_the_fork(void **state)
{
    fixture *fx = *state;
    log_text log;
    pang_commit_row head;
    assert_string_equal(log_of(fx, "demo", 0, 0, &log), "");
    rfx_put(fx, "demo", "t", "m1");
    rfx_put(fx, "demo", "t", "m2");
    rfx_branch(fx, "dev", "demo", 0);
    rfx_put(fx, "demo", "t", "m3");
    pang_view view = rfx_view(fx, "demo@dev");
    assert_int_equal(pang_commit_head(&view, &head, &fx->err), PANG_OK);
    assert_string_equal(head.body->message, "m2");
    rfx_put(fx, "demo@dev", "t", "d1");
    rfx_branch(fx, "deep", "demo@dev", 0);
    rfx_put(fx, "demo@dev", "t", "d2");
    rfx_put(fx, "demo@deep", "t", "e1");
    assert_string_equal(log_of(fx, "demo@deep", 0, 0, &log), "e1 d1 m2 m1 ");
    assert_string_equal(log_of(fx, "demo@dev", 0, 0, &log), "d2 d1 m2 m1 ");
    assert_string_equal(log_of(fx, "demo@deep", 0, 2, &log), "e1 d1 ");
    assert_string_equal(log_of(fx, "demo@deep", log.last, 0, &log), "m2 m1 ");
    assert_string_equal(log_of(fx, "demo@deep", 1, 0, &log), "");
}

static void test_refs__a_log_is_read_in_pieces(void **state)
{
    fixture *fx = *state;
    log_text log;
    for (int i = 0; i < 200; i++)
        rfx_put(fx, "demo", "t", "c");
    log_of(fx, "demo", 0, 0, &log);
    assert_int_equal(log.n, 200);
    assert_int_equal(log.last, 1);
}

static void test_refs__a_time_shows_the_last_commit_before_it(void **state)
{
    fixture *fx = *state;
    int64_t times[40];
    pang_commit_row row;
    for (int i = 0; i < 40; i++) {
        rfx_put(fx, "demo", "t", fx_text(fx, "c%d", i));
        pang_view view = rfx_view(fx, "demo");
        assert_int_equal(pang_commit_head(&view, &row, &fx->err), PANG_OK);
        times[i] = row.time_ms;
        atomic_fetch_add(&fx->ahead_ms, 10);
    }
    pang_view view = rfx_view(fx, "demo");
    for (int i = 0; i < 40; i++) {
        const char *expected = fx_text(fx, "c%d", i);
        assert_int_equal(pang_commit_at_time(&view, times[i], &row, &fx->err), PANG_OK);
        assert_string_equal(row.body->message, expected);
        assert_string_equal(
            rfx_location(fx, fx_text(fx, "demo@%lld", (long long)times[i] + 1), "t"), expected);
    }
    assert_int_equal(pang_commit_at_time(&view, times[0] - 1, &row, &fx->err), PANG_OK);
    assert_null(row.body);
    assert_null(rfx_location(fx, fx_text(fx, "demo@%lld", (long long)times[0] - 1), "t"));
    assert_string_equal(rfx_location(fx, "demo@9223372036854775807", "t"), "c39");
}

static void test_refs__a_time_on_a_branch_may_be_of_before_it(void **state)
{
    fixture *fx = *state;
    pang_commit_row row;
    rfx_put(fx, "demo", "t", "m1");
    pang_view view = rfx_view(fx, "demo");
    assert_int_equal(pang_commit_head(&view, &row, &fx->err), PANG_OK);
    int64_t then = row.time_ms;
    atomic_fetch_add(&fx->ahead_ms, 10);
    rfx_branch(fx, "dev", "demo", 0);
    rfx_put(fx, "demo@dev", "t", "d1");
    view = rfx_view(fx, "demo@dev");
    assert_int_equal(pang_commit_at_time(&view, then, &row, &fx->err), PANG_OK);
    assert_string_equal(row.body->message, "m1");
    assert_int_equal(pang_commit_at_time(&view, then + 1000, &row, &fx->err), PANG_OK);
    assert_string_equal(row.body->message, "d1");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_refs__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_form_of_a_text),
        TEST(a_name_is_none_of_the_other_forms),
        TEST(a_tag_stays_where_it_was_put),
        TEST(only_branches_are_written),
        TEST(a_protected_branch_is_merged_into_only),
        TEST(a_branch_ends_at_its_deadline),
        TEST(a_branch_is_found_by_its_id),
        TEST(a_commit_of_another_catalog_is_none),
        TEST(a_log_goes_on_below_the_fork),
        TEST(a_log_is_read_in_pieces),
        TEST(a_time_shows_the_last_commit_before_it),
        TEST(a_time_on_a_branch_may_be_of_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
