/*
 * A refresh token is the family's id, its own number in the family and a keyed hash of both with
 * the family's nonce. So an old one is told from a forged one: only who was given it can end the
 * family with it. That end is a commit of its own, since the call that finds out fails.
 * A token's end outlasts its family, so that a family whose token was ended refreshes no more.
 */
#include "server/sessions.h"

#include <stdio.h>
#include <string.h>

#include "api/base64.h"
#include "api/keys_secrets.h"
#include "server/audit_log.h"
#include "server/keyring.h"

#include "pangolin/store/v1/secrets.pb-c.h"

#define PREFIX "pgr_"
#define BAD_TOKEN "the refresh token is not valid"

enum {
    NUMBER_BYTES = 8,
    NONCE_BYTES = 16,
    TOKEN_BYTES = (int)sizeof(pang_id) + NUMBER_BYTES + PANG_HASH_BYTES,
    ENDING_MEMORY = 1 << 20,
};

typedef Pangolin__Store__V1__RefreshFamily rec_family;
typedef Pangolin__Store__V1__RevokedToken rec_revoked;
typedef Pangolin__Store__V1__IssuedToken rec_issued;
typedef Pangolin__Store__V1__IssuedTokenPlace rec_place;

/* What a refresh token says. */
typedef struct {
    pang_id family;
    uint64_t number;
    pang_str mac;
} refresh_token;

int64_t pang_session_life(const pang_call *call)
{
    return call->server->session_ms > 0 ? call->server->session_ms : PANG_SESSION_MS;
}

static pang_keys keys_of(const pang_principal *who, pang_arena *arena)
{
    return (pang_keys){.arena = arena, .scope = pang_account_scope(who->kind, who->tenant, arena)};
}

/* ---- access tokens ---- */

static pang_code sign(pang_call *call, const pang_principal *who, const pang_session_wish *wish,
                      pang_session *ret, pang_err *err)
{
    int64_t now = pang_env_wall_ms(call->server->env);
    if (call->server->keyring == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "this server gives out no tokens");
    ret->jti = pang_id_is_nil(wish->jti) ? pang_id_v7(call->server->env) : wish->jti;
    ret->expires_ms = (now + wish->life_ms) / 1000 * 1000;
    pang_claims claims = {
        .subject = who->id,
        .jti = ret->jti,
        .tenant = who->tenant,
        .username = who->name,
        .kind = who->kind,
        .is_admin = who->is_admin,
        .epoch = who->token_epoch,
        .issued_s = now / 1000,
        .expires_s = ret->expires_ms / 1000,
    };
    return pang_keyring_sign(call->server->keyring, &claims, call->arena, &ret->access, err);
}

/* For lists, until it expires. */
static pang_code list_it(pang_call *call, const pang_principal *who, const pang_session *session,
                         pang_err *err)
{
    pang_keys keys = keys_of(who, call->arena);
    rec_issued body = PANGOLIN__STORE__V1__ISSUED_TOKEN__INIT;
    rec_place place = PANGOLIN__STORE__V1__ISSUED_TOKEN_PLACE__INIT;
    pang_id by = call->who->is_known ? call->who->id : who->id;
    body.username = pang_arena_cstr(call->arena, who->name);
    body.created_ms = pang_env_wall_ms(call->server->env);
    body.expires_ms = session->expires_ms;
    body.created_by = pang_bytes_of_id(&by);
    body.token_epoch = who->token_epoch;
    place.user = pang_bytes_of_id(&who->id);
    pang_put puts[] = {
        {.kind = PANG_KIND_ISSUED_TOKEN,
         .key = pang_key_issued_token(&keys, who->id, session->jti),
         .body = pang_record_pack(&body.base, call->arena)},
        {.kind = PANG_KIND_TOKEN_PLACE,
         .key = pang_key_token_place(&keys, session->jti),
         .body = pang_record_pack(&place.base, call->arena)},
    };
    for (size_t i = 0; i < 2; i++) {
        puts[i].slot = puts[i].key_slot = PANG_NO_SLOT;
        puts[i].expires_ms = session->expires_ms;
        pang_txn_put_full(call->txn, &puts[i]);
    }
    return pang_manage_built(call->arena, err);
}

