/*
 * Merges over the API. A merge that meets no conflict is one commit, which holds its operation's
 * record, too; one that does is that record and its conflicts, and nothing else.
 */
#include "server/svc_merge.h"

#include <string.h>

#include "server/remark.h"
#include "server/svc_lake.h"
#include "server/svc_names.h"
#include "server/svc_refs.h"

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

typedef Pangolin__Store__V1__MergeOperation__Mode mode;

static pang_code check_key(pang_index *keys, mode *list, size_t i, pang_err *err)
{
    uint64_t hash = pang_str_hash(pang_str_from(list[i].key));
    pang_index_walk it = pang_index_of(keys, hash);
    const mode *other;
    if (list[i].key[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "modes[%zu] names no key",
                         i);
    while ((other = pang_index_next(&it)) != NULL)
        if (strcmp(list[i].key, other->key) == 0)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "modes[%zu] names \"%.200s\" again", i, list[i].key);
    return pang_index_add(keys, hash, &list[i]) ? PANG_OK : pang_fail_memory(err);
}

static pang_code read_modes(const pang_merge_said *in, pang_arena *arena,
                            pang_rec_merge_operation *op, pang_err *err)
{
    if (in->n_modes > PANG_CHANGES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "too many modes: %zu, at most %d", in->n_modes, PANG_CHANGES_MAX);
    op->modes = pang_arena_alloc_n(arena, in->n_modes, sizeof *op->modes);
    mode *list = pang_arena_alloc_n(arena, in->n_modes, sizeof *list);
    pang_index keys = {.arena = arena};
    if (op->modes == NULL || list == NULL)
        return pang_fail_memory(err);
    pang_code code = read_mode(in->default_mode, &op->default_mode, err);
    for (size_t i = 0; code == PANG_OK && i < in->n_modes; i++) {
        list[i] = (mode)PANGOLIN__STORE__V1__MERGE_OPERATION__MODE__INIT;
        list[i].key = in->modes[i]->key;
        op->modes[op->n_modes++] = &list[i];
        code = check_key(&keys, list, i, err);
        if (code == PANG_OK)
            code = read_mode(in->modes[i]->mode, &list[i].kind, err);
    }
    return code;
}

pang_code pang_merge_read_commit(const char *field, const char *text, pang_id *ret, pang_err *err)
{
    return pang_id_parse(pang_str_from(text), ret)
               ? PANG_OK
               : pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                           "%s \"%.100s\" is no commit's id", field, text);
}

static pang_code check_head(pang_view *branch, const char *expected, pang_err *err)
{
    pang_commit_row head = {0};
    pang_id id;
    if (expected[0] == '\0')
        return PANG_OK;
    pang_code code = pang_merge_read_commit("expected_head", expected, &id, err);
    if (code == PANG_OK)
        code = pang_commit_head(branch, &head, err);
    if (code == PANG_OK && (head.body == NULL || !pang_id_equal(pang_id_of(head.body->id), id)))
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "the head of \"%" PANG_STR_FMT "\" is not commit %s any more",
                         PANG_STR_ARG(branch->ref_name), expected);
    return code;
}

pang_code pang_merge_run_read(pang_merge_run *m, const pang_merge_said *said, pang_view *branch,
                              pang_err *err)
{
    pang_code code = read_modes(said, m->call->arena, m->op, err);
    if (code == PANG_OK)
        code = pang_remark_check_message(pang_str_from(said->message), err);
    if (code == PANG_OK)
        code = pang_manage_text("message", said->message, err);
    if (code != PANG_OK)
        return code;
    m->op->message = (char *)(uintptr_t)said->message;
    m->op->serializable = strcmp(said->isolation, "serializable") == 0;
    if (said->isolation[0] != '\0' && !m->op->serializable &&
        strcmp(said->isolation, "snapshot") != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "isolation \"%.100s\" is neither snapshot nor serializable",
                         said->isolation);
    return check_head(branch, said->expected_head, err);
}

