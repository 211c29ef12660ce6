/*
 * Changed assets and namespaces: one pass over the log, newest commit first, into a hash set of
 * what was named. A branch that changed one table a hundred thousand times gives one table.
 */
#include "server/merge_changes.h"

#include <string.h>

enum { SLOTS_MIN = 64 };

/* One of either list; index + 1, 0: free. */
struct pang_merge_slot {
    size_t asset, space;
};

void pang_merge_changes_begin(pang_merge_changes *changes, pang_arena *arena)
{
    *changes = (pang_merge_changes){.arena = arena};
}

/* ---- the set ---- */

static uint64_t hash_asset(pang_id asset)
{
    return pang_str_hash((pang_str){(const char *)asset.bytes, sizeof asset.bytes});
}

static uint64_t hash_space(pang_str path, pang_str name)
{
    return pang_str_hash(path) * 31 + pang_str_hash(name);
}

static uint64_t hash_of(const pang_merge_changes *c, const struct pang_merge_slot *slot)
{
    if (slot->asset != 0)
        return hash_asset(c->assets[slot->asset - 1]);
    const pang_name *name = &c->spaces[slot->space - 1];
    return hash_space(name->path, name->name);
}

static struct pang_merge_slot *free_slot(const pang_merge_changes *c, uint64_t hash)
{
    size_t at = hash & (c->n_slots - 1);
    while (c->slots[at].asset != 0 || c->slots[at].space != 0)
        at = (at + 1) & (c->n_slots - 1);
    return &c->slots[at];
}

static bool grow(pang_merge_changes *c)
{
    if ((c->n_assets + c->n_spaces + 1) * 2 <= c->n_slots)
        return true;
    pang_merge_changes old = *c;
    c->n_slots = old.n_slots == 0 ? SLOTS_MIN : old.n_slots * 2;
    c->slots = pang_arena_alloc_n(c->arena, c->n_slots, sizeof *c->slots);
    if (c->slots == NULL)
        return false;
    for (size_t i = 0; i < old.n_slots; i++)
        if (old.slots[i].asset != 0 || old.slots[i].space != 0)
            *free_slot(c, hash_of(c, &old.slots[i])) = old.slots[i];
    return true;
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
    uint64_t hash = hash_asset(asset);
    if (!grow(c))
        return pang_fail_memory(err);
    size_t at = hash & (c->n_slots - 1);
    for (; c->slots[at].asset != 0 || c->slots[at].space != 0; at = (at + 1) & (c->n_slots - 1))
        if (c->slots[at].asset != 0 && pang_id_equal(c->assets[c->slots[at].asset - 1], asset))
            return PANG_OK;
    pang_code code = check_count(c, err);
    if (code != PANG_OK)
        return code;
    if (!make_room(c, &c->assets, c->n_assets, &c->room_assets, sizeof *c->assets))
        return pang_fail_memory(err);
    c->assets[c->n_assets++] = asset;
    c->slots[at].asset = c->n_assets;
    return PANG_OK;
}

pang_code pang_merge_changes_add_space(pang_merge_changes *c, pang_str path, pang_str name,
                                       pang_err *err)
{
    uint64_t hash = hash_space(path, name);
    pang_name own = {.space = PANG_SPACE_NAMESPACE};
    if (!grow(c))
        return pang_fail_memory(err);
    size_t at = hash & (c->n_slots - 1);
    for (; c->slots[at].asset != 0 || c->slots[at].space != 0; at = (at + 1) & (c->n_slots - 1)) {
        const pang_name *has = c->slots[at].space != 0 ? &c->spaces[c->slots[at].space - 1] : NULL;
        if (has != NULL && pang_str_equal(has->path, path) && pang_str_equal(has->name, name))
            return PANG_OK;
    }
    pang_code code = check_count(c, err);
    if (code != PANG_OK)
        return code;
    if (!make_room(c, &c->spaces, c->n_spaces, &c->room_spaces, sizeof *c->spaces) ||
        !pang_arena_copy(c->arena, path, &own.path) || !pang_arena_copy(c->arena, name, &own.name))
        return pang_fail_memory(err);
    c->spaces[c->n_spaces++] = own;
    c->slots[at].space = c->n_spaces;
    return PANG_OK;
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

pang_code pang_merge_changes_add_commit(pang_merge_changes *c, const pang_rec_commit *commit,
                                        pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < commit->n_changes; i++)
        code = add_change(c, commit->changes[i], err);
    for (size_t i = 0; code == PANG_OK && i < commit->n_seen; i++)
        code = add_change(c, commit->seen[i], err);
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
