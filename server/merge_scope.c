/*
 * Scope, as readers see it: equality deletes hold in their partition (global ones everywhere) for
 * values between their bounds; position deletes in their partition for paths between theirs.
 */
#include "server/merge_scope.h"

#include <string.h>

#include "server/model_look.h"

enum { DECIMAL_BYTES = 32, NESTING_MAX = 64 };

/* ---- types ---- */

static const pang_json *find_field(const pang_json *type, int32_t id, int depth);

/* A list's element, a map's key or value: their ids stand beside them. */
static const pang_json *find_inner(const pang_json *type, const char *id_name, const char *name,
                                   int32_t id, int depth)
{
    const pang_json *inner = pang_json_get(type, name);
    if (inner == NULL || pang_model_int(type, id_name, -1) == id)
        return inner;
    return find_field(inner, id, depth);
}

static const pang_json *find_field(const pang_json *type, int32_t id, int depth)
{
    const pang_json *fields = pang_json_get(type, "fields"), *found = NULL;
    if (depth > NESTING_MAX)
        return NULL;
    for (size_t i = 0; found == NULL && i < pang_json_size(fields); i++) {
        const pang_json *field = pang_json_at(fields, i), *inner = pang_json_get(field, "type");
        found = pang_model_int(field, "id", -1) == id ? inner : find_field(inner, id, depth + 1);
    }
    if (found == NULL)
        found = find_inner(type, "element-id", "element", id, depth + 1);
    if (found == NULL)
        found = find_inner(type, "key-id", "key", id, depth + 1);
    return found != NULL ? found : find_inner(type, "value-id", "value", id, depth + 1);
}

static pang_str column_type(const pang_json *document, int32_t id)
{
    const pang_json *schemas = pang_json_get(document, "schemas");
    const pang_json *found = NULL;
    pang_str text = {0};
    for (size_t i = pang_json_size(schemas); found == NULL && i > 0; i--)
        found = find_field(pang_json_at(schemas, i - 1), id, 0);
    if (found == NULL)
        found = find_field(pang_json_get(document, "schema"), id, 0);
    (void)pang_json_to_str(found, &text);
    return text;
}

/* ---- bounds ---- */

typedef enum { NUMBERS, REALS, BYTES, DECIMALS, UNKNOWN } order;

static order order_of(pang_str type, size_t *ret_size)
{
    static const struct {
        const char *name;
        order order;
        size_t size; /* 0: any that both have */
    } types[] = {{"boolean", BYTES, 1},
                 {"int", NUMBERS, 4},
                 {"long", NUMBERS, 0},
                 {"float", REALS, 4},
                 {"double", REALS, 0},
                 {"date", NUMBERS, 4},
                 {"time", NUMBERS, 8},
                 {"timestamp", NUMBERS, 8},
                 {"timestamptz", NUMBERS, 8},
                 {"timestamp_ns", NUMBERS, 8},
                 {"timestamptz_ns", NUMBERS, 8},
                 {"string", BYTES, 0},
                 {"uuid", BYTES, 16},
                 {"binary", BYTES, 0}};
    *ret_size = 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (pang_str_equal(type, pang_str_from(types[i].name))) {
            *ret_size = types[i].size;
            return types[i].order;
        }
    }
    if (pang_str_starts(type, PANG_STR("decimal")))
        return DECIMALS;
    return pang_str_starts(type, PANG_STR("fixed")) ? BYTES : UNKNOWN;
}

static bool read_number(pang_str bytes, int64_t *ret)
{
    uint64_t value = 0;
    if (bytes.len != 4 && bytes.len != 8)
        return false;
    for (size_t i = bytes.len; i > 0; i--)
        value = value << 8 | (uint8_t)bytes.ptr[i - 1];
    *ret = bytes.len == 4 ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value;
    return true;
}

static bool read_real(pang_str bytes, double *ret)
{
    int64_t bits;
    float narrow;
    uint32_t low;
    if (!read_number(bytes, &bits))
        return false;
    if (bytes.len == 8) {
        memcpy(ret, &bits, sizeof *ret);
    } else {
        low = (uint32_t)bits;
        memcpy(&narrow, &low, sizeof narrow);
        *ret = (double)narrow;
    }
    return *ret == *ret;
}

/* Sign-extended, and so that unsigned order is theirs. */
static bool read_decimal(pang_str bytes, char to[DECIMAL_BYTES])
{
    if (bytes.len == 0 || bytes.len > DECIMAL_BYTES)
        return false;
    memset(to, (bytes.ptr[0] & 0x80) != 0 ? 0xFF : 0, DECIMAL_BYTES);
    memcpy(to + DECIMAL_BYTES - bytes.len, bytes.ptr, bytes.len);
    to[0] = (char)((uint8_t)to[0] ^ 0x80);
    return true;
}

