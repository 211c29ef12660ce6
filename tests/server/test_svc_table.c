/*
 * server/svc_table*.c, through the small dispatcher: what calls answer, what they leave behind.
 */
#include "tests/server/catalog_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/json.h"
#include "server/metadata.h"

typedef Pangolin__V1__CreateTableRequest create_in;
typedef Pangolin__V1__CreateTableResponse create_out;
typedef Pangolin__V1__LoadTableRequest load_in;
typedef Pangolin__V1__LoadTableResponse load_out;
typedef Pangolin__V1__CommitTableResponse commit_out;
typedef Pangolin__V1__RegisterTableResponse register_out;

#define PREFIX ((char *)(uintptr_t)FX_PREFIX)
#define ADD_COLUMN                                                                                 \
    "[{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"fields\":["                     \
    "{\"id\":1,\"name\":\"id\",\"required\":true,\"type\":\"long\"},"                              \
    "{\"id\":2,\"name\":\"data\",\"required\":false,\"type\":\"string\"},"                         \
    "{\"id\":3,\"name\":\"more\",\"required\":false,\"type\":\"string\"}]}},"                      \
    "{\"action\":\"set-current-schema\",\"schema-id\":-1}]"
#define SET_PROPERTY(name, value)                                                                  \
    "[{\"action\":\"set-properties\",\"updates\":{\"" name "\":\"" value "\"}}]"

static void expect(fixture *fx, pang_code code, pang_code want, const char *reason,
                   const char *message)
{
    if (code != want)
        fail_msg("%s instead of %s: %s", pang_code_name(code), pang_code_name(want),
                 fx->err.message);
    assert_string_equal(fx->err.reason, reason);
    assert_string_equal(fx->err.message, message);
}

static int setup(void **state)
{
    fx_setup(state);
    fx_ok(*state, fx_create_namespace(*state, "ns"));
    return 0;
}

static pang_json *parse(fixture *fx, ProtobufCBinaryData metadata)
{
    pang_json *tree = NULL;
    fx_ok(fx, pang_json_parse(pang_str_of(metadata), fx->arena, &tree, &fx->err));
    return tree;
}

static const char *text_of(fixture *fx, const pang_json *object, const char *name)
{
    pang_str text;
    return pang_json_to_str(pang_json_get(object, name), &text) ? pang_arena_cstr(fx->arena, text)
                                                                : NULL;
}

static bool is_file(const char *location)
{
    struct stat about;
    return stat(fx_path(location), &about) == 0 && S_ISREG(about.st_mode);
}

static bool is_folder(const char *location)
{
    struct stat about;
    return stat(fx_path(location), &about) == 0 && S_ISDIR(about.st_mode);
}

