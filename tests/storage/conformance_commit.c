/*
 * One commit at a time: puts, deletes, checks, counters, sequences and slots, ids and void ids,
 * expiry; then several in one group.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/storage/conformance.h"

static void expect_body(world *w, pang_str key, const char *body)
{
    for (int client = 0; client < 2; client++) {
        pang_record r = get_one(w, client, key);
        if ((r.version != 0) != (body != NULL))
            fail_msg("%" PANG_STR_FMT " is %s", PANG_STR_ARG(key), body ? "absent" : "there");
        if (body != NULL)
            assert_true(pang_str_equal(r.body, pang_str_from(body)));
    }
}

/* ---- puts and deletes ---- */

static void store_apply__versions_never_repeat(void **state)
{
    world *w = *state;
    pang_str key = key_of(w, "a");
    uint64_t seen[40];
    size_t n = 0;
    for (int i = 0; i < 10; i++) {
        seen[n++] = put_one(w, key, PANG_STR("same"));
        seen[n++] = put_one(w, key, PANG_STR("same"));
        draft *d = draft_new(w);
        draft_delete(d, key);
        must_send(w, 1, d, PANG_COMMIT_OK);
        expect_body(w, key, NULL);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(seen[i], seen[j]);
}

/* A store that tells the versions it gave tells those that readers find. */
static void store_apply__told_versions_are_those_read(void **state)
{
    world *w = *state;
    for (int i = 0; i < 3; i++) {
        pang_str keys[] = {key_of(w, "a"), key_of(w, "b"), key_of(w, "c")};
        draft *d = draft_new(w);
        (void)draft_append(d, key_of(w, "seq"));
        for (size_t k = 0; k < 3; k++)
            draft_put(d, keys[k], PANG_STR("body"));
        must_send(w, 0, d, PANG_COMMIT_OK);
        for (size_t k = 0; k < 3 && d->c.first_version != 0; k++)
            assert_int_equal(get_one(w, 1, keys[k]).version, d->c.first_version + k);
    }
}

static void store_apply__the_last_put_to_a_key_wins(void **state)
{
    world *w = *state;
    draft *d = draft_new(w);
    for (int i = 0; i < 5; i++)
        draft_put(d, key_of(w, "a"), pang_arena_printf(w->arena, "%d", i));
    must_send(w, 0, d, PANG_COMMIT_OK);
    expect_body(w, key_of(w, "a"), "4");
}

static void store_apply__deleting_what_is_absent_is_fine(void **state)
{
    world *w = *state;
    draft *d = draft_new(w);
    draft_delete(d, key_of(w, "never"));
    draft_put(d, key_of(w, "a"), PANG_STR("x"));
    must_send(w, 0, d, PANG_COMMIT_OK);
    expect_body(w, key_of(w, "a"), "x");
}

static void store_apply__a_commit_of_nothing_but_its_id_lands(void **state)
{
    world *w = *state;
    must_send(w, 0, draft_new(w), PANG_COMMIT_OK);
}

/* ---- checks ---- */

static void store_apply__checks_decide_and_say_which_failed(void **state)
{
    world *w = *state;
    uint64_t old = put_one(w, key_of(w, "a"), PANG_STR("1"));
    uint64_t now = put_one(w, key_of(w, "a"), PANG_STR("2"));
    draft *setup = draft_new(w);
    draft_add(setup, key_of(w, "n"), 3);
    must_send(w, 0, setup, PANG_COMMIT_OK);
    const struct {
        const char *name;
        pang_check check;
        bool passes;
    } cases[] = {
        {"version", {key_of(w, "a"), now, 0, false}, true},
        {"old version", {key_of(w, "a"), old, 0, false}, false},
        {"version to come", {key_of(w, "a"), now + 1, 0, false}, false},
        {"absent but there", {key_of(w, "a"), 0, 0, false}, false},
        {"absent", {key_of(w, "b"), 0, 0, false}, true},
        {"version of what is absent", {key_of(w, "b"), now, 0, false}, false},
        {"counter", {key_of(w, "n"), 0, 3, true}, true},
        {"other count", {key_of(w, "n"), 0, 2, true}, false},
        {"count of what is there", {key_of(w, "n"), 0, 0, true}, false},
        {"absent counter", {key_of(w, "m"), 0, 0, true}, true},
        {"absent counter, other count", {key_of(w, "m"), 0, 1, true}, false},
    };
    for (size_t i = 0; i < PANG_COUNT(cases); i++) {
        draft *d = draft_new(w);
        draft_check(d, key_of(w, "a"), now);
        d->checks[d->c.n_checks++] = cases[i].check;
        draft_check(d, key_of(w, "b"), 0);
        draft_put(d, key_of(w, "out/%zu", i), PANG_STR("x"));
        pang_outcome outcome = draft_send(w, (int)i % 2, d);
        if (outcome != (cases[i].passes ? PANG_COMMIT_OK : PANG_COMMIT_ABORTED))
            fail_msg("%s: outcome %d", cases[i].name, (int)outcome);
        assert_false(d->c.id_was_there);
        if (!cases[i].passes && d->c.failed_check != 3)
            assert_int_equal(d->c.failed_check, 1);
        expect_body(w, key_of(w, "out/%zu", i), cases[i].passes ? "x" : NULL);
    }
}

static void store_apply__aborted_writes_nothing(void **state)
{
    world *w = *state;
    put_one(w, key_of(w, "there"), PANG_STR("1"));
    put_one(w, key_of(w, "kept"), PANG_STR("1"));
    draft *d = draft_new(w);
    draft_check(d, key_of(w, "there"), 0);
    draft_put(d, key_of(w, "there"), PANG_STR("2"));
    draft_put(d, key_of(w, "new"), PANG_STR("2"));
    draft_delete(d, key_of(w, "kept"));
    draft_add(d, key_of(w, "n"), 5);
    int slot = draft_append(d, key_of(w, "s"));
    draft_put(d, key_of(w, "slotted"), PANG_STR("2"))->slot = slot;
    must_send(w, 0, d, PANG_COMMIT_ABORTED);
    expect_body(w, key_of(w, "there"), "1");
    expect_body(w, key_of(w, "new"), NULL);
    expect_body(w, key_of(w, "kept"), "1");
    expect_body(w, key_of(w, "slotted"), NULL);
    assert_int_equal(get_one(w, 1, key_of(w, "n")).value, 0);
    assert_int_equal(get_one(w, 1, key_of(w, "s")).value, 0);
    assert_int_equal(get_one(w, 1, d->c.id_key).version, 0);
    draft *next = draft_new(w);
    draft_append(next, key_of(w, "s"));
    must_send(w, 0, next, PANG_COMMIT_OK);
    assert_int_equal(next->c.numbers[0], 1);
}

/* ---- counters ---- */

static void store_apply__counters_add_up(void **state)
{
    world *w = *state;
    static const int64_t amounts[] = {1, 5, -7, 0, 1000000000000, -999999999999};
    int64_t sum = 0;
    for (size_t i = 0; i < PANG_COUNT(amounts); i++) {
        draft *d = draft_new(w);
        draft_add(d, key_of(w, "n"), amounts[i]);
        draft_add(d, key_of(w, "other"), 1);
        draft_add(d, key_of(w, "n"), amounts[i]);
        must_send(w, (int)i % 2, d, PANG_COMMIT_OK);
        sum += 2 * amounts[i];
        assert_int_equal(get_one(w, 0, key_of(w, "n")).value, sum);
    }
    pang_record r = get_one(w, 1, key_of(w, "other"));
    assert_int_equal(r.value, PANG_COUNT(amounts));
    assert_int_equal(r.kind, PANG_KIND_COUNTER);
    draft *d = draft_new(w);
    draft_delete(d, key_of(w, "other"));
    must_send(w, 0, d, PANG_COMMIT_OK);
    assert_int_equal(get_one(w, 1, key_of(w, "other")).value, 0);
}

static void store_apply__a_counter_at_zero_passes_for_absent(void **state)
{
    world *w = *state;
    for (int i = 0; i < 2; i++) {
        draft *d = draft_new(w);
        draft_add(d, key_of(w, "n"), i == 0 ? 4 : -4);
        must_send(w, 0, d, PANG_COMMIT_OK);
    }
    draft *d = draft_new(w);
    draft_check_counter(d, key_of(w, "n"), 0);
    must_send(w, 1, d, PANG_COMMIT_OK);
}

/* ---- sequences and slots ---- */

static void store_apply__sequences_are_gapless_and_fill_slots(void **state)
{
    world *w = *state;
    int64_t last_time = 0;
    for (uint64_t i = 1; i <= 20; i++) {
        draft *d = draft_new(w);
        int slot = draft_append(d, key_of(w, "seq"));
        pang_put *put = draft_put(d, key_of(w, "row/................/x"), PANG_STR("body"));
        put->slot = slot;
        put->key_slot = slot;
        put->key_slot_at = key_of(w, "row/").len;
        draft_put(d, key_of(w, "plain"), PANG_STR("body"));
        must_send(w, (int)i % 2, d, PANG_COMMIT_OK);
        assert_int_equal(d->c.numbers[slot], i);
        assert_true(d->c.time_ms >= last_time);
        last_time = d->c.time_ms;
        pang_record r = get_one(w, 0, key_of(w, "row/%016" PRIx64 "/x", i));
        assert_int_not_equal(r.version, 0);
        assert_int_equal(r.sequence, i);
        assert_int_equal(r.time_ms, d->c.time_ms);
        assert_int_equal(get_one(w, 0, key_of(w, "plain")).sequence, 0);
        pang_record s = get_one(w, 1, key_of(w, "seq"));
        assert_int_equal(s.value, i);
        assert_int_equal(s.time_ms, d->c.time_ms);
        assert_int_equal(s.kind, PANG_KIND_SEQUENCE);
        assert_int_equal(get_one(w, 1, d->c.id_key).sequence, i);
    }
    assert_int_equal(scan_rows(w, 0, (pang_query){.prefix = key_of(w, "row/")}).n, 20);
    expect_body(w, key_of(w, "row/................/x"), NULL);
}

static void store_apply__a_commit_appends_to_several_sequences(void **state)
{
    world *w = *state;
    for (uint64_t i = 1; i <= 12; i++) {
        draft *d = draft_new(w);
        for (int s = 0; s < PANG_APPENDS_MAX; s++)
            if (i % (uint64_t)(s + 1) == 0)
                draft_append(d, key_of(w, "s%d", s));
        for (size_t s = 0; s < d->c.n_appends; s++) {
            pang_put *put = draft_put(d, key_of(w, "%" PRIu64 "/%zu/0000000000000000", i, s),
                                      PANG_STR("x"));
            put->slot = (int)s;
            put->key_slot = (int)(d->c.n_appends - 1 - s); /* another one than in the header */
            put->key_slot_at = put->key.len - PANG_SLOT_DIGITS;
        }
        must_send(w, 0, d, PANG_COMMIT_OK);
        for (int s = 0, at = 0; s < PANG_APPENDS_MAX; s++)
            if (i % (uint64_t)(s + 1) == 0)
                assert_int_equal(d->c.numbers[at++], i / (uint64_t)(s + 1));
        for (size_t s = 0; s < d->c.n_appends; s++) {
            uint64_t in_key = d->c.numbers[d->c.n_appends - 1 - s];
            pang_record r = get_one(w, 1, key_of(w, "%" PRIu64 "/%zu/%016" PRIx64, i, s, in_key));
            assert_int_equal(r.sequence, d->c.numbers[s]);
        }
    }
}

/* ---- ids ---- */

static draft *with_id(world *w, const draft *other)
{
    draft *d = draft_new(w);
    d->c.id = other->c.id;
    d->c.id_key = other->c.id_key;
    return d;
}

static void store_apply__an_id_lands_once_whatever_the_checks_say(void **state)
{
    world *w = *state;
    draft *first = draft_new(w);
    draft_check(first, key_of(w, "a"), 0);
    draft_put(first, key_of(w, "a"), PANG_STR("1"));
    must_send(w, 0, first, PANG_COMMIT_OK);
    draft *again = with_id(w, first);
    draft_check(again, key_of(w, "a"), 0); /* fails too; the id is what the caller must hear */
    draft_put(again, key_of(w, "a"), PANG_STR("2"));
    must_send(w, 1, again, PANG_COMMIT_ABORTED);
    assert_true(again->c.id_was_there);
    draft *third = with_id(w, first);
    draft_put(third, key_of(w, "a"), PANG_STR("3"));
    must_send(w, 0, third, PANG_COMMIT_ABORTED);
    assert_true(third->c.id_was_there);
    expect_body(w, key_of(w, "a"), "1");
}

static void store_apply__an_id_that_was_aborted_may_come_again(void **state)
{
    world *w = *state;
    put_one(w, key_of(w, "a"), PANG_STR("1"));
    draft *first = draft_new(w);
    draft_check(first, key_of(w, "a"), 0);
    must_send(w, 0, first, PANG_COMMIT_ABORTED);
    assert_false(first->c.id_was_there);
    must_send(w, 0, with_id(w, first), PANG_COMMIT_OK);
}

static void store_apply__ids_are_kept_with_what_belongs_to_them(void **state)
{
    world *w = *state;
    for (int kept = 0; kept < 2; kept++) {
        draft *d = draft_new(w);
        d->c.id_body = PANG_STR("the answer");
        d->c.id_kept = kept != 0;
        draft_append(d, key_of(w, "s"));
        must_send(w, 0, d, PANG_COMMIT_OK);
        pang_record r = get_one(w, 1, d->c.id_key);
        assert_int_equal(r.kind, PANG_KIND_COMMIT_ID);
        assert_true(pang_str_equal(r.body, PANG_STR("the answer")));
        assert_int_equal(r.sequence, d->c.numbers[0]);
        assert_int_equal(r.time_ms, d->c.time_ms);
        assert_int_equal(r.value, 0);
        if (kept)
            assert_int_equal(r.expires_ms, 0);
        else
            assert_in_range(r.expires_ms, d->c.time_ms + PANG_COMMIT_ID_LIFE_MS - 60000,
                            d->c.time_ms + PANG_COMMIT_ID_LIFE_MS + 60000);
    }
}

static void store_apply__a_void_id_keeps_its_commit_out(void **state)
{
    world *w = *state;
    draft *late = draft_new(w);
    draft_put(late, key_of(w, "a"), PANG_STR("1"));
    draft *mark = with_id(w, late);
    mark->c.is_void = true;
    must_send(w, 0, mark, PANG_COMMIT_OK);
    must_send(w, 1, late, PANG_COMMIT_ABORTED);
    assert_true(late->c.id_was_there);
    expect_body(w, key_of(w, "a"), NULL);
    pang_record r = get_one(w, 1, late->c.id_key);
    assert_int_equal(r.kind, PANG_KIND_COMMIT_ID);
    assert_int_equal(r.value, PANG_ID_VOID);
    assert_int_equal(r.body.len, 0);
    draft *more = with_id(w, late);
    more->c.is_void = true;
    must_send(w, 1, more, PANG_COMMIT_ABORTED);
    assert_true(more->c.id_was_there);
}

static void store_resolve__tells_landed_from_never(void **state)
{
    world *w = *state;
    draft *landed = draft_new(w);
    landed->c.id_body = PANG_STR("x");
    draft_append(landed, key_of(w, "s"));
    must_send(w, 0, landed, PANG_COMMIT_OK);
    uint64_t number = landed->c.numbers[0];
    int64_t time_ms = landed->c.time_ms;
    draft *lost = draft_new(w);
    draft_put(lost, key_of(w, "a"), PANG_STR("1"));
    draft *both[] = {landed, lost};
    for (int round = 0; round < 4; round++) { /* every answer stays what it was */
        draft *d = both[round % 2];
        d->c.outcome = PANG_COMMIT_UNKNOWN;
        d->c.numbers[0] = 0;
        d->c.time_ms = 0;
        pang_store_resolve(w->store[round / 2], &d->c, PANG_NO_DEADLINE);
        assert_int_equal(d->c.outcome, d == landed ? PANG_COMMIT_OK : PANG_COMMIT_ABORTED);
    }
    assert_int_equal(landed->c.numbers[0], number);
    assert_int_equal(landed->c.time_ms, time_ms);
    must_send(w, 0, lost, PANG_COMMIT_ABORTED);
    expect_body(w, key_of(w, "a"), NULL);
}

/* ---- expiry ---- */

static int64_t store_time(world *w)
{
    draft *d = draft_new(w);
    must_send(w, 0, d, PANG_COMMIT_OK);
    return d->c.time_ms;
}

static void put_until(world *w, pang_str key, int64_t expires_ms)
{
    draft *d = draft_new(w);
    draft_put(d, key, PANG_STR("brief"))->expires_ms = expires_ms;
    must_send(w, 0, d, PANG_COMMIT_OK);
}

static void store_apply__expired_is_absent_to_everything(void **state)
{
    world *w = *state;
    int64_t now = store_time(w);
    put_until(w, key_of(w, "e/1"), now - 1);
    put_until(w, key_of(w, "e/2"), now + 3600000);
    put_until(w, key_of(w, "e/3"), 1);
    put_one(w, key_of(w, "e/4"), PANG_STR("stays"));
    expect_body(w, key_of(w, "e/1"), NULL);
    expect_body(w, key_of(w, "e/2"), "brief");
    assert_int_equal(get_one(w, 0, key_of(w, "e/2")).expires_ms, now + 3600000);
    expect_body(w, key_of(w, "e/3"), NULL);
    pang_str zero = key_of(w, "e/0");
    assert_true(pang_str_equal(get_ceiling(w, 0, zero, zero.len - 1).key, key_of(w, "e/2")));
    pang_str two = key_of(w, "e/2");
    assert_true(pang_str_equal(get_ceiling(w, 1, two, two.len - 1).key, key_of(w, "e/4")));
    for (int descending = 0; descending < 2; descending++) {
        pang_query q = {.prefix = key_of(w, "e/"), .limit = 2, .descending = descending != 0};
        assert_int_equal(scan_rows(w, 0, q).n, 2); /* expired rows use up no limit */
    }
    draft *d = draft_new(w);
    draft_check(d, key_of(w, "e/1"), 0);
    draft_put(d, key_of(w, "e/1"), PANG_STR("anew"));
    must_send(w, 1, d, PANG_COMMIT_OK);
    expect_body(w, key_of(w, "e/1"), "anew");
    assert_int_equal(get_one(w, 0, key_of(w, "e/1")).expires_ms, 0);
}

static void store_apply__records_expire_while_time_passes(void **state)
{
    world *w = *state;
    pang_str key = key_of(w, "soon");
    put_until(w, key, store_time(w) + 60000);
    uint64_t before = get_one(w, 0, key).version;
    assert_int_not_equal(before, 0);
    put_until(w, key, store_time(w) + 250);
    for (int i = 0; get_one(w, i % 2, key).version != 0; i++) {
        if (i > 500)
            fail_msg("still there after %d reads", i);
        (void)nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    draft *d = draft_new(w);
    draft_check(d, key, 0);
    draft_put(d, key, PANG_STR("anew"));
    must_send(w, 0, d, PANG_COMMIT_OK);
    assert_int_not_equal(get_one(w, 0, key).version, before);
}

/* ---- groups ---- */

static void apply_group(world *w, int client, draft *const *drafts, size_t n)
{
    pang_commit *commits[DRAFT_MAX];
    assert_in_range(n, 1, DRAFT_MAX);
    for (size_t i = 0; i < n; i++)
        commits[i] = &drafts[i]->c;
    pang_store_apply(w->store[client], commits, n);
}

static void store_apply__members_of_a_group_see_those_before(void **state)
{
    world *w = *state;
    draft *d[5];
    for (int i = 0; i < 5; i++) {
        d[i] = draft_new(w);
        draft_append(d[i], key_of(w, "s"));
        draft_add(d[i], key_of(w, "n"), 1);
        draft_put(d[i], key_of(w, "last"), pang_arena_printf(w->arena, "%d", i));
    }
    draft_check(d[0], key_of(w, "x"), 0);
    draft_put(d[0], key_of(w, "x"), PANG_STR("0"));
    draft_check(d[1], key_of(w, "x"), 0); /* fails: 0 has made it */
    draft_check_counter(d[2], key_of(w, "n"), 1);
    draft_delete(d[2], key_of(w, "x"));
    draft_check(d[3], key_of(w, "x"), 0); /* passes again */
    draft_check_counter(d[4], key_of(w, "n"), 7);
    apply_group(w, 0, d, 5);
    static const pang_outcome expected[] = {PANG_COMMIT_OK, PANG_COMMIT_ABORTED, PANG_COMMIT_OK,
                                            PANG_COMMIT_OK, PANG_COMMIT_ABORTED};
    uint64_t number = 0;
    for (int i = 0; i < 5; i++) {
        if (d[i]->c.outcome != expected[i])
            fail_msg("%d: outcome %d %s", i, (int)d[i]->c.outcome, d[i]->c.err.message);
        if (expected[i] == PANG_COMMIT_OK)
            assert_int_equal(d[i]->c.numbers[0], ++number);
    }
    expect_body(w, key_of(w, "x"), NULL);
    expect_body(w, key_of(w, "last"), "3");
    assert_int_equal(get_one(w, 0, key_of(w, "n")).value, 3);
}

static void store_apply__one_id_twice_in_a_group_lands_once(void **state)
{
    world *w = *state;
    draft *a = draft_new(w), *b = with_id(w, a), *mark = with_id(w, a);
    draft_put(a, key_of(w, "a"), PANG_STR("1"));
    draft_put(b, key_of(w, "a"), PANG_STR("2"));
    mark->c.is_void = true;
    apply_group(w, 0, (draft *[]){a, b, mark}, 3);
    assert_int_equal(a->c.outcome, PANG_COMMIT_OK);
    assert_int_equal(b->c.outcome, PANG_COMMIT_ABORTED);
    assert_true(b->c.id_was_there);
    assert_int_equal(mark->c.outcome, PANG_COMMIT_ABORTED);
    assert_true(mark->c.id_was_there);
    expect_body(w, key_of(w, "a"), "1");
}

static void store_apply__a_group_mixes_scopes(void **state)
{
    world *w = *state;
    draft *d[64];
    pang_str keys[64];
    for (int i = 0; i < 64; i++) {
        if (i % 8 == 0)
            world_new_scope(w);
        d[i] = draft_new(w);
        keys[i] = key_of(w, "k%d", i);
        draft_check(d[i], keys[i], 0);
        draft_put(d[i], keys[i], PANG_STR("x"));
        draft_append(d[i], key_of(w, "s"));
    }
    apply_group(w, 1, d, 64);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(d[i]->c.outcome, PANG_COMMIT_OK);
        assert_int_equal(d[i]->c.numbers[0], i % 8 + 1);
        expect_body(w, keys[i], "x");
    }
}

const struct CMUnitTest commit_tests[] = {
    cmocka_unit_test(store_apply__versions_never_repeat),
    cmocka_unit_test(store_apply__told_versions_are_those_read),
    cmocka_unit_test(store_apply__the_last_put_to_a_key_wins),
    cmocka_unit_test(store_apply__deleting_what_is_absent_is_fine),
    cmocka_unit_test(store_apply__a_commit_of_nothing_but_its_id_lands),
    cmocka_unit_test(store_apply__checks_decide_and_say_which_failed),
    cmocka_unit_test(store_apply__aborted_writes_nothing),
    cmocka_unit_test(store_apply__counters_add_up),
    cmocka_unit_test(store_apply__a_counter_at_zero_passes_for_absent),
    cmocka_unit_test(store_apply__sequences_are_gapless_and_fill_slots),
    cmocka_unit_test(store_apply__a_commit_appends_to_several_sequences),
    cmocka_unit_test(store_apply__an_id_lands_once_whatever_the_checks_say),
    cmocka_unit_test(store_apply__an_id_that_was_aborted_may_come_again),
    cmocka_unit_test(store_apply__ids_are_kept_with_what_belongs_to_them),
    cmocka_unit_test(store_apply__a_void_id_keeps_its_commit_out),
    cmocka_unit_test(store_resolve__tells_landed_from_never),
    cmocka_unit_test(store_apply__expired_is_absent_to_everything),
    cmocka_unit_test(store_apply__records_expire_while_time_passes),
    cmocka_unit_test(store_apply__members_of_a_group_see_those_before),
    cmocka_unit_test(store_apply__one_id_twice_in_a_group_lands_once),
    cmocka_unit_test(store_apply__a_group_mixes_scopes),
};
const size_t n_commit_tests = PANG_COUNT(commit_tests);
