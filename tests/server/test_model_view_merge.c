/*
 * server/model_view_merge.c: a view that two sides changed, as one document or with what cannot
 * stand together.
 */
#include "model_fixture.h"

#include <stdio.h>
#include <string.h>

#include "server/model_view.h"
#include "server/model_view_merge.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

#define FIELDS "[{'id':0,'name':'x','required':false,'type':'long'}]"
#define OTHER_FIELDS "[{'id':5,'name':'y','required':false,'type':'string'}]"
#define ADD_SCHEMA "{'action':'add-schema','schema':{'type':'struct','fields':" OTHER_FIELDS "}}"
#define SQL(dialect, text) "{'type':'sql','sql':'" text "','dialect':'" dialect "'}"
#define VERSION(schema, representations)                                                           \
    "{'version-id':1,'timestamp-ms':1600000000000,'schema-id':" schema                             \
    ",'summary':{'engine-name':'e'},'default-namespace':['ns'],'representations':"                 \
    "[" representations "]}"
#define ADD_OF(schema, representations)                                                            \
    "{'action':'add-view-version','view-version':" VERSION(schema, representations) "}"
#define ADD(text) ADD_OF("0", SQL("spark", text))
#define CURRENT(id) "{'action':'set-current-view-version','view-version-id':" id "}"
#define REPLACE(text) ADD(text) "," CURRENT("-1")
#define SET(name, value) "{'action':'set-properties','updates':{'" name "':'" value "'}}"
#define UNSET(name) "{'action':'remove-properties','removals':['" name "']}"
/* In a pattern: a version of a query. */
#define IS(id, schema, text)                                                                       \
    "{'version-id':" id ",'schema-id':" schema ",'representations':[" SQL("spark", text) "]}"

static const pang_json *view(model *m)
{
    pang_json *made;
    pang_model_new_view request = {
        .schema = model_json(m, "{'type':'struct','schema-id':7,'fields':" FIELDS "}"),
        .version = model_json(m, VERSION("0", SQL("spark", "one"))),
        .properties = model_json(m, "{'a':'1','b':'1'}"),
        .location = PANG_STR("s3://b/v"),
    };
    if (pang_model_view_create(&request, &m->env, m->arena, &made, &m->err) != PANG_OK)
        fail_msg("%s", m->err.message);
    return made;
}

static const pang_json *changed(model *m, const pang_json *base, const char *updates)
{
    pang_model_outcome outcome;
    if (updates == NULL)
        return base;
    pang_model_change change = {
        .base = base, .updates = model_json(m, pang_arena_printf(m->arena, "[%s]", updates).ptr)};
    if (pang_model_view_commit(&change, &m->env, m->arena, &outcome, &m->err) != PANG_OK)
        fail_msg("%s: %s", updates, m->err.message);
    return outcome.document;
}

typedef struct {
    const char *name, *before, *source, *target;
    const char *want;     /* a pattern of the merged view; NULL: the target's stays */
    const char *conflict; /* part of the first one's description; NULL: none */
    const char *details;  /* a pattern of its details */
    const char *taken;    /* a pattern of what taking the source makes; NULL: not asked */
} row;

static pang_merge_table documents(model *m, const row *r)
{
    const pang_json *base = changed(m, view(m), r->before);
    return (pang_merge_table){.env = &m->env,
                              .arena = m->arena,
                              .source_half = {base, PANG_STR("h")},
                              .target_half = {base, PANG_STR("h")},
                              .source = {changed(m, base, r->source), PANG_STR("s")},
                              .target = {changed(m, base, r->target), PANG_STR("t")}};
}

