/*
 * The sealer. A seal is one commit: it reads where the tenant's chain ends, takes the rows of all
 * servers that came since, and writes the next link and the new end, whose version it checks. So
 * of two servers that seal at once one loses and starts again from the other's end: the version is
 * the fence, whatever the clocks say. The lease in the end only keeps the others from trying:
 * whoever sealed last goes on alone until the lease ends.
 *
 * The index is written here and not in a row's own commit: there it would be two more records in
 * the commit of every change, and rows of one caller within a seal share one record here.
 */
#include "server/audit_internal.h"

#include <string.h>

#include "api/log.h"
#include "server/audit_chain.h"

enum {
    SEAL_ROWS_MAX = 2048,
    SEAL_BYTES_MAX = 16 << 20, /* of the rows of one seal, about */
    SEAL_KEYS_MAX = 3000,      /* records of the index in one seal, about */
    SEAL_TIME_MS = 10 * 1000,
    SERVERS_MAX = 1024,
    ACTIONS_MAX = 128, /* told of in a seal: more make the list empty, which means any */
};

/* A server's rows that wait. */
typedef struct {
    pang_id server;
    uint64_t sealed, last; /* numbers */
} waiting;

/* One record of the index under construction; found through a hash. */
typedef struct {
    pang_id id;
    bool is_resource;
    uint32_t *rows;
    size_t n, room;
} place;

enum { PLACE_SLOTS = 4 * (SEAL_KEYS_MAX + 4 * AUDIT_GROUP_KINDS) };

typedef struct {
    pang_audit *audit;
    pang_arena *arena;
    pang_keys keys;
    pang_txn *txn;
    pang_err *err;
    pang_code code;
    pang_rec_audit_head *head;
    waiting *servers; /* in the order of the head, new ones behind */
    size_t n_servers, n_known;
    bool is_held; /* by another server */

    pang_rec_audit_seal seal;
    pang_rec_audit_span *spans;
    uint8_t *leaves;
    size_t n_rows, bytes;
    const waiting *at; /* whose rows are read */
    uint64_t next;     /* the number that the next row must have */
    place *places;
    size_t n_places;
    uint32_t *slots; /* position in places + 1 */
} sealing;

/* ---- what there is ---- */

static bool take_sequence(void *arg, const pang_record *row)
{
    sealing *s = arg;
    pang_key_parts parts;
    pang_id server;
    if (!pang_key_parse(row->key, &parts) || !pang_id_parse(parts.parts[0], &server))
        return true;
    size_t i = 0;
    while (i < s->n_servers && !pang_id_equal(s->servers[i].server, server))
        i++;
    if (i == SERVERS_MAX) {
        s->code = pang_fail(s->err, PANG_RESOURCE_EXHAUSTED, NULL,
                            "more than %d servers have written the audit log", SERVERS_MAX);
        return false;
    }
    if (i == s->n_servers)
        s->servers[s->n_servers++] = (waiting){.server = server};
    s->servers[i].last = (uint64_t)row->value;
    return true;
}

static pang_code read_head(sealing *s, pang_err *err)
{
    static const pang_rec_audit_head none = PANGOLIN__STORE__V1__AUDIT_HEAD__INIT;
    pang_record record;
    pang_code code = pang_txn_get_one(s->txn, pang_key_audit_head(&s->keys), &record, err);
    if (code != PANG_OK)
        return code;
    s->head = pang_arena_alloc(s->arena, sizeof none);
    s->servers = pang_arena_alloc_n(s->arena, SERVERS_MAX, sizeof *s->servers);
    if (s->head == NULL || s->servers == NULL)
        return pang_fail_memory(err);
    *s->head = none;
    if (record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__audit_head__descriptor, &record, s->arena,
                                  &s->head, err);
    for (size_t i = 0; code == PANG_OK && i < s->head->n_servers && i < SERVERS_MAX; i++)
        s->servers[s->n_servers++] = (waiting){pang_id_of(s->head->servers[i]->server),
                                               s->head->servers[i]->last, 0};
    s->n_known = s->n_servers;
    return code;
}

static pang_code read_ends(sealing *s, pang_err *err)
{
    pang_query query = {.prefix = pang_key_audit_sequences(&s->keys), .limit = SERVERS_MAX + 1};
    pang_code code = read_head(s, err);
    if (code == PANG_OK)
        code = pang_txn_scan(s->txn, &query, take_sequence, s, err);
    if (code != PANG_OK || s->code != PANG_OK)
        return code != PANG_OK ? code : s->code;
    pang_id sealer = pang_id_of(s->head->sealer);
    s->is_held = !pang_id_equal(sealer, s->audit->config.server) &&
                 s->head->lease_ms > pang_env_wall_ms(s->audit->config.env);
    return PANG_OK;
}

