/*
 * server/svc_maintenance.c, expire.c, undrop.c, maintenance.c: care for tables through the API.
 */
#include "tests/server/avro_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/maintenance.h"

#include "pangolin/v1/asset.pb-c.h"
#include "pangolin/v1/catalog.pb-c.h"
#include "pangolin/v1/maintenance.pb-c.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)
#define MAIN FX_PREFIX

typedef Pangolin__V1__MaintainTableRequest table_in;
typedef Pangolin__V1__MaintainTableResponse table_out;
typedef Pangolin__V1__UndropRequest undrop_in;
typedef Pangolin__V1__UndropResponse undrop_out;
typedef Pangolin__V1__ListDroppedResponse dropped_out;

static bool is_there(const char *location)
{
    return access(fx_path(location), F_OK) == 0;
}

static const char *table_of(fixture *fx)
{
    return fx_text(fx, "%s/ns/t", fx->warehouse);
}

static const char *data(fixture *fx, const char *name)
{
    return fx_text(fx, "%s/data/%s", table_of(fx), name);
}

/* A table with snapshots 1, 2 and 3, a day apart. */
static int setup(void **state)
{
    fx_setup(state);
    fixture *fx = *state;
    fx_ok(fx, fx_create_namespace(fx, "ns"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    for (int64_t id = 1; id <= 3; id++) {
        const char *file = fx_text(fx, "f%d", (int)id);
        fx_ok(fx, fx_append(fx, MAIN, "t", table_of(fx), id, &file, 1));
        fx->ahead_ms += DAY_MS;
    }
    return 0;
}

static pang_code maintain(fixture *fx, const char *prefix, const char *job, int64_t age_ms,
                          bool dry_run, table_out *out)
{
    table_in in = PANGOLIN__V1__MAINTAIN_TABLE_REQUEST__INIT;
    *out = (table_out)PANGOLIN__V1__MAINTAIN_TABLE_RESPONSE__INIT;
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    in.job_type = fx_text(fx, "%s", job);
    in.dry_run = dry_run;
    if (age_ms >= 0) {
        in._retention_ms_case = PANGOLIN__V1__MAINTAIN_TABLE_REQUEST___RETENTION_MS_RETENTION_MS;
        in.retention_ms = age_ms;
    }
    return fx_call(fx, "MaintainTable", &in, out);
}

static size_t snapshots(fixture *fx, const char *prefix)
{
    Pangolin__V1__LoadTableRequest in = PANGOLIN__V1__LOAD_TABLE_REQUEST__INIT;
    Pangolin__V1__LoadTableResponse out = PANGOLIN__V1__LOAD_TABLE_RESPONSE__INIT;
    pang_json *tree;
    in.prefix = fx_text(fx, "%s", prefix);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    fx_ok(fx, fx_call(fx, "LoadTable", &in, &out));
    fx_ok(fx, pang_json_parse(pang_str_of(out.metadata), fx->arena, &tree, &fx->err));
    return pang_json_size(pang_json_get(tree, "snapshots"));
}

static void test_maintenance__snapshots_go_by_age_and_their_files_stay(void **state)
{
    fixture *fx = *state;
    table_out out;
    fx_ok(fx, maintain(fx, MAIN, "expire_snapshots", 2 * DAY_MS + DAY_MS / 2, true, &out));
    assert_int_equal(out.outcome->snapshots_expired, 1);
    assert_int_equal(snapshots(fx, MAIN), 3);
    fx_ok(fx, maintain(fx, MAIN, "expire_snapshots", 2 * DAY_MS + DAY_MS / 2, false, &out));
    assert_string_equal(out.status, "accepted");
    assert_int_equal(out.outcome->snapshots_expired, 1);
    assert_int_equal(snapshots(fx, MAIN), 2);
    assert_true(is_there(data(fx, "f1")));
    fx_ok(fx, maintain(fx, MAIN, "expire_snapshots", 0, false, &out));
    assert_int_equal(snapshots(fx, MAIN), 1);
    fx_ok(fx, maintain(fx, MAIN, "expire_snapshots", 0, false, &out));
    assert_int_equal(out.outcome->snapshots_expired, 0);
}

static void test_maintenance__what_one_branch_expires_the_other_still_reads(void **state)
{
    fixture *fx = *state;
    table_out out;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, maintain(fx, MAIN, "expire_snapshots", 0, false, &out));
    assert_int_equal(snapshots(fx, MAIN), 1);
    assert_int_equal(snapshots(fx, FX_PREFIX "@dev"), 3);
    fx->ahead_ms += 60 * DAY_MS;
    fx_ok(fx, maintain(fx, MAIN, "remove_orphan_files", DAY_MS, false, &out));
    assert_int_equal(out.outcome->skipped, 0);
    assert_true(is_there(data(fx, "f1")));
    fx_ok(fx, maintain(fx, FX_PREFIX "@dev", "expire_snapshots", 0, false, &out));
    assert_int_equal(snapshots(fx, FX_PREFIX "@dev"), 1);
    assert_int_equal(out.outcome->snapshots_expired, 2);
}

static void test_maintenance__a_dry_run_names_what_the_run_removes(void **state)
{
    fixture *fx = *state;
    table_out dry, done;
    fx_write_over(data(fx, "orphan"), "x");
    fx->ahead_ms += 2 * DAY_MS;
    fx_ok(fx, maintain(fx, MAIN, "remove_orphan_files", -1, true, &dry));
    assert_int_equal(dry.n_files, 1);
    assert_non_null(strstr(dry.files[0], "orphan"));
    assert_true(is_there(data(fx, "orphan")));
    fx_ok(fx, maintain(fx, MAIN, "remove_orphan_files", -1, false, &done));
    assert_int_equal(done.outcome->files_removed, dry.outcome->files_removed);
    assert_false(is_there(data(fx, "orphan")));
    assert_true(is_there(data(fx, "f1")));
}

static void test_maintenance__bad_requests_are_told(void **state)
{
    fixture *fx = *state;
    table_out out;
    assert_int_equal(maintain(fx, MAIN, "compact", -1, false, &out), PANG_INVALID_ARGUMENT);
    table_in in = PANGOLIN__V1__MAINTAIN_TABLE_REQUEST__INIT;
    in.prefix = fx_text(fx, MAIN);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "none");
    in.job_type = fx_text(fx, "expire_snapshots");
    assert_int_equal(fx_call(fx, "MaintainTable", &in, &out), PANG_NOT_FOUND);
    in.retain_last = -1;
    assert_int_equal(fx_call(fx, "MaintainTable", &in, &out), PANG_INVALID_ARGUMENT);
}

