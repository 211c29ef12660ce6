/*
 * The record's key names who and what; its body holds a hash of the request, so that a key that a
 * client reuses by mistake is told from a repeat.
 */
#include "server/idempotency.h"

#include <string.h>

#include "api/keys.h"
#include "pangolin/store/v1/dispatch.pb-c.h"
#include "server/dispatch.h"
#include "server/header_fields.h"
#include "server/records.h"

typedef Pangolin__Store__V1__IdempotentOutcome outcome_record;

const ProtobufCFieldDescriptor *pang_idempotency_field(const pang_schema *schema,
                                                       const pang_schema_method *rule,
                                                       const ProtobufCMessageDescriptor *in)
{
    return pang_request_field(schema, rule->in, in, PANG_STR("Idempotency-Key"));
}

pang_code pang_idempotency_begin(const ProtobufCFieldDescriptor *field, const void *in,
                                 pang_str packed, pang_idempotency *ret, pang_err *err)
{
    ret->is_used = false;
    if (field == NULL)
        return PANG_OK;
    pang_str key = pang_field_text(field, in);
    if (key.len == 0)
        return PANG_OK;
    if (key.len != PANG_ID_TEXT || !pang_id_parse(key, &ret->key))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "Idempotency-Key \"%.64s\" is no UUID", key.ptr);
    ret->is_used = true;
    return pang_hash(&packed, 1, ret->request, err);
}

static pang_code key_of(const pang_idempotency *idempotency, const pang_call *call, pang_str *ret,
                        pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    *ret = pang_key_idempotency(&keys, call->who->id, call->method->path, idempotency->key);
    return pang_keys_status(&keys, err);
}

/* ---- replaying ---- */

static pang_code stored_error(const outcome_record *stored, pang_err *err)
{
    /* The reason lives in the call's arena, which outlasts the reply. */
    const char *reason = stored->reason[0] == '\0' ? NULL : stored->reason;
    if (stored->code > PANG_UNAUTHENTICATED)
        return pang_fail(err, PANG_DATA_LOSS, NULL, "the outcome of the request is damaged");
    return pang_fail(err, (pang_code)stored->code, reason, "%s", stored->message);
}

static pang_code replay(const outcome_record *stored, pang_call *call, const pang_method *row,
                        const void *in, void *out, pang_err *err)
{
    pang_record response = {.key = PANG_STR("response"), .body = pang_str_of(stored->kept)};
    ProtobufCMessage *message;
    call->commit = pang_id_of(stored->commit);
    if (!stored->is_response && row->replay != NULL)
        return row->replay(call, in, pang_str_of(stored->kept), out, err);
    pang_code code = pang_record_unpack(row->out, &response, call->arena, &message, err);
    if (code == PANG_OK)
        memcpy(out, message, row->out->sizeof_message);
    return code;
}

pang_code pang_idempotency_find(const pang_idempotency *idempotency, pang_call *call,
                                const pang_method *row, const void *in, void *out, bool *ret_found,
                                pang_err *err)
{
    pang_str key;
    pang_record record = {0};
    outcome_record *stored;
    *ret_found = false;
    pang_code code = key_of(idempotency, call, &key, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code != PANG_OK || record.version == 0)
        return code;
    code = pang_record_unpack(&pangolin__store__v1__idempotent_outcome__descriptor, &record,
                              call->arena, &stored, err);
    if (code != PANG_OK)
        return code;
    *ret_found = true;
    pang_str request = {(const char *)idempotency->request, sizeof idempotency->request};
    if (!pang_str_equal(pang_str_of(stored->request), request))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "UnprocessableEntityException",
                         "the Idempotency-Key was used for another request");
    pang_count(call->server->counters, PANG_COUNT_REPLAYS);
    return stored->code != PANG_OK ? stored_error(stored, err)
                                   : replay(stored, call, row, in, out, err);
}

/* ---- storing ---- */

static pang_code store(const pang_idempotency *idempotency, pang_call *call,
                       outcome_record *outcome, pang_err *err)
{
    pang_put put = {.kind = PANG_KIND_IDEMPOTENCY, .slot = PANG_NO_SLOT, .key_slot = PANG_NO_SLOT};
    pang_code code = key_of(idempotency, call, &put.key, err);
    if (code != PANG_OK)
        return code;
    outcome->request = (ProtobufCBinaryData){sizeof idempotency->request,
                                             (uint8_t *)(uintptr_t)idempotency->request};
    put.body = pang_record_pack(&outcome->base, call->arena);
    if (put.body.ptr == NULL)
        return pang_fail_memory(err);
    put.expires_ms = pang_env_wall_ms(call->server->env) + PANG_IDEMPOTENCY_LIFE_MS;
    pang_txn_put_full(call->txn, &put);
    return PANG_OK;
}

pang_code pang_idempotency_keep(const pang_idempotency *idempotency, pang_call *call,
                                const void *out, pang_err *err)
{
    outcome_record outcome = PANGOLIN__STORE__V1__IDEMPOTENT_OUTCOME__INIT;
    outcome.is_response = call->keep.len == 0;
    pang_str kept = outcome.is_response ? pang_record_pack(out, call->arena) : call->keep;
    if (kept.ptr == NULL)
        return pang_fail_memory(err);
    outcome.kept = pang_bytes_of(kept);
    if (!pang_id_is_nil(call->commit))
        outcome.commit = pang_bytes_of_id(&call->commit);
    return store(idempotency, call, &outcome, err);
}

bool pang_idempotency_is_terminal(pang_code code)
{
    return code == PANG_INVALID_ARGUMENT || code == PANG_NOT_FOUND || code == PANG_ALREADY_EXISTS ||
           code == PANG_FAILED_PRECONDITION;
}

pang_code pang_idempotency_remember(const pang_idempotency *idempotency, pang_call *call,
                                    const pang_err *failure, pang_err *err)
{
    outcome_record outcome = PANGOLIN__STORE__V1__IDEMPOTENT_OUTCOME__INIT;
    pang_str key;
    pang_record record = {0};
    outcome.code = failure->code;
    outcome.message = pang_arena_cstr(call->arena, pang_str_from(failure->message));
    outcome.reason = pang_arena_cstr(call->arena, pang_str_from(failure->reason));
    call->txn = pang_txn_begin(call->server->db, call->tenant_key, call->deadline_ms, call->arena);
    if (outcome.message == NULL || outcome.reason == NULL || call->txn == NULL)
        return pang_fail_memory(err);
    pang_code code = key_of(idempotency, call, &key, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(call->txn, key, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_fail(err, PANG_ABORTED, NULL, "another request with this key was faster");
    if (code == PANG_OK)
        code = store(idempotency, call, &outcome, err);
    return code == PANG_OK ? pang_txn_commit(call->txn, err) : code;
}
