/*
 * Changed assets and namespaces: one pass over the log, newest commit first, into a hash set of
 * what was named. A branch that changed one table a hundred thousand times gives one table.
 */
#include "server/merge_changes.h"

#include <string.h>

void pang_merge_changes_begin(pang_merge_changes *changes, pang_arena *arena)
{
    *changes = (pang_merge_changes){
        .arena = arena, .assets_at.arena = arena, .spaces_at.arena = arena, .seen.arena = arena};
}

/* ---- the set ---- */

/* Lists move when they grow, so an index holds places in its list, from 1 on. */
static void *place(size_t n)
{
    return (void *)(uintptr_t)n;
}

static bool has_asset(const pang_merge_changes *c, uint64_t hash, pang_id asset)
{
    size_t at;
    pang_index_walk it = pang_index_of(&c->assets_at, hash);
    while ((at = (size_t)(uintptr_t)pang_index_next(&it)) != 0)
        if (pang_id_equal(c->assets[at - 1], asset))
            return true;
    return false;
}

static bool has_space(const pang_merge_changes *c, uint64_t hash, pang_name name)
{
    size_t at;
    pang_index_walk it = pang_index_of(&c->spaces_at, hash);
    while ((at = (size_t)(uintptr_t)pang_index_next(&it)) != 0)
        if (pang_name_equal(c->spaces[at - 1], name))
            return true;
    return false;
}

/* One more element's room in a list of `size` bytes each. */
static bool make_room(pang_merge_changes *c, void *list, size_t n, size_t *room, size_t size)
{
    void **from = list;
    if (n < *room)
        return true;
    size_t more = *room == 0 ? 16 : *room * 2;
    void *to = pang_arena_alloc_n(c->arena, more, size);
    if (to == NULL)
        return false;
    if (n > 0)
        memcpy(to, *from, n * size);
    *from = to;
    *room = more;
    return true;
}

static pang_code check_count(const pang_merge_changes *c, pang_err *err)
{
    if (c->n_assets + c->n_spaces < PANG_CHANGES_MAX)
        return PANG_OK;
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "the source changed more than %d tables and namespaces, which one commit does "
                     "not hold: merge it in parts, an earlier commit of it first",
                     PANG_CHANGES_MAX);
}

pang_code pang_merge_changes_add_asset(pang_merge_changes *c, pang_id asset, pang_err *err)
{
    pang_merge_thing thing = {.asset = asset};
    uint64_t hash = pang_merge_hash_thing(&thing);
    if (has_asset(c, hash, asset))
        return PANG_OK;
    pang_code code = check_count(c, err);
    if (code != PANG_OK)
        return code;
    if (!make_room(c, &c->assets, c->n_assets, &c->room_assets, sizeof *c->assets))
        return pang_fail_memory(err);
    c->assets[c->n_assets++] = asset;
    return pang_index_add(&c->assets_at, hash, place(c->n_assets)) ? PANG_OK
                                                                   : pang_fail_memory(err);
}

pang_code pang_merge_changes_add_space(pang_merge_changes *c, pang_str path, pang_str name,
                                       pang_err *err)
{
    pang_name own = {PANG_SPACE_NAMESPACE, path, name};
    uint64_t hash = pang_name_hash(own);
    if (has_space(c, hash, own))
        return PANG_OK;
    pang_code code = check_count(c, err);
    if (code != PANG_OK)
        return code;
    if (!make_room(c, &c->spaces, c->n_spaces, &c->room_spaces, sizeof *c->spaces) ||
        !pang_arena_copy(c->arena, path, &own.path) || !pang_arena_copy(c->arena, name, &own.name))
        return pang_fail_memory(err);
    c->spaces[c->n_spaces++] = own;
    return pang_index_add(&c->spaces_at, hash, place(c->n_spaces)) ? PANG_OK
                                                                   : pang_fail_memory(err);
}

/* ---- the log ---- */