/* How many files a folder holds; 0 when it is not there. */
static size_t files_in(const char *location)
{
    DIR *folder = opendir(fx_path(location));
    size_t n = 0;
    if (folder == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(folder)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(folder);
    return n;
}

static pang_code create_at(fixture *fx, const char *name, const char *location, bool stage,
                           create_out *out)
{
    create_in in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.name = fx_text(fx, "%s", name);
    in.schema = fx_bytes(FX_SCHEMA);
    in.stage_create = stage;
    if (location != NULL) {
        in._location_case = PANGOLIN__V1__CREATE_TABLE_REQUEST___LOCATION_LOCATION;
        in.location = fx_text(fx, "%s", location);
    }
    return fx_call(fx, "CreateTable", &in, out);
}

/* ---- create and load ---- */

static void test_svc_table__a_created_table_is_loaded_as_it_was_answered(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_out loaded;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    const char *location = text_of(fx, parse(fx, made.metadata), "location");
    assert_string_equal(location, fx_text(fx, "%s/ns/t", fx->warehouse));
    assert_true(is_file(made.metadata_location));
    assert_true(is_folder(fx_text(fx, "%s/data", location)));
    fx_ok(fx, fx_load_table(fx, "ns", "t", &loaded));
    assert_string_equal(loaded.metadata_location, made.metadata_location);
    assert_true(pang_str_equal(pang_str_of(loaded.metadata), pang_str_of(made.metadata)));
    assert_string_equal(loaded.etag, made.etag);
    pang_location at;
    pang_str file;
    fx_ok(fx, pang_location_parse(pang_str_from(made.metadata_location), "x", fx->arena, &at,
                                  &fx->err));
    fx_ok(fx, pang_metadata_read_file(fx->state, &at, fx->arena, &file, &fx->err));
    assert_true(pang_str_equal(file, pang_str_of(made.metadata)));
}

static void test_svc_table__messages_are_those_that_suites_compare(void **state)
{
    fixture *fx = *state;
    load_out out;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    expect(fx, fx_create_table(fx, "ns", "t", NULL), PANG_ALREADY_EXISTS, "AlreadyExistsException",
           "Table already exists: ns.t");
    expect(fx, fx_create_table(fx, "no", "t", NULL), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: no");
    expect(fx, fx_load_table(fx, "ns", "x", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns.x");
    expect(fx, fx_load_table(fx, "no.such", "x", &out), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: no.such.x");
    expect(fx, fx_drop_table(fx, "ns", "x", false), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns.x");
    expect(fx, fx_commit(fx, "ns", "x", "[]", "[]", NULL), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns.x");
    expect(fx, fx_create_table(fx, "ns", "a@b", NULL), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Ref does not exist: b");
}

static void test_svc_table__a_missing_file_is_told(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_in in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    load_out out;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    const char *etag = made.etag;
    assert_int_equal(unlink(fx_path(made.metadata_location)), 0);
    const char *message = fx_text(fx, "Failed to open input stream for file: %s",
                                  made.metadata_location);
    expect(fx, fx_load_table(fx, "ns", "t", NULL), PANG_NOT_FOUND, "NotFoundException", message);
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    in.if_none_match = fx_text(fx, "%s", etag);
    expect(fx, fx_call(fx, "LoadTable", &in, &out), PANG_NOT_FOUND, "NotFoundException", message);
}

static void test_svc_table__a_tag_holds_until_the_table_changes(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_in in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    load_out out;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    in.if_none_match = fx_text(fx, "\"other\", W/%s", made.etag);
    fx_ok(fx, fx_call(fx, "LoadTable", &in, &out));
    assert_true(out.not_modified);
    assert_int_equal(out.metadata.len, 0);
    in.snapshots = fx_text(fx, "refs");
    fx_ok(fx, fx_call(fx, "LoadTable", &in, &out));
    assert_false(out.not_modified);
    assert_string_not_equal(out.etag, made.etag);
    in.snapshots = fx_text(fx, "some");
    assert_int_equal(fx_call(fx, "LoadTable", &in, &out), PANG_INVALID_ARGUMENT);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("a", "b"), NULL));
    in.snapshots = fx_text(fx, "all");
    fx_ok(fx, fx_call(fx, "LoadTable", &in, &out));
    assert_false(out.not_modified);
}

static void test_svc_table__a_hot_load_reads_no_document(void **state)
{
    fixture *fx = *state;
    pang_state_stats before, after;
    pang_db_stats db_before, db_after;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_load_table(fx, "ns", "t", NULL));
    pang_state_get_stats(fx->state, &before);
    pang_db_get_stats(fx->db, &db_before);
    for (int i = 0; i < 10; i++)
        fx_ok(fx, fx_load_table(fx, "ns", "t", NULL));
    pang_state_get_stats(fx->state, &after);
    pang_db_get_stats(fx->db, &db_after);
    assert_int_equal(after.document_misses, before.document_misses);
    assert_int_equal(after.document_hits, before.document_hits + 10);
    assert_true(db_after.gets <= db_before.gets + 10);
}

/* ---- bad requests ---- */

static void test_svc_table__bad_requests_name_the_field_and_leave_nothing(void **state)
{
    fixture *fx = *state;
    static const char *const schemas[] = {
        "",
        "{",
        "[]",
        "{\"type\":\"struct\"}",
        "{\"type\":\"struct\",\"type\":\"struct\"}",
        "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"a\",\"required\":true,"
        "\"type\":\"no\"}]}",
    };
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        create_in in = PANGOLIN__V1__CREATE_TABLE_REQUEST__INIT;
        create_out out;
        in.prefix = PREFIX;
        in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
        in.name = fx_text(fx, "bad");
        in.schema = fx_bytes(schemas[i]);
        assert_int_equal(fx_call(fx, "CreateTable", &in, &out), PANG_INVALID_ARGUMENT);
        if (strstr(fx->err.message, "schema") == NULL && strstr(fx->err.message, "type") == NULL)
            fail_msg("%s: %s", schemas[i], fx->err.message);
    }
    static const char *const updates[] = {
        "{}",
        "[{\"action\":\"no-such\"}]",
        "[{}]",
        "[{\"action\":\"set-location\"}]",
        "[{\"action\":\"set-location\",\"location\":\"ftp://x/y\"}]",
        "[{\"action\":\"set-location\",\"location\":\"file:///etc\"}]",
        "[{\"action\":\"set-location\",\"location\":\"file:///a/../b\"}]",
        "[",
        "[1]",
    };
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    size_t files = files_in(fx_text(fx, "%s/ns/t/metadata", fx->warehouse));
    for (size_t i = 0; i < sizeof updates / sizeof updates[0]; i++)
        if (fx_commit(fx, "ns", "t", "[]", updates[i], NULL) != PANG_INVALID_ARGUMENT)
            fail_msg("%s: %s", updates[i], fx->err.message);
    assert_int_equal(files_in(fx_text(fx, "%s/ns/t/metadata", fx->warehouse)), files);
    assert_int_equal(fx_load_table(fx, "ns", "bad", NULL), PANG_NOT_FOUND);
}

/* ---- locations ---- */

static void test_svc_table__locations_do_not_overlap(void **state)
{
    fixture *fx = *state;
    create_out out;
    fx_ok(fx, create_at(fx, "t", fx_text(fx, "%s/x/y", fx->warehouse), false, &out));
    static const char *const taken[] = {"%s/x/y", "%s/x/y/", "%s/x/y/z", "%s/x", "%s/x/y/z/w"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        char location[256];
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        (void)snprintf(location, sizeof location, taken[i], fx->warehouse);
        if (create_at(fx, "u", location, false, &out) != PANG_INVALID_ARGUMENT)
            fail_msg("%s was given twice", location);
    }
    fx_ok(fx, create_at(fx, "u", fx_text(fx, "%s/x/yy", fx->warehouse), false, &out));
    assert_int_equal(create_at(fx, "v", "file:///etc/x", false, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(create_at(fx, "v", "s3://bucket/x", false, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(create_at(fx, "v", fx_text(fx, "%s/../../etc", fx->warehouse), false, &out),
                     PANG_INVALID_ARGUMENT);
}

static void test_svc_table__no_table_takes_the_whole_warehouse(void **state)
{
    fixture *fx = *state;
    create_out out;
    assert_int_equal(create_at(fx, "t", fx->warehouse, false, &out), PANG_INVALID_ARGUMENT);
    assert_int_equal(create_at(fx, "t", fx_text(fx, "%s/", fx->warehouse), true, &out),
                     PANG_INVALID_ARGUMENT);
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
}

static void test_svc_table__data_paths_are_locations_too(void **state)
{
    fixture *fx = *state;
    create_out out;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_create_table(fx, "ns", "u", NULL));
    const char *format = "[{\"action\":\"set-properties\",\"updates\":{\"write.data.path\":"
                         "\"%s/ns/%s\"}}]";
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    assert_int_equal(
        fx_commit(fx, "ns", "t", "[]", fx_text(fx, format, fx->warehouse, "u/inside"), NULL),
        PANG_INVALID_ARGUMENT);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", fx_text(fx, format, fx->warehouse, "t/own"), NULL));
    fx_ok(fx,
          fx_commit(fx, "ns", "t", "[]", fx_text(fx, format, fx->warehouse, "elsewhere"), NULL));
    fx_ok(fx,
          fx_commit(fx, "ns", "t", "[]", fx_text(fx, format, fx->warehouse, "elsewhere"), NULL));
    assert_int_equal(
        create_at(fx, "v", fx_text(fx, "%s/ns/elsewhere/x", fx->warehouse), false, &out),
        PANG_INVALID_ARGUMENT);
}

static void test_svc_table__a_taken_default_gets_a_suffix(void **state)
{
    fixture *fx = *state;
    create_out out;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    fx_ok(fx, fx_create_table(fx, "ns", "t", &out));
    const char *location = text_of(fx, parse(fx, out.metadata), "location");
    const char *plain = fx_text(fx, "%s/ns/t-", fx->warehouse);
    assert_true(strncmp(location, plain, strlen(plain)) == 0);
    assert_int_equal(strlen(location), strlen(plain) + 8);
}

static void test_svc_table__who_names_a_dropped_tables_place_gets_it(void **state)
{
    fixture *fx = *state;
    create_out out;
    const char *place = fx_text(fx, "%s/fixed", fx->warehouse);
    for (int i = 0; i < 3; i++) {
        fx_ok(fx, create_at(fx, "t", place, false, &out));
        assert_string_equal(text_of(fx, parse(fx, out.metadata), "location"), place);
        fx_ok(fx, fx_drop_table(fx, "ns", "t", i == 1));
    }
    fx_ok(fx, create_at(fx, "t", place, false, &out));
    assert_int_equal(create_at(fx, "u", place, false, &out), PANG_INVALID_ARGUMENT);
}

static void test_svc_table__spellings_are_given_back(void **state)
{
    fixture *fx = *state;
    create_out out;
    const char *odd = fx_text(fx, "file:%s/warehouse/odd", fx->folder);
    fx_ok(fx, create_at(fx, "t", odd, false, &out));
    assert_string_equal(text_of(fx, parse(fx, out.metadata), "location"), odd);
    assert_int_equal(create_at(fx, "u", fx_text(fx, "%s/odd", fx->warehouse), false, &out),
                     PANG_INVALID_ARGUMENT);
}

/* ---- staged creates ---- */

static const char *create_updates(fixture *fx, const char *location)
{
    return fx_text(
        fx,
        "[{\"action\":\"assign-uuid\",\"uuid\":\"0190a5dc-0000-4000-8000-000000000001\"},"
        "{\"action\":\"upgrade-format-version\",\"format-version\":2},"
        "{\"action\":\"add-schema\",\"schema\":" FX_SCHEMA "},"
        "{\"action\":\"set-current-schema\",\"schema-id\":-1},"
        "{\"action\":\"add-spec\",\"spec\":{\"spec-id\":0,\"fields\":[]}},"
        "{\"action\":\"set-default-spec\",\"spec-id\":-1},"
        "{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":0,\"fields\":[]}},"
        "{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1}%s%s%s]",
        location != NULL ? ",{\"action\":\"set-location\",\"location\":\"" : "",
        location != NULL ? location : "", location != NULL ? "\"}" : "");
}

#define ASSERT_CREATE "[{\"type\":\"assert-create\"}]"

static void test_svc_table__a_staged_create_reserves_and_its_commit_creates(void **state)
{
    fixture *fx = *state;
    create_out staged, other;
    commit_out out;
    fx_ok(fx, create_at(fx, "t", NULL, true, &staged));
    assert_string_equal(staged.metadata_location, "");
    assert_int_equal(fx_load_table(fx, "ns", "t", NULL), PANG_NOT_FOUND);
    const char *location = text_of(fx, parse(fx, staged.metadata), "location");
    assert_true(is_folder(fx_text(fx, "%s/data", location)));
    assert_int_equal(files_in(fx_text(fx, "%s/metadata", location)), 0);
    fx->who.id.bytes[0] = 9;
    assert_int_equal(create_at(fx, "u", location, false, &other), PANG_INVALID_ARGUMENT);
    fx->who.id.bytes[0] = 0;
    fx_ok(fx, fx_commit(fx, "ns", "t", ASSERT_CREATE, create_updates(fx, location), &out));
    assert_true(is_file(out.metadata_location));
    assert_non_null(strstr(out.metadata_location, "/00000-"));
    pang_json *document = parse(fx, out.metadata);
    assert_string_equal(text_of(fx, document, "location"), location);
    assert_int_equal(pang_json_size(pang_json_get(document, "metadata-log")), 0);
    expect(fx, fx_commit(fx, "ns", "t", ASSERT_CREATE, create_updates(fx, location), &out),
           PANG_FAILED_PRECONDITION, "CommitFailedException",
           "Requirement failed: table already exists");
    expect(fx, fx_commit(fx, "no", "t", ASSERT_CREATE, create_updates(fx, NULL), &out),
           PANG_NOT_FOUND, "NoSuchNamespaceException", "Namespace does not exist: no");
}

static void test_svc_table__a_staged_place_is_free_after_its_time(void **state)
{
    fixture *fx = *state;
    create_out out;
    const char *place = fx_text(fx, "%s/p/q", fx->warehouse);
    fx_ok(fx, create_at(fx, "t", place, true, &out));
    fx->who.id.bytes[0] = 9;
    assert_int_equal(create_at(fx, "u", place, false, &out), PANG_INVALID_ARGUMENT);
    fx->ahead_ms = INT64_C(25) * 60 * 60 * 1000;
    assert_int_equal(create_at(fx, "v", fx_text(fx, "%s/p", fx->warehouse), false, &out),
                     PANG_INVALID_ARGUMENT);
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    fx_ok(fx, create_at(fx, "v", fx_text(fx, "%s/p", fx->warehouse), false, &out));
}

static void test_svc_table__a_create_commit_without_a_location_gets_the_default(void **state)
{
    fixture *fx = *state;
    commit_out out;
    fx_ok(fx, fx_commit(fx, "ns", "t", ASSERT_CREATE, create_updates(fx, NULL), &out));
    assert_string_equal(text_of(fx, parse(fx, out.metadata), "location"),
                        fx_text(fx, "%s/ns/t", fx->warehouse));
    assert_true(is_folder(fx_text(fx, "%s/ns/t/data", fx->warehouse)));
}

/* ---- commits ---- */

static void test_svc_table__a_commit_moves_the_pointer(void **state)
{
    fixture *fx = *state;
    create_out made;
    commit_out out;
    load_out loaded;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fx_ok(fx, fx_commit(fx, "ns", "t",
                        "[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0}]",
                        ADD_COLUMN, &out));
    assert_true(is_file(out.metadata_location));
    assert_true(is_file(made.metadata_location));
    assert_non_null(strstr(out.metadata_location, "/00001-"));
    assert_string_not_equal(out.etag, made.etag);
    pang_json *document = parse(fx, out.metadata), *log = pang_json_get(document, "metadata-log");
    assert_int_equal(pang_json_size(log), 1);
    assert_string_equal(text_of(fx, pang_json_at(log, 0), "metadata-file"), made.metadata_location);
    fx_ok(fx, fx_load_table(fx, "ns", "t", &loaded));
    assert_string_equal(loaded.metadata_location, out.metadata_location);
    expect(fx,
           fx_commit(fx, "ns", "t",
                     "[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0}]",
                     ADD_COLUMN, &out),
           PANG_FAILED_PRECONDITION, "CommitFailedException",
           "Requirement failed: current schema changed: expected id 0 != 1");
}

static void test_svc_table__a_commit_of_nothing_writes_nothing(void **state)
{
    fixture *fx = *state;
    create_out made;
    commit_out out;
    pang_db_stats before, after;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    pang_db_get_stats(fx->db, &before);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", "[]", &out));
    assert_string_equal(out.metadata_location, made.metadata_location);
    assert_true(pang_str_equal(pang_str_of(out.metadata), pang_str_of(made.metadata)));
    pang_db_get_stats(fx->db, &after);
    assert_int_equal(after.commits, before.commits);
    assert_int_equal(files_in(fx_text(fx, "%s/ns/t/metadata", fx->warehouse)), 1);
}

static void test_svc_table__gzip_is_written_where_the_table_asks(void **state)
{
    fixture *fx = *state;
    commit_out out;
    pang_location at;
    pang_str text;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]",
                        SET_PROPERTY("write.metadata.compression-codec", "gzip"), &out));
    assert_non_null(strstr(out.metadata_location, ".gz.metadata.json"));
    fx_ok(fx,
          pang_location_parse(pang_str_from(out.metadata_location), "x", fx->arena, &at, &fx->err));
    fx_ok(fx, pang_metadata_read_file(fx->state, &at, fx->arena, &text, &fx->err));
    assert_true(pang_str_equal(text, pang_str_of(out.metadata)));
    fx_ok(fx, fx_load_table(fx, "ns", "t", NULL));
}

static void test_svc_table__logs_are_trimmed_and_their_files_stay(void **state)
{
    fixture *fx = *state;
    create_out made;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]",
                        "[{\"action\":\"set-properties\",\"updates\":{"
                        "\"write.metadata.previous-versions-max\":\"1\","
                        "\"write.metadata.delete-after-commit.enabled\":\"true\"}}]",
                        NULL));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("a", "1"), NULL));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("a", "2"), NULL));
    assert_true(is_file(made.metadata_location));
    assert_int_equal(files_in(fx_text(fx, "%s/ns/t/metadata", fx->warehouse)), 4);
}

