/*
 * server/svc_catalog.c, catalogs.c, svc_tree.c and ended.c, through the small dispatcher.
 */
#include "tests/server/catalog_fixture.h"

#include <stdio.h>
#include <string.h>

#include "server/identity.h"
#include "server/warehouses.h"

#include "pangolin/v1/catalog.pb-c.h"
#include "pangolin/v1/tenant.pb-c.h"
#include "pangolin/v1/warehouse.pb-c.h"

typedef Pangolin__V1__Catalog catalog;
typedef Pangolin__V1__UpdateCatalogRequest update_in;

enum { DAYS_31 = 31 };

/* ---- calls ---- */

static pang_code make_warehouse(fixture *fx, const char *name, const char *key, const char *value)
{
    Pangolin__V1__CreateWarehouseRequest in = PANGOLIN__V1__CREATE_WAREHOUSE_REQUEST__INIT;
    Pangolin__V1__CreateWarehouseResponse out;
    Pangolin__V1__CreateWarehouseRequest__StorageConfigEntry
        entry = PANGOLIN__V1__CREATE_WAREHOUSE_REQUEST__STORAGE_CONFIG_ENTRY__INIT,
        *list[1] = {&entry};
    entry.key = fx_text(fx, "%s", key);
    entry.value = fx_text(fx, "%s", value);
    in.name = fx_text(fx, "%s", name);
    in.storage_config = list;
    in.n_storage_config = 1;
    return fx_call(fx, "CreateWarehouse", &in, &out);
}

static pang_code create_at(fixture *fx, const char *name, const char *type, const char *warehouse,
                           const char *location, catalog **ret)
{
    Pangolin__V1__CreateCatalogRequest in = PANGOLIN__V1__CREATE_CATALOG_REQUEST__INIT;
    Pangolin__V1__CreateCatalogResponse out;
    Pangolin__V1__CreateCatalogRequest__PropertiesEntry
        entry = PANGOLIN__V1__CREATE_CATALOG_REQUEST__PROPERTIES_ENTRY__INIT,
        *list[1] = {&entry};
    entry.key = fx_text(fx, "team");
    entry.value = fx_text(fx, "blue");
    in.name = fx_text(fx, "%s", name);
    in.catalog_type = fx_text(fx, "%s", type);
    in.warehouse_name = fx_text(fx, "%s", warehouse);
    in.storage_location = fx_text(fx, "%s", location);
    in.properties = list;
    in.n_properties = 1;
    pang_code code = fx_call(fx, "CreateCatalog", &in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.catalog : NULL;
    return code;
}

static pang_code create(fixture *fx, const char *name, const char *warehouse)
{
    return create_at(fx, name, "Local", warehouse, "", NULL);
}

static pang_code get(fixture *fx, const char *name, catalog **ret)
{
    Pangolin__V1__GetCatalogRequest in = PANGOLIN__V1__GET_CATALOG_REQUEST__INIT;
    Pangolin__V1__GetCatalogResponse out;
    in.name = fx_text(fx, "%s", name);
    pang_code code = fx_call(fx, "GetCatalog", &in, &out);
    *ret = code == PANG_OK ? out.catalog : NULL;
    return code;
}

static update_in update_of(fixture *fx, const char *name)
{
    update_in in = PANGOLIN__V1__UPDATE_CATALOG_REQUEST__INIT;
    in.catalog = fx_text(fx, "%s", name);
    return in;
}

static pang_code update(fixture *fx, const update_in *in, catalog **ret)
{
    Pangolin__V1__UpdateCatalogResponse out;
    pang_code code = fx_call(fx, "UpdateCatalog", in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.catalog : NULL;
    return code;
}

static pang_code rename_catalog(fixture *fx, const char *from, const char *to)
{
    update_in in = update_of(fx, from);
    in._name_case = PANGOLIN__V1__UPDATE_CATALOG_REQUEST___NAME_NAME;
    in.name = fx_text(fx, "%s", to);
    return update(fx, &in, NULL);
}

static pang_code delete_catalog(fixture *fx, const char *name, int cascade)
{
    Pangolin__V1__DeleteCatalogRequest in = PANGOLIN__V1__DELETE_CATALOG_REQUEST__INIT;
    Pangolin__V1__DeleteCatalogResponse out;
    in.name = fx_text(fx, "%s", name);
    if (cascade >= 0) {
        in._cascade_case = PANGOLIN__V1__DELETE_CATALOG_REQUEST___CASCADE_CASCADE;
        in.cascade = cascade != 0;
    }
    return fx_call(fx, "DeleteCatalog", &in, &out);
}

static pang_code delete_warehouse(fixture *fx, const char *name)
{
    Pangolin__V1__DeleteWarehouseRequest in = PANGOLIN__V1__DELETE_WAREHOUSE_REQUEST__INIT;
    Pangolin__V1__DeleteWarehouseResponse out;
    in.name = fx_text(fx, "%s", name);
    return fx_call(fx, "DeleteWarehouse", &in, &out);
}

static pang_code make_namespace(fixture *fx, const char *prefix, const char *dotted)
{
    Pangolin__V1__CreateNamespaceRequest in = PANGOLIN__V1__CREATE_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__CreateNamespaceResponse out;
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, dotted, &in.n_namespace_);
    return fx_call(fx, "CreateNamespace", &in, &out);
}

static pang_code make_table(fixture *fx, const char *prefix, const char *ns, const char *name,
                            const char *location, const char **ret_location)
{
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    Pangolin__V1__CreateTableResponse out;
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.name = fx_text(fx, "%s", name);
    in.schema = fx_bytes(FX_SCHEMA);
    if (location != NULL) {
        in._location_case = PANGOLIN__V1__CREATE_TABLE_REQUEST___LOCATION_LOCATION;
        in.location = fx_text(fx, "%s", location);
    }
    pang_code code = fx_call(fx, "CreateTable", &in, &out);
    if (code == PANG_OK && ret_location != NULL)
        *ret_location = out.metadata_location;
    return code;
}

static pang_code drop_table(fixture *fx, const char *prefix, const char *ns, const char *name)
{
    Pangolin__V1__DropTableRequest in = PANGOLIN__V1__DROP_TABLE_REQUEST__INIT;
    Pangolin__V1__DropTableResponse out;
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.table = fx_text(fx, "%s", name);
    return fx_call(fx, "DropTable", &in, &out);
}

static Pangolin__V1__GetCatalogSummaryResponse summary(fixture *fx, const char *name)
{
    Pangolin__V1__GetCatalogSummaryRequest in = PANGOLIN__V1__GET_CATALOG_SUMMARY_REQUEST__INIT;
    Pangolin__V1__GetCatalogSummaryResponse out;
    in.name = fx_text(fx, "%s", name);
    assert_int_equal(fx_call(fx, "GetCatalogSummary", &in, &out), PANG_OK);
    return out;
}

static int64_t count(fixture *fx, pang_str what)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_ref ref = {.key = pang_key_count(&keys, what)};
    pang_record record;
    assert_int_equal(pang_txn_get(fx_begin(fx), &ref, 1, PANG_READ_UNCHECKED, &record, &fx->err),
                     PANG_OK);
    return record.value;
}

