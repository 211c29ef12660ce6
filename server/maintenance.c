/*
 * Runs wait in a line of the system's. Whoever takes one puts a lease into its record and renews it
 * with each step, so that of two servers one works, and another goes on where one died.
 */
#include "server/maintenance.h"

#include <string.h>

#include "api/keys_versions.h"
#include "server/gc_internal.h"
#include "server/refs.h"

enum {
    LOOK_EVERY_MS = 5000,
    LEASE_MS = 10 * 60 * 1000,
    STEP_ROWS = 64, /* tables between two notes of how far it is */
    ROUND_BYTES = 8 << 20,
    STEP_BYTES = 512 << 20, /* of one table's documents */
};
#define TIMES_FROM INT64_C(1000000000000) /* what is asked for from here on is a time */
#define KEPT_MS (INT64_C(30) * 24 * 60 * 60 * 1000)

typedef Pangolin__Store__V1__MaintenanceRun rec_run;
#define WAITING PANGOLIN__STORE__V1__MAINTENANCE_RUN__STATUS__STATUS_WAITING
#define RUNNING PANGOLIN__STORE__V1__MAINTENANCE_RUN__STATUS__STATUS_RUNNING
#define DONE PANGOLIN__STORE__V1__MAINTENANCE_RUN__STATUS__STATUS_DONE
#define FAILED PANGOLIN__STORE__V1__MAINTENANCE_RUN__STATUS__STATUS_FAILED

/* ---- what is asked for ---- */

static pang_code age_of(const pang_env *env, const int64_t *retention, const int64_t *older_than,
                        int64_t *ret, pang_err *err)
{
    const int64_t *given = older_than != NULL ? older_than : retention;
    *ret = given != NULL ? *given : PANG_MAINTENANCE_DAY_MS;
    if (older_than != NULL && retention != NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "retention_ms and older_than_ms are both given");
    if (*ret < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "%s must not be negative",
                         older_than != NULL ? "older_than_ms" : "retention_ms");
    if (older_than != NULL && *ret >= TIMES_FROM)
        *ret = pang_env_wall_ms(env) - *ret; /* a time */
    if (*ret < 0)
        *ret = 0;
    return PANG_OK;
}

pang_code pang_maintenance_ask(const pang_env *env, const pang_principal *who, const char *job_type,
                               const int64_t *retention_ms, const int64_t *older_than_ms,
                               int64_t retain_last, bool dry_run, pang_rec_maintenance *ret,
                               pang_err *err)
{
    int64_t age, now = pang_env_wall_ms(env);
    bool of_history = strcmp(job_type, PANG_JOB_HISTORY) == 0;
    if (strcmp(job_type, PANG_JOB_EXPIRE) != 0 && strcmp(job_type, PANG_JOB_ORPHANS) != 0 &&
        !of_history)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "job_type must be \"" PANG_JOB_EXPIRE "\", \"" PANG_JOB_ORPHANS
                         "\" or, of a catalog, \"" PANG_JOB_HISTORY "\", not \"%.100s\"",
                         job_type);
    if (of_history && (retention_ms != NULL || older_than_ms != NULL || retain_last != 0))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "history is kept for the catalog's own retention: no other age can be "
                         "asked for");
    if (retain_last < 0)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "retain_last must not be negative");
    pang_code code = age_of(env, retention_ms, older_than_ms, &age, err);
    if (code != PANG_OK)
        return code;
    *ret = (rec_run)PANGOLIN__STORE__V1__MAINTENANCE_RUN__INIT;
    ret->job_type = (char *)(uintptr_t)job_type;
    ret->dry_run = dry_run;
    ret->age_ms = age;
    ret->older_than_ms = age > now ? 0 : now - age;
    ret->retain_last = retain_last;
    ret->requested_by = pang_bytes_of_id(&who->id);
    ret->requested_ms = now;
    return PANG_OK;
}

static void put_run(pang_txn *txn, pang_str key, const rec_run *run, pang_arena *arena)
{
    pang_put put = {.key = key,
                    .body = pang_record_pack(&run->base, arena),
                    .kind = PANG_KIND_MAINTENANCE,
                    .slot = PANG_NO_SLOT,
                    .key_slot = PANG_NO_SLOT,
                    .expires_ms = run->requested_ms + KEPT_MS};
    pang_txn_put_full(txn, &put);
}

