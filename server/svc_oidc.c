/*
 * Signing in at an identity provider, in three calls that any server of the catalog can answer:
 * Authorize stores a sign-in and sends the browser off, OauthCallback takes what it brings back,
 * once, and Exchange gives the token for the code that the browser then has.
 *
 * The state is random, and only its hash is stored; nonce and verifier are made of it with the
 * pepper that all servers share, so the store holds nothing with which a code could be redeemed.
 * A cookie binds the sign-in to its browser: an answer that somebody else obtained does not sign a
 * victim in. What the provider names is kept with the sign-in, since the handler may run again and
 * a code is redeemed once.
 */
#include "server/svc_oidc.h"

#include <string.h>

#include "api/base64.h"
#include "api/keys_secrets.h"
#include "server/keyring.h"
#include "server/oidc_users.h"
#include "server/sessions.h"

#include "pangolin/store/v1/secrets.pb-c.h"
#include "pangolin/v1/oauth.pb-c.h"

#define NO_STORE ((char *)(uintptr_t) "no-store")
#define COOKIE "pangolin-sign-in-"

enum {
    SECRET_BYTES = 32,
    SIGN_IN_MS = 10 * 60 * 1000,
    CODE_MS = 120 * 1000,
    STATE_MAX = 64, /* bytes of text: of states, codes and cookies of ours */
    ERROR_MAX = 64,
    COOKIE_BYTES = 8, /* of the hash, in a cookie's name: sign-ins at once do not meet */
};

typedef Pangolin__Store__V1__OidcSignIn rec_sign_in;
typedef Pangolin__Store__V1__SignInCode rec_code;

/* A secret of ours and where it leads. */
typedef struct {
    pang_str text;
    uint8_t hash[PANG_HASH_BYTES];
    pang_id place; /* half of the hash */
} secret;

static pang_code hash_secret(const char *purpose, pang_str text, secret *ret, pang_err *err)
{
    const pang_str parts[] = {pang_str_from(purpose), text};
    ret->text = text;
    pang_code code = pang_hash(parts, 2, ret->hash, err);
    memcpy(ret->place.bytes, ret->hash, sizeof ret->place.bytes);
    return code;
}

static pang_code new_secret(pang_call *call, const char *purpose, secret *ret, pang_err *err)
{
    char bytes[SECRET_BYTES];
    pang_env_random(call->server->env, bytes, sizeof bytes);
    pang_str text = pang_base64_encode((pang_str){bytes, sizeof bytes}, PANG_BASE64_URL,
                                       call->arena);
    pang_wipe(bytes, sizeof bytes);
    return text.ptr == NULL ? pang_fail_memory(err) : hash_secret(purpose, text, ret, err);
}

static pang_code find_provider(pang_call *call, const char *name, const pang_provider **ret,
                               pang_err *err)
{
    if (call->server->keyring == NULL && call->server->oidc != NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "this server gives out no tokens");
    return pang_oidc_find(call->server->oidc, name, ret, err);
}

static pang_put lasting(uint32_t kind, pang_str key, pang_str body, int64_t expires_ms)
{
    return (pang_put){.kind = kind,
                      .key = key,
                      .body = body,
                      .expires_ms = expires_ms,
                      .slot = PANG_NO_SLOT,
                      .key_slot = PANG_NO_SLOT};
}

/* ---- nonce and verifier ---- */

static pang_code derive(pang_call *call, const char *purpose, pang_str state, pang_str pepper_id,
                        pang_str *ret_pepper_id, pang_str *ret, pang_err *err)
{
    uint8_t mac[PANG_HASH_BYTES];
    pang_code code = pang_keyring_mac(call->server->keyring, pepper_id, pang_str_from(purpose),
                                      &state, 1, call->arena, ret_pepper_id, mac, err);
    if (code != PANG_OK)
        return code;
    *ret = pang_base64_encode((pang_str){(const char *)mac, sizeof mac}, PANG_BASE64_URL,
                              call->arena);
    return ret->ptr == NULL ? pang_fail_memory(err) : PANG_OK;
}