/* ---- rename, drop, register, unregister ---- */

static pang_code rename_to(fixture *fx, const char *from_ns, const char *from, const char *to_ns,
                           const char *to)
{
    Pangolin__V1__RenameTableRequest in = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    Pangolin__V1__RenameTableResponse out;
    Pangolin__V1__TableIdentifier ids[2];
    protobuf_c_message_init(&pangolin__v1__table_identifier__descriptor, &ids[0]);
    protobuf_c_message_init(&pangolin__v1__table_identifier__descriptor, &ids[1]);
    ids[0].namespace_ = fx_levels(fx, from_ns, &ids[0].n_namespace_);
    ids[0].name = fx_text(fx, "%s", from);
    ids[1].namespace_ = fx_levels(fx, to_ns, &ids[1].n_namespace_);
    ids[1].name = fx_text(fx, "%s", to);
    in.prefix = PREFIX;
    in.source = &ids[0];
    in.destination = &ids[1];
    return fx_call(fx, "RenameTable", &in, &out);
}

static void test_svc_table__a_rename_changes_the_name_only(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_out loaded;
    fx_ok(fx, fx_create_namespace(fx, "other"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fx_ok(fx, fx_create_table(fx, "ns", "u", NULL));
    fx_ok(fx, rename_to(fx, "ns", "t", "ns", "t"));
    fx_ok(fx, rename_to(fx, "ns", "t", "other", "t2"));
    assert_int_equal(fx_load_table(fx, "ns", "t", NULL), PANG_NOT_FOUND);
    fx_ok(fx, fx_load_table(fx, "other", "t2", &loaded));
    assert_string_equal(loaded.metadata_location, made.metadata_location);
    expect(fx, rename_to(fx, "ns", "t", "ns", "x"), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns.t");
    expect(fx, rename_to(fx, "ns", "u", "non_existing", "x"), PANG_NOT_FOUND,
           "NoSuchNamespaceException", "Namespace does not exist: non_existing");
    expect(fx, rename_to(fx, "ns", "u", "other", "t2"), PANG_ALREADY_EXISTS,
           "AlreadyExistsException", "Table already exists: other.t2");
    assert_int_equal(rename_to(fx, "ns", "u", "ns", "u@x"), PANG_INVALID_ARGUMENT);
    fx_ok(fx, rename_to(fx, "other", "t2", "ns", "t"));
    fx_ok(fx, fx_load_table(fx, "ns", "t", NULL));
}

/* The suite drops one of two tables that had one name, and reads the other. */
static void test_svc_table__a_purge_after_a_rename_spares_the_renamed(void **state)
{
    fixture *fx = *state;
    load_out loaded;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, rename_to(fx, "ns", "t", "ns", "renamed"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx->ahead_ms = INT64_C(8) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    fx_ok(fx, fx_load_table(fx, "ns", "renamed", &loaded));
    assert_true(is_file(loaded.metadata_location));
}

static void test_svc_table__purged_files_go_when_the_table_cannot_come_back(void **state)
{
    fixture *fx = *state;
    create_out made, again;
    pang_state_stats stats;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("a", "1"), NULL));
    const char *folder = fx_text(fx, "%s/ns/t/metadata", fx->warehouse);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    assert_int_equal(fx_load_table(fx, "ns", "t", NULL), PANG_NOT_FOUND);
    fx->ahead_ms = INT64_C(6) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(files_in(folder), 2);
    fx->ahead_ms = INT64_C(8) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    assert_int_equal(files_in(folder), 0);
    pang_state_get_stats(fx->state, &stats);
    assert_int_equal(stats.files_purged, 2);
    fx_ok(fx, fx_create_table(fx, "ns", "t", &again));
    assert_string_equal(text_of(fx, parse(fx, again.metadata), "location"),
                        fx_text(fx, "%s/ns/t", fx->warehouse));
}

static void test_svc_table__a_drop_without_purge_keeps_files_for_good(void **state)
{
    fixture *fx = *state;
    create_out made;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    fx->ahead_ms = INT64_C(100) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_true(is_file(made.metadata_location));
}

static pang_code register_at(fixture *fx, const char *name, const char *location, bool overwrite,
                             register_out *out)
{
    Pangolin__V1__RegisterTableRequest in = PANGOLIN__V1__REGISTER_TABLE_REQUEST__INIT;
    register_out ignored;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.name = fx_text(fx, "%s", name);
    in.metadata_location = fx_text(fx, "%s", location);
    in.overwrite = overwrite;
    return fx_call(fx, "RegisterTable", &in, out != NULL ? out : &ignored);
}

static void test_svc_table__a_dropped_table_is_registered_again(void **state)
{
    fixture *fx = *state;
    create_out made;
    register_out out;
    load_out loaded;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    const char *file = fx_text(fx, "%s", made.metadata_location);
    expect(fx, register_at(fx, "t", file, false, NULL), PANG_ALREADY_EXISTS,
           "AlreadyExistsException", "Table already exists: ns.t");
    assert_int_equal(register_at(fx, "u", file, false, NULL), PANG_INVALID_ARGUMENT);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx_ok(fx, register_at(fx, "t", file, false, &out));
    assert_string_equal(out.metadata_location, file);
    assert_true(out.etag[0] != '\0');
    fx_ok(fx, fx_load_table(fx, "ns", "t", &loaded));
    assert_true(pang_str_equal(pang_str_of(loaded.metadata), pang_str_of(out.metadata)));
    fx->ahead_ms = INT64_C(8) * 24 * 60 * 60 * 1000;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    assert_true(is_file(file));
}

static void test_svc_table__a_registered_file_is_judged(void **state)
{
    fixture *fx = *state;
    create_out made;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    expect(fx, register_at(fx, "u", fx_text(fx, "%s/no.metadata.json", fx->warehouse), false, NULL),
           PANG_NOT_FOUND, "NotFoundException",
           fx_text(fx, "Failed to open input stream for file: %s/no.metadata.json", fx->warehouse));
    assert_int_equal(register_at(fx, "u", "file:///etc/passwd", false, NULL),
                     PANG_INVALID_ARGUMENT);
    assert_int_equal(register_at(fx, "u", "", false, NULL), PANG_INVALID_ARGUMENT);
    FILE *junk = fopen(fx_text(fx, "%s/warehouse/junk.json", fx->folder), "w");
    assert_non_null(junk);
    fputs("{\"format-version\":2}", junk);
    fclose(junk);
    assert_int_equal(register_at(fx, "u", fx_text(fx, "%s/junk.json", fx->warehouse), false, NULL),
                     PANG_INVALID_ARGUMENT);
    assert_non_null(strstr(fx->err.message, "is not valid"));
}

static void test_svc_table__an_overwrite_moves_the_pointer_back(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_out loaded;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    const char *first = fx_text(fx, "%s", made.metadata_location);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("a", "1"), NULL));
    fx_ok(fx, register_at(fx, "t", first, true, NULL));
    fx_ok(fx, fx_load_table(fx, "ns", "t", &loaded));
    assert_string_equal(loaded.metadata_location, first);
    fx_ok(fx, fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("b", "1"), NULL));
}

