/*
 * Two clients take steps in every possible order. A scenario lists the steps of each; all orders
 * are generated, each runs on fresh keys. The rule that must hold: a commit lands exactly when
 * nothing it checked was changed between its client's read and itself, and whoever reads after a
 * commit sees it, through whichever client.
 */
#include <stdio.h>
#include <string.h>

#include "tests/storage/conformance.h"

enum { STEPS_MAX = 5, ORDER_MAX = 2 * STEPS_MAX };

typedef struct race race;

typedef struct {
    race *race;
    world *w;
    int client;
    uint64_t version[2]; /* as read */
    int64_t count;
    int changes_seen; /* race->changes when it read */
    bool read_any;
} actor;

struct race {
    actor actor[2];
    int changes; /* commits so far that the other's checks would notice */
    int wins[2], expected_body;
};

typedef void step_fn(actor *a);
typedef struct {
    const char *name;
    void (*before)(race *r);
    step_fn *steps[2][STEPS_MAX];
    void (*after)(race *r);
} scenario;

/* Sends it and holds the outcome against the rule. */
static void send_checked(actor *a, draft *d)
{
    bool undisturbed = a->race->changes == a->changes_seen;
    must_send(a->w, a->client, d, undisturbed ? PANG_COMMIT_OK : PANG_COMMIT_ABORTED);
    if (undisturbed) {
        a->race->changes++;
        a->race->wins[a->client]++;
    }
}

/* ---- one record ---- */

static void read_x(actor *a)
{
    pang_record r = get_one(a->w, a->client, key_of(a->w, "x"));
    int body = r.version == 0 ? 0 : r.body.ptr[0] - '0';
    assert_int_equal(body, a->race->expected_body);
    a->version[0] = r.version;
    a->changes_seen = a->race->changes;
}

static void raise_x(actor *a)
{
    draft *d = draft_new(a->w);
    draft_check(d, key_of(a->w, "x"), a->version[0]);
    draft_put(d, key_of(a->w, "x"),
              pang_arena_printf(a->w->arena, "%c", '1' + a->race->expected_body));
    send_checked(a, d);
    if (d->c.outcome == PANG_COMMIT_OK)
        a->race->expected_body++;
}

static void wins_are_in_the_record(race *r)
{
    pang_record x = get_one(r->actor[0].w, 0, key_of(r->actor[0].w, "x"));
    assert_int_equal(x.body.ptr[0] - '0', r->wins[0] + r->wins[1]);
}

static void put_x(race *r)
{
    (void)put_one(r->actor[0].w, key_of(r->actor[0].w, "x"), PANG_STR("0"));
}

static void delete_x(actor *a)
{
    draft *d = draft_new(a->w);
    draft_delete(d, key_of(a->w, "x"));
    must_send(a->w, a->client, d, PANG_COMMIT_OK);
    a->race->changes++;
    a->race->expected_body = 0;
}

/* The same content again: only the version tells that it was away. */
static void make_x_anew(actor *a)
{
    draft *d = draft_new(a->w);
    draft_put(d, key_of(a->w, "x"), PANG_STR("0"));
    must_send(a->w, a->client, d, PANG_COMMIT_OK);
    a->race->changes++;
    a->race->expected_body = 0;
}

/* ---- write skew: each writes its own, if both are still unset ---- */

static void read_pair(actor *a)
{
    pang_ref refs[] = {{.key = key_of(a->w, "p0"), .mode = PANG_REF_EXACT},
                       {.key = key_of(a->w, "p1"), .mode = PANG_REF_EXACT}};
    pang_record r[2];
    pang_err err = {0};
    assert_int_equal(
        pang_store_get(a->w->store[a->client], refs, 2, PANG_NO_DEADLINE, a->w->arena, r, &err),
        PANG_OK);
    a->version[0] = r[0].version;
    a->version[1] = r[1].version;
    a->read_any = r[0].version != 0 || r[1].version != 0;
    a->changes_seen = a->race->changes;
}

static void write_own_of_pair(actor *a)
{
    if (a->read_any)
        return;
    draft *d = draft_new(a->w);
    draft_check(d, key_of(a->w, "p0"), a->version[0]);
    draft_check(d, key_of(a->w, "p1"), a->version[1]);
    draft_put(d, key_of(a->w, "p%d", a->client), PANG_STR("mine"));
    send_checked(a, d);
}

