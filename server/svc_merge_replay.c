/*
 * Rebases, cherry-picks, reverts and restores over the API. All are merge operations: done at once,
 * or waiting for people to decide what conflicts, like merges.
 */
#include <string.h>

#include "server/svc_merge.h"
#include "server/svc_names.h"
#include "server/svc_refs.h"

/* ---- the branch that changes ---- */

/* Nobody but merges writes to a protected branch; this is told before the work and not after it. */
static pang_code check_unprotected(const pang_view *view, const char *instead, pang_err *err)
{
    if (!view->ref->is_protected)
        return PANG_OK;
    return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                     "branch \"%" PANG_STR_FMT "\" is protected: %s", PANG_STR_ARG(view->ref_name),
                     instead);
}

static pang_code open_branch(pang_merge_run *m, const char *name, const char *instead,
                             pang_view *ret, pang_err *err)
{
    pang_code code = pang_refs_open(m->call, m->catalog, ret, err);
    if (code == PANG_OK)
        code = pang_view_switch(ret, pang_str_from(name), PANG_NOT_FOUND_REASON, err);
    if (code == PANG_OK && !pang_merge_is_branch(ret))
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "\"%s\" is no branch", name);
    return code == PANG_OK ? check_unprotected(ret, instead, err) : code;
}

/* ---- rebase ---- */

#define NOT_REBASED "its commits are not replaced; unprotect it first"

static bool is_partial(const pang_rec_ref *ref)
{
    return ref->n_bases == 0 && ref->n_forks > 0;
}

/* Its new base as of now is asked for by its name, so that it is checked by the commit. */
static pang_code switch_to(pang_view *view, pang_id branch, const char *shown, pang_err *err)
{
    pang_rec_branch *body = NULL;
    pang_id now = {{0}};
    pang_code code = pang_again_successor(view, branch, &now, &body, err);
    if (code == PANG_OK && !pang_id_is_nil(now))
        code = pang_view_switch(view, pang_str_from(body->name), PANG_NOT_FOUND_REASON, err);
    if (code == PANG_NOT_FOUND ||
        (code == PANG_OK && (pang_id_is_nil(now) || !pang_merge_is_branch(view) ||
                             !pang_id_equal(view->levels[0].branch, now))))
        return pang_merge_fail_gone(shown[0] != '\0' ? shown : body->name, err);
    return code;
}

/* What the branch was made from, where nothing else is said. */
static pang_code open_onto(pang_merge_run *m, const char *onto, pang_err *err)
{
    pang_rec_ref *ref = m->old.ref;
    pang_rec_point **from = ref->n_forks > 0 ? ref->forks : ref->bases;
    m->onto = m->old;
    if (onto[0] != '\0')
        return pang_refs_switch_onto(&m->onto, pang_str_from(onto), err);
    if (ref->n_forks == 0 && ref->n_bases == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"%" PANG_STR_FMT "\" was made from nothing",
                         PANG_STR_ARG(m->old.ref_name));
    pang_code code = switch_to(&m->onto, pang_id_of(from[0]->branch), "", err);
    if (code == PANG_FAILED_PRECONDITION)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "what \"%" PANG_STR_FMT
                         "\" was made from is not there any more: say with \"onto\" what it shall "
                         "stand on",
                         PANG_STR_ARG(m->old.ref_name));
    return code;
}

/* The three views of a rebase, whose old and new base are open. Nothing lands on the old branch
 * from here to the commit, or that is ABORTED. */
static pang_code set_up(pang_merge_run *m, pang_err *err)
{
    uint64_t sequence = 0;
    pang_id old = m->old.levels[0].branch;
    if (pang_id_equal(m->onto.levels[0].branch, old))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"%" PANG_STR_FMT "\" is not rebased onto itself",
                         PANG_STR_ARG(m->old.ref_name));
    pang_code code = pang_merge_check_types(&m->onto, &m->old, err);
    if (code == PANG_OK)
        code = pang_merge_check_passed(&m->onto, &m->old, m->old.ref->type, err);
    if (code == PANG_OK) /* what is replayed is the branch's own from then on */
        code = pang_merge_check_passed(&m->old, &m->onto, m->old.ref->type, err);
    if (code == PANG_OK)
        code = pang_branch_hold(&m->old, old, &sequence, err);
    if (code == PANG_OK)
        code = pang_branch_settle(&m->onto, err);
    m->source = m->old;
    pang_view_set_at(&m->source, sequence);
    return code == PANG_OK ? pang_again_view(&m->old, &m->onto, pang_id_v7(m->call->server->env),
                                             &m->target, err)
                           : code;
}

