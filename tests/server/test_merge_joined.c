/*
 * server/merge_table.c with documents and files together: tables of real manifests in memory, whose
 * metadata changes too. Second merges, merges back, and what each must read as.
 */
#include "merge_world.h"

#include <string.h>

#include "must.h"
#include "server/merge_table.h"
#include "server/model.h"

static world *at; /* whose files the merges read */

pang_code pang_merge_files_run(const pang_merge_files *files, pang_files_outcome *ret,
                               pang_err *err)
{
    return pang_merge_steps(files, &at->from, &at->sink, ret, err);
}

pang_code pang_merge_files_changed(const pang_merge_table *merge, bool *ret, pang_err *err)
{
    (void)merge;
    (void)err;
    *ret = true;
    return PANG_OK;
}

/* ---- tables ---- */

static pang_json *parse(const char *spelt)
{
    pang_json *value;
    char *copy = pang_arena_cstr(at->arena, pang_str_from(spelt));
    for (char *c = copy; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    MUST(pang_json_parse(pang_str_from(copy), at->arena, &value, &at->err) == PANG_OK);
    return value;
}

static int64_t number(const pang_json *document, const char *name)
{
    int64_t value = -1;
    (void)pang_json_to_int64(pang_json_get(document, name), &value);
    return value;
}

static const pang_json *begin(world *w, int version)
{
    at = w;
    const pang_json *begun = world_begin(w, version, true);
    pang_json *table = pang_json_copy(begun, w->arena);
    MUST(pang_json_set(table, "default-sort-order-id", pang_json_int(0, w->arena)));
    MUST(pang_json_set(table, "last-partition-id", pang_json_int(1000, w->arena)));
    MUST(pang_model_check(table, w->arena, &w->err) == PANG_OK);
    return table;
}

/* Data, by an engine that keeps the ref main. */
static const pang_json *data(const pang_json *document, const char *steps)
{
    pang_json *made = pang_json_copy(world_run(at, document, steps), at->arena);
    pang_json *main_ref = pang_json_get(pang_json_get(made, "refs"), "main");
    if (main_ref != NULL)
        MUST(pang_json_set(main_ref, "snapshot-id", pang_json_get(made, "current-snapshot-id")));
    return made;
}

/* Metadata. */
static const pang_json *meta(const pang_json *document, const char *updates)
{
    pang_model_outcome outcome;
    pang_model_change change = {
        .base = document, .base_location = PANG_STR("f"), .updates = parse(updates)};
    if (pang_model_commit(&change, &at->env, at->arena, &outcome, &at->err) != PANG_OK)
        fail_msg("%s: %s", updates, at->err.message);
    return outcome.document;
}

static pang_merge_outcome run(const pang_merge_table *merge)
{
    pang_merge_outcome outcome;
    if (pang_merge_table_run(merge, &outcome, &at->err) != PANG_OK)
        fail_msg("%s", at->err.message);
    if (outcome.document != NULL &&
        pang_model_check(outcome.document, at->arena, &at->err) != PANG_OK)
        fail_msg("no valid table: %s", at->err.message);
    return outcome;
}

static const pang_json *merged(const pang_merge_table *merge)
{
    pang_merge_outcome outcome = run(merge);
    if (outcome.n_conflicts > 0)
        fail_msg("%.*s", (int)outcome.conflicts[0].description.len,
                 outcome.conflicts[0].description.ptr);
    assert_non_null(outcome.document);
    return outcome.document;
}

static pang_merge_table of(const pang_json *base, const pang_json *source, const pang_json *target)
{
    return (pang_merge_table){.env = &at->env,
                              .arena = at->arena,
                              .source_half = {base, {0}},
                              .source = {source, {0}},
                              .target_half = {base, {0}},
                              .target = {target, {0}},
                              .one_half = true};
}

static void expect_refused(const pang_merge_table *merge, pang_conflict_type type, const char *part)
{
    pang_merge_outcome outcome = run(merge);
    assert_null(outcome.document);
    for (size_t i = 0; i < outcome.n_conflicts; i++) {
        if (outcome.conflicts[i].type == type &&
            memmem(outcome.conflicts[i].description.ptr, outcome.conflicts[i].description.len, part,
                   strlen(part)) != NULL)
            return;
    }
    fail_msg("no conflict says: %s", part);
}

#define ADD_COLUMN(id, name)                                                                       \
    "[{'action':'add-schema','schema':{'type':'struct','fields':["                                 \
    "{'id':1,'name':'id','required':false,'type':'long'},"                                         \
    "{'id':2,'name':'p','required':false,'type':'int'},"                                           \
    "{'id':" id ",'name':'" name "','required':false,'type':'int'}]}},"                            \
    "{'action':'set-current-schema','schema-id':-1}]"
#define SET(pairs) "[{'action':'set-properties','updates':{" pairs "}}]"
#define UPGRADE(v) "[{'action':'upgrade-format-version','format-version':" v "}]"

/* ---- tests ---- */

static void test_merge_joined__both_sides_change_all(void **state)
{
    world w;
    (void)state;
    for (int version = 1; version <= 3; version++) {
        const pang_json *base = data(begin(&w, version), "+ a1@1:1,2; + a2@2:3");
        const pang_json *source = data(meta(base, SET("'s':'1'")), "+ n1@1:11; - a2");
        const pang_json *target = data(meta(base, ADD_COLUMN("3", "t")), "+ n2@2:12");
        pang_merge_table merge = of(base, source, target);
        const pang_json *made = merged(&merge);
        assert_string_equal(world_scan(&w, made), "1 2 11 12");
        assert_int_equal(number(made, "current-schema-id"), 1);
        pang_str property;
        assert_true(pang_model_property(made, PANG_STR("s"), &property));
        assert_true(pang_str_equal(property, PANG_STR("1")));
        world_end(&w);
    }
}

/* Each merge brings what is new since the last, and back what the other side has. */
static void test_merge_joined__again_and_back(void **state)
{
    world w;
    (void)state;
    for (int version = 2; version <= 3; version++) {
        const pang_json *base = data(begin(&w, version), "+ a1@1:1,2; + a2@2:3");
        const pang_json *source = data(base, "+ n1@1:11"), *target = data(base, "+ n2@2:12; - a2");
        pang_merge_table merge = of(base, source, target);
        const pang_json *made = merged(&merge);
        assert_string_equal(world_scan(&w, made), "1 2 11 12");
        pang_merge_table second = of(
            source, data(meta(source, ADD_COLUMN("3", "s")), "- n1; + n3@1:13"), made);
        second.target_half.document = made;
        second.one_half = false;
        const pang_json *again = merged(&second);
        assert_string_equal(world_scan(&w, again), "1 2 12 13");
        pang_merge_table back = of(second.source.document, data(again, "+ n4@2:14"),
                                   second.source.document);
        const pang_json *home = merged(&back);
        assert_string_equal(world_scan(&w, home), "1 2 12 13 14");
        assert_true(pang_json_equal(
            pang_json_get(pang_json_at(pang_json_get(home, "schemas"), 1), "fields"),
            pang_json_get(pang_json_at(pang_json_get(again, "schemas"), 1), "fields")));
        world_end(&w);
    }
}

static void note_spec(void *arg, const pang_manifest *row, const pang_manifest_entry *entry)
{
    if (entry->content == PANG_FILE_EQUALITY_DELETES)
        *(int32_t *)arg = row->spec_id;
}

/* Spec 1 of the source is spec 2 of the target, where 1 is another. */
static void test_merge_joined__specs_under_other_ids(void **state)
{
    world w;
    (void)state;
    const pang_json *base = meta(data(begin(&w, 2), "+ a1@1:1,2; + a2@2:3"),
                                 "[{'action':'remove-partition-specs','spec-ids':[1]}]");
    const pang_json *source = data(meta(base, "[{'action':'add-spec','spec':{'fields':[]}}]"),
                                   "E @*:2");
    const pang_json *target = meta(base, "[{'action':'add-spec','spec':{'fields':[{'source-id':1,"
                                         "'name':'b','transform':'bucket[4]'}]}}]");
    pang_merge_table merge = of(base, source, target);
    const pang_json *made = merged(&merge);
    const pang_json *specs = pang_json_get(made, "partition-specs");
    assert_int_equal(pang_json_size(specs), 3);
    assert_int_equal(pang_json_size(pang_json_get(pang_json_at(specs, 2), "fields")), 0);
    assert_int_equal(number(pang_json_at(specs, 2), "spec-id"), 2);
    int32_t spec = -1;
    world_each(&w, made, note_spec, &spec);
    assert_int_equal(spec, 2);
    world_end(&w);
}

static void test_merge_joined__upgrades(void **state)
{
    world w;
    (void)state;
    const pang_json *base = data(begin(&w, 2), "+ a1@1:1,2; + a2@2:3");
    const pang_json *source = data(base, "+ n1@1:11,12");
    const pang_json *target = meta(base, UPGRADE("3"));
    pang_merge_table merge = of(base, source, target);
    const pang_json *made = merged(&merge);
    assert_string_equal(world_scan(&w, made), "1 2 3 11 12");
    assert_int_equal(number(made, "format-version"), 3);
    assert_true(number(made, "next-row-id") >= 2);
    merge = of(base, data(base, "x a1:0"), target);
    expect_refused(&merge, PANG_CONFLICT_METADATA, "format-version");
    merge = of(base, data(base, "- a1"), target);
    expect_refused(&merge, PANG_CONFLICT_METADATA, "format-version");
    /* The other way round the source alone is upgraded. */
    merge = of(base, target, source);
    made = merged(&merge);
    assert_int_equal(number(made, "format-version"), 3);
    assert_string_equal(world_scan(&w, made), "1 2 3 11 12");
    world_end(&w);
}

static void test_merge_joined__rollbacks(void **state)
{
    world w;
    (void)state;
    const pang_json *base = data(begin(&w, 2), "+ a1@1:1,2; + a2@2:3");
    const pang_json *target = data(base, "+ n2@2:12");
    pang_merge_table merge = of(base, data(base, "r"), target);
    assert_string_equal(world_scan(&w, merged(&merge)), "1 2 12");
    merge = of(base, data(base, "r; + n1@1:11"), target);
    assert_string_equal(world_scan(&w, merged(&merge)), "1 2 11 12");
    merge = of(base, data(base, "+ n1@1:11; r"), target);
    assert_null(run(&merge).document);
    world_end(&w);
}

/* Both sides' conflicts are told, and the document comes out of neither. */
static void test_merge_joined__conflicts(void **state)
{
    world w;
    (void)state;
    const pang_json *base = data(begin(&w, 2), "+ a1@1:1,2; + a2@2:3");
    pang_merge_table merge = of(base, data(meta(base, SET("'a':'1'")), "- a1"), data(base, "- a1"));
    expect_refused(&merge, PANG_CONFLICT_DATA, "a1");
    merge.target.document = meta(merge.target.document, SET("'a':'2'"));
    expect_refused(&merge, PANG_CONFLICT_METADATA, "property \"a\"");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_joined__both_sides_change_all),
        cmocka_unit_test(test_merge_joined__again_and_back),
        cmocka_unit_test(test_merge_joined__specs_under_other_ids),
        cmocka_unit_test(test_merge_joined__upgrades),
        cmocka_unit_test(test_merge_joined__rollbacks),
        cmocka_unit_test(test_merge_joined__conflicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
