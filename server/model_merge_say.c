/*
 * Model, merging: what is said of conflicts, and the updates that are asked for. A sentence names
 * the column or property and what each side did to it; the details hold the values as they are,
 * but only of what the conflict is about, since schemas can be large.
 */
#include <stdio.h>
#include <string.h>

#include "server/model_merging.h"

enum { SHOWN_MAX = 120 /* bytes of a value in a sentence */ };

void pang_merging_put(pang_merging *m, pang_json *object, const char *name, pang_json *value)
{
    if (!pang_json_set(object, name, value))
        m->failed = true;
}

void pang_merging_add(pang_merging *m, pang_json *array, pang_json *value)
{
    if (!pang_json_append(array, value))
        m->failed = true;
}

pang_json *pang_merging_update(pang_merging *m, const char *action)
{
    pang_json *update = pang_json_object(m->arena);
    pang_merging_put(m, update, "action", pang_json_str(pang_str_from(action), m->arena));
    pang_merging_add(m, m->updates, update);
    return update;
}

void pang_merging_pair(pang_merging *m, pang_merging_pairs *pairs, int64_t from, int64_t to)
{
    if (pairs->n == pairs->capacity) {
        size_t capacity = pairs->capacity == 0 ? 16 : pairs->capacity * 2;
        pang_id_pair *list = pang_arena_alloc_n(m->arena, capacity, sizeof *list);
        if (list == NULL) {
            m->failed = true;
            return;
        }
        if (pairs->n > 0)
            memcpy(list, pairs->list, pairs->n * sizeof *list);
        pairs->list = list;
        pairs->capacity = capacity;
    }
    pairs->list[pairs->n++] = (pang_id_pair){(int32_t)from, (int32_t)to};
}

static bool same(const pang_json *a, const pang_json *b)
{
    if (pang_json_is_null(a) || pang_json_is_null(b))
        return pang_json_is_null(a) && pang_json_is_null(b);
    return pang_json_equal(a, b);
}

pang_merging_choice pang_merging_choose(const pang_json *source, const pang_json *source_half,
                                        const pang_json *target, const pang_json *target_half)
{
    if (same(source, source_half) || same(source, target))
        return PANG_MERGING_TARGET;
    bool seen = same(target, target_half) && same(target_half, source_half);
    return seen ? PANG_MERGING_SOURCE : PANG_MERGING_BOTH;
}

/* ---- conflicts ---- */

static pang_str details_text(pang_merging *m, pang_json *details)
{
    pang_str text = PANG_STR("{}");
    if (details != NULL && pang_json_print(details, m->arena, &text, NULL) != PANG_OK)
        m->failed = true;
    return text;
}

void pang_merging_conflict(pang_merging *m, pang_conflict_type type, pang_json *details,
                           const char *fmt, ...)
{
    pang_buf text = {.arena = m->arena};
    char line[PANG_ERR_MESSAGE_MAX];
    va_list args;
    if (m->conflicts == NULL)
        m->conflicts = pang_arena_alloc_n(m->arena, PANG_CONFLICTS_MAX, sizeof *m->conflicts);
    if (m->conflicts == NULL) {
        m->failed = true;
        return;
    }
    if (m->n_conflicts == PANG_CONFLICTS_MAX) {
        m->more++;
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    size_t len = strlen(line);
    while (len > 0 && !pang_str_is_utf8((pang_str){line, len}))
        len--; /* cut within a character */
    pang_buf_add(&text, (pang_str){line, len});
    if (text.failed)
        m->failed = true;
    m->conflicts[m->n_conflicts++] = (pang_conflict){type, pang_buf_str(&text),
                                                     details_text(m, details)};
}

void pang_merging_count_untold(pang_merging *m)
{
    if (m->more == 0)
        return;
    pang_conflict *last = &m->conflicts[m->n_conflicts - 1];
    last->description = pang_arena_printf(m->arena, "%" PANG_STR_FMT " (and %zu more)",
                                          PANG_STR_ARG(last->description), m->more);
}

pang_str pang_merging_shown(pang_merging *m, const pang_json *value)
{
    pang_str text;
    if (pang_json_is_null(value))
        return PANG_STR("nothing");
    if (pang_json_print(value, m->arena, &text, NULL) != PANG_OK) {
        m->failed = true;
        return PANG_STR("");
    }
    if (text.len <= SHOWN_MAX)
        return text;
    size_t len = SHOWN_MAX;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return pang_arena_printf(m->arena, "%.*s...", (int)len, text.ptr);
}

/* ---- details ---- */

/* The node of a column, or null. */
static pang_json *node_of(pang_merging *m, const pang_model_column *column)
{
    return column == NULL ? pang_json_null(m->arena) : (pang_json *)(uintptr_t)column->node;
}

/* A schema of the one column that it is about. */
static pang_json *cut_schema(pang_merging *m, const pang_merging_side *side,
                             const pang_model_column *column)
{
    pang_json *schema = pang_json_object(m->arena), *fields = pang_json_array(m->arena);
    pang_merging_put(m, schema, "type", pang_json_str(PANG_STR("struct"), m->arena));
    pang_merging_put(m, schema, "schema-id",
                     pang_json_int(pang_model_int(side->schema, "schema-id", 0), m->arena));
    if (column != NULL)
        pang_merging_add(m, fields, node_of(m, column));
    pang_merging_put(m, schema, "fields", fields);
    return schema;
}

pang_json *pang_merging_about_column(pang_merging *m, const pang_model_column *base,
                                     const pang_model_column *source,
                                     const pang_model_column *target)
{
    pang_json *details = pang_json_object(m->arena), *list = pang_json_array(m->arena);
    pang_json *entry = pang_json_object(m->arena);
    const pang_model_column *any = target != NULL ? target : source != NULL ? source : base;
    if (any != NULL) {
        pang_merging_put(m, entry, "id", pang_json_int(any->id, m->arena));
        pang_merging_put(m, entry, "name", pang_json_str(any->name, m->arena));
    }
    pang_merging_put(m, entry, "base", node_of(m, base));
    pang_merging_put(m, entry, "source", node_of(m, source));
    pang_merging_put(m, entry, "target", node_of(m, target));
    pang_merging_add(m, list, entry);
    pang_merging_put(m, details, "source_schema", cut_schema(m, &m->source, source));
    pang_merging_put(m, details, "target_schema", cut_schema(m, &m->target, target));
    pang_merging_put(m, details, "columns", list);
    return details;
}

pang_json *pang_merging_about_names(pang_merging *m, const char *list, pang_str name)
{
    pang_json *details = pang_json_object(m->arena), *names = pang_json_array(m->arena);
    pang_merging_add(m, names, pang_json_str(name, m->arena));
    pang_merging_put(m, details, list, names);
    return details;
}

static pang_json *value_of(pang_merging *m, const pang_json *value)
{
    return value == NULL ? pang_json_null(m->arena) : (pang_json *)(uintptr_t)value;
}

pang_json *pang_merging_about_property(pang_merging *m, pang_str name, const pang_json *base,
                                       const pang_json *source, const pang_json *target)
{
    pang_json *details = pang_merging_about_names(m, "conflicting_properties", name);
    pang_json *properties = pang_json_array(m->arena), *entry = pang_json_object(m->arena);
    pang_merging_put(m, entry, "name", pang_json_str(name, m->arena));
    pang_merging_put(m, entry, "base", value_of(m, base));
    pang_merging_put(m, entry, "source", value_of(m, source));
    pang_merging_put(m, entry, "target", value_of(m, target));
    pang_merging_add(m, properties, entry);
    pang_merging_put(m, details, "properties", properties);
    return details;
}
