/*
 * Writing records: the schema and the bytes both come from the table of fields, so that they
 * cannot disagree. A field that may be null is a union of null and its type, in this order.
 */
#include <inttypes.h>
#include <string.h>

#include "api/json.h"
#include "server/avro_internal.h"

/* ---- the schema ---- */

static void print_fields(const pang_avro_field *fields, size_t n, int version, pang_buf *to);

static bool is_written(const pang_avro_field *field, int version)
{
    return field->since <= version && (field->until == 0 || version <= field->until);
}

static bool may_be_null(const pang_avro_field *field, int version)
{
    if (field->kind == PANG_AVRO_VALUE)
        return field->type->wire != PANG_WIRE_NULL;
    return field->required == 0 || version < field->required;
}

static void print_record(const pang_avro_field *field, int version, pang_buf *to)
{
    pang_buf_printf(to, "{\"type\":\"record\",\"name\":\"%s\",\"fields\":[", field->record);
    print_fields(field->inner, field->n, version, to);
    pang_buf_add(to, PANG_STR("]}"));
}

static void print_list(const pang_avro_field *field, int version, pang_buf *to)
{
    pang_buf_add(to, PANG_STR("{\"type\":\"array\",\"items\":"));
    if (field->record != NULL)
        print_record(field, version, to);
    else
        pang_buf_add(to, field->inner->kind == PANG_AVRO_INT32 ? PANG_STR("\"int\"")
                                                               : PANG_STR("\"long\""));
    if (field->kind == PANG_AVRO_MAP)
        pang_buf_add(to, PANG_STR(",\"logicalType\":\"map\"}"));
    else
        pang_buf_printf(to, ",\"element-id\":%" PRId32 "}", field->item_id);
}

static void print_type(const pang_avro_field *field, int version, pang_buf *to)
{
    static const char *const words[] = {
        [PANG_AVRO_INT32] = "\"int\"",    [PANG_AVRO_INT64] = "\"long\"",
        [PANG_AVRO_BOOL] = "\"boolean\"", [PANG_AVRO_STRING] = "\"string\"",
        [PANG_AVRO_BYTES] = "\"bytes\"",  [PANG_AVRO_CONSTANT] = "\"long\"",
    };
    switch (field->kind) {
    case PANG_AVRO_VALUE:
        pang_buf_add(to, field->type->json);
        return;
    case PANG_AVRO_RECORD:
    case PANG_AVRO_RECORD_AT:
        print_record(field, version, to);
        return;
    case PANG_AVRO_LIST:
    case PANG_AVRO_MAP:
        print_list(field, version, to);
        return;
    default:
        pang_buf_add(to, pang_str_from(words[field->kind]));
    }
}

static void print_fields(const pang_avro_field *fields, size_t n, int version, pang_buf *to)
{
    bool first = true;
    for (size_t i = 0; i < n; i++) {
        if (!is_written(&fields[i], version))
            continue;
        bool null = may_be_null(&fields[i], version);
        pang_buf_add(to, first ? PANG_STR("{\"name\":") : PANG_STR(",{\"name\":"));
        first = false;
        pang_json_quote(to, fields[i].name);
        pang_buf_add(to, null ? PANG_STR(",\"type\":[\"null\",") : PANG_STR(",\"type\":"));
        print_type(&fields[i], version, to);
        pang_buf_add(to, null ? PANG_STR("],\"default\":null") : PANG_STR(""));
        if (fields[i].id >= 0)
            pang_buf_printf(to, ",\"field-id\":%" PRId32, fields[i].id);
        pang_buf_add_char(to, '}');
    }
}

void avro_print_schema(const pang_avro_new *file, pang_buf *to)
{
    pang_avro_field whole = {.record = file->record, .inner = file->fields, .n = file->n_fields};
    print_record(&whole, file->version, to);
}

/* ---- records ---- */

typedef struct {
    pang_buf *to;
    int version;
    pang_err *err;
} encoder;

static pang_code encode_fields(encoder *e, const pang_avro_field *fields, size_t n,
                               const char *base);

