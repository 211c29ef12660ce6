/*
 * Metadata updates: the first byte says what the rest is. Digits: updates over a table of that
 * version. n: updates that make a table. c: the schema of a create. d: a document from a file.
 *
 * Whatever comes out is a valid document: it passes the check of files, is the same after printing
 * and parsing, and has gone back in nothing; the base is untouched.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "server/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 1 << 26 };

#define FILE_NAME "s3://b/t/metadata/00007-aa.metadata.json"

static const char table_head[] =
    "\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"s3://b/t\","
    "\"last-updated-ms\":1700000000000,\"last-column-id\":8,\"schemas\":[{\"type\":\"struct\","
    "\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"data\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":3,\"name\":\"ts\",\"required\":false,\"type\":\"timestamptz\"},"
    "{\"id\":7,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":8,"
    "\"element\":\"string\",\"element-required\":false}}]}],\"current-schema-id\":0,"
    "\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":\"d\",\"transform\":\"day\","
    "\"source-id\":3,\"field-id\":1000}]}],\"default-spec-id\":0,\"last-partition-id\":1000,"
    "\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],\"default-sort-order-id\":0,"
    "\"properties\":{\"a\":\"1\"},\"current-snapshot-id\":20,"
    "\"refs\":{\"main\":{\"snapshot-id\":20,\"type\":\"branch\"},"
    "\"old\":{\"snapshot-id\":10,\"type\":\"tag\"}},\"snapshots\":["
    "{\"snapshot-id\":10,\"sequence-number\":1,\"timestamp-ms\":1699999000000,"
    "\"manifest-list\":\"s3://b/t/10\",\"summary\":{\"operation\":\"append\"}},"
    "{\"snapshot-id\":20,\"sequence-number\":2,\"timestamp-ms\":1699999500000,"
    "\"manifest-list\":\"s3://b/t/20\",\"summary\":{\"operation\":\"append\"}}],"
    "\"snapshot-log\":[{\"timestamp-ms\":1699999000000,\"snapshot-id\":10},"
    "{\"timestamp-ms\":1699999500000,\"snapshot-id\":20}]}";

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

static int64_t number(const pang_json *document, const char *name)
{
    int64_t value = 0;
    (void)pang_json_to_int64(pang_json_get(document, name), &value);
    return value;
}

static pang_code count_place(void *arg, pang_model_place kind, const char *what, pang_str location,
                             pang_err *err)
{
    (void)kind;
    (void)what;
    (void)location;
    (void)err;
    ++*(size_t *)arg;
    return PANG_OK;
}

static void check_document(run *r, const pang_json *document)
{
    pang_err err = {0};
    pang_str text;
    pang_json *less;
    pang_model_file file;
    size_t places = 0;
    pang_code code = pang_json_print(document, r->arena, &text, &err);
    assert(code == PANG_OK);
    assert(pang_json_equal(must_parse(r, text), document));
    code = pang_model_check(document, r->arena, &err);
    assert(code == PANG_OK);
    code = pang_model_refs_only(document, r->arena, &less, &err);
    assert(code == PANG_OK);
    code = pang_model_check(less, r->arena, &err);
    assert(code == PANG_OK);
    code = pang_model_places(document, PANG_MODEL_PLACE_ROOT | PANG_MODEL_PLACE_FILE, count_place,
                             &places, &err);
    assert(code == PANG_OK && places > 0);
    code = pang_model_file_name(document, PANG_STR(FILE_NAME), (pang_str){0}, &r->env, r->arena,
                                &file, &err);
    assert(code == PANG_OK && file.gzip == pang_model_is_gzip_name(file.location));
}

static void commit(run *r, const pang_json *base, const char *requirements, pang_json *updates)
{
    pang_err err = {0};
    pang_str before = {0}, after = {0};
    pang_model_outcome outcome;
    pang_model_change change = {
        .base = base,
        .base_location = base == NULL ? PANG_STR("") : PANG_STR(FILE_NAME),
        .requirements = must_parse(r, pang_str_from(requirements)),
        .updates = updates,
        .default_location = PANG_STR("s3://b/t"),
    };
    pang_code code = pang_json_print(base, r->arena, &before, &err);
    assert(code == PANG_OK);
    code = pang_model_commit(&change, &r->env, r->arena, &outcome, &err);
    assert(pang_json_print(base, r->arena, &after, NULL) == PANG_OK);
    assert(pang_str_equal(before, after));
    if (code != PANG_OK) {
        assert(code == PANG_INVALID_ARGUMENT || code == PANG_FAILED_PRECONDITION);
        assert(err.reason != NULL && err.message[0] != '\0');
        return;
    }
    static const char *const growing[] = {"format-version",    "last-column-id",
                                          "last-partition-id", "last-sequence-number",
                                          "last-updated-ms",   "next-row-id"};
    check_document(r, outcome.document);
    for (size_t i = 0; base != NULL && i < sizeof growing / sizeof growing[0]; i++)
        assert(number(outcome.document, growing[i]) >= number(base, growing[i]));
}

static void over_table(run *r, char version, pang_json *updates)
{
    pang_buf text = {.arena = r->arena};
    pang_buf_printf(&text, "{\"format-version\":%c,", version);
    if (version > '1')
        pang_buf_add(&text, PANG_STR("\"last-sequence-number\":2,"));
    if (version > '2')
        pang_buf_add(&text, PANG_STR("\"next-row-id\":100,"));
    pang_buf_add(&text, pang_str_from(table_head));
    commit(r, must_parse(r, pang_buf_str(&text)), "[]", updates);
}

static void create(run *r, pang_json *schema)
{
    pang_err err = {0};
    pang_json *document;
    pang_model_new request = {
        .schema = schema,
        .properties = must_parse(r, PANG_STR("{\"format-version\":\"3\"}")),
        .location = PANG_STR("s3://b/t"),
    };
    if (pang_model_create(&request, &r->env, r->arena, &document, &err) == PANG_OK)
        check_document(r, document);
    else
        assert(err.code == PANG_INVALID_ARGUMENT);
}

static void from_file(run *r, pang_json *document)
{
    static const char updates[] = "[{\"action\":\"set-properties\",\"updates\":{\"x\":\"y\"}},"
                                  "{\"action\":\"remove-snapshots\",\"snapshot-ids\":[10]}]";
    if (pang_model_check(document, r->arena, NULL) == PANG_OK)
        commit(r, document, "[]", must_parse(r, pang_str_from(updates)));
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
    switch (data[0]) {
    case '1':
    case '2':
    case '3':
        over_table(&r, (char)data[0], input);
        break;
    case 'n':
        commit(&r, NULL, "[{\"type\":\"assert-create\"}]", input);
        break;
    case 'c':
        create(&r, input);
        break;
    case 'd':
        from_file(&r, input);
        break;
    default:
        break;
    }
out:
    pang_arena_free(r.arena);
    return 0;
}
