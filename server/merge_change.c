/*
 * The change of one side. Manifests that both list are skipped by their paths; of the others a map
 * of keys is made, so that only files that really came or went are remembered, however often the
 * manifests around them were written anew.
 */
#include "server/merge_change.h"

#include <string.h>

#include "server/model_look.h"

enum { STORY_MAX = 100000 }; /* snapshots that one story looks at */

/* ---- documents ---- */

const pang_json *pang_snapshot_find(const pang_json *document, int64_t id)
{
    return pang_model_find(pang_json_get(document, "snapshots"), "snapshot-id", id);
}

pang_str pang_snapshot_says(const pang_json *snapshot, const char *name)
{
    return pang_model_text(pang_json_get(snapshot, "summary"), name);
}

static int32_t map_id(const pang_id_pair *pairs, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (pairs[i].from == id)
            return pairs[i].to;
    }
    return id;
}

static bool view_spec(const pang_json *fields, pang_arena *arena, pang_spec_view *spec)
{
    size_t n = pang_json_size(fields);
    int32_t *ids = pang_arena_alloc_n(arena, n, sizeof *ids);
    if (ids == NULL)
        return false;
    spec->global = true;
    for (size_t i = 0; i < n; i++) {
        const pang_json *field = pang_json_at(fields, i);
        ids[i] = (int32_t)pang_model_int(field, "field-id", 1000 + (int64_t)i);
        spec->global = spec->global &&
                       pang_str_equal(pang_model_text(field, "transform"), PANG_STR("void"));
    }
    spec->fields = ids;
    spec->n_fields = n;
    return true;
}

static bool view_specs(pang_side *side, const pang_id_pair *pairs, size_t n_pairs,
                       pang_arena *arena)
{
    const pang_json *list = pang_json_get(side->document, "partition-specs");
    const pang_json *lone = pang_json_get(side->document, "partition-spec");
    size_t n = pang_json_size(list);
    pang_spec_view *specs = pang_arena_alloc_n(arena, n + 1, sizeof *specs);
    if (specs == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const pang_json *spec = pang_json_at(list, i);
        specs[i].from = (int32_t)pang_model_int(spec, "spec-id", 0);
        if (!view_spec(pang_json_get(spec, "fields"), arena, &specs[i]))
            return false;
    }
    if (n == 0 && lone != NULL && !view_spec(lone, arena, &specs[n++]))
        return false;
    for (size_t i = 0; i < n; i++)
        specs[i].to = map_id(pairs, n_pairs, specs[i].from);
    side->specs = specs;
    side->n_specs = n;
    return true;
}

const pang_spec_view *pang_side_spec(const pang_side *side, int32_t spec)
{
    for (size_t i = 0; i < side->n_specs; i++) {
        if (side->specs[i].from == spec)
            return &side->specs[i];
    }
    return NULL;
}

/* What is the file's fault is noted, and so tells a conflict from a failure. */
static pang_code note_bad(pang_code code, pang_str path, pang_arena *arena, pang_unreadable *bad,
                          const pang_err *err)
{
    if (code == PANG_NOT_FOUND || code == PANG_INVALID_ARGUMENT || code == PANG_OUT_OF_RANGE) {
        if (!pang_arena_copy(arena, path, &bad->path) ||
            !pang_arena_copy(arena, pang_str_from(err->message), &bad->why))
            return PANG_RESOURCE_EXHAUSTED;
    }
    return code;
}

static pang_code open_paths(pang_side *side, pang_err *err)
{
    for (size_t i = 0; i < side->n_rows; i++) {
        pang_file_key key;
        pang_code code = pang_file_key_path(side->rows[i].path, &key, err);
        if (code != PANG_OK)
            return code;
        const void **slot = pang_file_map_put(&side->paths, key);
        if (slot == NULL)
            return pang_fail_memory(err);
        *slot = &side->rows[i];
    }
    return PANG_OK;
}

