/*
 * Model, merging: the four documents and what their histories say: whether both sides still are the
 * table that they were, which columns a side wrote data with, which snapshots nobody names.
 *
 * Histories have gaps, since snapshots expire. A gap never makes a merge wrong: what cannot be told
 * counts as written; only a history that is whole and does not reach the base proves that a table
 * was replaced.
 */
#include <inttypes.h>

#include "server/model_merging.h"

/* ---- begin ---- */

static pang_code open_side(pang_merging *m, pang_merging_side *side, const char *name,
                           const pang_json *document, pang_err *err)
{
    pang_model_build b = {.arena = m->arena, .env = m->merge->env, .base = document};
    pang_code code = pang_model_begin(&b, err);
    if (code != PANG_OK)
        return code;
    *side = (pang_merging_side){.name = name, .raw = document, .doc = b.doc, .version = b.version};
    side->last_column = pang_model_int(b.doc, "last-column-id", 0);
    side->has_head = pang_model_current_snapshot(b.doc, &side->head);
    side->schema = pang_model_find(pang_json_get(b.doc, "schemas"), "schema-id",
                                   pang_model_int(b.doc, "current-schema-id", 0));
    if (side->schema == NULL)
        return pang_model_invalid(err, "cannot merge: the %s has no current schema", name);
    return PANG_OK;
}

pang_code pang_merging_begin(pang_merging *m, const pang_merge_table *merge, bool data_changed,
                             pang_err *err)
{
    *m = (pang_merging){.merge = merge, .arena = merge->arena, .data_changed = data_changed};
    m->columns.arena = m->earlier.arena = m->given.arena = m->arena;
    m->source_wrote.ids.arena = m->target_wrote.ids.arena = m->arena;
    m->updates = pang_json_array(m->arena);
    pang_code code = open_side(m, &m->source, "source", merge->source.document, err);
    if (code == PANG_OK)
        code = open_side(m, &m->source_half, "source", merge->source_half.document, err);
    if (code == PANG_OK)
        code = open_side(m, &m->target, "target", merge->target.document, err);
    if (code == PANG_OK)
        code = open_side(m, &m->target_half, "target", merge->target_half.document, err);
    return code;
}

pang_code pang_merging_read(pang_merging *m, pang_merging_side *side, pang_err *err)
{
    pang_model_path at = PANG_MODEL_IN(NULL, side->name);
    if (side->read != NULL)
        return PANG_OK;
    return pang_model_schema_read(side->schema, &at, m->arena, &side->read, err);
}

/* ---- histories ---- */

static pang_model_ids snapshots_of(pang_merging *m, const pang_merging_side *side)
{
    pang_model_ids ids = {.arena = m->arena};
    const pang_json *list = pang_json_get(side->doc, "snapshots");
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *snapshot = pang_json_at(list, i);
        if (!pang_model_ids_put(&ids, pang_model_int(snapshot, "snapshot-id", -1), snapshot))
            m->failed = true;
    }
    return ids;
}

/* Adds a snapshot and its ancestors to `seen`, as far as they are there. */
static void walk_back(pang_merging *m, const pang_model_ids *snapshots, int64_t id,
                      pang_model_ids *seen)
{
    for (;;) {
        const pang_json *snapshot = pang_model_ids_get(snapshots, id);
        if (pang_model_ids_get(seen, id) != NULL)
            return;
        if (!pang_model_ids_put(seen, id, m))
            m->failed = true;
        if (snapshot == NULL || m->failed ||
            !pang_model_has_int(snapshot, "parent-snapshot-id", &id) || id == -1)
            return;
    }
}

/* What it holds may have come by a merge: ancestors are those of one side only. */
static bool is_of_merge(const pang_json *snapshot)
{
    return pang_model_has(pang_json_get(snapshot, "summary"), PANG_MERGE_COMMIT_PROPERTY);
}

static bool has_merges(const pang_merging_side *side)
{
    const pang_json *list = pang_json_get(side->doc, "snapshots");
    for (size_t i = 0; i < pang_json_size(list); i++)
        if (is_of_merge(pang_json_at(list, i)))
            return true;
    return false;
}

/* Whether the side's head surely has nothing to do with its half's: all that leads to it came since
 * then, from a first snapshot on. What was rolled back, committed upon that, merged, or expired in
 * between has something in common, or may have. */
