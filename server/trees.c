/*
 * Trees: a short list under one lock. It holds the documents that are being written to just now,
 * tens of them, so looking through it costs nothing beside a commit.
 */
#include "server/trees.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    TREES_MAX = 256,
    LARGEST_PART = 2, /* of max_bytes */
};

typedef struct {
    pang_id document;
    pang_json *tree;
    size_t len;
} held;

struct pang_trees {
    pthread_mutex_t lock; /* guards all below */
    held list[TREES_MAX]; /* kept longest first */
    size_t n, bytes, max_bytes;
};

/* What a call took and what it keeps, newest first. */
typedef struct part {
    struct part *next;
    held held;
    bool keeps;
} part;

struct pang_tree_loan {
    pang_trees *trees;
    pang_arena *arena;
    part *parts;
};

pang_trees *pang_trees_new(size_t max_bytes)
{
    pang_trees *trees = calloc(1, sizeof *trees);
    if (trees == NULL)
        return NULL;
    if (pthread_mutex_init(&trees->lock, NULL) != 0) {
        free(trees);
        return NULL;
    }
    trees->max_bytes = max_bytes;
    return trees;
}

void pang_trees_free(pang_trees *trees)
{
    if (trees == NULL)
        return;
    for (size_t i = 0; i < trees->n; i++)
        pang_json_release(trees->list[i].tree);
    (void)pthread_mutex_destroy(&trees->lock);
    free(trees);
}

static held cut(pang_trees *trees, size_t at)
{
    held h = trees->list[at];
    trees->n--;
    trees->bytes -= h.len;
    for (size_t i = at; i < trees->n; i++)
        trees->list[i] = trees->list[i + 1];
    return h;
}

/* Puts a tree in; those that had to go for it are given up after the lock was. */
static void put(pang_trees *trees, held h)
{
    held gone[TREES_MAX + 1];
    size_t n = 0;
    if (h.len > trees->max_bytes / LARGEST_PART) {
        pang_json_release(h.tree);
        return;
    }
    (void)pthread_mutex_lock(&trees->lock);
    while (trees->n == TREES_MAX || (trees->n > 0 && trees->bytes + h.len > trees->max_bytes))
        gone[n++] = cut(trees, 0);
    trees->list[trees->n++] = h;
    trees->bytes += h.len;
    (void)pthread_mutex_unlock(&trees->lock);
    for (size_t i = 0; i < n; i++)
        pang_json_release(gone[i].tree);
}

/* Runs after all other users of the arena have given up their values. What was taken goes first:
 * what is kept shares its nodes, and belongs to others as soon as it is in. */
static void settle(void *arg)
{
    pang_tree_loan *loan = arg;
    for (part *p = loan->parts; p != NULL; p = p->next)
        if (!p->keeps)
            pang_json_release(p->held.tree);
    for (part *p = loan->parts; p != NULL; p = p->next)
        if (p->keeps)
            put(loan->trees, p->held);
}

pang_tree_loan *pang_trees_lend(pang_trees *trees, pang_arena *arena)
{
    pang_tree_loan *loan = pang_arena_alloc(arena, sizeof *loan);
    if (loan == NULL)
        return NULL;
    *loan = (pang_tree_loan){.trees = trees, .arena = arena};
    return pang_arena_on_reset(arena, settle, loan) ? loan : NULL;
}

static void add_part(pang_tree_loan *loan, part *p, held h, bool keeps)
{
    *p = (part){.next = loan->parts, .held = h, .keeps = keeps};
    loan->parts = p;
}

const pang_json *pang_trees_take(pang_tree_loan *loan, pang_id document)
{
    pang_trees *trees = loan->trees;
    part *p = pang_arena_alloc(loan->arena, sizeof *p);
    held h = {.tree = NULL};
    if (p == NULL)
        return NULL;
    (void)pthread_mutex_lock(&trees->lock);
    for (size_t i = trees->n; i-- > 0 && h.tree == NULL;)
        if (pang_id_equal(trees->list[i].document, document))
            h = cut(trees, i);
    (void)pthread_mutex_unlock(&trees->lock);
    if (h.tree != NULL)
        add_part(loan, p, h, false);
    return h.tree;
}

void pang_trees_keep(pang_tree_loan *loan, pang_id document, pang_json *tree, size_t len)
{
    part *p = pang_arena_alloc(loan->arena, sizeof *p);
    if (p != NULL)
        add_part(loan, p, (held){document, pang_json_hold(tree), len}, true);
}
