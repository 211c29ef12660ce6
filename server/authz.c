/*
 * Authorisation. Field paths of the rule become chains of field descriptors at start, so that a
 * misspelt path stops the start; per call they are followed through the bound message by offset.
 * What cannot be followed (a message that is not there) yields a part without levels, which no
 * grant can match: absent names are refused, not skipped.
 */
#include "server/authz.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

enum { PATH_MAX_STEPS = 8 };

typedef struct {
    const ProtobufCFieldDescriptor *steps[PATH_MAX_STEPS];
    size_t n;
    bool of_element; /* begins at the element of `each`, not at the request */
} path;

typedef struct {
    const pang_rule_check *rule;
    path *object;
    path each, when, self, ref; /* n 0: none */
} check;

struct pang_authz_plan {
    const check *checks;
    size_t n;
    path tenant; /* n 0: none */
};

/* ---- compiling ---- */

static pang_code bad_path(const pang_schema_method *rule, pang_str text, const char *why,
                          pang_err *err)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                     "check of method \"%" PANG_STR_FMT "\": field \"%" PANG_STR_FMT "\" %s",
                     PANG_STR_ARG(rule->path), PANG_STR_ARG(text), why);
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type,
                                                  pang_str name)
{
    for (unsigned i = 0; type != NULL && i < type->n_fields; i++) {
        if (pang_str_equal(pang_str_from(type->fields[i].name), name))
            return &type->fields[i];
    }
    return NULL;
}

static const ProtobufCMessageDescriptor *message_of(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
}

/* Every step but the last must be one message. */
static pang_code compile_path(const pang_schema_method *rule, pang_str text,
                              const ProtobufCMessageDescriptor *type, path *ret, pang_err *err)
{
    pang_str rest = text, name;
    ret->of_element = pang_str_starts(text, PANG_STR("."));
    if (ret->of_element)
        rest = pang_str_after(rest, 1);
    while (pang_str_next(&rest, '.', &name)) {
        const ProtobufCFieldDescriptor *field = find_field(type, name);
        if (field == NULL || ret->n == PATH_MAX_STEPS)
            return bad_path(rule, text, "is none of the message", err);
        ret->steps[ret->n++] = field;
        type = message_of(field);
        if (rest.ptr != NULL && (type == NULL || field->label == PROTOBUF_C_LABEL_REPEATED))
            return bad_path(rule, text, "descends into what is no message", err);
    }
    return PANG_OK;
}

static const ProtobufCFieldDescriptor *last_step(const path *p)
{
    return p->steps[p->n - 1];
}

static pang_code compile_object(const pang_schema_method *rule, const check *c, pang_str text,
                                const ProtobufCMessageDescriptor *in, path *ret, pang_err *err)
{
    const ProtobufCMessageDescriptor *type = in;
    if (pang_str_starts(text, PANG_STR("."))) {
        if (c->each.n == 0)
            return bad_path(rule, text, "is of an element, but the check has no each", err);
        type = message_of(last_step(&c->each));
    }
    pang_code code = compile_path(rule, text, type, ret, err);
    if (code == PANG_OK && last_step(ret)->type != PROTOBUF_C_TYPE_STRING)
        return bad_path(rule, text, "is no text", err);
    return code;
}

/* A field of the request that holds one text. */
static pang_code compile_text(const pang_schema_method *rule, pang_str text,
                              const ProtobufCMessageDescriptor *in, path *ret, pang_err *err)
{
    pang_code code = compile_path(rule, text, in, ret, err);
    if (code == PANG_OK && (last_step(ret)->type != PROTOBUF_C_TYPE_STRING ||
                            last_step(ret)->label == PROTOBUF_C_LABEL_REPEATED))
        return bad_path(rule, text, "is not one text", err);
    return code;
}

static bool can_compare(const ProtobufCFieldDescriptor *field)
{
    return field->label != PROTOBUF_C_LABEL_REPEATED &&
           (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BOOL ||
            field->type == PROTOBUF_C_TYPE_ENUM);
}

