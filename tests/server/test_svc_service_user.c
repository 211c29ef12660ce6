/*
 * Service users and their keys.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "server/api_key.h"
#include "server/identity.h"

#include "pangolin/v1/service_user.pb-c.h"

typedef Pangolin__V1__CreatedApiKey created;

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static int setup(void **state)
{
    (void)fx_setup(state);
    fixture *fx = *state;
    pang_keyring_config config = {.env = &fx->env, .db = fx->db, .sealer = fx->sealer};
    assert_int_equal(pang_keyring_open(&config, &fx->server.keyring, &fx->err), PANG_OK);
    return 0;
}

static int teardown(void **state)
{
    fixture *fx = *state;
    pang_keyring_close(fx->server.keyring);
    return fx_teardown(state);
}

static pang_code create(fixture *fx, const char *name, const char *role, int days, created **ret)
{
    Pangolin__V1__CreateServiceUserRequest in = PANGOLIN__V1__CREATE_SERVICE_USER_REQUEST__INIT;
    Pangolin__V1__CreateServiceUserResponse out;
    in.name = text(name);
    in.role = text(role);
    in.expires_in_days = days;
    pang_code code = fx_call(fx, "CreateServiceUser", &in, &out);
    if (code == PANG_OK)
        *ret = out.key;
    return code;
}

static pang_code rotate(fixture *fx, char *id, created **ret)
{
    Pangolin__V1__RotateApiKeyRequest in = PANGOLIN__V1__ROTATE_API_KEY_REQUEST__INIT;
    Pangolin__V1__RotateApiKeyResponse out;
    in.id = id;
    pang_code code = fx_call(fx, "RotateApiKey", &in, &out);
    if (code == PANG_OK)
        *ret = out.key;
    return code;
}

static pang_code use(fixture *fx, const char *key)
{
    Pangolin__Store__V1__ApiKey *found;
    pang_err err;
    return pang_api_key_find(fx_begin(fx), fx->server.keyring, &fx->env, pang_str_from(key),
                             fx->arena, &found, &err);
}

static size_t keys_of(fixture *fx, char *id, Pangolin__V1__ListApiKeysResponse *out)
{
    Pangolin__V1__ListApiKeysRequest in = PANGOLIN__V1__LIST_API_KEYS_REQUEST__INIT;
    in.id = id;
    assert_int_equal(fx_call(fx, "ListApiKeys", &in, out), PANG_OK);
    return out->n_keys;
}

static void test_svc_service_user__its_key_is_shown_once(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetServiceUserRequest in = PANGOLIN__V1__GET_SERVICE_USER_REQUEST__INIT;
    Pangolin__V1__GetServiceUserResponse out;
    created *made = NULL;
    char packed[4096];
    assert_int_equal(create(fx, "etl", "TenantUser", 30, &made), PANG_OK);
    assert_int_equal(strlen(made->api_key), PANG_API_KEY_TEXT);
    assert_string_equal(made->role, "tenant-user");
    assert_string_not_equal(made->expires_at, "");
    assert_int_equal(use(fx, made->api_key), PANG_OK);
    in.id = made->id;
    assert_int_equal(fx_call(fx, "GetServiceUser", &in, &out), PANG_OK);
    assert_string_equal(out.service_user->name, "etl");
    assert_string_equal(out.service_user->expires_at, made->expires_at);
    assert_string_equal(out.service_user->last_used, "");
    size_t size = pangolin__v1__get_service_user_response__pack(&out, (uint8_t *)packed);
    assert_true(size < sizeof packed);
    assert_null(memmem(packed, size, made->api_key + 4 + PANG_API_KEY_ID + 1, 16));
}

static void test_svc_service_user__bad_fields_and_duplicates(void **state)
{
    fixture *fx = *state;
    created *made;
    assert_int_equal(create(fx, "etl", "tenant-user", 0, &made), PANG_OK);
    assert_string_equal(made->expires_at, "");
    assert_int_equal(create(fx, "etl", "tenant-user", 0, &made), PANG_ALREADY_EXISTS);
    assert_int_equal(create(fx, "", "tenant-user", 0, &made), PANG_INVALID_ARGUMENT);
    assert_int_equal(create(fx, "x", "root", 0, &made), PANG_INVALID_ARGUMENT);
    assert_int_equal(create(fx, "x", "", 0, &made), PANG_INVALID_ARGUMENT);
    assert_int_equal(create(fx, "x", "tenant-user", -1, &made), PANG_INVALID_ARGUMENT);
    assert_int_equal(create(fx, "x", "tenant-user", 1 << 30, &made), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "expires_in_days"));
}

static void test_svc_service_user__two_keys_are_active(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListApiKeysResponse keys;
    Pangolin__V1__DeleteApiKeyRequest in = PANGOLIN__V1__DELETE_API_KEY_REQUEST__INIT;
    Pangolin__V1__DeleteApiKeyResponse out;
    created *first = NULL, *second = NULL, *third = NULL;
    assert_int_equal(create(fx, "etl", "tenant-user", 0, &first), PANG_OK);
    assert_int_equal(rotate(fx, first->id, &second), PANG_OK);
    assert_int_equal(use(fx, first->api_key), PANG_OK);
    assert_int_equal(rotate(fx, first->id, &third), PANG_OK);
    assert_int_equal(use(fx, first->api_key), PANG_UNAUTHENTICATED);
    assert_int_equal(use(fx, second->api_key), PANG_OK);
    assert_int_equal(keys_of(fx, first->id, &keys), 2);
    assert_memory_equal(keys.keys[0]->id, third->api_key + 4, PANG_API_KEY_ID);
    in.id = first->id;
    in.key_id = keys.keys[1]->id;
    assert_int_equal(fx_call(fx, "DeleteApiKey", &in, &out), PANG_OK);
    assert_int_equal(fx_call(fx, "DeleteApiKey", &in, &out), PANG_NOT_FOUND);
    assert_int_equal(use(fx, second->api_key), PANG_UNAUTHENTICATED);
    assert_int_equal(use(fx, third->api_key), PANG_OK);
}

static void test_svc_service_user__changes_and_end(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__UpdateServiceUserRequest in = PANGOLIN__V1__UPDATE_SERVICE_USER_REQUEST__INIT;
    Pangolin__V1__UpdateServiceUserResponse updated;
    Pangolin__V1__DeleteServiceUserRequest end = PANGOLIN__V1__DELETE_SERVICE_USER_REQUEST__INIT;
    Pangolin__V1__DeleteServiceUserResponse ended;
    Pangolin__V1__ListServiceUsersRequest list = PANGOLIN__V1__LIST_SERVICE_USERS_REQUEST__INIT;
    Pangolin__V1__ListServiceUsersResponse all;
    created *made = NULL, *other = NULL;
    assert_int_equal(create(fx, "etl", "tenant-user", 0, &made), PANG_OK);
    assert_int_equal(create(fx, "bi", "tenant-admin", 0, &other), PANG_OK);
    in.id = made->id;
    in._name_case = PANGOLIN__V1__UPDATE_SERVICE_USER_REQUEST___NAME_NAME;
    in.name = text("bi");
    assert_int_equal(fx_call(fx, "UpdateServiceUser", &in, &updated), PANG_ALREADY_EXISTS);
    in.name = text("a-etl");
    in._active_case = PANGOLIN__V1__UPDATE_SERVICE_USER_REQUEST___ACTIVE_ACTIVE;
    assert_int_equal(fx_call(fx, "UpdateServiceUser", &in, &updated), PANG_OK);
    assert_string_equal(updated.status, "updated");
    assert_int_equal(fx_call(fx, "ListServiceUsers", &list, &all), PANG_OK);
    assert_int_equal(all.n_service_users, 2);
    assert_string_equal(all.service_users[0]->name, "a-etl");
    assert_false(all.service_users[0]->active);
    end.id = made->id;
    assert_int_equal(fx_call(fx, "DeleteServiceUser", &end, &ended), PANG_OK);
    assert_string_equal(ended.status, "deleted");
    assert_int_equal(use(fx, made->api_key), PANG_UNAUTHENTICATED);
    assert_int_equal(use(fx, other->api_key), PANG_OK);
    assert_int_equal(fx_call(fx, "DeleteServiceUser", &end, &ended), PANG_NOT_FOUND);
    assert_int_equal(create(fx, "etl", "tenant-user", 0, &made), PANG_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_svc_service_user__its_key_is_shown_once),
        TEST(test_svc_service_user__bad_fields_and_duplicates),
        TEST(test_svc_service_user__two_keys_are_active),
        TEST(test_svc_service_user__changes_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
