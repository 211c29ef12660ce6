/*
 * Expiry: first what stays is marked, from each ref of the table, then the rest is listed, and the
 * model builds the next document from that as it would for an engine.
 */
#include "server/expire.h"

#include <stdlib.h>

#include "server/state_internal.h"

/* A snapshot of the document. */
typedef struct {
    int64_t id, parent, time_ms;
    bool has_parent, is_ancestor, stays;
} snapshot;

typedef struct {
    snapshot *list; /* by id */
    size_t n;
    const pang_expiry *expiry;
    int64_t now_ms;
} choosing;

static int by_id(const void *a, const void *b)
{
    const snapshot *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static snapshot *find(choosing *c, int64_t id)
{
    snapshot wanted = {.id = id};
    return c->n == 0 ? NULL : bsearch(&wanted, c->list, c->n, sizeof wanted, by_id);
}

static bool int_of(const pang_json *object, const char *name, int64_t *ret)
{
    return pang_json_to_int64(pang_json_get(object, name), ret);
}

static pang_code read_snapshots(choosing *c, const pang_json *document, pang_arena *arena,
                                pang_err *err)
{
    const pang_json *all = pang_json_get(document, "snapshots");
    c->list = pang_arena_alloc_n(arena, pang_json_size(all) + 1, sizeof *c->list);
    if (c->list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < pang_json_size(all); i++) {
        const pang_json *one = pang_json_at(all, i);
        snapshot made = {0};
        if (!int_of(one, "snapshot-id", &made.id))
            continue;
        made.has_parent = int_of(one, "parent-snapshot-id", &made.parent);
        (void)int_of(one, "timestamp-ms", &made.time_ms);
        c->list[c->n++] = made;
    }
    if (c->n > 1)
        qsort(c->list, c->n, sizeof *c->list, by_id);
    return PANG_OK;
}

/* From a branch's head down: the newest ones by count and by age stay. */
static void keep_branch(choosing *c, int64_t head, const pang_json *ref)
{
    int64_t least = c->expiry->retain_last < 1 ? 1 : c->expiry->retain_last, age, kept = 0;
    int64_t older_than = c->expiry->older_than_ms;
    (void)int_of(ref, "min-snapshots-to-keep", &least);
    if (int_of(ref, "max-snapshot-age-ms", &age))
        older_than = c->now_ms - age;
    bool on = true;
    size_t steps = 0;
    for (snapshot *s = find(c, head); s != NULL && steps < c->n; steps++) {
        on = on && (kept < least || s->time_ms >= older_than);
        s->is_ancestor = true;
        s->stays = s->stays || on;
        kept += on;
        s = s->has_parent ? find(c, s->parent) : NULL;
    }
}

static void keep_ref(choosing *c, const pang_json *ref)
{
    pang_str type;
    int64_t id;
    snapshot *named = int_of(ref, "snapshot-id", &id) ? find(c, id) : NULL;
    if (named == NULL)
        return;
    named->stays = true;
    if (pang_json_to_str(pang_json_get(ref, "type"), &type) &&
        pang_str_equal(type, PANG_STR("branch")))
        keep_branch(c, id, ref);
}

static void keep_all(choosing *c, const pang_json *document)
{
    pang_json_members it = {.object = pang_json_get(document, "refs")};
    pang_json *ref;
    pang_str name;
    int64_t current;
    while (pang_json_next(&it, &name, &ref))
        keep_ref(c, ref);
    if (int_of(document, "current-snapshot-id", &current) && find(c, current) != NULL) {
        find(c, current)->stays = true;
        if (pang_json_get(pang_json_get(document, "refs"), "main") == NULL)
            keep_branch(c, current, NULL);
    }
    /* What no branch leads to, as of a write that was not published, goes by its age. */
    for (size_t i = 0; i < c->n; i++)
        if (!c->list[i].is_ancestor && c->list[i].time_ms >= c->expiry->older_than_ms)
            c->list[i].stays = true;
}

pang_code pang_expire_choose(const pang_json *document, const pang_expiry *expiry, int64_t now_ms,
                             pang_arena *arena, pang_json **ret, size_t *ret_n, pang_err *err)
{
    choosing c = {.expiry = expiry, .now_ms = now_ms};
    pang_json *ids = pang_json_array(arena);
    *ret_n = 0;
    pang_code code = ids == NULL ? pang_fail_memory(err) : read_snapshots(&c, document, arena, err);
    if (code != PANG_OK)
        return code;
    keep_all(&c, document);
    for (size_t i = 0; i < c.n; i++) {
        if (c.list[i].stays)
            continue;
        if (!pang_json_append(ids, pang_json_int(c.list[i].id, arena)))
            return pang_fail_memory(err);
        ++*ret_n;
    }
    *ret = ids;
    return PANG_OK;
}

/* ---- the commit ---- */

static pang_code removal_of(pang_json *ids, pang_arena *arena, pang_json **ret, pang_err *err)
{
    pang_json *updates = pang_json_array(arena), *one = pang_json_object(arena);
    if (updates == NULL || one == NULL ||
        !pang_json_set(one, "action", pang_json_str(PANG_STR("remove-snapshots"), arena)) ||
        !pang_json_set(one, "snapshot-ids", ids) || !pang_json_append(updates, one))
        return pang_fail_memory(err);
    *ret = updates;
    return PANG_OK;
}

static pang_code write_next(pang_view *view, pang_state *state, const pang_content *table,
                            const pang_json *document, pang_rec_content *next, pang_err *err)
{
    const pang_env *env = state->config.env;
    pang_model_file file;
    pang_model_facts facts;
    pang_str text, folder;
    pang_id *id;
    pang_str base = pang_str_from(table->body->metadata_location);
    pang_code code = pang_branch_metadata_folder(view, document, &folder, err);
    if (code == PANG_OK)
        code = pang_json_print_again(document, view->arena, &text, err);
    if (code == PANG_OK)
        code = pang_model_file_name(document, base, folder, env, view->arena, &file, err);
    if (code == PANG_OK)
        code = pang_metadata_write(view, state, env, &file, text, &id, err);
    if (code != PANG_OK)
        return code;
    *next = *table->body;
    pang_model_facts_of(document, &facts);
    next->metadata_location = pang_arena_cstr(view->arena, file.location);
    next->document = pang_bytes_of_id(id);
    next->schema_id = (int32_t)facts.schema_id;
    next->snapshot_id = facts.has_snapshot ? facts.snapshot_id : -1;
    return next->metadata_location == NULL ? pang_fail_memory(err) : PANG_OK;
}

static pang_code save(pang_view *view, pang_state *state, const pang_principal *who,
                      const pang_content *table, const pang_json *document, size_t n, pang_err *err)
{
    pang_rec_content next;
    pang_edit *edit;
    pang_code code = write_next(view, state, table, document, &next, err);
    if (code == PANG_OK)
        code = pang_edit_begin(view, state->config.env, who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_update(edit, table, &next, err);
    if (code == PANG_OK)
        code = pang_edit_end(edit,
                             pang_arena_printf(view->arena,
                                               "expire %zu snapshots of %" PANG_STR_FMT, n,
                                               PANG_STR_ARG(table->name.name)),
                             err);
    return code;
}

static pang_code next_document(pang_view *view, pang_state *state, const pang_json *document,
                               const pang_content *table, pang_json *ids, pang_json **ret,
                               pang_err *err)
{
    pang_json *updates = NULL;
    pang_model_outcome outcome;
    pang_code code = removal_of(ids, view->arena, &updates, err);
    if (code != PANG_OK)
        return code;
    pang_model_change change = {
        .base = document,
        .base_location = pang_str_from(table->body->metadata_location),
        .updates = updates,
    };
    code = pang_model_commit(&change, state->config.env, view->arena, &outcome, err);
    if (code == PANG_OK)
        *ret = outcome.document;
    return code;
}

pang_code pang_expire_table(pang_view *view, pang_state *state, const pang_principal *who,
                            const pang_content *table, const pang_expiry *expiry, bool dry_run,
                            size_t *ret_n, pang_err *err)
{
    pang_json *document, *ids, *next;
    pang_str text, gc;
    *ret_n = 0;
    pang_code code = pang_metadata_load(view, state, table->body, PANG_WHOLE, &text, err);
    if (code == PANG_OK)
        code = pang_json_parse(text, view->arena, &document, err);
    if (code != PANG_OK)
        return code;
    if (pang_model_property(document, PANG_STR("gc.enabled"), &gc) &&
        pang_str_equal_nocase(gc, PANG_STR("false")))
        return pang_fail(err, PANG_FAILED_PRECONDITION, "ValidationException",
                         "Cannot expire snapshots: gc.enabled is false");
    code = pang_expire_choose(document, expiry, pang_env_wall_ms(state->config.env), view->arena,
                              &ids, ret_n, err);
    if (code != PANG_OK || *ret_n == 0 || dry_run)
        return code;
    code = next_document(view, state, document, table, ids, &next, err);
    return code == PANG_OK ? save(view, state, who, table, next, *ret_n, err) : code;
}