#define FILES(fx) assert_int_equal(make_warehouse(fx, "files", "type", "file"), PANG_OK)

/* ---- create ---- */

static void test_svc_catalog__a_new_one_serves_at_once(void **state)
{
    fixture *fx = *state;
    catalog *shown;
    Pangolin__V1__GetConfigRequest config = PANGOLIN__V1__GET_CONFIG_REQUEST__INIT;
    Pangolin__V1__GetConfigResponse answer;
    const char *location = NULL;
    FILES(fx);
    assert_int_equal(create_at(fx, "lake", "Local", "files", "", &shown), PANG_OK);
    assert_string_equal(shown->name, "lake");
    assert_string_equal(shown->catalog_type, "Local");
    assert_string_equal(shown->warehouse_name, "files");
    assert_string_equal(shown->storage_location, "");
    assert_string_equal(shown->properties[0]->value, "blue");
    config.warehouse = fx_text(fx, "lake");
    assert_int_equal(fx_call(fx, "GetConfig", &config, &answer), PANG_OK);
    assert_string_equal(answer.overrides[0]->value, "lake");
    assert_int_equal(make_table(fx, "lake", "default", "t", NULL, &location), PANG_OK);
    assert_non_null(strstr(location, fx->tenants));
    assert_non_null(strstr(location, "/lake/default/t/metadata/"));
    assert_int_equal(make_namespace(fx, "lake", "default"), PANG_ALREADY_EXISTS);
}

