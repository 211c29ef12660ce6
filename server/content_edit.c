/*
 * Content, writing: each change puts the new current record, and what it replaces into history
 * under the number that the commit is going to get; the last step writes the commit's record with
 * its list of changes, from which histories, differences and merges are read.
 */
#include <assert.h>
#include <string.h>

#include "api/keys_identity.h"
#include "server/refs.h"
#include "server/remark.h"

#define NAMESPACE PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE
#define TABLE PANGOLIN__STORE__V1__KIND__KIND_TABLE
#define VIEW PANGOLIN__STORE__V1__KIND__KIND_VIEW
#define GENERIC PANGOLIN__STORE__V1__KIND__KIND_GENERIC

enum {
    CHANGE_BYTES = 112,   /* of a listed change beside its name */
    LIST_SLACK = 1 << 20, /* what a commit's record says besides */
};

static void put(pang_edit *edit, uint32_t kind, pang_str key, const ProtobufCMessage *body)
{
    pang_put put = {
        .key = key,
        .body = pang_record_pack(body, edit->view->arena),
        .kind = kind,
        .slot = edit->slot,
        .key_slot = PANG_NO_SLOT,
    };
    pang_txn_put_full(edit->view->txn, &put);
}

/* A record whose key ends with the number of this commit. */
static void put_numbered(pang_edit *edit, uint32_t kind, pang_str key, const ProtobufCMessage *body)
{
    pang_put put = {
        .key = key,
        .body = pang_record_pack(body, edit->view->arena),
        .kind = kind,
        .slot = edit->slot,
        .key_slot = edit->slot,
        .key_slot_at = pang_key_slot_at(key),
    };
    pang_txn_put_full(edit->view->txn, &put);
}

static pang_code status(pang_edit *edit, pang_err *err)
{
    return pang_keys_status(&edit->view->keys, err);
}

pang_code pang_edit_allowed(const pang_view *view, pang_err *err)
{
    if (!view->writable)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "\"%" PANG_STR_FMT "\" cannot be written: it is no branch",
                         PANG_STR_ARG(view->ref_name));
    if (view->ref != NULL && view->ref->is_protected && !view->merging)
        return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                         "branch \"%" PANG_STR_FMT
                         "\" is protected: write to another branch and merge it",
                         PANG_STR_ARG(view->ref_name));
    return PANG_OK;
}

pang_code pang_edit_begin(pang_view *view, const pang_env *env, const pang_principal *who,
                          pang_edit **ret, pang_err *err)
{
    pang_code code = pang_edit_allowed(view, err);
    if (code != PANG_OK)
        return code;
    pang_edit *edit = pang_arena_alloc(view->arena, sizeof *edit);
    if (edit == NULL)
        return pang_fail_memory(err);
    edit->view = view;
    edit->who = who;
    edit->n = edit->room = edit->bytes = edit->n_properties = edit->n_parents = edit->n_seen = 0;
    edit->message = (pang_str){0};
    edit->id = pang_id_v7(env);
    edit->takes_over = false;
    edit->slot = pang_txn_append(view->txn, pang_key_sequence(&view->keys, view->catalog));
    code = status(edit, err);
    if (code == PANG_OK)
        code = pang_remark_of_call(edit, err);
    if (code == PANG_OK)
        *ret = edit;
    return code;
}

/* Room for one more change: the list is one record. */
static pang_code make_room(pang_edit *edit, const pang_name *name, pang_err *err)
{
    edit->bytes += name->path.len + name->name.len + CHANGE_BYTES;
    if (edit->n == PANG_LISTED_MAX || edit->bytes > PANG_BODY_MAX - LIST_SLACK)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "one commit changes too many names: %zu, at most %d and %d MiB with what "
                         "they are called; do it in parts",
                         edit->n + 1, PANG_LISTED_MAX, PANG_BODY_MAX >> 20);
    if (edit->n < edit->room)
        return PANG_OK;
    size_t room = edit->room == 0 ? 16 : edit->room * 2;
    pang_rec_change **changes = pang_arena_alloc_n(edit->view->arena, room, sizeof *changes);
    if (changes == NULL)
        return pang_fail_memory(err);
    if (edit->n > 0)
        memcpy(changes, edit->changes, edit->n * sizeof *changes);
    edit->changes = changes;
    edit->room = room;
    return PANG_OK;
}

