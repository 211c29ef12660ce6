/*
 * server/svc_view*.c, through the small dispatcher: what calls answer, what they leave behind, and
 * what the collector makes of it.
 */
#include "tests/server/catalog_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/json.h"
#include "server/gc.h"

#include "pangolin/v1/branch.pb-c.h"
#include "pangolin/v1/view.pb-c.h"

enum { THREADS = 4, ROUNDS = 10 };

typedef Pangolin__V1__CreateViewRequest create_in;
typedef Pangolin__V1__CreateViewResponse create_out;
typedef Pangolin__V1__LoadViewResponse load_out;
typedef Pangolin__V1__ReplaceViewResponse replace_out;

#define PREFIX ((char *)(uintptr_t)FX_PREFIX)
#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define REPLACE(id, text)                                                                          \
    "[{\"action\":\"add-view-version\",\"view-version\":{\"version-id\":" id                       \
    ",\"timestamp-ms\":1,\"schema-id\":0,\"summary\":{},\"default-namespace\":[\"ns\"],"           \
    "\"representations\":[{\"type\":\"sql\",\"sql\":\"" text "\",\"dialect\":\"ansi\"}]}},"        \
    "{\"action\":\"set-current-view-version\",\"view-version-id\":-1}]"
#define LOCATION(place) "[{\"action\":\"set-location\",\"location\":\"" place "\"}]"

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

static bool is_there(const char *location)
{
    return access(fx_path(location), F_OK) == 0;
}

/* ---- calls ---- */

static pang_code create_at(fixture *fx, const char *name, const char *location, create_out *out)
{
    create_in in = PANGOLIN__V1__CREATE_VIEW_REQUEST__INIT;
    create_out ignored;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.name = fx_text(fx, "%s", name);
    in._sql_case = PANGOLIN__V1__CREATE_VIEW_REQUEST___SQL_SQL;
    in.sql = fx_text(fx, "select 1");
    if (location != NULL) {
        in._location_case = PANGOLIN__V1__CREATE_VIEW_REQUEST___LOCATION_LOCATION;
        in.location = fx_text(fx, "%s", location);
    }
    if (out == NULL)
        out = &ignored;
    pang_code code = fx_call(fx, "CreateView", &in, out);
    if (code == PANG_OK) {
        assert_non_null(out->in_short);
        *out = *out->in_short;
    }
    return code;
}

static pang_code create(fixture *fx, const char *name, create_out *out)
{
    return create_at(fx, name, NULL, out);
}

static pang_code load(fixture *fx, const char *name, load_out *out)
{
    Pangolin__V1__LoadViewRequest in = PANGOLIN__V1__LOAD_VIEW_REQUEST__INIT;
    load_out ignored;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.view = fx_text(fx, "%s", name);
    return fx_call(fx, "LoadView", &in, out == NULL ? &ignored : out);
}

static pang_code replace(fixture *fx, const char *name, const char *updates, replace_out *out)
{
    Pangolin__V1__ReplaceViewRequest in = PANGOLIN__V1__REPLACE_VIEW_REQUEST__INIT;
    replace_out ignored;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.view = fx_text(fx, "%s", name);
    in.updates = fx_bytes(updates);
    return fx_call(fx, "ReplaceView", &in, out == NULL ? &ignored : out);
}

static pang_code drop(fixture *fx, const char *name)
{
    Pangolin__V1__DropViewRequest in = PANGOLIN__V1__DROP_VIEW_REQUEST__INIT;
    Pangolin__V1__DropViewResponse out;
    in.prefix = PREFIX;
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.view = fx_text(fx, "%s", name);
    return fx_call(fx, "DropView", &in, &out);
}

static void make_branch(fixture *fx, const char *name, bool own_paths)
{
    Pangolin__V1__CreateBranchRequest in = PANGOLIN__V1__CREATE_BRANCH_REQUEST__INIT;
    Pangolin__V1__CreateBranchResponse out = PANGOLIN__V1__CREATE_BRANCH_RESPONSE__INIT;
    in.catalog = fx_text(fx, FX_PREFIX);
    in.name = fx_text(fx, "%s", name);
    in.from = fx_text(fx, "main");
    in.own_paths = own_paths;
    fx_ok(fx, fx_call(fx, "CreateBranch", &in, &out));
}