static void test_svc_catalog__bad_input_is_refused(void **state)
{
    static const struct {
        const char *name, *type, *warehouse, *location;
        pang_code code;
    } cases[] = {
        {"", "Local", "files", "", PANG_INVALID_ARGUMENT},
        {"a@b", "Local", "files", "", PANG_INVALID_ARGUMENT},
        {"..", "Local", "files", "", PANG_INVALID_ARGUMENT},
        {"a\tb", "Local", "files", "", PANG_INVALID_ARGUMENT},
        {"c", "Remote", "files", "", PANG_INVALID_ARGUMENT},
        {"c", "Local", "nowhere", "", PANG_INVALID_ARGUMENT},
        {"c", "Local", "", "s3://b/x", PANG_INVALID_ARGUMENT},
        {"c", "Local", "files", "file:///etc", PANG_INVALID_ARGUMENT},
        {"c", "Local", "s3", "s3://other/x", PANG_INVALID_ARGUMENT},
        {"c", "Local", "s3", "s3://bucket2", PANG_INVALID_ARGUMENT},
        {"c", "Local", "s3", "nonsense", PANG_INVALID_ARGUMENT},
        {"c", "Federated", "", "", PANG_INVALID_ARGUMENT},
        {"demo", "Local", "files", "", PANG_ALREADY_EXISTS},
    };
    fixture *fx = *state;
    catalog *shown;
    FILES(fx);
    assert_int_equal(make_warehouse(fx, "s3", "s3.bucket", "bucket"), PANG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = create_at(fx, cases[i].name, cases[i].type, cases[i].warehouse,
                                   cases[i].location, NULL);
        if (code != cases[i].code)
            fail_msg("%zu: %s: %s", i, pang_code_name(code), fx->err.message);
    }
    assert_int_equal(get(fx, "c", &shown), PANG_NOT_FOUND);
    assert_int_equal(create_at(fx, "c", "local", "s3", "s3a://bucket/x", &shown), PANG_OK);
    assert_string_equal(shown->storage_location, "s3a://bucket/x");
}

static void test_svc_catalog__one_without_a_warehouse_holds_no_tables(void **state)
{
    fixture *fx = *state;
    catalog *shown;
    assert_int_equal(create_at(fx, "bare", "", "", "", &shown), PANG_OK);
    assert_string_equal(shown->warehouse_name, "");
    assert_int_equal(make_namespace(fx, "bare", "n"), PANG_OK);
    assert_int_equal(make_table(fx, "bare", "n", "t", NULL, NULL), PANG_INVALID_ARGUMENT);
}

static void test_svc_catalog__a_warehouse_in_use_stays(void **state)
{
    fixture *fx = *state;
    FILES(fx);
    assert_int_equal(create(fx, "a", "files"), PANG_OK);
    assert_int_equal(create(fx, "b", "files"), PANG_OK);
    assert_int_equal(delete_warehouse(fx, "files"), PANG_FAILED_PRECONDITION);
    assert_int_equal(delete_catalog(fx, "a", -1), PANG_OK);
    assert_int_equal(delete_warehouse(fx, "files"), PANG_FAILED_PRECONDITION);
    assert_int_equal(delete_catalog(fx, "b", -1), PANG_OK);
    assert_int_equal(delete_warehouse(fx, "files"), PANG_OK);
}

/* ---- update ---- */

static void test_svc_catalog__a_renamed_one_keeps_its_id_and_tables(void **state)
{
    fixture *fx = *state;
    catalog *before, *after;
    FILES(fx);
    assert_int_equal(create_at(fx, "lake", "Local", "files", "", &before), PANG_OK);
    assert_int_equal(make_table(fx, "lake", "default", "t", NULL, NULL), PANG_OK);
    assert_int_equal(rename_catalog(fx, "lake", "demo"), PANG_ALREADY_EXISTS);
    assert_int_equal(rename_catalog(fx, "lake", "a@b"), PANG_INVALID_ARGUMENT);
    assert_int_equal(rename_catalog(fx, "lake", "sea"), PANG_OK);
    assert_int_equal(get(fx, "lake", &after), PANG_NOT_FOUND);
    assert_int_equal(get(fx, "sea", &after), PANG_OK);
    assert_string_equal(before->id, after->id);
    assert_int_equal(summary(fx, "sea").table_count, 1);
    assert_int_equal(drop_table(fx, "sea", "default", "t"), PANG_OK);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
}

