/*
 * A tree is the lists that a person would open one after the other, each as far as the caller may
 * see it, put together.
 */
#include "server/svc_tree.h"

#include "server/address.h"
#include "server/catalogs.h"
#include "server/evaluate.h"
#include "server/svc_names.h"
#include "server/svc_manage.h"
#include "server/svc_services.h"

#include "pangolin/v1/catalog.pb-c.h"

enum { CATALOGS_MAX = 1000 }; /* of a tree of all of them */

typedef Pangolin__V1__NamespaceNode namespace_node;
typedef Pangolin__V1__ExplorerNode explorer_node;

typedef struct {
    pang_call *call;
    size_t nodes;
} tree;

/* ---- one list ---- */

typedef struct {
    pang_content *rows;
    size_t n;
} children;

static bool keep_child(void *arg, const pang_content *row)
{
    children *c = arg;
    c->rows[c->n++] = *row;
    return true;
}

static pang_code fail_large(pang_err *err)
{
    return pang_fail(err, PANG_FAILED_PRECONDITION, PANG_CONFLICT_REASON,
                     "there is too much for one tree, more than %d entries: list it in parts",
                     PANG_TREE_MAX);
}

/* All children of a namespace that the caller may see. */
static pang_code list_children(tree *t, const pang_view *view, pang_levels levels, pang_space space,
                               children *ret, pang_err *err)
{
    pang_view own = *view;
    pang_list list;
    char *token = NULL;
    int32_t room = (int32_t)(PANG_TREE_MAX - t->nodes) + 1;
    if (room > 10000)
        room = 10000;
    pang_code code = pang_list_begin(t->call, &own, levels, space, NULL, room, &list, err);
    if (code != PANG_OK)
        return code;
    *ret = (children){pang_arena_alloc_n(t->call->arena, list.query.limit, sizeof *ret->rows), 0};
    if (ret->rows == NULL)
        return pang_fail_memory(err);
    code = pang_list_run(t->call, &list, keep_child, ret, &token, err);
    t->nodes += ret->n;
    return code == PANG_OK && (token != NULL || t->nodes > PANG_TREE_MAX) ? fail_large(err) : code;
}

/* `levels` and one more. */
static pang_code deeper(const tree *t, pang_levels levels, pang_str name, pang_levels *ret,
                        pang_err *err)
{
    pang_str *names = pang_arena_alloc_n(t->call->arena, levels.n + 1, sizeof *names);
    if (names == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < levels.n; i++)
        names[i] = levels.names[i];
    names[levels.n] = name;
    *ret = (pang_levels){names, levels.n + 1};
    return PANG_OK;
}

/* ---- walks ---- */

typedef struct {
    pang_tree_fn *fn;
    void *arg;
    bool stopped;
} walker;

static void tell(const pang_view *view, pang_levels levels, const children *c, walker *w)
{
    pang_keys keys = view->keys;
    pang_str path = pang_key_path(&keys, levels.names, levels.n);
    for (size_t i = 0; !w->stopped && i < c->n; i++)
        w->stopped = !w->fn(w->arg, path, &c->rows[i]);
}

/* Depth is bounded by PANG_NAMESPACE_LEVELS_MAX, here and below. */
static pang_code walk(tree *t, const pang_view *view, pang_levels levels, walker *w, pang_err *err)
{
    children inner, assets = {0};
    pang_code code = list_children(t, view, levels, PANG_SPACE_NAMESPACE, &inner, err);
    if (code == PANG_OK && levels.n > 0)
        code = list_children(t, view, levels, PANG_SPACE_ASSET, &assets, err);
    if (code != PANG_OK)
        return code;
    tell(view, levels, &inner, w);
    tell(view, levels, &assets, w);
    for (size_t i = 0; code == PANG_OK && !w->stopped && i < inner.n; i++) {
        pang_levels own;
        code = deeper(t, levels, inner.rows[i].name.name, &own, err);
        if (code == PANG_OK)
            code = walk(t, view, own, w, err);
    }
    return code;
}

