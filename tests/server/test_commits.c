/*
 * Common points, the log of a ref, single commits.
 */
#include <stdio.h>
#include <string.h>

#include "server/commits.h"
#include "tests/server/ref_fixture.h"

typedef Pangolin__V1__ListCommitsRequest list_in;
typedef Pangolin__V1__ListCommitsResponse list_out;
typedef Pangolin__V1__Commit commit;
typedef Pangolin__V1__CommitChange change;

/* ---- common points ---- */

static pang_chain chain_of(fixture *fx, const char *prefix)
{
    pang_chain chain;
    pang_view view = rfx_view(fx, prefix);
    assert_int_equal(pang_chain_of(&view, &chain, &fx->err), PANG_OK);
    return chain;
}

/* The common point's number, from both sides alike; 0: none. */
static uint64_t common_of(fixture *fx, const char *a, const char *b)
{
    pang_chain left = chain_of(fx, a), right = chain_of(fx, b);
    pang_common one = pang_common_point(&left, &right), other = pang_common_point(&right, &left);
    assert_int_equal(one.met, other.met);
    if (!one.met)
        return 0;
    assert_true(pang_id_equal(one.at.branch, other.at.branch));
    assert_int_equal(one.at.sequence, other.at.sequence);
    assert_int_equal(one.in_a, other.in_b);
    return one.at.sequence;
}

static void test_commits__branches_meet_where_they_forked(void **state)
{
    fixture *fx = *state;
    uint64_t one = rfx_put(fx, "demo", "t", "m1");
    rfx_branch(fx, "a", "demo", 0);
    uint64_t two = rfx_put(fx, "demo", "t", "m2");
    rfx_branch(fx, "b", "demo", 0);
    uint64_t in_b = rfx_put(fx, "demo@b", "t", "b1");
    rfx_branch(fx, "c", "demo@b", 0);
    rfx_put(fx, "demo@b", "t", "b2");
    rfx_tag(fx, "old", "demo", one);
    assert_int_equal(common_of(fx, "demo", "demo@a"), one);
    assert_int_equal(common_of(fx, "demo", "demo@b"), two);
    assert_int_equal(common_of(fx, "demo@a", "demo@b"), one);
    assert_int_equal(common_of(fx, "demo@a", "demo@c"), one);
    assert_int_equal(common_of(fx, "demo@b", "demo@c"), in_b);
    assert_int_equal(common_of(fx, "demo", "demo@c"), two);
    assert_int_equal(common_of(fx, "demo@old", "demo@c"), one);
    assert_true(common_of(fx, "demo@a", "demo@a") == PANG_NOW);
}

static void test_commits__what_was_made_apart_never_meets(void **state)
{
    fixture *fx = *state;
    pang_chain left = chain_of(fx, "demo"), right = left;
    right.points[0].branch = pang_id_v7(&fx->env);
    assert_false(pang_common_point(&left, &right).met);
}

typedef struct {
    char text[256];
} messages;

static bool add_message(void *arg, const pang_commit_row *row)
{
    messages *m = arg;
    size_t at = strlen(m->text);
    (void)snprintf(m->text + at, sizeof m->text - at, "%s ", row->body->message);
    return true;
}

static void test_commits__a_side_is_walked_down_to_the_common_point(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "m1");
    rfx_branch(fx, "a", "demo", 0);
    rfx_put(fx, "demo", "t", "m2");
    rfx_put(fx, "demo@a", "t", "a1");
    rfx_branch(fx, "b", "demo@a", 0);
    rfx_put(fx, "demo@b", "t", "b1");
    rfx_put(fx, "demo@a", "t", "a2");
    pang_chain main_chain = chain_of(fx, "demo"), b = chain_of(fx, "demo@b");
    pang_common common = pang_common_point(&main_chain, &b);
    messages m = {""};
    pang_view view = rfx_view(fx, "demo@b");
    assert_int_equal(pang_common_walk(&view, &common, 0, add_message, &m, &fx->err), PANG_OK);
    assert_string_equal(m.text, "b1 a1 ");
    m.text[0] = '\0';
    view = rfx_view(fx, "demo");
    assert_int_equal(pang_common_walk(&view, &common, 0, add_message, &m, &fx->err), PANG_OK);
    assert_string_equal(m.text, "m2 ");
}

