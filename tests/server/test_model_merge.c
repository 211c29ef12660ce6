/*
 * server/model_merge*.c: schemas. Each case is what two sides did to one table since.
 */
#include "merge_fixture.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))
#define C_SCHEMA PANG_CONFLICT_SCHEMA

/* The merged schema is the second of the table's, or the third behind one of the target's. */
#define CURRENT(id, fields) "{'current-schema-id':" id ",'schemas':" fields "}"
#define TWO(fields) CURRENT("1", "[{},{'fields':[" fields "]}]")
#define THREE(fields) CURRENT("2", "[{},{},{'fields':[" fields "]}]")

static void test_model_merge__columns_of_one_side(void **state)
{
    static const merge_case cases[] = {
        {"nothing", 2, NULL, NULL, NULL, NULL, 0, NULL, false},
        {"only the target", 2, NULL, NULL, "[" SCHEMA(ALL "," FIELD("9", "n", "'int'")) "]", NULL,
         0, NULL, false},
        {"a column is added", 2, NULL, "[" SCHEMA(ALL "," FIELD("9", "n", "'int'")) "]", NULL,
         TWO("{'id':1},{'id':2},{'id':3},{'id':4},{'id':7},{'id':9,'name':'n','required':false,"
             "'type':'int'}"),
         0, NULL, false},
        {"renamed, promoted, made optional, documented, dropped", 2, NULL,
         "[" SCHEMA(FIELD("1", "key", "'long'") ",{'id':2,'name':'data','required':false,"
                                                "'type':'string','doc':'d'}," POINT_OF(FIELD(
                                                    "5", "x", "'double'")) "," TAGS_FIELD) "]",
         NULL,
         TWO("{'id':1,'name':'key','required':false},{'id':2,'doc':'d'},{'id':4,'type':{'fields':["
             "{'id':5,'required':false}]}},{'id':7}"),
         0, NULL, false},
        {"moved", 2, NULL, "[" SCHEMA(DATA_FIELD "," ID_FIELD "," REST) "]", "[" SET("'a':'2'") "]",
         TWO("{'id':2},{'id':1},{'id':3},{'id':4},{'id':7}"), 0, NULL, false},
        {"unknown members of a new column stay", 2, NULL,
         "[" SCHEMA(ALL ",{'id':9,'name':'n','required':false,'type':'int','more':[1.50]}") "]",
         NULL, TWO("{},{},{},{},{},{'id':9,'more':[1.50]}"), 0, NULL, false},
        {"a struct, a map", 2, NULL,
         "[" SCHEMA(ALL "," FIELD(
             "9", "s",
             "{'type':'struct','fields':[" FIELD(
                 "10", "a", "'int'") "]}") "," FIELD("11", "m",
                                                     "{'type':'map','key-id':12,'key':'string',"
                                                     "'value-id':13,'value':'long',"
                                                     "'value-required':true}")) "]",
         NULL,
         TWO("{},{},{},{},{},{'id':9,'type':{'fields':[{'id':10}]}},{'id':11,'type':{'key-id':12,"
             "'key':'string','value-id':13,'value':'long','value-required':true}}"),
         0, NULL, false},
        {"back to an older schema", 2, "[" SCHEMA(ALL "," FIELD("9", "n", "'int'")) "]",
         "[{'action':'set-current-schema','schema-id':0}]", "[" SET("'a':'2'") "]",
         "{'current-schema-id':0,'schemas':[{},{}]}", 0, NULL, false},
    };
    merge_run(*state, cases, N(cases));
}

