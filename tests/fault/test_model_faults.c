/*
 * The metadata engine without memory: the n-th allocation fails, json-c's own included, for every
 * n until none fails; and the arena is full at every size. The answer is RESOURCE_EXHAUSTED or the
 * right document, never a crash, a leak or a half document.
 *
 * The wrapped malloc of alloc.h does not reach into shared libraries, so this program has a malloc
 * of its own for all of the process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/model.h"
#include "server/model_merge.h"
#include "server/model_view.h"
#include "server/model_view_merge.h"

static const char base_text[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\","
    "\"location\":\"s3://b/t\",\"last-sequence-number\":2,\"last-updated-ms\":1700000000000,"
    "\"last-column-id\":2,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"data\",\"required\":false,\"type\":\"string\"}]}],"
    "\"current-schema-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"
    "\"default-spec-id\":0,\"last-partition-id\":999,\"sort-orders\":[{\"order-id\":0,"
    "\"fields\":[]}],\"default-sort-order-id\":0,\"current-snapshot-id\":20,"
    "\"refs\":{\"main\":{\"snapshot-id\":20,\"type\":\"branch\"}},\"snapshots\":["
    "{\"snapshot-id\":20,\"sequence-number\":2,\"timestamp-ms\":1699999500000,"
    "\"manifest-list\":\"s3://b/t/20\",\"summary\":{\"operation\":\"append\",\"n\":\"1\"}}],"
    "\"snapshot-log\":[{\"timestamp-ms\":1699999500000,\"snapshot-id\":20}],\"more\":[1.50]}";

static const char updates_text[] =
    "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"identifier-field-ids\":[1],"
    "\"fields\":[{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\",\"doc\":null},"
    "{\"id\":3,\"name\":\"f\",\"required\":false,\"type\":\"float\",\"write-default\":1},"
    "{\"id\":4,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":5,"
    "\"key\":\"string\",\"value-id\":6,\"value\":\"long\",\"value-required\":false}}]}},"
    "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
    "{\"action\":\"add-spec\",\"spec\":{\"fields\":[{\"source-id\":1,\"name\":\"b\","
    "\"transform\":\"bucket[4]\"}]}},{\"action\":\"set-default-spec\",\"spec-id\":-1},"
    "{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":1,\"fields\":[{\"source-id\":1,"
    "\"transform\":\"identity\",\"direction\":\"asc\",\"null-order\":\"nulls-first\"}]}},"
    "{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1},"
    "{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":30,\"sequence-number\":3,"
    "\"timestamp-ms\":1700000000001,\"manifest-list\":\"s3://b/t/30\",\"summary\":{}}},"
    "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","
    "\"snapshot-id\":30},{\"action\":\"remove-snapshots\",\"snapshot-ids\":[20]},"
    "{\"action\":\"set-properties\",\"updates\":{\"a\":\"b\"}},"
    "{\"action\":\"upgrade-format-version\",\"format-version\":3}]";

/* Parses, commits, checks, prints; *ret_text is what came out, in arena. */
static pang_code commit(pang_arena *arena, const pang_env *env, pang_str *ret_text, pang_err *err)
{
    pang_json *base, *updates, *less;
    pang_model_outcome outcome = {0};
    pang_model_file file;
    pang_code code = pang_json_parse(pang_str_from(base_text), arena, &base, err);
    if (code == PANG_OK)
        code = pang_json_parse(pang_str_from(updates_text), arena, &updates, err);
    if (code != PANG_OK)
        return code;
    pang_model_change change = {
        .base = base,
        .base_location = PANG_STR("s3://b/t/metadata/00001-a.metadata.json"),
        .updates = updates};
    code = pang_model_commit(&change, env, arena, &outcome, err);
    if (code == PANG_OK)
        code = pang_model_check(outcome.document, arena, err);
    if (code == PANG_OK)
        code = pang_model_refs_only(outcome.document, arena, &less, err);
    if (code == PANG_OK)
        code = pang_model_file_name(less, change.base_location, (pang_str){0}, env, arena, &file,
                                    err);
    return code == PANG_OK ? pang_json_print(outcome.document, arena, ret_text, err) : code;
}

/* The plain create of the schema in the updates. */
static pang_code create(pang_arena *arena, const pang_env *env, pang_str *ret_text, pang_err *err)
{
    pang_json *updates, *document = NULL;
    pang_code code = pang_json_parse(pang_str_from(updates_text), arena, &updates, err);
    if (code != PANG_OK)
        return code;
    pang_model_new request = {.schema = pang_json_get(pang_json_at(updates, 0), "schema"),
                              .partition_spec = pang_json_get(pang_json_at(updates, 2), "spec"),
                              .write_order = pang_json_get(pang_json_at(updates, 4), "sort-order"),
                              .location = PANG_STR("s3://b/t"),
                              .staged = true};
    code = pang_model_create(&request, env, arena, &document, err);
    return code == PANG_OK ? pang_json_print(document, arena, ret_text, err) : code;
}

