/*
 * Many threads at once. Which of them wins is open, that exactly one does is not. A thread that
 * finds something wrong keeps it for the first one to report.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "tests/storage/conformance.h"

enum { THREADS = 6, ROUNDS = 25, WORKER_ARENA_BYTES = 64 << 20 };

typedef struct crowd crowd;

/* A thread's own world: the stores and the scope are shared, the arena is not. */
typedef struct {
    crowd *crowd;
    world w;
    int index;
    pthread_t thread;
} worker;

typedef void work_fn(worker *me);

struct crowd {
    work_fn *work;
    worker workers[THREADS];
    pthread_barrier_t start;
    atomic_int wins[ROUNDS];
    atomic_int commits, writers_left;
    _Atomic(const char *) wrong;
};

static void keep_wrong(worker *me, const char *what)
{
    const char *none = NULL;
    (void)atomic_compare_exchange_strong(&me->crowd->wrong, &none, what);
}

static pang_outcome send_quietly(worker *me, draft *d)
{
    pang_commit *const one[] = {&d->c};
    pang_store_apply(me->w.store[me->index % 2], one, 1);
    if (d->c.outcome == PANG_COMMIT_FAILED || d->c.outcome == PANG_COMMIT_UNKNOWN)
        keep_wrong(me, "a commit failed without a fault");
    if (d->c.outcome == PANG_COMMIT_OK)
        atomic_fetch_add(&me->crowd->commits, 1);
    return d->c.outcome;
}

static bool get_quietly(worker *me, const pang_ref *refs, size_t n, pang_record *records)
{
    pang_err err = {0};
    bool done = pang_store_get(me->w.store[me->index % 2], refs, n, PANG_NO_DEADLINE, me->w.arena,
                               records, &err) == PANG_OK;
    if (!done)
        keep_wrong(me, "a read failed without a fault");
    return done;
}

static void *run_worker(void *arg)
{
    worker *me = arg;
    (void)pthread_barrier_wait(&me->crowd->start);
    me->crowd->work(me);
    return NULL;
}

static void run_crowd(world *w, crowd *c, work_fn *work)
{
    c->work = work;
    (void)pthread_barrier_init(&c->start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        worker *me = &c->workers[i];
        *me = (worker){.crowd = c, .w = *w, .index = i};
        me->w.arena = pang_arena_new(WORKER_ARENA_BYTES);
        assert_non_null(me->w.arena);
        assert_int_equal(pthread_create(&me->thread, NULL, run_worker, me), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(c->workers[i].thread, NULL), 0);
        pang_arena_free(c->workers[i].w.arena);
    }
    (void)pthread_barrier_destroy(&c->start);
    if (c->wrong != NULL)
        fail_msg("%s", c->wrong);
}

/* ---- the same new keys, all at once ---- */

static void create_each(worker *me)
{
    for (int round = 0; round < ROUNDS; round++) {
        draft *d = draft_new(&me->w);
        draft_check(d, key_of(&me->w, "new/%d", round), 0);
        draft_put(d, key_of(&me->w, "new/%d", round),
                  pang_arena_printf(me->w.arena, "%d", me->index));
        draft_add(d, key_of(&me->w, "made"), 1);
        if (send_quietly(me, d) == PANG_COMMIT_OK)
            atomic_fetch_add(&me->crowd->wins[round], 1);
    }
}

static void store_apply__one_thread_creates_a_key(void **state)
{
    world *w = *state;
    static crowd c;
    c = (crowd){0};
    run_crowd(w, &c, create_each);
    for (int round = 0; round < ROUNDS; round++)
        assert_int_equal(c.wins[round], 1);
    assert_int_equal(scan_rows(w, 0, (pang_query){.prefix = key_of(w, "new/")}).n, ROUNDS);
    assert_int_equal(get_one(w, 1, key_of(w, "made")).value, ROUNDS);
}

/* Location against one inside it: no row that both write, only absence and a counter. */
static void reserve_one_of_two(worker *me)
{
    for (int round = 0; round < ROUNDS; round++) {
        draft *d = draft_new(&me->w);
        draft_check(d, key_of(&me->w, "at/%d", round), 0);
        if (me->index % 2 == 0) {
            draft_check_counter(d, key_of(&me->w, "n/%d", round), 0);
            draft_put(d, key_of(&me->w, "at/%d", round), PANG_STR("outer"));
        } else {
            draft_check(d, key_of(&me->w, "at/%d/in", round), 0);
            draft_add(d, key_of(&me->w, "n/%d", round), 1);
            draft_put(d, key_of(&me->w, "at/%d/in", round), PANG_STR("inner"));
        }
        if (send_quietly(me, d) == PANG_COMMIT_OK)
            atomic_fetch_add(&me->crowd->wins[round], 1);
    }
}

