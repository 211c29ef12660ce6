/*
 * The bounds of api/storage.h: what just fits works, what does not is refused and writes nothing.
 * And a long random run against a model that is too simple to be wrong.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/storage/conformance.h"

/* ---- bounds ---- */

static pang_str long_key(world *w, size_t len, char last)
{
    pang_str head = key_of(w, "l/");
    char *to = pang_arena_alloc_text(w->arena, len);
    memcpy(to, head.ptr, head.len);
    memset(to + head.len, 'k', len - head.len);
    to[len - 1] = last;
    return (pang_str){to, len};
}

static void store_apply__the_longest_keys_are_told_apart(void **state)
{
    world *w = *state;
    draft *d = draft_new(w);
    for (char c = 'a'; c < 'e'; c++)
        draft_put(d, long_key(w, PANG_KEY_MAX, c), (pang_str){&"abcde"[c - 'a'], 1});
    draft_add(d, long_key(w, PANG_KEY_MAX, 'y'), 1);
    draft_append(d, long_key(w, PANG_KEY_MAX, 'z'));
    must_send(w, 0, d, PANG_COMMIT_OK);
    for (char c = 'a'; c < 'e'; c++)
        assert_int_equal(get_one(w, 1, long_key(w, PANG_KEY_MAX, c)).body.ptr[0], c);
    assert_int_equal(scan_rows(w, 0, (pang_query){.prefix = key_of(w, "l/")}).n, 6);
    pang_query after = {.prefix = key_of(w, "l/"), .after = long_key(w, PANG_KEY_MAX, 'b')};
    assert_int_equal(scan_rows(w, 0, after).n, 4);
}

/* Bytes that no compression makes small and that differ in every place. */
static pang_str noise(world *w, size_t len, uint64_t seed)
{
    char *to = pang_arena_alloc_text(w->arena, len);
    assert_non_null(to);
    pang_env_fixed state = {.seed = seed};
    pang_env env = pang_env_from_fixed(&state);
    pang_env_random(&env, to, len);
    return (pang_str){to, len};
}

static void store_apply__the_biggest_body_comes_back(void **state)
{
    world *w = *state;
    pang_str body = noise(w, PANG_BODY_MAX, 1);
    draft *d = draft_new(w);
    draft_put(d, key_of(w, "big"), body);
    draft_put(d, key_of(w, "big2"), noise(w, PANG_BODY_MAX, 2));
    draft_put(d, key_of(w, "small"), PANG_STR("x"));
    must_send(w, 0, d, PANG_COMMIT_OK);
    assert_true(pang_str_equal(get_one(w, 1, key_of(w, "big")).body, body));
    row_list rows = scan_rows(w, 0, (pang_query){.prefix = key_of(w, "big"), .keys_only = true});
    assert_int_equal(rows.n, 2);
    rows = scan_rows(w, 0, (pang_query){.prefix = key_of(w, "big"), .limit = 1});
    assert_true(pang_str_equal(rows.rows[0].body, body));
}

static void store_apply__bodies_of_all_sizes_come_back(void **state)
{
    world *w = *state;
    static const size_t sizes[] = {1, 255, 256, 1000, 2047, 2048, 4096, 8191, 65535, 65536, 300000};
    draft *d = draft_new(w);
    for (size_t i = 0; i < PANG_COUNT(sizes); i++)
        draft_put(d, key_of(w, "b/%zu", i), noise(w, sizes[i], i));
    must_send(w, 0, d, PANG_COMMIT_OK);
    for (size_t i = 0; i < PANG_COUNT(sizes); i++)
        assert_true(
            pang_str_equal(get_one(w, 1, key_of(w, "b/%zu", i)).body, noise(w, sizes[i], i)));
}

/* All keys of a range, however many. */
static size_t count_keys(world *w, pang_str prefix)
{
    size_t n = 0;
    pang_query q = {.prefix = prefix, .limit = PANG_SCAN_MAX, .keys_only = true};
    for (bool more = true; more;) {
        row_list rows = scan_rows(w, 1, q);
        n += rows.n;
        more = rows.n == PANG_SCAN_MAX;
        if (more)
            q.after = rows.rows[rows.n - 1].key;
    }
    return n;
}

