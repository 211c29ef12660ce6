/*
 * Reading manifests and their lists. What a version 1 file lacks is filled in as the specification
 * says, what entries leave to the list they are in is inherited as the Java library does it.
 */
#include <string.h>

#include "server/avro_schema.h"
#include "server/manifest_internal.h"

static pang_code fail_damaged(pang_err *err, const char *what)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "manifest is damaged: %s", what);
}

/* ---- lists ---- */

typedef struct {
    pang_arena *arena;
    pang_manifest *rows;
    size_t n, room;
} rows;

static bool copy_text(pang_arena *arena, pang_str *text)
{
    return text->ptr == NULL || pang_arena_copy(arena, *text, text);
}

/* A shallow copy of an array; NULL stays NULL. */
static bool copy_items(pang_arena *arena, const void *items, size_t n, size_t size, void *ret)
{
    void *copy = items == NULL ? NULL : pang_arena_alloc_n(arena, n, size);
    if (items != NULL && copy == NULL)
        return false;
    if (n > 0 && copy != NULL)
        memcpy(copy, items, n * size);
    memcpy(ret, &copy, sizeof copy);
    return true;
}

static bool copy_row(pang_arena *arena, pang_manifest *row)
{
    pang_manifest_bounds *bounds;
    bool fine = copy_text(arena, &row->path) && copy_text(arena, &row->key_metadata) &&
                copy_items(arena, row->partitions, row->n_partitions, sizeof *bounds, &bounds);
    for (size_t i = 0; fine && i < row->n_partitions; i++)
        fine = copy_text(arena, &bounds[i].lower) && copy_text(arena, &bounds[i].upper);
    row->partitions = fine ? bounds : NULL;
    return fine;
}

static pang_code take_row(void *arg, void *item, bool *stop, pang_err *err)
{
    rows *to = arg;
    pang_manifest *row = item;
    (void)stop;
    if ((unsigned)row->content > PANG_MANIFEST_DELETES || row->length < 0)
        return fail_damaged(err, "content or length of a manifest");
    if (to->n == PANG_MANIFESTS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "a manifest list has more than %d manifests", PANG_MANIFESTS_MAX);
    if (to->n == to->room) {
        size_t room = to->room == 0 ? 16 : to->room * 2;
        pang_manifest *grown = pang_arena_alloc_n(to->arena, room, sizeof *grown);
        if (grown == NULL)
            return pang_fail_memory(err);
        if (to->n > 0)
            memcpy(grown, to->rows, to->n * sizeof *grown);
        to->rows = grown;
        to->room = room;
    }
    to->rows[to->n] = *row;
    return copy_row(to->arena, &to->rows[to->n++]) ? PANG_OK : pang_fail_memory(err);
}

pang_code pang_manifest_list_read(pang_str file, pang_arena *arena, pang_manifest **ret,
                                  size_t *ret_n, pang_err *err)
{
    static const pang_manifest blank = {.added_files = -1,
                                        .existing_files = -1,
                                        .deleted_files = -1,
                                        .added_rows = -1,
                                        .existing_rows = -1,
                                        .deleted_rows = -1};
    pang_avro_want want = {manifest_list_fields, manifest_list_n_fields, &blank, sizeof blank};
    rows to = {.arena = arena};
    pang_avro *avro;
    pang_code code = pang_avro_open(file, arena, &avro, err);
    if (code == PANG_OK)
        code = pang_avro_read(avro, &want, arena, take_row, &to, err);
    if (code != PANG_OK)
        return code;
    *ret = to.rows;
    *ret_n = to.n;
    return PANG_OK;
}

/* ---- the head of a manifest ---- */

static int32_t meta_number(const pang_avro *avro, const char *key, int32_t otherwise)
{
    int64_t number;
    bool fine = pang_str_to_int64(pang_avro_meta(avro, key), &number) && number >= 0 &&
                number <= INT32_MAX;
    return fine ? (int32_t)number : otherwise;
}

