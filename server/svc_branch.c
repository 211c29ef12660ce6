/*
 * Branches over the API. A branch's description is in its ref; what it was made from is known by
 * ids, whose names are looked up when it is shown.
 */
#include <string.h>

#include "server/branches.h"
#include "server/catalogs.h"
#include "server/dotted.h"
#include "server/evaluate.h"
#include "server/identity.h"
#include "server/svc_lake.h"
#include "server/svc_names.h"
#include "server/svc_refs.h"

#include "pangolin/v1/branch.pb-c.h"

#define INGEST "ingest"
#define EXPERIMENTAL "experimental"
#define MS_OF_S INT64_C(1000)
#define TTL_MAX_S (INT64_C(100) * 366 * 24 * 60 * 60)

typedef Pangolin__V1__Branch shown_branch;

/* ---- replies ---- */

/* The name of the branch that it was made from. */
static pang_code from_name(pang_view *view, const pang_rec_ref *ref, char **ret, pang_err *err)
{
    pang_rec_branch *from;
    pang_rec_point *const *points = ref->n_forks > 0 ? ref->forks : ref->bases;
    if (ref->n_forks == 0 && ref->n_bases == 0)
        return PANG_OK;
    pang_code code = pang_branch_find(view, pang_id_of(points[0]->branch), &from, err);
    if (code == PANG_NOT_FOUND)
        return PANG_OK;
    if (code == PANG_OK)
        *ret = from->name;
    return code;
}

/* What it selects tells names, which are for who may see all of them, or named them. */
static bool may_know(const pang_call *call, const pang_view *view, const pang_rec_ref *ref)
{
    return pang_refs_may(call, view, PANG_ACT_READ) ||
           pang_id_equal(pang_id_of(ref->created_by), call->who->id);
}

/* `head` is nil for none. */
static pang_code show(pang_call *call, pang_view *view, pang_str name, const pang_rec_ref *ref,
                      pang_id head, shown_branch **ret, pang_err *err)
{
    pang_arena *arena = call->arena;
    shown_branch *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_branch)PANGOLIN__V1__BRANCH__INIT;
    out->name = pang_arena_cstr(arena, name);
    out->id = pang_manage_id_text(pang_id_of(ref->branch), arena);
    out->catalog = pang_arena_cstr(arena, view->prefix);
    out->branch_type = ref->type;
    if (may_know(call, view, ref)) {
        out->assets = ref->selected;
        out->n_assets = ref->n_selected;
    }
    out->protected_ = ref->is_protected;
    out->own_paths = ref->own_paths;
    out->description = ref->description;
    out->created_by = ref->created_by_name;
    if (!pang_id_is_nil(head))
        out->head_commit_id = pang_manage_id_text(head, arena);
    if (ref->deadline_ms != 0)
        out->expires_at = pang_manage_time(ref->deadline_ms, arena);
    if (ref->created_ms != 0)
        out->created_at = pang_manage_time(ref->created_ms, arena);
    pang_code code = from_name(view, ref, &out->from_branch, err);
    *ret = out;
    return code == PANG_OK ? pang_manage_built(arena, err) : code;
}

/* With its head. */
static pang_code show_one(pang_call *call, pang_view *view, const pang_named_ref *row,
                          shown_branch **ret, pang_err *err)
{
    pang_view at = *view;
    pang_commit_row head = {0};
    pang_code code = pang_view_switch(&at, row->name, PANG_NOT_FOUND_REASON, err);
    if (code == PANG_OK)
        code = pang_commit_head(&at, &head, err);
    if (code != PANG_OK)
        return code;
    pang_id id = head.body == NULL ? (pang_id){{0}} : pang_id_of(head.body->id);
    return show(call, view, row->name, row->ref, id, ret, err);
}

/* ---- list, get ---- */

static pang_code list_branches(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListBranchesRequest *in = request;
    Pangolin__V1__ListBranchesResponse *out = reply;
    pang_view view;
    pang_named_ref *rows = NULL;
    size_t n = 0;
    char *token = NULL;
    pang_refs_query query = {
        .page_size = in->page_size,
        .offset = in->offset,
        .token = in->_page_token_case != 0 ? in->page_token : NULL,
    };
    pang_code code = pang_refs_open(call, in->catalog, &view, err);
    if (code == PANG_OK)
        code = pang_refs_list(call, &view, &query, &rows, &n, &token, err);
    if (code != PANG_OK)
        return code;
    out->branches = pang_arena_alloc_n(call->arena, n, sizeof *out->branches);
    if (out->branches == NULL)
        return pang_fail_memory(err);
    if (token != NULL)
        out->next_page_token = token;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        code = show_one(call, &view, &rows[i], &out->branches[i], err);
        out->n_branches += code == PANG_OK;
    }
    return code;
}

