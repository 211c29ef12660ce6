/*
 * Planning, item by item: all states are read in batches first, then each item is decided for
 * itself. What items want of each other (a name that another holds, a namespace that is gone) is
 * settled afterwards (merge_settle.c).
 */
#include "server/merge_plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/merge_modes.h"
#include "server/merge_replay.h"
#include "server/merge_sides.h"
#include "server/places.h"

/* ---- little things ---- */

pang_str pang_merge_key_joined(pang_arena *arena, pang_name name, char separator)
{
    pang_str path = {0};
    if (name.path.len == 0)
        return pang_arena_printf(arena, "%" PANG_STR_FMT, PANG_STR_ARG(name.name));
    char *parted = pang_arena_alloc_text(arena, name.path.len);
    for (size_t i = 0; parted != NULL && i < name.path.len; i++)
        parted[i] = name.path.ptr[i] == '.' ? separator : name.path.ptr[i];
    if (parted == NULL || !pang_key_unescape((pang_str){parted, name.path.len}, arena, &path))
        return (pang_str){0};
    return pang_arena_printf(arena, "%" PANG_STR_FMT "%c%" PANG_STR_FMT, PANG_STR_ARG(path),
                             separator, PANG_STR_ARG(name.name));
}

pang_str pang_merge_key_text(pang_arena *arena, pang_name name)
{
    return pang_merge_key_joined(arena, name, '.');
}

static bool has_property(const pang_rec_content *in, const pang_rec_property *p)
{
    for (size_t i = 0; i < in->n_properties; i++)
        if (strcmp(in->properties[i]->name, p->name) == 0)
            return strcmp(in->properties[i]->value, p->value) == 0;
    return false;
}

static bool same_properties(const pang_rec_content *a, const pang_rec_content *b)
{
    if (a->n_properties != b->n_properties)
        return false;
    for (size_t i = 0; i < a->n_properties; i++) {
        /* Mostly both are in one order. */
        bool same = strcmp(a->properties[i]->name, b->properties[i]->name) == 0 &&
                    strcmp(a->properties[i]->value, b->properties[i]->value) == 0;
        if (!same && !has_property(b, a->properties[i]))
            return false;
    }
    return true;
}

static bool has_document(const pang_rec_content *body)
{
    return body->kind == PANGOLIN__STORE__V1__KIND__KIND_TABLE ||
           body->kind == PANGOLIN__STORE__V1__KIND__KIND_VIEW;
}

bool pang_merge_same_value(const pang_rec_content *a, const pang_rec_content *b)
{
    if (a->kind != b->kind)
        return false;
    if (has_document(a))
        return pang_str_equal(pang_str_of(a->document), pang_str_of(b->document)) &&
               strcmp(a->metadata_location, b->metadata_location) == 0;
    return strcmp(a->asset_kind, b->asset_kind) == 0 && strcmp(a->location, b->location) == 0 &&
           same_properties(a, b);
}

static bool same_state(const pang_content *a, const pang_content *b)
{
    bool exists = pang_content_exists(a);
    if (exists != pang_content_exists(b))
        return false;
    return !exists ||
           (pang_name_equal(a->name, b->name) && pang_merge_same_value(a->body, b->body));
}

/* ---- reading ---- */

static pang_code half_view(const pang_merge_task *task, pang_point at, pang_view *ret,
                           pang_err *err)
{
    *ret = *task->source;
    return pang_view_at_point(ret, at.branch, at.sequence, err);
}

pang_merge_thing pang_merge_thing_of(const pang_merge_item *item)
{
    return (pang_merge_thing){item->asset, item->to};
}

static void find_pairs(const pang_merge_task *task, pang_merge_item *item)
{
    pang_merge_thing thing = pang_merge_thing_of(item);
    item->pairs[0] = task->pair;
    item->n_pairs = task->base == NULL ? 1 : pang_merge_base_of(task->base, &thing, item->pairs);
}

static bool same_point(pang_point a, pang_point b)
{
    return pang_id_equal(a.branch, b.branch) && a.sequence == b.sequence;
}