static pang_code new_rebase(pang_merge_run *m, pang_err *err)
{
    pang_arena *arena = m->call->arena;
    pang_rec_point *onto = pang_arena_alloc(arena, sizeof *onto);
    bool of_now = pang_merge_is_branch(&m->onto);
    if (onto == NULL)
        return pang_fail_memory(err);
    pang_code code = set_up(m, err);
    pang_point at = {m->source.levels[0].branch, m->source.levels[0].at};
    if (code == PANG_OK)
        code = pang_merge_run_new(m, pang_arena_cstr(arena, m->old.ref_name),
                                  pang_arena_cstr(arena, m->onto.ref_name), at, err);
    if (code != PANG_OK)
        return code;
    *onto = (pang_rec_point)PANGOLIN__STORE__V1__POINT__INIT;
    onto->branch = pang_bytes_of_id(&m->onto.levels[0].branch);
    onto->sequence = of_now ? 0 : m->onto.levels[0].at;
    m->op->work = PANG_WORK_REBASE;
    m->op->onto = onto;
    m->op->target_branch = onto->branch;
    return pang_manage_built(arena, err);
}

/* A branch that holds copies of a selection reads nothing through: it takes in what is new of it.
 */
static pang_code new_renewal(pang_merge_run *m, pang_err *err)
{
    const char *onto = pang_arena_cstr(m->call->arena, m->onto.ref_name);
    const char *name = pang_arena_cstr(m->call->arena, m->old.ref_name);
    if (onto == NULL || name == NULL)
        return pang_fail_memory(err);
    return pang_merge_run_begin(m, onto, name, err);
}

pang_code pang_merge_check_onto(const pang_merge_run *m, pang_err *err)
{
    bool has = !m->base.target.partial;
    for (size_t i = 0; i < m->onto.n_levels; i++)
        has = has || pang_id_equal(m->onto.levels[i].branch, m->base.fork.at.branch);
    if (has)
        return PANG_OK;
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "\"%s\" holds a selection only, and \"%s\" more than that", m->op->target_name,
                     m->op->source_name);
}

/* The branch may have another name by now, and what it goes onto another id. */
pang_code pang_merge_open_rebase(pang_merge_run *m, pang_err *err)
{
    pang_call *call = m->call;
    pang_rec_merge_operation *op = m->op;
    pang_rec_branch *body = NULL;
    pang_id old = pang_id_of(op->source_branch), onto = pang_id_of(op->onto->branch);
    pang_code code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(op->catalog),
                                  (pang_str){0}, &m->old, err);
    m->old.call = call;
    if (code == PANG_OK)
        code = pang_branch_find(&m->old, old, &body, err);
    m->onto = m->old;
    if (code == PANG_OK && !body->hidden)
        code = pang_view_switch(&m->old, pang_str_from(body->name), PANG_NOT_FOUND_REASON, err);
    if (code == PANG_NOT_FOUND ||
        (code == PANG_OK && (body->hidden || !pang_merge_is_branch(&m->old) ||
                             !pang_id_equal(m->old.levels[0].branch, old))))
        return pang_merge_fail_gone(op->source_name, err);
    if (code == PANG_OK)
        code = check_unprotected(&m->old, NOT_REBASED, err);
    if (code == PANG_OK && op->onto->sequence == 0)
        code = switch_to(&m->onto, onto, op->target_name, err);
    else if (code == PANG_OK)
        code = pang_view_at_point(&m->onto, onto, op->onto->sequence, err);
    return code == PANG_OK ? set_up(m, err) : code;
}

