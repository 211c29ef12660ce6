/*
 * Content, reading: from names to records. One get answers for all names on all levels; the chain
 * of bases is stored whole in the ref, so a branch of a branch costs no further round trip. What a
 * base changed since is looked up in history by a second one, whose answers last.
 */
#include <assert.h>

#include "api/keys_versions.h"
#include "server/content_internal.h"

/* ---- names ---- */

pang_name pang_name_of_asset(pang_keys *keys, pang_levels levels, pang_str name)
{
    return (pang_name){PANG_SPACE_ASSET, pang_key_path(keys, levels.names, levels.n), name};
}

pang_name pang_name_of_namespace(pang_keys *keys, pang_levels levels)
{
    assert(levels.n > 0);
    return (pang_name){PANG_SPACE_NAMESPACE, pang_key_path(keys, levels.names, levels.n - 1),
                       levels.names[levels.n - 1]};
}

bool pang_name_equal(pang_name a, pang_name b)
{
    return a.space == b.space && pang_str_equal(a.path, b.path) && pang_str_equal(a.name, b.name);
}

uint64_t pang_name_hash(pang_name name)
{
    return (pang_str_hash(name.path) * 31 + pang_str_hash(name.name)) * 31 + (uint64_t)name.space;
}

/* ---- reading ---- */

bool pang_content_exists(const pang_content *content)
{
    return content->body != NULL && !content->body->dropped;
}

static uint64_t or_sequence(const pang_content *content, uint64_t origin)
{
    return content->body != NULL && origin != 0 ? origin : content->sequence;
}

uint64_t pang_content_origin(const pang_content *content)
{
    return or_sequence(content, content->body == NULL ? 0 : content->body->origin);
}

uint64_t pang_content_value_origin(const pang_content *content)
{
    return or_sequence(content, content->body == NULL ? 0 : content->body->value_origin);
}

uint64_t pang_content_name_origin(const pang_content *content)
{
    return or_sequence(content, content->body == NULL ? 0 : content->body->name_origin);
}

pang_ref pang_content_current_ref(pang_view *view, size_t level, pang_name name)
{
    return (pang_ref){.key = pang_key_content(&view->keys, view->levels[level].branch, name.space,
                                              name.path, name.name)};
}

pang_ref pang_content_history_ref(pang_view *view, size_t level, pang_name name)
{
    pang_str key = pang_key_history(&view->keys, view->levels[level].branch, name.space, name.path,
                                    name.name, view->levels[level].at);
    return (pang_ref){.key = key,
                      .prefix_len = pang_key_prefix_len(key),
                      .mode = PANG_REF_CEILING,
                      .immutable = true};
}

static pang_code take_body(pang_view *view, const pang_record *record, pang_content *content,
                           pang_err *err)
{
    return pang_record_unpack(&pangolin__store__v1__content__descriptor, record, view->arena,
                              &content->body, err);
}

pang_code pang_content_take_current(pang_view *view, const pang_record *record, bool own,
                                    pang_content *content, pang_err *err)
{
    content->sequence = record->sequence;
    content->time_ms = record->time_ms;
    content->own = own;
    return take_body(view, record, content, err);
}

pang_code pang_content_take_history(pang_view *view, const pang_record *record, uint64_t at,
                                    pang_content *content, pang_err *err)
{
    if (record->version == 0)
        return PANG_OK;
    pang_code code = take_body(view, record, content, err);
    if (code != PANG_OK)
        return code;
    if (content->body->written_at > at) {
        content->body = NULL;
        return PANG_OK;
    }
    content->sequence = content->body->written_at;
    content->time_ms = content->body->written_ms;
    return PANG_OK;
}

/* The records of one name: per level its current one and, where the level is of the past, the
 * history row above. */
static pang_code resolve(pang_view *view, const pang_record *current, const pang_record *history,
                         pang_content *content, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < view->n_levels && content->body == NULL; i++) {
        uint64_t at = view->levels[i].at;
        if (current[i].version == 0)
            continue;
        if (current[i].sequence <= at)
            code = pang_content_take_current(view, &current[i], i == 0 && at == PANG_NOW, content,
                                             err);
        else
            code = pang_content_take_history(view, &history[i], at, content, err);
    }
    return code;
}

bool pang_batch_new(pang_batch *b, pang_arena *arena, size_t n)
{
    b->arena = arena;
    b->n = n;
    b->refs = pang_arena_alloc_n(arena, n, sizeof *b->refs);
    b->records = pang_arena_alloc_n(arena, n, sizeof *b->records);
    return b->refs != NULL && b->records != NULL;
}

pang_code pang_batch_memory(size_t n, pang_arena **ret, pang_err *err)
{
    enum { FEW = 16, BYTES = 64 << 20 };
    *ret = n <= FEW ? NULL : pang_arena_new(BYTES);
    return n <= FEW || *ret != NULL ? PANG_OK : pang_fail_memory(err);
}

