/*
 * Reading records: a plan is made once for each file, the writer's schema with a place in the
 * caller's struct beside each type; records then run through it. Work is in proportion to bytes:
 * each step takes one at least, since types whose values take none (null, records of nothing) are
 * left out of the plan, and lists of such are refused.
 */
#include <string.h>

#include "server/avro_internal.h"

enum { VALUE_DEPTH_MAX = 64 };

/* ---- bytes ---- */

static size_t left(const avro_bytes *r)
{
    return (size_t)(r->end - r->at);
}

bool avro_long(avro_bytes *r, int64_t *ret)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (r->at == r->end)
            return false;
        unsigned char byte = (unsigned char)*r->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            *ret = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
            return true;
        }
    }
    return false;
}

bool avro_exact(avro_bytes *r, int64_t size, pang_str *ret)
{
    if (size < 0 || (uint64_t)size > left(r))
        return false;
    *ret = (pang_str){r->at, (size_t)size};
    r->at += size;
    return true;
}

bool avro_text(avro_bytes *r, pang_str *ret)
{
    int64_t size;
    return avro_long(r, &size) && avro_exact(r, size, ret);
}

/* ---- passing over ---- */

static bool skip(avro_bytes *r, const avro_node *node, unsigned depth);

/* How many items come; 0: no more. Each takes a byte at least, so the bytes bound them. */
static bool count_items(avro_bytes *r, const avro_node *item, bool may_jump, int64_t *ret)
{
    pang_str ignored;
    int64_t count, size;
    do {
        if (!avro_long(r, &count))
            return false;
        /* A negative count is followed by the block's bytes. */
        if (count < 0 && (count == INT64_MIN || !avro_long(r, &size)))
            return false;
        if (count < 0 && may_jump && !avro_exact(r, size, &ignored))
            return false;
    } while (count < 0 && may_jump);
    *ret = count < 0 ? -count : count;
    return *ret == 0 || (item->least > 0 && (uint64_t)*ret <= left(r) / item->least);
}

static bool skip_items(avro_bytes *r, const avro_node *node, unsigned depth)
{
    const avro_node *item = node->children[0];
    pang_str ignored;
    int64_t count;
    for (;;) {
        /* A map's item has a key besides; that its value takes a byte is asked all the same. */
        if (!count_items(r, item, true, &count))
            return false;
        if (count == 0)
            return true;
        for (int64_t i = 0; i < count; i++)
            if ((node->type == AVRO_MAP && !avro_text(r, &ignored)) || !skip(r, item, depth + 1))
                return false;
    }
}

static bool skip_union(avro_bytes *r, const avro_node *node, unsigned depth)
{
    int64_t index;
    return avro_long(r, &index) && index >= 0 && (uint64_t)index < node->n &&
           skip(r, node->children[index], depth + 1);
}

static bool skip_record(avro_bytes *r, const avro_node *node, unsigned depth)
{
    for (size_t i = 0; i < node->n; i++)
        if (!skip(r, node->children[i], depth + 1))
            return false;
    return true;
}

static bool skip(avro_bytes *r, const avro_node *node, unsigned depth)
{
    pang_str ignored;
    int64_t number;
    if (node->least == 0)
        return true;
    if (depth > VALUE_DEPTH_MAX)
        return false;
    switch (node->type) {
    case AVRO_NULL:
        return true;
    case AVRO_INT:
    case AVRO_ENUM:
        return avro_long(r, &number);
    case AVRO_BOOLEAN:
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
    case AVRO_FIXED:
        return avro_exact(r, (int64_t)node->least, &ignored);
    case AVRO_BYTES:
        return avro_text(r, &ignored);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return skip_items(r, node, depth);
    case AVRO_UNION:
        return skip_union(r, node, depth);
    case AVRO_RECORD:
        return skip_record(r, node, depth);
    }
    return false;
}

/* ---- the plan ---- */

static pang_code plan_type(avro_step *step, const avro_node *node, const pang_avro_field *to,
                           pang_arena *arena, pang_err *err);

static bool takes(pang_avro_kind kind, avro_type type)
{
    switch (kind) {
    case PANG_AVRO_INT32:
    case PANG_AVRO_INT64:
        return type == AVRO_INT;
    case PANG_AVRO_BOOL:
        return type == AVRO_BOOLEAN;
    case PANG_AVRO_STRING:
    case PANG_AVRO_BYTES:
        return type == AVRO_BYTES || type == AVRO_FIXED;
    case PANG_AVRO_VALUE:
        return type >= AVRO_BOOLEAN && type <= AVRO_FIXED;
    case PANG_AVRO_RECORD:
    case PANG_AVRO_RECORD_AT:
        return type == AVRO_RECORD;
    case PANG_AVRO_LIST:
    case PANG_AVRO_MAP:
        return type == AVRO_ARRAY;
    case PANG_AVRO_CONSTANT:
        break;
    }
    return false;
}

