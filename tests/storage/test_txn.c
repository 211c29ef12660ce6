/*
 * api/txn.h: own writes, what a commit checks, how it ends, and running again.
 */
#include <stdio.h>
#include <string.h>

#include "tests/storage/db_fixture.h"

static int set_up(void **state)
{
    static rig r;
    rig_open(&r, NULL);
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

/* ---- own writes ---- */

static void test_txn__own_writes_are_read(void **state)
{
    rig *r = *state;
    rig_put(r, r->a, "x", "old");
    pang_txn *txn = rig_begin(r, r->a);
    pang_txn_put(txn, PANG_KIND_FIRST + 1, PANG_STR("x"), PANG_STR("1"));
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_CHECKED, NULL), "1");
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), PANG_STR("2"));
    pang_record record;
    pang_err err;
    assert_int_equal(pang_txn_get_one(txn, PANG_STR("x"), &record, &err), PANG_OK);
    assert_true(pang_str_equal(record.body, PANG_STR("2")));
    assert_true(record.version == PANG_VERSION_OWN);
    pang_txn_delete(txn, PANG_STR("x"));
    assert_null(rig_get(r, txn, "x", PANG_READ_CHECKED, NULL));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), PANG_STR("3"));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("y"), PANG_STR("away"));
    pang_txn_delete(txn, PANG_STR("y"));
    pang_txn_delete(txn, PANG_STR("y"));
    assert_null(rig_get(r, txn, "y", PANG_READ_CHECKED, NULL));
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_CHECKED, NULL), "3");
    assert_true(pang_str_equal(rig_peek(r, "x").body, PANG_STR("old")));
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_true(pang_str_equal(rig_peek(r, "x").body, PANG_STR("3")));
    assert_int_equal(rig_peek(r, "y").version, 0);
}

static const char *ceiling(rig *r, pang_txn *txn, const char *from, size_t prefix_len)
{
    pang_ref ref = {pang_str_from(from), prefix_len, PANG_REF_CEILING, false, false};
    pang_record record;
    pang_err err;
    assert_int_equal(pang_txn_get(txn, &ref, 1, PANG_READ_CHECKED, &record, &err), PANG_OK);
    return record.version == 0 ? NULL : pang_arena_cstr(r->arena, record.key);
}

static void test_txn__ceilings_see_own_writes(void **state)
{
    rig *r = *state;
    rig_put(r, r->a, "h/2", "x");
    rig_put(r, r->a, "h/4", "x");
    rig_put(r, r->a, "i/1", "x");
    pang_txn *txn = rig_begin(r, r->a);
    assert_string_equal(ceiling(r, txn, "h/1", 2), "h/2");
    pang_txn_delete(txn, PANG_STR("h/2"));
    assert_string_equal(ceiling(r, txn, "h/1", 2), "h/4");
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("h/3"), PANG_STR("own"));
    assert_string_equal(ceiling(r, txn, "h/1", 2), "h/3");
    pang_txn_delete(txn, PANG_STR("h/4"));
    assert_null(ceiling(r, txn, "h/3", 2));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("h/9"), PANG_STR("own"));
    assert_string_equal(ceiling(r, txn, "h/3", 2), "h/9");
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_int_equal(rig_peek(r, "h/4").version, 0);
    assert_int_not_equal(rig_peek(r, "h/3").version, 0);
}

static const char *final_ceiling(rig *r, const char *from, uint64_t *ret_gets)
{
    pang_ref ref = {pang_str_from(from), 2, PANG_REF_CEILING, true, false};
    pang_record record;
    pang_err err;
    pang_db_stats before, after;
    pang_txn *txn = rig_begin(r, r->a);
    pang_db_get_stats(r->a, &before);
    assert_int_equal(pang_txn_get(txn, &ref, 1, PANG_READ_CHECKED, &record, &err), PANG_OK);
    pang_db_get_stats(r->a, &after);
    *ret_gets = after.gets - before.gets;
    assert_true(pang_str_equal(record.key, ref.key));
    return record.version == 0 ? NULL : pang_arena_cstr(r->arena, record.body);
}