/* `pepper_id` empty: the newest, whose id is then *ret_pepper_id. */
static pang_code make_sign_in(pang_call *call, pang_str state, pang_str pepper_id,
                              pang_str *ret_pepper_id, pang_oidc_sign_in *ret, pang_err *err)
{
    ret->state = state;
    ret->deadline_ms = call->deadline_ms;
    pang_code code = derive(call, "oidc-nonce", state, pepper_id, ret_pepper_id, &ret->nonce, err);
    if (code == PANG_OK && pepper_id.len == 0)
        pepper_id = *ret_pepper_id;
    return code == PANG_OK
               ? derive(call, "oidc-verifier", state, pepper_id, NULL, &ret->verifier, err)
               : code;
}

/* ---- the cookie ---- */

static pang_str cookie_name(const pang_provider *provider, const secret *state, pang_arena *arena)
{
    char hex[PANG_ID_HEX + 1];
    bool is_secure = pang_str_starts(provider->redirect_uri, PANG_STR("https:"));
    pang_id_hex(state->place, hex);
    hex[2 * COOKIE_BYTES] = '\0';
    return pang_arena_printf(arena, "%s" COOKIE "%s", is_secure ? "__Host-" : "", hex);
}

/* An empty value takes it back. */
static char *write_cookie(pang_call *call, const pang_provider *provider, const secret *state,
                          pang_str value)
{
    pang_str name = cookie_name(provider, state, call->arena);
    bool is_secure = pang_str_starts(provider->redirect_uri, PANG_STR("https:"));
    pang_str text = pang_arena_printf(
        call->arena,
        "%" PANG_STR_FMT "=%" PANG_STR_FMT "; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d%s",
        PANG_STR_ARG(name), PANG_STR_ARG(value), value.len > 0 ? SIGN_IN_MS / 1000 : 0,
        is_secure ? "; Secure" : "");
    return (char *)(uintptr_t)text.ptr;
}

static pang_str read_cookie(const char *header, pang_str name)
{
    pang_str rest = pang_str_from(header), pair, key;
    while (pang_str_next(&rest, ';', &pair)) {
        pair = pang_str_trim(pair);
        if (pang_str_next(&pair, '=', &key) && pang_str_equal(key, name) && pair.ptr != NULL)
            return pair;
    }
    return (pang_str){0};
}

/* ---- ListOauthProviders, Authorize ---- */

pang_code pang_oidc_list_providers(pang_call *call, const void *request, void *reply, pang_err *err)
{
    Pangolin__V1__ListOauthProvidersResponse *out = reply;
    const pang_oidc *oidc = call->server->oidc;
    size_t n = pang_oidc_size(oidc);
    (void)request;
    out->providers = pang_arena_alloc_n(call->arena, n, sizeof *out->providers);
    if (out->providers == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        if (pang_oidc_at(oidc, i)->client_id.len > 0)
            out->providers[out->n_providers++] = (char *)(uintptr_t)pang_oidc_at(oidc, i)->name;
    return PANG_OK;
}

static pang_code put_sign_in(pang_call *call, const secret *state, const secret *browser,
                             const pang_provider *provider, pang_str redirect, pang_str pepper_id,
                             pang_err *err)
{
    rec_sign_in body = PANGOLIN__STORE__V1__OIDC_SIGN_IN__INIT;
    pang_keys keys = pang_identity_system(call);
    body.provider = (char *)(uintptr_t)provider->name;
    body.redirect = pang_arena_cstr(call->arena, redirect);
    body.browser = (ProtobufCBinaryData){PANG_HASH_BYTES, (uint8_t *)(uintptr_t)browser->hash};
    body.pepper_id = pang_arena_cstr(call->arena, pepper_id);
    if (pang_arena_failed(call->arena))
        return pang_fail_memory(err);
    pang_put put = lasting(PANG_KIND_OIDC_SIGN_IN, pang_key_oidc_sign_in(&keys, state->place),
                           pang_record_pack(&body.base, call->arena),
                           pang_env_wall_ms(call->server->env) + SIGN_IN_MS);
    pang_txn_put_full(call->txn, &put);
    return pang_manage_built(call->arena, err);
}

pang_code pang_oidc_authorize(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__AuthorizeRequest *in = request;
    Pangolin__V1__AuthorizeResponse *out = reply;
    const pang_provider *provider;
    secret state, browser;
    pang_oidc_sign_in sign_in;
    pang_str redirect, pepper_id, url;
    pang_code code = find_provider(call, in->provider, &provider, err);
    if (code == PANG_OK)
        code = pang_oidc_redirect(call->server->oidc, pang_str_from(in->redirect_uri), &redirect,
                                  err);
    if (code == PANG_OK)
        code = pang_signin_may_begin(call, err);
    if (code == PANG_OK)
        code = new_secret(call, "oidc state", &state, err);
    if (code == PANG_OK)
        code = new_secret(call, "oidc browser", &browser, err);
    if (code == PANG_OK)
        code = make_sign_in(call, state.text, (pang_str){0}, &pepper_id, &sign_in, err);
    if (code == PANG_OK)
        code = pang_oidc_begin(call->server->oidc, provider, &sign_in, call->arena, &url, err);
    if (code == PANG_OK)
        code = put_sign_in(call, &state, &browser, provider, redirect, pepper_id, err);
    if (code != PANG_OK)
        return code;
    out->location = pang_arena_cstr(call->arena, url);
    out->set_cookie = write_cookie(call, provider, &state, browser.text);
    out->cache_control = NO_STORE;
    return pang_manage_built(call->arena, err);
}

/* ---- OauthCallback: the sign-in is taken ---- */

/* One answer of a provider. */
typedef struct {
    pang_call *call;
    const Pangolin__V1__OauthCallbackRequest *in;
    const pang_provider *provider;
    secret state;
    rec_sign_in *record;
    bool is_known; /* an earlier run of the call has asked the provider already */
} answer;

static pang_code no_sign_in(const char *why, pang_err *err)
{
    pang_code code = pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                               "there is no such sign-in in this browser, or it has ended: begin "
                               "again");
    pang_err_detail(err, "%s", why);
    return code;
}

