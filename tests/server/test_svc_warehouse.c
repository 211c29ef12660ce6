/*
 * server/svc_warehouse.c, warehouses.c and fields.c, through the small dispatcher.
 */
#include "tests/server/catalog_fixture.h"

#include <stdio.h>
#include <string.h>

#include "server/fields.h"
#include "server/warehouses.h"

#include "pangolin/v1/warehouse.pb-c.h"

typedef Pangolin__V1__CreateWarehouseRequest create_in;
typedef Pangolin__V1__CreateWarehouseRequest__StorageConfigEntry create_entry;
typedef Pangolin__V1__UpdateWarehouseRequest update_in;
typedef Pangolin__V1__UpdateWarehouseRequest__StorageConfigEntry update_entry;
typedef Pangolin__V1__Warehouse warehouse;

enum { PAIRS_MAX = 16 };

/* ---- calls: `pairs` is "name=value;name=value" ---- */

static pang_code create(fixture *fx, const char *name, const char *pairs, const char *strategy,
                        warehouse **ret)
{
    create_in in = PANGOLIN__V1__CREATE_WAREHOUSE_REQUEST__INIT;
    Pangolin__V1__CreateWarehouseResponse out;
    create_entry entries[PAIRS_MAX], *list[PAIRS_MAX];
    pang_str rest = pang_str_from(pairs), pair;
    while (pairs[0] != '\0' && pang_str_next(&rest, ';', &pair)) {
        size_t at = pang_str_find(pair, '=');
        create_entry *entry = &entries[in.n_storage_config];
        *entry = (create_entry)PANGOLIN__V1__CREATE_WAREHOUSE_REQUEST__STORAGE_CONFIG_ENTRY__INIT;
        entry->key = pang_arena_cstr(fx->arena, pang_str_slice(pair, 0, at));
        entry->value = pang_arena_cstr(fx->arena, pang_str_after(pair, at + 1));
        list[in.n_storage_config++] = entry;
    }
    in.name = fx_text(fx, "%s", name);
    in.storage_config = list;
    in.vending_strategy = fx_bytes(strategy);
    pang_code code = fx_call(fx, "CreateWarehouse", &in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.warehouse : NULL;
    return code;
}

static pang_code update(fixture *fx, const char *name, const char *new_name, const char *pairs,
                        const char *strategy, warehouse **ret)
{
    update_in in = PANGOLIN__V1__UPDATE_WAREHOUSE_REQUEST__INIT;
    Pangolin__V1__UpdateWarehouseResponse out;
    update_entry entries[PAIRS_MAX], *list[PAIRS_MAX];
    pang_str rest = pang_str_from(pairs), pair;
    while (pairs[0] != '\0' && pang_str_next(&rest, ';', &pair)) {
        size_t at = pang_str_find(pair, '=');
        update_entry *entry = &entries[in.n_storage_config];
        *entry = (update_entry)PANGOLIN__V1__UPDATE_WAREHOUSE_REQUEST__STORAGE_CONFIG_ENTRY__INIT;
        entry->key = pang_arena_cstr(fx->arena, pang_str_slice(pair, 0, at));
        entry->value = pang_arena_cstr(fx->arena, pang_str_after(pair, at + 1));
        list[in.n_storage_config++] = entry;
    }
    in.warehouse = fx_text(fx, "%s", name);
    in.storage_config = list;
    in.vending_strategy = fx_bytes(strategy);
    if (new_name != NULL) {
        in._name_case = PANGOLIN__V1__UPDATE_WAREHOUSE_REQUEST___NAME_NAME;
        in.name = fx_text(fx, "%s", new_name);
    }
    pang_code code = fx_call(fx, "UpdateWarehouse", &in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.warehouse : NULL;
    return code;
}

static pang_code get(fixture *fx, const char *name, warehouse **ret)
{
    Pangolin__V1__GetWarehouseRequest in = PANGOLIN__V1__GET_WAREHOUSE_REQUEST__INIT;
    Pangolin__V1__GetWarehouseResponse out;
    in.name = fx_text(fx, "%s", name);
    pang_code code = fx_call(fx, "GetWarehouse", &in, &out);
    *ret = code == PANG_OK ? out.warehouse : NULL;
    return code;
}

static pang_code delete (fixture *fx, const char *name)
{
    Pangolin__V1__DeleteWarehouseRequest in = PANGOLIN__V1__DELETE_WAREHOUSE_REQUEST__INIT;
    Pangolin__V1__DeleteWarehouseResponse out;
    in.name = fx_text(fx, "%s", name);
    return fx_call(fx, "DeleteWarehouse", &in, &out);
}

static pang_code list(fixture *fx, int size, const char *token,
                      Pangolin__V1__ListWarehousesResponse *out)
{
    Pangolin__V1__ListWarehousesRequest in = PANGOLIN__V1__LIST_WAREHOUSES_REQUEST__INIT;
    in.page_size = size;
    if (token != NULL) {
        in._page_token_case = PANGOLIN__V1__LIST_WAREHOUSES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
        in.page_token = (char *)(uintptr_t)token;
    }
    return fx_call(fx, "ListWarehouses", &in, out);
}

/* ---- looking ---- */

static const char *config_of(const warehouse *shown, const char *name)
{
    for (size_t i = 0; i < shown->n_storage_config; i++)
        if (strcmp(shown->storage_config[i]->key, name) == 0)
            return shown->storage_config[i]->value;
    return NULL;
}

static const char *strategy_of(fixture *fx, const warehouse *shown)
{
    return fx_text(fx, "%.*s", (int)shown->vending_strategy.len, shown->vending_strategy.data);
}

static pang_rec_warehouse *stored(fixture *fx, const char *name)
{
    pang_rec_warehouse *body = NULL;
    pang_call call = {
        .server = &fx->server, .txn = fx_begin(fx), .arena = fx->arena, .tenant_key = FX_SCOPE};
    assert_int_equal(pang_warehouse_find(&call, name, &body, &fx->err), PANG_OK);
    return body;
}

/* The value that was sealed; fails where none was. */
static const char *unsealed(fixture *fx, const pang_rec_warehouse *body, pang_rec_field **list,
                            size_t n, const char *name)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_seal_place place = {FX_SCOPE, PANG_KIND_WAREHOUSE,
                             pang_key_warehouse(&keys, pang_id_of(body->id)), pang_str_from(name)};
    pang_str plain;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i]->name, name) != 0)
            continue;
        assert_string_equal(list[i]->value, "");
        assert_int_equal(pang_unseal(fx->sealer, &place, pang_str_of(list[i]->sealed), fx->arena,
                                     &plain, &fx->err),
                         PANG_OK);
        return fx_text(fx, "%.*s", (int)plain.len, plain.ptr);
    }
    fail_msg("%s is not there", name);
    return NULL;
}

