/*
 * Merging one table that both sides changed: four documents go in, one comes out, or conflicts.
 * The base is a pair, what each side was when they were last the same for a merge; each side's
 * change is the difference to its own half. Schemas, specs, orders, properties and refs merge as
 * documents (model_merge.h), live files as sets (merge_files.h).
 * The same does for a cherry-pick (the halves are what the picked commit replaced) and a revert
 * (the source is what the reverted commit replaced, its half what it left).
 * Called by the merge planner. Threads: any, one per merge. Lifetime: results live in the arena and
 * share parts with the documents, which must live as long.
 *
 * Reads manifests, writes new ones below the target table's location before anything is committed,
 * under fresh names; they are removed when the transaction surely did not land (or, kept for
 * another attempt, when the call ends without one that did). Source: the Iceberg specification, and
 * the Java library's MergingSnapshotProducer for what conflicts.
 */
#ifndef PANG_SERVER_MERGE_TABLE_H
#define PANG_SERVER_MERGE_TABLE_H

#include "api/env.h"
#include "api/json.h"
#include "api/txn.h"
#include "server/state.h"

/* Of the summary of a snapshot that a merge wrote: the merge's commit. */
#define PANG_MERGE_COMMIT_PROPERTY "pangolin.merge-commit"

/* A state of the table. */
typedef struct {
    const pang_json *document; /* as pang_model_check passes it */
    pang_str location;         /* the file that holds it; for messages and the metadata log */
} pang_merge_state;

typedef struct {
    pang_state *state;
    const pang_env *env;
    pang_txn *txn; /* files that are written are taken back with it */
    pang_arena *arena;
    pang_merge_state source_half, source, target_half, target;
    bool one_half;     /* both halves are one document */
    bool serializable; /* isolation; else snapshot */
    pang_id commit;    /* the merge's: goes into the snapshot's summary */
    /* Column ids of the source that are others in the target, as the last merge in this direction
     * gave them: pairs, one after the other; n_columns counts numbers. For a merge back the pairs
     * are turned round. While there are any, changes of the source's data conflict; a rebase, and
     * taking the source as a resolution, end them. */
    const int32_t *columns;
    size_t n_columns;
    struct pang_kept_table *kept; /* where files are noted, which then outlive `txn`:
                                     merge_kept.h; NULL: they are taken back with it */
} pang_merge_table;

/* In a map of columns: the target has no such column, since somebody decided against it, or took a
 * table whole that has another column under its id. Each has a number of its own, below all that
 * are given out or reserved for columns of metadata. */
#define PANG_MERGE_NO_COLUMN(id) (INT32_MIN + (id))

/* The four kinds that clients know. */
typedef enum {
    PANG_CONFLICT_SCHEMA = 1,
    PANG_CONFLICT_DATA = 2,
    PANG_CONFLICT_METADATA = 3,
    PANG_CONFLICT_DELETION = 4,
} pang_conflict_type;

typedef struct {
    pang_conflict_type type;
    pang_str description; /* one sentence that names files, columns or properties */
    pang_str details;     /* JSON object: the members of the wire's conflict type but asset_name,
                             and more: "files", "columns", "properties" with both sides' values */
} pang_conflict;

enum { PANG_CONFLICTS_MAX = 64 }; /* told of one table; more are counted in the last description */

typedef struct {
    pang_json *document; /* NULL: the target's stays as it is, or there are conflicts */
    const pang_conflict *conflicts;
    size_t n_conflicts;
    const int32_t *columns; /* the map of column ids from now on, as above */
    size_t n_columns;
    pang_str report; /* JSON object for people: what was left behind (unreferenced snapshots) */
} pang_merge_outcome;

/* ERRORS: the object stores' (a missing or corrupt manifest is no error but a conflict),
 * RESOURCE_EXHAUSTED, INVALID_ARGUMENT (a bound). */
PANG_MUST_CHECK pang_code pang_merge_table_run(const pang_merge_table *merge,
                                               pang_merge_outcome *ret, pang_err *err);
/* Take the source, as a resolution: the source's content in a document that goes on from the
 * target's: numbers are the greater of both, the metadata log is the target's. */
PANG_MUST_CHECK pang_code pang_merge_table_take_source(const pang_merge_table *merge,
                                                       pang_json **ret, pang_err *err);

#endif
