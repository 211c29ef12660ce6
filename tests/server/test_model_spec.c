/*
 * server/model_spec.c, model_sort.c and their updates: partition specs and sort orders.
 */
#include "model_fixture.h"

#define OK PANG_OK
#define BAD PANG_INVALID_ARGUMENT
#define N(a) (sizeof(a) / sizeof((a)[0]))

#define FIELD(source, name, transform, more)                                                       \
    "{'source-id':" source ",'name':'" name "','transform':'" transform "'" more "}"
#define ADD(fields) "{'action':'add-spec','spec':{'spec-id':7,'fields':[" fields "]}}"
#define DEFAULT(id) "{'action':'set-default-spec','spec-id':" id "}"
#define SORT(source, transform, direction, nulls)                                                  \
    "{'source-id':" source ",'transform':'" transform "','direction':'" direction                  \
    "','null-order':'" nulls "'}"
#define ADD_ORDER(id, fields)                                                                      \
    "{'action':'add-sort-order','sort-order':{'order-id':" id ",'fields':[" fields "]}}"
#define DEFAULT_ORDER(id) "{'action':'set-default-sort-order','sort-order-id':" id "}"

static void test_model_spec__add(void **state)
{
    static const model_case cases[] = {
        {"ids are assigned", 2,
         "[" ADD(FIELD("1", "id_bucket", "bucket[16]", "") "," FIELD("3", "ts_day", "day",
                                                                     "")) "," DEFAULT("-1") "]",
         OK,
         "{'partition-specs':[{'spec-id':0},{'spec-id':1,'fields':[{'field-id':1000,"
         "'name':'id_bucket'},{'field-id':1001}]}],'default-spec-id':1,'last-partition-id':1001}",
         NULL},
        {"given ids are kept", 2, "[" ADD(FIELD("1", "b", "bucket[16]", ",'field-id':1005")) "]",
         OK,
         "{'partition-specs':[{},{'fields':[{'field-id':1005}]}],'last-partition-id':1005,"
         "'default-spec-id':0}",
         NULL},
        {"a field of an older spec has its id again", 2,
         "[" ADD(FIELD("1", "b", "bucket[16]", "")) "," ADD(FIELD("3", "d", "day", "")) "," ADD(
             FIELD("3", "dd", "day", "") "," FIELD("1", "c", "bucket[16]",
                                                   "") "," FIELD("2", "data", "identity", "")) "]",
         OK,
         "{'partition-specs':[{},{},{},{'spec-id':3,'fields':[{'field-id':1001},{'field-id':1000},"
         "{'field-id':1002}]}],'last-partition-id':1002}",
         NULL},
        {"an equal one is found again, ids apart", 2,
         "[" ADD(FIELD("1", "b", "bucket[16]", ",'field-id':1005")) "," ADD(
             FIELD("3", "d", "day", "")) "," ADD(FIELD("1", "b", "bucket[16]",
                                                       ",'field-id':1009")) "," DEFAULT("-1") "]",
         OK, "{'partition-specs':[{},{'spec-id':1},{'spec-id':2}],'default-spec-id':1}", NULL},
        {"the empty one is there", 2, "[" ADD("") "," DEFAULT("-1") "]", OK, NULL, NULL},
        {"another name makes another spec", 2,
         "[" ADD(FIELD("1", "b", "bucket[16]", "")) "," ADD(FIELD("1", "c", "bucket[16]", "")) "]",
         OK, "{'partition-specs':[{},{},{'fields':[{'field-id':1000,'name':'c'}]}]}", NULL},
        {"unknown members stay, nulls go", 2,
         "[" ADD(FIELD("1", "b", "bucket[16]", ",'field-id':null,'x':1")) "]", OK,
         "{'partition-specs':[{},{'fields':[{'x':1,'field-id':1000}]}]}", NULL},
        {"several sources", 3,
         "[{'action':'add-spec','spec':{'fields':[{'source-ids':[1,2],"
         "'name':'z','transform':'zorder'}]}}]",
         OK, "{'partition-specs':[{},{'fields':[{'source-ids':[1,2]}]}]}", NULL},
        {"one of several sources is unknown", 3,
         "[{'action':'add-spec','spec':{'fields':["
         "{'source-ids':[1,99],'name':'z','transform':'zorder'}]}}]",
         BAD, "(99)", NULL},
        {"some with ids", 2,
         "[" ADD(
             FIELD("1", "b", "bucket[16]", ",'field-id':1005") "," FIELD("3", "d", "day", "")) "]",
         BAD, "some have none", NULL},
        {"an id twice", 2,
         "[" ADD(FIELD("1", "b", "bucket[16]",
                       ",'field-id':1005") "," FIELD("3", "d", "day", ",'field-id':1005")) "]",
         BAD, "more than once: 1005", NULL},
        {"version 1 counts from 1000", 1,
         "[" ADD(FIELD("1", "b", "bucket[16]", ",'field-id':1001")) "]", BAD, "sequential",
         "ValidationException"},
        {"version 1", 1, "[" ADD(FIELD("1", "b", "bucket[16]", "")) "," DEFAULT("-1") "]", OK,
         "{'partition-spec':[{'field-id':1000}],'partition-specs':[{},{}],'schema':{'schema-id':0}"
         "}",
         NULL},
        {"after a new schema", 2,
         "[{'action':'add-schema','schema':{'type':'struct','fields':[{'id':9,'name':'new','"
         "required':"
         "false,'type':'int'}]}},{'action':'set-current-schema','schema-id':-1}," ADD(
             FIELD("9", "n", "truncate[10]", "")) "," DEFAULT("-1") "]",
         OK, "{'default-spec-id':1,'current-schema-id':1}", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_spec__refused(void **state)
{
    static const model_case cases[] = {
        {"no source", 2, "[" ADD(FIELD("99", "p", "identity", "")) "]", BAD,
         "Cannot find source column for partition field: -1: p: identity(99)",
         "ValidationException"},
        {"void needs none", 2, "[" ADD(FIELD("99", "p", "void", "")) "]", OK,
         "{'partition-specs':[{},{}]}", NULL},
        {"a struct", 2, "[" ADD(FIELD("4", "p", "identity", "")) "]", BAD,
         "Cannot partition by non-primitive source field: struct", NULL},
        {"in a struct", 2, "[" ADD(FIELD("5", "p", "identity", "")) "]", OK,
         "{'partition-specs':[{},{}]}", NULL},
        {"in a list", 2, "[" ADD(FIELD("8", "p", "identity", "")) "]", BAD,
         "Invalid partition field parent", NULL},
        {"day of a string", 2, "[" ADD(FIELD("2", "p", "day", "")) "]", BAD,
         "Invalid source type string for transform: day", NULL},
        {"hour of a long", 2, "[" ADD(FIELD("1", "p", "hour", "")) "]", BAD, "transform: hour",
         NULL},
        {"bucket of a double", 2, "[" ADD(FIELD("5", "p", "bucket[2]", "")) "]", BAD, "bucket[2]",
         NULL},
        {"truncate of a timestamp", 2, "[" ADD(FIELD("3", "p", "truncate[2]", "")) "]", BAD,
         "truncate[2]", NULL},
        {"bucket without width", 2, "[" ADD(FIELD("1", "p", "bucket[0]", "")) "]", BAD, "bucket[0]",
         NULL},
        {"a transform of the future", 2, "[" ADD(FIELD("4", "p", "hilbert[3,4]", "")) "]", BAD,
         "non-primitive", NULL},
        {"a transform of the future on a column", 2,
         "[" ADD(FIELD("1", "p", "hilbert[3,4]", "")) "]", OK,
         "{'partition-specs':[{},{'fields':[{'transform':'hilbert[3,4]'}]}]}", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_spec__refused_by_name_and_id(void **state)
{
    static const model_case cases[] = {
        {"no name", 2, "[" ADD(FIELD("1", "", "identity", "")) "]", BAD,
         "Cannot use empty partition name", "IllegalArgumentException"},
        {"a name twice", 2,
         "[" ADD(FIELD("1", "p", "identity", "") "," FIELD("2", "p", "identity", "")) "]", BAD,
         "Cannot use partition name more than once: p", NULL},
        {"a column's name", 2, "[" ADD(FIELD("1", "data", "bucket[2]", "")) "]", BAD,
         "Cannot create partition from name that exists in schema: data", NULL},
        {"its own column's name", 2, "[" ADD(FIELD("2", "data", "identity", "")) "]", OK,
         "{'partition-specs':[{},{}]}", NULL},
        {"no source-id", 2,
         "[{'action':'add-spec','spec':{'fields':[{'name':'p','transform':'void'}]"
         "}}]",
         BAD, "updates[0].spec.fields[0].source-id: is missing", NULL},
        {"no transform", 2,
         "[{'action':'add-spec','spec':{'fields':[{'name':'p','source-id':1}]}}]", BAD,
         "updates[0].spec.fields[0].transform: is missing", NULL},
        {"no fields", 2, "[{'action':'add-spec','spec':{}}]", BAD,
         "updates[0].spec.fields: is missing", NULL},
        {"an unknown default", 2, "[" DEFAULT("9") "]", BAD, "unknown spec: 9", NULL},
        {"no last one", 2, "[" DEFAULT("-1") "]", BAD,
         "Cannot set last added spec: no spec has been added", "ValidationException"},
        {"remove the default", 2, "[{'action':'remove-partition-specs','spec-ids':[0]}]", BAD,
         "Cannot remove the default partition spec", "IllegalArgumentException"},
        {"remove another", 2,
         "[" ADD(FIELD("1", "b", "bucket[16]",
                       "")) ",{'action':'remove-partition-specs','spec-ids':[1,5]}]",
         OK, "{'partition-specs':[{'spec-id':0}],'last-partition-id':1000}", NULL},
        {"remove what is not there", 2, "[{'action':'remove-partition-specs','spec-ids':[5]}]", OK,
         NULL, NULL},
        {"the default spec's column is dropped", 2,
         "[" ADD(FIELD("2", "data", "identity", ",'field-id':1000")) "," DEFAULT(
             "-1") ",{'action':'add-schema','schema':{'type':'struct','fields':[{'id':1,'name':'id'"
                   ",'required':"
                   "true,'type':'long'}]}},{'action':'set-current-schema','schema-id':-1}]",
         BAD, "Cannot find source column for partition field: 1000: data: identity(2)", NULL},
        {"another spec's column is dropped", 2,
         "[" ADD(FIELD("2", "data", "identity",
                       ",'field-id':1000")) ",{'action':'add-schema','schema':{'type':'struct','"
                                            "fields':[{'id':1,'name':'id','required':"
                                            "true,'type':'long'}]}},{'action':'set-current-schema',"
                                            "'schema-id':-1}]",
         OK, "{'current-schema-id':1}", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_spec__sort_orders(void **state)
{
    static const model_case cases[] = {
        {"the first is 1", 2,
         "[" ADD_ORDER("5",
                       SORT("1", "bucket[4]", "desc", "nulls-last")) "," DEFAULT_ORDER("-1") "]",
         OK,
         "{'sort-orders':[{'order-id':0},{'order-id':1,'fields':[{'direction':'desc'}]}],"
         "'default-sort-order-id':1}",
         NULL},
        {"spellings are tidied, and do not matter", 2,
         "[" ADD_ORDER("1", SORT("1", "identity", "ASC", "NULLS-FIRST")) "," ADD_ORDER(
             "2", SORT("1", "identity", "asc", "nulls-first")) "]",
         OK, "{'sort-orders':[{},{'fields':[{'direction':'asc','null-order':'nulls-first'}]}]}",
         NULL},
        {"max + 1", 2,
         "[" ADD_ORDER("1", SORT("1", "identity", "asc", "nulls-first")) "," ADD_ORDER(
             "1", SORT("2", "identity", "asc", "nulls-first")) "," DEFAULT_ORDER("-1") "]",
         OK, "{'sort-orders':[{},{'order-id':1},{'order-id':2}],'default-sort-order-id':2}", NULL},
        {"unsorted is there", 2, "[" ADD_ORDER("0", "") "," DEFAULT_ORDER("-1") "]", OK, NULL,
         NULL},
        {"unsorted with an id", 2, "[" ADD_ORDER("1", "") "]", BAD, "Unsorted order ID must be 0",
         "IllegalArgumentException"},
        {"sorted without one", 2,
         "[" ADD_ORDER("0", SORT("1", "identity", "asc", "nulls-first")) "]", BAD,
         "reserved for unsorted", NULL},
        {"in a list", 2, "[" ADD_ORDER("1", SORT("8", "identity", "asc", "nulls-first")) "]", OK,
         "{'sort-orders':[{},{}]}", NULL},
        {"no source", 2, "[" ADD_ORDER("1", SORT("99", "identity", "asc", "nulls-first")) "]", BAD,
         "Cannot find source column for sort field: identity(99)", "ValidationException"},
        {"a struct", 2, "[" ADD_ORDER("1", SORT("4", "identity", "asc", "nulls-first")) "]", BAD,
         "Cannot sort by non-primitive source field: struct", NULL},
        {"a transform that does not apply", 2,
         "[" ADD_ORDER("1", SORT("2", "year", "asc", "nulls-first")) "]", BAD,
         "Invalid source type string for transform: year", NULL},
        {"another direction", 2, "[" ADD_ORDER("1", SORT("1", "identity", "up", "nulls-first")) "]",
         BAD, "updates[0].sort-order.fields[0].direction", NULL},
        {"another null order", 2, "[" ADD_ORDER("1", SORT("1", "identity", "asc", "first")) "]",
         BAD, "updates[0].sort-order.fields[0].null-order", NULL},
        {"an unknown default", 2, "[" DEFAULT_ORDER("9") "]", BAD, "unknown sort order: 9", NULL},
        {"no last one", 2, "[" DEFAULT_ORDER("-1") "]", BAD,
         "Cannot set last added sort order: no sort order has been added", NULL},
        {"the default order's column is dropped", 2,
         "[" ADD_ORDER("1", SORT("2", "identity", "asc", "nulls-first")) "," DEFAULT_ORDER(
             "-1") ",{'action':'add-schema','schema':{'type':'struct','fields':[{'id':1,'name':'id'"
                   ",'required':"
                   "true,'type':'long'}]}},{'action':'set-current-schema','schema-id':-1}]",
         BAD, "Cannot find source column for sort field: identity(2)", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_spec__counts_are_bounded(void **state)
{
    model *m = *state;
    pang_model_outcome outcome;
    pang_buf fields = {.arena = m->arena}, specs = {.arena = m->arena};
    for (int i = 0; i <= PANG_MODEL_FIELDS_MAX; i++)
        pang_buf_printf(&fields, "%s" FIELD("1", "p%d", "bucket[%d]", ""), i ? "," : "", i, i + 1);
    for (int i = 0; i <= PANG_MODEL_ADDED_MAX; i++)
        pang_buf_printf(&specs, "%s" ADD(FIELD("1", "p", "bucket[%d]", "")), i ? "," : "", i + 1);
    const char *one = pang_arena_printf(m->arena, "[{'action':'add-spec','spec':{'fields':[%s]}}]",
                                        pang_arena_cstr(m->arena, pang_buf_str(&fields)))
                          .ptr;
    assert_int_equal(model_commit(m, model_table(m, 2), NULL, one, &outcome), BAD);
    const char *many =
        pang_arena_printf(m->arena, "[%s]", pang_arena_cstr(m->arena, pang_buf_str(&specs))).ptr;
    assert_int_equal(model_commit(m, model_table(m, 2), NULL, many, &outcome), BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_spec__add),
        MODEL_TEST(test_model_spec__refused),
        MODEL_TEST(test_model_spec__refused_by_name_and_id),
        MODEL_TEST(test_model_spec__sort_orders),
        MODEL_TEST(test_model_spec__counts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
