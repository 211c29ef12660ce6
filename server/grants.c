/*
 * Grants, compiling and asking. A principal's grants are gathered through its roles, implications
 * are made once, and scopes are sorted: an object is then found by a search for each of its
 * namespaces, so that a check costs a few comparisons of bytes whatever names strangers choose,
 * and no hash can be made to collide.
 */
#include "server/grants.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "server/grants_internal.h"

#define LIST PANG_CAN(PANG_ACT_LIST)
#define WRITES                                                                                     \
    (PANG_CAN(PANG_ACT_READ) | PANG_CAN(PANG_ACT_UPDATE) | PANG_CAN(PANG_ACT_DELETE) |             \
     PANG_CAN(PANG_ACT_CREATE) | LIST)
#define GRANTABLE (PANG_CAN(PANG_ACT_MANAGE_DISCOVERY + 1) - PANG_CAN(PANG_ACT_READ))

/* ---- actions, order ---- */

uint32_t pang_actions_closed(uint32_t actions)
{
    if ((actions & PANG_CAN(PANG_ACT_ALL)) != 0)
        return GRANTABLE;
    if ((actions & PANG_CAN(PANG_ACT_WRITE)) != 0)
        actions |= WRITES;
    if ((actions & PANG_CAN(PANG_ACT_READ)) != 0)
        actions |= LIST;
    return actions & GRANTABLE;
}

int pang_id_compare(pang_id a, pang_id b)
{
    return memcmp(a.bytes, b.bytes, sizeof a.bytes);
}

int pang_place_compare(const pang_place *a, const pang_place *b)
{
    int order = pang_id_compare(a->catalog, b->catalog);
    return order != 0 ? order : pang_str_compare(a->path, b->path);
}

int pang_placed_asset_compare(const pang_placed_asset *a, const pang_placed_asset *b)
{
    int order = pang_id_compare(a->catalog, b->catalog);
    if (order == 0)
        order = pang_id_compare(a->asset, b->asset);
    return order != 0 ? order : pang_str_compare(a->path, b->path);
}

bool pang_path_within(pang_str path, pang_str outer)
{
    return pang_str_starts(path, outer) && (path.len == outer.len || path.ptr[outer.len] == '.');
}

/* ---- compiling: which roles ---- */

enum { ASSIGNED = -1 };

typedef struct {
    const pang_role *role;
    ptrdiff_t via; /* the one that includes it, by its place in the list; or ASSIGNED */
} reached_role;

typedef struct {
    const pang_grants_source *from;
    pang_role_index index;
    bool *seen;            /* beside the index */
    reached_role *reached; /* in the order of finding */
    size_t n;
} closure;

static void reach(closure *c, pang_id id, ptrdiff_t via)
{
    size_t at = pang_role_index_find(&c->index, id);
    if (at == c->index.n || c->seen[at])
        return;
    c->seen[at] = true;
    c->reached[c->n++] = (reached_role){.role = c->index.by_id[at], .via = via};
}

/* Each role is reached once, so that a cycle ends by itself. */
static pang_code close_roles(closure *c, pang_arena *scratch, pang_err *err)
{
    const pang_grants_source *from = c->from;
    c->seen = pang_arena_alloc_n(scratch, from->n_roles, sizeof *c->seen);
    c->reached = pang_arena_alloc_n(scratch, from->n_roles, sizeof *c->reached);
    if (!pang_role_index_make(&c->index, from->roles, from->n_roles, scratch) || c->seen == NULL ||
        c->reached == NULL)
        return pang_fail_memory(err);
    for (size_t i = 0, next = 0; i < from->n_assigned; i++) {
        reach(c, from->assigned[i], ASSIGNED);
        for (; next < c->n; next++)
            for (size_t j = 0; j < c->reached[next].role->n_includes; j++)
                reach(c, c->reached[next].role->includes[j], (ptrdiff_t)next);
    }
    if (c->n > PANG_ROLES_MAX)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL,
                         "a principal has %zu roles, at most %d", c->n, PANG_ROLES_MAX);
    return PANG_OK;
}

/* ---- compiling: one block ---- */

typedef struct {
    size_t roles, rules, places, below, assets, tags, text;
} sizes;

static bool is_sound(const pang_grant *grant)
{
    const pang_scope *scope = &grant->scope;
    if (pang_actions_closed(grant->actions) == 0)
        return false;
    switch (scope->kind) {
    case PANG_SCOPE_TENANT:
    case PANG_SCOPE_CATALOG:
        return true;
    case PANG_SCOPE_NAMESPACE:
        return scope->path.len > 0;
    case PANG_SCOPE_ASSET:
        return !pang_id_is_nil(scope->asset);
    case PANG_SCOPE_TAG:
        return scope->tag.len > 0;
    default:
        return false;
    }
}

