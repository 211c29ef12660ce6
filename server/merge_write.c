/*
 * Writing a merge. Entries go from the manifests that are read into those that are written, some
 * MiB at a time: what is remembered of the files decides, the manifests give the rest.
 * The source's manifests are never referred to: their entries name snapshots that the target has
 * not.
 */
#include "server/merge_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/id.h"
#include "server/model_look.h"

enum {
    CHUNK_BYTES = 256 << 20, /* of memory for the entries of one manifest, and its bytes */
    ENTRY_BYTES = 256,       /* what an entry takes besides what varies */
};

/* ---- who holds what was removed ---- */

typedef struct {
    pang_file_merge *merge;
    bool rewritten;     /* version 3, and see brings_rewritten */
    size_t found;       /* in this manifest */
    pang_file_map seen; /* in any */
} search;

/* Whether the source brings data that may have the row ids of what it rewrote inside. */
static bool brings_rewritten(const pang_file_merge *m)
{
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (pang_file_pending(file) && file->content == PANG_FILE_DATA &&
            file->origin != PANG_FILE_NEW && file->origin != PANG_FILE_BACK)
            return true;
    }
    return false;
}

/* A file whose rows have other ids here than on the source. */
static bool has_other_rows(const search *s, const pang_live_file *file,
                           const pang_manifest_entry *here)
{
    return s->rewritten && file->content == PANG_FILE_DATA &&
           file->first_row_id != (here->has_first_row_id ? here->first_row_id : -1);
}

static pang_code see_holder(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    search *s = arg;
    const void **at = pang_file_map_find(&s->merge->theirs.by_key_removed, seen->key);
    if (at == NULL)
        return PANG_OK;
    s->found++;
    if (pang_file_map_put(&s->seen, seen->key) == NULL)
        return pang_fail_memory(err);
    if (has_other_rows(s, *at, seen->entry) &&
        !pang_matrix_note(s->merge, PANG_RULE_ROW_IDS, *at, NULL))
        return pang_fail_memory(err);
    return PANG_OK;
}

/* Manifests that half and source have hold nothing that was removed. */
static pang_code may_hold(const pang_file_merge *m, const pang_manifest *row, bool *ret,
                          pang_err *err)
{
    bool in_half, in_source = false;
    pang_code code = pang_side_lists(&m->source_half, row->path, &in_half, err);
    if (code == PANG_OK && in_half)
        code = pang_side_lists(&m->source, row->path, &in_source, err);
    if (code == PANG_OK)
        *ret = !(in_half && in_source);
    return code;
}

