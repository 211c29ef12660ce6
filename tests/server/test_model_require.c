/*
 * server/model_require.c: every requirement, held and failed, with the messages that clients
 * compare.
 */
#include "model_fixture.h"

#include <string.h>

#define OK PANG_OK
#define BAD PANG_INVALID_ARGUMENT
#define STALE PANG_FAILED_PRECONDITION
#define N(a) (sizeof(a) / sizeof((a)[0]))

typedef struct {
    const char *requirements;
    pang_code code;
    const char *message; /* whole, but for BAD, where it is a part */
} row;

static void run(model *m, const pang_json *base, const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pang_code code = pang_model_require(base, model_json(m, rows[i].requirements), &m->err);
        if (code != rows[i].code)
            fail_msg("%s: %s %s", rows[i].requirements, pang_code_name(code), m->err.message);
        if (code == STALE && (strcmp(m->err.message, rows[i].message) != 0 ||
                              strcmp(m->err.reason, "CommitFailedException") != 0))
            fail_msg("%s: %s", rows[i].requirements, m->err.message);
        if (code == BAD && strstr(m->err.message, rows[i].message) == NULL)
            fail_msg("%s: %s", rows[i].requirements, m->err.message);
    }
}

static void test_model_require__of_a_table(void **state)
{
    static const row rows[] = {
        {"null", OK, NULL},
        {"[]", OK, NULL},
        {"[{'type':'assert-create'}]", STALE, "Requirement failed: table already exists"},
        {"[{'type':'assert-table-uuid','uuid':'9C12d441-03fe-4693-9a96-a0705ddf69c1'}]", OK, NULL},
        {"[{'type':'assert-table-uuid','uuid':'x'}]", STALE,
         "Requirement failed: UUID does not match: expected 9c12d441-03fe-4693-9a96-a0705ddf69c1 "
         "!= "
         "x"},
        {"[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':20}]", OK, NULL},
        {"[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':1}]", STALE,
         "Requirement failed: branch main has changed: expected id 1 != 20"},
        {"[{'type':'assert-ref-snapshot-id','ref':'old','snapshot-id':1}]", STALE,
         "Requirement failed: tag old has changed: expected id 1 != 10"},
        {"[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':null}]", STALE,
         "Requirement failed: branch main was created concurrently"},
        {"[{'type':'assert-ref-snapshot-id','ref':'main'}]", STALE,
         "Requirement failed: branch main was created concurrently"},
        {"[{'type':'assert-ref-snapshot-id','ref':'x','snapshot-id':null}]", OK, NULL},
        {"[{'type':'assert-ref-snapshot-id','ref':'x','snapshot-id':1}]", STALE,
         "Requirement failed: branch or tag x is missing, expected 1"},
        {"[{'type':'assert-last-assigned-field-id','last-assigned-field-id':8}]", OK, NULL},
        {"[{'type':'assert-last-assigned-field-id','last-assigned-field-id':7}]", STALE,
         "Requirement failed: last assigned field id changed: expected id 7 != 8"},
        {"[{'type':'assert-current-schema-id','current-schema-id':0}]", OK, NULL},
        {"[{'type':'assert-current-schema-id','current-schema-id':1}]", STALE,
         "Requirement failed: current schema changed: expected id 1 != 0"},
        {"[{'type':'assert-last-assigned-partition-id','last-assigned-partition-id':999}]", OK,
         NULL},
        {"[{'type':'assert-last-assigned-partition-id','last-assigned-partition-id':1}]", STALE,
         "Requirement failed: last assigned partition id changed: expected id 1 != 999"},
        {"[{'type':'assert-default-spec-id','default-spec-id':0}]", OK, NULL},
        {"[{'type':'assert-default-spec-id','default-spec-id':1}]", STALE,
         "Requirement failed: default partition spec changed: expected id 1 != 0"},
        {"[{'type':'assert-default-sort-order-id','default-sort-order-id':0}]", OK, NULL},
        {"[{'type':'assert-default-sort-order-id','default-sort-order-id':1}]", STALE,
         "Requirement failed: default sort order changed: expected id 1 != 0"},
        {"[{'type':'assert-view-uuid','uuid':'x'}]", BAD, "Cannot validate"},
        /* In order: the first that fails answers. */
        {"[{'type':'assert-default-spec-id','default-spec-id':0},"
         "{'type':'assert-default-spec-id','default-spec-id':3},"
         "{'type':'assert-table-uuid','uuid':'x'}]",
         STALE, "Requirement failed: default partition spec changed: expected id 3 != 0"},
        /* The form of all comes before any is looked at. */
        {"[{'type':'assert-table-uuid','uuid':'x'},{'type':'assert-weather'}]", BAD,
         "requirements[1].type: cannot convert update requirement type \"assert-weather\""},
        {"{}", BAD, "requirements: must be an array"},
        {"[1]", BAD, "requirements[0]: must be an object"},
        {"[{}]", BAD, "requirements[0].type: is missing"},
        {"[{'type':'assert-table-uuid'}]", BAD, "requirements[0].uuid: is missing"},
        {"[{'type':'assert-table-uuid','uuid':7}]", BAD, "requirements[0].uuid: must be a string"},
        {"[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':'20'}]", BAD,
         "requirements[0].snapshot-id: must be an integer"},
        {"[{'type':'assert-default-spec-id','default-spec-id':null}]", BAD,
         "requirements[0].default-spec-id: must be an integer"},
        {"[{'type':'assert-create'},{'type':'assert-table-uuid','uuid':'x'}]", BAD,
         "Invalid create requirements: assert-table-uuid"},
    };
    model *m = *state;
    run(m, model_table(m, 2), rows, N(rows));
}

