/*
 * Trees: the parsed documents of tables that are committed to again and again, handed from one
 * commit to the next. Taking a document apart and giving its nodes back costs more than building
 * the next one, which shares nearly all of them.
 * Called by the table service. Threads: any for the cache; a loan belongs to one call.
 * Lifetime: a taken tree lives until the call's arena is reset.
 *
 * Nodes count their users without locks, so a tree is never with two calls: it is taken out of
 * the cache, and what the call makes of it goes back when the call holds nothing of it any more.
 */
#ifndef PANG_SERVER_TREES_H
#define PANG_SERVER_TREES_H

#include "api/id.h"
#include "api/json.h"

typedef struct pang_trees pang_trees;
typedef struct pang_tree_loan pang_tree_loan;

/* Keeps trees of documents of at most max_bytes together (of text: nodes take some ten times
 * that), the ones kept longest go first. NULL without memory. */
pang_trees *pang_trees_new(size_t max_bytes);
void pang_trees_free(pang_trees *trees); /* NULL is fine; REQUIRES: no loan */

/* Begins a call's business with the cache. REQUIRES: no JSON value was made in this arena since
 * its last reset: the arena gives up what came later first. NULL without memory. */
pang_tree_loan *pang_trees_lend(pang_trees *trees, pang_arena *arena);
/* The tree of that document, now this call's alone, to be read until the arena is reset; NULL when
 * it is not here. It is gone from the cache then. */
const pang_json *pang_trees_take(pang_tree_loan *loan, pang_id document);
/* When the arena is reset, this tree goes into the cache under that id, whose text has `len` bytes.
 * Harmless if the document never lands: nobody asks for it. */
void pang_trees_keep(pang_tree_loan *loan, pang_id document, pang_json *tree, size_t len);

#endif
