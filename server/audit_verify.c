/*
 * The verifier walks the chain from its first seal to its end, and beside it each server's rows in
 * the order of their numbers; then what is not sealed. A fault of a row is told before one of
 * its seal, since the row says where to look; a seal that is itself not what it was is told first
 * of all, since then it proves nothing.
 */
#include "api/audit.h"

#include <stdio.h>
#include <string.h>

#include "api/keys.h"
#include "server/audit_chain.h"

enum {
    STEP_MEMORY = 256 << 20, /* a seal and its rows, or a batch of rows */
    BATCH_ROWS = 512,
    SERVERS_MAX = 1024,
};

/* How far a server's rows were followed. */
typedef struct {
    pang_id server;
    uint64_t first, seen, last; /* the first number that is there; followed to; given out */
    bool has_sequence, is_followed;
} follower;

typedef struct {
    pang_store *store;
    pang_str scope;
    pang_arena *arena; /* reset between steps */
    pang_err *err;
    pang_code code;
    pang_audit_report *report;
    follower servers[SERVERS_MAX];
    size_t n_servers;
    /* The step that runs. */
    follower *at;
    pang_str leaves; /* of the step's rows; empty: they are not sealed */
    size_t leaf;     /* the next */
} verifying;

static bool is_good(const verifying *v)
{
    return v->report->good;
}

static void fault(verifying *v, const pang_id *server, uint64_t number, const char *what)
{
    if (!v->report->good)
        return; /* the first is told */
    v->report->good = false;
    if (server != NULL)
        v->report->server = *server;
    v->report->number = number;
    (void)snprintf(v->report->what, sizeof v->report->what, "%s", what);
}

static pang_keys keys_of(verifying *v)
{
    return (pang_keys){.arena = v->arena, .scope = v->scope};
}

static follower *find(verifying *v, pang_id server)
{
    for (size_t i = 0; i < v->n_servers; i++)
        if (pang_id_equal(v->servers[i].server, server))
            return &v->servers[i];
    if (v->n_servers == SERVERS_MAX)
        return NULL;
    v->servers[v->n_servers] = (follower){.server = server};
    return &v->servers[v->n_servers++];
}

static pang_code read_record(verifying *v, pang_str key, pang_record *ret, pang_err *err)
{
    pang_ref ref = {.key = key};
    if (pang_arena_failed(v->arena))
        return pang_fail_memory(err);
    return pang_store_get(v->store, &ref, 1, PANG_NO_DEADLINE, v->arena, ret, err);
}

/* ---- rows ---- */

static uint64_t entries_of(verifying *v, const pang_record *record)
{
    pang_rec_audit_row *row = NULL;
    if (pang_record_unpack(&pangolin__store__v1__audit_row__descriptor, record, v->arena, &row,
                           NULL) != PANG_OK)
        return 1;
    return row->group != NULL ? row->group->n_entries : 1;
}

static bool is_zero(pang_str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.ptr[i] != 0)
            return false;
    return true;
}

static pang_str next_leaf(verifying *v)
{
    return pang_str_slice(v->leaves, PANG_HASH_BYTES * v->leaf++, PANG_HASH_BYTES);
}

/* Numbers up to `number` that have no row. */
static void pass_gone(verifying *v, uint64_t number)
{
    while (is_good(v) && v->at->seen + 1 < number) {
        v->at->seen++;
        bool was_gone = v->leaves.len > 0 && is_zero(next_leaf(v));
        fault(v, &v->at->server, v->at->seen,
              was_gone ? "the row was gone before it was sealed" : "the row is gone");
    }
}

static pang_code check_row(verifying *v, const pang_record *record, pang_err *err)
{
    uint8_t digest[PANG_HASH_BYTES], leaf[PANG_HASH_BYTES];
    pang_str found;
    pang_code code = pang_chain_digest(record->body, v->scope, v->at->server, digest, &found, err);
    if (code == PANG_OK)
        code = pang_chain_leaf(v->at->server, v->at->seen, record->time_ms, found, leaf, err);
    if (code != PANG_OK)
        return code;
    if (!pang_str_equal(found, (pang_str){(const char *)digest, sizeof digest}))
        fault(v, &v->at->server, v->at->seen, "the row is not what was written");
    else if (record->sequence != v->at->seen)
        fault(v, &v->at->server, v->at->seen, "the row has another number in it than in its key");
    else if (v->leaves.len > 0 &&
             !pang_str_equal(next_leaf(v), (pang_str){(const char *)leaf, sizeof leaf}))
        fault(v, &v->at->server, v->at->seen, "the row is another than was sealed");
    return PANG_OK;
}