static pang_code begin_rebase(pang_merge_run *m, const char *name, const char *onto, pang_err *err)
{
    pang_code code = open_branch(m, name, NOT_REBASED, &m->old, err);
    if (code == PANG_OK && strcmp(name, "main") == 0)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"main\" is what others stand on: it is not rebased");
    if (code == PANG_OK)
        code = open_onto(m, onto, err);
    if (code != PANG_OK)
        return code;
    return is_partial(m->old.ref) ? new_renewal(m, err) : new_rebase(m, err);
}

pang_code pang_merge_rebase(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RebaseBranchRequest *in = request;
    Pangolin__V1__RebaseBranchResponse *out = reply;
    pang_merge_run m = {.call = call, .catalog = in->catalog};
    pang_merge_said said = {in->modes,     in->n_modes, in->default_mode,
                            in->isolation, in->message, in->expected_head};
    pang_code code = begin_rebase(&m, in->name, in->onto, err);
    if (code == PANG_OK)
        code = pang_merge_run_read(&m, &said, &m.old, err);
    if (code == PANG_OK)
        code = pang_merge_run_plan(&m, err);
    if (code != PANG_OK)
        return code;
    if (in->dry_run)
        return pang_merge_run_show(&m, true, &out->planned, err);
    if (m.plan.n_conflicts > 0)
        return pang_merge_run_wait(&m, &out->conflicted, err);
    out->done = true;
    return pang_merge_run_apply(&m, err);
}

/* ---- cherry-pick, revert ---- */

typedef Pangolin__Store__V1__MergeOperation__Work work;

/* What both requests say. */
typedef struct {
    const char *catalog, *branch, *commit;
    pang_merge_said said;
    bool dry;
} asked;

static pang_code begin_commit(pang_merge_run *m, const asked *in, work which, pang_err *err)
{
    pang_commit_row row = {0};
    pang_id *id = pang_arena_alloc(m->call->arena, sizeof *id);
    if (id == NULL)
        return pang_fail_memory(err);
    pang_code code = open_branch(m, in->branch, "work on another branch and merge it", &m->target,
                                 err);
    if (code == PANG_OK)
        code = pang_merge_read_commit("commit", in->commit, id, err);
    if (code == PANG_OK)
        code = pang_commit_by_id(&m->target, *id, &row, err);
    if (code == PANG_OK && row.body == NULL)
        return pang_manage_absent("commit", in->commit, err);
    if (code == PANG_OK)
        code = pang_floor_check_before(&m->target, row.sequence, err);
    m->source = m->target;
    pang_point at = {0};
    if (code == PANG_OK) {
        at.branch = pang_id_of(row.body->branch);
        at.sequence = which == PANG_WORK_REVERT ? row.sequence - 1 : row.sequence;
        code = pang_view_at_point(&m->source, at.branch, at.sequence, err);
    }
    if (code == PANG_OK && which == PANG_WORK_PICK)
        code = pang_merge_check_types(&m->source, &m->target, err);
    if (code == PANG_OK)
        code = pang_merge_run_new(m, in->commit, in->branch, at, err);
    if (code != PANG_OK)
        return code;
    m->op->work = which;
    m->op->commit = pang_bytes_of_id(id);
    return PANG_OK;
}

static pang_code run_commit(pang_call *call, const asked *in, work which,
                            Pangolin__V1__MergeOperation **ret,
                            Pangolin__V1__MergeConflicted **wait, pang_err *err)
{
    pang_merge_run m = {.call = call, .catalog = in->catalog};
    pang_code code = begin_commit(&m, in, which, err);
    if (code == PANG_OK)
        code = pang_merge_run_read(&m, &in->said, &m.target, err);
    if (code == PANG_OK)
        code = pang_merge_run_plan(&m, err);
    if (code == PANG_OK && !in->dry)
        code = pang_merge_check_lost(&m, "leave these out (mode \"take_target\")", err);
    if (code != PANG_OK)
        return code;
    if (in->dry)
        return pang_merge_run_show(&m, true, ret, err);
    if (m.plan.n_conflicts > 0)
        return pang_merge_run_wait(&m, wait, err);
    code = pang_merge_run_apply(&m, err);
    return code == PANG_OK ? pang_merge_run_show(&m, false, ret, err) : code;
}

