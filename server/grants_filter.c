/*
 * Grants, turned around: not whether one object may be seen, but which may. The answer is as large
 * as the principal's grants, so that a list can read just those places instead of all there is.
 */
#include <stdlib.h>
#include <string.h>

#include "server/grants_internal.h"

/* ---- what the action may be done to ---- */

static bool is_inside(pang_id catalog, pang_str path, const pang_grant_object *container)
{
    if (container->kind == PANG_SCOPE_TENANT)
        return true;
    return pang_id_equal(catalog, container->catalog) &&
           (container->kind == PANG_SCOPE_CATALOG || pang_path_within(path, container->path));
}

/* Whether an outer place is kept already. Outer ones sort before, but not always beside. */
static bool is_covered(const pang_filter *filter, const pang_place *place)
{
    for (size_t end = 0; end < place->path.len; end++) {
        if (end > 0 && place->path.ptr[end] != '.')
            continue;
        pang_place outer = {place->catalog, {place->path.ptr, end}};
        size_t from = 0, to = filter->n_places;
        while (from < to) {
            size_t middle = from + (to - from) / 2;
            int order = pang_place_compare(&filter->places[middle], &outer);
            if (order == 0)
                return true;
            if (order < 0)
                from = middle + 1;
            else
                to = middle;
        }
    }
    return false;
}

static pang_code take_places(const pang_grants *g, uint32_t bit, const pang_grant_object *container,
                             pang_arena *arena, pang_filter *ret, pang_err *err)
{
    pang_place *places = pang_arena_alloc_n(arena, g->n_places, sizeof *places);
    if (places == NULL)
        return pang_fail_memory(err);
    ret->places = places;
    for (size_t i = 0; i < g->n_places; i++) {
        const pang_place *place = &g->places[i].place;
        if ((g->places[i].can & bit) != 0 && is_inside(place->catalog, place->path, container) &&
            !is_covered(ret, place))
            places[ret->n_places++] = *place;
    }
    return PANG_OK;
}

static pang_code take_assets(const pang_grants *g, uint32_t bit, const pang_grant_object *container,
                             pang_arena *arena, pang_filter *ret, pang_err *err)
{
    pang_placed_asset *assets = pang_arena_alloc_n(arena, g->n_assets, sizeof *assets);
    if (assets == NULL)
        return pang_fail_memory(err);
    ret->assets = assets;
    for (size_t i = 0; i < g->n_assets; i++) {
        const pang_placed_asset *at = &g->assets[i].at;
        /* Not by path: an asset that was moved keeps its grants. */
        if ((g->assets[i].can & bit) != 0 && (container->kind == PANG_SCOPE_TENANT ||
                                              pang_id_equal(at->catalog, container->catalog)))
            assets[ret->n_assets++] = *at;
    }
    return PANG_OK;
}

static pang_code take_tags(const pang_grants *g, uint32_t bit, pang_arena *arena, pang_filter *ret,
                           pang_err *err)
{
    pang_str *tags = pang_arena_alloc_n(arena, g->n_tags, sizeof *tags);
    if (tags == NULL)
        return pang_fail_memory(err);
    ret->tags = tags;
    for (size_t i = 0; i < g->n_tags; i++)
        if ((g->tags[i].can & bit) != 0)
            tags[ret->n_tags++] = g->tags[i].tag;
    return PANG_OK;
}

/* The rank alone decides, or the tenant, or a grant on the container itself. */
static bool takes_all(const pang_grants *g, pang_action action, const pang_grant_object *container)
{
    if (g->rank != PANG_RANK_MEMBER)
        return pang_grants_check(g, action, container) == PANG_ALLOWED;
    return pang_id_equal(container->tenant, g->tenant) &&
           (pang_grants_can(g, container) & PANG_CAN(action)) != 0;
}

pang_code pang_grants_filter(const pang_grants *g, pang_action action,
                             const pang_grant_object *container, pang_arena *arena,
                             pang_filter *ret, pang_err *err)
{
    *ret = (pang_filter){0};
    if (action < PANG_ACT_READ || action > PANG_ACT_MANAGE_DISCOVERY ||
        container->kind < PANG_SCOPE_TENANT || container->kind > PANG_SCOPE_NAMESPACE)
        return PANG_OK;
    ret->all = takes_all(g, action, container);
    if (ret->all || g->rank != PANG_RANK_MEMBER || !pang_id_equal(container->tenant, g->tenant))
        return PANG_OK;
    pang_code code = take_places(g, PANG_CAN(action), container, arena, ret, err);
    if (code == PANG_OK)
        code = take_assets(g, PANG_CAN(action), container, arena, ret, err);
    return code == PANG_OK ? take_tags(g, PANG_CAN(action), arena, ret, err) : code;
}

/* ---- what leads there ---- */

static int compare_names(const void *a, const void *b)
{
    return pang_str_compare(*(const pang_str *)a, *(const pang_str *)b);
}

static size_t sort_names(pang_str *names, size_t n)
{
    size_t kept = 0;
    if (n == 0)
        return 0;
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 1; i < n; i++)
        if (!pang_str_equal(names[i], names[kept]))
            names[++kept] = names[i];
    return kept + 1;
}

/* The level behind `parent` in a path below it; false when it is not strictly below. */
static bool next_level(pang_str path, pang_str parent, pang_str *ret)
{
    size_t from = parent.len == 0 ? 0 : parent.len + 1;
    if (path.len <= parent.len || !pang_str_starts(path, parent) ||
        (parent.len > 0 && path.ptr[parent.len] != '.'))
        return false;
    pang_str rest = pang_str_after(path, from);
    *ret = pang_str_slice(rest, 0, pang_str_find(rest, '.'));
    return true;
}

pang_code pang_filter_children(const pang_filter *filter, pang_id catalog, pang_str path,
                               pang_arena *arena, const pang_str **ret, size_t *ret_n,
                               pang_err *err)
{
    size_t n = 0;
    pang_str *names = pang_arena_alloc_n(arena, filter->n_places + filter->n_assets, sizeof *names);
    if (names == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < filter->n_places; i++)
        if (pang_id_equal(filter->places[i].catalog, catalog) &&
            next_level(filter->places[i].path, path, &names[n]))
            n++;
    for (size_t i = 0; i < filter->n_assets; i++)
        if (pang_id_equal(filter->assets[i].catalog, catalog) &&
            next_level(filter->assets[i].path, path, &names[n]))
            n++;
    *ret = names;
    *ret_n = sort_names(names, n);
    return PANG_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return pang_id_compare(*(const pang_id *)a, *(const pang_id *)b);
}

pang_code pang_filter_catalogs(const pang_filter *filter, pang_arena *arena, const pang_id **ret,
                               size_t *ret_n, pang_err *err)
{
    size_t n = filter->n_places + filter->n_assets, kept = 0;
    pang_id *ids = pang_arena_alloc_n(arena, n, sizeof *ids);
    if (ids == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < filter->n_places; i++)
        ids[i] = filter->places[i].catalog;
    for (size_t i = 0; i < filter->n_assets; i++)
        ids[filter->n_places + i] = filter->assets[i].catalog;
    if (n > 0)
        qsort(ids, n, sizeof *ids, compare_ids);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || !pang_id_equal(ids[i], ids[kept - 1]))
            ids[kept++] = ids[i];
    *ret = ids;
    *ret_n = kept;
    return PANG_OK;
}