static bool same_pairs(const pang_merge_item *a, const pang_merge_item *b)
{
    if (a->n_pairs != b->n_pairs)
        return false;
    for (size_t i = 0; i < a->n_pairs; i++)
        if (!same_point(a->pairs[i].source, b->pairs[i].source) ||
            !same_point(a->pairs[i].target, b->pairs[i].target) ||
            !same_point(a->pairs[i].held[0], b->pairs[i].held[0]) ||
            !same_point(a->pairs[i].held[1], b->pairs[i].held[1]))
            return false;
    return true;
}

/* The state of n items as a view shows them, into a scratch list. */
static pang_code read_states(pang_view *view, pang_merge_item *const *items, size_t n,
                             pang_content *ret, pang_err *err)
{
    pang_id *assets = pang_arena_alloc_n(view->arena, n, sizeof *assets);
    if (assets == NULL)
        return pang_fail_memory(err);
    if (!pang_id_is_nil(items[0]->asset)) {
        for (size_t i = 0; i < n; i++)
            assets[i] = items[i]->asset;
        return pang_places_get(view, assets, n, ret, err);
    }
    for (size_t i = 0; i < n; i++)
        ret[i] = (pang_content){.name = items[i]->to};
    return pang_places_names(view, ret, n, err);
}

static pang_code read_at(const pang_merge_task *task, pang_point at, pang_merge_item *const *items,
                         size_t n, pang_content *ret, pang_err *err)
{
    pang_view view;
    pang_code code = half_view(task, at, &view, err);
    return code == PANG_OK ? read_states(&view, items, n, ret, err) : code;
}

/* Halves of namespaces say nothing where a side is a selection that did not hold the name by then:
 * what it has by that name is not that. But a source that did nothing since brings nothing. */
static pang_code forget_not_held(const pang_merge_task *task, pang_merge_item *const *items,
                                 size_t n, size_t k, pang_content *scratch, pang_err *err)
{
    for (size_t side = 0; side < 2; side++) {
        pang_point held = items[0]->pairs[k].held[side];
        if (held.sequence == 0)
            continue;
        pang_code code = read_at(task, held, items, n, scratch, err);
        if (code != PANG_OK)
            return code;
        for (size_t i = 0; i < n; i++)
            if (scratch[i].body == NULL &&
                (side == 0 || !same_state(&items[i]->source, &items[i]->half[k].source)))
                items[i]->half[k].source = items[i]->half[k].target = scratch[i];
    }
    return PANG_OK;
}

/* n items that have the same pairs, all assets or all namespaces. */
static pang_code read_halves(const pang_merge_task *task, pang_merge_item *const *items, size_t n,
                             pang_content *scratch, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t k = 0; code == PANG_OK && k < items[0]->n_pairs; k++) {
        const pang_merge_pair *pair = &items[0]->pairs[k];
        code = read_at(task, pair->source, items, n, scratch, err);
        for (size_t i = 0; code == PANG_OK && i < n; i++)
            items[i]->half[k].source = items[i]->half[k].target = scratch[i];
        if (code == PANG_OK && !pair->one)
            code = read_at(task, pair->target, items, n, scratch, err);
        for (size_t i = 0; code == PANG_OK && !pair->one && i < n; i++)
            items[i]->half[k].target = scratch[i];
        if (code == PANG_OK && pang_id_is_nil(items[0]->asset))
            code = forget_not_held(task, items, n, k, scratch, err);
    }
    return code;
}

