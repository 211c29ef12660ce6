/*
 * Maintenance over the API: a table's care at once, a catalog's in the line; runs that were; and
 * dropped tables, listed and brought back.
 */
#include <string.h>

#include "api/keys_versions.h"
#include "server/evaluate.h"
#include "server/maintenance.h"
#include "server/pages.h"
#include "server/refs.h"
#include "server/svc_manage.h"
#include "server/svc_table.h"
#include "server/undrop.h"

#include "pangolin/v1/maintenance.pb-c.h"

typedef Pangolin__V1__MaintenanceOutcome shown_outcome;
typedef Pangolin__V1__DroppedTable shown_table;
typedef Pangolin__V1__RecordCount shown_count;

enum {
    FILES_SHOWN = 1000,       /* of a dry run */
    COMMITS_LOOKED_AT = 1000, /* for one page of dropped tables */
    DROPPED_MAX = 4096,       /* candidates of one page */
};

#define ACCEPTED (char *)(uintptr_t) "accepted"

/* ---- outcomes ---- */

static pang_code show_outcome(pang_arena *arena, const pang_rec_maintenance *run,
                              shown_outcome **ret, pang_err *err)
{
    shown_outcome *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_outcome)PANGOLIN__V1__MAINTENANCE_OUTCOME__INIT;
    out->snapshots_expired = (int64_t)run->snapshots_expired;
    out->files_removed = (int64_t)run->files_removed;
    out->bytes_removed = (int64_t)run->bytes_removed;
    out->tables = (int64_t)run->tables;
    out->skipped = (int64_t)run->skipped;
    out->reason = run->reason;
    out->records = pang_arena_alloc_n(arena, run->n_records, sizeof *out->records);
    shown_count *counts = pang_arena_alloc_n(arena, run->n_records, sizeof *counts);
    if (out->records == NULL || counts == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < run->n_records; i++) {
        counts[i] = (shown_count)PANGOLIN__V1__RECORD_COUNT__INIT;
        counts[i].kind = run->records[i]->kind;
        counts[i].count = (int64_t)run->records[i]->records;
        out->records_removed += counts[i].count;
        out->records[out->n_records++] = &counts[i];
    }
    *ret = out;
    return PANG_OK;
}

/* ---- one table ---- */

typedef struct {
    pang_call *call;
    Pangolin__V1__MaintainTableResponse *out;
    bool dry_run, failed;
} collecting;

static bool show_file(void *arg, pang_str location, int64_t bytes)
{
    collecting *c = arg;
    (void)bytes;
    if (!c->dry_run || c->out->n_files == FILES_SHOWN)
        return !pang_call_cancelled(c->call);
    if (c->out->files == NULL)
        c->out->files = pang_arena_alloc_n(c->call->arena, FILES_SHOWN, sizeof(char *));
    char *copy = c->out->files == NULL ? NULL : pang_arena_cstr(c->call->arena, location);
    c->failed = copy == NULL;
    if (!c->failed)
        c->out->files[c->out->n_files++] = copy;
    return !c->failed;
}

static pang_code remove_orphans(pang_call *call, const pang_table *table, pang_rec_maintenance *run,
                                Pangolin__V1__MaintainTableResponse *out, pang_err *err)
{
    const pang_rec_content *body = table->content.body;
    collecting c = {.call = call, .out = out, .dry_run = run->dry_run};
    pang_gc_outcome outcome;
    pang_str *places = pang_arena_alloc_n(call->arena, body->n_reserved + 1, sizeof *places);
    if (places == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < body->n_reserved; i++)
        places[i] = pang_str_from(body->reserved[i]);
    pang_gc_plan plan = {.scope = table->view->keys.scope,
                         .catalog = table->view->catalog,
                         .places = places,
                         .n_places = body->n_reserved,
                         .grace_ms = run->age_ms,
                         .dry_run = run->dry_run};
    if (plan.n_places == 0)
        return PANG_OK;
    pang_code code = pang_gc_run(call->server->state, &plan, show_file, &c, &outcome, err);
    if (code == PANG_OK && c.failed)
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        pang_maintenance_note(run, &outcome, call->arena);
    return code;
}

