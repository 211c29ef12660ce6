/*
 * Keys of branches, forks and merges: each maker is its kind and the list of its components, as the
 * table in keys.c has them for reading.
 */
#include "api/keys_versions.h"

#include "storage/keys_internal.h"

pang_str pang_key_branch(pang_keys *keys, pang_id catalog, pang_id branch)
{
    return pang_key_make(keys, "bi", "ii", catalog, branch);
}

pang_str pang_key_branches(pang_keys *keys, pang_id catalog)
{
    return pang_key_make(keys, "bi", "i/", catalog);
}

pang_str pang_key_fork_mark(pang_keys *keys, pang_id branch)
{
    return pang_key_make(keys, "fk", "i", branch);
}

pang_str pang_key_merge_mark(pang_keys *keys, pang_id into, pang_id from)
{
    return pang_key_make(keys, "mm", "ii", into, from);
}

pang_str pang_key_merge_marks(pang_keys *keys, pang_id into)
{
    return pang_key_make(keys, "mm", "i/", into);
}

pang_str pang_key_merge_operation(pang_keys *keys, pang_id operation)
{
    return pang_key_make(keys, "mo", "i", operation);
}

pang_str pang_key_merge_listed(pang_keys *keys, pang_id catalog, pang_id operation)
{
    return pang_key_make(keys, "ml", "ii", catalog, operation);
}

pang_str pang_key_merges_listed(pang_keys *keys, pang_id catalog)
{
    return pang_key_make(keys, "ml", "i/", catalog);
}

pang_str pang_key_merge_conflict(pang_keys *keys, pang_id conflict)
{
    return pang_key_make(keys, "mc", "i", conflict);
}

pang_str pang_key_maintenance(pang_keys *keys, pang_id catalog, pang_id run)
{
    return pang_key_make(keys, "mt", "ii", catalog, run);
}

pang_str pang_key_maintenances(pang_keys *keys, pang_id catalog)
{
    return pang_key_make(keys, "mt", "i/", catalog);
}

pang_str pang_key_histories_all(pang_keys *keys, pang_id branch, pang_space space)
{
    return space == PANG_SPACE_ASSET ? pang_key_make(keys, "hi", "it/", branch, PANG_STR("a"))
                                     : pang_key_make(keys, "hi", "it/", branch, PANG_STR("n"));
}

pang_str pang_key_assets_all(pang_keys *keys, pang_id branch)
{
    return pang_key_make(keys, "as", "i/", branch);
}

pang_str pang_key_asset_histories_all(pang_keys *keys, pang_id branch)
{
    return pang_key_make(keys, "ah", "i/", branch);
}

pang_str pang_key_metadatas(pang_keys *keys, pang_id catalog)
{
    return pang_key_make(keys, "md", "i/", catalog);
}

pang_str pang_key_floor(pang_keys *keys, pang_id catalog)
{
    return pang_key_make(keys, "kf", "i", catalog);
}

pang_str pang_key_care(pang_keys *keys, pang_id catalog)
{
    return pang_key_make(keys, "ct", "i", catalog);
}

pang_str pang_key_maintenance_due(pang_keys *keys, pang_id run)
{
    return pang_key_make(keys, "mq", "i", run);
}

pang_str pang_key_all_of(pang_keys *keys, const char *letters)
{
    return pang_key_make(keys, letters, "/");
}

pang_str pang_key_maintenances_due(pang_keys *keys)
{
    return pang_key_make(keys, "mq", "/");
}
