/*
 * Merge operations over the API: shown, their conflicts decided one by one, given up.
 */
#include <string.h>

#include "server/model.h"
#include "server/svc_merge.h"
#include "server/svc_names.h"
#include "server/svc_refs.h"

#define UNDECIDED PANGOLIN__STORE__V1__STRATEGY__STRATEGY_UNSPECIFIED
#define MANUAL PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL

/* ---- list, get ---- */

static pang_code read_listed(pang_call *call, const pang_manage_page *page,
                             pang_rec_merge_operation **ret, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_record *records = NULL;
    pang_str *list = pang_arena_alloc_n(call->arena, page->n, sizeof *list);
    pang_code code = PANG_OK;
    if (list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < page->n; i++) {
        pang_key_parts parts;
        pang_id id;
        if (!pang_key_parse(page->rows[i].key, &parts) || parts.n != 2 ||
            !pang_id_parse(parts.parts[1], &id))
            return pang_fail(err, PANG_DATA_LOSS, NULL, "a listed merge has no key of one");
        list[i] = pang_key_merge_operation(&keys, id);
    }
    if (code == PANG_OK)
        code = pang_manage_get(call, list, page->n, &records, err);
    for (size_t i = 0; code == PANG_OK && i < page->n; i++)
        code = pang_record_unpack(&pangolin__store__v1__merge_operation__descriptor, &records[i],
                                  call->arena, &ret[i], err);
    return code;
}

pang_code pang_merge_list_operations(pang_call *call, const void *request, void *reply,
                                     pang_err *err)
{
    const Pangolin__V1__ListMergeOperationsRequest *in = request;
    Pangolin__V1__ListMergeOperationsResponse *out = reply;
    pang_view view;
    pang_manage_page page = {0};
    pang_code code = pang_refs_open(call, in->catalog, &view, err);
    if (code != PANG_OK)
        return code;
    pang_manage_query query = {
        .prefix = pang_key_merges_listed(&view.keys, view.catalog),
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
        .descending = true,
    };
    code = pang_manage_list(call, &query, &page, err);
    if (code != PANG_OK)
        return code;
    pang_rec_merge_operation **ops = pang_arena_alloc_n(call->arena, page.n, sizeof(void *));
    out->operations = pang_arena_alloc_n(call->arena, page.n, sizeof *out->operations);
    if (ops == NULL || out->operations == NULL)
        return pang_fail_memory(err);
    code = read_listed(call, &page, ops, err);
    for (size_t i = 0; code == PANG_OK && i < page.n; i++) {
        code = pang_merge_op_show(call, ops[i], in->catalog, &out->operations[i], err);
        out->n_operations += code == PANG_OK;
    }
    if (page.next_token != NULL)
        out->next_page_token = page.next_token;
    return code;
}

static pang_code catalog_name(pang_call *call, const pang_rec_merge_operation *op, const char **ret,
                              pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_rec_catalog *catalog;
    pang_record record = {0};
    pang_code code = pang_txn_get_one(call->txn, pang_key_catalog(&keys, pang_id_of(op->catalog)),
                                      &record, err);
    *ret = "";
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record, call->arena,
                              &catalog, err);
    if (code == PANG_OK)
        *ret = catalog->name;
    return code;
}

pang_code pang_merge_get_operation(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetMergeOperationRequest *in = request;
    Pangolin__V1__GetMergeOperationResponse *out = reply;
    pang_rec_merge_operation *op;
    pang_rec_merge_conflict **conflicts;
    const char *catalog;
    pang_code code = pang_merge_op_find(call, in->id, &op, err);
    if (code == PANG_OK)
        code = catalog_name(call, op, &catalog, err);
    if (code == PANG_OK)
        code = pang_merge_conflicts_of(call, op, &conflicts, err);
    if (code == PANG_OK)
        code = pang_merge_op_show(call, op, catalog, &out->operation, err);
    if (code == PANG_OK)
        code = pang_merge_conflicts_show(call, conflicts, op->n_conflicts,
                                         &out->operation->conflicts, err);
    if (code == PANG_OK)
        out->operation->n_conflicts = op->n_conflicts;
    return code;
}