static pang_code expire(pang_call *call, pang_table *table, pang_rec_maintenance *run,
                        pang_err *err)
{
    size_t n;
    pang_expiry expiry = {.older_than_ms = run->older_than_ms, .retain_last = run->retain_last};
    if (!table->view->writable)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "snapshots are expired on branches only");
    pang_code code = pang_expire_table(table->view, call->server->state, call->who, &table->content,
                                       &expiry, run->dry_run, &n, err);
    run->snapshots_expired = n;
    run->tables = 1;
    return code;
}

/* Who and where, of the run's record. */
static pang_code fill_run(pang_call *call, const pang_view *view, pang_rec_maintenance *run,
                          pang_err *err)
{
    run->catalog = pang_bytes_of_id(&view->catalog);
    run->branch = pang_bytes_of_id(&view->levels[0].branch);
    run->branch_name = pang_arena_cstr(call->arena, view->ref_name);
    run->requested_by_name = pang_arena_cstr(call->arena, call->who->name);
    return run->branch_name == NULL || run->requested_by_name == NULL ? pang_fail_memory(err)
                                                                      : PANG_OK;
}

static pang_code find_table(pang_call *call, const Pangolin__V1__MaintainTableRequest *in,
                            pang_view *view, pang_table *ret, pang_err *err)
{
    pang_code code = pang_table_address(view, call->arena, in->prefix, in->namespace_,
                                        in->n_namespace_, in->table, ret, err);
    pang_address_add(&ret->address, pang_str_from(in->branch));
    if (code == PANG_OK)
        code = pang_address_open(call, &ret->address, PANG_NO_TABLE, view, err);
    if (code != PANG_OK)
        return code;
    ret->content.name = pang_name_of_asset(&view->keys, ret->levels, ret->name);
    code = pang_content_get(view, &ret->content, 1, err);
    if (code == PANG_OK && !pang_table_is_there(ret))
        return pang_table_absent(ret, err);
    if (code == PANG_OK)
        call->note.resource = pang_id_of(ret->content.body->asset);
    return code;
}

static pang_code maintain_table(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__MaintainTableRequest *in = request;
    Pangolin__V1__MaintainTableResponse *out = reply;
    pang_rec_maintenance run;
    pang_view view;
    pang_table table;
    pang_code code = pang_maintenance_ask(call->server->env, call->who, in->job_type,
                                          in->_retention_ms_case != 0 ? &in->retention_ms : NULL,
                                          in->_older_than_ms_case != 0 ? &in->older_than_ms : NULL,
                                          in->retain_last, in->dry_run, &run, err);
    if (code == PANG_OK && strcmp(in->job_type, PANG_JOB_HISTORY) == 0)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "job_type \"" PANG_JOB_HISTORY "\" is of catalogs");
    if (code == PANG_OK)
        code = find_table(call, in, &view, &table, err);
    if (code == PANG_OK)
        code = strcmp(run.job_type, PANG_JOB_EXPIRE) == 0
                   ? expire(call, &table, &run, err)
                   : remove_orphans(call, &table, &run, out, err);
    if (code == PANG_OK)
        code = fill_run(call, &view, &run, err);
    if (code != PANG_OK)
        return code;
    run.asset = table.content.body->asset;
    code = pang_maintenance_put(call->txn, call->arena, view.keys.scope, call->server->env, &run,
                                false, err);
    out->status = ACCEPTED;
    return code == PANG_OK ? show_outcome(call->arena, &run, &out->outcome, err) : code;
}

/* ---- a catalog ---- */

static pang_code open_branch(pang_call *call, const char *catalog, const char *branch,
                             pang_view *ret, pang_err *err)
{
    pang_code code = pang_view_open(call, catalog, PANG_NOT_FOUND_REASON, ret, err);
    if (code == PANG_OK && branch[0] != '\0')
        code = pang_view_switch(ret, pang_str_from(branch), PANG_NOT_FOUND_REASON, err);
    if (code == PANG_OK && !ret->writable)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "\"%.255s\" is no branch",
                         branch);
    return code;
}

static bool count_row(void *arg, const pang_record *row)
{
    size_t *n = arg;
    (void)row;
    return ++*n <= PANG_MAINTENANCE_WAITING_MAX;
}

/* The line is the system's; a bound on it keeps one catalog from filling it. */
static pang_code check_line(pang_call *call, pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = PANG_SYSTEM_SCOPE};
    size_t n = 0;
    pang_query query = {.prefix = pang_key_maintenances_due(&keys),
                        .limit = PANG_MAINTENANCE_WAITING_MAX + 1,
                        .keys_only = true};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(call->txn, &query, count_row, &n, err);
    if (code == PANG_OK && n > PANG_MAINTENANCE_WAITING_MAX)
        code = pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL,
                         "too many runs of maintenance wait: try again later");
    return code;
}

