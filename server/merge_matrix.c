/*
 * The matrix. The source is judged against everything that the target has and the source's half
 * had not, since that is what the source has not seen, however long the target has had it. Each
 * rule is one cell, or one reason in several; what no rule names merges.
 */
#include "server/merge_matrix.h"

#include "server/merge_scope.h"
#include "server/model_look.h"

bool pang_file_pending(const pang_live_file *file)
{
    return !file->shared;
}

static const pang_live_file *in_map(const pang_file_map *map, pang_file_key key)
{
    const void **at = pang_file_map_find(map, key);
    return at == NULL ? NULL : *at;
}

/* ---- what both sides have ---- */

/* The last snapshot that both documents have; its numbers and all before it mean the same. */
static bool find_common(pang_file_merge *m)
{
    const pang_json *list = pang_json_get(m->source.document, "snapshots");
    const pang_json *own = pang_json_get(m->target.document, "snapshots");
    pang_model_ids ids = {.arena = m->work};
    m->common_sequence = m->common_row_id = 0;
    for (size_t i = 0; i < pang_json_size(own); i++) {
        const pang_json *one = pang_json_at(own, i);
        if (!pang_model_ids_put(&ids, pang_model_int(one, "snapshot-id", -1), one))
            return false;
    }
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *one = pang_json_at(list, i);
        const pang_json *same = pang_model_ids_get(&ids, pang_model_int(one, "snapshot-id", -1));
        int64_t sequence = pang_model_int(one, "sequence-number", 0);
        int64_t rows = pang_model_int(one, "first-row-id", 0) +
                       pang_model_int(one, "added-rows", 0);
        if (same == NULL || pang_model_int(same, "sequence-number", 0) != sequence)
            continue;
        if (sequence > m->common_sequence)
            m->common_sequence = sequence;
        if (pang_model_int(same, "first-row-id", -1) == pang_model_int(one, "first-row-id", -1) &&
            rows > m->common_row_id)
            m->common_row_id = rows;
    }
    return true;
}

static bool has_head(const pang_side *side, const pang_side *of)
{
    return of->snapshot == NULL ||
           pang_snapshot_find(side->document, pang_model_int(of->snapshot, "snapshot-id", -1)) !=
               NULL;
}

/* Whether everything that the target wrote other than by appending is the source's too, and the
 * other way round, and all that the source removed is gone: then both have the same rewrite, which
 * came by way of a third branch or back. */
static bool same_rewrite(const pang_file_merge *m)
{
    bool wrote = false;
    for (size_t i = 0; i < m->theirs.n_removed; i++) {
        if (in_map(&m->ours.by_key_removed, m->theirs.removed[i]->key) == NULL)
            return false;
    }
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        wrote = wrote || file->origin != PANG_FILE_NEW;
        if (file->origin != PANG_FILE_NEW && !file->shared)
            return false;
    }
    for (size_t i = 0; i < m->ours.n_added; i++) {
        if (m->ours.added[i]->origin != PANG_FILE_NEW && !m->ours.added[i]->shared)
            return false;
    }
    return wrote;
}

pang_code pang_matrix_settle(pang_file_merge *m, pang_err *err)
{
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const void **same = pang_file_map_find(&m->ours.by_key_added, m->theirs.added[i]->key);
        if (same != NULL) {
            m->theirs.added[i]->shared = true;
            ((pang_live_file *)(uintptr_t)*same)->shared = true;
        }
    }
    m->nothing_to_remove = m->theirs.n_removed == 0 || same_rewrite(m);
    m->related = has_head(&m->source, &m->source_half) || has_head(&m->source_half, &m->source);
    return find_common(m) ? PANG_OK : pang_fail_memory(err);
}

/* ---- what the source removed ---- */

static bool judge_removed(pang_file_merge *m)
{
    for (size_t i = 0; i < m->theirs.n_removed; i++) {
        const pang_live_file *file = m->theirs.removed[i];
        if (in_map(&m->ours.by_key_removed, file->key) != NULL &&
            !pang_matrix_note(
                m, file->content == PANG_FILE_DATA ? PANG_RULE_GONE : PANG_RULE_DELETES_GONE, file,
                NULL))
            return false;
    }
    return true;
}