static void measure(sizes *s, const pang_grant *grants, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const pang_scope *scope = &grants[i].scope;
        if (!is_sound(&grants[i]))
            continue;
        s->rules++;
        s->text += scope->path.len + scope->tag.len;
        s->places += scope->kind == PANG_SCOPE_CATALOG || scope->kind == PANG_SCOPE_NAMESPACE;
        s->below += scope->kind == PANG_SCOPE_NAMESPACE || scope->kind == PANG_SCOPE_ASSET;
        s->assets += scope->kind == PANG_SCOPE_ASSET;
        s->tags += scope->kind == PANG_SCOPE_TAG;
    }
}

typedef struct {
    pang_grants *g;
    char *text; /* where the next text goes */
} builder;

static void *carve(char **at, size_t n, size_t size)
{
    void *here = *at;
    *at += n * size;
    return here;
}

/* Widest alignment first: all arrays hold pointers. */
static bool make_block(const sizes *s, builder *b)
{
    size_t bytes = sizeof(pang_grants) + s->roles * sizeof(pang_role_way) +
                   s->rules * sizeof(pang_rule_held) + s->places * sizeof(pang_place_held) +
                   s->below * sizeof(pang_place) + s->assets * sizeof(pang_asset_held) +
                   s->tags * sizeof(pang_tag_held) + s->text;
    char *at = calloc(1, bytes);
    if (at == NULL)
        return false;
    pang_grants *g = carve(&at, 1, sizeof *g);
    atomic_init(&g->refs, 1);
    g->bytes = bytes;
    g->roles = carve(&at, s->roles, sizeof *g->roles);
    g->rules = carve(&at, s->rules, sizeof *g->rules);
    g->places = carve(&at, s->places, sizeof *g->places);
    g->below = carve(&at, s->below, sizeof *g->below);
    g->assets = carve(&at, s->assets, sizeof *g->assets);
    g->tags = carve(&at, s->tags, sizeof *g->tags);
    *b = (builder){g, at};
    return true;
}

static pang_str keep_text(builder *b, pang_str s)
{
    pang_str kept = {b->text, s.len};
    if (s.len > 0)
        memcpy(b->text, s.ptr, s.len);
    b->text += s.len;
    return kept;
}

static void hold(pang_grants *g, const pang_scope *scope, uint32_t can)
{
    pang_place place = {scope->catalog, scope->path};
    switch (scope->kind) {
    case PANG_SCOPE_TENANT:
        g->tenant_can |= can;
        return;
    case PANG_SCOPE_CATALOG:
        place.path = (pang_str){0};
        g->places[g->n_places++] = (pang_place_held){place, can};
        return;
    case PANG_SCOPE_NAMESPACE:
        g->places[g->n_places++] = (pang_place_held){place, can};
        break;
    case PANG_SCOPE_ASSET:
        g->assets[g->n_assets++] = (pang_asset_held){{scope->catalog, scope->asset, scope->path},
                                                     can};
        break;
    case PANG_SCOPE_TAG:
        g->tags[g->n_tags++] = (pang_tag_held){scope->tag, can};
        return;
    default:
        return;
    }
    if ((can & LIST) != 0)
        g->below[g->n_below++] = place;
}

static void hold_all(builder *b, const pang_grant *grants, size_t n, const pang_role_way *role)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_sound(&grants[i]))
            continue;
        pang_rule_held *rule = &b->g->rules[b->g->n_rules++];
        rule->grant = grants[i];
        rule->grant.scope.path = keep_text(b, grants[i].scope.path);
        rule->grant.scope.tag = keep_text(b, grants[i].scope.tag);
        rule->role = role;
        hold(b->g, &rule->grant.scope, pang_actions_closed(grants[i].actions));
    }
}

static void hold_roles(builder *b, const closure *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const pang_role *role = c->reached[i].role;
        pang_role_way *way = &b->g->roles[i];
        ptrdiff_t via = c->reached[i].via;
        *way = (pang_role_way){.id = role->id,
                               .name = keep_text(b, role->name),
                               .via = via == ASSIGNED ? NULL : &b->g->roles[via]};
        hold_all(b, role->grants, role->n_grants, way);
    }
}

/* ---- compiling: order ---- */

static int compare_places(const void *a, const void *b)
{
    return pang_place_compare(a, b);
}

static int compare_held_places(const void *a, const void *b)
{
    return pang_place_compare(&((const pang_place_held *)a)->place,
                              &((const pang_place_held *)b)->place);
}

static int compare_held_assets(const void *a, const void *b)
{
    return pang_placed_asset_compare(&((const pang_asset_held *)a)->at,
                                     &((const pang_asset_held *)b)->at);
}

