/*
 * Backend `mongodb:`: any number of servers on whatever speaks MongoDB's wire. This file opens,
 * migrates and reads; mongodb_apply.c writes, mongodb_log.c knows the documents.
 *
 * The one thing trusted is that of several inserts with one _id a single one wins. So the store is
 * a log: a group of commits is one document, whose _id is the next number. Records are derived from
 * the log and never changed either; each commit adds a version.
 *
 * A find is no snapshot: it may see a document that came after one it missed. What makes a read of
 * one state is the log. A process keeps the tail of the log that is not among the records yet, or
 * was not when it last looked. A read asks in one find for the entries that it does not know and
 * for the versions of its keys; the state it is of ends where the entries that it then has, without
 * a gap, end. Versions newer than that are passed over; those of entries that were derived before
 * the find began are all seen; those in between are in the tail.
 */
#include "storage/mongodb_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/range.h"

enum {
    SCHEMA_VERSION = 1,
    CLIENTS_DEFAULT = 16,
    CLIENTS_MAX = 512,
    CONNECT_TIMEOUT_MS = 10000,
    ANSWER_TIMEOUT_MS = 60000, /* of one command, on the socket */
    CLOCK_LIFE_MS = 20000,
    PAGE = 200,     /* documents that a scan gets at a time */
    READ_TRIES = 3, /* when others are so far ahead that the tail starts over */
    SCAN_ARENA = 2 * PANG_BODY_MAX + (64 << 20),
};

static mongodb_store *mongodb_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC && store->ops == &pang_mongodb_ops);
    return (mongodb_store *)store;
}

/* ---- errors and clients ---- */

pang_code pang_mongo_fail(const bson_error_t *error, pang_err *err)
{
    enum { TIMED_OUT = 50, TOO_LARGE = 10334, NO_SPACE = 14031, NO_RIGHT = 13, NO_LOGIN = 18 };
    pang_code code = PANG_UNAVAILABLE;
    if (error->domain == MONGOC_ERROR_SERVER) {
        code = error->code == TIMED_OUT                              ? PANG_DEADLINE_EXCEEDED
               : error->code == TOO_LARGE || error->code == NO_SPACE ? PANG_RESOURCE_EXHAUSTED
               : error->code == NO_RIGHT || error->code == NO_LOGIN  ? PANG_FAILED_PRECONDITION
                                                                     : PANG_UNAVAILABLE;
    } else if (error->domain == MONGOC_ERROR_CLIENT &&
               error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) {
        code = PANG_FAILED_PRECONDITION;
    }
    (void)pang_fail(err, code, NULL, "the MongoDB store failed (%u.%u)", error->domain,
                    error->code);
    pang_err_detail(err, "%s", error->message);
    return code;
}

pang_code pang_mongo_take(mongodb_store *s, mongo_session *ret, pang_err *err)
{
    ret->client = mongoc_client_pool_pop(s->pool); /* waits as long as waitQueueTimeoutMS says */
    if (ret->client == NULL)
        return pang_fail(err, PANG_UNAVAILABLE, NULL, "no connection to the MongoDB store is free");
    ret->records = mongoc_client_get_collection(ret->client, s->database, "pangolin");
    return PANG_OK;
}

void pang_mongo_give(mongodb_store *s, mongo_session *c)
{
    if (c->client == NULL)
        return;
    mongoc_collection_destroy(c->records);
    mongoc_client_pool_push(s->pool, c->client);
    *c = (mongo_session){0};
}

static pang_code ask_clock(mongodb_store *s, mongo_session *c, pang_err *err)
{
    bson_t *command = BCON_NEW("isMaster", BCON_INT32(1));
    bson_t reply;
    bson_error_t error;
    int64_t before = pang_env_wall_ms(s->base.env);
    bool done = mongoc_client_command_simple(c->client, "admin", command, NULL, &reply, &error);
    int64_t after = pang_env_wall_ms(s->base.env);
    bson_iter_t at;
    pang_code code = PANG_OK;
    if (!done) {
        code = pang_mongo_fail(&error, err);
    } else if (!bson_iter_init_find(&at, &reply, "localTime") || !BSON_ITER_HOLDS_DATE_TIME(&at)) {
        code = pang_fail(err, PANG_INTERNAL, NULL, "the MongoDB store has no clock");
    } else {
        (void)pthread_mutex_lock(&s->lock);
        s->clock_ahead_ms = bson_iter_date_time(&at) - (before + after) / 2;
        s->clock_asked_ms = pang_env_mono_ms(s->base.env);
        (void)pthread_mutex_unlock(&s->lock);
    }
    bson_destroy(&reply);
    bson_destroy(command);
    return code;
}

