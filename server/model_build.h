/*
 * Model, inside: the document under construction, and the updates that change it.
 * Called by the model_*.c files only. Threads and lifetime: as server/model.h.
 *
 * Running out of memory is remembered (build->failed) and reported when an update ends: all
 * pang_json functions take the NULL that results, so the code between need not look.
 */
#ifndef PANG_SERVER_MODEL_BUILD_H
#define PANG_SERVER_MODEL_BUILD_H

#include "server/model_types.h"

/* What -1 stands for in an update: the last one added before it in the same request, a reused one
 * included. */
typedef struct {
    int64_t id;
    unsigned n; /* how many were added; 0: -1 stands for nothing */
} pang_model_added;

/* A list of the document whose entries go by their "snapshot-id". */
typedef struct {
    const char *part;
    pang_model_ids by_id; /* what is in the list, once known */
    bool known;
    bool holes; /* entries were removed or replaced, and still stand in the list */
} pang_model_keyed;

/* One commit or create. Zeroed but for what the caller says: arena, env, base, base_location, and
 * version when there is no base. */
typedef struct {
    pang_arena *arena;
    const pang_env *env;
    const pang_json *base;  /* as given; NULL: none */
    pang_str base_location; /* its file, for the metadata log */
    pang_json *doc;         /* a copy of base's top level, in full form */
    unsigned owned;         /* which containers of doc are this build's own: see model_build.c */
    int version;            /* format version, as upgraded so far */
    int64_t now_ms;         /* one time for the whole commit */
    bool changed;           /* an update did something */
    bool failed;            /* out of memory */
    pang_model_added schema, spec, order;
    uint64_t work; /* elements that were walked over: see pang_model_spend */
    pang_model_keyed snapshots, statistics, partition_statistics;
    /* Snapshots: see model_snapshot.c. */
    bool removed_snapshots;
    pang_model_ids fresh_snapshots; /* added in this request */
    pang_model_ids was_main;        /* fresh ones that main named at some time */
    int64_t head;                   /* the last of was_main, when has_head */
    bool has_head;
    bool passed_heads; /* was_main holds more than what main ends at */
    /* Made when first asked for. */
    pang_model_ids ref_names; /* of refs that name or named a snapshot, by its id */
    bool knows_ref_names;
    pang_json *key_ids;           /* of encryption keys */
    pang_json *field_ids;         /* of partition fields, by source and transform */
    pang_model_ids schema_hashes; /* of schemas, to lists of them */
    bool knows_schema_hashes;
    const pang_json *schema_node; /* what current_schema was read from */
    pang_model_schema *current_schema;
    /* Views: see model_view_update.c. */
    pang_model_added view_version;
    pang_model_ids fresh_versions; /* added in this request */
    pang_json *log_entry;          /* of the version that became the current one last */
} pang_model_build;

/* ---- model_build.c: begin, parts, end ---- */

/* Makes doc from base, or an empty table. */
PANG_MUST_CHECK pang_code pang_model_begin(pang_model_build *b, pang_err *err);
/* Sets a member, or appends an element, of a part of the document that is this build's own. */
void pang_model_put(pang_model_build *b, pang_json *object, const char *name, pang_json *value);
void pang_model_put_int(pang_model_build *b, pang_json *object, const char *name, int64_t value);
void pang_model_put_text(pang_model_build *b, pang_json *object, const char *name, pang_str text);
void pang_model_add(pang_model_build *b, pang_json *array, pang_json *value);
/* A container of the document that may be changed: copied from the base when first asked for, made
 * when absent. Its elements are still the base's. */
pang_json *pang_model_own(pang_model_build *b, const char *name);
/* Takes the elements whose member `name` is in ids out of an array of the document; false when
 * there were none. */
bool pang_model_drop(pang_model_build *b, const char *part, const char *name,
                     const pang_model_ids *ids);
/* The current schema, read once; fails when there is none. */
PANG_MUST_CHECK pang_code pang_model_current_schema(pang_model_build *b,
                                                    const pang_model_schema **ret, pang_err *err);
/* Checks what must hold between the parts; writes logs, times and what version 1 repeats. */
PANG_MUST_CHECK pang_code pang_model_end(pang_model_build *b, pang_err *err);

/* Counts n elements that an update walked over. One commit may walk over PANG_MODEL_WORK_MAX: a
 * request of many updates over long lists must not hold a thread for minutes. False when that is
 * used up; the walk over the updates then refuses the request. */
bool pang_model_spend(pang_model_build *b, size_t n);

/* ---- model_keyed.c: lists by snapshot id ---- */

/* NULL when there is none. */
const pang_json *pang_model_keyed_get(pang_model_build *b, pang_model_keyed *k, int64_t id);
/* Adds, or replaces in place. NULL counts as out of memory. */
void pang_model_keyed_put(pang_model_build *b, pang_model_keyed *k, int64_t id, pang_json *entry);
/* False when there is none. */
bool pang_model_keyed_remove(pang_model_build *b, pang_model_keyed *k, int64_t id);
/* Puts the list itself right. */
void pang_model_keyed_end(pang_model_build *b, pang_model_keyed *k);

