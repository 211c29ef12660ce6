/*
 * server/grants.h against tables that are written by hand: which action implies which, which
 * scope covers what, what may be seen and what is hidden. Nothing here is computed by the code
 * under test.
 */
#include "tests/fault/alloc.h"
#include "tests/server/grants_fixture.h"

/* ---- what implies what ---- */

enum { ACTIONS = 10 };

/* Rows are granted, columns asked for, in the order of pang_action:
 * read write delete create update list all ingest experimental discovery. */
static const char *const implies[ACTIONS] = {
    "+....+....", /* read */
    "++++++....", /* write */
    "..+.......", /* delete */
    "...+......", /* create */
    "....+.....", /* update */
    ".....+....", /* list */
    "++++++++++", /* all */
    ".......+..", /* ingest-branching */
    "........+.", /* experimental-branching */
    ".........+", /* manage-discovery */
};

/* ---- what covers what ---- */

static const struct {
    const char *name;
    pang_scope_kind kind;
    unsigned catalog, asset;
    const char *levels, *tag;
} objects[] = {
    {"tenant", PANG_SCOPE_TENANT, 0, 0, "", NULL},
    {"catalog", PANG_SCOPE_CATALOG, 10, 0, "", NULL},
    {"other catalog", PANG_SCOPE_CATALOG, 11, 0, "", NULL},
    {"a", PANG_SCOPE_NAMESPACE, 10, 0, "a", NULL},
    {"a/b", PANG_SCOPE_NAMESPACE, 10, 0, "a b", NULL},
    {"a/b/c", PANG_SCOPE_NAMESPACE, 10, 0, "a b c", NULL},
    {"a/bc", PANG_SCOPE_NAMESPACE, 10, 0, "a bc", NULL},
    {"a.b", PANG_SCOPE_NAMESPACE, 10, 0, "a.b", NULL},
    {"other a/b", PANG_SCOPE_NAMESPACE, 11, 0, "a b", NULL},
    {"a/b:20 #pii", PANG_SCOPE_ASSET, 10, 20, "a b", "pii"},
    {"a/b:21", PANG_SCOPE_ASSET, 10, 21, "a b", NULL},
    {"a/b:none", PANG_SCOPE_ASSET, 10, 0, "a b", NULL},
    {"a/b/c:22", PANG_SCOPE_ASSET, 10, 22, "a b c", NULL},
    {"a/bc:23 #pii", PANG_SCOPE_ASSET, 10, 23, "a bc", "pii"},
    {"a.b:24", PANG_SCOPE_ASSET, 10, 24, "a.b", NULL},
    {"other a/b:25", PANG_SCOPE_ASSET, 11, 25, "a b", NULL},
};
enum { OBJECTS = sizeof objects / sizeof objects[0] };

/* Columns are the objects above: + covered, ^ what leads to the scope, . neither. */
static const struct {
    const char *name, *reach;
    pang_scope_kind kind;
    unsigned catalog, asset;
    const char *levels, *tag;
} scopes[] = {
    {"tenant", "++++++++++++++++", PANG_SCOPE_TENANT, 0, 0, "", NULL},
    {"catalog", "^+.+++++.++++++.", PANG_SCOPE_CATALOG, 10, 0, "", NULL},
    {"other catalog", "^.+.....+......+", PANG_SCOPE_CATALOG, 11, 0, "", NULL},
    {"a", "^^.++++..+++++..", PANG_SCOPE_NAMESPACE, 10, 0, "a", NULL},
    {"a/b", "^^.^++...++++...", PANG_SCOPE_NAMESPACE, 10, 0, "a b", NULL},
    {"a/b/c", "^^.^^+......+...", PANG_SCOPE_NAMESPACE, 10, 0, "a b c", NULL},
    {"a/bc", "^^.^..+......+..", PANG_SCOPE_NAMESPACE, 10, 0, "a bc", NULL},
    {"a.b", "^^.....+......+.", PANG_SCOPE_NAMESPACE, 10, 0, "a.b", NULL},
    {"other a/b", "^.^.....+......+", PANG_SCOPE_NAMESPACE, 11, 0, "a b", NULL},
    {"a/b:20", "^^.^^....+......", PANG_SCOPE_ASSET, 10, 20, "a b", NULL},
    {"a/b/c:22", "^^.^^^......+...", PANG_SCOPE_ASSET, 10, 22, "a b c", NULL},
    {"a.b:24", "^^.....^......+.", PANG_SCOPE_ASSET, 10, 24, "a.b", NULL},
    {"20, moved since", "^^.......+......", PANG_SCOPE_ASSET, 10, 20, "z", NULL},
    {"20 in another catalog", "^.^.....^.......", PANG_SCOPE_ASSET, 11, 20, "a b", NULL},
    {"#pii", "^........+...+..", PANG_SCOPE_TAG, 0, 0, "", "pii"},
    {"#pi", "^...............", PANG_SCOPE_TAG, 0, 0, "", "pi"},
    /* What is malformed grants nothing. */
    {"no levels", "^...............", PANG_SCOPE_NAMESPACE, 10, 0, "", NULL},
    {"no asset", "^...............", PANG_SCOPE_ASSET, 10, 0, "a b", NULL},
    {"no tag", "^...............", PANG_SCOPE_TAG, 0, 0, "", ""},
    {"no kind", "^...............", 0, 10, 20, "a b", "pii"},
    {"unknown kind", "^...............", 7, 10, 20, "a b", "pii"},
};
enum { SCOPES = sizeof scopes / sizeof scopes[0] };