static pang_code compile_check(const pang_schema_method *rule, const pang_rule_check *from,
                               const ProtobufCMessageDescriptor *in, pang_arena *arena, check *ret,
                               pang_err *err)
{
    pang_code code = PANG_OK;
    ret->rule = from;
    ret->object = pang_arena_alloc_n(arena, from->n_object, sizeof *ret->object);
    if (ret->object == NULL)
        return pang_fail_memory(err);
    if (from->each.len > 0) {
        code = compile_path(rule, from->each, in, &ret->each, err);
        if (code == PANG_OK && last_step(&ret->each)->label != PROTOBUF_C_LABEL_REPEATED)
            code = bad_path(rule, from->each, "is not repeated", err);
        /* One permitted element would let all others through. */
        if (code == PANG_OK && from->any_of.len > 0)
            code = bad_path(rule, from->each, "stands in an alternative", err);
    }
    if (code == PANG_OK && from->when.len > 0) {
        code = compile_path(rule, from->when, in, &ret->when, err);
        if (code == PANG_OK && !can_compare(last_step(&ret->when)))
            code = bad_path(rule, from->when, "cannot be compared", err);
    }
    if (code == PANG_OK && from->self.len > 0)
        code = compile_text(rule, from->self, in, &ret->self, err);
    if (code == PANG_OK && from->ref.len > 0)
        code = compile_text(rule, from->ref, in, &ret->ref, err);
    for (size_t i = 0; code == PANG_OK && i < from->n_object; i++)
        code = compile_object(rule, ret, from->object[i], in, &ret->object[i], err);
    return code;
}

pang_code pang_authz_compile(const pang_schema_method *rule, const ProtobufCMessageDescriptor *in,
                             pang_arena *arena, const pang_authz_plan **ret, pang_err *err)
{
    pang_authz_plan *plan = pang_arena_alloc(arena, sizeof *plan);
    check *checks = pang_arena_alloc_n(arena, rule->n_checks, sizeof *checks);
    if (plan == NULL || checks == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < rule->n_checks; i++) {
        pang_code code = compile_check(rule, &rule->checks[i], in, arena, &checks[i], err);
        if (code != PANG_OK)
            return code;
    }
    if (rule->tenant_field.len > 0) {
        pang_code code = compile_text(rule, rule->tenant_field, in, &plan->tenant, err);
        if (code != PANG_OK)
            return code;
    }
    plan->checks = checks;
    plan->n = rule->n_checks;
    *ret = plan;
    return PANG_OK;
}

/* ---- following paths ---- */

static const void *member(const void *message, size_t offset)
{
    return (const char *)message + offset;
}

static size_t count_of(const ProtobufCFieldDescriptor *field, const void *message)
{
    return *(const size_t *)member(message, field->quantifier_offset);
}

/* False for a member of a oneof that is not the chosen one. */
static bool is_chosen(const ProtobufCFieldDescriptor *field, const void *message)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 ||
           *(const uint32_t *)member(message, field->quantifier_offset) == field->id;
}

/* The message that holds the path's last field; NULL when one on the way is not there. */
static const void *holder(const path *p, const void *message)
{
    for (size_t i = 0; message != NULL && i + 1 < p->n; i++) {
        if (!is_chosen(p->steps[i], message))
            return NULL;
        message = *(void *const *)member(message, p->steps[i]->offset);
    }
    if (message != NULL && !is_chosen(last_step(p), message))
        return NULL;
    return message;
}

static pang_code resolve_part(const path *p, const void *message, pang_arena *arena,
                              pang_object_part *ret, pang_err *err)
{
    const ProtobufCFieldDescriptor *field = last_step(p);
    const void *at = holder(p, message);
    bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    *ret = (pang_object_part){NULL, 0};
    if (at == NULL)
        return PANG_OK;
    size_t n = repeated ? count_of(field, at) : 1;
    char *const *texts = repeated ? *(char **const *)member(at, field->offset)
                                  : (char *const *)member(at, field->offset);
    pang_str *levels = pang_arena_alloc_n(arena, n, sizeof *levels);
    if (levels == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < n; i++)
        levels[i] = pang_str_from(texts[i]);
    *ret = (pang_object_part){levels, n};
    return PANG_OK;
}

/* Empty when what holds it is not there. */
static pang_str text_at(const path *p, const void *message)
{
    const void *at = p->n == 0 ? NULL : holder(p, message);
    return at == NULL ? (pang_str){0}
                      : pang_str_from(*(char *const *)member(at, last_step(p)->offset));
}

