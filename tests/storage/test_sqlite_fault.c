/*
 * The SQLite backend over a file system that fails: each write, sync and truncation of a run in
 * turn, once and for good; then loss of power at thousands of moments.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/storage/sqlite_history.h"
#include "tests/storage/sqlite_shim.h"

/* ---- the n-th call fails ---- */

enum { GROUPS = 5, GROUP = 2 };

typedef struct {
    shim_op op;
    int rc;
    bool for_ever;
} plan;

typedef struct {
    uint64_t ok, unknown; /* commits */
    bool failed_apply, last_ok;
} run_result;

/* Commits while calls fail; what the process itself reads stays right all along. */
static run_result run_with_faults(history *h)
{
    run_result r = {0};
    pang_err err = {0};
    if (history_open(h, true, &err) != PANG_OK)
        return r;
    for (int i = 0; i < GROUPS; i++) {
        pang_outcome outcome = history_commit(h, r.ok, GROUP, &err);
        r.last_ok = outcome == PANG_COMMIT_OK;
        if (r.last_ok) {
            assert_int_equal(r.unknown,
                             0); /* no writes after a doubt, or the doubt could land late */
            r.ok += GROUP;
        } else {
            r.failed_apply = true;
            r.unknown += outcome == PANG_COMMIT_UNKNOWN ? GROUP : 0;
        }
        assert_int_equal(history_landed(h), r.ok);
    }
    return r;
}

static void check_after_faults(history *h, const plan *p, const run_result *r, int n)
{
    pang_err err = {0};
    if (history_open(h, true, &err) != PANG_OK)
        fail_msg("call %d: %s: %s", n, err.message, err.detail);
    uint64_t landed = history_landed(h);
    if (landed != r->ok && landed != r->ok + r->unknown)
        fail_msg("call %d: %d landed, %d were acknowledged and %d unknown", n, (int)landed,
                 (int)r->ok, (int)r->unknown);
    if (p->rc == SQLITE_FULL) {
        assert_int_equal(r->unknown, 0);
        if (!p->for_ever && r->failed_apply && r->ok < (GROUPS - 1) * GROUP)
            fail_msg("call %d: a full disk that passed failed more than one group", n);
    }
    if (history_commit(h, landed, 1, &err) != PANG_COMMIT_OK)
        fail_msg("call %d: %s: %s", n, err.message, err.detail);
    assert_int_equal(history_landed(h), landed + 1);
    history_close(h);
}

/* Returns at how many calls the run was made to fail. */
static int sweep(const plan *p)
{
    int n = 1;
    for (bool injected = true; injected; n++) {
        history h;
        history_begin(&h, "sweep.db");
        shim_fail(p->op, n, p->rc, p->for_ever);
        run_result r = run_with_faults(&h);
        history_close(&h);
        injected = shim_failed() > 0;
        shim_fail(p->op, 0, SQLITE_OK, false);
        check_after_faults(&h, p, &r, n);
        history_end(&h);
        if (!injected)
            assert_int_equal(r.ok, GROUPS * GROUP);
    }
    return n - 2;
}

static void sqlite_apply__every_failing_call_is_an_answer(void **state)
{
    (void)state;
    static const plan plans[] = {
        {SHIM_WRITE, SQLITE_FULL, false},
        {SHIM_WRITE, SQLITE_FULL, true},
        {SHIM_WRITE, SQLITE_IOERR_WRITE, false},
        {SHIM_WRITE, SQLITE_IOERR_WRITE, true},
        {SHIM_SYNC, SQLITE_IOERR_FSYNC, false},
        {SHIM_SYNC, SQLITE_IOERR_FSYNC, true},
        {SHIM_TRUNCATE, SQLITE_IOERR_TRUNCATE, true},
    };
    shim_install();
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        int points = sweep(&plans[i]);
        print_message("kind %d, result %d, %s: %d points\n", (int)plans[i].op, plans[i].rc,
                      plans[i].for_ever ? "for good" : "once", points);
        if (plans[i].op != SHIM_TRUNCATE)
            assert_true(points > GROUPS);
    }
}

