/*
 * What the files of the service of roles share: how a role is shown, and who has which.
 * Called by svc_role.c and svc_role_assign.c. Threads: any. Lifetime: the call's arena.
 */
#ifndef PANG_SERVER_ROLES_H
#define PANG_SERVER_ROLES_H

#include "server/grants.h"
#include "server/scopes.h"

#include "pangolin/v1/role.pb-c.h"

PANG_MUST_CHECK pang_code pang_role_show(pang_call *call, const pang_rec_role *role,
                                         Pangolin__V1__Role **ret, pang_err *err);

pang_handler pang_role_list_of_user, pang_role_assign, pang_role_unassign;

#endif
