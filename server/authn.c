/*
 * Authentication. What a credential says is verified once and remembered by its digest; what may
 * have changed since (accounts, ended tokens) is asked anew for every call, in the call's own
 * transaction, by the evaluator and by pang_authn_confirm.
 */
#include "server/authn.h"

#include <assert.h>
#include <stdlib.h>

#include "api/base64.h"
#include "api/keys_identity.h"
#include "api/keys_secrets.h"
#include "server/api_key.h"
#include "server/keyring.h"
#include "server/records.h"
#include "server/remember.h"
#include "server/secrets.h"

enum {
    BASIC_MAX = 4096,  /* bytes of a Basic credential */
    ROOT_REFS_MAX = 3, /* what is read to confirm root */
    ROOT_PASSWORD_MIN = 8,
};

typedef Pangolin__Store__V1__ApiKey rec_api_key;
typedef Pangolin__Store__V1__ServiceUser rec_service_user;
typedef Pangolin__Store__V1__User rec_user;
typedef Pangolin__Store__V1__Tenant rec_tenant;

struct pang_authn {
    pang_authn_config config; /* const */
    pang_remember *remember;  /* locks itself */
};

const pang_id pang_authn_root_id = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static const pang_principal anonymous = {.name = PANG_STR_INIT("anonymous"),
                                         .is_known = true,
                                         .kind = PANG_PRINCIPAL_TENANT_ADMIN,
                                         .is_admin = true,
                                         .is_everybody = true};
static const pang_principal nobody = {.name = PANG_STR_INIT("anonymous")};

/* ---- opening ---- */

static pang_code check_root(const pang_authn_config *config, pang_err *err)
{
    if (config->root_user.len == 0 && config->root_password.len == 0)
        return PANG_OK;
    if (config->root_user.len == 0 || config->root_password.len == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "PANGOLIN_ROOT_USER and PANGOLIN_ROOT_PASSWORD must be set together");
    if (pang_str_find(config->root_user, ':') < config->root_user.len)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "PANGOLIN_ROOT_USER must not hold a colon");
    if (config->root_password.len < ROOT_PASSWORD_MIN ||
        pang_secret_is_placeholder(config->root_password) ||
        pang_str_equal_nocase(config->root_password, config->root_user))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "PANGOLIN_ROOT_PASSWORD is no password: shorter than %d bytes, a "
                         "placeholder of examples, or the username",
                         ROOT_PASSWORD_MIN);
    return PANG_OK;
}

pang_code pang_authn_open(const pang_authn_config *config, pang_authn **ret, pang_err *err)
{
    pang_code code = check_root(config, err);
    if (code != PANG_OK)
        return code;
    pang_authn *authn = calloc(1, sizeof *authn);
    if (authn == NULL)
        return pang_fail_memory(err);
    authn->config = *config;
    authn->remember = pang_remember_new(config->remembered);
    if (authn->remember == NULL) {
        free(authn);
        return pang_fail_memory(err);
    }
    *ret = authn;
    return PANG_OK;
}

void pang_authn_close(pang_authn *authn)
{
    if (authn == NULL)
        return;
    pang_remember_free(authn->remember);
    free(authn);
}

bool pang_authn_waits(const pang_authn *authn)
{
    return authn != NULL && authn->config.foreign != NULL;
}

pang_code pang_authn_check_mode(bool evaluation, const pang_authn *authn, pang_err *err)
{
    if (evaluation || authn != NULL)
        return PANG_OK;
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                     "authentication is not available yet; to try Pangolin out on this machine "
                     "without it, set PANGOLIN_NO_AUTH=true or --no-auth");
}

static pang_code refuse(pang_err *err, const char *message, const char *why)
{
    pang_code code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException", "%s", message);
    pang_err_detail(err, "%s", why);
    return code;
}

/* ---- root's from the configuration ---- */

/* Takes the time of both comparisons in any case. */
static bool is_root(const pang_authn *authn, pang_str user, pang_str password)
{
    bool same_user = pang_str_equal_secret(user, authn->config.root_user);
    bool same_password = pang_str_equal_secret(password, authn->config.root_password);
    return same_user && same_password && authn->config.root_password.len > 0;
}

