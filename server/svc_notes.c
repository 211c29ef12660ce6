/*
 * What people say about an asset, on whatever branch it is. Its tags decide who may see it: each is
 * a record of its own too, for lists and searches, and a change of them ends what servers have
 * compiled of the tenant's grants.
 */
#include <stdlib.h>
#include <string.h>

#include "server/assets.h"
#include "server/evaluate.h"
#include "server/grants.h"
#include "server/identity.h"

#include "pangolin/v1/asset.pb-c.h"

enum {
    TAG_BYTES_MAX = 128,
    PROPERTIES_BYTES_MAX = 64 * 1024,
};

typedef Pangolin__V1__BusinessMetadata shown_notes;

/* ---- replies ---- */

static pang_code show(const pang_rec_notes *body, pang_arena *arena, shown_notes **ret,
                      pang_err *err)
{
    shown_notes *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_notes)PANGOLIN__V1__BUSINESS_METADATA__INIT;
    out->id = pang_manage_id_text(pang_id_of(body->id), arena);
    out->asset_id = pang_manage_id_text(pang_id_of(body->asset), arena);
    out->description = body->description;
    out->tags = body->tags;
    out->n_tags = body->n_tags;
    out->properties = pang_bytes_of(pang_str_from(body->properties));
    out->discoverable = body->discoverable;
    out->created_by = pang_manage_id_text(pang_id_of(body->created_by), arena);
    out->created_at = pang_manage_time(body->created_ms, arena);
    out->updated_by = pang_manage_id_text(pang_id_of(body->updated_by), arena);
    out->updated_at = pang_manage_time(body->updated_ms, arena);
    *ret = out;
    return pang_manage_built(arena, err);
}

/* ---- tags ---- */

static int compare_tags(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static pang_code check_tag(const char *tag, pang_err *err)
{
    pang_code code = pang_manage_name("a tag", tag, err);
    if (code == PANG_OK && strlen(tag) > TAG_BYTES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "tag \"%.40s...\" is too long, at most %d bytes", tag, TAG_BYTES_MAX);
    return code;
}

/* Sorted, each once. */
static pang_code take_tags(const Pangolin__V1__SetAssetMetadataRequest *in, pang_arena *arena,
                           pang_rec_notes *body, pang_err *err)
{
    char **tags = pang_arena_alloc_n(arena, in->n_tags, sizeof *tags);
    pang_code code = PANG_OK;
    size_t n = 0;
    if (tags == NULL)
        return pang_fail_memory(err);
    if (in->n_tags > PANG_OBJECT_TAGS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "tags: %zu are too many, at most %d", in->n_tags, PANG_OBJECT_TAGS_MAX);
    for (size_t i = 0; code == PANG_OK && i < in->n_tags; i++) {
        code = check_tag(in->tags[i], err);
        tags[i] = in->tags[i];
    }
    if (code != PANG_OK)
        return code;
    if (in->n_tags > 0)
        qsort(tags, in->n_tags, sizeof *tags, compare_tags);
    for (size_t i = 0; i < in->n_tags; i++)
        if (n == 0 || strcmp(tags[i], tags[n - 1]) != 0)
            tags[n++] = tags[i];
    body->tags = tags;
    body->n_tags = n;
    return PANG_OK;
}

static bool has_tag(const pang_rec_notes *body, const char *tag)
{
    return body->n_tags > 0 &&
           bsearch(&tag, body->tags, body->n_tags, sizeof *body->tags, compare_tags) != NULL;
}

/* The records that lead from tags to the asset; the epoch, when any came or went. */
static pang_code change_tags(pang_call *call, const pang_rec_notes *from, const pang_rec_notes *to,
                             pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    Pangolin__Store__V1__Tagged body = PANGOLIN__STORE__V1__TAGGED__INIT;
    pang_id asset = pang_id_of(to->asset);
    size_t changed = 0;
    body.catalog = to->catalog;
    for (size_t i = 0; i < from->n_tags; i++)
        if (!has_tag(to, from->tags[i])) {
            pang_txn_delete(call->txn, pang_key_tagged(&keys, pang_str_from(from->tags[i]), asset));
            changed++;
        }
    for (size_t i = 0; i < to->n_tags; i++)
        if (!has_tag(from, to->tags[i])) {
            pang_txn_put(call->txn, PANG_KIND_TAGGED,
                         pang_key_tagged(&keys, pang_str_from(to->tags[i]), asset),
                         pang_record_pack(&body.base, call->arena));
            changed++;
        }
    if (changed > 0)
        pang_identity_changed(call);
    return pang_keys_status(&keys, err);
}

static pang_code name_tags(pang_call *call, const pang_rec_notes *body, pang_grant_object *to,
                           pang_err *err)
{
    pang_str *tags = pang_arena_alloc_n(call->arena, body->n_tags, sizeof *tags);
    if (tags == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_tags; i++)
        tags[i] = pang_str_from(body->tags[i]);
    to->tags = tags;
    to->n_tags = body->n_tags;
    return PANG_OK;
}

/* Grants hang on tags: nobody may give itself more by tagging. What a caller may do with the asset
 * as it will be it could do with it as it was. */
static pang_code check_gain(pang_call *call, const pang_asset_place *place,
                            const pang_rec_notes *from, const pang_rec_notes *to, pang_err *err)
{
    pang_grant_object before = {.kind = PANG_SCOPE_ASSET,
                                .catalog = place->catalog,
                                .asset = pang_id_of(to->asset),
                                .path = pang_str_from(place->asset->path)};
    pang_grant_object after = before;
    pang_code code = name_tags(call, from, &before, err);
    if (code == PANG_OK)
        code = name_tags(call, to, &after, err);
    for (int action = PANG_ACT_READ; code == PANG_OK && action <= PANG_ACT_MANAGE_DISCOVERY;
         action++)
        if (pang_evaluate_may(call, (pang_action)action, &after) &&
            !pang_evaluate_may(call, (pang_action)action, &before))
            code = pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                             "these tags would give whoever sets them more than it has");
    return code;
}