static void test_svc_catalog__an_update_changes_what_it_names(void **state)
{
    fixture *fx = *state;
    catalog *shown;
    Pangolin__V1__PropertyMap none = PANGOLIN__V1__PROPERTY_MAP__INIT;
    FILES(fx);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    update_in in = update_of(fx, "lake");
    assert_int_equal(update(fx, &in, &shown), PANG_OK);
    assert_int_equal(shown->n_properties, 1);
    assert_string_equal(shown->warehouse_name, "files");
    in.properties = &none;
    assert_int_equal(update(fx, &in, &shown), PANG_OK);
    assert_int_equal(shown->n_properties, 0);
    assert_string_equal(shown->warehouse_name, "files");
    in = update_of(fx, "lake");
    in._storage_location_case =
        PANGOLIN__V1__UPDATE_CATALOG_REQUEST___STORAGE_LOCATION_STORAGE_LOCATION;
    in.storage_location = fx_text(fx, "file:///etc");
    assert_int_equal(update(fx, &in, &shown), PANG_INVALID_ARGUMENT);
    in = update_of(fx, "nowhere");
    assert_int_equal(update(fx, &in, &shown), PANG_NOT_FOUND);
}

static void test_svc_catalog__says_how_long_the_past_is_kept(void **state)
{
    fixture *fx = *state;
    catalog *shown;
    FILES(fx);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    assert_int_equal(get(fx, "lake", &shown), PANG_OK);
    assert_int_equal(shown->retention_ms, INT64_C(30) * 24 * 3600 * 1000);
    assert_int_equal(shown->undrop_ms, INT64_C(7) * 24 * 3600 * 1000);
    update_in in = update_of(fx, "lake");
    in._retention_ms_case = PANGOLIN__V1__UPDATE_CATALOG_REQUEST___RETENTION_MS_RETENTION_MS;
    in.retention_ms = 5000;
    assert_int_equal(update(fx, &in, &shown), PANG_OK);
    assert_int_equal(shown->retention_ms, 5000);
    assert_int_equal(shown->undrop_ms, INT64_C(7) * 24 * 3600 * 1000);
    in._undrop_ms_case = PANGOLIN__V1__UPDATE_CATALOG_REQUEST___UNDROP_MS_UNDROP_MS;
    assert_int_equal(update(fx, &in, &shown), PANG_OK);
    assert_int_equal(shown->undrop_ms, 0);
    in.undrop_ms = -1;
    assert_int_equal(update(fx, &in, &shown), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "undrop_ms must be"));
    in.undrop_ms = 0;
    in.retention_ms = INT64_C(3650) * 24 * 3600 * 1000 + 1;
    assert_int_equal(update(fx, &in, &shown), PANG_INVALID_ARGUMENT);
    Pangolin__V1__CreateCatalogRequest made = PANGOLIN__V1__CREATE_CATALOG_REQUEST__INIT;
    Pangolin__V1__CreateCatalogResponse out;
    made.name = fx_text(fx, "sea");
    made.warehouse_name = fx_text(fx, "files");
    made._undrop_ms_case = PANGOLIN__V1__CREATE_CATALOG_REQUEST___UNDROP_MS_UNDROP_MS;
    made.undrop_ms = -1;
    assert_int_equal(fx_call(fx, "CreateCatalog", &made, &out), PANG_INVALID_ARGUMENT);
    made.undrop_ms = 60000;
    assert_int_equal(fx_call(fx, "CreateCatalog", &made, &out), PANG_OK);
    assert_int_equal(out.catalog->undrop_ms, 60000);
}

static void test_svc_catalog__a_warehouse_changes_only_without_tables(void **state)
{
    fixture *fx = *state;
    catalog *shown;
    FILES(fx);
    assert_int_equal(make_warehouse(fx, "more", "type", "file"), PANG_OK);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    assert_int_equal(make_table(fx, "lake", "default", "t", NULL, NULL), PANG_OK);
    update_in in = update_of(fx, "lake");
    in._warehouse_name_case = PANGOLIN__V1__UPDATE_CATALOG_REQUEST___WAREHOUSE_NAME_WAREHOUSE_NAME;
    in.warehouse_name = fx_text(fx, "more");
    assert_int_equal(update(fx, &in, &shown), PANG_FAILED_PRECONDITION);
    assert_int_equal(drop_table(fx, "lake", "default", "t"), PANG_OK);
    assert_int_equal(update(fx, &in, &shown), PANG_OK);
    assert_string_equal(shown->warehouse_name, "more");
    assert_int_equal(delete_warehouse(fx, "more"), PANG_FAILED_PRECONDITION);
    assert_int_equal(delete_warehouse(fx, "files"), PANG_OK);
    assert_int_equal(make_table(fx, "lake", "default", "t", NULL, NULL), PANG_OK);
    in.warehouse_name = fx_text(fx, "nowhere");
    assert_int_equal(update(fx, &in, &shown), PANG_INVALID_ARGUMENT);
}