pang_code pang_side_open(const pang_manifest_source *from, const pang_json *document,
                         const pang_id_pair *specs, size_t n_specs, pang_arena *arena,
                         pang_side *ret, pang_unreadable *ret_bad, pang_err *err)
{
    int64_t head;
    pang_manifest *rows = NULL;
    *ret = (pang_side){.document = document, .paths = {.arena = arena}};
    if (!view_specs(ret, specs, n_specs, arena))
        return pang_fail_memory(err);
    if (!pang_model_current_snapshot(document, &head))
        return PANG_OK;
    ret->snapshot = pang_snapshot_find(document, head);
    if (ret->snapshot == NULL)
        return PANG_OK;
    pang_code code = from->list(from->arg, ret->snapshot, arena, &rows, &ret->n_rows, err);
    if (code != PANG_OK)
        return note_bad(code, pang_model_text(ret->snapshot, "manifest-list"), arena, ret_bad, err);
    ret->rows = rows;
    return open_paths(ret, err);
}

pang_code pang_side_lists(const pang_side *side, pang_str path, bool *ret, pang_err *err)
{
    pang_file_key key;
    pang_code code = pang_file_key_path(path, &key, err);
    if (code == PANG_OK)
        *ret = pang_file_map_find(&side->paths, key) != NULL;
    return code;
}

/* ---- snapshots between ---- */

static bool is(pang_str text, const char *word)
{
    return pang_str_equal(text, pang_str_from(word));
}

static pang_file_key id_key(int64_t id)
{
    /* Ids are random already, or small in tests; the factor spreads both. */
    return (pang_file_key){(uint64_t)id * 0x9E3779B97F4A7C15u, (uint64_t)id};
}

/* The way from `head` up to the snapshot `until` (-1: to the first one). */
static pang_code walk(const pang_side *head, int64_t until, pang_story *story, bool *ret_all,
                      pang_err *err)
{
    const pang_json *at = head->snapshot;
    bool replace = true;
    size_t n = 0;
    *ret_all = false;
    for (; n < STORY_MAX && at != NULL; n++) {
        int64_t id = pang_model_int(at, "snapshot-id", -1), parent;
        if (id == until)
            break;
        const void **slot = pang_file_map_put(&story->ids, id_key(id));
        if (slot == NULL)
            return pang_fail_memory(err);
        *slot = at;
        replace = replace && is(pang_snapshot_says(at, "operation"), "replace");
        story->dynamic = story->dynamic || is(pang_snapshot_says(at, "replace-partitions"), "true");
        if (!pang_model_has_int(at, "parent-snapshot-id", &parent))
            parent = -1;
        at = parent == -1 ? NULL : pang_snapshot_find(head->document, parent);
        if (at == NULL) {
            *ret_all = parent == until;
            story->only_replace = *ret_all && replace;
            return PANG_OK;
        }
    }
    *ret_all = n < STORY_MAX && (at != NULL || until == -1);
    story->only_replace = *ret_all && replace && n > 0;
    return PANG_OK;
}

static int64_t head_id(const pang_side *side)
{
    return pang_model_int(side->snapshot, "snapshot-id", -1);
}

pang_code pang_story_tell(const pang_side *half, const pang_side *head, pang_arena *arena,
                          pang_story *ret, pang_err *err)
{
    pang_story back = {.ids = {.arena = arena}};
    bool all;
    *ret = (pang_story){.ids = {.arena = arena}};
    pang_code code = walk(head, head_id(half), ret, &ret->known, err);
    if (code != PANG_OK || ret->known)
        return code;
    code = walk(half, head_id(head), &back, &all, err);
    if (code == PANG_OK && all) {
        ret->known = ret->backwards = true;
        ret->only_replace = back.only_replace;
        ret->dynamic = false;
    }
    return code;
}

