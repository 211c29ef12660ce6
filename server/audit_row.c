/*
 * One row for one event. Number and time are the store's: the row's key and header refer to the
 * append of its commit, so rows of landed commits have no gaps and those of lost races none at
 * all.
 */
#include "server/audit_chain.h"
#include "server/audit_internal.h"
#include "server/audit_names.h"
#include "server/metrics.h"

enum { WRITE_TIME_MS = 5000 };

typedef Pangolin__Store__V1__AuditRow__Object row_object;

static char *text_of(pang_str s, pang_arena *arena)
{
    char *text = pang_arena_cstr(arena, pang_str_slice(s, 0, PANG_AUDIT_TEXT_MAX));
    return text != NULL ? text : (char *)(uintptr_t)protobuf_c_empty_string;
}

static void fill_objects(pang_rec_audit_row *row, const pang_audit_event *event, pang_arena *arena)
{
    row_object *objects = pang_arena_alloc_n(arena, event->n_objects, sizeof *objects);
    row->objects = pang_arena_alloc_n(arena, event->n_objects, sizeof *row->objects);
    if (objects == NULL || row->objects == NULL)
        return; /* the arena is marked */
    for (size_t i = 0; i < event->n_objects; i++) {
        pangolin__store__v1__audit_row__object__init(&objects[i]);
        objects[i].action = event->objects[i].action;
        objects[i].resource = event->objects[i].resource;
        objects[i].name = text_of(event->objects[i].name, arena);
        row->objects[i] = &objects[i];
    }
    row->n_objects = event->n_objects;
}

static void fill_resource(Pangolin__Store__V1__AuditResource *to, const pang_audit_event *event,
                          pang_arena *arena)
{
    const pang_audit_object *first = event->n_objects > 0 ? &event->objects[0] : NULL;
    pang_str name = event->name.len > 0 || first == NULL ? event->name : first->name;
    const char *type = event->type;
    if (type == NULL)
        type = pang_audit_type_of(event->action, first == NULL ? 0 : first->resource);
    to->type = (char *)(uintptr_t)type;
    to->name = text_of(name, arena);
    if (!pang_id_is_nil(event->resource))
        to->id = pang_bytes_of_id(&event->resource);
}

pang_code pang_audit_row(const pang_audit_event *event, pang_id server, pang_arena *arena,
                         pang_str *ret, pang_err *err)
{
    pang_rec_audit_row row = PANGOLIN__STORE__V1__AUDIT_ROW__INIT;
    Pangolin__Store__V1__AuditResource resource = PANGOLIN__STORE__V1__AUDIT_RESOURCE__INIT;
    row.action = text_of(event->action, arena);
    row.method = text_of(event->method, arena);
    row.principal = pang_bytes_of_id(&event->principal);
    row.principal_kind = event->principal_kind;
    row.principal_name = text_of(event->principal_name, arena);
    row.request_id = text_of(event->request_id, arena);
    row.client_address = text_of(event->client_address, arena);
    row.user_agent = text_of(event->user_agent, arena);
    row.code = event->code;
    row.message = text_of(event->message, arena);
    /* A cut text is no JSON any more. */
    if (event->metadata.len <= PANG_AUDIT_TEXT_MAX)
        row.metadata = text_of(event->metadata, arena);
    fill_objects(&row, event, arena);
    fill_resource(&resource, event, arena);
    row.resource = &resource;
    if (pang_arena_failed(arena))
        return pang_fail_memory(err);
    return pang_chain_row(&row, event->scope, server, arena, ret, err);
}

pang_code pang_audit_put(pang_txn *txn, pang_str scope, pang_id server, pang_str body,
                         pang_arena *arena, pang_err *err)
{
    pang_keys keys = {.arena = arena, .scope = scope};
    pang_put put = {.kind = PANG_KIND_AUDIT, .body = body};
    put.slot = pang_txn_append(txn, pang_key_audit_sequence(&keys, server));
    put.key = pang_key_audit(&keys, server, 0);
    put.key_slot = put.slot;
    put.key_slot_at = pang_key_slot_at(put.key);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        pang_txn_put_full(txn, &put);
    return code;
}

pang_code pang_audit_write(pang_audit *audit, const pang_audit_event *event, pang_arena *arena,
                           pang_err *err)
{
    pang_str body = {0};
    int64_t deadline = pang_env_mono_ms(audit->config.env) + WRITE_TIME_MS;
    pang_txn *txn = pang_txn_begin(audit->config.db, event->scope, deadline, arena);
    pang_code code = txn == NULL ? pang_fail_memory(err) : PANG_OK;
    if (code == PANG_OK)
        code = pang_audit_row(event, audit->config.server, arena, &body, err);
    if (code == PANG_OK)
        code = pang_audit_put(txn, event->scope, audit->config.server, body, arena, err);
    if (code == PANG_OK)
        code = pang_txn_commit(txn, err);
    if (code != PANG_OK)
        return code;
    pang_count(audit->config.counters, PANG_COUNT_AUDIT_ROWS);
    pang_audit_landed(audit, event->scope);
    return PANG_OK;
}
