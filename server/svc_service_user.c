/*
 * Service users: principals of programs, which sign in by keys. A key is shown by the call that
 * makes it and by none after; what is kept of it is in server/api_key.h. The keys a service user
 * has are named in its own record, newest first, so that whoever ends it finds them all.
 */
#include <string.h>

#include "server/api_key.h"
#include "server/identity.h"
#include "server/svc_identity.h"

#include "pangolin/v1/service_user.pb-c.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

enum { DAYS_MAX = 3650 };

typedef Pangolin__V1__ServiceUser user_out;
typedef Pangolin__V1__CreatedApiKey created_out;
typedef Pangolin__V1__ApiKey key_out;
typedef Pangolin__Store__V1__ApiKey rec_api_key;
typedef Pangolin__Store__V1__LastUse last_use;

/* ---- between record and reply ---- */

/* What is known of a service user beside its record. */
typedef struct {
    rec_api_key *newest; /* NULL: it has no key */
    last_use *use;       /* NULL: never */
} around;

static pang_code show(pang_call *call, const pang_rec_service_user *body, const around *also,
                      user_out **ret, pang_err *err)
{
    user_out *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (user_out)PANGOLIN__V1__SERVICE_USER__INIT;
    out->id = pang_manage_id_text(pang_id_of(body->id), call->arena);
    out->name = body->name;
    out->description = body->description;
    out->tenant_id = pang_manage_id_text(pang_identity_tenant(call), call->arena);
    out->role = (char *)(uintptr_t)pang_rank_name(body->rank);
    out->created_at = pang_manage_time(body->created_ms, call->arena);
    out->created_by = pang_manage_id_text(pang_id_of(body->created_by), call->arena);
    if (also->use != NULL)
        out->last_used = pang_manage_time(also->use->used_ms, call->arena);
    if (also->newest != NULL && also->newest->expires_ms != 0)
        out->expires_at = pang_manage_time(also->newest->expires_ms, call->arena);
    out->active = !body->inactive;
    *ret = out;
    return pang_manage_built(call->arena, err);
}

/* For n service users: their newest keys and last uses, in one go. */
static pang_code look_around(pang_call *call, void *const *bodies, size_t n, around **ret,
                             pang_err *err)
{
    pang_keys keys = pang_identity_keys(call), shared = pang_identity_system(call);
    pang_str *wanted = pang_arena_alloc_n(call->arena, 2 * n, sizeof *wanted);
    pang_record *rows;
    *ret = pang_arena_alloc_n(call->arena, n, sizeof **ret);
    if (wanted == NULL || *ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        const pang_rec_service_user *body = bodies[i];
        pang_str newest = body->n_keys > 0 ? pang_str_from(body->keys[0]) : PANG_STR("none");
        wanted[2 * i] = pang_key_api_key(&shared, newest);
        wanted[2 * i + 1] = pang_key_last_use(&keys, pang_id_of(body->id));
    }
    pang_code code = pang_manage_get(call, wanted, 2 * n, &rows, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        if (rows[2 * i].version != 0)
            code = pang_record_unpack(&pangolin__store__v1__api_key__descriptor, &rows[2 * i],
                                      call->arena, &(*ret)[i].newest, err);
        if (code == PANG_OK && rows[2 * i + 1].version != 0)
            code = pang_record_unpack(&pangolin__store__v1__last_use__descriptor, &rows[2 * i + 1],
                                      call->arena, &(*ret)[i].use, err);
    }
    return code;
}

static void put(pang_call *call, const pang_rec_service_user *body)
{
    pang_keys keys = pang_identity_keys(call);
    pang_txn_put(call->txn, PANG_KIND_SERVICE_USER,
                 pang_key_service_user(&keys, pang_id_of(body->id)),
                 pang_record_pack(&body->base, call->arena));
    pang_identity_changed(call);
    pang_identity_note(call, pang_id_of(body->id), body->name);
}

/* ---- keys ---- */

static pang_code life_of(int32_t days, int64_t *ret, pang_err *err)
{
    if (days < 0 || days > DAYS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_INVALID_REASON,
                         "expires_in_days is %d, and must be between 0 and %d", days, DAYS_MAX);
    *ret = days * DAY_MS;
    return PANG_OK;
}

