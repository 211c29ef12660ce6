/*
 * From a rule's names to a grant's ids. A catalog's name leads to its id, which is all that most
 * grants need; an asset's id is looked up only for who has grants on single assets of the catalog,
 * its tags only for who has grants on tags. What is not there is judged by what would cover it, so
 * that an absent object and a hidden one are answered alike.
 */
#include "server/evaluate.h"

#include "api/keys_secrets.h"
#include "api/keys_versions.h"
#include "pangolin/store/v1/identity.pb-c.h"
#include "server/address.h"

enum {
    CATALOGS_MAX = 64,  /* that an asset is looked for in, when only its id is given */
    PREFETCH_REFS = 64, /* records that are read in the epoch's round trip */
};

/* ---- what an access names ---- */

/* Branches, tags and commits: who may do what with them is said of their catalog. */
static bool names_ref(const pang_access *access)
{
    return access->resource == PANG_RESOURCE_BRANCH || access->resource == PANG_RESOURCE_TAG ||
           access->resource == PANG_RESOURCE_COMMIT;
}

static bool names_content(const pang_access *access)
{
    switch (access->resource) {
    case PANG_RESOURCE_CATALOG:
    case PANG_RESOURCE_NAMESPACE:
    case PANG_RESOURCE_TABLE:
    case PANG_RESOURCE_VIEW:
        return true;
    case PANG_RESOURCE_ASSET:
        return access->n_object != 1; /* by its id */
    default:
        return names_ref(access);
    }
}

/* A part of one text; empty for a part that could not be followed. */
static pang_str text_of(const pang_access *access, size_t i)
{
    if (i >= access->n_object || access->object[i].n != 1)
        return (pang_str){0};
    return access->object[i].levels[0];
}

static pang_levels levels_of(const pang_access *access)
{
    if (access->n_object < 2 || names_ref(access))
        return (pang_levels){0};
    return (pang_levels){access->object[1].levels, access->object[1].n};
}

/* Whether a failure only says that there is no such object. */
static bool is_absence(pang_code code)
{
    return code == PANG_NOT_FOUND || code == PANG_INVALID_ARGUMENT;
}

/* What the access names, without its ref: permissions are of names, whatever the branch. */
static pang_code address_of(pang_call *call, const pang_access *access, pang_address *ret,
                            pang_err *err)
{
    pang_str name = access->n_object > 2 ? text_of(access, 2) : (pang_str){0};
    pang_code code = pang_address_parse(text_of(access, 0), levels_of(access), name, call->arena,
                                        ret, err);
    if (code == PANG_OK)
        pang_address_add(ret, access->ref);
    return code;
}

static pang_code open_catalog(pang_call *call, const pang_address *address, pang_view *ret,
                              pang_err *err)
{
    return pang_view_catalog(call->txn, call->arena, call->tenant_key, address->catalog, NULL, ret,
                             err);
}

/* ---- standing ---- */

/* The records that the handler will ask for, on all levels of what the address names. */
static pang_code add_prefetch(pang_call *call, const pang_access *access, pang_ref *refs, size_t *n,
                              pang_err *err)
{
    pang_view view;
    pang_name name;
    pang_address address;
    if (!names_content(access) || text_of(access, 0).len == 0)
        return PANG_OK;
    pang_code code = address_of(call, access, &address, err);
    if (code == PANG_OK)
        code = open_catalog(call, &address, &view, err);
    /* Which commit a time means takes many looks, and the handler takes them anyway. */
    if (code == PANG_OK && pang_ref_form_of(address.ref) == PANG_REF_TIME)
        return PANG_OK;
    if (code == PANG_OK)
        code = pang_view_switch(&view, address.ref, NULL, err);
    if (code != PANG_OK)
        return is_absence(code) ? PANG_OK : code;
    if (address.levels.n == 0 || *n + view.n_levels >= PREFETCH_REFS)
        return PANG_OK;
    if (access->n_object > 2)
        name = pang_name_of_asset(&view.keys, address.levels, address.name);
    else
        name = pang_name_of_namespace(&view.keys, address.levels);
    for (size_t i = 0; i < view.n_levels; i++) {
        pang_str key = pang_key_content(&view.keys, view.levels[i].branch, name.space, name.path,
                                        name.name);
        if (key.len > 0)
            refs[(*n)++] = (pang_ref){.key = key};
    }
    pang_str mark = pang_key_fork_mark(&view.keys, view.levels[0].branch);
    if (access->n_object > 2 && view.writable && mark.len > 0)
        refs[(*n)++] = (pang_ref){.key = mark};
    return PANG_OK;
}

