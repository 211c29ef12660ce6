/*
 * Model, inside: one merge of two documents. Each part looks at the four documents, says what
 * conflicts, and adds updates of the kind that engines send; the target's document with those
 * updates is the merged one, so ids, limits and checks are those of a commit.
 * Called by the model_merge*.c files and model_view_merge.c only. Threads and lifetime: as
 * server/model.h.
 *
 * Running out of memory is remembered (m->failed) and reported at the end, as in model_build.h.
 */
#ifndef PANG_SERVER_MODEL_MERGING_H
#define PANG_SERVER_MODEL_MERGING_H

#include "server/model_build.h"
#include "server/model_merge.h"

/* One of the four documents. */
typedef struct {
    const char *name;        /* "source", "target": of both the document and its half */
    const pang_json *raw;    /* as given */
    const pang_json *doc;    /* in full form: what version 1 may leave out is filled in */
    const pang_json *schema; /* the current one */
    pang_model_schema *read; /* the same, looked into; NULL until pang_merging_read */
    int64_t last_column;
    int version;
    bool has_head; /* a current snapshot */
    int64_t head;
} pang_merging_side;

/* A list of pairs that grows. */
typedef struct {
    pang_id_pair *list;
    size_t n, capacity;
} pang_merging_pairs;

/* Ids of columns that a side wrote data with since its half. */
typedef struct {
    pang_model_ids ids;
    pang_merging_pairs fresh; /* those that are newer than the half, twice each */
    bool known;
    bool any; /* it cannot be told which: all */
} pang_merging_written;

typedef struct {
    const pang_merge_table *merge;
    pang_arena *arena;
    bool data_changed;
    pang_merging_side source, source_half, target, target_half;
    pang_merging_written source_wrote, target_wrote;
    const int32_t *map; /* what earlier merges say, and ids that are others' meanwhile: pairs,
                           as in pang_merge_table */
    size_t n_map;
    pang_model_ids columns;   /* of the source: to pang_id_pair, the same ids included */
    pang_merging_pairs pairs; /* those that differ */
    pang_model_ids earlier;   /* of both: what earlier merges say */
    pang_model_ids given;     /* ids that the map gave away */
    pang_merging_pairs specs, orders;
    pang_json *updates;
    pang_conflict *conflicts;
    size_t n_conflicts, more; /* told, and not told */
    bool of_view;             /* of a view: only what model_view_merge.c uses is filled in */
    bool failed;
} pang_merging;

/* ---- model_merge_say.c: what is said and asked for ---- */

/* Adds a conflict. `details` is an object, made by the next three; NULL: none. */
void pang_merging_conflict(pang_merging *m, pang_conflict_type type, pang_json *details,
                           const char *fmt, ...) PANG_PRINTF(4, 5);
/* The last conflict says how many were not told. */
void pang_merging_count_untold(pang_merging *m);
/* Details of a column: its three values as the sides have them, each may be NULL. */
pang_json *pang_merging_about_column(pang_merging *m, const pang_model_column *base,
                                     const pang_model_column *source,
                                     const pang_model_column *target);
/* Details of a property, or another member that goes by a name. */
pang_json *pang_merging_about_property(pang_merging *m, pang_str name, const pang_json *base,
                                       const pang_json *source, const pang_json *target);
/* Details without values. */
pang_json *pang_merging_about_names(pang_merging *m, const char *list, pang_str name);
/* A value as text for a sentence: short, and "nothing" when absent. */
pang_str pang_merging_shown(pang_merging *m, const pang_json *value);

/* A new update of an action, added to the list. */
pang_json *pang_merging_update(pang_merging *m, const char *action);
/* Sets a member of what is being made; remembers a failure. */
void pang_merging_put(pang_merging *m, pang_json *object, const char *name, pang_json *value);
void pang_merging_add(pang_merging *m, pang_json *array, pang_json *value);
void pang_merging_pair(pang_merging *m, pang_merging_pairs *pairs, int64_t from, int64_t to);

/* Two values of one thing and what they were; absent and null are one. What the target had of its
 * own when the halves were taken is something that the source has not seen, like what it changed
 * since: neither is overwritten unasked. */
typedef enum {
    PANG_MERGING_TARGET, /* the source left it, or both have it */
    PANG_MERGING_SOURCE, /* the source changed it, and knew what the target has */
    PANG_MERGING_BOTH,   /* both changed it, differently */
} pang_merging_choice;
pang_merging_choice pang_merging_choose(const pang_json *source, const pang_json *source_half,
                                        const pang_json *target, const pang_json *target_half);

/* ---- model_merge_sides.c: the four documents, and what their histories say ---- */

PANG_MUST_CHECK pang_code pang_merging_begin(pang_merging *m, const pang_merge_table *merge,
                                             bool data_changed, pang_err *err);
/* Looks into the current schema of a side, once. */
PANG_MUST_CHECK pang_code pang_merging_read(pang_merging *m, pang_merging_side *side,
                                            pang_err *err);
/* Another table, a replaced one, encrypted data, an upgrade under data that is more than appended:
 * what rules a merge out before its parts are looked at. */
void pang_merging_check_sides(pang_merging *m);
/* What the side wrote data with since its half. */
const pang_merging_written *pang_merging_wrote(pang_merging *m, bool source);
/* Whether a column may be in it. */
bool pang_merging_wrote_column(pang_merging *m, bool source, int64_t column);
/* Whether the target has rows that the source has not seen. */
bool pang_merging_target_has_rows(const pang_merging *m);
/* Snapshots of the source that no ref reaches and that came since its half: an array. */
pang_json *pang_merging_left_behind(pang_merging *m);

/* ---- model_merge_same.c ---- */

/* Fills m->map. A column of the source's half whose id is another one's in the target is none of
 * the target's; where it is another one's in the source, that is a conflict. */
void pang_merging_check_ids(pang_merging *m);

/* ---- the parts ---- */

/* model_merge_columns.c: which column of the target a column of the source is. */
void pang_merging_map_columns(pang_merging *m);
/* The target's id of a column of the source or, which earlier merges alone say, of its half. -1: it
 * is none of the merged table's. */
int64_t pang_merging_column(const pang_merging *m, bool of_half, int64_t id);
/* model_merge_schema.c: the current schemas; and whether values of the one type can be read as the
 * other, as the specification has it. */
bool pang_merging_is_promotion(const pang_type *from, const pang_type *to);
PANG_MUST_CHECK pang_code pang_merging_schema(pang_merging *m, pang_err *err);
/* model_merge_specs.c: specs and orders; and their maps, once there is a merged document. */
void pang_merging_specs(pang_merging *m);
void pang_merging_map_specs(pang_merging *m, const pang_json *merged);
/* model_merge_properties.c */
void pang_merging_properties(pang_merging *m);
void pang_merging_location(pang_merging *m);
/* model_merge_mapping.c: name mappings, as structures. The texts are strings of source, its half,
 * target, its half. *ret is the merged text, a string; NULL when they conflict or one is no
 * mapping. */
void pang_merging_mapping(pang_merging *m, const pang_json *const texts[4], pang_json **ret);
/* model_merge_refs.c: refs and encryption keys. */
void pang_merging_refs(pang_merging *m);
void pang_merging_keys(pang_merging *m);

#endif
