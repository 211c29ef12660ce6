/*
 * The MongoDB backend's writing side. A group of commits reads what it depends on as of the end of
 * the log, decides, and inserts what it changes as the next entry. If another process took that
 * number, nothing was written: read and decide anew. So commits run one after the other by the
 * numbers of their entries, and nothing that a commit checked can change before its own.
 *
 * An insert whose answer is lost is settled at once: an empty entry is inserted under the same
 * number. If it wins, the lost one can never land. If the number is taken, whose it is can be read.
 * Only when the database does not answer that either is a commit UNKNOWN; whoever voids it later
 * takes the same number, or a later one after having seen it.
 *
 * Bodies that are big, and changes that do not fit into one document, are inserted before the entry
 * that names them. Those of an entry that lost are garbage.
 */
#include "storage/mongodb_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "storage/plan.h"

enum {
    TRIES = 400, /* numbers lost to others before a group gives up */
    SETTLE_TRIES = 20,
    SETTLE_PAUSE_MS = 100,
    READ_MS = 30000,
    PAUSE_MAX_US = 4000, /* after a lost number, so that one of many comes through */
    ARENA_BYTES = 512 << 20,
    DUPLICATE_KEY = 11000,
    TOKEN = PANG_ID_HEX + 1,
};

typedef struct {
    mongodb_store *store;
    mongo_session *session;
    pang_commit *const *commits;
    size_t n;
    mongo_read read;
    pang_plan plan;
    char token[TOKEN]; /* of this try's documents */
    mongo_entry *entry;
    unsigned n_parts;
    pang_err err;
} work;

typedef enum { DONE, AGAIN, FAILED, UNKNOWN } step;

static void pause_us(int64_t us)
{
    (void)nanosleep(&(struct timespec){us / 1000000, us % 1000000 * 1000}, NULL);
}

/* ---- reading ---- */

static pang_code read_heads(work *w)
{
    pang_plan *plan = &w->plan;
    pang_str *keys = pang_arena_alloc_n(w->read.arena, plan->n_read, sizeof *keys);
    pang_record *rows = pang_arena_alloc_n(w->read.arena, plan->n_read, sizeof *rows);
    if (keys == NULL || rows == NULL)
        return pang_fail_memory(&w->read.err);
    for (size_t i = 0; i < plan->n_read; i++)
        keys[i] = plan->entries[i].row.key;
    for (size_t from = 0; from < plan->n_read; from += PANG_GET_MAX) {
        size_t n = plan->n_read - from < PANG_GET_MAX ? plan->n_read - from : PANG_GET_MAX;
        pang_code code = pang_mongo_read_keys(&w->read, keys + from, n, from == 0, false,
                                              rows + from);
        if (code != PANG_OK)
            return code;
    }
    for (size_t i = 0; i < plan->n_read; i++)
        if (rows[i].version != 0)
            pang_plan_found(plan, i, &rows[i], w->read.now_ms);
    return PANG_OK;
}

/* ---- documents ---- */

static bool insert_one(work *w, const bson_t *document)
{
    bson_error_t error;
    if (mongoc_collection_insert_one(w->read.session.records, document, NULL, NULL, &error))
        return true;
    (void)pang_mongo_fail(&error, &w->err);
    return false;
}

/* A long body becomes a document of its own. */
static bool put_body(work *w, const pang_record *row, size_t index, char id[64])
{
    (void)snprintf(id, 64, "b%s-%08zx", w->token, index);
    bson_t *document = BCON_NEW("_id", BCON_UTF8(id));
    (void)bson_append_binary(document, "b", 1, BSON_SUBTYPE_BINARY, (const uint8_t *)row->body.ptr,
                             (uint32_t)row->body.len);
    bool done = insert_one(w, document);
    bson_destroy(document);
    return done;
}

static bool add_change(work *w, const pang_plan_entry *e)
{
    char id[64];
    pang_record row = e->row;
    bool is_long = e->change == PANG_PLAN_PUT && row.body.len > MONGO_BODY_INLINE;
    row.version = pang_mongo_version(w->entry->at, w->entry->n);
    if (is_long && !put_body(w, &row, w->entry->n, id))
        return false;
    pang_mongo_entry_add(
        w->entry,
        pang_mongo_encode(&row, w->entry->at, e->change == PANG_PLAN_DELETED, is_long ? id : NULL));
    return true;
}

