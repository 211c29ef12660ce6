/*
 * A name may be touched by many commits and is told of once, at the newest of them. No list of what
 * was told is kept for that: the state of a name has the number of the commit that wrote it, on
 * either side, so the greater of the two is the newest commit that touched it, and a change of any
 * other commit is passed over. So a page can begin anywhere in the logs.
 * Renames are found by assets: what is new under a name and has another one in `from` was renamed;
 * what is gone from a name and has another one in `to` is told of there.
 */
#include "server/diff.h"

#include <string.h>

enum {
    POINTS_AT_ONCE = 64, /* of a side's log */
    NAMES_AT_ONCE = 64,  /* judged together */
};

/* ---- sides ---- */

static pang_code open_side(const pang_view *of, uint64_t sequence, pang_view *view,
                           pang_chain *chain, pang_err *err)
{
    *view = *of;
    pang_view_set_at(view, sequence);
    return pang_chain_of(view, chain, err);
}

pang_code pang_diff_open(const pang_view *from, const pang_view *to, uint64_t sequence,
                         pang_diff *ret, pang_err *err)
{
    pang_chain a, b;
    pang_code code = open_side(from, sequence, &ret->from, &a, err);
    if (code == PANG_OK)
        code = open_side(to, sequence, &ret->to, &b, err);
    if (code != PANG_OK)
        return code;
    ret->from_partial = a.partial;
    ret->to_partial = b.partial;
    ret->common = pang_common_point(&a, &b);
    if (!ret->common.met)
        return pang_fail(err, PANG_FAILED_PRECONDITION, "ConflictException",
                         "the two refs have nothing in common");
    return PANG_OK;
}

/* ---- the logs of both sides, woven by number ---- */

typedef struct {
    pang_view *view;
    const pang_common *common;
    pang_point points[POINTS_AT_ONCE];
    size_t n, at;
    uint64_t before; /* the next piece begins below this */
    bool ended;
} side_log;

static bool take_point(void *arg, const pang_commit_row *row)
{
    side_log *log = arg;
    log->points[log->n++] = (pang_point){pang_id_of(row->body->branch), row->sequence};
    log->before = row->sequence;
    return log->n < POINTS_AT_ONCE;
}

/* The side's next commit; sequence 0: there is none. */
static pang_code peek(side_log *log, pang_point *ret, pang_err *err)
{
    *ret = (pang_point){.sequence = 0};
    if (log->at == log->n && !log->ended) {
        log->at = log->n = 0;
        pang_code code = pang_common_walk(log->view, log->common, log->before, take_point, log,
                                          err);
        if (code != PANG_OK)
            return code;
        log->ended = log->n < POINTS_AT_ONCE;
    }
    if (log->at < log->n)
        *ret = log->points[log->at];
    return PANG_OK;
}

static pang_code next_point(side_log logs[2], pang_point *ret, pang_err *err)
{
    pang_point points[2];
    for (size_t i = 0; i < 2; i++) {
        pang_code code = peek(&logs[i], &points[i], err);
        if (code != PANG_OK)
            return code;
    }
    size_t greater = points[1].sequence > points[0].sequence;
    *ret = points[greater];
    for (size_t i = 0; i < 2; i++)
        if (ret->sequence != 0 && points[i].sequence == ret->sequence)
            logs[i].at++;
    return PANG_OK;
}

/* ---- judging ---- */

typedef struct {
    pang_diff *diff;
    pang_name names[NAMES_AT_ONCE];
    pang_diff_place places[NAMES_AT_ONCE];
    size_t n;
    bool newest_only; /* told of at their newest commits; else whatever touched them */
    pang_diff_entry *out;
    size_t n_out, most;
} judge;

static bool same_properties(const pang_rec_content *a, const pang_rec_content *b)
{
    if (a->n_properties != b->n_properties)
        return false;
    for (size_t i = 0; i < a->n_properties; i++)
        if (strcmp(a->properties[i]->name, b->properties[i]->name) != 0 ||
            strcmp(a->properties[i]->value, b->properties[i]->value) != 0)
            return false;
    return true;
}

static bool same_state(const pang_content *a, const pang_content *b)
{
    const pang_rec_content *left = a->body, *right = b->body;
    return pang_str_equal(pang_str_of(left->document), pang_str_of(right->document)) &&
           strcmp(left->metadata_location, right->metadata_location) == 0 &&
           strcmp(left->location, right->location) == 0 &&
           strcmp(left->asset_kind, right->asset_kind) == 0 && same_properties(left, right);
}

static bool same_asset(const pang_content *a, const pang_content *b)
{
    return pang_content_exists(a) && pang_content_exists(b) &&
           pang_str_equal(pang_str_of(a->body->asset), pang_str_of(b->body->asset));
}

