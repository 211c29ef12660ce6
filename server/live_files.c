/*
 * Live files: keys are halves of SHA-256, since paths are strangers' to choose and two files that
 * pass for one would lose rows.
 */
#include "server/live_files.h"

#include <string.h>

#include "server/hash.h"

enum { FILE_PATH_COLUMN = 2147483546 }; /* of position delete files */

/* ---- keys and maps ---- */

struct pang_file_slot {
    pang_file_key key;
    const void *value;
    bool used;
};

static struct pang_file_slot *seek(const pang_file_map *map, pang_file_key key)
{
    size_t at = (size_t)key.a & (map->capacity - 1);
    while (map->slots[at].used && (map->slots[at].key.a != key.a || map->slots[at].key.b != key.b))
        at = (at + 1) & (map->capacity - 1);
    return &map->slots[at];
}

static bool grow(pang_file_map *map)
{
    pang_file_map wider = {.arena = map->arena,
                           .capacity = map->capacity == 0 ? 64 : map->capacity * 2};
    wider.slots = pang_arena_alloc_n(map->arena, wider.capacity, sizeof *wider.slots);
    if (wider.slots == NULL)
        return false;
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used)
            *seek(&wider, map->slots[i].key) = map->slots[i];
    }
    map->slots = wider.slots;
    map->capacity = wider.capacity;
    return true;
}

const void **pang_file_map_put(pang_file_map *map, pang_file_key key)
{
    if (map->n * 3 >= map->capacity * 2 && !grow(map))
        return NULL;
    struct pang_file_slot *slot = seek(map, key);
    map->n += !slot->used;
    slot->used = true;
    slot->key = key;
    return &slot->value;
}

const void **pang_file_map_find(const pang_file_map *map, pang_file_key key)
{
    if (map->capacity == 0)
        return NULL;
    struct pang_file_slot *slot = seek(map, key);
    return slot->used ? &slot->value : NULL;
}

static pang_code key_of_parts(const pang_str *parts, size_t n, pang_file_key *ret, pang_err *err)
{
    uint8_t digest[PANG_HASH_BYTES];
    pang_code code = pang_hash(parts, n, digest, err);
    if (code == PANG_OK)
        memcpy(ret, digest, sizeof *ret);
    return code;
}

pang_code pang_file_key_path(pang_str path, pang_file_key *ret, pang_err *err)
{
    return key_of_parts(&path, 1, ret, err);
}

pang_code pang_file_key_of(const pang_manifest_entry *entry, pang_file_key *ret, pang_err *err)
{
    pang_str offset = {(const char *)&entry->content_offset, sizeof entry->content_offset};
    pang_str parts[] = {entry->path, offset, entry->referenced_data_file};
    if (entry->content == PANG_FILE_POSITION_DELETES && entry->has_content_range)
        return key_of_parts(parts, 3, ret, err);
    return key_of_parts(parts, 1, ret, err);
}

/* ---- partitions ---- */

const pang_value *pang_spec_values(const pang_spec_view *spec, const pang_manifest_head *head,
                                   const pang_manifest_entry *entry, pang_arena *arena)
{
    pang_value *values = pang_arena_alloc_n(arena, spec->n_fields, sizeof *values);
    for (size_t i = 0; values != NULL && i < spec->n_fields; i++) {
        values[i].type = PANG_VALUE_NULL;
        for (size_t k = 0; k < entry->n_partition; k++) {
            bool same = k < head->n_partition ? head->partition[k] == spec->fields[i] : k == i;
            if (same)
                values[i] = entry->partition[k];
        }
    }
    return values;
}

/* Values that pang_value_equal takes for one give one text. */
static pang_str value_text(const pang_value *value, pang_arena *arena)
{
    if (value->type == PANG_VALUE_NULL)
        return PANG_STR("n");
    if (value->type == PANG_VALUE_BOOLEAN || value->type == PANG_VALUE_INT)
        return pang_arena_printf(arena, "i%lld", (long long)value->number);
    if (value->type == PANG_VALUE_BYTES)
        return pang_arena_printf(arena, "b%" PANG_STR_FMT, PANG_STR_ARG(value->text));
    return value->real != value->real ? PANG_STR("nan")
                                      : pang_arena_printf(arena, "f%a", value->real);
}