static bool make_entry(work *w)
{
    w->entry = pang_mongo_entry_new(w->read.snapshot.at + 1);
    for (size_t i = 0; i < w->plan.n; i++)
        if (w->plan.entries[i].change != PANG_PLAN_KEPT && !add_change(w, &w->plan.entries[i]))
            return false;
    if (w->entry->n < (size_t)1 << MONGO_INDEX_BITS && pang_mongo_entry_seal(w->entry))
        return true;
    (void)pang_fail(&w->err, PANG_RESOURCE_EXHAUSTED, NULL, "the group has too many changes");
    return false;
}

/* The array `w` from document `from` on, as far as it fits. Returns where it stopped. */
static size_t append_changes(bson_t *to, const mongo_entry *e, size_t from)
{
    bson_t changes;
    size_t bytes = 0, i = from;
    (void)BSON_APPEND_ARRAY_BEGIN(to, "w", &changes);
    for (; i < e->n && (bytes == 0 || bytes + e->documents[i]->len < MONGO_PART_BYTES); i++) {
        char room[16];
        const char *name = NULL;
        size_t len = bson_uint32_to_string((uint32_t)(i - from), &name, room, sizeof room);
        (void)bson_append_document(&changes, name, (int)len, e->documents[i]);
        bytes += e->documents[i]->len;
    }
    (void)bson_append_array_end(to, &changes);
    return i;
}

static bool put_parts(work *w, size_t from)
{
    while (from < w->entry->n) {
        char id[64];
        (void)snprintf(id, sizeof id, "p%s-%04x", w->token, w->n_parts++);
        bson_t *part = BCON_NEW("_id", BCON_UTF8(id));
        from = append_changes(part, w->entry, from);
        bool done = insert_one(w, part);
        bson_destroy(part);
        if (!done)
            return false;
    }
    return true;
}

/* The entry's own document; NULL when its parts could not be written. */
static bson_t *make_log_document(work *w)
{
    char id[32];
    pang_mongo_log_id(w->entry->at, id);
    bson_t *document = BCON_NEW("_id", BCON_UTF8(id), "t", BCON_UTF8(w->token));
    if (append_changes(document, w->entry, 0) == w->entry->n)
        return document;
    bson_destroy(document);
    if (!put_parts(w, 0))
        return NULL;
    return BCON_NEW("_id", BCON_UTF8(id), "t", BCON_UTF8(w->token), "parts",
                    BCON_INT32((int32_t)w->n_parts));
}

/* ---- the log ---- */

static void make_token(const work *w, char token[TOKEN])
{
    pang_id_hex(pang_id_v4(w->store->base.env), token);
}

/* Whose the number is: DONE ours, AGAIN another's, UNKNOWN no answer. */
static step look_up(work *w)
{
    char id[32];
    pang_mongo_log_id(w->entry->at, id);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(id));
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(w->read.session.records, filter, NULL,
                                                              NULL);
    const bson_t *document = NULL;
    bson_iter_t at;
    step end = UNKNOWN;
    if (mongoc_cursor_next(found, &document) && bson_iter_init_find(&at, document, "t") &&
        BSON_ITER_HOLDS_UTF8(&at))
        end = strcmp(bson_iter_utf8(&at, NULL), w->token) == 0 ? DONE : AGAIN;
    mongoc_cursor_destroy(found);
    bson_destroy(filter);
    return end;
}

/* Takes the number with an empty entry, or finds who has it. */
static step settle(work *w)
{
    char id[32], token[TOKEN];
    pang_mongo_log_id(w->entry->at, id);
    make_token(w, token);
    bson_t *empty = BCON_NEW("_id", BCON_UTF8(id), "t", BCON_UTF8(token), "w", "[", "]");
    step end = UNKNOWN;
    for (int i = 0; i < SETTLE_TRIES && end == UNKNOWN; i++) {
        bson_error_t error;
        if (mongoc_collection_insert_one(w->read.session.records, empty, NULL, NULL, &error))
            end = AGAIN; /* the lost insert can never land any more */
        else if (error.domain == MONGOC_ERROR_SERVER && error.code == DUPLICATE_KEY)
            end = look_up(w);
        if (end == UNKNOWN)
            pause_us(SETTLE_PAUSE_MS * 1000);
    }
    bson_destroy(empty);
    return end;
}

