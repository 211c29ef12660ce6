/*
 * server/model_view*.c: new views, every update with what it answers, history, documents from
 * files.
 */
#include "model_fixture.h"

#include <stdio.h>
#include <string.h>

#include "server/model_view.h"

#define OK PANG_OK
#define BAD PANG_INVALID_ARGUMENT
#define STALE PANG_FAILED_PRECONDITION
#define N(a) (sizeof(a) / sizeof((a)[0]))

#define FIELDS "[{'id':0,'name':'x','required':false,'type':'long'}]"
#define SCHEMA "{'type':'struct','schema-id':7,'fields':" FIELDS "}"
#define OTHER_SCHEMA                                                                               \
    "{'type':'struct','fields':[{'id':5,'name':'y','required':false,'type':'string'}]}"
#define SQL(dialect, text) "{'type':'sql','sql':'" text "','dialect':'" dialect "'}"
#define VERSION(id, schema, representations)                                                       \
    "{'version-id':" id ",'timestamp-ms':1600000000000,'schema-id':" schema                        \
    ",'summary':{'engine-name':'e'},'default-namespace':['ns'],'representations':"                 \
    "[" representations "]}"
#define ADD(id, schema, representations)                                                           \
    "{'action':'add-view-version','view-version':" VERSION(id, schema, representations) "}"
#define SET(id) "{'action':'set-current-view-version','view-version-id':" id "}"
#define PROPERTY(name, value) "{'action':'set-properties','updates':{'" name "':'" value "'}}"
#define ADD_SCHEMA(schema) "{'action':'add-schema','schema':" schema "}"

static pang_code create(model *m, const char *schema, const char *version, const char *properties,
                        pang_json **ret)
{
    pang_model_new_view request = {
        .schema = model_json(m, schema),
        .version = model_json(m, version),
        .properties = model_json(m, properties),
        .location = PANG_STR("s3://b/v/"),
    };
    return pang_model_view_create(&request, &m->env, m->arena, ret, &m->err);
}

static const pang_json *view(model *m)
{
    pang_json *made;
    if (create(m, SCHEMA, VERSION("1", "0", SQL("spark", "select 1")), "{'a':'b'}", &made) != OK)
        fail_msg("%s", m->err.message);
    return made;
}

static pang_code commit(model *m, const pang_json *base, const char *requirements,
                        const char *updates, pang_model_outcome *ret)
{
    pang_model_change change = {.base = base,
                                .requirements = requirements == NULL ? NULL
                                                                     : model_json(m, requirements),
                                .updates = updates == NULL ? NULL : model_json(m, updates)};
    return pang_model_view_commit(&change, &m->env, m->arena, ret, &m->err);
}

static const pang_json *changed(model *m, const pang_json *base, const char *updates)
{
    pang_model_outcome outcome;
    if (commit(m, base, NULL, updates, &outcome) != OK)
        fail_msg("%s: %s", updates, m->err.message);
    assert_true(outcome.changed);
    if (pang_model_view_check(outcome.document, m->arena, &m->err) != OK)
        fail_msg("%s: %s", updates, m->err.message);
    return outcome.document;
}

static void test_model_view__a_new_view(void **state)
{
    model *m = *state;
    const pang_json *made = view(m);
    model_expect(
        m, made,
        "{'view-uuid':'*','format-version':1,'location':'s3://b/v','schemas':["
        "{'type':'struct','schema-id':0,'fields':" FIELDS "}],'current-version-id':1,"
        "'versions':[" VERSION(
            "1", "0",
            SQL("spark",
                "select 1")) "],"
                             "'version-log':[{'timestamp-ms':1600000000000,'version-id':1}],"
                             "'properties':{'a':'b'}}");
    assert_int_equal(pang_model_view_check(made, m->arena, &m->err), OK);
}

static void test_model_view__a_first_version_has_the_first_id_whatever_was_sent(void **state)
{
    model *m = *state;
    pang_json *made;
    assert_int_equal(create(m, SCHEMA, VERSION("7", "3", SQL("spark", "select 1")), "null", &made),
                     OK);
    model_expect(m, made,
                 "{'current-version-id':1,'versions':[{'version-id':1,'schema-id':0}],"
                 "'version-log':[{'version-id':1}]}");
}