static void one_of_pair_is_set(race *r)
{
    world *w = r->actor[0].w;
    assert_int_equal(scan_rows(w, 1, (pang_query){.prefix = key_of(w, "p")}).n, 1);
}

/* ---- phantom: a child appears in a container that goes away ---- */

static void make_container(race *r)
{
    (void)put_one(r->actor[0].w, key_of(r->actor[0].w, "box"), PANG_STR("box"));
}

static void read_container(actor *a)
{
    a->version[0] = get_one(a->w, a->client, key_of(a->w, "box")).version;
    a->count = get_one(a->w, a->client, key_of(a->w, "epoch")).value;
    a->read_any = scan_rows(a->w, a->client, (pang_query){.prefix = key_of(a->w, "in/")}).n > 0;
    a->changes_seen = a->race->changes;
}

static void make_child(actor *a)
{
    if (a->version[0] == 0)
        return;
    draft *d = draft_new(a->w);
    draft_check(d, key_of(a->w, "box"), a->version[0]);
    draft_put(d, key_of(a->w, "in/child"), PANG_STR("child"));
    draft_add(d, key_of(a->w, "epoch"), 1);
    send_checked(a, d);
}

static void drop_if_empty(actor *a)
{
    if (a->read_any || a->version[0] == 0)
        return;
    draft *d = draft_new(a->w);
    draft_check(d, key_of(a->w, "box"), a->version[0]);
    draft_check_counter(d, key_of(a->w, "epoch"), a->count);
    draft_delete(d, key_of(a->w, "box"));
    send_checked(a, d);
}

static void no_child_without_container(race *r)
{
    world *w = r->actor[0].w;
    bool box = get_one(w, 0, key_of(w, "box")).version != 0;
    bool child = get_one(w, 0, key_of(w, "in/child")).version != 0;
    assert_int_equal(box, child);
}

/* ---- a location and one inside it ---- */

static void look_at_locations(actor *a)
{
    a->count = get_one(a->w, a->client, key_of(a->w, "n/a")).value;
    a->read_any = scan_rows(a->w, a->client, (pang_query){.prefix = key_of(a->w, "at/")}).n > 0;
    a->changes_seen = a->race->changes;
}

static void reserve(actor *a)
{
    if (a->read_any)
        return;
    pang_str outer = key_of(a->w, "at/a"), inner = key_of(a->w, "at/a/b");
    draft *d = draft_new(a->w);
    draft_check(d, outer, 0);
    if (a->client == 0) {
        draft_check_counter(d, key_of(a->w, "n/a"), 0);
        draft_put(d, outer, PANG_STR("outer"));
    } else {
        draft_check(d, inner, 0);
        draft_add(d, key_of(a->w, "n/a"), 1);
        draft_put(d, inner, PANG_STR("inner"));
    }
    send_checked(a, d);
}

static void one_location_is_reserved(race *r)
{
    world *w = r->actor[0].w;
    assert_int_equal(scan_rows(w, 1, (pang_query){.prefix = key_of(w, "at/")}).n, 1);
}

/* ---- what never conflicts ---- */

static void add_and_append(actor *a)
{
    draft *d = draft_new(a->w);
    draft_add(d, key_of(a->w, "sum"), a->client == 0 ? 1 : 100);
    int slot = draft_append(d, key_of(a->w, "seq"));
    pang_put *put = draft_put(d, key_of(a->w, "at/0000000000000000"), PANG_STR("x"));
    put->slot = put->key_slot = slot;
    put->key_slot_at = put->key.len - PANG_SLOT_DIGITS;
    must_send(a->w, a->client, d, PANG_COMMIT_OK);
    a->race->wins[a->client]++;
    assert_int_equal(d->c.numbers[0], a->race->wins[0] + a->race->wins[1]);
}

static void look_at_sum(actor *a)
{
    int64_t sum = a->race->wins[0] + 100 * a->race->wins[1];
    assert_int_equal(get_one(a->w, a->client, key_of(a->w, "sum")).value, sum);
    row_list rows = scan_rows(a->w, a->client, (pang_query){.prefix = key_of(a->w, "at/")});
    assert_int_equal(rows.n, a->race->wins[0] + a->race->wins[1]);
    for (size_t i = 0; i < rows.n; i++)
        assert_int_equal(rows.rows[i].sequence, i + 1);
}

