/*
 * Requests in: path, query, headers and body become one message. The body is read token by token;
 * where it stands is kept as a path of names and indexes, so that an error can name the field.
 *
 * A field can be filled from one place only: what the path or a header fills is skipped in the
 * body, so that a body cannot say something else than what was routed and will be authorised. And
 * it is filled once: two spellings of one field that say different things, or two members of a
 * oneof, are refused, for readers would differ in which of them counts.
 *
 * Of Iceberg's requests with a {prefix} and no field `branch`, `?branch=b` is the prefix
 * `catalog@b`.
 */
#include <stdio.h>
#include <string.h>

#include "api/json.h"
#include "api/upb.h"
#include "api/wire.h"
#include "bridge/transcode.h"

/* Each open object has one step, that of the member at hand, and each open array one. */
enum { PLACE_MAX = PANG_JSON_DEPTH_MAX + 1 };

/* One step of the place in a body: a member's name, or an element's index. */
typedef struct {
    pang_str name;
    size_t index;
    bool is_index;
} step;

typedef struct {
    const pang_schema *schema;
    const pang_route_match *match;
    pang_arena *arena;
    pang_json_scanner scan;
    step place[PLACE_MAX];
    size_t n_place;
    uint64_t given; /* fields of the request message that query and body have filled */
    pang_str ref;   /* of the parameter "branch", for the prefix; empty: none */
    pang_err *err;
} reader;

/* ---- errors ---- */

static pang_str render_place(const reader *r)
{
    pang_buf text = {.arena = r->arena};
    for (size_t i = 0; i < r->n_place; i++) {
        if (r->place[i].is_index)
            pang_buf_printf(&text, "[%zu]", r->place[i].index);
        else
            pang_buf_printf(&text, "%s%" PANG_STR_FMT, i == 0 ? "" : ".",
                            PANG_STR_ARG(pang_str_slice(r->place[i].name, 0, 100)));
    }
    return pang_buf_str(&text);
}

static pang_code fail_form(const reader *r, const char *what)
{
    static const char *const reasons[] = {
        [PANG_DIALECT_ICEBERG] = "BadRequestException",
        [PANG_DIALECT_MANAGEMENT] = "UnprocessableEntityException",
        [PANG_DIALECT_OAUTH] = "invalid_request",
    };
    pang_str place = render_place(r);
    return pang_fail(r->err, PANG_INVALID_ARGUMENT, reasons[r->match->method->dialect],
                     "%" PANG_STR_FMT "%s%s", PANG_STR_ARG(place), place.len > 0 ? ": " : "", what);
}

static const char *token_name(pang_json_token token)
{
    static const char *const names[] = {
        [PANG_JSON_END] = "nothing",        [PANG_JSON_OBJECT_BEGIN] = "an object",
        [PANG_JSON_OBJECT_END] = "nothing", [PANG_JSON_ARRAY_BEGIN] = "an array",
        [PANG_JSON_ARRAY_END] = "nothing",  [PANG_JSON_NAME] = "a name",
        [PANG_JSON_STRING] = "a string",    [PANG_JSON_NUMBER] = "a number",
        [PANG_JSON_TRUE] = "a boolean",     [PANG_JSON_FALSE] = "a boolean",
        [PANG_JSON_NULL] = "null",
    };
    return names[token];
}

static pang_code fail_type(const reader *r, const char *wanted)
{
    char text[80];
    (void)snprintf(text, sizeof text, "expected %s, found %s", wanted, token_name(r->scan.token));
    return fail_form(r, text);
}

static pang_code next(reader *r)
{
    return pang_json_scan_next(&r->scan, r->err);
}

/* ---- single values ---- */

static bool in_range(int type, pang_str text, uint64_t *ret)
{
    int64_t value;
    bool is_unsigned = type == UPB_UINT32 || type == UPB_UINT64;
    if (is_unsigned) {
        return pang_str_to_uint64(text, ret) && (type == UPB_UINT64 || *ret <= UINT32_MAX);
    }
    if (!pang_str_to_int64(text, &value))
        return false;
    *ret = (uint64_t)value;
    return type == UPB_INT64 || (value >= INT32_MIN && value <= INT32_MAX);
}

