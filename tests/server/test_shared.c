/*
 * server/shared.c: which tables are shared, what replies say of them, and which commits are
 * refused.
 */
#include "tests/server/catalog_fixture.h"

#include <string.h>
#include <unistd.h>

#include "api/json.h"
#include "server/metadata.h"
#include "server/shared.h"
#include "server/svc_table.h"

typedef Pangolin__V1__CreateTableResponse create_out;
typedef Pangolin__V1__LoadTableResponse load_out;
typedef Pangolin__V1__CommitTableResponse commit_out;

#define SET_PROPERTY(name, value)                                                                  \
    "[{\"action\":\"set-properties\",\"updates\":{\"" name "\":\"" value "\"}}]"
#define ADD_SNAPSHOT                                                                               \
    "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":1,\"sequence-number\":1,"         \
    "\"timestamp-ms\":1,\"manifest-list\":\"file:/no/such\",\"summary\":{\"operation\":"           \
    "\"append\"},\"schema-id\":0}}]"
#define REMOVE_SNAPSHOT "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[1]}]"

static int setup(void **state)
{
    fx_setup(state);
    fx_ok(*state, fx_create_namespace(*state, "ns"));
    return 0;
}

/* As when a branch or tag is made of main as it is now. */
static void fork_main(fixture *fx)
{
    uint64_t now;
    pang_txn *txn = fx_begin(fx);
    pang_view view = fx_view(fx, txn);
    fx_ok(fx, pang_view_sequence(&view, &now, &fx->err));
    fx_ok(fx, pang_fork_mark_raise(txn, &view.keys, view.levels[0].branch, now, &fx->err));
    fx_ok(fx, pang_txn_commit(txn, &fx->err));
}

static const char *property(fixture *fx, ProtobufCBinaryData metadata, const char *name)
{
    pang_json *tree;
    pang_str value;
    fx_ok(fx, pang_json_parse(pang_str_of(metadata), fx->arena, &tree, &fx->err));
    return pang_model_property(tree, pang_str_from(name), &value)
               ? pang_arena_cstr(fx->arena, value)
               : "";
}

static void expect_overlay(fixture *fx, ProtobufCBinaryData metadata, bool shared)
{
    const char *want = shared ? "false" : "";
    assert_string_equal(property(fx, metadata, "gc.enabled"), want);
    assert_string_equal(property(fx, metadata, "write.metadata.delete-after-commit.enabled"), want);
}

static load_out load(fixture *fx, const char *name)
{
    load_out out = PANGOLIN__V1__LOAD_TABLE_RESPONSE__INIT;
    fx_ok(fx, fx_load_table(fx, "ns", name, &out));
    return out;
}

static void test_shared__what_was_there_at_a_fork_is_shared_for_good(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_table(fx, "ns", "old", NULL));
    fx_ok(fx, fx_commit(fx, "ns", "old", "[]", SET_PROPERTY("a", "b"), NULL));
    expect_overlay(fx, load(fx, "old").metadata, false);
    fork_main(fx);
    fx_ok(fx, fx_create_table(fx, "ns", "new", NULL));
    load_out old = load(fx, "old"), new = load(fx, "new");
    expect_overlay(fx, old.metadata, true);
    expect_overlay(fx, new.metadata, false);
    assert_string_equal(property(fx, old.metadata, "a"), "b");
    fx_ok(fx, fx_commit(fx, "ns", "old", "[]", SET_PROPERTY("a", "c"), NULL));
    fx_ok(fx, fx_commit(fx, "ns", "new", "[]", SET_PROPERTY("a", "c"), NULL));
    expect_overlay(fx, load(fx, "old").metadata, true);
    expect_overlay(fx, load(fx, "new").metadata, false);
}

static void
test_shared__a_reply_of_a_commit_says_what_a_load_says_and_the_file_does_not(void **state)
{
    fixture *fx = *state;
    commit_out made;
    pang_location at;
    pang_str file;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    load_out before = load(fx, "t");
    fork_main(fx);
    load_out after = load(fx, "t");
    assert_string_equal(before.metadata_location, after.metadata_location);
    assert_string_not_equal(before.etag, after.etag);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("gc.enabled", "true"), &made));
    expect_overlay(fx, made.metadata, true);
    assert_int_equal(made.n_config, 0);
    after = load(fx, "t");
    assert_string_equal(made.etag, after.etag);
    assert_true(pang_str_equal(pang_str_of(made.metadata), pang_str_of(after.metadata)));
    fx_ok(fx, pang_location_parse(pang_str_from(made.metadata_location), "x", fx->arena, &at,
                                  &fx->err));
    fx_ok(fx, pang_metadata_read_file(fx->state, &at, fx->arena, &file, &fx->err));
    assert_string_equal(property(fx, pang_bytes_of(file), "gc.enabled"), "true");
}

