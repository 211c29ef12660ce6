/*
 * What reaches a catalog's content, as points: numbers of branches at which they are read. Refs
 * come first, with all that they were made from; then branches that were hidden not long ago, whose
 * commits can still be named, and open merges. Merge marks count between branches that these need,
 * and keep a hidden branch where two of them have some of it: what both have is a base of theirs.
 */
#include <stdlib.h>
#include <string.h>

#include "server/gc_internal.h"

typedef struct {
    pang_store *store;
    pang_keys keys;
    pang_id catalog;
    pang_arena *arena;
    pang_gc_points *made;
    size_t room, branch_room, mark_room;
    size_t n_sorted;     /* branches that have records of their own, in the order of ids */
    pang_id into;        /* whose marks are read */
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

static void add_branch(reading *r, const pang_gc_branch *branch)
{
    pang_gc_points *made = r->made;
    void *list = one_more(r, made->branches, made->n_branches, &r->branch_room,
                          sizeof *made->branches);
    if (list == NULL)
        return;
    made->branches = list;
    made->branches[made->n_branches++] = *branch;
}

static int by_id(const void *a, const void *b)
{
    const pang_gc_branch *x = a, *y = b;
    return memcmp(x->id.bytes, y->id.bytes, sizeof x->id.bytes);
}

/* NULL: there is no such branch any more. */
static pang_gc_branch *find_branch(reading *r, pang_id id)
{
    pang_gc_points *made = r->made;
    pang_gc_branch wanted = {.id = id};
    pang_gc_branch *found = r->n_sorted == 0 ? NULL
                                             : bsearch(&wanted, made->branches, r->n_sorted,
                                                       sizeof wanted, by_id);
    for (size_t i = r->n_sorted; found == NULL && i < made->n_branches; i++)
        if (pang_id_equal(made->branches[i].id, id))
            found = &made->branches[i];
    return found;
}

/* Points that something was made from; the branches that they are on are needed. */
static void add_chain(reading *r, pang_rec_point *const *points, size_t n)
{
    for (size_t i = 0; i < n && r->code == PANG_OK; i++) {
        pang_gc_branch *branch = find_branch(r, pang_id_of(points[i]->branch));
        if (branch != NULL)
            branch->kept = true;
        add_point(r, pang_id_of(points[i]->branch), points[i]->sequence);
        if (points[i]->sequence < r->made->lowest)
            r->made->lowest = points[i]->sequence;
    }
}

static void add_origins(reading *r, const pang_gc_branch *branch)
{
    add_chain(r, branch->bases, branch->n_bases);
    add_chain(r, branch->forks, branch->n_forks);
}

static bool unpack(reading *r, const ProtobufCMessageDescriptor *type, const pang_record *row,
                   void *ret)
{
    r->code = pang_record_unpack(type, row, r->arena, ret, r->err);
    return r->code == PANG_OK;
}

/* The last part of a key that ends with an id. */
static pang_id id_at_end(pang_str key)
{
    pang_id id = {{0}};
    (void)pang_id_parse(pang_str_after(key, pang_key_prefix_len(key)), &id);
    return id;
}

/* ---- branches and refs ---- */

static bool take_branch(void *arg, const pang_record *row, pang_arena *arena)
{
    reading *r = arg;
    pang_rec_branch *body;
    (void)arena;
    if (!unpack(r, &pangolin__store__v1__branch__descriptor, row, &body))
        return false;
    pang_gc_branch branch = {.id = id_at_end(row->key),
                             .hidden = body->hidden,
                             .hidden_ms = body->hidden_ms,
                             .bases = body->bases,
                             .n_bases = body->n_bases,
                             .forks = body->forks,
                             .n_forks = body->n_forks,
                             .next = pang_id_of(body->next)};
    branch.old = body->hidden && body->hidden_ms <= r->made->horizon_ms;
    branch.kept = !branch.old;
    add_branch(r, &branch);
    r->n_sorted = r->made->n_branches;
    return r->code == PANG_OK;
}

static bool take_ref(void *arg, const pang_record *row, pang_arena *arena)
{
    reading *r = arg;
    pang_rec_ref *ref;
    (void)arena;
    if (!unpack(r, &pangolin__store__v1__ref__descriptor, row, &ref))
        return false;
    bool is_tag = ref->kind == PANGOLIN__STORE__V1__REF__KIND__KIND_TAG;
    pang_rec_point own = PANGOLIN__STORE__V1__POINT__INIT, *list[] = {&own};
    own.branch = ref->branch;
    own.sequence = is_tag ? ref->sequence : PANG_NOW;
    pang_gc_branch branch = {
        .id = pang_id_of(ref->branch), .kept = true, .bases = ref->bases, .n_bases = ref->n_bases};
    if (!is_tag && find_branch(r, branch.id) == NULL) /* main may have no record of its own */
        add_branch(r, &branch);
    add_chain(r, list, 1);
    add_chain(r, ref->bases, ref->n_bases);
    add_chain(r, ref->forks, ref->n_forks);
    return r->code == PANG_OK;
}

/* Commits of a branch can be named for as long as they are young, a hidden one's too. */
static void add_hidden(reading *r)
{
    for (size_t i = 0; i < r->made->n_branches && r->code == PANG_OK; i++) {
        const pang_gc_branch branch = r->made->branches[i];
        if (!branch.hidden || branch.old)
            continue;
        add_point(r, branch.id, PANG_NOW);
        add_origins(r, &branch);
    }
}

/* ---- open merges ---- */

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
        !unpack(r, &pangolin__store__v1__commit__descriptor, &record, &body))
        return;
    add_point(r, pang_id_of(body->branch), record.sequence);
}