static bool is_waiting(const sealing *s)
{
    for (size_t i = 0; i < s->n_servers; i++)
        if (s->servers[i].last > s->servers[i].sealed)
            return true;
    return false;
}

/* ---- the index ---- */

static void add_place(sealing *s, pang_id id, bool is_resource)
{
    if (pang_id_is_nil(id))
        return;
    uint64_t hash = pang_str_hash((pang_str){(const char *)id.bytes, sizeof id.bytes}) +
                    (is_resource ? 1 : 0);
    size_t at = (size_t)(hash % PLACE_SLOTS);
    place *p = NULL;
    for (; s->slots[at] != 0 && p == NULL; at = (at + 1) % PLACE_SLOTS) {
        place *found = &s->places[s->slots[at] - 1];
        if (pang_id_equal(found->id, id) && found->is_resource == is_resource)
            p = found;
    }
    if (p == NULL) {
        p = &s->places[s->n_places++];
        *p = (place){.id = id, .is_resource = is_resource};
        s->slots[at] = (uint32_t)s->n_places;
    }
    uint32_t row = (uint32_t)s->n_rows;
    if (p->n > 0 && p->rows[p->n - 1] == row)
        return;
    if (p->n == p->room) {
        size_t room = p->room == 0 ? 4 : 2 * p->room;
        uint32_t *rows = pang_arena_alloc_n(s->arena, room, sizeof *rows);
        if (rows == NULL)
            return; /* the arena is marked */
        if (p->n > 0)
            memcpy(rows, p->rows, p->n * sizeof *rows);
        p->rows = rows;
        p->room = room;
    }
    p->rows[p->n++] = row;
}

static void add_action(sealing *s, const char *action)
{
    pang_rec_audit_seal *seal = &s->seal;
    for (size_t i = 0; i < seal->n_actions; i++)
        if (strcmp(seal->actions[i], action) == 0)
            return;
    if (seal->n_actions < ACTIONS_MAX)
        seal->actions[seal->n_actions++] = pang_arena_cstr(s->arena, pang_str_from(action));
}

static void add_outcome(sealing *s, uint32_t code)
{
    s->seal.has_success |= code == PANG_OK;
    s->seal.has_failure |= code != PANG_OK;
}

static void add_time(sealing *s, int64_t time_ms)
{
    pang_rec_audit_seal *seal = &s->seal;
    if (seal->entries == 0 || time_ms < seal->oldest_ms)
        seal->oldest_ms = time_ms;
    if (seal->newest_ms - time_ms > seal->lag_ms)
        seal->lag_ms = seal->newest_ms - time_ms;
    if (time_ms > seal->newest_ms)
        seal->newest_ms = time_ms;
    seal->entries++;
}

static void index_group(sealing *s, const pang_rec_audit_group *group)
{
    for (size_t i = 0; i < group->n_whos; i++)
        add_place(s, pang_id_of(group->whos[i]->principal), false);
    for (size_t i = 0; i < group->n_whats; i++) {
        add_action(s, group->whats[i]->action);
        if (group->whats[i]->resource != NULL)
            add_place(s, pang_id_of(group->whats[i]->resource->id), true);
    }
    for (size_t i = 0; i < group->n_entries; i++) {
        add_outcome(s, group->entries[i]->code);
        add_time(s, group->begin_ms + group->entries[i]->after_ms);
    }
}

static void index_row(sealing *s, const pang_rec_audit_row *row, int64_t time_ms)
{
    if (row->group != NULL) {
        index_group(s, row->group);
        return;
    }
    add_place(s, pang_id_of(row->principal), false);
    if (row->resource != NULL)
        add_place(s, pang_id_of(row->resource->id), true);
    add_action(s, row->action);
    add_outcome(s, row->code);
    add_time(s, time_ms);
}

/* ---- rows ---- */

static bool is_full(const sealing *s)
{
    return s->n_rows == SEAL_ROWS_MAX || s->bytes >= SEAL_BYTES_MAX || s->n_places >= SEAL_KEYS_MAX;
}

static void warn(const sealing *s, const char *what)
{
    char server[PANG_ID_TEXT + 1];
    pang_id_text(s->at->server, server);
    PANG_LOG(ERROR, "the audit log was changed", PANG_LOG_TEXT("what", pang_str_from(what)),
             PANG_LOG_TEXT("tenant", s->keys.scope), PANG_LOG_TEXT("server", pang_str_from(server)),
             PANG_LOG_NUMBER("number", s->next));
}

/* A row that is not there keeps its place in the chain, so that all others are still proved. */
static void skip_missing(sealing *s, uint64_t until)
{
    while (s->next < until && !is_full(s)) {
        warn(s, "a row is gone");
        s->n_rows++; /* its leaf is zeroes */
        s->next++;
    }
}

