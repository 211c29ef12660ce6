/*
 * Modes: keys are found by their text, and what has such a text says which name is meant. Assets
 * are asked before namespaces, as a key in which separators join names the asset if it can.
 */
#include "server/merge_modes.h"

#include <string.h>

/* What one key names. */
typedef struct {
    size_t at; /* its place in the task's modes */
    const pang_merge_item *item;
    pang_name name; /* of the item; of other items by that name, too */
} wish;

typedef struct {
    const pang_merge_task *task;
    pang_merge_plan *plan;
    pang_index wishes; /* by the key's text */
    pang_err *err;
} asking;

static const char *key_of(const asking *a, const wish *w)
{
    return a->task->modes[w->at]->key;
}

static pang_code index_keys(asking *a)
{
    size_t n = a->task->n_modes;
    pang_arena *arena = a->task->target->arena;
    wish *list = pang_arena_alloc_n(arena, n, sizeof *list);
    a->plan->known = pang_arena_alloc_n(arena, n, sizeof *a->plan->known);
    if (list == NULL || a->plan->known == NULL)
        return pang_fail_memory(a->err);
    for (size_t i = 0; i < n; i++) {
        list[i].at = i;
        if (!pang_index_add(&a->wishes, pang_str_hash(pang_str_from(key_of(a, &list[i]))),
                            &list[i]))
            return pang_fail_memory(a->err);
    }
    return PANG_OK;
}

/* ["a", "b"] */
static pang_str shown(pang_arena *arena, pang_name name)
{
    pang_str exact = pang_merge_key_joined(arena, name, PANG_UNIT_SEPARATOR), part;
    pang_buf text = {.arena = arena};
    const char *before = name.space == PANG_SPACE_NAMESPACE ? "the namespace [" : "[";
    for (; pang_str_next(&exact, PANG_UNIT_SEPARATOR, &part); before = ", ")
        pang_buf_printf(&text, "%s\"%.*s\"", before, part.len > 100 ? 100 : (int)part.len,
                        part.ptr);
    pang_buf_add_char(&text, ']');
    return pang_buf_str(&text);
}

/* An operation that waited was asked for when the key was one name: what is in its way is the state
 * of both sides. */
static pang_code fail_two(const asking *a, const wish *w, pang_name other)
{
    pang_arena *arena = a->task->target->arena;
    pang_str one = shown(arena, w->name), two = shown(arena, other);
    bool waited = a->task->n_choices > 0;
    return pang_fail(a->err, waited ? PANG_FAILED_PRECONDITION : PANG_INVALID_ARGUMENT,
                     waited ? "ConflictException" : "BadRequestException",
                     "modes[%zu]: \"%.200s\" can be %" PANG_STR_FMT " and %" PANG_STR_FMT ": %s",
                     w->at, key_of(a, w), PANG_STR_ARG(one), PANG_STR_ARG(two),
                     waited ? "abort the operation"
                            : "join levels and name by the unit separator (0x1F) to say which, "
                              "with one more at the end of a namespace");
}

/* The key has a text of one of the item's names. */
static pang_code claim(const asking *a, wish *w, const pang_merge_item *item, pang_name name,
                       size_t *best)
{
    a->plan->known[w->at] = true;
    if (!item->open)
        return PANG_OK;
    if (w->item == NULL) {
        w->item = item;
        w->name = name;
    } else if (w->item != item && !pang_name_equal(w->name, name)) {
        bool exact = strchr(key_of(a, w), PANG_UNIT_SEPARATOR) != NULL;
        return exact ? PANG_OK : fail_two(a, w, name);
    }
    *best = w->at < *best ? w->at : *best;
    return PANG_OK;
}

static pang_code claim_all(const asking *a, pang_merge_item *item, pang_name name, pang_str text,
                           size_t *best)
{
    wish *w;
    pang_code code = text.ptr == NULL ? pang_fail_memory(a->err) : PANG_OK;
    pang_index_walk it = pang_index_of(&a->wishes, pang_str_hash(text));
    while (code == PANG_OK && (w = pang_index_next(&it)) != NULL)
        if (pang_str_equal(pang_str_from(key_of(a, w)), text))
            code = claim(a, w, item, name, best);
    return code;
}

static pang_code ask_name(const asking *a, pang_merge_item *item, pang_name name, size_t *best)
{
    pang_arena *arena = a->task->target->arena;
    pang_str exact = pang_merge_key_joined(arena, name, PANG_UNIT_SEPARATOR);
    pang_code code = claim_all(a, item, name, pang_merge_key_joined(arena, name, '.'), best);
    if (code == PANG_OK && name.path.len > 0)
        code = claim_all(a, item, name, exact, best);
    if (code == PANG_OK && name.space == PANG_SPACE_NAMESPACE)
        code = claim_all(a, item, name,
                         pang_arena_printf(arena, "%" PANG_STR_FMT "%c", PANG_STR_ARG(exact),
                                           PANG_UNIT_SEPARATOR),
                         best);
    return code;
}

static pang_code ask(const asking *a, pang_merge_item *item)
{
    const pang_content *const sides[] = {&item->source, &item->target};
    size_t best = a->task->n_modes;
    pang_code code = ask_name(a, item, item->to, &best);
    for (size_t i = 0; code == PANG_OK && i < 2; i++)
        if (pang_content_exists(sides[i]) && !pang_name_equal(sides[i]->name, item->to))
            code = ask_name(a, item, sides[i]->name, &best);
    if (best < a->task->n_modes)
        item->mode = a->task->modes[best]->kind;
    return code;
}

pang_code pang_merge_modes_set(const pang_merge_task *task, pang_merge_plan *plan, pang_err *err)
{
    asking a = {task, plan, {.arena = task->target->arena}, err};
    for (size_t i = 0; i < plan->n; i++)
        plan->items[i]->mode = task->default_mode;
    if (task->n_modes == 0)
        return PANG_OK;
    pang_code code = index_keys(&a);
    for (int spaces = 0; spaces < 2; spaces++)
        for (size_t i = 0; code == PANG_OK && i < plan->n; i++)
            if (pang_id_is_nil(plan->items[i]->asset) == (spaces == 1))
                code = ask(&a, plan->items[i]);
    return code;
}