static pang_code maintain_catalog(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__MaintainCatalogRequest *in = request;
    Pangolin__V1__MaintainCatalogResponse *out = reply;
    pang_rec_maintenance run;
    pang_view view;
    pang_code code = pang_maintenance_ask(call->server->env, call->who, in->job_type,
                                          in->_retention_ms_case != 0 ? &in->retention_ms : NULL,
                                          in->_older_than_ms_case != 0 ? &in->older_than_ms : NULL,
                                          in->retain_last, in->dry_run, &run, err);
    if (code == PANG_OK)
        code = open_branch(call, in->name, in->branch, &view, err);
    if (code == PANG_OK)
        code = check_line(call, err);
    if (code == PANG_OK)
        code = fill_run(call, &view, &run, err);
    if (code == PANG_OK)
        code = pang_maintenance_put(call->txn, call->arena, view.keys.scope, call->server->env,
                                    &run, true, err);
    if (code != PANG_OK)
        return code;
    call->note.resource = view.catalog;
    out->status = ACCEPTED;
    out->id = pang_manage_id_text(pang_id_of(run.id), call->arena);
    return pang_manage_built(call->arena, err);
}

static const char *status_text(const pang_rec_maintenance *run)
{
    static const char *const texts[] = {"", "waiting", "running", "done", "failed"};
    size_t i = (size_t)run->status;
    return i < sizeof texts / sizeof texts[0] ? texts[i] : "";
}

static pang_code show_run(pang_arena *arena, const pang_record *row,
                          Pangolin__V1__MaintenanceRun **ret, pang_err *err)
{
    pang_rec_maintenance *run;
    Pangolin__V1__MaintenanceRun *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_record_unpack(&pangolin__store__v1__maintenance_run__descriptor, row,
                                        arena, &run, err);
    if (code != PANG_OK)
        return code;
    *out = (Pangolin__V1__MaintenanceRun)PANGOLIN__V1__MAINTENANCE_RUN__INIT;
    out->id = pang_manage_id_text(pang_id_of(run->id), arena);
    out->job_type = run->job_type;
    out->branch = run->branch_name;
    out->status = (char *)(uintptr_t)status_text(run);
    out->dry_run = run->dry_run;
    out->requested_by = run->requested_by_name;
    out->requested_at = pang_manage_time(run->requested_ms, arena);
    if (run->finished_ms != 0)
        out->finished_at = pang_manage_time(run->finished_ms, arena);
    *ret = out;
    code = show_outcome(arena, run, &out->outcome, err);
    return code == PANG_OK ? pang_manage_built(arena, err) : code;
}

static pang_code list_maintenance(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListMaintenanceRequest *in = request;
    Pangolin__V1__ListMaintenanceResponse *out = reply;
    pang_view view;
    pang_manage_page page;
    pang_manage_query query = {.page_size = in->page_size,
                               .token = in->_page_token_case != 0 ? in->page_token : NULL,
                               .descending = true};
    pang_code code = pang_view_open(call, in->name, PANG_NOT_FOUND_REASON, &view, err);
    if (code != PANG_OK)
        return code;
    query.prefix = pang_key_maintenances(&view.keys, view.catalog);
    code = pang_keys_status(&view.keys, err);
    if (code == PANG_OK)
        code = pang_manage_list(call, &query, &page, err);
    if (code != PANG_OK)
        return code;
    out->runs = pang_arena_alloc_n(call->arena, page.n + 1, sizeof *out->runs);
    if (out->runs == NULL)
        return pang_fail_memory(err);
    if (page.next_token != NULL)
        out->next_page_token = page.next_token;
    for (size_t i = 0; code == PANG_OK && i < page.n; i++) {
        code = show_run(call->arena, &page.rows[i], &out->runs[i], err);
        out->n_runs += code == PANG_OK;
    }
    return code;
}

/* ---- what was dropped ---- */

