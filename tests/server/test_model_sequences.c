/*
 * The metadata engine over whole stories, as the Java library and PyIceberg send them: create and
 * replace transactions, two clients at once, what their tests compare.
 */
#include "model_fixture.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* One commit of a story over what the last one left. */
typedef struct {
    const char *name, *requirements, *updates;
    pang_code code;
    const char *want; /* OK: a pattern, NULL: unchanged; else part of the message */
} step;

static const pang_json *tell(model *m, const pang_json *base, const step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const step *s = &steps[i];
        pang_model_outcome outcome = {0};
        pang_code code = model_commit(m, base, s->requirements, s->updates, &outcome);
        if (code != s->code)
            fail_msg("%s: %s %s", s->name, pang_code_name(code), m->err.message);
        if (code != PANG_OK) {
            if (strstr(m->err.message, s->want) == NULL)
                fail_msg("%s: %s", s->name, m->err.message);
            continue;
        }
        if (outcome.changed != (s->want != NULL))
            fail_msg("%s: changed: %d", s->name, outcome.changed);
        if (s->want != NULL)
            model_expect(m, outcome.document, s->want);
        base = outcome.document;
        m->clock.wall_ms += 1000;
    }
    return base;
}

#define OK PANG_OK
#define BAD PANG_INVALID_ARGUMENT
#define STALE PANG_FAILED_PRECONDITION

#define CREATE "[{'type':'assert-create'}]"
#define UUID "'aaaaaaaa-2222-4333-8444-555555555555'"
#define FIELDS                                                                                     \
    "{'id':1,'name':'id','required':true,'type':'int','doc':'unique ID'},"                         \
    "{'id':2,'name':'data','required':true,'type':'string'}"
#define APPEND(id, parent, seq)                                                                    \
    "{'action':'add-snapshot','snapshot':{'snapshot-id':" id parent ",'sequence-number':" seq      \
    ",'timestamp-ms':1700000100500,'manifest-list':'s3://b/t/metadata/snap-" id                    \
    ".avro','summary':{'operation':'append'},'schema-id':0}},"                                     \
    "{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':" id "}"

/* Java's create transaction: staged metadata turned into updates, then what was done in it. */
#define JAVA_CREATE                                                                                \
    "{'action':'assign-uuid','uuid':" UUID "},"                                                    \
    "{'action':'upgrade-format-version','format-version':2},"                                      \
    "{'action':'add-schema','schema':{'type':'struct','schema-id':0,'fields':[" FIELDS "]},"       \
    "'last-column-id':2},{'action':'set-current-schema','schema-id':-1},"                          \
    "{'action':'add-spec','spec':{'spec-id':0,'fields':[{'name':'id_bucket','transform':"          \
    "'bucket[16]','source-id':1,'field-id':1000}]}},{'action':'set-default-spec','spec-id':-1},"   \
    "{'action':'add-sort-order','sort-order':{'order-id':1,'fields':[{'transform':'identity',"     \
    "'source-id':1,'direction':'asc','null-order':'nulls-first'}]}},"                              \
    "{'action':'set-default-sort-order','sort-order-id':-1},"                                      \
    "{'action':'set-location','location':'s3://b/t'},"                                             \
    "{'action':'set-properties','updates':{'user':'u','created-at':'2023-11-14T00:00:00Z'}}"

static void test_model_sequences__java_create_transaction(void **state)
{
    static const step steps[] = {
        {"create with an append", CREATE, "[" JAVA_CREATE "," APPEND("1", "", "1") "]", OK,
         "{'format-version':2,'table-uuid':" UUID ",'location':'s3://b/t','last-column-id':2,"
         "'schemas':[{'schema-id':0}],'current-schema-id':0,'partition-specs':[{'spec-id':0}],"
         "'last-partition-id':1000,'sort-orders':[{'order-id':1}],'default-sort-order-id':1,"
         "'properties':{'user':'u'},'current-snapshot-id':1,'last-sequence-number':1,"
         "'snapshot-log':[{'snapshot-id':1}],'metadata-log':[],"
         "'refs':{'main':{'snapshot-id':1,'type':'branch'}}}"},
        {"the other one who created it", CREATE, "[" JAVA_CREATE "]", STALE,
         "Requirement failed: table already exists"},
        {"one commit, one entry in the log", NULL,
         "[{'action':'set-properties','updates':{'k':'v'}}]", OK,
         "{'metadata-log':[{'metadata-file':'" MODEL_FILE "'}]}"},
    };
    tell(*state, NULL, steps, N(steps));
}

