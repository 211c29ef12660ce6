/*
 * The configured providers. Everything that can be wrong in the configuration is said at the start,
 * by the name of the option; nothing is asked of a provider then, so that one that is away does not
 * keep the server from starting.
 */
#include "server/oidc.h"

#include <stdlib.h>
#include <string.h>

#include "server/oidc_internal.h"

#define GITHUB "github"
#define CALLBACK "/oauth/callback/"

enum { MEMORY = 1 << 20 };

/* One provider while it is read. */
typedef struct {
    pang_oidc *oidc;
    const pang_config_provider *from;
    pang_provider *to;
    pang_err *err;
} reading;

static pang_code bad_option(const reading *r, pang_provider_field field, const char *why)
{
    return pang_fail(r->err, PANG_INVALID_ARGUMENT, NULL, "identity provider \"%s\": %s %s",
                     r->from->name, pang_provider_field_name(field), why);
}

static pang_str take(const reading *r, pang_provider_field field)
{
    pang_str copy = {0};
    if (r->from->fields[field].len > 0)
        (void)pang_arena_copy(r->oidc->arena, r->from->fields[field], &copy);
    return copy;
}

static bool is_set(const reading *r, pang_provider_field field)
{
    return r->from->fields[field].len > 0;
}

/* ---- what the well-known ones have in common ---- */

static pang_code default_issuer(reading *r)
{
    pang_arena *arena = r->oidc->arena;
    pang_str domain = r->from->fields[PANG_PROVIDER_DOMAIN];
    pang_str tenant = r->from->fields[PANG_PROVIDER_TENANT_ID];
    if (strcmp(r->from->name, "google") == 0)
        r->to->issuer = PANG_STR("https://accounts.google.com");
    else if (strcmp(r->from->name, "okta") == 0 && domain.len > 0)
        r->to->issuer = pang_arena_printf(arena, "https://%" PANG_STR_FMT, PANG_STR_ARG(domain));
    else if (strcmp(r->from->name, "microsoft") == 0 && tenant.len > 0)
        r->to->issuer = pang_arena_printf(
            arena, "https://login.microsoftonline.com/%" PANG_STR_FMT "/v2.0",
            PANG_STR_ARG(tenant));
    else
        return bad_option(r, PANG_PROVIDER_ISSUER, "is missing");
    return PANG_OK;
}

/* Microsoft's shared issuers sign for everybody's tenants. */
static pang_code check_tenant(const reading *r)
{
    static const char *const shared[] = {"common", "organizations", "consumers"};
    pang_str tenant = r->from->fields[PANG_PROVIDER_TENANT_ID];
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if (pang_str_equal_nocase(tenant, pang_str_from(shared[i])))
            return bad_option(r, PANG_PROVIDER_TENANT_ID,
                              "must be the id of one tenant: this one is everybody's");
    return PANG_OK;
}

static pang_code read_issuer(reading *r)
{
    pang_code code = check_tenant(r);
    if (code != PANG_OK)
        return code;
    r->to->issuer = take(r, PANG_PROVIDER_ISSUER);
    if (r->to->issuer.len == 0)
        code = default_issuer(r);
    return code == PANG_OK
               ? pang_http_check_url(r->to->issuer, "an identity provider's issuer", r->err)
               : code;
}

static pang_str take_or(const reading *r, pang_provider_field field, pang_str fallback)
{
    return is_set(r, field) ? take(r, field) : fallback;
}

static pang_code read_github(reading *r, bool require)
{
    pang_code code = PANG_OK;
    if (require)
        return pang_fail(r->err, PANG_INVALID_ARGUMENT, NULL,
                         "identity provider \"" GITHUB "\" does not speak OpenID Connect, which "
                         "PANGOLIN_OIDC_REQUIRE asks for");
    if (is_set(r, PANG_PROVIDER_AUDIENCE))
        return bad_option(r, PANG_PROVIDER_AUDIENCE, "cannot be: it makes no such tokens");
    r->to->auth_url = take_or(r, PANG_PROVIDER_AUTH_URL,
                              PANG_STR("https://github.com/login/oauth/authorize"));
    r->to->token_url = take_or(r, PANG_PROVIDER_TOKEN_URL,
                               PANG_STR("https://github.com/login/oauth/access_token"));
    r->to->userinfo_url = take_or(r, PANG_PROVIDER_USERINFO_URL,
                                  PANG_STR("https://api.github.com/user"));
    const pang_str urls[] = {r->to->auth_url, r->to->token_url, r->to->userinfo_url};
    for (size_t i = 0; code == PANG_OK && i < 3; i++)
        code = pang_http_check_url(urls[i], "an address of the identity provider \"" GITHUB "\"",
                                   r->err);
    return code;
}

/* ---- options of all ---- */

