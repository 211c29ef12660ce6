/*
 * Model: what a document says, without changing it: the facts that the catalog records, the
 * places that it points at, its view with fewer snapshots, and the names of files.
 */
#include <stdio.h>
#include <string.h>

#include "api/id.h"
#include "server/model_look.h"

/* ---- facts ---- */

void pang_model_facts_of(const pang_json *document, pang_model_facts *ret)
{
    const pang_json *schema = pang_json_get(document, "schema");
    *ret = (pang_model_facts){
        .table_uuid = pang_model_text(document, "table-uuid"),
        .location = pang_model_text(document, "location"),
        .format_version = (int)pang_model_int(document, "format-version", 0),
        .schema_id = pang_model_int(document, "current-schema-id",
                                    pang_model_int(schema, "schema-id", 0)),
        .last_updated_ms = pang_model_int(document, "last-updated-ms", 0),
        .last_sequence_number = pang_model_int(document, "last-sequence-number", 0),
    };
    ret->has_snapshot = pang_model_current_snapshot(document, &ret->snapshot_id);
    if (pang_model_has(document, "properties"))
        ret->properties = pang_json_get(document, "properties");
}

bool pang_model_property(const pang_json *document, pang_str name, pang_str *ret)
{
    *ret = (pang_str){NULL, 0};
    return pang_json_to_str(pang_json_get_str(pang_json_get(document, "properties"), name), ret);
}

/* ---- places ---- */

/* Properties below whose value engines write. */
static const char *const roots[] = {
    "write.data.path",
    "write.metadata.path",
    "write.object-storage.path",
    "write.folder-storage.path",
};

/* Lists whose entries name a file. */
static const struct {
    const char *part, *member;
} files[] = {
    {"snapshots", "manifest-list"},
    {"statistics", "statistics-path"},
    {"partition-statistics", "statistics-path"},
    {"metadata-log", "metadata-file"},
};

static pang_code walk_roots(const pang_json *document, pang_model_place_fn *fn, void *arg,
                            pang_err *err)
{
    pang_code code = fn(arg, PANG_MODEL_PLACE_ROOT, "location",
                        pang_model_text(document, "location"), err);
    for (size_t i = 0; code == PANG_OK && i < sizeof roots / sizeof roots[0]; i++) {
        char what[64];
        pang_str value;
        (void)snprintf(what, sizeof what, "properties.%s", roots[i]);
        if (pang_model_property(document, pang_str_from(roots[i]), &value))
            code = fn(arg, PANG_MODEL_PLACE_ROOT, what, value, err);
    }
    return code;
}

static pang_code walk_file(const pang_json *value, const char *what, pang_model_place_fn *fn,
                           void *arg, pang_err *err)
{
    pang_str text;
    return pang_json_to_str(value, &text) ? fn(arg, PANG_MODEL_PLACE_FILE, what, text, err)
                                          : PANG_OK;
}

static pang_code walk_manifests(const pang_json *document, pang_model_place_fn *fn, void *arg,
                                pang_err *err)
{
    const pang_json *snapshots = pang_json_get(document, "snapshots");
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(snapshots); i++) {
        const pang_json *list = pang_json_get(pang_json_at(snapshots, i), "manifests");
        for (size_t k = 0; code == PANG_OK && k < pang_json_size(list); k++) {
            char what[64];
            (void)snprintf(what, sizeof what, "snapshots[%zu].manifests[%zu]", i, k);
            code = walk_file(pang_json_at(list, k), what, fn, arg, err);
        }
    }
    return code;
}

static pang_code walk_files(const pang_json *document, pang_model_place_fn *fn, void *arg,
                            pang_err *err)
{
    pang_code code = PANG_OK;
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        const pang_json *list = pang_json_get(document, files[f].part);
        for (size_t i = 0; code == PANG_OK && i < pang_json_size(list); i++) {
            char what[96];
            (void)snprintf(what, sizeof what, "%s[%zu].%s", files[f].part, i, files[f].member);
            code = walk_file(pang_json_get(pang_json_at(list, i), files[f].member), what, fn, arg,
                             err);
        }
    }
    return code != PANG_OK ? code : walk_manifests(document, fn, arg, err);
}

