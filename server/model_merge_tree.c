/*
 * Model, merging: the tree of the merged schema. At every struct the fields stand in the target's
 * order, or the source's where only the source moved some, and the other side's new ones are woven
 * in: behind the field that they stood behind, or at the end when they stood at the end.
 */
#include <inttypes.h>
#include <string.h>

#include "server/model_merge_tree.h"

static pang_json *build_type(pang_overlay *o, pang_slot *at);

/* ---- order ---- */

static pang_slot *next_of(const pang_slot *at, bool is_source)
{
    return is_source ? at->source_next : at->target_next;
}

/* Whether a side's fields that were there before stand in another order than in its half: columns
 * lie in the order of their schema. */
static bool is_reordered(const pang_slot *up, bool is_source)
{
    const pang_model_column *before = NULL;
    const pang_slot *at = is_source ? up->source.first : up->target.first;
    for (; at != NULL; at = next_of(at, is_source)) {
        const pang_model_column *half = is_source ? at->sh : at->th;
        if (half != NULL && before != NULL && half < before)
            return true;
        before = half != NULL ? half : before;
    }
    return false;
}

/* Whether what both sides have stands in the same order on both. */
static bool same_order(const pang_slot *up)
{
    const pang_model_column *before = NULL;
    for (const pang_slot *at = up->source.first; at != NULL; at = at->source_next) {
        if (at->t == NULL)
            continue;
        if (before != NULL && at->t < before)
            return false;
        before = at->t;
    }
    return true;
}

/* What belongs below `up`: the parent is taken from one side when they differ, which conflicts. */
static bool is_child(const pang_slot *at, const pang_slot *up)
{
    return at->typed != NULL && at->parent == up;
}

/* The leading side's fields, in its order; the last of them. */
static pang_slot *lead(pang_slot *up, bool by_source, pang_slot **ret_first)
{
    pang_slot *at = by_source ? up->source.first : up->target.first, *last = NULL;
    for (; at != NULL; at = next_of(at, by_source)) {
        if (!is_child(at, up) || at->placed)
            continue;
        at->placed = true;
        if (last == NULL)
            *ret_first = at;
        else
            last->merged_next = at;
        last = at;
    }
    return last;
}

/* The merged fields of a struct, linked by merged_next. */
static pang_slot *weave(pang_slot *up, bool by_source)
{
    pang_slot *first = NULL, *last = lead(up, by_source, &first), *behind = NULL, *common = NULL;
    pang_slot *other = by_source ? up->target.first : up->source.first, *at;
    for (at = other; at != NULL; at = next_of(at, !by_source))
        common = is_child(at, up) && at->placed ? at : common;
    bool at_end = common == NULL;
    for (at = other; at != NULL; at = next_of(at, !by_source)) {
        if (at == common)
            at_end = true;
        if (!is_child(at, up))
            continue;
        if (at->placed) {
            behind = at;
            continue;
        }
        pang_slot **link = at_end           ? (last == NULL ? &first : &last->merged_next)
                           : behind == NULL ? &first
                                            : &behind->merged_next;
        at->placed = true;
        at->merged_next = *link;
        *link = at;
        if (at->merged_next == NULL)
            last = at;
        behind = at;
    }
    return first;
}

/* ---- one column ---- */

static bool is_own_member(pang_str name)
{
    static const char *const own[] = {"id", "name", "type", "required"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (pang_str_equal(name, pang_str_from(own[i])))
            return true;
    }
    return false;
}

static const pang_json *member(const pang_model_column *column, pang_str name)
{
    return column == NULL ? NULL : pang_json_get_str(column->node, name);
}

/* Doc, defaults, and what this program does not know. */
static void merge_member(pang_overlay *o, const pang_slot *at, pang_json *field, pang_str name)
{
    pang_merging *m = o->m;
    const pang_json *s = member(at->s, name), *t = member(at->t, name);
    const pang_json *sh = member(at->sh, name), *th = member(at->th, name);
    pang_merging_choice choice = pang_merging_choose(s, sh, t, th);
    char *cstr = pang_arena_cstr(m->arena, name);
    if (cstr == NULL) {
        m->failed = true;
    } else if (choice == PANG_MERGING_SOURCE && pang_json_is_null(s)) {
        pang_json_remove(field, cstr);
    } else if (choice == PANG_MERGING_SOURCE) {
        pang_merging_put(m, field, cstr, (pang_json *)(uintptr_t)s);
    } else if (choice == PANG_MERGING_BOTH) {
        pang_str what = pang_arena_printf(m->arena,
                                          "has another %s in the source and in the target", cstr);
        pang_overlay_say(o, at, what.ptr == NULL ? "" : what.ptr);
    }
}

static void merge_members(pang_overlay *o, const pang_slot *at, pang_json *field)
{
    const pang_json *nodes[] = {at->s->node, at->t->node};
    for (size_t i = 0; i < 2; i++) {
        pang_json_members it = {.object = nodes[i]};
        pang_str name;
        pang_json *value;
        while (pang_json_next(&it, &name, &value)) {
            bool twice = i == 1 && pang_json_get_str(at->s->node, name) != NULL;
            if (!is_own_member(name) && !twice)
                merge_member(o, at, field, name);
        }
    }
}

