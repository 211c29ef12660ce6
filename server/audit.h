/*
 * Audit: the row of a change, written in the change's own commit, with the next number of its
 * tenant and server and a digest. Groups of reads, denials and the sealed chain over rows join it
 * with authentication.
 * Called by server/dispatch.c. Threads: any.
 */
#ifndef PANG_SERVER_AUDIT_H
#define PANG_SERVER_AUDIT_H

#include "server/authz.h"
#include "server/dispatch.h"

enum { PANG_AUDIT_OBJECTS_MAX = 64 }; /* objects named in a row; of more the first are */

/* Puts the row into call->txn. ERRORS: RESOURCE_EXHAUSTED; INVALID_ARGUMENT (a name too long). */
PANG_MUST_CHECK pang_code pang_audit_change(pang_call *call, const pang_request *request,
                                            pang_id server, const pang_access *accesses, size_t n,
                                            pang_err *err);

#endif
