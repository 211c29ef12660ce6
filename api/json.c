/*
 * JSON documents: json-c's tree behind our interface; the only file that includes json-c. json-c
 * is the container (ordered hash objects, arrays, reference counts); reading and writing are
 * ours, since its parser clamps numbers and lets duplicates pass.
 *
 * Ownership: a tree's root, and every value that is made by itself, is given up once when the
 * arena is reset (a hook); a container holds a count of its own on what was put into it. So a
 * value may be shared by several trees, and lives as long as the arena in any case.
 *
 * JSON null is json-c's NULL inside containers, and the mark `null_mark` outside, where NULL
 * means "absent".
 */
#include "api/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>
#include <json-c/linkhash.h>

/* Documents that the program builds are this much deeper than what it reads, at most. */
enum { DEPTH_SLACK = 16 };

static const char null_mark;

static pang_json *null_value(void)
{
    return (pang_json *)(uintptr_t)&null_mark;
}

/* From json-c's way of saying null to ours, and back. */
static pang_json *outward(struct json_object *value)
{
    return value == NULL ? null_value() : value;
}

static struct json_object *inward(pang_json *value)
{
    return value == null_value() ? NULL : value;
}

/* json-c declares its readers without const; they change nothing. */
static struct json_object *raw_of(const pang_json *value)
{
    return value == null_value() ? NULL : (struct json_object *)(uintptr_t)value;
}

static void put_hook(void *arg)
{
    json_object_put(arg);
}

/* Gives the caller's count to the arena; NULL when value is NULL or without memory. */
static pang_json *keep(struct json_object *value, pang_arena *arena)
{
    if (value == NULL || !pang_arena_on_reset(arena, put_hook, value))
        return NULL;
    return value;
}

static struct json_object *new_string(pang_str text)
{
    return text.len > INT32_MAX
               ? NULL
               : json_object_new_string_len(text.ptr ? text.ptr : "", (int)text.len);
}

/* Adds a member that is not there yet. As json_object_object_add, but that one loses its copy of
 * the name when the table cannot grow. */
static bool insert(struct json_object *object, const char *name, struct json_object *value)
{
    struct lh_table *table = json_object_get_object(object);
    unsigned long hash = lh_get_hash(table, name);
    char *key = strdup(name);
    if (key == NULL || lh_table_insert_w_hash(table, key, value, hash, 0) != 0) {
        free(key);
        return false;
    }
    return true;
}

/* ---- reading text ---- */

static struct json_object *read_number(pang_str text, pang_arena *arena)
{
    int64_t number;
    if (pang_str_to_int64(text, &number) && !pang_str_equal(text, PANG_STR("-0")))
        return json_object_new_int64(number);
    char *spelling = pang_arena_cstr(arena, text);
    return spelling == NULL ? NULL : json_object_new_double_s(strtod(spelling, NULL), spelling);
}

/* The scalar that the scanner stands on; false without memory. Null is NULL. */
static bool read_scalar(const pang_json_scanner *scanner, struct json_object **ret)
{
    switch (scanner->token) {
    case PANG_JSON_STRING:
        *ret = new_string(scanner->text);
        return *ret != NULL;
    case PANG_JSON_NUMBER:
        *ret = read_number(scanner->raw, scanner->arena);
        return *ret != NULL;
    case PANG_JSON_TRUE:
    case PANG_JSON_FALSE:
        *ret = json_object_new_boolean(scanner->token == PANG_JSON_TRUE);
        return *ret != NULL;
    default:
        *ret = NULL;
        return true;
    }
}

/* One open container of the document under construction. */
typedef struct {
    struct json_object *container;
    char *name; /* of the member whose value comes next */
} level;

/* Puts a value into the innermost container, which then owns it; false without memory. */
static bool read_into(level *top, struct json_object *value)
{
    bool done = json_object_is_type(top->container, json_type_array)
                    ? json_object_array_add(top->container, value) == 0
                    : insert(top->container, top->name, value);
    if (!done)
        json_object_put(value);
    return done;
}

