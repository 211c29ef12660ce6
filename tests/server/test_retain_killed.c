/*
 * Collecting and retention by processes that are killed at every step, on a store that lasts: after
 * each death all refs read as before, and in the end one comes through.
 */
#include "tests/server/avro_fixture.h"
#include "tests/server/ref_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/gc.h"
#include "server/retain.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

enum { TABLES = 8, VERSIONS = 6, ORPHANS = 5, RUNS_MAX = 400 };

static char folder[64], url[128];

static fixture *open_later(void)
{
    fixture *fx = fx_open_in(url, folder);
    atomic_store(&fx->ahead_ms, 45 * DAY_MS);
    return fx;
}

/* ---- what processes do ---- */

static void fill(void)
{
    static const char *const files[] = {"a"};
    fixture *fx = fx_open_in(url, folder);
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    fx_ok(fx, fx_create_table(fx, "ns", "real", NULL));
    const char *place = fx_text(fx, "%s/ns/real", fx->warehouse);
    fx_ok(fx, fx_append(fx, FX_PREFIX, "real", place, 1, files, 1));
    for (int i = 0; i < ORPHANS; i++)
        fx_write_over(fx_text(fx, "%s/data/orphan-%d", place, i), "x");
    for (int v = 0; v < VERSIONS; v++) {
        for (int i = 0; i < TABLES; i++)
            (void)rfx_put(fx, FX_PREFIX, fx_text(fx, "t%d", i), fx_text(fx, "%d", v));
        if (v == 2)
            rfx_branch(fx, "dev", FX_PREFIX, 0);
        if (v == 3)
            rfx_tag(fx, "v1", FX_PREFIX, 0);
    }
    for (int i = 0; i < TABLES; i += 2)
        (void)rfx_drop(fx, FX_PREFIX, fx_text(fx, "t%d", i));
}

typedef struct {
    int left;
} dying;

static bool step(void *arg)
{
    dying *d = arg;
    if (--d->left == 0)
        (void)raise(SIGKILL);
    return true;
}

static bool step_file(void *arg, pang_str location, int64_t bytes)
{
    (void)location;
    (void)bytes;
    return step(arg);
}

static void clean(int steps)
{
    dying d = {steps};
    fixture *fx = open_later();
    pang_id catalog = rfx_view(fx, FX_PREFIX).catalog;
    pang_gc_plan files = {.scope = FX_SCOPE, .catalog = catalog, .grace_ms = DAY_MS};
    pang_retain_plan history = {.scope = FX_SCOPE, .catalog = catalog};
    pang_gc_outcome gone;
    pang_retain_outcome out;
    fx_ok(fx, pang_gc_run(fx->state, &files, step_file, &d, &gone, &fx->err));
    fx_ok(fx, pang_retain_run(fx->state, &history, step, &d, &out, &fx->err));
}

static void expect(fixture *fx, const char *prefix, const char *name, const char *shall)
{
    const char *is = rfx_location(fx, prefix, name);
    if ((is == NULL) != (shall == NULL) || (is != NULL && strcmp(is, shall) != 0))
        fail_msg("%s of %s is %s and not %s", name, prefix, is == NULL ? "gone" : is,
                 shall == NULL ? "gone" : shall);
}

static void look(void)
{
    fixture *fx = open_later();
    for (int i = 0; i < TABLES; i++) {
        const char *name = fx_text(fx, "t%d", i);
        expect(fx, FX_PREFIX, name, i % 2 == 0 ? NULL : fx_text(fx, "%d", VERSIONS - 1));
        expect(fx, FX_PREFIX "@dev", name, "2");
        expect(fx, FX_PREFIX "@v1", name, "3");
    }
    fx_ok(fx, fx_load_table(fx, "ns", "real", NULL));
    assert_int_equal(access(fx_path(fx_text(fx, "%s/ns/real/data/a", fx->warehouse)), F_OK), 0);
}

/* Nothing is left to do. */
static void look_at_end(void)
{
    fixture *fx = open_later();
    pang_retain_outcome out;
    pang_retain_plan plan = {.scope = FX_SCOPE, .catalog = rfx_view(fx, FX_PREFIX).catalog};
    fx_ok(fx, pang_retain_run(fx->state, &plan, NULL, NULL, &out, &fx->err));
    for (size_t i = 0; i < PANG_RETAIN_KINDS; i++)
        assert_int_equal(out.removed[i], 0);
    assert_true(out.floor > 0);
    assert_int_equal(out.left[PANG_RETAIN_HISTORY], TABLES * 2); /* of the branch and the tag */
    for (int i = 0; i < ORPHANS; i++)
        assert_int_not_equal(
            access(fx_path(fx_text(fx, "%s/ns/real/data/orphan-%d", fx->warehouse, i)), F_OK), 0);
}

/* ---- processes ---- */

/* In a process of its own, which leaves the store as it dies. True: it came to its end. */
static bool in_process(void (*work)(int), int steps)
{
    int status;
    (void)fflush(NULL);
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        work(steps);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("a process ended with status %d", status);
    return true;
}

static void do_fill(int steps)
{
    (void)steps;
    fill();
}

static void do_look(int steps)
{
    (void)steps;
    look();
}

static void do_look_at_end(int steps)
{
    (void)steps;
    look_at_end();
}

static void test_retain_killed__at_every_step(void **state)
{
    int runs = 1;
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/pang-killed-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(url, sizeof url, "sqlite:%s/store.db", folder);
    assert_true(in_process(do_fill, 0));
    for (; !in_process(clean, runs); runs++) {
        assert_true(in_process(do_look, 0));
        assert_true(runs < RUNS_MAX);
    }
    print_message("killed %d times\n", runs - 1);
    assert_true(runs > ORPHANS);
    assert_true(in_process(do_look, 0));
    assert_true(in_process(do_look_at_end, 0));
    (void)snprintf(url, sizeof url, "rm -rf %s", folder);
    assert_int_equal(system(url), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retain_killed__at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
