/*
 * server/feed.c and svc_watch.c: commits in the order of their numbers, waited for and streamed.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "server/feed.h"
#include "server/health.h"
#include "tests/server/ref_fixture.h"

#include "pangolin/v1/commit.pb-c.h"

typedef Pangolin__V1__PollCommitsRequest poll_in;
typedef Pangolin__V1__PollCommitsResponse poll_out;
typedef Pangolin__V1__WatchCommitsRequest watch_in;
typedef Pangolin__V1__WatchCommitsResponse watch_out;

static poll_in polling(int64_t after)
{
    poll_in in = PANGOLIN__V1__POLL_COMMITS_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in._after_case = PANGOLIN__V1__POLL_COMMITS_REQUEST___AFTER_AFTER;
    in.after = after;
    return in;
}

/* Messages of all that comes after, read `size` at a time. */
static const char *all_after(fixture *fx, poll_in in, int32_t size)
{
    char text[1024] = "";
    in.page_size = size;
    for (;;) {
        poll_out out;
        if (fx_call(fx, "PollCommits", &in, &out) != PANG_OK)
            fail_msg("%s", fx->err.message);
        for (size_t i = 0; i < out.n_commits; i++) {
            size_t at = strlen(text);
            (void)snprintf(text + at, sizeof text - at, "%s%s", at > 0 ? " " : "",
                           out.commits[i]->message);
        }
        if (out.n_commits == 0 && out.next == in.after)
            return fx_text(fx, "%s", text);
        in.after = out.next;
    }
}

/* ---- the feed ---- */

static void test_watch__branches_are_woven_by_number(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "m1");
    rfx_branch(fx, "a", "demo", 0);
    rfx_put(fx, "demo@a", "t", "a1");
    rfx_put(fx, "demo", "t", "m2");
    rfx_branch(fx, "b", "demo@a", 0);
    rfx_put(fx, "demo@b", "t", "b1");
    rfx_put(fx, "demo@a", "t", "a2");
    rfx_put(fx, "demo", "u", "m3");
    for (int32_t size = 1; size < 8; size++) {
        assert_string_equal(all_after(fx, polling(0), size), "m1 a1 m2 b1 a2 m3");
        assert_string_equal(all_after(fx, polling(3), size), "b1 a2 m3");
        poll_in in = polling(0);
        in.branch = TEXT("b");
        assert_string_equal(all_after(fx, in, size), "m1 a1 b1");
        in.branch = TEXT("main");
        assert_string_equal(all_after(fx, in, size), "m1 m2 m3");
        in.table = TEXT("ns.u");
        assert_string_equal(all_after(fx, in, size), "m3");
    }
}

static void test_watch__it_begins_where_it_is_told_to(void **state)
{
    fixture *fx = *state;
    poll_out out;
    rfx_put(fx, "demo", "t", "m1");
    rfx_put(fx, "demo", "t", "m2");
    poll_in in = polling(0);
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_OK);
    in.after_commit = out.commits[0]->id;
    in._after_case = PANGOLIN__V1__POLL_COMMITS_REQUEST___AFTER__NOT_SET;
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_OK);
    assert_int_equal(out.n_commits, 1);
    assert_string_equal(out.commits[0]->message, "m2");
    in.after_commit = TEXT("");
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_OK);
    assert_int_equal(out.n_commits, 0); /* from now on */
    assert_int_equal(out.next, 2);
}

static void test_watch__bad_input_is_refused(void **state)
{
    fixture *fx = *state;
    poll_out out;
    rfx_put(fx, "demo", "t", "m1");
    rfx_tag(fx, "v1", "demo", 0);
    poll_in in = polling(-1);
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_INVALID_ARGUMENT);
    in = polling(2); /* of another life of the store: what it waits for would be lost */
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_INVALID_ARGUMENT);
    in = polling(0);
    in.timeout = 26;
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_INVALID_ARGUMENT);
    in.timeout = 0;
    in.branch = TEXT("v1");
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_INVALID_ARGUMENT);
    in.branch = TEXT("none");
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_NOT_FOUND);
    in.branch = TEXT("");
    in.after_commit = TEXT("01890a5d-ac96-774b-bcce-b302099a8057");
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_NOT_FOUND);
    watch_in watch = PANGOLIN__V1__WATCH_COMMITS_REQUEST__INIT;
    watch.catalog = TEXT(FX_PREFIX);
    watch.heartbeat = -1;
    assert_int_equal(fx_stream(fx, "WatchCommits", &watch, NULL, NULL), PANG_INVALID_ARGUMENT);
}

