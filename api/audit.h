/*
 * Audit verification: whether the audit log in a store is what was written: every row there,
 * unchanged, in its place, and the chain over them whole.
 * Called by `pangolin audit verify` and by tests; implemented in server/audit_verify.c.
 * Threads: any. Nothing is written.
 *
 * Rows that are sealed are proved by the chain. What a seal does not cover yet (a second's worth)
 * is proved by its numbers and digests. A log whose end was cut off together with everything that
 * told of it, or that was rebuilt from some row on, is whole in itself: it shows against a hash of
 * the chain that was noted elsewhere.
 */
#ifndef PANG_API_AUDIT_H
#define PANG_API_AUDIT_H

#include "api/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PANG_AUDIT_HASH_BYTES = 32 };

/* The hash of a seal, noted earlier. */
typedef struct {
    uint64_t seal; /* 0: none */
    uint8_t hash[PANG_AUDIT_HASH_BYTES];
} pang_audit_anchor;

typedef struct {
    bool good;
    /* What was read until the end, or until the first fault. */
    uint64_t rows;                       /* records */
    uint64_t sealed;                     /* of them */
    uint64_t entries;                    /* things told of, each entry of a group counted */
    uint64_t removed;                    /* entries that the retention removed, with their seals */
    uint64_t seals;                      /* of the chain, removed ones included */
    uint8_t hash[PANG_AUDIT_HASH_BYTES]; /* of the last seal; zeroes: there is none */
    /* The first fault. A row is named by server and number; number 0: it is about the chain. */
    pang_id server;
    uint64_t number, seal;
    char what[160];
} pang_audit_report;

/* Verifies one tenant's log (its scope: 32 hex digits or PANG_SYSTEM_SCOPE). A fault is not an
 * error: it is in the report. ERRORS: the store's, RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_audit_verify(pang_store *store, pang_str scope,
                                            const pang_audit_anchor *anchor, pang_audit_report *ret,
                                            pang_err *err);

/* Calls fn for every scope that the store has records of, in order, until it returns false. */
typedef bool pang_audit_scope_fn(void *arg, pang_str scope);
PANG_MUST_CHECK pang_code pang_audit_scopes(pang_store *store, pang_audit_scope_fn *fn, void *arg,
                                            pang_err *err);

#ifdef __cplusplus
}
#endif
#endif