/* ---- counts ---- */

static void test_svc_catalog__counts_follow_what_is_there(void **state)
{
    fixture *fx = *state;
    FILES(fx);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    assert_int_equal(make_namespace(fx, "lake", "a"), PANG_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(make_table(fx, "lake", "a", fx_text(fx, "t%d", i), NULL, NULL), PANG_OK);
    assert_int_equal(make_table(fx, "lake", "a", "t0", NULL, NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(drop_table(fx, "lake", "a", "t1"), PANG_OK);
    Pangolin__V1__GetCatalogSummaryResponse out = summary(fx, "lake");
    assert_int_equal(out.table_count, 2);
    assert_int_equal(out.namespace_count, 2);
    assert_int_equal(out.branch_count, 1);
    assert_int_equal(count(fx, PANG_COUNT_CATALOGS), 2);
    assert_int_equal(count(fx, PANG_COUNT_TABLES), 2);
    assert_int_equal(count(fx, PANG_COUNT_NAMESPACES), 2);
    assert_int_equal(count(fx, PANG_COUNT_BRANCHES), 2);
    assert_int_equal(delete_catalog(fx, "lake", 1), PANG_OK);
    assert_int_equal(count(fx, PANG_COUNT_CATALOGS), 1);
    assert_int_equal(count(fx, PANG_COUNT_TABLES), 0);
    assert_int_equal(count(fx, PANG_COUNT_NAMESPACES), 0);
    assert_int_equal(count(fx, PANG_COUNT_BRANCHES), 1);
}

/* ---- delete ---- */

static void test_svc_catalog__one_with_tables_goes_only_when_asked(void **state)
{
    fixture *fx = *state;
    catalog *shown;
    FILES(fx);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    assert_int_equal(make_table(fx, "lake", "default", "t", NULL, NULL), PANG_OK);
    assert_int_equal(delete_catalog(fx, "lake", -1), PANG_FAILED_PRECONDITION);
    assert_int_equal(delete_catalog(fx, "lake", 0), PANG_FAILED_PRECONDITION);
    assert_int_equal(get(fx, "lake", &shown), PANG_OK);
    assert_int_equal(delete_catalog(fx, "lake", 1), PANG_OK);
    assert_int_equal(get(fx, "lake", &shown), PANG_NOT_FOUND);
    assert_int_equal(make_table(fx, "lake", "default", "t", NULL, NULL), PANG_NOT_FOUND);
    assert_int_equal(delete_catalog(fx, "lake", 1), PANG_NOT_FOUND);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    assert_int_equal(summary(fx, "lake").table_count, 0);
}

static void work(fixture *fx)
{
    pang_err err = {0};
    (void)pang_state_work(fx->state, &err);
    if (err.code != PANG_OK)
        fail_msg("work: %s", err.message);
}

/* More tables than one step ends: their places are free when those of dropped ones would be. */
static void test_svc_catalog__places_of_a_deleted_one_are_free_in_time(void **state)
{
    enum { TABLES = 70 };
    fixture *fx = *state;
    const char *first = NULL, *last = NULL;
    FILES(fx);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    for (int i = 0; i < TABLES; i++) {
        const char **at = i == 0 ? &first : &last;
        assert_int_equal(make_table(fx, "lake", "default", fx_text(fx, "t%02d", i), NULL, at),
                         PANG_OK);
    }
    char *place = fx_text(fx, "%.*s", (int)(strstr(last, "/metadata/") - last), last);
    assert_int_equal(delete_catalog(fx, "lake", 1), PANG_OK);
    work(fx);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    assert_int_not_equal(make_table(fx, "lake", "default", "u", place, NULL), PANG_OK);
    atomic_fetch_add(&fx->ahead_ms, INT64_C(86400000) * DAYS_31);
    for (int i = 0; i < 4; i++) {
        work(fx);
        atomic_fetch_add(&fx->ahead_ms, 120 * 1000);
    }
    assert_int_equal(make_table(fx, "lake", "default", "u", place, NULL), PANG_OK);
}

/* ---- list ---- */

static void test_svc_catalog__lists_go_by_name_in_pages(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListCatalogsRequest in = PANGOLIN__V1__LIST_CATALOGS_REQUEST__INIT;
    Pangolin__V1__ListCatalogsResponse out;
    FILES(fx);
    assert_int_equal(create(fx, "zoo", "files"), PANG_OK);
    assert_int_equal(create(fx, "ant", ""), PANG_OK);
    in.page_size = 2;
    assert_int_equal(fx_call(fx, "ListCatalogs", &in, &out), PANG_OK);
    assert_int_equal(out.n_catalogs, 2);
    assert_string_equal(out.catalogs[0]->name, "ant");
    assert_string_equal(out.catalogs[1]->name, "demo");
    in._page_token_case = PANGOLIN__V1__LIST_CATALOGS_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
    in.page_token = fx_text(fx, "%s", out.next_page_token);
    assert_int_equal(fx_call(fx, "ListCatalogs", &in, &out), PANG_OK);
    assert_int_equal(out.n_catalogs, 1);
    assert_string_equal(out.catalogs[0]->warehouse_name, "files");
    assert_string_equal(out.next_page_token, "");
}

static void test_svc_catalog__who_is_nobody_sees_nothing(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListCatalogsRequest in = PANGOLIN__V1__LIST_CATALOGS_REQUEST__INIT;
    Pangolin__V1__ListCatalogsResponse out;
    fx->server.evaluation = false; /* and there is no permit */
    assert_int_equal(fx_call(fx, "ListCatalogs", &in, &out), PANG_OK);
    assert_int_equal(out.n_catalogs, 0);
}

/* ---- trees ---- */

static void test_svc_catalog__trees(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__GetNamespaceTreeRequest in = PANGOLIN__V1__GET_NAMESPACE_TREE_REQUEST__INIT;
    Pangolin__V1__GetNamespaceTreeResponse out;
    Pangolin__V1__GetExplorerTreeRequest all = PANGOLIN__V1__GET_EXPLORER_TREE_REQUEST__INIT;
    Pangolin__V1__GetExplorerTreeResponse tree;
    FILES(fx);
    assert_int_equal(create(fx, "lake", "files"), PANG_OK);
    assert_int_equal(make_namespace(fx, "lake", "a"), PANG_OK);
    assert_int_equal(make_namespace(fx, "lake", "a.b"), PANG_OK);
    assert_int_equal(make_table(fx, "lake", "a", "t", NULL, NULL), PANG_OK);
    in.prefix = fx_text(fx, "lake");
    assert_int_equal(fx_call(fx, "GetNamespaceTree", &in, &out), PANG_OK);
    assert_int_equal(out.n_root, 2);
    assert_string_equal(out.root[0]->name, "a");
    assert_string_equal(out.root[0]->children[0]->full_path[1], "b");
    assert_string_equal(out.root[1]->name, "default");
    assert_int_equal(fx_call(fx, "GetExplorerTree", &all, &tree), PANG_OK);
    assert_int_equal(tree.n_nodes, 2);
    assert_string_equal(tree.nodes[1]->type, "catalog");
    assert_string_equal(tree.nodes[1]->children[0]->children[0]->type, "namespace");
    assert_string_equal(tree.nodes[1]->children[0]->children[1]->type, "table");
    all.catalog = fx_text(fx, "lake");
    assert_int_equal(fx_call(fx, "GetExplorerTree", &all, &tree), PANG_OK);
    assert_string_equal(tree.nodes[0]->children[1]->name, "t");
    in.prefix = fx_text(fx, "nowhere");
    assert_int_equal(fx_call(fx, "GetNamespaceTree", &in, &out), PANG_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_svc_catalog__##name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_one_serves_at_once),
        TEST(bad_input_is_refused),
        TEST(one_without_a_warehouse_holds_no_tables),
        TEST(a_warehouse_in_use_stays),
        TEST(a_renamed_one_keeps_its_id_and_tables),
        TEST(an_update_changes_what_it_names),
        TEST(says_how_long_the_past_is_kept),
        TEST(a_warehouse_changes_only_without_tables),
        TEST(counts_follow_what_is_there),
        TEST(one_with_tables_goes_only_when_asked),
        TEST(places_of_a_deleted_one_are_free_in_time),
        TEST(lists_go_by_name_in_pages),
        TEST(who_is_nobody_sees_nothing),
        TEST(trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
