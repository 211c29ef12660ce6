/*
 * Credentials, in the order in which each needs the one before it.
 */
#include "server/credentials.h"

#include "server/standing.h"

#define KEY_FILE "encryption.key"

static pang_code open_sealer(const pang_config *config, pang_db *db, const pang_env *env,
                             pang_str data, pang_arena *arena, pang_sealer **ret, pang_err *err)
{
    pang_str keys = pang_config_text(config, PANG_OPT_ENCRYPTION_KEY);
    pang_str given = pang_config_text(config, PANG_OPT_ENCRYPTION_KEY_FILE);
    pang_str made = pang_arena_printf(arena, "%" PANG_STR_FMT "/" KEY_FILE, PANG_STR_ARG(data));
    if (made.ptr == NULL)
        return pang_fail_memory(err);
    /* A file that was named must be there: another one, made in its place, opens nothing. */
    bool is_named = given.len > 0;
    return pang_keyring_sealer(db, env, keys, is_named ? given.ptr : made.ptr, !is_named, ret, err);
}

static pang_code open_oidc(const pang_config *config, pang_db *db, const pang_env *env,
                           pang_oidc **ret, pang_err *err)
{
    const pang_str *more;
    pang_str redirects[PANG_CONFIG_LIST_MAX + 1];
    pang_oidc_config oidc = {
        .env = env,
        .db = db,
        .redirects = redirects,
        .n_redirects = 1 + pang_config_list(config, PANG_OPT_OAUTH_REDIRECTS, &more),
        .require = pang_config_bool(config, PANG_OPT_OIDC_REQUIRE),
        .ca_file = pang_config_text(config, PANG_OPT_OIDC_CA_FILE),
    };
    oidc.n_providers = pang_config_providers(config, &oidc.providers);
    oidc.n_link_domains = pang_config_list(config, PANG_OPT_OAUTH_LINK_DOMAINS, &oidc.link_domains);
    redirects[0] = pang_config_text(config, PANG_OPT_FRONTEND_URL);
    for (size_t i = 1; i < oidc.n_redirects; i++)
        redirects[i] = more[i - 1];
    return oidc.n_providers == 0 ? PANG_OK : pang_oidc_open(&oidc, ret, err);
}

static pang_code open_authn(const pang_config *config, pang_db *db, const pang_env *env,
                            pang_credentials *ret, pang_err *err)
{
    pang_authn_config authn = {
        .env = env,
        .db = db,
        .keyring = ret->keyring,
        .root_user = pang_config_text(config, PANG_OPT_ROOT_USER),
        .root_password = pang_config_text(config, PANG_OPT_ROOT_PASSWORD),
        .foreign = pang_oidc_takes_bearer(ret->oidc) ? pang_oidc_foreign : NULL,
        .foreign_arg = ret->oidc,
    };
    pang_code code = pang_authn_open(&authn, &ret->authn, err);
    if (code != PANG_OK)
        return code;
    ret->permits = pang_auth_cache_new(0, pang_standing_load, NULL);
    return ret->permits == NULL ? pang_fail_memory(err) : PANG_OK;
}

static pang_code open_limits(const pang_config *config, pang_db *db, const pang_env *env,
                             pang_credentials *ret, pang_err *err)
{
    pang_throttle_config throttle = {
        .env = env,
        .db = db,
        .limit = (unsigned)pang_config_int(config, PANG_OPT_AUTH_RATE_LIMIT),
        .window_ms = pang_config_int(config, PANG_OPT_AUTH_RATE_WINDOW),
    };
    pang_quota_config quota = {
        .env = env,
        .per_second = (unsigned)pang_config_int(config, PANG_OPT_TENANT_PER_SECOND),
        .at_once = (unsigned)pang_config_int(config, PANG_OPT_TENANT_AT_ONCE),
    };
    pang_code code = pang_throttle_open(&throttle, &ret->throttle, err);
    return code == PANG_OK ? pang_quota_open(&quota, &ret->quota, err) : code;
}

pang_code pang_credentials_open(const pang_config *config, pang_db *db, const pang_env *env,
                                pang_str data, pang_arena *arena, pang_credentials *ret,
                                pang_err *err)
{
    pang_code code = open_sealer(config, db, env, data, arena, &ret->sealer, err);
    if (code != PANG_OK)
        return code;
    pang_keyring_config keyring = {
        .env = env,
        .db = db,
        .sealer = ret->sealer,
        .shared_secret = pang_config_text(config, PANG_OPT_JWT_SECRET),
    };
    code = pang_keyring_open(&keyring, &ret->keyring, err);
    if (code == PANG_OK)
        code = pang_passwords_open(env, NULL, &ret->passwords, err);
    if (code == PANG_OK)
        code = open_oidc(config, db, env, &ret->oidc, err);
    if (code == PANG_OK && !pang_config_bool(config, PANG_OPT_NO_AUTH))
        code = open_authn(config, db, env, ret, err);
    return code == PANG_OK ? open_limits(config, db, env, ret, err) : code;
}

void pang_credentials_close(pang_credentials *credentials)
{
    pang_quota_close(credentials->quota);
    pang_throttle_close(credentials->throttle);
    pang_auth_cache_free(credentials->permits);
    pang_authn_close(credentials->authn);
    pang_oidc_close(credentials->oidc);
    pang_passwords_close(credentials->passwords);
    pang_keyring_close(credentials->keyring);
    pang_sealer_close(credentials->sealer);
    *credentials = (pang_credentials){0};
}