static void store_apply__threads_never_reserve_both_of_two_locations(void **state)
{
    world *w = *state;
    static crowd c;
    c = (crowd){0};
    run_crowd(w, &c, reserve_one_of_two);
    for (int round = 0; round < ROUNDS; round++) {
        assert_int_equal(c.wins[round], 1);
        bool outer = get_one(w, 0, key_of(w, "at/%d", round)).version != 0;
        bool inner = get_one(w, 0, key_of(w, "at/%d/in", round)).version != 0;
        assert_int_equal(outer + inner, 1);
    }
}

/* ---- raising one record, adding to one counter, appending to one sequence ---- */

static bool raise_once(worker *me)
{
    world *w = &me->w;
    pang_ref ref = {.key = key_of(w, "x"), .mode = PANG_REF_EXACT};
    pang_record r = {0};
    if (!get_quietly(me, &ref, 1, &r))
        return true;
    int64_t value = 0;
    if (r.version != 0 && !pang_str_to_int64(r.body, &value))
        keep_wrong(me, "a body is not what was put");
    draft *d = draft_new(w);
    draft_check(d, ref.key, r.version);
    draft_put(d, ref.key, pang_arena_printf(w->arena, "%" PRId64, value + 1));
    draft_add(d, key_of(w, "n"), 1);
    int slot = draft_append(d, key_of(w, "s"));
    pang_put *put = draft_put(d, key_of(w, "row/0000000000000000"), PANG_STR("x"));
    put->slot = put->key_slot = slot;
    put->key_slot_at = put->key.len - PANG_SLOT_DIGITS;
    if (send_quietly(me, d) != PANG_COMMIT_OK)
        return false;
    if (d->c.numbers[0] != (uint64_t)value + 1)
        keep_wrong(me, "a number is not that of the commit before plus one");
    return true;
}

static void raise_in_turn(worker *me)
{
    for (int round = 0; round < ROUNDS; round++)
        while (!raise_once(me))
            pang_arena_reset(me->w.arena);
}

static void store_apply__no_update_of_a_thread_is_lost(void **state)
{
    world *w = *state;
    static crowd c;
    c = (crowd){0};
    run_crowd(w, &c, raise_in_turn);
    enum { ALL = THREADS * ROUNDS };
    int64_t value = 0;
    assert_true(pang_str_to_int64(get_one(w, 0, key_of(w, "x")).body, &value));
    assert_int_equal(value, ALL);
    assert_int_equal(get_one(w, 1, key_of(w, "n")).value, ALL);
    row_list rows = scan_rows(w, 0, (pang_query){.prefix = key_of(w, "row/")});
    assert_int_equal(rows.n, ALL);
    for (size_t i = 0; i < rows.n; i++) {
        assert_int_equal(rows.rows[i].sequence, i + 1);
        assert_true(pang_str_equal(rows.rows[i].key, key_of(w, "row/%016zx", i + 1)));
        assert_true(i == 0 || rows.rows[i].time_ms >= rows.rows[i - 1].time_ms);
    }
}

/* Adds are never refused, whatever else goes on. */
static void add_in_turn(worker *me)
{
    for (int round = 0; round < ROUNDS; round++) {
        draft *d = draft_new(&me->w);
        draft_add(d, key_of(&me->w, "n"), me->index + 1);
        draft_put(d, key_of(&me->w, "own/%d/%d", me->index, round), PANG_STR("x"));
        if (send_quietly(me, d) != PANG_COMMIT_OK)
            keep_wrong(me, "an add was refused");
    }
}

static void store_apply__adds_of_threads_commute(void **state)
{
    world *w = *state;
    static crowd c;
    c = (crowd){0};
    run_crowd(w, &c, add_in_turn);
    assert_int_equal(get_one(w, 0, key_of(w, "n")).value, ROUNDS * THREADS * (THREADS + 1) / 2);
}

/* ---- readers see whole commits ---- */

