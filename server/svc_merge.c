/*
 * Merges over the API. A merge that meets no conflict is one commit, which holds its operation's
 * record, too; one that does is that record and its conflicts, and nothing else.
 */
#include "server/svc_merge.h"

#include <string.h>

#include "server/shared.h"
#include "server/svc_lake.h"
#include "server/svc_names.h"
#include "server/svc_refs.h"

/* ---- source and target ---- */

/* Where the source stands, over all attempts of the call. */
typedef struct {
    pang_id branch;
    uint64_t sequence;
    uint64_t mark; /* version of the branch's fork mark then */
} pin;

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
    pin now = {.branch = m->source.levels[0].branch}, *before = m->call->carried;
    pang_code code = version_of(&m->source, pang_key_fork_mark(&m->source.keys, now.branch),
                                &now.mark, err);
    if (code == PANG_OK)
        code = pang_view_sequence(&m->source, &now.sequence, err);
    if (code != PANG_OK)
        return code;
    if (before != NULL && pang_id_equal(before->branch, now.branch) && before->mark == now.mark)
        now = *before;
    else if (m->call->lasting != NULL) {
        before = pang_arena_alloc(m->call->lasting, sizeof *before);
        if (before == NULL)
            return pang_fail_memory(err);
        *before = now;
        m->call->carried = before;
    }
    pang_view_set_at(&m->source, now.sequence);
    return PANG_OK;
}

static bool is_branch(const pang_view *view)
{
    return view->ref != NULL && view->ref->kind == PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH;
}

/* What was tried out does not get where what counts is, unless somebody says that it counts. */
static pang_code check_types(pang_merge_run *m, pang_err *err)
{
    pang_rec_ref *ref = m->source.ref;
    pang_rec_branch *body;
    if (!is_branch(&m->source)) { /* a tag, a commit: of which branch? */
        pang_code code = pang_branch_find(&m->source, m->source.levels[0].branch, &body, err);
        if (code == PANG_OK)
            code = pang_ref_find(&m->source, pang_str_from(body->name), &ref, err);
        if (code != PANG_OK)
            return code;
    }
    bool of_it = ref != NULL && pang_id_equal(pang_id_of(ref->branch), m->source.levels[0].branch);
    if (!of_it || strcmp(ref->type, "experimental") != 0 ||
        strcmp(m->target.ref->type, "experimental") == 0)
        return PANG_OK;
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                     "an experimental branch is not merged into \"%" PANG_STR_FMT
                     "\", which is none: promote it first",
                     PANG_STR_ARG(m->target.ref_name));
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
    if (code == PANG_OK && !is_branch(&m->target))
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"%s\" is no branch: nothing is merged into it", target);
    if (code == PANG_OK)
        code = pang_view_switch(&m->source, pang_str_from(source), PANG_NOT_FOUND_REASON, err);
    if (code != PANG_OK)
        return code;
    m->target.merging = true;
    if (is_branch(&m->source) &&
        pang_id_equal(m->source.levels[0].branch, m->target.levels[0].branch))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"%s\" is not merged into itself", source);
    code = check_types(m, err);
    return code == PANG_OK && is_branch(&m->source) ? pin_source(m, err) : code;
}