static void use(fixture *fx, const char *name, int64_t amount)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_txn *txn = fx_begin(fx);
    pang_txn_add(txn, pang_key_warehouse_use(&keys, pang_id_of(stored(fx, name)->id)), amount);
    assert_int_equal(pang_txn_commit(txn, &fx->err), PANG_OK);
}

#define S3 "s3.bucket=lake;s3.region=eu-1;s3.access-key-id=AKIA7;s3.secret-access-key=hush7"

/* ---- create ---- */

static void test_svc_warehouse__created_ones_are_there_without_secrets(void **state)
{
    fixture *fx = *state;
    warehouse *shown;
    assert_int_equal(create(fx, "w", S3, "\"AwsStatic\"", &shown), PANG_OK);
    assert_string_equal(shown->name, "w");
    assert_string_equal(shown->storage_type, "s3");
    assert_string_equal(shown->tenant_id, "00000000-0000-0000-0000-000000000000");
    assert_string_equal(config_of(shown, "s3.bucket"), "lake");
    assert_string_equal(config_of(shown, "s3.secret-access-key"), "********");
    assert_string_equal(config_of(shown, "s3.access-key-id"), "********");
    assert_int_equal(get(fx, "w", &shown), PANG_OK);
    assert_string_equal(config_of(shown, "s3.secret-access-key"), "********");
    assert_string_equal(strategy_of(fx, shown), "{\"AwsStatic\":{}}");
    pang_rec_warehouse *body = stored(fx, "w");
    assert_string_equal(body->location, "s3://lake");
    assert_string_equal(unsealed(fx, body, body->config, body->n_config, "s3.secret-access-key"),
                        "hush7");
}

