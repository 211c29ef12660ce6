/*
 * Messages from outside, before protobuf-c sees them: well-formed on the wire, every known field of
 * the type it is declared with, every string UTF-8 and without NUL, nested no deeper than a bound.
 */
#include <string.h>

#include "api/schema_internal.h"

enum { MESSAGE_DEPTH_MAX = 32 };

static pang_code refuse(pang_err *err, const upb_MessageDef *type, const upb_FieldDef *field,
                        const char *what)
{
    return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                     "message %s is malformed: %s%s%s", upb_MessageDef_FullName(type), what,
                     field == NULL ? "" : " in field ",
                     field == NULL ? "" : upb_FieldDef_Name(field));
}

static unsigned wire_of(int type)
{
    switch (type) {
    case UPB_DOUBLE:
    case UPB_FIXED64:
    case UPB_SFIXED64:
        return PANG_WIRE_64;
    case UPB_FLOAT:
    case UPB_FIXED32:
    case UPB_SFIXED32:
        return PANG_WIRE_32;
    case UPB_STRING:
    case UPB_BYTES:
    case UPB_MESSAGE:
        return PANG_WIRE_BYTES;
    default:
        return PANG_WIRE_VARINT;
    }
}

/* A packed list: numbers one behind the other. */
static bool is_packed_list(unsigned wire, pang_str bytes)
{
    uint64_t ignored;
    if (wire == PANG_WIRE_64 || wire == PANG_WIRE_32)
        return bytes.len % (wire == PANG_WIRE_64 ? 8 : 4) == 0;
    while (bytes.len > 0) {
        if (!pang_wire_varint(&bytes, &ignored))
            return false;
    }
    return true;
}

static pang_code validate(const upb_MessageDef *type, pang_str bytes, unsigned depth,
                          pang_err *err);

static pang_code validate_field(const upb_MessageDef *type, const upb_FieldDef *field,
                                const pang_wire_field *f, unsigned depth, pang_err *err)
{
    int kind = upb_FieldDef_Type(field);
    unsigned wire = wire_of(kind);
    if (f->wire != wire) {
        bool packed = f->wire == PANG_WIRE_BYTES && upb_FieldDef_IsRepeated(field) &&
                      is_packed_list(wire, f->bytes);
        return packed ? PANG_OK : refuse(err, type, field, "wrong wire type");
    }
    if (kind == UPB_MESSAGE)
        return validate(upb_FieldDef_MessageSubDef(field), f->bytes, depth + 1, err);
    if (kind != UPB_STRING || f->bytes.len == 0)
        return PANG_OK;
    if (memchr(f->bytes.ptr, '\0', f->bytes.len) != NULL)
        return refuse(err, type, field, "a NUL");
    return pang_str_is_utf8(f->bytes) ? PANG_OK : refuse(err, type, field, "text is not UTF-8");
}

static pang_code validate(const upb_MessageDef *type, pang_str bytes, unsigned depth, pang_err *err)
{
    pang_wire_field f;
    if (depth > MESSAGE_DEPTH_MAX)
        return refuse(err, type, NULL, "nested too deep");
    while (bytes.len > 0) {
        if (!pang_wire_next(&bytes, &f))
            return refuse(err, type, NULL, "bad encoding");
        const upb_FieldDef *field = upb_MessageDef_FindFieldByNumber(type, f.number);
        pang_code code = field == NULL ? PANG_OK : validate_field(type, field, &f, depth, err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

pang_code pang_schema_validate(const pang_schema *schema, const upb_MessageDef *type,
                               pang_str bytes, pang_err *err)
{
    (void)schema;
    return validate(type, bytes, 0, err);
}