/* The state of one parse. `root` owns all that was read so far. */
typedef struct {
    pang_json_scanner scanner;
    level levels[PANG_JSON_DEPTH_MAX + 1];
    size_t depth;
    struct json_object *root;
} reading;

/* Takes the token that the scanner stands on; false without memory. */
static bool read_token(reading *r)
{
    level *top = r->depth > 0 ? &r->levels[r->depth - 1] : NULL;
    struct json_object *value;
    bool opens = false;
    switch (r->scanner.token) {
    case PANG_JSON_OBJECT_END:
    case PANG_JSON_ARRAY_END:
        r->depth--;
        return true;
    case PANG_JSON_NAME:
        assert(top != NULL); /* the scanner gives names inside of objects only */
        top->name = pang_arena_cstr(r->scanner.arena, r->scanner.text);
        return top->name != NULL;
    case PANG_JSON_OBJECT_BEGIN:
    case PANG_JSON_ARRAY_BEGIN:
        opens = true;
        value = r->scanner.token == PANG_JSON_OBJECT_BEGIN ? json_object_new_object()
                                                           : json_object_new_array();
        if (value == NULL)
            return false;
        break;
    default:
        if (!read_scalar(&r->scanner, &value))
            return false;
    }
    if (top == NULL)
        r->root = value;
    else if (!read_into(top, value))
        return false;
    if (opens && r->depth > PANG_JSON_DEPTH_MAX)
        return false;
    if (opens)
        r->levels[r->depth++].container = value;
    return true;
}

pang_code pang_json_parse(pang_str source, pang_arena *arena, pang_json **ret, pang_err *err)
{
    reading r = {0};
    pang_code code = PANG_OK;
    pang_json_scan_begin(&r.scanner, source, arena);
    while (code == PANG_OK) {
        code = pang_json_scan_next(&r.scanner, err);
        if (code == PANG_OK && r.scanner.token == PANG_JSON_END)
            break;
        if (code == PANG_OK && !read_token(&r))
            code = pang_fail_memory(err);
    }
    if (code != PANG_OK) {
        json_object_put(r.root);
        return code;
    }
    if (r.root != NULL && keep(r.root, arena) == NULL)
        return pang_fail_memory(err);
    *ret = outward(r.root);
    return PANG_OK;
}

pang_json *pang_json_hold(pang_json *value)
{
    (void)json_object_get(raw_of(value));
    return value;
}

void pang_json_release(pang_json *value)
{
    json_object_put(raw_of(value));
}

/* ---- writing text ---- */

/* Where text goes. `remembers`: elements of the document's members keep the text they print as. */
typedef struct {
    pang_buf buf;
    bool remembers;
} printer;

enum { REMEMBERED_DEPTH = 2 };

/* The text of an object that is finished, kept as its user data. */
typedef struct {
    size_t len;
    char text[];
} remembered;

static void forget_text(struct json_object *object, void *text)
{
    (void)object;
    free(text);
}

/* What has no room for its text prints anew. */
static void remember_text(struct json_object *object, pang_str text)
{
    remembered *kept = malloc(sizeof *kept + text.len);
    if (kept == NULL)
        return;
    kept->len = text.len;
    memcpy(kept->text, text.ptr, text.len);
    json_object_set_userdata(object, kept, forget_text);
}

static bool print_value(printer *p, const pang_json *value, unsigned depth);

static bool print_members(printer *p, struct json_object *object, unsigned depth)
{
    bool first = true;
    pang_buf_add_char(&p->buf, '{');
    for (struct lh_entry *e = lh_table_head(json_object_get_object(object)); e != NULL;
         e = lh_entry_next(e)) {
        if (!first)
            pang_buf_add_char(&p->buf, ',');
        first = false;
        pang_json_quote(&p->buf, pang_str_from(lh_entry_k(e)));
        pang_buf_add_char(&p->buf, ':');
        if (!print_value(p, outward(lh_entry_v(e)), depth + 1))
            return false;
    }
    pang_buf_add_char(&p->buf, '}');
    return true;
}

