/*
 * Merging documents: the first byte says what the rest is, a JSON array. Digits: updates of the
 * base, of the source and of the target, over a table of that version, and the map of columns.
 * d: four documents: the source's half, the source, the target's half, the target.
 *
 * A merge without conflicts is a valid document that went back in nothing, whichever way round; a
 * source that changed nothing changes nothing; the inputs are untouched.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "server/model.h"
#include "server/model_merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 1 << 26, COLUMNS_MAX = 8 };

#define FILE_NAME "s3://b/t/metadata/00007-aa.metadata.json"

static const char table_head[] =
    "\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"s3://b/t\","
    "\"last-updated-ms\":1700000000000,\"last-column-id\":8,\"schemas\":[{\"type\":\"struct\","
    "\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"data\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":3,\"name\":\"p\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"id\":4,\"name\":\"x\",\"required\":false,\"type\":\"int\"}]}},"
    "{\"id\":7,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":8,"
    "\"element\":\"string\",\"element-required\":false}}]}],\"current-schema-id\":0,"
    "\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],\"default-spec-id\":0,"
    "\"last-partition-id\":999,"
    "\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],\"default-sort-order-id\":0,"
    "\"properties\":{\"a\":\"1\"},\"current-snapshot-id\":20,"
    "\"refs\":{\"main\":{\"snapshot-id\":20,\"type\":\"branch\"},"
    "\"old\":{\"snapshot-id\":10,\"type\":\"tag\"}},\"snapshots\":["
    "{\"snapshot-id\":10,\"sequence-number\":1,\"timestamp-ms\":1699999000000,"
    "\"manifest-list\":\"s3://b/t/10\",\"summary\":{\"operation\":\"append\"}},"
    "{\"snapshot-id\":20,\"sequence-number\":2,\"timestamp-ms\":1699999500000,"
    "\"manifest-list\":\"s3://b/t/20\",\"summary\":{\"operation\":\"append\"},\"schema-id\":0}],"
    "\"snapshot-log\":[{\"timestamp-ms\":1699999000000,\"snapshot-id\":10},"
    "{\"timestamp-ms\":1699999500000,\"snapshot-id\":20}]}";

typedef struct {
    pang_arena *arena;
    pang_env env;
    pang_env_fixed clock;
    int32_t columns[COLUMNS_MAX];
    size_t n_columns;
} run;

static int64_t number(const pang_json *document, const char *name)
{
    int64_t value = 0;
    (void)pang_json_to_int64(pang_json_get(document, name), &value);
    return value;
}

static pang_str text_of(run *r, const pang_json *value)
{
    pang_str text = {0};
    pang_code code = pang_json_print(value, r->arena, &text, NULL);
    assert(code == PANG_OK);
    return text;
}

static void check_merged(run *r, const pang_model_merged *merged, const pang_json *target)
{
    static const char *const growing[] = {"format-version",    "last-column-id",
                                          "last-partition-id", "last-sequence-number",
                                          "last-updated-ms",   "next-row-id"};
    pang_err err = {0};
    pang_json *again;
    assert((merged->n_conflicts == 0) == (merged->document != NULL));
    for (size_t i = 0; i < merged->n_conflicts; i++) {
        const pang_conflict *conflict = &merged->conflicts[i];
        assert(conflict->description.len > 0 && pang_str_is_utf8(conflict->description));
        pang_code code = pang_json_parse(conflict->details, r->arena, &again, &err);
        assert(code == PANG_OK);
    }
    if (merged->document == NULL)
        return;
    assert(merged->changed || merged->document == target);
    if (!merged->changed)
        return;
    pang_code code = pang_model_check(merged->document, r->arena, &err);
    assert(code == PANG_OK);
    for (size_t i = 0; i < sizeof growing / sizeof growing[0]; i++)
        assert(number(merged->document, growing[i]) >= number(target, growing[i]));
}

static void merge(run *r, const pang_json *const documents[4], bool data)
{
    const pang_str file = PANG_STR(FILE_NAME);
    pang_merge_table in = {
        .env = &r->env,
        .arena = r->arena,
        .source_half = {documents[0], file},
        .source = {documents[1], file},
        .target_half = {documents[2], file},
        .target = {documents[3], file},
        .one_half = documents[0] == documents[2],
        .columns = r->columns,
        .n_columns = r->n_columns,
    };
    pang_model_merged merged;
    pang_json *taken;
    pang_err err = {0};
    pang_code code = pang_model_merge(&in, data, &merged, &err);
    if (code == PANG_OK)
        check_merged(r, &merged, documents[3]);
    else
        assert(code == PANG_INVALID_ARGUMENT || code == PANG_RESOURCE_EXHAUSTED);
    if (pang_model_take_source(&in, &taken, &err) == PANG_OK)
        assert(number(taken, "last-column-id") >= number(documents[3], "last-column-id"));
    in.source = in.source_half;
    if (code == PANG_OK && pang_model_merge(&in, false, &merged, &err) == PANG_OK &&
        merged.n_conflicts == 0)
        assert(!merged.changed ||
               number(documents[0], "format-version") > number(documents[3], "format-version"));
}

/* Both ways round, with and without data; nothing may touch the inputs. */
static void merge_all(run *r, const pang_json *const documents[4])
{
    const pang_json *const turned[4] = {documents[2], documents[3], documents[0], documents[1]};
    pang_str before[4];
    for (size_t i = 0; i < 4; i++)
        before[i] = text_of(r, documents[i]);
    merge(r, documents, false);
    merge(r, documents, true);
    merge(r, turned, true);
    for (size_t i = 0; i < 4; i++)
        assert(pang_str_equal(before[i], text_of(r, documents[i])));
}