static void test_txn__a_ceiling_that_never_changes_is_asked_once(void **state)
{
    rig *r = *state;
    uint64_t gets;
    assert_null(final_ceiling(r, "h/1", &gets));
    rig_put(r, r->a, "h/2", "two");
    rig_put(r, r->a, "h/1", "one");
    assert_string_equal(final_ceiling(r, "h/1", &gets), "two");
    assert_int_equal(gets, 1);
    assert_string_equal(final_ceiling(r, "h/1", &gets), "two");
    assert_int_equal(gets, 0);
    assert_null(final_ceiling(r, "h/2", &gets));
    assert_int_equal(gets, 1);
    pang_txn *txn = rig_begin(r, r->a);
    assert_string_equal(rig_get(r, txn, "h/1", PANG_READ_CHECKED, NULL), "one");
    assert_string_equal(ceiling(r, txn, "h/1", 2), "h/2");
}

static void test_txn__many_keys_are_told_apart(void **state)
{
    rig *r = *state;
    enum { N = 3000 };
    pang_txn *txn = rig_begin(r, r->a);
    for (int i = 0; i < N; i++) {
        pang_str text = pang_arena_printf(r->arena, "k%d", i);
        pang_txn_put(txn, PANG_KIND_FIRST, text, text);
    }
    for (int i = 0; i < N; i += 3)
        pang_txn_delete(txn, pang_arena_printf(r->arena, "k%d", i));
    for (int i = 0; i < N; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        const char *body = rig_get(r, txn, key, PANG_READ_CHECKED, NULL);
        if (i % 3 == 0)
            assert_null(body);
        else
            assert_string_equal(body, key);
    }
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_int_equal(rig_peek(r, "k3").version, 0);
    assert_true(pang_str_equal(rig_peek(r, "k2999").body, PANG_STR("k2999")) == (2999 % 3 != 0));
}

/* ---- what a commit checks ---- */

static void test_txn__what_was_read_must_still_be_so(void **state)
{
    rig *r = *state;
    static const struct {
        const char *name;
        pang_read_mode mode;
        bool immutable, unchecked, created, commits;
    } cases[] = {
        {"checked", PANG_READ_CHECKED, false, false, true, false},
        {"unchecked", PANG_READ_UNCHECKED, false, false, true, true},
        {"immutable", PANG_READ_CHECKED, true, false, true, true},
        {"unchecked among checked", PANG_READ_CHECKED, false, true, true, true},
        {"absent, checked", PANG_READ_CHECKED, false, false, false, false},
        {"absent, unchecked", PANG_READ_UNCHECKED, false, false, false, true},
        {"absent, unchecked among checked", PANG_READ_CHECKED, false, true, false, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char key[16], out[16];
        (void)snprintf(key, sizeof key, "x%zu", i);
        (void)snprintf(out, sizeof out, "out%zu", i);
        if (cases[i].created)
            rig_put(r, r->b, key, "1");
        pang_txn *txn = rig_begin(r, r->a);
        pang_ref ref = {pang_str_from(key), 0, PANG_REF_EXACT, cases[i].immutable,
                        cases[i].unchecked};
        pang_record record;
        pang_err err;
        assert_int_equal(pang_txn_get(txn, &ref, 1, cases[i].mode, &record, &err), PANG_OK);
        rig_put(r, r->b, key, "2");
        pang_txn_put(txn, PANG_KIND_FIRST, pang_str_from(out), PANG_STR("x"));
        pang_code code = rig_commit(txn);
        if (code != (cases[i].commits ? PANG_OK : PANG_ABORTED))
            fail_msg("%s: %s", cases[i].name, pang_code_name(code));
        assert_int_equal(rig_peek(r, out).version != 0, cases[i].commits);
    }
}

static void test_txn__reads_repeat(void **state)
{
    rig *r = *state;
    rig_put(r, r->b, "x", "1");
    pang_txn *txn = rig_begin(r, r->a);
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_UNCHECKED, NULL), "1");
    assert_null(rig_get(r, txn, "y", PANG_READ_UNCHECKED, NULL));
    rig_put(r, r->b, "x", "2");
    rig_put(r, r->b, "y", "2");
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_UNCHECKED, NULL), "1");
    assert_null(rig_get(r, txn, "y", PANG_READ_UNCHECKED, NULL));
    /* Read again under a check, the first version is what must still be there. */
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_CHECKED, NULL), "1");
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("z"), PANG_STR("x"));
    assert_int_equal(rig_commit(txn), PANG_ABORTED);
}