static void test_svc_warehouse__a_duplicate_is_refused(void **state)
{
    fixture *fx = *state;
    assert_int_equal(create(fx, "w", S3, "", NULL), PANG_OK);
    assert_int_equal(create(fx, "w", "s3.bucket=other", "", NULL), PANG_ALREADY_EXISTS);
    assert_string_equal(stored(fx, "w")->location, "s3://lake");
}

static void test_svc_warehouse__locations_by_type(void **state)
{
    static const struct {
        const char *pairs, *type, *location;
    } cases[] = {
        {"s3.bucket=b;prefix=/a/b/", "s3", "s3://b/a/b"},
        {"type=s3;bucket=b;region=x", "s3", "s3://b"},
        {"type=S3;s3.bucket=b", "s3", "s3://b"},
        {"adls.account-name=acc;azure.container=c", "azure", "abfss://c@acc.dfs.core.windows.net"},
        {"type=azure;account_name=acc;container=c;account_key=zzz", "azure",
         "abfss://c@acc.dfs.core.windows.net"},
        {"gcs.bucket=b;gcs.project-id=p", "gcs", "gs://b"},
        {"type=gcp;bucket=b;project_id=p", "gcs", "gs://b"},
    };
    fixture *fx = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = fx_text(fx, "w%zu", i);
        if (create(fx, name, cases[i].pairs, "", NULL) != PANG_OK)
            fail_msg("%s: %s", cases[i].pairs, fx->err.message);
        assert_string_equal(stored(fx, name)->type, cases[i].type);
        assert_string_equal(stored(fx, name)->location, cases[i].location);
    }
}

static void test_svc_warehouse__a_file_warehouse_lies_where_the_server_puts_it(void **state)
{
    static const char *const paths[] = {
        "type=file;path=/etc",       "type=file;bucket=/etc",
        "type=file;root=x",          "type=file;location=file:///etc",
        "type=file;prefix=../../..", "type=local;endpoint=file:///",
    };
    fixture *fx = *state;
    warehouse *shown;
    assert_int_equal(create(fx, "w", "type=file", "", &shown), PANG_OK);
    const char *want = fx_text(fx, "%s/00000000000000000000000000000000/%s", fx->tenants,
                               shown->id);
    assert_string_equal(stored(fx, "w")->location, want);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(create(fx, "x", paths[i], "", NULL), PANG_INVALID_ARGUMENT);
        assert_non_null(strstr(fx->err.message, "the server decides"));
    }
    fx->server.file_warehouses = (pang_str){0};
    assert_int_equal(create(fx, "x", "type=file", "", NULL), PANG_INVALID_ARGUMENT);
}

