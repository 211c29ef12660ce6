/*
 * Reading: get, ceiling refs, scans in both directions; the order of keys.
 */
#include <stdio.h>
#include <string.h>

#include "tests/storage/conformance.h"

static void store_get__what_is_not_there_has_version_0(void **state)
{
    world *w = *state;
    pang_str key = key_of(w, "nothing");
    pang_record r = get_one(w, 0, key);
    assert_true(pang_str_equal(r.key, key));
    assert_int_equal(r.version, 0);
    assert_int_equal(r.body.len, 0);
    assert_int_equal(r.sequence, 0);
    assert_int_equal(r.time_ms, 0);
    assert_int_equal(r.expires_ms, 0);
    assert_int_equal(r.value, 0);
    assert_int_equal(r.kind, 0);
}

static void store_get__a_put_comes_back_with_its_header(void **state)
{
    world *w = *state;
    static const char bytes[] = "one\0two\xff\x80";
    pang_str body = {bytes, sizeof bytes};
    draft *d = draft_new(w);
    draft_put(d, key_of(w, "a"), body)->kind = 4711;
    must_send(w, 0, d, PANG_COMMIT_OK);
    for (int client = 0; client < 2; client++) {
        pang_record r = get_one(w, client, key_of(w, "a"));
        assert_true(pang_str_equal(r.key, key_of(w, "a")));
        assert_true(pang_str_equal(r.body, body));
        assert_int_not_equal(r.version, 0);
        assert_int_equal(r.kind, 4711);
        assert_int_equal(r.sequence, 0);
        assert_int_equal(r.expires_ms, 0);
        assert_int_equal(r.time_ms, d->c.time_ms);
    }
    assert_in_range(d->c.time_ms, 1600000000000, 99999999999999);
}

static void store_get__empty_bodies_are_records_too(void **state)
{
    world *w = *state;
    put_one(w, key_of(w, "empty"), (pang_str){0});
    pang_record r = get_one(w, 1, key_of(w, "empty"));
    assert_int_not_equal(r.version, 0);
    assert_int_equal(r.body.len, 0);
}

static void store_get__many_refs_are_answered_in_their_order(void **state)
{
    world *w = *state;
    for (int round = 0; round < 4; round++) {
        draft *d = draft_new(w);
        for (int i = 0; i < 100; i++)
            draft_put(d, key_of(w, "n/%d", round * 200 + i * 2),
                      pang_arena_printf(w->arena, "body %d", round * 200 + i * 2));
        must_send(w, 0, d, PANG_COMMIT_OK);
    }
    pang_ref *refs = pang_arena_alloc_n(w->arena, PANG_GET_MAX, sizeof *refs);
    pang_record *records = pang_arena_alloc_n(w->arena, PANG_GET_MAX, sizeof *records);
    for (int i = 0; i < PANG_GET_MAX; i++) /* 7 and 900 share no factor: some come twice */
        refs[i] = (pang_ref){.key = key_of(w, "n/%d", i * 7 % 900), .mode = PANG_REF_EXACT};
    pang_err err = {0};
    assert_int_equal(
        pang_store_get(w->store[1], refs, PANG_GET_MAX, PANG_NO_DEADLINE, w->arena, records, &err),
        PANG_OK);
    for (int i = 0; i < PANG_GET_MAX; i++) {
        int n = i * 7 % 900;
        bool there = n < 800 && n % 2 == 0;
        assert_true(pang_str_equal(records[i].key, refs[i].key));
        assert_int_equal(records[i].version != 0, there);
        if (there)
            assert_true(pang_str_equal(records[i].body, pang_arena_printf(w->arena, "body %d", n)));
    }
}

static void store_get__a_deadline_that_has_passed_is_an_error(void **state)
{
    world *w = *state;
    pang_err err = {0};
    pang_record r;
    pang_ref ref = {.key = key_of(w, "a"), .mode = PANG_REF_EXACT};
    int64_t past = pang_env_mono_ms(&pang_env_system) - 1;
    assert_int_equal(pang_store_get(w->store[0], &ref, 1, past, w->arena, &r, &err),
                     PANG_DEADLINE_EXCEEDED);
    assert_int_equal(pang_store_ping(w->store[0], past, &err), PANG_DEADLINE_EXCEEDED);
    assert_int_equal(pang_store_ping(w->store[0], past + 10000, &err), PANG_OK);
    assert_int_equal(pang_store_get(w->store[0], &ref, 1, past + 10000, w->arena, &r, &err),
                     PANG_OK);
}

/* ---- ceilings ---- */

