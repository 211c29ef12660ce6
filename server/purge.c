/*
 * Purge: removes the files of a table that cannot come back: data and delete files, manifests,
 * manifest lists, statistics, and metadata files last, so that a run that was cut short can be
 * repeated. With the table property gc.enabled=false the data files stay.
 *
 * Only files below the places that were reserved for the table are touched: a document may name
 * any file in the world, and other tables' files are not this one's to remove. Nothing is listed:
 * what no metadata names stays, for the collector.
 */
#include "server/state_internal.h"

#include "server/manifest.h"
#include "server/metadata.h"

enum {
    FILES_MAX = 1000000, /* manifests of one table */
    SCRATCH_BYTES = 512 << 20,
    ONE_BYTES = 64 << 10,
};

typedef struct {
    pang_state *state;
    pang_arena *arena;   /* the whole run's */
    pang_arena *scratch; /* of the manifest or list that is being read */
    pang_arena *one;     /* of the file that is being removed */
    char *const *reserved;
    size_t n_reserved;
    bool keep_data;
    pang_str *manifests; /* in arena */
    size_t n_manifests, capacity;
    uint64_t removed;
    bool failed;
} run;

static bool is_ours(const run *r, const pang_location *at)
{
    for (size_t i = 0; i < r->n_reserved; i++) {
        pang_str outer = pang_str_from(r->reserved[i]);
        if (pang_str_starts(at->canonical, outer) && at->canonical.len > outer.len &&
            at->canonical.ptr[outer.len] == '/')
            return true;
    }
    return false;
}

/* Notes what a later run may do better: what is not there, or is no such file, is not among it. */
static bool went_well(run *r, pang_code code)
{
    if (code != PANG_OK && code != PANG_NOT_FOUND && code != PANG_INVALID_ARGUMENT &&
        code != PANG_OUT_OF_RANGE)
        r->failed = true;
    return code == PANG_OK;
}

static bool find_file(run *r, pang_str location, pang_arena *arena, pang_location *ret_at,
                      pang_objects **ret)
{
    pang_err ignored;
    if (!went_well(r, pang_location_parse(location, "file", arena, ret_at, &ignored)) ||
        !is_ours(r, ret_at))
        return false;
    *ret = pang_objects_find(r->state->config.objects, ret_at->scheme);
    return *ret != NULL;
}

static void remove_file(run *r, pang_str location)
{
    pang_location at;
    pang_objects *store;
    pang_err ignored;
    int64_t bytes;
    pang_arena_reset(r->one);
    if (!find_file(r, location, r->one, &at, &store) ||
        !went_well(r, store->ops->stat(store, &at, &bytes, &ignored)) ||
        !went_well(r, store->ops->remove(store, &at, &ignored)))
        return;
    r->removed++;
}

/* ---- what metadata names ---- */

static void take_manifest(run *r, pang_str location)
{
    pang_str copy;
    if (r->n_manifests == r->capacity) {
        size_t more = r->capacity == 0 ? 64 : r->capacity * 2;
        pang_str *grown = more > FILES_MAX ? NULL
                                           : pang_arena_alloc_n(r->arena, more, sizeof *grown);
        r->failed = r->failed || grown == NULL;
        if (grown == NULL)
            return;
        for (size_t i = 0; i < r->n_manifests; i++)
            grown[i] = r->manifests[i];
        r->manifests = grown;
        r->capacity = more;
    }
    if (pang_arena_copy(r->arena, location, &copy))
        r->manifests[r->n_manifests++] = copy;
    else
        r->failed = true;
}

/* What is damaged names nothing; the collector finds what it named. */
static bool read_file(run *r, pang_str location, pang_str *ret)
{
    pang_location at;
    pang_objects *store;
    pang_err ignored;
    return find_file(r, location, r->scratch, &at, &store) &&
           went_well(r, store->ops->get(store, &at, PANG_OBJECT_MAX, r->scratch, ret, &ignored));
}