static void test_txn__counters_are_no_condition_unless_checked(void **state)
{
    rig *r = *state;
    for (int checked = 0; checked < 2; checked++) {
        rig_add(r, r->b, "n", 1);
        pang_txn *txn = rig_begin(r, r->a);
        pang_record n;
        pang_err err;
        assert_int_equal(pang_txn_get_one(txn, PANG_STR("n"), &n, &err), PANG_OK);
        assert_int_equal(n.value, rig_peek(r, "n").value);
        if (checked)
            pang_txn_check_counter(txn, PANG_STR("n"), n.value);
        rig_add(r, r->b, "n", 1);
        assert_int_equal(pang_txn_get_one(txn, PANG_STR("n"), &n, &err), PANG_OK);
        assert_int_equal(n.value, rig_peek(r, "n").value); /* read anew each time */
        pang_txn_add(txn, PANG_STR("n"), 10);
        assert_int_equal(rig_commit(txn), checked ? PANG_ABORTED : PANG_OK);
    }
    assert_int_equal(rig_peek(r, "n").value, 14);
}

/* However often: a commit may have fewer records than that. */
static void test_txn__adds_to_one_counter_are_one(void **state)
{
    rig *r = *state;
    pang_txn *txn = rig_begin(r, r->a);
    for (int i = 0; i <= PANG_COMMIT_OPS_MAX; i++)
        pang_txn_add(txn, PANG_STR("n"), i % 2 == 0 ? 3 : -1);
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_int_equal(rig_peek(r, "n").value, PANG_COMMIT_OPS_MAX + 3);
}

/* `own` is the store's only handle, `a` and `b` are two of many. */
static void test_txn__counters_are_remembered_where_nobody_else_writes(void **state)
{
    rig *r = *state;
    pang_db *handles[] = {r->own, r->a};
    for (size_t i = 0; i < COUNT_OF(handles); i++) {
        pang_record n;
        pang_err err;
        rig_add(r, handles[i], "n", 1);
        for (int round = 0; round < 3; round++) {
            uint64_t before = rig_stats(handles[i]).gets;
            for (int again = 0; again < 2; again++) {
                pang_txn *txn = rig_begin(r, handles[i]);
                pang_ref ref = {.key = PANG_STR("n")};
                assert_int_equal(pang_txn_get(txn, &ref, 1, PANG_READ_UNCHECKED, &n, &err),
                                 PANG_OK);
                assert_int_equal(n.value, rig_peek(r, "n").value);
                assert_int_equal(pang_txn_finish(txn, &err), PANG_OK);
            }
            assert_int_equal(rig_stats(handles[i]).gets - before, i == 0 ? 1 : 2);
            rig_add(r, handles[i], "n", 1); /* what was remembered goes with the change */
        }
    }
}

static void test_txn__explicit_checks_are_asked_even_without_writes(void **state)
{
    rig *r = *state;
    rig_put(r, r->a, "x", "1");
    uint64_t version = rig_peek(r, "x").version;
    pang_txn *txn = rig_begin(r, r->a);
    pang_txn_check(txn, PANG_STR("x"), version);
    assert_false(pang_txn_writes(txn));
    assert_int_equal(rig_commit(txn), PANG_OK);
    txn = rig_begin(r, r->a);
    pang_txn_check(txn, PANG_STR("x"), version + 1);
    assert_int_equal(rig_commit(txn), PANG_ABORTED);
}

/* ---- sequences, ids, bounds ---- */

static void test_txn__slots_get_their_numbers(void **state)
{
    rig *r = *state;
    for (uint64_t i = 1; i <= 3; i++) {
        pang_txn *txn = rig_begin(r, r->own);
        int slot = pang_txn_append(txn, PANG_STR("seq"));
        assert_int_equal(pang_txn_append(txn, PANG_STR("other")), slot + 1);
        assert_int_equal(pang_txn_append(txn, PANG_STR("seq")), slot);
        pang_put put = {
            .key = PANG_STR("row/0000000000000000"),
            .body = PANG_STR("first"),
            .kind = PANG_KIND_FIRST,
            .slot = slot,
            .key_slot = slot,
            .key_slot_at = 4,
        };
        pang_txn_put_full(txn, &put);
        put.key = PANG_STR("two/0000000000000000"); /* the struct itself is not borrowed */
        pang_txn_put_full(txn, &put);
        assert_int_equal(rig_commit(txn), PANG_OK);
        assert_int_equal(pang_txn_number(txn, slot), i);
        assert_true(pang_txn_time_ms(txn) > 0);
        char key[32];
        (void)snprintf(key, sizeof key, "two/%016x", (unsigned)i);
        assert_int_equal(rig_peek(r, key).sequence, i);
        assert_int_equal(rig_peek(r, key).time_ms, pang_txn_time_ms(txn));
        (void)snprintf(key, sizeof key, "row/%016x", (unsigned)i);
        assert_string_equal(rig_read(r, r->own, key), "first");
    }
}