static void test_model_merge__columns_of_both_sides(void **state)
{
    static const merge_case cases[] = {
        {"the same", 2, NULL, "[" SCHEMA(ID_FIELD "," REST) "]", "[" SCHEMA(ID_FIELD "," REST) "]",
         NULL, 0, NULL, false},
        {"other columns", 2, NULL,
         "[" SCHEMA(ID_FIELD ",{'id':2,'name':'text','required':false,'type':'string'}," REST) "]",
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," TS_FIELD "," POINT_FIELD) "]",
         THREE("{'id':1},{'id':2,'name':'text'},{'id':3},{'id':4}"), 0, NULL, false},
        {"other members of one column", 2, NULL,
         "[" SCHEMA(ID_FIELD ",{'id':2,'name':'text','required':false,'type':'string'}," REST) "]",
         "[" SCHEMA(ID_FIELD
                    ",{'id':2,'name':'data','required':false,'type':'string','doc':'d'}," REST) "]",
         THREE("{},{'id':2,'name':'text','doc':'d'},{},{},{}"), 0, NULL, false},
        {"one column each, one id", 2, NULL, "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]",
         THREE("{},{},{},{},{},{'id':9,'name':'t'},{'id':10,'name':'s'}"), 0, "9>10", false},
        {"a struct and a column, one id", 2, NULL,
         "[" SCHEMA(ALL "," FIELD(
             "9", "s", "{'type':'struct','fields':[" FIELD("10", "a", "'int'") "]}")) "]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]",
         THREE("{},{},{},{},{},{'id':9,'name':'t'},{'id':11,'name':'s','type':{'fields':[{'id':10}]"
               "}}"),
         0, "9>11", false},
        {"woven where they stand", 2, NULL,
         "[" SCHEMA(ID_FIELD "," FIELD("10", "s", "'int'") "," DATA_FIELD "," REST) "]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]",
         THREE("{'id':1},{'name':'s'},{'id':2},{'id':3},{'id':4},{'id':7},{'name':'t'}"), 0, NULL,
         false},
        {"the source moved, the target added", 2, NULL,
         "[" SCHEMA(DATA_FIELD "," ID_FIELD "," REST) "]",
         "[" SCHEMA(ALL "," FIELD("9", "t", "'int'")) "]",
         THREE("{'id':2},{'id':1},{'id':3},{'id':4},{'id':7},{'id':9}"), 0, NULL, false},
        {"inside of one struct", 2, NULL,
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," TS_FIELD "," POINT_OF(
             X_FIELD "," Y_FIELD "," FIELD("9", "z", "'double'")) "," TAGS_FIELD) "]",
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," TS_FIELD "," POINT_OF(X_FIELD) "," TAGS_FIELD) "]",
         THREE("{},{},{},{'type':{'fields':[{'id':5},{'id':9}]}},{}"), 0, NULL, false},
        {"both dropped it, one more dropped", 2, NULL,
         "[" SCHEMA(ID_FIELD "," POINT_FIELD "," TAGS_FIELD) "]", "[" SCHEMA(ID_FIELD "," REST) "]",
         THREE("{'id':1},{'id':4},{'id':7}"), 0, NULL, false},
        {"dropped, and documented on the other side", 2, NULL, "[" SCHEMA(ID_FIELD "," REST) "]",
         "[" SCHEMA(ID_FIELD
                    ",{'id':2,'name':'data','required':false,'type':'string','doc':'d'}," REST) "]",
         THREE("{'id':1},{'id':3},{'id':4},{'id':7}"), 0, NULL, false},
        {"a dropped name is given again", 2, NULL,
         "[" SCHEMA(ID_FIELD "," REST "," FIELD("9", "data", "'int'")) "]", "[" SET("'a':'2'") "]",
         TWO("{'id':1},{'id':3},{'id':4},{'id':7},{'id':9,'name':'data'}"), 0, NULL, false},
        {"the same promotion", 2, "[" SCHEMA(ALL "," FIELD("9", "n", "'int'")) "]",
         "[" SCHEMA(ALL "," FIELD("9", "n", "'long'")) "," SET("'b':'1'") "]",
         "[" SCHEMA(ALL "," FIELD("9", "n", "'long'")) "]",
         "{'properties':{'b':'1'},'schemas':[{},{},{}]}", 0, NULL, false},
    };
    merge_run(*state, cases, N(cases));
}

