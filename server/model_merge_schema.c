/*
 * Model, merging: schemas, column by column. All four schemas are laid over each other by the ids
 * of the target; then each column is kept or dropped, and its name, type and nullability chosen.
 *
 * Name and type count as one value, so that a rename does not meet a change of type. What one side
 * demands of every row conflicts when the other side has rows that never heard of it.
 */
#include <inttypes.h>
#include <string.h>

#include "server/model_merge_tree.h"

void pang_overlay_say(pang_overlay *o, const pang_slot *at, const char *what)
{
    const pang_model_column *base = at->th != NULL ? at->th : at->sh;
    const pang_model_column *named = at->t != NULL ? at->t : at->s != NULL ? at->s : base;
    pang_merging_conflict(
        o->m, PANG_CONFLICT_SCHEMA, pang_merging_about_column(o->m, base, at->s, at->t),
        "column \"%" PANG_STR_FMT "\" (%" PRId64 ") %s", PANG_STR_ARG(named->name), at->id, what);
}

/* ---- laying over ---- */

static pang_slot *slot_of(pang_overlay *o, int64_t id)
{
    pang_slot *found = (pang_slot *)(uintptr_t)pang_model_ids_get(&o->by_id, id);
    if (found != NULL)
        return found;
    found = pang_arena_alloc(o->m->arena, sizeof *found);
    if (found == NULL || !pang_model_ids_put(&o->by_id, id, found)) {
        o->m->failed = true;
        return NULL;
    }
    found->id = id;
    if (o->last == NULL)
        o->all = found;
    else
        o->last->all_next = found;
    return o->last = found;
}

static int64_t source_id(const pang_overlay *o, bool of_half, int64_t id)
{
    int64_t to = pang_merging_column(o->m, of_half, id);
    return to < 0 ? id : to;
}

static pang_slot_role role_of(const pang_model_schema *schema, const pang_model_column *column)
{
    if (column->parent == 0)
        return PANG_SLOT_FIELD;
    switch (schema->columns[column->parent - 1].type.kind) {
    case PANG_TYPE_LIST:
        return PANG_SLOT_ELEMENT;
    case PANG_TYPE_MAP:
        return pang_model_int(column->node, "key-id", -1) == column->id ? PANG_SLOT_KEY
                                                                        : PANG_SLOT_VALUE;
    default:
        return PANG_SLOT_FIELD;
    }
}

static void hang(pang_slot *up, pang_slot *at, bool is_source)
{
    pang_slot_list *list = is_source ? &up->source : &up->target;
    if (list->last == NULL)
        list->first = at;
    else if (is_source)
        list->last->source_next = at;
    else
        list->last->target_next = at;
    list->last = at;
}

/* One side's current schema: its columns, their parents and their order. */
static void lay(pang_overlay *o, const pang_model_schema *schema, bool is_source)
{
    for (size_t i = 0; i < schema->n && !o->m->failed; i++) {
        const pang_model_column *column = &schema->columns[i];
        int64_t parent = column->parent == 0 ? 0 : schema->columns[column->parent - 1].id;
        pang_slot *at = slot_of(o, is_source ? source_id(o, false, column->id) : column->id);
        pang_slot *up = &o->top;
        if (column->parent != 0)
            up = slot_of(o, is_source ? source_id(o, false, parent) : parent);
        if (at == NULL || up == NULL)
            return;
        if ((is_source ? at->s : at->t) != NULL) {
            pang_overlay_say(o, at, "is one column in the target and two in the source");
            continue;
        }
        pang_slot_role role = role_of(schema, column);
        if (is_source)
            at->s = column;
        else
            at->t = column;
        hang(up, at, is_source);
        if (at->parent == NULL) {
            at->parent = up;
            at->role = role;
        } else if (at->parent != up || at->role != role) {
            pang_overlay_say(o, at, "lies elsewhere in the source than in the target");
        }
    }
}

static void lay_half(pang_overlay *o, const pang_model_schema *schema, bool is_source)
{
    for (size_t i = 0; i < schema->n && !o->m->failed; i++) {
        int64_t id = schema->columns[i].id;
        pang_slot *at = slot_of(o, is_source ? source_id(o, true, id) : id);
        if (at != NULL && is_source)
            at->sh = &schema->columns[i];
        else if (at != NULL)
            at->th = &schema->columns[i];
    }
}

/* ---- name and type ---- */

static bool same_column(const pang_slot *at, const pang_model_column *a, const pang_model_column *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    if (at->role == PANG_SLOT_FIELD &&
        !pang_str_equal(pang_model_text(a->node, "name"), pang_model_text(b->node, "name")))
        return false;
    return pang_type_equal(&a->type, &b->type);
}