static pang_code read_group(const pang_merge_task *task, pang_merge_item *const *items, size_t n,
                            pang_content *scratch, pang_err *err)
{
    pang_code code = read_states(task->source, items, n, scratch, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        items[i]->source = scratch[i];
    if (code == PANG_OK)
        code = read_states(task->target, items, n, scratch, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        items[i]->target = scratch[i];
    return code == PANG_OK ? read_halves(task, items, n, scratch, err) : code;
}

/* The name that people know it by: the target's, where it has one. */
static pang_code name_item(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_name name = item->to;
    const pang_content *all[] = {&item->target, &item->source, &item->half[0].source,
                                 &item->half[0].target};
    for (size_t i = 0; !pang_id_is_nil(item->asset) && i < 4; i++)
        if (pang_content_exists(all[i])) {
            name = all[i]->name;
            break;
        }
    item->to = name;
    item->key = pang_merge_key_text(task->target->arena, name);
    return item->key.ptr == NULL ? pang_fail_memory(err) : PANG_OK;
}

/* Reads items from `from` on. */
static pang_code read_items(const pang_merge_task *task, pang_merge_plan *plan, size_t from,
                            pang_err *err)
{
    pang_content *scratch = pang_arena_alloc_n(task->target->arena, plan->n - from,
                                               sizeof *scratch);
    pang_code code = scratch == NULL ? pang_fail_memory(err) : PANG_OK;
    while (code == PANG_OK && from < plan->n) {
        pang_merge_item **first = &plan->items[from];
        size_t n = 1;
        while (from + n < plan->n && same_pairs(first[0], first[n]) &&
               pang_id_is_nil(first[0]->asset) == pang_id_is_nil(first[n]->asset))
            n++;
        code = read_group(task, first, n, scratch, err);
        for (size_t i = 0; code == PANG_OK && i < n; i++)
            code = name_item(task, first[i], err);
        from += n;
    }
    return code;
}

/* Lists grow by doubling: full when their length is a power of two from 16 on, or nothing. */
static size_t room_of(size_t n)
{
    size_t room = 16;
    while (room < n)
        room *= 2;
    return n == 0 ? 0 : room;
}

pang_merge_item *pang_merge_find_asset(const pang_merge_plan *plan, pang_id asset)
{
    pang_merge_thing thing = {.asset = asset};
    pang_index_walk it = pang_index_of(&plan->index, pang_merge_hash_thing(&thing));
    pang_merge_item *item;
    while ((item = pang_index_next(&it)) != NULL)
        if (pang_id_equal(item->asset, asset))
            return item;
    return NULL;
}

pang_merge_item *pang_merge_find_space(const pang_merge_plan *plan, pang_name name)
{
    pang_index_walk it = pang_index_of(&plan->index, pang_name_hash(name));
    pang_merge_item *item;
    while ((item = pang_index_next(&it)) != NULL)
        if (pang_id_is_nil(item->asset) && pang_name_equal(item->to, name))
            return item;
    return NULL;
}

/* Of an asset, or (nil) of the namespace `to`. NULL without memory. */
static pang_merge_item *new_item(const pang_merge_task *task, pang_merge_plan *plan, pang_id asset,
                                 pang_name to)
{
    pang_arena *arena = task->target->arena;
    size_t room = room_of(plan->n);
    if (plan->n == room) {
        pang_merge_item **items = pang_arena_alloc_n(arena, room == 0 ? 16 : room * 2,
                                                     sizeof(pang_merge_item *));
        if (items == NULL)
            return NULL;
        if (plan->n > 0)
            memcpy(items, plan->items, plan->n * sizeof *items);
        plan->items = items;
    }
    pang_merge_item *item = pang_arena_alloc(arena, sizeof *item);
    if (item == NULL)
        return NULL;
    item->asset = asset;
    item->to = to;
    find_pairs(task, item);
    plan->items[plan->n++] = item;
    pang_merge_thing thing = pang_merge_thing_of(item);
    return pang_index_add(&plan->index, pang_merge_hash_thing(&thing), item) ? item : NULL;
}

static pang_code list_items(const pang_merge_task *task, pang_merge_plan *plan, pang_err *err)
{
    const pang_merge_changes *changes = task->changes;
    for (size_t i = 0; i < changes->n_spaces + changes->n_assets; i++) {
        bool space = i < changes->n_spaces;
        pang_id asset = space ? (pang_id){{0}} : changes->assets[i - changes->n_spaces];
        pang_name to = space ? changes->spaces[i] : (pang_name){0};
        if (new_item(task, plan, asset, to) == NULL)
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

/* ---- what was asked for ---- */

const pang_merge_choice *pang_merge_choice_of(const pang_merge_task *task,
                                              const pang_merge_item *item)
{
    for (size_t i = 0; i < task->n_choices; i++) {
        const pang_merge_choice *choice = &task->choices[i];
        bool same = pang_id_is_nil(item->asset)
                        ? pang_id_is_nil(choice->asset) && pang_name_equal(choice->name, item->to)
                        : pang_id_equal(choice->asset, item->asset);
        if (same)
            return choice;
    }
    return NULL;
}

/* ---- conflicts ---- */

pang_code pang_merge_add_conflict(const pang_merge_task *task, pang_merge_item *item,
                                  pang_conflict_type type, pang_json *details, pang_str description,
                                  pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_conflict *list = pang_arena_alloc_n(arena, item->n_conflicts + 1, sizeof *list);
    if (list == NULL || details == NULL || description.ptr == NULL)
        return pang_fail_memory(err);
    if (item->n_conflicts > 0)
        memcpy(list, item->conflicts, item->n_conflicts * sizeof *list);
    pang_conflict *one = &list[item->n_conflicts++];
    one->type = type;
    one->description = description;
    item->conflicts = list;
    item->fate = PANG_FATE_CONFLICT;
    return pang_json_print(details, arena, &one->details, err);
}

static pang_json *text(pang_arena *arena, pang_str s)
{
    return s.len == 0 ? pang_json_null(arena) : pang_json_str(s, arena);
}

/* By what is done (a merge or rebase, a pick, taking back) and by the side (source, target): that
 * it is gone there, and who did something else to it. */
static const struct {
    const char *gone[2], *other[2];
} deletion_words[] = {
    {{"dropped on the source", "dropped on the target"}, {"on the source", "on the target"}},
    {{"dropped by the commit that is picked", "dropped on the target"},
     {"by the commit that is picked", "on the target"}},
    {{"made by what is taken back", "dropped on the target since"},
     {"by what is taken back", "on the target since"}},
};

/* What the side that still has it did to it. */
static pang_code tell_modified(const pang_merge_task *task, const pang_merge_item *item,
                               bool deleted_in_source, pang_json *details, pang_err *err)
{
    pang_side_told told;
    pang_code code = deleted_in_source ? pang_merge_tell_side(task, item->value_half.target,
                                                              &item->target, &told, err)
                                       : pang_merge_tell_side(task, item->value_half.source,
                                                              &item->source, &told, err);
    if (code == PANG_OK && told.changes != NULL && !pang_json_set(details, "changes", told.changes))
        code = pang_fail_memory(err);
    return code;
}

pang_code pang_merge_deletion_conflict(const pang_merge_task *task, pang_merge_item *item,
                                       bool deleted_in_source, const char *how, pang_err *err)
{
    static const char *const sides[] = {"source", "target"};
    pang_arena *arena = task->target->arena;
    pang_json *details = pang_json_object(arena);
    const char *gone = sides[!deleted_in_source], *other = sides[deleted_in_source];
    size_t work = task->base != NULL ? 0 : task->back ? 2 : 1;
    if (details == NULL ||
        !pang_json_set(details, "deleted_in", text(arena, pang_str_from(gone))) ||
        !pang_json_set(details, "modified_in", text(arena, pang_str_from(other))))
        return pang_fail_memory(err);
    pang_code code = tell_modified(task, item, deleted_in_source, details, err);
    if (code != PANG_OK)
        return code;
    return pang_merge_add_conflict(
        task, item, PANG_CONFLICT_DELETION, details,
        pang_arena_printf(arena, "%" PANG_STR_FMT " was %s, and %s %s", PANG_STR_ARG(item->key),
                          deletion_words[work].gone[!deleted_in_source], how,
                          deletion_words[work].other[deleted_in_source]),
        err);
}

pang_code pang_merge_name_conflict(const pang_merge_task *task, pang_merge_item *item,
                                   pang_str base, pang_str source, pang_str target,
                                   pang_str description, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    pang_json *details = pang_json_object(arena), *names = pang_json_array(arena);
    pang_json *properties = pang_json_array(arena), *values = pang_json_object(arena);
    if (details == NULL || names == NULL || properties == NULL || values == NULL ||
        !pang_json_append(names, pang_json_str(PANG_STR("name"), arena)) ||
        !pang_json_set(values, "name", pang_json_str(PANG_STR("name"), arena)) ||
        !pang_json_set(values, "base", text(arena, base)) ||
        !pang_json_set(values, "source", text(arena, source)) ||
        !pang_json_set(values, "target", text(arena, target)) ||
        !pang_json_append(properties, values) ||
        !pang_json_set(details, "conflicting_properties", names) ||
        !pang_json_set(details, "properties", properties))
        return pang_fail_memory(err);
    return pang_merge_add_conflict(task, item, PANG_CONFLICT_METADATA, details, description, err);
}

/* ---- deciding ---- */

typedef uint64_t origin_fn(const pang_content *content);

/* A selection that holds the asset has all that this base says of it, be it that somebody decided
 * for what is older there. */
static bool says_nothing(const pang_merge_item *item, size_t i)
{
    for (size_t k = 0; k < item->n_pairs; k++)
        if ((item->pairs[i].within >> k & 1) && item->half[k].source.body != NULL)
            return !pang_id_is_nil(item->asset);
    return false;
}

/* Of several bases one may have of this asset what comes from another's: that other says nothing.
 */
static size_t newest(const pang_merge_item *item, origin_fn *origin)
{
    size_t best = item->n_pairs;
    for (size_t i = 0; i < item->n_pairs; i++)
        if (!says_nothing(item, i) &&
            (best == item->n_pairs ||
             origin(&item->half[i].source) > origin(&item->half[best].source)))
            best = i;
    return best < item->n_pairs ? best : 0;
}

/* Gone, and it is known what it was; of purged ones nothing is left. */
static bool was_before(const pang_merge_item *item, const pang_content *half)
{
    return !pang_id_is_nil(item->asset) && half->body != NULL && half->body->dropped &&
           !half->body->purged;
}

/* The same of its value or name, of which one that does not have it says nothing; where none has
 * it, what it was before it was dropped. */
static size_t newest_of_it(const pang_merge_item *item, origin_fn *origin)
{
    size_t best = item->n_pairs, was = newest(item, pang_content_origin);
    for (size_t i = 0; i < item->n_pairs; i++) {
        const pang_content *half = &item->half[i].source;
        if (says_nothing(item, i))
            continue;
        if (was_before(item, half) && !was_before(item, &item->half[was].source))
            was = i;
        if (pang_content_exists(half) &&
            (best == item->n_pairs || origin(half) > origin(&item->half[best].source)))
            best = i;
    }
    return best < item->n_pairs ? best : was;
}

static pang_code look_before(const pang_merge_task *task, const pang_merge_item *item,
                             const pang_content *half, const pang_content **ret, pang_err *err)
{
    *ret = half;
    if (!was_before(item, half))
        return PANG_OK;
    pang_content *was = pang_arena_alloc(task->target->arena, sizeof *was);
    pang_rec_content *body = pang_arena_alloc(task->target->arena, sizeof *body);
    if (was == NULL || body == NULL)
        return pang_fail_memory(err);
    *was = *half;
    *body = *half->body;
    body->dropped = false;
    was->body = body;
    *ret = was;
    return PANG_OK;
}

static pang_code find_bases(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    item->base = newest(item, pang_content_origin);
    item->value_base = newest_of_it(item, pang_content_value_origin);
    item->name_base = newest_of_it(item, pang_content_name_origin);
    const pang_content *halves[] = {
        &item->half[item->value_base].source, &item->half[item->value_base].target,
        &item->half[item->name_base].source, &item->half[item->name_base].target};
    const pang_content **found[] = {&item->value_half.source, &item->value_half.target,
                                    &item->name_half.source, &item->name_half.target};
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < 4; i++)
        code = look_before(task, item, halves[i], found[i], err);
    return code;
}

static bool same_place(const pang_content *a, const pang_content *b)
{
    return pang_content_exists(a) && pang_content_exists(b) && pang_name_equal(a->name, b->name);
}

static bool same_body(const pang_content *a, const pang_content *b)
{
    return pang_content_exists(a) && pang_content_exists(b) &&
           pang_merge_same_value(a->body, b->body);
}

static bool both_gone(const pang_content *a, const pang_content *b)
{
    return !pang_content_exists(a) && !pang_content_exists(b);
}

static bool source_is_old(const pang_merge_item *item)
{
    return both_gone(&item->source, &item->half[item->base].source) ||
           (pang_content_exists(&item->half[item->base].source) &&
            same_place(&item->source, item->name_half.source) &&
            same_body(&item->source, item->value_half.source));
}

/* The target did not change it, and what it has is what the source's change was made on. */
static bool target_is_base(const pang_merge_item *item)
{
    const pang_content *target = &item->half[item->base].target;
    if (both_gone(&item->target, target))
        return !pang_content_exists(&item->half[item->base].source);
    return pang_content_exists(target) && same_place(&item->target, item->name_half.target) &&
           same_place(&item->target, item->name_half.source) &&
           same_body(&item->target, item->value_half.target) &&
           same_body(&item->target, item->value_half.source);
}

static bool never_was(const pang_merge_item *item, const pang_content *side)
{
    return side->body == NULL && (pang_id_is_nil(item->asset) || side->name.name.len == 0);
}

/* A side shows no more than a selection, and this is none of it: of the target, of where the two
 * met. */
static bool is_not_held(const pang_merge_task *task, const pang_merge_item *item)
{
    if (task->base == NULL)
        return false;
    if (task->base->source.partial && never_was(item, &item->source))
        return true;
    if (!task->base->target.partial || !never_was(item, &item->target))
        return false;
    for (size_t i = 0; i < task->target->n_levels; i++)
        if (pang_id_equal(task->target->levels[i].branch, task->base->fork.at.branch))
            return false;
    return true;
}

static pang_code take(const pang_merge_task *task, pang_merge_item *item, bool forced, bool plain,
                      pang_err *err)
{
    item->fate = PANG_FATE_TAKEN;
    item->forced = forced;
    item->plain = plain;
    item->stands = pang_content_exists(&item->source);
    if (!item->stands)
        return PANG_OK;
    item->to = item->source.name;
    return pang_merge_take_value(task, item, err);
}

/* Both have it under names of which at least one is new. False: two new names. */
static bool merge_names(pang_merge_item *item)
{
    const pang_content *base = item->name_half.source;
    pang_name source = item->source.name, target = item->target.name;
    item->to = target;
    if (pang_name_equal(source, target))
        return true;
    if (!pang_content_exists(base))
        return false;
    if (pang_name_equal(source, base->name))
        return true;
    item->to = source;
    return pang_name_equal(target, base->name);
}

static pang_code two_names(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_arena *arena = task->target->arena;
    const pang_content *base = item->name_half.source;
    pang_str was = {0}, source = pang_merge_key_text(arena, item->source.name);
    pang_str target = pang_merge_key_text(arena, item->target.name);
    if (pang_content_exists(base))
        was = pang_merge_key_text(arena, base->name);
    return pang_merge_name_conflict(task, item, was, source, target,
                                    pang_arena_printf(arena,
                                                      "it is %" PANG_STR_FMT
                                                      " on the source and %" PANG_STR_FMT
                                                      " on the target: both gave it a new name",
                                                      PANG_STR_ARG(source), PANG_STR_ARG(target)),
                                    err);
}

static pang_code three_way(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    bool in_source = pang_content_exists(&item->source);
    if (!in_source || !pang_content_exists(&item->target))
        return pang_merge_deletion_conflict(task, item, !in_source, "changed", err);
    bool named = merge_names(item);
    item->stands = true;
    item->fate = PANG_FATE_MERGED;
    pang_code code = pang_merge_value(task, item, err);
    bool stays = pang_name_equal(item->to, item->target.name);
    if (code == PANG_OK && (stays || task->base != NULL))
        item->body->name_origin = pang_content_name_origin(stays ? &item->target : &item->source);
    return code == PANG_OK && !named ? two_names(task, item, err) : code;
}

/* Whether there is something to decide. */
static void look(const pang_merge_task *task, pang_merge_item *item)
{
    item->not_held = is_not_held(task, item);
    item->open = !source_is_old(item) && !same_state(&item->source, &item->target) &&
                 !item->not_held;
}

static pang_code decide(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    const pang_merge_choice *choice = pang_merge_choice_of(task, item);
    pang_strategy strategy = choice == NULL ? PANGOLIN__STORE__V1__STRATEGY__STRATEGY_UNSPECIFIED
                                            : choice->strategy;
    item->fate = PANG_FATE_UNCHANGED;
    if (!item->open)
        return pang_merge_keep_columns(task, item, err);
    if (strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET ||
        (choice == NULL && item->mode == PANG_MODE_TAKE_TARGET)) {
        item->fate = PANG_FATE_KEPT;
        return pang_merge_keep_columns(task, item, err);
    }
    if (choice == NULL && item->mode == PANG_MODE_DROP) {
        item->fate = PANG_FATE_LEFT_OUT;
        return PANG_OK;
    }
    pang_code code = pang_again_judge(task, item, err);
    if (code != PANG_OK || item->lost.len > 0) {
        item->fate = PANG_FATE_KEPT;
        return code;
    }
    bool forced = strategy == PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE ||
                  (choice == NULL && item->mode == PANG_MODE_TAKE_SOURCE);
    bool plain = target_is_base(item);
    if (forced || plain)
        return take(task, item, forced, plain, err);
    return three_way(task, item, err);
}

/* ---- the whole ---- */

static pang_code add_item(const pang_merge_task *task, pang_merge_plan *plan, pang_id asset,
                          pang_name name, pang_merge_item **ret, pang_err *err)
{
    if (plan->n >= PANG_CHANGES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "the merge changes more than %d tables and namespaces, which one commit "
                         "does not hold: merge it in parts, an earlier commit of the source first",
                         PANG_CHANGES_MAX);
    pang_merge_item *item = new_item(task, plan, asset, name);
    if (item == NULL)
        return pang_fail_memory(err);
    *ret = item;
    pang_code code = read_items(task, plan, plan->n - 1, err);
    return code == PANG_OK ? find_bases(task, item, err) : code;
}

pang_code pang_merge_add_space(const pang_merge_task *task, pang_merge_plan *plan, pang_name name,
                               pang_merge_item **ret, pang_err *err)
{
    return add_item(task, plan, (pang_id){0}, name, ret, err);
}

pang_code pang_merge_add_asset(const pang_merge_task *task, pang_merge_plan *plan, pang_id asset,
                               pang_merge_item **ret, pang_err *err)
{
    return add_item(task, plan, asset, (pang_name){0}, ret, err);
}

static void sum_up(pang_merge_plan *plan)
{
    plan->fast_forward = true;
    for (size_t i = 0; i < plan->n; i++) {
        pang_merge_fate fate = plan->items[i]->fate;
        plan->n_conflicts += plan->items[i]->n_conflicts;
        plan->n_lost += plan->items[i]->lost.len > 0;
        plan->n_changes += fate == PANG_FATE_TAKEN || fate == PANG_FATE_MERGED;
        bool plain = fate == PANG_FATE_TAKEN && plan->items[i]->plain;
        if (fate != PANG_FATE_UNCHANGED && !plain)
            plan->fast_forward = false;
    }
}

static int by_key(const void *a, const void *b)
{
    const pang_merge_item *x = *(pang_merge_item *const *)a, *y = *(pang_merge_item *const *)b;
    int order = pang_str_compare(x->key, y->key);
    return order != 0 ? order : memcmp(x->asset.bytes, y->asset.bytes, sizeof x->asset.bytes);
}

pang_code pang_merge_plan_make(const pang_merge_task *task, pang_merge_plan *ret, pang_err *err)
{
    *ret = (pang_merge_plan){.index.arena = task->target->arena};
    pang_code code = list_items(task, ret, err);
    if (code == PANG_OK)
        code = read_items(task, ret, 0, err);
    for (size_t i = 0; code == PANG_OK && i < ret->n; i++)
        code = find_bases(task, ret->items[i], err);
    for (size_t i = 0; code == PANG_OK && i < ret->n; i++)
        look(task, ret->items[i]);
    if (code == PANG_OK)
        code = pang_merge_modes_set(task, ret, err);
    for (size_t i = 0; code == PANG_OK && i < ret->n; i++)
        code = decide(task, ret->items[i], err);
    if (code == PANG_OK)
        code = pang_merge_settle(task, ret, err);
    if (code != PANG_OK)
        return code;
    if (ret->n > 0)
        qsort(ret->items, ret->n, sizeof(pang_merge_item *), by_key);
    sum_up(ret);
    return PANG_OK;
}