pang_code pang_mongo_now(mongodb_store *s, mongo_session *c, int64_t *ret_ms, pang_err *err)
{
    int64_t mono = pang_env_mono_ms(s->base.env);
    (void)pthread_mutex_lock(&s->lock);
    bool is_old = s->clock_asked_ms == 0 || mono - s->clock_asked_ms > CLOCK_LIFE_MS;
    (void)pthread_mutex_unlock(&s->lock);
    pang_code code = is_old ? ask_clock(s, c, err) : PANG_OK;
    (void)pthread_mutex_lock(&s->lock);
    *ret_ms = pang_env_wall_ms(s->base.env) + s->clock_ahead_ms;
    (void)pthread_mutex_unlock(&s->lock);
    return code;
}

/* ---- finds ---- */

/* Adds {_id: {$gt[e]: low, $lt: high}} to an array of alternatives. */
static void add_range(bson_t *to, uint32_t *n, const char *low, bool inclusive, const char *high)
{
    char name[16];
    const char *key = NULL;
    bson_t one, range;
    size_t len = bson_uint32_to_string((*n)++, &key, name, sizeof name);
    (void)bson_append_document_begin(to, key, (int)len, &one);
    (void)BSON_APPEND_DOCUMENT_BEGIN(&one, "_id", &range);
    (void)bson_append_utf8(&range, inclusive ? "$gte" : "$gt", -1, low, -1);
    (void)BSON_APPEND_UTF8(&range, "$lt", high);
    (void)bson_append_document_end(&one, &range);
    (void)bson_append_document_end(to, &one);
}

/* The entries after the snapshot, and marks of what has been derived. */
static void add_news(bson_t *to, uint32_t *n, const mongo_snapshot *snapshot)
{
    char id[32];
    (void)snprintf(id, sizeof id, "d%016" PRIx64, snapshot->at - snapshot->n);
    add_range(to, n, id, false, "e");
    pang_mongo_log_id(snapshot->at, id);
    add_range(to, n, id, false, "m");
}

static bson_t *options_of(const mongo_read *r, int direction, bool with_bodies)
{
    bson_t *options = BCON_NEW("sort", "{", "_id", BCON_INT32(direction), "}", "batchSize",
                               BCON_INT32(PAGE));
    if (!with_bodies) /* an entry's own are further in */
        BCON_APPEND(options, "projection", "{", "b", BCON_INT32(0), "}");
    if (r->deadline_ms != PANG_NO_DEADLINE) {
        int64_t left = r->deadline_ms - pang_env_mono_ms(r->store->base.env);
        (void)BSON_APPEND_INT64(options, "maxTimeMS", left < 1 ? 1 : left);
    }
    return options;
}

static pang_code check_read(mongo_read *r, mongoc_cursor_t *found)
{
    bson_error_t error;
    if (mongoc_cursor_error(found, &error))
        return pang_mongo_fail(&error, &r->err);
    if (r->deadline_ms != PANG_NO_DEADLINE &&
        pang_env_mono_ms(r->store->base.env) >= r->deadline_ms)
        return pang_fail(&r->err, PANG_DEADLINE_EXCEEDED, NULL,
                         "deadline passed while the store was read");
    return PANG_OK;
}

static const char *id_of(const bson_t *document)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, document, "_id") && BSON_ITER_HOLDS_UTF8(&at)
               ? bson_iter_utf8(&at, NULL)
               : "";
}

/* Takes up news. ABORTED: others are so far ahead that this read must begin anew. */
static pang_code take_news(mongo_read *r, const bson_t *document, uint64_t *derived)
{
    const char *id = id_of(document);
    if (id[0] == 'd') {
        *derived = strtoull(id + 1, NULL, 16);
        return PANG_OK;
    }
    mongo_entry *e = NULL;
    pang_code code = pang_mongo_entry_read(&r->session, document, &e, &r->err);
    if (code != PANG_OK)
        return code;
    if (r->snapshot.n == MONGO_TAIL_MAX) {
        pang_mongo_entry_drop(e);
        return pang_fail(&r->err, PANG_ABORTED, NULL, "the MongoDB store's log runs ahead");
    }
    (void)pang_mongo_follow(r->store, &r->snapshot, e); /* a gap ends the state before it */
    return PANG_OK;
}

