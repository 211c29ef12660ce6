/*
 * server/model_merge*.c: what is no schema: specs and orders, properties, name mappings, refs,
 * keys, versions, the history of both sides; taking the source whole.
 */
#include "merge_fixture.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define C_SCHEMA PANG_CONFLICT_SCHEMA
#define C_METADATA PANG_CONFLICT_METADATA

#define PART(source, name, transform)                                                              \
    "{'source-id':" source ",'name':'" name "','transform':'" transform "'}"
#define SPEC(fields) "{'action':'add-spec','spec':{'fields':[" fields "]}}"
#define USE_SPEC(id) "{'action':'set-default-spec','spec-id':" id "}"
#define SORT(source, direction)                                                                    \
    "{'source-id':" source ",'transform':'identity','direction':'" direction                       \
    "','null-order':'nulls-first'}"
#define ORDER(fields)                                                                              \
    "{'action':'add-sort-order','sort-order':{'order-id':1,'fields':[" fields "]}}"
#define USE_ORDER(id) "{'action':'set-default-sort-order','sort-order-id':" id "}"
#define DAY SPEC(PART("3", "day", "day"))
#define BUCKET SPEC(PART("1", "b", "bucket[4]"))

static void test_model_merge_parts__specs_and_orders(void **state)
{
    static const merge_case cases[] = {
        {"the source's default", 2, NULL, "[" DAY "," USE_SPEC("-1") "]", "[" SET("'a':'2'") "]",
         "{'default-spec-id':1,'partition-specs':[{},{'fields':[{'name':'day','field-id':1000}]}]}",
         0, NULL, false},
        {"fields are numbered anew", 2, NULL, "[" DAY "," USE_SPEC("-1") "]", "[" BUCKET "]",
         "{'default-spec-id':2,'last-partition-id':1001,'partition-specs':[{},{'fields':[{'name':"
         "'b','field-id':1000}]},{'spec-id':2,'fields':[{'name':'day','field-id':1001}]}]}",
         0, NULL, false},
        {"one content", 2, NULL, "[" DAY "," BUCKET "," USE_SPEC("-1") "]", "[" BUCKET "]",
         "{'default-spec-id':1,'partition-specs':[{},{'fields':[{'name':'b','field-id':1000}]},{"
         "'fields':[{'name':'day','field-id':1001}]}]}",
         0, NULL, false},
        {"both to the same", 2, NULL, "[" DAY "," USE_SPEC("-1") "]",
         "[" BUCKET "," DAY "," USE_SPEC("-1") "]", NULL, 0, NULL, false},
        {"two defaults", 2, NULL, "[" DAY "," USE_SPEC("-1") "]", "[" BUCKET "," USE_SPEC("-1") "]",
         "property default-spec-id", C_METADATA, NULL, true},
        {"back to none against another", 2, "[" DAY "," USE_SPEC("-1") "]", "[" USE_SPEC("0") "]",
         "[" BUCKET "," USE_SPEC("-1") "]", "property default-spec-id", C_METADATA, NULL, true},
        {"by a column that got another id", 2, NULL,
         "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "," SPEC(PART(
             "9", "s_b",
             "bucket[2]")) "," USE_SPEC("-1") "," ORDER(SORT("9", "asc")) "," USE_ORDER("-1") "]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]",
         "{'partition-specs':[{},{'fields':[{'source-id':10}]}],'default-spec-id':1,"
         "'sort-orders':[{},{'order-id':1,'fields':[{'source-id':10}]}],'default-sort-order-id':1}",
         0, "9>10", false},
        {"by a column that the target dropped", 2, NULL, "[" DAY "," USE_SPEC("-1") "]",
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," POINT_FIELD "," TAGS_FIELD) "]",
         "would not be valid: Cannot find source column for partition field", C_SCHEMA, NULL, true},
        {"version 1, one side", 1, NULL, "[" BUCKET "," USE_SPEC("-1") "]", "[" SET("'a':'2'") "]",
         "{'default-spec-id':1,'partition-spec':[{'field-id':1000}]}", 0, NULL, false},
        {"version 1, both sides", 1, NULL, "[" BUCKET "]", "[" DAY "]", "partition spec",
         C_METADATA, NULL, true},
        {"orders", 2, NULL, "[" ORDER(SORT("1", "asc")) "," USE_ORDER("-1") "]",
         "[" ORDER(SORT("2", "asc")) "]",
         "{'default-sort-order-id':2,'sort-orders':[{},{'order-id':1},{'order-id':2,'fields':[{"
         "'source-id':1}]}]}",
         0, NULL, false},
        {"two default orders", 2, NULL, "[" ORDER(SORT("1", "asc")) "," USE_ORDER("-1") "]",
         "[" ORDER(SORT("1", "desc")) "," USE_ORDER("-1") "]", "property default-sort-order-id",
         C_METADATA, NULL, true},
    };
    merge_run(*state, cases, N(cases));
}