/* What should be there and is in no manifest. */
static pang_code note_missing(search *s, pang_err *err)
{
    for (size_t i = 0; i < s->merge->theirs.n_removed; i++) {
        const pang_live_file *file = s->merge->theirs.removed[i];
        if (pang_file_map_find(&s->seen, file->key) == NULL &&
            !pang_matrix_note(s->merge, PANG_RULE_GONE, file, NULL))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

pang_code pang_write_find(pang_file_merge *m, bool **ret, pang_err *err)
{
    search s = {.merge = m, .seen = {.arena = m->work}};
    bool *holds = pang_arena_alloc_n(m->work, m->target.n_rows, sizeof *holds);
    s.rewritten = m->version >= 3 && brings_rewritten(m);
    pang_code code = PANG_OK;
    if (holds == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && !m->nothing_to_remove && i < m->target.n_rows; i++) {
        bool may = false;
        code = may_hold(m, &m->target.rows[i], &may, err);
        s.found = 0;
        if (code == PANG_OK && may)
            code = pang_side_read(m->from, &m->target, &m->target.rows[i], false, m->scratch,
                                  see_holder, &s, &m->bad, err);
        if (code == PANG_OK)
            holds[i] = s.found > 0;
    }
    if (code == PANG_OK && !m->nothing_to_remove)
        code = note_missing(&s, err);
    if (code == PANG_OK)
        *ret = holds;
    return code;
}

/* ---- manifests ---- */

typedef struct {
    pang_file_merge *merge;
    const pang_manifest_sink *sink;
    int64_t id;
    char uuid[PANG_ID_TEXT + 1];
    unsigned written;
    pang_manifest *rows; /* of the new list, in merge->work */
    size_t n_rows, capacity;
    /* The manifest that is being filled. */
    pang_arena *chunk;
    const pang_manifest_entry **entries; /* in chunk */
    size_t n, room, bytes;
    int32_t spec;
    pang_manifest_content content;
    pang_str schema; /* JSON, of a manifest that is written again; empty: the table's */
} writer;

static bool add_row(writer *w, const pang_manifest *row)
{
    if (w->n_rows == w->capacity) {
        size_t more = w->capacity == 0 ? 64 : w->capacity * 2;
        pang_manifest *grown = pang_arena_alloc_n(w->merge->work, more, sizeof *grown);
        if (grown == NULL)
            return false;
        if (w->n_rows > 0)
            memcpy(grown, w->rows, w->n_rows * sizeof *grown);
        w->rows = grown;
        w->capacity = more;
    }
    w->rows[w->n_rows++] = *row;
    return true;
}

static const pang_json *current_schema(const pang_json *document)
{
    int64_t id = pang_model_int(document, "current-schema-id", 0);
    const pang_json *found = pang_model_find(pang_json_get(document, "schemas"), "schema-id", id);
    return found != NULL ? found : pang_json_get(document, "schema");
}

static pang_code find_spec(const writer *w, const pang_json **ret, pang_err *err)
{
    const pang_json *document = w->merge->input->merged;
    const pang_json *lone = pang_json_get(document, "partition-spec");
    *ret = pang_model_find(pang_json_get(document, "partition-specs"), "spec-id", w->spec);
    if (*ret == NULL && lone != NULL && w->spec == 0) {
        pang_json *made = pang_json_object(w->chunk);
        if (made == NULL || !pang_json_set(made, "spec-id", pang_json_int(0, w->chunk)) ||
            !pang_json_set(made, "fields", pang_json_copy(lone, w->chunk)))
            return pang_fail_memory(err);
        *ret = made;
    }
    return *ret != NULL ? PANG_OK
                        : pang_fail(err, PANG_INTERNAL, NULL, "no partition spec %d in the merge",
                                    (int)w->spec);
}

static pang_code write_file(writer *w, const pang_manifest_new *manifest, pang_err *err)
{
    pang_manifest row = {0};
    pang_str bytes = {0};
    pang_str name = pang_arena_printf(w->chunk, "%s-m%u.avro", w->uuid, w->written);
    pang_code code = name.len == 0 ? pang_fail_memory(err)
                                   : pang_manifest_write(manifest, w->merge->input->merge->env,
                                                         w->chunk, &bytes, &row, err);
    if (code == PANG_OK)
        code = w->sink->write(w->sink->arg, name, bytes, w->merge->work, &row.path, err);
    if (code != PANG_OK)
        return code;
    /* The row outlives the chunk. */
    pang_manifest_bounds *bounds = pang_arena_alloc_n(w->merge->work, row.n_partitions,
                                                      sizeof *bounds);
    for (size_t i = 0; bounds != NULL && i < row.n_partitions; i++) {
        bounds[i] = row.partitions[i];
        if ((bounds[i].lower.ptr != NULL &&
             !pang_arena_copy(w->merge->work, bounds[i].lower, &bounds[i].lower)) ||
            (bounds[i].upper.ptr != NULL &&
             !pang_arena_copy(w->merge->work, bounds[i].upper, &bounds[i].upper)))
            bounds = NULL;
    }
    if (bounds == NULL)
        return pang_fail_memory(err);
    if (row.partitions != NULL)
        row.partitions = bounds;
    w->written++;
    return add_row(w, &row) ? PANG_OK : pang_fail_memory(err);
}

static pang_code flush(writer *w, pang_err *err)
{
    pang_manifest_new manifest = {.format_version = w->merge->version,
                                  .content = w->content,
                                  .codec = PANG_CODEC_DEFLATE,
                                  .entries = w->entries,
                                  .n = w->n};
    pang_json *schema = NULL;
    pang_code code = PANG_OK;
    if (w->n == 0)
        return PANG_OK;
    if (w->schema.len > 0)
        code = pang_json_parse(w->schema, w->chunk, &schema, err);
    manifest.schema = schema != NULL ? schema : current_schema(w->merge->input->merged);
    if (code == PANG_OK)
        code = find_spec(w, &manifest.spec, err);
    if (code == PANG_OK)
        code = write_file(w, &manifest, err);
    pang_arena_reset(w->chunk);
    w->entries = NULL;
    w->n = w->room = w->bytes = 0;
    return code;
}

static size_t size_of(const pang_manifest_entry *entry)
{
    size_t bytes = ENTRY_BYTES + entry->path.len + entry->referenced_data_file.len +
                   16 * (entry->n_column_sizes + entry->n_value_counts + entry->n_null_counts +
                         entry->n_nan_counts + entry->n_lower + entry->n_upper +
                         entry->n_split_offsets + entry->n_partition);
    for (size_t i = 0; i < entry->n_lower; i++)
        bytes += entry->lower[i].bound.len;
    for (size_t i = 0; i < entry->n_upper; i++)
        bytes += entry->upper[i].bound.len;
    return bytes;
}

static bool push(writer *w, const pang_manifest_entry *entry)
{
    if (w->n == w->room) {
        size_t more = w->room == 0 ? 256 : w->room * 2;
        const pang_manifest_entry **grown = pang_arena_alloc_n(w->chunk, more,
                                                               sizeof(const pang_manifest_entry *));
        if (grown == NULL)
            return false;
        for (size_t i = 0; i < w->n; i++)
            grown[i] = w->entries[i];
        w->entries = grown;
        w->room = more;
    }
    w->entries[w->n++] = entry;
    return true;
}

/* A copy with the partition in the merged spec's order, to be changed by the caller. */
static pang_code take(writer *w, const pang_seen_entry *seen, pang_manifest_entry **ret,
                      pang_err *err)
{
    pang_code code = PANG_OK;
    pang_manifest_entry ordered = *seen->entry;
    if (w->bytes >= PANG_MANIFEST_TARGET_BYTES)
        code = flush(w, err);
    if (code != PANG_OK)
        return code;
    ordered.partition = pang_spec_values(seen->spec, seen->head, seen->entry, w->chunk);
    ordered.n_partition = seen->spec->n_fields;
    if (ordered.partition == NULL)
        return pang_fail_memory(err);
    code = pang_manifest_entry_copy(&ordered, w->chunk, ret, err);
    w->bytes += size_of(&ordered);
    return code != PANG_OK || push(w, *ret) ? code : pang_fail_memory(err);
}

/* ---- what was added ---- */

static int32_t map_order(const pang_merge_files *input, int32_t order)
{
    for (size_t i = 0; i < input->n_orders; i++) {
        if (input->orders[i].from == order)
            return input->orders[i].to;
    }
    return order;
}

/* Row ids of a file that came back to the table it was of. */
static bool keeps_rows(const pang_file_merge *m, const pang_live_file *file)
{
    return file->origin == PANG_FILE_BACK && file->first_row_id >= 0 &&
           file->first_row_id <= m->common_row_id &&
           file->records <= m->common_row_id - file->first_row_id;
}

static pang_code add_entry(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    writer *w = arg;
    pang_file_merge *m = w->merge;
    pang_manifest_entry *entry;
    const void **at = pang_file_map_find(&m->theirs.by_key_added, seen->key);
    const pang_live_file *file = at == NULL ? NULL : *at;
    /* A file that two manifests list is brought once. */
    if (file == NULL || !pang_file_pending(file) || file->in->spec != w->spec)
        return PANG_OK;
    pang_code code = take(w, seen, &entry, err);
    if (code != PANG_OK)
        return code;
    entry->status = PANG_ENTRY_ADDED;
    entry->has_snapshot_id = true;
    entry->snapshot_id = w->id;
    entry->has_sequence = m->version > 1 && file->number != -1;
    entry->sequence = file->number;
    entry->has_file_sequence = false;
    entry->has_first_row_id = keeps_rows(m, file);
    if (entry->has_sort_order)
        entry->sort_order = map_order(m->input, entry->sort_order);
    ((pang_live_file *)(uintptr_t)file)->shared = true;
    return PANG_OK;
}

/* The manifests of the source that its half has not, of one spec. */
static pang_code add_spec(writer *w, pang_err *err)
{
    pang_file_merge *m = w->merge;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < m->source.n_rows; i++) {
        const pang_manifest *row = &m->source.rows[i];
        const pang_spec_view *spec = pang_side_spec(&m->source, row->spec_id);
        bool listed = true;
        if (row->content != w->content || spec == NULL || spec->to != w->spec)
            continue;
        code = pang_side_lists(&m->source_half, row->path, &listed, err);
        if (code == PANG_OK && !listed)
            code = pang_side_read(m->from, &m->source, row, false, m->scratch, add_entry, w,
                                  &m->bad, err);
    }
    return code == PANG_OK ? flush(w, err) : code;
}

static pang_code add_all(writer *w, pang_err *err)
{
    pang_code code = PANG_OK;
    w->schema = (pang_str){0};
    for (int content = PANG_MANIFEST_DATA; content <= PANG_MANIFEST_DELETES; content++) {
        for (size_t i = 0; code == PANG_OK && i < w->merge->source.n_specs; i++) {
            w->content = (pang_manifest_content)content;
            w->spec = w->merge->source.specs[i].to;
            code = add_spec(w, err);
        }
    }
    return code;
}

/* ---- what is written again ---- */

static pang_code keep_entry(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    writer *w = arg;
    pang_manifest_entry *entry;
    if (w->schema.ptr == NULL && !pang_arena_copy(w->merge->work, seen->head->schema, &w->schema))
        return pang_fail_memory(err);
    bool removed = pang_file_map_find(&w->merge->theirs.by_key_removed, seen->key) != NULL;
    pang_code code = take(w, seen, &entry, err);
    if (code != PANG_OK)
        return code;
    entry->status = removed ? PANG_ENTRY_DELETED : PANG_ENTRY_EXISTING;
    if (removed) {
        entry->has_snapshot_id = true;
        entry->snapshot_id = w->id;
    }
    return PANG_OK;
}

static pang_code rewrite(writer *w, const pang_manifest *row, pang_err *err)
{
    w->content = row->content;
    w->spec = row->spec_id;
    w->schema = (pang_str){0};
    pang_code code = pang_side_read(w->merge->from, &w->merge->target, row, false,
                                    w->merge->scratch, keep_entry, w, &w->merge->bad, err);
    return code == PANG_OK ? flush(w, err) : code;
}

static pang_code keep_all(writer *w, const bool *rewritten, pang_err *err)
{
    const pang_side *target = &w->merge->target;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < target->n_rows; i++) {
        if (rewritten[i])
            code = rewrite(w, &target->rows[i], err);
    }
    for (size_t i = 0; code == PANG_OK && i < target->n_rows; i++) {
        if (!rewritten[i] && !add_row(w, &target->rows[i]))
            code = pang_fail_memory(err);
    }
    return code;
}

