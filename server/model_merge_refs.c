/*
 * Model, merging: the table's own refs, by name, and its encryption keys. The ref main is merged as
 * data; only how long its snapshots are kept is looked at here.
 */
#include <inttypes.h>

#include "server/model_merging.h"

static const char *const numbers[] = {"min-snapshots-to-keep", "max-snapshot-age-ms",
                                      "max-ref-age-ms"};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

static pang_json *ref_of(const pang_merging_side *side, pang_str name)
{
    return pang_json_get_str(pang_json_get(side->doc, "refs"), name);
}

static void conflict(pang_merging *m, pang_str name, const char *why)
{
    pang_merging_conflict(
        m, PANG_CONFLICT_METADATA,
        pang_merging_about_property(
            m, pang_arena_printf(m->arena, "refs.%" PANG_STR_FMT, PANG_STR_ARG(name)),
            ref_of(&m->target_half, name), ref_of(&m->source, name), ref_of(&m->target, name)),
        "the table's ref \"%" PANG_STR_FMT "\" %s (property refs.%" PANG_STR_FMT ")",
        PANG_STR_ARG(name), why, PANG_STR_ARG(name));
}

static void set_ref(pang_merging *m, pang_str name, const pang_json *ref, const pang_json *snapshot)
{
    pang_json *update = pang_merging_update(m, "set-snapshot-ref");
    pang_merging_put(m, update, "ref-name", pang_json_str(name, m->arena));
    pang_merging_put(m, update, "type", pang_json_get(ref, "type"));
    pang_merging_put(m, update, "snapshot-id", (pang_json *)(uintptr_t)snapshot);
    for (size_t i = 0; i < NUMBERS; i++) {
        if (pang_model_has(ref, numbers[i]))
            pang_merging_put(m, update, numbers[i], pang_json_get(ref, numbers[i]));
    }
}

static void merge_ref(pang_merging *m, pang_str name)
{
    pang_json *s = ref_of(&m->source, name), *t = ref_of(&m->target, name);
    pang_merging_choice choice = pang_merging_choose(s, ref_of(&m->source_half, name), t,
                                                     ref_of(&m->target_half, name));
    int64_t id = pang_model_int(s, "snapshot-id", -1);
    if (choice == PANG_MERGING_TARGET)
        return;
    if (choice == PANG_MERGING_BOTH) {
        conflict(m, name, "was changed by the source and, differently, by the target");
    } else if (s == NULL) {
        pang_merging_put(m, pang_merging_update(m, "remove-snapshot-ref"), "ref-name",
                         pang_json_str(name, m->arena));
    } else if (pang_model_find(pang_json_get(m->target.doc, "snapshots"), "snapshot-id", id) ==
               NULL) {
        conflict(m, name, "names a snapshot in the source that the target does not have");
    } else {
        set_ref(m, name, s, pang_json_get(s, "snapshot-id"));
    }
}

/* A copy of main with the numbers chosen three-way; NULL when they are the target's. */
static pang_json *merge_main(pang_merging *m)
{
    const pang_str name = PANG_STR("main");
    pang_json *s = ref_of(&m->source, name), *sh = ref_of(&m->source_half, name);
    pang_json *t = ref_of(&m->target, name), *th = ref_of(&m->target_half, name);
    pang_json *merged = NULL;
    for (size_t i = 0; s != NULL && t != NULL && i < NUMBERS; i++) {
        pang_json *value = pang_json_get(s, numbers[i]);
        pang_merging_choice choice = pang_merging_choose(value, pang_json_get(sh, numbers[i]),
                                                         pang_json_get(t, numbers[i]),
                                                         pang_json_get(th, numbers[i]));
        if (choice == PANG_MERGING_BOTH)
            conflict(m, name, "keeps its snapshots differently long in the source and the target");
        if (choice != PANG_MERGING_SOURCE)
            continue;
        if (merged == NULL)
            merged = pang_model_copy(t, m->arena);
        pang_json_remove(merged, numbers[i]);
        if (!pang_json_is_null(value))
            pang_merging_put(m, merged, numbers[i], value);
    }
    return merged;
}

void pang_merging_refs(pang_merging *m)
{
    const pang_json *now = pang_json_get(m->source.doc, "refs");
    const pang_json *both[] = {now, pang_json_get(m->source_half.doc, "refs")};
    for (size_t i = 0; i < 2; i++) {
        pang_json_members it = {.object = both[i]};
        pang_str name;
        pang_json *value;
        while (pang_json_next(&it, &name, &value)) {
            bool seen = i == 1 && pang_json_get_str(now, name) != NULL;
            if (!seen && !pang_str_equal(name, PANG_STR("main")))
                merge_ref(m, name);
        }
    }
    const pang_json *main_ref = merge_main(m);
    if (main_ref != NULL)
        set_ref(m, PANG_STR("main"), main_ref, pang_json_get(main_ref, "snapshot-id"));
}

/* ---- keys ---- */

static const pang_json *key_of(const pang_merging_side *side, pang_str id)
{
    const pang_json *keys = pang_json_get(side->doc, "encryption-keys");
    for (size_t i = 0; i < pang_json_size(keys); i++) {
        if (pang_str_equal(pang_model_text(pang_json_at(keys, i), "key-id"), id))
            return pang_json_at(keys, i);
    }
    return NULL;
}

void pang_merging_keys(pang_merging *m)
{
    const pang_json *keys = pang_json_get(m->source.doc, "encryption-keys");
    const pang_json *half = pang_json_get(m->source_half.doc, "encryption-keys");
    if (pang_json_equal(keys, half))
        return;
    for (size_t i = 0; i < pang_json_size(keys); i++) {
        pang_json *key = pang_json_at(keys, i);
        pang_str id = pang_model_text(key, "key-id");
        const pang_json *other = key_of(&m->target, id);
        if (other == NULL)
            pang_merging_put(m, pang_merging_update(m, "add-encryption-key"), "encryption-key",
                             key);
        else if (!pang_json_equal(other, key))
            pang_merging_conflict(
                m, PANG_CONFLICT_METADATA,
                pang_merging_about_property(m, PANG_STR("encryption-keys"), NULL, key, other),
                "encryption key \"%" PANG_STR_FMT "\" is another one in the "
                "source than in the target (property encryption-keys)",
                PANG_STR_ARG(id));
    }
}