static pang_code note_who(pang_call *call, const pang_principal *who, const pang_session *session,
                          pang_err *err)
{
    pang_principal *kept = pang_arena_alloc(call->arena, sizeof *kept);
    if (kept == NULL)
        return pang_fail_memory(err);
    *kept = *who;
    call->note.resource = session->jti;
    if (!call->who->is_known)
        call->note.who = kept;
    return PANG_OK;
}

static pang_code give_access(pang_call *call, const pang_principal *who,
                             const pang_session_wish *wish, pang_session *ret, pang_err *err)
{
    *ret = (pang_session){0};
    pang_code code = sign(call, who, wish, ret, err);
    if (code == PANG_OK && wish->is_listed)
        code = list_it(call, who, ret, err);
    return code == PANG_OK ? note_who(call, who, ret, err) : code;
}

/* ---- refresh tokens ---- */

static pang_code mac_of(pang_call *call, const rec_family *family, pang_id id, uint64_t number,
                        uint8_t ret[PANG_HASH_BYTES], pang_str *ret_pepper, pang_err *err)
{
    char text[NUMBER_BYTES * 3];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    const pang_str parts[] = {
        {(const char *)id.bytes, sizeof id.bytes}, pang_str_from(text), pang_str_of(family->nonce)};
    return pang_keyring_mac(call->server->keyring, pang_str_from(family->pepper_id),
                            PANG_STR("refresh-token"), parts, 3, call->arena, ret_pepper, ret, err);
}

static pang_code write_token(pang_call *call, const rec_family *family, pang_id id, pang_str *ret,
                             pang_err *err)
{
    char bytes[TOKEN_BYTES];
    uint8_t mac[PANG_HASH_BYTES];
    pang_code code = mac_of(call, family, id, family->generation, mac, NULL, err);
    if (code != PANG_OK)
        return code;
    memcpy(bytes, id.bytes, sizeof id.bytes);
    for (size_t i = 0; i < NUMBER_BYTES; i++)
        bytes[sizeof id.bytes + i] = (char)(family->generation >> (8 * (NUMBER_BYTES - 1 - i)));
    memcpy(bytes + sizeof id.bytes + NUMBER_BYTES, mac, sizeof mac);
    pang_str text = pang_base64_encode((pang_str){bytes, sizeof bytes}, PANG_BASE64_URL,
                                       call->arena);
    *ret = pang_arena_printf(call->arena, PREFIX "%" PANG_STR_FMT, PANG_STR_ARG(text));
    return pang_manage_built(call->arena, err);
}

static bool read_token(pang_str text, pang_arena *arena, refresh_token *ret)
{
    pang_str bytes;
    if (!pang_str_starts(text, PANG_STR(PREFIX)) || text.len > 2 * TOKEN_BYTES ||
        !pang_base64_decode(pang_str_after(text, sizeof PREFIX - 1), PANG_BASE64_URL, arena,
                            &bytes) ||
        bytes.len != TOKEN_BYTES)
        return false;
    memcpy(ret->family.bytes, bytes.ptr, sizeof ret->family.bytes);
    ret->number = 0;
    for (size_t i = 0; i < NUMBER_BYTES; i++)
        ret->number = ret->number << 8 | (uint8_t)bytes.ptr[sizeof ret->family.bytes + i];
    ret->mac = pang_str_after(bytes, sizeof ret->family.bytes + NUMBER_BYTES);
    return true;
}

static void put_family(pang_call *call, const rec_family *family, pang_id id, int64_t expires_ms)
{
    pang_keys keys = pang_identity_system(call);
    pang_put put = {.kind = PANG_KIND_REFRESH_FAMILY,
                    .key = pang_key_refresh_family(&keys, id),
                    .body = pang_record_pack(&family->base, call->arena),
                    .expires_ms = expires_ms,
                    .slot = PANG_NO_SLOT,
                    .key_slot = PANG_NO_SLOT};
    pang_txn_put_full(call->txn, &put);
}

