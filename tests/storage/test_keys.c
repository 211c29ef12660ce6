/*
 * storage/keys.c: what is made can be read back, sorts as it should, and no name leaves its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/keys_identity.h"
#include "api/keys_versions.h"

static pang_arena *arena;
static pang_keys keys;
static pang_err err;

static const pang_id branch = {{0x01, 0x90, 0xAB}}, other = {{0x01, 0x90, 0xAC}};

static int setup(void **state)
{
    (void)state;
    arena = pang_arena_new(1 << 20);
    keys = (pang_keys){.arena = arena, .scope = PANG_STR("00000000000000000000000000000000")};
    return arena == NULL;
}

static int teardown(void **state)
{
    (void)state;
    pang_arena_free(arena);
    return 0;
}

static pang_str path_of(const char *a, const char *b)
{
    pang_str levels[] = {pang_str_from(a), pang_str_from(b)};
    return pang_key_path(&keys, levels, b == NULL ? 1 : 2);
}

static void test_keys__a_key_reads_as_text(void **state)
{
    (void)state;
    pang_str key = pang_key_content(&keys, branch, PANG_SPACE_ASSET, path_of("sales", "eu"),
                                    PANG_STR("orders"));
    assert_true(
        pang_str_equal(key, PANG_STR("00000000000000000000000000000000/cu/"
                                     "0190ab00000000000000000000000000/a/sales.eu/orders")));
    key = pang_key_history(&keys, branch, PANG_SPACE_NAMESPACE, (pang_str){0}, PANG_STR("sales"),
                           0x1F);
    assert_true(pang_str_ends(key, PANG_STR("/n//sales/000000000000001f")));
    assert_int_equal(pang_key_slot_at(key), key.len - 16);
    assert_int_equal(pang_key_prefix_len(key), key.len - 16);
}

static void test_keys__names_cannot_leave_their_place(void **state)
{
    (void)state;
    static const char *const names[] = {"a/b", "../x", "a%2fb", "a\nb", "/",
                                        "%",   "",     "a.b",   "\x7F"};
    pang_str range = pang_key_contents(&keys, branch, PANG_SPACE_ASSET, path_of("ns", NULL));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pang_str name = pang_str_from(names[i]), back;
        pang_str key = pang_key_content(&keys, branch, PANG_SPACE_ASSET, path_of("ns", NULL), name);
        pang_key_parts parts;
        assert_true(pang_str_starts(key, range));
        assert_int_equal(pang_str_find(pang_str_after(key, range.len), '/'), key.len - range.len);
        assert_true(pang_key_parse(key, &parts));
        assert_int_equal(parts.n, 4);
        assert_true(pang_key_unescape(parts.parts[3], arena, &back));
        assert_true(pang_str_equal(back, name));
    }
}

static void test_keys__levels_with_dots_are_not_deeper_levels(void **state)
{
    (void)state;
    assert_false(pang_str_equal(path_of("a.b", NULL), path_of("a", "b")));
    assert_true(pang_str_equal(path_of("a.b", NULL), PANG_STR("a%2eb")));
    assert_false(pang_str_equal(path_of("a%2eb", NULL), path_of("a.b", NULL)));
    assert_int_equal(pang_key_path(&keys, NULL, 0).len, 0);
}

static void test_keys__a_range_holds_its_own_children_only(void **state)
{
    (void)state;
    pang_str range = pang_key_contents(&keys, branch, PANG_SPACE_ASSET, path_of("a", NULL));
    pang_str deeper = pang_key_content(&keys, branch, PANG_SPACE_ASSET, path_of("a", "b"),
                                       PANG_STR("t"));
    pang_str longer = pang_key_content(&keys, branch, PANG_SPACE_ASSET, path_of("ab", NULL),
                                       PANG_STR("t"));
    pang_str elsewhere = pang_key_content(&keys, other, PANG_SPACE_ASSET, path_of("a", NULL),
                                          PANG_STR("t"));
    pang_str space = pang_key_content(&keys, branch, PANG_SPACE_NAMESPACE, path_of("a", NULL),
                                      PANG_STR("t"));
    assert_false(pang_str_starts(deeper, range));
    assert_false(pang_str_starts(longer, range));
    assert_false(pang_str_starts(elsewhere, range));
    assert_false(pang_str_starts(space, range));
}

static void test_keys__numbers_sort_as_numbers(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 9, 10, 255, 256, 1ULL << 40, UINT64_MAX};
    for (size_t i = 1; i < sizeof numbers / sizeof numbers[0]; i++) {
        pang_str before = pang_key_commit(&keys, branch, numbers[i - 1]);
        pang_str after = pang_key_commit(&keys, branch, numbers[i]);
        pang_key_parts parts;
        uint64_t back;
        assert_true(pang_str_compare(before, after) < 0);
        assert_true(pang_key_parse(after, &parts));
        assert_true(pang_key_number(parts.parts[1], &back));
        assert_true(back == numbers[i]);
    }
    pang_str due = pang_key_due(&keys, 99, branch), until = pang_key_due_until(&keys, 100);
    assert_true(pang_str_compare(due, until) < 0);
    assert_true(pang_str_compare(pang_key_due(&keys, 100, branch), until) > 0);
}

static void test_keys__locations_stand_as_they_are(void **state)
{
    (void)state;
    pang_keys system = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_key_parts parts;
    pang_str key = pang_key_reservation(&system, PANG_STR("s3://bucket/a%20b/c"));
    assert_true(pang_str_equal(key, PANG_STR("~system/lr/s3://bucket/a%20b/c")));
    assert_true(pang_key_parse(key, &parts));
    assert_true(pang_str_equal(parts.parts[0], PANG_STR("s3://bucket/a%20b/c")));
}

static void test_keys__too_long_is_one_clear_error(void **state)
{
    (void)state;
    char name[PANG_KEY_MAX];
    memset(name, 'x', sizeof name);
    pang_str long_name = {name, sizeof name};
    assert_int_equal(pang_keys_status(&keys, &err), PANG_OK);
    assert_int_equal(
        pang_key_content(&keys, branch, PANG_SPACE_ASSET, path_of("ns", NULL), long_name).len, 0);
    assert_true(
        pang_key_content(&keys, branch, PANG_SPACE_ASSET, path_of("ns", NULL), PANG_STR("fine"))
            .len > 0);
    assert_int_equal(pang_keys_status(&keys, &err), PANG_INVALID_ARGUMENT);
    assert_string_equal(err.message, "identifier is too long");
}

/* All are read, and no two are the same. */
static void check_made(const pang_str *made, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pang_key_parts parts;
        if (!pang_key_parse(made[i], &parts))
            fail_msg("%" PANG_STR_FMT, PANG_STR_ARG(made[i]));
        for (size_t j = 0; j < i; j++)
            assert_false(pang_str_equal(made[i], made[j]));
    }
    assert_int_equal(pang_keys_status(&keys, &err), PANG_OK);
}

