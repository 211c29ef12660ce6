/*
 * server/model_create.c, model_fresh.c: new tables, plain and staged: ids, properties, versions.
 */
#include "model_fixture.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

typedef struct {
    const char *name, *schema, *spec, *order, *properties;
    const char *want;    /* a pattern of the document; NULL: refused */
    const char *message; /* part of it */
} row;

#define SCHEMA(fields) "{'type':'struct','schema-id':7,'fields':[" fields "]}"
#define ID "{'id':100,'name':'id','required':true,'type':'long'}"
#define DATA "{'id':90,'name':'data','required':false,'type':'string'}"

static pang_code create(model *m, const row *r, pang_json **ret)
{
    pang_model_new request = {
        .schema = r->schema == NULL ? NULL : model_json(m, r->schema),
        .partition_spec = r->spec == NULL ? NULL : model_json(m, r->spec),
        .write_order = r->order == NULL ? NULL : model_json(m, r->order),
        .properties = r->properties == NULL ? NULL : model_json(m, r->properties),
        .location = PANG_STR("file:/w/ns/t/"),
    };
    m->err = (pang_err){0};
    return pang_model_create(&request, &m->env, m->arena, ret, &m->err);
}

static void run(model *m, const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        pang_json *document = NULL;
        pang_code code = create(m, &rows[i], &document);
        if (code != (rows[i].want == NULL ? PANG_INVALID_ARGUMENT : PANG_OK))
            fail_msg("%s: %s", rows[i].name, m->err.message);
        if (rows[i].want != NULL) {
            model_expect(m, document, rows[i].want);
            if (pang_model_check(document, m->arena, &m->err) != PANG_OK)
                fail_msg("%s: %s", rows[i].name, m->err.message);
        } else if (strstr(m->err.message, rows[i].message) == NULL) {
            fail_msg("%s: %s", rows[i].name, m->err.message);
        }
    }
}

static void test_model_create__ids_are_fresh(void **state)
{
    static const row rows[] = {
        {"fields of a level first, then what they hold",
         "{'type':'struct','schema-id':7,'identifier-field-ids':[100],'fields':[" ID "," DATA ","
         "{'id':80,'name':'l','required':false,'type':{'type':'list','element-id':81,"
         "'element':'string','element-required':false}},"
         "{'id':70,'name':'m','required':false,'type':{'type':'map','key-id':71,'key':'string',"
         "'value-id':72,'value':'long','value-required':false}},"
         "{'id':60,'name':'s','required':false,'type':{'type':'struct','fields':["
         "{'id':61,'name':'v','required':false,'type':'double'}]}}]}",
         NULL, NULL, NULL,
         "{'last-column-id':9,'current-schema-id':0,'schemas':[{'schema-id':0,"
         "'identifier-field-ids':[1],'fields':[{'id':1,'name':'id'},{'id':2,'name':'data'},"
         "{'id':3,'type':{'element-id':6}},{'id':4,'type':{'key-id':7,'value-id':8}},"
         "{'id':5,'type':{'fields':[{'id':9}]}}]}]}",
         NULL},
        {"key, value, inside the key, inside the value",
         SCHEMA("{'id':1,'name':'m','required':false,'type':{'type':'map','key-id':2,'value-id':3,"
                "'value-required':false,'key':{'type':'struct','fields':[{'id':4,'name':'a','"
                "required':"
                "true,'type':'int'},{'id':5,'name':'b','required':true,'type':{'type':'list',"
                "'element-id':6,'element':'int','element-required':true}}]},'value':{'type':'list',"
                "'element-id':7,'element-required':false,'element':{'type':'struct','fields':["
                "{'id':8,'name':'c','required':true,'type':'int'}]}}}}," ID),
         NULL, NULL, NULL,
         "{'last-column-id':9,'schemas':[{'fields':[{'id':1,'type':{'key-id':3,'value-id':4,"
         "'key':{'fields':[{'id':5},{'id':6,'type':{'element-id':7}}]},'value':{'element-id':8,"
         "'element':{'fields':[{'id':9}]}}}},{'id':2,'name':'id'}]}]}",
         NULL},
        {"spec and order follow their columns", SCHEMA(ID "," DATA),
         "{'spec-id':4,'fields':[{'source-id':90,'field-id':7,'name':'data','transform':'identity'}"
         ","
         "{'source-id':100,'field-id':3,'name':'b','transform':'bucket[4]'}]}",
         "{'order-id':9,'fields':[{'source-id':90,'transform':'identity','direction':'ASC',"
         "'null-order':'nulls-first'}]}",
         NULL,
         "{'partition-specs':[{'spec-id':0,'fields':[{'source-id':2,'field-id':1000,'name':'data',"
         "'transform':'identity'},{'source-id':1,'field-id':1001}]}],'default-spec-id':0,"
         "'last-partition-id':1001,'sort-orders':[{'order-id':1,'fields':[{'source-id':2,"
         "'transform':'identity','direction':'asc','null-order':'nulls-first'}]}],"
         "'default-sort-order-id':1}",
         NULL},
        {"neither spec nor order", SCHEMA(ID), NULL, NULL, NULL,
         "{'partition-specs':[{'spec-id':0,'fields':[]}],'default-spec-id':0,"
         "'last-partition-id':999,'sort-orders':[{'order-id':0,'fields':[]}],"
         "'default-sort-order-id':0}",
         NULL},
        {"both empty", SCHEMA(ID), "{'spec-id':0,'fields':[]}", "{'order-id':0,'fields':[]}", NULL,
         "{'last-partition-id':999,'sort-orders':[{'order-id':0}]}", NULL},
        {"both null", SCHEMA(ID), "null", "null", "null", "{'last-partition-id':999}", NULL},
        {"no columns", SCHEMA(""), NULL, NULL, NULL, "{'last-column-id':0}", NULL},
    };
    run(*state, rows, N(rows));
}

