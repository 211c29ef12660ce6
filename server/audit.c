/*
 * One row per change. Number and time are the store's: the row's key and header refer to the
 * append of its commit, so rows of landed commits have no gaps and those of lost races none at
 * all. The digest covers what the row says and where it stands; it is packed last, so that what it
 * covers is the row's own bytes before it.
 */
#include "server/audit.h"

#include "api/keys.h"
#include "pangolin/store/v1/dispatch.pb-c.h"
#include "server/hash.h"
#include "server/records.h"

typedef Pangolin__Store__V1__AuditRow audit_row;
typedef Pangolin__Store__V1__AuditRow__Object audit_object;

static char *text_of(pang_str s, pang_arena *arena)
{
    char *text = pang_arena_cstr(arena, s);
    return text != NULL ? text : (char *)(uintptr_t)protobuf_c_empty_string;
}

static char *name_of(const pang_access *access, pang_keys *keys)
{
    pang_buf name = {.arena = keys->arena};
    for (size_t i = 0; i < access->n_object; i++) {
        if (i > 0)
            pang_buf_add_char(&name, '/');
        pang_buf_add(&name, pang_key_path(keys, access->object[i].levels, access->object[i].n));
    }
    return text_of(pang_buf_str(&name), keys->arena);
}

static void fill_objects(audit_row *row, const pang_access *accesses, size_t n, pang_keys *keys)
{
    size_t kept = n < PANG_AUDIT_OBJECTS_MAX ? n : PANG_AUDIT_OBJECTS_MAX;
    audit_object *objects = pang_arena_alloc_n(keys->arena, kept, sizeof *objects);
    row->objects = pang_arena_alloc_n(keys->arena, kept, sizeof *row->objects);
    if (objects == NULL || row->objects == NULL)
        return; /* the arena is marked */
    for (size_t i = 0; i < kept; i++) {
        pangolin__store__v1__audit_row__object__init(&objects[i]);
        objects[i].action = accesses[i].action;
        objects[i].resource = accesses[i].resource;
        objects[i].name = name_of(&accesses[i], keys);
        row->objects[i] = &objects[i];
    }
    row->n_objects = kept;
}

static void fill_caller(audit_row *row, const pang_call *call, const pang_request *request)
{
    row->principal = pang_bytes_of_id(&call->who->id);
    row->principal_name = text_of(call->who->name, call->arena);
    row->request_id = text_of(call->request_id, call->arena);
    row->client_address = text_of(request->client_address, call->arena);
    row->user_agent = text_of(request->user_agent, call->arena);
}

/* The packed row with its digest. */
static pang_code seal(audit_row *row, const pang_call *call, pang_id server, pang_str *ret,
                      pang_err *err)
{
    uint8_t digest[PANG_HASH_BYTES];
    pang_str parts[] = {call->tenant_key,
                        {(const char *)server.bytes, sizeof server.bytes},
                        pang_record_pack(&row->base, call->arena)};
    if (parts[2].ptr == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_hash(parts, sizeof parts / sizeof parts[0], digest, err);
    if (code != PANG_OK)
        return code;
    row->digest = (ProtobufCBinaryData){sizeof digest, digest};
    *ret = pang_record_pack(&row->base, call->arena);
    row->digest = (ProtobufCBinaryData){0};
    return ret->ptr == NULL ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_audit_change(pang_call *call, const pang_request *request, pang_id server,
                            const pang_access *accesses, size_t n, pang_err *err)
{
    audit_row row = PANGOLIN__STORE__V1__AUDIT_ROW__INIT;
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_put put = {.kind = PANG_KIND_AUDIT};
    row.action = text_of(call->method->audit, call->arena);
    row.method = text_of(call->method->path, call->arena);
    fill_caller(&row, call, request);
    fill_objects(&row, accesses, n, &keys);
    put.slot = pang_txn_append(call->txn, pang_key_audit_sequence(&keys, server));
    put.key = pang_key_audit(&keys, server, 0);
    put.key_slot = put.slot;
    put.key_slot_at = pang_key_slot_at(put.key);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK && pang_arena_failed(call->arena))
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        code = seal(&row, call, server, &put.body, err);
    if (code != PANG_OK)
        return code;
    pang_txn_put_full(call->txn, &put);
    pang_count(call->server->counters, PANG_COUNT_AUDIT_ROWS);
    return PANG_OK;
}
