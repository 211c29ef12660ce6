/*
 * Model: what hangs on snapshots and tables without ids of the server's making: statistics files,
 * partition statistics files, encryption keys. All are lists with one entry per id.
 */
#include "server/model_build.h"

enum { KEYS_MAX = 10000 };

static void put_entry(pang_model_build *b, pang_model_keyed *k, pang_json *entry)
{
    int64_t id = pang_model_int(entry, "snapshot-id", -1);
    pang_model_keyed_put(b, k, id, pang_model_without_nulls(entry, b->arena));
}

pang_code pang_model_set_statistics(pang_model_build *b, const pang_json *update,
                                    const pang_model_path *at, pang_err *err)
{
    pang_json *statistics = pang_json_get(update, "statistics");
    const pang_json *blobs = pang_json_get(statistics, "blob-metadata");
    pang_model_path here = PANG_MODEL_IN(at, "statistics");
    pang_model_path list = PANG_MODEL_IN(&here, "blob-metadata");
    pang_code code = pang_model_shape(statistics, &here, pang_model_statistics_members, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(blobs); i++)
        code = pang_model_shape(pang_json_at(blobs, i), &PANG_MODEL_AT(&list, i),
                                pang_model_blob_members, err);
    if (code != PANG_OK)
        return code;
    int64_t given, own = pang_model_int(statistics, "snapshot-id", -1);
    if (pang_model_has_int(update, "snapshot-id", &given) && given != own)
        return pang_model_illegal(
            err, "Invalid statistics: snapshot-id of the update and of the statistics differ");
    put_entry(b, &b->statistics, statistics);
    return PANG_OK;
}

pang_code pang_model_remove_statistics(pang_model_build *b, const pang_json *update,
                                       const pang_model_path *at, pang_err *err)
{
    (void)at;
    (void)err;
    (void)pang_model_keyed_remove(b, &b->statistics, pang_model_int(update, "snapshot-id", -1));
    return PANG_OK;
}

pang_code pang_model_set_partition_statistics(pang_model_build *b, const pang_json *update,
                                              const pang_model_path *at, pang_err *err)
{
    pang_json *statistics = pang_json_get(update, "partition-statistics");
    pang_model_path here = PANG_MODEL_IN(at, "partition-statistics");
    pang_code code = pang_model_shape(statistics, &here, pang_model_partition_statistics_members,
                                      err);
    if (code == PANG_OK)
        put_entry(b, &b->partition_statistics, statistics);
    return code;
}

pang_code pang_model_remove_partition_statistics(pang_model_build *b, const pang_json *update,
                                                 const pang_model_path *at, pang_err *err)
{
    (void)at;
    (void)err;
    (void)pang_model_keyed_remove(b, &b->partition_statistics,
                                  pang_model_int(update, "snapshot-id", -1));
    return PANG_OK;
}

/* ---- encryption keys ---- */

/* The ids of all keys, made when first asked for. */
static pang_json *key_ids(pang_model_build *b)
{
    const pang_json *keys = pang_json_get(b->doc, "encryption-keys");
    if (b->key_ids != NULL)
        return b->key_ids;
    b->key_ids = pang_json_object(b->arena);
    for (size_t i = 0; i < pang_json_size(keys); i++) {
        pang_str id = pang_model_text(pang_json_at(keys, i), "key-id");
        if (!pang_json_set_str(b->key_ids, id, pang_json_at(keys, i)))
            b->failed = true;
    }
    return b->key_ids;
}

pang_code pang_model_add_key(pang_model_build *b, const pang_json *update,
                             const pang_model_path *at, pang_err *err)
{
    pang_json *key = pang_json_get(update, "encryption-key");
    const pang_json *keys = pang_json_get(b->doc, "encryption-keys");
    pang_model_path here = PANG_MODEL_IN(at, "encryption-key");
    pang_code code = pang_model_shape(key, &here, pang_model_key_members, err);
    if (code != PANG_OK)
        return code;
    if (b->version < 3)
        return pang_model_illegal(err,
                                  "Cannot add an encryption key to a v%d table: not supported "
                                  "until v3",
                                  b->version);
    pang_str id = pang_model_text(key, "key-id");
    if (pang_json_get_str(key_ids(b), id) != NULL)
        return PANG_OK;
    if (pang_json_size(keys) >= KEYS_MAX)
        return pang_model_illegal(err, "Cannot add an encryption key: the table has %d", KEYS_MAX);
    pang_model_add(b, pang_model_own(b, "encryption-keys"),
                   pang_model_without_nulls(key, b->arena));
    if (!pang_json_set_str(key_ids(b), id, key))
        b->failed = true;
    b->changed = true;
    return PANG_OK;
}

pang_code pang_model_remove_key(pang_model_build *b, const pang_json *update,
                                const pang_model_path *at, pang_err *err)
{
    const pang_json *keys = pang_json_get(b->doc, "encryption-keys");
    pang_str id = pang_model_text(update, "key-id");
    char *cstr = pang_arena_cstr(b->arena, id);
    size_t i = 0;
    (void)at;
    if (cstr == NULL)
        return pang_fail_memory(err);
    if (pang_json_get_str(key_ids(b), id) == NULL)
        return PANG_OK;
    (void)pang_model_spend(b, pang_json_size(keys));
    while (i < pang_json_size(keys) &&
           !pang_str_equal(pang_model_text(pang_json_at(keys, i), "key-id"), id))
        i++;
    pang_json_remove_at(pang_model_own(b, "encryption-keys"), i);
    pang_json_remove(key_ids(b), cstr);
    b->changed = true;
    return PANG_OK;
}

const pang_model_member pang_model_statistics_members[] = {
    {"snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT64_MIN, INT64_MAX},
    {"statistics-path", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"file-size-in-bytes", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, INT64_MAX},
    {"file-footer-size-in-bytes", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, INT64_MAX},
    {"key-metadata", PANG_MODEL_TEXT, PANG_MODEL_OPTIONAL, 0, 0},
    {"blob-metadata", PANG_MODEL_ARRAY, PANG_MODEL_REQUIRED, 0, 0},
    {NULL, 0, 0, 0, 0},
};

const pang_model_member pang_model_blob_members[] = {
    {"type", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT64_MIN, INT64_MAX},
    {"sequence-number", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, INT64_MAX},
    {"fields", PANG_MODEL_NUMBERS, PANG_MODEL_REQUIRED, INT32_MIN, INT32_MAX},
    {"properties", PANG_MODEL_TEXT_MAP, PANG_MODEL_OPTIONAL, 0, 0},
    {NULL, 0, 0, 0, 0},
};

const pang_model_member pang_model_partition_statistics_members[] = {
    {"snapshot-id", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, INT64_MIN, INT64_MAX},
    {"statistics-path", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"file-size-in-bytes", PANG_MODEL_NUMBER, PANG_MODEL_REQUIRED, 0, INT64_MAX},
    {NULL, 0, 0, 0, 0},
};

const pang_model_member pang_model_key_members[] = {
    {"key-id", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"encrypted-key-metadata", PANG_MODEL_TEXT, PANG_MODEL_REQUIRED, 0, 0},
    {"encrypted-by-id", PANG_MODEL_TEXT, PANG_MODEL_OPTIONAL, 0, 0},
    {"properties", PANG_MODEL_TEXT_MAP, PANG_MODEL_OPTIONAL, 0, 0},
    {NULL, 0, 0, 0, 0},
};
