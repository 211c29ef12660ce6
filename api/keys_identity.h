/*
 * Keys of tenants, principals, grants and warehouses, whose bodies are in
 * proto/pangolin/store/v1/identity.proto. The rules are those of api/keys.h.
 * Called by the services of the management API, by authn and by the evaluator. Threads, lifetime:
 * as api/keys.h; made in storage/keys_identity.c.
 *
 * Scopes: what is marked "system" is of PANG_SYSTEM_SCOPE, all else of a tenant. Root and its names
 * are users of the system scope.
 */
#ifndef PANG_API_KEYS_IDENTITY_H
#define PANG_API_KEYS_IDENTITY_H

#include "api/keys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of records, for their headers: as pang_catalog_kind, with which they share the numbers. */
typedef enum {
    PANG_KIND_TENANT_NAME = 64,        /* tn/<name>: TenantName. System */
    PANG_KIND_TENANT = 65,             /* te/<tenant>: Tenant. System */
    PANG_KIND_USER_NAME = 66,          /* un/<username>: UserName */
    PANG_KIND_USER_EMAIL = 67,         /* ue/<email>: UserName */
    PANG_KIND_USER_SUBJECT = 68,       /* ug/<provider>/<subject>: UserSubject. System */
    PANG_KIND_USER = 69,               /* us/<user>: User */
    PANG_KIND_LAST_USE = 70,           /* lu/<principal>: LastUse */
    PANG_KIND_SERVICE_USER_NAME = 71,  /* sn/<name>: ServiceUserName */
    PANG_KIND_SERVICE_USER_PLACE = 72, /* sp/<service user>: ServiceUserPlace. System */
    PANG_KIND_SERVICE_USER = 73,       /* su/<service user>: ServiceUser */
    PANG_KIND_API_KEY = 74,            /* ak/<key id>: ApiKey. System */
    PANG_KIND_GRANT = 75,              /* gr/<principal>/<grant>: Grant */
    PANG_KIND_GRANT_PLACE = 76,        /* gi/<grant>: GrantPlace */
    PANG_KIND_ROLE_NAME = 77,          /* rn/<name>: RoleName */
    PANG_KIND_ROLE = 78,               /* ro/<role>: Role */
    PANG_KIND_ASSIGNMENT = 79,         /* ra/<principal>/<role>: Assignment */
    PANG_KIND_HOLDER = 80,             /* rb/<role>/<principal>: Assignment */
    PANG_KIND_WAREHOUSE_NAME = 81,     /* wn/<name>: WarehouseName */
    PANG_KIND_ASSET_NOTES = 82,        /* at/<asset>: AssetNotes */
    PANG_KIND_TAGGED = 83,             /* tg/<tag>/<asset>: Tagged */
} pang_identity_kind;

/* Tenants. System. */
pang_str pang_key_tenant_name(pang_keys *keys, pang_str name);
pang_str pang_key_tenant_names(pang_keys *keys); /* prefix, by name */
pang_str pang_key_tenant(pang_keys *keys, pang_id tenant);
pang_str pang_key_tenants(pang_keys *keys); /* prefix */

/* Users. `email` is in lower case. */
pang_str pang_key_user_name(pang_keys *keys, pang_str username);
pang_str pang_key_user_names(pang_keys *keys); /* prefix, by name */
pang_str pang_key_user_email(pang_keys *keys, pang_str email);
pang_str pang_key_user_subject(pang_keys *keys, pang_str provider, pang_str subject); /* system */
pang_str pang_key_user(pang_keys *keys, pang_id user);
pang_str pang_key_last_use(pang_keys *keys, pang_id principal);

/* Service users and their keys. `key_id` is the middle of pgl_<id>_<secret>. */
pang_str pang_key_service_user_name(pang_keys *keys, pang_str name);
pang_str pang_key_service_user_names(pang_keys *keys);                       /* prefix, by name */
pang_str pang_key_service_user_place(pang_keys *keys, pang_id service_user); /* system */
pang_str pang_key_service_user(pang_keys *keys, pang_id service_user);
pang_str pang_key_api_key(pang_keys *keys, pang_str key_id); /* system */

/* Grants, and roles with who has them. */
pang_str pang_key_grant(pang_keys *keys, pang_id principal, pang_id grant);
pang_str pang_key_grants(pang_keys *keys, pang_id principal); /* prefix */
pang_str pang_key_grant_place(pang_keys *keys, pang_id grant);
pang_str pang_key_grant_places(pang_keys *keys); /* prefix, oldest first */
pang_str pang_key_role_name(pang_keys *keys, pang_str name);
pang_str pang_key_role_names(pang_keys *keys); /* prefix, by name */
pang_str pang_key_role(pang_keys *keys, pang_id role);
pang_str pang_key_roles(pang_keys *keys); /* prefix */
pang_str pang_key_assignment(pang_keys *keys, pang_id principal, pang_id role);
pang_str pang_key_assignments(pang_keys *keys, pang_id principal); /* prefix */
pang_str pang_key_holder(pang_keys *keys, pang_id role, pang_id principal);
pang_str pang_key_holders(pang_keys *keys, pang_id role); /* prefix */
/* Counter: grows with each grant and role that a principal gets, and never falls: who looks through
 * them all checks it. */
pang_str pang_key_gains(pang_keys *keys, pang_id principal);
/* Counter: assignments of the role, and roles that include it. 0: it may be deleted. */
pang_str pang_key_role_use(pang_keys *keys, pang_id role);

/* Warehouses (wh/<warehouse> is pang_key_warehouse of api/keys.h). */
pang_str pang_key_warehouse_name(pang_keys *keys, pang_str name);
pang_str pang_key_warehouse_names(pang_keys *keys); /* prefix, by name */
pang_str pang_key_warehouses(pang_keys *keys);      /* prefix, by id */
/* Counter: catalogs that use it. 0: it may be deleted. */
pang_str pang_key_warehouse_use(pang_keys *keys, pang_id warehouse);

/* What is said about assets. */
pang_str pang_key_asset_notes(pang_keys *keys, pang_id asset);
pang_str pang_key_tagged(pang_keys *keys, pang_str tag, pang_id asset);
pang_str pang_key_tagged_assets(pang_keys *keys, pang_str tag); /* prefix */

/* Counters of a tenant, or of the system. Auth: see identity.proto. The others count what is there;
 * who creates one or deletes one adds to it, and who deletes the tenant checks them. */
#define PANG_COUNT_AUTH PANG_STR("auth")
#define PANG_COUNT_TENANTS PANG_STR("tenants") /* system */
#define PANG_COUNT_USERS PANG_STR("users")
#define PANG_COUNT_SERVICE_USERS PANG_STR("service-users")
#define PANG_COUNT_ROLES PANG_STR("roles")
#define PANG_COUNT_WAREHOUSES PANG_STR("warehouses")
#define PANG_COUNT_CATALOGS PANG_STR("catalogs")
/* What is in all catalogs; tables and namespaces on their branches main. Nobody checks these. */
#define PANG_COUNT_BRANCHES PANG_STR("branches")
#define PANG_COUNT_NAMESPACES PANG_STR("namespaces")
#define PANG_COUNT_TABLES PANG_STR("tables")
pang_str pang_key_count(pang_keys *keys, pang_str what); /* co/<what> */

#ifdef __cplusplus
}
#endif
#endif
