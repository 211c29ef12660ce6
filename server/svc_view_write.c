/*
 * Views, writing: made of a version or of a query alone, registered, replaced, dropped, renamed.
 * What happens to documents, files, places and names is what happens to a table's.
 */
#include "server/model_view.h"
#include "server/svc_view.h"

#define ANSI "ansi"

/* ---- create ---- */

static pang_json *properties_json(const Pangolin__V1__CreateViewRequest *in, pang_arena *arena)
{
    pang_json *made = pang_json_object(arena);
    for (size_t i = 0; i < in->n_properties; i++) {
        pang_json *value = pang_json_str(pang_str_from(in->properties[i]->value), arena);
        if (!pang_json_set_str(made, pang_str_from(in->properties[i]->key), value))
            return NULL;
    }
    return made;
}

static pang_json *text(const char *from, pang_arena *arena)
{
    return pang_json_str(pang_str_from(from), arena);
}

static bool put_query(const Pangolin__V1__CreateViewRequest *in, pang_json *version,
                      pang_arena *arena)
{
    pang_json *list = pang_json_array(arena), *query = pang_json_object(arena);
    const char *dialect = in->_dialect_case != 0 && in->dialect[0] != '\0' ? in->dialect : ANSI;
    return pang_json_set(query, "type", text("sql", arena)) &&
           pang_json_set(query, "sql", text(in->sql, arena)) &&
           pang_json_set(query, "dialect", text(dialect, arena)) && pang_json_append(list, query) &&
           pang_json_set(version, "representations", list);
}

static bool put_namespace(const pang_table *table, pang_json *version, pang_arena *arena)
{
    pang_json *levels = pang_json_array(arena);
    for (size_t i = 0; i < table->levels.n; i++)
        if (!pang_json_append(levels, pang_json_str(table->levels.names[i], arena)))
            return false;
    return pang_json_set(version, "default-namespace", levels);
}

/* The version that a query alone stands for: names in it are looked up where the view is. */
static pang_code version_of_query(pang_call *call, const Pangolin__V1__CreateViewRequest *in,
                                  const pang_table *table, pang_json **ret, pang_err *err)
{
    pang_arena *arena = call->arena;
    int64_t now_ms = pang_env_wall_ms(call->server->env);
    pang_json *version = pang_json_object(arena);
    *ret = version;
    return pang_json_set(version, "version-id", pang_json_int(1, arena)) &&
                   pang_json_set(version, "timestamp-ms", pang_json_int(now_ms, arena)) &&
                   pang_json_set(version, "schema-id", pang_json_int(0, arena)) &&
                   pang_json_set(version, "summary", pang_json_object(arena)) &&
                   put_namespace(table, version, arena) && put_query(in, version, arena)
               ? PANG_OK
               : pang_fail_memory(err);
}

/* A struct without columns: nobody said which the query has. */
static pang_code empty_schema(pang_arena *arena, pang_json **ret, pang_err *err)
{
    *ret = pang_json_object(arena);
    return pang_json_set(*ret, "type", text("struct", arena)) &&
                   pang_json_set(*ret, "fields", pang_json_array(arena))
               ? PANG_OK
               : pang_fail_memory(err);
}

static pang_code parse_request(pang_call *call, const Pangolin__V1__CreateViewRequest *in,
                               const pang_table *table, pang_model_new_view *ret, pang_err *err)
{
    pang_json *schema = NULL, *version = NULL;
    bool is_query = in->_sql_case != 0;
    pang_code code = pang_raw_json(in->schema, "schema", call->arena, &schema, err);
    if (code == PANG_OK)
        code = pang_raw_json(in->view_version, "view-version", call->arena, &version, err);
    if (code == PANG_OK && is_query && version != NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "a view is made of a view-version or of sql, not of both");
    if (code == PANG_OK && is_query)
        code = version_of_query(call, in, table, &version, err);
    if (code == PANG_OK && is_query && pang_json_size(schema) == 0)
        code = empty_schema(call->arena, &schema, err);
    *ret = (pang_model_new_view){
        .schema = schema, .version = version, .properties = properties_json(in, call->arena)};
    return code == PANG_OK && ret->properties == NULL ? pang_fail_memory(err) : code;
}