/* ---- the log ---- */

static list_in asking(const char *ref)
{
    list_in in = PANGOLIN__V1__LIST_COMMITS_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.name = TEXT(ref);
    return in;
}

/* Messages of all pages, joined by blanks. */
static const char *log_of(fixture *fx, list_in in)
{
    messages m = {""};
    for (;;) {
        list_out out;
        if (fx_call(fx, "ListCommits", &in, &out) != PANG_OK)
            fail_msg("%s", fx->err.message);
        for (size_t i = 0; i < out.n_commits; i++) {
            size_t at = strlen(m.text);
            (void)snprintf(m.text + at, sizeof m.text - at, "%s%s", at > 0 ? " " : "",
                           out.commits[i]->message);
        }
        if (out.next_page_token == NULL || out.next_page_token[0] == '\0')
            return fx_text(fx, "%s", m.text);
        in.page_token = out.next_page_token;
    }
}

static void test_commits__a_log_is_newest_first_over_all_levels(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "m1");
    rfx_branch(fx, "a", "demo", 0);
    rfx_put(fx, "demo", "t", "m2");
    rfx_put(fx, "demo@a", "t", "a1");
    rfx_put(fx, "demo@a", "u", "a2");
    rfx_tag(fx, "v1", "demo", 0);
    rfx_put(fx, "demo", "t", "m3");
    list_in in = asking("a");
    assert_string_equal(log_of(fx, in), "a2 a1 m1");
    in.page_size = 1;
    assert_string_equal(log_of(fx, in), "a2 a1 m1");
    in.offset = 1;
    assert_string_equal(log_of(fx, in), "a1 m1");
    assert_string_equal(log_of(fx, asking("main")), "m3 m2 m1");
    assert_string_equal(log_of(fx, asking("v1")), "m2 m1");
}

static void test_commits__parents_lead_over_the_fork(void **state)
{
    fixture *fx = *state;
    list_out out;
    rfx_put(fx, "demo", "t", "m1");
    rfx_branch(fx, "a", "demo", 0);
    rfx_put(fx, "demo", "t", "m2");
    rfx_put(fx, "demo@a", "t", "a1");
    list_in in = asking("a");
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_OK);
    assert_int_equal(out.n_commits, 2);
    assert_string_equal(out.commits[0]->parent_id, out.commits[1]->id);
    assert_string_equal(out.commits[0]->branch, "a");
    assert_string_equal(out.commits[1]->branch, "main");
    assert_string_equal(out.commits[1]->parent_id, "");
    assert_int_equal(out.commits[1]->n_parents, 0);
    in = asking(out.commits[1]->id); /* a commit is a ref, too */
    assert_string_equal(log_of(fx, in), "m1");
}

static void rename_table(fixture *fx, const char *prefix, const char *from, const char *to)
{
    pang_edit *edit;
    pang_view view = rfx_view(fx, prefix);
    pang_content old = rfx_read(fx, &view, "ns", from), new = rfx_read(fx, &view, "ns", to);
    assert_int_equal(pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err), PANG_OK);
    assert_int_equal(pang_edit_move(edit, &old, &new, &fx->err), PANG_OK);
    rfx_land(fx, edit, "rename");
}

