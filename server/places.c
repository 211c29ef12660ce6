/*
 * Places of assets: their ids say under which names they are, the names what they are.
 */
#include "server/places.h"

pang_code pang_places_names(pang_view *view, pang_content *contents, size_t n, pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n; i += PANG_NAMES_AT_ONCE_MAX) {
        size_t left = n - i;
        code = pang_content_get(view, contents + i,
                                left < PANG_NAMES_AT_ONCE_MAX ? left : PANG_NAMES_AT_ONCE_MAX, err);
    }
    return code;
}

static pang_code find_all(pang_view *view, const pang_id *assets, size_t n, pang_asset_at *ret,
                          pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n; i += PANG_NAMES_AT_ONCE_MAX) {
        size_t left = n - i;
        code = pang_asset_find(view, assets + i,
                               left < PANG_NAMES_AT_ONCE_MAX ? left : PANG_NAMES_AT_ONCE_MAX,
                               ret + i, err);
    }
    return code;
}

/* At most one asset's name is read for each, the others are nowhere. */
static size_t list_names(const pang_asset_at *places, size_t n, pang_content *named, size_t *whose)
{
    size_t n_named = 0;
    for (size_t i = 0; i < n; i++) {
        const pang_rec_asset *at = places[i].body;
        if (at == NULL)
            continue;
        whose[n_named] = i;
        named[n_named++].name = (pang_name){(pang_space)at->space, pang_str_from(at->path),
                                            pang_str_from(at->name)};
    }
    return n_named;
}

pang_code pang_places_get(pang_view *view, const pang_id *assets, size_t n, pang_content *ret,
                          pang_err *err)
{
    pang_asset_at *places = pang_arena_alloc_n(view->arena, n, sizeof *places);
    pang_content *named = pang_arena_alloc_n(view->arena, n, sizeof *named);
    size_t *whose = pang_arena_alloc_n(view->arena, n, sizeof *whose);
    if (places == NULL || named == NULL || whose == NULL)
        return pang_fail_memory(err);
    pang_code code = find_all(view, assets, n, places, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < n; i++)
        ret[i] = (pang_content){0};
    size_t n_named = list_names(places, n, named, whose);
    code = pang_places_names(view, named, n_named, err);
    for (size_t i = 0; code == PANG_OK && i < n_named; i++) {
        if (named[i].body != NULL &&
            !pang_id_equal(pang_id_of(named[i].body->asset), assets[whose[i]]))
            named[i] = (pang_content){.name = named[i].name};
        if (named[i].body == NULL) {
            const pang_asset_at *at = &places[whose[i]];
            named[i].sequence = at->body->origin != 0 ? at->body->origin : at->sequence;
        }
        ret[whose[i]] = named[i];
    }
    return code;
}