static char **split_path(pang_str path, pang_arena *arena, size_t *ret_n)
{
    pang_str rest = path, one;
    char **levels = pang_arena_alloc_n(arena, PANG_NAMESPACE_LEVELS_MAX + 1, sizeof *levels);
    for (*ret_n = 0;
         levels != NULL && *ret_n < PANG_NAMESPACE_LEVELS_MAX && pang_str_next(&rest, '.', &one);) {
        pang_str level = one;
        if (!pang_key_unescape(one, arena, &level))
            return NULL;
        levels[*ret_n] = pang_arena_cstr(arena, level);
        if (levels[(*ret_n)++] == NULL)
            return NULL;
    }
    return levels;
}

static pang_code show_dropped(pang_call *call, const pang_content *at, const pang_undrop *judged,
                              pang_str by, shown_table **ret, pang_err *err)
{
    pang_arena *arena = call->arena;
    char asset[PANG_ID_TEXT + 1];
    shown_table *out = pang_arena_alloc(arena, sizeof *out);
    if (out == NULL)
        return pang_fail_memory(err);
    *out = (shown_table)PANGOLIN__V1__DROPPED_TABLE__INIT;
    out->namespace_ = split_path(at->name.path, arena, &out->n_namespace_);
    out->name = pang_arena_cstr(arena, at->name.name);
    out->uuid = at->body->uuid;
    out->purged = at->body->purged;
    out->dropped_at = pang_manage_time(at->time_ms, arena);
    out->until = pang_manage_time(judged->until_ms, arena);
    out->can_undrop = judged->reason.len == 0;
    out->reason = pang_arena_cstr(arena, judged->reason);
    pang_id_text(pang_id_of(at->body->asset), asset);
    out->asset_id = pang_arena_cstr(arena, pang_str_from(asset));
    out->dropped_by = pang_arena_cstr(arena, by);
    *ret = out;
    if (out->namespace_ == NULL || out->name == NULL)
        return pang_fail_memory(err);
    return pang_manage_built(arena, err);
}

/* Tables that commits of a page dropped. */
typedef struct {
    pang_arena *arena;
    pang_content *list; /* of each the name, the commit, and a body with the asset alone */
    pang_str *by;       /* whose commit it was */
    size_t n;
    size_t commits, most; /* commits looked at; tables of a page */
    int64_t since_ms;
    uint64_t last; /* number of the last commit looked at */
    bool more, failed;
} dropped_tables;

/* A table that is gone from a name, or another thing than the one that has the name from then on.
 * Whether it was dropped, and was a table, its own record says. */
static bool may_be_dropped(const pang_rec_change *change)
{
    if (change->space != PANG_SPACE_ASSET || change->old_asset.len == 0)
        return false;
    if (change->new_asset.len == 0)
        return change->kind == PANGOLIN__STORE__V1__KIND__KIND_TABLE;
    return !pang_id_equal(pang_id_of(change->old_asset), pang_id_of(change->new_asset));
}

static void take_change(dropped_tables *d, const pang_rec_change *change, uint64_t sequence,
                        pang_str by)
{
    if (!may_be_dropped(change))
        return;
    pang_content *at = &d->list[d->n];
    pang_id *asset = pang_arena_alloc(d->arena, sizeof *asset);
    *at = (pang_content){.name.space = PANG_SPACE_ASSET, .sequence = sequence};
    at->body = pang_arena_alloc(d->arena, sizeof *at->body);
    if (asset == NULL || at->body == NULL ||
        !pang_arena_copy(d->arena, pang_str_from(change->path), &at->name.path) ||
        !pang_arena_copy(d->arena, pang_str_from(change->name), &at->name.name)) {
        d->failed = true;
        return;
    }
    *asset = pang_id_of(change->old_asset);
    *at->body = (pang_rec_content)PANGOLIN__STORE__V1__CONTENT__INIT;
    at->body->asset = pang_bytes_of_id(asset);
    d->by[d->n++] = by;
}

static bool take_commit(void *arg, const pang_commit_row *row)
{
    dropped_tables *d = arg;
    if (row->time_ms < d->since_ms)
        return false;
    if (d->commits == COMMITS_LOOKED_AT || d->n >= d->most ||
        d->n + row->body->n_changes > DROPPED_MAX) {
        d->more = true;
        return false;
    }
    pang_str by = {0};
    d->failed = !pang_arena_copy(d->arena, pang_str_from(row->body->author_name), &by);
    for (size_t i = 0; i < row->body->n_changes && !d->failed; i++)
        take_change(d, row->body->changes[i], row->sequence, by);
    d->commits++;
    d->last = row->sequence;
    return !d->failed;
}

