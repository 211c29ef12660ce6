/*
 * What replies about a table have in common: where its metadata is, what it says, the tag, and the
 * configuration that tells clients of a shared table that its files are not theirs to delete.
 * That is for tables on S3: on others the settings mean nothing, and what the metadata says
 * (shared.h) is all there is. DuckDB takes any configuration for that of S3, and wants a region in
 * it.
 */
#include "server/svc_table.h"

#include <string.h>

enum { SETTINGS = 2 };
static const char *const settings[SETTINGS][2] = {
    {"s3.delete-enabled", "false"}, /* Java's file IO deletes nothing then */
    {"rest-catalog-purge", "true"}, /* Spark leaves the purge to the catalog */
};

char *pang_table_etag(pang_arena *arena, const pang_rec_content *body, pang_shape shape,
                      pang_overlay overlay)
{
    char id[PANG_ID_HEX + 1], branch[PANG_ID_HEX + 1];
    pang_str paths = {0};
    pang_id_hex(pang_id_of(body->document), id);
    if (!pang_id_is_nil(overlay.paths.branch)) {
        pang_id_hex(overlay.paths.branch, branch);
        paths = pang_arena_printf(arena, "-%s-%llu", branch,
                                  (unsigned long long)overlay.paths.mark);
    }
    pang_str text = pang_arena_printf(arena, "\"%s-%s%s%" PANG_STR_FMT "\"", id,
                                      shape == PANG_WHOLE ? "all" : "refs",
                                      overlay.shared ? "-shared" : "", PANG_STR_ARG(paths));
    return (char *)(uintptr_t)text.ptr;
}

static bool is_configured(const pang_rec_content *body, pang_overlay overlay)
{
    return overlay.shared && strncmp(body->metadata_location, "s3", 2) == 0;
}

#define DEFINE_REPLY(Name, NAME)                                                                   \
    static bool configure_##Name(struct Pangolin__V1__##Name##TableResponse *out,                  \
                                 pang_arena *arena)                                                \
    {                                                                                              \
        typedef struct Pangolin__V1__##Name##TableResponse__ConfigEntry entry;                     \
        entry *made = pang_arena_alloc_n(arena, SETTINGS, sizeof *made);                           \
        out->config = pang_arena_alloc_n(arena, SETTINGS, sizeof(entry *));                        \
        if (made == NULL || out->config == NULL)                                                   \
            return false;                                                                          \
        for (size_t i = 0; i < SETTINGS; i++) {                                                    \
            made[i] = (entry)PANGOLIN__V1__##NAME##_TABLE_RESPONSE__CONFIG_ENTRY__INIT;            \
            made[i].key = (char *)(uintptr_t)settings[i][0];                                       \
            made[i].value = (char *)(uintptr_t)settings[i][1];                                     \
            out->config[i] = &made[i];                                                             \
        }                                                                                          \
        out->n_config = SETTINGS;                                                                  \
        return true;                                                                               \
    }                                                                                              \
    PANG_TABLE_REPLY(Name)                                                                         \
    {                                                                                              \
        out->metadata_location = body->metadata_location;                                          \
        out->metadata = pang_bytes_of(text);                                                       \
        out->etag = pang_table_etag(call->arena, body, PANG_WHOLE, overlay);                       \
        if (out->etag == NULL ||                                                                   \
            (is_configured(body, overlay) && !configure_##Name(out, call->arena)))                 \
            return pang_fail_memory(err);                                                          \
        return PANG_OK;                                                                            \
    }

DEFINE_REPLY(Load, LOAD)
DEFINE_REPLY(Create, CREATE)
DEFINE_REPLY(Commit, COMMIT)
DEFINE_REPLY(Register, REGISTER)