static void test_commits__a_tables_log_follows_it(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "m1");
    rfx_put(fx, "demo", "other", "x1");
    rfx_put(fx, "demo", "t", "m2");
    rfx_branch(fx, "a", "demo", 0);
    rfx_put(fx, "demo", "t", "m3");
    rename_table(fx, "demo@a", "t", "u");
    rfx_put(fx, "demo@a", "other", "x2");
    rfx_put(fx, "demo@a", "t", "another");
    rfx_put(fx, "demo@a", "u", "a1");
    list_in in = asking("a");
    in.table = TEXT("ns.u");
    assert_string_equal(log_of(fx, in), "a1 rename m2 m1");
    in.page_size = 1;
    assert_string_equal(log_of(fx, in), "a1 rename m2 m1");
    in.table = TEXT("ns.t");
    assert_string_equal(log_of(fx, in), "another rename m2 m1");
    in = asking("main");
    in.table = TEXT("ns.t");
    assert_string_equal(log_of(fx, in), "m3 m2 m1");
    in.table = TEXT("ns.none");
    assert_string_equal(log_of(fx, in), "");
    in.table = TEXT("t");
    list_out out;
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_INVALID_ARGUMENT);
}

static void test_commits__a_tables_log_does_not_read_the_branch(void **state)
{
    fixture *fx = *state;
    pang_db_stats before, after;
    rfx_put(fx, "demo", "t", "t1");
    for (int i = 0; i < 300; i++)
        rfx_put(fx, "demo", "noise", "n");
    rfx_put(fx, "demo", "t", "t2");
    list_in in = asking("main");
    in.table = TEXT("ns.t");
    pang_db_get_stats(fx->db, &before);
    assert_string_equal(log_of(fx, in), "t2 t1");
    pang_db_get_stats(fx->db, &after);
    assert_true(after.scans - before.scans <= 4);
    assert_true(after.gets - before.gets <= 16);
    for (int i = 0; i < 299; i++)
        rfx_put(fx, "demo", "t", "t");
    list_out out;
    in.page_size = 1000;
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_OK);
    assert_int_equal(out.n_commits, 301);
    assert_string_equal(out.commits[300]->message, "t1");
}

static void test_commits__a_log_by_time_and_author(void **state)
{
    fixture *fx = *state;
    list_out out;
    rfx_put(fx, "demo", "t", "m1");
    atomic_fetch_add(&fx->ahead_ms, 1000);
    fx->who.name = PANG_STR("maria");
    fx->who.id = pang_id_v7(&fx->env);
    char id[PANG_ID_TEXT + 1];
    pang_id_text(fx->who.id, id);
    rfx_put(fx, "demo", "t", "m2");
    fx->who.name = PANG_STR("ali");
    fx->who.id = pang_id_v7(&fx->env);
    atomic_fetch_add(&fx->ahead_ms, 1000);
    rfx_put(fx, "demo", "t", "m3");
    list_in in = asking("main");
    in.author = TEXT("maria");
    assert_string_equal(log_of(fx, in), "m2");
    in.author = id;
    assert_string_equal(log_of(fx, in), "m2");
    in = asking("main");
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_OK);
    assert_int_equal(out.n_commits, 3);
    in.from = fx_text(fx, "%lld", (long long)out.commits[1]->timestamp);
    assert_string_equal(log_of(fx, in), "m3 m2");
    in.until = fx_text(fx, "%lld", (long long)out.commits[0]->timestamp);
    assert_string_equal(log_of(fx, in), "m2");
    in.from = TEXT("");
    assert_string_equal(log_of(fx, in), "m2 m1");
    in.until = TEXT("1");
    assert_string_equal(log_of(fx, in), "");
    in.until = TEXT("0");
    assert_string_equal(log_of(fx, in), "");
    in.until = TEXT("yesterday");
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_INVALID_ARGUMENT);
}

static void test_commits__bad_pages_are_refused(void **state)
{
    fixture *fx = *state;
    list_out out;
    rfx_put(fx, "demo", "t", "m1");
    rfx_put(fx, "demo", "t", "m2");
    list_in in = asking("main");
    in.page_size = 1;
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_OK);
    in.page_token = fx_text(fx, "%s", out.next_page_token);
    in.table = TEXT("ns.t"); /* of another list */
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_INVALID_ARGUMENT);
    in = asking("main");
    in.page_size = -1;
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_INVALID_ARGUMENT);
    in.page_size = 0;
    in.offset = -1;
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_INVALID_ARGUMENT);
    in = asking("nowhere");
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_NOT_FOUND);
    in = asking("main");
    in.catalog = TEXT("");
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_INVALID_ARGUMENT);
}

