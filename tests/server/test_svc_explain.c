/*
 * Explanations: the answer, the reason, and all that was looked at.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "server/scopes.h"

#include "pangolin/v1/asset.pb-c.h"
#include "pangolin/v1/role.pb-c.h"
#include "pangolin/v1/user.pb-c.h"

typedef Pangolin__V1__ExplainPermissionResponse explanation;
typedef Pangolin__V1__Role role;

static char *create_user(fixture *fx, const char *name, const char *rank)
{
    Pangolin__V1__CreateUserRequest in = PANGOLIN__V1__CREATE_USER_REQUEST__INIT;
    Pangolin__V1__CreateUserResponse out;
    in.username = TEXT(name);
    in.role = TEXT(rank);
    assert_int_equal(fx_call(fx, "CreateUser", &in, &out), PANG_OK);
    return out.user->id;
}

static role *create_role(fixture *fx, const char *name, char *include)
{
    Pangolin__V1__CreateRoleRequest in = PANGOLIN__V1__CREATE_ROLE_REQUEST__INIT;
    Pangolin__V1__CreateRoleResponse out;
    in.name = TEXT(name);
    in.included_roles = &include;
    in.n_included_roles = include != NULL;
    assert_int_equal(fx_call(fx, "CreateRole", &in, &out), PANG_OK);
    return out.role;
}

/* The role gives one action on one namespace. */
static void give(fixture *fx, const role *to, const char *ns, const char *action)
{
    Pangolin__V1__UpdateRoleRequest in = PANGOLIN__V1__UPDATE_ROLE_REQUEST__INIT;
    Pangolin__V1__UpdateRoleResponse out;
    Pangolin__V1__RolePermissions wanted = PANGOLIN__V1__ROLE_PERMISSIONS__INIT;
    Pangolin__V1__RolePermission item = PANGOLIN__V1__ROLE_PERMISSION__INIT, *items = &item;
    Pangolin__V1__PermissionScope what = PANGOLIN__V1__PERMISSION_SCOPE__INIT;
    char *actions[] = {TEXT(action)};
    what.type = TEXT("namespace");
    what.catalog_id = TEXT(FX_PREFIX);
    what.namespace_ = TEXT(ns);
    item.scope = &what;
    item.actions = actions;
    item.n_actions = 1;
    wanted.items = &items;
    wanted.n_items = 1;
    in.id = to->id;
    in.permissions = &wanted;
    assert_int_equal(fx_call(fx, "UpdateRole", &in, &out), PANG_OK);
}

static void assign(fixture *fx, char *user, char *id)
{
    Pangolin__V1__AssignRoleRequest in = PANGOLIN__V1__ASSIGN_ROLE_REQUEST__INIT;
    Pangolin__V1__AssignRoleResponse out;
    in.id = user;
    in.role_id = id;
    assert_int_equal(fx_call(fx, "AssignRole", &in, &out), PANG_OK);
}

static pang_code explain_at(fixture *fx, char *user, const char *action, const char *type,
                            const char *ns, const char *asset, const char *ref, explanation *out)
{
    Pangolin__V1__ExplainPermissionRequest in = PANGOLIN__V1__EXPLAIN_PERMISSION_REQUEST__INIT;
    in.user = user;
    in.action = TEXT(action);
    in.type = TEXT(type);
    in.catalog = TEXT(FX_PREFIX);
    in.namespace_ = TEXT(ns);
    in.asset = TEXT(asset);
    in.branch = TEXT(ref);
    return fx_call(fx, "ExplainPermission", &in, out);
}

static pang_code explain(fixture *fx, char *user, const char *action, const char *type,
                         const char *ns, const char *asset, explanation *out)
{
    return explain_at(fx, user, action, type, ns, asset, "", out);
}

static void test_svc_explain__a_grant_of_an_included_role(void **state)
{
    fixture *fx = *state;
    explanation out;
    char *ann = create_user(fx, "ann", "tenant-user");
    assert_int_equal(fx_create_namespace(fx, "sales"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "hr"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "sales", "orders", NULL), PANG_OK);
    role *inner = create_role(fx, "inner", NULL);
    role *outer = create_role(fx, "outer", inner->id);
    give(fx, inner, "sales", "read");
    assign(fx, ann, outer->id);

    assert_int_equal(explain(fx, ann, "read", "asset", "sales", "orders", &out), PANG_OK);
    assert_true(out.allowed);
    assert_string_equal(out.reason, "a grant of the role \"inner\" allows it");
    assert_int_equal(out.n_grants, 1);
    assert_true(out.grants[0]->covers);
    assert_true(out.grants[0]->implies);
    assert_string_equal(out.grants[0]->role_id, inner->id);
    assert_int_equal(out.grants[0]->n_role_path, 2);
    assert_string_equal(out.grants[0]->role_path[0], "outer");
    assert_string_equal(out.grants[0]->role_path[1], "inner");
    assert_string_equal(out.grants[0]->permission->scope->namespace_, "sales");

    assert_int_equal(explain(fx, ann, "write", "namespace", "sales", "", &out), PANG_OK);
    assert_false(out.allowed);
    assert_non_null(strstr(out.reason, "write or all"));
    assert_true(out.grants[0]->covers);
    assert_false(out.grants[0]->implies);
    assert_int_equal(explain(fx, ann, "read", "namespace", "hr", "", &out), PANG_OK);
    assert_false(out.allowed);
    assert_false(out.grants[0]->covers);
    assert_int_equal(explain(fx, ann, "list", "catalog", "", "", &out), PANG_OK);
    assert_true(out.allowed);
}

