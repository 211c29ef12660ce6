/*
 * The log of a view. Without a name it is the view's commits, looked at one by one. With a name it
 * is read off the name's own records: each history row's key has the number of the commit that
 * replaced the state, so the numbers of a name's commits are the keys of its rows, and of the
 * oldest row also the number that it was written at. A commit that gave the name to an asset by
 * renaming it leads to the name from before.
 */
#include <string.h>

#include "server/commits.h"
#include "server/svc_names.h"

enum { NUMBERS_AT_ONCE = 128 };

/* ---- names ---- */

pang_code pang_path_levels(pang_str path, pang_arena *arena, char ***ret, size_t *ret_n,
                           pang_err *err)
{
    pang_str rest = path, part, level;
    *ret_n = 0;
    *ret = pang_arena_alloc_n(arena, PANG_NAMESPACE_LEVELS_MAX + 1, sizeof **ret);
    if (*ret == NULL)
        return pang_fail_memory(err);
    while (path.len > 0 && *ret_n <= PANG_NAMESPACE_LEVELS_MAX &&
           pang_str_next(&rest, '.', &part)) {
        if (!pang_key_unescape(part, arena, &level))
            return pang_fail_memory(err);
        (*ret)[(*ret_n)++] = pang_arena_cstr(arena, level);
    }
    return pang_arena_failed(arena) ? pang_fail_memory(err) : PANG_OK;
}

static bool is_of(const pang_rec_change *change, pang_name name)
{
    return change->space == (uint32_t)name.space &&
           pang_str_equal(pang_str_from(change->path), name.path) &&
           pang_str_equal(pang_str_from(change->name), name.name);
}

/* ---- filters ---- */

static bool touches(const pang_rec_commit *commit, pang_name name)
{
    for (size_t i = 0; i < commit->n_changes; i++)
        if (is_of(commit->changes[i], name))
            return true;
    return false;
}

static bool is_by(const pang_commit_filter *filter, const pang_rec_commit *commit)
{
    if (!pang_id_is_nil(filter->author_id) &&
        pang_id_equal(filter->author_id, pang_id_of(commit->author)))
        return true;
    return pang_str_equal(filter->author, pang_str_from(commit->author_name));
}

bool pang_commit_matches(const pang_commit_filter *filter, const pang_commit_row *row)
{
    if (filter->author.len > 0 && !is_by(filter, row->body))
        return false;
    if (row->time_ms < filter->from_ms || row->time_ms >= filter->until_ms)
        return false;
    return !filter->by_name || touches(row->body, filter->name);
}

/* ---- pages ---- */

typedef struct {
    pang_view *view;
    const pang_commit_filter *filter;
    pang_log_place *place;
    pang_point *points;
    size_t n, max, skip, looked;
    size_t listed;        /* changes of commits that are in memory */
    uint64_t floor, last; /* commits below `floor` need not all be there; the last looked at */
    bool full;            /* the page ended before the log did */
} reading;

/* False: the page is full, or all further commits are of before the time asked for. */
static bool look_at(reading *r, const pang_commit_row *row)
{
    pang_commit_filter own = *r->filter;
    own.by_name = false; /* known already */
    bool below = r->last != 0 && r->last <= r->floor;
    if (row->time_ms < r->filter->from_ms || below)
        return false;
    if (r->n == r->max || r->looked == PANG_LOG_LOOKED_MAX || r->listed >= PANG_LOG_LISTED_MAX) {
        r->full = true;
        return false;
    }
    r->looked++;
    r->place->before = r->last = row->sequence;
    bool matches = pang_commit_matches(&own, row), taken = matches && r->skip == 0;
    if (taken)
        r->points[r->n++] = (pang_point){pang_id_of(row->body->branch), row->sequence};
    else if (matches)
        r->looked = --r->skip == 0 ? 0 : r->looked; /* the page may look at as many again */
    if (taken || r->filter->by_name)
        r->listed += row->body->n_changes;
    return true;
}

static bool look_at_row(void *arg, const pang_commit_row *row)
{
    return look_at(arg, row);
}

/* ---- by name ---- */

