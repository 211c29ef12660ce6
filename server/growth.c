/*
 * A tenant's records of one kind share a prefix of their keys, so each kind is one scan. Content
 * and history, whose rows are small and nearly all of what grows, are read whole for their bytes.
 */
#include "server/growth.h"

#include <time.h>

#include "api/audit.h"
#include "api/keys_versions.h"
#include "server/gc_internal.h"

enum {
    REST = 20,             /* times as long as reading a piece took */
    REST_BETWEEN = 4,      /* times as long as a round took */
    NAP_MS = 50,           /* between two looks at whether the state ends */
    LIST_BYTES = 64 << 20, /* of tenants */
    SCOPES_MAX = 1 << 16,
};

static const struct {
    pang_retain_kind kind;
    const char *letters;
} PREFIXES[] = {
    {PANG_RETAIN_CONTENT, "cu"},       {PANG_RETAIN_HISTORY, "hi"},
    {PANG_RETAIN_ASSETS, "as"},        {PANG_RETAIN_COMMITS, "cm"},
    {PANG_RETAIN_ASSET_HISTORY, "ah"}, {PANG_RETAIN_COMMIT_IDS, "id"},
    {PANG_RETAIN_DOCUMENTS, "md"},     {PANG_RETAIN_BRANCHES, "bi"},
    {PANG_RETAIN_MARKS, "mm"},         {PANG_RETAIN_MARKS, "fk"},
    {PANG_RETAIN_MERGES, "mo"},        {PANG_RETAIN_MERGES, "mc"},
};

typedef struct {
    pang_state *state;
    pang_arena *arena;
    pang_str *scopes;
    size_t n_scopes;
    pang_retain_kind kind; /* that is counted now */
    uint64_t records[PANG_RETAIN_KINDS], bytes[PANG_RETAIN_KINDS];
    bool failed;      /* for want of memory */
    int64_t piece_ms; /* when reading the piece began */
} counting;

bool pang_growth_has_bytes(size_t kind)
{
    return kind == PANG_RETAIN_CONTENT || kind == PANG_RETAIN_HISTORY ||
           kind == PANG_RETAIN_ASSETS || kind == PANG_RETAIN_ASSET_HISTORY;
}

static bool take_scope(void *arg, pang_str scope)
{
    counting *c = arg;
    if (scope.len != PANG_ID_HEX || c->n_scopes == SCOPES_MAX)
        return true;
    c->failed = !pang_arena_copy(c->arena, scope, &c->scopes[c->n_scopes]);
    c->n_scopes += !c->failed;
    return !c->failed;
}

/* Returns false when the state ends. */
static bool rest(counting *c)
{
    const pang_env *env = c->state->config.env;
    int64_t left = REST * (pang_env_mono_ms(env) - c->piece_ms);
    for (; left > 0 && !atomic_load(&c->state->stopping); left -= NAP_MS)
        (void)nanosleep(&(struct timespec){.tv_nsec = NAP_MS * 1000000L}, NULL);
    c->piece_ms = pang_env_mono_ms(env);
    return !atomic_load(&c->state->stopping);
}

static bool take_rows(void *arg, const pang_record *rows, size_t n, pang_arena *arena)
{
    counting *c = arg;
    (void)arena;
    c->records[c->kind] += n;
    for (size_t i = 0; i < n; i++)
        c->bytes[c->kind] += rows[i].key.len + rows[i].body.len;
    return rest(c);
}

static pang_code count_scope(counting *c, pang_str scope, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < sizeof PREFIXES / sizeof PREFIXES[0]; i++) {
        pang_keys keys = {.arena = c->arena, .scope = scope};
        c->kind = PREFIXES[i].kind;
        pang_gc_range range = {.prefix = pang_key_all_of(&keys, PREFIXES[i].letters),
                               .keys_only = !pang_growth_has_bytes(c->kind)};
        code = pang_keys_status(&keys, err);
        if (code == PANG_OK)
            code = pang_gc_scan_pieces(pang_db_store(c->state->config.db), &range, take_rows, c,
                                       err);
    }
    return code;
}

static pang_code count_all(counting *c, pang_err *err)
{
    c->scopes = pang_arena_alloc_n(c->arena, SCOPES_MAX, sizeof *c->scopes);
    if (c->scopes == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_audit_scopes(pang_db_store(c->state->config.db), take_scope, c, err);
    if (code == PANG_OK && c->failed)
        code = pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < c->n_scopes; i++)
        code = count_scope(c, c->scopes[i], err);
    return code;
}

int64_t pang_growth_work(pang_state *state, pang_err *err)
{
    *err = (pang_err){.code = PANG_OK};
    int64_t begin = pang_env_mono_ms(state->config.env);
    counting c = {.state = state, .arena = pang_arena_new(LIST_BYTES), .piece_ms = begin};
    pang_code code = c.arena == NULL ? pang_fail_memory(err) : count_all(&c, err);
    pang_arena_free(c.arena);
    if (code == PANG_OK && !atomic_load(&state->stopping))
        for (size_t i = 0; i < PANG_RETAIN_KINDS; i++) {
            atomic_store(&state->records[i], c.records[i]);
            atomic_store(&state->record_bytes[i], c.bytes[i]);
        }
    int64_t rest_ms = REST_BETWEEN * (pang_env_mono_ms(state->config.env) - begin);
    return rest_ms > PANG_GROWTH_EVERY_MS ? rest_ms : PANG_GROWTH_EVERY_MS;
}
