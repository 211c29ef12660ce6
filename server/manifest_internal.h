/*
 * Manifests, inside: the tables of fields, and partition types.
 * Called by manifest_*.c only. Threads and lifetime: as server/manifest.h.
 */
#ifndef PANG_SERVER_MANIFEST_INTERNAL_H
#define PANG_SERVER_MANIFEST_INTERNAL_H

#include "server/manifest.h"

/* ---- manifest_fields.c ---- */

extern const pang_avro_field manifest_list_fields[];
extern const size_t manifest_list_n_fields;
enum { MANIFEST_ENTRY_FIELDS = 5 };
/* The fields of an entry whose partition is of these: MANIFEST_ENTRY_FIELDS of them, in the arena.
 * NULL without memory. */
const pang_avro_field *manifest_entry_fields(const pang_avro_field *partition, size_t n,
                                             pang_arena *arena);

/* ---- manifest_partition.c ---- */

/* The fields of a spec's partition, typed by transform and schema, else by the entries' values.
 * ERRORS: INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code manifest_partition_fields(const pang_manifest_new *manifest,
                                                    pang_arena *arena, pang_avro_field **ret,
                                                    size_t *ret_n, pang_err *err);

/* ---- manifest_row.c ---- */

/* What the list says of a manifest, all but path and length. ERRORS: INVALID_ARGUMENT (sums that
 * int64 does not hold), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code manifest_row(const pang_manifest_new *manifest,
                                       const pang_avro_field *partition, size_t n,
                                       pang_arena *arena, pang_manifest *ret, pang_err *err);

#endif
