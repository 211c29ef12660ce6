/*
 * The fault sweep over transactions: whatever fails, the store is as it was or as it should be,
 * the answer says which, files written in advance are gone exactly when the commit is, and the
 * cache is not left wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fault/sweep.h"
#include "tests/storage/db_fixture.h"

enum { ARENA_BYTES = 4 << 20, BIG = 9000 };

typedef struct {
    rig r;
    pang_db *db;        /* the one that is tested */
    pang_store *faults; /* its own */
    bool file;          /* stands for a file that is written before the commit */
    pang_arena *arena;  /* while it runs */
    size_t arena_bytes; /* its limit */
} world;

static char big_body[BIG + 1];

static world *begin(bool shared)
{
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->arena_bytes = ARENA_BYTES;
    rig_open(&w->r, &(pang_db_config){.cache_bytes = 512 * 1024});
    w->db = shared ? w->r.a : w->r.own;
    w->faults = shared ? w->r.faults_a : w->r.faults_own;
    memset(big_body, 'B', BIG);
    pang_txn *txn = rig_begin(&w->r, w->db);
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), PANG_STR("5"));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("y"), PANG_STR("5"));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("big"), pang_str_from(big_body));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("old"), PANG_STR("old"));
    assert_int_equal(rig_commit(txn), PANG_OK);
    /* x is cached, y is not. */
    assert_string_equal(rig_read(&w->r, w->db, "x"), "5");
    pang_arena_reset(w->r.arena);
    return w;
}

static void *begin_own(void)
{
    return begin(false);
}

static void *begin_shared(void)
{
    return begin(true);
}

static pang_store *faults_of(void *arg)
{
    return ((world *)arg)->faults;
}

static void end(void *arg)
{
    world *w = arg;
    rig_close(&w->r);
    free(w);
}

static pang_code run_in_arena(world *w, pang_txn_fn *fn, pang_err *err)
{
    w->arena = pang_arena_new(w->arena_bytes);
    if (w->arena == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_run(w->db, SCOPE, PANG_NO_DEADLINE, w->arena, fn, w, err);
    pang_arena_free(w->arena);
    return code;
}

/* Whether the store has it, and whether what the handle reads agrees, cached or not. */
static bool has(world *w, const char *key, const char *body)
{
    pang_record record = rig_peek(&w->r, key);
    const char *read = rig_read(&w->r, w->db, key);
    assert_int_equal(record.version != 0, read != NULL);
    if (read != NULL)
        assert_true(pang_str_equal(record.body, pang_str_from(read)));
    return body == NULL ? read == NULL : read != NULL && strcmp(read, body) == 0;
}

/* ---- a change of everything at once ---- */

static pang_txn_fn change_all;
static pang_code change_all(pang_txn *txn, void *arg, pang_err *err)
{
    (void)arg;
    static const char *const keys[] = {"x", "y", "big"};
    for (int i = 0; i < 3; i++) {
        pang_record record;
        pang_code code = pang_txn_get_one(txn, pang_str_from(keys[i]), &record, err);
        if (code != PANG_OK)
            return code;
        assert_int_not_equal(record.version, 0);
    }
    int slot = pang_txn_append(txn, PANG_STR("seq"));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("x"), PANG_STR("4"));
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("y"), PANG_STR("6"));
    pang_txn_delete(txn, PANG_STR("old"));
    pang_txn_add(txn, PANG_STR("n"), 1);
    pang_txn_put_full(txn, &(pang_put){
                               .key = PANG_STR("row/0000000000000000"),
                               .body = PANG_STR("row"),
                               .kind = PANG_KIND_FIRST,
                               .slot = slot,
                               .key_slot = slot,
                               .key_slot_at = 4,
                           });
    return PANG_OK;
}

static pang_code run_change(void *arg, pang_err *err)
{
    return run_in_arena(arg, change_all, err);
}

