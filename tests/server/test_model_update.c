/*
 * server/model_update.c, model_stats.c: the walk over updates, and the actions about the table
 * itself: uuid, version, location, properties, statistics, encryption keys.
 */
#include "model_fixture.h"

#include <string.h>

#define OK PANG_OK
#define BAD PANG_INVALID_ARGUMENT
#define N(a) (sizeof(a) / sizeof((a)[0]))

static void test_model_update__the_list(void **state)
{
    static const model_case cases[] = {
        {"none", 2, "[]", OK, NULL, NULL},
        {"null", 2, "null", OK, NULL, NULL},
        {"no list", 2, "{}", BAD, "updates: must be an array", "BadRequestException"},
        {"no object", 2, "[1]", BAD, "updates[0]: must be an object", NULL},
        {"no action", 2, "[{'updates':{'a':'1'}}]", BAD, "updates[0].action: is missing", NULL},
        {"action of a number", 2, "[{'action':1}]", BAD, "updates[0].action: must be a string",
         NULL},
        {"unknown action behind a good one", 2,
         "[{'action':'set-properties','updates':{'a':'2'}},{'action':'levitate'}]", BAD,
         "updates[1].action: cannot convert metadata update action \"levitate\"",
         "BadRequestException"},
        {"any case", 2, "[{'action':'SET-Properties','updates':{'a':'2'}}]", OK,
         "{'properties':{'a':'2'}}", NULL},
        {"unknown members", 2, "[{'action':'set-properties','updates':{'a':'2'},'later':[1]}]", OK,
         "{'properties':{'a':'2'}}", NULL},
        {"a view's update", 2, "[{'action':'add-view-version','view-version':{}}]", BAD,
         "add-view-version", NULL},
        {"the first fault in order", 2,
         "[{'action':'set-current-schema','schema-id':7},{'action':'set-default-spec','spec-id':8}"
         "]",
         BAD, "schema: 7", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_update__uuid_and_location(void **state)
{
    static const model_case cases[] = {
        {"the same uuid, in capitals", 2,
         "[{'action':'assign-uuid','uuid':'9C12D441-03FE-4693-9A96-A0705DDF69C1'}]", OK, NULL,
         NULL},
        {"another uuid", 2,
         "[{'action':'assign-uuid','uuid':'11111111-03fe-4693-9a96-a0705ddf69c1'}]", BAD,
         "Cannot reassign uuid", NULL},
        {"no uuid", 2, "[{'action':'assign-uuid','uuid':''}]", BAD, "updates[0].uuid", NULL},
        {"moved", 2, "[{'action':'set-location','location':'s3a://b/t2//'}]", OK,
         "{'location':'s3a://b/t2'}", NULL},
        {"not moved", 2, "[{'action':'set-location','location':'s3://b/t/'}]", OK, NULL, NULL},
        {"nowhere", 2, "[{'action':'set-location','location':''}]", BAD, "updates[0].location",
         NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_update__versions(void **state)
{
    static const model_case cases[] = {
        {"1 to 2", 1, "[{'action':'upgrade-format-version','format-version':2}]", OK,
         "{'format-version':2,'last-sequence-number':0,'snapshots':[{'sequence-number':0},"
         "{'sequence-number':0}],'schema':'<absent>','partition-spec':'<absent>',"
         "'next-row-id':'<absent>'}",
         NULL},
        {"2 to 3", 2, "[{'action':'upgrade-format-version','format-version':3}]", OK,
         "{'format-version':3,'next-row-id':0,'last-sequence-number':2,"
         "'snapshots':[{'first-row-id':'<absent>'},{}]}",
         NULL},
        {"1 to 3", 1, "[{'action':'upgrade-format-version','format-version':3}]", OK,
         "{'format-version':3,'next-row-id':0,'last-sequence-number':0}", NULL},
        {"the same", 2, "[{'action':'upgrade-format-version','format-version':2}]", OK, NULL, NULL},
        {"down", 3, "[{'action':'upgrade-format-version','format-version':2}]", BAD,
         "Cannot downgrade v3 table to v2", "IllegalArgumentException"},
        {"too far", 3, "[{'action':'upgrade-format-version','format-version':99}]", BAD,
         "Cannot upgrade table to unsupported format version: v99 (supported: v3)", NULL},
        {"0", 2, "[{'action':'upgrade-format-version','format-version':0}]", BAD,
         "updates[0].format-version", NULL},
        {"removal, upgrade, addition", 1,
         "[{'action':'remove-snapshots','snapshot-ids':[10]},"
         "{'action':'upgrade-format-version','format-version':2},"
         "{'action':'add-snapshot','snapshot':{'snapshot-id':30,'parent-snapshot-id':20,"
         "'sequence-number':1,'timestamp-ms':1700000050000,'manifest-list':'x','summary':{}}},"
         "{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':30}]",
         OK,
         "{'snapshots':[{'snapshot-id':20,'sequence-number':0},{'snapshot-id':30}],"
         "'snapshot-log':[{'snapshot-id':20},{'snapshot-id':30}],'last-sequence-number':1}",
         NULL},
        {"what 3 has can be used at once", 2,
         "[{'action':'upgrade-format-version','format-version':3},{'action':'add-schema','schema':"
         "{'type':'struct','fields':[{'id':9,'name':'v','required':false,'type':'variant'}]}}]",
         OK, "{'schemas':[{},{}]}", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_update__properties(void **state)
{
    static const model_case cases[] = {
        {"set and remove", 2,
         "[{'action':'set-properties','updates':{'b':'2','c':''}},"
         "{'action':'remove-properties','removals':['a','c','none']}]",
         OK, "{'properties':{'a':'<absent>','b':'2','c':'<absent>'}}", NULL},
        {"old spellings", 2,
         "[{'action':'set-properties','updated':{'b':'2'}},"
         "{'action':'remove-properties','removed':['a']}]",
         OK, "{'properties':{'a':'<absent>','b':'2'}}", NULL},
        {"nothing", 2,
         "[{'action':'set-properties','updates':{}},"
         "{'action':'remove-properties','removals':[]}]",
         OK, NULL, NULL},
        {"what was there is a change", 2, "[{'action':'set-properties','updates':{'a':'1'}}]", OK,
         "{'properties':{'a':'1'}}", NULL},
        {"a number", 2, "[{'action':'set-properties','updates':{'a':1}}]", BAD,
         "updates[0].updates.a: must be a string", "BadRequestException"},
        {"null", 2, "[{'action':'set-properties','updates':{'a':null}}]", BAD,
         "updates[0].updates.a: must be a string", NULL},
        {"no updates", 2, "[{'action':'set-properties'}]", BAD, "updates[0].updates: is missing",
         NULL},
        {"no removals", 2, "[{'action':'remove-properties'}]", BAD,
         "updates[0].removals: is missing", NULL},
        {"removals of numbers", 2, "[{'action':'remove-properties','removals':[1]}]", BAD,
         "updates[0].removals[0]: must be a string", NULL},
        {"a log length that is no number", 2,
         "[{'action':'set-properties','updates':{'write.metadata.previous-versions-max':'many'}}]",
         BAD, "must have integer value", NULL},
    };
    model_run(*state, cases, N(cases));
}

#define STATISTICS(id, more)                                                                       \
    "{'action':'set-statistics','statistics':{'snapshot-id':" id ",'statistics-path':'s3://n',"    \
    "'file-size-in-bytes':9223372036854775807,'file-footer-size-in-bytes':2,'blob-metadata':["     \
    "{'type':'t','snapshot-id':" id ",'sequence-number':1,'fields':[1],'properties':{'ndv':'9'}}]" \
    "}" more "}"
#define PARTITION(id)                                                                              \
    "{'action':'set-partition-statistics','partition-statistics':{'snapshot-id':" id               \
    ",'statistics-path':'s3://n','file-size-in-bytes':7}}"

static void test_model_update__statistics(void **state)
{
    static const model_case cases[] = {
        {"replaced in place", 2, "[" STATISTICS("10", "") "]", OK,
         "{'statistics':[{'snapshot-id':10,'statistics-path':'s3://n',"
         "'file-size-in-bytes':9223372036854775807},{'snapshot-id':20}]}",
         NULL},
        {"of a snapshot that is not there", 2, "[" STATISTICS("5", ",'snapshot-id':5") "]", OK,
         "{'statistics':[{},{},{'snapshot-id':5}]}", NULL},
        {"two ids", 2, "[" STATISTICS("5", ",'snapshot-id':6") "]", BAD, "differ",
         "IllegalArgumentException"},
        {"removed", 2, "[{'action':'remove-statistics','snapshot-id':10}]", OK,
         "{'statistics':[{'snapshot-id':20}]}", NULL},
        {"removed without being there", 2, "[{'action':'remove-statistics','snapshot-id':5}]", OK,
         NULL, NULL},
        {"of a wrong form", 2,
         "[{'action':'set-statistics','statistics':{'snapshot-id':1,"
         "'statistics-path':'x','file-size-in-bytes':1,'file-footer-size-in-bytes':1,"
         "'blob-metadata':[{'type':'t','snapshot-id':1,'sequence-number':1,'fields':['x']}]}}]",
         BAD, "updates[0].statistics.blob-metadata[0].fields[0]: must be an integer", NULL},
        {"partitions: added and replaced", 2, "[" PARTITION("10") "," PARTITION("20") "]", OK,
         "{'partition-statistics':[{'snapshot-id':10,'file-size-in-bytes':7},{'snapshot-id':20}]}",
         NULL},
        {"partitions: removed", 2, "[{'action':'remove-partition-statistics','snapshot-id':10}]",
         OK, "{'partition-statistics':[]}", NULL},
        {"partitions: nothing to remove", 2,
         "[{'action':'remove-partition-statistics','snapshot-id':11}]", OK, NULL, NULL},
        {"partitions: no path", 2,
         "[{'action':'set-partition-statistics','partition-statistics':{"
         "'snapshot-id':1,'file-size-in-bytes':1}}]",
         BAD, "updates[0].partition-statistics.statistics-path: is missing", NULL},
    };
    model_run(*state, cases, N(cases));
}

#define KEY(id)                                                                                    \
    "{'action':'add-encryption-key','encryption-key':{'key-id':'" id                               \
    "','encrypted-key-metadata':'YWJj','encrypted-by-id':'root','properties':{'p':'v'}}}"

static void test_model_update__encryption_keys(void **state)
{
    static const model_case cases[] = {
        {"added", 3, "[" KEY("k1") "," KEY("k2") "]", OK,
         "{'encryption-keys':[{'key-id':'k1','encrypted-by-id':'root'},{'key-id':'k2'}]}", NULL},
        {"known", 3, "[" KEY("k1") "," KEY("k1") "]", OK, "{'encryption-keys':[{}]}", NULL},
        {"removed", 3,
         "[" KEY("k1") "," KEY("k2") ",{'action':'remove-encryption-key','key-id':'k1'}]", OK,
         "{'encryption-keys':[{'key-id':'k2'}]}", NULL},
        {"unknown", 3, "[{'action':'remove-encryption-key','key-id':'k1'}]", OK, NULL, NULL},
        {"version 2", 2, "[" KEY("k1") "]", BAD, "not supported until v3", NULL},
        {"no metadata", 3, "[{'action':'add-encryption-key','encryption-key':{'key-id':'k1'}}]",
         BAD, "updates[0].encryption-key.encrypted-key-metadata: is missing", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_update__the_count_is_bounded(void **state)
{
    model *m = *state;
    pang_model_outcome outcome;
    pang_buf text = {.arena = m->arena};
    pang_buf_add_char(&text, '[');
    for (int i = 0; i <= PANG_MODEL_UPDATES_MAX; i++)
        pang_buf_printf(&text, "%s{'action':'remove-snapshot-ref','ref-name':'x'}", i ? "," : "");
    pang_buf_add_char(&text, ']');
    assert_int_equal(model_commit(m, model_table(m, 2), NULL,
                                  pang_arena_cstr(m->arena, pang_buf_str(&text)), &outcome),
                     BAD);
    assert_non_null(strstr(m->err.message, "updates: has more than"));
}

/* Many updates that each walk over a long list end before they hold a thread for long. */
static void test_model_update__the_work_is_bounded(void **state)
{
    enum { SCHEMAS = 10000, SETS = 1000 };
    model *m = *state;
    pang_model_outcome outcome;
    pang_buf schemas = {.arena = m->arena}, sets = {.arena = m->arena};
    pang_json *table = pang_json_copy(model_table(m, 2), m->arena);
    pang_buf_add_char(&schemas, '[');
    pang_buf_add_char(&sets, '[');
    for (int i = 0; i < SCHEMAS; i++)
        pang_buf_printf(&schemas, "%s{'type':'struct','schema-id':%d,'fields':[]}", i ? "," : "",
                        i);
    for (int i = 0; i < SETS; i++)
        pang_buf_printf(&sets, "%s{'action':'set-current-schema','schema-id':%d}", i ? "," : "",
                        SCHEMAS - 1 - i % 2);
    pang_buf_add_char(&schemas, ']');
    pang_buf_add_char(&sets, ']');
    assert_true(pang_json_set(table, "schemas",
                              model_json(m, pang_arena_cstr(m->arena, pang_buf_str(&schemas)))));
    assert_int_equal(
        model_commit(m, table, NULL, pang_arena_cstr(m->arena, pang_buf_str(&sets)), &outcome),
        BAD);
    assert_non_null(strstr(m->err.message, "so many updates"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_update__the_list),
        MODEL_TEST(test_model_update__uuid_and_location),
        MODEL_TEST(test_model_update__versions),
        MODEL_TEST(test_model_update__properties),
        MODEL_TEST(test_model_update__statistics),
        MODEL_TEST(test_model_update__encryption_keys),
        MODEL_TEST(test_model_update__the_count_is_bounded),
        MODEL_TEST(test_model_update__the_work_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