static void expect_ceiling(world *w, const char *from, const char *prefix, const char *found)
{
    for (int client = 0; client < 2; client++) {
        pang_str key = key_of(w, "%s", from);
        pang_record r = get_ceiling(w, client, key, key_of(w, "%s", prefix).len);
        if ((r.version != 0) != (found != NULL))
            fail_msg("above %s: %s", from, found == NULL ? "found one" : "found none");
        assert_true(pang_str_equal(r.key, key_of(w, "%s", found == NULL ? from : found)));
        if (found != NULL)
            assert_true(pang_str_equal(r.body, pang_str_from(found)));
    }
}

static void store_get__a_ceiling_is_the_next_key_of_its_range(void **state)
{
    world *w = *state;
    static const char *const names[] = {"h/a/05", "h/a/10", "h/a/10x", "h/b/01", "h/b/99"};
    for (size_t i = 0; i < PANG_COUNT(names); i++)
        put_one(w, key_of(w, "%s", names[i]), pang_str_from(names[i]));
    expect_ceiling(w, "h/a/00", "h/a/", "h/a/05");
    expect_ceiling(w, "h/a/05", "h/a/", "h/a/10");
    expect_ceiling(w, "h/a/1", "h/a/", "h/a/10");
    expect_ceiling(w, "h/a/10", "h/a/", "h/a/10x");
    expect_ceiling(w, "h/a/10x", "h/a/", NULL);
    expect_ceiling(w, "h/a/10x", "h/", "h/b/01");
    expect_ceiling(w, "h/a/", "h/a/", "h/a/05");
    expect_ceiling(w, "h/b/99", "h/", NULL);
    expect_ceiling(w, "h/c/0", "h/c/0", NULL);
    draft *d = draft_new(w);
    draft_delete(d, key_of(w, "h/a/10"));
    must_send(w, 0, d, PANG_COMMIT_OK);
    expect_ceiling(w, "h/a/05", "h/a/", "h/a/10x");
}

static void store_get__ceilings_and_exact_refs_mix(void **state)
{
    world *w = *state;
    for (int i = 0; i < 20; i++)
        put_one(w, key_of(w, "m/%02d", i * 5), pang_arena_printf(w->arena, "%d", i * 5));
    pang_ref refs[99];
    pang_record records[99];
    size_t prefix = key_of(w, "m/").len;
    for (int i = 0; i < 99; i++)
        refs[i] = (pang_ref){
            .key = key_of(w, "m/%02d", i),
            .prefix_len = prefix,
            .mode = i % 3 == 0 ? PANG_REF_EXACT : PANG_REF_CEILING,
        };
    pang_err err = {0};
    assert_int_equal(
        pang_store_get(w->store[0], refs, 99, PANG_NO_DEADLINE, w->arena, records, &err), PANG_OK);
    for (int i = 0; i < 99; i++) {
        int expected = i % 3 != 0 ? (i / 5 + 1) * 5 : i % 5 == 0 ? i : 100;
        assert_int_equal(records[i].version != 0, expected < 100);
        if (expected < 100)
            assert_true(
                pang_str_equal(records[i].body, pang_arena_printf(w->arena, "%d", expected)));
    }
}

/* ---- scans ---- */

/* Keys that a text comparison, a signed char or a C string would order or cut wrongly. */
static const pang_str odd_names[] = {
    PANG_STR_INIT("\0"),       PANG_STR_INIT("\0\0"),      PANG_STR_INIT("\0\1"),
    PANG_STR_INIT("\1"),       PANG_STR_INIT(" "),         PANG_STR_INIT("A"),
    PANG_STR_INIT("Z"),        PANG_STR_INIT("_"),         PANG_STR_INIT("a"),
    PANG_STR_INIT("a\0"),      PANG_STR_INIT("a\0b"),      PANG_STR_INIT("a\1"),
    PANG_STR_INIT("a "),       PANG_STR_INIT("a%"),        PANG_STR_INIT("a/b"),
    PANG_STR_INIT("aB"),       PANG_STR_INIT("aa"),        PANG_STR_INIT("ab"),
    PANG_STR_INIT("a\x7f"),    PANG_STR_INIT("a\x80"),     PANG_STR_INIT("a\xc3\xa4"),
    PANG_STR_INIT("a\xff"),    PANG_STR_INIT("a\xff\xff"), PANG_STR_INIT("b"),
    PANG_STR_INIT("\x7f"),     PANG_STR_INIT("\x80"),      PANG_STR_INIT("\xc3\x84"),
    PANG_STR_INIT("\xfe"),     PANG_STR_INIT("\xff"),      PANG_STR_INIT("\xff\0"),
    PANG_STR_INIT("\xff\xff"),
};
enum { ODD = PANG_COUNT(odd_names) };