static void test_keys__every_maker_makes_what_parse_reads(void **state)
{
    (void)state;
    pang_str path = path_of("a", "b"), t = PANG_STR("t/%");
    const pang_str made[] = {
        pang_key_catalog_name(&keys, t),
        pang_key_catalog(&keys, branch),
        pang_key_warehouse(&keys, branch),
        pang_key_ref(&keys, branch, PANG_STR("main")),
        pang_key_sequence(&keys, branch),
        pang_key_commit(&keys, branch, 7),
        pang_key_commit_id(&keys, branch),
        pang_key_content(&keys, branch, PANG_SPACE_ASSET, path, t),
        pang_key_history(&keys, branch, PANG_SPACE_ASSET, path, t, 9),
        pang_key_asset(&keys, branch, other),
        pang_key_asset_history(&keys, branch, other, 1),
        pang_key_metadata(&keys, branch, other),
        pang_key_epoch(&keys, branch, path),
        pang_key_reservation(&keys, t),
        pang_key_reserved_below(&keys, t),
        pang_key_pending_file(&keys, branch),
        pang_key_due(&keys, 5, branch),
        pang_key_setting(&keys, t),
        pang_key_idempotency(&keys, branch, t, other),
        pang_key_audit_sequence(&keys, branch),
        pang_key_audit(&keys, branch, 3),
        pang_key_audit_head(&keys),
        pang_key_audit_seal(&keys, 3),
        pang_key_audit_principal(&keys, branch, 3),
        pang_key_audit_resource(&keys, branch, 3),
        pang_key_branch(&keys, branch, other),
        pang_key_fork_mark(&keys, branch),
        pang_key_merge_mark(&keys, branch, other),
        pang_key_merge_operation(&keys, branch),
        pang_key_merge_listed(&keys, branch, other),
        pang_key_merge_conflict(&keys, branch),
        pang_key_maintenance(&keys, branch, branch),
        pang_key_maintenance_due(&keys, branch),
        pang_key_count(&keys, PANG_COUNT_AUTH),
    };
    check_made(made, sizeof made / sizeof made[0]);
}

