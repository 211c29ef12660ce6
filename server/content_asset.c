/*
 * Content, by id: where assets are, read through levels exactly as names are, from records of their
 * own.
 */
#include "server/content_internal.h"

static pang_code take_asset(pang_view *view, const pang_record *record, pang_asset_at *ret,
                            pang_err *err)
{
    ret->sequence = record->sequence;
    return pang_record_unpack(&pangolin__store__v1__asset__descriptor, record, view->arena,
                              &ret->body, err);
}

/* What the history row above `at` held at `at`; nothing when it is of later. */
static pang_code take_older(pang_view *view, const pang_record *record, uint64_t at,
                            pang_asset_at *ret, pang_err *err)
{
    if (record->version == 0)
        return PANG_OK;
    pang_code code = take_asset(view, record, ret, err);
    if (code != PANG_OK)
        return code;
    ret->sequence = ret->body->written_at;
    if (ret->body->written_at > at)
        ret->body = NULL;
    return PANG_OK;
}

static pang_code resolve(pang_view *view, const pang_record *current, const pang_record *history,
                         pang_asset_at *ret, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < view->n_levels && ret->body == NULL; i++) {
        uint64_t at = view->levels[i].at;
        if (current[i].version == 0)
            continue;
        if (current[i].sequence <= at)
            code = take_asset(view, &current[i], ret, err);
        else
            code = take_older(view, &history[i], at, ret, err);
    }
    return code;
}

static void fill_refs(pang_view *view, pang_id asset, pang_ref *current, pang_ref *history)
{
    for (size_t i = 0; i < view->n_levels; i++) {
        pang_id branch = view->levels[i].branch;
        pang_str row = pang_key_asset_history(&view->keys, branch, asset, view->levels[i].at);
        current[i] = (pang_ref){.key = pang_key_asset(&view->keys, branch, asset)};
        history[i] = (pang_ref){.key = row,
                                .prefix_len = pang_key_prefix_len(row),
                                .mode = PANG_REF_CEILING,
                                .immutable = true};
    }
}

/* A branch as of now and nothing below. */
static pang_code find_plain(pang_view *view, const pang_id *assets, size_t n, pang_asset_at *ret,
                            pang_err *err)
{
    pang_batch b;
    if (!pang_batch_new(&b, view->arena, n))
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        b.refs[i].key = pang_key_asset(&view->keys, view->levels[0].branch, assets[i]);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_batch_get(view, &b, PANG_READ_CHECKED, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (b.records[i].version != 0)
            code = take_asset(view, &b.records[i], &ret[i], err);
    return code;
}

/* Batches and their keys are in `arena`. */
static pang_code read_through(pang_view *view, pang_arena *arena, const pang_id *assets, size_t n,
                              pang_asset_at *ret, pang_err *err)
{
    pang_batch current, history;
    pang_view keyed = *view;
    size_t levels = view->n_levels;
    keyed.keys.arena = arena;
    if (!pang_batch_new(&current, arena, n * levels) ||
        !pang_batch_new(&history, arena, n * levels))
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        fill_refs(&keyed, assets[i], &current.refs[i * levels], &history.refs[i * levels]);
    pang_code code = pang_keys_status(&keyed.keys, err);
    if (code == PANG_OK)
        code = pang_content_read_levels(view, n, &current, &history, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = resolve(view, &current.records[i * levels], &history.records[i * levels], &ret[i],
                       err);
    return code;
}

static pang_code find_through(pang_view *view, const pang_id *assets, size_t n, pang_asset_at *ret,
                              pang_err *err)
{
    pang_arena *own;
    pang_code code = pang_batch_memory(n, &own, err);
    if (code == PANG_OK)
        code = read_through(view, own != NULL ? own : view->arena, assets, n, ret, err);
    pang_arena_free(own);
    return code;
}

pang_code pang_asset_find(pang_view *view, const pang_id *assets, size_t n, pang_asset_at *ret,
                          pang_err *err)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = (pang_asset_at){0};
    if (view->n_levels == 1 && view->levels[0].at == PANG_NOW)
        return find_plain(view, assets, n, ret, err);
    return find_through(view, assets, n, ret, err);
}
