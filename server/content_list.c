/*
 * Content, lists: rows of one namespace at one number, and whether there are any.
 *
 * A list is a merge of the ranges of current records of all levels, in the order of names: where a
 * name stands on several levels the nearest one that knew it answers, a tombstone too. What a level
 * held at its number is the current record, but for rows written after it, which are looked up in
 * history, all those of a piece at once.
 */
#include <assert.h>

#include "server/content_internal.h"

enum {
    SCAN_ROWS_MAX = 512, /* of one scan of a list; ceiling reads for them fit one get */
    SCAN_ROWS_MIN = 32,  /* tombstones are not shown, so that asking for just one would crawl */
};

/* ---- one level ---- */

/* Where a list is on a level: a piece of its rows. */
typedef struct {
    pang_str prefix; /* of the keys */
    pang_record *rows;
    pang_content *contents; /* of the rows; without a body: the level did not know the name */
    size_t n, next, limit;
    bool ended; /* the piece is the last one */
    bool failed;
} cursor;

typedef struct {
    pang_view *view;
    const pang_content_query *query;
    pang_str after; /* escaped: the last name that was looked at */
    cursor levels[PANG_LEVELS_MAX];
} layers;

typedef struct {
    cursor *cursor;
    pang_arena *arena;
} keeping;

static bool keep_row(void *arg, const pang_record *row)
{
    keeping *k = arg;
    cursor *c = k->cursor;
    c->failed = !pang_record_copy(row, k->arena, &c->rows[c->n]);
    return !c->failed && ++c->n < c->limit;
}

static pang_code scan_piece(layers *m, cursor *c, pang_err *err)
{
    pang_arena *arena = m->view->arena;
    keeping k = {c, arena};
    pang_buf from = {.arena = arena};
    pang_query query = {.prefix = c->prefix, .limit = (uint32_t)c->limit};
    if (m->after.len > 0) {
        pang_buf_add(&from, c->prefix);
        pang_buf_add(&from, m->after);
        query.after = pang_buf_str(&from);
    }
    c->n = c->next = 0;
    c->rows = pang_arena_alloc_n(arena, c->limit, sizeof *c->rows);
    if (from.failed || c->rows == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_scan(m->view->txn, &query, keep_row, &k, err);
    c->ended = c->n < c->limit;
    return code == PANG_OK && c->failed ? pang_fail_memory(err) : code;
}

/* The name that a cursor is at, as its key spells it. */
static pang_str part_at(const cursor *c, size_t i)
{
    return pang_str_after(c->rows[i].key, c->prefix.len);
}

/* Fills in what the piece's rows were at the level's number. */
static pang_code resolve_piece(layers *m, size_t level, cursor *c, pang_err *err)
{
    pang_batch older;
    pang_view *view = m->view;
    size_t n = 0;
    uint64_t at = view->levels[level].at;
    c->contents = pang_arena_alloc_n(view->arena, c->n, sizeof *c->contents);
    if (c->contents == NULL || !pang_batch_new(&older, view->arena, c->n))
        return pang_fail_memory(err);
    for (size_t i = 0; i < c->n; i++) {
        pang_content *content = &c->contents[i];
        *content = (pang_content){.name = {m->query->space, m->query->path, {0}}};
        if (!pang_key_unescape(part_at(c, i), view->arena, &content->name.name))
            return pang_fail_memory(err);
        if (c->rows[i].sequence > at)
            older.refs[n++] = pang_content_history_ref(view, level, content->name);
    }
    older.n = n;
    pang_code code = pang_batch_get(view, &older, PANG_READ_UNCHECKED, err);
    for (size_t i = 0, next = 0; code == PANG_OK && i < c->n; i++) {
        if (c->rows[i].sequence <= at)
            code = pang_content_take_current(view, &c->rows[i], false, &c->contents[i], err);
        else
            code = pang_content_take_history(view, &older.records[next++], at, &c->contents[i],
                                             err);
    }
    return code;
}

static size_t rows_for(size_t wanted)
{
    if (wanted > SCAN_ROWS_MAX)
        return SCAN_ROWS_MAX;
    return wanted < SCAN_ROWS_MIN ? SCAN_ROWS_MIN : wanted;
}

/* ---- all levels ---- */

static pang_code begin_layers(layers *m, pang_err *err)
{
    pang_view *view = m->view;
    m->after = m->query->after;
    for (size_t i = 0; i < view->n_levels; i++)
        m->levels[i] = (cursor){
            .prefix = pang_key_contents(&view->keys, view->levels[i].branch, m->query->space,
                                        m->query->path),
        };
    return pang_keys_status(&view->keys, err);
}

/* Every cursor whose piece is used up gets the next one: all of them have passed m->after. */
static pang_code refill(layers *m, size_t wanted, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < m->view->n_levels; i++) {
        cursor *c = &m->levels[i];
        if (c->next < c->n || c->ended)
            continue;
        c->limit = rows_for(wanted);
        code = scan_piece(m, c, err);
        if (code == PANG_OK)
            code = resolve_piece(m, i, c, err);
    }
    return code;
}

