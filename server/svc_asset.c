/*
 * Assets that are no Iceberg tables or views: names with a kind, a place and properties, which come
 * back as they were given. They are content like tables, so that branches, history and permissions
 * hold for them too; but their places are not reserved, since nothing is written there by us, and a
 * place may be a connection string.
 */
#include <string.h>

#include "server/address.h"
#include "server/assets.h"
#include "server/svc_lake.h"
#include "server/svc_manage.h"
#include "server/svc_names.h"
#include "server/svc_services.h"

#include "pangolin/v1/asset.pb-c.h"

enum { OFFSET_MAX = 100000 };

typedef Pangolin__V1__AssetSummary summary;

typedef struct {
    pang_view view;
    pang_address address;
    pang_levels levels;            /* of the address: without a ref */
    pang_content namespace, asset; /* the asset's: only when it is named */
} target;

static pang_code open_target(pang_call *call, const char *catalog, char *const *names, size_t n,
                             const char *asset, const char *ref, target *ret, pang_err *err)
{
    pang_content both[2] = {0};
    pang_address *address = &ret->address;
    pang_code code = pang_address_of(catalog, names, n, asset, call->arena, address, err);
    pang_address_add(address, pang_str_from(ref));
    if (code == PANG_OK)
        code = pang_address_open(call, address, PANG_NOT_FOUND_REASON, &ret->view, err);
    if (code == PANG_OK && n == 0)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "namespace has no levels");
    if (code != PANG_OK)
        return code;
    ret->levels = address->levels;
    both[0].name = pang_name_of_namespace(&ret->view.keys, ret->levels);
    if (asset != NULL)
        both[1].name = pang_name_of_asset(&ret->view.keys, ret->levels, address->name);
    code = pang_content_get(&ret->view, both, asset != NULL ? 2 : 1, err);
    ret->namespace = both[0];
    ret->asset = both[1];
    if (code == PANG_OK && !pang_is_namespace(&ret->namespace))
        return pang_fail_no_namespace(address->spelt_levels, call->arena, err);
    return code;
}

/* ---- list ---- */

typedef struct {
    pang_call *call;
    const Pangolin__V1__ListAssetsRequest *in;
    Pangolin__V1__ListAssetsResponse *out;
    size_t skip;
    bool failed;
} listing;

static summary *make_summary(const listing *l, const pang_content *row)
{
    pang_arena *arena = l->call->arena;
    summary *made = pang_arena_alloc(arena, sizeof *made);
    Pangolin__V1__AssetIdentifier *identifier = pang_arena_alloc(arena, sizeof *identifier);
    if (made == NULL || identifier == NULL)
        return NULL;
    *made = (summary)PANGOLIN__V1__ASSET_SUMMARY__INIT;
    *identifier = (Pangolin__V1__AssetIdentifier)PANGOLIN__V1__ASSET_IDENTIFIER__INIT;
    made->id = pang_manage_id_text(pang_id_of(row->body->asset), arena);
    made->name = identifier->name = pang_arena_cstr(arena, row->name.name);
    made->namespace_ = identifier->namespace_ = l->in->namespace_;
    made->n_namespace_ = identifier->n_namespace_ = l->in->n_namespace_;
    made->kind = (char *)(uintptr_t)pang_asset_kind(row->body);
    made->identifier = identifier;
    return made->id != NULL && made->name != NULL ? made : NULL;
}

static bool add_asset(void *arg, const pang_content *row)
{
    listing *l = arg;
    if (l->skip > 0) {
        l->skip--;
        return true;
    }
    summary *made = make_summary(l, row);
    l->failed = made == NULL;
    if (made != NULL)
        l->out->assets[l->out->n_assets++] = made;
    return !l->failed;
}

