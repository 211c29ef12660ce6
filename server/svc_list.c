/*
 * Lists: the first page decides the state that all pages are read at, and hands it on in the
 * token, so that what changes meanwhile neither repeats nor hides an entry.
 *
 * Who may not see all of a container gets its list from the other end: from what it was granted
 * come the names that may be shown, and just those are read. So one grant costs one read, however
 * many names there are, and no page tells how many others it left out.
 */
#include <stdlib.h>

#include "api/keys_identity.h"
#include "server/evaluate.h"
#include "server/pages.h"
#include "server/svc_names.h"
#include "server/svc_services.h"

enum { TAGGED_MAX = PANG_SCAN_MAX }; /* assets with one tag that a list looks through */

pang_code pang_list_begin(pang_call *call, pang_view *view, pang_levels levels, pang_space space,
                          const char *token, int32_t page_size, pang_list *ret, pang_err *err)
{
    pang_page page = {0};
    *ret = (pang_list){.view = view};
    ret->query.space = space;
    ret->query.path = pang_key_path(&view->keys, levels.names, levels.n);
    ret->what = pang_key_contents(&view->keys, view->levels[0].branch, space, ret->query.path);
    pang_code code = pang_keys_status(&view->keys, err);
    if (code == PANG_OK)
        code = pang_page_size(page_size, &ret->query.limit, err);
    if (code == PANG_OK && levels.n > 0 &&
        !pang_evaluate_lists(call, view->catalog, ret->query.path))
        code = pang_fail_no_namespace(levels, call->arena, err);
    if (code != PANG_OK)
        return code;
    if (token != NULL && token[0] != '\0')
        code = pang_page_read(call, ret->what, pang_str_from(token), &page, err);
    else
        code = pang_view_sequence(view, &page.sequence, err);
    if (code != PANG_OK)
        return code;
    ret->query.after = page.after;
    ret->sequence = page.sequence;
    pang_view_set_at(view, page.sequence);
    return PANG_OK;
}

/* ---- names that may be shown ---- */

/* A name, by the place that it has in the list. */
typedef struct {
    pang_str part; /* escaped, as it ends its key */
    pang_str name;
    pang_id asset; /* nil: whatever stands under the name */
} candidate;

typedef struct {
    pang_view *view;
    const pang_list *list;
    candidate *all;
    size_t n;
} candidates;

static int compare_candidates(const void *a, const void *b)
{
    return pang_str_compare(((const candidate *)a)->part, ((const candidate *)b)->part);
}

static void add_candidate(candidates *c, pang_str name, pang_id asset)
{
    pang_str key = pang_key_content(&c->view->keys, c->view->levels[0].branch, c->list->query.space,
                                    c->list->query.path, name);
    pang_str part = pang_str_after(key, pang_key_prefix_len(key));
    if (key.len > 0 && pang_str_compare(part, c->list->query.after) > 0)
        c->all[c->n++] = (candidate){part, name, asset};
}

/* A name may have been granted for more than one asset; each stays, once. */
static void sort_candidates(candidates *c)
{
    size_t kept = 0;
    if (c->n == 0)
        return;
    qsort(c->all, c->n, sizeof *c->all, compare_candidates);
    for (size_t i = 1; i < c->n; i++)
        if (compare_candidates(&c->all[i], &c->all[kept]) != 0 ||
            !pang_id_equal(c->all[i].asset, c->all[kept].asset))
            c->all[++kept] = c->all[i];
    c->n = kept + 1;
}

static pang_code child_namespaces(candidates *c, const pang_filter *filter, pang_err *err)
{
    const pang_str *names;
    size_t n;
    pang_arena *arena = c->view->arena;
    pang_code code = pang_filter_children(filter, c->view->catalog, c->list->query.path, arena,
                                          &names, &n, err);
    if (code != PANG_OK)
        return code;
    c->all = pang_arena_alloc_n(arena, n, sizeof *c->all);
    if (c->all == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++) {
        pang_str name;
        if (pang_key_unescape(names[i], arena, &name))
            add_candidate(c, name, (pang_id){{0}});
    }
    return pang_arena_failed(arena) ? pang_fail_memory(err) : PANG_OK;
}

/* ---- single assets ---- */

typedef struct {
    pang_arena *arena;
    pang_id *ids;
    size_t n, room;
} id_list;

static bool add_id(id_list *list, pang_id id)
{
    if (list->n == list->room) {
        size_t room = list->room == 0 ? 64 : list->room * 2;
        pang_id *ids = pang_arena_alloc_n(list->arena, room, sizeof *ids);
        if (ids == NULL)
            return false;
        for (size_t i = 0; i < list->n; i++)
            ids[i] = list->ids[i];
        list->ids = ids;
        list->room = room;
    }
    list->ids[list->n++] = id;
    return true;
}

/* The last component of tg/<tag>/<asset>. */
static bool add_tagged(void *arg, const pang_record *row)
{
    pang_id id;
    pang_str part = pang_str_after(row->key, pang_key_prefix_len(row->key));
    return !pang_id_parse(part, &id) || add_id(arg, id);
}

