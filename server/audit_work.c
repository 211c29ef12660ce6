/*
 * What is done every half second, and the table of tenants that tells for whom. Only a server that
 * wrote knows at once that there is something to seal; rows of one that died before it sealed them
 * are found by looking at every tenant now and then, and at the start.
 */
#include "server/audit_internal.h"

#include <stdlib.h>
#include <string.h>

#include "api/audit.h"
#include "api/log.h"

enum {
    SWEEP_EVERY_MS = 10 * 60 * 1000,
    SWEEP_RETRY_MS = 10 * 1000,
    RETIRE_MAX = 64, /* seals of one tenant in one round */
    SCOPES_MIN = 64,
    SEAL_TRIES = 8, /* a removal of old seals changes the chain's end, too */
};

/* ---- the table of tenants ---- */

static bool put_scope(audit_scopes *scopes, const char *scope)
{
    size_t at = (size_t)pang_str_hash(pang_str_from(scope)) & (scopes->room - 1);
    for (; scopes->slots[at][0] != '\0'; at = (at + 1) & (scopes->room - 1))
        if (strcmp(scopes->slots[at], scope) == 0)
            return false;
    memcpy(scopes->slots[at], scope, AUDIT_SCOPE_BYTES);
    scopes->n++;
    return true;
}

static bool grow(audit_scopes *scopes)
{
    size_t room = scopes->room == 0 ? SCOPES_MIN : 2 * scopes->room;
    audit_scopes larger = {.slots = calloc(room, AUDIT_SCOPE_BYTES), .room = room};
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < scopes->room; i++)
        if (scopes->slots[i][0] != '\0')
            (void)put_scope(&larger, scopes->slots[i]);
    free(scopes->slots);
    *scopes = larger;
    return true;
}

void pang_audit_landed(pang_audit *audit, pang_str scope)
{
    char text[AUDIT_SCOPE_BYTES] = {0};
    if (audit == NULL || scope.len == 0 || scope.len > PANG_SCOPE_MAX)
        return;
    memcpy(text, scope.ptr, scope.len);
    (void)pthread_mutex_lock(&audit->dirty_lock);
    if (2 * audit->dirty.n < audit->dirty.room || grow(&audit->dirty))
        (void)put_scope(&audit->dirty, text);
    else
        audit->sweep_now = true;
    (void)pthread_mutex_unlock(&audit->dirty_lock);
}

bool pang_audit_is_due(pang_audit *audit, pang_id principal)
{
    uint64_t hash = pang_str_hash(
        (pang_str){(const char *)principal.bytes, sizeof principal.bytes});
    uint64_t minute = (uint64_t)pang_env_mono_ms(audit->config.env) / (60 * 1000) + 1;
    uint64_t now = (hash & ~(uint64_t)UINT32_MAX) | (minute & UINT32_MAX);
    atomic_uint_fast64_t *slot = &audit->minutes[hash % AUDIT_MINUTES];
    if (atomic_load_explicit(slot, memory_order_relaxed) == now)
        return false;
    atomic_store_explicit(slot, now, memory_order_relaxed);
    return true;
}

void pang_audit_lost(pang_audit *audit)
{
    atomic_fetch_add(&audit->failures, 1);
}

/* ---- a round ---- */

static pang_code seal(pang_audit *audit, pang_str scope, bool *ret_all, pang_err *err)
{
    pang_code code = PANG_ABORTED;
    *ret_all = false;
    for (int i = 0; code == PANG_ABORTED && i < SEAL_TRIES; i++)
        code = pang_audit_seal(audit, scope, ret_all, err);
    return code;
}

static pang_code seal_listed(pang_audit *audit, pang_err *err)
{
    pang_code code = PANG_OK;
    (void)pthread_mutex_lock(&audit->dirty_lock);
    audit_scopes taken = audit->dirty;
    audit->dirty = (audit_scopes){0};
    (void)pthread_mutex_unlock(&audit->dirty_lock);
    for (size_t i = 0; i < taken.room; i++) {
        bool all = false;
        pang_err one;
        if (taken.slots[i][0] == '\0')
            continue;
        pang_str scope = pang_str_from(taken.slots[i]);
        if (seal(audit, scope, &all, &one) != PANG_OK && one.code != PANG_ABORTED) {
            code = one.code;
            *err = one;
        }
        if (!all)
            pang_audit_landed(audit, scope); /* again */
    }
    free(taken.slots);
    return code;
}

static pang_code seal_dirty(pang_audit *audit, pang_err *err)
{
    (void)pthread_mutex_lock(&audit->list_lock);
    pang_code code = seal_listed(audit, err);
    (void)pthread_mutex_unlock(&audit->list_lock);
    return code;
}

void pang_audit_catch_up(pang_audit *audit, pang_str scope)
{
    pang_err err;
    bool all = false;
    if (audit == NULL || pang_audit_flush(audit, &err) != PANG_OK)
        return;
    if (scope.len == 0)
        (void)!seal_dirty(audit, &err);
    else
        (void)!seal(audit, scope, &all, &err);
}

static bool note_scope(void *arg, pang_str scope)
{
    pang_audit_landed(arg, scope);
    return true;
}

