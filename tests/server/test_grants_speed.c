/*
 * The cost of a check: 100,000 grants over 10,000 principals, half of them through roles, and one
 * principal that holds as much as may be. CPU time of this thread, so that neighbours do not count.
 */
#include <time.h>

#include "tests/server/grants_fixture.h"

enum {
    PRINCIPALS = 10000,
    GRANTS_EACH = 5, /* and as many through a role */
    CHECKS = 1000000,
    MOST_NS = 5000, /* of one check */
    SLOWER = 20,    /* under a sanitizer */
};

static uint64_t seed = 88172645463325252u;

static unsigned chance(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed % n);
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void check_cost(const char *what, int64_t ns, int64_t n)
{
    int64_t most = MOST_NS;
#ifdef PANG_SANITIZED
    most *= SLOWER;
#endif
    printf("%s: %lld ns each\n", what, (long long)(ns / n));
    assert_true(ns / n < most);
}

static pang_grant random_grant(pang_arena *arena)
{
    pang_grant g = {.id = grants_id(chance(60000)), .actions = PANG_CAN(1 + chance(6))};
    g.scope.kind = (pang_scope_kind)(PANG_SCOPE_CATALOG + chance(3));
    g.scope.catalog = grants_id(10 + chance(8));
    g.scope.asset = grants_id(chance(60000));
    pang_str text = pang_arena_printf(arena, "region-%u team-%u set-%u", chance(8), chance(40),
                                      chance(200));
    g.scope.path = grants_path(arena, text.ptr);
    return g;
}

static const pang_grant *random_grants(pang_arena *arena, size_t n)
{
    pang_grant *list = pang_arena_alloc_n(arena, n, sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = random_grant(arena);
    return list;
}

/* Assets in namespaces that may be granted. */
static pang_grant_object *random_objects(pang_arena *arena, size_t n)
{
    pang_grant_object *list = pang_arena_alloc_n(arena, n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        pang_grant g = random_grant(arena);
        list[i] = (pang_grant_object){.kind = PANG_SCOPE_ASSET,
                                      .tenant = grants_id(GRANTS_TENANT),
                                      .catalog = g.scope.catalog,
                                      .asset = g.scope.asset,
                                      .path = g.scope.path};
    }
    return list;
}

enum { OBJECTS = 4096 };

static void test_check__of_ten_thousand_principals(void **state)
{
    pang_grants **all = pang_arena_alloc_n(*state, PRINCIPALS, sizeof *all);
    pang_grant_object *objects = random_objects(*state, OBJECTS);
    pang_arena *scratch = pang_arena_new(1 << 20);
    size_t bytes = 0, allowed = 0;
    int64_t compiling = 0;
    for (size_t i = 0; i < PRINCIPALS; i++) {
        const pang_id id = grants_id(7);
        pang_role role = {
            .id = id, .grants = random_grants(*state, GRANTS_EACH), .n_grants = GRANTS_EACH};
        pang_grants_source from = {.tenant = grants_id(GRANTS_TENANT),
                                   .rank = PANG_RANK_MEMBER,
                                   .grants = random_grants(*state, GRANTS_EACH),
                                   .n_grants = GRANTS_EACH,
                                   .assigned = &id,
                                   .n_assigned = 1,
                                   .roles = &role,
                                   .n_roles = 1};
        int64_t begun = cpu_ns();
        all[i] = grants_compile(&from, scratch);
        compiling += cpu_ns() - begun;
        bytes += pang_grants_bytes(all[i]);
        pang_arena_reset(scratch);
    }
    int64_t begun = cpu_ns();
    for (size_t i = 0; i < CHECKS; i++)
        allowed += pang_grants_check(all[(i * 7919) % PRINCIPALS], PANG_ACT_READ,
                                     &objects[i % OBJECTS]) == PANG_ALLOWED;
    check_cost("check of one in 10,000 principals", cpu_ns() - begun, CHECKS);
    printf("compiling: %lld ns each; %zu bytes each; %zu allowed\n",
           (long long)(compiling / PRINCIPALS), bytes / PRINCIPALS, allowed);
    for (size_t i = 0; i < PRINCIPALS; i++)
        pang_grants_unref(all[i]);
    pang_arena_free(scratch);
}

static void test_check__of_the_largest_principal(void **state)
{
    pang_grants *grants = grants_of(random_grants(*state, PANG_GRANTS_MAX), PANG_GRANTS_MAX,
                                    *state);
    pang_grant_object *objects = random_objects(*state, OBJECTS);
    size_t allowed = 0;
    int64_t begun = cpu_ns();
    for (size_t i = 0; i < CHECKS; i++)
        allowed += pang_grants_check(grants, PANG_ACT_DELETE, &objects[i % OBJECTS]) ==
                   PANG_ALLOWED;
    check_cost("check of one with 20,000 grants", cpu_ns() - begun, CHECKS);
    printf("%zu bytes; %zu allowed\n", pang_grants_bytes(grants), allowed);
    pang_grants_unref(grants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_check__of_ten_thousand_principals, grants_setup,
                                        grants_teardown),
        cmocka_unit_test_setup_teardown(test_check__of_the_largest_principal, grants_setup,
                                        grants_teardown),
    };
    return cmocka_run_group_tests_name("grants_speed", tests, NULL, NULL);
}