pang_code pang_model_places(const pang_json *document, unsigned kinds, pang_model_place_fn *fn,
                            void *arg, pang_err *err)
{
    pang_code code = PANG_OK;
    if ((kinds & PANG_MODEL_PLACE_ROOT) != 0)
        code = walk_roots(document, fn, arg, err);
    if (code == PANG_OK && (kinds & PANG_MODEL_PLACE_FILE) != 0)
        code = walk_files(document, fn, arg, err);
    return code;
}

/* ---- fewer snapshots ---- */

pang_code pang_model_refs_only(const pang_json *document, pang_arena *arena, pang_json **ret,
                               pang_err *err)
{
    const pang_json *all = pang_json_get(document, "snapshots");
    pang_json_members it = {.object = pang_json_get(document, "refs")};
    pang_model_ids named = {.arena = arena};
    pang_json *kept = pang_json_array(arena), *ref, *copy;
    pang_str name;
    int64_t id;
    bool done = kept != NULL;
    while (pang_json_next(&it, &name, &ref)) {
        if (pang_model_has_int(ref, "snapshot-id", &id))
            done = done && pang_model_ids_put(&named, id, document);
    }
    if (pang_model_current_snapshot(document, &id))
        done = done && pang_model_ids_put(&named, id, document);
    for (size_t i = 0; done && i < pang_json_size(all); i++) {
        pang_json *snapshot = pang_json_at(all, i);
        if (pang_model_has_int(snapshot, "snapshot-id", &id) && pang_model_ids_get(&named, id))
            done = pang_json_append(kept, snapshot);
    }
    if (!done)
        return pang_fail_memory(err);
    if (pang_json_size(kept) == pang_json_size(all)) {
        *ret = (pang_json *)(uintptr_t)document;
        return PANG_OK;
    }
    copy = pang_model_copy(document, arena);
    if (copy == NULL || !pang_json_set(copy, "snapshots", kept))
        return pang_fail_memory(err);
    *ret = copy;
    return PANG_OK;
}

/* ---- files ---- */

bool pang_model_is_gzip_name(pang_str location)
{
    return pang_str_ends(location, PANG_STR(".gz.metadata.json")) ||
           pang_str_ends(location, PANG_STR(".metadata.json.gz"));
}

/* The number before the first "-" of a file's name; -1 when there is none. */
static int64_t number_of(pang_str location)
{
    size_t slash = location.len;
    int64_t number;
    while (slash > 0 && location.ptr[slash - 1] != '/')
        slash--;
    pang_str name = pang_str_after(location, slash);
    pang_str digits = pang_str_slice(name, 0, pang_str_find(name, '-'));
    if (digits.len == name.len || !pang_str_to_int64(digits, &number) || number < 0 ||
        number >= INT32_MAX)
        return -1;
    return number;
}

pang_code pang_model_file_name(const pang_json *document, pang_str base_location, pang_str folder,
                               const pang_env *env, pang_arena *arena, pang_model_file *ret,
                               pang_err *err)
{
    pang_str dir, codec;
    char uuid[PANG_ID_TEXT + 1];
    pang_buf buf = {.arena = arena};
    bool own_dir = pang_model_property(document, PANG_STR("write.metadata.path"), &dir);
    (void)pang_model_property(document, PANG_STR("write.metadata.compression-codec"), &codec);
    if (!own_dir || dir.len == 0) {
        own_dir = folder.len > 0;
        dir = own_dir ? folder : pang_model_text(document, "location");
    }
    while (dir.len > 1 && dir.ptr[dir.len - 1] == '/')
        dir.len--;
    bool gzip = pang_str_equal_nocase(codec, PANG_STR("gzip"));
    pang_id_text(pang_id_v4(env), uuid);
    pang_buf_add(&buf, dir);
    pang_buf_printf(&buf, "%s/%05lld-%s%s.metadata.json", own_dir ? "" : "/metadata",
                    (long long)number_of(base_location) + 1, uuid, gzip ? ".gz" : "");
    if (buf.failed)
        return pang_fail_memory(err);
    *ret = (pang_model_file){pang_buf_str(&buf), gzip};
    return PANG_OK;
}
