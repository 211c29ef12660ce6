/*
 * Values of assets and namespaces that both sides changed, by kind; and the source's value as it
 * stands, for what is taken over.
 */
#include <string.h>

#include "server/merge_fields.h"
#include "server/merge_plan.h"

#define NAMESPACE PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE
#define TABLE PANGOLIN__STORE__V1__KIND__KIND_TABLE
#define VIEW PANGOLIN__STORE__V1__KIND__KIND_VIEW

static pang_rec_content *copy_body(const pang_merge_task *task, const pang_rec_content *from)
{
    pang_rec_content *to = pang_arena_alloc(task->target->arena, sizeof *to);
    if (to == NULL)
        return NULL;
    *to = *from;
    to->dropped = to->purged = false;
    to->written_at = 0;
    to->written_ms = 0;
    to->created_at = 0;
    to->origin = 0;
    to->shared = from->shared || from->kind == TABLE || from->kind == VIEW;
    return to;
}

pang_code pang_merge_take_value(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    item->body = copy_body(task, item->source.body);
    if (item->body == NULL)
        return pang_fail_memory(err);
    item->body->origin = pang_merge_origin(&item->source);
    if (item->body->kind == NAMESPACE && pang_content_exists(&item->target))
        item->body->asset = item->target.body->asset;
    return PANG_OK;
}

static pang_code keep_value(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    item->body = copy_body(task, item->target.body);
    return item->body == NULL ? pang_fail_memory(err) : PANG_OK;
}

/* ---- fields ---- */

static pang_json *value_of(pang_arena *arena, const char *value)
{
    return value == NULL ? pang_json_null(arena) : pang_json_str(pang_str_from(value), arena);
}

static pang_code show_fields(const pang_merge_task *task, pang_merge_item *item,
                             const pang_field_conflicts *c, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_json *details = pang_json_object(arena), *names = pang_json_array(arena),
              *properties = pang_json_object(arena);
    pang_buf sentence = {.arena = arena};
    bool ok = details != NULL && names != NULL && properties != NULL;
    pang_buf_printf(&sentence, "both sides changed of %" PANG_STR_FMT ":", PANG_STR_ARG(item->key));
    for (size_t i = 0; ok && i < c->n; i++) {
        pang_json *values = pang_json_object(arena);
        pang_str name = pang_str_from(c->list[i].name);
        ok = values != NULL && pang_json_append(names, pang_json_str(name, arena)) &&
             pang_json_set(values, "base", value_of(arena, c->list[i].base)) &&
             pang_json_set(values, "source", value_of(arena, c->list[i].source)) &&
             pang_json_set(values, "target", value_of(arena, c->list[i].target)) &&
             pang_json_set_str(properties, name, values);
        pang_buf_printf(&sentence, "%s %s", i == 0 ? "" : ",", c->list[i].name);
    }
    if (!ok || !pang_json_set(details, "conflicting_properties", names) ||
        !pang_json_set(details, "properties", properties))
        return pang_fail_memory(err);
    return pang_merge_add_conflict(task, item, PANG_CONFLICT_METADATA, details,
                                   pang_buf_str(&sentence), err);
}

static pang_code merge_record(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    const pang_merge_choice *choice = pang_merge_choice_of(task, item);
    const pang_rec_content *base = pang_content_exists(&item->half[0].source)
                                       ? item->half[0].source.body
                                       : NULL;
    pang_field_conflicts conflicts = {.arena = task->target->arena};
    const pang_json *said = NULL;
    if (choice != NULL && choice->strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_MANUAL)
        said = choice->value;
    pang_code code = keep_value(task, item, err);
    if (code == PANG_OK)
        code = pang_merge_fields(base, item->source.body, item->target.body, said, item->body,
                                 &conflicts, err);
    if (code == PANG_OK && conflicts.n > 0)
        code = show_fields(task, item, &conflicts, err);
    return code;
}

/* ---- documents ---- */

static pang_code conflict_of_view(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_json *details = pang_json_object(arena), *names = pang_json_array(arena);
    if (details == NULL || names == NULL ||
        !pang_json_append(names, pang_json_str(PANG_STR("view"), arena)) ||
        !pang_json_set(details, "conflicting_properties", names))
        return pang_fail_memory(err);
    return pang_merge_add_conflict(task, item, PANG_CONFLICT_METADATA, details,
                                   pang_arena_printf(arena,
                                                     "both sides replaced the view %" PANG_STR_FMT,
                                                     PANG_STR_ARG(item->key)),
                                   err);
}

static pang_code conflict_of_table(const pang_merge_task *task, pang_merge_item *item,
                                   pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_json *details = pang_json_object(arena), *partitions = pang_json_array(arena);
    if (details == NULL || partitions == NULL ||
        !pang_json_set(details, "overlapping_partitions", partitions))
        return pang_fail_memory(err);
    return pang_merge_add_conflict(task, item, PANG_CONFLICT_DATA, details,
                                   pang_arena_printf(arena,
                                                     "both sides changed the table %" PANG_STR_FMT,
                                                     PANG_STR_ARG(item->key)),
                                   err);
}

/* ---- which side's, or both ---- */

static bool same_body(const pang_content *a, const pang_content *b)
{
    return pang_content_exists(a) && pang_content_exists(b) &&
           pang_merge_same_value(a->body, b->body);
}

static bool only_target_changed(const pang_merge_item *item)
{
    for (size_t i = 0; i < item->n_pairs; i++)
        if (same_body(&item->source, &item->half[i].source))
            return true;
    return same_body(&item->source, &item->target);
}

static bool only_source_changed(const pang_merge_item *item)
{
    for (size_t i = 0; i < item->n_pairs; i++)
        if (same_body(&item->target, &item->half[i].target) &&
            same_body(&item->half[i].source, &item->half[i].target))
            return true;
    return false;
}

pang_code pang_merge_value(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    if (only_target_changed(item))
        return keep_value(task, item, err);
    if (only_source_changed(item))
        return pang_merge_take_value(task, item, err);
    pang_code code = keep_value(task, item, err);
    if (code != PANG_OK)
        return code;
    switch (item->target.body->kind) {
    case TABLE:
        return conflict_of_table(task, item, err);
    case VIEW:
        return conflict_of_view(task, item, err);
    default:
        return merge_record(task, item, err);
    }
}