static void test_maintenance__a_branch_of_the_request_is_the_one_cared_for(void **state)
{
    fixture *fx = *state;
    table_out out;
    table_in in = PANGOLIN__V1__MAINTAIN_TABLE_REQUEST__INIT;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    in.prefix = fx_text(fx, FX_PREFIX);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    in.job_type = fx_text(fx, "expire_snapshots");
    in._retention_ms_case = PANGOLIN__V1__MAINTAIN_TABLE_REQUEST___RETENTION_MS_RETENTION_MS;
    in.branch = fx_text(fx, "none");
    assert_int_equal(fx_call(fx, "MaintainTable", &in, &out), PANG_NOT_FOUND);
    in.branch = fx_text(fx, "dev");
    out = (table_out)PANGOLIN__V1__MAINTAIN_TABLE_RESPONSE__INIT;
    fx_ok(fx, fx_call(fx, "MaintainTable", &in, &out));
    assert_int_equal(snapshots(fx, FX_PREFIX "@dev"), 1);
    assert_int_equal(snapshots(fx, MAIN), 3);
    in.table = fx_text(fx, "t@main");
    assert_int_equal(fx_call(fx, "MaintainTable", &in, &out), PANG_INVALID_ARGUMENT);
}

/* ---- a catalog ---- */

