/*
 * Explanations: why a principal may or may not. The principal's grants are read and compiled as
 * for a call of its own, and the same code that decides is asked, so that an explanation is never
 * of other rules than those that hold.
 */
#include <assert.h>
#include <string.h>

#include "server/evaluate.h"
#include "server/grants.h"
#include "server/refs.h"
#include "server/standing.h"
#include "server/svc_permission.h"

typedef Pangolin__V1__ExplainPermissionRequest request_in;
typedef Pangolin__V1__ExplainPermissionResponse response_out;
typedef Pangolin__V1__ExplainedGrant explained;

/* ---- the object ---- */

static pang_code kind_of(const char *type, pang_scope_kind *ret, pang_err *err)
{
    static const struct {
        const char *name;
        pang_scope_kind kind;
    } kinds[] = {{"tenant", PANG_SCOPE_TENANT},
                 {"catalog", PANG_SCOPE_CATALOG},
                 {"namespace", PANG_SCOPE_NAMESPACE},
                 {"asset", PANG_SCOPE_ASSET}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, type) == 0) {
            *ret = kinds[i].kind;
            return PANG_OK;
        }
    }
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                     "type \"%.100s\" is none of tenant, catalog, namespace, asset", type);
}

/* Read as the evaluator reads them. */
static pang_code read_tags(pang_call *call, pang_grant_object *object, response_out *out,
                           pang_err *err)
{
    pang_code code = pang_evaluate_tags(call, object, err);
    if (code != PANG_OK || object->n_tags == 0)
        return code;
    out->tags = pang_arena_alloc_n(call->arena, object->n_tags, sizeof *out->tags);
    if (out->tags == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < object->n_tags; i++)
        out->tags[out->n_tags++] = (char *)(uintptr_t)object->tags[i].ptr;
    return PANG_OK;
}

static pang_code asset_by_name(pang_view *view, pang_levels levels, const request_in *in,
                               pang_grant_object *object, pang_err *err)
{
    pang_content content = {
        .name = pang_name_of_asset(&view->keys, levels, pang_str_from(in->asset))};
    pang_code code = pang_content_get(view, &content, 1, err);
    if (code == PANG_OK && !pang_content_exists(&content))
        return pang_manage_absent("asset", in->asset, err);
    if (code == PANG_OK)
        object->asset = pang_id_of(content.body->asset);
    return code;
}

/* An asset may be named by its id too: then it is wherever it is now. */
static pang_code asset_by_id(pang_view *view, pang_id id, const request_in *in,
                             pang_grant_object *object, pang_err *err)
{
    pang_asset_at at = {0};
    pang_code code = pang_asset_find(view, &id, 1, &at, err);
    if (code != PANG_OK)
        return code;
    if (at.body == NULL || at.body->dropped || at.body->space != PANG_SPACE_ASSET)
        return pang_manage_absent("asset", in->asset, err);
    object->asset = id;
    object->path = pang_str_from(at.body->path);
    return PANG_OK;
}

static pang_code find_below(pang_call *call, pang_view *view, const request_in *in,
                            pang_grant_object *object, pang_err *err)
{
    pang_levels levels = {0};
    pang_id id;
    bool is_asset = object->kind == PANG_SCOPE_ASSET;
    if (is_asset && pang_id_parse(pang_str_from(in->asset), &id))
        return asset_by_id(view, id, in, object, err);
    pang_code code = pang_scope_levels(in->namespace_, call->arena, &levels, err);
    if (code != PANG_OK)
        return code;
    object->path = pang_key_path(&view->keys, levels.names, levels.n);
    if (is_asset)
        return asset_by_name(view, levels, in, object, err);
    pang_content content = {.name = pang_name_of_namespace(&view->keys, levels)};
    code = pang_content_get(view, &content, 1, err);
    if (code == PANG_OK && !pang_content_exists(&content))
        return pang_manage_absent("namespace", in->namespace_, err);
    return code;
}

