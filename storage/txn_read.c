/*
 * Reads of a transaction. Three places answer, in this order: the transaction itself (own writes,
 * and what it read before, so that reads repeat), the cache, the store. What none of the first two
 * has goes to the store in one get.
 *
 * Where other servers may write the store, the cache only guesses. Every get that goes out takes
 * the open guesses along, so that at its snapshot all that the transaction read from the cache is
 * known to be current, or the transaction ends as ABORTED and the cache has learnt better.
 *
 * Where this process alone writes, the cache does not guess, but one get must still show one
 * state: after a mixed answer the part from the cache must still be cached, or all of it is
 * fetched at once.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "storage/txn_internal.h"

enum { FEW = 16 }; /* refs that need no memory but the stack */

/* One ref that the store is asked. */
typedef struct {
    size_t index; /* of the caller's ref */
    uint64_t hash;
    pang_cache_token token;
    pang_touch *guess; /* instead of a caller's ref: validates this */
    pang_str alias;    /* of an immutable ceiling: the key that the cache has its answer under */
} question;

/* One pang_txn_get. The arrays hold `room` each. */
typedef struct {
    pang_txn *txn;
    const pang_ref *refs;
    size_t n;
    pang_read_mode mode;
    pang_record *records;
    uint64_t *hashes;
    bool *from_cache;
    question *questions;
    size_t n_questions;
    void *room; /* what the arrays of a large one lie in; given back when it is answered */
} reading;

/* ---- touches ---- */

static bool grow_table(pang_txn *txn)
{
    if (txn->n_touches * 4 < txn->table_size * 3)
        return true;
    size_t size = txn->table_size == 0 ? 32 : txn->table_size * 2;
    pang_touch **table = pang_arena_alloc_n(txn->arena, size, sizeof(pang_touch *));
    if (table == NULL)
        return false;
    for (pang_touch *t = txn->first; t != NULL; t = t->next) {
        size_t at = t->hash & (size - 1);
        while (table[at] != NULL)
            at = (at + 1) & (size - 1);
        table[at] = t;
    }
    txn->table = table;
    txn->table_size = size;
    return true;
}

pang_touch *pang_touch_of(pang_txn *txn, pang_str key, uint64_t hash, bool make)
{
    if (make ? !grow_table(txn) : txn->table_size == 0)
        return NULL;
    size_t at = hash & (txn->table_size - 1);
    for (; txn->table[at] != NULL; at = (at + 1) & (txn->table_size - 1))
        if (txn->table[at]->hash == hash && pang_str_equal(txn->table[at]->key, key))
            return txn->table[at];
    pang_touch *t = make ? pang_arena_alloc(txn->arena, sizeof *t) : NULL;
    if (t == NULL || !pang_arena_copy(txn->arena, key, &t->key))
        return NULL;
    t->hash = hash;
    txn->table[at] = t;
    txn->n_touches++;
    *txn->last = t;
    txn->last = &t->next;
    return t;
}

static pang_record own_record(const pang_put *put, pang_str key)
{
    return (pang_record){
        .key = key,
        .body = put->body,
        .version = PANG_VERSION_OWN,
        .expires_ms = put->expires_ms,
        .kind = put->kind,
    };
}

static void mark_checked(pang_txn *txn, pang_touch *t)
{
    if (!t->checked)
        txn->n_checked++;
    t->checked = true;
}

/* The backend's own kinds change without conflicts: a version says nothing about them. */
static bool is_plain(const pang_record *r)
{
    return r->version == 0 || r->kind >= PANG_KIND_FIRST || r->kind == PANG_KIND_COMMIT_ID;
}

static bool is_checked(const reading *rd, const pang_ref *ref)
{
    return rd->mode == PANG_READ_CHECKED && !ref->unchecked && !ref->immutable;
}

