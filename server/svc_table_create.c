/*
 * Creating tables: from a schema, staged for a later commit, or from a metadata file that exists.
 */
#include <string.h>

#include "server/svc_table.h"

/* ---- create ---- */

pang_code pang_creation_begin(pang_call *call, const char *prefix, char *const *levels,
                              size_t n_levels, const char *name, const char *branch,
                              pang_rec_kind kind, pang_creation *ret, pang_err *err)
{
    pang_content both[2];
    pang_table *table = &ret->table;
    pang_code code = pang_table_address(&ret->view, call->arena, prefix, levels, n_levels, name,
                                        table, err);
    table->kind = kind;
    pang_address_add(&table->address, pang_str_from(branch));
    if (code == PANG_OK)
        code = pang_name_check(pang_table_word(table), table->name, err);
    if (code == PANG_OK)
        code = pang_address_open(call, &table->address, PANG_NO_NAMESPACE, &ret->view, err);
    if (code == PANG_OK && n_levels == 0)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "namespace has no levels");
    if (code != PANG_OK)
        return code;
    both[0].name = pang_name_of_asset(&ret->view.keys, table->levels, table->name);
    both[1].name = pang_name_of_namespace(&ret->view.keys, table->levels);
    code = pang_content_get(&ret->view, both, 2, err);
    if (code != PANG_OK)
        return code;
    table->content = both[0];
    ret->namespace = both[1];
    if (!pang_is_namespace(&ret->namespace))
        return pang_table_homeless(table, err);
    return PANG_OK;
}

pang_code pang_creation_absent(const pang_creation *c, pang_err *err)
{
    const pang_table *table = &c->table;
    if (!pang_content_exists(&table->content))
        return PANG_OK;
    return pang_fail_exists(table->kind, table->content.body, table->levels, table->name,
                            c->view.arena, err);
}

static pang_code properties_json(const Pangolin__V1__CreateTableRequest *in, pang_arena *arena,
                                 pang_json **ret, pang_err *err)
{
    pang_json *made = pang_json_object(arena);
    for (size_t i = 0; made != NULL && i < in->n_properties; i++) {
        pang_json *value = pang_json_str(pang_str_from(in->properties[i]->value), arena);
        if (!pang_json_set_str(made, pang_str_from(in->properties[i]->key), value))
            made = NULL;
    }
    if (made == NULL)
        return pang_fail_memory(err);
    *ret = made;
    return PANG_OK;
}

static pang_code parse_request(const Pangolin__V1__CreateTableRequest *in, pang_arena *arena,
                               pang_model_new *ret, pang_err *err)
{
    pang_json *schema = NULL, *spec = NULL, *order = NULL, *properties = NULL;
    pang_code code = pang_raw_json(in->schema, "schema", arena, &schema, err);
    if (code == PANG_OK)
        code = pang_raw_json(in->partition_spec, "partition-spec", arena, &spec, err);
    if (code == PANG_OK)
        code = pang_raw_json(in->write_order, "write-order", arena, &order, err);
    if (code == PANG_OK)
        code = properties_json(in, arena, &properties, err);
    if (code != PANG_OK)
        return code;
    *ret = (pang_model_new){.schema = schema,
                            .partition_spec = spec,
                            .write_order = order,
                            .properties = properties,
                            .staged = in->stage_create};
    return PANG_OK;
}

/* The document, with every place it names reserved. */
static pang_code make_document(pang_call *call, const Pangolin__V1__CreateTableRequest *in,
                               pang_creation *c, pang_err *err)
{
    pang_model_new request;
    pang_code code = parse_request(in, call->arena, &request, err);
    if (code == PANG_OK)
        code = pang_next_begin(call, &c->table, &c->next, err);
    if (code != PANG_OK)
        return code;
    c->next.claim.staged = in->stage_create;
    if (in->_location_case != 0 && in->location[0] != '\0')
        request.location = pang_str_from(in->location);
    else
        code = pang_next_default_location(call, &c->next, c->namespace.body, &request.location,
                                          err);
    if (code == PANG_OK)
        code = pang_model_create(&request, call->server->env, call->arena, &c->next.document, err);
    return code == PANG_OK ? pang_next_places(call, &c->next, err) : code;
}

