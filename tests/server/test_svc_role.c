/*
 * Roles and who has them, and grants made to principals.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "server/scopes.h"

#include "pangolin/v1/role.pb-c.h"
#include "pangolin/v1/user.pb-c.h"

#define NOBODY "00000000-0000-0000-0000-000000000001"

typedef Pangolin__V1__Role role;
typedef Pangolin__V1__Permission permission;
typedef Pangolin__V1__PermissionScope scope;

static char *text(const char *literal)
{
    return (char *)(uintptr_t)literal;
}

/* ---- calls ---- */

static pang_code create_role(fixture *fx, const char *name, char *include, role **ret)
{
    Pangolin__V1__CreateRoleRequest in = PANGOLIN__V1__CREATE_ROLE_REQUEST__INIT;
    Pangolin__V1__CreateRoleResponse out;
    in.name = text(name);
    in.included_roles = &include;
    in.n_included_roles = include != NULL;
    pang_code code = fx_call(fx, "CreateRole", &in, &out);
    if (code == PANG_OK)
        *ret = out.role;
    return code;
}

static pang_code get_role(fixture *fx, char *id, role **ret)
{
    Pangolin__V1__GetRoleRequest in = PANGOLIN__V1__GET_ROLE_REQUEST__INIT;
    Pangolin__V1__GetRoleResponse out;
    in.id = id;
    pang_code code = fx_call(fx, "GetRole", &in, &out);
    if (code == PANG_OK)
        *ret = out.role;
    return code;
}

static pang_code include(fixture *fx, const role *in, char *other)
{
    Pangolin__V1__UpdateRoleRequest update = PANGOLIN__V1__UPDATE_ROLE_REQUEST__INIT;
    Pangolin__V1__UpdateRoleResponse out;
    Pangolin__V1__RoleIds ids = PANGOLIN__V1__ROLE_IDS__INIT;
    update.id = in->id;
    update.included_roles = &ids;
    ids.items = &other;
    ids.n_items = other != NULL;
    return fx_call(fx, "UpdateRole", &update, &out);
}

static pang_code drop_role(fixture *fx, const role *in, bool cascade)
{
    Pangolin__V1__DeleteRoleRequest request = PANGOLIN__V1__DELETE_ROLE_REQUEST__INIT;
    Pangolin__V1__DeleteRoleResponse out;
    request.id = in->id;
    request.cascade = cascade;
    return fx_call(fx, "DeleteRole", &request, &out);
}

static pang_code assign(fixture *fx, char *user, char *id)
{
    Pangolin__V1__AssignRoleRequest in = PANGOLIN__V1__ASSIGN_ROLE_REQUEST__INIT;
    Pangolin__V1__AssignRoleResponse out;
    in.id = user;
    in.role_id = id;
    return fx_call(fx, "AssignRole", &in, &out);
}

static pang_code unassign(fixture *fx, char *user, char *id)
{
    Pangolin__V1__UnassignRoleRequest in = PANGOLIN__V1__UNASSIGN_ROLE_REQUEST__INIT;
    Pangolin__V1__UnassignRoleResponse out;
    in.id = user;
    in.role_id = id;
    return fx_call(fx, "UnassignRole", &in, &out);
}

/* Names of the user's roles on one page. */
static const char *roles_of(fixture *fx, char *user, int page_size, char **token)
{
    Pangolin__V1__ListUserRolesRequest in = PANGOLIN__V1__LIST_USER_ROLES_REQUEST__INIT;
    Pangolin__V1__ListUserRolesResponse out;
    const char *names = "";
    in.id = user;
    in.page_size = page_size;
    if (token != NULL && *token != NULL) {
        in._page_token_case = PANGOLIN__V1__LIST_USER_ROLES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
        in.page_token = *token;
    }
    assert_int_equal(fx_call(fx, "ListUserRoles", &in, &out), PANG_OK);
    for (size_t i = 0; i < out.n_roles; i++)
        names = fx_text(fx, "%s %s", names, out.roles[i]->name);
    if (token != NULL)
        *token = out.next_page_token;
    return names;
}

static char *create_user(fixture *fx, const char *name)
{
    Pangolin__V1__CreateUserRequest in = PANGOLIN__V1__CREATE_USER_REQUEST__INIT;
    Pangolin__V1__CreateUserResponse out;
    in.username = text(name);
    in.role = text("tenant-user");
    assert_int_equal(fx_call(fx, "CreateUser", &in, &out), PANG_OK);
    return out.user->id;
}

