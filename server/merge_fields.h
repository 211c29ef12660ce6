/*
 * Merging fields of records: properties and a few texts, each by itself. What one side changed
 * goes; what both changed to the same, too; else it is a conflict, or what a person said.
 * Called by merge_values.c. Threads: any. Lifetime: results live in the arena and share texts with
 * what they were made of.
 */
#ifndef PANG_SERVER_MERGE_FIELDS_H
#define PANG_SERVER_MERGE_FIELDS_H

#include "api/json.h"
#include "server/records.h"

/* A field that both sides changed differently; NULL: it has no value there. */
typedef struct {
    const char *name, *base, *source, *target;
} pang_field_conflict;

typedef struct {
    pang_field_conflict *list;
    size_t n, room;
    pang_arena *arena;
} pang_field_conflicts;

/* Sets the properties, asset_kind and location of *ret (a copy of the target's body). `base` may be
 * NULL: there was none. `said`: by the names of properties ("kind" and "location" for the two
 * others) what they shall be, a string or null; may be NULL. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_merge_fields(const pang_rec_content *base,
                                            const pang_rec_content *source,
                                            const pang_rec_content *target, const pang_json *said,
                                            pang_rec_content *ret, pang_field_conflicts *conflicts,
                                            pang_err *err);

#endif
