/*
 * Fields, three-way. Properties are walked in the order of their names, three lists at once.
 */
#include "server/merge_fields.h"

#include <stdlib.h>
#include <string.h>

typedef pang_rec_property *property;

typedef struct {
    property *list;
    size_t n, at;
} sorted;

static int by_name(const void *a, const void *b)
{
    return strcmp((*(property const *)a)->name, (*(property const *)b)->name);
}

static bool sort(const pang_rec_content *body, pang_arena *arena, sorted *ret)
{
    *ret = (sorted){.n = body == NULL ? 0 : body->n_properties};
    ret->list = pang_arena_alloc_n(arena, ret->n, sizeof(property));
    if (ret->list == NULL)
        return false;
    if (body == NULL || ret->n == 0)
        return true;
    memcpy(ret->list, body->properties, ret->n * sizeof(property));
    qsort(ret->list, ret->n, sizeof(property), by_name);
    return true;
}

/* The next of the names of all lists; NULL at their end. */
static const char *next_name(const sorted *lists, size_t n)
{
    const char *least = NULL;
    for (size_t i = 0; i < n; i++) {
        const sorted *l = &lists[i];
        if (l->at < l->n && (least == NULL || strcmp(l->list[l->at]->name, least) < 0))
            least = l->list[l->at]->name;
    }
    return least;
}

static const char *take_value(sorted *l, const char *name)
{
    if (l->at == l->n || strcmp(l->list[l->at]->name, name) != 0)
        return NULL;
    return l->list[l->at++]->value;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static pang_code add_conflict(pang_field_conflicts *c, const pang_field_conflict *one,
                              pang_err *err)
{
    if (c->n == c->room) {
        size_t room = c->room == 0 ? 8 : c->room * 2;
        pang_field_conflict *list = pang_arena_alloc_n(c->arena, room, sizeof *list);
        if (list == NULL)
            return pang_fail_memory(err);
        if (c->n > 0)
            memcpy(list, c->list, c->n * sizeof *list);
        c->list = list;
        c->room = room;
    }
    c->list[c->n++] = *one;
    return PANG_OK;
}

/* What becomes of one field. */
static pang_code decide(const pang_field_conflict *field, const pang_json *said,
                        pang_field_conflicts *conflicts, const char **ret, pang_err *err)
{
    pang_json *own = said == NULL ? NULL : pang_json_get(said, field->name);
    pang_str text;
    if (own != NULL) {
        *ret = NULL;
        if (pang_json_to_str(own, &text) &&
            (*ret = pang_arena_cstr(conflicts->arena, text)) == NULL)
            return pang_fail_memory(err);
        return PANG_OK;
    }
    *ret = same(field->source, field->base) ? field->target : field->source;
    if (same(field->source, field->base) || same(field->target, field->base) ||
        same(field->source, field->target))
        return PANG_OK;
    *ret = field->target;
    return add_conflict(conflicts, field, err);
}

static pang_code add_property(pang_rec_content *to, const char *name, const char *value,
                              pang_arena *arena, pang_err *err)
{
    property made = pang_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return pang_fail_memory(err);
    *made = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
    made->name = (char *)(uintptr_t)name;
    made->value = (char *)(uintptr_t)value;
    to->properties[to->n_properties++] = made;
    return PANG_OK;
}

static bool is_field(pang_str name)
{
    return pang_str_equal(name, PANG_STR("kind")) || pang_str_equal(name, PANG_STR("location"));
}

/* What a person adds that no side has. */
static pang_code add_said(const pang_json *said, bool generic, pang_rec_content *ret,
                          pang_arena *arena, pang_err *err)
{
    pang_json_members it = {.object = said};
    pang_str name, text;
    pang_json *value;
    pang_code code = PANG_OK;
    while (said != NULL && code == PANG_OK && pang_json_next(&it, &name, &value)) {
        bool known = generic && is_field(name);
        for (size_t i = 0; !known && i < ret->n_properties; i++)
            known = pang_str_equal(pang_str_from(ret->properties[i]->name), name);
        if (known || !pang_json_to_str(value, &text))
            continue;
        const char *n = pang_arena_cstr(arena, name), *v = pang_arena_cstr(arena, text);
        code = n == NULL || v == NULL ? pang_fail_memory(err) : add_property(ret, n, v, arena, err);
    }
    return code;
}

static pang_code merge_properties(sorted lists[3], const pang_json *said, size_t room,
                                  pang_rec_content *ret, pang_field_conflicts *conflicts,
                                  pang_err *err)
{
    const char *name;
    pang_code code = PANG_OK;
    ret->n_properties = 0;
    ret->properties = pang_arena_alloc_n(conflicts->arena, room, sizeof(property));
    if (ret->properties == NULL)
        return pang_fail_memory(err);
    while (code == PANG_OK && (name = next_name(lists, 3)) != NULL) {
        const char *value;
        pang_field_conflict field = {.name = name};
        field.base = take_value(&lists[0], name);
        field.source = take_value(&lists[1], name);
        field.target = take_value(&lists[2], name);
        code = decide(&field, said, conflicts, &value, err);
        if (code == PANG_OK && value != NULL)
            code = add_property(ret, name, value, conflicts->arena, err);
    }
    return code;
}

static pang_code merge_text(const char *name, const char *base, char *source, char *target,
                            const pang_json *said, char **ret, pang_field_conflicts *conflicts,
                            pang_err *err)
{
    const char *value;
    pang_field_conflict field = {name, base, source, target};
    pang_code code = decide(&field, said, conflicts, &value, err);
    if (code == PANG_OK)
        *ret = (char *)(uintptr_t)(value == NULL ? "" : value);
    return code;
}

pang_code pang_merge_fields(const pang_rec_content *base, const pang_rec_content *source,
                            const pang_rec_content *target, const pang_json *said,
                            pang_rec_content *ret, pang_field_conflicts *conflicts, pang_err *err)
{
    sorted lists[3];
    pang_arena *arena = conflicts->arena;
    bool generic = target->kind == PANGOLIN__STORE__V1__KIND__KIND_GENERIC;
    size_t room = (base == NULL ? 0 : base->n_properties) + source->n_properties +
                  target->n_properties + (said == NULL ? 0 : pang_json_size(said));
    if (!sort(base, arena, &lists[0]) || !sort(source, arena, &lists[1]) ||
        !sort(target, arena, &lists[2]))
        return pang_fail_memory(err);
    pang_code code = merge_properties(lists, said, room, ret, conflicts, err);
    if (code == PANG_OK)
        code = add_said(said, generic, ret, arena, err);
    if (ret->n_properties > 1)
        qsort(ret->properties, ret->n_properties, sizeof(property), by_name);
    if (code == PANG_OK && generic)
        code = merge_text("kind", base == NULL ? NULL : base->asset_kind, source->asset_kind,
                          target->asset_kind, said, &ret->asset_kind, conflicts, err);
    if (code == PANG_OK && generic)
        code = merge_text("location", base == NULL ? NULL : base->location, source->location,
                          target->location, said, &ret->location, conflicts, err);
    return code;
}