/* Where the assets are that stand in `contents` and are looked for in the other view. */
static pang_code find_assets(pang_view *view, const pang_content *contents, size_t n,
                             pang_asset_at *ret, pang_err *err)
{
    pang_id ids[NAMES_AT_ONCE];
    for (size_t i = 0; i < n; i++)
        ids[i] = pang_content_exists(&contents[i]) ? pang_id_of(contents[i].body->asset)
                                                   : (pang_id){{0}};
    return pang_asset_find(view, ids, n, ret, err);
}

static bool is_there(const pang_asset_at *at)
{
    return at->body != NULL && !at->body->dropped;
}

/* The asset under the name that it has in the other view. */
static pang_code read_other(pang_view *view, const pang_asset_at *at, pang_content *ret,
                            pang_err *err)
{
    *ret = (pang_content){.name = {(pang_space)at->body->space, pang_str_from(at->body->path),
                                   pang_str_from(at->body->name)}};
    return pang_content_get(view, ret, 1, err);
}

static void add(judge *j, pang_diff_kind kind, const pang_content *from, const pang_content *to)
{
    j->out[j->n_out++] = (pang_diff_entry){kind, *from, *to};
}

/* What is under the name in `to`, and was not in `from`. */
static pang_code judge_new(judge *j, const pang_content *from, const pang_content *to,
                           const pang_asset_at *in_from, pang_err *err)
{
    pang_content before, none = {.name = to->name};
    if (!is_there(in_from)) {
        if (!j->diff->from_partial || from->body != NULL)
            add(j, PANG_DIFF_ADDED, &none, to);
        return PANG_OK;
    }
    pang_code code = read_other(&j->diff->from, in_from, &before, err);
    if (code == PANG_OK)
        add(j, PANG_DIFF_RENAMED, &before, to);
    return code;
}

/* What was under the name in `from`, and is not in `to`. Where it has another name there, that one
 * tells, unless only this one was asked about. */
static pang_code judge_gone(judge *j, const pang_content *from, const pang_content *to,
                            const pang_asset_at *in_to, pang_err *err)
{
    pang_content after, none = {.name = from->name};
    if (!is_there(in_to)) {
        if (!j->diff->to_partial || to->body != NULL)
            add(j, PANG_DIFF_REMOVED, from, &none);
        return PANG_OK;
    }
    if (j->newest_only)
        return PANG_OK;
    pang_code code = read_other(&j->diff->to, in_to, &after, err);
    if (code == PANG_OK)
        add(j, PANG_DIFF_RENAMED, from, &after);
    return code;
}

static pang_code judge_one(judge *j, const pang_content *from, const pang_content *to,
                           const pang_asset_at *in_from, const pang_asset_at *in_to, pang_err *err)
{
    if (same_asset(from, to)) {
        if (!same_state(from, to))
            add(j, PANG_DIFF_CHANGED, from, to);
        return PANG_OK;
    }
    pang_code code = PANG_OK;
    if (pang_content_exists(from))
        code = judge_gone(j, from, to, in_to, err);
    if (code == PANG_OK && pang_content_exists(to))
        code = judge_new(j, from, to, in_from, err);
    return code;
}

/* Judges the names that were gathered until the page is full. *ret_at: the first one that was not
 * judged. */
static pang_code judge_all(judge *j, size_t *ret_at, pang_err *err)
{
    pang_content from[NAMES_AT_ONCE], to[NAMES_AT_ONCE];
    pang_asset_at in_from[NAMES_AT_ONCE], in_to[NAMES_AT_ONCE];
    *ret_at = 0;
    for (size_t i = 0; i < j->n; i++)
        from[i].name = to[i].name = j->names[i];
    if (j->n == 0)
        return PANG_OK;
    pang_code code = pang_content_get(&j->diff->from, from, j->n, err);
    if (code == PANG_OK)
        code = pang_content_get(&j->diff->to, to, j->n, err);
    if (code == PANG_OK)
        code = find_assets(&j->diff->from, to, j->n, in_from, err);
    if (code == PANG_OK)
        code = find_assets(&j->diff->to, from, j->n, in_to, err);
    for (; code == PANG_OK && *ret_at < j->n && j->n_out < j->most; ++*ret_at) {
        size_t i = *ret_at;
        uint64_t newest = from[i].sequence > to[i].sequence ? from[i].sequence : to[i].sequence;
        if (!j->newest_only || newest == j->places[i].number)
            code = judge_one(j, &from[i], &to[i], &in_from[i], &in_to[i], err);
    }
    return code;
}

/* ---- pages ---- */

static bool is_repeated(const pang_rec_commit *commit, size_t at)
{
    const pang_rec_change *change = commit->changes[at];
    for (size_t i = 0; i < at; i++) {
        const pang_rec_change *other = commit->changes[i];
        if (other->space == change->space && strcmp(other->path, change->path) == 0 &&
            strcmp(other->name, change->name) == 0)
            return true;
    }
    return false;
}

