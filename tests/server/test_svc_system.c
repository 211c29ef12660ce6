/*
 * server/svc_system.c and svc_search.c, through the small dispatcher.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>

#include "api/keys_identity.h"
#include "server/auth_cache.h"

#include "pangolin/store/v1/identity.pb-c.h"
#include "pangolin/v1/asset.pb-c.h"
#include "pangolin/v1/catalog.pb-c.h"
#include "pangolin/v1/system.pb-c.h"

typedef Pangolin__V1__UpdateSettingsRequest settings_in;
typedef Pangolin__V1__SystemSettings settings;
typedef Pangolin__V1__GetDashboardStatsResponse stats;

#define CASE(field, FIELD) _##field##_case = PANGOLIN__V1__UPDATE_SETTINGS_REQUEST___##FIELD

/* ---- settings ---- */

static pang_code update(fixture *fx, const settings_in *in, settings **ret)
{
    Pangolin__V1__UpdateSettingsResponse out;
    pang_code code = fx_call(fx, "UpdateSettings", in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.settings : NULL;
    return code;
}

static settings *get(fixture *fx)
{
    Pangolin__V1__GetSettingsRequest in = PANGOLIN__V1__GET_SETTINGS_REQUEST__INIT;
    Pangolin__V1__GetSettingsResponse out;
    assert_int_equal(fx_call(fx, "GetSettings", &in, &out), PANG_OK);
    return out.settings;
}

static void test_svc_system__settings_begin_with_defaults_and_change_by_name(void **state)
{
    fixture *fx = *state;
    settings_in in = PANGOLIN__V1__UPDATE_SETTINGS_REQUEST__INIT, host = in;
    assert_int_equal(get(fx)->default_retention_days, 30);
    assert_string_equal(get(fx)->smtp_host, "");
    in.CASE(smtp_host, SMTP_HOST_SMTP_HOST);
    in.smtp_host = fx_text(fx, "mail.example");
    in.CASE(smtp_port, SMTP_PORT_SMTP_PORT);
    in.smtp_port = 25;
    in.CASE(smtp_password, SMTP_PASSWORD_SMTP_PASSWORD);
    in.smtp_password = fx_text(fx, "hush7");
    assert_int_equal(update(fx, &in, NULL), PANG_OK);
    host.CASE(default_retention_days, DEFAULT_RETENTION_DAYS_DEFAULT_RETENTION_DAYS);
    host.default_retention_days = 7;
    assert_int_equal(update(fx, &host, NULL), PANG_OK);
    assert_string_equal(get(fx)->smtp_host, "mail.example");
    assert_int_equal(get(fx)->smtp_port, 25);
    assert_int_equal(get(fx)->default_retention_days, 7);
}

static void test_svc_system__the_mail_password_is_sealed(void **state)
{
    fixture *fx = *state;
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_str key = pang_key_setting(&keys, PANG_STR("settings")), plain;
    pang_seal_place place = {FX_SCOPE, PANG_KIND_SETTING, key, PANG_STR("smtp_password")};
    Pangolin__Store__V1__Settings *body;
    pang_record record;
    settings_in in = PANGOLIN__V1__UPDATE_SETTINGS_REQUEST__INIT;
    in.CASE(smtp_password, SMTP_PASSWORD_SMTP_PASSWORD);
    in.smtp_password = fx_text(fx, "hush7");
    assert_int_equal(update(fx, &in, NULL), PANG_OK);
    in.smtp_password = fx_text(fx, "********");
    assert_int_equal(update(fx, &in, NULL), PANG_OK);
    assert_int_equal(pang_txn_get_one(fx_begin(fx), key, &record, &fx->err), PANG_OK);
    assert_int_equal(pang_record_unpack(&pangolin__store__v1__settings__descriptor, &record,
                                        fx->arena, &body, &fx->err),
                     PANG_OK);
    assert_int_equal(pang_unseal(fx->sealer, &place, pang_str_of(body->smtp_password), fx->arena,
                                 &plain, &fx->err),
                     PANG_OK);
    assert_true(pang_str_equal(plain, PANG_STR("hush7")));
}

static void test_svc_system__bad_settings_are_refused(void **state)
{
    fixture *fx = *state;
    settings_in in = PANGOLIN__V1__UPDATE_SETTINGS_REQUEST__INIT;
    in.CASE(smtp_port, SMTP_PORT_SMTP_PORT);
    in.smtp_port = 0;
    assert_int_equal(update(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    in.smtp_port = 65536;
    assert_int_equal(update(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    in = (settings_in)PANGOLIN__V1__UPDATE_SETTINGS_REQUEST__INIT;
    in.CASE(default_retention_days, DEFAULT_RETENTION_DAYS_DEFAULT_RETENTION_DAYS);
    in.default_retention_days = -1;
    assert_int_equal(update(fx, &in, NULL), PANG_INVALID_ARGUMENT);
    in = (settings_in)PANGOLIN__V1__UPDATE_SETTINGS_REQUEST__INIT;
    in.CASE(smtp_host, SMTP_HOST_SMTP_HOST);
    in.smtp_host = fx_text(fx, "a\nb");
    assert_int_equal(update(fx, &in, NULL), PANG_INVALID_ARGUMENT);
}

/* ---- counts ---- */

static stats count(fixture *fx)
{
    Pangolin__V1__GetDashboardStatsRequest in = PANGOLIN__V1__GET_DASHBOARD_STATS_REQUEST__INIT;
    stats out;
    assert_int_equal(fx_call(fx, "GetDashboardStats", &in, &out), PANG_OK);
    return out;
}

static void test_svc_system__counts_are_of_what_there_is(void **state)
{
    fixture *fx = *state;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "a.b"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "a", "t", NULL), PANG_OK);
    assert_int_equal(fx_create_table(fx, "a", "u", NULL), PANG_OK);
    assert_int_equal(fx_drop_table(fx, "a", "u", true), PANG_OK);
    stats out = count(fx);
    assert_string_equal(out.scope, "tenant");
    assert_int_equal(out.catalogs_count, 1);
    assert_int_equal(out.branches_count, 1);
    assert_int_equal(out.namespaces_count, 2);
    assert_int_equal(out.tables_count, 1);
    assert_int_equal(out.tenants_count, 1);
    fx->who.kind = PANG_PRINCIPAL_ROOT;
    out = count(fx);
    assert_string_equal(out.scope, "system");
    assert_int_equal(out.tables_count, 1);
    assert_int_equal(out.tenants_count, 1);
    fx->who.kind = PANG_PRINCIPAL_TENANT_USER; /* of no permit: it sees nothing */
    fx->server.evaluation = false;
    out = count(fx);
    assert_string_equal(out.scope, "user");
    assert_int_equal(out.catalogs_count, 0);
    assert_int_equal(out.tables_count, 0);
}

/* ---- search ---- */

static pang_code search(fixture *fx, const char *q, int limit, Pangolin__V1__SearchResponse *out)
{
    Pangolin__V1__SearchRequest in = PANGOLIN__V1__SEARCH_REQUEST__INIT;
    in.q = fx_text(fx, "%s", q);
    in.page_size = limit;
    return fx_call(fx, "Search", &in, out);
}

static pang_code search_assets(fixture *fx, const char *q, const char *catalog, int limit,
                               int offset, Pangolin__V1__SearchAssetsResponse *out)
{
    Pangolin__V1__SearchAssetsRequest in = PANGOLIN__V1__SEARCH_ASSETS_REQUEST__INIT;
    in.q = fx_text(fx, "%s", q);
    in.catalog = fx_text(fx, "%s", catalog);
    in.page_size = limit;
    in.offset = offset;
    return fx_call(fx, "SearchAssets", &in, out);
}

static void fill(fixture *fx)
{
    assert_int_equal(fx_create_namespace(fx, "Demolition"), PANG_OK);
    assert_int_equal(fx_create_namespace(fx, "Demolition.x"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "Demolition.x", "demographics", NULL), PANG_OK);
    assert_int_equal(fx_create_table(fx, "Demolition.x", "gone_demo", NULL), PANG_OK);
    assert_int_equal(fx_drop_table(fx, "Demolition.x", "gone_demo", false), PANG_OK);
    assert_int_equal(fx_create_table(fx, "Demolition.x", "other", NULL), PANG_OK);
}

static void test_svc_system__search_finds_by_a_part_shortest_first(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__SearchResponse out;
    fill(fx);
    assert_int_equal(search(fx, "DEMO", 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 3);
    assert_string_equal(out.results[0]->kind, "Catalog");
    assert_string_equal(out.results[1]->kind, "Namespace");
    assert_string_equal(out.results[1]->id, "");
    assert_string_equal(out.results[1]->context, "demo");
    assert_string_equal(out.results[2]->kind, "Asset");
    assert_string_equal(out.results[2]->context, "demo.Demolition.x");
    assert_int_equal(search(fx, "demo", 1, &out), PANG_OK);
    assert_int_equal(out.n_results, 1);
    assert_int_equal(search(fx, "main", 0, &out), PANG_OK);
    assert_string_equal(out.results[0]->kind, "Branch");
    assert_int_equal(search(fx, "demo", 1001, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(search(fx, "demo", -1, &out), PANG_INVALID_ARGUMENT);
}

static void test_svc_system__search_of_assets(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__SearchAssetsResponse out;
    fill(fx);
    assert_int_equal(search_assets(fx, "e", "", 0, 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 2);
    assert_int_equal(out.total, 2);
    assert_int_equal(out.page_size, 50);
    assert_string_equal(out.results[0]->name, "other");
    assert_string_equal(out.results[1]->namespace_[0], "Demolition");
    assert_string_equal(out.results[1]->namespace_[1], "x");
    assert_string_equal(out.results[1]->asset_type, "table");
    assert_string_equal(out.results[1]->catalog, "demo");
    assert_true(out.results[1]->has_access);
    assert_int_equal(search_assets(fx, "e", "demo", 1, 1, &out), PANG_OK);
    assert_int_equal(out.n_results, 1);
    assert_string_equal(out.results[0]->name, "demographics");
    assert_int_equal(search_assets(fx, "e", "elsewhere", 0, 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 0);
    assert_int_equal(search_assets(fx, "", "", 0, 0, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(search_assets(fx, "e", "", 0, -1, &out), PANG_INVALID_ARGUMENT);
    fx->server.evaluation = false; /* and there is no permit */
    assert_int_equal(search_assets(fx, "e", "", 0, 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 0);
}

/* ---- what grants let through ---- */

static pang_id id_of_asset(fixture *fx, const char *name)
{
    Pangolin__V1__SearchAssetsResponse out;
    pang_id id;
    assert_int_equal(search_assets(fx, name, "", 0, 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 1);
    assert_true(pang_id_parse(pang_str_from(out.results[0]->id), &id));
    return id;
}

static void tag(fixture *fx, pang_id asset, const char *name)
{
    Pangolin__V1__SetAssetMetadataRequest in = PANGOLIN__V1__SET_ASSET_METADATA_REQUEST__INIT;
    Pangolin__V1__SetAssetMetadataResponse out;
    char text[PANG_ID_TEXT + 1], *tags[] = {fx_text(fx, "%s", name)};
    pang_id_text(asset, text);
    in.asset_id = text;
    in.tags = tags;
    in.n_tags = 1;
    assert_int_equal(fx_call(fx, "SetAssetMetadata", &in, &out), PANG_OK);
}

static void test_svc_system__search_shows_what_was_granted(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__SearchAssetsResponse out;
    Pangolin__V1__SearchResponse all;
    pang_permit permit;
    fill(fx);
    assert_int_equal(fx_create_namespace(fx, "b"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "b", "secret", NULL), PANG_OK);
    pang_id other = id_of_asset(fx, "other"), secret = id_of_asset(fx, "secret");
    tag(fx, secret, "pii");
    pang_id catalog = fx_view(fx, fx_begin(fx)).catalog;
    const pang_grant by_asset = {
        .scope = {PANG_SCOPE_ASSET, catalog, other, PANG_STR("Demolition.x"), {0}},
        .actions = PANG_CAN(PANG_ACT_LIST)};
    const pang_grant by_tag = {.scope = {.kind = PANG_SCOPE_TAG, .tag = PANG_STR("pii")},
                               .actions = PANG_CAN(PANG_ACT_READ)};
    const pang_grant by_place = {
        .scope = {.kind = PANG_SCOPE_NAMESPACE, .catalog = catalog, .path = PANG_STR("b")},
        .actions = PANG_CAN(PANG_ACT_READ)};
    fx_become(fx, NULL, 0, &permit);
    assert_int_equal(search_assets(fx, "e", "", 0, 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 0);
    assert_int_equal(count(fx).tables_count, 0);
    fx_unbecome(fx, &permit);
    fx_become(fx, &by_asset, 1, &permit);
    assert_int_equal(search_assets(fx, "e", "", 0, 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 1);
    assert_string_equal(out.results[0]->name, "other");
    assert_false(out.results[0]->has_access);
    assert_int_equal(count(fx).tables_count, 1);
    fx_unbecome(fx, &permit);
    fx_become(fx, &by_tag, 1, &permit);
    assert_int_equal(search_assets(fx, "e", "", 0, 0, &out), PANG_OK);
    assert_int_equal(out.n_results, 1);
    assert_string_equal(out.results[0]->name, "secret");
    assert_true(out.results[0]->has_access);
    fx_unbecome(fx, &permit);
    fx_become(fx, &by_place, 1, &permit);
    assert_int_equal(search(fx, "e", 0, &all), PANG_OK);
    assert_int_equal(all.n_results, 2); /* the catalog that leads there, and the table */
    assert_string_equal(all.results[1]->name, "secret");
    assert_int_equal(count(fx).tables_count, 1);
    assert_int_equal(count(fx).namespaces_count, 1);
    fx_unbecome(fx, &permit);
}

/* ---- names ---- */

static pang_code validate(fixture *fx, const char *type, size_t n,
                          Pangolin__V1__ValidateNamesResponse *out)
{
    Pangolin__V1__ValidateNamesRequest in = PANGOLIN__V1__VALIDATE_NAMES_REQUEST__INIT;
    char *names[128] = {fx_text(fx, "demo"), fx_text(fx, "new"), fx_text(fx, "a@b"),
                        fx_text(fx, "%s", "")};
    for (size_t i = 4; i < n; i++)
        names[i] = names[1];
    in.resource_type = fx_text(fx, "%s", type);
    in.names = names;
    in.n_names = n;
    return fx_call(fx, "ValidateNames", &in, out);
}

static void test_svc_system__names_are_judged(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ValidateNamesResponse out;
    assert_int_equal(validate(fx, "catalog", 4, &out), PANG_OK);
    assert_int_equal(out.n_results, 4);
    assert_false(out.results[0]->available);
    assert_string_equal(out.results[0]->reason, "a catalog of this name exists");
    assert_true(out.results[1]->available);
    assert_string_equal(out.results[1]->reason, "");
    assert_false(out.results[2]->available);
    assert_false(out.results[3]->available);
    assert_int_equal(validate(fx, "warehouse", 3, &out), PANG_OK);
    assert_true(out.results[0]->available && out.results[2]->available);
    assert_int_equal(validate(fx, "table", 1, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(validate(fx, "catalog", 101, &out), PANG_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_svc_system__##name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settings_begin_with_defaults_and_change_by_name),
        TEST(the_mail_password_is_sealed),
        TEST(bad_settings_are_refused),
        TEST(counts_are_of_what_there_is),
        TEST(search_finds_by_a_part_shortest_first),
        TEST(search_of_assets),
        TEST(search_shows_what_was_granted),
        TEST(names_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
