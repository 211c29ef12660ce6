/*
 * server/model_check.c: the metadata documents of the Iceberg project, valid and invalid, and a
 * table that is broken in one place after the other.
 */
#include "model_fixture.h"

#include <stdio.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
enum { FIXTURE_BYTES = 1 << 16 };

static pang_json *read_fixture(model *m, const char *name)
{
    char *text = pang_arena_alloc_text(m->arena, FIXTURE_BYTES);
    const char *path = pang_arena_printf(m->arena, "tests/fixtures/iceberg/%s.json", name).ptr;
    FILE *file = fopen(path, "r");
    pang_json *value = NULL;
    if (file == NULL)
        fail_msg("no file %s", path);
    size_t n = fread(text, 1, FIXTURE_BYTES, file);
    (void)fclose(file);
    if (pang_json_parse((pang_str){text, n}, m->arena, &value, &m->err) != PANG_OK)
        fail_msg("%s: %s", name, m->err.message);
    return value;
}

static void test_model_check__fixtures(void **state)
{
    static const struct {
        const char *name, *message; /* NULL: valid */
    } cases[] = {
        {"TableMetadataV1Valid", NULL},
        {"TableMetadataV2Valid", NULL},
        {"TableMetadataV2ValidMinimal", NULL},
        {"TableMetadataV3ValidMinimal", NULL},
        {"TableMetadataStatisticsFiles", NULL},
        {"TableMetadataPartitionStatisticsFiles", NULL},
        {"TableMetadataUnsupportedVersion", "Cannot read unsupported version 42"},
        {"TableMetadataV1MissingSchemaType", "schema.type: is missing"},
        {"TableMetadataV2CurrentSchemaNotFound", "last-partition-id: is missing"}, /* that too */
        {"TableMetadataV2MissingLastPartitionId", "last-partition-id: is missing"},
        {"TableMetadataV2MissingPartitionSpecs", "partition-specs: is missing"},
        {"TableMetadataV2MissingSchemas", "schemas: is missing"},
        {"TableMetadataV2MissingSortOrder", "sort-orders: is missing"},
        {"ValidViewMetadata", "location"}, /* a view is no table */
    };
    model *m = *state;
    for (size_t i = 0; i < N(cases); i++) {
        m->err = (pang_err){0};
        pang_json *document = read_fixture(m, cases[i].name);
        pang_code code = pang_model_check(document, m->arena, &m->err);
        if (code != (cases[i].message == NULL ? PANG_OK : PANG_INVALID_ARGUMENT))
            fail_msg("%s: %s", cases[i].name, m->err.message);
        if (cases[i].message != NULL && i < N(cases) - 1 &&
            strstr(m->err.message, cases[i].message) == NULL)
            fail_msg("%s: %s", cases[i].name, m->err.message);
        if (code != PANG_OK)
            assert_string_equal(m->err.reason, "IllegalArgumentException");
    }
}

/* What is read can be written on: one more commit over every valid fixture. */
static void test_model_check__valid_fixtures_take_a_commit(void **state)
{
    static const char *const names[] = {
        "TableMetadataV1Valid",         "TableMetadataV2Valid",
        "TableMetadataV2ValidMinimal",  "TableMetadataV3ValidMinimal",
        "TableMetadataStatisticsFiles", "TableMetadataPartitionStatisticsFiles",
    };
    model *m = *state;
    for (size_t i = 0; i < N(names); i++) {
        const pang_json *document = model_changed(
            m, read_fixture(m, names[i]),
            "[{'action':'set-properties','updates':{'n':'1'}},"
            "{'action':'upgrade-format-version','format-version':3}]");
        model_expect(m, document,
                     "{'properties':{'n':'1'},'format-version':3,'next-row-id':0,"
                     "'metadata-log':[{'metadata-file':'" MODEL_FILE "'}]}");
    }
}