typedef struct {
    const char *schema, *version, *properties, *message;
} refusal;

static void test_model_view__creates_that_are_refused(void **state)
{
    static const refusal refusals[] = {
        {"null", VERSION("1", "0", ""), "{}", "schema: is missing"},
        {SCHEMA, "null", "{}", "view-version: is missing"},
        {"[]", VERSION("1", "0", SQL("a", "b")), "{}", "schema"},
        {SCHEMA, VERSION("1", "0", ""), "{}", "Cannot create view without specifying a query"},
        {SCHEMA, VERSION("1", "0", SQL("a", "")), "{}", "representations[0].sql: must have 1 to"},
        {SCHEMA, VERSION("1", "0", "{'type':'sql','sql':'x'}"), "{}",
         "view-version.representations[0].dialect: is missing"},
        {SCHEMA, VERSION("1", "0", "{'sql':'x','dialect':'y'}"), "{}",
         "view-version.representations[0].type: is missing"},
        {SCHEMA, VERSION("1", "0", SQL("trino", "a") "," SQL("Trino", "b")), "{}",
         "Invalid view version: Cannot add multiple queries for dialect trino"},
        {SCHEMA, VERSION("1", "0", SQL("a", "b")), "{'a':1}", "properties.a: must be a string"},
        {SCHEMA, VERSION("1", "0", SQL("a", "b")), "{'version.history.num-entries':'0'}",
         "version.history.num-entries must be positive but was 0"},
        {SCHEMA, "{'version-id':1}", "{}", "view-version.timestamp-ms: is missing"},
        {SCHEMA, VERSION("-1", "0", SQL("a", "b")), "{}", "view-version.version-id: must be"},
    };
    model *m = *state;
    for (size_t i = 0; i < N(refusals); i++) {
        const refusal *r = &refusals[i];
        pang_json *made;
        assert_int_equal(create(m, r->schema, r->version, r->properties, &made), BAD);
        if (strstr(m->err.message, r->message) == NULL)
            fail_msg("%zu: %s", i, m->err.message);
    }
}

static void run(model *m, const model_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const model_case *c = &cases[i];
        pang_model_outcome outcome = {0};
        const pang_json *base = view(m);
        const char *before = model_text(m, base);
        pang_code code = commit(m, base, NULL, c->updates, &outcome);
        if (code != c->code)
            fail_msg("%s: %s %s", c->name, pang_code_name(code), m->err.message);
        assert_string_equal(model_text(m, base), before);
        if (code != OK &&
            (strstr(m->err.message, c->want) == NULL || strcmp(m->err.reason, c->reason) != 0))
            fail_msg("%s: %s %s", c->name, m->err.reason, m->err.message);
        if (code == OK && outcome.changed != (c->want != NULL))
            fail_msg("%s: changed %d", c->name, outcome.changed);
        if (code == OK && c->want != NULL) {
            model_expect(m, outcome.document, c->want);
            assert_int_equal(pang_model_view_check(outcome.document, m->arena, &m->err), OK);
        }
    }
}

#define BAD_REQUEST "BadRequestException"
#define ILLEGAL "IllegalArgumentException"
#define INVALID "ValidationException"