static pang_grant_object object_of(pang_arena *arena, size_t i)
{
    pang_grant_object object = {.kind = objects[i].kind, .tenant = grants_id(GRANTS_TENANT)};
    pang_str *tag = pang_arena_alloc(arena, sizeof *tag);
    if (objects[i].catalog != 0)
        object.catalog = grants_id(objects[i].catalog);
    if (objects[i].asset != 0)
        object.asset = grants_id(objects[i].asset);
    object.path = grants_path(arena, objects[i].levels);
    *tag = pang_str_from(objects[i].tag);
    object.tags = tag;
    object.n_tags = objects[i].tag != NULL;
    return object;
}

static pang_grant grant_of(pang_arena *arena, size_t i, uint32_t actions)
{
    pang_grant grant = {.id = grants_id(1000 + (unsigned)i), .actions = actions};
    grant.scope.kind = scopes[i].kind;
    if (scopes[i].catalog != 0)
        grant.scope.catalog = grants_id(scopes[i].catalog);
    if (scopes[i].asset != 0)
        grant.scope.asset = grants_id(scopes[i].asset);
    grant.scope.path = grants_path(arena, scopes[i].levels);
    grant.scope.tag = pang_str_from(scopes[i].tag);
    return grant;
}

/* From the tables alone. A tag shows no container: what carries it is not known there. */
static pang_verdict expected(size_t scope, uint32_t granted, uint32_t asked, size_t object)
{
    char reach = scopes[scope].reach[object];
    if (reach == '+' && implies[granted - 1][asked - 1] == '+')
        return PANG_ALLOWED;
    bool shown = objects[object].kind == PANG_SCOPE_TENANT ||
                 (reach != '.' && implies[granted - 1][PANG_ACT_LIST - 1] == '+');
    if (asked == PANG_ACT_LIST && shown)
        return PANG_ALLOWED;
    return shown ? PANG_DENIED : PANG_HIDDEN;
}

static const char *const verdicts[] = {"denied", "hidden", "allowed"};

static void compare(const pang_grants *grants, pang_arena *arena, size_t scope, uint32_t granted)
{
    for (size_t o = 0; o < OBJECTS; o++) {
        pang_grant_object object = object_of(arena, o);
        for (uint32_t asked = 1; asked <= ACTIONS; asked++) {
            pang_verdict want = expected(scope, granted, asked, o);
            pang_verdict got = pang_grants_check(grants, (pang_action)asked, &object);
            if (got != want)
                fail_msg("grant of %u on %s, asked %u of %s: %s, not %s", granted,
                         scopes[scope].name, asked, objects[o].name, verdicts[got], verdicts[want]);
        }
    }
}

static void test_check__every_action_scope_and_object(void **state)
{
    for (size_t s = 0; s < SCOPES; s++) {
        assert_int_equal(strlen(scopes[s].reach), OBJECTS);
        for (uint32_t granted = 1; granted <= ACTIONS; granted++) {
            pang_grant grant = grant_of(*state, s, PANG_CAN(granted));
            pang_grants *grants = grants_of(&grant, 1, *state);
            compare(grants, *state, s, granted);
            pang_grants_unref(grants);
            pang_arena_reset(*state);
        }
    }
}