pang_code pang_merge_cherry_pick(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CherryPickRequest *in = request;
    Pangolin__V1__CherryPickResponse *out = reply;
    asked a = {.catalog = in->catalog,
               .branch = in->name,
               .commit = in->commit,
               .said = {in->modes, in->n_modes, in->default_mode, in->isolation, in->message,
                        in->expected_head},
               .dry = in->dry_run};
    return run_commit(call, &a, PANG_WORK_PICK, &out->operation, &out->conflicted, err);
}

pang_code pang_merge_revert(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RevertRequest *in = request;
    Pangolin__V1__RevertResponse *out = reply;
    asked a = {.catalog = in->catalog,
               .branch = in->name,
               .commit = in->commit,
               .said = {in->modes, in->n_modes, in->default_mode, in->isolation, in->message,
                        in->expected_head},
               .dry = in->dry_run};
    return run_commit(call, &a, PANG_WORK_REVERT, &out->operation, &out->conflicted, err);
}

/* ---- restore ---- */

/* A time is one of the branch, and not of main. */
static pang_code find_point(const pang_view *branch, const char *to, pang_point *ret, pang_err *err)
{
    int64_t time_ms;
    pang_view view = *branch;
    pang_commit_row row = {0};
    pang_str text = pang_str_from(to);
    pang_code code = PANG_OK;
    if (pang_ref_form_of(text) == PANG_REF_TIME && pang_str_to_int64(text, &time_ms)) {
        code = pang_floor_check_time(&view, time_ms, text, PANG_NOT_FOUND_REASON, err);
        if (code == PANG_OK)
            code = pang_commit_at_time(&view, time_ms, &row, err);
        if (code == PANG_OK && row.body == NULL)
            return pang_refs_fail_no_commit(branch->ref_name, err);
        if (code == PANG_OK)
            *ret = (pang_point){pang_id_of(row.body->branch), row.sequence};
        return code;
    }
    code = pang_view_switch(&view, text, PANG_NOT_FOUND_REASON, err);
    *ret = (pang_point){view.levels[0].branch, view.levels[0].at};
    return code;
}

static pang_code check_is_of(const pang_view *branch, pang_point at, const char *to, pang_err *err)
{
    for (size_t i = 0; i < branch->n_levels; i++)
        if (pang_id_equal(branch->levels[i].branch, at.branch) && at.sequence != PANG_NOW &&
            at.sequence <= branch->levels[i].at)
            return PANG_OK;
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "\"%s\" is no earlier state of \"%" PANG_STR_FMT "\"", to,
                     PANG_STR_ARG(branch->ref_name));
}

static pang_code begin_restore(pang_merge_run *m, const Pangolin__V1__RestoreBranchRequest *in,
                               pang_err *err)
{
    pang_point to = {0};
    pang_merge_said said = {.default_mode = "",
                            .isolation = "",
                            .message = in->message,
                            .expected_head = in->expected_head};
    pang_code code = open_branch(m, in->name, "restore on another branch and merge it", &m->target,
                                 err);
    if (code == PANG_OK && in->to[0] == '\0')
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "\"to\" is missing: a commit, a tag or a time in milliseconds");
    if (code == PANG_OK)
        code = find_point(&m->target, in->to, &to, err);
    if (code == PANG_OK)
        code = check_is_of(&m->target, to, in->to, err);
    if (code == PANG_OK)
        code = pang_merge_run_new(m, in->to, in->name, to, err);
    if (code != PANG_OK)
        return code;
    m->op->work = PANG_WORK_RESTORE;
    return pang_merge_run_read(m, &said, &m->target, err);
}

pang_code pang_merge_restore(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RestoreBranchRequest *in = request;
    Pangolin__V1__RestoreBranchResponse *out = reply;
    pang_merge_run m = {.call = call, .catalog = in->catalog};
    pang_code code = begin_restore(&m, in, err);
    if (code == PANG_OK)
        code = pang_merge_run_plan(&m, err);
    if (code == PANG_OK && !in->dry_run && !in->skip_lost)
        code = pang_merge_check_lost(&m, "with \"skip_lost\" all else is restored", err);
    if (code == PANG_OK && !in->dry_run)
        code = pang_merge_run_apply(&m, err);
    return code == PANG_OK ? pang_merge_run_show(&m, in->dry_run, &out->operation, err) : code;
}