pang_code pang_batch_get(pang_view *view, pang_batch *b, pang_read_mode mode, pang_err *err)
{
    for (size_t from = 0; from < b->n; from += PANG_GET_MAX) {
        size_t n = b->n - from < PANG_GET_MAX ? b->n - from : PANG_GET_MAX;
        pang_code code = pang_txn_get(view->txn, b->refs + from, n, mode, b->records + from, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* The rows of history that one thing's answer may need: down to the level whose current record is
 * the answer. */
static void want_history(const pang_view *view, const pang_record *current, const pang_ref *history,
                         pang_batch *wanted)
{
    for (size_t i = 0; i < view->n_levels; i++) {
        if (current[i].version == 0)
            continue;
        if (current[i].sequence <= view->levels[i].at)
            return;
        wanted->refs[wanted->n++] = history[i];
    }
}

static pang_code get_history(pang_view *view, size_t n, const pang_batch *current,
                             pang_batch *history, pang_err *err)
{
    pang_batch wanted;
    size_t levels = view->n_levels;
    if (!pang_batch_new(&wanted, current->arena, n * levels))
        return pang_fail_memory(err);
    wanted.n = 0;
    for (size_t i = 0; i < n; i++)
        want_history(view, &current->records[i * levels], &history->refs[i * levels], &wanted);
    pang_code code = pang_batch_get(view, &wanted, PANG_READ_UNCHECKED, err);
    for (size_t i = 0, next = 0; code == PANG_OK && next < wanted.n; i++)
        if (pang_str_equal(wanted.refs[next].key, history->refs[i].key))
            history->records[i] = wanted.records[next++];
    return code;
}

/* What the branch itself has may change before the commit. It was read just now, so that nothing
 * is asked again. */
static pang_code check_own(pang_view *view, size_t n, const pang_batch *current, pang_err *err)
{
    pang_batch own;
    if (!view->writable)
        return PANG_OK;
    if (!pang_batch_new(&own, current->arena, n))
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        own.refs[i] = current->refs[i * view->n_levels];
    return pang_batch_get(view, &own, PANG_READ_CHECKED, err);
}

pang_code pang_content_read_levels(pang_view *view, size_t n, pang_batch *current,
                                   pang_batch *history, pang_err *err)
{
    pang_code code = pang_batch_get(view, current, PANG_READ_UNCHECKED, err);
    if (code == PANG_OK)
        code = check_own(view, n, current, err);
    return code == PANG_OK ? get_history(view, n, current, history, err) : code;
}

/* A branch as of now and nothing below: the one get that nearly all calls make. */
static pang_code get_plain(pang_view *view, pang_content *contents, size_t n, pang_err *err)
{
    pang_batch b;
    bool assets = false;
    if (!pang_batch_new(&b, view->arena, n + 1))
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        b.refs[i] = pang_content_current_ref(view, 0, contents[i].name);
        contents[i].key = b.refs[i].key;
        assets = assets || contents[i].name.space == PANG_SPACE_ASSET;
    }
    /* Whether an asset is shared is asked next (server/shared.h): in the same round trip. */
    b.refs[n] = (pang_ref){.key = pang_key_fork_mark(&view->keys, view->levels[0].branch),
                           .unchecked = true};
    b.n = assets ? n + 1 : n;
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_batch_get(view, &b, PANG_READ_CHECKED, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        if (b.records[i].version != 0)
            code = pang_content_take_current(view, &b.records[i], true, &contents[i], err);
    return code;
}

/* Batches, and the keys of all but the branch's own records, are in `arena`. */
static pang_code read_through(pang_view *view, pang_arena *arena, pang_content *contents, size_t n,
                              pang_err *err)
{
    pang_batch current, history;
    pang_view below = *view;
    size_t levels = view->n_levels;
    below.keys.arena = arena;
    if (!pang_batch_new(&current, arena, n * levels) ||
        !pang_batch_new(&history, arena, n * levels))
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        for (size_t level = 0; level < levels; level++) {
            size_t at = i * levels + level;
            pang_view *of = level == 0 ? view : &below;
            current.refs[at] = pang_content_current_ref(of, level, contents[i].name);
            history.refs[at] = pang_content_history_ref(&below, level, contents[i].name);
        }
        contents[i].key = current.refs[i * levels].key;
    }
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_keys_status(&below.keys, err);
    if (code == PANG_OK)
        code = pang_content_read_levels(view, n, &current, &history, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = resolve(view, &current.records[i * levels], &history.records[i * levels],
                       &contents[i], err);
    return code;
}

static pang_code get_through(pang_view *view, pang_content *contents, size_t n, pang_err *err)
{
    pang_arena *own;
    pang_code code = pang_batch_memory(n, &own, err);
    if (code == PANG_OK)
        code = read_through(view, own != NULL ? own : view->arena, contents, n, err);
    pang_arena_free(own);
    return code;
}

pang_code pang_content_get(pang_view *view, pang_content *contents, size_t n, pang_err *err)
{
    if (n > PANG_NAMES_AT_ONCE_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "too many names in one request: %zu, at most %d", n,
                         PANG_NAMES_AT_ONCE_MAX);
    for (size_t i = 0; i < n; i++)
        contents[i] = (pang_content){.name = contents[i].name};
    if (view->n_levels == 1 && view->levels[0].at == PANG_NOW)
        return get_plain(view, contents, n, err);
    return get_through(view, contents, n, err);
}
