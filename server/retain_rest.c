/*
 * Merges that ended, marks, branch ids, documents. A document goes when no state of the catalog
 * names it and it is as old as what goes. States are gone through as the collector goes through
 * files: a set of what is named, in parts where there is more of it than fits. On each branch
 * current records come before history: what is replaced meanwhile is found there.
 */
#include <string.h>

#include "server/retain_internal.h"

enum { PARTS_MAX = 4096 };

static pang_id id_at_end(const pang_record *row)
{
    pang_id id = {{0}};
    (void)pang_id_parse(pang_str_after(row->key, pang_key_prefix_len(row->key)), &id);
    return id;
}

static const pang_gc_branch *find_branch(const pang_retaining *r, pang_id id)
{
    for (size_t i = 0; i < r->points->n_branches; i++)
        if (pang_id_equal(r->points->branches[i].id, id))
            return &r->points->branches[i];
    return NULL;
}

/* ---- merges ---- */

/* One that waits for a target which is gone can only be given up. */
static bool merge_goes(const pang_retaining *r, const pang_record *row,
                       const pang_rec_merge_operation *merge)
{
    const pang_gc_branch *into = find_branch(r, pang_gc_merge_into(merge));
    int64_t ended_ms = merge->completed_ms != 0 ? merge->completed_ms : row->time_ms;
    bool open = pang_gc_is_open(merge) && into != NULL && !into->old;
    return !open && ended_ms <= r->points->horizon_ms;
}

static void judge_merge(pang_retaining *r, const pang_record *listed, const pang_record *row,
                        pang_removals *removals)
{
    pang_rec_merge_operation *merge;
    if (row->version == 0) {
        pang_removals_add(r, removals, PANG_RETAIN_MERGES, listed->key, listed->version);
        return;
    }
    if (!pang_retain_unpack(r, &pangolin__store__v1__merge_operation__descriptor, row, &merge))
        return;
    bool goes = merge_goes(r, row, merge);
    pang_removals_judge(r, removals, PANG_RETAIN_MERGES, row, goes, row->version);
    if (goes)
        pang_removals_add(r, removals, PANG_RETAIN_MERGES, listed->key, listed->version);
    else
        removals->left[PANG_RETAIN_MERGES] += 1 + merge->n_conflicts;
    for (size_t i = 0; goes && i < merge->n_conflicts; i++)
        pang_removals_add(r, removals, PANG_RETAIN_MERGES,
                          pang_key_merge_conflict(&r->keys, pang_id_of(merge->conflicts[i])), 0);
}