/* The same table, by way of a role in a role that leads back to the first. */
static void test_check__roles_give_what_they_hold(void **state)
{
    const pang_id outer = grants_id(500), inner = grants_id(501), gone = grants_id(502);
    const pang_id includes[] = {gone, inner};
    for (size_t s = 0; s < SCOPES; s++) {
        for (uint32_t granted = 1; granted <= ACTIONS; granted++) {
            pang_grant grant = grant_of(*state, s, PANG_CAN(granted));
            const pang_role roles[] = {
                {.id = outer, .name = PANG_STR("o"), .includes = includes, .n_includes = 2},
                {.id = inner, .grants = &grant, .n_grants = 1, .includes = &outer, .n_includes = 1},
            };
            pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT),
                                       .rank = PANG_RANK_MEMBER,
                                       .assigned = &outer,
                                       .n_assigned = 1,
                                       .roles = roles,
                                       .n_roles = 2};
            pang_grants *grants = grants_compile(&from, *state);
            compare(grants, *state, s, granted);
            pang_grants_unref(grants);
            pang_arena_reset(*state);
        }
    }
}

static void test_check__unassigned_roles_give_nothing(void **state)
{
    pang_grant grant = grant_of(*state, 0, PANG_CAN(PANG_ACT_ALL));
    const pang_role role = {.id = grants_id(500), .grants = &grant, .n_grants = 1};
    pang_grants_source from = {
        .tenant = grants_id(GRANTS_TENANT), .rank = PANG_RANK_MEMBER, .roles = &role, .n_roles = 1};
    pang_grants *grants = grants_compile(&from, *state);
    for (size_t o = 1; o < OBJECTS; o++) {
        pang_grant_object object = object_of(*state, o);
        assert_int_equal(pang_grants_check(grants, PANG_ACT_LIST, &object), PANG_HIDDEN);
    }
    pang_grants_unref(grants);
}

static void test_check__ranks(void **state)
{
    static const struct {
        pang_rank rank;
        unsigned tenant; /* the object's */
        pang_verdict want, of_tenant;
    } cases[] = {
        {PANG_RANK_NOBODY, GRANTS_TENANT, PANG_HIDDEN, PANG_HIDDEN},
        {PANG_RANK_MEMBER, GRANTS_TENANT, PANG_HIDDEN, PANG_DENIED},
        {PANG_RANK_MEMBER, GRANTS_OTHER_TENANT, PANG_HIDDEN, PANG_HIDDEN},
        {PANG_RANK_ADMIN, GRANTS_TENANT, PANG_ALLOWED, PANG_ALLOWED},
        {PANG_RANK_ADMIN, GRANTS_OTHER_TENANT, PANG_HIDDEN, PANG_HIDDEN},
        {PANG_RANK_ROOT, GRANTS_TENANT, PANG_ALLOWED, PANG_ALLOWED},
        {PANG_RANK_ROOT, GRANTS_OTHER_TENANT, PANG_ALLOWED, PANG_ALLOWED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT), .rank = cases[i].rank};
        pang_grants *grants = grants_compile(&from, *state);
        for (size_t o = 0; o < OBJECTS; o++) {
            pang_grant_object object = object_of(*state, o);
            object.tenant = grants_id(cases[i].tenant);
            pang_verdict want = o == 0 ? cases[i].of_tenant : cases[i].want;
            for (uint32_t asked = 1; asked <= ACTIONS; asked++)
                if (o != 0 || asked != PANG_ACT_LIST)
                    assert_int_equal(pang_grants_check(grants, (pang_action)asked, &object), want);
        }
        pang_grants_unref(grants);
    }
}

