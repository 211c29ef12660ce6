/*
 * Inside of content: how the records of a name are asked for and understood, for reads by name
 * (content.c), lists (content_list.c) and assets by id (content_asset.c).
 * Threads, lifetime: as content.h.
 */
#ifndef PANG_SERVER_CONTENT_INTERNAL_H
#define PANG_SERVER_CONTENT_INTERNAL_H

#include "server/content.h"

/* Refs that are read together, and what answers them. */
typedef struct {
    pang_arena *arena;
    pang_ref *refs;
    pang_record *records;
    size_t n;
} pang_batch;

/* False without memory. */
bool pang_batch_new(pang_batch *b, pang_arena *arena, size_t n);
/* In as few round trips as the store's bound allows: mostly one. */
PANG_MUST_CHECK pang_code pang_batch_get(pang_view *view, pang_batch *b, pang_read_mode mode,
                                         pang_err *err);

/* Memory for batches about n things, when these are so many that they shall not stay in the call's;
 * NULL in *ret: the call's does. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_batch_memory(size_t n, pang_arena **ret, pang_err *err);

/* Reads n things on all levels of a view: `current` and `history` hold refs and room for answers,
 * those of thing i from i * view->n_levels on. One get for current records, of which the branch's
 * own are checked by the commit; below, and in the past, nothing changes any more. Then the rows of
 * history that can matter, in another: most things did not change since, and what a row says never
 * changes, so that it is mostly cached. */
PANG_MUST_CHECK pang_code pang_content_read_levels(pang_view *view, size_t n, pang_batch *current,
                                                   pang_batch *history, pang_err *err);

/* A name's current record on a level, and the history row that holds what it was at the level's
 * number, should the current one be newer. */
pang_ref pang_content_current_ref(pang_view *view, size_t level, pang_name name);
pang_ref pang_content_history_ref(pang_view *view, size_t level, pang_name name);

PANG_MUST_CHECK pang_code pang_content_take_current(pang_view *view, const pang_record *record,
                                                    bool own, pang_content *content, pang_err *err);
/* What `record`, the history row above `at`, held at `at`; nothing when it is of later. */
PANG_MUST_CHECK pang_code pang_content_take_history(pang_view *view, const pang_record *record,
                                                    uint64_t at, pang_content *content,
                                                    pang_err *err);

#endif