pang_code pang_merge_list_conflicts(pang_call *call, const void *request, void *reply,
                                    pang_err *err)
{
    const Pangolin__V1__ListMergeConflictsRequest *in = request;
    Pangolin__V1__ListMergeConflictsResponse *out = reply;
    pang_rec_merge_operation *op;
    pang_rec_merge_conflict **conflicts;
    pang_code code = pang_merge_op_find(call, in->id, &op, err);
    if (code == PANG_OK)
        code = pang_merge_conflicts_of(call, op, &conflicts, err);
    if (code == PANG_OK)
        code = pang_merge_conflicts_show(call, conflicts, op->n_conflicts, &out->conflicts, err);
    if (code == PANG_OK)
        out->n_conflicts = op->n_conflicts;
    return code;
}

/* ---- resolve ---- */

static const struct {
    const char *name;
    pang_strategy strategy;
} strategies[] = {
    {"TakeSource", PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE},
    {"source", PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE},
    {"TakeTarget", PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET},
    {"target", PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET},
    {"AutoMerge", PANGOLIN__STORE__V1__STRATEGY__STRATEGY_AUTO_MERGE},
    {"ThreeWayMerge", PANGOLIN__STORE__V1__STRATEGY__STRATEGY_THREE_WAY_MERGE},
    {"Manual", MANUAL},
    {"custom", MANUAL},
};

static pang_code read_strategy(const char *text, pang_strategy *ret, pang_err *err)
{
    for (size_t i = 0; i < sizeof strategies / sizeof strategies[0]; i++)
        if (pang_str_equal_nocase(pang_str_from(text), pang_str_from(strategies[i].name))) {
            *ret = strategies[i].strategy;
            return PANG_OK;
        }
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "strategy \"%.100s\" is none of AutoMerge, TakeSource, TakeTarget, Manual, "
                     "ThreeWayMerge",
                     text);
}

/* Whether a conflict is about properties alone: what is no property has no value to be set to. */
static bool is_of_properties(const pang_json *names)
{
    static const char *const others[] = {"name", "current-version-id", "table-uuid",
                                         "current-snapshot-id", "format-version"};
    for (size_t i = 0; i < pang_json_size(names); i++) {
        pang_str name;
        if (!pang_json_to_str(pang_json_at(names, i), &name))
            return false;
        for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
            if (pang_str_equal(name, pang_str_from(others[k])))
                return false;
    }
    return pang_json_size(names) > 0;
}

static bool names_it(const pang_json *names, pang_str name)
{
    pang_str one;
    for (size_t i = 0; i < pang_json_size(names); i++)
        if (pang_json_to_str(pang_json_at(names, i), &one) && pang_str_equal(one, name))
            return true;
    return false;
}

/* Where files go is checked and reserved by commits; a merge has only what the sides reserved. */
static pang_code fail_place(void *arg, pang_model_place kind, const char *what, pang_str location,
                            pang_err *err)
{
    (void)arg;
    (void)kind;
    (void)location;
    if (strcmp(what, "location") == 0)
        return PANG_OK; /* of a table itself: no property */
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "%s says where files go, so no value decides it: possible are TakeSource and "
                     "TakeTarget",
                     what);
}

/* None may say more than was asked, nor where files go. */
static pang_code check_members(const pang_json *names, const pang_json *value, pang_err *err)
{
    pang_json_members it = {.object = value};
    pang_str name, ignored;
    pang_json *member;
    while (pang_json_next(&it, &name, &member)) {
        if (!pang_json_is_null(member) && !pang_json_to_str(member, &ignored))
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "resolved_value.%" PANG_STR_FMT " is neither a string nor null",
                             PANG_STR_ARG(name));
        if (!names_it(names, name))
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "resolved_value: \"%" PANG_STR_FMT "\" is not in conflict here",
                             PANG_STR_ARG(name));
    }
    return PANG_OK;
}