static pang_code refuse(pang_err *err, const char *why)
{
    return pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException", "%s", why);
}

/* One get: the epoch, whether the token was revoked, and what the accesses name. */
static pang_code read_epoch(pang_call *call, pang_keys *keys, const pang_access *accesses, size_t n,
                            pang_record *ret, pang_err *err)
{
    pang_ref refs[PREFETCH_REFS];
    pang_record records[PREFETCH_REFS];
    bool by_token = call->who->credential == PANG_CREDENTIAL_TOKEN;
    size_t n_refs = 1;
    if (by_token)
        refs[n_refs++] = (pang_ref){.key = pang_key_revoked_token(keys, call->who->jti)};
    for (size_t i = 0; i < n && i < PANG_PREFETCH_MAX; i++) {
        pang_code code = add_prefetch(call, &accesses[i], refs, &n_refs, err);
        if (code != PANG_OK)
            return code;
    }
    pang_code code = pang_auth_epoch_get(call->txn, keys, refs, n_refs, records, err);
    if (code == PANG_OK && by_token && records[1].version != 0)
        return refuse(err, "the token has ended");
    if (code == PANG_OK)
        *ret = records[0];
    return code;
}

static bool has_key(const pang_permit *permit, pang_str key)
{
    for (size_t i = 0; i < permit->n_keys; i++)
        if (pang_str_equal(permit->keys[i], key))
            return true;
    return false;
}

/* The credential was good by itself; the account may have changed since it was made out. */
static pang_code check_standing(const pang_principal *who, const pang_permit *permit, pang_err *err)
{
    pang_rank rank = pang_grants_rank(permit->grants);
    if (rank == PANG_RANK_NOBODY)
        return refuse(err, "the account does not exist or is not active");
    if (who->credential == PANG_CREDENTIAL_TOKEN && who->token_epoch < permit->token_epoch)
        return refuse(err, "the token has ended");
    if (who->credential == PANG_CREDENTIAL_API_KEY && !has_key(permit, who->key_id))
        return refuse(err, "the API key has ended");
    if (who->is_admin && rank != PANG_RANK_ADMIN)
        return refuse(err, "the account is no administrator any more");
    return PANG_OK;
}

pang_code pang_evaluate_stand(void *arg, pang_call *call, const pang_access *accesses, size_t n,
                              pang_err *err)
{
    pang_auth_cache *cache = arg;
    char *scope;
    pang_record epoch;
    call->permit = NULL;
    if (call->who->kind == PANG_PRINCIPAL_ROOT)
        call->permit = pang_auth_cache_root(cache);
    if (call->who->kind == PANG_PRINCIPAL_NONE || call->permit != NULL || call->txn == NULL)
        return PANG_OK;
    scope = pang_arena_alloc_text(call->arena, PANG_ID_HEX + 1);
    if (scope == NULL)
        return pang_fail_memory(err);
    pang_id_hex(call->who->tenant, scope);
    pang_keys keys = {.arena = call->arena, .scope = {scope, PANG_ID_HEX}};
    pang_code code = read_epoch(call, &keys, accesses, n, &epoch, err);
    if (code == PANG_OK)
        code = pang_auth_cache_get(cache, call, epoch.value, &call->permit, err);
    if (code == PANG_OK)
        code = check_standing(call->who, call->permit, err);
    if (code != PANG_OK) {
        call->permit = NULL;
        return code;
    }
    pang_txn_check_counter(call->txn, epoch.key, call->permit->epoch);
    return PANG_OK;
}

/* ---- objects ---- */