pang_code pang_tree_walk(pang_call *call, const pang_view *view, pang_tree_fn *fn, void *arg,
                         pang_err *err)
{
    tree t = {.call = call};
    walker w = {.fn = fn, .arg = arg};
    return walk(&t, view, (pang_levels){0}, &w, err);
}

/* ---- namespaces ---- */

/* Where children go: two members of a message. */
typedef struct {
    namespace_node ***list;
    size_t *n;
} namespace_room;

static pang_code fill_path(const tree *t, pang_levels levels, namespace_node *node, pang_err *err)
{
    node->full_path = pang_arena_alloc_n(t->call->arena, levels.n, sizeof *node->full_path);
    if (node->full_path == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < levels.n; i++)
        node->full_path[i] = pang_arena_cstr(t->call->arena, levels.names[i]);
    node->n_full_path = levels.n;
    node->name = node->full_path[levels.n - 1];
    return pang_manage_built(t->call->arena, err);
}

static pang_code grow_namespaces(tree *t, const pang_view *view, pang_levels levels,
                                 namespace_room to, pang_err *err)
{
    children c;
    pang_code code = list_children(t, view, levels, PANG_SPACE_NAMESPACE, &c, err);
    if (code != PANG_OK)
        return code;
    namespace_node *nodes = pang_arena_alloc_n(t->call->arena, c.n, sizeof *nodes);
    *to.list = pang_arena_alloc_n(t->call->arena, c.n, sizeof **to.list);
    if (nodes == NULL || *to.list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < c.n; i++) {
        pang_levels own;
        nodes[i] = (namespace_node)PANGOLIN__V1__NAMESPACE_NODE__INIT;
        (*to.list)[i] = &nodes[i];
        code = deeper(t, levels, c.rows[i].name.name, &own, err);
        if (code == PANG_OK)
            code = fill_path(t, own, &nodes[i], err);
        if (code == PANG_OK)
            code = grow_namespaces(t, view, own,
                                   (namespace_room){&nodes[i].children, &nodes[i].n_children}, err);
    }
    *to.n = c.n;
    return code;
}

/* A catalog at the ref that its name, or a parameter, says. Of one that is hidden no ref is told.
 */
static pang_code open_at(pang_call *call, const char *catalog, const char *ref, pang_view *ret,
                         pang_err *err)
{
    pang_address address;
    pang_code code = pang_address_of(catalog, NULL, 0, NULL, call->arena, &address, err);
    if (code == PANG_OK)
        code = pang_view_catalog(call->txn, call->arena, call->tenant_key, address.catalog,
                                 PANG_NOT_FOUND_REASON, ret, err);
    if (code == PANG_OK && !pang_evaluate_lists(call, ret->catalog, (pang_str){0}))
        code = pang_fail_no_catalog(err, PANG_NOT_FOUND_REASON, address.catalog);
    if (code != PANG_OK)
        return code;
    pang_address_add(&address, pang_str_from(ref));
    return pang_address_open(call, &address, PANG_NOT_FOUND_REASON, ret, err);
}

pang_code pang_namespace_tree(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetNamespaceTreeRequest *in = request;
    Pangolin__V1__GetNamespaceTreeResponse *out = reply;
    tree t = {.call = call};
    pang_view view;
    pang_code code = open_at(call, in->prefix, in->branch, &view, err);
    if (code != PANG_OK)
        return code;
    return grow_namespaces(&t, &view, (pang_levels){0}, (namespace_room){&out->root, &out->n_root},
                           err);
}

/* ---- everything ---- */

typedef struct {
    explorer_node ***list;
    size_t *n;
} explorer_room;

static const char *type_of(const pang_rec_content *body)
{
    switch (body->kind) {
    case PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE:
        return "namespace";
    case PANGOLIN__STORE__V1__KIND__KIND_TABLE:
        return "table";
    case PANGOLIN__STORE__V1__KIND__KIND_VIEW:
        return "view";
    default:
        return body->asset_kind;
    }
}

