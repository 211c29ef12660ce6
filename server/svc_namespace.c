/*
 * Namespaces: records like tables, under their parent's path, with their properties in the record
 * itself.
 */
#include <string.h>

#include "server/address.h"
#include "server/evaluate.h"
#include "server/locations.h"
#include "server/pages.h"
#include "server/state.h"
#include "server/svc_names.h"
#include "server/svc_services.h"

#include "pangolin/v1/namespace.pb-c.h"

#define NAMESPACE PANGOLIN__STORE__V1__KIND__KIND_NAMESPACE
#define LOCATION PANG_STR("location")

/* ---- what the calls share ---- */

typedef struct {
    pang_view view;
    pang_address address;
    pang_levels levels; /* of the address: without a ref */
    pang_content content;
} target;

static pang_code open_view(pang_call *call, const char *prefix, char *const *names, size_t n,
                           target *ret, pang_err *err)
{
    pang_code code = pang_address_of(prefix, names, n, NULL, call->arena, &ret->address, err);
    if (code != PANG_OK)
        return code;
    ret->levels = ret->address.levels;
    return pang_address_open(call, &ret->address, PANG_NO_NAMESPACE, &ret->view, err);
}

/* Opens the view and reads the namespace, there or not. */
static pang_code open_target(pang_call *call, const char *prefix, char *const *names, size_t n,
                             target *ret, pang_err *err)
{
    pang_code code = open_view(call, prefix, names, n, ret, err);
    if (code == PANG_OK && n == 0)
        code = pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "namespace has no levels");
    if (code != PANG_OK)
        return code;
    ret->content = (pang_content){.name = pang_name_of_namespace(&ret->view.keys, ret->levels)};
    return pang_content_get(&ret->view, &ret->content, 1, err);
}

static pang_code open_existing(pang_call *call, const char *prefix, char *const *names, size_t n,
                               target *ret, pang_err *err)
{
    pang_code code = open_target(call, prefix, names, n, ret, err);
    if (code == PANG_OK && !pang_is_namespace(&ret->content))
        return pang_fail_no_namespace(ret->address.spelt_levels, call->arena, err);
    if (code == PANG_OK)
        call->note.resource = pang_id_of(ret->content.body->asset);
    return code;
}

/* ---- properties ---- */

/* Sorted by name, one of each. */
typedef struct {
    pang_rec_property **list;
    size_t n;
} properties;

static size_t find_property(const properties *in, const char *name, bool *ret_found)
{
    size_t from = 0, to = in->n;
    *ret_found = false;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(in->list[middle]->name, name);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* REQUIRES: room for one more. */
static bool set_property(properties *in, char *name, char *value, pang_arena *arena)
{
    bool found;
    size_t at = find_property(in, name, &found);
    pang_rec_property *made = pang_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return false;
    *made = (pang_rec_property)PANGOLIN__STORE__V1__PROPERTY__INIT;
    made->name = name;
    made->value = value;
    if (!found) {
        memmove(&in->list[at + 1], &in->list[at], (in->n - at) * sizeof *in->list);
        in->n++;
    }
    in->list[at] = made;
    return true;
}

static bool remove_property(properties *in, const char *name)
{
    bool found;
    size_t at = find_property(in, name, &found);
    if (!found)
        return false;
    in->n--;
    memmove(&in->list[at], &in->list[at + 1], (in->n - at) * sizeof *in->list);
    return true;
}

/* A copy with room for `more`. */
static pang_code copy_properties(pang_rec_property *const *list, size_t n, size_t more,
                                 pang_arena *arena, properties *ret, pang_err *err)
{
    ret->list = pang_arena_alloc_n(arena, n + more, sizeof *ret->list);
    ret->n = n;
    if (ret->list == NULL)
        return pang_fail_memory(err);
    if (n > 0)
        memcpy(ret->list, list, n * sizeof *list);
    return PANG_OK;
}

static pang_code check_property(const char *name, const char *value, pang_err *err)
{
    if (name[0] == '\0')
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST, "property name is empty");
    if (strlen(name) > PANG_PROPERTY_BYTES_MAX || strlen(value) > PANG_PROPERTY_BYTES_MAX)
        return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                         "property \"%.100s\" is too long, at most %d bytes", name,
                         PANG_PROPERTY_BYTES_MAX);
    return PANG_OK;
}

