/*
 * Model: types, and values in the JSON single-value form of the specification. One table says how
 * a primitive is spelt and since which format version there is one.
 */
#include <string.h>

#include "server/model_types.h"

typedef struct {
    pang_str word;
    pang_type_kind kind;
    int since;
} type_row;

enum { TYPES = 23, DECIMAL_DIGITS_MAX = 38 };
static const type_row type_rows[TYPES];

/* "word(a, b)" or "word[a]": the part between the brackets, trimmed; false when there is none. */
static bool bracketed(pang_str text, char open, char close, pang_str *ret_word, pang_str *ret_arg)
{
    size_t at = pang_str_find(text, open);
    if (at == text.len || text.ptr[text.len - 1] != close)
        return false;
    *ret_word = pang_str_slice(text, 0, at);
    *ret_arg = pang_str_trim(pang_str_slice(text, at + 1, text.len - at - 2));
    return true;
}

static bool parse_fixed(pang_type *type)
{
    uint64_t length;
    pang_str word, arg;
    if (!bracketed(type->text, '[', ']', &word, &arg) || !pang_str_equal(word, PANG_STR("fixed")) ||
        !pang_str_to_uint64(arg, &length) || length > INT32_MAX)
        return false;
    type->kind = PANG_TYPE_FIXED;
    type->a = (int64_t)length;
    return true;
}

static bool parse_decimal(pang_type *type, pang_str arg)
{
    uint64_t precision, scale;
    size_t comma = pang_str_find(arg, ',');
    if (comma == arg.len ||
        !pang_str_to_uint64(pang_str_trim(pang_str_slice(arg, 0, comma)), &precision))
        return false;
    if (!pang_str_to_uint64(pang_str_trim(pang_str_after(arg, comma + 1)), &scale) ||
        precision < 1 || precision > DECIMAL_DIGITS_MAX || scale > precision)
        return false;
    type->kind = PANG_TYPE_DECIMAL;
    type->a = (int64_t)precision;
    type->b = (int64_t)scale;
    return true;
}

static bool parse_with_arguments(pang_type *type)
{
    pang_str word, arg;
    if (parse_fixed(type))
        return true;
    if (!bracketed(type->text, '(', ')', &word, &arg))
        return false;
    type->argument = arg;
    if (pang_str_equal(word, PANG_STR("decimal")))
        return parse_decimal(type, arg);
    if (pang_str_equal(word, PANG_STR("geometry")))
        type->kind = PANG_TYPE_GEOMETRY;
    else if (pang_str_equal(word, PANG_STR("geography")))
        type->kind = PANG_TYPE_GEOGRAPHY;
    else
        return false;
    return arg.len > 0;
}

bool pang_type_parse(const pang_json *node, pang_type *ret)
{
    pang_type type = {0};
    bool nested = pang_json_type_of(node) == PANG_JSON_IS_OBJECT;
    type.text = pang_model_text(node, "type");
    if (!nested && !pang_json_to_str(node, &type.text))
        return false;
    for (size_t i = 0; i < TYPES; i++) {
        if (pang_str_equal(type.text, type_rows[i].word) &&
            nested != pang_type_is_primitive(type_rows[i].kind)) {
            type.kind = type_rows[i].kind;
            *ret = type;
            /* Both need arguments, and are in the table for their version only. */
            return type.kind != PANG_TYPE_FIXED && type.kind != PANG_TYPE_DECIMAL;
        }
    }
    if (nested || !parse_with_arguments(&type))
        return false;
    *ret = type;
    return true;
}

bool pang_type_is_primitive(pang_type_kind kind)
{
    return kind < PANG_TYPE_STRUCT;
}

int pang_type_since(pang_type_kind kind)
{
    for (size_t i = 0; i < TYPES; i++) {
        if (type_rows[i].kind == kind)
            return type_rows[i].since;
    }
    return 1;
}

bool pang_type_equal(const pang_type *a, const pang_type *b)
{
    return a->kind == b->kind && a->a == b->a && a->b == b->b &&
           pang_str_equal(a->kind == PANG_TYPE_DECIMAL ? PANG_STR("") : a->argument,
                          b->kind == PANG_TYPE_DECIMAL ? PANG_STR("") : b->argument);
}

/* ---- single values ---- */

/* Takes n digits off the front; -1 when they are not there. */
static int take_digits(pang_str *s, size_t n)
{
    int value = 0;
    if (s->len < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return -1;
        value = value * 10 + (s->ptr[i] - '0');
    }
    *s = pang_str_after(*s, n);
    return value;
}

