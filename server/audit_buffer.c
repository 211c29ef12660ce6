/*
 * The buffer of what is written later. A caller copies its event into a chunk of the shard that
 * its thread has, under a lock that nobody holds longer than that copy takes; no store is asked,
 * nothing is looked up. Whoever flushes takes all chunks away, sorts the entries by tenant and
 * time, and writes each tenant's as few rows (audit_group.c). What could not be written stays
 * pending, counts as buffered, and goes first the next time.
 *
 * Failures of unknown callers are no entries until they are written: they are counts by scope,
 * action and address in a table of fixed size, of which a fixed number a minute become entries.
 */
#include "server/audit_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/audit_names.h"
#include "server/metrics.h"

enum { FLUSH_TIME_MS = 10 * 1000, MINUTE_MS = 60 * 1000, ALIGN = 16 };

/* ---- adding ---- */

static unsigned shard_of_thread(void)
{
    static atomic_uint threads;
    static _Thread_local unsigned mine; /* + 1 */
    if (mine == 0)
        mine = atomic_fetch_add(&threads, 1) % AUDIT_SHARDS + 1;
    return mine - 1;
}

static pang_str clip(pang_str text)
{
    size_t len = text.len < PANG_AUDIT_TEXT_MAX ? text.len : PANG_AUDIT_TEXT_MAX;
    if (len < text.len) /* not within a character */
        while (len > 0 && ((uint8_t)text.ptr[len] & 0xC0) == 0x80)
            len--;
    return pang_str_slice(text, 0, len);
}

static void list_texts(const pang_audit_event *event, pang_str ret[ENTRY_TEXTS])
{
    const pang_str texts[ENTRY_TEXTS] = {
        [ENTRY_NAME] = event->principal_name,
        [ENTRY_ADDRESS] = event->client_address,
        [ENTRY_AGENT] = event->user_agent,
        [ENTRY_ACTION] = event->action,
        [ENTRY_METHOD] = event->method,
        [ENTRY_OBJECT] = event->name.len > 0 || event->n_objects == 0 ? event->name
                                                                      : event->objects[0].name,
        [ENTRY_REQUEST] = event->request_id,
        [ENTRY_MESSAGE] = event->message,
        [ENTRY_METADATA] = event->metadata.len <= PANG_AUDIT_TEXT_MAX ? event->metadata
                                                                      : (pang_str){0},
    };
    for (unsigned i = 0; i < ENTRY_TEXTS; i++)
        ret[i] = clip(texts[i]);
}

static void fill_entry(audit_entry *entry, const pang_audit_event *event,
                       const pang_str texts[ENTRY_TEXTS])
{
    size_t at = 0, scope = event->scope.len < PANG_SCOPE_MAX ? event->scope.len : PANG_SCOPE_MAX;
    entry->code = event->code;
    entry->kind = event->principal_kind;
    entry->written = false;
    memset(entry->scope, 0, sizeof entry->scope);
    memcpy(entry->scope, event->scope.ptr, scope);
    entry->principal = event->principal;
    entry->resource = event->resource;
    entry->type = event->type;
    entry->time_ms = event->time_ms;
    entry->count = event->count;
    for (unsigned i = 0; i < ENTRY_TEXTS; i++) {
        entry->lens[i] = (uint16_t)texts[i].len;
        if (texts[i].len > 0)
            memcpy(entry->texts + at, texts[i].ptr, texts[i].len);
        at += texts[i].len;
    }
}

/* Room for `size` bytes; NULL without memory. REQUIRES: the shard's lock. */
static audit_entry *room_in(pang_audit *audit, audit_shard *shard, size_t size)
{
    audit_chunk *chunk = shard->chunks;
    if (chunk == NULL || AUDIT_CHUNK_BYTES - chunk->used < size) {
        chunk = malloc(sizeof *chunk);
        if (chunk == NULL)
            return NULL;
        chunk->next = shard->chunks;
        chunk->used = 0;
        shard->chunks = chunk;
        atomic_fetch_add(&audit->buffered, sizeof *chunk);
    }
    audit_entry *entry = (audit_entry *)(void *)(chunk->bytes + chunk->used);
    chunk->used += size;
    return entry;
}

static size_t buffer_max(const pang_audit *audit)
{
    return audit->config.buffer_bytes != 0 ? audit->config.buffer_bytes : PANG_AUDIT_BUFFER_BYTES;
}