static bool judge_positions_on_removed(pang_file_merge *m, const pang_live_file *deletes)
{
    const pang_live_file *at;
    if (deletes->refers.ptr != NULL) {
        at = in_map(&m->theirs.by_key_removed, deletes->refers_key);
        return at == NULL || pang_matrix_note(m, PANG_RULE_DELETED_ON, at, deletes);
    }
    for (at = deletes->in->files[PANG_SOURCE_REMOVED]; at != NULL; at = at->next) {
        if (at->content == PANG_FILE_DATA && pang_positions_reach(deletes, at) &&
            !pang_matrix_note(m, PANG_RULE_DELETED_ON, at, deletes))
            return false;
    }
    return true;
}

/* Calls for the data files of a set that equality deletes may be about. */
typedef bool reached_fn(pang_file_merge *m, const pang_live_file *data,
                        const pang_live_file *deletes);
static bool reach(pang_file_merge *m, const pang_live_file *deletes, pang_file_set set,
                  reached_fn *fn)
{
    pang_equality_scope scope;
    pang_equality_scope_open(m->input->merged, deletes, &scope);
    for (size_t p = 0; p < m->table.n_all; p++) {
        const pang_partition *in = deletes->in->global ? m->table.all[p] : deletes->in;
        for (const pang_live_file *at = in->files[set]; at != NULL; at = at->next) {
            if (at->content == PANG_FILE_DATA && pang_equality_reaches(&scope, at) &&
                !fn(m, at, deletes))
                return false;
        }
        if (!deletes->in->global)
            break;
    }
    return true;
}

static bool note_equality_on(pang_file_merge *m, const pang_live_file *data,
                             const pang_live_file *deletes)
{
    return pang_matrix_note(m, PANG_RULE_EQUALITY_ON, data, deletes);
}

/* A compaction whose files have numbers that the target has given: whether its deletes go on to
 * hold is judged by these. */
static bool keeps_numbers(const pang_file_merge *m)
{
    int64_t last = pang_model_int(m->target.document, "last-sequence-number", 0);
    bool any = false;
    if (!m->theirs.story.only_replace)
        return false;
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (file->content != PANG_FILE_DATA)
            continue;
        any = true;
        if (file->number == -1 || file->number > last)
            return false;
    }
    return any;
}