static bool applies(const check *c, const void *message)
{
    if (c->when.n == 0)
        return true;
    const ProtobufCFieldDescriptor *field = last_step(&c->when);
    const void *at = holder(&c->when, message);
    if (at == NULL)
        return false;
    const void *value = member(at, field->offset);
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return pang_str_equal(pang_str_from(*(char *const *)value), c->rule->equals);
    if (field->type == PROTOBUF_C_TYPE_BOOL)
        return pang_str_equal(*(const protobuf_c_boolean *)value ? PANG_STR("true")
                                                                 : PANG_STR("false"),
                              c->rule->equals);
    const ProtobufCEnumValue *name = protobuf_c_enum_descriptor_get_value(field->descriptor,
                                                                          *(const int *)value);
    return name != NULL && pang_str_equal(pang_str_from(name->name), c->rule->equals);
}

/* ---- resolving ---- */

typedef struct {
    pang_arena *arena;
    pang_access *accesses;
    size_t n;
} resolved;

/* `element` is NULL without each. */
static pang_code add_access(resolved *to, const check *c, const void *message, const void *element,
                            pang_err *err)
{
    pang_code code = PANG_OK;
    size_t n = c->rule->n_object;
    pang_object_part *object = pang_arena_alloc_n(to->arena, n, sizeof *object);
    if (object == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++) {
        const void *from = c->object[i].of_element ? element : message;
        code = resolve_part(&c->object[i], from, to->arena, &object[i], err);
    }
    pang_access *access = &to->accesses[to->n++];
    *access = (pang_access){
        .action = c->rule->action,
        .resource = c->rule->resource,
        .object = object,
        .n_object = n,
        .ref = text_at(&c->ref, message),
        .any_of = c->rule->any_of,
        .callers = c->rule->callers,
    };
    if (!pang_id_parse(text_at(&c->self, message), &access->self))
        access->self = (pang_id){{0}};
    return code;
}

static size_t elements_of(const check *c, const void *message, void *const **ret)
{
    const void *at = holder(&c->each, message);
    if (at == NULL)
        return 0;
    *ret = *(void **const *)member(at, last_step(&c->each)->offset);
    return count_of(last_step(&c->each), at);
}

/* How many accesses a check yields. */
static size_t count_accesses(const check *c, const void *message)
{
    void *const *elements;
    if (!applies(c, message))
        return 0;
    return c->each.n == 0 ? 1 : elements_of(c, message, &elements);
}

static pang_code resolve_check(resolved *to, const check *c, const void *message, pang_err *err)
{
    void *const *elements = NULL;
    if (!applies(c, message))
        return PANG_OK;
    if (c->each.n == 0)
        return add_access(to, c, message, NULL, err);
    pang_code code = PANG_OK;
    size_t n = elements_of(c, message, &elements);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = add_access(to, c, message, elements[i], err);
    return code;
}

pang_code pang_authz_resolve(const pang_authz_plan *plan, const void *message, pang_arena *arena,
                             const pang_access **ret, size_t *ret_n, pang_err *err)
{
    resolved to = {.arena = arena};
    size_t n = 0;
    for (size_t i = 0; i < plan->n; i++) {
        size_t more = count_accesses(&plan->checks[i], message);
        if (more > PANG_EACH_MAX || (n += more) > PANG_EACH_MAX)
            return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                             "the request names more than %d objects", PANG_EACH_MAX);
    }
    to.accesses = pang_arena_alloc_n(arena, n, sizeof *to.accesses);
    if (to.accesses == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < plan->n; i++) {
        pang_code code = resolve_check(&to, &plan->checks[i], message, err);
        if (code != PANG_OK)
            return code;
    }
    assert(to.n == n);
    *ret = to.accesses;
    *ret_n = n;
    return PANG_OK;
}

/* ---- the tenant ---- */

pang_str pang_authz_tenant_field(const pang_authz_plan *plan, const void *message)
{
    return text_at(&plan->tenant, message);
}

static pang_code enter_other(pang_id tenant, const pang_principal *who, pang_arena *arena,
                             const pang_principal **ret_who, pang_err *err)
{
    if (who->kind != PANG_PRINCIPAL_ROOT && !who->is_everybody)
        return pang_fail(err, PANG_NOT_FOUND, NULL, "no such tenant");
    if (who->acts_for_root)
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "the request and X-Pangolin-Tenant name different tenants");
    pang_principal *there = pang_arena_alloc(arena, sizeof *there);
    if (there == NULL)
        return pang_fail_memory(err);
    *there = *who;
    there->tenant = tenant;
    *ret_who = there;
    return PANG_OK;
}