pang_code pang_mongo_read_begin(mongo_read *r)
{
    pang_code code = pang_mongo_take(r->store, &r->session, &r->err);
    if (code == PANG_OK)
        code = pang_mongo_now(r->store, &r->session, &r->now_ms, &r->err);
    pang_mongo_snapshot(r->store, &r->snapshot);
    return code;
}

void pang_mongo_read_end(mongo_read *r)
{
    pang_mongo_snapshot_end(&r->snapshot);
    pang_mongo_give(r->store, &r->session);
}

/* ---- keys ---- */

/* A key that is read, and the newest version found of it. */
typedef struct {
    pang_str key;
    size_t at; /* in the caller's array */
    mongo_version best;
} wanted;

static int by_key(const void *a, const void *b)
{
    return pang_str_compare(((const wanted *)a)->key, ((const wanted *)b)->key);
}

static bool keep_version(const mongo_version *from, pang_arena *arena, mongo_version *ret)
{
    *ret = *from;
    pang_str body_id = pang_str_from(from->body_id);
    if (!pang_arena_copy(arena, from->row.key, &ret->row.key) ||
        !pang_arena_copy(arena, from->row.body, &ret->row.body) ||
        !pang_arena_copy(arena, body_id, &body_id))
        return false;
    if (from->body_id != NULL)
        ret->body_id = body_id.ptr;
    return true;
}

static bson_t *filter_of_keys(const mongo_read *r, const wanted *keys, size_t n, bool follow)
{
    char low[MONGO_ID_MAX], high[MONGO_ID_MAX];
    bson_t *filter = bson_new(), any;
    uint32_t alternatives = 0;
    (void)BSON_APPEND_ARRAY_BEGIN(filter, "$or", &any);
    if (follow)
        add_news(&any, &alternatives, &r->snapshot);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && pang_str_equal(keys[i].key, keys[i - 1].key))
            continue;
        size_t len = pang_mongo_key_id(keys[i].key, low);
        memcpy(high, low, len);
        memcpy(low + len, "\1", 2);
        memcpy(high + len, "\2", 2);
        add_range(&any, &alternatives, low, true, high);
    }
    (void)bson_append_array_end(filter, &any);
    return filter;
}

/* One found document. Entries come first, so the state is known before the first record. */
static pang_code take_document(mongo_read *r, const bson_t *document, wanted *keys, size_t n,
                               uint64_t *derived)
{
    if (id_of(document)[0] != 'r')
        return take_news(r, document, derived);
    mongo_version found;
    if (!pang_mongo_decode(document, &found))
        return pang_fail(&r->err, PANG_DATA_LOSS, NULL, "a record of the MongoDB store is broken");
    wanted one = {.key = found.row.key};
    wanted *w = bsearch(&one, keys, n, sizeof *keys, by_key);
    if (w == NULL || found.at > r->snapshot.at)
        return PANG_OK;
    while (w > keys && pang_str_equal(w[-1].key, w->key))
        w--;
    if (w->best.at < found.at && !keep_version(&found, r->arena, &w->best))
        return pang_fail_memory(&r->err);
    return PANG_OK;
}

static pang_code find_keys(mongo_read *r, wanted *keys, size_t n, bool follow, bool with_bodies)
{
    bson_t *filter = filter_of_keys(r, keys, n, follow);
    bson_t *options = options_of(r, 1, with_bodies);
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(r->session.records, filter, options,
                                                              NULL);
    const bson_t *document = NULL;
    uint64_t derived = 0;
    pang_code code = PANG_OK;
    while (code == PANG_OK && mongoc_cursor_next(found, &document))
        code = take_document(r, document, keys, n, &derived);
    if (code == PANG_OK)
        code = check_read(r, found);
    mongoc_cursor_destroy(found);
    bson_destroy(options);
    bson_destroy(filter);
    pang_mongo_forget(r->store, derived);
    return code;
}