void avro_put_long(pang_buf *to, int64_t value)
{
    char bytes[10];
    size_t n = 0;
    uint64_t zigzag = (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
    for (; zigzag > 0x7F; zigzag >>= 7)
        bytes[n++] = (char)(uint8_t)(zigzag | 0x80);
    bytes[n++] = (char)zigzag;
    pang_buf_add(to, (pang_str){bytes, n});
}

void avro_put_text(pang_buf *to, pang_str text)
{
    avro_put_long(to, (int64_t)text.len);
    pang_buf_add(to, text);
}

static void put_little_endian(pang_buf *to, uint64_t bits, size_t size)
{
    char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(uint8_t)(bits >> (8 * i));
    pang_buf_add(to, (pang_str){bytes, size});
}

static void put_real(pang_buf *to, double real, pang_avro_wire wire)
{
    uint64_t bits = 0;
    float half = (float)real;
    if (wire == PANG_WIRE_FLOAT)
        memcpy(&bits, &half, sizeof half);
    else
        memcpy(&bits, &real, sizeof real);
    put_little_endian(to, bits, wire == PANG_WIRE_FLOAT ? sizeof half : sizeof real);
}

static bool put_decimal(pang_buf *to, pang_str bytes, size_t size)
{
    bytes = pang_avro_decimal(bytes);
    if (bytes.len > size || bytes.len == 0)
        return false;
    for (size_t i = bytes.len; i < size; i++)
        pang_buf_add_char(to, (unsigned char)bytes.ptr[0] >= 0x80 ? (char)-1 : '\0');
    pang_buf_add(to, bytes);
    return true;
}

/* False when the type does not take the value. */
static bool put_value(pang_buf *to, const pang_avro_type *type, const pang_value *value)
{
    switch (type->wire) {
    case PANG_WIRE_NULL:
        return false;
    case PANG_WIRE_BOOLEAN:
        pang_buf_add_char(to, value->number != 0 ? 1 : 0);
        return value->type == PANG_VALUE_BOOLEAN;
    case PANG_WIRE_INT:
    case PANG_WIRE_LONG:
        avro_put_long(to, value->number);
        return value->type == PANG_VALUE_INT &&
               (type->wire == PANG_WIRE_LONG ||
                (value->number >= INT32_MIN && value->number <= INT32_MAX));
    case PANG_WIRE_FLOAT:
    case PANG_WIRE_DOUBLE:
        put_real(to, value->real, type->wire);
        return value->type == PANG_VALUE_FLOAT ||
               (value->type == PANG_VALUE_DOUBLE && type->wire == PANG_WIRE_DOUBLE);
    case PANG_WIRE_BYTES:
        avro_put_text(to, value->text);
        return value->type == PANG_VALUE_BYTES;
    case PANG_WIRE_FIXED:
        pang_buf_add(to, value->text);
        return value->type == PANG_VALUE_BYTES && value->text.len == type->size;
    case PANG_WIRE_DECIMAL:
        return value->type == PANG_VALUE_BYTES && put_decimal(to, value->text, type->size);
    }
    return false;
}

static int64_t number_of(const pang_avro_field *field, const char *member)
{
    int32_t narrow;
    int64_t wide;
    if (field->kind == PANG_AVRO_INT32) {
        memcpy(&narrow, member, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, member, sizeof wide);
    return wide;
}

static bool is_there(const pang_avro_field *field, const char *base)
{
    const void *member = base + field->at, *items;
    switch (field->kind) {
    case PANG_AVRO_INT32:
    case PANG_AVRO_INT64:
    case PANG_AVRO_BOOL:
        if (field->has == PANG_AVRO_UNKNOWN)
            return number_of(field, member) != -1;
        return field->has == PANG_AVRO_NO || *(const bool *)(const void *)(base + field->has);
    case PANG_AVRO_STRING:
    case PANG_AVRO_BYTES:
        return ((const pang_str *)member)->ptr != NULL;
    case PANG_AVRO_VALUE:
        return ((const pang_value *)member)->type != PANG_VALUE_NULL;
    case PANG_AVRO_LIST:
    case PANG_AVRO_MAP:
        memcpy(&items, member, sizeof items);
        return items != NULL;
    default:
        return true;
    }
}

static pang_code encode_list(encoder *e, const pang_avro_field *field, const char *base)
{
    const char *items;
    size_t n;
    pang_code code = PANG_OK;
    memcpy(&items, base + field->at, sizeof items);
    memcpy(&n, base + field->has, sizeof n);
    if (n > 0)
        avro_put_long(e->to, (int64_t)n);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = encode_fields(e, field->inner, field->n, items + i * field->item_size);
    avro_put_long(e->to, 0);
    return code;
}

static pang_code encode_leaf(encoder *e, const pang_avro_field *field, const char *base)
{
    const void *member = base + field->at;
    switch (field->kind) {
    case PANG_AVRO_INT32:
    case PANG_AVRO_INT64:
        avro_put_long(e->to, number_of(field, member));
        return PANG_OK;
    case PANG_AVRO_BOOL:
        pang_buf_add_char(e->to, *(const bool *)member ? 1 : 0);
        return PANG_OK;
    case PANG_AVRO_CONSTANT:
        avro_put_long(e->to, (int64_t)field->at);
        return PANG_OK;
    case PANG_AVRO_VALUE:
        if (put_value(e->to, field->type, member))
            return PANG_OK;
        return pang_fail(e->err, PANG_INVALID_ARGUMENT, NULL,
                         "partition field \"%" PANG_STR_FMT "\" does not take its value",
                         PANG_STR_ARG(field->name));
    default:
        avro_put_text(e->to, *(const pang_str *)member);
        return PANG_OK;
    }
}

static pang_code encode_field(encoder *e, const pang_avro_field *field, const char *base)
{
    const char *within;
    switch (field->kind) {
    case PANG_AVRO_RECORD:
        return encode_fields(e, field->inner, field->n, base);
    case PANG_AVRO_RECORD_AT:
        memcpy(&within, base + field->at, sizeof within);
        return encode_fields(e, field->inner, field->n, within);
    case PANG_AVRO_LIST:
    case PANG_AVRO_MAP:
        return encode_list(e, field, base);
    default:
        return encode_leaf(e, field, base);
    }
}

static pang_code encode_fields(encoder *e, const pang_avro_field *fields, size_t n,
                               const char *base)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        const pang_avro_field *field = &fields[i];
        if (!is_written(field, e->version))
            continue;
        bool there = field->kind == PANG_AVRO_CONSTANT || is_there(field, base);
        if (may_be_null(field, e->version))
            avro_put_long(e->to, there ? 1 : 0);
        else if (!there && field->kind != PANG_AVRO_VALUE)
            return pang_fail(e->err, PANG_INVALID_ARGUMENT, NULL,
                             "\"%" PANG_STR_FMT "\" is missing, which version %d demands",
                             PANG_STR_ARG(field->name), e->version);
        if (there)
            code = encode_field(e, field, base);
    }
    return code;
}

pang_code avro_encode(const pang_avro_new *file, const void *item, pang_buf *to, pang_err *err)
{
    encoder e = {to, file->version, err};
    return encode_fields(&e, file->fields, file->n_fields, item);
}