/* ---- set ---- */

static pang_code fill(pang_call *call, const Pangolin__V1__SetAssetMetadataRequest *in,
                      pang_rec_notes *body, pang_err *err)
{
    pang_str properties = pang_str_of(in->properties);
    pang_code code = pang_manage_text("description", in->description, err);
    if (code == PANG_OK && properties.len > PROPERTIES_BYTES_MAX)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "properties is too long: %zu bytes, at most %d", properties.len,
                         PROPERTIES_BYTES_MAX);
    if (code == PANG_OK)
        code = take_tags(in, call->arena, body, err);
    if (code != PANG_OK)
        return code;
    body->description = in->description;
    body->discoverable = in->discoverable;
    body->properties = pang_arena_cstr(call->arena,
                                       properties.len > 0 ? properties : PANG_STR("{}"));
    body->updated_ms = pang_env_wall_ms(call->server->env);
    body->updated_by = pang_bytes_of_id(&call->who->id);
    return body->properties == NULL ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_set_notes(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__SetAssetMetadataRequest *in = request;
    Pangolin__V1__SetAssetMetadataResponse *out = reply;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_notes none = PANGOLIN__STORE__V1__ASSET_NOTES__INIT, *old = NULL, body = none;
    pang_asset_place place;
    pang_id asset = {{0}}, id = pang_id_v7(call->server->env);
    pang_code code = pang_asset_locate(call, in->asset_id, &place, err);
    (void)pang_id_parse(pang_str_from(in->asset_id), &asset);
    if (code == PANG_OK)
        code = pang_notes_get(call, &asset, 1, &old, err);
    if (code != PANG_OK)
        return code;
    body.id = pang_bytes_of_id(&id);
    body.created_ms = pang_env_wall_ms(call->server->env);
    body.created_by = pang_bytes_of_id(&call->who->id);
    if (old != NULL)
        body = *old;
    body.asset = pang_bytes_of_id(&asset);
    body.catalog = pang_bytes_of_id(&place.catalog);
    code = fill(call, in, &body, err);
    if (code == PANG_OK)
        code = check_gain(call, &place, old != NULL ? old : &none, &body, err);
    if (code == PANG_OK)
        code = change_tags(call, old != NULL ? old : &none, &body, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = asset;
    if (old == NULL)
        call->note.action = "add_metadata";
    pang_txn_put(call->txn, PANG_KIND_ASSET_NOTES, pang_key_asset_notes(&keys, asset),
                 pang_record_pack(&body.base, call->arena));
    return show(&body, call->arena, &out->metadata, err);
}

/* ---- get, delete ---- */

static pang_code find(pang_call *call, const char *id, pang_rec_notes **ret, pang_err *err)
{
    pang_asset_place place;
    pang_id asset = {{0}};
    pang_code code = pang_asset_locate(call, id, &place, err);
    (void)pang_id_parse(pang_str_from(id), &asset);
    if (code == PANG_OK)
        code = pang_notes_get(call, &asset, 1, ret, err);
    if (code == PANG_OK && *ret == NULL)
        return pang_fail(err, PANG_NOT_FOUND, PANG_NOT_FOUND_REASON,
                         "nothing is said about asset \"%s\"", id);
    return code;
}

pang_code pang_get_notes(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetAssetMetadataRequest *in = request;
    Pangolin__V1__GetAssetMetadataResponse *out = reply;
    pang_rec_notes *body;
    pang_code code = find(call, in->asset_id, &body, err);
    return code == PANG_OK ? show(body, call->arena, &out->metadata, err) : code;
}

pang_code pang_delete_notes(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteAssetMetadataRequest *in = request;
    pang_keys keys = pang_identity_keys(call);
    pang_rec_notes *body, none = PANGOLIN__STORE__V1__ASSET_NOTES__INIT;
    (void)reply;
    pang_code code = find(call, in->asset_id, &body, err);
    if (code != PANG_OK)
        return code;
    none.asset = body->asset;
    call->note.resource = pang_id_of(body->asset);
    pang_txn_delete(call->txn, pang_key_asset_notes(&keys, pang_id_of(body->asset)));
    return change_tags(call, body, &none, err);
}