pang_code pang_merge_run_show(pang_merge_run *m, bool dry, Pangolin__V1__MergeOperation **ret,
                              pang_err *err)
{
    pang_rec_merge_conflict **made = NULL;
    if (dry) {
        pang_txn_take_back(m->call->txn); /* nothing will name the files of merged tables */
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
    pang_merge_said said = {in->modes,     in->n_modes, in->default_mode,
                            in->isolation, in->message, in->expected_head};
    pang_code code = pang_merge_run_begin(&m, in->source_branch, in->target_branch, err);
    if (code == PANG_OK)
        code = pang_merge_run_read(&m, &said, &m.target, err);
    if (code == PANG_OK)
        code = pang_merge_run_plan(&m, err);
    if (code != PANG_OK)
        return code;
    if (in->dry_run)
        return pang_merge_run_show(&m, true, &out->operation, err);
    if (m.plan.n_conflicts > 0)
        return pang_merge_run_wait(&m, &out->conflicted, err);
    code = pang_merge_run_apply(&m, err);
    return code == PANG_OK ? pang_merge_run_show(&m, false, &out->operation, err) : code;
}

/* ---- complete ---- */

pang_code pang_merge_fail_gone(const char *name, pang_err *err)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                     "branch \"%s\" is not there any more: abort the operation", name);
}

/* The target by its id: it may have another name now. */
pang_code pang_merge_open_target(pang_merge_run *m, pang_err *err)
{
    pang_call *call = m->call;
    pang_rec_merge_operation *op = m->op;
    pang_rec_branch *body;
    pang_id target = pang_id_of(op->target_branch);
    pang_code code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(op->catalog),
                                  (pang_str){0}, &m->target, err);
    m->target.call = call;
    m->source = m->target;
    if (code == PANG_OK)
        code = pang_branch_find(&m->target, target, &body, err);
    if (code == PANG_OK)
        code = pang_view_switch(&m->target, pang_str_from(body->name), PANG_NOT_FOUND_REASON, err);
    if (code == PANG_NOT_FOUND ||
        (code == PANG_OK &&
         (!pang_merge_is_branch(&m->target) || !pang_id_equal(m->target.levels[0].branch, target))))
        return pang_merge_fail_gone(op->target_name, err);
    return code;
}

static pang_code open_merge(pang_merge_run *m, pang_err *err)
{
    pang_rec_merge_operation *op = m->op;
    pang_code code = pang_merge_open_target(m, err);
    m->target.merging = true;
    if (code == PANG_OK)
        code = pang_view_at_point(&m->source, pang_id_of(op->source->branch), op->source->sequence,
                                  err);
    return code == PANG_NOT_FOUND ? pang_merge_fail_gone(op->source_name, err) : code;
}

static pang_code open_again(pang_merge_run *m, pang_err *err)
{
    pang_code code = PANG_OK;
    switch (m->op->work) {
    case PANG_WORK_MERGE:
        code = open_merge(m, err);
        break;
    case PANG_WORK_REBASE:
        code = pang_merge_open_rebase(m, err);
        break;
    default:
        code = pang_merge_open_target(m, err);
    }
    return code == PANG_OK ? pang_merge_conflicts_of(m->call, m->op, &m->decided, err) : code;
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
    if (code == PANG_OK)
        code = pang_merge_check_lost(&m, "abort the operation, or resolve by TakeTarget", err);
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
        .path = "/pangolin.v1.MergeService/RebaseBranch",
        .in = &pangolin__v1__rebase_branch_request__descriptor,
        .out = &pangolin__v1__rebase_branch_response__descriptor,
        .handle = pang_merge_rebase,
    },
    {
        .path = "/pangolin.v1.MergeService/CherryPick",
        .in = &pangolin__v1__cherry_pick_request__descriptor,
        .out = &pangolin__v1__cherry_pick_response__descriptor,
        .handle = pang_merge_cherry_pick,
    },
    {
        .path = "/pangolin.v1.MergeService/Revert",
        .in = &pangolin__v1__revert_request__descriptor,
        .out = &pangolin__v1__revert_response__descriptor,
        .handle = pang_merge_revert,
    },
    {
        .path = "/pangolin.v1.MergeService/RestoreBranch",
        .in = &pangolin__v1__restore_branch_request__descriptor,
        .out = &pangolin__v1__restore_branch_response__descriptor,
        .handle = pang_merge_restore,
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
