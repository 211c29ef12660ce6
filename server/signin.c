/*
 * The order is the same for every try: may this address and account try, is the tenant there, who
 * has the name, does the password fit. What is not there is given a hash that fits nothing, so
 * that the dear step is always taken; the reads before it cost microseconds.
 */
#include "server/signin.h"

#include <string.h>

#include "api/keys_secrets.h"
#include "server/api_key.h"
#include "server/audit_log.h"
#include "server/hash.h"
#include "server/password.h"
#include "server/throttle.h"

#include "pangolin/store/v1/secrets.pb-c.h"
#include "pangolin/v1/auth.pb-c.h"

#define RANK(name) PANGOLIN__STORE__V1__RANK__RANK_##name
#define WRONG "wrong username or password"

enum {
    PAUSE_S = 1,      /* said when too many passwords are being tried at once */
    BEGUN_TIMES = 10, /* sign-ins that an address may begin for each failure that it may have */
    NETWORKS_MAX = 4, /* that an account is known to sign in from */
};

typedef Pangolin__Store__V1__LastUse rec_last_use;
typedef Pangolin__Store__V1__RootSetup rec_setup;

const pang_id pang_root_id = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                               0xff, 0xff, 0xff, 0xff, 0xff}};

/* One try. */
typedef struct {
    pang_call *call;
    const char *action; /* of a failure in the audit log */
    pang_str scope;     /* of the account; empty: there is no such tenant */
    pang_throttle_subject subjects[2];
    size_t n_subjects;
    pang_keys keys;
} attempt;

pang_str pang_account_scope(pang_principal_kind kind, pang_id tenant, pang_arena *arena)
{
    if (kind == PANG_PRINCIPAL_ROOT)
        return PANG_SYSTEM_SCOPE;
    char *text = pang_arena_alloc_text(arena, PANG_ID_HEX + 1);
    if (text == NULL)
        return (pang_str){0};
    pang_id_hex(tenant, text);
    return (pang_str){text, PANG_ID_HEX};
}

/* ---- may it try, and what a failure leaves ---- */

static pang_code refuse(pang_err *err, const char *message)
{
    return pang_fail(err, PANG_UNAUTHENTICATED, "NotAuthorizedException", "%s", message);
}

static void add_subject(attempt *t, const char *kind, pang_str name)
{
    if (name.len > 0)
        t->subjects[t->n_subjects++] = (pang_throttle_subject){kind, name, 1};
}

static pang_code may_try(attempt *t, pang_err *err)
{
    pang_call *call = t->call;
    return pang_throttle_check(call->server->throttle, t->subjects, t->n_subjects, true,
                               call->arena, &call->retry_after_s, err);
}

static pang_code fail(attempt *t, const char *message, pang_err *err)
{
    pang_call *call = t->call;
    if (call->server->throttle != NULL)
        pang_throttle_failed(call->server->throttle, t->subjects, t->n_subjects, call->arena);
    pang_audit_stranger(call->server->audit, t->scope, t->action, call->client_address);
    return refuse(err, message);
}

static void forgive(attempt *t)
{
    for (size_t i = 0; t->call->server->throttle != NULL && i < t->n_subjects; i++)
        if (strcmp(t->subjects[i].kind, "account") == 0)
            pang_throttle_forgive(t->call->server->throttle, &t->subjects[i], t->call->arena);
}

pang_code pang_signin_may_try(pang_call *call, pang_err *err)
{
    attempt t = {.call = call};
    add_subject(&t, "address", call->client_address);
    return may_try(&t, err);
}

pang_code pang_signin_may_begin(pang_call *call, pang_err *err)
{
    attempt t = {.call = call};
    const pang_throttle_subject begun = {"sign-in", call->client_address, BEGUN_TIMES};
    add_subject(&t, "address", call->client_address);
    pang_code code = may_try(&t, err);
    if (code == PANG_OK)
        code = pang_throttle_check(call->server->throttle, &begun, 1, false, call->arena,
                                   &call->retry_after_s, err);
    if (code == PANG_OK && call->attempt == 0)
        pang_throttle_count(call->server->throttle, &begun, 1, call->arena);
    return code;
}

