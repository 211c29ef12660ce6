/*
 * Audit of calls: what the dispatcher writes about each, out of its rule. The row of a change, or
 * of a credential, is in the commit of what it tells of. A failed change has a row in a commit of
 * its own, since its own commit is gone; all else joins the buffer (server/audit_log.h).
 * A denial is told as "permission_denied", with the action that was tried in its metadata.
 * Called by server/dispatch.c. Threads: any.
 */
#ifndef PANG_SERVER_AUDIT_H
#define PANG_SERVER_AUDIT_H

#include "server/authz.h"
#include "server/dispatch.h"

enum { PANG_AUDIT_OBJECTS_MAX = 64 }; /* objects named in a row; of more the first are */

/* Puts the row into call->txn. `out` is the reply: it tells the id of what is new. ERRORS:
 * RESOURCE_EXHAUSTED; INVALID_ARGUMENT (a name too long). */
PANG_MUST_CHECK pang_code pang_audit_change(pang_call *call, const pang_request *request,
                                            pang_id server, const pang_access *accesses, size_t n,
                                            const struct ProtobufCMessage *out, pang_err *err);

/* How a call ended. */
typedef struct {
    const pang_request *request;
    const pang_access *accesses;
    size_t n_accesses;
    pang_code code;
    bool denied;  /* by permission, also where the answer is that of an absent object */
    bool waits;   /* the thread may wait for the store */
    bool has_txn; /* a change had its row in its commit */
} pang_audit_outcome;

/* Audits what pang_audit_change did not. `err` tells of a failure; the code that it returns is the
 * outcome's, unless that was PANG_OK and the log cannot take it: what is not audited is not
 * answered. Failures that cannot be logged are counted. Unknown callers are passed over. */
PANG_MUST_CHECK pang_code pang_audit_ended(pang_call *call, const pang_audit_outcome *outcome,
                                           pang_err *err);

#endif