static pang_code drop_user(fixture *fx, char *id)
{
    Pangolin__V1__DeleteUserRequest in = PANGOLIN__V1__DELETE_USER_REQUEST__INIT;
    Pangolin__V1__DeleteUserResponse out;
    in.id = id;
    return fx_call(fx, "DeleteUser", &in, &out);
}

static pang_code grant(fixture *fx, char *user, scope *what, const char *action, permission **ret)
{
    Pangolin__V1__GrantPermissionRequest in = PANGOLIN__V1__GRANT_PERMISSION_REQUEST__INIT;
    Pangolin__V1__GrantPermissionResponse out;
    char *actions[] = {text(action)};
    in.user_id = user;
    in.scope = what;
    in.actions = actions;
    in.n_actions = action[0] != '\0';
    pang_code code = fx_call(fx, "GrantPermission", &in, &out);
    if (code == PANG_OK && ret != NULL)
        *ret = out.permission;
    return code;
}

static pang_code revoke(fixture *fx, char *id)
{
    Pangolin__V1__RevokePermissionRequest in = PANGOLIN__V1__REVOKE_PERMISSION_REQUEST__INIT;
    Pangolin__V1__RevokePermissionResponse out;
    in.id = id;
    return fx_call(fx, "RevokePermission", &in, &out);
}

static size_t grants_of(fixture *fx, char *user, char *of_role)
{
    Pangolin__V1__ListPermissionsRequest in = PANGOLIN__V1__LIST_PERMISSIONS_REQUEST__INIT;
    Pangolin__V1__ListPermissionsResponse out;
    in.user = user;
    in.role = of_role;
    assert_int_equal(fx_call(fx, "ListPermissions", &in, &out), PANG_OK);
    return out.n_permissions;
}

static scope scope_of(const char *type, const char *catalog, const char *ns)
{
    scope to = PANGOLIN__V1__PERMISSION_SCOPE__INIT;
    to.type = text(type);
    to.catalog_id = text(catalog);
    to.namespace_ = text(ns);
    return to;
}

/* ---- roles ---- */

static void test_svc_role__names_are_unique_and_changes_are_what_was_named(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__UpdateRoleRequest in = PANGOLIN__V1__UPDATE_ROLE_REQUEST__INIT;
    Pangolin__V1__UpdateRoleResponse out;
    role *reader, *writer = NULL, *got;
    assert_int_equal(create_role(fx, "reader", NULL, &reader), PANG_OK);
    assert_int_equal(create_role(fx, "reader", NULL, &writer), PANG_ALREADY_EXISTS);
    assert_int_equal(create_role(fx, "", NULL, &writer), PANG_INVALID_ARGUMENT);
    assert_int_equal(create_role(fx, "writer", reader->id, &writer), PANG_OK);
    assert_non_null(writer);
    in.id = writer->id;
    in._name_case = PANGOLIN__V1__UPDATE_ROLE_REQUEST___NAME_NAME;
    in.name = text("reader");
    assert_int_equal(fx_call(fx, "UpdateRole", &in, &out), PANG_ALREADY_EXISTS);
    in.name = text("editor");
    assert_int_equal(fx_call(fx, "UpdateRole", &in, &out), PANG_OK);
    assert_int_equal(get_role(fx, writer->id, &got), PANG_OK);
    assert_string_equal(got->name, "editor");
    assert_int_equal(got->n_included_roles, 1);
    assert_string_equal(got->included_roles[0], reader->id);
    assert_int_equal(create_role(fx, "writer", NULL, &writer), PANG_OK);
    assert_int_equal(get_role(fx, text(NOBODY), &got), PANG_NOT_FOUND);
    assert_int_equal(create_role(fx, "x", text(NOBODY), &got), PANG_NOT_FOUND);
}

static void test_svc_role__rings_are_refused(void **state)
{
    fixture *fx = *state;
    role *a, *b, *c;
    assert_int_equal(create_role(fx, "a", NULL, &a), PANG_OK);
    assert_int_equal(create_role(fx, "b", a->id, &b), PANG_OK);
    assert_int_equal(create_role(fx, "c", b->id, &c), PANG_OK);
    assert_int_equal(include(fx, a, a->id), PANG_FAILED_PRECONDITION);
    assert_int_equal(include(fx, a, b->id), PANG_FAILED_PRECONDITION);
    assert_int_equal(include(fx, a, c->id), PANG_FAILED_PRECONDITION);
    assert_int_equal(include(fx, b, NULL), PANG_OK);
    assert_int_equal(include(fx, a, c->id), PANG_OK);
    assert_int_equal(include(fx, b, a->id), PANG_FAILED_PRECONDITION);
}

