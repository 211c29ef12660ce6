/*
 * Model, inside a merge: four schemas laid over each other, and the tree that is built of them.
 * Called by model_merge_schema.c and model_merge_tree.c only. Threads and lifetime: as model.h.
 */
#ifndef PANG_SERVER_MODEL_MERGE_TREE_H
#define PANG_SERVER_MODEL_MERGE_TREE_H

#include "server/model_merging.h"

/* What a column is to its parent. */
typedef enum {
    PANG_SLOT_FIELD, /* of a struct or of the schema: has a node of its own, and a name */
    PANG_SLOT_ELEMENT,
    PANG_SLOT_KEY,
    PANG_SLOT_VALUE,
} pang_slot_role;

typedef struct pang_slot pang_slot;

/* Siblings in one side's order. */
typedef struct {
    pang_slot *first, *last;
} pang_slot_list;

/* One column, under its id in the target. */
struct pang_slot {
    int64_t id;
    const pang_model_column *s, *sh, *t, *th; /* as each document has it; NULL: not there */
    pang_slot *parent;                        /* of the merged schema; NULL: laid by halves only */
    pang_slot_role role;
    pang_slot_list source, target; /* children, as the side orders them */
    pang_slot *source_next, *target_next, *merged_next;
    pang_slot *all_next;            /* every slot, parents before children on each side */
    const pang_model_column *typed; /* whose name and type it has; NULL: is not in the result */
    bool required;
    bool placed; /* while siblings are woven */
};

typedef struct {
    pang_merging *m;
    pang_model_ids by_id;
    pang_slot top; /* the schema itself: no column */
    pang_slot *all, *last;
} pang_overlay;

/* A conflict about a column: "column "a.b" (3) <what>". */
void pang_overlay_say(pang_overlay *o, const pang_slot *at, const char *what);
/* model_merge_tree.c: the merged fields below `at`, an array. Says what conflicts: order, names. */
pang_json *pang_overlay_fields(pang_overlay *o, pang_slot *at);

#endif
