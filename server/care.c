/*
 * Every few minutes the catalogs of all tenants are listed, with what their records of care say;
 * those whose time has come are cared for one after the other, a catalog in each round, so that
 * what people asked for (server/maintenance.h) never waits for all of them.
 */
#include "server/care.h"

#include <stdlib.h>
#include <string.h>

#include "api/audit.h"
#include "api/log.h"
#include "server/gc_internal.h"
#include "server/maintenance.h"

enum {
    LOOK_EVERY_MS = 10 * 60 * 1000,
    FIRST_LOOK_MS = 60 * 1000, /* after the start, when there is other work */
    LEASE_MS = 10 * 60 * 1000, /* of one that died: until another server takes over */
    RETRY_MS = 60 * 60 * 1000, /* after a failure */
    LIST_BYTES = 64 << 20,     /* of the catalogs that wait */
    SCOPES_MAX = 1 << 16,      /* tenants */
    CATALOGS_MAX = 1 << 19,    /* that wait at once: the others wait for the next look */
    RUN_BYTES = 1 << 20,
};

typedef struct {
    pang_str scope;
    pang_id catalog;
} waiting;

struct pang_care {
    pang_arena *arena; /* of the list */
    waiting *list;
    size_t n, next;
    int64_t look_at_ms; /* mono */
};

void pang_care_free(pang_care *care)
{
    if (care != NULL)
        pang_arena_free(care->arena);
    free(care);
}

/* ---- the catalogs ---- */

typedef struct {
    pang_state *state;
    pang_care *care;
    pang_str *scopes;
    size_t n_scopes;
    size_t room;
    pang_code code;
    pang_err *err;
} looking;

static bool take_scope(void *arg, pang_str scope)
{
    looking *l = arg;
    if (scope.len != PANG_ID_HEX || l->n_scopes == SCOPES_MAX)
        return true;
    if (!pang_arena_copy(l->care->arena, scope, &l->scopes[l->n_scopes])) {
        l->code = pang_fail_memory(l->err);
        return false;
    }
    l->n_scopes++;
    return true;
}

static bool add_waiting(looking *l, pang_id catalog)
{
    pang_care *care = l->care;
    if (care->n == l->room) {
        l->room = l->room == 0 ? 64 : l->room * 2;
        waiting *list = pang_arena_alloc_n(care->arena, l->room, sizeof *list);
        if (list == NULL) {
            l->code = pang_fail_memory(l->err);
            return false;
        }
        if (care->n > 0)
            memcpy(list, care->list, care->n * sizeof *list);
        care->list = list;
    }
    care->list[care->n++] = (waiting){l->scopes[l->n_scopes], catalog};
    return care->n < CATALOGS_MAX;
}

static bool is_due(const pang_state *state, const pang_rec_catalog *settings,
                   const pang_rec_care *body)
{
    int64_t now = pang_env_wall_ms(state->config.env);
    int64_t since = body == NULL || settings->created_ms > body->done_ms ? settings->created_ms
                                                                         : body->done_ms;
    return since <= now - state->config.care_interval_ms && (body == NULL || body->lease_ms <= now);
}

static pang_code read_both(pang_store *store, pang_keys *keys, pang_id catalog,
                           pang_rec_catalog **settings, pang_rec_care **body, pang_err *err)
{
    pang_record found[2] = {0};
    pang_ref refs[2] = {{.key = pang_key_catalog(keys, catalog)},
                        {.key = pang_key_care(keys, catalog)}};
    *settings = NULL;
    *body = NULL;
    pang_code code = pang_keys_status(keys, err);
    if (code == PANG_OK)
        code = pang_store_get(store, refs, 2, PANG_NO_DEADLINE, keys->arena, found, err);
    if (code == PANG_OK && found[0].version != 0)
        code = pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &found[0], keys->arena,
                                  settings, err);
    if (code == PANG_OK && found[1].version != 0)
        code = pang_record_unpack(&pangolin__store__v1__care__descriptor, &found[1], keys->arena,
                                  body, err);
    return code;
}

static bool take_catalog(void *arg, const pang_record *row, pang_arena *arena)
{
    looking *l = arg;
    pang_rec_catalog_name *named;
    pang_rec_catalog *settings = NULL;
    pang_rec_care *body = NULL;
    pang_keys keys = {.arena = arena, .scope = l->scopes[l->n_scopes]};
    l->code = pang_record_unpack(&pangolin__store__v1__catalog_name__descriptor, row, arena, &named,
                                 l->err);
    if (l->code == PANG_OK)
        l->code = read_both(pang_db_store(l->state->config.db), &keys, pang_id_of(named->catalog),
                            &settings, &body, l->err);
    if (l->code != PANG_OK || settings == NULL)
        return l->code == PANG_OK;
    if (!is_due(l->state, settings, body))
        return true;
    return add_waiting(l, pang_id_of(named->catalog));
}