static size_t collected(fixture *fx)
{
    pang_txn *txn = fx_begin(fx);
    pang_gc_plan plan = {
        .scope = FX_SCOPE, .catalog = fx_view(fx, txn).catalog, .grace_ms = DAY_MS};
    pang_gc_outcome out;
    fx_ok(fx, pang_gc_run(fx->state, &plan, NULL, NULL, &out, &fx->err));
    return out.removed;
}

/* ---- lives ---- */

static void test_svc_view__a_created_view_is_loaded_as_it_was_answered(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_out loaded;
    fx_ok(fx, create(fx, "v", &made));
    assert_true(is_there(made.metadata_location));
    assert_string_equal(made.sql, "select 1");
    assert_string_equal(made.dialect, "ansi");
    fx_ok(fx, load(fx, "v", &loaded));
    assert_string_equal(loaded.metadata_location, made.metadata_location);
    assert_true(pang_str_equal(pang_str_of(loaded.metadata), pang_str_of(made.metadata)));
    assert_string_equal(loaded.etag, made.etag);
    assert_string_equal(loaded.name, "v");
    assert_int_equal(loaded.schema.len, 0);
}

static void test_svc_view__messages_are_those_that_suites_compare(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, create(fx, "v", NULL));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    expect(fx, create(fx, "v", NULL), PANG_ALREADY_EXISTS, "AlreadyExistsException",
           "View already exists: ns.v");
    expect(fx, create(fx, "t", NULL), PANG_ALREADY_EXISTS, "AlreadyExistsException",
           "Table with same name already exists: ns.t");
    expect(fx, fx_create_table(fx, "ns", "v", NULL), PANG_ALREADY_EXISTS, "AlreadyExistsException",
           "View with same name already exists: ns.v");
    expect(fx, load(fx, "t", NULL), PANG_NOT_FOUND, "NoSuchViewException",
           "View does not exist: ns.t");
    expect(fx, drop(fx, "x"), PANG_NOT_FOUND, "NoSuchViewException", "View does not exist: ns.x");
    expect(fx, replace(fx, "x", "[]", NULL), PANG_NOT_FOUND, "NoSuchViewException",
           "View does not exist: ns.x");
    expect(fx, fx_commit(fx, "ns", "v", "[]", "[]", NULL), PANG_NOT_FOUND, "NoSuchTableException",
           "Table does not exist: ns.v");
}

static void test_svc_view__a_missing_file_is_told(void **state)
{
    fixture *fx = *state;
    create_out made;
    fx_ok(fx, create(fx, "v", &made));
    const char *message = fx_text(fx, "Failed to open input stream for file: %s",
                                  made.metadata_location);
    assert_int_equal(unlink(fx_path(made.metadata_location)), 0);
    expect(fx, load(fx, "v", NULL), PANG_NOT_FOUND, "NotFoundException", message);
}

static void test_svc_view__a_replace_writes_the_next_file(void **state)
{
    fixture *fx = *state;
    create_out made;
    replace_out replaced, same;
    load_out loaded;
    fx_ok(fx, create(fx, "v", &made));
    fx_ok(fx, replace(fx, "v", REPLACE("2", "select 2"), &replaced));
    assert_non_null(strstr(replaced.metadata_location, "/ns/v/metadata/00001-"));
    assert_true(is_there(made.metadata_location) && is_there(replaced.metadata_location));
    assert_string_not_equal(replaced.etag, made.etag);
    fx_ok(fx, replace(fx, "v", REPLACE("2", "select 2"), &same));
    assert_string_equal(same.metadata_location, replaced.metadata_location);
    fx_ok(fx, load(fx, "v", &loaded));
    assert_string_equal(loaded.sql, "select 2");
}

static void test_svc_view__what_is_refused_leaves_nothing(void **state)
{
    fixture *fx = *state;
    static const char *const updates[] = {
        "{}",
        "[",
        "[{}]",
        "[{\"action\":\"add-spec\",\"spec\":{}}]",
        LOCATION("file:///etc"),
        LOCATION("ftp://x/y"),
        "[{\"action\":\"assign-uuid\",\"uuid\":\"x\"}]",
    };
    create_out made;
    load_out loaded;
    fx_ok(fx, create(fx, "v", &made));
    for (size_t i = 0; i < sizeof updates / sizeof updates[0]; i++)
        if (replace(fx, "v", updates[i], NULL) != PANG_INVALID_ARGUMENT)
            fail_msg("%s: %s", updates[i], fx->err.message);
    fx_ok(fx, load(fx, "v", &loaded));
    assert_string_equal(loaded.metadata_location, made.metadata_location);
}