/* A new key in front of `keep` of the ones before. The record of the service user is put after. */
static pang_code issue(pang_call *call, pang_rec_service_user *body, unsigned keep,
                       created_out **ret, pang_err *err)
{
    const pang_env *env = call->server->env;
    created_out *out = pang_arena_alloc(call->arena, sizeof *out);
    int64_t now = pang_env_wall_ms(env);
    pang_str text;
    if (out == NULL)
        return pang_fail_memory(err);
    if (call->server->keyring == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "this server gives out no keys");
    pang_api_key_owner whose = {
        .tenant = pang_identity_tenant(call),
        .service_user = pang_id_of(body->id),
        .created_by = call->who->id,
        .expires_ms = body->key_life_ms != 0 ? now + body->key_life_ms : 0,
    };
    pang_arena_mark_secret(call->arena);
    pang_code code = pang_api_key_issue(call->txn, call->server->keyring, env, &whose, keep, body,
                                        call->arena, &text, err);
    if (code != PANG_OK)
        return code;
    *out = (created_out)PANGOLIN__V1__CREATED_API_KEY__INIT;
    out->id = pang_manage_id_text(whose.service_user, call->arena);
    out->name = body->name;
    out->description = body->description;
    out->tenant_id = pang_manage_id_text(whose.tenant, call->arena);
    out->role = (char *)(uintptr_t)pang_rank_name(body->rank);
    out->api_key = pang_arena_cstr(call->arena, text);
    out->created_at = pang_manage_time(now, call->arena);
    out->created_by = pang_manage_id_text(whose.created_by, call->arena);
    if (whose.expires_ms != 0)
        out->expires_at = pang_manage_time(whose.expires_ms, call->arena);
    out->active = !body->inactive;
    *ret = out;
    return pang_manage_built(call->arena, err);
}

static pang_code rotate_api_key(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__RotateApiKeyRequest *in = request;
    Pangolin__V1__RotateApiKeyResponse *out = reply;
    pang_rec_service_user *body = NULL;
    pang_code code = pang_service_user_find(call, in->id, &body, err);
    if (code == PANG_OK && in->expires_in_days != 0)
        code = life_of(in->expires_in_days, &body->key_life_ms, err);
    if (code == PANG_OK)
        code = issue(call, body, PANG_API_KEYS_ACTIVE - 1, &out->key, err);
    if (code != PANG_OK)
        return code;
    put(call, body);
    return pang_manage_built(call->arena, err);
}

static pang_code show_key(pang_call *call, char *id, const rec_api_key *key, key_out **ret,
                          pang_err *err)
{
    key_out *out = pang_arena_alloc(call->arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (key_out)PANGOLIN__V1__API_KEY__INIT;
    out->id = id;
    out->created_at = pang_manage_time(key->created_ms, call->arena);
    out->created_by = pang_manage_id_text(pang_id_of(key->created_by), call->arena);
    if (key->expires_ms != 0)
        out->expires_at = pang_manage_time(key->expires_ms, call->arena);
    *ret = out;
    return pang_manage_built(call->arena, err);
}

static pang_code show_keys(pang_call *call, const pang_rec_service_user *body, const last_use *use,
                           Pangolin__V1__ListApiKeysResponse *out, pang_err *err)
{
    pang_keys shared = pang_identity_system(call);
    pang_str *wanted = pang_arena_alloc_n(call->arena, body->n_keys, sizeof *wanted);
    pang_record *rows;
    out->keys = pang_arena_alloc_n(call->arena, body->n_keys, sizeof *out->keys);
    if (wanted == NULL || out->keys == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_keys; i++)
        wanted[i] = pang_key_api_key(&shared, pang_str_from(body->keys[i]));
    pang_code code = pang_manage_get(call, wanted, body->n_keys, &rows, err);
    for (size_t i = 0; code == PANG_OK && i < body->n_keys; i++) {
        rec_api_key *key;
        if (rows[i].version == 0)
            continue;
        code = pang_record_unpack(&pangolin__store__v1__api_key__descriptor, &rows[i], call->arena,
                                  &key, err);
        if (code == PANG_OK)
            code = show_key(call, body->keys[i], key, &out->keys[out->n_keys++], err);
        if (code == PANG_OK && use != NULL && strcmp(use->key_id, body->keys[i]) == 0)
            out->keys[out->n_keys - 1]->last_used = pang_manage_time(use->used_ms, call->arena);
    }
    return code;
}

static pang_code list_api_keys(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListApiKeysRequest *in = request;
    pang_rec_service_user *body = NULL;
    around *also = NULL;
    pang_code code = pang_service_user_find(call, in->id, &body, err);
    if (code == PANG_OK)
        code = look_around(call, (void *[]){body}, 1, &also, err);
    return code == PANG_OK ? show_keys(call, body, also->use, reply, err) : code;
}

static pang_code delete_api_key(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DeleteApiKeyRequest *in = request;
    pang_keys shared = pang_identity_system(call);
    pang_rec_service_user *body = NULL;
    size_t kept = 0;
    (void)reply;
    pang_code code = pang_service_user_find(call, in->id, &body, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < body->n_keys; i++)
        if (strcmp(body->keys[i], in->key_id) != 0)
            body->keys[kept++] = body->keys[i];
    if (kept == body->n_keys)
        return pang_manage_absent("API key", in->key_id, err);
    body->n_keys = kept;
    pang_txn_delete(call->txn, pang_key_api_key(&shared, pang_str_from(in->key_id)));
    put(call, body);
    return pang_manage_built(call->arena, err);
}

/* ---- service users ---- */

static pang_code take_name(pang_call *call, pang_rec_service_user *body, char *name, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call);
    pang_code code = pang_manage_name("name", name, err);
    if (code != PANG_OK || strcmp(body->name, name) == 0)
        return code;
    code = pang_name_take(call, PANG_KIND_SERVICE_USER_NAME,
                          pang_key_service_user_name(&keys, pang_str_from(name)), "service user",
                          name, pang_id_of(body->id), err);
    if (body->name[0] != '\0')
        pang_txn_delete(call->txn, pang_key_service_user_name(&keys, pang_str_from(body->name)));
    body->name = name;
    return code;
}

