/*
 * Marks: a merge of X at a point into Y says in its own commit that Y has all of X up to there, and
 * with it all that X has of others: what it was made from, and what was merged into it. Assets that
 * were left out are said to be exceptions, each with the base that it had.
 * A branch that holds a selection speaks for itself only: it has not all of what it was made from.
 */
#include <string.h>

#include "server/merge_apply.h"
#include "server/shared.h"

enum { PASSED_MAX = 64 }; /* marks that are passed on by one merge */

typedef Pangolin__Store__V1__MergeMark__Exception exception;

typedef struct {
    const pang_merge_task *task;
    const pang_merge_plan *plan;
    pang_edit *edit;
    pang_err *err;
} marking;

/* ---- exceptions ---- */

static bool is_planned(const marking *m, pang_id asset)
{
    for (size_t i = 0; i < m->plan->n; i++)
        if (pang_id_equal(m->plan->items[i]->asset, asset))
            return true;
    return false;
}

static pang_code add_exception(const marking *m, pang_rec_merge_mark *to, const exception *one)
{
    exception *kept = pang_arena_alloc(m->edit->view->arena, sizeof *kept);
    if (kept == NULL)
        return pang_fail_memory(m->err);
    *kept = *one;
    to->exceptions[to->n_exceptions++] = kept;
    return PANG_OK;
}

/* Its base stays the one that it had for this merge. `direct`: of the mark of the two branches, so
 * that the pair's numbers are that mark's. */
static exception left_out(const pang_merge_item *item, bool direct)
{
    exception ret = PANGOLIN__STORE__V1__MERGE_MARK__EXCEPTION__INIT;
    ret.asset = pang_bytes_of_id(&item->asset);
    ret.left_out = true;
    if (direct && !item->pairs[0].one) {
        ret.from_sequence = item->pairs[0].source.sequence;
        ret.into_sequence = item->pairs[0].target.sequence;
    }
    return ret;
}

/* Exceptions of this merge, and of older marks what was no part of it. */
static pang_code fill_exceptions(const marking *m, pang_rec_merge_mark *mark,
                                 const pang_rec_merge_mark *const *older, size_t n_older,
                                 bool direct)
{
    size_t room = m->plan->n;
    pang_code code = PANG_OK;
    for (size_t i = 0; i < n_older; i++)
        room += older[i] == NULL ? 0 : older[i]->n_exceptions;
    mark->exceptions = pang_arena_alloc_n(m->edit->view->arena, room, sizeof(exception *));
    if (mark->exceptions == NULL)
        return pang_fail_memory(m->err);
    for (size_t i = 0; code == PANG_OK && i < m->plan->n; i++) {
        const pang_merge_item *item = m->plan->items[i];
        exception one = PANGOLIN__STORE__V1__MERGE_MARK__EXCEPTION__INIT;
        one.asset = pang_bytes_of_id(&item->asset);
        one.columns = (int32_t *)(uintptr_t)item->columns;
        one.n_columns = item->n_columns;
        if (item->fate == PANG_FATE_LEFT_OUT || (!direct && item->n_columns > 0))
            one = left_out(item, direct);
        if (!pang_id_is_nil(item->asset) && (one.left_out || one.n_columns > 0))
            code = add_exception(m, mark, &one);
    }
    for (size_t i = 0; i < n_older; i++)
        for (size_t k = 0; code == PANG_OK && older[i] != NULL && k < older[i]->n_exceptions; k++) {
            const exception *one = older[i]->exceptions[k];
            if ((one->left_out || direct) && !is_planned(m, pang_id_of(one->asset)))
                code = add_exception(m, mark, one);
        }
    return code;
}

/* ---- records ---- */

/* The mark that is replaced becomes the first of those that the new one remembers. */
static pang_code fill_older(const marking *m, pang_rec_merge_mark *mark, pang_rec_merge_mark *old)
{
    if (old == NULL)
        return PANG_OK;
    size_t n = old->n_older + 1 < PANG_MERGE_OLDER_MAX ? old->n_older + 1 : PANG_MERGE_OLDER_MAX;
    mark->older = pang_arena_alloc_n(m->edit->view->arena, n, sizeof *mark->older);
    if (mark->older == NULL)
        return pang_fail_memory(m->err);
    mark->older[0] = old;
    for (size_t i = 1; i < n; i++)
        mark->older[i] = old->older[i - 1];
    mark->n_older = n;
    old->n_older = 0;
    return PANG_OK;
}

static pang_code read_mark(const marking *m, pang_str key, pang_rec_merge_mark **ret)
{
    pang_record record;
    pang_view *view = m->edit->view;
    *ret = NULL;
    pang_code code = pang_keys_status(&view->keys, m->err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, m->err);
    if (code == PANG_OK && record.version != 0) {
        code = pang_record_unpack(&pangolin__store__v1__merge_mark__descriptor, &record,
                                  view->arena, ret, m->err);
        if (code == PANG_OK && (*ret)->into_sequence == 0)
            (*ret)->into_sequence = record.sequence;
    }
    return code;
}