static bool look_at_merges(pang_retaining *r, const pang_record *rows, size_t n,
                           pang_removals *removals)
{
    pang_ref *refs = pang_arena_alloc_n(r->step, n, sizeof *refs);
    pang_record *found = pang_arena_alloc_n(r->step, n, sizeof *found);
    if (refs == NULL || found == NULL) {
        r->code = pang_fail_memory(r->err);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        refs[i] = (pang_ref){.key = pang_key_merge_operation(&r->keys, id_at_end(&rows[i]))};
    if (!pang_retain_get(r, refs, n, found))
        return false;
    for (size_t i = 0; i < n; i++)
        judge_merge(r, &rows[i], &found[i], removals);
    return true;
}

pang_code pang_retain_merges(pang_retaining *r)
{
    pang_gc_range range = {.prefix = pang_key_merges_listed(&r->keys, r->plan->catalog)};
    return pang_retain_scan(r, &range, look_at_merges);
}

/* ---- marks ---- */

/* Whether anything stands, or may come to stand, between a mark of before and the one after it. */
static bool is_asked(const pang_retaining *r, const pang_rec_merge_mark *older, uint64_t newer)
{
    return newer > r->floor ||
           pang_gc_made_at(r->points, r->branch.id, older->into_sequence, newer);
}

/* Forgets marks of before that nobody asks for. */
static void trim_mark(pang_retaining *r, const pang_record *row, pang_removals *removals)
{
    pang_rec_merge_mark *mark;
    size_t n = 0;
    if (!pang_retain_unpack(r, &pangolin__store__v1__merge_mark__descriptor, row, &mark))
        return;
    uint64_t newer = mark->into_sequence != 0 ? mark->into_sequence : row->sequence;
    for (size_t i = 0; i < mark->n_older; i++) {
        pang_rec_merge_mark *older = mark->older[i];
        if (is_asked(r, older, newer))
            mark->older[n++] = older;
        newer = older->into_sequence;
    }
    if (n == mark->n_older)
        return;
    mark->n_older = n;
    /* The record's own number, which its fields may leave to it, is another from now on. */
    if (mark->into_sequence == 0)
        mark->into_sequence = row->sequence;
    for (size_t i = 0; i < mark->n_exceptions; i++)
        if (mark->exceptions[i]->from_sequence != 0 && mark->exceptions[i]->into_sequence == 0)
            mark->exceptions[i]->into_sequence = row->sequence;
    pang_removals_add(r, removals, PANG_RETAIN_KINDS, row->key, row->version);
    if (!removals->failed)
        removals->list[removals->n - 1].body = pang_record_pack(&mark->base, r->step);
}

/* Into a branch that stays: those of branches that do not. */
static bool look_at_marks(pang_retaining *r, const pang_record *rows, size_t n,
                          pang_removals *removals)
{
    for (size_t i = 0; i < n && r->code == PANG_OK; i++) {
        const pang_gc_branch *from = find_branch(r, id_at_end(&rows[i]));
        bool goes = from == NULL || !from->kept;
        pang_removals_judge(r, removals, PANG_RETAIN_MARKS, &rows[i], goes, rows[i].version);
        if (!goes)
            trim_mark(r, &rows[i], removals);
    }
    return true;
}

/* All of a branch that goes. */
static bool look_at_all_marks(pang_retaining *r, const pang_record *rows, size_t n,
                              pang_removals *removals)
{
    for (size_t i = 0; i < n; i++)
        pang_removals_add(r, removals, PANG_RETAIN_MARKS, rows[i].key, 0);
    return true;
}

/* The record of its id, and how far it was forked at. */
static bool look_at_branch(pang_retaining *r, const pang_record *rows, size_t n,
                           pang_removals *removals)
{
    pang_record fork = {0};
    pang_ref ref = {.key = pang_key_fork_mark(&r->keys, r->branch.id)};
    if (r->branch.kept || n == 0 || !pang_retain_get(r, &ref, 1, &fork))
        return false;
    if (!pang_id_equal(id_at_end(&rows[0]), r->branch.id))
        return false;
    pang_removals_add(r, removals, PANG_RETAIN_BRANCHES, rows[0].key, rows[0].version);
    if (fork.version != 0)
        pang_removals_add(r, removals, PANG_RETAIN_MARKS, fork.key, 0);
    return false;
}

pang_code pang_retain_branch(pang_retaining *r)
{
    bool goes = r->branch.old && !r->branch.kept && r->rows_left == 0;
    pang_gc_range marks = {.prefix = pang_key_merge_marks(&r->keys, r->branch.id),
                           .keys_only = goes};
    pang_code code = pang_retain_scan(r, &marks, goes ? look_at_all_marks : look_at_marks);
    pang_gc_range own = {.prefix = pang_key_branch(&r->keys, r->plan->catalog, r->branch.id)};
    if (code == PANG_OK && goes)
        return pang_retain_scan(r, &own, look_at_branch);
    r->out->left[PANG_RETAIN_BRANCHES]++;
    return code;
}

/* ---- documents ---- */

/* The set of the documents that states name. */
static bool mark_states(pang_retaining *r, const pang_record *rows, size_t n,
                        pang_removals *removals)
{
    (void)removals;
    for (size_t i = 0; i < n && !r->named.full; i++) {
        pang_rec_content *body;
        char hex[PANG_ID_HEX + 1];
        if (!pang_retain_unpack(r, &pangolin__store__v1__content__descriptor, &rows[i], &body))
            return false;
        pang_id document = pang_id_of(body->document);
        if (pang_id_is_nil(document))
            continue;
        pang_id_hex(document, hex);
        (void)pang_gc_set_add(&r->named, pang_str_from(hex));
    }
    return !r->named.full;
}

static pang_code mark_all(pang_retaining *r, unsigned part, unsigned parts)
{
    pang_code code = PANG_OK;
    pang_gc_set_begin(&r->named, part, parts);
    for (size_t i = 0; code == PANG_OK && !r->named.full && i < r->points->n_branches; i++) {
        pang_id branch = r->points->branches[i].id;
        pang_gc_range current = {
            .prefix = pang_key_contents_all(&r->keys, branch, PANG_SPACE_ASSET)};
        code = pang_retain_scan(r, &current, mark_states);
        pang_gc_range history = {
            .prefix = pang_key_histories_all(&r->keys, branch, PANG_SPACE_ASSET)};
        if (code == PANG_OK && !r->named.full)
            code = pang_retain_scan(r, &history, mark_states);
    }
    return code;
}

/* What is younger may be of a commit that was not seen. */
static bool look_at_documents(pang_retaining *r, const pang_record *rows, size_t n,
                              pang_removals *removals)
{
    for (size_t i = 0; i < n; i++) {
        pang_str name = pang_str_after(rows[i].key, pang_key_prefix_len(rows[i].key));
        if (!pang_gc_set_takes(&r->named, name))
            continue;
        bool goes = rows[i].time_ms <= r->points->horizon_ms && !pang_gc_set_has(&r->named, name);
        pang_removals_judge(r, removals, PANG_RETAIN_DOCUMENTS, &rows[i], goes, 0);
    }
    return true;
}

/* Names do not fit: all is begun anew, in twice as many parts. */
static pang_code more_parts(pang_retaining *r, unsigned *parts)
{
    if (*parts == PARTS_MAX)
        return pang_fail(r->err, PANG_RESOURCE_EXHAUSTED, NULL, "too many documents");
    *parts *= 2;
    r->out->left[PANG_RETAIN_DOCUMENTS] = 0;
    if (r->plan->dry_run)
        r->out->removed[PANG_RETAIN_DOCUMENTS] = 0;
    return PANG_OK;
}

pang_code pang_retain_documents(pang_retaining *r)
{
    unsigned parts = 1;
    pang_code code = pang_retain_points(r);
    pang_gc_set_init(&r->named, r->plan->marks != 0 ? r->plan->marks : PANG_GC_MARKS);
    for (unsigned part = 0; code == PANG_OK && !r->stopped && part < parts;) {
        code = mark_all(r, part, parts);
        if (code == PANG_OK && r->named.full) {
            code = more_parts(r, &parts);
            part = 0;
            continue;
        }
        pang_gc_range range = {.prefix = pang_key_metadatas(&r->keys, r->plan->catalog),
                               .keys_only = true};
        if (code == PANG_OK && !r->stopped)
            code = pang_retain_scan(r, &range, look_at_documents);
        part++;
    }
    pang_gc_set_free(&r->named);
    return code;
}
