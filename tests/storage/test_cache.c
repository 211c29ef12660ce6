/*
 * The read cache seen through transactions: hot reads stay off the store, nothing old is ever
 * acted on, the bound holds. The races are played step by step: the fault injector runs a piece of
 * work at the point in question.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/db.h"
#include "tests/storage/db_fixture.h"

static int set_up(void **state)
{
    static rig r;
    rig_open(&r, NULL);
    *state = &r;
    return 0;
}

static int set_up_small(void **state)
{
    static rig r;
    rig_open(&r, &(pang_db_config){.cache_bytes = 256 * 1024});
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

static void count_gets(pang_store *faults)
{
    pang_faulty_arm(faults, &(pang_fault_plan){.calls = PANG_CALL_GET});
}

/* ---- one server owns the store ---- */

static void test_cache__hot_reads_stay_off_the_store(void **state)
{
    rig *r = *state;
    rig_put(r, r->own, "x", "1");
    assert_string_equal(rig_read(r, r->own, "x"), "1");
    assert_null(rig_read(r, r->own, "absent"));
    count_gets(r->faults_own);
    for (int i = 0; i < 100; i++) {
        assert_string_equal(rig_read(r, r->own, "x"), "1");
        assert_null(rig_read(r, r->own, "absent"));
    }
    assert_int_equal(pang_faulty_calls(r->faults_own), 0);
    assert_int_equal(rig_stats(r->own).cache_hits, 200);
    assert_int_equal(rig_stats(r->own).gets, 2);
    assert_true(rig_stats(r->own).cache_bytes > 0);
}

static void test_cache__own_changes_are_seen_at_once(void **state)
{
    rig *r = *state;
    for (int i = 0; i < 3; i++) {
        assert_null(rig_read(r, r->own, "x"));
        rig_put(r, r->own, "x", "1");
        assert_string_equal(rig_read(r, r->own, "x"), "1");
        rig_put(r, r->own, "x", "2");
        assert_string_equal(rig_read(r, r->own, "x"), "2");
        rig_delete(r, r->own, "x");
    }
    for (int i = 1; i < 4; i++) {
        pang_record n;
        pang_err err;
        pang_txn *txn = rig_begin(r, r->own);
        assert_int_equal(pang_txn_get_one(txn, PANG_STR("n"), &n, &err), PANG_OK);
        assert_int_equal(n.value, i - 1);
        assert_int_equal(pang_txn_finish(txn, &err), PANG_OK);
        rig_add(r, r->own, "n", 1);
    }
}

/* A key with a slot is known to be cached as absent only after the number is. */
static void test_cache__a_slot_may_name_what_was_absent(void **state)
{
    rig *r = *state;
    assert_null(rig_read(r, r->own, "row/0000000000000001"));
    pang_txn *txn = rig_begin(r, r->own);
    int slot = pang_txn_append(txn, PANG_STR("seq"));
    pang_txn_put_full(txn, &(pang_put){
                               .key = PANG_STR("row/0000000000000000"),
                               .body = PANG_STR("made"),
                               .kind = PANG_KIND_FIRST,
                               .slot = slot,
                               .key_slot = slot,
                               .key_slot_at = 4,
                           });
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_string_equal(rig_read(r, r->own, "row/0000000000000001"), "made");
}

static void test_cache__what_expires_is_asked_each_time(void **state)
{
    rig *r = *state;
    pang_txn *txn = rig_begin(r, r->own);
    pang_txn_put_full(txn, &(pang_put){
                               .key = PANG_STR("brief"),
                               .body = PANG_STR("x"),
                               .expires_ms = pang_env_wall_ms(&pang_env_system) + 3600000,
                               .kind = PANG_KIND_FIRST,
                               .slot = PANG_NO_SLOT,
                               .key_slot = PANG_NO_SLOT,
                           });
    assert_int_equal(rig_commit(txn), PANG_OK);
    count_gets(r->faults_own);
    for (int i = 0; i < 3; i++)
        assert_string_equal(rig_read(r, r->own, "brief"), "x");
    assert_int_equal(pang_faulty_calls(r->faults_own), 3);
}

