/*
 * Bootstrap: each step is one transaction that writes only what it found absent, so that of two
 * servers that start at once one writes and the other reads.
 */
#include "server/bootstrap.h"

#include <string.h>

#include "api/keys_identity.h"
#include "server/state_internal.h"

#define NIL_SCOPE PANG_STR("00000000000000000000000000000000")

enum { BOOTSTRAP_BYTES = 1 << 20 };

typedef struct {
    pang_state *state;
    const pang_start_config *config;
    pang_arena *arena;
} boot;

static pang_code run(boot *b, pang_str scope, pang_txn_fn *fn, pang_err *err)
{
    b->arena = pang_arena_new(BOOTSTRAP_BYTES);
    if (b->arena == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_run(b->state->config.db, scope, PANG_NO_DEADLINE, b->arena, fn, b,
                                  err);
    pang_arena_free(b->arena);
    return code;
}

pang_code pang_catalog_create(pang_txn *txn, pang_arena *arena, pang_str scope, const pang_env *env,
                              pang_rec_catalog *settings, pang_err *err)
{
    pang_keys keys = {.arena = arena, .scope = scope};
    pang_rec_catalog_name named = PANGOLIN__STORE__V1__CATALOG_NAME__INIT;
    pang_rec_ref main_ref = PANGOLIN__STORE__V1__REF__INIT;
    pang_id *ids = pang_arena_alloc_n(arena, 2, sizeof *ids);
    pang_record record;
    pang_str name_key = pang_key_catalog_name(&keys, pang_str_from(settings->name));
    if (ids == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(txn, name_key, &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version != 0)
        return pang_fail(err, PANG_ALREADY_EXISTS, "AlreadyExistsException",
                         "Catalog already exists: %s", settings->name);
    ids[0] = pang_id_v7(env);
    ids[1] = pang_id_v7(env);
    settings->id = named.catalog = pang_bytes_of_id(&ids[0]);
    main_ref.kind = PANGOLIN__STORE__V1__REF__KIND__KIND_BRANCH;
    main_ref.branch = pang_bytes_of_id(&ids[1]);
    main_ref.type = (char *)(uintptr_t) "ingest";
    pang_txn_put(txn, PANG_KIND_CATALOG_NAME, name_key, pang_record_pack(&named.base, arena));
    pang_txn_put(txn, PANG_KIND_CATALOG, pang_key_catalog(&keys, ids[0]),
                 pang_record_pack(&settings->base, arena));
    pang_txn_put(txn, PANG_KIND_REF, pang_key_ref(&keys, ids[0], PANG_STR("main")),
                 pang_record_pack(&main_ref.base, arena));
    pang_txn_add(txn, pang_key_count(&keys, PANG_COUNT_CATALOGS), 1);
    pang_txn_add(txn, pang_key_count(&keys, PANG_COUNT_BRANCHES), 1);
    pang_txn_add(txn, pang_key_content_count(&keys, ids[0], 'b'), 1);
    return pang_keys_status(&keys, err);
}

static pang_code demo(pang_txn *txn, void *arg, pang_err *err)
{
    boot *b = arg;
    pang_rec_catalog settings = PANGOLIN__STORE__V1__CATALOG__INIT;
    pang_location warehouse;
    pang_code code = pang_location_parse(b->config->demo_warehouse, "warehouse", b->arena,
                                         &warehouse, err);
    if (code != PANG_OK)
        return code;
    pang_objects *store = pang_objects_find(b->state->config.objects, warehouse.scheme);
    if (store == NULL || !store->ops->permits(store, &warehouse))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "warehouse location is not permitted: %" PANG_STR_FMT,
                         PANG_STR_ARG(warehouse.text));
    settings.name = pang_arena_cstr(b->arena, b->config->demo_catalog);
    settings.warehouse = pang_arena_cstr(b->arena, warehouse.text);
    if (settings.name == NULL || settings.warehouse == NULL)
        return pang_fail_memory(err);
    settings.allow_permitted = true;
    settings.retention_ms = PANG_RETENTION_MS;
    settings.undrop_ms = PANG_UNDROP_MS;
    code = pang_catalog_create(txn, b->arena, NIL_SCOPE, b->state->config.env, &settings, err);
    return code == PANG_ALREADY_EXISTS ? PANG_OK : code;
}

pang_code pang_bootstrap_demo(pang_state *state, const pang_start_config *config, pang_err *err)
{
    boot b = {.state = state, .config = config};
    return run(&b, NIL_SCOPE, demo, err);
}