/* Of S3's files the engine's file IO hears, too; on a file system it would mean nothing. */
static void test_shared__the_file_io_of_s3_is_told_to_delete_nothing(void **state)
{
    fixture *fx = *state;
    static char on_s3[] = "s3://b/t/metadata/1.json", on_disk[] = "file:///t/metadata/1.json";
    pang_rec_content body = PANGOLIN__STORE__V1__CONTENT__INIT;
    pang_call call = {.arena = fx->arena};
    for (int shared = 0; shared < 2; shared++) {
        load_out s3 = PANGOLIN__V1__LOAD_TABLE_RESPONSE__INIT, disk = s3;
        pang_overlay overlay = {.shared = shared};
        body.metadata_location = on_s3;
        fx_ok(fx, pang_table_reply_Load(&call, &body, overlay, PANG_STR("{}"), &s3, &fx->err));
        body.metadata_location = on_disk;
        fx_ok(fx, pang_table_reply_Load(&call, &body, overlay, PANG_STR("{}"), &disk, &fx->err));
        assert_int_equal(disk.n_config, 0);
        assert_int_equal(s3.n_config, shared ? 2 : 0);
        if (shared) {
            assert_string_equal(s3.config[0]->key, "s3.delete-enabled");
            assert_string_equal(s3.config[1]->key, "rest-catalog-purge");
        }
    }
}

static void test_shared__only_the_catalog_removes_snapshots_of_a_shared_table(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", ADD_SNAPSHOT, NULL));
    fork_main(fx);
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", REMOVE_SNAPSHOT, NULL), PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "tables/t/maintenance"));
    fx_ok(fx, fx_create_table(fx, "ns", "alone", NULL));
    fx_ok(fx, fx_commit(fx, "ns", "alone", "[]", ADD_SNAPSHOT, NULL));
    fx_ok(fx, fx_commit(fx, "ns", "alone", "[]", REMOVE_SNAPSHOT, NULL));
}

/* A ref that is made while snapshots are removed: one of the two runs again and sees the other. */
static void test_shared__a_fork_and_an_expiry_do_not_pass_each_other(void **state)
{
    fixture *fx = *state;
    uint64_t now;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", ADD_SNAPSHOT, NULL));
    pang_txn *fork = fx_begin(fx);
    pang_view view = fx_view(fx, fork);
    fx_ok(fx, pang_view_sequence(&view, &now, &fx->err));
    fx_ok(fx, pang_fork_mark_raise(fork, &view.keys, view.levels[0].branch, now, &fx->err));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", REMOVE_SNAPSHOT, NULL));
    assert_int_equal(pang_txn_commit(fork, &fx->err), PANG_ABORTED);
    pang_txn *expiry = fx_begin(fx);
    view = fx_view(fx, expiry);
    fx_ok(fx, pang_fork_mark_renew(&view, &fx->err));
    fork_main(fx);
    assert_int_equal(pang_txn_commit(expiry, &fx->err), PANG_ABORTED);
}

static bool is_there(const char *location)
{
    return access(fx_path(location), F_OK) == 0;
}

/* Later work, after all times that a dropped table can come back. */
static void work_later(fixture *fx)
{
    fx->ahead_ms += INT64_C(40) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
}

/* Creates a table at another's place by name. */
static pang_code create_at(fixture *fx, const char *location)
{
    Pangolin__V1__CreateTableRequest in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    create_out out = PANGOLIN__V1__CREATE_TABLE_RESPONSE__INIT;
    in.prefix = fx_text(fx, FX_PREFIX);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.name = fx_text(fx, "other");
    in.schema = fx_bytes(FX_SCHEMA);
    in._location_case = PANGOLIN__V1__CREATE_TABLE_REQUEST___LOCATION_LOCATION;
    in.location = fx_text(fx, "%s", location);
    return fx_call(fx, "CreateTable", &in, &out);
}

static void test_shared__a_purge_of_a_shared_table_is_a_tombstone(void **state)
{
    fixture *fx = *state;
    create_out made;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fork_main(fx);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    work_later(fx);
    assert_true(is_there(made.metadata_location));
    assert_int_equal(create_at(fx, fx_text(fx, "%s/ns/t", fx->warehouse)), PANG_INVALID_ARGUMENT);
}