#define RENAMED(name) ID_FIELD ",{'id':2,'name':'" name "','required':false,'type':'string'}," REST
#define RETYPED(type) ID_FIELD ",{'id':2,'name':'data','required':false,'type':'" type "'}," REST
#define N_OF(type) ALL "," FIELD("9", "n", type)

static void test_model_merge__column_conflicts(void **state)
{
    static const merge_case cases[] = {
        {"two names", 2, NULL, "[" SCHEMA(RENAMED("a")) "]", "[" SCHEMA(RENAMED("b")) "]",
         "column \"b\" (2) has another name or type", C_SCHEMA, NULL, true},
        {"a name against a type", 2, "[" SCHEMA(N_OF("'int'")) "]",
         "[" SCHEMA(ALL "," FIELD("9", "m", "'int'")) "]", "[" SCHEMA(N_OF("'long'")) "]",
         "column \"n\" (9) has another name or type", C_SCHEMA, NULL, true},
        {"a name against a drop", 2, NULL, "[" SCHEMA(RENAMED("a")) "]",
         "[" SCHEMA(ID_FIELD "," REST) "]", "was dropped in the target and changed in the source",
         C_SCHEMA, NULL, true},
        {"a type against a drop", 2, "[" SCHEMA(N_OF("'int'")) "]", "[" SCHEMA(N_OF("'long'")) "]",
         "[" SCHEMA(ALL) "]", "was dropped in the target and changed in the source", C_SCHEMA, NULL,
         true},
        {"a field in a dropped struct", 2, NULL,
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," TS_FIELD "," POINT_OF(
             X_FIELD "," Y_FIELD "," FIELD("9", "z", "'double'")) "," TAGS_FIELD) "]",
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," TS_FIELD "," TAGS_FIELD) "]",
         "column \"point.z\" (9) was added in a column that the target dropped", C_SCHEMA, NULL,
         true},
        {"one name of two columns", 2, NULL, "[" SCHEMA(RENAMED("n")) "]",
         "[" SCHEMA(ALL "," FIELD("9", "n", "'int'")) "]",
         "has the name of another column in the merged schema", C_SCHEMA, NULL, true},
        {"two renamed to one name", 2, NULL, "[" SCHEMA(RENAMED("n")) "]",
         "[" SCHEMA(ID_FIELD
                    "," DATA_FIELD
                    ",{'id':3,'name':'n','required':false,'type':'timestamptz'}," POINT_FIELD
                    "," TAGS_FIELD) "]",
         "has the name of another column", C_SCHEMA, NULL, true},
        {"two docs", 2, NULL,
         "[" SCHEMA(ID_FIELD
                    ",{'id':2,'name':'data','required':false,'type':'string','doc':'a'}," REST) "]",
         "[" SCHEMA(ID_FIELD
                    ",{'id':2,'name':'data','required':false,'type':'string','doc':'b'}," REST) "]",
         "column \"data\" (2) has another doc", C_SCHEMA, NULL, true},
        {"two orders", 2, NULL, "[" SCHEMA(DATA_FIELD "," ID_FIELD "," REST) "]",
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," POINT_FIELD "," TS_FIELD "," TAGS_FIELD) "]",
         "were put in another order on both sides", C_SCHEMA, NULL, true},
        {"another kind of type", 2, NULL, "[" SCHEMA(RETYPED("int")) "]", "[" DATA("30", "0") "]",
         "has a type in the source that the target's data cannot have", C_SCHEMA, NULL, true},
        {"required over rows of the target", 2, NULL,
         "[" SCHEMA(ID_FIELD ",{'id':2,'name':'data','required':true,'type':'string'}," REST) "]",
         "[" DATA("30", "0") "]", "is required in the source now", C_SCHEMA, NULL, true},
        {"a required column over rows of the target", 2, NULL,
         "[" SCHEMA(ALL ",{'id':9,'name':'n','required':true,'type':'int'}") "]",
         "[" DATA("30", "0") "]", "was added as required", C_SCHEMA, NULL, true},
        {"elements of two types", 2, NULL,
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," TS_FIELD "," POINT_FIELD
                             "," TAGS_OF("'binary'")) "]",
         "[" SCHEMA(ID_FIELD "," DATA_FIELD "," TS_FIELD "," POINT_FIELD "," TAGS_OF("'int'")) "]",
         "column \"tags.element\" (8) has another name or type", C_SCHEMA, NULL, true},
        {"identifier fields", 2, NULL,
         "[" SCHEMA_AND("{'id':1,'name':'id','required':true,'type':'long'},"
                        "{'id':2,'name':'data','required':true,'type':'string'}," REST,
                        ",'identifier-field-ids':[1]") "]",
         "[" SCHEMA_AND("{'id':1,'name':'id','required':true,'type':'long'},"
                        "{'id':2,'name':'data','required':true,'type':'string'}," REST,
                        ",'identifier-field-ids':[1,2]") "]",
         "property identifier-field-ids is [1] in the source and [1,2] in the target", C_SCHEMA,
         NULL, true},
        {"an identifier field that the other side made optional", 2, NULL,
         "[" SCHEMA_AND(ALL, ",'identifier-field-ids':[1]") "]",
         "[" SCHEMA(FIELD("1", "id", "'long'") "," DATA_FIELD "," REST) "]",
         "the merged table would not be valid: Cannot add field id as an identifier field",
         C_SCHEMA, NULL, true},
    };
    merge_run(*state, cases, N(cases));
}