static bool is_replaced(pang_merging *m, const pang_merging_side *now,
                        const pang_merging_side *half)
{
    if (!half->has_head || !now->has_head || now->head == half->head)
        return half->has_head && !now->has_head;
    if (has_merges(half))
        return false;
    pang_model_ids old = snapshots_of(m, half), all = snapshots_of(m, now);
    pang_model_ids seen = {.arena = m->arena};
    int64_t id = now->head;
    while (pang_model_ids_get(&old, id) == NULL) {
        const pang_json *snapshot = pang_model_ids_get(&all, id);
        if (snapshot == NULL || pang_model_ids_get(&seen, id) != NULL || is_of_merge(snapshot))
            return false;
        if (!pang_model_ids_put(&seen, id, m))
            m->failed = true;
        if (!pang_model_has_int(snapshot, "parent-snapshot-id", &id) || id == -1)
            return true;
    }
    return false;
}

/* ---- what rules a merge out ---- */

static bool same_uuid(const pang_merging_side *a, const pang_merging_side *b)
{
    pang_str x = pang_model_text(a->raw, "table-uuid"), y = pang_model_text(b->raw, "table-uuid");
    return x.len == 0 || y.len == 0 || pang_str_equal_nocase(x, y);
}

static void check_replaced(pang_merging *m, const pang_merging_side *now,
                           const pang_merging_side *half)
{
    if (!same_uuid(now, half))
        pang_merging_conflict(m, PANG_CONFLICT_METADATA,
                              pang_merging_about_property(
                                  m, PANG_STR("table-uuid"), pang_json_get(half->raw, "table-uuid"),
                                  pang_json_get(m->source.raw, "table-uuid"),
                                  pang_json_get(m->target.raw, "table-uuid")),
                              "the %s has another table under this name now: its property "
                              "table-uuid changed",
                              now->name);
    else if (is_replaced(m, now, half))
        pang_merging_conflict(
            m, PANG_CONFLICT_METADATA,
            pang_merging_about_property(m, PANG_STR("current-snapshot-id"),
                                        pang_json_get(half->doc, "current-snapshot-id"),
                                        pang_json_get(m->source.doc, "current-snapshot-id"),
                                        pang_json_get(m->target.doc, "current-snapshot-id")),
            "the table was replaced in the %s: its current snapshot does not descend from that of "
            "the base, %" PRId64,
            now->name, half->head);
}

static pang_str operation_of(const pang_json *snapshot)
{
    return pang_model_text(pang_json_get(snapshot, "summary"), "operation");
}

/* Whether all that the source's head adds to its half was appended. */
static bool only_appends(pang_merging *m)
{
    pang_model_ids all = snapshots_of(m, &m->source), old = snapshots_of(m, &m->source_half);
    pang_model_ids seen = {.arena = m->arena};
    int64_t id = m->source.head;
    if (!m->source.has_head)
        return !m->source_half.has_head;
    while (!m->source_half.has_head || id != m->source_half.head) {
        const pang_json *snapshot = pang_model_ids_get(&all, id);
        if (snapshot == NULL || pang_model_ids_get(&seen, id) != NULL ||
            pang_model_ids_get(&old, id) != NULL ||
            !pang_str_equal(operation_of(snapshot), PANG_STR("append")))
            return false;
        if (!pang_model_ids_put(&seen, id, m))
            m->failed = true;
        if (!pang_model_has_int(snapshot, "parent-snapshot-id", &id) || id == -1)
            return !m->source_half.has_head;
    }
    return true;
}

static void check_versions(pang_merging *m)
{
    if (m->source.version == m->target.version || !m->data_changed || only_appends(m))
        return;
    pang_merging_conflict(
        m, PANG_CONFLICT_METADATA,
        pang_merging_about_property(m, PANG_STR("format-version"),
                                    pang_json_get(m->source_half.doc, "format-version"),
                                    pang_json_get(m->source.doc, "format-version"),
                                    pang_json_get(m->target.doc, "format-version")),
        "property format-version is %d in the source and %d in the target, and the source did more "
        "than append data",
        m->source.version, m->target.version);
}

