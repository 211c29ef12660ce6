/*
 * server/svc_asset.c, svc_notes.c and assets.c, through the small dispatcher.
 */
#include "tests/server/catalog_fixture.h"

#include <stdio.h>
#include <string.h>

#include "api/keys_identity.h"
#include "server/assets.h"

#include "pangolin/v1/asset.pb-c.h"

typedef Pangolin__V1__CreateAssetRequest create_in;
typedef Pangolin__V1__CreateAssetRequest__PropertiesEntry create_entry;
typedef Pangolin__V1__BusinessMetadata notes;

#define PREFIX ((char *)(uintptr_t)FX_PREFIX)

/* ---- calls ---- */

static pang_code create(fixture *fx, const char *ns, const char *name, const char *kind,
                        const char *location, Pangolin__V1__CreateAssetResponse *ret)
{
    create_in in = PANGOLIN__V1__CREATE_ASSET_REQUEST__INIT;
    Pangolin__V1__CreateAssetResponse out;
    create_entry entry = PANGOLIN__V1__CREATE_ASSET_REQUEST__PROPERTIES_ENTRY__INIT,
                 *list[1] = {&entry};
    entry.key = fx_text(fx, "encrypted_password");
    entry.value = fx_text(fx, " gAAAAB== ");
    in.catalog = PREFIX;
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.name = fx_text(fx, "%s", name);
    in.kind = fx_text(fx, "%s", kind);
    in.location = fx_text(fx, "%s", location);
    in.properties = list;
    in.n_properties = 1;
    return fx_call(fx, "CreateAsset", &in, ret != NULL ? ret : &out);
}

static pang_code get(fixture *fx, const char *ns, const char *name,
                     Pangolin__V1__GetAssetResponse *out)
{
    Pangolin__V1__GetAssetRequest in = PANGOLIN__V1__GET_ASSET_REQUEST__INIT;
    in.catalog = PREFIX;
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.asset = fx_text(fx, "%s", name);
    return fx_call(fx, "GetAsset", &in, out);
}

static pang_code list(fixture *fx, const char *ns, int size, int offset, const char *token,
                      Pangolin__V1__ListAssetsResponse *out)
{
    Pangolin__V1__ListAssetsRequest in = PANGOLIN__V1__LIST_ASSETS_REQUEST__INIT;
    in.catalog = PREFIX;
    in.namespace_ = fx_levels(fx, ns, &in.n_namespace_);
    in.page_size = size;
    in.offset = offset;
    if (token != NULL) {
        in._page_token_case = PANGOLIN__V1__LIST_ASSETS_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
        in.page_token = fx_text(fx, "%s", token);
    }
    return fx_call(fx, "ListAssets", &in, out);
}

/* `tags`: joined by commas. */
static pang_code set(fixture *fx, const char *id, const char *tags, const char *properties,
                     notes **ret)
{
    Pangolin__V1__SetAssetMetadataRequest in = PANGOLIN__V1__SET_ASSET_METADATA_REQUEST__INIT;
    Pangolin__V1__SetAssetMetadataResponse out;
    pang_str rest = pang_str_from(tags), tag;
    char *all[128];
    while (tags[0] != '\0' && pang_str_next(&rest, ',', &tag))
        all[in.n_tags++] = pang_arena_cstr(fx->arena, tag);
    in.asset_id = fx_text(fx, "%s", id);
    in.tags = all;
    in.properties = fx_bytes(properties);
    in.description = fx_text(fx, "what it is");
    pang_code code = fx_call(fx, "SetAssetMetadata", &in, &out);
    if (ret != NULL)
        *ret = code == PANG_OK ? out.metadata : NULL;
    return code;
}

static pang_code get_notes(fixture *fx, const char *id, notes **ret)
{
    Pangolin__V1__GetAssetMetadataRequest in = PANGOLIN__V1__GET_ASSET_METADATA_REQUEST__INIT;
    Pangolin__V1__GetAssetMetadataResponse out;
    in.asset_id = fx_text(fx, "%s", id);
    pang_code code = fx_call(fx, "GetAssetMetadata", &in, &out);
    *ret = code == PANG_OK ? out.metadata : NULL;
    return code;
}

static pang_code delete_notes(fixture *fx, const char *id)
{
    Pangolin__V1__DeleteAssetMetadataRequest in = PANGOLIN__V1__DELETE_ASSET_METADATA_REQUEST__INIT;
    Pangolin__V1__DeleteAssetMetadataResponse out;
    in.asset_id = fx_text(fx, "%s", id);
    return fx_call(fx, "DeleteAssetMetadata", &in, &out);
}

static int64_t epoch(fixture *fx)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_ref ref = {.key = pang_key_count(&keys, PANG_COUNT_AUTH)};
    pang_record record;
    assert_int_equal(pang_txn_get(fx_begin(fx), &ref, 1, PANG_READ_UNCHECKED, &record, &fx->err),
                     PANG_OK);
    return record.value;
}

