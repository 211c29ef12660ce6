/*
 * Metadata: documents are named by ids of their own rather than by location, so that a file which
 * is registered, changed by its owner and registered again never meets its older self in a cache.
 */
#include "server/metadata.h"

#include <string.h>

#include "server/zip.h"
#include "server/state_internal.h"

enum {
    DOCUMENT_MAX = PANG_OBJECT_MAX,   /* bytes of one document, expanded */
    PACK_BYTES = 2 * PANG_OBJECT_MAX, /* memory for packing one */
};

static pang_code find_objects(pang_state *state, const pang_location *at, pang_objects **ret,
                              pang_err *err)
{
    *ret = pang_objects_find(pang_state_objects(state), at->scheme);
    if (*ret == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "no object store of this server serves location: %" PANG_STR_FMT,
                         PANG_STR_ARG(at->text));
    return PANG_OK;
}

/* ---- loading ---- */

pang_code pang_metadata_unpack(pang_state *state, const pang_record *record, pang_arena *arena,
                               pang_rec_metadata **ret_body, pang_str *ret, pang_err *err)
{
    pang_code code = pang_record_unpack(&pangolin__store__v1__metadata__descriptor, record, arena,
                                        ret_body, err);
    if (code != PANG_OK)
        return code;
    if ((*ret_body)->size > DOCUMENT_MAX)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "record \"%" PANG_STR_FMT "\" is damaged",
                         PANG_STR_ARG(record->key));
    return pang_zip_unpack(state->zip, pang_str_of((*ret_body)->body), (size_t)(*ret_body)->size,
                           arena, ret, err);
}

static pang_code load_record(pang_view *view, pang_state *state, pang_id id, pang_str *ret,
                             pang_err *err)
{
    pang_record record;
    pang_rec_metadata *body;
    pang_ref ref = {.key = pang_key_metadata(&view->keys, view->catalog, id), .immutable = true};
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version == 0)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "there is no record \"%" PANG_STR_FMT "\"",
                         PANG_STR_ARG(ref.key));
    code = pang_metadata_unpack(state, &record, view->arena, &body, ret, err);
    if (code == PANG_OK)
        pang_documents_keep(state->documents, id, PANG_WHOLE, PANG_NO_OVERLAY, *ret);
    return code;
}

static pang_code reduce(pang_view *view, pang_state *state, pang_id id, pang_str whole,
                        pang_str *ret, pang_err *err)
{
    pang_json *document, *reduced;
    pang_code code = pang_json_parse(whole, view->arena, &document, err);
    if (code == PANG_OK)
        code = pang_model_refs_only(document, view->arena, &reduced, err);
    if (code != PANG_OK)
        return code;
    *ret = whole;
    if (reduced != document)
        code = pang_json_print(reduced, view->arena, ret, err);
    if (code == PANG_OK)
        pang_documents_keep(state->documents, id, PANG_REFS_ONLY, PANG_NO_OVERLAY, *ret);
    return code;
}

pang_code pang_metadata_load(pang_view *view, pang_state *state, const pang_rec_content *body,
                             pang_shape shape, pang_str *ret, pang_err *err)
{
    pang_id id = pang_id_of(body->document);
    pang_str whole = {0};
    pang_code code = PANG_OK;
    if (pang_documents_find(state->documents, id, shape, PANG_NO_OVERLAY, view->arena, ret))
        return PANG_OK;
    if (shape == PANG_WHOLE || !pang_documents_find(state->documents, id, PANG_WHOLE,
                                                    PANG_NO_OVERLAY, view->arena, &whole))
        code = load_record(view, state, id, &whole, err);
    if (code == PANG_OK && shape == PANG_REFS_ONLY)
        return reduce(view, state, id, whole, ret, err);
    if (code == PANG_OK)
        *ret = whole;
    return code;
}

static pang_code lay_over(pang_view *view, pang_state *state, const pang_rec_content *body,
                          pang_shape shape, pang_overlay overlay, pang_str text, pang_str *ret,
                          pang_err *err)
{
    *ret = text;
    if (pang_overlay_is_none(overlay))
        return PANG_OK;
    pang_code code = pang_overlay_splice(overlay, text, view->arena, ret, err);
    if (code == PANG_OK)
        pang_documents_keep(state->documents, pang_id_of(body->document), shape, overlay, *ret);
    return code;
}

