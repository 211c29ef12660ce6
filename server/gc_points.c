/*
 * What reaches a catalog's content, as points: numbers of branches at which they are read. Every
 * branch id counts with all that it was made from, hidden ones too: what nothing needs any more of
 * those, retention removes, and then they count no more.
 */
#include <stdlib.h>
#include <string.h>

#include "server/gc_internal.h"

enum {
    PIECE_ROWS = 256,          /* of one scan */
    PIECE_BYTES = 64 << 20,    /* of the arena of one piece */
    PIECE_SOFT_BYTES = 4 << 20 /* where a scan stops before that */
};

/* ---- scans ---- */

typedef struct {
    pang_arena *arena;
    pang_record *rows;
    size_t n;
    bool failed;
} piece;

static bool keep_row(void *arg, const pang_record *row)
{
    piece *p = arg;
    pang_record *to = &p->rows[p->n];
    *to = *row;
    p->failed = !pang_arena_copy(p->arena, row->key, &to->key) ||
                !pang_arena_copy(p->arena, row->body, &to->body);
    return !p->failed && ++p->n < PIECE_ROWS && pang_arena_used(p->arena) < PIECE_SOFT_BYTES;
}

static pang_code scan_piece(pang_store *store, pang_str prefix, pang_str after, piece *p,
                            pang_err *err)
{
    pang_query query = {.prefix = prefix, .after = after, .limit = PIECE_ROWS};
    p->n = 0;
    p->failed = false;
    p->rows = pang_arena_alloc_n(p->arena, PIECE_ROWS, sizeof *p->rows);
    if (p->rows == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_store_scan(store, &query, PANG_NO_DEADLINE, keep_row, p, err);
    return code == PANG_OK && p->failed ? pang_fail_memory(err) : code;
}

pang_code pang_gc_scan(pang_store *store, pang_str prefix, pang_str after, pang_gc_row_fn *fn,
                       void *arg, pang_err *err)
{
    char last[PANG_KEY_MAX];
    piece p = {.arena = pang_arena_new(PIECE_BYTES), .n = PIECE_ROWS};
    pang_code code = p.arena == NULL ? pang_fail_memory(err) : PANG_OK;
    bool more = true;
    while (code == PANG_OK && more) {
        pang_arena_reset(p.arena);
        code = scan_piece(store, prefix, after, &p, err);
        more = code == PANG_OK && p.n > 0;
        for (size_t i = 0; code == PANG_OK && more && i < p.n; i++)
            more = fn(arg, &p.rows[i], p.arena);
        if (code == PANG_OK && more) {
            pang_str key = p.rows[p.n - 1].key;
            memcpy(last, key.ptr, key.len);
            after = (pang_str){last, key.len};
        }
    }
    pang_arena_free(p.arena);
    return code;
}

/* ---- reading ---- */

typedef struct {
    pang_store *store;
    pang_keys keys;
    pang_id catalog;
    pang_arena *arena;
    pang_gc_points *made;
    size_t room, branch_room;
    pang_id *operations; /* open or not: looked at once all are known */
    size_t n_operations, operation_room;
    pang_code code;
    pang_err *err;
} reading;

/* Room for one more of `n` elements of a size. NULL, with the failure noted. */
static void *one_more(reading *r, void *list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return list;
    size_t more = *room == 0 ? 64 : *room * 2;
    void *grown = n >= PANG_POINTS_MAX ? NULL : pang_arena_alloc_n(r->arena, more, size);
    if (grown == NULL) {
        r->code = pang_fail(r->err, PANG_RESOURCE_EXHAUSTED, NULL,
                            "too many refs and marks in one catalog");
        return NULL;
    }
    if (n > 0)
        memcpy(grown, list, n * size);
    *room = more;
    return grown;
}

static void add_point(reading *r, pang_id branch, uint64_t at)
{
    pang_gc_points *made = r->made;
    void *list = one_more(r, made->points, made->n, &r->room, sizeof *made->points);
    if (list == NULL)
        return;
    made->points = list;
    made->points[made->n++] = (pang_gc_point){branch, at};
}

static void add_points(reading *r, pang_rec_point *const *points, size_t n)
{
    for (size_t i = 0; i < n && r->code == PANG_OK; i++)
        add_point(r, pang_id_of(points[i]->branch), points[i]->sequence);
}

static void add_branch(reading *r, pang_gc_branch branch)
{
    pang_gc_points *made = r->made;
    for (size_t i = 0; i < made->n_branches; i++)
        if (pang_id_equal(made->branches[i].id, branch.id))
            return;
    void *list = one_more(r, made->branches, made->n_branches, &r->branch_room,
                          sizeof *made->branches);
    if (list == NULL)
        return;
    made->branches = list;
    made->branches[made->n_branches++] = branch;
}

static bool unpack(reading *r, const ProtobufCMessageDescriptor *type, const pang_record *row,
                   pang_arena *arena, void *ret)
{
    r->code = pang_record_unpack(type, row, arena, ret, r->err);
    return r->code == PANG_OK;
}

static bool take_ref(void *arg, const pang_record *row, pang_arena *arena)
{
    reading *r = arg;
    pang_rec_ref *ref;
    if (!unpack(r, &pangolin__store__v1__ref__descriptor, row, arena, &ref))
        return false;
    bool is_tag = ref->kind == PANGOLIN__STORE__V1__REF__KIND__KIND_TAG;
    add_point(r, pang_id_of(ref->branch), is_tag ? ref->sequence : PANG_NOW);
    add_points(r, ref->bases, ref->n_bases);
    add_points(r, ref->forks, ref->n_forks);
    if (!is_tag)
        add_branch(r,
                   (pang_gc_branch){.id = pang_id_of(ref->branch), .has_base = ref->n_bases > 0});
    return r->code == PANG_OK;
}

/* The last part of a key that ends with an id. */
static pang_id id_at_end(pang_str key)
{
    pang_id id = {{0}};
    (void)pang_id_parse(pang_str_after(key, pang_key_prefix_len(key)), &id);
    return id;
}

static bool take_branch(void *arg, const pang_record *row, pang_arena *arena)
{
    reading *r = arg;
    pang_rec_branch *branch;
    if (!unpack(r, &pangolin__store__v1__branch__descriptor, row, arena, &branch))
        return false;
    pang_id id = id_at_end(row->key);
    add_branch(r, (pang_gc_branch){.id = id,
                                   .hidden = branch->hidden,
                                   .hidden_ms = branch->hidden_ms,
                                   .has_base = branch->n_bases > 0});
    if (!branch->hidden)
        add_point(r, id, PANG_NOW);
    add_points(r, branch->bases, branch->n_bases);
    add_points(r, branch->forks, branch->n_forks);
    return r->code == PANG_OK;
}

static void take_pair(reading *r, pang_id from, uint64_t from_at, pang_id into, uint64_t into_at)
{
    add_point(r, from, from_at);
    add_point(r, into, into_at);
}

/* What the two halves of a base were, for the next merge of the two branches. */
static bool take_mark(void *arg, const pang_record *row, pang_arena *arena)
{
    reading *r = arg;
    pang_rec_merge_mark *mark;
    pang_key_parts parts;
    pang_id into, from;
    if (!unpack(r, &pangolin__store__v1__merge_mark__descriptor, row, arena, &mark))
        return false;
    if (!pang_key_parse(row->key, &parts) || parts.n != 2 ||
        !pang_id_parse(parts.parts[0], &into) || !pang_id_parse(parts.parts[1], &from)) {
        r->code = pang_fail(r->err, PANG_DATA_LOSS, NULL, "a merge mark's key is damaged");
        return false;
    }
    take_pair(r, from, mark->from_sequence, into, mark->into_sequence);
    for (size_t i = 0; i < mark->n_exceptions; i++)
        if (mark->exceptions[i]->from_sequence != 0 || mark->exceptions[i]->into_sequence != 0)
            take_pair(r, from, mark->exceptions[i]->from_sequence, into,
                      mark->exceptions[i]->into_sequence);
    return r->code == PANG_OK;
}

static bool take_listed(void *arg, const pang_record *row, pang_arena *arena)
{
    reading *r = arg;
    (void)arena;
    void *list = one_more(r, r->operations, r->n_operations, &r->operation_room,
                          sizeof *r->operations);
    if (list == NULL)
        return false;
    r->operations = list;
    r->operations[r->n_operations++] = id_at_end(row->key);
    return true;
}

/* ---- open merges ---- */

static pang_code get_one(reading *r, pang_str key, pang_record *ret)
{
    pang_ref ref = {.key = key};
    pang_code code = pang_keys_status(&r->keys, r->err);
    return code == PANG_OK
               ? pang_store_get(r->store, &ref, 1, PANG_NO_DEADLINE, r->arena, ret, r->err)
               : code;
}

/* The state that an open merge compares with. */
static void take_base(reading *r, pang_id commit)
{
    pang_record record;
    pang_rec_commit *body;
    r->code = get_one(r, pang_key_commit_id(&r->keys, commit), &record);
    if (r->code != PANG_OK || record.version == 0 || record.body.len == 0 ||
        !unpack(r, &pangolin__store__v1__commit__descriptor, &record, r->arena, &body))
        return;
    add_point(r, pang_id_of(body->branch), record.sequence);
}

static void take_operation(reading *r, pang_id id)
{
    pang_record record;
    pang_rec_merge_operation *merge;
    r->code = get_one(r, pang_key_merge_operation(&r->keys, id), &record);
    if (r->code != PANG_OK || record.version == 0 ||
        !unpack(r, &pangolin__store__v1__merge_operation__descriptor, &record, r->arena, &merge))
        return;
    if (merge->status == PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_COMPLETED ||
        merge->status == PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_ABORTED)
        return;
    if (merge->source != NULL)
        add_point(r, pang_id_of(merge->source->branch), merge->source->sequence);
    if (merge->base_commit.len > 0)
        take_base(r, pang_id_of(merge->base_commit));
}

/* ---- all of it ---- */

static int64_t epoch_value(const pang_record *record)
{
    return record->version == 0 ? 0 : record->value;
}

static void read_settings(reading *r)
{
    pang_record record;
    pang_rec_catalog *settings;
    r->code = get_one(r, pang_key_epoch(&r->keys, r->catalog, (pang_str){0}), &record);
    if (r->code == PANG_OK)
        r->made->refs_epoch = epoch_value(&record);
    if (r->code == PANG_OK)
        r->code = get_one(r, pang_key_catalog(&r->keys, r->catalog), &record);
    if (r->code == PANG_OK && record.version == 0)
        r->code = pang_fail(r->err, PANG_NOT_FOUND, "NotFoundException", "the catalog is gone");
    if (r->code != PANG_OK ||
        !unpack(r, &pangolin__store__v1__catalog__descriptor, &record, r->arena, &settings))
        return;
    r->made->retention_ms = settings->retention_ms;
    r->made->undrop_ms = settings->undrop_ms;
}

static void read_range(reading *r, pang_str prefix, pang_gc_row_fn *fn)
{
    pang_code code = r->code != PANG_OK ? r->code : pang_keys_status(&r->keys, r->err);
    if (code == PANG_OK)
        code = pang_gc_scan(r->store, prefix, (pang_str){0}, fn, r, r->err);
    if (r->code == PANG_OK)
        r->code = code;
}

static int compare(const void *a, const void *b)
{
    const pang_gc_point *x = a, *y = b;
    int order = memcmp(x->branch.bytes, y->branch.bytes, sizeof x->branch.bytes);
    if (order != 0)
        return order;
    return x->at < y->at ? -1 : x->at > y->at;
}

pang_code pang_gc_points_read(pang_store *store, pang_str scope, pang_id catalog, pang_arena *arena,
                              pang_gc_points **ret, pang_err *err)
{
    reading r = {.store = store,
                 .keys = {.arena = arena, .scope = scope},
                 .catalog = catalog,
                 .arena = arena,
                 .made = pang_arena_alloc(arena, sizeof(pang_gc_points)),
                 .err = err};
    if (r.made == NULL)
        return pang_fail_memory(err);
    *r.made = (pang_gc_points){0};
    read_settings(&r);
    /* Branches' own records first: they say which are hidden. Main may have none. */
    read_range(&r, pang_key_branches(&r.keys, catalog), take_branch);
    read_range(&r, pang_key_refs(&r.keys, catalog), take_ref);
    read_range(&r, pang_key_merges_listed(&r.keys, catalog), take_listed);
    for (size_t i = 0; r.code == PANG_OK && i < r.made->n_branches; i++)
        read_range(&r, pang_key_merge_marks(&r.keys, r.made->branches[i].id), take_mark);
    for (size_t i = 0; r.code == PANG_OK && i < r.n_operations; i++)
        take_operation(&r, r.operations[i]);
    if (r.code != PANG_OK)
        return r.code;
    if (r.made->n > 1)
        qsort(r.made->points, r.made->n, sizeof *r.made->points, compare);
    *ret = r.made;
    return PANG_OK;
}

bool pang_gc_reaches(const pang_gc_points *points, pang_id branch, uint64_t from, uint64_t until)
{
    pang_gc_point wanted = {branch, from};
    size_t low = 0, high = points->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&points->points[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == points->n || !pang_id_equal(points->points[low].branch, branch))
        return false;
    return until == PANG_NOW || points->points[low].at < until;
}

pang_code pang_gc_refs_moved(pang_store *store, pang_str scope, pang_id catalog,
                             const pang_gc_points *points, pang_arena *arena, bool *ret,
                             pang_err *err)
{
    pang_record record;
    pang_keys keys = {.arena = arena, .scope = scope};
    pang_ref ref = {.key = pang_key_epoch(&keys, catalog, (pang_str){0})};
    pang_code code = pang_keys_status(&keys, err);
    if (code == PANG_OK)
        code = pang_store_get(store, &ref, 1, PANG_NO_DEADLINE, arena, &record, err);
    *ret = code != PANG_OK || epoch_value(&record) != points->refs_epoch;
    return code;
}
