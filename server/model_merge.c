/*
 * Model, merging: two documents of a table, all but its files. The parts add updates, in the order
 * in which a commit needs them; the commit over the target makes the document. So a merge writes
 * nothing that an engine could not have written, and a half-merged table cannot come out.
 */
#include "server/model_merging.h"

static bool failed(const pang_merging *m)
{
    return m->failed || pang_arena_failed(m->arena);
}

static void merge_version(pang_merging *m)
{
    if (m->source.version > m->target.version)
        pang_merging_put(m, pang_merging_update(m, "upgrade-format-version"), "format-version",
                         pang_json_int(m->source.version, m->arena));
}

/* A new schema, spec or order is checked against the current schema, so that comes first. */
static pang_code merge_parts(pang_merging *m, pang_err *err)
{
    merge_version(m);
    pang_code code = pang_merging_schema(m, err);
    if (code != PANG_OK)
        return code;
    pang_merging_specs(m);
    pang_merging_properties(m);
    pang_merging_location(m);
    pang_merging_refs(m);
    pang_merging_keys(m);
    return failed(m) ? pang_fail_memory(err) : PANG_OK;
}

/* Ids of columns that the source gave out and dropped may be in its files. */
static int64_t last_column(const pang_merging *m)
{
    int64_t last = pang_model_int(m->target.doc, "last-column-id", 0);
    return m->data_changed && m->source.last_column > last ? m->source.last_column : last;
}

/* The target's document with the updates. */
static pang_code build(pang_merging *m, pang_model_merged *ret, pang_err *err)
{
    pang_model_outcome outcome;
    pang_model_change change = {.base = m->merge->target.document,
                                .base_location = m->merge->target.location,
                                .updates = m->updates};
    pang_code code = pang_model_commit(&change, m->merge->env, m->arena, &outcome, err);
    if (code == PANG_INVALID_ARGUMENT && m->n_conflicts > 0)
        return PANG_OK; /* they may be why */
    if (code == PANG_INVALID_ARGUMENT && err != NULL) {
        pang_merging_conflict(m, PANG_CONFLICT_SCHEMA, NULL,
                              "the merged table would not be valid: %s", err->message);
        *err = (pang_err){0};
        return PANG_OK;
    }
    if (code != PANG_OK)
        return code;
    ret->document = outcome.document;
    ret->changed = outcome.changed;
    ret->last_column = last_column(m);
    if (outcome.changed && pang_model_int(outcome.document, "last-column-id", 0) < ret->last_column)
        pang_merging_put(m, outcome.document, "last-column-id",
                         pang_json_int(ret->last_column, m->arena));
    pang_merging_map_specs(m, outcome.document);
    return PANG_OK;
}

/* Conflicts that leave columns and files as they are. */
static bool stands_apart(const pang_merging *m, size_t of_sides)
{
    bool apart = of_sides == 0;
    for (size_t i = 0; i < m->n_conflicts; i++)
        apart = apart && m->conflicts[i].type == PANG_CONFLICT_METADATA;
    return apart;
}

pang_code pang_model_merge(const pang_merge_table *merge, bool data_changed, pang_model_merged *ret,
                           pang_err *err)
{
    pang_merging m;
    pang_model_merged result = {0};
    pang_err own = {0};
    size_t of_sides = 0;
    pang_code code = pang_merging_begin(&m, merge, data_changed, &own);
    if (code == PANG_OK) {
        pang_merging_check_sides(&m);
        of_sides = m.n_conflicts;
        code = merge_parts(&m, &own);
    }
    if (code == PANG_OK && stands_apart(&m, of_sides))
        code = build(&m, &result, &own);
    if (code == PANG_OK)
        result.left_behind = pang_merging_left_behind(&m);
    pang_merging_count_untold(&m);
    if (code == PANG_OK && failed(&m))
        code = pang_fail_memory(&own);
    if (code != PANG_OK) {
        if (err != NULL)
            *err = own;
        return code;
    }
    result.updates = m.updates;
    result.conflicts = m.conflicts;
    result.n_conflicts = m.n_conflicts;
    if (m.n_conflicts > 0) {
        result.apart = result.document;
        result.document = NULL;
        result.changed = false;
    }
    result.columns = m.pairs.list;
    result.n_columns = m.pairs.n;
    result.specs = m.specs.list;
    result.n_specs = m.specs.n;
    result.orders = m.orders.list;
    result.n_orders = m.orders.n;
    *ret = result;
    return PANG_OK;
}
