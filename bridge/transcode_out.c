/*
 * Replies out: from the wire straight to JSON text. Fields come in the order of the description;
 * what is absent is left out, but for fields that are always written; 64-bit numbers stay numbers;
 * raw JSON is spliced; fields of headers and statuses do not stand in the body.
 */
#include <string.h>

#include "api/json.h"
#include "api/upb.h"
#include "api/wire.h"
#include "bridge/transcode.h"

enum { FIELDS_MAX = PANG_MESSAGE_FIELDS_MAX, DEPTH_MAX = 32 };

/* Where the occurrences of one field begin, and how many there are. */
typedef struct {
    pang_str from; /* the message from the first occurrence on */
    size_t n;
} found_field;

typedef struct {
    const pang_schema *schema;
    pang_buf *out;
    pang_err *err;
} writer;

static pang_code fail_message(const writer *w, const upb_MessageDef *type)
{
    return pang_fail(w->err, PANG_INTERNAL, NULL, "the reply is malformed: %s",
                     upb_MessageDef_FullName(type));
}

static pang_code fail_field(const writer *w, const upb_FieldDef *field)
{
    return pang_fail(w->err, PANG_INTERNAL, NULL, "the reply is malformed: %s",
                     upb_FieldDef_FullName(field));
}

/* One pass over a message: where each field is. */
static pang_code find_fields(const writer *w, const upb_MessageDef *type, pang_str message,
                             found_field found[FIELDS_MAX])
{
    pang_wire_field f;
    memset(found, 0, (size_t)upb_MessageDef_FieldCount(type) * sizeof found[0]);
    while (message.len > 0) {
        pang_str before = message;
        if (!pang_wire_next(&message, &f))
            return fail_message(w, type);
        const upb_FieldDef *field = upb_MessageDef_FindFieldByNumber(type, f.number);
        if (field == NULL)
            continue; /* a newer core's */
        size_t i = upb_FieldDef_Index(field);
        if (found[i].n++ == 0)
            found[i].from = before;
    }
    return PANG_OK;
}

/* The next occurrence of a number; REQUIRES: there is one. */
static pang_wire_field next_of(pang_str *from, uint32_t number)
{
    pang_wire_field f;
    do {
        if (!pang_wire_next(from, &f))
            return (pang_wire_field){0};
    } while (f.number != number);
    return f;
}

static pang_code write_message(const writer *w, const upb_MessageDef *type, pang_str message,
                               unsigned depth);

static pang_code write_scalar(const writer *w, const upb_FieldDef *field, uint64_t value)
{
    switch (upb_FieldDef_Type(field)) {
    case UPB_BOOL:
        pang_buf_add(w->out, value != 0 ? PANG_STR("true") : PANG_STR("false"));
        return PANG_OK;
    case UPB_UINT32:
    case UPB_UINT64:
        pang_buf_printf(w->out, "%llu", (unsigned long long)value);
        return PANG_OK;
    case UPB_INT32:
    case UPB_INT64:
        pang_buf_printf(w->out, "%lld", (long long)(int64_t)value);
        return PANG_OK;
    case UPB_ENUM: {
        const upb_EnumValueDef *name = upb_EnumDef_FindValueByNumber(upb_FieldDef_EnumSubDef(field),
                                                                     (int32_t)value);
        if (name == NULL)
            pang_buf_printf(w->out, "%d", (int)value);
        else
            pang_json_quote(w->out, pang_str_from(upb_EnumValueDef_Name(name)));
        return PANG_OK;
    }
    default:
        return pang_fail(w->err, PANG_INTERNAL, NULL, "field %s has no form in JSON",
                         upb_FieldDef_FullName(field));
    }
}

/* What is no UTF-8 would make the whole body unreadable; texts hold no NUL, in either direction. */
static pang_code write_text(const writer *w, const upb_FieldDef *field, pang_str text)
{
    if (!pang_str_is_utf8(text) || pang_str_find(text, '\0') < text.len)
        return fail_field(w, field);
    pang_json_quote(w->out, text);
    return PANG_OK;
}