static pang_str odd_key(world *w, pang_str name)
{
    pang_str head = key_of(w, "o/");
    char *to = pang_arena_alloc_text(w->arena, head.len + name.len);
    memcpy(to, head.ptr, head.len);
    memcpy(to + head.len, name.ptr, name.len);
    return (pang_str){to, head.len + name.len};
}

static void put_odd(world *w)
{
    draft *d = draft_new(w);
    for (size_t i = 0; i < ODD; i++) { /* 31 is prime: every name once, not in order */
        size_t at = (i * 12 + 5) % ODD;
        draft_put(d, odd_key(w, odd_names[at]), odd_names[at]);
    }
    must_send(w, 0, d, PANG_COMMIT_OK);
}

static void store_scan__keys_are_ordered_by_their_bytes(void **state)
{
    world *w = *state;
    put_odd(w);
    row_list up = scan_rows(w, 0, (pang_query){.prefix = key_of(w, "o/")});
    row_list down = scan_rows(w, 1, (pang_query){.prefix = key_of(w, "o/"), .descending = true});
    assert_int_equal(up.n, ODD);
    assert_int_equal(down.n, ODD);
    for (size_t i = 0; i < ODD; i++) {
        assert_true(pang_str_equal(up.rows[i].key, odd_key(w, odd_names[i])));
        assert_true(pang_str_equal(up.rows[i].body, odd_names[i]));
        assert_true(pang_str_equal(down.rows[ODD - 1 - i].key, up.rows[i].key));
        assert_int_equal(down.rows[ODD - 1 - i].version, up.rows[i].version);
        pang_record r = get_one(w, 0, odd_key(w, odd_names[i]));
        assert_int_equal(r.version, up.rows[i].version);
    }
}

static void store_scan__every_window_of_odd_keys_is_right(void **state)
{
    world *w = *state;
    put_odd(w);
    for (size_t i = 0; i < ODD; i++) {
        size_t with_prefix = 0;
        for (size_t j = 0; j < ODD; j++)
            with_prefix += pang_str_starts(odd_names[j], odd_names[i]);
        pang_query q = {.prefix = odd_key(w, odd_names[i])};
        assert_int_equal(scan_rows(w, 0, q).n, with_prefix);
        q.descending = true;
        assert_int_equal(scan_rows(w, 0, q).n, with_prefix);

        q = (pang_query){.prefix = key_of(w, "o/"), .after = odd_key(w, odd_names[i])};
        assert_int_equal(scan_rows(w, 0, q).n, ODD - 1 - i);
        q.descending = true;
        assert_int_equal(scan_rows(w, 0, q).n, i);

        q = (pang_query){.prefix = key_of(w, "o/"), .until = odd_key(w, odd_names[i])};
        assert_int_equal(scan_rows(w, 0, q).n, i);
        q.descending = true;
        assert_int_equal(scan_rows(w, 0, q).n, ODD - 1 - i);
    }
}

static void store_scan__after_and_until_need_not_exist_nor_lie_inside(void **state)
{
    world *w = *state;
    static const char *const names[] = {"r/1", "s/1", "s/3", "s/5", "t/1"};
    for (size_t i = 0; i < PANG_COUNT(names); i++)
        put_one(w, key_of(w, "%s", names[i]), (pang_str){0});
    static const struct {
        const char *after, *until;
        size_t up, down;
    } cases[] = {
        {"", "", 3, 3},       {"s/2", "", 2, 1},    {"", "s/4", 2, 1},    {"s/2", "s/4", 1, 0},
        {"s/4", "s/2", 0, 1}, {"r/0", "", 3, 0},    {"t/9", "", 0, 3},    {"", "r/0", 0, 3},
        {"", "t/9", 3, 0},    {"s/3", "s/3", 0, 0}, {"s/1", "s/5", 1, 0}, {"s/5", "s/1", 0, 1},
        {"s/", "", 3, 0},     {"r/0", "t/9", 3, 0}, {"t/9", "r/0", 0, 3},
    };
    for (size_t i = 0; i < PANG_COUNT(cases); i++) {
        pang_query q = {.prefix = key_of(w, "s/")};
        if (cases[i].after[0] != '\0')
            q.after = key_of(w, "%s", cases[i].after);
        if (cases[i].until[0] != '\0')
            q.until = key_of(w, "%s", cases[i].until);
        size_t up = scan_rows(w, 0, q).n;
        q.descending = true;
        size_t down = scan_rows(w, 0, q).n;
        if (up != cases[i].up || down != cases[i].down)
            fail_msg("after %s until %s: %zu up, %zu down", cases[i].after, cases[i].until, up,
                     down);
    }
}

