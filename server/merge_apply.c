/*
 * Applying: each name of the target is set once, to what comes to it or to nothing; then each asset
 * that comes, moves or goes is told where it is. Locations are the assets' own on all branches, so
 * what comes only needs its reservations to be live.
 */
#include "server/merge_apply.h"

#include <string.h>

#include "server/locations.h"
#include "server/metadata.h"
#include "server/model_view.h"
#include "server/shared.h"

enum { DOCUMENT_BYTES = 256 << 20 }; /* memory for one document as a tree */

static bool changes(const pang_merge_item *item)
{
    return item->fate == PANG_FATE_TAKEN || item->fate == PANG_FATE_MERGED;
}

static bool moves(const pang_merge_item *item)
{
    return item->stands && pang_content_exists(&item->target) &&
           !pang_name_equal(item->target.name, item->to);
}

static bool ends(const pang_merge_item *item)
{
    return !item->stands && pang_content_exists(&item->target);
}

/* ---- what it will be ---- */

typedef struct {
    pang_arena *arena;
    const pang_rec_content *body;
} written;

/* A document that was put together lets nobody write where the asset has no place of its own. */
static pang_code check_place(void *arg, pang_model_place kind, const char *what, pang_str location,
                             pang_err *err)
{
    const written *w = arg;
    pang_location at, own;
    (void)kind;
    pang_code code = pang_location_parse(location, what, w->arena, &at, err);
    for (size_t i = 0; code == PANG_OK && i < w->body->n_reserved; i++) {
        pang_str reserved = pang_str_from(w->body->reserved[i]);
        code = pang_location_parse(reserved, what, w->arena, &own, err);
        if (code == PANG_OK && pang_location_covers(&own, &at))
            return PANG_OK;
    }
    if (code == PANG_OK)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "%s of a merged table is not a place of its own: %" PANG_STR_FMT, what,
                         PANG_STR_ARG(location));
    return code;
}

/* `own`: memory for the document as a tree. */
static pang_code write_tree(const pang_merge_task *task, pang_merge_item *item, pang_arena *own,
                            pang_err *err)
{
    pang_model_facts facts;
    pang_model_file file = {0};
    pang_json *tree = NULL;
    pang_id *document;
    pang_view *view = task->target;
    pang_rec_content *body = item->body;
    written to = {own, body};
    pang_str text;
    pang_code code = pang_metadata_unfold(task->state, &item->document, own, &text, err);
    if (code == PANG_OK)
        code = pang_json_parse(text, own, &tree, err);
    if (code == PANG_OK)
        code = pang_model_places(tree, PANG_MODEL_PLACE_ROOT, check_place, &to, err);
    if (code == PANG_OK)
        code = pang_model_file_name(tree, item->document_base, (pang_str){0}, task->env,
                                    view->arena, &file, err);
    if (code == PANG_OK)
        code = pang_metadata_write(view, task->state, task->env, &file, text, &document, err);
    if (code != PANG_OK)
        return code;
    if (body->kind == PANGOLIN__STORE__V1__KIND__KIND_VIEW)
        pang_model_view_facts_of(tree, &facts);
    else
        pang_model_facts_of(tree, &facts);
    body->metadata_location = pang_arena_cstr(view->arena, file.location);
    body->uuid = pang_arena_cstr(view->arena, facts.table_uuid);
    if (body->metadata_location == NULL || body->uuid == NULL)
        return pang_fail_memory(err);
    body->document = pang_bytes_of_id(document);
    body->schema_id = (int32_t)facts.schema_id;
    body->snapshot_id = facts.has_snapshot ? facts.snapshot_id : -1;
    return PANG_OK;
}

static pang_code write_document(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_arena *own = pang_arena_new(DOCUMENT_BYTES);
    pang_code code = own == NULL ? pang_fail_memory(err) : write_tree(task, item, own, err);
    pang_arena_free(own);
    return code;
}

/* ---- places ---- */

/* Locations are the asset's on all branches; what was dropped everywhere may have lost its own. */
static pang_code bring_places(const pang_merge_task *task, pang_edit *edit, pang_merge_item *item,
                              pang_err *err)
{
    bool has = false;
    pang_code code = pang_locations_bring(task->target, task->env, edit->who, item->body, &has,
                                          err);
    if (code == PANG_OK && !has)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, "ConflictException",
                         "\"%" PANG_STR_FMT "\" cannot come to the target: its location was given "
                         "to another table, or its files are being removed; leave it out (drop)",
                         PANG_STR_ARG(item->key));
    return code;
}