static pang_code put_int(reader *r, const upb_FieldDef *field, pang_str text, pang_buf *out)
{
    uint64_t value;
    int type = upb_FieldDef_Type(field);
    if (!in_range(type, text, &value))
        return fail_form(r, type == UPB_INT32 || type == UPB_UINT32
                                ? "expected a whole number of 32 bits"
                                : "expected a whole number of 64 bits");
    pang_wire_add_tag(out, upb_FieldDef_Number(field), PANG_WIRE_VARINT);
    pang_wire_add_varint(out, value);
    return PANG_OK;
}

static void put_bool(const upb_FieldDef *field, bool value, pang_buf *out)
{
    pang_wire_add_tag(out, upb_FieldDef_Number(field), PANG_WIRE_VARINT);
    pang_wire_add_varint(out, value ? 1 : 0);
}

static pang_code put_enum(reader *r, const upb_FieldDef *field, pang_str name, pang_buf *out)
{
    const upb_EnumValueDef *value = upb_EnumDef_FindValueByNameWithSize(
        upb_FieldDef_EnumSubDef(field), name.ptr, name.len);
    if (value == NULL)
        return fail_form(r, "an unknown value");
    pang_wire_add_tag(out, upb_FieldDef_Number(field), PANG_WIRE_VARINT);
    pang_wire_add_varint(out, (uint64_t)(int64_t)upb_EnumValueDef_Number(value));
    return PANG_OK;
}

static pang_code put_raw(reader *r, const upb_FieldDef *field, const pang_field_rule *rule,
                         pang_buf *out)
{
    pang_str raw;
    if (rule->raw_type == 'o' && r->scan.token != PANG_JSON_OBJECT_BEGIN)
        return fail_type(r, "an object");
    if (rule->raw_type == 'a' && r->scan.token != PANG_JSON_ARRAY_BEGIN)
        return fail_type(r, "an array");
    pang_code code = pang_json_scan_skip(&r->scan, &raw, r->err);
    if (code == PANG_OK)
        pang_wire_add_bytes(out, upb_FieldDef_Number(field), raw);
    return code;
}

static pang_code put_message(reader *r, const upb_FieldDef *field, pang_buf *out);

/* The scanner stands on the first token of one value for `field`. */
static pang_code put_value(reader *r, const upb_FieldDef *field, pang_buf *out)
{
    const pang_field_rule *rule = pang_schema_field(r->schema, field);
    pang_json_token token = r->scan.token;
    if (rule->raw_json)
        return put_raw(r, field, rule, out);
    switch (upb_FieldDef_Type(field)) {
    case UPB_STRING:
        if (token != PANG_JSON_STRING)
            return fail_type(r, "a string");
        pang_wire_add_bytes(out, upb_FieldDef_Number(field), r->scan.text);
        return PANG_OK;
    case UPB_BOOL:
        if (token != PANG_JSON_TRUE && token != PANG_JSON_FALSE)
            return fail_type(r, "a boolean");
        put_bool(field, token == PANG_JSON_TRUE, out);
        return PANG_OK;
    case UPB_INT32:
    case UPB_INT64:
    case UPB_UINT32:
    case UPB_UINT64:
        return token == PANG_JSON_NUMBER ? put_int(r, field, r->scan.text, out)
                                         : fail_type(r, "a whole number");
    case UPB_ENUM:
        return token == PANG_JSON_STRING ? put_enum(r, field, r->scan.text, out)
                                         : fail_type(r, "a string");
    case UPB_MESSAGE:
        return put_message(r, field, out);
    default:
        return fail_form(r, "this field cannot be set over HTTP");
    }
}

/* ---- lists and maps ---- */