/* Numbers of the commits that changed a name on one level, falling. */
typedef struct {
    pang_view *view;
    uint64_t numbers[NUMBERS_AT_ONCE + 1];
    size_t n, rows;
    uint64_t oldest; /* when the state of the last row was written */
    pang_code code;
    pang_err *err;
} numbers;

static bool take_number(void *arg, const pang_record *row)
{
    numbers *of = arg;
    pang_rec_content *body;
    uint64_t until;
    if (!pang_key_number(pang_str_after(row->key, pang_key_slot_at(row->key)), &until))
        return true;
    of->code = pang_record_unpack(&pangolin__store__v1__content__descriptor, row, of->view->arena,
                                  &body, of->err);
    if (of->code != PANG_OK)
        return false;
    of->rows++;
    of->numbers[of->n++] = until;
    of->oldest = body->written_at;
    return true;
}

/* The one at or below `newest` where no row is: the state that the next row above holds, or the
 * current one, was written by it. */
static pang_code read_first(numbers *of, pang_str current_key, pang_str newest_key, uint64_t newest,
                            pang_err *err)
{
    pang_rec_content *body;
    pang_record records[2];
    pang_ref refs[2] = {{.key = current_key},
                        {.key = newest_key,
                         .prefix_len = pang_key_prefix_len(newest_key),
                         .mode = PANG_REF_CEILING}};
    pang_code code = pang_txn_get(of->view->txn, refs, 2, PANG_READ_UNCHECKED, records, err);
    if (code != PANG_OK)
        return code;
    of->oldest = records[0].version == 0 ? 0 : records[0].sequence;
    if (records[1].version != 0) {
        code = pang_record_unpack(&pangolin__store__v1__content__descriptor, &records[1],
                                  of->view->arena, &body, err);
        if (code != PANG_OK)
            return code;
        of->oldest = body->written_at;
    }
    if (of->oldest != 0 && of->oldest <= newest)
        of->numbers[of->n++] = of->oldest;
    return PANG_OK;
}