/* Of a table that no other ref can reach; those of others stay, and the collector ends them. */
static pang_code end_places(const pang_merge_task *task, pang_merge_item *item, pang_err *err)
{
    pang_view *view = task->target;
    pang_rec_catalog *settings;
    const pang_rec_content *body = item->target.body;
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    bool shared = true;
    pang_code code = body->n_reserved == 0 ? PANG_OK
                                           : pang_shared_look(view, &item->target, &shared, err);
    if (code == PANG_OK && !shared)
        code = pang_view_settings(view, &settings, err);
    if (code != PANG_OK || shared)
        return code;
    int64_t now_ms = pang_env_wall_ms(task->env);
    int64_t due_ms = now_ms + pang_undrop_life(settings, false);
    due.scope = pang_arena_cstr(view->arena, view->keys.scope);
    due.catalog = pang_bytes_of_id(&view->catalog);
    due.branch = pang_bytes_of_id(&view->levels[0].branch);
    due.asset = body->asset;
    due.release = body->reserved;
    due.n_release = body->n_reserved;
    due.since = pang_since(body, item->target.sequence);
    due.dropped_ms = now_ms;
    if (due.scope == NULL)
        return pang_fail_memory(err);
    code = pang_locations_drop(view, body, due.since, due_ms, err);
    return code == PANG_OK ? pang_due_put(view->txn, view->arena, task->env, due_ms, &due, err)
                           : code;
}

/* ---- names ---- */