static void test_model_merge__required(void **state)
{
    static const merge_case cases[] = {
        {"no rows of the target are new", 2, NULL,
         "[" SCHEMA(ID_FIELD ",{'id':2,'name':'data','required':true,'type':'string'}," REST) "]",
         "[" SET("'a':'2'") "]", TWO("{},{'id':2,'required':true},{},{},{}"), 0, NULL, false},
        {"both demand it", 2, NULL,
         "[" SCHEMA(ID_FIELD ",{'id':2,'name':'data','required':true,'type':'string'}," REST) "]",
         "[" SCHEMA(
             ID_FIELD
             ",{'id':2,'name':'data','required':true,'type':'string'}," REST) "," DATA("30",
                                                                                       "1") "]",
         NULL, 0, NULL, false},
        {"optional again", 2, NULL,
         "[" SCHEMA(FIELD("1", "id", "'long'") "," DATA_FIELD "," REST) "]",
         "[" DATA("30", "0") "]", TWO("{'id':1,'required':false},{},{},{},{}"), 0, NULL, false},
        {"with a default from the start", 3, NULL,
         "[" SCHEMA(ALL ",{'id':9,'name':'n','required':true,'type':'int','initial-default':1,"
                        "'write-default':1}") "]",
         "[" DATA3("30", "0") "]", TWO("{},{},{},{},{},{'id':9,'initial-default':1}"), 0, NULL,
         false},
        {"identifier fields of the source", 2, NULL,
         "[" SCHEMA_AND(ALL, ",'identifier-field-ids':[1]") "]", "[" SET("'a':'2'") "]",
         CURRENT("1", "[{},{'identifier-field-ids':[1]}]"), 0, NULL, false},
    };
    merge_run(*state, cases, N(cases));
}

#define ADD_N(id) "[" SCHEMA(ALL "," FIELD(id, "n", "'int'"))
#define ADD_OTHERS "[" SCHEMA(ALL "," FIELD("9", "o", "'int'") "," FIELD("10", "n", "'int'"))

