/*
 * Merges on their way: opened, planned, and carried out or kept for people to decide. What is
 * merged, picked or put on another base differs in how it is opened and planned; the rest is one.
 */
#include "server/svc_merge.h"

#include <string.h>

#include "server/common.h"
#include "server/merge_kept.h"
#include "server/shared.h"
#include "server/svc_names.h"
#include "server/svc_refs.h"

/* ---- what lasts over all attempts of the call ---- */

/* Where the source stands. */
typedef struct {
    pang_id branch;
    uint64_t sequence;
    uint64_t mark; /* version of the branch's fork mark then */
} pin;

typedef struct {
    bool is_pinned;
    pin source;
    pang_merge_kept *tables;
} carried;

/* *ret is NULL where nothing lasts. */
static pang_code find_carried(pang_call *call, carried **ret, pang_err *err)
{
    *ret = call->carried;
    if (*ret != NULL || call->lasting == NULL)
        return PANG_OK;
    carried *made = pang_arena_alloc(call->lasting, sizeof *made);
    if (made == NULL)
        return pang_fail_memory(err);
    made->tables = pang_merge_kept_new(call->lasting);
    if (made->tables == NULL)
        return pang_fail_memory(err);
    *ret = call->carried = made;
    return PANG_OK;
}

/* ---- source and target ---- */

/* The version of a record that the commit checks; 0: it is not there. */
static pang_code version_of(pang_view *view, pang_str key, uint64_t *ret, pang_err *err)
{
    pang_record record = {0};
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, err);
    *ret = record.version;
    return code;
}

/* A branch is merged as it was when the call began, however often it runs again; but for a commit
 * in between that lets go of files, after which only its present state surely has its own. */
static pang_code pin_source(pang_merge_run *m, pang_err *err)
{
    pin now = {.branch = m->source.levels[0].branch};
    carried *before = NULL;
    pang_code code = find_carried(m->call, &before, err);
    if (code == PANG_OK)
        code = version_of(&m->source, pang_key_fork_mark(&m->source.keys, now.branch), &now.mark,
                          err);
    if (code == PANG_OK)
        code = pang_view_sequence(&m->source, &now.sequence, err);
    if (code != PANG_OK)
        return code;
    if (before != NULL && before->is_pinned && before->source.mark == now.mark &&
        pang_id_equal(before->source.branch, now.branch))
        now = before->source;
    else if (before != NULL) {
        before->source = now;
        before->is_pinned = true;
    }
    pang_view_set_at(&m->source, now.sequence);
    return PANG_OK;
}

bool pang_merge_is_branch(const pang_view *view)
{
    return view->ref != NULL && view->ref->kind == PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH;
}

/* Of a branch that rebases replaced, what it is now, or was last. */
static pang_code find_last(pang_view *view, pang_id *branch, pang_rec_branch **ret, pang_err *err)
{
    pang_code code = pang_branch_find(view, *branch, ret, err);
    while (code == PANG_OK && (*ret)->next.len > 0) {
        pang_id next = pang_id_of((*ret)->next);
        code = pang_branch_find(view, next, ret, err);
        if (code == PANG_NOT_FOUND) /* it ended, and nothing reads through it */
            return PANG_OK;
        *branch = next;
    }
    return code;
}

/* Whether what is, or was, of the branch was tried out only; a branch that ended as experimental
 * stays so. *ret_name: what it is called, or was last. */
static pang_code is_tried_out(pang_view *view, pang_id branch, bool *ret, const char **ret_name,
                              pang_err *err)
{
    pang_rec_ref *ref = NULL;
    pang_rec_branch *body = NULL;
    pang_code code = find_last(view, &branch, &body, err);
    if (code == PANG_OK)
        code = pang_ref_find(view, pang_str_from(body->name), &ref, err);
    if (code != PANG_OK)
        return code;
    bool of_it = ref != NULL && pang_id_equal(pang_id_of(ref->branch), branch);
    *ret = of_it ? strcmp(ref->type, "experimental") == 0 : body->experimental;
    *ret_name = body->name;
    return PANG_OK;
}