static pang_code walk_dropped(pang_call *call, pang_view *view, uint64_t before, size_t most,
                              dropped_tables *ret, pang_err *err)
{
    pang_rec_catalog *settings;
    pang_code code = pang_view_settings(view, &settings, err);
    if (code != PANG_OK)
        return code;
    *ret = (dropped_tables){.arena = call->arena, .most = most};
    ret->since_ms = pang_env_wall_ms(call->server->env) - pang_undrop_life(settings, false);
    ret->list = pang_arena_alloc_n(call->arena, DROPPED_MAX, sizeof *ret->list);
    ret->by = pang_arena_alloc_n(call->arena, DROPPED_MAX, sizeof *ret->by);
    if (ret->list == NULL || ret->by == NULL)
        return pang_fail_memory(err);
    code = pang_commit_walk(view, before, take_commit, ret, err);
    return code == PANG_OK && ret->failed ? pang_fail_memory(err) : code;
}

/* Without its namespace it cannot come back, whatever is kept of it. */
static pang_code judge_home(pang_view *view, pang_name name, pang_undrop *judged, pang_err *err)
{
    size_t n;
    char **path = split_path(name.path, view->arena, &n);
    pang_levels levels;
    if (path == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_levels_of(path, n, view->arena, &levels, err);
    pang_content home = {0};
    if (code == PANG_OK) {
        home.name = pang_name_of_namespace(&view->keys, levels);
        code = pang_content_get(view, &home, 1, err);
    }
    if (code == PANG_OK && !pang_is_namespace(&home))
        judged->reason = PANG_STR("its namespace is gone");
    return code;
}

static pang_code judge_one(pang_call *call, pang_view *view, const pang_content *found, pang_str by,
                           Pangolin__V1__ListDroppedResponse *out, pang_err *err)
{
    pang_undrop judged;
    pang_content gone;
    if (pang_call_cancelled(call)) /* each asks the object store for files */
        return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL,
                         "the deadline has passed: ask for smaller pages");
    pang_code code = pang_undrop_state(view, found->name, pang_id_of(found->body->asset),
                                       found->sequence, &gone, err);
    if (code != PANG_OK || gone.body == NULL)
        return code;
    code = pang_undrop_judge(view, call->server->state, &gone, &judged, err);
    if (code == PANG_OK && judged.reason.len == 0)
        code = judge_home(view, gone.name, &judged, err);
    if (code == PANG_OK)
        code = show_dropped(call, &gone, &judged, by, &out->tables[out->n_tables], err);
    out->n_tables += code == PANG_OK;
    return code;
}

static pang_code judge_all(pang_call *call, pang_view *view, dropped_tables *d,
                           Pangolin__V1__ListDroppedResponse *out, pang_err *err)
{
    pang_code code = PANG_OK;
    out->tables = pang_arena_alloc_n(call->arena, d->n + 1, sizeof *out->tables);
    if (out->tables == NULL)
        return pang_fail_memory(err);
    for (size_t from = 0; code == PANG_OK && from < d->n; from += PANG_NAMES_AT_ONCE_MAX) {
        size_t n = d->n - from < PANG_NAMES_AT_ONCE_MAX ? d->n - from : PANG_NAMES_AT_ONCE_MAX;
        code = pang_undrop_which(view, d->list + from, n, err);
        for (size_t i = from; code == PANG_OK && i < from + n; i++)
            if (d->list[i].body != NULL)
                code = judge_one(call, view, &d->list[i], d->by[i], out, err);
    }
    return code;
}

static pang_code list_dropped(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListDroppedRequest *in = request;
    Pangolin__V1__ListDroppedResponse *out = reply;
    pang_view view;
    pang_page page = {0};
    dropped_tables d = {0};
    size_t most = DROPPED_MAX;
    pang_str query = pang_arena_printf(call->arena, "undrop/%s@%s", in->name, in->branch);
    pang_code code = open_branch(call, in->name, in->branch, &view, err);
    if (code == PANG_OK && in->page_size != 0)
        code = pang_page_size(in->page_size, &most, err);
    if (code == PANG_OK && in->_page_token_case != 0 && in->page_token[0] != '\0')
        code = pang_page_read(call, query, pang_str_from(in->page_token), &page, err);
    if (code == PANG_OK)
        code = walk_dropped(call, &view, page.sequence, most, &d, err);
    if (code == PANG_OK)
        code = judge_all(call, &view, &d, out, err);
    if (code != PANG_OK || !d.more)
        return code;
    return pang_page_token(call, query, (pang_page){.sequence = d.last}, &out->next_page_token,
                           err);
}

