/*
 * A commit's record lists the names that it changed, by their keys, and which asset each stood for
 * before and after; what else is told of a name is read at the commit's own point, and at the one
 * before it. Of a rename the record has two changes, one for each name, with the same asset: they
 * are told as one.
 */
#include "server/commits.h"

#include <string.h>

#include "server/assets.h"
#include "server/index.h"
#include "server/svc_manage.h"

typedef Pangolin__V1__Commit commit_out;
typedef Pangolin__V1__CommitChange change_out;
typedef Pangolin__V1__CommitOperation operation_out;

#define KIND(name) PANGOLIN__STORE__V1__KIND__KIND_##name
#define STATE(name) PANGOLIN__V1__COMMIT_STATE___##name

char *pang_kind_text(Pangolin__Store__V1__Kind kind)
{
    static const char *const texts[] = {[KIND(NAMESPACE)] = "namespace",
                                        [KIND(TABLE)] = "table",
                                        [KIND(VIEW)] = "view",
                                        [KIND(GENERIC)] = "asset"};
    bool known = kind >= KIND(NAMESPACE) && kind <= KIND(GENERIC);
    return (char *)(uintptr_t)(known ? texts[kind] : "");
}

pang_code pang_branch_text(pang_view *view, pang_id branch, char **ret, pang_err *err)
{
    pang_rec_branch *body = NULL;
    pang_code code = pang_branch_find(view, branch, &body, err);
    if (code == PANG_NOT_FOUND) { /* of one that is gone with its history */
        *ret = (char *)(uintptr_t)protobuf_c_empty_string;
        return PANG_OK;
    }
    if (code == PANG_OK)
        *ret = body->name;
    return code;
}

pang_code pang_commit_at(pang_view *view, pang_point point, pang_commit_row *ret, pang_err *err)
{
    pang_record record;
    pang_ref ref = {.key = pang_key_commit(&view->keys, point.branch, point.sequence)};
    *ret = (pang_commit_row){0};
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    ret->sequence = record.sequence;
    ret->time_ms = record.time_ms;
    return pang_record_unpack(&pangolin__store__v1__commit__descriptor, &record, view->arena,
                              &ret->body, err);
}

/* ---- states ---- */

pang_code pang_state_show(const pang_content *content, pang_arena *arena,
                          Pangolin__V1__CommitState **ret, pang_err *err)
{
    *ret = NULL;
    if (!pang_content_exists(content))
        return PANG_OK;
    Pangolin__V1__CommitState *state = pang_arena_alloc(arena, sizeof *state);
    if (state == NULL)
        return pang_fail_memory(err);
    *state = (Pangolin__V1__CommitState)PANGOLIN__V1__COMMIT_STATE__INIT;
    const pang_rec_content *body = content->body;
    state->asset_id = pang_manage_id_text(pang_id_of(body->asset), arena);
    state->sequence = (int64_t)content->sequence;
    if (body->metadata_location != NULL)
        state->metadata_location = body->metadata_location;
    if (body->kind == KIND(TABLE)) {
        if (body->snapshot_id != -1)
            state->_snapshot_id_case = STATE(SNAPSHOT_ID_SNAPSHOT_ID);
        state->snapshot_id = body->snapshot_id;
        state->_schema_id_case = STATE(SCHEMA_ID_SCHEMA_ID);
        state->schema_id = body->schema_id;
    }
    *ret = state;
    return pang_manage_built(arena, err);
}

