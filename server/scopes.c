/*
 * Scopes. Replies show ids, so that what a client reads and sends back names the same thing still
 * when names have changed. A namespace's levels are joined by dots as existing clients do it;
 * where a level itself holds a dot, only the unit separator can name it.
 */
#include "server/scopes.h"

#include <string.h>

#define SCOPE(name) PANGOLIN__STORE__V1__SCOPE__KIND__KIND_##name

enum { LEVELS_MAX = 64 };

static pang_code bad(const char *field, const char *why, pang_err *err)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON, "%s %s", field, why);
}

/* ---- kinds ---- */

static const struct {
    const char *name;
    Pangolin__Store__V1__Scope__Kind kind;
} kinds[] = {
    {"tenant", SCOPE(TENANT)}, {"catalog", SCOPE(CATALOG)}, {"namespace", SCOPE(NAMESPACE)},
    {"asset", SCOPE(ASSET)},   {"tag", SCOPE(TAG)},
};

static pang_code kind_of(const char *type, Pangolin__Store__V1__Scope__Kind *ret, pang_err *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, type) == 0) {
            *ret = kinds[i].kind;
            return PANG_OK;
        }
    }
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                     "scope.type \"%.100s\" is none of tenant, catalog, namespace, asset, tag",
                     type);
}

static const char *name_of(Pangolin__Store__V1__Scope__Kind kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return "";
}

/* ---- from the request ---- */

static pang_code name_by_id(pang_call *call, pang_id id, pang_str *ret, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_rec_catalog *body;
    pang_record record;
    pang_code code = pang_txn_get_one(call->txn, pang_key_catalog(&keys, id), &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record, call->arena,
                              &body, err);
    if (code == PANG_OK)
        *ret = pang_str_from(body->name);
    return code;
}

pang_code pang_scope_catalog(pang_call *call, const char *text, pang_view *ret, pang_err *err)
{
    pang_str name = pang_str_from(text);
    pang_code code = PANG_OK;
    pang_id id;
    if (pang_id_parse(name, &id))
        code = name_by_id(call, id, &name, err);
    /* "name@ref" would open another branch: a grant is of the catalog, whatever the branch. */
    if (code == PANG_OK && pang_str_find(name, '@') < name.len)
        code = PANG_NOT_FOUND;
    if (code == PANG_OK)
        code = pang_view_begin(call->txn, call->arena, call->tenant_key, name,
                               PANG_NOT_FOUND_REASON, ret, err);
    return code == PANG_NOT_FOUND ? pang_manage_absent("catalog", text, err) : code;
}

pang_code pang_scope_levels(const char *text, pang_arena *arena, pang_levels *ret, pang_err *err)
{
    pang_str *names = pang_arena_alloc_n(arena, LEVELS_MAX, sizeof *names);
    pang_str rest = pang_str_from(text);
    char separator = strchr(text, PANG_UNIT_SEPARATOR) != NULL ? PANG_UNIT_SEPARATOR : '.';
    size_t n = 0;
    if (names == NULL)
        return pang_fail_memory(err);
    for (pang_str one; pang_str_next(&rest, separator, &one); n++) {
        if (one.len == 0 || n == LEVELS_MAX)
            return bad("namespace", one.len == 0 ? "has an empty level" : "has too many levels",
                       err);
        names[n] = one;
    }
    if (n == 0)
        return bad("namespace", "is missing", err);
    *ret = (pang_levels){names, n};
    return PANG_OK;
}

static char *keep(pang_arena *arena, pang_str text)
{
    return pang_arena_cstr(arena, text);
}

static pang_code resolve_namespace(pang_view *view, const char *text, pang_rec_scope *to,
                                   pang_err *err)
{
    pang_content content = {0};
    pang_levels levels = {0};
    pang_code code = pang_scope_levels(text, view->arena, &levels, err);
    if (code != PANG_OK)
        return code;
    content.name = pang_name_of_namespace(&view->keys, levels);
    code = pang_content_get(view, &content, 1, err);
    if (code == PANG_OK && !pang_content_exists(&content))
        return pang_manage_absent("namespace", text, err);
    to->path = keep(view->arena, pang_key_path(&view->keys, levels.names, levels.n));
    return code;
}