/* Everything that makes or changes values. */
static pang_code change(pang_arena *arena, const pang_env *env, pang_str *ret_text, pang_err *err)
{
    pang_json *base, *copy, *list, *value;
    (void)env;
    pang_code code = pang_json_parse(pang_str_from(base_text), arena, &base, err);
    if (code != PANG_OK)
        return code;
    copy = pang_json_copy(base, arena);
    list = pang_json_array(arena);
    for (int64_t i = 0; i < 40; i++) {
        pang_str name = pang_arena_printf(arena, "member-%d", (int)i);
        value = pang_json_int(i, arena);
        if (!pang_json_append(list, value) || !pang_json_set_str(copy, name, list))
            return pang_fail_memory(err);
    }
    value = pang_json_str(PANG_STR("text"), arena);
    if (!pang_json_replace(list, 3, value) || !pang_json_set(copy, "location", value))
        return pang_fail_memory(err);
    pang_json_remove_at(list, 0);
    pang_json_remove(copy, "refs");
    return pang_json_print(copy, arena, ret_text, err);
}

/* Another side of the table, for a merge: what conflicts with nothing of the other. */
static const char target_text[] =
    "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"data\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":3,\"name\":\"t\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"id\":4,\"name\":\"u\",\"required\":false,\"type\":\"int\"}]}}]}},"
    "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
    "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"r\",\"type\":\"tag\",\"snapshot-id\":20},"
    "{\"action\":\"set-properties\",\"updates\":{\"c\":\"1\",\"schema.name-mapping.default\":"
    "\"[{\\\"field-id\\\":1,\\\"names\\\":[\\\"id\\\"]}]\"}}]";
static const char source_text[] =
    "[{\"action\":\"upgrade-format-version\",\"format-version\":3},"
    "{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"identifier-field-ids\":[1],"
    "\"fields\":[{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":3,\"name\":\"s\",\"required\":false,\"type\":{\"type\":\"list\","
    "\"element-id\":4,\"element\":\"int\",\"element-required\":false}}]}},"
    "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
    "{\"action\":\"add-spec\",\"spec\":{\"fields\":[{\"source-id\":1,\"name\":\"b\","
    "\"transform\":\"bucket[4]\"}]}},{\"action\":\"set-default-spec\",\"spec-id\":-1},"
    "{\"action\":\"set-properties\",\"updates\":{\"b\":\"1\",\"d\":\"1\"}}]";

static pang_code evolve(pang_arena *arena, const pang_env *env, const pang_json *base,
                        const char *text, const pang_json **ret, pang_err *err)
{
    pang_json *updates;
    pang_model_outcome outcome = {0};
    pang_model_change what = {.base = base, .base_location = PANG_STR("s3://b/t/metadata/1-a")};
    pang_code code = pang_json_parse(pang_str_from(text), arena, &updates, err);
    if (code != PANG_OK)
        return code;
    what.updates = updates;
    code = pang_model_commit(&what, env, arena, &outcome, err);
    *ret = outcome.document;
    return code;
}

/* A merge of documents, one that conflicts, and the source taken whole. */
static pang_code merge(pang_arena *arena, const pang_env *env, pang_str *ret_text, pang_err *err)
{
    pang_json *base, *taken;
    pang_merge_table in = {.env = env, .arena = arena, .one_half = true};
    pang_model_merged merged;
    pang_code code = pang_json_parse(pang_str_from(base_text), arena, &base, err);
    in.source_half.document = in.target_half.document = base;
    if (code == PANG_OK)
        code = evolve(arena, env, base, source_text, &in.source.document, err);
    if (code == PANG_OK)
        code = evolve(arena, env, base, target_text, &in.target.document, err);
    if (code == PANG_OK)
        code = pang_model_merge(&in, false, &merged, err);
    if (code != PANG_OK)
        return code;
    if (merged.document == NULL)
        return pang_fail(err, PANG_INTERNAL, NULL, "%" PANG_STR_FMT,
                         PANG_STR_ARG(merged.conflicts[0].description));
    code = pang_model_check(merged.document, arena, err);
    if (code == PANG_OK)
        code = pang_model_take_source(&in, &taken, err);
    if (code != PANG_OK)
        return code;
    in.target_half = in.target; /* not the base: both changed it */
    in.one_half = false;
    in.target.document = taken;
    if ((code = pang_model_merge(&in, true, &merged, err)) != PANG_OK)
        return code;
    return pang_json_print(taken, arena, ret_text, err);
}

