/*
 * Merge operations, conflicts and plans as replies show them.
 */
#include <string.h>

#include "server/merge_records.h"
#include "server/svc_manage.h"

typedef Pangolin__V1__MergeOperation shown_op;
typedef Pangolin__V1__MergeConflict shown_conflict;
typedef Pangolin__V1__MergeChange shown_change;

static char *literal(const char *text)
{
    return (char *)(uintptr_t)text;
}

static char *id_or_null(ProtobufCBinaryData bytes, pang_arena *arena)
{
    return bytes.len == 0 ? literal("") : pang_manage_id_text(pang_id_of(bytes), arena);
}

const char *pang_strategy_name(pang_strategy strategy)
{
    static const char *const names[] = {"",           "AutoMerge", "TakeSource",
                                        "TakeTarget", "Manual",    "ThreeWayMerge"};
    return names[strategy];
}

static const char *status_name(const pang_rec_merge_operation *op)
{
    static const char *const names[] = {"Pending", "Pending",   "Conflicted", "Resolving",
                                        "Ready",   "Completed", "Aborted"};
    return names[op->status];
}

static const char *kind_name(const pang_rec_merge_operation *op)
{
    static const char *const names[] = {"merge", "rebase", "cherry_pick", "revert", "restore"};
    return names[op->work];
}

static pang_code show_conflict_ids(pang_call *call, const pang_rec_merge_operation *op,
                                   shown_op *out, pang_err *err)
{
    out->conflict_ids = pang_arena_alloc_n(call->arena, op->n_conflicts, sizeof(char *));
    if (out->conflict_ids == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < op->n_conflicts; i++)
        out->conflict_ids[i] = pang_manage_id_text(pang_id_of(op->conflicts[i]), call->arena);
    out->n_conflict_ids = op->n_conflicts;
    out->conflicts_count = (int32_t)op->n_conflicts;
    return PANG_OK;
}

pang_code pang_merge_op_show(pang_call *call, const pang_rec_merge_operation *op,
                             const char *catalog, shown_op **ret, pang_err *err)
{
    pang_arena *arena = call->arena;
    shown_op *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_op)PANGOLIN__V1__MERGE_OPERATION__INIT;
    out->id = id_or_null(op->id, arena);
    out->tenant_id = pang_manage_id_text(call->who->tenant, arena);
    out->catalog_name = literal(catalog);
    out->source_branch = op->source_name;
    out->target_branch = op->target_name;
    out->base_commit_id = id_or_null(op->base_commit, arena);
    out->status = literal(status_name(op));
    out->kind = literal(kind_name(op));
    out->initiated_by = pang_manage_id_text(pang_id_of(op->initiated_by), arena);
    out->initiated_at = pang_manage_time(op->initiated_ms, arena);
    if (op->completed_ms != 0)
        out->completed_at = pang_manage_time(op->completed_ms, arena);
    out->result_commit_id = id_or_null(op->result_commit, arena);
    out->fast_forward = op->fast_forward;
    out->message = op->message;
    pang_code code = show_conflict_ids(call, op, out, err);
    *ret = out;
    return code == PANG_OK ? pang_manage_built(arena, err) : code;
}

static pang_code show_resolution(pang_call *call, const pang_rec_merge_conflict *c,
                                 shown_conflict *out, pang_err *err)
{
    typedef Pangolin__V1__ConflictResolution resolution;
    if (c->strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_UNSPECIFIED)
        return PANG_OK;
    resolution *made = pang_arena_alloc(call->arena, sizeof *made);
    if (made == NULL)
        return pang_fail_memory(err);
    *made = (resolution)PANGOLIN__V1__CONFLICT_RESOLUTION__INIT;
    made->conflict_id = out->id;
    made->strategy = literal(pang_strategy_name(c->strategy));
    made->resolved_value = pang_bytes_of(pang_str_from(c->resolved_value));
    made->resolved_by = pang_manage_id_text(pang_id_of(c->resolved_by), call->arena);
    made->resolved_at = pang_manage_time(c->resolved_ms, call->arena);
    out->resolution = made;
    return PANG_OK;
}

static pang_code show_conflict(pang_call *call, const pang_rec_merge_conflict *c,
                               shown_conflict **ret, pang_err *err)
{
    static const char *const types[] = {"", "schema_change", "data_overlap", "metadata_conflict",
                                        "deletion_conflict"};
    pang_arena *arena = call->arena;
    shown_conflict *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_conflict)PANGOLIN__V1__MERGE_CONFLICT__INIT;
    if (c->id.len > 0) { /* else of a dry run, which nobody can ask for again */
        out->id = pang_manage_id_text(pang_id_of(c->id), arena);
        out->merge_operation_id = pang_manage_id_text(pang_id_of(c->operation), arena);
    }
    out->conflict_type = literal(types[c->type]);
    out->asset_id = id_or_null(c->asset, arena);
    out->asset_name = c->key;
    out->description = c->description;
    out->details = pang_bytes_of(pang_str_from(c->details));
    out->created_at = pang_manage_time(c->created_ms, arena);
    *ret = out;
    return show_resolution(call, c, out, err);
}

pang_code pang_merge_conflicts_show(pang_call *call, pang_rec_merge_conflict *const *conflicts,
                                    size_t n, shown_conflict ***ret, pang_err *err)
{
    *ret = pang_arena_alloc_n(call->arena, n, sizeof **ret);
    pang_code code = *ret == NULL ? pang_fail_memory(err) : PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = show_conflict(call, conflicts[i], &(*ret)[i], err);
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

/* ---- plans ---- */

static pang_code show_change(pang_call *call, const pang_merge_item *item, shown_change **ret,
                             pang_err *err)
{
    static const char *const fates[] = {
        [PANG_FATE_TAKEN] = "taken",       [PANG_FATE_MERGED] = "merged",
        [PANG_FATE_KEPT] = "kept",         [PANG_FATE_LEFT_OUT] = "left_out",
        [PANG_FATE_CONFLICT] = "conflict",
    };
    pang_arena *arena = call->arena;
    shown_change *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_change)PANGOLIN__V1__MERGE_CHANGE__INIT;
    bool changes = item->fate == PANG_FATE_TAKEN || item->fate == PANG_FATE_MERGED;
    out->key = pang_arena_cstr(arena, item->key);
    if (!pang_id_is_nil(item->asset))
        out->asset_id = pang_manage_id_text(item->asset, arena);
    out->outcome = literal(item->lost.len > 0 ? "lost" : fates[item->fate]);
    out->reason = pang_arena_cstr(arena, item->lost);
    if (changes ? item->stands : pang_content_exists(&item->target))
        out->target_key = pang_arena_cstr(
            arena, pang_merge_key_text(arena, changes ? item->to : item->target.name));
    out->report = pang_bytes_of(item->report);
    *ret = out;
    return PANG_OK;
}

pang_code pang_merge_plan_show(pang_call *call, const pang_merge_plan *plan, shown_op *out,
                               pang_err *err)
{
    out->changes = pang_arena_alloc_n(call->arena, plan->n, sizeof *out->changes);
    pang_code code = out->changes == NULL ? pang_fail_memory(err) : PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < plan->n; i++)
        if (plan->items[i]->fate != PANG_FATE_UNCHANGED)
            code = show_change(call, plan->items[i], &out->changes[out->n_changes++], err);
    out->fast_forward = plan->fast_forward;
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}