static void test_keys__every_maker_of_identity_makes_what_parse_reads(void **state)
{
    (void)state;
    pang_str t = PANG_STR("t/%");
    const pang_str made[] = {
        pang_key_tenant_name(&keys, t),
        pang_key_tenant(&keys, branch),
        pang_key_user_name(&keys, t),
        pang_key_user_email(&keys, t),
        pang_key_user_subject(&keys, t, t),
        pang_key_user(&keys, branch),
        pang_key_last_use(&keys, branch),
        pang_key_service_user_name(&keys, t),
        pang_key_service_user_place(&keys, branch),
        pang_key_service_user(&keys, branch),
        pang_key_api_key(&keys, t),
        pang_key_grant(&keys, branch, other),
        pang_key_grant_place(&keys, branch),
        pang_key_role_name(&keys, t),
        pang_key_role(&keys, branch),
        pang_key_assignment(&keys, branch, other),
        pang_key_holder(&keys, branch, other),
        pang_key_role_use(&keys, branch),
        pang_key_gains(&keys, branch),
        pang_key_warehouse_name(&keys, t),
        pang_key_warehouse_use(&keys, branch),
        pang_key_asset_notes(&keys, branch),
        pang_key_tagged(&keys, t, branch),
    };
    check_made(made, sizeof made / sizeof made[0]);
}

/* Each range, and a key that belongs into it. */
static void test_keys__ranges_of_identity_hold_their_own(void **state)
{
    (void)state;
    pang_str t = PANG_STR("a/b");
    const pang_str pairs[][2] = {
        {pang_key_tenant_names(&keys), pang_key_tenant_name(&keys, t)},
        {pang_key_tenants(&keys), pang_key_tenant(&keys, branch)},
        {pang_key_user_names(&keys), pang_key_user_name(&keys, t)},
        {pang_key_service_user_names(&keys), pang_key_service_user_name(&keys, t)},
        {pang_key_grants(&keys, branch), pang_key_grant(&keys, branch, other)},
        {pang_key_grant_places(&keys), pang_key_grant_place(&keys, branch)},
        {pang_key_role_names(&keys), pang_key_role_name(&keys, t)},
        {pang_key_roles(&keys), pang_key_role(&keys, branch)},
        {pang_key_assignments(&keys, branch), pang_key_assignment(&keys, branch, other)},
        {pang_key_holders(&keys, branch), pang_key_holder(&keys, branch, other)},
        {pang_key_warehouse_names(&keys), pang_key_warehouse_name(&keys, t)},
        {pang_key_tagged_assets(&keys, t), pang_key_tagged(&keys, t, branch)},
    };
    size_t n = sizeof pairs / sizeof pairs[0];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            assert_int_equal(pang_str_starts(pairs[j][1], pairs[i][0]), i == j);
    pang_str one = pang_key_grant(&keys, other, branch);
    assert_false(pang_str_starts(one, pang_key_grants(&keys, branch)));
    assert_false(pang_str_starts(pang_key_tagged(&keys, PANG_STR("a"), branch),
                                 pang_key_tagged_assets(&keys, t)));
}

static void test_keys__strangers_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "/",
        "~system",
        "~system/",
        "~system/zz/x",
        "~other/sy/x",
        "~system/sy",
        "~system/sy/a/b",
        "~system/sy/%zz",
        "~system/sy/%41",
        "~system/sy/%2F",
        "~system/sy/%2",
        "~system/pf/12",
        "0000000000000000000000000000000/cn/x",
        "0000000000000000000000000000000G/cn/x",
        "00000000000000000000000000000000/cu/0190ab00000000000000000000000000/x/p/t",
        "00000000000000000000000000000000/cm/0190ab00000000000000000000000000/000000000000000G",
    };
    pang_key_parts parts;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (pang_key_parse(pang_str_from(bad[i]), &parts))
            fail_msg("%s", bad[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_keys__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_key_reads_as_text),
        TEST(names_cannot_leave_their_place),
        TEST(levels_with_dots_are_not_deeper_levels),
        TEST(a_range_holds_its_own_children_only),
        TEST(numbers_sort_as_numbers),
        TEST(locations_stand_as_they_are),
        TEST(too_long_is_one_clear_error),
        TEST(every_maker_makes_what_parse_reads),
        TEST(every_maker_of_identity_makes_what_parse_reads),
        TEST(ranges_of_identity_hold_their_own),
        TEST(strangers_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