/* What was tried out does not get where what counts is, unless somebody says that it counts. */
pang_code pang_merge_check_types(pang_view *from, const pang_view *into, pang_err *err)
{
    const char *name = "";
    bool tried_out = false;
    pang_code code = PANG_OK;
    if (strcmp(into->ref->type, "experimental") == 0)
        return PANG_OK;
    if (pang_merge_is_branch(from))
        tried_out = strcmp(from->ref->type, "experimental") == 0;
    else /* a tag, a commit: of which branch? */
        code = is_tried_out(from, from->levels[0].branch, &tried_out, &name, err);
    if (code != PANG_OK || !tried_out)
        return code;
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                     "an experimental branch is not merged into \"%" PANG_STR_FMT
                     "\", which is none: promote it first",
                     PANG_STR_ARG(into->ref_name));
}

/* How many of the source's points hold something that the target's chain does not. */
static size_t points_beyond(const pang_chain *from, const pang_chain *into)
{
    pang_common common = pang_common_point(from, into);
    if (!common.met)
        return from->n;
    return common.in_a + (from->points[common.in_a].sequence > common.at.sequence);
}

pang_code pang_merge_check_passed(pang_view *from, pang_view *into, const char *type, pang_err *err)
{
    pang_chain chain, other;
    if (strcmp(type, "experimental") == 0)
        return PANG_OK;
    pang_code code = pang_chain_of(from, &chain, err);
    if (code == PANG_OK)
        code = pang_chain_of(into, &other, err);
    size_t n = code == PANG_OK ? points_beyond(&chain, &other) : 0;
    for (size_t i = 1; code == PANG_OK && i < n; i++) {
        const char *name = "";
        bool tried_out = false;
        code = is_tried_out(from, chain.points[i].branch, &tried_out, &name, err);
        if (code == PANG_OK && tried_out)
            code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                             "\"%" PANG_STR_FMT "\" has what it was made from with it, the "
                             "experimental branch \"%s\", which is not merged: promote that first",
                             PANG_STR_ARG(from->ref_name), name);
    }
    return code;
}

pang_code pang_merge_run_open(pang_merge_run *m, const char *source, const char *target,
                              pang_err *err)
{
    if (source[0] == '\0' || target[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "source_branch and target_branch are required");
    pang_code code = pang_refs_open(m->call, m->catalog, &m->target, err);
    m->source = m->target;
    if (code == PANG_OK)
        code = pang_view_switch(&m->target, pang_str_from(target), PANG_NOT_FOUND_REASON, err);
    if (code == PANG_OK && !pang_merge_is_branch(&m->target))
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"%s\" is no branch: nothing is merged into it", target);
    if (code == PANG_OK)
        code = pang_view_switch(&m->source, pang_str_from(source), PANG_NOT_FOUND_REASON, err);
    if (code != PANG_OK)
        return code;
    m->target.merging = true;
    if (pang_merge_is_branch(&m->source) &&
        pang_id_equal(m->source.levels[0].branch, m->target.levels[0].branch))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"%s\" is not merged into itself", source);
    code = pang_merge_check_types(&m->source, &m->target, err);
    if (code == PANG_OK)
        code = pang_merge_check_passed(&m->source, &m->target, m->target.ref->type, err);
    return code == PANG_OK && pang_merge_is_branch(&m->source) ? pin_source(m, err) : code;
}