static pang_code list_assets(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListAssetsRequest *in = request;
    listing l = {.call = call, .in = in, .out = reply};
    const char *token = in->_page_token_case != 0 ? in->page_token : NULL;
    target at;
    pang_list list;
    char *next = NULL;
    if (in->offset < 0 || in->offset > OFFSET_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "offset must be 0 to %d: use the page token", OFFSET_MAX);
    pang_code code = open_target(call, in->catalog, in->namespace_, in->n_namespace_, NULL,
                                 in->branch, &at, err);
    if (code == PANG_OK)
        code = pang_list_begin(call, &at.view, at.levels, PANG_SPACE_ASSET, token, in->page_size,
                               &list, err);
    if (code != PANG_OK)
        return code;
    l.out->assets = pang_arena_alloc_n(call->arena, list.query.limit, sizeof *l.out->assets);
    if (l.out->assets == NULL)
        return pang_fail_memory(err);
    l.skip = token == NULL || token[0] == '\0' ? (size_t)in->offset : 0;
    list.query.limit += l.skip;
    code = pang_list_run(call, &list, add_asset, &l, &next, err);
    if (next != NULL)
        l.out->next_page_token = next;
    return code == PANG_OK && l.failed ? pang_fail_memory(err) : code;
}

/* ---- create ---- */

static pang_code check_kind(const char *given, const char **ret, pang_err *err)
{
    pang_str kind = pang_str_from(given);
    *ret = pang_asset_kind_of(kind);
    if (*ret != NULL)
        return PANG_OK;
    if (pang_str_equal_nocase(kind, PANG_STR("ICEBERG_TABLE")) ||
        pang_str_equal_nocase(kind, PANG_STR("IcebergTable")) ||
        pang_str_equal_nocase(kind, PANG_STR("VIEW")))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "kind: Iceberg tables and views are made through /v1");
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                     "kind \"%.64s\" is none that assets have", given);
}

static pang_code check_place(const char *location, pang_err *err)
{
    if (location[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON, "location is empty");
    return pang_manage_text("location", location, err);
}

static pang_code take_properties(const Pangolin__V1__CreateAssetRequest *in, pang_arena *arena,
                                 pang_rec_content *body, pang_err *err)
{
    pang_rec_property *made = pang_arena_alloc_n(arena, in->n_properties, sizeof *made);
    body->properties = pang_arena_alloc_n(arena, in->n_properties, sizeof *body->properties);
    if (made == NULL || body->properties == NULL)
        return pang_fail_memory(err);
    if (in->n_properties > PANG_PROPERTIES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "too many properties: %zu, at most %d", in->n_properties,
                         PANG_PROPERTIES_MAX);
    for (size_t i = 0; i < in->n_properties; i++) {
        made[i] = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
        made[i].name = in->properties[i]->key;
        made[i].value = in->properties[i]->value;
        if (strlen(made[i].name) > PANG_PROPERTY_BYTES_MAX ||
            strlen(made[i].value) > PANG_PROPERTY_BYTES_MAX)
            return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                             "property \"%.100s\" is too long, at most %d bytes", made[i].name,
                             PANG_PROPERTY_BYTES_MAX);
        body->properties[i] = &made[i];
    }
    body->n_properties = in->n_properties;
    return PANG_OK;
}