static pang_code put_list(reader *r, const upb_FieldDef *field, pang_buf *out)
{
    if (r->scan.token != PANG_JSON_ARRAY_BEGIN)
        return fail_type(r, "an array");
    step *at = &r->place[r->n_place++];
    *at = (step){.is_index = true};
    pang_code code = next(r);
    while (code == PANG_OK && r->scan.token != PANG_JSON_ARRAY_END) {
        code = put_value(r, field, out);
        at->index++;
        if (code == PANG_OK)
            code = next(r);
    }
    if (code == PANG_OK)
        r->n_place--;
    return code;
}

static pang_code put_entry(reader *r, const upb_FieldDef *field, pang_buf *out)
{
    const upb_MessageDef *entry = upb_FieldDef_MessageSubDef(field);
    pang_buf inside = {.arena = r->arena};
    r->place[r->n_place++] = (step){.name = r->scan.text};
    pang_wire_add_bytes(&inside, 1, r->scan.text);
    pang_code code = next(r);
    if (code == PANG_OK)
        code = put_value(r, upb_MessageDef_FindFieldByNumber(entry, 2), &inside);
    if (code != PANG_OK)
        return code;
    r->n_place--;
    pang_wire_add_bytes(out, upb_FieldDef_Number(field), pang_buf_str(&inside));
    out->failed = out->failed || inside.failed;
    return PANG_OK;
}

static pang_code put_map(reader *r, const upb_FieldDef *field, pang_buf *out)
{
    if (r->scan.token != PANG_JSON_OBJECT_BEGIN)
        return fail_type(r, "an object");
    pang_code code = next(r);
    while (code == PANG_OK && r->scan.token != PANG_JSON_OBJECT_END) {
        code = put_entry(r, field, out);
        if (code == PANG_OK)
            code = next(r);
    }
    return code;
}

static pang_code put_field(reader *r, const upb_FieldDef *field, pang_buf *out)
{
    if (r->scan.token == PANG_JSON_NULL)
        return PANG_OK; /* absent */
    if (upb_FieldDef_IsMap(field))
        return put_map(r, field, out);
    if (upb_FieldDef_IsRepeated(field))
        return put_list(r, field, out);
    return put_value(r, field, out);
}

/* ---- messages ---- */

static bool has_alias(const pang_field_rule *rule, pang_str name)
{
    if (rule->twin.len > 0 && pang_str_equal(rule->twin, name))
        return true;
    for (size_t i = 0; i < rule->n_aliases; i++) {
        if (pang_str_equal(rule->aliases[i], name))
            return true;
    }
    return false;
}

/* By JSON name, by proto name, by twin or alias. */
static const upb_FieldDef *find_member(const reader *r, const upb_MessageDef *type, pang_str name)
{
    const upb_FieldDef *found = upb_MessageDef_FindByJsonNameWithSize(type, name.ptr, name.len);
    if (found == NULL)
        found = upb_MessageDef_FindFieldByNameWithSize(type, name.ptr, name.len);
    for (int i = 0; found == NULL && i < upb_MessageDef_FieldCount(type); i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(type, i);
        if (has_alias(pang_schema_field(r->schema, field), name))
            found = field;
    }
    return found;
}

/* True for what neither query nor body may fill. The path fills the request itself only, not a
 * message of its type inside of it. */
static bool is_bound(const reader *r, const upb_FieldDef *field, bool outermost)
{
    const pang_field_rule *rule = pang_schema_field(r->schema, field);
    if (rule->hidden || rule->request_header.len > 0)
        return true;
    for (size_t i = 0; outermost && i < r->match->n_variables; i++) {
        if (r->match->variables[i].field == field)
            return true;
    }
    return false;
}

/* Marks a field in the set of its message's; false when it, or another of its oneof, is there. */
static bool give(uint64_t *given, const upb_MessageDef *type, const upb_FieldDef *field)
{
    const upb_OneofDef *oneof = upb_FieldDef_RealContainingOneof(field);
    for (int i = 0; i < upb_MessageDef_FieldCount(type); i++) {
        const upb_FieldDef *other = upb_MessageDef_Field(type, i);
        bool same = other == field ||
                    (oneof != NULL && upb_FieldDef_RealContainingOneof(other) == oneof);
        if (same && (*given >> i & 1) != 0)
            return false;
    }
    *given |= (uint64_t)1 << upb_FieldDef_Index(field);
    return true;
}

