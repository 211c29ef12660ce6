/*
 * server/grants.h against an evaluator that is as plain as can be: it walks roles and levels anew
 * for each question. Names are chosen to look alike (dots in names, one the start of another).
 * And what must hold of any grants: one more takes nothing away, and lists show what checks allow.
 */
#include "tests/server/grants_fixture.h"

enum {
    ROUNDS = 600,
    GRANTS = 12,
    ROLES = 4,
    OBJECTS = 40,
    LEVELS = 3,
    ACTIONS = 10,
};

/* ---- chance ---- */

static uint64_t seed = 88172645463325252u;

static unsigned chance(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static const char *const names[] = {"a", "b", "a.b", "ab", "a-b", "%2e", "a%2eb"};
static const char *const tags[] = {"pii", "gold", "pi"};

/* ---- a plain evaluator ---- */

typedef struct {
    const char *levels[LEVELS];
    size_t n;
} place;

typedef struct {
    pang_scope_kind kind;
    unsigned catalog, asset, tag;
    place at;
    uint32_t actions;
    unsigned role; /* ROLES: its own */
} plain_grant;

typedef struct {
    plain_grant grants[GRANTS];
    size_t n;
    bool assigned[ROLES], includes[ROLES][ROLES];
} principal;

typedef struct {
    pang_scope_kind kind;
    unsigned catalog, asset;
    place at;
    bool tags[3];
} plain_object;

static bool has_role(const principal *p, unsigned role)
{
    bool has[ROLES];
    memcpy(has, p->assigned, sizeof has);
    for (int again = 0; again < ROLES; again++)
        for (unsigned i = 0; i < ROLES; i++)
            for (unsigned j = 0; j < ROLES; j++)
                has[j] = has[j] || (has[i] && p->includes[i][j]);
    return has[role];
}

static bool implied(uint32_t granted, unsigned asked)
{
    bool write = (granted & 1u << 2) != 0, all = (granted & 1u << 7) != 0;
    if (all || (granted & 1u << asked) != 0)
        return true;
    if (write && (asked == 1 || asked == 3 || asked == 4 || asked == 5 || asked == 6))
        return true;
    return (granted & 1u << 1) != 0 && asked == 6;
}

/* Whether the first levels of `in` are those of `outer`. */
static bool is_in(const place *in, const place *outer)
{
    for (size_t i = 0; i < outer->n; i++)
        if (i == in->n || strcmp(in->levels[i], outer->levels[i]) != 0)
            return false;
    return true;
}

static bool covered(const plain_grant *g, const plain_object *o)
{
    bool same = g->catalog == o->catalog && o->kind != PANG_SCOPE_TENANT;
    switch (g->kind) {
    case PANG_SCOPE_TENANT:
        return true;
    case PANG_SCOPE_CATALOG:
        return same;
    case PANG_SCOPE_NAMESPACE:
        return same && o->kind != PANG_SCOPE_CATALOG && is_in(&o->at, &g->at);
    case PANG_SCOPE_ASSET:
        return same && o->kind == PANG_SCOPE_ASSET && o->asset == g->asset;
    default:
        return o->kind == PANG_SCOPE_ASSET && o->tags[g->tag];
    }
}

/* Whether the grant is of something in this container. */
static bool is_below(const plain_grant *g, const plain_object *o)
{
    if (o->kind == PANG_SCOPE_ASSET || g->catalog != o->catalog ||
        (g->kind != PANG_SCOPE_NAMESPACE && g->kind != PANG_SCOPE_ASSET))
        return false;
    return o->kind == PANG_SCOPE_CATALOG || is_in(&g->at, &o->at);
}

static pang_verdict plain_check(const principal *p, unsigned asked, const plain_object *o)
{
    bool may = false, shown = o->kind == PANG_SCOPE_TENANT;
    for (size_t i = 0; i < p->n; i++) {
        const plain_grant *g = &p->grants[i];
        if (g->role < ROLES && !has_role(p, g->role))
            continue;
        may = may || (covered(g, o) && implied(g->actions, asked));
        shown = shown || ((covered(g, o) || is_below(g, o)) && implied(g->actions, 6));
    }
    if (may || (shown && asked == 6))
        return PANG_ALLOWED;
    return shown ? PANG_DENIED : PANG_HIDDEN;
}

/* ---- making both ---- */

static place random_place(void)
{
    place ret = {.n = 1 + chance(LEVELS)};
    for (size_t i = 0; i < ret.n; i++)
        ret.levels[i] = names[chance(sizeof names / sizeof names[0])];
    return ret;
}

static plain_grant random_grant(void)
{
    static const pang_scope_kind kinds[] = {
        PANG_SCOPE_CATALOG, PANG_SCOPE_NAMESPACE, PANG_SCOPE_NAMESPACE, PANG_SCOPE_NAMESPACE,
        PANG_SCOPE_ASSET,   PANG_SCOPE_ASSET,     PANG_SCOPE_TAG};
    plain_grant g = {.kind = chance(40) == 0 ? PANG_SCOPE_TENANT : kinds[chance(7)]};
    g.catalog = 10 + chance(3);
    g.asset = 20 + chance(6);
    g.tag = chance(3);
    g.at = random_place();
    g.actions = 1u << (1 + chance(ACTIONS)) | (chance(3) == 0 ? 1u << (1 + chance(ACTIONS)) : 0);
    g.role = chance(ROLES + 2);
    g.role = g.role > ROLES ? ROLES : g.role;
    return g;
}

static void random_principal(principal *p)
{
    *p = (principal){.n = chance(GRANTS)};
    for (size_t i = 0; i < p->n; i++)
        p->grants[i] = random_grant();
    for (unsigned i = 0; i < ROLES; i++) {
        p->assigned[i] = chance(3) == 0;
        for (unsigned j = 0; j < ROLES; j++)
            p->includes[i][j] = chance(4) == 0;
    }
}

static plain_object random_object(void)
{
    plain_object o = {.kind = (pang_scope_kind)(PANG_SCOPE_TENANT + chance(4))};
    o.catalog = 10 + chance(3);
    o.asset = 20 + chance(6);
    o.at = random_place();
    for (unsigned i = 0; i < 3; i++)
        o.tags[i] = chance(4) == 0;
    return o;
}

static pang_str path_of(pang_arena *arena, const place *at)
{
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str levels[LEVELS];
    for (size_t i = 0; i < at->n; i++)
        levels[i] = pang_str_from(at->levels[i]);
    return pang_key_path(&keys, levels, at->n);
}

static pang_grant_object object_of(pang_arena *arena, const plain_object *o)
{
    pang_grant_object ret = {.kind = o->kind, .tenant = grants_id(GRANTS_TENANT)};
    pang_str *list = pang_arena_alloc_n(arena, 3, sizeof *list);
    ret.tags = list;
    if (o->kind >= PANG_SCOPE_CATALOG)
        ret.catalog = grants_id(o->catalog);
    if (o->kind >= PANG_SCOPE_NAMESPACE)
        ret.path = path_of(arena, &o->at);
    if (o->kind == PANG_SCOPE_ASSET)
        ret.asset = grants_id(o->asset);
    for (unsigned i = 0; i < 3; i++)
        if (o->tags[i])
            list[ret.n_tags++] = pang_str_from(tags[i]);
    return ret;
}

static size_t grants_of_role(pang_arena *arena, const principal *p, unsigned role, pang_grant **ret)
{
    size_t n = 0;
    *ret = pang_arena_alloc_n(arena, GRANTS, sizeof **ret);
    for (size_t i = 0; i < p->n; i++) {
        const plain_grant *g = &p->grants[i];
        if (g->role == role)
            (*ret)[n++] = (pang_grant){.id = grants_id(1000 + (unsigned)i),
                                       .scope = {.kind = g->kind,
                                                 .catalog = grants_id(g->catalog),
                                                 .asset = grants_id(g->asset),
                                                 .path = path_of(arena, &g->at),
                                                 .tag = pang_str_from(tags[g->tag])},
                                       .actions = g->actions};
    }
    return n;
}

static pang_grants *compile(pang_arena *arena, const principal *p)
{
    pang_role roles[ROLES] = {{.n_grants = 0}};
    pang_id ids[ROLES], assigned[ROLES], includes[ROLES][ROLES];
    pang_grant *list;
    pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT),
                               .rank = PANG_RANK_MEMBER,
                               .assigned = assigned,
                               .roles = roles,
                               .n_roles = ROLES};
    for (unsigned i = 0; i < ROLES; i++)
        ids[i] = grants_id(500 + (i * 7) % ROLES * 3 + i);
    for (unsigned i = 0; i < ROLES; i++) {
        roles[i].id = ids[i];
        roles[i].n_grants = grants_of_role(arena, p, i, &list);
        roles[i].grants = list;
        roles[i].includes = includes[i];
        for (unsigned j = 0; j < ROLES; j++)
            if (p->includes[i][j])
                includes[i][roles[i].n_includes++] = ids[j];
        if (p->assigned[i])
            assigned[from.n_assigned++] = ids[i];
    }
    from.n_grants = grants_of_role(arena, p, ROLES, &list);
    from.grants = list;
    return grants_compile(&from, arena);
}

