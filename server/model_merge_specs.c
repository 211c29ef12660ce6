/*
 * Model, merging: partition specs and sort orders, matched by what they say: their fields, with the
 * sources' ids as the target has them. What the target lacks is added, under ids that the commit
 * gives; which ids stand for which is read off the merged document.
 */
#include <inttypes.h>
#include <string.h>

#include "server/model_merging.h"

/* How the two kinds of lists differ. */
typedef struct {
    const char *part, *id, *default_id; /* members of the document and its entries */
    const char *what;                   /* for sentences */
    const char *add, *set;              /* actions */
    const char *add_member, *set_member;
    const char *same[2]; /* texts of a field that make it what it is, besides the source */
} family;

static const family specs = {
    "partition-specs",  "spec-id", "default-spec-id", "partition spec", "add-spec",
    "set-default-spec", "spec",    "spec-id",         {"name", "name"}};
static const family orders = {"sort-orders", "order-id",       "default-sort-order-id",
                              "sort order",  "add-sort-order", "set-default-sort-order",
                              "sort-order",  "sort-order-id",  {"direction", "null-order"}};

static bool same_fields(const family *f, const pang_json *a, const pang_json *b)
{
    if (pang_json_size(a) != pang_json_size(b))
        return false;
    for (size_t i = 0; i < pang_json_size(a); i++) {
        const pang_json *x = pang_json_at(a, i), *y = pang_json_at(b, i);
        bool same = pang_model_same_source(x, y);
        for (size_t k = 0; same && k < 2; k++) {
            pang_str one = pang_model_text(x, f->same[k]), other = pang_model_text(y, f->same[k]);
            same = f == &specs ? pang_str_equal(one, other) : pang_str_equal_nocase(one, other);
        }
        if (!same)
            return false;
    }
    return true;
}

static const pang_json *fields_of(const pang_json *entry)
{
    return pang_json_get(entry, "fields");
}

static const pang_json *find_same(const family *f, const pang_json *doc, const pang_json *fields)
{
    const pang_json *list = pang_json_get(doc, f->part);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        if (same_fields(f, fields, fields_of(pang_json_at(list, i))))
            return pang_json_at(list, i);
    }
    return NULL;
}

/* ---- in the target's terms ---- */

/* Sets the mapped id of one source; false when the merged table has no such column. */
static bool map_source(pang_merging *m, bool of_half, pang_json *field, const pang_json *value,
                       pang_json *list)
{
    int64_t id = -1;
    (void)pang_json_to_int64(value, &id);
    int64_t to = pang_merging_column(m, of_half, id);
    if (list != NULL)
        pang_merging_add(m, list, pang_json_int(to, m->arena));
    else
        pang_merging_put(m, field, "source-id", pang_json_int(to, m->arena));
    return to >= 0;
}

/* The fields of an entry of the source or its half; *ret_known is false when a source is no column.
 */
static pang_json *mapped_fields(pang_merging *m, bool of_half, const pang_json *entry,
                                bool *ret_known)
{
    const pang_json *fields = fields_of(entry);
    pang_json *list = pang_json_array(m->arena);
    *ret_known = true;
    for (size_t i = 0; i < pang_json_size(fields); i++) {
        pang_json *field = pang_model_copy(pang_json_at(fields, i), m->arena);
        const pang_json *several = pang_json_get(field, "source-ids");
        if (pang_model_has(field, "source-id"))
            *ret_known = map_source(m, of_half, field, pang_json_get(field, "source-id"), NULL) &&
                         *ret_known;
        if (pang_json_size(several) > 0) {
            pang_json *ids = pang_json_array(m->arena);
            for (size_t k = 0; k < pang_json_size(several); k++)
                *ret_known = map_source(m, of_half, field, pang_json_at(several, k), ids) &&
                             *ret_known;
            pang_merging_put(m, field, "source-ids", ids);
        }
        pang_merging_add(m, list, field);
    }
    return list;
}

/* Whether the source's half had an entry of these mapped fields. */
static bool in_half(pang_merging *m, const family *f, const pang_json *fields)
{
    const pang_json *list = pang_json_get(m->source_half.doc, f->part);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        bool known;
        if (same_fields(f, fields, mapped_fields(m, true, pang_json_at(list, i), &known)))
            return true;
    }
    return false;
}

/* ---- what is added ---- */

static void add_entry(pang_merging *m, const family *f, const pang_json *entry, pang_json *fields)
{
    pang_json *copy = pang_model_copy(entry, m->arena);
    bool fresh_ids = f == &specs && (m->source.version > 1 || m->target.version > 1);
    for (size_t i = 0; fresh_ids && i < pang_json_size(fields); i++)
        pang_json_remove(pang_json_at(fields, i), "field-id");
    pang_merging_put(m, copy, "fields", fields);
    pang_merging_put(m, pang_merging_update(m, f->add), f->add_member, copy);
}

static const pang_json *default_of(const family *f, const pang_merging_side *side)
{
    return pang_model_find(pang_json_get(side->doc, f->part), f->id,
                           pang_model_int(side->doc, f->default_id, -1));
}