/* ---- the list ---- */

/* Rewritten files of the source may hold ids inside that only the source has given: what is new
 * begins behind them, when the target has given none since. */
static int64_t first_row_id(const pang_file_merge *m)
{
    int64_t ours = pang_model_int(m->target.document, "next-row-id", 0);
    int64_t theirs = pang_model_int(m->source.document, "next-row-id", 0);
    return brings_rewritten(m) && ours <= m->common_row_id && theirs > ours ? theirs : ours;
}

static pang_code write_list(writer *w, pang_new_snapshot *snapshot, pang_arena *arena,
                            pang_err *err)
{
    const pang_file_merge *m = w->merge;
    pang_manifest_list_new list = {.format_version = m->version,
                                   .codec = PANG_CODEC_DEFLATE,
                                   .snapshot_id = w->id,
                                   .parent_id = -1,
                                   .sequence = m->sequence,
                                   .first_row_id = snapshot->first_row_id,
                                   .manifests = w->rows,
                                   .n = w->n_rows};
    pang_str bytes = {0}, name;
    if (m->target.snapshot != NULL)
        list.parent_id = pang_model_int(m->target.snapshot, "snapshot-id", -1);
    name = pang_arena_printf(w->chunk, "snap-%" PRId64 "-1-%s.avro", w->id, w->uuid);
    pang_code code = name.len == 0 ? pang_fail_memory(err)
                                   : pang_manifest_list_write(&list, m->input->merge->env, w->chunk,
                                                              &bytes, &snapshot->next_row_id, err);
    return code == PANG_OK ? w->sink->write(w->sink->arg, name, bytes, arena, &snapshot->list, err)
                           : code;
}