/* OAuth clients name no tenant: the id alone leads to it. */
static void put_place(pang_call *call, pang_id id)
{
    Pangolin__Store__V1__ServiceUserPlace place = PANGOLIN__STORE__V1__SERVICE_USER_PLACE__INIT;
    pang_keys shared = pang_identity_system(call);
    pang_id tenant = pang_identity_tenant(call);
    place.tenant = pang_bytes_of_id(&tenant);
    pang_txn_put(call->txn, PANG_KIND_SERVICE_USER_PLACE, pang_key_service_user_place(&shared, id),
                 pang_record_pack(&place.base, call->arena));
}

static pang_code create_service_user(pang_call *call, const void *request, void *reply,
                                     pang_err *err)
{
    const Pangolin__V1__CreateServiceUserRequest *in = request;
    Pangolin__V1__CreateServiceUserResponse *out = reply;
    pang_rec_service_user body = PANGOLIN__STORE__V1__SERVICE_USER__INIT;
    pang_id id = pang_id_v7(call->server->env);
    body.id = pang_bytes_of_id(&id);
    body.description = in->description;
    body.created_ms = pang_env_wall_ms(call->server->env);
    body.created_by = pang_bytes_of_id(&call->who->id);
    pang_code code = pang_rank_parse(in->role, &body.rank, err);
    if (code == PANG_OK)
        code = pang_manage_text("description", in->description, err);
    if (code == PANG_OK)
        code = life_of(in->expires_in_days, &body.key_life_ms, err);
    if (code == PANG_OK)
        code = pang_identity_open(call, err);
    if (code == PANG_OK)
        code = take_name(call, &body, in->name, err);
    if (code == PANG_OK)
        code = issue(call, &body, 0, &out->key, err);
    if (code != PANG_OK)
        return code;
    put(call, &body);
    put_place(call, id);
    pang_identity_count(call, PANG_COUNT_SERVICE_USERS, 1);
    return pang_manage_built(call->arena, err);
}

static pang_code list_service_users(pang_call *call, const void *request, void *reply,
                                    pang_err *err)
{
    const Pangolin__V1__ListServiceUsersRequest *in = request;
    Pangolin__V1__ListServiceUsersResponse *out = reply;
    pang_named_query query = {
        .keys = pang_identity_keys(call),
        .query = {.page_size = in->page_size, .offset = in->offset},
        .key_of = pang_key_service_user,
        .type = &pangolin__store__v1__service_user__descriptor,
    };
    around *also = NULL;
    void **bodies = NULL;
    size_t n = 0;
    query.query.prefix = pang_key_service_user_names(&query.keys);
    query.query.token = in->_page_token_case != 0 ? in->page_token : NULL;
    pang_code code = pang_named_list(call, &query, &bodies, &n, &out->next_page_token, err);
    if (code == PANG_OK)
        code = look_around(call, bodies, n, &also, err);
    if (code != PANG_OK)
        return code;
    out->service_users = pang_arena_alloc_n(call->arena, n, sizeof *out->service_users);
    if (out->service_users == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = show(call, bodies[i], &also[i], &out->service_users[out->n_service_users++], err);
    return code;
}

static pang_code get_service_user(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetServiceUserRequest *in = request;
    Pangolin__V1__GetServiceUserResponse *out = reply;
    pang_rec_service_user *body = NULL;
    around *also = NULL;
    pang_code code = pang_service_user_find(call, in->id, &body, err);
    if (code == PANG_OK)
        code = look_around(call, (void *[]){body}, 1, &also, err);
    return code == PANG_OK ? show(call, body, also, &out->service_user, err) : code;
}

static pang_code set_active(pang_call *call, pang_rec_service_user *body, bool active,
                            pang_err *err)
{
    if (!active && pang_id_equal(pang_id_of(body->id), call->who->id))
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "nobody can disable itself: another administrator can");
    if (!active && !body->inactive)
        body->token_epoch++;
    body->inactive = !active;
    return PANG_OK;
}