static void sqlite_apply__takes_no_writes_after_a_failed_sync(void **state)
{
    (void)state;
    history h;
    pang_err err = {0};
    shim_install();
    history_begin(&h, "sync.db");
    assert_int_equal(history_open(&h, true, &err), PANG_OK);
    assert_int_equal(history_commit(&h, 0, 2, &err), PANG_COMMIT_OK);
    shim_fail(SHIM_SYNC, 1, SQLITE_IOERR_FSYNC, false);
    assert_int_equal(history_commit(&h, 2, 2, &err), PANG_COMMIT_UNKNOWN);
    assert_int_equal(shim_failed(), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(history_commit(&h, 2, 1, &err), PANG_COMMIT_FAILED);
        assert_int_equal(err.code, PANG_UNAVAILABLE);
        assert_non_null(strstr(err.message, "opened again"));
        assert_int_equal(history_landed(&h), 2);
    }
    history_close(&h);
    assert_int_equal(history_open(&h, true, &err), PANG_OK);
    uint64_t landed = history_landed(&h);
    assert_true(landed == 2 || landed == 4);
    assert_int_equal(history_commit(&h, landed, 2, &err), PANG_COMMIT_OK);
    history_end(&h);
}

/* ---- loss of power ---- */

typedef struct {
    char folder[512];
    uint64_t dice;
    _Atomic(uint64_t) acked; /* commits answered with OK before the moment under way */
    uint64_t acked_then;     /* at the moment of the crash that was kept */
    atomic_bool has_crash;
} power;

/* Keeps what the disk would hold at a moment out of about `one in` many. */
static shim_watch_fn maybe_lose_power;
static void maybe_lose_power(void *arg)
{
    power *p = arg;
    enum { ONE_IN = 12 };
    p->dice = p->dice * 6364136223846793005u + 1442695040888963407u;
    if (atomic_load(&p->has_crash) || (p->dice >> 33) % ONE_IN != 0)
        return;
    p->acked_then = atomic_load(&p->acked);
    assert_true(shim_crash(p->folder, &p->dice));
    atomic_store(&p->has_crash, true);
}

static void check_whole(const char *path)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(db);
}

static void check_crash(history *after, const power *p, uint64_t acked_now, size_t group)
{
    pang_err err = {0};
    if (history_open(after, true, &err) != PANG_OK)
        fail_msg("after %d commits: %s: %s", (int)p->acked_then, err.message, err.detail);
    uint64_t landed = history_landed(after);
    if (landed < p->acked_then || landed > acked_now + group)
        fail_msg("%d of %d acknowledged commits are left", (int)landed, (int)p->acked_then);
    if (history_commit(after, landed, 1, &err) != PANG_COMMIT_OK)
        fail_msg("after %d commits: %s: %s", (int)landed, err.message, err.detail);
    assert_int_equal(history_landed(after), landed + 1);
    history_close(after);
    check_whole(after->path);
}

static void sqlite_apply__acknowledged_commits_survive_loss_of_power(void **state)
{
    (void)state;
#ifdef PANG_SANITIZED
    enum { CRASHES = 200 };
#else
    enum { CRASHES = 2000 };
#endif
    const char *longer = getenv("PANG_TEST_LONG");
    int crashes = longer != NULL && longer[0] == '1' ? 100000 : CRASHES;
    shim_install();
    history h, after;
    static power p;
    p.dice = 20240607;
    history_begin(&h, "power.db");
    history_begin(&after, "power.db");
    (void)snprintf(p.folder, sizeof p.folder, "%.450s.crash", h.path);
    (void)snprintf(after.path, sizeof after.path, "%.480s/power.db", p.folder);
    assert_true(mkdir(p.folder, 0700) == 0 || access(p.folder, W_OK) == 0);
    pang_err err = {0};
    assert_int_equal(history_open(&h, true, &err), PANG_OK);
    shim_watch(maybe_lose_power, &p);
    for (int done = 0; done < crashes;) {
        size_t group = (size_t)(p.acked % 5 + 1);
        assert_int_equal(history_commit(&h, p.acked, group, &err), PANG_COMMIT_OK);
        atomic_fetch_add(&p.acked, group);
        if (!atomic_load(&p.has_crash))
            continue;
        shim_watch(NULL, NULL);
        check_crash(&after, &p, p.acked, 5);
        history_remove(after.path);
        atomic_store(&p.has_crash, false);
        shim_watch(maybe_lose_power, &p);
        done++;
    }
    shim_watch(NULL, NULL);
    print_message("%d crashes in %d commits\n", crashes, (int)p.acked);
    pang_arena_free(after.arena);
    history_end(&h);
    (void)rmdir(p.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sqlite_apply__every_failing_call_is_an_answer),
        cmocka_unit_test(sqlite_apply__takes_no_writes_after_a_failed_sync),
        cmocka_unit_test(sqlite_apply__acknowledged_commits_survive_loss_of_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
