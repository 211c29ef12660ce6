/*
 * The MongoDB backend's reads: of keys and of ranges, each as of one state.
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

enum {
    PAGE = 200,     /* documents that a scan gets at a time */
    READ_TRIES = 3, /* when others are so far ahead that the tail starts over */
    SCAN_ARENA = 2 * PANG_BODY_MAX + (64 << 20),
};

static mongodb_store *mongodb_of(pang_store *store)
{
    assert(store != NULL && store->magic == PANG_STORE_MAGIC && store->ops == &pang_mongodb_ops);
    return (mongodb_store *)store;
}

/* ---- finds ---- */

/* Adds {_id: {$gt: low, $lt: high}} to an array of alternatives. */
static void add_range(bson_t *to, uint32_t *n, const char *low, const char *high)
{
    char name[16];
    const char *key = NULL;
    bson_t one, range;
    size_t len = bson_uint32_to_string((*n)++, &key, name, sizeof name);
    (void)bson_append_document_begin(to, key, (int)len, &one);
    (void)BSON_APPEND_DOCUMENT_BEGIN(&one, "_id", &range);
    (void)BSON_APPEND_UTF8(&range, "$gt", low);
    (void)BSON_APPEND_UTF8(&range, "$lt", high);
    (void)bson_append_document_end(&one, &range);
    (void)bson_append_document_end(to, &one);
}

/* The entries after the snapshot, and marks of what has been derived. */
static void add_news(bson_t *to, uint32_t *n, const mongo_snapshot *snapshot)
{
    char id[32];
    (void)snprintf(id, sizeof id, "d%016" PRIx64, snapshot->at - snapshot->n);
    add_range(to, n, id, "e");
    pang_mongo_log_id(snapshot->at, id);
    add_range(to, n, id, "m");
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

/* Takes up news. ABORTED: others are so far ahead that this read must begin anew. */
static pang_code take_news(mongo_read *r, const bson_t *document, uint64_t *derived)
{
    const char *id = pang_mongo_id_of(document);
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

/* One list of keys rather than a range for each: an $or of a thousand is planned a thousand times.
 */
static void add_keys(bson_t *to, uint32_t *n, const wanted *keys, size_t n_keys)
{
    char room[16];
    const char *name = NULL;
    bson_t one, in, list;
    size_t len = bson_uint32_to_string((*n)++, &name, room, sizeof room);
    (void)bson_append_document_begin(to, name, (int)len, &one);
    (void)BSON_APPEND_DOCUMENT_BEGIN(&one, "k", &in);
    (void)BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
    uint32_t at = 0;
    for (size_t i = 0; i < n_keys; i++) {
        if (i > 0 && pang_str_equal(keys[i].key, keys[i - 1].key))
            continue;
        len = bson_uint32_to_string(at++, &name, room, sizeof room);
        (void)bson_append_binary(&list, name, (int)len, BSON_SUBTYPE_BINARY,
                                 (const uint8_t *)keys[i].key.ptr, (uint32_t)keys[i].key.len);
    }
    (void)bson_append_array_end(&in, &list);
    (void)bson_append_document_end(&one, &in);
    (void)bson_append_document_end(to, &one);
}

static bson_t *filter_of_keys(const mongo_read *r, const wanted *keys, size_t n, bool follow)
{
    bson_t *filter = bson_new(), any;
    uint32_t alternatives = 0;
    (void)BSON_APPEND_ARRAY_BEGIN(filter, "$or", &any);
    if (follow)
        add_news(&any, &alternatives, &r->snapshot);
    if (n > 0)
        add_keys(&any, &alternatives, keys, n);
    (void)bson_append_array_end(filter, &any);
    return filter;
}

/* One found document. Entries come first, so the state is known before the first record. */
static pang_code take_document(mongo_read *r, const bson_t *document, wanted *keys, size_t n,
                               uint64_t *derived)
{
    if (pang_mongo_id_of(document)[0] != 'r')
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
    to->failed = !pang_record_copy(row, to->arena, to->ret);
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

pang_code pang_mongodb_get(pang_store *store, const pang_ref *refs, size_t n, int64_t deadline_ms,
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

pang_code pang_mongodb_scan(pang_store *store, const pang_query *query, int64_t deadline_ms,
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
