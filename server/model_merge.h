/*
 * Model: merging two documents of a table, all but its files. Schemas by field id, specs and orders
 * by content, properties, name mappings, refs and keys by name; no I/O.
 * Called by merge_table.c. Threads, lifetime and messages: as model.h.
 */
#ifndef PANG_SERVER_MODEL_MERGE_H
#define PANG_SERVER_MODEL_MERGE_H

#include "server/merge_files.h"

typedef struct {
    pang_json *document; /* the target's with what the source changed; its snapshots are the
                            target's. NULL when there are conflicts */
    pang_json *apart;    /* when conflicts are about properties, defaults and refs alone: what it is
                            without these, to compare files by; else NULL */
    bool changed;        /* false: the document is the target's own */
    pang_json *updates;  /* what makes the document out of the target's, as a commit's updates:
                            who adds a snapshot adds its updates behind them */
    int64_t last_column; /* what last-column-id must be at least once the source's data is there */
    const pang_id_pair *specs, *orders,
        *columns; /* source to merged; what is the same is left out */
    size_t n_specs, n_orders, n_columns;
    const pang_conflict *conflicts;
    size_t n_conflicts;
    pang_json *left_behind; /* the source's new snapshots that no ref reaches: an array of
                               {"snapshot-id", "timestamp-ms", "operation", "wap.id"} */
} pang_model_merged;

/* `data_changed`: the source's files changed too, so that rules about data written with a schema or
 * a format version apply. A merged table that a commit would refuse is a conflict with the
 * commit's message. ERRORS: RESOURCE_EXHAUSTED, INVALID_ARGUMENT (a document is no table's). */
PANG_MUST_CHECK pang_code pang_model_merge(const pang_merge_table *merge, bool data_changed,
                                           pang_model_merged *ret, pang_err *err);
/* The source's content as the target's next document: a resolution. Ids and numbers that only grow
 * are the greater of both, the format version too; the metadata log is the target's, with the
 * target's file behind it. ERRORS: as above. */
PANG_MUST_CHECK pang_code pang_model_take_source(const pang_merge_table *merge, pang_json **ret,
                                                 pang_err *err);

#endif