/* The catalog and the branch of a request. */
static pang_code open_branch(pang_call *call, const char *catalog, const char *name,
                             pang_view *ret_view, pang_rec_ref **ret, pang_err *err)
{
    pang_code code = pang_refs_open(call, catalog, ret_view, err);
    if (code == PANG_OK)
        code = pang_refs_named(ret_view, name, false, ret, err);
    return code == PANG_OK && *ret == NULL ? pang_manage_absent("branch", name, err) : code;
}

/* In one catalog after the other; *n is how many have it. */
static pang_code look_in(pang_call *call, const pang_rec_catalog *catalog, const char *name,
                         pang_view *ret_view, pang_rec_ref **ret, size_t *n, pang_err *err)
{
    pang_view view;
    pang_rec_ref *ref;
    pang_code code = pang_view_of(call->txn, call->arena, call->tenant_key, pang_id_of(catalog->id),
                                  pang_str_from(catalog->name), &view, err);
    if (code == PANG_OK)
        code = pang_refs_named(&view, name, false, &ref, err);
    if (code != PANG_OK || ref == NULL || !pang_refs_may(call, &view, PANG_ACT_READ))
        return code;
    *ret_view = view;
    *ret = ref;
    ++*n;
    return PANG_OK;
}

/* The one branch of the name in all catalogs that the caller sees. */
static pang_code find_anywhere(pang_call *call, const char *name, pang_view *ret_view,
                               pang_rec_ref **ret, pang_err *err)
{
    pang_rec_catalog **list = NULL;
    pang_catalogs_query query = {0};
    size_t n = 0, found = 0;
    char *more = NULL;
    pang_code code = pang_catalogs_list(call, &query, &list, &n, &more, err);
    for (size_t i = 0; code == PANG_OK && found < 2 && i < n; i++)
        code = look_in(call, list[i], name, ret_view, ret, &found, err);
    if (code != PANG_OK)
        return code;
    if (found > 1 || more != NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "catalog is missing: there is more than one");
    return found == 0 ? pang_manage_absent("branch", name, err) : PANG_OK;
}

static pang_code get_branch(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetBranchRequest *in = request;
    Pangolin__V1__GetBranchResponse *out = reply;
    pang_view view;
    pang_named_ref row = {.name = pang_str_from(in->name)};
    pang_code code = in->catalog[0] == '\0'
                         ? find_anywhere(call, in->name, &view, &row.ref, err)
                         : open_branch(call, in->catalog, in->name, &view, &row.ref, err);
    return code == PANG_OK ? show_one(call, &view, &row, &out->branch, err) : code;
}

/* ---- what is given ---- */

/* *ret_ms: 0 for never. */
static pang_code read_deadline(pang_call *call, const char *at, const int64_t *ttl, int64_t *ret_ms,
                               pang_err *err)
{
    int64_t now = pang_env_wall_ms(call->server->env);
    *ret_ms = 0;
    if (at[0] != '\0' && ttl != NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "expires_at and ttl are both given");
    if (ttl != NULL && (*ttl < 0 || *ttl > TTL_MAX_S))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "ttl is not between 0 and %lld seconds", (long long)TTL_MAX_S);
    if (ttl != NULL && *ttl > 0)
        *ret_ms = now + *ttl * MS_OF_S;
    if (at[0] == '\0')
        return PANG_OK;
    if (!pang_manage_parse_time(at, ret_ms))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "expires_at \"%.64s\" is no time as in RFC 3339", at);
    if (*ret_ms <= now)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "expires_at \"%.64s\" is not in the future", at);
    return PANG_OK;
}

static pang_code fail_selected(const char *text, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "assets: \"%.500s\" is neither namespace.name nor namespace.*", text);
}

static pang_code read_options(pang_call *call, const Pangolin__V1__CreateBranchRequest *in,
                              pang_branch_options *ret, pang_err *err)
{
    *ret = (pang_branch_options){
        .name = pang_str_from(in->name),
        .ingest = strcmp(in->branch_type, INGEST) == 0,
        .is_protected = in->protected_,
        .own_paths = in->own_paths,
        .description = pang_str_from(in->description),
        .n_selected = in->n_assets,
        .selected_as = in->assets,
    };
    if (in->branch_type[0] != '\0' && !ret->ingest && strcmp(in->branch_type, EXPERIMENTAL) != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "branch_type \"%.64s\" is neither \"" INGEST "\" nor \"" EXPERIMENTAL "\"",
                         in->branch_type);
    if (in->n_assets > PANG_CHANGES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "assets has %zu entries, at most %d", in->n_assets, PANG_CHANGES_MAX);
    pang_code code = pang_manage_name("name", in->name, err);
    if (code == PANG_OK)
        code = pang_manage_text("description", in->description, err);
    if (code == PANG_OK)
        code = read_deadline(call, in->expires_at, in->_ttl_case != 0 ? &in->ttl : NULL,
                             &ret->deadline_ms, err);
    return code;
}

