/*
 * Trees of what is in catalogs, for people who look around. Handlers of the catalog service.
 * Called through its table. Threads: any. Lifetime: results live in the call's arena.
 */
#ifndef PANG_SERVER_SVC_TREE_H
#define PANG_SERVER_SVC_TREE_H

#include "api/service.h"

enum { PANG_TREE_MAX = 20000 }; /* nodes of one tree: more are refused, not cut off unseen */

pang_handler pang_namespace_tree, pang_explorer_tree;

#endif