static void test_svc_table__an_unregistered_table_keeps_its_files(void **state)
{
    fixture *fx = *state;
    create_out made;
    Pangolin__V1__UnregisterTableRequest in = PANGOLIN__V1__UNREGISTER_TABLE_REQUEST__INIT;
    Pangolin__V1__UnregisterTableResponse out;
    fx_ok(fx, fx_create_table(fx, "ns", "t", &made));
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    fx_ok(fx, fx_call(fx, "UnregisterTable", &in, &out));
    assert_string_equal(out.metadata_location, made.metadata_location);
    assert_true(pang_str_equal(pang_str_of(out.metadata), pang_str_of(made.metadata)));
    assert_true(is_file(made.metadata_location));
    assert_int_equal(fx_commit(fx, "ns", "t", "[]", SET_PROPERTY("a", "1"), NULL), PANG_NOT_FOUND);
    fx_ok(fx, register_at(fx, "t", made.metadata_location, false, NULL));
}

static void test_svc_table__a_namespace_with_a_table_is_not_empty(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__DropNamespaceRequest in = PANGOLIN__V1__DROP_NAMESPACE_REQUEST__INIT;
    Pangolin__V1__DropNamespaceResponse out;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    assert_int_equal(fx_call(fx, "DropNamespace", &in, &out), PANG_FAILED_PRECONDITION);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    fx_ok(fx, fx_call(fx, "DropNamespace", &in, &out));
}