pang_code pang_maintenance_put(pang_txn *txn, pang_arena *arena, pang_str scope,
                               const pang_env *env, pang_rec_maintenance *run, bool waits,
                               pang_err *err)
{
    pang_keys keys = {.arena = arena, .scope = scope};
    pang_keys system = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_rec_maintenance_due due = PANGOLIN__STORE__V1__MAINTENANCE_DUE__INIT;
    pang_id *id = pang_arena_alloc(arena, sizeof *id);
    due.scope = pang_arena_cstr(arena, scope);
    due.catalog = run->catalog;
    if (id == NULL || due.scope == NULL)
        return pang_fail_memory(err);
    *id = pang_id_v7(env);
    run->id = pang_bytes_of_id(id);
    run->status = waits ? WAITING : DONE;
    if (!waits)
        run->finished_ms = pang_env_wall_ms(env);
    put_run(txn, pang_key_maintenance(&keys, pang_id_of(run->catalog), *id), run, arena);
    if (waits)
        pang_txn_put(txn, PANG_KIND_MAINTENANCE_DUE, pang_key_maintenance_due(&system, *id),
                     pang_record_pack(&due.base, arena));
    pang_code code = pang_keys_status(&keys, err);
    return code == PANG_OK ? pang_keys_status(&system, err) : code;
}

void pang_maintenance_note(pang_rec_maintenance *run, const pang_gc_outcome *outcome,
                           pang_arena *arena)
{
    run->files_removed += outcome->removed;
    run->bytes_removed += outcome->bytes;
    run->tables += outcome->places;
    run->skipped += outcome->skipped;
    if (outcome->reason[0] != '\0')
        run->reason = pang_arena_cstr(arena, pang_str_from(outcome->reason));
}

/* Those that are not zero. NULL without memory. */
static pang_rec_count **record_counts(const uint64_t *records, pang_arena *arena, size_t *ret_n)
{
    pang_rec_count **list = pang_arena_alloc_n(arena, PANG_RETAIN_KINDS, sizeof *list);
    pang_rec_count *counts = pang_arena_alloc_n(arena, PANG_RETAIN_KINDS, sizeof *counts);
    *ret_n = 0;
    for (size_t i = 0; list != NULL && counts != NULL && i < PANG_RETAIN_KINDS; i++) {
        if (records[i] == 0)
            continue;
        counts[i] = (pang_rec_count)PANGOLIN__STORE__V1__RECORD_COUNT__INIT;
        counts[i].kind = (char *)(uintptr_t)pang_retain_kind_name((pang_retain_kind)i);
        counts[i].records = records[i];
        list[(*ret_n)++] = &counts[i];
    }
    return counts == NULL ? NULL : list;
}

pang_code pang_maintenance_note_records(pang_rec_maintenance *run,
                                        const pang_retain_outcome *outcome, pang_arena *arena,
                                        pang_err *err)
{
    run->records = record_counts(outcome->removed, arena, &run->n_records);
    return run->records == NULL ? pang_fail_memory(err) : PANG_OK;
}

/* ---- a run of a whole catalog ---- */

typedef struct {
    pang_state *state;
    pang_arena *arena; /* the run's */
    pang_arena *step;  /* one table's */
    pang_str queue_key, run_key, scope;
    rec_run *run;
    pang_str after; /* key of the content record that was looked at last */
    bool taken, stopped;
    /* What the table in hand lost; counted once its commit has landed. */
    pang_str path, name;
    size_t expired;
} working;

/* Takes the lease, or renews it; *taken is false when the run is another server's or has ended. */
static pang_code hold(pang_txn *txn, void *arg, pang_err *err)
{
    working *w = arg;
    pang_record record;
    rec_run *stored = NULL;
    int64_t now = pang_env_wall_ms(w->state->config.env);
    pang_code code = pang_txn_get_one(txn, w->run_key, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__maintenance_run__descriptor, &record,
                                  w->arena, &stored, err);
    w->taken = code == PANG_OK && stored != NULL &&
               (stored->status == WAITING || stored->status == RUNNING) &&
               (w->run != NULL ? stored->lease_ms == w->run->lease_ms : stored->lease_ms <= now);
    if (code != PANG_OK || !w->taken)
        return code;
    if (w->run == NULL)
        w->run = stored;
    rec_run next = *w->run;
    next.status = RUNNING;
    next.lease_ms = now + LEASE_MS;
    put_run(txn, w->run_key, &next, w->arena);
    *w->run = next;
    return PANG_OK;
}

