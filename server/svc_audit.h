/*
 * The service of the audit log, for the list in server/services.c.
 * Called by the dispatcher through the list. Threads: handlers run on any. Lifetime: the table is
 * const, results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_AUDIT_H
#define PANG_SERVER_SVC_AUDIT_H

#include "api/service.h"

extern const pang_service pang_service_audit;

#endif
