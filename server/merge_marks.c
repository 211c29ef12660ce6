/*
 * Marks: a merge of X at a point into Y says in its own commit that Y has all of X up to there, and
 * with it all that X has of others: what it was made from, and what was merged into it. What was
 * left out is said to be an exception, with the base that it had.
 * A branch that holds a selection speaks wholly for itself and what it is read through only. Of
 * what the selection was made from, and of what was merged there, it has what it holds: that is
 * passed on thing by thing, as exceptions that have more than their mark.
 */
#include <string.h>

#include "server/merge_apply.h"
#include "server/places.h"
#include "server/shared.h"

enum {
    PASSED_MAX = 64,                         /* marks that are passed on by one merge */
    OLDER_EXCEPTIONS_MAX = PANG_CHANGES_MAX, /* of all that a mark remembers of before */
};

typedef Pangolin__Store__V1__MergeMark__Exception exception;

/* Of one branch in the target. Without a body there is none. */
typedef struct {
    pang_rec_merge_mark *body;
    pang_index exceptions; /* of the body */
} mark;

typedef struct {
    const pang_merge_task *task;
    const pang_merge_plan *plan;
    pang_edit *edit;
    pang_err *err;
    const pang_merge_mark *of_source; /* marks of what the source has of others */
    size_t n_of_source;
    const pang_merge_mark *of_target;
    size_t n_of_target;
    mark direct;   /* what the target has of the source from now on */
    bool *foreign; /* of each item: a namespace that the source has by its own making; NULL: none */
} marking;

/* ---- exceptions ---- */

static const pang_merge_item *find_item(const marking *m, const exception *one)
{
    pang_merge_thing thing = pang_merge_excepted(one);
    return pang_id_is_nil(thing.asset) ? pang_merge_find_space(m->plan, thing.name)
                                       : pang_merge_find_asset(m->plan, thing.asset);
}

static exception *find_exception(const pang_index *in, const exception *like)
{
    pang_merge_thing thing = pang_merge_excepted(like);
    return pang_merge_exception(in, &thing);
}

/* A mark that says nothing yet, with room for n exceptions. */
static pang_code new_mark(const marking *m, size_t n, mark *ret)
{
    pang_arena *arena = m->edit->view->arena;
    *ret = (mark){.body = pang_arena_alloc(arena, sizeof *ret->body), .exceptions.arena = arena};
    exception **list = pang_arena_alloc_n(arena, n, sizeof(exception *));
    if (ret->body == NULL || list == NULL)
        return pang_fail_memory(m->err);
    *ret->body = (pang_rec_merge_mark)PANGOLIN__STORE__V1__MERGE_MARK__INIT;
    ret->body->exceptions = list;
    return PANG_OK;
}

static pang_code add_exception(const marking *m, mark *to, const exception *one)
{
    pang_merge_thing thing = pang_merge_excepted(one);
    exception *kept = pang_arena_alloc(m->edit->view->arena, sizeof *kept);
    if (kept == NULL || !pang_index_add(&to->exceptions, pang_merge_hash_thing(&thing), kept))
        return pang_fail_memory(m->err);
    *kept = *one;
    to->body->exceptions[to->body->n_exceptions++] = kept;
    return PANG_OK;
}

/* In place of what the mark said of the thing, if it did. */
static pang_code set_exception(const marking *m, mark *to, const exception *one)
{
    exception *said = find_exception(&to->exceptions, one);
    if (said == NULL)
        return add_exception(m, to, one);
    *said = *one;
    return PANG_OK;
}

/* One about an item that says nothing yet. */
static pang_code about(const marking *m, const pang_merge_item *item, exception *ret)
{
    pang_arena *arena = m->edit->view->arena;
    *ret = (exception)PANGOLIN__STORE__V1__MERGE_MARK__EXCEPTION__INIT;
    if (!pang_id_is_nil(item->asset)) {
        ret->asset = pang_bytes_of_id(&item->asset);
        return PANG_OK;
    }
    ret->path = pang_arena_cstr(arena, item->to.path);
    ret->name = pang_arena_cstr(arena, item->to.name);
    return ret->path == NULL || ret->name == NULL ? pang_fail_memory(m->err) : PANG_OK;
}

/* Its base stays what the mark before this one says of it, with the columns that had other ids;
 * without one, where the chains meet. */