static pang_code check_browser(const answer *a, pang_err *err)
{
    secret browser;
    pang_str name = cookie_name(a->provider, &a->state, a->call->arena);
    if (name.ptr == NULL)
        return pang_fail_memory(err);
    pang_code code = hash_secret("oidc browser", read_cookie(a->in->cookie, name), &browser, err);
    if (code != PANG_OK)
        return code;
    pang_str given = {(const char *)browser.hash, sizeof browser.hash};
    return pang_str_equal_secret(given, pang_str_of(a->record->browser))
               ? PANG_OK
               : no_sign_in("its cookie is missing or another's", err);
}

static void put_record(const answer *a, pang_txn *txn, pang_str key, int64_t expires_ms)
{
    pang_put put = lasting(PANG_KIND_OIDC_SIGN_IN, key,
                           pang_record_pack(&a->record->base, a->call->arena), expires_ms);
    pang_txn_put_full(txn, &put);
}

/* In a transaction of its own, so that whoever comes later with the same state comes too late,
 * whatever becomes of this call. */
static pang_code take_in(pang_txn *txn, void *arg, pang_err *err)
{
    answer *a = arg;
    pang_keys keys = {.arena = a->call->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str key = pang_key_oidc_sign_in(&keys, a->state.place);
    pang_record record = {0};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, key, &record, err);
    if (code == PANG_OK && record.version == 0)
        return no_sign_in("its state is unknown or over", err);
    if (code == PANG_OK)
        code = pang_record_unpack(&pangolin__store__v1__oidc_sign_in__descriptor, &record,
                                  a->call->arena, &a->record, err);
    if (code != PANG_OK)
        return code;
    if (strcmp(a->record->provider, a->provider->name) != 0)
        return no_sign_in("it is of another provider", err);
    code = check_browser(a, err);
    if (code != PANG_OK)
        return code;
    if (a->record->taken_by[0] != '\0') {
        a->is_known = a->call->attempt > 0 && a->record->subject[0] != '\0' &&
                      pang_str_equal(a->call->request_id, pang_str_from(a->record->taken_by));
        return a->is_known ? PANG_OK : no_sign_in("its state was used before", err);
    }
    a->record->taken_by = pang_arena_cstr(a->call->arena, a->call->request_id);
    if (a->record->taken_by == NULL)
        return pang_fail_memory(err);
    put_record(a, txn, key, record.expires_ms);
    return PANG_OK;
}

static pang_code take(answer *a, pang_err *err)
{
    pang_call *call = a->call;
    pang_str state = pang_str_from(a->in->state);
    if (state.len == 0 || state.len > STATE_MAX)
        return no_sign_in("its state has not the form of ours", err);
    pang_code code = pang_signin_may_try(call, err);
    if (code == PANG_OK)
        code = hash_secret("oidc state", state, &a->state, err);
    if (code == PANG_OK)
        code = pang_txn_run(call->server->db, PANG_SYSTEM_SCOPE, call->deadline_ms, call->arena,
                            take_in, a, err);
    return code;
}

