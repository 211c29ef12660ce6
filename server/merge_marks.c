/*
 * Marks: a merge of X at a point into Y says in its own commit that Y has all of X up to there, and
 * with it all that X has of others: what it was made from, and what was merged into it. Assets that
 * were left out are said to be exceptions, each with the base that it had.
 * A branch that holds a selection speaks for itself and what it is read through only: it has not
 * all of what the selection was made from.
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
    const pang_merge_mark *of_source; /* marks of what the source has of others */
    size_t n_of_source;
} marking;

/* ---- exceptions ---- */

static const pang_merge_item *find_item(const marking *m, pang_id asset)
{
    for (size_t i = 0; i < m->plan->n; i++)
        if (pang_id_equal(m->plan->items[i]->asset, asset))
            return m->plan->items[i];
    return NULL;
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

/* Its base stays what the mark before this one says of it; without one, where the chains meet. */
static exception left_out(ProtobufCBinaryData asset, const pang_rec_merge_mark *old)
{
    exception ret = PANGOLIN__STORE__V1__MERGE_MARK__EXCEPTION__INIT;
    const exception *before = pang_merge_exception(old, pang_id_of(asset));
    ret.asset = asset;
    ret.left_out = true;
    if (old == NULL)
        return ret;
    bool stayed_out = before != NULL && before->left_out;
    ret.from_sequence = stayed_out ? before->from_sequence : old->from_sequence;
    ret.into_sequence = stayed_out ? before->into_sequence : old->into_sequence;
    return ret;
}

/* How much of `from` this merge brought of one asset; 0: nothing. */
static uint64_t brought(const marking *m, pang_point from, ProtobufCBinaryData asset, bool direct)
{
    pang_id id = pang_id_of(asset);
    const pang_merge_item *item = find_item(m, id);
    if (item == NULL || item->fate == PANG_FATE_LEFT_OUT)
        return 0;
    return direct ? from.sequence
                  : pang_merge_contained(&m->task->base->source, m->of_source, m->n_of_source,
                                         from.branch, &id)
                        .sequence;
}

/* Of what this merge was about. */
static pang_code add_planned(const marking *m, pang_rec_merge_mark *mark,
                             const pang_rec_merge_mark *old, bool direct)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < m->plan->n; i++) {
        const pang_merge_item *item = m->plan->items[i];
        exception one = PANGOLIN__STORE__V1__MERGE_MARK__EXCEPTION__INIT;
        one.asset = pang_bytes_of_id(&item->asset);
        one.columns = (int32_t *)(uintptr_t)item->columns;
        one.n_columns = item->n_columns;
        /* How columns of a third branch read in the target is not known: it is asked anew. */
        if (item->fate == PANG_FATE_LEFT_OUT || (!direct && item->n_columns > 0))
            one = left_out(one.asset, old);
        if (!pang_id_is_nil(item->asset) && (one.left_out || one.n_columns > 0))
            code = add_exception(m, mark, &one);
    }
    return code;
}

/* What the mark before this one excepts and this merge was not about, and what the source's own
 * mark does (`also`; NULL: there is none): the source does not have it either. */
static pang_code fill_exceptions(const marking *m, pang_point from, pang_rec_merge_mark *mark,
                                 const pang_rec_merge_mark *old, const pang_rec_merge_mark *also,
                                 bool direct)
{
    size_t n_old = old == NULL ? 0 : old->n_exceptions;
    size_t n_also = also == NULL ? 0 : also->n_exceptions;
    mark->exceptions = pang_arena_alloc_n(m->edit->view->arena, m->plan->n + n_old + n_also,
                                          sizeof(exception *));
    if (mark->exceptions == NULL)
        return pang_fail_memory(m->err);
    pang_code code = add_planned(m, mark, old, direct);
    for (size_t i = 0; code == PANG_OK && i < n_also; i++) {
        exception one = left_out(also->exceptions[i]->asset, old);
        uint64_t now = brought(m, from, one.asset, direct);
        if (now > one.from_sequence) {
            one.from_sequence = now;
            one.into_sequence = 0; /* this commit */
        }
        if (also->exceptions[i]->left_out)
            code = add_exception(m, mark, &one);
    }
    for (size_t i = 0; code == PANG_OK && i < n_old; i++)
        if ((old->exceptions[i]->left_out || direct) &&
            find_item(m, pang_id_of(old->exceptions[i]->asset)) == NULL)
            code = add_exception(m, mark, old->exceptions[i]);
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
    pang_record record = {0};
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
        for (size_t i = 0; code == PANG_OK && i < (*ret)->n_exceptions; i++)
            if ((*ret)->exceptions[i]->from_sequence != 0 &&
                (*ret)->exceptions[i]->into_sequence == 0)
                (*ret)->exceptions[i]->into_sequence = record.sequence;
    }
    return code;
}

static pang_code write_mark(const marking *m, pang_str key, const pang_rec_merge_mark *mark)
{
    pang_put put = {
        .key = key,
        .body = pang_record_pack(&mark->base, m->edit->view->arena),
        .kind = PANG_KIND_MERGE_MARK,
        .slot = m->edit->slot, /* the record's sequence is this commit's number */
        .key_slot = PANG_NO_SLOT,
    };
    pang_txn_put_full(m->edit->view->txn, &put);
    return PANG_OK;
}

/* More of the branch is in the target already, but for exceptions: those that came now are there up
 * to this point. */
