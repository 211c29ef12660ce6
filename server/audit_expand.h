/*
 * Audit entries: a stored row as the things it tells of, one or many.
 * Called by server/audit_query.c. Threads: any. Lifetime: what is expanded borrows from the row.
 */
#ifndef PANG_SERVER_AUDIT_EXPAND_H
#define PANG_SERVER_AUDIT_EXPAND_H

#include "server/audit_query.h"

/* How many there are in a row. */
size_t pang_audit_expanded(const pang_rec_audit_row *row);
/* The i-th, with its id. Texts that are not as stored live in the arena. False without memory. */
bool pang_audit_expand(const pang_rec_audit_row *row, size_t i, pang_str scope, pang_id server,
                       uint64_t number, int64_t time_ms, pang_arena *arena, pang_audit_found *ret);
bool pang_audit_matches(const pang_audit_filter *filter, const pang_audit_found *found);

/* An entry's id: a UUID (version 8) of the row's number, the entry's place in the row, and a hash
 * that tells tenants (`scope`, as in keys) and servers apart. */
pang_id pang_audit_id_of(pang_str scope, pang_id server, uint64_t number, size_t i);
/* False when it is no such id. *ret_hash is what pang_audit_place_hash gives. */
bool pang_audit_id_parse(pang_id id, uint64_t *ret_hash, uint64_t *ret_number, size_t *ret_i);
uint64_t pang_audit_place_hash(pang_str scope, pang_id server);

#endif