static Pangolin__V1__ListMaintenanceResponse runs_of(fixture *fx)
{
    Pangolin__V1__ListMaintenanceRequest in = PANGOLIN__V1__LIST_MAINTENANCE_REQUEST__INIT;
    Pangolin__V1__ListMaintenanceResponse out = PANGOLIN__V1__LIST_MAINTENANCE_RESPONSE__INIT;
    in.name = fx_text(fx, FX_PREFIX);
    fx_ok(fx, fx_call(fx, "ListMaintenance", &in, &out));
    return out;
}

static void ask(fixture *fx, const char *job)
{
    Pangolin__V1__MaintainCatalogRequest in = PANGOLIN__V1__MAINTAIN_CATALOG_REQUEST__INIT;
    Pangolin__V1__MaintainCatalogResponse out = PANGOLIN__V1__MAINTAIN_CATALOG_RESPONSE__INIT;
    in.name = fx_text(fx, FX_PREFIX);
    in.job_type = fx_text(fx, "%s", job);
    fx_ok(fx, fx_call(fx, "MaintainCatalog", &in, &out));
    assert_string_equal(out.status, "accepted");
}

static void test_maintenance__a_catalogs_run_waits_and_is_done(void **state)
{
    fixture *fx = *state;
    fx_write_over(data(fx, "orphan"), "x");
    fx->ahead_ms += 5 * DAY_MS;
    ask(fx, "expire_snapshots");
    fx->ahead_ms += 1000;
    ask(fx, "remove_orphan_files");
    Pangolin__V1__ListMaintenanceResponse waiting = runs_of(fx);
    assert_int_equal(waiting.n_runs, 2);
    assert_string_equal(waiting.runs[0]->status, "waiting");
    (void)pang_maintenance_work(fx->state, &fx->err);
    assert_int_equal(fx->err.code, PANG_OK);
    Pangolin__V1__ListMaintenanceResponse done = runs_of(fx);
    assert_string_equal(done.runs[0]->status, "done");
    assert_string_equal(done.runs[1]->status, "done");
    assert_int_equal(done.runs[0]->outcome->files_removed, 1);
    assert_int_equal(done.runs[1]->outcome->snapshots_expired, 2);
    assert_int_equal(snapshots(fx, MAIN), 1);
    assert_false(is_there(data(fx, "orphan")));
    (void)pang_maintenance_work(fx->state, &fx->err);
    assert_int_equal(runs_of(fx).runs[0]->outcome->files_removed, 1);
}

/* ---- undrop ---- */

static void tag(fixture *fx, pang_id asset, const char *name)
{
    Pangolin__V1__SetAssetMetadataRequest in = PANGOLIN__V1__SET_ASSET_METADATA_REQUEST__INIT;
    Pangolin__V1__SetAssetMetadataResponse out;
    char text[PANG_ID_TEXT + 1], *tags[] = {fx_text(fx, "%s", name)};
    pang_id_text(asset, text);
    in.asset_id = text;
    in.tags = tags;
    in.n_tags = 1;
    fx_ok(fx, fx_call(fx, "SetAssetMetadata", &in, &out));
}

static pang_code undrop_asset(fixture *fx, const char *branch, const char *asset)
{
    undrop_in in = PANGOLIN__V1__UNDROP_REQUEST__INIT;
    undrop_out out = PANGOLIN__V1__UNDROP_RESPONSE__INIT;
    in.name = fx_text(fx, FX_PREFIX);
    in.namespace_ = fx_levels(fx, "ns", &in.n_namespace_);
    in.table = fx_text(fx, "t");
    in.branch = fx_text(fx, "%s", branch);
    in.asset_id = fx_text(fx, "%s", asset);
    return fx_call(fx, "Undrop", &in, &out);
}

static pang_code undrop(fixture *fx, const char *branch)
{
    return undrop_asset(fx, branch, "");
}

