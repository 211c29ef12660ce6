/*
 * The steps of merging files. Delete manifests are compared before those of data, since they tell
 * which columns' bounds are worth keeping of a million data files.
 */
#include "server/merge_steps.h"

#include "server/merge_scope.h"
#include "server/model_look.h"

enum {
    WORK_BYTES = 1 << 30,    /* for what is compared: some millions of files */
    SCRATCH_BYTES = 1 << 30, /* of the manifest that is being read */
};

static pang_code open_sides(pang_file_merge *m, pang_err *err)
{
    const pang_merge_table *merge = m->input->merge;
    const struct {
        const pang_json *document;
        pang_side *side;
        bool source; /* its specs may have other ids in the merged document */
    } all[] = {{merge->source_half.document, &m->source_half, true},
               {merge->source.document, &m->source, true},
               {merge->target_half.document, &m->target_half, false},
               {merge->target.document, &m->target, false}};
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < sizeof all / sizeof all[0]; i++)
        code = pang_side_open(m->from, all[i].document, all[i].source ? m->input->specs : NULL,
                              all[i].source ? m->input->n_specs : 0, m->work, all[i].side, &m->bad,
                              err);
    return code;
}

/* Adds a column to those kept, once; `columns` has room for all. */
static bool add_column(pang_file_map *seen, int32_t id, int32_t *columns, size_t *n)
{
    const void **slot = pang_file_map_put(seen, (pang_file_key){(uint64_t)id, 1});
    if (slot == NULL)
        return false;
    if (*slot == NULL)
        columns[(*n)++] = id;
    *slot = columns;
    return true;
}

/* The columns that equality deletes of either side name, those too that it took away: data files'
 * bounds of these are kept. */
static bool find_columns(pang_file_merge *m)
{
    const struct {
        pang_live_file *const *files;
        size_t n;
    } lists[] = {{m->theirs.added, m->theirs.n_added},
                 {m->theirs.removed, m->theirs.n_removed},
                 {m->ours.added, m->ours.n_added},
                 {m->ours.removed, m->ours.n_removed}};
    const size_t n_lists = sizeof lists / sizeof lists[0];
    pang_file_map seen = {.arena = m->work};
    size_t n = 0, most = 0;
    for (size_t l = 0; l < n_lists; l++) {
        for (size_t i = 0; i < lists[l].n; i++)
            most += lists[l].files[i]->n_equality_ids;
    }
    int32_t *columns = pang_arena_alloc_n(m->work, most, sizeof *columns);
    for (size_t l = 0; columns != NULL && l < n_lists; l++) {
        for (size_t i = 0; i < lists[l].n; i++) {
            const pang_live_file *file = lists[l].files[i];
            for (size_t k = 0; k < file->n_equality_ids && k < PANG_SCOPE_COLUMNS; k++) {
                if (!add_column(&seen, file->equality_ids[k], columns, &n))
                    return false;
            }
        }
    }
    m->table.keep = columns;
    m->table.n_keep = n;
    return columns != NULL;
}

static pang_code read_content(pang_file_merge *m, pang_manifest_content content, pang_err *err)
{
    pang_change_run run = {.from = m->from,
                           .table = &m->table,
                           .scratch = m->scratch,
                           .added = PANG_SOURCE_ADDED,
                           .removed = PANG_SOURCE_REMOVED,
                           .bad = &m->bad};
    pang_code code = pang_change_read(&run, content, &m->theirs, err);
    if (code != PANG_OK)
        return code;
    run.added = PANG_TARGET_ADDED;
    run.removed = PANG_TARGET_REMOVED;
    return pang_change_read(&run, content, &m->ours, err);
}

static pang_code compare(pang_file_merge *m, pang_err *err)
{
    pang_code code = open_sides(m, err);
    m->theirs = (pang_change){.half = &m->source_half, .head = &m->source};
    m->ours = (pang_change){.half = &m->source_half, .head = &m->target};
    if (code == PANG_OK)
        code = pang_story_tell(&m->source_half, &m->source, m->work, &m->theirs.story, err);
    if (code == PANG_OK)
        code = pang_story_tell(&m->source_half, &m->target, m->work, &m->ours.story, err);
    if (code == PANG_OK)
        code = read_content(m, PANG_MANIFEST_DELETES, err);
    if (code == PANG_OK && !find_columns(m))
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        code = read_content(m, PANG_MANIFEST_DATA, err);
    return code == PANG_OK ? pang_matrix_settle(m, err) : code;
}

static bool is_nothing(const pang_file_merge *m)
{
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        if (pang_file_pending(m->theirs.added[i]))
            return false;
    }
    return m->nothing_to_remove;
}

static pang_code judge(pang_file_merge *m, bool **rewritten, pang_err *err)
{
    pang_code code = pang_numbers_give(m, err);
    if (code == PANG_OK)
        code = pang_matrix_judge(m, err);
    if (code == PANG_OK && m->notes == NULL)
        code = pang_write_find(m, rewritten, err);
    return code;
}

static pang_code run(pang_file_merge *m, const pang_manifest_sink *sink, pang_files_outcome *ret,
                     pang_err *err)
{
    pang_arena *arena = m->input->merge->arena;
    bool *rewritten = NULL;
    pang_code code = compare(m, err);
    if (code != PANG_OK || is_nothing(m))
        return code;
    code = judge(m, &rewritten, err);
    if (code != PANG_OK)
        return code;
    if (m->notes != NULL)
        return pang_matrix_conflicts(m, arena, &ret->conflicts, &ret->n_conflicts, err);
    if (m->input->only_look)
        return PANG_OK;
    m->writing = true;
    return pang_write_merged(m, rewritten, sink, arena, &ret->snapshot, &ret->next_row_id, err);
}

pang_code pang_merge_steps(const pang_merge_files *files, const pang_manifest_source *from,
                           const pang_manifest_sink *sink, pang_files_outcome *ret, pang_err *err)
{
    pang_arena *work = pang_arena_new(WORK_BYTES), *scratch = pang_arena_new(SCRATCH_BYTES);
    pang_file_merge m = {.input = files,
                         .from = from,
                         .work = work,
                         .scratch = scratch,
                         .table = {.arena = work, .partitions = {.arena = work}}};
    pang_files_outcome outcome = {.next_row_id = -1};
    pang_arena *results = files->merge->arena;
    m.version = (int)pang_model_int(files->merged, "format-version", 1);
    pang_code code = work == NULL || scratch == NULL ? pang_fail_memory(err)
                                                     : run(&m, sink, &outcome, err);
    bool full = code == PANG_RESOURCE_EXHAUSTED && work != NULL && !pang_arena_failed(results);
    if (code != PANG_OK && m.writing && m.bad.path.ptr != NULL)
        code = pang_fail(err, PANG_UNAVAILABLE, NULL,
                         "manifest \"%" PANG_STR_FMT "\" can be read no more: %" PANG_STR_FMT,
                         PANG_STR_ARG(m.bad.path), PANG_STR_ARG(m.bad.why));
    else if (code != PANG_OK && !m.writing && m.bad.path.ptr != NULL)
        code = pang_matrix_unreadable(m.bad.path, m.bad.why, results, &outcome.conflicts,
                                      &outcome.n_conflicts, err);
    else if (full && !m.writing)
        code = pang_matrix_unreadable((pang_str){0}, pang_str_from(err->message), results,
                                      &outcome.conflicts, &outcome.n_conflicts, err);
    if (code == PANG_OK)
        *ret = outcome;
    pang_arena_free(work);
    pang_arena_free(scratch);
    return code;
}