static exception left_out(const exception *about, const mark *old)
{
    exception ret = *about;
    const exception *before = find_exception(&old->exceptions, about);
    ret.left_out = true;
    ret.from_sequence = ret.into_sequence = 0;
    ret.columns = before == NULL ? NULL : before->columns;
    ret.n_columns = before == NULL ? 0 : before->n_columns;
    if (old->body == NULL)
        return ret;
    bool has_own = before != NULL && before->left_out;
    ret.from_sequence = has_own ? before->from_sequence : old->body->from_sequence;
    ret.into_sequence = has_own ? before->into_sequence : old->body->into_sequence;
    return ret;
}

/* Whether it is not said how columns of a merged table read in the target. */
static bool lacks_columns(const pang_merge_item *item)
{
    return item->columns_lost || (item->fate == PANG_FATE_KEPT && item->document.size > 0);
}

/* How much of `from` this merge brought of an item; number 0: nothing, or it must be asked anew how
 * columns of a third branch read in the target. */
static pang_merge_has brought(const marking *m, pang_point from, const pang_merge_item *item,
                              bool direct)
{
    pang_merge_thing thing = pang_merge_thing_of(item);
    if (item->fate == PANG_FATE_LEFT_OUT || lacks_columns(item))
        return (pang_merge_has){0};
    if (direct)
        return (pang_merge_has){.sequence = from.sequence};
    pang_merge_has ret = pang_merge_contained(&m->task->base->source, m->of_source, m->n_of_source,
                                              from.branch, &thing);
    const exception *of = ret.mark == NULL ? NULL
                                           : pang_merge_exception(&ret.mark->exceptions, &thing);
    bool twice = item->n_columns > 0 && of != NULL && of->n_columns > 0;
    return twice ? (pang_merge_has){0} : ret;
}

/* Of what this merge was about. */
static pang_code add_planned(const marking *m, mark *to, const mark *old,
                             const pang_merge_mark *also)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < m->plan->n; i++) {
        exception one;
        const pang_merge_item *item = m->plan->items[i];
        code = about(m, item, &one);
        if (code != PANG_OK)
            return code;
        one.columns = (int32_t *)(uintptr_t)item->columns;
        one.n_columns = item->n_columns;
        /* Columns of a third branch that have other ids in the source, and again others in the
         * target, are asked for anew. */
        if (item->fate == PANG_FATE_LEFT_OUT || lacks_columns(item) ||
            (item->n_columns > 0 && also != NULL &&
             find_exception(&also->exceptions, &one) != NULL))
            one = left_out(&one, old);
        if (one.left_out || one.n_columns > 0)
            code = add_exception(m, to, &one);
    }
    return code;
}

/* What the source's own mark of a third branch says of a thing holds in the target, too: it does
 * not have it either; or columns of it have other ids, which are the target's, where these are the
 * source's. */
static pang_code add_also(const marking *m, pang_point from, mark *to, const exception *also,
                          const mark *old)
{
    exception one = *also;
    const exception *between = find_exception(&m->direct.exceptions, also);
    bool lacks = also->left_out && also->from_sequence < from.sequence;
    if ((!lacks && also->n_columns == 0) || find_exception(&to->exceptions, also) != NULL)
        return PANG_OK;
    one.left_out = false;
    one.from_sequence = one.into_sequence = 0;
    if (lacks || (between != NULL && (between->n_columns > 0 || between->left_out)))
        one = left_out(also, old);
    return add_exception(m, to, &one);
}

/* Whether what the mark before this one says of a thing that this merge was not about still holds.
 * Where it had more than the mark, the new one may have as much. */
static bool still_holds(const exception *one, const pang_rec_merge_mark *old, uint64_t from)
{
    return !one->left_out || one->from_sequence <= old->from_sequence || one->from_sequence > from;
}

/* What the mark before this one excepts and this merge was not about, and what the source's own
 * mark does (`also`; NULL: there is none). */
static pang_code fill_exceptions(const marking *m, pang_point from, mark *to, const mark *old,
                                 const pang_merge_mark *also)
{
    pang_code code = add_planned(m, to, old, also);
    for (size_t i = 0; code == PANG_OK && also != NULL && i < also->body->n_exceptions; i++)
        code = add_also(m, from, to, also->body->exceptions[i], old);
    for (size_t i = 0; code == PANG_OK && old->body != NULL && i < old->body->n_exceptions; i++) {
        const exception *one = old->body->exceptions[i];
        if (still_holds(one, old->body, from.sequence) && find_item(m, one) == NULL &&
            find_exception(&to->exceptions, one) == NULL)
            code = add_exception(m, to, one);
    }
    return code;
}

