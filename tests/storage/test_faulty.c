/*
 * The fault injector itself: each fault does what its name says, at the call it was told. Crashes
 * are tried on SQLite, where something is left to look at.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/txn.h"
#include "storage/backends.h"
#include "storage/faulty.h"

const pang_store_ops *const pang_stores[] = {
    &pang_memory_ops,
    &pang_sqlite_ops,
    &pang_faulty_ops,
    NULL,
};

static pang_store *open_url(const char *url)
{
    pang_store_config config = {.url = pang_str_from(url), .env = &pang_env_system};
    pang_store *store = NULL;
    pang_err err = {0};
    if (pang_store_open(&config, &store, &err) != PANG_OK ||
        pang_store_migrate(store, &err) != PANG_OK)
        fail_msg("%s %s", err.message, err.detail);
    return store;
}

static pang_code read_count(pang_store *store, int64_t *ret)
{
    pang_arena *arena = pang_arena_new(1 << 20);
    assert_non_null(arena);
    pang_ref ref = {.key = PANG_STR("t/n"), .mode = PANG_REF_EXACT};
    pang_record record = {0};
    pang_err err = {0};
    pang_code code = pang_store_get(store, &ref, 1, PANG_NO_DEADLINE, arena, &record, &err);
    *ret = record.value;
    pang_arena_free(arena);
    return code;
}

/* ---- the n-th call ---- */

static void test_faulty__hits_the_calls_it_was_told(void **state)
{
    (void)state;
    pang_store *store = open_url("faulty:memory:");
    assert_true(store->ops->exclusive && store->ops->local); /* as the memory store is */
    pang_faulty_arm(store, &(pang_fault_plan){
                               .fault = PANG_FAULT_FAIL,
                               .calls = PANG_CALL_GET | PANG_CALL_PING,
                               .at = 3,
                               .times = 2,
                           });
    static const pang_code expected[] = {PANG_OK, PANG_OK, PANG_UNAVAILABLE, PANG_UNAVAILABLE,
                                         PANG_OK};
    for (int i = 0; i < 5; i++) {
        int64_t n;
        pang_err err;
        pang_query q = {.prefix = PANG_STR("t/"), .limit = 1};
        assert_int_equal(pang_store_scan(store, &q, PANG_NO_DEADLINE, NULL, NULL, &err), PANG_OK);
        if (i == 2)
            assert_int_equal(pang_store_ping(store, PANG_NO_DEADLINE, &err), expected[i]);
        else
            assert_int_equal(read_count(store, &n), expected[i]);
    }
    assert_int_equal(pang_faulty_calls(store), 5);
    assert_int_equal(pang_faulty_hits(store), 2);
    pang_store_close(store);
}

static void test_faulty__a_delay_is_as_long_as_told(void **state)
{
    (void)state;
    pang_store *store = open_url("faulty:memory:");
    pang_faulty_arm(store, &(pang_fault_plan){.fault = PANG_FAULT_DELAY, .at = 1, .delay_ms = 30});
    int64_t n, begin = pang_env_mono_ms(&pang_env_system);
    assert_int_equal(read_count(store, &n), PANG_OK);
    assert_true(pang_env_mono_ms(&pang_env_system) - begin >= 29);
    pang_store_close(store);
}

/* ---- crashes ---- */

enum { COMMITS = 6 };

static pang_txn_fn count_one;
static pang_code count_one(pang_txn *txn, void *arg, pang_err *err)
{
    (void)arg;
    (void)err;
    pang_txn_add(txn, PANG_STR("t/n"), 1);
    return PANG_OK;
}

/* In a child: commits that end with the crash, or with the last of them. */
static void commit_some(const char *url, pang_fault fault, unsigned at)
{
    pang_store *store = open_url(url);
    pang_db *db = NULL;
    pang_err err;
    pang_arena *arena = pang_arena_new(1 << 20);
    if (arena == NULL || pang_db_open(store, NULL, &db, &err) != PANG_OK)
        _exit(3);
    pang_faulty_arm(store, &(pang_fault_plan){.fault = fault, .calls = PANG_CALL_APPLY, .at = at});
    for (int i = 0; i < COMMITS; i++)
        if (pang_txn_run(db, PANG_STR("t"), PANG_NO_DEADLINE, arena, count_one, NULL, &err) !=
            PANG_OK)
            _exit(4);
    _exit(0);
}

static void test_faulty__a_crash_leaves_what_was_applied(void **state)
{
    (void)state;
    const char *folder = getenv("TEST_TMPDIR");
    for (unsigned at = 1; at <= COMMITS + 1; at++)
        for (int after = 0; after < 2; after++) {
            char url[512];
            (void)snprintf(url, sizeof url, "faulty:sqlite:%s/crash-%u-%d.db",
                           folder == NULL ? "." : folder, at, after);
            pid_t child = fork();
            assert_int_not_equal(child, -1);
            if (child == 0)
                commit_some(url, after ? PANG_FAULT_CRASH_AFTER : PANG_FAULT_CRASH_BEFORE, at);
            int status = 0;
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(WIFSIGNALED(status) != 0, at <= COMMITS);
            assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
            pang_store *store = open_url(url);
            int64_t n = -1;
            assert_int_equal(read_count(store, &n), PANG_OK);
            assert_int_equal(n, at > COMMITS ? COMMITS : at - 1 + (unsigned)after);
            pang_store_close(store);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_faulty__hits_the_calls_it_was_told),
    cmocka_unit_test(test_faulty__a_delay_is_as_long_as_told),
    cmocka_unit_test(test_faulty__a_crash_leaves_what_was_applied),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
