/*
 * Keys of branches, forks and merges, whose bodies are in proto/pangolin/store/v1/versions.proto.
 * The rules are those of api/keys.h; all are of a tenant's scope where nothing else is said.
 * Called by the server's modules about branches, merges and their collector. Threads, lifetime: as
 * api/keys.h; made in storage/keys_versions.c.
 */
#ifndef PANG_API_KEYS_VERSIONS_H
#define PANG_API_KEYS_VERSIONS_H

#include "api/keys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of records, for their headers: as pang_catalog_kind, with which they share the numbers. */
typedef enum {
    PANG_KIND_BRANCH = 128,          /* bi/<catalog>/<branch>: Branch */
    PANG_KIND_FORK_MARK = 129,       /* fk/<branch>: ForkMark */
    PANG_KIND_MERGE_MARK = 130,      /* mm/<into>/<from>: MergeMark */
    PANG_KIND_MERGE_OPERATION = 131, /* mo/<operation>: MergeOperation */
    PANG_KIND_MERGE_LISTED = 132,    /* ml/<catalog>/<operation>: no body */
    PANG_KIND_MERGE_CONFLICT = 133,  /* mc/<conflict>: MergeConflict */
    PANG_KIND_MAINTENANCE = 134,     /* mt/<catalog>/<run>: MaintenanceRun */
    PANG_KIND_MAINTENANCE_DUE = 135, /* mq/<run>: MaintenanceDue. System */
    PANG_KIND_FLOOR = 136,           /* kf/<catalog>: Floor */
    PANG_KIND_CARE = 137,            /* ct/<catalog>: Care */
} pang_version_kind;

pang_str pang_key_branch(pang_keys *keys, pang_id catalog, pang_id branch);
pang_str pang_key_branches(pang_keys *keys, pang_id catalog); /* prefix */
pang_str pang_key_fork_mark(pang_keys *keys, pang_id branch);
pang_str pang_key_merge_mark(pang_keys *keys, pang_id into, pang_id from);
pang_str pang_key_merge_marks(pang_keys *keys, pang_id into); /* prefix */
pang_str pang_key_merge_operation(pang_keys *keys, pang_id operation);
pang_str pang_key_merge_listed(pang_keys *keys, pang_id catalog, pang_id operation);
pang_str pang_key_merges_listed(pang_keys *keys, pang_id catalog); /* prefix, oldest first */
pang_str pang_key_merge_conflict(pang_keys *keys, pang_id conflict);
pang_str pang_key_maintenance(pang_keys *keys, pang_id catalog, pang_id run);
pang_str pang_key_maintenances(pang_keys *keys, pang_id catalog); /* prefix, oldest first */
/* Prefixes of all that a branch, or a catalog, has of a kind: for retention. */
pang_str pang_key_histories_all(pang_keys *keys, pang_id branch, pang_space space);
pang_str pang_key_assets_all(pang_keys *keys, pang_id branch);
pang_str pang_key_asset_histories_all(pang_keys *keys, pang_id branch);
pang_str pang_key_metadatas(pang_keys *keys, pang_id catalog);
pang_str pang_key_floor(pang_keys *keys, pang_id catalog);
pang_str pang_key_care(pang_keys *keys, pang_id catalog);
/* Prefix of all records of a kind in the scope; `letters` are the kind's two. */
pang_str pang_key_all_of(pang_keys *keys, const char *letters);
/* System scope: runs that wait or go on. */
pang_str pang_key_maintenance_due(pang_keys *keys, pang_id run);
pang_str pang_key_maintenances_due(pang_keys *keys); /* prefix */

#ifdef __cplusplus
}
#endif
#endif