typedef struct {
    rig *r;
    pang_db *db;
    pang_arena *arena;
    const char *body;
} disturbance;

/* One commit that changes both keys. */
static void change_both(void *arg)
{
    disturbance *d = arg;
    pang_txn *txn = pang_txn_begin(d->db, SCOPE, PANG_NO_DEADLINE, d->arena);
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), pang_str_from(d->body));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("y"), pang_str_from(d->body));
    pang_err err;
    assert_int_equal(pang_txn_commit(txn, &err), PANG_OK);
}

static void arm_change(pang_store *faults, pang_fault fault, disturbance *d)
{
    pang_faulty_arm(faults, &(pang_fault_plan){
                                .fault = fault,
                                .calls = PANG_CALL_GET,
                                .at = 1,
                                .run = change_both,
                                .arg = d,
                            });
}

/* The read is answered by the store, the record changes, and only then is the answer cached. */
static void test_cache__an_answer_overtaken_by_a_commit_is_not_kept(void **state)
{
    rig *r = *state;
    disturbance d = {r, r->own, r->arena, "new"};
    rig_put(r, r->own, "x", "old");
    arm_change(r->faults_own, PANG_FAULT_RUN_AFTER, &d);
    assert_string_equal(rig_read(r, r->own, "x"), "old");
    assert_int_equal(pang_faulty_hits(r->faults_own), 1);
    assert_string_equal(rig_read(r, r->own, "x"), "new");
    /* The same where absence is what would be kept. */
    rig_delete(r, r->own, "x");
    arm_change(r->faults_own, PANG_FAULT_RUN_AFTER, &d);
    assert_null(rig_read(r, r->own, "x"));
    assert_string_equal(rig_read(r, r->own, "x"), "new");
}

static void read_both(rig *r, pang_db *db, const char *bodies[2], pang_code expected)
{
    pang_ref refs[] = {{.key = PANG_STR("x"), .mode = PANG_REF_EXACT},
                       {.key = PANG_STR("y"), .mode = PANG_REF_EXACT}};
    pang_record records[2];
    pang_err err;
    pang_txn *txn = rig_begin(r, db);
    assert_int_equal(pang_txn_get(txn, refs, 2, PANG_READ_CHECKED, records, &err), expected);
    for (int i = 0; i < 2 && expected == PANG_OK; i++)
        bodies[i] = pang_arena_cstr(r->arena, records[i].body);
    assert_int_equal(pang_txn_finish(txn, &err), expected);
}

/* x comes from the cache, then both change, then y comes from the store. */
static void test_cache__one_get_shows_one_state(void **state)
{
    rig *r = *state;
    disturbance d = {r, r->own, r->arena, "old"};
    change_both(&d);
    assert_string_equal(rig_read(r, r->own, "x"), "old");
    d.body = "new";
    arm_change(r->faults_own, PANG_FAULT_RUN_BEFORE, &d);
    const char *bodies[2];
    read_both(r, r->own, bodies, PANG_OK);
    assert_int_equal(pang_faulty_hits(r->faults_own), 1);
    assert_string_equal(bodies[0], "new");
    assert_string_equal(bodies[1], "new");
}

/* Twice, since the first read could be what fills it. */
static void see_that_nothing_is_cached(void *arg)
{
    disturbance *d = arg;
    uint64_t gets = rig_stats(d->db).gets;
    for (int i = 0; i < 2; i++) {
        pang_txn *txn = pang_txn_begin(d->db, SCOPE, PANG_NO_DEADLINE, d->arena);
        pang_record record;
        pang_err err;
        assert_int_equal(pang_txn_get_one(txn, PANG_STR("x"), &record, &err), PANG_OK);
        assert_int_equal(pang_txn_finish(txn, &err), PANG_OK);
        d->body = pang_arena_cstr(d->arena, record.body);
    }
    assert_int_equal(rig_stats(d->db).gets, gets + 2);
}