static pang_code by_basic(pang_authn *authn, pang_str text, pang_arena *arena, pang_principal *ret,
                          pang_err *err)
{
    pang_str pair = {0};
    if (text.len > BASIC_MAX || !pang_base64_decode(text, PANG_BASE64, arena, &pair))
        return pang_arena_failed(arena)
                   ? pang_fail_memory(err)
                   : refuse(err, "wrong username or password", "Basic: no base64, or too long");
    size_t colon = pang_str_find(pair, ':');
    pang_str user = pang_str_slice(pair, 0, colon), password = pang_str_after(pair, colon + 1);
    if (colon == pair.len || !is_root(authn, user, password))
        return refuse(err, "wrong username or password", "Basic: not the configuration's root");
    *ret = (pang_principal){.name = user,
                            .is_known = true,
                            .kind = PANG_PRINCIPAL_ROOT,
                            .credential = PANG_CREDENTIAL_BASIC};
    return PANG_OK;
}

/* ---- API keys ---- */

static pang_code read_service_user(pang_txn *txn, const rec_api_key *key, pang_arena *arena,
                                   rec_service_user **ret, pang_err *err)
{
    char scope[PANG_ID_HEX + 1];
    pang_id_hex(pang_id_of(key->tenant), scope);
    pang_keys keys = {.arena = arena, .scope = {scope, PANG_ID_HEX}};
    pang_record record;
    pang_str at = pang_key_service_user(&keys, pang_id_of(key->service_user));
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, at, &record, err);
    if (code == PANG_OK && record.version == 0)
        return refuse(err, "the API key is not valid", "its service user is gone");
    if (code == PANG_OK)
        code = pang_record_unpack(&pangolin__store__v1__service_user__descriptor, &record, arena,
                                  ret, err);
    return code;
}

static pang_code find_key(pang_authn *authn, pang_txn *txn, pang_str text, pang_arena *arena,
                          pang_principal *ret, pang_err *err)
{
    rec_service_user *user = NULL;
    rec_api_key *key = NULL;
    pang_str id = {0}, secret;
    pang_code code = pang_api_key_find(txn, authn->config.keyring, authn->config.env, text, arena,
                                       &key, err);
    if (code == PANG_OK)
        code = read_service_user(txn, key, arena, &user, err);
    if (code != PANG_OK)
        return code;
    assert(key != NULL && user != NULL);
    (void)pang_api_key_parse(text, &id, &secret);
    *ret = (pang_principal){
        .id = pang_id_of(key->service_user),
        .tenant = pang_id_of(key->tenant),
        .name = pang_str_from(user->name),
        .is_known = true,
        .kind = PANG_PRINCIPAL_SERVICE_USER,
        .is_admin = user->rank == PANGOLIN__STORE__V1__RANK__RANK_TENANT_ADMIN,
        .credential = PANG_CREDENTIAL_API_KEY,
        .key_id = id,
        .expires_ms = key->expires_ms,
    };
    return PANG_OK;
}

/* Whatever the answer, it holds only if what it was read from was not stale. */
static pang_code by_api_key(pang_authn *authn, pang_str text, int64_t deadline_ms,
                            pang_arena *arena, pang_principal *ret, pang_err *err)
{
    for (int i = 0; i < PANG_TXN_TRIES; i++) {
        pang_txn *txn = pang_txn_begin(authn->config.db, PANG_SYSTEM_SCOPE, deadline_ms, arena);
        pang_err stale;
        if (txn == NULL)
            return pang_fail_memory(err);
        pang_code code = find_key(authn, txn, text, arena, ret, err);
        if (code == PANG_ABORTED)
            continue;
        if (code != PANG_OK && code != PANG_UNAUTHENTICATED)
            return code;
        pang_code holds = pang_txn_finish(txn, &stale);
        if (holds == PANG_OK)
            return code;
        if (holds != PANG_ABORTED) {
            *err = stale;
            return holds;
        }
    }
    return pang_fail(err, PANG_UNAVAILABLE, NULL, "too many changes at once; try again");
}