pang_code pang_signin_bad_token(pang_call *call, const char *message, pang_err *err)
{
    attempt t = {.call = call, .action = "token_rejected"};
    add_subject(&t, "address", call->client_address);
    return fail(&t, message, err);
}

/* ---- records ---- */

/* NULL where there is none. */
static pang_code read_record(attempt *t, pang_str key, const ProtobufCMessageDescriptor *type,
                             void *ret, pang_err *err)
{
    pang_record record;
    *(void **)ret = NULL;
    pang_code code = pang_keys_status(&t->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(t->call->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(type, &record, t->call->arena, ret, err);
}

/* Whether accounts of it may sign in. The nil tenant needs no record. */
static pang_code open_tenant(attempt *t, pang_id tenant, bool *ret, pang_err *err)
{
    pang_keys keys = pang_identity_system(t->call);
    pang_rec_tenant *body;
    pang_code code = read_record(t, pang_key_tenant(&keys, tenant),
                                 &pangolin__store__v1__tenant__descriptor, &body, err);
    *ret = code == PANG_OK && (body == NULL ? pang_id_is_nil(tenant) : !body->deleting);
    return code;
}

static void put_user(attempt *t, pang_rec_user *user)
{
    user->updated_ms = pang_env_wall_ms(t->call->server->env);
    pang_txn_put(t->call->txn, PANG_KIND_USER, pang_key_user(&t->keys, pang_id_of(user->id)),
                 pang_record_pack(&user->base, t->call->arena));
}

/* In a record of its own: nothing else changes by it. Unchecked, two logins at once are no race. */
static pang_code read_use(attempt *t, pang_id principal, pang_str *ret_key, rec_last_use **ret,
                          pang_err *err)
{
    pang_ref ref = {.key = pang_key_last_use(&t->keys, principal)};
    pang_record record;
    *ret = NULL;
    *ret_key = ref.key;
    pang_code code = pang_keys_status(&t->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(t->call->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    return pang_record_unpack(&pangolin__store__v1__last_use__descriptor, &record, t->call->arena,
                              ret, err);
}

/* This one first, then those of before, each once. */
static pang_code note_network(attempt *t, const rec_last_use *before, rec_last_use *to,
                              pang_err *err)
{
    pang_id *here = pang_arena_alloc(t->call->arena, sizeof *here);
    to->networks = pang_arena_alloc_n(t->call->arena, NETWORKS_MAX, sizeof *to->networks);
    if (here == NULL || to->networks == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_throttle_network(t->call->client_address, here, err);
    to->networks[to->n_networks++] = pang_bytes_of_id(here);
    for (size_t i = 0; before != NULL && i < before->n_networks; i++)
        if (to->n_networks < NETWORKS_MAX && !pang_id_equal(pang_id_of(before->networks[i]), *here))
            to->networks[to->n_networks++] = before->networks[i];
    return code;
}

static pang_code note_use(attempt *t, pang_id principal, const char *key_id, int64_t *ret_before,
                          pang_err *err)
{
    pang_call *call = t->call;
    rec_last_use body = PANGOLIN__STORE__V1__LAST_USE__INIT, *before;
    pang_str key;
    pang_code code = read_use(t, principal, &key, &before, err);
    if (code == PANG_OK && key_id == NULL && call->client_address.len > 0)
        code = note_network(t, before, &body, err);
    if (code != PANG_OK)
        return code;
    *ret_before = before != NULL ? before->used_ms : 0;
    body.used_ms = pang_env_wall_ms(call->server->env);
    body.key_id = key_id == NULL ? body.key_id : (char *)(uintptr_t)key_id;
    pang_txn_put(call->txn, PANG_KIND_LAST_USE, key, pang_record_pack(&body.base, call->arena));
    return pang_manage_built(call->arena, err);
}

/* ---- who it is then ---- */

static void be_user(pang_signin *in, pang_rec_user *user, pang_id tenant)
{
    in->user = user;
    in->who = (pang_principal){
        .id = pang_id_of(user->id),
        .tenant = tenant,
        .name = pang_str_from(user->username),
        .is_known = true,
        .kind = user->rank == RANK(ROOT)           ? PANG_PRINCIPAL_ROOT
                : user->rank == RANK(TENANT_ADMIN) ? PANG_PRINCIPAL_TENANT_ADMIN
                                                   : PANG_PRINCIPAL_TENANT_USER,
        .is_admin = user->rank == RANK(TENANT_ADMIN),
        .token_epoch = user->token_epoch,
    };
}

static void be_service(pang_signin *in, pang_rec_service_user *service, pang_id tenant)
{
    in->service = service;
    in->who = (pang_principal){
        .id = pang_id_of(service->id),
        .tenant = tenant,
        .name = pang_str_from(service->name),
        .is_known = true,
        .kind = PANG_PRINCIPAL_SERVICE_USER,
        .is_admin = service->rank == RANK(TENANT_ADMIN),
        .token_epoch = service->token_epoch,
    };
}

/* ---- passwords ---- */

static bool is_name(pang_str name)
{
    return name.len > 0 && name.len <= PANG_MANAGE_NAME_MAX;
}

static pang_code find_user(attempt *t, const pang_id *tenant, pang_str username,
                           pang_rec_user **ret, pang_err *err)
{
    pang_id id = pang_root_id;
    bool is_open = true, is_found = true;
    *ret = NULL;
    pang_code code = tenant == NULL ? PANG_OK : open_tenant(t, *tenant, &is_open, err);
    if (!is_open)
        t->scope = (pang_str){0};
    if (code != PANG_OK || !is_open || !is_name(username))
        return code;
    if (tenant != NULL)
        code = pang_name_find(t->call, pang_key_user_name(&t->keys, username), &is_found, &id, err);
    if (code == PANG_OK && is_found)
        code = read_record(t, pang_key_user(&t->keys, id), &pangolin__store__v1__user__descriptor,
                           ret, err);
    if (code == PANG_OK && *ret != NULL &&
        !pang_str_equal(pang_str_from((*ret)->username), username))
        *ret = NULL;
    return code;
}

/* Who was here with the right password before is not shut out by what others try elsewhere: only
 * its own address counts then. */
static pang_code is_at_home(attempt *t, const pang_rec_user *user, bool *ret, pang_err *err)
{
    pang_id here;
    pang_str key;
    rec_last_use *use = NULL;
    *ret = false;
    if (user == NULL || t->call->client_address.len == 0)
        return PANG_OK;
    pang_code code = pang_throttle_network(t->call->client_address, &here, err);
    if (code == PANG_OK)
        code = read_use(t, pang_id_of(user->id), &key, &use, err);
    for (size_t i = 0; code == PANG_OK && use != NULL && i < use->n_networks; i++)
        *ret = *ret || pang_id_equal(pang_id_of(use->networks[i]), here);
    return code;
}

static pang_code may_try_account(attempt *t, const pang_id *tenant, pang_str username,
                                 pang_err *err)
{
    pang_call *call = t->call;
    pang_rec_user *user = NULL;
    pang_err other;
    bool is_home = false;
    pang_code code = may_try(t, err);
    unsigned wait_s = call->retry_after_s;
    if (code != PANG_RESOURCE_EXHAUSTED || pang_signin_may_try(call, &other) != PANG_OK)
        return code;
    pang_code found = find_user(t, tenant, username, &user, &other);
    if (found == PANG_OK)
        found = is_at_home(t, user, &is_home, &other);
    if (found == PANG_OK && is_home)
        return PANG_OK;
    call->retry_after_s = wait_s;
    if (found == PANG_OK)
        return code;
    *err = other;
    return found;
}

/* UNAUTHENTICATED when it does not fit. */
static pang_code try_password(attempt *t, const pang_rec_user *user, pang_str password,
                              bool *ret_weaker, pang_err *err)
{
    pang_call *call = t->call;
    pang_str hash = user == NULL ? (pang_str){0} : pang_str_from(user->password);
    *ret_weaker = false;
    if (call->server->passwords == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "this server takes no passwords");
    if (password.len == 0 || password.len > PANG_PASSWORD_MAX)
        return refuse(err, WRONG);
    pang_code code = pang_password_verify(call->server->passwords, password, hash,
                                          call->deadline_ms, ret_weaker, err);
    if (code == PANG_RESOURCE_EXHAUSTED)
        call->retry_after_s = PAUSE_S;
    if (code == PANG_OK && (user == NULL || user->inactive))
        return refuse(err, WRONG);
    return code;
}

static pang_code set_password(attempt *t, pang_rec_user *user, pang_str password, pang_err *err)
{
    pang_call *call = t->call;
    pang_str hash;
    pang_code code = pang_password_hash(call->server->passwords, password, call->deadline_ms,
                                        call->arena, &hash, err);
    if (code == PANG_OK)
        user->password = pang_arena_cstr(call->arena, hash);
    return code == PANG_OK ? pang_manage_built(call->arena, err) : code;
}

/* ---- root's own ---- */

/* Whether it is the one-time code that lets root set a password. Blanks and hyphens do not count.
 */
static pang_code is_setup_code(attempt *t, pang_str password, bool *ret, pang_err *err)
{
    rec_setup *setup;
    uint8_t hash[PANG_HASH_BYTES];
    *ret = false;
    pang_code code = read_record(t, pang_key_root_setup(&t->keys),
                                 &pangolin__store__v1__root_setup__descriptor, &setup, err);
    if (code != PANG_OK || setup == NULL)
        return code;
    code = pang_hash(&password, 1, hash, err);
    *ret = code == PANG_OK && pang_str_equal_secret((pang_str){(const char *)hash, sizeof hash},
                                                    pang_str_of(setup->hash));
    return code;
}

static pang_code change_root(attempt *t, pang_rec_user *user, pang_str new_password, pang_err *err)
{
    if (new_password.len == 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "new-password is missing: the setup code serves to set it");
    pang_code code = pang_password_check(new_password, pang_str_from(user->username), err);
    if (code == PANG_OK)
        code = set_password(t, user, new_password, err);
    if (code != PANG_OK)
        return code;
    user->token_epoch++;
    put_user(t, user);
    pang_txn_delete(t->call->txn, pang_key_root_setup(&t->keys));
    pang_txn_add(t->call->txn, pang_key_count(&t->keys, PANG_COUNT_AUTH), 1);
    return pang_keys_status(&t->keys, err);
}

/* ---- the whole of it ---- */

static void begin(attempt *t, pang_call *call, const pang_id *tenant, pang_str username)
{
    pang_principal_kind kind = tenant == NULL ? PANG_PRINCIPAL_ROOT : PANG_PRINCIPAL_TENANT_USER;
    *t = (attempt){.call = call, .action = "login_failed"};
    t->scope = pang_account_scope(kind, tenant == NULL ? (pang_id){{0}} : *tenant, call->arena);
    t->keys = (pang_keys){.arena = call->arena, .scope = t->scope};
    add_subject(t, "address", call->client_address);
    add_subject(t, "account",
                pang_arena_printf(call->arena, "%" PANG_STR_FMT "/%" PANG_STR_FMT,
                                  PANG_STR_ARG(t->scope),
                                  PANG_STR_ARG(pang_str_slice(username, 0, PANG_MANAGE_NAME_MAX))));
}

/* What it then becomes: root's new password, or today's cost of the old one. */
static pang_code after_password(attempt *t, pang_rec_user *user, pang_str password, bool is_weaker,
                                pang_str new_password, pang_err *err)
{
    if (new_password.len > 0 && user->rank != RANK(ROOT))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "new-password is root's: users change theirs with PUT /api/v1/users/{id}");
    if (new_password.len > 0)
        return change_root(t, user, new_password, err);
    if (!is_weaker)
        return PANG_OK;
    pang_code code = set_password(t, user, password, err);
    put_user(t, user);
    return code;
}

pang_code pang_signin_password(pang_call *call, const pang_id *tenant, pang_str username,
                               pang_str password, pang_str new_password, pang_signin *ret,
                               pang_err *err)
{
    attempt t;
    pang_rec_user *user = NULL;
    bool is_weaker = false, is_code = false;
    *ret = (pang_signin){0};
    begin(&t, call, tenant, username);
    pang_code code = pang_manage_built(call->arena, err);
    if (code == PANG_OK)
        code = may_try_account(&t, tenant, username, err);
    if (code == PANG_OK)
        code = find_user(&t, tenant, username, &user, err);
    if (code == PANG_OK && tenant == NULL && user != NULL && !user->inactive)
        code = is_setup_code(&t, password, &is_code, err);
    if (code == PANG_OK && !is_code)
        code = try_password(&t, user, password, &is_weaker, err);
    if (code == PANG_UNAUTHENTICATED)
        return fail(&t, WRONG, err);
    if (code == PANG_OK)
        code = is_code ? change_root(&t, user, new_password, err)
                       : after_password(&t, user, password, is_weaker, new_password, err);
    if (code != PANG_OK)
        return code;
    forgive(&t);
    be_user(ret, user, tenant == NULL ? (pang_id){{0}} : *tenant);
    return note_use(&t, ret->who.id, NULL, &ret->last_ms, err);
}

/* ---- keys ---- */

static bool is_client(const Pangolin__Store__V1__ApiKey *key, pang_str client, pang_str text)
{
    pang_str key_id, secret;
    pang_id id;
    if (client.len == 0)
        return true;
    if (pang_id_parse(client, &id))
        return pang_id_equal(id, pang_id_of(key->service_user));
    return pang_api_key_parse(text, &key_id, &secret) && pang_str_equal(client, key_id);
}

static bool has_key(const pang_rec_service_user *service, pang_str key_id)
{
    for (size_t i = 0; i < service->n_keys; i++)
        if (pang_str_equal(pang_str_from(service->keys[i]), key_id))
            return true;
    return false;
}

/* The key's owner, as far as the key still is one of its. NULL: it is not. */
static pang_code key_owner(attempt *t, const Pangolin__Store__V1__ApiKey *key, pang_str text,
                           pang_rec_service_user **ret, pang_err *err)
{
    pang_str key_id = {0}, secret;
    bool is_open = false;
    *ret = NULL;
    pang_code code = open_tenant(t, pang_id_of(key->tenant), &is_open, err);
    t->scope = pang_account_scope(PANG_PRINCIPAL_SERVICE_USER, pang_id_of(key->tenant),
                                  t->call->arena);
    t->keys.scope = t->scope;
    if (code != PANG_OK || !is_open || !pang_api_key_parse(text, &key_id, &secret))
        return code;
    code = read_record(t, pang_key_service_user(&t->keys, pang_id_of(key->service_user)),
                       &pangolin__store__v1__service_user__descriptor, ret, err);
    if (code == PANG_OK && *ret != NULL && ((*ret)->inactive || !has_key(*ret, key_id)))
        *ret = NULL;
    return code;
}

pang_code pang_signin_key(pang_call *call, pang_str client, pang_str key, pang_signin *ret,
                          pang_err *err)
{
    attempt t = {.call = call, .action = "api_key_rejected"};
    Pangolin__Store__V1__ApiKey *record = NULL;
    pang_rec_service_user *service = NULL;
    *ret = (pang_signin){0};
    t.keys = pang_identity_system(call);
    add_subject(&t, "address", call->client_address);
    /* Not by client: nobody guesses a key, and anybody could shut a known client out. */
    pang_code code = may_try(&t, err);
    if (code == PANG_OK)
        code = pang_api_key_find(call->txn, call->server->keyring, call->server->env, key,
                                 call->arena, &record, err);
    if (code == PANG_OK && is_client(record, client, key))
        code = key_owner(&t, record, key, &service, err);
    if (code == PANG_UNAUTHENTICATED || (code == PANG_OK && service == NULL))
        return fail(&t, "unknown client, or its secret is wrong", err);
    if (code != PANG_OK)
        return code;
    be_service(ret, service, pang_id_of(record->tenant));
    pang_str key_id, secret;
    (void)pang_api_key_parse(key, &key_id, &secret);
    ret->who.key_id = key_id;
    return note_use(&t, ret->who.id, pang_arena_cstr(call->arena, key_id), &ret->last_ms, err);
}

/* ---- again ---- */

static pang_code read_again(attempt *t, const pang_principal *as, pang_signin *ret, pang_err *err)
{
    pang_rec_user *user = NULL;
    pang_rec_service_user *service = NULL;
    pang_code code;
    if (as->kind == PANG_PRINCIPAL_SERVICE_USER) {
        code = read_record(t, pang_key_service_user(&t->keys, as->id),
                           &pangolin__store__v1__service_user__descriptor, &service, err);
        if (code == PANG_OK && service != NULL && !service->inactive)
            be_service(ret, service, as->tenant);
        return code;
    }
    code = read_record(t, pang_key_user(&t->keys, as->id), &pangolin__store__v1__user__descriptor,
                       &user, err);
    if (code == PANG_OK && user != NULL && !user->inactive)
        be_user(ret, user, as->tenant);
    return code;
}

pang_code pang_signin_again(pang_call *call, const pang_principal *as, uint64_t epoch,
                            pang_signin *ret, pang_err *err)
{
    attempt t = {.call = call};
    bool is_open = true;
    *ret = (pang_signin){0};
    t.scope = pang_account_scope(as->kind, as->tenant, call->arena);
    t.keys = (pang_keys){.arena = call->arena, .scope = t.scope};
    pang_code code = pang_manage_built(call->arena, err);
    if (code == PANG_OK && as->kind != PANG_PRINCIPAL_ROOT)
        code = open_tenant(&t, as->tenant, &is_open, err);
    if (code == PANG_OK && is_open)
        code = read_again(&t, as, ret, err);
    if (code != PANG_OK)
        return code;
    if (!ret->who.is_known || epoch < ret->who.token_epoch)
        return refuse(err, "the account is not active, or its tokens have ended");
    return PANG_OK;
}

/* ---- what is shown ---- */

pang_code pang_signin_show(pang_call *call, const pang_signin *in, Pangolin__V1__UserInfo **ret,
                           pang_err *err)
{
    pang_arena *arena = call->arena;
    Pangolin__V1__UserInfo *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (Pangolin__V1__UserInfo)PANGOLIN__V1__USER_INFO__INIT;
    out->id = pang_manage_id_text(in->who.id, arena);
    out->username = pang_arena_cstr(arena, in->who.name);
    if (in->who.kind != PANG_PRINCIPAL_ROOT)
        out->tenant_id = pang_manage_id_text(in->who.tenant, arena);
    out->active = true;
    if (in->user != NULL) {
        out->email = in->user->email;
        out->oauth_provider = in->user->provider;
    }
    out->role = (char *)(uintptr_t)pang_rank_name(in->user != NULL ? in->user->rank
                                                                   : in->service->rank);
    out->created_at = pang_manage_time(
        in->user != NULL ? in->user->created_ms : in->service->created_ms, arena);
    if (in->last_ms > 0)
        out->last_login = pang_manage_time(in->last_ms, arena);
    *ret = out;
    return pang_manage_built(arena, err);
}