/* ---- transactions ---- */

typedef struct {
    const char *name, *requirements, *updates;
} change;

static pang_code transact(fixture *fx, const change *changes, size_t n)
{
    Pangolin__V1__CommitTransactionRequest in = PANGOLIN__V1__COMMIT_TRANSACTION_REQUEST__INIT;
    Pangolin__V1__CommitTransactionResponse out;
    in.table_changes = pang_arena_alloc_n(fx->arena, n, sizeof(void *));
    in.n_table_changes = n;
    in.prefix = PREFIX;
    for (size_t i = 0; i < n; i++) {
        Pangolin__V1__TableChange *to = pang_arena_alloc(fx->arena, sizeof *to);
        Pangolin__V1__TableIdentifier *id = pang_arena_alloc(fx->arena, sizeof *id);
        protobuf_c_message_init(&pangolin__v1__table_change__descriptor, to);
        protobuf_c_message_init(&pangolin__v1__table_identifier__descriptor, id);
        id->namespace_ = fx_levels(fx, "ns", &id->n_namespace_);
        id->name = fx_text(fx, "%s", changes[i].name);
        to->identifier = changes[i].name[0] == '\0' ? NULL : id;
        to->requirements = fx_bytes(changes[i].requirements);
        to->updates = fx_bytes(changes[i].updates);
        in.table_changes[i] = to;
    }
    return fx_call(fx, "CommitTransaction", &in, &out);
}

