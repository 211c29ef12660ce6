/*
 * The one list of what this server serves.
 */
#include "api/service.h"
#include "server/ops.h"
#include "server/svc_audit.h"
#include "server/svc_commit.h"
#include "server/svc_identity.h"
#include "server/svc_lake.h"
#include "server/svc_services.h"

const pang_service *const pang_services[] = {
    &pang_service_config,       &pang_service_namespace,  &pang_service_table,
    &pang_service_health,       &pang_service_reflection, &pang_service_reflection_alpha,
    &pang_service_auth,         &pang_service_oauth,      &pang_service_keys,
    &pang_service_operations,   &pang_service_tenant,     &pang_service_role,
    &pang_service_service_user, &pang_service_permission, &pang_service_user,
    &pang_service_warehouse,    &pang_service_catalog,    &pang_service_asset,
    &pang_service_system,       &pang_service_merge,      &pang_service_audit,
    &pang_service_branch,       &pang_service_tag,        &pang_service_commit,
    &pang_service_maintenance,  &pang_service_view,       NULL,
};