/* ---- what must agree ---- */

static void test_check__agrees_with_the_plain_evaluator(void **state)
{
    size_t counts[3] = {0};
    for (int round = 0; round < ROUNDS; round++) {
        principal p;
        random_principal(&p);
        pang_grants *grants = compile(*state, &p);
        for (int i = 0; i < OBJECTS; i++) {
            plain_object o = random_object();
            pang_grant_object object = object_of(*state, &o);
            for (unsigned asked = 1; asked <= ACTIONS; asked++) {
                pang_explanation e;
                pang_verdict want = plain_check(&p, asked, &o);
                pang_verdict got = pang_grants_check(grants, (pang_action)asked, &object);
                pang_grants_explain(grants, (pang_action)asked, &object, &e);
                if (got != want)
                    fail_msg("round %d, object %d, action %u: %d, not %d", round, i, asked, got,
                             want);
                assert_true(e.verdict == got &&
                            (e.why != PANG_WHY_NOTHING) == (got == PANG_ALLOWED));
                counts[got]++;
            }
        }
        pang_grants_unref(grants);
        pang_arena_reset(*state);
    }
    for (int i = 0; i < 3; i++)
        assert_true(counts[i] > 1000);
}

static unsigned worth(pang_verdict verdict)
{
    return verdict == PANG_ALLOWED ? 2 : verdict == PANG_DENIED;
}