static void test_model_view__updates(void **state)
{
    static const model_case cases[] = {
        {"none", 0, "[]", OK, NULL, NULL},
        {"unknown", 0, "[{'action':'add-snapshot','snapshot':{}}]", BAD, "add-snapshot",
         BAD_REQUEST},
        {"uuid", 0, "[{'action':'assign-uuid','uuid':'x'}]", BAD, "Cannot reassign uuid", ILLEGAL},
        {"version", 0, "[{'action':'upgrade-format-version','format-version':1}]", OK, NULL, NULL},
        {"version 2", 0, "[{'action':'upgrade-format-version','format-version':2}]", BAD,
         "Cannot upgrade view to unsupported format version: v2", ILLEGAL},
        {"location", 0, "[{'action':'set-location','location':'s3://b/w/'}]", OK,
         "{'location':'s3://b/w'}", NULL},
        {"properties", 0, "[" PROPERTY("c", "d") "]", OK, "{'properties':{'a':'b','c':'d'}}", NULL},
        {"removed", 0, "[{'action':'remove-properties','removals':['a','x']}]", OK,
         "{'properties':{'a':'<absent>'}}", NULL},
        {"history", 0, "[" PROPERTY("version.history.num-entries", "no") "]", BAD,
         "version.history.num-entries must be positive but was no", ILLEGAL},
        {"the same schema", 0, "[" ADD_SCHEMA(SCHEMA) "]", OK, NULL, NULL},
        {"another schema", 0, "[" ADD_SCHEMA(OTHER_SCHEMA) "]", OK,
         "{'schemas':[{'schema-id':0},{'schema-id':1}]}", NULL},
        {"a version", 0, "[" ADD("2", "0", SQL("spark", "select 2")) "," SET("-1") "]", OK,
         "{'current-version-id':2,'versions':[{'version-id':1},{'version-id':2}],'version-log':["
         "{'version-id':1},{'timestamp-ms':1600000000000,'version-id':2}]}",
         NULL},
        {"a version of a taken id", 0,
         "[" ADD("1", "0", SQL("spark", "select 2")) "," SET("-1") "]", OK,
         "{'current-version-id':2,'versions':[{'version-id':1},{'version-id':2}]}", NULL},
        {"a version of an id far above", 0,
         "[" ADD("9", "0", SQL("spark", "select 2")) "," SET("9") "]", OK,
         "{'current-version-id':9,'versions':[{'version-id':1},{'version-id':9}]}", NULL},
        {"the same version", 0, "[" ADD("2", "0", SQL("spark", "select 1")) "," SET("-1") "]", OK,
         NULL, NULL},
        {"a version of the last schema", 0,
         "[" ADD_SCHEMA(OTHER_SCHEMA) "," ADD("2", "-1", SQL("spark", "x")) "," SET("2") "]", OK,
         "{'current-version-id':2,'versions':[{'schema-id':0},{'schema-id':1}]}", NULL},
        {"a version that is not made current", 0, "[" ADD("2", "0", SQL("spark", "select 2")) "]",
         OK,
         "{'current-version-id':1,'versions':[{'version-id':1},{'version-id':2}],"
         "'version-log':[{'version-id':1}]}",
         NULL},
    };
    run(*state, cases, N(cases));
}

static void test_model_view__updates_of_versions(void **state)
{
    static const model_case cases[] = {
        {"no last schema", 0, "[" ADD("2", "-1", SQL("spark", "x")) "]", BAD,
         "Cannot set last added schema", INVALID},
        {"an unknown schema", 0, "[" ADD("2", "4", SQL("spark", "x")) "]", BAD,
         "Cannot add version with unknown schema: 4", ILLEGAL},
        {"no last version", 0, "[" SET("-1") "]", BAD, "Cannot set last version id", INVALID},
        {"an unknown version", 0, "[" SET("5") "]", BAD,
         "Cannot set current version to unknown version: 5", ILLEGAL},
        {"the current version", 0, "[" SET("1") "]", OK, NULL, NULL},
        {"a dialect twice", 0, "[" ADD("2", "0", SQL("a", "x") "," SQL("A", "y")) "]", BAD,
         "Cannot add multiple queries for dialect a", ILLEGAL},
        {"a dialect that is lost", 0, "[" ADD("2", "0", SQL("trino", "x")) "," SET("-1") "]", BAD,
         "Cannot replace view due to loss of view dialects (replace.drop-dialect.allowed=false)",
         ILLEGAL},
        {"a dialect that may be lost", 0,
         "[" PROPERTY("replace.drop-dialect.allowed",
                      "true") "," ADD("2", "0", SQL("trino", "x")) "," SET("-1") "]",
         OK, "{'current-version-id':2}", NULL},
        {"a dialect more", 0,
         "[" ADD("2", "0", SQL("trino", "x") "," SQL("SPARK", "x")) "," SET("-1") "]", OK,
         "{'current-version-id':2}", NULL},
        {"of another kind", 0,
         "[" ADD("2", "0", SQL("spark", "x") ",{'type':'ast','tree':[1]}") "]", OK,
         "{'versions':['*',{'representations':['*',{'type':'ast','tree':[1]}]}]}", NULL},
        {"null members", 0,
         "[{'action':'add-view-version','view-version':{'version-id':2,'timestamp-ms':1,"
         "'schema-id':0,'summary':{},'default-catalog':null,'default-namespace':[],"
         "'representations':[],'mine':9007199254740993}}]",
         OK, "{'versions':['*',{'default-catalog':'<absent>','mine':9007199254740993}]}", NULL},
        {"of the wrong form", 0, "[{'action':'add-view-version','view-version':{'version-id':2}}]",
         BAD, "updates[0].view-version.timestamp-ms: is missing", BAD_REQUEST},
    };
    run(*state, cases, N(cases));
}