static pang_code end(pang_txn *txn, void *arg, pang_err *err)
{
    working *w = arg;
    pang_record record;
    pang_code code = pang_txn_get_one(txn, w->run_key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version != 0 && w->run != NULL)
        put_run(txn, w->run_key, w->run, w->arena);
    pang_txn_delete(txn, w->queue_key);
    return PANG_OK;
}

static pang_code in_txn(working *w, pang_txn_fn *fn, pang_err *err)
{
    return pang_txn_run(w->state->config.db, w->scope, PANG_NO_DEADLINE, w->arena, fn, w, err);
}

static void note_skipped(working *w, const pang_err *err)
{
    w->run->skipped++;
    w->run->reason = pang_arena_cstr(w->arena, pang_str_from(err->message));
}

/* ---- expiry ---- */

static pang_code expire_one(pang_txn *txn, void *arg, pang_err *err)
{
    working *w = arg;
    pang_view view;
    pang_content at = {.name = {PANG_SPACE_ASSET, w->path, w->name}};
    pang_principal who = {.id = pang_id_of(w->run->requested_by),
                          .name = pang_str_from(w->run->requested_by_name)};
    pang_expiry expiry = {.older_than_ms = w->run->older_than_ms,
                          .retain_last = w->run->retain_last};
    w->expired = 0;
    pang_code code = pang_view_of(txn, w->step, w->scope, pang_id_of(w->run->catalog),
                                  (pang_str){0}, &view, err);
    if (code == PANG_OK)
        code = pang_view_switch(&view, pang_str_from(w->run->branch_name), "NotFoundException",
                                err);
    if (code == PANG_OK)
        code = pang_content_get(&view, &at, 1, err);
    if (code != PANG_OK || !pang_content_exists(&at))
        return code;
    return pang_expire_table(&view, w->state, &who, &at, &expiry, w->run->dry_run, &w->expired,
                             err);
}

static bool take_table(void *arg, const pang_record *row, pang_arena *arena)
{
    working *w = arg;
    pang_rec_content *body;
    pang_key_parts parts;
    pang_err err;
    if (pang_record_unpack(&pangolin__store__v1__content__descriptor, row, arena, &body, &err) !=
            PANG_OK ||
        !pang_key_parse(row->key, &parts) || parts.n < 4 ||
        !pang_key_unescape(parts.parts[3], arena, &w->name)) {
        note_skipped(w, &err);
        return true;
    }
    if (body->dropped || body->kind != PANGOLIN__STORE__V1__KIND__KIND_TABLE)
        return true;
    if (atomic_load(&w->state->stopping))
        w->stopped = true;
    if (w->stopped)
        return false;
    w->path = parts.parts[2];
    w->run->tables++;
    pang_arena_reset(w->step);
    pang_code code = pang_txn_run(w->state->config.db, w->scope, PANG_NO_DEADLINE, w->step,
                                  expire_one, w, &err);
    if (code != PANG_OK)
        note_skipped(w, &err);
    else
        w->run->snapshots_expired += w->expired;
    if (w->run->tables % STEP_ROWS != 0)
        return true;
    w->run->after = pang_arena_cstr(w->arena, row->key);
    return w->run->after != NULL && in_txn(w, hold, &err) == PANG_OK && w->taken;
}

/* The tables that the branch itself holds; those that it reads through are their own branch's. */
static pang_code expire_all(working *w, pang_err *err)
{
    pang_keys keys = {.arena = w->arena, .scope = w->scope};
    pang_str prefix = pang_key_contents_all(&keys, pang_id_of(w->run->branch), PANG_SPACE_ASSET);
    pang_code code = pang_keys_status(&keys, err);
    return code == PANG_OK ? pang_gc_scan(pang_db_store(w->state->config.db), prefix,
                                          pang_str_from(w->run->after), take_table, w, err)
                           : code;
}

/* ---- orphans ---- */

/* Files and records go one after the other, which may take long: the lease is renewed meanwhile. */
static bool keep_on(void *arg)
{
    working *w = arg;
    pang_err err;
    if (atomic_load(&w->state->stopping))
        return false;
    if (w->run->lease_ms - pang_env_wall_ms(w->state->config.env) > LEASE_MS / 2)
        return true;
    return in_txn(w, hold, &err) == PANG_OK && w->taken;
}

static bool keep_lease(void *arg, pang_str location, int64_t bytes)
{
    (void)location;
    (void)bytes;
    return keep_on(arg);
}