/* ---- waiting ---- */

static bool pass_all(void *arg, const void *message)
{
    (void)arg;
    (void)message;
    return true;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Another client, with memory of its own. */
typedef struct {
    fixture own;
    int count;
    const char *prefix;
    long pause_us;
} writer;

static void *write_some(void *arg)
{
    writer *w = arg;
    for (int i = 0; i < w->count; i++) {
        char text[32];
        (void)nanosleep(&(struct timespec){.tv_nsec = w->pause_us * 1000}, NULL);
        (void)snprintf(text, sizeof text, "%d", i);
        rfx_put(&w->own, w->prefix, w->prefix, text);
        pang_arena_reset(w->own.arena);
    }
    return NULL;
}

static void begin_writer(fixture *fx, writer *w, pthread_t *ret)
{
    w->own = (fixture){.env = fx->env, .db = fx->db, .who = fx->who, .scope = fx->scope};
    w->own.arena = pang_arena_new(16 << 20);
    assert_int_equal(pthread_create(ret, NULL, write_some, w), 0);
}

static void end_writer(writer *w, pthread_t thread)
{
    (void)pthread_join(thread, NULL);
    pang_arena_free(w->own.arena);
}

static void test_watch__a_call_waits_for_the_first_commit(void **state)
{
    fixture *fx = *state;
    poll_out out;
    pthread_t thread;
    writer w = {.count = 1, .prefix = "demo", .pause_us = 50000};
    rfx_put(fx, "demo", "t", "m1");
    poll_in in = polling(1);
    in.timeout = 20;
    int64_t begun = now_ms();
    begin_writer(fx, &w, &thread);
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_OK);
    end_writer(&w, thread);
    assert_int_equal(out.n_commits, 1);
    assert_int_equal(out.next, 2);
    assert_true(now_ms() - begun < 10000);
    assert_int_equal(fx->runs, 2); /* what the caller may was asked again after the wait */
}

/* It begins when it is called, not when it runs again. */
static void test_watch__a_call_from_now_on_has_what_woke_it(void **state)
{
    fixture *fx = *state;
    poll_out out;
    pthread_t thread;
    writer w = {.count = 1, .prefix = "demo", .pause_us = 200000};
    rfx_put(fx, "demo", "t", "m1");
    poll_in in = PANGOLIN__V1__POLL_COMMITS_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in.timeout = 20;
    begin_writer(fx, &w, &thread);
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_OK);
    end_writer(&w, thread);
    assert_int_equal(out.n_commits, 1);
    assert_int_equal(out.next, 2);
    assert_int_equal(fx->runs, 2);
}

static void test_watch__a_wait_ends(void **state)
{
    fixture *fx = *state;
    poll_out out;
    poll_in in = polling(0);
    in.timeout = 1;
    int64_t begun = now_ms();
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_OK);
    assert_int_equal(out.n_commits, 0);
    assert_true(now_ms() - begun >= 1000);
}

static void test_watch__a_server_that_stops_waits_for_nobody(void **state)
{
    fixture *fx = *state;
    poll_out out;
    watch_in watch = PANGOLIN__V1__WATCH_COMMITS_REQUEST__INIT;
    pang_health *health = pang_health_new();
    pang_health_set(health, PANG_DRAINING);
    fx->server.health = health;
    poll_in in = polling(0);
    in.timeout = 20;
    int64_t begun = now_ms();
    assert_int_equal(fx_call(fx, "PollCommits", &in, &out), PANG_OK);
    assert_true(now_ms() - begun < 10000);
    watch.catalog = TEXT(FX_PREFIX);
    assert_int_equal(fx_stream(fx, "WatchCommits", &watch, pass_all, NULL), PANG_UNAVAILABLE);
    fx->server.health = NULL;
    pang_health_free(health);
}

/* ---- the stream ---- */

typedef struct {
    fixture *fx;
    uint64_t last;
    size_t commits, beats, goes_after;
    bool refuse;
} client;