static pang_code read_source(const Pangolin__V1__CreateBranchRequest *in, pang_str *ret,
                             pang_err *err)
{
    if (in->from[0] != '\0' && in->from_branch[0] != '\0' && strcmp(in->from, in->from_branch) != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "from and from_branch are both given");
    *ret = in->from[0] != '\0'          ? pang_str_from(in->from)
           : in->from_branch[0] != '\0' ? pang_str_from(in->from_branch)
                                        : PANG_MAIN_REF;
    return PANG_OK;
}

/* ---- create ---- */

typedef struct {
    pang_call *call;
    pang_id catalog;
} selecting;

/* A selection tells nobody what is there. */
static pang_code may_select(void *arg, pang_str path, const pang_rec_content *asset, bool *ret,
                            pang_err *err)
{
    selecting *s = arg;
    if (asset == NULL) {
        *ret = pang_evaluate_lists(s->call, s->catalog, path);
        return PANG_OK;
    }
    pang_grant_object object = {.kind = PANG_SCOPE_ASSET,
                                .catalog = s->catalog,
                                .path = path,
                                .asset = pang_id_of(asset->asset)};
    return pang_evaluate_shows(s->call, &object, ret, err);
}

/* What is selected of the source, as its maker named it. */
static pang_code read_selection(pang_view *source, pang_branch_options *options, pang_selected *ret,
                                pang_err *err)
{
    pang_code code = PANG_OK;
    pang_selected *list = pang_arena_alloc_n(source->arena, PANG_READINGS_MAX, sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < options->n_selected; i++) {
        size_t n = 0, which = 0;
        const char *text = options->selected_as[i];
        code = pang_dotted_read(text, source->arena, list, &n, err);
        if (code == PANG_OK && n == 0)
            code = fail_selected(text, err);
        if (code == PANG_OK)
            code = pang_dotted_choose(&source, 1, text, list, n, options->selectable,
                                      options->selectable_arg, &which, err);
        ret[i] = list[which];
    }
    options->selected = ret;
    return code;
}

static pang_code create_branch(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateBranchRequest *in = request;
    Pangolin__V1__CreateBranchResponse *out = reply;
    pang_view view, source;
    pang_branch_options options;
    pang_branch_made made;
    pang_str from;
    pang_code code = pang_refs_open(call, in->catalog, &view, err);
    if (code == PANG_OK)
        code = read_options(call, in, &options, err);
    if (code == PANG_OK)
        code = read_source(in, &from, err);
    if (code != PANG_OK)
        return code;
    pang_selected *selected = pang_arena_alloc_n(call->arena, in->n_assets + 1, sizeof *selected);
    if (selected == NULL)
        return pang_fail_memory(err);
    source = view;
    selecting s = {call, view.catalog};
    options.selectable = may_select;
    options.selectable_arg = &s;
    code = pang_refs_switch_onto(&source, from, err);
    if (code == PANG_OK)
        code = read_selection(&source, &options, selected, err);
    if (code == PANG_OK)
        code = pang_branch_make(&source, call->server->env, call->who, &options, &made, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = made.branch;
    return show(call, &view, options.name, made.ref, made.head, &out->branch, err);
}

/* ---- update ---- */

static pang_code fail_main(const char *what, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "branch \"main\" cannot %s",
                     what);
}

static bool is_main(const char *name)
{
    return pang_str_equal(pang_str_from(name), PANG_MAIN_REF);
}

static pang_code promote(const char *type, pang_rec_ref *ref, pang_err *err)
{
    if (type[0] == '\0' || strcmp(type, ref->type) == 0)
        return PANG_OK;
    if (strcmp(type, INGEST) != 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "branch_type \"%.64s\" is not \"" INGEST
                         "\", the only type that a branch can change to",
                         type);
    ref->type = (char *)(uintptr_t)INGEST;
    return PANG_OK;
}

