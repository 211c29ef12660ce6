/*
 * From a call to an event. Names of objects are written as in keys, so that no name can look like
 * another's.
 */
#include "server/audit.h"

#include <stdio.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "api/keys.h"
#include "server/audit_log.h"
#include "server/audit_names.h"

enum { SCRATCH_BYTES = 1 << 20 };

static pang_str name_of(const pang_access *access, pang_keys *keys)
{
    pang_buf name = {.arena = keys->arena};
    for (size_t i = 0; i < access->n_object; i++) {
        if (i > 0)
            pang_buf_add_char(&name, '/');
        pang_buf_add(&name, pang_key_path(keys, access->object[i].levels, access->object[i].n));
    }
    return pang_buf_str(&name);
}

static void list_objects(const pang_access *accesses, size_t n, pang_keys *keys,
                         pang_audit_event *event)
{
    size_t kept = n < PANG_AUDIT_OBJECTS_MAX ? n : PANG_AUDIT_OBJECTS_MAX;
    pang_audit_object *objects = pang_arena_alloc_n(keys->arena, kept, sizeof *objects);
    if (objects == NULL)
        return; /* the arena is marked */
    for (size_t i = 0; i < kept; i++)
        objects[i] = (pang_audit_object){accesses[i].action, accesses[i].resource,
                                         name_of(&accesses[i], keys)};
    event->objects = objects;
    event->n_objects = kept;
}

static pang_audit_event event_of(const pang_call *call, const pang_request *request)
{
    return (pang_audit_event){
        .scope = call->tenant_key,
        .action = call->method->audit,
        .method = call->method->path,
        .principal = call->who->id,
        .principal_kind = call->who->kind,
        .principal_name = call->who->name,
        .request_id = call->request_id,
        .client_address = request->client_address,
        .user_agent = request->user_agent,
    };
}

/* Whose log it belongs to: of the tenant of who has signed in, or of the call's. */
static pang_str scope_of(const pang_call *call, pang_arena *arena)
{
    const pang_principal *who = call->note.who;
    if (who == NULL)
        return call->tenant_key;
    if (who->kind == PANG_PRINCIPAL_ROOT)
        return PANG_SYSTEM_SCOPE;
    char *scope = pang_arena_alloc_text(arena, PANG_ID_HEX + 1);
    if (scope == NULL)
        return call->tenant_key; /* the arena is marked */
    pang_id_hex(who->tenant, scope);
    return (pang_str){scope, PANG_ID_HEX};
}

static void add_note(pang_audit_event *event, const pang_audit_note *note)
{
    if (note->action != NULL)
        event->action = pang_str_from(note->action);
    event->resource = note->resource;
    event->name = note->name;
    event->metadata = note->metadata;
    if (note->who != NULL) {
        event->principal = note->who->id;
        event->principal_kind = note->who->kind;
        event->principal_name = note->who->name;
    }
}

/* ---- what it was about, where no handler says it ---- */

static const char *text_in(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(
        message->descriptor, name);
    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING ||
        field->label == PROTOBUF_C_LABEL_REPEATED)
        return NULL;
    const char *text;
    memcpy(&text, (const char *)message + field->offset, sizeof text);
    return text;
}

/* The message's first message field: a reply often is one thing in an envelope. */
static const ProtobufCMessage *inner_of(const ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const ProtobufCMessage *inner;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED)
            continue;
        memcpy(&inner, (const char *)message + field->offset, sizeof inner);
        return inner;
    }
    return NULL;
}

/* An object that a rule names by its id. */
static void learn_from_object(pang_audit_event *event)
{
    pang_str name = event->n_objects > 0 ? event->objects[0].name : (pang_str){0};
    size_t from = name.len;
    while (from > 0 && name.ptr[from - 1] != '/')
        from--;
    if (pang_id_is_nil(event->resource))
        (void)pang_id_parse(pang_str_after(name, from), &event->resource);
}

/* What is made has no name in a check: it is judged by where it would be. */
static bool is_named(const pang_audit_event *event)
{
    bool named = event->name.len > 0;
    for (size_t i = 0; i < event->n_objects; i++)
        named = named || event->objects[i].name.len > 0;
    return named;
}

/* Something new is told by the reply: its id, and the name that no check had. */
static void learn_from_reply(pang_audit_event *event, const ProtobufCMessage *out)
{
    const ProtobufCMessage *inner = out == NULL ? NULL : inner_of(out);
    const ProtobufCMessage *of = inner != NULL && text_in(inner, "id") != NULL ? inner : out;
    const char *id = of == NULL ? NULL : text_in(of, "id");
    if (id == NULL)
        return;
    if (pang_id_is_nil(event->resource))
        (void)pang_id_parse(pang_str_from(id), &event->resource);
    const char *name = text_in(of, "name") != NULL ? text_in(of, "name") : text_in(of, "username");
    if (!is_named(event) && name != NULL)
        event->name = pang_str_from(name);
}

pang_code pang_audit_change(pang_call *call, const pang_request *request, pang_id server,
                            const pang_access *accesses, size_t n, const ProtobufCMessage *out,
                            pang_err *err)
{
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    pang_audit_event event = event_of(call, request);
    pang_str body = {0};
    list_objects(accesses, n, &keys, &event);
    add_note(&event, &call->note);
    event.scope = scope_of(call, call->arena);
    learn_from_object(&event);
    learn_from_reply(&event, out);
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_audit_row(&event, server, call->arena, &body, err);
    if (code == PANG_OK)
        code = pang_audit_put(call->txn, event.scope, server, body, call->arena, err);
    if (code == PANG_OK)
        pang_count(call->server->counters, PANG_COUNT_AUDIT_ROWS);
    return code;
}