pang_code pang_evaluate_tags(pang_call *call, pang_grant_object *ret, pang_err *err)
{
    Pangolin__Store__V1__AssetNotes *notes;
    pang_record record = {0};
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_str key = pang_key_asset_notes(&keys, ret->asset);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__asset_notes__descriptor, &record, call->arena,
                              &notes, err);
    if (code != PANG_OK)
        return code;
    pang_str *tags = pang_arena_alloc_n(call->arena, notes->n_tags, sizeof *tags);
    if (tags == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < notes->n_tags; i++)
        tags[i] = pang_str_from(notes->tags[i]);
    ret->tags = tags;
    ret->n_tags = notes->n_tags;
    return PANG_OK;
}

/* The asset that the name stands for at the ref, where its id or its tags can matter. */
static pang_code find_asset(pang_call *call, pang_view *view, const pang_address *address,
                            pang_grant_object *ret, pang_err *err)
{
    pang_grants_use use = pang_grants_uses(call->permit->grants, view->catalog);
    pang_content content;
    if (!use.ids && !use.tags)
        return PANG_OK;
    content.name = pang_name_of_asset(&view->keys, address->levels, address->name);
    pang_code code = pang_view_switch(view, address->ref, NULL, err);
    if (code == PANG_OK)
        code = pang_content_get(view, &content, 1, err);
    if (code != PANG_OK || !pang_content_exists(&content))
        return is_absence(code) ? PANG_OK : code;
    ret->asset = pang_id_of(content.body->asset);
    return use.tags ? pang_evaluate_tags(call, ret, err) : PANG_OK;
}

/* What a name that leads nowhere is judged as: something of the tenant, in no catalog of it. */
static pang_grant_object nowhere(const pang_call *call)
{
    return (pang_grant_object){.kind = PANG_SCOPE_CATALOG, .tenant = call->who->tenant};
}

static pang_code content_object(pang_call *call, const pang_access *access, pang_grant_object *ret,
                                pang_err *err)
{
    pang_view view;
    pang_address address;
    *ret = nowhere(call);
    size_t n = names_ref(access) ? 1 : access->n_object;
    if (text_of(access, 0).len == 0 || (n > 1 && levels_of(access).n == 0))
        return PANG_OK;
    pang_code code = address_of(call, access, &address, err);
    if (code == PANG_OK)
        code = open_catalog(call, &address, &view, err);
    if (code != PANG_OK)
        return is_absence(code) ? PANG_OK : code;
    pang_str path = pang_key_path(&view.keys, address.levels.names, address.levels.n);
    code = pang_keys_status(&view.keys, err);
    if (code != PANG_OK)
        return is_absence(code) ? PANG_OK : code;
    ret->catalog = view.catalog;
    ret->path = path;
    if (n == 2)
        ret->kind = PANG_SCOPE_NAMESPACE;
    if (n < 3)
        return PANG_OK;
    ret->kind = PANG_SCOPE_ASSET;
    return find_asset(call, &view, &address, ret, err);
}

/* Its record in one catalog, on the branch that people mean when they name none. */
static pang_code asset_in(pang_call *call, pang_id catalog, pang_id asset, pang_grant_object *ret,
                          pang_err *err)
{
    pang_view view;
    pang_rec_catalog *settings;
    pang_rec_asset *found;
    pang_record record;
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_code code = pang_txn_get_one(call->txn, pang_key_catalog(&keys, catalog), &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record, call->arena,
                              &settings, err);
    if (code == PANG_OK)
        code = pang_view_begin(call->txn, call->arena, call->tenant_key,
                               pang_str_from(settings->name), NULL, &view, err);
    if (code != PANG_OK)
        return is_absence(code) ? PANG_OK : code;
    pang_str key = pang_key_asset(&view.keys, view.levels[0].branch, asset);
    code = pang_txn_get_one(call->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__asset__descriptor, &record, call->arena, &found,
                              err);
    if (code != PANG_OK || found->dropped)
        return code;
    ret->kind = PANG_SCOPE_ASSET;
    ret->catalog = catalog;
    ret->asset = asset;
    ret->path = pang_str_from(found->path);
    return PANG_OK;
}