static void test_model_sequences__java_create_with_more_schemas(void **state)
{
    static const step steps[] = {
        {"schemas in one transaction", CREATE,
         "[" JAVA_CREATE ","
         "{'action':'add-schema','schema':{'type':'struct','schema-id':1,'fields':[" FIELDS ","
         "{'id':3,'name':'z','required':false,'type':'long'}]},'last-column-id':3},"
         "{'action':'set-current-schema','schema-id':-1}," APPEND(
             "1", "",
             "1") ","
                  "{'action':'add-schema','schema':{'type':'struct','schema-id':2,'fields':[" FIELDS
                  ","
                  "{'id':3,'name':'z','required':false,'type':'long'},"
                  "{'id':4,'name':'y','required':false,'type':'long'}]},'last-column-id':4},"
                  "{'action':'set-current-schema','schema-id':-1}]",
         OK,
         "{'schemas':[{'schema-id':0},{'schema-id':1},{'schema-id':2}],'current-schema-id':2,"
         "'last-column-id':4,'metadata-log':[]}"},
    };
    tell(*state, NULL, steps, N(steps));
}

/* PyIceberg's create_table_transaction: the same actions in its own order, ids given. */
static void test_model_sequences__pyiceberg_create_transaction(void **state)
{
    static const step steps[] = {
        {"create", CREATE,
         "[{'action':'assign-uuid','uuid':" UUID "},"
         "{'action':'upgrade-format-version','format-version':2},"
         "{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS "],'schema-id':0,"
         "'identifier-field-ids':[]}},{'action':'set-current-schema','schema-id':-1},"
         "{'action':'add-spec','spec':{'spec-id':0,'fields':[]}},"
         "{'action':'set-default-spec','spec-id':-1},"
         "{'action':'add-sort-order','sort-order':{'order-id':0,'fields':[]}},"
         "{'action':'set-default-sort-order','sort-order-id':-1},"
         "{'action':'set-location','location':'s3://b/t'},"
         "{'action':'set-properties','updates':{}},"
         "{'action':'add-snapshot','snapshot':{'snapshot-id':8223372036854775807,'sequence-number':"
         "1,"
         "'timestamp-ms':1700000100500,'manifest-list':'s3://b/t/metadata/a.avro',"
         "'summary':{'operation':'append','added-records':'3'},'schema-id':0}},"
         "{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':"
         "8223372036854775807}]",
         OK,
         "{'current-snapshot-id':8223372036854775807,'last-partition-id':999,'sort-orders':["
         "{'order-id':0}],'schemas':[{'identifier-field-ids':'<absent>'}]}"},
        {"append",
         "[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':8223372036854775807},"
         "{'type':'assert-table-uuid','uuid':" UUID "}]",
         "[" APPEND("2", ",'parent-snapshot-id':8223372036854775807", "2") "]", OK,
         "{'current-snapshot-id':2,'snapshot-log':[{},{}]}"},
        {"a second one that read the same state",
         "[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':8223372036854775807}]",
         "[" APPEND("3", ",'parent-snapshot-id':8223372036854775807", "2") "]", STALE,
         "branch main has changed: expected id 8223372036854775807 != 2"},
        {"add a column",
         "[{'type':'assert-current-schema-id','current-schema-id':0},"
         "{'type':'assert-table-uuid','uuid':" UUID "}]",
         "[{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS
         ",{'id':3,'name':'n',"
         "'required':false,'type':'double'}],'schema-id':1,'identifier-field-ids':[]}},"
         "{'action':'set-current-schema','schema-id':-1}]",
         OK, "{'current-schema-id':1,'last-column-id':3}"},
    };
    tell(*state, NULL, steps, N(steps));
}