static void test_svc_warehouse__bad_input_is_refused(void **state)
{
    static const struct {
        const char *name, *pairs, *strategy, *part;
    } cases[] = {
        {"", S3, "", "name"},
        {"a\nb", S3, "", "name"},
        {"w", "", "", "bucket is missing"},
        {"w", "type=s3", "", "bucket is missing"},
        {"w", "type=ftp;bucket=b", "", "\"ftp\""},
        {"w", "type=azure;container=c", "", "account_name is missing"},
        {"w", "type=azure;account_name=c", "", "container is missing"},
        {"w", "bucket=a/b", "", "\"a/b\""},
        {"w", "bucket=a@b", "", "\"a@b\""},
        {"w", "bucket=a;prefix=x/../y", "", "storage_config"},
        {"w", "bucket=a;endpoint=http://me:pw@host", "", "\"endpoint\""},
        {"w", "bucket=a;a b=c", "", "\"a b\""},
        {"w", "bucket=a;secret=********", "", "\"secret\" is masked"},
        {"w", S3, "\"Magic\"", "\"Magic\""},
        {"w", S3, "7", "vending_strategy"},
        {"w", S3, "{}", "vending_strategy"},
        {"w", S3, "{\"AwsSts\":7}", "vending_strategy"},
        {"w", S3, "{\"AwsSts\":{\"role_arn\":7}}", "\"role_arn\""},
        {"w", S3, "{\"AwsSts\":{},\"AwsStatic\":{}}", "one member"},
    };
    fixture *fx = *state;
    warehouse *shown;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = create(fx, cases[i].name, cases[i].pairs, cases[i].strategy, NULL);
        if (code != PANG_INVALID_ARGUMENT || strstr(fx->err.message, cases[i].part) == NULL)
            fail_msg("%zu: %s: %s", i, pang_code_name(code), fx->err.message);
    }
    assert_int_equal(get(fx, "w", &shown), PANG_NOT_FOUND);
}

static void test_svc_warehouse__strategies_in_all_forms(void **state)
{
    static const struct {
        const char *given, *shown;
    } cases[] = {
        {"", ""},
        {"null", ""},
        {"\"None\"", ""},
        {"\"AwsStatic\"", "{\"AwsStatic\":{}}"},
        {"\"AzureStatic\"", "{\"AzureStatic\":{}}"},
        {"\"GcpStatic\"", "{\"GcpStatic\":{}}"},
        {"{\"AwsStatic\":{}}", "{\"AwsStatic\":{}}"},
        {"{\"AwsSts\":{\"role_arn\":\"arn:x\",\"external_id\":null}}",
         "{\"AwsSts\":{\"role_arn\":\"arn:x\"}}"},
        {"{\"type\":\"AwsSts\",\"role_arn\":\"arn:x\",\"external_id\":\"e\"}",
         "{\"AwsSts\":{\"external_id\":\"********\",\"role_arn\":\"arn:x\"}}"},
        {"{\"AzureSas\":{\"account_name\":\"a\",\"account_key\":\"k\"}}",
         "{\"AzureSas\":{\"account_key\":\"********\",\"account_name\":\"a\"}}"},
        {"{\"GcpDownscoped\":{\"service_account_email\":\"a@b\",\"private_key\":\"k\"}}",
         "{\"GcpDownscoped\":{\"private_key\":\"********\",\"service_account_email\":\"a@b\"}}"},
    };
    fixture *fx = *state;
    warehouse *shown;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = fx_text(fx, "w%zu", i);
        if (create(fx, name, S3, cases[i].given, &shown) != PANG_OK)
            fail_msg("%s: %s", cases[i].given, fx->err.message);
        assert_string_equal(strategy_of(fx, shown), cases[i].shown);
    }
}

static void test_svc_warehouse__without_a_sealing_key_no_secret_is_stored(void **state)
{
    fixture *fx = *state;
    fx->server.sealer = NULL;
    assert_int_equal(create(fx, "w", S3, "", NULL), PANG_FAILED_PRECONDITION);
    assert_int_equal(create(fx, "w", "bucket=b", "", NULL), PANG_OK);
}

