/*
 * Group commit, and the handle under many threads: groups form, scopes take turns, one member's
 * failure is its own, and through all caches nobody ever sees a state that was not.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "storage/db.h"
#include "tests/storage/db_fixture.h"

static int set_up(void **state)
{
    static rig r;
    rig_open(&r, &(pang_db_config){.group_max = 4, .cache_bytes = 64 * 1024});
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

/* ---- groups made by hand: the first apply waits until all the others have queued up ---- */

enum { CROWD_MAX = 24 };

typedef struct {
    pang_db *db;
    const char *scope;
    size_t body_bytes;
    pang_arena *arena;
    pthread_t thread;
    pang_code code;
    uint64_t number;
} member;

static void *commit_member(void *arg)
{
    member *m = arg;
    pang_err err;
    pang_txn *txn = pang_txn_begin(m->db, pang_str_from(m->scope), PANG_NO_DEADLINE, m->arena);
    char *body = pang_arena_alloc(m->arena, m->body_bytes);
    pang_txn_put(txn, PANG_KIND_FIRST, pang_arena_printf(m->arena, "own/%p", arg),
                 (pang_str){body, m->body_bytes});
    int slot = pang_txn_append(txn, PANG_STR("order"));
    m->code = pang_txn_commit(txn, &err);
    m->number = pang_txn_number(txn, slot);
    return NULL;
}

typedef struct {
    pang_db *db;
    pang_store *faults;
    size_t enough;
    const pang_fault_plan *then; /* for the applies that follow */
} gate;

