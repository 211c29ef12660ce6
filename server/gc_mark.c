/*
 * Marking. An asset's states are its content records: current ones and history, on every branch,
 * under every name that it had. Those that a point reaches, or that were replaced not long ago,
 * name the documents, and documents name the files.
 */
#include <stdlib.h>
#include <string.h>

#include "server/gc_internal.h"
#include "server/manifest.h"
#include "server/metadata.h"

enum {
    NAMES_MAX = 10000,         /* that one asset had */
    STATES_MAX = 1000000,      /* of one asset */
    SCRATCH_BYTES = 512 << 20, /* a document, or a manifest */
    ONE_BYTES = 64 << 10,
};

/* ---- states ---- */

typedef struct {
    pang_id branch;
    uint64_t from, until; /* until PANG_NOW: it is so still */
    int64_t from_ms, until_ms;
    bool dropped, purged;
    pang_gc_document document;
} state;

typedef struct {
    uint32_t space;
    char *path, *name;
} place_name;

typedef struct {
    const pang_gc *gc;
    pang_arena *arena;
    pang_keys keys;
    pang_id asset, branch;
    place_name *names;
    size_t n_names, name_room;
    state *states;
    size_t n_states, state_room;
    pang_code code;
    pang_err *err;
} finding;

static void fail_many(finding *f, const char *what)
{
    f->code = pang_fail(f->err, PANG_RESOURCE_EXHAUSTED, NULL, "one asset has too many %s", what);
}

/* Doubles a list; false with the failure noted. */
static bool room(finding *f, void **list, size_t n, size_t *have, size_t size, size_t most,
                 const char *what)
{
    if (n < *have)
        return true;
    size_t more = *have == 0 ? 16 : *have * 2;
    void *grown = n >= most ? NULL : pang_arena_alloc_n(f->arena, more, size);
    if (grown == NULL) {
        fail_many(f, what);
        return false;
    }
    if (n > 0)
        memcpy(grown, *list, n * size);
    *list = grown;
    *have = more;
    return true;
}

static bool take_name(finding *f, const pang_rec_asset *at)
{
    for (size_t i = 0; i < f->n_names; i++)
        if (f->names[i].space == at->space && strcmp(f->names[i].path, at->path) == 0 &&
            strcmp(f->names[i].name, at->name) == 0)
            return true;
    void *list = f->names;
    if (!room(f, &list, f->n_names, &f->name_room, sizeof *f->names, NAMES_MAX, "names"))
        return false;
    f->names = list;
    place_name *to = &f->names[f->n_names++];
    *to = (place_name){at->space, pang_arena_cstr(f->arena, pang_str_from(at->path)),
                       pang_arena_cstr(f->arena, pang_str_from(at->name))};
    if (to->path == NULL || to->name == NULL)
        f->code = pang_fail_memory(f->err);
    return f->code == PANG_OK;
}

static bool take_asset(void *arg, const pang_record *row, pang_arena *arena)
{
    finding *f = arg;
    pang_rec_asset *at;
    f->code = pang_record_unpack(&pangolin__store__v1__asset__descriptor, row, arena, &at, f->err);
    return f->code == PANG_OK && take_name(f, at);
}

static bool take_state(finding *f, const pang_record *row, pang_arena *arena, bool current)
{
    pang_rec_content *body;
    f->code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, arena, &body,
                                 f->err);
    if (f->code != PANG_OK || !pang_id_equal(pang_id_of(body->asset), f->asset))
        return f->code == PANG_OK;
    void *list = f->states;
    if (!room(f, &list, f->n_states, &f->state_room, sizeof *f->states, STATES_MAX, "states"))
        return false;
    f->states = list;
    state *to = &f->states[f->n_states++];
    *to = (state){.branch = f->branch,
                  .from = current ? row->sequence : body->written_at,
                  .until = current ? PANG_NOW : row->sequence,
                  .from_ms = current ? row->time_ms : body->written_ms,
                  .until_ms = row->time_ms,
                  .dropped = body->dropped,
                  .purged = body->purged};
    to->document.document = pang_id_of(body->document);
    to->document.location = pang_arena_cstr(f->arena, pang_str_from(body->metadata_location));
    if (to->document.location == NULL)
        f->code = pang_fail_memory(f->err);
    return f->code == PANG_OK;
}

static bool take_history(void *arg, const pang_record *row, pang_arena *arena)
{
    return take_state(arg, row, arena, false);
}

/* ---- where to look ---- */

