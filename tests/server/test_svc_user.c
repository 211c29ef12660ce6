/*
 * Users: made, shown, changed and deleted with what they were given.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "server/identity.h"
#include "server/password.h"

#include "pangolin/v1/user.pb-c.h"

#define NOBODY "00000000-0000-0000-0000-000000000001"
#define OTHER_SCOPE PANG_STR("00000000000000000000000000000009")

typedef Pangolin__V1__UserInfo info;

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

static pang_code create_full(fixture *fx, const char *name, const char *email, const char *password,
                             const char *role, info **ret)
{
    Pangolin__V1__CreateUserRequest in = PANGOLIN__V1__CREATE_USER_REQUEST__INIT;
    Pangolin__V1__CreateUserResponse out;
    in.username = text(name);
    in.email = text(email);
    in.password = text(password);
    in.role = text(role);
    pang_code code = fx_call(fx, "CreateUser", &in, &out);
    if (code == PANG_OK && ret != NULL)
        *ret = out.user;
    return code;
}

static pang_code create(fixture *fx, const char *name, info **ret)
{
    return create_full(fx, name, fx_text(fx, "%s@example.org", name), "", "tenant-user", ret);
}

static pang_code get(fixture *fx, char *id, info **ret)
{
    Pangolin__V1__GetUserRequest in = PANGOLIN__V1__GET_USER_REQUEST__INIT;
    Pangolin__V1__GetUserResponse out;
    in.id = id;
    pang_code code = fx_call(fx, "GetUser", &in, &out);
    if (code == PANG_OK)
        *ret = out.user;
    return code;
}

static pang_code drop(fixture *fx, char *id)
{
    Pangolin__V1__DeleteUserRequest in = PANGOLIN__V1__DELETE_USER_REQUEST__INIT;
    Pangolin__V1__DeleteUserResponse out;
    in.id = id;
    return fx_call(fx, "DeleteUser", &in, &out);
}

static int64_t count_of(fixture *fx, pang_str what)
{
    pang_keys keys = {.arena = fx->arena, .scope = fx->scope};
    pang_ref ref = {.key = pang_key_count(&keys, what)};
    pang_record record;
    pang_txn *txn = fx_begin(fx);
    assert_int_equal(pang_txn_get(txn, &ref, 1, PANG_READ_UNCHECKED, &record, &fx->err), PANG_OK);
    return record.value;
}

static pang_rec_user *stored(fixture *fx, const char *id)
{
    pang_keys keys = {.arena = fx->arena, .scope = fx->scope};
    pang_rec_user *body;
    pang_record record;
    pang_id parsed;
    assert_true(pang_id_parse(pang_str_from(id), &parsed));
    assert_int_equal(
        pang_txn_get_one(fx_begin(fx), pang_key_user(&keys, parsed), &record, &fx->err), PANG_OK);
    assert_int_not_equal(record.version, 0);
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__user__descriptor, &record, fx->arena,
                                        &body, &fx->err),
                     PANG_OK);
    return body;
}

static pang_passwords *open_passwords(fixture *fx)
{
    static const pang_password_cost cheap = {.memory_kib = 64, .passes = 1, .lanes = 1};
    pang_passwords *passwords;
    assert_int_equal(pang_passwords_open(&fx->env, &cheap, &passwords, &fx->err), PANG_OK);
    fx->server.passwords = passwords;
    return passwords;
}

/* ---- create ---- */

static void test_svc_user__what_was_made_is_shown_without_secrets(void **state)
{
    fixture *fx = *state;
    pang_passwords *passwords = open_passwords(fx);
    info *made, *got;
    assert_int_equal(
        create_full(fx, "ann", "Ann@Example.org", "correct horse 9", "tenant-admin", &made),
        PANG_OK);
    assert_int_equal(get(fx, made->id, &got), PANG_OK);
    assert_string_equal(got->username, "ann");
    assert_string_equal(got->email, "Ann@Example.org");
    assert_string_equal(got->role, "tenant-admin");
    assert_string_equal(got->tenant_id, "00000000-0000-0000-0000-000000000000");
    assert_string_equal(got->last_login, "");
    assert_true(got->active);
    assert_int_equal(strlen(got->created_at), strlen("2026-01-02T03:04:05.678Z"));
    assert_int_equal(strncmp(stored(fx, made->id)->password, "$argon2id$", 10), 0);
    assert_int_equal(count_of(fx, PANG_COUNT_USERS), 1);
    assert_int_equal(count_of(fx, PANG_COUNT_AUTH), 1);
    pang_passwords_close(passwords);
}