static void test_model_sequences__creates_that_are_none(void **state)
{
    static const step steps[] = {
        {"with another requirement",
         "[{'type':'assert-create'},{'type':'assert-table-uuid','uuid':'x'}]", "[" JAVA_CREATE "]",
         BAD, "Invalid create requirements"},
        {"without a schema", CREATE, "[{'action':'set-location','location':'s3://b/t'}]", BAD,
         "no current schema"},
        {"without a location", CREATE,
         "[{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS "]}},"
         "{'action':'set-current-schema','schema-id':-1},"
         "{'action':'add-spec','spec':{'fields':[]}},{'action':'set-default-spec','spec-id':-1},"
         "{'action':'add-sort-order','sort-order':{'order-id':0,'fields':[]}},"
         "{'action':'set-default-sort-order','sort-order-id':-1}]",
         BAD, "no location"},
        {"without a spec", CREATE,
         "[{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS "]}},"
         "{'action':'set-current-schema','schema-id':-1}]",
         BAD, "no default partition spec"},
        {"a snapshot too early", CREATE, "[" APPEND("1", "", "1") "]", BAD,
         "Attempting to add a snapshot before a schema is added"},
        {"a spec too early", CREATE, "[{'action':'add-spec','spec':{'fields':[]}}]", BAD,
         "no current schema"},
        {"version 4", CREATE, "[{'action':'upgrade-format-version','format-version':4}]", BAD,
         "Unsupported format version: v4"},
        {"no requirement at all", NULL, "[" JAVA_CREATE "]", BAD, "does not exist"},
    };
    tell(*state, NULL, steps, N(steps));
}

/* DuckDB's create: the spec before the schema is chosen, and nothing is set that is the first. */
static void test_model_sequences__what_is_not_chosen_is_the_first(void **state)
{
    static const step steps[] = {
        {"create", CREATE,
         "[{'action':'assign-uuid','uuid':" UUID "},"
         "{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS "]}},"
         "{'action':'add-spec','spec':{'fields':[{'source-id':1,'name':'p','transform':"
         "'identity'}]}},{'action':'add-sort-order','sort-order':{'order-id':0,'fields':[]}},"
         "{'action':'set-location','location':'s3://b/t'}]",
         OK, "{'current-schema-id':0,'default-spec-id':0,'default-sort-order-id':0}"},
    };
    static const step sorted[] = {
        {"sorted, not chosen", CREATE,
         "[{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS "]}},"
         "{'action':'add-spec','spec':{'fields':[]}},"
         "{'action':'add-sort-order','sort-order':{'order-id':1,'fields':[{'source-id':1,"
         "'transform':'identity','direction':'asc','null-order':'nulls-first'}]}},"
         "{'action':'set-location','location':'s3://b/t'}]",
         BAD, "no default sort order"},
    };
    tell(*state, NULL, steps, N(steps));
    tell(*state, NULL, sorted, N(sorted));
}

/* A default location serves a create that names none. */
static void test_model_sequences__create_at_the_default_location(void **state)
{
    model *m = *state;
    pang_model_outcome outcome;
    pang_model_change change = {
        .requirements = model_json(m, CREATE),
        .updates = model_json(
            m,
            "[{'action':'upgrade-format-version','format-version':3},"
            "{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS "]}},"
            "{'action':'set-current-schema','schema-id':-1},"
            "{'action':'add-spec','spec':{'fields':[]}},{'action':'set-default-spec','spec-id':-1},"
            "{'action':'add-sort-order','sort-order':{'order-id':0,'fields':[]}},"
            "{'action':'set-default-sort-order','sort-order-id':-1}]"),
        .default_location = PANG_STR("file:/w/t"),
    };
    assert_int_equal(pang_model_commit(&change, &m->env, m->arena, &outcome, &m->err), PANG_OK);
    model_expect(m, outcome.document,
                 "{'location':'file:/w/t','format-version':3,'next-row-id':0,"
                 "'table-uuid':'*','current-snapshot-id':'<absent>'}");
    assert_int_equal(pang_json_size(pang_json_get(outcome.document, "metadata-log")), 0);
}