static void store_apply__the_most_changes_of_a_commit_land(void **state)
{
    world *w = *state;
    enum { N = PANG_COMMIT_OPS_MAX / 2 };
    draft *d = draft_new(w);
    pang_put *puts = pang_arena_alloc_n(w->arena, N, sizeof *puts);
    pang_check *checks = pang_arena_alloc_n(w->arena, N, sizeof *checks);
    for (int i = 0; i < N; i++) {
        puts[i] = *draft_put(d, key_of(w, "m/%06d", i), PANG_STR("x"));
        d->c.n_puts = 0;
        checks[i] = (pang_check){.key = puts[i].key};
    }
    d->c.puts = puts;
    d->c.n_puts = N;
    d->c.checks = checks;
    d->c.n_checks = N;
    must_send(w, 0, d, PANG_COMMIT_OK);
    assert_int_equal(count_keys(w, key_of(w, "m/")), N);
    /* A few: a stand-in for MongoDB looks through all records for each piece of them. */
    enum { AGAIN = 1024 };
    draft *again = draft_new(w);
    again->c.checks = checks + N - AGAIN;
    again->c.n_checks = AGAIN;
    must_send(w, 1, again, PANG_COMMIT_ABORTED);
}

/* Makes one thing of a fine commit too big. */
static void spoil(world *w, draft *d, int way)
{
    static pang_check many[PANG_COMMIT_OPS_MAX];
    switch (way) {
    case 0:
        d->puts[0].key = long_key(w, PANG_KEY_MAX + 1, 'a');
        break;
    case 1:
        d->puts[0].key = (pang_str){0};
        break;
    case 2:
        d->puts[0].body = noise(w, PANG_BODY_MAX + 1, 3);
        break;
    case 3:
        d->puts[0].kind = PANG_KIND_FIRST - 1;
        break;
    case 4:
        d->puts[0].slot = (int)d->c.n_appends;
        break;
    case 5:
        d->puts[0].slot = -2;
        break;
    case 6:
        d->puts[0].key_slot = 0;
        d->puts[0].key_slot_at = d->puts[0].key.len - 15;
        break;
    case 7:
        draft_append(d, d->appends[0]);
        break;
    case 8:
        d->c.id_key = (pang_str){0};
        break;
    case 9:
        draft_check(d, long_key(w, PANG_KEY_MAX + 1, 'a'), 0);
        break;
    case 10:
        draft_delete(d, (pang_str){0});
        break;
    case 11:
        draft_add(d, long_key(w, PANG_KEY_MAX + 1, 'a'), 1);
        break;
    case 12:
        d->c.is_void = true;
        break;
    case 13:
        for (size_t i = 0; i < PANG_COUNT(many); i++)
            many[i] = (pang_check){.key = d->puts[0].key};
        d->c.checks = many;
        d->c.n_checks = PANG_COUNT(many);
        break;
    case 14:
        d->puts[0].expires_ms = -1;
        break;
    default: /* bodies that fit alone */
        for (int i = 0; i <= PANG_COMMIT_BYTES_MAX / PANG_BODY_MAX; i++)
            draft_put(d, key_of(w, "sum/%d", i), noise(w, PANG_BODY_MAX, 4));
    }
}

static void store_apply__what_is_out_of_bounds_is_refused(void **state)
{
    world *w = *state;
    for (int way = 0; way <= 15; way++) {
        draft *d[3];
        pang_commit *commits[3];
        for (int i = 0; i < 3; i++) {
            d[i] = draft_new(w);
            commits[i] = &d[i]->c;
            draft_put(d[i], key_of(w, "o/%d/%d/0000000000000000", way, i), PANG_STR("x"));
            draft_append(d[i], key_of(w, "s/%d", way));
        }
        spoil(w, d[1], way);
        pang_store_apply(w->store[0], commits, 3);
        if (d[1]->c.outcome != PANG_COMMIT_FAILED)
            fail_msg("way %d: outcome %d", way, (int)d[1]->c.outcome);
        assert_int_equal(d[1]->c.err.code, PANG_INVALID_ARGUMENT);
        assert_int_equal(d[0]->c.outcome, PANG_COMMIT_OK);
        assert_int_equal(d[2]->c.outcome, PANG_COMMIT_OK);
        assert_int_equal(d[2]->c.numbers[0], 2);
        assert_int_equal(scan_rows(w, 1, (pang_query){.prefix = key_of(w, "o/%d/", way)}).n, 2);
    }
    assert_int_equal(scan_rows(w, 1, (pang_query){.prefix = key_of(w, "sum/")}).n, 0);
}