static pang_code write_value(const writer *w, const upb_FieldDef *field, const pang_wire_field *f,
                             unsigned depth)
{
    int type = upb_FieldDef_Type(field);
    bool bytes = type == UPB_STRING || type == UPB_BYTES || type == UPB_MESSAGE;
    if (bytes != (f->wire == PANG_WIRE_BYTES))
        return fail_field(w, field);
    if (type == UPB_MESSAGE)
        return write_message(w, upb_FieldDef_MessageSubDef(field), f->bytes, depth + 1);
    if (type == UPB_STRING)
        return write_text(w, field, f->bytes);
    if (!pang_schema_field(w->schema, field)->raw_json)
        return write_scalar(w, field, f->value);
    /* Empty bytes are no JSON; the core leaves them out. */
    pang_buf_add(w->out, f->bytes.len > 0 ? f->bytes : PANG_STR("null"));
    return PANG_OK;
}

/* The last value wins, as everywhere in protobuf. */
static pang_code write_single(const writer *w, const upb_FieldDef *field, const found_field *at,
                              unsigned depth)
{
    pang_str from = at->from;
    pang_wire_field f = {0};
    for (size_t i = 0; i < at->n; i++)
        f = next_of(&from, upb_FieldDef_Number(field));
    return write_value(w, field, &f, depth);
}