/* Another commit between a look at all roles and the commit of what was concluded from it: of roles
 * that it neither changes nor names. */
static void test_svc_role__two_at_once_make_no_ring(void **state)
{
    fixture *fx = *state;
    role *a, *b, *x, *y;
    pang_err err;
    assert_int_equal(create_role(fx, "a", NULL, &a), PANG_OK);
    assert_int_equal(create_role(fx, "x", NULL, &x), PANG_OK);
    assert_int_equal(create_role(fx, "b", x->id, &b), PANG_OK);
    assert_int_equal(create_role(fx, "y", a->id, &y), PANG_OK);
    pang_txn *txn = fx_begin(fx);
    pang_call call = {.server = &fx->server,
                      .who = &fx->who,
                      .txn = txn,
                      .arena = fx->arena,
                      .tenant_key = fx->scope};
    Pangolin__V1__UpdateRoleRequest in = PANGOLIN__V1__UPDATE_ROLE_REQUEST__INIT;
    Pangolin__V1__UpdateRoleResponse out = PANGOLIN__V1__UPDATE_ROLE_RESPONSE__INIT;
    Pangolin__V1__RoleIds ids = PANGOLIN__V1__ROLE_IDS__INIT;
    in.id = a->id;
    in.included_roles = &ids;
    ids.items = &b->id;
    ids.n_items = 1;
    for (size_t i = 0; i < pang_service_role.n; i++)
        if (strstr(pang_service_role.methods[i].path, "UpdateRole") != NULL)
            assert_int_equal(pang_service_role.methods[i].handle(&call, &in, &out, &err), PANG_OK);
    assert_int_equal(include(fx, x, y->id), PANG_OK);
    assert_int_equal(pang_txn_commit(txn, &err), PANG_ABORTED);
}

static void test_svc_role__one_in_use_goes_when_asked(void **state)
{
    fixture *fx = *state;
    role *a, *b, *got;
    char *ann = create_user(fx, "ann");
    assert_int_equal(create_role(fx, "a", NULL, &a), PANG_OK);
    assert_int_equal(create_role(fx, "b", a->id, &b), PANG_OK);
    assert_int_equal(assign(fx, ann, a->id), PANG_OK);
    assert_int_equal(drop_role(fx, a, false), PANG_FAILED_PRECONDITION);
    assert_int_equal(unassign(fx, ann, a->id), PANG_OK);
    assert_int_equal(drop_role(fx, a, false), PANG_FAILED_PRECONDITION);
    assert_int_equal(assign(fx, ann, a->id), PANG_OK);
    assert_int_equal(drop_role(fx, a, true), PANG_OK);
    assert_int_equal(get_role(fx, b->id, &got), PANG_OK);
    assert_int_equal(got->n_included_roles, 0);
    assert_string_equal(roles_of(fx, ann, 0, NULL), "");
    assert_int_equal(drop_role(fx, b, false), PANG_OK);
    assert_int_equal(drop_role(fx, b, false), PANG_NOT_FOUND);
}

/* ---- assignments ---- */

static void test_svc_role__assignments_are_listed_by_name(void **state)
{
    fixture *fx = *state;
    role *a, *b, *c;
    char *ann = create_user(fx, "ann"), *token = NULL;
    assert_int_equal(create_role(fx, "c", NULL, &c), PANG_OK);
    assert_int_equal(create_role(fx, "a", NULL, &a), PANG_OK);
    assert_int_equal(create_role(fx, "b", NULL, &b), PANG_OK);
    assert_int_equal(assign(fx, ann, c->id), PANG_OK);
    assert_int_equal(assign(fx, ann, a->id), PANG_OK);
    assert_int_equal(assign(fx, ann, b->id), PANG_OK);
    assert_int_equal(assign(fx, ann, b->id), PANG_OK);
    assert_string_equal(roles_of(fx, ann, 0, NULL), " a b c");
    assert_string_equal(roles_of(fx, ann, 2, &token), " a b");
    assert_string_equal(roles_of(fx, ann, 2, &token), " c");
    assert_string_equal(token, "");
    assert_int_equal(assign(fx, text(NOBODY), a->id), PANG_NOT_FOUND);
    assert_int_equal(assign(fx, ann, text(NOBODY)), PANG_NOT_FOUND);
    assert_int_equal(unassign(fx, ann, a->id), PANG_OK);
    assert_int_equal(unassign(fx, ann, a->id), PANG_NOT_FOUND);
}

