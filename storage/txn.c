/*
 * The catalog handle and its transactions: writes and their end. Reads are in txn_read.c, the
 * cache in cache.c, the way of commits to the store in group.c.
 *
 * Phases of a transaction: begun; reads and writes in any order; ended, by commit or finish, once.
 * One that is never ended is dropped when its arena is reset. In each case it is settled there and
 * then whether it landed, and the on_lost hooks run if it surely did not.
 *
 * Around the apply the keys of all writes are marked in the cache: out before the store hears of
 * the commit, and kept out until its outcome is known. If it never is, they stay out.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/keys.h"
#include "storage/txn_internal.h"

enum {
    RESOLVE_GRACE_MS = 15000, /* to learn an outcome, also when the caller's deadline is near */
    PAUSE_MAX_US = 50000,     /* between two runs of one piece of work */
};

/* ---- the handle ---- */

pang_code pang_db_open(pang_store *store, const pang_db_config *config, pang_db **ret,
                       pang_err *err)
{
    static const pang_db_config defaults = {0};
    const pang_db_config *c = config == NULL ? &defaults : config;
    pang_db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return pang_fail_memory(err);
    if (!pang_group_init(&db->group, store, c->group_max == 0 ? PANG_DB_GROUP_MAX : c->group_max,
                         c->group_bytes_max == 0 ? PANG_DB_GROUP_BYTES : c->group_bytes_max)) {
        free(db);
        return pang_fail_memory(err);
    }
    if (!pang_bells_init(db->bells)) {
        pang_group_done(&db->group);
        free(db);
        return pang_fail_memory(err);
    }
    pang_cache_init(&db->cache, c->cache_bytes == 0 ? PANG_DB_CACHE_BYTES : c->cache_bytes,
                    store->env);
    db->magic = PANG_DB_MAGIC;
    db->store = store;
    db->exclusive = store->ops->exclusive;
    *ret = db;
    return PANG_OK;
}

void pang_db_close(pang_db *db)
{
    if (db == NULL)
        return;
    assert(db->magic == PANG_DB_MAGIC);
    pang_group_done(&db->group);
    pang_bells_done(db->bells);
    pang_cache_done(&db->cache);
    pang_store_close(db->store);
    free(db);
}

pang_store *pang_db_store(pang_db *db)
{
    return db->store;
}

void pang_db_get_stats(pang_db *db, pang_db_stats *ret)
{
    *ret = (pang_db_stats){
        .commits = atomic_load(&db->commits),
        .aborted = atomic_load(&db->aborted),
        .failed = atomic_load(&db->failed),
        .unknown = atomic_load(&db->unknown),
        .groups = atomic_load(&db->group.groups),
        .gets = atomic_load(&db->gets),
        .scans = atomic_load(&db->scans),
    };
    pang_cache_add_stats(&db->cache, ret);
}

/* ---- begin ---- */

pang_txn *pang_txn_begin(pang_db *db, pang_str scope, int64_t deadline_ms, pang_arena *arena)
{
    assert(db->magic == PANG_DB_MAGIC);
    pang_txn *txn = pang_arena_alloc(arena, sizeof *txn);
    if (txn == NULL)
        return NULL;
    txn->magic = PANG_TXN_MAGIC;
    txn->db = db;
    txn->arena = arena;
    txn->scope = scope;
    txn->deadline_ms = deadline_ms;
    txn->last = &txn->first;
    txn->slotted_last = &txn->slotted;
    return txn;
}

/* ---- writes ---- */

static void fail_write(pang_txn *txn, pang_code code)
{
    if (txn->failure == PANG_OK)
        txn->failure = code;
}

static pang_touch *touch_for_write(pang_txn *txn, pang_str key)
{
    assert(txn->magic == PANG_TXN_MAGIC && !txn->ended);
    pang_touch *t = pang_touch_of(txn, key, pang_cache_hash(&txn->db->cache, key), true);
    if (t == NULL)
        fail_write(txn, PANG_RESOURCE_EXHAUSTED);
    return t;
}

static void put_slotted(pang_txn *txn, const pang_put *put)
{
    pang_list_put *kept = pang_arena_alloc(txn->arena, sizeof *kept);
    if (kept == NULL) {
        fail_write(txn, PANG_RESOURCE_EXHAUSTED);
        return;
    }
    kept->put = *put;
    *txn->slotted_last = kept;
    txn->slotted_last = &kept->next;
    txn->n_slotted++;
}