static pang_code check_count(size_t n, pang_err *err)
{
    if (n <= PANG_PROPERTIES_MAX)
        return PANG_OK;
    return pang_fail(err, PANG_INVALID_ARGUMENT, PANG_BAD_REQUEST,
                     "too many properties: %zu, at most %d", n, PANG_PROPERTIES_MAX);
}

/* The properties as replies show them: engines need a location even where none was set. */
static pang_code shown_properties(pang_view *view, pang_levels levels, const pang_rec_content *body,
                                  properties *ret, pang_err *err)
{
    bool found;
    pang_location location;
    pang_code code = copy_properties(body->properties, body->n_properties, 1, view->arena, ret,
                                     err);
    if (code != PANG_OK)
        return code;
    find_property(ret, LOCATION.ptr, &found);
    if (found)
        return PANG_OK;
    code = pang_namespace_location(view, NULL, levels, NULL, &location, err);
    if (code == PANG_INVALID_ARGUMENT)
        return PANG_OK; /* a name whose location would be too long has none to show */
    if (code != PANG_OK)
        return code;
    char *text = pang_arena_cstr(view->arena, location.text);
    if (text == NULL || !set_property(ret, (char *)(uintptr_t)LOCATION.ptr, text, view->arena))
        return pang_fail_memory(err);
    return PANG_OK;
}

/* ---- list ---- */

typedef struct {
    target *at;
    pang_arena *arena;
    Pangolin__V1__ListNamespacesResponse *out;
    bool failed;
} listing;

static bool add_child(void *arg, const pang_content *row)
{
    listing *l = arg;
    pang_levels parent = l->at->levels;
    Pangolin__V1__NamespaceName *name = pang_arena_alloc(l->arena, sizeof *name);
    char **levels = pang_arena_alloc_n(l->arena, parent.n + 1, sizeof *levels);
    l->failed = name == NULL || levels == NULL;
    if (l->failed)
        return false;
    *name = (Pangolin__V1__NamespaceName)PANGOLIN__V1__NAMESPACE_NAME__INIT;
    for (size_t i = 0; i < parent.n; i++)
        levels[i] = (char *)(uintptr_t)parent.names[i].ptr;
    levels[parent.n] = pang_address_child(&l->at->address, row->name.name, l->arena);
    name->levels = levels;
    name->n_levels = parent.n + 1;
    l->failed = levels[parent.n] == NULL;
    l->out->namespaces[l->out->n_namespaces++] = name;
    return !l->failed;
}

static pang_code begin_list(pang_call *call, const Pangolin__V1__ListNamespacesRequest *in,
                            target *ret, pang_err *err)
{
    if (in->n_parent == 0)
        return open_view(call, in->prefix, in->parent, in->n_parent, ret, err);
    pang_code code = open_existing(call, in->prefix, in->parent, in->n_parent, ret, err);
    if (code != PANG_OK)
        return code;
    pang_str path = pang_key_path(&ret->view.keys, ret->levels.names, ret->levels.n);
    if (!pang_evaluate_lists(call, ret->view.catalog, path))
        return pang_fail_no_namespace(ret->address.spelt_levels, call->arena, err);
    return PANG_OK;
}

static pang_code list_namespaces(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__ListNamespacesRequest *in = request;
    target at = {0};
    pang_list list;
    listing l = {.at = &at, .arena = call->arena, .out = reply};
    pang_code code = begin_list(call, in, &at, err);
    if (code == PANG_OK)
        code = pang_list_begin(call, &at.view, at.levels, PANG_SPACE_NAMESPACE,
                               in->_page_token_case != 0 ? in->page_token : NULL, in->page_size,
                               &list, err);
    if (code != PANG_OK)
        return code;
    l.out->namespaces = pang_arena_alloc_n(call->arena, list.query.limit, sizeof(void *));
    if (l.out->namespaces == NULL)
        return pang_fail_memory(err);
    code = pang_list_run(call, &list, add_child, &l, &l.out->next_page_token, err);
    return code == PANG_OK && l.failed ? pang_fail_memory(err) : code;
}