static void test_model_merge__one_name_or_id_added_twice(void **state)
{
    static const merge_case cases[] = {
        {"one name, one id, no data", 2, NULL, ADD_N("9") "]", ADD_N("9") "]", NULL, 0, NULL,
         false},
        {"one name, two ids, no data", 2, NULL, ADD_N("9") "]", ADD_OTHERS "]", NULL, 0, "9>10",
         false},
        {"a name each, and one of both", 2, NULL, ADD_OTHERS "]", ADD_N("9") "]",
         THREE("{},{},{},{},{},{'id':11,'name':'o'},{'id':9,'name':'n'}"), 0, "9>11 10>9", false},
        {"data of the source", 2, NULL, ADD_N("9") "," DATA("30", "1") "]", ADD_N("9") "]",
         "column \"n\" (9) of the source was added in the target too, and data is written with it",
         C_SCHEMA, NULL, true},
        {"data of an older schema", 2, NULL, "[" DATA("30", "0") "," SCHEMA(N_OF("'int'")) "]",
         ADD_N("9") "]", NULL, 0, NULL, false},
        {"other types", 2, NULL, ADD_N("9") "]", "[" SCHEMA(N_OF("'string'")) "]",
         "column \"n\" (9) has another name or type", C_SCHEMA, NULL, true},
        {"one required", 2, NULL, ADD_N("9") "]",
         "[" SCHEMA(ALL ",{'id':9,'name':'n','required':true,'type':'int'}") "]",
         "is required on one side", C_SCHEMA, NULL, true},
        {"one id, data of the source", 2, NULL,
         "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "," DATA("30", "1") "]", ADD_N("9") "]",
         "has the id of another column in the target, and data is written with it", C_SCHEMA, NULL,
         false},
        {"one id, data of the target", 2, NULL, "[" SCHEMA(ALL "," FIELD("9", "s", "'int'")) "]",
         ADD_N("9") "," DATA("30", "1") "]",
         THREE("{},{},{},{},{},{'id':9,'name':'n'},{'id':10,'name':'s'}"), 0, "9>10", false},
        {"one id, data of an older schema", 2, NULL,
         "[" DATA("30", "0") "," SCHEMA(ALL "," FIELD("9", "s", "'int'")) "]", ADD_N("9") "]",
         THREE("{},{},{},{},{},{'id':9},{'id':10}"), 0, "9>10", false},
        {"the target dropped its own again", 2, NULL, ADD_N("9") "]",
         ADD_N("9") "," SCHEMA(ALL) "]",
         CURRENT("2", "[{},{},{'fields':[{},{},{},{},{},{'id':10}]}]"), 0, "9>10", false},
        {"the source dropped what it wrote", 2, NULL,
         ADD_N("9") "," DATA("30", "1") ",{'action':'set-current-schema','schema-id':0}]",
         ADD_N("9") "]", "that the source added and dropped", C_SCHEMA, NULL, false},
        {"structs of one name", 2, NULL,
         "[" SCHEMA(ALL "," FIELD("9", "s",
                                  "{'type':'struct','fields':[" FIELD("10", "a", "'int'") "," FIELD(
                                      "11", "b", "'int'") "]}")) "]",
         "[" SCHEMA(ALL "," FIELD("9", "o", "'int'") "," FIELD(
             "10", "s", "{'type':'struct','fields':[" FIELD("11", "b", "'int'") "]}")) "]",
         THREE("{},{},{},{},{},{'id':9},{'id':10,'type':{'fields':[{'id':12,'name':'a'},"
               "{'id':11,'name':'b'}]}}"),
         0, "9>10 10>12", false},
    };
    merge_run(*state, cases, N(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_merge__columns_of_one_side),
        MODEL_TEST(test_model_merge__columns_of_both_sides),
        MODEL_TEST(test_model_merge__column_conflicts),
        MODEL_TEST(test_model_merge__required),
        MODEL_TEST(test_model_merge__one_name_or_id_added_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