static pang_file_origin origin_of(const pang_change *change, pang_live_file *file)
{
    const pang_story *story = &change->story;
    const pang_json *snapshot = pang_snapshot_find(change->head->document, file->snapshot_id);
    file->in_story = story->known && !story->backwards &&
                     pang_file_map_find(&story->ids, id_key(file->snapshot_id)) != NULL;
    if (story->backwards)
        return story->only_replace ? PANG_FILE_REWRITTEN : PANG_FILE_BACK;
    if (snapshot == NULL)
        return PANG_FILE_UNKNOWN;
    if (story->known && !file->in_story)
        return PANG_FILE_BACK;
    pang_str operation = pang_snapshot_says(snapshot, "operation");
    if (is(pang_snapshot_says(snapshot, "replace-partitions"), "true"))
        return PANG_FILE_DYNAMIC;
    if (is(operation, "replace"))
        return PANG_FILE_REWRITTEN;
    return is(operation, "append") ? PANG_FILE_NEW : PANG_FILE_WRITTEN;
}

/* Of the files from the one at `from` on. Neighbours mostly are of one snapshot. */
static void tell_origins(pang_change *change, size_t from)
{
    bool orders = pang_model_int(change->head->document, "format-version", 1) > 1;
    for (size_t i = from; i < change->n_added; i++) {
        pang_live_file *file = change->added[i];
        const pang_live_file *last = i > from ? change->added[i - 1] : NULL;
        file->orders = orders;
        if (last != NULL && last->snapshot_id == file->snapshot_id) {
            file->origin = last->origin;
            file->in_story = last->in_story;
        } else {
            file->origin = origin_of(change, file);
        }
    }
}

/* ---- reading ---- */

typedef struct {
    const pang_manifest *row;
    const pang_manifest_head *head;
    const pang_side *side;
    bool gone;
    pang_seen_fn *fn;
    void *arg;
    pang_code code;
    pang_err *err;
} reading;

static bool on_entry(void *arg, const pang_manifest_entry *entry)
{
    reading *r = arg;
    pang_seen_entry seen = {.row = r->row, .head = r->head, .entry = entry};
    if ((entry->status == PANG_ENTRY_DELETED) != r->gone)
        return true;
    seen.spec = pang_side_spec(r->side, r->row->spec_id);
    r->code = seen.spec == NULL ? pang_fail(r->err, PANG_INVALID_ARGUMENT, NULL,
                                            "it is of partition spec %d, which the table has not",
                                            (int)r->row->spec_id)
                                : pang_file_key_of(entry, &seen.key, r->err);
    if (r->code == PANG_OK)
        r->code = r->fn(r->arg, &seen, r->err);
    return r->code == PANG_OK;
}

pang_code pang_side_read(const pang_manifest_source *from, const pang_side *side,
                         const pang_manifest *row, bool gone, pang_arena *scratch, pang_seen_fn *fn,
                         void *arg, pang_unreadable *ret_bad, pang_err *err)
{
    pang_manifest_head head = {0};
    reading r = {.row = row, .head = &head, .side = side, .gone = gone, .fn = fn, .arg = arg};
    r.err = err;
    pang_code code = row->key_metadata.ptr != NULL
                         ? pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "it is encrypted")
                         : from->read(from->arg, row, scratch, &head, on_entry, &r, err);
    if (code == PANG_OK)
        code = r.code;
    if (code != PANG_OK)
        code = note_bad(code, row->path, side->paths.arena, ret_bad, err);
    pang_arena_reset(scratch);
    return code;
}

/* ---- the difference ---- */

typedef struct {
    const pang_change_run *run;
    pang_change *change;
    pang_file_map before;  /* keys of the half's live files; a value: the head has it too */
    size_t n, n_both;      /* entries of the half; keys that the head has too */
    pang_live_file **list; /* of what is being collected */
    size_t n_list, capacity;
} difference;

static const char both[1];

static pang_code too_many(pang_err *err)
{
    return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "more than %d files are to be compared",
                     PANG_CHANGED_FILES_MAX);
}

static pang_code see_before(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    difference *d = arg;
    if (++d->n > PANG_CHANGED_FILES_MAX)
        return too_many(err);
    return pang_file_map_put(&d->before, seen->key) == NULL ? pang_fail_memory(err) : PANG_OK;
}