static void test_model_create__the_rest_of_the_document(void **state)
{
    model *m = *state;
    pang_json *document = NULL;
    const row r = {.schema = SCHEMA(ID)};
    assert_int_equal(create(m, &r, &document), PANG_OK);
    model_expect(m, document,
                 "{'format-version':2,'table-uuid':'*','location':'file:/w/ns/t',"
                 "'last-sequence-number':0,'last-updated-ms':1700000100000,"
                 "'properties':{'write.parquet.compression-codec':'zstd','created-at':'<absent>'},"
                 "'current-snapshot-id':-1,'refs':{},'snapshots':[],'statistics':[],"
                 "'partition-statistics':[],'snapshot-log':[],'metadata-log':[],"
                 "'schema':'<absent>','next-row-id':'<absent>'}");
    pang_model_facts facts;
    pang_model_facts_of(document, &facts);
    assert_int_equal(facts.table_uuid.len, 36);
    pang_json *other = NULL;
    assert_int_equal(create(m, &r, &other), PANG_OK);
    assert_false(
        pang_json_equal(pang_json_get(document, "table-uuid"), pang_json_get(other, "table-uuid")));
}

static void test_model_create__properties(void **state)
{
    static const row rows[] = {
        {"reserved ones are dropped, others stay", SCHEMA(ID), NULL, NULL,
         "{'format-version':'2','uuid':'x','snapshot-count':'1','current-snapshot-summary':'1',"
         "'current-snapshot-id':'1','current-snapshot-timestamp-ms':'1','current-schema':'1',"
         "'default-partition-spec':'1','default-sort-order':'1','mine':'stays'}",
         "{'properties':{'format-version':'<absent>','uuid':'<absent>','snapshot-count':'<absent>',"
         "'current-snapshot-summary':'<absent>','current-snapshot-id':'<absent>',"
         "'current-snapshot-timestamp-ms':'<absent>','current-schema':'<absent>',"
         "'default-partition-spec':'<absent>','default-sort-order':'<absent>','mine':'stays'}}",
         NULL},
        {"the client's codec", SCHEMA(ID), NULL, NULL,
         "{'write.parquet.compression-codec':'snappy'}",
         "{'properties':{'write.parquet.compression-codec':'snappy'}}", NULL},
        {"version 1", SCHEMA(ID), NULL, NULL, "{'format-version':'1'}",
         "{'format-version':1,'schema':{'fields':[{'id':1}]},'partition-spec':[],'schemas':[{}],"
         "'last-sequence-number':'<absent>','current-snapshot-id':-1}",
         NULL},
        {"version 3", SCHEMA("{'id':1,'name':'v','required':false,'type':'variant'}"), NULL, NULL,
         "{'format-version':'3','encryption.key-id':'k'}",
         "{'format-version':3,'next-row-id':0,'current-snapshot-id':'<absent>'}", NULL},
        {"version 9", SCHEMA(ID), NULL, NULL, "{'format-version':'9'}", NULL,
         "Unsupported format version: v9 (supported: v3)"},
        {"version 0", SCHEMA(ID), NULL, NULL, "{'format-version':'0'}", NULL, "v0"},
        {"version two", SCHEMA(ID), NULL, NULL, "{'format-version':'two'}", NULL, "two"},
        {"retries", SCHEMA(ID), NULL, NULL, "{'commit.retry.num-retries':'0'}",
         "{'properties':{'commit.retry.num-retries':'0'}}", NULL},
        {"many retries", SCHEMA(ID), NULL, NULL, "{'commit.retry.num-retries':'many'}", NULL,
         "Table property commit.retry.num-retries must have integer value"},
        {"negative waits", SCHEMA(ID), NULL, NULL, "{'commit.retry.min-wait-ms':'-1'}", NULL,
         "must have non negative integer value"},
        {"metrics of a column",
         SCHEMA("{'id':1,'name':'l','required':false,'type':{'type':'list',"
                "'element-id':2,'element-required':false,'element':{'type':'struct','fields':["
                "{'id':3,'name':'x','required':false,'type':'int'}]}}}"),
         NULL, NULL,
         "{'write.metadata.metrics.column.l':'full','write.metadata.metrics.column.l.element.x':"
         "'none','write.metadata.metrics.column.l.x':'counts'}",
         "{}", NULL},
        {"metrics of no column", SCHEMA(ID), NULL, NULL,
         "{'write.metadata.metrics.column.other':'full'}", NULL, "could not find column other"},
        {"encryption before version 3", SCHEMA(ID), NULL, NULL, "{'encryption.key-id':'k'}", NULL,
         "not supported until v3"},
        {"of a number", SCHEMA(ID), NULL, NULL, "{'a':1}", NULL, "properties.a: must be a string"},
        {"of no object", SCHEMA(ID), NULL, NULL, "[]", NULL, "properties: must be an object"},
    };
    run(*state, rows, N(rows));
}