static void test_model_view__two_that_replace_at_once_both_land(void **state)
{
    model *m = *state;
    const pang_json *base = view(m);
    const pang_json *one = changed(m, base,
                                   "[" ADD("2", "0", SQL("spark", "one")) "," SET("-1") "]");
    const pang_json *two = changed(m, one,
                                   "[" ADD("2", "0", SQL("spark", "two")) "," SET("-1") "]");
    model_expect(m, two,
                 "{'current-version-id':3,'schemas':[{'schema-id':0}],'versions':["
                 "{'version-id':1},{'version-id':2},{'version-id':3,'schema-id':0}],"
                 "'version-log':[{'version-id':1},{'version-id':2},{'version-id':3}]}");
}

static void test_model_view__only_the_last_current_version_of_a_request_is_logged(void **state)
{
    model *m = *state;
    const pang_json *document = changed(m, view(m),
                                        "[" ADD("2", "0", SQL("spark", "a")) "," SET("-1") "," ADD(
                                            "3", "0", SQL("spark", "b")) "," SET("-1") "]");
    model_expect(m, document,
                 "{'current-version-id':3,'version-log':[{'version-id':1},"
                 "{'version-id':3}]}");
    document = changed(m, document, "[" SET("1") "]");
    model_expect(m, document,
                 "{'current-version-id':1,'version-log':[{'version-id':1},"
                 "{'version-id':3},{'timestamp-ms':1700000100000,'version-id':1}]}");
}

static const pang_json *replaced(model *m, const pang_json *base, int from, int to)
{
    for (int i = from; i <= to; i++) {
        char text[600];
        (void)snprintf(text, sizeof text,
                       "[" ADD("2", "0", SQL("spark", "select %d")) "," SET("-1") "]", i);
        base = changed(m, base, text);
    }
    return base;
}

static size_t size_of(const pang_json *document, const char *name)
{
    return pang_json_size(pang_json_get(document, name));
}

static void test_model_view__old_versions_go(void **state)
{
    model *m = *state;
    const pang_json *document = replaced(m, view(m), 2, 14);
    assert_int_equal(size_of(document, "versions"), 10);
    assert_int_equal(size_of(document, "version-log"), 10);
    model_expect(m, pang_json_at(pang_json_get(document, "versions"), 0), "{'version-id':5}");
    document = changed(m, document, "[" PROPERTY("version.history.num-entries", "2") "]");
    model_expect(m, document,
                 "{'versions':[{'version-id':13},{'version-id':14}],"
                 "'version-log':[{'version-id':13},{'version-id':14}]}");
}

static void test_model_view__the_current_version_stays_and_so_do_new_ones(void **state)
{
    model *m = *state;
    const pang_json *document = replaced(m, view(m), 2, 4);
    document = changed(m, document, "[" SET("2") "]");
    document = changed(m, document,
                       "[" PROPERTY("version.history.num-entries", "1") "," ADD(
                           "5", "0", SQL("spark", "e")) "," ADD("6", "0", SQL("spark", "f")) "]");
    model_expect(m, document,
                 "{'current-version-id':2,'versions':[{'version-id':2},"
                 "{'version-id':5},{'version-id':6}],'version-log':[{'version-id':2}]}");
}

