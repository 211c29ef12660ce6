/*
 * Undrop: judged in the order of what is cheap: the time, the places, the metadata file, then every
 * manifest list that the document names.
 */
#include "server/undrop.h"

#include <string.h>

#include "server/locations.h"
#include "server/refs.h"
#include "server/state_internal.h"

static pang_str *places_of(const pang_rec_content *body, pang_arena *arena)
{
    pang_str *places = pang_arena_alloc_n(arena, body->n_reserved + 1, sizeof *places);
    for (size_t i = 0; places != NULL && i < body->n_reserved; i++)
        places[i] = pang_str_from(body->reserved[i]);
    return places;
}

/* Looks whether a file is there; *ret stays empty when it is. */
static void look(pang_state *state, pang_str location, pang_arena *arena, pang_str *ret)
{
    pang_location at;
    pang_err err;
    int64_t bytes;
    pang_code code = pang_location_parse(location, "file", arena, &at, &err);
    pang_objects *store = code == PANG_OK ? pang_objects_find(state->config.objects, at.scheme)
                                          : NULL;
    if (code == PANG_OK && store == NULL)
        *ret = PANG_STR("no object store of this server has its files");
    else if (code == PANG_OK)
        code = store->ops->stat(store, &at, &bytes, &err);
    if (code == PANG_NOT_FOUND)
        *ret = pang_arena_printf(arena, "file is gone: %" PANG_STR_FMT, PANG_STR_ARG(location));
    else if (code != PANG_OK)
        *ret = pang_arena_printf(arena, "%s", err.message);
}

typedef struct {
    pang_state *state;
    pang_arena *arena;
    const pang_rec_content *body;
    pang_str *reason;
    const pang_json *known; /* snapshots that are surely there, mostly in the same order */
    size_t at;
} looking;

static bool is_known(looking *l, pang_str location)
{
    size_t n = pang_json_size(l->known);
    for (size_t i = 0; i < n; i++) {
        pang_str list;
        const pang_json *snapshot = pang_json_at(l->known, (l->at + i) % n);
        if (pang_json_to_str(pang_json_get(snapshot, "manifest-list"), &list) &&
            pang_str_equal(list, location)) {
            l->at = (l->at + i + 1) % n;
            return true;
        }
    }
    return false;
}

/* Documents may name any file, and whether others' are there is not for this table to know. */
static bool is_own(const looking *l, pang_str location)
{
    pang_location at;
    pang_err ignored;
    if (pang_location_parse(location, "file", l->arena, &at, &ignored) != PANG_OK)
        return false;
    for (size_t i = 0; i < l->body->n_reserved; i++) {
        pang_str place = pang_str_from(l->body->reserved[i]);
        if (pang_str_starts(at.canonical, place) && at.canonical.len > place.len &&
            at.canonical.ptr[place.len] == '/')
            return true;
    }
    return false;
}

static pang_code look_at_list(void *arg, pang_model_place kind, const char *what, pang_str location,
                              pang_err *err)
{
    looking *l = arg;
    pang_str name = pang_str_from(what);
    (void)kind;
    (void)err;
    if (l->reason->len == 0 && pang_str_starts(name, PANG_STR("snapshots[")) &&
        is_own(l, location) && !is_known(l, location))
        look(l->state, location, l->arena, l->reason);
    return PANG_OK;
}

pang_code pang_undrop_files(pang_view *view, pang_state *state, const pang_rec_content *body,
                            const pang_json *now, pang_str *ret, pang_err *err)
{
    pang_str text;
    pang_json *tree;
    looking l = {.state = state, .arena = view->arena, .body = body, .reason = ret};
    *ret = (pang_str){0};
    if (now != NULL)
        l.known = pang_json_get(now, "snapshots");
    else
        look(state, pang_str_from(body->metadata_location), view->arena, ret);
    if (ret->len > 0)
        return PANG_OK;
    pang_code code = pang_metadata_load(view, state, body, PANG_WHOLE, &text, err);
    if (code == PANG_DATA_LOSS) {
        *ret = PANG_STR("its metadata is not kept any more");
        return PANG_OK;
    }
    if (code == PANG_OK)
        code = pang_json_parse(text, view->arena, &tree, err);
    if (code == PANG_OK)
        code = pang_model_places(tree, PANG_MODEL_PLACE_FILE, look_at_list, &l, err);
    return code;
}

pang_code pang_undrop_places(pang_view *view, const pang_rec_content *body, bool *ret,
                             pang_err *err)
{
    pang_str *places = places_of(body, view->arena);
    if (places == NULL)
        return pang_fail_memory(err);
    return pang_locations_are(view->txn, view->arena, pang_id_of(body->asset), places,
                              body->n_reserved, ret, err);
}

pang_code pang_undrop_judge(pang_view *view, pang_state *state, const pang_content *at,
                            pang_undrop *ret, pang_err *err)
{
    pang_rec_catalog *settings;
    bool ours = true;
    *ret = (pang_undrop){0};
    pang_code code = pang_view_settings(view, &settings, err);
    if (code != PANG_OK)
        return code;
    ret->until_ms = at->time_ms + pang_undrop_life(settings, at->body->purged);
    if (pang_env_wall_ms(state->config.env) >= ret->until_ms) {
        ret->reason = PANG_STR("the time in which it could come back is over");
        return PANG_OK;
    }
    code = pang_undrop_places(view, at->body, &ours, err);
    if (code == PANG_OK && !ours)
        ret->reason = PANG_STR("its place belongs to another table by now");
    if (code != PANG_OK || ret->reason.len > 0)
        return code;
    return pang_undrop_files(view, state, at->body, NULL, &ret->reason, err);
}

pang_code pang_undrop_put(pang_view *view, pang_state *state, const pang_principal *who,
                          const pang_content *at, const pang_content *gone, pang_str shown,
                          pang_err *err)
{
    pang_edit *edit;
    pang_rec_content body = *gone->body;
    pang_str *places = places_of(gone->body, view->arena);
    bool through = view->n_levels > 1 && gone->sequence <= view->levels[1].at;
    body.dropped = body.purged = false;
    body.written_at = 0;
    body.written_ms = 0;
    body.shared = body.shared || through;
    if (places == NULL)
        return pang_fail_memory(err);
    pang_code code = pang_edit_begin(view, state->config.env, who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_adopt(edit, at, &body, err);
    if (code == PANG_OK)
        code = pang_locations_keep(view->txn, view->arena, pang_id_of(body.asset), places,
                                   body.n_reserved, err);
    if (code == PANG_OK)
        code = pang_edit_end(
            edit,
            pang_arena_printf(view->arena, "undrop table %" PANG_STR_FMT, PANG_STR_ARG(shown)),
            err);
    return code;
}