/* Gets the body that is a document of its own. */
static pang_code fetch_body(mongo_read *r, const char *id, pang_arena *arena, pang_str *ret)
{
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(id));
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(r->session.records, filter, NULL,
                                                              NULL);
    const bson_t *document = NULL;
    bson_iter_t at;
    pang_code code = PANG_OK;
    if (mongoc_cursor_next(found, &document) && bson_iter_init_find(&at, document, "b") &&
        BSON_ITER_HOLDS_BINARY(&at)) {
        bson_subtype_t subtype;
        uint32_t len = 0;
        const uint8_t *bytes = NULL;
        bson_iter_binary(&at, &subtype, &len, &bytes);
        if (!pang_arena_copy(arena, (pang_str){(const char *)bytes, len}, ret))
            code = pang_fail_memory(&r->err);
    } else if ((code = check_read(r, found)) == PANG_OK) {
        code = pang_fail(&r->err, PANG_DATA_LOSS, NULL, "a body of the MongoDB store is missing");
    }
    mongoc_cursor_destroy(found);
    bson_destroy(filter);
    return code;
}

static bool is_live(const mongo_read *r, const mongo_version *v)
{
    return v->at > 0 && !v->is_deleted && (v->row.expires_ms == 0 || v->row.expires_ms > r->now_ms);
}

/* The newer one of what the records and what the tail says. */
static pang_code settle_key(mongo_read *r, wanted *w, bool with_bodies, pang_record *ret)
{
    *ret = (pang_record){.key = w->key};
    const mongo_version *newer = pang_mongo_in_tail(&r->snapshot, w->key);
    if (newer != NULL && newer->at > w->best.at && !keep_version(newer, r->arena, &w->best))
        return pang_fail_memory(&r->err);
    if (!is_live(r, &w->best))
        return PANG_OK;
    *ret = w->best.row;
    if (!with_bodies)
        ret->body = (pang_str){0};
    else if (w->best.body_id != NULL)
        return fetch_body(r, w->best.body_id, r->arena, &ret->body);
    return PANG_OK;
}

pang_code pang_mongo_read_keys(mongo_read *r, const pang_str *keys, size_t n, bool follow,
                               bool with_bodies, pang_record *rows)
{
    wanted *all = pang_arena_alloc_n(r->arena, n, sizeof *all);
    if (all == NULL)
        return pang_fail_memory(&r->err);
    for (size_t i = 0; i < n; i++)
        all[i] = (wanted){.key = keys[i], .at = i};
    qsort(all, n, sizeof *all, by_key);
    pang_code code = find_keys(r, all, n, follow, with_bodies);
    for (size_t i = 0; i < n && code == PANG_OK; i++) {
        if (i > 0 && pang_str_equal(all[i].key, all[i - 1].key))
            all[i].best = all[i - 1].best;
        code = settle_key(r, &all[i], with_bodies, &rows[all[i].at]);
    }
    return code;
}

/* ---- ranges ---- */

/* A range that is walked: versions from the collection, merged with those of the tail. */
typedef struct {
    mongo_read *r;
    const pang_range *range;
    bool descending, with_bodies;
    const mongo_version **tail; /* the newest of each key, in the order of the walk */
    size_t n_tail, at_tail;
    pang_arena *arena;  /* of the version below */
    mongo_version best; /* of the key that the cursor is in; at 0: none */
    bool has_key;
    uint64_t left; /* rows to be shown */
    pang_row_fn *row;
    void *arg;
    bool stopped;
} walk;

static int by_key_newest_first(const void *a, const void *b)
{
    const mongo_version *x = *(const mongo_version *const *)a,
                        *y = *(const mongo_version *const *)b;
    int order = pang_str_compare(x->row.key, y->row.key);
    return order != 0 ? order : x->at > y->at ? -1 : x->at < y->at;
}

static bool gather_tail(walk *w)
{
    const mongo_snapshot *snapshot = &w->r->snapshot;
    size_t room = 0;
    for (size_t i = 0; i < snapshot->n; i++)
        room += snapshot->entries[i]->n;
    w->tail = pang_arena_alloc_n(w->r->arena, room + 1, sizeof *w->tail);
    if (w->tail == NULL)
        return false;
    for (size_t i = 0; i < snapshot->n; i++) {
        const mongo_entry *e = snapshot->entries[i];
        for (size_t j = 0; j < e->n; j++)
            if (pang_str_compare(e->versions[j].row.key, w->range->lo) >= 0 &&
                pang_str_compare(e->versions[j].row.key, w->range->hi) < 0)
                w->tail[w->n_tail++] = &e->versions[j];
    }
    qsort(w->tail, w->n_tail, sizeof *w->tail, by_key_newest_first);
    size_t kept = 0;
    for (size_t i = 0; i < w->n_tail; i++)
        if (kept == 0 || !pang_str_equal(w->tail[kept - 1]->row.key, w->tail[i]->row.key))
            w->tail[kept++] = w->tail[i];
    w->n_tail = kept;
    for (size_t i = 0; w->descending && i < kept / 2; i++) {
        const mongo_version *swapped = w->tail[i];
        w->tail[i] = w->tail[kept - 1 - i];
        w->tail[kept - 1 - i] = swapped;
    }
    return true;
}

