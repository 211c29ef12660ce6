/*
 * Options of identity providers. A name is a prefix, the provider's own name and one of a list of
 * fields; environment variables are brought into the form of flags first, so that there is one
 * list.
 */
#include <stdlib.h>
#include <string.h>

#include "api/config_internal.h"

enum { NAME_ALL_MAX = 96 };

static const char *const fields[PANG_PROVIDER_FIELDS] = {
    [PANG_PROVIDER_CLIENT_ID] = "client-id",
    [PANG_PROVIDER_CLIENT_SECRET] = "client-secret",
    [PANG_PROVIDER_REDIRECT_URI] = "redirect-uri",
    [PANG_PROVIDER_ISSUER] = "issuer",
    [PANG_PROVIDER_TENANT_ID] = "tenant-id",
    [PANG_PROVIDER_DOMAIN] = "domain",
    [PANG_PROVIDER_SCOPES] = "scopes",
    [PANG_PROVIDER_AUDIENCE] = "audience",
    [PANG_PROVIDER_USERS_TENANT] = "users-tenant",
    [PANG_PROVIDER_CREATE_USERS] = "create-users",
    [PANG_PROVIDER_GROUPS_CLAIM] = "groups-claim",
    [PANG_PROVIDER_ROLES] = "roles",
    [PANG_PROVIDER_NAME_CLAIM] = "name-claim",
    [PANG_PROVIDER_SERVICE_CLAIM] = "service-claim",
    [PANG_PROVIDER_AUTH_URL] = "auth-url",
    [PANG_PROVIDER_TOKEN_URL] = "token-url",
    [PANG_PROVIDER_USERINFO_URL] = "userinfo-url",
};

static const char *const well_known[] = {"google", "microsoft", "github", "okta"};

const char *pang_provider_field_name(pang_provider_field field)
{
    return fields[field];
}

/* ---- names ---- */

/* "PANGOLIN_OIDC_ACME_ISSUER" as "oidc-acme-issuer"; false where it is no name of ours.
 * OAUTH_GITHUB_AUTH_URL and its like are older names of three fields. */
static bool fold_env(pang_str name, char to[NAME_ALL_MAX], pang_str *ret)
{
    bool is_older = pang_str_starts(name, PANG_STR("OAUTH_")) &&
                    pang_str_ends(name, PANG_STR("_URL"));
    if (!is_older && !pang_str_starts(name, PANG_STR("PANGOLIN_")))
        return false;
    name = pang_str_after(name, is_older ? 6 : 9);
    if (name.len >= NAME_ALL_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c >= 'a' && c <= 'z')
            return false;
        to[i] = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *ret = (pang_str){to, name.len};
    return true;
}

static bool is_name(pang_str name)
{
    if (name.len == 0 || name.len > PANG_PROVIDER_NAME_MAX || name.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

static bool is_well_known(pang_str name)
{
    for (size_t i = 0; i < sizeof well_known / sizeof well_known[0]; i++)
        if (pang_str_equal(name, pang_str_from(well_known[i])))
            return true;
    return false;
}

/* Of "oidc-acme-client-id": "acme" and the field. */
static bool split(pang_str name, pang_str *ret_provider, pang_provider_field *ret)
{
    bool is_any = pang_str_starts(name, PANG_STR("oidc-"));
    pang_str rest = is_any ? pang_str_after(name, 5) : name;
    for (unsigned i = 0; i < PANG_PROVIDER_FIELDS; i++) {
        pang_str field = pang_str_from(fields[i]);
        if (rest.len < field.len + 2 || !pang_str_ends(rest, field) ||
            rest.ptr[rest.len - field.len - 1] != '-')
            continue;
        pang_str provider = pang_str_slice(rest, 0, rest.len - field.len - 1);
        if (!is_name(provider) || is_well_known(provider) == is_any)
            continue;
        *ret_provider = provider;
        *ret = (pang_provider_field)i;
        return true;
    }
    return false;
}

static bool parse(pang_str name, bool is_env, char folded[NAME_ALL_MAX], pang_str *ret_provider,
                  pang_provider_field *ret)
{
    if (is_env && !fold_env(name, folded, &name))
        return false;
    return split(name, ret_provider, ret);
}

bool pang_providers_knows(pang_str name, bool is_env)
{
    char folded[NAME_ALL_MAX];
    pang_provider_field field;
    pang_str provider;
    return parse(name, is_env, folded, &provider, &field);
}

/* ---- values ---- */

/* NULL when there are too many. */
static pang_config_provider *find(pang_providers *providers, pang_str name)
{
    for (size_t i = 0; i < providers->n; i++)
        if (pang_str_equal(name, pang_str_from(providers->items[i].name)))
            return &providers->items[i];
    if (providers->n == PANG_CONFIG_PROVIDERS_MAX)
        return NULL;
    pang_config_provider *made = &providers->items[providers->n++];
    memcpy(made->name, name.ptr, name.len);
    return made;
}

static void drop(pang_str *text)
{
    if (text->ptr != NULL)
        explicit_bzero((char *)(uintptr_t)text->ptr, text->len);
    free((char *)(uintptr_t)text->ptr);
    *text = (pang_str){0};
}

pang_code pang_providers_take(pang_providers *providers, pang_str name, bool is_env, pang_str text,
                              bool *ret_known, pang_err *err)
{
    char folded[NAME_ALL_MAX];
    pang_provider_field field;
    pang_str whose;
    *ret_known = parse(name, is_env, folded, &whose, &field);
    if (!*ret_known || text.len == 0)
        return PANG_OK;
    if (text.len > PANG_CONFIG_VALUE_MAX || pang_str_find(text, '\0') < text.len)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "%" PANG_STR_FMT " is too long or holds a NUL", PANG_STR_ARG(name));
    pang_config_provider *provider = find(providers, whose);
    if (provider == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "there are more than %d identity providers", PANG_CONFIG_PROVIDERS_MAX);
    char *copy = strndup(text.ptr, text.len);
    if (copy == NULL)
        return pang_fail_memory(err);
    drop(&provider->fields[field]);
    provider->fields[field] = (pang_str){copy, text.len};
    return PANG_OK;
}

void pang_providers_free(pang_providers *providers)
{
    for (size_t i = 0; i < providers->n; i++)
        for (size_t j = 0; j < PANG_PROVIDER_FIELDS; j++)
            drop(&providers->items[i].fields[j]);
    providers->n = 0;
}