static dropped_out list_dropped(fixture *fx)
{
    Pangolin__V1__ListDroppedRequest in = PANGOLIN__V1__LIST_DROPPED_REQUEST__INIT;
    dropped_out out = PANGOLIN__V1__LIST_DROPPED_RESPONSE__INIT;
    in.name = fx_text(fx, FX_PREFIX);
    fx_ok(fx, fx_call(fx, "ListDropped", &in, &out));
    return out;
}

static void test_maintenance__a_purged_table_comes_back_and_its_purge_is_off(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    dropped_out dropped = list_dropped(fx);
    assert_int_equal(dropped.n_tables, 1);
    assert_string_equal(dropped.tables[0]->name, "t");
    assert_true(dropped.tables[0]->can_undrop && dropped.tables[0]->purged);
    fx->ahead_ms += 2 * DAY_MS;
    fx_ok(fx, undrop(fx, ""));
    assert_int_equal(snapshots(fx, MAIN), 3);
    assert_int_equal(list_dropped(fx).n_tables, 0);
    fx->ahead_ms += 30 * DAY_MS;
    pang_state_work(fx->state, &fx->err);
    assert_int_equal(snapshots(fx, MAIN), 3);
    assert_true(is_there(data(fx, "f1")));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    fx_ok(fx, undrop(fx, ""));
}