/* ---- the end of a call ---- */

/* Whether the call's own commit had the row. */
static bool has_row(const pang_call *call, const pang_audit_outcome *outcome)
{
    return outcome->has_txn && (call->method->audit_class == PANG_AUDIT_CHANGE ||
                                call->method->audit_class == PANG_AUDIT_CREDENTIAL);
}

static pang_code end_well(pang_call *call, const pang_audit_outcome *outcome, pang_err *err)
{
    pang_audit *audit = call->server->audit;
    pang_keys keys = {.arena = call->arena, .scope = call->tenant_key};
    if (has_row(call, outcome))
        return PANG_OK;
    bool is_read = call->method->audit_class == PANG_AUDIT_READ;
    pang_audit_event event = event_of(call, outcome->request);
    list_objects(outcome->accesses, is_read && outcome->n_accesses > 0 ? 1 : outcome->n_accesses,
                 &keys, &event);
    add_note(&event, &call->note);
    learn_from_object(&event);
    pang_code code = pang_keys_status(&keys, err);
    if (code != PANG_OK)
        return code;
    return is_read ? pang_audit_add(audit, &event, err)
                   : pang_audit_write(audit, &event, call->arena, err);
}

/* The object that was denied tells the kind: the action is another. */
static void mark_denied(pang_audit_event *event, pang_arena *arena)
{
    event->type = pang_audit_type_of(event->action,
                                     event->n_objects > 0 ? event->objects[0].resource : 0);
    event->metadata = pang_arena_printf(arena, "{\"attempted\":\"%" PANG_STR_FMT "\"}",
                                        PANG_STR_ARG(event->action));
    event->action = PANG_STR("permission_denied");
}

static void end_badly(pang_call *call, const pang_audit_outcome *outcome, pang_arena *arena,
                      const pang_err *err)
{
    pang_err failure;
    pang_audit *audit = call->server->audit;
    pang_keys keys = {.arena = arena, .scope = call->tenant_key};
    pang_audit_event event = event_of(call, outcome->request);
    list_objects(outcome->accesses, outcome->n_accesses, &keys, &event);
    event.code = outcome->code;
    event.resource = call->note.resource;
    if (call->note.action != NULL)
        event.action = pang_str_from(call->note.action);
    learn_from_object(&event);
    if (err->code == outcome->code)
        event.message = pang_str_from(err->message);
    if (outcome->denied)
        mark_denied(&event, arena);
    bool alone = outcome->waits && call->method->audit_class != PANG_AUDIT_READ;
    if (alone && pang_audit_write(audit, &event, arena, &failure) == PANG_OK)
        return;
    if (pang_audit_add(audit, &event, &failure) != PANG_OK)
        pang_audit_lost(audit);
}

/* Beside what was done: that root did it in another's tenant, or that a key is in use. */
static pang_code add_beside(pang_call *call, const pang_request *request, const char *action,
                            pang_err *err)
{
    pang_audit_event event = event_of(call, request);
    char metadata[96];
    (void)snprintf(metadata, sizeof metadata, "{\"for\":\"%" PANG_STR_FMT "\"}",
                   PANG_STR_ARG(pang_str_slice(event.action, 0, 64)));
    event.action = pang_str_from(action);
    event.type = pang_audit_type_of(event.action, 0);
    event.metadata = pang_str_from(metadata);
    return pang_audit_add(call->server->audit, &event, err);
}

static pang_code tell_beside(pang_call *call, const pang_request *request, pang_err *err)
{
    const pang_principal *who = call->who;
    if (who->acts_for_root)
        return add_beside(call, request, "tenant_impersonation", err);
    if (who->credential == PANG_CREDENTIAL_API_KEY &&
        pang_audit_is_due(call->server->audit, who->id))
        return add_beside(call, request, "api_key_authenticated", err);
    return PANG_OK;
}

pang_code pang_audit_ended(pang_call *call, const pang_audit_outcome *outcome, pang_err *err)
{
    bool is_audited = call->method->audit_class != PANG_AUDIT_NONE;
    if (call->server->audit == NULL || call->method->audit.len == 0)
        return outcome->code;
    if (outcome->code == PANG_OK && has_row(call, outcome))
        pang_audit_landed(call->server->audit, scope_of(call, call->arena));
    if (!call->who->is_known)
        return outcome->code;
    pang_err failure;
    pang_code beside = tell_beside(call, outcome->request, &failure);
    if (outcome->code == PANG_OK) {
        /* A change has landed, whatever the log says of what is beside it. */
        bool has_landed = !is_audited || call->method->audit_class == PANG_AUDIT_CHANGE;
        if (beside != PANG_OK && !has_landed) {
            *err = failure;
            return beside;
        }
        return is_audited ? end_well(call, outcome, err) : PANG_OK;
    }
    if (!is_audited && !outcome->denied)
        return outcome->code;
    /* Of its own: the call's may be what ran out. */
    pang_arena *arena = pang_arena_new(SCRATCH_BYTES);
    if (arena == NULL)
        pang_audit_lost(call->server->audit);
    else
        end_badly(call, outcome, arena, err);
    pang_arena_free(arena);
    return outcome->code;
}