static void store_reads__what_is_out_of_bounds_is_refused(void **state)
{
    world *w = *state;
    static pang_ref refs[PANG_GET_MAX + 1];
    pang_record r;
    pang_err err = {0};
    for (size_t i = 0; i < PANG_COUNT(refs); i++)
        refs[i] = (pang_ref){.key = PANG_STR("k"), .mode = PANG_REF_EXACT};
    pang_store *s = w->store[0];
    assert_int_equal(
        pang_store_get(s, refs, PANG_COUNT(refs), PANG_NO_DEADLINE, w->arena, &r, &err),
        PANG_INVALID_ARGUMENT);
    pang_ref ceiling = {.key = PANG_STR("k"), .prefix_len = 2, .mode = PANG_REF_CEILING};
    assert_int_equal(pang_store_get(s, &ceiling, 1, PANG_NO_DEADLINE, w->arena, &r, &err),
                     PANG_INVALID_ARGUMENT);
    for (uint32_t limit = 0; limit <= PANG_SCAN_MAX + 1; limit += PANG_SCAN_MAX + 1) {
        pang_query q = {.prefix = PANG_STR("k"), .limit = limit};
        assert_int_equal(pang_store_scan(s, &q, PANG_NO_DEADLINE, NULL, NULL, &err),
                         PANG_INVALID_ARGUMENT);
    }
    pang_store *none = NULL;
    pang_store_config config = {.url = PANG_STR("nosuch:x"), .env = &pang_env_system};
    assert_int_equal(pang_store_open(&config, &none, &err), PANG_INVALID_ARGUMENT);
    config.url = PANG_STR("noscheme");
    assert_int_equal(pang_store_open(&config, &none, &err), PANG_INVALID_ARGUMENT);
}

/* ---- the model ---- */

enum { MODEL_KEYS = 24, MODEL_COMMITS = 300 };

typedef struct {
    world *w;
    uint64_t dice;
    uint64_t version[MODEL_KEYS]; /* as read from the store; 0: absent */
    int body[MODEL_KEYS];
    int64_t counter, sequence;
} model;

static uint64_t throw(model * m, uint64_t sides)
{
    m->dice = m->dice * 6364136223846793005u + 1442695040888963407u;
    return (m->dice >> 33) % sides;
}

static pang_str model_key(model *m, size_t i)
{
    return key_of(m->w, "model/%zu/%02zu", i / 8, i);
}

static void model_commit(model *m, int body)
{
    draft *d = draft_new(m->w);
    bool fails = false, touched[MODEL_KEYS] = {false};
    model next = *m;
    for (uint64_t ops = throw(m, 4) + 1; ops > 0; ops--) {
        size_t i = throw(m, MODEL_KEYS);
        if (touched[i])
            continue;
        touched[i] = true;
        bool wrong = throw(m, 12) == 0;
        if (throw(m, 2) == 0)
            draft_check(d, model_key(m, i), m->version[i] + wrong);
        else
            wrong = false;
        fails |= wrong;
        if (throw(m, 3) == 0) {
            draft_delete(d, model_key(m, i));
            next.version[i] = 0;
        } else {
            draft_put(d, model_key(m, i), pang_arena_printf(m->w->arena, "%d", body));
            next.version[i] = UINT64_MAX; /* to be learnt */
            next.body[i] = body;
        }
    }
    int64_t amount = (int64_t) throw(m, 5) - 2;
    draft_add(d, key_of(m->w, "model-counter"), amount);
    draft_append(d, key_of(m->w, "model-sequence"));
    must_send(m->w, body % 2, d, fails ? PANG_COMMIT_ABORTED : PANG_COMMIT_OK);
    if (fails)
        return;
    next.dice = m->dice;
    next.counter += amount;
    next.sequence++;
    assert_int_equal(d->c.numbers[0], next.sequence);
    *m = next;
}