/* What of a message's bytes is one field's. */
static pang_str bytes_of(const reader *r, pang_str message, const upb_FieldDef *field)
{
    pang_buf all = {.arena = r->arena};
    pang_wire_field at;
    for (pang_str rest = message, from = message; pang_wire_next(&rest, &at); from = rest) {
        if (at.number == upb_FieldDef_Number(field))
            pang_buf_add(&all, pang_str_slice(from, 0, from.len - rest.len));
    }
    return pang_buf_str(&all);
}

/* A field that is there already. Replies to management clients spell some members twice, and these
 * clients send back what they were given: the second one must say the same. */
static pang_code put_again(reader *r, const upb_FieldDef *field, bool is_given, pang_str message)
{
    pang_buf again = {.arena = r->arena};
    if (!is_given || r->match->method->dialect != PANG_DIALECT_MANAGEMENT)
        return fail_form(r, "the field is given twice");
    pang_code code = put_field(r, field, &again);
    if (code == PANG_OK && !pang_str_equal(pang_buf_str(&again), bytes_of(r, message, field)))
        return fail_form(r, "the field is given twice, and not the same");
    return code;
}

/* A member's value; null is absent. */
static pang_code put_given(reader *r, const upb_MessageDef *type, const upb_FieldDef *field,
                           uint64_t *given, pang_buf *out)
{
    bool is_given = (*given >> upb_FieldDef_Index(field) & 1) != 0;
    if (r->scan.token != PANG_JSON_NULL && !give(given, type, field))
        return put_again(r, field, is_given, pang_buf_str(out));
    return put_field(r, field, out);
}

/* What is no field is refused: Iceberg's clients are newer than we are, and send more. */
static bool is_strict(const pang_schema_method *method)
{
    return method->dialect == PANG_DIALECT_MANAGEMENT || method->strict;
}

/* True for a member or parameter that is no field and does no harm. */
static bool is_tolerated(const reader *r, pang_str name)
{
    const pang_schema_method *method = r->match->method;
    if (!is_strict(method))
        return true;
    for (size_t i = 0; i < method->n_tolerate; i++) {
        if (pang_str_equal(method->tolerate[i], name) ||
            pang_str_equal(method->tolerate[i], PANG_STR("*")))
            return true;
    }
    return false;
}

static pang_code put_member(reader *r, const upb_MessageDef *type, uint64_t *given, pang_buf *out)
{
    pang_str ignored;
    bool strict = is_strict(r->match->method);
    bool outermost = given == &r->given;
    r->place[r->n_place++] = (step){.name = r->scan.text};
    const upb_FieldDef *field = find_member(r, type, r->scan.text);
    if (field == NULL && strict && !(outermost && is_tolerated(r, r->scan.text)))
        return fail_form(r, "an unknown member");
    pang_code code = next(r);
    if (code == PANG_OK && (field == NULL || is_bound(r, field, outermost)))
        code = pang_json_scan_skip(&r->scan, &ignored, r->err);
    else if (code == PANG_OK)
        code = put_given(r, type, field, given, out);
    if (code == PANG_OK)
        r->n_place--;
    return code;
}

static pang_code put_members(reader *r, const upb_MessageDef *type, uint64_t *given, pang_buf *out)
{
    if (r->scan.token != PANG_JSON_OBJECT_BEGIN)
        return fail_type(r, "an object");
    pang_code code = next(r);
    while (code == PANG_OK && r->scan.token != PANG_JSON_OBJECT_END) {
        code = put_member(r, type, given, out);
        if (code == PANG_OK)
            code = next(r);
    }
    return code;
}