void pang_txn_put_full(pang_txn *txn, const pang_put *put)
{
    if (put->key_slot != PANG_NO_SLOT) {
        put_slotted(txn, put);
        return;
    }
    pang_touch *t = touch_for_write(txn, put->key);
    pang_put *kept = pang_arena_alloc(txn->arena, sizeof *kept);
    if (t == NULL || kept == NULL) {
        fail_write(txn, PANG_RESOURCE_EXHAUSTED);
        return;
    }
    *kept = *put;
    kept->key = t->key;
    txn->n_deletes -= t->deleted;
    txn->n_puts += t->put == NULL;
    t->deleted = false;
    t->put = kept;
}

void pang_txn_put(pang_txn *txn, uint32_t kind, pang_str key, pang_str body)
{
    pang_txn_put_full(txn, &(pang_put){
                               .key = key,
                               .body = body,
                               .kind = kind,
                               .slot = PANG_NO_SLOT,
                               .key_slot = PANG_NO_SLOT,
                           });
}

void pang_txn_delete(pang_txn *txn, pang_str key)
{
    pang_touch *t = touch_for_write(txn, key);
    if (t == NULL)
        return;
    txn->n_puts -= t->put != NULL;
    txn->n_deletes += !t->deleted;
    t->put = NULL;
    t->deleted = true;
}

int pang_txn_append(pang_txn *txn, pang_str sequence)
{
    for (size_t i = 0; i < txn->n_appends; i++)
        if (pang_str_equal(txn->appends[i], sequence))
            return (int)i;
    if (txn->n_appends == PANG_APPENDS_MAX) {
        fail_write(txn, PANG_INVALID_ARGUMENT);
        return PANG_NO_SLOT;
    }
    txn->appends[txn->n_appends] = sequence;
    return (int)txn->n_appends++;
}

void pang_txn_add(pang_txn *txn, pang_str counter, int64_t amount)
{
    pang_touch *t = touch_for_write(txn, counter);
    if (t == NULL)
        return;
    txn->n_adds += !t->adds;
    t->adds = true;
    t->added += amount;
}

static void add_check(pang_txn *txn, const pang_check *check)
{
    pang_list_check *kept = pang_arena_alloc(txn->arena, sizeof *kept);
    if (kept == NULL) {
        fail_write(txn, PANG_RESOURCE_EXHAUSTED);
        return;
    }
    *kept = (pang_list_check){txn->checks, *check};
    txn->checks = kept;
    txn->n_checks++;
}

void pang_txn_check(pang_txn *txn, pang_str key, uint64_t version)
{
    add_check(txn, &(pang_check){.key = key, .version = version});
}

void pang_txn_check_counter(pang_txn *txn, pang_str counter, int64_t value)
{
    add_check(txn, &(pang_check){.key = counter, .value = value, .is_counter = true});
}

void pang_txn_set_id(pang_txn *txn, pang_id id, pang_str id_key, pang_str id_body, bool kept)
{
    txn->has_id = true;
    txn->id = id;
    txn->id_key = id_key;
    txn->id_body = id_body;
    txn->id_kept = kept;
}

int64_t pang_txn_wall_ms(const pang_txn *txn)
{
    return pang_env_wall_ms(pang_db_store(txn->db)->env);
}

bool pang_txn_writes(const pang_txn *txn)
{
    return txn->n_puts + txn->n_deletes + txn->n_slotted + txn->n_appends + txn->n_adds > 0 ||
           txn->has_id || txn->failure != PANG_OK;
}

/* ---- the end of a transaction ---- */

static void run_lost(void *arg)
{
    pang_txn *txn = arg;
    while (txn->lost != NULL) {
        pang_lost_hook *hook = txn->lost;
        txn->lost = hook->older;
        hook->fn(hook->arg);
    }
}

static void forget_lost(pang_txn *txn)
{
    txn->lost = NULL;
}

bool pang_txn_on_lost(pang_txn *txn, void (*fn)(void *arg), void *arg)
{
    assert(txn->magic == PANG_TXN_MAGIC && !txn->ended);
    pang_lost_hook *hook = pang_arena_alloc(txn->arena, sizeof *hook);
    if (hook != NULL && !txn->hooked)
        txn->hooked = pang_arena_on_reset(txn->arena, run_lost, txn);
    if (hook == NULL || !txn->hooked) {
        fail_write(txn, PANG_RESOURCE_EXHAUSTED);
        fn(arg);
        return false;
    }
    *hook = (pang_lost_hook){txn->lost, fn, arg};
    txn->lost = hook;
    return true;
}