/* Reads the key and compares; learns a version the last commit made. */
static void model_learn(model *m, size_t i, const pang_record *r)
{
    assert_int_equal(r->version != 0, m->version[i] != 0);
    if (m->version[i] == 0)
        return;
    if (m->version[i] == UINT64_MAX)
        m->version[i] = r->version;
    assert_int_equal(r->version, m->version[i]);
    assert_true(pang_str_equal(r->body, pang_arena_printf(m->w->arena, "%d", m->body[i])));
}

static void model_compare(model *m, int client)
{
    pang_ref refs[MODEL_KEYS + 2];
    pang_record records[MODEL_KEYS + 2];
    for (size_t i = 0; i < MODEL_KEYS; i++)
        refs[i] = (pang_ref){.key = model_key(m, i), .mode = PANG_REF_EXACT};
    refs[MODEL_KEYS] = (pang_ref){.key = key_of(m->w, "model-counter"), .mode = PANG_REF_EXACT};
    refs[MODEL_KEYS + 1] = (pang_ref){.key = key_of(m->w, "model-sequence"),
                                      .mode = PANG_REF_EXACT};
    pang_err err = {0};
    assert_int_equal(pang_store_get(m->w->store[client], refs, MODEL_KEYS + 2, PANG_NO_DEADLINE,
                                    m->w->arena, records, &err),
                     PANG_OK);
    for (size_t i = 0; i < MODEL_KEYS; i++)
        model_learn(m, i, &records[i]);
    assert_int_equal(records[MODEL_KEYS].value, m->counter);
    assert_int_equal(records[MODEL_KEYS + 1].value, m->sequence);
}

static void model_compare_scan(model *m, int client)
{
    size_t group = throw(m, 4), from = group * 8, to = from + 8;
    bool all = group == 3;
    if (all) {
        from = 0;
        to = MODEL_KEYS;
    }
    bool descending = throw(m, 2) == 0;
    row_list rows = scan_rows(
        m->w, client,
        (pang_query){
            .prefix = all ? key_of(m->w, "model/") : key_of(m->w, "model/%zu/", group),
            .descending = descending,
        });
    size_t n = 0;
    for (size_t k = from; k < to; k++) {
        size_t i = descending ? to - 1 - (k - from) : k;
        if (m->version[i] == 0)
            continue;
        assert_true(n < rows.n);
        assert_true(pang_str_equal(rows.rows[n].key, model_key(m, i)));
        model_learn(m, i, &rows.rows[n++]);
    }
    assert_int_equal(n, rows.n);
}

static void model_compare_ceiling(model *m, int client)
{
    size_t i = throw(m, MODEL_KEYS);
    pang_str key = model_key(m, i);
    pang_record r = get_ceiling(m->w, client, key, key.len - 2);
    size_t above = i + 1;
    while (above < MODEL_KEYS && m->version[above] == 0)
        above++;
    bool found = above < MODEL_KEYS && above / 8 == i / 8;
    assert_int_equal(r.version != 0, found);
    if (found)
        model_learn(m, above, &r);
}

static void store__random_commits_do_what_a_simple_model_does(void **state)
{
    world *w = *state;
    model m = {.w = w, .dice = 20240607};
    for (int i = 0; i < MODEL_COMMITS; i++) {
        model_commit(&m, i);
        model_compare(&m, i / 2 % 2);
        model_compare_scan(&m, i % 2);
        model_compare_ceiling(&m, i % 2);
    }
    assert_in_range(m.sequence, MODEL_COMMITS / 2, MODEL_COMMITS - 10); /* some were aborted */
}

const struct CMUnitTest limit_tests[] = {
    cmocka_unit_test(store_apply__the_longest_keys_are_told_apart),
    cmocka_unit_test(store_apply__the_biggest_body_comes_back),
    cmocka_unit_test(store_apply__bodies_of_all_sizes_come_back),
    cmocka_unit_test(store_apply__the_most_changes_of_a_commit_land),
    cmocka_unit_test(store_apply__what_is_out_of_bounds_is_refused),
    cmocka_unit_test(store_reads__what_is_out_of_bounds_is_refused),
    cmocka_unit_test(store__random_commits_do_what_a_simple_model_does),
};
const size_t n_limit_tests = PANG_COUNT(limit_tests);