static const row rows[] = {
    {"nothing changed", NULL, NULL, SET("b", "2"), NULL, NULL, NULL, NULL},
    {"a property each", NULL, SET("a", "2"), SET("b", "2"), "{'properties':{'a':'2','b':'2'}}",
     NULL, NULL, "{'properties':{'a':'2','b':'1'}}"},
    {"one taken away", NULL, UNSET("a"), SET("b", "2"), "{'properties':{'a':'<absent>','b':'2'}}",
     NULL, NULL, NULL},
    {"one value on both", NULL, SET("a", "2"), SET("a", "2"), NULL, NULL, NULL, NULL},
    {"two values of one property", NULL, SET("a", "2"), SET("a", "3") "," SET("z", "1"), NULL,
     "property \"a\" was \"1\", is \"2\" in the source and \"3\" in the target",
     "{'conflicting_properties':['a'],'properties':[{'name':'a','base':'1','source':'2','target':"
     "'3'}]}",
     "{'properties':{'a':'2','z':'<absent>'}}"},
    {"a query here, a property there", NULL, REPLACE("two"), SET("a", "2"),
     "{'current-version-id':2,'versions':[" IS("1", "0", "one") "," IS(
         "2", "0", "two") "],"
                          "'properties':{'a':'2'},'version-log':[{'version-id':1},{'version-id':2,'"
                          "timestamp-ms':"
                          "1700000100000}]}",
     NULL, NULL, "{'properties':{'a':'1'},'current-version-id':2}"},
    {"a property here, a query there", NULL, SET("a", "2"), REPLACE("two"),
     "{'current-version-id':2,'properties':{'a':'2'},'version-log':[{'version-id':1},{'version-"
     "id':2}]}",
     NULL, NULL, NULL},
    {"the same query on both", NULL, REPLACE("two") "," SET("a", "2"), REPLACE("two"),
     "{'current-version-id':2,'versions':[" IS("1", "0", "one") "," IS("2", "0", "two") "]}", NULL,
     NULL, NULL},
    {"the same query by another engine", NULL,
     "{'action':'add-view-version','view-version':{'version-id':1,'timestamp-ms':1,'schema-id':0,"
     "'summary':{'engine-name':'f'},'default-namespace':['ns'],'representations':[" SQL(
         "spark", "two") "]}}," CURRENT("-1"),
     REPLACE("two"), NULL, NULL, NULL, NULL},
    {"versions of both, one of them current", NULL, REPLACE("two"), ADD("three"),
     "{'current-version-id':3,'versions':[" IS("1", "0", "one") "," IS("2", "0", "three") "," IS(
         "3", "0", "two") "],'version-log':[{'version-id':1},{'version-id':3}]}",
     NULL, NULL, NULL},
    {"a version here, another current there", NULL, ADD("two"), REPLACE("three"),
     "{'current-version-id':2,'versions':[" IS("1", "0", "one") "," IS("2", "0", "three") "," IS(
         "3", "0", "two") "],'version-log':[{'version-id':1},{'version-id':2}]}",
     NULL, NULL, NULL},
    {"a schema comes along under another number", NULL,
     ADD_SCHEMA "," ADD_OF("-1", SQL("spark", "two")) "," CURRENT("-1"),
     "{'action':'add-schema','schema':{'type':'struct','fields':[]}}," ADD_OF("-1",
                                                                              SQL("spark", "none")),
     "{'current-version-id':3,'schemas':[{'schema-id':0},{'schema-id':1,'fields':[]},{'schema-id':"
     "2,'fields':" OTHER_FIELDS "}],'versions':[{},{'schema-id':1}," IS("3", "2", "two") "]}",
     NULL, NULL, NULL},
    {"back to an earlier version", REPLACE("two"), CURRENT("1"), SET("a", "2"),
     "{'current-version-id':1,'properties':{'a':'2'},'versions':[" IS("1", "0", "one") "," IS(
         "2", "0", "two") "],'version-log':[{'version-id':1},{'version-id':2},{'version-id':1}]}",
     NULL, NULL, NULL},
    {"back to one that the target forgot", REPLACE("two"), CURRENT("1"),
     SET("version.history.num-entries", "1"),
     "{'current-version-id':3,'versions':[" IS("3", "0", "one") "],'version-log':[{'version-id':3}"
                                                                "]}",
     NULL, NULL, NULL},
    /* The one that was current stays before one that never was. */
    {"a short history", SET("version.history.num-entries", "2"), REPLACE("two"), ADD("three"),
     "{'current-version-id':3,'versions':[" IS("1", "0", "one") "," IS("3", "0", "two") "]}", NULL,
     NULL, NULL},
    {"place and uuid stay", NULL, "{'action':'set-location','location':'s3://b/w'}," SET("a", "2"),
     SET("b", "2"), "{'location':'s3://b/v','properties':{'a':'2','b':'2'}}", NULL, NULL,
     "{'location':'s3://b/w'}"},
    {"two queries", NULL, REPLACE("two") "," SET("a", "2"), REPLACE("three") "," SET("z", "1"),
     NULL,
     "both sides replaced the view: the source has version 2 (spark: \"two\"), the target version "
     "2 (spark: \"three\"), which differ in [\"representations\"]",
     "{'conflicting_properties':['current-version-id'],'differ':['representations'],'properties':["
     "{'name':'current-version-id','base':" IS("1", "0", "one") ",'source':" IS(
         "2", "0", "two") ",'target':{'version-id':2,'schema':{'fields':" FIELDS "},"
                          "'representations':[" SQL("spark", "three") "]}}]}",
     "{'current-version-id':3,'properties':{'a':'2','z':'<absent>'},'versions':[" IS(
         "1", "0", "one") "," IS("2", "0", "three") "," IS("3", "0", "two") "]}"},
    {"two schemas of one query", NULL,
     ADD_SCHEMA "," ADD_OF("-1", SQL("spark", "one")) "," CURRENT("-1"),
     "{'action':'add-schema','schema':{'type':'struct','fields':[]}}," ADD_OF(
         "-1", SQL("spark", "one")) "," CURRENT("-1"),
     NULL, "which differ in [\"schema\"]",
     "{'properties':[{'source':{'schema':{'fields':" OTHER_FIELDS
     "}},'target':{'schema':{'fields':[]}}}]}",
     "{'current-version-id':3}"},
    {"a dialect that only one side has", NULL,
     ADD_OF("0", SQL("spark", "one") "," SQL("trino", "uno")) "," CURRENT("-1"), REPLACE("two"),
     NULL, "the source has version 2 (spark: \"one\")", NULL, "{'current-version-id':3}"},
    {"a dialect that only the target has", NULL, REPLACE("two"),
     ADD_OF("0", SQL("spark", "one") "," SQL("trino", "uno")) "," CURRENT("-1"), NULL,
     "the target version 2 (spark: \"one\")", NULL,
     "{'current-version-id':3,'properties':{'replace.drop-dialect.allowed':'<absent>'}}"},
    {"the source takes a dialect away",
     ADD_OF("0", SQL("spark", "one") "," SQL("trino", "uno")) "," CURRENT("-1") "," SET(
         "replace.drop-dialect.allowed", "true"),
     REPLACE("two"), SET("replace.drop-dialect.allowed", "false"), NULL,
     "the merged view would not be valid: Cannot replace view due to loss of view dialects",
     "{'conflicting_properties':['current-version-id']}",
     "{'current-version-id':3,'properties':{'replace.drop-dialect.allowed':'true'}}"},
};