static bool print_object(printer *p, struct json_object *object, unsigned depth)
{
    size_t start = p->buf.len;
    if (!p->remembers || depth != REMEMBERED_DEPTH)
        return print_members(p, object, depth);
    const remembered *kept = json_object_get_userdata(object);
    if (kept != NULL) {
        pang_buf_add(&p->buf, (pang_str){kept->text, kept->len});
        return true;
    }
    if (!print_members(p, object, depth))
        return false;
    if (!p->buf.failed)
        remember_text(object, pang_str_after(pang_buf_str(&p->buf), start));
    return true;
}

static bool print_array(printer *p, struct json_object *array, unsigned depth)
{
    pang_buf_add_char(&p->buf, '[');
    for (size_t i = 0; i < json_object_array_length(array); i++) {
        if (i > 0)
            pang_buf_add_char(&p->buf, ',');
        if (!print_value(p, outward(json_object_array_get_idx(array, i)), depth + 1))
            return false;
    }
    pang_buf_add_char(&p->buf, ']');
    return true;
}

/* Sign and nineteen digits. printf would be most of the time of printing a snapshot list. */
static void print_int(pang_buf *buf, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    pang_buf_add(buf, (pang_str){digits + at, sizeof digits - at});
}

static bool print_value(printer *p, const pang_json *value, unsigned depth)
{
    struct json_object *raw = raw_of(value);
    if (depth > PANG_JSON_DEPTH_MAX + DEPTH_SLACK)
        return false;
    switch (pang_json_type_of(value)) {
    case PANG_JSON_IS_NULL:
        pang_buf_add(&p->buf, PANG_STR("null"));
        break;
    case PANG_JSON_IS_BOOL:
        pang_buf_add(&p->buf, json_object_get_boolean(raw) ? PANG_STR("true") : PANG_STR("false"));
        break;
    case PANG_JSON_IS_INT:
        print_int(&p->buf, json_object_get_int64(raw));
        break;
    case PANG_JSON_IS_NUMBER:
        pang_buf_add(&p->buf, pang_str_from(json_object_get_userdata(raw)));
        break;
    case PANG_JSON_IS_STRING:
        pang_json_quote(&p->buf, (pang_str){json_object_get_string(raw),
                                            (size_t)json_object_get_string_len(raw)});
        break;
    case PANG_JSON_IS_ARRAY:
        return print_array(p, raw, depth);
    case PANG_JSON_IS_OBJECT:
        return print_object(p, raw, depth);
    }
    return true;
}

static pang_code print_with(printer *p, const pang_json *value, pang_str *ret, pang_err *err)
{
    if (!print_value(p, value, 0))
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL, "JSON document is too deep");
    if (p->buf.failed)
        return pang_fail_memory(err);
    *ret = pang_buf_str(&p->buf);
    return PANG_OK;
}

pang_code pang_json_print(const pang_json *value, pang_arena *arena, pang_str *ret, pang_err *err)
{
    printer p = {.buf = {.arena = arena}};
    return print_with(&p, value, ret, err);
}

pang_code pang_json_print_again(const pang_json *value, pang_arena *arena, pang_str *ret,
                                pang_err *err)
{
    printer p = {.buf = {.arena = arena}, .remembers = true};
    return print_with(&p, value, ret, err);
}

/* ---- looking ---- */

pang_json_type pang_json_type_of(const pang_json *value)
{
    switch (json_object_get_type(raw_of(value))) {
    case json_type_boolean:
        return PANG_JSON_IS_BOOL;
    case json_type_int:
        return PANG_JSON_IS_INT;
    case json_type_double:
        return PANG_JSON_IS_NUMBER;
    case json_type_string:
        return PANG_JSON_IS_STRING;
    case json_type_array:
        return PANG_JSON_IS_ARRAY;
    case json_type_object:
        return PANG_JSON_IS_OBJECT;
    case json_type_null:
        break;
    }
    return PANG_JSON_IS_NULL;
}