/* From before the store hears of a change until its outcome is known, its key is not cached. */
static void test_cache__a_change_under_way_keeps_its_key_out(void **state)
{
    rig *r = *state;
    rig_put(r, r->own, "x", "old");
    assert_string_equal(rig_read(r, r->own, "x"), "old");
    static const pang_fault when[] = {PANG_FAULT_RUN_BEFORE, PANG_FAULT_RUN_AFTER};
    static const char *const expected[] = {"old", "1"};
    for (int i = 0; i < 2; i++) {
        disturbance d = {r, r->own, r->arena, NULL};
        pang_faulty_arm(r->faults_own, &(pang_fault_plan){
                                           .fault = when[i],
                                           .calls = PANG_CALL_APPLY,
                                           .at = 1,
                                           .run = see_that_nothing_is_cached,
                                           .arg = &d,
                                       });
        rig_put(r, r->own, "x", i == 0 ? "0" : "1");
        assert_string_equal(d.body, expected[i]);
        assert_string_equal(rig_read(r, r->own, "x"), i == 0 ? "0" : "1");
        rig_put(r, r->own, "x", "old");
    }
}

/* ---- what commits put themselves ---- */

/* A put with the commit's number and time, as heads of tables are. */
static void put_head(rig *r, pang_db *db, const char *body)
{
    pang_txn *txn = rig_begin(r, db);
    int slot = pang_txn_append(txn, PANG_STR("seq"));
    pang_txn_put_full(txn, &(pang_put){
                               .key = PANG_STR("head"),
                               .body = pang_str_from(body),
                               .kind = PANG_KIND_FIRST,
                               .slot = slot,
                               .key_slot = PANG_NO_SLOT,
                           });
    assert_int_equal(rig_commit(txn), PANG_OK);
}

static void test_cache__a_head_is_kept_as_the_store_has_it(void **state)
{
    rig *r = *state;
    put_head(r, r->own, "1");
    put_head(r, r->own, "2");
    uint64_t gets = rig_stats(r->own).gets;
    pang_record kept, stored = rig_peek(r, "head");
    pang_txn *txn = rig_begin(r, r->own);
    assert_int_equal(pang_txn_get_one(txn, PANG_STR("head"), &kept, NULL), PANG_OK);
    assert_int_equal(rig_stats(r->own).gets, gets);
    assert_int_equal(kept.version, stored.version);
    assert_int_equal(kept.sequence, stored.sequence);
    assert_int_equal(kept.time_ms, stored.time_ms);
    assert_int_equal(kept.kind, stored.kind);
    assert_true(pang_str_equal(kept.body, PANG_STR("2")));
    /* It is what the next commit is based on. */
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("head"), PANG_STR("3"));
    assert_int_equal(rig_commit(txn), PANG_OK);
    assert_string_equal(rig_read(r, r->own, "head"), "3");
}

static void test_cache__a_head_whose_commit_was_unclear_is_asked(void **state)
{
    rig *r = *state;
    put_head(r, r->own, "1");
    pang_faulty_arm(r->faults_own, &(pang_fault_plan){
                                       .fault = PANG_FAULT_UNKNOWN_LANDED,
                                       .calls = PANG_CALL_APPLY,
                                       .at = 1,
                                       .times = 1,
                                   });
    put_head(r, r->own, "2");
    uint64_t gets = rig_stats(r->own).gets;
    assert_string_equal(rig_read(r, r->own, "head"), "2");
    assert_int_equal(rig_stats(r->own).gets, gets + 1);
}