static step insert_entry(work *w)
{
    enum { TOO_LARGE = 10334 };
    bson_t *document = make_log_document(w);
    if (document == NULL)
        return FAILED;
    bson_error_t error;
    step end = DONE;
    if (!mongoc_collection_insert_one(w->read.session.records, document, NULL, NULL, &error)) {
        (void)pang_mongo_fail(&error, &w->err);
        if (error.domain == MONGOC_ERROR_SERVER && error.code == DUPLICATE_KEY)
            end = AGAIN;
        else if (error.domain == MONGOC_ERROR_SERVER && error.code == TOO_LARGE)
            end = FAILED;
        else
            end = settle(w);
    }
    bson_destroy(document);
    if (end == DONE) {
        (void)pang_mongo_follow(w->store, &w->read.snapshot, w->entry);
        w->entry = NULL;
    }
    return end;
}

/* ---- the group ---- */

static step decide_and_write(work *w)
{
    size_t landed = 0;
    if (!pang_plan_begin(&w->plan, w->commits, w->n, w->read.arena)) {
        (void)pang_fail_memory(&w->err);
        return FAILED;
    }
    pang_code code = read_heads(w);
    if (code != PANG_OK) {
        w->err = w->read.err;
        return code == PANG_ABORTED ? AGAIN : FAILED;
    }
    if (!pang_plan_decide(&w->plan, w->commits, w->n, w->read.now_ms, &landed)) {
        (void)pang_fail_memory(&w->err);
        return FAILED;
    }
    if (landed == 0)
        return DONE;
    make_token(w, w->token);
    w->n_parts = 0;
    step end = make_entry(w) ? insert_entry(w) : FAILED;
    pang_mongo_entry_drop(w->entry);
    w->entry = NULL;
    return end;
}

static step try_group(work *w)
{
    pang_arena *arena = w->read.arena;
    pang_arena_reset(arena);
    w->read = (mongo_read){
        .store = w->store,
        .arena = arena,
        .deadline_ms = pang_env_mono_ms(w->store->base.env) + READ_MS,
    };
    step end = FAILED;
    if (pang_mongo_read_begin(&w->read) == PANG_OK)
        end = decide_and_write(w);
    else
        w->err = w->read.err;
    if (end == DONE)
        pang_mongo_derive(w->store, &w->read.session);
    pang_mongo_read_end(&w->read);
    return end;
}

static step run_group(work *w)
{
    step end = AGAIN;
    for (int i = 0; i < TRIES && end == AGAIN; i++) {
        uint32_t chance = 0;
        if (i > 0) {
            pang_env_random(w->store->base.env, &chance, sizeof chance);
            pause_us(chance % PAUSE_MAX_US);
        }
        end = try_group(w);
    }
    return end;
}

void pang_mongodb_apply(pang_store *store, pang_commit *const *commits, size_t n)
{
    assert(store->magic == PANG_STORE_MAGIC && store->ops == &pang_mongodb_ops);
    work *w = bson_malloc0(sizeof *w);
    w->store = (mongodb_store *)store;
    w->commits = commits;
    w->n = n;
    w->read.arena = pang_arena_new(ARENA_BYTES);
    step end = FAILED;
    if (w->read.arena == NULL) {
        (void)pang_fail_memory(&w->err);
    } else {
        (void)pthread_mutex_lock(&w->store->apply_lock);
        end = run_group(w);
        (void)pthread_mutex_unlock(&w->store->apply_lock);
    }
    if (end == AGAIN)
        (void)pang_fail(&w->err, PANG_ABORTED, NULL, "others were faster each time");
    if (end != DONE)
        pang_plan_end_all(commits, n,
                          end == UNKNOWN ? PANG_COMMIT_UNKNOWN
                          : end == AGAIN ? PANG_COMMIT_ABORTED
                                         : PANG_COMMIT_FAILED,
                          &w->err);
    pang_arena_free(w->read.arena);
    bson_free(w);
}