static void write_twins(worker *me)
{
    for (int round = 0; round < ROUNDS; round++) {
        draft *d = draft_new(&me->w);
        pang_str body = pang_arena_printf(me->w.arena, "%d/%d", me->index, round);
        for (int twin = 0; twin < 20; twin++)
            draft_put(d, key_of(&me->w, "twin/%02d", twin), body);
        draft_add(d, key_of(&me->w, "n0"), 1);
        draft_add(d, key_of(&me->w, "n1"), -1);
        (void)send_quietly(me, d);
    }
    atomic_fetch_sub(&me->crowd->writers_left, 1);
}

typedef struct {
    char body[32];
    size_t n;
    bool differ;
} twin_rows;

static pang_row_fn compare_twins;
static bool compare_twins(void *arg, const pang_record *row)
{
    twin_rows *seen = arg;
    char body[32];
    (void)snprintf(body, sizeof body, "%" PANG_STR_FMT, PANG_STR_ARG(row->body));
    if (seen->n++ == 0)
        memcpy(seen->body, body, sizeof body);
    seen->differ |= strcmp(body, seen->body) != 0;
    return true;
}

static void read_twins(worker *me)
{
    world *w = &me->w;
    pang_err err = {0};
    while (atomic_load(&me->crowd->writers_left) > 0) {
        pang_ref refs[22];
        pang_record r[22];
        for (int i = 0; i < 20; i++)
            refs[i] = (pang_ref){.key = key_of(w, "twin/%02d", i), .mode = PANG_REF_EXACT};
        for (int i = 0; i < 2; i++)
            refs[20 + i] = (pang_ref){.key = key_of(w, "n%d", i), .mode = PANG_REF_EXACT};
        if (!get_quietly(me, refs, 22, r))
            return;
        for (int i = 1; i < 20; i++)
            if (!pang_str_equal(r[i].body, r[0].body))
                keep_wrong(me, "a get saw half a commit");
        if (r[20].value + r[21].value != 0)
            keep_wrong(me, "a get saw half a commit's counters");
        twin_rows seen = {0};
        pang_query q = {.prefix = key_of(w, "twin/"), .limit = 100};
        if (pang_store_scan(w->store[me->index % 2], &q, PANG_NO_DEADLINE, compare_twins, &seen,
                            &err) != PANG_OK)
            keep_wrong(me, "a scan failed without a fault");
        if (seen.differ || (seen.n != 0 && seen.n != 20))
            keep_wrong(me, "a scan saw half a commit");
        pang_arena_reset(w->arena);
    }
}

static void write_or_read_twins(worker *me)
{
    if (me->index < THREADS / 2)
        write_twins(me);
    else
        read_twins(me);
}

static void store_reads__see_whole_commits(void **state)
{
    static crowd c;
    c = (crowd){.writers_left = THREADS / 2};
    run_crowd(*state, &c, write_or_read_twins);
    assert_int_equal(c.commits, THREADS / 2 * ROUNDS);
}

/* ---- one id from all sides ---- */

static void send_or_void(worker *me)
{
    for (int round = 0; round < ROUNDS; round++) {
        draft *d = draft_new(&me->w);
        d->c.id_key = key_of(&me->w, "~id/%d", round);
        d->c.is_void = me->index % 3 == 2;
        if (!d->c.is_void)
            draft_add(d, key_of(&me->w, "landed/%d", round), 1);
        if (send_quietly(me, d) == PANG_COMMIT_OK)
            atomic_fetch_add(&me->crowd->wins[round], d->c.is_void ? 100 : 1);
    }
}

static void store_apply__an_id_lands_once_or_is_void(void **state)
{
    world *w = *state;
    static crowd c;
    c = (crowd){0};
    run_crowd(w, &c, send_or_void);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t landed = get_one(w, 0, key_of(w, "landed/%d", round)).value;
        assert_true(c.wins[round] == 1 || c.wins[round] == 100);
        assert_int_equal(landed, c.wins[round] == 1);
    }
}

const struct CMUnitTest thread_tests[] = {
    cmocka_unit_test(store_apply__one_thread_creates_a_key),
    cmocka_unit_test(store_apply__threads_never_reserve_both_of_two_locations),
    cmocka_unit_test(store_apply__no_update_of_a_thread_is_lost),
    cmocka_unit_test(store_apply__adds_of_threads_commute),
    cmocka_unit_test(store_reads__see_whole_commits),
    cmocka_unit_test(store_apply__an_id_lands_once_or_is_void),
};
const size_t n_thread_tests = PANG_COUNT(thread_tests);