pang_code pang_merge_run_begin(pang_merge_run *m, const char *source, const char *target,
                               pang_err *err)
{
    pang_arena *arena = m->call->arena;
    pang_rec_merge_operation *op = pang_arena_alloc(arena, sizeof *op);
    pang_id *id = pang_arena_alloc(arena, sizeof *id);
    m->op = op;
    m->is_new = true;
    if (op == NULL || id == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_merge_run_open(m, source, target, err);
    if (code != PANG_OK)
        return code;
    *op = (pang_rec_merge_operation)PANGOLIN__STORE__V1__MERGE_OPERATION__INIT;
    *id = m->call->note.resource = pang_id_v7(m->call->server->env);
    op->id = pang_bytes_of_id(id);
    op->catalog = pang_bytes_of_id(&m->target.catalog);
    op->source_name = (char *)(uintptr_t)source;
    op->target_name = (char *)(uintptr_t)target;
    op->source_branch = pang_bytes_of_id(&m->source.levels[0].branch);
    op->target_branch = pang_bytes_of_id(&m->target.levels[0].branch);
    op->source = pang_arena_alloc(arena, sizeof *op->source);
    if (op->source == NULL)
        return pang_fail_memory(err);
    *op->source = (pang_rec_point)PANGOLIN__STORE__V1__POINT__INIT;
    op->source->branch = op->source_branch;
    op->source->sequence = m->source.levels[0].at;
    op->status = PANG_MERGE_PENDING;
    op->initiated_by = pang_bytes_of_id(&m->call->who->id);
    op->initiated_by_name = pang_arena_cstr(arena, m->call->who->name);
    op->initiated_ms = pang_env_wall_ms(m->call->server->env);
    return op->initiated_by_name == NULL ? pang_fail_memory(err) : PANG_OK;
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

pang_code pang_merge_run_plan(pang_merge_run *m, pang_err *err)
{
    pang_call *call = m->call;
    pang_merge_choice *choices = NULL;
    size_t n_choices = 0;
    pang_code code = pang_merge_base_find(&m->source, &m->target, &m->base, err);
    pang_merge_changes_begin(&m->changes, call->arena);
    if (code == PANG_OK)
        code = find_base_commit(m, err);
    if (code == PANG_OK)
        code = pang_merge_changes_since(&m->changes, &m->source, &m->base, err);
    if (code == PANG_OK && m->decided != NULL)
        code = pang_merge_choices_of(call, m->decided, m->op->n_conflicts, &choices, &n_choices,
                                     err);
    if (code != PANG_OK)
        return code;
    m->commit = pang_id_v7(call->server->env);
    m->task = (pang_merge_task){.state = call->server->state,
                                .env = call->server->env,
                                .source = &m->source,
                                .target = &m->target,
                                .base = &m->base,
                                .changes = &m->changes,
                                .modes = m->op->modes,
                                .n_modes = m->op->n_modes,
                                .default_mode = m->op->default_mode,
                                .choices = choices,
                                .n_choices = n_choices,
                                .serializable = m->op->serializable,
                                .commit = m->commit};
    return pang_merge_plan_make(&m->task, &m->plan, err);
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
    pang_code code = pang_commit_head(&m->target, &head, err);
    if (code != PANG_OK)
        return code;
    return complete_op(m, head.body == NULL ? (pang_id){{0}} : pang_id_of(head.body->id), err);
}

static pang_str message_of(const pang_merge_run *m)
{
    if (m->op->message[0] != '\0')
        return pang_str_from(m->op->message);
    return pang_arena_printf(m->call->arena, "merge %s into %s", m->op->source_name,
                             m->op->target_name);
}

pang_code pang_merge_run_apply(pang_merge_run *m, pang_err *err)
{
    pang_merge_apply how = {.who = m->call->who, .message = message_of(m), .marks = true};
    if (m->plan.n == 0 && m->changes.commits == 0)
        return nothing_to_do(m, err);
    pang_code code = pang_commit_head(&m->source, &how.parent, err);
    if (code == PANG_OK)
        code = pang_merge_keep_source(&m->target, m->base.source.points[0], err);
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
    pang_code code = pang_merge_conflicts_keep(call, m->op, m->decided, &m->plan, err);
    m->op->status = PANG_MERGE_CONFLICTED;
    if (code == PANG_OK)
        code = pang_merge_keep_source(&m->target, m->base.source.points[0], err);
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

/* ---- merge ---- */

static const struct {
    const char *name;
    pang_merge_mode mode;
} modes[] = {
    {"normal", PANG_MODE_NORMAL},
    {"take_source", PANG_MODE_TAKE_SOURCE},
    {"take_target", PANG_MODE_TAKE_TARGET},
    {"drop", PANG_MODE_DROP},
};

static pang_code read_mode(const char *text, pang_merge_mode *ret, pang_err *err)
{
    *ret = PANG_MODE_NORMAL;
    if (text[0] == '\0')
        return PANG_OK;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (pang_str_equal_nocase(pang_str_from(text), pang_str_from(modes[i].name))) {
            *ret = modes[i].mode;
            return PANG_OK;
        }
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "mode \"%.100s\" is none of normal, take_source, take_target, drop", text);
}

static pang_code read_modes(const Pangolin__V1__MergeBranchesRequest *in, pang_arena *arena,
                            pang_rec_merge_operation *op, pang_err *err)
{
    typedef Pangolin__Store__V1__MergeOperation__Mode mode;
    if (in->n_modes > PANG_CHANGES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "too many modes: %zu, at most %d", in->n_modes, PANG_CHANGES_MAX);
    op->modes = pang_arena_alloc_n(arena, in->n_modes, sizeof *op->modes);
    mode *list = pang_arena_alloc_n(arena, in->n_modes, sizeof *list);
    if (op->modes == NULL || list == NULL)
        return pang_fail_memory(err);
    pang_code code = read_mode(in->default_mode, &op->default_mode, err);
    for (size_t i = 0; code == PANG_OK && i < in->n_modes; i++) {
        list[i] = (mode)PANGOLIN__STORE__V1__MERGE_OPERATION__MODE__INIT;
        list[i].key = in->modes[i]->key;
        op->modes[op->n_modes++] = &list[i];
        if (in->modes[i]->key[0] == '\0')
            code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "modes[%zu] names no key", i);
        else
            code = read_mode(in->modes[i]->mode, &list[i].kind, err);
    }
    return code;
}

static pang_code read_options(const Pangolin__V1__MergeBranchesRequest *in, pang_arena *arena,
                              pang_rec_merge_operation *op, pang_err *err)
{
    pang_code code = read_modes(in, arena, op, err);
    if (code == PANG_OK)
        code = pang_manage_text("message", in->message, err);
    if (code != PANG_OK)
        return code;
    op->message = in->message;
    op->serializable = strcmp(in->isolation, "serializable") == 0;
    if (in->isolation[0] != '\0' && !op->serializable && strcmp(in->isolation, "snapshot") != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "isolation \"%.100s\" is neither snapshot nor serializable",
                         in->isolation);
    return PANG_OK;
}

static pang_code check_head(pang_merge_run *m, const char *expected, pang_err *err)
{
    pang_commit_row head = {0};
    pang_id id;
    if (expected[0] == '\0')
        return PANG_OK;
    pang_code code = pang_manage_id("expected_head", expected, &id, err);
    if (code == PANG_OK)
        code = pang_commit_head(&m->target, &head, err);
    if (code == PANG_OK && (head.body == NULL || !pang_id_equal(pang_id_of(head.body->id), id)))
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "the head of \"%s\" is not commit %s any more", m->op->target_name,
                         expected);
    return code;
}