/* "group=role;group=role"; a group's name may hold an equals sign. */
static pang_code read_roles(reading *r)
{
    pang_str rest = take(r, PANG_PROVIDER_ROLES), row;
    pang_group_role *roles = pang_arena_alloc_n(r->oidc->arena, PANG_OIDC_ROLES_MAX, sizeof *roles);
    if (roles == NULL)
        return pang_fail_memory(r->err);
    while (rest.len > 0 && pang_str_next(&rest, ';', &row)) {
        row = pang_str_trim(row);
        size_t at = row.len;
        while (at > 0 && row.ptr[at - 1] != '=')
            at--;
        if (row.len == 0)
            continue;
        if (at <= 1 || at == row.len || r->to->n_roles == PANG_OIDC_ROLES_MAX)
            return bad_option(r, PANG_PROVIDER_ROLES, "is no list of group=role;group=role");
        roles[r->to->n_roles++] = (pang_group_role){pang_str_trim(pang_str_slice(row, 0, at - 1)),
                                                    pang_str_trim(pang_str_after(row, at))};
    }
    r->to->roles = roles;
    if (r->to->n_roles > 0 && !is_set(r, PANG_PROVIDER_GROUPS_CLAIM))
        return bad_option(r, PANG_PROVIDER_GROUPS_CLAIM, "is missing: roles go by it");
    return PANG_OK;
}

static pang_code read_flag(const reading *r, pang_provider_field field, bool *ret)
{
    pang_str text = r->from->fields[field];
    *ret = pang_str_equal_nocase(text, PANG_STR("true"));
    if (*ret || text.len == 0 || pang_str_equal_nocase(text, PANG_STR("false")))
        return PANG_OK;
    return bad_option(r, field, "must be true or false");
}

/* The path ends with the provider's name, so that two providers never share an address: an
 * answer of one cannot be mistaken for another's. */
static pang_code read_client(reading *r)
{
    pang_provider *to = r->to;
    to->client_id = take(r, PANG_PROVIDER_CLIENT_ID);
    to->client_secret = take(r, PANG_PROVIDER_CLIENT_SECRET);
    to->redirect_uri = take(r, PANG_PROVIDER_REDIRECT_URI);
    to->scopes = take_or(r, PANG_PROVIDER_SCOPES,
                         to->is_oidc ? PANG_STR("openid email profile")
                                     : PANG_STR("read:user user:email"));
    if (to->client_id.len == 0)
        return to->audience.len > 0 ? PANG_OK
                                    : bad_option(r, PANG_PROVIDER_CLIENT_ID, "is missing");
    if (to->redirect_uri.len == 0)
        return bad_option(r, PANG_PROVIDER_REDIRECT_URI, "is missing");
    pang_str end = pang_arena_printf(r->oidc->arena, CALLBACK "%s", to->name);
    if (!pang_str_ends(to->redirect_uri, end)) {
        pang_code code = bad_option(r, PANG_PROVIDER_REDIRECT_URI,
                                    "must end with " CALLBACK "<name>");
        return code;
    }
    return pang_http_check_url(to->redirect_uri, "an identity provider's redirect-uri", r->err);
}

static pang_code read_provider(reading *r, bool require)
{
    pang_provider *to = r->to;
    to->name = pang_arena_cstr(r->oidc->arena, pang_str_from(r->from->name));
    to->facts = pang_facts_new();
    if (to->name == NULL || to->facts == NULL)
        return pang_fail_memory(r->err);
    to->is_oidc = strcmp(to->name, GITHUB) != 0;
    to->audience = take(r, PANG_PROVIDER_AUDIENCE);
    to->users_tenant = take_or(r, PANG_PROVIDER_USERS_TENANT, PANG_STR("default"));
    to->groups_claim = take(r, PANG_PROVIDER_GROUPS_CLAIM);
    to->name_claim = take(r, PANG_PROVIDER_NAME_CLAIM);
    to->service_claim = take(r, PANG_PROVIDER_SERVICE_CLAIM);
    pang_code code = to->is_oidc ? read_issuer(r) : read_github(r, require);
    if (code == PANG_OK)
        code = read_client(r);
    if (code == PANG_OK)
        code = read_roles(r);
    if (code == PANG_OK)
        code = read_flag(r, PANG_PROVIDER_CREATE_USERS, &to->creates_users);
    return code == PANG_OK && pang_arena_failed(r->oidc->arena) ? pang_fail_memory(r->err) : code;
}

/* Bearer tokens are told apart by their issuer. */
static pang_code check_issuers(const pang_oidc *oidc, pang_err *err)
{
    for (size_t i = 0; i < oidc->n_providers; i++)
        for (size_t j = i + 1; j < oidc->n_providers; j++)
            if (oidc->providers[i].audience.len > 0 && oidc->providers[j].audience.len > 0 &&
                pang_str_equal(oidc->providers[i].issuer, oidc->providers[j].issuer))
                return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                                 "identity providers \"%s\" and \"%s\" take bearer tokens of one "
                                 "issuer",
                                 oidc->providers[i].name, oidc->providers[j].name);
    return PANG_OK;
}

static pang_code copy_list(pang_oidc *oidc, const pang_str *list, size_t n, pang_str **ret,
                           size_t *ret_n, pang_err *err)
{
    *ret = pang_arena_alloc_n(oidc->arena, n, sizeof **ret);
    for (size_t i = 0; *ret != NULL && i < n; i++)
        if (pang_arena_copy(oidc->arena, list[i], &(*ret)[i]))
            (*ret_n)++;
    return pang_arena_failed(oidc->arena) ? pang_fail_memory(err) : PANG_OK;
}