/* ---- places ---- */

static void test_svc_view__places_are_reserved_as_tables_are(void **state)
{
    fixture *fx = *state;
    create_out made;
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, create(fx, "v", NULL));
    expect(fx, create_at(fx, "w", fx_text(fx, "%s/ns/t/inside", fx->warehouse), &made),
           PANG_INVALID_ARGUMENT, "BadRequestException",
           fx_text(fx,
                   "location: location is, contains or lies in one of another table: "
                   "%s/ns/t/inside",
                   fx->warehouse));
    assert_int_equal(create_at(fx, "w", fx_text(fx, "%s/ns/v", fx->warehouse), &made),
                     PANG_INVALID_ARGUMENT);
    assert_int_equal(replace(fx, "v", fx_text(fx, LOCATION("%s/ns/t"), fx->warehouse), NULL),
                     PANG_INVALID_ARGUMENT);
    fx_ok(fx, replace(fx, "v", fx_text(fx, LOCATION("%s/moved"), fx->warehouse), NULL));
    assert_int_equal(create_at(fx, "w", fx_text(fx, "%s/moved/x", fx->warehouse), &made),
                     PANG_INVALID_ARGUMENT);
}

static void test_svc_view__a_dropped_views_place_stays_its_own(void **state)
{
    fixture *fx = *state;
    create_out first, second;
    fx_ok(fx, create(fx, "v", &first));
    fx_ok(fx, drop(fx, "v"));
    fx_ok(fx, create(fx, "v", &second));
    assert_non_null(strstr(second.metadata_location, "/ns/v-"));
    assert_true(is_there(first.metadata_location));
}

/* ---- branches ---- */

static void test_svc_view__a_branch_has_its_own_and_nothing_is_laid_over(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_out main_has, dev_has;
    fx_ok(fx, create(fx, "v", &made));
    make_branch(fx, "dev", false);
    fx_ok(fx, load(fx, "v@dev", &dev_has));
    assert_true(pang_str_equal(pang_str_of(dev_has.metadata), pang_str_of(made.metadata)));
    assert_string_equal(dev_has.name, "v@dev");
    fx_ok(fx, replace(fx, "v@dev", REPLACE("2", "select 2"), NULL));
    fx_ok(fx, load(fx, "v@dev", &dev_has));
    assert_string_equal(dev_has.sql, "select 2");
    fx_ok(fx, load(fx, "v", &main_has));
    assert_string_equal(main_has.sql, "select 1");
    fx_ok(fx, drop(fx, "v"));
    fx_ok(fx, load(fx, "v@dev", &dev_has));
    expect(fx, load(fx, "v@no", NULL), PANG_NOT_FOUND, "NoSuchViewException",
           "Ref does not exist: no");
}

static void test_svc_view__a_branch_with_paths_of_its_own_says_none_in_views(void **state)
{
    fixture *fx = *state;
    create_out made;
    load_out loaded;
    make_branch(fx, "dev", true);
    fx_ok(fx, create(fx, "v@dev", &made));
    assert_int_equal(made.n_properties, 0);
    assert_non_null(strstr(made.metadata_location, "/ns/v/branches/"));
    fx_ok(fx, load(fx, "v@dev", &loaded));
    assert_true(pang_str_equal(pang_str_of(loaded.metadata), pang_str_of(made.metadata)));
    assert_int_equal(loaded.n_properties, 0);
}

/* ---- the collector ---- */

static void test_svc_view__the_collector_keeps_what_anything_names(void **state)
{
    fixture *fx = *state;
    create_out made;
    replace_out second, third;
    fx_ok(fx, create(fx, "v", &made));
    make_branch(fx, "dev", false);
    fx_ok(fx, replace(fx, "v", REPLACE("2", "select 2"), &second));
    fx_ok(fx, replace(fx, "v", REPLACE("3", "select 3"), &third));
    fx->ahead_ms += 1000 * DAY_MS;
    (void)collected(fx);
    assert_true(is_there(third.metadata_location));
    assert_true(is_there(made.metadata_location));
    fx_ok(fx, load(fx, "v@dev", NULL));
    fx_ok(fx, load(fx, "v", NULL));
}

