/*
 * The files of the manifests that only `from` names go into a map; those of the manifests that only
 * `to` names are taken out of it, and what is not in it was added. What stays was removed.
 */
#include "server/files_diff.h"

#include "server/live_files.h"
#include "server/model_look.h"

enum { MANIFEST_BYTES = 512 << 20 }; /* memory for one that is read */

typedef struct {
    pang_str path;
    int64_t rows;
    bool is_data, is_common;
} live;

typedef struct {
    const pang_files_access *access;
    pang_arena *arena;
    pang_files_diff *ret;
    pang_file_map known; /* of `from` */
    live **all;
    size_t n, room;
    bool adding; /* `to` is being read */
    pang_code code;
    pang_err *err;
} comparison;

/* ---- reading ---- */

static bool is_below(const pang_rec_content *table, const pang_location *at)
{
    for (size_t i = 0; i < table->n_reserved; i++) {
        pang_str outer = pang_str_from(table->reserved[i]);
        if (pang_str_starts(at->canonical, outer) && at->canonical.len > outer.len &&
            at->canonical.ptr[outer.len] == '/')
            return true;
    }
    return false;
}

static pang_code read_file(const comparison *c, pang_str location, pang_arena *arena, pang_str *ret,
                           pang_err *err)
{
    pang_location at;
    pang_code code = pang_location_parse(location, "file", arena, &at, err);
    if (code != PANG_OK)
        return code;
    pang_objects *store = pang_objects_find(c->access->objects, at.scheme);
    if (store == NULL ||
        (!is_below(c->access->table[0], &at) && !is_below(c->access->table[1], &at)))
        return pang_fail(err, PANG_NOT_FOUND, NULL,
                         "\"%" PANG_STR_FMT "\" is not among the table's files",
                         PANG_STR_ARG(location));
    return store->ops->get(store, &at, PANG_OBJECT_MAX, arena, ret, err);
}

/* A version 1 snapshot may name its manifests itself. */
static pang_code rows_of(const comparison *c, const pang_json *snapshot, pang_manifest **ret,
                         size_t *ret_n, pang_err *err)
{
    pang_str list = pang_model_text(snapshot, "manifest-list"), bytes;
    const pang_json *named = pang_json_get(snapshot, "manifests");
    if (list.len > 0) {
        pang_code code = read_file(c, list, c->arena, &bytes, err);
        return code == PANG_OK ? pang_manifest_list_read(bytes, c->arena, ret, ret_n, err) : code;
    }
    *ret_n = pang_json_size(named);
    *ret = pang_arena_alloc_n(c->arena, *ret_n, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < *ret_n; i++) {
        (*ret)[i] = (pang_manifest){.path = {0}};
        (void)pang_json_to_str(pang_json_at(named, i), &(*ret)[i].path);
    }
    return PANG_OK;
}

/* ---- files ---- */

static void show(pang_str *list, size_t *n, pang_str path)
{
    if (*n < PANG_FILES_SHOWN_MAX)
        list[(*n)++] = path;
}

static bool remember(comparison *c, pang_file_key key, live *file)
{
    const void **slot = pang_file_map_put(&c->known, key);
    if (slot == NULL)
        return false;
    if (*slot != NULL)
        return true; /* named twice */
    *slot = file;
    if (c->n == c->room) {
        size_t room = c->room == 0 ? 256 : c->room * 2;
        live **all = pang_arena_alloc_n(c->arena, room, sizeof(live *));
        if (all == NULL)
            return false;
        for (size_t i = 0; i < c->n; i++)
            all[i] = c->all[i];
        c->all = all;
        c->room = room;
    }
    c->all[c->n++] = file;
    return true;
}

static bool add_file(comparison *c, pang_file_key key, const live *file)
{
    pang_str path;
    const void **slot = pang_file_map_find(&c->known, key);
    if (slot != NULL && *slot != NULL) {
        ((live *)(uintptr_t)*slot)->is_common = true;
        return true;
    }
    c->ret->data_added += file->is_data;
    c->ret->deletes_added += !file->is_data;
    c->ret->rows_added += file->is_data ? file->rows : 0;
    if (c->ret->n_added == PANG_FILES_SHOWN_MAX)
        return true;
    if (!pang_arena_copy(c->arena, file->path, &path))
        return false;
    show(c->ret->added, &c->ret->n_added, path);
    return true;
}