static void test_check__one_more_grant_takes_nothing_away(void **state)
{
    for (int round = 0; round < ROUNDS; round++) {
        principal less, more;
        random_principal(&less);
        more = less;
        more.grants[more.n++] = random_grant();
        pang_grants *before = compile(*state, &less), *after = compile(*state, &more);
        more.n--;
        pang_grants *again = compile(*state, &more);
        for (int i = 0; i < OBJECTS; i++) {
            plain_object o = random_object();
            pang_grant_object object = object_of(*state, &o);
            for (unsigned asked = 1; asked <= ACTIONS; asked++) {
                pang_verdict was = pang_grants_check(before, (pang_action)asked, &object);
                assert_true(worth(was) <=
                            worth(pang_grants_check(after, (pang_action)asked, &object)));
                assert_int_equal(was, pang_grants_check(again, (pang_action)asked, &object));
            }
        }
        pang_grants_unref(before);
        pang_grants_unref(after);
        pang_grants_unref(again);
        pang_arena_reset(*state);
    }
}

/* ---- filters ---- */

static bool has_name(const pang_str *list, size_t n, pang_str name)
{
    for (size_t i = 0; i < n; i++)
        if (pang_str_equal(list[i], name))
            return true;
    return false;
}

static bool lets_place(const pang_filter *filter, const pang_grant_object *o)
{
    for (size_t i = 0; i < filter->n_places; i++) {
        pang_str outer = filter->places[i].path;
        if (pang_id_equal(filter->places[i].catalog, o->catalog) &&
            (outer.len == 0 || (pang_str_starts(o->path, outer) &&
                                (o->path.len == outer.len || o->path.ptr[outer.len] == '.'))))
            return true;
    }
    return false;
}

static bool lets_asset(const pang_filter *filter, const pang_grant_object *o)
{
    for (size_t i = 0; i < filter->n_assets; i++)
        if (pang_id_equal(filter->assets[i].asset, o->asset) &&
            pang_id_equal(filter->assets[i].catalog, o->catalog))
            return true;
    return false;
}

/* Whether a list below `top` shows the object, as a list would be made: level by level. */
static bool is_shown(pang_arena *arena, const pang_filter *filter, const pang_grant_object *o)
{
    const pang_str *names_shown;
    const pang_id *catalogs;
    size_t n;
    pang_err err;
    if (filter->all || lets_place(filter, o))
        return true;
    if (o->kind == PANG_SCOPE_ASSET)
        return lets_asset(filter, o);
    if (o->kind == PANG_SCOPE_CATALOG) {
        assert_int_equal(pang_filter_catalogs(filter, arena, &catalogs, &n, &err), PANG_OK);
        for (size_t i = 0; i < n; i++)
            if (pang_id_equal(catalogs[i], o->catalog))
                return true;
        return false;
    }
    size_t last = o->path.len;
    while (last > 0 && o->path.ptr[last - 1] != '.')
        last--;
    pang_str parent = pang_str_slice(o->path, 0, last == 0 ? 0 : last - 1);
    assert_int_equal(
        pang_filter_children(filter, o->catalog, parent, arena, &names_shown, &n, &err), PANG_OK);
    return has_name(names_shown, n, pang_str_after(o->path, last));
}