static bool judge_deletes_on_removed(pang_file_merge *m)
{
    bool keeps = keeps_numbers(m);
    for (size_t i = 0; i < m->ours.n_added; i++) {
        const pang_live_file *file = m->ours.added[i];
        if (file->shared || file->content == PANG_FILE_DATA)
            continue;
        bool ok = file->content == PANG_FILE_POSITION_DELETES
                      ? judge_positions_on_removed(m, file)
                      : keeps || reach(m, file, PANG_SOURCE_REMOVED, note_equality_on);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- deletes that were taken back ---- */

/* Delete files that `by` removed, on data files that `other` removed and `by` has: rows that came
 * back for the one were gone for the other. */
static bool undeleted(pang_file_merge *m, const pang_live_file *deletes, const pang_change *by,
                      pang_file_set other)
{
    pang_equality_scope scope;
    bool equality = deletes->content == PANG_FILE_EQUALITY_DELETES;
    bool everywhere = equality && deletes->in->global;
    pang_equality_scope_open(m->input->merged, deletes, &scope);
    for (size_t p = 0; p < (everywhere ? m->table.n_all : 1); p++) {
        const pang_live_file *at = (everywhere ? m->table.all[p] : deletes->in)->files[other];
        for (; at != NULL; at = at->next) {
            bool held = equality
                            ? deletes->sequence > at->sequence && pang_equality_reaches(&scope, at)
                            : pang_positions_reach(deletes, at);
            if (at->content == PANG_FILE_DATA && held &&
                in_map(&by->by_key_removed, at->key) == NULL &&
                !pang_matrix_note(m, PANG_RULE_UNDELETED, at, deletes))
                return false;
        }
    }
    return true;
}

static bool judge_undeleted(pang_file_merge *m)
{
    for (size_t i = 0; i < m->ours.n_removed; i++) {
        if (m->ours.removed[i]->content != PANG_FILE_DATA &&
            !undeleted(m, m->ours.removed[i], &m->ours, PANG_SOURCE_REMOVED))
            return false;
    }
    for (size_t i = 0; i < m->theirs.n_removed; i++) {
        if (m->theirs.removed[i]->content != PANG_FILE_DATA &&
            !undeleted(m, m->theirs.removed[i], &m->theirs, PANG_TARGET_REMOVED))
            return false;
    }
    return true;
}

/* ---- the source's deletes ---- */

/* The target's position deletes that the source has not seen: by the file they are about, and
 * those that do not say it. */
typedef struct {
    pang_file_map by_file;
    const pang_live_file **loose;
    size_t n_loose;
} positions;

static bool collect_positions(const pang_file_merge *m, positions *ret)
{
    *ret = (positions){.by_file = {.arena = m->work}};
    ret->loose = pang_arena_alloc_n(m->work, m->ours.n_added, sizeof(const pang_live_file *));
    if (ret->loose == NULL)
        return false;
    for (size_t i = 0; i < m->ours.n_added; i++) {
        const pang_live_file *file = m->ours.added[i];
        if (file->shared || file->content != PANG_FILE_POSITION_DELETES)
            continue;
        if (file->refers.ptr == NULL) {
            ret->loose[ret->n_loose++] = file;
            continue;
        }
        const void **slot = pang_file_map_put(&ret->by_file, file->refers_key);
        if (slot == NULL)
            return false;
        *slot = file;
    }
    return true;
}

/* Position deletes whose data file the target removed. */
static bool judge_no_file(pang_file_merge *m, const pang_live_file *deletes)
{
    const pang_live_file *at;
    if (deletes->refers.ptr != NULL) {
        at = in_map(&m->ours.by_key_removed, deletes->refers_key);
        return at == NULL || pang_matrix_note(m, PANG_RULE_NO_FILE, at, deletes);
    }
    for (at = deletes->in->files[PANG_TARGET_REMOVED]; at != NULL; at = at->next) {
        if (at->content == PANG_FILE_DATA && pang_positions_reach(deletes, at) &&
            !pang_matrix_note(m, PANG_RULE_NO_FILE, at, deletes))
            return false;
    }
    return true;
}

static bool judge_same_file(pang_file_merge *m, const positions *ours, const pang_live_file *theirs)
{
    const pang_live_file *at = NULL;
    if (theirs->refers.ptr != NULL)
        at = in_map(&ours->by_file, theirs->refers_key);
    else
        at = theirs->in->files[PANG_TARGET_ADDED];
    for (; at != NULL; at = theirs->refers.ptr != NULL ? NULL : at->next) {
        if (at->content == PANG_FILE_POSITION_DELETES && !at->shared &&
            pang_positions_meet(theirs, at) &&
            !pang_matrix_note(m, PANG_RULE_SAME_FILE, theirs, at))
            return false;
    }
    for (size_t i = 0; theirs->refers.ptr != NULL && i < ours->n_loose; i++) {
        if (pang_positions_meet(theirs, ours->loose[i]) &&
            !pang_matrix_note(m, PANG_RULE_SAME_FILE, theirs, ours->loose[i]))
            return false;
    }
    return true;
}

/* A compaction's file with a number of before holds no row that the source has not seen. */
static bool has_new_rows(const pang_file_merge *m, const pang_live_file *data)
{
    return !data->shared && !(data->origin == PANG_FILE_REWRITTEN && data->orders &&
                              data->sequence <= m->common_sequence);
}

static bool note_new_rows(pang_file_merge *m, const pang_live_file *data,
                          const pang_live_file *deletes)
{
    return !has_new_rows(m, data) || pang_matrix_note(m, PANG_RULE_NEW_ROWS, deletes, data);
}

static bool judge_version(pang_file_merge *m, const pang_live_file *deletes)
{
    bool fits = deletes->content != PANG_FILE_POSITION_DELETES ||
                deletes->vector == (m->version >= 3);
    return fits || pang_matrix_note(m, PANG_RULE_VERSION, deletes, NULL);
}

static bool judge_source_deletes(pang_file_merge *m)
{
    positions ours;
    if (!collect_positions(m, &ours))
        return false;
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (!pang_file_pending(file) || file->content == PANG_FILE_DATA)
            continue;
        if (!judge_version(m, file))
            return false;
        bool ok = file->content == PANG_FILE_EQUALITY_DELETES
                      ? reach(m, file, PANG_TARGET_ADDED, note_new_rows)
                      : judge_no_file(m, file) && judge_same_file(m, &ours, file);
        if (!ok)
            return false;
    }
    return true;
}

/* ---- partitions ---- */

/* Which partitions the source replaced; ret: what kinds there are. */
static void mark_replaced(pang_file_merge *m, bool *ret_any, bool *ret_global)
{
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        file->in->replaced |= pang_file_pending(file) && file->content == PANG_FILE_DATA &&
                              file->origin == PANG_FILE_DYNAMIC;
    }
    for (size_t i = 0; m->theirs.story.dynamic && i < m->theirs.n_removed; i++)
        m->theirs.removed[i]->in->replaced |= !m->nothing_to_remove;
    *ret_any = *ret_global = false;
    for (size_t i = 0; i < m->table.n_all; i++) {
        *ret_any = *ret_any || m->table.all[i]->replaced;
        *ret_global = *ret_global || (m->table.all[i]->replaced && m->table.all[i]->global);
    }
}