static void test_model_require__of_no_table(void **state)
{
    static const row rows[] = {
        {"[{'type':'assert-create'}]", OK, NULL},
        {"[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':null}]", OK, NULL},
        {"[{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':1}]", STALE,
         "Requirement failed: branch or tag main is missing, expected 1"},
        {"[{'type':'assert-table-uuid','uuid':''}]", STALE,
         "Requirement failed: table does not exist"},
        {"[{'type':'assert-current-schema-id','current-schema-id':0}]", STALE,
         "Requirement failed: table does not exist"},
        {"[{'type':'assert-last-assigned-partition-id','last-assigned-partition-id':999}]", STALE,
         "Requirement failed: table does not exist"},
    };
    run(*state, NULL, rows, N(rows));
}

/* A version 1 file leaves out what follows from the rest. */
static void test_model_require__of_a_file_of_version_1(void **state)
{
    static const row rows[] = {
        {"[{'type':'assert-current-schema-id','current-schema-id':0},"
         "{'type':'assert-default-spec-id','default-spec-id':0},"
         "{'type':'assert-default-sort-order-id','default-sort-order-id':0},"
         "{'type':'assert-last-assigned-partition-id','last-assigned-partition-id':1001},"
         "{'type':'assert-ref-snapshot-id','ref':'main','snapshot-id':5}]",
         OK, NULL},
    };
    model *m = *state;
    run(m,
        model_json(m, "{'format-version':1,'location':'s3://b/t','last-updated-ms':1,"
                      "'last-column-id':1,'schema':{'type':'struct','fields':[{'id':1,'name':'a',"
                      "'required':true,'type':'int'}]},'partition-spec':[{'name':'a','source-id':1,"
                      "'transform':'identity'},{'name':'b','source-id':1,'transform':'void'}],"
                      "'current-snapshot-id':5}"),
        rows, N(rows));
}

static void test_model_require__creates_are_told_apart(void **state)
{
    model *m = *state;
    assert_true(pang_model_is_create(model_json(m, "[{'type':'assert-create'}]")));
    assert_true(pang_model_is_create(model_json(m, "[{'type':'x'},{'type':'assert-create'}]")));
    assert_false(pang_model_is_create(model_json(m, "[{'type':'assert-table-uuid'}]")));
    assert_false(pang_model_is_create(model_json(m, "{'type':'assert-create'}")));
    assert_false(pang_model_is_create(model_json(m, "[null,1]")));
    assert_false(pang_model_is_create(NULL));
}

/* A failed requirement comes before a bad update, but a request of the wrong form before both. */
static void test_model_require__stands_between_form_and_rules(void **state)
{
    model *m = *state;
    const char *fails = "[{'type':'assert-default-spec-id','default-spec-id':3}]";
    pang_model_outcome outcome;
    assert_int_equal(model_commit(m, model_table(m, 2), fails,
                                  "[{'action':'set-current-schema','schema-id':77}]", &outcome),
                     STALE);
    assert_int_equal(model_commit(m, model_table(m, 2), fails, "[{'action':'levitate'}]", &outcome),
                     BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_require__of_a_table),
        MODEL_TEST(test_model_require__of_no_table),
        MODEL_TEST(test_model_require__of_a_file_of_version_1),
        MODEL_TEST(test_model_require__creates_are_told_apart),
        MODEL_TEST(test_model_require__stands_between_form_and_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