static void test_maintenance__what_keeps_a_table_from_coming_back(void **state)
{
    fixture *fx = *state;
    assert_int_equal(undrop(fx, ""), PANG_ALREADY_EXISTS);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    assert_int_equal(unlink(fx_path(fx_text(fx, "%s/metadata/snap-2.avro", table_of(fx)))), 0);
    assert_int_equal(undrop(fx, ""), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(fx->err.message, "snap-2.avro"));
    dropped_out dropped = list_dropped(fx);
    assert_false(dropped.tables[0]->can_undrop);
    assert_non_null(strstr(dropped.tables[0]->reason, "file is gone"));
    fx->ahead_ms += 8 * DAY_MS;
    assert_int_equal(undrop(fx, ""), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(fx->err.message, "is over"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    assert_int_equal(undrop(fx, ""), PANG_ALREADY_EXISTS);
    assert_int_equal(undrop(fx, "none"), PANG_NOT_FOUND);
}

static void test_maintenance__a_branch_undrops_its_own(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    assert_int_equal(undrop(fx, "dev"), PANG_ALREADY_EXISTS);
    assert_int_equal(snapshots(fx, FX_PREFIX "@dev"), 3);
    fx_ok(fx, undrop(fx, ""));
    assert_int_equal(snapshots(fx, MAIN), 3);
}

static void rename_on(fixture *fx, const char *prefix, const char *old, const char *name)
{
    Pangolin__V1__RenameTableRequest in = PANGOLIN__V1__RENAME_TABLE_REQUEST__INIT;
    Pangolin__V1__RenameTableResponse out = PANGOLIN__V1__RENAME_TABLE_RESPONSE__INIT;
    Pangolin__V1__TableIdentifier from = PANGOLIN__V1__TABLE_IDENTIFIER__INIT, to = from;
    from.namespace_ = to.namespace_ = fx_levels(fx, "ns", &from.n_namespace_);
    to.n_namespace_ = from.n_namespace_;
    from.name = fx_text(fx, "%s", old);
    to.name = fx_text(fx, "%s", name);
    in.prefix = fx_text(fx, "%s", prefix);
    in.source = &from;
    in.destination = &to;
    fx_ok(fx, fx_call(fx, "RenameTable", &in, &out));
}

static void rename_from(fixture *fx, const char *old, const char *name)
{
    rename_on(fx, MAIN, old, name);
}

static void rename_to(fixture *fx, const char *name)
{
    rename_from(fx, "t", name);
}

static void test_maintenance__a_renamed_table_was_not_dropped(void **state)
{
    fixture *fx = *state;
    rename_to(fx, "u");
    assert_int_equal(undrop(fx, ""), PANG_NOT_FOUND);
    assert_int_equal(list_dropped(fx).n_tables, 0);
    fx_ok(fx, fx_drop_table(fx, "ns", "u", false)); /* as u, and not as t */
    assert_int_equal(undrop(fx, ""), PANG_NOT_FOUND);
    dropped_out dropped = list_dropped(fx);
    assert_int_equal(dropped.n_tables, 1);
    assert_string_equal(dropped.tables[0]->name, "u");
}

/* A name may have been dropped more than once; what stood under it earlier is not lost by that. */
static void test_maintenance__all_that_were_dropped_of_a_name_come_back(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    for (int i = 0; i < 2; i++) {
        fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
        fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    }
    dropped_out all = list_dropped(fx);
    assert_int_equal(all.n_tables, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(all.tables[i]->name, "t");
        assert_true(all.tables[i]->can_undrop);
        assert_true(all.tables[i]->dropped_by[0] != '\0');
    }
    assert_int_equal(undrop_asset(fx, "", "first"), PANG_INVALID_ARGUMENT);
    assert_int_equal(undrop_asset(fx, "", "0190f3c5-0000-7000-8000-000000000000"), PANG_NOT_FOUND);
    fx_ok(fx, undrop(fx, "")); /* the newest */
    assert_int_equal(undrop_asset(fx, "", all.tables[2]->asset_id), PANG_ALREADY_EXISTS);
    rename_to(fx, "newest");
    assert_int_equal(undrop_asset(fx, "", all.tables[0]->asset_id), PANG_NOT_FOUND);
    fx_ok(fx, undrop_asset(fx, "", all.tables[2]->asset_id)); /* the oldest */
    assert_int_equal(snapshots(fx, MAIN), 3);
    dropped_out rest = list_dropped(fx);
    assert_int_equal(rest.n_tables, 1);
    assert_string_equal(rest.tables[0]->asset_id, all.tables[1]->asset_id);
    for (int i = 0; i < 200; i++) { /* more states than are looked at in one go */
        rename_to(fx, "oldest");
        rename_from(fx, "oldest", "t");
    }
    rename_to(fx, "oldest");
    fx_ok(fx, undrop(fx, "")); /* the one between, found by the name's history */
    assert_int_equal(list_dropped(fx).n_tables, 0);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    assert_int_equal(list_dropped(fx).n_tables, 1);
}

/* What was dropped before a branch was made is found below what was dropped on it. */
static void test_maintenance__a_branch_finds_what_was_dropped_before_it(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_drop_table(fx, "ns", "t", false));
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL)); /* on main alone */
    fx_ok(fx, undrop(fx, "dev"));
    assert_int_equal(snapshots(fx, FX_PREFIX "@dev"), 3);
    assert_int_equal(undrop(fx, ""), PANG_ALREADY_EXISTS);
}

static void merge(fixture *fx, const char *source, const char *target)
{
    Pangolin__V1__MergeBranchesResponse out;
    fx_ok(fx, fx_merge(fx, source, target, &out));
    assert_null(out.conflicted);
}

/* A merge that gives a table's name to another table drops the first as a drop does. */
static void test_maintenance__what_a_merge_replaced_comes_back(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_replace_table_on(fx, FX_PREFIX "@dev", "ns", "t", false));
    merge(fx, "dev", "main");
    assert_int_equal(snapshots(fx, MAIN), 0);
    dropped_out all = list_dropped(fx);
    assert_int_equal(all.n_tables, 1);
    assert_true(all.tables[0]->can_undrop && !all.tables[0]->purged);
    assert_true(all.tables[0]->dropped_by[0] != '\0');
    assert_int_equal(undrop(fx, ""), PANG_ALREADY_EXISTS);
    fx_ok(fx, fx_drop_table_on(fx, MAIN, "ns", "t", false));
    assert_int_equal(list_dropped(fx).n_tables, 2);
    fx_ok(fx, undrop(fx, "")); /* the newest: what the merge brought */
    assert_int_equal(snapshots(fx, MAIN), 0);
    rename_to(fx, "new");
    fx_ok(fx, undrop(fx, "")); /* then what it replaced, found by the name's history */
    assert_int_equal(snapshots(fx, MAIN), 3);
    assert_int_equal(list_dropped(fx).n_tables, 0);
    fx_ok(fx, fx_drop_table_on(fx, MAIN, "ns", "t", false));
    fx_ok(fx, undrop_asset(fx, "", all.tables[0]->asset_id));
    assert_int_equal(snapshots(fx, MAIN), 3);
}

