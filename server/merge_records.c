/*
 * Merge operations: records by id, a list by catalog. A conflict is a record of its own, so that
 * two people decide two of them without meeting but at the operation.
 */
#include "server/merge_records.h"

#include <string.h>

#include "server/svc_manage.h"

/* ---- reading ---- */

static pang_keys keys_of(pang_call *call)
{
    return (pang_keys){.arena = call->arena, .scope = call->tenant_key};
}

pang_code pang_merge_op_find(pang_call *call, const char *text, pang_rec_merge_operation **ret,
                             pang_err *err)
{
    pang_keys keys = keys_of(call);
    pang_record record = {0};
    pang_id id;
    if (!pang_id_parse(pang_str_from(text), &id))
        return pang_manage_absent("merge operation", text, err);
    pang_code code = pang_txn_get_one(call->txn, pang_key_merge_operation(&keys, id), &record, err);
    if (code == PANG_OK && record.version == 0)
        return pang_manage_absent("merge operation", text, err);
    call->note.resource = id;
    return code == PANG_OK ? pang_record_unpack(&pangolin__store__v1__merge_operation__descriptor,
                                                &record, call->arena, ret, err)
                           : code;
}

pang_code pang_merge_conflict_find(pang_call *call, const char *text, pang_rec_merge_conflict **ret,
                                   pang_err *err)
{
    pang_keys keys = keys_of(call);
    pang_record record = {0};
    pang_id id;
    if (!pang_id_parse(pang_str_from(text), &id))
        return pang_manage_absent("conflict", text, err);
    pang_code code = pang_txn_get_one(call->txn, pang_key_merge_conflict(&keys, id), &record, err);
    if (code == PANG_OK && record.version == 0)
        return pang_manage_absent("conflict", text, err);
    call->note.resource = id;
    return code == PANG_OK ? pang_record_unpack(&pangolin__store__v1__merge_conflict__descriptor,
                                                &record, call->arena, ret, err)
                           : code;
}

pang_code pang_merge_conflicts_of(pang_call *call, const pang_rec_merge_operation *op,
                                  pang_rec_merge_conflict ***ret, pang_err *err)
{
    pang_keys keys = keys_of(call);
    size_t n = op->n_conflicts;
    pang_record *records = NULL;
    pang_str *list = pang_arena_alloc_n(call->arena, n, sizeof *list);
    *ret = pang_arena_alloc_n(call->arena, n, sizeof **ret);
    if (list == NULL || *ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        list[i] = pang_key_merge_conflict(&keys, pang_id_of(op->conflicts[i]));
    pang_code code = pang_manage_get(call, list, n, &records, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        if (records[i].version == 0)
            return pang_fail(err, PANG_DATA_LOSS, NULL, "a merge operation lacks a conflict");
        code = pang_record_unpack(&pangolin__store__v1__merge_conflict__descriptor, &records[i],
                                  call->arena, &(*ret)[i], err);
    }
    return code;
}

bool pang_merge_has_ended(const pang_rec_merge_operation *op)
{
    return op->status == PANG_MERGE_COMPLETED || op->status == PANG_MERGE_ABORTED;
}

/* ---- writing ---- */

pang_code pang_merge_op_put(pang_call *call, const pang_rec_merge_operation *op, bool is_new,
                            pang_err *err)
{
    pang_keys keys = keys_of(call);
    pang_id id = pang_id_of(op->id);
    pang_txn_put(call->txn, PANG_KIND_MERGE_OPERATION, pang_key_merge_operation(&keys, id),
                 pang_record_pack(&op->base, call->arena));
    if (is_new)
        pang_txn_put(call->txn, PANG_KIND_MERGE_LISTED,
                     pang_key_merge_listed(&keys, pang_id_of(op->catalog), id), (pang_str){0});
    return pang_keys_status(&keys, err);
}

pang_code pang_merge_conflict_put(pang_call *call, const pang_rec_merge_conflict *conflict,
                                  pang_err *err)
{
    pang_keys keys = keys_of(call);
    pang_txn_put(call->txn, PANG_KIND_MERGE_CONFLICT,
                 pang_key_merge_conflict(&keys, pang_id_of(conflict->id)),
                 pang_record_pack(&conflict->base, call->arena));
    return pang_keys_status(&keys, err);
}

static bool is_about(const pang_rec_merge_conflict *conflict, const pang_merge_item *item)
{
    if (!pang_id_is_nil(item->asset))
        return pang_id_equal(pang_id_of(conflict->asset), item->asset);
    return conflict->asset.len == 0 &&
           pang_str_equal(pang_str_from(conflict->path), item->to.path) &&
           pang_str_equal(pang_str_from(conflict->name), item->to.name);
}

static bool conflicts_again(const pang_rec_merge_conflict *conflict, const pang_merge_plan *plan)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->items[i]->n_conflicts > 0 && is_about(conflict, plan->items[i]))
            return true;
    return false;
}