/* Only in catalogs that the caller has grants in: the others could not make a difference. */
static pang_code find_by_id(pang_call *call, pang_id asset, pang_grant_object *ret, pang_err *err)
{
    pang_grant_object tenant = {.kind = PANG_SCOPE_TENANT, .tenant = call->who->tenant};
    pang_filter filter;
    const pang_id *catalogs;
    size_t n = 0;
    pang_code code = pang_grants_filter(call->permit->grants, PANG_ACT_LIST, &tenant, call->arena,
                                        &filter, err);
    if (code == PANG_OK && !filter.all)
        code = pang_filter_catalogs(&filter, call->arena, &catalogs, &n, err);
    for (size_t i = 0; code == PANG_OK && i < n && i < CATALOGS_MAX; i++) {
        code = asset_in(call, catalogs[i], asset, ret, err);
        if (ret->kind == PANG_SCOPE_ASSET)
            break;
    }
    if (code == PANG_OK && pang_grants_uses(call->permit->grants, ret->catalog).tags) {
        ret->kind = PANG_SCOPE_ASSET; /* tags are the tenant's, whatever catalog it is in */
        ret->asset = asset;
        code = pang_evaluate_tags(call, ret, err);
    }
    return code;
}

static pang_code asset_by_id(pang_call *call, const pang_access *access, pang_grant_object *ret,
                             pang_err *err)
{
    pang_id asset;
    *ret = nowhere(call);
    if (!pang_id_parse(text_of(access, 0), &asset) || pang_id_is_nil(asset))
        return PANG_OK;
    return find_by_id(call, asset, ret, err);
}

/* A merge operation, or a conflict of one, by its id: judged as the catalog it is in. */
static pang_code merge_by_id(pang_call *call, const pang_access *access, pang_grant_object *ret,
                             pang_err *err)
{
    pang_id id;
    pang_record record;
    pang_rec_merge_conflict *conflict;
    pang_rec_merge_operation *operation;
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_code code = PANG_OK;
    *ret = nowhere(call);
    if (!pang_id_parse(text_of(access, 0), &id))
        return PANG_OK;
    if (access->resource == PANG_RESOURCE_CONFLICT) {
        code = pang_txn_get_one(call->txn, pang_key_merge_conflict(&keys, id), &record, err);
        if (code != PANG_OK || record.version == 0)
            return code;
        code = pang_record_unpack(&pangolin__store__v1__merge_conflict__descriptor, &record,
                                  call->arena, &conflict, err);
        if (code != PANG_OK)
            return code;
        id = pang_id_of(conflict->operation);
    }
    code = pang_txn_get_one(call->txn, pang_key_merge_operation(&keys, id), &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__merge_operation__descriptor, &record,
                              call->arena, &operation, err);
    if (code == PANG_OK)
        ret->catalog = pang_id_of(operation->catalog);
    return code;
}

/* ---- evaluating ---- */

/* Whether what the object would be made in may be listed: what is not there yet cannot be. */
static bool lists_container(const pang_grants *grants, const pang_grant_object *object)
{
    pang_grant_object container = *object;
    if (object->kind == PANG_SCOPE_NAMESPACE) {
        size_t at = object->path.len;
        while (at > 0 && object->path.ptr[at - 1] != '.')
            at--;
        container.path = pang_str_slice(object->path, 0, at > 0 ? at - 1 : 0);
    } else if (object->kind != PANG_SCOPE_ASSET) {
        return false;
    }
    container.kind = container.path.len > 0 ? PANG_SCOPE_NAMESPACE : PANG_SCOPE_CATALOG;
    return pang_grants_check(grants, PANG_ACT_LIST, &container) == PANG_ALLOWED;
}

