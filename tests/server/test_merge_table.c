/*
 * server/merge_table.c, with a stand-in for the files: what it is asked, and what becomes of its
 * snapshot. Second merges and merges back go by documents alone.
 */
#include "merge_fixture.h"

#include <string.h>

/* What the stand-in answers, and what it was asked. */
static struct {
    bool changed;
    const char *snapshot; /* NULL: nothing to bring */
    int64_t next_row_id;
    const pang_conflict *conflicts;
    size_t n_conflicts;
    pang_code code;
    bool only_look;
    unsigned asked, ran;
    const pang_json *merged;
    model *m;
} files;

pang_code pang_merge_files_changed(const pang_merge_table *merge, bool *ret, pang_err *err)
{
    (void)merge;
    (void)err;
    files.asked++;
    *ret = files.changed;
    return PANG_OK;
}

pang_code pang_merge_files_run(const pang_merge_files *in, pang_files_outcome *ret, pang_err *err)
{
    files.ran++;
    files.merged = in->merged;
    files.only_look = in->only_look;
    if (files.code != PANG_OK)
        return pang_fail(err, files.code, NULL, "the stand-in fails");
    *ret = (pang_files_outcome){
        .snapshot = files.snapshot == NULL ? NULL : model_json(files.m, files.snapshot),
        .next_row_id = files.next_row_id,
        .conflicts = files.conflicts,
        .n_conflicts = files.n_conflicts,
    };
    return PANG_OK;
}

static int setup(void **state)
{
    int failed = model_setup(state);
    memset(&files, 0, sizeof files);
    files.m = *state;
    files.changed = true;
    files.next_row_id = -1;
    return failed;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, model_teardown)

static pang_merge_outcome run(model *m, const pang_merge_table *merge)
{
    pang_merge_outcome outcome;
    if (pang_merge_table_run(merge, &outcome, &m->err) != PANG_OK)
        fail_msg("%s", m->err.message);
    if (outcome.n_conflicts > 0)
        assert_null(outcome.document);
    for (size_t i = 0; i < outcome.n_conflicts; i++)
        print_message("conflict: %.*s\n", (int)outcome.conflicts[i].description.len,
                      outcome.conflicts[i].description.ptr);
    if (outcome.document != NULL &&
        pang_model_check(outcome.document, m->arena, &m->err) != PANG_OK)
        fail_msg("no valid table: %s", m->err.message);
    return outcome;
}

#define MERGED                                                                                     \
    "{'snapshot-id':50,'parent-snapshot-id':20,'sequence-number':3,'timestamp-ms':1700000000050,"  \
    "'manifest-list':'s3://b/t/50.avro','summary':{'operation':'append'},'schema-id':0}"

static void test_merge_table__nothing_to_do(void **state)
{
    static const merge_case c = {.version = 2, .target = "[" SET("'a':'2'") "]"};
    pang_merge_table merge = merge_of(*state, &c);
    pang_merge_outcome outcome = run(*state, &merge);
    assert_null(outcome.document);
    assert_int_equal(files.asked + files.ran, 0);
    assert_true(pang_str_equal(outcome.report, PANG_STR("{}")));
}

static void test_merge_table__documents_alone(void **state)
{
    static const merge_case c = {.version = 2, .source = "[" SET("'a':'2'") "]"};
    pang_merge_table merge = merge_of(*state, &c);
    pang_merge_outcome outcome = run(*state, &merge);
    assert_int_equal(files.asked + files.ran, 0);
    model_expect(*state, outcome.document,
                 "{'properties':{'a':'2'},'current-snapshot-id':20,'metadata-log':[{},{"
                 "'metadata-file':'s3://b/t/metadata/00008-t'}]}");
}