static pang_code begin_family(pang_call *call, const pang_principal *who, pang_session *session,
                              pang_err *err)
{
    rec_family family = PANGOLIN__STORE__V1__REFRESH_FAMILY__INIT;
    const pang_env *env = call->server->env;
    pang_id id = pang_id_v4(env);
    uint8_t nonce[NONCE_BYTES], mac[PANG_HASH_BYTES];
    pang_str pepper;
    pang_env_random(env, nonce, sizeof nonce);
    family.tenant = pang_bytes_of_id(&who->tenant);
    family.user = pang_bytes_of_id(&who->id);
    family.nonce = pang_bytes_of((pang_str){(const char *)nonce, sizeof nonce});
    family.token_epoch = who->token_epoch;
    family.created_ms = pang_env_wall_ms(env);
    family.jti = pang_bytes_of_id(&session->jti);
    family.is_service = who->kind == PANG_PRINCIPAL_SERVICE_USER;
    pang_code code = mac_of(call, &family, id, 0, mac, &pepper, err); /* says the newest pepper */
    if (code != PANG_OK)
        return code;
    family.pepper_id = pang_arena_cstr(call->arena, pepper);
    if (family.pepper_id == NULL)
        return pang_fail_memory(err);
    put_family(call, &family, id, family.created_ms + PANG_REFRESH_MS);
    return write_token(call, &family, id, &session->refresh, err);
}

pang_code pang_session_open(pang_call *call, const pang_principal *who,
                            const pang_session_wish *wish, pang_session *ret, pang_err *err)
{
    pang_code code = give_access(call, who, wish, ret, err);
    return code == PANG_OK && wish->refreshes ? begin_family(call, who, ret, err) : code;
}

/* ---- ending ---- */

static void put_revoked(pang_txn *txn, pang_keys *keys, const pang_env *env, pang_id by,
                        const char *reason, pang_id jti, int64_t expires_ms)
{
    rec_revoked body = PANGOLIN__STORE__V1__REVOKED_TOKEN__INIT;
    int64_t least = pang_env_wall_ms(env) + PANG_REFRESH_MS;
    body.revoked_by = pang_bytes_of_id(&by);
    body.reason = (char *)(uintptr_t)reason;
    pang_put put = {.kind = PANG_KIND_REVOKED_TOKEN,
                    .key = pang_key_revoked_token(keys, jti),
                    .body = pang_record_pack(&body.base, keys->arena),
                    .expires_ms = expires_ms > least ? expires_ms : least,
                    .slot = PANG_NO_SLOT,
                    .key_slot = PANG_NO_SLOT};
    pang_txn_put_full(txn, &put);
}

/* The longest that a token of ours may live, and what clocks may differ by. */
static int64_t longest(const pang_call *call)
{
    return pang_env_wall_ms(call->server->env) + PANG_TOKEN_LIFE_MAX_MS +
           (int64_t)PANG_TOKEN_LEEWAY_S * 1000;
}

pang_code pang_session_end(pang_call *call, const pang_principal *whose, pang_id jti,
                           int64_t expires_ms, const char *reason, pang_err *err)
{
    pang_keys keys = keys_of(whose, call->arena);
    pang_str place = pang_key_token_place(&keys, jti);
    pang_record listed = {0};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, place, &listed, err);
    if (code != PANG_OK)
        return code;
    if (expires_ms == 0)
        expires_ms = longest(call);
    /* It may be ended by a copy that lives shorter. */
    if (listed.version != 0 && listed.expires_ms > expires_ms)
        expires_ms = listed.expires_ms + (int64_t)PANG_TOKEN_LEEWAY_S * 1000;
    put_revoked(call->txn, &keys, call->server->env, call->who->id, reason, jti, expires_ms);
    pang_txn_delete(call->txn, pang_key_issued_token(&keys, whose->id, jti));
    pang_txn_delete(call->txn, place);
    pang_txn_add(call->txn, pang_key_count(&keys, PANG_COUNT_AUTH), 1);
    call->note.resource = jti;
    return pang_keys_status(&keys, err);
}

pang_code pang_session_end_listed(pang_call *call, pang_str scope, const char *id,
                                  const char *reason, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = scope};
    pang_record record;
    rec_place *place;
    pang_id jti;
    if (!pang_id_parse(pang_str_from(id), &jti))
        return pang_manage_absent("token", id, err);
    pang_code code = pang_txn_get_one(call->txn, pang_key_token_place(&keys, jti), &record, err);
    if (code == PANG_OK && record.version == 0)
        return pang_manage_absent("token", id, err);
    if (code == PANG_OK)
        code = pang_record_unpack(&pangolin__store__v1__issued_token_place__descriptor, &record,
                                  call->arena, &place, err);
    if (code != PANG_OK)
        return code;
    pang_principal whose = {.id = pang_id_of(place->user), .kind = PANG_PRINCIPAL_ROOT};
    if (pang_id_parse(scope, &whose.tenant))
        whose.kind = PANG_PRINCIPAL_TENANT_USER;
    return pang_session_end(call, &whose, jti, record.expires_ms, reason, err);
}

