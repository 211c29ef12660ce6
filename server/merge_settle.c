/*
 * Settling: items were decided one by one; here they meet. First what comes to a namespace that is
 * not there, then who gets a name that two want, then namespaces that go while something is in
 * them. An item that somebody kept takes along what cannot be without it, so that one answer of a
 * person raises no further question.
 */
#include <assert.h>
#include <string.h>

#include "server/merge_plan.h"
#include "server/places.h"

typedef struct {
    const pang_merge_task *task;
    pang_merge_plan *plan;
    pang_err *err;
} settling;

static bool is_space(const pang_merge_item *item)
{
    return pang_id_is_nil(item->asset);
}

static bool changes(const pang_merge_item *item)
{
    return item->fate == PANG_FATE_TAKEN || item->fate == PANG_FATE_MERGED;
}

/* Whether the target will have it, as far as it is decided. */
static bool will_stand(const pang_merge_item *item)
{
    return changes(item) ? item->stands : pang_content_exists(&item->target);
}

/* It is at the target's `at` now, and will not be. */
static bool leaves(const pang_merge_item *item, pang_name at)
{
    return item != NULL && changes(item) && (!item->stands || !pang_name_equal(item->to, at));
}

static bool was_decided(const settling *s, const pang_merge_item *item, pang_strategy strategy)
{
    const pang_merge_choice *choice = pang_merge_choice_of(s->task, item);
    return choice != NULL && choice->strategy == strategy;
}

/* ---- namespaces that something comes to ---- */

/* The namespace that holds a name: its parent's path, and the last level. */
static pang_code space_of(const settling *s, pang_str path, pang_name *ret)
{
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '.')
        at--;
    *ret = (pang_name){PANG_SPACE_NAMESPACE, pang_str_slice(path, 0, at > 0 ? at - 1 : 0), {0}};
    return pang_key_unescape(pang_str_after(path, at), s->task->target->arena, &ret->name)
               ? PANG_OK
               : pang_fail_memory(s->err);
}

/* What comes goes with the namespace that somebody kept, or left out. */
static pang_code follow(pang_merge_item *item, const pang_merge_item *space)
{
    item->fate = space->fate == PANG_FATE_LEFT_OUT ? PANG_FATE_LEFT_OUT : PANG_FATE_KEPT;
    return PANG_OK;
}

static pang_code bring(const settling *s, pang_merge_item *space)
{
    space->fate = PANG_FATE_TAKEN;
    space->plain = space->target.body == NULL;
    space->stands = true;
    return pang_merge_take_value(s->task, space, s->err);
}

/* The target does not know it: it is not in what both have in common either, unless the target is a
 * selection that does not hold it. One that came and went before it was merged leaves no row. */
static bool is_unknown(const settling *s, const pang_merge_item *space)
{
    const pang_merge_base *base = s->task->base;
    return space->target.body == NULL && (base == NULL || base->target.partial ||
                                          !pang_content_exists(&space->half[space->base].source));
}

/* The item will stand in `space`, which will not be there as it is. */
static pang_code need_space(const settling *s, pang_merge_item *item, pang_merge_item *space)
{
    pang_strategy take = PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_SOURCE,
                  keep = PANGOLIN__STORE__V1__STRATEGY__STRATEGY_TAKE_TARGET;
    if (space->fate == PANG_FATE_CONFLICT)
        return PANG_OK;
    if (space->fate == PANG_FATE_KEPT || space->fate == PANG_FATE_LEFT_OUT ||
        was_decided(s, space, keep))
        return follow(item, space);
    bool in_source = pang_content_exists(&space->source);
    if (in_source && (is_unknown(s, space) || item->forced || was_decided(s, space, take)))
        return bring(s, space);
    return pang_merge_deletion_conflict(s->task, space, !in_source,
                                        "something was made or moved there", s->err);
}

static pang_code settle_space(const settling *s, pang_merge_item *item)
{
    pang_name name;
    if (item->to.path.len == 0)
        return PANG_OK;
    pang_code code = space_of(s, item->to.path, &name);
    if (code != PANG_OK)
        return code;
    pang_merge_item *space = pang_merge_find_space(s->plan, name);
    if (space == NULL)
        code = pang_merge_add_space(s->task, s->plan, name, &space, s->err);
    if (code == PANG_OK && !will_stand(space))
        code = need_space(s, item, space);
    /* One that comes along needs its own. */
    if (code == PANG_OK && changes(space) && space->stands &&
        !pang_content_exists(&space->target)) {
        code = settle_space(s, space);
        if (code == PANG_OK && !changes(space) && changes(item))
            code = follow(item, space);
    }
    return code;
}

static bool comes(const pang_merge_item *item)
{
    return changes(item) && item->stands &&
           (!pang_content_exists(&item->target) || !pang_name_equal(item->target.name, item->to));
}

static pang_code settle_spaces(const settling *s)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < s->plan->n; i++)
        if (comes(s->plan->items[i]))
            code = settle_space(s, s->plan->items[i]);
    return code;
}