void pang_txn_take_back(pang_txn *txn)
{
    assert(txn->magic == PANG_TXN_MAGIC && !txn->ended);
    run_lost(txn);
}

pang_code pang_txn_finish(pang_txn *txn, pang_err *err)
{
    assert(txn->magic == PANG_TXN_MAGIC && !txn->ended);
    pang_code code = txn->failure == PANG_ABORTED
                         ? pang_fail(err, PANG_ABORTED, "CommitFailedException",
                                     "a record changed while it was read")
                         : pang_txn_validate(txn, err);
    txn->ended = true;
    run_lost(txn);
    return code;
}

/* ---- commit ---- */

/* A version that was read is a condition if it was read so, or if nobody but the cache vouched for
 * it: the commit asks anyway, for nothing. */
static bool is_condition(const pang_touch *t)
{
    return t->has_read && (t->checked || t->guess);
}

static size_t fill_checks(const pang_txn *txn, pang_check *checks)
{
    size_t n = 0;
    for (const pang_touch *t = txn->first; t != NULL; t = t->next)
        if (is_condition(t))
            checks[n++] = (pang_check){.key = t->key, .version = t->read.version};
    for (const pang_list_check *c = txn->checks; c != NULL; c = c->next)
        checks[n++] = c->check;
    return n;
}

static void fill_writes(const pang_txn *txn, pang_put *puts, pang_str *deletes, pang_add *adds)
{
    for (const pang_touch *t = txn->first; t != NULL; t = t->next) {
        if (t->put != NULL)
            *puts++ = *t->put;
        if (t->deleted)
            *deletes++ = t->key;
        if (t->adds)
            *adds++ = (pang_add){t->key, t->added};
    }
    for (const pang_list_put *p = txn->slotted; p != NULL; p = p->next)
        *puts++ = p->put;
}

static pang_code choose_id(pang_txn *txn, pang_commit *c, pang_err *err)
{
    c->id = txn->id;
    c->id_key = txn->id_key;
    c->id_body = txn->id_body;
    c->id_kept = txn->id_kept;
    if (txn->has_id)
        return PANG_OK;
    pang_keys keys = {.arena = txn->arena, .scope = txn->scope};
    c->id = pang_id_v7(txn->db->store->env);
    c->id_key = pang_key_commit_id(&keys, c->id);
    return pang_keys_status(&keys, err);
}

/* The transaction as the store wants it. */
static pang_code make_commit(pang_txn *txn, pang_commit *c, pang_err *err)
{
    size_t n_checks = txn->n_checked + txn->n_guesses + txn->n_checks;
    size_t n_puts = txn->n_puts + txn->n_slotted;
    pang_check *checks = pang_arena_alloc_n(txn->arena, n_checks, sizeof *checks);
    pang_put *puts = pang_arena_alloc_n(txn->arena, n_puts, sizeof *puts);
    pang_str *deletes = pang_arena_alloc_n(txn->arena, txn->n_deletes, sizeof *deletes);
    pang_add *adds = pang_arena_alloc_n(txn->arena, txn->n_adds, sizeof *adds);
    if (checks == NULL || puts == NULL || deletes == NULL || adds == NULL)
        return pang_fail_memory(err);
    fill_writes(txn, puts, deletes, adds);
    c->scope = txn->scope;
    c->checks = checks;
    c->n_checks = fill_checks(txn, checks);
    c->puts = puts;
    c->n_puts = n_puts;
    c->deletes = deletes;
    c->n_deletes = txn->n_deletes;
    c->appends = txn->appends;
    c->n_appends = txn->n_appends;
    c->adds = adds;
    c->n_adds = txn->n_adds;
    return choose_id(txn, c, err);
}

typedef pang_cache_token change_fn(pang_cache *cache, uint64_t hash, pang_str key);

/* Calls `mark` for every key the commit changes but those it puts. */
static void mark_others(pang_cache *cache, const pang_commit *c, change_fn *mark)
{
    for (size_t i = 0; i < c->n_deletes; i++)
        (void)mark(cache, pang_cache_hash(cache, c->deletes[i]), c->deletes[i]);
    for (size_t i = 0; i < c->n_adds; i++)
        (void)mark(cache, pang_cache_hash(cache, c->adds[i].counter), c->adds[i].counter);
    for (size_t i = 0; i < c->n_appends; i++)
        (void)mark(cache, pang_cache_hash(cache, c->appends[i]), c->appends[i]);
    (void)mark(cache, pang_cache_hash(cache, c->id_key), c->id_key);
}