/* ---- one commit ---- */

static commit *get(fixture *fx, const char *id)
{
    Pangolin__V1__GetCommitRequest in = PANGOLIN__V1__GET_COMMIT_REQUEST__INIT;
    Pangolin__V1__GetCommitResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.commit_id = TEXT(id);
    if (fx_call(fx, "GetCommit", &in, &out) != PANG_OK)
        fail_msg("%s", fx->err.message);
    return out.commit;
}

/* The newest of a ref, by its id. */
static commit *newest(fixture *fx, const char *ref)
{
    list_in in = asking(ref);
    list_out out;
    assert_int_equal(fx_call(fx, "ListCommits", &in, &out), PANG_OK);
    return get(fx, fx_text(fx, "%s", out.commits[0]->id));
}

static void test_commits__a_commit_tells_before_and_after(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "m1");
    commit *made = newest(fx, "main");
    assert_int_equal(made->n_changes, 1);
    assert_string_equal(made->changes[0]->change, "created");
    assert_null(made->changes[0]->before);
    assert_string_equal(made->changes[0]->after->metadata_location, "m1");
    rfx_branch(fx, "a", "demo", 0);
    rfx_put(fx, "demo", "t", "m2");
    rfx_put(fx, "demo@a", "t",
            "a1"); /* its first state on the branch: before is through the base */
    commit *c = newest(fx, "a");
    assert_string_equal(c->changes[0]->change, "updated");
    assert_string_equal(c->changes[0]->kind, "table");
    assert_string_equal(c->changes[0]->name, "t");
    assert_int_equal(c->changes[0]->n_namespace_, 1);
    assert_string_equal(c->changes[0]->namespace_[0], "ns");
    assert_string_equal(c->changes[0]->before->metadata_location, "m1");
    assert_string_equal(c->changes[0]->after->metadata_location, "a1");
    assert_string_equal(c->changes[0]->asset_id, made->changes[0]->asset_id);
    assert_string_equal(c->operations[0]->put->asset->location, "a1");
    assert_string_equal(c->operations[0]->put->asset->kind, "ICEBERG_TABLE");
    rename_table(fx, "demo@a", "t", "u");
    c = newest(fx, "a");
    assert_int_equal(c->n_changes, 1);
    assert_int_equal(c->changes_count, 2);
    assert_string_equal(c->changes[0]->change, "renamed");
    assert_string_equal(c->changes[0]->name, "u");
    assert_string_equal(c->changes[0]->from_name, "t");
    assert_int_equal(c->n_operations, 2);
    assert_string_equal(c->operations[0]->delete_->name, "ns.t");
    rfx_drop(fx, "demo@a", "u");
    c = newest(fx, "a");
    assert_string_equal(c->changes[0]->change, "dropped");
    assert_null(c->changes[0]->after);
    assert_string_equal(c->changes[0]->before->metadata_location, "a1");
    c = get(fx, made->id); /* as ever */
    assert_string_equal(c->changes[0]->after->metadata_location, "m1");
}

static void test_commits__no_commit_is_404(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetCommitRequest in = PANGOLIN__V1__GET_COMMIT_REQUEST__INIT;
    Pangolin__V1__GetCommitResponse out;
    in.catalog = TEXT(FX_PREFIX);
    in.commit_id = TEXT("01890a5d-ac96-774b-bcce-b302099a8057");
    assert_int_equal(fx_call(fx, "GetCommit", &in, &out), PANG_NOT_FOUND);
    in.commit_id = TEXT("x");
    assert_int_equal(fx_call(fx, "GetCommit", &in, &out), PANG_INVALID_ARGUMENT);
}

/* ---- deep pages ---- */

