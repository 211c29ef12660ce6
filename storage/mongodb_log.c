/*
 * The MongoDB backend's documents, and the tail of the log.
 *
 * One collection holds four kinds, told apart by the first letter of the _id:
 *     l<number>              an entry of the log: what one group of commits changed
 *     r<key>\1<~number>      a version of a record, by the number of the entry that wrote it
 *     d<number>              all entries up to this one are among the records
 *     b... p...              bodies and parts of entries that are too big to stand in them
 * BSON orders binary by length first, so ids are strings. Bytes of a key become code points of the
 * same order; 0, 1 and 2 are escaped, so that no string holds a NUL and \1 is below all. Numbers
 * stand complemented behind the key, so that the newest version comes first.
 *
 * Nothing is ever updated. An entry's documents are those of the records, so deriving is inserting
 * them as they are; that somebody else did so already is fine.
 */
#include "storage/mongodb_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DUPLICATE_KEY = 11000 };

/* ---- ids ---- */

size_t pang_mongo_key_id(pang_str key, char to[MONGO_ID_MAX])
{
    size_t len = 0;
    to[len++] = 'r';
    for (size_t i = 0; i < key.len; i++) {
        unsigned char byte = (unsigned char)key.ptr[i];
        if (byte <= 2) {
            to[len++] = '\2';
            to[len++] = (char)(byte + 1);
        } else if (byte < 0x80) {
            to[len++] = (char)byte;
        } else { /* as UTF-8 */
            to[len++] = (char)(0xc0 | byte >> 6);
            to[len++] = (char)(0x80 | (byte & 0x3f));
        }
    }
    return len;
}

void pang_mongo_record_id(pang_str key, uint64_t at, char to[MONGO_ID_MAX])
{
    size_t len = pang_mongo_key_id(key, to);
    (void)snprintf(to + len, MONGO_ID_MAX - len, "\1%016" PRIx64, ~at);
}

void pang_mongo_log_id(uint64_t at, char to[32])
{
    (void)snprintf(to, 32, "l%016" PRIx64, at);
}

const char *pang_mongo_id_of(const bson_t *document)
{
    bson_iter_t at;
    return bson_iter_init_find(&at, document, "_id") && BSON_ITER_HOLDS_UTF8(&at)
               ? bson_iter_utf8(&at, NULL)
               : "";
}

uint64_t pang_mongo_version(uint64_t at, size_t index)
{
    return at << MONGO_INDEX_BITS | (uint64_t)index;
}

/* ---- records ---- */

static void append_bytes(bson_t *to, const char *name, pang_str bytes)
{
    const char *ptr = bytes.ptr == NULL ? "" : bytes.ptr;
    (void)bson_append_binary(to, name, -1, BSON_SUBTYPE_BINARY, (const uint8_t *)ptr,
                             (uint32_t)bytes.len);
}

bson_t *pang_mongo_encode(const pang_record *row, uint64_t at, bool is_deleted, const char *body_id)
{
    char id[MONGO_ID_MAX];
    pang_mongo_record_id(row->key, at, id);
    bson_t *to = bson_new();
    (void)BSON_APPEND_UTF8(to, "_id", id);
    append_bytes(to, "k", row->key);
    (void)BSON_APPEND_INT64(to, "v", (int64_t)row->version);
    if (is_deleted) {
        (void)BSON_APPEND_BOOL(to, "x", true);
        return to;
    }
    (void)BSON_APPEND_INT64(to, "s", (int64_t)row->sequence);
    (void)BSON_APPEND_INT64(to, "t", row->time_ms);
    (void)BSON_APPEND_INT64(to, "e", row->expires_ms);
    (void)BSON_APPEND_INT64(to, "n", row->value);
    (void)BSON_APPEND_INT64(to, "c", row->kind);
    if (body_id != NULL)
        (void)BSON_APPEND_UTF8(to, "B", body_id);
    else
        append_bytes(to, "b", row->body);
    return to;
}

static pang_str bytes_of(const bson_iter_t *at)
{
    bson_subtype_t subtype;
    uint32_t len = 0;
    const uint8_t *ptr = NULL;
    bson_iter_binary(at, &subtype, &len, &ptr);
    return (pang_str){(const char *)ptr, len};
}

