/*
 * api/location.h: a table of texts with their pieces, one of texts that are refused, and the
 * relations between locations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/location.h"

enum { ARENA_BYTES = 1 << 20 };

static int setup(void **state)
{
    *state = pang_arena_new(ARENA_BYTES);
    return *state == NULL;
}

static int teardown(void **state)
{
    pang_arena_free(*state);
    return 0;
}

static pang_location parse(pang_arena *arena, const char *text)
{
    pang_location location = {0};
    pang_err err;
    if (pang_location_parse(pang_str_from(text), "location", arena, &location, &err) != PANG_OK)
        fail_msg("%s: %s", text, err.message);
    return location;
}

static void assert_str(pang_str got, const char *want)
{
    if (!pang_str_equal(got, pang_str_from(want)))
        fail_msg("\"%" PANG_STR_FMT "\" is not \"%s\"", PANG_STR_ARG(got), want);
}

static void test_location__pieces(void **state)
{
    static const struct {
        const char *text, *kept, *scheme, *authority, *path, *canonical;
        size_t segments;
    } cases[] = {
        {"s3://b/a/t", "s3://b/a/t", "s3", "b", "a/t", "s3://b/a/t", 2},
        {"s3a://b/a/t//", "s3a://b/a/t", "s3", "b", "a/t", "s3://b/a/t", 2},
        {"s3n://my.bucket-1", "s3n://my.bucket-1", "s3", "my.bucket-1", "", "s3://my.bucket-1", 0},
        {"s3://b/", "s3://b", "s3", "b", "", "s3://b", 0},
        {"gcs://b/x", "gcs://b/x", "gs", "b", "x", "gs://b/x", 1},
        {"abfss://c@acct.dfs.core.windows.net/x", "abfss://c@acct.dfs.core.windows.net/x", "abfs",
         "c@acct.dfs.core.windows.net", "x", "abfs://c@acct.dfs.core.windows.net/x", 1},
        {"wasbs://c@Acct.blob.core.windows.net/x", "wasbs://c@Acct.blob.core.windows.net/x", "abfs",
         "c@Acct.blob.core.windows.net", "x", "abfs://c@acct.dfs.core.windows.net/x", 1},
        {"hdfs://name:8020/x", "hdfs://name:8020/x", "hdfs", "name:8020", "x", "hdfs://name:8020/x",
         1},
        {"hdfs:///x", "hdfs:///x", "hdfs", "", "x", "hdfs:///x", 1},
        {"file:/x/y/", "file:/x/y", "file", "", "x/y", "file:///x/y", 2},
        {"file:///x/y", "file:///x/y", "file", "", "x/y", "file:///x/y", 2},
        {"/x/y", "/x/y", "file", "", "x/y", "file:///x/y", 2},
        {"s3://b/a%20b/100%", "s3://b/a%20b/100%", "s3", "b", "a%20b/100%", "s3://b/a%20b/100%", 2},
        {"s3://b/a%2Fb", "s3://b/a%2Fb", "s3", "b", "a%2Fb", "s3://b/a%2Fb", 1},
        {"s3://b/.../a..b/.h", "s3://b/.../a..b/.h", "s3", "b", ".../a..b/.h", "s3://b/.../a..b/.h",
         3},
        {"s3://b/\xc3\xbc", "s3://b/\xc3\xbc", "s3", "b", "\xc3\xbc", "s3://b/\xc3\xbc", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_location at = parse(*state, cases[i].text);
        assert_str(at.text, cases[i].kept);
        assert_str(at.scheme, cases[i].scheme);
        assert_str(at.authority, cases[i].authority);
        assert_str(at.path, cases[i].path);
        assert_str(at.canonical, cases[i].canonical);
        assert_int_equal(at.segments, cases[i].segments);
    }
}

static void test_location__refused(void **state)
{
    static const struct {
        const char *text, *rule;
    } cases[] = {
        {"", "empty"},
        {"x", "no scheme"},
        {"x/y", "no scheme"},
        {"ftp://h/x", "scheme"},
        {"S3://b/x", "scheme"},
        {"s3:/b/x", "//"},
        {"s3:b", "//"},
        {"s3:///x", "no bucket"},
        {"s3://", "no bucket"},
        {"s3://u@b/x", "user"},
        {"s3://u:p@b/x", "user"},
        {"s3://b:80/x", "port"},
        {"s3://b c/x", "no bucket or host has"},
        {"s3://b%2fx/y", "no bucket or host has"},
        {"s3://./x", "names no bucket"},
        {"hdfs://h:0/x", "port"},
        {"hdfs://h:99999/x", "port"},
        {"hdfs://:80/x", "names no"},
        {"abfss://@h/x", "container"},
        {"abfss://c@/x", "container"},
        {"abfss://a@b@c/x", "no bucket or host has"},
        {"s3://b/x?y", "query"},
        {"s3://b/x*", "pattern"},
        {"s3://b/x#y", "fragment"},
        {"s3://b/x\\y", "backslash"},
        {"s3://b/x\ny", "control"},
        {"s3://b/x\x7f", "control"},
        {"s3://b/x\xff", "UTF-8"},
        {"s3://b/x//y", "empty path segment"},
        {"s3://b//x", "empty path segment"},
        {"//x/y", "empty path segment"},
        {"s3://b/./x", "segment"},
        {"s3://b/x/..", "segment"},
        {"s3://b/%2e%2E/x", "segment"},
        {"s3://b/.%2e/x", "segment"},
        {"s3://b/a%2f..%2fx", "segment"},
        {"s3://b/a%5c..", "segment"},
        {"s3://b/a%00", "control"},
        {"s3://b/a%0A", "control"},
        {"file://host/x", "host"},
        {"file:x", "relative"},
        {"file:", "no path"},
        {"file:///", "no path"},
        {"/", "no path"},
        {"hdfs:///", "no path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_location at;
        pang_err err;
        if (pang_location_parse(pang_str_from(cases[i].text), "properties.x", *state, &at, &err) !=
            PANG_INVALID_ARGUMENT)
            fail_msg("taken: %s", cases[i].text);
        if (strstr(err.message, "properties.x: ") == NULL ||
            strstr(err.message, cases[i].rule) == NULL)
            fail_msg("%s: %s", cases[i].text, err.message);
    }
}

static void test_location__length_is_bounded(void **state)
{
    char text[PANG_LOCATION_MAX + 2];
    pang_location at;
    memset(text, 'a', sizeof text);
    memcpy(text, "s3://b/", 7);
    assert_int_equal(
        pang_location_parse((pang_str){text, PANG_LOCATION_MAX}, "x", *state, &at, NULL), PANG_OK);
    assert_int_equal(
        pang_location_parse((pang_str){text, PANG_LOCATION_MAX + 1}, "x", *state, &at, NULL),
        PANG_INVALID_ARGUMENT);
}

static void test_location__covers_goes_by_segments(void **state)
{
    static const struct {
        const char *outer, *inner;
        bool covers;
    } cases[] = {
        {"s3://b/a", "s3://b/a", true},
        {"s3://b/a", "s3a://b/a/c", true},
        {"s3://b/a", "s3://b/ab", false},
        {"s3://b/a/c", "s3://b/a", false},
        {"s3://b", "s3://b/a", true},
        {"s3://b", "s3://bc/a", false},
        {"s3://b/a", "gs://b/a", false},
        {"s3://b/a", "s3://c/a/x", false},
        {"/x", "file:///x/y", true},
        {"file:/x", "/xy", false},
        {"s3://b/A", "s3://b/a", false},
        {"wasb://c@n.blob.core.windows.net/a", "abfss://c@n.dfs.core.windows.net/a/b", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_location outer = parse(*state, cases[i].outer), inner = parse(*state, cases[i].inner);
        if (pang_location_covers(&outer, &inner) != cases[i].covers)
            fail_msg("%s, %s", cases[i].outer, cases[i].inner);
    }
}

static void test_location__ancestors(void **state)
{
    pang_location at = parse(*state, "s3a://b/x/y/z");
    assert_str(pang_location_ancestor(&at, 0, *state), "s3://b");
    assert_str(pang_location_ancestor(&at, 1, *state), "s3://b/x");
    assert_str(pang_location_ancestor(&at, 2, *state), "s3://b/x/y");
    assert_str(pang_location_ancestor(&at, 3, *state), "s3://b/x/y/z");
    assert_str(pang_location_ancestor(&at, 9, *state), "s3://b/x/y/z");
    at = parse(*state, "/x/y");
    assert_str(pang_location_ancestor(&at, 0, *state), "file://");
    assert_str(pang_location_ancestor(&at, 1, *state), "file:///x");
    at = parse(*state, "s3://b");
    assert_str(pang_location_ancestor(&at, 0, *state), "s3://b");
}

static void test_location__a_child_is_one_segment(void **state)
{
    static const struct {
        const char *name, *segment;
    } cases[] = {
        {"t", "t"},
        {"a b", "a b"},
        {"a/b", "a%2Fb"},
        {"a%b", "a%25b"},
        {".", "._"},
        {"..", ".._"},
        {"../..", ".._%2F.._"},
        {"..\\x", ".._%5Cx"},
        {"a?*#", "a%3F%2A%23"},
        {"%2e%2e", "%252e%252e"},
        {"\xc3\xbc.x", "\xc3\xbc.x"},
        {"/", "%2F"},
    };
    pang_location parent = parse(*state, "file:/w/");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_location at;
        pang_err err;
        if (pang_location_child(&parent, pang_str_from(cases[i].name), *state, &at, &err) !=
            PANG_OK)
            fail_msg("%s: %s", cases[i].name, err.message);
        assert_str(pang_str_after(at.text, strlen("file:/w/")), cases[i].segment);
        assert_int_equal(at.segments, 2);
        assert_true(pang_location_covers(&parent, &at));
    }
    pang_location at;
    assert_int_equal(pang_location_child(&parent, PANG_STR(""), *state, &at, NULL),
                     PANG_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_location__pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_location__refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_location__length_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_location__covers_goes_by_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_location__ancestors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_location__a_child_is_one_segment, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