static bool maps(const pang_id_pair *pairs, size_t n, int32_t from, int32_t to)
{
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].from == from)
            return pairs[i].to == to;
    }
    return from == to;
}

static void test_model_merge_parts__maps_of_specs_and_orders(void **state)
{
    static const merge_case c = {
        .version = 2,
        .source = "[" DAY "," BUCKET
                  "," ORDER(SORT("2", "asc")) "," ORDER(SORT("1", "asc")) "," DATA("30", "0") "]",
        .target = "[" BUCKET "," ORDER(SORT("1", "asc")) "]",
    };
    pang_merge_table merge = merge_of(*state, &c);
    pang_model_merged merged = merge_model(*state, &merge);
    assert_int_equal(merged.n_conflicts, 0);
    assert_true(maps(merged.specs, merged.n_specs, 0, 0));
    assert_true(maps(merged.specs, merged.n_specs, 1, 2));
    assert_true(maps(merged.specs, merged.n_specs, 2, 1));
    assert_true(maps(merged.orders, merged.n_orders, 1, 2));
    assert_true(maps(merged.orders, merged.n_orders, 2, 1));
    model_expect(*state, merged.document,
                 "{'partition-specs':[{},{'fields':[{'name':'b'}]},{'fields':[{'name':'day'}]}]}");
}

#define MAPPED(list) SET("'schema.name-mapping.default':'" list "'")
#define ENTRY(id, names) "{\\\"field-id\\\":" id ",\\\"names\\\":[" names "]}"
#define NAMES(a) "\\\"" a "\\\""
#define TWO_NAMES(a, b) NAMES(a) "," NAMES(b)
#define BASE_MAPPING "[" MAPPED("[" ENTRY("1", NAMES("id")) "," ENTRY("2", NAMES("data")) "]") "]"

static void test_model_merge_parts__properties(void **state)
{
    static const merge_case cases[] = {
        {"set, changed, removed", 2, "[" SET("'b':'1','c':'1'") "]",
         "[" SET("'a':'2','n':'1'") "," UNSET("'b'") "]", "[" SET("'c':'2'") "]",
         "{'properties':{'a':'2','b':'<absent>','c':'2','n':'1'}}", 0, NULL, false},
        {"the same on both", 2, NULL, "[" SET("'a':'2'") "]", "[" SET("'a':'2'") "]", NULL, 0, NULL,
         false},
        {"both removed it", 2, NULL, "[" UNSET("'a'") "]", "[" UNSET("'a'") "]", NULL, 0, NULL,
         false},
        {"two values", 2, NULL, "[" SET("'a':'2'") "]", "[" SET("'a':'3'") "]",
         "property \"a\" was \"1\", is \"2\" in the source and \"3\" in the target", C_METADATA,
         NULL, true},
        {"changed and removed", 2, NULL, "[" SET("'a':'2'") "]", "[" UNSET("'a'") "]",
         "is \"2\" in the source and nothing in the target", C_METADATA, NULL, true},
        {"two new ones", 2, NULL, "[" SET("'n':'2'") "]", "[" SET("'n':'3'") "]",
         "property \"n\" was nothing", C_METADATA, NULL, true},
        {"moved", 2, NULL, "[{'action':'set-location','location':'s3://b/u'}]",
         "[" SET("'a':'3'") "]", "{'location':'s3://b/u','properties':{'a':'3'}}", 0, NULL, false},
        {"the target moved", 2, NULL, "[" SET("'a':'3'") "]",
         "[{'action':'set-location','location':'s3://b/u'}]",
         "{'location':'s3://b/u','properties':{'a':'3'}}", 0, NULL, false},
        {"moved twice", 2, NULL, "[{'action':'set-location','location':'s3://b/u'}]",
         "[{'action':'set-location','location':'s3://b/v'}]", "property location", C_METADATA, NULL,
         true},
        {"unknown members are the target's", 2, NULL, "[" SET("'b':'1'") "]",
         "[" SET("'c':'1'") "]",
         "{'unknown':{'kept':[1.50]},'properties':{'a':'1','b':'1','c':'1'}}", 0, NULL, false},
    };
    merge_run(*state, cases, N(cases));
}