static bool take(void *arg, const void *message)
{
    client *c = arg;
    const watch_out *out = message;
    if (out->commit == NULL) {
        c->beats++;
        assert_true((uint64_t)out->next >= c->last);
        return true;
    }
    assert_int_equal(out->next, out->commit->sequence);
    assert_int_equal(out->commit->sequence, c->last + 1); /* whole, in order */
    c->last = (uint64_t)out->commit->sequence;
    if (c->refuse)
        c->fx->refuses = PANG_PERMISSION_DENIED;
    return ++c->commits < c->goes_after;
}

static void test_watch__many_writers_none_lost(void **state)
{
    fixture *fx = *state;
    enum { WRITERS = 4, EACH = 100, RESUMES = 5 };
    static const char *const prefixes[] = {"demo", "demo@a", "demo@b", "demo@c"};
    writer writers[WRITERS];
    pthread_t threads[WRITERS];
    rfx_branch(fx, "a", "demo", 0);
    rfx_branch(fx, "b", "demo", 0);
    rfx_branch(fx, "c", "demo", 0);
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.count = EACH, .prefix = prefixes[i]};
        begin_writer(fx, &writers[i], &threads[i]);
    }
    client c = {.fx = fx};
    for (int i = 0; i < RESUMES; i++) {
        watch_in in = PANGOLIN__V1__WATCH_COMMITS_REQUEST__INIT;
        in.catalog = TEXT(FX_PREFIX);
        in._after_case = PANGOLIN__V1__WATCH_COMMITS_REQUEST___AFTER_AFTER;
        in.after = (int64_t)c.last;
        c.commits = 0;
        c.goes_after = WRITERS * EACH / RESUMES;
        assert_int_equal(fx_stream(fx, "WatchCommits", &in, take, &c), PANG_CANCELLED);
        c.last = (uint64_t)in.after + WRITERS * EACH / RESUMES; /* more was sent to nobody */
    }
    assert_int_equal(c.last, WRITERS * EACH);
    for (size_t i = 0; i < WRITERS; i++)
        end_writer(&writers[i], threads[i]);
}

static void test_watch__a_stream_ends_with_the_callers_rights(void **state)
{
    fixture *fx = *state;
    for (int i = 0; i < 100; i++)
        rfx_put(fx, "demo", "t", "m");
    client c = {.fx = fx, .goes_after = 1000, .refuse = true};
    watch_in in = PANGOLIN__V1__WATCH_COMMITS_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in._after_case = PANGOLIN__V1__WATCH_COMMITS_REQUEST___AFTER_AFTER;
    assert_int_equal(fx_stream(fx, "WatchCommits", &in, take, &c), PANG_PERMISSION_DENIED);
    assert_true(c.commits > 0 && c.commits < 100);
}

static bool until_two_beats(void *arg, const void *message)
{
    client *c = arg;
    const watch_out *out = message;
    assert_null(out->commit);
    c->last = (uint64_t)out->next;
    return ++c->beats < 2;
}

static void test_watch__heartbeats_tell_how_far_it_is(void **state)
{
    fixture *fx = *state;
    client c = {.fx = fx};
    rfx_put(fx, "demo", "t", "m1");
    watch_in in = PANGOLIN__V1__WATCH_COMMITS_REQUEST__INIT;
    in.catalog = TEXT(FX_PREFIX);
    in._after_case = PANGOLIN__V1__WATCH_COMMITS_REQUEST___AFTER_AFTER;
    in.table = TEXT("ns.another");
    in.heartbeat = 1;
    assert_int_equal(fx_stream(fx, "WatchCommits", &in, until_two_beats, &c), PANG_CANCELLED);
    assert_int_equal(c.last, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_watch__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(branches_are_woven_by_number),
        TEST(it_begins_where_it_is_told_to),
        TEST(bad_input_is_refused),
        TEST(a_call_waits_for_the_first_commit),
        TEST(a_call_from_now_on_has_what_woke_it),
        TEST(a_wait_ends),
        TEST(a_server_that_stops_waits_for_nobody),
        TEST(many_writers_none_lost),
        TEST(a_stream_ends_with_the_callers_rights),
        TEST(heartbeats_tell_how_far_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