/* What the transaction itself knows of the ref. */
static bool answer_self(reading *rd, size_t i)
{
    pang_touch *t = pang_touch_of(rd->txn, rd->refs[i].key, rd->hashes[i], false);
    if (t == NULL || !(t->has_read || t->put != NULL || t->deleted))
        return false;
    if (t->put != NULL)
        rd->records[i] = own_record(t->put, t->key);
    else if (t->deleted)
        rd->records[i] = (pang_record){.key = t->key};
    else
        rd->records[i] = t->read;
    if (t->has_read && t->put == NULL && !t->deleted && is_checked(rd, &rd->refs[i]))
        mark_checked(rd->txn, t);
    return true;
}

/* Remembers what was read under records[i].key. `guess`: nobody but the cache said so. */
static bool remember(reading *rd, size_t i, uint64_t hash, bool guess)
{
    pang_txn *txn = rd->txn;
    pang_record *r = &rd->records[i];
    if (!is_plain(r))
        return pang_arena_copy(txn->arena, r->key, &r->key);
    pang_touch *t = pang_touch_of(txn, r->key, hash, true);
    if (t == NULL)
        return false;
    r->key = t->key;
    if (is_checked(rd, &rd->refs[i]))
        mark_checked(txn, t);
    if (t->has_read) /* twice in one get, or under a ceiling too: the first version counts */
        return true;
    t->read = *r;
    t->has_read = true;
    if (guess) {
        t->guess = true;
        t->next_guess = txn->guesses;
        txn->guesses = t;
        txn->n_guesses++;
    }
    return true;
}

/* ---- asking the store ---- */

static void ask(reading *rd, size_t index, uint64_t hash, pang_cache_token token)
{
    rd->questions[rd->n_questions++] = (question){.index = index, .hash = hash, .token = token};
}

/* Adds guesses as far as there is room. Those that were asked leave the list. */
static size_t ask_guesses(pang_txn *txn, question *questions, size_t n, size_t room)
{
    while (txn->guesses != NULL && n < room) {
        pang_touch *t = txn->guesses;
        txn->guesses = t->next_guess;
        txn->n_guesses--;
        questions[n++] = (question){
            .guess = t,
            .hash = t->hash,
            .token = pang_cache_watch(&txn->db->cache, t->hash),
        };
    }
    return n;
}

/* Keeps an answer for others. What expires is not kept: its end is by the store's clock. Absence,
 * and what a counter has, are kept only where nobody else can change them. */
static void offer(pang_db *db, const question *q, const pang_record *r)
{
    bool lasts = r->version != 0 && is_plain(r) ? r->expires_ms == 0 : db->exclusive;
    if (lasts)
        pang_cache_fill(&db->cache, q->hash, q->token, r);
}

/* That there is nothing above yet says nothing about later. */
static void offer_ceiling(pang_db *db, const question *q, const pang_record *r)
{
    pang_record known = *r;
    known.key = q->alias;
    if (r->version != 0)
        pang_cache_fill(&db->cache, q->hash, q->token, &known);
}

static pang_code check_guess(pang_txn *txn, const question *q, const pang_record *r, pang_err *err)
{
    pang_touch *t = q->guess;
    t->guess = false;
    if (r->version == t->read.version)
        return PANG_OK;
    pang_cache_drop(&txn->db->cache, t->hash, t->key);
    txn->failure = PANG_ABORTED;
    return pang_fail(err, PANG_ABORTED, "CommitFailedException",
                     "a record changed while it was read");
}

static pang_code ask_in(reading *rd, question *questions, size_t n, pang_ref *refs,
                        pang_record *answers, pang_err *err)
{
    pang_txn *txn = rd->txn;
    pang_db *db = txn->db;
    for (size_t i = 0; i < n; i++)
        refs[i] = questions[i].guess != NULL
                      ? (pang_ref){.key = questions[i].guess->key, .mode = PANG_REF_EXACT}
                      : rd->refs[questions[i].index];
    atomic_fetch_add_explicit(&db->gets, 1, memory_order_relaxed);
    pang_code code = pang_store_get(db->store, refs, n, txn->deadline_ms, txn->arena, answers, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < n; i++) {
        if (refs[i].mode == PANG_REF_EXACT)
            offer(db, &questions[i], &answers[i]);
        else if (refs[i].immutable)
            offer_ceiling(db, &questions[i], &answers[i]);
        if (questions[i].guess == NULL)
            rd->records[questions[i].index] = answers[i];
        else if (check_guess(txn, &questions[i], &answers[i], err) != PANG_OK)
            code = PANG_ABORTED; /* the others are looked at too: one round for all the stale */
    }
    return code;
}

