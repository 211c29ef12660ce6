/*
 * The commits that a view shows: those of its first level up to its number, then those of the level
 * that it was made from, and so on; numbers fall all the way, since a branch has no commit of
 * before it was made.
 *
 * A walk copies a piece of rows into memory of its own and shows them then: nothing may ask the
 * store from within a scan, and who looks at commits does.
 */
#include "server/refs.h"

enum {
    PIECE_ROWS = 64,           /* of one scan of a walk */
    PIECE_BYTES = 8 << 20,     /* where a scan stops before that: commits may be large */
    SCRATCH_BYTES = 128 << 20, /* for a piece and its messages */
};

/* ---- rows ---- */

static pang_code take_commit(const pang_record *record, pang_arena *arena, pang_commit_row *ret,
                             pang_err *err)
{
    ret->sequence = record->sequence;
    ret->time_ms = record->time_ms;
    return pang_record_unpack(&pangolin__store__v1__commit__descriptor, record, arena, &ret->body,
                              err);
}

pang_code pang_commit_by_id(pang_view *view, pang_id id, pang_commit_row *ret, pang_err *err)
{
    pang_record record;
    pang_commit_row row = {0};
    pang_str key = pang_key_commit_id(&view->keys, id);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_get_one(view->txn, key, &record, err);
    if (code != PANG_OK)
        return code;
    /* Every commit to the store has an id; those of no catalog's content have no body. */
    if (record.version != 0 && record.value != PANG_ID_VOID && record.body.len > 0)
        code = take_commit(&record, view->arena, &row, err);
    if (code != PANG_OK)
        return code;
    if (row.body != NULL && !pang_id_equal(pang_id_of(row.body->catalog), view->catalog))
        row = (pang_commit_row){0};
    *ret = row;
    return PANG_OK;
}

typedef struct {
    pang_arena *arena;
    pang_record *rows;
    size_t n;
    bool more; /* it ended before the level did */
    bool failed;
} piece;

static bool keep_row(void *arg, const pang_record *row)
{
    piece *p = arg;
    p->failed = !pang_record_copy(row, p->arena, &p->rows[p->n]);
    if (p->failed)
        return false;
    p->n++;
    p->more = pang_arena_used(p->arena) >= PIECE_BYTES;
    return !p->more;
}

/* A level's commits from number `newest` down, at most `limit`. */
static pang_code read_piece(pang_view *view, size_t level, uint64_t newest, uint32_t limit,
                            bool keys_only, piece *p, pang_err *err)
{
    pang_id branch = view->levels[level].branch;
    pang_query query = {.prefix = pang_key_commits(&view->keys, branch),
                        .limit = limit,
                        .descending = true,
                        .keys_only = keys_only};
    if (newest < UINT64_MAX)
        query.after = pang_key_commit(&view->keys, branch, newest + 1);
    p->n = 0;
    p->rows = pang_arena_alloc_n(p->arena, limit, sizeof *p->rows);
    if (p->rows == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(view->txn, &query, keep_row, p, err);
    p->more = p->more || p->n == limit;
    return code == PANG_OK && p->failed ? pang_fail_memory(err) : code;
}

/* The newest at or below a number on one level; version 0: none. */
static pang_code newest_of(pang_view *view, size_t level, uint64_t number, bool keys_only,
                           pang_record *ret, pang_err *err)
{
    piece p = {.arena = view->arena};
    pang_code code = read_piece(view, level, number, 1, keys_only, &p, err);
    if (code == PANG_OK)
        *ret = p.n == 0 ? (pang_record){0} : p.rows[0];
    return code;
}

/* ---- one commit ---- */

pang_code pang_commit_head(pang_view *view, pang_commit_row *ret, pang_err *err)
{
    pang_record record = {0};
    pang_commit_row row = {0};
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && record.version == 0 && i < view->n_levels; i++)
        code = newest_of(view, i, view->levels[i].at, false, &record, err);
    if (code == PANG_OK && record.version != 0)
        code = take_commit(&record, view->arena, &row, err);
    if (code == PANG_OK)
        *ret = row;
    return code;
}

/* The newest number of a level whose commit is of before or at a time; 0: none. Times never fall
 * along the numbers, so each look halves what is left. */
static pang_code number_at_time(pang_view *view, size_t level, int64_t time_ms, uint64_t *ret,
                                pang_err *err)
{
    pang_record row;
    uint64_t known = 0, after;
    pang_code code = newest_of(view, level, view->levels[level].at, true, &row, err);
    if (code != PANG_OK)
        return code;
    if (row.version == 0 || row.time_ms <= time_ms) {
        *ret = row.sequence;
        return PANG_OK;
    }
    for (after = row.sequence; after - known > 1;) {
        uint64_t middle = known + (after - known) / 2;
        code = newest_of(view, level, middle, true, &row, err);
        if (code != PANG_OK)
            return code;
        if (row.version == 0 || row.time_ms <= time_ms)
            known = middle;
        else
            after = row.sequence;
    }
    *ret = known;
    return PANG_OK;
}

pang_code pang_commit_at_time(pang_view *view, int64_t time_ms, pang_commit_row *ret, pang_err *err)
{
    pang_record record = {0};
    pang_commit_row row = {0};
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && record.version == 0 && i < view->n_levels; i++) {
        uint64_t number = 0;
        code = number_at_time(view, i, time_ms, &number, err);
        if (code == PANG_OK && number > 0)
            code = newest_of(view, i, number, false, &record, err);
    }
    if (code == PANG_OK && record.version != 0)
        code = take_commit(&record, view->arena, &row, err);
    if (code == PANG_OK)
        *ret = row;
    return code;
}

/* ---- walks ---- */

typedef struct {
    pang_view *view;
    pang_arena *scratch; /* of one piece */
    pang_commit_fn *fn;
    void *arg;
    uint64_t below; /* the next commit has a smaller number */
    bool stopped;
} walk;

static pang_code show_piece(walk *w, const piece *p, pang_err *err)
{
    for (size_t i = 0; i < p->n && !w->stopped; i++) {
        pang_commit_row row;
        pang_code code = take_commit(&p->rows[i], w->scratch, &row, err);
        if (code != PANG_OK)
            return code;
        w->below = row.sequence;
        w->stopped = !w->fn(w->arg, &row);
    }
    return PANG_OK;
}

static pang_code walk_level(walk *w, size_t level, pang_err *err)
{
    uint64_t at = w->view->levels[level].at;
    for (bool more = true; more && !w->stopped && w->below > 0;) {
        piece p = {.arena = w->scratch};
        uint64_t newest = at < w->below - 1 ? at : w->below - 1;
        pang_code code = read_piece(w->view, level, newest, PIECE_ROWS, false, &p, err);
        if (code == PANG_OK)
            code = show_piece(w, &p, err);
        if (code != PANG_OK)
            return code;
        more = p.more;
        pang_arena_reset(w->scratch);
    }
    return PANG_OK;
}

pang_code pang_commit_walk(pang_view *view, uint64_t before, pang_commit_fn *fn, void *arg,
                           pang_err *err)
{
    pang_code code = PANG_OK;
    walk w = {.view = view, .fn = fn, .arg = arg, .below = before == 0 ? PANG_NOW : before};
    w.scratch = pang_arena_new(SCRATCH_BYTES);
    if (w.scratch == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && !w.stopped && i < view->n_levels; i++)
        code = walk_level(&w, i, err);
    pang_arena_free(w.scratch);
    return code;
}
