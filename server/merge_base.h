/*
 * The base of a merge: what both sides have in common. A side has all that it was made from, and
 * all that was merged into it (merge marks); the newest points that both have are bases, each a
 * pair of halves: what each side was when it had all that the other's half says.
 * Called by merge_plan.c, merge_marks.c. Threads and lifetime: as the view's.
 *
 * Rules, of merging X into Y:
 *  1. Where the chains of forks meet, both halves are that point.
 *  2. X was merged into Y before, and stands at a later point: X's half is the point that was
 *     merged, Y's the merge's commit. Both say the same, each in documents of its own.
 *  3. In all other cases (Y was merged into X, a third branch was merged into both, X stands before
 *     what was merged) the common point is one half for both: what the other had by then beyond it
 *     is the other's change.
 *  4. After merges that did not see each other there are several bases, none in another. Of one
 *     asset they may hold states of which one comes from another: the newest is its base.
 *  5. A mark does not speak for its exceptions: each has last common points of its own.
 *  6. What a branch with a selection has of what it was made from, and of what was merged there, it
 *     has of what it holds: of an asset that it holds, bases that are in it say nothing. A
 *     namespace that was not selected and is made there has nothing in common with one of that
 *     name, until a merge joins the two: the mark then has an exception.
 */
#ifndef PANG_SERVER_MERGE_BASE_H
#define PANG_SERVER_MERGE_BASE_H

#include "server/common.h"
#include "server/index.h"

enum {
    PANG_MERGE_PAIRS_MAX = 6,   /* bases of which none is in another */
    PANG_MERGE_THIRDS_MAX = 64, /* branches that both may have merged: the newest of each side */
    PANG_MERGE_OLDER_MAX = 32,  /* marks that a mark remembers */
};

/* What a base is asked of: an asset by its id, or (nil) a namespace by its name. */
typedef struct {
    pang_id asset;
    pang_name name;
} pang_merge_thing;

/* A mark as it was read: of all that `from` was at a number, in `into` since a number. */
typedef struct {
    pang_id into, from;
    uint64_t from_sequence, into_sequence;
    const pang_rec_merge_mark *body;
    pang_index exceptions; /* of the body, by what they are about */
} pang_merge_mark;

typedef struct {
    pang_point source, target;
    bool one;                        /* one point is both halves */
    const pang_merge_mark *marks[2]; /* what it rests on: the source's, the target's; NULL: none */
    uint32_t within;    /* of one thing: pairs, by their places, which have what this one says of it
                           if they hold it: selections */
    pang_point held[2]; /* where a side is made a selection, which must hold a namespace there for
                           the pair to speak of it; number 0: it does in any case */
} pang_merge_pair;

/* A third branch that is a selection: what is in it, as far as it holds it. */
typedef struct {
    pang_point at;
    pang_chain chain;
    const pang_merge_mark *marks;
    size_t n_marks;
} pang_merge_selection;

typedef struct {
    pang_chain source, target;
    pang_common fork;
    pang_merge_pair pairs[PANG_MERGE_PAIRS_MAX]; /* the newest first */
    size_t n_pairs;
    /* The newest point of the source's own chain that is in the target: its log is read down to
     * there. */
    pang_point since;
    const pang_merge_mark *since_mark; /* NULL: the chains say so */
    /* The branches that were looked at, and the marks of them that either side holds. */
    pang_id *branches;
    size_t n_branches;
    pang_merge_mark *of_source, *of_target;
    size_t n_of_source, n_of_target;
    pang_merge_selection *selections; /* that pairs may rest on */
    size_t n_selections;
} pang_merge_base;

/* Of the point that `source` shows (not PANG_NOW) and the branch that `target` shows. ERRORS:
 * FAILED_PRECONDITION (nothing in common), the store's. */
PANG_MUST_CHECK pang_code pang_merge_base_find(pang_view *source, pang_view *target,
                                               pang_merge_base *ret, pang_err *err);
/* The bases of one thing. Returns how many, at least one. */
size_t pang_merge_base_of(const pang_merge_base *base, const pang_merge_thing *thing,
                          pang_merge_pair ret[PANG_MERGE_PAIRS_MAX]);
/* What an exception is about; its name lives as long as the exception. */
pang_merge_thing pang_merge_excepted(const Pangolin__Store__V1__MergeMark__Exception *exception);
bool pang_merge_same_thing(const pang_merge_thing *a, const pang_merge_thing *b);
/* For an index (server/index.h) of things. */
uint64_t pang_merge_hash_thing(const pang_merge_thing *thing);
/* Adds a mark's exceptions to an index of such; the first of one thing counts. False without
 * memory. */
bool pang_merge_index_exceptions(const pang_rec_merge_mark *mark, pang_index *exceptions);
/* What is said of one thing there; NULL: nothing. */
Pangolin__Store__V1__MergeMark__Exception *pang_merge_exception(const pang_index *exceptions,
                                                                const pang_merge_thing *thing);

/* What is in a side of another branch. */
typedef struct {
    uint64_t sequence;           /* the greatest number; 0: nothing */
    const pang_merge_mark *mark; /* that says so; NULL: the chain does */
    pang_point since;            /* with a mark: where it is in the side since */
} pang_merge_has;
/* Of what `chain` shows; for one thing, or (NULL) but for exceptions. `marks` are of all of the
 * chain's branches. */
pang_merge_has pang_merge_contained(const pang_chain *chain, const pang_merge_mark *marks,
                                    size_t n_marks, pang_id branch, const pang_merge_thing *thing);
/* Where a selection was made; number 0: it is none, or that is not known. `marks` are of what the
 * chain has of what it was made from, at least. */
pang_point pang_merge_made(const pang_chain *chain, const pang_merge_mark *marks, size_t n);
/* Whether it is said of the thing by itself. */
bool pang_merge_is_joined(const pang_merge_has *has, const pang_merge_thing *thing);
/* The marks (older ones too) of merges of `from` into the branches of a chain. */
PANG_MUST_CHECK pang_code pang_merge_marks_read(pang_view *view, const pang_chain *into,
                                                const pang_id *from, size_t n_from,
                                                pang_merge_mark **ret, size_t *ret_n,
                                                pang_err *err);
/* The branches that were merged into one, the newest first, at most PANG_MERGE_THIRDS_MAX. */
PANG_MUST_CHECK pang_code pang_merge_thirds(pang_view *view, pang_id into, pang_id *ret,
                                            size_t *ret_n, pang_err *err);

#endif
