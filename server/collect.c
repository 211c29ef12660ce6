/*
 * The collector as a command: every catalog of every tenant, or what was named, one after the
 * other. One that cannot be collected keeps no other from it.
 */
#include "api/collect.h"

#include <string.h>

#include "api/audit.h"
#include "server/gc_internal.h"
#include "server/retain.h"
#include "server/setup.h"

enum { BYTES = 64 << 20, SCOPES_MAX = 1 << 20 };

typedef struct {
    const pang_collect_plan *plan;
    const pang_collect_listener *listener;
    pang_arena *arena;
    pang_state *state;
    pang_str scope;
    char wanted[PANG_ID_HEX + 1]; /* the tenant as in keys; empty: all */
    pang_str *scopes;
    size_t n_scopes;
    size_t catalogs;
    pang_code code;
    pang_err *err;
} collecting;

static bool tell_file(void *arg, pang_str location, int64_t bytes)
{
    collecting *c = arg;
    if (c->listener->file != NULL)
        c->listener->file(c->listener->arg, location, bytes);
    return true;
}

static bool take_catalog(void *arg, const pang_record *row, pang_arena *arena)
{
    collecting *c = arg;
    pang_rec_catalog_name *named;
    pang_str name = pang_str_after(row->key, pang_key_prefix_len(row->key));
    pang_err err;
    pang_gc_outcome outcome = {0};
    pang_retain_outcome retained = {0};
    pang_collect_records records[PANG_RETAIN_KINDS];
    c->code = pang_record_unpack(&pangolin__store__v1__catalog_name__descriptor, row, arena, &named,
                                 c->err);
    if (c->code == PANG_OK && !pang_key_unescape(name, arena, &name))
        c->code = pang_fail_memory(c->err);
    if (c->code != PANG_OK)
        return false;
    if (c->plan->catalog != NULL && !pang_str_equal(name, pang_str_from(c->plan->catalog)))
        return true;
    pang_gc_plan plan = {.scope = c->scope,
                         .catalog = pang_id_of(named->catalog),
                         .grace_ms = c->plan->grace_ms,
                         .dry_run = c->plan->dry_run};
    pang_retain_plan retention = {
        .scope = c->scope, .catalog = plan.catalog, .dry_run = c->plan->dry_run};
    /* Files first: what tells of a purged table goes only when its files have gone. */
    pang_code code = pang_gc_run(c->state, &plan, tell_file, c, &outcome, &err);
    if (code == PANG_OK)
        code = pang_retain_run(c->state, &retention, NULL, NULL, &retained, &err);
    for (size_t i = 0; i < PANG_RETAIN_KINDS; i++)
        records[i] = (pang_collect_records){pang_retain_kind_name((pang_retain_kind)i),
                                            retained.removed[i], retained.left[i]};
    pang_collect_report report = {.tenant = c->scope,
                                  .catalog = name,
                                  .places = outcome.places,
                                  .skipped = outcome.skipped + (code != PANG_OK),
                                  .files = outcome.files,
                                  .removed = outcome.removed,
                                  .bytes = outcome.bytes,
                                  .released = outcome.released,
                                  .records = records,
                                  .n_records = PANG_RETAIN_KINDS,
                                  .reason = code == PANG_OK ? outcome.reason : err.message};
    c->catalogs++;
    c->listener->catalog(c->listener->arg, &report);
    return true;
}

static bool take_scope(void *arg, pang_str scope)
{
    collecting *c = arg;
    bool wanted = c->wanted[0] == '\0' || pang_str_equal(scope, pang_str_from(c->wanted));
    if (scope.len != PANG_ID_HEX || !wanted)
        return true;
    if (c->n_scopes == SCOPES_MAX || !pang_arena_copy(c->arena, scope, &c->scopes[c->n_scopes])) {
        c->code = pang_fail_memory(c->err);
        return false;
    }
    c->n_scopes++;
    return true;
}

static pang_code collect_all(collecting *c)
{
    pang_store *store = pang_db_store(c->state->config.db);
    c->scopes = pang_arena_alloc_n(c->arena, SCOPES_MAX, sizeof *c->scopes);
    if (c->scopes == NULL)
        return pang_fail_memory(c->err);
    pang_code code = pang_audit_scopes(store, take_scope, c, c->err);
    for (size_t i = 0; code == PANG_OK && c->code == PANG_OK && i < c->n_scopes; i++) {
        pang_keys keys = {.arena = c->arena, .scope = c->scopes[i]};
        c->scope = c->scopes[i];
        pang_str prefix = pang_key_catalogs(&keys);
        code = pang_keys_status(&keys, c->err);
        if (code == PANG_OK)
            code = pang_gc_scan(store, prefix, (pang_str){0}, take_catalog, c, c->err);
    }
    return code == PANG_OK ? c->code : code;
}

static pang_code run_on(pang_db *db, const pang_config *config, const pang_env *env, collecting *c)
{
    pang_objects *objects[PANG_OBJECT_KINDS_MAX + 1] = {NULL};
    pang_state_config opened = {.env = env, .db = db, .objects = objects};
    pang_str warehouse = pang_arena_printf(
        c->arena, "%" PANG_STR_FMT "/warehouse",
        PANG_STR_ARG(pang_config_text(config, PANG_OPT_DATA_DIR)));
    pang_code code = pang_setup_objects(config, warehouse, objects, c->err);
    if (code == PANG_OK)
        code = pang_state_open(&opened, &c->state, c->err);
    if (code == PANG_OK)
        code = collect_all(c);
    pang_state_close(c->state);
    for (size_t i = 0; i < PANG_OBJECT_KINDS_MAX; i++)
        pang_objects_close(objects[i]);
    return code;
}

pang_code pang_collect_run(pang_store *store, const pang_config *config, const pang_env *env,
                           const pang_collect_plan *plan, const pang_collect_listener *listener,
                           size_t *ret_catalogs, pang_err *err)
{
    pang_db *db = NULL;
    pang_id id;
    collecting c = {.plan = plan, .listener = listener, .arena = pang_arena_new(BYTES), .err = err};
    pang_code code = c.arena == NULL ? pang_fail_memory(err) : PANG_OK;
    if (code == PANG_OK && plan->tenant != NULL) {
        if (pang_id_parse(pang_str_from(plan->tenant), &id))
            pang_id_hex(id, c.wanted);
        else
            code = pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "\"%.64s\" is no tenant's id",
                             plan->tenant);
    }
    if (code == PANG_OK)
        code = pang_db_open(store, &(pang_db_config){0}, &db, err);
    if (code != PANG_OK)
        pang_store_close(store);
    if (code == PANG_OK)
        code = run_on(db, config, env, &c);
    pang_db_close(db);
    pang_arena_free(c.arena);
    *ret_catalogs = c.catalogs;
    return code;
}