static pang_code check_places(const pang_json *value, pang_arena *arena, pang_err *err)
{
    pang_json *document = pang_json_object(arena), *properties = pang_json_copy(value, arena);
    if (document == NULL || properties == NULL ||
        !pang_json_set(document, "properties", properties))
        return pang_fail_memory(err);
    return pang_model_places(document, PANG_MODEL_PLACE_ROOT, fail_place, NULL, err);
}

static pang_code check_values(const pang_json *names, const pang_json *value, pang_err *err)
{
    pang_str name;
    pang_code code = check_members(names, value, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < pang_json_size(names); i++)
        if (pang_json_to_str(pang_json_at(names, i), &name) &&
            pang_json_get_str(value, name) == NULL)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                             "resolved_value does not say what \"%" PANG_STR_FMT "\" shall be",
                             PANG_STR_ARG(name));
    return PANG_OK;
}

static pang_code read_value(pang_call *call, ProtobufCBinaryData raw,
                            const pang_rec_merge_conflict *conflict, char **ret, pang_err *err)
{
    pang_json *value = NULL, *details;
    pang_str text = pang_str_of(raw);
    pang_code code = pang_json_parse(pang_str_from(conflict->details), call->arena, &details, err);
    if (code == PANG_OK && text.len > 0)
        code = pang_json_parse(text, call->arena, &value, err);
    if (code != PANG_OK)
        return code;
    const pang_json *names = pang_json_get(details, "conflicting_properties");
    if (!is_of_properties(names))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "this conflict is not about properties, so no value decides it: possible "
                         "are TakeSource, TakeTarget, AutoMerge and ThreeWayMerge");
    if (value == NULL || pang_json_type_of(value) != PANG_JSON_IS_OBJECT)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "Manual needs resolved_value: an object of what the conflicting "
                         "properties shall be");
    code = check_values(names, value, err);
    if (code == PANG_OK)
        code = check_places(value, call->arena, err);
    if (code == PANG_OK && (*ret = pang_arena_cstr(call->arena, text)) == NULL)
        code = pang_fail_memory(err);
    return code;
}

/* JSON's null is none, as clients send it. */
static pang_code expect_no_value(ProtobufCBinaryData raw, pang_strategy strategy, pang_err *err)
{
    pang_str text = pang_str_of(raw);
    if (text.len == 0 || pang_str_equal(text, PANG_STR("null")))
        return PANG_OK;
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "resolved_value is of Manual alone: %s takes none",
                     pang_strategy_name(strategy));
}

static bool same_asset(const pang_rec_merge_conflict *a, const pang_rec_merge_conflict *b)
{
    if (a->asset.len == 0 && b->asset.len == 0) /* namespaces, which have no more than a name */
        return strcmp(a->path, b->path) == 0 && strcmp(a->name, b->name) == 0;
    return pang_str_equal(pang_str_of(a->asset), pang_str_of(b->asset));
}

static bool takes_side(pang_strategy s)
{
    return s == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE ||
           s == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET;
}

/* A side is the whole asset, so it leaves no room for the other side nor for a value. */
static bool contradict(pang_strategy a, pang_strategy b)
{
    bool says_a = takes_side(a) || a == MANUAL, says_b = takes_side(b) || b == MANUAL;
    return says_a && says_b && a != b;
}

static pang_code fail_contradicts(const pang_rec_merge_conflict *other, pang_strategy strategy,
                                  pang_err *err)
{
    char id[PANG_ID_TEXT + 1];
    pang_id_text(pang_id_of(other->id), id);
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                     "%s contradicts the conflict %s, another one of %s, which was resolved by %s: "
                     "a side is taken of the whole asset, and nothing else then decides about it. "
                     "With AutoMerge here all of it is asked anew on completion",
                     pang_strategy_name(strategy), id, other->key,
                     pang_strategy_name(other->strategy));
}