bool pang_json_is_null(const pang_json *value)
{
    return raw_of(value) == NULL;
}

pang_json *pang_json_get(const pang_json *object, const char *name)
{
    struct json_object *value;
    if (pang_json_type_of(object) != PANG_JSON_IS_OBJECT ||
        !json_object_object_get_ex(raw_of(object), name, &value))
        return NULL;
    return outward(value);
}

/* Names that are looked up by view are copied to here when they are short. */
enum { NAME_ON_STACK = 256 };

pang_json *pang_json_get_str(const pang_json *object, pang_str name)
{
    char small[NAME_ON_STACK];
    if (pang_str_find(name, '\0') < name.len) /* the scanner lets no such name in */
        return NULL;
    if (name.len < sizeof small) {
        if (name.len > 0)
            memcpy(small, name.ptr, name.len);
        small[name.len] = '\0';
        return pang_json_get(object, small);
    }
    pang_json_members it = {.object = object};
    pang_str other;
    pang_json *value;
    while (pang_json_next(&it, &other, &value)) {
        if (pang_str_equal(name, other))
            return value;
    }
    return NULL;
}

size_t pang_json_size(const pang_json *value)
{
    switch (pang_json_type_of(value)) {
    case PANG_JSON_IS_OBJECT:
        return (size_t)json_object_object_length(raw_of(value));
    case PANG_JSON_IS_ARRAY:
        return json_object_array_length(raw_of(value));
    default:
        return 0;
    }
}

pang_json *pang_json_at(const pang_json *array, size_t i)
{
    if (pang_json_type_of(array) != PANG_JSON_IS_ARRAY ||
        i >= json_object_array_length(raw_of(array)))
        return NULL;
    return outward(json_object_array_get_idx(raw_of(array), i));
}

bool pang_json_next(pang_json_members *it, pang_str *ret_name, pang_json **ret_value)
{
    if (!it->started && pang_json_type_of(it->object) == PANG_JSON_IS_OBJECT)
        it->entry = lh_table_head(json_object_get_object(raw_of(it->object)));
    else if (it->entry != NULL)
        it->entry = lh_entry_next((struct lh_entry *)it->entry);
    it->started = true;
    if (it->entry == NULL)
        return false;
    *ret_name = pang_str_from(lh_entry_k((struct lh_entry *)it->entry));
    *ret_value = outward(lh_entry_v((struct lh_entry *)it->entry));
    return true;
}

bool pang_json_to_int64(const pang_json *value, int64_t *ret)
{
    if (pang_json_type_of(value) != PANG_JSON_IS_INT)
        return false;
    *ret = json_object_get_int64(raw_of(value));
    return true;
}

bool pang_json_to_bool(const pang_json *value, bool *ret)
{
    if (pang_json_type_of(value) != PANG_JSON_IS_BOOL)
        return false;
    *ret = json_object_get_boolean(raw_of(value)) != 0;
    return true;
}

bool pang_json_to_str(const pang_json *value, pang_str *ret)
{
    if (pang_json_type_of(value) != PANG_JSON_IS_STRING)
        return false;
    *ret = (pang_str){json_object_get_string(raw_of(value)),
                      (size_t)json_object_get_string_len(raw_of(value))};
    return true;
}

bool pang_json_to_spelling(const pang_json *value, pang_arena *arena, pang_str *ret)
{
    int64_t number;
    if (pang_json_to_int64(value, &number)) {
        *ret = pang_arena_printf(arena, "%" PRId64, number);
        return ret->len > 0;
    }
    if (pang_json_type_of(value) != PANG_JSON_IS_NUMBER)
        return false;
    *ret = pang_str_from(json_object_get_userdata(raw_of(value)));
    return true;
}

/* ---- comparing ---- */

