/*
 * server/model_evolve.c, model_schema.c, model_type.c: schemas that are added, chosen and removed,
 * and which are refused.
 */
#include "model_fixture.h"

#include <string.h>

#define OK PANG_OK
#define BAD PANG_INVALID_ARGUMENT
#define N(a) (sizeof(a) / sizeof((a)[0]))

#define ID "{'id':1,'name':'id','required':true,'type':'long'}"
#define SCHEMA(fields, more) "{'type':'struct','fields':[" fields "]" more "}"
#define ADD(fields, more) "{'action':'add-schema','schema':" SCHEMA(fields, more) "}"
#define CURRENT(id) "{'action':'set-current-schema','schema-id':" id "}"
#define COLUMN(type, more) "{'id':9,'name':'c','required':false,'type':" type more "}"
#define NESTED                                                                                     \
    "{'id':4,'name':'point','required':true,'type':{'type':'struct','fields':["                    \
    "{'id':5,'name':'x','required':true,'type':'double'},"                                         \
    "{'id':6,'name':'y','required':false,'type':'double'}]}}"
/* The fixture's own fields. */
#define SAME                                                                                       \
    ID ",{'id':2,'name':'data','required':false,'type':'string'},"                                 \
       "{'id':3,'name':'ts','required':false,'type':'timestamptz'}," NESTED ","                    \
       "{'id':7,'name':'tags','required':false,'type':{'type':'list','element-id':8,"              \
       "'element':'string','element-required':false}}"

