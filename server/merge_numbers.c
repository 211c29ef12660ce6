/*
 * Sequence numbers of what a merge brings. A number says which equality deletes hold for a file:
 * those with greater ones. So files of the source take numbers above all that the target has, in
 * their own order where that matters; files that are older than their snapshot says (compactions
 * that kept the number of what they read, files that came back) keep it, if it means the same on
 * both sides.
 */
#include "server/merge_matrix.h"
#include "server/merge_scope.h"

#include <stdlib.h>

#include "server/model_look.h"

static int64_t last_sequence(const pang_side *side)
{
    return pang_model_int(side->document, "last-sequence-number", 0);
}

/* ---- giving ---- */

static bool is_explicit(const pang_live_file *file)
{
    return file->orders && file->file_sequence != file->sequence;
}

typedef enum { FRESH, KEPT, MOVED } kind;

static kind kind_of(const pang_file_merge *m, const pang_live_file *file)
{
    if (!file->orders || (file->in_story && !is_explicit(file)))
        return FRESH;
    if (file->sequence <= m->common_sequence)
        return KEPT;
    if (m->related && file->sequence <= last_sequence(&m->source_half))
        return MOVED;
    return FRESH;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The distinct numbers of the fresh files, ascending. */
static pang_code collect_ranks(const pang_file_merge *m, int64_t **ret, size_t *ret_n,
                               pang_err *err)
{
    int64_t *ranks = pang_arena_alloc_n(m->work, m->theirs.n_added, sizeof *ranks);
    size_t n = 0, distinct = 0;
    if (ranks == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (pang_file_pending(file) && kind_of(m, file) == FRESH)
            ranks[n++] = file->sequence;
    }
    if (n > 0)
        qsort(ranks, n, sizeof *ranks, by_number);
    for (size_t i = 0; i < n; i++) {
        if (distinct == 0 || ranks[distinct - 1] != ranks[i])
            ranks[distinct++] = ranks[i];
    }
    *ret = ranks;
    *ret_n = distinct;
    return PANG_OK;
}

/* Whether the order inside the source matters. */
static bool needs_ranks(const pang_file_merge *m)
{
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (pang_file_pending(file) && kind_of(m, file) == FRESH &&
            (file->content == PANG_FILE_EQUALITY_DELETES ||
             (file->content == PANG_FILE_DATA && is_explicit(file))))
            return true;
    }
    return false;
}

/* `ranks` NULL: all fresh ones take the snapshot's. Position deletes that do not keep the order
 * take it too: it is at least their data file's, and more does not matter to them. */
static void give(const pang_file_merge *m, pang_live_file *file, const int64_t *ranks, size_t n)
{
    int64_t last = last_sequence(&m->target);
    kind which = kind_of(m, file);
    file->number = -1;
    file->moved = false;
    if (which == FRESH) {
        const int64_t *at = ranks == NULL
                                ? NULL
                                : bsearch(&file->sequence, ranks, n, sizeof *ranks, by_number);
        if (at != NULL && (size_t)(at - ranks) + 1 < n)
            file->number = last + (at - ranks) + 1;
        file->moved = is_explicit(file) && file->content != PANG_FILE_POSITION_DELETES &&
                      !(m->related && file->sequence > last_sequence(&m->source_half));
        return;
    }
    if (file->content == PANG_FILE_POSITION_DELETES)
        return;
    file->moved = which == MOVED;
    file->number = which == KEPT ? file->sequence : last_sequence(&m->target_half);
    if (file->number > last)
        file->number = last;
}

pang_code pang_numbers_give(pang_file_merge *m, pang_err *err)
{
    int64_t *ranks = NULL;
    size_t n = 0;
    m->sequence = 0;
    for (size_t i = 0; m->version < 2 && i < m->theirs.n_added; i++)
        m->theirs.added[i]->number = -1;
    if (m->version < 2)
        return PANG_OK;
    if (needs_ranks(m)) {
        pang_code code = collect_ranks(m, &ranks, &n, err);
        if (code != PANG_OK)
            return code;
    }
    for (size_t i = 0; i < m->theirs.n_added; i++)
        give(m, m->theirs.added[i], ranks, n);
    m->sequence = last_sequence(&m->target) + (n > 1 ? (int64_t)n : 1);
    return PANG_OK;
}

/* ---- judging ---- */

/* Of one file of data and one of the target's equality deletes: whether giving the file its number
 * changes what holds for it. */
static bool disordered(const pang_file_merge *m, const pang_live_file *data,
                       const pang_live_file *deletes)
{
    int64_t number = data->number == -1 ? m->sequence : data->number;
    bool holds = deletes->sequence > number;
    const void **ours = pang_file_map_find(&m->ours.by_key_added, deletes->key);
    const void **theirs = pang_file_map_find(&m->their_equality, deletes->key);
    if (theirs != NULL)
        return data->moved &&
               holds != (((const pang_live_file *)*theirs)->sequence > data->sequence);
    if (ours == NULL || ((const pang_live_file *)*ours)->shared)
        return false; /* the same number on both sides, or gone with the merge */
    if (data->moved && holds && deletes->sequence <= data->most)
        return true; /* it is some of its rows that the deletes mean */
    if (number > last_sequence(&m->target))
        return false; /* above all: what was rewritten is judged by the files that went */
    /* Rows that the target has too, rewritten: its deletes must go on to hold. Rows that it had
     * not when it deleted: they must not begin to. */
    return holds != (data->origin == PANG_FILE_REWRITTEN);
}