pang_code pang_metadata_overlay(pang_view *view, pang_state *state, const pang_rec_content *body,
                                pang_overlay overlay, pang_str text, pang_str *ret, pang_err *err)
{
    return lay_over(view, state, body, PANG_WHOLE, overlay, text, ret, err);
}

pang_code pang_metadata_show(pang_view *view, pang_state *state, const pang_rec_content *body,
                             pang_shape shape, pang_overlay overlay, pang_str *ret, pang_err *err)
{
    pang_str text;
    if (!pang_overlay_is_none(overlay) &&
        pang_documents_find(state->documents, pang_id_of(body->document), shape, overlay,
                            view->arena, ret))
        return PANG_OK;
    pang_code code = pang_metadata_load(view, state, body, shape, &text, err);
    return code == PANG_OK ? lay_over(view, state, body, shape, overlay, text, ret, err) : code;
}

pang_code pang_metadata_stat(pang_view *view, pang_state *state, const pang_rec_content *body,
                             pang_err *err)
{
    pang_location at;
    pang_objects *objects;
    int64_t bytes;
    pang_code code = pang_location_parse(pang_str_from(body->metadata_location),
                                         "metadata-location", view->arena, &at, err);
    if (code == PANG_OK)
        code = find_objects(state, &at, &objects, err);
    if (code != PANG_OK || !objects->ops->local)
        return code;
    return objects->ops->stat(objects, &at, &bytes, err);
}

/* ---- writing ---- */

pang_code pang_branch_metadata_folder(pang_view *view, const pang_json *document, pang_str *ret,
                                      pang_err *err)
{
    pang_model_facts facts;
    pang_own_paths paths;
    *ret = (pang_str){0};
    pang_code code = pang_view_paths_of(view, &paths, err);
    if (code != PANG_OK || pang_id_is_nil(paths.branch))
        return code;
    pang_model_facts_of(document, &facts);
    pang_str folder = pang_branch_folder(facts.location, paths, view->arena);
    *ret = pang_arena_printf(view->arena, "%" PANG_STR_FMT "/metadata", PANG_STR_ARG(folder));
    return folder.len == 0 || ret->len == 0 ? pang_fail_memory(err) : PANG_OK;
}

static void remove_lost(void *arg)
{
    pang_new_file *file = arg;
    pang_err ignored;
    /* A file that stays is an orphan, which the collector finds; there is nobody to tell. */
    (void)!file->objects->ops->remove(file->objects, &file->at, &ignored);
}

pang_code pang_new_file_put(pang_txn *txn, pang_new_file *file, pang_str bytes,
                            pang_durability durability, pang_err *err)
{
    pang_code code = file->objects->ops->put(file->objects, &file->at, bytes, durability, err);
    if (code == PANG_OK && !pang_txn_on_lost(txn, remove_lost, file))
        code = pang_fail_memory(err);
    return code;
}

pang_code pang_metadata_fold(pang_state *state, pang_str text, pang_arena *arena, pang_folded *ret,
                             pang_err *err)
{
    pang_str packed = {0};
    pang_arena *own = pang_arena_new(PACK_BYTES);
    pang_code code = own == NULL ? pang_fail_memory(err)
                                 : pang_zip_pack(state->zip, text, own, &packed, err);
    if (code == PANG_OK && !pang_arena_copy(arena, packed, &packed))
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        *ret = (pang_folded){.bytes = packed, .size = text.len};
    pang_arena_free(own);
    return code;
}

pang_code pang_metadata_unfold(pang_state *state, const pang_folded *folded, pang_arena *arena,
                               pang_str *ret, pang_err *err)
{
    return pang_zip_unpack(state->zip, folded->bytes, folded->size, arena, ret, err);
}