/* The same on a branch that read the table through what it was made from; and its time ends. */
static void test_maintenance__what_a_merge_replaced_below_comes_back(void **state)
{
    fixture *fx = *state;
    fx_ok(fx, fx_create_branch(fx, "dev", "main"));
    fx_ok(fx, fx_create_branch(fx, "other", "main"));
    fx_ok(fx, fx_replace_table_on(fx, FX_PREFIX "@dev", "ns", "t", false));
    merge(fx, "dev", "other");
    assert_int_equal(undrop(fx, "other"), PANG_ALREADY_EXISTS);
    fx_ok(fx, fx_drop_table_on(fx, FX_PREFIX "@other", "ns", "t", false));
    fx_ok(fx, undrop(fx, "other"));
    assert_int_equal(snapshots(fx, FX_PREFIX "@other"), 0);
    merge(fx, "dev", "main");
    dropped_out all = list_dropped(fx);
    assert_int_equal(all.n_tables, 1);
    assert_int_equal(undrop_asset(fx, "other", all.tables[0]->asset_id), PANG_ALREADY_EXISTS);
    rename_on(fx, FX_PREFIX "@other", "t", "new");
    fx_ok(fx, undrop(fx, "other")); /* found by the name's history, through the base */
    assert_int_equal(snapshots(fx, FX_PREFIX "@other"), 3);
    fx_ok(fx, fx_drop_table_on(fx, FX_PREFIX "@other", "ns", "t", false));
    fx_ok(fx, undrop_asset(fx, "other", all.tables[0]->asset_id));
    fx_ok(fx, fx_drop_table_on(fx, MAIN, "ns", "t", false));
    fx->ahead_ms += 31 * DAY_MS;
    assert_int_equal(undrop_asset(fx, "", all.tables[0]->asset_id), PANG_FAILED_PRECONDITION);
    assert_non_null(strstr(fx->err.message, "is over"));
    assert_int_equal(list_dropped(fx).n_tables, 0);
}

/* Who may make a table of the name may not thereby read what was dropped. */
static void test_maintenance__undrop_asks_what_reading_asked(void **state)
{
    fixture *fx = *state;
    pang_permit permit;
    pang_view view = fx_view(fx, fx_begin(fx));
    pang_content at = {.name = {PANG_SPACE_ASSET, PANG_STR("ns"), PANG_STR("t")}};
    fx_ok(fx, pang_content_get(&view, &at, 1, &fx->err));
    pang_id asset = pang_id_of(at.body->asset);
    pang_scope in_ns = {
        .kind = PANG_SCOPE_NAMESPACE, .catalog = view.catalog, .path = PANG_STR("ns")};
    pang_grant grants[2] = {{.scope = in_ns, .actions = PANG_CAN(PANG_ACT_CREATE)}};
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx_become(fx, grants, 1, &permit);
    assert_int_equal(undrop(fx, ""), PANG_NOT_FOUND);
    fx_unbecome(fx, &permit);
    grants[1] = (pang_grant){.scope = in_ns, .actions = PANG_CAN(PANG_ACT_LIST)};
    fx_become(fx, grants, 2, &permit);
    assert_int_equal(undrop(fx, ""), PANG_PERMISSION_DENIED);
    fx_unbecome(fx, &permit);
    grants[1] = (pang_grant){.scope = {PANG_SCOPE_ASSET, view.catalog, asset, PANG_STR("ns"), {0}},
                             .actions = PANG_CAN(PANG_ACT_READ)};
    fx_become(fx, grants, 2, &permit);
    fx_ok(fx, undrop(fx, ""));
    fx_unbecome(fx, &permit);
    tag(fx, asset, "open");
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    grants[1] = (pang_grant){.scope = {.kind = PANG_SCOPE_TAG, .tag = PANG_STR("open")},
                             .actions = PANG_CAN(PANG_ACT_READ)};
    fx_become(fx, grants, 2, &permit);
    fx_ok(fx, undrop(fx, ""));
    fx_unbecome(fx, &permit);
}