static pang_code partition_key(const pang_spec_view *spec, const pang_value *values,
                               pang_arena *arena, pang_file_key *ret, pang_err *err)
{
    pang_str *parts = pang_arena_alloc_n(arena, spec->n_fields + 1, sizeof *parts);
    if (parts == NULL)
        return pang_fail_memory(err);
    parts[0] = pang_arena_printf(arena, "%d", (int)spec->to);
    for (size_t i = 0; i < spec->n_fields; i++) {
        pang_str text = values[i].text;
        parts[i + 1] = value_text(&values[i], arena);
        /* Bytes may hold a NUL, where printf would stop. */
        if (values[i].type == PANG_VALUE_BYTES) {
            char *bytes = pang_arena_alloc_text(arena, text.len + 1);
            if (bytes == NULL)
                return pang_fail_memory(err);
            bytes[0] = 'b';
            if (text.len > 0)
                memcpy(bytes + 1, text.ptr, text.len);
            parts[i + 1] = (pang_str){bytes, text.len + 1};
        }
    }
    return pang_arena_failed(arena) ? pang_fail_memory(err)
                                    : key_of_parts(parts, spec->n_fields + 1, ret, err);
}

static bool keep_partition(pang_live_table *table, pang_partition *partition)
{
    if (table->n_all == table->capacity) {
        size_t more = table->capacity == 0 ? 64 : table->capacity * 2;
        pang_partition **grown = pang_arena_alloc_n(table->arena, more, sizeof *grown);
        if (grown == NULL)
            return false;
        if (table->n_all > 0)
            memcpy(grown, table->all, table->n_all * sizeof *grown);
        table->all = grown;
        table->capacity = more;
    }
    table->all[table->n_all++] = partition;
    return true;
}

static pang_code new_partition(pang_live_table *table, const pang_spec_view *spec,
                               const pang_value *values, pang_partition **ret, pang_err *err)
{
    pang_partition *made = pang_arena_alloc(table->arena, sizeof *made);
    pang_value *copy = pang_arena_alloc_n(table->arena, spec->n_fields, sizeof *copy);
    if (made == NULL || copy == NULL || !keep_partition(table, made))
        return pang_fail_memory(err);
    for (size_t i = 0; i < spec->n_fields; i++) {
        copy[i] = values[i];
        if (!pang_arena_copy(table->arena, values[i].text, &copy[i].text))
            return pang_fail_memory(err);
    }
    made->spec = spec->to;
    made->global = spec->global;
    made->values = copy;
    made->n = spec->n_fields;
    *ret = made;
    return PANG_OK;
}

static pang_code find_partition(pang_live_table *table, const pang_spec_view *spec,
                                const pang_manifest_head *head, const pang_manifest_entry *entry,
                                pang_partition **ret, pang_err *err)
{
    pang_arena *scratch = pang_arena_new(16 << 20);
    pang_file_key key;
    if (scratch == NULL)
        return pang_fail_memory(err);
    const pang_value *values = pang_spec_values(spec, head, entry, scratch);
    pang_code code = values == NULL ? pang_fail_memory(err)
                                    : partition_key(spec, values, scratch, &key, err);
    if (code == PANG_OK) {
        const void **slot = pang_file_map_put(&table->partitions, key);
        pang_partition *made = slot == NULL ? NULL : (pang_partition *)(uintptr_t)*slot;
        if (slot == NULL)
            code = pang_fail_memory(err);
        else if (made == NULL)
            code = new_partition(table, spec, values, &made, err);
        if (code == PANG_OK && slot != NULL) {
            *slot = made;
            *ret = made;
        }
    }
    pang_arena_free(scratch);
    return code;
}

/* ---- files ---- */

static pang_str bound_of(const pang_column_bound *bounds, size_t n, int32_t column)
{
    for (size_t i = 0; i < n; i++) {
        if (bounds[i].column == column)
            return bounds[i].bound;
    }
    return (pang_str){0};
}

static int64_t count_of(const pang_column_number *numbers, size_t n, int32_t column)
{
    for (size_t i = 0; i < n; i++) {
        if (numbers[i].column == column)
            return numbers[i].number;
    }
    return -1;
}

static bool copy_text(pang_arena *arena, pang_str text, pang_str *ret)
{
    if (text.ptr != NULL)
        return pang_arena_copy(arena, text, ret);
    *ret = text;
    return true;
}

