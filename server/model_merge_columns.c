/*
 * Model, merging: which column of the target a column of the source is. Ids mean the same on both
 * sides as far as the halves go; what was added since is told apart by ids that both sides gave
 * out, or put together by name:
 *
 *   - a column that an earlier merge gave another id has that one;
 *   - an id of the half's time is the same column in the target;
 *   - one name added on both sides, at one place, is one column, with the target's id;
 *   - any other new id that the target has given out too is another column there, and gets a fresh
 *     one above all that both sides have.
 * The last two change the id of a column of the source, so that nothing may be written with it.
 */
#include <inttypes.h>
#include <string.h>

#include "server/model_merging.h"

/* The last part of a column's name: what its parent knows it by. */
static pang_str own_name(const pang_model_schema *schema, const pang_model_column *column)
{
    if (column->parent == 0)
        return column->name;
    return pang_str_after(column->name, schema->columns[column->parent - 1].name.len + 1);
}

static void put_column(pang_merging *m, int64_t from, int64_t to)
{
    pang_id_pair *pair = pang_arena_alloc(m->arena, sizeof *pair);
    if (pair != NULL)
        *pair = (pang_id_pair){(int32_t)from, (int32_t)to};
    if (pair == NULL || !pang_model_ids_put(&m->columns, from, pair) ||
        (from != to && !pang_model_ids_put(&m->given, to, pair))) {
        m->failed = true;
        return;
    }
    if (from != to)
        pang_merging_pair(m, &m->pairs, from, to);
}

/* The target's column of that name below a parent of the target's; NULL when there is none. */
static const pang_model_column *target_child(const pang_merging *m, int64_t parent, pang_str name)
{
    const pang_model_schema *schema = m->target.read;
    const pang_model_column *above = NULL, *found;
    pang_str full = name;
    if (parent != 0) {
        above = pang_model_column_by_id(schema, parent);
        if (above == NULL)
            return NULL;
        full = pang_arena_printf(m->arena, "%" PANG_STR_FMT ".%" PANG_STR_FMT,
                                 PANG_STR_ARG(above->name), PANG_STR_ARG(name));
    }
    found = pang_model_column_by_name(schema, full);
    if (found == NULL || !pang_str_equal(found->name, full))
        return NULL;
    size_t index = above == NULL ? 0 : (size_t)(above - schema->columns) + 1;
    return found->parent == index ? found : NULL;
}

/* Told once for a struct: its fields would say the same again. */
static void conflict_over(pang_merging *m, const pang_model_column *source,
                          const pang_model_column *target, const char *why)
{
    pang_merging_conflict(m, PANG_CONFLICT_SCHEMA,
                          pang_merging_about_column(m, NULL, source, target),
                          "column \"%" PANG_STR_FMT "\" (%" PRId64 ") of the source %s",
                          PANG_STR_ARG(source->name), source->id, why);
}

/* A new column whose id the target has given to another one. */
static void reassign(pang_merging *m, const pang_model_column *column, int64_t *last)
{
    bool wrote = m->data_changed && pang_merging_wrote_column(m, true, column->id);
    if (wrote)
        conflict_over(m, column, pang_model_column_by_id(m->target.read, column->id),
                      "has the id of another column in the target, and data is written with it");
    if (*last >= INT32_MAX)
        conflict_over(m, column, NULL, "cannot get another id: none is left");
    else
        ++*last;
    put_column(m, column->id, *last);
}

/* One name that both sides added. */
static void unify(pang_merging *m, const pang_model_column *source, const pang_model_column *target)
{
    bool nested = target->parent != 0 && target->id > m->target_half.last_column &&
                  m->target.read->columns[target->parent - 1].id > m->target_half.last_column;
    if (!nested && ((m->data_changed && pang_merging_wrote_column(m, true, source->id)) ||
                    pang_merging_wrote_column(m, false, target->id)))
        conflict_over(m, source, target,
                      "was added in the target too, and data is written with it");
    put_column(m, source->id, target->id);
}

