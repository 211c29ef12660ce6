/*
 * server/svc_namespace.c and svc_config.c, through the small dispatcher.
 */
#include "tests/server/catalog_fixture.h"

#include <stdio.h>
#include <string.h>

typedef Pangolin__V1__CreateNamespaceRequest create_in;
typedef Pangolin__V1__LoadNamespaceResponse load_out;
typedef Pangolin__V1__ListNamespacesResponse list_out;
typedef Pangolin__V1__UpdateNamespacePropertiesRequest update_in;
typedef Pangolin__V1__UpdateNamespacePropertiesResponse update_out;

#define PREFIX ((char *)(uintptr_t)FX_PREFIX)

static void expect(fixture *fx, pang_code code, pang_code want, const char *reason,
                   const char *message)
{
    if (code != want)
        fail_msg("%s instead of %s: %s", pang_code_name(code), pang_code_name(want),
                 fx->err.message);
    assert_string_equal(fx->err.reason, reason);
    assert_string_equal(fx->err.message, message);
}

static pang_code load(fixture *fx, const char *dotted, load_out *out)
{
    Pangolin__V1__LoadNamespaceRequest in = PANGOLIN__V1__LOAD_NAMESPACE_REQUEST__INIT;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, dotted, &in.n_namespace_);
    return fx_call(fx, "LoadNamespace", &in, out);
}

static pang_code drop(fixture *fx, const char *dotted)
{
    Pangolin__V1__DropNamespaceRequest in = PANGOLIN__V1__DROP_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__DropNamespaceResponse out;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, dotted, &in.n_namespace_);
    return fx_call(fx, "DropNamespace", &in, &out);
}

static pang_code exists(fixture *fx, const char *dotted)
{
    Pangolin__V1__NamespaceExistsRequest in = PANGOLIN__V1__NAMESPACE_EXISTS_REQUEST__INIT;
    Pangolin__V1__NamespaceExistsResponse out;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, dotted, &in.n_namespace_);
    return fx_call(fx, "NamespaceExists", &in, &out);
}

static pang_code list(fixture *fx, const char *parent, const char *token, int page_size,
                      list_out *out)
{
    Pangolin__V1__ListNamespacesRequest in = PANGOLIN__V1__LIST_NAMESPACES_REQUEST__INIT;
    in.prefix = PREFIX;
    in.parent = fx_levels(fx, parent, &in.n_parent);
    if (parent[0] == '\0')
        in.n_parent = 0;
    in.page_size = page_size;
    if (token != NULL) {
        in._page_token_case = PANGOLIN__V1__LIST_NAMESPACES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
        in.page_token = (char *)(uintptr_t)token;
    }
    return fx_call(fx, "ListNamespaces", &in, out);
}

static const char *property(const load_out *out, const char *name)
{
    for (size_t i = 0; i < out->n_properties; i++)
        if (strcmp(out->properties[i]->key, name) == 0)
            return out->properties[i]->value;
    return NULL;
}

/* ---- create, load, drop ---- */

static void test_svc_namespace__created_ones_are_there(void **state)
{
    fixture *fx = *state;
    load_out out;
    assert_int_equal(fx_create_namespace(fx, "sales"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "sales.eu"), PANG_OK);
    assert_int_equal(exists(fx, "sales.eu"), PANG_OK);
    assert_int_equal(load(fx, "sales.eu", &out), PANG_OK);
    assert_int_equal(out.n_namespace_, 2);
    assert_string_equal(out.namespace_[1], "eu");
    assert_string_equal(property(&out, "location"), fx_text(fx, "%s/sales/eu", fx->warehouse));
}