static pang_code find_object(pang_call *call, const request_in *in, pang_grant_object *object,
                             response_out *out, pang_err *err)
{
    pang_view *view = pang_arena_alloc(call->arena, sizeof *view);
    if (view == NULL)
        return pang_fail_memory(err);
    object->tenant = pang_identity_tenant(call);
    pang_code code = kind_of(in->type, &object->kind, err);
    if (code != PANG_OK || object->kind == PANG_SCOPE_TENANT)
        return code;
    code = pang_scope_catalog(call, in->catalog, view, err);
    if (code == PANG_OK && in->branch[0] != '\0')
        code = pang_view_switch(view, pang_str_from(in->branch), PANG_NOT_FOUND_REASON, err);
    if (code != PANG_OK)
        return code;
    object->catalog = view->catalog;
    if (object->kind != PANG_SCOPE_CATALOG)
        code = find_below(call, view, in, object, err);
    return code == PANG_OK && object->kind == PANG_SCOPE_ASSET ? read_tags(call, object, out, err)
                                                               : code;
}

/* ---- the principal ---- */

static void let_go(void *grants)
{
    pang_grants_unref(grants);
}

static pang_code compile(pang_call *call, const char *user, pang_grants **ret, bool *ret_active,
                         pang_err *err)
{
    pang_account account;
    pang_standing standing;
    pang_code code = pang_account_find(call, user, &account, err);
    pang_principal who = {
        .id = account.id,
        .tenant = pang_identity_tenant(call),
        .kind = account.service != NULL ? PANG_PRINCIPAL_SERVICE_USER : PANG_PRINCIPAL_TENANT_USER,
    };
    if (code == PANG_OK)
        code = pang_standing_load(NULL, call->txn, call->tenant_key, &who, call->arena, &standing,
                                  err);
    if (code == PANG_OK)
        code = pang_grants_compile(&standing.source, call->arena, ret, err);
    if (code != PANG_OK)
        return code;
    *ret_active = standing.source.rank != PANG_RANK_NOBODY;
    return pang_arena_on_reset(call->arena, let_go, *ret) ? PANG_OK : pang_fail_memory(err);
}

/* ---- the grants that were looked at ---- */

typedef struct {
    pang_call *call;
    response_out *out;
    pang_id principal;
    size_t room;
    pang_code code;
    pang_err *err;
} looking;

static pang_code show_grant(looking *l, const pang_grant_seen *seen, Pangolin__V1__Permission **ret)
{
    pang_rec_scope scope = PANGOLIN__STORE__V1__SCOPE__INIT;
    pang_rec_grant grant = PANGOLIN__STORE__V1__GRANT__INIT;
    const pang_scope *from = &seen->grant->scope;
    scope.kind = (Pangolin__Store__V1__Scope__Kind)from->kind;
    if (from->kind != PANG_SCOPE_TENANT && from->kind != PANG_SCOPE_TAG)
        scope.catalog = pang_bytes_of_id(&from->catalog);
    if (from->kind == PANG_SCOPE_ASSET)
        scope.asset = pang_bytes_of_id(&from->asset);
    scope.path = pang_arena_cstr(l->call->arena, from->path);
    scope.tag = pang_arena_cstr(l->call->arena, from->tag);
    if (scope.path == NULL || scope.tag == NULL)
        return pang_fail_memory(l->err);
    grant.id = pang_bytes_of_id(&seen->grant->id);
    grant.principal = pang_bytes_of_id(&l->principal);
    grant.scope = &scope;
    grant.actions = seen->grant->actions;
    return pang_permission_show(l->call, &grant, ret, l->err);
}

static pang_code show_way(looking *l, const pang_role_way *way, explained *to)
{
    size_t n = 0;
    assert(way != NULL);
    for (const pang_role_way *w = way; w != NULL; w = w->via)
        n++;
    to->role_id = pang_manage_id_text(way->id, l->call->arena);
    to->role_name = pang_arena_cstr(l->call->arena, way->name);
    to->role_path = pang_arena_alloc_n(l->call->arena, n, sizeof *to->role_path);
    if (to->role_path == NULL)
        return pang_fail_memory(l->err);
    to->n_role_path = n;
    for (const pang_role_way *w = way; w != NULL; w = w->via)
        to->role_path[--n] = pang_arena_cstr(l->call->arena, w->name);
    return pang_manage_built(l->call->arena, l->err);
}