static void test_svc_view__the_collector_takes_what_nothing_names(void **state)
{
    fixture *fx = *state;
    create_out made;
    replace_out second;
    fx_ok(fx, create(fx, "v", &made));
    fx_ok(fx, replace(fx, "v", REPLACE("2", "select 2"), &second));
    fx->ahead_ms += 1000 * DAY_MS;
    assert_true(collected(fx) >= 1);
    assert_false(is_there(made.metadata_location));
    assert_true(is_there(second.metadata_location));
}

/* ---- races ---- */

typedef struct {
    fixture *fx;
    int number;
    char failure[512];
} racer;

static void *run_racer(void *arg)
{
    racer *r = arg;
    char *level = (char *)(uintptr_t) "ns";
    for (int i = 0; i < ROUNDS && r->failure[0] == '\0'; i++) {
        pang_arena *arena = pang_arena_new(1 << 24);
        Pangolin__V1__ReplaceViewRequest in = PANGOLIN__V1__REPLACE_VIEW_REQUEST__INIT;
        replace_out out;
        unsigned runs;
        pang_str keep;
        pang_err err = {0};
        char updates[1024];
        (void)snprintf(updates, sizeof updates, REPLACE("2", "select %d"),
                       r->number * ROUNDS + i + 100);
        in.prefix = PREFIX;
        in.namespace_ = &level;
        in.n_namespace_ = 1;
        in.view = (char *)(uintptr_t) "v";
        in.updates = fx_bytes(updates);
        if (fx_call_in(r->fx, arena, "ReplaceView", &in, &out, &runs, &keep, &err) != PANG_OK)
            (void)snprintf(r->failure, sizeof r->failure, "%s", err.message);
        pang_arena_free(arena);
    }
    return NULL;
}

static void test_svc_view__all_that_replace_at_once_land(void **state)
{
    fixture *fx = *state;
    static racer racers[THREADS];
    pthread_t threads[THREADS];
    load_out loaded;
    pang_json *document;
    int64_t current;
    fx_ok(fx, create(fx, "v", NULL));
    fx_ok(fx, replace(fx, "v",
                      "[{\"action\":\"set-properties\",\"updates\":"
                      "{\"version.history.num-entries\":\"1000\"}}]",
                      NULL));
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (racer){.fx = fx, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_racer, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        if (racers[i].failure[0] != '\0')
            fail_msg("%s", racers[i].failure);
    }
    fx_ok(fx, load(fx, "v", &loaded));
    fx_ok(fx, pang_json_parse(pang_str_of(loaded.metadata), fx->arena, &document, &fx->err));
    assert_true(pang_json_to_int64(pang_json_get(document, "current-version-id"), &current));
    assert_int_equal(current, 1 + THREADS * ROUNDS);
    assert_int_equal(pang_json_size(pang_json_get(document, "versions")), 1 + THREADS * ROUNDS);
    assert_int_equal(pang_json_size(pang_json_get(document, "version-log")), 1 + THREADS * ROUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, fx_teardown)
    const struct CMUnitTest tests[] = {
        TEST(svc_view__a_created_view_is_loaded_as_it_was_answered),
        TEST(svc_view__messages_are_those_that_suites_compare),
        TEST(svc_view__a_missing_file_is_told),
        TEST(svc_view__a_replace_writes_the_next_file),
        TEST(svc_view__what_is_refused_leaves_nothing),
        TEST(svc_view__places_are_reserved_as_tables_are),
        TEST(svc_view__a_dropped_views_place_stays_its_own),
        TEST(svc_view__a_branch_has_its_own_and_nothing_is_laid_over),
        TEST(svc_view__a_branch_with_paths_of_its_own_says_none_in_views),
        TEST(svc_view__the_collector_keeps_what_anything_names),
        TEST(svc_view__the_collector_takes_what_nothing_names),
        TEST(svc_view__all_that_replace_at_once_land),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
