/*
 * Merging one table. What costs nothing is looked at first: a source that is its own half brings
 * nothing, one whose snapshot is its half's brings no data. Then the documents are merged, which
 * says under which ids the source's columns, specs and orders go on; with these the files are
 * merged into one snapshot; and the commit that made the merged document is made once more, with
 * the snapshot behind it, so that logs and numbers are those of one commit.
 */
#include <string.h>

#include "server/merge_files.h"
#include "server/model.h"
#include "server/model_merge.h"

/* ---- what changed ---- */

static bool same_state(const pang_merge_state *a, const pang_merge_state *b)
{
    return a->document == b->document ||
           (a->location.len > 0 && pang_str_equal(a->location, b->location));
}

static bool same_head(const pang_json *a, const pang_json *b)
{
    pang_model_facts x, y;
    pang_model_facts_of(a, &x);
    pang_model_facts_of(b, &y);
    return x.has_snapshot == y.has_snapshot && x.snapshot_id == y.snapshot_id;
}

static pang_code data_changed(const pang_merge_table *merge, bool *ret, pang_err *err)
{
    if (same_head(merge->source.document, merge->source_half.document)) {
        *ret = false;
        return PANG_OK;
    }
    return pang_merge_files_changed(merge, ret, err);
}

/* ---- the document ---- */

static pang_json *update_of(const pang_merge_table *merge, const char *action)
{
    pang_json *update = pang_json_object(merge->arena);
    pang_json *text = pang_json_str(pang_str_from(action), merge->arena);
    return pang_json_set(update, "action", text) ? update : NULL;
}

static bool is_of_main(const pang_json *update)
{
    pang_str name;
    return pang_json_to_str(pang_json_get(update, "ref-name"), &name) &&
           pang_str_equal(name, PANG_STR("main"));
}

/* Main on the snapshot, keeping what it says of how long snapshots live. */
static bool add_main(const pang_merge_table *merge, const pang_model_merged *model,
                     const pang_json *snapshot, pang_json *updates)
{
    static const char *const numbers[] = {"min-snapshots-to-keep", "max-snapshot-age-ms",
                                          "max-ref-age-ms"};
    const pang_json *old = pang_json_get(pang_json_get(model->document, "refs"), "main");
    pang_json *update = update_of(merge, "set-snapshot-ref");
    bool done = pang_json_set(update, "ref-name", pang_json_str(PANG_STR("main"), merge->arena)) &&
                pang_json_set(update, "type", pang_json_str(PANG_STR("branch"), merge->arena)) &&
                pang_json_set(update, "snapshot-id", pang_json_get(snapshot, "snapshot-id"));
    for (size_t i = 0; done && i < sizeof numbers / sizeof numbers[0]; i++) {
        pang_json *number = pang_json_get(old, numbers[i]);
        done = pang_json_is_null(number) || pang_json_set(update, numbers[i], number);
    }
    return done && pang_json_append(updates, update);
}

/* The merge's updates and those of its snapshot; NULL without memory. */
static pang_json *all_updates(const pang_merge_table *merge, const pang_model_merged *model,
                              pang_json *snapshot)
{
    pang_json *updates = pang_json_array(merge->arena), *add = update_of(merge, "add-snapshot");
    bool done = updates != NULL && pang_json_set(add, "snapshot", snapshot);
    for (size_t i = 0; done && i < pang_json_size(model->updates); i++) {
        pang_json *update = pang_json_at(model->updates, i);
        done = is_of_main(update) || pang_json_append(updates, update);
    }
    done = done && pang_json_append(updates, add) && add_main(merge, model, snapshot, updates);
    return done ? updates : NULL;
}

static bool raise(const pang_merge_table *merge, pang_json *document, const char *name,
                  int64_t number)
{
    int64_t now = 0;
    (void)pang_json_to_int64(pang_json_get(document, name), &now);
    return number <= now || pang_json_set(document, name, pang_json_int(number, merge->arena));
}