/* Items by the names that they will have. */
static pang_code index_names(const pang_merge_plan *plan, pang_index *ret, pang_err *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        pang_merge_item *item = plan->items[i];
        if (changes(item) && item->stands && !pang_index_add(ret, pang_name_hash(item->to), item))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

static bool is_filled(const pang_index *names, pang_name name)
{
    pang_index_walk it = pang_index_of(names, pang_name_hash(name));
    const pang_merge_item *item;
    while ((item = pang_index_next(&it)) != NULL)
        if (pang_name_equal(item->to, name))
            return true;
    return false;
}

/* What is written where the asset was; without memory NULL, and the arena says so. */
static const pang_rec_content *tombstone(const pang_merge_task *task, const pang_merge_item *item)
{
    pang_rec_content *gone = pang_arena_alloc(task->target->arena, sizeof *gone);
    if (gone == NULL)
        return NULL;
    *gone = *item->target.body;
    gone->dropped = true;
    uint64_t origin = pang_content_origin(&item->source);
    bool older = origin < pang_content_origin(&item->target);
    gone->origin = task->base == NULL || older ? 0 : origin;
    return gone;
}

static pang_code set_names(const pang_merge_task *task, pang_edit *edit, const pang_index *names,
                           pang_merge_item *item, pang_err *err)
{
    pang_code code = PANG_OK;
    if (item->stands)
        code = pang_edit_set(edit, &item->at, item->body, err);
    if (code == PANG_OK && (moves(item) || ends(item)) && !is_filled(names, item->target.name))
        code = pang_edit_set(edit, &item->target, ends(item) ? tombstone(task, item) : NULL, err);
    return code;
}

static pang_code place(const pang_merge_task *task, pang_edit *edit, pang_merge_item *item,
                       pang_err *err)
{
    const pang_rec_content *gone = ends(item) ? tombstone(task, item) : NULL;
    if (ends(item))
        return gone == NULL ? pang_fail_memory(err)
                            : pang_edit_place(edit, &item->target, gone, true, err);
    if (item->stands && (moves(item) || !pang_content_exists(&item->target)))
        return pang_edit_place(edit, &item->at, item->body, false, err);
    return PANG_OK;
}

/* Somebody decided for what is older: it comes from both from now on, so it must be the newer. */
static bool is_renewed(const pang_merge_task *task, const pang_merge_item *item)
{
    return task->base != NULL && item->fate == PANG_FATE_KEPT &&
           pang_content_exists(&item->target) &&
           pang_content_origin(&item->source) > pang_content_origin(&item->target);
}

static pang_code renew(pang_edit *edit, const pang_merge_item *item, pang_err *err)
{
    pang_rec_content next = *item->target.body;
    next.origin = next.value_origin = next.name_origin = 0;
    return pang_edit_set(edit, &item->target, &next, err);
}

static pang_code apply_item(const pang_merge_task *task, const pang_index *names, pang_edit *edit,
                            pang_merge_item *item, pang_err *err)
{
    pang_code code = PANG_OK;
    if (is_renewed(task, item))
        return renew(edit, item, err);
    if (!changes(item) || (!item->stands && !ends(item)))
        return PANG_OK;
    if (item->stands && item->document.size > 0)
        code = write_document(task, item, err);
    if (code == PANG_OK && item->stands && !pang_content_exists(&item->target))
        code = bring_places(task, edit, item, err);
    if (code == PANG_OK && ends(item))
        code = end_places(task, item, err);
    if (code == PANG_OK)
        code = set_names(task, edit, names, item, err);
    return code == PANG_OK ? place(task, edit, item, err) : code;
}

/* ---- the commit ---- */

static pang_code add_parent(pang_edit *edit, const pang_commit_row *parent, pang_err *err)
{
    pang_arena *arena = edit->view->arena;
    if (parent->body == NULL)
        return PANG_OK;
    pang_rec_point *point = pang_arena_alloc(arena, sizeof *point);
    edit->parents = pang_arena_alloc_n(arena, 1, sizeof(pang_rec_point *));
    edit->parent_ids = pang_arena_alloc_n(arena, 1, sizeof *edit->parent_ids);
    if (point == NULL || edit->parents == NULL || edit->parent_ids == NULL)
        return pang_fail_memory(err);
    *point = (pang_rec_point)PANGOLIN__STORE__V1__POINT__INIT;
    point->branch = parent->body->branch;
    point->sequence = parent->sequence;
    edit->parents[0] = point;
    edit->parent_ids[0] = parent->body->id;
    edit->n_parents = 1;
    return PANG_OK;
}

/* Its history in the source goes on in the target, though nothing of it shows: what the source did,
 * or what it has seen itself. */
static bool is_seen(const pang_merge_task *task, const pang_merge_item *item, pang_point *ret)
{
    pang_merge_thing thing = pang_merge_thing_of(item);
    bool stays = item->fate == PANG_FATE_UNCHANGED || item->fate == PANG_FATE_KEPT;
    if (!stays || item->not_held)
        return false;
    *ret = task->base->source.points[0];
    if (pang_content_origin(&item->source) > pang_content_origin(&item->half[item->base].source))
        return true;
    const pang_merge_seen *seen = pang_merge_changes_unknown(task->changes, task->base, &thing);
    if (seen != NULL)
        *ret = seen->from;
    return seen != NULL;
}

/* It was there and went again before it could come here: the target shall know that it is gone, as
 * if it had been there. */
static pang_code bury(pang_edit *edit, const pang_merge_item *item, pang_err *err)
{
    pang_rec_content gone = PANGOLIN__STORE__V1__CONTENT__INIT;
    if (pang_id_is_nil(item->asset) || pang_content_exists(&item->source) ||
        pang_content_exists(&item->target) ||
        pang_content_origin(&item->source) <= pang_content_origin(&item->target))
        return PANG_OK;
    gone.asset = pang_bytes_of_id(&item->asset);
    gone.origin = pang_content_origin(&item->source);
    gone.kind = item->source.body != NULL ? item->source.body->kind
                                          : PANGOLIN__STORE__V1__KIND__KIND_TABLE;
    return pang_edit_place(edit, &item->source, &gone, true, err);
}

/* An item as a commit names it that has seen it; NULL without memory. */
static pang_rec_change *seen_of(const pang_merge_item *item, pang_point from, pang_arena *arena)
{
    pang_rec_change *seen = pang_arena_alloc(arena, sizeof *seen);
    pang_rec_point *point = pang_arena_alloc(arena, sizeof *point);
    pang_id *branch = pang_arena_alloc(arena, sizeof *branch);
    if (seen == NULL || point == NULL || branch == NULL)
        return NULL;
    *branch = from.branch;
    *point = (pang_rec_point)PANGOLIN__STORE__V1__POINT__INIT;
    point->branch = pang_bytes_of_id(branch);
    point->sequence = from.sequence;
    *seen = (pang_rec_change)PANGOLIN__STORE__V1__CHANGE__INIT;
    seen->from = point;
    seen->space = pang_id_is_nil(item->asset) ? PANG_SPACE_NAMESPACE : PANG_SPACE_ASSET;
    if (seen->space == PANG_SPACE_ASSET)
        seen->old_asset = pang_bytes_of_id(&item->asset);
    seen->path = pang_arena_cstr(arena, item->to.path);
    seen->name = pang_arena_cstr(arena, item->to.name);
    return seen->path == NULL || seen->name == NULL ? NULL : seen;
}

static pang_code add_seen(const pang_merge_task *task, pang_edit *edit, const pang_merge_plan *plan,
                          pang_err *err)
{
    pang_arena *arena = edit->view->arena;
    edit->seen = pang_arena_alloc_n(arena, plan->n, sizeof(pang_rec_change *));
    if (edit->seen == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < plan->n; i++) {
        pang_point from;
        if (!is_seen(task, plan->items[i], &from))
            continue;
        pang_rec_change *seen = seen_of(plan->items[i], from, arena);
        if (seen == NULL)
            return pang_fail_memory(err);
        edit->seen[edit->n_seen++] = seen;
        pang_code code = bury(edit, plan->items[i], err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

pang_code pang_merge_apply_plan(const pang_merge_task *task, const pang_merge_plan *plan,
                                const pang_merge_apply *how, pang_err *err)
{
    pang_edit *edit;
    pang_code code = pang_edit_begin(task->target, task->env, how->who, &edit, err);
    if (code != PANG_OK)
        return code;
    edit->id = task->commit;
    edit->takes_over = true;
    pang_index names = {.arena = task->target->arena};
    code = index_names(plan, &names, err);
    for (size_t i = 0; code == PANG_OK && i < plan->n; i++)
        code = apply_item(task, &names, edit, plan->items[i], err);
    if (code == PANG_OK)
        code = add_parent(edit, &how->parent, err);
    if (code == PANG_OK && how->marks)
        code = add_seen(task, edit, plan, err);
    if (code == PANG_OK && how->marks)
        code = pang_merge_marks_put(task, plan, edit, err);
    return code == PANG_OK ? pang_edit_end(edit, how->message, err) : code;
}