static pang_code resolve_asset(pang_view *view, const pang_scope_text *text, pang_rec_scope *to,
                               pang_err *err)
{
    pang_id *id = pang_arena_alloc(view->arena, sizeof *id);
    pang_asset_at place = {0};
    if (id == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_manage_id("scope.asset_id", text->asset_id, id, err);
    if (code == PANG_OK)
        code = pang_asset_find(view, id, 1, &place, err);
    if (code != PANG_OK)
        return code;
    pang_rec_asset *found = place.body;
    if (found == NULL || found->dropped || found->space != PANG_SPACE_ASSET)
        return pang_manage_absent("asset", text->asset_id, err);
    to->asset = pang_bytes_of_id(id);
    to->path = found->path;
    return PANG_OK;
}

static bool stop_at_first(void *arg, const pang_record *row)
{
    (void)row;
    *(bool *)arg = true;
    return false;
}

static pang_code resolve_tag(pang_call *call, const char *tag, pang_rec_scope *to, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    bool found = false;
    pang_code code = pang_manage_name("scope.tag_name", tag, err);
    pang_query query = {
        .prefix = pang_key_tagged_assets(&keys, pang_str_from(tag)), .limit = 1, .keys_only = true};
    if (code == PANG_OK)
        code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(call->txn, &query, stop_at_first, &found, err);
    if (code == PANG_OK && !found)
        return pang_manage_absent("tag", tag, err);
    to->tag = (char *)(uintptr_t)tag;
    return code;
}

static pang_code resolve_in_catalog(pang_call *call, const pang_scope_text *text,
                                    pang_rec_scope *to, pang_err *err)
{
    pang_view *view = pang_arena_alloc(call->arena, sizeof *view);
    if (view == NULL)
        return pang_fail_memory(err);
    if (text->catalog_id[0] == '\0')
        return bad("scope.catalog_id", "is missing", err);
    pang_code code = pang_scope_catalog(call, text->catalog_id, view, err);
    if (code != PANG_OK)
        return code;
    to->catalog = pang_bytes_of_id(&view->catalog);
    if (to->kind == SCOPE(NAMESPACE))
        return resolve_namespace(view, text->namespace_, to, err);
    return to->kind == SCOPE(ASSET) ? resolve_asset(view, text, to, err) : PANG_OK;
}

pang_code pang_scope_resolve(pang_call *call, const pang_scope_text *text, pang_rec_scope **ret,
                             pang_err *err)
{
    pang_rec_scope *to = pang_arena_alloc(call->arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    if (text == NULL)
        return bad("scope", "is missing", err);
    *to = (pang_rec_scope)PANGOLIN__STORE__V1__SCOPE__INIT;
    pang_code code = kind_of(text->type, &to->kind, err);
    if (code == PANG_OK && to->kind == SCOPE(TAG))
        code = resolve_tag(call, text->tag_name, to, err);
    else if (code == PANG_OK && to->kind != SCOPE(TENANT))
        code = resolve_in_catalog(call, text, to, err);
    *ret = to;
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

/* ---- for the reply ---- */

/* "a.b" of a path as keys have it. */
static pang_code show_path(const char *path, pang_arena *arena, char **ret, pang_err *err)
{
    pang_buf text = {.arena = arena};
    pang_str rest = pang_str_from(path), part, level;
    for (size_t i = 0; pang_str_next(&rest, '.', &part); i++) {
        if (!pang_key_unescape(part, arena, &level))
            return pang_fail(err, PANG_DATA_LOSS, NULL, "scope of a grant is damaged");
        if (i > 0)
            pang_buf_add_char(&text, '.');
        pang_buf_add(&text, level);
    }
    pang_buf_add_char(&text, '\0');
    if (text.failed)
        return pang_fail_memory(err);
    *ret = text.ptr;
    return PANG_OK;
}

pang_code pang_scope_show(pang_call *call, const pang_rec_scope *scope, pang_scope_text **ret,
                          pang_err *err)
{
    pang_scope_text *to = pang_arena_alloc(call->arena, sizeof *to);
    pang_code code = PANG_OK;
    if (to == NULL)
        return pang_fail_memory(err);
    *to = (pang_scope_text)PANGOLIN__V1__PERMISSION_SCOPE__INIT;
    to->type = (char *)(uintptr_t)name_of(scope->kind);
    if (scope->catalog.len > 0)
        to->catalog_id = pang_manage_id_text(pang_id_of(scope->catalog), call->arena);
    if (scope->asset.len > 0)
        to->asset_id = pang_manage_id_text(pang_id_of(scope->asset), call->arena);
    if (scope->path[0] != '\0')
        code = show_path(scope->path, call->arena, &to->namespace_, err);
    to->tag_name = scope->tag;
    *ret = to;
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

static bool bytes_same(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return pang_str_equal(pang_str_of(a), pang_str_of(b));
}

bool pang_scope_same(const pang_rec_scope *a, const pang_rec_scope *b)
{
    /* An asset is the same wherever it was when it was granted. */
    bool path_counts = a->kind != SCOPE(ASSET);
    return a->kind == b->kind && bytes_same(a->catalog, b->catalog) &&
           bytes_same(a->asset, b->asset) && strcmp(a->tag, b->tag) == 0 &&
           (!path_counts || strcmp(a->path, b->path) == 0);
}

bool pang_scope_text_same(const pang_scope_text *a, const pang_scope_text *b)
{
    return strcmp(a->type, b->type) == 0 && strcmp(a->catalog_id, b->catalog_id) == 0 &&
           strcmp(a->namespace_, b->namespace_) == 0 && strcmp(a->asset_id, b->asset_id) == 0 &&
           strcmp(a->tag_name, b->tag_name) == 0;
}

/* ---- actions ---- */

static const char *const actions[] = {
    [PANG_ACT_READ] = "read",
    [PANG_ACT_WRITE] = "write",
    [PANG_ACT_DELETE] = "delete",
    [PANG_ACT_CREATE] = "create",
    [PANG_ACT_UPDATE] = "update",
    [PANG_ACT_LIST] = "list",
    [PANG_ACT_ALL] = "all",
    [PANG_ACT_INGEST_BRANCHING] = "ingest-branching",
    [PANG_ACT_EXPERIMENTAL_BRANCHING] = "experimental-branching",
    [PANG_ACT_MANAGE_DISCOVERY] = "manage-discovery",
};

enum { ACTIONS = sizeof actions / sizeof actions[0] };

pang_code pang_actions_read(char *const *names, size_t n, uint32_t *ret, pang_err *err)
{
    *ret = 0;
    if (n == 0)
        return bad("actions", "is empty", err);
    for (size_t i = 0; i < n; i++) {
        unsigned action = 1;
        while (action < ACTIONS && strcmp(actions[action], names[i]) != 0)
            action++;
        if (action == ACTIONS)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                             "actions holds \"%.100s\", which is no action", names[i]);
        *ret |= 1u << action;
    }
    return PANG_OK;
}

pang_code pang_actions_show(uint32_t set, pang_arena *arena, char ***ret, size_t *ret_n,
                            pang_err *err)
{
    char **names = pang_arena_alloc_n(arena, ACTIONS, sizeof *names);
    if (names == NULL)
        return pang_fail_memory(err);
    *ret_n = 0;
    for (unsigned action = 1; action < ACTIONS; action++)
        if ((set & (1u << action)) != 0)
            names[(*ret_n)++] = (char *)(uintptr_t)actions[action];
    *ret = names;
    return PANG_OK;
}