/* The fixture's table with one member replaced ('<absent>': removed). */
static const struct {
    const char *member, *value, *message; /* NULL: still valid */
} cases[] = {
    {"format-version", "'<absent>'", "format-version: is missing"},
    {"format-version", "4", "Cannot read unsupported version 4"},
    {"format-version", "'3'", "format-version: must be an integer"},
    {"table-uuid", "'<absent>'", "table-uuid: is missing"},
    {"location", "'<absent>'", "location: is missing"},
    {"location", "''", "location: is empty"},
    {"last-sequence-number", "'<absent>'", "last-sequence-number: is missing"},
    {"last-sequence-number", "1", "sequence-number: 2 is greater than the last"},
    {"last-updated-ms", "1699999000000", "last-updated-ms: is before the last entry"},
    {"last-updated-ms", "1699999450000", NULL}, /* within a minute */
    {"last-updated-ms", "1.5", "last-updated-ms: must be an integer"},
    {"last-column-id", "7", "last-column-id: is below column id 8"},
    {"next-row-id", "'<absent>'", "next-row-id: is missing"},
    {"current-schema-id", "3", "Cannot find schema with current-schema-id=3 from schemas"},
    {"schemas", "[]", "Cannot find schema"},
    {"schemas",
     "[{'type':'struct','schema-id':0,'fields':[]},{'type':'struct','schema-id':0,"
     "'fields':[]}]",
     "schemas[1].schema-id: is there twice: 0"},
    {"schemas", "[{'type':'struct','schema-id':0,'fields':[{'id':1}]}]",
     "schemas[0].fields[0].name: is missing"},
    {"partition-specs", "[{'spec-id':1,'fields':[]}]",
     "default-spec-id: 0 is not in partition-specs"},
    {"partition-specs", "[{'spec-id':0,'fields':[{'name':'p'}]}]",
     "partition-specs[0].fields[0].transform: is missing"},
    {"partition-specs",
     "[{'spec-id':0,'fields':[{'name':'p','source-id':99,'field-id':1000,"
     "'transform':'void'}]}]",
     NULL},
    {"sort-orders", "[{'order-id':1,'fields':[]}]", "default-sort-order-id: 0 is not in"},
    {"sort-orders", "{}", "sort-orders: must be an array"},
    {"properties", "{'a':1}", "properties.a: must be a string"},
    {"properties", "'<absent>'", NULL},
    {"current-snapshot-id", "404", "does not match main"},
    {"current-snapshot-id", "null", "does not match main"},
    {"snapshots", "[]", "refs.main.snapshot-id: 20 is not in snapshots"},
    {"refs", "'<absent>'", NULL},
    {"refs", "{}", NULL},
    {"refs", "{'main':{'snapshot-id':10,'type':'branch'}}", "(20 != 10)"},
    {"refs", "{'t':{'snapshot-id':10}}", "refs.t.type: is missing"},
    {"refs", "{'t':{'snapshot-id':11,'type':'tag'}}", "refs.t.snapshot-id: 11 is not in"},
    {"snapshot-log",
     "[{'timestamp-ms':1699999500000,'snapshot-id':1},"
     "{'timestamp-ms':1699999000000,'snapshot-id':2}]",
     "snapshot-log[1].timestamp-ms: is before"},
    {"snapshot-log", "[{'timestamp-ms':1}]", "snapshot-log[0].snapshot-id: is missing"},
    {"metadata-log", "[{'timestamp-ms':1,'metadata-file':3}]",
     "metadata-log[0].metadata-file: must be a string"},
    {"statistics", "[{'snapshot-id':1}]", "statistics[0].statistics-path: is missing"},
    {"statistics", "null", NULL},
    {"encryption-keys", "[{'key-id':'a'}]",
     "encryption-keys[0].encrypted-key-metadata: is missing"},
    {"unknown", "'<absent>'", NULL},
};

static void test_model_check__one_fault_at_a_time(void **state)
{
    model *m = *state;
    for (size_t i = 0; i < N(cases); i++) {
        pang_json *table = pang_json_copy(model_table(m, 3), m->arena);
        pang_json *value = model_json(m, cases[i].value);
        pang_str text;
        if (pang_json_to_str(value, &text) && pang_str_equal(text, PANG_STR("<absent>")))
            pang_json_remove(table, cases[i].member);
        else
            assert_true(pang_json_set(table, cases[i].member, value));
        pang_code code = pang_model_check(table, m->arena, &m->err);
        if (code != (cases[i].message == NULL ? PANG_OK : PANG_INVALID_ARGUMENT))
            fail_msg("%s = %s: %s", cases[i].member, cases[i].value, m->err.message);
        if (cases[i].message != NULL && strstr(m->err.message, cases[i].message) == NULL)
            fail_msg("%s = %s: %s", cases[i].member, cases[i].value, m->err.message);
    }
    assert_int_equal(pang_model_check(model_json(m, "[]"), m->arena, NULL), PANG_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_check__fixtures),
        MODEL_TEST(test_model_check__valid_fixtures_take_a_commit),
        MODEL_TEST(test_model_check__one_fault_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