static bool judge_replaced(pang_file_merge *m)
{
    bool any, global;
    mark_replaced(m, &any, &global);
    for (size_t i = 0; any && i < m->ours.n_added; i++) {
        const pang_live_file *file = m->ours.added[i];
        bool everywhere = global ||
                          (file->in->global && file->content == PANG_FILE_EQUALITY_DELETES);
        bool rewritten = file->content == PANG_FILE_DATA && file->origin == PANG_FILE_REWRITTEN;
        if (!file->shared && !rewritten && (everywhere || file->in->replaced) &&
            !pang_matrix_note(m, PANG_RULE_PARTITION, file, NULL))
            return false;
    }
    return true;
}

/* Whether the source overwrote or deleted in the partition. */
static bool touched(const pang_file_merge *m, const pang_partition *in)
{
    const pang_live_file *at;
    bool overwrote = !m->nothing_to_remove && !m->theirs.story.only_replace;
    for (at = in->files[PANG_SOURCE_REMOVED]; overwrote && at != NULL; at = at->next) {
        if (at->content == PANG_FILE_DATA)
            return true;
    }
    for (at = in->files[PANG_SOURCE_ADDED]; at != NULL; at = at->next) {
        if (pang_file_pending(at) && at->content == PANG_FILE_POSITION_DELETES &&
            at->origin != PANG_FILE_REWRITTEN)
            return true;
    }
    return false;
}

static bool judge_serial(pang_file_merge *m)
{
    for (size_t p = 0; p < m->table.n_all; p++) {
        const pang_live_file *at = m->table.all[p]->files[PANG_TARGET_ADDED];
        if (at == NULL || !touched(m, m->table.all[p]))
            continue;
        for (; at != NULL; at = at->next) {
            if (at->content == PANG_FILE_DATA && !at->shared && at->origin != PANG_FILE_REWRITTEN &&
                !pang_matrix_note(m, PANG_RULE_SERIAL, at, NULL))
                return false;
        }
    }
    return true;
}

/* ---- what the target has given up, and row ids ---- */

static pang_code see_given_up(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    pang_file_merge *m = arg;
    const pang_live_file *file = in_map(&m->theirs.by_key_added, seen->key);
    if (file != NULL && pang_file_pending(file) &&
        !pang_matrix_note(m, PANG_RULE_GIVEN_UP, file, NULL))
        return pang_fail_memory(err);
    return PANG_OK;
}