static bool take_entry(void *arg, const pang_manifest_entry *entry)
{
    comparison *c = arg;
    pang_file_key key;
    live file = {entry->path, entry->record_count, entry->content == PANG_FILE_DATA, false};
    if (entry->status == PANG_ENTRY_DELETED)
        return true;
    c->code = pang_file_key_of(entry, &key, c->err);
    if (c->code != PANG_OK)
        return false;
    bool ok;
    if (c->adding) {
        ok = add_file(c, key, &file);
    } else {
        live *kept = pang_arena_alloc(c->arena, sizeof *kept);
        ok = kept != NULL && pang_arena_copy(c->arena, entry->path, &file.path);
        if (ok)
            *kept = file;
        ok = ok && remember(c, key, kept);
    }
    if (!ok)
        c->code = pang_fail_memory(c->err);
    return ok;
}

static pang_code read_manifest(comparison *c, const pang_manifest *row, pang_err *err)
{
    pang_manifest_head head;
    pang_str bytes;
    pang_arena *scratch = pang_arena_new(MANIFEST_BYTES);
    if (scratch == NULL)
        return pang_fail_memory(err);
    pang_code code = read_file(c, row->path, scratch, &bytes, err);
    if (code == PANG_OK)
        code = pang_manifest_read(bytes, row, scratch, &head, take_entry, c, err);
    pang_arena_free(scratch);
    return code == PANG_OK ? c->code : code;
}

/* Reads the manifests of one side that the other does not name. */
static pang_code read_own(comparison *c, const pang_manifest *own, size_t n,
                          const pang_manifest *others, size_t n_others, pang_err *err)
{
    pang_file_map named = {.arena = c->arena};
    pang_file_key key;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n_others; i++) {
        code = pang_file_key_path(others[i].path, &key, err);
        const void **slot = code == PANG_OK ? pang_file_map_put(&named, key) : NULL;
        if (slot != NULL)
            *slot = &others[i];
        else if (code == PANG_OK)
            code = pang_fail_memory(err);
    }
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        code = pang_file_key_path(own[i].path, &key, err);
        if (code == PANG_OK && pang_file_map_find(&named, key) == NULL)
            code = read_manifest(c, &own[i], err);
    }
    return code;
}

pang_code pang_files_compare(const pang_files_access *access, const pang_json *from,
                             const pang_json *to, pang_arena *arena, pang_files_diff *ret,
                             pang_err *err)
{
    pang_manifest *a = NULL, *b = NULL;
    size_t n_a = 0, n_b = 0;
    comparison c = {
        .access = access, .arena = arena, .ret = ret, .known = {.arena = arena}, .err = err};
    *ret = (pang_files_diff){.n_added = 0};
    pang_code code = from == NULL ? PANG_OK : rows_of(&c, from, &a, &n_a, err);
    if (code == PANG_OK && to != NULL)
        code = rows_of(&c, to, &b, &n_b, err);
    if (code == PANG_OK)
        code = read_own(&c, a, n_a, b, n_b, err);
    c.adding = true;
    if (code == PANG_OK)
        code = read_own(&c, b, n_b, a, n_a, err);
    for (size_t i = 0; code == PANG_OK && i < c.n; i++) {
        const live *file = c.all[i];
        if (file->is_common)
            continue;
        ret->data_removed += file->is_data;
        ret->deletes_removed += !file->is_data;
        ret->rows_removed += file->is_data ? file->rows : 0;
        show(ret->removed, &ret->n_removed, file->path);
    }
    return code;
}

const pang_json *pang_files_head(const pang_json *document)
{
    int64_t id;
    if (!pang_model_current_snapshot(document, &id))
        return NULL;
    return pang_model_find(pang_json_get(document, "snapshots"), "snapshot-id", id);
}

bool pang_files_is_damage(pang_code code)
{
    return code == PANG_NOT_FOUND || code == PANG_INVALID_ARGUMENT || code == PANG_OUT_OF_RANGE ||
           code == PANG_DATA_LOSS || code == PANG_PERMISSION_DENIED;
}