static pang_json *build_field(pang_overlay *o, pang_slot *at)
{
    pang_merging *m = o->m;
    const pang_model_column *base = at->t != NULL ? at->t : at->s;
    pang_json *field = pang_model_copy(base->node, m->arena);
    pang_merging_put(m, field, "id", pang_json_int(at->id, m->arena));
    pang_merging_put(m, field, "name", pang_json_get(at->typed->node, "name"));
    pang_merging_put(m, field, "required", pang_json_bool(at->required, m->arena));
    pang_merging_put(m, field, "type", build_type(o, at));
    if (at->s != NULL && at->t != NULL)
        merge_members(o, at, field);
    return field;
}

/* ---- types ---- */

/* The node of a column's type in its own document. */
static pang_json *type_node(const pang_slot *at)
{
    static const char *const members[] = {[PANG_SLOT_FIELD] = "type",
                                          [PANG_SLOT_ELEMENT] = "element",
                                          [PANG_SLOT_KEY] = "key",
                                          [PANG_SLOT_VALUE] = "value"};
    return pang_json_get(at->typed->node, members[at->role]);
}

static const char *const id_names[] = {
    [PANG_SLOT_ELEMENT] = "element-id", [PANG_SLOT_KEY] = "key-id", [PANG_SLOT_VALUE] = "value-id"};
static const char *const type_names[] = {
    [PANG_SLOT_ELEMENT] = "element", [PANG_SLOT_KEY] = "key", [PANG_SLOT_VALUE] = "value"};
static const char *const required_names[] = {
    [PANG_SLOT_ELEMENT] = "element-required", [PANG_SLOT_VALUE] = "value-required"};

/* What a list or map holds: each of its parts once. */
static void build_inner(pang_overlay *o, pang_slot *at, pang_json *type)
{
    pang_merging *m = o->m;
    bool is_map = at->typed->type.kind == PANG_TYPE_MAP;
    unsigned seen = 0, wanted = is_map ? 1u << PANG_SLOT_KEY | 1u << PANG_SLOT_VALUE
                                       : 1u << PANG_SLOT_ELEMENT;
    for (pang_slot *in = weave(at, false); in != NULL; in = in->merged_next) {
        unsigned bit = 1u << in->role;
        if ((seen & bit) != 0 || (wanted & bit) == 0) {
            pang_overlay_say(o, in, "stands in a list or map that the other side changed");
            continue;
        }
        seen |= bit;
        pang_merging_put(m, type, id_names[in->role], pang_json_int(in->id, m->arena));
        pang_merging_put(m, type, type_names[in->role], build_type(o, in));
        if (in->role != PANG_SLOT_KEY)
            pang_merging_put(m, type, required_names[in->role],
                             pang_json_bool(in->required, m->arena));
    }
    if (seen != wanted)
        pang_overlay_say(o, at, "holds what one side dropped");
}

static pang_json *build_type(pang_overlay *o, pang_slot *at)
{
    pang_merging *m = o->m;
    pang_json *node = type_node(at);
    pang_type_kind kind = at->typed->type.kind;
    if (pang_type_is_primitive(kind)) {
        for (pang_slot *in = weave(at, false); in != NULL; in = in->merged_next)
            pang_overlay_say(o, in, "was added in a column that the other side changed");
        return node;
    }
    pang_json *copy = pang_model_copy(node, m->arena);
    if (kind == PANG_TYPE_STRUCT)
        pang_merging_put(m, copy, "fields", pang_overlay_fields(o, at));
    else
        build_inner(o, at, copy);
    return copy;
}

/* ---- a struct ---- */

static void check_names(pang_overlay *o, const pang_slot *at, pang_json *names)
{
    pang_str name = pang_model_text(at->typed->node, "name");
    if (pang_json_get_str(names, name) != NULL)
        pang_overlay_say(o, at, "has the name of another column in the merged schema");
    else if (!pang_json_set_str(names, name, pang_json_bool(true, o->m->arena)))
        o->m->failed = true;
}

/* Fields whose struct is gone. */
static void check_orphans(pang_overlay *o, const pang_slot *up)
{
    for (const pang_slot *at = up->source.first; at != NULL; at = at->source_next) {
        if (at->typed != NULL && at->parent != &o->top && at->parent->typed == NULL)
            pang_overlay_say(o, at, "was added in a column that the target dropped");
    }
    for (const pang_slot *at = up->target.first; at != NULL; at = at->target_next) {
        if (at->typed != NULL && at->s == NULL && at->parent != &o->top &&
            at->parent->typed == NULL)
            pang_overlay_say(o, at, "was added in a column that the source dropped");
    }
}

pang_json *pang_overlay_fields(pang_overlay *o, pang_slot *at)
{
    pang_json *list = pang_json_array(o->m->arena), *names = pang_json_object(o->m->arena);
    bool source_moved = is_reordered(at, true), target_moved = is_reordered(at, false);
    if (at == &o->top) {
        for (const pang_slot *up = o->all; up != NULL; up = up->all_next) {
            if (up->typed == NULL)
                check_orphans(o, up);
        }
    }
    if (source_moved && target_moved && !same_order(at)) {
        const pang_slot *first = at->target.first;
        pang_overlay_say(o, at == &o->top && first != NULL ? first : at,
                         "and those beside it were put in another order on both sides");
    }
    for (pang_slot *in = weave(at, source_moved && !target_moved); in != NULL && !o->m->failed;
         in = in->merged_next) {
        if (in->role != PANG_SLOT_FIELD) {
            pang_overlay_say(o, in, "stands in a column that the other side changed");
            continue;
        }
        check_names(o, in, names);
        pang_merging_add(o->m, list, build_field(o, in));
    }
    return list;
}