static pang_code write_packed(const writer *w, const upb_FieldDef *field, pang_str bytes,
                              bool *first)
{
    uint64_t value;
    while (bytes.len > 0) {
        if (!pang_wire_varint(&bytes, &value))
            return fail_field(w, field);
        pang_buf_add(w->out, *first ? PANG_STR("") : PANG_STR(","));
        *first = false;
        pang_code code = write_scalar(w, field, value);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* The elements alone, with commas between. */
static pang_code write_elements(const writer *w, const upb_FieldDef *field, const found_field *at,
                                bool first, unsigned depth)
{
    pang_str from = at->from;
    int type = upb_FieldDef_Type(field);
    bool bytes = type == UPB_STRING || type == UPB_BYTES || type == UPB_MESSAGE;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < at->n; i++) {
        pang_wire_field f = next_of(&from, upb_FieldDef_Number(field));
        if (!bytes && f.wire == PANG_WIRE_BYTES) {
            code = write_packed(w, field, f.bytes, &first);
            continue;
        }
        pang_buf_add(w->out, first ? PANG_STR("") : PANG_STR(","));
        first = false;
        code = write_value(w, field, &f, depth);
    }
    return code;
}

static pang_code write_entry(const writer *w, const upb_FieldDef *field, pang_str entry,
                             unsigned depth)
{
    const upb_FieldDef *value_field = upb_MessageDef_FindFieldByNumber(
        upb_FieldDef_MessageSubDef(field), 2);
    pang_wire_field f, value = {.number = 2, .wire = PANG_WIRE_BYTES, .bytes = PANG_STR("")};
    pang_str key = PANG_STR("");
    int type = upb_FieldDef_Type(value_field);
    if (type != UPB_STRING && type != UPB_BYTES && type != UPB_MESSAGE)
        value.wire = PANG_WIRE_VARINT;
    while (entry.len > 0) {
        if (!pang_wire_next(&entry, &f))
            return fail_field(w, field);
        if (f.number == 1)
            key = f.bytes;
        else if (f.number == 2)
            value = f;
    }
    pang_code code = write_text(w, field, key);
    pang_buf_add_char(w->out, ':');
    return code == PANG_OK ? write_value(w, value_field, &value, depth) : code;
}

static pang_code write_map(const writer *w, const upb_FieldDef *field, const found_field *at,
                           unsigned depth)
{
    pang_str from = at->from;
    pang_code code = PANG_OK;
    pang_buf_add_char(w->out, '{');
    for (size_t i = 0; code == PANG_OK && i < at->n; i++) {
        pang_wire_field f = next_of(&from, upb_FieldDef_Number(field));
        pang_buf_add(w->out, i == 0 ? PANG_STR("") : PANG_STR(","));
        code = write_entry(w, field, f.bytes, depth);
    }
    pang_buf_add_char(w->out, '}');
    return code;
}

static pang_code write_field(const writer *w, const upb_FieldDef *field, const found_field *at,
                             unsigned depth)
{
    if (upb_FieldDef_IsMap(field))
        return write_map(w, field, at, depth);
    if (!upb_FieldDef_IsRepeated(field))
        return write_single(w, field, at, depth);
    pang_buf_add_char(w->out, '[');
    pang_code code = write_elements(w, field, at, true, depth);
    pang_buf_add_char(w->out, ']');
    return code;
}

/* What stands for a field that is always written and is absent. */
static pang_code write_empty(const writer *w, const upb_FieldDef *field)
{
    if (pang_schema_field(w->schema, field)->nullable) {
        pang_buf_add(w->out, PANG_STR("null"));
        return PANG_OK;
    }
    if (upb_FieldDef_IsRepeated(field)) {
        pang_buf_add(w->out, upb_FieldDef_IsMap(field) ? PANG_STR("{}") : PANG_STR("[]"));
        return PANG_OK;
    }
    switch (upb_FieldDef_Type(field)) {
    case UPB_MESSAGE:
        pang_buf_add(w->out, PANG_STR("{}"));
        return PANG_OK;
    case UPB_STRING:
        pang_buf_add(w->out, PANG_STR("\"\""));
        return PANG_OK;
    case UPB_BYTES:
        pang_buf_add(w->out, PANG_STR("null"));
        return PANG_OK;
    default:
        return write_scalar(w, field, 0);
    }
}

/* Fields that do not stand in the body. */
static bool is_outside(const pang_field_rule *rule)
{
    return rule->hidden || rule->response_header.len > 0 || rule->status_when_true != 0 ||
           rule->status_when_set != 0;
}

/* A member once more under its second name: its value is what stands behind `from`. */
static void add_twin(const writer *w, pang_str name, size_t from)
{
    size_t len = w->out->len - from;
    pang_buf_add_char(w->out, ',');
    pang_json_quote(w->out, name);
    pang_buf_add_char(w->out, ':');
    if (pang_buf_room(w->out, len) != NULL)
        pang_buf_add(w->out, pang_str_slice(pang_buf_str(w->out), from, len));
}

static pang_code write_fields(const writer *w, const upb_MessageDef *type, const found_field *found,
                              unsigned depth)
{
    bool first = true;
    pang_code code = PANG_OK;
    pang_buf_add_char(w->out, '{');
    for (int i = 0; code == PANG_OK && i < upb_MessageDef_FieldCount(type); i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(type, i);
        const pang_field_rule *rule = pang_schema_field(w->schema, field);
        const found_field *at = &found[upb_FieldDef_Index(field)];
        if (is_outside(rule) || (at->n == 0 && !rule->always))
            continue;
        pang_buf_add(w->out, first ? PANG_STR("") : PANG_STR(","));
        first = false;
        pang_json_quote(w->out, pang_str_from(upb_FieldDef_JsonName(field)));
        pang_buf_add_char(w->out, ':');
        size_t from = w->out->len;
        code = at->n == 0 ? write_empty(w, field) : write_field(w, field, at, depth);
        if (code == PANG_OK && rule->twin.len > 0)
            add_twin(w, rule->twin, from);
    }
    pang_buf_add_char(w->out, '}');
    return code;
}

/* The field that is the whole of its message's JSON: the first, by the description's checks. */
static const upb_FieldDef *unwrapped(const pang_schema *schema, const upb_MessageDef *type)
{
    const upb_FieldDef *first = upb_MessageDef_FieldCount(type) > 0 ? upb_MessageDef_Field(type, 0)
                                                                    : NULL;
    return first != NULL && pang_schema_field(schema, first)->unwrap ? first : NULL;
}

static pang_code write_body(const writer *w, const upb_MessageDef *type, const found_field *found,
                            unsigned depth)
{
    const upb_FieldDef *only = unwrapped(w->schema, type);
    if (only == NULL)
        return write_fields(w, type, found, depth);
    const found_field *at = &found[upb_FieldDef_Index(only)];
    return at->n == 0 ? write_empty(w, only) : write_field(w, only, at, depth);
}

static pang_code write_message(const writer *w, const upb_MessageDef *type, pang_str message,
                               unsigned depth)
{
    found_field found[FIELDS_MAX];
    if (depth > DEPTH_MAX)
        return fail_message(w, type);
    pang_code code = find_fields(w, type, message, found);
    if (code != PANG_OK)
        return code;
    return write_body(w, type, found, depth);
}

/* ---- whole replies ---- */

/* True for what may stand in a header: a line's end in it would begin another header. */
static bool is_header_value(pang_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] >= 0x7F)
            return false;
    }
    return true;
}