/* A member's grants are worth nothing elsewhere, nor are those of somebody who is nobody now. */
static void test_check__grants_end_with_tenant_and_rank(void **state)
{
    pang_grant grant = grant_of(*state, 0, PANG_CAN(PANG_ACT_ALL));
    pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT), .grants = &grant, .n_grants = 1};
    for (int rank = PANG_RANK_NOBODY; rank <= PANG_RANK_ADMIN; rank++) {
        from.rank = (pang_rank)rank;
        pang_grants *grants = grants_compile(&from, *state);
        for (size_t o = 0; o < OBJECTS; o++) {
            pang_grant_object object = object_of(*state, o);
            pang_verdict own = rank == PANG_RANK_NOBODY ? PANG_HIDDEN : PANG_ALLOWED;
            assert_int_equal(pang_grants_check(grants, PANG_ACT_READ, &object), own);
            object.tenant = grants_id(GRANTS_OTHER_TENANT);
            assert_int_equal(pang_grants_check(grants, PANG_ACT_READ, &object), PANG_HIDDEN);
        }
        pang_grants_unref(grants);
    }
}

static void test_check__what_is_no_action_is_hidden(void **state)
{
    pang_grants_source from = {.rank = PANG_RANK_ROOT};
    pang_grants *grants = grants_compile(&from, *state);
    static const int none[] = {-1, 0, 11, 31, 32, 1000};
    pang_grant_object object = object_of(*state, 1);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(pang_grants_check(grants, (pang_action)none[i], &object), PANG_HIDDEN);
    object.kind = PANG_SCOPE_TAG;
    assert_int_equal(pang_grants_check(grants, PANG_ACT_READ, &object), PANG_HIDDEN);
    pang_grants_unref(grants);
    /* Bits that are no actions. */
    pang_grant grant = grant_of(*state, 0, 1u | 1u << 11 | 1u << 31);
    grants = grants_of(&grant, 1, *state);
    object.kind = PANG_SCOPE_CATALOG;
    for (uint32_t asked = 1; asked <= ACTIONS; asked++)
        assert_int_equal(pang_grants_check(grants, (pang_action)asked, &object), PANG_HIDDEN);
    pang_grants_unref(grants);
}

static void test_uses__only_what_can_matter(void **state)
{
    pang_grant two[] = {grant_of(*state, 9, PANG_CAN(PANG_ACT_READ)),
                        grant_of(*state, 14, PANG_CAN(PANG_ACT_READ))};
    pang_grants *grants = grants_of(two, 1, *state);
    assert_true(pang_grants_uses(grants, grants_id(10)).ids);
    assert_false(pang_grants_uses(grants, grants_id(10)).tags);
    assert_false(pang_grants_uses(grants, grants_id(9)).ids);
    assert_false(pang_grants_uses(grants, grants_id(11)).ids);
    pang_grants_unref(grants);
    grants = grants_of(two + 1, 1, *state);
    assert_false(pang_grants_uses(grants, grants_id(10)).ids);
    assert_true(pang_grants_uses(grants, grants_id(10)).tags);
    pang_grants_unref(grants);
}

/* ---- bounds ---- */

static void test_compile__too_much_is_refused_whole(void **state)
{
    pang_grant *many = pang_arena_alloc_n(*state, PANG_GRANTS_MAX + 1, sizeof *many);
    pang_grants *grants;
    pang_err err;
    for (size_t i = 0; i <= PANG_GRANTS_MAX; i++)
        many[i] = grant_of(*state, 1, PANG_CAN(PANG_ACT_READ));
    pang_grants_source from = {
        .rank = PANG_RANK_MEMBER, .grants = many, .n_grants = PANG_GRANTS_MAX + 1};
    assert_int_equal(pang_grants_compile(&from, *state, &grants, &err), PANG_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(err.message, "20001 grants, at most 20000"));
    from.n_grants--;
    pang_grants_unref(grants_compile(&from, *state));
}

static void test_compile__too_many_roles_are_refused(void **state)
{
    pang_role *roles = pang_arena_alloc_n(*state, PANG_ROLES_MAX + 1, sizeof *roles);
    pang_id *ids = pang_arena_alloc_n(*state, PANG_ROLES_MAX + 1, sizeof *ids);
    pang_grants *grants;
    pang_err err;
    for (unsigned i = 0; i <= PANG_ROLES_MAX; i++)
        roles[i].id = ids[i] = grants_id(i);
    pang_grants_source from = {.rank = PANG_RANK_MEMBER,
                               .assigned = ids,
                               .n_assigned = PANG_ROLES_MAX + 1,
                               .roles = roles,
                               .n_roles = PANG_ROLES_MAX + 1};
    assert_int_equal(pang_grants_compile(&from, *state, &grants, &err), PANG_RESOURCE_EXHAUSTED);
    from.n_assigned--;
    pang_grants_unref(grants_compile(&from, *state));
}