static bool copy_columns(pang_live_table *table, const pang_manifest_entry *entry,
                         const int32_t *columns, size_t n, pang_live_file *file)
{
    pang_column_facts *facts = pang_arena_alloc_n(table->arena, n, sizeof *facts);
    if (facts == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        facts[i].column = columns[i];
        facts[i].nulls = count_of(entry->null_counts, entry->n_null_counts, columns[i]);
        facts[i].values = count_of(entry->value_counts, entry->n_value_counts, columns[i]);
        if (!copy_text(table->arena, bound_of(entry->lower, entry->n_lower, columns[i]),
                       &facts[i].lower) ||
            !copy_text(table->arena, bound_of(entry->upper, entry->n_upper, columns[i]),
                       &facts[i].upper))
            return false;
    }
    file->columns = facts;
    file->n_columns = n;
    return true;
}

/* Whom position deletes are about: said, or told by bounds that are one path. */
static pang_code copy_target(pang_live_table *table, const pang_manifest_entry *entry,
                             pang_live_file *file, pang_err *err)
{
    pang_str low = bound_of(entry->lower, entry->n_lower, FILE_PATH_COLUMN);
    pang_str high = bound_of(entry->upper, entry->n_upper, FILE_PATH_COLUMN);
    pang_str refers = entry->referenced_data_file;
    if (refers.ptr == NULL && low.ptr != NULL && high.ptr != NULL && pang_str_equal(low, high))
        refers = low;
    if (!copy_text(table->arena, refers, &file->refers) ||
        !copy_text(table->arena, low, &file->path_low) ||
        !copy_text(table->arena, high, &file->path_high))
        return pang_fail_memory(err);
    return refers.ptr == NULL ? PANG_OK : pang_file_key_path(refers, &file->refers_key, err);
}

static pang_code copy_members(pang_live_table *table, const pang_manifest_entry *entry,
                              pang_live_file *file, pang_err *err)
{
    if (!pang_arena_copy(table->arena, entry->path, &file->path))
        return pang_fail_memory(err);
    if (entry->content == PANG_FILE_POSITION_DELETES)
        return copy_target(table, entry, file, err);
    if (entry->content == PANG_FILE_DATA)
        return copy_columns(table, entry, table->keep, table->n_keep, file) ? PANG_OK
                                                                            : pang_fail_memory(err);
    int32_t *ids = pang_arena_alloc_n(table->arena, entry->n_equality_ids, sizeof *ids);
    if (ids == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < entry->n_equality_ids; i++)
        ids[i] = entry->equality_ids[i];
    file->equality_ids = ids;
    file->n_equality_ids = entry->n_equality_ids;
    return copy_columns(table, entry, ids, entry->n_equality_ids, file) ? PANG_OK
                                                                        : pang_fail_memory(err);
}

pang_code pang_live_file_new(pang_live_table *table, const pang_spec_view *spec,
                             const pang_manifest_head *head, const pang_manifest_entry *entry,
                             pang_file_key key, pang_live_file **ret, pang_err *err)
{
    pang_live_file *file = pang_arena_alloc(table->arena, sizeof *file);
    if (file == NULL)
        return pang_fail_memory(err);
    file->key = key;
    file->content = entry->content;
    file->vector = entry->content == PANG_FILE_POSITION_DELETES && entry->has_content_range;
    file->origin = PANG_FILE_UNKNOWN;
    file->snapshot_id = entry->has_snapshot_id ? entry->snapshot_id : -1;
    file->sequence = entry->has_sequence ? entry->sequence : 0;
    file->file_sequence = entry->has_file_sequence ? entry->file_sequence : file->sequence;
    file->records = entry->record_count;
    file->bytes = file->vector ? entry->content_size : entry->file_size;
    file->first_row_id = entry->has_first_row_id ? entry->first_row_id : -1;
    pang_code code = copy_members(table, entry, file, err);
    if (code == PANG_OK)
        code = find_partition(table, spec, head, entry, &file->in, err);
    if (code == PANG_OK)
        *ret = file;
    return code;
}

void pang_live_file_join(pang_live_file *file, pang_file_set set)
{
    file->next = file->in->files[set];
    file->in->files[set] = file;
}