static void test_model_merge_parts__name_mapping(void **state)
{
    static const merge_case cases[] = {
        {"an entry each", 2, BASE_MAPPING,
         "[" MAPPED("[" ENTRY("1", NAMES("id")) "," ENTRY("2", NAMES("data")) "," ENTRY(
             "3", NAMES("ts")) "]") "]",
         "[" MAPPED("[" ENTRY("1", NAMES("id")) "," ENTRY("2", NAMES("data")) "," ENTRY(
             "4", NAMES("point")) "]") "]",
         "{'properties':{'schema.name-mapping.default':'[" ENTRY("1", NAMES("id")) "," ENTRY(
             "2", NAMES("data")) "," ENTRY("4", NAMES("point")) "," ENTRY("3", NAMES("ts")) "]'}}",
         0, NULL, false},
        {"names of one entry", 2, BASE_MAPPING,
         "[" MAPPED("[" ENTRY("1", TWO_NAMES("id", "key")) "," ENTRY("2", NAMES("data")) "]") "]",
         "[" MAPPED("[" ENTRY("1", TWO_NAMES("id", "no")) "," ENTRY("2", NAMES("data")) "]") "]",
         "{'properties':{'schema.name-mapping.default':'[" ENTRY(
             "1", NAMES("id") "," TWO_NAMES("no", "key")) "," ENTRY("2", NAMES("data")) "]'}}",
         0, NULL, false},
        {"dropped, and left", 2, BASE_MAPPING, "[" MAPPED("[" ENTRY("1", NAMES("id")) "]") "]",
         "[" MAPPED("[" ENTRY("1", TWO_NAMES("id", "no")) "," ENTRY("2", NAMES("data")) "]") "]",
         "{'properties':{'schema.name-mapping.default':'[" ENTRY("1", TWO_NAMES("id", "no")) "]'}}",
         0, NULL, false},
        {"dropped, and changed", 2, BASE_MAPPING, "[" MAPPED("[" ENTRY("1", NAMES("id")) "]") "]",
         "[" MAPPED("[" ENTRY("1", NAMES("id")) "," ENTRY("2", TWO_NAMES("data", "d")) "]") "]",
         "schema.name-mapping.default", C_METADATA, NULL, true},
        {"one name of two columns", 2, BASE_MAPPING,
         "[" MAPPED("[" ENTRY("1", TWO_NAMES("id", "n")) "," ENTRY("2", NAMES("data")) "]") "]",
         "[" MAPPED("[" ENTRY("1", NAMES("id")) "," ENTRY("2", TWO_NAMES("data", "n")) "]") "]",
         "schema.name-mapping.default", C_METADATA, NULL, true},
        {"no mapping at all", 2, BASE_MAPPING, "[" MAPPED("x") "]", "[" MAPPED("y") "]",
         "schema.name-mapping.default", C_METADATA, NULL, true},
        {"of a column with another id", 2, BASE_MAPPING,
         "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "," MAPPED("[" ENTRY(
             "1", NAMES("id")) "," ENTRY("2", NAMES("data")) "," ENTRY("9", NAMES("s")) "]") "]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "," MAPPED("[" ENTRY(
             "1", NAMES("id")) "," ENTRY("2", NAMES("data")) "," ENTRY("9", NAMES("t")) "]") "]",
         "{'properties':{'schema.name-mapping.default':'[" ENTRY("1", NAMES("id")) "," ENTRY(
             "2", NAMES("data")) "," ENTRY("9", NAMES("t")) "," ENTRY("10", NAMES("s")) "]'}}",
         0, "9>10", false},
        {"of a column with another id, set by the source alone", 2, NULL,
         "[" SCHEMA(ALL
                    "," FIELD("9", "s", "'int'")) "," MAPPED("[" ENTRY("9", NAMES("s")) "]") "]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]",
         "{'properties':{'schema.name-mapping.default':'[" ENTRY("10", NAMES("s")) "]'}}", 0,
         "9>10", false},
    };
    merge_run(*state, cases, N(cases));
}

