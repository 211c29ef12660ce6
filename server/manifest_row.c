/*
 * Rows of new manifests: counts, and for each partition field the least and the greatest value, so
 * that readers pass over manifests unread. All entries count, those of deleted files too.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "server/manifest_internal.h"

/* ---- order ---- */

static int compare_reals(double a, double b)
{
    if (a == b) /* -0 comes before 0, and is another value */
        return (signbit(b) != 0) - (signbit(a) != 0);
    return a < b ? -1 : 1;
}

/* Two's complement, of any lengths; minimal, so that the longer one is farther from zero. */
static int compare_decimals(pang_str a, pang_str b)
{
    bool a_less = a.len > 0 && (unsigned char)a.ptr[0] >= 0x80;
    bool b_less = b.len > 0 && (unsigned char)b.ptr[0] >= 0x80;
    if (a_less != b_less)
        return a_less ? -1 : 1;
    if (a.len != b.len)
        return (a.len < b.len) != a_less ? -1 : 1;
    return pang_str_compare(a, b);
}

static int compare(const pang_value *a, const pang_value *b, pang_avro_wire wire)
{
    switch (wire) {
    case PANG_WIRE_FLOAT:
    case PANG_WIRE_DOUBLE:
        return compare_reals(a->real, b->real);
    case PANG_WIRE_BYTES:
    case PANG_WIRE_FIXED:
        return pang_str_compare(a->text, b->text);
    case PANG_WIRE_DECIMAL:
        return compare_decimals(pang_avro_decimal(a->text), pang_avro_decimal(b->text));
    default:
        return (a->number > b->number) - (a->number < b->number);
    }
}

static bool is_nan(const pang_value *value)
{
    return (value->type == PANG_VALUE_FLOAT || value->type == PANG_VALUE_DOUBLE) &&
           isnan(value->real);
}

bool pang_value_equal(const pang_value *a, const pang_value *b)
{
    bool a_real = a->type == PANG_VALUE_FLOAT || a->type == PANG_VALUE_DOUBLE;
    bool b_real = b->type == PANG_VALUE_FLOAT || b->type == PANG_VALUE_DOUBLE;
    if (a_real && b_real)
        return is_nan(a) ? is_nan(b) : !is_nan(b) && compare_reals(a->real, b->real) == 0;
    if (a->type != b->type)
        return false;
    if (a->type == PANG_VALUE_BYTES)
        return pang_str_equal(a->text, b->text);
    return a->type == PANG_VALUE_NULL || a->number == b->number;
}

/* ---- bounds ---- */

static bool put_number(pang_arena *arena, uint64_t bits, size_t size, pang_str *ret)
{
    char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(uint8_t)(bits >> (8 * i));
    return pang_arena_copy(arena, (pang_str){bytes, size}, ret);
}

/* Single-value serialisation. */
static bool put_bound(const pang_value *value, pang_avro_wire wire, pang_arena *arena,
                      pang_str *ret)
{
    uint64_t bits = 0;
    float half = (float)value->real;
    switch (wire) {
    case PANG_WIRE_BOOLEAN:
        return put_number(arena, value->number != 0, 1, ret);
    case PANG_WIRE_INT:
        return put_number(arena, (uint64_t)value->number, 4, ret);
    case PANG_WIRE_LONG:
        return put_number(arena, (uint64_t)value->number, 8, ret);
    case PANG_WIRE_FLOAT:
        memcpy(&bits, &half, sizeof half);
        return put_number(arena, bits, sizeof half, ret);
    case PANG_WIRE_DOUBLE:
        memcpy(&bits, &value->real, sizeof value->real);
        return put_number(arena, bits, sizeof value->real, ret);
    case PANG_WIRE_DECIMAL:
        return pang_arena_copy(arena, pang_avro_decimal(value->text), ret);
    default:
        return pang_arena_copy(arena, value->text, ret);
    }
}

static bool bounds_of(const pang_manifest_new *manifest, size_t at, pang_avro_wire wire,
                      pang_arena *arena, pang_manifest_bounds *ret)
{
    const pang_value *least = NULL, *greatest = NULL;
    *ret = (pang_manifest_bounds){.has_contains_nan = true};
    for (size_t i = 0; i < manifest->n; i++) {
        const pang_value *value = &manifest->entries[i]->partition[at];
        bool null = value->type == PANG_VALUE_NULL, nan = is_nan(value);
        ret->contains_null = ret->contains_null || null;
        ret->contains_nan = ret->contains_nan || nan;
        if (null || nan)
            continue;
        if (least == NULL || compare(value, least, wire) < 0)
            least = value;
        if (greatest == NULL || compare(value, greatest, wire) > 0)
            greatest = value;
    }
    return least == NULL || (put_bound(least, wire, arena, &ret->lower) &&
                             put_bound(greatest, wire, arena, &ret->upper));
}

/* ---- counts ---- */

static bool count_entry(const pang_manifest_entry *entry, pang_manifest *row)
{
    static const struct {
        size_t files, rows;
    } members[] = {
        [PANG_ENTRY_EXISTING] = {offsetof(pang_manifest, existing_files),
                                 offsetof(pang_manifest, existing_rows)},
        [PANG_ENTRY_ADDED] = {offsetof(pang_manifest, added_files),
                              offsetof(pang_manifest, added_rows)},
        [PANG_ENTRY_DELETED] = {offsetof(pang_manifest, deleted_files),
                                offsetof(pang_manifest, deleted_rows)},
    };
    char *base = (char *)row;
    int32_t *files = (void *)(base + members[entry->status].files);
    int64_t *rows = (void *)(base + members[entry->status].rows);
    if (entry->status != PANG_ENTRY_DELETED && entry->has_sequence &&
        (row->min_sequence == PANG_MANIFEST_ASSIGNED || entry->sequence < row->min_sequence))
        row->min_sequence = entry->sequence;
    return !__builtin_add_overflow(*files, 1, files) &&
           !__builtin_add_overflow(*rows, entry->record_count, rows);
}

pang_code manifest_row(const pang_manifest_new *manifest, const pang_avro_field *partition,
                       size_t n, pang_arena *arena, pang_manifest *ret, pang_err *err)
{
    pang_manifest_bounds *bounds = pang_arena_alloc_n(arena, n, sizeof *bounds);
    *ret = (pang_manifest){.content = manifest->content,
                           .sequence = PANG_MANIFEST_ASSIGNED,
                           .min_sequence = PANG_MANIFEST_ASSIGNED,
                           .snapshot_id = PANG_MANIFEST_ASSIGNED,
                           .partitions = bounds,
                           .n_partitions = n};
    if (bounds == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < manifest->n; i++)
        if (!count_entry(manifest->entries[i], ret))
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                             "a manifest has more rows than can be counted");
    for (size_t k = 0; k < n; k++)
        if (!bounds_of(manifest, k, partition[k].type->wire, arena, &bounds[k]))
            return pang_fail_memory(err);
    return PANG_OK;
}