pang_code pang_authz_enter(const pang_schema_method *rule, pang_str field,
                           const pang_principal *who, pang_arena *arena,
                           const pang_principal **ret_who, pang_err *err)
{
    pang_id tenant;
    *ret_who = who;
    if (rule->tenant != PANG_TENANT_FIELD || field.len == 0)
        return PANG_OK;
    if (!pang_id_parse(field, &tenant))
        return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                         "%" PANG_STR_FMT " is not a UUID", PANG_STR_ARG(rule->tenant_field));
    if (rule->is_public && who->kind == PANG_PRINCIPAL_NONE) {
        pang_principal *guest = pang_arena_alloc(arena, sizeof *guest);
        if (guest == NULL)
            return pang_fail_memory(err);
        *guest = *who;
        guest->tenant = tenant;
        *ret_who = guest;
        return PANG_OK;
    }
    bool is_in = who->kind != PANG_PRINCIPAL_ROOT || who->acts_for_root;
    return is_in && pang_id_equal(tenant, who->tenant)
               ? PANG_OK
               : enter_other(tenant, who, arena, ret_who, err);
}

/* ---- checking ---- */

bool pang_authz_is_caller(const pang_principal *who, const pang_access *access)
{
    bool is_root = who->kind == PANG_PRINCIPAL_ROOT;
    bool is_member = who->kind != PANG_PRINCIPAL_NONE && !is_root;
    const struct {
        pang_caller caller;
        bool is_it;
    } table[] = {
        {PANG_CALLER_ROOT, is_root},
        {PANG_CALLER_ROOT_IN_TENANT, is_root && who->acts_for_root},
        {PANG_CALLER_TENANT_ADMIN, is_member && who->is_admin},
        {PANG_CALLER_SELF,
         is_member && !pang_id_is_nil(access->self) && pang_id_equal(access->self, who->id)},
        {PANG_CALLER_MEMBER, is_member},
        {PANG_CALLER_ANYONE, is_root || is_member},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].is_it && (access->callers & 1u << table[i].caller) != 0)
            return true;
    return false;
}

static pang_code judge(pang_evaluate_fn *evaluate, void *arg, pang_call *call,
                       const pang_access *access, pang_verdict *ret, pang_err *err)
{
    if (access->callers == 0)
        return evaluate(arg, call, access, ret, err);
    *ret = pang_authz_is_caller(call->who, access) ? PANG_ALLOWED : PANG_DENIED;
    return PANG_OK;
}

/* "a.b.t": what the access names within its catalog; cut where a message would be, too. */
static void spell_object(const pang_access *access, char to[PANG_ERR_MESSAGE_MAX])
{
    size_t len = 0;
    to[0] = '\0';
    for (size_t i = access->n_object > 1; i < access->n_object; i++)
        for (size_t j = 0; j < access->object[i].n && len < PANG_ERR_MESSAGE_MAX; j++) {
            pang_str level = access->object[i].levels[j];
            len += (size_t)snprintf(to + len, PANG_ERR_MESSAGE_MAX - len, "%s%" PANG_STR_FMT,
                                    len > 0 ? "." : "", PANG_STR_ARG(level));
        }
}

/* As the Iceberg services say it of what is not there. The text follows from the request alone, so
 * that an object that is hidden is answered like one that is absent. */
static pang_code hide(const pang_access *access, pang_err *err)
{
    char object[PANG_ERR_MESSAGE_MAX];
    bool is_view = access->resource == PANG_RESOURCE_VIEW;
    spell_object(access, object);
    if (access->resource < PANG_RESOURCE_CATALOG || access->resource > PANG_RESOURCE_VIEW ||
        access->n_object == 0)
        return pang_fail(err, PANG_NOT_FOUND, NULL, "no such object");
    if (access->n_object == 1)
        return pang_fail(err, PANG_NOT_FOUND, "NoSuchNamespaceException",
                         "Catalog does not exist: %s", object);
    if (access->n_object == 2)
        return pang_fail(err, PANG_NOT_FOUND, "NoSuchNamespaceException",
                         "Namespace does not exist: %s", object);
    return pang_fail(err, PANG_NOT_FOUND, is_view ? "NoSuchViewException" : "NoSuchTableException",
                     "%s does not exist: %s", is_view ? "View" : "Table", object);
}