static void scan(finding *f, pang_str key, bool from_number, pang_gc_row_fn *fn)
{
    pang_str prefix = from_number ? pang_str_slice(key, 0, pang_key_prefix_len(key)) : key;
    pang_code code = pang_keys_status(&f->keys, f->err);
    if (code == PANG_OK && f->code == PANG_OK)
        code = pang_gc_scan(f->gc->store, prefix, (pang_str){0}, fn, f, f->err);
    if (f->code == PANG_OK)
        f->code = code;
}

/* One record for each branch, in few round trips. */
typedef pang_str key_fn(finding *f, pang_id branch, size_t which);
typedef void found_fn(finding *f, const pang_record *row);

static void for_branches(finding *f, key_fn *key, size_t which, found_fn *fn)
{
    const pang_gc_points *points = f->gc->points;
    pang_ref refs[64];
    pang_record records[64];
    for (size_t from = 0; f->code == PANG_OK && from < points->n_branches; from += 64) {
        size_t n = points->n_branches - from < 64 ? points->n_branches - from : 64;
        for (size_t i = 0; i < n; i++)
            refs[i] = (pang_ref){.key = key(f, points->branches[from + i].id, which)};
        f->code = pang_keys_status(&f->keys, f->err);
        if (f->code == PANG_OK)
            f->code = pang_store_get(f->gc->store, refs, n, PANG_NO_DEADLINE, f->arena, records,
                                     f->err);
        for (size_t i = 0; f->code == PANG_OK && i < n; i++) {
            f->branch = points->branches[from + i].id;
            if (records[i].version != 0)
                fn(f, &records[i]);
        }
    }
}

static pang_str asset_key(finding *f, pang_id branch, size_t which)
{
    (void)which;
    return pang_key_asset(&f->keys, branch, f->asset);
}

static void found_asset(finding *f, const pang_record *row)
{
    if (take_asset(f, row, f->arena))
        scan(f, pang_key_asset_history(&f->keys, f->branch, f->asset, 0), true, take_asset);
}

static pang_str content_key(finding *f, pang_id branch, size_t which)
{
    const place_name *at = &f->names[which];
    return pang_key_content(&f->keys, branch, (pang_space)at->space, pang_str_from(at->path),
                            pang_str_from(at->name));
}

static void found_content(finding *f, const pang_record *row)
{
    pang_key_parts parts;
    pang_str name;
    if (!take_state(f, row, f->arena, true))
        return;
    if (!pang_key_parse(row->key, &parts) || parts.n < 4 ||
        !pang_key_unescape(parts.parts[3], f->arena, &name)) {
        f->code = pang_fail(f->err, PANG_DATA_LOSS, NULL, "a content record's key is damaged");
        return;
    }
    scan(f,
         pang_key_history(&f->keys, f->branch, (pang_space)parts.parts[1].ptr[0], parts.parts[2],
                          name, 0),
         true, take_history);
}

/* ---- which count ---- */

/* When the asset was purged on a branch, for good: its time to come back is over. 0: it was not. */
static uint64_t purged_at(const finding *f, pang_id branch)
{
    uint64_t at = 0;
    for (size_t i = 0; i < f->n_states; i++) {
        const state *s = &f->states[i];
        if (!s->dropped || !s->purged || !pang_id_equal(s->branch, branch))
            continue;
        if (s->from_ms + f->gc->points->undrop_ms <= f->gc->now_ms && s->from > at)
            at = s->from;
    }
    return at;
}

static bool is_reached(const finding *f, const state *s)
{
    return !s->dropped && pang_gc_reaches(f->gc->points, s->branch, s->from, s->until);
}

/* Replaced not long ago: commits of then can be read, and the table can come back. */
static bool is_young(const finding *f, const state *s)
{
    if (s->until == PANG_NOW)
        return false;
    return s->until_ms > f->gc->now_ms - f->gc->keep_ms && s->until > purged_at(f, s->branch);
}

static int by_document(const void *a, const void *b)
{
    const pang_gc_document *x = a, *y = b;
    int order = memcmp(x->document.bytes, y->document.bytes, sizeof x->document.bytes);
    return order != 0 ? order : (int)y->reached - (int)x->reached;
}

static int by_reach(const void *a, const void *b)
{
    const pang_gc_document *x = a, *y = b;
    return (int)y->reached - (int)x->reached;
}

/* A rename leaves a tombstone, which says nothing of the asset. */
static bool is_later(const state *s, const state *than)
{
    if (than == NULL || s->from != than->from)
        return than == NULL || s->from > than->from;
    return than->dropped && !s->dropped;
}

/* Each of the n once; what a ref reads first, since of that everything must be there. */
static void put_in_order(pang_gc_asset *ret, size_t n)
{
    if (n > 1)
        qsort(ret->documents, n, sizeof *ret->documents, by_document);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !pang_id_equal(ret->documents[i].document, ret->documents[i - 1].document))
            ret->documents[ret->n++] = ret->documents[i];
    if (ret->n > 1)
        qsort(ret->documents, ret->n, sizeof *ret->documents, by_reach);
}