pang_code pang_creation_save(pang_call *call, pang_creation *c, const char *verb, pang_err *err)
{
    pang_edit *edit;
    pang_code code = pang_edit_begin(&c->view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_next_put(&c->next, edit, err);
    if (code == PANG_OK)
        code = pang_edit_end(edit,
                             pang_arena_printf(call->arena, "%s %s %s", verb,
                                               pang_table_word(&c->table),
                                               pang_table_shown(&c->table)),
                             err);
    if (code == PANG_OK)
        code = pang_keep_document(call, &c->next.body, c->next.overlay, err);
    return code == PANG_OK
               ? pang_metadata_overlay(&c->view, call->server->state, &c->next.body,
                                       c->next.overlay, c->next.text, &c->next.text, err)
               : code;
}

pang_code pang_create_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateTableRequest *in = request;
    Pangolin__V1__CreateTableResponse *out = reply;
    pang_creation c = {0};
    pang_code code = pang_creation_begin(call, in->prefix, in->namespace_, in->n_namespace_,
                                         in->name, in->branch,
                                         PANGOLIN__STORE__V1__KIND__KIND_TABLE, &c, err);
    if (code == PANG_OK)
        code = pang_creation_absent(&c, err);
    if (code == PANG_OK)
        code = pang_edit_allowed(&c.view, err);
    if (code == PANG_OK)
        code = make_document(call, in, &c, err);
    if (code == PANG_OK)
        code = pang_next_prepare(call, &c.next, err);
    if (code != PANG_OK)
        return code;
    if (in->stage_create) {
        code = pang_json_print(c.next.document, call->arena, &c.next.text, err);
        if (code == PANG_OK && !pang_overlay_is_none(c.next.overlay))
            code = pang_overlay_splice(c.next.overlay, c.next.text, call->arena, &c.next.text, err);
        out->metadata = pang_bytes_of(c.next.text);
        return code;
    }
    code = pang_next_write(call, &c.next, (pang_str){0}, err);
    if (code == PANG_OK)
        code = pang_creation_save(call, &c, "create", err);
    return code == PANG_OK
               ? pang_table_reply_Create(call, &c.next.body, c.next.overlay, c.next.text, out, err)
               : code;
}

pang_code pang_replay_create(pang_call *call, const void *request, pang_str kept, void *reply,
                             pang_err *err)
{
    const Pangolin__V1__CreateTableRequest *in = request;
    Pangolin__V1__CreateTableResponse *out = reply;
    pang_rec_content body;
    pang_overlay overlay;
    pang_str text;
    pang_code code = pang_kept_document(call, in->prefix, kept, &body, &overlay, &text, err);
    return code == PANG_OK ? pang_table_reply_Create(call, &body, overlay, text, out, err) : code;
}

/* ---- register ---- */

pang_code pang_creation_read(pang_call *call, const char *location, pang_check_document *check,
                             pang_next *next, pang_err *err)
{
    pang_location at;
    pang_err inner;
    pang_objects *const *objects = pang_state_objects(call->server->state);
    pang_code code = pang_location_parse(pang_str_from(location), "metadata-location", call->arena,
                                         &at, err);
    if (code == PANG_OK)
        code = pang_location_check(next->table->view, objects, &at, "metadata-location", err);
    if (code == PANG_OK)
        code = pang_metadata_read_file(call->server->state, &at, call->arena, &next->text, err);
    if (code != PANG_OK)
        return code;
    code = pang_json_parse(next->text, call->arena, &next->document, &inner);
    if (code == PANG_OK)
        code = check(next->document, call->arena, &inner);
    if (code == PANG_INVALID_ARGUMENT)
        return pang_fail(err, code, PANG_BAD_REQUEST, "metadata file %.200s is not valid: %s",
                         location, inner.message);
    if (code != PANG_OK && err != NULL)
        *err = inner;
    return code;
}

pang_code pang_register_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RegisterTableRequest *in = request;
    Pangolin__V1__RegisterTableResponse *out = reply;
    pang_creation c = {0};
    pang_code code = pang_creation_begin(call, in->prefix, in->namespace_, in->n_namespace_,
                                         in->name, "", PANGOLIN__STORE__V1__KIND__KIND_TABLE, &c,
                                         err);
    if (code != PANG_OK)
        return code;
    if (!(in->overwrite && pang_table_is_there(&c.table)))
        code = pang_creation_absent(&c, err);
    if (code == PANG_OK)
        code = pang_next_begin(call, &c.table, &c.next, err);
    if (code == PANG_OK)
        code = pang_creation_read(call, in->metadata_location, pang_model_check, &c.next, err);
    if (code == PANG_OK)
        code = pang_next_places(call, &c.next, err);
    if (code == PANG_OK)
        code = pang_next_adopt(call, &c.next, pang_str_from(in->metadata_location), err);
    if (code == PANG_OK)
        code = pang_creation_save(call, &c, "register", err);
    return code == PANG_OK ? pang_table_reply_Register(call, &c.next.body, c.next.overlay,
                                                       c.next.text, out, err)
                           : code;
}

pang_code pang_replay_register(pang_call *call, const void *request, pang_str kept, void *reply,
                               pang_err *err)
{
    const Pangolin__V1__RegisterTableRequest *in = request;
    Pangolin__V1__RegisterTableResponse *out = reply;
    pang_rec_content body;
    pang_overlay overlay;
    pang_str text;
    pang_code code = pang_kept_document(call, in->prefix, kept, &body, &overlay, &text, err);
    return code == PANG_OK ? pang_table_reply_Register(call, &body, overlay, text, out, err) : code;
}