static void test_model_create__refused(void **state)
{
    static const row rows[] = {
        {"no schema", NULL, NULL, NULL, NULL, NULL, "schema: is missing"},
        {"schema of a list", "[]", NULL, NULL, NULL, NULL, "schema: must be an object"},
        {"unknown type", SCHEMA("{'id':1,'name':'x','required':false,'type':'quaternion'}"), NULL,
         NULL, NULL, NULL, "quaternion"},
        {"no id", SCHEMA("{'name':'x','required':false,'type':'int'}"), NULL, NULL, NULL, NULL,
         "schema.fields[0].id: is missing"},
        {"variant in version 2", SCHEMA("{'id':1,'name':'v','required':false,'type':'variant'}"),
         NULL, NULL, NULL, NULL,
         "Invalid schema for v2:\n- Invalid type for v: variant is not supported "
         "until v3"},
        {"spec without source", SCHEMA(ID),
         "{'fields':[{'source-id':5,'name':'p','transform':'void'}]}", NULL, NULL, NULL,
         "Cannot find source column for partition field"},
        {"spec that does not apply", SCHEMA(DATA),
         "{'fields':[{'source-id':90,'name':'p','transform':'day'}]}", NULL, NULL, NULL,
         "Invalid source type string for transform: day"},
        {"spec with a column's name", SCHEMA(ID "," DATA),
         "{'fields':[{'source-id':90,'name':'id','transform':'identity'}]}", NULL, NULL, NULL,
         "name that exists in schema: id"},
        {"spec of a wrong form", SCHEMA(ID), "{'fields':[{'source-id':'x'}]}", NULL, NULL, NULL,
         "partition-spec.fields[0].source-id: must be an integer"},
        {"order without source", SCHEMA(ID), NULL,
         "{'fields':[{'source-id':5,'transform':'identity',"
         "'direction':'asc','null-order':'nulls-first'}]}",
         NULL, NULL, "(5)"},
        {"order of a wrong form", SCHEMA(ID), NULL, "{'order-id':1}", NULL, NULL,
         "write-order.fields: is missing"},
    };
    run(*state, rows, N(rows));
}

static void test_model_create__staged(void **state)
{
    model *m = *state;
    pang_json *document = NULL;
    pang_model_new request = {
        .schema = model_json(m, SCHEMA(ID)), .location = PANG_STR("s3://b/t"), .staged = true};
    assert_int_equal(pang_model_create(&request, &m->env, m->arena, &document, &m->err), PANG_OK);
    model_expect(m, document, "{'properties':{'created-at':'2023-11-14T22:15:00.000Z'}}");
    request.properties = model_json(m, "{'created-at':'mine'}");
    assert_int_equal(pang_model_create(&request, &m->env, m->arena, &document, &m->err), PANG_OK);
    model_expect(m, document, "{'properties':{'created-at':'mine'}}");
}

static void test_model_create__needs_a_location(void **state)
{
    model *m = *state;
    pang_json *document = NULL;
    pang_model_new request = {.schema = model_json(m, SCHEMA(ID))};
    assert_int_equal(pang_model_create(&request, &m->env, m->arena, &document, &m->err),
                     PANG_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MODEL_TEST(test_model_create__ids_are_fresh),
        MODEL_TEST(test_model_create__the_rest_of_the_document),
        MODEL_TEST(test_model_create__properties),
        MODEL_TEST(test_model_create__refused),
        MODEL_TEST(test_model_create__staged),
        MODEL_TEST(test_model_create__needs_a_location),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