bool pang_mongo_decode(const bson_t *document, mongo_version *ret)
{
    *ret = (mongo_version){0};
    bson_iter_t at;
    if (!bson_iter_init(&at, document))
        return false;
    while (bson_iter_next(&at)) {
        const char *name = bson_iter_key(&at);
        if (name[0] == '_' || name[1] != '\0')
            continue;
        switch (name[0]) {
        case 'k':
            ret->row.key = bytes_of(&at);
            break;
        case 'v':
            ret->row.version = (uint64_t)bson_iter_as_int64(&at);
            break;
        case 's':
            ret->row.sequence = (uint64_t)bson_iter_as_int64(&at);
            break;
        case 't':
            ret->row.time_ms = bson_iter_as_int64(&at);
            break;
        case 'e':
            ret->row.expires_ms = bson_iter_as_int64(&at);
            break;
        case 'n':
            ret->row.value = bson_iter_as_int64(&at);
            break;
        case 'c':
            ret->row.kind = (uint32_t)bson_iter_as_int64(&at);
            break;
        case 'b':
            ret->row.body = bytes_of(&at);
            break;
        case 'B':
            ret->body_id = bson_iter_utf8(&at, NULL);
            break;
        case 'x':
            ret->is_deleted = true;
            break;
        default:
            break;
        }
    }
    ret->at = ret->row.version >> MONGO_INDEX_BITS;
    return ret->row.key.len > 0 && ret->at > 0;
}

/* ---- entries ---- */

mongo_entry *pang_mongo_entry_new(uint64_t at)
{
    mongo_entry *e = bson_malloc0(sizeof *e);
    atomic_init(&e->refs, 1);
    e->at = at;
    return e;
}

void pang_mongo_entry_add(mongo_entry *e, bson_t *document)
{
    if (e->n == e->room) {
        e->room = e->room == 0 ? 16 : e->room * 2;
        e->documents = bson_realloc(e->documents, e->room * sizeof *e->documents);
    }
    e->documents[e->n++] = document;
}

static int by_key(const void *a, const void *b)
{
    return pang_str_compare(((const mongo_version *)a)->row.key,
                            ((const mongo_version *)b)->row.key);
}

bool pang_mongo_entry_seal(mongo_entry *e)
{
    e->versions = bson_malloc0((e->n + 1) * sizeof *e->versions);
    for (size_t i = 0; i < e->n; i++)
        if (!pang_mongo_decode(e->documents[i], &e->versions[i]) || e->versions[i].at != e->at)
            return false;
    qsort(e->versions, e->n, sizeof *e->versions, by_key);
    return true;
}

void pang_mongo_entry_drop(mongo_entry *e)
{
    if (e == NULL || atomic_fetch_sub(&e->refs, 1) > 1)
        return;
    for (size_t i = 0; i < e->n; i++)
        bson_destroy(e->documents[i]);
    bson_free(e->documents);
    bson_free(e->versions);
    bson_free(e);
}

/* The array `w` of a document. */
static bool add_changes(mongo_entry *e, const bson_t *document)
{
    bson_iter_t at, change;
    if (!bson_iter_init_find(&at, document, "w") || !bson_iter_recurse(&at, &change))
        return false;
    while (bson_iter_next(&change)) {
        const uint8_t *bytes = NULL;
        uint32_t len = 0;
        bson_t one;
        if (!BSON_ITER_HOLDS_DOCUMENT(&change))
            return false;
        bson_iter_document(&change, &len, &bytes);
        if (!bson_init_static(&one, bytes, len))
            return false;
        pang_mongo_entry_add(e, bson_copy(&one));
    }
    return true;
}

/* Parts are found by the entry's token; they were there before it. */
static bool add_parts(mongo_session *c, mongo_entry *e, const char *token, int64_t parts)
{
    bool fine = true;
    for (int64_t i = 0; i < parts && fine; i++) {
        char id[64];
        (void)snprintf(id, sizeof id, "p%s-%04x", token, (unsigned)i);
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(id));
        mongoc_cursor_t *found = mongoc_collection_find_with_opts(c->records, filter, NULL, NULL);
        const bson_t *part = NULL;
        fine = mongoc_cursor_next(found, &part) && add_changes(e, part);
        mongoc_cursor_destroy(found);
        bson_destroy(filter);
    }
    return fine;
}

pang_code pang_mongo_entry_read(mongo_session *c, const bson_t *document, mongo_entry **ret,
                                pang_err *err)
{
    bson_iter_t at;
    uint64_t number = 0;
    if (bson_iter_init_find(&at, document, "_id") && BSON_ITER_HOLDS_UTF8(&at))
        number = strtoull(bson_iter_utf8(&at, NULL) + 1, NULL, 16);
    const char *token = "";
    if (bson_iter_init_find(&at, document, "t") && BSON_ITER_HOLDS_UTF8(&at))
        token = bson_iter_utf8(&at, NULL);
    mongo_entry *e = pang_mongo_entry_new(number);
    bool fine = number > 0;
    if (fine && bson_iter_init_find(&at, document, "parts"))
        fine = add_parts(c, e, token, bson_iter_as_int64(&at));
    else
        fine = fine && add_changes(e, document);
    if (fine && pang_mongo_entry_seal(e)) {
        *ret = e;
        return PANG_OK;
    }
    pang_mongo_entry_drop(e);
    return pang_fail(err, PANG_DATA_LOSS, NULL,
                     "entry %" PRIu64 " of the MongoDB store's log is broken", number);
}