static pang_code narrow_exceptions(const marking *m, pang_str key, pang_rec_merge_mark *old,
                                   pang_point from, bool direct)
{
    bool changed = false;
    for (size_t i = 0; i < old->n_exceptions; i++) {
        exception *one = old->exceptions[i];
        uint64_t now = one->left_out ? brought(m, from, one->asset, direct) : 0;
        if (now <= one->from_sequence)
            continue;
        one->from_sequence = now;
        one->into_sequence = 0; /* this commit */
        changed = true;
    }
    return changed ? write_mark(m, key, old) : PANG_OK;
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
    if (code != PANG_OK)
        return code;
    if (old != NULL && old->from_sequence >= from.sequence + direct)
        return narrow_exceptions(m, key, old, from, direct);
    mark.from_sequence = from.sequence;
    code = fill_exceptions(m, from, &mark, old, also, direct);
    if (code == PANG_OK)
        code = fill_older(m, &mark, old);
    return code == PANG_OK ? write_mark(m, key, &mark) : code;
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

/* What the source was made from beyond the meeting, and what was merged there. One that shows a
 * selection has all of the branches that it is read through, but not of what was merged there. */
static pang_code list_others(const marking *m, branch_list *l)
{
    const pang_merge_base *base = m->task->base;
    pang_view *view = m->edit->view;
    size_t alone = base->fork.in_a + 1 < base->source.n ? base->fork.in_a + 1 : base->source.n;
    pang_code code = PANG_OK;
    if (base->source.partial && alone > m->task->source->n_levels)
        alone = m->task->source->n_levels;
    for (size_t i = 1; i < alone; i++)
        add_branch(l, base->source.points[i].branch);
    if (base->source.partial)
        return PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < alone; i++) {
        pang_id thirds[PANG_MERGE_THIRDS_MAX];
        size_t n = 0;
        code = pang_merge_thirds(view, base->source.points[i].branch, thirds, &n, m->err);
        for (size_t k = 0; code == PANG_OK && k < n; k++)
            add_branch(l, thirds[k]);
    }
    return code;
}

/* What the target has of a branch it has by what it was made from, where the mark is, with its
 * exceptions. Where this merge brings some of those, the target gets a mark of its own. */
static pang_code own_mark(const marking *m, pang_point from, const pang_merge_has *had,
                          const pang_merge_mark *marks, size_t n_marks)
{
    pang_view *view = m->edit->view;
    pang_rec_merge_mark mark = PANGOLIN__STORE__V1__MERGE_MARK__INIT;
    const pang_rec_merge_mark *of = had->mark->body;
    bool changed = false;
    pang_code code = PANG_OK;
    mark.from_sequence = had->sequence;
    mark.exceptions = pang_arena_alloc_n(view->arena, of->n_exceptions, sizeof(exception *));
    if (mark.exceptions == NULL)
        return pang_fail_memory(m->err);
    for (size_t i = 0; code == PANG_OK && i < of->n_exceptions; i++) {
        pang_id asset = pang_id_of(of->exceptions[i]->asset);
        exception one = left_out(of->exceptions[i]->asset, NULL);
        pang_merge_has before = pang_merge_contained(&m->task->base->target, marks, n_marks,
                                                     from.branch, &asset);
        uint64_t now = brought(m, from, one.asset, false);
        if (!of->exceptions[i]->left_out)
            continue;
        changed = changed || now > before.sequence;
        one.from_sequence = now > before.sequence ? now : before.sequence;
        one.into_sequence = now > before.sequence ? 0 : before.since.sequence;
        code = add_exception(m, &mark, &one);
    }
    pang_str key = pang_key_merge_mark(&view->keys, view->levels[0].branch, from.branch);
    return code == PANG_OK && changed ? write_mark(m, key, &mark) : code;
}

static pang_code pass_on(marking *m)
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
    m->of_source = of_source;
    m->n_of_source = n_source;
    for (size_t i = 0; code == PANG_OK && i < l.n; i++) {
        pang_point at = {.branch = l.branches[i]};
        pang_merge_has has = pang_merge_contained(&base->source, of_source, n_source, at.branch,
                                                  NULL);
        at.sequence = has.sequence;
        bool own = pang_id_equal(at.branch, view->levels[0].branch) ||
                   pang_id_equal(at.branch, base->source.points[0].branch);
        pang_merge_has had = pang_merge_contained(&base->target, of_target, n_target, at.branch,
                                                  NULL);
        bool marked = had.mark != NULL && pang_id_equal(had.mark->into, view->levels[0].branch);
        if (!own && (at.sequence > had.sequence || (marked && at.sequence > 0)))
            code = put_mark(m, at, has.mark == NULL ? NULL : has.mark->body, false);
        else if (!own && at.sequence > 0 && had.mark != NULL)
            code = own_mark(m, at, &had, of_target, n_target);
    }
    return code;
}

pang_code pang_merge_marks_put(const pang_merge_task *task, const pang_merge_plan *plan,
                               pang_edit *edit, pang_err *err)
{
    marking m = {.task = task, .plan = plan, .edit = edit, .err = err};
    if (task->base == NULL)
        return PANG_OK;
    pang_code code = put_mark(&m, task->base->source.points[0], NULL, true);
    if (code == PANG_OK)
        code = pass_on(&m);
    return code;
}

pang_code pang_merge_keep_source(pang_view *target, pang_point source, pang_err *err)
{
    return pang_fork_mark_raise(target->txn, &target->keys, source.branch, source.sequence, err);
}
