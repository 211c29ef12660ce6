/*
 * Grants: what one principal may do, compiled for asking. Everything it was granted, itself or
 * through roles, nested ones included, becomes one immutable value that is asked without I/O and
 * without memory. pangolin-wire's rules of actions and scopes are decided here and nowhere else.
 * Called by server/auth_cache.c and server/evaluate.c. Threads: a compiled form is const and may be
 * asked from any; references are counted atomically. Lifetime: until its last reference; what was
 * compiled from is not needed any more.
 *
 * Guarantees:
 *  1. All grants add up. Adding one never takes a right away; there are no denials.
 *  2. A scope covers by segments: "a.b" covers a.b and a.b.c, never a.bc. Paths are those of
 *     pang_key_path, which tells a dot in a name from a dot between names.
 *  3. Nothing of another tenant is allowed or shown to anybody but root.
 *  4. A container may be listed when something below it may; its list is then filtered.
 *  5. What is malformed (no such kind, no such action, no path) grants nothing.
 */
#ifndef PANG_SERVER_GRANTS_H
#define PANG_SERVER_GRANTS_H

#include "api/arena.h"
#include "api/id.h"
#include "server/authz.h"

enum {
    PANG_GRANTS_MAX = 20000,   /* grants of one principal, its roles' included */
    PANG_ROLES_MAX = 1024,     /* roles of one principal, nested ones included */
    PANG_ROLE_DEPTH_MAX = 8,   /* roles within roles, when written */
    PANG_OBJECT_TAGS_MAX = 64, /* tags of one asset that are looked at */
};

#define PANG_CAN(action) (1u << (action)) /* actions as a set */

typedef enum {
    PANG_RANK_NOBODY = 0, /* nothing, whatever the grants say: unknown, inactive */
    PANG_RANK_MEMBER,
    PANG_RANK_ADMIN, /* everything in its own tenant */
    PANG_RANK_ROOT,  /* everything */
} pang_rank;

typedef enum {
    PANG_SCOPE_TENANT = 1,
    PANG_SCOPE_CATALOG,
    PANG_SCOPE_NAMESPACE,
    PANG_SCOPE_ASSET,
    PANG_SCOPE_TAG, /* of grants alone: assets that carry the tag */
} pang_scope_kind;

/* ---- what is compiled ---- */

typedef struct {
    pang_scope_kind kind;
    pang_id catalog, asset;
    pang_str path; /* of a namespace, or of the one an asset was in when it was granted */
    pang_str tag;
} pang_scope;

typedef struct {
    pang_id id; /* of the grant itself, for explanations */
    pang_scope scope;
    uint32_t actions; /* PANG_CAN of each, as granted: implications are made here */
} pang_grant;

typedef struct {
    pang_id id;
    pang_str name;
    const pang_grant *grants;
    size_t n_grants;
    const pang_id *includes; /* roles whose grants it has too */
    size_t n_includes;
} pang_role;

/* Borrowed during the call. Roles that are not among `roles` are passed over: they are gone.
 * Cycles are harmless. */
typedef struct {
    pang_id tenant; /* the principal's own; nil for root */
    pang_rank rank;
    const pang_grant *grants; /* its own */
    size_t n_grants;
    const pang_id *assigned; /* its roles */
    size_t n_assigned;
    const pang_role *roles; /* all that can be reached, in any order, each once */
    size_t n_roles;
} pang_grants_source;

typedef struct pang_grants pang_grants;

/* *ret has one reference. Scratch is used during the call only. ERRORS: RESOURCE_EXHAUSTED (memory,
 * or more than PANG_GRANTS_MAX or PANG_ROLES_MAX: refused as a whole, for half would mislead). */
PANG_MUST_CHECK pang_code pang_grants_compile(const pang_grants_source *from, pang_arena *scratch,
                                              pang_grants **ret, pang_err *err);
pang_grants *pang_grants_ref(pang_grants *grants);
void pang_grants_unref(pang_grants *grants); /* NULL is fine */
pang_rank pang_grants_rank(const pang_grants *grants);
/* Memory that it holds, for bounded caches. */
size_t pang_grants_bytes(const pang_grants *grants);

/* Whether `role` may include `includes`, given the other roles (an earlier state of `role` among
 * them is ignored). ERRORS: FAILED_PRECONDITION (a cycle; deeper than PANG_ROLE_DEPTH_MAX),
 * RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_roles_check(const pang_role *roles, size_t n, pang_id role,
                                           const pang_id *includes, size_t n_includes,
                                           pang_arena *scratch, pang_err *err);

/* ---- asking ---- */