static void expect_conflict(model *m, const row *r, const pang_merge_outcome *outcome)
{
    pang_json *details;
    if (outcome->n_conflicts == 0)
        fail_msg("%s: no conflict", r->name);
    const pang_conflict *c = &outcome->conflicts[0];
    assert_null(outcome->document);
    assert_int_equal(c->type, PANG_CONFLICT_METADATA);
    if (memmem(c->description.ptr, c->description.len, r->conflict, strlen(r->conflict)) == NULL)
        fail_msg("%s: %.*s", r->name, (int)c->description.len, c->description.ptr);
    assert_int_equal(pang_json_parse(c->details, m->arena, &details, &m->err), PANG_OK);
    if (r->details != NULL)
        model_expect(m, details, r->details);
}

static void run_row(model *m, const row *r)
{
    pang_merge_table merge = documents(m, r);
    const char *target = model_text(m, merge.target.document);
    const char *source = model_text(m, merge.source.document);
    pang_merge_outcome outcome;
    pang_json *taken;
    if (pang_model_view_merge(&merge, &outcome, &m->err) != PANG_OK)
        fail_msg("%s: %s", r->name, m->err.message);
    if (r->conflict != NULL)
        expect_conflict(m, r, &outcome);
    else if (outcome.n_conflicts > 0)
        fail_msg("%s: %.*s", r->name, (int)outcome.conflicts[0].description.len,
                 outcome.conflicts[0].description.ptr);
    else if (r->want == NULL)
        assert_null(outcome.document);
    else
        model_expect(m, outcome.document, r->want);
    if (pang_model_view_take_source(&merge, &taken, &m->err) != PANG_OK)
        fail_msg("%s: %s", r->name, m->err.message);
    if (r->taken != NULL)
        model_expect(m, taken, r->taken);
    assert_string_equal(model_text(m, merge.target.document), target);
    assert_string_equal(model_text(m, merge.source.document), source);
}

static void test_model_view_merge__each_row(void **state)
{
    for (size_t i = 0; i < N(rows); i++)
        run_row(*state, &rows[i]);
}

/* Numbers of both sides went apart: versions are known by what they say. */
static void test_model_view_merge__once_more_after_a_merge(void **state)
{
    model *m = *state;
    row first = {"", NULL, REPLACE("two"), ADD("three"), NULL, NULL, NULL, NULL};
    pang_merge_table merge = documents(m, &first);
    pang_merge_outcome outcome;
    assert_int_equal(pang_model_view_merge(&merge, &outcome, &m->err), PANG_OK);
    merge.source_half = merge.source;
    merge.target_half = merge.target = (pang_merge_state){outcome.document, PANG_STR("u")};
    merge.source.document = changed(m, merge.source.document, REPLACE("four"));
    merge.source.location = PANG_STR("s2");
    assert_int_equal(pang_model_view_merge(&merge, &outcome, &m->err), PANG_OK);
    model_expect(m, outcome.document,
                 "{'current-version-id':4,'versions':[" IS("1", "0", "one") "," IS(
                     "2", "0", "three") "," IS("3", "0", "two") "," IS("4", "0", "four") "]}");
}