static bool read_head(const pang_avro *avro, const pang_manifest *list, pang_manifest_head *ret)
{
    pang_str content = pang_avro_meta(avro, "content");
    bool deletes = pang_str_equal(content, PANG_STR("deletes"));
    *ret = (pang_manifest_head){
        .format_version = meta_number(avro, "format-version", 1),
        .spec_id = meta_number(avro, "partition-spec-id", list == NULL ? 0 : list->spec_id),
        .schema_id = meta_number(avro, "schema-id", 0),
        .content = deletes ? PANG_MANIFEST_DELETES : PANG_MANIFEST_DATA,
        .schema = pang_avro_meta(avro, "schema"),
        .spec = pang_avro_meta(avro, "partition-spec"),
    };
    return content.ptr == NULL || deletes || pang_str_equal(content, PANG_STR("data"));
}

/* ---- the partition: fields in the order of the head's spec, else as they stand ---- */

typedef struct {
    pang_avro_field *fields;
    int32_t *ids;
    size_t n;
} partition;

static void add_field(partition *p, pang_str name, int32_t id)
{
    p->ids[p->n] = id;
    p->fields[p->n] = (pang_avro_field){.name = name,
                                        .id = id,
                                        .kind = PANG_AVRO_VALUE,
                                        .at = p->n * sizeof(pang_value),
                                        .has = PANG_AVRO_NO};
    p->n++;
}

static pang_code make_room(partition *p, size_t n, pang_arena *arena, pang_err *err)
{
    if (n > PANG_PARTITION_FIELDS_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "a manifest's partition has more than %d fields",
                         PANG_PARTITION_FIELDS_MAX);
    p->fields = pang_arena_alloc_n(arena, n, sizeof *p->fields);
    p->ids = pang_arena_alloc_n(arena, n, sizeof *p->ids);
    return p->fields == NULL || p->ids == NULL ? pang_fail_memory(err) : PANG_OK;
}

static pang_code fields_of_spec(pang_str spec, pang_arena *arena, partition *p, pang_err *err)
{
    enum { FIRST_ID = 1000 }; /* of version 1, whose fields may be without */
    pang_json *fields;
    pang_code code = pang_json_parse(spec, arena, &fields, err);
    if (code == PANG_OK)
        code = make_room(p, pang_json_size(fields), arena, err);
    for (size_t i = 0; code == PANG_OK && i < pang_json_size(fields); i++) {
        const pang_json *field = pang_json_at(fields, i);
        int64_t id = FIRST_ID + (int64_t)i;
        pang_str name;
        if (!pang_json_to_str(pang_json_get(field, "name"), &name) ||
            (pang_json_to_int64(pang_json_get(field, "field-id"), &id) &&
             (id < 0 || id > INT32_MAX)))
            return fail_damaged(err, "its partition spec");
        add_field(p, name, (int32_t)id);
    }
    return code;
}

