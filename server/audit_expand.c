/*
 * Ids are made from places instead of being stored: an entry of a group costs no sixteen bytes
 * more, and the place is found without an index.
 */
#include "server/audit_expand.h"

#include <string.h>

#include "api/keys.h"
#include "server/audit_names.h"

enum { PLACES = 1 << 16, HASH_BITS = 58 };

/* ---- ids ---- */

uint64_t pang_audit_place_hash(pang_str scope, pang_id server)
{
    char both[sizeof server.bytes + PANG_SCOPE_MAX];
    size_t n = scope.len < PANG_SCOPE_MAX ? scope.len : PANG_SCOPE_MAX;
    memcpy(both, server.bytes, sizeof server.bytes);
    memcpy(both + sizeof server.bytes, scope.ptr, n);
    return pang_str_hash((pang_str){both, sizeof server.bytes + n}) >> (64 - HASH_BITS);
}

/* number: 48 bits | version 8 | place: 12 bits | variant | place: 4 bits | hash: 58 bits. */
pang_id pang_audit_id_of(pang_str scope, pang_id server, uint64_t number, size_t i)
{
    pang_id id;
    uint64_t hash = pang_audit_place_hash(scope, server);
    for (unsigned b = 0; b < 6; b++)
        id.bytes[b] = (uint8_t)(number >> (40 - 8 * b));
    id.bytes[6] = (uint8_t)(0x80 | (i >> 12 & 15));
    id.bytes[7] = (uint8_t)(i >> 4);
    id.bytes[8] = (uint8_t)(0x80 | (i & 15) << 2 | hash >> 56);
    for (unsigned b = 0; b < 7; b++)
        id.bytes[9 + b] = (uint8_t)(hash >> (48 - 8 * b));
    return id;
}

bool pang_audit_id_parse(pang_id id, uint64_t *ret_hash, uint64_t *ret_number, size_t *ret_i)
{
    if (id.bytes[6] >> 4 != 8 || id.bytes[8] >> 6 != 2)
        return false;
    *ret_number = 0;
    for (unsigned b = 0; b < 6; b++)
        *ret_number = *ret_number << 8 | id.bytes[b];
    *ret_i = (size_t)(id.bytes[6] & 15) << 12 | (size_t)id.bytes[7] << 4 | (id.bytes[8] >> 2 & 15);
    *ret_hash = id.bytes[8] & 3;
    for (unsigned b = 0; b < 7; b++)
        *ret_hash = *ret_hash << 8 | id.bytes[9 + b];
    return *ret_number > 0;
}

/* ---- entries ---- */

size_t pang_audit_expanded(const pang_rec_audit_row *row)
{
    return row->group == NULL ? 1 : row->group->n_entries;
}

static void fill_resource(pang_audit_found *to, const Pangolin__Store__V1__AuditResource *resource)
{
    if (resource == NULL)
        return;
    to->resource = pang_id_of(resource->id);
    to->type = resource->type;
    to->name = resource->name;
}

static bool expand_entry(const pang_rec_audit_group *group, size_t i, pang_arena *arena,
                         pang_audit_found *to)
{
    const Pangolin__Store__V1__AuditGroup__Entry *entry = group->entries[i];
    if (entry->who >= group->n_whos || entry->what >= group->n_whats)
        return false;
    const Pangolin__Store__V1__AuditGroup__Who *who = group->whos[entry->who];
    const Pangolin__Store__V1__AuditGroup__What *what = group->whats[entry->what];
    to->principal = pang_id_of(who->principal);
    to->principal_kind = who->kind;
    to->principal_name = who->name;
    to->address = who->client_address;
    to->agent = who->user_agent;
    to->action = what->action;
    to->method = what->method;
    fill_resource(to, what->resource);
    to->code = entry->code;
    to->message = entry->message;
    to->metadata = entry->metadata;
    to->count = entry->count;
    to->time_ms = group->begin_ms + entry->after_ms;
    to->request_id = pang_str_from(entry->request_id);
    if (entry->request.len == sizeof(pang_id)) {
        char *text = pang_arena_alloc_text(arena, PANG_ID_TEXT + 1);
        if (text == NULL)
            return false;
        pang_id_text(pang_id_of(entry->request), text);
        to->request_id = (pang_str){text, PANG_ID_TEXT};
    }
    return true;
}

static void expand_row(const pang_rec_audit_row *row, pang_audit_found *to)
{
    to->row = row;
    to->principal = pang_id_of(row->principal);
    to->principal_kind = row->principal_kind;
    to->principal_name = row->principal_name;
    to->address = row->client_address;
    to->agent = row->user_agent;
    to->action = row->action;
    to->method = row->method;
    to->code = row->code;
    to->message = row->message;
    to->metadata = row->metadata;
    to->request_id = pang_str_from(row->request_id);
    if (row->resource == NULL) { /* a row of before resources were told */
        bool has_object = row->n_objects > 0;
        to->name = has_object ? row->objects[0]->name : "";
        to->type = pang_audit_type_of(pang_str_from(row->action),
                                      has_object ? row->objects[0]->resource : 0);
    }
    fill_resource(to, row->resource);
}

bool pang_audit_expand(const pang_rec_audit_row *row, size_t i, pang_str scope, pang_id server,
                       uint64_t number, int64_t time_ms, pang_arena *arena, pang_audit_found *ret)
{
    *ret = (pang_audit_found){
        .id = pang_audit_id_of(scope, server, number, i),
        .scope = scope,
        .time_ms = time_ms,
        .type = "",
        .name = "",
    };
    if (i >= PLACES || i >= pang_audit_expanded(row))
        return false;
    if (row->group != NULL)
        return expand_entry(row->group, i, arena, ret);
    expand_row(row, ret);
    return true;
}

static bool is_text(pang_str wanted, const char *text)
{
    return wanted.len == 0 || pang_str_equal(wanted, pang_str_from(text));
}

static bool is_id(pang_id wanted, pang_id id)
{
    return pang_id_is_nil(wanted) || pang_id_equal(wanted, id);
}

bool pang_audit_matches(const pang_audit_filter *filter, const pang_audit_found *found)
{
    bool success = found->code == PANG_OK;
    return found->time_ms >= filter->from_ms && found->time_ms < filter->to_ms &&
           !(filter->only_success && !success) && !(filter->only_failure && success) &&
           is_id(filter->user, found->principal) && is_id(filter->resource, found->resource) &&
           is_text(filter->action, found->action) && is_text(filter->type, found->type);
}