/* The kit's server-side retry: requirements that still hold let both clients win. */
static void test_model_sequences__two_clients_one_schema_one_spec(void **state)
{
    static const step steps[] = {
        {"schema",
         "[{'type':'assert-last-assigned-field-id','last-assigned-field-id':8},"
         "{'type':'assert-current-schema-id','current-schema-id':0}]",
         "[{'action':'add-schema','schema':{'type':'struct','fields':[" FIELDS
         ",{'id':9,'name':'new',"
         "'required':false,'type':'long'}]}},{'action':'set-current-schema','schema-id':-1}]",
         OK, "{'current-schema-id':1}"},
        {"spec, by one who saw the old schema",
         "[{'type':'assert-last-assigned-partition-id','last-assigned-partition-id':999},"
         "{'type':'assert-default-spec-id','default-spec-id':0}]",
         "[{'action':'add-spec','spec':{'fields':[{'source-id':1,'field-id':1000,'name':'s',"
         "'transform':'bucket[16]'}]}},{'action':'set-default-spec','spec-id':-1}]",
         OK, "{'current-schema-id':1,'default-spec-id':1}"},
        {"schema, by one who saw the old one",
         "[{'type':'assert-current-schema-id','current-schema-id':0}]",
         "[{'action':'set-properties','updates':{'x':'y'}}]", STALE,
         "Requirement failed: current schema changed: expected id 0 != 1"},
        {"a column id that was taken",
         "[{'type':'assert-last-assigned-field-id','last-assigned-field-id':8}]", "[]", STALE,
         "Requirement failed: last assigned field id changed: expected id 8 != 9"},
        {"a partition id that was taken",
         "[{'type':'assert-last-assigned-partition-id','last-assigned-partition-id':999}]", "[]",
         STALE, "Requirement failed: last assigned partition id changed: expected id 999 != 1000"},
        {"back to the old spec: found, not added", NULL,
         "[{'action':'add-spec','spec':{'spec-id':5,'fields':[]}},"
         "{'action':'set-default-spec','spec-id':-1}]",
         OK, "{'default-spec-id':0,'partition-specs':[{},{}],'last-partition-id':1000}"},
        {"and it stays", NULL, "[{'action':'set-default-spec','spec-id':0}]", OK, NULL},
    };
    model *m = *state;
    tell(m, model_table(m, 2), steps, N(steps));
}

/* Create-or-replace over a table: old snapshots and the log stay, the head goes. */
#define REPLACE(fields, schema, spec)                                                              \
    "[{'action':'add-schema','schema':{'type':'struct','fields':[" fields "]}},"                   \
    "{'action':'set-current-schema','schema-id':" schema "},"                                      \
    "{'action':'add-spec','spec':{'fields':[" spec                                                 \
    "]}},{'action':'set-default-spec','spec-id':-1},"                                              \
    "{'action':'add-sort-order','sort-order':{'order-id':0,'fields':[]}},"                         \
    "{'action':'set-default-sort-order','sort-order-id':-1},"                                      \
    "{'action':'remove-snapshot-ref','ref-name':'main'},"                                          \
    "{'action':'set-location','location':'s3://b/t'},"                                             \
    "{'action':'set-properties','updates':{'replaced':'yes'}}"
#define BY_OTHER "{'source-id':2,'field-id':1000,'name':'p','transform':'identity'}"
#define APPEND_50 APPEND("50", "", "3")
#define REPLACE_UUID "[{'type':'assert-table-uuid','uuid':'9c12d441-03fe-4693-9a96-a0705ddf69c1'}]"

static void test_model_sequences__java_replace_transactions(void **state)
{
    static const step steps[] = {
        {"replace", REPLACE_UUID,
         REPLACE("{'id':1,'name':'only','required':true,'type':'int'}", "-1", "") "]", OK,
         "{'current-snapshot-id':-1,'refs':{'main':'<absent>','old':{}},'snapshots':[{},{}],"
         "'snapshot-log':[{'snapshot-id':10},{'snapshot-id':20}],'current-schema-id':1,"
         "'schemas':[{},{'schema-id':1}],'last-column-id':8,"
         "'table-uuid':'9c12d441-03fe-4693-9a96-a0705ddf69c1'}"},
        {"a concurrent replace that read the same state, with data", REPLACE_UUID,
         REPLACE("{'id':2,'name':'other','required':true,'type':'int'}", "-1",
                 BY_OTHER) "," APPEND_50 "]",
         OK,
         "{'current-snapshot-id':50,'current-schema-id':2,'default-spec-id':1,"
         "'last-partition-id':1000,'snapshot-log':[{},{},{'snapshot-id':50}],"
         "'refs':{'main':{'snapshot-id':50}},'last-sequence-number':3}"},
        {"and a third that changes nothing on its side sets the old ids again", REPLACE_UUID,
         "[{'action':'set-current-schema','schema-id':0},{'action':'set-default-spec','spec-id':0},"
         "{'action':'set-default-sort-order','sort-order-id':0},"
         "{'action':'remove-snapshot-ref','ref-name':'main'}]",
         OK,
         "{'current-schema-id':0,'default-spec-id':0,'default-sort-order-id':0,"
         "'current-snapshot-id':-1,'snapshot-log':[{},{},{}]}"},
        {"a replace of what was dropped and made again",
         "[{'type':'assert-table-uuid','uuid':'00000000-03fe-4693-9a96-a0705ddf69c1'}]", "[]",
         STALE, "Requirement failed: UUID does not match"},
    };
    model *m = *state;
    tell(m, model_table(m, 2), steps, N(steps));
}

