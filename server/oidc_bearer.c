/*
 * Bearer tokens of other issuers. Who issued one is read from it before it is verified, but only to
 * find the provider among those that are configured: its keys come from the configured issuer. Then
 * it is one of our accounts: the user that signs in there, or the service user that a claim names.
 * What that account may do is asked anew at every call, as of our own tokens.
 */
#include <string.h>

#include "api/keys_identity.h"
#include "server/hash.h"
#include "server/oidc_internal.h"
#include "server/records.h"

#include "pangolin/store/v1/identity.pb-c.h"

#define RANK(name) PANGOLIN__STORE__V1__RANK__RANK_##name

typedef Pangolin__Store__V1__UserSubject rec_subject;
typedef Pangolin__Store__V1__UserName rec_name;
typedef Pangolin__Store__V1__User rec_user;
typedef Pangolin__Store__V1__ServiceUser rec_service_user;

/* One token on its way to an account. */
typedef struct {
    const pang_provider *provider;
    const pang_somebody *who;
    pang_arena *arena;
    pang_principal made;
} search;

static const pang_provider *find_provider(const pang_oidc *oidc, pang_str issuer)
{
    for (size_t i = 0; i < oidc->n_providers; i++)
        if (oidc->providers[i].audience.len > 0 &&
            pang_str_equal(oidc->providers[i].issuer, issuer))
            return &oidc->providers[i];
    return NULL;
}

static pang_code not_ours(pang_err *err)
{
    return pang_fail(err, PANG_NOT_FOUND, NULL, "the token is of no configured issuer");
}

static pang_code read_bearer(pang_oidc *oidc, pang_str text, int64_t deadline_ms, pang_arena *arena,
                             const pang_provider **ret_provider, pang_somebody *ret, pang_err *err)
{
    pang_foreign_token token;
    pang_str issuer;
    pang_code code = pang_foreign_split(text, arena, &token, err);
    if (code == PANG_UNAUTHENTICATED)
        return not_ours(err);
    if (code != PANG_OK)
        return code;
    if (!pang_id_token_issuer(token.payload, arena, &issuer))
        return not_ours(err);
    const pang_provider *provider = find_provider(oidc, issuer);
    if (provider == NULL)
        return not_ours(err);
    pang_id_token_rules rules = {
        .issuer = provider->issuer,
        .audience = provider->audience,
        .groups_claim = provider->groups_claim,
        .name_claim = provider->name_claim,
        .service_claim = provider->service_claim,
        .now_s = pang_env_wall_ms(oidc->env) / 1000,
    };
    code = pang_oidc_verify(oidc, provider, &token, deadline_ms, err);
    if (code == PANG_OK)
        code = pang_id_token_read(&rules, token.payload, arena, ret, err);
    *ret_provider = provider;
    return code;
}

/* ---- accounts ---- */

static pang_code refuse(pang_err *err, const char *why)
{
    pang_code code = pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                               "the token is not valid");
    pang_err_detail(err, "%s", why);
    return code;
}