static pang_code make_node(const tree *t, const pang_content *row, explorer_node **ret,
                           pang_err *err)
{
    explorer_node *node = pang_arena_alloc(t->call->arena, sizeof *node);
    if (node == NULL)
        return pang_fail_memory(err);
    *node = (explorer_node)PANGOLIN__V1__EXPLORER_NODE__INIT;
    node->name = pang_arena_cstr(t->call->arena, row->name.name);
    node->type = (char *)(uintptr_t)type_of(row->body);
    if (row->name.space == PANG_SPACE_ASSET)
        node->id = pang_manage_id_text(pang_id_of(row->body->asset), t->call->arena);
    *ret = node;
    return pang_manage_built(t->call->arena, err);
}

/* Namespaces first, then assets, each by name. */
static pang_code grow(tree *t, const pang_view *view, pang_levels levels, explorer_room to,
                      pang_err *err)
{
    children inner, assets = {0};
    pang_code code = list_children(t, view, levels, PANG_SPACE_NAMESPACE, &inner, err);
    if (code == PANG_OK && levels.n > 0)
        code = list_children(t, view, levels, PANG_SPACE_ASSET, &assets, err);
    if (code != PANG_OK)
        return code;
    *to.list = pang_arena_alloc_n(t->call->arena, inner.n + assets.n, sizeof **to.list);
    if (*to.list == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < inner.n; i++) {
        pang_levels own;
        explorer_node **at = &(*to.list)[i];
        code = make_node(t, &inner.rows[i], at, err);
        if (code == PANG_OK)
            code = deeper(t, levels, inner.rows[i].name.name, &own, err);
        if (code == PANG_OK)
            code = grow(t, view, own, (explorer_room){&(*at)->children, &(*at)->n_children}, err);
    }
    for (size_t i = 0; code == PANG_OK && i < assets.n; i++)
        code = make_node(t, &assets.rows[i], &(*to.list)[inner.n + i], err);
    *to.n = inner.n + assets.n;
    return code;
}

static pang_code grow_catalog(tree *t, const pang_rec_catalog *body, explorer_node **ret,
                              pang_err *err)
{
    pang_view view;
    explorer_node *node = pang_arena_alloc(t->call->arena, sizeof *node);
    if (node == NULL)
        return pang_fail_memory(err);
    *node = (explorer_node)PANGOLIN__V1__EXPLORER_NODE__INIT;
    node->name = body->name;
    node->type = (char *)(uintptr_t) "catalog";
    node->id = pang_manage_id_text(pang_id_of(body->id), t->call->arena);
    *ret = node;
    pang_code code = pang_view_of(t->call->txn, t->call->arena, t->call->tenant_key,
                                  pang_id_of(body->id), pang_str_from(body->name), &view, err);
    if (code != PANG_OK)
        return code;
    return grow(t, &view, (pang_levels){0}, (explorer_room){&node->children, &node->n_children},
                err);
}

pang_code pang_explorer_tree(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__GetExplorerTreeRequest *in = request;
    Pangolin__V1__GetExplorerTreeResponse *out = reply;
    pang_catalogs_query query = {.page_size = CATALOGS_MAX};
    pang_rec_catalog **list = NULL;
    tree t = {.call = call};
    pang_view view;
    char *token = NULL;
    size_t n = 0;
    if (in->catalog[0] != '\0') {
        pang_code found = open_at(call, in->catalog, in->branch, &view, err);
        return found == PANG_OK ? grow(&t, &view, (pang_levels){0},
                                       (explorer_room){&out->nodes, &out->n_nodes}, err)
                                : found;
    }
    if (in->branch[0] != '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "branch: of one catalog, and none is named");
    pang_code code = pang_catalogs_list(call, &query, &list, &n, &token, err);
    if (code == PANG_OK && token != NULL)
        code = fail_large(err);
    if (code != PANG_OK)
        return code;
    out->nodes = pang_arena_alloc_n(call->arena, n, sizeof *out->nodes);
    if (out->nodes == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; code == PANG_OK && i < n; i++)
        code = grow_catalog(&t, list[i], &out->nodes[i], err);
    out->n_nodes = n;
    return code;
}