/* ---- the tail ---- */

void pang_mongo_snapshot(mongodb_store *s, mongo_snapshot *ret)
{
    (void)pthread_mutex_lock(&s->lock);
    ret->n = s->n_tail;
    ret->at = s->derived + s->n_tail;
    for (size_t i = 0; i < s->n_tail; i++) {
        ret->entries[i] = s->tail[i];
        atomic_fetch_add(&s->tail[i]->refs, 1);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

void pang_mongo_snapshot_end(mongo_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->n; i++)
        pang_mongo_entry_drop(snapshot->entries[i]);
    snapshot->n = 0;
}

bool pang_mongo_follow(mongodb_store *s, mongo_snapshot *snapshot, mongo_entry *e)
{
    if (e->at != snapshot->at + 1 || snapshot->n == MONGO_TAIL_MAX) {
        pang_mongo_entry_drop(e);
        return false;
    }
    snapshot->entries[snapshot->n++] = e;
    snapshot->at = e->at;
    (void)pthread_mutex_lock(&s->lock);
    if (s->n_tail < MONGO_TAIL_MAX && s->derived + s->n_tail + 1 == e->at) {
        atomic_fetch_add(&e->refs, 1);
        s->tail[s->n_tail++] = e;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return true;
}

const mongo_version *pang_mongo_in_tail(const mongo_snapshot *snapshot, pang_str key)
{
    mongo_version wanted = {.row.key = key};
    for (size_t i = snapshot->n; i-- > 0;) {
        const mongo_entry *e = snapshot->entries[i];
        const mongo_version *found = e->n == 0 ? NULL
                                               : bsearch(&wanted, e->versions, e->n,
                                                         sizeof *e->versions, by_key);
        if (found != NULL)
            return found;
    }
    return NULL;
}

/* ---- deriving ---- */

/* Whether all that went wrong is that documents are there already. */
static bool only_duplicates(const bson_t *reply)
{
    bson_iter_t at, one, code;
    if (!bson_iter_init_find(&at, reply, "writeErrors") || !bson_iter_recurse(&at, &one))
        return false;
    while (bson_iter_next(&one))
        if (!bson_iter_recurse(&one, &code) || !bson_iter_find(&code, "code") ||
            bson_iter_as_int64(&code) != DUPLICATE_KEY)
            return false;
    return !bson_iter_init_find(&at, reply, "writeConcernErrors");
}

static bool derive_entry(mongo_session *c, const mongo_entry *e)
{
    if (e->n == 0)
        return true;
    bson_t *unordered = BCON_NEW("ordered", BCON_BOOL(false));
    bson_t reply;
    bson_error_t error;
    bool done = mongoc_collection_insert_many(c->records, (const bson_t **)(uintptr_t)e->documents,
                                              e->n, unordered, &reply, &error) ||
                only_duplicates(&reply);
    bson_destroy(&reply);
    bson_destroy(unordered);
    return done;
}

void pang_mongo_forget(mongodb_store *s, uint64_t derived)
{
    (void)pthread_mutex_lock(&s->lock);
    size_t gone = derived > s->derived ? (size_t)(derived - s->derived) : 0;
    if (gone > s->n_tail) {
        gone = s->n_tail; /* others are far ahead */
        s->derived = derived - gone;
    }
    for (size_t i = 0; i < gone; i++)
        pang_mongo_entry_drop(s->tail[i]);
    memmove(s->tail, s->tail + gone, (s->n_tail - gone) * sizeof s->tail[0]);
    s->n_tail -= gone;
    s->derived += gone;
    (void)pthread_mutex_unlock(&s->lock);
}

/* The tail lies in memory, so large entries do not wait until there are many. */
static bool is_long(const mongo_snapshot *tail)
{
    size_t changes = 0;
    for (size_t i = 0; i < tail->n; i++)
        changes += tail->entries[i]->n;
    return tail->n >= (size_t)MONGO_DERIVE_AT || changes >= (size_t)MONGO_DERIVE_CHANGES;
}

void pang_mongo_derive(mongodb_store *s, mongo_session *c)
{
    mongo_snapshot *snapshot = bson_malloc0(sizeof *snapshot);
    pang_mongo_snapshot(s, snapshot);
    bool done = is_long(snapshot);
    for (size_t i = 0; i < snapshot->n && done; i++)
        done = derive_entry(c, snapshot->entries[i]);
    if (done) {
        char id[32];
        (void)snprintf(id, sizeof id, "d%016" PRIx64, snapshot->at);
        bson_t *mark = BCON_NEW("_id", BCON_UTF8(id));
        bson_error_t error;
        (void)mongoc_collection_insert_one(c->records, mark, NULL, NULL, &error);
        bson_destroy(mark);
        pang_mongo_forget(s, snapshot->at);
    }
    pang_mongo_snapshot_end(snapshot);
    bson_free(snapshot);
}