/* Whether a is surely less than b. */
static bool surely_less(order by, pang_str a, pang_str b)
{
    int64_t left, right;
    double x, y;
    char p[DECIMAL_BYTES], q[DECIMAL_BYTES];
    if (a.ptr == NULL || b.ptr == NULL)
        return false;
    switch (by) {
    case NUMBERS:
        return read_number(a, &left) && read_number(b, &right) && left < right;
    case REALS:
        return read_real(a, &x) && read_real(b, &y) && x < y;
    case BYTES:
        return pang_str_compare(a, b) < 0;
    case DECIMALS:
        return read_decimal(a, p) && read_decimal(b, q) && memcmp(p, q, DECIMAL_BYTES) < 0;
    case UNKNOWN:
        break;
    }
    return false;
}

static bool fits(pang_str bound, size_t size)
{
    return bound.ptr == NULL || size == 0 || bound.len == size;
}

static const pang_column_facts *facts_of(const pang_live_file *file, int32_t column)
{
    for (size_t i = 0; i < file->n_columns; i++) {
        if (file->columns[i].column == column)
            return &file->columns[i];
    }
    return NULL;
}

static bool may_be_null(const pang_column_facts *facts)
{
    return facts->nulls != 0;
}

static bool all_null(const pang_column_facts *facts)
{
    return facts->nulls >= 0 && facts->values > 0 && facts->nulls == facts->values;
}

/* True when no row of the one can equal a row of the other in this column. */
static bool apart(order by, size_t size, const pang_column_facts *a, const pang_column_facts *b)
{
    if (may_be_null(a) && may_be_null(b))
        return false;
    if (all_null(a) || all_null(b))
        return true; /* the other one surely has no null */
    if (!fits(a->lower, size) || !fits(a->upper, size) || !fits(b->lower, size) ||
        !fits(b->upper, size))
        return false;
    return surely_less(by, a->upper, b->lower) || surely_less(by, b->upper, a->lower);
}

void pang_equality_scope_open(const pang_json *document, const pang_live_file *deletes,
                              pang_equality_scope *ret)
{
    *ret = (pang_equality_scope){.deletes = deletes};
    for (size_t i = 0; i < deletes->n_equality_ids && i < PANG_SCOPE_COLUMNS; i++) {
        pang_str type = column_type(document, deletes->equality_ids[i]);
        ret->columns[i].order = (int)order_of(type, &ret->columns[i].size);
        ret->n = i + 1;
    }
}

bool pang_equality_reaches(const pang_equality_scope *scope, const pang_live_file *data)
{
    const pang_live_file *deletes = scope->deletes;
    if (!deletes->in->global && deletes->in != data->in)
        return false;
    for (size_t i = 0; i < scope->n; i++) {
        const pang_column_facts *ours = facts_of(deletes, deletes->equality_ids[i]);
        const pang_column_facts *theirs = facts_of(data, deletes->equality_ids[i]);
        if (ours != NULL && theirs != NULL &&
            apart((order)scope->columns[i].order, scope->columns[i].size, ours, theirs))
            return false;
    }
    return true;
}

/* ---- positions ---- */

/* The least and greatest path it may be about; ptr NULL: no bound. */
static void path_range(const pang_live_file *deletes, pang_str *low, pang_str *high)
{
    *low = deletes->refers.ptr != NULL ? deletes->refers : deletes->path_low;
    *high = deletes->refers.ptr != NULL ? deletes->refers : deletes->path_high;
}

bool pang_positions_reach(const pang_live_file *deletes, const pang_live_file *data)
{
    pang_str low, high;
    if (deletes->refers.ptr != NULL)
        return pang_str_equal(deletes->refers, data->path);
    path_range(deletes, &low, &high);
    return deletes->in == data->in && (low.ptr == NULL || pang_str_compare(low, data->path) <= 0) &&
           (high.ptr == NULL || pang_str_compare(data->path, high) <= 0);
}

bool pang_positions_meet(const pang_live_file *a, const pang_live_file *b)
{
    pang_str a_low, a_high, b_low, b_high;
    if (a->refers.ptr != NULL && b->refers.ptr != NULL)
        return pang_str_equal(a->refers, b->refers);
    path_range(a, &a_low, &a_high);
    path_range(b, &b_low, &b_high);
    return a->in == b->in &&
           (a_high.ptr == NULL || b_low.ptr == NULL || pang_str_compare(b_low, a_high) <= 0) &&
           (b_high.ptr == NULL || a_low.ptr == NULL || pang_str_compare(a_low, b_high) <= 0);
}