/* ---- tokens ---- */

static pang_code by_token(pang_authn *authn, pang_str token, pang_arena *arena, pang_principal *ret,
                          pang_err *err)
{
    pang_claims claims;
    pang_err other;
    pang_code code = pang_keyring_read(authn->config.keyring, token, arena, &claims, err);
    if (code == PANG_UNAUTHENTICATED && authn->config.foreign != NULL) {
        pang_code foreign = authn->config.foreign(authn->config.foreign_arg, token, arena, ret,
                                                  &other);
        if (foreign != PANG_OK && foreign != PANG_NOT_FOUND)
            *err = other;
        return foreign == PANG_NOT_FOUND ? code : foreign;
    }
    if (code != PANG_OK)
        return code;
    *ret = (pang_principal){
        .id = claims.subject,
        .tenant = claims.tenant,
        .name = claims.username,
        .is_known = true,
        .kind = claims.kind,
        .is_admin = claims.is_admin,
        .credential = PANG_CREDENTIAL_TOKEN,
        .jti = claims.jti,
        .token_epoch = claims.epoch,
        .expires_ms = (claims.expires_s + PANG_TOKEN_LEEWAY_S) * 1000,
    };
    return PANG_OK;
}

/* ---- which credential ---- */

/* What stands behind the scheme's name; false for another scheme. */
static bool has_scheme(pang_str header, pang_str scheme, pang_str *ret)
{
    size_t blank = pang_str_find(header, ' ');
    if (!pang_str_equal_nocase(pang_str_slice(header, 0, blank), scheme))
        return false;
    *ret = pang_str_trim(pang_str_after(header, blank));
    return true;
}

static pang_credential credential_of(const pang_request *request, pang_str *ret)
{
    pang_str header = pang_str_trim(request->authorization);
    *ret = pang_str_trim(request->api_key);
    if (ret->len > 0)
        return PANG_CREDENTIAL_API_KEY;
    if (has_scheme(header, PANG_STR("Basic"), ret))
        return PANG_CREDENTIAL_BASIC;
    if (has_scheme(header, PANG_STR("Bearer"), ret))
        return PANG_CREDENTIAL_TOKEN;
    return PANG_CREDENTIAL_NONE;
}

static int64_t remember_until(const pang_principal *who, int64_t now_ms)
{
    int64_t until = who->expires_ms;
    if (who->credential == PANG_CREDENTIAL_API_KEY &&
        (until == 0 || until > now_ms + PANG_AUTHN_KEY_LIFE_MS))
        until = now_ms + PANG_AUTHN_KEY_LIFE_MS;
    return until;
}

/* By what is remembered, or anew. */
static pang_code verify(pang_authn *authn, pang_credential kind, pang_str text, int64_t deadline_ms,
                        pang_arena *arena, pang_principal *ret, pang_err *err)
{
    const pang_str parts[] = {kind == PANG_CREDENTIAL_TOKEN ? PANG_STR("token") : PANG_STR("key"),
                              text};
    uint8_t digest[PANG_HASH_BYTES];
    uint64_t generation = pang_keyring_generation(authn->config.keyring);
    int64_t now = pang_env_wall_ms(authn->config.env);
    if (text.len > PANG_TOKEN_MAX)
        return refuse(err, "the token is not valid", "it is too long");
    pang_code code = pang_hash(parts, 2, digest, err);
    if (code != PANG_OK || pang_remember_find(authn->remember, digest, generation, now, arena, ret))
        return code;
    code = kind == PANG_CREDENTIAL_TOKEN ? by_token(authn, text, arena, ret, err)
                                         : by_api_key(authn, text, deadline_ms, arena, ret, err);
    if (code == PANG_OK)
        pang_remember_keep(authn->remember, digest, generation, remember_until(ret, now), ret);
    return code;
}

/* ---- the tenant ---- */