static bool take_row(void *arg, const pang_record *row)
{
    verifying *v = arg;
    pang_key_parts parts;
    uint64_t number;
    if (!pang_key_parse(row->key, &parts) || !pang_key_number(parts.parts[1], &number)) {
        fault(v, &v->at->server, v->at->seen + 1, "there is a record with a key that no row has");
        return false;
    }
    pass_gone(v, number);
    if (!is_good(v))
        return false;
    v->at->seen = number;
    v->code = check_row(v, row, v->err);
    if (v->code != PANG_OK || !is_good(v))
        return false;
    v->report->rows++;
    v->report->sealed += v->leaves.len > 0;
    v->report->entries += entries_of(v, row);
    return true;
}

/* Follows a server to `until`. Batches keep the store's snapshot short. */
static pang_code follow(verifying *v, follower *server, uint64_t until, pang_err *err)
{
    v->at = server;
    while (is_good(v) && server->seen < until) {
        uint64_t before = server->seen;
        uint64_t stop = until - before > BATCH_ROWS ? before + BATCH_ROWS : until;
        pang_keys keys = keys_of(v);
        pang_query query = {
            .prefix = pang_key_audits(&keys, server->server),
            .after = pang_key_audit(&keys, server->server, before),
            .until = pang_key_audit(&keys, server->server, stop + 1),
            .limit = BATCH_ROWS,
        };
        pang_code code = pang_keys_status(&keys, err);
        if (code == PANG_OK)
            code = pang_store_scan(v->store, &query, PANG_NO_DEADLINE, take_row, v, err);
        if (code != PANG_OK || v->code != PANG_OK)
            return code != PANG_OK ? code : v->code;
        pass_gone(v, stop + 1);
    }
    return PANG_OK;
}

/* ---- seals ---- */

static void seal_fault(verifying *v, uint64_t seal, const char *what)
{
    if (is_good(v))
        v->report->seal = seal;
    fault(v, NULL, 0, what);
}

static uint64_t rows_of(const pang_rec_audit_seal *seal)
{
    uint64_t n = 0;
    for (size_t i = 0; i < seal->n_spans; i++)
        n += seal->spans[i]->last - seal->spans[i]->first + 1;
    return n;
}

/* Whether the seal is the one that was made. */
static pang_code check_seal(verifying *v, uint64_t number, pang_str previous,
                            const pang_rec_audit_seal *seal, pang_err *err)
{
    uint8_t hash[PANG_HASH_BYTES];
    pang_code code = pang_chain_seal(pang_str_of(seal->previous), number, pang_str_of(seal->leaves),
                                     hash, err);
    if (code != PANG_OK)
        return code;
    if (!pang_str_equal(pang_str_of(seal->previous), previous))
        seal_fault(v, number, "the seal does not follow the one before it");
    else if (!pang_str_equal(pang_str_of(seal->hash), (pang_str){(char *)hash, sizeof hash}) ||
             seal->leaves.len % PANG_HASH_BYTES != 0 ||
             rows_of(seal) != seal->leaves.len / PANG_HASH_BYTES)
        seal_fault(v, number, "the seal is not what was written");
    return PANG_OK;
}

static pang_code follow_seal(verifying *v, uint64_t number, const pang_rec_audit_seal *seal,
                             pang_err *err)
{
    pang_code code = PANG_OK;
    v->leaves = pang_str_of(seal->leaves);
    v->leaf = 0;
    for (size_t i = 0; code == PANG_OK && is_good(v) && i < seal->n_spans; i++) {
        const pang_rec_audit_span *span = seal->spans[i];
        follower *server = find(v, pang_id_of(span->server));
        if (server == NULL)
            return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "there are too many servers");
        if (!server->is_followed) {
            server->is_followed = true;
            server->first = span->first; /* what came before it the retention removed */
            server->seen = span->first - 1;
        }
        if (span->first != server->seen + 1 || span->last < span->first)
            seal_fault(v, number, "the seal does not go on where the one before it ended");
        else
            code = follow(v, server, span->last, err);
        if (!is_good(v))
            v->report->seal = number;
    }
    return code;
}

