/*
 * What the backends over an ordered index share: every scan and every ceiling ref is one half-open
 * range of keys, and a put knows its key only once its commit has its numbers.
 * Called by sqlite.c, postgres.c and mongodb.c only. Threads: values. Lifetime: a range holds its
 * own bytes; it is too big for the stack of a deep call chain, not for that of a backend.
 */
#ifndef PANG_STORAGE_RANGE_H
#define PANG_STORAGE_RANGE_H

#include "api/storage.h"

/* Keys k with lo <= k < hi by bytes. `hi` is always there: where nothing bounds the range it is
 * longer and higher than any key can be. */
typedef struct {
    pang_str lo, hi; /* borrow from the bytes below, or from the query */
    bool is_empty;   /* no key can be in it: the store need not be asked */
    char lo_bytes[PANG_KEY_MAX + 1], hi_bytes[PANG_KEY_MAX + 1];
} pang_range;

/* The rows of a query, whichever its direction. REQUIRES: the bounds that store.c checks. */
void pang_range_of_query(const pang_query *query, pang_range *ret);
/* The keys a CEILING ref may find; its answer is the first live one. REQUIRES: as above. */
void pang_range_of_ceiling(const pang_ref *ref, pang_range *ret);

/* The key of a put: its own, or written to `to` with the number of its slot in it.
 * REQUIRES: commit->numbers are set. */
pang_str pang_put_key(const pang_commit *commit, const pang_put *put, char to[PANG_KEY_MAX]);

#endif