static void test_merge_table__data(void **state)
{
    static const merge_case c = {
        .version = 2,
        .source = "[" SET("'b':'2'") "," DATA("30", "0") "]",
        .target = "[{'action':'set-snapshot-ref','ref-name':'main','type':'branch',"
                  "'snapshot-id':20,'min-snapshots-to-keep':5}]"};
    pang_merge_table merge = merge_of(*state, &c);
    files.snapshot = MERGED;
    pang_merge_outcome outcome = run(*state, &merge);
    assert_int_equal(files.asked, 1);
    assert_int_equal(files.ran, 1);
    model_expect(*state, files.merged, "{'properties':{'a':'1','b':'2'},'current-snapshot-id':20}");
    model_expect(*state, outcome.document,
                 "{'properties':{'a':'1','b':'2'},'current-snapshot-id':50,"
                 "'last-sequence-number':3,'last-updated-ms':1700000100000,"
                 "'refs':{'main':{'snapshot-id':50,'min-snapshots-to-keep':5}},"
                 "'snapshots':[{},{},{'snapshot-id':50}],"
                 "'metadata-log':[{},{'metadata-file':'" MODEL_FILE "'},"
                 "{'metadata-file':'s3://b/t/metadata/00008-t'}]}");
    const pang_json *log = pang_json_get(outcome.document, "snapshot-log");
    model_expect(*state, pang_json_at(log, pang_json_size(log) - 1),
                 "{'timestamp-ms':'*','snapshot-id':50}");
}

/* The source said how long main keeps: one entry of the log, not two. */
static void test_merge_table__data_and_main(void **state)
{
    static const merge_case c = {
        .version = 2,
        .source = "[" DATA("30", "0") ",{'action':'set-snapshot-ref','ref-name':'main','type':"
                                      "'branch','snapshot-id':30,'min-snapshots-to-keep':5}]"};
    pang_merge_table merge = merge_of(*state, &c);
    files.snapshot = MERGED;
    pang_merge_outcome outcome = run(*state, &merge);
    model_expect(*state, outcome.document,
                 "{'refs':{'main':{'snapshot-id':50,'min-snapshots-to-keep':5}},"
                 "'snapshot-log':[{'snapshot-id':10},{'snapshot-id':20},{'snapshot-id':50}]}");
}

static void test_merge_table__row_ids(void **state)
{
    static const merge_case c = {.version = 3, .source = "[" DATA3("30", "0") "]"};
    pang_merge_table merge = merge_of(*state, &c);
    files.snapshot = "{'snapshot-id':50,'parent-snapshot-id':20,'sequence-number':3,"
                     "'timestamp-ms':1700000000050,'manifest-list':'s3://b/t/50.avro','summary':{"
                     "'operation':'append'},'schema-id':0,'first-row-id':100,'added-rows':7}";
    files.next_row_id = 107;
    pang_merge_outcome outcome = run(*state, &merge);
    model_expect(*state, outcome.document, "{'next-row-id':107,'current-snapshot-id':50}");
}

/* The head moved, and the files are what they were. */
static void test_merge_table__no_difference(void **state)
{
    static const merge_case c = {.version = 2, .source = "[" DATA("30", "0") "]"};
    pang_merge_table merge = merge_of(*state, &c);
    assert_null(run(*state, &merge).document);
    assert_int_equal(files.ran, 1);
    files.changed = false;
    assert_null(run(*state, &merge).document);
    assert_int_equal(files.ran, 1);
}

/* Files may hold a column that the source dropped: its id is not given out again. */
static void test_merge_table__dropped_columns(void **state)
{
    static const merge_case c = {.version = 2,
                                 .source = "[" SCHEMA(ALL "," FIELD("9", "n", "'int'")) "," DATA(
                                     "30", "1") ",{'action':'set-current-schema','schema-id':0}]"};
    pang_merge_table merge = merge_of(*state, &c);
    files.snapshot = MERGED;
    model_expect(*state, run(*state, &merge).document, "{'last-column-id':9,'schemas':[{}]}");
}