static void test_svc_warehouse__names_of_secrets(void **state)
{
    static const char *const secret[] = {
        "s3.secret-access-key", "s3.access-key-id",     "s3.session-token",
        "secret_access_key",    "adls.account-key",     "adls.sas-token",
        "client_secret",        "service_account_json", "PASSWORD",
        "gcs.oauth2.token",     "credential",           "external_id",
        "encryption_key",       "connection_string",    "SecretAccessKey",
        "private_key",
    };
    static const char *const open[] = {
        "s3.bucket",
        "s3.region",
        "s3.endpoint",
        "role_arn",
        "adls.account-name",
        "azure.container",
        "prefix",
        "gcs.project-id",
        "type",
        "s3.path-style-access",
        "service_account_email",
    };
    (void)state;
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        if (!pang_field_is_secret(pang_str_from(secret[i])))
            fail_msg("%s is a secret", secret[i]);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        if (pang_field_is_secret(pang_str_from(open[i])))
            fail_msg("%s is no secret", open[i]);
}

/* ---- update ---- */

static void test_svc_warehouse__an_update_changes_what_it_names(void **state)
{
    fixture *fx = *state;
    warehouse *shown;
    pang_rec_warehouse *body;
    assert_int_equal(create(fx, "w", S3, "\"AwsStatic\"", NULL), PANG_OK);
    assert_int_equal(update(fx, "w", NULL, "s3.region=us-2;s3.endpoint=http://h:9", "", &shown),
                     PANG_OK);
    assert_string_equal(config_of(shown, "s3.region"), "us-2");
    assert_string_equal(config_of(shown, "s3.bucket"), "lake");
    assert_string_equal(strategy_of(fx, shown), "{\"AwsStatic\":{}}");
    assert_int_equal(update(fx, "w", NULL, "s3.endpoint=", "null", &shown), PANG_OK);
    assert_null(config_of(shown, "s3.endpoint"));
    assert_string_equal(strategy_of(fx, shown), "{\"AwsStatic\":{}}");
    assert_int_equal(update(fx, "w", NULL, "", "\"None\"", &shown), PANG_OK);
    assert_string_equal(strategy_of(fx, shown), "");
    body = stored(fx, "w");
    assert_string_equal(unsealed(fx, body, body->config, body->n_config, "s3.secret-access-key"),
                        "hush7");
}

static void test_svc_warehouse__a_mask_keeps_the_secret(void **state)
{
    fixture *fx = *state;
    pang_rec_warehouse *body;
    const char *sas = "{\"AzureSas\":{\"account_name\":\"a\",\"account_key\":\"key7\"}}";
    const char *masked = "{\"AzureSas\":{\"account_name\":\"b\",\"account_key\":\"********\"}}";
    assert_int_equal(create(fx, "w", S3, sas, NULL), PANG_OK);
    assert_int_equal(update(fx, "w", NULL, "s3.secret-access-key=********", masked, NULL), PANG_OK);
    body = stored(fx, "w");
    assert_string_equal(unsealed(fx, body, body->config, body->n_config, "s3.secret-access-key"),
                        "hush7");
    assert_string_equal(
        unsealed(fx, body, body->strategy_config, body->n_strategy_config, "account_key"), "key7");
    assert_int_equal(update(fx, "w", NULL, "s3.secret-access-key=new8", "", NULL), PANG_OK);
    body = stored(fx, "w");
    assert_string_equal(unsealed(fx, body, body->config, body->n_config, "s3.secret-access-key"),
                        "new8");
}