/* ---- create ---- */

static pang_code check_parent(target *at, pang_err *err)
{
    pang_levels parent = {at->levels.names, at->levels.n - 1};
    if (parent.n == 0)
        return PANG_OK;
    pang_content content = {.name = pang_name_of_namespace(&at->view.keys, parent)};
    pang_code code = pang_content_get(&at->view, &content, 1, err);
    if (code == PANG_OK && !pang_is_namespace(&content))
        return pang_fail_no_namespace(parent, at->view.arena, err);
    return code;
}

static pang_code given_properties(const Pangolin__V1__CreateNamespaceRequest *in, pang_arena *arena,
                                  properties *ret, pang_err *err)
{
    pang_code code = check_count(in->n_properties, err);
    if (code == PANG_OK)
        code = copy_properties(NULL, 0, in->n_properties, arena, ret, err);
    for (size_t i = 0; code == PANG_OK && i < in->n_properties; i++) {
        code = check_property(in->properties[i]->key, in->properties[i]->value, err);
        if (code == PANG_OK &&
            !set_property(ret, in->properties[i]->key, in->properties[i]->value, arena))
            code = pang_fail_memory(err);
    }
    return code;
}

static pang_code put_namespace(pang_call *call, target *at, const properties *props,
                               pang_rec_content *ret, pang_err *err)
{
    pang_edit *edit;
    pang_id *asset = pang_arena_alloc(call->arena, sizeof *asset);
    if (asset == NULL)
        return pang_fail_memory(err);
    *asset = call->note.resource = pang_id_v7(call->server->env);
    *ret = (pang_rec_content)PANGOLIN__STORE__V1__CONTENT__INIT;
    ret->asset = pang_bytes_of_id(asset);
    ret->kind = NAMESPACE;
    ret->properties = props->list;
    ret->n_properties = props->n;
    pang_code code = pang_edit_begin(&at->view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_create(edit, &at->content, ret, err);
    if (code == PANG_OK)
        code = pang_edit_end(edit,
                             pang_arena_printf(call->arena, "create namespace %s",
                                               pang_dotted(at->levels, (pang_str){0}, call->arena)),
                             err);
    return code;
}

static pang_code fill_create(Pangolin__V1__CreateNamespaceResponse *out, const properties *props,
                             pang_arena *arena, pang_err *err)
{
    typedef Pangolin__V1__CreateNamespaceResponse__PropertiesEntry entry;
    entry *entries = pang_arena_alloc_n(arena, props->n, sizeof *entries);
    out->properties = pang_arena_alloc_n(arena, props->n, sizeof *out->properties);
    if (entries == NULL || out->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < props->n; i++) {
        entries[i] = (entry)PANGOLIN__V1__CREATE_NAMESPACE_RESPONSE__PROPERTIES_ENTRY__INIT;
        entries[i].key = props->list[i]->name;
        entries[i].value = props->list[i]->value;
        out->properties[i] = &entries[i];
    }
    out->n_properties = props->n;
    return PANG_OK;
}

static pang_code create_namespace(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__CreateNamespaceRequest *in = request;
    Pangolin__V1__CreateNamespaceResponse *out = reply;
    target at = {0};
    properties props, shown = {0};
    pang_rec_content body;
    pang_code code = open_target(call, in->prefix, in->namespace_, in->n_namespace_, &at, err);
    if (code == PANG_OK)
        code = pang_levels_check(at.levels, err);
    if (code == PANG_OK)
        code = given_properties(in, call->arena, &props, err);
    if (code == PANG_OK && pang_content_exists(&at.content))
        code = pang_fail(err, PANG_ALREADY_EXISTS, PANG_EXISTS, "Namespace already exists: %s",
                         pang_dotted(at.levels, (pang_str){0}, call->arena));
    if (code == PANG_OK)
        code = check_parent(&at, err);
    if (code == PANG_OK)
        code = put_namespace(call, &at, &props, &body, err);
    if (code == PANG_OK)
        code = shown_properties(&at.view, at.levels, &body, &shown, err);
    if (code != PANG_OK)
        return code;
    out->namespace_ = in->namespace_;
    out->n_namespace_ = in->n_namespace_;
    return fill_create(out, &shown, call->arena, err);
}

/* ---- load, exists, drop ---- */

static pang_code fill_load(Pangolin__V1__LoadNamespaceResponse *out, const properties *props,
                           pang_arena *arena, pang_err *err)
{
    typedef Pangolin__V1__LoadNamespaceResponse__PropertiesEntry entry;
    entry *entries = pang_arena_alloc_n(arena, props->n, sizeof *entries);
    out->properties = pang_arena_alloc_n(arena, props->n, sizeof *out->properties);
    if (entries == NULL || out->properties == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < props->n; i++) {
        entries[i] = (entry)PANGOLIN__V1__LOAD_NAMESPACE_RESPONSE__PROPERTIES_ENTRY__INIT;
        entries[i].key = props->list[i]->name;
        entries[i].value = props->list[i]->value;
        out->properties[i] = &entries[i];
    }
    out->n_properties = props->n;
    return PANG_OK;
}

static pang_code load_namespace(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__LoadNamespaceRequest *in = request;
    Pangolin__V1__LoadNamespaceResponse *out = reply;
    target at = {0};
    properties shown = {0};
    pang_code code = open_existing(call, in->prefix, in->namespace_, in->n_namespace_, &at, err);
    if (code == PANG_OK)
        code = shown_properties(&at.view, at.levels, at.content.body, &shown, err);
    if (code != PANG_OK)
        return code;
    out->namespace_ = in->namespace_;
    out->n_namespace_ = in->n_namespace_;
    return fill_load(out, &shown, call->arena, err);
}

static pang_code namespace_exists(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__NamespaceExistsRequest *in = request;
    target at = {0};
    (void)reply;
    return open_existing(call, in->prefix, in->namespace_, in->n_namespace_, &at, err);
}

static pang_code drop_namespace(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__DropNamespaceRequest *in = request;
    target at = {0};
    pang_edit *edit;
    bool empty = false;
    (void)reply;
    pang_code code = open_existing(call, in->prefix, in->namespace_, in->n_namespace_, &at, err);
    if (code == PANG_OK)
        code = pang_content_is_empty(&at.view, at.levels, &empty, err);
    if (code != PANG_OK)
        return code;
    const char *shown = pang_dotted(at.levels, (pang_str){0}, call->arena);
    if (!empty)
        return pang_fail(err, PANG_FAILED_PRECONDITION, "NamespaceNotEmptyException",
                         "Namespace %s is not empty", shown);
    code = pang_edit_begin(&at.view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_drop(edit, &at.content, false, err);
    if (code == PANG_OK)
        code = pang_edit_end(edit, pang_arena_printf(call->arena, "drop namespace %s", shown), err);
    return code;
}

/* ---- update ---- */

static pang_code check_update(const Pangolin__V1__UpdateNamespacePropertiesRequest *in,
                              pang_err *err)
{
    pang_code code = check_count(in->n_removals + in->n_updates, err);
    for (size_t i = 0; code == PANG_OK && i < in->n_updates; i++) {
        code = check_property(in->updates[i]->key, in->updates[i]->value, err);
        for (size_t j = 0; code == PANG_OK && j < in->n_removals; j++)
            if (strcmp(in->updates[i]->key, in->removals[j]) == 0)
                code = pang_fail(err, PANG_INVALID_ARGUMENT, "UnprocessableEntityException",
                                 "property \"%.200s\" is both removed and updated",
                                 in->removals[j]);
    }
    return code;
}

static pang_code apply_update(const Pangolin__V1__UpdateNamespacePropertiesRequest *in,
                              pang_arena *arena, properties *props,
                              Pangolin__V1__UpdateNamespacePropertiesResponse *out, pang_err *err)
{
    out->updated = pang_arena_alloc_n(arena, in->n_updates, sizeof(char *));
    out->removed = pang_arena_alloc_n(arena, in->n_removals, sizeof(char *));
    out->missing = pang_arena_alloc_n(arena, in->n_removals, sizeof(char *));
    if (out->updated == NULL || out->removed == NULL || out->missing == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0; i < in->n_removals; i++) {
        if (remove_property(props, in->removals[i]))
            out->removed[out->n_removed++] = in->removals[i];
        else
            out->missing[out->n_missing++] = in->removals[i];
    }
    for (size_t i = 0; i < in->n_updates; i++) {
        if (!set_property(props, in->updates[i]->key, in->updates[i]->value, arena))
            return pang_fail_memory(err);
        out->updated[out->n_updated++] = in->updates[i]->key;
    }
    return check_count(props->n, err);
}

static pang_code save_update(pang_call *call, target *at, const properties *props, pang_err *err)
{
    pang_edit *edit;
    pang_rec_content body = *at->content.body;
    body.properties = props->list;
    body.n_properties = props->n;
    pang_code code = pang_edit_begin(&at->view, call->server->env, call->who, &edit, err);
    if (code == PANG_OK)
        code = pang_edit_update(edit, &at->content, &body, err);
    if (code == PANG_OK)
        code = pang_edit_end(edit,
                             pang_arena_printf(call->arena, "update namespace %s",
                                               pang_dotted(at->levels, (pang_str){0}, call->arena)),
                             err);
    return code;
}

static pang_code update_properties(pang_call *call, const void *request, void *reply, pang_err *err)
{
    const Pangolin__V1__UpdateNamespacePropertiesRequest *in = request;
    Pangolin__V1__UpdateNamespacePropertiesResponse *out = reply;
    target at = {0};
    properties props;
    pang_code code = check_update(in, err);
    if (code == PANG_OK)
        code = open_existing(call, in->prefix, in->namespace_, in->n_namespace_, &at, err);
    if (code == PANG_OK)
        code = copy_properties(at.content.body->properties, at.content.body->n_properties,
                               in->n_updates, call->arena, &props, err);
    if (code == PANG_OK)
        code = apply_update(in, call->arena, &props, out, err);
    if (code == PANG_OK && out->n_updated + out->n_removed > 0)
        code = save_update(call, &at, &props, err);
    return code;
}

static const pang_method methods[] = {
    {
        .path = "/pangolin.v1.NamespaceService/ListNamespaces",
        .in = &pangolin__v1__list_namespaces_request__descriptor,
        .out = &pangolin__v1__list_namespaces_response__descriptor,
        .handle = list_namespaces,
    },
    {
        .path = "/pangolin.v1.NamespaceService/CreateNamespace",
        .in = &pangolin__v1__create_namespace_request__descriptor,
        .out = &pangolin__v1__create_namespace_response__descriptor,
        .handle = create_namespace,
    },
    {
        .path = "/pangolin.v1.NamespaceService/LoadNamespace",
        .in = &pangolin__v1__load_namespace_request__descriptor,
        .out = &pangolin__v1__load_namespace_response__descriptor,
        .handle = load_namespace,
    },
    {
        .path = "/pangolin.v1.NamespaceService/NamespaceExists",
        .in = &pangolin__v1__namespace_exists_request__descriptor,
        .out = &pangolin__v1__namespace_exists_response__descriptor,
        .handle = namespace_exists,
    },
    {
        .path = "/pangolin.v1.NamespaceService/DropNamespace",
        .in = &pangolin__v1__drop_namespace_request__descriptor,
        .out = &pangolin__v1__drop_namespace_response__descriptor,
        .handle = drop_namespace,
    },
    {
        .path = "/pangolin.v1.NamespaceService/UpdateNamespaceProperties",
        .in = &pangolin__v1__update_namespace_properties_request__descriptor,
        .out = &pangolin__v1__update_namespace_properties_response__descriptor,
        .handle = update_properties,
    },
};

const pang_service pang_service_namespace = {
    .name = "pangolin.v1.NamespaceService",
    .methods = methods,
    .n = sizeof methods / sizeof methods[0],
};
