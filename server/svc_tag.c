/*
 * Tags over the API: names for commits.
 */
#include <string.h>

#include "server/branches.h"
#include "server/identity.h"
#include "server/svc_lake.h"
#include "server/svc_names.h"
#include "server/svc_refs.h"

#include "pangolin/v1/branch.pb-c.h"

typedef Pangolin__V1__Tag shown_tag;

static pang_code show(pang_call *call, const pang_view *view, pang_str name,
                      const pang_rec_ref *ref, shown_tag **ret, pang_err *err)
{
    pang_arena *arena = call->arena;
    shown_tag *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_tag)PANGOLIN__V1__TAG__INIT;
    out->name = pang_arena_cstr(arena, name);
    out->commit_id = pang_manage_id_text(pang_id_of(ref->commit), arena);
    out->catalog = pang_arena_cstr(arena, view->prefix);
    out->protected_ = ref->is_protected;
    out->description = ref->description;
    out->created_at = pang_manage_time(ref->created_ms, arena);
    out->created_by = ref->created_by_name;
    *ret = out;
    return pang_manage_built(arena, err);
}

/* ---- list, get ---- */

static pang_code list_tags(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListTagsRequest *in = request;
    Pangolin__V1__ListTagsResponse *out = reply;
    pang_view view;
    pang_named_ref *rows = NULL;
    size_t n = 0;
    char *token = NULL;
    pang_refs_query query = {
        .tags = true,
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
    };
    pang_code code = pang_refs_open_default(call, in->catalog, PANG_ACT_LIST, &view, err);
    if (code == PANG_OK)
        code = pang_refs_list(call, &view, &query, &rows, &n, &token, err);
    if (code != PANG_OK)
        return code;
    out->tags = pang_arena_alloc_n(call->arena, n, sizeof *out->tags);
    if (out->tags == NULL)
        return pang_fail_memory(err);
    if (token != NULL)
        out->next_page_token = token;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        code = show(call, &view, rows[i].name, rows[i].ref, &out->tags[i], err);
        out->n_tags += code == PANG_OK;
    }
    return code;
}

static pang_code open_tag(pang_call *call, const char *catalog, const char *name,
                          pang_action action, pang_view *ret_view, pang_rec_ref **ret,
                          pang_err *err)
{
    pang_code code = pang_refs_open_default(call, catalog, action, ret_view, err);
    return code == PANG_OK ? pang_refs_named(ret_view, name, true, ret, err) : code;
}

static pang_code get_tag(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetTagRequest *in = request;
    Pangolin__V1__GetTagResponse *out = reply;
    pang_view view;
    pang_rec_ref *ref;
    pang_code code = open_tag(call, in->catalog, in->name, PANG_ACT_READ, &view, &ref, err);
    if (code != PANG_OK)
        return code;
    return ref == NULL ? pang_manage_absent("tag", in->name, err)
                       : show(call, &view, pang_str_from(in->name), ref, &out->tag, err);
}

/* ---- create ---- */

/* Points the view at what the tag shall be on. */
static pang_code choose(const Pangolin__V1__CreateTagRequest *in, pang_view *view, pang_err *err)
{
    pang_id id;
    bool by_id = in->commit_id[0] != '\0';
    if (by_id == (in->from[0] != '\0'))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         by_id ? "commit_id and from are both given" : "commit_id is missing");
    if (!by_id)
        return pang_refs_switch_onto(view, pang_str_from(in->from), err);
    pang_code code = pang_manage_id("commit_id", in->commit_id, &id, err);
    if (code == PANG_OK)
        code = pang_view_switch(view, pang_str_from(in->commit_id), PANG_NOT_FOUND_REASON, err);
    return code == PANG_NOT_FOUND ? pang_manage_absent("commit", in->commit_id, err) : code;
}

static pang_code create_tag(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateTagRequest *in = request;
    Pangolin__V1__CreateTagResponse *out = reply;
    pang_view view;
    pang_rec_ref *ref;
    pang_tag_options options = {
        .name = pang_str_from(in->name),
        .is_protected = in->protected_,
        .description = pang_str_from(in->description),
    };
    pang_code code = pang_refs_open_default(call, in->catalog, PANG_ACT_CREATE, &view, err);
    if (code == PANG_OK)
        code = pang_manage_name("name", in->name, err);
    if (code == PANG_OK)
        code = pang_manage_text("description", in->description, err);
    if (code == PANG_OK)
        code = choose(in, &view, err);
    if (code == PANG_OK)
        code = pang_tag_make(&view, call->server->env, call->who, &options, &ref, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = pang_id_of(ref->commit);
    return show(call, &view, options.name, ref, &out->tag, err);
}

/* ---- update, delete ---- */

static pang_code update_tag(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateTagRequest *in = request;
    Pangolin__V1__UpdateTagResponse *out = reply;
    pang_view view;
    pang_rec_ref *ref;
    pang_str name = pang_str_from(in->name);
    pang_code code = open_tag(call, in->catalog, in->name, PANG_ACT_UPDATE, &view, &ref, err);
    if (code == PANG_OK && ref == NULL)
        return pang_manage_absent("tag", in->name, err);
    if (code == PANG_OK && in->_description_case != 0)
        code = pang_manage_text("description", in->description, err);
    if (code != PANG_OK)
        return code;
    if (in->_description_case != 0)
        ref->description = in->description;
    if (in->_protected_case != 0)
        ref->is_protected = in->protected_;
    call->note.resource = pang_id_of(ref->commit);
    code = pang_ref_change(&view, name, ref, err);
    return code == PANG_OK ? show(call, &view, name, ref, &out->tag, err) : code;
}

static pang_code delete_tag(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteTagRequest *in = request;
    pang_view view;
    pang_rec_ref *ref;
    (void)reply;
    pang_code code = open_tag(call, in->catalog, in->name, PANG_ACT_DELETE, &view, &ref, err);
    if (code != PANG_OK || ref == NULL)
        return code;
    if (ref->is_protected)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "tag \"%.255s\" is protected: take the protection away first", in->name);
    call->note.resource = pang_id_of(ref->commit);
    return pang_ref_end(&view, call->server->env, pang_str_from(in->name), ref, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.TagService/ListTags",
        .in = &pangolin__v1__list_tags_request__descriptor,
        .out = &pangolin__v1__list_tags_response__descriptor,
        .handle = list_tags,
    },
    {
        .path = "/pangolin.v1.TagService/CreateTag",
        .in = &pangolin__v1__create_tag_request__descriptor,
        .out = &pangolin__v1__create_tag_response__descriptor,
        .handle = create_tag,
    },
    {
        .path = "/pangolin.v1.TagService/GetTag",
        .in = &pangolin__v1__get_tag_request__descriptor,
        .out = &pangolin__v1__get_tag_response__descriptor,
        .handle = get_tag,
    },
    {
        .path = "/pangolin.v1.TagService/UpdateTag",
        .in = &pangolin__v1__update_tag_request__descriptor,
        .out = &pangolin__v1__update_tag_response__descriptor,
        .handle = update_tag,
    },
    {
        .path = "/pangolin.v1.TagService/DeleteTag",
        .in = &pangolin__v1__delete_tag_request__descriptor,
        .out = &pangolin__v1__delete_tag_response__descriptor,
        .handle = delete_tag,
    },
};

const pang_service pang_service_tag = {
    .name = "pangolin.v1.TagService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