/* Encrypted manifests cannot be written again without the keys, which no catalog holds. */
static void check_encrypted(pang_merging *m)
{
    pang_merging_side *sides[] = {&m->source, &m->target};
    for (size_t i = 0; m->data_changed && i < 2; i++) {
        if (!sides[i]->has_head)
            continue;
        const pang_json *head = pang_model_find(pang_json_get(sides[i]->doc, "snapshots"),
                                                "snapshot-id", sides[i]->head);
        if (!pang_model_has(head, "key-id"))
            continue;
        pang_merging_conflict(
            m, PANG_CONFLICT_METADATA,
            pang_merging_about_names(m, "conflicting_properties", PANG_STR("encryption-keys")),
            "the manifests of the %s are encrypted (property encryption-keys): "
            "changes of data cannot be merged",
            sides[i]->name);
        return;
    }
}

/* A column's id in details; null: it has none on that side. */
static pang_json *shown_column(pang_merging *m, int32_t id)
{
    return id < 0 ? pang_json_null(m->arena) : pang_json_int(id, m->arena);
}

/* Files of the source hold its own ids, which are other columns in the target. */
static void check_map(pang_merging *m)
{
    if (!m->data_changed || m->n_map < 2)
        return;
    pang_json *columns = pang_json_array(m->arena), *details = pang_json_object(m->arena);
    for (size_t i = 0; i + 1 < m->n_map && i < 2 * PANG_CONFLICTS_MAX; i += 2) {
        pang_json *pair = pang_json_object(m->arena);
        pang_merging_put(m, pair, "source", shown_column(m, m->map[i]));
        pang_merging_put(m, pair, "target", shown_column(m, m->map[i + 1]));
        pang_merging_add(m, columns, pair);
    }
    pang_merging_put(m, details, "columns", columns);
    bool here = m->map[0] >= 0, there = m->map[1] >= 0;
    if (here && there)
        pang_merging_conflict(
            m, PANG_CONFLICT_SCHEMA, details,
            "column %" PRId32 " of the source has id %" PRId32 " in the target since "
            "an earlier merge: data of the source merges again once the source is "
            "rebased",
            m->map[0], m->map[1]);
    else
        pang_merging_conflict(m, PANG_CONFLICT_SCHEMA, details,
                              "column %" PRId32 " of the %s is none of the %s's: somebody decided "
                              "against it, or took a table that has another column under its id; "
                              "data of the source merges again once the source is rebased",
                              here ? m->map[0] : m->map[1], here ? "source" : "target",
                              here ? "target" : "source");
}

void pang_merging_check_sides(pang_merging *m)
{
    if (!same_uuid(&m->source, &m->target) && same_uuid(&m->source, &m->source_half) &&
        same_uuid(&m->target, &m->target_half))
        pang_merging_conflict(
            m, PANG_CONFLICT_METADATA,
            pang_merging_about_property(m, PANG_STR("table-uuid"), NULL,
                                        pang_json_get(m->source.raw, "table-uuid"),
                                        pang_json_get(m->target.raw, "table-uuid")),
            "source and target are different tables: their property table-uuid "
            "differs");
    check_replaced(m, &m->source, &m->source_half);
    check_replaced(m, &m->target, &m->target_half);
    check_versions(m);
    check_encrypted(m);
    pang_merging_check_ids(m);
    check_map(m);
}

/* ---- written data ---- */

static void note_schema(pang_merging *m, pang_merging_written *wrote, const pang_merging_side *side,
                        int64_t schema_id, int64_t last)
{
    pang_model_schema *schema;
    const pang_json *node = pang_model_find(pang_json_get(side->doc, "schemas"), "schema-id",
                                            schema_id);
    if (node == NULL || pang_model_schema_read(node, NULL, m->arena, &schema, NULL) != PANG_OK) {
        wrote->any = true;
        return;
    }
    for (size_t i = 0; i < schema->n; i++) {
        int64_t id = schema->columns[i].id;
        if (id > last && pang_model_ids_get(&wrote->ids, id) == NULL)
            pang_merging_pair(m, &wrote->fresh, id, id);
        if (!pang_model_ids_put(&wrote->ids, id, m))
            m->failed = true;
    }
}

