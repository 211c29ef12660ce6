/*
 * The fixture's table is text: what a test does not show is here to be read.
 */
#include "model_fixture.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_BYTES = 256 << 20 };

int model_setup(void **state)
{
    static model m;
    m = (model){.arena = pang_arena_new(ARENA_BYTES), .clock = {MODEL_NOW, 0, 7}};
    m.env = pang_env_from_fixed(&m.clock);
    *state = &m;
    return m.arena == NULL;
}

int model_teardown(void **state)
{
    model *m = *state;
    pang_arena_free(m->arena);
    return 0;
}

pang_json *model_json(model *m, const char *text)
{
    pang_json *value = NULL;
    char *copy = pang_arena_cstr(m->arena, pang_str_from(text));
    assert_non_null(copy);
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    if (pang_json_parse(pang_str_from(copy), m->arena, &value, &m->err) != PANG_OK)
        fail_msg("%s: %s", text, m->err.message);
    return value;
}

const char *model_text(model *m, const pang_json *value)
{
    pang_str text;
    assert_int_equal(pang_json_print(value, m->arena, &text, &m->err), PANG_OK);
    return pang_arena_cstr(m->arena, text);
}

static const char schema_text[] =
    "{'type':'struct','schema-id':0,'fields':["
    "{'id':1,'name':'id','required':true,'type':'long'},"
    "{'id':2,'name':'data','required':false,'type':'string'},"
    "{'id':3,'name':'ts','required':false,'type':'timestamptz'},"
    "{'id':4,'name':'point','required':true,'type':{'type':'struct','fields':["
    "{'id':5,'name':'x','required':true,'type':'double'},"
    "{'id':6,'name':'y','required':false,'type':'double'}]}},"
    "{'id':7,'name':'tags','required':false,'type':{'type':'list','element-id':8,"
    "'element':'string','element-required':false}}]}";

static const char history_text[] =
    "'current-snapshot-id':20,"
    "'refs':{'main':{'snapshot-id':20,'type':'branch'},'old':{'snapshot-id':10,'type':'tag'}},"
    "'snapshots':["
    "{'snapshot-id':10,%s'timestamp-ms':1699999000000,'manifest-list':'s3://b/t/metadata/10.avro',"
    "'summary':{'operation':'append'},'schema-id':0},"
    "{'snapshot-id':20,'parent-snapshot-id':10,%s'timestamp-ms':1699999500000,"
    "'manifest-list':'s3://b/t/metadata/20.avro','summary':{'operation':'append'},'schema-id':0}],"
    "'snapshot-log':[{'timestamp-ms':1699999000000,'snapshot-id':10},"
    "{'timestamp-ms':1699999500000,'snapshot-id':20}],"
    "'metadata-log':[{'timestamp-ms':1699999000000,"
    "'metadata-file':'s3://b/t/metadata/00006-aa.metadata.json'}],"
    "'statistics':[{'snapshot-id':10,'statistics-path':'s3://b/t/s10','file-size-in-bytes':1,"
    "'file-footer-size-in-bytes':1,'blob-metadata':[]},{'snapshot-id':20,"
    "'statistics-path':'s3://b/t/s20','file-size-in-bytes':1,'file-footer-size-in-bytes':1,"
    "'blob-metadata':[]}],"
    "'partition-statistics':[{'snapshot-id':10,'statistics-path':'s3://b/t/p10',"
    "'file-size-in-bytes':1}],";

const pang_json *model_table(model *m, int version)
{
    pang_buf text = {.arena = m->arena};
    const char *s10 = version == 1 ? "" : "'sequence-number':1,";
    const char *s20 = version == 1 ? "" : "'sequence-number':2,";
    const char *r10 = version == 3 ? "'first-row-id':0,'added-rows':50," : "";
    const char *r20 = version == 3 ? "'first-row-id':50,'added-rows':50," : "";
    pang_buf_printf(&text,
                    "{'format-version':%d,'table-uuid':'9c12d441-03fe-4693-9a96-a0705ddf69c1',"
                    "'location':'s3://b/t','last-updated-ms':1700000000000,'last-column-id':8,",
                    version);
    if (version > 1)
        pang_buf_add(&text, PANG_STR("'last-sequence-number':2,"));
    if (version > 2)
        pang_buf_add(&text, PANG_STR("'next-row-id':100,"));
    pang_buf_printf(&text, "'schemas':[%s],'current-schema-id':0,", schema_text);
    pang_buf_printf(&text, history_text, pang_arena_printf(m->arena, "%s%s", s10, r10).ptr,
                    pang_arena_printf(m->arena, "%s%s", s20, r20).ptr);
    pang_buf_add(&text, PANG_STR("'partition-specs':[{'spec-id':0,'fields':[]}],"
                                 "'default-spec-id':0,'last-partition-id':999,"
                                 "'sort-orders':[{'order-id':0,'fields':[]}],"
                                 "'default-sort-order-id':0,'properties':{'a':'1'},"
                                 "'unknown':{'kept':[1.50]}}"));
    assert_false(text.failed);
    const pang_json *table = model_json(m, pang_arena_cstr(m->arena, pang_buf_str(&text)));
    if (version > 1 && pang_model_check(table, m->arena, &m->err) != PANG_OK)
        fail_msg("the fixture's own table: %s", m->err.message);
    return table;
}

