/*
 * Model: the lists of a document whose entries go by a snapshot's id. Clients expire tens of
 * thousands of snapshots in one commit, one update each, so an update only changes a map; the list
 * itself is put right once, at the end.
 */
#include "server/model_build.h"

static void learn(pang_model_build *b, pang_model_keyed *k)
{
    const pang_json *list = pang_json_get(b->doc, k->part);
    for (size_t i = 0; i < pang_json_size(list); i++) {
        const pang_json *entry = pang_json_at(list, i);
        int64_t id;
        if (pang_model_has_int(entry, "snapshot-id", &id) &&
            !pang_model_ids_put(&k->by_id, id, entry))
            b->failed = true;
    }
    k->known = true;
}

const pang_json *pang_model_keyed_get(pang_model_build *b, pang_model_keyed *k, int64_t id)
{
    if (!k->known)
        learn(b, k);
    return pang_model_ids_get(&k->by_id, id);
}

void pang_model_keyed_put(pang_model_build *b, pang_model_keyed *k, int64_t id, pang_json *entry)
{
    if (pang_model_keyed_get(b, k, id) != NULL)
        k->holes = true;
    else
        pang_model_add(b, pang_model_own(b, k->part), entry);
    if (entry == NULL || !pang_model_ids_put(&k->by_id, id, entry))
        b->failed = true;
    b->changed = true;
}

bool pang_model_keyed_remove(pang_model_build *b, pang_model_keyed *k, int64_t id)
{
    if (pang_model_keyed_get(b, k, id) == NULL)
        return false;
    pang_model_ids_remove(&k->by_id, id);
    k->holes = b->changed = true;
    return true;
}

/* Each id's entry stands where the first one of that id stood. */
void pang_model_keyed_end(pang_model_build *b, pang_model_keyed *k)
{
    const pang_json *old = pang_json_get(b->doc, k->part);
    pang_json *list = pang_json_array(b->arena);
    pang_model_ids seen = {.arena = b->arena};
    if (!k->holes)
        return;
    for (size_t i = 0; i < pang_json_size(old); i++) {
        int64_t id = pang_model_int(pang_json_at(old, i), "snapshot-id", -1);
        const pang_json *entry = pang_model_ids_get(&k->by_id, id);
        if (entry == NULL || pang_model_ids_get(&seen, id) != NULL)
            continue;
        pang_model_add(b, list, (pang_json *)(uintptr_t)entry);
        if (!pang_model_ids_put(&seen, id, entry))
            b->failed = true;
    }
    (void)pang_model_own(b, k->part);
    pang_model_put(b, b->doc, k->part, list);
    k->holes = false;
}
