/*
 * Content, lists: rows of one namespace at one number, and whether there are any.
 */
#include <assert.h>

#include "server/content_internal.h"

enum {
    SCAN_ROWS_MAX = 512, /* of one scan of a list; ceiling reads for them fit one get */
    SCAN_ROWS_MIN = 32,  /* tombstones are not shown, so that asking for just one would crawl */
};

typedef struct {
    pang_view *view;
    pang_record *rows;
    size_t n, limit;
    bool failed;
} page;

static bool keep_row(void *arg, const pang_record *row)
{
    page *p = arg;
    pang_record *to = &p->rows[p->n];
    *to = *row;
    if (!pang_arena_copy(p->view->arena, row->key, &to->key) ||
        !pang_arena_copy(p->view->arena, row->body, &to->body)) {
        p->failed = true;
        return false;
    }
    return ++p->n < p->limit;
}

static pang_code scan_page(pang_view *view, pang_str prefix, pang_str after, page *p, pang_err *err)
{
    pang_buf from = {.arena = view->arena};
    pang_query query = {.prefix = prefix, .limit = (uint32_t)p->limit};
    if (after.len > 0) {
        pang_buf_add(&from, prefix);
        pang_buf_add(&from, after);
        query.after = pang_buf_str(&from);
    }
    p->rows = pang_arena_alloc_n(view->arena, p->limit, sizeof *p->rows);
    if (from.failed || p->rows == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_txn_scan(view->txn, &query, keep_row, p, err);
    return code == PANG_OK && p->failed ? pang_fail_memory(err) : code;
}

/* Rows that are newer than the list's state are looked up in history, all at once. */
static pang_code resolve_page(pang_view *view, const pang_content_query *query, const page *p,
                              pang_content *contents, pang_err *err)
{
    pang_batch older;
    size_t n = 0;
    uint64_t at = view->levels[0].at;
    if (!pang_batch_new(&older, view->arena, p->n))
        return pang_fail_memory(err);
    for (size_t i = 0; i < p->n; i++) {
        pang_str key = p->rows[i].key, part = pang_str_after(key, pang_key_prefix_len(key));
        contents[i] = (pang_content){.name = {query->space, query->path, part}, .key = key};
        if (!pang_key_unescape(part, view->arena, &contents[i].name.name))
            return pang_fail_memory(err);
        if (p->rows[i].sequence > at)
            older.refs[n++] = pang_content_history_ref(view, 0, contents[i].name);
    }
    older.n = n;
    pang_code code = pang_batch_get(view, &older, PANG_READ_UNCHECKED, err);
    for (size_t i = 0, next = 0; code == PANG_OK && i < p->n; i++) {
        if (p->rows[i].sequence <= at)
            code = pang_content_take_current(view, &p->rows[i], false, &contents[i], err);
        else
            code = pang_content_take_history(view, &older.records[next++], at, &contents[i], err);
    }
    return code;
}

/* One scan, resolved. */
static pang_code read_page(pang_view *view, const pang_content_query *query, pang_str prefix,
                           pang_str after, page *p, pang_content **ret, pang_err *err)
{
    pang_code code = scan_page(view, prefix, after, p, err);
    if (code != PANG_OK)
        return code;
    *ret = pang_arena_alloc_n(view->arena, p->n, sizeof **ret);
    return *ret == NULL ? pang_fail_memory(err) : resolve_page(view, query, p, *ret, err);
}

static size_t rows_for(size_t wanted)
{
    if (wanted > SCAN_ROWS_MAX)
        return SCAN_ROWS_MAX;
    return wanted < SCAN_ROWS_MIN ? SCAN_ROWS_MIN : wanted;
}

pang_code pang_content_list(pang_view *view, const pang_content_query *query,
                            pang_content_row_fn *row, void *arg, pang_str *ret_after, pang_err *err)
{
    if (view->n_levels != 1)
        return pang_fail(err, PANG_UNIMPLEMENTED, NULL, "lists through a base are not there yet");
    assert(view->levels[0].at != PANG_NOW && query->limit > 0);
    pang_str after = query->after, prefix = pang_key_contents(&view->keys, view->levels[0].branch,
                                                              query->space, query->path);
    pang_code code = pang_keys_status(&view->keys, err);
    for (size_t shown = 0; code == PANG_OK;) {
        page p = {.view = view, .limit = rows_for(query->limit - shown)};
        pang_content *contents = NULL;
        code = read_page(view, query, prefix, after, &p, &contents, err);
        for (size_t i = 0; code == PANG_OK && i < p.n; i++) {
            after = pang_str_after(p.rows[i].key, prefix.len);
            if (!pang_content_exists(&contents[i]))
                continue;
            if (!row(arg, &contents[i]) || ++shown == query->limit) {
                *ret_after = after;
                return PANG_OK;
            }
        }
        if (code == PANG_OK && p.n < p.limit) {
            *ret_after = (pang_str){0};
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
    /* Whoever creates in the namespace after this adds to its epoch, and then this commit fails. */
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