static pang_code list_from(fixture *fx, int32_t offset, const char *author, size_t *ret_n,
                           bool *ret_more)
{
    list_in in = PANGOLIN__V1__LIST_COMMITS_REQUEST__INIT;
    list_out out = PANGOLIN__V1__LIST_COMMITS_RESPONSE__INIT;
    in.catalog = TEXT("demo");
    in.name = TEXT("main");
    in.page_size = 2;
    in.offset = offset;
    in.author = TEXT(author);
    pang_code code = fx_call(fx, "ListCommits", &in, &out);
    *ret_n = out.n_commits;
    *ret_more = code == PANG_OK && out.next_page_token[0] != '\0';
    return code;
}

static void test_commits__an_offset_is_served_or_refused(void **state)
{
    fixture *fx = *state;
    size_t n;
    bool more;
    for (int i = 0; i < PANG_LOG_LOOKED_MAX + 10; i++) {
        rfx_put(fx, "demo", "t", "m");
        pang_arena_reset(fx->arena);
    }
    assert_int_equal(list_from(fx, PANG_LOG_LOOKED_MAX, "", &n, &more), PANG_OK);
    assert_int_equal(n, 2);
    assert_true(more);
    assert_int_equal(list_from(fx, PANG_LOG_LOOKED_MAX + 1, "", &n, &more), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "token"));
    assert_int_equal(list_from(fx, 1, "nobody", &n, &more), PANG_INVALID_ARGUMENT);
    assert_int_equal(list_from(fx, 0, "nobody", &n, &more), PANG_OK);
    assert_int_equal(n, 0);
    assert_true(more);
}

/* ---- watching ---- */

/* Polls until all commits were looked at, each call in so little memory; how many were found. */
static size_t poll_all(fixture *fx, const char *author, int64_t last)
{
    enum { CALL_BYTES = 8 << 20, CALLS_MAX = 4 };
    size_t found = 0;
    int64_t after = 0;
    for (int i = 0; i < CALLS_MAX && after < last; i++) {
        unsigned runs;
        pang_str keep;
        pang_arena *arena = pang_arena_new(CALL_BYTES);
        Pangolin__V1__PollCommitsRequest in = PANGOLIN__V1__POLL_COMMITS_REQUEST__INIT;
        Pangolin__V1__PollCommitsResponse out = PANGOLIN__V1__POLL_COMMITS_RESPONSE__INIT;
        in.catalog = TEXT("demo");
        in._after_case = PANGOLIN__V1__POLL_COMMITS_REQUEST___AFTER_AFTER;
        in.after = after;
        in.author = TEXT(author);
        in.page_size = 1;
        in.timeout = 2;
        assert_int_equal(fx_call_in(fx, arena, "PollCommits", &in, &out, &runs, &keep, &fx->err),
                         PANG_OK);
        assert_true(out.next > after);
        after = out.next;
        found += out.n_commits;
        pang_arena_free(arena);
    }
    assert_int_equal(after, last);
    return found;
}

static void test_commits__a_wait_passes_by_many_in_little_memory(void **state)
{
    fixture *fx = *state;
    enum { COMMITS = 600 };
    uint64_t last = 0;
    for (int i = 0; i < COMMITS; i++)
        last = rfx_put(fx, "demo", "t", "m");
    assert_int_equal(poll_all(fx, "nobody", (int64_t)last), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_commits__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(branches_meet_where_they_forked),
        TEST(what_was_made_apart_never_meets),
        TEST(a_side_is_walked_down_to_the_common_point),
        TEST(a_log_is_newest_first_over_all_levels),
        TEST(parents_lead_over_the_fork),
        TEST(a_tables_log_follows_it),
        TEST(a_tables_log_does_not_read_the_branch),
        TEST(a_log_by_time_and_author),
        TEST(bad_pages_are_refused),
        TEST(a_commit_tells_before_and_after),
        TEST(no_commit_is_404),
        TEST(an_offset_is_served_or_refused),
        TEST(a_wait_passes_by_many_in_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
