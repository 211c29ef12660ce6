/*
 * Where tables go by default when a place above is somebody else's: server/locations.c and
 * server/svc_table_next.c, through the services.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "api/json.h"

typedef Pangolin__V1__CreateTableRequest create_in;
typedef Pangolin__V1__CreateTableResponse create_out;

/* A table at `location`, or at the default one (NULL); returns where it is. */
static const char *create_at(fixture *fx, const char *ns, const char *name, const char *location)
{
    create_in in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    create_out out;
    pang_json *tree = NULL;
    pang_str text;
    in.prefix = (char *)(uintptr_t)FX_PREFIX;
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.name = fx_text(fx, "%s", name);
    in.schema = fx_bytes(FX_SCHEMA);
    if (location != NULL) {
        in._location_case = PANGOLIN__V1__CREATE_TABLE_REQUEST___LOCATION_LOCATION;
        in.location = fx_text(fx, "%s", location);
    }
    fx_ok(fx, fx_call(fx, "CreateTable", &in, &out));
    fx_ok(fx, pang_json_parse(pang_str_of(out.metadata), fx->arena, &tree, &fx->err));
    assert_true(pang_json_to_str(pang_json_get(tree, "location"), &text));
    return pang_arena_cstr(fx->arena, text);
}

static const char *below(fixture *fx, const char *path)
{
    return fx_text(fx, "%s/%s", fx->warehouse, path);
}

/* `location` is <warehouse>/<folder>-<8 hex digits>/<name>. */
static void expect_beside(fixture *fx, const char *location, const char *folder, const char *name)
{
    const char *begin = fx_text(fx, "%s/%s-", fx->warehouse, folder);
    const char *end = fx_text(fx, "/%s", name);
    size_t n = strlen(begin);
    if (strncmp(location, begin, n) != 0 || strspn(location + n, "0123456789abcdef") != 8 ||
        strcmp(location + n + 8, end) != 0)
        fail_msg("%s is not %sHHHHHHHH%s", location, begin, end);
}

static void test_locations__a_table_at_its_namespaces_place_blocks_no_other(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    create_at(fx, "ns", "t", below(fx, "ns"));
    const char *first = create_at(fx, "ns", "u", NULL);
    const char *second = create_at(fx, "ns", "v", NULL);
    expect_beside(fx, first, "ns", "u");
    expect_beside(fx, second, "ns", "v");
    assert_int_equal(strncmp(first, second, strlen(first) - 1), 0); /* one folder for all */
}

static void test_locations__a_table_above_a_nested_namespace_blocks_nothing(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "a"));
    fx_ok(fx, fx_create_namespace(fx, "a.b"));
    create_at(fx, "a.b", "t", below(fx, "a"));
    expect_beside(fx, create_at(fx, "a.b", "u", NULL), "b", "u");
    expect_beside(fx, create_at(fx, "a", "u", NULL), "a", "u");
}

static void test_locations__a_namespace_made_below_a_table_has_a_place(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    create_at(fx, "ns", "t", below(fx, "later"));
    fx_ok(fx, fx_create_namespace(fx, "later"));
    expect_beside(fx, create_at(fx, "later", "u", NULL), "later", "u");
}

static void test_locations__a_taken_name_beside_gets_a_suffix(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    create_at(fx, "ns", "t", below(fx, "ns"));
    const char *first = create_at(fx, "ns", "u", NULL);
    fx_ok(fx, fx_drop_table(fx, "ns", "u", false));
    const char *again = create_at(fx, "ns", "u", NULL);
    assert_int_equal(strncmp(again, fx_text(fx, "%s-", first), strlen(first) + 1), 0);
}

static void test_locations__the_default_returns_when_the_place_is_free(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    create_at(fx, "ns", "t", below(fx, "ns"));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    expect_beside(fx, create_at(fx, "ns", "u", NULL), "ns", "u");
    fx->ahead_ms = INT64_C(400) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    assert_string_equal(create_at(fx, "ns", "v", NULL), below(fx, "ns/v"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_locations__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_table_at_its_namespaces_place_blocks_no_other),
        TEST(a_table_above_a_nested_namespace_blocks_nothing),
        TEST(a_namespace_made_below_a_table_has_a_place),
        TEST(a_taken_name_beside_gets_a_suffix),
        TEST(the_default_returns_when_the_place_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