pang_code pang_evaluate(void *arg, pang_call *call, const pang_access *access, pang_verdict *ret,
                        pang_err *err)
{
    pang_grant_object object = {.kind = PANG_SCOPE_TENANT, .tenant = call->who->tenant};
    pang_code code = PANG_OK;
    (void)arg;
    *ret = PANG_HIDDEN;
    if (call->permit == NULL)
        return PANG_OK;
    /* Whose rank decides alone needs no names. */
    if (pang_grants_rank(call->permit->grants) == PANG_RANK_MEMBER) {
        if (names_content(access) && access->n_object > 0)
            code = content_object(call, access, &object, err);
        else if (access->resource == PANG_RESOURCE_ASSET)
            code = asset_by_id(call, access, &object, err);
        else if (access->resource == PANG_RESOURCE_MERGE_OPERATION ||
                 access->resource == PANG_RESOURCE_CONFLICT)
            code = merge_by_id(call, access, &object, err);
    }
    if (code != PANG_OK)
        return code;
    *ret = pang_grants_check(call->permit->grants, (pang_action)access->action, &object);
    if (*ret == PANG_HIDDEN && access->action == PANG_ACT_CREATE &&
        lists_container(call->permit->grants, &object))
        *ret = PANG_DENIED;
    return PANG_OK;
}

bool pang_evaluate_may(const pang_call *call, pang_action action, const pang_grant_object *object)
{
    pang_grant_object own = *object;
    own.tenant = call->who->tenant;
    if (call->permit == NULL)
        return call->server->evaluation;
    return pang_grants_check(call->permit->grants, action, &own) == PANG_ALLOWED;
}

/* Tags are read where grants on tags could matter. */
static pang_code judge_asset(pang_call *call, pang_action action, const pang_grant_object *asset,
                             pang_verdict *ret, pang_err *err)
{
    pang_grant_object object = *asset;
    pang_code code = PANG_OK;
    if (call->permit != NULL && pang_grants_uses(call->permit->grants, object.catalog).tags)
        code = pang_evaluate_tags(call, &object, err);
    *ret = PANG_HIDDEN;
    if (code == PANG_OK && pang_evaluate_may(call, action, &object))
        *ret = PANG_ALLOWED;
    else if (code == PANG_OK && pang_evaluate_may(call, PANG_ACT_LIST, &object))
        *ret = PANG_DENIED;
    return code;
}

pang_code pang_evaluate_shows(pang_call *call, const pang_grant_object *asset, bool *ret,
                              pang_err *err)
{
    pang_verdict verdict;
    pang_code code = judge_asset(call, PANG_ACT_LIST, asset, &verdict, err);
    *ret = verdict == PANG_ALLOWED;
    return code;
}

pang_code pang_evaluate_reads(pang_call *call, const pang_grant_object *asset, const char *what,
                              const char *shown, pang_err *err)
{
    pang_verdict verdict;
    pang_code code = judge_asset(call, PANG_ACT_READ, asset, &verdict, err);
    if (code != PANG_OK || verdict == PANG_ALLOWED)
        return code;
    if (verdict == PANG_HIDDEN)
        return pang_fail(err, PANG_NOT_FOUND, "NoSuchTableException", "Table does not exist: %s",
                         shown);
    return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException", "the %s %s may not be read",
                     what, shown);
}

bool pang_evaluate_lists(const pang_call *call, pang_id catalog, pang_str path)
{
    pang_grant_object object = {.kind = path.len > 0 ? PANG_SCOPE_NAMESPACE : PANG_SCOPE_CATALOG,
                                .tenant = call->who->tenant,
                                .catalog = catalog,
                                .path = path};
    if (call->permit == NULL)
        return call->server->evaluation;
    return pang_grants_check(call->permit->grants, PANG_ACT_LIST, &object) == PANG_ALLOWED;
}

pang_code pang_evaluate_filter(pang_call *call, pang_id catalog, pang_str path, pang_filter *ret,
                               pang_err *err)
{
    pang_scope_kind kind = path.len > 0 ? PANG_SCOPE_NAMESPACE : PANG_SCOPE_CATALOG;
    if (pang_id_is_nil(catalog))
        kind = PANG_SCOPE_TENANT;
    pang_grant_object container = {
        .kind = kind, .tenant = call->who->tenant, .catalog = catalog, .path = path};
    *ret = (pang_filter){.all = call->permit == NULL && call->server->evaluation};
    if (call->permit == NULL)
        return PANG_OK;
    return pang_grants_filter(call->permit->grants, PANG_ACT_LIST, &container, call->arena, ret,
                              err);
}