/* ---- OauthCallback: who it is ---- */

static pang_code keep_in(pang_txn *txn, void *arg, pang_err *err)
{
    answer *a = arg;
    pang_keys keys = {.arena = a->call->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str key = pang_key_oidc_sign_in(&keys, a->state.place);
    pang_record record = {0};
    pang_code code = pang_txn_get_one(txn, key, &record, err);
    if (code == PANG_OK && record.version == 0)
        return no_sign_in("its time is over", err);
    if (code == PANG_OK)
        put_record(a, txn, key, record.expires_ms);
    return code;
}

/* Into the record, for a run that follows. */
static pang_code keep(answer *a, const pang_somebody *who, pang_err *err)
{
    pang_arena *arena = a->call->arena;
    rec_sign_in *to = a->record;
    to->subject = pang_arena_cstr(arena, who->subject);
    to->email = pang_arena_cstr(arena, who->email);
    to->email_verified = who->email_verified;
    to->name = pang_arena_cstr(arena, who->name);
    to->groups = pang_arena_alloc_n(arena, who->n_groups, sizeof *to->groups);
    for (size_t i = 0; to->groups != NULL && i < who->n_groups; i++)
        to->groups[to->n_groups++] = pang_arena_cstr(arena, who->groups[i]);
    if (pang_arena_failed(arena))
        return pang_fail_memory(err);
    return pang_txn_run(a->call->server->db, PANG_SYSTEM_SCOPE, a->call->deadline_ms, arena,
                        keep_in, a, err);
}

static pang_code remember(const answer *a, pang_somebody *ret, pang_err *err)
{
    const rec_sign_in *from = a->record;
    pang_str *groups = pang_arena_alloc_n(a->call->arena, from->n_groups, sizeof *groups);
    if (groups == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < from->n_groups; i++)
        groups[i] = pang_str_from(from->groups[i]);
    *ret = (pang_somebody){
        .subject = pang_str_from(from->subject),
        .email = pang_str_from(from->email),
        .email_verified = from->email_verified,
        .name = pang_str_from(from->name),
        .groups = groups,
        .n_groups = from->n_groups,
    };
    return PANG_OK;
}

/* What the provider says went wrong, as far as it is one of the words of RFC 6749. */
static pang_code refused(const answer *a, pang_err *err)
{
    pang_str word = pang_str_from(a->in->error);
    bool is_word = word.len <= ERROR_MAX;
    for (size_t i = 0; is_word && i < word.len; i++)
        is_word = (word.ptr[i] >= 'a' && word.ptr[i] <= 'z') || word.ptr[i] == '_';
    return pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException",
                     "the identity provider \"%s\" did not sign anybody in: %s", a->provider->name,
                     is_word ? a->in->error : "error");
}

static pang_code ask(answer *a, pang_somebody *ret, pang_err *err)
{
    pang_call *call = a->call;
    pang_oidc_sign_in sign_in;
    if (a->is_known)
        return remember(a, ret, err);
    if (a->in->error[0] != '\0')
        return refused(a, err);
    pang_code code = make_sign_in(call, a->state.text, pang_str_from(a->record->pepper_id), NULL,
                                  &sign_in, err);
    if (code == PANG_OK)
        code = pang_oidc_end(call->server->oidc, a->provider, &sign_in, pang_str_from(a->in->code),
                             pang_str_from(a->in->iss), call->arena, ret, err);
    return code == PANG_OK ? keep(a, ret, err) : code;
}

/* ---- OauthCallback: the code for Exchange ---- */

static pang_code put_code(pang_call *call, const secret *code_secret, const pang_principal *who,
                          pang_err *err)
{
    rec_code body = PANGOLIN__STORE__V1__SIGN_IN_CODE__INIT;
    pang_keys keys = pang_identity_system(call);
    body.tenant = pang_bytes_of_id(&who->tenant);
    body.user = pang_bytes_of_id(&who->id);
    body.token_epoch = who->token_epoch;
    pang_put put = lasting(PANG_KIND_SIGN_IN_CODE, pang_key_sign_in_code(&keys, code_secret->place),
                           pang_record_pack(&body.base, call->arena),
                           pang_env_wall_ms(call->server->env) + CODE_MS);
    pang_txn_put_full(call->txn, &put);
    return pang_manage_built(call->arena, err);
}