static void wait_for_crowd(void *arg)
{
    gate *g = arg;
    for (;;) {
        pthread_mutex_lock(&g->db->group.lock);
        bool enough = g->db->group.waiting >= g->enough;
        pthread_mutex_unlock(&g->db->group.lock);
        if (enough)
            break;
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (g->then != NULL)
        pang_faulty_arm(g->faults, g->then);
}

static void start(member *m, pang_db *db, const char *scope, size_t body_bytes)
{
    *m = (member){.db = db, .scope = scope, .body_bytes = body_bytes};
    m->arena = pang_arena_new(16 << 20);
    assert_non_null(m->arena);
    assert_int_equal(pthread_create(&m->thread, NULL, commit_member, m), 0);
}

/* The first one leads and is held at its apply; the others are there when it goes on. */
static void run_crowd(rig *r, member *crowd, const char *const *scopes, const size_t *bytes,
                      size_t n, const pang_fault_plan *then)
{
    gate g = {r->own, r->faults_own, n - 1, then};
    pang_faulty_arm(r->faults_own, &(pang_fault_plan){
                                       .fault = PANG_FAULT_RUN_BEFORE,
                                       .calls = PANG_CALL_APPLY,
                                       .at = 1,
                                       .run = wait_for_crowd,
                                       .arg = &g,
                                   });
    for (size_t i = 0; i < n; i++) {
        start(&crowd[i], r->own, scopes[i], bytes == NULL ? 10 : bytes[i]);
        if (i == 0)
            while (pang_faulty_hits(r->faults_own) == 0)
                (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(pthread_join(crowd[i].thread, NULL), 0);
        pang_arena_free(crowd[i].arena);
    }
}

static void test_group__scopes_take_turns(void **state)
{
    rig *r = *state;
    static const char *const scopes[] = {"big", "big", "big", "big", "big", "big",   "big",  "big",
                                         "big", "big", "big", "big", "big", "small", "other"};
    enum { N = COUNT_OF(scopes) };
    member crowd[N];
    run_crowd(r, crowd, scopes, NULL, N, NULL);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(crowd[i].code, PANG_OK);
    assert_int_equal(crowd[0].number, 1);
    /* Groups of four: in the first that formed each scope had its turn. */
    assert_in_range(crowd[N - 2].number, 2, 5);
    assert_in_range(crowd[N - 1].number, 2, 5);
    assert_int_equal(rig_stats(r->own).groups, 1 + (N - 1 + 3) / 4);
    assert_int_equal(rig_stats(r->own).commits, N);
}

static void test_group__is_bounded_in_bytes(void **state)
{
    rig *r = *state;
    static const char *const scopes[] = {"a", "a", "a", "a"};
    static const size_t bytes[] = {10, 9 << 20, 9 << 20, 9 << 20};
    member crowd[4];
    run_crowd(r, crowd, scopes, bytes, 4, NULL);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(crowd[i].code, PANG_OK);
    assert_int_equal(rig_stats(r->own).groups, 4);
}

static const char *const one_scope[] = {"a", "a", "a", "a", "a"};

static void test_group__that_fails_is_sent_singly(void **state)
{
    rig *r = *state;
    member crowd[5];
    static const pang_fault_plan once = {
        .fault = PANG_FAULT_FAIL, .calls = PANG_CALL_APPLY, .at = 1};
    run_crowd(r, crowd, one_scope, NULL, 5, &once);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(crowd[i].code, PANG_OK);
    assert_int_equal(pang_faulty_calls(r->faults_own), 1 + 4);
}

static void test_group__is_not_sent_on_to_a_store_that_is_away(void **state)
{
    rig *r = *state;
    member crowd[5];
    static const pang_fault_plan away = {
        .fault = PANG_FAULT_FAIL, .calls = PANG_CALL_APPLY, .at = 1, .times = 1000};
    run_crowd(r, crowd, one_scope, NULL, 5, &away);
    assert_int_equal(crowd[0].code, PANG_OK);
    for (size_t i = 1; i < 5; i++)
        assert_int_equal(crowd[i].code, PANG_UNAVAILABLE);
    assert_int_equal(pang_faulty_calls(r->faults_own), 2);
    assert_int_equal(rig_stats(r->own).failed, 4);
}

static void test_group__of_unknown_outcome_is_learnt_by_each(void **state)
{
    rig *r = *state;
    for (int landed = 0; landed < 2; landed++) {
        member crowd[5];
        pang_fault_plan unknown = {
            .fault = landed ? PANG_FAULT_UNKNOWN_LANDED : PANG_FAULT_UNKNOWN_LOST,
            .calls = PANG_CALL_APPLY,
            .at = 1,
        };
        run_crowd(r, crowd, one_scope, NULL, 5, &unknown);
        for (size_t i = 1; i < 5; i++)
            assert_int_equal(crowd[i].code, landed ? PANG_OK : PANG_ABORTED);
    }
    assert_int_equal(rig_peek(r, "order").value, 1 + 1 + 4);
}

/* ---- many threads, and a sum that never changes ---- */

enum { ACCOUNTS = 8, START = 100, CLERKS = 4, TURNS = 120 };

typedef struct {
    pang_db *db;
    unsigned dice;
    bool reads;
    pthread_t thread;
    int wrong, given_up;
    atomic_int *writers_left;
} clerk;

static pang_str account(pang_arena *arena, unsigned i)
{
    return pang_arena_printf(arena, "account/%u", i);
}

static int64_t balance(const pang_record *record)
{
    int64_t amount = -1;
    return pang_str_to_int64(record->body, &amount) ? amount : -1;
}

typedef struct {
    clerk *by;
    pang_arena *arena;
    int64_t sum;
} turn;

static pang_txn_fn transfer;
static pang_code transfer(pang_txn *txn, void *arg, pang_err *err)
{
    turn *t = arg;
    unsigned from = (unsigned)rand_r(&t->by->dice) % ACCOUNTS;
    unsigned to = (from + 1 + (unsigned)rand_r(&t->by->dice) % (ACCOUNTS - 1)) % ACCOUNTS;
    pang_record records[2];
    pang_str keys[2] = {account(t->arena, from), account(t->arena, to)};
    for (int i = 0; i < 2; i++) {
        pang_code code = pang_txn_get_one(txn, keys[i], &records[i], err);
        if (code != PANG_OK)
            return code;
    }
    for (int i = 0; i < 2; i++)
        pang_txn_put(txn, PANG_KIND_FIRST, keys[i],
                     pang_arena_printf(t->arena, "%lld",
                                       (long long)(balance(&records[i]) + (i == 0 ? -1 : 1))));
    return PANG_OK;
}

static pang_txn_fn add_up;
static pang_code add_up(pang_txn *txn, void *arg, pang_err *err)
{
    turn *t = arg;
    pang_ref refs[ACCOUNTS];
    pang_record records[ACCOUNTS];
    for (unsigned i = 0; i < ACCOUNTS; i++)
        refs[i] = (pang_ref){.key = account(t->arena, i), .mode = PANG_REF_EXACT};
    pang_code code = pang_txn_get(txn, refs, ACCOUNTS, PANG_READ_UNCHECKED, records, err);
    t->sum = 0;
    for (unsigned i = 0; i < ACCOUNTS && code == PANG_OK; i++)
        t->sum += balance(&records[i]);
    return code;
}

static void *work(void *arg)
{
    clerk *me = arg;
    pang_arena *arena = pang_arena_new(8 << 20);
    for (int i = 0; i < TURNS || (me->reads && atomic_load(me->writers_left) > 0); i++) {
        turn t = {me, arena, 0};
        pang_err err;
        pang_code code = pang_txn_run(me->db, SCOPE, PANG_NO_DEADLINE, arena,
                                      me->reads ? add_up : transfer, &t, &err);
        if (code == PANG_ABORTED)
            me->given_up++;
        else if (code != PANG_OK || (me->reads && t.sum != ACCOUNTS * START))
            me->wrong++;
        pang_arena_reset(arena);
    }
    if (!me->reads)
        atomic_fetch_sub(me->writers_left, 1);
    pang_arena_free(arena);
    return NULL;
}

static void run_bank(rig *r, pang_db *first, pang_db *second)
{
    char key[32];
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        (void)snprintf(key, sizeof key, "account/%u", i);
        rig_put(r, first, key, "100");
    }
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        (void)snprintf(key, sizeof key, "account/%u", i);
        assert_string_equal(rig_read(r, first, key), "100");
        assert_string_equal(rig_read(r, second, key), "100");
    }
    clerk clerks[CLERKS];
    atomic_int writers_left = CLERKS / 2;
    for (unsigned i = 0; i < CLERKS; i++) {
        clerks[i] = (clerk){.db = i % 2 == 0 ? first : second,
                            .dice = i + 1,
                            .reads = i >= CLERKS / 2,
                            .writers_left = &writers_left};
        assert_int_equal(pthread_create(&clerks[i].thread, NULL, work, &clerks[i]), 0);
    }
    int wrong = 0, given_up = 0;
    for (unsigned i = 0; i < CLERKS; i++) {
        assert_int_equal(pthread_join(clerks[i].thread, NULL), 0);
        wrong += clerks[i].wrong;
        given_up += clerks[i].reads ? 0 : clerks[i].given_up;
    }
    assert_int_equal(wrong, 0);
    assert_true(given_up < TURNS / 4);
    int64_t sum = 0;
    for (unsigned i = 0; i < ACCOUNTS; i++) {
        (void)snprintf(key, sizeof key, "account/%u", i);
        pang_record record = rig_peek(r, key);
        sum += balance(&record);
        assert_string_equal(rig_read(r, first, key), pang_arena_cstr(r->arena, record.body));
        assert_string_equal(rig_read(r, second, key), pang_arena_cstr(r->arena, record.body));
    }
    assert_int_equal(sum, ACCOUNTS * START);
}

static void test_db__threads_of_one_server_keep_the_sum(void **state)
{
    rig *r = *state;
    run_bank(r, r->own, r->own);
    assert_true(rig_stats(r->own).cache_hits > 0);
}

static void test_db__threads_of_two_servers_keep_the_sum(void **state)
{
    rig *r = *state;
    run_bank(r, r->a, r->b);
    assert_true(rig_stats(r->a).cache_hits > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(test_group__scopes_take_turns),
    TEST(test_group__is_bounded_in_bytes),
    TEST(test_group__that_fails_is_sent_singly),
    TEST(test_group__is_not_sent_on_to_a_store_that_is_away),
    TEST(test_group__of_unknown_outcome_is_learnt_by_each),
    TEST(test_db__threads_of_one_server_keep_the_sum),
    TEST(test_db__threads_of_two_servers_keep_the_sum),
};

int main(void)
{
    return cmocka_run_group_tests(tests, NULL, NULL);
}
