/*
 * server/model_build.c and the files of model_facts.c: what every commit writes besides its
 * updates: times, logs, the old members of version 1; names of files.
 */
#include "model_fixture.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define SET(name, value) "[{'action':'set-properties','updates':{'" name "':'" value "'}}]"

static void test_model_build__the_base_joins_the_log(void **state)
{
    model *m = *state;
    const pang_json *doc = model_changed(m, model_table(m, 2), SET("n", "1"));
    model_expect(m, doc,
                 "{'metadata-log':[{'metadata-file':'s3://b/t/metadata/00006-aa.metadata.json'},"
                 "{'timestamp-ms':1700000000000,'metadata-file':'" MODEL_FILE "'}],"
                 "'last-updated-ms':1700000100000,'unknown':{'kept':[1.50]},"
                 "'table-uuid':'9c12d441-03fe-4693-9a96-a0705ddf69c1'}");
}

static void test_model_build__the_log_is_trimmed_by_the_new_properties(void **state)
{
    static const struct {
        const char *max;
        size_t want; /* entries after ten more commits */
    } cases[] = {{"3", 3}, {"1", 1}, {"0", 1}, {"-5", 1}, {"9223372036854775807", 12}};
    model *m = *state;
    for (size_t i = 0; i < N(cases); i++) {
        const pang_json *doc = model_table(m, 2);
        for (int k = 0; k < 10; k++)
            doc = model_changed(m, doc, SET("n", "1"));
        doc = model_changed(m, doc,
                            pang_arena_printf(m->arena,
                                              SET("write.metadata.previous-versions-max", "%s"),
                                              cases[i].max)
                                .ptr);
        assert_int_equal(pang_json_size(pang_json_get(doc, "metadata-log")), cases[i].want);
        const pang_json *log = pang_json_get(doc, "metadata-log");
        model_expect(m, pang_json_at(log, cases[i].want - 1), "{'metadata-file':'" MODEL_FILE "'}");
    }
}

static void test_model_build__a_hundred_entries_by_default(void **state)
{
    model *m = *state;
    const pang_json *doc = model_table(m, 2);
    for (int k = 0; k < 103; k++) {
        doc = model_changed(m, doc, SET("n", "1"));
        m->clock.wall_ms++;
    }
    const pang_json *log = pang_json_get(doc, "metadata-log");
    assert_int_equal(pang_json_size(log), 100);
    model_expect(m, pang_json_at(log, 0), "{'timestamp-ms':1700000100002}");
}

static void test_model_build__time_does_not_go_back(void **state)
{
    model *m = *state;
    m->clock.wall_ms = 1600000000000;
    const pang_json *doc = model_changed(m, model_table(m, 2), SET("n", "1"));
    model_expect(m, doc, "{'last-updated-ms':1700000000000}");
    m->clock.wall_ms = MODEL_NOW;
    doc = model_changed(
        m, doc,
        "[{'action':'add-snapshot','snapshot':{'snapshot-id':30,'sequence-number':3,"
        "'timestamp-ms':1700000900000,'manifest-list':'x','summary':{}}},"
        "{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':30}]");
    model_expect(m, doc, "{'last-updated-ms':1700000900000}");
}

static void test_model_build__unchanged_is_the_base(void **state)
{
    model *m = *state;
    const pang_json *base = model_table(m, 2);
    pang_model_outcome outcome;
    assert_int_equal(model_commit(m, base, "[]", "[]", &outcome), PANG_OK);
    assert_false(outcome.changed);
    assert_ptr_equal(outcome.document, base);
    assert_int_equal(model_commit(m, base, NULL, NULL, &outcome), PANG_OK);
    assert_false(outcome.changed);
}