static bool take_char(pang_str *s, char c)
{
    if (s->len == 0 || s->ptr[0] != c)
        return false;
    *s = pang_str_after(*s, 1);
    return true;
}

/* Years beyond four digits carry a sign, as ISO 8601 wants it. */
static bool take_date(pang_str *s)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool sign = take_char(s, '+') || take_char(s, '-');
    int year = take_digits(s, 4);
    while (sign && s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9' && year >= 0 &&
           year < 100000000)
        year = year * 10 + take_digits(s, 1);
    if (year < 0 || !take_char(s, '-'))
        return false;
    int month = take_digits(s, 2);
    if (month < 1 || month > 12 || !take_char(s, '-'))
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int day = take_digits(s, 2);
    return day >= 1 && day <= days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* HH:MM, HH:MM:SS or with a fraction of at most `fraction` digits. */
static bool take_time(pang_str *s, size_t fraction)
{
    int hour = take_digits(s, 2);
    if (hour < 0 || hour > 23 || !take_char(s, ':'))
        return false;
    int minute = take_digits(s, 2);
    if (minute < 0 || minute > 59)
        return false;
    if (!take_char(s, ':'))
        return true;
    int second = take_digits(s, 2);
    if (second < 0 || second > 59)
        return false;
    if (!take_char(s, '.'))
        return true;
    size_t n = 0;
    while (n <= fraction && take_digits(s, 1) >= 0)
        n++;
    return n >= 1 && n <= fraction;
}

static bool is_timestamp(pang_str s, size_t fraction, bool zoned)
{
    if (!take_date(&s) || !take_char(&s, 'T') || !take_time(&s, fraction))
        return false;
    if (!zoned)
        return s.len == 0;
    return pang_str_equal(s, PANG_STR("+00:00")) || pang_str_equal(s, PANG_STR("Z"));
}

static bool is_decimal(pang_str s, const pang_type *type)
{
    size_t digits = 0, significant = 0, fraction = 0;
    (void)take_char(&s, '-');
    for (int digit; (digit = take_digits(&s, 1)) >= 0; digits++)
        significant += significant > 0 || digit > 0 ? 1 : 0;
    if (take_char(&s, '.')) {
        while (take_digits(&s, 1) >= 0)
            fraction++;
        if (fraction == 0)
            return false;
    }
    return s.len == 0 && digits >= 1 && fraction == (size_t)type->b &&
           significant + fraction <= (size_t)type->a;
}

static bool is_hex(pang_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return s.len % 2 == 0;
}

static bool is_uuid(pang_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        char c = s.ptr[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (hyphen ? c != '-' : !digit)
            return false;
    }
    return s.len == 36;
}

static bool takes_text(const pang_type *type, pang_str s)
{
    switch (type->kind) {
    case PANG_TYPE_DATE:
        return take_date(&s) && s.len == 0;
    case PANG_TYPE_TIME:
        return take_time(&s, 6) && s.len == 0;
    case PANG_TYPE_TIMESTAMP:
    case PANG_TYPE_TIMESTAMPTZ:
        return is_timestamp(s, 6, type->kind == PANG_TYPE_TIMESTAMPTZ);
    case PANG_TYPE_TIMESTAMP_NS:
    case PANG_TYPE_TIMESTAMPTZ_NS:
        return is_timestamp(s, 9, type->kind == PANG_TYPE_TIMESTAMPTZ_NS);
    case PANG_TYPE_STRING:
        return true;
    case PANG_TYPE_UUID:
        return is_uuid(s);
    case PANG_TYPE_BINARY:
        return is_hex(s);
    case PANG_TYPE_FIXED:
        return is_hex(s) && s.len == (size_t)type->a * 2;
    case PANG_TYPE_DECIMAL:
        return is_decimal(s, type);
    default:
        return false;
    }
}

static bool takes_elements(const pang_json *type_node, const char *element, const pang_json *array)
{
    if (pang_json_type_of(array) != PANG_JSON_IS_ARRAY)
        return false;
    for (size_t i = 0; i < pang_json_size(array); i++) {
        const pang_json *value = pang_json_at(array, i);
        if (!pang_json_is_null(value) && !pang_type_takes(pang_json_get(type_node, element), value))
            return false;
    }
    return true;
}