static void check_change(void *arg, pang_code code)
{
    world *w = arg;
    bool landed = has(w, "x", "4");
    assert_true(landed || has(w, "x", "5"));
    assert_true(has(w, "y", landed ? "6" : "5"));
    assert_true(has(w, "old", landed ? NULL : "old"));
    assert_true(has(w, "row/0000000000000001", landed ? "row" : NULL));
    assert_true(has(w, "big", big_body));
    assert_int_equal(rig_peek(&w->r, "n").value, landed);
    assert_int_equal(rig_peek(&w->r, "seq").value, landed);
    if (code != PANG_UNKNOWN)
        assert_int_equal(landed, code == PANG_OK);
}

/* ---- a file that is written in advance ---- */

static void remove_file(void *arg)
{
    ((world *)arg)->file = false;
}

static pang_txn_fn create_with_file;
static pang_code create_with_file(pang_txn *txn, void *arg, pang_err *err)
{
    world *w = arg;
    pang_record record;
    pang_code code = pang_txn_get_one(txn, PANG_STR("table"), &record, err);
    if (code != PANG_OK)
        return code;
    assert_int_equal(record.version, 0);
    w->file = true;
    if (!pang_txn_on_lost(txn, remove_file, w))
        return pang_fail_memory(err);
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("table"), PANG_STR("at the file"));
    return PANG_OK;
}

static pang_code run_create(void *arg, pang_err *err)
{
    return run_in_arena(arg, create_with_file, err);
}

static void check_create(void *arg, pang_code code)
{
    world *w = arg;
    bool landed = has(w, "table", "at the file");
    assert_true(landed || has(w, "table", NULL));
    if (code == PANG_UNKNOWN) { /* the file stays while nobody knows */
        assert_true(w->file);
        return;
    }
    assert_int_equal(landed, code == PANG_OK);
    assert_int_equal(w->file, landed);
}

/* ---- the same request twice, under one key, as a client that retries sends it ---- */

static pang_txn_fn add_once;
static pang_code add_once(pang_txn *txn, void *arg, pang_err *err)
{
    world *w = arg;
    pang_record key;
    pang_code code = pang_txn_get_one(txn, PANG_STR("ik/1"), &key, err);
    if (code != PANG_OK || key.version != 0)
        return code;
    pang_id id = pang_id_v7(&pang_env_system);
    char hex[PANG_ID_HEX + 1];
    pang_id_hex(id, hex);
    pang_str id_key = pang_arena_printf(w->arena, "ci/%s", hex);
    if (id_key.len == 0)
        return pang_fail_memory(err);
    pang_txn_set_id(txn, id, id_key, PANG_STR("commit"), true);
    pang_txn_put(txn, PANG_KIND_FIRST, PANG_STR("ik/1"), PANG_STR("answer"));
    pang_txn_add(txn, PANG_STR("n"), 1);
    return PANG_OK;
}

static pang_code run_twice(void *arg, pang_err *err)
{
    (void)run_in_arena(arg, add_once, err);
    return run_in_arena(arg, add_once, err);
}

static void check_twice(void *arg, pang_code code)
{
    world *w = arg;
    int64_t n = rig_peek(&w->r, "n").value;
    assert_in_range(n, 0, 1);
    assert_true(has(w, "ik/1", n == 1 ? "answer" : NULL));
    if (code == PANG_OK)
        assert_int_equal(n, 1);
}

/* ---- reads ---- */

static pang_row_fn count_row;
static bool count_row(void *arg, const pang_record *row)
{
    (void)row;
    ++*(int *)arg;
    return true;
}

