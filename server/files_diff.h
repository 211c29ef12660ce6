/*
 * Live files of two snapshots of a table, compared: what is in one and not in the other. Manifests
 * that both name are not read.
 * Called by svc_diff.c and merge_sides.c. Threads: any. Lifetime: results live in the arena.
 */
#ifndef PANG_SERVER_FILES_DIFF_H
#define PANG_SERVER_FILES_DIFF_H

#include "api/json.h"
#include "api/vending.h"
#include "server/records.h"

enum { PANG_FILES_SHOWN_MAX = 100 }; /* paths of each list */

/* What may be read: a document may name any file in the world. */
typedef struct {
    pang_objects *const *objects;
    const pang_rec_content *table[2]; /* as it is on both sides: below their places its files are */
} pang_files_access;

typedef struct {
    int64_t data_added, data_removed, deletes_added, deletes_removed;
    int64_t rows_added, rows_removed; /* of data files */
    pang_str added[PANG_FILES_SHOWN_MAX], removed[PANG_FILES_SHOWN_MAX];
    size_t n_added, n_removed; /* of those shown */
} pang_files_diff;

/* Snapshots as documents have them; NULL: there is none. ERRORS: NOT_FOUND (a file is not there, or
 * not the table's), INVALID_ARGUMENT (damaged), RESOURCE_EXHAUSTED, the object stores'. */
PANG_MUST_CHECK pang_code pang_files_compare(const pang_files_access *access, const pang_json *from,
                                             const pang_json *to, pang_arena *arena,
                                             pang_files_diff *ret, pang_err *err);
/* The current snapshot of a table's document; NULL: it has none. */
const pang_json *pang_files_head(const pang_json *document);
/* Whether a failure says something about the table's files, which is then told, and not about us.
 */
bool pang_files_is_damage(pang_code code);

#endif