static bool count_one(void *arg, const pang_grant_seen *seen)
{
    (void)seen;
    ((looking *)arg)->room++;
    return true;
}

static bool show_one(void *arg, const pang_grant_seen *seen)
{
    looking *l = arg;
    explained *to = pang_arena_alloc(l->call->arena, sizeof *to);
    if (to == NULL) {
        l->code = pang_fail_memory(l->err);
        return false;
    }
    *to = (explained)PANGOLIN__V1__EXPLAINED_GRANT__INIT;
    l->out->grants[l->out->n_grants++] = to;
    to->covers = seen->covers;
    to->implies = seen->implies;
    l->code = show_grant(l, seen, &to->permission);
    if (l->code != PANG_OK || to->permission == NULL)
        return false;
    /* What is compiled does not know who granted it, and when. */
    to->permission->granted_by = to->permission->granted_at = (char *)protobuf_c_empty_string;
    if (seen->role != NULL) {
        to->permission->id = (char *)protobuf_c_empty_string;
        l->code = show_way(l, seen->role, to);
    }
    return l->code == PANG_OK;
}

/* ---- in a sentence ---- */

static pang_str actions_text(uint32_t set, pang_arena *arena)
{
    pang_buf text = {.arena = arena};
    char **names;
    size_t n;
    if (pang_actions_show(set, arena, &names, &n, NULL) != PANG_OK)
        return (pang_str){0};
    for (size_t i = 0; i < n; i++)
        pang_buf_printf(&text, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", names[i]);
    return pang_buf_str(&text);
}

static pang_str reason_of(const pang_explanation *why, pang_arena *arena)
{
    switch (why->why) {
    case PANG_WHY_ROOT:
        return PANG_STR("it is root");
    case PANG_WHY_ADMIN:
        return PANG_STR("it is an administrator of the tenant");
    case PANG_WHY_BELOW:
        return PANG_STR("it may be listed, since something in it may be");
    case PANG_WHY_MEMBER:
        return PANG_STR("members may list what they may see of their own tenant");
    case PANG_WHY_GRANT:
        if (why->role != NULL)
            return pang_arena_printf(arena, "a grant of the role \"%" PANG_STR_FMT "\" allows it",
                                     PANG_STR_ARG(why->role->name));
        return PANG_STR("a grant made to it allows it");
    default: {
        pang_str needed = actions_text(why->needed, arena);
        return pang_arena_printf(arena,
                                 "no grant on it, or on what it is in, allows it: needed is "
                                 "%" PANG_STR_FMT,
                                 PANG_STR_ARG(needed));
    }
    }
}

/* ---- the call ---- */

static pang_code read_action(const request_in *in, pang_action *ret, pang_err *err)
{
    uint32_t set;
    char *name = in->action;
    pang_code code = pang_actions_read(&name, 1, &set, err);
    if (code == PANG_OK)
        *ret = (pang_action)__builtin_ctz(set);
    return code;
}

pang_code pang_permission_explain(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const request_in *in = request;
    response_out *out = reply;
    looking l = {.call = call, .out = out, .err = err};
    pang_grant_object object = {0};
    pang_explanation why;
    pang_grants *grants = NULL;
    pang_action action;
    bool active;
    pang_code code = read_action(in, &action, err);
    if (code == PANG_OK)
        code = compile(call, in->user, &grants, &active, err);
    if (code == PANG_OK)
        code = find_object(call, in, &object, out, err);
    if (code != PANG_OK)
        return code;
    pang_grants_explain(grants, action, &object, &why);
    pang_grants_each(grants, action, &object, count_one, &l);
    out->grants = pang_arena_alloc_n(call->arena, l.room, sizeof *out->grants);
    if (out->grants == NULL)
        return pang_fail_memory(err);
    (void)pang_id_parse(pang_str_from(in->user), &l.principal);
    pang_grants_each(grants, action, &object, show_one, &l);
    if (l.code != PANG_OK)
        return l.code;
    out->allowed = why.verdict == PANG_ALLOWED;
    out->reason = pang_arena_cstr(call->arena, active ? reason_of(&why, call->arena)
                                                      : PANG_STR("the principal is not active"));
    return pang_manage_built(call->arena, err);
}