/* Sends the questions in one get. Answers to the caller's refs go to rd->records. */
static pang_code ask_store(reading *rd, question *questions, size_t n, pang_err *err)
{
    pang_ref few_refs[FEW];
    pang_record few_answers[FEW];
    if (n <= FEW)
        return ask_in(rd, questions, n, few_refs, few_answers, err);
    pang_record *answers = calloc(n, sizeof *answers + sizeof(pang_ref));
    if (answers == NULL)
        return pang_fail_memory(err);
    pang_code code = ask_in(rd, questions, n, (pang_ref *)(void *)(answers + n), answers, err);
    free(answers);
    return code;
}

pang_code pang_txn_validate(pang_txn *txn, pang_err *err)
{
    reading rd = {.txn = txn};
    while (txn->guesses != NULL) {
        size_t room = txn->n_guesses < PANG_GET_MAX ? txn->n_guesses : PANG_GET_MAX;
        question *questions = pang_arena_alloc_n(txn->arena, room, sizeof *questions);
        if (questions == NULL)
            return pang_fail_memory(err);
        size_t n = ask_guesses(txn, questions, 0, room);
        pang_code code = ask_store(&rd, questions, n, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* ---- ceilings over own writes ---- */

/* The own put with the least key above `from` in the range, if it is below `found` (or found is
 * absent). */
static const pang_touch *own_ceiling(const pang_txn *txn, const pang_ref *ref,
                                     const pang_record *found)
{
    pang_str prefix = pang_str_slice(ref->key, 0, ref->prefix_len);
    const pang_touch *best = NULL;
    for (const pang_touch *t = txn->first; t != NULL; t = t->next) {
        if (t->put == NULL || !pang_str_starts(t->key, prefix) ||
            pang_str_compare(t->key, ref->key) <= 0)
            continue;
        if (found->version != 0 && pang_str_compare(t->key, found->key) > 0)
            continue;
        if (best == NULL || pang_str_compare(t->key, best->key) < 0)
            best = t;
    }
    return best;
}

/* The store's answer, corrected by what this transaction deletes and puts. */
static pang_code correct_ceiling(reading *rd, size_t i, pang_err *err)
{
    pang_txn *txn = rd->txn;
    pang_record *r = &rd->records[i];
    if (txn->n_puts + txn->n_deletes == 0)
        return PANG_OK;
    pang_ref ref = rd->refs[i];
    while (r->version != 0) {
        const pang_touch *t = pang_touch_of(txn, r->key, pang_cache_hash(&txn->db->cache, r->key),
                                            false);
        if (t == NULL || !t->deleted)
            break;
        ref.key = r->key;
        atomic_fetch_add_explicit(&txn->db->gets, 1, memory_order_relaxed);
        pang_code code = pang_store_get(txn->db->store, &ref, 1, txn->deadline_ms, txn->arena, r,
                                        err);
        if (code != PANG_OK)
            return code;
    }
    const pang_touch *own = own_ceiling(txn, &rd->refs[i], r);
    if (own != NULL)
        *r = own_record(own->put, own->key);
    else if (r->version == 0)
        r->key = rd->refs[i].key;
    return PANG_OK;
}

/* Remembers a ceiling's answer under its own key. That nothing came in between is not checked. */
static pang_code finish_ceiling(reading *rd, size_t i, pang_err *err)
{
    pang_code code = correct_ceiling(rd, i, err);
    pang_record *r = &rd->records[i];
    if (code != PANG_OK || r->version == PANG_VERSION_OWN)
        return code;
    bool kept = r->version == 0
                    ? pang_arena_copy(rd->txn->arena, r->key, &r->key)
                    : remember(rd, i, pang_cache_hash(&rd->txn->db->cache, r->key), false);
    return kept ? PANG_OK : pang_fail_memory(err);
}

/* ---- get ---- */

static bool make_room(reading *rd)
{
    rd->room = calloc(rd->n, sizeof *rd->questions + sizeof *rd->hashes + sizeof *rd->from_cache);
    if (rd->room == NULL)
        return false;
    rd->questions = rd->room;
    rd->hashes = (uint64_t *)(void *)(rd->questions + rd->n);
    rd->from_cache = (bool *)(rd->hashes + rd->n);
    return true;
}

/* The cache has answers under their keys; one that was found above a key has a name that is none:
 * no key begins like this. False without memory. */
static bool make_alias(reading *rd, const pang_ref *ref, pang_str *ret)
{
    char *text = pang_arena_cstr(rd->txn->arena, ref->key);
    if (text == NULL)
        return false;
    text[0] = '\1';
    *ret = (pang_str){text, ref->key.len};
    return true;
}

static bool answer_ceiling(reading *rd, size_t i)
{
    pang_cache *cache = &rd->txn->db->cache;
    const pang_ref *ref = &rd->refs[i];
    pang_cache_token token = 0;
    pang_str alias = {0};
    if (!ref->immutable) {
        ask(rd, i, 0, token);
        return true;
    }
    if (!make_alias(rd, ref, &alias))
        return false;
    rd->hashes[i] = pang_cache_hash(cache, alias);
    switch (pang_cache_find(cache, rd->hashes[i], alias, rd->txn->arena, &rd->records[i], &token)) {
    case PANG_CACHE_HIT:
        rd->records[i].key = ref->key;
        return true;
    case PANG_CACHE_MISS:
        ask(rd, i, rd->hashes[i], token);
        rd->questions[rd->n_questions - 1].alias = alias;
        return true;
    default:
        return false;
    }
}

/* Answers from the transaction and the cache; the others become questions. */
static bool answer_from_cache(reading *rd)
{
    pang_cache *cache = &rd->txn->db->cache;
    for (size_t i = 0; i < rd->n; i++) {
        const pang_ref *ref = &rd->refs[i];
        pang_cache_token token = 0;
        if (ref->mode == PANG_REF_CEILING) {
            if (!answer_ceiling(rd, i))
                return false;
            continue;
        }
        rd->hashes[i] = pang_cache_hash(cache, ref->key);
        if (answer_self(rd, i))
            continue;
        switch (pang_cache_find(cache, rd->hashes[i], ref->key, rd->txn->arena, &rd->records[i],
                                &token)) {
        case PANG_CACHE_HIT:
            rd->records[i].key = ref->key;
            rd->from_cache[i] = true;
            break;
        case PANG_CACHE_MISS:
            ask(rd, i, rd->hashes[i], token);
            break;
        case PANG_CACHE_NO_MEMORY:
            return false;
        }
    }
    return true;
}

/* Other servers may have changed what the cache answered: remember it first, so that the get that
 * follows (if one does) takes it along. */
static bool remember_hits(reading *rd)
{
    for (size_t i = 0; i < rd->n; i++)
        if (rd->from_cache[i]) {
            bool guess = !rd->txn->db->exclusive && !rd->refs[i].immutable;
            if (!remember(rd, i, rd->hashes[i], guess))
                return false;
        }
    return true;
}

/* Whether all that the cache answered was current when the store answered the rest. */
static bool hits_hold(reading *rd)
{
    for (size_t i = 0; i < rd->n; i++)
        if (rd->from_cache[i] && !rd->refs[i].immutable &&
            !pang_cache_holds(&rd->txn->db->cache, rd->hashes[i], rd->refs[i].key,
                              rd->records[i].version))
            return false;
    return true;
}

static void ask_hits_too(reading *rd)
{
    for (size_t i = 0; i < rd->n; i++)
        if (rd->from_cache[i]) {
            rd->from_cache[i] = false;
            ask(rd, i, rd->hashes[i], pang_cache_watch(&rd->txn->db->cache, rd->hashes[i]));
        }
}

static pang_code ask_all(reading *rd, pang_err *err)
{
    question *questions = rd->questions;
    size_t n = rd->n_questions;
    size_t guesses = rd->txn->n_guesses;
    if (n == 0)
        return PANG_OK;
    if (guesses > 0) {
        size_t room = n + guesses < PANG_GET_MAX ? n + guesses : PANG_GET_MAX;
        questions = pang_arena_alloc_n(rd->txn->arena, room, sizeof *questions);
        if (questions == NULL)
            return pang_fail_memory(err);
        memcpy(questions, rd->questions, n * sizeof *questions);
        n = ask_guesses(rd->txn, questions, n, room);
    }
    return ask_store(rd, questions, n, err);
}

static pang_code get_exclusive(reading *rd, uint64_t changes, pang_err *err)
{
    pang_cache *cache = &rd->txn->db->cache;
    pang_code code = ask_all(rd, err);
    if (code != PANG_OK)
        return code;
    if (rd->n > 1 && atomic_load(&cache->changes) != changes && !hits_hold(rd)) {
        ask_hits_too(rd);
        code = ask_all(rd, err);
    }
    return code != PANG_OK || remember_hits(rd) ? code : pang_fail_memory(err);
}

static pang_code get_shared(reading *rd, pang_err *err)
{
    if (!remember_hits(rd))
        return pang_fail_memory(err);
    return ask_all(rd, err);
}

static pang_code finish_reads(reading *rd, pang_err *err)
{
    for (size_t k = 0; k < rd->n_questions; k++) {
        size_t i = rd->questions[k].index;
        if (rd->questions[k].alias.len > 0) {
            rd->records[i].key = rd->refs[i].key;
        } else if (rd->refs[i].mode == PANG_REF_CEILING) {
            pang_code code = finish_ceiling(rd, i, err);
            if (code != PANG_OK)
                return code;
        } else if (!remember(rd, i, rd->hashes[i], false)) {
            return pang_fail_memory(err);
        }
    }
    return PANG_OK;
}

static pang_code answer(reading *rd, pang_err *err)
{
    pang_db *db = rd->txn->db;
    uint64_t changes = atomic_load(&db->cache.changes);
    if (!answer_from_cache(rd))
        return pang_fail_memory(err);
    pang_code code = db->exclusive ? get_exclusive(rd, changes, err) : get_shared(rd, err);
    return code != PANG_OK ? code : finish_reads(rd, err);
}

pang_code pang_txn_get(pang_txn *txn, const pang_ref *refs, size_t n, pang_read_mode mode,
                       pang_record *records, pang_err *err)
{
    assert(txn->magic == PANG_TXN_MAGIC && !txn->ended);
    if (n > PANG_GET_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "too many records to get");
    for (size_t i = 0; i < n; i++) {
        if (refs[i].key.len == 0 && pang_arena_failed(txn->arena))
            return pang_fail_memory(err); /* the key could not be made */
        if (refs[i].key.len == 0 || refs[i].key.len > PANG_KEY_MAX)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "length of a key is out of bounds");
    }
    reading rd = {.txn = txn, .refs = refs, .n = n, .mode = mode, .records = records};
    uint64_t hashes[FEW] = {0};
    bool from_cache[FEW] = {false};
    question questions[FEW];
    if (n <= FEW) {
        rd.hashes = hashes;
        rd.from_cache = from_cache;
        rd.questions = questions;
    } else if (!make_room(&rd)) {
        return pang_fail_memory(err);
    }
    pang_code code = answer(&rd, err);
    free(rd.room);
    return code;
}

pang_code pang_txn_get_one(pang_txn *txn, pang_str key, pang_record *ret, pang_err *err)
{
    pang_ref ref = {.key = key, .mode = PANG_REF_EXACT};
    pang_record record;
    pang_code code = pang_txn_get(txn, &ref, 1, PANG_READ_CHECKED, &record, err);
    if (code == PANG_OK)
        *ret = record;
    return code;
}

pang_code pang_txn_scan(pang_txn *txn, const pang_query *query, pang_row_fn *row, void *arg,
                        pang_err *err)
{
    assert(txn->magic == PANG_TXN_MAGIC && !txn->ended);
    atomic_fetch_add_explicit(&txn->db->scans, 1, memory_order_relaxed);
    return pang_store_scan(txn->db->store, query, txn->deadline_ms, row, arg, err);
}