/* Spelt alike, or fractions of one value. Integers past int64 are equal only when spelt alike:
 * as doubles, neighbours are one. */
static bool equal_numbers(struct json_object *a, struct json_object *b)
{
    const char *x = json_object_get_userdata(a), *y = json_object_get_userdata(b);
    if (strcmp(x, y) == 0)
        return true;
    if (strpbrk(x, ".eE") == NULL || strpbrk(y, ".eE") == NULL)
        return false;
    double p = json_object_get_double(a), q = json_object_get_double(b);
    return !(p < q) && !(p > q);
}

static bool equal_objects(const pang_json *a, const pang_json *b)
{
    pang_json_members it = {.object = a};
    pang_str name;
    pang_json *value;
    while (pang_json_next(&it, &name, &value)) {
        pang_json *other = pang_json_get(b, name.ptr);
        if (other == NULL || !pang_json_equal(value, other))
            return false;
    }
    return true;
}

static bool equal_arrays(const pang_json *a, const pang_json *b)
{
    for (size_t i = 0; i < pang_json_size(a); i++) {
        if (!pang_json_equal(pang_json_at(a, i), pang_json_at(b, i)))
            return false;
    }
    return true;
}

bool pang_json_equal(const pang_json *a, const pang_json *b)
{
    pang_json_type type = pang_json_type_of(a);
    if (raw_of(a) == raw_of(b))
        return true;
    if (type != pang_json_type_of(b) || pang_json_size(a) != pang_json_size(b))
        return false;
    switch (type) {
    case PANG_JSON_IS_NULL:
        return true;
    case PANG_JSON_IS_BOOL:
        return json_object_get_boolean(raw_of(a)) == json_object_get_boolean(raw_of(b));
    case PANG_JSON_IS_INT:
        return json_object_get_int64(raw_of(a)) == json_object_get_int64(raw_of(b));
    case PANG_JSON_IS_NUMBER:
        return equal_numbers(raw_of(a), raw_of(b));
    case PANG_JSON_IS_STRING: {
        pang_str x, y;
        return pang_json_to_str(a, &x) && pang_json_to_str(b, &y) && pang_str_equal(x, y);
    }
    case PANG_JSON_IS_ARRAY:
        return equal_arrays(a, b);
    case PANG_JSON_IS_OBJECT:
        return equal_objects(a, b);
    }
    return false;
}

/* ---- making ---- */

pang_json *pang_json_object(pang_arena *arena)
{
    return keep(json_object_new_object(), arena);
}

pang_json *pang_json_array(pang_arena *arena)
{
    return keep(json_object_new_array(), arena);
}

pang_json *pang_json_int(int64_t value, pang_arena *arena)
{
    return keep(json_object_new_int64(value), arena);
}

pang_json *pang_json_bool(bool value, pang_arena *arena)
{
    return keep(json_object_new_boolean(value), arena);
}

pang_json *pang_json_str(pang_str value, pang_arena *arena)
{
    return keep(new_string(value), arena);
}

pang_json *pang_json_null(pang_arena *arena)
{
    (void)arena;
    return null_value();
}

static struct json_object *copy_raw(struct json_object *from);

/* Copies `from`, which may be null, into a container: by name, or at the end. */
static bool copy_into(struct json_object *to, const char *name, struct json_object *from)
{
    struct json_object *copy = from == NULL ? NULL : copy_raw(from);
    if (copy == NULL && from != NULL)
        return false;
    if (name != NULL ? insert(to, name, copy) : json_object_array_add(to, copy) == 0)
        return true;
    json_object_put(copy);
    return false;
}

static struct json_object *copy_container(struct json_object *from, struct json_object *to)
{
    bool done = to != NULL;
    if (json_object_is_type(from, json_type_array)) {
        for (size_t i = 0; done && i < json_object_array_length(from); i++)
            done = copy_into(to, NULL, json_object_array_get_idx(from, i));
    } else {
        struct lh_entry *e = lh_table_head(json_object_get_object(from));
        for (; done && e != NULL; e = lh_entry_next(e))
            done = copy_into(to, lh_entry_k(e), lh_entry_v(e));
    }
    if (done)
        return to;
    json_object_put(to);
    return NULL;
}