/* Each table is looked for in the object store, which may take its time. */
static void test_maintenance__a_list_of_the_dropped_ends_with_its_deadline(void **state)
{
    fixture *fx = *state;
    Pangolin__V1__ListDroppedRequest in = PANGOLIN__V1__LIST_DROPPED_REQUEST__INIT;
    dropped_out out;
    in.name = fx_text(fx, FX_PREFIX);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx->deadline_ms = 1;
    assert_int_equal(fx_call(fx, "ListDropped", &in, &out), PANG_DEADLINE_EXCEEDED);
    fx->deadline_ms = 0;
    assert_int_equal(list_dropped(fx).n_tables, 1);
}

static void set_undrop(fixture *fx, int64_t ms)
{
    Pangolin__V1__UpdateCatalogRequest in = PANGOLIN__V1__UPDATE_CATALOG_REQUEST__INIT;
    Pangolin__V1__UpdateCatalogResponse out;
    in.catalog = fx_text(fx, FX_PREFIX);
    in._undrop_ms_case = PANGOLIN__V1__UPDATE_CATALOG_REQUEST___UNDROP_MS_UNDROP_MS;
    in.undrop_ms = ms;
    fx_ok(fx, fx_call(fx, "UpdateCatalog", &in, &out));
    assert_int_equal(out.catalog->undrop_ms, ms);
}

static void test_maintenance__a_catalog_says_how_long_the_purged_can_come_back(void **state)
{
    fixture *fx = *state;
    set_undrop(fx, 2 * DAY_MS);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx->ahead_ms += 2 * DAY_MS - 1000;
    fx_ok(fx, undrop(fx, ""));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx->ahead_ms += 2 * DAY_MS + 1000;
    assert_int_equal(undrop(fx, ""), PANG_FAILED_PRECONDITION);
    assert_true(is_there(data(fx, "f1")));
    pang_state_work(fx->state, &fx->err);
    assert_false(is_there(data(fx, "f1")));
    /* Not at all. */
    set_undrop(fx, 0);
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    assert_int_equal(undrop(fx, ""), PANG_FAILED_PRECONDITION);
}

/* A purge is planned by the settings of its drop, and done by those of its time. */
static void test_maintenance__raised_times_hold_back_planned_purges(void **state)
{
    fixture *fx = *state;
    set_undrop(fx, 2 * DAY_MS);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    fx->ahead_ms += DAY_MS;
    set_undrop(fx, 5 * DAY_MS);
    fx->ahead_ms += 2 * DAY_MS;
    pang_state_work(fx->state, &fx->err);
    assert_true(is_there(data(fx, "f1")));
    assert_true(list_dropped(fx).tables[0]->can_undrop);
    fx_ok(fx, undrop(fx, ""));
    assert_int_equal(snapshots(fx, MAIN), 3);
    fx_ok(fx, fx_drop_table(fx, "ns", "t", true));
    set_undrop(fx, 10 * DAY_MS);
    for (int day = 1; day < 10; day++) { /* what was planned first is looked at, too */
        fx->ahead_ms += DAY_MS;
        pang_state_work(fx->state, &fx->err);
        assert_true(is_there(data(fx, "f1")));
    }
    set_undrop(fx, 9 * DAY_MS); /* lowered: it cannot come back, and goes when it was to */
    assert_int_equal(undrop(fx, ""), PANG_FAILED_PRECONDITION);
    fx->ahead_ms += DAY_MS + 1000;
    pang_state_work(fx->state, &fx->err);
    assert_false(is_there(data(fx, "f1")));
    fx_ok(fx, fx_create_table(fx, "ns", "t", NULL));
}