static int compare_held_tags(const void *a, const void *b)
{
    return pang_str_compare(((const pang_tag_held *)a)->tag, ((const pang_tag_held *)b)->tag);
}

/* Sorts, and lets one stand for all that are equal; `can_at` is where its actions are, or 0. */
static size_t sort_merge(void *array, size_t n, size_t size, size_t can_at,
                         int (*compare)(const void *, const void *))
{
    char *base = array;
    size_t kept = 0;
    if (n == 0)
        return 0;
    qsort(array, n, size, compare);
    for (size_t i = 1; i < n; i++) {
        char *last = base + kept * size, *next = base + i * size;
        if (compare(last, next) != 0) {
            memmove(last + size, next, size);
            kept++;
        } else if (can_at != 0) {
            *(uint32_t *)(void *)(last + can_at) |= *(uint32_t *)(void *)(next + can_at);
        }
    }
    return kept + 1;
}

static void sort_all(pang_grants *g)
{
    g->n_places = sort_merge(g->places, g->n_places, sizeof *g->places,
                             offsetof(pang_place_held, can), compare_held_places);
    g->n_below = sort_merge(g->below, g->n_below, sizeof *g->below, 0, compare_places);
    g->n_assets = sort_merge(g->assets, g->n_assets, sizeof *g->assets,
                             offsetof(pang_asset_held, can), compare_held_assets);
    g->n_tags = sort_merge(g->tags, g->n_tags, sizeof *g->tags, offsetof(pang_tag_held, can),
                           compare_held_tags);
}

pang_code pang_grants_compile(const pang_grants_source *from, pang_arena *scratch,
                              pang_grants **ret, pang_err *err)
{
    closure c = {.from = from};
    sizes s = {.text = 0};
    builder b = {0};
    pang_code code = close_roles(&c, scratch, err);
    if (code != PANG_OK)
        return code;
    for (size_t i = 0; i < c.n; i++) {
        measure(&s, c.reached[i].role->grants, c.reached[i].role->n_grants);
        s.text += c.reached[i].role->name.len;
    }
    s.roles = c.n;
    measure(&s, from->grants, from->n_grants);
    if (s.rules > PANG_GRANTS_MAX)
        return pang_fail(err, PANG_RESOURCE_EXHAUSTED, NULL,
                         "a principal has %zu grants, at most %d", s.rules, PANG_GRANTS_MAX);
    if (!make_block(&s, &b))
        return pang_fail_memory(err);
    b.g->rank = from->rank;
    b.g->tenant = from->tenant;
    hold_roles(&b, &c);
    hold_all(&b, from->grants, from->n_grants, NULL);
    assert(b.text == (char *)b.g + b.g->bytes);
    sort_all(b.g);
    *ret = b.g;
    return PANG_OK;
}

pang_grants *pang_grants_ref(pang_grants *grants)
{
    atomic_fetch_add_explicit(&grants->refs, 1, memory_order_relaxed);
    return grants;
}

void pang_grants_unref(pang_grants *grants)
{
    if (grants != NULL && atomic_fetch_sub_explicit(&grants->refs, 1, memory_order_acq_rel) == 1)
        free(grants);
}

pang_rank pang_grants_rank(const pang_grants *grants)
{
    return grants->rank;
}

size_t pang_grants_bytes(const pang_grants *grants)
{
    return grants->bytes;
}

/* ---- asking ---- */