static const char schema_text[] =
    "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"id\",\"required\":true,"
    "\"type\":\"long\",\"doc\":null}]}";
static const char version_text[] =
    "{\"version-id\":1,\"timestamp-ms\":5,\"schema-id\":0,\"summary\":{\"a\":\"b\"},"
    "\"default-catalog\":null,\"default-namespace\":[\"n\"],\"representations\":[{\"type\":\"sql\","
    "\"sql\":\"select 1\",\"dialect\":\"spark\"}]}";
static const char view_updates_text[] =
    "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"fields\":[]}},"
    "{\"action\":\"set-properties\",\"updates\":{\"version.history.num-entries\":\"1\"}},"
    "{\"action\":\"set-location\",\"location\":\"s3://b/w\"},"
    "{\"action\":\"add-view-version\",\"view-version\":{\"version-id\":2,\"timestamp-ms\":6,"
    "\"schema-id\":-1,\"summary\":{},\"default-namespace\":[],\"representations\":[{\"type\":"
    "\"sql\","
    "\"sql\":\"select 2\",\"dialect\":\"spark\"}]}},"
    "{\"action\":\"set-current-view-version\",\"view-version-id\":-1}]";

static pang_code create_view(pang_arena *arena, const pang_env *env, pang_json **ret, pang_err *err)
{
    pang_json *schema, *version;
    pang_code code = pang_json_parse(pang_str_from(schema_text), arena, &schema, err);
    if (code == PANG_OK)
        code = pang_json_parse(pang_str_from(version_text), arena, &version, err);
    if (code != PANG_OK)
        return code;
    pang_model_new_view request = {
        .schema = schema, .version = version, .location = PANG_STR("s3://b/v")};
    return pang_model_view_create(&request, env, arena, ret, err);
}

static pang_code replace_view(pang_arena *arena, const pang_env *env, const pang_json *base,
                              const char *text, const pang_json **ret, pang_err *err)
{
    pang_json *updates;
    pang_model_outcome outcome = {0};
    pang_code code = pang_json_parse(pang_str_from(text), arena, &updates, err);
    if (code != PANG_OK)
        return code;
    pang_model_change what = {.base = base, .updates = updates};
    code = pang_model_view_commit(&what, env, arena, &outcome, err);
    *ret = outcome.document;
    return code == PANG_OK ? pang_model_view_check(outcome.document, arena, err) : code;
}

/* A view, created and replaced. */
static pang_code view(pang_arena *arena, const pang_env *env, pang_str *ret_text, pang_err *err)
{
    pang_json *made;
    const pang_json *replaced = NULL;
    pang_code code = create_view(arena, env, &made, err);
    if (code == PANG_OK)
        code = replace_view(arena, env, made, view_updates_text, &replaced, err);
    return code == PANG_OK ? pang_json_print(replaced, arena, ret_text, err) : code;
}

static const char view_target_text[] =
    "[{\"action\":\"set-properties\",\"updates\":{\"c\":\"1\"}},{\"action\":"
    "\"add-view-version\",\"view-version\":{\"version-id\":2,\"timestamp-ms\":6,\"schema-id\":0,"
    "\"summary\":{},\"default-namespace\":[],\"representations\":[{\"type\":\"sql\",\"sql\":"
    "\"select 3\",\"dialect\":\"spark\"}]}}]";
static const char view_current_text[] =
    "[{\"action\":\"set-current-view-version\",\"view-version-id\":2}]";

/* A merge of views, one that conflicts, and the source taken whole. */
static pang_code merge_views(pang_arena *arena, const pang_env *env, pang_str *ret_text,
                             pang_err *err)
{
    pang_json *base, *taken;
    pang_merge_table in = {.env = env, .arena = arena, .one_half = true};
    pang_merge_outcome merged;
    pang_code code = create_view(arena, env, &base, err);
    in.source_half.document = in.target_half.document = base;
    if (code == PANG_OK)
        code = replace_view(arena, env, base, view_updates_text, &in.source.document, err);
    if (code == PANG_OK)
        code = replace_view(arena, env, base, view_target_text, &in.target.document, err);
    if (code == PANG_OK)
        code = pang_model_view_merge(&in, &merged, err);
    if (code == PANG_OK && merged.document == NULL)
        code = pang_fail(err, PANG_INTERNAL, NULL, "no merged view");
    if (code == PANG_OK)
        code = replace_view(arena, env, in.target.document, view_current_text, &in.target.document,
                            err);
    if (code == PANG_OK)
        code = pang_model_view_merge(&in, &merged, err);
    if (code == PANG_OK && merged.n_conflicts != 1)
        code = pang_fail(err, PANG_INTERNAL, NULL, "no conflict");
    if (code == PANG_OK)
        code = pang_model_view_take_source(&in, &taken, err);
    return code == PANG_OK ? pang_json_print(taken, arena, ret_text, err) : code;
}

