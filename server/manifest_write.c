/*
 * Writing manifests and their lists: what stands in the head, and the numbers that a list gives to
 * new manifests.
 */
#include <inttypes.h>

#include "server/manifest_internal.h"

static pang_code fail_argument(pang_err *err, const char *what)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "%s", what);
}

/* ---- manifests ---- */

static pang_code check_entry(const pang_manifest_entry *entry, const pang_manifest_new *manifest,
                             pang_err *err)
{
    bool deletes = entry->content != PANG_FILE_DATA;
    if ((unsigned)entry->status > PANG_ENTRY_DELETED ||
        (unsigned)entry->content > PANG_FILE_EQUALITY_DELETES)
        return fail_argument(err, "a manifest entry's status or content is not known");
    if (deletes != (manifest->content == PANG_MANIFEST_DELETES))
        return fail_argument(err, "data files and delete files are in different manifests");
    if (manifest->format_version < 3 && entry->has_content_range)
        return fail_argument(err, "deletion vectors need format version 3");
    if (entry->path.len == 0 || entry->format.len == 0 || entry->record_count < 0 ||
        entry->file_size < 0)
        return fail_argument(err, "a manifest entry lacks path, format or counts");
    return PANG_OK;
}

static pang_code check_manifest(const pang_manifest_new *manifest, pang_err *err)
{
    pang_code code = PANG_OK;
    if (manifest->format_version < 1 || manifest->format_version > 3)
        return fail_argument(err, "manifests have format version 1, 2 or 3");
    if (manifest->format_version == 1 && manifest->content != PANG_MANIFEST_DATA)
        return fail_argument(err, "delete files need format version 2");
    if (manifest->n > PANG_FILES_MAX)
        return fail_argument(err, "a manifest has too many files");
    for (size_t i = 0; code == PANG_OK && i < manifest->n; i++)
        code = check_entry(manifest->entries[i], manifest, err);
    return code;
}

static const void *entry_at(const void *items, size_t i)
{
    const pang_manifest_entry *const *entries = items;
    return entries[i];
}

static pang_str print_number(int64_t number, pang_arena *arena)
{
    return pang_arena_printf(arena, "%" PRId64, number);
}

static pang_code spec_texts(const pang_manifest_new *manifest, pang_arena *arena, pang_str *ret,
                            pang_str *ret_fields, int32_t *ret_id, pang_err *err)
{
    int64_t id;
    if (!pang_json_to_int64(pang_json_get(manifest->spec, "spec-id"), &id) || id < 0 ||
        id > INT32_MAX)
        return fail_argument(err, "a partition spec has no id");
    *ret_id = (int32_t)id;
    pang_code code = pang_json_print(manifest->schema, arena, ret, err);
    const pang_json *fields = pang_json_get(manifest->spec, "fields");
    *ret_fields = PANG_STR("[]");
    return code == PANG_OK && fields != NULL ? pang_json_print(fields, arena, ret_fields, err)
                                             : code;
}

static pang_code write_entries(const pang_manifest_new *manifest, const pang_avro_field *fields,
                               const pang_env *env, pang_arena *arena, pang_str *ret,
                               int32_t *ret_spec, pang_err *err)
{
    pang_str schema, spec;
    int64_t schema_id = 0;
    pang_code code = spec_texts(manifest, arena, &schema, &spec, ret_spec, err);
    if (code != PANG_OK)
        return code;
    (void)pang_json_to_int64(pang_json_get(manifest->schema, "schema-id"), &schema_id);
    pang_avro_meta_entry meta[] = {
        {"schema", schema},
        {"schema-id", print_number(schema_id, arena)},
        {"partition-spec", spec},
        {"partition-spec-id", print_number(*ret_spec, arena)},
        {"format-version", print_number(manifest->format_version, arena)},
        {"content",
         manifest->content == PANG_MANIFEST_DATA ? PANG_STR("data") : PANG_STR("deletes")},
    };
    size_t n_meta = sizeof meta / sizeof meta[0];
    pang_avro_new file = {.record = "manifest_entry",
                          .fields = fields,
                          .n_fields = MANIFEST_ENTRY_FIELDS,
                          .version = manifest->format_version,
                          .codec = manifest->codec,
                          .meta = meta,
                          .n_meta = manifest->format_version == 1 ? n_meta - 1 : n_meta,
                          .item = entry_at,
                          .items = manifest->entries,
                          .n = manifest->n};
    return pang_avro_write(&file, env, arena, ret, err);
}

