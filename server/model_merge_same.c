/*
 * Model, merging: whether a column's id still is that column. Who takes the source's table whole
 * has its columns from then on: an id that both sides had given out means another column than
 * before, and rows of who still has the old one would be read by it.
 *
 * Two documents mean one column by an id when they ever had it under one name and with types of
 * which one becomes the other: the base's schemas are among those of what came from it. Where
 * schemas were removed and nothing is left to compare, it cannot be told, and counts as another. A
 * column within another one is no other's.
 */
#include <inttypes.h>

#include "server/model_merging.h"

/* What a column was at some time. */
typedef struct known_as {
    pang_str name;
    pang_type type;
    bool has_type; /* else it is one that this program does not know */
    int64_t parent;
    const struct known_as *next;
} known_as;

/* All columns of a document's schemas. */
typedef struct {
    pang_merging *m;
    pang_model_ids by_id;   /* known_as */
    pang_merging_pairs all; /* ids and their parents', parents first */
} history;

static bool same_name_and_type(const known_as *a, const known_as *b)
{
    return pang_str_equal(a->name, b->name) &&
           (!a->has_type || !b->has_type || pang_type_equal(&a->type, &b->type) ||
            pang_merging_is_promotion(&a->type, &b->type) ||
            pang_merging_is_promotion(&b->type, &a->type));
}

static bool was_one(const known_as *a, const known_as *b)
{
    for (; a != NULL; a = a->next)
        for (const known_as *other = b; other != NULL; other = other->next)
            if (same_name_and_type(a, other))
                return true;
    return false;
}

/* ---- reading ---- */

/* Only what differs from all that is noted takes memory: schemas repeat each other. */
static void note(history *h, int64_t id, const known_as *is)
{
    const known_as *noted = pang_model_ids_get(&h->by_id, id);
    for (const known_as *one = noted; one != NULL; one = one->next)
        if (pang_str_equal(one->name, is->name) && one->has_type == is->has_type &&
            (!is->has_type || pang_type_equal(&one->type, &is->type)))
            return;
    known_as *kept = pang_arena_alloc(h->m->arena, sizeof *kept);
    if (kept != NULL) {
        *kept = *is;
        kept->next = noted;
    }
    if (kept == NULL || !pang_model_ids_put(&h->by_id, id, kept))
        h->m->failed = true;
    else if (noted == NULL)
        pang_merging_pair(h->m, &h->all, id, is->parent);
}

static void note_fields(history *h, const pang_json *type, int64_t parent);

/* A field, element, key or value. */
static void note_column(history *h, int64_t id, pang_str name, const pang_json *type,
                        int64_t parent)
{
    known_as is = {.name = name, .parent = parent};
    is.has_type = pang_type_parse(type, &is.type);
    note(h, id, &is);
    note_fields(h, type, id);
}

/* What a type has inside; a schema is a struct. */
static void note_fields(history *h, const pang_json *type, int64_t parent)
{
    static const struct {
        const char *id, *type;
    } parts[] = {{"element-id", "element"}, {"key-id", "key"}, {"value-id", "value"}};
    const pang_json *fields = pang_json_get(type, "fields");
    for (size_t i = 0; i < pang_json_size(fields) && !h->m->failed; i++) {
        const pang_json *field = pang_json_at(fields, i);
        note_column(h, pang_model_int(field, "id", -1), pang_model_text(field, "name"),
                    pang_json_get(field, "type"), parent);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        int64_t id;
        if (pang_model_has_int(type, parts[i].id, &id))
            note_column(h, id, pang_str_from(parts[i].type), pang_json_get(type, parts[i].type),
                        parent);
    }
}

static history history_of(pang_merging *m, const pang_merging_side *side)
{
    history h = {.m = m, .by_id.arena = m->arena};
    const pang_json *schemas = pang_json_get(side->doc, "schemas");
    for (size_t i = 0; i < pang_json_size(schemas); i++)
        note_fields(&h, pang_json_at(schemas, i), 0);
    return h;
}

/* ---- comparing ---- */

/* Nothing but new schemas came: the usual case, in which nothing is looked into. */
static bool goes_on(const pang_merging_side *half, const pang_merging_side *now)
{
    const pang_json *old = pang_json_get(half->doc, "schemas");
    const pang_json *all = pang_json_get(now->doc, "schemas");
    if (pang_json_size(all) < pang_json_size(old))
        return false;
    for (size_t i = 0; i < pang_json_size(old); i++)
        if (!pang_json_equal(pang_json_at(old, i), pang_json_at(all, i)))
            return false;
    return true;
}

static bool is_mapped(const pang_merge_table *merge, int64_t id, bool target)
{
    for (size_t i = target ? 1 : 0; i < merge->n_columns; i += 2)
        if (merge->columns[i] == id)
            return true;
    return false;
}

/* The columns of the source's half whose ids are others' in a side now. Those that an earlier
 * merge's map speaks of are its business. */
static void find_others(pang_merging *m, const pang_merging_side *now, bool target,
                        pang_merging_pairs *ret)
{
    if (goes_on(&m->source_half, now))
        return;
    history half = history_of(m, &m->source_half), side = history_of(m, now);
    pang_model_ids others = {.arena = m->arena};
    for (size_t i = 0; i < half.all.n && !m->failed; i++) {
        int64_t id = half.all.list[i].from, parent = half.all.list[i].to;
        const known_as *here = pang_model_ids_get(&side.by_id, id);
        if (here == NULL || is_mapped(m->merge, id, true) ||
            (target && is_mapped(m->merge, id, false)))
            continue;
        if (was_one(pang_model_ids_get(&half.by_id, id), here) &&
            pang_model_ids_get(&others, parent) == NULL)
            continue;
        pang_merging_pair(m, ret, id, id);
        if (!pang_model_ids_put(&others, id, m))
            m->failed = true;
    }
}

/* Those of the target are none of the source's. */
static void add_to_map(pang_merging *m, const pang_merging_pairs *others)
{
    const pang_merge_table *merge = m->merge;
    size_t n = merge->n_columns;
    int32_t *columns = pang_arena_alloc_n(m->arena, n + 2 * others->n, sizeof *columns);
    if (columns == NULL) {
        m->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        columns[i] = merge->columns[i];
    for (size_t i = 0; i < others->n; i++) {
        columns[n++] = others->list[i].from;
        columns[n++] = PANG_MERGE_NO_COLUMN(others->list[i].from);
    }
    m->map = columns;
    m->n_map = n;
}

void pang_merging_check_ids(pang_merging *m)
{
    pang_merging_pairs source = {0}, target = {0};
    m->map = m->merge->columns;
    m->n_map = m->merge->n_columns;
    find_others(m, &m->source, false, &source);
    find_others(m, &m->target, true, &target);
    if (target.n > 0)
        add_to_map(m, &target);
    if (source.n > 0)
        pang_merging_conflict(m, PANG_CONFLICT_SCHEMA, NULL,
                              "column %" PRId32 " of the source is another one than before: it "
                              "took a table that had given the id to a column of its own",
                              source.list[0].from);
}
