/*
 * server/remark.c: what clients say about their commits, and the commits' ids that they are told.
 */
#include <string.h>

#include "server/remark.h"
#include "tests/server/ref_fixture.h"

#define SNAPSHOT(id, summary)                                                                      \
    "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":" #id ",\"sequence-number\":" #id \
    ",\"timestamp-ms\":1700000000000,\"manifest-list\":\"m" #id                                    \
    "\",\"summary\":{\"operation\":\"append\"" summary "},\"schema-id\":0}}]"

static pang_rec_commit *newest(fixture *fx, const char *prefix)
{
    pang_commit_row row;
    pang_view view = rfx_view(fx, prefix);
    assert_int_equal(pang_commit_head(&view, &row, &fx->err), PANG_OK);
    assert_non_null(row.body);
    return row.body;
}

static const char *property(const pang_rec_commit *commit, const char *name)
{
    for (size_t i = 0; i < commit->n_properties; i++)
        if (strcmp(commit->properties[i]->name, name) == 0)
            return commit->properties[i]->value;
    return "";
}

static void test_remark__what_was_done_is_said_by_default(void **state)
{
    fixture *fx = *state;
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    assert_string_equal(newest(fx, "demo")->message, "create namespace ns");
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
    assert_string_equal(newest(fx, "demo")->message, "create table ns.t");
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", SNAPSHOT(1, ""), NULL), PANG_OK);
    assert_string_equal(newest(fx, "demo")->message, "commit to table ns.t");
    assert_int_equal(newest(fx, "demo")->n_properties, 0);
    assert_int_equal(fx_drop_table(fx, "ns", "t", false), PANG_OK);
    assert_string_equal(newest(fx, "demo")->message, "drop table ns.t");
}

static void test_remark__headers_are_for_every_commit(void **state)
{
    fixture *fx = *state;
    fx->message = PANG_STR("nightly load, für alle");
    fx->properties = PANG_STR("{\"job\":\"load-7\",\"run\":\"1\"}");
    for (int i = 0; i < 4; i++) {
        pang_code code = i == 0   ? fx_create_namespace(fx, "ns")
                         : i == 1 ? fx_create_table(fx, "ns", "t", NULL)
                         : i == 2 ? fx_commit(fx, "ns", "t", "[]", SNAPSHOT(1, ""), NULL)
                                  : fx_drop_table(fx, "ns", "t", true);
        assert_int_equal(code, PANG_OK);
        pang_rec_commit *commit = newest(fx, "demo");
        assert_string_equal(commit->message, "nightly load, für alle");
        assert_int_equal(commit->n_properties, 2);
        assert_string_equal(property(commit, "job"), "load-7");
        assert_string_equal(property(commit, "run"), "1");
        assert_true(pang_id_equal(pang_id_of(commit->id), fx->commit));
    }
}

static void test_remark__a_snapshots_summary_may_say_it(void **state)
{
    fixture *fx = *state;
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
    assert_int_equal(fx_commit(fx, "ns", "t", "[]",
                               SNAPSHOT(1, ",\"pangolin.commit-message\":\"by an engine\","
                                           "\"pangolin.commit.job\":\"a\",\"other\":\"b\""),
                               NULL),
                     PANG_OK);
    assert_string_equal(newest(fx, "demo")->message, "by an engine");
    assert_int_equal(newest(fx, "demo")->n_properties, 1);
    assert_string_equal(property(newest(fx, "demo"), "job"), "a");
    fx->message = PANG_STR("by a person");
    fx->properties = PANG_STR("{\"job\":\"b\"}");
    assert_int_equal(fx_commit(fx, "ns", "t", "[]",
                               SNAPSHOT(2, ",\"pangolin.commit-message\":\"by an engine\","
                                           "\"pangolin.commit.job\":\"a\","
                                           "\"pangolin.commit.run\":\"2\""),
                               NULL),
                     PANG_OK);
    assert_string_equal(newest(fx, "demo")->message, "by a person");
    assert_string_equal(property(newest(fx, "demo"), "job"), "b");
    assert_string_equal(property(newest(fx, "demo"), "run"), "2");
}

static void refused(fixture *fx, pang_str message, pang_str properties)
{
    fx->message = message;
    fx->properties = properties;
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_INVALID_ARGUMENT);
    assert_string_equal(fx->err.reason, "BadRequestException");
}

static pang_str repeated(fixture *fx, const char *before, char c, size_t n, const char *after)
{
    pang_buf buf = {.arena = fx->arena};
    pang_buf_add(&buf, pang_str_from(before));
    for (size_t i = 0; i < n; i++)
        pang_buf_add_char(&buf, c);
    pang_buf_add(&buf, pang_str_from(after));
    return pang_buf_str(&buf);
}

static void test_remark__what_is_too_much_is_refused(void **state)
{
    fixture *fx = *state;
    pang_str none = {0};
    pang_buf many = {.arena = fx->arena};
    pang_buf_add_char(&many, '{');
    for (int i = 0; i <= PANG_REMARK_PROPERTIES_MAX; i++)
        pang_buf_printf(&many, "%s\"p%d\":\"\"", i == 0 ? "" : ",", i);
    pang_buf_add_char(&many, '}');
    refused(fx, repeated(fx, "", 'm', PANG_REMARK_MESSAGE_MAX + 1, ""), none);
    refused(fx, none, PANG_STR("{"));
    refused(fx, none, PANG_STR("[]"));
    refused(fx, none, PANG_STR("{\"a\":1}"));
    refused(fx, none, PANG_STR("{\"\":\"1\"}"));
    refused(fx, none, repeated(fx, "{\"", 'n', PANG_REMARK_NAME_MAX + 1, "\":\"\"}"));
    refused(fx, none, repeated(fx, "{\"n\":\"", 'v', PANG_REMARK_VALUE_MAX + 1, "\"}"));
    refused(fx, none, pang_buf_str(&many));
    fx->message = repeated(fx, "", 'm', PANG_REMARK_MESSAGE_MAX, "");
    fx->properties = repeated(fx, "{\"n\":\"", 'v', PANG_REMARK_VALUE_MAX, "\"}");
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    assert_int_equal(strlen(newest(fx, "demo")->message), PANG_REMARK_MESSAGE_MAX);
}

static void test_remark__where_nothing_changed_there_is_no_commit(void **state)
{
    fixture *fx = *state;
    assert_int_equal(fx_create_namespace(fx, "ns"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "ns", "t", NULL), PANG_OK);
    assert_false(pang_id_is_nil(fx->commit));
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", "[]", NULL), PANG_OK);
    assert_true(pang_id_is_nil(fx->commit));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_remark__##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_done_is_said_by_default),         TEST(headers_are_for_every_commit),
        TEST(a_snapshots_summary_may_say_it),           TEST(what_is_too_much_is_refused),
        TEST(where_nothing_changed_there_is_no_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