static pang_code fields_of_record(const pang_avro *avro, pang_arena *arena, partition *p,
                                  pang_err *err)
{
    const avro_node *file = avro_field_type(pang_avro_schema(avro), 2, PANG_STR("data_file"));
    const avro_node *record = file == NULL ? NULL
                                           : avro_field_type(file, 102, PANG_STR("partition"));
    size_t n = record == NULL || record->type != AVRO_RECORD ? 0 : record->n;
    pang_code code = make_room(p, n, arena, err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        add_field(p, record->names[i], record->ids[i]);
    return code;
}

/* ---- entries ---- */

typedef struct {
    const pang_manifest *list;
    size_t n;
    int64_t next_row_id;
    pang_manifest_entry_fn *fn;
    void *arg;
} entries;

static void inherit_number(bool *has, int64_t *number, int64_t inherited)
{
    if (!*has)
        *number = inherited;
    *has = true;
}

/* False when row ids run over. */
static bool inherit(entries *g, pang_manifest_entry *entry)
{
    const pang_manifest *list = g->list;
    inherit_number(&entry->has_snapshot_id, &entry->snapshot_id, list->snapshot_id);
    if (list->sequence == 0 || entry->status == PANG_ENTRY_ADDED) {
        inherit_number(&entry->has_sequence, &entry->sequence, list->sequence);
        inherit_number(&entry->has_file_sequence, &entry->file_sequence, list->sequence);
    }
    if (!list->has_first_row_id)
        entry->has_first_row_id = false; /* whose number would be of a manifest no list knew */
    else if (!entry->has_first_row_id && entry->status != PANG_ENTRY_DELETED) {
        inherit_number(&entry->has_first_row_id, &entry->first_row_id, g->next_row_id);
        return !__builtin_add_overflow(g->next_row_id, entry->record_count, &g->next_row_id);
    }
    return true;
}

static pang_code take_entry(void *arg, void *item, bool *stop, pang_err *err)
{
    entries *g = arg;
    pang_manifest_entry *entry = item;
    if ((unsigned)entry->status > PANG_ENTRY_DELETED)
        return fail_damaged(err, "the status of an entry");
    if ((unsigned)entry->content > PANG_FILE_EQUALITY_DELETES)
        return fail_damaged(err, "the content of a file");
    if (entry->path.len == 0 || entry->record_count < 0 || entry->file_size < 0)
        return fail_damaged(err, "path or counts of a file");
    if (++g->n > PANG_FILES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "a manifest has more than %d files",
                         PANG_FILES_MAX);
    if (g->list != NULL && !inherit(g, entry))
        return fail_damaged(err, "row ids run over");
    *stop = !g->fn(g->arg, entry);
    return PANG_OK;
}

pang_code pang_manifest_read(pang_str file, const pang_manifest *list, pang_arena *arena,
                             pang_manifest_head *ret_head, pang_manifest_entry_fn *fn, void *arg,
                             pang_err *err)
{
    entries g = {.list = list, .fn = fn, .arg = arg};
    partition p = {0};
    pang_avro *avro;
    pang_code code = pang_avro_open(file, arena, &avro, err);
    if (code != PANG_OK)
        return code;
    if (!read_head(avro, list, ret_head))
        return fail_damaged(err, "its content");
    code = ret_head->spec.len > 0 ? fields_of_spec(ret_head->spec, arena, &p, err)
                                  : fields_of_record(avro, arena, &p, err);
    if (code != PANG_OK)
        return code;
    ret_head->partition = p.ids;
    ret_head->n_partition = p.n;
    g.next_row_id = list != NULL ? list->first_row_id : 0;
    const pang_avro_field *fields = manifest_entry_fields(p.fields, p.n, arena);
    pang_manifest_entry blank = {.partition = pang_arena_alloc_n(arena, p.n, sizeof(pang_value)),
                                 .n_partition = p.n};
    if (fields == NULL || blank.partition == NULL)
        return pang_fail_memory(err);
    pang_avro_want want = {fields, MANIFEST_ENTRY_FIELDS, &blank, sizeof blank};
    return pang_avro_read(avro, &want, arena, take_entry, &g, err);
}

/* ---- copies ---- */

static bool copy_lists(const pang_manifest_entry *from, pang_arena *arena, pang_manifest_entry *to)
{
#define COPY(member)                                                                               \
    copy_items(arena, from->member, from->n_##member, sizeof *from->member, &to->member)
    return COPY(partition) && COPY(column_sizes) && COPY(value_counts) && COPY(null_counts) &&
           COPY(nan_counts) && COPY(split_offsets) && COPY(equality_ids);
#undef COPY
}

static bool copy_bounds(pang_arena *arena, const pang_column_bound *from, size_t n,
                        const pang_column_bound **ret)
{
    pang_column_bound *copy;
    bool fine = copy_items(arena, from, n, sizeof *from, &copy);
    for (size_t i = 0; fine && i < n; i++)
        fine = copy_text(arena, &copy[i].bound);
    *ret = fine ? copy : NULL;
    return fine;
}

static bool copy_values(pang_arena *arena, pang_manifest_entry *to)
{
    pang_value *values = (pang_value *)(uintptr_t)to->partition; /* our own copy */
    bool fine = true;
    for (size_t i = 0; fine && i < to->n_partition; i++)
        fine = copy_text(arena, &values[i].text);
    return fine;
}

pang_code pang_manifest_entry_copy(const pang_manifest_entry *entry, pang_arena *arena,
                                   pang_manifest_entry **ret, pang_err *err)
{
    pang_manifest_entry *to = pang_arena_alloc(arena, sizeof *to);
    if (to == NULL)
        return pang_fail_memory(err);
    *to = *entry;
    if (!copy_lists(entry, arena, to) || !copy_values(arena, to) ||
        !copy_bounds(arena, entry->lower, entry->n_lower, &to->lower) ||
        !copy_bounds(arena, entry->upper, entry->n_upper, &to->upper) ||
        !copy_text(arena, &to->path) || !copy_text(arena, &to->format) ||
        !copy_text(arena, &to->key_metadata) || !copy_text(arena, &to->referenced_data_file))
        return pang_fail_memory(err);
    *ret = to;
    return PANG_OK;
}
