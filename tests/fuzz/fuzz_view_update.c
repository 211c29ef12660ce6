/*
 * View updates: the first byte says what the rest is. u: updates of a view. c: the version of a
 * create. d: a document from a file.
 *
 * Whatever comes out is a valid document that is the same after printing and parsing, and a base
 * for the same updates again; the base is untouched. What it becomes merges with what another side
 * did to the same view, either way round, or conflicts.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "server/model_view.h"
#include "server/model_view_merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 1 << 26 };

static const char schema_text[] =
    "{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":0,\"name\":\"id\",\"required\":false,\"type\":\"long\"}]}";
static const char view_text[] =
    "{\"view-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"format-version\":1,"
    "\"location\":\"s3://b/v\",\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":0,\"name\":\"id\",\"required\":false,\"type\":\"long\"}]}],\"current-version-id\":2,"
    "\"versions\":[{\"version-id\":1,\"timestamp-ms\":1699999000000,\"schema-id\":0,\"summary\":{},"
    "\"default-namespace\":[\"n\"],\"representations\":[{\"type\":\"sql\",\"sql\":\"a\","
    "\"dialect\":\"spark\"}]},{\"version-id\":2,\"timestamp-ms\":1699999500000,\"schema-id\":0,"
    "\"summary\":{},\"default-namespace\":[\"n\"],\"representations\":[{\"type\":\"sql\","
    "\"sql\":\"b\",\"dialect\":\"spark\"}]}],\"version-log\":[{\"timestamp-ms\":1699999000000,"
    "\"version-id\":1},{\"timestamp-ms\":1699999500000,\"version-id\":2}],"
    "\"properties\":{\"version.history.num-entries\":\"2\"}}";

typedef struct {
    pang_arena *arena;
    pang_env env;
    pang_env_fixed clock;
} run;

static pang_json *must_parse(run *r, pang_str text)
{
    pang_json *value = NULL;
    pang_code code = pang_json_parse(text, r->arena, &value, NULL);
    assert(code == PANG_OK);
    return value;
}

static void check_document(run *r, const pang_json *document)
{
    pang_err err = {0};
    pang_str text;
    pang_model_file file;
    pang_model_facts facts;
    pang_model_view_short says;
    pang_code code = pang_json_print(document, r->arena, &text, &err);
    assert(code == PANG_OK);
    assert(pang_json_equal(must_parse(r, text), document));
    code = pang_model_view_check(document, r->arena, &err);
    assert(code == PANG_OK);
    code = pang_model_file_name(document, (pang_str){0}, (pang_str){0}, &r->env, r->arena, &file,
                                &err);
    assert(code == PANG_OK);
    pang_model_view_facts_of(document, &facts);
    pang_model_view_shorten(document, &says);
    assert(facts.location.len > 0);
}

static const pang_json *commit(run *r, const pang_json *base, const pang_json *updates)
{
    pang_err err = {0};
    pang_str before, after;
    pang_model_outcome outcome;
    pang_model_change change = {.base = base, .updates = updates};
    pang_code code = pang_json_print(base, r->arena, &before, &err);
    assert(code == PANG_OK);
    code = pang_model_view_commit(&change, &r->env, r->arena, &outcome, &err);
    assert(pang_json_print(base, r->arena, &after, NULL) == PANG_OK);
    assert(pang_str_equal(before, after));
    if (code != PANG_OK) {
        assert(code == PANG_INVALID_ARGUMENT || code == PANG_FAILED_PRECONDITION);
        assert(err.reason != NULL && err.message[0] != '\0');
        return NULL;
    }
    check_document(r, outcome.document);
    return outcome.document;
}

/* `one` as the source and what another side made of the same view as the target, and the other way
 * round. */
static void merge(run *r, const pang_json *half, const pang_json *one, const pang_json *other)
{
    pang_merge_table both[] = {
        {.source = {.document = one}, .target = {.document = other}},
        {.source = {.document = other}, .target = {.document = one}},
    };
    for (size_t i = 0; i < 2; i++) {
        pang_merge_outcome outcome;
        pang_json *taken;
        pang_err err = {0};
        both[i].env = &r->env;
        both[i].arena = r->arena;
        both[i].source_half.document = both[i].target_half.document = half;
        pang_code code = pang_model_view_merge(&both[i], &outcome, &err);
        assert(code == PANG_OK);
        assert(outcome.document == NULL || outcome.n_conflicts == 0);
        if (outcome.document != NULL)
            check_document(r, outcome.document);
        code = pang_model_view_take_source(&both[i], &taken, &err);
        assert(code == PANG_OK || code == PANG_INVALID_ARGUMENT);
        if (code == PANG_OK)
            check_document(r, taken);
    }
}

static void merge_with_another(run *r, const pang_json *half, const pang_json *next)
{
    static const char updates[] =
        "[{\"action\":\"set-properties\",\"updates\":{\"a\":\"1\"}},{\"action\":"
        "\"add-view-version\",\"view-version\":{\"version-id\":1,\"timestamp-ms\":1,"
        "\"schema-id\":0,\"summary\":{},\"default-namespace\":[],\"representations\":[{\"type\":"
        "\"sql\",\"sql\":\"z\",\"dialect\":\"spark\"}]}}]";
    static const char current[] =
        "[{\"action\":\"set-current-view-version\",\"view-version-id\":3}]";
    const pang_json *other = commit(r, half, must_parse(r, pang_str_from(updates)));
    merge(r, half, next, other);
    merge(r, half, next, commit(r, other, must_parse(r, pang_str_from(current))));
}

static void update(run *r, const pang_json *updates)
{
    const pang_json *base = must_parse(r, pang_str_from(view_text));
    const pang_json *next = commit(r, base, updates);
    if (next == NULL)
        return;
    (void)commit(r, next, updates);
    merge_with_another(r, base, next);
}

static void create(run *r, const pang_json *version)
{
    pang_err err = {0};
    pang_json *document;
    pang_model_new_view request = {
        .schema = must_parse(r, pang_str_from(schema_text)),
        .version = version,
        .location = PANG_STR("s3://b/v"),
    };
    if (pang_model_view_create(&request, &r->env, r->arena, &document, &err) == PANG_OK)
        check_document(r, document);
    else
        assert(err.code == PANG_INVALID_ARGUMENT);
}

static void from_file(run *r, const pang_json *document)
{
    static const char updates[] =
        "[{\"action\":\"add-view-version\",\"view-version\":{\"version-id\":1,\"timestamp-ms\":1,"
        "\"schema-id\":0,\"summary\":{},\"default-namespace\":[],\"representations\":[]}},"
        "{\"action\":\"set-current-view-version\",\"view-version-id\":-1}]";
    if (pang_model_view_check(document, r->arena, NULL) != PANG_OK)
        return;
    (void)commit(r, document, must_parse(r, pang_str_from(updates)));
    merge_with_another(r, must_parse(r, pang_str_from(view_text)), document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run r = {.arena = pang_arena_new(ARENA_BYTES), .clock = {1700000100000, 0, 3}};
    pang_json *input;
    r.env = pang_env_from_fixed(&r.clock);
    if (r.arena == NULL || size < 2 || size > 1 << 16)
        goto out;
    pang_str text = {(const char *)data + 1, size - 1};
    if (pang_json_parse(text, r.arena, &input, NULL) != PANG_OK)
        goto out;
    if (data[0] == 'u')
        update(&r, input);
    if (data[0] == 'c')
        create(&r, input);
    if (data[0] == 'd')
        from_file(&r, input);
out:
    pang_arena_free(r.arena);
    return 0;
}
