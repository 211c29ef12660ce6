/*
 * Scans over whole ranges, in pieces: a store's scan holds a lock or a connection, so its rows are
 * copied, and looked at after it has ended.
 */
#include <string.h>

#include "server/gc_internal.h"

enum {
    PIECE_ROWS = 256,          /* of one scan */
    PIECE_BYTES = 64 << 20,    /* of the arena of one piece */
    PIECE_SOFT_BYTES = 4 << 20 /* where a scan stops before that */
};

typedef struct {
    pang_arena *arena;
    pang_record *rows;
    size_t n;
    bool failed;
} piece;

static bool keep_row(void *arg, const pang_record *row)
{
    piece *p = arg;
    p->failed = !pang_record_copy(row, p->arena, &p->rows[p->n]);
    return !p->failed && ++p->n < PIECE_ROWS && pang_arena_used(p->arena) < PIECE_SOFT_BYTES;
}

static pang_code scan_piece(pang_store *store, const pang_gc_range *range, pang_str after, piece *p,
                            pang_err *err)
{
    pang_query query = {.prefix = range->prefix,
                        .after = after,
                        .limit = PIECE_ROWS,
                        .keys_only = range->keys_only};
    p->n = 0;
    p->failed = false;
    p->rows = pang_arena_alloc_n(p->arena, PIECE_ROWS, sizeof *p->rows);
    if (p->rows == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_store_scan(store, &query, PANG_NO_DEADLINE, keep_row, p, err);
    return code == PANG_OK && p->failed ? pang_fail_memory(err) : code;
}

pang_code pang_gc_scan_pieces(pang_store *store, const pang_gc_range *range, pang_gc_piece_fn *fn,
                              void *arg, pang_err *err)
{
    char last[PANG_KEY_MAX];
    pang_str after = range->after;
    piece p = {.arena = pang_arena_new(PIECE_BYTES)};
    pang_code code = p.arena == NULL ? pang_fail_memory(err) : PANG_OK;
    bool more = true;
    while (code == PANG_OK && more) {
        pang_arena_reset(p.arena);
        code = scan_piece(store, range, after, &p, err);
        more = code == PANG_OK && p.n > 0 && fn(arg, p.rows, p.n, p.arena);
        if (code == PANG_OK && more) {
            pang_str key = p.rows[p.n - 1].key;
            memcpy(last, key.ptr, key.len);
            after = (pang_str){last, key.len};
        }
    }
    pang_arena_free(p.arena);
    return code;
}

typedef struct {
    pang_gc_row_fn *fn;
    void *arg;
} row_by_row;

static bool show_rows(void *arg, const pang_record *rows, size_t n, pang_arena *arena)
{
    row_by_row *to = arg;
    bool more = true;
    for (size_t i = 0; more && i < n; i++)
        more = to->fn(to->arg, &rows[i], arena);
    return more;
}

pang_code pang_gc_scan(pang_store *store, pang_str prefix, pang_str after, pang_gc_row_fn *fn,
                       void *arg, pang_err *err)
{
    pang_gc_range range = {.prefix = prefix, .after = after};
    row_by_row to = {fn, arg};
    return pang_gc_scan_pieces(store, &range, show_rows, &to, err);
}