static void test_model_merge_parts__refs_and_keys(void **state)
{
#define KEY(id, text)                                                                              \
    "{'action':'add-encryption-key','encryption-key':{'key-id':'" id                               \
    "','encrypted-key-metadata':'" text "'}}"
    static const merge_case cases[] = {
        {"a new one", 2, NULL, "[" REF("r", "10") "]", "[" REF("q", "20") "]",
         "{'refs':{'r':{'snapshot-id':10},'q':{'snapshot-id':20},'old':{}}}", 0, NULL, false},
        {"moved", 2, "[" REF("r", "10") "]", "[" REF("r", "20") "]", NULL,
         "{'refs':{'r':{'snapshot-id':20}}}", 0, NULL, false},
        {"removed", 2, NULL, "[{'action':'remove-snapshot-ref','ref-name':'old'}]", NULL,
         "{'refs':{'old':'<absent>'}}", 0, NULL, false},
        {"moved twice", 2, "[" REF("r", "10") "]", "[" REF("r", "20") "]",
         "[" SNAPSHOT("30", "20", "3", "0", "append", "") "," REF("r", "30") "]",
         "the table's ref \"r\" was changed by the source", C_METADATA, NULL, true},
        {"removed and moved", 2, "[" REF("r", "10") "]",
         "[{'action':'remove-snapshot-ref','ref-name':'r'}]", "[" REF("r", "20") "]",
         "the table's ref \"r\"", C_METADATA, NULL, true},
        {"of a snapshot that the target lacks", 2, NULL,
         "[" SNAPSHOT("30", "20", "3", "0", "append", "") "," REF("r", "30") "]", NULL,
         "names a snapshot in the source that the target does not have", C_METADATA, NULL, false},
        {"how long main keeps", 2, NULL,
         "[{'action':'set-snapshot-ref','ref-name':'main','type':'branch','snapshot-id':20,"
         "'min-snapshots-to-keep':5}]",
         "[" DATA("30", "0") "]", "{'refs':{'main':{'snapshot-id':30,'min-snapshots-to-keep':5}}}",
         0, NULL, false},
        {"statistics stay the target's", 2, NULL,
         "[{'action':'remove-statistics','snapshot-id':10}," SET("'b':'1'") "]",
         "[{'action':'remove-partition-statistics','snapshot-id':10}]",
         "{'statistics':[{'snapshot-id':10},{'snapshot-id':20}],'partition-statistics':[]}", 0,
         NULL, false},
        {"keys of both", 3, NULL, "[" KEY("k1", "a") "]", "[" KEY("k2", "b") "]",
         "{'encryption-keys':[{'key-id':'k2'},{'key-id':'k1'}]}", 0, NULL, false},
        {"one id of two keys", 3, NULL, "[" KEY("k1", "a") "]", "[" KEY("k1", "b") "]",
         "encryption key \"k1\" is another one", C_METADATA, NULL, true},
        {"encrypted manifests", 3, "[" KEY("k1", "a") "]",
         "[" SNAPSHOT("30", "20", "3", "0", "append",
                      ",'first-row-id':100,'added-rows':5,'key-id':'k1'") "," MAIN("30") "]",
         "[" SNAPSHOT("40", "20", "3", "0", "append",
                      ",'first-row-id':100,'added-rows':5,'key-id':'k1'") "," MAIN("40") "]",
         "are encrypted", C_METADATA, NULL, true},
    };
    merge_run(*state, cases, N(cases));
}

