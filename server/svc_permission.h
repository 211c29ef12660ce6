/*
 * What the files of the service of grants share: how a grant is shown, and its explanation.
 * Called by svc_permission.c and svc_explain.c. Threads: any. Lifetime: the call's arena.
 */
#ifndef PANG_SERVER_SVC_PERMISSION_H
#define PANG_SERVER_SVC_PERMISSION_H

#include "server/scopes.h"

PANG_MUST_CHECK pang_code pang_permission_show(pang_call *call, const pang_rec_grant *grant,
                                               Pangolin__V1__Permission **ret, pang_err *err);

/* ExplainPermission. */
PANG_MUST_CHECK pang_code pang_permission_explain(pang_call *call, const void *request, void *reply,
                                                  pang_err *err);

#endif
