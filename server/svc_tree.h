/*
 * Trees of what is in catalogs, for people who look around. Handlers of the catalog service.
 * Called through its table. Threads: any. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_TREE_H
#define PANG_SERVER_SVC_TREE_H

#include "server/content.h"

enum { PANG_TREE_MAX = 20000 }; /* nodes of one tree: more are refused, not cut off unseen */

pang_handler pang_namespace_tree, pang_explorer_tree;

/* What is in a catalog, as far as the caller may see it: namespaces before what is in them. `path`
 * is that of the namespace that it is in, as in keys. False from fn stops. ERRORS:
 * FAILED_PRECONDITION (more than PANG_TREE_MAX), the store's. */
typedef bool pang_tree_fn(void *arg, pang_str path, const pang_content *row);
PANG_MUST_CHECK pang_code pang_tree_walk(pang_call *call, const pang_view *view, pang_tree_fn *fn,
                                         void *arg, pang_err *err);

#endif
