/*
 * An asset's record is under its branch, and nothing leads from a tenant's asset to its catalog:
 * ids alone are asked about by people, seldom, and then the branches of all catalogs are asked in
 * three reads for each thousand of them.
 */
#include "server/assets.h"

#include "server/svc_manage.h"

#include "api/keys_identity.h"

#define KIND(name) PANGOLIN__STORE__V1__KIND__KIND_##name

/* ---- kinds ---- */

static const char *const kinds[] = {
    "DELTA_TABLE", "HUDI_TABLE",    "PARQUET_TABLE", "CSV_TABLE",      "JSON_TABLE",
    "ML_MODEL",    "APACHE_PAIMON", "VORTEX",        "LANCE",          "NIMBLE",
    "DIRECTORY",   "VIDEO_FILE",    "IMAGE_FILE",    "DB_CONN_STRING", "OTHER",
};

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* "DeltaTable" is DELTA_TABLE. */
static bool is_called(pang_str given, const char *kind)
{
    size_t i = 0;
    for (; *kind != '\0'; kind++) {
        if (*kind == '_') {
            i += i < given.len && given.ptr[i] == '_';
            continue;
        }
        if (i == given.len || upper(given.ptr[i]) != *kind)
            return false;
        i++;
    }
    return i == given.len;
}

const char *pang_asset_kind_of(pang_str given)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (is_called(given, kinds[i]))
            return kinds[i];
    return NULL;
}

const char *pang_asset_kind(const pang_rec_content *body)
{
    if (body->kind == KIND(TABLE))
        return "ICEBERG_TABLE";
    return body->kind == KIND(VIEW) ? "VIEW" : body->asset_kind;
}

char *pang_asset_location(const pang_rec_content *body)
{
    return body->kind == KIND(GENERIC) ? body->location : body->metadata_location;
}

/* ---- by id ---- */

static pang_code catalog_ids(pang_call *call, pang_keys *keys, pang_id **ret, size_t *ret_n,
                             pang_err *err)
{
    pang_record *rows = NULL;
    pang_code code = pang_manage_all(call, pang_key_catalogs(keys), PANG_CATALOGS_SEARCHED_MAX,
                                     &rows, ret_n, err);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_alloc_n(call->arena, *ret_n, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < *ret_n; i++) {
        pang_rec_catalog_name *named;
        code = pang_record_unpack(&pangolin__store__v1__catalog_name__descriptor, &rows[i],
                                  call->arena, &named, err);
        if (code == PANG_OK)
            (*ret)[i] = pang_id_of(named->catalog);
    }
    return code;
}

/* The keys of the asset on each catalog's branch main; of the nil branch where there is none. */
static pang_code asset_keys(pang_call *call, pang_keys *keys, const pang_id *catalogs, size_t n,
                            pang_id asset, pang_str **ret, pang_err *err)
{
    pang_record *rows = NULL;
    pang_str *wanted = pang_arena_alloc_n(call->arena, n, sizeof *wanted);
    if (wanted == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        wanted[i] = pang_key_ref(keys, catalogs[i], PANG_STR("main"));
    pang_code code = pang_keys_status(keys, err);
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, n, &rows, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_rec_ref none = PANGOLIN__STORE__V1__REF__INIT, *ref = &none;
        if (rows[i].version != 0)
            code = pang_record_unpack(&pangolin__store__v1__ref__descriptor, &rows[i], call->arena,
                                      &ref, err);
        if (code == PANG_OK)
            wanted[i] = pang_key_asset(keys, pang_id_of(ref->branch), asset);
    }
    *ret = wanted;
    return code == PANG_OK ? pang_keys_status(keys, err) : code;
}

pang_code pang_asset_locate(pang_call *call, const char *id, pang_asset_place *ret, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_id asset, *catalogs = NULL;
    pang_str *wanted = NULL;
    pang_record *rows = NULL;
    size_t n = 0;
    if (!pang_id_parse(pang_str_from(id), &asset))
        return pang_manage_absent("asset", id, err);
    pang_code code = catalog_ids(call, &keys, &catalogs, &n, err);
    if (code == PANG_OK)
        code = asset_keys(call, &keys, catalogs, n, asset, &wanted, err);
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, n, &rows, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        if (rows[i].version == 0)
            continue;
        code = pang_record_unpack(&pangolin__store__v1__asset__descriptor, &rows[i], call->arena,
                                  &ret->asset, err);
        ret->catalog = catalogs[i];
        if (code == PANG_OK && !ret->asset->dropped && ret->asset->space == PANG_SPACE_ASSET)
            return PANG_OK;
    }
    return code == PANG_OK ? pang_manage_absent("asset", id, err) : code;
}

/* ---- what is said ---- */

pang_code pang_notes_get(pang_call *call, const pang_id *assets, size_t n, pang_rec_notes **ret,
                         pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_record *rows = NULL;
    pang_str *wanted = pang_arena_alloc_n(call->arena, n, sizeof *wanted);
    if (wanted == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        wanted[i] = pang_key_asset_notes(&keys, assets[i]);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_manage_get(call, wanted, n, &rows, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        ret[i] = NULL;
        if (rows[i].version != 0)
            code = pang_record_unpack(&pangolin__store__v1__asset_notes__descriptor, &rows[i],
                                      call->arena, &ret[i], err);
    }
    return code;
}
