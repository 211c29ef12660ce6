/*
 * Model, merging: properties, key by key, and the location. The name mapping is one property whose
 * value is merged as what it is.
 */
#include "server/model_merging.h"

#define MAPPING PANG_STR("schema.name-mapping.default")

static const pang_json *property(const pang_merging_side *side, pang_str name)
{
    return pang_json_get_str(pang_json_get(side->doc, "properties"), name);
}

typedef struct {
    pang_json *updates; /* an object, once there is one */
    pang_json *removals;
} wanted;

static void set(pang_merging *m, wanted *w, pang_str name, const pang_json *value)
{
    if (pang_json_is_null(value)) {
        if (w->removals == NULL)
            w->removals = pang_json_array(m->arena);
        pang_merging_add(m, w->removals, pang_json_str(name, m->arena));
        return;
    }
    if (w->updates == NULL)
        w->updates = pang_json_object(m->arena);
    if (!pang_json_set_str(w->updates, name, (pang_json *)(uintptr_t)value))
        m->failed = true;
}

static void merge_one(pang_merging *m, wanted *w, pang_str name)
{
    const pang_json *s = property(&m->source, name), *sh = property(&m->source_half, name);
    const pang_json *t = property(&m->target, name), *th = property(&m->target_half, name);
    pang_merging_choice choice = pang_merging_choose(s, sh, t, th);
    bool is_mapping = !m->of_view && pang_str_equal(name, MAPPING);
    pang_json *merged = NULL;
    if (choice == PANG_MERGING_TARGET)
        return;
    /* Ids of columns may differ, so that even one side's change is read. */
    if (is_mapping && !pang_json_is_null(s) && !pang_json_is_null(t)) {
        const pang_json *const texts[4] = {s, sh, t, th};
        pang_merging_mapping(m, texts, &merged);
    } else if (is_mapping && !pang_json_is_null(s) && choice == PANG_MERGING_SOURCE) {
        const pang_json *const texts[4] = {s, NULL, NULL, NULL};
        pang_merging_mapping(m, texts, &merged);
    }
    if (merged != NULL)
        set(m, w, name, merged);
    else if (choice == PANG_MERGING_SOURCE)
        set(m, w, name, s);
    else
        pang_merging_conflict(
            m, PANG_CONFLICT_METADATA, pang_merging_about_property(m, name, th, s, t),
            "property \"%" PANG_STR_FMT "\" was %" PANG_STR_FMT ", is %" PANG_STR_FMT
            " in the source and %" PANG_STR_FMT " in the target",
            PANG_STR_ARG(name), PANG_STR_ARG(pang_merging_shown(m, th)),
            PANG_STR_ARG(pang_merging_shown(m, s)), PANG_STR_ARG(pang_merging_shown(m, t)));
}

void pang_merging_location(pang_merging *m)
{
    const pang_json *s = pang_json_get(m->source.doc, "location");
    const pang_json *sh = pang_json_get(m->source_half.doc, "location");
    const pang_json *t = pang_json_get(m->target.doc, "location");
    const pang_json *th = pang_json_get(m->target_half.doc, "location");
    pang_merging_choice choice = pang_merging_choose(s, sh, t, th);
    if (choice == PANG_MERGING_SOURCE)
        pang_merging_put(m, pang_merging_update(m, "set-location"), "location",
                         (pang_json *)(uintptr_t)s);
    else if (choice == PANG_MERGING_BOTH)
        pang_merging_conflict(m, PANG_CONFLICT_METADATA,
                              pang_merging_about_property(m, PANG_STR("location"), th, s, t),
                              "the table was moved to %" PANG_STR_FMT " in the source and to "
                              "%" PANG_STR_FMT " in the target (property location)",
                              PANG_STR_ARG(pang_merging_shown(m, s)),
                              PANG_STR_ARG(pang_merging_shown(m, t)));
}

void pang_merging_properties(pang_merging *m)
{
    const pang_json *now = pang_json_get(m->source.doc, "properties");
    const pang_json *half = pang_json_get(m->source_half.doc, "properties");
    const pang_json *both[] = {now, half};
    wanted w = {NULL, NULL};
    for (size_t i = 0; i < 2; i++) {
        pang_json_members it = {.object = both[i]};
        pang_str name;
        pang_json *value;
        while (pang_json_next(&it, &name, &value)) {
            if (i == 0 || pang_json_get_str(now, name) == NULL)
                merge_one(m, &w, name);
        }
    }
    if (w.updates != NULL)
        pang_merging_put(m, pang_merging_update(m, "set-properties"), "updates", w.updates);
    if (w.removals != NULL)
        pang_merging_put(m, pang_merging_update(m, "remove-properties"), "removals", w.removals);
}