static void take_list(run *r, pang_str location)
{
    pang_manifest *rows;
    size_t n = 0;
    pang_str bytes;
    pang_err ignored;
    if (!read_file(r, location, &bytes) ||
        !went_well(r, pang_manifest_list_read(bytes, r->scratch, &rows, &n, &ignored)))
        return;
    for (size_t i = 0; i < n; i++)
        take_manifest(r, rows[i].path);
}

static bool remove_data(void *arg, const pang_manifest_entry *entry)
{
    if (entry->status != PANG_ENTRY_DELETED)
        remove_file(arg, entry->path);
    return true;
}

static void remove_files_of(run *r, pang_str location)
{
    pang_manifest_head head;
    pang_str bytes;
    pang_err ignored;
    if (read_file(r, location, &bytes))
        (void)went_well(
            r, pang_manifest_read(bytes, NULL, r->scratch, &head, remove_data, r, &ignored));
}

/* ---- the order of removal ---- */

/* True for the names of manifest lists and version 1 manifests, as pang_model_places calls them. */
static bool names(const char *what, const char *end)
{
    return pang_str_starts(pang_str_from(what), PANG_STR("snapshots[")) &&
           pang_str_find(pang_str_from(what), '.') < pang_str_from(what).len &&
           pang_str_ends(pang_str_from(what), pang_str_from(end));
}

static pang_code collect_manifests(void *arg, pang_model_place kind, const char *what,
                                   pang_str location, pang_err *err)
{
    run *r = arg;
    (void)kind;
    (void)err;
    if (names(what, ".manifest-list"))
        take_list(r, location);
    else if (names(what, "]"))
        take_manifest(r, location);
    pang_arena_reset(r->scratch);
    return PANG_OK;
}

static void remove_manifests(run *r)
{
    for (size_t i = 0; i < r->n_manifests; i++) {
        if (!r->keep_data)
            remove_files_of(r, r->manifests[i]);
        pang_arena_reset(r->scratch);
    }
    for (size_t i = 0; i < r->n_manifests; i++)
        remove_file(r, r->manifests[i]);
}

static pang_code remove_named(void *arg, pang_model_place kind, const char *what, pang_str location,
                              pang_err *err)
{
    run *r = arg;
    (void)kind;
    (void)what;
    (void)err;
    remove_file(r, location);
    return PANG_OK;
}

pang_code pang_purge_files(pang_state *state, pang_str metadata_location, pang_str document,
                           char *const *reserved, size_t n_reserved, pang_arena *arena,
                           uint64_t *ret_removed, pang_err *err)
{
    run r = {.state = state, .arena = arena, .reserved = reserved, .n_reserved = n_reserved};
    pang_json *tree;
    pang_str gc;
    pang_code code = pang_json_parse(document, arena, &tree, err);
    if (code != PANG_OK)
        return code;
    r.scratch = pang_arena_new(SCRATCH_BYTES);
    r.one = pang_arena_new(ONE_BYTES);
    if (r.scratch == NULL || r.one == NULL) {
        pang_arena_free(r.scratch);
        pang_arena_free(r.one);
        return pang_fail_memory(err);
    }
    r.keep_data = pang_model_property(tree, PANG_STR("gc.enabled"), &gc) &&
                  pang_str_equal_nocase(gc, PANG_STR("false"));
    code = pang_model_places(tree, PANG_MODEL_PLACE_FILE, collect_manifests, &r, err);
    if (code == PANG_OK)
        remove_manifests(&r);
    if (code == PANG_OK)
        code = pang_model_places(tree, PANG_MODEL_PLACE_FILE, remove_named, &r, err);
    if (code == PANG_OK)
        remove_file(&r, metadata_location);
    pang_arena_free(r.scratch);
    pang_arena_free(r.one);
    *ret_removed = r.removed;
    if (code == PANG_OK && r.failed)
        code = pang_fail(err, PANG_UNAVAILABLE, NULL, "some files could not be removed");
    return code;
}