pang_code model_commit(model *m, const pang_json *base, const char *requirements,
                       const char *updates, pang_model_outcome *ret)
{
    pang_model_change change = {
        .base = base,
        .base_location = base == NULL ? PANG_STR("") : PANG_STR(MODEL_FILE),
        .requirements = requirements == NULL ? NULL : model_json(m, requirements),
        .updates = updates == NULL ? NULL : model_json(m, updates),
    };
    const char *before = base == NULL ? "" : model_text(m, base);
    m->err = (pang_err){0};
    pang_code code = pang_model_commit(&change, &m->env, m->arena, ret, &m->err);
    if (base != NULL)
        assert_string_equal(model_text(m, base), before);
    if (code == PANG_OK && ret->changed &&
        pang_model_check(ret->document, m->arena, &m->err) != PANG_OK)
        fail_msg("no valid table: %s\n%s", m->err.message, model_text(m, ret->document));
    return code;
}

const pang_json *model_changed(model *m, const pang_json *base, const char *updates)
{
    pang_model_outcome outcome;
    if (model_commit(m, base, NULL, updates, &outcome) != PANG_OK)
        fail_msg("%s: %s", updates, m->err.message);
    assert_true(outcome.changed);
    return outcome.document;
}

bool model_matches(const pang_json *value, const pang_json *pattern)
{
    pang_json_members it = {.object = pattern};
    pang_str name, text;
    pang_json *inner;
    if (pang_json_to_str(pattern, &text) && pang_str_equal(text, PANG_STR("*")))
        return value != NULL;
    if (pang_json_to_str(pattern, &text) && pang_str_equal(text, PANG_STR("<absent>")))
        return value == NULL;
    if (pang_json_type_of(pattern) == PANG_JSON_IS_OBJECT) {
        while (pang_json_next(&it, &name, &inner)) {
            if (!model_matches(pang_json_get_str(value, name), inner))
                return false;
        }
        return pang_json_type_of(value) == PANG_JSON_IS_OBJECT;
    }
    if (pang_json_type_of(pattern) != PANG_JSON_IS_ARRAY)
        return value != NULL && pang_json_equal(value, pattern);
    for (size_t i = 0; i < pang_json_size(pattern); i++) {
        if (!model_matches(pang_json_at(value, i), pang_json_at(pattern, i)))
            return false;
    }
    return pang_json_size(value) == pang_json_size(pattern) &&
           pang_json_type_of(value) == PANG_JSON_IS_ARRAY;
}

void model_expect(model *m, const pang_json *value, const char *pattern)
{
    if (!model_matches(value, model_json(m, pattern)))
        fail_msg("no match for %s\nin %s", pattern, model_text(m, value));
}

static void run_one(model *m, const model_case *c)
{
    pang_model_outcome outcome = {0};
    pang_code code = model_commit(m, model_table(m, c->version), NULL, c->updates, &outcome);
    if (code != c->code)
        fail_msg("%s: %s %s", c->name, pang_code_name(code), m->err.message);
    if (code != PANG_OK) {
        if (c->want != NULL && strstr(m->err.message, c->want) == NULL)
            fail_msg("%s: message is: %s", c->name, m->err.message);
        if (c->reason != NULL && (m->err.reason == NULL || strcmp(m->err.reason, c->reason) != 0))
            fail_msg("%s: reason is %s", c->name, m->err.reason);
        return;
    }
    if (outcome.changed != (c->want != NULL))
        fail_msg("%s: %s", c->name, outcome.changed ? "changed" : "unchanged");
    if (c->want != NULL && !model_matches(outcome.document, model_json(m, c->want)))
        fail_msg("%s: no match for %s\nin %s", c->name, c->want, model_text(m, outcome.document));
}

void model_run(model *m, const model_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        run_one(m, &cases[i]);
        pang_arena_reset(m->arena);
    }
}
