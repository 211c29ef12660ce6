/*
 * Files: metadata files that were written but not yet made durable. Each has a record that was
 * committed together with the pointer to it. A round syncs a batch of files and forgets them, so
 * that one fsync serves many commits; at start every file that still has a record is compared with
 * its document and written again where it is missing or differs, before anything is served.
 *
 * A `file:` warehouse belongs to the machine, or is a file system that all servers share.
 */
#include "server/state_internal.h"

#include "api/keys.h"
#include "server/metadata.h"

enum {
    BATCH_FILES = 512,
    BATCH_BYTES = 256 << 20, /* of an arena: a document and the file it is compared with */
};

typedef struct {
    pang_state *state;
    pang_arena *arena;
    pang_str keys[BATCH_FILES];
    pang_rec_pending_file *files[BATCH_FILES];
    pang_location at[BATCH_FILES];
    size_t n;
    pang_code code;
    pang_err *err;
} batch;

static bool take_row(void *arg, const pang_record *row)
{
    batch *b = arg;
    pang_record kept;
    if (!pang_record_copy(row, b->arena, &kept))
        b->code = pang_fail_memory(b->err);
    else
        b->code = pang_record_unpack(&pangolin__store__v1__pending_file__descriptor, &kept,
                                     b->arena, &b->files[b->n], b->err);
    if (b->code == PANG_OK)
        b->code = pang_location_parse(pang_str_from(b->files[b->n]->location), "location", b->arena,
                                      &b->at[b->n], b->err);
    if (b->code != PANG_OK)
        return false;
    b->keys[b->n++] = kept.key;
    return b->n < BATCH_FILES;
}

static pang_code read_batch(batch *b, pang_err *err)
{
    pang_keys keys = {.arena = b->arena, .scope = PANG_SYSTEM_SCOPE};
    pang_query query = {.prefix = pang_key_pending_files(&keys), .limit = BATCH_FILES};
    b->err = err;
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_store_scan(pang_db_store(b->state->config.db), &query, PANG_NO_DEADLINE,
                               take_row, b, err);
    return code == PANG_OK ? b->code : code;
}

/* ---- forgetting ---- */

static pang_code forget(pang_txn *txn, void *arg, pang_err *err)
{
    batch *b = arg;
    (void)err;
    for (size_t i = 0; i < b->n; i++)
        pang_txn_delete(txn, b->keys[i]);
    return PANG_OK;
}

static pang_code sync_all(batch *b, pang_err *err)
{
    for (size_t from = 0, to; from < b->n; from = to) {
        pang_str scheme = b->at[from].scheme;
        for (to = from + 1; to < b->n && pang_str_equal(b->at[to].scheme, scheme);)
            to++;
        pang_objects *store = pang_objects_find(b->state->config.objects, scheme);
        if (store == NULL)
            return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                             "no object store serves pending file %" PANG_STR_FMT,
                             PANG_STR_ARG(b->at[from].text));
        pang_code code = store->ops->sync(store, &b->at[from], to - from, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static pang_code settle(batch *b, pang_err *err)
{
    pang_code code = sync_all(b, err);
    if (code == PANG_OK && b->n > 0)
        code = pang_txn_run(b->state->config.db, PANG_SYSTEM_SCOPE, PANG_NO_DEADLINE, b->arena,
                            forget, b, err);
    return code;
}

/* ---- recovery ---- */

static bool same_content(batch *b, const pang_location *at, pang_arena *arena, pang_str document)
{
    pang_str found;
    pang_err ignored;
    return pang_metadata_read_file(b->state, at, arena, &found, &ignored) == PANG_OK &&
           pang_str_equal(found, document);
}

static pang_code restore(batch *b, const pang_location *at, const pang_record *record,
                         pang_arena *arena, pang_err *err)
{
    pang_rec_metadata *body;
    pang_str document;
    pang_code code = pang_metadata_unpack(b->state, record, arena, &body, &document, err);
    if (code != PANG_OK || same_content(b, at, arena, document))
        return code;
    pang_objects *store = pang_objects_find(b->state->config.objects, at->scheme);
    if (store == NULL)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "no object store serves lost file %" PANG_STR_FMT, PANG_STR_ARG(at->text));
    if (body->gzip)
        code = pang_gzip(document, arena, &document, err);
    if (code == PANG_OK)
        code = store->ops->restore(store, at, document, err);
    if (code == PANG_OK)
        atomic_fetch_add(&b->state->files_restored, 1);
    return code;
}

/* One file, in an arena of its own, since documents are large and a batch has many. */
static pang_code check_file(batch *b, size_t i, pang_arena *arena, pang_err *err)
{
    pang_record record;
    pang_ref ref = {.key = pang_str_from(b->files[i]->metadata_key)};
    pang_code code = pang_store_get(pang_db_store(b->state->config.db), &ref, 1, PANG_NO_DEADLINE,
                                    arena, &record, err);
    /* Without its record the document was given up meanwhile, and the file with it. */
    if (code == PANG_OK && record.version != 0)
        code = restore(b, &b->at[i], &record, arena, err);
    return code;
}

static pang_code check_files(batch *b, pang_err *err)
{
    pang_arena *arena = pang_arena_new(BATCH_BYTES);
    pang_code code = arena == NULL ? pang_fail_memory(err) : PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < b->n; i++) {
        code = check_file(b, i, arena, err);
        pang_arena_reset(arena);
    }
    pang_arena_free(arena);
    return code;
}

static pang_code run_in(pang_state *state, pang_arena *arena, bool check, size_t *ret_n,
                        pang_err *err)
{
    batch *b = pang_arena_alloc(arena, sizeof *b);
    if (b == NULL)
        return pang_fail_memory(err);
    b->state = state;
    b->arena = arena;
    pang_code code = read_batch(b, err);
    if (code == PANG_OK && check)
        code = check_files(b, err);
    if (code == PANG_OK)
        code = settle(b, err);
    if (code == PANG_OK)
        *ret_n = b->n;
    return code;
}

static pang_code run_batch(pang_state *state, bool check, size_t *ret_n, pang_err *err)
{
    pang_arena *arena = pang_arena_new(BATCH_BYTES);
    if (arena == NULL)
        return pang_fail_memory(err);
    pang_code code = run_in(state, arena, check, ret_n, err);
    pang_arena_free(arena);
    return code;
}

pang_code pang_files_recover(pang_state *state, pang_err *err)
{
    size_t n = BATCH_FILES;
    pang_code code = PANG_OK;
    while (code == PANG_OK && n == BATCH_FILES)
        code = run_batch(state, true, &n, err);
    return code;
}

pang_code pang_files_sync(pang_state *state, bool *ret_more, pang_err *err)
{
    size_t n = 0;
    pang_code code = run_batch(state, false, &n, err);
    if (code != PANG_OK)
        return code;
    atomic_fetch_add(&state->files_synced, n);
    *ret_more = n == BATCH_FILES;
    return PANG_OK;
}