static pang_code add_change(pang_edit *edit, const pang_content *at, const pang_rec_content *next,
                            pang_err *err)
{
    pang_rec_change *change = pang_arena_alloc(edit->view->arena, sizeof *change);
    if (change == NULL)
        return pang_fail_memory(err);
    pang_code code = make_room(edit, &at->name, err);
    if (code != PANG_OK)
        return code;
    *change = (pang_rec_change)PANGOLIN__STORE__V1__CHANGE__INIT;
    change->space = (uint32_t)at->name.space;
    change->path = pang_arena_cstr(edit->view->arena, at->name.path);
    change->name = pang_arena_cstr(edit->view->arena, at->name.name);
    if (change->path == NULL || change->name == NULL)
        return pang_fail_memory(err);
    if (pang_content_exists(at)) {
        change->old_asset = at->body->asset;
        change->old_document = at->body->document;
        change->old_sequence = at->sequence;
        change->kind = at->body->kind;
    }
    if (!next->dropped) {
        change->new_asset = next->asset;
        change->new_document = next->document;
        change->kind = next->kind;
    }
    edit->changes[edit->n++] = change;
    return PANG_OK;
}

/* What an asset's next state keeps of the one it follows: since when the branch has it, and that
 * others could reach it, as they can whatever was read through a base. */
static pang_rec_content carried(const pang_content *at, const pang_rec_content *next)
{
    pang_rec_content ret = *next;
    ret.origin = ret.value_origin = ret.name_origin = 0;
    if (!pang_content_exists(at) ||
        !pang_id_equal(pang_id_of(at->body->asset), pang_id_of(next->asset)))
        return ret;
    ret.shared = next->shared || at->body->shared || !at->own;
    ret.name_origin = at->body->name_origin != 0 ? at->body->name_origin : at->sequence;
    if (at->own)
        ret.created_at = at->body->created_at != 0 ? at->body->created_at : at->sequence;
    return ret;
}

/* The same in a merge, which knows where name and value come from. */
static pang_rec_content taken(const pang_content *at, const pang_rec_content *next)
{
    pang_rec_content ret = carried(at, next);
    ret.origin = next->origin;
    ret.value_origin = next->value_origin;
    ret.name_origin = next->name_origin;
    return ret;
}

/* Replaces what a name stands for. */
static pang_code put_content(pang_edit *edit, const pang_content *at, const pang_rec_content *next,
                             pang_err *err)
{
    pang_view *view = edit->view;
    pang_rec_content body = edit->takes_over ? taken(at, next) : carried(at, next);
    pang_id branch = view->levels[0].branch;
    pang_code code = add_change(edit, at, next, err);
    if (code != PANG_OK)
        return code;
    if (at->own) {
        pang_rec_content old = *at->body;
        old.written_at = at->sequence;
        old.written_ms = at->time_ms;
        put_numbered(
            edit, PANG_KIND_HISTORY,
            pang_key_history(&view->keys, branch, at->name.space, at->name.path, at->name.name, 0),
            &old.base);
    }
    put(edit, PANG_KIND_CONTENT, at->key, &body.base);
    return status(edit, err);
}

static void fill_asset(pang_edit *edit, const pang_content *at, const pang_rec_content *body,
                       bool dropped, pang_rec_asset *ret)
{
    *ret = (pang_rec_asset)PANGOLIN__STORE__V1__ASSET__INIT;
    ret->space = (uint32_t)at->name.space;
    ret->path = pang_arena_cstr(edit->view->arena, at->name.path);
    ret->name = pang_arena_cstr(edit->view->arena, at->name.name);
    ret->kind = body->kind;
    ret->dropped = dropped;
    ret->origin = edit->takes_over ? body->origin : 0;
}

