/*
 * The matcher: a tree of segments built once. Each node has literal children and at most one for a
 * variable; matching tries the literal first and comes back to the variable, so that a namespace
 * may be called "rename". Leaves hold the bindings of one template, one per verb. A request is
 * looked for with its verb, and only then without, to learn which verbs there are.
 */
#include "bridge/route.h"

#include <stdlib.h>

#include "api/upb.h"

enum { LEAVES_MAX = 8, ROUTER_ARENA_MAX = 4 << 20 };

typedef struct {
    const pang_schema_method *method;
    const pang_http_binding *binding;
} leaf;

typedef struct node {
    pang_str literal;             /* empty for the variable's node and the root */
    struct node *children, *next; /* literal children, and siblings among them */
    struct node *variable;
    leaf leaves[LEAVES_MAX];
    size_t n_leaves;
} node;

struct pang_router {
    pang_arena *arena;
    node *root;
};

/* The path of a request, cut. */
typedef struct {
    pang_str segments[PANG_ROUTE_SEGMENTS_MAX];
    size_t n;
} cut_path;

static bool cut(pang_str path, cut_path *ret)
{
    pang_str rest = pang_str_after(path, 1), segment;
    ret->n = 0;
    while (pang_str_next(&rest, '/', &segment)) {
        if (ret->n == PANG_ROUTE_SEGMENTS_MAX)
            return false;
        ret->segments[ret->n++] = segment;
    }
    return true;
}

/* ---- building ---- */

static node *find_literal(const node *parent, pang_str literal)
{
    for (node *n = parent->children; n != NULL; n = n->next) {
        if (pang_str_equal(n->literal, literal))
            return n;
    }
    return NULL;
}

static node *add_child(pang_arena *arena, node *parent, pang_str segment)
{
    bool variable = pang_str_starts(segment, PANG_STR("{"));
    node *found = variable ? parent->variable : find_literal(parent, segment);
    if (found != NULL)
        return found;
    node *made = pang_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return NULL;
    if (variable) {
        parent->variable = made;
    } else {
        made->literal = segment;
        made->next = parent->children;
        parent->children = made;
    }
    return made;
}

static pang_code add_route(pang_router *router, const pang_schema_method *method,
                           const pang_http_binding *binding, pang_err *err)
{
    cut_path template;
    node *at = router->root;
    size_t variables = 0;
    bool fits = cut(binding->path, &template);
    for (size_t i = 0; fits && at != NULL && i < template.n; i++) {
        variables += pang_str_starts(template.segments[i], PANG_STR("{"));
        at = add_child(router->arena, at, template.segments[i]);
    }
    if (at == NULL)
        return pang_fail_memory(err);
    if (!fits || variables > PANG_ROUTE_VARIABLES_MAX || at->n_leaves == LEAVES_MAX)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "route past the bounds: %" PANG_STR_FMT, PANG_STR_ARG(binding->path));
    at->leaves[at->n_leaves++] = (leaf){method, binding};
    return PANG_OK;
}

pang_code pang_router_new(const pang_schema *schema, pang_router **ret, pang_err *err)
{
    pang_code code = PANG_OK;
    pang_router *router = calloc(1, sizeof *router);
    if (router == NULL)
        return pang_fail_memory(err);
    router->arena = pang_arena_new(ROUTER_ARENA_MAX);
    if (router->arena != NULL)
        router->root = pang_arena_alloc(router->arena, sizeof *router->root);
    if (router->root == NULL)
        code = pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < pang_schema_size(schema); i++) {
        const pang_schema_method *method = pang_schema_at(schema, i);
        for (size_t j = 0; code == PANG_OK && j < method->n_http; j++)
            code = add_route(router, method, &method->http[j], err);
    }
    if (code != PANG_OK) {
        pang_router_free(router);
        return code;
    }
    *ret = router;
    return PANG_OK;
}

void pang_router_free(pang_router *router)
{
    if (router == NULL)
        return;
    pang_arena_free(router->arena);
    free(router);
}

/* ---- matching ---- */

static const leaf *find_verb(const node *at, pang_str verb)
{
    for (size_t i = 0; i < at->n_leaves; i++) {
        if (pang_str_equal(at->leaves[i].binding->verb, verb))
            return &at->leaves[i];
    }
    return NULL;
}

/* True when a node answers a verb; the empty one stands for any. */
static bool answers(const node *at, pang_str verb)
{
    return verb.len == 0 ? at->n_leaves > 0 : find_verb(at, verb) != NULL;
}

static const node *find(const node *at, const cut_path *path, size_t i, pang_str verb)
{
    if (i == path->n)
        return answers(at, verb) ? at : NULL;
    const node *literal = find_literal(at, path->segments[i]);
    const node *found = literal == NULL ? NULL : find(literal, path, i + 1, verb);
    if (found == NULL && at->variable != NULL && path->segments[i].len > 0)
        found = find(at->variable, path, i + 1, verb);
    return found;
}

