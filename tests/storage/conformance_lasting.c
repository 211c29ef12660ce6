/*
 * What outlives a process: what was acknowledged before the store was closed, or its process
 * killed. Not run for `memory:`, which promises none of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/storage/conformance.h"

static void store_open__everything_is_there_again(void **state)
{
    world *w = *state;
    draft *d = draft_new(w);
    draft_put(d, key_of(w, "a"), PANG_STR("body"));
    draft_add(d, key_of(w, "n"), -3);
    draft_append(d, key_of(w, "s"));
    must_send(w, 0, d, PANG_COMMIT_OK);
    uint64_t version = get_one(w, 0, key_of(w, "a")).version;
    world_close(w);
    world_open(w);
    pang_record r = get_one(w, 0, key_of(w, "a"));
    assert_int_equal(r.version, version);
    assert_true(pang_str_equal(r.body, PANG_STR("body")));
    assert_int_equal(get_one(w, 1, key_of(w, "n")).value, -3);
    draft *again = draft_new(w);
    again->c.id_key = d->c.id_key;
    must_send(w, 0, again, PANG_COMMIT_ABORTED);
    assert_true(again->c.id_was_there);
    draft *next = draft_new(w);
    draft_append(next, key_of(w, "s"));
    draft_put(next, key_of(w, "a"), PANG_STR("later"));
    must_send(w, 1, next, PANG_COMMIT_OK);
    assert_int_equal(next->c.numbers[0], 2);
    assert_int_not_equal(get_one(w, 0, key_of(w, "a")).version, version);
}

static void store_migrate__may_run_again(void **state)
{
    world *w = *state;
    (void)put_one(w, key_of(w, "a"), PANG_STR("body"));
    pang_err err = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pang_store_migrate(w->store[i % 2], &err), PANG_OK);
    assert_true(pang_str_equal(get_one(w, 1, key_of(w, "a")).body, PANG_STR("body")));
}

/* ---- kill -9 ---- */

enum { ACKED_ENOUGH = 40, GROUP = 3, KILL_ROUNDS = 3 };

/* Commits in groups and writes the last number of each to the pipe once it is acknowledged. Runs
 * in a child until it is killed. */
static void commit_for_ever(world *w, int to)
{
    world_open(w);
    for (;;) {
        draft *d[GROUP];
        pang_commit *commits[GROUP];
        for (int i = 0; i < GROUP; i++) {
            d[i] = draft_new(w);
            commits[i] = &d[i]->c;
            int slot = draft_append(d[i], key_of(w, "s"));
            draft_add(d[i], key_of(w, "n"), 1);
            for (int half = 0; half < 2; half++) {
                pang_put *put = draft_put(d[i], key_of(w, "half%d/0000000000000000", half),
                                          PANG_STR("x"));
                put->slot = put->key_slot = slot;
                put->key_slot_at = put->key.len - PANG_SLOT_DIGITS;
            }
        }
        pang_store_apply(w->store[0], commits, GROUP);
        for (int i = 0; i < GROUP; i++)
            if (d[i]->c.outcome != PANG_COMMIT_OK)
                _exit(3);
        uint64_t number = d[GROUP - 1]->c.numbers[0];
        if (write(to, &number, sizeof number) != sizeof number)
            _exit(4);
        pang_arena_reset(w->arena);
    }
}

/* The last number that the child was told is durable. */
static uint64_t run_and_kill(world *w)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        (void)close(ends[0]);
        commit_for_ever(w, ends[1]);
    }
    (void)close(ends[1]);
    uint64_t number = 0, last = 0;
    for (int i = 0; i < ACKED_ENOUGH; i++) {
        if (read(ends[0], &number, sizeof number) != sizeof number)
            break;
        last = number;
    }
    (void)kill(child, SIGKILL);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* What it wrote between the last read and its end was acknowledged too. */
    while (read(ends[0], &number, sizeof number) == sizeof number)
        last = number;
    (void)close(ends[0]);
    return last;
}

static void store_apply__acknowledged_commits_survive_kill_9(void **state)
{
    world *w = *state;
    for (int round = 0; round < KILL_ROUNDS; round++) {
        world_close(w);
        uint64_t acked = run_and_kill(w);
        world_open(w);
        /* A void commit waits for what the dead process may still have under way at a server. */
        must_send(w, 0, draft_new(w), PANG_COMMIT_OK);
        uint64_t landed = (uint64_t)get_one(w, 0, key_of(w, "s")).value;
        assert_true(acked >= ACKED_ENOUGH * GROUP);
        assert_true(landed >= acked);
        assert_int_equal(get_one(w, 1, key_of(w, "n")).value, landed);
        for (int half = 0; half < 2; half++) {
            pang_query q = {.prefix = key_of(w, "half%d/", half), .limit = PANG_SCAN_MAX};
            row_list rows = scan_rows(w, half, q);
            assert_int_equal(rows.n, landed);
            for (size_t i = 0; i < rows.n; i++)
                assert_int_equal(rows.rows[i].sequence, i + 1);
        }
    }
}

const struct CMUnitTest lasting_tests[] = {
    cmocka_unit_test(store_open__everything_is_there_again),
    cmocka_unit_test(store_migrate__may_run_again),
    cmocka_unit_test(store_apply__acknowledged_commits_survive_kill_9),
};
const size_t n_lasting_tests = PANG_COUNT(lasting_tests);