static void test_svc_warehouse__a_new_name_leaves_the_old_one_free(void **state)
{
    fixture *fx = *state;
    warehouse *shown, *renamed;
    assert_int_equal(create(fx, "w", S3, "", &shown), PANG_OK);
    assert_int_equal(create(fx, "taken", "bucket=b", "", NULL), PANG_OK);
    assert_int_equal(update(fx, "w", "taken", "", "", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(update(fx, "w", "w", "", "", NULL), PANG_OK);
    assert_int_equal(update(fx, "w", "v", "", "", &renamed), PANG_OK);
    assert_string_equal(shown->id, renamed->id);
    assert_int_equal(get(fx, "w", &shown), PANG_NOT_FOUND);
    assert_int_equal(create(fx, "w", S3, "", NULL), PANG_OK);
    assert_int_equal(update(fx, "none", "x", "", "", NULL), PANG_NOT_FOUND);
}

/* ---- in use ---- */

static void test_svc_warehouse__one_in_use_stays_where_it_is(void **state)
{
    fixture *fx = *state;
    warehouse *shown;
    assert_int_equal(create(fx, "w", S3, "", NULL), PANG_OK);
    use(fx, "w", 1);
    assert_int_equal(delete (fx, "w"), PANG_FAILED_PRECONDITION);
    assert_int_equal(update(fx, "w", NULL, "s3.bucket=b", "", NULL), PANG_FAILED_PRECONDITION);
    assert_int_equal(update(fx, "w", NULL, "prefix=b", "", NULL), PANG_FAILED_PRECONDITION);
    assert_int_equal(update(fx, "w", NULL, "type=gcs;gcs.bucket=lake", "", NULL),
                     PANG_FAILED_PRECONDITION);
    assert_int_equal(update(fx, "w", NULL, "s3.region=x;s3.bucket=lake", "", NULL), PANG_OK);
    use(fx, "w", -1);
    assert_int_equal(update(fx, "w", NULL, "s3.bucket=b", "", NULL), PANG_OK);
    assert_int_equal(delete (fx, "w"), PANG_OK);
    assert_int_equal(get(fx, "w", &shown), PANG_NOT_FOUND);
    assert_int_equal(delete (fx, "w"), PANG_NOT_FOUND);
}

/* ---- list, credentials ---- */

static void test_svc_warehouse__lists_go_by_name_in_pages(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListWarehousesResponse out;
    static const char *const names[] = {"c", "a", "e", "b", "d"};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(create(fx, names[i], S3, "", NULL), PANG_OK);
    assert_int_equal(list(fx, 2, NULL, &out), PANG_OK);
    assert_int_equal(out.n_warehouses, 2);
    assert_string_equal(out.warehouses[0]->name, "a");
    assert_string_equal(config_of(out.warehouses[0], "s3.secret-access-key"), "********");
    assert_int_equal(list(fx, 2, fx_text(fx, "%s", out.next_page_token), &out), PANG_OK);
    assert_string_equal(out.warehouses[1]->name, "d");
    assert_int_equal(list(fx, 2, fx_text(fx, "%s", out.next_page_token), &out), PANG_OK);
    assert_int_equal(out.n_warehouses, 1);
    assert_string_equal(out.next_page_token, "");
}

static void test_svc_warehouse__credentials_are_not_made_yet(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetWarehouseCredentialsRequest in =
        PANGOLIN__V1__GET_WAREHOUSE_CREDENTIALS_REQUEST__INIT;
    Pangolin__V1__GetWarehouseCredentialsResponse out;
    in.name = fx_text(fx, "w");
    assert_int_equal(fx_call(fx, "GetWarehouseCredentials", &in, &out), PANG_NOT_FOUND);
    assert_int_equal(create(fx, "w", S3, "", NULL), PANG_OK);
    assert_int_equal(fx_call(fx, "GetWarehouseCredentials", &in, &out), PANG_UNIMPLEMENTED);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_svc_warehouse__##name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(created_ones_are_there_without_secrets),
        TEST(a_duplicate_is_refused),
        TEST(locations_by_type),
        TEST(a_file_warehouse_lies_where_the_server_puts_it),
        TEST(bad_input_is_refused),
        TEST(strategies_in_all_forms),
        TEST(without_a_sealing_key_no_secret_is_stored),
        TEST(names_of_secrets),
        TEST(an_update_changes_what_it_names),
        TEST(a_mask_keeps_the_secret),
        TEST(a_new_name_leaves_the_old_one_free),
        TEST(one_in_use_stays_where_it_is),
        TEST(lists_go_by_name_in_pages),
        TEST(credentials_are_not_made_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