/* Says where an asset is found from now on; where it was goes to history. */
static pang_code put_asset(pang_edit *edit, const pang_content *at, const pang_rec_content *body,
                           bool dropped, bool is_new, pang_err *err)
{
    pang_view *view = edit->view;
    pang_id branch = view->levels[0].branch, asset = pang_id_of(body->asset);
    pang_str key = pang_key_asset(&view->keys, branch, asset);
    pang_rec_asset next, *old = NULL;
    pang_record record = {0};
    pang_code code = status(edit, err);
    if (code == PANG_OK && !is_new)
        code = pang_txn_get_one(view->txn, key, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__asset__descriptor, &record, view->arena,
                                  &old, err);
    if (code != PANG_OK)
        return code;
    if (old != NULL) {
        old->written_at = record.sequence;
        put_numbered(edit, PANG_KIND_ASSET_HISTORY,
                     pang_key_asset_history(&view->keys, branch, asset, 0), &old->base);
    }
    fill_asset(edit, at, body, dropped, &next);
    if (next.path == NULL || next.name == NULL)
        return pang_fail_memory(err);
    put(edit, PANG_KIND_ASSET, key, &next.base);
    return status(edit, err);
}

/* Tables on several branches are one to whoever counts a tenant's: main's count. */
static bool is_main(const pang_view *view)
{
    return view->n_levels == 1 && pang_str_equal(view->ref_name, PANG_MAIN_REF);
}

/* There is one more of a kind on the branch, and in the tenant, or one less: for those who count.
 */
static void add_count(pang_edit *edit, Pangolin__Store__V1__Kind kind, int64_t amount)
{
    static const char letters[] = {[NAMESPACE] = 'n', [TABLE] = 't', [VIEW] = 'v', [GENERIC] = 'g'};
    pang_keys *keys = &edit->view->keys;
    pang_txn *txn = edit->view->txn;
    pang_id branch = edit->view->levels[0].branch;
    pang_txn_add(txn, pang_key_content_count(keys, branch, letters[kind]), amount);
    if (!is_main(edit->view))
        return;
    if (kind == NAMESPACE)
        pang_txn_add(txn, pang_key_count(keys, PANG_COUNT_NAMESPACES), amount);
    if (kind == TABLE)
        pang_txn_add(txn, pang_key_count(keys, PANG_COUNT_TABLES), amount);
}

static void add_epoch(pang_edit *edit, const pang_content *at)
{
    pang_txn_add(edit->view->txn,
                 pang_key_epoch(&edit->view->keys, edit->view->levels[0].branch, at->name.path), 1);
}

static pang_code create(pang_edit *edit, const pang_content *at, const pang_rec_content *body,
                        bool is_new, pang_err *err)
{
    assert(!pang_content_exists(at));
    pang_rec_content next = *body;
    next.created_at = 0;
    pang_code code = put_content(edit, at, &next, err);
    if (code == PANG_OK)
        code = put_asset(edit, at, &next, false, is_new, err);
    add_epoch(edit, at);
    add_count(edit, body->kind, 1);
    return code == PANG_OK ? status(edit, err) : code;
}

pang_code pang_edit_create(pang_edit *edit, const pang_content *at, const pang_rec_content *body,
                           pang_err *err)
{
    return create(edit, at, body, true, err);
}

pang_code pang_edit_adopt(pang_edit *edit, const pang_content *at, const pang_rec_content *body,
                          pang_err *err)
{
    return create(edit, at, body, false, err);
}

pang_code pang_edit_update(pang_edit *edit, const pang_content *at, const pang_rec_content *body,
                           pang_err *err)
{
    assert(pang_content_exists(at));
    return put_content(edit, at, body, err);
}

pang_code pang_edit_drop(pang_edit *edit, const pang_content *at, bool purge, pang_err *err)
{
    assert(pang_content_exists(at));
    pang_rec_content gone = *at->body;
    gone.dropped = true;
    gone.purged = purge;
    pang_code code = put_content(edit, at, &gone, err);
    add_count(edit, gone.kind, -1);
    return code == PANG_OK ? put_asset(edit, at, &gone, true, false, err) : code;
}