/* A field that stands for the whole reply, where it is there. */
static const upb_FieldDef *find_instead(const writer *w, const upb_MessageDef *type,
                                        const found_field *found)
{
    for (int i = 0; i < upb_MessageDef_FieldCount(type); i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(type, i);
        if (pang_schema_field(w->schema, field)->status_when_set != 0 &&
            found[upb_FieldDef_Index(field)].n > 0)
            return field;
    }
    return NULL;
}

/* Fills status and headers from the fields that are outside of the body. *ret_bodiless: one of them
 * says that there is none. */
static pang_code read_outside(const writer *w, const upb_MessageDef *type, const found_field *found,
                              pang_transcode_reply *ret, bool *ret_bodiless)
{
    for (int i = 0; i < upb_MessageDef_FieldCount(type); i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(type, i);
        const pang_field_rule *rule = pang_schema_field(w->schema, field);
        const found_field *at = &found[upb_FieldDef_Index(field)];
        if (at->n == 0 || !is_outside(rule))
            continue;
        pang_str from = at->from;
        pang_wire_field f = next_of(&from, upb_FieldDef_Number(field));
        if (rule->status_when_true != 0 && f.value != 0) {
            ret->status = rule->status_when_true;
            *ret_bodiless = true;
        }
        if (rule->status_when_set != 0)
            ret->status = rule->status_when_set;
        if (rule->response_header.len == 0 || f.bytes.len == 0)
            continue;
        if (ret->n_headers == PANG_REPLY_HEADERS_MAX || !is_header_value(f.bytes))
            return fail_field(w, field);
        ret->headers[ret->n_headers++] = (pang_http_field){rule->response_header, f.bytes};
    }
    return PANG_OK;
}

pang_code pang_transcode_out(const pang_schema *schema, const pang_schema_method *method,
                             pang_str message, pang_arena *arena, pang_transcode_reply *ret,
                             pang_err *err)
{
    pang_buf out = {.arena = arena};
    writer w = {.schema = schema, .out = &out, .err = err};
    found_field found[FIELDS_MAX];
    *ret = (pang_transcode_reply){.status = method->success};
    pang_code code = find_fields(&w, method->out, message, found);
    if (code != PANG_OK)
        return code;
    bool bodiless = false;
    code = read_outside(&w, method->out, found, ret, &bodiless);
    if (code != PANG_OK)
        return code;
    if (bodiless || ret->status == 204 || ret->status == 303)
        return PANG_OK;
    /* Text is about as long as the message: one block instead of a chain of growing ones. */
    (void)pang_buf_room(&out, message.len + message.len / 8 + 256);
    const upb_FieldDef *instead = find_instead(&w, method->out, found);
    if (instead != NULL)
        code = write_field(&w, instead, &found[upb_FieldDef_Index(instead)], 0);
    else
        code = write_body(&w, method->out, found, 0);
    if (code != PANG_OK)
        return code;
    if (out.failed)
        return pang_fail_memory(err);
    ret->body = pang_buf_str(&out);
    return PANG_OK;
}

/* ---- lists, page by page ---- */

static const upb_FieldDef *find_field(const upb_MessageDef *type, pang_str name)
{
    return upb_MessageDef_FindFieldByNameWithSize(type, name.ptr, name.len);
}