pang_code pang_merge_run_new(pang_merge_run *m, const char *source, const char *target,
                             pang_point at, pang_err *err)
{
    pang_arena *arena = m->call->arena;
    pang_rec_merge_operation *op = pang_arena_alloc(arena, sizeof *op);
    pang_rec_point *point = pang_arena_alloc(arena, sizeof *point);
    pang_id *ids = pang_arena_alloc_n(arena, 3, sizeof *ids);
    m->op = op;
    m->is_new = true;
    if (op == NULL || point == NULL || ids == NULL)
        return pang_fail_memory(err);
    *op = (pang_rec_merge_operation)PANGOLIN__STORE__V1__MERGE_OPERATION__INIT;
    *point = (pang_rec_point)PANGOLIN__STORE__V1__POINT__INIT;
    ids[0] = m->call->note.resource = pang_id_v7(m->call->server->env);
    ids[1] = m->target.catalog;
    ids[2] = at.branch;
    op->id = pang_bytes_of_id(&ids[0]);
    op->catalog = pang_bytes_of_id(&ids[1]);
    op->source_name = (char *)(uintptr_t)source;
    op->target_name = (char *)(uintptr_t)target;
    op->source_branch = pang_bytes_of_id(&ids[2]);
    op->target_branch = pang_bytes_of_id(&m->target.levels[0].branch);
    op->source = point;
    point->branch = op->source_branch;
    point->sequence = at.sequence;
    op->status = PANG_MERGE_PENDING;
    op->initiated_by = pang_bytes_of_id(&m->call->who->id);
    op->initiated_by_name = pang_arena_cstr(arena, m->call->who->name);
    op->initiated_ms = pang_env_wall_ms(m->call->server->env);
    return op->initiated_by_name == NULL ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_merge_run_begin(pang_merge_run *m, const char *source, const char *target,
                               pang_err *err)
{
    pang_code code = pang_merge_run_open(m, source, target, err);
    pang_point at = {m->source.levels[0].branch, m->source.levels[0].at};
    return code == PANG_OK ? pang_merge_run_new(m, source, target, at, err) : code;
}

/* ---- planning ---- */

/* The commit that the base is at, for people. */
static pang_code find_base_commit(pang_merge_run *m, pang_err *err)
{
    pang_view view = m->source;
    pang_commit_row row = {0};
    pang_point at = m->base.pairs[0].source;
    pang_code code = pang_view_at_point(&view, at.branch, at.sequence, err);
    if (code == PANG_OK)
        code = pang_commit_head(&view, &row, err);
    if (code == PANG_OK && row.body != NULL)
        m->op->base_commit = row.body->id;
    return code;
}

static bool is_of_branches(const pang_merge_run *m)
{
    return m->op->work == PANG_WORK_MERGE || m->op->work == PANG_WORK_REBASE;
}

static pang_code plan_branches(pang_merge_run *m, pang_err *err)
{
    pang_view *into = m->op->work == PANG_WORK_REBASE ? &m->onto : &m->target;
    pang_code code = pang_merge_base_find(&m->source, into, &m->base, err);
    pang_merge_changes_begin(&m->changes, m->call->arena);
    m->task.source = &m->source;
    m->task.base = &m->base;
    m->task.changes = &m->changes;
    if (code == PANG_OK)
        code = find_base_commit(m, err);
    if (code == PANG_OK && m->op->work == PANG_WORK_REBASE)
        code = pang_merge_check_onto(m, err);
    return code == PANG_OK ? pang_merge_changes_since(&m->changes, &m->source, &m->base, err)
                           : code;
}

static pang_code plan_commit(pang_merge_run *m, pang_err *err)
{
    pang_commit_row row = {0};
    pang_view view = m->target;
    pang_code code = pang_commit_by_id(&view, pang_id_of(m->op->commit), &row, err);
    if (code != PANG_OK)
        return code;
    if (row.body == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "the commit is not kept any more: abort the operation");
    pang_point at = {pang_id_of(row.body->branch), row.sequence};
    return pang_again_commit(&m->task, at, m->op->work == PANG_WORK_REVERT, &m->source, &m->changes,
                             err);
}

static pang_code plan_work(pang_merge_run *m, pang_err *err)
{
    pang_point to = {pang_id_of(m->op->source->branch), m->op->source->sequence};
    switch (m->op->work) {
    case PANG_WORK_PICK:
    case PANG_WORK_REVERT:
        return plan_commit(m, err);
    case PANG_WORK_RESTORE:
        return pang_again_restore(&m->task, to, &m->source, &m->changes, err);
    default:
        return plan_branches(m, err);
    }
}

pang_code pang_merge_run_plan(pang_merge_run *m, pang_err *err)
{
    pang_call *call = m->call;
    pang_merge_choice *choices = NULL;
    size_t n_choices = 0;
    carried *lasting = NULL;
    pang_code code = find_carried(call, &lasting, err);
    if (code != PANG_OK)
        return code;
    m->commit = pang_id_v7(call->server->env);
    m->task = (pang_merge_task){.state = call->server->state,
                                .env = call->server->env,
                                .target = &m->target,
                                .modes = m->op->modes,
                                .n_modes = m->op->n_modes,
                                .default_mode = m->op->default_mode,
                                .serializable = m->op->serializable,
                                .commit = m->commit,
                                .kept = lasting == NULL ? NULL : lasting->tables,
                                .counters = call->server->counters};
    code = plan_work(m, err);
    if (code == PANG_OK && m->decided != NULL)
        code = pang_merge_choices_of(call, m->decided, m->op->n_conflicts, &choices, &n_choices,
                                     err);
    m->task.choices = choices;
    m->task.n_choices = n_choices;
    if (code == PANG_OK)
        code = pang_merge_plan_make(&m->task, &m->plan, err);
    return code == PANG_OK && m->is_new ? pang_merge_check_modes(m, err) : code;
}

/* The first few of what cannot come back, by name. */
static pang_str list_lost(const pang_merge_run *m)
{
    enum { SHOWN = 5 };
    size_t n = 0;
    pang_buf text = {.arena = m->call->arena};
    for (size_t i = 0; i < m->plan.n && n < SHOWN; i++) {
        const pang_merge_item *item = m->plan.items[i];
        if (item->lost.len == 0)
            continue;
        pang_buf_printf(&text, "%s%" PANG_STR_FMT " (%" PANG_STR_FMT ")", n++ == 0 ? "" : ", ",
                        PANG_STR_ARG(item->key), PANG_STR_ARG(item->lost));
    }
    if (m->plan.n_lost > SHOWN)
        pang_buf_printf(&text, " and %zu more", m->plan.n_lost - SHOWN);
    return pang_buf_str(&text);
}

pang_code pang_merge_check_lost(pang_merge_run *m, const char *instead, pang_err *err)
{
    pang_str list = list_lost(m);
    if (m->plan.n_lost == 0)
        return PANG_OK;
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                     "cannot come back: %" PANG_STR_FMT "; %s", PANG_STR_ARG(list), instead);
}