static void unresolved(pang_merging *m, const family *f, const pang_json *entry)
{
    pang_json *details = pang_merging_about_names(m, "columns", PANG_STR(""));
    pang_json *sources = pang_json_array(m->arena);
    for (size_t i = 0; i < pang_json_size(fields_of(entry)); i++) {
        pang_json *id = pang_json_get(pang_json_at(fields_of(entry), i), "source-id");
        if (!pang_json_is_null(id))
            pang_merging_add(m, sources, id);
    }
    pang_merging_put(m, details, "columns", sources);
    pang_merging_conflict(m, PANG_CONFLICT_SCHEMA, details,
                          "%s %" PRId64 " of the source goes by a column that the merged table "
                          "does not have",
                          f->what, pang_model_int(entry, f->id, 0));
}

/* Whether all columns that the fields go by are in the source's schema still, so that the merged
 * one may have them. */
static bool resolves(const pang_merging *m, const pang_json *entry)
{
    if (m->source.read == NULL)
        return true;
    for (size_t i = 0; i < pang_json_size(fields_of(entry)); i++) {
        const pang_json *field = pang_json_at(fields_of(entry), i);
        int64_t id;
        if (pang_model_source(field, &id) && pang_model_column_by_id(m->source.read, id) == NULL &&
            !pang_str_equal_nocase(pang_model_text(field, "transform"), PANG_STR("void")))
            return false;
    }
    return true;
}

/* Entries that the target lacks and the merged table needs: new ones, and with data all. */
static void add_missing(pang_merging *m, const family *f)
{
    const pang_json *list = pang_json_get(m->source.doc, f->part);
    const pang_json *own = default_of(f, &m->source);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *entry = pang_json_at(list, i);
        bool known;
        pang_json *fields = mapped_fields(m, false, entry, &known);
        if (entry == own || (known && find_same(f, m->target.doc, fields) != NULL) ||
            (!m->data_changed && in_half(m, f, fields)))
            continue;
        if (known && resolves(m, entry))
            add_entry(m, f, entry, fields);
        else if (m->data_changed && f == &specs)
            unresolved(m, f, entry);
    }
}

/* Version 1 numbers partition fields by their place, so two lists of specs do not fit together. */
static bool is_new_on(const family *f, const pang_merging_side *now, const pang_merging_side *half)
{
    const pang_json *list = pang_json_get(now->doc, f->part);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        if (find_same(f, half->doc, fields_of(pang_json_at(list, i))) == NULL)
            return true;
    }
    return false;
}

static void both_changed(pang_merging *m, const family *f, const pang_json *s, const pang_json *t)
{
    pang_merging_conflict(
        m, PANG_CONFLICT_METADATA,
        pang_merging_about_property(m, pang_str_from(f->default_id), default_of(f, &m->target_half),
                                    s, t),
        "the default %s was changed by the source and, differently, by the target (property %s)",
        f->what, f->default_id);
}

/* The default is one value: what new data is written by. */
static void merge_default(pang_merging *m, const family *f)
{
    const pang_json *s = default_of(f, &m->source), *sh = default_of(f, &m->source_half);
    const pang_json *t = default_of(f, &m->target), *th = default_of(f, &m->target_half);
    bool known, half_known;
    pang_json *fields = mapped_fields(m, false, s, &known);
    const pang_json *half = mapped_fields(m, true, sh, &half_known);
    bool in_target = known && find_same(f, m->target.doc, fields) != NULL;
    bool changed = !same_fields(f, fields, half);
    if (changed && same_fields(f, fields, fields_of(t)))
        changed = false;
    if (changed && !same_fields(f, fields_of(t), fields_of(th))) {
        both_changed(m, f, s, t);
        return;
    }
    if (!changed && (in_target || !m->data_changed))
        return;
    if (!known) {
        unresolved(m, f, s);
        return;
    }
    if (!in_target)
        add_entry(m, f, s, fields);
    if (!changed)
        return;
    int64_t id = in_target ? pang_model_int(find_same(f, m->target.doc, fields), f->id, 0) : -1;
    pang_merging_put(m, pang_merging_update(m, f->set), f->set_member, pang_json_int(id, m->arena));
}

static void merge_family(pang_merging *m, const family *f)
{
    bool is_old = f == &specs && m->source.version == 1 && m->target.version == 1;
    if (is_old && is_new_on(f, &m->source, &m->source_half) &&
        is_new_on(f, &m->target, &m->target_half)) {
        both_changed(m, f, default_of(f, &m->source), default_of(f, &m->target));
        return;
    }
    add_missing(m, f);
    merge_default(m, f);
}

void pang_merging_specs(pang_merging *m)
{
    merge_family(m, &specs);
    merge_family(m, &orders);
}

/* ---- which became which ---- */

static void map_family(pang_merging *m, const family *f, const pang_json *merged,
                       pang_merging_pairs *pairs)
{
    const pang_json *list = pang_json_get(m->source.doc, f->part);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *entry = pang_json_at(list, i);
        bool known;
        const pang_json *found = find_same(f, merged, mapped_fields(m, false, entry, &known));
        int64_t from = pang_model_int(entry, f->id, 0), to = pang_model_int(found, f->id, from);
        /* An order that is gone is unsorted; data of a spec that is gone has conflicted. */
        if (!known || found == NULL)
            to = f == &orders ? 0 : from;
        if (to != from)
            pang_merging_pair(m, pairs, from, to);
    }
}

void pang_merging_map_specs(pang_merging *m, const pang_json *merged)
{
    map_family(m, &specs, merged, &m->specs);
    map_family(m, &orders, merged, &m->orders);
}
