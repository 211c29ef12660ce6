/*
 * Views: from a request's prefix to a catalog and to what its ref names. The ref itself is
 * understood in refs.c.
 */
#include "server/refs.h"

pang_code pang_fail_no_catalog(pang_err *err, const char *reason, pang_str prefix)
{
    return pang_fail(err, PANG_NOT_FOUND, reason, "Catalog does not exist: %" PANG_STR_FMT,
                     PANG_STR_ARG(prefix));
}

pang_code pang_view_catalog(pang_txn *txn, pang_arena *arena, pang_str scope, pang_str name,
                            const char *reason, pang_view *ret, pang_err *err)
{
    pang_record record;
    pang_rec_catalog_name *named;
    *ret = (pang_view){.txn = txn, .arena = arena, .prefix = name};
    ret->keys = (pang_keys){.arena = arena, .scope = scope};
    pang_str key = pang_key_catalog_name(&ret->keys, name);
    pang_code code = pang_keys_status(&ret->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version == 0)
        return pang_fail_no_catalog(err, reason, name);
    code = pang_record_unpack(&pangolin__store__v1__catalog_name__descriptor, &record, arena,
                              &named, err);
    if (code == PANG_OK)
        ret->catalog = pang_id_of(named->catalog);
    return code;
}

pang_code pang_view_begin(pang_txn *txn, pang_arena *arena, pang_str scope, pang_str prefix,
                          const char *reason, pang_view *ret, pang_err *err)
{
    size_t at = pang_str_find(prefix, '@');
    pang_str ref = at < prefix.len ? pang_str_after(prefix, at + 1) : PANG_MAIN_REF;
    pang_code code = pang_view_catalog(txn, arena, scope, pang_str_slice(prefix, 0, at), reason,
                                       ret, err);
    return code == PANG_OK ? pang_view_switch(ret, ref, reason, err) : code;
}

pang_code pang_view_of(pang_txn *txn, pang_arena *arena, pang_str scope, pang_id catalog,
                       pang_str name, pang_view *ret, pang_err *err)
{
    *ret = (pang_view){.txn = txn, .arena = arena, .prefix = name, .catalog = catalog};
    ret->keys = (pang_keys){.arena = arena, .scope = scope};
    return pang_view_switch(ret, PANG_MAIN_REF, NULL, err);
}

pang_code pang_view_open(pang_call *call, const char *prefix, const char *reason, pang_view *ret,
                         pang_err *err)
{
    pang_code code = pang_view_begin(call->txn, call->arena, call->tenant_key,
                                     pang_str_from(prefix), reason, ret, err);
    ret->call = call;
    return code;
}

pang_code pang_view_settings(pang_view *view, pang_rec_catalog **ret, pang_err *err)
{
    pang_record record;
    if (view->settings == NULL) {
        pang_str key = pang_key_catalog(&view->keys, view->catalog);
        pang_code code = pang_txn_get_one(view->txn, key, &record, err);
        if (code == PANG_OK && record.version == 0)
            code = pang_fail(err, PANG_DATA_LOSS, NULL,
                             "catalog \"%" PANG_STR_FMT "\" has no settings",
                             PANG_STR_ARG(view->prefix));
        if (code == PANG_OK)
            code = pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record,
                                      view->arena, &view->settings, err);
        if (code != PANG_OK)
            return code;
    }
    *ret = view->settings;
    return PANG_OK;
}

pang_code pang_view_sequence(pang_view *view, uint64_t *ret, pang_err *err)
{
    pang_record record;
    pang_ref ref = {.key = pang_key_sequence(&view->keys, view->catalog)};
    pang_code code = pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code == PANG_OK)
        *ret = (uint64_t)record.value;
    return code;
}

void pang_view_set_at(pang_view *view, uint64_t sequence)
{
    if (view->levels[0].at > sequence)
        view->levels[0].at = sequence;
    view->writable = false;
}
