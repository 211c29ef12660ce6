/*
 * What a merge is about: the assets and namespaces that the source's commits name since the base,
 * from its log alone. Assets (tables, views, generic ones) are known by their ids, so that a rename
 * meets a change; namespaces, which have no other identity, by their names.
 * Called by the merge services. Threads and lifetime: as the view's.
 */
#ifndef PANG_SERVER_MERGE_CHANGES_H
#define PANG_SERVER_MERGE_CHANGES_H

#include "server/index.h"
#include "server/merge_base.h"

/* What a commit of the source has seen: who has the point knows of it. */
typedef struct {
    pang_merge_thing thing;
    pang_point from;
} pang_merge_seen;

typedef struct {
    pang_id *assets;
    size_t n_assets;
    pang_name *spaces;
    size_t n_spaces;
    size_t commits; /* that were looked at */
    /* Inside. */
    pang_arena *arena;
    pang_index assets_at, spaces_at;
    pang_index seen; /* pang_merge_seen by thing */
    size_t room_assets, room_spaces;
} pang_merge_changes;

/* Nothing yet. What is added lives in the arena, too. */
void pang_merge_changes_begin(pang_merge_changes *changes, pang_arena *arena);
/* Adds what it does not have. ERRORS: INVALID_ARGUMENT (more than one commit can change),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_merge_changes_add_asset(pang_merge_changes *changes, pang_id asset,
                                                       pang_err *err);
PANG_MUST_CHECK pang_code pang_merge_changes_add_space(pang_merge_changes *changes, pang_str path,
                                                       pang_str name, pang_err *err);
/* All that a commit changed, and what it has seen. */
PANG_MUST_CHECK pang_code pang_merge_changes_add_commit(pang_merge_changes *changes,
                                                        const pang_rec_commit *commit,
                                                        pang_err *err);
/* All that the source did since the base, and what earlier merges left out. */
PANG_MUST_CHECK pang_code pang_merge_changes_since(pang_merge_changes *changes, pang_view *source,
                                                   const pang_merge_base *base, pang_err *err);

/* What the source has seen of a thing and the target does not know, since it has not the point;
 * NULL: nothing. The base's marks must be read. */
const pang_merge_seen *pang_merge_changes_unknown(const pang_merge_changes *changes,
                                                  const pang_merge_base *base,
                                                  const pang_merge_thing *thing);

#endif