static int64_t fresh_id(const pang_file_merge *m)
{
    for (;;) {
        uint64_t bits;
        pang_env_random(m->input->merge->env, &bits, sizeof bits);
        int64_t id = (int64_t)(bits >> 1);
        if (id > 0 && pang_snapshot_find(m->target.document, id) == NULL &&
            pang_snapshot_find(m->source.document, id) == NULL)
            return id;
    }
}

pang_code pang_write_merged(pang_file_merge *m, const bool *rewritten,
                            const pang_manifest_sink *sink, pang_arena *arena,
                            pang_json **ret_snapshot, int64_t *ret_next_row_id, pang_err *err)
{
    writer w = {.merge = m, .sink = sink, .id = fresh_id(m), .chunk = pang_arena_new(CHUNK_BYTES)};
    pang_new_snapshot snapshot = {.id = w.id, .first_row_id = first_row_id(m)};
    if (w.chunk == NULL)
        return pang_fail_memory(err);
    pang_id_text(pang_id_v4(m->input->merge->env), w.uuid);
    /* The summary counts what is pending, which writing ends. */
    pang_code code = pang_write_snapshot(m, &snapshot, arena, ret_snapshot, err);
    if (code == PANG_OK)
        code = add_all(&w, err);
    if (code == PANG_OK)
        code = keep_all(&w, rewritten, err);
    if (code == PANG_OK)
        code = write_list(&w, &snapshot, arena, err);
    pang_arena_free(w.chunk);
    *ret_next_row_id = m->version >= 3 ? snapshot.next_row_id : -1;
    return code == PANG_OK ? pang_write_place(m, &snapshot, arena, *ret_snapshot, err) : code;
}