/* ---- records ---- */

/* How many of the marks before are remembered: a record has bounds, and so has what a merge reads.
 * Who stands at a point from before them is asked by the base before that, and meets more. */
static size_t count_older(const pang_rec_merge_mark *old)
{
    size_t n = 1, exceptions = old->n_exceptions;
    while (n < PANG_MERGE_OLDER_MAX && n <= old->n_older) {
        exceptions += old->older[n - 1]->n_exceptions;
        if (exceptions > OLDER_EXCEPTIONS_MAX)
            break;
        n++;
    }
    return n;
}

/* The mark that is replaced becomes the first of those that the new one remembers. */
static pang_code fill_older(const marking *m, pang_rec_merge_mark *to, pang_rec_merge_mark *old)
{
    if (old == NULL)
        return PANG_OK;
    size_t n = count_older(old);
    to->older = pang_arena_alloc_n(m->edit->view->arena, n, sizeof *to->older);
    if (to->older == NULL)
        return pang_fail_memory(m->err);
    to->older[0] = old;
    for (size_t i = 1; i < n; i++)
        to->older[i] = old->older[i - 1];
    to->n_older = n;
    old->n_older = 0;
    return PANG_OK;
}

static pang_code read_mark(const marking *m, pang_str key, mark *ret)
{
    pang_record record = {0};
    pang_view *view = m->edit->view;
    *ret = (mark){.exceptions.arena = view->arena};
    pang_code code = pang_keys_status(&view->keys, m->err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, m->err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__merge_mark__descriptor, &record,
                                  view->arena, &ret->body, m->err);
    if (code != PANG_OK || ret->body == NULL)
        return code;
    if (ret->body->into_sequence == 0)
        ret->body->into_sequence = record.sequence;
    for (size_t i = 0; i < ret->body->n_exceptions; i++) {
        exception *one = ret->body->exceptions[i];
        if (one->from_sequence != 0 && one->into_sequence == 0)
            one->into_sequence = record.sequence;
    }
    return pang_merge_index_exceptions(ret->body, &ret->exceptions) ? PANG_OK
                                                                    : pang_fail_memory(m->err);
}

/* A selection has nothing of what it never held. */
static bool is_held(const pang_merge_item *item)
{
    return item->source.body != NULL ||
           (!pang_id_is_nil(item->asset) && item->source.name.name.len > 0);
}

/* It was not there, or not any more: what the target is said to have had of it has come now. */
static bool comes_back(const pang_merge_item *item)
{
    bool changes = item->fate == PANG_FATE_TAKEN || item->fate == PANG_FATE_MERGED;
    return changes && item->stands && !pang_content_exists(&item->target);
}

/* A namespace of a selection that is one with the source's from now on. */
static bool is_joined(const marking *m, const pang_merge_item *item)
{
    return m->task->base->target.partial && pang_id_is_nil(item->asset) &&
           (item->fate == PANG_FATE_TAKEN || item->fate == PANG_FATE_MERGED ||
            item->fate == PANG_FATE_KEPT);
}

/* Of things of which this merge brought more than the target has, and more than the mark says: they
 * are there up to that point since this commit. REQUIRES: room for all of the plan. */
static pang_code raise_things(const marking *m, pang_point from, mark *to, bool direct,
                              bool *ret_changed)
{
    pang_code code = PANG_OK;
    *ret_changed = false;
    for (size_t i = 0; code == PANG_OK && i < m->plan->n; i++) {
        exception one;
        const pang_merge_item *item = m->plan->items[i];
        pang_merge_thing thing = pang_merge_thing_of(item);
        pang_merge_has now = brought(m, from, item, direct);
        pang_merge_has had = pang_merge_contained(&m->task->base->target, m->of_target,
                                                  m->n_of_target, from.branch, &thing);
        const exception *said = pang_merge_exception(&to->exceptions, &thing);
        bool more = now.sequence > had.sequence &&
                    (now.sequence > to->body->from_sequence || (said != NULL && said->left_out));
        bool again = now.sequence == had.sequence && comes_back(item);
        bool foreign = !direct && m->foreign != NULL && m->foreign[i] &&
                       !pang_merge_is_joined(&now, &thing);
        if (now.sequence == 0 || !is_held(item) || foreign ||
            (!more && !again && !is_joined(m, item)))
            continue;
        const exception *of = now.mark == NULL
                                  ? NULL
                                  : pang_merge_exception(&now.mark->exceptions, &thing);
        code = about(m, item, &one);
        one.left_out = true;
        one.from_sequence = now.sequence; /* and into 0: this commit */
        bool other = item->n_columns == 0 && of != NULL;
        one.columns = other ? of->columns : (int32_t *)(uintptr_t)item->columns;
        one.n_columns = other ? of->n_columns : item->n_columns;
        if (code == PANG_OK)
            code = set_exception(m, to, &one);
        *ret_changed = true;
    }
    return code;
}