/* The document, with every place it names reserved. */
static pang_code make_document(pang_call *call, const Pangolin__V1__CreateViewRequest *in,
                               pang_creation *c, pang_err *err)
{
    pang_model_new_view request;
    pang_code code = parse_request(call, in, &c->table, &request, err);
    if (code == PANG_OK)
        code = pang_next_begin(call, &c->table, &c->next, err);
    if (code != PANG_OK)
        return code;
    if (in->_location_case != 0 && in->location[0] != '\0')
        request.location = pang_str_from(in->location);
    else
        code = pang_next_default_location(call, &c->next, c->namespace.body, &request.location,
                                          err);
    if (code == PANG_OK)
        code = pang_model_view_create(&request, call->server->env, call->arena, &c->next.document,
                                      err);
    return code == PANG_OK ? pang_next_places(call, &c->next, err) : code;
}

/* What was asked for in short is answered so. */
static pang_code create_reply(pang_call *call, const Pangolin__V1__CreateViewRequest *in,
                              pang_str name, const pang_rec_content *body, pang_str text,
                              void *reply, pang_err *err)
{
    Pangolin__V1__CreateViewResponse *out = reply;
    pang_code code = pang_view_reply_Create(call, name, body, text, reply, err);
    if (code != PANG_OK || in->_sql_case == 0)
        return code;
    Pangolin__V1__CreateViewResponse *whole = pang_arena_alloc(call->arena, sizeof *whole);
    if (whole == NULL)
        return pang_fail_memory(err);
    *whole = *out;
    *out = (Pangolin__V1__CreateViewResponse)PANGOLIN__V1__CREATE_VIEW_RESPONSE__INIT;
    out->etag = whole->etag;
    out->in_short = whole;
    return PANG_OK;
}

pang_code pang_create_view(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateViewRequest *in = request;
    pang_creation c = {0};
    pang_code code = pang_creation_begin(call, in->prefix, in->namespace_, in->n_namespace_,
                                         in->name, in->branch, PANG_VIEW, &c, err);
    if (code == PANG_OK)
        code = pang_creation_absent(&c, err);
    if (code == PANG_OK)
        code = make_document(call, in, &c, err);
    if (code == PANG_OK)
        code = pang_next_write(call, &c.next, (pang_str){0}, err);
    if (code == PANG_OK)
        code = pang_creation_save(call, &c, "create", err);
    return code == PANG_OK ? create_reply(call, in, c.table.address.spelt_name, &c.next.body,
                                          c.next.text, reply, err)
                           : code;
}

pang_code pang_replay_create_view(pang_call *call, const void *request, pang_str kept, void *reply,
                                  pang_err *err)
{
    const Pangolin__V1__CreateViewRequest *in = request;
    pang_rec_content body;
    pang_overlay overlay;
    pang_str said;
    pang_code code = pang_kept_document(call, in->prefix, kept, &body, &overlay, &said, err);
    return code == PANG_OK
               ? create_reply(call, in, pang_str_from(in->name), &body, said, reply, err)
               : code;
}

/* ---- register ---- */

pang_code pang_register_view(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RegisterViewRequest *in = request;
    pang_creation c = {0};
    pang_code code = pang_creation_begin(call, in->prefix, in->namespace_, in->n_namespace_,
                                         in->name, "", PANG_VIEW, &c, err);
    if (code == PANG_OK)
        code = pang_creation_absent(&c, err);
    if (code == PANG_OK)
        code = pang_next_begin(call, &c.table, &c.next, err);
    if (code == PANG_OK)
        code = pang_creation_read(call, in->metadata_location, pang_model_view_check, &c.next, err);
    if (code == PANG_OK)
        code = pang_next_places(call, &c.next, err);
    if (code == PANG_OK)
        code = pang_next_adopt(call, &c.next, pang_str_from(in->metadata_location), err);
    if (code == PANG_OK)
        code = pang_creation_save(call, &c, "register", err);
    return code == PANG_OK ? pang_view_reply_Register(call, &c.next.body, c.next.text, reply, err)
                           : code;
}

