/*
 * Reads through bases against a model that copies everything: random changes on random branches of
 * branches, then each branch, and points of its past, by name, by list, by id.
 */
#include "api/keys_identity.h"
#include "tests/server/ref_fixture.h"

#include <string.h>

enum { NAMES = 40, BRANCHES = 24, STEPS = 400, STATES = 600 };

typedef struct {
    int value[NAMES]; /* 0: nothing */
    pang_id asset[NAMES];
} state_of;

typedef struct {
    unsigned branch;
    uint64_t number;
    state_of state;
} point;

typedef struct {
    fixture *fx;
    uint64_t seed;
    unsigned n_branches, depth[BRANCHES];
    state_of now[BRANCHES];
    point points[STATES];
    size_t n_points;
    int next_value;
} model;

static uint64_t draw(model *m, uint64_t below)
{
    m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
    return (m->seed >> 33) % below;
}

static const char *prefix_of(model *m, unsigned branch)
{
    return branch == 0 ? "demo" : fx_text(m->fx, "demo@b%u", branch);
}

/* Names whose escaped order is not that of their bytes alone. */
static const char *name_of(model *m, unsigned i)
{
    static const char *const ends[] = {"", "%x", "/x", ".x"};
    return fx_text(m->fx, "t%02u%s", i / 4, ends[i % 4]);
}

static void remember(model *m, unsigned branch, uint64_t number)
{
    if (m->n_points == STATES)
        return;
    m->points[m->n_points++] = (point){branch, number, m->now[branch]};
}

/* ---- steps ---- */

static void put_step(model *m, unsigned branch, unsigned i)
{
    state_of *now = &m->now[branch];
    now->value[i] = ++m->next_value;
    uint64_t number = rfx_put(m->fx, prefix_of(m, branch), name_of(m, i),
                              fx_text(m->fx, "%d", now->value[i]));
    pang_view view = rfx_view(m->fx, prefix_of(m, branch));
    now->asset[i] = pang_id_of(rfx_read(m->fx, &view, "ns", name_of(m, i)).body->asset);
    remember(m, branch, number);
}

static void drop_step(model *m, unsigned branch, unsigned i)
{
    if (m->now[branch].value[i] == 0)
        return;
    m->now[branch].value[i] = 0;
    remember(m, branch, rfx_drop(m->fx, prefix_of(m, branch), name_of(m, i)));
}

static void move_step(model *m, unsigned branch, unsigned i, unsigned to)
{
    pang_edit *edit;
    fixture *fx = m->fx;
    state_of *now = &m->now[branch];
    if (now->value[i] == 0 || now->value[to] != 0)
        return;
    pang_view view = rfx_view(fx, prefix_of(m, branch));
    pang_content from = rfx_read(fx, &view, "ns", name_of(m, i));
    pang_content at = rfx_read(fx, &view, "ns", name_of(m, to));
    assert_int_equal(pang_edit_begin(&view, &fx->env, &fx->who, &edit, &fx->err), PANG_OK);
    assert_int_equal(pang_edit_move(edit, &from, &at, &fx->err), PANG_OK);
    now->value[to] = now->value[i];
    now->asset[to] = now->asset[i];
    now->value[i] = 0;
    remember(m, branch, rfx_land(fx, edit, "move"));
}

static void branch_step(model *m)
{
    if (m->n_branches == BRANCHES || m->n_points == 0)
        return;
    const point *from = &m->points[draw(m, m->n_points)];
    if (m->depth[from->branch] + 1 == PANG_LEVELS_MAX)
        return;
    unsigned made = m->n_branches++;
    rfx_branch(m->fx, fx_text(m->fx, "b%u", made), prefix_of(m, from->branch), from->number);
    m->now[made] = from->state;
    m->depth[made] = m->depth[from->branch] + 1;
}

static void step(model *m)
{
    unsigned branch = (unsigned)draw(m, m->n_branches), i = (unsigned)draw(m, NAMES);
    switch (draw(m, 10)) {
    case 0:
        branch_step(m);
        break;
    case 1:
    case 2:
        drop_step(m, branch, i);
        break;
    case 3:
        move_step(m, branch, i, (unsigned)draw(m, NAMES));
        break;
    default:
        put_step(m, branch, i);
    }
}

/* ---- comparing ---- */

typedef struct {
    model *m;
    const state_of *expected;
    unsigned seen[NAMES];
    pang_str last; /* escaped, as the keys sort */
} listed;

static bool see(void *arg, const pang_content *row)
{
    listed *l = arg;
    pang_str part = pang_str_after(row->key, pang_key_prefix_len(row->key));
    assert_true(l->last.len == 0 || pang_str_compare(l->last, part) < 0);
    l->last = part;
    for (unsigned i = 0; i < NAMES; i++)
        if (pang_str_equal(row->name.name, pang_str_from(name_of(l->m, i)))) {
            l->seen[i]++;
            assert_string_equal(row->body->metadata_location,
                                fx_text(l->m->fx, "%d", l->expected->value[i]));
        }
    return true;
}

