/*
 * Documents of a merge are made as engines make them: by commits.
 */
#include "merge_fixture.h"

#include <stdio.h>
#include <string.h>

const pang_json *merge_evolve(model *m, const pang_json *base, const char *updates)
{
    return updates == NULL ? base : model_changed(m, base, updates);
}

pang_merge_table merge_of(model *m, const merge_case *c)
{
    const pang_json *base = merge_evolve(m, model_table(m, c->version), c->before);
    pang_merge_state half = {base, PANG_STR(MODEL_FILE)};
    return (pang_merge_table){
        .env = &m->env,
        .arena = m->arena,
        .source_half = half,
        .target_half = half,
        .source = {merge_evolve(m, base, c->source), PANG_STR("s3://b/t/metadata/00008-s")},
        .target = {merge_evolve(m, base, c->target), PANG_STR("s3://b/t/metadata/00008-t")},
        .one_half = true,
    };
}

static int64_t number(const pang_json *document, const char *name)
{
    int64_t value = 0;
    (void)pang_json_to_int64(pang_json_get(document, name), &value);
    return value;
}

static void check_document(model *m, const pang_json *document, const pang_json *target)
{
    static const char *const growing[] = {"format-version",    "last-column-id",
                                          "last-partition-id", "last-sequence-number",
                                          "last-updated-ms",   "next-row-id"};
    if (pang_model_check(document, m->arena, &m->err) != PANG_OK)
        fail_msg("no valid table: %s\n%s", m->err.message, model_text(m, document));
    for (size_t i = 0; i < sizeof growing / sizeof growing[0]; i++)
        assert_true(number(document, growing[i]) >= number(target, growing[i]));
}

static bool head_moved(const pang_merge_table *merge)
{
    return number(merge->source.document, "current-snapshot-id") !=
           number(merge->source_half.document, "current-snapshot-id");
}

pang_model_merged merge_model(model *m, const pang_merge_table *merge)
{
    const pang_json *const inputs[] = {merge->source.document, merge->source_half.document,
                                       merge->target.document, merge->target_half.document};
    const char *before[4];
    pang_model_merged merged;
    for (size_t i = 0; i < 4; i++)
        before[i] = model_text(m, inputs[i]);
    if (pang_model_merge(merge, head_moved(merge), &merged, &m->err) != PANG_OK)
        fail_msg("%s", m->err.message);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(model_text(m, inputs[i]), before[i]);
    assert_int_equal(merged.document == NULL, merged.n_conflicts > 0);
    if (merged.document != NULL)
        check_document(m, merged.document, merge->target.document);
    if (merged.document != NULL && !merged.changed)
        assert_ptr_equal(merged.document, merge->target.document);
    return merged;
}

const pang_conflict *merge_conflict(const pang_conflict *conflicts, size_t n, const char *part)
{
    for (size_t i = 0; i < n; i++) {
        if (memmem(conflicts[i].description.ptr, conflicts[i].description.len, part,
                   strlen(part)) != NULL)
            return &conflicts[i];
    }
    for (size_t i = 0; i < n; i++)
        print_message("conflict: %.*s\n", (int)conflicts[i].description.len,
                      conflicts[i].description.ptr);
    fail_msg("no conflict says: %s", part);
    return NULL;
}

static void expect_conflict(model *m, const merge_case *c, const pang_model_merged *merged,
                            const char *part)
{
    pang_json *details;
    if (merged->n_conflicts == 0)
        fail_msg("%s: no conflict: %s", c->name, model_text(m, merged->document));
    const pang_conflict *found = merge_conflict(merged->conflicts, merged->n_conflicts, part);
    if (found->type != c->conflict)
        fail_msg("%s: a conflict of type %d", c->name, found->type);
    if (pang_json_parse(found->details, m->arena, &details, &m->err) != PANG_OK)
        fail_msg("%s: details: %s", c->name, m->err.message);
}

static void expect_columns(model *m, const merge_case *c, const pang_model_merged *merged)
{
    pang_buf text = {.arena = m->arena};
    for (size_t i = 0; i < merged->n_columns; i++)
        pang_buf_printf(&text, "%s%d>%d", i == 0 ? "" : " ", merged->columns[i].from,
                        merged->columns[i].to);
    if (!pang_str_equal(pang_buf_str(&text), pang_str_from(c->columns)))
        fail_msg("%s: columns: %.*s", c->name, (int)text.len, text.ptr);
}

static void run_one(model *m, const merge_case *c)
{
    pang_merge_table merge = merge_of(m, c);
    pang_model_merged merged = merge_model(m, &merge);
    if (c->conflict != 0) {
        expect_conflict(m, c, &merged, c->want);
        if (!c->both)
            return;
        pang_merge_state source = merge.source;
        merge.source = merge.target;
        merge.target = source;
        merged = merge_model(m, &merge);
        expect_conflict(m, c, &merged, "");
        return;
    }
    if (merged.n_conflicts > 0)
        fail_msg("%s: %.*s", c->name, (int)merged.conflicts[0].description.len,
                 merged.conflicts[0].description.ptr);
    if (merged.changed != (c->want != NULL))
        fail_msg("%s: %s", c->name, merged.changed ? "changed" : "unchanged");
    if (c->want != NULL && !model_matches(merged.document, model_json(m, c->want)))
        fail_msg("%s: no match for %s\nin %s", c->name, c->want, model_text(m, merged.document));
    expect_columns(m, c, &merged);
}

void merge_run(model *m, const merge_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        run_one(m, &cases[i]);
        pang_arena_reset(m->arena);
    }
}