/* Of puts, those whose key is known: with a slot in it, it has no mark. */
static void begin_changes(pang_cache *cache, const pang_commit *c, pang_cache_token *tokens)
{
    for (size_t i = 0; i < c->n_puts; i++)
        if (c->puts[i].key_slot == PANG_NO_SLOT)
            tokens[i] = pang_cache_begin_change(cache, pang_cache_hash(cache, c->puts[i].key),
                                                c->puts[i].key);
    mark_others(cache, c, pang_cache_begin_change);
}

/* What a put left behind, if all of it is known here. What carries the commit's number and time is
 * the head of something and read again soon; the rest of a commit is looked at by few. */
static bool know_record(const pang_commit *c, size_t at, pang_record *ret)
{
    const pang_put *put = &c->puts[at];
    if (c->outcome != PANG_COMMIT_OK || c->first_version == 0 || put->slot == PANG_NO_SLOT ||
        put->expires_ms != 0)
        return false;
    *ret = (pang_record){
        .key = put->key,
        .version = c->first_version + at,
        .sequence = c->numbers[put->slot],
        .time_ms = c->time_ms,
        .kind = put->kind,
        .body = put->body,
    };
    return true;
}

static void end_changes(pang_cache *cache, const pang_commit *c, const pang_cache_token *tokens)
{
    for (size_t i = 0; i < c->n_puts; i++) {
        const pang_put *put = &c->puts[i];
        pang_record rec;
        if (put->key_slot != PANG_NO_SLOT)
            continue;
        uint64_t hash = pang_cache_hash(cache, put->key);
        if (know_record(c, i, &rec))
            pang_cache_end_put(cache, hash, tokens[i], &rec);
        else
            (void)pang_cache_end_change(cache, hash, put->key);
    }
    mark_others(cache, c, pang_cache_end_change);
}

/* Keys with a slot are known only now. That one of them was cached as absent is next to
 * impossible, since its number did not exist; it may not stay so. */
static void drop_slotted(pang_db *db, const pang_commit *c)
{
    char key[PANG_KEY_MAX];
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < c->n_puts; i++) {
        const pang_put *put = &c->puts[i];
        if (put->key_slot == PANG_NO_SLOT || put->key.len > sizeof key)
            continue;
        memcpy(key, put->key.ptr, put->key.len);
        uint64_t number = c->numbers[put->key_slot];
        for (size_t at = PANG_SLOT_DIGITS; at-- > 0; number >>= 4)
            key[put->key_slot_at + at] = digits[number & 15];
        pang_str made = {key, put->key.len};
        pang_cache_drop(&db->cache, pang_cache_hash(&db->cache, made), made);
    }
}

/* Lost a race. Where others write too, what the cache said may be what was wrong. */
static void drop_reads(pang_txn *txn)
{
    if (txn->db->exclusive)
        return;
    for (const pang_touch *t = txn->first; t != NULL; t = t->next)
        if (is_condition(t))
            pang_cache_drop(&txn->db->cache, t->hash, t->key);
}

static void send(pang_txn *txn, pang_commit *c, pang_cache_token *tokens)
{
    pang_db *db = txn->db;
    begin_changes(&db->cache, c, tokens);
    atomic_fetch_add(&db->cache.changes, 1);
    pang_group_commit(&db->group, c);
    if (c->outcome == PANG_COMMIT_UNKNOWN) {
        atomic_fetch_add_explicit(&db->unknown, 1, memory_order_relaxed);
        int64_t until = pang_env_mono_ms(db->store->env) + RESOLVE_GRACE_MS;
        pang_store_resolve(db->store, c, txn->deadline_ms > until ? txn->deadline_ms : until);
    }
    if (c->outcome == PANG_COMMIT_OK)
        drop_slotted(db, c);
    if (c->outcome != PANG_COMMIT_UNKNOWN)
        end_changes(&db->cache, c, tokens);
    if (c->outcome == PANG_COMMIT_OK)
        pang_bells_ring(db->bells, c->appends, c->n_appends);
}