static void compare_list(model *m, pang_view view, const state_of *expected)
{
    listed l = {.m = m, .expected = expected};
    size_t limit = 1 + draw(m, 2 * (uint64_t)NAMES);
    pang_str after = {0};
    pang_view_set_at(&view, PANG_NOW - 1);
    do {
        pang_content_query query = {PANG_SPACE_ASSET, PANG_STR("ns"), after, limit};
        assert_int_equal(pang_content_list(&view, &query, see, &l, &after, &m->fx->err), PANG_OK);
    } while (after.len > 0);
    for (unsigned i = 0; i < NAMES; i++)
        assert_int_equal(l.seen[i], expected->value[i] != 0);
}

static void compare_names(model *m, pang_view *view, const state_of *expected)
{
    pang_content contents[NAMES];
    for (unsigned i = 0; i < NAMES; i++)
        contents[i].name = rfx_name(m->fx, view, "ns", name_of(m, i));
    assert_int_equal(pang_content_get(view, contents, NAMES, &m->fx->err), PANG_OK);
    for (unsigned i = 0; i < NAMES; i++) {
        assert_int_equal(pang_content_exists(&contents[i]), expected->value[i] != 0);
        if (expected->value[i] != 0)
            assert_string_equal(contents[i].body->metadata_location,
                                fx_text(m->fx, "%d", expected->value[i]));
    }
}

static void compare_assets(model *m, pang_view *view, const state_of *expected)
{
    pang_asset_at places[NAMES];
    assert_int_equal(pang_asset_find(view, expected->asset, NAMES, places, &m->fx->err), PANG_OK);
    for (unsigned i = 0; i < NAMES; i++) {
        if (expected->value[i] == 0)
            continue;
        assert_non_null(places[i].body);
        assert_false(places[i].body->dropped);
        assert_string_equal(places[i].body->name, name_of(m, i));
    }
}

static bool holds(const state_of *state, pang_id asset)
{
    for (unsigned i = 0; i < NAMES; i++)
        if (state->value[i] != 0 && pang_id_equal(state->asset[i], asset))
            return true;
    return false;
}

/* What another state holds and this one does not is not found in this one. */
static void compare_strangers(model *m, pang_view *view, const state_of *expected)
{
    pang_asset_at places[NAMES];
    const state_of *other = &m->points[draw(m, m->n_points)].state;
    assert_int_equal(pang_asset_find(view, other->asset, NAMES, places, &m->fx->err), PANG_OK);
    for (unsigned i = 0; i < NAMES; i++)
        if (other->value[i] != 0 && !holds(expected, other->asset[i]))
            assert_true(places[i].body == NULL || places[i].body->dropped);
}

static void compare(model *m, pang_view *view, const state_of *expected)
{
    compare_names(m, view, expected);
    compare_list(m, *view, expected);
    compare_assets(m, view, expected);
    compare_strangers(m, view, expected);
}

static void compare_all(model *m)
{
    for (unsigned branch = 0; branch < m->n_branches; branch++) {
        bool empty = false;
        pang_str level = PANG_STR("ns");
        unsigned n = 0;
        pang_view view = rfx_view(m->fx, prefix_of(m, branch));
        compare(m, &view, &m->now[branch]);
        for (unsigned i = 0; i < NAMES; i++)
            n += m->now[branch].value[i] != 0;
        assert_int_equal(
            pang_content_is_empty(&view, (pang_levels){&level, 1}, &empty, &m->fx->err), PANG_OK);
        assert_int_equal(empty, n == 0);
    }
    for (size_t i = 0; i < m->n_points; i += 1 + draw(m, 20)) {
        pang_view view = rfx_view(m->fx, prefix_of(m, m->points[i].branch));
        pang_view_set_at(&view, m->points[i].number);
        compare(m, &view, &m->points[i].state);
    }
}

static void test_levels__what_is_read_is_what_a_copy_would_hold(void **state)
{
    fixture *fx = *state;
    static model m;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        fx_close(fx);
        fx = fx_open("memory:");
        *state = fx;
        print_message("seed %llu\n", (unsigned long long)seed);
        memset(&m, 0, sizeof m);
        m = (model){.fx = fx, .seed = seed, .n_branches = 1};
        for (int i = 0; i < STEPS; i++)
            step(&m);
        compare_all(&m);
    }
}

/* ---- by hand ---- */