bool pang_gc_is_open(const pang_rec_merge_operation *merge)
{
    return merge->status != PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_COMPLETED &&
           merge->status != PANGOLIN__STORE__V1__MERGE_OPERATION__STATUS__STATUS_ABORTED;
}

pang_id pang_gc_merge_into(const pang_rec_merge_operation *merge)
{
    bool rebase = merge->work == PANGOLIN__STORE__V1__MERGE_OPERATION__WORK__WORK_REBASE;
    return pang_id_of(rebase ? merge->source_branch : merge->target_branch);
}

/* A point that an open merge goes back to, with all that is read through there. */
static void add_stand(reading *r, pang_id branch, uint64_t sequence)
{
    pang_rec_point at = PANGOLIN__STORE__V1__POINT__INIT, *list[] = {&at};
    const pang_gc_branch *of = find_branch(r, branch);
    at.branch = pang_bytes_of_id(&branch);
    at.sequence = sequence;
    add_chain(r, list, 1);
    if (of != NULL)
        add_origins(r, of);
}

/* The commit that a pick or a revert is of, and what it found. */
static void add_commit(reading *r, pang_id commit)
{
    pang_record record;
    pang_rec_commit *body;
    r->code = get_one(r, pang_key_commit_id(&r->keys, commit), &record);
    if (r->code != PANG_OK || record.version == 0 || record.body.len == 0 ||
        !unpack(r, &pangolin__store__v1__commit__descriptor, &record, &body))
        return;
    add_stand(r, pang_id_of(body->branch), record.sequence);
    add_stand(r, pang_id_of(body->branch), record.sequence - 1);
}

static void add_merge(reading *r, const pang_rec_merge_operation *merge)
{
    const pang_rec_point *onto = merge->onto;
    if (merge->source != NULL)
        add_stand(r, pang_id_of(merge->source->branch), merge->source->sequence);
    if (onto != NULL)
        add_stand(r, pang_id_of(onto->branch), onto->sequence != 0 ? onto->sequence : PANG_NOW);
    if (r->code == PANG_OK && merge->commit.len > 0)
        add_commit(r, pang_id_of(merge->commit));
    if (r->code == PANG_OK && merge->base_commit.len > 0)
        take_base(r, pang_id_of(merge->base_commit));
}

static void take_operation(reading *r, pang_id id)
{
    pang_record record;
    pang_rec_merge_operation *merge;
    r->code = get_one(r, pang_key_merge_operation(&r->keys, id), &record);
    if (r->code != PANG_OK || record.version == 0 ||
        !unpack(r, &pangolin__store__v1__merge_operation__descriptor, &record, &merge) ||
        !pang_gc_is_open(merge))
        return;
    const pang_gc_branch *into = find_branch(r, pang_gc_merge_into(merge));
    if (into != NULL && !into->old) /* else it can only be given up */
        add_merge(r, merge);
}