static void test_model_merge_parts__versions(void **state)
{
#define UPGRADE(v) "{'action':'upgrade-format-version','format-version':" v "}"
    static const merge_case cases[] = {
        {"the higher one wins", 1, NULL, "[" UPGRADE("3") "]", "[" SET("'a':'2'") "]",
         "{'format-version':3,'next-row-id':0,'last-sequence-number':0,'schema':'<absent>'}", 0,
         NULL, false},
        {"the target's is higher", 2, NULL, "[" SET("'b':'2'") "]", "[" UPGRADE("3") "]",
         "{'format-version':3,'properties':{'b':'2'}}", 0, NULL, false},
        {"appends into it", 2, NULL, "[" DATA("30", "0") "]", "[" UPGRADE("3") "]", NULL, 0, NULL,
         false},
        {"other changes of data", 2, NULL,
         "[" SNAPSHOT("30", "20", "3", "0", "overwrite", "") "," MAIN("30") "]",
         "[" UPGRADE("3") "]", "property format-version is 2 in the source and 3 in the target",
         C_METADATA, NULL, false},
        {"a rollback and an upgrade", 2, NULL, "[" MAIN("10") "]", "[" UPGRADE("3") "]",
         "format-version", C_METADATA, NULL, false},
        {"a type of the higher one", 2, NULL,
         "[" UPGRADE("3") "," SCHEMA(ALL "," FIELD("9", "v", "'variant'")) "]",
         "[" SET("'a':'2'") "]",
         "{'format-version':3,'schemas':[{},{'fields':[{},{},{},{},{},{'type':'variant'}]}]}", 0,
         NULL, false},
    };
    merge_run(*state, cases, N(cases));
}

#define ROOT_SAYS(id, more)                                                                        \
    "{'action':'add-snapshot','snapshot':{'snapshot-id':" id ",'sequence-number':3,"               \
    "'timestamp-ms':1700000000000,'manifest-list':'s3://b/t/" id                                   \
    ".avro','summary':{'operation':'append'" more "},'schema-id':0}}"
#define ROOT(id) ROOT_SAYS(id, "")

static void test_model_merge_parts__histories(void **state)
{
    static const merge_case cases[] = {
        {"rolled back", 2, NULL, "[" MAIN("10") "]", "[" SET("'a':'2'") "]", NULL, 0, NULL, false},
        {"rolled back, and more", 2, NULL,
         "[" MAIN("10") "," SNAPSHOT("30", "10", "3", "0", "append", "") "," MAIN("30") "]",
         "[" SET("'a':'2'") "]", NULL, 0, NULL, false},
        {"expired in between", 2, NULL,
         "[" DATA("30", "0") "," SNAPSHOT("40", "30", "4", "0", "append", "") "," MAIN(
             "40") ",{'action':'remove-snapshots','snapshot-ids':[10,20,30]}]",
         "[" SET("'a':'2'") "]", "{'refs':{'old':'<absent>'}}", 0, NULL, false},
        {"replaced", 2, NULL, "[" ROOT("30") "," MAIN("30") "]", "[" SET("'a':'2'") "]",
         "was replaced in the source", C_METADATA, NULL, true},
        {"an empty table that took the base's rows by a merge", 2, NULL,
         "[" ROOT_SAYS("30", ",'pangolin.merge-commit':'c'") "," MAIN("30") "]",
         "[" SET("'a':'2'") "]", NULL, 0, NULL, false},
        {"replaced, and expired", 2, NULL,
         "[" ROOT("30") "," MAIN("30") ",{'action':'remove-snapshots','snapshot-ids':[10,20]}]",
         "[" SET("'a':'2'") "]", "was replaced in the source", C_METADATA, NULL, true},
        {"emptied", 2, NULL, "[{'action':'remove-snapshot-ref','ref-name':'main'}]",
         "[" SET("'a':'2'") "]", "was replaced in the source", C_METADATA, NULL, true},
        {"what expired may have been written with a new column", 2, NULL,
         "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "," DATA("30", "1") "," SNAPSHOT(
             "40", "30", "4", "0", "append",
             "") "," MAIN("40") ",{'action':'remove-snapshots','snapshot-ids':[30]}]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]", "data is written with it", C_SCHEMA,
         NULL, false},
    };
    merge_run(*state, cases, N(cases));
}