static void store_scan__pages_resume_where_they_stopped(void **state)
{
    world *w = *state;
    draft *d = draft_new(w);
    for (int i = 0; i < 100; i++)
        draft_put(d, key_of(w, "p/%03d", i), (pang_str){0});
    must_send(w, 0, d, PANG_COMMIT_OK);
    for (uint32_t limit = 1; limit <= 101; limit += 20)
        for (int descending = 0; descending < 2; descending++) {
            pang_query q = {
                .prefix = key_of(w, "p/"), .limit = limit, .descending = descending != 0};
            int seen = 0;
            for (;;) {
                row_list page = scan_rows(w, seen % 2, q);
                for (size_t i = 0; i < page.n; i++, seen++)
                    assert_true(pang_str_equal(page.rows[i].key,
                                               key_of(w, "p/%03d", descending ? 99 - seen : seen)));
                if (page.n < limit)
                    break;
                q.after = page.rows[page.n - 1].key;
            }
            assert_int_equal(seen, 100);
        }
}

static void store_scan__keys_only_leaves_bodies_out(void **state)
{
    world *w = *state;
    uint64_t version = put_one(w, key_of(w, "k"), PANG_STR("a body"));
    row_list rows = scan_rows(w, 0, (pang_query){.prefix = key_of(w, "k"), .keys_only = true});
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.rows[0].body.len, 0);
    assert_int_equal(rows.rows[0].version, version);
    assert_int_equal(rows.rows[0].kind, PANG_KIND_FIRST);
}

static pang_row_fn stop_at_third;
static bool stop_at_third(void *arg, const pang_record *row)
{
    (void)row;
    return ++*(int *)arg < 3;
}

static void store_scan__stops_when_it_is_told(void **state)
{
    world *w = *state;
    for (int i = 0; i < 6; i++)
        put_one(w, key_of(w, "z/%d", i), (pang_str){0});
    int rows = 0;
    pang_err err = {0};
    pang_query q = {.prefix = key_of(w, "z/"), .limit = 10};
    assert_int_equal(pang_store_scan(w->store[0], &q, PANG_NO_DEADLINE, stop_at_third, &rows, &err),
                     PANG_OK);
    assert_int_equal(rows, 3);
    assert_int_equal(scan_rows(w, 0, q).n, 6); /* nothing is left open that would be in the way */
}

/* A backup reads everything by scanning. */
static void store_scan__shows_counters_sequences_and_ids(void **state)
{
    world *w = *state;
    draft *d = draft_new(w);
    d->c.id_kept = true;
    d->c.id_body = PANG_STR("kept");
    draft_add(d, key_of(w, "c"), 7);
    draft_append(d, key_of(w, "s"));
    draft_put(d, key_of(w, "r"), PANG_STR("body"));
    must_send(w, 0, d, PANG_COMMIT_OK);
    row_list rows = scan_rows(w, 1, (pang_query){.prefix = key_of(w, "%s", "")});
    assert_int_equal(rows.n, 4);
    static const uint32_t kinds[] = {PANG_KIND_COUNTER, PANG_KIND_FIRST, PANG_KIND_SEQUENCE,
                                     PANG_KIND_COMMIT_ID};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(rows.rows[i].kind, kinds[i]);
    assert_int_equal(rows.rows[0].value, 7);
    assert_int_equal(rows.rows[2].value, 1);
    assert_true(pang_str_equal(rows.rows[3].body, PANG_STR("kept")));
}

const struct CMUnitTest read_tests[] = {
    cmocka_unit_test(store_get__what_is_not_there_has_version_0),
    cmocka_unit_test(store_get__a_put_comes_back_with_its_header),
    cmocka_unit_test(store_get__empty_bodies_are_records_too),
    cmocka_unit_test(store_get__many_refs_are_answered_in_their_order),
    cmocka_unit_test(store_get__a_deadline_that_has_passed_is_an_error),
    cmocka_unit_test(store_get__a_ceiling_is_the_next_key_of_its_range),
    cmocka_unit_test(store_get__ceilings_and_exact_refs_mix),
    cmocka_unit_test(store_scan__keys_are_ordered_by_their_bytes),
    cmocka_unit_test(store_scan__every_window_of_odd_keys_is_right),
    cmocka_unit_test(store_scan__after_and_until_need_not_exist_nor_lie_inside),
    cmocka_unit_test(store_scan__pages_resume_where_they_stopped),
    cmocka_unit_test(store_scan__keys_only_leaves_bodies_out),
    cmocka_unit_test(store_scan__stops_when_it_is_told),
    cmocka_unit_test(store_scan__shows_counters_sequences_and_ids),
};
const size_t n_read_tests = PANG_COUNT(read_tests);
