/*
 * Dropping, unregistering and renaming tables; views are dropped and renamed by the same rules.
 * Nothing is removed in the call: the name gets a tombstone, the location stays reserved, and files
 * of a purged table go when it cannot come back any more.
 */
#include <string.h>

#include "server/svc_table.h"

#define VIEW PANGOLIN__STORE__V1__KIND__KIND_VIEW

/* ---- drop ---- */

/* What is to be done once the table cannot come back. */
static pang_code put_due(pang_call *call, pang_table *table, bool purge, int64_t now_ms,
                         int64_t due_ms, pang_err *err)
{
    pang_view *view = table->view;
    const pang_rec_content *body = table->content.body;
    pang_rec_due due = PANGOLIN__STORE__V1__DUE__INIT;
    pang_rec_purge files = PANGOLIN__STORE__V1__DUE__PURGE__INIT;
    pang_str key = pang_key_metadata(&view->keys, view->catalog, pang_id_of(body->document));
    due.scope = pang_arena_cstr(call->arena, view->keys.scope);
    due.catalog = pang_bytes_of_id(&view->catalog);
    due.branch = pang_bytes_of_id(&view->levels[0].branch);
    due.asset = body->asset;
    due.release = body->reserved;
    due.n_release = body->n_reserved;
    due.since = pang_since(body, table->content.sequence);
    due.dropped_ms = now_ms;
    files.metadata_key = pang_arena_cstr(call->arena, key);
    files.location = body->metadata_location;
    if (due.scope == NULL || files.metadata_key == NULL)
        return pang_fail_memory(err);
    if (purge)
        due.purge = &files;
    return pang_due_put(call->txn, call->arena, call->server->env, due_ms, &due, err);
}

/* Files and places of a shared table stay: other refs read them, and the collector alone knows when
 * none does any more. */
static pang_code end_locations(pang_call *call, pang_table *table, bool purge, pang_err *err)
{
    pang_rec_catalog *settings;
    bool shared = false;
    pang_code code = pang_shared_look(table->view, &table->content, &shared, err);
    if (code == PANG_OK && !shared)
        code = pang_view_settings(table->view, &settings, err);
    if (code != PANG_OK || shared)
        return code;
    int64_t now_ms = pang_env_wall_ms(call->server->env);
    int64_t due_ms = now_ms + pang_undrop_life(settings, purge);
    code = pang_locations_drop(table->view, table->content.body,
                               pang_since(table->content.body, table->content.sequence), due_ms,
                               err);
    return code == PANG_OK ? put_due(call, table, purge, now_ms, due_ms, err) : code;
}

pang_code pang_table_drop(pang_call *call, pang_table *table, bool purge, const char *verb,
                          pang_err *err)
{
    pang_edit *edit;
    pang_code code = pang_edit_begin(table->view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_drop(edit, &table->content, purge, err);
    if (code == PANG_OK)
        code = end_locations(call, table, purge, err);
    if (code == PANG_OK)
        code = pang_edit_end(edit,
                             pang_arena_printf(call->arena, "%s %s %s", verb,
                                               pang_table_word(table), pang_table_shown(table)),
                             err);
    return code;
}

pang_code pang_drop_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DropTableRequest *in = request;
    pang_view view;
    pang_table table;
    (void)reply;
    pang_code code = pang_table_find(call, in->prefix, in->namespace_, in->n_namespace_, in->table,
                                     &view, &table, err);
    if (code != PANG_OK)
        return code;
    return pang_table_drop(call, &table, in->purge_requested,
                           in->purge_requested ? "purge" : "drop", err);
}

pang_code pang_unregister_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UnregisterTableRequest *in = request;
    Pangolin__V1__UnregisterTableResponse *out = reply;
    pang_view view;
    pang_table table;
    pang_str text;
    pang_code code = pang_table_find(call, in->prefix, in->namespace_, in->n_namespace_, in->table,
                                     &view, &table, err);
    if (code == PANG_OK)
        code = pang_metadata_load(&view, call->server->state, table.content.body, PANG_WHOLE, &text,
                                  err);
    if (code == PANG_OK)
        code = pang_table_drop(call, &table, false, "unregister", err);
    if (code != PANG_OK)
        return code;
    out->metadata_location = table.content.body->metadata_location;
    out->metadata = pang_bytes_of(text);
    return PANG_OK;
}