pang_code pang_replay_register_view(pang_call *call, const void *request, pang_str kept,
                                    void *reply, pang_err *err)
{
    const Pangolin__V1__RegisterViewRequest *in = request;
    pang_rec_content body;
    pang_overlay overlay;
    pang_str said;
    pang_code code = pang_kept_document(call, in->prefix, kept, &body, &overlay, &said, err);
    return code == PANG_OK ? pang_view_reply_Register(call, &body, said, reply, err) : code;
}

/* ---- replace ---- */

static pang_code run_model(pang_call *call, const Pangolin__V1__ReplaceViewRequest *in,
                           pang_str base, pang_next *next, bool *ret_changed, pang_err *err)
{
    pang_json *document = NULL, *requirements = NULL, *updates = NULL;
    pang_model_outcome outcome;
    pang_code code = pang_raw_json(in->requirements, "requirements", call->arena, &requirements,
                                   err);
    if (code == PANG_OK)
        code = pang_raw_json(in->updates, "updates", call->arena, &updates, err);
    if (code == PANG_OK)
        code = pang_json_parse(base, call->arena, &document, err);
    pang_model_change change = {.base = document, .requirements = requirements, .updates = updates};
    if (code == PANG_OK)
        code = pang_model_view_commit(&change, call->server->env, call->arena, &outcome, err);
    if (code != PANG_OK)
        return code;
    next->document = outcome.document;
    next->text = base;
    *ret_changed = outcome.changed;
    return PANG_OK;
}

/* The new document's file, and the commit. */
static pang_code save(pang_call *call, pang_table *table, pang_next *next, pang_err *err)
{
    pang_edit *edit;
    pang_code code = pang_next_places(call, next, err);
    if (code == PANG_OK)
        code = pang_next_write(call, next, pang_str_from(table->content.body->metadata_location),
                               err);
    if (code == PANG_OK)
        code = pang_edit_begin(table->view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_next_put(next, edit, err);
    if (code == PANG_OK)
        code = pang_edit_end(
            edit, pang_arena_printf(call->arena, "replace view %s", pang_table_shown(table)), err);
    return code;
}

pang_code pang_replace_view(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ReplaceViewRequest *in = request;
    pang_view view;
    pang_table table;
    pang_next next;
    pang_str base;
    bool changed = false;
    pang_code code = pang_find_view(call, in->prefix, in->namespace_, in->n_namespace_, in->view,
                                    &view, &table, err);
    if (code == PANG_OK)
        code = pang_table_agree(in->prefix, in->identifier, &table, err);
    if (code == PANG_OK)
        code = pang_next_begin(call, &table, &next, err);
    if (code == PANG_OK)
        code = pang_metadata_load(&view, call->server->state, table.content.body, PANG_WHOLE, &base,
                                  err);
    if (code == PANG_OK)
        code = run_model(call, in, base, &next, &changed, err);
    if (code == PANG_OK && changed)
        code = save(call, &table, &next, err);
    if (code == PANG_OK)
        code = pang_keep_document(call, &next.body, PANG_NO_OVERLAY, err);
    return code == PANG_OK ? pang_view_reply_Replace(call, &next.body, next.text, reply, err)
                           : code;
}

pang_code pang_replay_replace_view(pang_call *call, const void *request, pang_str kept, void *reply,
                                   pang_err *err)
{
    const Pangolin__V1__ReplaceViewRequest *in = request;
    pang_rec_content body;
    pang_overlay overlay;
    pang_str said;
    pang_code code = pang_kept_document(call, in->prefix, kept, &body, &overlay, &said, err);
    return code == PANG_OK ? pang_view_reply_Replace(call, &body, said, reply, err) : code;
}

/* ---- drop, rename ---- */

pang_code pang_drop_view(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DropViewRequest *in = request;
    pang_view view;
    pang_table table;
    (void)reply;
    pang_code code = pang_find_view(call, in->prefix, in->namespace_, in->n_namespace_, in->view,
                                    &view, &table, err);
    return code == PANG_OK ? pang_table_drop(call, &table, false, "drop", err) : code;
}

pang_code pang_rename_view(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RenameViewRequest *in = request;
    (void)reply;
    return pang_table_move(call, in->prefix, in->source, in->destination, PANG_VIEW, err);
}