/* Files of the source that the target had at its half and has not now. */
static pang_code judge_given_up(pang_file_merge *m, pang_err *err)
{
    pang_code code = PANG_OK;
    if (m->input->merge->one_half)
        return PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < m->target_half.n_rows; i++) {
        const pang_manifest *row = &m->target_half.rows[i];
        bool in_target = false, in_half = false;
        code = pang_side_lists(&m->target, row->path, &in_target, err);
        if (code == PANG_OK)
            code = pang_side_lists(&m->source_half, row->path, &in_half, err);
        if (code == PANG_OK && !in_target && !in_half)
            code = pang_side_read(m->from, &m->target_half, row, false, m->scratch, see_given_up, m,
                                  &m->bad, err);
    }
    return code;
}

static pang_code see_rewritten(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    pang_file_merge *m = arg;
    (void)err;
    if (seen->entry->content == PANG_FILE_DATA &&
        in_map(&m->theirs.by_key_removed, seen->key) == NULL)
        return PANG_CANCELLED;
    return PANG_OK;
}

/* Whether a snapshot of the source removed a data file that is not of the half; when its files
 * cannot be read, it may have. */
static pang_code rewrote_own(pang_file_merge *m, const pang_json *snapshot, bool *ret,
                             pang_err *err)
{
    pang_manifest *rows;
    size_t n;
    int64_t id = pang_model_int(snapshot, "snapshot-id", -1);
    pang_unreadable ignored = {0};
    *ret = true;
    pang_code code = m->from->list(m->from->arg, snapshot, m->work, &rows, &n, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        if (rows[i].snapshot_id == id && rows[i].content == PANG_MANIFEST_DATA &&
            rows[i].deleted_files != 0)
            code = pang_side_read(m->from, &m->source, &rows[i], true, m->scratch, see_rewritten, m,
                                  &ignored, err);
    }
    if (code == PANG_OK)
        *ret = false;
    return code == PANG_NOT_FOUND || code == PANG_INVALID_ARGUMENT || code == PANG_OUT_OF_RANGE ||
                   code == PANG_CANCELLED
               ? PANG_OK
               : code;
}

/* Version 3: rewritten files carry row ids inside. */
static pang_code judge_row_ids(pang_file_merge *m, pang_err *err)
{
    bool given = pang_model_int(m->target.document, "next-row-id", 0) > m->common_row_id &&
                 pang_model_int(m->source.document, "next-row-id", 0) > m->common_row_id;
    bool own = false;
    int64_t last = -1;
    pang_code code = PANG_OK;
    for (size_t i = 0; m->version >= 3 && code == PANG_OK && i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (!pang_file_pending(file) || file->content != PANG_FILE_DATA ||
            file->origin == PANG_FILE_NEW || file->origin == PANG_FILE_BACK)
            continue;
        bool expired = file->origin == PANG_FILE_UNKNOWN;
        if (!expired && given && file->snapshot_id != last)
            code = rewrote_own(m, pang_snapshot_find(m->source.document, file->snapshot_id), &own,
                               err);
        last = file->snapshot_id;
        if (code == PANG_OK && (expired || (given && own)) &&
            !pang_matrix_note(m, PANG_RULE_ROW_IDS, file, NULL))
            return pang_fail_memory(err);
    }
    return code;
}

pang_code pang_matrix_judge(pang_file_merge *m, pang_err *err)
{
    bool ok = m->nothing_to_remove ||
              (judge_removed(m) && judge_deletes_on_removed(m) && judge_undeleted(m));
    ok = ok && judge_source_deletes(m) && judge_replaced(m);
    if (ok && m->input->merge->serializable)
        ok = judge_serial(m);
    pang_code code = ok ? pang_numbers_judge(m, err) : pang_fail_memory(err);
    if (code == PANG_OK)
        code = judge_given_up(m, err);
    return code == PANG_OK ? judge_row_ids(m, err) : code;
}