static void test_svc_user__names_and_emails_are_unique_in_the_tenant(void **state)
{
    fixture *fx = *state;
    assert_int_equal(create(fx, "ann", NULL), PANG_OK);
    assert_int_equal(create(fx, "ann", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(create_full(fx, "bob", "ANN@example.org", "", "tenant-user", NULL),
                     PANG_ALREADY_EXISTS);
    assert_int_equal(create_full(fx, "c", "", "", "tenant-user", NULL), PANG_OK);
    assert_int_equal(create_full(fx, "d", "", "", "tenant-user", NULL), PANG_OK);
    assert_int_equal(count_of(fx, PANG_COUNT_USERS), 3);
}

static void test_svc_user__bad_fields_are_named(void **state)
{
    fixture *fx = *state;
    pang_passwords *passwords = open_passwords(fx);
    static const struct {
        const char *username, *email, *password, *role, *said;
    } cases[] = {
        {"", "a@b", "", "tenant-user", "username"},
        {"a\tb", "a@b", "", "tenant-user", "username"},
        {"ann", "no address", "", "tenant-user", "email"},
        {"ann", "a\n@b", "", "tenant-user", "email"},
        {"ann", "a@b", "short", "tenant-user", "password"},
        {"ann", "a@b", "", "root", "role"},
        {"ann", "a@b", "", "tenantuser", "role"},
        {"ann", "a@b", "", "", "role"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(create_full(fx, cases[i].username, cases[i].email, cases[i].password,
                                     cases[i].role, NULL),
                         PANG_INVALID_ARGUMENT);
        if (strstr(fx->err.message, cases[i].said) == NULL)
            fail_msg("%s: %s", cases[i].said, fx->err.message);
    }
    pang_passwords_close(passwords);
}

static void test_svc_user__a_tenant_must_be_there(void **state)
{
    fixture *fx = *state;
    fx->scope = OTHER_SCOPE;
    assert_int_equal(create(fx, "ann", NULL), PANG_NOT_FOUND);
    fx->scope = PANG_SYSTEM_SCOPE;
    assert_int_equal(create(fx, "ann", NULL), PANG_INVALID_ARGUMENT);
}

/* ---- list, get ---- */

static void test_svc_user__lists_are_by_name(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListUsersRequest in = PANGOLIN__V1__LIST_USERS_REQUEST__INIT;
    Pangolin__V1__ListUsersResponse out;
    assert_int_equal(create(fx, "bob", NULL), PANG_OK);
    assert_int_equal(create(fx, "ann", NULL), PANG_OK);
    in.page_size = 1;
    assert_int_equal(fx_call(fx, "ListUsers", &in, &out), PANG_OK);
    assert_int_equal(out.n_users, 1);
    assert_string_equal(out.users[0]->username, "ann");
    in._page_token_case = PANGOLIN__V1__LIST_USERS_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
    in.page_token = out.next_page_token;
    assert_int_equal(fx_call(fx, "ListUsers", &in, &out), PANG_OK);
    assert_string_equal(out.users[0]->username, "bob");
    assert_string_equal(out.next_page_token, "");
}

static void test_svc_user__foreign_and_absent_are_the_same(void **state)
{
    fixture *fx = *state;
    const char *said;
    info *made, *got;
    assert_int_equal(create(fx, "ann", &made), PANG_OK);
    assert_int_equal(get(fx, text(NOBODY), &got), PANG_NOT_FOUND);
    said = fx_text(fx, "%s", fx->err.reason);
    fx->scope = OTHER_SCOPE;
    assert_int_equal(get(fx, made->id, &got), PANG_NOT_FOUND);
    assert_string_equal(said, fx->err.reason);
    assert_int_equal(drop(fx, made->id), PANG_NOT_FOUND);
    assert_int_equal(get(fx, text("no id"), &got), PANG_NOT_FOUND);
}

static void test_svc_user__me(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetMeRequest in = PANGOLIN__V1__GET_ME_REQUEST__INIT;
    Pangolin__V1__GetMeResponse out;
    info *made;
    assert_int_equal(create(fx, "ann", &made), PANG_OK);
    assert_int_equal(fx_call(fx, "GetMe", &in, &out), PANG_OK);
    assert_string_equal(out.user->username, "anonymous");
    assert_true(pang_id_parse(pang_str_from(made->id), &fx->who.id));
    fx->who.kind = PANG_PRINCIPAL_TENANT_USER;
    assert_int_equal(fx_call(fx, "GetMe", &in, &out), PANG_OK);
    assert_string_equal(out.user->username, "ann");
    fx->who.kind = PANG_PRINCIPAL_ROOT;
    fx->who.name = PANG_STR("root");
    assert_int_equal(fx_call(fx, "GetMe", &in, &out), PANG_OK);
    assert_string_equal(out.user->role, "root");
    assert_string_equal(out.user->tenant_id, "");
}

/* ---- update, delete ---- */

static void test_svc_user__an_update_changes_what_it_names(void **state)
{
    fixture *fx = *state;
    pang_passwords *passwords = open_passwords(fx);
    Pangolin__V1__UpdateUserRequest in = PANGOLIN__V1__UPDATE_USER_REQUEST__INIT;
    Pangolin__V1__UpdateUserResponse out;
    info *made;
    assert_int_equal(create(fx, "ann", &made), PANG_OK);
    assert_int_equal(create(fx, "bob", NULL), PANG_OK);
    in.id = made->id;
    in._email_case = PANGOLIN__V1__UPDATE_USER_REQUEST___EMAIL_EMAIL;
    in.email = text("bob@EXAMPLE.org");
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &out), PANG_ALREADY_EXISTS);
    in.email = text("ANN@example.org");
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &out), PANG_OK);
    assert_int_equal(stored(fx, made->id)->token_epoch, 0);
    in.email = text("x@example.org");
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &out), PANG_OK);
    assert_int_equal(create_full(fx, "new", "ann@example.org", "", "tenant-user", NULL), PANG_OK);
    in._email_case = 0;
    in._active_case = PANGOLIN__V1__UPDATE_USER_REQUEST___ACTIVE_ACTIVE;
    in.active = false;
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &out), PANG_OK);
    assert_false(out.user->active);
    assert_string_equal(out.user->email, "x@example.org");
    assert_int_equal(stored(fx, made->id)->token_epoch, 1);
    in._active_case = 0;
    in._password_case = PANGOLIN__V1__UPDATE_USER_REQUEST___PASSWORD_PASSWORD;
    in.password = text("correct horse 9");
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &out), PANG_OK);
    assert_int_equal(stored(fx, made->id)->token_epoch, 2);
    assert_false(out.user->active);
    pang_passwords_close(passwords);
}