static pang_code show(walk *w, const mongo_version *v)
{
    if (w->stopped || !is_live(w->r, v))
        return PANG_OK;
    pang_record shown = v->row;
    pang_code code = PANG_OK;
    pang_arena *body_arena = NULL;
    if (!w->with_bodies) {
        shown.body = (pang_str){0};
    } else if (v->body_id != NULL) {
        body_arena = pang_arena_new(PANG_BODY_MAX + 4096);
        code = body_arena == NULL ? pang_fail_memory(&w->r->err)
                                  : fetch_body(w->r, v->body_id, body_arena, &shown.body);
    }
    if (code == PANG_OK)
        w->stopped = !w->row(w->arg, &shown) || --w->left == 0;
    pang_arena_free(body_arena);
    return code;
}

/* Shows what the tail has before `key`, and what both have of it; NULL key: all that is left. */
static pang_code show_up_to(walk *w, const pang_str *key)
{
    pang_code code = PANG_OK;
    bool shown = key == NULL;
    while (code == PANG_OK && !w->stopped && w->at_tail < w->n_tail) {
        const mongo_version *v = w->tail[w->at_tail];
        int order = key == NULL ? -1 : pang_str_compare(v->row.key, *key);
        order = w->descending && key != NULL ? -order : order;
        if (order > 0)
            break;
        w->at_tail++;
        shown |= order == 0;
        code = show(w, order == 0 && w->best.at > v->at ? &w->best : v);
    }
    return code == PANG_OK && !shown ? show(w, &w->best) : code;
}

static pang_code end_key(walk *w)
{
    if (!w->has_key)
        return PANG_OK;
    w->has_key = false;
    return show_up_to(w, &w->best.row.key);
}

static pang_code walk_document(walk *w, const bson_t *document)
{
    mongo_version found;
    if (!pang_mongo_decode(document, &found))
        return pang_fail(&w->r->err, PANG_DATA_LOSS, NULL,
                         "a record of the MongoDB store is broken");
    if (found.at > w->r->snapshot.at)
        return PANG_OK;
    pang_code code = PANG_OK;
    bool is_same = w->has_key && pang_str_equal(w->best.row.key, found.row.key);
    if (is_same && found.at < w->best.at)
        return PANG_OK;
    if (!is_same)
        code = end_key(w);
    if (code != PANG_OK || w->stopped)
        return code;
    pang_arena_reset(w->arena);
    w->has_key = true;
    return keep_version(&found, w->arena, &w->best) ? PANG_OK : pang_fail_memory(&w->r->err);
}

static pang_code walk_range(walk *w)
{
    char low[MONGO_ID_MAX], high[MONGO_ID_MAX];
    low[pang_mongo_key_id(w->range->lo, low)] = '\0';
    high[pang_mongo_key_id(w->range->hi, high)] = '\0';
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(low), "$lt", BCON_UTF8(high), "}");
    bson_t *options = options_of(w->r, w->descending ? -1 : 1, w->with_bodies);
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(w->r->session.records, filter,
                                                              options, NULL);
    const bson_t *document = NULL;
    pang_code code = PANG_OK;
    while (code == PANG_OK && !w->stopped && mongoc_cursor_next(found, &document)) {
        code = walk_document(w, document);
        if (code == PANG_OK)
            code = check_read(w->r, found);
    }
    if (code == PANG_OK && !w->stopped)
        code = check_read(w->r, found);
    if (code == PANG_OK)
        code = end_key(w);
    if (code == PANG_OK)
        code = show_up_to(w, NULL);
    mongoc_cursor_destroy(found);
    bson_destroy(options);
    bson_destroy(filter);
    return code;
}

