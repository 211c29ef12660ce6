/*
 * Inside of a compiled form: what grants.c (compiling, asking), grants_filter.c and
 * grants_explain.c share. Threads: const once compiled. Lifetime: one block of memory, the struct
 * first; all that it points to lies in the same block.
 */
#ifndef PANG_SERVER_GRANTS_INTERNAL_H
#define PANG_SERVER_GRANTS_INTERNAL_H

#include <stdatomic.h>

#include "server/grants.h"

/* A grant as it was given, and the role that it is of. */
typedef struct {
    pang_grant grant;
    const pang_role_way *role; /* NULL: its own */
} pang_rule_held;

/* A catalog or namespace. `can`: actions with their implications. */
typedef struct {
    pang_place place;
    uint32_t can;
} pang_place_held;

/* By the asset's id, wherever it is now. */
typedef struct {
    pang_placed_asset at;
    uint32_t can;
} pang_asset_held;

/* Of any catalog. */
typedef struct {
    pang_str tag;
    uint32_t can;
} pang_tag_held;

struct pang_grants {
    atomic_uint refs;
    size_t bytes; /* of the block */
    pang_rank rank;
    pang_id tenant;
    uint32_t tenant_can; /* on the whole tenant */
    /* Sorted, each once; but for roles and rules, which are in the order of finding. */
    pang_role_way *roles;
    pang_rule_held *rules;
    pang_place_held *places; /* catalogs and namespaces, by catalog and path */
    pang_place *below;       /* namespaces and assets' namespaces that may be listed, alike */
    pang_asset_held *assets; /* by catalog and asset */
    pang_tag_held *tags;
    size_t n_rules, n_places, n_below, n_assets, n_tags;
};

/* Roles by id. */
typedef struct {
    const pang_role **by_id;
    size_t n;
} pang_role_index;
/* Borrows the roles. False without memory. */
bool pang_role_index_make(pang_role_index *index, const pang_role *roles, size_t n,
                          pang_arena *scratch);
/* Where it is in by_id; n when there is none of this id. */
size_t pang_role_index_find(const pang_role_index *index, pang_id id);

/* The actions with all that they imply, and nothing that cannot be granted. */
uint32_t pang_actions_closed(uint32_t actions);
/* Orders of the arrays above: <0, 0, >0. */
int pang_place_compare(const pang_place *a, const pang_place *b);
int pang_placed_asset_compare(const pang_placed_asset *a, const pang_placed_asset *b);
int pang_id_compare(pang_id a, pang_id b);
/* Whether a namespace is `outer` or below it, by segments. */
bool pang_path_within(pang_str path, pang_str outer);
/* What grants allow on an object of the principal's own tenant. */
uint32_t pang_grants_can(const pang_grants *grants, const pang_grant_object *object);

#endif
