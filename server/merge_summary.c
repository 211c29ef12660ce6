/*
 * The snapshot of a merge as its document has it, with the summary that engines and people read.
 * Totals go on from those of the target's head; one that it does not say is left out.
 */
#include "server/merge_write.h"

#include <inttypes.h>
#include <string.h>

#include "api/id.h"
#include "server/model_look.h"

/* What one side of the change adds up to. */
typedef struct {
    int64_t data_files, records, bytes;
    int64_t delete_files, position_files, vectors, equality_files;
    int64_t positions, equalities;
} counts;

static void count(counts *to, const pang_live_file *file)
{
    to->bytes += file->bytes;
    if (file->content == PANG_FILE_DATA) {
        to->data_files++;
        to->records += file->records;
        return;
    }
    to->delete_files++;
    if (file->content == PANG_FILE_EQUALITY_DELETES) {
        to->equality_files++;
        to->equalities += file->records;
        return;
    }
    to->vectors += file->vector;
    to->position_files += !file->vector;
    to->positions += file->records;
}

static void count_all(const pang_file_merge *m, counts *added, counts *removed)
{
    *added = *removed = (counts){0};
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        if (pang_file_pending(m->theirs.added[i]))
            count(added, m->theirs.added[i]);
    }
    for (size_t i = 0; !m->nothing_to_remove && i < m->theirs.n_removed; i++)
        count(removed, m->theirs.removed[i]);
}

static const char *operation(const pang_file_merge *m, const counts *added, const counts *removed)
{
    if (m->theirs.story.only_replace && m->theirs.story.known)
        return "replace";
    if (added->delete_files == 0 && removed->data_files + removed->delete_files == 0)
        return "append";
    return added->data_files == 0 ? "delete" : "overwrite";
}

/* ---- the summary ---- */

typedef struct {
    pang_json *summary;
    pang_arena *arena;
    bool failed;
} filling;

static void put(filling *f, const char *name, pang_str text)
{
    if (!pang_json_set(f->summary, name, pang_json_str(text, f->arena)))
        f->failed = true;
}

static void put_number(filling *f, const char *name, int64_t number)
{
    put(f, name, pang_arena_printf(f->arena, "%" PRId64, number));
}

static void put_count(filling *f, const char *name, int64_t number)
{
    if (number > 0)
        put_number(f, name, number);
}

static void put_counts(filling *f, const counts *added, const counts *removed)
{
    put_count(f, "added-data-files", added->data_files);
    put_count(f, "deleted-data-files", removed->data_files);
    put_count(f, "added-records", added->records);
    put_count(f, "deleted-records", removed->records);
    put_count(f, "added-files-size", added->bytes);
    put_count(f, "removed-files-size", removed->bytes);
    put_count(f, "added-delete-files", added->delete_files);
    put_count(f, "removed-delete-files", removed->delete_files);
    put_count(f, "added-position-delete-files", added->position_files);
    put_count(f, "removed-position-delete-files", removed->position_files);
    put_count(f, "added-dvs", added->vectors);
    put_count(f, "removed-dvs", removed->vectors);
    put_count(f, "added-equality-delete-files", added->equality_files);
    put_count(f, "removed-equality-delete-files", removed->equality_files);
    put_count(f, "added-position-deletes", added->positions);
    put_count(f, "removed-position-deletes", removed->positions);
    put_count(f, "added-equality-deletes", added->equalities);
    put_count(f, "removed-equality-deletes", removed->equalities);
}

static void put_total(filling *f, const pang_file_merge *m, const char *name, int64_t more,
                      int64_t less)
{
    int64_t before = 0, after;
    bool known = m->target.snapshot == NULL ||
                 pang_str_to_int64(pang_snapshot_says(m->target.snapshot, name), &before);
    if (known && !__builtin_add_overflow(before, more - less, &after) && after >= 0)
        put_number(f, name, after);
}

static void put_totals(filling *f, const pang_file_merge *m, const counts *added,
                       const counts *removed)
{
    put_total(f, m, "total-records", added->records, removed->records);
    put_total(f, m, "total-files-size", added->bytes, removed->bytes);
    put_total(f, m, "total-data-files", added->data_files, removed->data_files);
    put_total(f, m, "total-delete-files", added->delete_files, removed->delete_files);
    put_total(f, m, "total-position-deletes", added->positions, removed->positions);
    put_total(f, m, "total-equality-deletes", added->equalities, removed->equalities);
}

static int64_t count_partitions(const pang_file_merge *m)
{
    int64_t n = 0;
    for (size_t i = 0; i < m->table.n_all; i++) {
        const pang_partition *in = m->table.all[i];
        const pang_live_file *at = in->files[PANG_SOURCE_ADDED];
        while (at != NULL && !pang_file_pending(at))
            at = at->next;
        n += at != NULL || (!m->nothing_to_remove && in->files[PANG_SOURCE_REMOVED] != NULL);
    }
    return n;
}

static void fill_summary(filling *f, const pang_file_merge *m)
{
    counts added, removed;
    char commit[PANG_ID_TEXT + 1];
    count_all(m, &added, &removed);
    pang_id_text(m->input->merge->commit, commit);
    put(f, "operation", pang_str_from(operation(m, &added, &removed)));
    put_counts(f, &added, &removed);
    put_count(f, "changed-partition-count", count_partitions(m));
    put_totals(f, m, &added, &removed);
    put(f, PANG_MERGE_COMMIT_PROPERTY, pang_str_from(commit));
}

/* ---- the snapshot ---- */

static bool set_int(pang_json *object, const char *name, int64_t value, pang_arena *arena)
{
    return pang_json_set(object, name, pang_json_int(value, arena));
}

pang_code pang_write_snapshot(const pang_file_merge *m, const pang_new_snapshot *snapshot,
                              pang_arena *arena, pang_json **ret, pang_err *err)
{
    const pang_json *target = m->target.document;
    pang_json *made = pang_json_object(arena);
    filling f = {.summary = pang_json_object(arena), .arena = arena};
    int64_t now = pang_env_wall_ms(m->input->merge->env), parent, schema;
    int64_t last = pang_model_int(target, "last-updated-ms", 0);
    if (made == NULL || f.summary == NULL)
        return pang_fail_memory(err);
    bool ok = m->version < 2 || set_int(made, "sequence-number", m->sequence, arena);
    ok = ok && set_int(made, "snapshot-id", snapshot->id, arena);
    if (m->target.snapshot != NULL &&
        pang_model_has_int(m->target.snapshot, "snapshot-id", &parent))
        ok = ok && set_int(made, "parent-snapshot-id", parent, arena);
    ok = ok && set_int(made, "timestamp-ms", now > last ? now : last, arena);
    fill_summary(&f, m);
    ok = ok && !f.failed && pang_json_set(made, "summary", f.summary);
    if (pang_model_has_int(m->input->merged, "current-schema-id", &schema))
        ok = ok && set_int(made, "schema-id", schema, arena);
    *ret = made;
    return ok ? PANG_OK : pang_fail_memory(err);
}

pang_code pang_write_place(const pang_file_merge *m, const pang_new_snapshot *snapshot,
                           pang_arena *arena, pang_json *made, pang_err *err)
{
    bool ok = pang_json_set(made, "manifest-list", pang_json_str(snapshot->list, arena));
    if (m->version >= 3)
        ok = ok && set_int(made, "first-row-id", snapshot->first_row_id, arena) &&
             set_int(made, "added-rows", snapshot->next_row_id - snapshot->first_row_id, arena);
    return ok ? PANG_OK : pang_fail_memory(err);
}
