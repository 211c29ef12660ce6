/*
 * Idempotency keys: a request that carries one has its outcome stored in the commit of what it
 * did, and a repeat gets that outcome instead of another run. Scoped to tenant, principal, method
 * and key.
 * Called by server/dispatch.c; services only say what to keep (pang_call.keep) and how to make a
 * reply of it (pang_method.replay). Threads: one per call.
 *
 * Two requests at once with one key both find nothing and both run; the record's absence is a
 * check of either commit, so the second one is a lost race, runs again and finds the first's.
 */
#ifndef PANG_SERVER_IDEMPOTENCY_H
#define PANG_SERVER_IDEMPOTENCY_H

#include "api/service.h"
#include "server/hash.h"

struct ProtobufCFieldDescriptor;

typedef struct {
    bool is_used;
    pang_id key;
    uint8_t request[PANG_HASH_BYTES];
} pang_idempotency;

/* The field of a request that carries the key, out of its rules; NULL when there is none. */
const struct ProtobufCFieldDescriptor *
pang_idempotency_field(const pang_schema *schema, const pang_schema_method *rule,
                       const struct ProtobufCMessageDescriptor *in);

/* Reads the key of a request, if it has one. `packed` is the request. ERRORS: INVALID_ARGUMENT
 * (reason "BadRequestException"), RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_idempotency_begin(const struct ProtobufCFieldDescriptor *field,
                                                 const void *in, pang_str packed,
                                                 pang_idempotency *ret, pang_err *err);

/* Looks for an outcome, in call->txn. When there is one, *ret_found is set, and the return value
 * is the outcome: PANG_OK with `out` filled in, or the stored error. Further ERRORS:
 * INVALID_ARGUMENT (reason "UnprocessableEntityException": another request had this key), the
 * store's. */
PANG_MUST_CHECK pang_code pang_idempotency_find(const pang_idempotency *idempotency,
                                                pang_call *call, const pang_method *row,
                                                const void *in, void *out, bool *ret_found,
                                                pang_err *err);

/* Puts the success of this run into call->txn. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_idempotency_keep(const pang_idempotency *idempotency,
                                                pang_call *call, const void *out, pang_err *err);

/* Whether an error will be the same whenever the request comes again. */
bool pang_idempotency_is_terminal(pang_code code);
/* Stores a terminal error, in a commit of its own (call->txn has ended). ERRORS: ABORTED (another
 * request with this key was faster: run again), the store's. */
PANG_MUST_CHECK pang_code pang_idempotency_remember(const pang_idempotency *idempotency,
                                                    pang_call *call, const pang_err *outcome,
                                                    pang_err *err);

#endif