/* What the changes' names stood for at a point; `own`: on the branch itself. */
static pang_code read_states(const pang_view *of, const pang_commit_row *row, size_t n,
                             uint64_t sequence, bool own, pang_content *ret, pang_err *err)
{
    pang_view view = *of;
    pang_code code = pang_view_at_point(&view, pang_id_of(row->body->branch), sequence, err);
    if (own)
        view.n_levels = 1; /* what a commit wrote is there */
    for (size_t i = 0; i < n; i++) {
        const pang_rec_change *change = row->body->changes[i];
        ret[i].name = (pang_name){(pang_space)change->space, pang_str_from(change->path),
                                  pang_str_from(change->name)};
    }
    for (size_t i = 0; code == PANG_OK && i < n; i += PANG_NAMES_AT_ONCE_MAX) {
        size_t left = n - i;
        code = pang_content_get(&view, ret + i,
                                left < PANG_NAMES_AT_ONCE_MAX ? left : PANG_NAMES_AT_ONCE_MAX, err);
    }
    return code;
}

/* ---- changes ---- */

static ProtobufCBinaryData bytes_of_asset(const pang_rec_change *change)
{
    return change->new_asset.len > 0 ? change->new_asset : change->old_asset;
}

static pang_str asset_of(const pang_rec_change *change)
{
    return pang_str_of(bytes_of_asset(change));
}

static bool loses_name(const pang_rec_change *change)
{
    return change->old_asset.len > 0 && change->new_asset.len == 0;
}

static bool gets_name(const pang_rec_change *change)
{
    return change->old_asset.len == 0 && change->new_asset.len > 0;
}

/* The changes that may be halves of renames, by their asset. */
static pang_code index_renames(const pang_rec_commit *commit, pang_index *ret, pang_err *err)
{
    for (size_t i = 0; i < commit->n_changes; i++) {
        pang_rec_change *change = commit->changes[i];
        if ((loses_name(change) || gets_name(change)) &&
            !pang_index_add(ret, pang_str_hash(asset_of(change)), change))
            return pang_fail_memory(err);
    }
    return PANG_OK;
}

/* The other half of a rename: by which a new name's asset lost the one it had, or an asset that
 * lost its name got another; NULL: there is none. */
static const pang_rec_change *other_half(const pang_index *renames, const pang_rec_change *change)
{
    pang_index_walk it = pang_index_of(renames, pang_str_hash(asset_of(change)));
    const pang_rec_change *other;
    while ((other = pang_index_next(&it)) != NULL)
        if (other->space == change->space && pang_str_equal(asset_of(other), asset_of(change)) &&
            (gets_name(change) ? loses_name(other) : loses_name(change) && gets_name(other)))
            return other;
    return NULL;
}

static const char *what_happened(const pang_rec_change *change)
{
    if (change->new_asset.len == 0)
        return "dropped";
    return change->old_asset.len == 0 ? "created" : "updated";
}