static pang_code run_walk(mongo_read *r, const pang_range *range, walk *w)
{
    w->r = r;
    w->range = range;
    w->arena = pang_arena_new(SCAN_ARENA);
    pang_code code = PANG_OK;
    if (w->arena == NULL || !gather_tail(w))
        code = pang_fail_memory(&r->err);
    else
        code = walk_range(w);
    pang_arena_free(w->arena);
    return code;
}

/* ---- get and scan ---- */

typedef struct {
    pang_arena *arena;
    pang_record *ret;
    bool failed;
} first_row;

static pang_row_fn take_first;
static bool take_first(void *arg, const pang_record *row)
{
    first_row *to = arg;
    *to->ret = *row;
    to->failed = !pang_arena_copy(to->arena, row->key, &to->ret->key) ||
                 !pang_arena_copy(to->arena, row->body, &to->ret->body);
    return false;
}

static pang_code read_ceiling(mongo_read *r, const pang_ref *ref, pang_record *ret)
{
    pang_range range;
    pang_range_of_ceiling(ref, &range);
    *ret = (pang_record){.key = ref->key};
    if (range.is_empty)
        return PANG_OK;
    first_row to = {.arena = r->arena, .ret = ret};
    walk w = {.with_bodies = true, .left = 1, .row = take_first, .arg = &to};
    pang_code code = run_walk(r, &range, &w);
    return code == PANG_OK && to.failed ? pang_fail_memory(&r->err) : code;
}

static pang_code read_refs(mongo_read *r, const pang_ref *refs, size_t n, pang_record *records)
{
    pang_str *keys = pang_arena_alloc_n(r->arena, n, sizeof *keys);
    size_t *places = pang_arena_alloc_n(r->arena, n, sizeof *places);
    pang_record *rows = pang_arena_alloc_n(r->arena, n, sizeof *rows);
    if (keys == NULL || places == NULL || rows == NULL)
        return pang_fail_memory(&r->err);
    size_t n_exact = 0;
    for (size_t i = 0; i < n; i++)
        if (refs[i].mode == PANG_REF_EXACT) {
            places[n_exact] = i;
            keys[n_exact++] = refs[i].key;
        }
    pang_code code = pang_mongo_read_keys(r, keys, n_exact, true, true, rows);
    for (size_t i = 0; i < n_exact; i++)
        records[places[i]] = rows[i];
    for (size_t i = 0; i < n && code == PANG_OK; i++)
        if (refs[i].mode == PANG_REF_CEILING)
            code = read_ceiling(r, &refs[i], &records[i]);
    return code;
}

/* Runs one read, again when the tail had to start over. */
typedef pang_code read_fn(mongo_read *r, void *arg);

static pang_code run_read(mongodb_store *s, int64_t deadline_ms, pang_arena *arena, read_fn *fn,
                          void *arg, pang_err *err)
{
    mongo_read *r = bson_malloc0(sizeof *r);
    pang_code code = PANG_ABORTED;
    for (int i = 0; i < READ_TRIES && code == PANG_ABORTED; i++) {
        *r = (mongo_read){.store = s, .arena = arena, .deadline_ms = deadline_ms};
        code = pang_mongo_read_begin(r);
        if (code == PANG_OK)
            code = fn(r, arg);
        pang_mongo_read_end(r);
    }
    if (code == PANG_ABORTED)
        code = r->err.code = PANG_UNAVAILABLE;
    if (code != PANG_OK && err != NULL)
        *err = r->err;
    bson_free(r);
    return code;
}

typedef struct {
    const pang_ref *refs;
    size_t n;
    pang_record *records;
} get_args;

static read_fn do_get;
static pang_code do_get(mongo_read *r, void *arg)
{
    get_args *get = arg;
    return read_refs(r, get->refs, get->n, get->records);
}

static pang_store_get_fn mongodb_get;
static pang_code mongodb_get(pang_store *store, const pang_ref *refs, size_t n, int64_t deadline_ms,
                             pang_arena *arena, pang_record *records, pang_err *err)
{
    get_args get = {refs, n, records};
    return run_read(mongodb_of(store), deadline_ms, arena, do_get, &get, err);
}

typedef struct {
    const pang_query *query;
    pang_range *range;
    pang_row_fn *row;
    void *arg;
} scan_args;

static read_fn do_scan;
static pang_code do_scan(mongo_read *r, void *arg)
{
    const scan_args *scan = arg;
    pang_code code = pang_mongo_read_keys(r, NULL, 0, true, false, NULL);
    walk w = {
        .descending = scan->query->descending,
        .with_bodies = !scan->query->keys_only,
        .left = scan->query->limit,
        .row = scan->row,
        .arg = scan->arg,
    };
    return code == PANG_OK ? run_walk(r, scan->range, &w) : code;
}