static void test_model_view__schemas_go_with_the_versions_that_named_them(void **state)
{
    model *m = *state;
    const pang_json *document = changed(
        m, view(m),
        "[" PROPERTY("version.history.num-entries", "1") "," ADD_SCHEMA(OTHER_SCHEMA) "," ADD(
            "2", "-1", SQL("spark", "b")) "," SET("-1") "]");
    model_expect(m, document, "{'schemas':[{'schema-id':1}],'versions':[{'schema-id':1}]}");
}

static void test_model_view__requirements(void **state)
{
    static const struct {
        const char *requirements;
        pang_code code;
        const char *message;
    } rows[] = {
        {"null", OK, NULL},
        {"[]", OK, NULL},
        {"[{'type':'assert-view-uuid','uuid':'X'}]", STALE,
         "Requirement failed: view UUID does not match: expected "},
        {"[{'type':'assert-table-uuid','uuid':'x'}]", BAD, "Cannot validate assert-table-uuid"},
        {"[{'type':'assert-view-uuid'}]", BAD, "requirements[0].uuid: is missing"},
        {"[{'type':'assert-weather'}]", BAD, "assert-weather"},
        {"{}", BAD, "must be an array"},
    };
    model *m = *state;
    const pang_json *base = view(m);
    pang_str uuid;
    assert_true(pang_json_to_str(pang_json_get(base, "view-uuid"), &uuid));
    for (size_t i = 0; i < N(rows); i++) {
        pang_code code = pang_model_view_require(base, model_json(m, rows[i].requirements),
                                                 &m->err);
        assert_int_equal(code, rows[i].code);
        if (code != OK && strstr(m->err.message, rows[i].message) == NULL)
            fail_msg("%s: %s", rows[i].requirements, m->err.message);
    }
    const char *holds = pang_arena_printf(
                            m->arena, "[{'type':'assert-view-uuid','uuid':'%" PANG_STR_FMT "'}]",
                            PANG_STR_ARG(uuid))
                            .ptr;
    assert_int_equal(pang_model_view_require(base, model_json(m, holds), &m->err), OK);
}

/* ---- documents ---- */

static pang_json *fixture(model *m, const char *name)
{
    const char *path = pang_arena_printf(m->arena, "tests/fixtures/iceberg/%s.json", name).ptr;
    FILE *file = fopen(path, "r");
    char *text = pang_arena_alloc_text(m->arena, 1 << 16);
    pang_json *value;
    if (file == NULL)
        fail_msg("%s", path);
    size_t n = fread(text, 1, 1 << 16, file);
    (void)fclose(file);
    assert_int_equal(pang_json_parse((pang_str){text, n}, m->arena, &value, &m->err), OK);
    return value;
}

static void test_model_view__fixtures(void **state)
{
    static const struct {
        const char *name, *message; /* NULL: valid */
    } rows[] = {
        {"ValidViewMetadata", NULL},
        {"ViewMetadataInvalidCurrentSchema", "Cannot add version with unknown schema: 1234"},
        {"ViewMetadataInvalidCurrentVersion", "Cannot find current version 1234 in view versions"},
        {"ViewMetadataMissingCurrentVersion", "current-version-id: is missing"},
        {"ViewMetadataMissingLocation", "location: is missing"},
        {"ViewMetadataMultipleSQLsForDialect",
         "Invalid view version: Cannot add multiple queries for dialect spark-sql"},
        {"TableMetadataV2Valid", "view-uuid: is missing"},
    };
    model *m = *state;
    for (size_t i = 0; i < N(rows); i++) {
        pang_code code = pang_model_view_check(fixture(m, rows[i].name), m->arena, &m->err);
        assert_int_equal(code, rows[i].message == NULL ? OK : BAD);
        if (code != OK && strstr(m->err.message, rows[i].message) == NULL)
            fail_msg("%s: %s", rows[i].name, m->err.message);
        if (code != OK)
            assert_string_equal(m->err.reason, ILLEGAL);
    }
}