/* Who was made from a branch that a rebase replaced finds the one that has its name now. */
static void keep_successors(reading *r)
{
    pang_gc_points *made = r->made;
    for (size_t i = 0; i < made->n_branches && r->code == PANG_OK; i++) {
        pang_gc_branch *at = &made->branches[i];
        while (at != NULL && at->kept && !pang_id_is_nil(at->next)) {
            at = find_branch(r, at->next);
            if (at == NULL || at->kept)
                break;
            at->kept = true;
        }
    }
}

/* ---- merge marks ---- */

static bool take_mark(void *arg, const pang_record *row, pang_arena *arena)
{
    reading *r = arg;
    pang_gc_points *made = r->made;
    pang_gc_mark_record mark = {
        .into = r->into, .from = id_at_end(row->key), .version = row->version};
    (void)arena;
    if (!unpack(r, &pangolin__store__v1__merge_mark__descriptor, row, &mark.body))
        return false;
    if (mark.body->into_sequence == 0)
        mark.body->into_sequence = row->sequence;
    for (size_t i = 0; i < mark.body->n_exceptions; i++)
        if (mark.body->exceptions[i]->from_sequence != 0 &&
            mark.body->exceptions[i]->into_sequence == 0)
            mark.body->exceptions[i]->into_sequence = row->sequence;
    void *list = one_more(r, made->marks, made->n_marks, &r->mark_room, sizeof *made->marks);
    if (list == NULL)
        return false;
    made->marks = list;
    made->marks[made->n_marks++] = mark;
    return true;
}

static int by_from(const void *a, const void *b)
{
    const pang_gc_mark_record *x = a, *y = b;
    int order = memcmp(x->from.bytes, y->from.bytes, sizeof x->from.bytes);
    return order != 0 ? order : memcmp(x->into.bytes, y->into.bytes, sizeof x->into.bytes);
}

/* What two branches have of a hidden one is a base of theirs. */
static void keep_thirds(reading *r)
{
    pang_gc_points *made = r->made;
    for (size_t i = 1; i < made->n_marks && r->code == PANG_OK; i++) {
        pang_gc_branch *from = find_branch(r, made->marks[i].from);
        if (from == NULL || from->kept || !pang_id_equal(made->marks[i - 1].from, from->id))
            continue;
        from->kept = true;
        for (size_t k = 0; k < from->n_bases; k++)
            add_point(r, pang_id_of(from->bases[k]->branch), from->bases[k]->sequence);
        for (size_t k = 0; k < from->n_forks; k++)
            add_point(r, pang_id_of(from->forks[k]->branch), from->forks[k]->sequence);
    }
}

/* What the halves of a base were, for the next merge of the two branches. */
static void add_mark(reading *r, const pang_gc_mark_record *mark, const pang_rec_merge_mark *body)
{
    if (body->from_sequence != 0) {
        add_point(r, mark->from, body->from_sequence);
        add_point(r, mark->into, body->into_sequence);
    }
    for (size_t i = 0; i < body->n_exceptions && r->code == PANG_OK; i++) {
        if (body->exceptions[i]->from_sequence == 0)
            continue;
        add_point(r, mark->from, body->exceptions[i]->from_sequence);
        add_point(r, mark->into, body->exceptions[i]->into_sequence);
    }
}

static void add_marks(reading *r)
{
    pang_gc_points *made = r->made;
    if (made->n_marks > 1)
        qsort(made->marks, made->n_marks, sizeof *made->marks, by_from);
    keep_thirds(r);
    for (size_t i = 0; i < made->n_marks && r->code == PANG_OK; i++) {
        pang_gc_mark_record *mark = &made->marks[i];
        const pang_gc_branch *from = find_branch(r, mark->from);
        mark->kept = from != NULL && from->kept;
        if (mark->kept)
            add_mark(r, mark, mark->body);
        for (size_t k = 0; mark->kept && k < mark->body->n_older && r->code == PANG_OK; k++)
            add_mark(r, mark, mark->body->older[k]);
    }
}