static pang_code put_record(pang_view *view, pang_state *state, const pang_env *env,
                            pang_str location, bool gzip, pang_str text, pang_id **ret_id,
                            pang_str *ret_key, pang_err *err)
{
    pang_rec_metadata body = PANGOLIN__STORE__V1__METADATA__INIT;
    pang_folded packed = {0};
    pang_id *id = pang_arena_alloc(view->arena, sizeof *id);
    pang_code code = text.len <= DOCUMENT_MAX
                         ? pang_metadata_fold(state, text, view->arena, &packed, err)
                         : pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                                     "metadata document is too large: %zu bytes, at most %d",
                                     text.len, DOCUMENT_MAX);
    if (code != PANG_OK)
        return code;
    body.location = pang_arena_cstr(view->arena, location);
    if (id == NULL || body.location == NULL)
        return pang_fail_memory(err);
    *id = pang_id_v7(env);
    body.body = pang_bytes_of(packed.bytes);
    body.size = packed.size;
    body.gzip = gzip;
    pang_str key = pang_key_metadata(&view->keys, view->catalog, *id);
    pang_txn_put(view->txn, PANG_KIND_METADATA, key, pang_record_pack(&body.base, view->arena));
    pang_documents_keep(state->documents, *id, PANG_WHOLE, PANG_NO_OVERLAY, text);
    *ret_id = id;
    *ret_key = key;
    return pang_keys_status(&view->keys, err);
}

static pang_code put_pending(pang_view *view, const pang_env *env, pang_str location,
                             pang_str metadata_key, pang_err *err)
{
    pang_keys keys = {.arena = view->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_rec_pending_file body = PANGOLIN__STORE__V1__PENDING_FILE__INIT;
    body.location = pang_arena_cstr(view->arena, location);
    body.metadata_key = pang_arena_cstr(view->arena, metadata_key);
    if (body.location == NULL || body.metadata_key == NULL)
        return pang_fail_memory(err);
    pang_txn_put(view->txn, PANG_KIND_PENDING_FILE, pang_key_pending_file(&keys, pang_id_v7(env)),
                 pang_record_pack(&body.base, view->arena));
    return pang_keys_status(&keys, err);
}

/* Where power can take what a write has not waited for, the commit says so. */
static pang_code write_file(pang_view *view, pang_state *state, const pang_env *env,
                            pang_new_file *to, pang_str metadata_key, pang_str bytes, pang_err *err)
{
    if (to->objects->ops->local) {
        pang_code code = put_pending(view, env, to->at.text, metadata_key, err);
        if (code != PANG_OK)
            return code;
    }
    pang_code code = pang_new_file_put(view->txn, to, bytes, PANG_LAZY, err);
    if (code == PANG_OK && to->objects->ops->local)
        pang_state_wrote_file(state);
    return code;
}

pang_code pang_metadata_write(pang_view *view, pang_state *state, const pang_env *env,
                              const pang_model_file *file, pang_str text, pang_id **ret_id,
                              pang_err *err)
{
    pang_new_file *to = pang_arena_alloc(view->arena, sizeof *to);
    pang_str key, bytes = text;
    if (to == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_location_parse(file->location, "metadata-location", view->arena, &to->at,
                                         err);
    if (code == PANG_OK)
        code = find_objects(state, &to->at, &to->objects, err);
    if (code == PANG_OK)
        code = put_record(view, state, env, file->location, file->gzip, text, ret_id, &key, err);
    if (code == PANG_OK && file->gzip)
        code = pang_gzip(text, view->arena, &bytes, err);
    return code == PANG_OK ? write_file(view, state, env, to, key, bytes, err) : code;
}

pang_code pang_metadata_adopt(pang_view *view, pang_state *state, const pang_env *env,
                              pang_str location, bool gzip, pang_str text, pang_id **ret_id,
                              pang_err *err)
{
    pang_str key;
    return put_record(view, state, env, location, gzip, text, ret_id, &key, err);
}

pang_code pang_metadata_read_file(pang_state *state, const pang_location *at, pang_arena *arena,
                                  pang_str *ret, pang_err *err)
{
    pang_objects *objects;
    pang_str bytes;
    pang_code code = find_objects(state, at, &objects, err);
    if (code == PANG_OK)
        code = objects->ops->get(objects, at, DOCUMENT_MAX, arena, &bytes, err);
    if (code != PANG_OK)
        return code;
    if (pang_is_gzip(bytes))
        return pang_gunzip(bytes, DOCUMENT_MAX, arena, ret, err);
    *ret = bytes;
    return PANG_OK;
}