/* What is given to the compiler may go afterwards. */
static void test_compile__keeps_nothing_of_its_source(void **state)
{
    pang_arena *other = pang_arena_new(1 << 20);
    pang_grant grant = grant_of(other, 4, PANG_CAN(PANG_ACT_READ));
    pang_grants *grants = grants_of(&grant, 1, other), *second = pang_grants_ref(grants);
    assert_true(pang_grants_bytes(grants) > 0);
    pang_arena_free(other);
    memset(&grant, 0xFF, sizeof grant);
    pang_grants_unref(grants);
    compare(second, *state, 4, PANG_ACT_READ);
    pang_grants_unref(second);
    pang_grants_unref(NULL);
}

static void test_compile__every_allocation_may_fail(void **state)
{
    pang_grant grants[] = {grant_of(*state, 4, 2), grant_of(*state, 9, 4), grant_of(*state, 14, 8)};
    const pang_id id = grants_id(500);
    const pang_role role = {.id = id,
                            .name = PANG_STR("r"),
                            .grants = grants,
                            .n_grants = 3,
                            .includes = &id,
                            .n_includes = 1};
    pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT),
                               .rank = PANG_RANK_MEMBER,
                               .assigned = &id,
                               .n_assigned = 1,
                               .roles = &role,
                               .n_roles = 1};
    long live = fault_alloc_live();
    for (unsigned n = 1, failed = 1; failed > 0; n++) {
        pang_grants *made = NULL;
        pang_err err;
        fault_alloc_arm(n, false);
        pang_arena *scratch = pang_arena_new(1 << 20);
        pang_code code = scratch == NULL ? PANG_RESOURCE_EXHAUSTED
                                         : pang_grants_compile(&from, scratch, &made, &err);
        pang_arena_free(scratch);
        failed = fault_alloc_disarm();
        assert_int_equal(code, failed > 0 ? PANG_RESOURCE_EXHAUSTED : PANG_OK);
        pang_grants_unref(made);
        assert_int_equal(fault_alloc_live(), live);
        assert_true(n < 100);
    }
}

/* ---- roles within roles ---- */

enum { CHAIN = PANG_ROLE_DEPTH_MAX + 2 };

static void test_roles__cycles_and_depth_are_refused(void **state)
{
    pang_role roles[CHAIN];
    pang_id next[CHAIN], fresh = grants_id(999), self[2];
    pang_err err;
    /* 0 includes 1 includes 2 ... up to the deepest that may be. */
    size_t n = PANG_ROLE_DEPTH_MAX + 1;
    for (unsigned i = 0; i < n; i++) {
        next[i] = grants_id(i + 1);
        roles[i] = (pang_role){.id = grants_id(i), .includes = &next[i], .n_includes = i + 1 < n};
    }
    /* As it stands each may be written again. */
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pang_roles_check(roles, n, roles[i].id, roles[i].includes,
                                          roles[i].n_includes, *state, &err),
                         PANG_OK);
    /* Itself, and the way back from anywhere to anywhere before. */
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            assert_int_equal(pang_roles_check(roles, n, roles[i].id, &roles[j].id, 1, *state, &err),
                             PANG_FAILED_PRECONDITION);
            assert_non_null(strstr(err.message, "include itself"));
        }
    /* One deeper, at either end; a new one may hold the second. */
    assert_int_equal(pang_roles_check(roles, n, fresh, &roles[0].id, 1, *state, &err),
                     PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "deeper than 8"));
    roles[n] = (pang_role){.id = fresh};
    assert_int_equal(pang_roles_check(roles, n + 1, roles[n - 1].id, &fresh, 1, *state, &err),
                     PANG_FAILED_PRECONDITION);
    assert_int_equal(pang_roles_check(roles, n, fresh, &roles[1].id, 1, *state, &err), PANG_OK);
    self[0] = roles[1].id;
    self[1] = fresh;
    assert_int_equal(pang_roles_check(roles, n, fresh, self, 2, *state, &err),
                     PANG_FAILED_PRECONDITION);
    assert_int_equal(pang_roles_check(NULL, 0, fresh, NULL, 0, *state, &err), PANG_OK);
    assert_int_equal(pang_roles_check(NULL, 0, fresh, &fresh, 1, *state, &err),
                     PANG_FAILED_PRECONDITION);
}