/* Row lineage over an upgrade, and a writer that is behind. */
static void test_model_sequences__lineage(void **state)
{
    static const step steps[] = {
        {"upgrade", NULL, "[{'action':'upgrade-format-version','format-version':3}]", OK,
         "{'next-row-id':0}"},
        {"rows", NULL,
         "[{'action':'add-snapshot','snapshot':{'snapshot-id':30,'parent-snapshot-id':20,"
         "'sequence-number':3,'timestamp-ms':1700000100500,'manifest-list':'x','first-row-id':0,"
         "'added-rows':9007199254740993,'summary':{'operation':'append'}}},"
         "{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':30}]",
         OK,
         "{'next-row-id':9007199254740993,'snapshots':[{},{},{'added-rows':9007199254740993}]}"},
        {"behind", NULL,
         "[{'action':'add-snapshot','snapshot':{'snapshot-id':31,'parent-snapshot-id':30,"
         "'sequence-number':4,'timestamp-ms':1700000100500,'manifest-list':'x','first-row-id':0,"
         "'added-rows':1,'summary':{'operation':'append'}}}]",
         STALE, "0 < 9007199254740993"},
    };
    model *m = *state;
    tell(m, model_table(m, 2), steps, N(steps));
}

/* Spark's rewrite and expire: branches, tags, statistics, then old snapshots go. */
static void test_model_sequences__maintenance(void **state)
{
    static const step steps[] = {
        {"a branch of its own",
         "[{'type':'assert-ref-snapshot-id','ref':'audit','snapshot-id':null}]",
         "[{'action':'set-snapshot-ref','ref-name':'audit','type':'branch','snapshot-id':20,"
         "'max-snapshot-age-ms':86400000}]",
         OK, "{'refs':{'audit':{}},'snapshot-log':[{},{}]}"},
        {"data on the branch, not on main", NULL,
         "[{'action':'add-snapshot','snapshot':{'snapshot-id':30,'parent-snapshot-id':20,"
         "'sequence-number':3,'timestamp-ms':1700000100500,'manifest-list':'x','summary':{"
         "'operation':'append','wap.id':'1'}}},{'action':'set-snapshot-ref','ref-name':'audit',"
         "'type':'branch','snapshot-id':30,'max-snapshot-age-ms':86400000}]",
         OK,
         "{'current-snapshot-id':20,'snapshot-log':[{},{}],'refs':{'audit':{'snapshot-id':30}}}"},
        {"publish", NULL,
         "[{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':30},"
         "{'action':'remove-snapshot-ref','ref-name':'audit'}]",
         OK,
         "{'current-snapshot-id':30,'snapshot-log':[{},{},{'snapshot-id':30}],"
         "'refs':{'audit':'<absent>'}}"},
        {"expire", "[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':30}]",
         "[{'action':'remove-snapshot-ref','ref-name':'old'},"
         "{'action':'remove-snapshots','snapshot-ids':[10]},"
         "{'action':'remove-snapshots','snapshot-ids':[20]}]",
         OK,
         "{'snapshots':[{'snapshot-id':30,'parent-snapshot-id':20}],'statistics':[],"
         "'snapshot-log':[{'snapshot-id':30}]}"},
        {"expire again: nothing", NULL,
         "[{'action':'remove-snapshots','snapshot-ids':[10,20]},"
         "{'action':'remove-statistics','snapshot-id':10}]",
         OK, NULL},
    };
    model *m = *state;
    tell(m, model_table(m, 2), steps, N(steps));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_sequences__java_create_transaction),
        MODEL_TEST(test_model_sequences__java_create_with_more_schemas),
        MODEL_TEST(test_model_sequences__pyiceberg_create_transaction),
        MODEL_TEST(test_model_sequences__creates_that_are_none),
        MODEL_TEST(test_model_sequences__what_is_not_chosen_is_the_first),
        MODEL_TEST(test_model_sequences__create_at_the_default_location),
        MODEL_TEST(test_model_sequences__two_clients_one_schema_one_spec),
        MODEL_TEST(test_model_sequences__java_replace_transactions),
        MODEL_TEST(test_model_sequences__lineage),
        MODEL_TEST(test_model_sequences__maintenance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