/* The first of places[from..n) that is not before the key. */
static size_t place_at(const pang_grants *g, size_t from, const pang_place *key)
{
    size_t to = g->n_places;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (pang_place_compare(&g->places[middle].place, key) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* The catalog's own actions, and those of each namespace on the way. */
static uint32_t can_at_places(const pang_grants *g, pang_id catalog, pang_str path)
{
    pang_place key = {.catalog = catalog};
    size_t from = place_at(g, 0, &key);
    uint32_t can = 0;
    if (from == g->n_places || !pang_id_equal(g->places[from].place.catalog, catalog))
        return 0;
    if (g->places[from].place.path.len == 0)
        can = g->places[from++].can;
    for (size_t end = 1; end <= path.len; end++) {
        if (end < path.len && path.ptr[end] != '.')
            continue;
        key.path = (pang_str){path.ptr, end};
        size_t at = place_at(g, from, &key);
        if (at < g->n_places && pang_place_compare(&g->places[at].place, &key) == 0)
            can |= g->places[at].can;
        from = at; /* a longer path sorts behind */
    }
    return can;
}

/* The first of assets that is not before the key. */
static size_t asset_at(const pang_grants *g, const pang_placed_asset *key)
{
    size_t from = 0, to = g->n_assets;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (pang_placed_asset_compare(&g->assets[middle].at, key) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* Granted twice, it may have been in two places. */
static uint32_t can_with_asset(const pang_grants *g, pang_id catalog, pang_id asset)
{
    pang_placed_asset key = {.catalog = catalog, .asset = asset};
    uint32_t can = 0;
    if (pang_id_is_nil(asset))
        return 0;
    for (size_t i = asset_at(g, &key);
         i < g->n_assets && pang_id_equal(g->assets[i].at.asset, asset) &&
         pang_id_equal(g->assets[i].at.catalog, catalog);
         i++)
        can |= g->assets[i].can;
    return can;
}

static uint32_t can_with_tags(const pang_grants *g, const pang_str *tags, size_t n)
{
    uint32_t can = 0;
    for (size_t i = 0; g->n_tags > 0 && i < n && i < PANG_OBJECT_TAGS_MAX; i++) {
        pang_tag_held key = {.tag = tags[i]};
        const pang_tag_held *found = bsearch(&key, g->tags, g->n_tags, sizeof *g->tags,
                                             compare_held_tags);
        can |= found == NULL ? 0 : found->can;
    }
    return can;
}

uint32_t pang_grants_can(const pang_grants *g, const pang_grant_object *object)
{
    uint32_t can = g->tenant_can;
    switch (object->kind) {
    case PANG_SCOPE_TENANT:
        return can;
    case PANG_SCOPE_CATALOG:
        return can | can_at_places(g, object->catalog, (pang_str){0});
    case PANG_SCOPE_NAMESPACE:
        return can | can_at_places(g, object->catalog, object->path);
    case PANG_SCOPE_ASSET:
        return can | can_at_places(g, object->catalog, object->path) |
               can_with_asset(g, object->catalog, object->asset) |
               can_with_tags(g, object->tags, object->n_tags);
    default:
        return 0;
    }
}

/* <0, 0, >0: how a place sorts to all that begins with the path and a dot; path NULL: to all of the
 * catalog. */
static int compare_below(const pang_place *place, pang_id catalog, const pang_str *path)
{
    int order = pang_id_compare(place->catalog, catalog);
    if (order != 0 || path == NULL)
        return order;
    order = pang_str_compare(pang_str_slice(place->path, 0, path->len), *path);
    if (order != 0)
        return order;
    return place->path.len == path->len ? -1 : (unsigned char)place->path.ptr[path->len] - (int)'.';
}

/* Whether something strictly below the namespace may be listed; path NULL: in the catalog. */
static bool lists_below(const pang_grants *g, pang_id catalog, const pang_str *path)
{
    size_t from = 0, to = g->n_below;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = compare_below(&g->below[middle], catalog, path);
        if (order == 0)
            return true;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

static bool lists_within(const pang_grants *g, const pang_grant_object *object)
{
    pang_place key = {object->catalog, object->path};
    if (object->kind == PANG_SCOPE_CATALOG)
        return lists_below(g, object->catalog, NULL);
    if (object->kind != PANG_SCOPE_NAMESPACE || object->path.len == 0 || g->n_below == 0)
        return false;
    return bsearch(&key, g->below, g->n_below, sizeof *g->below, compare_places) != NULL ||
           lists_below(g, object->catalog, &object->path);
}

static pang_verdict check_member(const pang_grants *g, pang_action action,
                                 const pang_grant_object *object)
{
    uint32_t can = pang_grants_can(g, object);
    if ((can & PANG_CAN(action)) != 0)
        return PANG_ALLOWED;
    bool listed = object->kind == PANG_SCOPE_TENANT || (can & LIST) != 0 || lists_within(g, object);
    if (listed && action == PANG_ACT_LIST)
        return PANG_ALLOWED;
    return listed ? PANG_DENIED : PANG_HIDDEN;
}

pang_verdict pang_grants_check(const pang_grants *g, pang_action action,
                               const pang_grant_object *object)
{
    if (action < PANG_ACT_READ || action > PANG_ACT_MANAGE_DISCOVERY ||
        object->kind < PANG_SCOPE_TENANT || object->kind > PANG_SCOPE_ASSET)
        return PANG_HIDDEN;
    if (g->rank == PANG_RANK_ROOT)
        return PANG_ALLOWED;
    if (g->rank == PANG_RANK_NOBODY || !pang_id_equal(object->tenant, g->tenant))
        return PANG_HIDDEN;
    return g->rank == PANG_RANK_ADMIN ? PANG_ALLOWED : check_member(g, action, object);
}

pang_grants_use pang_grants_uses(const pang_grants *g, pang_id catalog)
{
    pang_placed_asset key = {.catalog = catalog};
    size_t at = asset_at(g, &key);
    if (g->rank != PANG_RANK_MEMBER)
        return (pang_grants_use){0};
    return (pang_grants_use){
        .ids = at < g->n_assets && pang_id_equal(g->assets[at].at.catalog, catalog),
        .tags = g->n_tags > 0,
    };
}
