/*
 * What a merge makes of two contents, from full copies alone.
 * Called by the step that merges. Threads: one.
 *
 * Of each item existence, name and value merge apart, three-way. A base is a state that both sides
 * come from and that no newer such state comes from; there may be several, and the target's half of
 * one may be what an earlier merge made of it. All that such bases explain is an outcome that may
 * come; mostly it is one.
 */
#ifndef PANG_TESTS_VERSIONS_MERGES_H
#define PANG_TESTS_VERSIONS_MERGES_H

#include "tests/versions/model.h"

enum { OUTCOMES = 24 };

typedef enum { KEPT, TAKEN, MERGED, CONFLICT } fate;

/* What may become of one item. */
typedef struct {
    bool held; /* false: the target has a selection, and this is none of it */
    struct {
        fate fate;
        item after;
    } list[OUTCOMES];
    int n;
} outcomes;

/* How single items are decided. */
typedef enum { BY_MERGING, BY_SOURCE, BY_TARGET, LEFT_OUT, BY_VALUES } decision;

typedef struct {
    model *m;
    const content *source, *target;
    const content *half; /* not NULL: one commit is done again, or taken back: what the source is
                            compared with; the target comes from nothing of it */
    bool target_partial;
    bool is_below, is_above; /* the source was made, if only as a selection, of what the target
                                shows, or the other way round */
    decision decided[ITEMS];
    bool merges[ITEMS];            /* it is known not to conflict */
    int chosen[ITEMS][PROPERTIES]; /* BY_VALUES: what it shall be; 0: none; -1: it merges */
    /* Out. */
    outcomes items[ITEMS];
    bool conflicts[ITEMS]; /* surely, of the item alone */
    bool may_conflict[ITEMS];
    bool is_entangled; /* names or namespaces that items want of each other are in the way */
    bool is_certain;   /* one outcome for each item */
    content after;     /* of the first outcome of each */
} merging;

/* REQUIRES: all but the outcomes are set. */
void model_merge(merging *g);
/* It was done: each item of `after` comes from both sides from now on. */
void model_merge_land(merging *g);

#endif
