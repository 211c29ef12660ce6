/*
 * server/model_snapshot.c: snapshots, refs, and what the snapshot log keeps.
 */
#include "model_fixture.h"

#define OK PANG_OK
#define BAD PANG_INVALID_ARGUMENT
#define STALE PANG_FAILED_PRECONDITION
#define N(a) (sizeof(a) / sizeof((a)[0]))

/* A snapshot behind the fixture's head. */
#define SNAPSHOT(id, parent, seq, more)                                                            \
    "{'snapshot-id':" id ",'parent-snapshot-id':" parent ",'sequence-number':" seq                 \
    ",'timestamp-ms':1700000050000,'manifest-list':'s3://b/t/metadata/" id                         \
    ".avro','summary':{'operation':'append','n':'" id "'}" more "}"
#define ADD(snapshot) "{'action':'add-snapshot','snapshot':" snapshot "}"
#define REF(name, type, id, more)                                                                  \
    "{'action':'set-snapshot-ref','ref-name':'" name "','type':'" type "','snapshot-id':" id more  \
    "}"
#define REMOVE(ids) "{'action':'remove-snapshots','snapshot-ids':[" ids "]}"
#define REMOVE_REF(name) "{'action':'remove-snapshot-ref','ref-name':'" name "'}"

static void test_model_snapshot__add(void **state)
{
    static const model_case cases[] = {
        {"added to no branch", 2, "[" ADD(SNAPSHOT("30", "20", "3", "")) "]", OK,
         "{'last-sequence-number':3,'current-snapshot-id':20,'snapshots':[{},{},{'snapshot-id':30,"
         "'summary':{'n':'30'}}],'snapshot-log':[{},{}],'last-updated-ms':1700000100000}",
         NULL},
        {"int64 stay exact", 2, "[" ADD(SNAPSHOT("9223372036854775807", "20", "3", "")) "]", OK,
         "{'snapshots':[{},{},{'snapshot-id':9223372036854775807}]}", NULL},
        {"unknown members stay", 2, "[" ADD(SNAPSHOT("30", "20", "3", ",'x':[1.50]")) "]", OK,
         "{'snapshots':[{},{},{'x':[1.50]}],'unknown':{'kept':[1.50]}}", NULL},
        {"nulls are left out", 2, "[" ADD(SNAPSHOT("30", "20", "3", ",'schema-id':null")) "]", OK,
         "{'snapshots':[{},{},{'schema-id':'<absent>'}]}", NULL},
        {"there already", 2, "[" ADD(SNAPSHOT("20", "10", "3", "")) "]", BAD,
         "Snapshot already exists for id: 20", "ValidationException"},
        {"twice in one request", 2,
         "[" ADD(SNAPSHOT("30", "20", "3", "")) "," ADD(SNAPSHOT("30", "20", "4", "")) "]", BAD,
         "Snapshot already exists for id: 30", NULL},
        {"removed and added again", 2, "[" REMOVE("20") "," ADD(SNAPSHOT("20", "10", "3", "")) "]",
         OK,
         "{'snapshots':[{'snapshot-id':10},{'snapshot-id':20,'summary':{'n':'20'}}],"
         "'refs':{'main':'<absent>'}}",
         NULL},
        {"old sequence number", 2, "[" ADD(SNAPSHOT("30", "20", "2", "")) "]", STALE,
         "Validation failed, please retry: Cannot add snapshot with sequence number 2 older than "
         "last sequence number 2",
         "CommitFailedException"},
        {"old sequence number without parent", 2, "[" ADD(SNAPSHOT("30", "null", "1", "")) "]", OK,
         "{'last-sequence-number':2}", NULL},
        {"version 1 knows no numbers", 1, "[" ADD(SNAPSHOT("30", "20", "0", "")) "]", OK,
         "{'last-sequence-number':'<absent>'}", NULL},
        {"no sequence number", 2,
         "[{'action':'add-snapshot','snapshot':{'snapshot-id':1,'timestamp-ms':1,"
         "'manifest-list':'x','summary':{}}}]",
         BAD, "updates[0].snapshot.sequence-number: is missing", "BadRequestException"},
        {"no manifest list", 2,
         "[{'action':'add-snapshot','snapshot':{'snapshot-id':1,'timestamp-ms':1,"
         "'sequence-number':3,'summary':{}}}]",
         BAD, "updates[0].snapshot.manifest-list", NULL},
        {"manifests of version 1", 1,
         "[{'action':'add-snapshot','snapshot':{'snapshot-id':1,'timestamp-ms':1700000050000,"
         "'manifests':['s3://b/t/m1']}}]",
         OK, "{'snapshots':[{},{},{'manifests':['s3://b/t/m1']}]}", NULL},
        {"summary of a number", 2,
         "[" ADD(SNAPSHOT("30", "20", "3",
                          ",'summary2':1")) ",{'action':'add-snapshot','snapshot':{'snapshot-id':1,"
                                            "'timestamp-ms':1,'sequence-number':"
                                            "9,'manifest-list':'x','summary':{'a':1}}}]",
         BAD, "updates[1].snapshot.summary.a: must be a string", NULL},
        {"id is text", 2, "[" ADD("{'snapshot-id':'30','timestamp-ms':1}") "]", BAD,
         "updates[0].snapshot.snapshot-id: must be an integer", "BadRequestException"},
        {"id beyond 64 bits", 2, "[" ADD(SNAPSHOT("9223372036854775808", "20", "3", "")) "]", BAD,
         "updates[0].snapshot.snapshot-id: must be an integer of 64 bits", NULL},
        {"id -1", 2, "[" ADD(SNAPSHOT("-1", "20", "3", "")) "]", BAD, "stands for none", NULL},
        {"far ahead", 2,
         "[{'action':'add-snapshot','snapshot':{'snapshot-id':1,'timestamp-ms':1800000000000,"
         "'manifest-list':'x','sequence-number':3,'summary':{}}}]",
         BAD, "a day ahead", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_snapshot__rows_of_version_3(void **state)
{
    static const model_case cases[] = {
        {"rows follow on", 3,
         "[" ADD(SNAPSHOT("30", "20", "3", ",'first-row-id':100,'added-rows':5000000000")) "]", OK,
         "{'next-row-id':5000000100}", NULL},
        {"twice", 3,
         "[" ADD(SNAPSHOT("30", "20", "3", ",'first-row-id':100,'added-rows':7")) "," ADD(
             SNAPSHOT("31", "30", "4", ",'first-row-id':107,'added-rows':0")) "]",
         OK, "{'next-row-id':107}", NULL},
        {"a gap is never handed out again", 3,
         "[" ADD(SNAPSHOT("30", "20", "3", ",'first-row-id':200,'added-rows':7")) "]", OK,
         "{'next-row-id':207}", NULL},
        {"behind", 3, "[" ADD(SNAPSHOT("30", "20", "3", ",'first-row-id':99,'added-rows':1")) "]",
         STALE,
         "Validation failed, please retry: Cannot add a snapshot, first-row-id is behind table "
         "next-row-id: 99 < 100",
         "CommitFailedException"},
        {"null", 3, "[" ADD(SNAPSHOT("30", "20", "3", ",'first-row-id':null,'added-rows':1")) "]",
         BAD, "Cannot add a snapshot: first-row-id is null", "IllegalArgumentException"},
        {"no count", 3, "[" ADD(SNAPSHOT("30", "20", "3", ",'first-row-id':100")) "]", BAD,
         "updates[0].snapshot.added-rows: is missing", NULL},
        {"used up", 3,
         "[" ADD(
             SNAPSHOT("30", "20", "3", ",'first-row-id':9223372036854775807,'added-rows':1")) "]",
         BAD, "row ids are used up", NULL},
        {"not in version 2", 2, "[" ADD(SNAPSHOT("30", "20", "3", "")) "]", OK,
         "{'next-row-id':'<absent>'}", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_snapshot__refs(void **state)
{
    static const model_case cases[] = {
        {"a branch", 2,
         "[" REF("dev", "branch", "10",
                 ",'min-snapshots-to-keep':3,"
                 "'max-snapshot-age-ms':4,'max-ref-age-ms':5") "]",
         OK,
         "{'refs':{'main':{},'old':{},'dev':{'snapshot-id':10,'type':'branch',"
         "'min-snapshots-to-keep':3,'max-snapshot-age-ms':4,'max-ref-age-ms':5}},"
         "'current-snapshot-id':20,'snapshot-log':[{},{}]}",
         NULL},
        {"any case, nulls left out", 2, "[" REF("t", "TAG", "10", ",'max-ref-age-ms':null") "]", OK,
         "{'refs':{'t':{'type':'tag','max-ref-age-ms':'<absent>'}}}", NULL},
        {"the same", 2, "[" REF("old", "tag", "10", "") "," REF("main", "branch", "20", "") "]", OK,
         NULL, NULL},
        {"moved", 2, "[" REF("old", "tag", "20", "") "]", OK, "{'refs':{'old':{'snapshot-id':20}}}",
         NULL},
        {"rollback is logged now", 2, "[" REF("main", "branch", "10", "") "]", OK,
         "{'current-snapshot-id':10,'snapshot-log':[{},{},{'snapshot-id':10,"
         "'timestamp-ms':1700000100000}]}",
         NULL},
        {"a new head is logged with its own time", 2,
         "[" ADD(SNAPSHOT("30", "20", "3", "")) "," REF("main", "branch", "30", "") "]", OK,
         "{'current-snapshot-id':30,'snapshot-log':[{},{},{'snapshot-id':30,"
         "'timestamp-ms':1700000050000}]}",
         NULL},
        {"unknown snapshot", 2, "[" REF("main", "branch", "404", "") "]", BAD,
         "Cannot set main to unknown snapshot: 404", "ValidationException"},
        {"removed snapshot", 2, "[" REMOVE("10") "," REF("dev", "branch", "10", "") "]", BAD,
         "Cannot set dev to unknown snapshot: 10", NULL},
        {"main is no tag", 2, "[" REF("main", "tag", "10", "") "]", BAD, "must be a branch", NULL},
        {"tags keep no snapshots", 2, "[" REF("t", "tag", "10", ",'min-snapshots-to-keep':1") "]",
         BAD, "Tags do not support setting minSnapshotsToKeep", "IllegalArgumentException"},
        {"tags have no snapshot age", 2, "[" REF("t", "tag", "10", ",'max-snapshot-age-ms':1") "]",
         BAD, "Tags do not support setting maxSnapshotAgeMs", NULL},
        {"numbers are positive", 2, "[" REF("b", "branch", "10", ",'max-snapshot-age-ms':0") "]",
         BAD, "updates[0].max-snapshot-age-ms: must be between 1", NULL},
        {"another type", 2, "[" REF("b", "bough", "10", "") "]", BAD, "updates[0].type", NULL},
        {"no name", 2, "[" REF("", "tag", "10", "") "]", BAD, "updates[0].ref-name", NULL},
        {"removed", 2, "[" REMOVE_REF("old") "]", OK, "{'refs':{'old':'<absent>','main':{}}}",
         NULL},
        {"main removed: no head, and nothing is logged", 2, "[" REMOVE_REF("main") "]", OK,
         "{'refs':{'old':{},'main':'<absent>'},'current-snapshot-id':-1,'snapshot-log':[{},{}],"
         "'snapshots':[{},{}]}",
         NULL},
        {"main removed in version 3", 3, "[" REMOVE_REF("main") "]", OK,
         "{'current-snapshot-id':'<absent>'}", NULL},
        {"removing what is not there", 2, "[" REMOVE_REF("none") "]", OK, NULL, NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_snapshot__remove(void **state)
{
    static const model_case cases[] = {
        {"with all that names it", 2, "[" REMOVE("10") "]", OK,
         "{'snapshots':[{'snapshot-id':20}],'refs':{'old':'<absent>','main':{}},"
         "'statistics':[{'snapshot-id':20}],'partition-statistics':[],"
         "'snapshot-log':[{'snapshot-id':20}]}",
         NULL},
        {"one by one", 2, "[" REMOVE("10") "," REMOVE("20") "]", OK,
         "{'snapshots':[],'refs':{'old':'<absent>','main':'<absent>'},'current-snapshot-id':-1,"
         "'statistics':[],'snapshot-log':[]}",
         NULL},
        {"unknown ones are ignored", 2, "[" REMOVE("5,10,6") "]", OK, "{'snapshots':[{}]}", NULL},
        {"only unknown ones", 2, "[" REMOVE("5,6") "]", OK, NULL, NULL},
        {"no ids", 2, "[" REMOVE("") "]", OK, NULL, NULL},
        {"no list", 2, "[{'action':'remove-snapshots','snapshot-ids':5}]", BAD,
         "updates[0].snapshot-ids: must be an array of integers", NULL},
        {"text in the list", 2, "[" REMOVE("10,'x'") "]", BAD,
         "updates[0].snapshot-ids[1]: must be an integer", NULL},
    };
    model_run(*state, cases, N(cases));
}

/* The log after a removal begins behind the last gap. */
static void test_model_snapshot__log_has_no_gaps(void **state)
{
    model *m = *state;
    const pang_json *doc = model_changed(
        m, model_table(m, 2),
        "[" ADD(SNAPSHOT("30", "20", "3", "")) "," REF("main", "branch", "30", "") "]");
    doc = model_changed(
        m, doc, "[" ADD(SNAPSHOT("40", "30", "4", "")) "," REF("main", "branch", "40", "") "]");
    model_expect(m, model_changed(m, doc, "[" REMOVE("20") "]"),
                 "{'snapshot-log':[{'snapshot-id':30},{'snapshot-id':40}]}");
    model_expect(m, model_changed(m, doc, "[" REMOVE("10") "]"),
                 "{'snapshot-log':[{'snapshot-id':20},{'snapshot-id':30},{'snapshot-id':40}]}");
    /* A head that is rolled back to stands behind its own removal's gap. */
    doc = model_changed(m, doc, "[" REF("main", "branch", "10", "") "]");
    model_expect(m, model_changed(m, doc, "[" REMOVE("40") "]"),
                 "{'snapshot-log':[{'snapshot-id':10}],'current-snapshot-id':10}");
}

static void test_model_snapshot__passing_heads_are_not_logged(void **state)
{
    model *m = *state;
    const char *both = ADD(SNAPSHOT("30", "20", "3", "")) "," REF(
        "main", "branch", "30", "") "," ADD(SNAPSHOT("40", "30", "4", "")) "," REF("main", "branch",
                                                                                   "40", "");
    const pang_json *base = model_table(m, 2);
    model_expect(m, model_changed(m, base, pang_arena_printf(m->arena, "[%s]", both).ptr),
                 "{'snapshot-log':[{'snapshot-id':10},{'snapshot-id':20},{'snapshot-id':40}],"
                 "'snapshots':[{},{},{},{}]}");
    model_expect(
        m,
        model_changed(
            m, base,
            pang_arena_printf(m->arena, "[%s," REF("main", "branch", "30", "") "]", both).ptr),
        "{'snapshot-log':[{},{},{'snapshot-id':30},{'snapshot-id':30}]}");
    model_expect(m,
                 model_changed(
                     m, base, pang_arena_printf(m->arena, "[%s," REMOVE_REF("main") "]", both).ptr),
                 "{'snapshot-log':[{'snapshot-id':10},{'snapshot-id':20}],"
                 "'current-snapshot-id':-1}");
}

/* A writer whose clock is behind does not make the log go back. */
static void test_model_snapshot__log_keeps_its_order(void **state)
{
    model *m = *state;
    const pang_json *doc = model_changed(m, model_table(m, 2),
                                         "[" REF("main", "branch", "10", "") "]");
    m->clock.wall_ms -= 3600 * 1000;
    doc = model_changed(
        m, doc,
        "[{'action':'add-snapshot','snapshot':{'snapshot-id':30,'sequence-number':3,"
        "'parent-snapshot-id':10,'timestamp-ms':1699999990000,'manifest-list':'x','summary':{}}}"
        "," REF("main", "branch", "30", "") "]");
    model_expect(m, doc,
                 "{'snapshot-log':[{},{},{'snapshot-id':10,'timestamp-ms':1700000100000},"
                 "{'snapshot-id':30,'timestamp-ms':1700000100000}],"
                 "'last-updated-ms':1700000100000}");
}

static void test_model_snapshot__many_are_expired_at_once(void **state)
{
    model *m = *state;
    enum { SNAPSHOTS = 20000 };
    pang_buf add = {.arena = m->arena}, gone = {.arena = m->arena};
    pang_buf_add_char(&add, '[');
    pang_buf_add_char(&gone, '[');
    for (int i = 0; i < SNAPSHOTS; i++) {
        pang_buf_printf(&add,
                        "%s" ADD("{'snapshot-id':%d,'sequence-number':%d,"
                                 "'timestamp-ms':1700000050000,'manifest-list':'x','summary':{}}"),
                        i > 0 ? "," : "", 1000 + i, 3 + i);
        pang_buf_printf(&gone, "%s" REMOVE("%d"), i > 0 ? "," : "", 1000 + i);
    }
    pang_buf_add_char(&add, ']');
    pang_buf_add_char(&gone, ']');
    const pang_json *doc = model_changed(m, model_table(m, 2),
                                         pang_arena_cstr(m->arena, pang_buf_str(&add)));
    assert_int_equal(pang_json_size(pang_json_get(doc, "snapshots")), SNAPSHOTS + 2);
    doc = model_changed(m, doc, pang_arena_cstr(m->arena, pang_buf_str(&gone)));
    model_expect(m, doc,
                 "{'snapshots':[{'snapshot-id':10},{'snapshot-id':20}],"
                 "'snapshot-log':[{},{}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_snapshot__add),
        MODEL_TEST(test_model_snapshot__rows_of_version_3),
        MODEL_TEST(test_model_snapshot__refs),
        MODEL_TEST(test_model_snapshot__remove),
        MODEL_TEST(test_model_snapshot__log_has_no_gaps),
        MODEL_TEST(test_model_snapshot__passing_heads_are_not_logged),
        MODEL_TEST(test_model_snapshot__log_keeps_its_order),
        MODEL_TEST(test_model_snapshot__many_are_expired_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
