/*
 * Reseal. Secrets lie in warehouses and settings, in every tenant: tenants are walked, and in each
 * its warehouses, page by page. A record is read and written in one transaction.
 */
#include "server/reseal.h"

#include "api/keys.h"
#include "api/keys_identity.h"
#include "pangolin/store/v1/identity.pb-c.h"
#include "server/records.h"
#include "server/seal.h"

enum { PAGE = 256, MEMORY = 64 << 20 };

typedef Pangolin__Store__V1__Warehouse warehouse;
typedef Pangolin__Store__V1__ConfigEntry entry;
typedef Pangolin__Store__V1__Settings settings;

typedef struct {
    pang_db *db;
    const pang_env *env;
    const pang_sealer *sealer;
    int64_t deadline_ms;
    uint64_t n;
    char scope[PANG_ID_HEX + 1];
} walk;

/* ---- one record ---- */

typedef struct one one;

/* Looks at the secrets of a record; packs it into *ret when it changed one. */
typedef pang_code reseal_fn(one *o, const pang_record *record, pang_str *ret, pang_err *err);

struct one {
    walk *w;
    pang_str key;
    uint32_t kind;
    reseal_fn *reseal;
    pang_arena *arena;
    bool changed;
};

static pang_code reseal_field(one *o, pang_str field, ProtobufCBinaryData *at, pang_err *err)
{
    pang_str sealed = pang_str_of(*at), plain;
    const pang_seal_place place = {
        .scope = {o->w->scope, PANG_ID_HEX},
        .kind = o->kind,
        .key = o->key,
        .field = field,
    };
    if (sealed.len == 0 || pang_seal_is_current(o->w->sealer, sealed))
        return PANG_OK;
    pang_code code = pang_unseal(o->w->sealer, &place, sealed, o->arena, &plain, err);
    if (code == PANG_OK)
        code = pang_seal(o->w->sealer, o->w->env, &place, plain, o->arena, &sealed, err);
    if (code != PANG_OK)
        return code;
    *at = pang_bytes_of(sealed);
    o->changed = true;
    return PANG_OK;
}

static pang_code reseal_entries(one *o, entry **entries, size_t n, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = reseal_field(o, pang_str_from(entries[i]->name), &entries[i]->sealed, err);
    return code;
}

static pang_code reseal_warehouse(one *o, const pang_record *record, pang_str *ret, pang_err *err)
{
    warehouse *body;
    pang_code code = pang_record_unpack(&pangolin__store__v1__warehouse__descriptor, record,
                                        o->arena, &body, err);
    if (code == PANG_OK)
        code = reseal_entries(o, body->config, body->n_config, err);
    if (code == PANG_OK)
        code = reseal_entries(o, body->strategy_config, body->n_strategy_config, err);
    if (code == PANG_OK && o->changed)
        *ret = pang_record_pack(&body->base, o->arena);
    return code;
}

static pang_code reseal_settings(one *o, const pang_record *record, pang_str *ret, pang_err *err)
{
    settings *body;
    pang_code code = pang_record_unpack(&pangolin__store__v1__settings__descriptor, record,
                                        o->arena, &body, err);
    if (code == PANG_OK)
        code = reseal_field(o, PANG_STR("smtp_password"), &body->smtp_password, err);
    if (code == PANG_OK && o->changed)
        *ret = pang_record_pack(&body->base, o->arena);
    return code;
}