static pang_code sweep(pang_audit *audit, pang_err *err)
{
    int64_t now = pang_env_mono_ms(audit->config.env);
    (void)pthread_mutex_lock(&audit->dirty_lock);
    bool is_due = audit->sweep_now || now >= audit->sweep_at_ms;
    audit->sweep_now = false;
    (void)pthread_mutex_unlock(&audit->dirty_lock);
    if (!is_due)
        return PANG_OK;
    pang_code code = pang_audit_scopes(pang_db_store(audit->config.db), note_scope, audit, err);
    audit->sweep_at_ms = now + (code == PANG_OK ? SWEEP_EVERY_MS : SWEEP_RETRY_MS);
    return code;
}

typedef struct {
    pang_audit *audit;
    pang_err *err;
    bool stopped;
} retirement;

static bool retire_scope(void *arg, pang_str scope)
{
    retirement *r = arg;
    bool more = true;
    for (unsigned i = 0; more && i < RETIRE_MAX; i++) {
        pang_code code = pang_audit_retire(r->audit, scope, &more, r->err);
        if (code == PANG_ABORTED)
            return true; /* it is being sealed: later */
        if (code != PANG_OK)
            return false;
    }
    r->stopped |= more;
    return true;
}

/* What is too old goes, of each tenant some, so that none keeps the others waiting. */
static pang_code retire(pang_audit *audit, pang_err *err)
{
    int64_t now = pang_env_mono_ms(audit->config.env);
    if (audit->config.retention_ms == 0 || now < audit->retire_at_ms)
        return PANG_OK;
    pang_err failure = {.code = PANG_OK};
    retirement r = {.audit = audit, .err = &failure};
    pang_code code = pang_audit_scopes(pang_db_store(audit->config.db), retire_scope, &r, err);
    if (code == PANG_OK && failure.code != PANG_OK && failure.code != PANG_ABORTED) {
        *err = failure;
        code = failure.code;
    }
    audit->retire_at_ms = now + (code != PANG_OK ? SWEEP_RETRY_MS : r.stopped ? 0 : SWEEP_EVERY_MS);
    return code;
}

int64_t pang_audit_work(pang_audit *audit, pang_err *err)
{
    pang_err other;
    *err = (pang_err){.code = PANG_OK};
    if (pang_audit_flush(audit, &other) != PANG_OK)
        *err = other;
    if (sweep(audit, &other) != PANG_OK && err->code == PANG_OK)
        *err = other;
    if (seal_dirty(audit, &other) != PANG_OK && err->code == PANG_OK)
        *err = other;
    if (retire(audit, &other) != PANG_OK && err->code == PANG_OK)
        *err = other;
    return PANG_AUDIT_EVERY_MS;
}

/* ---- opening and closing ---- */

pang_code pang_audit_open(const pang_audit_config *config, pang_audit **ret, pang_err *err)
{
    pang_audit *audit = calloc(1, sizeof *audit);
    if (audit == NULL)
        return pang_fail_memory(err);
    audit->config = *config;
    for (size_t i = 0; i < AUDIT_SHARDS; i++)
        (void)pthread_mutex_init(&audit->shards[i].lock, NULL);
    for (size_t i = 0; i < AUDIT_SEAL_LOCKS; i++)
        (void)pthread_mutex_init(&audit->seal_locks[i], NULL);
    (void)pthread_mutex_init(&audit->list_lock, NULL);
    (void)pthread_mutex_init(&audit->flush_lock, NULL);
    (void)pthread_mutex_init(&audit->stranger_lock, NULL);
    (void)pthread_mutex_init(&audit->dirty_lock, NULL);
    *ret = audit;
    return PANG_OK;
}

static void free_chunks(audit_chunk *chunk)
{
    while (chunk != NULL) {
        audit_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

static void free_all(pang_audit *audit)
{
    for (size_t i = 0; i < AUDIT_SHARDS; i++) {
        free_chunks(audit->shards[i].chunks);
        (void)pthread_mutex_destroy(&audit->shards[i].lock);
    }
    free_chunks(audit->pending);
    for (size_t i = 0; i < AUDIT_SEAL_LOCKS; i++)
        (void)pthread_mutex_destroy(&audit->seal_locks[i]);
    (void)pthread_mutex_destroy(&audit->list_lock);
    (void)pthread_mutex_destroy(&audit->flush_lock);
    (void)pthread_mutex_destroy(&audit->stranger_lock);
    (void)pthread_mutex_destroy(&audit->dirty_lock);
    free(audit->dirty.slots);
    free(audit);
}

void pang_audit_close(pang_audit *audit)
{
    pang_err err = {.code = PANG_OK};
    if (audit == NULL)
        return;
    pang_audit_take_strangers(audit, true);
    pang_code code = pang_audit_flush(audit, &err);
    if (code == PANG_OK)
        code = seal_dirty(audit, &err);
    if (code != PANG_OK)
        PANG_LOG(ERROR, "the audit log could not be ended",
                 PANG_LOG_TEXT("message", pang_str_from(err.message)),
                 PANG_LOG_TEXT("detail", pang_str_from(err.detail)));
    free_all(audit);
}

void pang_audit_get_stats(pang_audit *audit, pang_audit_stats *ret)
{
    *ret = (pang_audit_stats){
        .buffered_bytes = atomic_load(&audit->buffered),
        .groups = atomic_load(&audit->groups),
        .entries = atomic_load(&audit->entries),
        .seals = atomic_load(&audit->seals),
        .strangers = atomic_load(&audit->n_strangers),
        .failures = atomic_load(&audit->failures),
    };
}