static pang_code with_snapshot(const pang_merge_table *merge, const pang_model_merged *model,
                               const pang_files_outcome *files, pang_json **ret, pang_err *err)
{
    pang_model_outcome outcome;
    pang_model_change change = {
        .base = merge->target.document,
        .base_location = merge->target.location,
        .updates = all_updates(merge, model, files->snapshot),
    };
    if (change.updates == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_model_commit(&change, merge->env, merge->arena, &outcome, err);
    if (code != PANG_OK)
        return code;
    if (!raise(merge, outcome.document, "last-column-id", model->last_column) ||
        (files->next_row_id >= 0 &&
         !raise(merge, outcome.document, "next-row-id", files->next_row_id)))
        return pang_fail_memory(err);
    *ret = outcome.document;
    return pang_model_check(outcome.document, merge->arena, err);
}

/* ---- the outcome ---- */

static pang_code put_columns(const pang_merge_table *merge, const pang_model_merged *model,
                             pang_merge_outcome *ret, pang_err *err)
{
    int32_t *columns = pang_arena_alloc_n(merge->arena, model->n_columns * 2, sizeof *columns);
    if (columns == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < model->n_columns; i++) {
        columns[2 * i] = model->columns[i].from;
        columns[2 * i + 1] = model->columns[i].to;
    }
    ret->columns = columns;
    ret->n_columns = model->n_columns * 2;
    return PANG_OK;
}

static pang_code put_report(const pang_merge_table *merge, const pang_model_merged *model,
                            pang_merge_outcome *ret, pang_err *err)
{
    pang_json *report = pang_json_object(merge->arena);
    ret->report = PANG_STR("{}");
    if (pang_json_size(model->left_behind) == 0)
        return PANG_OK;
    if (!pang_json_set(report, "left_behind_snapshots", model->left_behind))
        return pang_fail_memory(err);
    return pang_json_print(report, merge->arena, &ret->report, err);
}

static pang_code merge_files(const pang_merge_table *merge, const pang_model_merged *model,
                             pang_files_outcome *ret, pang_err *err)
{
    pang_merge_files files = {
        .merge = merge,
        .merged = model->n_conflicts > 0 ? model->apart : model->document,
        .specs = model->specs,
        .n_specs = model->n_specs,
        .orders = model->orders,
        .n_orders = model->n_orders,
        .only_look = model->n_conflicts > 0,
    };
    return pang_merge_files_run(&files, ret, err);
}

/* Those of the documents, then those of files: all that a person has to decide. */
static pang_code put_conflicts(const pang_merge_table *merge, const pang_model_merged *model,
                               const pang_files_outcome *files, pang_merge_outcome *ret,
                               pang_err *err)
{
    size_t n = model->n_conflicts + files->n_conflicts;
    pang_conflict *list = pang_arena_alloc_n(merge->arena, n, sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        list[i] = i < model->n_conflicts ? model->conflicts[i]
                                         : files->conflicts[i - model->n_conflicts];
    ret->conflicts = list;
    ret->n_conflicts = n;
    return PANG_OK;
}

pang_code pang_merge_table_run(const pang_merge_table *merge, pang_merge_outcome *ret,
                               pang_err *err)
{
    pang_merge_outcome outcome = {
        .columns = merge->columns, .n_columns = merge->n_columns, .report = PANG_STR("{}")};
    pang_model_merged model;
    pang_files_outcome files = {.next_row_id = -1};
    bool data;
    if (same_state(&merge->source, &merge->source_half)) {
        *ret = outcome;
        return PANG_OK;
    }
    pang_code code = data_changed(merge, &data, err);
    if (code == PANG_OK)
        code = pang_model_merge(merge, data, &model, err);
    if (code == PANG_OK)
        code = put_columns(merge, &model, &outcome, err);
    if (code == PANG_OK)
        code = put_report(merge, &model, &outcome, err);
    if (code == PANG_OK && data && (model.n_conflicts == 0 || model.apart != NULL))
        code = merge_files(merge, &model, &files, err);
    if (code == PANG_OK)
        code = put_conflicts(merge, &model, &files, &outcome, err);
    if (code != PANG_OK)
        return code;
    if (outcome.n_conflicts == 0 && files.snapshot != NULL)
        code = with_snapshot(merge, &model, &files, &outcome.document, err);
    else if (outcome.n_conflicts == 0 && model.changed)
        outcome.document = model.document;
    if (code == PANG_OK)
        *ret = outcome;
    return code;
}

pang_code pang_merge_table_take_source(const pang_merge_table *merge, pang_json **ret,
                                       pang_err *err)
{
    pang_json *document = NULL;
    pang_code code = pang_model_take_source(merge, &document, err);
    if (code == PANG_OK)
        code = pang_model_check(document, merge->arena, err);
    if (code == PANG_OK)
        *ret = document;
    return code;
}