static pang_code reseal_one(pang_txn *txn, void *arg, pang_err *err)
{
    one *o = arg;
    pang_record record;
    pang_str packed = {0};
    o->changed = false;
    pang_code code = pang_txn_get_one(txn, o->key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = o->reseal(o, &record, &packed, err);
    if (code != PANG_OK || !o->changed)
        return code;
    if (packed.ptr == NULL)
        return pang_fail_memory(err);
    pang_txn_put(txn, o->kind, o->key, packed);
    return PANG_OK;
}

/* ---- ranges ---- */

typedef pang_code visit_fn(walk *w, pang_str key, pang_err *err);

typedef struct {
    pang_arena *arena;
    pang_str keys[PAGE];
    size_t n;
} page;

static bool note_key(void *arg, const pang_record *row)
{
    page *p = arg;
    return p->n < PAGE && pang_arena_copy(p->arena, row->key, &p->keys[p->n]) && ++p->n < PAGE;
}

static pang_code read_page(walk *w, pang_str scope, pang_str prefix, pang_str after, page *p,
                           pang_err *err)
{
    const pang_query query = {.prefix = prefix, .after = after, .limit = PAGE, .keys_only = true};
    pang_txn *txn = pang_txn_begin(w->db, scope, w->deadline_ms, p->arena);
    p->n = 0;
    if (txn == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_scan(txn, &query, note_key, p, err);
    return code == PANG_OK && pang_arena_failed(p->arena) ? pang_fail_memory(err) : code;
}

/* Visits every key of a range. What is added meanwhile is sealed as it should be already. */
static pang_code each(walk *w, pang_str scope, pang_str prefix, visit_fn *visit, pang_err *err)
{
    page p = {.arena = pang_arena_new(MEMORY)}, last = {.arena = pang_arena_new(MEMORY)};
    pang_code code = p.arena == NULL || last.arena == NULL ? pang_fail_memory(err) : PANG_OK;
    pang_str after = {0};
    bool more = true;
    while (code == PANG_OK && more) {
        pang_arena_reset(p.arena);
        code = read_page(w, scope, prefix, after, &p, err);
        for (size_t i = 0; code == PANG_OK && i < p.n; i++)
            code = visit(w, p.keys[i], err);
        more = p.n == PAGE;
        pang_arena_reset(last.arena);
        if (more && !pang_arena_copy(last.arena, p.keys[p.n - 1], &after))
            code = pang_fail_memory(err);
    }
    pang_arena_free(p.arena);
    pang_arena_free(last.arena);
    return code;
}

static pang_code visit_record(walk *w, pang_str key, uint32_t kind, reseal_fn *reseal,
                              pang_err *err)
{
    one o = {.w = w, .key = key, .kind = kind, .reseal = reseal, .arena = pang_arena_new(MEMORY)};
    if (o.arena == NULL)
        return pang_fail_memory(err);
    pang_arena_mark_secret(o.arena);
    pang_code code = pang_txn_run(w->db, (pang_str){w->scope, PANG_ID_HEX}, w->deadline_ms, o.arena,
                                  reseal_one, &o, err);
    w->n += code == PANG_OK && o.changed;
    pang_arena_free(o.arena);
    return code;
}

static pang_code visit_warehouse(walk *w, pang_str key, pang_err *err)
{
    return visit_record(w, key, PANG_KIND_WAREHOUSE, reseal_warehouse, err);
}

static pang_code visit_scope(walk *w, pang_id tenant, pang_err *err)
{
    pang_arena *arena = pang_arena_new(MEMORY);
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_id_hex(tenant, w->scope);
    pang_keys keys = {.arena = arena, .scope = {w->scope, PANG_ID_HEX}};
    pang_str prefix = pang_key_warehouses(&keys);
    pang_str own = pang_key_setting(&keys, PANG_STR("settings"));
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = each(w, keys.scope, prefix, visit_warehouse, err);
    if (code == PANG_OK)
        code = visit_record(w, own, PANG_KIND_SETTING, reseal_settings, err);
    pang_arena_free(arena);
    return code;
}

static pang_code visit_tenant(walk *w, pang_str key, pang_err *err)
{
    pang_key_parts parts;
    pang_id tenant;
    if (!pang_key_parse(key, &parts) || parts.n != 1 || !pang_id_parse(parts.parts[0], &tenant))
        return pang_fail(err, PANG_DATA_LOSS, NULL, "\"%" PANG_STR_FMT "\" is no tenant's key",
                         PANG_STR_ARG(key));
    return pang_id_is_nil(tenant) ? PANG_OK : visit_scope(w, tenant, err);
}

pang_code pang_reseal(pang_db *db, const pang_env *env, const pang_sealer *sealer,
                      int64_t deadline_ms, uint64_t *ret_n, pang_err *err)
{
    walk w = {.db = db, .env = env, .sealer = sealer, .deadline_ms = deadline_ms};
    pang_arena *arena = pang_arena_new(MEMORY);
    *ret_n = 0;
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_keys keys = {.arena = arena, .scope = PANG_SYSTEM_SCOPE};
    pang_str tenants = pang_key_tenants(&keys);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK) /* the tenant of the beginning may have no record */
        code = visit_scope(&w, (pang_id){{0}}, err);
    if (code == PANG_OK)
        code = each(&w, PANG_SYSTEM_SCOPE, tenants, visit_tenant, err);
    *ret_n = w.n;
    pang_arena_free(arena);
    return code;
}