static void test_txn__an_id_lands_once(void **state)
{
    rig *r = *state;
    for (int i = 0; i < 2; i++) {
        pang_txn *txn = rig_begin(r, r->a);
        pang_txn_set_id(txn, pang_id_v7(&pang_env_system), PANG_STR("ik/one"), PANG_STR("answer"),
                        true);
        assert_true(pang_txn_writes(txn));
        pang_txn_add(txn, PANG_STR("n"), 1);
        assert_int_equal(rig_commit(txn), i == 0 ? PANG_OK : PANG_ABORTED);
    }
    assert_int_equal(rig_peek(r, "n").value, 1);
    assert_string_equal(rig_read(r, r->a, "ik/one"), "answer");
}

static void test_txn__what_is_out_of_bounds_fails_as_a_whole(void **state)
{
    rig *r = *state;
    static char long_key[PANG_KEY_MAX + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    for (int way = 0; way < 3; way++) {
        pang_txn *txn = rig_begin(r, r->a);
        pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), PANG_STR("1"));
        if (way == 0)
            pang_txn_put(txn, PANG_KIND_FIRST, pang_str_from(long_key), PANG_STR("1"));
        else if (way == 1)
            pang_txn_delete(txn, (pang_str){0});
        else
            for (int i = 0; i <= PANG_APPENDS_MAX; i++)
                (void)pang_txn_append(txn, pang_arena_printf(r->arena, "s%d", i));
        assert_int_equal(rig_commit(txn), PANG_INVALID_ARGUMENT);
    }
    pang_txn *txn = rig_begin(r, r->a);
    pang_code code;
    (void)rig_get(r, txn, long_key, PANG_READ_CHECKED, &code);
    assert_int_equal(code, PANG_INVALID_ARGUMENT);
    (void)rig_get(r, txn, "", PANG_READ_CHECKED, &code);
    assert_int_equal(code, PANG_INVALID_ARGUMENT);
    assert_int_equal(rig_peek(r, "x").version, 0);
}

static void test_txn__nothing_happens_past_the_deadline(void **state)
{
    rig *r = *state;
    int64_t past = pang_env_mono_ms(&pang_env_system) - 1;
    pang_txn *txn = pang_txn_begin(r->a, SCOPE, past, r->arena);
    pang_code code;
    (void)rig_get(r, txn, "x", PANG_READ_CHECKED, &code);
    assert_int_equal(code, PANG_DEADLINE_EXCEEDED);
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), PANG_STR("1"));
    assert_int_equal(rig_commit(txn), PANG_DEADLINE_EXCEEDED);
    assert_int_equal(rig_peek(r, "x").version, 0);
}

/* ---- endings ---- */

static void count_up(void *arg)
{
    ++*(int *)arg;
}

static void arm(pang_store *faults, pang_fault fault, unsigned calls, unsigned times)
{
    pang_faulty_arm(faults,
                    &(pang_fault_plan){.fault = fault, .calls = calls, .at = 1, .times = times});
}

static pang_txn *begin_with_hook(rig *r, int *lost)
{
    pang_txn *txn = rig_begin(r, r->a);
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("hooked"), PANG_STR("x"));
    assert_true(pang_txn_on_lost(txn, count_up, lost));
    assert_true(pang_txn_on_lost(txn, count_up, lost));
    return txn;
}