/* A revert: the source is what was before, its half and the target what came of it. */
static void test_model_view_merge__a_change_is_taken_back(void **state)
{
    model *m = *state;
    row r = {"", NULL, REPLACE("two") "," SET("a", "2"), NULL, NULL, NULL, NULL, NULL};
    pang_merge_table merge = documents(m, &r);
    pang_merge_state before = merge.source_half, after = merge.source;
    pang_merge_outcome outcome;
    merge.source = before;
    merge.source_half = merge.target_half = after;
    merge.target = (pang_merge_state){changed(m, after.document, SET("b", "2")), PANG_STR("t")};
    assert_int_equal(pang_model_view_merge(&merge, &outcome, &m->err), PANG_OK);
    model_expect(m, outcome.document,
                 "{'current-version-id':1,'properties':{'a':'1','b':'2'},'versions':[{},{}],"
                 "'version-log':[{'version-id':1},{'version-id':2},{'version-id':1}]}");
}

static const char *many(model *m, unsigned n)
{
    pang_buf text = {.arena = m->arena};
    pang_buf_printf(&text, "%s", SET("version.history.num-entries", "500"));
    for (unsigned i = 0; i < n; i++)
        pang_buf_printf(&text, ",%s%u%s",
                        "{'action':'add-view-version','view-version':"
                        "{'version-id':1,'timestamp-ms':1,'schema-id':0,"
                        "'summary':{},'default-namespace':[],"
                        "'representations':[{'type':'sql','dialect':'spark','sql':'q",
                        i, "'}]}}");
    pang_buf_add_char(&text, '\0');
    return pang_buf_str(&text).ptr;
}

/* As many as one commit takes, the newest of them, and the one that is current. */
static void test_model_view_merge__more_versions_than_a_commit_takes(void **state)
{
    model *m = *state;
    row r = {"",          SET("version.history.num-entries", "500"),
             many(m, 90), SET("a", "2"),
             NULL,        NULL,
             NULL,        NULL};
    pang_merge_table merge = documents(m, &r);
    pang_merge_outcome outcome;
    merge.source.document = changed(m, merge.source.document, CURRENT("2"));
    merge.source.document = changed(m, merge.source.document, many(m, 90) /* the same again */);
    for (int i = 0; i < 30; i++)
        merge.source.document = changed(
            m, merge.source.document,
            pang_arena_printf(m->arena,
                              "{'action':'add-view-version','view-version':{'version-id':1,"
                              "'timestamp-ms':1,'schema-id':0,'summary':{},'default-namespace':[],"
                              "'representations':[{'type':'sql','dialect':'spark','sql':'r%d'}]}}",
                              i)
                .ptr);
    assert_int_equal(pang_json_size(pang_json_get(merge.source.document, "versions")), 121);
    assert_int_equal(pang_model_view_merge(&merge, &outcome, &m->err), PANG_OK);
    assert_int_equal(outcome.n_conflicts, 0);
    assert_int_equal(pang_json_size(pang_json_get(outcome.document, "versions")), 101);
    model_expect(m, outcome.document, "{'current-version-id':2}");
}

/* A query that is longer than a person reads is cut where it is told. */
static void test_model_view_merge__long_queries_are_cut(void **state)
{
    model *m = *state;
    pang_merge_outcome outcome;
    char *sql = pang_arena_alloc(m->arena, 200001);
    memset(sql, 'q', 200000);
    sql[200000] = '\0';
    const char *long_one = pang_arena_printf(
                               m->arena,
                               ADD_OF(
                                   "0",
                                   "{'type':'sql','dialect':'spark','sql':'%s'}") "," CURRENT("-1"),
                               sql)
                               .ptr;
    row r = {"", NULL, long_one, REPLACE("two"), NULL, NULL, NULL, NULL};
    pang_merge_table merge = documents(m, &r);
    assert_int_equal(pang_model_view_merge(&merge, &outcome, &m->err), PANG_OK);
    assert_int_equal(outcome.n_conflicts, 1);
    assert_true(outcome.conflicts[0].details.len < 70000);
    assert_true(outcome.conflicts[0].description.len < 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_view_merge__each_row),
        MODEL_TEST(test_model_view_merge__once_more_after_a_merge),
        MODEL_TEST(test_model_view_merge__a_change_is_taken_back),
        MODEL_TEST(test_model_view_merge__more_versions_than_a_commit_takes),
        MODEL_TEST(test_model_view_merge__long_queries_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
