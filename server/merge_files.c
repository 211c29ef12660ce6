/*
 * Merging files: where manifests are read from and written to.
 *
 * Anybody who can register a document can name somebody else's files in it. So manifests are read
 * only below places that the table's documents have had for their own, which are reserved.
 */
#include "server/merge_files.h"

#include "server/merge_kept.h"
#include "server/merge_steps.h"
#include "server/metadata.h"
#include "server/model.h"
#include "server/model_look.h"

enum {
    SCRATCH_BYTES = 1 << 30, /* of a manifest that is being read */
    PLACES_MAX = 32,         /* that one table's documents have for their own */
};

/* ---- files ---- */

typedef struct {
    const pang_merge_table *merge;
    pang_str metadata; /* the folder for new files */
    pang_location places[PLACES_MAX];
    size_t n_places;
} store;

static pang_code add_place(void *arg, pang_model_place kind, const char *what, pang_str location,
                           pang_err *err)
{
    store *s = arg;
    pang_location at;
    (void)kind;
    pang_code code = pang_location_parse(location, what, s->merge->arena, &at, err);
    if (code != PANG_OK || s->n_places == PLACES_MAX)
        return code;
    for (size_t i = 0; i < s->n_places; i++) {
        if (pang_location_covers(&s->places[i], &at))
            return PANG_OK;
    }
    s->places[s->n_places++] = at;
    return PANG_OK;
}

static pang_code open_store(const pang_merge_table *merge, const pang_json *merged, store *ret,
                            pang_err *err)
{
    const pang_json *documents[] = {merged, merge->target.document, merge->source.document,
                                    merge->target_half.document, merge->source_half.document};
    pang_code code = PANG_OK;
    *ret = (store){.merge = merge};
    for (size_t i = 0; code == PANG_OK && i < sizeof documents / sizeof documents[0]; i++) {
        if (documents[i] != NULL)
            code = pang_model_places(documents[i], PANG_MODEL_PLACE_ROOT, add_place, ret, err);
    }
    return code;
}

static pang_code find_file(const store *s, pang_str location, pang_arena *arena,
                           pang_location *ret_at, pang_objects **ret, pang_err *err)
{
    bool covered = false;
    pang_code code = pang_location_parse(location, "file", arena, ret_at, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < s->n_places; i++)
        covered = covered || pang_location_covers(&s->places[i], ret_at);
    *ret = pang_objects_find(pang_state_objects(s->merge->state), ret_at->scheme);
    if (!covered || *ret == NULL)
        return pang_fail(err, PANG_NOT_FOUND, "NotFoundException",
                         "it does not lie below the table's location");
    return PANG_OK;
}

static pang_code get_file(const store *s, pang_str location, pang_arena *arena, pang_str *ret,
                          pang_err *err)
{
    pang_location at;
    pang_objects *objects;
    pang_code code = find_file(s, location, arena, &at, &objects, err);
    return code == PANG_OK ? objects->ops->get(objects, &at, PANG_OBJECT_MAX, arena, ret, err)
                           : code;
}

static pang_code read_manifest(void *arg, const pang_manifest *row, pang_arena *arena,
                               pang_manifest_head *ret_head, pang_manifest_entry_fn *fn,
                               void *fn_arg, pang_err *err)
{
    pang_str bytes;
    pang_code code = get_file(arg, row->path, arena, &bytes, err);
    return code == PANG_OK ? pang_manifest_read(bytes, row, arena, ret_head, fn, fn_arg, err)
                           : code;
}

/* ---- manifests that a version 1 snapshot names itself ---- */

static bool count_entry(void *arg, const pang_manifest_entry *entry)
{
    pang_manifest *row = arg;
    int32_t *files = entry->status == PANG_ENTRY_ADDED     ? &row->added_files
                     : entry->status == PANG_ENTRY_DELETED ? &row->deleted_files
                                                           : &row->existing_files;
    int64_t *rows = entry->status == PANG_ENTRY_ADDED     ? &row->added_rows
                    : entry->status == PANG_ENTRY_DELETED ? &row->deleted_rows
                                                          : &row->existing_rows;
    ++*files;
    *rows += entry->record_count;
    return true;
}

static pang_code make_row(const store *s, pang_str path, int64_t snapshot, pang_arena *arena,
                          pang_manifest *row, pang_err *err)
{
    pang_arena *scratch = pang_arena_new(SCRATCH_BYTES);
    pang_manifest_head head;
    pang_str bytes;
    *row = (pang_manifest){.path = path, .snapshot_id = snapshot};
    if (scratch == NULL)
        return pang_fail_memory(err);
    pang_code code = get_file(s, path, scratch, &bytes, err);
    if (code == PANG_OK)
        code = pang_manifest_read(bytes, row, scratch, &head, count_entry, row, err);
    if (code == PANG_OK) {
        row->length = (int64_t)bytes.len;
        row->spec_id = head.spec_id;
        if (!pang_arena_copy(arena, path, &row->path))
            code = pang_fail_memory(err);
    }
    pang_arena_free(scratch);
    return code;
}