static void test_txn__on_lost_runs_when_it_is_certain(void **state)
{
    rig *r = *state;
    int lost = 0;
    assert_int_equal(rig_commit(begin_with_hook(r, &lost)), PANG_OK);
    assert_int_equal(lost, 0);

    pang_txn *txn = begin_with_hook(r, &lost);
    pang_txn_check(txn, PANG_STR("hooked"), 1000000);
    assert_int_equal(rig_commit(txn), PANG_ABORTED);
    assert_int_equal(lost, 2);

    txn = begin_with_hook(r, &lost);
    arm(r->faults_a, PANG_FAULT_FAIL, PANG_CALL_APPLY, 1);
    assert_int_equal(rig_commit(txn), PANG_UNAVAILABLE);
    assert_int_equal(lost, 4);

    pang_err err;
    assert_int_equal(pang_txn_finish(begin_with_hook(r, &lost), &err), PANG_OK);
    assert_int_equal(lost, 6);

    (void)begin_with_hook(r, &lost); /* dropped */
    pang_arena_reset(r->arena);
    assert_int_equal(lost, 8);
}

static void test_txn__an_unknown_outcome_is_learnt(void **state)
{
    rig *r = *state;
    int lost = 0;
    pang_txn *txn = begin_with_hook(r, &lost);
    int slot = pang_txn_append(txn, PANG_STR("seq"));
    arm(r->faults_a, PANG_FAULT_UNKNOWN_LANDED, PANG_CALL_APPLY, 1);
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_int_equal(lost, 0);
    assert_int_equal(pang_txn_number(txn, slot), 1);
    assert_int_equal(pang_txn_time_ms(txn), rig_peek(r, "seq").time_ms);
    assert_int_not_equal(rig_peek(r, "hooked").version, 0);
    rig_delete(r, r->a, "hooked");

    txn = begin_with_hook(r, &lost);
    arm(r->faults_a, PANG_FAULT_UNKNOWN_LOST, PANG_CALL_APPLY, 1);
    assert_int_equal(rig_commit(txn), PANG_ABORTED);
    assert_int_equal(lost, 2);
    assert_int_equal(rig_peek(r, "hooked").version, 0);
    assert_int_equal(rig_stats(r->a).unknown, 2);

    /* The answer to the void mark is lost too, whether or not it was set. */
    txn = begin_with_hook(r, &lost);
    arm(r->faults_a, PANG_FAULT_UNKNOWN_LANDED, PANG_CALL_APPLY, 3);
    assert_int_equal(rig_commit(txn), PANG_OK);
    rig_delete(r, r->a, "hooked");
    txn = begin_with_hook(r, &lost);
    arm(r->faults_a, PANG_FAULT_UNKNOWN_LOST, PANG_CALL_APPLY, 3);
    assert_int_equal(rig_commit(txn), PANG_ABORTED);
    assert_int_equal(lost, 4);
}

/* A clock that runs away, so that giving up takes no time. */
static int64_t running_ms(void *arg)
{
    static int64_t now = 1000;
    (void)arg;
    return now += 8000;
}

static void test_txn__an_outcome_that_stays_unknown_is_said_to_be(void **state)
{
    rig *r = *state;
    pang_env env = pang_env_system;
    env.mono_ms = running_ms;
    pang_store_config config = {.url = PANG_STR("faulty:memory:"), .env = &env};
    pang_store *store = NULL;
    pang_db *db = NULL;
    pang_err err = {0};
    assert_int_equal(pang_store_open(&config, &store, &err), PANG_OK);
    assert_int_equal(pang_db_open(store, NULL, &db, &err), PANG_OK);
    int lost = 0;
    pang_txn *txn = pang_txn_begin(db, SCOPE, 60000, r->arena);
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), PANG_STR("1"));
    assert_true(pang_txn_on_lost(txn, count_up, &lost));
    arm(store, PANG_FAULT_UNKNOWN_LOST, PANG_CALL_APPLY, 1000000);
    assert_int_equal(pang_txn_commit(txn, &err), PANG_UNKNOWN);
    assert_string_equal(err.reason, "CommitStateUnknownException");
    pang_arena_reset(r->arena);
    assert_int_equal(lost, 0); /* it may have landed: its files stay */
    pang_faulty_arm(store, NULL);
    assert_null(rig_read(r, db, "x"));
    pang_db_close(db);
}

/* ---- run ---- */

typedef struct {
    rig *r;
    int runs, disturbances, lost;
    pang_code answer;
    bool with_read;
} work;

