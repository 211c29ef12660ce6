/*
 * What a description must not contain: the start stops on it, naming the method or field, so that
 * a forgotten permission, audit action or tenant cannot ship.
 */
#include "api/schema_internal.h"

enum { ACTION_LAST = 10, RESOURCE_LAST = 19 }; /* Action and Resource of rule.proto */

static pang_code refuse(pang_err *err, pang_str of, const char *what, pang_str name)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                     "%" PANG_STR_FMT ": %s \"%" PANG_STR_FMT "\"", PANG_STR_ARG(of), what,
                     PANG_STR_ARG(name));
}

static bool within(uint32_t value, uint32_t last)
{
    return value >= 1 && value <= last;
}

static const upb_FieldDef *find_field(const upb_MessageDef *message, pang_str name)
{
    return upb_MessageDef_FindFieldByNameWithSize(message, name.ptr, name.len);
}

/* The field that a dotted path leads to; NULL when it leads nowhere. */
static const upb_FieldDef *follow(const upb_MessageDef *message, pang_str path)
{
    const upb_FieldDef *field = NULL;
    pang_str part;
    while (pang_str_next(&path, '.', &part)) {
        if (message == NULL)
            return NULL;
        field = find_field(message, part);
        if (field == NULL)
            return NULL;
        message = upb_FieldDef_Type(field) == UPB_MESSAGE ? upb_FieldDef_MessageSubDef(field)
                                                          : NULL;
    }
    return field;
}

static pang_code check_object(const pang_schema_method *method, const pang_rule_check *check,
                              pang_str path, pang_err *err)
{
    const upb_MessageDef *message = method->in;
    if (pang_str_starts(path, PANG_STR("."))) {
        const upb_FieldDef *each = find_field(message, check->each);
        if (each == NULL || !upb_FieldDef_IsRepeated(each) ||
            upb_FieldDef_Type(each) != UPB_MESSAGE)
            return refuse(err, method->path, "a check's each is no repeated message:", check->each);
        message = upb_FieldDef_MessageSubDef(each);
        path = pang_str_after(path, 1);
    }
    if (follow(message, path) == NULL)
        return refuse(err, method->path, "a check's object is no field of the request:", path);
    return PANG_OK;
}

static bool has_caller(const pang_rule_check *check, pang_caller caller)
{
    return (check->callers >> caller & 1) != 0;
}

static bool is_one_text(const upb_FieldDef *field)
{
    return field != NULL && upb_FieldDef_Type(field) == UPB_STRING &&
           !upb_FieldDef_IsRepeated(field);
}

/* Callers that could never pass, or never be told from others, are somebody's mistake. */
static pang_code check_callers(const pang_schema_method *method, const pang_rule_check *check,
                               pang_err *err)
{
    bool of_tenant = has_caller(check, PANG_CALLER_ROOT_IN_TENANT) ||
                     has_caller(check, PANG_CALLER_TENANT_ADMIN) ||
                     has_caller(check, PANG_CALLER_MEMBER);
    bool nobody = has_caller(check, PANG_CALLER_NOBODY);
    if ((check->callers & 1) != 0)
        return refuse(err, method->path, "a check has an unknown", PANG_STR("caller"));
    if (has_caller(check, PANG_CALLER_SELF) != (check->self.len > 0))
        return refuse(err, method->path,
                      "a check's self and CALLER_SELF need each other:", check->self);
    if (check->self.len > 0 && !is_one_text(follow(method->in, check->self)))
        return refuse(err, method->path, "a check's self is no text of the request:", check->self);
    if (of_tenant && (method->tenant == PANG_TENANT_NONE || method->tenant == PANG_TENANT_SYSTEM))
        return refuse(err, method->path, "a check's callers need a", PANG_STR("tenant"));
    if (nobody && (check->callers != (uint32_t)1 << PANG_CALLER_NOBODY || check->when.len == 0))
        return refuse(err, method->path, "CALLER_NOBODY stands alone and needs", PANG_STR("when"));
    return PANG_OK;
}

static pang_code check_check(const pang_schema_method *method, const pang_rule_check *check,
                             pang_err *err)
{
    if (!within(check->action, ACTION_LAST) || !within(check->resource, RESOURCE_LAST))
        return refuse(err, method->path, "a check has no action or resource", check->any_of);
    pang_code code = check_callers(method, check, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < check->n_object; i++) {
        code = check_object(method, check, check->object[i], err);
        if (code != PANG_OK)
            return code;
    }
    if (check->when.len > 0 && follow(method->in, check->when) == NULL)
        return refuse(err, method->path, "a check's when is no field of the request:", check->when);
    return PANG_OK;
}

static pang_code check_variable(const pang_schema *schema, const pang_schema_method *method,
                                pang_str name, pang_err *err)
{
    const upb_FieldDef *field = find_field(method->in, name);
    if (field == NULL)
        return refuse(err, method->path, "a path variable is no field of the request:", name);
    bool levels = pang_schema_field(schema, field)->namespace_levels;
    bool fits = upb_FieldDef_IsRepeated(field) ? levels : upb_FieldDef_Type(field) != UPB_MESSAGE;
    return fits ? PANG_OK : refuse(err, method->path, "a path variable is no single value:", name);
}