static void test_model_view__a_file_is_replaced_and_keeps_what_is_not_known(void **state)
{
    model *m = *state;
    const pang_json *document = changed(m, fixture(m, "ValidViewMetadata"),
                                        "[" ADD("3", "0", SQL("spark-sql", "x")) "," SET("-1") "]");
    model_expect(m, document,
                 "{'current-schema-id':0,'current-version-id':3,'version-log':["
                 "'*','*',{'version-id':3}]}");
}

static void test_model_view__damaged_documents(void **state)
{
    static const struct {
        const char *part, *value, *message;
    } rows[] = {
        {"format-version", "2", "Cannot read unsupported version 2"},
        {"format-version", "'1'", "format-version: must be an integer"},
        {"location", "''", "location: is empty"},
        {"schemas", "[{'type':'struct','fields':[]}]", "schemas[0].schema-id: is missing"},
        {"schemas", "[" OTHER_SCHEMA "]", "schemas[0].schema-id: is missing"},
        {"versions", "[]", "Cannot find current version"},
        {"versions", "[" VERSION("1", "0", SQL("a", "b")) "," VERSION("1", "0", SQL("a", "c")) "]",
         "versions[1].version-id: is there twice: 1"},
        {"versions", "[" VERSION("1", "-1", SQL("a", "b")) "]", "unknown schema: -1"},
        {"version-log", "[{'version-id':1}]", "version-log[0].timestamp-ms: is missing"},
        {"properties", "{'a':1}", "properties.a: must be a string"},
    };
    model *m = *state;
    for (size_t i = 0; i < N(rows); i++) {
        pang_json *document = (pang_json *)(uintptr_t)view(m);
        assert_true(pang_json_set(document, rows[i].part, model_json(m, rows[i].value)));
        assert_int_equal(pang_model_view_check(document, m->arena, &m->err), BAD);
        if (strstr(m->err.message, rows[i].message) == NULL)
            fail_msg("%s %s: %s", rows[i].part, rows[i].value, m->err.message);
    }
}

static void test_model_view__what_it_says(void **state)
{
    model *m = *state;
    pang_model_facts facts;
    pang_model_view_short says;
    const pang_json *document = view(m);
    pang_model_view_facts_of(document, &facts);
    assert_true(facts.table_uuid.len == 36 && !facts.has_snapshot && facts.schema_id == 0);
    assert_true(pang_str_equal(facts.location, PANG_STR("s3://b/v")));
    pang_model_view_shorten(document, &says);
    assert_true(pang_str_equal(says.sql, PANG_STR("select 1")));
    assert_true(pang_str_equal(says.dialect, PANG_STR("spark")));
    assert_non_null(says.schema);
    assert_int_equal(pang_json_size(says.properties), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_view__a_new_view),
        MODEL_TEST(test_model_view__a_first_version_has_the_first_id_whatever_was_sent),
        MODEL_TEST(test_model_view__creates_that_are_refused),
        MODEL_TEST(test_model_view__updates),
        MODEL_TEST(test_model_view__updates_of_versions),
        MODEL_TEST(test_model_view__two_that_replace_at_once_both_land),
        MODEL_TEST(test_model_view__only_the_last_current_version_of_a_request_is_logged),
        MODEL_TEST(test_model_view__old_versions_go),
        MODEL_TEST(test_model_view__the_current_version_stays_and_so_do_new_ones),
        MODEL_TEST(test_model_view__schemas_go_with_the_versions_that_named_them),
        MODEL_TEST(test_model_view__requirements),
        MODEL_TEST(test_model_view__fixtures),
        MODEL_TEST(test_model_view__a_file_is_replaced_and_keeps_what_is_not_known),
        MODEL_TEST(test_model_view__damaged_documents),
        MODEL_TEST(test_model_view__what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