static void all_landed(race *r)
{
    assert_int_equal(r->wins[0], 2);
    assert_int_equal(r->wins[1], 2);
    look_at_sum(&r->actor[1]);
}

/* ---- a commit and its void mark ---- */

static void send_id(actor *a)
{
    draft *d = draft_new(a->w);
    d->c.id_key = key_of(a->w, "~id/one");
    d->c.is_void = a->client == 1;
    if (!d->c.is_void)
        draft_put(d, key_of(a->w, "x"), PANG_STR("1"));
    a->changes_seen = 0;
    send_checked(a, d);
    assert_int_equal(d->c.id_was_there, d->c.outcome == PANG_COMMIT_ABORTED);
}

static void landed_or_void(race *r)
{
    world *w = r->actor[0].w;
    assert_int_equal(r->wins[0] + r->wins[1], 1);
    assert_int_equal(get_one(w, 1, key_of(w, "x")).version != 0, r->wins[0] == 1);
    assert_int_equal(get_one(w, 0, key_of(w, "~id/one")).value, r->wins[1]);
}

static const scenario scenarios[] = {
    {"raise a record", put_x, {{read_x, raise_x}, {read_x, raise_x}}, wins_are_in_the_record},
    {"raise it twice",
     put_x,
     {{read_x, raise_x, read_x, raise_x}, {read_x, raise_x, read_x, raise_x}},
     wins_are_in_the_record},
    {"create a record", NULL, {{read_x, raise_x}, {read_x, raise_x}}, wins_are_in_the_record},
    {"delete and make anew", put_x, {{read_x, raise_x}, {delete_x, make_x_anew}}, NULL},
    {"write skew",
     NULL,
     {{read_pair, write_own_of_pair}, {read_pair, write_own_of_pair}},
     one_of_pair_is_set},
    {"child and container",
     make_container,
     {{read_container, make_child}, {read_container, drop_if_empty}},
     no_child_without_container},
    {"location and one inside it",
     NULL,
     {{look_at_locations, reserve}, {look_at_locations, reserve}},
     one_location_is_reserved},
    {"adds and appends",
     NULL,
     {{look_at_sum, add_and_append, look_at_sum, add_and_append},
      {add_and_append, look_at_sum, add_and_append, look_at_sum}},
     all_landed},
    {"commit and void", NULL, {{send_id, send_id}, {send_id, send_id}}, landed_or_void},
};

static void run_order(world *w, const scenario *s, const char *order)
{
    world_new_scope(w);
    race r = {.actor = {{.w = w, .client = 0}, {.w = w, .client = 1}}};
    r.actor[0].race = r.actor[1].race = &r;
    if (s->before != NULL)
        s->before(&r);
    size_t at[2] = {0, 0};
    /* A failing assert does not come back here: note first what runs. */
    (void)snprintf(w->doing, sizeof w->doing, "%s: %s", s->name, order);
    for (; *order != '\0'; order++) {
        int who = *order - 'A';
        s->steps[who][at[who]++](&r.actor[who]);
    }
    if (s->after != NULL)
        s->after(&r);
    w->doing[0] = '\0';
}

static int run_all_orders(world *w, const scenario *s, char order[ORDER_MAX + 1], size_t a,
                          size_t b)
{
    bool more_a = a < STEPS_MAX && s->steps[0][a] != NULL;
    bool more_b = b < STEPS_MAX && s->steps[1][b] != NULL;
    order[a + b] = '\0';
    if (!more_a && !more_b) {
        run_order(w, s, order);
        return 1;
    }
    int orders = 0;
    if (more_a) {
        order[a + b] = 'A';
        orders += run_all_orders(w, s, order, a + 1, b);
    }
    if (more_b) {
        order[a + b] = 'B';
        orders += run_all_orders(w, s, order, a, b + 1);
    }
    return orders;
}

static void store_apply__two_clients_in_every_order(void **state)
{
    char order[ORDER_MAX + 1];
    int orders = 0;
    for (size_t i = 0; i < PANG_COUNT(scenarios); i++)
        orders += run_all_orders(*state, &scenarios[i], order, 0, 0);
    assert_int_equal(orders, 6 + 70 + 6 + 6 + 6 + 6 + 6 + 70 + 6);
}

const struct CMUnitTest race_tests[] = {
    cmocka_unit_test(store_apply__two_clients_in_every_order),
};
const size_t n_race_tests = PANG_COUNT(race_tests);