static pang_code update_service_user(pang_call *call, const void *request, void *reply,
                                     pang_err *err)
{
    const Pangolin__V1__UpdateServiceUserRequest *in = request;
    Pangolin__V1__UpdateServiceUserResponse *out = reply;
    pang_rec_service_user *body = NULL;
    pang_code code = pang_service_user_find(call, in->id, &body, err);
    if (code == PANG_OK && in->_name_case != 0)
        code = take_name(call, body, in->name, err);
    if (code == PANG_OK && in->_description_case != 0) {
        code = pang_manage_text("description", in->description, err);
        body->description = in->description;
    }
    if (code == PANG_OK && in->_active_case != 0)
        code = set_active(call, body, in->active, err);
    if (code != PANG_OK)
        return code;
    put(call, body);
    out->status = (char *)(uintptr_t) "updated";
    return pang_manage_built(call->arena, err);
}

static pang_code remove_records(pang_call *call, pang_rec_service_user *body, pang_err *err)
{
    pang_keys keys = pang_identity_keys(call), shared = pang_identity_system(call);
    pang_id id = pang_id_of(body->id);
    pang_code code = pang_api_key_end_all(call->txn, body, call->arena, err);
    if (code == PANG_OK)
        code = pang_account_strip(call, id, err);
    if (code != PANG_OK)
        return code;
    pang_txn_delete(call->txn, pang_key_service_user_name(&keys, pang_str_from(body->name)));
    pang_txn_delete(call->txn, pang_key_service_user_place(&shared, id));
    pang_txn_delete(call->txn, pang_key_service_user(&keys, id));
    return PANG_OK;
}

static pang_code delete_service_user(pang_call *call, const void *request, void *reply,
                                     pang_err *err)
{
    const Pangolin__V1__DeleteServiceUserRequest *in = request;
    Pangolin__V1__DeleteServiceUserResponse *out = reply;
    pang_rec_service_user *body = NULL;
    pang_code code = pang_service_user_find(call, in->id, &body, err);
    if (code == PANG_OK && pang_id_equal(pang_id_of(body->id), call->who->id))
        code = pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "nobody can delete itself: another administrator can");
    if (code == PANG_OK)
        code = pang_identity_hold(call, err);
    if (code == PANG_OK)
        code = remove_records(call, body, err);
    if (code != PANG_OK)
        return code;
    pang_identity_count(call, PANG_COUNT_SERVICE_USERS, -1);
    pang_identity_changed(call);
    pang_identity_note(call, pang_id_of(body->id), body->name);
    out->status = (char *)(uintptr_t) "deleted";
    return pang_manage_built(call->arena, err);
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.ServiceUserService/CreateServiceUser",
        .in = &pangolin__v1__create_service_user_request__descriptor,
        .out = &pangolin__v1__create_service_user_response__descriptor,
        .handle = create_service_user,
    },
    {
        .path = "/pangolin.v1.ServiceUserService/ListServiceUsers",
        .in = &pangolin__v1__list_service_users_request__descriptor,
        .out = &pangolin__v1__list_service_users_response__descriptor,
        .handle = list_service_users,
    },
    {
        .path = "/pangolin.v1.ServiceUserService/GetServiceUser",
        .in = &pangolin__v1__get_service_user_request__descriptor,
        .out = &pangolin__v1__get_service_user_response__descriptor,
        .handle = get_service_user,
    },
    {
        .path = "/pangolin.v1.ServiceUserService/UpdateServiceUser",
        .in = &pangolin__v1__update_service_user_request__descriptor,
        .out = &pangolin__v1__update_service_user_response__descriptor,
        .handle = update_service_user,
    },
    {
        .path = "/pangolin.v1.ServiceUserService/DeleteServiceUser",
        .in = &pangolin__v1__delete_service_user_request__descriptor,
        .out = &pangolin__v1__delete_service_user_response__descriptor,
        .handle = delete_service_user,
    },
    {
        .path = "/pangolin.v1.ServiceUserService/RotateApiKey",
        .in = &pangolin__v1__rotate_api_key_request__descriptor,
        .out = &pangolin__v1__rotate_api_key_response__descriptor,
        .handle = rotate_api_key,
    },
    {
        .path = "/pangolin.v1.ServiceUserService/ListApiKeys",
        .in = &pangolin__v1__list_api_keys_request__descriptor,
        .out = &pangolin__v1__list_api_keys_response__descriptor,
        .handle = list_api_keys,
    },
    {
        .path = "/pangolin.v1.ServiceUserService/DeleteApiKey",
        .in = &pangolin__v1__delete_api_key_request__descriptor,
        .out = &pangolin__v1__delete_api_key_response__descriptor,
        .handle = delete_api_key,
    },
};

const pang_service pang_service_service_user = {
    .name = "pangolin.v1.ServiceUserService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