static pang_code remove_all(working *w, pang_err *err)
{
    pang_gc_outcome outcome;
    pang_gc_plan plan = {.scope = w->scope,
                         .catalog = pang_id_of(w->run->catalog),
                         .grace_ms = w->run->age_ms,
                         .dry_run = w->run->dry_run};
    pang_code code = pang_gc_run(w->state, &plan, keep_lease, w, &outcome, err);
    pang_maintenance_note(w->run, &outcome, w->arena);
    return code;
}

static pang_code remove_history(working *w, pang_err *err)
{
    pang_retain_outcome outcome;
    pang_retain_plan plan = {
        .scope = w->scope, .catalog = pang_id_of(w->run->catalog), .dry_run = w->run->dry_run};
    pang_code code = pang_retain_run(w->state, &plan, keep_on, w, &outcome, err);
    if (code != PANG_OK)
        return code;
    return pang_maintenance_note_records(w->run, &outcome, w->arena, err);
}

/* ---- the line ---- */

static pang_code do_run(working *w, pang_err *err)
{
    bool expires = strcmp(w->run->job_type, PANG_JOB_EXPIRE) == 0;
    bool forgets = strcmp(w->run->job_type, PANG_JOB_HISTORY) == 0;
    pang_code code = expires   ? expire_all(w, err)
                     : forgets ? remove_history(w, err)
                               : remove_all(w, err);
    if (!w->taken || atomic_load(&w->state->stopping))
        return PANG_OK; /* another server has it now, or will when the lease is over */
    w->run->status = code == PANG_OK ? DONE : FAILED;
    w->run->finished_ms = pang_env_wall_ms(w->state->config.env);
    if (code != PANG_OK)
        w->run->reason = pang_arena_cstr(w->arena, pang_str_from(err->message));
    return in_txn(w, end, err);
}

static pang_code work_on(working *w, pang_err *err)
{
    pang_code code = in_txn(w, hold, err);
    if (code == PANG_OK && w->taken)
        return do_run(w, err);
    pang_record record;
    pang_ref ref = {.key = w->run_key};
    if (code == PANG_OK)
        code = pang_store_get(pang_db_store(w->state->config.db), &ref, 1, PANG_NO_DEADLINE,
                              w->arena, &record, err);
    if (code == PANG_OK && record.version == 0) /* it has ended by itself, or its tenant has */
        code = in_txn(w, end, err);
    return code;
}

typedef struct {
    pang_state *state;
    pang_code code;
    pang_err *err;
} line;

static bool take_due(void *arg, const pang_record *row, pang_arena *arena)
{
    line *l = arg;
    pang_rec_maintenance_due *due;
    pang_key_parts parts;
    pang_id id;
    l->code = pang_record_unpack(&pangolin__store__v1__maintenance_due__descriptor, row, arena,
                                 &due, l->err);
    if (l->code != PANG_OK || !pang_key_parse(row->key, &parts) || parts.n != 1 ||
        !pang_id_parse(parts.parts[0], &id))
        return true;
    working w = {.state = l->state,
                 .arena = pang_arena_new(ROUND_BYTES),
                 .step = pang_arena_new(STEP_BYTES),
                 .queue_key = row->key,
                 .scope = pang_str_from(due->scope)};
    pang_keys keys = {.arena = w.arena, .scope = w.scope};
    if (w.arena == NULL || w.step == NULL) {
        l->code = pang_fail_memory(l->err);
    } else {
        w.run_key = pang_key_maintenance(&keys, pang_id_of(due->catalog), id);
        l->code = pang_keys_status(&keys, l->err);
    }
    if (l->code == PANG_OK)
        l->code = work_on(&w, l->err);
    pang_arena_free(w.arena);
    pang_arena_free(w.step);
    return true;
}

int64_t pang_maintenance_work(pang_state *state, pang_err *err)
{
    line l = {.state = state, .err = err};
    pang_arena *arena = pang_arena_new(1 << 20);
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    *err = (pang_err){.code = PANG_OK};
    if (arena == NULL) {
        (void)pang_fail_memory(err);
        return LOOK_EVERY_MS;
    }
    pang_str prefix = pang_key_maintenances_due(&keys);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_gc_scan(pang_db_store(state->config.db), prefix, (pang_str){0}, take_due, &l,
                            err);
    pang_arena_free(arena);
    if (code == PANG_OK && l.code == PANG_OK)
        *err = (pang_err){.code = PANG_OK};
    return LOOK_EVERY_MS;
}