/* *ret is NULL where there is no such record. */
static pang_code read(search *s, pang_txn *txn, pang_keys *keys, pang_str key,
                      const ProtobufCMessageDescriptor *type, void *ret, pang_err *err)
{
    pang_record record = {0};
    *(void **)ret = NULL;
    pang_code code = pang_keys_status(keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(type, &record, s->arena, ret, err);
}

static pang_keys keys_of(search *s, pang_id tenant)
{
    char *scope = pang_arena_alloc_text(s->arena, PANG_ID_HEX + 1);
    if (scope != NULL)
        pang_id_hex(tenant, scope);
    return (pang_keys){.arena = s->arena, .scope = {scope, scope != NULL ? PANG_ID_HEX : 0}};
}

static pang_code take_user(search *s, pang_txn *txn, const rec_subject *subject, pang_err *err)
{
    pang_id tenant = pang_id_of(subject->tenant), id = pang_id_of(subject->user);
    pang_keys keys = keys_of(s, tenant);
    rec_user *user;
    pang_code code = read(s, txn, &keys, pang_key_user(&keys, id),
                          &pangolin__store__v1__user__descriptor, &user, err);
    if (code != PANG_OK)
        return code;
    if (user == NULL || user->inactive || user->rank == RANK(ROOT))
        return refuse(err, "its user is gone or not active");
    bool is_admin = user->rank == RANK(TENANT_ADMIN);
    s->made = (pang_principal){
        .id = id,
        .tenant = tenant,
        .name = pang_str_from(user->username),
        .kind = is_admin ? PANG_PRINCIPAL_TENANT_ADMIN : PANG_PRINCIPAL_TENANT_USER,
        .is_admin = is_admin,
        .token_epoch = user->token_epoch,
    };
    return PANG_OK;
}

/* The provider's tenant, by UUID or name. */
static pang_code find_tenant(search *s, pang_txn *txn, pang_id *ret, pang_err *err)
{
    pang_keys keys = {.arena = s->arena, .scope = PANG_SYSTEM_SCOPE};
    rec_name *name;
    if (pang_id_parse(s->provider->users_tenant, ret))
        return PANG_OK;
    pang_code code = read(s, txn, &keys, pang_key_tenant_name(&keys, s->provider->users_tenant),
                          &pangolin__store__v1__user_name__descriptor, &name, err);
    if (code != PANG_OK)
        return code;
    if (name == NULL)
        return refuse(err, "the provider's tenant is not there");
    *ret = pang_id_of(name->user);
    return PANG_OK;
}

static pang_code take_service_user(search *s, pang_txn *txn, pang_err *err)
{
    rec_service_user *user = NULL;
    rec_name *name;
    pang_id tenant;
    pang_code code = find_tenant(s, txn, &tenant, err);
    if (code != PANG_OK)
        return code;
    pang_keys keys = keys_of(s, tenant);
    code = read(s, txn, &keys, pang_key_service_user_name(&keys, s->who->service),
                &pangolin__store__v1__user_name__descriptor, &name, err);
    if (code == PANG_OK && name != NULL)
        code = read(s, txn, &keys, pang_key_service_user(&keys, pang_id_of(name->user)),
                    &pangolin__store__v1__service_user__descriptor, &user, err);
    if (code != PANG_OK)
        return code;
    if (user == NULL || user->inactive)
        return refuse(err, "there is no such service user, or it is not active");
    s->made = (pang_principal){
        .id = pang_id_of(user->id),
        .tenant = tenant,
        .name = pang_str_from(user->name),
        .kind = PANG_PRINCIPAL_SERVICE_USER,
        .is_admin = user->rank == RANK(TENANT_ADMIN),
        .token_epoch = user->token_epoch,
    };
    return PANG_OK;
}

static pang_code find_account(search *s, pang_txn *txn, pang_err *err)
{
    pang_keys keys = {.arena = s->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str provider = pang_str_from(s->provider->name);
    rec_subject *subject;
    pang_code code = read(s, txn, &keys, pang_key_user_subject(&keys, provider, s->who->subject),
                          &pangolin__store__v1__user_subject__descriptor, &subject, err);
    if (code != PANG_OK)
        return code;
    if (subject != NULL)
        return take_user(s, txn, subject, err);
    return s->who->service.len > 0 ? take_service_user(s, txn, err)
                                   : refuse(err, "nobody here is its subject");
}

/* Whatever the answer, it holds only if what it was read from was not stale. */
static pang_code find_now(pang_oidc *oidc, search *s, pang_err *err)
{
    for (int i = 0; i < PANG_TXN_TRIES; i++) {
        pang_txn *txn = pang_txn_begin(oidc->db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, s->arena);
        pang_err stale;
        if (txn == NULL)
            return pang_fail_memory(err);
        pang_code code = find_account(s, txn, err);
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

/* Its id with us is of its bytes, so that it can be ended by a logout as ours can. */
static pang_code name_token(pang_str token, pang_id *ret, pang_err *err)
{
    const pang_str parts[] = {PANG_STR("foreign token"), token};
    uint8_t digest[PANG_HASH_BYTES];
    pang_code code = pang_hash(parts, 2, digest, err);
    memcpy(ret->bytes, digest, sizeof ret->bytes);
    return code;
}

pang_code pang_oidc_foreign(void *arg, pang_str token, pang_arena *arena, pang_principal *ret,
                            pang_err *err)
{
    pang_oidc *oidc = arg;
    pang_somebody who = {0};
    search s = {.who = &who, .arena = arena};
    int64_t deadline_ms = pang_env_mono_ms(oidc->env) + PANG_HTTP_TIMEOUT_MS;
    pang_code code = read_bearer(oidc, token, deadline_ms, arena, &s.provider, &who, err);
    if (code == PANG_OK)
        code = find_now(oidc, &s, err);
    if (code != PANG_OK)
        return code;
    code = name_token(token, &s.made.jti, err);
    if (code != PANG_OK)
        return code;
    s.made.is_known = true;
    s.made.credential = PANG_CREDENTIAL_TOKEN;
    s.made.expires_ms = (who.expires_s + PANG_ID_TOKEN_LEEWAY_S) * 1000;
    *ret = s.made;
    return PANG_OK;
}