static pang_code put_message(reader *r, const upb_FieldDef *field, pang_buf *out)
{
    const upb_MessageDef *type = upb_FieldDef_MessageSubDef(field);
    pang_buf inside = {.arena = r->arena};
    const upb_FieldDef *only = upb_MessageDef_FieldCount(type) > 0 ? upb_MessageDef_Field(type, 0)
                                                                   : NULL;
    bool unwrap = only != NULL && pang_schema_field(r->schema, only)->unwrap;
    uint64_t given = 0;
    pang_code code = unwrap ? put_field(r, only, &inside) : put_members(r, type, &given, &inside);
    if (code != PANG_OK)
        return code;
    pang_wire_add_bytes(out, upb_FieldDef_Number(field), pang_buf_str(&inside));
    out->failed = out->failed || inside.failed;
    return PANG_OK;
}

static pang_code put_body(reader *r, pang_str body, pang_buf *out)
{
    const upb_MessageDef *type = r->match->method->in;
    pang_str name = r->match->binding->body;
    bool whole = pang_str_equal(name, PANG_STR("*"));
    if (name.len == 0 || (whole && pang_str_trim(body).len == 0))
        return PANG_OK; /* clients leave an empty body out */
    pang_json_scan_begin(&r->scan, body, r->arena);
    pang_code code = next(r);
    if (code != PANG_OK)
        return code;
    code = whole ? put_members(r, type, &r->given, out)
                 : put_given(r, type,
                             upb_MessageDef_FindFieldByNameWithSize(type, name.ptr, name.len),
                             &r->given, out);
    return code == PANG_OK ? next(r) : code; /* nothing may follow */
}

/* ---- path, query, headers ---- */