/* ---- what is chosen ---- */

static size_t chosen(fixture *fx, const char *document, int64_t older_than, int64_t retain_last)
{
    pang_json *tree, *ids;
    size_t n;
    pang_expiry expiry = {.older_than_ms = older_than, .retain_last = retain_last};
    fx_ok(fx, pang_json_parse(pang_str_from(document), fx->arena, &tree, &fx->err));
    fx_ok(fx, pang_expire_choose(tree, &expiry, 1000, fx->arena, &ids, &n, &fx->err));
    assert_int_equal(n, pang_json_size(ids));
    return n;
}

#define S(id, parent, time)                                                                        \
    "{\"snapshot-id\":" #id ",\"parent-snapshot-id\":" #parent ",\"timestamp-ms\":" #time "}"
#define CHAIN S(1, 0, 100) "," S(2, 1, 200) "," S(3, 2, 300) "," S(4, 3, 400)

static void test_maintenance__refs_and_counts_keep_snapshots(void **state)
{
    fixture *fx = *state;
    const char *plain = "{\"current-snapshot-id\":4,\"snapshots\":[" CHAIN "]}";
    assert_int_equal(chosen(fx, plain, 1000, 0), 3);
    assert_int_equal(chosen(fx, plain, 1000, 3), 1);
    assert_int_equal(chosen(fx, plain, 250, 1), 2);
    assert_int_equal(chosen(fx, plain, 50, 1), 0);
    const char *refs = "{\"current-snapshot-id\":4,\"refs\":{\"main\":{\"snapshot-id\":4,\"type\":"
                       "\"branch\"},\"v1\":{\"snapshot-id\":2,\"type\":\"tag\"}},"
                       "\"snapshots\":[" CHAIN "," S(9, 1, 150) "]}";
    assert_int_equal(chosen(fx, refs, 1000, 1), 3); /* 1, 3 and what nobody names */
    const char *own = "{\"current-snapshot-id\":4,\"refs\":{\"main\":{\"snapshot-id\":4,\"type\":"
                      "\"branch\",\"min-snapshots-to-keep\":2,\"max-snapshot-age-ms\":750}},"
                      "\"snapshots\":[" CHAIN "]}";
    assert_int_equal(chosen(fx, own, 0, 1), 2);
    assert_int_equal(chosen(fx, "{\"snapshots\":[]}", 1000, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(test_maintenance__##name, setup, fx_teardown)
        TEST(snapshots_go_by_age_and_their_files_stay),
        TEST(what_one_branch_expires_the_other_still_reads),
        TEST(a_dry_run_names_what_the_run_removes),
        TEST(bad_requests_are_told),
        TEST(a_branch_of_the_request_is_the_one_cared_for),
        TEST(a_catalogs_run_waits_and_is_done),
        TEST(a_purged_table_comes_back_and_its_purge_is_off),
        TEST(what_keeps_a_table_from_coming_back),
        TEST(a_branch_undrops_its_own),
        TEST(a_renamed_table_was_not_dropped),
        TEST(all_that_were_dropped_of_a_name_come_back),
        TEST(a_branch_finds_what_was_dropped_before_it),
        TEST(what_a_merge_replaced_comes_back),
        TEST(what_a_merge_replaced_below_comes_back),
        TEST(undrop_asks_what_reading_asked),
        TEST(a_list_of_the_dropped_ends_with_its_deadline),
        TEST(a_catalog_says_how_long_the_purged_can_come_back),
        TEST(raised_times_hold_back_planned_purges),
        TEST(refs_and_counts_keep_snapshots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
