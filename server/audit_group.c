/*
 * A group: many entries in one row. Callers repeat themselves, so who and what are told once each
 * and entries refer to them; what is left of a read is some twenty bytes. Both are found through a
 * small table of hashes; names come from strangers, so its size bounds what a bad one can cost.
 */
#include "server/audit_internal.h"

#include <string.h>

#include "server/audit_chain.h"

enum { SLOTS = 4 * AUDIT_GROUP_KINDS };

typedef Pangolin__Store__V1__AuditGroup__Who group_who;
typedef Pangolin__Store__V1__AuditGroup__What group_what;
typedef Pangolin__Store__V1__AuditGroup__Entry group_entry;

/* What was seen, by one of its entries: who[i] or what[i] is told like models[i] tells it. */
typedef struct {
    const audit_entry *models[AUDIT_GROUP_KINDS];
    uint64_t hashes[AUDIT_GROUP_KINDS];
    uint16_t slots[SLOTS]; /* position + 1; 0: free */
    size_t n;
} table;

typedef struct {
    pang_arena *arena;
    pang_rec_audit_group group;
    table whos, whats;
    group_entry *entries;
    pang_id *requests; /* beside entries */
} builder;

/* The texts from `first` on, three of them, as they stand in the entry. */
static pang_str three_texts(const audit_entry *entry, unsigned first)
{
    pang_str text = pang_audit_text(entry, first);
    text.len += (size_t)entry->lens[first + 1] + entry->lens[first + 2];
    return text;
}

static bool same_texts(const audit_entry *a, const audit_entry *b, unsigned first)
{
    return memcmp(a->lens + first, b->lens + first, 3 * sizeof a->lens[0]) == 0 &&
           pang_str_equal(three_texts(a, first), three_texts(b, first));
}

static bool same_who(const audit_entry *a, const audit_entry *b)
{
    return a->kind == b->kind && pang_id_equal(a->principal, b->principal) &&
           same_texts(a, b, ENTRY_NAME);
}

static bool same_what(const audit_entry *a, const audit_entry *b)
{
    return pang_id_equal(a->resource, b->resource) && strcmp(a->type, b->type) == 0 &&
           same_texts(a, b, ENTRY_ACTION);
}

/* The position of the entry's equal; of itself when it is new; AUDIT_GROUP_KINDS: no room. */
static size_t place_in(table *t, const audit_entry *entry, unsigned first,
                       bool (*same)(const audit_entry *a, const audit_entry *b))
{
    const pang_id *id = first == ENTRY_NAME ? &entry->principal : &entry->resource;
    uint64_t hash = pang_str_hash(three_texts(entry, first)) ^
                    pang_str_hash((pang_str){(const char *)id->bytes, sizeof id->bytes});
    size_t at = (size_t)(hash % SLOTS);
    for (; t->slots[at] != 0; at = (at + 1) % SLOTS) {
        size_t found = t->slots[at] - 1u;
        if (t->hashes[found] == hash && same(t->models[found], entry))
            return found;
    }
    if (t->n == AUDIT_GROUP_KINDS)
        return AUDIT_GROUP_KINDS;
    t->models[t->n] = entry;
    t->hashes[t->n] = hash;
    t->slots[at] = (uint16_t)(t->n + 1);
    return t->n++;
}

static char *text_of(builder *b, const audit_entry *entry, unsigned which)
{
    char *text = pang_arena_cstr(b->arena, pang_audit_text(entry, which));
    return text != NULL ? text : (char *)(uintptr_t)protobuf_c_empty_string;
}

static bool fill_whos(builder *b)
{
    group_who *whos = pang_arena_alloc_n(b->arena, b->whos.n, sizeof *whos);
    b->group.whos = pang_arena_alloc_n(b->arena, b->whos.n, sizeof *b->group.whos);
    if (whos == NULL || b->group.whos == NULL)
        return false;
    for (size_t i = 0; i < b->whos.n; i++) {
        const audit_entry *model = b->whos.models[i];
        pangolin__store__v1__audit_group__who__init(&whos[i]);
        whos[i].principal = pang_bytes_of_id(&model->principal);
        whos[i].name = text_of(b, model, ENTRY_NAME);
        whos[i].kind = model->kind;
        whos[i].client_address = text_of(b, model, ENTRY_ADDRESS);
        whos[i].user_agent = text_of(b, model, ENTRY_AGENT);
        b->group.whos[i] = &whos[i];
    }
    b->group.n_whos = b->whos.n;
    return true;
}

