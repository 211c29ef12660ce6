/*
 * The services of tenants, principals, roles and grants, for the list in server/services.c.
 * Called by the dispatcher through the list. Threads: handlers run on any. Lifetime: tables are
 * const, results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_IDENTITY_H
#define PANG_SERVER_SVC_IDENTITY_H

#include "api/service.h"

extern const pang_service pang_service_auth;
extern const pang_service pang_service_oauth;
extern const pang_service pang_service_keys;
extern const pang_service pang_service_tenant;
extern const pang_service pang_service_user;
extern const pang_service pang_service_role;
extern const pang_service pang_service_permission;
extern const pang_service pang_service_service_user;

#endif