/* ---- ends ---- */

static pang_code complete_op(pang_merge_run *m, pang_id commit, pang_err *err)
{
    pang_rec_merge_operation *op = m->op;
    pang_id *id = pang_arena_alloc(m->call->arena, sizeof *id);
    if (id == NULL)
        return pang_fail_memory(err);
    *id = commit;
    op->status = PANG_MERGE_COMPLETED;
    op->completed_ms = pang_env_wall_ms(m->call->server->env);
    if (!pang_id_is_nil(commit))
        op->result_commit = pang_bytes_of_id(id);
    op->fast_forward = m->plan.fast_forward;
    op->changes = (uint32_t)m->plan.n_changes;
    return pang_merge_op_put(m->call, op, m->is_new, err);
}

/* The source has nothing that the target had not: there is no commit to make. */
static pang_code nothing_to_do(pang_merge_run *m, pang_err *err)
{
    pang_commit_row head = {0};
    pang_code code = pang_commit_head(m->op->work == PANG_WORK_REBASE ? &m->onto : &m->target,
                                      &head, err);
    if (code != PANG_OK)
        return code;
    return complete_op(m, head.body == NULL ? (pang_id){{0}} : pang_id_of(head.body->id), err);
}

static pang_str message_of(const pang_merge_run *m)
{
    static const char *const words[][2] = {
        [PANG_WORK_MERGE] = {"merge", "into"},      [PANG_WORK_REBASE] = {"rebase", "onto"},
        [PANG_WORK_PICK] = {"cherry-pick", "onto"}, [PANG_WORK_REVERT] = {"revert", "on"},
        [PANG_WORK_RESTORE] = {"restore to", "on"},
    };
    if (m->op->message[0] != '\0')
        return pang_str_from(m->op->message);
    return pang_arena_printf(m->call->arena, "%s %s %s %s", words[m->op->work][0],
                             m->op->source_name, words[m->op->work][1], m->op->target_name);
}