static const pang_json *evolve(run *r, const pang_json *base, const pang_json *updates)
{
    pang_model_outcome outcome;
    pang_model_change change = {
        .base = base, .base_location = PANG_STR(FILE_NAME), .updates = updates};
    if (pang_model_commit(&change, &r->env, r->arena, &outcome, NULL) != PANG_OK)
        return base;
    return outcome.document;
}

static void over_table(run *r, char version, const pang_json *input)
{
    pang_buf text = {.arena = r->arena};
    pang_json *table = NULL;
    const pang_json *columns = pang_json_at(input, 3);
    int64_t id;
    pang_buf_printf(&text, "{\"format-version\":%c,", version);
    if (version > '1')
        pang_buf_add(&text, PANG_STR("\"last-sequence-number\":2,"));
    if (version > '2')
        pang_buf_add(&text, PANG_STR("\"next-row-id\":100,"));
    pang_buf_add(&text, pang_str_from(table_head));
    pang_code code = pang_json_parse(pang_buf_str(&text), r->arena, &table, NULL);
    assert(code == PANG_OK);
    for (size_t i = 0; i < pang_json_size(columns) && i < COLUMNS_MAX; i++) {
        if (pang_json_to_int64(pang_json_at(columns, i), &id) && id > 0 && id < INT32_MAX - 1000)
            r->columns[r->n_columns++] = (int32_t)id;
    }
    r->n_columns -= r->n_columns % 2;
    const pang_json *base = evolve(r, table, pang_json_at(input, 0));
    const pang_json *const documents[4] = {base, evolve(r, base, pang_json_at(input, 1)), base,
                                           evolve(r, base, pang_json_at(input, 2))};
    merge_all(r, documents);
}

static void from_files(run *r, const pang_json *input)
{
    const pang_json *documents[4];
    for (size_t i = 0; i < 4; i++) {
        documents[i] = pang_json_at(input, i);
        if (documents[i] == NULL || pang_model_check(documents[i], r->arena, NULL) != PANG_OK)
            return;
    }
    merge_all(r, documents);
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
    if (data[0] >= '1' && data[0] <= '3')
        over_table(&r, (char)data[0], input);
    else if (data[0] == 'd')
        from_files(&r, input);
out:
    pang_arena_free(r.arena);
    return 0;
}