static bool fill_whats(builder *b)
{
    size_t n = b->whats.n;
    group_what *whats = pang_arena_alloc_n(b->arena, n, sizeof *whats);
    Pangolin__Store__V1__AuditResource *resources = pang_arena_alloc_n(b->arena, n,
                                                                       sizeof *resources);
    b->group.whats = pang_arena_alloc_n(b->arena, n, sizeof *b->group.whats);
    if (whats == NULL || resources == NULL || b->group.whats == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const audit_entry *model = b->whats.models[i];
        pangolin__store__v1__audit_group__what__init(&whats[i]);
        pangolin__store__v1__audit_resource__init(&resources[i]);
        whats[i].action = text_of(b, model, ENTRY_ACTION);
        whats[i].method = text_of(b, model, ENTRY_METHOD);
        resources[i].type = (char *)(uintptr_t)model->type;
        resources[i].name = text_of(b, model, ENTRY_OBJECT);
        if (!pang_id_is_nil(model->resource))
            resources[i].id = pang_bytes_of_id(&model->resource);
        whats[i].resource = &resources[i];
        b->group.whats[i] = &whats[i];
    }
    b->group.n_whats = n;
    return true;
}

/* A request's id as 16 bytes where it is a UUID as we write them: most are. */
static void fill_request(builder *b, group_entry *to, const audit_entry *entry, pang_id *id)
{
    char text[PANG_ID_TEXT + 1];
    pang_str request = pang_audit_text(entry, ENTRY_REQUEST);
    if (request.len == PANG_ID_TEXT && pang_id_parse(request, id)) {
        pang_id_text(*id, text);
        if (memcmp(text, request.ptr, PANG_ID_TEXT) == 0) {
            to->request = pang_bytes_of_id(id);
            return;
        }
    }
    to->request_id = text_of(b, entry, ENTRY_REQUEST);
}

static void fill_entry(builder *b, const audit_entry *entry, size_t who, size_t what)
{
    size_t at = b->group.n_entries++;
    group_entry *to = &b->entries[at];
    int64_t after = entry->time_ms - b->group.begin_ms;
    pangolin__store__v1__audit_group__entry__init(to);
    to->who = (uint32_t)who;
    to->what = (uint32_t)what;
    to->after_ms = after < UINT32_MAX ? (uint32_t)after : UINT32_MAX;
    to->code = entry->code;
    to->message = text_of(b, entry, ENTRY_MESSAGE);
    to->metadata = text_of(b, entry, ENTRY_METADATA);
    to->count = entry->count;
    fill_request(b, to, entry, &b->requests[at]);
    b->group.entries[at] = to;
}

static bool begin(builder *b, size_t n)
{
    pangolin__store__v1__audit_group__init(&b->group);
    b->entries = pang_arena_alloc_n(b->arena, n, sizeof *b->entries);
    b->requests = pang_arena_alloc_n(b->arena, n, sizeof *b->requests);
    b->group.entries = pang_arena_alloc_n(b->arena, n, sizeof *b->group.entries);
    return b->entries != NULL && b->requests != NULL && b->group.entries != NULL;
}

pang_code pang_audit_group(audit_entry *const *entries, size_t n, pang_str scope, pang_id server,
                           pang_arena *arena, pang_str *ret_body, size_t *ret_taken, pang_err *err)
{
    pang_rec_audit_row row = PANGOLIN__STORE__V1__AUDIT_ROW__INIT;
    size_t max = n < AUDIT_GROUP_ENTRIES ? n : AUDIT_GROUP_ENTRIES, bytes = 0, taken = 0;
    builder *b = pang_arena_alloc(arena, sizeof *b);
    if (b == NULL)
        return pang_fail_memory(err);
    b->arena = arena;
    if (!begin(b, max))
        return pang_fail_memory(err);
    b->group.begin_ms = entries[0]->time_ms;
    for (; taken < max && bytes < AUDIT_GROUP_TEXT; taken++) {
        size_t who = place_in(&b->whos, entries[taken], ENTRY_NAME, same_who);
        size_t what = place_in(&b->whats, entries[taken], ENTRY_ACTION, same_what);
        if (who == AUDIT_GROUP_KINDS || what == AUDIT_GROUP_KINDS)
            break;
        bytes += entries[taken]->size;
        fill_entry(b, entries[taken], who, what);
    }
    if (!fill_whos(b) || !fill_whats(b) || pang_arena_failed(arena))
        return pang_fail_memory(err);
    row.action = (char *)(uintptr_t) "group";
    row.group = &b->group;
    *ret_taken = taken;
    return pang_chain_row(&row, scope, server, arena, ret_body, err);
}