/* Of two changes of one key nobody here can say which came last. */
static void test_cache__two_changes_at_once_keep_neither(void **state)
{
    rig *r = *state;
    pang_cache *cache = &r->own->cache;
    pang_record rec = {.key = PANG_STR("k"), .version = 7, .kind = PANG_KIND_FIRST};
    uint64_t hash = pang_cache_hash(cache, rec.key);
    pang_cache_token one = pang_cache_begin_change(cache, hash, rec.key);
    pang_cache_token two = pang_cache_begin_change(cache, hash, rec.key);
    pang_cache_end_put(cache, hash, one, &rec);
    assert_false(pang_cache_holds(cache, hash, rec.key, 7));
    pang_cache_end_put(cache, hash, two, &rec);
    assert_false(pang_cache_holds(cache, hash, rec.key, 7));
    one = pang_cache_begin_change(cache, hash, rec.key);
    (void)pang_cache_begin_change(cache, hash, rec.key);
    (void)pang_cache_end_change(cache, hash, rec.key);
    pang_cache_end_put(cache, hash, one, &rec);
    assert_false(pang_cache_holds(cache, hash, rec.key, 7));
    one = pang_cache_begin_change(cache, hash, rec.key);
    pang_cache_end_put(cache, hash, one, &rec);
    assert_true(pang_cache_holds(cache, hash, rec.key, 7));
}

/* ---- the bound ---- */

static void test_cache__stays_within_its_bytes(void **state)
{
    rig *r = *state;
    enum { N = 2000 };
    static char body[512];
    memset(body, 'b', sizeof body - 1);
    for (int i = 0; i < N; i += 100) {
        pang_txn *txn = rig_begin(r, r->own);
        for (int k = i; k < i + 100; k++)
            pang_txn_put(txn, PANG_KIND_FIRST, pang_arena_printf(r->arena, "k%d", k),
                         pang_arena_printf(r->arena, "%d %s", k, body));
        assert_int_equal(rig_commit(txn), PANG_OK);
    }
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < N; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%d", i);
            const char *read = rig_read(r, r->own, key);
            assert_int_equal(strtol(read, NULL, 10), i);
            assert_string_equal(rig_read(r, r->own, "k0") + 2, body);
        }
    pang_db_stats stats = rig_stats(r->own);
    assert_in_range(stats.cache_bytes, 128 * 1024, 256 * 1024);
    /* What is used all the time stays: k0 is asked for after each of the others. */
    assert_true(stats.cache_hits >= 2 * N - 2);
}

static void test_cache__big_bodies_outlive_their_eviction(void **state)
{
    rig *r = *state;
    static char body[7000];
    memset(body, 'B', sizeof body - 1);
    rig_put(r, r->own, "big", body);
    (void)rig_read(r, r->own, "big");
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_txn *txn = pang_txn_begin(r->own, SCOPE, PANG_NO_DEADLINE, arena);
    pang_record record;
    pang_err err;
    count_gets(r->faults_own);
    assert_int_equal(pang_txn_get_one(txn, PANG_STR("big"), &record, &err), PANG_OK);
    assert_int_equal(pang_faulty_calls(r->faults_own), 0);
    assert_true(pang_arena_used(arena) < sizeof body); /* lent, not copied */
    rig_put(r, r->own, "big", "small now");
    assert_string_equal(rig_read(r, r->own, "big"), "small now");
    assert_true(pang_str_equal(record.body, pang_str_from(body)));
    pang_arena_free(arena);
}

/* ---- others write too ---- */

static void test_cache__a_stale_record_ends_the_transaction(void **state)
{
    rig *r = *state;
    rig_put(r, r->a, "x", "old");
    rig_put(r, r->a, "y", "y");
    assert_string_equal(rig_read(r, r->a, "x"), "old");
    rig_put(r, r->b, "x", "new");

    pang_code code;
    pang_err err;
    pang_txn *txn = rig_begin(r, r->a);
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_UNCHECKED, NULL), "old"); /* a guess */
    (void)rig_get(r, txn, "y", PANG_READ_UNCHECKED, &code);
    assert_int_equal(code, PANG_ABORTED);
    assert_int_equal(pang_txn_finish(txn, &err), PANG_ABORTED);
    assert_string_equal(rig_read(r, r->a, "x"), "new");
}