static pang_code check_binding(const pang_schema *schema, const pang_schema_method *method,
                               const pang_http_binding *http, pang_err *err)
{
    pang_str rest = http->path;
    if (http->verb.len == 0 || !pang_str_starts(http->path, PANG_STR("/")))
        return refuse(err, method->path, "an HTTP binding has no verb or path:", http->path);
    if (http->body.len > 0 && !pang_str_equal(http->body, PANG_STR("*")) &&
        find_field(method->in, http->body) == NULL)
        return refuse(err, method->path, "the body is no field of the request:", http->body);
    for (size_t at = pang_str_find(rest, '{'); at < rest.len; at = pang_str_find(rest, '{')) {
        rest = pang_str_after(rest, at + 1);
        pang_code code = check_variable(schema, method,
                                        pang_str_slice(rest, 0, pang_str_find(rest, '}')), err);
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}

static bool has_audit_hole(const pang_schema_method *method)
{
    if (method->audit_class == PANG_AUDIT_NONE)
        return false;
    return !within(method->audit_class, PANG_AUDIT_CREDENTIAL) || method->audit.len == 0;
}

/* What anybody may begin, such as a sign-in, would let anybody fill the log. */
static bool is_unaudited_write(const pang_schema_method *method)
{
    bool allowed = method->audit_class == PANG_AUDIT_CHANGE ||
                   (method->is_public && method->audit_class == PANG_AUDIT_NONE &&
                    method->tenant == PANG_TENANT_SYSTEM);
    return method->effect == PANG_EFFECT_WRITE && !allowed;
}

static bool has_whole_body(const pang_schema_method *method)
{
    for (size_t i = 0; i < method->n_http; i++) {
        if (!pang_str_equal(method->http[i].body, PANG_STR("*")))
            return false;
    }
    return method->n_http > 0;
}

static pang_code check_transport(const pang_schema_method *method, pang_err *err)
{
    bool by_field = method->tenant == PANG_TENANT_FIELD;
    if (by_field != (method->tenant_field.len > 0) ||
        (by_field && !is_one_text(follow(method->in, method->tenant_field))))
        return refuse(err, method->path,
                      "tenant_field is no text of the request:", method->tenant_field);
    if ((method->success < 200 || method->success > 299) && method->success != 303)
        return refuse(err, method->path, "the rule's success is no 2xx or 303", PANG_STR(""));
    if (method->form && !has_whole_body(method))
        return refuse(err, method->path, "a form needs the body", PANG_STR("*"));
    return PANG_OK;
}

pang_code pang_schema_check_method(const pang_schema *schema, const pang_schema_method *method,
                                   pang_err *err)
{
    pang_code code = PANG_OK;
    if (!within(method->tenant, PANG_TENANT_SYSTEM))
        return refuse(err, method->path, "the rule lacks", PANG_STR("tenant"));
    if (!within(method->effect, PANG_EFFECT_WRITE))
        return refuse(err, method->path, "the rule lacks", PANG_STR("effect"));
    if (!within(method->dialect, PANG_DIALECT_OAUTH))
        return refuse(err, method->path, "the rule lacks", PANG_STR("dialect"));
    if (has_audit_hole(method))
        return refuse(err, method->path, "the rule lacks", PANG_STR("audit"));
    if (is_unaudited_write(method))
        return refuse(err, method->path, "a write is not audited as one:", method->audit);
    if (!method->is_public && method->n_checks == 0)
        return refuse(err, method->path, "the rule lacks", PANG_STR("check"));
    code = check_transport(method, err);
    for (size_t i = 0; code == PANG_OK && i < method->n_checks; i++)
        code = check_check(method, &method->checks[i], err);
    for (size_t i = 0; code == PANG_OK && i < method->n_http; i++)
        code = check_binding(schema, method, &method->http[i], err);
    if (code == PANG_OK && method->paging_items != NULL &&
        !upb_FieldDef_IsRepeated(method->paging_items))
        code = refuse(err, method->path, "paging.items is not repeated in", PANG_STR("response"));
    return code;
}

/* Code beside this one numbers a message's fields by their index. */
pang_code pang_schema_check_message(const upb_MessageDef *message, pang_err *err)
{
    pang_str name = pang_str_from(upb_MessageDef_FullName(message));
    int n = upb_MessageDef_FieldCount(message);
    if (n > PANG_MESSAGE_FIELDS_MAX)
        return refuse(err, name, "has too many", PANG_STR("fields"));
    for (int i = 0; i < n; i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(message, i);
        if (upb_FieldDef_Index(field) != (uint32_t)i)
            return refuse(err, name,
                          "libupb is not the one that was built for:", PANG_STR("index"));
        if (upb_FieldDef_IsMap(field) && upb_FieldDef_Type(upb_MessageDef_FindFieldByNumber(
                                             upb_FieldDef_MessageSubDef(field), 1)) != UPB_STRING)
            return refuse(err, name,
                          "a map's keys are no strings:", pang_str_from(upb_FieldDef_Name(field)));
    }
    return PANG_OK;
}

pang_code pang_schema_check_field(const upb_MessageDef *message, const upb_FieldDef *field,
                                  const pang_field_rule *rule, pang_err *err)
{
    pang_str name = pang_str_from(upb_FieldDef_FullName(field));
    int type = upb_FieldDef_Type(field);
    bool repeated = upb_FieldDef_IsRepeated(field);
    if (rule->raw_json && (type != UPB_BYTES || repeated))
        return refuse(err, name, "needs single bytes:", PANG_STR("raw_json"));
    if (rule->request_header.len > 0 && (type != UPB_STRING || repeated))
        return refuse(err, name, "needs a single string:", PANG_STR("request_header"));
    if (rule->response_header.len > 0 && (type != UPB_STRING || repeated))
        return refuse(err, name, "needs a single string:", PANG_STR("response_header"));
    if (rule->namespace_levels && (type != UPB_STRING || !repeated))
        return refuse(err, name, "needs repeated string:", PANG_STR("namespace_levels"));
    if (rule->dotted && !rule->namespace_levels)
        return refuse(err, name, "needs namespace_levels:", PANG_STR("dotted"));
    if (rule->nullable && !rule->always)
        return refuse(err, name, "needs always:", PANG_STR("nullable"));
    if (rule->unwrap && upb_MessageDef_Field(message, 0) != field)
        return refuse(err, name, "needs the first field of its message:", PANG_STR("unwrap"));
    if (rule->status_when_true != 0 && (type != UPB_BOOL || repeated))
        return refuse(err, name, "needs a single bool:", PANG_STR("status_when_true"));
    if (rule->status_when_set != 0 && (type != UPB_MESSAGE || repeated))
        return refuse(err, name, "needs a single message:", PANG_STR("status_when_set"));
    return PANG_OK;
}

static bool stands_outside(const pang_field_rule *rule)
{
    return rule->hidden || rule->request_header.len > 0 || rule->response_header.len > 0 ||
           rule->status_when_true != 0 || rule->status_when_set != 0;
}

/* True when a name of the message's JSON is that of another field. */
static bool is_taken(const upb_MessageDef *message, const upb_FieldDef *by, pang_str name)
{
    const upb_FieldDef *json = upb_MessageDef_FindByJsonNameWithSize(message, name.ptr, name.len);
    const upb_FieldDef *own = find_field(message, name);
    return (json != NULL && json != by) || (own != NULL && own != by);
}

pang_code pang_schema_check_shape(const pang_schema *schema, const upb_MessageDef *message,
                                  pang_err *err)
{
    int n = upb_MessageDef_FieldCount(message);
    bool unwrapped = n > 0 && pang_schema_field(schema, upb_MessageDef_Field(message, 0))->unwrap;
    for (int i = 0; i < n; i++) {
        const upb_FieldDef *field = upb_MessageDef_Field(message, i);
        const pang_field_rule *rule = pang_schema_field(schema, field);
        pang_str name = pang_str_from(upb_FieldDef_FullName(field));
        if (i > 0 && unwrapped && !stands_outside(rule))
            return refuse(err, name,
                          "stands in a body that is another field's:", PANG_STR("unwrap"));
        if (rule->twin.len > 0 && is_taken(message, field, rule->twin))
            return refuse(err, name, "the name of another field:", rule->twin);
    }
    return PANG_OK;
}

/* True when two templates match the same requests: equal but for the variables' names. */
static bool same_template(pang_str a, pang_str b)
{
    pang_str x, y;
    for (;;) {
        bool more_a = pang_str_next(&a, '/', &x), more_b = pang_str_next(&b, '/', &y);
        if (!more_a || !more_b)
            return more_a == more_b;
        bool var_a = pang_str_starts(x, PANG_STR("{")), var_b = pang_str_starts(y, PANG_STR("{"));
        if (var_a != var_b || (!var_a && !pang_str_equal(x, y)))
            return false;
    }
}

static pang_code check_route_once(const pang_schema *schema, size_t method, size_t binding,
                                  pang_err *err)
{
    const pang_http_binding *mine = &schema->methods[method].http[binding];
    for (size_t i = 0; i <= method; i++) {
        const pang_schema_method *other = &schema->methods[i];
        size_t n = i == method ? binding : other->n_http;
        for (size_t j = 0; j < n; j++) {
            if (pang_str_equal(mine->verb, other->http[j].verb) &&
                same_template(mine->path, other->http[j].path))
                return refuse(err, schema->methods[method].path, "the route is taken:", mine->path);
        }
    }
    return PANG_OK;
}

pang_code pang_schema_check_routes(const pang_schema *schema, pang_err *err)
{
    for (size_t i = 0; i < schema->n_methods; i++) {
        for (size_t j = 0; j < schema->methods[i].n_http; j++) {
            pang_code code = check_route_once(schema, i, j, err);
            if (code != PANG_OK)
                return code;
        }
    }
    return PANG_OK;
}