static pang_code add_change(pang_merge_changes *c, const pang_rec_change *change, pang_err *err)
{
    pang_code code = PANG_OK;
    if (change->space == PANG_SPACE_NAMESPACE)
        return pang_merge_changes_add_space(c, pang_str_from(change->path),
                                            pang_str_from(change->name), err);
    if (change->old_asset.len > 0)
        code = pang_merge_changes_add_asset(c, pang_id_of(change->old_asset), err);
    if (code == PANG_OK && change->new_asset.len > 0)
        code = pang_merge_changes_add_asset(c, pang_id_of(change->new_asset), err);
    return code;
}

static pang_code add_seen(pang_merge_changes *c, const pang_rec_change *change, pang_err *err)
{
    pang_str path, name;
    pang_code code = add_change(c, change, err);
    if (code != PANG_OK || change->from == NULL)
        return code;
    pang_merge_seen *seen = pang_arena_alloc(c->arena, sizeof *seen);
    if (seen == NULL || !pang_arena_copy(c->arena, pang_str_from(change->path), &path) ||
        !pang_arena_copy(c->arena, pang_str_from(change->name), &name))
        return pang_fail_memory(err);
    if (change->space == PANG_SPACE_NAMESPACE)
        seen->thing.name = (pang_name){PANG_SPACE_NAMESPACE, path, name};
    else
        seen->thing.asset = pang_id_of(change->old_asset);
    seen->from = (pang_point){pang_id_of(change->from->branch), change->from->sequence};
    return pang_index_add(&c->seen, pang_merge_hash_thing(&seen->thing), seen)
               ? PANG_OK
               : pang_fail_memory(err);
}

pang_code pang_merge_changes_add_commit(pang_merge_changes *c, const pang_rec_commit *commit,
                                        pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < commit->n_changes; i++)
        code = add_change(c, commit->changes[i], err);
    for (size_t i = 0; code == PANG_OK && i < commit->n_seen; i++)
        code = add_seen(c, commit->seen[i], err);
    c->commits++;
    return code;
}

typedef struct {
    pang_merge_changes *changes;
    pang_code code;
    pang_err *err;
} walk;

static bool take_commit(void *arg, const pang_commit_row *row)
{
    walk *w = arg;
    w->code = pang_merge_changes_add_commit(w->changes, row->body, w->err);
    return w->code == PANG_OK;
}

static pang_code add_excepted(pang_merge_changes *c,
                              const Pangolin__Store__V1__MergeMark__Exception *e, pang_err *err)
{
    pang_merge_thing thing = pang_merge_excepted(e);
    return pang_id_is_nil(thing.asset)
               ? pang_merge_changes_add_space(c, thing.name.path, thing.name.name, err)
               : pang_merge_changes_add_asset(c, thing.asset, err);
}

pang_code pang_merge_changes_since(pang_merge_changes *c, pang_view *source,
                                   const pang_merge_base *base, pang_err *err)
{
    walk w = {.changes = c, .err = err};
    pang_common since = {.met = true, .at = base->since};
    pang_code code = pang_common_walk(source, &since, 0, take_commit, &w, err);
    if (code == PANG_OK)
        code = w.code;
    const pang_rec_merge_mark *mark = base->since_mark == NULL ? NULL : base->since_mark->body;
    for (size_t i = 0; code == PANG_OK && mark != NULL && i < mark->n_exceptions; i++)
        if (mark->exceptions[i]->left_out &&
            mark->exceptions[i]->from_sequence < mark->from_sequence)
            code = add_excepted(c, mark->exceptions[i], err);
    return code;
}

const pang_merge_seen *pang_merge_changes_unknown(const pang_merge_changes *c,
                                                  const pang_merge_base *base,
                                                  const pang_merge_thing *thing)
{
    pang_index_walk it = pang_index_of(&c->seen, pang_merge_hash_thing(thing));
    const pang_merge_seen *seen;
    while ((seen = pang_index_next(&it)) != NULL)
        if (pang_merge_same_thing(&seen->thing, thing) &&
            pang_merge_contained(&base->target, base->of_target, base->n_of_target,
                                 seen->from.branch, thing)
                    .sequence < seen->from.sequence)
            return seen;
    return NULL;
}