/* The least name that any cursor is at; false: none has one. */
static bool least_part(const layers *m, pang_str *ret)
{
    bool any = false;
    for (size_t i = 0; i < m->view->n_levels; i++) {
        const cursor *c = &m->levels[i];
        if (c->next == c->n)
            continue;
        pang_str part = part_at(c, c->next);
        if (!any || pang_str_compare(part, *ret) < 0)
            *ret = part;
        any = true;
    }
    return any;
}

/* Passes the least name on all levels; *ret is what the nearest that knew it says, else NULL.
 * False at the end of the list. */
static bool take_next(layers *m, pang_content **ret)
{
    pang_str part;
    *ret = NULL;
    if (!least_part(m, &part))
        return false;
    for (size_t i = 0; i < m->view->n_levels; i++) {
        cursor *c = &m->levels[i];
        if (c->next == c->n || !pang_str_equal(part_at(c, c->next), part))
            continue;
        pang_content *content = &c->contents[c->next++];
        if (*ret == NULL && content->body != NULL)
            *ret = content;
    }
    m->after = part;
    return true;
}

pang_code pang_content_list(pang_view *view, const pang_content_query *query,
                            pang_content_row_fn *row, void *arg, pang_str *ret_after, pang_err *err)
{
    assert(view->levels[0].at != PANG_NOW && query->limit > 0);
    size_t shown = 0;
    pang_content *content;
    layers m = {.view = view, .query = query};
    pang_code code = begin_layers(&m, err);
    while (code == PANG_OK) {
        code = refill(&m, query->limit - shown, err);
        if (code != PANG_OK)
            return code;
        if (!take_next(&m, &content)) {
            *ret_after = (pang_str){0};
            return PANG_OK;
        }
        if (content == NULL || !pang_content_exists(content))
            continue;
        content->key = pang_content_current_ref(view, 0, content->name).key;
        code = pang_keys_status(&view->keys, err);
        if (code == PANG_OK && (!row(arg, content) || ++shown == query->limit)) {
            *ret_after = m.after;
            return PANG_OK;
        }
    }
    return code;
}

/* ---- emptiness ---- */

static bool stop_at_first(void *arg, const pang_content *row)
{
    (void)row;
    *(bool *)arg = false;
    return false;
}

pang_code pang_content_is_empty(pang_view *view, pang_levels levels, bool *ret, pang_err *err)
{
    static const pang_space spaces[] = {PANG_SPACE_ASSET, PANG_SPACE_NAMESPACE};
    pang_view now = *view;
    pang_record epoch;
    bool empty = true;
    pang_str path = pang_key_path(&now.keys, levels.names, levels.n), ignored;
    pang_ref ref = {.key = pang_key_epoch(&now.keys, now.levels[0].branch, path)};
    pang_code code = pang_keys_status(&now.keys, err);
    if (code == PANG_OK)
        code = pang_txn_get(now.txn, &ref, 1, PANG_READ_UNCHECKED, &epoch, err);
    if (code != PANG_OK)
        return code;
    /* Whoever creates in the namespace after this adds to its epoch, and then this commit fails.
     * The levels below are of the past, where nothing is created any more. */
    pang_txn_check_counter(view->txn, ref.key, epoch.value);
    now.levels[0].at = PANG_NOW - 1;
    for (size_t i = 0; code == PANG_OK && empty && i < 2; i++) {
        pang_content_query query = {.space = spaces[i], .path = path, .limit = 1};
        code = pang_content_list(&now, &query, stop_at_first, &empty, &ignored, err);
    }
    if (code == PANG_OK)
        *ret = empty;
    return code;
}
