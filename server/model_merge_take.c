/*
 * Model, merging: taking the source's content whole. The document is the source's, but follows the
 * target's: nothing that readers of the target count on goes back.
 */
#include "server/model_merging.h"

/* Numbers that only grow, and the version that first has them. */
static const struct {
    const char *name;
    int since;
} growing[] = {
    {"last-sequence-number", 2},
    {"last-column-id", 1},
    {"last-partition-id", 1},
    {"next-row-id", 3},
};

/* The source in full form, in the target's format version or above. */
static pang_code open_source(const pang_merge_table *merge, pang_model_build *b, pang_err *err)
{
    int64_t version = pang_model_int(merge->target.document, "format-version", 1);
    pang_json *updates = pang_json_array(merge->arena), *update = pang_json_object(merge->arena);
    *b = (pang_model_build){
        .arena = merge->arena, .env = merge->env, .base = merge->source.document};
    pang_code code = pang_model_begin(b, err);
    if (code != PANG_OK || version <= b->version)
        return code;
    pang_model_put_text(b, update, "action", PANG_STR("upgrade-format-version"));
    pang_model_put_int(b, update, "format-version", version);
    pang_model_add(b, updates, update);
    return b->failed ? pang_fail_memory(err) : pang_model_updates_apply(b, updates, err);
}

static void raise_numbers(pang_model_build *b, const pang_json *target)
{
    for (size_t i = 0; i < sizeof growing / sizeof growing[0]; i++) {
        int64_t own = pang_model_int(b->doc, growing[i].name, -1);
        int64_t other = pang_model_int(target, growing[i].name, -1);
        if (b->version >= growing[i].since && other > own)
            pang_model_put_int(b, b->doc, growing[i].name, other);
    }
}

pang_code pang_model_take_source(const pang_merge_table *merge, pang_json **ret, pang_err *err)
{
    const pang_json *target = merge->target.document;
    pang_model_build s, b = {.arena = merge->arena,
                             .env = merge->env,
                             .base = target,
                             .base_location = merge->target.location};
    pang_str uuid = pang_model_text(target, "table-uuid");
    pang_code code = open_source(merge, &s, err);
    if (code == PANG_OK)
        code = pang_model_begin(&b, err);
    if (code != PANG_OK)
        return code;
    b.version = s.version;
    b.doc = s.doc;
    if (pang_model_has(target, "metadata-log"))
        pang_model_put(&b, b.doc, "metadata-log", pang_json_get(target, "metadata-log"));
    else
        pang_json_remove(b.doc, "metadata-log");
    if (pang_model_text(merge->source.document, "table-uuid").len == 0 && uuid.len > 0)
        pang_model_put_text(&b, b.doc, "table-uuid", uuid);
    raise_numbers(&b, target);
    code = pang_model_end(&b, err);
    if (code != PANG_OK)
        return code;
    int64_t updated = pang_model_int(merge->source.document, "last-updated-ms", 0);
    if (updated > pang_model_int(b.doc, "last-updated-ms", 0))
        pang_model_put_int(&b, b.doc, "last-updated-ms", updated);
    if (b.failed || pang_arena_failed(merge->arena))
        return pang_fail_memory(err);
    *ret = b.doc;
    return PANG_OK;
}