static const char *property_of(fixture *fx, const char *table, const char *name)
{
    load_out loaded;
    fx_ok(fx, fx_load_table(fx, "ns", table, &loaded));
    return text_of(fx, pang_json_get(parse(fx, loaded.metadata), "properties"), name);
}

static void test_svc_table__a_transaction_is_all_or_nothing(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_create_table(fx, "ns", "u", NULL));
    const change good[] = {{"t", "[]", SET_PROPERTY("k", "1")},
                           {"u", "[]", SET_PROPERTY("k", "1")}};
    fx_ok(fx, transact(fx, good, 2));
    assert_string_equal(property_of(fx, "t", "k"), "1");
    assert_string_equal(property_of(fx, "u", "k"), "1");
    const change bad[] = {
        {"t", "[]", SET_PROPERTY("k", "2")},
        {"u", "[{\"type\":\"assert-default-spec-id\",\"default-spec-id\":7}]",
         SET_PROPERTY("k", "2")},
    };
    assert_int_equal(transact(fx, bad, 2), PANG_FAILED_PRECONDITION);
    assert_string_equal(fx->err.reason, "CommitFailedException");
    assert_string_equal(property_of(fx, "t", "k"), "1");
    const change missing[] = {{"t", "[]", SET_PROPERTY("k", "3")}, {"x", "[]", "[]"}};
    assert_int_equal(transact(fx, missing, 2), PANG_NOT_FOUND);
    const change twice[] = {{"t", "[]", SET_PROPERTY("k", "3")}, {"t", "[]", "[]"}};
    assert_int_equal(transact(fx, twice, 2), PANG_INVALID_ARGUMENT);
    const change unnamed[] = {{"", "[]", "[]"}};
    assert_int_equal(transact(fx, unnamed, 1), PANG_INVALID_ARGUMENT);
    assert_string_equal(property_of(fx, "t", "k"), "1");
    fx_ok(fx, transact(fx, NULL, 0));
}