/* ---- all of it ---- */

static int64_t epoch_value(const pang_record *record)
{
    return record->version == 0 ? 0 : record->value;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void read_settings(reading *r, int64_t now_ms)
{
    pang_record record;
    pang_rec_catalog *settings;
    pang_gc_points *made = r->made;
    r->code = get_one(r, pang_key_epoch(&r->keys, r->catalog, (pang_str){0}), &record);
    if (r->code == PANG_OK)
        made->refs_epoch = epoch_value(&record);
    if (r->code == PANG_OK)
        r->code = get_one(r, pang_key_catalog(&r->keys, r->catalog), &record);
    if (r->code == PANG_OK && record.version == 0)
        r->code = pang_fail(r->err, PANG_NOT_FOUND, "NotFoundException", "the catalog is gone");
    if (r->code != PANG_OK ||
        !unpack(r, &pangolin__store__v1__catalog__descriptor, &record, &settings))
        return;
    made->undrop_ms = settings->undrop_ms;
    made->keep_ms = most(most(settings->retention_ms, settings->undrop_ms), PANG_GC_KEPT_MIN_MS);
    made->horizon_ms = now_ms - made->keep_ms;
    made->lowest = PANG_NOW;
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

/* What refs say by themselves is kept apart: merges go back to these points, marks do not. */
static void keep_chain(reading *r)
{
    pang_gc_points *made = r->made;
    if (r->code != PANG_OK || made->n == 0)
        return;
    made->chain = pang_arena_alloc_n(r->arena, made->n, sizeof *made->chain);
    if (made->chain == NULL) {
        r->code = pang_fail_memory(r->err);
        return;
    }
    memcpy(made->chain, made->points, made->n * sizeof *made->chain);
    made->n_chain = made->n;
    qsort(made->chain, made->n_chain, sizeof *made->chain, compare);
}

static void read_all(reading *r)
{
    /* Branches' own records first: they say which are hidden. Main may have none. */
    read_range(r, pang_key_branches(&r->keys, r->catalog), take_branch);
    read_range(r, pang_key_refs(&r->keys, r->catalog), take_ref);
    read_range(r, pang_key_merges_listed(&r->keys, r->catalog), take_listed);
    add_hidden(r);
    for (size_t i = 0; r->code == PANG_OK && i < r->n_operations; i++)
        take_operation(r, r->operations[i]);
    keep_successors(r);
    keep_chain(r);
    for (size_t i = 0; r->code == PANG_OK && i < r->made->n_branches; i++) {
        if (!r->made->branches[i].kept)
            continue;
        r->into = r->made->branches[i].id;
        read_range(r, pang_key_merge_marks(&r->keys, r->into), take_mark);
    }
    if (r->code == PANG_OK)
        add_marks(r);
}

pang_code pang_gc_points_read(pang_store *store, pang_str scope, pang_id catalog, int64_t now_ms,
                              pang_arena *arena, pang_gc_points **ret, pang_err *err)
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
    read_settings(&r, now_ms);
    read_all(&r);
    if (r.code != PANG_OK)
        return r.code;
    if (r.made->n > 1)
        qsort(r.made->points, r.made->n, sizeof *r.made->points, compare);
    *ret = r.made;
    return PANG_OK;
}

/* ---- asking ---- */

static bool lies_in(const pang_gc_point *points, size_t n, pang_gc_point from, uint64_t until)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&points[middle], &from) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == n || !pang_id_equal(points[low].branch, from.branch))
        return false;
    return until == PANG_NOW || points[low].at < until;
}

bool pang_gc_reaches(const pang_gc_points *points, pang_id branch, uint64_t from, uint64_t until)
{
    return lies_in(points->points, points->n, (pang_gc_point){branch, from}, until);
}

bool pang_gc_made_at(const pang_gc_points *points, pang_id branch, uint64_t from, uint64_t until)
{
    return lies_in(points->chain, points->n_chain, (pang_gc_point){branch, from}, until);
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