bool pang_transcode_wants_all(const pang_schema_method *method, pang_str message)
{
    const upb_FieldDef *token = find_field(method->in, PANG_STR("page_token"));
    const upb_FieldDef *size = find_field(method->in, PANG_STR("page_size"));
    pang_wire_field f;
    if (method->paging_items == NULL || token == NULL)
        return false;
    if (method->dialect != PANG_DIALECT_MANAGEMENT)
        size = NULL;
    while (pang_wire_next(&message, &f)) {
        if (f.number == upb_FieldDef_Number(token) ||
            (size != NULL && f.number == upb_FieldDef_Number(size)))
            return false;
    }
    return true;
}

/* Later fields of a number replace earlier ones, so the page is appended to the request. */
pang_code pang_transcode_page(const pang_schema_method *method, pang_str message, pang_str token,
                              uint32_t size, pang_arena *arena, pang_str *ret, pang_err *err)
{
    const upb_FieldDef *token_field = find_field(method->in, PANG_STR("page_token"));
    const upb_FieldDef *size_field = find_field(method->in, PANG_STR("page_size"));
    pang_buf out = {.arena = arena};
    pang_buf_add(&out, message);
    pang_wire_add_bytes(&out, upb_FieldDef_Number(token_field), token);
    if (size_field != NULL) {
        pang_wire_add_tag(&out, upb_FieldDef_Number(size_field), PANG_WIRE_VARINT);
        pang_wire_add_varint(&out, size);
    }
    *ret = pang_buf_str(&out);
    return out.failed ? pang_fail_memory(err) : PANG_OK;
}

pang_str pang_transcode_list_begin(const pang_schema *schema, const pang_schema_method *method,
                                   pang_arena *arena)
{
    pang_buf out = {.arena = arena};
    if (method->paging_lines)
        return PANG_STR("");
    if (unwrapped(schema, method->out) != NULL)
        return PANG_STR("[");
    pang_buf_add_char(&out, '{');
    pang_json_quote(&out, pang_str_from(upb_FieldDef_JsonName(method->paging_items)));
    pang_buf_add(&out, PANG_STR(":["));
    return out.failed ? PANG_STR("") : pang_buf_str(&out);
}

/* One element a line. A line's end within one is blank space of spliced JSON. */
static pang_code write_lines(const writer *w, const upb_FieldDef *field, const found_field *at)
{
    pang_str from = at->from;
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < at->n; i++) {
        pang_wire_field f = next_of(&from, upb_FieldDef_Number(field));
        size_t begin = w->out->len;
        code = write_value(w, field, &f, 0);
        for (size_t j = begin; !w->out->failed && j < w->out->len; j++) {
            if (w->out->ptr[j] == '\n' || w->out->ptr[j] == '\r')
                w->out->ptr[j] = ' ';
        }
        pang_buf_add_char(w->out, '\n');
    }
    return code;
}

pang_code pang_transcode_list_part(const pang_schema *schema, const pang_schema_method *method,
                                   pang_str message, bool first, pang_arena *arena,
                                   pang_str *ret_text, pang_str *ret_token, pang_err *err)
{
    const upb_FieldDef *token = find_field(method->out, PANG_STR("next_page_token"));
    pang_buf out = {.arena = arena};
    writer w = {.schema = schema, .out = &out, .err = err};
    found_field found[FIELDS_MAX];
    pang_code code = find_fields(&w, method->out, message, found);
    const found_field *items = &found[upb_FieldDef_Index(method->paging_items)];
    if (code == PANG_OK && method->paging_lines)
        code = write_lines(&w, method->paging_items, items);
    else if (code == PANG_OK)
        code = write_elements(&w, method->paging_items, items, first, 0);
    if (code != PANG_OK)
        return code;
    *ret_token = PANG_STR("");
    if (token != NULL && found[upb_FieldDef_Index(token)].n > 0) {
        pang_str from = found[upb_FieldDef_Index(token)].from;
        *ret_token = next_of(&from, upb_FieldDef_Number(token)).bytes;
    }
    *ret_text = pang_buf_str(&out);
    return out.failed ? pang_fail_memory(err) : PANG_OK;
}

pang_str pang_transcode_list_end(const pang_schema *schema, const pang_schema_method *method)
{
    if (method->paging_lines)
        return PANG_STR("");
    return unwrapped(schema, method->out) != NULL ? PANG_STR("]") : PANG_STR("]}");
}