pang_code pang_edit_move_as(pang_edit *edit, const pang_content *from, const pang_content *to,
                            const pang_rec_content *body, pang_err *err)
{
    assert(pang_content_exists(from) && !pang_content_exists(to));
    pang_rec_content next = carried(from, body), gone = *from->body;
    gone.dropped = true;
    pang_code code = put_content(edit, from, &gone, err);
    next.name_origin = 0;
    if (body == from->body)
        next.value_origin = body->value_origin != 0 ? body->value_origin : from->sequence;
    if (code == PANG_OK) {
        bool before = edit->takes_over;
        edit->takes_over = true;
        code = put_content(edit, to, &next, err);
        edit->takes_over = before;
    }
    if (code == PANG_OK)
        code = put_asset(edit, to, &next, false, false, err);
    add_epoch(edit, to);
    return code == PANG_OK ? status(edit, err) : code;
}

pang_code pang_edit_move(pang_edit *edit, const pang_content *from, const pang_content *to,
                         pang_err *err)
{
    return pang_edit_move_as(edit, from, to, from->body, err);
}

pang_code pang_edit_set(pang_edit *edit, const pang_content *at, const pang_rec_content *next,
                        pang_err *err)
{
    bool before = pang_content_exists(at);
    pang_rec_content gone;
    assert(next != NULL || before);
    if (next == NULL || next->dropped) {
        gone = *at->body;
        gone.dropped = true;
        gone.origin = next == NULL ? 0 : next->origin;
        add_count(edit, gone.kind, -1);
        return put_content(edit, at, &gone, err);
    }
    bool same = before && pang_id_equal(pang_id_of(at->body->asset), pang_id_of(next->asset));
    if (before && at->body->kind != next->kind)
        add_count(edit, at->body->kind, -1);
    if (!before || at->body->kind != next->kind)
        add_count(edit, next->kind, 1);
    if (!same)
        add_epoch(edit, at);
    return put_content(edit, at, next, err);
}

pang_code pang_edit_place(pang_edit *edit, const pang_content *at, const pang_rec_content *body,
                          bool dropped, pang_err *err)
{
    return put_asset(edit, at, body, dropped, false, err);
}

pang_code pang_edit_put_mark(pang_edit *edit, pang_str key, const pang_rec_merge_mark *mark,
                             pang_err *err)
{
    pang_put put = {
        .key = key,
        .body = pang_record_pack(&mark->base, edit->view->arena),
        .kind = PANG_KIND_MERGE_MARK,
        .slot = edit->slot, /* the record's sequence is this commit's number */
        .key_slot = PANG_NO_SLOT,
    };
    if (put.body.ptr == NULL)
        return pang_fail_memory(err);
    pang_txn_put_full(edit->view->txn, &put);
    return PANG_OK;
}

pang_code pang_edit_end(pang_edit *edit, pang_str message, pang_err *err)
{
    pang_view *view = edit->view;
    pang_rec_commit commit = PANGOLIN__STORE__V1__COMMIT__INIT;
    commit.id = pang_bytes_of_id(&edit->id);
    commit.catalog = pang_bytes_of_id(&view->catalog);
    commit.branch = pang_bytes_of_id(&view->levels[0].branch);
    commit.author = pang_bytes_of_id(&edit->who->id);
    commit.author_name = pang_arena_cstr(view->arena, edit->who->name);
    commit.message = pang_arena_cstr(view->arena, edit->message.len > 0 ? edit->message : message);
    if (commit.author_name == NULL || commit.message == NULL)
        return pang_fail_memory(err);
    pang_str id_key = pang_key_commit_id(&view->keys, edit->id);
    pang_str id_body = pang_record_pack(&commit.base, view->arena);
    commit.changes = edit->changes;
    commit.n_changes = edit->n;
    commit.properties = edit->properties;
    commit.n_properties = edit->n_properties;
    commit.parents = edit->parents;
    commit.n_parents = edit->n_parents;
    commit.parent_ids = edit->parent_ids;
    commit.n_parent_ids = edit->n_parents;
    commit.seen = edit->seen;
    commit.n_seen = edit->n_seen;
    put_numbered(edit, PANG_KIND_COMMIT, pang_key_commit(&view->keys, view->levels[0].branch, 0),
                 &commit.base);
    pang_txn_add(view->txn, pang_key_content_count(&view->keys, view->levels[0].branch, 'c'), 1);
    pang_txn_set_id(view->txn, edit->id, id_key, id_body, true);
    if (view->call != NULL)
        view->call->commit = edit->id;
    return status(edit, err);
}
