/*
 * Names are written out by hand: tests compare them with the rules, and a name that is gone from
 * the rules is still in logs.
 */
#include "server/audit_names.h"

#include <string.h>

static bool is_named(pang_str name, const char *text)
{
    return pang_str_equal(name, pang_str_from(text));
}

bool pang_audit_is_action(const pang_schema *schema, pang_str name)
{
    for (size_t i = 0; i < PANG_AUDIT_ACTIONS; i++)
        if (is_named(name, pang_audit_actions[i].name))
            return true;
    for (size_t i = 0; schema != NULL && name.len > 0 && i < pang_schema_size(schema); i++)
        if (pang_str_equal(name, pang_schema_at(schema, i)->audit))
            return true;
    return false;
}

bool pang_audit_is_type(pang_str name)
{
    for (size_t i = 0; i < PANG_AUDIT_TYPES; i++)
        if (is_named(name, pang_audit_types[i]))
            return true;
    return false;
}

/* "list_namespaces": the kind behind the first underscore, with or without the plural's s. */
static const char *type_in_name(pang_str action)
{
    pang_str rest = pang_str_after(action, pang_str_find(action, '_') + 1);
    pang_str singular = pang_str_slice(rest, 0, rest.len > 0 ? rest.len - 1 : 0);
    bool is_plural = pang_str_ends(rest, PANG_STR("s"));
    for (size_t i = 0; i < PANG_AUDIT_TYPES; i++)
        if (is_named(rest, pang_audit_types[i]) ||
            (is_plural && is_named(singular, pang_audit_types[i])))
            return pang_audit_types[i];
    return NULL;
}

static const char *type_of_resource(uint32_t resource)
{
    /* What the log has no kind for is told as the nearest: assets of any kind as tables, settings
     * and the log itself as their tenant's. */
    static const char *const types[] = {
        [0] = "",
        [PANG_RESOURCE_TENANT] = "tenant",
        [PANG_RESOURCE_CATALOG] = "catalog",
        [PANG_RESOURCE_NAMESPACE] = "namespace",
        [PANG_RESOURCE_TABLE] = "table",
        [PANG_RESOURCE_VIEW] = "view",
        [PANG_RESOURCE_WAREHOUSE] = "warehouse",
        [PANG_RESOURCE_USER] = "user",
        [PANG_RESOURCE_ROLE] = "role",
        [PANG_RESOURCE_SERVICE_USER] = "service_user",
        [PANG_RESOURCE_PERMISSION] = "permission",
        [PANG_RESOURCE_TOKEN] = "token",
        [PANG_RESOURCE_SYSTEM] = "tenant",
        [PANG_RESOURCE_ASSET] = "table",
        [PANG_RESOURCE_AUDIT] = "tenant",
        [PANG_RESOURCE_BRANCH] = "branch",
        [PANG_RESOURCE_TAG] = "tag",
        [PANG_RESOURCE_COMMIT] = "commit",
        [PANG_RESOURCE_MERGE_OPERATION] = "merge_operation",
        [PANG_RESOURCE_CONFLICT] = "conflict",
    };
    return resource < sizeof types / sizeof types[0] ? types[resource] : "";
}

const char *pang_audit_type_of(pang_str action, uint32_t rule_resource)
{
    for (size_t i = 0; i < PANG_AUDIT_ACTIONS; i++)
        if (is_named(action, pang_audit_actions[i].name) && pang_audit_actions[i].type != NULL)
            return pang_audit_actions[i].type;
    const char *type = type_in_name(action);
    return type != NULL ? type : type_of_resource(rule_resource);
}

const char *const pang_audit_types[PANG_AUDIT_TYPES] = {
    "catalog",
    "namespace",
    "table",
    "view",
    "branch",
    "tag",
    "user",
    "service_user",
    "permission",
    "role",
    "federated_catalog",
    "warehouse",
    "tenant",
    "merge_operation",
    "conflict",
    "access_request",
    "metadata",
    "token",
    "commit",
};

const pang_audit_action pang_audit_actions[PANG_AUDIT_ACTIONS] = {
    {"create_catalog", "catalog"},
    {"update_catalog", "catalog"},
    {"delete_catalog", "catalog"},
    {"create_namespace", "namespace"},
    {"update_namespace", "namespace"},
    {"delete_namespace", "namespace"},
    {"create_table", "table"},
    {"update_table", "table"},
    {"drop_table", "table"},
    {"rename_table", "table"},
    {"commit_table", "table"},
    {"load_table", "table"},
    {"create_view", "view"},
    {"update_view", "view"},
    {"drop_view", "view"},
    {"rename_view", "view"},
    {"load_view", "view"},
    {"create_branch", "branch"},
    {"delete_branch", "branch"},
    {"merge_branch", "branch"},
    {"create_user", "user"},
    {"update_user", "user"},
    {"delete_user", "user"},
    {"login", "user"},
    {"logout", "user"},
    {"create_service_user", "service_user"},
    {"update_service_user", "service_user"},
    {"delete_service_user", "service_user"},
    {"rotate_api_key", "service_user"},
    {"grant_permission", "permission"},
    {"revoke_permission", "permission"},
    {"create_federated_catalog", "federated_catalog"},
    {"update_federated_catalog", "federated_catalog"},
    {"delete_federated_catalog", "federated_catalog"},
    {"test_federated_connection", "federated_catalog"},
    {"create_warehouse", "warehouse"},
    {"update_warehouse", "warehouse"},
    {"delete_warehouse", "warehouse"},
    {"create_tenant", "tenant"},
    {"update_tenant", "tenant"},
    {"delete_tenant", "tenant"},
    {"create_tag", "tag"},
    {"delete_tag", "tag"},
    {"initiate_merge", "merge_operation"},
    {"complete_merge", "merge_operation"},
    {"abort_merge", "merge_operation"},
    {"resolve_conflict", "conflict"},
    {"list_conflicts", "conflict"},
    {"add_metadata", "metadata"},
    {"update_metadata", "metadata"},
    {"delete_metadata", "metadata"},
    {"search_assets", NULL},
    {"request_access", "access_request"},
    {"approve_access", "access_request"},
    {"deny_access", "access_request"},
    {"update_access_request", "access_request"},
    {"generate_token", "token"},
    {"revoke_token", "token"},
    {"create_commit", "commit"},
    {"list_commits", "commit"},
    {"login_failed", "user"},
    {"api_key_authenticated", "service_user"},
    {"api_key_rejected", "service_user"},
    {"token_rejected", "token"},
    {"permission_denied", NULL},
    {"tenant_impersonation", "tenant"},
};