/* A ref may be made of the state before the drop, while the table can come back. */
static void test_shared__a_fork_after_the_drop_keeps_the_files_and_the_place(void **state)
{
    fixture *fx = *state;
    create_out made;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fork_main(fx);
    assert_int_equal(create_at(fx, fx_text(fx, "%s/ns/t", fx->warehouse)), PANG_INVALID_ARGUMENT);
    work_later(fx);
    work_later(fx);
    assert_true(is_there(made.metadata_location));
    assert_int_equal(create_at(fx, fx_text(fx, "%s/ns/t", fx->warehouse)), PANG_INVALID_ARGUMENT);
}

static void test_shared__a_purge_of_another_table_takes_its_files_and_frees_its_place(void **state)
{
    fixture *fx = *state;
    create_out made;
    fork_main(fx);
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    work_later(fx);
    assert_false(is_there(made.metadata_location));
    fx_ok(fx, create_at(fx, fx_text(fx, "%s/ns/t", fx->warehouse)));
}

static void expect_splice(fixture *fx, pang_overlay overlay, const char *document, const char *want)
{
    pang_str made;
    fx_ok(fx, pang_overlay_splice(overlay, pang_str_from(document), fx->arena, &made, &fx->err));
    if (!pang_str_equal(made, pang_str_from(want)))
        fail_msg("%.*s instead of %s", (int)made.len, made.ptr, want);
}

#define STOPS "\"gc.enabled\":\"false\",\"write.metadata.delete-after-commit.enabled\":\"false\""

static void test_shared__an_overlay_replaces_its_properties_and_nothing_else(void **state)
{
    fixture *fx = *state;
    pang_overlay shared = {.shared = true};
    expect_splice(fx, shared, "{\"location\":\"s3://b/t\", \"x\" : 12345678901234567890123}",
                  "{\"properties\":{" STOPS "},\"location\":\"s3://b/t\", \"x\" : "
                  "12345678901234567890123}");
    expect_splice(fx, shared, "{\"a\":1}", "{\"properties\":{" STOPS "},\"a\":1}");
    expect_splice(fx, shared, " {\"properties\" : {}, \"z\":[1, 2]}",
                  " {\"properties\" : {" STOPS "}, \"z\":[1, 2]}");
    expect_splice(fx, shared,
                  "{\"properties\":{\"gc.enabled\":\"true\",\"k\":\"\\u00e9\",\"gc\":\"1\"}}",
                  "{\"properties\":{\"k\":\"\\u00e9\",\"gc\":\"1\"," STOPS "}}");
    expect_splice(fx, shared, "{\"snapshots\":[{\"properties\":{}}],\"properties\":{}}",
                  "{\"snapshots\":[{\"properties\":{}}],\"properties\":{" STOPS "}}");
}

#define FOLDER "s3://b/t/branches/0a000000-0000-0000-0000-000000000000"

static void test_shared__paths_of_a_branch_stand_where_the_table_names_none(void **state)
{
    fixture *fx = *state;
    pang_overlay paths = {.paths.branch = {{10}}};
    expect_splice(fx, paths, "{\"location\":\"s3://b/t/\",\"properties\":{\"k\":\"v\"}}",
                  "{\"location\":\"s3://b/t/\",\"properties\":{\"k\":\"v\",\"write.data.path\":"
                  "\"" FOLDER "/data\",\"write.metadata.path\":\"" FOLDER "/metadata\"}}");
    expect_splice(fx, paths,
                  "{\"properties\":{\"write.folder-storage.path\":\"s3://c\"},"
                  "\"location\":\"s3://b/t\"}",
                  "{\"properties\":{\"write.folder-storage.path\":\"s3://c\",\"write.metadata."
                  "path\":\"" FOLDER "/metadata\"},\"location\":\"s3://b/t\"}");
    paths.paths.mark = 17; /* something was made of it */
    expect_splice(fx, paths, "{\"location\":\"s3://b/t\",\"properties\":{}}",
                  "{\"location\":\"s3://b/t\",\"properties\":{\"write.data.path\":"
                  "\"" FOLDER "-17/data\",\"write.metadata.path\":\"" FOLDER "-17/metadata\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_shared__##name, setup, fx_teardown)
        TEST(what_was_there_at_a_fork_is_shared_for_good),
        TEST(a_reply_of_a_commit_says_what_a_load_says_and_the_file_does_not),
        TEST(the_file_io_of_s3_is_told_to_delete_nothing),
        TEST(only_the_catalog_removes_snapshots_of_a_shared_table),
        TEST(a_fork_and_an_expiry_do_not_pass_each_other),
        TEST(a_purge_of_a_shared_table_is_a_tombstone),
        TEST(a_fork_after_the_drop_keeps_the_files_and_the_place),
        TEST(a_purge_of_another_table_takes_its_files_and_frees_its_place),
        TEST(an_overlay_replaces_its_properties_and_nothing_else),
        TEST(paths_of_a_branch_stand_where_the_table_names_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