static pang_code send_on(answer *a, const secret *code, Pangolin__V1__OauthCallbackResponse *out,
                         pang_err *err)
{
    pang_call *call = a->call;
    const char *to = a->record->redirect;
    pang_str url = pang_arena_printf(call->arena, "%s%scode=%" PANG_STR_FMT, to,
                                     strchr(to, '?') != NULL ? "&" : "?", PANG_STR_ARG(code->text));
    out->location = (char *)(uintptr_t)url.ptr;
    out->set_cookie = write_cookie(call, a->provider, &a->state, (pang_str){0});
    out->cache_control = NO_STORE;
    return pang_manage_built(call->arena, err);
}

static pang_code note_who(pang_call *call, const pang_principal *who, pang_err *err)
{
    pang_principal *kept = pang_arena_alloc(call->arena, sizeof *kept);
    if (kept == NULL)
        return pang_fail_memory(err);
    *kept = *who;
    call->note.who = kept;
    call->note.resource = who->id;
    return PANG_OK;
}

pang_code pang_oidc_callback(pang_call *call, const void *request, void *reply, pang_err *err)
{
    answer a = {.call = call, .in = request};
    pang_keys keys = pang_identity_system(call);
    pang_somebody somebody = {0};
    pang_principal who;
    secret code_secret;
    pang_code code = find_provider(call, a.in->provider, &a.provider, err);
    if (code == PANG_OK)
        code = take(&a, err);
    if (code == PANG_OK)
        code = ask(&a, &somebody, err);
    if (code == PANG_OK)
        code = pang_oidc_enter_user(call, a.provider, &somebody, &who, err);
    if (code == PANG_OK)
        code = new_secret(call, "sign-in code", &code_secret, err);
    if (code == PANG_OK)
        code = put_code(call, &code_secret, &who, err);
    if (code == PANG_OK)
        code = note_who(call, &who, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(call->txn, pang_key_oidc_sign_in(&keys, a.state.place));
    return send_on(&a, &code_secret, reply, err);
}

/* ---- Exchange ---- */

static pang_code no_code(pang_call *call, pang_err *err)
{
    pang_err counted;
    (void)pang_signin_bad_token(call, "", &counted);
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "the code is unknown, was used or is over");
}

/* It is read as there and deleted: of two that come at once one loses the race, and finds none. */
static pang_code take_code(pang_call *call, const char *text, rec_code **ret, pang_err *err)
{
    pang_keys keys = pang_identity_system(call);
    pang_str given = pang_str_from(text);
    pang_record record = {0};
    secret found;
    if (given.len == 0 || given.len > STATE_MAX)
        return no_code(call, err);
    pang_code code = hash_secret("sign-in code", given, &found, err);
    if (code != PANG_OK)
        return code;
    pang_str key = pang_key_sign_in_code(&keys, found.place);
    code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version == 0)
        return no_code(call, err);
    if (code == PANG_OK)
        code = pang_record_unpack(&pangolin__store__v1__sign_in_code__descriptor, &record,
                                  call->arena, ret, err);
    if (code == PANG_OK)
        pang_txn_delete(call->txn, key);
    return code;
}

pang_code pang_oidc_exchange(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ExchangeRequest *in = request;
    Pangolin__V1__ExchangeResponse *out = reply;
    pang_session_wish wish = {
        .life_ms = pang_session_life(call), .refreshes = true, .is_listed = true};
    pang_session session;
    pang_signin who;
    rec_code *body;
    pang_code code = pang_signin_may_try(call, err);
    if (code == PANG_OK)
        code = take_code(call, in->code, &body, err);
    if (code != PANG_OK)
        return code;
    pang_principal as = {
        .id = pang_id_of(body->user),
        .tenant = pang_id_of(body->tenant),
        .kind = PANG_PRINCIPAL_TENANT_USER,
    };
    code = pang_signin_again(call, &as, body->token_epoch, &who, err);
    if (code == PANG_OK)
        code = pang_session_open(call, &who.who, &wish, &session, err);
    if (code != PANG_OK)
        return code;
    out->token = pang_arena_cstr(call->arena, session.access);
    out->token_type = (char *)(uintptr_t) "Bearer";
    out->refresh_token = pang_arena_cstr(call->arena, session.refresh);
    out->expires_at = pang_manage_time(session.expires_ms, call->arena);
    return pang_manage_built(call->arena, err);
}