static void test_svc_table__a_transaction_creates_too_and_without_overlap(void **state)
{
    fixture *fx = *state;
    const char *outer = fx_text(fx, "%s/o", fx->warehouse);
    const char *inner = fx_text(fx, "%s/o/i", fx->warehouse);
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    const change overlapping[] = {{"a", ASSERT_CREATE, create_updates(fx, inner)},
                                  {"b", ASSERT_CREATE, create_updates(fx, outer)}};
    assert_int_equal(transact(fx, overlapping, 2), PANG_INVALID_ARGUMENT);
    const change reversed[] = {overlapping[1], overlapping[0]};
    assert_int_equal(transact(fx, reversed, 2), PANG_INVALID_ARGUMENT);
    const change good[] = {{"a", ASSERT_CREATE, create_updates(fx, inner)},
                           {"b", ASSERT_CREATE, create_updates(fx, NULL)},
                           {"t", "[]", SET_PROPERTY("k", "1")}};
    fx_ok(fx, transact(fx, good, 3));
    fx_ok(fx, fx_load_table(fx, "ns", "a", NULL));
    fx_ok(fx, fx_load_table(fx, "ns", "b", NULL));
}

/* ---- lists and the rest ---- */

static void test_svc_table__tables_are_listed(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListTablesRequest in = PANGOLIN__V1__LIST_TABLES_REQUEST__INIT;
    Pangolin__V1__ListTablesResponse out;
    size_t seen = 0;
    for (int i = 0; i < 7; i++)
        fx_ok(fx, fx_create_table(fx, "ns", fx_text(fx, "t%d", i), NULL));
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.page_size = 3;
    in._page_token_case = PANGOLIN__V1__LIST_TABLES_REQUEST___PAGE_TOKEN_PAGE_TOKEN;
    in.page_token = fx_text(fx, "%s", "");
    do {
        fx_ok(fx, fx_call(fx, "ListTables", &in, &out));
        for (size_t i = 0; i < out.n_identifiers; i++)
            assert_string_equal(out.identifiers[i]->name, fx_text(fx, "t%zu", seen++));
        in.page_token = out.next_page_token;
        fx_ok(fx, fx_drop_table(fx, "ns", "t6", false) == PANG_OK ? PANG_OK : PANG_OK);
    } while (in.page_token[0] != '\0');
    assert_int_equal(seen, 7);
    in.namespace_ = fx_levels(fx, "no", &in.n_namespace_);
    expect(fx, fx_call(fx, "ListTables", &in, &out), PANG_NOT_FOUND, "NoSuchNamespaceException",
           "Namespace does not exist: no");
}