/* All that `from` was at a number is in the target from this commit on. `also`: a mark of the
 * source whose exceptions hold here, too. */
static pang_code put_mark(const marking *m, pang_point from, const pang_rec_merge_mark *also,
                          bool direct)
{
    pang_view *view = m->edit->view;
    pang_rec_merge_mark mark = PANGOLIN__STORE__V1__MERGE_MARK__INIT, *old;
    pang_str key = pang_key_merge_mark(&view->keys, view->levels[0].branch, from.branch);
    pang_code code = read_mark(m, key, &old);
    if (code != PANG_OK || (old != NULL && old->from_sequence > from.sequence))
        return code;
    const pang_rec_merge_mark *older[] = {old, also};
    mark.from_sequence = from.sequence;
    code = fill_exceptions(m, &mark, older, 2, direct);
    if (code == PANG_OK)
        code = fill_older(m, &mark, old);
    if (code != PANG_OK)
        return code;
    pang_put put = {
        .key = key,
        .body = pang_record_pack(&mark.base, view->arena),
        .kind = PANG_KIND_MERGE_MARK,
        .slot = m->edit->slot, /* the record's sequence is this commit's number */
        .key_slot = PANG_NO_SLOT,
    };
    pang_txn_put_full(view->txn, &put);
    return PANG_OK;
}

/* ---- what the source has of others ---- */

typedef struct {
    pang_id branches[PASSED_MAX];
    size_t n;
} branch_list;

static void add_branch(branch_list *l, pang_id branch)
{
    for (size_t i = 0; i < l->n; i++)
        if (pang_id_equal(l->branches[i], branch))
            return;
    if (l->n < PASSED_MAX)
        l->branches[l->n++] = branch;
}

/* What the source was made from beyond the meeting, and what was merged there. */
static pang_code list_others(const marking *m, branch_list *l)
{
    const pang_merge_base *base = m->task->base;
    pang_view *view = m->edit->view;
    size_t alone = base->fork.in_a + 1 < base->source.n ? base->fork.in_a + 1 : base->source.n;
    pang_code code = PANG_OK;
    for (size_t i = 1; i < alone; i++)
        add_branch(l, base->source.points[i].branch);
    for (size_t i = 0; code == PANG_OK && i < alone; i++) {
        pang_id thirds[PANG_MERGE_THIRDS_MAX];
        size_t n = 0;
        code = pang_merge_thirds(view, base->source.points[i].branch, thirds, &n, m->err);
        for (size_t k = 0; code == PANG_OK && k < n; k++)
            add_branch(l, thirds[k]);
    }
    return code;
}

static pang_code pass_on(const marking *m)
{
    branch_list l = {0};
    const pang_merge_base *base = m->task->base;
    pang_view *view = m->edit->view;
    pang_merge_mark *of_source, *of_target;
    size_t n_source = 0, n_target = 0;
    pang_code code = list_others(m, &l);
    if (code != PANG_OK || l.n == 0)
        return code;
    code = pang_merge_marks_read(view, &base->source, l.branches, l.n, &of_source, &n_source,
                                 m->err);
    if (code == PANG_OK)
        code = pang_merge_marks_read(view, &base->target, l.branches, l.n, &of_target, &n_target,
                                     m->err);
    for (size_t i = 0; code == PANG_OK && i < l.n; i++) {
        const pang_merge_mark *mark, *ignored;
        pang_point at = {.branch = l.branches[i]};
        at.sequence = pang_merge_contained(&base->source, of_source, n_source, at.branch, &mark);
        bool own = pang_id_equal(at.branch, view->levels[0].branch) ||
                   pang_id_equal(at.branch, base->source.points[0].branch);
        if (!own && at.sequence > pang_merge_contained(&base->target, of_target, n_target,
                                                       at.branch, &ignored))
            code = put_mark(m, at, mark == NULL ? NULL : mark->body, false);
    }
    return code;
}

pang_code pang_merge_marks_put(const pang_merge_task *task, const pang_merge_plan *plan,
                               pang_edit *edit, pang_err *err)
{
    marking m = {task, plan, edit, err};
    if (task->base == NULL)
        return PANG_OK;
    pang_code code = put_mark(&m, task->base->source.points[0], NULL, true);
    if (code == PANG_OK && !task->base->source.partial)
        code = pass_on(&m);
    return code;
}

pang_code pang_merge_keep_source(pang_view *target, pang_point source, pang_err *err)
{
    return pang_fork_mark_raise(target->txn, &target->keys, source.branch, source.sequence, err);
}