static void test_svc_role__a_deleted_user_has_none(void **state)
{
    fixture *fx = *state;
    role *a;
    char *ann = create_user(fx, "ann");
    scope all = scope_of("tenant", "", "");
    assert_int_equal(create_role(fx, "a", NULL, &a), PANG_OK);
    assert_int_equal(assign(fx, ann, a->id), PANG_OK);
    assert_int_equal(grant(fx, ann, &all, "read", NULL), PANG_OK);
    assert_int_equal(drop_user(fx, ann), PANG_OK);
    assert_int_equal(drop_role(fx, a, false), PANG_OK);
    assert_int_equal(grants_of(fx, text(""), text("")), 0);
}

/* ---- grants ---- */

static void test_svc_permission__scopes_name_what_is_there(void **state)
{
    fixture *fx = *state;
    char *ann = create_user(fx, "ann");
    assert_int_equal(fx_create_namespace(fx, "sales"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "sales.eu"), PANG_OK);
    static const struct {
        const char *type, *catalog, *ns;
        pang_code code;
    } cases[] = {
        {"tenant", "", "", PANG_OK},
        {"catalog", FX_PREFIX, "", PANG_OK},
        {"catalog", "none", "", PANG_NOT_FOUND},
        {"catalog", FX_PREFIX "@main", "", PANG_NOT_FOUND},
        {"catalog", NOBODY, "", PANG_NOT_FOUND},
        {"catalog", "", "", PANG_INVALID_ARGUMENT},
        {"namespace", FX_PREFIX, "sales.eu", PANG_OK},
        {"namespace", FX_PREFIX,
         "sales\x1F"
         "eu",
         PANG_OK},
        {"namespace", FX_PREFIX, "sales.us", PANG_NOT_FOUND},
        {"namespace", FX_PREFIX, "sales..eu", PANG_INVALID_ARGUMENT},
        {"namespace", FX_PREFIX, "", PANG_INVALID_ARGUMENT},
        {"asset", FX_PREFIX, "sales", PANG_INVALID_ARGUMENT},
        {"tag", "", "", PANG_INVALID_ARGUMENT},
        {"galaxy", "", "", PANG_INVALID_ARGUMENT},
        {"", "", "", PANG_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        scope what = scope_of(cases[i].type, cases[i].catalog, cases[i].ns);
        pang_code code = grant(fx, ann, &what, "read", NULL);
        if (code != cases[i].code)
            fail_msg("%zu: %s: %s", i, pang_code_name(code), fx->err.message);
    }
    scope all = scope_of("tenant", "", "");
    assert_int_equal(grant(fx, ann, &all, "", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(grant(fx, ann, &all, "fly", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(grant(fx, ann, NULL, "read", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(grant(fx, text(NOBODY), &all, "read", NULL), PANG_NOT_FOUND);
    assert_int_equal(grants_of(fx, ann, text("")), 3);
}

static void test_svc_permission__an_asset_and_a_tag(void **state)
{
    fixture *fx = *state;
    pang_keys keys = {.arena = fx->arena, .scope = fx->scope};
    char *ann = create_user(fx, "ann");
    permission *made;
    assert_int_equal(fx_create_namespace(fx, "sales"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "sales", "orders", NULL), PANG_OK);
    pang_txn *txn = fx_begin(fx);
    pang_view view = fx_view(fx, txn);
    pang_str ns = PANG_STR("sales");
    pang_content content = {
        .name = pang_name_of_asset(&view.keys, (pang_levels){&ns, 1}, PANG_STR("orders"))};
    assert_int_equal(pang_content_get(&view, &content, 1, &fx->err), PANG_OK);
    pang_id asset = pang_id_of(content.body->asset);
    scope what = scope_of("asset", FX_PREFIX, "");
    what.asset_id = pang_manage_id_text(asset, fx->arena);
    assert_int_equal(grant(fx, ann, &what, "write", &made), PANG_OK);
    assert_string_equal(made->scope->namespace_, "sales");
    assert_string_equal(made->scope->asset_id, what.asset_id);
    scope tag = PANGOLIN__V1__PERMISSION_SCOPE__INIT;
    tag.type = text("tag");
    tag.tag_name = text("pii");
    assert_int_equal(grant(fx, ann, &tag, "read", NULL), PANG_NOT_FOUND);
    txn = fx_begin(fx);
    pang_txn_put(txn, PANG_KIND_TAGGED, pang_key_tagged(&keys, PANG_STR("pii"), asset),
                 PANG_STR(""));
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
    assert_int_equal(grant(fx, ann, &tag, "read", &made), PANG_OK);
    assert_string_equal(made->scope->tag_name, "pii");
}

static void test_svc_permission__the_same_again_is_the_same(void **state)
{
    fixture *fx = *state;
    char *ann = create_user(fx, "ann");
    scope all = scope_of("tenant", "", ""), one = scope_of("catalog", FX_PREFIX, "");
    permission *first, *again, *other;
    assert_int_equal(grant(fx, ann, &all, "read", &first), PANG_OK);
    assert_int_equal(grant(fx, ann, &all, "read", &again), PANG_OK);
    assert_string_equal(first->id, again->id);
    assert_int_equal(grant(fx, ann, &all, "write", &other), PANG_OK);
    assert_string_not_equal(first->id, other->id);
    assert_int_equal(grant(fx, ann, &one, "read", &other), PANG_OK);
    assert_int_equal(grants_of(fx, ann, text("")), 3);
    assert_int_equal(grants_of(fx, text(""), text("")), 3);
    assert_int_equal(revoke(fx, first->id), PANG_OK);
    assert_int_equal(revoke(fx, first->id), PANG_NOT_FOUND);
    assert_int_equal(grants_of(fx, ann, text("")), 2);
}

static void test_svc_role__grants_of_roles_are_replaced_whole(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__UpdateRoleRequest in = PANGOLIN__V1__UPDATE_ROLE_REQUEST__INIT;
    Pangolin__V1__UpdateRoleResponse out;
    Pangolin__V1__RolePermissions wanted = PANGOLIN__V1__ROLE_PERMISSIONS__INIT;
    Pangolin__V1__RolePermission item = PANGOLIN__V1__ROLE_PERMISSION__INIT, *items = &item;
    scope what = scope_of("catalog", FX_PREFIX, "");
    char *actions[] = {text("read"), text("list")};
    role *a, *got;
    assert_int_equal(create_role(fx, "a", NULL, &a), PANG_OK);
    item.scope = &what;
    item.actions = actions;
    item.n_actions = 2;
    wanted.items = &items;
    wanted.n_items = 1;
    in.id = a->id;
    in.permissions = &wanted;
    assert_int_equal(fx_call(fx, "UpdateRole", &in, &out), PANG_OK);
    assert_int_equal(get_role(fx, a->id, &got), PANG_OK);
    assert_int_equal(got->n_permissions, 1);
    assert_int_equal(got->permissions[0]->n_actions, 2);
    assert_int_equal(grants_of(fx, text(""), a->id), 1);
    /* As it was shown, it needs not be there any more. */
    pang_keys keys = {.arena = fx->arena, .scope = fx->scope};
    pang_txn *txn = fx_begin(fx);
    pang_txn_delete(txn, pang_key_catalog_name(&keys, PANG_STR(FX_PREFIX)));
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
    assert_int_equal(fx_call(fx, "UpdateRole", &in, &out), PANG_NOT_FOUND);
    item.scope = got->permissions[0]->scope;
    assert_int_equal(fx_call(fx, "UpdateRole", &in, &out), PANG_OK);
    wanted.n_items = 0;
    assert_int_equal(fx_call(fx, "UpdateRole", &in, &out), PANG_OK);
    assert_int_equal(grants_of(fx, text(""), a->id), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_svc_role__names_are_unique_and_changes_are_what_was_named),
        TEST(test_svc_role__rings_are_refused),
        TEST(test_svc_role__two_at_once_make_no_ring),
        TEST(test_svc_role__one_in_use_goes_when_asked),
        TEST(test_svc_role__assignments_are_listed_by_name),
        TEST(test_svc_role__a_deleted_user_has_none),
        TEST(test_svc_permission__scopes_name_what_is_there),
        TEST(test_svc_permission__an_asset_and_a_tag),
        TEST(test_svc_permission__the_same_again_is_the_same),
        TEST(test_svc_role__grants_of_roles_are_replaced_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
