/*
 * Retention: what is older than the log is kept goes seal by seal, oldest first, each with its rows
 * and its part of the index in one commit. The end of the chain is written with it: it says how
 * far the chain was removed and keeps the hash of the last seal that went, so that the chain that
 * is left is still whole. Its version is checked, as by the sealer.
 */
#include "server/audit_internal.h"

#include "server/audit_chain.h"

enum { RETIRE_TIME_MS = 30 * 1000 };

typedef struct {
    pang_audit *audit;
    pang_arena *arena;
    pang_keys keys;
    pang_txn *txn;
    pang_rec_audit_head *head;
    uint64_t number; /* of the seal */
    pang_err *err;
    pang_code code;
} retiring;

static void drop_index(retiring *r, ProtobufCBinaryData principal,
                       const Pangolin__Store__V1__AuditResource *resource)
{
    pang_id who = pang_id_of(principal);
    pang_id what = resource == NULL ? (pang_id){{0}} : pang_id_of(resource->id);
    if (!pang_id_is_nil(who))
        pang_txn_delete(r->txn, pang_key_audit_principal(&r->keys, who, r->number));
    if (!pang_id_is_nil(what))
        pang_txn_delete(r->txn, pang_key_audit_resource(&r->keys, what, r->number));
}

static void drop_row_index(retiring *r, const pang_rec_audit_row *row)
{
    drop_index(r, row->principal, row->resource);
    if (row->group == NULL)
        return;
    for (size_t i = 0; i < row->group->n_whos; i++)
        drop_index(r, row->group->whos[i]->principal, NULL);
    for (size_t i = 0; i < row->group->n_whats; i++)
        drop_index(r, (ProtobufCBinaryData){0}, row->group->whats[i]->resource);
}

static bool take_row(void *arg, const pang_record *record)
{
    retiring *r = arg;
    pang_rec_audit_row *row = NULL;
    pang_str key;
    if (!pang_arena_copy(r->arena, record->key, &key)) {
        r->code = pang_fail_memory(r->err);
        return false;
    }
    pang_txn_delete(r->txn, key);
    /* One that cannot be read has left its index behind, which then leads nowhere. */
    if (pang_record_unpack(&pangolin__store__v1__audit_row__descriptor, record, r->arena, &row,
                           NULL) == PANG_OK)
        drop_row_index(r, row);
    return true;
}

static pang_code drop_rows(retiring *r, const pang_rec_audit_seal *seal, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < seal->n_spans; i++) {
        const pang_rec_audit_span *span = seal->spans[i];
        pang_id server = pang_id_of(span->server);
        pang_query query = {
            .prefix = pang_key_audits(&r->keys, server),
            .after = pang_key_audit(&r->keys, server, span->first - 1),
            .until = pang_key_audit(&r->keys, server, span->last + 1),
            .limit = PANG_SCAN_MAX,
        };
        code = pang_keys_status(&r->keys, err);
        if (code == PANG_OK)
            code = pang_txn_scan(r->txn, &query, take_row, r, err);
        if (code == PANG_OK)
            code = r->code;
    }
    return code;
}

static pang_code read_head(retiring *r, pang_err *err)
{
    pang_record record;
    pang_code code = pang_txn_get_one(r->txn, pang_key_audit_head(&r->keys), &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__audit_head__descriptor, &record, r->arena,
                                  &r->head, err);
    return code;
}

/* The oldest seal; *ret stays NULL when it shall stay. */
static pang_code read_oldest(retiring *r, pang_rec_audit_seal **ret, pang_err *err)
{
    pang_record record;
    pang_rec_audit_seal *seal = NULL;
    int64_t before = pang_env_wall_ms(r->audit->config.env) - r->audit->config.retention_ms;
    pang_code code = read_head(r, err);
    if (code != PANG_OK || r->head == NULL || r->head->removed_seals == r->head->seals)
        return code;
    r->number = r->head->removed_seals + 1;
    code = pang_txn_get_one(r->txn, pang_key_audit_seal(&r->keys, r->number), &record, err);
    if (code != PANG_OK || record.version == 0)
        return code; /* gone, but not by us: the verifier shall find it so */
    code = pang_record_unpack(&pangolin__store__v1__audit_seal__descriptor, &record, r->arena,
                              &seal, err);
    if (code == PANG_OK && seal->newest_ms < before)
        *ret = seal;
    return code;
}

static pang_code put_head(retiring *r, const pang_rec_audit_seal *seal, pang_err *err)
{
    r->head->removed_seals = r->number;
    r->head->removed_hash = seal->hash;
    r->head->removed_entries += seal->entries;
    r->head->removed_ms = pang_env_wall_ms(r->audit->config.env);
    pang_str body = pang_record_pack(&r->head->base, r->arena);
    pang_txn_put(r->txn, PANG_KIND_AUDIT_HEAD, pang_key_audit_head(&r->keys), body);
    return pang_keys_status(&r->keys, err);
}

static pang_code retire_one(retiring *r, bool *ret_more, pang_err *err)
{
    pang_rec_audit_seal *seal = NULL;
    int64_t deadline = pang_env_mono_ms(r->audit->config.env) + RETIRE_TIME_MS;
    r->err = err;
    r->txn = pang_txn_begin(r->audit->config.db, r->keys.scope, deadline, r->arena);
    pang_code code = r->txn == NULL ? pang_fail_memory(err) : read_oldest(r, &seal, err);
    *ret_more = false;
    if (code != PANG_OK || seal == NULL)
        return code == PANG_OK ? pang_txn_finish(r->txn, err) : code;
    code = drop_rows(r, seal, err);
    pang_txn_delete(r->txn, pang_key_audit_seal(&r->keys, r->number));
    if (code == PANG_OK)
        code = put_head(r, seal, err);
    if (code == PANG_OK)
        code = pang_txn_commit(r->txn, err);
    *ret_more = code == PANG_OK;
    return code;
}

pang_code pang_audit_retire(pang_audit *audit, pang_str scope, bool *ret_more, pang_err *err)
{
    pang_arena *arena = pang_arena_new(4 * (size_t)AUDIT_ARENA_BYTES);
    if (arena == NULL)
        return pang_fail_memory(err);
    retiring r = {.audit = audit, .arena = arena, .keys = {.arena = arena, .scope = scope}};
    pang_code code = retire_one(&r, ret_more, err);
    pang_arena_free(arena);
    return code;
}