static void test_cache__finish_validates_what_is_left(void **state)
{
    rig *r = *state;
    pang_err err;
    rig_put(r, r->a, "x", "old");
    for (int changed = 0; changed < 2; changed++) {
        (void)rig_read(r, r->a, "x");
        if (changed)
            rig_put(r, r->b, "x", "new");
        pang_txn *txn = rig_begin(r, r->a);
        count_gets(r->faults_a);
        assert_string_equal(rig_get(r, txn, "x", PANG_READ_CHECKED, NULL), "old");
        assert_int_equal(pang_faulty_calls(r->faults_a), 0);
        assert_int_equal(pang_txn_finish(txn, &err), changed ? PANG_ABORTED : PANG_OK);
        assert_int_equal(pang_faulty_calls(r->faults_a), 1);
    }
}

/* No round trip for it: the commit checks the version, also of what was read unchecked. */
static void test_cache__commit_validates_what_is_left(void **state)
{
    rig *r = *state;
    rig_put(r, r->a, "x", "old");
    for (int changed = 0; changed < 2; changed++) {
        (void)rig_read(r, r->a, "x");
        if (changed)
            rig_put(r, r->b, "x", "new");
        pang_txn *txn = rig_begin(r, r->a);
        count_gets(r->faults_a);
        assert_string_equal(rig_get(r, txn, "x", PANG_READ_UNCHECKED, NULL), "old");
        pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("out"), PANG_STR("x"));
        assert_int_equal(rig_commit(txn), changed ? PANG_ABORTED : PANG_OK);
        assert_int_equal(pang_faulty_calls(r->faults_a), 0);
    }
    assert_string_equal(rig_read(r, r->a, "x"), "new"); /* and the cache has learnt */
}

static void test_cache__one_round_trip_fetches_and_validates(void **state)
{
    rig *r = *state;
    pang_err err;
    const char *bodies[2];
    disturbance d = {r, r->b, r->arena, "1"};
    change_both(&d);
    (void)rig_read(r, r->a, "x");
    count_gets(r->faults_a);
    read_both(r, r->a, bodies, PANG_OK);
    assert_int_equal(pang_faulty_calls(r->faults_a), 1);
    read_both(r, r->a, bodies, PANG_OK); /* both are cached: only finish asks */
    assert_int_equal(pang_faulty_calls(r->faults_a), 2);
    d.body = "2";
    change_both(&d);
    pang_txn *txn = rig_begin(r, r->a);
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_CHECKED, NULL), "1");
    assert_int_equal(pang_txn_finish(txn, &err), PANG_ABORTED);
    read_both(r, r->a, bodies, PANG_ABORTED); /* x is fetched, y was a stale guess beside it */
    read_both(r, r->a, bodies, PANG_OK);
    assert_string_equal(bodies[0], "2");
    assert_string_equal(bodies[1], "2");
}

static void test_cache__immutable_records_are_not_validated(void **state)
{
    rig *r = *state;
    pang_err err;
    rig_put(r, r->b, "doc", "forever");
    count_gets(r->faults_a);
    for (int i = 0; i < 5; i++) {
        pang_txn *txn = rig_begin(r, r->a);
        pang_ref ref = {.key = PANG_STR("doc"), .mode = PANG_REF_EXACT, .immutable = true};
        pang_record record;
        assert_int_equal(pang_txn_get(txn, &ref, 1, PANG_READ_CHECKED, &record, &err), PANG_OK);
        assert_true(pang_str_equal(record.body, PANG_STR("forever")));
        assert_int_equal(pang_txn_finish(txn, &err), PANG_OK);
    }
    assert_int_equal(pang_faulty_calls(r->faults_a), 1);
}

static void test_cache__absence_is_nothing_to_keep_when_others_write(void **state)
{
    rig *r = *state;
    assert_null(rig_read(r, r->a, "x"));
    rig_put(r, r->b, "x", "made");
    pang_txn *txn = rig_begin(r, r->a);
    assert_string_equal(rig_get(r, txn, "x", PANG_READ_CHECKED, NULL), "made");
}

