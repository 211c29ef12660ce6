/*
 * Expiry: takes snapshots out of a table's metadata by age and count, as engines do, but leaves all
 * files to the collector, which knows what else reads them.
 * Called by the maintenance service and by later work. Threads: as the transaction's. Lifetime:
 * results live in the view's arena.
 *
 * A snapshot stays that is younger than the limit, that a tag of the table names, or that is among
 * the newest `retain_last` before and with the head of a branch of the table; a branch's own
 * min-snapshots-to-keep and max-snapshot-age-ms go before both. Refs themselves are never removed.
 */
#ifndef PANG_SERVER_EXPIRE_H
#define PANG_SERVER_EXPIRE_H

#include "server/metadata.h"

typedef struct {
    int64_t older_than_ms; /* milliseconds since 1970: what is older goes */
    int64_t retain_last;   /* below 1: 1 */
} pang_expiry;

/* The ids of a document's snapshots that go: a JSON array. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_expire_choose(const pang_json *document, const pang_expiry *expiry,
                                             int64_t now_ms, pang_arena *arena, pang_json **ret,
                                             size_t *ret_n, pang_err *err);

/* Puts the table's next state into the view's transaction, in a commit of its own; nothing when no
 * snapshot goes, or in a dry run. *ret_n: how many go. ERRORS: FAILED_PRECONDITION (the table's own
 * gc.enabled is false), and those of committing. */
PANG_MUST_CHECK pang_code pang_expire_table(pang_view *view, pang_state *state,
                                            const pang_principal *who, const pang_content *table,
                                            const pang_expiry *expiry, bool dry_run, size_t *ret_n,
                                            pang_err *err);

#endif