/* ---- names ---- */

/* What the target has at the names that items come to. */
static pang_code read_places(const settling *s)
{
    size_t n = 0;
    pang_arena *arena = s->task->target->arena;
    pang_merge_plan *plan = s->plan;
    pang_content *read = pang_arena_alloc_n(arena, plan->n, sizeof *read);
    if (read == NULL)
        return pang_fail_memory(s->err);
    for (size_t i = 0; i < plan->n; i++) {
        plan->items[i]->at = plan->items[i]->target;
        if (comes(plan->items[i]))
            read[n++] = (pang_content){.name = plan->items[i]->to};
    }
    pang_code code = pang_places_names(s->task->target, read, n, s->err);
    n = 0;
    for (size_t i = 0; code == PANG_OK && i < plan->n; i++)
        if (comes(plan->items[i]))
            plan->items[i]->at = read[n++];
    return code;
}

static pang_code name_taken(const settling *s, pang_merge_item *item)
{
    pang_arena *arena = s->task->target->arena;
    pang_str to = pang_merge_key_text(arena, item->to);
    return pang_merge_name_conflict(
        s->task, item, (pang_str){0}, to, to,
        pang_arena_printf(arena,
                          "%" PANG_STR_FMT " is another asset on the target than on the source",
                          PANG_STR_ARG(to)),
        s->err);
}

static void end(pang_merge_item *item)
{
    item->fate = PANG_FATE_TAKEN;
    item->forced = true;
    item->plain = false;
    item->stands = false;
}

/* The item comes to a name that `held` has on the target. */
static pang_code want_name(const settling *s, pang_merge_item *item, pang_merge_item *held)
{
    pang_code code = PANG_OK;
    if (held != NULL && (leaves(held, item->to) || held->fate == PANG_FATE_CONFLICT))
        return PANG_OK;
    bool kept = held != NULL && held->fate == PANG_FATE_KEPT;
    if (item->forced && !kept) {
        if (held == NULL)
            code = pang_merge_add_asset(s->task, s->plan, pang_id_of(item->at.body->asset), &held,
                                        s->err);
        if (code == PANG_OK)
            end(held);
        return code;
    }
    /* The source let it go for this one, and somebody kept it. */
    if (kept &&
        !(pang_content_exists(&held->source) && pang_name_equal(held->source.name, item->to))) {
        item->fate = PANG_FATE_KEPT;
        return PANG_OK;
    }
    return name_taken(s, item);
}

/* *ret_again: an item that was to leave its name stays, so others must be asked anew. */
static pang_code settle_name(const settling *s, pang_merge_item *item, bool *ret_again)
{
    if (!comes(item) || is_space(item) || !pang_content_exists(&item->at) ||
        pang_id_equal(pang_id_of(item->at.body->asset), item->asset))
        return PANG_OK;
    pang_merge_fate before = item->fate;
    pang_code code = want_name(s, item,
                               pang_merge_find_asset(s->plan, pang_id_of(item->at.body->asset)));
    *ret_again = *ret_again || item->fate != before;
    return code;
}

static pang_code settle_names(const settling *s)
{
    bool again = true;
    pang_code code = read_places(s);
    while (code == PANG_OK && again) {
        again = false;
        for (size_t i = 0; code == PANG_OK && i < s->plan->n; i++)
            code = settle_name(s, s->plan->items[i], &again);
    }
    return code;
}

/* ---- namespaces that go ---- */

enum { CHILDREN_AT_ONCE = 64 };

/* Some of what the target has directly in a namespace. */
typedef struct {
    pang_content list[CHILDREN_AT_ONCE];
    size_t n;
    const settling *s;
    bool failed;
} children;

static bool take_child(void *arg, const pang_content *row)
{
    children *c = arg;
    pang_content *kept = &c->list[c->n];
    pang_arena *arena = c->s->task->target->arena;
    *kept = *row;
    c->failed = !pang_arena_copy(arena, row->name.path, &kept->name.path) ||
                !pang_arena_copy(arena, row->name.name, &kept->name.name);
    c->n += !c->failed;
    return !c->failed;
}

/* What is in the namespace stays so until the commit. */
static pang_code hold_children(const settling *s, pang_str path)
{
    pang_view *target = s->task->target;
    pang_record epoch;
    pang_ref ref = {.key = pang_key_epoch(&target->keys, target->levels[0].branch, path)};
    pang_code code = pang_keys_status(&target->keys, s->err);
    if (code == PANG_OK)
        code = pang_txn_get(target->txn, &ref, 1, PANG_READ_UNCHECKED, &epoch, s->err);
    if (code == PANG_OK)
        pang_txn_check_counter(target->txn, ref.key, epoch.value);
    return code;
}

