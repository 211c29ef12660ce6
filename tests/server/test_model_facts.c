/*
 * server/model_facts.c: facts, places, the document with fewer snapshots.
 */
#include "model_fixture.h"

#include <string.h>

static void test_model_facts__of_a_table(void **state)
{
    model *m = *state;
    pang_model_facts facts;
    pang_str value;
    const pang_json *table = model_table(m, 2);
    pang_model_facts_of(table, &facts);
    assert_true(pang_str_equal(facts.table_uuid, PANG_STR("9c12d441-03fe-4693-9a96-a0705ddf69c1")));
    assert_true(pang_str_equal(facts.location, PANG_STR("s3://b/t")));
    assert_int_equal(facts.format_version, 2);
    assert_int_equal(facts.schema_id, 0);
    assert_true(facts.has_snapshot);
    assert_int_equal(facts.snapshot_id, 20);
    assert_int_equal(facts.last_updated_ms, 1700000000000);
    assert_int_equal(facts.last_sequence_number, 2);
    assert_int_equal(pang_json_size(facts.properties), 1);
    assert_true(pang_model_property(table, PANG_STR("a"), &value));
    assert_true(pang_str_equal(value, PANG_STR("1")));
    assert_false(pang_model_property(table, PANG_STR("b"), &value));
    assert_int_equal(value.len, 0);
}

static void test_model_facts__no_snapshot_has_three_spellings(void **state)
{
    static const char *const spellings[] = {"{'current-snapshot-id':-1}",
                                            "{'current-snapshot-id':null}", "{}"};
    model *m = *state;
    for (size_t i = 0; i < 3; i++) {
        pang_model_facts facts;
        pang_model_facts_of(model_json(m, spellings[i]), &facts);
        assert_false(facts.has_snapshot);
        assert_int_equal(facts.snapshot_id, 0);
        assert_null(facts.properties);
    }
}

typedef struct {
    pang_buf seen;
    size_t stop_at, n;
} seen;

static pang_code note(void *arg, pang_model_place kind, const char *what, pang_str location,
                      pang_err *err)
{
    seen *s = arg;
    if (s->n++ == s->stop_at)
        return pang_fail(err, PANG_PERMISSION_DENIED, NULL, "%s", what);
    pang_buf_printf(&s->seen, "%d %s=%" PANG_STR_FMT "\n", (int)kind, what, PANG_STR_ARG(location));
    return PANG_OK;
}

static void test_model_facts__places(void **state)
{
    model *m = *state;
    const pang_json *table = model_changed(
        m, model_table(m, 1),
        "[{'action':'set-properties','updates':{'write.data.path':'s3://d','write.metadata.path':"
        "'s3://m','write.object-storage.path':'s3://o','write.folder-storage.path':'s3://f'}},"
        "{'action':'add-snapshot','snapshot':{'snapshot-id':1,'timestamp-ms':1700000050000,"
        "'manifests':['s3://x','s3://y']}}]");
    const char *roots = "1 location=s3://b/t\n"
                        "1 properties.write.data.path=s3://d\n"
                        "1 properties.write.metadata.path=s3://m\n"
                        "1 properties.write.object-storage.path=s3://o\n"
                        "1 properties.write.folder-storage.path=s3://f\n";
    const char *files = "2 snapshots[0].manifest-list=s3://b/t/metadata/10.avro\n"
                        "2 snapshots[1].manifest-list=s3://b/t/metadata/20.avro\n"
                        "2 statistics[0].statistics-path=s3://b/t/s10\n"
                        "2 statistics[1].statistics-path=s3://b/t/s20\n"
                        "2 partition-statistics[0].statistics-path=s3://b/t/p10\n"
                        "2 metadata-log[0].metadata-file=s3://b/t/metadata/00006-aa.metadata.json\n"
                        "2 metadata-log[1].metadata-file=" MODEL_FILE "\n"
                        "2 snapshots[2].manifests[0]=s3://x\n"
                        "2 snapshots[2].manifests[1]=s3://y\n";
    seen s = {.seen = {.arena = m->arena}, .stop_at = SIZE_MAX};
    assert_int_equal(pang_model_places(table, PANG_MODEL_PLACE_ROOT, note, &s, &m->err), PANG_OK);
    assert_string_equal(pang_arena_cstr(m->arena, pang_buf_str(&s.seen)), roots);
    s.seen = (pang_buf){.arena = m->arena};
    assert_int_equal(pang_model_places(table, PANG_MODEL_PLACE_FILE, note, &s, &m->err), PANG_OK);
    assert_string_equal(pang_arena_cstr(m->arena, pang_buf_str(&s.seen)), files);
    s = (seen){.seen = {.arena = m->arena}, .stop_at = 7};
    assert_int_equal(
        pang_model_places(table, PANG_MODEL_PLACE_ROOT | PANG_MODEL_PLACE_FILE, note, &s, &m->err),
        PANG_PERMISSION_DENIED);
    assert_string_equal(m->err.message, "statistics[0].statistics-path");
}

static void test_model_facts__refs_only(void **state)
{
    model *m = *state;
    pang_json *less;
    const pang_json *table = model_table(m, 2);
    assert_int_equal(pang_model_refs_only(table, m->arena, &less, &m->err), PANG_OK);
    assert_ptr_equal(less, table);
    table = model_changed(m, table, "[{'action':'remove-snapshot-ref','ref-name':'old'}]");
    const char *before = model_text(m, table);
    assert_int_equal(pang_model_refs_only(table, m->arena, &less, &m->err), PANG_OK);
    model_expect(m, less,
                 "{'snapshots':[{'snapshot-id':20}],'snapshot-log':[{},{}],"
                 "'refs':{'main':{}},'statistics':[{},{}],'unknown':{}}");
    assert_string_equal(model_text(m, table), before);
    /* A version 1 file without refs has its current snapshot. */
    table = model_json(m, "{'current-snapshot-id':5,'snapshots':[{'snapshot-id':4},"
                          "{'snapshot-id':5}]}");
    assert_int_equal(pang_model_refs_only(table, m->arena, &less, &m->err), PANG_OK);
    model_expect(m, less, "{'snapshots':[{'snapshot-id':5}]}");
    assert_int_equal(pang_model_refs_only(model_json(m, "{}"), m->arena, &less, &m->err), PANG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_facts__of_a_table),
        MODEL_TEST(test_model_facts__no_snapshot_has_three_spellings),
        MODEL_TEST(test_model_facts__places),
        MODEL_TEST(test_model_facts__refs_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