static pang_code put_levels(reader *r, const upb_FieldDef *field, pang_str raw, pang_buf *out)
{
    pang_str *levels;
    size_t n;
    pang_separator separator = pang_schema_field(r->schema, field)->dotted ? PANG_SEPARATOR_OR_DOT
                                                                           : PANG_SEPARATOR_UNIT;
    pang_code code = pang_split_levels(raw, separator, upb_FieldDef_Name(field), r->arena, &levels,
                                       &n, r->err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        pang_wire_add_bytes(out, upb_FieldDef_Number(field), levels[i]);
    return code;
}

static pang_code put_text(reader *r, const upb_FieldDef *field, pang_str text, pang_buf *out)
{
    switch (upb_FieldDef_Type(field)) {
    case UPB_STRING:
        pang_wire_add_bytes(out, upb_FieldDef_Number(field), text);
        return PANG_OK;
    case UPB_BOOL:
        if (!pang_str_equal_nocase(text, PANG_STR("true")) &&
            !pang_str_equal_nocase(text, PANG_STR("false")))
            return fail_form(r, "expected true or false");
        put_bool(field, pang_str_equal_nocase(text, PANG_STR("true")), out);
        return PANG_OK;
    case UPB_INT32:
    case UPB_INT64:
    case UPB_UINT32:
    case UPB_UINT64:
        return put_int(r, field, text, out);
    case UPB_ENUM:
        return put_enum(r, field, text, out);
    default:
        return fail_form(r, "this field cannot be set here");
    }
}

/* Iceberg's pages have one entry or more: 0, by which gRPC callers leave the choice to the server,
 * is spelt as absence there. Management clients may say it. */
static pang_code check_page_size(const reader *r, const upb_FieldDef *field, pang_str text)
{
    bool iceberg = r->match->method->dialect == PANG_DIALECT_ICEBERG;
    int64_t value;
    if (strcmp(upb_FieldDef_Name(field), "page_size") != 0 || !pang_str_to_int64(text, &value) ||
        value < INT32_MIN || value >= (iceberg ? 1 : 0))
        return PANG_OK;
    return fail_form(r,
                     iceberg ? "expected a number of at least 1" : "expected no negative number");
}

static bool is_prefix(const upb_FieldDef *field)
{
    return strcmp(upb_FieldDef_Name(field), "prefix") == 0;
}

/* True for "branch" where a request has a prefix to put it into. */
static bool is_ref(const reader *r, pang_str name)
{
    bool found = false;
    for (size_t i = 0; i < r->match->n_variables; i++)
        found = found || is_prefix(r->match->variables[i].field);
    return found && r->match->method->dialect == PANG_DIALECT_ICEBERG &&
           pang_str_equal(name, PANG_STR("branch"));
}

static pang_code take_ref(reader *r, pang_str raw)
{
    pang_str text;
    pang_code code = pang_percent_decode(raw, PANG_PLUS_IS_BLANK, "branch", r->arena, &text,
                                         r->err);
    if (code == PANG_OK && r->ref.len > 0 && !pang_str_equal(r->ref, text))
        return fail_form(r, "the parameter branch is given twice, and not the same");
    if (code == PANG_OK)
        r->ref = text;
    return code;
}

/* The prefix at the ref of the parameter. That a name has no other one is the server's to see. */
static pang_code put_prefix(reader *r, const upb_FieldDef *field, pang_str prefix, pang_buf *out)
{
    pang_buf text = {.arena = r->arena};
    size_t at = pang_str_find(prefix, '@');
    if (at < prefix.len && !pang_str_equal(pang_str_after(prefix, at + 1), r->ref))
        return fail_form(r, "the request names two refs: another one as its parameter branch");
    pang_buf_add(&text, pang_str_slice(prefix, 0, at));
    pang_buf_add(&text, PANG_STR("@"));
    pang_buf_add(&text, r->ref);
    pang_wire_add_bytes(out, upb_FieldDef_Number(field), pang_buf_str(&text));
    out->failed = out->failed || text.failed;
    return PANG_OK;
}

static bool is_refused(const reader *r, pang_str name)
{
    for (size_t i = 0; i < r->match->method->n_refuse; i++)
        if (pang_str_equal(r->match->method->refuse[i], name))
            return true;
    return false;
}

static pang_code put_decoded(reader *r, const upb_FieldDef *field, pang_str raw, pang_buf *out)
{
    pang_str text;
    pang_code code = pang_percent_decode(raw, PANG_PLUS_IS_BLANK, upb_FieldDef_Name(field),
                                         r->arena, &text, r->err);
    if (code == PANG_OK)
        code = check_page_size(r, field, text);
    return code == PANG_OK ? put_text(r, field, text, out) : code;
}

static pang_code put_parameter(reader *r, pang_str name, pang_str raw, pang_buf *out)
{
    const upb_FieldDef *field = find_member(r, r->match->method->in, name);
    if (field == NULL && is_ref(r, name))
        return take_ref(r, raw);
    if (is_refused(r, name))
        return pang_fail(r->err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "%" PANG_STR_FMT ": a parameter that this request does not have, and that "
                         "would not be obeyed",
                         PANG_STR_ARG(name));
    if (field == NULL && (is_tolerated(r, name) || r->match->method->effect == PANG_EFFECT_READ))
        return PANG_OK;
    r->place[0] = (step){.name = name};
    r->n_place = 1;
    if (field == NULL)
        return fail_form(r, "an unknown parameter");
    const pang_field_rule *rule = pang_schema_field(r->schema, field);
    if (is_bound(r, field, true) || rule->raw_json)
        return PANG_OK;
    bool many = upb_FieldDef_IsRepeated(field) && !rule->namespace_levels;
    if (!many && !give(&r->given, r->match->method->in, field))
        return fail_form(r, "the parameter is given twice");
    pang_code code = rule->namespace_levels ? put_levels(r, field, raw, out)
                                            : put_decoded(r, field, raw, out);
    r->n_place = 0;
    return code;
}

/* A query, or a form; `what` is what one of them is called. */
static pang_code put_parameters(reader *r, pang_str query, const char *what, pang_buf *out)
{
    pang_str pair, name;
    size_t n = 0;
    while (pang_str_next(&query, '&', &pair)) {
        if (pair.len == 0)
            continue;
        if (++n > PANG_QUERY_PARAMETERS_MAX)
            return fail_form(r, r->match->method->form ? "too many form parameters"
                                                       : "too many query parameters");
        size_t at = pang_str_find(pair, '=');
        pang_code code = pang_percent_decode(pang_str_slice(pair, 0, at), PANG_PLUS_IS_BLANK, what,
                                             r->arena, &name, r->err);
        if (code == PANG_OK)
            code = put_parameter(r, name, pang_str_after(pair, at + 1), out);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

/* With the body "*" no field is left to the query (google.api.http). Iceberg's clients send what
 * they like there; elsewhere it is refused, since what belongs into a body may be a secret, and
 * addresses end in logs. At the token endpoint the RFC has it ignored. */
static pang_code put_query(reader *r, pang_str query, pang_buf *out)
{
    const pang_schema_method *method = r->match->method;
    bool has_body = method->dialect != PANG_DIALECT_ICEBERG &&
                    pang_str_equal(r->match->binding->body, PANG_STR("*"));
    if (!has_body)
        return put_parameters(r, query, "query parameter", out);
    if (query.len == 0 || method->form)
        return PANG_OK;
    return fail_form(r, "the request takes its fields from the body, not from the query");
}

static pang_code put_path(reader *r, pang_buf *out)
{
    pang_code code = PANG_OK;
    for (size_t i = 0; code == PANG_OK && i < r->match->n_variables; i++) {
        const pang_route_variable *v = &r->match->variables[i];
        r->place[0] = (step){.name = pang_str_from(upb_FieldDef_Name(v->field))};
        r->n_place = 1;
        if (pang_schema_field(r->schema, v->field)->namespace_levels)
            code = put_levels(r, v->field, v->raw, out);
        else if (r->ref.len > 0 && is_prefix(v->field))
            code = put_prefix(r, v->field, v->text, out);
        else
            code = put_text(r, v->field, v->text, out);
        r->n_place = 0;
    }
    return code;
}

/* Fields of one name are one list (RFC 9110, 5.3). False when there is none. */
static bool join_headers(reader *r, const pang_transcode_request *request, pang_str wanted,
                         pang_str *ret)
{
    pang_buf all = {.arena = r->arena};
    size_t n = 0;
    for (size_t i = 0; i < request->n_headers; i++) {
        if (!pang_str_equal_nocase(request->headers[i].name, wanted))
            continue;
        if (n == 1)
            pang_buf_add(&all, *ret);
        *ret = request->headers[i].value;
        if (n++ > 0) {
            pang_buf_add(&all, PANG_STR(", "));
            pang_buf_add(&all, *ret);
        }
    }
    if (n > 1)
        *ret = pang_buf_str(&all);
    return n > 0;
}

static pang_code put_headers(reader *r, const pang_transcode_request *request, pang_buf *out)
{
    const upb_MessageDef *type = r->match->method->in;
    for (int i = 0; i < upb_MessageDef_FieldCount(type); i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(type, i);
        pang_str wanted = pang_schema_field(r->schema, field)->request_header, value;
        if (wanted.len == 0 || !join_headers(r, request, wanted, &value))
            continue;
        if (!pang_str_is_utf8(value))
            return pang_fail(r->err, PANG_INVALID_ARGUMENT, "BadRequestException",
                             "header %" PANG_STR_FMT " is not UTF-8", PANG_STR_ARG(wanted));
        pang_wire_add_bytes(out, upb_FieldDef_Number(field), value);
    }
    return PANG_OK;
}

pang_code pang_transcode_in(const pang_schema *schema, const pang_route_match *match,
                            const pang_transcode_request *request, pang_arena *arena,
                            pang_str *ret_message, pang_err *err)
{
    reader r = {.schema = schema, .match = match, .arena = arena, .err = err};
    pang_buf out = {.arena = arena};
    pang_code code = put_query(&r, request->query, &out);
    if (code == PANG_OK && request->form)
        code = put_parameters(&r, pang_str_trim(request->body), "form parameter", &out);
    else if (code == PANG_OK)
        code = put_body(&r, request->body, &out);
    if (code == PANG_OK)
        code = put_headers(&r, request, &out);
    if (code == PANG_OK)
        code = put_path(&r, &out);
    if (code != PANG_OK)
        return code;
    if (out.failed)
        return pang_fail_memory(err);
    *ret_message = pang_buf_str(&out);
    return PANG_OK;
}