static pang_code list_catalogs(pang_state *state, pang_care *care, pang_err *err)
{
    pang_store *store = pang_db_store(state->config.db);
    looking l = {.state = state, .care = care, .err = err};
    pang_arena_reset(care->arena);
    care->n = care->next = 0;
    l.scopes = pang_arena_alloc_n(care->arena, SCOPES_MAX, sizeof *l.scopes);
    if (l.scopes == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_audit_scopes(store, take_scope, &l, err);
    size_t n = l.n_scopes;
    for (l.n_scopes = 0; code == PANG_OK && l.code == PANG_OK && l.n_scopes < n; l.n_scopes++) {
        pang_keys keys = {.arena = care->arena, .scope = l.scopes[l.n_scopes]};
        pang_str prefix = pang_key_catalogs(&keys);
        code = pang_keys_status(&keys, err);
        if (code == PANG_OK)
            code = pang_gc_scan(store, prefix, (pang_str){0}, take_catalog, &l, err);
    }
    return code == PANG_OK ? l.code : code;
}

/* ---- one of them ---- */

typedef struct {
    pang_state *state;
    pang_arena *arena;
    pang_keys keys;
    const waiting *of;
    int64_t lease_ms; /* 0: not taken yet */
    bool taken;
    /* Of the end. */
    pang_gc_outcome files;
    pang_retain_outcome history;
    pang_code outcome;
    const pang_err *why;
} caring;

static pang_code read_own(caring *c, pang_txn *txn, pang_rec_care **ret, pang_err *err)
{
    pang_record record;
    pang_rec_care *body = pang_arena_alloc(c->arena, sizeof *body);
    if (body == NULL)
        return pang_fail_memory(err);
    *body = (pang_rec_care)PANGOLIN__STORE__V1__CARE__INIT;
    pang_code code = pang_txn_get_one(txn, pang_key_care(&c->keys, c->of->catalog), &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__care__descriptor, &record, c->arena, &body,
                                  err);
    *ret = body;
    return code;
}

static void put_own(caring *c, pang_txn *txn, const pang_rec_care *body)
{
    pang_txn_put(txn, PANG_KIND_CARE, pang_key_care(&c->keys, c->of->catalog),
                 pang_record_pack(&body->base, c->arena));
}

/* Takes the lease, or renews it. */
static pang_code hold(pang_txn *txn, void *arg, pang_err *err)
{
    caring *c = arg;
    pang_rec_care *body;
    pang_rec_catalog *settings = NULL;
    pang_record record;
    int64_t now = pang_env_wall_ms(c->state->config.env);
    pang_code code = read_own(c, txn, &body, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, pang_key_catalog(&c->keys, c->of->catalog), &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__catalog__descriptor, &record, c->arena,
                                  &settings, err);
    c->taken = code == PANG_OK && settings != NULL &&
               (c->lease_ms != 0 ? body->lease_ms == c->lease_ms
                                 : is_due(c->state, settings, body));
    if (!c->taken)
        return code;
    body->lease_ms = now + LEASE_MS;
    put_own(c, txn, body);
    c->lease_ms = body->lease_ms;
    return pang_keys_status(&c->keys, err);
}

/* Whether there is something to tell people of. */
static bool is_told(const caring *c)
{
    uint64_t removed = c->files.removed + c->files.skipped;
    for (size_t i = 0; i < PANG_RETAIN_KINDS; i++)
        removed += c->history.removed[i];
    return removed > 0 || c->outcome != PANG_OK;
}

static pang_code put_run(caring *c, pang_txn *txn, pang_err *err)
{
    static const pang_principal nobody = {.id = {{0}}};
    pang_rec_maintenance run;
    pang_code code = pang_maintenance_ask(c->state->config.env, &nobody, PANG_JOB_ORPHANS, NULL,
                                          NULL, 0, false, &run, err);
    if (code != PANG_OK)
        return code;
    run.job_type = (char *)(uintptr_t)PANG_JOB_CARE;
    run.catalog = pang_bytes_of_id(&c->of->catalog);
    pang_maintenance_note(&run, &c->files, c->arena);
    code = pang_maintenance_note_records(&run, &c->history, c->arena, err);
    if (code == PANG_OK && c->outcome != PANG_OK)
        run.reason = pang_arena_cstr(c->arena, pang_str_from(c->why->message));
    return code == PANG_OK ? pang_maintenance_put(txn, c->arena, c->keys.scope,
                                                  c->state->config.env, &run, false, err)
                           : code;
}

static pang_code end(pang_txn *txn, void *arg, pang_err *err)
{
    caring *c = arg;
    pang_rec_care *body;
    int64_t now = pang_env_wall_ms(c->state->config.env);
    pang_code code = read_own(c, txn, &body, err);
    if (code != PANG_OK || body->lease_ms != c->lease_ms)
        return code;
    body->lease_ms = c->outcome == PANG_OK ? 0 : now + RETRY_MS; /* so long nobody tries it */
    if (atomic_load(&c->state->stopping))
        body->lease_ms = 0; /* whoever goes on may begin at once */
    else if (c->outcome == PANG_OK)
        body->done_ms = now;
    put_own(c, txn, body);
    if (is_told(c) && !atomic_load(&c->state->stopping))
        code = put_run(c, txn, err);
    return code == PANG_OK ? pang_keys_status(&c->keys, err) : code;
}

static pang_code in_txn(caring *c, pang_txn_fn *fn, pang_err *err)
{
    return pang_txn_run(c->state->config.db, c->keys.scope, PANG_NO_DEADLINE, c->arena, fn, c, err);
}

static bool keep_on(void *arg)
{
    caring *c = arg;
    pang_err err;
    if (atomic_load(&c->state->stopping))
        return false;
    if (c->lease_ms - pang_env_wall_ms(c->state->config.env) > LEASE_MS / 2)
        return true;
    pang_arena_reset(c->arena);
    return in_txn(c, hold, &err) == PANG_OK && c->taken;
}

static bool keep_on_with(void *arg, pang_str location, int64_t bytes)
{
    (void)location;
    (void)bytes;
    return keep_on(arg);
}

static pang_code care_for(caring *c, pang_err *err)
{
    pang_gc_plan files = {
        .scope = c->of->scope, .catalog = c->of->catalog, .grace_ms = PANG_GC_GRACE_MS};
    pang_retain_plan history = {.scope = c->of->scope, .catalog = c->of->catalog};
    pang_code code = in_txn(c, hold, err);
    if (code != PANG_OK || !c->taken)
        return code;
    /* Files first: what tells of a purged table goes only when its files have gone. */
    code = pang_gc_run(c->state, &files, keep_on_with, c, &c->files, err);
    if (code == PANG_OK)
        code = pang_retain_run(c->state, &history, keep_on, c, &c->history, err);
    if (!c->taken || code == PANG_NOT_FOUND) /* another server's, or there is no catalog any more */
        return PANG_OK;
    pang_err own = *err, ending;
    c->outcome = code;
    c->why = &own;
    pang_arena_reset(c->arena);
    pang_code ended = in_txn(c, end, &ending);
    c->why = NULL;
    if (code == PANG_OK && ended != PANG_OK)
        *err = ending;
    return code == PANG_OK ? ended : code;
}

/* ---- rounds ---- */

static pang_code open_care(pang_state *state, pang_err *err)
{
    if (state->care != NULL)
        return PANG_OK;
    pang_care *care = calloc(1, sizeof *care);
    pang_arena *arena = care == NULL ? NULL : pang_arena_new(LIST_BYTES);
    if (arena == NULL) {
        free(care);
        return pang_fail_memory(err);
    }
    care->arena = arena;
    care->look_at_ms = pang_env_mono_ms(state->config.env) + FIRST_LOOK_MS;
    state->care = care;
    return PANG_OK;
}

static int64_t look(pang_state *state, pang_err *err)
{
    pang_care *care = state->care;
    int64_t now = pang_env_mono_ms(state->config.env);
    if (now < care->look_at_ms)
        return care->look_at_ms - now;
    care->look_at_ms = now + LOOK_EVERY_MS;
    if (list_catalogs(state, care, err) != PANG_OK)
        care->n = 0;
    return care->n > 0 ? 0 : LOOK_EVERY_MS;
}

int64_t pang_care_work(pang_state *state, pang_err *err)
{
    *err = (pang_err){.code = PANG_OK};
    if (state->config.care_interval_ms == 0)
        return LOOK_EVERY_MS;
    if (open_care(state, err) != PANG_OK)
        return LOOK_EVERY_MS;
    pang_care *care = state->care;
    if (care->next == care->n)
        return look(state, err);
    pang_arena *arena = pang_arena_new(RUN_BYTES);
    const waiting *of = &care->list[care->next++];
    caring c = {.state = state, .arena = arena, .of = of};
    c.keys = (pang_keys){.arena = arena, .scope = of->scope};
    pang_code code = arena == NULL ? pang_fail_memory(err) : care_for(&c, err);
    pang_arena_free(arena);
    if (code == PANG_OK)
        *err = (pang_err){.code = PANG_OK};
    return 0;
}