/* A file as old as the format: its commit brings it into full form. */
static void test_model_build__a_file_of_version_1(void **state)
{
    model *m = *state;
    const pang_json *base = model_json(
        m, "{'format-version':1,'location':'s3://b/t','last-updated-ms':1,'last-column-id':1,"
           "'schema':{'type':'struct','fields':[{'id':1,'name':'a','required':true,'type':'int'}]},"
           "'partition-spec':[{'name':'a','source-id':1,'transform':'identity'}],"
           "'current-snapshot-id':5,'snapshots':[{'snapshot-id':5,'timestamp-ms':1,"
           "'manifests':['s3://b/t/m']}]}");
    assert_int_equal(pang_model_check(base, m->arena, &m->err), PANG_OK);
    const pang_json *doc = model_changed(m, base, SET("n", "1"));
    model_expect(
        m, doc,
        "{'format-version':1,'table-uuid':'*','schema':{'fields':[{}]},"
        "'schemas':[{'schema-id':0}],'current-schema-id':0,'partition-spec':[{'field-id':1000}],"
        "'partition-specs':[{'spec-id':0,'fields':[{'field-id':1000}]}],'default-spec-id':0,"
        "'last-partition-id':1000,'sort-orders':[{'order-id':0,'fields':[]}],"
        "'default-sort-order-id':0,'refs':{'main':{'snapshot-id':5,'type':'branch'}},"
        "'current-snapshot-id':5,'last-sequence-number':'<absent>'}");
    doc = model_changed(m, doc,
                        "[{'action':'add-schema','schema':{'type':'struct','fields':[{'id':1,'name'"
                        ":'b','required':true,"
                        "'type':'int'}]}},{'action':'set-current-schema','schema-id':-1}]");
    model_expect(m, doc, "{'schema':{'schema-id':1,'fields':[{'name':'b'}]},'schemas':[{},{}]}");
}

static void test_model_build__file_names(void **state)
{
    static const struct {
        const char *properties, *base, *prefix, *suffix;
    } cases[] = {
        {"{}", "", "s3://b/t/metadata/00000-", ".metadata.json"},
        {"{}", "s3://b/t/metadata/00041-aa.metadata.json", "s3://b/t/metadata/00042-",
         ".metadata.json"},
        {"{}", "s3://x/99999-aa.metadata.json", "s3://b/t/metadata/100000-", ".metadata.json"},
        {"{}", "s3://b/t/metadata/v3.metadata.json", "s3://b/t/metadata/00000-", ".metadata.json"},
        {"{}", "s3://b/t-1/metadata/-5-x", "s3://b/t/metadata/00000-", ".metadata.json"},
        {"{}", "s3://b/t/metadata/99999999999999999999-x", "s3://b/t/metadata/00000-",
         ".metadata.json"},
        {"{'write.metadata.path':'s3://m/p//'}", "", "s3://m/p/00000-", ".metadata.json"},
        {"{'write.metadata.compression-codec':'GZIP'}", "", "s3://b/t/metadata/00000-",
         ".gz.metadata.json"},
        {"{'write.metadata.compression-codec':'none'}", "", "s3://b/t/metadata/00000-",
         ".metadata.json"},
    };
    model *m = *state;
    for (size_t i = 0; i < N(cases); i++) {
        pang_model_file file, other;
        pang_json *doc = model_json(m, pang_arena_printf(m->arena,
                                                         "{'location':'s3://b/t','properties':%s}",
                                                         cases[i].properties)
                                           .ptr);
        pang_str base = pang_str_from(cases[i].base);
        assert_int_equal(
            pang_model_file_name(doc, base, (pang_str){0}, &m->env, m->arena, &file, &m->err),
            PANG_OK);
        assert_int_equal(
            pang_model_file_name(doc, base, (pang_str){0}, &m->env, m->arena, &other, &m->err),
            PANG_OK);
        size_t fixed = strlen(cases[i].prefix) + strlen(cases[i].suffix);
        if (!pang_str_starts(file.location, pang_str_from(cases[i].prefix)) ||
            !pang_str_ends(file.location, pang_str_from(cases[i].suffix)) ||
            file.location.len != fixed + 36)
            fail_msg("%" PANG_STR_FMT, PANG_STR_ARG(file.location));
        assert_false(pang_str_equal(file.location, other.location));
        assert_int_equal(file.gzip, pang_model_is_gzip_name(file.location));
    }
    assert_true(pang_model_is_gzip_name(PANG_STR("s3://b/1-a.metadata.json.gz")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_build__the_base_joins_the_log),
        MODEL_TEST(test_model_build__the_log_is_trimmed_by_the_new_properties),
        MODEL_TEST(test_model_build__a_hundred_entries_by_default),
        MODEL_TEST(test_model_build__time_does_not_go_back),
        MODEL_TEST(test_model_build__unchanged_is_the_base),
        MODEL_TEST(test_model_build__a_file_of_version_1),
        MODEL_TEST(test_model_build__file_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