/* A copy whose one count is the caller's; NULL without memory. Not for null. As deep as what was
 * parsed or built, which printing bounds too. */
static struct json_object *copy_raw(struct json_object *from)
{
    switch (json_object_get_type(from)) {
    case json_type_array:
        return copy_container(from, json_object_new_array());
    case json_type_object:
        return copy_container(from, json_object_new_object());
    case json_type_double:
        return json_object_new_double_s(json_object_get_double(from),
                                        json_object_get_userdata(from));
    case json_type_int:
        return json_object_new_int64(json_object_get_int64(from));
    case json_type_boolean:
        return json_object_new_boolean(json_object_get_boolean(from));
    default:
        return json_object_new_string_len(json_object_get_string(from),
                                          json_object_get_string_len(from));
    }
}

pang_json *pang_json_copy(const pang_json *value, pang_arena *arena)
{
    if (value == NULL || value == null_value())
        return (pang_json *)(uintptr_t)value;
    return keep(copy_raw(raw_of(value)), arena);
}

/* ---- changing ---- */

/* What the object printed as is not what it will. */
static void forget(struct json_object *object)
{
    if (json_object_get_userdata(object) != NULL)
        json_object_set_userdata(object, NULL, NULL);
}

bool pang_json_set(pang_json *object, const char *name, pang_json *value)
{
    if (value == NULL || value == object || pang_json_type_of(object) != PANG_JSON_IS_OBJECT)
        return false;
    struct json_object *held = json_object_get(inward(value));
    struct lh_table *table = json_object_get_object(object);
    forget(object);
    struct lh_entry *entry = lh_table_lookup_entry_w_hash(table, name, lh_get_hash(table, name));
    if (entry == NULL) {
        if (insert(object, name, held))
            return true;
        json_object_put(held);
        return false;
    }
    json_object_put(lh_entry_v(entry));
    lh_entry_set_val(entry, held);
    return true;
}

bool pang_json_set_str(pang_json *object, pang_str name, pang_json *value)
{
    char small[NAME_ON_STACK];
    char *cstr = name.len < sizeof small ? small : malloc(name.len + 1);
    if (cstr == NULL || pang_str_find(name, '\0') < name.len) {
        if (cstr != small)
            free(cstr);
        return false;
    }
    if (name.len > 0)
        memcpy(cstr, name.ptr, name.len);
    cstr[name.len] = '\0';
    bool done = pang_json_set(object, cstr, value);
    if (cstr != small)
        free(cstr);
    return done;
}

bool pang_json_append(pang_json *array, pang_json *value)
{
    if (value == NULL || pang_json_type_of(array) != PANG_JSON_IS_ARRAY)
        return false;
    struct json_object *held = json_object_get(inward(value));
    if (json_object_array_add(array, held) == 0)
        return true;
    json_object_put(held);
    return false;
}

bool pang_json_replace(pang_json *array, size_t i, pang_json *value)
{
    if (value == NULL || i >= pang_json_size(array) ||
        pang_json_type_of(array) != PANG_JSON_IS_ARRAY)
        return false;
    struct json_object *held = json_object_get(inward(value));
    if (json_object_array_put_idx(array, i, held) == 0)
        return true;
    json_object_put(held);
    return false;
}

void pang_json_remove(pang_json *object, const char *name)
{
    if (pang_json_type_of(object) != PANG_JSON_IS_OBJECT)
        return;
    forget(object);
    json_object_object_del(object, name);
}

void pang_json_remove_at(pang_json *array, size_t i)
{
    if (pang_json_type_of(array) == PANG_JSON_IS_ARRAY && i < pang_json_size(array))
        (void)json_object_array_del_idx(array, i, 1);
}
