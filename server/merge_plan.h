/*
 * The plan of a merge: for each asset and namespace that the source changed, what becomes of it on
 * the target, or why nobody but a person can say. Made from what both sides and the halves of the
 * base hold; nothing is written but the files of merged tables.
 * Called by the merge services; merge_apply.h carries a plan out. Threads and lifetime: as the
 * views'.
 *
 * Rules:
 *  1. What the source did not change is not touched. What is the same on both sides neither.
 *  2. What only the source changed is taken over, if both halves of the base are one document;
 *     else what the target holds is not what the source's change was made on, and they are merged.
 *  3. Name and value merge apart: a rename on one side meets a change on the other.
 *  4. Values by kind: namespaces' properties and generic assets' fields one by one, tables by
 *     merge_table.h, views by model_view_merge.h.
 *  5. Gone on one side and changed on the other is a conflict; so are two new names, one name for
 *     two assets, and a namespace gone on one side while the other made something in it.
 *  6. Namespaces have their names only: made on both sides they are one, and the target's id stays.
 *  7. A branch that holds a selection takes no more in than it holds from where it was selected.
 */
#ifndef PANG_SERVER_MERGE_PLAN_H
#define PANG_SERVER_MERGE_PLAN_H

#include "server/index.h"
#include "server/merge_changes.h"
#include "server/merge_table.h"
#include "server/metadata.h"

typedef Pangolin__Store__V1__MergeOperation__Mode__Kind pang_merge_mode;
typedef Pangolin__Store__V1__Strategy pang_strategy;
#define PANG_MODE_NORMAL PANGOLIN__STORE__V1__MERGE_OPERATION__MODE__KIND__KIND_NORMAL
#define PANG_MODE_TAKE_SOURCE PANGOLIN__STORE__V1__MERGE_OPERATION__MODE__KIND__KIND_TAKE_SOURCE
#define PANG_MODE_TAKE_TARGET PANGOLIN__STORE__V1__MERGE_OPERATION__MODE__KIND__KIND_TAKE_TARGET
#define PANG_MODE_DROP PANGOLIN__STORE__V1__MERGE_OPERATION__MODE__KIND__KIND_DROP

/* How one asset's conflicts were decided. */
typedef struct {
    pang_id asset; /* nil: a namespace, by name */
    pang_name name;
    pang_strategy strategy;
    const pang_json *value; /* of a manual one: an object */
} pang_merge_choice;

/* What is to be merged, and how. */
typedef struct {
    pang_state
        *state; /* NULL: no document can be read, and tables changed on both sides conflict */
    const pang_env *env;
    pang_view *source; /* reads at a point */
    pang_view *target; /* a branch as of now */
    /* Bases: of two branches, or one pair for what is no merge of branches (a pick, a revert). */
    const pang_merge_base *base;
    pang_merge_pair pair; /* where base is NULL */
    bool back; /* the target comes from what the source is: what is taken of tables is the
                  target's next document, not an earlier one once more */
    const pang_merge_changes *changes;
    Pangolin__Store__V1__MergeOperation__Mode *const *modes;
    size_t n_modes;
    pang_merge_mode default_mode; /* unspecified: normal */
    const pang_merge_choice *choices;
    size_t n_choices;
    bool serializable;
    pang_id commit;                 /* the id that the merge's commit will have */
    struct pang_merge_kept *kept;   /* of earlier attempts: merge_kept.h; NULL: nothing is kept */
    struct pang_counters *counters; /* metrics.h; NULL: nothing is counted */
} pang_merge_task;

typedef enum {
    PANG_FATE_UNCHANGED, /* the target is as it shall be */
    PANG_FATE_TAKEN,     /* it becomes what the source has */
    PANG_FATE_MERGED,    /* of both */
    PANG_FATE_KEPT,      /* the target's stays, since somebody said so */
    PANG_FATE_LEFT_OUT,  /* as if the source had not changed it yet */
    PANG_FATE_CONFLICT,
} pang_merge_fate;

/* One asset or namespace. */
typedef struct {
    pang_id asset; /* nil: a namespace */
    pang_str key;  /* as people name it: "sales.orders" */
    pang_merge_pair pairs[PANG_MERGE_PAIRS_MAX];
    size_t n_pairs;
    pang_content source, target;
    struct {
        pang_content source, target;
    } half[PANG_MERGE_PAIRS_MAX];
    /* Which of them is the newest: as to being there at all, to the value, to the name. */
    size_t base, value_base, name_base;
    /* Of these the halves, of an asset that was gone by then what it was before: it may have come
     * back on both sides, by its id, as namespaces do not. */
    struct {
        const pang_content *source, *target;
    } value_half, name_half;
    bool open;            /* the source changed it, and the target is not the same */
    pang_merge_mode mode; /* what was asked for */
    pang_merge_fate fate;
    bool forced;   /* taken because somebody said so, whatever the target has */
    bool not_held; /* a side shows a selection, and this is none of it */
    bool plain;    /* taken because the target had not changed it */
    /* What the target shall have: `body` at `to`, where it stands; else nothing. Meaningful for
     * what is taken or merged. */
    bool stands;
    pang_name to;
    pang_rec_content *body;
    pang_content at;        /* what the target has at `to` now */
    pang_folded document;   /* of a merged table: to be written; none: the body names it */
    pang_str document_base; /* the file that it follows */
    const pang_conflict *conflicts;
    size_t n_conflicts;
    const int32_t *columns; /* column ids of the source that are others in the target from now on */
    size_t n_columns;
    bool columns_lost; /* which those are is not known, and must be found anew */
    pang_str report;
    pang_str lost; /* why what it was cannot come back, so that it is kept; empty: it is not so */
} pang_merge_item;