/* ---- rename ---- */

typedef struct {
    pang_view view;
    pang_table from, to;
    pang_content namespace; /* of `to` */
} renaming;

static pang_code read_names(pang_call *call, const char *prefix,
                            const Pangolin__V1__TableIdentifier *from,
                            const Pangolin__V1__TableIdentifier *to, pang_rec_kind kind,
                            renaming *r, pang_err *err)
{
    pang_content all[3];
    if (from == NULL || to == NULL || to->n_namespace_ == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "source and destination are required");
    pang_code code = pang_table_address(&r->view, call->arena, prefix, from->namespace_,
                                        from->n_namespace_, from->name, &r->from, err);
    if (code == PANG_OK)
        code = pang_table_address(&r->view, call->arena, prefix, to->namespace_, to->n_namespace_,
                                  to->name, &r->to, err);
    if (code == PANG_OK)
        code = pang_address_agree(&r->from.address, &r->to.address, err);
    r->from.kind = r->to.kind = kind;
    if (code == PANG_OK)
        code = pang_address_open(call, &r->from.address,
                                 kind == VIEW ? PANG_NO_VIEW : PANG_NO_TABLE, &r->view, err);
    if (code != PANG_OK)
        return code;
    all[0].name = pang_name_of_asset(&r->view.keys, r->from.levels, r->from.name);
    all[1].name = pang_name_of_asset(&r->view.keys, r->to.levels, r->to.name);
    all[2].name = pang_name_of_namespace(&r->view.keys, r->to.levels);
    code = pang_content_get(&r->view, all, 3, err);
    r->from.content = all[0];
    r->to.content = all[1];
    r->namespace = all[2];
    return code;
}

static pang_code check_names(const renaming *r, pang_err *err)
{
    pang_arena *arena = r->view.arena;
    if (!pang_table_is_there(&r->from))
        return pang_table_absent(&r->from, err);
    if (pang_str_equal(r->from.content.key, r->to.content.key))
        return PANG_OK;
    if (!pang_is_namespace(&r->namespace))
        return pang_table_homeless(&r->to, err);
    if (r->to.kind != VIEW && pang_table_is_there(&r->to))
        return pang_fail_exists(r->to.kind, r->to.content.body, r->to.levels, r->to.name, arena,
                                err);
    if (pang_content_exists(&r->to.content))
        return pang_fail(err, PANG_ALREADY_EXISTS, PANG_EXISTS,
                         "Cannot rename %s to %s. %s already exists", pang_table_shown(&r->from),
                         pang_table_shown(&r->to), pang_kind_title(r->to.content.body->kind));
    return pang_name_check(pang_table_word(&r->to), r->to.name, err);
}

pang_code pang_table_move(pang_call *call, const char *prefix,
                          const Pangolin__V1__TableIdentifier *from,
                          const Pangolin__V1__TableIdentifier *to, pang_rec_kind kind,
                          pang_err *err)
{
    renaming r;
    pang_edit *edit;
    pang_code code = read_names(call, prefix, from, to, kind, &r, err);
    if (code == PANG_OK)
        code = check_names(&r, err);
    if (code != PANG_OK || pang_str_equal(r.from.content.key, r.to.content.key))
        return code;
    code = pang_edit_begin(&r.view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_move(edit, &r.from.content, &r.to.content, err);
    if (code == PANG_OK)
        code = pang_edit_end(edit,
                             pang_arena_printf(call->arena, "rename %s %s to %s",
                                               pang_table_word(&r.from), pang_table_shown(&r.from),
                                               pang_table_shown(&r.to)),
                             err);
    return code;
}

pang_code pang_rename_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RenameTableRequest *in = request;
    (void)reply;
    return pang_table_move(call, in->prefix, in->source, in->destination,
                           PANGOLIN__STORE__V1__KIND__KIND_TABLE, err);
}