static pang_txn_fn read_all;
static pang_code read_all(pang_txn *txn, void *arg, pang_err *err)
{
    (void)arg;
    enum { N = 40 };
    pang_ref refs[N];
    pang_record records[N];
    for (int i = 0; i < N; i++)
        refs[i] = (pang_ref){.key = PANG_STR("absent"), .mode = PANG_REF_EXACT};
    refs[0].key = PANG_STR("x");
    refs[1].key = PANG_STR("y");
    refs[2].key = PANG_STR("big");
    refs[3] = (pang_ref){PANG_STR("x"), 0, PANG_REF_CEILING, false, false};
    pang_code code = pang_txn_get(txn, refs, N, PANG_READ_CHECKED, records, err);
    if (code != PANG_OK)
        return code;
    assert_true(pang_str_equal(records[0].body, PANG_STR("5")));
    assert_true(pang_str_equal(records[2].body, pang_str_from(big_body)));
    assert_true(pang_str_equal(records[3].key, PANG_STR("y")));
    assert_int_equal(records[4].version, 0);
    int rows = 0;
    pang_query q = {.prefix = PANG_STR("x"), .limit = 10};
    code = pang_txn_scan(txn, &q, count_row, &rows, err);
    if (code == PANG_OK)
        assert_int_equal(rows, 1);
    return code;
}

static pang_code run_reads(void *arg, pang_err *err)
{
    pang_code code = run_in_arena(arg, read_all, err);
    return code != PANG_OK ? code : run_in_arena(arg, read_all, err); /* now from the cache */
}

static void check_reads(void *arg, pang_code code)
{
    (void)code;
    check_change(arg, PANG_UNKNOWN);
    assert_true(has(arg, "x", "5"));
}

/* ---- opening ---- */

static void *begin_nothing(void)
{
    return calloc(1, 1);
}

static pang_code run_open(void *arg, pang_err *err)
{
    (void)arg;
    pang_store *store = NULL;
    pang_db *db = NULL;
    pang_store_config config = {.url = PANG_STR("faulty:memory:"), .env = &pang_env_system};
    pang_code code = pang_store_open(&config, &store, err);
    if (code != PANG_OK)
        return code;
    code = pang_db_open(store, NULL, &db, err);
    if (code != PANG_OK)
        pang_store_close(store);
    pang_db_close(db);
    return code;
}

static void check_nothing(void *arg, pang_code code)
{
    (void)arg;
    (void)code;
}

static const fault_scene scenes[] = {
    {"change, own store", begin_own, faults_of, run_change, check_change, end, true},
    {"change, shared store", begin_shared, faults_of, run_change, check_change, end, true},
    {"create with a file, own store", begin_own, faults_of, run_create, check_create, end, true},
    {"create with a file, shared store", begin_shared, faults_of, run_create, check_create, end,
     true},
    {"one request twice", begin_shared, faults_of, run_twice, check_twice, end, true},
    {"reads, own store", begin_own, faults_of, run_reads, check_reads, end, true},
    {"reads, shared store", begin_shared, faults_of, run_reads, check_reads, end, true},
    {"open", begin_nothing, NULL, run_open, check_nothing, free, true},
};

static void test_faults__store_is_as_it_was_or_as_it_should_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scenes); i++)
        fault_sweep(&scenes[i]);
}

/* The arena ends a little later each time: at each allocation that is made in it. */
static void test_faults__every_limit_of_the_arena_is_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(scenes); i++) {
        bool done = scenes[i].faults == NULL;
        for (size_t bytes = 0; !done; bytes += 24) {
            world *w = scenes[i].begin();
            pang_err err = {0};
            w->arena_bytes = bytes;
            pang_code code = scenes[i].run(w, &err);
            done = code == PANG_OK;
            if (!done && (code != PANG_RESOURCE_EXHAUSTED || err.code != code))
                fail_msg("%s, %zu bytes: %s", scenes[i].name, bytes, pang_code_name(code));
            scenes[i].check(w, code);
            scenes[i].end(w);
            assert_true(bytes < ARENA_BYTES);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults__store_is_as_it_was_or_as_it_should_be),
        cmocka_unit_test(test_faults__every_limit_of_the_arena_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