/* As deep as it goes, each level with a change of its own. */
static void test_levels__seventeen_levels_are_read(void **state)
{
    fixture *fx = *state;
    const char *from = "demo";
    rfx_put(fx, "demo", "t00", "0");
    for (int i = 1; i < PANG_LEVELS_MAX; i++) {
        rfx_branch(fx, fx_text(fx, "b%d", i), from, 0);
        from = fx_text(fx, "demo@b%d", i);
        rfx_put(fx, from, fx_text(fx, "t%02d", i), "x");
    }
    pang_view view = rfx_view(fx, from);
    assert_int_equal(view.n_levels, PANG_LEVELS_MAX);
    assert_string_equal(rfx_location(fx, from, "t00"), "0");
    assert_string_equal(rfx_location(fx, from, "t08"), "x");
    assert_null(rfx_location(fx, "demo@b7", "t08"));
}

static pang_content content_of(fixture *fx, const char *prefix, const char *name)
{
    pang_view view = rfx_view(fx, prefix);
    return rfx_read(fx, &view, "ns", name);
}

static void test_levels__what_came_through_a_base_stays_shared(void **state)
{
    fixture *fx = *state;
    uint64_t made = rfx_put(fx, "demo", "t", "one");
    rfx_put(fx, "demo", "t", "two");
    assert_int_equal(content_of(fx, "demo", "t").body->created_at, made);
    assert_false(content_of(fx, "demo", "t").body->shared);
    rfx_branch(fx, "dev", "demo", 0);
    rfx_put(fx, "demo@dev", "t", "three");
    uint64_t own = rfx_put(fx, "demo@dev", "u", "one");
    rfx_put(fx, "demo@dev", "u", "two");
    rfx_put(fx, "demo@dev", "t", "four");
    assert_true(content_of(fx, "demo@dev", "t").body->shared);
    assert_false(content_of(fx, "demo@dev", "u").body->shared);
    assert_int_equal(content_of(fx, "demo@dev", "u").body->created_at, own);
    rfx_drop(fx, "demo@dev", "u");
    uint64_t again = rfx_put(fx, "demo@dev", "u", "again");
    rfx_put(fx, "demo@dev", "u", "again 2");
    assert_int_equal(content_of(fx, "demo@dev", "u").body->created_at, again);
}

static bool is_empty(fixture *fx, pang_view *view)
{
    bool empty = false;
    pang_str level = PANG_STR("ns");
    assert_int_equal(pang_content_is_empty(view, (pang_levels){&level, 1}, &empty, &fx->err),
                     PANG_OK);
    return empty;
}

static void test_levels__a_branch_is_empty_once_all_is_dropped_there(void **state)
{
    fixture *fx = *state;
    rfx_put(fx, "demo", "t", "one");
    rfx_put(fx, "demo", "u", "one");
    rfx_branch(fx, "dev", "demo", 0);
    pang_view view = rfx_view(fx, "demo@dev");
    assert_false(is_empty(fx, &view));
    rfx_drop(fx, "demo@dev", "t");
    rfx_drop(fx, "demo@dev", "u");
    view = rfx_view(fx, "demo@dev");
    assert_true(is_empty(fx, &view));
    rfx_put(fx, "demo", "v", "main's own affair");
    pang_txn_put(view.txn, PANG_KIND_SETTING, PANG_STR("~system/sy/x"), PANG_STR("x"));
    assert_int_equal(pang_txn_commit(view.txn, &fx->err), PANG_OK);
    view = rfx_view(fx, "demo@dev");
    assert_true(is_empty(fx, &view));
    rfx_put(fx, "demo@dev", "t", "again");
    pang_txn_put(view.txn, PANG_KIND_SETTING, PANG_STR("~system/sy/x"), PANG_STR("x"));
    assert_int_equal(pang_txn_commit(view.txn, &fx->err), PANG_ABORTED);
}

static int64_t counted(fixture *fx, pang_view *view, pang_str key)
{
    pang_record record;
    pang_ref ref = {.key = key};
    assert_int_equal(pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, &fx->err),
                     PANG_OK);
    return record.value;
}

static void test_levels__a_tenants_tables_are_those_of_main(void **state)
{
    fixture *fx = *state;
    pang_view view = rfx_view(fx, "demo");
    int64_t before = counted(fx, &view, pang_key_count(&view.keys, PANG_COUNT_TABLES));
    rfx_put(fx, "demo", "t", "one");
    rfx_branch(fx, "dev", "demo", 0);
    rfx_put(fx, "demo@dev", "u", "one");
    rfx_put(fx, "demo@dev", "v", "one");
    rfx_drop(fx, "demo@dev", "t");
    view = rfx_view(fx, "demo@dev");
    assert_int_equal(counted(fx, &view, pang_key_count(&view.keys, PANG_COUNT_TABLES)), before + 1);
    assert_int_equal(
        counted(fx, &view, pang_key_content_count(&view.keys, view.levels[0].branch, 't')), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_levels__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_read_is_what_a_copy_would_hold),
        TEST(seventeen_levels_are_read),
        TEST(what_came_through_a_base_stays_shared),
        TEST(a_branch_is_empty_once_all_is_dropped_there),
        TEST(a_tenants_tables_are_those_of_main),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