/* Whether values of the one type can be read as the other, as the specification has it. */
bool pang_merging_is_promotion(const pang_type *from, const pang_type *to)
{
    switch (from->kind) {
    case PANG_TYPE_INT:
        return to->kind == PANG_TYPE_LONG;
    case PANG_TYPE_FLOAT:
        return to->kind == PANG_TYPE_DOUBLE;
    case PANG_TYPE_DECIMAL:
        return to->kind == PANG_TYPE_DECIMAL && to->b == from->b && to->a >= from->a;
    case PANG_TYPE_DATE:
        return to->kind == PANG_TYPE_TIMESTAMP || to->kind == PANG_TYPE_TIMESTAMP_NS;
    case PANG_TYPE_UNKNOWN:
        return pang_type_is_primitive(to->kind);
    default:
        return false;
    }
}

/* A change of type that rows of the other side, or what lies in the column, may not follow. */
static bool is_hard_change(const pang_model_column *from, const pang_model_column *to,
                           bool other_has_rows)
{
    if (from == NULL || to == NULL || pang_type_equal(&from->type, &to->type))
        return false;
    if (!pang_type_is_primitive(from->type.kind) || !pang_type_is_primitive(to->type.kind))
        return true;
    return other_has_rows && !pang_merging_is_promotion(&from->type, &to->type);
}

static void choose_type(pang_overlay *o, pang_slot *at)
{
    at->typed = at->t;
    if (same_column(at, at->s, at->t))
        return;
    bool changed = !same_column(at, at->s, at->sh);
    if (changed && same_column(at, at->t, at->th) && same_column(at, at->sh, at->th))
        at->typed = at->s;
    else if (changed)
        pang_overlay_say(o, at, "has another name or type in the source and in the target");
    if (changed && is_hard_change(at->sh, at->s, pang_merging_target_has_rows(o->m)))
        pang_overlay_say(o, at, "has a type in the source that the target's data cannot have");
    if (is_hard_change(at->th, at->t, o->m->data_changed))
        pang_overlay_say(o, at, "has a type in the target that the source's data cannot have");
}

/* ---- nullability ---- */

static bool tightens(const pang_model_column *from, const pang_model_column *to)
{
    return from != NULL && !from->required && to->required;
}

static void choose_required(pang_overlay *o, pang_slot *at)
{
    bool source_changed = at->sh == NULL || at->s->required != at->sh->required;
    bool target_changed = at->th == NULL || at->t->required != at->th->required;
    at->required = source_changed && !target_changed ? at->s->required : at->t->required;
    if (at->s->required == at->t->required)
        return;
    if (source_changed && target_changed)
        pang_overlay_say(o, at, "is required on one side and optional on the other");
    else if (tightens(at->sh, at->s) && pang_merging_target_has_rows(o->m))
        pang_overlay_say(o, at, "is required in the source now, and the target has other rows");
    else if (tightens(at->th, at->t) && o->m->data_changed)
        pang_overlay_say(o, at, "is required in the target now, and the source has other rows");
}

/* A column that one side added and the other side's rows lack. */
static void check_added(pang_overlay *o, const pang_slot *at)
{
    const pang_model_column *column = at->s != NULL ? at->s : at->t;
    bool by_source = at->s != NULL;
    bool rows = by_source ? pang_merging_target_has_rows(o->m) : o->m->data_changed;
    bool parent_is_old = at->parent == &o->top ||
                         (by_source ? at->parent->t != NULL : at->parent->s != NULL);
    if (rows && parent_is_old && at->role == PANG_SLOT_FIELD && column->required &&
        !pang_model_has(column->node, "initial-default"))
        pang_overlay_say(o, at, "was added as required, and the other side has rows without it");
}

/* ---- kept or dropped ---- */

static void decide_one_sided(pang_overlay *o, pang_slot *at)
{
    const pang_model_column *there = at->s != NULL ? at->s : at->t;
    const pang_model_column *before = at->s != NULL ? at->sh : at->th;
    bool is_old = at->s != NULL ? at->sh != NULL || at->th != NULL : at->sh != NULL;
    if (!is_old) {
        at->typed = there;
        at->required = there->required;
        /* The target's own of before the last merge: rows of the source can lack it since then. */
        if (at->s != NULL || at->th == NULL)
            check_added(o, at);
        return;
    }
    if (!same_column(at, there, before))
        pang_overlay_say(o, at,
                         at->s != NULL ? "was dropped in the target and changed in the source"
                                       : "was dropped in the source and changed in the target");
}

static void decide(pang_overlay *o)
{
    for (pang_slot *at = o->all; at != NULL; at = at->all_next) {
        if (at->s != NULL && at->t != NULL) {
            choose_type(o, at);
            choose_required(o, at);
        } else if (at->s != NULL || at->t != NULL) {
            decide_one_sided(o, at);
        }
    }
}