/* As much of the whole branch is in the target as `old` says (NULL: no mark does), and more of some
 * things. */
static pang_code put_things(const marking *m, pang_str key, pang_rec_merge_mark *old,
                            pang_point from, bool direct)
{
    mark next;
    bool changed = false;
    size_t n = old == NULL ? 0 : old->n_exceptions;
    pang_code code = new_mark(m, n + m->plan->n, &next);
    if (code != PANG_OK)
        return code;
    if (old != NULL) {
        next.body->from_sequence = old->from_sequence;
        next.body->into_sequence = old->into_sequence;
    }
    for (size_t i = 0; code == PANG_OK && old != NULL && i < n; i++)
        code = add_exception(m, &next, old->exceptions[i]);
    if (code == PANG_OK)
        code = raise_things(m, from, &next, direct, &changed);
    if (code != PANG_OK || !changed)
        return code;
    code = fill_older(m, next.body, old);
    return code == PANG_OK ? pang_edit_put_mark(m->edit, key, next.body, m->err) : code;
}

static pang_str key_of(const marking *m, pang_id from)
{
    pang_view *view = m->edit->view;
    return pang_key_merge_mark(&view->keys, view->levels[0].branch, from);
}

/* All that `from` was at a number is in the target from this commit on. `also`: a mark of the
 * source whose exceptions hold here, too. *ret: what the target has of it then. */