static void test_svc_namespace__messages_are_those_that_suites_compare(void **state)
{
    fixture *fx = *state;
    load_out out;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    expect(fx, fx_create_namespace(fx, "a"), PANG_ALREADY_EXISTS, "AlreadyExistsException",
           "Namespace already exists: a");
    expect(fx, fx_create_namespace(fx, "no.b"), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: no");
    expect(fx, load(fx, "a.b", &out), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: a.b");
    expect(fx, exists(fx, "b"), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: b");
    expect(fx, drop(fx, "b"), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: b");
    assert_int_equal(fx_create_namespace(fx, "a.b"), PANG_OK);
    expect(fx, drop(fx, "a"), PANG_FAILED_PRECONDITION, "NamespaceNotEmptyException",
           "Namespace a is not empty");
}

static void test_svc_namespace__dropped_ones_can_come_again(void **state)
{
    fixture *fx = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
        assert_int_equal(fx_create_namespace(fx, "a.b"), PANG_OK);
        assert_int_equal(drop(fx, "a.b"), PANG_OK);
        assert_int_equal(drop(fx, "a"), PANG_OK);
        assert_int_equal(exists(fx, "a"), PANG_NOT_FOUND);
    }
}

static void test_svc_namespace__names_have_rules(void **state)
{
    fixture *fx = *state;
    char long_name[1200];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const char *const bad[] = {"", "a\nb", "\x7F", "a\xC2\x85", long_name, ".", ".."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        create_in in = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
        Pangolin__V1__CreateNamespaceResponse out;
        char *level = (char *)(uintptr_t)bad[i];
        in.prefix = PREFIX;
        in.namespace_ = &level;
        in.n_namespace_ = 1;
        assert_int_equal(fx_call(fx, "CreateNamespace", &in, &out), PANG_INVALID_ARGUMENT);
        assert_string_equal(fx->err.reason, "BadRequestException");
    }
    create_in none = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__CreateNamespaceResponse out;
    none.prefix = PREFIX;
    assert_int_equal(fx_call(fx, "CreateNamespace", &none, &out), PANG_INVALID_ARGUMENT);
}

static void test_svc_namespace__odd_names_are_names(void **state)
{
    fixture *fx = *state;
    static const char *const odd[] = {"a/b", "a%2Fb", "a b", "...", "\xC3\xA9", "a+b", "%", "\x1B"};
    for (size_t i = 0; i + 1 < sizeof odd / sizeof odd[0]; i++) {
        create_in in = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
        Pangolin__V1__CreateNamespaceResponse out;
        char *level = (char *)(uintptr_t)odd[i];
        in.prefix = PREFIX;
        in.namespace_ = &level;
        in.n_namespace_ = 1;
        if (fx_call(fx, "CreateNamespace", &in, &out) != PANG_OK)
            fail_msg("%s: %s", odd[i], fx->err.message);
    }
    list_out out;
    assert_int_equal(list(fx, "", NULL, 0, &out), PANG_OK);
    assert_int_equal(out.n_namespaces, sizeof odd / sizeof odd[0] - 1);
}

/* ---- properties ---- */

static pang_code update(fixture *fx, const char *ns, const char *removal, const char *key,
                        const char *value, update_out *out)
{
    update_in in = PANGOLIN__V1__UPDATE_NAMESPACE_PROPERTIES_REQUEST__INIT;
    Pangolin__V1__UpdateNamespacePropertiesRequest__UpdatesEntry
        entry = PANGOLIN__V1__UPDATE_NAMESPACE_PROPERTIES_REQUEST__UPDATES_ENTRY__INIT,
        *entries[] = {&entry};
    char *removals[] = {(char *)(uintptr_t)removal};
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.removals = removals;
    in.n_removals = removal != NULL;
    entry.key = (char *)(uintptr_t)key;
    entry.value = (char *)(uintptr_t)value;
    in.updates = entries;
    in.n_updates = key != NULL;
    return fx_call(fx, "UpdateNamespaceProperties", &in, out);
}

static void test_svc_namespace__properties_are_set_and_removed(void **state)
{
    fixture *fx = *state;
    update_out out;
    load_out loaded;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    assert_int_equal(update(fx, "a", "nope", "k", "v", &out), PANG_OK);
    assert_int_equal(out.n_updated, 1);
    assert_int_equal(out.n_removed, 0);
    assert_int_equal(out.n_missing, 1);
    assert_string_equal(out.missing[0], "nope");
    assert_int_equal(load(fx, "a", &loaded), PANG_OK);
    assert_string_equal(property(&loaded, "k"), "v");
    assert_int_equal(update(fx, "a", "k", "location", "file:///elsewhere", &out), PANG_OK);
    assert_int_equal(out.n_removed, 1);
    assert_int_equal(load(fx, "a", &loaded), PANG_OK);
    assert_null(property(&loaded, "k"));
    assert_string_equal(property(&loaded, "location"), "file:///elsewhere");
    expect(fx, update(fx, "a", "x", "x", "1", &out), PANG_INVALID_ARGUMENT,
           "UnprocessableEntityException", "property \"x\" is both removed and updated");
    assert_int_equal(update(fx, "b", "x", NULL, NULL, &out), PANG_NOT_FOUND);
}

static void test_svc_namespace__properties_of_a_create_are_sorted_and_last_wins(void **state)
{
    fixture *fx = *state;
    static const char *const given[][2] = {{"z", "1"}, {"a", "2"}, {"z", "3"}, {"m", ""}};
    create_in in = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__CreateNamespaceResponse out;
    Pangolin__V1__CreateNamespaceRequest__PropertiesEntry entries[4], *list_of[4];
    char *level = (char *)(uintptr_t) "a";
    for (size_t i = 0; i < 4; i++) {
        protobuf_c_message_init(
            &pangolin__v1__create_namespace_request__properties_entry__descriptor, &entries[i]);
        entries[i].key = (char *)(uintptr_t)given[i][0];
        entries[i].value = (char *)(uintptr_t)given[i][1];
        list_of[i] = &entries[i];
    }
    in.prefix = PREFIX;
    in.namespace_ = &level;
    in.n_namespace_ = 1;
    in.properties = list_of;
    in.n_properties = 4;
    assert_int_equal(fx_call(fx, "CreateNamespace", &in, &out), PANG_OK);
    assert_int_equal(out.n_properties, 4);
    assert_string_equal(out.properties[0]->key, "a");
    assert_string_equal(out.properties[1]->key, "location");
    assert_string_equal(out.properties[3]->value, "3");
}

/* ---- lists ---- */

static void test_svc_namespace__children_are_listed_in_pages_of_one_state(void **state)
{
    fixture *fx = *state;
    list_out out;
    size_t seen = 0;
    for (int i = 0; i < 25; i++)
        assert_int_equal(fx_create_namespace(fx, fx_text(fx, "n%02d", i)), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "n03.child"), PANG_OK);
    assert_int_equal(list(fx, "", "", 10, &out), PANG_OK);
    const char *token = out.next_page_token;
    seen += out.n_namespaces;
    assert_int_equal(drop(fx, "n24"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "n10a"), PANG_OK);
    while (token[0] != '\0') {
        assert_int_equal(list(fx, "", token, 10, &out), PANG_OK);
        seen += out.n_namespaces;
        token = out.next_page_token;
    }
    assert_int_equal(seen, 25);
    assert_string_equal(out.namespaces[out.n_namespaces - 1]->levels[0], "n24");
    assert_int_equal(list(fx, "n03", NULL, 0, &out), PANG_OK);
    assert_int_equal(out.n_namespaces, 1);
    assert_int_equal(out.namespaces[0]->n_levels, 2);
    assert_string_equal(out.namespaces[0]->levels[1], "child");
    expect(fx, list(fx, "no", NULL, 0, &out), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: no");
}

static void test_svc_namespace__tokens_open_nothing_else(void **state)
{
    fixture *fx = *state;
    list_out out;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "b"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "a.x"), PANG_OK);
    assert_int_equal(list(fx, "", "", 1, &out), PANG_OK);
    char *token = fx_text(fx, "%s", out.next_page_token);
    assert_true(token[0] != '\0');
    assert_int_equal(list(fx, "", token, 1, &out), PANG_OK);
    assert_int_equal(list(fx, "a", token, 1, &out), PANG_INVALID_ARGUMENT);
    fx->who.id.bytes[3] = 7;
    assert_int_equal(list(fx, "", token, 1, &out), PANG_INVALID_ARGUMENT);
    fx->who.id.bytes[3] = 0;
    for (char *at = token; *at != '\0'; at++) {
        char old = *at;
        *at = old == 'A' ? 'B' : 'A';
        /* The last character holds bits that stand for nothing. */
        if (at[1] != '\0')
            assert_int_equal(list(fx, "", token, 1, &out), PANG_INVALID_ARGUMENT);
        *at = old;
    }
    assert_int_equal(list(fx, "", "junk", 1, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(list(fx, "", "", -1, &out), PANG_INVALID_ARGUMENT);
}

/* ---- config ---- */

static pang_code config(fixture *fx, const char *warehouse, Pangolin__V1__GetConfigResponse *out)
{
    Pangolin__V1__GetConfigRequest in = PANGOLIN__V1__GET_CONFIG_REQUEST__INIT;
    in.warehouse = (char *)(uintptr_t)warehouse;
    return fx_call(fx, "GetConfig", &in, out);
}

static bool lists_endpoint(const Pangolin__V1__GetConfigResponse *out, const char *endpoint)
{
    for (size_t i = 0; i < out->n_endpoints; i++)
        if (strcmp(out->endpoints[i], endpoint) == 0)
            return true;
    return false;
}

static void test_svc_config__the_warehouse_leads_to_the_prefix(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetConfigResponse out;
    assert_int_equal(config(fx, "demo", &out), PANG_OK);
    assert_string_equal(out.overrides[0]->key, "prefix");
    assert_string_equal(out.overrides[0]->value, "demo");
    assert_string_equal(out.idempotency_key_lifetime, "PT30M");
    assert_int_equal(config(fx, "", &out), PANG_OK);
    assert_string_equal(out.overrides[0]->value, "demo");
    expect(fx, config(fx, "other", &out), PANG_NOT_FOUND, "NoSuchWarehouseException",
           "Warehouse does not exist: other");
    expect(fx, config(fx, "demo@other", &out), PANG_NOT_FOUND, "NoSuchWarehouseException",
           "Warehouse does not exist: demo@other, a catalog and behind the @ a branch, tag, commit "
           "or time of it");
}

/* The list of the specification, as far as this program serves it, written by hand. */
static void test_svc_config__what_is_served_is_listed(void **state)
{
    fixture *fx = *state;
    static const char *const served[] = {
        "GET /v1/{prefix}/namespaces",
        "POST /v1/{prefix}/namespaces",
        "GET /v1/{prefix}/namespaces/{namespace}",
        "HEAD /v1/{prefix}/namespaces/{namespace}",
        "DELETE /v1/{prefix}/namespaces/{namespace}",
        "POST /v1/{prefix}/namespaces/{namespace}/properties",
        "GET /v1/{prefix}/namespaces/{namespace}/tables",
        "POST /v1/{prefix}/namespaces/{namespace}/tables",
        "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
        "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
        "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
        "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
        "POST /v1/{prefix}/namespaces/{namespace}/register",
        "POST /v1/{prefix}/tables/rename",
        "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
        "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/unregister",
        "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
        "POST /v1/{prefix}/transactions/commit",
        "GET /v1/{prefix}/namespaces/{namespace}/views",
        "POST /v1/{prefix}/namespaces/{namespace}/views",
        "GET /v1/{prefix}/namespaces/{namespace}/views/{view}",
        "HEAD /v1/{prefix}/namespaces/{namespace}/views/{view}",
        "POST /v1/{prefix}/namespaces/{namespace}/views/{view}",
        "DELETE /v1/{prefix}/namespaces/{namespace}/views/{view}",
        "POST /v1/{prefix}/views/rename",
        "POST /v1/{prefix}/namespaces/{namespace}/register-view",
    };
    Pangolin__V1__GetConfigResponse out;
    assert_int_equal(config(fx, "demo", &out), PANG_OK);
    for (size_t i = 0; i < sizeof served / sizeof served[0]; i++)
        if (!lists_endpoint(&out, served[i]))
            fail_msg("not listed: %s", served[i]);
    assert_int_equal(out.n_endpoints, sizeof served / sizeof served[0]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fx_setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(svc_namespace__created_ones_are_there),
        TEST(svc_namespace__messages_are_those_that_suites_compare),
        TEST(svc_namespace__dropped_ones_can_come_again),
        TEST(svc_namespace__names_have_rules),
        TEST(svc_namespace__odd_names_are_names),
        TEST(svc_namespace__properties_are_set_and_removed),
        TEST(svc_namespace__properties_of_a_create_are_sorted_and_last_wins),
        TEST(svc_namespace__children_are_listed_in_pages_of_one_state),
        TEST(svc_namespace__tokens_open_nothing_else),
        TEST(svc_config__the_warehouse_leads_to_the_prefix),
        TEST(svc_config__what_is_served_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
