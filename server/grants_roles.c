/*
 * Roles within roles, checked when one is written. The graph is walked level by level, so that a
 * level is never deeper than the bound and no path is followed twice: below the role for a way
 * back to it, and both ways for the depth, since a role grows the chains that it stands in.
 */
#include <stdlib.h>
#include <string.h>

#include "server/grants_internal.h"

/* ---- by id ---- */

static int compare_roles(const void *a, const void *b)
{
    return pang_id_compare((*(const pang_role *const *)a)->id, (*(const pang_role *const *)b)->id);
}

bool pang_role_index_make(pang_role_index *index, const pang_role *roles, size_t n,
                          pang_arena *scratch)
{
    *index = (pang_role_index){pang_arena_alloc_n(scratch, n, sizeof(pang_role *)), n};
    if (index->by_id == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        index->by_id[i] = &roles[i];
    if (n > 1)
        qsort(index->by_id, n, sizeof(pang_role *), compare_roles);
    return true;
}

size_t pang_role_index_find(const pang_role_index *index, pang_id id)
{
    pang_role key = {.id = id};
    const pang_role *at = &key;
    const pang_role **found = NULL;
    if (index->n > 0)
        found = bsearch(&at, index->by_id, index->n, sizeof(pang_role *), compare_roles);
    return found == NULL ? index->n : (size_t)(found - index->by_id);
}

/* ---- levels ---- */

typedef struct {
    pang_role_index index;
    bool *level, *next; /* beside the index */
} graph;

static bool make_graph(graph *g, const pang_role *roles, size_t n, pang_arena *scratch)
{
    g->level = pang_arena_alloc_n(scratch, n, sizeof *g->level);
    g->next = pang_arena_alloc_n(scratch, n, sizeof *g->next);
    return pang_role_index_make(&g->index, roles, n, scratch) && g->level != NULL &&
           g->next != NULL;
}

static bool add_level(graph *g, const pang_id *ids, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        size_t at = pang_role_index_find(&g->index, ids[i]);
        if (at < g->index.n)
            any = g->next[at] = true;
    }
    return any;
}

static void turn(graph *g)
{
    bool *level = g->level;
    g->level = g->next;
    g->next = level;
    if (g->index.n > 0)
        memset(g->next, 0, g->index.n * sizeof *g->next);
}

static bool includes_level(const graph *g, const pang_role *role)
{
    for (size_t i = 0; i < role->n_includes; i++) {
        size_t at = pang_role_index_find(&g->index, role->includes[i]);
        if (at < g->index.n && g->level[at])
            return true;
    }
    return false;
}

/* How many levels lie below, at most one more than the bound. */
static pang_code depth_below(graph *g, pang_id role, const pang_id *includes, size_t n,
                             unsigned *ret, pang_err *err)
{
    size_t self = pang_role_index_find(&g->index, role);
    bool any = add_level(g, includes, n), cycle = false;
    for (size_t i = 0; i < n; i++)
        cycle = cycle || pang_id_equal(includes[i], role);
    for (*ret = 0; any && !cycle && *ret <= PANG_ROLE_DEPTH_MAX; ++*ret) {
        turn(g);
        any = false;
        for (size_t i = 0; i < g->index.n; i++)
            if (g->level[i] &&
                add_level(g, g->index.by_id[i]->includes, g->index.by_id[i]->n_includes))
                any = true;
        cycle = self < g->index.n && g->next[self];
    }
    if (cycle)
        return pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "a role may not include itself, not even through others");
    return PANG_OK;
}

static unsigned depth_above(graph *g, pang_id role)
{
    size_t self = pang_role_index_find(&g->index, role);
    unsigned depth = 0;
    if (self == g->index.n)
        return 0; /* it is new: nothing includes it */
    memset(g->next, 0, g->index.n * sizeof *g->next);
    g->next[self] = true;
    for (bool any = true; any && depth <= PANG_ROLE_DEPTH_MAX; depth += any) {
        turn(g);
        any = false;
        for (size_t i = 0; i < g->index.n; i++)
            if (i != self && includes_level(g, g->index.by_id[i]))
                any = g->next[i] = true;
    }
    return depth;
}

pang_code pang_roles_check(const pang_role *roles, size_t n, pang_id role, const pang_id *includes,
                           size_t n_includes, pang_arena *scratch, pang_err *err)
{
    graph g;
    unsigned below;
    if (!make_graph(&g, roles, n, scratch))
        return pang_fail_memory(err);
    pang_code code = depth_below(&g, role, includes, n_includes, &below, err);
    if (code == PANG_OK && below + depth_above(&g, role) > PANG_ROLE_DEPTH_MAX)
        code = pang_fail(err, PANG_FAILED_PRECONDITION, NULL,
                         "roles would be nested deeper than %d", PANG_ROLE_DEPTH_MAX);
    return code;
}