/* What the target names from now on stays; what it had itself before has no other ref for that. */
static pang_code keep_source(pang_merge_run *m, pang_err *err)
{
    pang_point at = {m->source.levels[0].branch, m->source.levels[0].at};
    if (!is_of_branches(m) && pang_id_equal(at.branch, m->target.levels[0].branch))
        return PANG_OK;
    return pang_merge_keep_source(&m->target, at, err);
}

static bool has_nothing(const pang_merge_run *m)
{
    if (is_of_branches(m))
        return m->plan.n == 0 && m->changes.commits == 0;
    return m->plan.n_changes == 0;
}

pang_code pang_merge_run_apply(pang_merge_run *m, pang_err *err)
{
    pang_branch_made made;
    pang_merge_apply how = {
        .who = m->call->who, .message = message_of(m), .marks = is_of_branches(m)};
    pang_code code = PANG_OK;
    if (m->op->work == PANG_WORK_REBASE)
        code = pang_again_swing(&m->old, &m->onto, m->target.levels[0].branch, m->call->server->env,
                                m->call->who, &made, err);
    if (code == PANG_OK && has_nothing(m))
        return nothing_to_do(m, err);
    if (code == PANG_OK && is_of_branches(m))
        code = pang_commit_head(&m->source, &how.parent, err);
    if (code == PANG_OK)
        code = keep_source(m, err);
    if (code == PANG_OK)
        code = pang_merge_apply_plan(&m->task, &m->plan, &how, err);
    return code == PANG_OK ? complete_op(m, m->commit, err) : code;
}

pang_code pang_merge_run_wait(pang_merge_run *m, Pangolin__V1__MergeConflicted **ret, pang_err *err)
{
    pang_call *call = m->call;
    size_t n = m->plan.n_conflicts;
    Pangolin__V1__MergeConflicted *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    pang_txn_take_back(call->txn); /* files of tables that did merge: they will be once more */
    pang_code code = pang_merge_conflicts_keep(call, m->op, m->decided, &m->plan, err);
    m->op->status = PANG_MERGE_CONFLICTED;
    if (code == PANG_OK)
        code = keep_source(m, err);
    if (code == PANG_OK)
        code = pang_merge_op_put(call, m->op, m->is_new, err);
    if (code != PANG_OK)
        return code;
    *out = (Pangolin__V1__MergeConflicted)PANGOLIN__V1__MERGE_CONFLICTED__INIT;
    out->status = (char *)(uintptr_t) "conflicted";
    out->operation_id = pang_manage_id_text(pang_id_of(m->op->id), call->arena);
    out->conflicts = (int32_t)n;
    out->type = (char *)(uintptr_t)PANG_MERGE_REASON;
    out->code = 409;
    out->message = pang_arena_cstr(
        call->arena,
        pang_arena_printf(call->arena, "%zu conflict%s: decide each, then complete the operation",
                          n, n == 1 ? "" : "s"));
    *ret = out;
    return pang_manage_built(call->arena, err);
}