/* Gathers changes of a commit from `*index` on, as many as there is room for. */
static void gather(judge *j, const pang_rec_commit *commit, uint64_t number, size_t *index)
{
    for (; *index < commit->n_changes && j->n < NAMES_AT_ONCE; ++*index) {
        const pang_rec_change *change = commit->changes[*index];
        if (is_repeated(commit, *index))
            continue;
        j->places[j->n] = (pang_diff_place){number, *index};
        j->names[j->n++] = (pang_name){(pang_space)change->space, pang_str_from(change->path),
                                       pang_str_from(change->name)};
    }
}

static pang_code read_commit(pang_view *view, pang_point point, pang_rec_commit **ret,
                             pang_err *err)
{
    pang_record record;
    pang_ref ref = {.key = pang_key_commit(&view->keys, point.branch, point.sequence)};
    *ret = NULL;
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(view->txn, &ref, 1, PANG_READ_UNCHECKED, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = pang_record_unpack(&pangolin__store__v1__commit__descriptor, &record, view->arena,
                                  ret, err);
    return code;
}

/* Judges what was gathered. *ret_full: the page is, and *place is where the next one begins. */
static pang_code flush(judge *j, pang_diff_place *place, bool *ret_full, pang_err *err)
{
    size_t at;
    pang_code code = judge_all(j, &at, err);
    *ret_full = code == PANG_OK && at < j->n;
    if (*ret_full)
        *place = j->places[at];
    j->n = 0;
    return code;
}

/* Judges a commit's changes from an index on. */
static pang_code judge_commit(judge *j, const pang_rec_commit *commit, uint64_t number,
                              size_t index, pang_diff_place *place, bool *ret_full, pang_err *err)
{
    pang_code code = PANG_OK;
    *ret_full = false;
    gather(j, commit, number, &index);
    while (code == PANG_OK && !*ret_full && j->n == NAMES_AT_ONCE) {
        code = flush(j, place, ret_full, err);
        if (!*ret_full)
            gather(j, commit, number, &index);
    }
    return code;
}

pang_code pang_diff_read(pang_diff *diff, pang_diff_place *place, pang_diff_entry *ret, size_t most,
                         size_t *ret_n, pang_err *err)
{
    uint64_t before = place->number == 0 ? 0 : place->number + 1;
    size_t looked = 0, first = place->index;
    side_log *logs = pang_arena_alloc_n(diff->from.arena, 2, sizeof *logs);
    judge *j = pang_arena_alloc(diff->from.arena, sizeof *j);
    if (logs == NULL || j == NULL)
        return pang_fail_memory(err);
    logs[0] = (side_log){.view = &diff->from, .common = &diff->common, .before = before};
    logs[1] = (side_log){.view = &diff->to, .common = &diff->common, .before = before};
    *j = (judge){.diff = diff, .newest_only = true, .out = ret, .most = most};
    pang_code code = PANG_OK;
    bool full = false;
    while (code == PANG_OK && !full) {
        pang_point point;
        pang_rec_commit *commit = NULL;
        code = next_point(logs, &point, err);
        if (code != PANG_OK || point.sequence == 0)
            break;
        if (looked >= PANG_DIFF_LOOKED_MAX) {
            *place = (pang_diff_place){point.sequence, 0};
            code = flush(j, place, &full, err);
            *ret_n = j->n_out;
            return code;
        }
        code = read_commit(&diff->from, point, &commit, err);
        size_t index = point.sequence == place->number ? first : 0;
        if (code == PANG_OK && commit != NULL) {
            looked += commit->n_changes;
            code = judge_commit(j, commit, point.sequence, index, place, &full, err);
        }
    }
    if (code == PANG_OK && !full)
        code = flush(j, place, &full, err);
    if (!full)
        *place = (pang_diff_place){0};
    *ret_n = j->n_out;
    return code;
}

pang_code pang_diff_names(pang_diff *diff, const pang_name *names, size_t n, pang_diff_entry *ret,
                          size_t *ret_n, pang_err *err)
{
    pang_code code = PANG_OK;
    judge *j = pang_arena_alloc(diff->from.arena, sizeof *j);
    if (j == NULL)
        return pang_fail_memory(err);
    *j = (judge){.diff = diff, .out = ret, .most = 2 * n};
    for (size_t i = 0; code == PANG_OK && i < n; i += NAMES_AT_ONCE) {
        size_t at;
        for (j->n = 0; j->n < NAMES_AT_ONCE && i + j->n < n; j->n++)
            j->names[j->n] = names[i + j->n];
        code = judge_all(j, &at, err);
    }
    *ret_n = j->n_out;
    return code;
}