typedef pang_code scenario(pang_arena *arena, const pang_env *env, pang_str *ret_text,
                           pang_err *err);

/* ---- a malloc that fails on command ---- */

static size_t fail_at, calls; /* 0: never */
static long live;             /* blocks that were given and not taken back */

#ifndef PANG_SANITIZED
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

#define OURS __attribute__((visibility("default"), used))
OURS void *malloc(size_t size);
OURS void *calloc(size_t n, size_t size);
OURS void *realloc(void *p, size_t size);
OURS void free(void *p);

static bool fails(void)
{
    return fail_at != 0 && ++calls == fail_at;
}

static void *given(void *p)
{
    live += p != NULL ? 1 : 0;
    return p;
}

void *malloc(size_t size)
{
    return fails() ? NULL : given(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return fails() ? NULL : given(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
    if (fails())
        return NULL;
    return p == NULL ? given(__libc_malloc(size)) : __libc_realloc(p, size);
}

void free(void *p)
{
    live -= p != NULL ? 1 : 0;
    __libc_free(p);
}
#endif

/* One run; true when an allocation was made to fail in it. */
static bool run(scenario *what, size_t n, size_t limit, const char *want)
{
    pang_env_fixed clock = {1700000100000, 0, 3};
    pang_env env = pang_env_from_fixed(&clock);
    pang_err err = {0};
    pang_str text = {0};
    long before = live;
    pang_arena *arena = pang_arena_new(limit);
    assert_non_null(arena);
    calls = 0;
    fail_at = n;
    pang_code code = what(arena, &env, &text, &err);
    bool failed = fail_at != 0 && calls >= fail_at;
    fail_at = 0;
    if (code != PANG_OK && code != PANG_RESOURCE_EXHAUSTED)
        fail_msg("allocation %zu, limit %zu: %s %s", n, limit, pang_code_name(code), err.message);
    if (code == PANG_OK && want != NULL && !pang_str_equal(text, pang_str_from(want)))
        fail_msg("allocation %zu, limit %zu: half a document: %" PANG_STR_FMT, n, limit,
                 PANG_STR_ARG(text));
    pang_arena_free(arena);
    if (live != before)
        fail_msg("allocation %zu, limit %zu: %ld blocks leaked", n, limit, live - before);
    return failed || code == PANG_RESOURCE_EXHAUSTED;
}

static const struct {
    const char *name;
    scenario *what;
} scenarios[] = {{"commit", commit}, {"create", create}, {"change", change},
                 {"merge", merge},   {"view", view},     {"merge views", merge_views}};

enum { ENOUGH = 1 << 20, TEXT_MAX = 16384 };

/* What comes out when nothing fails. */
static const char *whole(scenario *what)
{
    static char text[TEXT_MAX];
    pang_env_fixed clock = {1700000100000, 0, 3};
    pang_env env = pang_env_from_fixed(&clock);
    pang_str view = {0};
    pang_err err;
    pang_arena *arena = pang_arena_new(ENOUGH);
    if (what(arena, &env, &view, &err) != PANG_OK)
        fail_msg("%s", err.message);
    assert_true(view.len < sizeof text);
    memcpy(text, view.ptr, view.len);
    text[view.len] = '\0';
    pang_arena_free(arena);
    return text;
}

static void test_model_faults__every_allocation(void **state)
{
    (void)state;
#ifdef PANG_SANITIZED
    skip(); /* the sanitizer's malloc is its own */
#else
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        const char *want = whole(scenarios[i].what);
        size_t n = 1;
        while (run(scenarios[i].what, n, ENOUGH, want))
            n++;
        print_message("%s: %zu allocations failed, one at a time\n", scenarios[i].name, n - 1);
        assert_true(n > 100);
    }
#endif
}

static void test_model_faults__every_arena_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        const char *want = whole(scenarios[i].what);
        size_t limit = 64;
        while (run(scenarios[i].what, 0, limit, want))
            limit += 48;
        assert_true(limit > 4096);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_faults__every_allocation),
        cmocka_unit_test(test_model_faults__every_arena_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