static void test_svc_user__nobody_deletes_or_disables_itself(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__UpdateUserRequest in = PANGOLIN__V1__UPDATE_USER_REQUEST__INIT;
    Pangolin__V1__UpdateUserResponse out;
    info *made;
    assert_int_equal(create(fx, "ann", &made), PANG_OK);
    assert_true(pang_id_parse(pang_str_from(made->id), &fx->who.id));
    assert_int_equal(drop(fx, made->id), PANG_FAILED_PRECONDITION);
    in.id = made->id;
    in._active_case = PANGOLIN__V1__UPDATE_USER_REQUEST___ACTIVE_ACTIVE;
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &out), PANG_FAILED_PRECONDITION);
}

static void test_svc_user__a_deleted_one_leaves_nothing(void **state)
{
    fixture *fx = *state;
    info *made, *got;
    assert_int_equal(create(fx, "ann", &made), PANG_OK);
    assert_int_equal(drop(fx, made->id), PANG_OK);
    assert_int_equal(get(fx, made->id, &got), PANG_NOT_FOUND);
    assert_int_equal(count_of(fx, PANG_COUNT_USERS), 0);
    assert_int_equal(count_of(fx, PANG_COUNT_AUTH), 2);
    assert_int_equal(create(fx, "ann", NULL), PANG_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_svc_user__what_was_made_is_shown_without_secrets),
        TEST(test_svc_user__names_and_emails_are_unique_in_the_tenant),
        TEST(test_svc_user__bad_fields_are_named),
        TEST(test_svc_user__a_tenant_must_be_there),
        TEST(test_svc_user__lists_are_by_name),
        TEST(test_svc_user__foreign_and_absent_are_the_same),
        TEST(test_svc_user__me),
        TEST(test_svc_user__an_update_changes_what_it_names),
        TEST(test_svc_user__nobody_deletes_or_disables_itself),
        TEST(test_svc_user__a_deleted_one_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