/* Those at or below `newest`, a piece. */
static pang_code read_numbers(numbers *of, pang_id branch, pang_name name, uint64_t newest,
                              pang_err *err)
{
    pang_keys *keys = &of->view->keys;
    pang_str current = pang_key_content(keys, branch, name.space, name.path, name.name);
    pang_str from = pang_key_history(keys, branch, name.space, name.path, name.name, newest);
    pang_query query = {.limit = NUMBERS_AT_ONCE, .descending = true};
    query.prefix = pang_str_slice(from, 0, pang_key_prefix_len(from));
    if (newest < UINT64_MAX)
        query.after = pang_key_history(keys, branch, name.space, name.path, name.name, newest + 1);
    of->n = of->rows = 0;
    of->code = PANG_OK;
    pang_code code = pang_keys_status(keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(of->view->txn, &query, take_number, of, err);
    if (code == PANG_OK)
        code = of->code;
    if (code != PANG_OK)
        return code;
    if (of->rows == 0)
        return read_first(of, current, from, newest, err);
    if (of->rows < NUMBERS_AT_ONCE)
        of->numbers[of->n++] = of->oldest;
    return PANG_OK;
}

/* Whether a commit gave the name to an asset that had another one until then: that one. */
static bool was_renamed(const pang_rec_commit *commit, pang_name name, pang_name *ret)
{
    const pang_rec_change *to = NULL;
    for (size_t i = 0; i < commit->n_changes; i++)
        if (is_of(commit->changes[i], name))
            to = commit->changes[i];
    if (to == NULL || to->old_asset.len > 0 || to->new_asset.len == 0)
        return false;
    for (size_t i = 0; i < commit->n_changes; i++) {
        const pang_rec_change *from = commit->changes[i];
        if (from->new_asset.len > 0 || from->space != to->space ||
            !pang_str_equal(pang_str_of(from->old_asset), pang_str_of(to->new_asset)))
            continue;
        *ret = (pang_name){name.space, pang_str_from(from->path), pang_str_from(from->name)};
        return true;
    }
    return false;
}

/* Looks at a piece of a level. *ret_done: the level has no more, or the name is another one. */
static pang_code look_at_piece(reading *r, const numbers *of, pang_id branch, bool *ret_stop,
                               bool *ret_renamed, pang_err *err)
{
    *ret_stop = *ret_renamed = false;
    for (size_t i = 0; i < of->n && !*ret_stop && !*ret_renamed; i++) {
        pang_commit_row row;
        pang_name before;
        pang_code code = pang_commit_at(r->view, (pang_point){branch, of->numbers[i]}, &row, err);
        if (code != PANG_OK)
            return code;
        if (row.body == NULL)
            continue;
        *ret_stop = !look_at(r, &row);
        if (!*ret_stop && was_renamed(row.body, r->place->name, &before)) {
            r->place->name = before;
            *ret_renamed = true;
        }
    }
    return PANG_OK;
}

static pang_code read_by_name(reading *r, pang_err *err)
{
    numbers *of = pang_arena_alloc(r->view->arena, sizeof *of);
    if (of == NULL)
        return pang_fail_memory(err);
    *of = (numbers){.view = r->view, .err = err};
    for (size_t level = 0; level < r->view->n_levels; level++) {
        pang_id branch = r->view->levels[level].branch;
        bool stop = false, renamed = false, more = true;
        uint64_t before = r->place->before == 0 ? PANG_NOW : r->place->before;
        while (more) {
            uint64_t newest = r->view->levels[level].at;
            newest = newest < before - 1 ? newest : before - 1;
            pang_code code = read_numbers(of, branch, r->place->name, newest, err);
            if (code == PANG_OK)
                code = look_at_piece(r, of, branch, &stop, &renamed, err);
            if (code != PANG_OK || stop)
                return code;
            more = renamed || of->rows == NUMBERS_AT_ONCE;
            before = renamed ? r->place->before : of->n > 0 ? of->numbers[of->n - 1] : before;
        }
    }
    return PANG_OK;
}

/* ---- the log ---- */

/* What is of the time asked for, or later, begins below this number. */
static pang_code begin_at_time(reading *r, pang_err *err)
{
    pang_commit_row row;
    if (r->filter->until_ms == PANG_NO_END || r->place->before != 0)
        return PANG_OK;
    pang_code code = pang_commit_at_time(r->view, r->filter->until_ms - 1, &row, err);
    if (code == PANG_OK)
        r->place->before = row.body == NULL ? 1 : row.sequence + 1;
    return code;
}

pang_code pang_log_read(pang_view *view, const pang_commit_filter *filter, size_t skip,
                        pang_log_place *place, pang_point *ret, size_t n, size_t *ret_n,
                        pang_err *err)
{
    reading r = {
        .view = view, .filter = filter, .place = place, .points = ret, .max = n, .skip = skip};
    pang_floor floor;
    if (filter->by_name && place->before == 0)
        place->name = filter->name;
    pang_code code = pang_floor_of(view, &floor, err);
    r.floor = floor.number;
    r.last = place->before;
    if (code == PANG_OK)
        code = begin_at_time(&r, err);
    if (code == PANG_OK && filter->by_name)
        code = read_by_name(&r, err);
    else if (code == PANG_OK)
        code = pang_commit_walk(view, place->before, look_at_row, &r, err);
    if (code == PANG_OK && r.full && r.skip > 0)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "offset passes over more than %d commits: ask by pages, with the token "
                         "that each page names for the next",
                         PANG_LOG_LOOKED_MAX);
    if (!r.full)
        place->before = 0;
    *ret_n = r.n;
    return code;
}

pang_code pang_log_view(pang_view *view, pang_err *err)
{
    pang_chain chain;
    pang_code code = pang_chain_of(view, &chain, err);
    if (code != PANG_OK || !chain.partial)
        return code;
    for (size_t i = 0; i < chain.n; i++) {
        view->levels[i].branch = chain.points[i].branch;
        view->levels[i].at = chain.points[i].sequence;
    }
    view->n_levels = chain.n;
    view->writable = false;
    return PANG_OK;
}