static pang_code save(pang_call *call, target *at, const pang_rec_content *body, pang_err *err)
{
    pang_edit *edit;
    pang_code code = pang_edit_begin(&at->view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_create(edit, &at->asset, body, err);
    if (code == PANG_OK)
        code = pang_edit_end(
            edit,
            pang_arena_printf(call->arena, "create asset %s",
                              pang_dotted(at->levels, at->address.name, call->arena)),
            err);
    return code;
}

static pang_code create_asset(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateAssetRequest *in = request;
    Pangolin__V1__CreateAssetResponse *out = reply;
    pang_rec_content body = PANGOLIN__STORE__V1__CONTENT__INIT;
    pang_id id = pang_id_v7(call->server->env);
    const char *kind = NULL;
    target at;
    pang_code code = open_target(call, in->catalog, in->namespace_, in->n_namespace_, in->name, "",
                                 &at, err);
    if (code == PANG_OK)
        code = pang_name_check("asset", at.address.name, err);
    if (code == PANG_OK)
        code = check_kind(in->kind, &kind, err);
    if (code == PANG_OK)
        code = check_place(in->location, err);
    if (code == PANG_OK)
        code = take_properties(in, call->arena, &body, err);
    if (code == PANG_OK && pang_content_exists(&at.asset))
        code = pang_fail_exists(PANGOLIN__STORE__V1__KIND__KIND_GENERIC, at.asset.body, at.levels,
                                at.address.name, call->arena, err);
    if (code != PANG_OK)
        return code;
    body.asset = pang_bytes_of_id(&id);
    body.kind = PANGOLIN__STORE__V1__KIND__KIND_GENERIC;
    body.asset_kind = out->kind = (char *)(uintptr_t)kind;
    body.location = out->location = in->location;
    out->name = (char *)(uintptr_t)at.address.name.ptr;
    out->id = pang_manage_id_text(id, call->arena);
    call->note.resource = id;
    code = save(call, &at, &body, err);
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

/* ---- get ---- */

static pang_code show_properties(const pang_rec_content *body, pang_arena *arena,
                                 Pangolin__V1__GetAssetResponse *out, pang_err *err)
{
    typedef Pangolin__V1__GetAssetResponse__PropertiesEntry entry;
    entry *entries = pang_arena_alloc_n(arena, body->n_properties, sizeof *entries);
    out->properties = pang_arena_alloc_n(arena, body->n_properties, sizeof *out->properties);
    if (entries == NULL || out->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_properties; i++) {
        entries[i] = (entry)PANGOLIN__V1__GET_ASSET_RESPONSE__PROPERTIES_ENTRY__INIT;
        entries[i].key = body->properties[i]->name;
        entries[i].value = body->properties[i]->value;
        out->properties[i] = &entries[i];
    }
    out->n_properties = body->n_properties;
    return PANG_OK;
}

static pang_code get_asset(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetAssetRequest *in = request;
    Pangolin__V1__GetAssetResponse *out = reply;
    target at;
    pang_code code = open_target(call, in->catalog, in->namespace_, in->n_namespace_, in->asset,
                                 in->branch, &at, err);
    if (code == PANG_OK && !pang_content_exists(&at.asset))
        code = pang_manage_absent(
            "asset", pang_dotted(at.address.spelt_levels, at.address.spelt_name, call->arena), err);
    if (code != PANG_OK)
        return code;
    const pang_rec_content *body = at.asset.body;
    out->id = pang_manage_id_text(pang_id_of(body->asset), call->arena);
    out->name = (char *)(uintptr_t)at.address.name.ptr;
    out->kind = (char *)(uintptr_t)pang_asset_kind(body);
    out->location = pang_asset_location(body);
    code = show_properties(body, call->arena, out, err);
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.AssetService/ListAssets",
        .in = &pangolin__v1__list_assets_request__descriptor,
        .out = &pangolin__v1__list_assets_response__descriptor,
        .handle = list_assets,
    },
    {
        .path = "/pangolin.v1.AssetService/CreateAsset",
        .in = &pangolin__v1__create_asset_request__descriptor,
        .out = &pangolin__v1__create_asset_response__descriptor,
        .handle = create_asset,
    },
    {
        .path = "/pangolin.v1.AssetService/GetAsset",
        .in = &pangolin__v1__get_asset_request__descriptor,
        .out = &pangolin__v1__get_asset_response__descriptor,
        .handle = get_asset,
    },
    {
        .path = "/pangolin.v1.AssetService/SetAssetMetadata",
        .in = &pangolin__v1__set_asset_metadata_request__descriptor,
        .out = &pangolin__v1__set_asset_metadata_response__descriptor,
        .handle = pang_set_notes,
    },
    {
        .path = "/pangolin.v1.AssetService/GetAssetMetadata",
        .in = &pangolin__v1__get_asset_metadata_request__descriptor,
        .out = &pangolin__v1__get_asset_metadata_response__descriptor,
        .handle = pang_get_notes,
    },
    {
        .path = "/pangolin.v1.AssetService/DeleteAssetMetadata",
        .in = &pangolin__v1__delete_asset_metadata_request__descriptor,
        .out = &pangolin__v1__delete_asset_metadata_response__descriptor,
        .handle = pang_delete_notes,
    },
};

const pang_service pang_service_asset = {
    .name = "pangolin.v1.AssetService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