/* What source and target are, where they are not the branches that somebody named so. */
static const char *sides_of(const pang_rec_merge_operation *op)
{
    static const char *const words[] = {
        "", " (source: the branch; target: its new base)",
        " (source: what the commit left; target: the branch as it is)",
        " (source: what was there before the commit; target: the branch as it is)",
        " (source: what was there then; target: the branch as it is)"};
    return words[op->work];
}

/* `id` may be NULL: of a dry run. */
static pang_code make_conflict(pang_call *call, const pang_rec_merge_operation *op,
                               const pang_merge_item *item, const pang_conflict *from,
                               const pang_id *id, pang_rec_merge_conflict **ret, pang_err *err)
{
    pang_rec_merge_conflict *made = pang_arena_alloc(call->arena, sizeof *made);
    if (made == NULL)
        return pang_fail_memory(err);
    *made = (pang_rec_merge_conflict)PANGOLIN__STORE__V1__MERGE_CONFLICT__INIT;
    if (id != NULL)
        made->id = pang_bytes_of_id(id);
    made->operation = op->id;
    made->type = (Pangolin__Store__V1__MergeConflict__Type)from->type;
    if (!pang_id_is_nil(item->asset))
        made->asset = pang_bytes_of_id(&item->asset);
    made->space = pang_id_is_nil(item->asset) ? PANG_SPACE_NAMESPACE : PANG_SPACE_ASSET;
    made->path = pang_arena_cstr(call->arena, item->to.path);
    made->name = pang_arena_cstr(call->arena, item->to.name);
    made->key = pang_arena_cstr(call->arena, item->key);
    made->description = pang_arena_cstr(
        call->arena, pang_arena_printf(call->arena, "%" PANG_STR_FMT "%s",
                                       PANG_STR_ARG(from->description), sides_of(op)));
    made->details = pang_arena_cstr(call->arena, from->details);
    made->created_ms = pang_env_wall_ms(call->server->env);
    *ret = made;
    return pang_arena_failed(call->arena) ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_merge_conflicts_made(pang_call *call, const pang_rec_merge_operation *op,
                                    const pang_merge_plan *plan, pang_rec_merge_conflict ***ret,
                                    pang_err *err)
{
    size_t n = 0;
    pang_id *ids = pang_arena_alloc_n(call->arena, plan->n_conflicts, sizeof *ids);
    *ret = pang_arena_alloc_n(call->arena, plan->n_conflicts, sizeof **ret);
    pang_code code = PANG_OK;
    if (ids == NULL || *ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < plan->n; i++)
        for (size_t k = 0; code == PANG_OK && k < plan->items[i]->n_conflicts; k++, n++) {
            ids[n] = pang_id_v7(call->server->env);
            code = make_conflict(call, op, plan->items[i], &plan->items[i]->conflicts[k],
                                 op->id.len > 0 ? &ids[n] : NULL, &(*ret)[n], err);
        }
    return code;
}

pang_code pang_merge_conflicts_keep(pang_call *call, pang_rec_merge_operation *op,
                                    pang_rec_merge_conflict *const *decided,
                                    const pang_merge_plan *plan, pang_err *err)
{
    pang_keys keys = keys_of(call);
    size_t n = 0, n_decided = op->n_conflicts;
    ProtobufCBinaryData *list = pang_arena_alloc_n(call->arena, n_decided + plan->n_conflicts,
                                                   sizeof *list);
    pang_rec_merge_conflict **made = NULL;
    if (list == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_merge_conflicts_made(call, op, plan, &made, err);
    for (size_t i = 0; code == PANG_OK && i < n_decided; i++) {
        if (conflicts_again(decided[i], plan))
            pang_txn_delete(call->txn, pang_key_merge_conflict(&keys, pang_id_of(decided[i]->id)));
        else
            list[n++] = decided[i]->id;
    }
    for (size_t i = 0; code == PANG_OK && made != NULL && i < plan->n_conflicts; i++) {
        code = pang_merge_conflict_put(call, made[i], err);
        list[n++] = made[i]->id;
    }
    op->conflicts = list;
    op->n_conflicts = n;
    return code == PANG_OK ? pang_keys_status(&keys, err) : code;
}

/* ---- choices ---- */

/* Of several conflicts of one asset those that take a side decide it, before one that sets values.
 */
static bool is_stronger(pang_strategy a, pang_strategy b)
{
    bool takes_a = a == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE ||
                   a == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET;
    bool takes_b = b == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE ||
                   b == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET;
    return (takes_a && !takes_b) ||
           (!takes_b && a == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL);
}

static pang_code choice_of(pang_call *call, const pang_rec_merge_conflict *c,
                           pang_merge_choice *ret, pang_err *err)
{
    pang_json *value = NULL;
    *ret = (pang_merge_choice){.asset = pang_id_of(c->asset), .strategy = c->strategy};
    ret->name = (pang_name){(pang_space)c->space, pang_str_from(c->path), pang_str_from(c->name)};
    if (c->strategy != PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL)
        return PANG_OK;
    pang_code code = pang_json_parse(pang_str_from(c->resolved_value), call->arena, &value, err);
    ret->value = value;
    return code;
}

static bool is_manual(const pang_merge_choice *choice)
{
    return choice->strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL;
}

/* Each conflict of an asset has values of its own: they are set together. */
static pang_code add_choice(pang_call *call, pang_merge_choice *to, const pang_merge_choice *one,
                            pang_err *err)
{
    pang_json_members it = {.object = one->value};
    pang_str name;
    pang_json *value;
    if (!is_manual(to) || !is_manual(one)) {
        if (is_stronger(one->strategy, to->strategy))
            *to = *one;
        return PANG_OK;
    }
    pang_json *both = pang_json_copy(to->value, call->arena);
    bool set = both != NULL;
    while (set && pang_json_next(&it, &name, &value))
        set = pang_json_set_str(both, name, value);
    to->value = both;
    return set ? PANG_OK : pang_fail_memory(err);
}

pang_code pang_merge_choices_of(pang_call *call, pang_rec_merge_conflict *const *conflicts,
                                size_t n, pang_merge_choice **ret, size_t *ret_n, pang_err *err)
{
    *ret_n = 0;
    *ret = pang_arena_alloc_n(call->arena, n, sizeof **ret);
    pang_code code = PANG_OK;
    if (*ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_merge_choice one;
        size_t at = 0;
        if (conflicts[i]->strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_UNSPECIFIED)
            continue;
        code = choice_of(call, conflicts[i], &one, err);
        while (at < *ret_n &&
               (!pang_id_equal((*ret)[at].asset, one.asset) ||
                (pang_id_is_nil(one.asset) && !pang_name_equal((*ret)[at].name, one.name))))
            at++;
        if (code == PANG_OK && at < *ret_n)
            code = add_choice(call, &(*ret)[at], &one, err);
        else
            (*ret)[(*ret_n)++] = one;
    }
    return code;
}