static pang_code add_entry(pang_audit *audit, const pang_audit_event *event, pang_err *err)
{
    pang_str texts[ENTRY_TEXTS];
    size_t size = sizeof(audit_entry);
    list_texts(event, texts);
    for (unsigned i = 0; i < ENTRY_TEXTS; i++)
        size += texts[i].len;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    _Static_assert(sizeof(audit_entry) + ENTRY_TEXTS * PANG_AUDIT_TEXT_MAX + ALIGN <
                       AUDIT_CHUNK_BYTES,
                   "an entry fits into a chunk");
    audit_shard *shard = &audit->shards[shard_of_thread()];
    (void)pthread_mutex_lock(&shard->lock);
    audit_entry *entry = room_in(audit, shard, size);
    if (entry != NULL) {
        entry->size = (uint32_t)size;
        fill_entry(entry, event, texts);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return entry == NULL ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_audit_add(pang_audit *audit, const pang_audit_event *event, pang_err *err)
{
    pang_audit_event timed = *event;
    if (timed.time_ms == 0)
        timed.time_ms = pang_env_wall_ms(audit->config.env);
    if (timed.type == NULL)
        timed.type = pang_audit_type_of(timed.action,
                                        timed.n_objects > 0 ? timed.objects[0].resource : 0);
    if (atomic_load(&audit->buffered) + sizeof(audit_chunk) > buffer_max(audit)) {
        pang_code code = pang_audit_flush(audit, err);
        if (code != PANG_OK)
            return code;
    }
    return add_entry(audit, &timed, err);
}

pang_str pang_audit_text(const audit_entry *entry, unsigned which)
{
    size_t at = 0;
    for (unsigned i = 0; i < which; i++)
        at += entry->lens[i];
    return (pang_str){entry->texts + at, entry->lens[which]};
}

/* ---- unknown callers ---- */

/* The address that is counted: of IPv6 the network, since a host has all of its addresses. */
static void fold_address(pang_str address, char *to, size_t size)
{
    struct in6_addr v6;
    size_t len = address.len < size - 4 ? address.len : size - 4;
    memset(to, 0, size);
    if (len > 0)
        memcpy(to, address.ptr, len);
    if (inet_pton(AF_INET6, to, &v6) != 1)
        return;
    memset(v6.s6_addr + 8, 0, 8);
    (void)inet_ntop(AF_INET6, &v6, to, (socklen_t)(size - 4));
    memcpy(to + strlen(to), "/64", 4);
}

/* The row of this caller; when the table is full, that of all others of the action. */
static audit_stranger *stranger_row(pang_audit *audit, const char *scope, const char *action,
                                    const char *address)
{
    audit_stranger *others = NULL;
    for (size_t i = 0; i < audit->strangers_used; i++) {
        audit_stranger *s = &audit->strangers[i];
        if (strcmp(s->action, action) != 0)
            continue;
        if (strcmp(s->address, address) == 0 && strcmp(s->scope, scope) == 0)
            return s;
        if (s->address[0] == '*')
            others = s;
    }
    bool is_full = audit->strangers_used + 8 >= PANG_AUDIT_STRANGERS; /* one per action is left */
    if (is_full && others != NULL)
        return others;
    if (audit->strangers_used == PANG_AUDIT_STRANGERS)
        return &audit->strangers[PANG_AUDIT_STRANGERS - 1];
    audit_stranger *s = &audit->strangers[audit->strangers_used++];
    *s = (audit_stranger){.action = action};
    (void)snprintf(s->scope, sizeof s->scope, "%s", is_full ? PANG_SYSTEM_SCOPE.ptr : scope);
    (void)snprintf(s->address, sizeof s->address, "%s", is_full ? "*" : address);
    return s;
}

void pang_audit_stranger(pang_audit *audit, pang_str scope, const char *action,
                         pang_str client_address)
{
    char address[sizeof audit->strangers[0].address], tenant[AUDIT_SCOPE_BYTES] = {0};
    if (audit == NULL)
        return;
    fold_address(client_address, address, sizeof address);
    pang_str of = scope.len > 0 && scope.len <= PANG_SCOPE_MAX ? scope : PANG_SYSTEM_SCOPE;
    memcpy(tenant, of.ptr, of.len);
    (void)pthread_mutex_lock(&audit->stranger_lock);
    audit_stranger *s = stranger_row(audit, tenant, action, address);
    s->count++;
    s->last_ms = pang_env_wall_ms(audit->config.env);
    (void)pthread_mutex_unlock(&audit->stranger_lock);
    atomic_fetch_add(&audit->n_strangers, 1);
}

static bool add_stranger(pang_audit *audit, const audit_stranger *s)
{
    pang_err err;
    pang_audit_event event = {
        .scope = pang_str_from(s->scope),
        .action = pang_str_from(s->action),
        .type = pang_audit_type_of(pang_str_from(s->action), 0),
        .client_address = pang_str_from(s->address),
        .code = PANG_UNAUTHENTICATED,
        .time_ms = s->last_ms,
        .count = s->count,
    };
    return add_entry(audit, &event, &err) == PANG_OK;
}

void pang_audit_take_strangers(pang_audit *audit, bool all)
{
    int64_t now = pang_env_mono_ms(audit->config.env);
    (void)pthread_mutex_lock(&audit->stranger_lock);
    if (audit->window_ms == 0 || now - audit->window_ms >= MINUTE_MS) {
        audit->window_ms = now;
        audit->window_left = PANG_AUDIT_STRANGERS_A_MINUTE;
    }
    size_t taken = 0;
    while (taken < audit->strangers_used && (all || audit->window_left > 0) &&
           add_stranger(audit, &audit->strangers[taken])) {
        taken++;
        audit->window_left -= audit->window_left > 0;
    }
    audit->strangers_used -= taken;
    memmove(audit->strangers, audit->strangers + taken,
            audit->strangers_used * sizeof audit->strangers[0]);
    (void)pthread_mutex_unlock(&audit->stranger_lock);
}

/* ---- writing ---- */

static void take_chunks(pang_audit *audit)
{
    for (size_t i = 0; i < AUDIT_SHARDS; i++) {
        audit_shard *shard = &audit->shards[i];
        (void)pthread_mutex_lock(&shard->lock);
        audit_chunk *taken = shard->chunks;
        shard->chunks = NULL;
        (void)pthread_mutex_unlock(&shard->lock);
        while (taken != NULL) {
            audit_chunk *next = taken->next;
            taken->next = audit->pending;
            audit->pending = taken;
            taken = next;
        }
    }
}

/* Calls fn for every entry that is not written. */
static size_t list_entries(const audit_chunk *chunks, audit_entry **to)
{
    size_t n = 0;
    for (const audit_chunk *chunk = chunks; chunk != NULL; chunk = chunk->next) {
        for (size_t at = 0; at < chunk->used;) {
            audit_entry *entry = (audit_entry *)(uintptr_t)(chunk->bytes + at);
            at += entry->size;
            if (entry->written)
                continue;
            if (to != NULL)
                to[n] = entry;
            n++;
        }
    }
    return n;
}

static int by_scope_and_time(const void *left, const void *right)
{
    const audit_entry *a = *(audit_entry *const *)left, *b = *(audit_entry *const *)right;
    int order = memcmp(a->scope, b->scope, sizeof a->scope);
    return order != 0 ? order : (a->time_ms > b->time_ms) - (a->time_ms < b->time_ms);
}

/* One row of the first entries of a scope, in a commit of its own. */
static pang_code write_group(pang_audit *audit, audit_entry **entries, size_t n, size_t *ret_taken,
                             pang_arena *arena, pang_err *err)
{
    pang_str body, scope = pang_str_from(entries[0]->scope);
    int64_t deadline = pang_env_mono_ms(audit->config.env) + FLUSH_TIME_MS;
    pang_txn *txn = pang_txn_begin(audit->config.db, scope, deadline, arena);
    pang_code code = txn == NULL ? pang_fail_memory(err) : PANG_OK;
    if (code == PANG_OK)
        code = pang_audit_group(entries, n, scope, audit->config.server, arena, &body, ret_taken,
                                err);
    if (code == PANG_OK)
        code = pang_audit_put(txn, scope, audit->config.server, body, arena, err);
    if (code == PANG_OK)
        code = pang_txn_commit(txn, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < *ret_taken; i++)
        entries[i]->written = true;
    atomic_fetch_add(&audit->groups, 1);
    atomic_fetch_add(&audit->entries, *ret_taken);
    pang_count(audit->config.counters, PANG_COUNT_AUDIT_ROWS);
    pang_audit_landed(audit, scope);
    return PANG_OK;
}

static pang_code write_sorted(pang_audit *audit, audit_entry **entries, size_t n, pang_err *err)
{
    pang_arena *arena = pang_arena_new(AUDIT_ARENA_BYTES);
    pang_code code = arena == NULL ? pang_fail_memory(err) : PANG_OK;
    for (size_t at = 0, taken = 0; code == PANG_OK && at < n; at += taken) {
        size_t same = 1;
        while (at + same < n &&
               memcmp(entries[at]->scope, entries[at + same]->scope, AUDIT_SCOPE_BYTES) == 0)
            same++;
        code = write_group(audit, entries + at, same, &taken, arena, err);
        pang_arena_reset(arena);
    }
    pang_arena_free(arena);
    return code;
}

static void free_written(pang_audit *audit)
{
    for (audit_chunk **at = &audit->pending; *at != NULL;) {
        audit_chunk *chunk = *at, *rest = chunk->next;
        chunk->next = NULL;
        if (list_entries(chunk, NULL) > 0) {
            chunk->next = rest;
            at = &chunk->next;
            continue;
        }
        *at = rest;
        free(chunk);
        atomic_fetch_sub(&audit->buffered, sizeof *chunk);
    }
}

static pang_code flush_locked(pang_audit *audit, pang_err *err)
{
    take_chunks(audit);
    size_t n = list_entries(audit->pending, NULL);
    if (n == 0) {
        free_written(audit);
        return PANG_OK;
    }
    audit_entry **entries = malloc(n * sizeof *entries);
    if (entries == NULL)
        return pang_fail_memory(err);
    (void)list_entries(audit->pending, entries);
    qsort(entries, n, sizeof *entries, by_scope_and_time);
    pang_code code = write_sorted(audit, entries, n, err);
    free(entries);
    free_written(audit);
    return code;
}

pang_code pang_audit_flush(pang_audit *audit, pang_err *err)
{
    pang_audit_take_strangers(audit, false);
    (void)pthread_mutex_lock(&audit->flush_lock);
    pang_code code = flush_locked(audit, err);
    (void)pthread_mutex_unlock(&audit->flush_lock);
    if (code != PANG_OK)
        atomic_fetch_add(&audit->failures, 1);
    return code;
}