pang_code pang_session_is_ended(pang_call *call, const pang_principal *whose, pang_id jti,
                                bool *ret, pang_err *err)
{
    pang_keys keys = keys_of(whose, call->arena);
    pang_record record = {0};
    pang_str key = pang_key_revoked_token(&keys, jti);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    *ret = code != PANG_OK || record.version != 0;
    return code;
}

/* ---- a family that was copied ---- */

typedef struct {
    pang_call *call;
    pang_id id;
    pang_principal whose;
    pang_arena *arena;
} ending;

static pang_principal owner_of(const rec_family *family)
{
    pang_id tenant = pang_id_of(family->tenant), user = pang_id_of(family->user);
    bool is_root = pang_id_equal(user, pang_root_id);
    return (pang_principal){
        .id = user,
        .tenant = tenant,
        .is_known = true,
        .kind = family->is_service ? PANG_PRINCIPAL_SERVICE_USER
                : is_root          ? PANG_PRINCIPAL_ROOT
                                   : PANG_PRINCIPAL_TENANT_USER,
    };
}

static pang_code end_family_in(pang_txn *txn, void *arg, pang_err *err)
{
    ending *e = arg;
    const pang_env *env = e->call->server->env;
    pang_keys shared = {.arena = e->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str key = pang_key_refresh_family(&shared, e->id);
    const char *reason = "a refresh token was used twice";
    rec_family *family;
    pang_record record;
    pang_code code = pang_txn_get_one(txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__refresh_family__descriptor, &record, e->arena,
                              &family, err);
    if (code != PANG_OK)
        return code;
    e->whose = owner_of(family);
    pang_keys keys = keys_of(&e->whose, e->arena);
    int64_t until = longest(e->call);
    put_revoked(txn, &keys, env, e->whose.id, reason, pang_id_of(family->jti), until);
    for (size_t i = 0; i < family->n_earlier; i++)
        put_revoked(txn, &keys, env, e->whose.id, reason, pang_id_of(family->earlier[i]), until);
    pang_txn_delete(txn, key);
    pang_txn_add(txn, pang_key_count(&keys, PANG_COUNT_AUTH), 1);
    return pang_keys_status(&keys, err);
}

/* In the log of its tenant: somebody has a token that is not theirs. */
static pang_code tell(ending *e, pang_err *err)
{
    pang_call *call = e->call;
    if (call->server->audit == NULL || !e->whose.is_known)
        return PANG_OK;
    const pang_audit_event event = {
        .scope = pang_account_scope(e->whose.kind, e->whose.tenant, e->arena),
        .action = PANG_STR("revoke_token"),
        .method = call->method->path,
        .principal = e->whose.id,
        .principal_kind = e->whose.kind,
        .request_id = call->request_id,
        .client_address = call->client_address,
        .code = PANG_UNAUTHENTICATED,
        .message = PANG_STR("a refresh token was used twice: its family has ended"),
    };
    return pang_audit_write(call->server->audit, &event, e->arena, err);
}

static pang_code end_family(pang_call *call, pang_id id, pang_err *err)
{
    ending e = {.call = call, .id = id, .arena = pang_arena_new(ENDING_MEMORY)};
    if (e.arena == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_run(call->server->db, PANG_SYSTEM_SCOPE, call->deadline_ms, e.arena,
                                  end_family_in, &e, err);
    if (code == PANG_OK)
        code = tell(&e, err);
    pang_arena_free(e.arena);
    return code == PANG_OK ? pang_signin_bad_token(call, BAD_TOKEN, err) : code;
}

/* ---- refreshing ---- */

/* None of the family's access tokens may have been ended. */
static pang_code check_ended(pang_call *call, const rec_family *family, pang_err *err)
{
    pang_ref refs[1 + PANG_FAMILY_TOKENS_MAX] = {0};
    pang_record records[1 + PANG_FAMILY_TOKENS_MAX];
    pang_principal whose = owner_of(family);
    pang_keys keys = keys_of(&whose, call->arena);
    size_t n = 0;
    refs[n++].key = pang_key_revoked_token(&keys, pang_id_of(family->jti));
    for (size_t i = 0; i < family->n_earlier && n <= PANG_FAMILY_TOKENS_MAX; i++)
        refs[n++].key = pang_key_revoked_token(&keys, pang_id_of(family->earlier[i]));
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(call->txn, refs, n, PANG_READ_CHECKED, records, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (records[i].version != 0)
            return pang_signin_bad_token(call, BAD_TOKEN, err);
    return code;
}

/* The family moves on; the oldest of too many access tokens ends. */
static pang_code next_generation(pang_call *call, rec_family *family, const pang_signin *who,
                                 const pang_session *session, pang_err *err)
{
    ProtobufCBinaryData *earlier = pang_arena_alloc_n(call->arena, family->n_earlier + 1,
                                                      sizeof *earlier);
    pang_id *jti = pang_arena_alloc(call->arena, sizeof *jti);
    if (earlier == NULL || jti == NULL)
        return pang_fail_memory(err);
    earlier[0] = family->jti;
    for (size_t i = 0; i < family->n_earlier; i++)
        earlier[i + 1] = family->earlier[i];
    *jti = session->jti;
    family->jti = pang_bytes_of_id(jti);
    family->earlier = earlier;
    family->n_earlier++;
    family->generation++;
    if (family->n_earlier < PANG_FAMILY_TOKENS_MAX)
        return PANG_OK;
    family->n_earlier--;
    pang_code code = pang_session_end(call, &who->who, pang_id_of(earlier[family->n_earlier]), 0,
                                      "", err);
    call->note.resource = session->jti;
    return code;
}

static pang_code find_family(pang_call *call, pang_str text, refresh_token *token, rec_family **ret,
                             int64_t *ret_expires_ms, pang_err *err)
{
    pang_keys keys = pang_identity_system(call);
    uint8_t mac[PANG_HASH_BYTES];
    pang_record record;
    if (!read_token(text, call->arena, token))
        return pang_signin_bad_token(call, BAD_TOKEN, err);
    pang_code code = pang_txn_get_one(call->txn, pang_key_refresh_family(&keys, token->family),
                                      &record, err);
    if (code == PANG_OK && record.version == 0)
        return pang_signin_bad_token(call, BAD_TOKEN, err);
    if (code == PANG_OK)
        code = pang_record_unpack(&pangolin__store__v1__refresh_family__descriptor, &record,
                                  call->arena, ret, err);
    if (code == PANG_OK)
        code = mac_of(call, *ret, token->family, token->number, mac, NULL, err);
    if (code == PANG_OK &&
        !pang_str_equal_secret(token->mac, (pang_str){(const char *)mac, sizeof mac}))
        return pang_signin_bad_token(call, BAD_TOKEN, err);
    *ret_expires_ms = record.expires_ms;
    return code;
}

pang_code pang_session_refresh(pang_call *call, pang_str text, const pang_session_wish *wish,
                               pang_signin *ret_who, pang_session *ret, pang_err *err)
{
    refresh_token token = {.number = 0};
    rec_family *family = NULL;
    int64_t expires_ms = 0;
    if (call->server->keyring == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "this server gives out no tokens");
    pang_code code = pang_signin_may_try(call, err);
    if (code == PANG_OK)
        code = find_family(call, text, &token, &family, &expires_ms, err);
    if (code == PANG_OK && token.number < family->generation)
        return end_family(call, token.family, err);
    if (code == PANG_OK && token.number > family->generation)
        return pang_signin_bad_token(call, BAD_TOKEN, err);
    if (code == PANG_OK)
        code = check_ended(call, family, err);
    if (code != PANG_OK)
        return code;
    pang_principal as = owner_of(family);
    code = pang_signin_again(call, &as, family->token_epoch, ret_who, err);
    if (code == PANG_OK)
        code = give_access(call, &ret_who->who, wish, ret, err);
    if (code == PANG_OK)
        code = next_generation(call, family, ret_who, ret, err);
    if (code != PANG_OK)
        return code;
    put_family(call, family, token.family, expires_ms);
    return write_token(call, family, token.family, &ret->refresh, err);
}