static pang_code change_deadline(pang_call *call, const Pangolin__V1__UpdateBranchRequest *in,
                                 pang_view *view, pang_rec_ref *ref, pang_err *err)
{
    const char *at = in->_expires_at_case != 0 ? in->expires_at : "";
    if (in->_expires_at_case == 0 && in->_ttl_case == 0)
        return PANG_OK;
    pang_code code = read_deadline(call, at, in->_ttl_case != 0 ? &in->ttl : NULL,
                                   &ref->deadline_ms, err);
    if (code != PANG_OK || ref->deadline_ms == 0)
        return code;
    if (is_main(in->branch))
        return fail_main("expire", err);
    return pang_branch_expire_at(view, call->server->env, pang_id_of(ref->branch), ref->deadline_ms,
                                 err);
}

/* All but the name. */
static pang_code change(pang_call *call, const Pangolin__V1__UpdateBranchRequest *in,
                        pang_view *view, pang_rec_ref *ref, pang_err *err)
{
    pang_code code = promote(in->branch_type, ref, err);
    if (code == PANG_OK)
        code = change_deadline(call, in, view, ref, err);
    if (code == PANG_OK && in->_description_case != 0)
        code = pang_manage_text("description", in->description, err);
    if (code != PANG_OK)
        return code;
    if (in->_description_case != 0)
        ref->description = in->description;
    if (in->_protected_case != 0)
        ref->is_protected = in->protected_;
    if (in->_own_paths_case != 0)
        ref->own_paths = in->own_paths;
    return PANG_OK;
}

static pang_code update_branch(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateBranchRequest *in = request;
    Pangolin__V1__UpdateBranchResponse *out = reply;
    pang_view view, at;
    pang_commit_row head = {0};
    pang_rec_ref *ref;
    pang_str from = pang_str_from(in->branch), name = from;
    bool renames = in->_name_case != 0 && strcmp(in->name, in->branch) != 0;
    pang_code code = open_branch(call, in->catalog, in->branch, &view, &ref, err);
    if (code == PANG_OK && renames && is_main(in->branch))
        return fail_main("be renamed", err);
    at = view;
    if (code == PANG_OK)
        code = pang_view_switch(&at, from, PANG_NOT_FOUND_REASON, err);
    if (code == PANG_OK)
        code = pang_commit_head(&at, &head, err);
    if (code == PANG_OK)
        code = change(call, in, &view, ref, err);
    if (code == PANG_OK && renames)
        code = pang_manage_name("name", in->name, err);
    if (code != PANG_OK)
        return code;
    if (renames)
        name = pang_str_from(in->name);
    code = renames ? pang_branch_rename(&view, call->server->env, from, name, ref, err)
                   : pang_ref_change(&view, name, ref, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = pang_id_of(ref->branch);
    pang_id id = head.body == NULL ? (pang_id){{0}} : pang_id_of(head.body->id);
    return show(call, &view, name, ref, id, &out->branch, err);
}

/* ---- delete ---- */

static pang_code delete_branch(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteBranchRequest *in = request;
    pang_view view;
    pang_rec_ref *ref;
    (void)reply;
    pang_code code = open_branch(call, in->catalog, in->name, &view, &ref, err);
    if (code != PANG_OK)
        return code;
    if (is_main(in->name))
        return fail_main("be deleted", err);
    if (ref->is_protected)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "branch \"%.255s\" is protected: take the protection away first",
                         in->name);
    call->note.resource = pang_id_of(ref->branch);
    return pang_ref_end(&view, call->server->env, pang_str_from(in->name), ref, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.BranchService/ListBranches",
        .in = &pangolin__v1__list_branches_request__descriptor,
        .out = &pangolin__v1__list_branches_response__descriptor,
        .handle = list_branches,
    },
    {
        .path = "/pangolin.v1.BranchService/CreateBranch",
        .in = &pangolin__v1__create_branch_request__descriptor,
        .out = &pangolin__v1__create_branch_response__descriptor,
        .handle = create_branch,
    },
    {
        .path = "/pangolin.v1.BranchService/GetBranch",
        .in = &pangolin__v1__get_branch_request__descriptor,
        .out = &pangolin__v1__get_branch_response__descriptor,
        .handle = get_branch,
    },
    {
        .path = "/pangolin.v1.BranchService/UpdateBranch",
        .in = &pangolin__v1__update_branch_request__descriptor,
        .out = &pangolin__v1__update_branch_response__descriptor,
        .handle = update_branch,
    },
    {
        .path = "/pangolin.v1.BranchService/DeleteBranch",
        .in = &pangolin__v1__delete_branch_request__descriptor,
        .out = &pangolin__v1__delete_branch_response__descriptor,
        .handle = delete_branch,
    },
};

const pang_service pang_service_branch = {
    .name = "pangolin.v1.BranchService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
