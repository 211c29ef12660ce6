/*
 * Options off the wire: google.api.http and (pangolin.v1.rule) of a method, (pangolin.v1.field) of
 * a field. The numbers are those of proto/google/api/http.proto and proto/pangolin/v1/rule.proto.
 */
#include "api/schema_internal.h"

enum {
    OPTION_HTTP = 72295728,
    OPTION_RULE = 51234,
    OPTION_FIELD = 51235,
    LIST_MAX = 32, /* bindings, checks, objects or aliases of one option */
};

static pang_code fail_option(pang_err *err, pang_str of, const char *what)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL, "%" PANG_STR_FMT ": %s", PANG_STR_ARG(of),
                     what);
}

/* Counts the fields of one number, so that lists are allocated at once. */
static size_t count_fields(pang_str message, uint32_t number)
{
    pang_wire_field f;
    size_t n = 0;
    while (pang_wire_next(&message, &f))
        n += f.number == number;
    return n;
}

/* All strings of one number. */
static pang_code read_strings(pang_arena *arena, pang_str message, uint32_t number,
                              const pang_str **ret, size_t *ret_n, pang_err *err)
{
    size_t n = count_fields(message, number), at = 0;
    pang_wire_field f;
    pang_str *list = pang_arena_alloc_n(arena, n + 1, sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    while (pang_wire_next(&message, &f)) {
        if (f.number == number)
            list[at++] = f.bytes;
    }
    *ret = list;
    *ret_n = n;
    return PANG_OK;
}

/* ---- google.api.http ---- */

static void read_custom(pang_str message, pang_http_binding *ret)
{
    pang_wire_field f;
    while (pang_wire_next(&message, &f)) {
        if (f.number == 1)
            ret->verb = f.bytes;
        else if (f.number == 2)
            ret->path = f.bytes;
    }
}

static void read_binding(pang_str message, pang_http_binding *ret)
{
    static const pang_str verbs[] = {
        [2] = PANG_STR_INIT("GET"),    [3] = PANG_STR_INIT("PUT"),   [4] = PANG_STR_INIT("POST"),
        [5] = PANG_STR_INIT("DELETE"), [6] = PANG_STR_INIT("PATCH"),
    };
    pang_wire_field f;
    *ret = (pang_http_binding){.body = PANG_STR("")};
    while (pang_wire_next(&message, &f)) {
        if (f.number >= 2 && f.number <= 6) {
            ret->verb = verbs[f.number];
            ret->path = f.bytes;
        } else if (f.number == 7) {
            ret->body = f.bytes;
        } else if (f.number == 8) {
            read_custom(f.bytes, ret);
        }
    }
}

static pang_code read_http(pang_arena *arena, pang_str message, pang_schema_method *method,
                           pang_err *err)
{
    size_t n = 1 + count_fields(message, 11), at = 1;
    pang_wire_field f;
    pang_http_binding *list = pang_arena_alloc_n(arena, n, sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    if (n > LIST_MAX)
        return fail_option(err, method->path, "too many HTTP bindings");
    read_binding(message, &list[0]);
    while (pang_wire_next(&message, &f)) {
        if (f.number == 11)
            read_binding(f.bytes, &list[at++]);
    }
    method->http = list;
    method->n_http = n;
    return PANG_OK;
}

/* ---- (pangolin.v1.rule) ---- */

/* Adds one caller to a set; what has no number of ours becomes bit 0, which is refused later. */
static void add_caller(uint32_t *set, uint64_t value)
{
    *set |= (uint32_t)1 << (value <= PANG_CALLER_NOBODY ? value : 0);
}

/* protoc packs lists of enums, other writers need not. */
static void read_callers(const pang_wire_field *f, uint32_t *set)
{
    pang_str packed = f->bytes;
    uint64_t value;
    if (f->wire != PANG_WIRE_BYTES)
        add_caller(set, f->value);
    while (f->wire == PANG_WIRE_BYTES && packed.len > 0 && pang_wire_varint(&packed, &value))
        add_caller(set, value);
}

static pang_code read_check(pang_arena *arena, pang_str message, pang_rule_check *ret,
                            pang_err *err)
{
    pang_str rest = message;
    pang_wire_field f;
    *ret = (pang_rule_check){0};
    while (pang_wire_next(&rest, &f)) {
        switch (f.number) {
        case 8:
            read_callers(&f, &ret->callers);
            break;
        case 9:
            ret->self = f.bytes;
            break;
        case 10:
            ret->ref = f.bytes;
            break;
        case 1:
            ret->action = (uint32_t)f.value;
            break;
        case 2:
            ret->resource = (uint32_t)f.value;
            break;
        case 4:
            ret->each = f.bytes;
            break;
        case 5:
            ret->when = f.bytes;
            break;
        case 6:
            ret->equals = f.bytes;
            break;
        case 7:
            ret->any_of = f.bytes;
            break;
        default:
            break;
        }
    }
    return read_strings(arena, message, 3, &ret->object, &ret->n_object, err);
}

static pang_code read_checks(pang_arena *arena, pang_str message, pang_schema_method *method,
                             pang_err *err)
{
    size_t n = count_fields(message, 10), at = 0;
    pang_wire_field f;
    pang_rule_check *list = pang_arena_alloc_n(arena, n + 1, sizeof *list);
    if (list == NULL)
        return pang_fail_memory(err);
    if (n > LIST_MAX)
        return fail_option(err, method->path, "too many checks");
    while (pang_wire_next(&message, &f)) {
        pang_code code = f.number == 10 ? read_check(arena, f.bytes, &list[at++], err) : PANG_OK;
        if (code != PANG_OK)
            return code;
    }
    method->checks = list;
    method->n_checks = n;
    return PANG_OK;
}

static void read_filter(pang_str message, pang_schema_method *method)
{
    pang_wire_field f;
    while (pang_wire_next(&message, &f)) {
        if (f.number == 1)
            method->filter_action = (uint32_t)f.value;
        else if (f.number == 2)
            method->filter_resource = (uint32_t)f.value;
    }
}

static void read_paging(pang_str message, pang_schema_method *method)
{
    pang_wire_field f;
    while (pang_wire_next(&message, &f)) {
        if (f.number == 1)
            method->paging_items = upb_MessageDef_FindFieldByNameWithSize(method->out, f.bytes.ptr,
                                                                          f.bytes.len);
        else if (f.number == 2)
            method->paging_lines = f.value != 0;
    }
}

static pang_code read_rule(pang_arena *arena, pang_str message, pang_schema_method *method,
                           pang_err *err)
{
    pang_str rest = message;
    pang_wire_field f;
    bool pages = false;
    while (pang_wire_next(&rest, &f)) {
        switch (f.number) {
        case 1:
            method->tenant = (pang_tenant_source)f.value;
            break;
        case 2:
            method->effect = (pang_effect)f.value;
            break;
        case 3:
            method->dialect = (pang_dialect)f.value;
            break;
        case 4:
            method->is_public = f.value != 0;
            break;
        case 5:
            method->audit = f.bytes;
            break;
        case 6:
            method->audit_class = (pang_audit_class)f.value;
            break;
        case 7:
            method->success = (uint32_t)f.value;
            break;
        case 8:
            method->body_limit = (size_t)f.value;
            break;
        case 9:
            method->deadline_ms = (int64_t)f.value;
            break;
        case 11:
            read_filter(f.bytes, method);
            break;
        case 12:
            read_paging(f.bytes, method);
            pages = true;
            break;
        case 13:
            method->waits = f.value != 0;
            break;
        case 14:
            method->tenant_field = f.bytes;
            break;
        case 16:
            method->form = f.value != 0;
            break;
        case 17:
            method->parks = f.value != 0;
            break;
        case 18:
            method->strict = f.value != 0;
            break;
        default:
            break;
        }
    }
    if (pages && method->paging_items == NULL)
        return fail_option(err, method->path, "rule.paging names no field of the response");
    method->success = method->success == 0 ? 200 : method->success;
    method->body_limit = method->body_limit == 0 ? PANG_BODY_DEFAULT : method->body_limit;
    method->deadline_ms = method->deadline_ms == 0 ? PANG_DEADLINE_DEFAULT : method->deadline_ms;
    pang_code code = read_strings(arena, message, 15, &method->tolerate, &method->n_tolerate, err);
    if (code == PANG_OK)
        code = read_strings(arena, message, 19, &method->refuse, &method->n_refuse, err);
    return code == PANG_OK ? read_checks(arena, message, method, err) : code;
}

/* An option's bytes. protoc writes `(field).a = x, (field).b = y` as two occurrences, and messages
 * merge by being put one behind the other. */
static pang_code collect(pang_arena *arena, pang_str options, uint32_t number, pang_str *ret,
                         bool *ret_found, pang_err *err)
{
    pang_buf all = {.arena = arena};
    pang_wire_field f;
    *ret_found = false;
    while (pang_wire_next(&options, &f)) {
        if (f.number != number)
            continue;
        *ret_found = true;
        pang_buf_add(&all, f.bytes);
    }
    *ret = pang_buf_str(&all);
    return all.failed ? pang_fail_memory(err) : PANG_OK;
}

pang_code pang_schema_read_method(pang_arena *arena, pang_str options, pang_schema_method *method,
                                  pang_err *err)
{
    pang_str bytes;
    bool found;
    pang_code code = collect(arena, options, OPTION_HTTP, &bytes, &found, err);
    if (code == PANG_OK && found)
        code = read_http(arena, bytes, method, err);
    if (code == PANG_OK)
        code = collect(arena, options, OPTION_RULE, &bytes, &found, err);
    if (code == PANG_OK && !found)
        code = fail_option(err, method->path, "the method has no rule");
    return code == PANG_OK ? read_rule(arena, bytes, method, err) : code;
}

/* ---- (pangolin.v1.field) ---- */

static pang_code read_raw_type(pang_str text, const char *name, char *ret, pang_err *err)
{
    *ret = pang_str_equal(text, PANG_STR("object"))  ? 'o'
           : pang_str_equal(text, PANG_STR("array")) ? 'a'
                                                     : 0;
    return *ret != 0 ? PANG_OK
                     : fail_option(err, pang_str_from(name), "raw_type is object or array");
}

static pang_code read_field_rule(pang_arena *arena, pang_str message, const char *name,
                                 pang_field_rule *ret, pang_err *err)
{
    pang_str rest = message;
    pang_wire_field f;
    pang_code code = PANG_OK;
    *ret = (pang_field_rule){0};
    while (code == PANG_OK && pang_wire_next(&rest, &f)) {
        switch (f.number) {
        case 1:
            ret->raw_json = f.value != 0;
            break;
        case 2:
            code = read_raw_type(f.bytes, name, &ret->raw_type, err);
            break;
        case 3:
            ret->request_header = f.bytes;
            break;
        case 4:
            ret->response_header = f.bytes;
            break;
        case 5:
            ret->namespace_levels = f.value != 0;
            break;
        case 6:
            ret->unwrap = f.value != 0;
            break;
        case 8:
            ret->always = f.value != 0;
            break;
        case 9:
            ret->status_when_true = (uint32_t)f.value;
            break;
        case 10:
            ret->hidden = f.value != 0;
            break;
        case 11:
            ret->twin = f.bytes;
            break;
        case 12:
            ret->nullable = f.value != 0;
            break;
        case 13:
            ret->dotted = f.value != 0;
            break;
        case 14:
            ret->status_when_set = (uint32_t)f.value;
            break;
        default:
            break;
        }
    }
    if (code != PANG_OK)
        return code;
    return read_strings(arena, message, 7, &ret->aliases, &ret->n_aliases, err);
}

pang_code pang_schema_read_field(pang_arena *arena, pang_str options, const char *name,
                                 pang_field_rule *ret, bool *ret_found, pang_err *err)
{
    pang_str bytes;
    pang_code code = collect(arena, options, OPTION_FIELD, &bytes, ret_found, err);
    if (code == PANG_OK && *ret_found)
        code = read_field_rule(arena, bytes, name, ret, err);
    return code;
}