static pang_code make_rows(const store *s, const pang_json *snapshot, pang_arena *arena,
                           pang_manifest **ret, size_t *ret_n, pang_err *err)
{
    const pang_json *list = pang_json_get(snapshot, "manifests");
    size_t n = pang_json_size(list);
    pang_manifest *rows = pang_arena_alloc_n(arena, n, sizeof *rows);
    pang_code code = rows == NULL ? pang_fail_memory(err) : PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_str path = {0};
        (void)pang_json_to_str(pang_json_at(list, i), &path);
        code = make_row(s, path, pang_model_int(snapshot, "snapshot-id", -1), arena, &rows[i], err);
    }
    *ret = rows;
    *ret_n = n;
    return code;
}

static pang_code read_list(void *arg, const pang_json *snapshot, pang_arena *arena,
                           pang_manifest **ret, size_t *ret_n, pang_err *err)
{
    pang_str path = pang_model_text(snapshot, "manifest-list"), bytes;
    if (path.len == 0)
        return make_rows(arg, snapshot, arena, ret, ret_n, err);
    pang_code code = get_file(arg, path, arena, &bytes, err);
    return code == PANG_OK ? pang_manifest_list_read(bytes, arena, ret, ret_n, err) : code;
}

/* ---- new files ---- */

/* Of a table that is kept it belongs to the call, else to the attempt. */
static pang_code put_file(const store *s, pang_new_file *to, pang_str bytes, pang_err *err)
{
    if (s->merge->kept == NULL)
        return pang_new_file_put(s->merge->txn, to, bytes, PANG_DURABLE, err);
    pang_code code = pang_kept_table_add_file(s->merge->kept, to->objects, &to->at, err);
    return code == PANG_OK ? to->objects->ops->put(to->objects, &to->at, bytes, PANG_DURABLE, err)
                           : code;
}

static pang_code write_file(void *arg, pang_str name, pang_str bytes, pang_arena *arena,
                            pang_str *ret_location, pang_err *err)
{
    store *s = arg;
    pang_new_file *to = pang_arena_alloc(s->merge->arena, sizeof *to);
    pang_str location = pang_arena_printf(s->merge->arena, "%" PANG_STR_FMT "/%" PANG_STR_FMT,
                                          PANG_STR_ARG(s->metadata), PANG_STR_ARG(name));
    if (to == NULL || location.len == 0 || !pang_arena_copy(arena, location, ret_location))
        return pang_fail_memory(err);
    pang_code code = find_file(s, location, s->merge->arena, &to->at, &to->objects, err);
    return code == PANG_OK ? put_file(s, to, bytes, err) : code;
}

static bool find_metadata(store *s, const pang_json *merged)
{
    pang_str folder;
    bool own = pang_model_property(merged, PANG_STR("write.metadata.path"), &folder);
    if (!own)
        folder = pang_model_text(merged, "location");
    while (folder.len > 0 && folder.ptr[folder.len - 1] == '/')
        folder.len--;
    s->metadata = pang_arena_printf(s->merge->arena, "%" PANG_STR_FMT "%s", PANG_STR_ARG(folder),
                                    own ? "" : "/metadata");
    return s->metadata.len > 0;
}

/* ---- joined ---- */

pang_code pang_merge_files_run(const pang_merge_files *files, pang_files_outcome *ret,
                               pang_err *err)
{
    store s;
    const pang_manifest_source from = {.arg = &s, .list = read_list, .read = read_manifest};
    const pang_manifest_sink sink = {.arg = &s, .write = write_file};
    pang_code code = open_store(files->merge, files->merged, &s, err);
    if (code == PANG_OK && !find_metadata(&s, files->merged))
        code = pang_fail_memory(err);
    return code == PANG_OK ? pang_merge_steps(files, &from, &sink, ret, err) : code;
}

/* Lists of the same paths. */
static bool same_rows(const pang_side *a, const pang_side *b, pang_err *err)
{
    bool listed = a->n_rows == b->n_rows;
    for (size_t i = 0; listed && i < a->n_rows; i++)
        listed = pang_side_lists(b, a->rows[i].path, &listed, err) == PANG_OK && listed;
    return listed;
}

pang_code pang_merge_files_changed(const pang_merge_table *merge, bool *ret, pang_err *err)
{
    store s;
    const pang_manifest_source from = {.arg = &s, .list = read_list, .read = read_manifest};
    pang_side half, source;
    pang_unreadable bad;
    int64_t was = -1, is = -1;
    *ret = true;
    pang_code code = open_store(merge, NULL, &s, err);
    if (code != PANG_OK)
        return code;
    (void)pang_model_current_snapshot(merge->source_half.document, &was);
    (void)pang_model_current_snapshot(merge->source.document, &is);
    if (was == is) {
        *ret = false;
        return PANG_OK;
    }
    if (pang_side_open(&from, merge->source_half.document, NULL, 0, merge->arena, &half, &bad,
                       err) == PANG_OK &&
        pang_side_open(&from, merge->source.document, NULL, 0, merge->arena, &source, &bad, err) ==
            PANG_OK)
        *ret = !same_rows(&half, &source, err);
    return PANG_OK;
}