static const pang_json *with(model *m, const pang_json *document, const char *name,
                             const char *value)
{
    pang_json *copy = pang_json_copy(document, m->arena);
    assert_true(pang_json_set(copy, name, model_json(m, value)));
    return copy;
}

static void test_model_merge_parts__another_table(void **state)
{
    static const merge_case c = {.version = 2, .source = "[" SET("'a':'2'") "]"};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    pang_merge_state kept = merge.source;
    merge.source.document = with(m, kept.document, "table-uuid",
                                 "'aaaaaaaa-03fe-4693-9a96-a0705ddf69c1'");
    pang_model_merged merged = merge_model(m, &merge);
    assert_int_equal(
        merge_conflict(merged.conflicts, merged.n_conflicts, "the source has another table")->type,
        C_METADATA);
    merge.source = kept;
    merge.target.document = with(m, merge.target.document, "table-uuid",
                                 "'aaaaaaaa-03fe-4693-9a96-a0705ddf69c1'");
    merged = merge_model(m, &merge);
    merge_conflict(merged.conflicts, merged.n_conflicts, "the target has another table");
    merge.target_half = merge.target;
    merge.one_half = false;
    merged = merge_model(m, &merge);
    merge_conflict(merged.conflicts, merged.n_conflicts, "are different tables");
}

static void test_model_merge_parts__left_behind(void **state)
{
    static const merge_case c = {
        .version = 2,
        .source = "[" DATA("30", "0") "," SNAPSHOT("40", "20", "4", "0", "append", "") "]"};
    pang_merge_table merge = merge_of(*state, &c);
    pang_model_merged merged = merge_model(*state, &merge);
    assert_int_equal(merged.n_conflicts, 0);
    model_expect(*state, merged.left_behind, "[{'snapshot-id':40,'operation':'append'}]");
}

/* A map of an earlier merge: schemas go on by it, data has to wait. */
static void test_model_merge_parts__earlier_map(void **state)
{
    static const merge_case c = {
        .version = 2,
        .before = "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "]",
        .source = "[" SCHEMA(ALL "," FIELD("9", "r", "'long'") "," FIELD("10", "n", "'int'")) "]",
    };
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    int32_t map[] = {9, 10};
    merge.one_half = false;
    merge.columns = map;
    merge.n_columns = 2;
    merge.target_half.document = merge.target.document = merge_evolve(
        m, model_table(m, 2),
        "[" SCHEMA(ALL "," FIELD("9", "t", "'int'") "," FIELD("10", "s", "'int'")) "]");
    pang_model_merged merged = merge_model(m, &merge);
    assert_int_equal(merged.n_conflicts, 0);
    model_expect(m, merged.document,
                 "{'schemas':[{},{},{'fields':[{},{},{},{},{},{'id':9,'name':'t'},{'id':10,"
                 "'name':'r','type':'long'},{'id':11,'name':'n'}]}]}");
    assert_true(maps(merged.columns, merged.n_columns, 9, 10));
    assert_true(maps(merged.columns, merged.n_columns, 10, 11));
    merge.source.document = merge_evolve(m, merge.source.document, "[" DATA("30", "1") "]");
    merged = merge_model(m, &merge);
    merge_conflict(merged.conflicts, merged.n_conflicts, "once the source is rebased");
}