static pang_code collect_tagged(candidates *c, pang_str tag, id_list *ids, pang_err *err)
{
    size_t before = ids->n;
    pang_query query = {.prefix = pang_key_tagged_assets(&c->view->keys, tag),
                        .limit = TAGGED_MAX,
                        .keys_only = true};
    pang_code code = pang_keys_status(&c->view->keys, err);
    if (code == PANG_OK)
        code = pang_txn_scan(c->view->txn, &query, add_tagged, ids, err);
    if (code == PANG_OK && ids->n - before == TAGGED_MAX)
        code = pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL,
                         "too many assets carry a tag that is granted, at most %d can be listed",
                         TAGGED_MAX - 1);
    return code;
}

/* Where assets are in the state that is listed: a batch in one get. */
static pang_code locate(candidates *c, const pang_id *ids, size_t n, pang_err *err)
{
    pang_view *view = c->view;
    pang_asset_at *places = pang_arena_alloc_n(view->arena, n, sizeof *places);
    if (places == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_asset_find(view, ids, n, places, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        const pang_rec_asset *asset = places[i].body;
        if (asset != NULL && asset->space == (uint32_t)c->list->query.space &&
            pang_str_equal(pang_str_from(asset->path), c->list->query.path))
            add_candidate(c, pang_str_from(asset->name), ids[i]);
    }
    return code;
}

static pang_code single_assets(candidates *c, const pang_filter *filter, pang_err *err)
{
    pang_code code = PANG_OK;
    id_list ids = {.arena = c->view->arena};
    for (size_t i = 0; i < filter->n_assets; i++)
        if (!add_id(&ids, filter->assets[i].asset))
            return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < filter->n_tags; i++)
        code = collect_tagged(c, filter->tags[i], &ids, err);
    if (code != PANG_OK)
        return code;
    c->all = pang_arena_alloc_n(c->view->arena, ids.n, sizeof *c->all);
    if (c->all == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < ids.n; i += PANG_GET_MAX)
        code = locate(c, ids.ids + i, ids.n - i < PANG_GET_MAX ? ids.n - i : PANG_GET_MAX, err);
    return code;
}

/* ---- rows ---- */

/* Reads a batch at the list's state and shows what is there; *ret_shown counts on. False: that was
 * the page, and *ret_last is the last that was looked at. */
static pang_code show_batch(candidates *c, size_t from, size_t n, pang_content_row_fn *row,
                            void *arg, size_t *shown, size_t *ret_last, bool *ret_full,
                            pang_err *err)
{
    pang_content *contents = pang_arena_alloc_n(c->view->arena, n, sizeof *contents);
    if (contents == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        contents[i].name = (pang_name){c->list->query.space, c->list->query.path,
                                       c->all[from + i].name};
    pang_code code = pang_content_get(c->view, contents, n, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        pang_id asset = c->all[from + i].asset;
        if (!pang_content_exists(&contents[i]) ||
            (!pang_id_is_nil(asset) && !pang_id_equal(asset, pang_id_of(contents[i].body->asset))))
            continue;
        *ret_last = from + i;
        *ret_full = !row(arg, &contents[i]) || ++*shown == c->list->query.limit;
        if (*ret_full)
            return PANG_OK;
    }
    return code;
}

static pang_code list_some(pang_list *list, const pang_filter *filter, pang_content_row_fn *row,
                           void *arg, pang_str *ret_after, pang_err *err)
{
    candidates c = {.view = list->view, .list = list};
    size_t shown = 0, last = 0;
    bool full = false;
    pang_code code = list->query.space == PANG_SPACE_NAMESPACE ? child_namespaces(&c, filter, err)
                                                               : single_assets(&c, filter, err);
    sort_candidates(&c);
    for (size_t i = 0; code == PANG_OK && !full && i < c.n; i += PANG_NAMES_AT_ONCE_MAX) {
        size_t left = c.n - i;
        code = show_batch(&c, i, left < PANG_NAMES_AT_ONCE_MAX ? left : PANG_NAMES_AT_ONCE_MAX, row,
                          arg, &shown, &last, &full, err);
    }
    if (code == PANG_OK && full && last + 1 < c.n)
        *ret_after = c.all[last].part;
    return code;
}

pang_code pang_list_run(pang_call *call, pang_list *list, pang_content_row_fn *row, void *arg,
                        char **ret_token, pang_err *err)
{
    pang_str after = {0};
    pang_filter filter;
    pang_code code = pang_evaluate_filter(call, list->view->catalog, list->query.path, &filter,
                                          err);
    if (code == PANG_OK && filter.all)
        code = pang_content_list(list->view, &list->query, row, arg, &after, err);
    else if (code == PANG_OK)
        code = list_some(list, &filter, row, arg, &after, err);
    if (code != PANG_OK || after.len == 0)
        return code;
    pang_page next = {.sequence = list->sequence, .after = after};
    return pang_page_token(call, list->what, next, ret_token, err);
}