/* ---- model_fresh.c: rewriting schemas ---- */

/* A tidy copy: no nulls, defaults in their form. With `renumber` (zeroed but for arena) all ids
 * are fresh, from 1, and it maps the old ones to them. */
typedef struct {
    pang_model_ids old_to_new; /* int64_t * */
    int64_t last;
} pang_model_renumber;
pang_json *pang_model_schema_rewrite(pang_model_build *b, const pang_json *schema,
                                     int64_t schema_id, pang_model_renumber *renumber);
/* The new id of an old one; -1 when unknown. */
int64_t pang_model_renumbered(const pang_model_renumber *renumber, int64_t old);

/* Copies of an order's fields in the spelling that all readers know. */
pang_json *pang_model_order_tidy(pang_model_build *b, const pang_json *fields);
/* Copies of fields with their sources mapped; one that is not in the map is refused. */
PANG_MUST_CHECK pang_code pang_model_fields_renumber(pang_model_build *b, const pang_json *fields,
                                                     const pang_model_renumber *renumber,
                                                     pang_json **ret, pang_err *err);
/* ---- updates: each applies one action; `at` is "updates[i]" ---- */

typedef pang_code pang_model_update(pang_model_build *b, const pang_json *update,
                                    const pang_model_path *at, pang_err *err);
/* A row of a table of updates: what the action must bring, and what applies it. A table ends with
 * a NULL name. */
typedef struct {
    const char *name;
    pang_model_update *apply;
    pang_model_member members[7];
} pang_model_action;
/* model_update.c: the form of all, then each in order. */
PANG_MUST_CHECK pang_code pang_model_actions_shape(const pang_model_action *actions,
                                                   const pang_json *updates, pang_err *err);
PANG_MUST_CHECK pang_code pang_model_actions_apply(const pang_model_action *actions,
                                                   pang_model_build *b, const pang_json *updates,
                                                   pang_err *err);
/* The same with the updates of tables. */
PANG_MUST_CHECK pang_code pang_model_updates_shape(const pang_json *updates, pang_err *err);
PANG_MUST_CHECK pang_code pang_model_updates_apply(pang_model_build *b, const pang_json *updates,
                                                   pang_err *err);
/* Those that views have too. */
pang_model_update pang_model_set_location, pang_model_set_properties, pang_model_remove_properties;
/* What set-properties refuses; also for create. */
PANG_MUST_CHECK pang_code pang_model_property_check(pang_str name, pang_str value, pang_err *err);
/* model_evolve.c: schemas and partition specs. */
pang_model_update pang_model_add_schema, pang_model_set_current_schema, pang_model_remove_schemas;
pang_model_update pang_model_add_spec, pang_model_set_default_spec, pang_model_remove_specs;
/* Remembers what -1 means; refuses more than PANG_MODEL_ADDED_MAX. */
PANG_MUST_CHECK pang_code pang_model_count_added(pang_model_added *added, int64_t id,
                                                 const char *what, pang_err *err);
/* model_sort.c: sort orders. */
pang_model_update pang_model_add_order, pang_model_set_default_order;
/* model_snapshot.c: snapshots, branches and tags, the snapshot log. */
pang_model_update pang_model_add_snapshot, pang_model_remove_snapshots;
pang_model_update pang_model_set_ref, pang_model_remove_ref;
/* Puts the snapshots' lists and the snapshot log right. */
PANG_MUST_CHECK pang_code pang_model_end_snapshots(pang_model_build *b, pang_err *err);
/* NULL: none, as the format version spells it. */
void pang_model_set_current_snapshot(pang_model_build *b, const int64_t *id);
/* model_stats.c: statistics files of both kinds, encryption keys. */
pang_model_update pang_model_set_statistics, pang_model_remove_statistics;
pang_model_update pang_model_set_partition_statistics, pang_model_remove_partition_statistics;
pang_model_update pang_model_add_key, pang_model_remove_key;

/* ---- views ---- */

/* model_view_update.c: the updates of views. */
extern const pang_model_action pang_model_view_actions[];
/* What they do, for a create too. */
PANG_MUST_CHECK pang_code pang_model_add_view_schema(pang_model_build *b, const pang_json *schema,
                                                     const pang_model_path *at, pang_err *err);
PANG_MUST_CHECK pang_code pang_model_add_view_version(pang_model_build *b, const pang_json *version,
                                                      pang_err *err);
PANG_MUST_CHECK pang_code pang_model_set_view_version(pang_model_build *b, int64_t id,
                                                      pang_err *err);
/* model_view_check.c: the form of a version, in requests and files. */
PANG_MUST_CHECK pang_code pang_model_view_version_shape(const pang_json *version,
                                                        const pang_model_path *at, pang_err *err);
/* The i-th representation if it is SQL; else the empty view, for both. */
pang_str pang_model_view_sql_at(const pang_json *version, size_t i, pang_str *ret_dialect);

#endif