/* A code is added to the query, so there can be no fragment; native apps name schemes of theirs. */
static pang_code check_redirects(const pang_oidc *oidc, pang_err *err)
{
    for (size_t i = 0; i < oidc->n_redirects; i++) {
        pang_str url = oidc->redirects[i];
        bool good = pang_str_find(url, ':') > 0 && pang_str_find(url, ':') < url.len &&
                    pang_str_find(url, '#') == url.len;
        for (size_t j = 0; good && j < url.len; j++)
            good = url.ptr[j] > ' ' && url.ptr[j] < 0x7f;
        if (!good)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                             "FRONTEND_URL and PANGOLIN_OAUTH_REDIRECT_URIS must hold whole URLs "
                             "without a fragment: \"%" PANG_STR_FMT "\" is none",
                             PANG_STR_ARG(url));
    }
    return PANG_OK;
}

static pang_code fill(pang_oidc *oidc, const pang_oidc_config *config, pang_err *err)
{
    pang_code code = pang_http_open(config->env, config->ca_file, &oidc->http, err);
    if (code == PANG_OK)
        code = copy_list(oidc, config->redirects, config->n_redirects, &oidc->redirects,
                         &oidc->n_redirects, err);
    if (code == PANG_OK)
        code = copy_list(oidc, config->link_domains, config->n_link_domains, &oidc->link_domains,
                         &oidc->n_link_domains, err);
    if (code == PANG_OK)
        code = check_redirects(oidc, err);
    if (code != PANG_OK)
        return code;
    oidc->providers = pang_arena_alloc_n(oidc->arena, config->n_providers, sizeof *oidc->providers);
    if (oidc->providers == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < config->n_providers; i++) {
        reading r = {oidc, &config->providers[i], &oidc->providers[oidc->n_providers++], err};
        code = read_provider(&r, config->require);
    }
    return code == PANG_OK ? check_issuers(oidc, err) : code;
}

pang_code pang_oidc_open(const pang_oidc_config *config, pang_oidc **ret, pang_err *err)
{
    pang_oidc *oidc = calloc(1, sizeof *oidc);
    if (oidc == NULL)
        return pang_fail_memory(err);
    oidc->env = config->env;
    oidc->db = config->db;
    oidc->arena = pang_arena_new(MEMORY);
    pang_code code = oidc->arena == NULL ? pang_fail_memory(err) : PANG_OK;
    if (code == PANG_OK) {
        pang_arena_mark_secret(oidc->arena);
        code = fill(oidc, config, err);
    }
    if (code != PANG_OK) {
        pang_oidc_close(oidc);
        return code;
    }
    *ret = oidc;
    return PANG_OK;
}

void pang_oidc_close(pang_oidc *oidc)
{
    if (oidc == NULL)
        return;
    for (size_t i = 0; i < oidc->n_providers; i++)
        pang_facts_free(oidc->providers[i].facts);
    pang_http_close(oidc->http);
    pang_arena_free(oidc->arena);
    free(oidc);
}

/* ---- looking ---- */

size_t pang_oidc_size(const pang_oidc *oidc)
{
    return oidc == NULL ? 0 : oidc->n_providers;
}

const pang_provider *pang_oidc_at(const pang_oidc *oidc, size_t i)
{
    return &oidc->providers[i];
}

pang_code pang_oidc_find(const pang_oidc *oidc, const char *name, const pang_provider **ret,
                         pang_err *err)
{
    for (size_t i = 0; i < pang_oidc_size(oidc); i++) {
        const pang_provider *provider = &oidc->providers[i];
        if (strcmp(provider->name, name) != 0 || provider->client_id.len == 0)
            continue;
        *ret = provider;
        return PANG_OK;
    }
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "there is no identity provider \"%.64s\"", name);
}

bool pang_oidc_takes_bearer(const pang_oidc *oidc)
{
    for (size_t i = 0; i < pang_oidc_size(oidc); i++)
        if (oidc->providers[i].audience.len > 0)
            return true;
    return false;
}

pang_code pang_oidc_redirect(const pang_oidc *oidc, pang_str given, pang_str *ret, pang_err *err)
{
    for (size_t i = 0; i < oidc->n_redirects; i++) {
        if (given.len > 0 && !pang_str_equal(given, oidc->redirects[i]))
            continue;
        *ret = oidc->redirects[i];
        return PANG_OK;
    }
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "redirect_uri is none of the configured ones");
}

bool pang_oidc_may_link(const pang_oidc *oidc, pang_str email)
{
    size_t at = email.len;
    while (at > 0 && email.ptr[at - 1] != '@')
        at--;
    for (size_t i = 0; at > 1 && i < oidc->n_link_domains; i++)
        if (pang_str_equal_nocase(pang_str_after(email, at), oidc->link_domains[i]))
            return true;
    return false;
}