static bool push(difference *d, pang_live_file *file)
{
    if (d->n_list == d->capacity) {
        size_t more = d->capacity == 0 ? 64 : d->capacity * 2;
        pang_live_file **grown = pang_arena_alloc_n(d->before.arena, more, sizeof *grown);
        if (grown == NULL)
            return false;
        if (d->n_list > 0)
            memcpy(grown, d->list, d->n_list * sizeof *grown);
        d->list = grown;
        d->capacity = more;
    }
    d->list[d->n_list++] = file;
    return true;
}

static pang_code collect(difference *d, const pang_seen_entry *seen, pang_file_map *map,
                         pang_file_set set, pang_err *err)
{
    pang_live_file *file;
    const void **slot = pang_file_map_put(map, seen->key);
    if (slot == NULL)
        return pang_fail_memory(err);
    if (*slot != NULL)
        return PANG_OK;
    if (map->n > PANG_CHANGED_FILES_MAX)
        return too_many(err);
    pang_code code = pang_live_file_new(d->run->table, seen->spec, seen->head, seen->entry,
                                        seen->key, &file, err);
    if (code != PANG_OK)
        return code;
    *slot = file;
    pang_live_file_join(file, set);
    return push(d, file) ? PANG_OK : pang_fail_memory(err);
}

static pang_code see_after(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    difference *d = arg;
    const void **known = pang_file_map_find(&d->before, seen->key);
    if (known != NULL) {
        d->n_both += *known == NULL;
        *known = both;
        return PANG_OK;
    }
    return collect(d, seen, &d->change->by_key_added, d->run->added, err);
}

static pang_code see_removed(void *arg, const pang_seen_entry *seen, pang_err *err)
{
    difference *d = arg;
    const void **known = pang_file_map_find(&d->before, seen->key);
    if (known == NULL || *known != NULL)
        return PANG_OK;
    return collect(d, seen, &d->change->by_key_removed, d->run->removed, err);
}

/* Entries of the manifests that `side` lists and `other` does not. */
static pang_code read_own(difference *d, const pang_side *side, const pang_side *other,
                          pang_manifest_content content, pang_seen_fn *fn, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < side->n_rows; i++) {
        bool listed;
        if (side->rows[i].content != content)
            continue;
        code = pang_side_lists(other, side->rows[i].path, &listed, err);
        if (code == PANG_OK && !listed)
            code = pang_side_read(d->run->from, side, &side->rows[i], false, d->run->scratch, fn, d,
                                  d->run->bad, err);
    }
    return code;
}

/* What was collected goes behind what is there. */
static pang_code take_list(difference *d, pang_live_file ***list, size_t *n, pang_err *err)
{
    pang_live_file **joined = pang_arena_alloc_n(d->before.arena, *n + d->n_list, sizeof *joined);
    if (joined == NULL)
        return pang_fail_memory(err);
    if (*n > 0)
        memcpy(joined, *list, *n * sizeof *joined);
    if (d->n_list > 0)
        memcpy(joined + *n, d->list, d->n_list * sizeof *joined);
    *list = joined;
    *n += d->n_list;
    d->n_list = 0;
    return PANG_OK;
}

pang_code pang_change_read(const pang_change_run *run, pang_manifest_content content,
                           pang_change *change, pang_err *err)
{
    pang_arena *arena = run->table->arena;
    difference d = {.run = run, .change = change, .before = {.arena = arena}};
    size_t was = change->n_added;
    change->by_key_added.arena = change->by_key_removed.arena = arena;
    pang_code code = read_own(&d, change->half, change->head, content, see_before, err);
    if (code == PANG_OK)
        code = read_own(&d, change->head, change->half, content, see_after, err);
    if (code == PANG_OK)
        code = take_list(&d, &change->added, &change->n_added, err);
    if (code == PANG_OK && d.n_both < d.before.n)
        code = read_own(&d, change->half, change->head, content, see_removed, err);
    if (code == PANG_OK)
        code = take_list(&d, &change->removed, &change->n_removed, err);
    if (code == PANG_OK)
        tell_origins(change, was);
    return code;
}