static pang_store_scan_fn mongodb_scan;
static pang_code mongodb_scan(pang_store *store, const pang_query *query, int64_t deadline_ms,
                              pang_row_fn *row, void *arg, pang_err *err)
{
    pang_range range;
    pang_range_of_query(query, &range);
    if (range.is_empty)
        return PANG_OK;
    pang_arena *arena = pang_arena_new(SCAN_ARENA);
    if (arena == NULL)
        return pang_fail_memory(err);
    scan_args scan = {query, &range, row, arg};
    pang_code code = run_read(mongodb_of(store), deadline_ms, arena, do_scan, &scan, err);
    pang_arena_free(arena);
    return code;
}

static pang_store_ping_fn mongodb_ping;
static pang_code mongodb_ping(pang_store *store, int64_t deadline_ms, pang_err *err)
{
    (void)deadline_ms; /* the socket's own time limit holds */
    mongodb_store *s = mongodb_of(store);
    mongo_session c = {0};
    pang_err why = {0};
    pang_code code = pang_mongo_take(s, &c, &why);
    if (code == PANG_OK)
        code = ask_clock(s, &c, &why);
    pang_mongo_give(s, &c);
    if (code != PANG_OK && err != NULL)
        *err = why;
    return code;
}

/* ---- open, migrate, close ---- */

static pang_store_close_fn mongodb_close;
static void mongodb_close(pang_store *store)
{
    if (store == NULL)
        return;
    mongodb_store *s = mongodb_of(store);
    for (size_t i = 0; i < s->n_tail; i++)
        pang_mongo_entry_drop(s->tail[i]);
    if (s->pool != NULL)
        mongoc_client_pool_destroy(s->pool);
    if (s->uri != NULL)
        mongoc_uri_destroy(s->uri);
    (void)pthread_mutex_destroy(&s->apply_lock);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->database);
    free(s);
}

/* The mark of the schema; *ret: 0 when there is none. */
static pang_code read_schema(mongo_session *c, int64_t *ret, pang_err *err)
{
    bson_t *filter = BCON_NEW("_id", BCON_UTF8("schema"));
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(c->records, filter, NULL, NULL);
    const bson_t *document = NULL;
    bson_iter_t at;
    bson_error_t error;
    pang_code code = PANG_OK;
    *ret = 0;
    if (mongoc_cursor_next(found, &document) && bson_iter_init_find(&at, document, "version"))
        *ret = bson_iter_as_int64(&at);
    if (mongoc_cursor_error(found, &error))
        code = pang_mongo_fail(&error, err);
    else if (*ret > SCHEMA_VERSION)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "the MongoDB store has schema version %" PRId64 ", this program knows up "
                         "to %d: it was written by a newer one",
                         *ret, SCHEMA_VERSION);
    mongoc_cursor_destroy(found);
    bson_destroy(filter);
    return code;
}

/* Where the log was derived up to: the tail starts there. */
static pang_code find_derived(mongodb_store *s, mongo_session *c, pang_err *err)
{
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8("d"), "$lt", BCON_UTF8("e"), "}");
    bson_t *options = BCON_NEW("sort", "{", "_id", BCON_INT32(-1), "}", "limit", BCON_INT64(1));
    mongoc_cursor_t *found = mongoc_collection_find_with_opts(c->records, filter, options, NULL);
    const bson_t *document = NULL;
    bson_error_t error;
    pang_code code = PANG_OK;
    if (mongoc_cursor_next(found, &document))
        pang_mongo_forget(s, strtoull(id_of(document) + 1, NULL, 16));
    if (mongoc_cursor_error(found, &error))
        code = pang_mongo_fail(&error, err);
    mongoc_cursor_destroy(found);
    bson_destroy(options);
    bson_destroy(filter);
    return code;
}