/* The target took a table whole that had given the same ids out: rows of before do not belong to
 * its columns, nor to what is in them. */
static void test_model_merge_parts__ids_of_another_table(void **state)
{
#define LIST(name, type)                                                                           \
    FIELD("9", name, "{'type':'list','element-id':10,'element':" type ",'element-required':false}")
    static const merge_case c = {.version = 2,
                                 .before = "[" SCHEMA(ALL "," LIST("s", "'int'")) "]",
                                 .source = "[" SET("'a':'1'") "]"};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    const pang_json *renamed = merge_evolve(m, merge.target.document,
                                            "[" SCHEMA(ALL "," LIST("r", "'long'")) "]");
    const pang_json *own = merge.source.document;
    const pang_json *alike = merge_evolve(m, model_table(m, 2),
                                          "[" SCHEMA(ALL "," LIST("s", "'long'")) "]");
    const pang_json *other = merge_evolve(m, model_table(m, 2),
                                          "[" SCHEMA(ALL "," LIST("t", "'int'")) "]");
    merge.target.document = other;
    pang_model_merged merged = merge_model(m, &merge);
    assert_int_equal(merged.n_conflicts, 0);
    assert_true(maps(merged.columns, merged.n_columns, 9, PANG_MERGE_NO_COLUMN(9)));
    assert_true(maps(merged.columns, merged.n_columns, 10, PANG_MERGE_NO_COLUMN(10)));
    merge.source.document = merge_evolve(m, own, "[" DATA("30", "1") "]");
    merged = merge_model(m, &merge);
    merge_conflict(merged.conflicts, merged.n_conflicts, "none of the target's");
    for (int i = 0; i < 2; i++) { /* a rename and a promotion, which are in its history or not */
        merge.target.document = i == 0 ? renamed : alike;
        merged = merge_model(m, &merge);
        assert_int_equal(merged.n_conflicts, 0);
        assert_int_equal(merged.n_columns, 0);
    }
    merge.source.document = other;
    merge.target.document = own;
    merged = merge_model(m, &merge);
    merge_conflict(merged.conflicts, merged.n_conflicts, "another one than before");
#undef LIST
}

/* A map that is none of these two: a conflict, and an end. */
static void test_model_merge_parts__two_columns_for_one(void **state)
{
    static const merge_case c = {
        .version = 2,
        .before = "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "]",
        .source = "[" SCHEMA(ALL "," FIELD("9", "s", "'int'") "," FIELD("10", "n", "'int'")) "]",
        .target = "[" SCHEMA(
            ALL "," FIELD("9", "s", "'int'") "," FIELD("10", "n", "'int'")) "," SET("'a':'1'") "]",
    };
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    int32_t map[] = {9, 10};
    merge.columns = map;
    merge.n_columns = 2;
    pang_model_merged merged = merge_model(m, &merge);
    merge_conflict(merged.conflicts, merged.n_conflicts, "two in the source");
}

/* Details hold the three values, and what the wire's types ask for. */
static void test_model_merge_parts__details(void **state)
{
    static const merge_case c = {
        .version = 2,
        .source = "[" SET("'a':'2'") "," SCHEMA("{'id':1,'name':'k','required':true,'type':'long'}"
                                                "," DATA_FIELD "," REST) "]",
        .target = "[" SET("'a':'3'") "," SCHEMA("{'id':1,'name':'j','required':true,'type':'long'}"
                                                "," DATA_FIELD "," REST) "]"};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    pang_model_merged merged = merge_model(m, &merge);
    pang_json *details;
    assert_int_equal(merged.n_conflicts, 2);
    pang_str text = merge_conflict(merged.conflicts, 2, "property \"a\"")->details;
    assert_int_equal(pang_json_parse(text, m->arena, &details, &m->err), PANG_OK);
    model_expect(
        m, details,
        "{'conflicting_properties':['a'],'properties':[{'name':'a','base':'1','source':'2',"
        "'target':'3'}]}");
    text = merge_conflict(merged.conflicts, 2, "column \"j\" (1)")->details;
    assert_int_equal(pang_json_parse(text, m->arena, &details, &m->err), PANG_OK);
    model_expect(
        m, details,
        "{'source_schema':{'type':'struct','schema-id':1,'fields':[{'name':'k'}]},"
        "'target_schema':{'fields':[{'name':'j'}]},'columns':[{'id':1,'base':{'name':'id'},"
        "'source':{'name':'k'},'target':{'name':'j'}}]}");
}