static pang_str path_below(const settling *s, pang_name space)
{
    pang_str levels[1] = {space.name};
    pang_keys *keys = &s->task->target->keys;
    pang_str last = pang_key_path(keys, levels, 1);
    if (space.path.len == 0)
        return last;
    return pang_arena_printf(s->task->target->arena, "%" PANG_STR_FMT ".%" PANG_STR_FMT,
                             PANG_STR_ARG(space.path), PANG_STR_ARG(last));
}

static pang_merge_item *item_of(const settling *s, const pang_content *child)
{
    return child->name.space == PANG_SPACE_NAMESPACE
               ? pang_merge_find_space(s->plan, child->name)
               : pang_merge_find_asset(s->plan, pang_id_of(child->body->asset));
}

static pang_code settle_going(const settling *s, pang_merge_item *space);

/* Somebody said that the namespace goes: what is in it goes, too. */
static pang_code end_child(const settling *s, const pang_content *child, pang_merge_item *item)
{
    pang_code code = PANG_OK;
    bool space = child->name.space == PANG_SPACE_NAMESPACE;
    if (item == NULL && space)
        code = pang_merge_add_space(s->task, s->plan, child->name, &item, s->err);
    else if (item == NULL)
        code = pang_merge_add_asset(s->task, s->plan, pang_id_of(child->body->asset), &item,
                                    s->err);
    if (code != PANG_OK)
        return code;
    end(item);
    return space ? settle_going(s, item) : PANG_OK;
}

/* *ret_done: nothing else of what is in the namespace matters. */
static pang_code settle_child(const settling *s, pang_merge_item *space, const pang_content *child,
                              bool *ret_done)
{
    pang_merge_item *item = item_of(s, child);
    if (leaves(item, child->name) || (item != NULL && item->fate == PANG_FATE_CONFLICT))
        return PANG_OK;
    *ret_done = true;
    if (item != NULL && (item->fate == PANG_FATE_KEPT || item->fate == PANG_FATE_LEFT_OUT))
        return follow(space, item);
    if (!space->forced)
        return pang_merge_deletion_conflict(s->task, space, true, "used", s->err);
    *ret_done = false;
    return end_child(s, child, item);
}

static pang_code settle_children(const settling *s, pang_merge_item *space,
                                 pang_content_query query, bool *ret_done)
{
    pang_view now = *s->task->target;
    children *c = pang_arena_alloc(now.arena, sizeof *c);
    pang_code code = PANG_OK;
    if (c == NULL)
        return pang_fail_memory(s->err);
    now.levels[0].at = PANG_NOW - 1;
    query.limit = CHILDREN_AT_ONCE;
    for (bool more = true; code == PANG_OK && more && !*ret_done;) {
        *c = (children){.s = s};
        code = pang_content_list(&now, &query, take_child, c, &query.after, s->err);
        if (code == PANG_OK && c->failed)
            code = pang_fail_memory(s->err);
        for (size_t i = 0; code == PANG_OK && !*ret_done && i < c->n; i++)
            code = settle_child(s, space, &c->list[i], ret_done);
        more = query.after.len > 0;
    }
    return code;
}

static pang_code settle_going(const settling *s, pang_merge_item *space)
{
    static const pang_space spaces[] = {PANG_SPACE_ASSET, PANG_SPACE_NAMESPACE};
    bool done = false;
    pang_str path = path_below(s, space->to);
    if (path.len == 0)
        return pang_fail_memory(s->err);
    pang_code code = hold_children(s, path);
    for (size_t i = 0; code == PANG_OK && !done && i < 2; i++)
        code = settle_children(s, space, (pang_content_query){.space = spaces[i], .path = path},
                               &done);
    return code;
}

static size_t depth_of(const pang_merge_item *item)
{
    size_t n = item->to.path.len > 0 ? 2 : 1;
    for (size_t i = 0; i < item->to.path.len; i++)
        n += item->to.path.ptr[i] == '.';
    return n;
}

static bool goes(const pang_merge_item *item)
{
    return is_space(item) && changes(item) && !item->stands && pang_content_exists(&item->target);
}

/* The deepest first: what stays keeps what it is in. */
static pang_code settle_drops(const settling *s)
{
    size_t deepest = 0;
    pang_code code = PANG_OK;
    for (size_t i = 0; i < s->plan->n; i++)
        if (goes(s->plan->items[i]) && depth_of(s->plan->items[i]) > deepest)
            deepest = depth_of(s->plan->items[i]);
    for (size_t depth = deepest; code == PANG_OK && depth > 0; depth--)
        for (size_t i = 0; code == PANG_OK && i < s->plan->n; i++)
            if (goes(s->plan->items[i]) && depth_of(s->plan->items[i]) == depth)
                code = settle_going(s, s->plan->items[i]);
    return code;
}

pang_code pang_merge_settle(const pang_merge_task *task, pang_merge_plan *plan, pang_err *err)
{
    settling s = {task, plan, err};
    pang_code code = settle_spaces(&s);
    if (code == PANG_OK)
        code = settle_names(&s);
    return code == PANG_OK ? settle_drops(&s) : code;
}