/* The path without `n` segments from `from` on. */
static cut_path without(const cut_path *path, size_t from, size_t n)
{
    cut_path shorter = {.n = path->n - n};
    for (size_t i = 0; i < shorter.n; i++)
        shorter.segments[i] = path->segments[i < from ? i : i + n];
    return shorter;
}

/* As it stands, then without a doubled prefix: /v1/c/v1/c/x and /v1/c/v1/x are /v1/c/x. */
static const node *find_doubled(const pang_router *router, cut_path *path, pang_str verb)
{
    const node *found = find(router->root, path, 0, verb);
    bool doubled = path->n > 3 && pang_str_equal(path->segments[0], PANG_STR("v1")) &&
                   pang_str_equal(path->segments[2], PANG_STR("v1"));
    if (found != NULL || !doubled)
        return found;
    cut_path shorter = without(path, 2, 1);
    if (path->n > 4 && pang_str_equal(path->segments[1], path->segments[3])) {
        cut_path shortest = without(path, 2, 2);
        found = find(router->root, &shortest, 0, verb);
        if (found != NULL)
            shorter = shortest;
    }
    if (found == NULL)
        found = find(router->root, &shorter, 0, verb);
    if (found != NULL)
        *path = shorter;
    return found;
}

static pang_code fail_verb(const node *at, pang_str verb, pang_arena *arena, pang_str *ret_allow,
                           pang_err *err)
{
    pang_buf allow = {.arena = arena};
    for (size_t i = 0; i < at->n_leaves; i++) {
        pang_buf_add(&allow, i == 0 ? PANG_STR("") : PANG_STR(", "));
        pang_buf_add(&allow, at->leaves[i].binding->verb);
    }
    if (find_verb(at, PANG_STR("GET")) != NULL && find_verb(at, PANG_STR("HEAD")) == NULL)
        pang_buf_add(&allow, PANG_STR(", HEAD"));
    *ret_allow = pang_buf_str(&allow);
    return pang_fail(err, PANG_UNIMPLEMENTED, "MethodNotAllowed",
                     "method %" PANG_STR_FMT " is not allowed here", PANG_STR_ARG(verb));
}

static pang_code fail_route(pang_str verb, pang_str path, pang_err *err)
{
    bool iceberg = pang_str_starts(path, PANG_STR("/v1/"));
    return pang_fail(err, iceberg ? PANG_INVALID_ARGUMENT : PANG_NOT_FOUND,
                     iceberg ? "BadRequestException" : "NotFoundException",
                     "No route for request: %" PANG_STR_FMT " %" PANG_STR_FMT, PANG_STR_ARG(verb),
                     PANG_STR_ARG(pang_str_slice(pang_str_after(path, 1), 0, 200)));
}

static bool is_dots(pang_str text)
{
    return pang_str_equal(text, PANG_STR(".")) || pang_str_equal(text, PANG_STR(".."));
}

static pang_code bind(const cut_path *path, pang_arena *arena, pang_route_match *ret, pang_err *err)
{
    cut_path template;
    (void)cut(ret->binding->path, &template);
    for (size_t i = 0; i < template.n; i++) {
        pang_str name = template.segments[i];
        if (!pang_str_starts(name, PANG_STR("{")))
            continue;
        name = pang_str_slice(name, 1, name.len - 2);
        pang_route_variable *v = &ret->variables[ret->n_variables++];
        v->field = upb_MessageDef_FindFieldByNameWithSize(ret->method->in, name.ptr, name.len);
        v->raw = path->segments[i];
        pang_plus plus = ret->method->dialect == PANG_DIALECT_ICEBERG ? PANG_PLUS_IS_BLANK
                                                                      : PANG_PLUS_STAYS;
        pang_code code = pang_percent_decode(v->raw, plus, upb_FieldDef_Name(v->field), arena,
                                             &v->text, err);
        if (code != PANG_OK)
            return code;
        if (is_dots(v->text))
            return pang_fail(err, PANG_INVALID_ARGUMENT, "BadRequestException",
                             "invalid %s: a path segment of dots", upb_FieldDef_Name(v->field));
    }
    return PANG_OK;
}

pang_code pang_router_match(const pang_router *router, pang_str verb, pang_str path,
                            pang_arena *arena, pang_route_match *ret, pang_str *ret_allow,
                            pang_err *err)
{
    cut_path parts;
    bool head = pang_str_equal(verb, PANG_STR("HEAD"));
    *ret = (pang_route_match){0};
    if (verb.len == 0 || !cut(path, &parts))
        return fail_route(verb, path, err);
    pang_str wanted = verb;
    const node *at = find_doubled(router, &parts, wanted);
    if (at == NULL && head) {
        wanted = PANG_STR("GET");
        at = find_doubled(router, &parts, wanted);
        ret->head = at != NULL;
    }
    if (at == NULL) {
        at = find_doubled(router, &parts, PANG_STR(""));
        return at == NULL ? fail_route(verb, path, err)
                          : fail_verb(at, verb, arena, ret_allow, err);
    }
    const leaf *found = find_verb(at, wanted);
    ret->method = found->method;
    ret->binding = found->binding;
    return bind(&parts, arena, ret, err);
}