static pang_code step(verifying *v, uint64_t number, const pang_audit_anchor *anchor,
                      uint8_t hash[PANG_HASH_BYTES], size_t *hash_len, pang_err *err)
{
    pang_record record;
    pang_rec_audit_seal *seal = NULL;
    pang_keys keys = keys_of(v);
    pang_str previous = {(const char *)hash, *hash_len};
    pang_code code = read_record(v, pang_key_audit_seal(&keys, number), &record, err);
    if (code != PANG_OK)
        return code;
    if (record.version == 0) {
        seal_fault(v, number, "the seal is gone");
        return PANG_OK;
    }
    if (pang_record_unpack(&pangolin__store__v1__audit_seal__descriptor, &record, v->arena, &seal,
                           err) != PANG_OK) {
        seal_fault(v, number, "the seal cannot be read");
        return PANG_OK;
    }
    code = check_seal(v, number, previous, seal, err);
    if (code != PANG_OK || !is_good(v))
        return code;
    code = follow_seal(v, number, seal, err);
    if (code != PANG_OK || !is_good(v))
        return code;
    memcpy(hash, seal->hash.data, PANG_HASH_BYTES);
    *hash_len = PANG_HASH_BYTES;
    if (anchor != NULL && anchor->seal == number &&
        memcmp(anchor->hash, hash, PANG_HASH_BYTES) != 0)
        seal_fault(v, number, "the seal is another than the one that was noted");
    return PANG_OK;
}

