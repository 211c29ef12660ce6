/*
 * Replays: the planner is asked about a few names with a pair of its own. All states are read at
 * points, which never change, but for the target's.
 */
#include "server/merge_replay.h"

#include "server/undrop.h"

enum {
    SUCCESSORS_MAX = 1024,   /* rebases of one branch that are followed */
    TABLE_BYTES = 256 << 20, /* memory for looking at one table */
};

/* ---- commits ---- */

/* With its changes. */
static pang_code read_commit(pang_view *view, pang_point at, pang_rec_commit **ret, pang_err *err)
{
    pang_record record = {0};
    pang_ref ref = {.key = pang_key_commit(&view->keys, at.branch, at.sequence)};
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code == PANG_OK && record.version == 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, "ConflictException",
                         "what the commit did is not kept any more");
    return code == PANG_OK ? pang_record_unpack(&pangolin__store__v1__commit__descriptor, &record,
                                                view->arena, ret, err)
                           : code;
}

pang_code pang_again_commit(pang_merge_task *task, pang_point left, bool back, pang_view *source,
                            pang_merge_changes *changes, pang_err *err)
{
    pang_rec_commit *commit;
    pang_point found = {left.branch, left.sequence - 1};
    pang_point half = back ? left : found, at = back ? found : left;
    *source = *task->target;
    task->source = source;
    task->changes = changes;
    task->pair = (pang_merge_pair){.source = half, .target = half, .one = true};
    task->back = back;
    pang_merge_changes_begin(changes, task->target->arena);
    pang_code code = read_commit(task->target, left, &commit, err);
    if (code == PANG_OK)
        code = pang_merge_changes_add_commit(changes, commit, err);
    return code == PANG_OK ? pang_view_at_point(source, at.branch, at.sequence, err) : code;
}

/* ---- restoring ---- */

typedef struct {
    pang_merge_changes *changes;
    pang_code code;
    pang_err *err;
} walk;

static bool take_commit(void *arg, const pang_commit_row *row)
{
    walk *w = arg;
    w->code = pang_merge_changes_add_commit(w->changes, row->body, w->err);
    return w->code == PANG_OK;
}

pang_code pang_again_restore(pang_merge_task *task, pang_point to, pang_view *source,
                             pang_merge_changes *changes, pang_err *err)
{
    pang_view now = *task->target;
    walk w = {.changes = changes, .err = err};
    pang_common common = {.met = true, .at = to};
    pang_point half = {.branch = now.levels[0].branch};
    *source = now;
    task->source = source;
    task->changes = changes;
    task->back = true;
    task->default_mode = PANG_MODE_TAKE_SOURCE;
    pang_merge_changes_begin(changes, now.arena);
    pang_code code = pang_view_sequence(&now, &half.sequence, err);
    if (code != PANG_OK)
        return code;
    task->pair = (pang_merge_pair){.source = half, .target = half, .one = true};
    pang_view_set_at(&now, half.sequence);
    code = pang_common_walk(&now, &common, 0, take_commit, &w, err);
    if (code == PANG_OK)
        code = w.code;
    return code == PANG_OK ? pang_view_at_point(source, to.branch, to.sequence, err) : code;
}

/* ---- what cannot come back ---- */

static bool has_files(const pang_content *content)
{
    return pang_content_exists(content) &&
           (content->body->kind == PANGOLIN__STORE__V1__KIND__KIND_TABLE ||
            content->body->kind == PANGOLIN__STORE__V1__KIND__KIND_VIEW);
}

/* The document that the target has; NULL: none. */
static pang_code load_now(const pang_merge_task *task, const pang_merge_item *item, pang_json **ret,
                          pang_err *err)
{
    pang_str text;
    *ret = NULL;
    if (!has_files(&item->target))
        return PANG_OK;
    pang_code code = pang_metadata_load(task->target, task->state, item->target.body, PANG_WHOLE,
                                        &text, err);
    return code == PANG_OK ? pang_json_parse(text, task->target->arena, ret, err) : code;
}

/* Why the source's state cannot come back; empty: it can. */
static pang_code judge(const pang_merge_task *task, const pang_merge_item *item, pang_str *ret,
                       pang_err *err)
{
    pang_json *now;
    bool ours = true;
    const pang_rec_content *body = item->source.body;
    pang_code code = load_now(task, item, &now, err);
    if (code == PANG_OK && now == NULL)
        code = pang_undrop_places(task->target, body, &ours, err);
    if (code == PANG_OK && !ours)
        *ret = PANG_STR("its place is another table's by now");
    if (code != PANG_OK || !ours)
        return code;
    return pang_undrop_files(task->target, task->state, body, now, ret, err);
}

/* Documents are looked at in memory of their own: of many tables they would fill the call's. */
pang_code pang_again_judge(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_str lost = {0};
    pang_view view = *task->target;
    pang_merge_task small = *task;
    if (task->base != NULL || task->state == NULL || !has_files(&item->source) ||
        (pang_content_exists(&item->target) &&
         pang_merge_same_value(item->source.body, item->target.body)))
        return PANG_OK;
    pang_arena *own = pang_arena_new(TABLE_BYTES);
    view.arena = view.keys.arena = own;
    small.target = &view;
    pang_code code = own == NULL ? pang_fail_memory(err) : judge(&small, item, &lost, err);
    if (code == PANG_OK && lost.len > 0 && !pang_arena_copy(task->target->arena, lost, &item->lost))
        code = pang_fail_memory(err);
    pang_arena_free(own);
    return code;
}

/* ---- rebases ---- */

pang_code pang_again_successor(pang_view *view, pang_id branch, pang_id *ret,
                               pang_rec_branch **ret_body, pang_err *err)
{
    pang_code code = pang_branch_find(view, branch, ret_body, err);
    for (size_t i = 0; code == PANG_OK && (*ret_body)->hidden && i < SUCCESSORS_MAX; i++) {
        branch = pang_id_of((*ret_body)->next);
        if ((*ret_body)->next.len == 0)
            break;
        code = pang_branch_find(view, branch, ret_body, err);
    }
    *ret = code == PANG_OK && !(*ret_body)->hidden ? branch : (pang_id){{0}};
    return code;
}

pang_code pang_again_view(const pang_view *old, const pang_view *onto, pang_id id, pang_view *ret,
                          pang_err *err)
{
    if (onto->n_levels == PANG_LEVELS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "\"%" PANG_STR_FMT
                         "\" is made from %d branches, one from the other: rebase it first",
                         PANG_STR_ARG(onto->ref_name), PANG_LEVELS_MAX - 1);
    *ret = *old;
    ret->levels[0].branch = id;
    ret->levels[0].at = PANG_NOW;
    for (size_t i = 0; i < onto->n_levels; i++)
        ret->levels[i + 1] = onto->levels[i];
    ret->n_levels = onto->n_levels + 1;
    ret->merging = true;
    return PANG_OK;
}

pang_code pang_again_swing(pang_view *old, pang_view *onto, pang_id id, const pang_env *env,
                           const pang_principal *who, pang_branch_made *ret, pang_err *err)
{
    pang_branch_options options = {.name = old->ref_name, .unnamed = true, .id = &id};
    pang_code code = pang_branch_make(onto, env, who, &options, ret, err);
    if (code == PANG_OK)
        code = pang_branch_swing(old, env, old->ref_name, old->levels[0].branch, ret, err);
    return code;
}