static bool is_placed(const pang_live_file *file)
{
    return pang_file_pending(file) && file->content == PANG_FILE_DATA &&
           (file->number != -1 || file->moved);
}

/* A fresh file is above all of the target's; its rank is no place among them. */
static bool is_above(const pang_file_merge *m, const pang_live_file *file)
{
    return file->number > last_sequence(&m->target) && !file->moved;
}

static pang_code judge_deletes(pang_file_merge *m, const pang_live_file *deletes, pang_err *err)
{
    pang_equality_scope scope;
    pang_equality_scope_open(m->input->merged, deletes, &scope);
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (is_placed(file) && !is_above(m, file) && disordered(m, file, deletes) &&
            pang_equality_reaches(&scope, file) &&
            !pang_matrix_note(m, PANG_RULE_ORDER, file, deletes))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

/* Equality deletes that came back, with a number that says something else here. */
static pang_code judge_moved(pang_file_merge *m, pang_err *err)
{
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        if (pang_file_pending(file) && file->content == PANG_FILE_EQUALITY_DELETES && file->moved &&
            !pang_matrix_note(m, PANG_RULE_ORDER, file, NULL))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

/* Equality deletes of one side that are younger than what both sides have in common. */
typedef struct {
    pang_file_merge *merge;
    pang_file_map *by_key;
    pang_live_file *last; /* the one before, in `next` */
} collected;

static pang_code collect_equality(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    collected *c = arg;
    pang_live_file *file;
    if (seen->entry->content != PANG_FILE_EQUALITY_DELETES ||
        seen->entry->sequence <= c->merge->common_sequence)
        return PANG_OK;
    pang_code code = pang_live_file_new(&c->merge->table, seen->spec, seen->head, seen->entry,
                                        seen->key, &file, err);
    if (code != PANG_OK)
        return code;
    const void **slot = pang_file_map_put(c->by_key, seen->key);
    if (slot == NULL)
        return pang_fail_memory(err);
    *slot = file;
    file->next = c->last;
    c->last = file;
    return PANG_OK;
}

static pang_code collect_side(collected *c, const pang_side *side, pang_err *err)
{
    pang_file_merge *m = c->merge;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < side->n_rows; i++) {
        const pang_manifest *row = &side->rows[i];
        if (row->content == PANG_MANIFEST_DELETES && row->sequence > m->common_sequence)
            code = pang_side_read(m->from, side, row, false, m->scratch, collect_equality, c,
                                  &m->bad, err);
    }
    return code;
}

/* A moved file goes below the deletes that hold for it on the source. */
static void lower(pang_file_merge *m, pang_live_file *file, const pang_live_file *ours)
{
    file->most = file->number == -1 ? m->sequence : file->number;
    file->number = file->most;
    for (; ours != NULL; ours = ours->next) {
        const void **theirs = pang_file_map_find(&m->their_equality, ours->key);
        bool here = ours->in->global || ours->in == file->in;
        if (here && theirs != NULL && ours->sequence <= file->number &&
            ((const pang_live_file *)*theirs)->sequence > file->sequence)
            file->number = ours->sequence - 1;
    }
    if (file->number == m->sequence)
        file->number = -1;
}

/* Equality deletes that the source brings, above a file that went below older ones. */
static pang_code judge_lowered(pang_file_merge *m, const pang_live_file *file, pang_err *err)
{
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *at = m->theirs.added[i];
        if (at->content == PANG_FILE_EQUALITY_DELETES && pang_file_pending(at) &&
            at->sequence <= file->sequence && (at->in->global || at->in == file->in) &&
            !pang_matrix_note(m, PANG_RULE_ORDER, file, at))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

static pang_code lower_all(pang_file_merge *m, const pang_live_file *ours, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < m->theirs.n_added; i++) {
        pang_live_file *file = m->theirs.added[i];
        if (!is_placed(file) || !file->moved)
            continue;
        lower(m, file, ours);
        if (file->number != -1 && file->number != file->most)
            code = judge_lowered(m, file, err);
    }
    return code;
}

/* A moved file is looked at with all that it could pass, known to the source or not. */
static pang_code judge_passed(pang_file_merge *m, pang_err *err)
{
    pang_file_map ignored = {.arena = m->work};
    collected theirs = {.merge = m, .by_key = &m->their_equality};
    collected ours = {.merge = m, .by_key = &ignored};
    m->their_equality.arena = m->work;
    pang_code code = collect_side(&theirs, &m->source, err);
    if (code == PANG_OK)
        code = collect_side(&ours, &m->target, err);
    if (code == PANG_OK)
        code = lower_all(m, ours.last, err);
    for (const pang_live_file *at = ours.last; code == PANG_OK && at != NULL; at = at->next)
        code = judge_deletes(m, at, err);
    return code;
}

pang_code pang_numbers_judge(pang_file_merge *m, pang_err *err)
{
    bool placed = false, moved = false;
    for (size_t i = 0; i < m->theirs.n_added; i++) {
        const pang_live_file *file = m->theirs.added[i];
        placed = placed || (is_placed(file) && !is_above(m, file));
        moved = moved || (is_placed(file) && file->moved);
    }
    pang_code code = judge_moved(m, err);
    if (code == PANG_OK && moved)
        return judge_passed(m, err);
    for (size_t i = 0; code == PANG_OK && placed && i < m->ours.n_added; i++) {
        if (m->ours.added[i]->content == PANG_FILE_EQUALITY_DELETES && !m->ours.added[i]->shared)
            code = judge_deletes(m, m->ours.added[i], err);
    }
    return code;
}