static pang_code put_mark(const marking *m, pang_point from, const pang_merge_mark *also,
                          bool direct, mark *ret)
{
    mark old;
    bool changed;
    pang_str key = key_of(m, from.branch);
    pang_code code = read_mark(m, key, &old);
    if (code != PANG_OK)
        return code;
    *ret = old;
    if (old.body != NULL && old.body->from_sequence >= from.sequence + direct)
        return put_things(m, key, old.body, from, direct);
    size_t n = also == NULL ? 0 : also->body->n_exceptions;
    n += old.body == NULL ? 0 : old.body->n_exceptions;
    code = new_mark(m, 2 * m->plan->n + n, ret);
    if (code != PANG_OK)
        return code;
    ret->body->from_sequence = from.sequence;
    code = fill_exceptions(m, from, ret, &old, also);
    if (code == PANG_OK)
        code = raise_things(m, from, ret, direct, &changed);
    if (code == PANG_OK)
        code = fill_older(m, ret->body, old.body);
    return code == PANG_OK ? pang_edit_put_mark(m->edit, key, ret->body, m->err) : code;
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

/* The source shows a selection, and the target does not show the same. */
static bool is_selection(const marking *m)
{
    const pang_merge_base *base = m->task->base;
    return base->source.partial && base->fork.in_a >= base->source.n_whole;
}

/* What the source was made from beyond the meeting, and what was merged there. */
static pang_code list_others(const marking *m, branch_list *l)
{
    const pang_merge_base *base = m->task->base;
    size_t alone = base->fork.in_a + 1 < base->source.n ? base->fork.in_a + 1 : base->source.n;
    pang_code code = PANG_OK;
    for (size_t i = 1; i < alone; i++)
        add_branch(l, base->source.points[i].branch);
    for (size_t i = 0; code == PANG_OK && i < alone; i++) {
        pang_id thirds[PANG_MERGE_THIRDS_MAX];
        size_t n = 0;
        code = pang_merge_thirds(m->edit->view, base->source.points[i].branch, thirds, &n, m->err);
        for (size_t k = 0; code == PANG_OK && k < n; k++)
            add_branch(l, thirds[k]);
    }
    return code;
}

/* Whether the source has the branch as far as it holds something of it only. */
static bool is_had_in_part(const marking *m, pang_id branch)
{
    const pang_chain *source = &m->task->base->source;
    for (size_t i = 0; i < source->n_whole; i++)
        if (pang_id_equal(source->points[i].branch, branch))
            return false;
    return is_selection(m);
}

static bool has_exceptions(const pang_merge_mark *marks, size_t n, pang_id from)
{
    for (size_t i = 0; i < n; i++)
        if (pang_id_equal(marks[i].from, from) && marks[i].body->n_exceptions > 0)
            return true;
    return false;
}

static bool brings_back(const marking *m)
{
    for (size_t i = 0; i < m->plan->n; i++)
        if (comes_back(m->plan->items[i]))
            return true;
    return false;
}

static pang_code pass_branch(const marking *m, pang_id branch)
{
    mark ignored, old;
    const pang_merge_base *base = m->task->base;
    bool in_part = is_had_in_part(m, branch);
    pang_merge_has has = pang_merge_contained(&base->source, m->of_source, m->n_of_source, branch,
                                              NULL);
    pang_merge_has had = pang_merge_contained(&base->target, m->of_target, m->n_of_target, branch,
                                              NULL);
    if (!in_part && has.sequence > had.sequence)
        return put_mark(m, (pang_point){branch, has.sequence}, has.mark, false, &ignored);
    if (!in_part && !base->target.partial && !brings_back(m) &&
        !has_exceptions(m->of_source, m->n_of_source, branch) &&
        !has_exceptions(m->of_target, m->n_of_target, branch))
        return PANG_OK;
    pang_str key = key_of(m, branch);
    pang_code code = read_mark(m, key, &old);
    return code == PANG_OK ? put_things(m, key, old.body, (pang_point){.branch = branch}, false)
                           : code;
}

/* Which namespaces a selection did not hold when it was made. */
static pang_code find_foreign(marking *m)
{
    pang_view view = *m->task->source;
    const pang_merge_base *base = m->task->base;
    pang_point made = pang_merge_made(&base->source, base->of_source, base->n_of_source);
    size_t n = m->plan->n;
    if (made.sequence == 0)
        return PANG_OK;
    pang_content *at = pang_arena_alloc_n(view.arena, n, sizeof *at);
    m->foreign = pang_arena_alloc_n(view.arena, n, sizeof *m->foreign);
    if (at == NULL || m->foreign == NULL)
        return pang_fail_memory(m->err);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (pang_id_is_nil(m->plan->items[i]->asset))
            at[k++] = (pang_content){.name = m->plan->items[i]->to};
    pang_code code = pang_view_at_point(&view, made.branch, made.sequence, m->err);
    if (code == PANG_OK)
        code = pang_places_names(&view, at, k, m->err);
    k = 0;
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (pang_id_is_nil(m->plan->items[i]->asset))
            m->foreign[i] = at[k++].body == NULL;
    return code;
}

static pang_code pass_on(marking *m)
{
    branch_list l = {0};
    const pang_merge_base *base = m->task->base;
    pang_view *view = m->edit->view;
    pang_merge_mark *of_source = NULL, *of_target = NULL;
    pang_code code = list_others(m, &l);
    if (code != PANG_OK || l.n == 0)
        return code;
    code = find_foreign(m);
    if (code != PANG_OK)
        return code;
    code = pang_merge_marks_read(view, &base->source, l.branches, l.n, &of_source, &m->n_of_source,
                                 m->err);
    if (code == PANG_OK)
        code = pang_merge_marks_read(view, &base->target, l.branches, l.n, &of_target,
                                     &m->n_of_target, m->err);
    m->of_source = of_source;
    m->of_target = of_target;
    for (size_t i = 0; code == PANG_OK && i < l.n; i++)
        if (!pang_id_equal(l.branches[i], view->levels[0].branch) &&
            !pang_id_equal(l.branches[i], base->source.points[0].branch))
            code = pass_branch(m, l.branches[i]);
    return code;
}

pang_code pang_merge_marks_put(const pang_merge_task *task, const pang_merge_plan *plan,
                               pang_edit *edit, pang_err *err)
{
    marking m = {.task = task, .plan = plan, .edit = edit, .err = err};
    if (task->base == NULL)
        return PANG_OK;
    m.of_target = task->base->of_target;
    m.n_of_target = task->base->n_of_target;
    pang_code code = put_mark(&m, task->base->source.points[0], NULL, true, &m.direct);
    if (code == PANG_OK)
        code = pass_on(&m);
    return code;
}

pang_code pang_merge_keep_source(pang_view *target, pang_point source, pang_err *err)
{
    return pang_fork_mark_raise(target->txn, &target->keys, source.branch, source.sequence, err);
}