static pang_code show_done(pang_merge_run *m, bool dry, Pangolin__V1__MergeOperation **ret,
                           pang_err *err)
{
    pang_rec_merge_conflict **made = NULL;
    if (dry) {
        m->op->id = (ProtobufCBinaryData){0};
        if (m->plan.n_conflicts > 0)
            m->op->status = PANG_MERGE_CONFLICTED;
    }
    pang_code code = pang_merge_op_show(m->call, m->op, m->catalog, ret, err);
    if (code == PANG_OK)
        code = pang_merge_plan_show(m->call, &m->plan, *ret, err);
    if (code == PANG_OK)
        code = pang_merge_conflicts_made(m->call, m->op, &m->plan, &made, err);
    if (code == PANG_OK)
        code = pang_merge_conflicts_show(m->call, made, m->plan.n_conflicts, &(*ret)->conflicts,
                                         err);
    if (code != PANG_OK)
        return code;
    (*ret)->n_conflicts = m->plan.n_conflicts;
    if (dry)
        (*ret)->conflicts_count = (int32_t)m->plan.n_conflicts;
    (*ret)->dry_run = dry;
    return PANG_OK;
}

static pang_code merge_branches(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__MergeBranchesRequest *in = request;
    Pangolin__V1__MergeBranchesResponse *out = reply;
    pang_merge_run m = {.call = call, .catalog = in->catalog};
    pang_code code = pang_merge_run_begin(&m, in->source_branch, in->target_branch, err);
    if (code == PANG_OK)
        code = read_options(in, call->arena, m.op, err);
    if (code == PANG_OK)
        code = check_head(&m, in->expected_head, err);
    if (code == PANG_OK)
        code = pang_merge_run_plan(&m, err);
    if (code != PANG_OK)
        return code;
    if (in->dry_run)
        return show_done(&m, true, &out->operation, err);
    if (m.plan.n_conflicts > 0)
        return pang_merge_run_wait(&m, &out->conflicted, err);
    code = pang_merge_run_apply(&m, err);
    return code == PANG_OK ? show_done(&m, false, &out->operation, err) : code;
}

/* ---- complete ---- */

static pang_code fail_gone(const pang_merge_run *m, const char *name, pang_err *err)
{
    (void)m;
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                     "branch \"%s\" is not there any more: abort the operation", name);
}