static void test_cache__more_guesses_than_one_get_holds(void **state)
{
    rig *r = *state;
    pang_err err;
    enum { N = PANG_GET_MAX + 500 };
    pang_txn *txn = rig_begin(r, r->b);
    for (int i = 0; i < N; i++)
        pang_txn_put(txn, PANG_KIND_FIRST, pang_arena_printf(r->arena, "k%d", i), PANG_STR("x"));
    assert_int_equal(rig_commit(txn), PANG_OK);
    for (int round = 0; round < 3; round++) {
        if (round == 2)
            rig_put(r, r->b, "k3", "changed");
        txn = rig_begin(r, r->a);
        for (int from = 0; from < N; from += 100) {
            pang_ref refs[100];
            pang_record records[100];
            size_t n = 0;
            for (int i = from; i < from + 100 && i < N; i++)
                refs[n++] = (pang_ref){.key = pang_arena_printf(r->arena, "k%d", i),
                                       .mode = PANG_REF_EXACT};
            assert_int_equal(pang_txn_get(txn, refs, n, PANG_READ_CHECKED, records, &err), PANG_OK);
        }
        count_gets(r->faults_a);
        assert_int_equal(pang_txn_finish(txn, &err), round == 2 ? PANG_ABORTED : PANG_OK);
        assert_in_range(pang_faulty_calls(r->faults_a), round == 1 ? 2 : 0, 2);
    }
}

/* Work that fails because of what a stale cache said is run again, not believed. */
typedef struct {
    int runs;
} finder;

static pang_txn_fn find_x;
static pang_code find_x(pang_txn *txn, void *arg, pang_err *err)
{
    finder *f = arg;
    f->runs++;
    pang_record record;
    pang_code code = pang_txn_get_one(txn, PANG_STR("x"), &record, err);
    if (code != PANG_OK)
        return code;
    return pang_str_equal(record.body, PANG_STR("good"))
               ? PANG_OK
               : pang_fail(err, PANG_NOT_FOUND, NULL, "x is not good");
}

static void test_cache__a_stale_error_is_not_answered(void **state)
{
    rig *r = *state;
    pang_err err = {0};
    rig_put(r, r->a, "x", "bad");
    finder f = {0};
    assert_int_equal(pang_txn_run(r->a, SCOPE, PANG_NO_DEADLINE, r->arena, find_x, &f, &err),
                     PANG_NOT_FOUND);
    assert_int_equal(f.runs, 1);
    rig_put(r, r->b, "x", "good");
    f.runs = 0;
    assert_int_equal(pang_txn_run(r->a, SCOPE, PANG_NO_DEADLINE, r->arena, find_x, &f, &err),
                     PANG_OK);
    assert_int_equal(f.runs, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(test_cache__hot_reads_stay_off_the_store),
    TEST(test_cache__own_changes_are_seen_at_once),
    TEST(test_cache__a_slot_may_name_what_was_absent),
    TEST(test_cache__what_expires_is_asked_each_time),
    TEST(test_cache__an_answer_overtaken_by_a_commit_is_not_kept),
    TEST(test_cache__one_get_shows_one_state),
    TEST(test_cache__a_change_under_way_keeps_its_key_out),
    TEST(test_cache__a_head_is_kept_as_the_store_has_it),
    TEST(test_cache__a_head_whose_commit_was_unclear_is_asked),
    TEST(test_cache__two_changes_at_once_keep_neither),
    cmocka_unit_test_setup_teardown(test_cache__stays_within_its_bytes, set_up_small, tear_down),
    cmocka_unit_test_setup_teardown(test_cache__big_bodies_outlive_their_eviction, set_up_small,
                                    tear_down),
    TEST(test_cache__a_stale_record_ends_the_transaction),
    TEST(test_cache__finish_validates_what_is_left),
    TEST(test_cache__commit_validates_what_is_left),
    TEST(test_cache__one_round_trip_fetches_and_validates),
    TEST(test_cache__immutable_records_are_not_validated),
    TEST(test_cache__absence_is_nothing_to_keep_when_others_write),
    TEST(test_cache__more_guesses_than_one_get_holds),
    TEST(test_cache__a_stale_error_is_not_answered),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