static pang_code enter_tenant(pang_str header, pang_principal *who, pang_err *err)
{
    pang_id tenant;
    if (header.len == 0)
        return PANG_OK;
    if (!pang_id_parse(header, &tenant))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "X-Pangolin-Tenant is not a UUID");
    if (who->kind == PANG_PRINCIPAL_ROOT) {
        who->tenant = tenant;
        who->acts_for_root = true;
        return PANG_OK;
    }
    if (pang_id_equal(tenant, who->tenant))
        return PANG_OK;
    return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                     "X-Pangolin-Tenant names another tenant than the caller's");
}

pang_code pang_authn_identify(pang_authn *authn, bool is_public, const pang_request *request,
                              pang_arena *arena, const pang_principal **ret, pang_err *err)
{
    pang_str text;
    if (authn == NULL || is_public) {
        *ret = authn == NULL ? &anonymous : &nobody;
        return PANG_OK;
    }
    pang_credential kind = credential_of(request, &text);
    if (kind == PANG_CREDENTIAL_NONE)
        return refuse(err, "no credential of this server", "none came with the call");
    pang_principal *who = pang_arena_alloc(arena, sizeof *who);
    if (who == NULL)
        return pang_fail_memory(err);
    pang_code code = kind == PANG_CREDENTIAL_BASIC
                         ? by_basic(authn, text, arena, who, err)
                         : verify(authn, kind, text, request->deadline_ms, arena, who, err);
    if (code == PANG_OK)
        code = enter_tenant(request->tenant, who, err);
    if (code == PANG_OK)
        *ret = who;
    return code;
}

/* ---- root, confirmed ---- */

static pang_code confirm_account(const pang_authn *authn, const pang_principal *who,
                                 const pang_record *record, pang_arena *arena, pang_err *err)
{
    rec_user *user = NULL;
    bool is_configured = pang_id_equal(who->id, pang_authn_root_id) && authn != NULL &&
                         authn->config.root_password.len > 0;
    if (record->version == 0)
        return is_configured ? PANG_OK
                             : refuse(err, "the token has ended", "there is no such root");
    pang_code code = pang_record_unpack(&pangolin__store__v1__user__descriptor, record, arena,
                                        &user, err);
    if (code != PANG_OK)
        return code;
    if (user->inactive || user->rank != PANGOLIN__STORE__V1__RANK__RANK_ROOT ||
        who->token_epoch < user->token_epoch)
        return refuse(err, "the token has ended", "root is not active, or its tokens were ended");
    return PANG_OK;
}

static pang_code confirm_tenant(const pang_record *record, pang_arena *arena, pang_err *err)
{
    rec_tenant *tenant = NULL;
    pang_code code = PANG_OK;
    if (record->version != 0)
        code = pang_record_unpack(&pangolin__store__v1__tenant__descriptor, record, arena, &tenant,
                                  err);
    if (code == PANG_OK && (tenant == NULL || tenant->deleting))
        return pang_fail(err, PANG_NOT_FOUND, NULL, "no such tenant");
    return code;
}

pang_code pang_authn_confirm(const pang_authn *authn, pang_call *call, pang_err *err)
{
    const pang_principal *who = call->who;
    pang_keys keys = {.arena = call->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_ref refs[ROOT_REFS_MAX] = {0};
    pang_record records[ROOT_REFS_MAX];
    bool by_token = who->credential == PANG_CREDENTIAL_TOKEN;
    size_t n = 0;
    if (who->kind != PANG_PRINCIPAL_ROOT || call->txn == NULL)
        return PANG_OK;
    if (by_token) {
        refs[n++].key = pang_key_user(&keys, who->id);
        refs[n++].key = pang_key_revoked_token(&keys, who->jti);
    }
    if (who->acts_for_root)
        refs[n++].key = pang_key_tenant(&keys, who->tenant);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK && n > 0)
        code = pang_txn_get(call->txn, refs, n, PANG_READ_CHECKED, records, err);
    if (code == PANG_OK && by_token && records[1].version != 0)
        return refuse(err, "the token has ended", "it was revoked");
    if (code == PANG_OK && by_token)
        code = confirm_account(authn, who, &records[0], call->arena, err);
    if (code == PANG_OK && who->acts_for_root)
        code = confirm_tenant(&records[n - 1], call->arena, err);
    return code;
}