static void test_svc_explain__ranks(void **state)
{
    fixture *fx = *state;
    explanation out;
    char *boss = create_user(fx, "boss", "tenant-admin"),
         *ann = create_user(fx, "ann", "tenant-user");
    assert_int_equal(explain(fx, boss, "all", "tenant", "", "", &out), PANG_OK);
    assert_true(out.allowed);
    assert_string_equal(out.reason, "it is an administrator of the tenant");
    Pangolin__V1__UpdateUserRequest in = PANGOLIN__V1__UPDATE_USER_REQUEST__INIT;
    Pangolin__V1__UpdateUserResponse updated;
    in.id = boss;
    in._active_case = PANGOLIN__V1__UPDATE_USER_REQUEST___ACTIVE_ACTIVE;
    assert_int_equal(fx_call(fx, "UpdateUser", &in, &updated), PANG_OK);
    assert_int_equal(explain(fx, boss, "all", "tenant", "", "", &out), PANG_OK);
    assert_false(out.allowed);
    assert_string_equal(out.reason, "the principal is not active");
    assert_int_equal(explain(fx, ann, "read", "catalog", "", "", &out), PANG_OK);
    assert_false(out.allowed);
    assert_int_equal(out.n_grants, 0);
}

static void test_svc_explain__what_is_asked_about_must_be_there(void **state)
{
    fixture *fx = *state;
    explanation out;
    char *ann = create_user(fx, "ann", "tenant-user");
    assert_int_equal(fx_create_namespace(fx, "sales"), PANG_OK);
    assert_int_equal(explain(fx, ann, "read", "namespace", "none", "", &out), PANG_NOT_FOUND);
    assert_int_equal(explain(fx, ann, "read", "asset", "sales", "none", &out), PANG_NOT_FOUND);
    assert_int_equal(explain(fx, TEXT("none"), "read", "tenant", "", "", &out), PANG_NOT_FOUND);
    assert_int_equal(explain(fx, ann, "fly", "tenant", "", "", &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(explain(fx, ann, "read", "tag", "", "", &out), PANG_INVALID_ARGUMENT);
}

/* The table sales.orders is hr.orders on dev from then on; its id. */
static char *move_on_dev(fixture *fx)
{
    Pangolin__V1__RenameTableRequest in = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    Pangolin__V1__RenameTableResponse renamed;
    Pangolin__V1__TableIdentifier from = PANGOLIN__V1__TABLE_IDENTIFIER__INIT, to = from;
    Pangolin__V1__GetAssetRequest get = PANGOLIN__V1__GET_ASSET_REQUEST__INIT;
    Pangolin__V1__GetAssetResponse out;
    from.namespace_ = fx_levels(fx, "sales", &from.n_namespace_);
    to.namespace_ = get.namespace_ = fx_levels(fx, "hr", &to.n_namespace_);
    get.n_namespace_ = to.n_namespace_;
    from.name = to.name = get.asset = TEXT("orders");
    in.prefix = get.catalog = TEXT(FX_PREFIX "@dev");
    in.source = &from;
    in.destination = &to;
    fx_ok(fx, fx_call(fx, "RenameTable", &in, &renamed));
    fx_ok(fx, fx_call(fx, "GetAsset", &get, &out));
    return out.id;
}

/* Where an asset is, and so which grants cover it, is asked of the ref; by its id, too. */
static void test_svc_explain__at_a_branch(void **state)
{
    fixture *fx = *state;
    explanation out;
    char *ann = create_user(fx, "ann", "tenant-user");
    fx_ok(fx, fx_create_namespace(fx, "sales"));
    fx_ok(fx, fx_create_namespace(fx, "hr"));
    fx_ok(fx, fx_create_table(fx, "sales", "orders", NULL));
    role *reader = create_role(fx, "reader", NULL);
    give(fx, reader, "hr", "read");
    assign(fx, ann, reader->id);
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    const char *id = move_on_dev(fx);
    fx_ok(fx, explain_at(fx, ann, "read", "asset", "hr", "orders", "dev", &out));
    assert_true(out.allowed);
    fx_ok(fx, explain_at(fx, ann, "read", "asset", "", id, "dev", &out));
    assert_true(out.allowed);
    fx_ok(fx, explain(fx, ann, "read", "asset", "", id, &out));
    assert_false(out.allowed);
    assert_int_equal(explain(fx, ann, "read", "asset", "hr", "orders", &out), PANG_NOT_FOUND);
    assert_int_equal(explain_at(fx, ann, "read", "asset", "sales", "orders", "dev", &out),
                     PANG_NOT_FOUND);
    assert_int_equal(explain_at(fx, ann, "read", "namespace", "hr", "", "none", &out),
                     PANG_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_svc_explain__a_grant_of_an_included_role),
        TEST(test_svc_explain__ranks),
        TEST(test_svc_explain__what_is_asked_about_must_be_there),
        TEST(test_svc_explain__at_a_branch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