static void choose(finding *f, pang_gc_asset *ret)
{
    const state *last = NULL;
    uint64_t ended = 0; /* when the last state that was no tombstone was replaced */
    size_t n = 0;
    ret->documents = pang_arena_alloc_n(f->arena, f->n_states + 1, sizeof *ret->documents);
    if (ret->documents == NULL) {
        f->code = pang_fail_memory(f->err);
        return;
    }
    for (size_t i = 0; i < f->n_states; i++) {
        const state *s = &f->states[i];
        bool reached = is_reached(f, s);
        last = is_later(s, last) ? s : last;
        if (!s->dropped && s->until != PANG_NOW && s->until > ended)
            ended = s->until;
        if (s->dropped || !(reached || is_young(f, s)) || pang_id_is_nil(s->document.document))
            continue;
        ret->documents[n] = s->document;
        ret->documents[n++].reached = reached;
    }
    put_in_order(ret, n);
    ret->found = f->n_states > 0;
    /* Ended after it last began: a merge gave its name to another, without a tombstone. */
    bool replaced = last != NULL && ended > last->from;
    ret->keeps_files = replaced || (last != NULL && last->dropped && !last->purged);
}

pang_code pang_gc_find(const pang_gc *gc, pang_id asset, pang_arena *arena, pang_gc_asset *ret,
                       pang_err *err)
{
    finding f = {.gc = gc,
                 .arena = arena,
                 .keys = {.arena = arena, .scope = gc->scope},
                 .asset = asset,
                 .err = err};
    *ret = (pang_gc_asset){0};
    for_branches(&f, asset_key, 0, found_asset);
    for (size_t i = 0; f.code == PANG_OK && i < f.n_names; i++)
        for_branches(&f, content_key, i, found_content);
    if (f.code == PANG_OK)
        choose(&f, ret);
    return f.code;
}

/* ---- files ---- */

typedef struct {
    const pang_gc *gc;
    const pang_gc_document *document;
    pang_str place;
    pang_gc_set *marks, *seen;
    pang_arena *scratch; /* the document */
    pang_arena *list;    /* the manifest list that is read */
    pang_arena *deep;    /* the manifest that is read */
    pang_arena *one;
    pang_code code;
    pang_err *err;
} marking;

static bool is_below(pang_str place, pang_str canonical)
{
    return pang_str_starts(canonical, place) && canonical.len > place.len &&
           canonical.ptr[place.len] == '/';
}

/* A name that is no location names nothing that a list could show. */
static bool canonical_of(marking *m, pang_str location, pang_arena *arena, pang_location *ret)
{
    pang_err ignored;
    pang_code code = pang_location_parse(location, "file", arena, ret, &ignored);
    if (code != PANG_OK && code != PANG_INVALID_ARGUMENT)
        m->code = pang_fail_memory(m->err);
    return code == PANG_OK;
}

static bool mark(marking *m, pang_str location)
{
    pang_location at;
    pang_arena_reset(m->one);
    if (!canonical_of(m, location, m->one, &at))
        return m->code == PANG_OK;
    if (is_below(m->place, at.canonical))
        (void)pang_gc_set_add(m->marks, at.canonical);
    return !m->marks->full;
}

/* Reads a file that names others. *ret is empty when it is gone and nothing but age keeps it. */
static bool read_file(marking *m, pang_str location, pang_arena *arena, pang_str *ret)
{
    pang_location at;
    *ret = (pang_str){0};
    pang_code code = pang_location_parse(location, "file", arena, &at, m->err);
    pang_objects *store = code == PANG_OK
                              ? pang_objects_find(m->gc->state->config.objects, at.scheme)
                              : NULL;
    if (code == PANG_OK && store == NULL)
        code = pang_fail(m->err, PANG_FAILED_PRECONDITION, NULL,
                         "no object store serves %" PANG_STR_FMT, PANG_STR_ARG(location));
    if (code == PANG_OK && store != NULL)
        code = store->ops->get(store, &at, PANG_OBJECT_MAX, arena, ret, m->err);
    if (code == PANG_NOT_FOUND && !m->document->reached)
        return false;
    m->code = code;
    return code == PANG_OK;
}

/* What reading said, unless marking failed before. */
static void note(marking *m, pang_code code, const pang_err *err)
{
    if (code == PANG_OK || m->code != PANG_OK)
        return;
    m->code = code;
    *m->err = *err;
}