/* *ret_open: how many conflicts are left. */
static pang_code check_others(pang_rec_merge_conflict *const *all, size_t n,
                              const pang_rec_merge_conflict *one, pang_strategy strategy,
                              size_t *ret_open, pang_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const pang_rec_merge_conflict *other = all[i];
        if (pang_str_equal(pang_str_of(other->id), pang_str_of(one->id)))
            continue;
        *ret_open += other->strategy == UNDECIDED;
        if (same_asset(other, one) && contradict(other->strategy, strategy))
            return fail_contradicts(other, strategy, err);
    }
    return PANG_OK;
}

static pang_code find_both(pang_call *call, const char *id, pang_rec_merge_conflict **ret_conflict,
                           pang_rec_merge_operation **ret, pang_err *err)
{
    char text[PANG_ID_TEXT + 1];
    pang_code code = pang_merge_conflict_find(call, id, ret_conflict, err);
    if (code != PANG_OK)
        return code;
    pang_id_text(pang_id_of((*ret_conflict)->operation), text);
    code = pang_merge_op_find(call, text, ret, err);
    if (code == PANG_OK && pang_merge_has_ended(*ret))
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "the merge operation has ended");
    if (code == PANG_OK && (*ret_conflict)->strategy != UNDECIDED)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "the conflict was resolved by %s; to decide otherwise, abort the merge "
                         "and merge again",
                         pang_strategy_name((*ret_conflict)->strategy));
    return code;
}

pang_code pang_merge_resolve(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ResolveConflictRequest *in = request;
    Pangolin__V1__ResolveConflictResponse *out = reply;
    pang_rec_merge_conflict *conflict, **all;
    pang_rec_merge_operation *op;
    pang_strategy strategy = UNDECIDED;
    size_t open = 0;
    pang_code code = find_both(call, in->id, &conflict, &op, err);
    if (code == PANG_OK)
        code = read_strategy(in->strategy, &strategy, err);
    if (code == PANG_OK && strategy == MANUAL)
        code = read_value(call, in->resolved_value, conflict, &conflict->resolved_value, err);
    else if (code == PANG_OK)
        code = expect_no_value(in->resolved_value, strategy, err);
    if (code == PANG_OK)
        code = pang_merge_conflicts_of(call, op, &all, err);
    if (code == PANG_OK)
        code = check_others(all, op->n_conflicts, conflict, strategy, &open, err);
    if (code != PANG_OK)
        return code;
    conflict->strategy = strategy;
    conflict->resolved_by = pang_bytes_of_id(&call->who->id);
    conflict->resolved_by_name = pang_arena_cstr(call->arena, call->who->name);
    conflict->resolved_ms = pang_env_wall_ms(call->server->env);
    op->status = open == 0 ? PANG_MERGE_READY : PANG_MERGE_RESOLVING;
    out->status = (char *)(uintptr_t) "resolved";
    out->conflict_id = pang_manage_id_text(pang_id_of(conflict->id), call->arena);
    code = pang_manage_built(call->arena, err);
    if (code == PANG_OK)
        code = pang_merge_conflict_put(call, conflict, err);
    return code == PANG_OK ? pang_merge_op_put(call, op, false, err) : code;
}

/* ---- abort ---- */

pang_code pang_merge_abort(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__AbortMergeRequest *in = request;
    Pangolin__V1__AbortMergeResponse *out = reply;
    pang_rec_merge_operation *op;
    pang_code code = pang_merge_op_find(call, in->id, &op, err);
    if (code == PANG_OK && pang_merge_has_ended(op))
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_MERGE_REASON,
                         "the merge operation has ended: it is %s",
                         op->status == PANG_MERGE_COMPLETED ? "completed" : "aborted");
    if (code != PANG_OK)
        return code;
    op->status = PANG_MERGE_ABORTED;
    op->completed_ms = pang_env_wall_ms(call->server->env);
    op->aborted_by_name = pang_arena_cstr(call->arena, call->who->name);
    out->status = (char *)(uintptr_t) "aborted";
    out->operation_id = pang_manage_id_text(pang_id_of(op->id), call->arena);
    code = pang_manage_built(call->arena, err);
    return code == PANG_OK ? pang_merge_op_put(call, op, false, err) : code;
}