/* `from`: of a rename, what tells the old name; else NULL. */
static pang_code show_change(pang_view *view, const pang_rec_change *change,
                             const pang_rec_change *from, change_out **ret, pang_err *err)
{
    change_out *to = pang_arena_alloc(view->arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (change_out)PANGOLIN__V1__COMMIT_CHANGE__INIT;
    to->change = (char *)(uintptr_t)(from != NULL ? "renamed" : what_happened(change));
    to->kind = pang_kind_text(change->kind);
    to->name = change->name;
    to->asset_id = pang_manage_id_text(pang_id_of(bytes_of_asset(change)), view->arena);
    pang_code code = pang_path_levels(pang_str_from(change->path), view->arena, &to->namespace_,
                                      &to->n_namespace_, err);
    if (code == PANG_OK && from != NULL) {
        to->from_name = from->name;
        code = pang_path_levels(pang_str_from(from->path), view->arena, &to->from_namespace,
                                &to->n_from_namespace, err);
    }
    *ret = to;
    return code;
}

/* ---- operations: the same for older clients ---- */

static pang_code show_put(pang_view *view, const change_out *change, const pang_content *state,
                          operation_out *to, pang_err *err)
{
    Pangolin__V1__CommitAsset *asset = pang_arena_alloc(view->arena, sizeof *asset);
    to->put = pang_arena_alloc(view->arena, sizeof *to->put);
    if (asset == NULL || to->put == NULL)
        return pang_fail_memory(err);
    *to->put = (Pangolin__V1__CommitPut)PANGOLIN__V1__COMMIT_PUT__INIT;
    *asset = (Pangolin__V1__CommitAsset)PANGOLIN__V1__COMMIT_ASSET__INIT;
    to->put->asset = asset;
    asset->id = change->asset_id;
    asset->name = change->name;
    asset->kind = (char *)(uintptr_t)(strcmp(change->kind, "view") == 0 ? "VIEW" : "ICEBERG_TABLE");
    asset->namespace_ = change->namespace_;
    asset->n_namespace_ = change->n_namespace_;
    if (pang_content_exists(state)) {
        asset->kind = (char *)(uintptr_t)pang_asset_kind(state->body);
        asset->location = pang_asset_location(state->body);
    }
    return PANG_OK;
}

static pang_code show_delete(pang_view *view, const pang_rec_change *change, operation_out *to,
                             pang_err *err)
{
    to->delete_ = pang_arena_alloc(view->arena, sizeof *to->delete_);
    if (to->delete_ == NULL)
        return pang_fail_memory(err);
    *to->delete_ = (Pangolin__V1__CommitDelete)PANGOLIN__V1__COMMIT_DELETE__INIT;
    to->delete_->name = pang_arena_cstr(
        view->arena, pang_arena_printf(view->arena, "%s.%s", change->path, change->name));
    return to->delete_->name == NULL ? pang_fail_memory(err) : PANG_OK;
}

static pang_code show_operation(pang_view *view, const pang_rec_change *change,
                                const change_out *shown, const pang_content *state,
                                operation_out **ret, pang_err *err)
{
    operation_out *to = pang_arena_alloc(view->arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (operation_out)PANGOLIN__V1__COMMIT_OPERATION__INIT;
    *ret = to;
    return change->new_asset.len > 0 ? show_put(view, shown, state, to, err)
                                     : show_delete(view, change, to, err);
}

/* ---- all of a commit ---- */

/* Changes, and the states around them. */
static pang_code show_changes(pang_view *view, const pang_commit_row *row, size_t n, bool before,
                              commit_out *to, pang_err *err)
{
    const pang_rec_commit *commit = row->body;
    pang_content *after = pang_arena_alloc_n(view->arena, n, sizeof *after);
    pang_content *earlier = pang_arena_alloc_n(view->arena, n, sizeof *earlier);
    to->changes = pang_arena_alloc_n(view->arena, n, sizeof *to->changes);
    to->operations = pang_arena_alloc_n(view->arena, n, sizeof *to->operations);
    if (after == NULL || earlier == NULL || to->changes == NULL || to->operations == NULL)
        return pang_fail_memory(err);
    pang_floor floor = {0};
    pang_index renames = {.arena = view->arena};
    pang_code code = index_renames(commit, &renames, err);
    if (code == PANG_OK)
        code = pang_floor_of(view, &floor, err);
    if (code == PANG_OK)
        code = read_states(view, row, n, row->sequence, true, after, err);
    before = before && row->sequence > floor.number;
    if (code == PANG_OK && before)
        code = read_states(view, row, n, row->sequence - 1, false, earlier, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        const pang_rec_change *change = commit->changes[i];
        const pang_rec_change *half = other_half(&renames, change);
        change_out *shown = NULL;
        code = show_change(view, change, gets_name(change) ? half : NULL, &shown, err);
        if (code == PANG_OK && change->space == PANG_SPACE_ASSET)
            code = show_operation(view, change, shown, &after[i],
                                  &to->operations[to->n_operations++], err);
        if (code != PANG_OK || (half != NULL && loses_name(change)))
            continue; /* the new name tells */
        to->changes[to->n_changes++] = shown;
        if (after[i].sequence == row->sequence)
            code = pang_state_show(&after[i], view->arena, &shown->after, err);
        if (code == PANG_OK && before)
            code = pang_state_show(&earlier[i], view->arena, &shown->before, err);
    }
    return code;
}

static pang_code show_properties(pang_view *view, const pang_rec_commit *commit, commit_out *to,
                                 pang_err *err)
{
    typedef Pangolin__V1__Commit__PropertiesEntry entry;
    entry *entries = pang_arena_alloc_n(view->arena, commit->n_properties, sizeof *entries);
    to->properties = pang_arena_alloc_n(view->arena, commit->n_properties, sizeof *to->properties);
    if (entries == NULL || to->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < commit->n_properties; i++) {
        entries[i] = (entry)PANGOLIN__V1__COMMIT__PROPERTIES_ENTRY__INIT;
        entries[i].key = commit->properties[i]->name;
        entries[i].value = commit->properties[i]->value;
        to->properties[i] = &entries[i];
    }
    to->n_properties = commit->n_properties;
    return PANG_OK;
}

static bool take_id(void *arg, const pang_commit_row *row)
{
    *(pang_id *)arg = pang_id_of(row->body->id);
    return false;
}

/* The branch's commit before, then those that were merged. */
static pang_code show_parents(const pang_view *of, const pang_commit_row *row, commit_out *to,
                              pang_err *err)
{
    pang_view view = *of;
    pang_floor floor;
    pang_id first = {{0}};
    const pang_rec_commit *commit = row->body;
    pang_code code = pang_view_at_point(&view, pang_id_of(commit->branch), row->sequence, err);
    if (code == PANG_OK)
        code = pang_log_view(&view, err);
    if (code == PANG_OK)
        code = pang_floor_of(&view, &floor, err);
    if (code == PANG_OK && row->sequence > floor.number) /* else it need not be there any more */
        code = pang_commit_walk(&view, row->sequence, take_id, &first, err);
    if (code == PANG_NOT_FOUND)
        code = PANG_OK; /* the branch is gone with its history */
    if (code != PANG_OK)
        return code;
    to->parents = pang_arena_alloc_n(view.arena, commit->n_parent_ids + 1, sizeof *to->parents);
    if (to->parents == NULL)
        return pang_fail_memory(err);
    if (!pang_id_is_nil(first)) {
        to->parent_id = pang_manage_id_text(first, view.arena);
        to->parents[to->n_parents++] = to->parent_id;
    }
    for (size_t i = 0; i < commit->n_parent_ids; i++)
        to->parents[to->n_parents++] = pang_manage_id_text(pang_id_of(commit->parent_ids[i]),
                                                           view.arena);
    return pang_manage_built(view.arena, err);
}

pang_code pang_commit_show(pang_view *view, const pang_commit_row *row, pang_commit_shape *shape,
                           commit_out **ret, pang_err *err)
{
    const pang_rec_commit *commit = row->body;
    commit_out *to = pang_arena_alloc(view->arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (commit_out)PANGOLIN__V1__COMMIT__INIT;
    to->id = pang_manage_id_text(pang_id_of(commit->id), view->arena);
    to->timestamp = row->time_ms;
    to->author = commit->author_name;
    to->author_id = pang_manage_id_text(pang_id_of(commit->author), view->arena);
    to->message = commit->message;
    to->sequence = (int64_t)row->sequence;
    to->changes_count = (int32_t)commit->n_changes;
    size_t n = commit->n_changes < shape->changes_max ? commit->n_changes : shape->changes_max;
    if (n > shape->details_left)
        n = 0;
    shape->details_left -= n;
    pang_code code = pang_branch_text(view, pang_id_of(commit->branch), &to->branch, err);
    if (code == PANG_OK)
        code = show_parents(view, row, to, err);
    if (code == PANG_OK)
        code = show_properties(view, commit, to, err);
    if (code == PANG_OK && n > 0)
        code = show_changes(view, row, n, shape->before, to, err);
    *ret = to;
    return code == PANG_OK ? pang_manage_built(view->arena, err) : code;
}