/* The target by its id: it may have another name now. */
static pang_code open_again(pang_merge_run *m, pang_err *err)
{
    pang_call *call = m->call;
    pang_rec_merge_operation *op = m->op;
    pang_rec_branch *body;
    pang_id target = pang_id_of(op->target_branch);
    pang_code code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(op->catalog),
                                  (pang_str){0}, &m->target, err);
    m->source = m->target;
    if (code == PANG_OK)
        code = pang_branch_find(&m->target, target, &body, err);
    if (code == PANG_OK)
        code = pang_view_switch(&m->target, pang_str_from(body->name), PANG_NOT_FOUND_REASON, err);
    if (code == PANG_NOT_FOUND ||
        (code == PANG_OK &&
         (!is_branch(&m->target) || !pang_id_equal(m->target.levels[0].branch, target))))
        return fail_gone(m, op->target_name, err);
    m->target.merging = true;
    if (code == PANG_OK)
        code = pang_view_at_point(&m->source, pang_id_of(op->source->branch), op->source->sequence,
                                  err);
    if (code == PANG_NOT_FOUND)
        return fail_gone(m, op->source_name, err);
    return code == PANG_OK ? pang_merge_conflicts_of(call, op, &m->decided, err) : code;
}

static pang_code check_decided(const pang_merge_run *m, pang_err *err)
{
    size_t open = 0;
    if (pang_merge_has_ended(m->op))
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "the merge operation has ended: it is %s",
                         m->op->status == PANG_MERGE_COMPLETED ? "completed" : "aborted");
    for (size_t i = 0; i < m->op->n_conflicts; i++)
        open += m->decided[i]->strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_UNSPECIFIED;
    if (open > 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "%zu of %zu conflicts are not resolved", open, m->op->n_conflicts);
    return PANG_OK;
}

static pang_code complete_merge(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CompleteMergeRequest *in = request;
    Pangolin__V1__CompleteMergeResponse *out = reply;
    pang_merge_run m = {.call = call};
    pang_code code = pang_merge_op_find(call, in->id, &m.op, err);
    if (code == PANG_OK && pang_merge_has_ended(m.op))
        return check_decided(&m, err);
    if (code == PANG_OK)
        code = open_again(&m, err);
    if (code == PANG_OK)
        code = check_decided(&m, err);
    if (code == PANG_OK)
        code = pang_merge_run_plan(&m, err);
    if (code != PANG_OK)
        return code;
    if (m.plan.n_conflicts > 0)
        return pang_merge_run_wait(&m, &out->conflicted, err);
    code = pang_merge_run_apply(&m, err);
    Pangolin__V1__MergeCompleted *done = pang_arena_alloc(call->arena, sizeof *done);
    if (code != PANG_OK || done == NULL)
        return code != PANG_OK ? code : pang_fail_memory(err);
    *done = (Pangolin__V1__MergeCompleted)PANGOLIN__V1__MERGE_COMPLETED__INIT;
    done->status = (char *)(uintptr_t) "completed";
    done->operation_id = pang_manage_id_text(pang_id_of(m.op->id), call->arena);
    if (m.op->result_commit.len > 0)
        done->commit_id = pang_manage_id_text(pang_id_of(m.op->result_commit), call->arena);
    out->completed = done;
    return pang_manage_built(call->arena, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.MergeService/MergeBranches",
        .in = &pangolin__v1__merge_branches_request__descriptor,
        .out = &pangolin__v1__merge_branches_response__descriptor,
        .handle = merge_branches,
    },
    {
        .path = "/pangolin.v1.MergeService/ListMergeOperations",
        .in = &pangolin__v1__list_merge_operations_request__descriptor,
        .out = &pangolin__v1__list_merge_operations_response__descriptor,
        .handle = pang_merge_list_operations,
    },
    {
        .path = "/pangolin.v1.MergeService/GetMergeOperation",
        .in = &pangolin__v1__get_merge_operation_request__descriptor,
        .out = &pangolin__v1__get_merge_operation_response__descriptor,
        .handle = pang_merge_get_operation,
    },
    {
        .path = "/pangolin.v1.MergeService/ListMergeConflicts",
        .in = &pangolin__v1__list_merge_conflicts_request__descriptor,
        .out = &pangolin__v1__list_merge_conflicts_response__descriptor,
        .handle = pang_merge_list_conflicts,
    },
    {
        .path = "/pangolin.v1.MergeService/ResolveConflict",
        .in = &pangolin__v1__resolve_conflict_request__descriptor,
        .out = &pangolin__v1__resolve_conflict_response__descriptor,
        .handle = pang_merge_resolve,
    },
    {
        .path = "/pangolin.v1.MergeService/CompleteMerge",
        .in = &pangolin__v1__complete_merge_request__descriptor,
        .out = &pangolin__v1__complete_merge_response__descriptor,
        .handle = complete_merge,
    },
    {
        .path = "/pangolin.v1.MergeService/AbortMerge",
        .in = &pangolin__v1__abort_merge_request__descriptor,
        .out = &pangolin__v1__abort_merge_response__descriptor,
        .handle = pang_merge_abort,
    },
};

const pang_service pang_service_merge = {
    .name = "pangolin.v1.MergeService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