/* By the schemas of the snapshots that came. */
static void learn_written(pang_merging *m, pang_merging_written *wrote,
                          const pang_merging_side *now, const pang_merging_side *half,
                          const pang_model_ids *old)
{
    pang_model_ids schemas = {.arena = m->arena};
    const pang_json *list = pang_json_get(now->doc, "snapshots");
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *snapshot = pang_json_at(list, i);
        int64_t schema_id;
        if (pang_model_ids_get(old, pang_model_int(snapshot, "snapshot-id", -1)) != NULL)
            continue;
        if (!pang_model_has_int(snapshot, "schema-id", &schema_id)) {
            wrote->any = true;
        } else if (pang_model_ids_get(&schemas, schema_id) == NULL) {
            note_schema(m, wrote, now, schema_id, half->last_column);
            if (!pang_model_ids_put(&schemas, schema_id, m))
                m->failed = true;
        }
    }
}

/* Snapshots that came and expired are known by the gap that they leave. */
static bool has_gap(pang_merging *m, const pang_merging_side *now, const pang_model_ids *old)
{
    pang_model_ids all = snapshots_of(m, now), seen = {.arena = m->arena};
    int64_t id = now->head;
    while (now->has_head && pang_model_ids_get(old, id) == NULL) {
        const pang_json *snapshot = pang_model_ids_get(&all, id);
        if (snapshot == NULL || pang_model_ids_get(&seen, id) != NULL)
            return true;
        if (!pang_model_ids_put(&seen, id, m))
            m->failed = true;
        if (!pang_model_has_int(snapshot, "parent-snapshot-id", &id) || id == -1)
            return false;
    }
    return false;
}

const pang_merging_written *pang_merging_wrote(pang_merging *m, bool source)
{
    pang_merging_written *wrote = source ? &m->source_wrote : &m->target_wrote;
    const pang_merging_side *now = source ? &m->source : &m->target;
    const pang_merging_side *half = source ? &m->source_half : &m->target_half;
    if (wrote->known)
        return wrote;
    pang_model_ids old = snapshots_of(m, half);
    learn_written(m, wrote, now, half, &old);
    wrote->any = wrote->any || has_gap(m, now, &old);
    wrote->known = true;
    return wrote;
}

bool pang_merging_wrote_column(pang_merging *m, bool source, int64_t column)
{
    const pang_merging_written *wrote = pang_merging_wrote(m, source);
    return wrote->any || pang_model_ids_get(&wrote->ids, column) != NULL;
}

bool pang_merging_target_has_rows(const pang_merging *m)
{
    if (!m->target.has_head)
        return false;
    return !m->merge->one_half || !m->target_half.has_head || m->target.head != m->target_half.head;
}

/* ---- left behind ---- */

static pang_json *about_snapshot(pang_merging *m, const pang_json *snapshot)
{
    static const char *const words[] = {"operation", "wap.id"};
    pang_json *entry = pang_json_object(m->arena);
    const pang_json *summary = pang_json_get(snapshot, "summary");
    pang_merging_put(m, entry, "snapshot-id", pang_json_get(snapshot, "snapshot-id"));
    pang_merging_put(m, entry, "timestamp-ms", pang_json_get(snapshot, "timestamp-ms"));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (pang_model_has(summary, words[i]))
            pang_merging_put(m, entry, words[i], pang_json_get(summary, words[i]));
    }
    return entry;
}

pang_json *pang_merging_left_behind(pang_merging *m)
{
    pang_model_ids old = snapshots_of(m, &m->source_half), all = snapshots_of(m, &m->source);
    pang_model_ids reached = {.arena = m->arena};
    pang_json_members it = {.object = pang_json_get(m->source.doc, "refs")};
    pang_json *found = pang_json_array(m->arena), *ref;
    const pang_json *list = pang_json_get(m->source.doc, "snapshots");
    pang_str name;
    while (pang_json_next(&it, &name, &ref))
        walk_back(m, &all, pang_model_int(ref, "snapshot-id", -1), &reached);
    if (m->source.has_head)
        walk_back(m, &all, m->source.head, &reached);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *snapshot = pang_json_at(list, i);
        int64_t id = pang_model_int(snapshot, "snapshot-id", -1);
        if (pang_model_ids_get(&old, id) == NULL && pang_model_ids_get(&reached, id) == NULL)
            pang_merging_add(m, found, about_snapshot(m, snapshot));
    }
    return found;
}