static void test_svc_table__reports_and_credentials(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ReportMetricsRequest report = PANGOLIN__V1__REPORT_METRICS_REQUEST__INIT;
    Pangolin__V1__ReportMetricsResponse reported;
    Pangolin__V1__LoadCredentialsRequest ask = PANGOLIN__V1__LOAD_CREDENTIALS_REQUEST__INIT;
    Pangolin__V1__LoadCredentialsResponse credentials;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    report.prefix = ask.prefix = PREFIX;
    report.namespace_ = ask.namespace_ = fx_levels(fx, "ns", &report.n_namespace_);
    ask.n_namespace_ = report.n_namespace_;
    report.table = ask.table = fx_text(fx, "t");
    report.report = fx_bytes("{\"report-type\":\"scan-report\"}");
    fx_ok(fx, fx_call(fx, "ReportMetrics", &report, &reported));
    report.report = fx_bytes("[1]");
    assert_int_equal(fx_call(fx, "ReportMetrics", &report, &reported), PANG_INVALID_ARGUMENT);
    fx_ok(fx, fx_call(fx, "LoadCredentials", &ask, &credentials));
    assert_int_equal(credentials.n_storage_credentials, 0);
    ask.table = fx_text(fx, "x");
    assert_int_equal(fx_call(fx, "LoadCredentials", &ask, &credentials), PANG_NOT_FOUND);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_svc_table__##name, setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_created_table_is_loaded_as_it_was_answered),
        TEST(messages_are_those_that_suites_compare),
        TEST(a_missing_file_is_told),
        TEST(a_tag_holds_until_the_table_changes),
        TEST(a_hot_load_reads_no_document),
        TEST(bad_requests_name_the_field_and_leave_nothing),
        TEST(locations_do_not_overlap),
        TEST(no_table_takes_the_whole_warehouse),
        TEST(data_paths_are_locations_too),
        TEST(a_taken_default_gets_a_suffix),
        TEST(who_names_a_dropped_tables_place_gets_it),
        TEST(spellings_are_given_back),
        TEST(a_staged_create_reserves_and_its_commit_creates),
        TEST(a_staged_place_is_free_after_its_time),
        TEST(a_create_commit_without_a_location_gets_the_default),
        TEST(a_commit_moves_the_pointer),
        TEST(a_commit_of_nothing_writes_nothing),
        TEST(gzip_is_written_where_the_table_asks),
        TEST(logs_are_trimmed_and_their_files_stay),
        TEST(a_rename_changes_the_name_only),
        TEST(a_purge_after_a_rename_spares_the_renamed),
        TEST(purged_files_go_when_the_table_cannot_come_back),
        TEST(a_drop_without_purge_keeps_files_for_good),
        TEST(a_dropped_table_is_registered_again),
        TEST(a_registered_file_is_judged),
        TEST(an_overwrite_moves_the_pointer_back),
        TEST(an_unregistered_table_keeps_its_files),
        TEST(a_namespace_with_a_table_is_not_empty),
        TEST(a_transaction_is_all_or_nothing),
        TEST(a_transaction_creates_too_and_without_overlap),
        TEST(tables_are_listed),
        TEST(reports_and_credentials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