pang_code pang_manifest_write(const pang_manifest_new *manifest, const pang_env *env,
                              pang_arena *arena, pang_str *ret, pang_manifest *ret_row,
                              pang_err *err)
{
    pang_avro_field *partition;
    size_t n;
    pang_code code = check_manifest(manifest, err);
    if (code == PANG_OK)
        code = manifest_partition_fields(manifest, arena, &partition, &n, err);
    if (code != PANG_OK)
        return code;
    const pang_avro_field *fields = manifest_entry_fields(partition, n, arena);
    if (fields == NULL)
        return pang_fail_memory(err);
    code = manifest_row(manifest, partition, n, arena, ret_row, err);
    if (code == PANG_OK)
        code = write_entries(manifest, fields, env, arena, ret, &ret_row->spec_id, err);
    if (code == PANG_OK)
        ret_row->length = (int64_t)ret->len;
    return code;
}

/* ---- lists ---- */

static const void *row_at(const void *items, size_t i)
{
    const pang_manifest *rows = items;
    return &rows[i];
}

static bool give_row_ids(pang_manifest *row, int64_t *next)
{
    if (row->content != PANG_MANIFEST_DATA || row->has_first_row_id)
        return true;
    row->has_first_row_id = true;
    row->first_row_id = *next;
    return row->added_rows >= 0 && row->existing_rows >= 0 &&
           !__builtin_add_overflow(*next, row->added_rows, next) &&
           !__builtin_add_overflow(*next, row->existing_rows, next);
}

/* The rows with the numbers that the list gives. */
static pang_code complete(const pang_manifest_list_new *list, pang_arena *arena,
                          pang_manifest **ret, int64_t *ret_next, pang_err *err)
{
    pang_manifest *rows = pang_arena_alloc_n(arena, list->n, sizeof *rows);
    int64_t next = list->first_row_id;
    if (rows == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < list->n; i++) {
        pang_manifest *row = &rows[i];
        *row = list->manifests[i];
        if (row->snapshot_id == PANG_MANIFEST_ASSIGNED)
            row->snapshot_id = list->snapshot_id;
        if (row->sequence == PANG_MANIFEST_ASSIGNED)
            row->sequence = list->sequence;
        if (row->min_sequence == PANG_MANIFEST_ASSIGNED)
            row->min_sequence = list->sequence;
        if (list->format_version == 1 && row->content != PANG_MANIFEST_DATA)
            return fail_argument(err, "delete files need format version 2");
        if (list->format_version >= 3 && !give_row_ids(row, &next))
            return fail_argument(err, "a manifest's rows cannot be given ids");
    }
    *ret = rows;
    *ret_next = next;
    return PANG_OK;
}

static pang_str print_parent(const pang_manifest_list_new *list, pang_arena *arena)
{
    return list->parent_id == -1 ? PANG_STR("null") : print_number(list->parent_id, arena);
}

pang_code pang_manifest_list_write(const pang_manifest_list_new *list, const pang_env *env,
                                   pang_arena *arena, pang_str *ret, int64_t *ret_next_row_id,
                                   pang_err *err)
{
    static const size_t n_meta[] = {0, 3, 4, 5}; /* by version */
    pang_manifest *rows = NULL;
    int64_t next = 0;
    if (list->format_version < 1 || list->format_version > 3)
        return fail_argument(err, "manifest lists have format version 1, 2 or 3");
    if (list->n > PANG_MANIFESTS_MAX)
        return fail_argument(err, "a snapshot has too many manifests");
    pang_code code = complete(list, arena, &rows, &next, err);
    if (code != PANG_OK)
        return code;
    pang_avro_meta_entry meta[] = {
        {"format-version", print_number(list->format_version, arena)},
        {"snapshot-id", print_number(list->snapshot_id, arena)},
        {"parent-snapshot-id", print_parent(list, arena)},
        {"sequence-number", print_number(list->sequence, arena)},
        {"first-row-id", print_number(list->first_row_id, arena)},
    };
    pang_avro_new file = {.record = "manifest_file",
                          .fields = manifest_list_fields,
                          .n_fields = manifest_list_n_fields,
                          .version = list->format_version,
                          .codec = list->codec,
                          .meta = meta,
                          .n_meta = n_meta[list->format_version],
                          .item = row_at,
                          .items = rows,
                          .n = list->n};
    code = pang_avro_write(&file, env, arena, ret, err);
    if (code == PANG_OK && ret_next_row_id != NULL)
        *ret_next_row_id = next;
    return code;
}