static void test_merge_table__conflicts(void **state)
{
    static const merge_case c = {.version = 2,
                                 .source = "[" SET("'a':'2'") "," DATA("30", "0") "]"};
    static const pang_conflict of_files = {PANG_CONFLICT_DATA, {"file f", 6}, {"{}", 2}};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    files.conflicts = &of_files;
    files.n_conflicts = 1;
    pang_merge_outcome outcome = run(m, &merge);
    assert_int_equal(outcome.n_conflicts, 1);
    assert_int_equal(outcome.conflicts[0].type, PANG_CONFLICT_DATA);
    merge.target.document = merge_evolve(m, merge.target.document, "[" SET("'a':'3'") "]");
    outcome = run(m, &merge);
    assert_int_equal(outcome.n_conflicts, 2); /* all at once, and nothing is written */
    assert_int_equal(outcome.conflicts[0].type, PANG_CONFLICT_METADATA);
    assert_int_equal(outcome.conflicts[1].type, PANG_CONFLICT_DATA);
    assert_true(files.only_look);
}

static void test_merge_table__errors(void **state)
{
    static const merge_case c = {.version = 2, .source = "[" DATA("30", "0") "]"};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    pang_merge_outcome outcome;
    files.code = PANG_UNAVAILABLE;
    assert_int_equal(pang_merge_table_run(&merge, &outcome, &m->err), PANG_UNAVAILABLE);
}

static void test_merge_table__report(void **state)
{
    static const merge_case c = {.version = 2,
                                 .source = "[" SNAPSHOT("40", "20", "3", "0", "append", "") "]"};
    pang_merge_table merge = merge_of(*state, &c);
    pang_merge_outcome outcome = run(*state, &merge);
    pang_json *report;
    assert_null(outcome.document);
    assert_int_equal(pang_json_parse(outcome.report, ((model *)*state)->arena, &report, NULL),
                     PANG_OK);
    model_expect(*state, report, "{'left_behind_snapshots':[{'snapshot-id':40}]}");
}

/* What both sides are after a merge is the base of the next: each side's own document. */
static pang_merge_table next_merge(const pang_merge_table *merge, const pang_merge_outcome *outcome)
{
    pang_merge_table next = *merge;
    next.source_half = merge->source;
    next.target_half.document = next.target.document = outcome->document;
    next.target_half.location = next.target.location = PANG_STR("s3://b/t/metadata/00009-t");
    next.one_half = false;
    next.columns = outcome->columns;
    next.n_columns = outcome->n_columns;
    return next;
}

/* A merge, what the target has of its own, one more merge, and all of it back. */
static void test_merge_table__again_and_back(void **state)
{
    static const merge_case c = {
        .version = 2,
        .source = "[" SET("'s':'1'") "," SCHEMA(ALL "," FIELD("9", "s", "'int'")) "]",
        .target = "[" SET("'t':'1'") "," SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]"};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    pang_merge_outcome outcome = run(m, &merge);
    assert_int_equal(outcome.n_columns, 2);
    model_expect(m, outcome.document, "{'properties':{'a':'1','s':'1','t':'1'}}");
    pang_merge_table second = next_merge(&merge, &outcome);
    assert_null(run(m, &second).document);
    second.source.document = merge_evolve(
        m, second.source.document,
        "[" SET("'s':'2'") "," SCHEMA(ALL "," FIELD("9", "s", "'long'")) "]");
    second.source.location = PANG_STR("s3://b/t/metadata/00009-s");
    outcome = run(m, &second);
    model_expect(
        m, outcome.document,
        "{'properties':{'a':'1','s':'2','t':'1'},'current-schema-id':3,'schemas':[{},{},{},"
        "{'fields':[{},{},{},{},{},{'id':9,'name':'t'},{'id':10,'name':'s','type':'long'}]"
        "}]}");
    /* Back: what the source was when it was merged is the base of both. */
    int32_t turned[] = {outcome.columns[1], outcome.columns[0]};
    pang_merge_table back = second;
    back.target = back.target_half = back.source_half = second.source;
    back.source.document = outcome.document;
    back.source.location = PANG_STR("s3://b/t/metadata/00010-t");
    back.one_half = true;
    back.columns = turned;
    back.n_columns = 2;
    outcome = run(m, &back);
    model_expect(m, outcome.document,
                 "{'properties':{'a':'1','s':'2','t':'1'},'schemas':[{},{},{},{'fields':[{},{},{},"
                 "{},{},{'id':11,'name':'t','type':'int'},{'id':9,'name':'s','type':'long'}]}]}");
    assert_int_equal(outcome.n_columns, 4);
}

