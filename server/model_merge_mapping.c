/*
 * Model, merging: name mappings: which column a file's column of some name is, for files without
 * field ids. A mapping is a list of {"field-id", "names", "fields"}; entries go by the id, those
 * without one by their first name. Names are a set that both sides may add to and take from.
 */
#include <inttypes.h>

#include "server/model_merging.h"

/* An entry as each of source, its half, target, its half has it. */
enum { SIDES = 4, S = 0, SH = 1, T = 2, TH = 3 };

typedef struct {
    pang_merging *m;
    bool conflict;
} mapping;

static pang_json *merge_lists(mapping *w, const pang_json *const lists[SIDES]);

/* ---- keys ---- */

/* What an entry goes by, as text; the source's ids are mapped. */
static pang_str key_of(mapping *w, const pang_json *entry, size_t side, int64_t *ret_id)
{
    int64_t id;
    pang_str name = {NULL, 0};
    *ret_id = -1;
    if (pang_model_has_int(entry, "field-id", &id)) {
        bool is_source = side == S || side == SH;
        int64_t to = is_source ? pang_merging_column(w->m, side == SH, id) : id;
        *ret_id = to < 0 ? id : to;
        return pang_arena_printf(w->m->arena, "%" PRId64, *ret_id);
    }
    (void)pang_json_to_str(pang_json_at(pang_json_get(entry, "names"), 0), &name);
    return pang_arena_printf(w->m->arena, "\"%" PANG_STR_FMT, PANG_STR_ARG(name));
}

/* An object of a list's entries by their keys; adds new keys to `order`. */
static pang_json *index_list(mapping *w, const pang_json *list, size_t side, pang_json *order)
{
    pang_json *index = pang_json_object(w->m->arena);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        int64_t id;
        pang_str key = key_of(w, pang_json_at(list, i), side, &id);
        if (!pang_json_set_str(index, key, pang_json_at(list, i)) ||
            (pang_json_get_str(order, key) == NULL &&
             !pang_json_set_str(order, key, pang_json_int(id, w->m->arena))))
            w->m->failed = true;
    }
    return index;
}

/* ---- names ---- */

static bool holds(const pang_json *names, const pang_json *name)
{
    for (size_t i = 0; i < pang_json_size(names); i++) {
        if (pang_json_equal(pang_json_at(names, i), name))
            return true;
    }
    return false;
}

/* The target's without what the source took away, and what the source added. */
static pang_json *merge_names(mapping *w, const pang_json *const entries[SIDES])
{
    const pang_json *s = pang_json_get(entries[S], "names");
    const pang_json *sh = pang_json_get(entries[SH], "names");
    const pang_json *t = pang_json_get(entries[T], "names");
    pang_json *names = pang_json_array(w->m->arena);
    for (size_t i = 0; i < pang_json_size(t); i++) {
        pang_json *name = pang_json_at(t, i);
        if (entries[S] == NULL || !holds(sh, name) || holds(s, name))
            pang_merging_add(w->m, names, name);
    }
    for (size_t i = 0; i < pang_json_size(s); i++) {
        pang_json *name = pang_json_at(s, i);
        if (!holds(t, name) && (entries[T] == NULL || !holds(sh, name)))
            pang_merging_add(w->m, names, name);
    }
    return names;
}

/* One name of two columns of a struct would map a file's column to both. */
static void check_names(mapping *w, const pang_json *names, pang_json *taken)
{
    for (size_t i = 0; i < pang_json_size(names); i++) {
        pang_str name;
        if (!pang_json_to_str(pang_json_at(names, i), &name))
            continue;
        w->conflict = w->conflict || pang_json_get_str(taken, name) != NULL;
        if (!pang_json_set_str(taken, name, pang_json_at(names, i)))
            w->m->failed = true;
    }
}

/* ---- entries ---- */

static bool same(const pang_json *a, const pang_json *b)
{
    return a == NULL || b == NULL ? a == b : pang_json_equal(a, b);
}