static const pang_avro_field *find_field(const avro_node *record, size_t i,
                                         const pang_avro_field *fields, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (fields[k].kind != PANG_AVRO_CONSTANT &&
            avro_field_is(record, i, fields[k].id, fields[k].name))
            return &fields[k];
    return NULL;
}

static pang_code plan_record(avro_step *step, const pang_avro_field *fields, size_t n,
                             pang_arena *arena, pang_err *err)
{
    const avro_node *node = step->node;
    step->inner = pang_arena_alloc_n(arena, node->n, sizeof *step->inner);
    if (step->inner == NULL)
        return pang_fail_memory(err);
    for (size_t k = 0; k < n; k++)
        if (fields[k].must && avro_field_type(node, fields[k].id, fields[k].name) == NULL)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                             "avro records lack the field \"%" PANG_STR_FMT "\"",
                             PANG_STR_ARG(fields[k].name));
    for (size_t i = 0; i < node->n; i++) {
        if (node->children[i]->least == 0)
            continue;
        pang_code code = plan_type(&step->inner[step->n++], node->children[i],
                                   find_field(node, i, fields, n), arena, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static bool holds_record(const avro_node *node)
{
    bool found = node->type == AVRO_RECORD;
    for (size_t i = 0; node->type == AVRO_UNION && i < node->n; i++)
        found = found || node->children[i]->type == AVRO_RECORD;
    return found;
}

static pang_code plan_list(avro_step *step, const pang_avro_field *to, pang_arena *arena,
                           pang_err *err)
{
    const avro_node *item = step->node->children[0];
    const pang_avro_field *where = to->inner;
    step->inner = pang_arena_alloc(arena, sizeof *step->inner);
    if (holds_record(item)) {
        pang_avro_field *whole = pang_arena_alloc(arena, sizeof *whole);
        if (whole == NULL)
            return pang_fail_memory(err);
        *whole = (pang_avro_field){.name = to->name,
                                   .kind = PANG_AVRO_RECORD,
                                   .has = PANG_AVRO_NO,
                                   .inner = to->inner,
                                   .n = to->n};
        where = whole;
    }
    return step->inner == NULL ? pang_fail_memory(err)
                               : plan_type(step->inner, item, where, arena, err);
}

static pang_code plan_union(avro_step *step, const pang_avro_field *to, pang_arena *arena,
                            pang_err *err)
{
    const avro_node *node = step->node;
    step->n = node->n;
    step->inner = pang_arena_alloc_n(arena, node->n, sizeof *step->inner);
    if (step->inner == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < node->n; i++) {
        if (node->children[i]->type == AVRO_UNION)
            return pang_fail(err, PANG_INVALID_ARGUMENT, NULL, "avro schema: a union in a union");
        pang_code code = plan_type(&step->inner[i], node->children[i], to, arena, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static pang_code plan_type(avro_step *step, const avro_node *node, const pang_avro_field *to,
                           pang_arena *arena, pang_err *err)
{
    *step = (avro_step){.node = node, .to = to};
    if (to == NULL || node->type == AVRO_NULL)
        return PANG_OK;
    if (node->type == AVRO_UNION)
        return plan_union(step, to, arena, err);
    if (!takes(to->kind, node->type))
        return pang_fail(err, PANG_INVALID_ARGUMENT, NULL,
                         "avro field \"%" PANG_STR_FMT "\" has another type than it should",
                         PANG_STR_ARG(to->name));
    if (node->type == AVRO_RECORD)
        return plan_record(step, to->inner, to->n, arena, err);
    if (node->type == AVRO_ARRAY)
        return plan_list(step, to, arena, err);
    return PANG_OK;
}

pang_code avro_plan(const avro_node *record, const pang_avro_field *fields, size_t n,
                    pang_arena *arena, avro_step *ret, pang_err *err)
{
    *ret = (avro_step){.node = record};
    return plan_record(ret, fields, n, arena, err);
}

/* ---- records ---- */

typedef struct {
    avro_bytes *bytes;
    pang_arena *arena;
    bool no_memory;
} decoder;

static bool decode(decoder *d, const avro_step *step, char *base);

pang_str pang_avro_decimal(pang_str bytes)
{
    while (bytes.len > 1) {
        unsigned char first = (unsigned char)bytes.ptr[0], second = (unsigned char)bytes.ptr[1];
        if (!(first == 0 && second < 0x80) && !(first == 0xFF && second >= 0x80))
            break;
        bytes = pang_str_after(bytes, 1);
    }
    return bytes;
}

static uint64_t little_endian(pang_str bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes.len; i-- > 0;)
        value = value << 8 | (uint8_t)bytes.ptr[i];
    return value;
}

static bool decode_real(decoder *d, const avro_node *node, pang_value *to)
{
    pang_str bytes;
    if (!avro_exact(d->bytes, (int64_t)node->least, &bytes))
        return false;
    uint64_t bits = little_endian(bytes);
    if (node->type == AVRO_DOUBLE) {
        to->type = PANG_VALUE_DOUBLE;
        memcpy(&to->real, &bits, sizeof to->real);
        return true;
    }
    uint32_t half = (uint32_t)bits;
    float real;
    memcpy(&real, &half, sizeof real);
    to->type = PANG_VALUE_FLOAT;
    to->real = (double)real;
    return true;
}

static bool decode_text(decoder *d, const avro_node *node, pang_str *to)
{
    return node->type == AVRO_FIXED ? avro_exact(d->bytes, node->size, to)
                                    : avro_text(d->bytes, to);
}

static bool decode_value(decoder *d, const avro_node *node, pang_value *to)
{
    pang_str bytes;
    switch (node->type) {
    case AVRO_BOOLEAN:
        if (!avro_exact(d->bytes, 1, &bytes))
            return false;
        to->type = PANG_VALUE_BOOLEAN;
        to->number = bytes.ptr[0] != 0;
        return true;
    case AVRO_INT:
        to->type = PANG_VALUE_INT;
        return avro_long(d->bytes, &to->number);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return decode_real(d, node, to);
    default:
        to->type = PANG_VALUE_BYTES;
        if (!decode_text(d, node, &to->text))
            return false;
        if (node->decimal)
            to->text = pang_avro_decimal(to->text);
        return true;
    }
}

static bool decode_leaf(decoder *d, const avro_step *step, char *base)
{
    const pang_avro_field *to = step->to;
    void *member = base + to->at;
    int64_t number;
    pang_str byte;
    if (to->has < PANG_AVRO_UNKNOWN)
        *(bool *)(void *)(base + to->has) = true;
    switch (to->kind) {
    case PANG_AVRO_INT64:
        return avro_long(d->bytes, member);
    case PANG_AVRO_INT32:
        if (!avro_long(d->bytes, &number) || number < INT32_MIN || number > INT32_MAX)
            return false;
        *(int32_t *)member = (int32_t)number;
        return true;
    case PANG_AVRO_BOOL:
        if (!avro_exact(d->bytes, 1, &byte))
            return false;
        *(bool *)member = byte.ptr[0] != 0;
        return true;
    case PANG_AVRO_STRING:
    case PANG_AVRO_BYTES:
        return decode_text(d, step->node, member);
    case PANG_AVRO_VALUE:
        return decode_value(d, step->node, member);
    default:
        return false;
    }
}

typedef struct {
    char *items;
    size_t n, room;
} list;

static bool list_grow(decoder *d, list *l, size_t more, size_t item_size)
{
    size_t room = l->room * 2;
    if (l->items != NULL && more <= l->room - l->n)
        return true;
    if (room < l->n + more)
        room = l->n + more;
    char *items = pang_arena_alloc_n(d->arena, room, item_size);
    if (items == NULL) {
        d->no_memory = true;
        return false;
    }
    if (l->items != NULL)
        memcpy(items, l->items, l->n * item_size);
    l->items = items;
    l->room = room;
    return true;
}

static bool decode_list(decoder *d, const avro_step *step, char *base)
{
    const pang_avro_field *to = step->to;
    const avro_step *item = step->inner;
    list l = {0};
    int64_t count;
    do {
        if (!count_items(d->bytes, item->node, false, &count) ||
            !list_grow(d, &l, (size_t)count, to->item_size))
            return false;
        for (int64_t i = 0; i < count; i++, l.n++)
            if (!decode(d, item, l.items + l.n * to->item_size))
                return false;
    } while (count > 0);
    memcpy(base + to->at, &l.items, sizeof l.items);
    memcpy(base + to->has, &l.n, sizeof l.n);
    return true;
}

static bool decode_record(decoder *d, const avro_step *step, char *base)
{
    for (size_t i = 0; i < step->n; i++)
        if (!decode(d, &step->inner[i], base))
            return false;
    return true;
}

static bool decode(decoder *d, const avro_step *step, char *base)
{
    const pang_avro_field *to = step->to;
    char *within = base;
    int64_t index;
    if (to == NULL)
        return skip(d->bytes, step->node, 0);
    switch (step->node->type) {
    case AVRO_NULL:
        return !to->must;
    case AVRO_UNION:
        return avro_long(d->bytes, &index) && index >= 0 && (uint64_t)index < step->n &&
               decode(d, &step->inner[index], base);
    case AVRO_ARRAY:
        return decode_list(d, step, base);
    case AVRO_RECORD:
        if (to->kind == PANG_AVRO_RECORD_AT) {
            memcpy(&within, base + to->at, sizeof within);
            memset(within, 0, to->n * to->item_size);
        }
        return decode_record(d, step, within);
    default:
        return decode_leaf(d, step, base);
    }
}

avro_outcome avro_decode(avro_bytes *bytes, const avro_step *record, pang_arena *arena, char *base)
{
    decoder d = {.bytes = bytes, .arena = arena};
    if (decode_record(&d, record, base))
        return AVRO_FINE;
    return d.no_memory ? AVRO_NO_MEMORY : AVRO_DAMAGED;
}