static const char *word_of_action(uint32_t action)
{
    static const char *const words[] = {
        [PANG_ACT_READ] = "read",
        [PANG_ACT_WRITE] = "write",
        [PANG_ACT_DELETE] = "delete",
        [PANG_ACT_CREATE] = "create",
        [PANG_ACT_UPDATE] = "update",
        [PANG_ACT_LIST] = "list",
        [PANG_ACT_ALL] = "all",
        [PANG_ACT_INGEST_BRANCHING] = "ingest-branching",
        [PANG_ACT_EXPERIMENTAL_BRANCHING] = "experimental-branching",
        [PANG_ACT_MANAGE_DISCOVERY] = "manage-discovery",
    };
    bool known = action < sizeof words / sizeof words[0] && words[action] != NULL;
    return known ? words[action] : "more";
}

static const char *word_of_resource(uint32_t resource)
{
    static const char *const words[] = {
        [PANG_RESOURCE_TENANT] = "tenant",       [PANG_RESOURCE_CATALOG] = "catalog",
        [PANG_RESOURCE_NAMESPACE] = "namespace", [PANG_RESOURCE_TABLE] = "table",
        [PANG_RESOURCE_VIEW] = "view",           [PANG_RESOURCE_ASSET] = "asset",
    };
    bool known = resource < sizeof words / sizeof words[0] && words[resource] != NULL;
    return known ? words[resource] : "object";
}

/* "root in a tenant (X-Pangolin-Tenant), administrators" */
static const char *words_of_callers(uint32_t callers, char *to, size_t size)
{
    static const struct {
        pang_caller caller;
        const char *words;
    } table[] = {
        {PANG_CALLER_ROOT, "root"},
        {PANG_CALLER_ROOT_IN_TENANT, "root in a tenant (X-Pangolin-Tenant)"},
        {PANG_CALLER_TENANT_ADMIN, "administrators of the tenant"},
        {PANG_CALLER_SELF, "the user itself"},
        {PANG_CALLER_MEMBER, "members of the tenant"},
    };
    size_t n = 0;
    (void)snprintf(to, size, "nobody");
    for (size_t i = 0; i < sizeof table / sizeof table[0] && n < size; i++)
        if ((callers & 1u << table[i].caller) != 0)
            n += (size_t)snprintf(to + n, size - n, "%s%s", n > 0 ? ", " : "", table[i].words);
    return to;
}

static pang_code refuse(pang_verdict verdict, const pang_access *access, pang_err *err)
{
    char who[128];
    if (verdict == PANG_HIDDEN)
        return hide(access, err);
    if (access->callers == 0)
        return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                         "not permitted: it takes \"%s\" on the %s", word_of_action(access->action),
                         word_of_resource(access->resource));
    return pang_fail(err, PANG_PERMISSION_DENIED, "ForbiddenException",
                     "not permitted: only for %s",
                     words_of_callers(access->callers, who, sizeof who));
}

/* Alternatives: one that is allowed suffices; without one the most that any of them admits to. */
static pang_code check_group(pang_evaluate_fn *evaluate, void *arg, pang_call *call,
                             const pang_access *accesses, size_t n, size_t first, pang_err *err)
{
    pang_verdict best = PANG_HIDDEN;
    for (size_t i = first; i < n; i++) {
        pang_verdict verdict = PANG_HIDDEN;
        if (!pang_str_equal(accesses[i].any_of, accesses[first].any_of))
            continue;
        pang_code code = judge(evaluate, arg, call, &accesses[i], &verdict, err);
        if (code != PANG_OK)
            return code;
        if (verdict == PANG_ALLOWED)
            return PANG_OK;
        if (verdict == PANG_DENIED)
            best = PANG_DENIED;
    }
    return refuse(best, &accesses[first], err);
}

static bool is_first_of_group(const pang_access *accesses, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (pang_str_equal(accesses[i].any_of, accesses[at].any_of))
            return false;
    }
    return true;
}

pang_code pang_authz_check(pang_evaluate_fn *evaluate, void *arg, pang_call *call,
                           const pang_access *accesses, size_t n, pang_err *err)
{
    for (size_t i = 0; i < n; i++) {
        pang_code code = PANG_OK;
        pang_verdict verdict = PANG_HIDDEN;
        if (accesses[i].any_of.len > 0) {
            if (is_first_of_group(accesses, i))
                code = check_group(evaluate, arg, call, accesses, n, i, err);
        } else {
            code = judge(evaluate, arg, call, &accesses[i], &verdict, err);
            if (code == PANG_OK && verdict != PANG_ALLOWED)
                code = refuse(verdict, &accesses[i], err);
        }
        if (code != PANG_OK)
            return code;
    }
    return PANG_OK;
}