static void test_model_evolve__add_schema(void **state)
{
    static const model_case cases[] = {
        {"the request's id means nothing", 2, "[" ADD(ID, ",'schema-id':77") "," CURRENT("-1") "]",
         OK,
         "{'schemas':[{'schema-id':0},{'schema-id':1,'fields':[{'id':1}]}],"
         "'current-schema-id':1,'last-column-id':8}",
         NULL},
        {"last-column-id is the highest anywhere, whatever the request says", 2,
         "[{'action':'add-schema','last-column-id':3,'schema':" SCHEMA(
             "{'id':9,'name':'m','required':false,'type':{'type':'map','key-id':30,'key':'string',"
             "'value-id':31,'value':'long','value-required':false}}",
             "") "}]",
         OK, "{'last-column-id':31,'current-schema-id':0}", NULL},
        {"an equal one is found again", 2, "[" ADD(SAME, "") "," CURRENT("-1") "]", OK, NULL, NULL},
        {"an equal one in another spelling", 2, "[" ADD(SAME, ",'identifier-field-ids':[]") "]", OK,
         NULL, NULL},
        {"another doc makes another schema", 2,
         "[" ADD("{'id':1,'name':'id','required':true,'type':'long','doc':'d'}", "") "," ADD(
             "{'id':1,'name':'id','required':true,'type':'long','doc':'e'}",
             "") "," ADD("{'id':1,'name':'id','required':true,'type':'long','doc':'d'}",
                         "") "," CURRENT("-1") "]",
         OK, "{'schemas':[{},{'schema-id':1},{'schema-id':2}],'current-schema-id':1}", NULL},
        {"identifier fields make another schema", 2,
         "[" ADD(SAME, ",'identifier-field-ids':[1]") "]", OK,
         "{'schemas':[{},{'identifier-field-ids':[1]}]}", NULL},
        {"spaces in a decimal do not", 2,
         "[" ADD(COLUMN("'decimal(9,2)'", ""), "") "," ADD(COLUMN("'decimal( 9 , 2 )'", ""),
                                                           "") "]",
         OK, "{'schemas':[{},{}]}", NULL},
        {"nulls and empty lists are left out", 2,
         "[" ADD(COLUMN("'int'", ",'doc':null,'write-default':null,'x':1"),
                 ",'identifier-field-ids':[]") "]",
         OK,
         "{'schemas':[{},{'identifier-field-ids':'<absent>','fields':[{'doc':'<absent>',"
         "'write-default':'<absent>','x':1}]}]}",
         NULL},
        {"no schema", 2, "[{'action':'add-schema','schema':[]}]", BAD,
         "updates[0].schema: must be an object", "BadRequestException"},
        {"no type", 2, "[{'action':'add-schema','schema':{'fields':[]}}]", BAD,
         "updates[0].schema.type: is missing", NULL},
        {"an id twice", 2,
         "[" ADD(ID ","
                    "{'id':1,'name':'b','required':true,'type':'int'}",
                 "") "]",
         BAD, "multiple fields for id 1", NULL},
        {"a name twice", 2,
         "[" ADD(ID ","
                    "{'id':2,'name':'id','required':true,'type':'int'}",
                 "") "]",
         BAD, "multiple fields for name id", "ValidationException"},
        {"a full name twice", 2,
         "[" ADD(NESTED ","
                        "{'id':2,'name':'point.x','required':true,'type':'int'}",
                 "") "]",
         BAD, "multiple fields for name point.x", NULL},
        {"an id that is reserved", 2,
         "[" ADD("{'id':2147483645,'name':'f','required':true,'type':'int'}", "") "]", BAD,
         "updates[0].schema.fields[0].id", NULL},
        {"no name", 2, "[" ADD("{'id':1,'name':'','required':true,'type':'int'}", "") "]", BAD,
         "updates[0].schema.fields[0].name", NULL},
        {"deep inside", 2,
         "[" ADD("{'id':1,'name':'l','required':true,'type':{'type':'list',"
                 "'element-id':2,'element-required':true,'element':{'type':'struct','fields':[{'id'"
                 ":'x'}]}}}",
                 "") "]",
         BAD, "updates[0].schema.fields[0].element.fields[0].id: must be an integer", NULL},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_evolve__set_current_and_remove(void **state)
{
    static const model_case cases[] = {
        {"the current one", 2, "[" CURRENT("0") "]", OK, NULL, NULL},
        {"unknown", 2, "[" CURRENT("9") "]", BAD, "Cannot set current schema to unknown schema: 9",
         "IllegalArgumentException"},
        {"none was added", 2, "[" CURRENT("-1") "]", BAD,
         "Cannot set last added schema: no schema has been added", "ValidationException"},
        {"back and forth", 2, "[" ADD(ID, "") "," CURRENT("-1") "," CURRENT("0") "]", OK,
         "{'current-schema-id':0,'schemas':[{},{}]}", NULL},
        {"text", 2, "[{'action':'set-current-schema','schema-id':'zero'}]", BAD,
         "updates[0].schema-id: must be an integer", NULL},
        {"remove", 2, "[" ADD(ID, "") ",{'action':'remove-schemas','schema-ids':[1,7]}]", OK,
         "{'schemas':[{'schema-id':0}]}", NULL},
        {"remove what is not there", 2, "[{'action':'remove-schemas','schema-ids':[1,7]}]", OK,
         NULL, NULL},
        {"remove the current one", 2, "[{'action':'remove-schemas','schema-ids':[0]}]", BAD,
         "Cannot remove the current schema", "IllegalArgumentException"},
    };
    model_run(*state, cases, N(cases));
}

static void test_model_evolve__identifier_fields(void **state)
{
    static const model_case cases[] = {
        {"nested in required structs", 2,
         "[" ADD("{'id':4,'name':'p','required':true,'type':{'type':'struct','fields':["
                 "{'id':5,'name':'x','required':true,'type':'int'}]}}",
                 ",'identifier-field-ids':[5]") "]",
         OK, "{'schemas':[{},{}]}", NULL},
        {"unknown", 2, "[" ADD(ID, ",'identifier-field-ids':[2]") "]", BAD, "does not exist", NULL},
        {"optional", 2, "[" ADD(COLUMN("'int'", ""), ",'identifier-field-ids':[9]") "]", BAD,
         "not a required field", NULL},
        {"double", 2, "[" ADD(NESTED, ",'identifier-field-ids':[5]") "]", BAD, "float or double",
         NULL},
        {"struct", 2, "[" ADD(NESTED, ",'identifier-field-ids':[4]") "]", BAD, "not a primitive",
         NULL},
        {"in an optional struct", 2,
         "[" ADD("{'id':4,'name':'p','required':false,'type':{'type':'struct','fields':["
                 "{'id':5,'name':'x','required':true,'type':'int'}]}}",
                 ",'identifier-field-ids':[5]") "]",
         BAD, "must not be nested", NULL},
        {"in a list", 2,
         "[" ADD("{'id':4,'name':'l','required':true,'type':{'type':'list',"
                 "'element-id':5,'element':'int','element-required':true}}",
                 ",'identifier-field-ids':[5]") "]",
         BAD, "must not be nested", NULL},
    };
    model_run(*state, cases, N(cases));
}

static const char *with_default(model *m, const char *type, const char *value)
{
    return pang_arena_printf(m->arena, "[" ADD(COLUMN("'%s'", ",'write-default':%s"), "") "]", type,
                             value)
        .ptr;
}

/* Types in every version; a default that is right and one that is wrong. */
static void test_model_evolve__types(void **state)
{
    static const struct {
        const char *type;
        int since;
        const char *good, *bad;
    } cases[] = {
        {"boolean", 1, "true", "1"},
        {"int", 1, "-2147483648", "2147483648"},
        {"long", 1, "9223372036854775807", "1.0"},
        {"float", 1, "1.5", "'1.5'"},
        {"double", 1, "-1e9", "true"},
        {"date", 1, "'2016-02-29'", "'2017-02-29'"},
        {"date", 1, "'+12017-11-16'", "'2017-11-16 '"},
        {"time", 1, "'22:31:08.123456'", "'22:31:08.1234567'"},
        {"time", 1, "'22:31'", "'24:00:00'"},
        {"timestamp", 1, "'2017-11-16T22:31:08.123456'", "'2017-11-16T22:31:08+00:00'"},
        {"timestamptz", 1, "'2017-11-16T22:31:08.123456+00:00'", "'2017-11-16T22:31:08'"},
        {"timestamptz", 1, "'2017-11-16T22:31:08Z'", "'2017-11-16T22:31:08+01:00'"},
        {"timestamp_ns", 3, "'2017-11-16T22:31:08.123456789'", "'2017-11-16'"},
        {"timestamptz_ns", 3, "'2017-11-16T22:31:08.123456789+00:00'", "7"},
        {"string", 1, "''", "0"},
        {"uuid", 1, "'f79c3e09-677c-4bbd-a479-3f349cb785e7'", "'f79c3e09677c4bbda4793f349cb785e7'"},
        {"binary", 1, "'00fF'", "'00f'"},
        {"fixed[2]", 1, "'00ff'", "'00'"},
        {"decimal(9, 2)", 1, "'-14.20'", "'14.2'"},
        {"decimal(3,2)", 1, "'0.12'", "'12.34'"},
        {"decimal(3,0)", 1, "'123'", "'123.'"},
        {"unknown", 3, "null", "1"},
        {"variant", 3, "null", "{}"},
        {"geometry", 3, "null", "''"},
        {"geometry(srid:4326)", 3, "null", "''"},
        {"geography", 3, "null", "''"},
        {"geography(OGC:CRS84, karney)", 3, "null", "''"},
    };
    model *m = *state;
    for (size_t i = 0; i < N(cases); i++) {
        for (int version = 1; version <= 3; version++) {
            pang_model_outcome outcome;
            const char *type = cases[i].type;
            pang_code code = model_commit(m, model_table(m, version), NULL,
                                          with_default(m, type, cases[i].good), &outcome);
            if (code != (version >= cases[i].since ? OK : BAD))
                fail_msg("%s in v%d: %s", type, version, m->err.message);
            if (code != OK && strstr(m->err.message, "is not supported until v3") == NULL)
                fail_msg("%s: %s", type, m->err.message);
            code = model_commit(m, model_table(m, version), NULL,
                                with_default(m, type, cases[i].bad), &outcome);
            if (code != BAD || strstr(m->err.message, "fields[0].write-default") == NULL)
                fail_msg("%s took %s", type, cases[i].bad);
        }
        pang_arena_reset(m->arena);
    }
}

static void test_model_evolve__types_that_are_none(void **state)
{
    static const char *const types[] = {
        "'quaternion'",
        "'LONG'",
        "''",
        "'struct'",
        "'fixed'",
        "'fixed[]'",
        "'fixed[-1]'",
        "'fixed[1'",
        "'decimal'",
        "'decimal(39,0)'",
        "'decimal(0,0)'",
        "'decimal(2,3)'",
        "'decimal(9)'",
        "'geometry()'",
        "'int(3)'",
        "3",
        "null",
        "[]",
        "{'type':'int'}",
        "{'type':'struct'}",
        "{'type':'list','element':'int'}",
        "{'type':'list','element-id':3,'element-required':true}",
        "{'type':'map','key-id':3,'key':'int','value-id':4,'value-required':true}",
        "{'type':'map','key-id':3,'value':'int','value-id':4,'value-required':true}",
        "{}",
    };
    model *m = *state;
    for (size_t i = 0; i < N(types); i++) {
        pang_model_outcome outcome;
        if (model_commit(
                m, model_table(m, 3), NULL,
                pang_arena_printf(m->arena, "[" ADD(COLUMN("%s", ""), "") "]", types[i]).ptr,
                &outcome) != BAD)
            fail_msg("taken: %s", types[i]);
    }
}

static void test_model_evolve__defaults(void **state)
{
    static const model_case cases[] = {
        {"an initial default needs version 3", 2,
         "[" ADD(COLUMN("'int'", ",'initial-default':1"), "") "]", BAD,
         "Invalid schema for v2:\n- Invalid initial default for c: non-null default is not "
         "supported until v3",
         NULL},
        {"a variant needs version 3", 2, "[" ADD(COLUMN("'variant'", ""), "") "]", BAD,
         "Invalid schema for v2:\n- Invalid type for c: variant is not supported until v3", NULL},
        {"every problem has its line", 1,
         "[" ADD("{'id':1,'name':'a','required':false,'type':{'type':'list','element-id':2,"
                 "'element':'variant','element-required':false}}," COLUMN("'timestamp_ns'", ""),
                 "") "]",
         BAD,
         "Invalid schema for v1:\n- Invalid type for a.element: variant is not supported until"
         " v3\n- Invalid type for c: timestamp_ns is not supported until v3",
         NULL},
        {"floats are written with a fraction", 3,
         "[" ADD(COLUMN("'float'", ",'initial-default':1,'write-default':2.50"), "") "]", OK,
         "{'schemas':[{},{'fields':[{'initial-default':1.0,'write-default':2.50}]}]}", NULL},
        {"unknown columns are optional", 3,
         "[" ADD("{'id':1,'name':'u','required':true,'type':'unknown'}", "") "]", BAD,
         "Cannot create required field with unknown type: u", NULL},
        {"of nested types", 3,
         "[" ADD(
             "{'id':9,'name':'l','required':false,'type':{'type':'list','element-id':10,"
             "'element':'int','element-required':false},'write-default':[1,null]},"
             "{'id':11,'name':'m','required':false,'type':{'type':'map','key-id':12,'key':'string',"
             "'value-id':13,'value':'int','value-required':false},"
             "'write-default':{'keys':['a'],'values':[1]}},"
             "{'id':14,'name':'s','required':false,'type':{'type':'struct','fields':["
             "{'id':15,'name':'x','required':false,'type':'int'}]},'write-default':{'15':3}}",
             "") "]",
         OK, "{'schemas':[{},{'fields':[{'write-default':[1,null]},{},{}]}]}", NULL},
        {"of a map, uneven", 3,
         "[" ADD(
             "{'id':11,'name':'m','required':false,'type':{'type':'map','key-id':12,'key':'string',"
             "'value-id':13,'value':'int','value-required':false},"
             "'write-default':{'keys':['a'],'values':[]}}",
             "") "]",
         BAD, "write-default", NULL},
        {"of a struct, by a field that it has not", 3,
         "[" ADD("{'id':14,'name':'s','required':false,'type':{'type':'struct','fields':["
                 "{'id':15,'name':'x','required':false,'type':'int'}]},'write-default':{'16':3}}",
                 "") "]",
         BAD, "write-default", NULL},
    };
    model_run(*state, cases, N(cases));
}

/* Every full name of a deep column repeats those above it. */
static void test_model_evolve__the_length_of_names_is_bounded(void **state)
{
    enum { FIELDS = 1000, NAME = 60000 };
    model *m = *state;
    pang_model_outcome outcome;
    pang_buf text = {.arena = m->arena};
    pang_buf_add(&text, PANG_STR("[{'action':'add-schema','schema':{'type':'struct','fields':["
                                 "{'id':1,'required':true,'name':'"));
    for (int i = 0; i < NAME; i++)
        pang_buf_add_char(&text, 'x');
    pang_buf_add(&text, PANG_STR("','type':{'type':'struct','fields':["));
    for (int i = 0; i < FIELDS; i++)
        pang_buf_printf(&text, "%s{'id':%d,'name':'f%d','required':true,'type':'int'}",
                        i ? "," : "", i + 2, i);
    pang_buf_add(&text, PANG_STR("]}}]}}]"));
    assert_int_equal(model_commit(m, model_table(m, 2), NULL,
                                  pang_arena_cstr(m->arena, pang_buf_str(&text)), &outcome),
                     BAD);
    assert_non_null(strstr(m->err.message, "names of its columns"));
}

static void test_model_evolve__removed_schemas_are_not_found_again(void **state)
{
    static const model_case cases[] = {
        {"added, removed, added", 2,
         "[" ADD(ID, "") ",{'action':'remove-schemas','schema-ids':[1]}," ADD(ID, "") "," CURRENT(
             "-1") "]",
         OK,
         "{'schemas':[{'schema-id':0},{'schema-id':1}],"
         "'current-schema-id':1}",
         NULL},
    };
    model_run(*state, cases, N(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_evolve__add_schema),
        MODEL_TEST(test_model_evolve__set_current_and_remove),
        MODEL_TEST(test_model_evolve__identifier_fields),
        MODEL_TEST(test_model_evolve__types),
        MODEL_TEST(test_model_evolve__types_that_are_none),
        MODEL_TEST(test_model_evolve__defaults),
        MODEL_TEST(test_model_evolve__the_length_of_names_is_bounded),
        MODEL_TEST(test_model_evolve__removed_schemas_are_not_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