/* ---- identifier fields ---- */

/* Ids in the target's terms. */
static pang_json *identifiers(pang_overlay *o, const pang_merging_side *side, bool of_half)
{
    const pang_json *ids = pang_json_get(side->schema, "identifier-field-ids");
    pang_json *list = pang_json_array(o->m->arena);
    for (size_t i = 0; i < pang_json_size(ids); i++) {
        int64_t id = -1;
        (void)pang_json_to_int64(pang_json_at(ids, i), &id);
        if (side == &o->m->source || side == &o->m->source_half)
            id = source_id(o, of_half, id);
        pang_merging_add(o->m, list, pang_json_int(id, o->m->arena));
    }
    return list;
}

static bool same_sets(const pang_json *a, const pang_json *b, pang_merging *m)
{
    pang_model_ids in_a = {.arena = m->arena};
    int64_t id;
    for (size_t i = 0; i < pang_json_size(a); i++) {
        if (pang_json_to_int64(pang_json_at(a, i), &id) && !pang_model_ids_put(&in_a, id, a))
            m->failed = true;
    }
    for (size_t i = 0; i < pang_json_size(b); i++) {
        if (!pang_json_to_int64(pang_json_at(b, i), &id) || pang_model_ids_get(&in_a, id) == NULL)
            return false;
    }
    return pang_json_size(a) == pang_json_size(b);
}

/* The rows' key is one value: half of each side's is nobody's. */
static pang_json *merge_identifiers(pang_overlay *o)
{
    pang_merging *m = o->m;
    pang_json *s = identifiers(o, &m->source, false), *sh = identifiers(o, &m->source_half, true);
    pang_json *t = identifiers(o, &m->target, false), *th = identifiers(o, &m->target_half, true);
    if (same_sets(s, sh, m) || same_sets(s, t, m))
        return t;
    if (same_sets(t, th, m))
        return s;
    pang_merging_conflict(
        m, PANG_CONFLICT_SCHEMA,
        pang_merging_about_property(m, PANG_STR("identifier-field-ids"), th, s, t),
        "property identifier-field-ids is %" PANG_STR_FMT " in the source and %" PANG_STR_FMT
        " in the target",
        PANG_STR_ARG(pang_merging_shown(m, s)), PANG_STR_ARG(pang_merging_shown(m, t)));
    return t;
}

/* ---- the whole ---- */

/* Whether nothing of this merge needs the columns looked at. */
static bool is_quiet(const pang_merging *m)
{
    if (!pang_model_schema_same(m->source.schema, m->source_half.schema))
        return false;
    return !m->data_changed || (pang_model_schema_same(m->target.schema, m->target_half.schema) &&
                                m->source.last_column == m->source_half.last_column);
}

static pang_code read_all(pang_merging *m, pang_err *err)
{
    pang_merging_side *sides[] = {&m->source, &m->source_half, &m->target, &m->target_half};
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < 4; i++)
        code = pang_merging_read(m, sides[i], err);
    return code;
}

static void put_schema(pang_overlay *o)
{
    pang_merging *m = o->m;
    pang_json *fields = pang_overlay_fields(o, &o->top), *ids = merge_identifiers(o);
    pang_json *schema = pang_model_copy(m->target.schema, m->arena);
    pang_merging_put(m, schema, "fields", fields);
    pang_json_remove(schema, "identifier-field-ids");
    if (pang_json_size(ids) > 0)
        pang_merging_put(m, schema, "identifier-field-ids", ids);
    if (m->failed || m->n_conflicts > 0 || pang_model_schema_same(schema, m->target.schema))
        return;
    pang_merging_put(m, pang_merging_update(m, "add-schema"), "schema", schema);
    pang_merging_put(m, pang_merging_update(m, "set-current-schema"), "schema-id",
                     pang_json_int(-1, m->arena));
}

pang_code pang_merging_schema(pang_merging *m, pang_err *err)
{
    pang_overlay o = {.m = m, .by_id = {.arena = m->arena}};
    if (is_quiet(m)) {
        pang_merging_map_columns(m); /* what earlier merges say */
        return PANG_OK;
    }
    pang_code code = read_all(m, err);
    if (code != PANG_OK)
        return code;
    pang_merging_map_columns(m);
    lay(&o, m->target.read, false);
    lay(&o, m->source.read, true);
    lay_half(&o, m->target_half.read, false);
    lay_half(&o, m->source_half.read, true);
    if (!m->failed)
        decide(&o);
    if (!m->failed)
        put_schema(&o);
    return PANG_OK;
}