typedef struct {
    pang_merge_item **items;
    size_t n;
    size_t n_conflicts; /* of all items */
    bool fast_forward;  /* nothing had to be merged, kept or left out */
    size_t n_changes;   /* items that change the target */
    size_t n_lost;      /* items that should be what cannot come back */
    bool *known;        /* of each of the task's modes: its key names an item */
    pang_index index;   /* inside: items by asset, or by a namespace's name */
} pang_merge_plan;

/* ERRORS: INVALID_ARGUMENT (too much for one commit), the stores'. */
PANG_MUST_CHECK pang_code pang_merge_plan_make(const pang_merge_task *task, pang_merge_plan *ret,
                                               pang_err *err);

/* ---- for the parts of the planner ---- */

/* A name as people write it, levels joined by dots; NUL behind. Empty without memory. */
pang_str pang_merge_key_text(pang_arena *arena, pang_name name);
/* The same, joined by another separator. */
pang_str pang_merge_key_joined(pang_arena *arena, pang_name name, char separator);
pang_merge_thing pang_merge_thing_of(const pang_merge_item *item);
/* The item of an asset, or of a namespace; NULL: there is none (yet). */
pang_merge_item *pang_merge_find_asset(const pang_merge_plan *plan, pang_id asset);
pang_merge_item *pang_merge_find_space(const pang_merge_plan *plan, pang_name name);
/* The same document, or the same fields. */
bool pang_merge_same_value(const pang_rec_content *a, const pang_rec_content *b);
/* How the item's conflicts were decided; NULL: they were not. */
const pang_merge_choice *pang_merge_choice_of(const pang_merge_task *task,
                                              const pang_merge_item *item);
/* Adds a conflict to the item, which is then one. `details` is a JSON object, NULL without memory.
 * ERRORS: RESOURCE_EXHAUSTED. */
PANG_MUST_CHECK pang_code pang_merge_add_conflict(const pang_merge_task *task,
                                                  pang_merge_item *item, pang_conflict_type type,
                                                  pang_json *details, pang_str description,
                                                  pang_err *err);
/* {"deleted_in":...,"modified_in":...} with a sentence. */
PANG_MUST_CHECK pang_code pang_merge_deletion_conflict(const pang_merge_task *task,
                                                       pang_merge_item *item,
                                                       bool deleted_in_source, const char *how,
                                                       pang_err *err);
/* {"conflicting_properties":["name"],...}: the name is wanted by two. */
PANG_MUST_CHECK pang_code pang_merge_name_conflict(const pang_merge_task *task,
                                                   pang_merge_item *item, pang_str base,
                                                   pang_str source, pang_str target,
                                                   pang_str description, pang_err *err);
/* merge_values.c: the value of what both sides have and changed; sets body, document and fate.
 * REQUIRES: source and target exist, fields of item->to are set. */
PANG_MUST_CHECK pang_code pang_merge_value(const pang_merge_task *task, pang_merge_item *item,
                                           pang_err *err);
/* Of an item whose value stays the target's: how the source's columns read there is as it was. */
PANG_MUST_CHECK pang_code pang_merge_keep_columns(const pang_merge_task *task,
                                                  pang_merge_item *item, pang_err *err);
/* The source's value as a new state of the target's asset, whatever that has. */
PANG_MUST_CHECK pang_code pang_merge_take_value(const pang_merge_task *task, pang_merge_item *item,
                                                pang_err *err);
/* merge_settle.c: what items want of each other's names, and of namespaces. Adds items for what
 * comes along. */
PANG_MUST_CHECK pang_code pang_merge_settle(const pang_merge_task *task, pang_merge_plan *plan,
                                            pang_err *err);
/* Reads an item's states for a namespace that nobody named yet. */
PANG_MUST_CHECK pang_code pang_merge_add_space(const pang_merge_task *task, pang_merge_plan *plan,
                                               pang_name name, pang_merge_item **ret,
                                               pang_err *err);
PANG_MUST_CHECK pang_code pang_merge_add_asset(const pang_merge_task *task, pang_merge_plan *plan,
                                               pang_id asset, pang_merge_item **ret, pang_err *err);

#endif