/* ---- explaining ---- */

static void test_explain__names_the_grant_and_the_role(void **state)
{
    pang_grant own = grant_of(*state, 4, PANG_CAN(PANG_ACT_WRITE)),
               of_role = grant_of(*state, 3, PANG_CAN(PANG_ACT_READ)),
               by_tag = grant_of(*state, 14, PANG_CAN(PANG_ACT_ALL));
    pang_grant direct[] = {by_tag, own};
    const pang_id outer = grants_id(500), inner = grants_id(501);
    const pang_role roles[] = {
        {.id = inner, .name = PANG_STR("inner"), .grants = &of_role, .n_grants = 1},
        {.id = outer, .name = PANG_STR("outer"), .includes = &inner, .n_includes = 1},
    };
    pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT),
                               .rank = PANG_RANK_MEMBER,
                               .grants = direct,
                               .n_grants = 2,
                               .assigned = &outer,
                               .n_assigned = 1,
                               .roles = roles,
                               .n_roles = 2};
    pang_grants *grants = grants_compile(&from, *state);
    pang_grant_object asset = object_of(*state, 9), catalog = object_of(*state, 1),
                      tenant = object_of(*state, 0), foreign = object_of(*state, 2);
    pang_explanation e;

    pang_grants_explain(grants, PANG_ACT_READ, &asset, &e);
    assert_int_equal(e.why, PANG_WHY_GRANT);
    assert_true(pang_id_equal(e.grant->id, of_role.id));
    assert_true(pang_str_equal(e.role->name, PANG_STR("inner")));
    assert_true(pang_id_equal(e.role->via->id, outer) && e.role->via->via == NULL);

    pang_grants_explain(grants, PANG_ACT_DELETE, &asset, &e);
    assert_true(e.why == PANG_WHY_GRANT && pang_id_equal(e.grant->id, own.id) && e.role == NULL);

    pang_grants_explain(grants, PANG_ACT_MANAGE_DISCOVERY, &asset, &e);
    assert_true(e.why == PANG_WHY_GRANT && pang_id_equal(e.grant->id, by_tag.id));

    pang_grants_explain(grants, PANG_ACT_LIST, &catalog, &e);
    assert_true(e.verdict == PANG_ALLOWED && e.why == PANG_WHY_BELOW && e.grant == NULL);
    pang_grants_explain(grants, PANG_ACT_LIST, &tenant, &e);
    assert_true(e.verdict == PANG_ALLOWED && e.why == PANG_WHY_MEMBER);

    pang_grants_explain(grants, PANG_ACT_UPDATE, &catalog, &e);
    assert_true(e.verdict == PANG_DENIED && e.why == PANG_WHY_NOTHING);
    assert_int_equal(e.needed,
                     PANG_CAN(PANG_ACT_WRITE) | PANG_CAN(PANG_ACT_UPDATE) | PANG_CAN(PANG_ACT_ALL));
    pang_grants_explain(grants, PANG_ACT_LIST, &foreign, &e);
    assert_true(e.verdict == PANG_HIDDEN);
    assert_int_equal(e.needed, PANG_CAN(PANG_ACT_READ) | PANG_CAN(PANG_ACT_WRITE) |
                                   PANG_CAN(PANG_ACT_LIST) | PANG_CAN(PANG_ACT_ALL));
    pang_grants_unref(grants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check__every_action_scope_and_object, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_check__roles_give_what_they_hold, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_check__unassigned_roles_give_nothing, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_check__ranks, grants_setup, grants_teardown),
        cmocka_unit_test_setup_teardown(test_check__grants_end_with_tenant_and_rank, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_check__what_is_no_action_is_hidden, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_uses__only_what_can_matter, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_compile__too_much_is_refused_whole, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_compile__too_many_roles_are_refused, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_compile__keeps_nothing_of_its_source, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_compile__every_allocation_may_fail, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_roles__cycles_and_depth_are_refused, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_explain__names_the_grant_and_the_role, grants_setup,
                                        grants_teardown),
    };
    return cmocka_run_group_tests_name("grants", tests, NULL, NULL);
}