static void test_filter__shows_what_checks_allow(void **state)
{
    for (int round = 0; round < ROUNDS; round++) {
        principal p;
        pang_filter filter;
        pang_err err;
        random_principal(&p);
        pang_grants *grants = compile(*state, &p);
        pang_grant_object tenant = {.kind = PANG_SCOPE_TENANT, .tenant = grants_id(GRANTS_TENANT)};
        assert_int_equal(pang_grants_filter(grants, PANG_ACT_LIST, &tenant, *state, &filter, &err),
                         PANG_OK);
        assert_true(filter.n_places <= p.n && filter.n_assets <= p.n);
        for (size_t i = 0; i < filter.n_places; i++) {
            pang_filter others = {.places = filter.places, .n_places = i};
            pang_grant_object inner = {.catalog = filter.places[i].catalog,
                                       .path = filter.places[i].path};
            assert_false(lets_place(&others, &inner)); /* none lies within another */
        }
        for (int i = 0; i < OBJECTS; i++) {
            plain_object o = random_object();
            if (o.kind == PANG_SCOPE_TENANT)
                continue;
            pang_grant_object object = object_of(*state, &o);
            object.n_tags = 0;
            bool allowed = pang_grants_check(grants, PANG_ACT_LIST, &object) == PANG_ALLOWED;
            if (is_shown(*state, &filter, &object) != allowed)
                fail_msg("round %d, object %d of kind %d: %s in a list", round, i, object.kind,
                         allowed ? "missing" : "stands");
        }
        pang_grants_unref(grants);
        pang_arena_reset(*state);
    }
}

/* The filter of a container is that of the tenant, as far as it reaches. */
static void test_filter__of_a_container_is_a_part(void **state)
{
    for (int round = 0; round < ROUNDS; round++) {
        principal p;
        pang_filter filter;
        pang_err err;
        random_principal(&p);
        pang_grants *grants = compile(*state, &p);
        plain_object c = random_object();
        c.kind = chance(2) == 0 ? PANG_SCOPE_CATALOG : PANG_SCOPE_NAMESPACE;
        pang_grant_object container = object_of(*state, &c);
        assert_int_equal(
            pang_grants_filter(grants, PANG_ACT_LIST, &container, *state, &filter, &err), PANG_OK);
        for (int i = 0; i < OBJECTS; i++) {
            plain_object o = random_object();
            o.catalog = c.catalog;
            o.kind = chance(2) == 0 ? PANG_SCOPE_NAMESPACE : PANG_SCOPE_ASSET;
            /* Namespaces that are strictly below it. */
            if (c.kind == PANG_SCOPE_NAMESPACE &&
                (!is_in(&o.at, &c.at) || (o.kind == PANG_SCOPE_NAMESPACE && o.at.n == c.at.n)))
                continue;
            pang_grant_object object = object_of(*state, &o);
            object.n_tags = 0;
            assert_int_equal(is_shown(*state, &filter, &object),
                             pang_grants_check(grants, PANG_ACT_LIST, &object) == PANG_ALLOWED);
        }
        pang_grants_unref(grants);
        pang_arena_reset(*state);
    }
}

static void test_filter__of_a_foreign_tenant_is_empty(void **state)
{
    static const pang_rank ranks[] = {PANG_RANK_NOBODY, PANG_RANK_MEMBER, PANG_RANK_ADMIN};
    pang_grant grant = {.scope.kind = PANG_SCOPE_TENANT, .actions = PANG_CAN(PANG_ACT_ALL)};
    pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT), .grants = &grant, .n_grants = 1};
    pang_grant_object tenant = {.kind = PANG_SCOPE_TENANT,
                                .tenant = grants_id(GRANTS_OTHER_TENANT)};
    pang_filter filter;
    pang_err err;
    for (size_t i = 0; i < 3; i++) {
        from.rank = ranks[i];
        pang_grants *grants = grants_compile(&from, *state);
        assert_int_equal(pang_grants_filter(grants, PANG_ACT_LIST, &tenant, *state, &filter, &err),
                         PANG_OK);
        assert_true(!filter.all && filter.n_tags + filter.n_places + filter.n_assets == 0);
        pang_grants_unref(grants);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check__agrees_with_the_plain_evaluator, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_check__one_more_grant_takes_nothing_away, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_filter__shows_what_checks_allow, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_filter__of_a_container_is_a_part, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_filter__of_a_foreign_tenant_is_empty, grants_setup,
                                        grants_teardown),
    };
    return cmocka_run_group_tests_name("grants_random", tests, NULL, NULL);
}