/* Whether the merged list has an entry; where one side dropped it, the other must have left it. */
static bool is_kept(mapping *w, const pang_json *const entries[SIDES])
{
    if (entries[S] != NULL && entries[T] != NULL)
        return true;
    if (entries[S] == NULL && entries[T] == NULL)
        return false;
    bool by_source = entries[T] == NULL; /* only the source has it */
    const pang_json *now = entries[by_source ? S : T], *half = entries[by_source ? SH : TH];
    if (by_source ? entries[SH] == NULL && entries[TH] == NULL : entries[SH] == NULL)
        return true;
    w->conflict = w->conflict || !same(now, half);
    return false;
}

static pang_json *merge_entry(mapping *w, const pang_json *const entries[SIDES], int64_t id)
{
    pang_merging *m = w->m;
    const pang_json *fields[SIDES];
    pang_json *entry = pang_model_copy(entries[entries[T] != NULL ? T : S], m->arena);
    for (size_t i = 0; i < SIDES; i++)
        fields[i] = pang_json_get(entries[i], "fields");
    if (id >= 0)
        pang_merging_put(m, entry, "field-id", pang_json_int(id, m->arena));
    pang_merging_put(m, entry, "names", merge_names(w, entries));
    if (fields[S] != NULL || fields[T] != NULL)
        pang_merging_put(m, entry, "fields", merge_lists(w, fields));
    return entry;
}

static pang_json *merge_lists(mapping *w, const pang_json *const lists[SIDES])
{
    static const size_t by[SIDES] = {T, S, SH, TH}; /* the target's order, then the source's new */
    pang_json *order = pang_json_object(w->m->arena), *index[SIDES], *id_node;
    pang_json *merged = pang_json_array(w->m->arena), *taken = pang_json_object(w->m->arena);
    pang_json_members it = {.object = order};
    pang_str key;
    for (size_t i = 0; i < SIDES; i++)
        index[by[i]] = index_list(w, lists[by[i]], by[i], order);
    while (!w->m->failed && pang_json_next(&it, &key, &id_node)) {
        const pang_json *entries[SIDES];
        int64_t id = -1;
        for (size_t i = 0; i < SIDES; i++)
            entries[i] = pang_json_get_str(index[i], key);
        if (!is_kept(w, entries))
            continue;
        (void)pang_json_to_int64(id_node, &id);
        pang_json *entry = merge_entry(w, entries, id);
        check_names(w, pang_json_get(entry, "names"), taken);
        pang_merging_add(w->m, merged, entry);
    }
    return merged;
}

/* ---- texts ---- */

static bool is_mapping(const pang_json *list)
{
    if (pang_json_type_of(list) != PANG_JSON_IS_ARRAY)
        return false;
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *entry = pang_json_at(list, i), *fields = pang_json_get(entry, "fields");
        if (pang_json_type_of(pang_json_get(entry, "names")) != PANG_JSON_IS_ARRAY ||
            (!pang_json_is_null(fields) && !is_mapping(fields)))
            return false;
    }
    return true;
}

void pang_merging_mapping(pang_merging *m, const pang_json *const texts[4], pang_json **ret)
{
    const pang_json *lists[SIDES] = {NULL, NULL, NULL, NULL};
    mapping w = {.m = m};
    pang_str text;
    *ret = NULL;
    for (size_t i = 0; i < SIDES; i++) {
        pang_json *list = NULL;
        if (!pang_json_to_str(texts[i], &text))
            continue;
        pang_code code = pang_json_parse(text, m->arena, &list, NULL);
        if (code == PANG_RESOURCE_EXHAUSTED)
            m->failed = true;
        if (code != PANG_OK || !is_mapping(list))
            return;
        lists[i] = list;
    }
    pang_json *merged = merge_lists(&w, lists);
    if (m->failed || w.conflict)
        return;
    if (pang_json_print(merged, m->arena, &text, NULL) != PANG_OK)
        m->failed = true;
    else
        *ret = pang_json_str(text, m->arena);
    m->failed = m->failed || *ret == NULL;
}