static pang_code add_row(sealing *s, const pang_record *record, pang_err *err)
{
    uint8_t digest[PANG_HASH_BYTES];
    pang_str found;
    pang_rec_audit_row *row = NULL;
    pang_code code = pang_chain_digest(record->body, s->keys.scope, s->at->server, digest, &found,
                                       err);
    if (code == PANG_OK)
        code = pang_chain_leaf(s->at->server, s->next, record->time_ms, found,
                               s->leaves + s->n_rows * PANG_HASH_BYTES, err);
    if (code != PANG_OK)
        return code;
    if (!pang_str_equal(found, (pang_str){(const char *)digest, sizeof digest}))
        warn(s, "a row is not what was written");
    if (pang_record_unpack(&pangolin__store__v1__audit_row__descriptor, record, s->arena, &row,
                           err) == PANG_OK)
        index_row(s, row, record->time_ms);
    s->bytes += record->body.len;
    s->n_rows++;
    s->next++;
    return pang_arena_failed(s->arena) ? pang_fail_memory(err) : PANG_OK;
}

static bool take_row(void *arg, const pang_record *row)
{
    sealing *s = arg;
    pang_key_parts parts;
    uint64_t number;
    if (!pang_key_parse(row->key, &parts) || !pang_key_number(parts.parts[1], &number) ||
        number < s->next)
        return true;
    skip_missing(s, number);
    if (is_full(s) || s->code != PANG_OK)
        return false;
    s->code = add_row(s, row, s->err);
    return s->code == PANG_OK;
}

/* The rows of one server, as many as there is room for. */
static pang_code add_server(sealing *s, waiting *server, pang_err *err)
{
    pang_query query = {
        .prefix = pang_key_audits(&s->keys, server->server),
        .after = pang_key_audit(&s->keys, server->server, server->sealed),
        .until = pang_key_audit(&s->keys, server->server, server->last + 1),
        .limit = SEAL_ROWS_MAX,
    };
    s->at = server;
    s->next = server->sealed + 1;
    pang_code code = pang_keys_status(&s->keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(s->txn, &query, take_row, s, err);
    if (code != PANG_OK || s->code != PANG_OK)
        return code != PANG_OK ? code : s->code;
    skip_missing(s, server->last + 1);
    if (s->next == server->sealed + 1)
        return PANG_OK;
    pang_rec_audit_span *span = &s->spans[s->seal.n_spans];
    pangolin__store__v1__audit_span__init(span);
    span->server = pang_bytes_of_id(&server->server);
    span->first = server->sealed + 1;
    span->last = s->next - 1;
    s->seal.spans[s->seal.n_spans++] = span;
    server->sealed = span->last;
    return PANG_OK;
}

static pang_code add_rows(sealing *s, pang_err *err)
{
    pangolin__store__v1__audit_seal__init(&s->seal);
    s->seal.newest_ms = s->head->newest_ms;
    s->seal.lag_ms = s->head->lag_ms;
    s->seal.actions = pang_arena_alloc_n(s->arena, ACTIONS_MAX, sizeof(char *));
    s->seal.spans = pang_arena_alloc_n(s->arena, s->n_servers, sizeof(void *));
    s->spans = pang_arena_alloc_n(s->arena, s->n_servers, sizeof *s->spans);
    s->leaves = pang_arena_alloc_n(s->arena, SEAL_ROWS_MAX, PANG_HASH_BYTES);
    s->slots = pang_arena_alloc_n(s->arena, PLACE_SLOTS, sizeof *s->slots);
    s->places = pang_arena_alloc_n(s->arena, PLACE_SLOTS, sizeof *s->places);
    if (s->seal.actions == NULL || s->seal.spans == NULL || s->spans == NULL || s->leaves == NULL ||
        s->slots == NULL || s->places == NULL)
        return pang_fail_memory(err);
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < s->n_servers && !is_full(s); i++)
        if (s->servers[i].last > s->servers[i].sealed)
            code = add_server(s, &s->servers[i], err);
    return code;
}

/* ---- the commit ---- */

static void put_message(sealing *s, uint32_t kind, pang_str key, const ProtobufCMessage *message)
{
    pang_txn_put(s->txn, kind, key, pang_record_pack(message, s->arena));
}

static void put_places(sealing *s, uint64_t number)
{
    for (size_t i = 0; i < s->n_places; i++) {
        place *p = &s->places[i];
        pang_rec_audit_places body = PANGOLIN__STORE__V1__AUDIT_PLACES__INIT;
        body.rows = p->rows;
        body.n_rows = p->n;
        if (p->is_resource)
            put_message(s, PANG_KIND_AUDIT_RESOURCE,
                        pang_key_audit_resource(&s->keys, p->id, number), &body.base);
        else
            put_message(s, PANG_KIND_AUDIT_PRINCIPAL,
                        pang_key_audit_principal(&s->keys, p->id, number), &body.base);
    }
}