/* What the target had of its own at the last merge is not the source's to overwrite unasked. */
static void test_merge_table__again_over_what_the_target_had_before(void **state)
{
    static const char *const own[] = {
        "[" SET("'a':'9'") "]",
        "[" SCHEMA(ID_FIELD "," FIELD("2", "renamed", "'string'") "," REST) "]",
    };
    static const char *const later[] = {
        "[" SET("'a':'2'") "]",
        "[" SCHEMA(ID_FIELD "," FIELD("2", "other", "'string'") "," REST) "]",
    };
    model *m = *state;
    for (size_t i = 0; i < 2; i++) {
        const merge_case c = {.version = 2, .source = "[" SET("'s':'1'") "]", .target = own[i]};
        pang_merge_table merge = merge_of(m, &c);
        pang_merge_outcome outcome = run(m, &merge);
        assert_int_equal(outcome.n_conflicts, 0);
        pang_merge_table second = next_merge(&merge, &outcome);
        second.source.document = merge_evolve(m, second.source.document, later[i]);
        second.source.location = PANG_STR("s3://b/t/metadata/00009-s");
        outcome = run(m, &second);
        assert_int_equal(outcome.n_conflicts, 1);
        assert_null(outcome.document);
    }
}

/* A cherry-pick of a property and a revert of it: the halves are what the commit had and left. */
static void test_merge_table__pick_and_revert(void **state)
{
    static const merge_case c = {.version = 2,
                                 .before = "[" SET("'p':'1'") "]",
                                 .source = "[" SET("'p':'2'") "]",
                                 .target = "[" SET("'q':'1'") "]"};
    pang_merge_table merge = merge_of(*state, &c);
    pang_merge_outcome picked = run(*state, &merge);
    model_expect(*state, picked.document, "{'properties':{'p':'2','q':'1'}}");
    pang_merge_table revert = merge;
    revert.source = merge.source_half;
    revert.source_half = merge.source;
    revert.target_half = merge.source;
    revert.target.document = picked.document;
    model_expect(*state, run(*state, &revert).document, "{'properties':{'p':'1','q':'1'}}");
}

static void test_merge_table__take_source(void **state)
{
    static const merge_case c = {.version = 2,
                                 .source = "[" SET("'a':'2'") "]",
                                 .target = "[" SET("'a':'3'") "," DATA("30", "0") "]"};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    pang_json *document;
    assert_int_equal(pang_merge_table_take_source(&merge, &document, &m->err), PANG_OK);
    model_expect(m, document, "{'properties':{'a':'2'},'last-sequence-number':3}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_merge_table__nothing_to_do),
        TEST(test_merge_table__documents_alone),
        TEST(test_merge_table__data),
        TEST(test_merge_table__data_and_main),
        TEST(test_merge_table__row_ids),
        TEST(test_merge_table__no_difference),
        TEST(test_merge_table__dropped_columns),
        TEST(test_merge_table__conflicts),
        TEST(test_merge_table__errors),
        TEST(test_merge_table__report),
        TEST(test_merge_table__again_and_back),
        TEST(test_merge_table__again_over_what_the_target_had_before),
        TEST(test_merge_table__pick_and_revert),
        TEST(test_merge_table__take_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