static bool mark_entry(void *arg, const pang_manifest_entry *entry)
{
    return entry->status == PANG_ENTRY_DELETED || mark(arg, entry->path);
}

/* Notes it; where that finds no room it is read again. */
static bool was_read(marking *m, pang_str location)
{
    return !pang_gc_set_add(m->seen, location) && !m->seen->full;
}

static bool mark_manifest(marking *m, pang_str location)
{
    pang_manifest_head head;
    pang_str bytes;
    pang_err err;
    if (!mark(m, location))
        return false;
    if (was_read(m, location))
        return true;
    pang_arena_reset(m->deep);
    if (read_file(m, location, m->deep, &bytes))
        note(m, pang_manifest_read(bytes, NULL, m->deep, &head, mark_entry, m, &err), &err);
    return m->code == PANG_OK && !m->marks->full;
}

static void mark_list(marking *m, pang_str location)
{
    pang_manifest *rows = NULL;
    size_t n = 0;
    pang_str bytes;
    pang_err err;
    pang_arena_reset(m->list);
    if (was_read(m, location) || !read_file(m, location, m->list, &bytes))
        return;
    note(m, pang_manifest_list_read(bytes, m->list, &rows, &n, &err), &err);
    for (size_t i = 0; m->code == PANG_OK && i < n; i++)
        if (!mark_manifest(m, rows[i].path))
            return;
}

static bool names(const char *what, const char *end)
{
    return pang_str_starts(pang_str_from(what), PANG_STR("snapshots[")) &&
           pang_str_ends(pang_str_from(what), pang_str_from(end));
}

static pang_code mark_place(void *arg, pang_model_place kind, const char *what, pang_str location,
                            pang_err *err)
{
    marking *m = arg;
    (void)kind;
    (void)err;
    if (mark(m, location)) {
        if (names(what, ".manifest-list"))
            mark_list(m, location);
        else if (names(what, "]"))
            (void)mark_manifest(m, location);
    }
    if (m->code == PANG_OK && m->marks->full)
        return PANG_ABORTED; /* a smaller part will do */
    return m->code;
}

static pang_code read_document(marking *m, pang_json **ret, pang_err *err)
{
    pang_record record;
    pang_rec_metadata *body;
    pang_str text;
    pang_keys keys = {.arena = m->scratch, .scope = m->gc->scope};
    pang_ref ref = {.key = pang_key_metadata(&keys, m->gc->catalog, m->document->document)};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_store_get(m->gc->store, &ref, 1, PANG_NO_DEADLINE, m->scratch, &record, err);
    if (code == PANG_OK && record.version == 0)
        code = pang_fail(err, PANG_DATA_LOSS, NULL, "there is no record \"%" PANG_STR_FMT "\"",
                         PANG_STR_ARG(ref.key));
    if (code == PANG_OK)
        code = pang_metadata_unpack(m->gc->state, &record, m->scratch, &body, &text, err);
    return code == PANG_OK ? pang_json_parse(text, m->scratch, ret, err) : code;
}

static pang_code mark_document(marking *m)
{
    pang_json *tree;
    pang_str gc;
    pang_code code = read_document(m, &tree, m->err);
    if (code != PANG_OK)
        return code;
    if (m->document->reached && pang_model_property(tree, PANG_STR("gc.enabled"), &gc) &&
        pang_str_equal_nocase(gc, PANG_STR("false")))
        return pang_fail(m->err, PANG_FAILED_PRECONDITION, NULL, "gc.enabled is false");
    if (!mark(m, pang_str_from(m->document->location)))
        return m->code;
    code = pang_model_places(tree, PANG_MODEL_PLACE_FILE, mark_place, m, m->err);
    return code == PANG_ABORTED && m->marks->full ? PANG_OK : code;
}

pang_code pang_gc_mark(const pang_gc *gc, const pang_gc_document *document, pang_str place,
                       pang_gc_set *marks, pang_gc_set *seen, pang_err *err)
{
    marking m = {.gc = gc,
                 .document = document,
                 .place = place,
                 .marks = marks,
                 .seen = seen,
                 .scratch = pang_arena_new(SCRATCH_BYTES),
                 .list = pang_arena_new(SCRATCH_BYTES),
                 .deep = pang_arena_new(SCRATCH_BYTES),
                 .one = pang_arena_new(ONE_BYTES),
                 .err = err};
    pang_code code = PANG_OK;
    if (m.scratch == NULL || m.list == NULL || m.deep == NULL || m.one == NULL)
        code = pang_fail_memory(err);
    if (code == PANG_OK)
        code = mark_document(&m);
    pang_arena_free(m.scratch);
    pang_arena_free(m.list);
    pang_arena_free(m.deep);
    pang_arena_free(m.one);
    return code;
}