static pang_code check_undrop(pang_call *call, const pang_view *view, pang_levels levels,
                              const pang_content *home, const pang_content *gone,
                              const pang_undrop *judged, pang_err *err)
{
    pang_arena *arena = call->arena;
    const char *shown = pang_dotted(levels, gone->name.name, arena);
    pang_grant_object asset = {.kind = PANG_SCOPE_ASSET,
                               .catalog = view->catalog,
                               .path = gone->name.path,
                               .asset = pang_id_of(gone->body->asset)};
    /* Whoever makes it again reads it. */
    pang_code code = pang_evaluate_reads(call, &asset, "dropped table", shown, err);
    if (code != PANG_OK)
        return code;
    if (!pang_is_namespace(home))
        return pang_fail_no_namespace(levels, arena, err);
    if (judged->reason.len > 0)
        return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                         "table %s cannot come back: %" PANG_STR_FMT, shown,
                         PANG_STR_ARG(judged->reason));
    return PANG_OK;
}

/* The table that is asked for: `at` is its name as it is now, `gone` what it was. */
static pang_code find_dropped(pang_call *call, pang_view *view, pang_levels levels,
                              const char *asset, const pang_content *at, pang_content *gone,
                              pang_err *err)
{
    pang_id id;
    if (asset[0] != '\0' && !pang_id_parse(pang_str_from(asset), &id))
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "asset_id \"%.64s\" is no UUID", asset);
    if (pang_content_exists(at))
        return pang_fail_exists(PANGOLIN__STORE__V1__KIND__KIND_TABLE, at->body, levels,
                                at->name.name, call->arena, err);
    pang_code code = pang_undrop_find(view, at->name, asset[0] == '\0' ? NULL : &id, gone, err);
    if (code == PANG_OK && gone->body == NULL)
        return pang_fail_no_table(levels, at->name.name, call->arena, err);
    return code;
}

static pang_code undrop(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UndropRequest *in = request;
    Pangolin__V1__UndropResponse *out = reply;
    pang_view view;
    pang_levels levels;
    pang_content both[2], gone;
    pang_undrop judged = {0};
    if (in->n_namespace_ == 0 || in->table[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "namespace and table are required");
    pang_code code = open_branch(call, in->name, in->branch, &view, err);
    if (code == PANG_OK)
        code = pang_levels_of(in->namespace_, in->n_namespace_, call->arena, &levels, err);
    if (code != PANG_OK)
        return code;
    both[0].name = pang_name_of_asset(&view.keys, levels, pang_str_from(in->table));
    both[1].name = pang_name_of_namespace(&view.keys, levels);
    code = pang_content_get(&view, both, 2, err);
    if (code == PANG_OK)
        code = find_dropped(call, &view, levels, in->asset_id, &both[0], &gone, err);
    if (code == PANG_OK)
        code = pang_undrop_judge(&view, call->server->state, &gone, &judged, err);
    if (code == PANG_OK)
        code = check_undrop(call, &view, levels, &both[1], &gone, &judged, err);
    if (code == PANG_OK)
        code = pang_undrop_put(&view, call->server->state, call->who, &both[0], &gone,
                               pang_str_from(pang_dotted(levels, both[0].name.name, call->arena)),
                               err);
    if (code != PANG_OK)
        return code;
    call->note.resource = pang_id_of(gone.body->asset);
    return show_dropped(call, &gone, &judged, (pang_str){0}, &out->table, err);
}

#define METHOD(Name, name, handler)                                                                \
    {                                                                                              \
        .path = "/pangolin.v1.MaintenanceService/" #Name,                                          \
        .in = &pangolin__v1__##name##_request__descriptor,                                         \
        .out = &pangolin__v1__##name##_response__descriptor, .handle = (handler),                  \
    }

static const pang_method methods[] = {
    METHOD(MaintainTable, maintain_table, maintain_table),
    METHOD(MaintainCatalog, maintain_catalog, maintain_catalog),
    METHOD(ListMaintenance, list_maintenance, list_maintenance),
    METHOD(ListDropped, list_dropped, list_dropped),
    METHOD(Undrop, undrop, undrop),
};

const pang_service pang_service_maintenance = {
    .name = "pangolin.v1.MaintenanceService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