/* What is asked about. An asset without an id (there is none of the name yet) is covered by its
 * namespaces alone. */
typedef struct {
    pang_scope_kind kind; /* not TAG */
    pang_id tenant, catalog, asset;
    pang_str path;        /* of the namespace, or of the asset's namespace */
    const pang_str *tags; /* of the asset: needed where pang_grants_use says so */
    size_t n_tags;
} pang_grant_object;

/* HIDDEN: it may not be listed, not even as what leads to something that may. DENIED: it may (so
 * may a tenant, by its own members), but not this. */
pang_verdict pang_grants_check(const pang_grants *grants, pang_action action,
                               const pang_grant_object *object);

/* What must be known of assets of a catalog before they are asked about. */
typedef struct {
    bool ids;  /* there are grants on single assets of the catalog */
    bool tags; /* there are grants on tags */
} pang_grants_use;
pang_grants_use pang_grants_uses(const pang_grants *grants, pang_id catalog);

/* ---- explaining ---- */

typedef enum {
    PANG_WHY_NOTHING, /* no grant covers it: `needed` says what would do */
    PANG_WHY_ROOT,
    PANG_WHY_ADMIN,
    PANG_WHY_GRANT,
    PANG_WHY_BELOW,  /* to be listed, since something in it may be */
    PANG_WHY_MEMBER, /* the caller's own tenant, filtered */
} pang_why;

/* A role that a principal has, and how. */
typedef struct pang_role_way {
    pang_id id;
    pang_str name;
    const struct pang_role_way *via; /* the role that includes it; NULL: it is assigned */
} pang_role_way;

/* Borrows from the compiled form. */
typedef struct {
    pang_verdict verdict;
    pang_why why;
    const pang_grant *grant;   /* GRANT: the first that suffices, roles' before own ones */
    const pang_role_way *role; /* GRANT: whose it is; NULL: the principal's own */
    uint32_t needed; /* NOTHING: any of these actions, on any scope that covers the object */
} pang_explanation;
void pang_grants_explain(const pang_grants *grants, pang_action action,
                         const pang_grant_object *object, pang_explanation *ret);

/* One of the principal's grants. */
typedef struct {
    const pang_grant *grant;
    const pang_role_way *role; /* NULL: its own */
    bool covers;               /* the object */
    bool implies;              /* the action */
} pang_grant_seen;
/* All of them, roles' first; false from fn stops. */
typedef bool pang_grant_seen_fn(void *arg, const pang_grant_seen *seen);
void pang_grants_each(const pang_grants *grants, pang_action action,
                      const pang_grant_object *object, pang_grant_seen_fn *fn, void *arg);

/* ---- filtering lists ---- */

/* A catalog, or a namespace of it with all that is below. */
typedef struct {
    pang_id catalog;
    pang_str path; /* empty: the whole catalog */
} pang_place;

typedef struct {
    pang_id catalog, asset;
    pang_str path; /* where it was when it was granted */
} pang_placed_asset;

/* What an action may be done to within a container: all of it, or these. Sorted, each once; a
 * place never lies within another. Work is bounded by the principal's grants, not by the list. */
typedef struct {
    bool all;
    const pang_place *places;
    size_t n_places;
    const pang_placed_asset *assets;
    size_t n_assets;
    const pang_str *tags; /* assets of any catalog that carry one of them */
    size_t n_tags;
} pang_filter;

/* Borrows from the compiled form and from arena. ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_grants_filter(const pang_grants *grants, pang_action action,
                                             const pang_grant_object *container, pang_arena *arena,
                                             pang_filter *ret, pang_err *err);
/* The children of a namespace (path empty: of the catalog) that lead to what the filter lets
 * through: escaped names as in paths, sorted, each once. REQUIRES: not `all`. */
PANG_MUST_CHECK pang_code pang_filter_children(const pang_filter *filter, pang_id catalog,
                                               pang_str path, pang_arena *arena,
                                               const pang_str **ret, size_t *ret_n, pang_err *err);
/* The catalogs that lead there. REQUIRES: not `all`. */
PANG_MUST_CHECK pang_code pang_filter_catalogs(const pang_filter *filter, pang_arena *arena,
                                               const pang_id **ret, size_t *ret_n, pang_err *err);

#endif