static void test_model_merge_parts__many_conflicts(void **state)
{
    model *m = *state;
    pang_merge_table merge = merge_of(m, &(merge_case){.version = 2});
    for (int side = 0; side < 2; side++) {
        pang_buf text = {.arena = m->arena};
        for (int i = 0; i < 70; i++)
            pang_buf_printf(&text, "%s'p%d':'%d'", i == 0 ? "" : ",", i, side);
        const char *pairs = pang_arena_cstr(m->arena, pang_buf_str(&text));
        pang_merge_state *at = side == 0 ? &merge.source : &merge.target;
        at->document = merge_evolve(
            m, at->document,
            pang_arena_printf(m->arena, "[{'action':'set-properties','updates':{%s}}]", pairs).ptr);
    }
    pang_model_merged merged = merge_model(m, &merge);
    assert_int_equal(merged.n_conflicts, PANG_CONFLICTS_MAX);
    merge_conflict(merged.conflicts, merged.n_conflicts, "(and 6 more)");
}

static void test_model_merge_parts__take_source(void **state)
{
    static const merge_case c = {
        .version = 2,
        .source = "[" SET("'a':'2'") "," DATA("30", "0") "]",
        .target = "[" UPGRADE("3") "," SCHEMA(
            ALL "," FIELD("9", "t", "'int'")) "," DAY ",{'action':'add-snapshot','snapshot':{'"
                                              "snapshot-id':40,'parent-snapshot-id':20,"
                                              "'sequence-number':7,'timestamp-ms':1700000000000,'"
                                              "manifest-list':'s3://b/t/40',"
                                              "'summary':{'operation':'append'},'schema-id':1,'"
                                              "first-row-id':0,'added-rows':9}}," MAIN("40") "]"};
    model *m = *state;
    pang_merge_table merge = merge_of(m, &c);
    pang_json *taken;
    if (pang_model_take_source(&merge, &taken, &m->err) != PANG_OK)
        fail_msg("%s", m->err.message);
    assert_int_equal(pang_model_check(taken, m->arena, &m->err), PANG_OK);
    model_expect(m, taken,
                 "{'format-version':3,'last-sequence-number':7,'next-row-id':9,'last-column-id':9,"
                 "'last-partition-id':1000,'properties':{'a':'2'},'current-snapshot-id':30,"
                 "'snapshots':[{},{},{'snapshot-id':30}],'schemas':[{}],'partition-specs':[{}],"
                 "'unknown':{'kept':[1.50]},"
                 "'metadata-log':[{},{'metadata-file':'" MODEL_FILE "'},"
                 "{'metadata-file':'s3://b/t/metadata/00008-t'}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_merge_parts__specs_and_orders),
        MODEL_TEST(test_model_merge_parts__maps_of_specs_and_orders),
        MODEL_TEST(test_model_merge_parts__properties),
        MODEL_TEST(test_model_merge_parts__name_mapping),
        MODEL_TEST(test_model_merge_parts__refs_and_keys),
        MODEL_TEST(test_model_merge_parts__versions),
        MODEL_TEST(test_model_merge_parts__histories),
        MODEL_TEST(test_model_merge_parts__another_table),
        MODEL_TEST(test_model_merge_parts__left_behind),
        MODEL_TEST(test_model_merge_parts__earlier_map),
        MODEL_TEST(test_model_merge_parts__ids_of_another_table),
        MODEL_TEST(test_model_merge_parts__two_columns_for_one),
        MODEL_TEST(test_model_merge_parts__details),
        MODEL_TEST(test_model_merge_parts__many_conflicts),
        MODEL_TEST(test_model_merge_parts__take_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