/* Members go by field id: {"1": v}. */
static bool takes_struct(const pang_json *type_node, const pang_json *object)
{
    const pang_json *fields = pang_json_get(type_node, "fields");
    pang_json_members it = {.object = object};
    pang_str name;
    pang_json *value;
    if (pang_json_type_of(object) != PANG_JSON_IS_OBJECT ||
        pang_json_size(fields) > PANG_MODEL_FIELDS_MAX)
        return false;
    while (pang_json_next(&it, &name, &value)) {
        int64_t id;
        const pang_json *field = NULL;
        if (pang_str_to_int64(name, &id))
            field = pang_model_find(fields, "id", id);
        if (field == NULL ||
            (!pang_json_is_null(value) && !pang_type_takes(pang_json_get(field, "type"), value)))
            return false;
    }
    return true;
}

bool pang_type_takes(const pang_json *type_node, const pang_json *value)
{
    pang_type type;
    int64_t number;
    pang_str text;
    pang_json_type json = pang_json_type_of(value);
    if (!pang_type_parse(type_node, &type))
        return false;
    switch (type.kind) {
    case PANG_TYPE_BOOLEAN:
        return json == PANG_JSON_IS_BOOL;
    case PANG_TYPE_INT:
        return pang_json_to_int64(value, &number) && number >= INT32_MIN && number <= INT32_MAX;
    case PANG_TYPE_LONG:
        return json == PANG_JSON_IS_INT;
    case PANG_TYPE_FLOAT:
    case PANG_TYPE_DOUBLE:
        return json == PANG_JSON_IS_INT || json == PANG_JSON_IS_NUMBER;
    case PANG_TYPE_LIST:
        return takes_elements(type_node, "element", value);
    case PANG_TYPE_MAP:
        return takes_elements(type_node, "key", pang_json_get(value, "keys")) &&
               takes_elements(type_node, "value", pang_json_get(value, "values")) &&
               pang_json_size(pang_json_get(value, "keys")) ==
                   pang_json_size(pang_json_get(value, "values"));
    case PANG_TYPE_STRUCT:
        return takes_struct(type_node, value);
    default:
        return pang_json_to_str(value, &text) && takes_text(&type, text);
    }
}

static const type_row type_rows[TYPES] = {
    {PANG_STR_INIT("boolean"), PANG_TYPE_BOOLEAN, 1},
    {PANG_STR_INIT("int"), PANG_TYPE_INT, 1},
    {PANG_STR_INIT("long"), PANG_TYPE_LONG, 1},
    {PANG_STR_INIT("float"), PANG_TYPE_FLOAT, 1},
    {PANG_STR_INIT("double"), PANG_TYPE_DOUBLE, 1},
    {PANG_STR_INIT("date"), PANG_TYPE_DATE, 1},
    {PANG_STR_INIT("time"), PANG_TYPE_TIME, 1},
    {PANG_STR_INIT("timestamp"), PANG_TYPE_TIMESTAMP, 1},
    {PANG_STR_INIT("timestamptz"), PANG_TYPE_TIMESTAMPTZ, 1},
    {PANG_STR_INIT("timestamp_ns"), PANG_TYPE_TIMESTAMP_NS, 3},
    {PANG_STR_INIT("timestamptz_ns"), PANG_TYPE_TIMESTAMPTZ_NS, 3},
    {PANG_STR_INIT("string"), PANG_TYPE_STRING, 1},
    {PANG_STR_INIT("uuid"), PANG_TYPE_UUID, 1},
    {PANG_STR_INIT("binary"), PANG_TYPE_BINARY, 1},
    {PANG_STR_INIT("fixed"), PANG_TYPE_FIXED, 1},
    {PANG_STR_INIT("decimal"), PANG_TYPE_DECIMAL, 1},
    {PANG_STR_INIT("unknown"), PANG_TYPE_UNKNOWN, 3},
    {PANG_STR_INIT("variant"), PANG_TYPE_VARIANT, 3},
    {PANG_STR_INIT("geometry"), PANG_TYPE_GEOMETRY, 3},
    {PANG_STR_INIT("geography"), PANG_TYPE_GEOGRAPHY, 3},
    {PANG_STR_INIT("struct"), PANG_TYPE_STRUCT, 1},
    {PANG_STR_INIT("list"), PANG_TYPE_LIST, 1},
    {PANG_STR_INIT("map"), PANG_TYPE_MAP, 1},
};