static pang_store_migrate_fn mongodb_migrate;
static pang_code mongodb_migrate(pang_store *store, pang_err *err)
{
    mongodb_store *s = mongodb_of(store);
    mongo_session c = {0};
    pang_err why = {0};
    int64_t schema = 0;
    pang_code code = pang_mongo_take(s, &c, &why);
    if (code == PANG_OK)
        code = read_schema(&c, &schema, &why);
    if (code == PANG_OK && schema == 0) {
        bson_t *mark = BCON_NEW("_id", BCON_UTF8("schema"), "version", BCON_INT32(SCHEMA_VERSION));
        bson_error_t error;
        (void)mongoc_collection_insert_one(c.records, mark, NULL, NULL, &error);
        bson_destroy(mark);
        code = read_schema(&c, &schema, &why); /* ours, or that of who was faster */
        if (code == PANG_OK && schema == 0)
            code = pang_mongo_fail(&error, &why);
    }
    pang_mongo_give(s, &c);
    if (code != PANG_OK && err != NULL)
        *err = why;
    return code;
}

static pthread_once_t driver_once = PTHREAD_ONCE_INIT;

static void start_driver(void)
{
    mongoc_init();
    mongoc_log_set_handler(NULL, NULL); /* its lines would stand between ours */
}

static pang_code make_pool(mongodb_store *s, const pang_store_config *config, pang_err *err)
{
    int64_t patience = config->connect_timeout_ms > 0 ? config->connect_timeout_ms
                                                      : CONNECT_TIMEOUT_MS;
    unsigned clients = config->connections == 0            ? CLIENTS_DEFAULT
                       : config->connections > CLIENTS_MAX ? CLIENTS_MAX
                                                           : config->connections;
    char *url = strndup(config->url.ptr, config->url.len);
    bson_error_t error;
    s->uri = url == NULL ? NULL : mongoc_uri_new_with_error(url, &error);
    free(url);
    if (s->uri == NULL)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "the url of the MongoDB store is wrong");
    const char *database = mongoc_uri_get_database(s->uri);
    s->database = strdup(database == NULL || database[0] == '\0' ? "pangolin" : database);
    mongoc_uri_t *uri = s->uri;
    bool set = mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS,
                                              (int32_t)patience) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS,
                                              (int32_t)patience) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, ANSWER_TIMEOUT_MS) &&
               mongoc_uri_set_option_as_int32(uri, MONGOC_URI_WAITQUEUETIMEOUTMS,
                                              (int32_t)patience);
    mongoc_write_concern_t *durable = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(durable, 0);
    mongoc_write_concern_set_journal(durable, true);
    mongoc_uri_set_write_concern(uri, durable);
    mongoc_write_concern_destroy(durable);
    mongoc_read_concern_t *kept = mongoc_read_concern_new();
    (void)mongoc_read_concern_set_level(kept, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri, kept);
    mongoc_read_concern_destroy(kept);
    s->pool = set && s->database != NULL ? mongoc_client_pool_new(uri) : NULL;
    if (s->pool == NULL)
        return pang_fail_memory(err);
    (void)mongoc_client_pool_set_error_api(s->pool, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_pool_max_size(s->pool, clients);
    return PANG_OK;
}

static pang_store_open_fn mongodb_open;
static pang_code mongodb_open(const pang_store_config *config, pang_store **ret, pang_err *err)
{
    (void)pthread_once(&driver_once, start_driver);
    mongodb_store *s = calloc(1, sizeof *s);
    if (s == NULL)
        return pang_fail_memory(err);
    s->base = (pang_store){PANG_STORE_MAGIC, &pang_mongodb_ops, config->env};
    (void)pthread_mutex_init(&s->apply_lock, NULL);
    (void)pthread_mutex_init(&s->lock, NULL);
    mongo_session c = {0};
    int64_t schema = 0;
    pang_err why = {0};
    pang_code code = make_pool(s, config, &why);
    if (code == PANG_OK)
        code = pang_mongo_take(s, &c, &why);
    if (code == PANG_OK)
        code = read_schema(&c, &schema, &why);
    if (code == PANG_OK)
        code = find_derived(s, &c, &why);
    pang_mongo_give(s, &c);
    if (code != PANG_OK) {
        if (err != NULL)
            *err = why;
        mongodb_close(&s->base);
        return code;
    }
    *ret = &s->base;
    return PANG_OK;
}

const pang_store_ops pang_mongodb_ops = {
    .scheme = "mongodb",
    .exclusive = false,
    .local = false,
    .open = mongodb_open,
    .close = mongodb_close,
    .migrate = mongodb_migrate,
    .ping = mongodb_ping,
    .get = mongodb_get,
    .scan = mongodb_scan,
    .apply = pang_mongodb_apply,
};
