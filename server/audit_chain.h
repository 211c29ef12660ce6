/*
 * Audit chain: the hashes of rows and seals. A row has a digest over what it says; a leaf joins the
 * digest with the row's place and time; a seal's hash joins the hash before it with its leaves in
 * order. So a row that is changed, moved, swapped, doubled or gone shows at its own place, and a
 * seal that is gone or exchanged at the next.
 * Called by the sealer, the verifier and by what writes rows. Threads: any, no state.
 */
#ifndef PANG_SERVER_AUDIT_CHAIN_H
#define PANG_SERVER_AUDIT_CHAIN_H

#include "pangolin/store/v1/audit.pb-c.h"
#include "pangolin/store/v1/dispatch.pb-c.h"
#include "server/hash.h"
#include "server/records.h"

typedef Pangolin__Store__V1__AuditRow pang_rec_audit_row;
typedef Pangolin__Store__V1__AuditGroup pang_rec_audit_group;
typedef Pangolin__Store__V1__AuditSeal pang_rec_audit_seal;
typedef Pangolin__Store__V1__AuditHead pang_rec_audit_head;
typedef Pangolin__Store__V1__AuditSpan pang_rec_audit_span;
typedef Pangolin__Store__V1__AuditPlaces pang_rec_audit_places;

/* Packs a row whose digest is not set, with the digest behind. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_chain_row(pang_rec_audit_row *row, pang_str scope, pang_id server,
                                         pang_arena *arena, pang_str *ret, pang_err *err);
/* What the digest of a packed row must be, and what it is (empty: it has none). */
PANG_MUST_CHECK pang_code pang_chain_digest(pang_str body, pang_str scope, pang_id server,
                                            uint8_t ret[PANG_HASH_BYTES], pang_str *ret_found,
                                            pang_err *err);
/* The leaf of a row, by the digest that stands in it. */
PANG_MUST_CHECK pang_code pang_chain_leaf(pang_id server, uint64_t number, int64_t time_ms,
                                          pang_str digest, uint8_t ret[PANG_HASH_BYTES],
                                          pang_err *err);
PANG_MUST_CHECK pang_code pang_chain_seal(pang_str previous, uint64_t number, pang_str leaves,
                                          uint8_t ret[PANG_HASH_BYTES], pang_err *err);

#endif