static bool fill_servers(sealing *s)
{
    pang_rec_audit_head *head = s->head;
    pang_rec_audit_span *spans = pang_arena_alloc_n(s->arena, s->n_servers, sizeof *spans);
    head->servers = pang_arena_alloc_n(s->arena, s->n_servers, sizeof *head->servers);
    if (spans == NULL || head->servers == NULL)
        return false;
    head->n_servers = 0;
    for (size_t i = 0; i < s->n_servers; i++) {
        if (s->servers[i].sealed == 0)
            continue;
        pangolin__store__v1__audit_span__init(&spans[i]);
        spans[i].server = pang_bytes_of_id(&s->servers[i].server);
        spans[i].last = s->servers[i].sealed;
        head->servers[head->n_servers++] = &spans[i];
    }
    return true;
}

static pang_code put_seal(sealing *s, uint8_t hash[PANG_HASH_BYTES], pang_err *err)
{
    pang_rec_audit_head *head = s->head;
    pang_str previous = pang_str_of(head->hash);
    s->seal.previous = head->hash;
    s->seal.leaves = (ProtobufCBinaryData){s->n_rows * PANG_HASH_BYTES, s->leaves};
    head->seals++;
    pang_code code = pang_chain_seal(previous, head->seals, pang_str_of(s->seal.leaves), hash, err);
    if (code != PANG_OK)
        return code;
    if (s->seal.n_actions == ACTIONS_MAX)
        s->seal.n_actions = 0;
    s->seal.hash = (ProtobufCBinaryData){PANG_HASH_BYTES, hash};
    put_message(s, PANG_KIND_AUDIT_SEAL, pang_key_audit_seal(&s->keys, head->seals), &s->seal.base);
    put_places(s, head->seals);
    head->hash = s->seal.hash;
    head->entries += s->seal.entries;
    head->newest_ms = s->seal.newest_ms;
    head->lag_ms = s->seal.lag_ms;
    head->sealer = pang_bytes_of_id(&s->audit->config.server);
    head->lease_ms = pang_env_wall_ms(s->audit->config.env) + PANG_AUDIT_LEASE_MS;
    if (!fill_servers(s))
        return pang_fail_memory(err);
    put_message(s, PANG_KIND_AUDIT_HEAD, pang_key_audit_head(&s->keys), &head->base);
    return pang_keys_status(&s->keys, err);
}

static pang_code seal_once(sealing *s, bool *ret_all, pang_err *err)
{
    uint8_t hash[PANG_HASH_BYTES];
    int64_t deadline = pang_env_mono_ms(s->audit->config.env) + SEAL_TIME_MS;
    s->err = err;
    s->txn = pang_txn_begin(s->audit->config.db, s->keys.scope, deadline, s->arena);
    pang_code code = s->txn == NULL ? pang_fail_memory(err) : read_ends(s, err);
    *ret_all = false;
    if (code != PANG_OK || s->is_held || !is_waiting(s)) {
        *ret_all = code == PANG_OK && !is_waiting(s);
        return code == PANG_OK ? pang_txn_finish(s->txn, err) : code;
    }
    code = add_rows(s, err);
    if (code == PANG_OK)
        code = put_seal(s, hash, err);
    if (code == PANG_OK)
        code = pang_txn_commit(s->txn, err);
    if (code != PANG_OK)
        return code;
    *ret_all = !is_waiting(s);
    atomic_fetch_add(&s->audit->seals, 1);
    return PANG_OK;
}

pang_code pang_audit_seal(pang_audit *audit, pang_str scope, bool *ret_all, pang_err *err)
{
    pang_arena *arena = pang_arena_new(4 * (size_t)AUDIT_ARENA_BYTES);
    pang_code code = arena == NULL ? pang_fail_memory(err) : PANG_OK;
    pthread_mutex_t *lock = &audit->seal_locks[pang_str_hash(scope) % AUDIT_SEAL_LOCKS];
    bool all = false;
    (void)pthread_mutex_lock(lock);
    while (code == PANG_OK) {
        sealing s = {.audit = audit, .arena = arena, .keys = {.arena = arena, .scope = scope}};
        code = seal_once(&s, &all, err);
        if (all || s.is_held)
            break;
        pang_arena_reset(arena);
    }
    (void)pthread_mutex_unlock(lock);
    pang_arena_free(arena);
    if (code == PANG_OK)
        *ret_all = all;
    return code;
}