static pang_code conclude(pang_txn *txn, const pang_commit *c, pang_err *err)
{
    pang_db *db = txn->db;
    switch (c->outcome) {
    case PANG_COMMIT_OK:
        atomic_fetch_add_explicit(&db->commits, 1, memory_order_relaxed);
        memcpy(txn->numbers, c->numbers, sizeof txn->numbers);
        txn->time_ms = c->time_ms;
        forget_lost(txn);
        return PANG_OK;
    case PANG_COMMIT_ABORTED:
        atomic_fetch_add_explicit(&db->aborted, 1, memory_order_relaxed);
        drop_reads(txn);
        run_lost(txn);
        return pang_fail(err, PANG_ABORTED, "CommitFailedException",
                         "what this commit is based on was changed by another");
    case PANG_COMMIT_FAILED:
        atomic_fetch_add_explicit(&db->failed, 1, memory_order_relaxed);
        run_lost(txn);
        assert(c->err.code != PANG_OK);
        if (err != NULL)
            *err = c->err;
        return c->err.code;
    case PANG_COMMIT_UNKNOWN:
        break;
    }
    forget_lost(txn);
    pang_code code = pang_fail(err, PANG_UNKNOWN, "CommitStateUnknownException",
                               "the store did not say whether the commit landed");
    pang_err_detail(err, "%s", c->err.message);
    return code;
}

static pang_code fail_commit(pang_txn *txn, pang_err *err)
{
    switch (txn->failure) {
    case PANG_RESOURCE_EXHAUSTED:
        return pang_fail_memory(err);
    case PANG_ABORTED:
        return pang_fail(err, PANG_ABORTED, "CommitFailedException",
                         "a record changed while it was read");
    default:
        return pang_fail(err, txn->failure, NULL, "a commit appends to too many sequences");
    }
}

static pang_code check_deadline(const pang_txn *txn, pang_err *err)
{
    if (txn->deadline_ms == PANG_NO_DEADLINE ||
        pang_env_mono_ms(txn->db->store->env) < txn->deadline_ms)
        return PANG_OK;
    return pang_fail(err, PANG_DEADLINE_EXCEEDED, NULL, "deadline passed before the commit");
}

pang_code pang_txn_commit(pang_txn *txn, pang_err *err)
{
    assert(txn->magic == PANG_TXN_MAGIC && !txn->ended);
    if (!pang_txn_writes(txn) && txn->n_checks == 0)
        return pang_txn_finish(txn, err);
    txn->ended = true;
    pang_commit c = {0};
    pang_code code = txn->failure != PANG_OK ? fail_commit(txn, err) : check_deadline(txn, err);
    if (code == PANG_OK)
        code = make_commit(txn, &c, err);
    pang_cache_token *tokens = pang_arena_alloc_n(txn->arena, c.n_puts, sizeof *tokens);
    if (code == PANG_OK && tokens == NULL)
        code = pang_fail_memory(err);
    if (code != PANG_OK) {
        run_lost(txn);
        return code;
    }
    send(txn, &c, tokens);
    return conclude(txn, &c, err);
}

uint64_t pang_txn_number(const pang_txn *txn, int slot)
{
    assert(slot >= 0 && slot < PANG_APPENDS_MAX);
    return txn->numbers[slot];
}

int64_t pang_txn_time_ms(const pang_txn *txn)
{
    return txn->time_ms;
}

/* ---- run ---- */

/* Twice as long each time, and by chance somewhat less, so that losers do not meet again. */
static void pause_before(pang_db *db, int run)
{
    uint32_t chance;
    pang_env_random(db->store->env, &chance, sizeof chance);
    uint32_t most = run < 7 ? 500u << run : PAUSE_MAX_US;
    uint32_t us = most / 2 + chance % (most / 2);
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
}

/* One run: the work, and the end of its transaction. */
static pang_code run_once(pang_db *db, pang_str scope, int64_t deadline_ms, pang_arena *arena,
                          pang_txn_fn *fn, void *arg, pang_err *err)
{
    pang_txn *txn = pang_txn_begin(db, scope, deadline_ms, arena);
    if (txn == NULL)
        return pang_fail_memory(err);
    pang_code code = fn(txn, arg, err);
    if (code == PANG_OK)
        return pang_txn_commit(txn, err);
    /* The work failed. If what it went by was stale, so is its failure. */
    pang_err stale;
    if (pang_txn_finish(txn, &stale) != PANG_ABORTED || code == PANG_ABORTED)
        return code;
    if (err != NULL)
        *err = stale;
    return PANG_ABORTED;
}

pang_code pang_txn_run(pang_db *db, pang_str scope, int64_t deadline_ms, pang_arena *arena,
                       pang_txn_fn *fn, void *arg, pang_err *err)
{
    for (int run = 0;; run++) {
        pang_code code = run_once(db, scope, deadline_ms, arena, fn, arg, err);
        if (code != PANG_ABORTED || run + 1 == PANG_TXN_TRIES)
            return code;
        if (deadline_ms != PANG_NO_DEADLINE && pang_env_mono_ms(db->store->env) >= deadline_ms)
            return code;
        pause_before(db, run);
    }
}