/* A column of before the half that is there again: one that the target does not know by this id, or
 * knows by the same name, is the same. With two halves the id may have been given out twice. */
static bool is_same_again(pang_merging *m, const pang_model_column *column)
{
    const pang_model_column *now = pang_model_column_by_id(m->target.read, column->id);
    if (m->merge->one_half || pang_model_column_by_id(m->source_half.read, column->id) != NULL)
        return true;
    return now == NULL || pang_str_equal(now->name, column->name);
}

static void map_column(pang_merging *m, const pang_model_column *column, int64_t *last)
{
    const pang_model_schema *schema = m->source.read;
    int64_t parent = 0;
    if (pang_model_ids_get(&m->columns, column->id) != NULL)
        return;
    bool is_taken = pang_model_ids_get(&m->given, column->id) != NULL;
    if (!is_taken && column->id <= m->source_half.last_column && is_same_again(m, column)) {
        put_column(m, column->id, column->id);
        return;
    }
    if (column->parent != 0)
        parent = pang_merging_column(m, false, schema->columns[column->parent - 1].id);
    const pang_model_column *twin = target_child(m, parent, own_name(schema, column));
    if (twin != NULL && twin->id > m->target_half.last_column)
        unify(m, column, twin);
    else if (is_taken || column->id <= m->target.last_column)
        reassign(m, column, last);
    else
        put_column(m, column->id, column->id);
}

/* Columns that the source added, wrote and dropped again are in its files all the same, and would
 * be read as what the target has under their ids. */
static void check_dropped(pang_merging *m)
{
    int64_t from = m->source_half.last_column, to = m->target.last_column, here = 0;
    to = to < m->source.last_column ? to : m->source.last_column;
    if (!m->data_changed || to <= from || m->source.read == NULL)
        return;
    const pang_merging_written *wrote = pang_merging_wrote(m, true);
    for (size_t i = 0; i < m->source.read->n; i++) {
        int64_t id = m->source.read->columns[i].id;
        here += id > from && id <= to ? 1 : 0;
    }
    int64_t lost = wrote->any && here < to - from ? to : -1;
    for (size_t i = 0; lost < 0 && i < wrote->fresh.n; i++) {
        int64_t id = wrote->fresh.list[i].from;
        if (id <= to && pang_model_column_by_id(m->source.read, id) == NULL)
            lost = id;
    }
    if (lost >= 0)
        pang_merging_conflict(
            m, PANG_CONFLICT_SCHEMA,
            pang_merging_about_column(m, NULL, NULL, pang_model_column_by_id(m->target.read, lost)),
            "data of the source may hold a column %" PRId64
            " that the source added and dropped, and the target gave that id to "
            "another column",
            lost);
}

void pang_merging_map_columns(pang_merging *m)
{
    int64_t last = m->source.last_column > m->target.last_column ? m->source.last_column
                                                                 : m->target.last_column;
    for (size_t i = 0; i + 1 < m->n_map; i += 2) {
        put_column(m, m->map[i], m->map[i + 1]);
        if (!pang_model_ids_put(&m->earlier, m->map[i], pang_model_ids_get(&m->columns, m->map[i])))
            m->failed = true;
    }
    for (size_t i = 0; m->source.read != NULL && i < m->source.read->n && !m->failed; i++)
        map_column(m, &m->source.read->columns[i], &last);
    if (!m->failed)
        check_dropped(m);
}

int64_t pang_merging_column(const pang_merging *m, bool of_half, int64_t id)
{
    const pang_id_pair *pair = pang_model_ids_get(of_half ? &m->earlier : &m->columns, id);
    if (pair != NULL)
        return pair->to;
    if (of_half)
        return id;
    if (pang_model_ids_get(&m->given, id) != NULL)
        return -1;
    return id <= m->source_half.last_column || id > m->target.last_column ? id : -1;
}