static pang_txn_fn raise_x;
static pang_code raise_x(pang_txn *txn, void *arg, pang_err *err)
{
    work *w = arg;
    w->runs++;
    pang_record x;
    pang_code code = pang_txn_get_one(txn, PANG_STR("x"), &x, err);
    if (code != PANG_OK)
        return code;
    if (!pang_txn_on_lost(txn, count_up, &w->lost))
        return PANG_RESOURCE_EXHAUSTED;
    if (w->runs <= w->disturbances)
        rig_put(w->r, w->r->b, "x", "disturbed");
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"),
                 pang_arena_printf(w->r->arena, "run %d", w->runs));
    return w->answer == PANG_OK ? PANG_OK : pang_fail(err, w->answer, NULL, "as it was told");
}

static void test_txn_run__tries_until_it_wins(void **state)
{
    rig *r = *state;
    pang_err err;
    for (int disturbances = 0; disturbances < 4; disturbances++) {
        work w = {.r = r, .disturbances = disturbances};
        assert_int_equal(pang_txn_run(r->a, SCOPE, PANG_NO_DEADLINE, r->arena, raise_x, &w, &err),
                         PANG_OK);
        assert_int_equal(w.runs, disturbances + 1);
        assert_int_equal(w.lost, disturbances);
        assert_true(
            pang_str_equal(rig_peek(r, "x").body, pang_arena_printf(r->arena, "run %d", w.runs)));
    }
}

static void test_txn_run__gives_up_at_last(void **state)
{
    rig *r = *state;
    pang_err err = {0};
    work w = {.r = r, .disturbances = 1000};
    assert_int_equal(pang_txn_run(r->a, SCOPE, PANG_NO_DEADLINE, r->arena, raise_x, &w, &err),
                     PANG_ABORTED);
    assert_int_equal(w.runs, PANG_TXN_TRIES);
    assert_int_equal(w.lost, PANG_TXN_TRIES);
    assert_int_equal(err.code, PANG_ABORTED);
}

static void test_txn_run__other_errors_end_it(void **state)
{
    rig *r = *state;
    pang_err err = {0};
    work w = {.r = r, .answer = PANG_NOT_FOUND};
    assert_int_equal(pang_txn_run(r->a, SCOPE, PANG_NO_DEADLINE, r->arena, raise_x, &w, &err),
                     PANG_NOT_FOUND);
    assert_int_equal(w.runs, 1);
    assert_int_equal(w.lost, 1);
    assert_string_equal(err.message, "as it was told");
    assert_int_equal(rig_peek(r, "x").version, 0);
}

static void test_txn_run__a_lost_unknown_runs_again(void **state)
{
    rig *r = *state;
    pang_err err = {0};
    work w = {.r = r};
    arm(r->faults_a, PANG_FAULT_UNKNOWN_LOST, PANG_CALL_APPLY, 1);
    assert_int_equal(pang_txn_run(r->a, SCOPE, PANG_NO_DEADLINE, r->arena, raise_x, &w, &err),
                     PANG_OK);
    assert_int_equal(w.runs, 2);
    assert_true(pang_str_equal(rig_peek(r, "x").body, PANG_STR("run 2")));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_txn__own_writes_are_read, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__ceilings_see_own_writes, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__a_ceiling_that_never_changes_is_asked_once, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(test_txn__many_keys_are_told_apart, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__what_was_read_must_still_be_so, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__reads_repeat, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__adds_to_one_counter_are_one, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__counters_are_no_condition_unless_checked, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(test_txn__counters_are_remembered_where_nobody_else_writes,
                                    set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__explicit_checks_are_asked_even_without_writes, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(test_txn__slots_get_their_numbers, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__an_id_lands_once, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__what_is_out_of_bounds_fails_as_a_whole, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(test_txn__nothing_happens_past_the_deadline, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__on_lost_runs_when_it_is_certain, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__an_unknown_outcome_is_learnt, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn__an_outcome_that_stays_unknown_is_said_to_be, set_up,
                                    tear_down),
    cmocka_unit_test_setup_teardown(test_txn_run__tries_until_it_wins, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn_run__gives_up_at_last, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn_run__other_errors_end_it, set_up, tear_down),
    cmocka_unit_test_setup_teardown(test_txn_run__a_lost_unknown_runs_again, set_up, tear_down),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