static pang_code read_head(verifying *v, pang_arena *arena, pang_rec_audit_head **ret,
                           pang_err *err)
{
    pang_record record;
    pang_ref ref;
    pang_keys keys = {.arena = arena, .scope = v->scope};
    ref = (pang_ref){.key = pang_key_audit_head(&keys)};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_store_get(v->store, &ref, 1, PANG_NO_DEADLINE, arena, &record, err);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_alloc(arena, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    pangolin__store__v1__audit_head__init(*ret);
    if (record.version != 0 && pang_record_unpack(&pangolin__store__v1__audit_head__descriptor,
                                                  &record, arena, ret, err) != PANG_OK)
        seal_fault(v, 0, "the end of the chain cannot be read");
    return PANG_OK;
}

/* ---- the end ---- */

static bool take_any(void *arg, const pang_record *row)
{
    (void)row;
    *(bool *)arg = true;
    return false;
}

/* The end says where the chain stops; nothing may stand behind it. */
static pang_code check_end(verifying *v, const pang_rec_audit_head *head, pang_str hash,
                           pang_err *err)
{
    bool is_more = false;
    pang_keys keys = keys_of(v);
    pang_query query = {.prefix = pang_key_audit_seals(&keys),
                        .after = pang_key_audit_seal(&keys, head->seals),
                        .limit = 1,
                        .keys_only = true};
    if (!pang_str_equal(pang_str_of(head->hash), hash))
        seal_fault(v, head->seals, "the end of the chain is not the last seal's");
    for (size_t i = 0; i < head->n_servers; i++) {
        follower *server = find(v, pang_id_of(head->servers[i]->server));
        if (server == NULL)
            continue;
        if (!server->is_followed) { /* the seals that told of it are removed */
            server->seen = head->servers[i]->last;
            server->first = server->seen + 1;
        }
        if (server->seen != head->servers[i]->last)
            seal_fault(v, head->seals, "the end of the chain is not where the last seal ends");
    }
    pang_code code = pang_store_scan(v->store, &query, PANG_NO_DEADLINE, take_any, &is_more, err);
    if (code == PANG_OK && is_more)
        seal_fault(v, head->seals + 1, "a seal stands behind the end of the chain");
    return code;
}

static bool take_sequence(void *arg, const pang_record *row)
{
    verifying *v = arg;
    pang_key_parts parts;
    pang_id server;
    if (!pang_key_parse(row->key, &parts) || !pang_id_parse(parts.parts[0], &server))
        return true;
    follower *f = find(v, server);
    if (f == NULL)
        return false;
    f->last = (uint64_t)row->value;
    f->has_sequence = true;
    return true;
}

/* Rows that nobody numbered: behind the last number of their server, or of no server that ever
 * wrote. */
static bool take_key(void *arg, const pang_record *row)
{
    verifying *v = arg;
    pang_key_parts parts;
    pang_id server;
    uint64_t number;
    if (!pang_key_parse(row->key, &parts) || !pang_id_parse(parts.parts[0], &server) ||
        !pang_key_number(parts.parts[1], &number))
        return true;
    follower *f = find(v, server);
    if (f == NULL || !f->has_sequence || number > f->last || number < f->first)
        fault(v, &server, number, "the row was put in: its number was never given out");
    return is_good(v);
}

static pang_code check_rest(verifying *v, pang_err *err)
{
    pang_keys keys = keys_of(v);
    pang_query query = {.prefix = pang_key_audit_sequences(&keys), .limit = PANG_SCAN_MAX};
    pang_code code = pang_store_scan(v->store, &query, PANG_NO_DEADLINE, take_sequence, v, err);
    v->leaves = (pang_str){0};
    for (size_t i = 0; code == PANG_OK && is_good(v) && i < v->n_servers; i++) {
        follower *server = &v->servers[i];
        if (server->last < server->seen)
            fault(v, &server->server, server->seen, "the server's count of rows was set back");
        else
            code = follow(v, server, server->last, err);
    }
    return code;
}

typedef struct {
    verifying *v;
    pang_str last;
    size_t n;
} strays;

static bool take_stray(void *arg, const pang_record *row)
{
    strays *s = arg;
    s->n++;
    return pang_arena_copy(s->v->arena, row->key, &s->last) && take_key(s->v, row);
}

static pang_code check_strays(verifying *v, pang_err *err)
{
    pang_str after = {0};
    char kept[PANG_KEY_MAX];
    for (;;) {
        strays s = {.v = v};
        pang_arena_reset(v->arena);
        pang_query query = {
            .prefix = pang_arena_printf(v->arena, "%" PANG_STR_FMT "/au/", PANG_STR_ARG(v->scope)),
            .after = after,
            .limit = PANG_SCAN_MAX,
            .keys_only = true};
        pang_code code = pang_store_scan(v->store, &query, PANG_NO_DEADLINE, take_stray, &s, err);
        if (code != PANG_OK || !is_good(v) || s.n < PANG_SCAN_MAX)
            return code;
        memcpy(kept, s.last.ptr, s.last.len);
        after = (pang_str){kept, s.last.len};
    }
}

static pang_code verify(verifying *v, const pang_audit_anchor *anchor, pang_arena *lasting,
                        pang_err *err)
{
    uint8_t hash[PANG_HASH_BYTES] = {0};
    pang_rec_audit_head *head = NULL;
    pang_code code = read_head(v, lasting, &head, err);
    if (code != PANG_OK || !is_good(v))
        return code;
    size_t hash_len = head->removed_hash.len == PANG_HASH_BYTES ? PANG_HASH_BYTES : 0;
    if (hash_len > 0)
        memcpy(hash, head->removed_hash.data, hash_len);
    v->report->removed = head->removed_entries;
    v->report->seals = head->removed_seals;
    for (uint64_t i = head->removed_seals; code == PANG_OK && is_good(v) && i < head->seals; i++) {
        code = step(v, i + 1, anchor, hash, &hash_len, err);
        v->report->seals += is_good(v);
        pang_arena_reset(v->arena);
    }
    memcpy(v->report->hash, hash, sizeof hash);
    if (code == PANG_OK && is_good(v))
        code = check_end(v, head, (pang_str){(const char *)hash, hash_len}, err);
    if (code == PANG_OK && is_good(v))
        code = check_rest(v, err);
    if (code == PANG_OK && is_good(v))
        code = check_strays(v, err);
    if (code == PANG_OK && anchor != NULL && anchor->seal > head->seals)
        seal_fault(v, anchor->seal, "the seal that was noted is not there");
    return code;
}

pang_code pang_audit_verify(pang_store *store, pang_str scope, const pang_audit_anchor *anchor,
                            pang_audit_report *ret, pang_err *err)
{
    pang_audit_report report = {.good = true};
    pang_arena *arena = pang_arena_new(STEP_MEMORY), *lasting = pang_arena_new(STEP_MEMORY);
    pang_code code = pang_fail_memory(err);
    verifying *v = arena == NULL || lasting == NULL ? NULL : pang_arena_alloc(lasting, sizeof *v);
    if (v != NULL) {
        *v = (verifying){
            .store = store, .scope = scope, .arena = arena, .err = err, .report = &report};
        code = verify(v, anchor, lasting, err);
    }
    pang_arena_free(arena);
    pang_arena_free(lasting);
    if (code == PANG_OK)
        *ret = report;
    return code;
}

/* ---- scopes ---- */

static bool take_scope(void *arg, const pang_record *row)
{
    char *to = arg;
    size_t len = pang_str_find(row->key, '/');
    if (len <= PANG_SCOPE_MAX) {
        memcpy(to, row->key.ptr, len);
        to[len] = '\0';
    }
    return false;
}

/* Skips from one to the next: behind all keys of a scope, since '0' follows '/'. */
pang_code pang_audit_scopes(pang_store *store, pang_audit_scope_fn *fn, void *arg, pang_err *err)
{
    char scope[PANG_SCOPE_MAX + 1] = "", after[PANG_SCOPE_MAX + 2] = "";
    pang_query query = {.limit = 1, .keys_only = true};
    for (;;) {
        scope[0] = '\0';
        pang_code code = pang_store_scan(store, &query, PANG_NO_DEADLINE, take_scope, scope, err);
        if (code != PANG_OK || scope[0] == '\0' || !fn(arg, pang_str_from(scope)))
            return code;
        (void)snprintf(after, sizeof after, "%s0", scope);
        query.after = pang_str_from(after);
    }
}