static bool is_tagged(fixture *fx, const char *tag, const char *id)
{
    pang_keys keys = {.arena = fx->arena, .scope = FX_SCOPE};
    pang_record record;
    pang_id asset;
    assert_true(pang_id_parse(pang_str_from(id), &asset));
    assert_int_equal(pang_txn_get_one(fx_begin(fx),
                                      pang_key_tagged(&keys, pang_str_from(tag), asset), &record,
                                      &fx->err),
                     PANG_OK);
    return record.version != 0;
}

/* ---- assets ---- */

static void test_svc_asset__created_ones_come_back_as_they_were_given(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreateAssetResponse made;
    Pangolin__V1__GetAssetResponse out;
    assert_int_equal(fx_create_namespace(fx, "ml"), PANG_OK);
    assert_int_equal(create(fx, "ml", "m", "MlModel", "s3://b/m", &made), PANG_OK);
    assert_string_equal(made.kind, "ML_MODEL");
    assert_int_equal(get(fx, "ml", "m", &out), PANG_OK);
    assert_string_equal(out.id, made.id);
    assert_string_equal(out.kind, "ML_MODEL");
    assert_string_equal(out.location, "s3://b/m");
    assert_int_equal(out.n_properties, 1);
    assert_string_equal(out.properties[0]->key, "encrypted_password");
    assert_string_equal(out.properties[0]->value, " gAAAAB== ");
    assert_int_equal(create(fx, "ml", "m", "OTHER", "x", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(fx_create_table(fx, "ml", "m", NULL), PANG_ALREADY_EXISTS);
    assert_int_equal(fx_load_table(fx, "ml", "m", NULL), PANG_NOT_FOUND);
}

static void test_svc_asset__bad_input_is_refused(void **state)
{
    static const struct {
        const char *ns, *name, *kind, *location;
        pang_code code;
    } cases[] = {
        {"no", "m", "OTHER", "x", PANG_NOT_FOUND},
        {"a", "", "OTHER", "x", PANG_INVALID_ARGUMENT},
        {"a", "m@x", "OTHER", "x", PANG_NOT_FOUND}, /* no such ref */
        {"a", "m\x01", "OTHER", "x", PANG_INVALID_ARGUMENT},
        {"a", "m", "", "x", PANG_INVALID_ARGUMENT},
        {"a", "m", "ICEBERG_TABLE", "x", PANG_INVALID_ARGUMENT},
        {"a", "m", "View", "x", PANG_INVALID_ARGUMENT},
        {"a", "m", "DELTA_TABLES", "x", PANG_INVALID_ARGUMENT},
        {"a", "m", "DELTA", "x", PANG_INVALID_ARGUMENT},
        {"a", "m", "OTHER", "", PANG_INVALID_ARGUMENT},
        {"a", "m", "OTHER", "x\x02", PANG_INVALID_ARGUMENT},
    };
    fixture *fx = *state;
    Pangolin__V1__GetAssetResponse out;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pang_code code = create(fx, cases[i].ns, cases[i].name, cases[i].kind, cases[i].location,
                                NULL);
        if (code != cases[i].code)
            fail_msg("%zu: %s: %s", i, pang_code_name(code), fx->err.message);
    }
    assert_int_equal(get(fx, "a", "m", &out), PANG_NOT_FOUND);
}

static void test_svc_asset__all_kinds_in_all_spellings(void **state)
{
    (void)state;
    assert_string_equal(pang_asset_kind_of(PANG_STR("delta_table")), "DELTA_TABLE");
    assert_string_equal(pang_asset_kind_of(PANG_STR("DbConnString")), "DB_CONN_STRING");
    assert_string_equal(pang_asset_kind_of(PANG_STR("ApachePaimon")), "APACHE_PAIMON");
    assert_null(pang_asset_kind_of(PANG_STR("DELTA__TABLE")));
    assert_null(pang_asset_kind_of(PANG_STR("DELTA_TABLE_")));
    assert_null(pang_asset_kind_of(PANG_STR("")));
}

static void test_svc_asset__lists_hold_tables_too(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListAssetsResponse out;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "a", "t", NULL), PANG_OK);
    assert_int_equal(create(fx, "a", "d", "DELTA_TABLE", "s3://b/d", NULL), PANG_OK);
    assert_int_equal(create(fx, "a", "x", "OTHER", "s3://b/x", NULL), PANG_OK);
    assert_int_equal(list(fx, "a", 0, 0, NULL, &out), PANG_OK);
    assert_int_equal(out.n_assets, 3);
    assert_string_equal(out.assets[0]->kind, "DELTA_TABLE");
    assert_string_equal(out.assets[1]->kind, "ICEBERG_TABLE");
    assert_string_equal(out.assets[1]->identifier->name, "t");
    assert_string_equal(out.assets[1]->identifier->namespace_[0], "a");
    assert_int_equal(list(fx, "a", 1, 1, NULL, &out), PANG_OK);
    assert_int_equal(out.n_assets, 1);
    assert_string_equal(out.assets[0]->name, "t");
    assert_int_equal(list(fx, "a", 1, 1, out.next_page_token, &out), PANG_OK);
    assert_string_equal(out.assets[0]->name, "x");
    assert_int_equal(list(fx, "a", 0, -1, NULL, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(list(fx, "b", 0, 0, NULL, &out), PANG_NOT_FOUND);
}

/* ---- what is said ---- */

static void test_svc_asset__notes_are_kept_and_tags_lead_back(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreateAssetResponse made;
    notes *shown;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    assert_int_equal(create(fx, "a", "m", "OTHER", "x", &made), PANG_OK);
    assert_int_equal(get_notes(fx, made.id, &shown), PANG_NOT_FOUND);
    assert_int_equal(set(fx, made.id, "pii,gold,pii", "{\"k\":[1]}", &shown), PANG_OK);
    assert_int_equal(get_notes(fx, made.id, &shown), PANG_OK);
    assert_int_equal(shown->n_tags, 2);
    assert_string_equal(shown->tags[0], "gold");
    assert_string_equal(shown->tags[1], "pii");
    assert_string_equal(shown->description, "what it is");
    assert_memory_equal(shown->properties.data, "{\"k\":[1]}", shown->properties.len);
    assert_string_equal(shown->asset_id, made.id);
    assert_true(is_tagged(fx, "gold", made.id) && is_tagged(fx, "pii", made.id));
    const char *first = fx_text(fx, "%s", shown->id);
    assert_int_equal(set(fx, made.id, "pii,new", "", &shown), PANG_OK);
    assert_string_equal(shown->id, first);
    assert_memory_equal(shown->properties.data, "{}", 2);
    assert_false(is_tagged(fx, "gold", made.id));
    assert_true(is_tagged(fx, "new", made.id));
    assert_int_equal(delete_notes(fx, made.id), PANG_OK);
    assert_false(is_tagged(fx, "pii", made.id) || is_tagged(fx, "new", made.id));
    assert_int_equal(delete_notes(fx, made.id), PANG_NOT_FOUND);
}

static void test_svc_asset__a_change_of_tags_ends_what_was_compiled(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreateAssetResponse made;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    assert_int_equal(create(fx, "a", "m", "OTHER", "x", &made), PANG_OK);
    int64_t before = epoch(fx);
    assert_int_equal(set(fx, made.id, "", "{}", NULL), PANG_OK);
    assert_int_equal(epoch(fx), before);
    assert_int_equal(set(fx, made.id, "pii", "{}", NULL), PANG_OK);
    assert_int_equal(epoch(fx), before + 1);
    assert_int_equal(set(fx, made.id, "pii", "{}", NULL), PANG_OK);
    assert_int_equal(epoch(fx), before + 1);
    assert_int_equal(delete_notes(fx, made.id), PANG_OK);
    assert_int_equal(epoch(fx), before + 2);
}

static void test_svc_asset__notes_need_an_asset_and_sound_tags(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__CreateTableResponse table;
    Pangolin__V1__ListAssetsResponse out;
    char many[512] = "t0";
    notes *shown;
    assert_int_equal(fx_create_namespace(fx, "a"), PANG_OK);
    assert_int_equal(fx_create_table(fx, "a", "t", &table), PANG_OK);
    assert_int_equal(list(fx, "a", 0, 0, NULL, &out), PANG_OK);
    const char *id = fx_text(fx, "%s", out.assets[0]->id);
    for (int i = 1; i < 65; i++)
        (void)snprintf(many + strlen(many), sizeof many - strlen(many), ",t%d", i);
    assert_int_equal(set(fx, id, many, "", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(set(fx, id, "a,,b", "", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(set(fx, id, "a\x01", "", NULL), PANG_INVALID_ARGUMENT);
    memset(many, 'x', 129);
    many[129] = '\0';
    assert_int_equal(set(fx, id, many, "", NULL), PANG_INVALID_ARGUMENT);
    assert_int_equal(set(fx, id, "a/b%", "", &shown), PANG_OK);
    assert_int_equal(set(fx, "nonsense", "a", "", NULL), PANG_NOT_FOUND);
    assert_int_equal(set(fx, "0190aaaa-0000-7000-8000-000000000001", "a", "", NULL),
                     PANG_NOT_FOUND);
    assert_int_equal(fx_drop_table(fx, "a", "t", false), PANG_OK);
    assert_int_equal(get_notes(fx, id, &shown), PANG_NOT_FOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_svc_asset__##name, fx_setup, fx_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(created_ones_come_back_as_they_were_given),
        TEST(bad_input_is_refused),
        TEST(all_kinds_in_all_spellings),
        TEST(lists_hold_tables_too),
        TEST(notes_are_kept_and_tags_lead_back),
        TEST(a_change_of_tags_ends_what_was_compiled),
        TEST(notes_need_an_asset_and_sound_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
