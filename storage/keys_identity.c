/*
 * Keys of tenants, principals, grants and warehouses: each maker is its kind and the list of its
 * components, as the table in keys.c has them for reading.
 */
#include "api/keys_identity.h"

#include "storage/keys_internal.h"

pang_str pang_key_tenant_name(pang_keys *keys, pang_str name)
{
    return pang_key_make(keys, "tn", "t", name);
}

pang_str pang_key_tenant_names(pang_keys *keys)
{
    return pang_key_make(keys, "tn", "/");
}

pang_str pang_key_tenant(pang_keys *keys, pang_id tenant)
{
    return pang_key_make(keys, "te", "i", tenant);
}

pang_str pang_key_tenants(pang_keys *keys)
{
    return pang_key_make(keys, "te", "/");
}

pang_str pang_key_user_name(pang_keys *keys, pang_str username)
{
    return pang_key_make(keys, "un", "t", username);
}

pang_str pang_key_user_names(pang_keys *keys)
{
    return pang_key_make(keys, "un", "/");
}

pang_str pang_key_user_email(pang_keys *keys, pang_str email)
{
    return pang_key_make(keys, "ue", "t", email);
}

pang_str pang_key_user_subject(pang_keys *keys, pang_str provider, pang_str subject)
{
    return pang_key_make(keys, "ug", "tt", provider, subject);
}

pang_str pang_key_user(pang_keys *keys, pang_id user)
{
    return pang_key_make(keys, "us", "i", user);
}

pang_str pang_key_last_use(pang_keys *keys, pang_id principal)
{
    return pang_key_make(keys, "lu", "i", principal);
}

pang_str pang_key_service_user_name(pang_keys *keys, pang_str name)
{
    return pang_key_make(keys, "sn", "t", name);
}

pang_str pang_key_service_user_names(pang_keys *keys)
{
    return pang_key_make(keys, "sn", "/");
}

pang_str pang_key_service_user_place(pang_keys *keys, pang_id service_user)
{
    return pang_key_make(keys, "sp", "i", service_user);
}

pang_str pang_key_service_user(pang_keys *keys, pang_id service_user)
{
    return pang_key_make(keys, "su", "i", service_user);
}

pang_str pang_key_api_key(pang_keys *keys, pang_str key_id)
{
    return pang_key_make(keys, "ak", "t", key_id);
}

pang_str pang_key_grant(pang_keys *keys, pang_id principal, pang_id grant)
{
    return pang_key_make(keys, "gr", "ii", principal, grant);
}

pang_str pang_key_grants(pang_keys *keys, pang_id principal)
{
    return pang_key_make(keys, "gr", "i/", principal);
}

pang_str pang_key_grant_place(pang_keys *keys, pang_id grant)
{
    return pang_key_make(keys, "gi", "i", grant);
}

pang_str pang_key_grant_places(pang_keys *keys)
{
    return pang_key_make(keys, "gi", "/");
}

pang_str pang_key_role_name(pang_keys *keys, pang_str name)
{
    return pang_key_make(keys, "rn", "t", name);
}

pang_str pang_key_role_names(pang_keys *keys)
{
    return pang_key_make(keys, "rn", "/");
}

pang_str pang_key_role(pang_keys *keys, pang_id role)
{
    return pang_key_make(keys, "ro", "i", role);
}

pang_str pang_key_roles(pang_keys *keys)
{
    return pang_key_make(keys, "ro", "/");
}

pang_str pang_key_assignment(pang_keys *keys, pang_id principal, pang_id role)
{
    return pang_key_make(keys, "ra", "ii", principal, role);
}

pang_str pang_key_assignments(pang_keys *keys, pang_id principal)
{
    return pang_key_make(keys, "ra", "i/", principal);
}

pang_str pang_key_holder(pang_keys *keys, pang_id role, pang_id principal)
{
    return pang_key_make(keys, "rb", "ii", role, principal);
}

pang_str pang_key_holders(pang_keys *keys, pang_id role)
{
    return pang_key_make(keys, "rb", "i/", role);
}

pang_str pang_key_gains(pang_keys *keys, pang_id principal)
{
    return pang_key_make(keys, "pg", "i", principal);
}

pang_str pang_key_role_use(pang_keys *keys, pang_id role)
{
    return pang_key_make(keys, "rc", "i", role);
}

pang_str pang_key_warehouse_name(pang_keys *keys, pang_str name)
{
    return pang_key_make(keys, "wn", "t", name);
}

pang_str pang_key_warehouse_names(pang_keys *keys)
{
    return pang_key_make(keys, "wn", "/");
}

pang_str pang_key_warehouses(pang_keys *keys)
{
    return pang_key_make(keys, "wh", "/");
}

pang_str pang_key_warehouse_use(pang_keys *keys, pang_id warehouse)
{
    return pang_key_make(keys, "wc", "i", warehouse);
}

pang_str pang_key_asset_notes(pang_keys *keys, pang_id asset)
{
    return pang_key_make(keys, "at", "i", asset);
}

pang_str pang_key_tagged(pang_keys *keys, pang_str tag, pang_id asset)
{
    return pang_key_make(keys, "tg", "ti", tag, asset);
}

pang_str pang_key_tagged_assets(pang_keys *keys, pang_str tag)
{
    return pang_key_make(keys, "tg", "t/", tag);
}

pang_str pang_key_count(pang_keys *keys, pang_str what)
{
    return pang_key_make(keys, "co", "t", what);
}
