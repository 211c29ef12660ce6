/*
 * Views, reading. A load is that of a table: the pointer's record, a look at the file, the document
 * out of the cache.
 */
#include "server/svc_view.h"

pang_code pang_find_view(pang_call *call, const char *prefix, char *const *levels, size_t n_levels,
                         const char *name, pang_view *view, pang_table *ret, pang_err *err)
{
    pang_code code = pang_table_open(call, prefix, levels, n_levels, name, PANG_NO_VIEW, view, ret,
                                     err);
    ret->kind = PANG_VIEW;
    if (code == PANG_OK && !pang_table_is_there(ret))
        return pang_table_absent(ret, err);
    if (code == PANG_OK)
        call->note.resource = pang_id_of(ret->content.body->asset);
    return code;
}

/* ---- load ---- */

static pang_code load_view(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__LoadViewRequest *in = request;
    Pangolin__V1__LoadViewResponse *out = reply;
    pang_state *state = call->server->state;
    pang_view view;
    pang_table table;
    pang_str text;
    pang_code code = pang_find_view(call, in->prefix, in->namespace_, in->n_namespace_, in->view,
                                    &view, &table, err);
    /* A file that is gone is told before any tag holds. */
    if (code == PANG_OK)
        code = pang_metadata_stat(&view, state, table.content.body, err);
    if (code != PANG_OK)
        return code;
    out->etag = pang_table_etag(call->arena, table.content.body, PANG_WHOLE, PANG_NO_OVERLAY);
    if (out->etag == NULL)
        return pang_fail_memory(err);
    out->not_modified = pang_etag_matches(in->if_none_match, out->etag);
    if (out->not_modified)
        return PANG_OK;
    code = pang_metadata_load(&view, state, table.content.body, PANG_WHOLE, &text, err);
    return code == PANG_OK ? pang_view_reply_Load(call, table.address.spelt_name,
                                                  table.content.body, text, out, err)
                           : code;
}

static pang_code view_exists(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ViewExistsRequest *in = request;
    pang_view view;
    pang_table table;
    (void)reply;
    return pang_find_view(call, in->prefix, in->namespace_, in->n_namespace_, in->view, &view,
                          &table, err);
}

/* ---- list ---- */

static pang_code list_views(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListViewsRequest *in = request;
    Pangolin__V1__ListViewsResponse *out = reply;
    pang_identifiers l = {.kind = PANG_VIEW,
                          .namespace_ = in->namespace_,
                          .n_namespace_ = in->n_namespace_,
                          .token = in->_page_token_case != 0 ? in->page_token : NULL,
                          .page_size = in->page_size};
    pang_code code = pang_list_identifiers(call, in->prefix, &l, err);
    out->identifiers = l.identifiers;
    out->n_identifiers = l.n_identifiers;
    if (l.next_token != NULL)
        out->next_page_token = l.next_token;
    return code;
}

#define METHOD(Name, name, handler, replayed)                                                      \
    {                                                                                              \
        .path = "/pangolin.v1.ViewService/" #Name,                                                 \
        .in = &pangolin__v1__##name##_request__descriptor,                                         \
        .out = &pangolin__v1__##name##_response__descriptor, .handle = (handler),                  \
        .replay = (replayed),                                                                      \
    }

static const pang_method methods[] = {
    METHOD(ListViews, list_views, list_views, NULL),
    METHOD(CreateView, create_view, pang_create_view, pang_replay_create_view),
    METHOD(LoadView, load_view, load_view, NULL),
    METHOD(ViewExists, view_exists, view_exists, NULL),
    METHOD(ReplaceView, replace_view, pang_replace_view, pang_replay_replace_view),
    METHOD(DropView, drop_view, pang_drop_view, NULL),
    METHOD(RenameView, rename_view, pang_rename_view, NULL),
    METHOD(RegisterView, register_view, pang_register_view, pang_replay_register_view),
};

const pang_service pang_service_view = {
    .name = "pangolin.v1.ViewService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
